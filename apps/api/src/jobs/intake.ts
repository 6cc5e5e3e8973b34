import {
  type EventEnvelope,
  isLiveOnly,
  isObservedType,
  isReportedType,
  MAX_INLINE_TEXT,
  reportedEvents,
} from "@x1agent/contract";
import type { NewEvent, Said } from "@x1agent/domain-sessions";
import type { BlobStore } from "@x1agent/kernel";

/**
 * Takes in what a host says. Its source is stamped here, from the channel: everything is `reported`. A type that only the
 * platform makes is refused, and the refusal is itself an observed event.
 */
export type Sorted =
  | { kind: "live"; event: NewEvent }
  | { kind: "store"; event: NewEvent }
  | { kind: "forged"; event: NewEvent };

/** Sorts one event of a host. Pure. */
export function sortEvent(envelope: EventEnvelope, attemptId: string, runtime: string): Sorted {
  const { id, ts, type, turn } = envelope;
  // Which blob belongs to an event is ours to say (`shorten`): a digest that a host names would open another's.
  const { outputBlob: _claimed, ...payload } = envelope.payload;
  const stamped = { ts, source: "reported" as const, attemptId, turn: turn ?? null, origin: id };
  if (isObservedType(type))
    return {
      kind: "forged",
      event: {
        type: "forgery.refused",
        source: "observed",
        attemptId,
        origin: id,
        payload: { type, detail: "A runtime reported an event that only the platform makes." },
      },
    };
  // A gap is about our own connection and repeats after each: it has no id of its own.
  if (type === "stream.gap") return { kind: "store", event: { ...stamped, type, payload, origin: `gap ${id}` } };
  if (isReportedType(type)) {
    const parsed = reportedEvents[type].safeParse(payload);
    if (!parsed.success)
      return {
        kind: "store",
        event: { ...stamped, type: "runtime.raw", payload: { runtime, raw: { type, payload } } },
      };
    const event = { ...stamped, type, payload: parsed.data as Record<string, unknown> };
    return isLiveOnly(event) ? { kind: "live", event } : { kind: "store", event };
  }
  // Kept under its own name: a later minor of the contract may add types.
  return { kind: "store", event: { ...stamped, type: type.slice(0, 100), payload } };
}

/** A value as an event carries it: of a long text the beginning. Pure. */
const inline = (value: unknown): unknown =>
  typeof value === "string" && value.length > MAX_INLINE_TEXT ? `${value.slice(0, MAX_INLINE_TEXT)}…` : value;

/** Moves long texts of an event to the blob store: the event keeps their beginning and the name of the whole payload. */
export async function shorten(event: NewEvent, blobs: Pick<BlobStore, "put">): Promise<NewEvent> {
  let cut = false;
  const walk = (value: unknown): unknown => {
    const short = inline(value);
    if (short !== value) {
      cut = true;
      return short;
    }
    if (Array.isArray(value)) return value.map(walk);
    if (value !== null && typeof value === "object")
      return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, walk(entry)]));
    return value;
  };
  const payload = walk(event.payload) as Record<string, unknown>;
  if (!cut) return event;
  return { ...event, payload: { ...payload, outputBlob: await blobs.put(JSON.stringify(event.payload)) } };
}

/** Reported events that tell what a person said: as which kind of command it was left, by what name, and which fields it fills. */
const spoken = {
  "user.message": { kind: "inject", id: "id", parts: ["content"] },
  "permission.resolved": { kind: "answer", id: "requestId", parts: ["optionId", "text"] },
} as const;
const spokenOf = ({ type, source }: NewEvent) =>
  source === "reported" && Object.hasOwn(spoken, type) ? spoken[type as keyof typeof spoken] : null;

/** Names under which people may have left what these events tell. Pure. */
export function namesOfSaid(events: readonly NewEvent[]): string[] {
  return events.flatMap((event) => {
    const how = spokenOf(event);
    return how ? [String(event.payload[how.id])] : [];
  });
}

/** Whether an event has what was sent, cut as ours are (`shorten`), or as the host cuts what is longer than 32,000 characters. */
function isSame(told: unknown, sent: unknown): boolean {
  if (told === inline(sent)) return true;
  const cut = typeof told === "string" && typeof sent === "string" && sent.length > 32_000;
  return cut && told.startsWith(sent.slice(0, 16_000));
}

/**
 * Stamps who said what: from what people left for the session, never from what a host claims, and only where the words are
 * those that the person sent. Pure.
 */
export function nameSenders(events: readonly NewEvent[], said: readonly Said[]): NewEvent[] {
  const left = new Map(said.map((one) => [`${one.kind} ${one.dedupe}`, one]));
  return events.map((event) => {
    const how = spokenOf(event);
    if (!how) return event;
    const { actor: _claimed, ...payload } = event.payload;
    const sent = left.get(`${how.kind} ${String(payload[how.id])}`);
    const same = sent && how.parts.every((part) => isSame(payload[part], sent.body[part]));
    return { ...event, payload: same ? { ...payload, actor: `${sent.actor.kind}:${sent.actor.id}` } : payload };
  });
}

export type IntakeDeps = {
  attemptId: string;
  runtime: string;
  blobs: Pick<BlobStore, "put">;
  /** Stores a group in one transaction. */
  store(events: readonly NewEvent[]): Promise<unknown>;
  live(event: NewEvent): void;
  /** Sees each kept event after it was stored, once and in order. */
  seen(event: NewEvent): void;
  failed(error: unknown): void;
};

const GROUP = 200;
/** While one group is being stored the next gathers by itself: this wait is only for the first. */
const GROUP_MS = 2;
/** Unstored events above which reading waits. */
const MAX_WAITING = 2_000;
/** Forgeries told one by one; what comes after is only counted. */
const MAX_FORGED = 20;

/** Groups events on their way into the record, in order. */
export class Intake {
  readonly #deps: IntakeDeps;
  #waiting: NewEvent[] = [];
  #working: Promise<void> | null = null;
  #forged = 0;

  constructor(deps: IntakeDeps) {
    this.#deps = deps;
  }

  take(envelope: EventEnvelope): void {
    const sorted = sortEvent(envelope, this.#deps.attemptId, this.#deps.runtime);
    if (sorted.kind === "live") {
      this.#deps.live(sorted.event);
      return;
    }
    if (sorted.kind === "forged") {
      this.#forged += 1;
      if (this.#forged > MAX_FORGED) return;
    }
    this.#waiting.push(sorted.event);
    this.#working ??= this.#work();
  }

  /** Resolves when there is room for more. */
  async ready(): Promise<void> {
    while (this.#waiting.length > MAX_WAITING && this.#working) await this.#working;
  }

  /** Resolves when everything taken so far is in the record. */
  async flush(): Promise<void> {
    while (this.#working) await this.#working;
  }

  async #work(): Promise<void> {
    try {
      // Events come in bursts; one commit holds a burst.
      await new Promise((resolve) => setTimeout(resolve, GROUP_MS));
      while (this.#waiting.length > 0) {
        const group = await Promise.all(
          this.#waiting.splice(0, GROUP).map((event) => shorten(event, this.#deps.blobs)),
        );
        await this.#deps.store(group);
        for (const event of group) this.#deps.seen(event);
      }
    } catch (error) {
      this.#waiting = [];
      this.#deps.failed(error);
    } finally {
      this.#working = null;
      if (this.#waiting.length > 0) this.#working = this.#work();
    }
  }
}
