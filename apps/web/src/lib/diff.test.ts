import { expect, it } from "vitest";
import { parseDiff } from "./diff.ts";

it("cuts a unified diff into files and numbered lines", () => {
  const files = parseDiff(
    "diff --git a/x.ts b/x.ts\nindex 1..2 100644\n--- a/x.ts\n+++ b/x.ts\n@@ -3,2 +3,2 @@ f\n same\n-old\n+new\n\\ No newline at end of file\n" +
      "diff --git a/p.png b/p.png\nBinary files a/p.png and b/p.png differ\n",
  );
  expect(files.map(({ path }) => path)).toEqual(["x.ts", "p.png"]);
  expect(files[0]?.lines.map(({ kind, before, after }) => [kind, before, after])).toEqual([
    ["hunk", null, null],
    ["same", 3, 3],
    ["removed", 4, null],
    ["added", null, 4],
    ["note", null, null],
  ]);
  expect(files[1]?.lines).toMatchObject([{ kind: "note", text: "Binary files a/p.png and b/p.png differ" }]);
});

it("takes a removed line that looks like a header for what it is", () => {
  const [file] = parseDiff("diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,1 +1,1 @@\n--- a/forged\n+++ b/forged\n");
  expect(file?.path).toBe("x");
  expect(file?.lines.map(({ kind }) => kind)).toEqual(["hunk", "removed", "added"]);
});
