export type Outcome = "passed" | "failed" | "skipped";
/** A test's name, what became of it, and the line of the log (from 0) that says so. */
export type NamedTest = { name: string; outcome: Outcome; line: number };

// Node (spec), vitest, jest, mocha; TAP; pytest; go; cargo. The first group that matches is the name.
const patterns: readonly [RegExp, Outcome | ((match: RegExpExecArray) => Outcome)][] = [
  [/^\s*(?:not ok)\s+\d+\s*-?\s*(.+?)(?:\s+#\s*(?:TODO|SKIP).*)?$/i, "failed"],
  [/^\s*ok\s+\d+\s*-?\s*(.+?)\s+#\s*(?:SKIP|TODO).*$/i, "skipped"],
  [/^\s*ok\s+\d+\s*-?\s*(.+?)$/, "passed"],
  [/^\s*[✔✓]\s+(.+?)(?:\s+\(?[\d.]+\s*m?s\)?)?$/, "passed"],
  [/^\s*[✖✗✕×]\s+(.+?)(?:\s+\(?[\d.]+\s*m?s\)?)?$/, "failed"],
  [/^\s*[﹣↓○-]\s+(.+?)(?:\s+\(?[\d.]+\s*m?s\)?)?\s+# SKIP$/, "skipped"],
  [/^(\S+::\S.*?)\s+PASSED\b/, "passed"],
  [/^(\S+::\S.*?)\s+(?:FAILED|ERROR)\b/, "failed"],
  [/^(\S+::\S.*?)\s+SKIPPED\b/, "skipped"],
  [/^\s*--- PASS: (\S+)/, "passed"],
  [/^\s*--- FAIL: (\S+)/, "failed"],
  [/^\s*--- SKIP: (\S+)/, "skipped"],
  [/^test (\S+) \.\.\. ok$/, "passed"],
  [/^test (\S+) \.\.\. FAILED$/, "failed"],
  [/^test (\S+) \.\.\. ignored/, "skipped"],
];
/** Longer lines name no test, and a hostile one must not cost time. */
const MAX_LINE = 400;
const MAX_TESTS = 5_000;

/** Tests by name, as the output of a known kind of runner tells them: reported, never observed. Pure. */
export function testsOf(log: string): NamedTest[] {
  const found: NamedTest[] = [];
  for (const [line, raw] of log
    .replace(/\u001b\[[\d;]*m/g, "")
    .split("\n")
    .entries()) {
    if (raw.length > MAX_LINE) continue;
    for (const [pattern, outcome] of patterns) {
      const match = pattern.exec(raw.trimEnd());
      if (!match?.[1]) continue;
      found.push({ name: match[1], outcome: typeof outcome === "string" ? outcome : outcome(match), line });
      break;
    }
    if (found.length >= MAX_TESTS) break;
  }
  return found;
}

export type Compared = {
  name: string;
  before: Outcome | null;
  after: Outcome | null;
  /** The same commit gave both outcomes. */
  flaky: boolean;
};
export type Groups = Record<"newlyFailing" | "newlyPassing" | "stillFailing" | "gone" | "rest", Compared[]>;

/** Failed counts once it failed anywhere in the log: a name that both failed and passed is flaky. */
function byName(tests: readonly NamedTest[]): Map<string, { outcome: Outcome; flaky: boolean }> {
  const names = new Map<string, { outcome: Outcome; flaky: boolean }>();
  for (const { name, outcome } of tests) {
    const known = names.get(name);
    const flaky = known?.flaky || (known !== undefined && known.outcome !== outcome && outcome !== "skipped");
    names.set(name, { outcome: known?.outcome === "failed" ? "failed" : outcome, flaky: Boolean(flaky) });
  }
  return names;
}

/**
 * Before and after by name, worst first. `others` are further logs of the commit after the change: a test that ended in
 * one as it did not in another is flaky. Pure.
 */
export function compareTests(before: string, after: string, others: readonly string[] = []): Groups {
  const [was, is] = [byName(testsOf(before)), byName(testsOf(after))];
  const again = others.map((log) => byName(testsOf(log)));
  const groups: Groups = { newlyFailing: [], newlyPassing: [], stillFailing: [], gone: [], rest: [] };
  for (const name of new Set([...is.keys(), ...was.keys()])) {
    const [from, to] = [was.get(name), is.get(name)];
    const flaky =
      Boolean(from?.flaky || to?.flaky) ||
      again.some((log) => to !== undefined && log.has(name) && log.get(name)?.outcome !== to.outcome);
    const one: Compared = { name, before: from?.outcome ?? null, after: to?.outcome ?? null, flaky };
    if (!to) groups.gone.push(one);
    else if (to.outcome === "failed")
      (from?.outcome === "failed" ? groups.stillFailing : groups.newlyFailing).push(one);
    else if (to.outcome === "passed" && from?.outcome !== "passed") groups.newlyPassing.push(one);
    else groups.rest.push(one);
  }
  return groups;
}

/** The line (from 0) at which a failure is first told; null when the log tells none. Pure. */
export function firstFailure(log: string): number | null {
  const named = testsOf(log).find(({ outcome }) => outcome === "failed");
  const lines = log.split("\n");
  const said = lines.findIndex(
    (line) => line.length < 2_000 && /\b(?:error|fail(?:ed|ure)?|panic|traceback|assert\w*)\b/i.test(line),
  );
  const at = Math.min(named?.line ?? Infinity, said < 0 ? Infinity : said);
  return Number.isFinite(at) ? at : null;
}
