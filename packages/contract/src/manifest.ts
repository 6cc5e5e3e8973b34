import { z } from "zod";

/** Wire formats of model APIs, each with its path prefix on the sidecar's inference port. */
export const WireFormat = z.enum(["anthropic-messages", "openai-responses", "openai-chat"]);
export type WireFormat = z.infer<typeof WireFormat>;

export const capabilityNames = [
  "steer",
  "queue",
  "interrupt",
  "resume",
  "approvals",
  "usage",
  "plan",
  "models",
  "mcp",
] as const;
export const Capability = z.enum(capabilityNames);
export type Capability = z.infer<typeof Capability>;

/** `/x1/runtime.json`: all that the platform knows of a runtime. Unknown fields are kept. */
export const RuntimeManifest = z.looseObject({
  name: z.string().regex(/^[a-z][a-z0-9-]{0,40}$/),
  title: z.string().max(100),
  /** Exact version of the CLI. */
  version: z.string().max(100),
  contract: z.string(),
  license: z.string().max(200),
  /** False when the licence forbids passing the CLI on: then it is only ever installed at the operator's site. */
  redistributable: z.boolean(),
  capabilities: z.array(Capability),
  /** Wire format and provider of the default model. */
  api: WireFormat,
  provider: z.string().max(100),
  defaultModel: z.string().max(200),
  /** Adapter bundle in `/x1/app`. */
  adapter: z.string().default("adapter.mjs"),
  /** How the CLI gets onto this machine; null when it is part of the project. */
  install: z.object({ kind: z.literal("npm"), package: z.string(), lock: z.string() }).nullable(),
  /** Session files below `/home/agent` that are saved after a turn and restored for a resume; glob patterns, nothing else is kept. */
  sessionFiles: z.array(z.string().max(300)).max(20),
  /** May start during checkout; needs a test that instructions, git state and folder are seen. */
  earlyStart: z.boolean().default(false),
  /** Order in the catalogue; the installed runtime with the lowest rank is the default. No other code names a runtime. */
  rank: z.number().int().min(0).default(100),
  /** May run at level `process` (no isolation) on the bundled sample; true only for a scripted engine. */
  processLevel: z.boolean().default(false),
  /** Nested user namespaces for the CLI (its own sandbox). */
  nestedNamespaces: z.boolean().default(false),
});
export type RuntimeManifest = z.infer<typeof RuntimeManifest>;
