/**
 * Runs the test suites and says how many tests passed and failed, alone on the last line: `N passed, N failed`. Before it:
 * time per suite, the slowest files, and every skipped test with what it lacks. With CI=true a test that was skipped for
 * something missing is a failure; only a size that X1_FULL=1 asks for may be left out. There, too, up to two failed files run
 * once more: what passes then is counted as passed and listed as unsteady, with what it failed with.
 *
 *   npm test                      every suite
 *   npm test -- unit              one suite: unit, integration, e2e or served
 *   npm test -- unit packages/x   one suite, one place
 *   npm run test:full             every suite at full size (X1_FULL=1)
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { SuiteReport } from "./test/reporter.ts";
import { startServed } from "./test/served.ts";
import { afterSecondTry, failures, isTolerated, SECOND_TRIES, type Tally, tallyOf, toTryAgain } from "./test/tally.ts";

/** `served` runs what depends on the database once more, on a PostgreSQL server by connection string. */
const suites = ["unit", "integration", "e2e", "served"] as const;
const onServer = [
  "packages/kernel/",
  "packages/domains/",
  "apps/api/src/schema",
  "apps/api/src/jobs/whole-way",
  "apps/api/src/jobs/kill",
];
const args = process.argv.slice(2);
/** Another project than this checkout: for the tests of this script. */
const foreign = args[0] === "--root";
const root = foreign ? resolve(args.splice(0, 2)[1] ?? ".") : join(import.meta.dirname, "..");
if (args[0] === "--full") {
  process.env.X1_FULL = "1";
  args.shift();
}
const chosen = suites.filter((suite) => suite === args[0]);
const filters = chosen.length === 1 ? args.slice(1) : args;
const full = process.env.X1_FULL === "1";
/** A suite that hangs is ended. */
const LIMIT_MS = (full ? 240 : 60) * 60_000;
let triesLeft = SECOND_TRIES;

async function runServed(): Promise<Tally> {
  const server = await startServed();
  if ("lacks" in server) {
    const skipped = [{ name: "everything on a PostgreSQL server", reason: `needs ${server.lacks}` }];
    return { suite: "served", seconds: 0, passed: 0, failed: 0, skipped, files: [], troubles: [], unsteady: [] };
  }
  try {
    return runSuite("served", {
      words: ["--project", "integration", "--project", "e2e", ...(filters.length > 0 ? filters : onServer)],
      env: { DATABASE_URL: server.url },
    });
  } finally {
    server.stop();
  }
}

function runSuite(
  suite: string,
  { words = ["--project", suite, ...filters], env = {} }: { words?: string[]; env?: Record<string, string> } = {},
): Tally {
  const started = performance.now();
  let { report, status } = runOnce(words, env);
  let unsteady: string[] = [];
  // In CI, where a whole landing hangs on it, and never for what depends on nothing but its own code.
  const again = process.env.CI === "true" && suite !== "unit" ? toTryAgain(report, triesLeft) : [];
  if (report && again.length > 0) {
    triesLeft -= again.length;
    console.log(`\nOnce more, to tell what is broken from what is unsteady: ${again.join(", ")}`);
    const projects = words.flatMap((word, at) => (word === "--project" ? [word, words[at + 1] ?? ""] : []));
    const second = runOnce([...projects, ...again], env);
    if (second.report) {
      ({ report, unsteady } = afterSecondTry(report, second.report));
      status = second.status;
    }
  }
  return tallyOf({ suite, seconds: (performance.now() - started) / 1000, report, status, filters, unsteady });
}

function runOnce(
  words: readonly string[],
  env: Record<string, string>,
): { report: SuiteReport | null; status: number | null } {
  const dir = mkdtempSync(join(tmpdir(), "x1-test-"));
  const file = join(dir, "report.json");
  const run = spawnSync(
    process.execPath,
    [
      join(root, "node_modules/vitest/vitest.mjs"),
      "run",
      ...["--passWithNoTests", "--reporter=default", `--reporter=${join(import.meta.dirname, "test/reporter.ts")}`],
      ...words,
    ],
    { cwd: root, stdio: "inherit", timeout: LIMIT_MS, env: { ...process.env, ...env, X1_TEST_REPORT: file } },
  );
  let report: SuiteReport | null = null;
  try {
    report = JSON.parse(readFileSync(file, "utf8")) as SuiteReport;
  } catch {
    // The runner died before its end: the tally tells.
  }
  rmSync(dir, { recursive: true, force: true });
  return { report, status: run.status };
}

/** Some files, or another project's, are asked for by name: then the second database only if it is named too. */
const usual = filters.length > 0 || foreign ? suites.filter((suite) => suite !== "served") : suites;
const tallies: Tally[] = [];
for (const suite of chosen.length === 1 ? chosen : usual)
  tallies.push(suite === "served" ? await runServed() : runSuite(suite));
const files = tallies.flatMap((tally) => tally.files);
const skipped = tallies.flatMap((tally) => tally.skipped);

console.log(`\nSuites${full ? " at full size" : ""}:`);
for (const { suite, seconds, passed, failed, skipped } of tallies)
  console.log(
    `  ${suite.padEnd(12)} ${seconds.toFixed(1).padStart(7)} s  ${passed} passed, ${failed} failed, ${skipped.length} skipped`,
  );
if (files.length > 0) console.log("Slowest files:");
for (const { path, ms } of files.toSorted((a, b) => b.ms - a.ms).slice(0, 10))
  console.log(`  ${(ms / 1000).toFixed(1).padStart(7)} s  ${path}`);
if (skipped.length > 0) {
  console.log(`Skipped (${skipped.length}):`);
  for (const { name, reason } of skipped) console.log(`  - ${name}${reason ? `: ${reason}` : ""}`);
}
const unsteady = tallies.flatMap((tally) => tally.unsteady);
if (unsteady.length > 0) {
  console.log(
    `Unsteady (${unsteady.length}): failed at first, passed when the file ran once more. Each is a fault to be found:`,
  );
  for (const name of unsteady) console.log(`  - ${name}`);
}
const troubles = [
  ...tallies.flatMap((tally) => tally.troubles),
  ...failures({ filters, files, ci: process.env.CI === "true", skipped }),
];
for (const trouble of troubles) console.log(`Failed: ${trouble}`);
if (process.env.CI === "true" && skipped.some((test) => !isTolerated(test)))
  console.log("CI=true: nothing may be skipped; install what these tests lack.");

const passed = tallies.reduce((sum, tally) => sum + tally.passed, 0);
const failed = tallies.reduce((sum, tally) => sum + tally.failed, 0) + troubles.length;
console.log(`\n${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
