import { z } from "zod";
import { CommandResult, Digest, EvidenceRecord } from "./evidence.ts";
import { GrantDetails, GrantScope, GrantSubject, GrantType } from "./grant.ts";
import { Actor, IsolationLevel, IsolationReport, JobState, ReasonCode, TrustLabel } from "./job.ts";
import { RuntimeManifest } from "./manifest.ts";
import { Micros } from "./money.ts";

const id = z.string().min(1).max(100);
const time = z.iso.datetime();
export const MAX_GOAL = 1_048_576;

export const Limits = z.object({
  memoryBytes: z
    .number()
    .int()
    .min(64 * 1024 * 1024)
    .max(1024 ** 4),
  processes: z.number().int().min(16).max(100_000),
  diskBytes: z
    .number()
    .int()
    .min(16 * 1024 * 1024)
    .max(1024 ** 5),
  setupMs: z.number().int().min(1_000).max(86_400_000),
  verifyMs: z.number().int().min(1_000).max(86_400_000),
  /** A turn without any event for this long is stopped. */
  stallMs: z.number().int().min(1_000).max(86_400_000),
  jobMs: z
    .number()
    .int()
    .min(1_000)
    .max(7 * 86_400_000),
  /** An unanswered question ends the job after this long. */
  answerMs: z
    .number()
    .int()
    .min(1_000)
    .max(30 * 86_400_000),
  egressBytes: z.number().int().min(0),
});
export type Limits = z.infer<typeof Limits>;
export const defaultLimits: Limits = {
  memoryBytes: 4 * 1024 ** 3,
  processes: 2_048,
  diskBytes: 8 * 1024 ** 3,
  setupMs: 900_000,
  verifyMs: 900_000,
  stallMs: 600_000,
  jobMs: 7_200_000,
  answerMs: 86_400_000,
  egressBytes: 2 * 1024 ** 3,
};

/** Approval policy. The default is a person; `auto` needs every condition to hold and no flagged path. */
export const ApprovalPolicy = z.object({
  mode: z.enum(["person", "auto"]).default("person"),
  maxFiles: z.number().int().min(1).default(20),
  maxLines: z.number().int().min(1).default(400),
  maxCostMicros: Micros.default(5_000_000),
  paths: z.array(z.string().max(300)).max(100).default(["**"]),
});
export type ApprovalPolicy = z.infer<typeof ApprovalPolicy>;
const { mode, maxFiles, maxLines, maxCostMicros, paths } = ApprovalPolicy.shape;
/** Some keys of a policy. Without defaults: what is not named stays as it is. */
const ApprovalChange = z
  .object({
    mode: mode.removeDefault(),
    maxFiles: maxFiles.removeDefault(),
    maxLines: maxLines.removeDefault(),
    maxCostMicros: maxCostMicros.removeDefault(),
    paths: paths.removeDefault(),
  })
  .partial();

/** What may start a job on an issue by itself, and how a published change goes on. People with the least permission `who` only. */
export const FollowPolicy = z.object({
  triggers: z.array(z.enum(["label", "assignment", "comment"])),
  /** Label that starts a job. */
  label: z.string().min(1).max(50),
  who: z.enum(["write", "maintain", "admin"]),
  /** What begins another round while the pull request is open; `base` is a conflict with the base, or being behind it where the forge asks for more. */
  rounds: z.array(z.enum(["review", "checks", "base"])),
  /** Rounds that begin by themselves; further ones need a person. */
  maxRounds: z.number().int().min(0).max(50),
  /** Remarks are gathered until nothing was said for so long. */
  quietSeconds: z.number().int().min(0).max(3_600),
  /** The branch is deleted when the pull request has ended. */
  deleteBranch: z.boolean(),
  /** A job whose issue is closed meanwhile: people are asked, or it is cancelled. */
  onIssueClosed: z.enum(["ask", "cancel"]),
});
export type FollowPolicy = z.infer<typeof FollowPolicy>;
/** What holds for a project about which nobody said anything. */
export const defaultFollow: FollowPolicy = {
  triggers: ["label", "assignment", "comment"],
  label: "x1",
  who: "write",
  rounds: ["review", "checks", "base"],
  maxRounds: 5,
  quietSeconds: 60,
  deleteBranch: true,
  onIssueClosed: "ask",
};

/** How the pull request of a published change looks. */
export const PullRequestPolicy = z.object({
  draft: z.boolean(),
  labels: z.array(z.string().min(1).max(50)).max(20),
  /** Reviews are asked of the owners that CODEOWNERS of the base commit names. */
  codeowners: z.boolean(),
  /** The text says that it closes the issue; never for a job with words from outside. */
  closesIssue: z.boolean(),
  /** Comments of people who may not write to the repository are part of what the agent is told. */
  outsideComments: z.boolean(),
});
export type PullRequestPolicy = z.infer<typeof PullRequestPolicy>;
/** What holds for a project about which nobody said anything. */
export const defaultPullRequests: PullRequestPolicy = {
  draft: false,
  labels: [],
  codeowners: true,
  closesIssue: true,
  outsideComments: false,
};

/** What of a repository, beyond the files of its base commit, is fetched for a job. */
export const ContentPolicy = z.object({
  /** Submodules of the base: none, those beside the repository (same host and owner), or also those on `submoduleHosts`. */
  submodules: z.enum(["none", "same_owner", "hosts"]),
  /** `host` or `host:port`. */
  submoduleHosts: z.array(z.string().regex(/^[a-z0-9.-]+(:[0-9]{1,5})?$/)).max(20),
  /** Content kept in Git LFS is fetched up to so many megabytes in all; 0 leaves the pointers. */
  lfsMegabytes: z.number().int().min(0).max(10_000),
  /** Whether only the base's own files are fetched, without earlier versions: `auto` where the forge says that it is large. */
  partial: z.enum(["auto", "always", "never"]),
});
export type ContentPolicy = z.infer<typeof ContentPolicy>;
/** What holds for a project about which nobody said anything. */
export const defaultContent: ContentPolicy = {
  submodules: "none",
  submoduleHosts: [],
  lfsMegabytes: 0,
  partial: "auto",
};

export const Project = z.object({
  id,
  name: z.string().min(1).max(200),
  repository: z.string().min(1).max(2_000),
  defaultBranch: z.string().max(300).nullable(),
  setup: z.string().max(10_000).nullable(),
  verify: z.string().max(10_000).nullable(),
  runtime: z.string().max(100).nullable(),
  model: z.string().max(200).nullable(),
  minIsolation: IsolationLevel,
  maxRounds: z.number().int().min(0).max(50),
  verifyNetwork: z.boolean(),
  limits: Limits,
  approval: ApprovalPolicy,
  /** Always there; not in answers of the first release. */
  follow: FollowPolicy.optional(),
  pullRequests: PullRequestPolicy.optional(),
  content: ContentPolicy.optional(),
  createdAt: time,
  archivedAt: time.nullable(),
});
export type Project = z.infer<typeof Project>;
export const ProjectCreate = z.object({
  name: z.string().min(1).max(200).optional(),
  repository: z.string().min(1).max(2_000),
  defaultBranch: z.string().max(300).optional(),
  setup: z.string().max(10_000).optional(),
  verify: z.string().max(10_000).optional(),
  runtime: z.string().max(100).optional(),
  model: z.string().max(200).optional(),
  minIsolation: IsolationLevel.optional(),
  maxRounds: z.number().int().min(0).max(50).optional(),
  verifyNetwork: z.boolean().optional(),
  limits: Limits.partial().optional(),
  approval: ApprovalChange.optional(),
  follow: FollowPolicy.partial().optional(),
  pullRequests: PullRequestPolicy.partial().optional(),
  content: ContentPolicy.partial().optional(),
});
export type ProjectCreate = z.infer<typeof ProjectCreate>;
export const ProjectUpdate = ProjectCreate.omit({ repository: true }).partial();

/** A project's commands tried on its base commit, without an agent. Kept while the service runs. */
export const ProjectTrial = z.object({
  id,
  projectId: id,
  /** `failed`: a command did. `broken`: it could not be tried, for the reason in `detail`. */
  state: z.enum(["running", "passed", "failed", "cancelled", "broken"]),
  phase: z.enum(["checkout", "setup", "verify"]),
  commit: z.string().nullable(),
  setup: CommandResult.nullable(),
  verify: CommandResult.nullable(),
  /** The end of what the commands have said so far, both streams as they came; at most 64 KiB of `outputBytes`. */
  output: z.string(),
  outputBytes: z.number().int(),
  /** Hosts that were refused. */
  blocked: z.array(z.string()),
  detail: z.string().nullable(),
  startedAt: time,
  endedAt: time.nullable(),
});
export type ProjectTrial = z.infer<typeof ProjectTrial>;

export const JobCreate = z.object({
  /** An existing project, or a repository whose project is found or made. */
  projectId: id.optional(),
  repository: z.string().max(2_000).optional(),
  goal: z.string().min(1).max(MAX_GOAL),
  title: z.string().max(300).optional(),
  runtime: z.string().max(100).optional(),
  model: z.string().max(200).optional(),
  base: z.string().max(300).optional(),
  setup: z.string().max(10_000).optional(),
  verify: z.string().max(10_000).optional(),
  budgetMicros: Micros.optional(),
  maxRounds: z.number().int().min(0).max(50).optional(),
  ask: z.boolean().default(false),
  /** `process` must be asked for by name and is refused except for the bundled sample with the mock runtime. */
  isolation: IsolationLevel.optional(),
  limits: Limits.partial().optional(),
});
export type JobCreate = z.infer<typeof JobCreate>;

export const Job = z.object({
  id,
  projectId: id,
  title: z.string(),
  goal: z.string(),
  repository: z.string(),
  state: JobState,
  reason: ReasonCode,
  reasonDetail: z.string().nullable(),
  actor: Actor,
  runtime: z.string(),
  model: z.string(),
  base: z.string().nullable(),
  baseCommit: z.string().nullable(),
  setup: z.string().nullable(),
  verify: z.string().nullable(),
  ask: z.boolean(),
  isolation: IsolationLevel,
  limits: Limits,
  attempt: z.number().int(),
  round: z.number().int(),
  maxRounds: z.number().int(),
  budgetMicros: Micros.nullable(),
  spentMicros: Micros,
  reservedMicros: Micros,
  /** Digest that an approval of the present evidence binds to. */
  approvalDigest: Digest.nullable(),
  targetBranch: z.string().nullable(),
  publishedCommit: z.string().nullable(),
  /** Absent in answers of the first release: `member`. */
  trust: TrustLabel.optional(),
  openQuestions: z.array(
    z.object({
      requestId: z.string(),
      title: z.string(),
      options: z.array(z.object({ optionId: z.string(), name: z.string(), kind: z.string() })),
      freeText: z.boolean(),
      askedAt: time,
    }),
  ),
  createdBy: Actor,
  createdAt: time,
  updatedAt: time,
  endedAt: time.nullable(),
});
export type Job = z.infer<typeof Job>;

export const Attempt = z.object({
  id,
  number: z.number().int(),
  state: z.enum(["running", "ended"]),
  outcome: z.string().nullable(),
  reason: z.string().nullable(),
  workspaceId: z.string().nullable(),
  isolation: IsolationReport.nullable(),
  startedAt: time,
  endedAt: time.nullable(),
});
export type Attempt = z.infer<typeof Attempt>;
/** What a job came from. */
export const JobOrigin = z.object({
  connectionId: id,
  repository: z.string(),
  issueNumber: z.number().int().nullable(),
  issueUrl: z.string().nullable(),
  issueTitle: z.string().nullable(),
  trust: TrustLabel,
  trigger: z.string(),
  triggeredBy: z.string().nullable(),
});
/** A job's pull request, as last seen. */
export const JobPullRequest = z.object({
  number: z.number().int().nullable(),
  url: z.string().nullable(),
  state: z.enum(["open", "merged", "closed"]),
  draft: z.boolean(),
  headBranch: z.string(),
  baseBranch: z.string(),
  outcome: z.string().nullable(),
  followUps: z.number().int(),
  notes: z.array(z.string()),
  /** What the forge said at the last look; absent before the first. */
  seen: z
    .object({
      at: time,
      /** Whether it could be merged then; null while the forge had not said. */
      mergeable: z.boolean().nullable(),
      /** It must hold all of its base first, and does not. */
      behind: z.boolean(),
      /** At most 50 of the newest commit; names and addresses are the forge's words. */
      checks: z.array(
        z.object({
          name: z.string(),
          state: z.enum(["pending", "passed", "failed", "neutral"]),
          url: z.string().nullable(),
        }),
      ),
    })
    .optional(),
});
export const JobDetail = Job.extend({
  attempts: z.array(Attempt),
  /** Absent for a job that a person stated by itself. */
  origin: JobOrigin.nullish(),
  pullRequest: JobPullRequest.nullish(),
});
export type JobDetail = z.infer<typeof JobDetail>;

export const Evidence = z.object({
  id,
  jobId: id,
  attemptId: id,
  round: z.number().int(),
  createdAt: time,
  record: EvidenceRecord,
  recordDigest: Digest,
  approvalDigest: Digest.nullable(),
  pullRequest: z.object({ title: z.string(), body: z.string() }),
});
export type Evidence = z.infer<typeof Evidence>;

export const Decision = z.enum(["approve", "override", "reject", "request_changes"]);
/** Most remarks on lines that one decision carries. */
export const MAX_LINE_COMMENTS = 200;
/** A host that a job at work asked for and did not reach, for a person to allow or put away. */
export const BlockedHost = z.object({
  jobId: id,
  title: z.string(),
  projectId: id,
  host: z.string(),
  port: z.number().int(),
  phases: z.array(z.enum(["setup", "agent", "verify"])),
  /** `egress_blocked`: no grant names it. Another code: allowing the name alone does not help. */
  code: z.string(),
  count: z.number().int(),
  lastAt: time,
});
export type BlockedHost = z.infer<typeof BlockedHost>;
/** An issue that was closed while a job works on it: a person says whether the job is of use still. */
export const ClosedIssue = z.object({
  jobId: id,
  title: z.string(),
  number: z.number().int(),
  url: z.string().nullable(),
  at: time,
});
export type ClosedIssue = z.infer<typeof ClosedIssue>;
export const Inbox = z.object({
  blocked: z.array(BlockedHost),
  /** Of jobs that have not ended, where the project asks people; gone when the issue is open again. */
  closedIssues: z.array(ClosedIssue).optional(),
  /** Keys that the caller has put away, newest first; at most 1,000. */
  dismissed: z.array(z.string()),
});

/** A reviewer's remark on one line of the change: `line` is 1-based in the old or in the new file, as `side` says. */
export const LineComment = z.object({
  path: z.string().min(1).max(4_096),
  line: z.number().int().min(1).max(100_000_000),
  side: z.enum(["old", "new"]),
  text: z.string().min(1).max(4_000),
});
export type LineComment = z.infer<typeof LineComment>;
export const Approval = z.object({
  id,
  jobId: id,
  evidenceId: id,
  decision: Decision,
  digest: Digest,
  actor: Actor,
  comment: z.string().nullable(),
  /** Remarks on lines; they are part of the next round's message. */
  comments: z.array(LineComment).optional(),
  createdAt: time,
  usedAt: time.nullable(),
  voidedAt: time.nullable(),
});
export type Approval = z.infer<typeof Approval>;
export const Publication = z.object({
  id,
  jobId: id,
  approvalId: id,
  repository: z.string(),
  branch: z.string(),
  commit: z.string(),
  url: z.string().nullable(),
  title: z.string(),
  body: z.string(),
  createdAt: time,
});
export type Publication = z.infer<typeof Publication>;

/** What the last self-test of a runtime found: its CLI was started in an empty workspace until it took messages; no model was called. */
export const RuntimeTest = z.object({
  at: time,
  /** Of the CLI that was tested: after an update it is not the manifest's. */
  version: z.string(),
  ok: z.boolean(),
  /** What went wrong. */
  detail: z.string().nullable(),
  /** From the order to start to the CLI's readiness, on this machine. */
  startMs: z.number().int().nullable(),
  /** Host, CLI and all that it started, idle; shared pages by their share (`pss`) or in full (`rss`). Null where the driver cannot look. */
  memory: z.object({ bytes: z.number().int(), by: z.enum(["pss", "rss"]) }).nullable(),
});
export type RuntimeTest = z.infer<typeof RuntimeTest>;

export const Runtime = z.object({
  manifest: RuntimeManifest,
  installed: z.boolean(),
  installing: z.boolean(),
  /** A self-test is under way. */
  testing: z.boolean().optional(),
  /** Absent until there was one. */
  test: RuntimeTest.optional(),
  path: z.string().nullable(),
});
export type Runtime = z.infer<typeof Runtime>;

export const Budget = z.object({
  id,
  scope: z.object({ kind: z.enum(["organization", "project", "member", "job"]), id }),
  window: z.enum(["day", "week", "month", "total"]),
  limitMicros: Micros,
  spentMicros: Micros,
  reservedMicros: Micros,
  updatedAt: time,
});
export type Budget = z.infer<typeof Budget>;
export const BudgetSet = z.object({ scope: Budget.shape.scope, window: Budget.shape.window, limitMicros: Micros });

const Share = z.object({
  key: z.string(),
  name: z.string(),
  micros: Micros,
  calls: z.number().int(),
  jobs: z.number().int(),
});
/** Money spent on model calls between two times, as the sidecars metered it; days are UTC. */
export const Spend = z.object({
  since: time,
  until: time,
  totalMicros: Micros,
  /** The part of it that was charged by estimate, since a call ended without its usage. */
  estimatedMicros: Micros,
  jobs: z.number().int(),
  /** Jobs with calls in this time whose change was published. */
  publishedJobs: z.number().int(),
  /** All that was spent, failures included, over what was published; null when nothing was. */
  microsPerPublished: Micros.nullable(),
  /** Median time from evidence to a person's decision, in milliseconds; null when nobody decided. */
  medianDecisionMs: z.number().nullable(),
  /** What became of pull requests that were opened in this time; what was merged as published, or after people changed it. */
  outcomes: z
    .object({
      ...{ open: z.number().int(), merged: z.number().int(), mergedAfterChanges: z.number().int() },
      ...{ closed: z.number().int(), reverted: z.number().int() },
    })
    .optional(),
  days: z.array(z.object({ day: z.iso.date(), projectId: z.string(), project: z.string(), micros: Micros })),
  by: z.object({
    project: z.array(Share),
    runtime: z.array(Share),
    model: z.array(Share),
    member: z.array(Share),
  }),
  /** The most expensive jobs, at most 20. */
  top: z.array(
    z.object({
      jobId: id,
      title: z.string(),
      state: JobState,
      project: z.string(),
      runtime: z.string(),
      micros: Micros,
    }),
  ),
});
export type Spend = z.infer<typeof Spend>;

/** What an approval policy would have done with the newest evidence of past jobs. */
export const PolicyTrial = z.object({
  considered: z.number().int(),
  approved: z.number().int(),
  items: z.array(
    z.object({ jobId: id, title: z.string(), state: JobState, approved: z.boolean(), reasons: z.array(z.string()) }),
  ),
});
export type PolicyTrial = z.infer<typeof PolicyTrial>;

export const GrantCreate = z.object({
  subject: GrantSubject,
  type: GrantType,
  details: GrantDetails.partial().optional(),
  scope: GrantScope.default("persistent"),
  reason: z.string().max(2_000).default(""),
});

export const Provider = z.object({
  name: z.string(),
  api: z.string(),
  baseUrl: z.string(),
  configured: z.boolean(),
  lastFour: z.string().nullable(),
  lastUsedAt: time.nullable(),
  allowPrivate: z.boolean(),
});
export type Provider = z.infer<typeof Provider>;
export const ProviderSet = z.object({
  api: z.enum(["anthropic-messages", "openai-responses", "openai-chat"]).optional(),
  baseUrl: z.url().max(2_000).optional(),
  allowPrivate: z.boolean().optional(),
  ca: z.string().max(200_000).optional(),
});

export const Secret = z.object({
  name: z.string(),
  lastFour: z.string(),
  updatedAt: time,
  lastUsedAt: time.nullable(),
});
export const SecretSet = z.object({ value: z.string().min(1).max(100_000) });

export const AuditEntry = z.object({
  seq: z.number().int(),
  ts: time,
  actor: Actor,
  action: z.string(),
  subject: z.string(),
  data: z.record(z.string(), z.unknown()),
  previous: Digest,
  hash: Digest,
});
export type AuditEntry = z.infer<typeof AuditEntry>;

export const CallSummary = z.object({
  callId: z.string(),
  ts: time,
  provider: z.string(),
  api: z.string(),
  model: z.string(),
  servedModel: z.string().nullable(),
  inputTokens: z.number(),
  outputTokens: z.number(),
  cacheReadTokens: z.number(),
  cacheWriteTokens: z.number(),
  costMicros: Micros,
  estimated: z.boolean(),
  outcome: z.string(),
  latencyMs: z.number(),
});

export const Health = z.object({
  status: z.enum(["ok", "starting", "stopping"]),
  version: z.string(),
  contract: z.string(),
});
export const Doctor = z.object({
  ok: z.boolean(),
  checks: z.array(z.object({ name: z.string(), ok: z.boolean(), detail: z.string(), fix: z.string().nullable() })),
  isolation: IsolationReport.nullable(),
});
export type Doctor = z.infer<typeof Doctor>;

/** What and where this installation is. */
export const Installation = z.object({
  version: z.string(),
  contract: z.string(),
  node: z.string(),
  platform: z.string(),
  startedAt: time,
  /** Who the service runs as. */
  user: z.string(),
  dataDir: z.string(),
  blobsDir: z.string(),
  /** Null when the key was handed over by a descriptor or a variable. */
  masterKey: z.object({ file: z.string().nullable() }),
  database: z.object({
    kind: z.enum(["embedded", "server"]),
    version: z.string(),
    bytes: z.number().int(),
  }),
});

/** One model's price, in micro-dollars per million tokens. */
export const PricedModel = z.object({
  provider: z.string(),
  model: z.string(),
  inputMicrosPerMTok: z.number(),
  outputMicrosPerMTok: z.number(),
  cacheReadMicrosPerMTok: z.number(),
  cacheWriteMicrosPerMTok: z.number(),
  /** Other prices hold from this much input on. */
  tiersFrom: z.array(z.number().int()),
  source: z.string(),
  asOf: z.string(),
  /** Stated by the operator, over whatever the built-in list says. */
  stated: z.boolean(),
});

/** A price in USD per million tokens, exact to a micro-dollar; above it nothing sold today is found. */
const usdPerMTok = z.number().min(0).max(100_000);
/** A price that the operator states. What he leaves out for cached tokens costs what other input costs. */
export const PriceSet = z.object({
  inputUsdPerMTok: usdPerMTok,
  outputUsdPerMTok: usdPerMTok,
  cacheReadUsdPerMTok: usdPerMTok.optional(),
  cacheWriteUsdPerMTok: usdPerMTok.optional(),
  /** Where the price comes from: a page, a contract, "own hardware". */
  source: z.string().trim().min(1).max(500).default("operator"),
  /** Day on which it was read there; default today. */
  asOf: z.iso.date().optional(),
});

/** What one free call with the stored key found. */
export const ProviderTest = z.object({
  outcome: z.enum(["accepted", "refused", "unsure", "unreachable"]),
  detail: z.string(),
  latencyMs: z.number().int(),
  /** Models that the provider says it has. */
  models: z.array(z.string()),
});

export const GarbageCollection = z.object({
  dryRun: z.boolean(),
  retentionDays: z.number().int(),
  /** What was freed, or would be; `bytes` is null where it frees rows only. */
  items: z.array(
    z.object({
      kind: z.enum(["blobs", "mirrors", "job_caches", "saved_sessions", "idempotency_keys"]),
      count: z.number().int(),
      bytes: z.number().int().nullable(),
    }),
  ),
  /** Left alone: blobs in a store outside the data directory, which other databases may use. */
  skipped: z.array(z.string()),
});

export const Token = z.object({
  id: z.string(),
  name: z.string().nullable(),
  /** First characters, to tell tokens apart. */
  start: z.string().nullable(),
  scopes: z.array(z.string()),
  createdAt: z.string(),
  expiresAt: z.string().nullable(),
  lastUsedAt: z.string().nullable(),
});
export type Token = z.infer<typeof Token>;
