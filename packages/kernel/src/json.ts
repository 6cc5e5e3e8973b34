/** Deeper nesting than any honest value has; PostgreSQL gives up at some thousands. */
const MAX_DEPTH = 200;

/** Each escape sequence as a whole, so that an escaped backslash before a `u` is not taken for one. */
const escapes = /\\(?:u(0000|d[89a-f][0-9a-f]{2})|.)/g;

function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (inString) {
      if (code === 0x5c) i += 1;
      else if (code === 0x22) inString = false;
    } else if (code === 0x22) inString = true;
    else if (code === 0x7b || code === 0x5b) deepest = Math.max(deepest, ++depth);
    else if (code === 0x7d || code === 0x5d) depth -= 1;
  }
  return deepest;
}

/**
 * JSON text that a jsonb column takes, of any value, also of one that somebody made to break us. PostgreSQL refuses NUL,
 * halves of surrogate pairs and very deep nesting; the first two are replaced visibly, the last by a note. One such
 * value must never keep the values beside it from being stored.
 */
export function storableJson(value: unknown): string {
  let text: string;
  try {
    text = JSON.stringify(value) ?? "null";
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return '{"dropped":"nested too deeply"}';
  }
  if (text.includes("\\u"))
    text = text.replace(escapes, (whole, bad: string | undefined) =>
      bad === undefined ? whole : bad === "0000" ? "\u2400" : "\ufffd",
    );
  return depthOf(text) > MAX_DEPTH ? '{"dropped":"nested too deeply"}' : text;
}

/** Text that a text column takes: NUL is made visible. */
export function storableText(text: string): string {
  return text.includes("\0") ? text.replaceAll("\0", "\u2400") : text;
}
