type Call = { ts: string; costMicros: number };
export type Burn = {
  /** Cost so far over time, both from 0 to 1, oldest first. */
  points: { x: number; y: number }[];
  /** What the last ten minutes cost, as millionths of a dollar an hour. */
  perHourMicros: number;
};
const RECENT_MS = 10 * 60_000;

/**
 * How a job's cost grew. `calls` are the newest ones, in any order; what came before them is known from the sum only and
 * stands at the first of them. `now` in milliseconds. Pure.
 */
export function burnOf(calls: readonly Call[], spentMicros: number, now: number): Burn {
  const sorted = calls.map(({ ts, costMicros }) => ({ at: Date.parse(ts), costMicros })).sort((a, b) => a.at - b.at);
  const first = sorted[0];
  const last = sorted.at(-1);
  if (!first || !last) return { points: [], perHourMicros: 0 };
  const told = sorted.reduce((sum, { costMicros }) => sum + costMicros, 0);
  const total = Math.max(spentMicros, told, 1);
  const span = Math.max(last.at - first.at, 1);
  let sum = Math.max(0, spentMicros - told);
  const points = [{ x: 0, y: sum / total }];
  for (const { at, costMicros } of sorted) {
    sum += costMicros;
    points.push({ x: (at - first.at) / span, y: sum / total });
  }
  const recent = sorted.filter(({ at }) => now - at <= RECENT_MS);
  const cost = recent.reduce((all, { costMicros }) => all + costMicros, 0);
  // A job that is younger than ten minutes has burnt for its own time, at least a minute of it.
  const over = Math.min(RECENT_MS, Math.max(60_000, now - first.at));
  return { points, perHourMicros: Math.round((cost * 3_600_000) / over) };
}
