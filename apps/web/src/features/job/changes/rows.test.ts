import type { ChangeData, TokenNode } from "react-diff-view";
import { describe, expect, it } from "vitest";
import { tokensOf } from "./colours.ts";
import { bodyRows, hunksOf, inOrder, type Mode, type Patch, type PatchLine, placeOf, rowsOf, treeOf } from "./rows.ts";

const same = (old: number, now: number, text = "x"): PatchLine => ({ kind: "same", old, new: now, text });
const gone = (old: number, text = "-"): PatchLine => ({ kind: "removed", old, new: null, text });
const more = (now: number, text = "+"): PatchLine => ({ kind: "added", old: null, new: now, text });
const lines = [same(5, 5), gone(6, "a"), gone(7, "b"), more(6, "c"), same(8, 7), same(20, 19)];
const patch = (path: string, of: PatchLine[], change: Partial<Patch> = {}): Patch => ({
  ...{ path, status: "modified", oldMode: "100644", newMode: "100644", insertions: 1, deletions: 1, binary: false },
  ...{ flags: [], generated: false, truncated: false, lines: of, ...change },
});
const shown = { mode: "unified" as const, folded: () => false };
const texts = (changes: readonly ChangeData[]) => changes.map(({ content }) => content);
const body = (of: PatchLine[], mode: Mode, more = {}) =>
  bodyRows({ lines: of, moreLines: false, ...more }, 0, mode).map((row) =>
    row.kind === "gap" ? row.range[1] - row.range[0] : texts(row.hunk.changes),
  );

describe("rows of a file", () => {
  it("set a removed line before the added one that took its place, side by side, and name what is left out", () => {
    expect(body(lines, "split")).toEqual([4, ["x", "a", "c", "b", "x"], 11, ["x"]]);
    expect(body(lines, "unified")).toEqual([4, ["x", "a", "b", "c", "x"], 11, ["x"]]);
    const [, row] = bodyRows({ lines, moreLines: false }, 0, "split");
    expect(row).toMatchObject({ kind: "lines", height: 4, starts: ["D6"] });
  });

  it("do not run two hunks without context into one", () => {
    expect(body([gone(1, "a"), more(1, "b"), gone(9, "c"), more(9, "d")], "split")).toEqual([
      ["a", "b"],
      7,
      ["c", "d"],
    ]);
  });

  it("are cut where they fill a screen, but never between two lines that stand side by side", () => {
    const many = Array.from({ length: 100 }, (_, at) => [gone(at + 1, `a${at}`), more(at + 1, `b${at}`)]).flat();
    const split = bodyRows({ lines: many, moreLines: false }, 0, "split");
    expect(
      split.map((row) => (row.kind === "lines" ? [row.height, row.hunk.changes.length, row.starts] : null)),
    ).toEqual([
      [40, 80, ["D1"]],
      [40, 80, []],
      [20, 40, []],
    ]);
    const unified = body(many, "unified");
    expect(unified.map((row) => (row as string[]).length)).toEqual([40, 40, 40, 40, 40]);
    expect(unified.flat().slice(98, 102)).toEqual(["a98", "a99", "b0", "b1"]);
  });

  it("show what cannot be seen, and a line end inside a line as a mark", () => {
    expect(body([more(1, "a\u202eb\nc")], "unified")).toEqual([["a⟨U+202E⟩b⏎c"]]);
  });

  it("hold what was unfolded, with the numbers of both sides", () => {
    const of = [same(4, 4), more(5), more(6), same(5, 7), same(20, 22, "x"), gone(21), same(22, 23)];
    const source = Array.from({ length: 30 }, (_, at) => `n${at + 1}`);
    const gaps = (ranges: (readonly [number, number])[]) =>
      bodyRows({ lines: of, moreLines: false }, 0, "unified", { source, ranges });
    const between = gaps([[6, 20]]);
    expect(between.map((row) => (row.kind === "gap" ? row.range : texts(row.hunk.changes)))).toEqual([
      [1, 4],
      ["x", "+", "+", "x", ...source.slice(7, 21), "x", "-", "x"],
      [23, 30],
    ]);
    const all = gaps([
      [6, 20],
      [23, 30],
      [1, 4],
    ]);
    expect(all.map(({ kind }) => kind)).toEqual(["lines"]);
    const places = all.flatMap((row) => (row.kind === "lines" ? row.hunk.changes.map((one) => placeOf("a", one)) : []));
    expect(places.filter(({ side }) => side === "new").map(({ line }) => line)).toEqual(source.map((_, at) => at + 1));
    expect(all.flatMap((row) => (row.kind === "lines" ? texts(row.hunk.changes).slice(-7) : []))).toEqual(
      source.slice(23),
    );
    // The rest of a file of which more is to come is not known to stand behind what is there.
    expect(bodyRows({ lines: of, moreLines: true }, 0, "unified", { source, ranges: [] }).at(-1)?.kind).toBe("lines");
  });
});

describe("rows of a change", () => {
  it("hold nothing of a folded file", () => {
    const files = [patch("a.ts", lines), patch("b.ts", lines)];
    const rows = rowsOf({ ...shown, files, patches: files, folded: (file) => file === 1 });
    expect(rows.filter(({ file }) => file === 1).map(({ kind }) => kind)).toEqual(["file"]);
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
    expect(rowsOf({ ...shown, files, patches: files })).toHaveLength(50 + 50 * 50);
    expect(performance.now() - start).toBeLessThan(20_000);
  });
});

describe("colours and words within a line", () => {
  const lookOf = (nodes: readonly TokenNode[] | undefined, look = ""): string[] =>
    (nodes ?? []).flatMap((node) => {
      const mine = node.type === "edit" ? `${look}!` : (node.properties?.className?.join(" ") ?? look);
      if (node.children) return lookOf(node.children, mine);
      return node.value ? [`${mine}:${node.value}`] : [];
    });
  const tokens = (path: string, of: PatchLine[]) => {
    const [whole] = hunksOf(of);
    if (!whole) throw new Error("no hunk");
    return tokensOf(path, { ...whole, changes: inOrder(whole.changes, "unified") }, whole);
  };
  it("are marked where most of the line stayed, under the line's own number", () => {
    const { old, new: now } = tokens("a.ts", [
      same(700, 700, "{"),
      gone(701, "return a - b;"),
      more(701, "return a + b;"),
    ]);
    expect(lookOf(old[700])).toEqual(["hljs-keyword:return", ": a ", "!:-", ": b;"]);
    expect(lookOf(now[700])).toEqual(["hljs-keyword:return", ": a ", "!:+", ": b;"]);
    expect(lookOf(tokens("a.unknown", [gone(1, "a - b"), more(1, "a + b")]).new[0])).toEqual([":a ", "!:+", ": b"]);
  });
  it("leave a line that became another one, and a very long one, unmarked", () => {
    expect(lookOf(tokens("a", [gone(1, "alpha beta"), more(1, "x = y(z)")]).new[0]).join()).not.toContain("!");
    expect(lookOf(tokens("a", [gone(1, `${"x".repeat(5_000)}y`), more(1, "xy")]).old[0]).join()).not.toContain("!");
  });
  it("lose no character of a long hunk, whose stretches are coloured apart", () => {
    const of = Array.from({ length: 700 }, (_, at) => [
      gone(at + 11, `let a${at} = 1;`),
      more(at + 11, `let b${at} = 1;`),
    ]);
    const { old, new: now } = tokens("a.ts", [...of.flat(), same(711, 711, "end();")]);
    const plain = (line: TokenNode[] | undefined) =>
      lookOf(line)
        .map((piece) => piece.slice(piece.indexOf(":") + 1))
        .join("");
    for (const at of [0, 99, 100, 101, 450, 699])
      expect([plain(old[at + 10]), plain(now[at + 10])]).toEqual([`let a${at} = 1;`, `let b${at} = 1;`]);
    expect([plain(old[710]), plain(now[710])]).toEqual(["end();", "end();"]);
  });
});

it("folders that hold one folder only are one line", () => {
  const root = treeOf(["src/a/b/c.ts", "src/a/b/d.ts", "readme"]);
  expect(root.files).toEqual([2]);
  expect(root.folders).toMatchObject([{ name: "src/a/b", files: [0, 1], folders: [] }]);
});
