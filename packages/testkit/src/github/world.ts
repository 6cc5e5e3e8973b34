import { createHash, generateKeyPairSync, randomBytes } from "node:crypto";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Shape } from "./description.ts";
import { type Commit, GitRepository, type Signature } from "./git.ts";
import {
  type Account,
  type App,
  type CheckRun,
  type CheckSuite,
  type Comment,
  type Installation,
  type Issue,
  invalid,
  type Label,
  notFound,
  type Permissions,
  type Protection,
  type Pull,
  Refused,
  type Repository,
  type Review,
  type ReviewComment,
  type Role,
  type Status,
  type Team,
  type Token,
  type WorkflowRun,
} from "./model.ts";
import { type Bases, Presenter, permissionsOf, simpleCommit } from "./present.ts";

/** One event on its way to whoever listens: the payload without `sender`, `repository` and the like. */
export type Happening = {
  event: string;
  action: string | undefined;
  repository: Repository | undefined;
  /** Only this installation's App hears it. */
  installation: Installation | undefined;
  /** Only this App hears it. */
  app: App | undefined;
  actor: Account;
  parts: Shape;
};
export type RefChange = { ref: string; before: string; after: string };
export type MergeMethod = "merge" | "squash" | "rebase";

const zero = "0".repeat(40);
const roles: readonly Role[] = ["none", "read", "triage", "write", "maintain", "admin"];
/** Whether a role reaches another. */
export const reaches = (role: Role, needed: Role) => roles.indexOf(role) >= roles.indexOf(needed);
const colours = ["d73a4a", "0075ca", "cfd3d7", "a2eeef", "7057ff", "008672", "e4e669", "d876e3"];
const closing = /\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?):?\s+(?:([\w.-]+\/[\w.-]+))?#(\d+)\b/gi;

/** Whether a branch is meant by a name or a pattern (`release/*`). */
export function branchMatches(pattern: string, branch: string): boolean {
  const source = pattern
    .replace(/[.+?^${}()|[\]\\]/g, "\\$&")
    .replaceAll("**", "\0")
    .replaceAll("*", "[^/]*");
  return new RegExp(`^${source.replaceAll("\0", ".*")}$`).test(branch);
}

/** Why a pull request is not merged under a rule that asks for branches that hold all of their base. */
const OUT_OF_DATE = "Head branch is out of date with the base branch.";

/**
 * The whole of a made-up GitHub: its people, repositories and what happens to them. Every change goes through a method
 * here, whoever asked for it (the REST or GraphQL interface, git, or a test that plays a person), and announces itself.
 */
export class World {
  readonly directory: string;
  readonly bases: Bases;
  /** Milliseconds since the epoch, as the stand-in sees it. */
  readonly now: () => number;
  readonly accounts = new Map<number, Account>();
  readonly repositories = new Map<number, Repository>();
  readonly apps = new Map<number, App>();
  readonly installations = new Map<number, Installation>();
  readonly tokens = new Map<string, Token>();
  readonly teams: Team[] = [];
  /** Reads of a changed pull request that find its mergeability not worked out yet. */
  mergeableAfter = 0;
  /** `owner/name` in lower case to the repository that once had that name. */
  readonly formerNames = new Map<string, number>();
  readonly #announce: (happening: Happening) => Promise<void>;
  readonly #logSecret = randomBytes(16).toString("hex");
  #lastId = 1000;
  #tail: Promise<unknown> = Promise.resolve();
  readonly #figures = new Map<
    string,
    { mergeable: boolean; commits: number; files: number; plus: number; minus: number; reads: number }
  >();
  readonly #authors = new Map<string, Set<string>>();
  /** The App behind Actions' own checks, and the bot that signs them. */
  readonly actions: App;

  constructor(input: {
    directory: string;
    bases: Bases;
    now: () => number;
    announce: (happening: Happening) => Promise<void>;
  }) {
    this.directory = input.directory;
    this.bases = input.bases;
    this.now = input.now;
    this.#announce = input.announce;
    const github = this.addAccount("github", "Organization");
    this.actions = this.addApp({
      name: "GitHub Actions",
      slug: "github-actions",
      owner: github,
      permissions: { checks: "write", contents: "read", metadata: "read" },
      events: [],
    });
  }

  id(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  /** Now, as GitHub writes times: to the second. */
  time(): string {
    return `${new Date(this.now()).toISOString().slice(0, 19)}Z`;
  }

  /** Runs one change after the other, however many ask at once. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#tail.then(work, work);
    this.#tail = next.catch(() => undefined);
    return next;
  }

  presenter(): Presenter {
    return new Presenter(this, this.bases);
  }

  async #say(
    event: string,
    action: string | undefined,
    actor: Account,
    repository: Repository | undefined,
    parts: Shape,
    only: { installation?: Installation; app?: App } = {},
  ): Promise<void> {
    await this.#announce({
      event,
      action,
      actor,
      repository,
      parts,
      installation: only.installation,
      app: only.app,
    });
  }

  // People ------------------------------------------------------------------------------------------------------------

  addAccount(login: string, type: Account["type"], name: string | null = null): Account {
    if (this.account(login)) throw new Error(`there is already an account ${login}`);
    const id = this.id();
    const account: Account = {
      id,
      login,
      type,
      name,
      email: `${id}+${login}@users.noreply.${new URL(this.bases.web).hostname}`,
      createdAt: this.time(),
      members: new Map(),
      basePermission: "read",
    };
    this.accounts.set(id, account);
    return account;
  }

  account(login: string): Account | undefined {
    const wanted = login.toLowerCase();
    for (const account of this.accounts.values()) if (account.login.toLowerCase() === wanted) return account;
    return undefined;
  }

  accountOfEmail(email: string): Account | undefined {
    for (const account of this.accounts.values()) if (account.email === email) return account;
    return undefined;
  }

  signature(account: Account): Signature {
    return { name: account.name ?? account.login, email: account.email, date: this.time() };
  }

  /** What a person may in a repository, by ownership, membership, invitation or because it is public. */
  role(account: Account, repository: Repository): Role {
    const owner = repository.owner;
    if (owner === account) return "admin";
    const membership = owner.members.get(account.id);
    if (membership === "owner") return "admin";
    const candidates: Role[] = [repository.roles.get(account.id) ?? "none", repository.private ? "none" : "read"];
    if (membership === "member") candidates.push(owner.basePermission);
    return candidates.reduce((best, role) => (reaches(best, role) ? best : role));
  }

  /** What the bearer of a token may, as a role: for repository objects and for acts that ask for a person's role. */
  principalRole(token: Token, repository: Repository): Role {
    if (token.kind !== "installation") return this.role(token.user, repository);
    const permissions = token.permissions === "all" ? {} : token.permissions;
    if (permissions.administration === "write") return "admin";
    return permissions.contents === "write" ? "write" : "read";
  }

  /** GitHub's `author_association`, derived from ownership, membership, invitation and history. */
  async association(repository: Repository, account: Account): Promise<string> {
    if (repository.owner === account) return "OWNER";
    if (repository.owner.members.has(account.id)) return "MEMBER";
    if (repository.roles.has(account.id)) return "COLLABORATOR";
    const pulls = [...repository.issues.values()].filter((issue) => issue.pull && issue.user === account);
    if (pulls.some((issue) => issue.pull?.mergedAt)) return "CONTRIBUTOR";
    const head = await repository.git.branch(repository.defaultBranch);
    if (head && (await this.#authorsOf(repository, head)).has(account.email)) return "CONTRIBUTOR";
    return pulls.length > 0 ? "FIRST_TIME_CONTRIBUTOR" : "NONE";
  }

  async #authorsOf(repository: Repository, head: string): Promise<Set<string>> {
    const known = this.#authors.get(head);
    if (known) return known;
    const authors = await repository.git.authors(head);
    this.#authors.set(head, authors);
    return authors;
  }

  // Apps --------------------------------------------------------------------------------------------------------------

  addApp(input: {
    name: string;
    slug?: string;
    owner: Account;
    permissions: Permissions;
    events: string[];
    webhook?: { url?: string | undefined; secret?: string | undefined };
    externalUrl?: string;
    description?: string | null;
  }): App {
    const slug =
      input.slug ??
      input.name
        .toLowerCase()
        .replace(/[^a-z0-9]+/g, "-")
        .replace(/^-|-$/g, "");
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const id = this.id();
    const app: App = {
      id,
      slug,
      name: input.name,
      owner: input.owner,
      bot: this.addAccount(`${slug}[bot]`, "Bot"),
      clientId: `Iv23li${createHash("sha256").update(`${id}`).digest("hex").slice(0, 14)}`,
      clientSecret: randomBytes(20).toString("hex"),
      // GitHub hands PKCS#1 out; clients must cope with that.
      privateKey: privateKey.export({ type: "pkcs1", format: "pem" }).toString(),
      publicKey: publicKey.export({ type: "spki", format: "pem" }).toString(),
      permissions: { metadata: "read", ...input.permissions },
      events: input.events,
      externalUrl: input.externalUrl ?? this.bases.web,
      description: input.description ?? null,
      webhook: { url: input.webhook?.url, secret: input.webhook?.secret, active: input.webhook?.url !== undefined },
      createdAt: this.time(),
      updatedAt: this.time(),
    };
    this.apps.set(id, app);
    return app;
  }

  async install(
    app: App,
    account: Account,
    repositories: "all" | readonly Repository[],
    actor = account,
  ): Promise<Installation> {
    const existing = [...this.installations.values()].find((one) => one.app === app && one.account === account);
    if (existing) throw new Error(`${app.slug} is already installed on ${account.login}`);
    const installation: Installation = {
      id: this.id(),
      app,
      account,
      permissions: { ...app.permissions },
      events: [...app.events],
      repositories: repositories === "all" ? "all" : new Set(repositories.map((repository) => repository.id)),
      suspendedAt: undefined,
      suspendedBy: undefined,
      createdAt: this.time(),
      updatedAt: this.time(),
    };
    this.installations.set(installation.id, installation);
    await this.#installationSays("created", installation, actor);
    return installation;
  }

  async #installationSays(action: string, installation: Installation, actor: Account): Promise<void> {
    await this.#say(
      "installation",
      action,
      actor,
      undefined,
      { repositories: this.repositoriesOf(installation).map((repository) => this.#brief(repository)), requester: null },
      { installation },
    );
  }

  #brief(repository: Repository): Shape {
    const { id, node_id, name, full_name, private: hidden } = this.presenter().repository(repository);
    return { id, node_id, name, full_name, private: hidden };
  }

  repositoriesOf(installation: Installation): Repository[] {
    return [...this.repositories.values()].filter((repository) => this.covers(installation, repository));
  }

  covers(installation: Installation, repository: Repository): boolean {
    if (repository.owner !== installation.account) return false;
    return installation.repositories === "all" || installation.repositories.has(repository.id);
  }

  async changeInstallation(
    installation: Installation,
    change: "suspend" | "unsuspend" | "deleted",
    actor: Account,
  ): Promise<void> {
    if (change === "deleted") this.installations.delete(installation.id);
    else {
      installation.suspendedAt = change === "suspend" ? this.time() : undefined;
      installation.suspendedBy = change === "suspend" ? actor : undefined;
    }
    installation.updatedAt = this.time();
    await this.#installationSays(change, installation, actor);
  }

  async grantPermissions(
    installation: Installation,
    permissions: Permissions,
    events: readonly string[],
    actor: Account,
  ): Promise<void> {
    installation.permissions = permissions;
    installation.events = [...events];
    installation.app.permissions = permissions;
    installation.app.events = [...events];
    installation.updatedAt = this.time();
    await this.#installationSays("new_permissions_accepted", installation, actor);
  }

  async changeInstallationRepositories(
    installation: Installation,
    change: { added?: readonly Repository[]; removed?: readonly Repository[] },
    actor: Account,
  ): Promise<void> {
    if (installation.repositories === "all")
      installation.repositories = new Set(this.repositoriesOf(installation).map((repository) => repository.id));
    for (const repository of change.added ?? []) installation.repositories.add(repository.id);
    for (const repository of change.removed ?? []) installation.repositories.delete(repository.id);
    installation.updatedAt = this.time();
    for (const action of ["added", "removed"] as const) {
      if (!change[action]?.length) continue;
      await this.#say(
        "installation_repositories",
        action,
        actor,
        undefined,
        {
          repository_selection: "selected",
          repositories_added: (action === "added" ? change.added! : []).map((one) => this.#brief(one)),
          repositories_removed: (action === "removed" ? change.removed! : []).map((one) => this.#brief(one)),
          requester: null,
        },
        { installation },
      );
    }
  }

  async renameAccount(account: Account, login: string): Promise<void> {
    const before = account.login;
    for (const repository of this.repositories.values())
      if (repository.owner === account)
        this.formerNames.set(`${before}/${repository.name}`.toLowerCase(), repository.id);
    account.login = login;
    for (const installation of this.installations.values())
      if (installation.account === account)
        await this.#say(
          "installation_target",
          "renamed",
          account,
          undefined,
          {
            account: { ...this.presenter().user(account) },
            changes: { login: { from: before } },
            target_type: account.type,
          },
          { installation },
        );
  }

  // Repositories ------------------------------------------------------------------------------------------------------

  /** The repository of a name now, or by a name it once had (`moved`). */
  repository(owner: string, name: string): { repository: Repository; moved: boolean } | undefined {
    const wanted = `${owner}/${name}`.toLowerCase();
    for (const repository of this.repositories.values())
      if (`${repository.owner.login}/${repository.name}`.toLowerCase() === wanted) return { repository, moved: false };
    const former = this.repositories.get(this.formerNames.get(wanted) ?? -1);
    return former ? { repository: former, moved: true } : undefined;
  }

  async addRepository(input: {
    owner: Account;
    name: string;
    private?: boolean;
    description?: string | null;
    defaultBranch?: string;
    parent?: Repository;
    actor?: Account;
  }): Promise<Repository> {
    const taken = this.repository(input.owner.login, input.name);
    if (taken && !taken.moved) throw new Error(`there is already a repository ${input.owner.login}/${input.name}`);
    const id = this.id();
    const defaultBranch = input.defaultBranch ?? "main";
    const repository: Repository = {
      id,
      owner: input.owner,
      name: input.name,
      private: input.private ?? false,
      description: input.description ?? null,
      defaultBranch,
      archived: false,
      parent: input.parent,
      createdAt: this.time(),
      updatedAt: this.time(),
      pushedAt: this.time(),
      git: await GitRepository.create(join(this.directory, `${id}.git`), defaultBranch),
      roles: new Map(),
      labels: [],
      issues: new Map(),
      nextNumber: 1,
      protections: [],
      checkSuites: [],
      checkRuns: [],
      workflowRuns: [],
      statuses: [],
      events: [],
      deleteBranchOnMerge: false,
      allowMerge: { merge: true, squash: true, rebase: true },
    };
    this.formerNames.delete(`${input.owner.login}/${input.name}`.toLowerCase());
    for (const name of ["bug", "documentation", "duplicate", "enhancement", "good first issue", "help wanted"])
      this.addLabel(repository, name, { default: true });
    this.repositories.set(id, repository);
    await this.#say("repository", "created", input.actor ?? input.owner, repository, {});
    return repository;
  }

  /** Every file of a folder as path to content, for a first commit. */
  async folder(directory: string): Promise<Record<string, Buffer>> {
    const files: Record<string, Buffer> = {};
    for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      const name = path.slice(directory.length).replace(/^\/+/, "");
      if (!name.split("/").some((part) => part === ".git" || part === "node_modules"))
        files[name] = await readFile(path);
    }
    return files;
  }

  /** A commit by a person on a branch, which is made when it is not there. Null takes a file out. */
  async commitFiles(
    actor: Account,
    repository: Repository,
    input: {
      branch: string;
      files: Readonly<Record<string, string | Buffer | null>>;
      message: string;
      from?: string;
      silent?: boolean;
    },
  ): Promise<string> {
    const git = repository.git;
    const before = await git.branch(input.branch);
    const parent = before ?? (await git.resolve(input.from ?? `refs/heads/${repository.defaultBranch}`));
    const sha = await git.commitTree({
      tree: await git.writeTree(parent, input.files),
      parents: parent ? [parent] : [],
      message: input.message,
      author: this.signature(actor),
    });
    await git.updateRef(`refs/heads/${input.branch}`, sha);
    if (!input.silent)
      await this.refsChanged(actor, repository, [
        { ref: `refs/heads/${input.branch}`, before: before ?? zero, after: sha },
      ]);
    return sha;
  }

  async renameRepository(repository: Repository, name: string, actor: Account): Promise<void> {
    const before = repository.name;
    this.formerNames.set(`${repository.owner.login}/${before}`.toLowerCase(), repository.id);
    repository.name = name;
    this.formerNames.delete(`${repository.owner.login}/${name}`.toLowerCase());
    await this.#say("repository", "renamed", actor, repository, {
      changes: { repository: { name: { from: before } } },
    });
  }

  async transferRepository(repository: Repository, owner: Account, actor: Account): Promise<void> {
    const before = repository.owner;
    this.formerNames.set(`${before.login}/${repository.name}`.toLowerCase(), repository.id);
    // The installation it leaves hears that it lost it; the one it comes to hears that it was transferred.
    for (const installation of [...this.installations.values()])
      if (this.covers(installation, repository)) {
        if (installation.repositories === "all")
          await this.#say(
            "installation_repositories",
            "removed",
            actor,
            undefined,
            {
              repository_selection: "all",
              repositories_added: [],
              repositories_removed: [this.#brief(repository)],
              requester: null,
            },
            { installation },
          );
        else await this.changeInstallationRepositories(installation, { removed: [repository] }, actor);
      }
    repository.owner = owner;
    repository.updatedAt = this.time();
    const from =
      before.type === "Organization"
        ? { organization: this.presenter().organization(before) }
        : { user: this.presenter().user(before) };
    await this.#say("repository", "transferred", actor, repository, { changes: { owner: { from } } });
  }

  async deleteRepository(repository: Repository, actor: Account): Promise<void> {
    await this.#say("repository", "deleted", actor, repository, {});
    this.repositories.delete(repository.id);
    for (const other of this.repositories.values())
      for (const issue of other.issues.values())
        if (issue.pull?.headRepository === repository) issue.pull.headRepository = undefined;
    await rm(repository.git.path, { recursive: true, force: true });
  }

  async renameBranch(repository: Repository, from: string, to: string, actor: Account): Promise<void> {
    const sha = await repository.git.branch(from);
    if (!sha) throw notFound();
    await repository.git.updateRef(`refs/heads/${to}`, sha);
    await repository.git.deleteRef(`refs/heads/${from}`);
    for (const issue of repository.issues.values()) {
      if (issue.pull?.baseRef === from && issue.state === "open") issue.pull.baseRef = to;
      if (issue.pull?.headRepository === repository && issue.pull.headRef === from) issue.pull.headRef = to;
    }
    for (const protection of repository.protections) if (protection.pattern === from) protection.pattern = to;
    if (repository.defaultBranch === from) {
      repository.defaultBranch = to;
      await repository.git.git(["symbolic-ref", "HEAD", `refs/heads/${to}`]);
      await this.#say("repository", "edited", actor, repository, { changes: { default_branch: { from } } });
    }
  }

  async setDefaultBranch(repository: Repository, branch: string, actor: Account): Promise<void> {
    const from = repository.defaultBranch;
    repository.defaultBranch = branch;
    await repository.git.git(["symbolic-ref", "HEAD", `refs/heads/${branch}`]);
    await this.#say("repository", "edited", actor, repository, { changes: { default_branch: { from } } });
  }

  protectionOf(repository: Repository, branch: string): Protection | undefined {
    return (
      repository.protections.find((one) => one.pattern === branch) ??
      repository.protections.find((one) => branchMatches(one.pattern, branch))
    );
  }

  /** Why a push to a ref is refused, in GitHub's words; undefined when it may go. */
  pushRefusal(account: Account, role: Role, repository: Repository, change: RefChange): string | undefined {
    if (!change.ref.startsWith("refs/heads/")) return undefined;
    const branch = change.ref.slice("refs/heads/".length);
    if (change.after === zero && branch === repository.defaultBranch)
      return `error: refusing to delete the current branch: ${change.ref}`;
    const protection = this.protectionOf(repository, branch);
    if (!protection || (role === "admin" && !protection.enforceAdmins)) return undefined;
    const failed = `error: GH006: Protected branch update failed for ${change.ref}.`;
    if (change.after === zero)
      return protection.allowDeletions ? undefined : `${failed}\nerror: Cannot delete this protected branch`;
    if (change.before === zero && protection.pattern.includes("*")) return undefined;
    const mayPush = protection.restrictPushes;
    if (mayPush && !mayPush.includes(account.login))
      return `${failed}\nerror: You're not authorized to push to this branch.`;
    if (protection.requiredReviews !== undefined)
      return protection.ruleset
        ? `error: GH013: Repository rule violations found for ${change.ref}.\n\n- Changes must be made through a pull request.`
        : `${failed}\nerror: Changes must be made through a pull request.`;
    const missing = protection.requiredChecks.filter(
      (name) => this.checkState(repository, change.after, name) !== "success",
    );
    if (missing.length > 0) {
      const some =
        missing.length === 1
          ? `Required status check "${missing[0]}" is expected.`
          : `${missing.length} of ${protection.requiredChecks.length} required status checks are expected.`;
      return `${failed}\nerror: ${some}`;
    }
    return undefined;
  }

  /** What follows when refs moved, however they did: events, open pull requests, check suites. */
  async refsChanged(actor: Account, repository: Repository, changes: readonly RefChange[]): Promise<void> {
    if (changes.length === 0) return;
    repository.pushedAt = this.time();
    for (const change of changes) {
      if (!change.ref.startsWith("refs/heads/") && !change.ref.startsWith("refs/tags/")) continue;
      await this.#pushSays(actor, repository, change);
      if (!change.ref.startsWith("refs/heads/")) continue;
      const branch = change.ref.slice("refs/heads/".length);
      await this.#headMoved(actor, repository, branch, change);
      await this.#baseMoved(actor, repository, branch, change);
    }
  }

  async #pushSays(actor: Account, repository: Repository, change: RefChange): Promise<void> {
    const gone = change.after === zero;
    const made = change.before === zero;
    let commits: Commit[] = [];
    if (!gone) {
      const range = made ? change.after : `${change.before}..${change.after}`;
      commits = (await repository.git.log(range, { limit: made ? 1 : 20 })).reverse();
    }
    const withFiles = await Promise.all(
      commits.map(async (commit) => {
        const files = await repository.git.diff(commit.parents[0], commit.sha);
        const of = (status: string) => files.filter((file) => file.status === status).map((file) => file.filename);
        const html = `${this.bases.web}/${repository.owner.login}/${repository.name}/commit/${commit.sha}`;
        return {
          ...simpleCommit(commit),
          distinct: true,
          url: html,
          added: of("added"),
          removed: of("removed"),
          modified: [...of("modified"), ...of("renamed")],
        };
      }),
    );
    const short = change.ref.replace(/^refs\/(heads|tags)\//, "");
    const kind = change.ref.startsWith("refs/tags/") ? "tag" : "branch";
    const html = `${this.bases.web}/${repository.owner.login}/${repository.name}`;
    const forced = !made && !gone && !(await repository.git.isAncestor(change.before, change.after));
    if (made)
      await this.#say("create", undefined, actor, repository, {
        ref: short,
        ref_type: kind,
        master_branch: repository.defaultBranch,
        description: repository.description,
        pusher_type: "user",
      });
    await this.#say("push", undefined, actor, repository, {
      ref: change.ref,
      before: change.before,
      after: change.after,
      pusher: { name: actor.login, email: actor.email },
      created: made,
      deleted: gone,
      forced,
      base_ref: null,
      compare: `${html}/compare/${change.before.slice(0, 12)}...${change.after.slice(0, 12)}`,
      commits: withFiles,
      head_commit: gone ? null : (withFiles.at(-1) ?? null),
    });
    if (gone)
      await this.#say("delete", undefined, actor, repository, { ref: short, ref_type: kind, pusher_type: "user" });
    const refEvent = { ref: short, ref_type: kind, full_ref: change.ref, pusher_type: "user" };
    if (made)
      this.#record(repository, "CreateEvent", actor, {
        ...refEvent,
        master_branch: repository.defaultBranch,
        description: repository.description,
      });
    else if (gone) this.#record(repository, "DeleteEvent", actor, refEvent);
    else
      this.#record(repository, "PushEvent", actor, {
        repository_id: repository.id,
        push_id: this.id(),
        ref: change.ref,
        before: change.before,
        head: change.after,
      });
  }

  async #headMoved(actor: Account, repository: Repository, branch: string, change: RefChange): Promise<void> {
    for (const base of this.repositories.values())
      for (const issue of base.issues.values()) {
        const pull = issue.pull;
        if (!pull || issue.state !== "open" || pull.headRepository !== repository || pull.headRef !== branch) continue;
        if (change.after === zero) {
          await this.closePull(actor, base, issue);
          continue;
        }
        await this.#moveRemarks(repository, issue, change.after);
        pull.headSha = change.after;
        const current = await base.git.branch(pull.baseRef);
        if (current) pull.baseSha = current;
        await this.#keepHead(base, issue);
        const protection = this.protectionOf(base, pull.baseRef);
        if (protection?.dismissStale)
          for (const review of pull.reviews) if (review.state === "APPROVED") review.state = "DISMISSED";
        // A push that brought nothing new (the branch now lies within its base) does not synchronize but merge: below.
        if (await base.git.isAncestor(pull.headSha, pull.baseSha)) continue;
        issue.updatedAt = this.time();
        await this.#pullSays("synchronize", actor, base, issue, { before: change.before, after: change.after });
      }
    if (change.after !== zero) await this.#requestSuites(actor, repository, branch, change);
  }

  async #baseMoved(actor: Account, repository: Repository, branch: string, change: RefChange): Promise<void> {
    for (const issue of repository.issues.values()) {
      const pull = issue.pull;
      if (!pull || issue.state !== "open" || pull.baseRef !== branch) continue;
      if (change.after === zero) await this.closePull(actor, repository, issue);
      else if (await repository.git.isAncestor(pull.headSha, change.after))
        await this.#merged(actor, repository, issue, change.after);
    }
  }

  /** Comments on lines follow a push to their new lines; those whose lines changed become outdated. */
  async #moveRemarks(repository: Repository, issue: Issue, head: string): Promise<void> {
    for (const comment of issue.pull!.reviewComments) {
      if (comment.line === undefined || comment.side === "LEFT") continue;
      const line = await repository.git.lineAfter(comment.commitId, head, comment.path, comment.line);
      if (comment.startLine !== undefined && line !== undefined) comment.startLine += line - comment.line;
      if (line === undefined) comment.startLine = undefined;
      else comment.commitId = head;
      comment.line = line;
    }
  }

  /** Keeps a pull request's head in the base repository, as `refs/pull/<n>/head`. */
  async #keepHead(repository: Repository, issue: Issue): Promise<void> {
    const pull = issue.pull!;
    const ref = `refs/pull/${issue.number}/head`;
    if (pull.headRepository && pull.headRepository !== repository)
      await repository.git.take(pull.headRepository.git, pull.headSha, ref);
    else await repository.git.updateRef(ref, pull.headSha);
  }

  // Issues ------------------------------------------------------------------------------------------------------------

  addLabel(repository: Repository, name: string, more: Partial<Label> = {}): Label {
    const existing = repository.labels.find((label) => label.name.toLowerCase() === name.toLowerCase());
    if (existing) return existing;
    const label: Label = {
      id: this.id(),
      name,
      color: more.color ?? colours[repository.labels.length % colours.length]!,
      description: more.description ?? null,
      default: more.default ?? false,
    };
    repository.labels.push(label);
    return label;
  }

  issue(repository: Repository, number: number): Issue {
    const issue = repository.issues.get(number);
    if (!issue) throw notFound();
    return issue;
  }

  /** GitHub's limits on what people write, in characters. */
  #fits(
    resource: "Issue" | "PullRequest",
    text: { title?: string | undefined; body?: string | null | undefined },
  ): void {
    if (text.title !== undefined && text.title.trim() === "") throw invalid(resource, "title", "missing_field");
    for (const [field, most] of [
      ["title", 256],
      ["body", 65_536],
    ] as const)
      if ((text[field]?.length ?? 0) > most)
        throw invalid(resource, field, "custom", `${field} is too long (maximum is ${most} characters)`);
  }

  #newIssue(
    actor: Account,
    repository: Repository,
    title: string,
    body: string | null,
    appId: number | undefined,
  ): Issue {
    return {
      id: this.id(),
      number: repository.nextNumber++,
      title,
      body,
      user: actor,
      state: "open",
      stateReason: null,
      labels: [],
      assignees: [],
      comments: [],
      locked: false,
      createdAt: this.time(),
      updatedAt: this.time(),
      closedAt: undefined,
      closedBy: undefined,
      appId,
      events: [],
      pull: undefined,
    };
  }

  async createIssue(
    actor: Account,
    repository: Repository,
    input: {
      title: string;
      body?: string | null;
      labels?: readonly string[];
      assignees?: readonly string[];
      appId?: number | undefined;
    },
  ): Promise<Issue> {
    this.#fits("Issue", input);
    const issue = this.#newIssue(actor, repository, input.title, input.body ?? null, input.appId);
    repository.issues.set(issue.number, issue);
    for (const name of input.labels ?? []) issue.labels.push(this.addLabel(repository, name));
    issue.assignees = this.#assignable(repository, input.assignees ?? []);
    await this.#issueSays("opened", actor, repository, issue);
    for (const label of issue.labels)
      await this.#issueSays("labeled", actor, repository, issue, { label: this.presenter().label(repository, label) });
    for (const assignee of issue.assignees)
      await this.#issueSays("assigned", actor, repository, issue, { assignee: this.presenter().user(assignee) });
    return issue;
  }

  #assignable(repository: Repository, logins: readonly string[]): Account[] {
    const found: Account[] = [];
    for (const login of logins) {
      const account = this.account(login);
      // GitHub passes silently over those who cannot be assigned.
      if (account && this.mayBeAssigned(repository, account) && !found.includes(account)) found.push(account);
    }
    return found.slice(0, 10);
  }

  mayBeAssigned(repository: Repository, account: Account): boolean {
    return (
      repository.owner === account ||
      repository.owner.members.has(account.id) ||
      reaches(repository.roles.get(account.id) ?? "none", "read")
    );
  }

  async #issueSays(
    action: string,
    actor: Account,
    repository: Repository,
    issue: Issue,
    more: Shape = {},
  ): Promise<void> {
    issue.events.push({
      id: this.id(),
      event: action,
      actor,
      createdAt: this.time(),
      commitId: undefined,
      about: more,
    });
    if (issue.pull) {
      await this.#pullSays(action, actor, repository, issue, more);
      return;
    }
    const shape = await this.presenter().issue(repository, issue);
    await this.#say("issues", action, actor, repository, { issue: shape, ...more });
    this.#record(repository, "IssuesEvent", actor, { action, issue: shape });
  }

  async #pullSays(
    action: string,
    actor: Account,
    repository: Repository,
    issue: Issue,
    more: Shape = {},
  ): Promise<void> {
    const shape = await this.presenter().pull(repository, issue);
    await this.#say("pull_request", action, actor, repository, { number: issue.number, pull_request: shape, ...more });
    // Events carry a pull request in its shortest form.
    const pull_request = this.presenter().pullMinimal(repository, issue);
    this.#record(repository, "PullRequestEvent", actor, { action, number: issue.number, pull_request });
  }

  #record(repository: Repository, type: string, actor: Account, payload: Shape): void {
    repository.events.unshift({ id: this.id(), type, actor, payload, createdAt: this.time() });
    if (repository.events.length > 300) repository.events.length = 300;
  }

  /** Title, body, state, labels and assignees of an issue or pull request; what does not change stays silent. */
  async updateIssue(
    actor: Account,
    repository: Repository,
    issue: Issue,
    input: {
      title?: string;
      body?: string | null;
      state?: "open" | "closed";
      stateReason?: Issue["stateReason"] | "duplicate";
      labels?: readonly string[];
      assignees?: readonly string[];
    },
  ): Promise<void> {
    this.#fits(issue.pull ? "PullRequest" : "Issue", input);
    const changes: Shape = {};
    if (input.title !== undefined && input.title !== issue.title) {
      changes.title = { from: issue.title };
      issue.title = input.title;
    }
    if (input.body !== undefined && input.body !== issue.body) {
      changes.body = { from: issue.body ?? "" };
      issue.body = input.body;
    }
    issue.updatedAt = this.time();
    if (Object.keys(changes).length > 0) await this.#issueSays("edited", actor, repository, issue, { changes });
    if (input.labels) await this.setLabels(actor, repository, issue, input.labels);
    if (input.assignees) await this.setAssignees(actor, repository, issue, input.assignees);
    if (input.state && input.state !== issue.state) {
      if (issue.pull && input.state === "closed") await this.closePull(actor, repository, issue);
      else if (issue.pull) await this.#reopenPull(actor, repository, issue);
      else if (input.state === "closed") {
        const reason = input.stateReason === "duplicate" ? "not_planned" : input.stateReason;
        await this.#closeIssue(actor, repository, issue, reason ?? "completed");
      } else {
        issue.state = "open";
        issue.stateReason = "reopened";
        issue.closedAt = undefined;
        issue.closedBy = undefined;
        await this.#issueSays("reopened", actor, repository, issue);
      }
    }
  }

  async #closeIssue(actor: Account, repository: Repository, issue: Issue, reason: Issue["stateReason"]): Promise<void> {
    issue.state = "closed";
    issue.stateReason = reason;
    issue.closedAt = this.time();
    issue.closedBy = actor;
    issue.updatedAt = this.time();
    await this.#issueSays("closed", actor, repository, issue);
  }

  async setLabels(actor: Account, repository: Repository, issue: Issue, names: readonly string[]): Promise<void> {
    const wanted = names.map((name) => this.addLabel(repository, name));
    const before = issue.labels;
    issue.updatedAt = this.time();
    for (const label of before.filter((one) => !wanted.includes(one))) {
      issue.labels = issue.labels.filter((one) => one !== label);
      await this.#issueSays("unlabeled", actor, repository, issue, {
        label: this.presenter().label(repository, label),
      });
    }
    for (const label of wanted.filter((one) => !before.includes(one))) {
      if (issue.labels.includes(label)) continue;
      issue.labels = [...issue.labels, label];
      await this.#issueSays("labeled", actor, repository, issue, { label: this.presenter().label(repository, label) });
    }
  }

  async setAssignees(actor: Account, repository: Repository, issue: Issue, logins: readonly string[]): Promise<void> {
    const wanted = this.#assignable(repository, logins);
    const before = issue.assignees;
    issue.updatedAt = this.time();
    for (const user of before.filter((one) => !wanted.includes(one))) {
      issue.assignees = issue.assignees.filter((one) => one !== user);
      await this.#issueSays("unassigned", actor, repository, issue, { assignee: this.presenter().user(user) });
    }
    for (const user of wanted.filter((one) => !before.includes(one))) {
      issue.assignees = [...issue.assignees, user];
      await this.#issueSays("assigned", actor, repository, issue, { assignee: this.presenter().user(user) });
    }
  }

  async createComment(
    actor: Account,
    repository: Repository,
    issue: Issue,
    body: string,
    appId: number | undefined = undefined,
  ): Promise<Comment> {
    const comment: Comment = {
      id: this.id(),
      user: actor,
      body,
      createdAt: this.time(),
      updatedAt: this.time(),
      appId,
    };
    issue.comments.push(comment);
    issue.updatedAt = this.time();
    await this.#commentSays("created", actor, repository, issue, comment);
    return comment;
  }

  async #commentSays(
    action: string,
    actor: Account,
    repository: Repository,
    issue: Issue,
    comment: Comment,
    more: Shape = {},
  ): Promise<void> {
    const presenter = this.presenter();
    const parts = {
      issue: await presenter.issue(repository, issue),
      comment: await presenter.comment(repository, issue, comment),
      ...more,
    };
    await this.#say("issue_comment", action, actor, repository, parts);
    this.#record(repository, "IssueCommentEvent", actor, { action, ...parts });
  }

  findComment(repository: Repository, id: number): { issue: Issue; comment: Comment } {
    for (const issue of repository.issues.values()) {
      const comment = issue.comments.find((one) => one.id === id);
      if (comment) return { issue, comment };
    }
    throw notFound();
  }

  async editComment(actor: Account, repository: Repository, id: number, body: string): Promise<Comment> {
    const { issue, comment } = this.findComment(repository, id);
    const from = comment.body;
    comment.body = body;
    comment.updatedAt = this.time();
    await this.#commentSays("edited", actor, repository, issue, comment, { changes: { body: { from } } });
    return comment;
  }

  async deleteComment(actor: Account, repository: Repository, id: number): Promise<void> {
    const { issue, comment } = this.findComment(repository, id);
    issue.comments = issue.comments.filter((one) => one !== comment);
    await this.#commentSays("deleted", actor, repository, issue, comment);
  }

  // Pull requests -----------------------------------------------------------------------------------------------------

  pull(repository: Repository, number: number): Issue & { pull: Pull } {
    const issue = repository.issues.get(number);
    if (!issue?.pull) throw notFound();
    return issue as Issue & { pull: Pull };
  }

  async createPull(
    actor: Account,
    repository: Repository,
    input: {
      title?: string;
      body?: string | null;
      /** `branch` or `owner:branch`. */
      head: string;
      headRepository?: Repository | undefined;
      base: string;
      draft?: boolean;
      maintainerCanModify?: boolean;
      appId?: number | undefined;
      issue?: number | undefined;
    },
  ): Promise<Issue> {
    this.#fits("PullRequest", input);
    const colon = input.head.indexOf(":");
    const headRef = input.head.slice(colon + 1);
    const ownerLogin = colon < 0 ? repository.owner.login : input.head.slice(0, colon);
    const network = [...this.repositories.values()].filter(
      (one) => one === repository || one.parent === repository || one === repository.parent,
    );
    const from =
      input.headRepository ??
      (ownerLogin.toLowerCase() === repository.owner.login.toLowerCase()
        ? repository
        : network.find((one) => one.owner.login.toLowerCase() === ownerLogin.toLowerCase()));
    const headSha = await from?.git.branch(headRef);
    if (!from || !headSha) throw invalid("PullRequest", "head", "invalid");
    const baseSha = await repository.git.branch(input.base);
    if (!baseSha) throw invalid("PullRequest", "base", "invalid");
    for (const other of repository.issues.values())
      if (
        other.state === "open" &&
        other.pull?.headRepository === from &&
        other.pull.headRef === headRef &&
        other.pull.baseRef === input.base
      )
        throw new Refused(422, "Validation Failed", {
          errors: [
            {
              resource: "PullRequest",
              code: "custom",
              message: `A pull request already exists for ${from.owner.login}:${headRef}.`,
            },
          ],
        });
    const converted = input.issue === undefined ? undefined : this.issue(repository, input.issue);
    if (!converted && !input.title) throw invalid("PullRequest", "title", "missing_field");
    const issue = converted ?? this.#newIssue(actor, repository, input.title ?? "", input.body ?? null, input.appId);
    issue.pull = {
      id: this.id(),
      draft: input.draft ?? false,
      headRepository: from,
      headOwner: from.owner,
      headRef,
      headSha,
      baseRef: input.base,
      baseSha,
      mergedAt: undefined,
      mergedBy: undefined,
      mergeCommitSha: undefined,
      reviews: [],
      reviewComments: [],
      requestedReviewers: [],
      requestedTeams: [],
      maintainerCanModify: from !== repository && (input.maintainerCanModify ?? true),
    };
    // The range is looked at where both commits are; a refused pull request leaves only a ref nobody asks for.
    await this.#keepHead(repository, issue);
    if ((await repository.git.count(`${baseSha}..${headSha}`)) === 0) {
      if (converted) issue.pull = undefined;
      else repository.nextNumber -= 1;
      throw new Refused(422, "Validation Failed", {
        errors: [
          {
            resource: "PullRequest",
            code: "custom",
            message: `No commits between ${repository.owner.login}:${input.base} and ${from.owner.login}:${headRef}`,
          },
        ],
      });
    }
    repository.issues.set(issue.number, issue);
    await this.#pullSays("opened", actor, repository, issue);
    return issue;
  }

  async updatePull(
    actor: Account,
    repository: Repository,
    issue: Issue,
    input: {
      title?: string;
      body?: string | null;
      state?: "open" | "closed";
      base?: string;
      maintainerCanModify?: boolean;
    },
  ): Promise<void> {
    const pull = issue.pull!;
    if (input.base !== undefined && input.base !== pull.baseRef) {
      const sha = await repository.git.branch(input.base);
      if (!sha) throw invalid("PullRequest", "base", "invalid");
      const from = { ref: { from: pull.baseRef }, sha: { from: pull.baseSha } };
      pull.baseRef = input.base;
      pull.baseSha = sha;
      await this.#pullSays("edited", actor, repository, issue, { changes: { base: from } });
    }
    if (input.maintainerCanModify !== undefined) pull.maintainerCanModify = input.maintainerCanModify;
    await this.updateIssue(actor, repository, issue, input);
  }

  async closePull(actor: Account, repository: Repository, issue: Issue): Promise<void> {
    if (issue.state === "closed") return;
    issue.state = "closed";
    issue.closedAt = this.time();
    issue.closedBy = actor;
    issue.updatedAt = this.time();
    await this.#pullSays("closed", actor, repository, issue);
  }

  async #reopenPull(actor: Account, repository: Repository, issue: Issue): Promise<void> {
    const pull = issue.pull!;
    const sha = await pull.headRepository?.git.branch(pull.headRef);
    if (pull.mergedAt || !sha) throw invalid("PullRequest", "state", "invalid", "state cannot be changed.");
    pull.headSha = sha;
    issue.state = "open";
    issue.closedAt = undefined;
    issue.closedBy = undefined;
    await this.#pullSays("reopened", actor, repository, issue);
  }

  async setDraft(actor: Account, repository: Repository, issue: Issue, draft: boolean): Promise<void> {
    if (issue.pull!.draft === draft) return;
    issue.pull!.draft = draft;
    issue.updatedAt = this.time();
    await this.#pullSays(draft ? "converted_to_draft" : "ready_for_review", actor, repository, issue);
  }

  async requestReviewers(
    actor: Account,
    repository: Repository,
    issue: Issue,
    logins: readonly string[],
  ): Promise<void> {
    for (const login of logins) {
      const account = this.account(login);
      if (!account || account === issue.user || !this.mayBeAssigned(repository, account))
        throw new Refused(
          422,
          "Reviews may only be requested from collaborators. One or more of the users or teams you specified is not a collaborator of the repository.",
        );
    }
    for (const login of logins) {
      const account = this.account(login)!;
      if (issue.pull!.requestedReviewers.includes(account)) continue;
      issue.pull!.requestedReviewers.push(account);
      await this.#pullSays("review_requested", actor, repository, issue, {
        requested_reviewer: this.presenter().user(account),
      });
    }
  }

  async requestTeams(actor: Account, repository: Repository, issue: Issue, slugs: readonly string[]): Promise<void> {
    const found = slugs.map((slug) =>
      this.teams.find((team) => team.organization === repository.owner && team.slug === slug),
    );
    if (found.includes(undefined))
      throw new Refused(
        422,
        "Reviews may only be requested from collaborators. One or more of the users or teams you specified is not a collaborator of the repository.",
      );
    for (const team of found as Team[]) {
      if (issue.pull!.requestedTeams.includes(team)) continue;
      issue.pull!.requestedTeams.push(team);
      const requested_team = this.presenter().team(team);
      await this.#pullSays("review_requested", actor, repository, issue, { requested_team });
    }
  }

  async removeReviewers(
    actor: Account,
    repository: Repository,
    issue: Issue,
    logins: readonly string[],
  ): Promise<void> {
    for (const account of [...issue.pull!.requestedReviewers]) {
      if (!logins.includes(account.login)) continue;
      issue.pull!.requestedReviewers = issue.pull!.requestedReviewers.filter((one) => one !== account);
      await this.#pullSays("review_request_removed", actor, repository, issue, {
        requested_reviewer: this.presenter().user(account),
      });
    }
  }

  /** A review; without `state` it stays pending and only its author sees it. */
  async createReview(
    actor: Account,
    repository: Repository,
    issue: Issue,
    input: {
      state?: "APPROVED" | "CHANGES_REQUESTED" | "COMMENTED";
      body?: string;
      commitId?: string | undefined;
      comments?: readonly {
        path: string;
        body: string;
        line?: number | undefined;
        startLine?: number | undefined;
        side?: "LEFT" | "RIGHT" | undefined;
      }[];
    },
  ): Promise<Review> {
    const pull = issue.pull!;
    if (actor === issue.user && input.state && input.state !== "COMMENTED")
      throw new Refused(422, "Unprocessable Entity", {
        errors: [
          input.state === "APPROVED"
            ? "Can not approve your own pull request"
            : "Can not request changes on your own pull request",
        ],
      });
    if (input.state && input.state !== "APPROVED" && !input.body && !input.comments?.length)
      throw new Refused(422, "Unprocessable Entity", { errors: ["Body can not be blank"] });
    const review: Review = {
      id: this.id(),
      user: actor,
      body: input.body ?? "",
      state: "PENDING",
      commitId: input.commitId ?? pull.headSha,
      submittedAt: undefined,
    };
    const comments: ReviewComment[] = [];
    for (const given of input.comments ?? [])
      comments.push(await this.#newReviewComment(actor, repository, issue, review, given));
    pull.reviews.push(review);
    pull.reviewComments.push(...comments);
    if (input.state) await this.submitReview(actor, repository, issue, review, input.state);
    return review;
  }

  async submitReview(
    actor: Account,
    repository: Repository,
    issue: Issue,
    review: Review,
    state: "APPROVED" | "CHANGES_REQUESTED" | "COMMENTED",
  ): Promise<void> {
    const pull = issue.pull!;
    review.state = state;
    review.submittedAt = this.time();
    issue.updatedAt = this.time();
    pull.requestedReviewers = pull.requestedReviewers.filter((one) => one !== actor);
    pull.requestedTeams = pull.requestedTeams.filter((team) => !team.members.includes(actor));
    await this.#reviewSays("submitted", actor, repository, issue, review);
    for (const comment of pull.reviewComments.filter((one) => one.reviewId === review.id))
      await this.#reviewCommentSays("created", actor, repository, issue, comment);
  }

  async #reviewSays(
    action: string,
    actor: Account,
    repository: Repository,
    issue: Issue,
    review: Review,
  ): Promise<void> {
    const presenter = this.presenter();
    const shape = await presenter.review(repository, issue, review);
    await this.#say("pull_request_review", action, actor, repository, {
      review: {
        submitted_at: null,
        ...shape,
        state: review.state.toLowerCase(),
        body: review.body || null,
        updated_at: review.submittedAt ?? null,
      },
      pull_request: await presenter.pull(repository, issue, false),
    });
    this.#record(repository, "PullRequestReviewEvent", actor, {
      action: "created",
      review: shape,
      pull_request: presenter.pullMinimal(repository, issue),
    });
  }

  async #reviewCommentSays(
    action: string,
    actor: Account,
    repository: Repository,
    issue: Issue,
    comment: ReviewComment,
    more: Shape = {},
  ): Promise<void> {
    const presenter = this.presenter();
    const parts = {
      comment: await presenter.reviewComment(repository, issue, comment),
      pull_request: await presenter.pull(repository, issue, false),
      ...more,
    };
    await this.#say("pull_request_review_comment", action, actor, repository, parts);
    this.#record(repository, "PullRequestReviewCommentEvent", actor, {
      action,
      comment: parts.comment,
      pull_request: presenter.pullMinimal(repository, issue),
    });
  }

  async #newReviewComment(
    actor: Account,
    repository: Repository,
    issue: Issue,
    review: Review,
    given: {
      path: string;
      body: string;
      line?: number | undefined;
      startLine?: number | undefined;
      side?: "LEFT" | "RIGHT" | undefined;
      inReplyTo?: ReviewComment;
    },
  ): Promise<ReviewComment> {
    const files = await this.files(repository, issue);
    const file = files.find((one) => one.filename === given.path);
    const side = given.side ?? "RIGHT";
    const hunk = given.inReplyTo?.diffHunk ?? (given.line === undefined ? "" : hunkAt(file?.patch, given.line, side));
    if (!given.inReplyTo && (!file || hunk === undefined))
      throw new Refused(422, "Unprocessable Entity", {
        errors: [file ? "Line could not be resolved" : "Path could not be resolved"],
      });
    return {
      id: this.id(),
      reviewId: review.id,
      user: actor,
      body: given.body,
      path: given.path,
      line: given.line,
      startLine: given.startLine,
      originalLine: given.line,
      originalStartLine: given.startLine,
      side,
      startSide: given.startLine === undefined ? undefined : side,
      diffHunk: hunk ?? "",
      commitId: issue.pull!.headSha,
      originalCommitId: issue.pull!.headSha,
      inReplyTo: given.inReplyTo?.id,
      createdAt: this.time(),
      updatedAt: this.time(),
    };
  }

  /** One comment on a line (or a reply), which makes a review of its own. */
  async createReviewComment(
    actor: Account,
    repository: Repository,
    issue: Issue,
    given: {
      path?: string;
      body: string;
      line?: number | undefined;
      startLine?: number | undefined;
      side?: "LEFT" | "RIGHT" | undefined;
      inReplyTo?: number;
    },
  ): Promise<ReviewComment> {
    const pull = issue.pull!;
    const parent =
      given.inReplyTo === undefined ? undefined : pull.reviewComments.find((one) => one.id === given.inReplyTo);
    if (given.inReplyTo !== undefined && !parent) throw notFound();
    const review: Review = {
      id: this.id(),
      user: actor,
      body: "",
      state: "COMMENTED",
      commitId: pull.headSha,
      submittedAt: this.time(),
    };
    const comment = await this.#newReviewComment(actor, repository, issue, review, {
      body: given.body,
      path: parent?.path ?? given.path ?? "",
      line: parent ? parent.line : given.line,
      startLine: parent ? parent.startLine : given.startLine,
      side: parent?.side ?? given.side,
      ...(parent ? { inReplyTo: parent } : {}),
    });
    pull.reviews.push(review);
    pull.reviewComments.push(comment);
    issue.updatedAt = this.time();
    await this.#reviewSays("submitted", actor, repository, issue, review);
    await this.#reviewCommentSays("created", actor, repository, issue, comment);
    return comment;
  }

  findReviewComment(repository: Repository, id: number): { issue: Issue & { pull: Pull }; comment: ReviewComment } {
    for (const issue of repository.issues.values()) {
      const comment = issue.pull?.reviewComments.find((one) => one.id === id);
      if (comment) return { issue: issue as Issue & { pull: Pull }, comment };
    }
    throw notFound();
  }

  async editReviewComment(actor: Account, repository: Repository, id: number, body: string): Promise<void> {
    const { issue, comment } = this.findReviewComment(repository, id);
    const from = comment.body;
    comment.body = body;
    comment.updatedAt = this.time();
    await this.#reviewCommentSays("edited", actor, repository, issue, comment, { changes: { body: { from } } });
  }

  async deleteReviewComment(actor: Account, repository: Repository, id: number): Promise<void> {
    const { issue, comment } = this.findReviewComment(repository, id);
    issue.pull.reviewComments = issue.pull.reviewComments.filter((one) => one !== comment);
    await this.#reviewCommentSays("deleted", actor, repository, issue, comment);
  }

  async dismissReview(actor: Account, repository: Repository, issue: Issue, review: Review): Promise<void> {
    review.state = "DISMISSED";
    await this.#reviewSays("dismissed", actor, repository, issue, review);
  }

  /** Commit from which a pull request's files and commits are counted. */
  async #rangeBase(repository: Repository, issue: Issue): Promise<string> {
    const pull = issue.pull!;
    const base = (issue.state === "open" && (await repository.git.branch(pull.baseRef))) || pull.baseSha;
    return (await repository.git.mergeBase(base, pull.headSha)) ?? base;
  }

  async files(repository: Repository, issue: Issue) {
    return repository.git.diff(await this.#rangeBase(repository, issue), issue.pull!.headSha);
  }

  async commits(repository: Repository, issue: Issue): Promise<Commit[]> {
    const base = await this.#rangeBase(repository, issue);
    return (await repository.git.log(`${base}..${issue.pull!.headSha}`, { limit: 250 })).reverse();
  }

  /** What GitHub works out for a single pull request. */
  async figures(repository: Repository, issue: Issue, asked = false) {
    const pull = issue.pull!;
    const open = issue.state === "open";
    const base = (open && (await repository.git.branch(pull.baseRef))) || pull.baseSha;
    const key = `${repository.id}:${base}:${pull.headSha}`;
    let known = this.#figures.get(key);
    if (!known) {
      const files = await this.files(repository, issue);
      const from = await this.#rangeBase(repository, issue);
      known = {
        mergeable: open && "tree" in (await repository.git.mergeTree(base, pull.headSha)),
        commits: await repository.git.count(`${from}..${pull.headSha}`),
        files: files.length,
        plus: files.reduce((sum, file) => sum + file.additions, 0),
        minus: files.reduce((sum, file) => sum + file.deletions, 0),
        reads: 0,
      };
      this.#figures.set(key, known);
    }
    const waiting = asked && open && known.reads < this.mergeableAfter;
    if (asked) known.reads += 1;
    const reason = open ? await this.#blocked(repository, issue) : undefined;
    const failing = this.#anyFailing(repository, pull.headSha);
    const state =
      !open || waiting
        ? "unknown"
        : !known.mergeable
          ? "dirty"
          : pull.draft
            ? "draft"
            : reason
              ? reason === OUT_OF_DATE
                ? "behind"
                : "blocked"
              : failing
                ? "unstable"
                : "clean";
    return {
      mergeable: open && !waiting ? known.mergeable : null,
      mergeableState: state,
      commits: known.commits,
      files: known.files,
      additions: known.plus,
      deletions: known.minus,
    };
  }

  #anyFailing(repository: Repository, sha: string): boolean {
    return (
      repository.checkRuns.some(
        (run) =>
          run.headSha === sha &&
          (run.conclusion === null || !["success", "neutral", "skipped"].includes(run.conclusion)),
      ) || this.latestStatuses(repository, sha).some((status) => status.state !== "success")
    );
  }

  /** Newest status of each context. */
  latestStatuses(repository: Repository, sha: string): Status[] {
    const seen = new Map<string, Status>();
    for (const status of repository.statuses) if (status.sha === sha) seen.set(status.context, status);
    return [...seen.values()].reverse();
  }

  /** State of a named check or status on a commit. */
  checkState(repository: Repository, sha: string, name: string): "success" | "pending" | "failure" | "missing" {
    const run = repository.checkRuns.filter((one) => one.headSha === sha && one.name === name).at(-1);
    if (run)
      return run.conclusion === null
        ? "pending"
        : ["success", "neutral", "skipped"].includes(run.conclusion)
          ? "success"
          : "failure";
    const status = this.latestStatuses(repository, sha).find((one) => one.context === name);
    if (!status) return "missing";
    return status.state === "error" ? "failure" : status.state;
  }

  /** Why the rules of its base forbid a merge, in GitHub's words. */
  async #blocked(repository: Repository, issue: Issue): Promise<string | undefined> {
    const pull = issue.pull!;
    const protection = this.protectionOf(repository, pull.baseRef);
    if (!protection) return undefined;
    const latest = new Map<Account, Review>();
    for (const review of pull.reviews)
      if (review.state === "APPROVED" || review.state === "CHANGES_REQUESTED" || review.state === "DISMISSED")
        latest.set(review.user, review);
    const counted = [...latest.values()].filter((review) => reaches(this.role(review.user, repository), "write"));
    if (protection.requiredReviews !== undefined) {
      if (counted.some((review) => review.state === "CHANGES_REQUESTED"))
        return "At least 1 review requesting changes by reviewers with write access.";
      const needed = protection.requiredReviews;
      if (counted.filter((review) => review.state === "APPROVED").length < needed)
        return `At least ${needed} approving review${needed === 1 ? " is" : "s are"} required by reviewers with write access.`;
    }
    for (const name of protection.requiredChecks) {
      const state = this.checkState(repository, pull.headSha, name);
      if (state !== "success")
        return `Required status check "${name}" is ${state === "missing" ? "expected" : state === "pending" ? "in progress" : "failing"}.`;
    }
    const base = await repository.git.branch(pull.baseRef);
    if (protection.strict && base && !(await repository.git.isAncestor(base, pull.headSha))) return OUT_OF_DATE;
    return undefined;
  }

  async merge(
    actor: Account,
    repository: Repository,
    issue: Issue,
    input: { method?: MergeMethod; sha?: string; title?: string; message?: string; bypass?: boolean } = {},
  ): Promise<string> {
    const pull = issue.pull!;
    const method = input.method ?? "merge";
    const git = repository.git;
    if (issue.state === "closed") throw new Refused(405, "Pull Request is not mergeable");
    if (pull.draft) throw new Refused(405, "Pull Request is still a draft");
    if (input.sha && input.sha !== pull.headSha)
      throw new Refused(409, "Head branch was modified. Review and try the merge again.");
    if (!repository.allowMerge[method]) {
      const word = { merge: "Merge commits", squash: "Squash merges", rebase: "Rebase merges" }[method];
      throw new Refused(405, `${word} are not allowed on this repository.`);
    }
    const reason = input.bypass ? undefined : await this.#blocked(repository, issue);
    if (reason) throw new Refused(405, reason);
    const before = (await git.branch(pull.baseRef))!;
    const merged = await git.mergeTree(before, pull.headSha);
    if (!("tree" in merged)) throw new Refused(405, "Pull Request is not mergeable");
    const author = this.signature(actor);
    const web: Signature = { name: "GitHub", email: "noreply@github.com", date: this.time() };
    let sha: string;
    if (method === "rebase") {
      const rebased = await git.rebase(pull.headSha, before, author);
      if (!rebased) throw new Refused(405, "This branch can't be rebased");
      sha = rebased;
    } else {
      const squash = method === "squash";
      const title =
        input.title ??
        (squash
          ? `${issue.title} (#${issue.number})`
          : `Merge pull request #${issue.number} from ${pull.headOwner.login}/${pull.headRef}`);
      const message = input.message ?? (squash ? "" : issue.title);
      sha = await git.commitTree({
        tree: merged.tree,
        parents: squash ? [before] : [before, pull.headSha],
        message: message ? `${title}\n\n${message}` : title,
        author: squash ? this.signature(issue.user) : author,
        committer: web,
      });
    }
    await git.updateRef(`refs/heads/${pull.baseRef}`, sha, before);
    await this.#merged(actor, repository, issue, sha);
    await this.refsChanged(actor, repository, [{ ref: `refs/heads/${pull.baseRef}`, before, after: sha }]);
    if (repository.deleteBranchOnMerge && pull.headRepository === repository) {
      await git.deleteRef(`refs/heads/${pull.headRef}`);
      await this.refsChanged(actor, repository, [
        { ref: `refs/heads/${pull.headRef}`, before: pull.headSha, after: zero },
      ]);
    }
    return sha;
  }

  async #merged(actor: Account, repository: Repository, issue: Issue, sha: string): Promise<void> {
    const pull = issue.pull!;
    pull.mergedAt = this.time();
    pull.mergedBy = actor;
    pull.mergeCommitSha = sha;
    await this.closePull(actor, repository, issue);
    if (pull.baseRef !== repository.defaultBranch) return;
    const texts = [issue.body ?? "", ...(await this.commits(repository, issue)).map((commit) => commit.message)];
    for (const text of texts)
      for (const [, other, number] of text.matchAll(closing)) {
        const [owner = "", name = ""] = (other ?? `${repository.owner.login}/${repository.name}`).split("/");
        const target = this.repository(owner, name)?.repository;
        const closed = target?.issues.get(Number(number));
        if (target && closed && !closed.pull && closed.state === "open")
          await this.#closeIssue(actor, target, closed, "completed");
      }
  }

  /** Merges the base into a pull request's head, as the button "Update branch" does. */
  async updatePullBranch(actor: Account, repository: Repository, issue: Issue, expected?: string): Promise<void> {
    const pull = issue.pull!;
    if (expected && expected !== pull.headSha)
      throw new Refused(422, `expected_head_sha must match the current head ref.`);
    const base = (await repository.git.branch(pull.baseRef))!;
    const head = pull.headSha;
    if (await repository.git.isAncestor(base, head))
      throw new Refused(422, "There are no new commits on the base branch.");
    const merged = await repository.git.mergeTree(head, base);
    if (!("tree" in merged) || !pull.headRepository) throw new Refused(422, "merge conflict between base and head");
    const sha = await repository.git.commitTree({
      tree: merged.tree,
      parents: [head, base],
      message: `Merge branch '${pull.baseRef}' into ${pull.headRef}`,
      author: this.signature(actor),
    });
    const ref = `refs/heads/${pull.headRef}`;
    if (pull.headRepository !== repository) await pull.headRepository.git.take(repository.git, sha, ref);
    else await repository.git.updateRef(ref, sha, head);
    await this.refsChanged(actor, pull.headRepository, [{ ref, before: head, after: sha }]);
  }

  // Checks ------------------------------------------------------------------------------------------------------------

  suite(repository: Repository, app: App, sha: string, branch: string | null, before = zero): CheckSuite {
    const existing = repository.checkSuites.find((suite) => suite.app === app && suite.headSha === sha);
    if (existing) return existing;
    const suite: CheckSuite = {
      id: this.id(),
      app,
      headSha: sha,
      headBranch: branch,
      before,
      createdAt: this.time(),
      updatedAt: this.time(),
    };
    repository.checkSuites.push(suite);
    return suite;
  }

  suiteState(repository: Repository, suite: CheckSuite): { status: string; conclusion: string | null } {
    const runs = repository.checkRuns.filter((run) => run.suiteId === suite.id);
    if (runs.length === 0) return { status: "queued", conclusion: null };
    if (runs.some((run) => run.conclusion === null)) return { status: "in_progress", conclusion: null };
    for (const conclusion of ["action_required", "timed_out", "cancelled", "failure", "success", "neutral"])
      if (runs.some((run) => run.conclusion === conclusion)) return { status: "completed", conclusion };
    return { status: "completed", conclusion: "skipped" };
  }

  /** A push asks every App with `checks: write` for its checks. */
  async #requestSuites(actor: Account, repository: Repository, branch: string, change: RefChange): Promise<void> {
    for (const installation of this.installations.values()) {
      if (installation.permissions.checks !== "write" || !this.covers(installation, repository)) continue;
      const suite = this.suite(repository, installation.app, change.after, branch, change.before);
      await this.#suiteSays("requested", actor, repository, suite, { installation });
    }
  }

  async #suiteSays(
    action: string,
    actor: Account,
    repository: Repository,
    suite: CheckSuite,
    only: { installation?: Installation; app?: App } = {},
  ): Promise<void> {
    const shape = await this.presenter().checkSuite(repository, suite);
    await this.#say("check_suite", action, actor, repository, { check_suite: shape }, only);
  }

  async #branchOf(repository: Repository, sha: string): Promise<string | null> {
    for (const [ref, at] of await repository.git.refs("refs/heads/"))
      if (at === sha) return ref.slice("refs/heads/".length);
    return null;
  }

  async createCheckRun(
    actor: Account,
    repository: Repository,
    app: App,
    input: Omit<CheckRun, "id" | "suiteId" | "app" | "job"> & { log?: string | undefined },
  ): Promise<CheckRun> {
    const { log, ...given } = input;
    const sha = await repository.git.resolve(given.headSha);
    if (!sha) throw new Refused(422, `No commit found for SHA: ${given.headSha}`);
    const suite = this.suite(repository, app, sha, await this.#branchOf(repository, sha));
    let job: CheckRun["job"];
    if (log !== undefined) {
      let workflow = repository.workflowRuns.find((run) => run.suiteId === suite.id);
      if (!workflow) {
        workflow = this.#newWorkflowRun(actor, repository, suite);
        repository.workflowRuns.push(workflow);
      }
      job = { runId: workflow.id, log, createdAt: this.time() };
    }
    const run: CheckRun = { ...given, headSha: sha, id: this.id(), suiteId: suite.id, app, job };
    repository.checkRuns.push(run);
    await this.#runSays("created", actor, repository, run);
    if (run.status === "completed") await this.#runCompleted(actor, repository, run);
    return run;
  }

  #newWorkflowRun(actor: Account, repository: Repository, suite: CheckSuite): WorkflowRun {
    return {
      id: this.id(),
      name: "CI",
      runNumber: repository.workflowRuns.length + 1,
      attempt: 1,
      headSha: suite.headSha,
      headBranch: suite.headBranch ?? repository.defaultBranch,
      event: "push",
      suiteId: suite.id,
      actor,
      createdAt: this.time(),
      updatedAt: this.time(),
    };
  }

  async updateCheckRun(
    actor: Account,
    repository: Repository,
    run: CheckRun,
    change: Partial<Omit<CheckRun, "id" | "suiteId" | "app" | "headSha">>,
  ): Promise<void> {
    const was = run.status;
    Object.assign(run, change);
    if (run.status === "completed" && was !== "completed") await this.#runCompleted(actor, repository, run);
  }

  async #runSays(
    action: string,
    actor: Account,
    repository: Repository,
    run: CheckRun,
    only: { app?: App } = {},
  ): Promise<void> {
    const suite = repository.checkSuites.find((one) => one.id === run.suiteId)!;
    const presenter = this.presenter();
    await this.#say(
      "check_run",
      action,
      actor,
      repository,
      {
        check_run: {
          ...presenter.checkRun(repository, run),
          check_suite: await presenter.checkSuite(repository, suite),
        },
      },
      only,
    );
  }

  async #runCompleted(actor: Account, repository: Repository, run: CheckRun): Promise<void> {
    const suite = repository.checkSuites.find((one) => one.id === run.suiteId)!;
    suite.updatedAt = this.time();
    await this.#runSays("completed", actor, repository, run);
    if (this.suiteState(repository, suite).status === "completed")
      await this.#suiteSays("completed", actor, repository, suite);
  }

  /** Somebody presses "Re-run": only the check's own App hears it. */
  async rerequest(actor: Account, repository: Repository, run: CheckRun): Promise<void> {
    run.status = "queued";
    run.conclusion = null;
    run.completedAt = null;
    await this.#runSays("rerequested", actor, repository, run, { app: run.app });
  }

  /** Somebody presses "Re-run all": only the suite's own App hears it. */
  async rerequestSuite(actor: Account, repository: Repository, suite: CheckSuite): Promise<void> {
    await this.#suiteSays("rerequested", actor, repository, suite, { app: suite.app });
  }

  async createStatus(
    actor: Account,
    repository: Repository,
    input: {
      sha: string;
      state: Status["state"];
      context?: string;
      description?: string | null;
      targetUrl?: string | null;
    },
  ): Promise<Status> {
    const sha = await repository.git.resolve(input.sha);
    if (!sha) throw new Refused(422, `No commit found for SHA: ${input.sha}`);
    if ((input.description?.length ?? 0) > 140)
      throw invalid("Status", "description", "custom", "description is too long (maximum is 140 characters)");
    const status: Status = {
      id: this.id(),
      sha,
      state: input.state,
      context: input.context ?? "default",
      description: input.description ?? null,
      targetUrl: input.targetUrl ?? null,
      creator: actor,
      createdAt: this.time(),
    };
    repository.statuses.push(status);
    const presenter = this.presenter();
    const commit = presenter.commit(repository, await repository.git.commit(sha));
    const branches: Shape[] = [];
    for (const [ref, at] of await repository.git.refs("refs/heads/"))
      if (at === sha)
        branches.push({
          name: ref.slice("refs/heads/".length),
          commit: { sha, url: commit.url },
          protected: this.protectionOf(repository, ref.slice("refs/heads/".length)) !== undefined,
        });
    await this.#say("status", undefined, actor, repository, {
      id: status.id,
      sha,
      name: `${repository.owner.login}/${repository.name}`,
      target_url: status.targetUrl,
      avatar_url: `${this.bases.web}/avatars/u/${actor.id}`,
      context: status.context,
      description: status.description,
      state: status.state,
      commit,
      branches,
      created_at: status.createdAt,
      updated_at: status.createdAt,
    });
    return status;
  }

  /** Key of a log's address, good for whoever got it from the interface. */
  logKey(run: CheckRun): string {
    return createHash("sha256")
      .update(`${this.#logSecret}:${run.id}:${run.job?.log ?? ""}`)
      .digest("hex")
      .slice(0, 32);
  }

  // Access ------------------------------------------------------------------------------------------------------------

  /** Whether a permission and level are in a set; `write` holds `read`. */
  static permits(permissions: Permissions | "all", needed: string): boolean {
    if (permissions === "all") return true;
    const [name = "", level = "read"] = needed.split(":");
    const has = permissions[name];
    return has !== undefined && (level === "read" || has === "admin" || has === level);
  }

  flags(role: Role) {
    return permissionsOf(role);
  }
}

/** The hunk of a patch up to a line, as review comments carry it; undefined when the patch does not show that line. */
export function hunkAt(patch: string | undefined, line: number, side: "LEFT" | "RIGHT"): string | undefined {
  if (!patch) return undefined;
  let left = 0;
  let right = 0;
  let collected: string[] = [];
  for (const row of patch.split("\n")) {
    const header = /^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@/.exec(row);
    if (header) {
      left = Number(header[1]);
      right = Number(header[2]);
      collected = [row];
      continue;
    }
    collected.push(row);
    const mark = row[0];
    if (mark === "\\") continue;
    const here = side === "LEFT" ? mark !== "+" && left === line : mark !== "-" && right === line;
    if (here) return collected.join("\n");
    if (mark !== "+") left += 1;
    if (mark !== "-") right += 1;
  }
  return undefined;
}
