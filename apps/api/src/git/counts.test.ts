import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestCounts, Verification } from "@x1agent/contract";
import { describe, expect, it } from "vitest";
import { parseCounts, testRisks, unfinishedRun } from "./counts.ts";

describe("a test run's own report", () => {
  it.each([
    [
      "node",
      "# tests 3\n# pass 2\n# fail 1\n# skipped 0\n# todo 0\n",
      { passed: 2, failed: 1, skipped: 0, format: "node-test" },
    ],
    [
      "node, spec reporter",
      "\u001b[34mℹ pass 5\u001b[39m\nℹ fail 0\nℹ skipped 1\n",
      { passed: 5, failed: 0, skipped: 1, format: "node-test" },
    ],
    [
      "tap",
      "TAP version 14\n1..3\nok 1 a\nnot ok 2 b\nok 3 c # SKIP x\n",
      { passed: 1, failed: 1, skipped: 1, format: "tap", planned: 3 },
    ],
    [
      "junit",
      '<testsuites tests="9"><testsuite name="a" tests="4" failures="1" errors="0" skipped="1"/></testsuites>',
      { passed: 2, failed: 1, skipped: 1, format: "junit" },
    ],
    ["summary", "== 3 failed, 12 passed, 1 skipped in 2s ==", { passed: 12, failed: 3, skipped: 1, format: "summary" }],
    [
      "two runs of node:test",
      "# pass 2\n# fail 0\n# pass 3\n# fail 1\n",
      { passed: 5, failed: 1, skipped: 0, format: "node-test" },
    ],
    [
      "vitest",
      " RUN  v4.0.1 /w\n Test Files  1 passed (1)\n      Tests  1 failed | 3 passed | 1 skipped (5)\n",
      { passed: 3, failed: 1, skipped: 1, format: "summary", planned: 5 },
    ],
    [
      "jest",
      "PASS ./a.test.js\nTest Suites: 1 passed, 1 total\nTests:       1 todo, 4 passed, 5 total\n",
      { passed: 4, failed: 0, skipped: 1, format: "summary", planned: 5 },
    ],
    [
      "two runs of pytest",
      "collected 3 items\n=== 2 passed, 1 xfailed in 0.1s ===\ncollected 4 items / 1 deselected / 3 selected\n=== 3 passed, 1 deselected in 0.10s ===\n",
      { passed: 5, failed: 0, skipped: 1, format: "summary", planned: 6 },
    ],
    [
      "cargo",
      "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured\ntest result: ok. 2 passed; 0 failed; 0 ignored\n",
      { passed: 5, failed: 0, skipped: 1, format: "summary" },
    ],
    ["none", "hello", null],
  ])("reads counts: %s", (_, output, counts) => expect(parseCounts(output)).toEqual(counts));

  it.each<[string, string, string | null]>([
    ["node:test, a program by itself", "✔ adds (0.5ms)\n", "node:test"],
    ["node:test, TAP", "TAP version 13\n# Subtest: adds\nok 1 - adds\n", "node:test"],
    ["TAP of others, with its plan", "TAP version 13\n1..2\nok 1 - adds\n", null],
    ["vitest", "\n RUN  v4.0.1 /workspace\n\n", "vitest"],
    ["jest", '  ●  process.exit called with "0"\n', "jest"],
    ["pytest", "=== test session starts ===\ncollected 3 items\n\na.py .", "pytest"],
    ["pytest, to its end", "=== test session starts ===\ncollected 1 item\n=== 1 passed in 0.01s ===\n", null],
    ["node:test, to its end", "✔ adds (0.5ms)\nℹ tests 1\nℹ pass 1\nℹ fail 0\n", null],
    ["none", "ok\n", null],
  ])("that is cut short is known by its runner: %s", (_, output, runner) => expect(unfinishedRun(output)).toBe(runner));
});

const counts = (passed: number, more: Partial<TestCounts> = {}): TestCounts => ({
  ...{ passed, failed: 0, skipped: 0, format: "node-test" },
  ...more,
});
const run = (found: TestCounts | null, more: Partial<Verification> = {}): Verification => ({
  ...{ commit: "b".repeat(40), setup: null, verify: null, passed: true, counts: found, withBaseTests: null },
  ...more,
});

describe("what a report lacks", () => {
  it.each<[string, Verification, Verification | null, string[]]>([
    ["nothing", run(counts(3)), run(counts(2, { failed: 1 })), []],
    ["tests", run(counts(2)), run(counts(2, { failed: 1 })), ["tests_fewer: 2 tests ran, 3 at the base"]],
    [
      "tests that are skipped now",
      run(counts(2, { skipped: 1 })),
      run(counts(3)),
      ["tests_fewer: 2 tests ran, 3 at the base"],
    ],
    [
      "tests that it names itself",
      run(counts(2, { planned: 5 })),
      null,
      ["tests_fewer: the report names 5 tests and tells of 2"],
    ],
    [
      "a file's tests",
      run(counts(4, { silent: 1 })),
      run(counts(4)),
      ["tests_fewer: 1 test files passed without a test, 0 at the base"],
    ],
    ["a file's tests, as before", run(counts(4, { silent: 1 })), run(counts(4, { silent: 1 })), []],
    ["all", run(null), run(counts(3)), ["no_summary: no test reported, 3 ran at the base"]],
    ["its end", run(null, { noSummary: "jest" }), null, ["no_summary: jest began and did not sum up"]],
    [
      "its failures in the exit status",
      run(counts(2, { failed: 1 })),
      run(counts(2, { failed: 1 })),
      ["report_differs: the report tells of 1 failed tests, the command ended with 0"],
    ],
    ["nothing that was there before", run(null), run(null), []],
    ["what does not matter, as it failed", run(null, { passed: false }), run(counts(3)), []],
  ])("%s", (_, verification, baseline, risks) =>
    expect(testRisks({ verification, baseline }).map(({ kind, reason }) => `${kind}: ${reason}`)).toEqual(risks),
  );

  it("is told of the base's own tests too", () => {
    const withBaseTests = { verify: null as never, passed: true, counts: counts(1) };
    const [risk] = testRisks({ verification: run(counts(3), { withBaseTests }), baseline: run(counts(2)) });
    expect(risk?.reason).toBe("with the base's own tests: 1 tests ran, 2 at the base");
  });
});

describe("the real node:test", () => {
  it("passes when the code under test ends its process with 0, and its report lacks what did not run", () => {
    const folder = mkdtempSync(join(tmpdir(), "x1-counts-"));
    const test = (code: string, ...options: string[]) => {
      writeFileSync(join(folder, "add.mjs"), `export const add = (a, b) => { ${code} };\n`);
      const { NODE_TEST_CONTEXT: _, ...env } = process.env;
      const output = execFileSync(process.execPath, [...options, "a.test.mjs"], { cwd: folder, env, encoding: "utf8" });
      return run(parseCounts(output), {
        ...{ noSummary: unfinishedRun(output) ?? undefined },
      } as Partial<Verification>);
    };
    try {
      writeFileSync(
        join(folder, "a.test.mjs"),
        'import test from "node:test";\nimport { add } from "./add.mjs";\nfor (const b of [1, 2, 3]) test("adds " + b, async () => { await 0; if (add(1, b) !== 1 + b) throw 0; });\n',
      );
      for (const reporter of ["spec", "tap"]) {
        const options = ["--test", `--test-reporter=${reporter}`];
        const base = test("return a + b", ...options);
        expect(base.counts).toMatchObject({ passed: 3, failed: 0 });
        expect(testRisks({ verification: test("return a + b", ...options), baseline: base })).toEqual([]);
        const early = test("if (b === 2) process.exit(0); return a + b", ...options);
        expect(testRisks({ verification: early, baseline: base }).map(({ kind }) => kind)).toContain("tests_fewer");
        const one = test("if (b === 2) process.exit(0); return a + b", `--test-reporter=${reporter}`);
        expect(testRisks({ verification: one, baseline: base }).map(({ kind }) => kind)).toContain("no_summary");
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
