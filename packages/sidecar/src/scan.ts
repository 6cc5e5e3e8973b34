import { isUtf8 } from "node:buffer";
import type { Checked, Format } from "./formats.ts";

/**
 * The short way of deciding on a request body: one pass over its bytes that parses nothing but a few small values, for
 * the bodies that clients send, where nothing has to be changed. It decides only when every reader of these bytes must see
 * the same: valid UTF-8, nothing outside strings but JSON's own characters (so no comments), no field twice, no name spelled
 * with escapes. Wherever a word occurs as a whole string that `checkBody` would look at, and in every doubt, the answer is
 * null, and `checkBody` parses the body and sends what it parsed.
 */
export function scanBody(format: Format, raw: Buffer): Checked | null {
  if (!isUtf8(raw)) return null;
  const scan = new Scanner(raw);
  const small = new Map<string, unknown>();
  const fields = scan.whole((name, start) => {
    if (!format.fields.has(name)) return false;
    if (name === "tools") return scan.array(start, () => clientTool(format, scan));
    if (name === "input" && raw[start] === OPEN) return scan.array(start, () => knownItem(scan));
    if (!scan.value()) return false;
    if (!looked.has(name)) return true;
    const told = exactly(scan.slice(start));
    small.set(name, told);
    return told !== undefined;
  });
  if (!fields) return null;
  const model = small.get("model");
  if (typeof model !== "string" || model === "" || model.length > 200) return null;
  const tier = small.get("service_tier");
  if (tier !== undefined && tier !== "default") return null;
  if ((small.has("n") && small.get("n") !== 1) || small.get("store") === true) return null;
  const stream = small.get("stream") === true;
  const options = small.get("stream_options") as { include_usage?: unknown } | null | undefined;
  if (format.api === "openai-chat" && stream && options?.include_usage !== true) return null;
  const limits = format.maxTokens.map((name) => small.get(name)).filter((limit) => typeof limit === "number");
  // The Responses API keeps what it is not told to forget.
  const forget = format.api === "openai-responses" && small.get("store") !== false;
  if (forget && small.has("store")) return null;
  return {
    bytes: forget ? Buffer.concat([forgetting, raw.subarray(raw.indexOf(OPEN_BRACE) + 1)]) : raw,
    ...{ model, stream, maxTokens: limits.length > 0 ? Math.min(...limits) : null, hour: false },
  };
}

const forgetting = Buffer.from('{"store":false,');

/** Fields whose values decide something. */
const looked = new Set(
  "model stream stream_options store service_tier n max_tokens max_output_tokens max_completion_tokens".split(" "),
);

/** Strings at which `checkBody` looks, as names or values, below the first level. */
const words = new Set(["source", "image_url", "file_id", "file_url", "item_reference", "1h"]);
const lengths: readonly number[] = [...words].map((word) => word.length);
/** So long a word can be when each of its characters is an escape. */
const LONGEST = 6 * Math.max(...lengths);
/** A word's shortest spelling with an escape. */
const SHORTEST = Math.min(...lengths) + 5;
/** `checkBody` refuses content that is nested deeper than this. */
const DEPTH = 20;

/** A small value, when it is ASCII and written as everybody writes it; undefined: it is not. */
function exactly(slice: string): unknown {
  if (/[^ -~]/.test(slice)) return undefined;
  try {
    const value: unknown = JSON.parse(slice);
    return JSON.stringify(value) === slice ? value : undefined;
  } catch {
    return undefined;
  }
}

/** One element of `tools`: of a type that runs at the client, without a place to run in. */
function clientTool(format: Format, scan: Scanner): boolean {
  return scan.object((name, start) => {
    if (name === "environment" || name === "tools" || !scan.value()) return false;
    if (name !== "type") return true;
    const type = exactly(scan.slice(start));
    return typeof type === "string" && format.clientTools.test(type);
  });
}

/** One element of `input`: has a type or a role, so it is not found by its id alone, and brings no tools. */
function knownItem(scan: Scanner): boolean {
  let known = false;
  const read = scan.object((name) => {
    known ||= name === "type" || name === "role";
    return name !== "tools" && scan.value();
  });
  return read && known;
}

const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a];
const [OPEN, CLOSE, OPEN_BRACE, CLOSE_BRACE] = [0x5b, 0x5d, 0x7b, 0x7d];
/** What may stand outside of strings and brackets: white space, `,` `:`, and the letters of numbers, true, false, null. */
const outside = new Uint8Array(256);
for (const char of " \t\r\n,:0123456789+-.eEtrufalsn") outside[char.charCodeAt(0)] = 1;
/** 1 opens, 2 closes. */
const bracket = new Uint8Array(256);
for (const char of "[{") bracket[char.charCodeAt(0)] = 1;
for (const char of "]}") bracket[char.charCodeAt(0)] = 2;

/** What does not just stand in a string: its end, an escape, and control characters, which are no JSON there. */
const notPlain = new Uint8Array(256);
for (const code of [QUOTE, BACKSLASH, ...Array(0x20).keys()]) notPlain[code] = 1;

/**
 * Walks JSON text byte by byte, since making a string of 300 KB costs more than the walk; each step says whether it may go
 * on, and leaves `at` behind what it read.
 */
class Scanner {
  readonly #raw: Buffer;
  /** The same bytes, four at a time, from `#first` on. */
  readonly #four: Int32Array;
  readonly #first: number;
  at = 0;

  constructor(raw: Buffer) {
    this.#raw = raw;
    this.#first = -raw.byteOffset & 3;
    const fours = Math.max(0, raw.length - this.#first) >> 2;
    this.#four = new Int32Array(raw.buffer, raw.byteOffset + (fours > 0 ? this.#first : -(raw.byteOffset & 3)), fours);
  }

  /** A place at or after `at` before which all is plain; whether it is plain itself is for the caller to see. */
  #plain(at: number): number {
    if (((at - this.#first) & 3) !== 0) return at;
    const four = this.#four;
    let index = (at - this.#first) >> 2;
    for (; index < four.length; index += 1) {
      const x = four[index] as number;
      const quote = x ^ 0x22222222;
      const slash = x ^ 0x5c5c5c5c;
      // A byte less than n makes its highest bit here: Sean Eron Anderson, Bit Twiddling Hacks, "hasless".
      const found = ((x - 0x20202020) & ~x) | ((quote - 0x01010101) & ~quote) | ((slash - 0x01010101) & ~slash);
      if ((found & 0x80808080) !== 0) break;
    }
    return Math.max(at, this.#first + index * 4);
  }

  /** What was read since `start`, one character for each byte. */
  slice(start: number): string {
    return this.#raw.toString("latin1", start, this.at);
  }

  /** The whole text: one object and nothing after it. */
  whole(field: (name: string, start: number) => boolean): boolean {
    this.#space();
    if (!this.object(field)) return false;
    this.#space();
    return this.at === this.#raw.length;
  }

  /** An object; `field` reads each value, which begins at `start`. No name twice. */
  object(field: (name: string, start: number) => boolean): boolean {
    if (this.#raw[this.at] !== OPEN_BRACE) return false;
    const names = new Set<string>();
    return this.#list(CLOSE_BRACE, () => {
      const start = this.at;
      if (!this.#string()) return false;
      const name = this.#raw.toString("latin1", start + 1, this.at - 1);
      if (names.has(name) || name.includes("\\")) return false;
      names.add(name);
      this.#space();
      if (this.#raw[this.at] !== COLON) return false;
      this.at += 1;
      this.#space();
      return field(name, this.at);
    });
  }

  /** An array that begins here; `element` reads each. */
  array(start: number, element: () => boolean): boolean {
    return this.#raw[start] === OPEN && this.#list(CLOSE, element);
  }

  /** Any value, looked at for words only. */
  value(): boolean {
    const raw = this.#raw;
    const begin = this.at;
    let depth = 0;
    const open: number[] = [];
    while (this.at < raw.length) {
      const code = raw[this.at] as number;
      if (code === QUOTE) {
        if (!this.#string()) return false;
        if (depth === 0) return true;
      } else if (bracket[code] === 1) {
        open[depth] = code;
        depth += 1;
        if (depth > DEPTH) return false;
        this.at += 1;
      } else if (bracket[code] === 2) {
        // The end of what this value stands in, after a number or a word.
        if (depth === 0) return this.at > begin;
        depth -= 1;
        // In ASCII a bracket's other half is two further on.
        if (open[depth] !== code - 2) return false;
        this.at += 1;
        if (depth === 0) return true;
      } else if (code === COMMA && depth === 0) return this.at > begin;
      else if (outside[code] === 1) this.at += 1;
      else return false;
    }
    return false;
  }

  #list(close: number, item: () => boolean): boolean {
    this.at += 1;
    this.#space();
    if (this.#raw[this.at] === close) {
      this.at += 1;
      return true;
    }
    for (;;) {
      if (!item()) return false;
      this.#space();
      const next = this.#raw[this.at];
      this.at += 1;
      if (next === close) return true;
      if (next !== COMMA) return false;
      this.#space();
    }
  }

  #space(): void {
    for (;;) {
      const code = this.#raw[this.at];
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.at += 1;
    }
  }

  /** A string that is none of the words, however it is spelled. */
  #string(): boolean {
    const raw = this.#raw;
    if (raw[this.at] !== QUOTE) return false;
    const start = this.at + 1;
    let end = start;
    for (; end < raw.length; end += 1) {
      end = this.#plain(end);
      const code = raw[end] as number;
      if (notPlain[code] === 0) continue;
      if (code === QUOTE) break;
      if (code !== BACKSLASH) return false;
      end += 1;
    }
    if (end >= raw.length) return false;
    this.at = end + 1;
    const length = end - start;
    if (length > LONGEST || (length < SHORTEST && !lengths.includes(length))) return true;
    const word = raw.toString("latin1", start, end);
    return !words.has(word) && !(length >= SHORTEST && word.includes("\\u00"));
  }
}
