import { accept, type Outcome, refuse } from "@x1agent/contract";

/**
 * Reading a request body before a byte of it leaves. `JSON.parse` of 300 KB costs three times as much as this scan and
 * says nothing of duplicate keys, which is what a policy must know: two parsers may take two different ones.
 *
 *   scan        one pass; where each top-level value lies, and whether anything below needs a closer look
 *   parseStrict a full parse of a slice that refuses duplicate keys at every depth; only for what the scan points at
 *
 * The scan is strict at the top level. Below it follows strings and brackets only: the provider validates the rest, and
 * the closer look validates whatever a rule depends on.
 */
export type Field = {
  /** Value in the body: `body.subarray(start, end)`. */
  readonly start: number;
  readonly end: number;
  /** Some object directly in this array has neither `type` nor `role`: what it is, only its place says. */
  readonly bare: boolean;
};
export type Scan = {
  readonly fields: ReadonlyMap<string, Field>;
  /** First byte after the opening brace. */
  readonly inside: number;
  /** A nested key or `type` that the caller named occurs somewhere below the top level. */
  readonly suspicious: boolean;
};
/** What is worth a closer look below the top level. */
export type Suspects = { readonly keys: ReadonlySet<string>; readonly types: ReadonlySet<string> };

const MAX_DEPTH = 512;
const MAX_FIELDS = 200;
/** Longest key or type that is compared; every suspect is shorter. */
const MAX_WORD = 40;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const COLON = 0x3a;
const COMMA = 0x2c;

class Malformed extends Error {}
class Duplicate extends Error {}

const isSpace = (byte: number | undefined) => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

function skipSpace(body: Buffer, at: number): number {
  let next = at;
  while (isSpace(body[next])) next += 1;
  return next;
}

/** Position after the closing quote of the string whose first character is at `at`. */
function skipString(body: Buffer, at: number): number {
  // Most strings are short: a loop beats a call. Long ones (file contents) are jumped over.
  const near = Math.min(body.length, at + 24);
  let next = at;
  while (next < near) {
    const byte = body[next];
    if (byte === QUOTE) return next + 1;
    next += byte === BACKSLASH ? 2 : 1;
  }
  for (;;) {
    const quote = body.indexOf(QUOTE, next);
    if (quote < 0) throw new Malformed("a string does not end");
    let slashes = 0;
    while (quote - 1 - slashes >= next && body[quote - 1 - slashes] === BACKSLASH) slashes += 1;
    if (slashes % 2 === 0) return quote + 1;
    next = quote + 1;
  }
}

/** The text between two quotes, escapes decoded. */
function word(body: Buffer, start: number, end: number): string {
  const raw = body.toString("utf8", start, end);
  if (!raw.includes("\\")) return raw;
  try {
    return JSON.parse(`"${raw}"`) as string;
  } catch {
    throw new Malformed("a string has a wrong escape");
  }
}

/** Short words compare as they are; an escaped one may be six times as long. */
const comparable = (body: Buffer, start: number, end: number): boolean =>
  end - start <= MAX_WORD || (end - start <= MAX_WORD * 6 && body.subarray(start, end).includes(BACKSLASH));

/** Scans a body that must be one JSON object. */
export function scan(body: Buffer, suspects: Suspects): Outcome<Scan> {
  try {
    return accept(new Scanner(body, suspects).run());
  } catch (error) {
    if (error instanceof Duplicate) return refuse("field_refused", error.message);
    if (error instanceof Malformed)
      return refuse("invalid_request", `The body is not a JSON object: ${error.message}.`);
    throw error;
  }
}

class Scanner {
  readonly #body: Buffer;
  readonly #suspects: Suspects;
  #suspicious = false;

  constructor(body: Buffer, suspects: Suspects) {
    this.#body = body;
    this.#suspects = suspects;
  }

  run(): Scan {
    const body = this.#body;
    const fields = new Map<string, Field>();
    let at = skipSpace(body, 0);
    if (body[at] !== OPEN_OBJECT) throw new Malformed("it does not start with a brace");
    at += 1;
    const inside = at;
    at = skipSpace(body, at);
    if (body[at] === CLOSE_OBJECT) at += 1;
    else
      for (;;) {
        at = skipSpace(body, at);
        if (body[at] !== QUOTE) throw new Malformed("a key is missing");
        const keyEnd = skipString(body, at + 1);
        const key = word(body, at + 1, keyEnd - 1);
        if (fields.has(key)) throw new Duplicate(`The key ${JSON.stringify(key.slice(0, 80))} occurs twice.`);
        if (fields.size >= MAX_FIELDS) throw new Malformed(`it has more than ${MAX_FIELDS} keys`);
        at = skipSpace(body, keyEnd);
        if (body[at] !== COLON) throw new Malformed("a colon is missing");
        const start = skipSpace(body, at + 1);
        const value = this.#skipValue(start);
        fields.set(key, { start, end: value.end, bare: value.bare });
        at = skipSpace(body, value.end);
        const byte = body[at];
        at += 1;
        if (byte === CLOSE_OBJECT) break;
        if (byte !== COMMA) throw new Malformed("a comma is missing");
      }
    if (skipSpace(body, at) !== body.length) throw new Malformed("something follows its end");
    return { fields, inside, suspicious: this.#suspicious };
  }

  #skipValue(start: number): { end: number; bare: boolean } {
    const body = this.#body;
    const byte = body[start];
    if (byte === QUOTE) return { end: skipString(body, start + 1), bare: false };
    if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) return this.#skipNested(start);
    let end = start;
    while (end < body.length && body[end] !== COMMA && body[end] !== CLOSE_OBJECT && !isSpace(body[end])) end += 1;
    if (!/^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)$/.test(body.toString("latin1", start, end)))
      throw new Malformed("a value is none");
    return { end, bare: false };
  }

  /** Follows strings and brackets to the end of an object or array. */
  #skipNested(start: number): { end: number; bare: boolean } {
    const body = this.#body;
    const closers = new Uint8Array(MAX_DEPTH);
    let depth = 0;
    let at = start;
    let bare = false;
    let named = true;
    while (at < body.length) {
      const byte = body[at]!;
      if (byte === QUOTE) {
        const end = skipString(body, at + 1);
        let next = end;
        while (isSpace(body[next])) next += 1;
        if (body[next] === COLON && closers[depth - 1] === CLOSE_OBJECT) {
          const kind = this.#lookAtKey(at + 1, end - 1, next + 1);
          if (depth === 2 && kind) named = true;
          next += 1;
        }
        at = next;
      } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
        if (depth === MAX_DEPTH) throw new Malformed(`it is nested deeper than ${MAX_DEPTH}`);
        closers[depth] = byte + 2;
        depth += 1;
        at += 1;
        if (depth === 2 && closers[0] === CLOSE_ARRAY) named = byte !== OPEN_OBJECT;
      } else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
        if (closers[depth - 1] !== byte) throw new Malformed("brackets do not match");
        if (depth === 2 && !named) bare = true;
        depth -= 1;
        at += 1;
        if (depth === 0) return { end: at, bare };
      } else at += 1;
    }
    throw new Malformed("a bracket is not closed");
  }

  /** Notes a suspect; says whether the key is `type` or `role`. */
  #lookAtKey(start: number, end: number, afterColon: number): boolean {
    const body = this.#body;
    if (!comparable(body, start, end)) return false;
    const key = word(body, start, end);
    if (this.#suspects.keys.has(key)) this.#suspicious = true;
    if (key !== "type") return key === "role";
    const value = skipSpace(body, afterColon);
    if (body[value] === QUOTE) {
      const valueEnd = skipString(body, value + 1) - 1;
      if (comparable(body, value + 1, valueEnd) && this.#suspects.types.has(word(body, value + 1, valueEnd)))
        this.#suspicious = true;
    }
    return true;
  }
}

/** JSON as plain values; objects have no prototype. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Parses a slice and refuses duplicate keys at every depth. */
export function parseStrict(body: Buffer, start: number, end: number): Outcome<Json> {
  try {
    const parser = new StrictParser(body.toString("utf8", start, end));
    return accept(parser.whole());
  } catch (error) {
    if (error instanceof Duplicate) return refuse("field_refused", error.message);
    if (error instanceof Malformed) return refuse("invalid_request", `The body is not JSON: ${error.message}.`);
    throw error;
  }
}

class StrictParser {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): Json {
    const value = this.#value();
    this.#space();
    if (this.#at !== this.#text.length) throw new Malformed("something follows a value");
    return value;
  }

  #space(): void {
    while (isSpace(this.#text.charCodeAt(this.#at))) this.#at += 1;
  }

  #take(character: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #value(): Json {
    if (this.#depth > MAX_DEPTH) throw new Malformed(`it is nested deeper than ${MAX_DEPTH}`);
    this.#space();
    switch (this.#text[this.#at]) {
      case '"':
        return this.#string();
      case "{":
        return this.#object();
      case "[":
        return this.#array();
      default:
        return this.#scalar();
    }
  }

  #object(): Json {
    this.#at += 1;
    this.#depth += 1;
    const object: { [key: string]: Json } = Object.create(null);
    if (!this.#take("}")) {
      do {
        this.#space();
        if (this.#text[this.#at] !== '"') throw new Malformed("a key is missing");
        const key = this.#string();
        if (key in object) throw new Duplicate(`The key ${JSON.stringify(key.slice(0, 80))} occurs twice.`);
        if (!this.#take(":")) throw new Malformed("a colon is missing");
        object[key] = this.#value();
      } while (this.#take(","));
      if (!this.#take("}")) throw new Malformed("a brace is missing");
    }
    this.#depth -= 1;
    return object;
  }

  #array(): Json {
    this.#at += 1;
    this.#depth += 1;
    const array: Json[] = [];
    if (!this.#take("]")) {
      do array.push(this.#value());
      while (this.#take(","));
      if (!this.#take("]")) throw new Malformed("a bracket is missing");
    }
    this.#depth -= 1;
    return array;
  }

  #string(): string {
    const start = this.#at;
    let quote = start;
    for (;;) {
      quote = this.#text.indexOf('"', quote + 1);
      if (quote < 0) throw new Malformed("a string does not end");
      let slashes = 0;
      while (this.#text[quote - 1 - slashes] === "\\") slashes += 1;
      if (slashes % 2 === 0) break;
    }
    this.#at = quote + 1;
    return this.#native(this.#text.slice(start, this.#at)) as string;
  }

  #scalar(): Json {
    const start = this.#at;
    while (this.#at < this.#text.length && !/[\s,\]}]/.test(this.#text[this.#at]!)) this.#at += 1;
    return this.#native(this.#text.slice(start, this.#at));
  }

  #native(text: string): Json {
    try {
      return JSON.parse(text) as Json;
    } catch {
      throw new Malformed("a value is none");
    }
  }
}

/** A change of a body: the bytes from `start` to `end` become `text`. */
export type Edit = { start: number; end: number; text: string };

/** The body with its edits, which must not overlap. */
export function applyEdits(body: Buffer, edits: readonly Edit[]): Buffer {
  if (edits.length === 0) return body;
  const parts: Buffer[] = [];
  let at = 0;
  for (const { start, end, text } of edits.toSorted((a, b) => a.start - b.start)) {
    parts.push(body.subarray(at, start), Buffer.from(text));
    at = end;
  }
  parts.push(body.subarray(at));
  return Buffer.concat(parts);
}

/** Puts a field into an object, or replaces its value. `text` is JSON. */
export function setField(scanned: Scan, name: string, text: string): Edit {
  const field = scanned.fields.get(name);
  if (field) return { start: field.start, end: field.end, text };
  const comma = scanned.fields.size > 0 ? "," : "";
  return { start: scanned.inside, end: scanned.inside, text: `${JSON.stringify(name)}:${text}${comma}` };
}
