import type { DiffFile, LineComment, RouteResponse } from "@x1agent/contract";
import {
  type ChangeData,
  expandFromRawCode,
  getChangeKey,
  getCollapsedLinesCountBetween,
  getCorrespondingNewLineNumber,
  type HunkData,
  isDelete,
  isInsert,
  isNormal,
} from "react-diff-view";
import { visible } from "../../../lib/format.ts";

/** One file's change with its lines, as the API pages it. */
export type Patch = RouteResponse<"listDiffFiles">["items"][number];
export type PatchLine = Patch["lines"][number];
export type Side = LineComment["side"];
export type Mode = "unified" | "split";
/** A line of the change: its side, and its 1-based number there. */
export type Place = { path: string; line: number; side: Side };
/** What was unfolded of a file: its lines after the change, and from which line of the old file to before which. */
export type Unfolded = { source: readonly string[]; ranges: readonly Range[] };
export type Range = readonly [from: number, to: number];

/** What one row of the virtual list shows. `file` counts files. */
export type Row =
  | { kind: "file"; key: string; file: number }
  | { kind: "note"; key: string; file: number; text: string; action: "whole" | "more" | null }
  | { kind: "gap"; key: string; file: number; range: Range }
  | LinesRow;
/** Some lines of a hunk that are drawn at once; `whole` is the hunk, `height` what they take, in lines. */
export type LinesRow = {
  kind: "lines";
  key: string;
  file: number;
  hunk: HunkData;
  whole: HunkData;
  height: number;
  /** Keys of the lines where a run of changed lines begins. */
  starts: readonly string[];
};
type BodyRow = Extract<Row, { kind: "lines" | "gap" }>;

/** Lines of a hunk in one row of the list: as many as fill a screen. */
const ROW_LINES = 40;

/** Where a comment on the line belongs: to the new file, and to the old one only when the line is gone. */
export const placeOf = (path: string, change: ChangeData): Place =>
  isDelete(change)
    ? { path, line: change.lineNumber, side: "old" }
    : { path, line: isInsert(change) ? change.lineNumber : change.newLineNumber, side: "new" };
export const samePlace = (a: Place, b: Place) => a.path === b.path && a.line === b.line && a.side === b.side;

/** What a line shows; a line end inside would move all that follow, and `visible` keeps it. */
const shownText = (text: string) => visible(text).replaceAll("\n", "⏎");

function changeOf({ kind, old, new: now, text }: PatchLine): ChangeData {
  const content = shownText(text);
  if (kind === "removed") return { type: "delete", isDelete: true, lineNumber: old ?? 1, content };
  if (kind === "added") return { type: "insert", isInsert: true, lineNumber: now ?? 1, content };
  return { type: "normal", isNormal: true, oldLineNumber: old ?? 1, newLineNumber: now ?? 1, content };
}

/** The numbered lines of a file as hunks: a new one begins where the numbers jump. Pure. */
export function hunksOf(lines: readonly PatchLine[]): HunkData[] {
  const hunks: HunkData[] = [];
  let [lastOld, lastNew] = [0, 0];
  let hunk: HunkData | undefined;
  for (const line of lines) {
    const hidden = Math.max(
      line.new === null ? 0 : line.new - lastNew - 1,
      line.old === null ? 0 : line.old - lastOld - 1,
    );
    // What is left out is the same on both sides.
    lastOld += hidden;
    lastNew += hidden;
    if (!hunk || hidden > 0) {
      hunk = { content: "", oldStart: lastOld + 1, newStart: lastNew + 1, oldLines: 0, newLines: 0, changes: [] };
      hunks.push(hunk);
    }
    if (line.old !== null) hunk.oldLines += 1;
    if (line.new !== null) hunk.newLines += 1;
    lastOld = line.old ?? lastOld;
    lastNew = line.new ?? lastNew;
    hunk.changes.push(changeOf(line));
  }
  return hunks;
}

/**
 * A hunk's lines in the order in which they are drawn. Side by side a removed line is followed by the added one that
 * takes its place: so the viewer pairs them. Pure.
 */
export function inOrder(changes: readonly ChangeData[], mode: Mode): ChangeData[] {
  const ordered: ChangeData[] = [];
  const removed: ChangeData[] = [];
  const added: ChangeData[] = [];
  const flush = () => {
    if (mode === "unified") ordered.push(...removed, ...added);
    else
      for (let at = 0; at < Math.max(removed.length, added.length); at += 1)
        ordered.push(...removed.slice(at, at + 1), ...added.slice(at, at + 1));
    removed.length = 0;
    added.length = 0;
  };
  for (const change of changes) {
    if (isDelete(change)) removed.push(change);
    else if (isInsert(change)) added.push(change);
    else {
      flush();
      ordered.push(change);
    }
  }
  flush();
  return ordered;
}

/** Whether the second line stands beside the first, side by side. */
export const paired = (before: ChangeData | undefined, change: ChangeData): boolean =>
  before !== undefined && isDelete(before) && isInsert(change);

function unfold(hunks: HunkData[], { source, ranges }: Unfolded): HunkData[] {
  return ranges.reduce((known, [from, to]) => {
    // The viewer takes lines of the old file; between hunks they are those of the new one under another number.
    const shift = getCorrespondingNewLineNumber(known, from) - from;
    const lines = Array.from({ length: to - 1 }, (_, i) => (i + 1 < from ? "" : shownText(source[i + shift] ?? "")));
    return expandFromRawCode(known, lines, from, to);
  }, hunks);
}

/** One file's lines and what is left out between them, as rows. Pure. */
export function bodyRows(
  { lines, moreLines }: Pick<Patch, "lines" | "moreLines">,
  file: number,
  mode: Mode,
  unfolded?: Unfolded,
): BodyRow[] {
  const rows: BodyRow[] = [];
  const known = hunksOf(lines);
  const hunks = unfolded ? unfold(known, unfolded) : known;
  const gap = (from: number, count: number) => {
    if (count > 0) rows.push({ kind: "gap", key: `${file}.g${from}`, file, range: [from, from + count] });
  };
  let end = 1;
  for (const [at, whole] of hunks.entries()) {
    gap(end, getCollapsedLinesCountBetween(hunks[at - 1] ?? null, whole));
    const ordered = inOrder(whole.changes, mode);
    let [changes, starts, height]: [ChangeData[], string[], number] = [[], [], 0];
    const cut = () => {
      const [first] = changes;
      if (!first) return;
      const hunk = { ...whole, changes };
      rows.push({ kind: "lines", key: `${file}.${mode}.${getChangeKey(first)}`, file, hunk, whole, height, starts });
      [changes, starts, height] = [[], [], 0];
    };
    for (const [i, change] of ordered.entries()) {
      const before = ordered[i - 1];
      const beside = mode === "split" && paired(before, change);
      if (height >= ROW_LINES && !beside) cut();
      if (!isNormal(change) && (!before || isNormal(before))) starts.push(getChangeKey(change));
      changes.push(change);
      if (!beside) height += 1;
    }
    cut();
    end = whole.oldStart + whole.oldLines;
  }
  const last = hunks.at(-1);
  // Only who has the file knows what comes after its last hunk.
  if (unfolded && last && !moreLines) gap(end, unfolded.source.length - (last.newStart + last.newLines) + 1);
  return rows;
}

type Kept = { unfolded: Unfolded | undefined; rows: Partial<Record<Mode, BodyRow[]>> };
const kept = new WeakMap<Patch, Kept>();
function bodyOf(patch: Patch, file: number, mode: Mode, unfolded: Unfolded | undefined): BodyRow[] {
  let known = kept.get(patch);
  if (!known || known.unfolded !== unfolded) {
    known = { unfolded, rows: {} };
    kept.set(patch, known);
  }
  known.rows[mode] ??= bodyRows(patch, file, mode, unfolded);
  return known.rows[mode];
}

export type Shown = {
  files: readonly DiffFile[];
  /** By place in `files`; absent while it is on its way. */
  patches: readonly Patch[];
  /** By place in `files`. */
  unfolded?: ReadonlyMap<number, Unfolded>;
  mode: Mode;
  folded: (file: number) => boolean;
};

const bytes = "Its bytes are in the commit; they are not shown here.";

/** All rows of a change. Rows of a file are made once; what is folded costs nothing. Pure. */
export function rowsOf({ files, patches, unfolded, mode, folded }: Shown): Row[] {
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
    else for (const row of bodyOf(patch, file, mode, unfolded?.get(file))) rows.push(row);
    if (patch?.moreLines) note(file, "The file goes on.", "more");
    else if (patch?.truncated && !facts.binary) note(file, "Not all lines of this file are shown.", "whole");
  }
  return rows;
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
