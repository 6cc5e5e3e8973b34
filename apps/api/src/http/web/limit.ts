/** Counts tries under a key in a sliding window, in memory: a restart forgets, which a guesser cannot cause. */
export type Limiter = {
  /** Notes a try and returns null, or the seconds to wait when there were too many. */
  take(key: string): number | null;
  /** A success: what came before under this key counts no more. */
  clear(key: string): void;
};

/** Keys held at once; beyond it the oldest go, so that a flood of names fills no memory. */
const MAX_KEYS = 10_000;

/** At most `most` tries per `windowMs` under each key; `now` in milliseconds. */
export function createLimiter(most: number, windowMs: number, now: () => number = Date.now): Limiter {
  const tries = new Map<string, number[]>();
  return {
    take(key) {
      const at = now();
      const recent = (tries.get(key) ?? []).filter((time) => time > at - windowMs);
      tries.delete(key);
      if (tries.size >= MAX_KEYS) tries.delete(tries.keys().next().value ?? "");
      const first = recent[0];
      if (recent.length >= most && first !== undefined) {
        tries.set(key, recent);
        return Math.ceil((first + windowMs - at) / 1_000);
      }
      tries.set(key, [...recent, at]);
      return null;
    },
    clear: (key) => void tries.delete(key),
  };
}
