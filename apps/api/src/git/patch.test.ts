import { describe, expect, it } from "vitest";
import { describeFiles } from "./diff.ts";
import { diffPage, parsePatch, withRisks } from "./patch.ts";

const entry = (path: string, oldMode = "100644", newMode = "100644") => ({
  ...{ oldMode, newMode, oldId: "0".repeat(40), newId: "0".repeat(40) },
  path: Buffer.from(path),
});
const section = (path: string, ...body: string[]) => [`diff --git a/${path} b/${path}`, ...body].join("\n");

function risks(entries: ReturnType<typeof entry>[], ...sections: string[]) {
  const files = describeFiles(entries, new Map());
  return withRisks(entries, files, sections.join("\n")).map(({ risks }) =>
    (risks ?? []).map(({ kind, line }) => `${kind}:${line ?? "-"}`),
  );
}

describe("a diff's lines", () => {
  it("carry their numbers, and none of them can pass for another file's head", () => {
    const patch = section(
      "a",
      "@@ -3,2 +3,3 @@ x",
      " same",
      "-old",
      "+diff --git a/b b/b",
      "+@@ -1 +1 @@",
      "\\ No newline",
    );
    expect(parsePatch(patch)).toEqual([
      [
        { kind: "same", old: 3, new: 3, text: "same" },
        { kind: "removed", old: 4, new: null, text: "old" },
        { kind: "added", old: null, new: 4, text: "diff --git a/b b/b" },
        { kind: "added", old: null, new: 5, text: "@@ -1 +1 @@" },
      ],
    ]);
  });
});

describe("risks", () => {
  const key = `ghp_${"a".repeat(36)}`;
  it("name the line of a credential, a skipped test, a removed test and an install script", () => {
    expect(
      risks(
        [entry("package.json"), entry("src/a.ts"), entry("test/a.test.ts")],
        section("package.json", "@@ -4,0 +5 @@", '+    "postinstall": "node x.js",'),
        section("src/a.ts", "@@ -9,0 +10,2 @@", "+const a = 1;", `+const key = "${key}";`),
        section(
          "test/a.test.ts",
          "@@ -7,3 +7,1 @@",
          '-it("adds", () => {',
          '-it("takes", () => {',
          "-});",
          '+it.skip("adds", () => {',
        ),
      ),
    ).toEqual([["install_script:5"], ["secret:11"], ["test_skipped:7", "test_removed:7"]]);
  });

  it("stay with their file where a change of type makes two sections", () => {
    expect(
      risks(
        [entry("a", "100644", "120000"), entry("b.ts")],
        section("a", "deleted file mode 100644", "@@ -1 +0,0 @@", "-x"),
        section("a", "new file mode 120000", "@@ -0,0 +1 @@", "+b.ts"),
        section("b.ts", "@@ -0,0 +1 @@", `+${key}`),
      ),
    ).toEqual([["symlink:-"], ["secret:1"]]);
  });

  it("say why a whole file is looked at, and nothing on plain ones", () => {
    expect(
      risks([
        entry(".github/workflows/a.yml"),
        entry("AGENTS.md"),
        entry("bin/run", "100644", "100755"),
        entry("package-lock.json"),
        entry("src/plain.ts"),
        entry("src/was", "100755", "100644"),
        entry("test/gone.test.ts", "100644", "000000"),
      ]),
    ).toEqual([
      ["ci:-"],
      ["instructions:-"],
      ["script:-", "executable:-"],
      ["lock:-"],
      [],
      ["mode:-"],
      ["test_deleted:-"],
    ]);
  });
});

describe("a page of a change", () => {
  const files = describeFiles([entry("a", "100644", "120000"), entry("dist/b.js"), entry("c")], new Map());
  const diff = [
    section("a", "@@ -1 +0,0 @@", "-x"),
    section("a", "@@ -0,0 +1 @@", "+c"),
    section("dist/b.js", "@@ -0,0 +1 @@", `+${"y".repeat(5_000)}`),
    section("c", "@@ -0,0 +1,3000 @@", ...Array.from({ length: 3_000 }, () => "+z")),
  ].join("\n");

  it("has each file with its own lines, wherever the page begins", () => {
    const [a, b] = diffPage(files, diff, 0, 2);
    expect(a).toMatchObject({ path: "a", generated: false, truncated: false });
    expect(a?.lines.map(({ text }) => text)).toEqual(["x", "c"]);
    expect(b).toMatchObject({ path: "dist/b.js", generated: true, truncated: true });
    expect(b?.lines[0]?.text).toHaveLength(4_000);
    const [c, ...rest] = diffPage(files, diff, 2, 2);
    expect(rest).toEqual([]);
    expect(c).toMatchObject({ path: "c", truncated: true });
    expect(c?.lines).toHaveLength(2_000);
    expect(c?.moreLines).toBe(true);
  });

  it("gives a long file's next lines, to the last", () => {
    const [c] = diffPage(files, diff, 2, 1, 2_000);
    expect(c).toMatchObject({ path: "c", truncated: false });
    expect(c?.moreLines).toBeUndefined();
    expect(c?.lines.map(({ new: at }) => at)).toEqual(Array.from({ length: 1_000 }, (_, i) => 2_001 + i));
    expect(diffPage(files, diff, 2, 1, 3_000)[0]?.lines).toEqual([]);
  });

  it("says so where the kept diff was cut", () => {
    const cut = `${section("a", "@@ -1 +0,0 @@", "-x")}\n[The rest of the change is not shown: it is too long.]\n`;
    expect(diffPage(files, cut, 1, 5).map(({ truncated, lines }) => [truncated, lines.length])).toEqual([
      [true, 0],
      [true, 0],
    ]);
  });
});
