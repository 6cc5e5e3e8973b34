import { once } from "node:events";
import type { Readable, Writable } from "node:stream";

/** Keeps the last bytes of one or more streams in the order of arrival and counts all of them; memory stays bounded. */
export class Capture {
  readonly #max: number;
  #parts: Buffer[] = [];
  #kept = 0;
  bytes = 0;

  constructor(max: number) {
    this.#max = max;
  }

  #keep(part: Buffer): void {
    this.#parts.push(part);
    this.#kept += part.length;
    while (this.#parts.length > 1 && this.#kept - (this.#parts[0] as Buffer).length >= this.#max) {
      this.#kept -= (this.#parts.shift() as Buffer).length;
    }
  }

  /** Reads a stream to its end. Resolves also when it breaks: then it is over. */
  async collect(stream: Readable, onBytes: (total: number) => void): Promise<void> {
    stream.on("data", (part: Buffer) => {
      this.bytes += part.length;
      this.#keep(part);
      onBytes(this.bytes);
    });
    await closed(stream);
  }

  /** Passes a stream on with backpressure; beyond the limit `onLimit` is called once and the rest is dropped. */
  async forward(stream: Readable, sink: Writable, onLimit: () => void): Promise<void> {
    let passed = 0;
    let broken = false;
    sink.on("error", () => {
      broken = true;
    });
    try {
      for await (const part of stream as AsyncIterable<Buffer>) {
        this.bytes += part.length;
        if (broken || passed > this.#max) continue;
        passed += part.length;
        if (passed > this.#max) {
          onLimit();
          continue;
        }
        if (!sink.write(part)) await writable(sink);
      }
    } catch {
      // A broken pipe is the end of the output.
    }
    if (!broken) await new Promise<void>((resolve) => sink.end(() => resolve()));
  }

  /** The last `max` bytes. */
  tail(): Buffer {
    const all = Buffer.concat(this.#parts);
    return all.length > this.#max ? all.subarray(all.length - this.#max) : all;
  }
}

/** Until the sink takes more or is gone; whichever came, nothing keeps listening for the other. */
async function writable(sink: Writable): Promise<void> {
  const decided = new AbortController();
  const { signal } = decided;
  await Promise.race([once(sink, "drain", { signal }), once(sink, "close", { signal })]).catch(() => {});
  decided.abort();
}

async function closed(stream: Readable): Promise<void> {
  if (stream.closed || stream.destroyed) return;
  await new Promise<void>((resolve) => {
    stream.once("end", () => resolve());
    stream.once("close", () => resolve());
  });
}
