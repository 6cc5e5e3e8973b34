import type { Terminal as Emulator, IBufferCell } from "@xterm/headless";
import { Terminal } from "@xterm/headless/lib-headless/xterm-headless.mjs";
import { useEffect, useState } from "react";
import { visible } from "../lib/format.ts";

/**
 * Output as a terminal's screen would stand after it: cursor movement, overwritten lines and erased screens are played by
 * xterm.js without a renderer, and what stands on its screen is drawn here as text. So nothing of a sequence but its place,
 * colour and weight reaches the page: links, titles, clipboard and questions to the terminal end in the emulator.
 */
const COLUMNS = 120;
const ROWS = 40;
/** Lines above the screen that are kept. */
const SCROLLBACK = 5_000;

type Run = { text: string; className: string };
type Line = Run[];

export default function Screen({ text }: { text: string }) {
  const [lines, setLines] = useState<Line[] | null>(null);
  useEffect(() => {
    let gone = false;
    const emulator = new Terminal({
      ...{ cols: COLUMNS, rows: ROWS, scrollback: SCROLLBACK },
      // A pipe has no terminal driver in front that would add the carriage returns.
      ...{ convertEol: true, allowProposedApi: true, logLevel: "off" },
    });
    emulator.write(text, () => {
      if (!gone) setLines(readLines(emulator));
      emulator.dispose();
    });
    return () => {
      gone = true;
    };
  }, [text]);
  if (!lines) return <p className="quiet">Playing…</p>;
  return (
    <section aria-label="Terminal screen">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling box must be reachable by keyboard */}
      <pre className="terminal screen" tabIndex={0}>
        {lines.map((runs, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: lines have no identity and are replaced together
          <span key={at}>
            {runs.map(({ text: said, className }, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: as above
              <span key={index} className={className || undefined}>
                {visible(said)}
              </span>
            ))}
            {"\n"}
          </span>
        ))}
      </pre>
    </section>
  );
}

/** What stands on the screen and above it, without the empty lines below. A program's alternate screen is what it left. */
function readLines({ buffer: { active } }: Emulator): Line[] {
  const lines: Line[] = [];
  const cell = active.getNullCell();
  for (let y = 0; y < active.length; y += 1) {
    const line = active.getLine(y);
    if (!line) continue;
    const runs: Line = line.isWrapped ? (lines.pop() ?? []) : [];
    const end = line.translateToString(true).length;
    for (let x = 0, length = 0; x < line.length && length < end; x += 1) {
      if (!line.getCell(x, cell) || cell.getWidth() === 0) continue;
      const chars = cell.getChars() || " ";
      length += chars.length;
      const className = lookOf(cell);
      const last = runs.at(-1);
      if (last?.className === className) last.text += chars;
      else runs.push({ text: chars, className });
    }
    lines.push(runs);
  }
  while (lines.at(-1)?.every(({ text }) => text.trim() === "")) lines.pop();
  return lines;
}

const names = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

/** Colour and weight. "Hidden" and "blink" are not taken: nothing that stands there goes out of sight. */
function lookOf(cell: IBufferCell): string {
  const colour = (kind: "fg" | "bg") => {
    const [palette, rgb, value] =
      kind === "fg"
        ? [cell.isFgPalette(), cell.isFgRGB(), cell.getFgColor()]
        : [cell.isBgPalette(), cell.isBgRGB(), cell.getBgColor()];
    if (!palette && !rgb) return null;
    // Beyond the sixteen named ones contrast is nobody's promise: text stays as it is, and only that it is coloured shows.
    if (rgb || value > 15) return kind === "fg" ? "coloured" : null;
    return `ansi-${value > 7 ? "bright-" : ""}${names[value % 8]}${kind === "bg" ? "-bg" : ""}`;
  };
  return [
    colour("fg"),
    colour("bg"),
    cell.isBold() ? "bold" : null,
    cell.isItalic() ? "italic" : null,
    cell.isUnderline() ? "underline" : null,
  ]
    .filter((name) => name !== null)
    .join(" ");
}
