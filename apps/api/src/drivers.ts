import type { Workspace, WorkspaceDriver, WorkspaceSpec } from "@x1agent/workspaces";

/** Memory from which a sidecar is started ahead where nobody says how many. */
const SPARE_FROM_BYTES = 4 * 1024 ** 3;

/** How many sidecars are started ahead on a machine, or in a control group, with so much memory. Pure. */
export const sparesFor = (bytes: number): number => (bytes >= SPARE_FROM_BYTES ? 1 : 0);

/**
 * One driver out of two: workspaces that ask for level `process` by name go to the one that isolates nothing, every
 * other goes to the one that does. They keep apart folders, so neither ever takes the other's workspace for its own.
 */
export function routeDrivers(isolated: WorkspaceDriver, unisolated: WorkspaceDriver): WorkspaceDriver {
  return {
    name: isolated.name,
    probe: () => isolated.probe(),
    launch: (spec: WorkspaceSpec, opened?: (workspace: Workspace) => void): Promise<Workspace> =>
      (spec.minIsolation === "process" ? unisolated : isolated).launch(spec, opened),
    get: async (id) => (await isolated.get(id)) ?? (await unisolated.get(id)),
    list: async () => (await Promise.all([isolated.list(), unisolated.list()])).flat(),
    async stop(id) {
      await Promise.all([isolated.stop(id), unisolated.stop(id)]);
    },
    async close() {
      await Promise.all([isolated.close?.(), unisolated.close?.()]);
    },
  };
}
