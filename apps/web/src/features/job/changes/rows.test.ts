import { describe, expect, it } from "vitest";
import {
  bodyRows,
  changedRanges,
  type Patch,
  type PatchLine,
  pieces,
  placesOf,
  rowsOf,
  treeOf,
  withContext,
} from "./rows.ts";

const same = (old: number, now: number, text = "x"): PatchLine => ({ kind: "same", old, new: now, text });
const gone = (old: number, text = "-"): PatchLine => ({ kind: "removed", old, new: null, text });
const more = (now: number, text = "+"): PatchLine => ({ kind: "added", old: null, new: now, text });
const lines = [same(5, 5), gone(6, "a"), gone(7, "b"), more(6, "c"), same(8, 7), same(20, 19)];
const patch = (path: string, of: PatchLine[], change: Partial<Patch> = {}): Patch => ({
  ...{ path, status: "modified", oldMode: "100644", newMode: "100644", insertions: 1, deletions: 1, binary: false },
  ...{ flags: [], generated: false, truncated: false, lines: of, ...change },
});
const shown = { mode: "unified" as const, folded: () => false, comments: [], draft: null };

describe("rows of a file", () => {
  it("set a removed line beside the added one that took its place, and name what is left out", () => {
    expect(
      bodyRows(lines, 0, "split").map((row) =>
        row.kind === "pair" ? [row.old?.text, row.new?.text] : row.kind === "gap" ? row.hidden : null,
      ),
    ).toEqual([4, ["x", "x"], ["a", "c"], ["b", undefined], ["x", "x"], 11, ["x", "x"]]);
    const unified = bodyRows(lines, 0, "unified").filter((row) => row.kind === "line");
    expect(unified.map(({ line, mate }) => [line.kind, mate?.text])).toEqual([
      ["same", undefined],
      ["removed", "c"],
      ["removed", undefined],
      ["added", "a"],
      ["same", undefined],
      ["same", undefined],
    ]);
    expect(unified.filter(({ starts }) => starts)).toHaveLength(1);
  });

  it("do not run two hunks without context into one", () => {
    const rows = bodyRows([gone(1, "a"), more(1, "b"), gone(9, "c"), more(9, "d")], 0, "split");
    expect(rows.map(({ kind }) => kind)).toEqual(["pair", "gap", "pair"]);
  });
});

describe("rows of a change", () => {
  it("hold comments behind their line, and nothing of a folded file", () => {
    const files = [patch("a.ts", lines), patch("b.ts", lines)];
    const comments = [
      { path: "a.ts", line: 6, side: "old" as const, text: "why" },
      { path: "a.ts", line: 6, side: "new" as const, text: "how" },
    ];
    for (const mode of ["unified", "split"] as const) {
      const rows = rowsOf({ ...shown, mode, files, patches: files, comments, folded: (file) => file === 1 });
      const at = rows.flatMap((row, index) => (row.kind === "comment" ? [[row.comment.text, index]] : []));
      expect(at.map(([text]) => text).sort()).toEqual(["how", "why"]);
      for (const [text, index] of at) {
        const before = rows.slice(0, Number(index)).findLast(({ kind }) => kind !== "comment");
        const places = before ? placesOf("a.ts", before) : [];
        expect(places).toContainEqual({ path: "a.ts", line: 6, side: text === "why" ? "old" : "new" });
      }
      expect(rows.filter(({ file }) => file === 1).map(({ kind }) => kind)).toEqual(["file"]);
    }
  });

  it("say why a file has no lines, or not all", () => {
    const files = [
      patch("a.png", [], { binary: true }),
      patch("run.sh", [], { newMode: "100755" }),
      patch("big", lines, { truncated: true }),
    ];
    const notes = rowsOf({ ...shown, files, patches: files }).flatMap((row) => (row.kind === "note" ? [row.text] : []));
    expect(notes.map((text) => text.slice(0, 12))).toEqual(["Binary file,", "Mode 100644 ", "Not all line"]);
    expect(rowsOf({ ...shown, files, patches: [] }).filter(({ kind }) => kind === "note")).toHaveLength(3);
  });

  it("are made of 100,000 lines in a moment", () => {
    const files = Array.from({ length: 50 }, (_, at) =>
      patch(
        `f${at}`,
        Array.from({ length: 2_000 }, (_, i) => more(i + 1)),
      ),
    );
    const start = performance.now();
    expect(rowsOf({ ...shown, files, patches: files })).toHaveLength(100_050);
    expect(performance.now() - start).toBeLessThan(2_000);
  });
});

describe("words within a line", () => {
  it("are marked where most of the line stayed", () => {
    expect(changedRanges("return a - b;", "return a + b;")).toEqual({ old: [[9, 10]], new: [[9, 10]] });
    expect(changedRanges("alpha beta", "x = y(z)")).toEqual({ old: [], new: [] });
    expect(changedRanges("x".repeat(5_000), "y")).toEqual({ old: [], new: [] });
  });
  it("cut the colours at their edges and lose no character", () => {
    const tokens = [
      { text: "return", look: "k" },
      { text: " a - b;", look: "" },
    ];
    const cut = pieces(tokens, [[4, 8]]);
    expect(cut.map(({ text, changed }) => [text, changed])).toEqual([
      ["retu", false],
      ["rn", true],
      [" a", true],
      [" - b;", false],
    ]);
  });
});

it("folders that hold one folder only are one line", () => {
  const root = treeOf(["src/a/b/c.ts", "src/a/b/d.ts", "readme"]);
  expect(root.files).toEqual([2]);
  expect(root.folders).toMatchObject([{ name: "src/a/b", files: [0, 1], folders: [] }]);
});

describe("what stands around a change", () => {
  it("comes between, before and after its hunks, with the numbers of both sides", () => {
    const at = (kind: "same" | "added" | "removed", old: number | null, now: number | null) => ({
      ...{ kind, old, new: now, text: "x" },
    });
    const lines = [at("removed", 3, null), at("added", null, 3), at("added", null, 4), at("same", 6, 7)];
    const source = Array.from({ length: 9 }, (_, i) => `n${i + 1}`);
    expect(withContext(lines, source).map(({ old, new: now, text }) => [old, now, text])).toEqual([
      [1, 1, "n1"],
      [2, 2, "n2"],
      [3, null, "x"],
      [null, 3, "x"],
      [null, 4, "x"],
      [4, 5, "n5"],
      [5, 6, "n6"],
      [6, 7, "x"],
      [7, 8, "n8"],
      [8, 9, "n9"],
    ]);
  });
});
