import type { ForgeLimits, Outcome } from "@x1agent/contract";

/**
 * The forge port: all that the control plane knows of a place where repositories, issues and pull requests live. An adapter
 * (`forges/<name>`) speaks one forge's API for one connection. Invariants every adapter keeps:
 *
 * - An answer of the forge is data: it passes a schema and a size limit before it gets here. Its texts are the words of
 *   whoever wrote them, never instructions and never markup of ours.
 * - A refusal is an `Outcome` with one of the codes `forge_*`; only a bug throws. `forge_limited` and `forge_unavailable`
 *   are worth another try later, the others are not until somebody changes something.
 * - Everything that makes something is safe to repeat: the adapter finds its own earlier result by the key it is given.
 * - A credential is made for one operation on one repository, and never logged, stored or put into an address.
 */
export interface Forge {
  /** Who the connection is and what it may do, asked of the forge now. `forge_unauthorized` when it is not accepted any more. */
  identify(): Promise<Outcome<ForgeIdentity>>;
  /** Repositories that the connection reaches, one page; `cursor` is the adapter's own. */
  listRepositories(request: PageRequest & { text?: string }): Promise<Outcome<Page<ForgeRepository>>>;
  /** One repository by its lasting id, or by name; a renamed or transferred one is found by its id. `forge_not_found` also where it is only not visible. */
  getRepository(at: { id: string } | { fullName: string }): Promise<Outcome<ForgeRepository>>;
  /** Rules of one branch: whether somebody protected it. */
  getBranch(repository: ForgeRepository, branch: string): Promise<Outcome<ForgeBranch | null>>;
  listIssues(
    repository: ForgeRepository,
    request: PageRequest & {
      text?: string;
      labels?: readonly string[];
      state?: "open" | "all";
      /** Only those that changed since, the longest unchanged first; not together with `text`. ISO 8601. */
      updatedSince?: string;
    },
  ): Promise<Outcome<Page<ForgeIssue>>>;
  /** The issue with its comments, oldest first, bounded; `truncated` says that some are left out. */
  getIssue(repository: ForgeRepository, number: number): Promise<Outcome<ForgeIssueThread>>;
  /** What was done to an issue, oldest first, bounded; absent where the forge does not tell. */
  listIssueEvents?(repository: ForgeRepository, number: number): Promise<Outcome<ForgeIssueEvent[]>>;
  /** What one account may do in the repository now; the association in an old text may be out of date. */
  getPermission(repository: ForgeRepository, login: string): Promise<Outcome<ForgePermission>>;
  /** Who an account is, and the address under which the forge ties a commit to it. Absent where the forge has none that is nobody's mailbox. */
  getAccount?(login: string): Promise<Outcome<ForgeAccount>>;
  /** A short-lived credential for git on that one repository: `Authorization` header and when it ends. */
  gitCredential(repository: ForgeRepository, purpose: "read" | "push"): Promise<Outcome<ForgeCredential>>;
  /** The same for the forge's API on that one repository: to read it, or to say something on its issues and pull requests. */
  apiCredential(repository: ForgeRepository, purpose: "read" | "comment"): Promise<Outcome<ForgeCredential>>;
  /** Where the API begins, such as `https://api.github.com`, for requests with such a credential. */
  readonly apiUrl: string;
  /** Finds the open (or, with `all`, any) pull requests of a head branch. */
  findPullRequests(
    repository: ForgeRepository,
    head: string,
    state: "open" | "all",
  ): Promise<Outcome<ForgePullRequest[]>>;
  /** Opens the pull request of `head`, or brings the one that it finds there up to date: never a second one. */
  openPullRequest(repository: ForgeRepository, request: PullRequestRequest): Promise<Outcome<ForgePullRequest>>;
  getPullRequest(repository: ForgeRepository, number: number): Promise<Outcome<ForgePullRequest>>;
  /** What people said on a pull request after `since`, oldest first, bounded. */
  listReviewItems(
    repository: ForgeRepository,
    number: number,
    since: string | null,
  ): Promise<Outcome<ForgeReviewItem[]>>;
  /** Every check and status of a commit but our own; failed ones with an excerpt of their log where the forge gives one. */
  listChecks(repository: ForgeRepository, commit: string): Promise<Outcome<ForgeCheck[]>>;
  /** Makes or updates our check of one commit, found again by `key`: one check for one job and commit. */
  putCheck(repository: ForgeRepository, request: CheckRequest): Promise<Outcome<{ id: string; url: string | null }>>;
  /** Says something on an issue or pull request, once per `key` (kept in the text as a mark that readers do not see). */
  putComment(
    repository: ForgeRepository,
    number: number,
    request: { key: string; body: string },
  ): Promise<Outcome<{ url: string }>>;
  /** Commits of a branch since a time (ISO 8601, by their committers' clocks), newest first, bounded. Absent where the forge does not tell. */
  listCommits?(repository: ForgeRepository, branch: string, since: string): Promise<Outcome<ForgeCommit[]>>;
  /**
   * Deliveries that the forge could not hand over since a time (ISO 8601), newest first, bounded: where each says to look, as far
   * as the forge's list tells. Absent where it keeps none.
   */
  listMissedDeliveries?(since: string): Promise<Outcome<ForgeDelivery[]>>;
  /** Deletes a branch that is still at this commit; false when it is gone or has moved. Absent where the forge cannot. */
  deleteBranch?(repository: ForgeRepository, branch: string, commit: string): Promise<Outcome<boolean>>;
  /** What is left of the forge's rate limit, as of the last answer; null before the first. */
  limits(): ForgeLimits | null;
}

export type PageRequest = { limit: number; cursor?: string };
export type Page<Item> = { items: Item[]; cursor: string | null };

export type ForgeIdentity = {
  /** Account whose repositories the connection reaches: an organization or a person. */
  account: string;
  /** Whose name stands on what it makes, such as `x1agent[bot]`. */
  actsAs: string;
  /** Permissions by the forge's own names, such as `contents: write`. */
  permissions: Readonly<Record<string, string>>;
  /** What the product needs and the connection lacks, one sentence each. */
  missing: string[];
  state: "active" | "suspended";
};

export type ForgeRepository = {
  /** The forge's lasting id: it survives renames and transfers. */
  id: string;
  /** `owner/name`. */
  fullName: string;
  /** HTTPS address for git, ending in `.git`. */
  cloneUrl: string;
  webUrl: string;
  defaultBranch: string;
  visibility: "public" | "private" | "internal";
  archived: boolean;
  /** What the connection may do there. */
  mayPush: boolean;
  hasIssues: boolean;
  /** Bytes of its history, as the forge counts them; absent where it does not say. */
  sizeBytes?: number;
};

export type ForgeBranch = { name: string; commit: string; protected: boolean };

/** An account as a commit names it: `email` receives nothing and is made by the forge's own rule, never guessed. */
export type ForgeAccount = { id: string; login: string; name: string; email: string };

/** A commit of a branch; the message is whoever's words. */
export type ForgeCommit = { id: string; message: string };

/**
 * How an account stands to a repository, in the order of what it may do. `none` is anybody: whoever has no write access there
 * makes an untrusted job.
 */
export type ForgePermission = "admin" | "maintain" | "write" | "triage" | "read" | "none";

/** Somebody's words on the forge. `association` is what the forge says of the author: a hint, never a decision. */
export type ForgeText = {
  id: string;
  author: string;
  authorIsBot: boolean;
  association: string;
  body: string;
  createdAt: string;
  updatedAt: string;
  url: string;
};

export type ForgeIssue = ForgeText & {
  number: number;
  title: string;
  state: "open" | "closed";
  labels: string[];
  assignees: string[];
  comments: number;
};
export type ForgeIssueThread = { issue: ForgeIssue; comments: ForgeText[]; truncated: boolean };

/** Somebody labelled or assigned; `subject` is the label, or the login. Ids are the forge's own. */
export type ForgeIssueEvent = { id: string; kind: "labeled" | "assigned"; actor: string; subject: string; at: string };

/** The value of an `Authorization` header, for git over HTTPS or for the API. */
export type ForgeCredential = { authorization: string; expiresAt: string | null };

export type PullRequestRequest = {
  head: string;
  base: string;
  title: string;
  body: string;
  draft: boolean;
  labels: readonly string[];
  /** Logins, and teams as `org/team`; those the forge refuses are left out and named in `notes`. */
  reviewers: readonly string[];
};

export type ForgePullRequest = {
  number: number;
  url: string;
  state: "open" | "merged" | "closed";
  draft: boolean;
  head: { branch: string; commit: string; repositoryId: string | null };
  base: { branch: string; commit: string };
  /** Whether it could be merged now; null while the forge has not said. */
  mergeable: boolean | null;
  /** The forge takes it only when it holds all of its base, and it does not. */
  behind?: boolean;
  mergeCommit: string | null;
  title: string;
  author: string;
  updatedAt: string;
  /** What could not be done as asked, one sentence each. */
  notes: string[];
};

/** A review's verdict, a comment on a line, or a comment on the whole. */
export type ForgeReviewItem = ForgeText & {
  kind: "comment" | "line" | "approved" | "changes_requested" | "dismissed";
  path: string | null;
  /** 1-based line of the new file; of the old one where `side` says so. */
  line: number | null;
  side: "old" | "new" | null;
  /** Commit that the remark is about. */
  commit: string | null;
};

export type ForgeCheck = {
  id: string;
  name: string;
  state: "pending" | "passed" | "failed" | "neutral";
  url: string | null;
  summary: string | null;
  /** Last lines of the log of a failed one, at most 20,000 characters; the words of whatever ran there. */
  excerpt: string | null;
};

export type CheckRequest = {
  /** Stable name, so that branch rules can require it. */
  name: string;
  key: string;
  commit: string;
  state: "queued" | "in_progress" | "completed";
  conclusion: "success" | "failure" | "neutral" | "cancelled" | "action_required" | "timed_out" | null;
  title: string;
  summary: string;
  detailsUrl: string | null;
  annotations: readonly { path: string; line: number; level: "notice" | "warning" | "failure"; message: string }[];
};

/**
 * A delivery of the forge that passed its signature, and where it says to look. What it tells besides is not read: what is
 * true is asked.
 */
export type ForgeDelivery = {
  /** The forge's own id of the delivery; one is handled once. */
  id: string;
  event: string;
  action: string | null;
  installationId: string | null;
  repositoryId: string | null;
  /** Number of the issue or pull request that it is about. */
  number: number | null;
  /** Commits that it is about. */
  commits: string[];
};
