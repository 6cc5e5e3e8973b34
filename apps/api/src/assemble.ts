import { createHmac } from "node:crypto";
import { homedir, totalmem } from "node:os";
import { join } from "node:path";
import { accept, type IsolationLevel, type Outcome, platformActor, type SidecarRegistry } from "@x1agent/contract";
import * as approvals from "@x1agent/domain-approvals";
import * as audit from "@x1agent/domain-audit";
import * as budgets from "@x1agent/domain-budgets";
import * as forges from "@x1agent/domain-forges";
import * as identities from "@x1agent/domain-identity";
import * as jobs from "@x1agent/domain-jobs";
import * as permissions from "@x1agent/domain-permissions";
import * as projects from "@x1agent/domain-projects";
import * as secrets from "@x1agent/domain-secrets";
import * as sessions from "@x1agent/domain-sessions";
import { createLocalDriver, createToolSandbox, findToolchains } from "@x1agent/driver-local";
import { githubWebhook } from "@x1agent/forge-github";
import { type Migration, sql } from "@x1agent/kernel";
import { buildOverlay, buildRuntimeApp } from "@x1agent/overlay";
import type { WorkspaceDriver } from "@x1agent/workspaces";
import { routeDrivers, sparesFor } from "./drivers.ts";
import { createForges, type Forges } from "./forges/open.ts";
import { linkRepository } from "./forges/repositories.ts";
import { collectMirrors, parseRemote } from "./git/index.ts";
import { createSharedLimiter } from "./http/web/index.ts";
import type { Trials } from "./jobs/index.ts";
import { machineAuthorities, type NetworkFacts } from "./network.ts";
import { outgoingFetch } from "./outgoing.ts";
import { testRoute } from "./provider-test.ts";
import { loadPrices, loadProviderRoute, priceTable, providerDefaults } from "./providers.ts";
import { readRegistries } from "./registries.ts";
import { type CatalogueEntry, loadCatalogue } from "./runtimes/catalogue.ts";
import { installRuntime, precompileRuntime, sweepPartialInstalls } from "./runtimes/install.ts";
import { createSelfTests, type SelfTests } from "./runtimes/self-test.ts";
import { isSample } from "./sample.ts";
import { type Assembly, type Foundation, type Parts, VERSION } from "./service.ts";
import { readInstance } from "./start/files.ts";
import { jobLink } from "./start/options.ts";
import { accountUseCases, signInUseCases } from "./use-cases/account.ts";
import { audited, auditUseCases } from "./use-cases/audit.ts";
import { examine } from "./use-cases/doctor.ts";
import { followUpUseCases } from "./use-cases/follow-ups.ts";
import { forgeUseCases } from "./use-cases/forges.ts";
import { gcUseCase } from "./use-cases/gc.ts";
import { grantAtStart, grantRegistries, grantUseCases } from "./use-cases/grants.ts";
import { inboxUseCases } from "./use-cases/inbox.ts";
import type { Caller } from "./use-cases/index.ts";
import { installationUseCases } from "./use-cases/installation.ts";
import { createJobMaker, jobUseCases, presentJob } from "./use-cases/jobs.ts";
import { memberUseCases } from "./use-cases/members.ts";
import { projectUseCases } from "./use-cases/projects.ts";
import { reviewUseCases } from "./use-cases/review.ts";
import { createRuntimeShelf, type RuntimeShelf } from "./use-cases/runtimes.ts";
import { sessionUseCases } from "./use-cases/sessions.ts";
import { budgetUseCases, providerUseCases, secretUseCases } from "./use-cases/settings.ts";
import { spendUseCases } from "./use-cases/spend.ts";
import type { WatchTiming } from "./watch/deps.ts";
import { createReceiver } from "./watch/receive.ts";
import { startWatch, type Watch } from "./watch/watch.ts";

/** Folder of the checkout: it holds `runtimes/` and `packages/`. */
const root = join(import.meta.dirname, "../../..");
/** Wrong passwords a signed-in person may give in a minute. */
const CONFIRMATIONS = 5;
/** Passwords that may be tried in a minute under one name, and tries of any kind from one address. */
const PASSWORDS = 5;
const TRIES = 60;
/** How often idempotency keys that have grown old are removed. */
const PRUNE_MS = 3_600_000;
/** How long a look at what the machine can isolate stays good. */
const PROBE_MS = 30_000;

/** Tables first that others refer to. Append only: a database remembers what it has run. */
const migrations: readonly Migration[] = [
  ...identities.migrations,
  ...projects.migrations,
  ...jobs.migrations,
  ...sessions.migrations,
  ...permissions.migrations,
  ...budgets.migrations,
  ...audit.migrations,
  ...approvals.migrations,
  ...secrets.migrations,
  ...forges.migrations,
];

/** What the job loop gets from the composition root. */
export type LoopDeps = Foundation & {
  forges: Forges;
  driver: WorkspaceDriver;
  runtimes: RuntimeShelf;
  localRules: { roots: readonly string[]; owners: readonly number[] | "any" };
  network: NetworkFacts;
  /** Package registries as sidecars serve them. */
  registries: readonly SidecarRegistry[];
  /** Address of the service's own API. */
  url: string;
  /** Whether a workspace of this attempt is at work though no job has it. */
  keeps(attemptId: string): boolean;
};
/** The job loop, as the rest of the service knows it. */
export type Loop = {
  kick(organizationId: string, jobId: string): void;
  trials?: Trials;
  source?: Source;
  stop(): Promise<void>;
};
/** A file of a job's repository at a commit; null when either is not there (any more). */
type Source = (jobId: string, commit: string, path: string) => Promise<{ text: string; truncated: boolean } | null>;

export type AssemblyOptions = {
  startLoop(deps: LoopDeps): Promise<Loop>;
  /** Where workspaces run; by default on this machine. */
  createDriver?: (foundation: Foundation) => Promise<WorkspaceDriver>;
  /** How often forges are asked; tests have less time. */
  watchTiming?: Partial<WatchTiming>;
};

/** Puts domains, drivers, runtimes and the job loop together. The only place that knows them all. */
export function createAssembly({ startLoop, createDriver = createLocal, watchTiming = {} }: AssemblyOptions): Assembly {
  return {
    migrations,
    async assemble(foundation): Promise<Parts> {
      const { db, blobs, log, masterKey, options, publicUrl } = foundation;
      const registries = readRegistries({ env: process.env, home: homedir() });
      const driver = await createDriver(foundation);
      const network = { upstreamProxy: options.upstreamProxy, ca: machineAuthorities() };
      const forgeFetch = outgoingFetch(network, process.env);
      const forgesInUse = createForges({ db, masterKey, fetch: forgeFetch });
      const selfTests = createSelfTests({ driver, log, directory: join(options.dataDir, "runtimes") });
      const runtimes = await createRuntimes(foundation, selfTests);
      const identity = identities.createIdentity(db, {
        // Signs better-auth's own cookies; from the master key, so that it is the same after a restart.
        secret: createHmac("sha256", masterKey).update("x1 identity").digest("hex"),
        baseUrl: `http://${options.host}:${options.port}`,
      });
      const uid = process.getuid?.() ?? -1;
      // As root the service reads each repository as its owner; as a user it has that user's repositories and no others.
      const localRules = { roots: [] as string[], owners: uid === 0 ? ("any" as const) : [uid] };
      const canonicalRepository = (text: string): Outcome<string> => {
        const remote = parseRemote(text, localRules);
        return remote.ok ? accept(remote.value.url) : remote;
      };

      let loop: Loop | null = null;
      let watch: Watch | null = null;
      let ownUrl = `http://${options.host}:${options.port}`;
      let pruning: NodeJS.Timeout | undefined;
      // Before the loop runs nothing is lost: it begins by sweeping the jobs that nobody works on.
      const kick = (organizationId: string, jobId: string) => loop?.kick(organizationId, jobId);
      const choices = await runtimes.list();
      const doctor = () =>
        examine({
          driver,
          runtimes,
          dataDir: options.dataDir,
          blobsDir: options.blobsDir,
          pingDatabase: () => db.system(async (tx) => void (await sql`select 1`.execute(tx))),
        });
      const limit = (kind: string, most: number) => createSharedLimiter(identity.tries, kind, most);
      const confirmations = limit("confirm", CONFIRMATIONS);
      const noted = (caller: Caller, action: string, subject: string, data: Record<string, unknown> = {}) =>
        db.tenant(caller.organizationId, (tx) => audited(tx, caller, action, subject, data));

      const makeJob = createJobMaker({
        db,
        canonicalRepository,
        runtimes: () => runtimes.choices(),
        offeredIsolation: remembered(async () => {
          const { report, checks } = await driver.probe();
          if (!report) log.warn("this machine shows no isolation", { failed: checks.filter((check) => !check.ok) });
          return report?.level ?? null;
        }, PROBE_MS),
        isSample: (repository, base) => isSample(repository, base ?? undefined),
        kick,
      });
      const jobCases = jobUseCases({ db, runtimes: () => runtimes.choices(), kick, makeJob });
      const forge = forgeUseCases({
        ...{ db, masterKey, log, fetch: forgeFetch, forges: forgesInUse, canonicalRepository, makeJob },
        ownUrl: () => publicUrl ?? ownUrl,
      });

      return {
        useCases: {
          projects: projectUseCases({ db, canonicalRepository, trials: () => loop?.trials ?? null }),
          jobs: jobCases,
          followUps: followUpUseCases(db),
          forges: forge,
          inbox: inboxUseCases(db),
          sessions: sessionUseCases({
            db,
            manifestOf: (name) => choices.find(({ manifest }) => manifest.name === name)?.manifest,
            listCalls: (caller, jobId, { limit, cursor }) =>
              db.tenant(caller.organizationId, (tx) => budgets.listCalls(tx, jobId, limit, cursor)),
          }),
          review: reviewUseCases({
            db,
            blobs,
            present: presentJob,
            kick,
            source: async (...at) => (await loop?.source?.(...at)) ?? null,
          }),
          grants: grantUseCases(db),
          budgets: budgetUseCases(db),
          spend: spendUseCases(db),
          providers: providerUseCases(db, providerDefaults, {
            route: (owner, name) => loadProviderRoute(db, masterKey, owner, name),
            test: testRoute,
            prices: (organizationId) => loadPrices(db, priceTable(), organizationId),
          }),
          secrets: secretUseCases(db, masterKey, log),
          audit: auditUseCases(db),
          identity: {
            async createToken(caller, { name, scopes, expiresInSeconds }) {
              const made = await identity.createToken(
                ...([caller.actor.id, caller.organizationId, name, scopes, expiresInSeconds] as const),
              );
              await noted(caller, "token.created", made.id, { name, scopes });
              return made;
            },
            listTokens: (caller) => identity.listTokens(caller.organizationId),
            async revokeToken(caller, tokenId) {
              const gone = await identity.revokeToken(caller.organizationId, tokenId);
              if (gone) await noted(caller, "token.revoked", tokenId);
              return gone;
            },
          },
          account: accountUseCases({ db, identity, limit: (key) => confirmations.take(key) }),
          members: memberUseCases({ db, identity }),
          noted,
          runtimes,
          gc: gcUseCase({
            ...{ db, blobs, dataDir: options.dataDir },
            sharedBlobs: !options.blobsDir.startsWith(`${options.dataDir}/`),
            organizations: () => db.system(identities.listOrganizations),
            collectMirrors: (olderThanMs, dryRun) => collectMirrors(options.dataDir, olderThanMs, dryRun),
          }),
          doctor,
          installation: installationUseCases({
            ...{ db, doctor, version: VERSION, dataDir: options.dataDir, blobsDir: options.blobsDir },
            databaseServer: options.databaseUrl !== undefined,
            masterKeyFile: options.masterKeyFrom ? null : options.masterKeyFile,
            runtimes: async () =>
              (await runtimes.list()).map(({ manifest: { name, version }, installed }) => ({
                name,
                version,
                installed,
              })),
          }),
        },
        authenticate: (token) => identity.authenticate(token),
        async bootstrap() {
          const first = await identity.bootstrap();
          // Asked of the ledger and not of the first start: a start that was killed in between is made good.
          for (const organizationId of await db.system(identities.listOrganizations))
            await db.tenant(organizationId, async (tx) => {
              const platform = { organizationId, actor: platformActor };
              if ((await permissions.listGrants(tx, { all: true })).length === 0)
                await grantAtStart(tx, platform, registries.hosts);
              else await grantRegistries(tx, platform);
            });
          return first && { token: first.token };
        },
        issueLocalToken: () => identity.ownerToken(),
        signIn: signInUseCases({ db, identity }),
        signInLimits: { name: limit("name", PASSWORDS), address: limit("address", TRIES) },
        webhooks: createReceiver({
          ...{ db, masterKey, log, kinds: { github: githubWebhook } },
          organizations: () => db.system(identities.listOrganizations),
        }),
        forgePages: forge.pages,
        async start(url) {
          ownUrl = url;
          loop = await startLoop({
            ...foundation,
            forges: forgesInUse,
            driver,
            runtimes,
            localRules,
            network,
            url,
            registries: registries.served,
            keeps: selfTests.owns,
          });
          watch = await startWatch({
            ...{ db, log, start: forge.startTriggered, instance: await readInstance(options.dataDir) },
            organizations: () => db.system(identities.listOrganizations),
            open: forgesInUse.open,
            check: forgesInUse.check,
            kick,
            cancel: (organizationId, jobId, actor) => jobCases.cancel({ organizationId, actor }, jobId),
            async link(organizationId, connectionId, repository, projectId) {
              await linkRepository({ db, canonicalRepository }, organizationId, {
                connectionId,
                repository,
                projectId,
              });
            },
            runtimes: () => choices.filter(({ installed }) => installed).map(({ manifest }) => manifest.name),
            jobUrl: (jobId) => jobLink(publicUrl, url, jobId),
            timing: watchTiming,
          });
          const prune = async () => {
            for (const organizationId of await db.system(identities.listOrganizations))
              await db.tenant(organizationId, jobs.pruneKeys);
          };
          const told = (error: unknown) => log.warn("old idempotency keys could not be pruned", { error });
          prune().catch(told);
          pruning = setInterval(() => prune().catch(told), PRUNE_MS);
          pruning.unref();
        },
        async stop() {
          clearInterval(pruning);
          // Beside each other: a forge that does not answer takes no time from what jobs have to save.
          const ends = await Promise.allSettled([watch?.stop(), selfTests.stop(), loop?.stop()]);
          await driver.close?.();
          for (const end of ends) if (end.status === "rejected") throw end.reason;
        },
      };
    },
  };
}

async function createLocal({ options }: Foundation): Promise<WorkspaceDriver> {
  const overlay = await buildOverlay({ outDir: join(options.dataDir, "overlay"), root });
  const found = await findToolchains({
    path: process.env.PATH ?? "",
    execPath: process.execPath,
    closed: [homedir(), options.dataDir],
  });
  const common = {
    overlayDir: overlay.dir,
    toolchains: [...options.toolchains, ...found],
  };
  return routeDrivers(
    createLocalDriver({
      ...common,
      runDir: join(options.dataDir, "run"),
      spareSidecars:
        options.spareSidecars ?? sparesFor(Math.min(totalmem(), process.constrainedMemory() || totalmem())),
    }),
    createLocalDriver({ ...common, runDir: join(options.dataDir, "run/process"), level: "process" }),
  );
}

async function createRuntimes({ options, log }: Foundation, tests: SelfTests): Promise<RuntimeShelf> {
  const directory = join(options.dataDir, "runtimes");
  const catalogue = await loadCatalogue(join(root, "runtimes"));
  // A folder of its own: it must not replace files under workspaces that are starting.
  const sandbox = createToolSandbox({ runDir: join(options.dataDir, "run/install"), overlayDir: "" });
  const shelf = createRuntimeShelf({
    catalogue,
    directory,
    tests,
    async install({ runtimeDir }, targetDir, onProgress) {
      await installRuntime({ runtimeDir, targetDir, onProgress, sandbox });
      await buildRuntimeApp({ runtimeDir, outDir: targetDir });
      await precompileRuntime({ targetDir, sandbox });
    },
  });
  const installed = (await shelf.list()).filter(({ path }) => path !== null);
  // The adapters are this version's, whichever version installed the CLI beside them.
  await Promise.all(
    installed.map(async ({ manifest, path }) => {
      const entry = catalogue.find((known): known is CatalogueEntry => known.manifest.name === manifest.name);
      if (entry && path) await buildRuntimeApp({ runtimeDir: entry.runtimeDir, outDir: path });
    }),
  );
  for (const { manifest } of catalogue)
    sweepPartialInstalls(join(directory, manifest.name)).catch((error: unknown) =>
      log.warn("an interrupted installation could not be removed", { error }),
    );
  return shelf;
}

/** Calls `read` again only when the last answer is older than `ms`; neither a failure nor a missing level is remembered. */
function remembered(read: () => Promise<IsolationLevel | null>, ms: number): () => Promise<IsolationLevel | null> {
  let last: { at: number; answer: Promise<IsolationLevel | null> } | undefined;
  return () => {
    if (!last || performance.now() - last.at > ms) {
      const entry = { at: performance.now(), answer: read() };
      // What is missing now may be there the next time: a machine that was too busy to show it, a setting that was changed.
      const forget = () => {
        if (last === entry) last = undefined;
      };
      entry.answer.then((level) => level === null && forget(), forget);
      last = entry;
    }
    return last.answer;
  };
}
