export type DiffLine = {
  kind: "hunk" | "same" | "added" | "removed" | "note";
  text: string;
  before: number | null;
  after: number | null;
};
export type FileDiff = { path: string; lines: DiffLine[] };

/** Cuts git's unified diff into files and lines. Inside a hunk its counts decide, so no line can pose as a header. */
export function parseDiff(text: string): FileDiff[] {
  const files: FileDiff[] = [];
  let before = 0;
  let after = 0;
  let left = { before: 0, after: 0 };
  for (const line of text.split("\n")) {
    const file = files.at(-1);
    const add = (kind: DiffLine["kind"], shown: string, from: number | null, to: number | null) =>
      file?.lines.push({ kind, text: shown, before: from, after: to });
    if (left.before > 0 || left.after > 0) {
      const mark = line[0];
      if (mark === "+") {
        add("added", line.slice(1), null, after++);
        left.after -= 1;
      } else if (mark === "-") {
        add("removed", line.slice(1), before++, null);
        left.before -= 1;
      } else if (mark === "\\") add("note", line, null, null);
      else {
        add("same", line.slice(1), before++, after++);
        left = { before: left.before - 1, after: left.after - 1 };
      }
      continue;
    }
    const hunk = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/.exec(line);
    if (line.startsWith("diff --git ")) files.push({ path: pathOf(line), lines: [] });
    else if (hunk && file) {
      before = Number(hunk[1]);
      after = Number(hunk[3]);
      left = { before: Number(hunk[2] ?? 1), after: Number(hunk[4] ?? 1) };
      add("hunk", line, null, null);
    } else if (/^(Binary files|GIT binary|\\|new file|deleted file|old mode|new mode)/.test(line))
      add("note", line, null, null);
  }
  return files;
}

/** `diff --git a/x b/x`: both halves name the same path, since renames are shown as deletion and addition. */
function pathOf(line: string): string {
  const names = line.slice("diff --git ".length);
  const half = names.slice((names.length + 1) / 2);
  return half.replace(/^"?b\//, "").replace(/"$/, "");
}
