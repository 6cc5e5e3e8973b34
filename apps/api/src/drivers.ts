import type { Workspace, WorkspaceDriver, WorkspaceSpec } from "@x1agent/workspaces";

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
  };
}
