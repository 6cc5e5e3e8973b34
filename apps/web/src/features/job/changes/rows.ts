import type { DiffFile, LineComment, RouteResponse } from "@x1agent/contract";
import { diffWordsWithSpace } from "diff";

/** One file's change with its lines, as the API pages it. */
export type Patch = RouteResponse<"listDiffFiles">["items"][number];
export type PatchLine = Patch["lines"][number];
export type Side = LineComment["side"];
export type Mode = "unified" | "split";
/** A line of the change: its side, and its 1-based number there. */
export type Place = { path: string; line: number; side: Side };

/** What one row of the virtual list shows. `file` counts files; `at` counts lines of the patch. */
export type Row =
  | { kind: "file"; key: string; file: number }
  | { kind: "note"; key: string; file: number; text: string; action: "whole" | "more" | null }
  | { kind: "gap"; key: string; file: number; hidden: number }
  | { kind: "line"; key: string; file: number; at: number; line: PatchLine; mate: PatchLine | null; starts: boolean }
  | {
      kind: "pair";
      key: string;
      file: number;
      at: number;
      old: PatchLine | null;
      new: PatchLine | null;
      starts: boolean;
    }
  | { kind: "comment"; key: string; file: number; comment: LineComment; index: number }
  | { kind: "draft"; key: string; file: number; place: Place };
type BodyRow = Extract<Row, { kind: "line" | "pair" | "gap" }>;

/** Where a comment on the line belongs: to the new file, and to the old one only when the line is gone. */
export const placeOf = (path: string, line: PatchLine): Place =>
  line.new === null ? { path, line: line.old ?? 1, side: "old" } : { path, line: line.new, side: "new" };
const samePlace = (a: Place, b: Place) => a.path === b.path && a.line === b.line && a.side === b.side;

/** Lines of one file as rows; a removed line stands beside the added one that took its place. Pure. */
export function bodyRows(lines: readonly PatchLine[], file: number, mode: Mode): BodyRow[] {
  const rows: BodyRow[] = [];
  let at = 0;
  let lastNew = 0;
  let lastOld = 0;
  while (at < lines.length) {
    const line = lines[at];
    if (!line) break;
    const hidden = Math.max(
      line.new === null ? 0 : line.new - lastNew - 1,
      line.old === null ? 0 : line.old - lastOld - 1,
    );
    if (hidden > 0) {
      rows.push({ kind: "gap", key: `${file}.g${at}`, file, hidden });
      // What is left out is the same on both sides.
      lastNew += hidden;
      lastOld += hidden;
    }
    if (line.kind === "same") {
      rows.push(
        mode === "unified"
          ? { kind: "line", key: `${file}.${at}`, file, at, line, mate: null, starts: false }
          : { kind: "pair", key: `${file}.${at}`, file, at, old: line, new: line, starts: false },
      );
      lastNew = line.new ?? lastNew;
      lastOld = line.old ?? lastOld;
      at += 1;
      continue;
    }
    const from = at;
    const removed: PatchLine[] = [];
    const added: PatchLine[] = [];
    // A run of changed lines ends where the numbers jump: the next hunk.
    for (let one = lines[at]; one && one.kind !== "same"; one = lines[at]) {
      const jumps =
        at > from && ((one.old !== null && one.old > lastOld + 1) || (one.new !== null && one.new > lastNew + 1));
      if (jumps) break;
      if (one.kind === "removed") removed.push(one);
      else added.push(one);
      lastNew = one.new ?? lastNew;
      lastOld = one.old ?? lastOld;
      at += 1;
    }
    if (mode === "split")
      for (let i = 0; i < Math.max(removed.length, added.length); i++)
        rows.push({
          ...{ kind: "pair", key: `${file}.${from}.${i}`, file, at: from + i, starts: i === 0 },
          ...{ old: removed[i] ?? null, new: added[i] ?? null },
        });
    else
      for (const [i, one] of [...removed, ...added].entries())
        rows.push({
          ...{ kind: "line", key: `${file}.${from}.${i}`, file, at: from + i, line: one, starts: i === 0 },
          mate: (one.kind === "removed" ? added[i] : removed[i - removed.length]) ?? null,
        });
  }
  return rows;
}

/** The lines of a change with what stands unchanged between and after them; `source` is the new file. Pure. */
export function withContext(lines: readonly PatchLine[], source: readonly string[]): PatchLine[] {
  const whole: PatchLine[] = [];
  let [lastOld, lastNew] = [0, 0];
  const same = (count: number) => {
    for (let i = 0; i < count; i += 1) {
      lastOld += 1;
      lastNew += 1;
      whole.push({ kind: "same", old: lastOld, new: lastNew, text: source[lastNew - 1] ?? "" });
    }
  };
  for (const line of lines) {
    same(Math.max(line.new === null ? 0 : line.new - lastNew - 1, line.old === null ? 0 : line.old - lastOld - 1));
    whole.push(line);
    lastOld = line.old ?? lastOld;
    lastNew = line.new ?? lastNew;
  }
  same(source.length - lastNew);
  return whole;
}

const kept = new WeakMap<Patch, Partial<Record<Mode, BodyRow[]>>>();
function bodyOf(patch: Patch, file: number, mode: Mode): BodyRow[] {
  const known = kept.get(patch) ?? {};
  kept.set(patch, known);
  known[mode] ??= bodyRows(patch.lines, file, mode);
  return known[mode];
}

export type Shown = {
  files: readonly DiffFile[];
  /** By place in `files`; absent while it is on its way. */
  patches: readonly Patch[];
  mode: Mode;
  folded: (file: number) => boolean;
  comments: readonly LineComment[];
  draft: Place | null;
};

const bytes = "Its bytes are in the commit; they are not shown here.";

/** All rows of a change. Rows of a file are made once; what is folded costs nothing. Pure. */
export function rowsOf({ files, patches, mode, folded, comments, draft }: Shown): Row[] {
  const rows: Row[] = [];
  const note = (file: number, text: string, action: "whole" | "more" | null = null) =>
    rows.push({ kind: "note", key: `${file}.note.${text}`, file, text, action });
  for (const [file, facts] of files.entries()) {
    rows.push({ kind: "file", key: `${file}.file`, file });
    const patch = patches[file];
    if (folded(file)) continue;
    if (facts.binary) note(file, `Binary file, ${facts.status}. ${bytes}`);
    else if (!patch) note(file, "Loading…");
    else if (patch.lines.length === 0)
      note(file, facts.oldMode !== facts.newMode ? `Mode ${facts.oldMode} → ${facts.newMode}` : "No lines to show.");
    else {
      const mine = comments.flatMap((comment, index) => (comment.path === facts.path ? [{ comment, index }] : []));
      const drafted = draft?.path === facts.path ? draft : null;
      for (const row of bodyOf(patch, file, mode)) {
        rows.push(row);
        if (row.kind === "gap" || (mine.length === 0 && !drafted)) continue;
        const places = placesOf(facts.path, row);
        for (const { comment, index } of mine)
          if (places.some((place) => samePlace(place, comment)))
            rows.push({ kind: "comment", key: `comment.${index}`, file, comment, index });
        if (drafted && places.some((place) => samePlace(place, drafted)))
          rows.push({ kind: "draft", key: "draft", file, place: drafted });
      }
    }
    if (patch?.moreLines) note(file, "The file goes on.", "more");
    else if (patch?.truncated && !facts.binary) note(file, "Not all lines of this file are shown.", "whole");
  }
  return rows;
}

/** Lines that a row stands for, new side first. */
export function placesOf(path: string, row: Row): Place[] {
  if (row.kind === "line") return [placeOf(path, row.line)];
  if (row.kind !== "pair") return [];
  const places: Place[] = [];
  if (row.new) places.push(placeOf(path, row.new));
  if (row.old && row.old.kind === "removed") places.push(placeOf(path, row.old));
  return places;
}

type Range = readonly [from: number, to: number];
/** Longer lines are not compared word by word: nobody reads them that way, and it takes long. */
const MAX_COMPARED = 1_000;

/** What differs between a line and the one that took its place, as character ranges; nothing when most of it does. Pure. */
export function changedRanges(before: string, after: string): { old: Range[]; new: Range[] } {
  const none = { old: [], new: [] };
  if (before.length > MAX_COMPARED || after.length > MAX_COMPARED) return none;
  const parts = diffWordsWithSpace(before, after, { maxEditLength: 100 });
  if (!parts) return none;
  const ranges: { old: Range[]; new: Range[] } = { old: [], new: [] };
  let [from, to, same] = [0, 0, 0];
  for (const { value, added, removed } of parts) {
    if (removed) ranges.old.push([from, from + value.length]);
    else if (added) ranges.new.push([to, to + value.length]);
    else same += value.trim().length;
    if (!added) from += value.length;
    if (!removed) to += value.length;
  }
  return same * 3 < Math.min(before.trim().length, after.trim().length) ? none : ranges;
}

export type Token = { text: string; look: string };
/** Cuts tokens at the edges of ranges, and says which pieces lie in one. Pure. */
export function pieces(tokens: readonly Token[], ranges: readonly Range[]): (Token & { changed: boolean })[] {
  const out: (Token & { changed: boolean })[] = [];
  let at = 0;
  for (const { text, look } of tokens) {
    let left = text;
    while (left) {
      const inside = ranges.find(([from, to]) => at >= from && at < to);
      const edge = inside ? inside[1] : Math.min(...ranges.map(([from]) => from).filter((from) => from > at), Infinity);
      const part = left.slice(0, edge - at);
      out.push({ text: part, look, changed: inside !== undefined });
      left = left.slice(part.length);
      at += part.length;
    }
  }
  return out;
}

export type Folder = { name: string; path: string; folders: Folder[]; files: number[] };
/** Paths as folders; a folder that holds only one folder is shown with it in one line. Pure. */
export function treeOf(paths: readonly string[]): Folder {
  const root: Folder = { name: "", path: "", folders: [], files: [] };
  const known = new Map<string, Folder>([["", root]]);
  for (const [file, path] of paths.entries()) {
    let folder = root;
    for (const name of path.split("/").slice(0, -1)) {
      const inside = `${folder.path}${name}/`;
      let next = known.get(inside);
      if (!next) {
        next = { name, path: inside, folders: [], files: [] };
        known.set(inside, next);
        folder.folders.push(next);
      }
      folder = next;
    }
    folder.files.push(file);
  }
  const joined = (folder: Folder): Folder => {
    const only = folder.folders[0];
    if (folder.path && only && folder.folders.length === 1 && folder.files.length === 0)
      return joined({ ...only, name: `${folder.name}/${only.name}` });
    return { ...folder, folders: folder.folders.map(joined) };
  };
  return joined(root);
}
