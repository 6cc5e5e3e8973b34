import { z } from "zod";
import { Usage } from "./event.ts";
import { GrantDetails, GrantType, matchesPattern } from "./grant.ts";
import { WireFormat } from "./manifest.ts";
import { Micros } from "./money.ts";

/**
 * What control plane and sidecar say to each other. The sidecar dials out to `controlUrl`; it is never dialled.
 * Stages: boot (inherited descriptor) -> enrol (one-time token for a short-lived identity) -> policy stream (grants and
 * rules by push) -> leases and settlements -> end. Out of reach for longer than `failClosedMs` it refuses everything.
 */
export const PhaseName = z.enum(["setup", "agent", "verify"]);
export type PhaseName = z.infer<typeof PhaseName>;

/** Price of one model in micro-dollars per million tokens; `input` is for uncached tokens. */
const PerMillion = {
  inputMicrosPerMTok: z.number().min(0),
  outputMicrosPerMTok: z.number().min(0),
  cacheReadMicrosPerMTok: z.number().min(0),
  cacheWriteMicrosPerMTok: z.number().min(0),
  /** Writes that are kept for an hour; where it is absent they are refused. */
  cacheWrite1hMicrosPerMTok: z.number().min(0).optional(),
};
export const ModelPrice = z.object({
  ...PerMillion,
  /** Other prices for calls with at least this much input, cached tokens included; ascending. */
  tiers: z.array(z.object({ fromInputTokens: z.number().int().min(1), ...PerMillion })).optional(),
  source: z.string(),
  asOf: z.string(),
});
export type ModelPrice = z.infer<typeof ModelPrice>;

/** One way to a provider. The credential is sent only to `baseUrl`'s host. */
export const ProviderRoute = z.object({
  provider: z.string().max(100),
  grantType: GrantType,
  api: WireFormat,
  /** Without the wire format's own path, e.g. `https://api.anthropic.com`. */
  baseUrl: z.string().url(),
  auth: z.discriminatedUnion("kind", [
    z.object({ kind: z.literal("header"), name: z.string(), prefix: z.string().default(""), value: z.string() }),
    z.object({ kind: z.literal("none") }),
  ]),
  /** Extra CA bundle in PEM for the route, or none. */
  ca: z.string().optional(),
  /** Allow a base URL on a private or loopback address: operator-set only. */
  allowPrivate: z.boolean().default(false),
});
export type ProviderRoute = z.infer<typeof ProviderRoute>;

/** Prices by `provider/model`, looked up by exact id, then by that of the model whose dated release it is. */
export const PriceTable = z.record(z.string(), ModelPrice);
export type PriceTable = z.infer<typeof PriceTable>;

export const EgressRule = z.object({
  host: z.string(),
  ports: z.array(z.number().int()).default([80, 443]),
  address: z.string().optional(),
  phases: z.array(PhaseName),
  /** The grant behind it, when that is for one use: it is taken before the first byte leaves. */
  onceGrantId: z.string().optional(),
});
export type EgressRule = z.infer<typeof EgressRule>;

/**
 * One package registry that the sidecar serves read-only below `registryPrefix`: `/registry/<name>/<path>` is that path at `base`'s
 * origin, `/registry/<name>@<host[:port]>/<path>` the same at a host of `files`.
 */
export const SidecarRegistry = z.object({
  /** What a grant of type `registry` names. */
  name: z.string().regex(/^[a-z][a-z0-9-]{0,40}$/),
  /** Where packages are looked up; only paths below it are served. Without user, query and fragment. */
  base: z.string().url(),
  /** Further paths of the same origin that are served, each with a slash at both ends. */
  paths: z.array(z.string()).default([]),
  /** Origins from which the registry serves its files, and to which it may redirect. */
  files: z.array(z.string().url()).default([]),
  /** Whether its pages carry absolute addresses of files, which are then made local on the way. */
  pages: z.boolean().default(false),
  /** What its clients are told by variables. `{api}` stands for host and port of the sidecar's API, `{token}` for the job token. */
  env: z.record(z.string(), z.string()).default({}),
  /** The stored login as a header's value; sent to `base`'s origin alone, and never told inside. */
  authorization: z.string().max(10_000).optional(),
});
export type SidecarRegistry = z.infer<typeof SidecarRegistry>;

/** Path prefix of the registries on the sidecar's API port. */
export const registryPrefix = "/registry/";

/** A repository that the sidecar serves below `/git/<name>`. Its credential is asked for when it is needed. */
export const SidecarRepository = z.object({ name: z.string().max(100), url: z.string().max(4_000) });
export type SidecarRepository = z.infer<typeof SidecarRepository>;

/** The API of a repository's forge, as far as the sidecar serves it. */
export const SidecarForge = z.object({
  kind: z.literal("github"),
  /** Name of the repository whose credential it takes. */
  repository: z.string().max(100),
  /** Where its API begins, e.g. `https://api.github.com` or `https://forge.example/api/v3`. */
  api: z.url().max(2_000),
  /** `owner/name` as its paths have it. */
  fullName: z.string().regex(/^(?!\.)[\w.-]{1,100}\/(?!\.{1,2}$)[\w.-]{1,100}$/),
  /** Numbers of the job's own issue and pull request: only these are spoken to. */
  conversations: z.array(z.number().int().min(1)).max(20),
});
export type SidecarForge = z.infer<typeof SidecarForge>;

/** Bytes of one push where the boot document does not say. */
export const defaultPushBytes = 256 * 1024 ** 2;

/** Written once by the control plane to the sidecar's inherited descriptor, then end of file. Holds secrets: never logged. */
export const SidecarBoot = z.object({
  workspaceId: z.string(),
  attemptId: z.string(),
  jobId: z.string(),
  controlUrl: z.string().url(),
  enrolmentToken: z.string(),
  /** What the pod presents on every sidecar port. Worthless elsewhere. */
  jobToken: z.string(),
  phase: PhaseName,
  routes: z.array(ProviderRoute),
  prices: PriceTable,
  /** Output tokens reserved at a time. */
  sliceTokens: z.number().int().min(1).default(4_000),
  git: z.array(SidecarRepository).max(20).default([]),
  forge: SidecarForge.optional(),
  registries: z.array(SidecarRegistry).max(20).default([]),
  limits: z.object({
    maxBodyBytes: z.number().int(),
    maxConcurrentCalls: z.number().int(),
    egressBytes: z.number().int(),
    /** Of one push; absent: `defaultPushBytes`. */
    pushBytes: z.number().int().optional(),
    maxTunnels: z.number().int(),
  }),
  failClosedMs: z.number().int(),
  /** HTTP proxy of the machine, for CONNECT chaining. */
  upstreamProxy: z.string().optional(),
  ca: z.string().optional(),
  /** Addresses and ports that are never dialled, whatever the rules say: our own listeners. */
  forbidden: z.array(z.object({ address: z.string(), port: z.number().int().optional() })).default([]),
});
export type SidecarBoot = z.infer<typeof SidecarBoot>;

export const EnrolRequest = z.object({ token: z.string() });
export const EnrolReply = z.object({ identity: z.string(), expiresAt: z.iso.datetime() });

/** Live policy; the stream at `GET /sidecar/v1/policy` sends one whole document per change and a heartbeat comment. */
export const SidecarPolicy = z.object({
  version: z.number().int(),
  phase: PhaseName,
  grants: z.array(z.object({ id: z.string(), type: GrantType, details: GrantDetails, once: z.boolean() })),
  egress: z.array(EgressRule),
  /**
   * Repositories that may be pushed to at all, each with the branches that never are, whatever a grant says: names, or patterns
   * with `*`. Neither a remote's default branch nor the one the job stands on may be missing.
   */
  push: z
    .array(z.object({ repository: z.string().max(100), protected: z.array(z.string().max(300)).max(1_000) }))
    .optional(),
  stopped: z.boolean().default(false),
});
export type SidecarPolicy = z.infer<typeof SidecarPolicy>;

/** `POST /sidecar/v1/use`: takes a grant for one use before the call that uses it leaves; one of all who ask gets it. */
export const UseRequest = z.object({ grantId: z.string().max(100) });
export type UseRequest = z.infer<typeof UseRequest>;
export const UseReply = z.object({ taken: z.boolean() });
export type UseReply = z.infer<typeof UseReply>;

/** What a repository's credential is for: each is minted with no more rights than this. */
export const GitPurpose = z.enum(["read", "push", "forge.read", "forge.comment"]);
export type GitPurpose = z.infer<typeof GitPurpose>;

/**
 * `POST /sidecar/v1/git`: the credential of one repository for one purpose. Refused without a grant that covers it, and where
 * the repository's forge protects one of `branches`, which a push names.
 */
export const GitCredentialRequest = z.object({
  repository: z.string().max(100),
  purpose: GitPurpose,
  branches: z.array(z.string().max(300)).max(100).optional(),
});
export type GitCredentialRequest = z.infer<typeof GitCredentialRequest>;
export const GitCredentialReply = z.object({
  /** Value of the `authorization` header; null where the remote is read without one. Sent to the repository's own origin only. */
  authorization: z
    .string()
    .max(8_000)
    .regex(/^[\x20-\x7e]+$/)
    .nullable(),
  /** Null: it does not expire by itself, and is asked for again now and then. */
  expiresAt: z.iso.datetime().nullable(),
});
export type GitCredentialReply = z.infer<typeof GitCredentialReply>;

/** How grants may name a repository: the sidecar's name for it, or its path at its host, as in `owner/name`. Pure. */
export function repositoryNames({ name, url }: SidecarRepository): string[] {
  const path = /^[a-z]+:\/\/[^/]*\/(.+?)(?:\.git)?\/?$/.exec(url)?.[1];
  return path === undefined ? [name] : [name, path];
}

/** The grants, of those given, that cover `purpose` on a repository; which branches a push may touch is another matter. Pure. */
export function repositoryGrants<G extends { type: GrantType; details: GrantDetails }>(
  grants: readonly G[],
  purpose: GitPurpose,
  repository: SidecarRepository,
): G[] {
  const names = repositoryNames(repository);
  const concerns = (pattern = "*") => names.some((name) => matchesPattern(pattern, name));
  return grants.filter(({ type, details }) => {
    switch (purpose) {
      case "read":
        return type === "repo.read" && concerns(details.pattern);
      case "push":
        return type === "repo.push" && concerns(details.repository);
      default:
        return (
          type === "forge" &&
          concerns(details.repository) &&
          matchesPattern(details.pattern, purpose.slice("forge.".length))
        );
    }
  });
}

/** `POST /sidecar/v1/lease`: asks for a block of the budget. Idempotent by `requestId`. */
export const LeaseRequest = z.object({
  requestId: z.string(),
  wantMicros: Micros,
  /** At least this much or nothing. */ minMicros: Micros,
});
export const LeaseReply = z.discriminatedUnion("outcome", [
  z.object({ outcome: z.literal("granted"), leaseId: z.string(), amountMicros: Micros, expiresAt: z.iso.datetime() }),
  z.object({
    outcome: z.literal("refused"),
    code: z.literal("budget_exceeded"),
    scope: z.string(),
    limitMicros: Micros,
    spentMicros: Micros,
  }),
]);
export type LeaseRequest = z.infer<typeof LeaseRequest>;
export type LeaseReply = z.infer<typeof LeaseReply>;

/** One finished (or given up) model call. `callId` makes its settlement idempotent. */
export const CallRecord = z.object({
  callId: z.string(),
  leaseId: z.string(),
  provider: z.string(),
  api: WireFormat,
  model: z.string(),
  servedModel: z.string().optional(),
  usage: Usage,
  costMicros: Micros,
  /** True when no final usage arrived and the reservation was charged. */
  estimated: z.boolean(),
  outcome: z.enum(["completed", "upstream_error", "client_gone", "budget_stopped", "broken_stream", "sidecar_lost"]),
  status: z.number().int().optional(),
  startedAt: z.iso.datetime(),
  latencyMs: z.number(),
  firstByteMs: z.number().optional(),
  grantId: z.string(),
});
export type CallRecord = z.infer<typeof CallRecord>;

/** `POST /sidecar/v1/settle`: finished calls, reservations in flight, leases given back. */
export const SettleRequest = z.object({
  calls: z.array(CallRecord).max(1_000),
  /** Sum still reserved per lease; with the sidecar lost, this is charged. */
  inFlight: z.array(z.object({ leaseId: z.string(), reservedMicros: Micros })).max(1_000),
  release: z.array(z.string()).max(1_000).default([]),
});
export type SettleRequest = z.infer<typeof SettleRequest>;

/** Observed events of the sidecar: `model.refused`, `egress.*`, `git.*`, `forge.*`, `limit.hit`. */
export const SidecarEvents = z.object({
  events: z
    .array(
      z.object({ id: z.string(), ts: z.iso.datetime(), type: z.string(), payload: z.record(z.string(), z.unknown()) }),
    )
    .max(1_000),
});
export type SidecarEvents = z.infer<typeof SidecarEvents>;

/** Paths of the control channel, for both ends. */
export const sidecarPaths = {
  enrol: "/sidecar/v1/enrol",
  renew: "/sidecar/v1/renew",
  policy: "/sidecar/v1/policy",
  use: "/sidecar/v1/use",
  git: "/sidecar/v1/git",
  lease: "/sidecar/v1/lease",
  settle: "/sidecar/v1/settle",
  events: "/sidecar/v1/events",
} as const;

/** Socket names in the sidecar's directory, and the loopback port inside the pod that a forwarder maps to each. */
export const sidecarSockets = { "api.sock": 9090, "inference.sock": 11432, "egress.sock": 3128 } as const;

/** Path prefix of each wire format on the inference port; the rest is the provider's own path. */
export const inferencePrefix = {
  "anthropic-messages": "/anthropic",
  "openai-responses": "/openai",
  "openai-chat": "/openai",
} as const satisfies Record<WireFormat, string>;
