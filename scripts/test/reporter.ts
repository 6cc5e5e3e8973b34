import { writeFileSync } from "node:fs";
import { relative } from "node:path";
import type { Reporter } from "vitest/node";

/** What one suite came to, as the runner's own reporter for machines does not say it: it drops the reasons of skips. */
export type SuiteReport = {
  files: { path: string; ms: number; failed: boolean; tests: number }[];
  /** `pending` is a test that never ran because its worker died. */
  tests: {
    file: string;
    name: string;
    state: "passed" | "failed" | "skipped" | "pending";
    /** Why it was skipped, or the first line of what it failed with. */
    reason?: string;
  }[];
  /** Errors that belong to no test: a late rejection, a worker that crashed. */
  stray: string[];
};

const firstLine = (text: string) => (text.split("\n")[0] ?? "").slice(0, 300);

/** Writes a `SuiteReport` to the file that X1_TEST_REPORT names. */
export default class SuiteReporter implements Reporter {
  onTestRunEnd: NonNullable<Reporter["onTestRunEnd"]> = (modules, errors) => {
    const report: SuiteReport = { files: [], tests: [], stray: errors.map((error) => firstLine(error.message)) };
    for (const module of modules) {
      const path = relative(process.cwd(), module.moduleId);
      const { duration, collectDuration, setupDuration } = module.diagnostic();
      const tests = [...module.children.allTests()];
      report.files.push({
        path,
        ms: duration + collectDuration + setupDuration,
        failed: !module.ok(),
        tests: tests.length,
      });
      for (const test of tests) {
        const result = test.result();
        const { state } = result;
        const reason =
          state === "skipped"
            ? (result as { note?: string }).note
            : state === "failed"
              ? firstLine(result.errors?.[0]?.message ?? "")
              : undefined;
        report.tests.push({ file: path, name: test.fullName, state, ...(reason ? { reason } : {}) });
      }
    }
    const file = process.env.X1_TEST_REPORT;
    if (file) writeFileSync(file, JSON.stringify(report));
  };
}
