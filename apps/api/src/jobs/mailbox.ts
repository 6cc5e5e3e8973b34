/** A queue with one reader that waits. Bounded by what its writers are: each kind of notice comes at most a few times. */
export class Mailbox<T> {
  readonly #items: T[] = [];
  #wake: (() => void) | null = null;

  put(item: T): void {
    this.#items.push(item);
    this.#wake?.();
  }

  /** The next item, or null when `ms` have passed. */
  async next(ms: number): Promise<T | null> {
    if (this.#items.length === 0 && ms > 0)
      await new Promise<void>((resolve) => {
        // Timers hold 2^31-1 ms at most.
        const timer = setTimeout(resolve, Math.min(ms, 2_000_000_000));
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    this.#wake = null;
    return this.#items.shift() ?? null;
  }
}
