import { StoredEvent } from "@x1agent/contract";
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { ApiError } from "./errors.ts";

/** A stored event, or a live-only delta: that one has no `seq` and is never replayed. */
export type LiveEvent = Omit<StoredEvent, "seq"> & { seq: number | null };

/** Nothing for this long, not even a heartbeat (every 10 s): the connection is dead although it looks open. */
const SILENCE_MS = 35_000;
const FIRST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 5_000;

const Delta = StoredEvent.omit({ seq: true });

type Follow = {
  after?: number;
  signal?: AbortSignal;
  onReconnect?: (cause: unknown, attempt: number) => void;
  onConnect?: () => void;
};

/**
 * Reads a job's event stream through any number of broken connections. Invariant: `last` is the number of the newest
 * event handed out; every connection starts after it and anything not above it is dropped, so no event is lost or seen
 * twice. Ends when the signal aborts; throws what the service refuses (an `ApiError` below 500 is final).
 */
export async function* followEvents(
  open: (after: number, signal: AbortSignal) => Promise<Response>,
  follow: Follow,
): AsyncGenerator<LiveEvent, void, void> {
  let last = follow.after ?? 0;
  let failures = 0;
  while (!follow.signal?.aborted) {
    const connection = new AbortController();
    const end = () => connection.abort();
    follow.signal?.addEventListener("abort", end, { once: true });
    let cause: unknown = new Error("The service closed the stream.");
    try {
      const response = await unlessSilent(connection, open(last, connection.signal));
      follow.onConnect?.();
      for await (const event of readEvents(response, connection)) {
        failures = 0;
        if (event.seq !== null) {
          if (event.seq <= last) continue;
          last = event.seq;
        }
        yield event;
      }
    } catch (error) {
      if (follow.signal?.aborted) return;
      if (error instanceof ApiError && error.status < 500 && error.code !== "rate_limited") throw error;
      cause = error;
    } finally {
      follow.signal?.removeEventListener("abort", end);
      connection.abort();
    }
    failures += 1;
    follow.onReconnect?.(cause, failures);
    await pause(Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (failures - 1)), follow.signal);
  }
}

async function* readEvents(response: Response, connection: AbortController): AsyncGenerator<LiveEvent, void, void> {
  const body = response.body;
  if (!body) return;
  const messages: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (message) => messages.push(message) });
  const decoder = new TextDecoder();
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await unlessSilent(connection, reader.read());
    if (done) return;
    parser.feed(decoder.decode(value, { stream: true }));
    for (const message of messages.splice(0)) yield toEvent(message);
  }
}

/** Waits for a sign of the other side; a connection without one for too long is cut, which rejects what was waited for. */
function unlessSilent<T>(connection: AbortController, sign: Promise<T>): Promise<T> {
  const silence = setTimeout(() => connection.abort(new Error("The stream went silent.")), SILENCE_MS);
  return sign.finally(() => clearTimeout(silence));
}

function toEvent(message: EventSourceMessage): LiveEvent {
  const data: unknown = JSON.parse(message.data);
  return message.id ? StoredEvent.parse(data) : { ...Delta.parse(data), seq: null };
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done, { once: true });
  });
}
