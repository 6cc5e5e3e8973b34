import { listOrganizations } from "@x1agent/domain-identity";
import type { WorkspaceDriver } from "@x1agent/workspaces";
import { startControlChannel } from "../control/index.ts";
import { createPlatformGit, type LocalRules } from "../git/index.ts";
import { loadProviderRoutes, priceTable } from "../providers.ts";
import type { Foundation } from "../service.ts";
import type { RuntimeShelf } from "../use-cases/runtimes.ts";
import { type Loop, startLoop } from "./loop.ts";

/** Starts sidecar channel, platform git and loop over the service's foundation. */
export async function startJobs(
  deps: Foundation & { driver: WorkspaceDriver; runtimes: RuntimeShelf; localRules: LocalRules },
): Promise<Loop> {
  const { db, log, options, masterKey, runtimes, driver, blobs, hub } = deps;
  const manifests = new Map((await runtimes.list()).map(({ manifest }) => [manifest.name, manifest]));
  const control = await startControlChannel({ db, log });
  try {
    const loop = await startLoop({
      ...{ db, blobs, hub, log, driver, control, dataDir: options.dataDir },
      git: createPlatformGit({ dataDir: options.dataDir, local: deps.localRules }),
      manifestOf: (name) => manifests.get(name),
      appDir: (name) => runtimes.appDir(name),
      routes: (organizationId) => loadProviderRoutes(db, masterKey, organizationId),
      prices: priceTable(),
      organizations: () => db.system(listOrganizations),
      forbidden: () => (options.port ? [{ address: options.host, port: options.port }] : []),
    });
    return {
      kick: loop.kick,
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
