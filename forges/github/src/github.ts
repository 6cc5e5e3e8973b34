import { accept, type Outcome, refuse } from "@x1agent/contract";
import {
  type CheckRequest,
  type Forge,
  type ForgeCheck,
  type ForgeDelivery,
  type ForgeIssue,
  type ForgePullRequest,
  type ForgeRepository,
  type ForgeReviewItem,
  type ForgeText,
  isPermission,
  isPermitted,
  type Page,
  type PageRequest,
  type PullRequestRequest,
} from "@x1agent/forges";
import { z } from "zod";
import { type Answer, createClient, type GithubClient, type GithubOptions, pageOf } from "./client.ts";
import * as s from "./schemas.ts";

/** What the app needs of an installation; asked for by the manifest and looked for in each installation. */
export const neededPermissions = {
  contents: "write",
  pull_requests: "write",
  issues: "write",
  checks: "write",
  statuses: "read",
  actions: "read",
  metadata: "read",
} as const;

/** What of these a job's agent reads, and what it needs to speak. */
const apiReads = { metadata: "read", contents: "read", issues: "read", pull_requests: "read", checks: "read" };
const apiComments = { metadata: "read", issues: "write", pull_requests: "write" };

/** Most comments of an issue, and remarks of a pull request, that are read: three pages. */
const MAX_PAGES = 3;
/** Pages that are looked through for a repository by its name. */
const MAX_SEARCHED = 10;
const MAX_COMMENT_PAGES = 10;
/** Pages of missed deliveries: a thousand. */
const MAX_DELIVERY_PAGES = 10;
const EXCERPT = 20_000;
/** Annotations that one request carries. */
const ANNOTATIONS = 50;
const MAX_ANNOTATIONS = 500;
/** Failed checks whose logs are read. */
const MAX_LOGS = 5;

/** GitHub, or GitHub Enterprise Server, for one connection. See the port for what each method promises. */
export function createGithubForge(options: GithubOptions): Forge {
  const { auth } = options;
  const client = createClient(options);
  let own: { actsAs: string } | null = null;

  const forge: Forge = {
    limits: () => client.limits(),

    async identify() {
      if (auth.kind === "token") {
        const user = await client.call("GET /user", "the token's owner", s.User);
        if (!user.ok) return user;
        const scopes = user.value.headers["x-oauth-scopes"];
        const classic = scopes?.split(/,\s*/).filter(Boolean) ?? [];
        const { login } = user.value.value;
        own = { actsAs: login };
        return accept({
          ...{ account: login, actsAs: login, state: "active" as const },
          // A fine-grained token does not say what it may do: each repository shows it.
          permissions: Object.fromEntries(classic.map((scope) => [scope, "classic"])),
          missing:
            classic.length > 0 && !classic.includes("repo") && !classic.includes("public_repo")
              ? ["The token lacks the scope repo: it can read public repositories only."]
              : [],
        });
      }
      if (auth.installation === null) return refuse("forge_unconfigured", "The app has no installation yet.");
      const found = await client.call("GET /app/installations/{installation_id}", "the installation", s.Installation, {
        installation_id: Number(auth.installation),
      });
      if (!found.ok)
        return found.code === "forge_not_found"
          ? refuse("forge_unauthorized", "The installation was removed at GitHub: install the app again.")
          : found;
      const { account, app_slug: slug, permissions, suspended_at: suspended } = found.value.value;
      own = { actsAs: `${slug ?? "app"}[bot]` };
      return accept({
        account: account?.login ?? account?.slug ?? "",
        actsAs: own.actsAs,
        permissions,
        missing: missingPermissions(permissions),
        state: suspended ? "suspended" : "active",
      });
    },

    async listRepositories({ limit, cursor, text }) {
      const wanted = text?.trim().toLowerCase();
      const items: ForgeRepository[] = [];
      let at = cursor;
      for (let page = 0; page < (wanted ? MAX_SEARCHED : 1); page += 1) {
        // Looking for a name is reading the list: GitHub's search knows nothing of what an installation was given.
        const parameters = { per_page: wanted ? 100 : Math.min(limit, 100), ...pageOf(at) };
        const found = await repositoryPage(client, auth.kind, parameters);
        if (!found.ok) return found;
        items.push(...found.value.value.filter((one) => !wanted || one.fullName.toLowerCase().includes(wanted)));
        at = found.value.next ?? undefined;
        if (at === undefined || items.length >= limit) break;
      }
      return accept({ items, cursor: at ?? null });
    },

    async getRepository(at) {
      const what = "fullName" in at ? `the repository ${at.fullName}` : "the repository";
      const found =
        "id" in at
          ? await client.call("GET /repositories/{id}", what, s.Repository, { id: numeric(at.id) })
          : await client.call("GET /repos/{owner}/{repo}", what, s.Repository, named(at.fullName));
      return found.ok ? accept(repository(found.value.value, auth.kind)) : found;
    },

    async getBranch(at, branch) {
      const what = `the branch ${branch} of ${at.fullName}`;
      const found = await client.call("GET /repos/{owner}/{repo}/branches/{branch}", what, s.Branch, {
        ...named(at.fullName),
        branch,
      });
      if (!found.ok) {
        if (found.code !== "forge_not_found") return found;
        const there = await forge.getRepository({ id: at.id });
        return there.ok ? accept(null) : there;
      }
      const { name, commit, protected: classic } = found.value.value;
      let held = classic;
      if (!held) {
        const rules = await client.call("GET /repos/{owner}/{repo}/rules/branches/{branch}", what, s.Rules, {
          ...named(at.fullName),
          ...{ branch, per_page: 100 },
        });
        // Servers from before rulesets do not know the question.
        if (!rules.ok && rules.code !== "forge_not_found" && rules.code !== "forge_forbidden") return rules;
        held = rules.ok && rules.value.value.length > 0;
      }
      return accept({ name, commit: commit.sha, protected: held });
    },

    async listIssues(at, { limit, cursor, text, labels = [], state = "open", updatedSince }) {
      const what = `the issues of ${at.fullName}`;
      const per_page = Math.min(limit, 100);
      if (text?.trim()) {
        const found = await client.call("GET /search/issues", what, s.SearchIssues, {
          ...{ q: searchQuery(at.fullName, text, labels, state), per_page, sort: "created", order: "desc" },
          ...pageOf(cursor),
        });
        return found.ok ? accept(issuePage(found.value.value.items, found.value.next)) : found;
      }
      const found = await client.call("GET /repos/{owner}/{repo}/issues", what, z.array(s.Issue), {
        ...named(at.fullName),
        ...{ state, per_page },
        ...(updatedSince === undefined
          ? { sort: "created", direction: "desc" }
          : { sort: "updated", direction: "asc", since: updatedSince }),
        ...(labels.length > 0 ? { labels: labels.join(",") } : {}),
        ...pageOf(cursor),
      });
      return found.ok ? accept(issuePage(found.value.value, found.value.next)) : found;
    },

    async getIssue(at, number) {
      const what = `the issue ${at.fullName}#${number}`;
      const there = { ...named(at.fullName), issue_number: number };
      const found = await client.call("GET /repos/{owner}/{repo}/issues/{issue_number}", what, s.Issue, there);
      if (!found.ok) return found;
      if (found.value.value.pull_request)
        return refuse("forge_not_found", `${at.fullName}#${number} is a pull request.`);
      const comments: ForgeText[] = [];
      const route = "GET /repos/{owner}/{repo}/issues/{issue_number}/comments";
      const rest = await everyPage(client, route, what, s.Comment, there, MAX_PAGES);
      if (!rest.ok) return rest;
      comments.push(...rest.value.items.map((one) => words(one)));
      return accept({ issue: issue(found.value.value), comments, truncated: rest.value.truncated });
    },

    async listIssueEvents(at, number) {
      const what = `what was done to ${at.fullName}#${number}`;
      const there = { ...named(at.fullName), issue_number: number };
      const route = "GET /repos/{owner}/{repo}/issues/{issue_number}/events";
      const found = await everyPage(client, route, what, s.IssueEvent, there, MAX_PAGES);
      if (!found.ok) return found;
      return accept(
        found.value.items.flatMap(({ id, event, actor, label, assignee, assigner, created_at: time }) => {
          // Of an assignment `actor` is who was assigned, in older answers; `assigner` is who did it.
          const who = event === "assigned" ? (assigner ?? actor)?.login : actor?.login;
          const subject = event === "labeled" ? label?.name : event === "assigned" ? assignee?.login : undefined;
          return who && subject
            ? [{ id: String(id), kind: event as "labeled" | "assigned", actor: who, subject, at: time }]
            : [];
        }),
      );
    },

    async deleteBranch(at, branch, commit) {
      const what = `the branch ${branch} of ${at.fullName}`;
      const now = await forge.getBranch(at, branch);
      if (!now.ok) return now;
      if (now.value?.commit !== commit || now.value.protected || branch === at.defaultBranch) return accept(false);
      const gone = await client.call("DELETE /repos/{owner}/{repo}/git/refs/{ref}", what, z.unknown(), {
        ...named(at.fullName),
        ref: `heads/${branch}`,
      });
      return gone.ok || gone.code === "forge_not_found" || gone.code === "forge_invalid" ? accept(gone.ok) : gone;
    },

    ...(auth.kind === "app" ? { listMissedDeliveries: (since: string) => listMissed(client, since) } : {}),

    async getAccount(login) {
      const found = await client.call("GET /users/{username}", `the account ${login}`, s.Account, { username: login });
      if (!found.ok) return found;
      const { id, login: now, name } = found.value.value;
      // https://docs.github.com/account-and-profile/reference/email-addresses-reference: a server has its own domain.
      const email = `${id}+${now}@users.noreply.${new URL(options.webUrl).hostname}`;
      return accept({ id: String(id), login: now, name: name?.trim() || now, email });
    },

    async listCommits(at, branch, since) {
      const found = await everyPage(
        ...([client, "GET /repos/{owner}/{repo}/commits", `the commits of ${at.fullName}`, s.Commit] as const),
        ...([{ ...named(at.fullName), sha: branch, since }, MAX_PAGES] as const),
      );
      if (!found.ok) return found;
      return accept(found.value.items.map(({ sha, commit }) => ({ id: sha, message: commit.message })));
    },

    async getPermission(at, login) {
      const found = await client.call(
        "GET /repos/{owner}/{repo}/collaborators/{username}/permission",
        `what ${login} may do in ${at.fullName}`,
        s.Permission,
        { ...named(at.fullName), username: login },
      );
      // Somebody whom the forge does not know, such as a deleted account, may do nothing.
      if (!found.ok) return found.code === "forge_not_found" ? accept("none" as const) : found;
      const { permission, role_name: role } = found.value.value;
      // A role of the organization's own making has a name of its own: then the permission under it counts.
      const known = role !== undefined && isPermission(role) ? role : permission;
      return accept(isPermission(known) ? known : "none");
    },

    async gitCredential(at, purpose) {
      const header = (token: string) => `Basic ${Buffer.from(`x-access-token:${token}`, "utf8").toString("base64")}`;
      if (auth.kind === "token") return accept({ authorization: header(auth.token), expiresAt: null });
      const made = await client.mint(Number(at.id), {
        contents: purpose === "push" ? "write" : "read",
        metadata: "read",
      });
      return made.ok ? accept({ authorization: header(made.value.token), expiresAt: made.value.expiresAt }) : made;
    },

    async apiCredential(at, purpose) {
      if (auth.kind === "token") return accept({ authorization: `Bearer ${auth.token}`, expiresAt: null });
      const made = await client.mint(Number(at.id), purpose === "read" ? apiReads : apiComments);
      return made.ok ? accept({ authorization: `Bearer ${made.value.token}`, expiresAt: made.value.expiresAt }) : made;
    },
    apiUrl: options.apiUrl,

    findPullRequests: (at, head, state) => findPullRequests(client, at, head, state),
    openPullRequest: (at, request) => openPullRequest(client, at, request),

    async getPullRequest(at, number) {
      const found = await client.call(
        "GET /repos/{owner}/{repo}/pulls/{pull_number}",
        `the pull request ${at.fullName}#${number}`,
        s.PullRequest,
        { ...named(at.fullName), pull_number: number },
      );
      return found.ok ? accept(pullRequest(found.value.value)) : found;
    },

    async listReviewItems(at, number, since) {
      const what = `the pull request ${at.fullName}#${number}`;
      const there = { ...named(at.fullName), pull_number: number };
      const late = since === null ? {} : { since };
      const reviews = await everyPage(
        ...([
          client,
          "GET /repos/{owner}/{repo}/pulls/{pull_number}/reviews",
          what,
          s.Review,
          there,
          MAX_PAGES,
        ] as const),
      );
      if (!reviews.ok) return reviews;
      const lines = await everyPage(
        ...([client, "GET /repos/{owner}/{repo}/pulls/{pull_number}/comments", what, s.ReviewComment] as const),
        ...([{ ...there, ...late }, MAX_PAGES] as const),
      );
      if (!lines.ok) return lines;
      const comments = await everyPage(
        ...([client, "GET /repos/{owner}/{repo}/issues/{issue_number}/comments", what, s.Comment] as const),
        ...([{ ...named(at.fullName), issue_number: number, ...late }, MAX_PAGES] as const),
      );
      if (!comments.ok) return comments;
      const all: ForgeReviewItem[] = [
        ...reviews.value.items.flatMap((one) => reviewItem(one)),
        ...lines.value.items.map((one) => ({
          ...words(one),
          ...{ kind: "line" as const, path: one.path, line: one.line ?? one.original_line ?? null },
          side: one.side === "LEFT" ? ("old" as const) : ("new" as const),
          commit: one.commit_id,
        })),
        ...comments.value.items.map((one) => ({
          ...words(one),
          ...{ kind: "comment" as const, path: null, line: null, side: null, commit: null },
        })),
      ];
      const from = since === null ? Number.NEGATIVE_INFINITY : Date.parse(since);
      return accept(
        all
          .filter(({ updatedAt }) => Date.parse(updatedAt) > from)
          .sort((a, b) => Date.parse(a.createdAt) - Date.parse(b.createdAt)),
      );
    },

    async listChecks(at, commit) {
      const what = `the checks of ${at.fullName} at ${commit.slice(0, 12)}`;
      const there = { ...named(at.fullName), ref: commit, per_page: 100 };
      const runs = await client.call("GET /repos/{owner}/{repo}/commits/{ref}/check-runs", what, s.CheckRuns, there);
      // A fine-grained token may have no right to see checks: then there are statuses only.
      if (!runs.ok && runs.code !== "forge_forbidden") return runs;
      const statuses = await client.call(
        "GET /repos/{owner}/{repo}/commits/{ref}/status",
        what,
        s.CombinedStatus,
        there,
      );
      if (!statuses.ok && statuses.code !== "forge_forbidden") return statuses;
      const found: ForgeCheck[] = [];
      let logs = 0;
      for (const run of runs.ok ? runs.value.value.check_runs : []) {
        if (auth.kind === "app" && String(run.app?.id) === auth.appId) continue;
        const state = runState(run.status, run.conclusion ?? null);
        let excerpt: string | null = null;
        if (state === "failed" && run.app?.slug === "github-actions" && logs < MAX_LOGS) {
          logs += 1;
          const log = await client.text(
            "GET /repos/{owner}/{repo}/actions/jobs/{job_id}/logs",
            `the log of ${run.name}`,
            {
              ...named(at.fullName),
              job_id: run.id,
            },
          );
          excerpt = log.ok ? log.value.slice(-EXCERPT) : null;
        }
        const summary = [run.output?.title, run.output?.summary].filter(Boolean).join("\n") || null;
        found.push({
          ...{ id: `run:${run.id}`, name: run.name, state, excerpt },
          url: run.html_url ?? run.details_url ?? null,
          summary: summary?.slice(0, EXCERPT) ?? null,
        });
      }
      for (const status of statuses.ok ? statuses.value.value.statuses : []) {
        if (status.context === ownStatus) continue;
        const { state } = status;
        found.push({
          ...{ id: `status:${status.id}`, name: status.context, url: status.target_url ?? null, excerpt: null },
          state: state === "success" ? "passed" : state === "pending" ? "pending" : "failed",
          summary: status.description ?? null,
        });
      }
      return accept(found);
    },

    putCheck: (at, request) =>
      auth.kind === "app" ? putCheckRun(client, auth.appId, at, request) : putStatus(client, at, request),

    async putComment(at, number, { key, body }) {
      const what = `the comments of ${at.fullName}#${number}`;
      const there = { ...named(at.fullName), issue_number: number };
      const mark = `<!-- x1:${key.replaceAll(/[^\w.:-]/g, "")} -->`;
      const text = `${body}\n\n${mark}`;
      const said = await everyPage(
        ...([client, "GET /repos/{owner}/{repo}/issues/{issue_number}/comments", what, s.Comment] as const),
        ...([there, MAX_COMMENT_PAGES] as const),
      );
      if (!said.ok) return said;
      if (own === null) {
        const identity = await forge.identify();
        if (!identity.ok) return identity;
      }
      // Anybody can write the mark: only our own comment is ours.
      const mine = said.value.items.find((one) => one.body.includes(mark) && one.user?.login === own?.actsAs);
      if (mine?.body === text) return accept({ url: mine.html_url });
      const put = mine
        ? await client.call("PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}", what, s.Comment, {
            ...named(at.fullName),
            ...{ comment_id: mine.id, body: text },
          })
        : await client.call("POST /repos/{owner}/{repo}/issues/{issue_number}/comments", what, s.Comment, {
            ...there,
            body: text,
          });
      return put.ok ? accept({ url: put.value.value.html_url }) : put;
    },
  };
  return forge;
}

/** Context of the commit status that stands for our check where there is only a token: checks are for apps. */
const ownStatus = "x1agent";

/** What the connection needs and has not, one sentence each. Pure. */
export function missingPermissions(held: Readonly<Record<string, string>>): string[] {
  return Object.entries(neededPermissions)
    .filter(([name, level]) => {
      const given = held[name] ?? "none";
      return !isPermission(given) || !isPermitted(given, level);
    })
    .map(([name, level]) => `The installation lacks ${name}: ${level}.`);
}

/** `owner/name` as parameters. A name that is none asks for nothing that could exist. */
function named(fullName: string): { owner: string; repo: string } {
  const [owner = "", repo = ""] = fullName.split("/");
  return { owner, repo };
}
const numeric = (id: string): number => (/^\d{1,15}$/.test(id) ? Number(id) : 0);

async function repositoryPage(
  client: GithubClient,
  kind: GithubOptions["auth"]["kind"],
  parameters: Record<string, unknown>,
): Promise<Outcome<Answer<ForgeRepository[]>>> {
  const what = "the repositories";
  if (kind === "app") {
    const found = await client.call("GET /installation/repositories", what, s.InstallationRepositories, parameters);
    if (!found.ok) return found;
    return accept({ ...found.value, value: found.value.value.repositories.map((one) => repository(one, kind)) });
  }
  const found = await client.call("GET /user/repos", what, z.array(s.Repository), { ...parameters, sort: "full_name" });
  return found.ok ? accept({ ...found.value, value: found.value.value.map((one) => repository(one, kind)) }) : found;
}

/** Pages of a list one after the other, bounded; `truncated` when there were more. */
async function everyPage<S extends z.ZodType>(
  client: GithubClient,
  route: string,
  what: string,
  schema: S,
  parameters: Record<string, unknown>,
  most: number,
): Promise<Outcome<{ items: z.infer<S>[]; truncated: boolean }>> {
  const items: z.infer<S>[] = [];
  let cursor: string | null = "";
  for (let page = 0; page < most && cursor !== null; page += 1) {
    const found: Outcome<Answer<z.infer<S>[]>> = await client.call(route, what, z.array(schema), {
      ...parameters,
      ...{ per_page: 100, ...pageOf(cursor) },
    });
    if (!found.ok) return found;
    items.push(...found.value.value);
    cursor = found.value.next;
  }
  return accept({ items, truncated: cursor !== null });
}

const repository = (found: z.infer<typeof s.Repository>, kind: GithubOptions["auth"]["kind"]): ForgeRepository => ({
  id: String(found.id),
  fullName: found.full_name,
  cloneUrl: found.clone_url,
  webUrl: found.html_url,
  defaultBranch: found.default_branch,
  visibility: found.visibility === "internal" ? "internal" : found.private ? "private" : "public",
  archived: found.archived,
  // An installation's right to push is its permission, not a member's role; archived takes everything.
  mayPush: !found.archived && (kind === "app" || found.permissions?.push === true),
  hasIssues: found.has_issues,
  ...(found.size === undefined ? {} : { sizeBytes: found.size * 1_024 }),
});

/** Deliveries of the app's webhook that were not taken, down to a time. GitHub keeps them for three days. */
async function listMissed(client: GithubClient, since: string): Promise<Outcome<ForgeDelivery[]>> {
  const found: ForgeDelivery[] = [];
  let cursor: string | null = "";
  for (let page = 0; page < MAX_DELIVERY_PAGES && cursor !== null; page += 1) {
    const some: Outcome<Answer<z.infer<typeof s.DeliverySummary>[]>> = await client.call(
      ...(["GET /app/hook/deliveries", "the app's deliveries", z.array(s.DeliverySummary)] as const),
      { per_page: 100, status: "failure", ...pageOf(cursor) },
    );
    if (!some.ok) return some;
    const late = some.value.value.filter(({ delivered_at: at }) => Date.parse(at) >= Date.parse(since));
    // Servers that do not know the filter list all of them.
    for (const one of late)
      if (one.status_code < 200 || one.status_code >= 300)
        found.push({
          ...{ id: one.guid, event: one.event, action: one.action ?? null, number: null, commits: [] },
          installationId: one.installation_id ? String(one.installation_id) : null,
          repositoryId: one.repository_id ? String(one.repository_id) : null,
        });
    if (late.length < some.value.value.length) break;
    cursor = some.value.next;
  }
  return accept(found);
}

const words = (found: z.infer<typeof s.Comment>): ForgeText => ({
  id: String(found.id),
  author: found.user?.login ?? "ghost",
  authorIsBot: found.user?.type === "Bot",
  association: found.author_association,
  body: found.body,
  createdAt: found.created_at,
  updatedAt: found.updated_at,
  url: found.html_url,
});

const issue = (found: z.infer<typeof s.Issue>): ForgeIssue => ({
  ...words(found),
  number: found.number,
  title: found.title,
  state: found.state,
  labels: found.labels,
  assignees: found.assignees,
  comments: found.comments,
});
/** GitHub counts pull requests among issues. */
const issuePage = (items: z.infer<typeof s.Issue>[], cursor: string | null): Page<ForgeIssue> => ({
  items: items.filter((one) => !one.pull_request).map((one) => issue(one)),
  cursor,
});

/** Words as one phrase, so that nothing in them is an operator of the search. Pure. */
export function searchQuery(
  fullName: string,
  text: string,
  labels: readonly string[],
  state: NonNullable<(PageRequest & { state?: "open" | "all" })["state"]>,
): string {
  const phrase = (value: string) =>
    `"${value
      .replaceAll(/["\\\p{Cc}]/gu, " ")
      .trim()
      .slice(0, 100)}"`;
  return [
    phrase(text),
    ...[`repo:${fullName}`, "is:issue", ...(state === "open" ? ["state:open"] : [])],
    ...labels.map((label) => `label:${phrase(label)}`),
  ].join(" ");
}

const pullRequest = (found: z.infer<typeof s.PullRequest>, notes: string[] = []): ForgePullRequest => ({
  number: found.number,
  url: found.html_url,
  state: found.merged || found.merged_at ? "merged" : found.state,
  draft: found.draft,
  head: {
    branch: found.head.ref,
    commit: found.head.sha,
    repositoryId: found.head.repo ? String(found.head.repo.id) : null,
  },
  base: { branch: found.base.ref, commit: found.base.sha },
  mergeable: found.mergeable ?? null,
  // Said only where the base's rule asks for branches that are up to date.
  ...(found.mergeable_state === "behind" ? { behind: true } : {}),
  mergeCommit: found.merged || found.merged_at ? (found.merge_commit_sha ?? null) : null,
  title: found.title,
  author: found.user?.login ?? "ghost",
  updatedAt: found.updated_at,
  notes,
});

async function findPullRequests(
  client: GithubClient,
  at: ForgeRepository,
  head: string,
  state: "open" | "all",
): Promise<Outcome<ForgePullRequest[]>> {
  const found = await client.call(
    "GET /repos/{owner}/{repo}/pulls",
    `the pull requests of ${at.fullName}`,
    z.array(s.PullRequest),
    { ...named(at.fullName), head: `${named(at.fullName).owner}:${head}`, state, per_page: 100 },
  );
  if (!found.ok) return found;
  // An unknown owner in the filter lists everything: hold each against what was asked.
  const own = found.value.value.filter((one) => one.head.ref === head && String(one.head.repo?.id) === at.id);
  return accept(own.map((one) => pullRequest(one)));
}

async function openPullRequest(
  client: GithubClient,
  at: ForgeRepository,
  request: PullRequestRequest,
): Promise<Outcome<ForgePullRequest>> {
  const what = `the pull request for ${request.head} in ${at.fullName}`;
  const there = named(at.fullName);
  const { title, body, head, base, draft } = request;
  const notes: string[] = [];

  const update = async (present: ForgePullRequest): Promise<Outcome<Answer<z.infer<typeof s.PullRequest>>>> => {
    if (present.draft !== draft) notes.push(`It was ${present.draft ? "a draft" : "ready"} already and stays so.`);
    return client.call("PATCH /repos/{owner}/{repo}/pulls/{pull_number}", what, s.PullRequest, {
      ...there,
      ...{ pull_number: present.number, title, body, base },
    });
  };
  const make = (asDraft: boolean) =>
    client.call("POST /repos/{owner}/{repo}/pulls", what, s.PullRequest, {
      ...there,
      title,
      body,
      head,
      base,
      draft: asDraft,
    });

  const before = await findPullRequests(client, at, head, "open");
  if (!before.ok) return before;
  let put = before.value[0] ? await update(before.value[0]) : await make(draft);
  if (!put.ok && put.code === "forge_invalid" && draft && /draft pull requests are not supported/i.test(put.detail)) {
    notes.push("The repository's plan has no draft pull requests: it is ready for review.");
    put = await make(false);
  }
  if (!put.ok && put.code === "forge_invalid") {
    // Another try of ours got through while this one was on its way.
    const now = await findPullRequests(client, at, head, "open");
    if (now.ok && now.value[0]) put = await update(now.value[0]);
  }
  if (!put.ok) return put;
  const { number } = put.value.value;

  if (request.labels.length > 0) {
    const put = await client.call(
      "POST /repos/{owner}/{repo}/issues/{issue_number}/labels",
      what,
      z.array(z.unknown()),
      {
        ...there,
        ...{ issue_number: number, labels: [...request.labels] },
      },
    );
    if (!put.ok) notes.push(`Labels were not set: ${put.detail}`);
  }
  const author = put.value.value.user?.login;
  const asked = request.reviewers.filter((login) => login !== author).slice(0, 15);
  if (asked.length > 0) notes.push(...(await askReviewers(client, at, number, asked)));
  return accept(pullRequest(put.value.value, notes));
}

/** Asks all at once, and one by one where the forge refuses the whole for one of them. */
async function askReviewers(
  client: GithubClient,
  at: ForgeRepository,
  number: number,
  reviewers: readonly string[],
): Promise<string[]> {
  const ask = (some: readonly string[]) =>
    client.call(
      "POST /repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers",
      `the reviewers of ${at.fullName}#${number}`,
      s.PullRequest,
      {
        ...{ ...named(at.fullName), pull_number: number },
        reviewers: some.filter((one) => !one.includes("/")),
        team_reviewers: some.filter((one) => one.includes("/")).map((one) => one.split("/")[1] ?? ""),
      },
    );
  const all = await ask(reviewers);
  if (all.ok) return [];
  if (all.code !== "forge_invalid" || reviewers.length === 1)
    return [`No review was asked of ${reviewers.join(", ")}: ${all.detail}`];
  const notes: string[] = [];
  for (const one of reviewers) {
    const asked = await ask([one]);
    if (!asked.ok) notes.push(`No review was asked of ${one}: ${asked.detail}`);
  }
  return notes;
}

function reviewItem(found: z.infer<typeof s.Review>): ForgeReviewItem[] {
  const kinds: Record<string, ForgeReviewItem["kind"]> = {
    APPROVED: "approved",
    CHANGES_REQUESTED: "changes_requested",
    DISMISSED: "dismissed",
    COMMENTED: "comment",
  };
  const kind = kinds[found.state];
  // One that is being written, and one that only carries remarks on lines, says nothing by itself.
  if (!kind || !found.submitted_at || (kind === "comment" && !found.body.trim())) return [];
  const { submitted_at: at, ...rest } = found;
  return [
    {
      ...words({ ...rest, created_at: at, updated_at: at }),
      ...{ kind, path: null, line: null, side: null, commit: found.commit_id ?? null },
    },
  ];
}

/** A check run's state as the port has it. Pure. */
export function runState(status: string, conclusion: string | null): ForgeCheck["state"] {
  if (status !== "completed") return "pending";
  if (conclusion === "success") return "passed";
  return ["failure", "timed_out", "action_required", "startup_failure"].includes(conclusion ?? "")
    ? "failed"
    : "neutral";
}

async function putCheckRun(
  client: GithubClient,
  appId: string,
  at: ForgeRepository,
  request: CheckRequest,
): Promise<Outcome<{ id: string; url: string | null }>> {
  const what = `the check ${request.name} of ${at.fullName}`;
  const there = named(at.fullName);
  const found = await client.call("GET /repos/{owner}/{repo}/commits/{ref}/check-runs", what, s.CheckRuns, {
    ...there,
    ...{ ref: request.commit, check_name: request.name, filter: "all", per_page: 100 },
  });
  if (!found.ok) return found;
  const mine = found.value.value.check_runs.find(
    (run) => run.external_id === request.key && String(run.app?.id) === appId,
  );
  const annotations = request.annotations.slice(0, MAX_ANNOTATIONS).map(({ path, line, level, message }) => ({
    ...{ path, start_line: line, end_line: line, annotation_level: level, message: message.slice(0, 60_000) },
  }));
  const { title, summary, name, commit, key, state, conclusion, detailsUrl } = request;
  const facts = (from: number) => ({
    ...{ name, external_id: key, status: state },
    ...(state === "completed" ? { conclusion: conclusion ?? "neutral" } : {}),
    ...(detailsUrl ? { details_url: detailsUrl } : {}),
    output: {
      ...{ title: title.slice(0, 250), summary: summary.slice(0, 60_000) },
      ...(annotations.length > from ? { annotations: annotations.slice(from, from + ANNOTATIONS) } : {}),
    },
  });
  // Annotations are added with each request and never taken away: one that is updated has its own already.
  const change = (id: number, from: number) =>
    client.call("PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}", what, s.CheckRun, {
      ...there,
      ...{ check_run_id: id, ...facts(from) },
    });
  let put = mine
    ? await change(mine.id, 0)
    : await client.call("POST /repos/{owner}/{repo}/check-runs", what, s.CheckRun, {
        ...there,
        ...{ head_sha: commit, ...facts(0) },
      });
  for (let from = ANNOTATIONS; put.ok && from < annotations.length; from += ANNOTATIONS)
    put = await change(put.value.value.id, from);
  return put.ok ? accept({ id: String(put.value.value.id), url: put.value.value.html_url ?? null }) : put;
}

/** Only apps make checks: with a token there is a commit status of the same name. */
async function putStatus(
  client: GithubClient,
  at: ForgeRepository,
  request: CheckRequest,
): Promise<Outcome<{ id: string; url: string | null }>> {
  const { commit, name, state, conclusion, title, detailsUrl } = request;
  const ended = conclusion === "success" || conclusion === "neutral" ? "success" : "failure";
  const put = await client.call(
    "POST /repos/{owner}/{repo}/statuses/{sha}",
    `the status ${name} of ${at.fullName}`,
    s.Status,
    {
      ...{ ...named(at.fullName), sha: commit, context: name, description: title.slice(0, 140) },
      state: state !== "completed" || conclusion === "action_required" ? "pending" : ended,
      ...(detailsUrl ? { target_url: detailsUrl } : {}),
    },
  );
  // Each is a new row there and the last one counts: what stays the same is commit and context.
  return put.ok ? accept({ id: `${commit}:${name}`, url: null }) : put;
}
