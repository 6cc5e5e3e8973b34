import { z } from "zod";

/**
 * Events of the runtime contract. Payload shapes and names follow the Agent Client Protocol so that its clients map one
 * to one. Everything that comes out of a pod is `reported`; only the control plane and the sidecar make `observed`
 * events, and `source` is stamped by the channel an event arrived on, never read from the event.
 */
export const EventSource = z.enum(["reported", "observed"]);
export type EventSource = z.infer<typeof EventSource>;

/** Largest text that an event carries inline, in UTF-16 units; longer bodies go to the blob store. */
export const MAX_INLINE_TEXT = 16_384;
/** Largest serialized event on the wire, in bytes. */
export const MAX_EVENT_BYTES = 262_144;

const text = z.string().max(MAX_EVENT_BYTES);
const id = z.string().min(1).max(200);
const short = z.string().max(2_000);

/** ACP stop reasons, and ours for what ACP has no word for. */
export const StopReason = z.enum(["end_turn", "max_tokens", "max_turns", "refusal", "cancelled", "error", "budget"]);
export type StopReason = z.infer<typeof StopReason>;

/** Token counts of one model call or one turn. Classes do not overlap: `input` excludes cached tokens. */
export const Usage = z.object({
  inputTokens: z.number().int().min(0).default(0),
  outputTokens: z.number().int().min(0).default(0),
  cacheReadTokens: z.number().int().min(0).default(0),
  cacheWriteTokens: z.number().int().min(0).default(0),
});
export type Usage = z.infer<typeof Usage>;

/** ACP tool kinds. */
export const ToolKind = z.enum([
  "read",
  "edit",
  "delete",
  "move",
  "search",
  "execute",
  "think",
  "fetch",
  "switch_mode",
  "other",
]);
export type ToolKind = z.infer<typeof ToolKind>;
/** ACP tool status. `completed` says that the call ended, not that the command inside succeeded: see `exitCode`. */
export const ToolStatus = z.enum(["pending", "in_progress", "completed", "failed"]);

export const ToolContent = z.discriminatedUnion("type", [
  z.object({ type: z.literal("text"), text }),
  z.object({ type: z.literal("diff"), path: short, oldText: text.nullable().optional(), newText: text }),
]);
export type ToolContent = z.infer<typeof ToolContent>;

const tool = {
  toolCallId: id,
  title: short.optional(),
  kind: ToolKind.optional(),
  status: ToolStatus.optional(),
  rawInput: z.unknown().optional(),
  content: z.array(ToolContent).max(50).optional(),
  locations: z
    .array(z.object({ path: short, line: z.number().int().optional() }))
    .max(200)
    .optional(),
  parentToolCallId: id.optional(),
};

/**
 * Who said it, such as `user:usr_1`. The platform stamps it where the words are those that somebody left for the session; what
 * a host claims is dropped. Absent where the platform itself spoke.
 */
const sender = { actor: short.optional() };

/** Families that a runtime reports, each with its payload. */
export const reportedEvents = {
  "session.init": z.object({
    sessionId: id,
    runtime: short,
    version: short.optional(),
    model: short.optional(),
    resumed: z.boolean().default(false),
    cwd: short.optional(),
    tools: z.array(short).max(500).optional(),
  }),
  "session.idle": z.object({}),
  "session.ended": z.object({
    code: short,
    detail: short.optional(),
    exitCode: z.number().int().nullable().optional(),
    signal: short.nullable().optional(),
  }),
  "turn.started": z.object({ turn: z.number().int().min(1) }),
  "turn.ended": z.object({
    turn: z.number().int().min(1),
    stopReason: StopReason,
    errorCode: short.optional(),
    detail: short.optional(),
    usage: Usage.optional(),
  }),
  "agent.text": z.object({ messageId: id, delta: text.optional(), text: text.optional() }),
  "agent.thought": z.object({ messageId: id, delta: text.optional(), text: text.optional() }),
  "tool.started": z.object({ ...tool }),
  "tool.updated": z.object({ ...tool }),
  "tool.ended": z.object({
    ...tool,
    status: ToolStatus,
    exitCode: z.number().int().nullable().optional(),
    truncated: z.boolean().optional(),
  }),
  "plan.updated": z.object({
    entries: z
      .array(
        z.object({
          content: short,
          status: z.enum(["pending", "in_progress", "completed"]),
          priority: z.enum(["high", "medium", "low"]).optional(),
        }),
      )
      .max(200),
  }),
  "permission.requested": z.object({
    requestId: id,
    title: short,
    toolCallId: id.optional(),
    kind: ToolKind.optional(),
    rawInput: z.unknown().optional(),
    options: z
      .array(
        z.object({
          optionId: id,
          name: short,
          kind: z.enum(["allow_once", "allow_always", "reject_once", "reject_always", "answer"]),
        }),
      )
      .max(20),
    freeText: z.boolean().default(false),
  }),
  "permission.resolved": z.object({
    requestId: id,
    optionId: id.optional(),
    text: text.optional(),
    outcome: z.enum(["selected", "cancelled", "expired"]),
    ...sender,
  }),
  "user.message": z.object({
    id,
    content: text,
    mode: z.enum(["queue", "steer", "interrupt"]),
    delivered: z.boolean(),
    ...sender,
  }),
  "usage.reported": z.object({ model: short.optional(), usage: Usage, costMicros: z.number().int().min(0).optional() }),
  retry: z.object({
    attempt: z.number().int().min(1),
    maxAttempts: z.number().int().optional(),
    delayMs: z.number().min(0).optional(),
    status: z.number().int().optional(),
    detail: short.optional(),
  }),
  error: z.object({ code: short, detail: text, status: z.number().int().optional() }),
  "stream.gap": z.object({ afterId: short.nullable(), resumedId: short, detail: short.optional() }),
  "runtime.raw": z.object({ runtime: short, raw: z.unknown() }),
} as const;

/** Families that only the control plane and the sidecar make. */
export const observedEvents = {
  "job.state": z.object({ from: short.nullable(), to: short, reason: short, actor: short, detail: short.optional() }),
  "attempt.started": z.object({
    attemptId: id,
    number: z.number().int(),
    runtime: short,
    model: short,
    isolation: z.unknown().optional(),
  }),
  "attempt.ended": z.object({ attemptId: id, outcome: short, reason: short, detail: short.optional() }),
  "phase.started": z.object({ phase: short, detail: short.optional(), round: z.number().int().optional() }),
  "phase.ended": z.object({
    phase: short,
    outcome: z.enum(["ok", "failed", "skipped"]),
    durationMs: z.number(),
    detail: short.optional(),
    round: z.number().int().optional(),
  }),
  "command.ended": z.object({
    phase: short,
    command: text,
    exitCode: z.number().int().nullable(),
    signal: short.nullable().optional(),
    durationMs: z.number(),
    timedOut: z.boolean(),
    outputTail: text,
    outputBytes: z.number(),
    outputBlob: short.optional(),
    network: z.enum(["none", "egress"]),
  }),
  "model.call": z.object({
    callId: id,
    provider: short,
    api: short,
    model: short,
    servedModel: short.optional(),
    usage: Usage,
    costMicros: z.number().int(),
    estimated: z.boolean(),
    outcome: short,
    status: z.number().int().optional(),
    latencyMs: z.number(),
    firstByteMs: z.number().optional(),
  }),
  "model.refused": z.object({ code: short, detail: short, provider: short.optional(), model: short.optional() }),
  "cost.updated": z.object({
    spentMicros: z.number().int(),
    reservedMicros: z.number().int(),
    limitMicros: z.number().int().nullable(),
  }),
  "egress.opened": z.object({
    host: short,
    port: z.number().int(),
    phase: short,
    bytesUp: z.number(),
    bytesDown: z.number(),
    /** A package registry's requests are told together. */
    registry: short.optional(),
    requests: z.number().int().optional(),
  }),
  "egress.blocked": z.object({
    host: short,
    port: z.number().int(),
    phase: short,
    code: short,
    detail: short.optional(),
  }),
  /** A grant for one use is used up. */
  "grant.used": z.object({ grantId: short, type: short, pattern: short }),
  "git.fetched": z.object({ repository: short, bytes: z.number() }),
  /** A branch that the workspace itself pushed, as the remote reported it; `old` is zeros for a new one, `bytes` those of the pack. */
  "git.pushed": z.object({ repository: short, ref: short, old: short, new: short, bytes: z.number() }),
  /** The agent said something on the job's own issue or pull request. */
  "forge.commented": z.object({ repository: short, number: z.number().int(), bytes: z.number() }),
  "git.refused": z.object({ repository: short, ref: short, detail: short }),
  /** The session refused what somebody said to it; nobody waits for an answer any more. */
  "input.refused": z.object({ verb: short, code: short, detail: short }),
  "limit.hit": z.object({ limit: short, detail: short, value: z.number().optional(), max: z.number().optional() }),
  "runtime.exited": z.object({
    exitCode: z.number().int().nullable(),
    signal: short.nullable().optional(),
    detail: short.optional(),
  }),
  "evidence.collected": z.object({
    round: z.number().int(),
    commit: short.nullable(),
    tree: short.nullable(),
    files: z.number().int(),
    insertions: z.number().int(),
    deletions: z.number().int(),
    named: z.array(short).max(1_000),
  }),
  "verification.ended": z.object({ round: z.number().int(), passed: z.boolean(), digest: short, summary: short }),
  "approval.recorded": z.object({
    approvalId: id,
    decision: short,
    digest: short,
    actor: short,
    detail: short.optional(),
    /** Remarks on lines, cut to what an event holds; the approval has them whole. */
    comments: z
      .array(z.object({ path: short, line: z.number().int(), side: z.enum(["old", "new"]), text: short }))
      .max(50)
      .optional(),
  }),
  "publication.ended": z.object({
    outcome: z.enum(["published", "refused"]),
    code: short.optional(),
    branch: short.optional(),
    commit: short.optional(),
    url: short.optional(),
    detail: short.optional(),
  }),
  /** The forge does not answer, or asks to wait: publishing goes on by itself. */
  "publication.waiting": z.object({ code: short, detail: short, tries: z.number().int() }),
  /** The pull request of the published change. */
  "publication.pull_request": z.object({
    number: z.number().int(),
    url: short,
    draft: z.boolean(),
    /** What could not be done as asked, one sentence each. */
    notes: z.array(short).max(50),
  }),
  /** Something happened at the forge that concerns the job; `author` and `detail` may be an outsider's words. */
  "forge.noted": z.object({
    kind: z.enum([
      "issue_edited",
      "issue_closed",
      "issue_reopened",
      "review",
      "checks_failed",
      "base_moved",
      "held",
      "round",
      "merged",
      "closed",
      "reverted",
      "branch_deleted",
      "command",
    ]),
    detail: short,
    author: short.optional(),
    url: short.optional(),
  }),
  "grant.changed": z.object({
    grantId: id,
    type: short,
    change: z.enum(["granted", "revoked", "consumed"]),
    actor: short,
  }),
  "stream.capped": z.object({ limit: short, detail: short }),
  "forgery.refused": z.object({ type: short, detail: short }),
} as const;

export type ReportedType = keyof typeof reportedEvents;
export type ObservedType = keyof typeof observedEvents;
export type ReportedPayload<T extends ReportedType> = z.infer<(typeof reportedEvents)[T]>;
export type ObservedPayload<T extends ObservedType> = z.infer<(typeof observedEvents)[T]>;

/** What an adapter emits: the host adds id, time and turn. */
export type ReportedEvent = {
  [T in ReportedType]: { type: T; payload: z.input<(typeof reportedEvents)[T]> };
}[ReportedType];
/** What the platform emits. */
export type ObservedEvent = {
  [T in ObservedType]: { type: T; payload: z.input<(typeof observedEvents)[T]> };
}[ObservedType];

/** `<boot epoch>-<seq>`: the epoch is the host's start in ms, seq counts from 1 within it. */
export const HostEventId = z.string().regex(/^\d{1,16}-\d{1,16}$/);

/** The envelope on :3100. `source` is always stamped `reported` there. Unknown types are kept by readers. */
export const EventEnvelope = z.object({
  id: HostEventId,
  ts: z.iso.datetime(),
  type: z.string().min(1).max(100),
  source: EventSource,
  turn: z.number().int().min(0).optional(),
  payload: z.record(z.string(), z.unknown()),
});
export type EventEnvelope = z.infer<typeof EventEnvelope>;

/** An event as stored and as the API's SSE carries it: `seq` numbers it within the job and is the SSE id. */
export const StoredEvent = z.object({
  seq: z.number().int().min(1),
  ts: z.iso.datetime(),
  type: z.string(),
  source: EventSource,
  attemptId: z.string().nullable(),
  turn: z.number().int().nullable(),
  /** The host's own id, kept to remove duplicates; null for observed events. */
  origin: z.string().nullable(),
  payload: z.record(z.string(), z.unknown()),
});
export type StoredEvent = z.infer<typeof StoredEvent>;

/** Types of deltas that are live only: the finished message is stored, its deltas are not. */
export function isLiveOnly(event: { type: string; payload: Record<string, unknown> }): boolean {
  return (event.type === "agent.text" || event.type === "agent.thought") && event.payload.text === undefined;
}

export const isReportedType = (type: string): type is ReportedType => Object.hasOwn(reportedEvents, type);
export const isObservedType = (type: string): type is ObservedType => Object.hasOwn(observedEvents, type);
