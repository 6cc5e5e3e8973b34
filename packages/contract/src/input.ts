import { z } from "zod";
import { Usage } from "./event.ts";

/** Verbs that the host serves on :8788. Every one needs the workspace's bearer token. */
export const InjectMode = z.enum(["queue", "steer", "interrupt"]);
export type InjectMode = z.infer<typeof InjectMode>;

/** Longest message a session takes, in UTF-16 units. */
export const MAX_MESSAGE = 1_100_000;

/** `POST /start`: starts the CLI, once checkout and set-up are done. Repeating it with the same `sessionKey` is answered with the state. */
export const StartRequest = z.object({
  sessionKey: z.string().min(1).max(100),
  model: z.string().max(200).optional(),
  /** Send tool questions out instead of running tools at once. */
  ask: z.boolean().default(false),
  /** Instruction files of the base commit, handed over as text: nothing is read from the checkout. */
  instructions: z.string().max(1_000_000).optional(),
  /** The CLI's own session id to resume. */
  resume: z.string().max(500).optional(),
});
export type StartRequest = z.infer<typeof StartRequest>;

/** `POST /inject`: idempotent by `id`; answers when queued, `user.message` tells when it was delivered. */
export const InjectRequest = z.object({
  id: z.string().min(1).max(100),
  content: z.string().min(1).max(MAX_MESSAGE),
  mode: InjectMode.default("queue"),
});
export type InjectRequest = z.infer<typeof InjectRequest>;

/** `POST /answer`. */
export const AnswerRequest = z.object({
  requestId: z.string().min(1).max(200),
  optionId: z.string().max(200).optional(),
  text: z.string().max(100_000).optional(),
});
export type AnswerRequest = z.infer<typeof AnswerRequest>;

export const ModelRequest = z.object({ model: z.string().min(1).max(200) });
export const EmptyRequest = z.object({});

/** `GET /health`, also before a session starts. */
export const HostHealth = z.object({
  status: z.literal("ok"),
  contract: z.string(),
  runtime: z.string(),
  runtimeVersion: z.string().nullable(),
});
export type HostHealth = z.infer<typeof HostHealth>;

/** `GET /state`. */
export const HostState = z.object({
  phase: z.enum(["waiting", "starting", "idle", "busy", "ended"]),
  sessionId: z.string().nullable(),
  turn: z.number().int(),
  queued: z.number().int(),
  openRequests: z.array(z.string()),
  lastEventId: z.string().nullable(),
  model: z.string().nullable(),
  usage: Usage,
});
export type HostState = z.infer<typeof HostState>;

/** Fixed ports of the pod. */
export const ports = {
  events: 3100,
  input: 8788,
  sidecarApi: 9090,
  inference: 11432,
  egress: 3128,
  sidecarHealth: 9091,
} as const;
