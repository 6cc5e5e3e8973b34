import {
  isObservedType,
  isReportedType,
  MAX_EVENT_BYTES,
  MAX_INLINE_TEXT,
  type ReportedType,
  reportedEvents,
} from "@x1agent/contract";

/** Families that the host makes itself: from an adapter they are as false as observed ones. */
const hostTypes: ReadonlySet<string> = new Set([
  "session.idle",
  "session.ended",
  "turn.started",
  "turn.ended",
  "user.message",
  "stream.gap",
]);

export type Checked = { type: ReportedType; payload: Record<string, unknown> };
/** Room for the envelope around a payload. */
const MAX_PAYLOAD_BYTES = MAX_EVENT_BYTES - 1_024;

/**
 * Makes of whatever an adapter emitted an event that may leave: of a family it may speak of, of the contract's shape, and
 * of bounded size. What claims to be observed is refused; what has the wrong shape is kept as `runtime.raw`.
 */
export function checkEvent(event: unknown, runtime: string): Checked {
  const { type, payload, source } = isRecord(event) ? event : {};
  if (typeof type !== "string") return raw(runtime, event);
  if (source !== undefined || isObservedType(type) || hostTypes.has(type))
    return {
      type: "error",
      payload: {
        code: "forged_event",
        detail: `The runtime may not speak for the platform: ${printable(type).slice(0, 100)} was refused.`,
      },
    };
  if (!isReportedType(type)) return raw(runtime, { type, payload });
  const parsed = reportedEvents[type].safeParse(cutContent(type, payload));
  if (!parsed.success) return raw(runtime, { type, payload });
  return fit({ type, payload: parsed.data as Record<string, unknown> }, runtime);
}

/** A message as it came, cut to what an event may carry. */
export function raw(runtime: string, value: unknown): Checked {
  const text = serialize(value);
  const fits = text !== null && text.length <= MAX_INLINE_TEXT;
  return {
    type: "runtime.raw",
    payload: { runtime, raw: fits ? JSON.parse(text) : { cut: cutText(text ?? "not serializable", MAX_INLINE_TEXT) } },
  };
}

/** Beginning and end of a text that is longer than `limit`, with a mark between them. */
export function cutText(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const mark = `\n[... ${text.length - limit} characters cut ...]\n`;
  const room = Math.max(0, limit - mark.length);
  const head = Math.ceil(room / 2);
  return (text.slice(0, head) + mark + text.slice(text.length - (room - head))).toWellFormed();
}

/** Tool output over the inline limit keeps head and tail, and says so. */
function cutContent(type: ReportedType, payload: unknown): unknown {
  if (!type.startsWith("tool.") || !isRecord(payload) || !Array.isArray(payload.content)) return payload;
  let truncated = false;
  const cut = (text: unknown): unknown => {
    if (typeof text !== "string" || text.length <= MAX_INLINE_TEXT) return text;
    truncated = true;
    return cutText(text, MAX_INLINE_TEXT);
  };
  const content = payload.content.map((part: unknown) => {
    if (!isRecord(part)) return part;
    const fields = ["text", "oldText", "newText"].filter((name) => name in part);
    return { ...part, ...Object.fromEntries(fields.map((name) => [name, cut(part[name])])) };
  });
  return { ...payload, content, ...(truncated ? { truncated: true } : {}) };
}

function fit(event: Checked, runtime: string): Checked {
  const size = (value: unknown) => {
    const text = serialize(value);
    return text === null ? Number.POSITIVE_INFINITY : Buffer.byteLength(text);
  };
  if (size(event.payload) <= MAX_PAYLOAD_BYTES) return event;
  for (const limit of [MAX_INLINE_TEXT, 2_000, 200]) {
    const payload = shorten(event.payload, limit, 0) as Record<string, unknown>;
    // Free-form input can lose its shape by shortening, the contract's fields cannot: but better looked at than believed.
    if (size(payload) <= MAX_PAYLOAD_BYTES && reportedEvents[event.type].safeParse(payload).success)
      return { type: event.type, payload };
  }
  return raw(runtime, event);
}

function shorten(value: unknown, limit: number, depth: number): unknown {
  if (typeof value === "string") return cutText(value, limit);
  if (typeof value !== "object" || value === null) return value;
  if (depth > 12) return null;
  if (Array.isArray(value)) return value.slice(0, 100).map((item) => shorten(item, limit, depth + 1));
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, 100)
      .map(([key, item]) => [key.slice(0, 200), shorten(item, limit, depth + 1)]),
  );
}

/** JSON text of a value, `null` when it has none (a cycle, a BigInt). */
function serialize(value: unknown): string | null {
  try {
    return JSON.stringify(value) ?? null;
  } catch {
    return null;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const printable = (text: string): string => text.replace(/[^\x20-\x7e]/g, "?");
