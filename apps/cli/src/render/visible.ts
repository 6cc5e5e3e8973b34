/**
 * Text from a job is data, never terminal control. Everything that could move the cursor, change colours, set the title,
 * hide or reorder text is shown as an escape: C0 and C1 controls, DEL, bidirectional controls, zero-width and tag
 * characters, line separators, lone surrogates. Newline and tab stay.
 */
const hidden =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]|\u034f|\p{Cs}/gu;

/** Shows control, bidi and invisible characters as visible escapes such as `\x1b` and `\u{202e}`. */
export function visible(text: string): string {
  return text.replace(hidden, (found) => {
    const code = found.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
  });
}

/** The same on one line of at most `width` characters. */
export function visibleLine(text: string, width = 200): string {
  const line = visible(text.replace(/\s*\n\s*/g, " ⏎ ").replace(/\t/g, " ")).trim();
  return line.length > width ? `${line.slice(0, width - 1)}…` : line;
}
