import type { EvidenceRecord, EvidenceRisk, TestCounts, Verification } from "@x1agent/contract";

/**
 * What a test run says of itself, read from its output: the tests' word, never ours. Code under test can end its own
 * process with 0 before all tests ran (`process.exit(0)`), so what is missing is looked for: fewer tests than at the base
 * or than the report itself names, files that passed without a test, a run without its summary. All pure.
 */
const plain = (output: string): string => output.replace(/\u001b\[[0-9;]*m/g, "");
/** Sum of the first group of every match, or null where there is none: a command may run several test runs. */
const sumOf = (text: string, pattern: RegExp): number | null => {
  const all = [...text.matchAll(pattern)];
  return all.length ? all.reduce((total, match) => total + Number(match[1]), 0) : null;
};
const count = (text: string, pattern: RegExp): number => [...text.matchAll(pattern)].length;

/** How known runners begin and end; `started` may match once for each test. */
const runners: { name: string; started: RegExp; summed: RegExp }[] = [
  // A program that is run by itself: its tests report to its own output.
  { name: "node:test", started: /^(TAP version 1[34]|[✔✖▶] .*\(\d+(\.\d+)?ms\))$/gm, summed: /^(?:#|ℹ) pass \d+$/gm },
  { name: "vitest", started: /^\s*RUN\s+v\d+\.\d+/gm, summed: /^\s*Tests\s+.*\(\d+\)$/gm },
  { name: "jest", started: /^(PASS|FAIL)\s+\S+|process\.exit called with "/gm, summed: /^Tests:\s.*\d+ total$/gm },
  { name: "pytest", started: /^=+ test session starts =+$/gm, summed: /^=*.* in \d+(\.\d+)?s\b.*=*$/gm },
];

/** The runner that began and did not sum up; null where all did, or none is known. */
export function unfinishedRun(output: string): string | null {
  const text = plain(output);
  const found = runners.find(({ started, summed }) => count(text, started) > 0 && count(text, summed) === 0);
  // A TAP producer of another kind ends with its plan, or begins with it.
  return found?.name === "node:test" && /^1\.\.\d+$/m.test(text) ? null : (found?.name ?? null);
}

/** Counts that the tests printed: TAP and `node --test`, JUnit XML, and the summary lines of common runners. */
export function parseCounts(output: string): TestCounts | null {
  const text = plain(output);
  return nodeTest(text) ?? junit(text) ?? tap(text) ?? summary(text);
}

function nodeTest(text: string): TestCounts | null {
  const [passed, failed] = [sumOf(text, /^(?:#|ℹ) pass (\d+)$/gm), sumOf(text, /^(?:#|ℹ) fail (\d+)$/gm)];
  if (passed === null || failed === null) return null;
  const skipped = (sumOf(text, /^(?:#|ℹ) skipped (\d+)$/gm) ?? 0) + (sumOf(text, /^(?:#|ℹ) todo (\d+)$/gm) ?? 0);
  // A file that reports no test of its own is reported by its path, as one test. One that failed so at the base may have
  // had tests that were not reached, so only those that passed count.
  const silent = count(text, /^(?:✔|ok \d+ -) [^\s]+\.[cm]?[jt]sx?(?: \(\d+(?:\.\d+)?ms\))?$/gm);
  return { passed, failed, skipped, format: "node-test", ...(silent ? { silent } : {}) };
}

function junit(text: string): TestCounts | null {
  const suites = [...text.matchAll(/<testsuite\b([^>]*)>/g)].map((match) => match[1] ?? "");
  if (!suites.length) return null;
  const sum = (name: string) =>
    suites.reduce(
      (total, attributes) => total + Number(new RegExp(`\\b${name}="(\\d+)"`).exec(attributes)?.[1] ?? 0),
      0,
    );
  const bad = sum("failures") + sum("errors");
  const skipped = sum("skipped");
  return { passed: Math.max(0, sum("tests") - bad - skipped), failed: bad, skipped, format: "junit" };
}

function tap(text: string): TestCounts | null {
  const results = [...text.matchAll(/^(not )?ok\b[^\n#]*(#\s*(?:skip|todo)\b)?/gim)];
  if (!results.length || !/^(TAP version|1\.\.\d+)/m.test(text)) return null;
  const skipped = results.filter((match) => match[2]).length;
  const bad = results.filter((match) => match[1] && !match[2]).length;
  const planned = sumOf(text, /^1\.\.(\d+)/gm);
  return {
    ...{ passed: results.length - skipped - bad, failed: bad, skipped, format: "tap" },
    ...(planned === null ? {} : { planned }),
  };
}

/** vitest, jest, cargo and pytest have a line for each run; of others the last line that looks like one. */
function summary(text: string): TestCounts | null {
  const lines = text.split("\n");
  const known =
    /^\s*(Tests:?\s|test result: ).*\b\d+ (passed|failed)\b|\b\d+ (passed|failed|errors?)\b.* in \d+(\.\d+)?s\b/;
  const named = lines.filter((line) => known.test(line));
  const last = lines.findLast((line) => /\b\d+ (passed|failed)\b/.test(line));
  const told = named.length ? named : last === undefined ? [] : [last];
  if (!told.length) return null;
  const number = (word: string) =>
    told.reduce((total, line) => total + Number(new RegExp(`\\b(\\d+) ${word}\\b`).exec(line)?.[1] ?? 0), 0);
  // "Tests: 3 passed, 5 total", "Tests  3 passed (5)"; "collected 5 items", "collected 5 items / 2 deselected / 3 selected"
  const planned = [
    sumOf(named.join("\n"), /^\s*Tests:?\s.*?(?:, (?=\d+ total)|\()(\d+)(?: total|\))/gm),
    sumOf(text, /^collected (?:.*\/ )?(\d+) (?:items?|selected)$/gm),
  ].filter((sum) => sum !== null);
  return {
    passed: number("passed") + number("xpassed"),
    failed: number("failed") + number("errors?"),
    skipped: number("skipped") + number("todo") + number("xfailed") + number("ignored"),
    format: "summary",
    ...(planned.length ? { planned: planned.reduce((total, sum) => total + sum) } : {}),
  };
}

const ran = ({ passed, failed }: TestCounts): number => passed + failed;

/** What is missing in one run, beside the base's; `before` is null where the base told no counts. */
function missing(run: Pick<Verification, "counts" | "noSummary">, before: TestCounts | null): EvidenceRisk[] {
  const { counts, noSummary } = run;
  if (noSummary) return [{ kind: "no_summary", reason: `${noSummary} began and did not sum up` }];
  if (!counts)
    return before ? [{ kind: "no_summary", reason: `no test reported, ${ran(before)} ran at the base` }] : [];
  // Both are read after the command ended with 0: one of the two words is wrong, or failures are let pass on purpose.
  const differs: EvidenceRisk[] = counts.failed
    ? [
        {
          kind: "report_differs",
          reason: `the report tells of ${counts.failed} failed tests, the command ended with 0`,
        },
      ]
    : [];
  const found: string[] = [];
  const told = ran(counts) + counts.skipped;
  if ((counts.planned ?? 0) > told) found.push(`the report names ${counts.planned} tests and tells of ${told}`);
  if (before && ran(counts) < ran(before)) found.push(`${ran(counts)} tests ran, ${ran(before)} at the base`);
  if ((counts.silent ?? 0) > (before?.silent ?? 0))
    found.push(`${counts.silent} test files passed without a test, ${before?.silent ?? 0} at the base`);
  return [...differs, ...found.map((reason) => ({ kind: "tests_fewer", reason }))];
}

/**
 * Why nothing can be missed in the tests' report: there is none here or none at the base, so that the exit status, which
 * code under test can choose, is all there is. Null where the two can be compared, and where the verification did not pass.
 */
export function testsUnknown({
  verification,
  baseline,
}: Pick<EvidenceRecord, "verification" | "baseline">): EvidenceRisk | null {
  if (!verification.passed) return null;
  const told = (run: Pick<Verification, "counts"> | null) => run?.counts && ran(run.counts) > 0;
  const kind = "tests_unknown";
  if (!told(verification)) return { kind, reason: "no test report is known in the output, the exit status is all" };
  return told(baseline) ? null : { kind, reason: "the base told of no tests that these could be compared with" };
}

/** What of the tests' own report is missing, with numbers. A verification that did not pass needs no second doubt. */
export function testRisks({
  verification,
  baseline,
}: Pick<EvidenceRecord, "verification" | "baseline">): EvidenceRisk[] {
  if (!verification.passed) return [];
  const before = baseline?.counts ?? null;
  const again = verification.withBaseTests ? missing(verification.withBaseTests, before) : [];
  return [
    ...missing(verification, before),
    ...again.map(({ kind, reason }) => ({ kind, reason: `with the base's own tests: ${reason}` })),
  ];
}
