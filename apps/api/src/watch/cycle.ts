import { defaultFollow, type ErrorCode, type FollowPolicy, type Outcome } from "@x1agent/contract";
import type { Connection } from "@x1agent/domain-forges";
import { getProject } from "@x1agent/domain-projects";
import { type Forge, type ForgePermission, type ForgeRepository, isPermitted } from "@x1agent/forges";
import type { Tx } from "@x1agent/kernel";
import type { WatchDeps, WatchTiming } from "./deps.ts";

/** The forge refused in a way that ends this round of looking: asked again later. */
export class ForgeWaits extends Error {
  override readonly name = "ForgeWaits";
  readonly code: ErrorCode;
  constructor(code: ErrorCode, detail: string) {
    super(detail);
    this.code = code;
  }
}

/** Another process follows the connection now; what was begun is dropped. */
export class WatchLost extends Error {
  override readonly name = "WatchLost";
}

/** One round of looking after one connection, while this process holds its lease. */
export type Cycle = {
  deps: WatchDeps;
  timing: WatchTiming;
  organizationId: string;
  connection: Connection;
  forge: Forge;
  /** When a project's repository was last asked for in vain, by the project's id. */
  tried: Map<string, number>;
  /** Up to when missed deliveries were asked for, by the connection's id; milliseconds of this process's clock. */
  asked: Map<string, number>;
  /** Throws when the lease is lost. */
  alive(): void;
  tenant<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  /** The repository as the forge has it now; null when it is not there for us. */
  repository(id: string): Promise<ForgeRepository | null>;
  /** What somebody may do there, asked once a round. */
  permission(repository: ForgeRepository, login: string): Promise<ForgePermission>;
};

export function createCycle(
  parts: Pick<Cycle, "deps" | "timing" | "organizationId" | "connection" | "forge" | "alive" | "tried" | "asked">,
): Cycle {
  const { deps, organizationId, forge, alive } = parts;
  const repositories = new Map<string, Promise<ForgeRepository | null>>();
  const permissions = new Map<string, Promise<ForgePermission>>();
  const once = <T>(known: Map<string, Promise<T>>, key: string, ask: () => Promise<T>): Promise<T> => {
    const found = known.get(key) ?? ask();
    known.set(key, found);
    return found;
  };
  return {
    ...parts,
    tenant(work) {
      alive();
      return deps.db.tenant(organizationId, work);
    },
    repository: (id) => once(repositories, id, async () => there(await forge.getRepository({ id }))),
    permission: (repository, login) =>
      once(
        permissions,
        `${repository.id} ${login}`,
        async () => there(await forge.getPermission(repository, login)) ?? "none",
      ),
  };
}

/** The value; null for what is not there or not for us. What may be different later ends the round. */
export function there<T>(outcome: Outcome<T>): T | null {
  if (outcome.ok) return outcome.value;
  if (outcome.code === "forge_not_found" || outcome.code === "forge_forbidden" || outcome.code === "forge_invalid")
    return null;
  throw new ForgeWaits(outcome.code, outcome.detail);
}

/** What the project says about what follows by itself. */
export const policyOf = async (tx: Tx, projectId: string): Promise<FollowPolicy> => ({
  ...defaultFollow,
  ...(await getProject(tx, projectId))?.follow,
});

/** Permissions of those who spoke. */
export async function permissionsOf(
  cycle: Cycle,
  repository: ForgeRepository,
  logins: readonly string[],
): Promise<Record<string, ForgePermission>> {
  const found: [string, ForgePermission][] = [];
  for (const login of logins) found.push([login, await cycle.permission(repository, login)]);
  return Object.fromEntries(found);
}

export const mayTrigger = (permission: ForgePermission, policy: FollowPolicy): boolean =>
  isPermitted(permission, policy.who);

/** Whether something happened since there was a connection. Forges tell whole seconds: what shares one counts. Pure. */
export const isSince = (at: string, connectedAt: string): boolean =>
  Date.parse(at) >= Math.floor(Date.parse(connectedAt) / 1_000) * 1_000;
