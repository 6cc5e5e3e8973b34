import type { CommandResult, DiffFile, Verification } from "@x1agent/contract";
import { expect, it } from "vitest";
import { judgeRisks } from "./judge.ts";

const ran = (command: string): CommandResult => ({
  ...{ command, exitCode: 0, signal: null, durationMs: 1, timedOut: false, outputBytes: 0, outputTail: "" },
  ...{ outputBlob: null, network: "none" as const },
});
const verification = (verify: string | null, setup: string | null = null): Verification => ({
  ...{ commit: "a".repeat(40), passed: true, counts: null, withBaseTests: null },
  ...{ setup: setup === null ? null : ran(setup), verify: verify === null ? null : ran(verify) },
});
const file = (path: string, flags: string[] = []): DiffFile => ({
  ...{ path, flags, status: "modified", oldMode: "100644", newMode: "100644", insertions: 1, deletions: 0 },
  binary: false,
});
const reasons = (files: DiffFile[], verify: string | null, setup: string | null = null) =>
  judgeRisks({ files, verification: verification(verify, setup) }).map(({ reason }) => reason.split(": ")[1]);

it.each([
  ["a test", [file("test/a.test.ts", ["test"])], "npm test", "test/a.test.ts (test)"],
  ["what runs the tests", [file("package.json", ["manifest"])], "npm test", "package.json (manifest with its scripts)"],
  ["a runner's configuration", [file("vitest.config.ts", ["config"])], "npm test", "vitest.config.ts (configuration)"],
  ["the command's own file", [file("check.sh")], "bash ./check.sh", "check.sh (named by the command)"],
  ["a program without an ending", [file("verify-all")], "./verify-all", "verify-all (named by the command)"],
  [
    "the same below a folder",
    [file("app/check.mjs")],
    "cd app && node check.mjs",
    "app/check.mjs (named by the command)",
  ],
  ["a file that set-up runs", [file("prepare.py")], "true", "prepare.py (named by the command)"],
])("a change of %s is said to have changed its judge", (_, files, verify, named) =>
  expect(reasons([...files, file("src/a.ts")], verify, "python3 prepare.py")).toEqual([named]),
);

it("a change of nothing that judges is not, nor one that nothing judged", () => {
  expect(reasons([file("src/a.ts"), file("docs/test"), file("README.md", ["instructions"])], "npm test")).toEqual([]);
  expect(reasons([file("test/a.test.ts", ["test"])], null)).toEqual([]);
});

it("is said in one sentence, however many files it is", () => {
  const many = Array.from({ length: 500 }, (_, i) => file(`test/${"x".repeat(300)}${i}.ts`, ["test"]));
  const [reason = ""] = reasons(many, "npm test");
  expect(reason).toMatch(/ and 490 more$/);
  expect(reason.length).toBeLessThan(3_000);
});
