import type { SuiteReport } from "./reporter.ts";

/** One suite, counted. `troubles` are failures that belong to no single test; each counts as one. */
export type Tally = {
  suite: string;
  seconds: number;
  passed: number;
  failed: number;
  skipped: { name: string; reason?: string }[];
  files: SuiteReport["files"];
  troubles: string[];
  /** What failed at first and passed when its file ran once more, with what it failed with. */
  unsteady: string[];
};

/** Files of a whole run that may be tried a second time; where more fail, something is broken and not unsteady. */
export const SECOND_TRIES = 2;

/**
 * The files to run once more: all that failed, where each failed by its tests or outside them and the runner itself came to
 * its end; none where there are more than `left`. Pure.
 */
export function toTryAgain(report: SuiteReport | null, left: number): string[] {
  if (!report || report.stray.length > 0) return [];
  const files = report.files.filter(({ failed, tests }) => failed && tests > 0).map(({ path }) => path);
  return files.length <= left && report.files.every(({ tests }) => tests > 0) ? files : [];
}

/** `first` with the files of `again` in the place of its own; `unsteady` names what failed only at first. Pure. */
export function afterSecondTry(first: SuiteReport, again: SuiteReport): { report: SuiteReport; unsteady: string[] } {
  const repeated = new Set(again.files.map(({ path }) => path));
  const others = <Item>(items: Item[], path: (item: Item) => string) =>
    items.filter((item) => !repeated.has(path(item)));
  const failed = new Set(
    again.tests.filter(({ state }) => state !== "passed").map(({ file, name }) => `${file} > ${name}`),
  );
  const broken = new Set(again.files.filter((file) => file.failed).map(({ path }) => path));
  const unsteady = first.tests
    .filter(({ file, state }) => repeated.has(file) && (state === "failed" || state === "pending"))
    .map(({ file, name, reason }) => ({ key: `${file} > ${name}`, reason }))
    .filter(({ key }) => !failed.has(key))
    .map(({ key, reason }) => (reason ? `${key}: ${reason}` : key));
  const outside = first.files
    .filter(({ path, failed }) => failed && repeated.has(path) && !broken.has(path))
    .filter(({ path }) => !unsteady.some((name) => name.startsWith(`${path} > `)))
    .map(({ path }) => `${path}: broke outside its tests`);
  return {
    report: {
      files: [...others(first.files, ({ path }) => path), ...again.files],
      tests: [...others(first.tests, ({ file }) => file), ...again.tests],
      stray: [...first.stray, ...again.stray],
    },
    unsteady: [...unsteady, ...outside],
  };
}

/** Counts one suite. Whatever the runner holds against it counts, also where no test of it failed. Pure. */
export function tallyOf(run: {
  suite: string;
  seconds: number;
  report: SuiteReport | null;
  /** Exit status; null when it was ended by a signal. */
  status: number | null;
  filters: readonly string[];
  unsteady?: string[];
}): Tally {
  const { suite, seconds, report, unsteady = [] } = run;
  const files = report?.files ?? [];
  const tally: Tally = { suite, seconds, passed: 0, failed: 0, skipped: [], files, troubles: [], unsteady };
  const hurt = new Set<string>();
  for (const { file, name, state, reason } of report?.tests ?? []) {
    if (state === "passed") tally.passed += 1;
    else if (state === "skipped") tally.skipped.push({ name, ...(reason ? { reason } : {}) });
    else {
      // A test that never ran has failed: its worker is gone.
      tally.failed += 1;
      hurt.add(file);
    }
  }
  for (const { path, failed, tests } of tally.files)
    if (tests === 0) tally.troubles.push(`${path} has no tests, or broke before its first.`);
    else if (failed && !hurt.has(path)) tally.troubles.push(`${path} broke outside its tests.`);
  for (const message of report?.stray ?? []) tally.troubles.push(`${suite}: ${message}`);
  if (!report) tally.troubles.push(`${suite}: the runner ended with ${run.status ?? "a signal"} and no report.`);
  else if (run.filters.length === 0 && report.tests.length === 0) tally.troubles.push(`${suite} has no tests.`);
  else if (run.status !== 0 && tally.failed + tally.troubles.length === 0)
    tally.troubles.push(`${suite}: the runner ended with ${run.status ?? "a signal"}.`);
  return tally;
}

/** A size that is only run when asked for lacks nothing. */
export const isTolerated = ({ name, reason }: Tally["skipped"][number]) => /X1_FULL=1/.test(`${name} ${reason ?? ""}`);

/** What fails across the suites: a word that names no suite and no file, and in CI every skip for something missing. Pure. */
export function failures(run: {
  filters: readonly string[];
  files: Tally["files"];
  skipped: Tally["skipped"];
  ci: boolean;
}): string[] {
  // From the first option on the words belong to the runner.
  const option = run.filters.findIndex((word) => word.startsWith("-"));
  const words = option === -1 ? run.filters : run.filters.slice(0, option);
  const unknown = words
    .filter((word) => !run.files.some(({ path }) => path.includes(word.replace(/:\d+$/, "").replace(/^\.\//, ""))))
    .map((word) => `"${word}" is no suite (unit, integration, e2e, served) and names no test file.`);
  const lacking = run.ci ? run.skipped.filter((test) => !isTolerated(test)) : [];
  return [...unknown, ...lacking.map(({ name }) => `skipped with CI=true: ${name}`)];
}
