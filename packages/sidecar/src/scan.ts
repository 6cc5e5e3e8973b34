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
  const text = raw.toString("latin1");
  const scan = new Scanner(text, hasControl(raw));
  const small = new Map<string, unknown>();
  const fields = scan.whole((name, start) => {
    if (!format.fields.has(name)) return false;
    if (name === "tools") return scan.array(start, () => clientTool(format, scan));
    if (name === "input" && text[start] === "[") return scan.array(start, () => knownItem(scan));
    if (!scan.value()) return false;
    if (!looked.has(name)) return true;
    const told = exactly(text.slice(start, scan.at));
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
    bytes: forget ? Buffer.concat([forgetting, raw.subarray(text.indexOf("{") + 1)]) : raw,
    ...{ model, stream, maxTokens: limits.length > 0 ? Math.min(...limits) : null, hour: false },
  };
}

function hasControl(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += 1) if ((bytes[at] as number) < 0x20) return true;
  return false;
}
const forgetting = Buffer.from('{"store":false,');

/** Fields whose values decide something. */
const looked = new Set(
  "model stream stream_options store service_tier n max_tokens max_output_tokens max_completion_tokens".split(" "),
);

/** Strings at which `checkBody` looks, as names or values, below the first level. */
const words = new Set(["source", "image_url", "file_id", "file_url", "item_reference", "additional_tools", "1h"]);
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
    const type = exactly(scan.text.slice(start, scan.at));
    return typeof type === "string" && format.clientTools.test(type);
  });
}

/** One element of `input`: has a type or a role, so it is not found by its id alone. */
function knownItem(scan: Scanner): boolean {
  let known = false;
  const read = scan.object((name) => {
    known ||= name === "type" || name === "role";
    return scan.value();
  });
  return read && known;
}

const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a];
/** What may stand outside of strings and brackets: white space, `,` `:`, and the letters of numbers, true, false, null. */
const outside = new Uint8Array(256);
for (const char of " \t\r\n,:0123456789+-.eEtrufalsn") outside[char.charCodeAt(0)] = 1;
/** 1 opens, 2 closes. */
const bracket = new Uint8Array(256);
for (const char of "[{") bracket[char.charCodeAt(0)] = 1;
for (const char of "]}") bracket[char.charCodeAt(0)] = 2;

/** Walks JSON text; each step says whether it may go on, and leaves `at` behind what it read. */
class Scanner {
  /** One character for each byte. */
  readonly text: string;
  at = 0;
  /** There are control characters somewhere: between values they are white space, in a string they are no JSON. */
  readonly #controls: boolean;

  constructor(text: string, controls: boolean) {
    this.text = text;
    this.#controls = controls;
  }

  /** The whole text: one object and nothing after it. */
  whole(field: (name: string, start: number) => boolean): boolean {
    this.#space();
    if (!this.object(field)) return false;
    this.#space();
    return this.at === this.text.length;
  }

  /** An object; `field` reads each value, which begins at `start`. No name twice. */
  object(field: (name: string, start: number) => boolean): boolean {
    if (this.text[this.at] !== "{") return false;
    const names = new Set<string>();
    return this.#list("}", () => {
      const start = this.at;
      if (!this.#string()) return false;
      const name = this.text.slice(start + 1, this.at - 1);
      if (names.has(name) || name.includes("\\")) return false;
      names.add(name);
      this.#space();
      if (this.text.charCodeAt(this.at) !== COLON) return false;
      this.at += 1;
      this.#space();
      return field(name, this.at);
    });
  }

  /** An array that begins here; `element` reads each. */
  array(start: number, element: () => boolean): boolean {
    return this.text[start] === "[" && this.#list("]", element);
  }

  /** Any value, looked at for words only. */
  value(): boolean {
    const { text } = this;
    const begin = this.at;
    let depth = 0;
    const open: number[] = [];
    while (this.at < text.length) {
      const code = text.charCodeAt(this.at);
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

  #list(close: string, item: () => boolean): boolean {
    this.at += 1;
    this.#space();
    if (this.text[this.at] === close) {
      this.at += 1;
      return true;
    }
    for (;;) {
      if (!item()) return false;
      this.#space();
      const next = this.text[this.at];
      this.at += 1;
      if (next === close) return true;
      if (next !== ",") return false;
      this.#space();
    }
  }

  #space(): void {
    for (;;) {
      const code = this.text.charCodeAt(this.at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.at += 1;
    }
  }

  /** A string that is none of the words, however it is spelled. */
  #string(): boolean {
    const { text } = this;
    if (text.charCodeAt(this.at) !== QUOTE) return false;
    const start = this.at + 1;
    let end = text.indexOf('"', start);
    while (end > 0 && text.charCodeAt(end - 1) === BACKSLASH) {
      let before = end - 1;
      while (text.charCodeAt(before - 1) === BACKSLASH) before -= 1;
      if ((end - before) % 2 === 0) break;
      end = text.indexOf('"', end + 1);
    }
    if (end < 0) return false;
    this.at = end + 1;
    if (this.#controls) for (let at = start; at < end; at += 1) if (text.charCodeAt(at) < 0x20) return false;
    const length = end - start;
    if (length > LONGEST || (length < SHORTEST && !lengths.includes(length))) return true;
    const word = text.slice(start, end);
    return !words.has(word) && !(length >= SHORTEST && word.includes("\\u00"));
  }
}
