import type { ServerResponse } from "node:http";
import type { StoredEvent } from "@x1agent/contract";
import type { Hub, LiveDelta } from "./hub.ts";

/**
 * Fan-out of job events to SSE subscribers.
 *
 * Stages of a subscriber: *replaying* (reads pages from the database, waits for its socket) -> *live* (gets frames that
 * were built once for everybody) -> gone. Invariants:
 * - a subscriber's `seq` is the newest number it was sent; it is only ever sent a larger one;
 * - it turns live in the same tick in which it has seen an empty page and stands at or beyond the channel's `tail`, so
 *   nothing falls between replay and live;
 * - a subscriber that is behind by more than `MAX_QUEUE` bytes is dropped: it comes back with its Last-Event-ID, and
 *   the memory of a slow reader is bounded by that.
 */
export const MAX_QUEUE = 1_048_576;
const PAGE = 500;
const HEARTBEAT_MS = 10_000;
/** How often it is asked whether a reader's token is still good. */
const VALID_MS = 3_000;

export type EventSourcePort = {
  /** Stored events with a number above `after`, in order. */
  read(organizationId: string, jobId: string, after: number, limit: number): Promise<StoredEvent[]>;
  hub: Hub;
  onError(error: unknown): void;
};

type Watcher = {
  out: ServerResponse;
  seq: number;
  live: boolean;
  stillValid: (() => Promise<boolean>) | undefined;
};
type Channel = {
  organizationId: string;
  jobId: string;
  /** Newest number that live watchers were sent. */
  tail: number;
  watchers: Set<Watcher>;
  pumping: boolean;
  again: boolean;
  unsubscribe: () => void;
};

export type EventStreams = {
  /** Takes over the response and serves it to its end. */
  serve(out: ServerResponse, request: StreamRequest): void;
  /** Something was stored for the job; cheap when nobody watches. */
  wake(jobId: string): void;
  /** Notices may have been missed: looks again for every watched job. */
  wakeAll(): void;
  /** Ends every stream; clients reconnect elsewhere. */
  close(): void;
  readonly size: number;
};
export type StreamRequest = {
  organizationId: string;
  jobId: string;
  after: number;
  live: boolean;
  /** Whether the reader may still read: asked every few seconds, and the stream ends when not. */
  stillValid?: () => Promise<boolean>;
};

/** The frame of one event. Its number is the SSE id; deltas have none, so they never move a client's position. */
export function frame(event: StoredEvent | LiveDelta): Buffer {
  const id = "seq" in event ? `id: ${event.seq}\n` : "";
  return Buffer.from(`${id}data: ${JSON.stringify(event)}\n\n`);
}

/** Makes the fan-out of one service process. */
export function createEventStreams(port: EventSourcePort): EventStreams {
  const channels = new Map<string, Channel>();
  const heartbeat = Buffer.from(": hb\n\n");
  const timer = setInterval(() => {
    for (const channel of channels.values()) for (const watcher of channel.watchers) write(watcher, heartbeat);
  }, HEARTBEAT_MS);
  timer.unref();
  const validity = setInterval(() => {
    for (const channel of channels.values()) for (const watcher of channel.watchers) void recheck(watcher);
  }, VALID_MS);
  validity.unref();

  /** Ends the stream of a reader whose token is gone. A database that cannot be asked ends nothing. */
  async function recheck({ out, stillValid }: Watcher): Promise<void> {
    try {
      if (stillValid && !(await stillValid())) out.end();
    } catch (error) {
      port.onError(error);
    }
  }

  function write(watcher: Watcher, bytes: Buffer): boolean {
    if (watcher.out.destroyed || watcher.out.writableEnded) return false;
    if (watcher.out.writableLength > MAX_QUEUE) {
      watcher.out.destroy();
      return false;
    }
    return watcher.out.write(bytes);
  }

  function open(organizationId: string, jobId: string): Channel {
    const found = channels.get(jobId);
    if (found) return found;
    const channel: Channel = {
      organizationId,
      jobId,
      tail: 0,
      watchers: new Set(),
      pumping: false,
      again: false,
      unsubscribe: port.hub.subscribe(organizationId, jobId, (delta) => {
        const bytes = frame(delta);
        for (const watcher of channel.watchers) if (watcher.live) write(watcher, bytes);
      }),
    };
    channels.set(jobId, channel);
    return channel;
  }

  function leave(channel: Channel, watcher: Watcher): void {
    channel.watchers.delete(watcher);
    if (channel.watchers.size > 0 || channels.get(channel.jobId) !== channel) return;
    channel.unsubscribe();
    channels.delete(channel.jobId);
  }

  async function pump(channel: Channel): Promise<void> {
    if (channel.pumping) {
      channel.again = true;
      return;
    }
    channel.pumping = true;
    try {
      do {
        channel.again = false;
        const events = await port.read(channel.organizationId, channel.jobId, channel.tail, PAGE);
        for (const event of events) {
          if (event.seq <= channel.tail) continue;
          channel.tail = event.seq;
          const bytes = frame(event);
          for (const watcher of channel.watchers)
            if (watcher.live && watcher.seq < event.seq) {
              watcher.seq = event.seq;
              write(watcher, bytes);
            }
        }
        if (events.length === PAGE) channel.again = true;
      } while (channel.again && channel.watchers.size > 0);
    } finally {
      channel.pumping = false;
    }
  }

  async function run(channel: Channel, watcher: Watcher, live: boolean): Promise<void> {
    for (;;) {
      const events = await port.read(channel.organizationId, channel.jobId, watcher.seq, PAGE);
      for (const event of events) {
        watcher.seq = event.seq;
        if (!write(watcher, frame(event))) await drained(watcher.out);
        if (watcher.out.destroyed) return;
      }
      if (events.length > 0) continue;
      if (!live) {
        watcher.out.end();
        return;
      }
      // Others were already sent more than this one has read: what it lacks is stored, so read on.
      if (watcher.seq < channel.tail) continue;
      if (!hasLive(channel)) channel.tail = watcher.seq;
      watcher.live = true;
      // What was stored between the empty page and this tick had its wake-up before anybody was live.
      await pump(channel);
      return;
    }
  }

  return {
    serve(out, request) {
      out.writeHead(200, {
        "content-type": "text/event-stream",
        "cache-control": "no-store",
        "x-accel-buffering": "no",
        "x-content-type-options": "nosniff",
      });
      out.write("retry: 1000\n\n");
      const channel = open(request.organizationId, request.jobId);
      const watcher: Watcher = { out, seq: request.after, live: false, stillValid: request.stillValid };
      channel.watchers.add(watcher);
      out.on("close", () => leave(channel, watcher));
      out.on("error", () => out.destroy());
      run(channel, watcher, request.live).catch((error: unknown) => {
        port.onError(error);
        out.destroy();
      });
    },
    wake(jobId) {
      const channel = channels.get(jobId);
      if (channel && hasLive(channel)) pump(channel).catch(port.onError);
    },
    wakeAll() {
      for (const channel of channels.values()) if (hasLive(channel)) pump(channel).catch(port.onError);
    },
    close() {
      clearInterval(timer);
      clearInterval(validity);
      for (const channel of channels.values()) for (const watcher of channel.watchers) watcher.out.end();
    },
    get size() {
      let count = 0;
      for (const channel of channels.values()) count += channel.watchers.size;
      return count;
    },
  };
}

function hasLive(channel: Channel): boolean {
  for (const watcher of channel.watchers) if (watcher.live) return true;
  return false;
}

/** Waits until the socket took what was written, or is gone. */
function drained(out: ServerResponse): Promise<void> {
  if (out.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      out.off("drain", done);
      out.off("close", done);
      resolve();
    };
    out.on("drain", done);
    out.on("close", done);
  });
}
