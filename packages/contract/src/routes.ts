import { z } from "zod";
import * as account from "./account.ts";
import type { ErrorCode } from "./errors.ts";
import { StoredEvent } from "./event.ts";
import { DiffFilePatch } from "./evidence.ts";
import * as f from "./forge.ts";
import { Grant } from "./grant.ts";
import { AnswerRequest, InjectRequest, ModelRequest } from "./input.ts";
import { Actor, JobState } from "./job.ts";
import * as r from "./resources.ts";

/**
 * The HTTP API as data: server, client, OpenAPI and the reference page are all made from this table.
 * `kind` tells how the answer is carried: `json`, `sse` (one `StoredEvent` per event, resumable by `Last-Event-ID`),
 * `text` or `bytes`. `params` come from the path, `query` and `body` are validated with the schemas.
 */
export type Route = {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  path: string;
  summary: string;
  kind: "json" | "sse" | "text" | "bytes";
  /** Scope that the token must carry; null for the few public ones. */
  scope: "read" | "write" | "approve" | "admin" | null;
  query?: z.ZodType;
  body?: z.ZodType;
  response: z.ZodType;
  status: number;
  /** Accepts `Idempotency-Key`. */
  idempotent?: boolean;
  errors: readonly ErrorCode[];
};

const defineRoutes = <const T extends Record<string, Route>>(table: T): T => table;

/** Cursor pagination: `cursor` of the next page is null at the end. */
export const page = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item), cursor: z.string().nullable() });
const PageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(200).optional(),
});
/** From the first moment of a time to before the second; without them the 30 days before now. */
const SpendQuery = z.object({ since: z.iso.datetime().optional(), until: z.iso.datetime().optional() });
const none = z.null();
const Created = z.object({ id: z.string() });

const forgeErrors = [
  "forge_unconfigured",
  "forge_unauthorized",
  "forge_forbidden",
  "forge_not_found",
  "forge_invalid",
  "forge_limited",
  "forge_unavailable",
] as const satisfies readonly ErrorCode[];

export const routes = defineRoutes({
  health: {
    method: "GET",
    path: "/api/v1/health",
    summary: "Whether the service is up.",
    kind: "json",
    scope: null,
    response: r.Health,
    status: 200,
    errors: [],
  },
  me: {
    method: "GET",
    path: "/api/v1/me",
    summary: "Who the token belongs to.",
    kind: "json",
    scope: "read",
    response: z.object({
      actor: Actor,
      organizationId: z.string(),
      organization: z.string(),
      role: z.string(),
      scopes: z.array(z.string()),
    }),
    status: 200,
    errors: ["unauthenticated"],
  },
  doctor: {
    method: "GET",
    path: "/api/v1/doctor",
    summary: "What the installation can and cannot do here.",
    kind: "json",
    scope: "read",
    response: r.Doctor,
    status: 200,
    errors: [],
  },

  listProjects: {
    method: "GET",
    path: "/api/v1/projects",
    summary: "Projects.",
    kind: "json",
    scope: "read",
    query: PageQuery,
    response: page(r.Project),
    status: 200,
    errors: [],
  },
  createProject: {
    method: "POST",
    path: "/api/v1/projects",
    summary: "Make a project from a repository.",
    kind: "json",
    scope: "write",
    body: r.ProjectCreate,
    response: r.Project,
    status: 201,
    idempotent: true,
    errors: ["repository_invalid", "conflict"],
  },
  getProject: {
    method: "GET",
    path: "/api/v1/projects/:projectId",
    summary: "One project.",
    kind: "json",
    scope: "read",
    response: r.Project,
    status: 200,
    errors: ["not_found"],
  },
  updateProject: {
    method: "PATCH",
    path: "/api/v1/projects/:projectId",
    summary: "Change a project; running jobs keep what they started with.",
    kind: "json",
    scope: "write",
    body: r.ProjectUpdate,
    response: r.Project,
    status: 200,
    errors: ["not_found"],
  },

  tryApprovalPolicy: {
    method: "POST",
    path: "/api/v1/projects/:projectId/approval-trial",
    summary: "What an approval policy would have done with past jobs; changes nothing.",
    kind: "json",
    scope: "read",
    body: z.object({ policy: r.ApprovalPolicy }),
    response: r.PolicyTrial,
    status: 200,
    errors: ["not_found"],
  },

  startTrial: {
    method: "POST",
    path: "/api/v1/projects/:projectId/trials",
    summary:
      "Try set-up and verify command on the base commit, in a fresh workspace without an agent. Absent commands are the project's.",
    kind: "json",
    scope: "write",
    body: z.object({
      setup: z.string().max(10_000).optional(),
      verify: z.string().max(10_000).optional(),
      verifyNetwork: z.boolean().optional(),
    }),
    response: r.ProjectTrial,
    status: 202,
    errors: ["not_found", "conflict", "rate_limited", "invalid_request"],
  },
  getTrial: {
    method: "GET",
    path: "/api/v1/projects/:projectId/trials/:trialId",
    summary: "How far a trial is and the end of its output. Known until the service ends.",
    kind: "json",
    scope: "read",
    response: r.ProjectTrial,
    status: 200,
    errors: ["not_found"],
  },
  cancelTrial: {
    method: "POST",
    path: "/api/v1/projects/:projectId/trials/:trialId/cancel",
    summary: "End a trial.",
    kind: "json",
    scope: "write",
    response: r.ProjectTrial,
    status: 200,
    errors: ["not_found"],
  },

  listJobs: {
    method: "GET",
    path: "/api/v1/jobs",
    summary: "Jobs, newest first.",
    kind: "json",
    scope: "read",
    query: PageQuery.extend({
      state: JobState.optional(),
      /** Several states, between commas. */
      states: z
        .string()
        .max(400)
        .transform((text) => text.split(","))
        .pipe(z.array(JobState))
        .optional(),
      projectId: z.string().optional(),
      runtime: z.string().max(100).optional(),
      /** Id of whoever made the job. */
      createdBy: z.string().max(100).optional(),
      /** Words that all occur in title, goal or repository. */
      q: z.string().max(200).optional(),
    }),
    response: page(r.Job),
    status: 200,
    errors: [],
  },
  getInbox: {
    method: "GET",
    path: "/api/v1/inbox",
    summary:
      "What waits for a person besides the jobs that wait: hosts refused to jobs at work; and what the caller has put away.",
    kind: "json",
    scope: "read",
    response: r.Inbox,
    status: 200,
    errors: [],
  },
  dismiss: {
    method: "POST",
    path: "/api/v1/inbox/dismissals",
    summary: "Put something away from one's own inbox: a job with its time of change, or a job's refused host.",
    kind: "json",
    scope: "read",
    body: z.object({ key: z.string().min(1).max(400) }),
    response: none,
    status: 200,
    errors: [],
  },
  createJob: {
    method: "POST",
    path: "/api/v1/jobs",
    summary: "State a goal; the job is queued.",
    kind: "json",
    scope: "write",
    body: r.JobCreate,
    response: r.Job,
    status: 201,
    idempotent: true,
    errors: [
      "repository_invalid",
      "runtime_unknown",
      "runtime_not_installed",
      "isolation_unavailable",
      "goal_too_large",
    ],
  },
  getJob: {
    method: "GET",
    path: "/api/v1/jobs/:jobId",
    summary: "One job with its attempts.",
    kind: "json",
    scope: "read",
    response: r.JobDetail,
    status: 200,
    errors: ["not_found"],
  },
  jobEvents: {
    method: "GET",
    path: "/api/v1/jobs/:jobId/events",
    summary: "Live events, from any id: `after` or Last-Event-ID.",
    kind: "sse",
    scope: "read",
    query: z.object({
      after: z.coerce.number().int().min(0).optional(),
      live: z.enum(["true", "false"]).default("true"),
    }),
    response: StoredEvent,
    status: 200,
    errors: ["not_found"],
  },
  listEvents: {
    method: "GET",
    path: "/api/v1/jobs/:jobId/event-log",
    summary: "Stored events, a page at a time.",
    kind: "json",
    scope: "read",
    query: z.object({
      after: z.coerce.number().int().min(0).default(0),
      limit: z.coerce.number().int().min(1).max(1_000).default(200),
    }),
    response: page(StoredEvent),
    status: 200,
    errors: ["not_found"],
  },
  injectMessage: {
    method: "POST",
    path: "/api/v1/jobs/:jobId/messages",
    summary: "Send a message to the running session.",
    kind: "json",
    scope: "write",
    body: InjectRequest,
    response: z.object({ queued: z.boolean() }),
    status: 202,
    errors: ["no_session", "capability_missing", "queue_full"],
  },
  interruptJob: {
    method: "POST",
    path: "/api/v1/jobs/:jobId/interrupt",
    summary: "Interrupt the running turn.",
    kind: "json",
    scope: "write",
    response: z.object({ interrupted: z.boolean() }),
    status: 202,
    errors: ["no_session"],
  },
  answerQuestion: {
    method: "POST",
    path: "/api/v1/jobs/:jobId/answers",
    summary: "Answer an open question.",
    kind: "json",
    scope: "write",
    body: AnswerRequest,
    response: z.object({ answered: z.boolean() }),
    status: 202,
    errors: ["unknown_request", "no_session"],
  },
  setModel: {
    method: "POST",
    path: "/api/v1/jobs/:jobId/model",
    summary: "Change the model of the running session.",
    kind: "json",
    scope: "write",
    body: ModelRequest,
    response: z.object({ model: z.string() }),
    status: 202,
    errors: ["no_session", "capability_missing"],
  },
  cancelJob: {
    method: "POST",
    path: "/api/v1/jobs/:jobId/cancel",
    summary: "Cancel; kept work stays as evidence.",
    kind: "json",
    scope: "write",
    response: r.Job,
    status: 200,
    errors: ["job_finished"],
  },
  retryJob: {
    method: "POST",
    path: "/api/v1/jobs/:jobId/retry",
    summary: "Another attempt under the same job.",
    kind: "json",
    scope: "write",
    body: z.object({
      runtime: z.string().max(100).optional(),
      model: z.string().max(200).optional(),
      budgetMicros: z.number().int().min(0).optional(),
    }),
    response: r.Job,
    status: 200,
    idempotent: true,
    errors: ["illegal_transition"],
  },

  listEvidence: {
    method: "GET",
    path: "/api/v1/jobs/:jobId/evidence",
    summary: "Evidence of every round, newest first.",
    kind: "json",
    scope: "read",
    response: page(r.Evidence),
    status: 200,
    errors: ["not_found"],
  },
  jobDiff: {
    method: "GET",
    path: "/api/v1/jobs/:jobId/diff",
    summary: "The change as a unified diff; control characters are shown as escapes.",
    kind: "text",
    scope: "read",
    query: z.object({ evidenceId: z.string().optional() }),
    response: z.string(),
    status: 200,
    errors: ["not_found"],
  },
  listDiffFiles: {
    method: "GET",
    path: "/api/v1/jobs/:jobId/diff/files",
    summary: "The change file by file with numbered lines, for review; pages in the diff's order.",
    kind: "json",
    scope: "read",
    query: z.object({
      evidenceId: z.string().optional(),
      limit: z.coerce.number().int().min(1).max(100).default(20),
      cursor: z
        .string()
        .regex(/^\d{1,7}$/)
        .optional(),
    }),
    response: page(DiffFilePatch),
    status: 200,
    errors: ["not_found"],
  },
  listApprovals: {
    method: "GET",
    path: "/api/v1/jobs/:jobId/approvals",
    summary: "Decisions on the job.",
    kind: "json",
    scope: "read",
    response: page(r.Approval),
    status: 200,
    errors: ["not_found"],
  },
  decide: {
    method: "POST",
    path: "/api/v1/jobs/:jobId/decisions",
    summary: "Approve, override, reject or ask for changes. The digest is the one that your screen showed.",
    kind: "json",
    scope: "approve",
    body: z.object({
      decision: r.Decision,
      digest: r.Approval.shape.digest,
      comment: z.string().max(100_000).optional(),
      /** With `request_changes` only: they go to the agent with the comment. Files of the evidence, nothing else. */
      comments: z.array(r.LineComment).max(r.MAX_LINE_COMMENTS).optional(),
    }),
    response: r.Job,
    status: 200,
    idempotent: true,
    errors: ["digest_mismatch", "approval_used", "illegal_transition", "verification_failed"],
  },
  listPublications: {
    method: "GET",
    path: "/api/v1/jobs/:jobId/publications",
    summary: "What was pushed.",
    kind: "json",
    scope: "read",
    response: page(r.Publication),
    status: 200,
    errors: ["not_found"],
  },
  listCalls: {
    method: "GET",
    path: "/api/v1/jobs/:jobId/calls",
    summary: "Model calls as the sidecar metered them.",
    kind: "json",
    scope: "read",
    query: PageQuery,
    response: page(r.CallSummary),
    status: 200,
    errors: ["not_found"],
  },
  getBlob: {
    method: "GET",
    path: "/api/v1/jobs/:jobId/blobs/:digest",
    summary: "A log or large event body that belongs to the job.",
    kind: "bytes",
    scope: "read",
    response: z.string(),
    status: 200,
    errors: ["not_found"],
  },

  listRuntimes: {
    method: "GET",
    path: "/api/v1/runtimes",
    summary: "The catalogue.",
    kind: "json",
    scope: "read",
    response: page(r.Runtime),
    status: 200,
    errors: [],
  },
  installRuntime: {
    method: "POST",
    path: "/api/v1/runtimes/:name/install",
    summary: "Install a runtime at its exact version; text lines of progress, the last one is JSON {ok, detail}.",
    kind: "text",
    scope: "admin",
    response: z.string(),
    status: 200,
    errors: ["runtime_unknown"],
  },

  listGrants: {
    method: "GET",
    path: "/api/v1/grants",
    summary: "The permission ledger.",
    kind: "json",
    scope: "read",
    query: z.object({ subject: z.string().optional(), all: z.enum(["true", "false"]).default("false") }),
    response: page(Grant),
    status: 200,
    errors: [],
  },
  createGrant: {
    method: "POST",
    path: "/api/v1/grants",
    summary: "Grant. Only people do.",
    kind: "json",
    scope: "admin",
    body: r.GrantCreate,
    response: Grant,
    status: 201,
    idempotent: true,
    errors: ["invalid_request"],
  },
  revokeGrant: {
    method: "POST",
    path: "/api/v1/grants/:grantId/revoke",
    summary: "Revoke; running jobs lose it at once.",
    kind: "json",
    scope: "admin",
    response: Grant,
    status: 200,
    errors: ["not_found"],
  },

  listBudgets: {
    method: "GET",
    path: "/api/v1/budgets",
    summary: "Limits and what is spent.",
    kind: "json",
    scope: "read",
    response: page(r.Budget),
    status: 200,
    errors: [],
  },
  setBudget: {
    method: "PUT",
    path: "/api/v1/budgets",
    summary: "Set a limit on a scope and window.",
    kind: "json",
    scope: "admin",
    body: r.BudgetSet,
    response: r.Budget,
    status: 200,
    errors: [],
  },

  getSpend: {
    method: "GET",
    path: "/api/v1/spend",
    summary: "What was spent: by day, project, runtime, model and person.",
    kind: "json",
    scope: "read",
    query: SpendQuery,
    response: r.Spend,
    status: 200,
    errors: ["invalid_request"],
  },
  exportSpend: {
    method: "GET",
    path: "/api/v1/spend.csv",
    summary: "The same by job and model as CSV, with money in dollars.",
    kind: "text",
    scope: "read",
    query: SpendQuery,
    response: z.string(),
    status: 200,
    errors: ["invalid_request"],
  },

  listForgeConnections: {
    method: "GET",
    path: "/api/v1/forges/connections",
    summary: "Ways into forges.",
    kind: "json",
    scope: "read",
    query: z.object({ all: z.enum(["true", "false"]).default("false") }),
    response: page(f.ForgeConnection),
    status: 200,
    errors: [],
  },
  createForgeConnection: {
    method: "POST",
    path: "/api/v1/forges/connections",
    summary: "Connect by one person's token; it is asked who it is, and stored sealed.",
    kind: "json",
    scope: "admin",
    body: f.ConnectionCreate,
    response: f.ForgeConnection,
    status: 201,
    errors: [...forgeErrors],
  },
  checkForgeConnection: {
    method: "POST",
    path: "/api/v1/forges/connections/:connectionId/check",
    summary: "Ask the forge what the connection is and may do now.",
    kind: "json",
    scope: "write",
    response: f.ForgeConnection,
    status: 200,
    errors: ["not_found", ...forgeErrors],
  },
  removeForgeConnection: {
    method: "DELETE",
    path: "/api/v1/forges/connections/:connectionId",
    summary: "Stop using a connection; its credential is forgotten, its history stays.",
    kind: "json",
    scope: "admin",
    response: none,
    status: 200,
    errors: ["not_found"],
  },
  listForgeApps: {
    method: "GET",
    path: "/api/v1/forges/apps",
    summary: "Apps that this installation registered at forges.",
    kind: "json",
    scope: "read",
    response: page(f.ForgeApp),
    status: 200,
    errors: [],
  },
  startForgeApp: {
    method: "POST",
    path: "/api/v1/forges/apps",
    summary: "Begin to register an app: a page, good for an hour, from which a person goes to the forge.",
    kind: "json",
    scope: "admin",
    body: f.ForgeAppStart,
    response: z.object({ url: z.string(), expiresAt: z.iso.datetime() }),
    status: 201,
    errors: ["invalid_request"],
  },
  checkForgeApp: {
    method: "POST",
    path: "/api/v1/forges/apps/:appId/check",
    summary: "Ask the forge for the app's installations: each becomes a connection, one that is gone is removed.",
    kind: "json",
    scope: "write",
    response: page(f.ForgeConnection),
    status: 200,
    errors: ["not_found", ...forgeErrors],
  },
  listForgeRepositories: {
    method: "GET",
    path: "/api/v1/forges/connections/:connectionId/repositories",
    summary: "Repositories that a connection reaches.",
    kind: "json",
    scope: "read",
    query: z.object({
      /** Part of the name. */
      q: z.string().max(200).optional(),
      limit: z.coerce.number().int().min(1).max(100).default(50),
      cursor: z.string().max(600).optional(),
    }),
    response: page(f.ForgeRepository),
    status: 200,
    errors: ["not_found", ...forgeErrors],
  },
  listIssues: {
    method: "GET",
    path: "/api/v1/forges/issues",
    summary: "Issues of a repository, newest first.",
    kind: "json",
    scope: "read",
    query: f.IssueQuery,
    response: page(f.ForgeIssue),
    status: 200,
    errors: [...forgeErrors],
  },
  getIssue: {
    method: "GET",
    path: "/api/v1/forges/issue",
    summary: "One issue as an agent would get it: who wrote what, what is hidden in it, and how it is trusted.",
    kind: "json",
    scope: "read",
    query: f.IssueQuery.pick({ connectionId: true, repository: true }).extend({
      number: z.coerce.number().int().min(1),
    }),
    response: f.ForgeIssueDetail,
    status: 200,
    errors: [...forgeErrors],
  },
  createIssueJob: {
    method: "POST",
    path: "/api/v1/forges/issues/jobs",
    summary: "Make a job of an issue; refused with `conflict` while another works on it, unless `again` says so.",
    kind: "json",
    scope: "write",
    body: f.IssueJobCreate,
    response: r.Job,
    status: 201,
    idempotent: true,
    errors: [
      "conflict",
      "repository_invalid",
      "runtime_unknown",
      "runtime_not_installed",
      "isolation_unavailable",
      "goal_too_large",
      ...forgeErrors,
    ],
  },

  listProviders: {
    method: "GET",
    path: "/api/v1/providers",
    summary: "Providers and whether each has a credential.",
    kind: "json",
    scope: "read",
    response: page(r.Provider),
    status: 200,
    errors: [],
  },
  setProvider: {
    method: "PUT",
    path: "/api/v1/providers/:name",
    summary: "Route a provider.",
    kind: "json",
    scope: "admin",
    body: r.ProviderSet,
    response: r.Provider,
    status: 200,
    errors: [],
  },
  testProvider: {
    method: "POST",
    path: "/api/v1/providers/:name/test",
    summary: "Ask the provider for its models with the stored key: one call, free of charge.",
    kind: "json",
    scope: "admin",
    response: r.ProviderTest,
    status: 200,
    errors: ["not_found", "provider_unconfigured"],
  },
  listPrices: {
    method: "GET",
    path: "/api/v1/prices",
    summary: "Models with a known price, its source and date. A model without one is refused.",
    kind: "json",
    scope: "read",
    response: page(r.PricedModel),
    status: 200,
    errors: [],
  },
  setPrice: {
    method: "PUT",
    path: "/api/v1/providers/:name/prices/:model",
    summary:
      "State a model's price in USD per million tokens; it goes before the built-in list from the next attempt on.",
    kind: "json",
    scope: "admin",
    body: r.PriceSet,
    response: r.PricedModel,
    status: 200,
    errors: ["invalid_request", "not_found"],
  },
  deletePrice: {
    method: "DELETE",
    path: "/api/v1/providers/:name/prices/:model",
    summary: "Forget a stated price; the built-in list's holds again, if it has one.",
    kind: "json",
    scope: "admin",
    response: none,
    status: 200,
    errors: ["not_found"],
  },
  listSecrets: {
    method: "GET",
    path: "/api/v1/secrets",
    summary: "Names of stored secrets; values never leave.",
    kind: "json",
    scope: "admin",
    response: page(r.Secret),
    status: 200,
    errors: [],
  },
  setSecret: {
    method: "PUT",
    path: "/api/v1/secrets/:name",
    summary: "Store a secret sealed: anthropic, openai or git:<host>.",
    kind: "json",
    scope: "admin",
    body: r.SecretSet,
    response: r.Secret,
    status: 200,
    errors: [],
  },
  deleteSecret: {
    method: "DELETE",
    path: "/api/v1/secrets/:name",
    summary: "Forget a secret.",
    kind: "json",
    scope: "admin",
    response: none,
    status: 200,
    errors: ["not_found"],
  },

  listAudit: {
    method: "GET",
    path: "/api/v1/audit",
    summary:
      "Audit entries in order, or newest first. `cursor` goes into `after`, or into `before` when newest come first.",
    kind: "json",
    scope: "admin",
    query: z.object({
      after: z.coerce.number().int().min(0).default(0),
      limit: z.coerce.number().int().min(1).max(1_000).default(200),
      order: z.enum(["oldest", "newest"]).default("oldest"),
      before: z.coerce.number().int().min(1).optional(),
      /** Words that must all occur in an entry: its action, subject, actor or data. */
      q: z.string().max(200).optional(),
      /** An action or the beginning of some, such as `grant.`. */
      action: z.string().max(100).optional(),
      /** Id of an actor. */
      actor: z.string().max(100).optional(),
      since: z.iso.datetime().optional(),
      until: z.iso.datetime().optional(),
    }),
    response: page(r.AuditEntry),
    status: 200,
    errors: [],
  },
  verifyAudit: {
    method: "GET",
    path: "/api/v1/audit/verify",
    summary: "Recompute the hash chain.",
    kind: "json",
    scope: "admin",
    response: z.object({
      intact: z.boolean(),
      entries: z.number().int(),
      head: z.string(),
      brokenAt: z.number().int().nullable(),
    }),
    status: 200,
    errors: [],
  },

  getInstallation: {
    method: "GET",
    path: "/api/v1/installation",
    summary: "What and where this installation is: versions, folders, database.",
    kind: "json",
    scope: "admin",
    response: r.Installation,
    status: 200,
    errors: [],
  },
  diagnostics: {
    method: "GET",
    path: "/api/v1/diagnostics",
    summary: "Facts for somebody who helps, as JSON text: versions, doctor, counts. No secret, goal, event or address.",
    kind: "text",
    scope: "admin",
    response: z.string(),
    status: 200,
    errors: [],
  },
  collectGarbage: {
    method: "POST",
    path: "/api/v1/gc",
    summary: "Free what nothing needs any more: unnamed blobs, caches and saved sessions of jobs that ended long ago.",
    kind: "json",
    scope: "admin",
    body: z.object({
      dryRun: z.boolean(),
      retentionDays: z.number().int().min(1).max(3_650).default(30),
    }),
    response: r.GarbageCollection,
    status: 200,
    errors: ["conflict"],
  },

  listTokens: {
    method: "GET",
    path: "/api/v1/tokens",
    summary: "API tokens of the organization; their text is never shown again.",
    kind: "json",
    scope: "admin",
    response: page(r.Token),
    status: 200,
    errors: [],
  },
  revokeToken: {
    method: "DELETE",
    path: "/api/v1/tokens/:tokenId",
    summary: "Revoke a token; streams opened with it end within seconds.",
    kind: "json",
    scope: "admin",
    response: none,
    status: 200,
    errors: ["not_found"],
  },
  createToken: {
    method: "POST",
    path: "/api/v1/tokens",
    summary: "Make an API token; shown once.",
    kind: "json",
    scope: "admin",
    body: z.object({
      name: z.string().min(1).max(100),
      scopes: z.array(z.enum(["read", "write", "approve", "admin"])).min(1),
      expiresInSeconds: z
        .number()
        .int()
        .min(60)
        .max(366 * 86_400)
        .optional(),
    }),
    response: Created.extend({ token: z.string() }),
    status: 201,
    errors: [],
  },

  listMembers: {
    method: "GET",
    path: "/api/v1/members",
    summary: "People of the organization.",
    kind: "json",
    scope: "read",
    response: page(account.Member),
    status: 200,
    errors: [],
  },
  getAccount: {
    method: "GET",
    path: "/api/v1/account",
    summary: "Your own account and how you can sign in.",
    kind: "json",
    scope: "read",
    response: account.Account,
    status: 200,
    errors: [],
  },
  updateAccount: {
    method: "PATCH",
    path: "/api/v1/account",
    summary: "Change your name or the name you sign in with. Browser sessions only.",
    kind: "json",
    scope: "read",
    body: account.AccountUpdate,
    response: account.Account,
    status: 200,
    errors: ["forbidden", "conflict"],
  },
  setPassword: {
    method: "PUT",
    path: "/api/v1/account/password",
    summary: "Set your password; your other browsers are signed out. Browser sessions only.",
    kind: "json",
    scope: "read",
    body: account.PasswordSet,
    response: account.Account,
    status: 200,
    errors: ["forbidden", "rate_limited"],
  },
  removePassword: {
    method: "POST",
    path: "/api/v1/account/password/remove",
    summary: "Take your password away; links and passkeys stay. Browser sessions only.",
    kind: "json",
    scope: "read",
    body: account.Confirmation,
    response: account.Account,
    status: 200,
    errors: ["forbidden", "rate_limited"],
  },
  passkeyOptions: {
    method: "POST",
    path: "/api/v1/account/passkeys/options",
    summary: "What the browser needs to make a passkey. Browser sessions only, on a name and not an address.",
    kind: "json",
    scope: "read",
    body: account.Confirmation,
    response: account.WebAuthnOptions,
    status: 200,
    errors: ["forbidden", "rate_limited"],
  },
  addPasskey: {
    method: "POST",
    path: "/api/v1/account/passkeys",
    summary: "Keep the passkey that the browser made. Browser sessions only.",
    kind: "json",
    scope: "read",
    body: account.PasskeyAdd,
    response: account.Account,
    status: 201,
    errors: ["forbidden"],
  },
  removePasskey: {
    method: "POST",
    path: "/api/v1/account/passkeys/:passkeyId/remove",
    summary: "Take a passkey away. Browser sessions only.",
    kind: "json",
    scope: "read",
    body: account.Confirmation,
    response: account.Account,
    status: 200,
    errors: ["forbidden", "not_found", "rate_limited"],
  },
  listSessions: {
    method: "GET",
    path: "/api/v1/sessions",
    summary: "Browsers in which you are signed in.",
    kind: "json",
    scope: "admin",
    response: page(account.BrowserSession),
    status: 200,
    errors: [],
  },
  endSession: {
    method: "DELETE",
    path: "/api/v1/sessions/:sessionId",
    summary: "Sign one of your browsers out; its streams end within seconds.",
    kind: "json",
    scope: "admin",
    response: none,
    status: 200,
    errors: ["not_found"],
  },
  endOtherSessions: {
    method: "POST",
    path: "/api/v1/sessions/end-others",
    summary: "Sign out all your browsers but the one that asks.",
    kind: "json",
    scope: "admin",
    response: z.object({ ended: z.number().int() }),
    status: 200,
    errors: [],
  },
  createSignInLink: {
    method: "POST",
    path: "/api/v1/sign-in-links",
    summary: "A link that signs one browser in as you, once, within five minutes. The token needs every scope.",
    kind: "json",
    scope: "admin",
    response: account.SignInLink,
    status: 201,
    errors: ["forbidden", "unavailable"],
  },
});

export type Routes = typeof routes;
export type RouteName = keyof Routes;

type PathParam<Path extends string> = Path extends `${string}:${infer Name}/${infer Rest}`
  ? Name | PathParam<`/${Rest}`>
  : Path extends `${string}:${infer Name}`
    ? Name
    : never;
/** Path parameters of a route, all of them text. */
export type RouteParams<N extends RouteName> = { [Name in PathParam<Routes[N]["path"]>]: string };
/** Query as a handler sees it, defaults filled in. */
export type RouteQuery<N extends RouteName> = Routes[N] extends { query: infer Q extends z.ZodType }
  ? z.output<Q>
  : Record<never, never>;
/** Query as a caller writes it. */
export type RouteQueryInput<N extends RouteName> = Routes[N] extends { query: infer Q extends z.ZodType }
  ? z.input<Q>
  : Record<never, never>;
/** Body as a handler sees it; `undefined` when the route takes none. */
export type RouteBody<N extends RouteName> = Routes[N] extends { body: infer B extends z.ZodType }
  ? z.output<B>
  : undefined;
/** Body as a caller writes it. */
export type RouteBodyInput<N extends RouteName> = Routes[N] extends { body: infer B extends z.ZodType }
  ? z.input<B>
  : undefined;
/** What a route answers with. */
export type RouteResponse<N extends RouteName> = z.output<Routes[N]["response"]>;
