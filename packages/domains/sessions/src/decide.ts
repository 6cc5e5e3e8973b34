import type { EventSource, StoredEvent } from "@x1agent/contract";
import { storableJson, storableText } from "@x1agent/kernel";

/** An event to store; `source` was stamped by the channel it came on. */
export type NewEvent = {
  ts?: string;
  type: string;
  source: EventSource;
  attemptId: string | null;
  turn?: number | null;
  origin?: string | null;
  payload: Record<string, unknown>;
};
/** An event that the database takes whatever its maker put into it, with its size. */
export type CleanEvent = Omit<StoredEvent, "seq"> & { bytes: number };

/** Caps of one job's record. Hitting one is an observed event; what comes after is not stored. */
export type EventCaps = {
  /** Reports of the agent's side. */
  events: number;
  bytes: number;
  /** Beyond these, for what the platform saw but the agent can provoke at will: calls, connections, refusals. */
  provoked: number;
};
export const eventCaps: EventCaps = { events: 500_000, bytes: 1024 ** 3, provoked: 50_000 };

/** A job's counter row: last number, bytes so far, and whether the record's end was told. */
export type Counter = { seq: number; bytes: number; capped: boolean };

const provoked = /^(?:model|egress|git|limit|cost|forgery)\./;

/** Key by which an event is stored once; for events of an attempt that carry their maker's id. */
export const originKey = (event: { attemptId: string | null; origin: string | null }): string =>
  JSON.stringify([event.attemptId, event.origin]);

/** Makes an event storable. A time that is none becomes ours: one bad event must not keep those beside it out. */
export function cleanEvent(event: NewEvent): CleanEvent {
  const payload = storableJson(event.payload);
  const ts = event.ts === undefined ? Number.NaN : Date.parse(event.ts);
  return {
    ts: (Number.isNaN(ts) ? new Date() : new Date(ts)).toISOString(),
    type: storableText(event.type).toWellFormed(),
    source: event.source,
    attemptId: event.attemptId,
    turn: event.turn ?? null,
    origin: event.origin == null ? null : storableText(event.origin).toWellFormed(),
    payload: JSON.parse(payload) as Record<string, unknown>,
    bytes: Buffer.byteLength(payload),
  };
}

/** Numbers what is new and fits; the rest is left out, and that it is, is told once. What the platform itself decided always fits. */
export function planEvents(
  counter: Counter,
  events: readonly CleanEvent[],
  known: ReadonlySet<string>,
  caps: EventCaps,
): { counter: Counter; stored: StoredEvent[] } {
  let { seq, bytes, capped } = counter;
  const seen = new Set(known);
  const stored: StoredEvent[] = [];
  const store = ({ bytes: size, ...event }: CleanEvent) => {
    seq += 1;
    bytes += size;
    stored.push({ seq, ...event });
  };
  for (const event of events) {
    if (event.attemptId !== null && event.origin !== null) {
      const key = originKey(event);
      if (seen.has(key)) continue;
      seen.add(key);
    }
    const room = event.source === "reported" ? 0 : provoked.test(event.type) ? caps.provoked : Number.POSITIVE_INFINITY;
    const fits =
      room === Number.POSITIVE_INFINITY ||
      (seq < caps.events + room && bytes + event.bytes <= caps.bytes + room * 1_024);
    if (fits) store(event);
    else if (!capped) {
      capped = true;
      const detail = "The job's record is full; later reports are not stored.";
      store(
        cleanEvent({
          type: "stream.capped",
          source: "observed",
          attemptId: event.attemptId,
          payload: { limit: "events", detail },
        }),
      );
    }
  }
  return { counter: { seq, bytes, capped }, stored };
}
