import type { ReportedPayload, ReportedType } from "@x1agent/contract";
import { Journal } from "./journal.ts";

/** Where events leave: gives them id and time, writes them to the journal, then wakes the readers. */
export class Outlet {
  readonly journal: Journal;
  readonly #epoch: number;
  readonly #readers = new Set<() => void>();
  #sequence = 0;

  constructor(dir: string, options: { segmentBytes?: number; segments?: number } = {}, now = Date.now()) {
    this.journal = new Journal({ dir, ...options });
    // Ids have to grow over restarts, also when the clock was set back.
    const last = Number(this.journal.lastId?.split("-")[0] ?? 0);
    this.#epoch = Math.max(now, last + 1);
  }

  get lastId(): string | null {
    return this.journal.lastId;
  }

  /** Writes one event. `source` is `reported`, whoever speaks: everything that passes here is the agent side's word. */
  write<T extends ReportedType>(type: T, payload: ReportedPayload<T> | Record<string, unknown>, turn: number): void {
    this.#sequence += 1;
    const id = `${this.#epoch}-${this.#sequence}`;
    const ts = new Date().toISOString();
    this.journal.append(
      id,
      JSON.stringify({ id, ts, type, source: "reported", ...(turn > 0 ? { turn } : {}), payload }),
    );
    for (const wake of this.#readers) wake();
  }

  /** Calls `wake` after each event, until the returned function is called. */
  subscribe(wake: () => void): () => void {
    this.#readers.add(wake);
    return () => this.#readers.delete(wake);
  }
}
