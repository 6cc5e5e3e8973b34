import { type DocumentNode, type FieldNode, Kind, type OperationDefinitionNode, parse, type ValueNode } from "graphql";
import { permissionsOfToken, permits, tokenCovers } from "./access.ts";
import type { Shape } from "./description.ts";
import { type Account, type Issue, Refused, type Repository, type Token } from "./model.ts";
import type { Answer, Call } from "./server.ts";
import { associationOf, mayBeAssigned, reaches, roleOf, roleOfToken } from "./world/accounts.ts";
import { createComment } from "./world/comments.ts";
import { commitsOf, figuresOf, filesOf } from "./world/figures.ts";
import { setLabels } from "./world/issues.ts";
import { createPull, setDraft, updatePull } from "./world/pulls.ts";
import { repositoryByName } from "./world/repositories.ts";
import { latestStatuses, passes } from "./world/verdicts.ts";
import type { World } from "./world/world.ts";

/**
 * The few GraphQL queries and mutations that GitHub's own `gh` sends for pull requests and issues, and marking a pull
 * request ready. Objects are plain trees of values and functions that are asked field by field; a field that is not
 * there is an error in GraphQL's own shape, so that nothing passes by accident.
 */

export type GraphqlCall = Omit<Call, "operation" | "values" | "repository">;
type Resolver = (args: Shape) => unknown;
type Tree = { __typename: string } & Record<string, unknown>;

class GraphqlError extends Error {
  readonly kind: string;
  constructor(kind: string, message: string) {
    super(message);
    this.kind = kind;
  }
}

function literal(node: ValueNode, variables: Shape): unknown {
  switch (node.kind) {
    case Kind.VARIABLE:
      return variables[node.name.value];
    case Kind.INT:
      return Number(node.value);
    case Kind.FLOAT:
      return Number(node.value);
    case Kind.STRING:
    case Kind.BOOLEAN:
    case Kind.ENUM:
      return node.value;
    case Kind.NULL:
      return null;
    case Kind.LIST:
      return node.values.map((one) => literal(one, variables));
    case Kind.OBJECT:
      return Object.fromEntries(node.fields.map((field) => [field.name.value, literal(field.value, variables)]));
  }
}

/** Walks a selection over a tree of values and resolvers. */
async function select(
  document: DocumentNode,
  operation: OperationDefinitionNode,
  root: Tree,
  variables: Shape,
): Promise<Shape> {
  const fragments = new Map(
    document.definitions.flatMap((one) => (one.kind === Kind.FRAGMENT_DEFINITION ? [[one.name.value, one]] : [])),
  );
  const fields = (selections: OperationDefinitionNode["selectionSet"], type: string): FieldNode[] =>
    selections.selections.flatMap((one): FieldNode[] => {
      const directive = one.directives?.find((found) => found.name.value === "include" || found.name.value === "skip");
      if (directive) {
        const argument = directive.arguments?.[0];
        const on = argument ? literal(argument.value, variables) === true : true;
        if (on === (directive.name.value === "skip")) return [];
      }
      if (one.kind === Kind.FIELD) return [one];
      const fragment = one.kind === Kind.FRAGMENT_SPREAD ? fragments.get(one.name.value) : one;
      if (!fragment) throw new GraphqlError("undefinedFragment", "no such fragment");
      const on = fragment.typeCondition?.name.value;
      // Interfaces that the stand-in's objects are asked through.
      const fits = !on || on === type || ["Actor", "Node", "RepositoryOwner", "RequestedReviewer"].includes(on);
      return fits ? fields(fragment.selectionSet, type) : [];
    });
  const walk = async (value: unknown, field: FieldNode): Promise<unknown> => {
    if (value === null || value === undefined) return null;
    if (Array.isArray(value)) return Promise.all(value.map((one) => walk(one, field)));
    if (!field.selectionSet) return value;
    return object(value as Tree, field.selectionSet);
  };
  const object = async (tree: Tree, set: OperationDefinitionNode["selectionSet"]): Promise<Shape> => {
    const out: Shape = {};
    for (const field of fields(set, tree.__typename)) {
      const name = field.name.value;
      if (!(name in tree))
        throw new GraphqlError("undefinedField", `Field '${name}' doesn't exist on type '${tree.__typename}'`);
      const args = Object.fromEntries(
        (field.arguments ?? []).map((one) => [one.name.value, literal(one.value, variables)]),
      );
      const held = tree[name];
      const value = typeof held === "function" ? await (held as Resolver)(args) : held;
      const key = field.alias?.value ?? name;
      const answer = await walk(value, field);
      const before = out[key];
      // The same field asked for in two fragments is one field.
      out[key] =
        before && answer && typeof before === "object" && typeof answer === "object" && !Array.isArray(before)
          ? { ...before, ...answer }
          : answer;
    }
    return out;
  };
  return object(root, operation.selectionSet);
}

/** Answers one GraphQL request. */
export async function graphql(call: GraphqlCall): Promise<Answer> {
  if (call.principal.kind !== "token") throw new Refused(401, "This endpoint requires you to be authenticated.");
  const { query, variables, operationName } = call.body as {
    query?: string;
    variables?: Shape;
    operationName?: string;
  };
  const failed = (kind: string, message: string, extra: Shape = {}): Answer => ({
    status: 200,
    body: { errors: [{ type: kind, message, locations: [{ line: 1, column: 1 }], ...extra }] },
  });
  if (!query) return { status: 400, body: { message: "A query attribute must be specified and must be a string." } };
  let document: DocumentNode;
  try {
    document = parse(query, { maxTokens: 5000 });
  } catch (error) {
    return failed("PARSE", (error as Error).message);
  }
  const operations = document.definitions.filter((one) => one.kind === Kind.OPERATION_DEFINITION);
  const operation = operationName ? operations.find((one) => one.name?.value === operationName) : operations[0];
  if (!operation || operation.operation === "subscription") return failed("MISSING_OPERATION", "No operation found");
  const given: Shape = { ...variables };
  for (const definition of operation.variableDefinitions ?? []) {
    const name = definition.variable.name.value;
    if (given[name] === undefined && definition.defaultValue) given[name] = literal(definition.defaultValue, {});
    if (given[name] === undefined && definition.type.kind === Kind.NON_NULL_TYPE)
      return failed("INVALID_VARIABLE", `Variable $${name} was provided invalid value`);
  }
  const trees = new Trees(call, call.token);
  try {
    const root = operation.operation === "mutation" ? trees.mutation() : trees.query();
    return { status: 200, body: { data: await select(document, operation, root, given) } };
  } catch (error) {
    if (error instanceof GraphqlError) return failed(error.kind, error.message, { path: [] });
    if (error instanceof Refused)
      return failed(
        error.status === 404 ? "NOT_FOUND" : error.status === 403 ? "FORBIDDEN" : "UNPROCESSABLE",
        refusalText(error),
      );
    throw error;
  }
}

function refusalText(error: Refused): string {
  const first = (error.body.errors as unknown[] | undefined)?.[0];
  if (typeof first === "string") return first;
  return String((first as Shape | undefined)?.message ?? error.message);
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
class Trees {
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
      // gh asks which fields a type has before it uses newer ones.
      __type: (args: Shape) => ({
        __typename: "__Type",
        name: args.name,
        fields: () => [],
        enumValues: () => [],
      }),
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
          found.map((issue) => this.pull(repository, issue)),
        )(args);
      },
      issues: (args: Shape) => {
        const states = args.states as string[] | string | undefined;
        const wanted = states === undefined ? undefined : [states].flat();
        const found = issues().filter((issue) => !wanted || wanted.includes(issue.state.toUpperCase()));
        return connection(
          "Issue",
          found.map((issue) => this.issue(repository, issue)),
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
      prefix: "refs/heads/",
      target: { __typename: "Commit", oid: sha, id: Buffer.from(sha).toString("base64url") },
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
      number: issue.number,
      url: `${html}/${issue.pull ? "pull" : "issues"}/${issue.number}`,
      title: issue.title,
      body: issue.body ?? "",
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
          body: comment.body,
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
      body: review.body,
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
          : "",
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
            commit: {
              __typename: "Commit",
              oid: one.sha,
              id: Buffer.from(one.sha).toString("base64url"),
              messageHeadline: one.message.split("\n")[0],
              messageBody: one.message.split("\n").slice(2).join("\n"),
              committedDate: one.committer.date,
              authoredDate: one.author.date,
              authors: connection("GitActor", [
                { __typename: "GitActor", name: one.author.name, email: one.author.email, user: null },
              ]),
              statusCheckRollup: () => this.#rollup(repository, one.sha),
            },
          })),
        )(args);
      },
      statusCheckRollup: connection("Commit", []),
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
          conclusion: one.conclusion?.toUpperCase() ?? "",
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
const labelId = (id: number) => Buffer.from(`0:Label${id}`).toString("base64url");
const issueId = (issue: Issue) =>
  Buffer.from(`0:${issue.pull ? "PullRequest" : "Issue"}${issue.id}`).toString("base64url");
