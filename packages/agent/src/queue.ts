import { createHash } from "node:crypto";
import { accept, type InjectMode, type Outcome, refuse } from "@x1agent/contract";

export type QueuedMessage = { id: string; content: string; mode: InjectMode };

/** Ids remembered for idempotency after delivery; at 100 bytes each this is about 1 MB. */
const MAX_REMEMBERED = 10_000;

/** Messages that wait for the running turn to end: bounded, and each id is taken once. */
export class MessageQueue {
  readonly #limit: { messages: number; bytes: number };
  readonly #seen = new Map<string, string>();
  #waiting: QueuedMessage[] = [];
  #bytes = 0;

  constructor(limit = { messages: 100, bytes: 8 * 1024 * 1024 }) {
    this.#limit = limit;
  }

  get length(): number {
    return this.#waiting.length;
  }

  /** Whether this id was taken before: then there is nothing to do. With another body it is refused. */
  repeated(message: QueuedMessage): Outcome<boolean> {
    const known = this.#seen.get(message.id);
    if (known === undefined) return accept(false);
    return known === digest(message)
      ? accept(true)
      : refuse("idempotency_mismatch", `Message ${message.id} was sent before with another content.`);
  }

  /** Remembers an id without queueing. */
  remember(message: QueuedMessage): void {
    this.#seen.set(message.id, digest(message));
    if (this.#seen.size > MAX_REMEMBERED) this.#seen.delete(this.#seen.keys().next().value!);
  }

  /** Puts a message at the end, or first in line. */
  push(message: QueuedMessage, where: "last" | "first" = "last"): Outcome<null> {
    const size = Buffer.byteLength(message.content);
    if (this.#waiting.length >= this.#limit.messages || this.#bytes + size > this.#limit.bytes)
      return refuse("queue_full", `At most ${this.#limit.messages} messages or ${this.#limit.bytes} bytes wait.`);
    this.#bytes += size;
    if (where === "first") this.#waiting.unshift(message);
    else this.#waiting.push(message);
    return accept(null);
  }

  shift(): QueuedMessage | null {
    const next = this.#waiting.shift() ?? null;
    if (next) this.#bytes -= Buffer.byteLength(next.content);
    return next;
  }

  /** Forgets what waits; ids stay known. */
  clear(): QueuedMessage[] {
    this.#bytes = 0;
    return this.#waiting.splice(0);
  }
}

const digest = (message: QueuedMessage): string =>
  createHash("sha256").update(`${message.mode}\0${message.content}`).digest("base64");
