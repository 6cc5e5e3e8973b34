/**
 * Splits bytes into lines on `\n` only (U+2028 and a lone CR are text in JSON lines). Memory stays below one limit
 * whatever comes: a longer line is dropped as a whole and reported once, at the moment it crosses the limit.
 */
export class LineSplitter {
  readonly #limit: number;
  readonly #onLine: (line: string) => void;
  readonly #onOverflow: (bytes: number) => void;
  #parts: Buffer[] = [];
  #bytes = 0;
  #dropping = false;

  constructor(limit: number, onLine: (line: string) => void, onOverflow: (bytes: number) => void) {
    this.#limit = limit;
    this.#onLine = onLine;
    this.#onOverflow = onOverflow;
  }

  /** Takes the next bytes of the stream. */
  push(chunk: Buffer): void {
    let from = 0;
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, from)) {
      this.#take(chunk.subarray(from, at));
      this.#finish();
      from = at + 1;
    }
    if (from < chunk.length) this.#take(chunk.subarray(from));
  }

  /** The stream ended: what is left counts as a line. */
  end(): void {
    if (this.#bytes > 0) this.#finish();
  }

  #take(part: Buffer): void {
    this.#bytes += part.length;
    if (this.#dropping) return;
    if (this.#bytes > this.#limit) {
      this.#dropping = true;
      this.#parts = [];
      this.#onOverflow(this.#bytes);
      return;
    }
    this.#parts.push(part);
  }

  #finish(): void {
    const parts = this.#parts;
    const dropped = this.#dropping;
    this.#parts = [];
    this.#bytes = 0;
    this.#dropping = false;
    if (dropped) return;
    const line = parts.length === 1 ? parts[0]!.toString("utf8") : Buffer.concat(parts).toString("utf8");
    this.#onLine(line.endsWith("\r") ? line.slice(0, -1) : line);
  }
}
