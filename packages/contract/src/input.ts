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

/**
 * One JSON line on the host's standard input, written by the driver: all that the host knows at its start. Kept in
 * memory only. Paths are inside paths; `spawnPrefix` puts the CLI into its own pid and mount namespaces.
 */
export const HostBoot = z.object({
  token: z.string().min(16),
  jobToken: z.string(),
  workspaceId: z.string(),
  manifestPath: z.string(),
  appDir: z.string(),
  cwd: z.string(),
  home: z.string(),
  runDir: z.string(),
  sockDir: z.string().nullable(),
  /** Listen on 127.0.0.1:3100 and :8788 too, and forward the sidecar's ports; false where the network is not the pod's own. */
  tcp: z.boolean(),
  /** Loopback ports of the sidecar's sockets, as forwarded inside; differs from the fixed ports only where `tcp` is false. */
  inferenceUrl: z.string(),
  env: z.record(z.string(), z.string()),
  spawnPrefix: z.array(z.string()),
});
export type HostBoot = z.infer<typeof HostBoot>;
