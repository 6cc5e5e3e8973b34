import type { ObservedPayload, SidecarEvents } from "@x1agent/contract";

type Types = "model.refused" | "egress.opened" | "egress.blocked" | "git.fetched" | "limit.hit";
type Waiting = SidecarEvents["events"][number];

const FLUSH_MS = 200;
const REPEAT_MS = 30_000;
const MAX_WAITING = 1_000;
const MAX_BATCH = 100;
/** Distinct things said in one `REPEAT_MS`: whoever tries a million hosts is recorded once, not a million times. */
const MAX_DISTINCT = 300;
const MAX_TEXT = 1_000;

/**
 * Observed events on their way to the control plane: in batches, off the data path, without repeats. What an agent can
 * cause without limit is bounded here; when the bound is met, one `limit.hit` says so.
 */
export class Outbox {
  readonly #send: (events: SidecarEvents) => Promise<void>;
  readonly #said = new Map<string, number>();
  #waiting: Waiting[] = [];
  #sending: Promise<void> | null = null;
  #timer: NodeJS.Timeout | undefined;
  #sequence = 0;
  #full = false;

  constructor(send: (events: SidecarEvents) => Promise<void>) {
    this.#send = send;
  }

  /** Queues an event. With `once`, the same is not said again for a while. */
  add<T extends Types>(type: T, payload: ObservedPayload<T>, once?: string): void {
    if (once !== undefined && this.#repeated(`${type} ${once}`)) return;
    if (this.#waiting.length >= MAX_WAITING) return;
    this.#push(type, payload as Record<string, unknown>);
  }

  #push(type: Types, payload: Record<string, unknown>): void {
    this.#sequence += 1;
    this.#waiting.push({
      id: String(this.#sequence),
      ts: new Date().toISOString(),
      type,
      payload: Object.fromEntries(
        Object.entries(payload).map(([key, value]) => [
          key,
          typeof value === "string" ? value.slice(0, MAX_TEXT) : value,
        ]),
      ),
    });
    this.#timer ??= setTimeout(() => void this.flush(), FLUSH_MS);
    this.#timer.unref();
  }

  #repeated(key: string): boolean {
    const now = performance.now();
    for (const [said, at] of this.#said) {
      if (now - at < REPEAT_MS) break;
      this.#said.delete(said);
    }
    if (this.#said.has(key)) return true;
    if (this.#said.size >= MAX_DISTINCT) {
      if (!this.#full)
        this.#push("limit.hit", {
          ...{ limit: "events", max: MAX_DISTINCT },
          detail: `More than ${MAX_DISTINCT} different refusals in ${REPEAT_MS / 1_000} s; the rest is refused without a record.`,
        });
      this.#full = true;
      return true;
    }
    this.#full = false;
    this.#said.set(key, now);
    return false;
  }

  /** Sends what waits. A batch that fails is kept and sent again later under the same ids. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#sending) await this.#sending;
    if (this.#waiting.length === 0) return;
    this.#sending = this.#drain();
    try {
      await this.#sending;
    } finally {
      this.#sending = null;
    }
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, MAX_BATCH);
      try {
        await this.#send({ events: batch });
      } catch {
        this.#timer ??= setTimeout(() => void this.flush(), FLUSH_MS * 5);
        this.#timer.unref();
        return;
      }
      this.#waiting = this.#waiting.slice(batch.length);
    }
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}
