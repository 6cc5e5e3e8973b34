/** Longest delay that a timer takes. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The time that an attempt uses of its job's: what passes while a person or a forge is waited for is not charged. */
export class JobClock {
  #since: number | null = null;
  /** Waits that go on now, since when, and what those before came to, in milliseconds. */
  #waits = 0;
  #waitsSince = 0;
  #waitedMs = 0;
  readonly #limits = new Set<() => void>();

  /** An attempt begins in this process. */
  start(): void {
    this.#since = Date.now();
    this.#waitedMs = 0;
  }

  get started(): boolean {
    return this.#since !== null;
  }

  /** It stands still now. */
  get waits(): boolean {
    return this.#waits > 0;
  }

  usedMs(): number {
    if (this.#since === null) return 0;
    return (this.#waits > 0 ? this.#waitsSince : Date.now()) - this.#since - this.#waitedMs;
  }

  /** Stands still during `work`. */
  async uncharged<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waits === 0) this.#waitsSince = Date.now();
    this.#waits += 1;
    this.#arm();
    try {
      return await work();
    } finally {
      this.#waits -= 1;
      if (this.#waits === 0) this.#waitedMs += Date.now() - this.#waitsSince;
      this.#arm();
    }
  }

  /** Calls `late` when `ms` are used in all; what comes back takes that back. */
  limit(ms: number, late: () => void): () => void {
    let timer: NodeJS.Timeout | undefined;
    const arm = () => {
      clearTimeout(timer);
      if (this.#waits > 0) return;
      timer = setTimeout(late, Math.min(MAX_TIMER_MS, Math.max(0, ms - this.usedMs())));
    };
    this.#limits.add(arm);
    arm();
    return () => {
      clearTimeout(timer);
      this.#limits.delete(arm);
    };
  }

  #arm(): void {
    for (const arm of this.#limits) arm();
  }
}
