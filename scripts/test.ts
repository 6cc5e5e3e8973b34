/**
 * Runs the test suites and says how many tests passed, failed and were skipped, alone on the last line. A skipped test
 * is named with its reason; with CI=true nothing may be skipped.
 *
 *   npm test                      every suite
 *   npm test -- unit              one suite: unit, integration or e2e
 *   npm test -- unit packages/x   one suite, one place
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

type Assertion = { status: string; fullName: string; meta?: { skipReason?: string } };
type Report = { testResults: { name: string; status: string; message?: string; assertionResults: Assertion[] }[] };
type Tally = { suite: string; seconds: number; passed: number; failed: number; skipped: string[] };

const suites = ["unit", "integration", "e2e"] as const;
const [first, ...rest] = process.argv.slice(2);
const chosen = first && (suites as readonly string[]).includes(first) ? [first] : suites;
const filters = first && chosen.length === 1 ? rest : process.argv.slice(2);
const root = join(import.meta.dirname, "..");

function runSuite(suite: string): Tally {
  const dir = mkdtempSync(join(tmpdir(), "x1-test-"));
  const file = join(dir, "report.json");
  const started = performance.now();
  const run = spawnSync(
    process.execPath,
    [
      join(root, "node_modules/vitest/vitest.mjs"),
      "run",
      "--project",
      suite,
      "--passWithNoTests",
      "--reporter=default",
      "--reporter=json",
      `--outputFile.json=${file}`,
      ...filters,
    ],
    { cwd: root, stdio: "inherit" },
  );
  const tally: Tally = { suite, seconds: (performance.now() - started) / 1000, passed: 0, failed: 0, skipped: [] };
  try {
    const report = JSON.parse(readFileSync(file, "utf8")) as Report;
    for (const test of report.testResults) {
      for (const { status, fullName } of test.assertionResults) {
        if (status === "passed") tally.passed += 1;
        else if (status === "failed") tally.failed += 1;
        else tally.skipped.push(fullName);
      }
      // A file that broke before its first test has no assertions and must still count.
      if (test.status === "failed" && !test.assertionResults.some(({ status }) => status === "failed"))
        tally.failed += 1;
    }
  } catch {
    tally.failed += 1;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  if (run.status !== 0 && tally.failed === 0) tally.failed = 1;
  return tally;
}

const tallies = chosen.map(runSuite);
const sum = (pick: (tally: Tally) => number) => tallies.reduce((total, tally) => total + pick(tally), 0);
const skipped = tallies.flatMap((tally) => tally.skipped);

console.log("\nSuites:");
for (const { suite, seconds, passed, failed, skipped } of tallies)
  console.log(
    `  ${suite.padEnd(12)} ${seconds.toFixed(1).padStart(7)} s  ${passed} passed, ${failed} failed, ${skipped.length} skipped`,
  );
if (skipped.length > 0)
  console.log(`Skipped, each for a reason in its name or above:\n${skipped.map((name) => `  - ${name}`).join("\n")}`);

const intolerable = process.env.CI === "true" && skipped.length > 0;
if (intolerable) console.log("CI=true: nothing may be skipped; install what these tests lack.");
const failed = sum((tally) => tally.failed);
console.log(
  `\n${sum((tally) => tally.passed)} passed, ${failed} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ""}`,
);
process.exit(failed > 0 || intolerable || sum((tally) => tally.passed) === 0 ? 1 : 0);
