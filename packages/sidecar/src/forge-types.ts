/**
 * What of GitHub's GraphQL schema is served inside: types by their names there, with the fields and arguments that are let
 * through. It tells what the REST paths of `forge-rules.ts` tell and no more. No field leads out of the job's repository:
 * people are a name and an address, and what may lie elsewhere (a fork, an owner, a linked issue, a team) is not among them.
 * A test holds every word of it against GitHub's published schema.
 */

/** One argument's values; `name` is the schema's type without the outer `!`. */
export type Input =
  | { kind: "int"; name: "Int"; min: number; max: number }
  | { kind: "text"; name: string; like: RegExp }
  | { kind: "boolean"; name: "Boolean" }
  | { kind: "enum"; name: string; values: readonly string[] }
  | { kind: "list"; name: string; of: Input; most: number }
  | { kind: "object"; name: string; fields: Readonly<Record<string, Input>> };

/** A field: the type that it leads to (null: a value, without fields of its own), and its arguments. */
export type Field = {
  to: string | null;
  args: Readonly<Record<string, Input>>;
  /** Arguments that must be there. */
  needs: readonly string[];
  /** A connection: `first` or `last` says how many of it, at most `MAX_PAGE`. */
  paged: boolean;
};
/** A type: its fields, and for an interface or union the types that `... on` may name. */
export type TypeRule = { fields: ReadonlyMap<string, Field>; possible: readonly string[] };

/** Items of one connection at once; GitHub's own limit. */
export const MAX_PAGE = 100;

const int = (min: number, max: number): Input => ({ kind: "int", name: "Int", min, max });
const text = (like: RegExp, name = "String"): Input => ({ kind: "text", name, like });
const list = (of: Input, most = 20): Input => ({ kind: "list", name: `[${of.name}!]`, of, most });
const oneOf = (name: string, values: string): Input => ({ kind: "enum", name, values: values.split(" ") });
const order = (name: string, values: string): Input => ({
  ...{ kind: "object", name },
  fields: { field: oneOf(`${name}Field`, values), direction: oneOf("OrderDirection", "ASC DESC") },
});

const yes: Input = { kind: "boolean", name: "Boolean" };
const number = int(1, 2 ** 31 - 1);
const cursor = text(/^[\w+/=:.-]{1,500}$/);
const word = text(/^[\p{L}\p{N}\p{S}\p{P} ]{1,200}$/u);
const branch = text(/^(?!-)(?!.*\.\.)[\w./+@#-]{1,250}$/);
const time = "[0-9T:.+Z-]{10,35}";
const page = { first: int(1, MAX_PAGE), last: int(1, MAX_PAGE), after: cursor, before: cursor };

type Some = Record<string, Field>;
/** Values by their names. */
const values = (names: string): Some =>
  Object.fromEntries(names.split(" ").map((name) => [name, { to: null, args: {}, needs: [], paged: false }]));
const value = (args: Record<string, Input>, ...needs: string[]): Field => ({ to: null, args, needs, paged: false });
const one = (to: string, args: Record<string, Input> = {}, ...needs: string[]): Field => ({
  ...{ to, args, needs, paged: false },
});
const many = (to: string, args: Record<string, Input> = {}, ...needs: string[]): Field => ({
  ...{ to: `${to}Connection`, args: { ...page, ...args }, needs, paged: true },
});

const table = new Map<string, TypeRule>();
const type = (name: string, fields: Some, possible: readonly string[] = []): void =>
  void table.set(name, { fields: new Map(Object.entries(fields)), possible });
/** A connection and its edges; `edge` where the edges are not named like the connection. */
function connection(name: string, to = name, edge = name): void {
  const nodes = { nodes: one(to), edges: one(`${edge}Edge`), pageInfo: one("PageInfo") };
  type(`${name}Connection`, { ...values("totalCount"), ...nodes });
  type(`${edge}Edge`, { ...values("cursor"), node: one(to) });
}

const people = ["Bot", "EnterpriseUserAccount", "Mannequin", "Organization", "User"];
const face = { ...values("login url resourcePath"), avatarUrl: value({ size: int(1, 1_000) }) };
type("Actor", face, people);
type("Bot", { ...face, ...values("id databaseId") });
type("EnterpriseUserAccount", { ...face, ...values("id name") });
type("Mannequin", { ...face, ...values("id databaseId") });
type("Organization", { ...face, ...values("id databaseId name") });
type("User", { ...face, ...values("id databaseId name") });
type("RequestedReviewer", {}, ["Bot", "Mannequin", "Team", "User"]);
type("Team", values("id name slug"));
type("GitActor", { ...values("name email date"), user: one("User") });

type("PageInfo", values("hasNextPage hasPreviousPage startCursor endCursor"));
type("RateLimit", values("limit cost remaining used resetAt nodeCount"));
type("Label", values("id name color description isDefault url"));
type("Milestone", values("id number title description state dueOn closed closedAt createdAt url"));
type("Language", values("id name color"));

const said = {
  ...values("id databaseId url body bodyText createdAt updatedAt lastEditedAt publishedAt includesCreatedEdit"),
  ...{ authorAssociation: value({}), author: one("Actor"), editor: one("Actor") },
};
const hidden = values("isMinimized minimizedReason");
const conversation = {
  ...said,
  ...values("number title closed closedAt locked activeLockReason resourcePath"),
  ...{ labels: many("Label"), assignees: many("User"), participants: many("User"), milestone: one("Milestone") },
  comments: many("IssueComment", { orderBy: order("IssueCommentOrder", "UPDATED_AT") }),
};
type("IssueComment", { ...said, ...hidden });
type("Issue", {
  ...{ ...conversation, ...values("state isPinned"), stateReason: value({ enableDuplicate: yes }) },
});
type("PullRequest", {
  ...conversation,
  ...values("state isDraft merged mergedAt mergeable mergeStateStatus reviewDecision additions deletions changedFiles"),
  ...values("headRefName headRefOid baseRefName baseRefOid isCrossRepository maintainerCanModify permalink checksUrl"),
  ...{ mergedBy: one("Actor"), mergeCommit: one("Commit"), statusCheckRollup: one("StatusCheckRollup") },
  ...{ commits: many("PullRequestCommit"), files: many("PullRequestChangedFile") },
  ...{ reviewRequests: many("ReviewRequest"), reviewThreads: many("PullRequestReviewThread") },
  reviews: many("PullRequestReview", {
    author: word,
    states: list(oneOf("PullRequestReviewState", "APPROVED CHANGES_REQUESTED COMMENTED DISMISSED PENDING")),
  }),
  ...{ latestReviews: many("PullRequestReview"), latestOpinionatedReviews: many("PullRequestReview") },
});
type("IssueOrPullRequest", {}, ["Issue", "PullRequest"]);
type("ReviewRequest", { ...values("asCodeOwner"), requestedReviewer: one("RequestedReviewer") });
type("PullRequestReview", {
  ...{ ...said, ...hidden, ...values("state submittedAt") },
  ...{ commit: one("Commit"), comments: many("PullRequestReviewComment") },
});
type("PullRequestReviewComment", {
  ...{ ...said, ...hidden, ...values("diffHunk line originalLine startLine originalStartLine outdated path state") },
  ...{ commit: one("Commit"), originalCommit: one("Commit"), replyTo: one("PullRequestReviewComment") },
});
type("PullRequestReviewThread", {
  ...values("id isResolved isOutdated isCollapsed path line originalLine startLine diffSide"),
  ...{ resolvedBy: one("User"), comments: many("PullRequestReviewComment") },
});
type("PullRequestChangedFile", values("path additions deletions changeType"));
type("PullRequestCommit", { ...values("id url"), commit: one("Commit") });

const thing = values("id oid abbreviatedOid commitUrl");
type("GitObject", thing, ["Blob", "Commit", "Tag", "Tree"]);
type("Blob", { ...thing, ...values("byteSize isBinary isTruncated text") });
type("Tag", { ...thing, ...values("name message"), tagger: one("GitActor"), target: one("GitObject") });
type("Tree", { ...thing, entries: one("TreeEntry") });
type("TreeEntry", { ...values("name path mode oid size type"), object: one("GitObject") });
type("Commit", {
  ...{ ...thing, ...values("message messageHeadline messageBody committedDate authoredDate additions deletions url") },
  ...{ ...values("changedFilesIfAvailable"), author: one("GitActor"), committer: one("GitActor"), tree: one("Tree") },
  ...{ authors: many("GitActor"), parents: many("Commit"), checkSuites: many("CheckSuite") },
  ...{ status: one("Status"), statusCheckRollup: one("StatusCheckRollup") },
  history: {
    ...{ to: "CommitHistoryConnection", needs: [], paged: true },
    args: {
      ...{ ...page, path: text(/^(?!\/)[\p{L}\p{N}\p{S}\p{P} ]{1,500}$/u) },
      ...{ since: text(new RegExp(`^${time}$`), "GitTimestamp"), until: text(new RegExp(`^${time}$`), "GitTimestamp") },
    },
  },
});
type("Ref", { ...values("id name prefix"), target: one("GitObject") });

const run = values("id databaseId name status conclusion startedAt completedAt detailsUrl url title summary text");
const required = { isRequired: value({ pullRequestNumber: number }) };
type("StatusCheckRollup", { ...values("id state"), contexts: many("StatusCheckRollupContext") });
type("StatusCheckRollupContext", {}, ["CheckRun", "StatusContext"]);
type("CheckRun", {
  ...{ ...run, ...values("permalink"), ...required },
  ...{ annotations: many("CheckAnnotation"), checkSuite: one("CheckSuite") },
});
type("CheckAnnotation", values("annotationLevel message path rawDetails title"));
type("CheckSuite", {
  ...{ ...values("id databaseId status conclusion createdAt updatedAt url"), app: one("App") },
  ...{ checkRuns: many("CheckRun"), workflowRun: one("WorkflowRun") },
});
type("App", values("name slug url"));
type("WorkflowRun", { ...values("id databaseId event runNumber url createdAt"), workflow: one("Workflow") });
type("Workflow", values("id name"));
type("StatusContext", {
  ...{ ...values("id context state description targetUrl createdAt"), ...required, creator: one("Actor") },
});
type("Status", {
  ...{ ...values("id state"), contexts: one("StatusContext"), context: one("StatusContext", { name: word }, "name") },
});

const byTime = { orderBy: order("IssueOrder", "CREATED_AT UPDATED_AT COMMENTS"), labels: list(word) };
type("Repository", {
  ...values("id databaseId name nameWithOwner description url createdAt pushedAt updatedAt isPrivate visibility"),
  ...values("isArchived isEmpty isFork hasIssuesEnabled mergeCommitAllowed rebaseMergeAllowed squashMergeAllowed"),
  ...{ issue: one("Issue", { number }, "number"), pullRequest: one("PullRequest", { number }, "number") },
  issueOrPullRequest: one("IssueOrPullRequest", { number }, "number"),
  issues: many("Issue", { ...byTime, states: list(oneOf("IssueState", "OPEN CLOSED")) }),
  pullRequests: many("PullRequest", {
    ...{ ...byTime, states: list(oneOf("PullRequestState", "OPEN CLOSED MERGED")) },
    ...{ headRefName: branch, baseRefName: branch },
  }),
  labels: many("Label", { query: word, orderBy: order("LabelOrder", "CREATED_AT NAME") }),
  ...{ label: one("Label", { name: word }, "name"), languages: many("Language"), primaryLanguage: one("Language") },
  ...{ defaultBranchRef: one("Ref"), ref: one("Ref", { qualifiedName: branch }, "qualifiedName") },
  refs: many(
    "Ref",
    {
      ...{ refPrefix: text(/^refs\/(?:heads|tags)\/$/), query: branch, orderBy: order("RefOrder", "ALPHABETICAL") },
      direction: oneOf("OrderDirection", "ASC DESC"),
    },
    "refPrefix",
  ),
  object: one("GitObject", {
    expression: text(/^(?![-:])(?!.*(?:\.\.|@\{))[\w./+@~^-]{1,250}(?::[\p{L}\p{N}\p{S}\p{P} ]{0,500})?$/u),
    oid: text(/^[0-9a-f]{40}(?:[0-9a-f]{24})?$/, "GitObjectID"),
  }),
});
for (const name of ["Issue", "PullRequest", "IssueComment", "Label", "User", "Ref", "GitActor", "Language"])
  connection(name);
for (const name of ["PullRequestReview", "PullRequestReviewComment", "PullRequestReviewThread", "ReviewRequest"])
  connection(name);
for (const name of ["PullRequestCommit", "PullRequestChangedFile", "Commit", "CheckSuite", "CheckRun"])
  connection(name);
for (const name of ["CheckAnnotation", "StatusCheckRollupContext"]) connection(name);
connection("CommitHistory", "Commit", "Commit");
type("Query", {
  // Its arguments are the job's repository; they are written anew and not looked up here.
  repository: one("Repository"),
  rateLimit: one("RateLimit"),
});

/** Every type that is served, by its name in GitHub's schema. */
export const forgeTypes: ReadonlyMap<string, TypeRule> = table;
