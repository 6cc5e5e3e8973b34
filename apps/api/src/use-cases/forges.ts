import { createHash, randomBytes } from "node:crypto";
import {
  accept,
  type ForgeApp,
  type ForgeConnection,
  type ForgeIssue,
  type ForgeIssueDetail,
  type ForgeRepository,
  type IssueJobCreate,
  type Job,
  type Outcome,
  platformActor,
  type Refusal,
  type RouteBody,
  type RouteQuery,
  type RouteResponse,
  refuse,
  type TrustLabel,
} from "@x1agent/contract";
import {
  adoptConnection,
  appSecretNames,
  type Connection,
  createOrigin,
  findRepositories,
  findTriggered,
  getApp,
  getConnection,
  getRepository,
  linkProject,
  listApps,
  listConnections,
  noteConnection,
  openJobsOnIssue,
  type ForgeApp as StoredApp,
  saveApp,
  saveConnection,
  startPending,
  type Trigger,
  takePending,
  tokenSecretName,
} from "@x1agent/domain-forges";
import { getProject } from "@x1agent/domain-projects";
import { deleteSecret, openSecret, setSecret } from "@x1agent/domain-secrets";
import {
  appManifest,
  convertManifest,
  createGithubForge,
  githubAddresses,
  githubCom,
  listInstallations,
  manifestAction,
} from "@x1agent/forge-github";
import {
  type Forge,
  type ForgeIssueThread,
  type ForgePermission,
  type ForgeIssue as Issue,
  issueDigest,
  issueGoal,
  mayWrite,
  plainTitle,
  type ForgeRepository as Repository,
  stripHidden,
  trustOfAuthors,
} from "@x1agent/forges";
import { type Database, type Logger, newId, type Tx } from "@x1agent/kernel";
import { type ForgeDeps, noteRepository } from "../forges/repositories.ts";
import type { TriggeredStart } from "../watch/deps.ts";
import { audited } from "./audit.ts";
import type { Caller, PageOf } from "./index.ts";
import type { MakeJob } from "./jobs.ts";

export type ForgeUseCases = {
  connections(caller: Caller, all: boolean): Promise<ForgeConnection[]>;
  connectByToken(caller: Caller, body: RouteBody<"createForgeConnection">): Promise<Outcome<ForgeConnection>>;
  check(caller: Caller, connectionId: string): Promise<Outcome<ForgeConnection>>;
  remove(caller: Caller, connectionId: string): Promise<boolean>;
  apps(caller: Caller): Promise<ForgeApp[]>;
  startApp(caller: Caller, body: RouteBody<"startForgeApp">): Promise<Outcome<RouteResponse<"startForgeApp">>>;
  checkApp(caller: Caller, appId: string): Promise<Outcome<ForgeConnection[]>>;
  repositories(
    caller: Caller,
    connectionId: string,
    query: RouteQuery<"listForgeRepositories">,
  ): Promise<Outcome<PageOf<ForgeRepository>>>;
  issues(caller: Caller, query: RouteQuery<"listIssues">): Promise<Outcome<PageOf<ForgeIssue>>>;
  issue(caller: Caller, query: RouteQuery<"getIssue">): Promise<Outcome<ForgeIssueDetail>>;
  /** Makes a job of an issue. What is asked of the forge is asked now; the words that the agent gets are those of this moment. */
  createIssueJob(caller: Caller, body: IssueJobCreate, trigger: "web" | "cli"): Promise<Outcome<Job>>;
};

/** The pages that a person's browser sees on its way to the forge and back. Public: the state that it carries is the right. */
export type ForgePages = {
  /** The form that goes to the forge; null for a state that is not known. */
  form(state: string): Promise<{ action: string; manifest: string } | null>;
  /** Back with a manifest's code: the app is stored. Answers with where it is installed. */
  created(state: string, code: string): Promise<Outcome<{ installUrl: string }>>;
  /** Back from an installation: the forge is asked what there is. */
  installed(state: string, installationId: string): Promise<Outcome<{ account: string }>>;
};

export type ForgeUseCaseDeps = ForgeDeps & {
  db: Pick<Database, "tenant">;
  masterKey: Buffer;
  log: Logger;
  fetch: typeof fetch;
  makeJob: MakeJob;
  /** Address of this service's own API, once it listens. */
  ownUrl(): string;
};

/** Most authors of one issue whose permission is asked. */
const MAX_AUTHORS = 30;
const HOUR_MS = 3_600_000;
const MANIFEST = "app_manifest";
const INSTALL = "app_install";

const digestOf = (secret: string): string => createHash("sha256").update(secret).digest("hex");
/** `<organization>.<secret>`: whose it is must be known before a row can be looked for. */
const splitState = (state: string): { organizationId: string; secret: string } | null => {
  const [, organizationId, secret] = /^([\w-]{1,100})\.([\w-]{43})$/.exec(state) ?? [];
  return organizationId && secret ? { organizationId, secret } : null;
};

export function forgeUseCases(deps: ForgeUseCaseDeps): ForgeUseCases & {
  pages: ForgePages;
  startTriggered(request: TriggeredStart): Promise<Outcome<{ jobId: string }>>;
} {
  const { db, masterKey, log, forges } = deps;
  const present = (connection: Connection): ForgeConnection => {
    const { organizationId: _o, installation: _i, createdBy: _c, updatedAt: _u, ...shown } = connection;
    return { ...shown, limits: forges.limits(connection.id) ?? connection.limits };
  };
  const presentApp = ({ organizationId: _o, externalId: _e, ...app }: StoredApp): ForgeApp => ({
    ...app,
    installUrl: `${app.webUrl}/installations/new`,
  });

  async function newState(tx: Tx, caller: Caller, kind: string, body: Record<string, unknown>): Promise<string> {
    const secret = randomBytes(32).toString("base64url");
    await startPending(tx, caller.organizationId, {
      secretDigest: digestOf(secret),
      kind,
      body: { ...body, by: caller.actor },
    });
    return `${caller.organizationId}.${secret}`;
  }

  /** The connection that reaches a repository: the named one, else one that has seen it, else each that is in use is asked. */
  async function reach(
    caller: Pick<Caller, "organizationId">,
    at: { id: string } | { fullName: string },
    connectionId: string | undefined,
  ): Promise<Outcome<{ connectionId: string; forge: Forge; repository: Repository }>> {
    const candidates = await db.tenant(caller.organizationId, async (tx) => {
      if (connectionId !== undefined) return [connectionId];
      const seen = "fullName" in at ? await findRepositories(tx, at.fullName) : [];
      const listed = await listConnections(tx);
      const active = listed.filter(({ state }) => state === "active").map(({ id }) => id);
      // Where none is in use, the one that was says why it is not.
      const all = active.length > 0 ? active : listed.map(({ id }) => id);
      return [...new Set([...seen.filter((one) => all.includes(one)), ...all])].slice(0, 20);
    });
    let last: Refusal = refuse("forge_unconfigured");
    for (const id of candidates) {
      const forge = await forges.open(caller.organizationId, id);
      const found = forge.ok ? await forge.value.getRepository(at) : forge;
      if (!forge.ok || !found.ok) {
        // What can pass says more than that another connection does not see it.
        if (!found.ok && (last.code === "forge_unconfigured" || last.code === "forge_not_found")) last = found;
        continue;
      }
      const noted = await noteRepository(deps, caller.organizationId, id, found.value);
      if (!noted.ok) return noted;
      return accept({ connectionId: id, forge: forge.value, repository: found.value });
    }
    return last;
  }

  async function installationsOf(app: StoredApp) {
    const privateKey = await db.tenant(app.organizationId, (tx) =>
      openSecret(tx, masterKey, { organizationId: app.organizationId, projectId: null }, appSecretNames(app.id).key),
    );
    if (privateKey === null) return refuse("forge_unauthorized", "The app's private key is not stored any more.");
    const addresses = githubAddresses(app.baseUrl);
    if (!addresses.ok) return addresses;
    return listInstallations({ ...addresses.value, fetch: deps.fetch, appId: app.externalId, privateKey });
  }

  /** Brings the connections of an app to what the forge says of its installations. */
  async function syncApp(caller: Caller, app: StoredApp, revive: boolean): Promise<Outcome<Connection[]>> {
    const found = await installationsOf(app);
    if (!found.ok) return found;
    return db.tenant(caller.organizationId, async (tx) => {
      const before = await listConnections(tx, { all: true, appId: app.id });
      const now: Connection[] = [];
      for (const { id, account, permissions, missing, suspended } of found.value) {
        const known = before.find(({ installation }) => installation === id);
        // One that a person removed here comes back only when a person asks for it.
        if (known?.state === "removed" && !revive) continue;
        const saved = await saveConnection(tx, caller.organizationId, {
          ...{ forge: app.forge, baseUrl: app.baseUrl, kind: "app", appId: app.id, installation: id },
          ...{ account, permissions, missing, actsAs: `${app.slug}[bot]`, createdBy: caller.actor },
          state: suspended ? "suspended" : "active",
        });
        const detail = suspended ? "The installation is suspended: its owner can lift that at GitHub." : null;
        now.push((await noteConnection(tx, saved.id, { detail })) ?? saved);
        const gone = before.filter(
          (one) => one.account === account && !found.value.some((is) => is.id === one.installation),
        );
        if (!known) for (const former of gone) await adoptConnection(tx, former.id, saved.id);
        if (!known || known.state !== saved.state || known.account !== saved.account)
          await audited(tx, caller, known ? "connection.changed" : "connection.created", saved.id, {
            ...{ account, state: saved.state },
          });
      }
      for (const gone of before) {
        if (gone.state === "removed" || now.some(({ id }) => id === gone.id)) continue;
        await noteConnection(tx, gone.id, { state: "removed", detail: "The installation was removed at GitHub." });
        await audited(tx, caller, "connection.removed", gone.id, { account: gone.account });
      }
      return accept(now);
    });
  }

  async function readIssue(
    caller: Caller,
    at: { connectionId?: string | undefined; repository: { id: string } | { fullName: string }; number: number },
  ): Promise<Outcome<ReadIssue>> {
    const reached = await reach(caller, at.repository, at.connectionId);
    if (!reached.ok) return reached;
    const { connectionId, forge, repository } = reached.value;
    const thread = await forge.getIssue(repository, at.number);
    if (!thread.ok) return thread;
    const outside = await db.tenant(caller.organizationId, async (tx) => {
      const known = await getRepository(tx, connectionId, repository.id);
      const project = known?.projectId ? await getProject(tx, known.projectId) : null;
      return project?.pullRequests?.outsideComments ?? false;
    });
    const permissions = await permissionsOf(forge, repository, thread.value);
    if (!permissions.ok) return permissions;
    return accept({
      ...{ connectionId, forge, repository, thread: thread.value },
      ...judgeIssue(thread.value, permissions.value, outside),
    });
  }

  /**
   * The account at the forge of who asked: the one that triggered it, or the owner of the token that the same person stored here.
   * Null where the forge does not say; nobody's name is guessed.
   */
  async function whoAsked(caller: Caller, { connectionId, forge }: ReadIssue, triggeredBy: string | null) {
    const connection = await db.tenant(caller.organizationId, (tx) => getConnection(tx, connectionId));
    const { kind, id } = caller.actor;
    const own =
      connection?.kind === "token" && connection.createdBy.kind === kind && connection.createdBy.id === id
        ? connection.actsAs
        : null;
    const login = triggeredBy ?? own;
    const found = login === null ? null : await forge.getAccount?.(login);
    return found?.ok ? { name: found.value.name, email: found.value.email } : null;
  }

  /** Makes the job. What is asked of the forge is asked now; the words that the agent gets are those of this moment. */
  async function makeIssueJob(
    caller: Caller,
    at: { connectionId: string | undefined; repository: { id: string } | { fullName: string }; number: number },
    { again, goal, ...settings }: Omit<IssueJobCreate, "connectionId" | "repository" | "number">,
    { trigger, triggeredBy, key }: { trigger: Trigger; triggeredBy: string | null; key: string | null },
  ): Promise<Outcome<Job>> {
    const { number } = at;
    const read = await readIssue(caller, at);
    if (!read.ok) return read;
    const { connectionId, repository, thread, words, trust } = read.value;
    const { issue } = thread;
    if (issue.state === "closed" && !again)
      return refuse(
        "conflict",
        `${repository.fullName}#${number} is closed; ask for it again to work on it all the same.`,
      );
    if (repository.archived)
      return refuse("repository_invalid", `${repository.fullName} is archived: nothing can be pushed.`);
    const title = `#${number} ${plainTitle(issue.title)}`;
    const askedBy = await whoAsked(caller, read.value, triggeredBy);
    return deps.makeJob(
      caller,
      {
        ...settings,
        ...{ repository: repository.cloneUrl, title },
        base: settings.base ?? repository.defaultBranch,
        goal: issueGoal({
          ...{ repository: repository.fullName, issue, asked: goal ?? null, truncated: thread.truncated },
          words: words.map(({ text, permission, included }) => ({ ...text, permission, included })),
        }),
      },
      {
        trust,
        async before(tx) {
          const [present] = await openJobsOnIssue(tx, {
            connectionId,
            repository: repository.id,
            issueNumber: number,
          });
          if (!present || again) return null;
          return refuse(
            "conflict",
            present.pullRequest === null
              ? `${present.jobId} works on ${repository.fullName}#${number} (${present.state}); ask for it again to start another.`
              : `${present.jobId} has the pull request #${present.pullRequest} open for ${repository.fullName}#${number}; ask for it again to start another.`,
          );
        },
        async after(tx, job) {
          await linkProject(tx, { connectionId, externalId: repository.id }, job.projectId);
          await createOrigin(tx, {
            ...{ jobId: job.id, organizationId: caller.organizationId, connectionId, repository: repository.id },
            ...{ issueNumber: number, issueUrl: issue.url, issueTitle: plainTitle(issue.title), trust },
            ...{ issueDigest: issueDigest(issue), trigger, triggeredBy },
            facts: {
              fullName: repository.fullName,
              left: words.filter(({ included }) => !included).length,
              ...(key === null ? {} : { key }),
              ...(askedBy ? { askedBy } : {}),
            },
          });
        },
      },
    );
  }

  const useCases: ForgeUseCases = {
    connections: (caller, all) =>
      db.tenant(caller.organizationId, async (tx) => (await listConnections(tx, { all })).map(present)),

    async connectByToken(caller, { forge, baseUrl = githubCom, token }) {
      log.redact(token);
      const addresses = githubAddresses(baseUrl);
      if (!addresses.ok) return addresses;
      const { webUrl } = addresses.value;
      const trial = createGithubForge({ ...addresses.value, fetch: deps.fetch, auth: { kind: "token", token } });
      const identity = await trial.identify();
      if (!identity.ok) return identity;
      const { account, actsAs, permissions, missing, state } = identity.value;
      return db.tenant(caller.organizationId, async (tx) => {
        const saved = await saveConnection(tx, caller.organizationId, {
          ...{ forge, baseUrl: webUrl, kind: "token", appId: null, installation: null },
          ...{ account, actsAs, permissions: { ...permissions }, missing, state, createdBy: caller.actor },
        });
        await setSecret(
          tx,
          masterKey,
          { organizationId: caller.organizationId, projectId: null },
          tokenSecretName(saved.id),
          token,
        );
        await audited(tx, caller, "connection.created", saved.id, { forge, baseUrl: webUrl, account, kind: "token" });
        return accept(present(saved));
      });
    },

    async check(caller, connectionId) {
      const connection = await db.tenant(caller.organizationId, (tx) => getConnection(tx, connectionId));
      const app =
        connection?.appId == null
          ? null
          : await db.tenant(caller.organizationId, (tx) => getApp(tx, connection.appId ?? ""));
      if (app) {
        // A removed installation that came back has another id: the app knows all of them.
        const synced = await syncApp(caller, app, false);
        if (!synced.ok && synced.code !== "forge_unauthorized") return synced;
      }
      const checked = await forges.check(caller.organizationId, connectionId);
      return checked.ok ? accept(present(checked.value)) : checked;
    },

    remove: (caller, connectionId) =>
      db.tenant(caller.organizationId, async (tx) => {
        const connection = await getConnection(tx, connectionId);
        if (!connection || connection.state === "removed") return false;
        await noteConnection(tx, connectionId, { state: "removed", detail: "It was removed here." });
        await deleteSecret(tx, null, tokenSecretName(connectionId));
        await audited(tx, caller, "connection.removed", connectionId, { account: connection.account });
        return true;
      }),

    apps: (caller) => db.tenant(caller.organizationId, async (tx) => (await listApps(tx)).map(presentApp)),

    async startApp(caller, { forge, baseUrl = githubCom, organization, name, url, webhooks }) {
      const addresses = githubAddresses(baseUrl);
      if (!addresses.ok) return addresses;
      const { webUrl } = addresses.value;
      const own = (url ?? deps.ownUrl()).replace(/\/+$/, "");
      if (!/^https?:\/\//.test(own))
        return refuse("invalid_request", "The service's address begins with http:// or https://.");
      if (webhooks && !own.startsWith("https://"))
        return refuse("invalid_request", "GitHub sends webhooks to an https:// address only: name it with url.");
      const state = await db.tenant(caller.organizationId, (tx) =>
        newState(tx, caller, MANIFEST, {
          ...{ forge, baseUrl: webUrl, organization: organization ?? null, own, webhooks, appId: newId("app") },
          name: name ?? `x1agent ${randomBytes(3).toString("hex")}`,
        }),
      );
      return accept({
        url: `${own}/web/forges/new?state=${encodeURIComponent(state)}`,
        expiresAt: new Date(Date.now() + HOUR_MS).toISOString(),
      });
    },

    async checkApp(caller, appId) {
      const app = await db.tenant(caller.organizationId, (tx) => getApp(tx, appId));
      if (!app) return refuse("not_found", "No such app.");
      const synced = await syncApp(caller, app, true);
      return synced.ok ? accept(synced.value.map(present)) : synced;
    },

    async repositories(caller, connectionId, { q, limit, cursor }) {
      if (!(await db.tenant(caller.organizationId, (tx) => getConnection(tx, connectionId))))
        return refuse("not_found", "No such connection.");
      const forge = await forges.open(caller.organizationId, connectionId);
      if (!forge.ok) return forge;
      const found = await forge.value.listRepositories({
        limit,
        ...(q ? { text: q } : {}),
        ...(cursor ? { cursor } : {}),
      });
      if (!found.ok) return found;
      return accept({ ...found.value, items: found.value.items.map((one) => ({ ...one, connectionId })) });
    },

    async issues(caller, { connectionId, repository, q, labels, state, limit, cursor }) {
      const reached = await reach(caller, { fullName: repository }, connectionId);
      if (!reached.ok) return reached;
      const found = await reached.value.forge.listIssues(reached.value.repository, {
        ...{
          limit,
          state,
          labels: (labels ?? "")
            .split(",")
            .map((one) => one.trim())
            .filter(Boolean),
        },
        ...(q ? { text: q } : {}),
        ...(cursor ? { cursor } : {}),
      });
      return found.ok ? accept({ ...found.value, items: found.value.items.map(presentIssue) }) : found;
    },

    async issue(caller, query) {
      const read = await readIssue(caller, { ...query, repository: { fullName: query.repository } });
      if (!read.ok) return read;
      const { connectionId, repository, thread, words, trust } = read.value;
      const jobs = await db.tenant(caller.organizationId, (tx) =>
        openJobsOnIssue(tx, { connectionId, repository: repository.id, issueNumber: query.number }),
      );
      return accept({
        ...presentIssue(thread.issue),
        ...{ connectionId, repository: repository.fullName, trust, jobs, truncated: thread.truncated },
        words: words.map(({ text: { id, author, url, createdAt, body }, permission, trusted, included }) => {
          const { text, hidden } = stripHidden(body);
          return { id, author, url, createdAt, permission, trusted, included, text, hidden };
        }),
      });
    },

    createIssueJob(caller, { connectionId, repository, number, ...rest }, trigger) {
      const at = { connectionId, repository: { fullName: repository }, number };
      return makeIssueJob(caller, at, rest, { trigger, triggeredBy: null, key: null });
    },
  };

  /** A job that something at the forge asked for; the same key gives the same job. */
  async function startTriggered(request: TriggeredStart): Promise<Outcome<{ jobId: string }>> {
    const { organizationId, connectionId, repository, issueNumber, trigger, triggeredBy, key, again } = request;
    const made = await db.tenant(organizationId, (tx) => findTriggered(tx, connectionId, key));
    if (made) return accept({ jobId: made });
    const job = await makeIssueJob(
      { organizationId, actor: platformActor },
      { connectionId, repository: { id: repository }, number: issueNumber },
      {
        ...{ again, ask: false },
        ...(request.runtime === null ? {} : { runtime: request.runtime }),
        ...(request.budgetMicros === null ? {} : { budgetMicros: request.budgetMicros }),
      },
      { trigger, triggeredBy, key },
    );
    return job.ok ? accept({ jobId: job.value.id }) : job;
  }

  const pages: ForgePages = {
    async form(state) {
      const known = splitState(state);
      const body =
        known &&
        (await db.tenant(known.organizationId, (tx) => takePending(tx, digestOf(known.secret), MANIFEST, false)));
      if (!body) return null;
      const own = String(body.own);
      return {
        action: manifestAction(
          String(body.baseUrl),
          body.organization === null ? null : String(body.organization),
          state,
        ),
        manifest: JSON.stringify(
          appManifest({
            ...{ name: String(body.name), url: own, redirectUrl: `${own}/web/forges/created` },
            setupUrl: `${own}/web/forges/installed`,
            webhookUrl: body.webhooks ? `${own}/webhooks/${String(body.forge)}/${String(body.appId)}` : null,
          }),
        ),
      };
    },

    async created(state, code) {
      const known = splitState(state);
      const body =
        known &&
        (await db.tenant(known.organizationId, (tx) => takePending(tx, digestOf(known.secret), MANIFEST, true)));
      if (!known || !body) return refuse("forbidden", "This way to connect was used, or is older than an hour.");
      const addresses = githubAddresses(String(body.baseUrl));
      if (!addresses.ok) return addresses;
      const made = await convertManifest({ apiUrl: addresses.value.apiUrl, fetch: deps.fetch }, code);
      if (!made.ok) return made;
      const { id, slug, name, webUrl, privateKey, webhookSecret } = made.value;
      log.redact(privateKey);
      if (webhookSecret) log.redact(webhookSecret);
      const caller: Caller = { organizationId: known.organizationId, actor: body.by as Caller["actor"] };
      return db.tenant(caller.organizationId, async (tx) => {
        const app = await saveApp(tx, caller.organizationId, {
          ...{ id: String(body.appId), forge: String(body.forge), baseUrl: String(body.baseUrl), externalId: id },
          ...{ slug, name, webUrl, createdBy: caller.actor },
        });
        const names = appSecretNames(app.id);
        const owner = { organizationId: caller.organizationId, projectId: null };
        await setSecret(tx, masterKey, owner, names.key, privateKey);
        if (webhookSecret) await setSecret(tx, masterKey, owner, names.webhook, webhookSecret);
        await audited(tx, caller, "forge_app.created", app.id, { forge: app.forge, baseUrl: app.baseUrl, slug });
        const next = await newState(tx, caller, INSTALL, { appId: app.id });
        return accept({ installUrl: `${webUrl}/installations/new?state=${encodeURIComponent(next)}` });
      });
    },

    async installed(state, installationId) {
      const known = splitState(state);
      const body =
        known &&
        (await db.tenant(known.organizationId, (tx) => takePending(tx, digestOf(known.secret), INSTALL, true)));
      if (!known || !body) return refuse("forbidden", "This way to connect was used, or is older than an hour.");
      const caller: Caller = { organizationId: known.organizationId, actor: body.by as Caller["actor"] };
      const app = await db.tenant(caller.organizationId, (tx) => getApp(tx, String(body.appId)));
      if (!app) return refuse("not_found", "No such app.");
      // The address could say anything: only what the forge tells the app itself counts.
      const synced = await syncApp(caller, app, true);
      if (!synced.ok) return synced;
      const found = synced.value.find(({ installation }) => installation === installationId);
      return found
        ? accept({ account: found.account })
        : refuse("forge_not_found", "GitHub does not know this installation of the app.");
    },
  };
  return { ...useCases, pages, startTriggered };
}

type JudgedWords = {
  text: ForgeIssueThread["issue"] | ForgeIssueThread["comments"][number];
  permission: string;
  trusted: boolean;
  included: boolean;
};
type ReadIssue = {
  connectionId: string;
  forge: Forge;
  repository: Repository;
  thread: ForgeIssueThread;
  words: JudgedWords[];
  trust: TrustLabel;
};

/** Which words go to the agent, and how a job with them is trusted: by whoever's words those are. Pure. */
export function judgeIssue(
  thread: ForgeIssueThread,
  permissions: ReadonlyMap<string, ForgePermission>,
  outsideComments: boolean,
): { words: JudgedWords[]; trust: TrustLabel } {
  const words = [thread.issue, ...thread.comments].map((text, index) => {
    const permission = permissions.get(text.author) ?? "none";
    const trusted = mayWrite(permission);
    return { text, permission, trusted, included: index === 0 || trusted || outsideComments };
  });
  const used = words.filter(({ included }) => included);
  return { words, trust: trustOfAuthors(used.map(({ permission }) => permission as ForgePermission)) };
}

/** What each author may do now. Those beyond the bound count as nobody. */
async function permissionsOf(
  forge: Forge,
  repository: Repository,
  thread: ForgeIssueThread,
): Promise<Outcome<Map<string, ForgePermission>>> {
  const authors = [...new Set([thread.issue.author, ...thread.comments.map(({ author }) => author)])];
  const found = new Map<string, ForgePermission>();
  for (const author of authors.slice(0, MAX_AUTHORS)) {
    const permission = await forge.getPermission(repository, author);
    if (!permission.ok) return permission;
    found.set(author, permission.value);
  }
  return accept(found);
}

const presentIssue = ({ body: _b, id: _i, authorIsBot: _a, ...issue }: Issue): ForgeIssue => issue;
