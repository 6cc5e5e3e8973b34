import { permissionsOfToken, permits, tokenCovers } from "./access.ts";
import type { Shape } from "./description.ts";
import type { Commit } from "./git.ts";
import type { Account, Issue, Repository, Token } from "./model.ts";
import type { Call } from "./server.ts";
import { associationOf, mayBeAssigned, reaches, roleOf, roleOfToken } from "./world/accounts.ts";
import { createComment } from "./world/comments.ts";
import { commitsOf, figuresOf, filesOf } from "./world/figures.ts";
import { setLabels } from "./world/issues.ts";
import { createPull, setDraft, updatePull } from "./world/pulls.ts";
import { repositoryByName } from "./world/repositories.ts";
import { latestStatuses, passes } from "./world/verdicts.ts";
import type { World } from "./world/world.ts";

export type GraphqlCall = Omit<Call, "operation" | "values" | "repository">;
type Resolver = (args: Shape) => unknown;
/** An object as GraphQL asks for it: values, and functions of a field's arguments. */
export type Tree = { __typename: string } & Record<string, unknown>;

/** An error that GitHub answers with, by its `type`. */
export class GraphqlError extends Error {
  readonly kind: string;
  constructor(kind: string, message: string) {
    super(message);
    this.kind = kind;
  }
}

/** A list of 100 at most, as GraphQL's connections give it. */
const connection =
  (type: string, nodes: unknown[], more: Shape = {}): Resolver =>
  (args) => {
    const count = Number(args.first ?? args.last ?? 100);
    const cut = args.last === undefined ? nodes.slice(0, count) : nodes.slice(-count);
    return {
      __typename: `${type}Connection`,
      nodes: cut,
      edges: cut.map((node) => ({ __typename: `${type}Edge`, node, cursor: "" })),
      totalCount: nodes.length,
      pageInfo: { __typename: "PageInfo", hasNextPage: false, hasPreviousPage: false, endCursor: "", startCursor: "" },
      ...more,
    };
  };

/** GitHub's objects as GraphQL shows them. */
export class Trees {
  readonly #call: GraphqlCall;
  readonly #token: Token;
  constructor(call: GraphqlCall, token: Token) {
    this.#call = call;
    this.#token = token;
  }

  #world(): World {
    return this.#call.world;
  }

  #visible(repository: Repository): boolean {
    return !repository.private || tokenCovers(this.#token, repository);
  }

  #needs(repository: Repository, permission: string): void {
    const permitted = tokenCovers(this.#token, repository) && permits(permissionsOfToken(this.#token), permission);
    const role = this.#token.kind === "installation" ? "write" : roleOf(this.#token.user, repository);
    if (!permitted || !reaches(role, "read"))
      throw new GraphqlError("FORBIDDEN", "Resource not accessible by integration");
  }

  query(): Tree {
    return {
      __typename: "Query",
      viewer: () => this.actor(this.#token.user),
      repository: (args: Shape) => {
        const found = repositoryByName(this.#world(), String(args.owner), String(args.name))?.repository;
        if (!found || !this.#visible(found))
          throw new GraphqlError(
            "NOT_FOUND",
            `Could not resolve to a Repository with the name '${args.owner}/${args.name}'.`,
          );
        return this.repository(found);
      },
      organization: () => {
        throw new GraphqlError("NOT_FOUND", "Could not resolve to an Organization with the login.");
      },
      node: (args: Shape) => {
        const { repository, issue } = this.#issueById(String(args.id));
        return issue.pull ? this.pull(repository, issue) : this.issue(repository, issue);
      },
      rateLimit: () => {
        const { limit, remaining, reset, used } = (
          this.#call.limits.overview(this.#call.principal).resources as Record<string, Record<string, number>>
        ).graphql!;
        return {
          ...{ __typename: "RateLimit", limit, remaining, used, cost: 1, nodeCount: 0 },
          resetAt: new Date(Number(reset) * 1_000).toISOString(),
        };
      },
    };
  }

  mutation(): Tree {
    const world = this.#world();
    const actor = this.#token.user;
    const pullOf = (id: unknown) => this.#pullById(String(id));
    const input = (args: Shape) => args.input as Shape;
    const result = (type: string, field: string, tree: unknown): Tree => ({
      __typename: type,
      clientMutationId: null,
      [field]: tree,
    });
    return {
      __typename: "Mutation",
      createPullRequest: async (args: Shape) => {
        const given = input(args);
        const repository = this.#repositoryById(String(given.repositoryId));
        this.#needs(repository, "pull_requests:write");
        const issue = await createPull(world, actor, repository, {
          title: String(given.title),
          body: (given.body as string | undefined) ?? null,
          head: String(given.headRefName),
          base: String(given.baseRefName),
          draft: given.draft === true,
          appId: this.#token.installation?.app.id,
        });
        return result("CreatePullRequestPayload", "pullRequest", this.pull(repository, issue));
      },
      updatePullRequest: async (args: Shape) => {
        const given = input(args);
        const { repository, issue } = pullOf(given.pullRequestId);
        this.#needs(repository, "pull_requests:write");
        const labels = (given.labelIds as string[] | undefined)?.map(
          (id) => repository.labels.find((one) => labelId(one.id) === id)?.name ?? "",
        );
        await updatePull(world, actor, repository, issue, {
          ...(given.title ? { title: String(given.title) } : {}),
          ...(given.body === undefined ? {} : { body: String(given.body) }),
          ...(given.state ? { state: String(given.state).toLowerCase() as "open" } : {}),
        });
        if (labels) await setLabels(world, actor, repository, issue, labels.filter(Boolean));
        return result("UpdatePullRequestPayload", "pullRequest", this.pull(repository, issue));
      },
      markPullRequestReadyForReview: async (args: Shape) => {
        const { repository, issue } = pullOf(input(args).pullRequestId);
        this.#needs(repository, "pull_requests:write");
        await setDraft(world, actor, repository, issue, false);
        return result("MarkPullRequestReadyForReviewPayload", "pullRequest", this.pull(repository, issue));
      },
      convertPullRequestToDraft: async (args: Shape) => {
        const { repository, issue } = pullOf(input(args).pullRequestId);
        this.#needs(repository, "pull_requests:write");
        await setDraft(world, actor, repository, issue, true);
        return result("ConvertPullRequestToDraftPayload", "pullRequest", this.pull(repository, issue));
      },
      addComment: async (args: Shape) => {
        const { repository, issue } = this.#issueById(String(input(args).subjectId));
        this.#needs(repository, issue.pull ? "pull_requests:write" : "issues:write");
        const comment = await createComment(
          world,
          actor,
          repository,
          issue,
          String(input(args).body),
          this.#token.installation?.app.id,
        );
        const shape = await this.#call.present.comment(repository, issue, comment);
        return result("AddCommentPayload", "commentEdge", {
          __typename: "IssueCommentEdge",
          node: { __typename: "IssueComment", id: shape.node_id, url: shape.html_url },
        });
      },
    };
  }

  #repositoryById(id: string): Repository {
    for (const repository of this.#world().repositories.values())
      if (this.#call.present.repository(repository).node_id === id && this.#visible(repository)) return repository;
    throw new GraphqlError("NOT_FOUND", `Could not resolve to a node with the global id of '${id}'`);
  }

  #issueById(id: string): { repository: Repository; issue: Issue } {
    for (const repository of this.#world().repositories.values())
      for (const issue of repository.issues.values())
        if (issueId(issue) === id && this.#visible(repository)) return { repository, issue };
    throw new GraphqlError("NOT_FOUND", `Could not resolve to a node with the global id of '${id}'`);
  }

  #pullById(id: string): { repository: Repository; issue: Issue } {
    const found = this.#issueById(id);
    if (!found.issue.pull) throw new GraphqlError("NOT_FOUND", "not a pull request");
    return found;
  }

  actor(account: Account): Tree {
    const shape = this.#call.present.user(account);
    return {
      __typename: account.type,
      id: shape.node_id,
      login: account.type === "Bot" ? account.login.replace(/\[bot\]$/, "") : account.login,
      name: account.name ?? "",
      url: shape.html_url,
      avatarUrl: shape.avatar_url,
      email: "",
      databaseId: account.id,
    };
  }

  repository(repository: Repository): Tree {
    const shape = this.#call.present.repository(repository, true);
    const flags = shape.permissions as Record<string, boolean>;
    const named = (args: Shape) => Number(args.number);
    const issueOr = (args: Shape) => repository.issues.get(named(args));
    const missing = (kind: string, number: number) =>
      new GraphqlError("NOT_FOUND", `Could not resolve to ${kind} with the number of ${number}.`);
    const pulls = () => [...repository.issues.values()].filter((issue) => issue.pull).reverse();
    const issues = () => [...repository.issues.values()].filter((issue) => !issue.pull).reverse();
    /** Newest first, or by the direction that is asked for; always in order of creation. */
    const ordered = (found: Issue[], args: Shape) =>
      (args.orderBy as Shape | undefined)?.direction === "ASC" ? found.reverse() : found;
    const role = reaches(roleOfToken(this.#token, repository), "admin") ? "ADMIN" : flags.push ? "WRITE" : "READ";
    return {
      __typename: "Repository",
      id: shape.node_id,
      databaseId: repository.id,
      name: repository.name,
      nameWithOwner: shape.full_name,
      owner: () => this.actor(repository.owner),
      url: shape.html_url,
      description: repository.description,
      isPrivate: repository.private,
      isFork: repository.parent !== undefined,
      isArchived: repository.archived,
      isEmpty: false,
      visibility: repository.private ? "PRIVATE" : "PUBLIC",
      hasIssuesEnabled: true,
      hasWikiEnabled: true,
      viewerPermission: role,
      viewerCanPush: flags.push,
      mergeCommitAllowed: repository.allowMerge.merge,
      squashMergeAllowed: repository.allowMerge.squash,
      rebaseMergeAllowed: repository.allowMerge.rebase,
      deleteBranchOnMerge: repository.deleteBranchOnMerge,
      defaultBranchRef: async () => this.ref(repository, `refs/heads/${repository.defaultBranch}`),
      ref: (args: Shape) => this.ref(repository, String(args.qualifiedName)),
      refs: async (args: Shape) => {
        const names = [...(await repository.git.refs(String(args.refPrefix))).keys()];
        return connection("Ref", await Promise.all(names.map((name) => this.ref(repository, name))))(args);
      },
      object: (args: Shape) => this.object(repository, String(args.oid ?? args.expression)),
      label: (args: Shape) => {
        const found = repository.labels.find((one) => one.name === args.name);
        return found ? this.label(found) : null;
      },
      parent: () => (repository.parent && this.#visible(repository.parent) ? this.repository(repository.parent) : null),
      pullRequest: (args: Shape) => {
        const issue = issueOr(args);
        if (!issue?.pull) throw missing("a PullRequest", named(args));
        return this.pull(repository, issue);
      },
      issue: (args: Shape) => {
        const issue = issueOr(args);
        if (!issue || issue.pull) throw missing("an Issue", named(args));
        return this.issue(repository, issue);
      },
      issueOrPullRequest: (args: Shape) => {
        const issue = issueOr(args);
        if (!issue) throw missing("an issue or pull request", named(args));
        return issue.pull ? this.pull(repository, issue) : this.issue(repository, issue);
      },
      pullRequests: (args: Shape) => {
        const states = args.states as string[] | string | undefined;
        const wanted = states === undefined ? undefined : [states].flat();
        const found = pulls().filter(
          (issue) =>
            (!wanted || wanted.includes(pullState(issue))) &&
            (args.headRefName === undefined || issue.pull!.headRef === args.headRefName) &&
            (args.baseRefName === undefined || issue.pull!.baseRef === args.baseRefName),
        );
        return connection(
          "PullRequest",
          ordered(found, args).map((issue) => this.pull(repository, issue)),
        )(args);
      },
      issues: (args: Shape) => {
        const states = args.states as string[] | string | undefined;
        const wanted = states === undefined ? undefined : [states].flat();
        const found = issues().filter((issue) => !wanted || wanted.includes(issue.state.toUpperCase()));
        return connection(
          "Issue",
          ordered(found, args).map((issue) => this.issue(repository, issue)),
        )(args);
      },
      labels: connection(
        "Label",
        repository.labels.map((one) => this.label(one)),
      ),
      assignableUsers: connection(
        "User",
        [...this.#world().accounts.values()]
          .filter((one) => one.type === "User" && mayBeAssigned(repository, one))
          .map((one) => this.actor(one)),
      ),
      milestones: connection("Milestone", []),
      projects: connection("Project", []),
      projectsV2: connection("ProjectV2", []),
      issueTemplates: [],
      pullRequestTemplates: [],
      forks: connection(
        "Repository",
        [...this.#world().repositories.values()]
          .filter((one) => one.parent === repository)
          .map((one) => this.repository(one)),
      ),
    };
  }

  async ref(repository: Repository, name: string): Promise<Tree | null> {
    const sha = await repository.git.resolve(name);
    if (!sha) return null;
    return {
      __typename: "Ref",
      id: Buffer.from(`${repository.id}:${name}`).toString("base64url"),
      name: name.replace(/^refs\/(heads|tags)\//, ""),
      prefix: /^refs\/\w+\//.exec(name)?.[0] ?? "refs/heads/",
      target: async () => this.commit(repository, await repository.git.commit(sha)),
    };
  }

  commit(repository: Repository, commit: Commit): Tree {
    const [headline = "", , ...rest] = commit.message.split("\n");
    const actor = ({ name, email, date }: Commit["author"]) => ({
      __typename: "GitActor",
      name,
      email,
      date,
      user: null,
    });
    return {
      ...{ __typename: "Commit", oid: commit.sha, abbreviatedOid: commit.sha.slice(0, 7), id: nodeId(commit.sha) },
      ...{ message: commit.message, messageHeadline: headline, messageBody: rest.join("\n") },
      ...{ committedDate: commit.committer.date, authoredDate: commit.author.date },
      ...{ author: actor(commit.author), committer: actor(commit.committer) },
      authors: connection("GitActor", [actor(commit.author)]),
      parents: async (args: Shape) => {
        const found = await Promise.all(commit.parents.map((sha) => repository.git.commit(sha)));
        return connection(
          "Commit",
          found.map((one) => this.commit(repository, one)),
        )(args);
      },
      history: async (args: Shape) => {
        const path = args.path ? { path: String(args.path) } : {};
        const found = await repository.git.log(commit.sha, { limit: 100, ...path });
        return connection(
          "CommitHistory",
          found.map((one) => this.commit(repository, one)),
        )(args);
      },
      statusCheckRollup: () => this.#rollup(repository, commit.sha),
    };
  }

  /** A commit, or a file by `<revision>:<path>`. */
  async object(repository: Repository, expression: string): Promise<Tree | null> {
    const [revision = "", path] = expression.split(/:(.*)/s);
    const commit = await repository.git.resolve(revision);
    if (!commit) return null;
    if (path === undefined) return this.commit(repository, await repository.git.commit(commit));
    const { sha = "", type } = (await repository.git.entry(commit, path)) ?? {};
    if (type !== "blob") return null;
    const bytes = await repository.git.readBlob(sha);
    return {
      ...{ __typename: "Blob", oid: sha, id: nodeId(sha), byteSize: bytes.length, isTruncated: false },
      ...{ isBinary: bytes.includes(0), text: bytes.includes(0) ? null : bytes.toString("utf8") },
    };
  }

  label(label: { id: number; name: string; color: string; description: string | null }): Tree {
    return {
      __typename: "Label",
      id: labelId(label.id),
      name: label.name,
      color: label.color,
      description: label.description,
    };
  }

  #common(repository: Repository, issue: Issue): Record<string, unknown> {
    const { present } = this.#call;
    const html = `${present.web}/${repository.owner.login}/${repository.name}`;
    return {
      id: issueId(issue),
      databaseId: issue.id,
      number: issue.number,
      url: `${html}/${issue.pull ? "pull" : "issues"}/${issue.number}`,
      title: issue.title,
      body: issue.body ?? "",
      bodyText: issue.body ?? "",
      closed: issue.state === "closed",
      closedAt: issue.closedAt ?? null,
      createdAt: issue.createdAt,
      updatedAt: issue.updatedAt,
      locked: issue.locked,
      author: () => this.actor(issue.user),
      authorAssociation: () => associationOf(this.#world(), repository, issue.user),
      repository: () => this.repository(repository),
      labels: connection(
        "Label",
        issue.labels.map((one) => this.label(one)),
      ),
      assignees: connection(
        "User",
        issue.assignees.map((one) => this.actor(one)),
      ),
      milestone: null,
      projectCards: connection("ProjectCard", []),
      projectItems: connection("ProjectV2Item", []),
      reactionGroups: [],
      comments: connection(
        "IssueComment",
        issue.comments.map((comment) => ({
          __typename: "IssueComment",
          id: Buffer.from(`0:IssueComment${comment.id}`).toString("base64url"),
          author: () => this.actor(comment.user),
          authorAssociation: () => associationOf(this.#world(), repository, comment.user),
          databaseId: comment.id,
          body: comment.body,
          bodyText: comment.body,
          createdAt: comment.createdAt,
          includesCreatedEdit: comment.updatedAt !== comment.createdAt,
          isMinimized: false,
          minimizedReason: "",
          reactionGroups: [],
          url: `${html}/issues/${issue.number}#issuecomment-${comment.id}`,
          viewerDidAuthor: comment.user === this.#token.user,
        })),
      ),
    };
  }

  issue(repository: Repository, issue: Issue): Tree {
    return {
      __typename: "Issue",
      ...this.#common(repository, issue),
      state: issue.state.toUpperCase(),
      stateReason: issue.stateReason?.toUpperCase() ?? null,
      isPinned: false,
    };
  }

  pull(repository: Repository, issue: Issue): Tree {
    const world = this.#world();
    const pull = issue.pull!;
    const figures = () => figuresOf(world, repository, issue);
    const latest = new Map(pull.reviews.filter((one) => one.state !== "PENDING").map((one) => [one.user, one]));
    const reviewTree = (review: (typeof pull.reviews)[number]): Tree => ({
      __typename: "PullRequestReview",
      id: Buffer.from(`0:PullRequestReview${review.id}`).toString("base64url"),
      author: () => this.actor(review.user),
      authorAssociation: () => associationOf(world, repository, review.user),
      body: review.body ?? "",
      state: review.state,
      submittedAt: review.submittedAt ?? null,
      includesCreatedEdit: false,
      reactionGroups: [],
      url: `${this.#call.present.web}/${repository.owner.login}/${repository.name}/pull/${issue.number}#pullrequestreview-${review.id}`,
      commit: { __typename: "Commit", oid: review.commitId },
    });
    const reviewed = pull.reviews.filter((one) => one.state !== "PENDING").map(reviewTree);
    const states = [...latest.values()].map((one) => one.state);
    return {
      __typename: "PullRequest",
      ...this.#common(repository, issue),
      state: pullState(issue),
      isDraft: pull.draft,
      merged: pull.mergedAt !== undefined,
      mergedAt: pull.mergedAt ?? null,
      mergedBy: () => (pull.mergedBy ? this.actor(pull.mergedBy) : null),
      mergeCommit: () => (pull.mergeCommitSha ? { __typename: "Commit", oid: pull.mergeCommitSha } : null),
      potentialMergeCommit: null,
      autoMergeRequest: null,
      mergeable: async () => {
        const { mergeable } = await figures();
        return mergeable === null ? "UNKNOWN" : mergeable ? "MERGEABLE" : "CONFLICTING";
      },
      mergeStateStatus: async () => (await figures()).mergeableState.toUpperCase(),
      additions: async () => (await figures()).additions,
      deletions: async () => (await figures()).deletions,
      changedFiles: async () => (await figures()).files,
      headRefName: pull.headRef,
      headRefOid: pull.headSha,
      baseRefName: pull.baseRef,
      baseRefOid: pull.baseSha,
      headRepository: () => (pull.headRepository ? this.repository(pull.headRepository) : null),
      headRepositoryOwner: () => this.actor(pull.headOwner),
      isCrossRepository: pull.headRepository !== repository,
      maintainerCanModify: pull.maintainerCanModify,
      reviewDecision: states.includes("CHANGES_REQUESTED")
        ? "CHANGES_REQUESTED"
        : states.includes("APPROVED")
          ? "APPROVED"
          : null,
      reviews: connection("PullRequestReview", reviewed),
      latestReviews: connection("PullRequestReview", [...latest.values()].map(reviewTree)),
      reviewRequests: connection(
        "ReviewRequest",
        pull.requestedReviewers.map((one) => ({
          __typename: "ReviewRequest",
          requestedReviewer: () => this.actor(one),
        })),
      ),
      files: async (args: Shape) => {
        const files = await filesOf(repository, issue);
        return connection(
          "PullRequestChangedFile",
          files.map((one) => ({
            __typename: "PullRequestChangedFile",
            path: one.filename,
            additions: one.additions,
            deletions: one.deletions,
            changeType: one.status === "removed" ? "DELETED" : one.status.toUpperCase(),
          })),
        )(args);
      },
      closingIssuesReferences: connection("Issue", []),
      commits: async (args: Shape) => {
        const commits = await commitsOf(repository, issue);
        return connection(
          "PullRequestCommit",
          commits.map((one) => ({
            __typename: "PullRequestCommit",
            commit: this.commit(repository, one),
          })),
        )(args);
      },
      statusCheckRollup: () => this.#rollup(repository, pull.headSha),
    };
  }

  #rollup(repository: Repository, sha: string): Tree | null {
    const runs = repository.checkRuns.filter((one) => one.headSha === sha);
    const statuses = latestStatuses(repository, sha);
    if (runs.length + statuses.length === 0) return null;
    const required = (name: string) => repository.protections.some((one) => one.requiredChecks.includes(name));
    const failing =
      runs.some((one) => one.conclusion !== null && !passes(one.conclusion)) ||
      statuses.some((one) => one.state === "failure" || one.state === "error");
    const pending = runs.some((one) => one.conclusion === null) || statuses.some((one) => one.state === "pending");
    return {
      __typename: "StatusCheckRollup",
      state: failing ? "FAILURE" : pending ? "PENDING" : "SUCCESS",
      contexts: connection("StatusCheckRollupContext", [
        ...runs.map((one) => ({
          __typename: "CheckRun",
          name: one.name,
          checkSuite: {
            __typename: "CheckSuite",
            workflowRun: one.job
              ? { __typename: "WorkflowRun", workflow: { __typename: "Workflow", name: "CI" } }
              : null,
          },
          status: one.status.toUpperCase(),
          conclusion: one.conclusion?.toUpperCase() ?? null,
          startedAt: one.startedAt,
          completedAt: one.completedAt,
          detailsUrl: one.detailsUrl ?? "",
          isRequired: required(one.name),
        })),
        ...statuses.map((one) => ({
          __typename: "StatusContext",
          context: one.context,
          isRequired: required(one.context),
          state: one.state.toUpperCase(),
          targetUrl: one.targetUrl,
          createdAt: one.createdAt,
          description: one.description,
        })),
      ]),
    };
  }
}

const pullState = (issue: Issue) => (issue.pull?.mergedAt ? "MERGED" : issue.state.toUpperCase());
const nodeId = (text: string) => Buffer.from(text).toString("base64url");
const labelId = (id: number) => Buffer.from(`0:Label${id}`).toString("base64url");
const issueId = (issue: Issue) =>
  Buffer.from(`0:${issue.pull ? "PullRequest" : "Issue"}${issue.id}`).toString("base64url");
