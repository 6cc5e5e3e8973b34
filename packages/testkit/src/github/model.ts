import type { GitRepository } from "./git.ts";

/** What the stand-in remembers: plain objects, ids as GitHub gives them (numbers), times as ISO 8601 to the second. */

export type Role = "admin" | "maintain" | "write" | "triage" | "read" | "none";
/** Permission name (`contents`, `pull_requests`) to level. */
export type Permissions = Record<string, "read" | "write" | "admin">;

export type Account = {
  id: number;
  login: string;
  type: "User" | "Organization" | "Bot";
  name: string | null;
  email: string;
  createdAt: string;
  /** Members of an organization by user id. */
  members: Map<number, "owner" | "member">;
  /** What members of an organization may in all its repositories. */
  basePermission: Role;
};

/** People of an organization who are asked together. */
export type Team = { id: number; organization: Account; slug: string; name: string; members: Account[] };

export type Label = { id: number; name: string; color: string; description: string | null; default: boolean };

export type Comment = {
  id: number;
  user: Account;
  body: string;
  createdAt: string;
  updatedAt: string;
  appId: number | undefined;
};

export type ReviewState = "APPROVED" | "CHANGES_REQUESTED" | "COMMENTED" | "DISMISSED" | "PENDING";
export type Review = {
  id: number;
  user: Account;
  body: string;
  state: ReviewState;
  commitId: string;
  submittedAt: string | undefined;
};
export type ReviewComment = {
  id: number;
  reviewId: number;
  user: Account;
  body: string;
  path: string;
  /** Line in the file as of `commitId`, counted from 1; `undefined` for a comment on the file, and once it is outdated. */
  line: number | undefined;
  startLine: number | undefined;
  /** Lines as of `originalCommitId`. */
  originalLine: number | undefined;
  originalStartLine: number | undefined;
  side: "LEFT" | "RIGHT";
  startSide: "LEFT" | "RIGHT" | undefined;
  diffHunk: string;
  commitId: string;
  originalCommitId: string;
  inReplyTo: number | undefined;
  createdAt: string;
  updatedAt: string;
};

export type Pull = {
  id: number;
  draft: boolean;
  /** `undefined` once the fork is gone. */
  headRepository: Repository | undefined;
  headOwner: Account;
  headRef: string;
  headSha: string;
  baseRef: string;
  baseSha: string;
  mergedAt: string | undefined;
  mergedBy: Account | undefined;
  mergeCommitSha: string | undefined;
  reviews: Review[];
  reviewComments: ReviewComment[];
  requestedReviewers: Account[];
  requestedTeams: Team[];
  maintainerCanModify: boolean;
};

/** An issue, or with `pull` a pull request: both share their numbers. */
export type Issue = {
  id: number;
  number: number;
  title: string;
  body: string | null;
  user: Account;
  state: "open" | "closed";
  stateReason: "completed" | "not_planned" | "reopened" | null;
  labels: Label[];
  assignees: Account[];
  comments: Comment[];
  locked: boolean;
  createdAt: string;
  updatedAt: string;
  closedAt: string | undefined;
  closedBy: Account | undefined;
  appId: number | undefined;
  events: IssueEvent[];
  pull: Pull | undefined;
};

export type IssueEvent = {
  id: number;
  event: string;
  actor: Account;
  createdAt: string;
  commitId: string | undefined;
  /** What was put on or taken off, as GitHub presents it: `label` or `assignee`. */
  about?: Readonly<Record<string, unknown>>;
};

/** Rules of a branch, by its name or a pattern with `*`. */
export type Protection = {
  pattern: string;
  /** Names of check runs or contexts of statuses that must have succeeded before a merge. */
  requiredChecks: string[];
  strict: boolean;
  /** Approvals by people with write access; `undefined` means that no pull request is required. */
  requiredReviews: number | undefined;
  dismissStale: boolean;
  codeOwners: boolean;
  enforceAdmins: boolean;
  allowForcePushes: boolean;
  allowDeletions: boolean;
  /** Only these logins may push; `undefined` means everyone with write access. */
  restrictPushes: string[] | undefined;
  /** Spoken of as a ruleset instead of as branch protection. */
  ruleset: { id: number; name: string } | undefined;
};

export type CheckConclusion =
  | "success"
  | "failure"
  | "neutral"
  | "cancelled"
  | "skipped"
  | "timed_out"
  | "action_required";
export type Annotation = {
  path: string;
  start_line: number;
  end_line: number;
  start_column: number | null;
  end_column: number | null;
  annotation_level: string | null;
  message: string | null;
  title: string | null;
  raw_details: string | null;
};
export type CheckRun = {
  id: number;
  suiteId: number;
  app: App;
  name: string;
  headSha: string;
  status: "queued" | "in_progress" | "completed";
  conclusion: CheckConclusion | null;
  startedAt: string | null;
  completedAt: string | null;
  externalId: string | null;
  detailsUrl: string | null;
  output: { title: string | null; summary: string | null; text: string | null };
  annotations: Annotation[];
  /** Log of the job behind it, where an Actions workflow made it. */
  job: { runId: number; log: string; createdAt: string } | undefined;
};
export type CheckSuite = {
  id: number;
  app: App;
  headSha: string;
  headBranch: string | null;
  before: string;
  createdAt: string;
  updatedAt: string;
};
export type WorkflowRun = {
  id: number;
  name: string;
  runNumber: number;
  attempt: number;
  headSha: string;
  headBranch: string;
  event: string;
  suiteId: number;
  actor: Account;
  createdAt: string;
  updatedAt: string;
};
export type Status = {
  id: number;
  sha: string;
  state: "error" | "failure" | "pending" | "success";
  context: string;
  description: string | null;
  targetUrl: string | null;
  creator: Account;
  createdAt: string;
};

export type RepositoryEvent = {
  id: number;
  type: string;
  actor: Account;
  payload: Record<string, unknown>;
  createdAt: string;
};

export type Repository = {
  id: number;
  owner: Account;
  name: string;
  private: boolean;
  description: string | null;
  defaultBranch: string;
  archived: boolean;
  parent: Repository | undefined;
  createdAt: string;
  updatedAt: string;
  pushedAt: string;
  git: GitRepository;
  /** Collaborators by user id; owners of the account are not in it. */
  roles: Map<number, Role>;
  labels: Label[];
  issues: Map<number, Issue>;
  nextNumber: number;
  protections: Protection[];
  checkSuites: CheckSuite[];
  checkRuns: CheckRun[];
  workflowRuns: WorkflowRun[];
  statuses: Status[];
  events: RepositoryEvent[];
  deleteBranchOnMerge: boolean;
  allowMerge: { merge: boolean; squash: boolean; rebase: boolean };
};

export type App = {
  id: number;
  slug: string;
  name: string;
  owner: Account;
  bot: Account;
  clientId: string;
  clientSecret: string;
  /** PEM, PKCS#8. */
  privateKey: string;
  publicKey: string;
  permissions: Permissions;
  events: string[];
  externalUrl: string;
  description: string | null;
  webhook: { url: string | undefined; secret: string | undefined; active: boolean };
  createdAt: string;
  updatedAt: string;
};

export type Installation = {
  id: number;
  app: App;
  account: Account;
  permissions: Permissions;
  events: string[];
  /** `all`, or ids of repositories. */
  repositories: "all" | Set<number>;
  suspendedAt: string | undefined;
  suspendedBy: Account | undefined;
  createdAt: string;
  updatedAt: string;
};

/** A token of an installation or of a person. */
export type Token = {
  value: string;
  kind: "installation" | "fine-grained" | "classic";
  installation: Installation | undefined;
  user: Account;
  permissions: Permissions | "all";
  repositories: "all" | Set<number>;
  /** Milliseconds since the epoch; `undefined` never. */
  expiresAt: number | undefined;
  revoked: boolean;
};

/** Who speaks in one request. */
export type Principal = { kind: "anonymous" } | { kind: "app"; app: App } | { kind: "token"; token: Token };

/** What GitHub answers instead of doing it. */
export class Refused extends Error {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly headers: Record<string, string>;
  constructor(
    status: number,
    message: string,
    extra: Record<string, unknown> = {},
    headers: Record<string, string> = {},
  ) {
    super(message);
    this.status = status;
    this.body = { message, ...extra };
    this.headers = headers;
  }
}

/** 422 with GitHub's list of what is wrong. */
export function invalid(resource: string, field: string, code: string, message?: string): Refused {
  return new Refused(422, "Validation Failed", {
    errors: [{ resource, field, code, ...(message ? { message } : {}) }],
  });
}
export const notFound = () => new Refused(404, "Not Found");
