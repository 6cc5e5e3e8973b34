import { diffLines } from "diff";
import { visible } from "../../../lib/format.ts";
import type { DiffContent } from "./rows.ts";

/** Lines of a side up to which two texts are compared; longer ones show only what is new. */
const MAX_LINES = 2_000;
const CONTEXT = 2;
type Line = { mark: "+" | "−" | " "; text: string };

/** Lines of an edit with a little around each change. Pure. */
export function editLines({ oldText, newText }: DiffContent): Line[] {
  const count = (text: string | null) => (text ?? "").split("\n").length;
  if (Math.max(count(oldText), count(newText)) > MAX_LINES)
    return newText
      .split("\n")
      .slice(0, MAX_LINES)
      .map((text) => ({ mark: "+", text }));
  const lines: Line[] = [];
  for (const part of diffLines(oldText ?? "", newText)) {
    const mark = part.added ? "+" : part.removed ? "−" : " ";
    for (const text of part.value.replace(/\n$/, "").split("\n")) lines.push({ mark, text });
  }
  return lines.filter((_, at) =>
    lines.slice(Math.max(0, at - CONTEXT), at + CONTEXT + 1).some(({ mark }) => mark !== " "),
  );
}

/** One edit as the agent reports it; what was really changed is in Changes. */
export function Edit({ diff }: { diff: DiffContent }) {
  return (
    <figure className="edit">
      <figcaption className="mono">{visible(diff.path)}</figcaption>
      <pre>
        {editLines(diff).map(({ mark, text }, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: lines have no identity and are replaced together
          <span key={index} className={mark === "+" ? "line added" : mark === "−" ? "line removed" : "line"}>
            {mark} {visible(text)}
            {"\n"}
          </span>
        ))}
      </pre>
    </figure>
  );
}
