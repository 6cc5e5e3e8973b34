/** Counts tries under a key in a sliding window. */
export type Limiter = {
  /** Notes a try and returns null, or the seconds to wait when there were too many. */
  take(key: string): number | null | Promise<number | null>;
  /** A success: what came before under this key counts no more. */
  clear(key: string): void | Promise<void>;
};
/** One that counts in memory: a restart forgets. */
type LocalLimiter = { take(key: string): number | null; clear(key: string): void };
/** Where services on one database count together. */
export type SharedTries = {
  take(key: string, most: number, windowSeconds: number): Promise<number | null>;
  clear(key: string): Promise<void>;
};

/** Keys held at once; beyond it the oldest go, so that a flood of names fills no memory. */
const MAX_KEYS = 10_000;

/** At most `most` tries per `windowMs` under each key; `now` in milliseconds. */
export function createLimiter(most: number, windowMs: number, now: () => number = Date.now): LocalLimiter {
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

/** A flood from one key ends here, after so many times what is allowed, and costs the database nothing. */
const FLOOD = 4;

/** At most `most` tries a minute under each key of this `kind`, counted for every service on the database. */
export function createSharedLimiter(tries: SharedTries, kind: string, most: number): Limiter {
  const here = createLimiter(most * FLOOD, 60_000);
  return {
    take: async (key) => here.take(key) ?? (await tries.take(`${kind} ${key}`, most, 60)),
    async clear(key) {
      here.clear(key);
      await tries.clear(`${kind} ${key}`);
    },
  };
}
