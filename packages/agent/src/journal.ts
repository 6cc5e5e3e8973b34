import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";

/**
 * The resend buffer: every event is one JSON line in `<dir>/events-<n>.jsonl` before any reader gets it. Files rotate and
 * the oldest go, so that disk use is bounded; what went is a gap that readers are told of. A reader is a byte position
 * in the whole stream (a cursor), not a list of events in memory: a slow one costs nothing but disk.
 *
 * Invariants: lines begin with `{"id":"<epoch>-<seq>",`; ids grow; `start` of a segment is the sum of the sizes before it.
 */
export type JournalOptions = { dir: string; segmentBytes?: number; segments?: number };

type Segment = { number: number; start: number; size: number; firstId: string | null; lastId: string | null };

const READ_BYTES = 128 * 1024;

export class Journal {
  readonly #dir: string;
  readonly #segmentBytes: number;
  readonly #maxSegments: number;
  #segments: Segment[] = [];
  #fd = -1;
  /** Last event that was removed to make room. */
  #droppedId: string | null = null;
  #lastId: string | null = null;

  constructor(options: JournalOptions) {
    this.#dir = options.dir;
    this.#segmentBytes = options.segmentBytes ?? 8 * 1024 * 1024;
    this.#maxSegments = options.segments ?? 8;
    mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
    this.#load();
    this.#open();
  }

  /** Position after the last event. */
  get end(): number {
    const last = this.#segments.at(-1)!;
    return last.start + last.size;
  }

  get lastId(): string | null {
    return this.#lastId;
  }

  /** Adds an event; returns the bytes of its line as readers get them. Throws when the disk refuses twice. */
  append(id: string, line: string): void {
    const bytes = Buffer.from(`${line}\n`);
    if (this.#segments.at(-1)!.size + bytes.length > this.#segmentBytes && this.#segments.at(-1)!.size > 0)
      this.#rotate();
    this.#write(bytes);
    const current = this.#segments.at(-1)!;
    current.size += bytes.length;
    current.firstId ??= id;
    current.lastId = id;
    this.#lastId = id;
  }

  /**
   * Where a reader that has seen `afterId` goes on (`null`: has seen nothing). `gap` when events in between are gone or the
   * id is not of this journal.
   */
  locate(afterId: string | null): { cursor: number; gap: boolean } {
    const first = this.#segments[0]!;
    if (afterId === null) return { cursor: first.start, gap: this.#droppedId !== null };
    if (afterId === this.#lastId) return { cursor: this.end, gap: false };
    if (afterId === this.#droppedId) return { cursor: first.start, gap: false };
    const segment = this.#segments.find((one) => one.lastId !== null && compareIds(one.lastId, afterId) >= 0);
    if (!segment || segment.firstId === null) return { cursor: first.start, gap: true };
    if (compareIds(segment.firstId, afterId) > 0)
      // Before the oldest that is kept, or an id that nobody has given.
      return { cursor: segment.start, gap: true };
    const text = readFileSync(this.#path(segment.number));
    for (let from = 0; from < segment.size; ) {
      const newline = text.indexOf(10, from);
      if (newline === -1) break;
      const id = idOf(text.toString("latin1", from, Math.min(newline, from + 60)));
      if (id !== null && compareIds(id, afterId) >= 0)
        return id === afterId
          ? { cursor: segment.start + newline + 1, gap: false }
          : { cursor: segment.start + from, gap: true };
      from = newline + 1;
    }
    return { cursor: segment.start, gap: true };
  }

  /** Complete lines from a cursor on, at most about 128 KB (one whole line at least); `null` when the cursor's place is gone. */
  read(cursor: number): { bytes: Buffer; next: number } | null {
    if (cursor >= this.end) return { bytes: Buffer.alloc(0), next: cursor };
    const segment = this.#segments.find((one) => cursor >= one.start && cursor < one.start + one.size);
    if (!segment) return null;
    const left = segment.start + segment.size - cursor;
    for (let want = READ_BYTES; ; want *= 4) {
      const bytes = Buffer.alloc(Math.min(want, left));
      const fd = openSync(this.#path(segment.number), "r");
      let got: number;
      try {
        got = readSync(fd, bytes, 0, bytes.length, cursor - segment.start);
      } finally {
        closeSync(fd);
      }
      const whole = bytes.lastIndexOf(10, got - 1) + 1;
      if (whole > 0) return { bytes: bytes.subarray(0, whole), next: cursor + whole };
      if (bytes.length === left) return null;
    }
  }

  close(): void {
    if (this.#fd !== -1) closeSync(this.#fd);
    this.#fd = -1;
  }

  /** Takes up what an earlier run of the host left; a line that its death cut off is dropped. */
  #load(): void {
    const numbers = readdirSync(this.#dir)
      .map((name) => /^events-(\d{10})\.jsonl$/.exec(name)?.[1])
      .filter((number) => number !== undefined)
      .map(Number)
      .sort((a, b) => a - b);
    let start = 0;
    for (const number of numbers) {
      if (statSync(this.#path(number)).size > this.#segmentBytes * 2) {
        rmSync(this.#path(number), { force: true });
        continue;
      }
      const text = readFileSync(this.#path(number));
      const size = text.lastIndexOf(10) + 1;
      if (size === 0) {
        rmSync(this.#path(number), { force: true });
        continue;
      }
      const lastStart = text.lastIndexOf(10, size - 2) + 1;
      const firstId = idOf(text.toString("latin1", 0, Math.min(size, 60)));
      const lastId = idOf(text.toString("latin1", lastStart, Math.min(size, lastStart + 60)));
      this.#segments.push({ number, start, size, firstId, lastId });
      this.#lastId = lastId ?? this.#lastId;
      start += size;
    }
    // What was removed before cannot be known any more; a first file that is not number one says that something was.
    if ((this.#segments[0]?.number ?? 1) > 1) this.#droppedId = "";
  }

  /** A fresh file for this run, so that a cut-off line of the last one stays alone. */
  #open(): void {
    const last = this.#segments.at(-1);
    const number = (last?.number ?? 0) + 1;
    this.#segments.push({ number, start: last ? last.start + last.size : 0, size: 0, firstId: null, lastId: null });
    this.#fd = openSync(this.#path(number), "a", 0o640);
    while (this.#segments.length > this.#maxSegments) this.#dropOldest();
  }

  #rotate(): void {
    closeSync(this.#fd);
    this.#open();
  }

  #dropOldest(): void {
    const oldest = this.#segments.shift()!;
    rmSync(this.#path(oldest.number), { force: true });
    this.#droppedId = oldest.lastId ?? this.#droppedId;
  }

  #write(bytes: Buffer): void {
    try {
      writeAll(this.#fd, bytes);
    } catch {
      // A full disk: the oldest events make room once; if that is not enough the caller has to know.
      if (this.#segments.length > 1) this.#dropOldest();
      this.#rotate();
      writeAll(this.#fd, bytes);
    }
  }

  #path(number: number): string {
    return join(this.#dir, `events-${String(number).padStart(10, "0")}.jsonl`);
  }
}

function writeAll(fd: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
}

/** Id at the beginning of a journal line. */
export function idOf(line: string): string | null {
  return /^\{"id":"(\d{1,16}-\d{1,16})"/.exec(line)?.[1] ?? null;
}

/** Order of two ids: by boot, then by number. */
export function compareIds(a: string, b: string): number {
  const [aEpoch = 0, aSeq = 0] = a.split("-").map(Number);
  const [bEpoch = 0, bSeq = 0] = b.split("-").map(Number);
  return aEpoch - bEpoch || aSeq - bSeq;
}
