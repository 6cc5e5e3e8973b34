import type { SidecarRegistry } from "@x1agent/contract";
import { listOrganizations } from "@x1agent/domain-identity";
import type { WorkspaceDriver } from "@x1agent/workspaces";
import { startControlChannel } from "../control/index.ts";
import { loadGitCredential } from "../credentials.ts";
import { createPlatformGit, type LocalRules, type PlatformGit, parseRemote } from "../git/index.ts";
import { type NetworkFacts, ownListeners } from "../network.ts";
import { loadPrices, loadProviderRoutes, priceTable } from "../providers.ts";
import type { Foundation } from "../service.ts";
import { readInstance } from "../start/files.ts";
import type { RuntimeShelf } from "../use-cases/runtimes.ts";
import { type Loop, startLoop } from "./loop.ts";

/** Starts sidecar channel, platform git and loop over the service's foundation. */
export async function startJobs(
  deps: Foundation & {
    driver: WorkspaceDriver;
    runtimes: RuntimeShelf;
    localRules: LocalRules;
    network: NetworkFacts;
    registries: readonly SidecarRegistry[];
    url: string;
    /** Tests step in here, between the loop and its git. */
    aroundGit?: (git: PlatformGit) => PlatformGit;
  },
): Promise<Loop> {
  const { db, log, options, masterKey, runtimes, driver, blobs, hub, network } = deps;
  const forbidden = await ownListeners(deps.url, options.databaseUrl);
  const manifests = new Map((await runtimes.list()).map(({ manifest }) => [manifest.name, manifest]));
  const git = createPlatformGit({ dataDir: options.dataDir, local: deps.localRules });
  const listed = priceTable();
  const stored = async (organizationId: string, repository: string) => {
    const remote = parseRemote(repository, deps.localRules);
    return remote.ok ? loadGitCredential(db, masterKey, organizationId, remote.value) : undefined;
  };
  const control = await startControlChannel({ db, log });
  try {
    const loop = await startLoop({
      ...{ db, blobs, hub, log, driver, control, dataDir: options.dataDir },
      git: deps.aroundGit?.(git) ?? git,
      manifestOf: (name) => manifests.get(name),
      appDir: (name) => runtimes.appDir(name),
      routes: (organizationId) => loadProviderRoutes(db, masterKey, organizationId),
      registries: deps.registries,
      prices: (organizationId) => loadPrices(db, listed, organizationId),
      instance: await readInstance(options.dataDir),
      organizations: () => db.system(listOrganizations),
      credential: stored,
      // A stored secret says nothing of what a forge's API may be asked with it.
      async gitCredential(organizationId, _jobId, repository, purpose) {
        const held = purpose === "read" || purpose === "push" ? await stored(organizationId, repository) : undefined;
        return held?.authorization ? { authorization: held.authorization, expiresAt: null } : null;
      },
      forbidden: () => forbidden,
      ...(network.upstreamProxy ? { upstreamProxy: network.upstreamProxy } : {}),
      ...(network.ca ? { ca: network.ca } : {}),
    });
    return {
      kick: loop.kick,
      trials: loop.trials,
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
