import { accept, Fault, type SidecarRegistry } from "@x1agent/contract";
import { listOrganizations } from "@x1agent/domain-identity";
import { getJob } from "@x1agent/domain-jobs";
import { openAllSecrets } from "@x1agent/domain-secrets";
import type { WorkspaceDriver } from "@x1agent/workspaces";
import { startControlChannel } from "../control/index.ts";
import { loadGitCredential, withLogins } from "../credentials.ts";
import type { Forges } from "../forges/open.ts";
import { baseBranchNow, openJobPullRequest } from "../forges/pull-request.ts";
import {
  forgeCredential,
  forgeOfJob,
  isProtectedBranch,
  repositoryOfJob,
  submoduleCredential,
} from "../forges/repositories.ts";
import { createPlatformGit, type LocalRules, type PlatformGit, parseRemote } from "../git/index.ts";
import { type NetworkFacts, ownListeners } from "../network.ts";
import { outgoingFetch, publicFetch } from "../outgoing.ts";
import { loadPrices, loadProviderRoutes, priceTable } from "../providers.ts";
import type { Foundation } from "../service.ts";
import { readInstance } from "../start/files.ts";
import { jobLink } from "../start/options.ts";
import type { RuntimeShelf } from "../use-cases/runtimes.ts";
import type { LoopDeps } from "./deps.ts";
import { type Loop, startLoop } from "./loop.ts";
import { secretsOf } from "./steps/trust.ts";

/** Starts sidecar channel, platform git and loop over the service's foundation. */
export async function startJobs(
  deps: Foundation & {
    driver: WorkspaceDriver;
    runtimes: RuntimeShelf;
    localRules: LocalRules;
    network: NetworkFacts;
    registries: readonly SidecarRegistry[];
    url: string;
    keeps?: LoopDeps["keeps"];
    forges: Forges;
    /** Tests step in here, between the loop and its git. */
    aroundGit?: (git: PlatformGit) => PlatformGit;
  },
): Promise<Loop> {
  const { db, log, options, masterKey, runtimes, driver, blobs, hub, network } = deps;
  const forbidden = await ownListeners(deps.url, options.databaseUrl);
  const manifests = new Map((await runtimes.list()).map(({ manifest }) => [manifest.name, manifest]));
  const git = createPlatformGit({ dataDir: options.dataDir, local: deps.localRules });
  const listed = priceTable();
  const canonicalRepository = (text: string) => {
    const remote = parseRemote(text, deps.localRules);
    return remote.ok ? accept(remote.value.url) : remote;
  };
  const forge = { db, forges: deps.forges, canonicalRepository };
  const credential: NonNullable<LoopDeps["credential"]> = async (subject, purpose) => {
    const minted = await forgeCredential(forge, subject.organizationId, subject, purpose);
    if (!minted.ok) return minted;
    if (minted.value) {
      const { authorization, address } = minted.value;
      return accept({ authorization, ...(address ? { address } : {}) });
    }
    const remote = parseRemote(subject.repository, deps.localRules);
    return accept((remote.ok && (await loadGitCredential(db, masterKey, secretsOf(subject), remote.value))) || null);
  };
  const control = await startControlChannel({ db, log });
  try {
    const loop = await startLoop({
      ...{ db, blobs, hub, log, driver, control, dataDir: options.dataDir },
      git: deps.aroundGit?.(git) ?? git,
      manifestOf: (name) => manifests.get(name),
      appDir: (name) => runtimes.appDir(name),
      routes: (job) => loadProviderRoutes(db, masterKey, secretsOf(job)),
      registries: (job) => withLogins(db, masterKey, secretsOf(job), deps.registries),
      prices: (organizationId) => loadPrices(db, listed, organizationId),
      instance: await readInstance(options.dataDir),
      organizations: () => db.system(listOrganizations),
      credential,
      async knownSecrets(organizationId) {
        const stored = await db.tenant(organizationId, (tx) => openAllSecrets(tx, masterKey, organizationId));
        return [
          ...stored.map(({ name, value }) => ({ name, value: Buffer.from(value, "utf8") })),
          { name: "of this installation, its master key", value: masterKey },
        ];
      },
      async repositoryBytes(organizationId, subject) {
        const known = await repositoryOfJob(forge, organizationId, subject);
        const bytes = known?.facts.sizeBytes;
        return typeof bytes === "number" ? bytes : null;
      },
      async submoduleCredential(job, repository) {
        const minted = await submoduleCredential(forge, job.organizationId, job, repository);
        if (!minted.ok || minted.value) return minted;
        const remote = parseRemote(repository, { roots: [], owners: [] });
        return accept((remote.ok && (await loadGitCredential(db, masterKey, secretsOf(job), remote.value))) || null);
      },
      contentFetch: { own: outgoingFetch(network, process.env), public: publicFetch(network) },
      isProtectedBranch: (organizationId, repository, branch) =>
        isProtectedBranch(forge, organizationId, repository, branch),
      forgeOf: (organizationId, subject) => forgeOfJob(forge, organizationId, subject),
      jobLink: (jobId) => jobLink(deps.publicUrl, deps.url, jobId),
      baseBranch: (job, branch) => baseBranchNow(forge, job, branch),
      pullRequest: (job, published) => openJobPullRequest({ ...forge, git }, job, published),
      // A stored secret for git says nothing of what a forge's API may be asked with it.
      async gitCredential(organizationId, jobId, repository, purpose) {
        const job = await db.tenant(organizationId, (tx) => getJob(tx, jobId));
        const subject = { id: jobId, projectId: job?.projectId ?? "", repository };
        const minted = await forgeCredential(forge, organizationId, subject, purpose);
        if (!minted.ok) throw new Fault(minted.code, minted.detail);
        if (minted.value) return { authorization: minted.value.authorization, expiresAt: minted.value.expiresAt };
        if (job === null || (purpose !== "read" && purpose !== "push")) return null;
        const held = await credential({ ...job, repository }, purpose);
        return held.ok && held.value?.authorization
          ? { authorization: held.value.authorization, expiresAt: null }
          : null;
      },
      forbidden: () => forbidden,
      ...(deps.keeps ? { keeps: deps.keeps } : {}),
      ...(network.upstreamProxy ? { upstreamProxy: network.upstreamProxy } : {}),
      ...(network.ca ? { ca: network.ca } : {}),
    });
    return {
      kick: loop.kick,
      trials: loop.trials,
      async source(jobId, commit, path) {
        const [file] = await git.readFiles(git.jobRepositoryPath(jobId), commit, [path]).catch(() => []);
        return file ? { text: file.text, truncated: file.truncated } : null;
      },
      async stop() {
        await loop.stop();
        await control.close();
      },
    };
  } catch (error) {
    await control.close();
    throw error;
  }
}
