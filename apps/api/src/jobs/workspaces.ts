import { randomBytes } from "node:crypto";
import {
  type GitPurpose,
  isolationRank,
  type PhaseName,
  type RuntimeManifest,
  type SidecarBoot,
  type SidecarRegistry,
  sidecarSockets,
} from "@x1agent/contract";
import { loseLeases } from "@x1agent/domain-budgets";
import type { AttemptRecord, JobRecord } from "@x1agent/domain-jobs";
import { newId, type Tx } from "@x1agent/kernel";
import { launchWorkspace, type Workspace, type WorkspacePurpose, type WorkspaceSpec } from "@x1agent/workspaces";
import type { Registration } from "../control/index.ts";
import { type Base, platformBranches, type Remote } from "../git/index.ts";
import type { BudgetRefusal, LoopDeps } from "./deps.ts";
import { type SecretUser, trustedLabel, trustOf } from "./steps/trust.ts";

/** Ids of workspaces are also names of folders and sockets: no underscore, and short. */
export const newWorkspaceId = (): string => newId("ws").replace("_", "-");
/** The job's repository as the sidecar serves it, from inside. */
export const sidecarOrigin = `http://127.0.0.1:${sidecarSockets["api.sock"]}/git/origin`;
const token = () => randomBytes(32).toString("base64url");

export type WorkspaceRequest = {
  job: SecretUser & Pick<JobRecord, "id" | "repository" | "limits" | "isolation">;
  attempt: Pick<AttemptRecord, "id">;
  purpose: WorkspacePurpose;
  jobRepository: string;
  /** See `WorkspaceDriver.launch`. */
  opened?: (workspace: Workspace) => void;
  /** Phase in which it starts; absent: no sidecar and no way out at all. */
  phase?: PhaseName;
  /** See `Registration.onEvents`. */
  onEvents?: Registration["onEvents"];
  agent?: {
    manifest: RuntimeManifest;
    appDir: string;
    remote: Remote;
    /** What the job stands on and is published to; null until that is known, and nothing is pushed before. */
    standing(): Standing | null;
    onBudgetRefused(reply: BudgetRefusal): void;
  };
};

/** What decides which branches no agent pushes to. */
export type Standing = {
  base: Pick<Base, "branch" | "defaultBranch">;
  /** Branch that the platform publishes the job to. */
  targetBranch: string | null;
};

export type OpenedWorkspace = {
  workspace: Workspace;
  /** Part of a transaction: its sidecar spends nothing from here on, and what it held is free, or charged, when that commits. */
  giveBack(tx: Tx): Promise<void>;
  close(): Promise<void>;
};

/** A workspace on its way. Neither promise must be awaited by anybody. */
export type OpeningWorkspace = {
  /** As soon as commands without network and the host can run: earlier than the sidecar is ready. */
  first: Promise<Workspace>;
  /** Rejects when it could not be launched; nothing of it is left then. */
  ready: Promise<OpenedWorkspace>;
  /** Ends it, also while it is still on its way. */
  close(): Promise<void>;
};

/** Begins to launch a workspace while other things are still found out. */
export function beginWorkspace(deps: LoopDeps, request: WorkspaceRequest): OpeningWorkspace {
  const first = Promise.withResolvers<Workspace>();
  const ready = openWorkspace(deps, { ...request, opened: first.resolve });
  // One that was there already is not told of.
  ready.then(({ workspace }) => first.resolve(workspace), first.reject);
  first.promise.catch(() => {});
  return {
    first: first.promise,
    ready,
    close: () =>
      ready.then(
        (opened) => opened.close(),
        () => {},
      ),
  };
}

/** Launches one workspace of a job, with its sidecar announced first. `close` ends both and gives back what they held, whatever happened. */
export async function openWorkspace(deps: LoopDeps, request: WorkspaceRequest): Promise<OpenedWorkspace> {
  const { job, attempt, agent } = request;
  const id = newWorkspaceId();
  const owner = {
    ...{ organizationId: job.organizationId, projectId: job.projectId, jobId: job.id, attemptId: attempt.id },
    memberId: job.createdBy.id,
  };
  const giveBack = async (tx: Tx) => {
    deps.control.revoke(id);
    if (agent) await loseLeases(tx, owner, id);
  };
  const close = async () => {
    deps.control.revoke(id);
    await deps.driver.stop(id);
    await deps.db.tenant(job.organizationId, giveBack);
  };
  try {
    const sidecar = request.phase && (await sidecarBoot(deps, request, request.phase, id, owner));
    const workspace = await launchWorkspace(deps.driver, workspaceSpec(request, id, sidecar), request.opened);
    return { workspace, giveBack, close };
  } catch (error) {
    await close().catch(() => {});
    throw error;
  }
}

async function sidecarBoot(
  deps: LoopDeps,
  { job, attempt, agent, onEvents }: WorkspaceRequest,
  phase: PhaseName,
  workspaceId: string,
  owner: { organizationId: string; projectId: string; jobId: string; attemptId: string; memberId: string },
): Promise<SidecarBoot> {
  const remote = agent?.remote;
  const trusted = trustOf(job) === trustedLabel;
  const git = remote?.kind === "http" || remote?.kind === "https" ? [{ name: "origin", url: remote.url }] : [];
  const enrolmentToken = deps.control.register({
    ...owner,
    ...{ workspaceId, phase, inference: agent !== undefined, trusted },
    repositories: git.map((repository) => ({
      ...repository,
      credential: async (purpose: GitPurpose) =>
        (await deps.gitCredential?.(job.organizationId, job.id, job.repository, purpose)) ?? null,
      get push() {
        const standing = agent?.standing();
        const names = standing ? protectedBranches(standing) : null;
        return names === null
          ? undefined
          : {
              protected: names,
              isProtected: async (branch: string) =>
                (await deps.isProtectedBranch?.(job.organizationId, job.repository, branch)) ?? false,
            };
      },
    })),
    ...(agent ? { onBudgetRefused: agent.onBudgetRefused } : {}),
    ...(onEvents ? { onEvents } : {}),
  });
  const [repository] = git;
  // A verification gets no key at all: what is not there cannot be used.
  const [forge, registries, routes, prices] = await Promise.all([
    repository && deps.forgeOf?.(job.organizationId, job),
    deps.registries(job),
    agent ? deps.routes(job) : [],
    agent ? deps.prices(job.organizationId) : {},
  ]);
  return {
    ...(repository && forge ? { forge: { ...forge, repository: repository.name } } : {}),
    ...{ workspaceId, attemptId: attempt.id, jobId: job.id, controlUrl: deps.control.url, enrolmentToken, phase, git },
    jobToken: token(),
    ...{ routes, prices },
    registries: trusted ? registries : withoutLogins(registries),
    sliceTokens: 4_000,
    limits: {
      maxBodyBytes: 32 * 1024 ** 2,
      maxConcurrentCalls: 16,
      egressBytes: job.limits.egressBytes,
      maxTunnels: 256,
    },
    failClosedMs: 10_000,
    forbidden: [{ address: "127.0.0.1", port: deps.control.port }, ...(deps.forbidden?.() ?? [])],
    ...(deps.upstreamProxy ? { upstreamProxy: deps.upstreamProxy } : {}),
    ...(deps.ca ? { ca: deps.ca } : {}),
  };
}

/** Registries for a job whose words come from outside: what only a login opens is closed to it. Pure. */
export const withoutLogins = (registries: readonly SidecarRegistry[]): SidecarRegistry[] =>
  registries.map(({ authorization: _, ...open }) => open);

/**
 * Branches that no agent pushes to, whatever its grants: the remote's default one, the one that the job stands on, and those
 * that the platform publishes to, the job's own and other jobs': what is there was approved. Null where the default one is not
 * known: then nobody can say that it is not the one pushed to. Pure.
 */
export function protectedBranches({ base, targetBranch }: Standing): string[] | null {
  if (base.defaultBranch === null) return null;
  return [base.defaultBranch, base.branch, targetBranch, platformBranches].filter((name) => name !== null);
}

/** The spec of a workspace. Pure. */
export function workspaceSpec(
  { job, attempt, purpose, jobRepository, agent }: WorkspaceRequest,
  id: string,
  sidecar: SidecarBoot | undefined,
): WorkspaceSpec {
  const { memoryBytes, processes, diskBytes } = job.limits;
  return {
    ...{ id, organizationId: job.organizationId, jobId: job.id, attemptId: attempt.id, purpose },
    env: gitEnvironment(agent?.remote),
    minIsolation: isolationRank(job.isolation) > 0 ? job.isolation : "process",
    mounts: [{ source: jobRepository, target: "/x1/base.git" }],
    limits: { memoryBytes, processes, diskBytes },
    ...(agent ? { runtime: { manifest: agent.manifest, appDir: agent.appDir }, hostToken: token() } : {}),
    ...(sidecar ? { sidecar } : {}),
  };
}

/**
 * Variables by which every git inside takes the addresses of the job's own repository, however they are written, for that of
 * the sidecar. git compares the beginning only: an address that goes on where this one ends leads to the sidecar too, which
 * has no such repository. Pure.
 */
export function gitEnvironment(remote: Remote | undefined): Record<string, string> {
  if (remote?.kind !== "http" && remote?.kind !== "https") return {};
  const path = remote.path.replace(/\/+$/, "").replace(/\.git$/, "");
  const host = remote.host.includes(":") ? `[${remote.host}]` : remote.host;
  const usual = remote.port === (remote.kind === "https" ? 443 : 80);
  const written = [
    `${remote.kind}://${host}:${remote.port}${path}`,
    ...(usual ? [`${remote.kind}://${host}${path}`, `ssh://git@${host}${path}`, `git@${host}:${path.slice(1)}`] : []),
  ];
  return Object.fromEntries([
    ["GIT_CONFIG_COUNT", String(written.length)],
    ...written.flatMap((address, index) => [
      [`GIT_CONFIG_KEY_${index}`, `url.${sidecarOrigin}.insteadOf`],
      [`GIT_CONFIG_VALUE_${index}`, address],
    ]),
  ]) as Record<string, string>;
}
