import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mintInstallationToken, remember } from "./access.ts";
import { loopbackCertificate } from "./certificate.ts";
import { description } from "./description.ts";
import { type Fault, FaultScript } from "./faults.ts";
import { serveGit } from "./git-http.ts";
import { graphql } from "./graphql.ts";
import { LfsStore } from "./lfs.ts";
import { Limits, type Resource } from "./limits.ts";
import type {
  Account,
  Annotation,
  App,
  CheckConclusion,
  CheckRun,
  Installation,
  Permissions,
  Protection,
  Repository,
  Role,
  Team,
  Token,
} from "./model.ts";
import { pages } from "./pages.ts";
import { Person } from "./person.ts";
import { appRoutes, type ManifestCodes } from "./routes-apps.ts";
import { checkRoutes } from "./routes-checks.ts";
import { issueRoutes } from "./routes-issues.ts";
import { pullRoutes } from "./routes-pulls.ts";
import { repoRoutes } from "./routes-repos.ts";
import { type Handlers, type Seen, StandInServer } from "./server.ts";
import { type Delivery, type Fate, Webhooks } from "./webhooks.ts";
import { accountByLogin, addAccount, renameAccount } from "./world/accounts.ts";
import {
  addApp,
  changeInstallation,
  changeInstallationRepositories,
  grantPermissions,
  installApp,
} from "./world/apps.ts";
import { createCheckRun, updateCheckRun } from "./world/checks.ts";
import { createIssue } from "./world/issues.ts";
import { pullByNumber } from "./world/pulls.ts";
import { commitFiles } from "./world/pushes.ts";
import { addRepository, filesOfFolder, repositoryByName } from "./world/repositories.ts";
import { World } from "./world/world.ts";

export type StandInOptions = {
  /** Default any free one. */
  port?: number;
  /** HTTPS instead of HTTP, by a certificate of a made-up authority (`caCertificate`); needs `openssl`. */
  tls?: boolean;
  /** Name in every address; default `127.0.0.1`. */
  host?: "127.0.0.1" | "localhost";
  /** Decides over the form of addresses in webhooks: `<url>/api/v3` (default) or `<url>`. Both forms are always served. */
  form?: "enterprise" | "root";
  /** Answers operations otherwise than the stand-in would: to see that a wrong answer is caught. */
  handlers?: Handlers;
};

/** A line of a pull request's diff that a reviewer speaks of. */
export type LineRemark = { path: string; line: number; startLine?: number; side?: "LEFT" | "RIGHT"; body: string };
export type Files = Readonly<Record<string, string | Buffer | null>>;

/** `owner/name`, or the repository itself. */
export type RepositoryName = string | Repository;

const usualPermissions = {
  issues: "write",
  pull_requests: "write",
  contents: "write",
  checks: "write",
  statuses: "read",
  actions: "read",
} satisfies Permissions;
const usualEvents = [
  "issues",
  "issue_comment",
  "pull_request",
  "pull_request_review",
  "pull_request_review_comment",
  "check_run",
  "check_suite",
  "status",
  "push",
  "repository",
];

/**
 * A made-up GitHub on loopback: REST (`<url>/api/v3` and `<url>`), GraphQL as far as `gh` needs it, git over smart HTTP
 * (`<url>/<owner>/<name>.git`), webhooks, and methods by which a test plays the people around it.
 *
 * Every request it takes and every answer it gives is held against GitHub's own OpenAPI description. An answer that does
 * not fit is a 500, and `close` throws with the list of them: the stand-in cannot drift unseen.
 */
export class GithubStandIn {
  /** `http://127.0.0.1:<port>`: pages and git. */
  readonly url: string;
  /** The REST interface in the Enterprise form. */
  readonly apiUrl: string;
  /** PEM of the authority behind its certificate, when it was started with `tls`. */
  readonly caCertificate: string | undefined;
  readonly world: World;
  readonly webhooks: Webhooks;
  readonly faults: FaultScript;
  readonly limits: Limits;
  readonly #server: StandInServer;
  readonly #directory: string;
  readonly #lfs: LfsStore;
  readonly #clock: { offset: number };
  #viewer: Account | undefined;

  private constructor(input: {
    url: string;
    world: World;
    webhooks: Webhooks;
    faults: FaultScript;
    limits: Limits;
    server: StandInServer;
    directory: string;
    clock: { offset: number };
    ca: string | undefined;
  }) {
    this.caCertificate = input.ca;
    this.url = input.url;
    this.apiUrl = `${input.url}/api/v3`;
    this.world = input.world;
    this.webhooks = input.webhooks;
    this.faults = input.faults;
    this.limits = input.limits;
    this.#server = input.server;
    this.#directory = input.directory;
    this.#clock = input.clock;
    this.#lfs = new LfsStore(input.world);
  }

  /** Content of a repository's Git LFS by its SHA-256; undefined where it is not. */
  lfsContent(name: RepositoryName, oid: string): Buffer | undefined {
    return this.#lfs.get(this.repo(name), oid);
  }

  /** Keeps content in a repository's Git LFS; gives the text of the pointer file that stands for it. */
  lfs(name: RepositoryName, content: Buffer): string {
    return this.#lfs.keep(this.repo(name), content);
  }

  static async start(options: StandInOptions = {}): Promise<GithubStandIn> {
    const clock = { offset: 0 };
    const now = () => Date.now() + clock.offset;
    const faults = new FaultScript(now);
    const limits = new Limits(now);
    const codes: ManifestCodes = new Map();
    const loaded = await description();
    let world: World;
    const violations: string[] = [];
    const webhooks = new Webhooks({ description: loaded, world: () => world, violations });
    const handlers = {
      ...appRoutes(webhooks, codes),
      ...issueRoutes(),
      ...pullRoutes(),
      ...repoRoutes(),
      ...checkRoutes(),
      ...options.handlers,
    };
    const tls = options.tls ? await loopbackCertificate() : undefined;
    const server = new StandInServer({ handlers, description: loaded, limits, faults, tls, violations });
    const port = await server.listen(options.port ?? 0);
    const url = `${options.tls ? "https" : "http"}://${options.host ?? "127.0.0.1"}:${port}`;
    const directory = await mkdtemp(join(tmpdir(), "x1-github-"));
    world = new World({
      directory,
      bases: { web: url, api: options.form === "root" ? url : `${url}/api/v3` },
      now,
      announce: (happening) => webhooks.announce(happening),
    });
    server.world = world;
    server.graphql = graphql;
    const standIn = new GithubStandIn({ url, world, webhooks, faults, limits, server, directory, clock, ca: tls?.ca });
    const objects = (repository: Repository) => standIn.#lfs.oids(repository);
    server.git = (request, response, at) => serveGit(world, objects, request, response, at);
    server.pages.push(standIn.#lfs.page, ...pages(world, codes, () => standIn.viewer));
    return standIn;
  }

  /** Stops everything; throws when an answer or a payload did not fit GitHub's description (see `takeViolations`). */
  async close(): Promise<void> {
    this.webhooks.stop();
    await this.#server.close();
    await rm(this.#directory, { recursive: true, force: true, maxRetries: 3 });
    const violations = this.takeViolations();
    if (violations.length > 0)
      throw new Error(`the GitHub stand-in broke GitHub's description:\n${[...new Set(violations)].join("\n")}`);
  }

  /** What did not fit so far; a test that planted it takes it, so that `close` does not throw. */
  takeViolations(): string[] {
    return this.#server.violations.splice(0);
  }

  // Clock, limits, faults, log ----------------------------------------------------------------------------------------

  /** Moves the stand-in's clock on. */
  advance(milliseconds: number): void {
    this.#clock.offset += milliseconds;
  }
  /** Milliseconds since the epoch by the stand-in's clock. */
  now(): number {
    return this.world.now();
  }

  /** Lets something go wrong; the answer takes it back. */
  fault(fault: Fault): () => void {
    return this.faults.add(fault);
  }

  /** Leaves a caller so many requests until its window ends. */
  leaveRequests(token: string | Token, remaining: number, resource: Resource = "core"): void {
    const found = typeof token === "string" ? this.world.tokens.get(token) : token;
    if (!found) throw new Error("no such token");
    this.limits.leave({ kind: "token", token: found }, resource, remaining);
  }

  /** Requests seen, oldest first. */
  get log(): readonly Seen[] {
    return this.#server.log;
  }
  /** Requests of one operation (`pulls/create`, `git/git-receive-pack`). */
  requests(operation: string): Seen[] {
    return this.#server.log.filter((one) => one.operation === operation);
  }
  /** Requests with a name in query or body that their operation does not know: a slip of the pen, mostly. */
  get strays(): Seen[] {
    return this.#server.log.filter((one) => one.stray.length > 0);
  }
  /** Ids of the operations it plays. */
  get operations(): string[] {
    return Object.keys(this.#server.handlers);
  }
  /** Requests that did not fit GitHub's description, or asked for what the stand-in does not play. */
  get misfits(): Seen[] {
    return this.#server.log.filter((one) => one.problem !== undefined);
  }

  // Names -------------------------------------------------------------------------------------------------------------

  account(login: string): Account {
    const found = accountByLogin(this.world, login);
    if (!found) throw new Error(`the stand-in has no account ${login}`);
    return found;
  }

  repo(name: RepositoryName): Repository {
    if (typeof name !== "string") return name;
    const [owner = "", short = ""] = name.split("/");
    const found = repositoryByName(this.world, owner, short);
    if (!found) throw new Error(`the stand-in has no repository ${name}`);
    return found.repository;
  }

  /** Address for `git clone`; a token as `x-access-token` where one is given. */
  cloneUrl(name: RepositoryName, token?: string | Token): string {
    const repository = this.repo(name);
    const url = new URL(`${this.url}/${repository.owner.login}/${repository.name}.git`);
    if (token) {
      url.username = "x-access-token";
      url.password = typeof token === "string" ? token : token.value;
    }
    return url.href;
  }

  /** Head commit of a branch; default the repository's. */
  async head(name: RepositoryName, branch?: string): Promise<string> {
    const repository = this.repo(name);
    const sha = await repository.git.branch(branch ?? repository.defaultBranch);
    if (!sha) throw new Error(`no branch ${branch ?? repository.defaultBranch}`);
    return sha;
  }

  // People and places -------------------------------------------------------------------------------------------------

  user(login: string, options: { name?: string } = {}): Account {
    const account = addAccount(this.world, login, "User", options.name ?? null);
    this.#viewer ??= account;
    return account;
  }

  /** The person whose browser opens the stand-in's pages: the first user unless another is set. */
  get viewer(): Account {
    if (!this.#viewer) throw new Error("the stand-in has no user yet");
    return this.#viewer;
  }
  set viewer(account: Account) {
    this.#viewer = account;
  }

  organization(
    login: string,
    options: { owners?: readonly string[]; members?: readonly string[]; base?: Role } = {},
  ): Account {
    const organization = addAccount(this.world, login, "Organization");
    organization.basePermission = options.base ?? "read";
    for (const owner of options.owners ?? []) organization.members.set(this.account(owner).id, "owner");
    for (const member of options.members ?? []) organization.members.set(this.account(member).id, "member");
    return organization;
  }

  /** A team of an organization, which can be asked for a review. */
  team(organization: string, slug: string, members: readonly string[]): Team {
    const team: Team = {
      id: this.world.id(),
      organization: this.account(organization),
      slug,
      name: slug,
      members: members.map((login) => this.account(login)),
    };
    this.world.teams.push(team);
    return team;
  }

  /** How often a pull request is asked for after a change until GitHub has worked out whether it can be merged; default 0. */
  set mergeableAfter(reads: number) {
    this.world.mergeableAfter = reads;
  }

  /** A repository with one commit: `files`, or those of the folder `from`; with neither it is empty. */
  async repository(
    name: string,
    options: {
      private?: boolean;
      files?: Files;
      from?: string;
      defaultBranch?: string;
      description?: string;
      by?: string;
      collaborators?: Readonly<Record<string, Role>>;
    } = {},
  ): Promise<Repository> {
    const [login = "", short = ""] = name.split("/");
    const owner = this.account(login);
    const author = options.by ? this.account(options.by) : this.#ownerPerson(owner);
    return this.world.exclusive(async () => {
      const repository = await addRepository(this.world, {
        owner,
        name: short,
        private: options.private ?? false,
        description: options.description ?? null,
        defaultBranch: options.defaultBranch ?? "main",
        actor: author,
      });
      const files = options.from ? await filesOfFolder(options.from) : options.files;
      if (files)
        await commitFiles(this.world, author, repository, {
          branch: repository.defaultBranch,
          files,
          message: "First version",
          silent: true,
        });
      for (const [person, role] of Object.entries(options.collaborators ?? {}))
        repository.roles.set(this.account(person).id, role);
      return repository;
    });
  }

  #ownerPerson(owner: Account): Account {
    for (const [id, role] of owner.members) if (role === "owner") return this.world.accounts.get(id)!;
    return owner;
  }

  /** Somebody's fork, with all branches. */
  async fork(name: RepositoryName, by: string): Promise<Repository> {
    const parent = this.repo(name);
    return this.world.exclusive(async () => {
      const fork = await addRepository(this.world, {
        owner: this.account(by),
        name: parent.name,
        private: parent.private,
        defaultBranch: parent.defaultBranch,
        parent,
      });
      for (const [ref, sha] of await parent.git.refs("refs/heads/")) await fork.git.take(parent.git, sha, ref);
      return fork;
    });
  }

  /** Gives a person a role in a repository, or with `none` takes it. */
  access(name: RepositoryName, login: string, role: Role): void {
    const repository = this.repo(name);
    const account = this.account(login);
    if (role === "none") {
      repository.roles.delete(account.id);
      repository.owner.members.delete(account.id);
    } else repository.roles.set(account.id, role);
  }

  protect(
    name: RepositoryName,
    branch: string,
    rules: Partial<Omit<Protection, "pattern">> & { asRuleset?: boolean } = {},
  ): Protection {
    const repository = this.repo(name);
    const { asRuleset, ...given } = rules;
    const protection: Protection = {
      pattern: branch,
      requiredChecks: [],
      strict: false,
      requiredReviews: 0,
      dismissStale: false,
      codeOwners: false,
      enforceAdmins: true,
      allowForcePushes: false,
      allowDeletions: false,
      restrictPushes: undefined,
      ruleset: asRuleset ? { id: this.world.id(), name: branch } : undefined,
      ...given,
    };
    repository.protections = [...repository.protections.filter((one) => one.pattern !== branch), protection];
    return protection;
  }

  // Apps and tokens ---------------------------------------------------------------------------------------------------

  /** Registers an app. Without permissions or events it has those that a product for pull requests asks for. */
  app(options: {
    name: string;
    owner: string;
    permissions?: Permissions;
    events?: readonly string[];
    webhook?: { url: string; secret?: string };
  }): App {
    return addApp(this.world, {
      name: options.name,
      owner: this.account(options.owner),
      permissions: options.permissions ?? usualPermissions,
      events: [...(options.events ?? usualEvents)],
      ...(options.webhook ? { webhook: options.webhook } : {}),
    });
  }

  install(app: App, account: string, repositories: "all" | readonly RepositoryName[] = "all"): Promise<Installation> {
    const chosen = repositories === "all" ? "all" : repositories.map((name) => this.repo(name));
    return this.world.exclusive(() =>
      installApp(this.world, app, this.account(account), chosen, this.#ownerPerson(this.account(account))),
    );
  }

  suspend(installation: Installation): Promise<void> {
    return this.#change(installation, "suspend");
  }
  unsuspend(installation: Installation): Promise<void> {
    return this.#change(installation, "unsuspend");
  }
  uninstall(installation: Installation): Promise<void> {
    return this.#change(installation, "deleted");
  }
  #change(installation: Installation, change: "suspend" | "unsuspend" | "deleted"): Promise<void> {
    const actor = this.#ownerPerson(installation.account);
    return this.world.exclusive(() => changeInstallation(this.world, installation, change, actor));
  }

  /** Adds or removes repositories of an installation. */
  reselect(
    installation: Installation,
    change: { added?: readonly RepositoryName[]; removed?: readonly RepositoryName[] },
  ): Promise<void> {
    const of = (names: readonly RepositoryName[] = []) => names.map((name) => this.repo(name));
    return this.world.exclusive(() =>
      changeInstallationRepositories(
        this.world,
        installation,
        { added: of(change.added), removed: of(change.removed) },
        this.#ownerPerson(installation.account),
      ),
    );
  }

  /** Somebody accepts what the App now asks for: the installation's permissions and events become the App's. */
  grant(installation: Installation, permissions: Permissions, events?: readonly string[]): Promise<void> {
    return this.world.exclusive(() =>
      grantPermissions(
        this.world,
        installation,
        { metadata: "read", ...permissions },
        events ?? installation.events,
        this.#ownerPerson(installation.account),
      ),
    );
  }

  renameAccount(login: string, to: string): Promise<void> {
    return this.world.exclusive(() => renameAccount(this.world, this.account(login), to));
  }

  /** An installation token without the detour over a JWT. */
  installationToken(
    installation: Installation,
    scope: { repositories?: readonly RepositoryName[]; permissions?: Permissions } = {},
  ): Token {
    return mintInstallationToken(this.world, installation, {
      ...(scope.repositories ? { repositoryIds: scope.repositories.map((name) => this.repo(name).id) } : {}),
      ...(scope.permissions ? { permissions: scope.permissions } : {}),
    });
  }

  /** A person's fine-grained token; without `permissions` a classic one that may what the person may. */
  personalToken(
    login: string,
    options: { permissions?: Permissions; repositories?: readonly RepositoryName[]; expiresInMs?: number } = {},
  ): Token {
    const fine = options.permissions !== undefined;
    return remember(this.world, {
      value: fine
        ? `github_pat_${randomBytes(11).toString("hex")}_${randomBytes(29).toString("hex")}x`
        : `ghp_${randomBytes(18).toString("hex")}`,
      kind: fine ? "fine-grained" : "classic",
      installation: undefined,
      user: this.account(login),
      permissions: options.permissions ? { metadata: "read", ...options.permissions } : "all",
      repositories: options.repositories ? new Set(options.repositories.map((name) => this.repo(name).id)) : "all",
      expiresAt: options.expiresInMs === undefined ? undefined : this.now() + options.expiresInMs,
      revoked: false,
    });
  }

  revoke(token: string | Token): void {
    const found = typeof token === "string" ? this.world.tokens.get(token) : token;
    if (!found) throw new Error("no such token");
    found.revoked = true;
  }

  /** Opens many issues at once, `issue 1` and so on; each says so to webhooks. */
  seedIssues(name: RepositoryName, count: number, by: string): Promise<void> {
    const repository = this.repo(name);
    return this.world.exclusive(async () => {
      const before = repository.nextNumber;
      for (let number = before; number < before + count; number++)
        await createIssue(this.world, this.account(by), repository, {
          title: `issue ${number}`,
          body: `Body of ${number}.`,
        });
    });
  }

  // What people do ----------------------------------------------------------------------------------------------------

  /** What this person does in the browser. */
  as(login: string): Person {
    return new Person(this, this.account(login));
  }

  /** A check of somebody's CI on a commit, a branch's head or a pull request; `log` makes it an Actions job. */
  async check(
    name: RepositoryName,
    at: { sha: string } | { branch: string } | { pull: number },
    check: {
      name: string;
      /** Default `success`; null leaves it running. */
      conclusion?: CheckConclusion | null;
      log?: string;
      title?: string;
      summary?: string;
      annotations?: readonly Partial<Annotation>[];
    },
  ): Promise<CheckRun> {
    const repository = this.repo(name);
    return this.world.exclusive(async () => {
      const sha =
        "sha" in at
          ? at.sha
          : "branch" in at
            ? await this.head(repository, at.branch)
            : pullByNumber(repository, at.pull).pull.headSha;
      const conclusion = check.conclusion === undefined ? "success" : check.conclusion;
      const time = this.world.time();
      return createCheckRun(this.world, this.world.actions.bot, repository, this.world.actions, {
        name: check.name,
        headSha: sha,
        status: conclusion === null ? "in_progress" : "completed",
        conclusion,
        startedAt: time,
        completedAt: conclusion === null ? null : time,
        externalId: null,
        detailsUrl: null,
        output: { title: check.title ?? null, summary: check.summary ?? null, text: null },
        annotations: (check.annotations ?? []).map((one) => ({
          path: one.path ?? "README.md",
          start_line: one.start_line ?? 1,
          end_line: one.end_line ?? one.start_line ?? 1,
          start_column: null,
          end_column: null,
          annotation_level: one.annotation_level ?? "failure",
          message: one.message ?? "",
          title: one.title ?? null,
          raw_details: null,
        })),
        log: check.log ?? "",
      });
    });
  }

  /** Ends a running check. */
  finish(name: RepositoryName, run: CheckRun, conclusion: CheckConclusion, log?: string): Promise<void> {
    return this.world.exclusive(() =>
      updateCheckRun(this.world, this.world.actions.bot, this.repo(name), run, {
        status: "completed",
        conclusion,
        completedAt: this.world.time(),
        ...(log !== undefined && run.job ? { job: { ...run.job, log } } : {}),
      }),
    );
  }

  // Deliveries --------------------------------------------------------------------------------------------------------

  /** Decides over every webhook delivery from now on. */
  onDelivery(fate: (delivery: Delivery) => Fate): void {
    this.webhooks.fate = fate;
  }

  /** Resolves when every webhook delivery has been sent. */
  settled(): Promise<void> {
    return this.webhooks.settled();
  }
}
