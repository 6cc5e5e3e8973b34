import { isIP } from "node:net";
import {
  accept,
  formatActor,
  type Grant,
  type GrantDetails,
  type GrantSubject,
  type GrantType,
  isTerminal,
  jobStates,
  matchesPattern,
  refuse,
} from "@x1agent/contract";
import { getJob, listJobs } from "@x1agent/domain-jobs";
import { createGrant, everGranted, listGrants, revokeGrant } from "@x1agent/domain-permissions";
import { getProject } from "@x1agent/domain-projects";
import { appendEvents } from "@x1agent/domain-sessions";
import type { Database, Tx } from "@x1agent/kernel";
import { type RegistryHost, registryNames } from "../registries.ts";
import { audited } from "./audit.ts";
import type { Caller, UseCases } from "./index.ts";

/** The permission ledger, for people. */
export function grantUseCases(db: Pick<Database, "tenant">): UseCases["grants"] {
  return {
    list: (caller, filter) => db.tenant(caller.organizationId, (tx) => listGrants(tx, filter)),
    create: (caller, { subject, type, details, scope, reason }) =>
      db.tenant(caller.organizationId, async (tx) => {
        const wrong =
          type === "egress"
            ? egressMistake(details ?? {})
            : type === "registry"
              ? registryMistake(details ?? {}, registryNames)
              : repositoryMistake(type, details ?? {});
        if (wrong) return refuse("invalid_request", wrong);
        if (type === "registry" && scope === "once")
          return refuse("invalid_request", "An installation asks a registry many times: name phases instead.");
        if (!(await exists(tx, caller, subject))) return refuse("not_found", `No such ${subject.kind}.`);
        const made = await createGrant(tx, caller.organizationId, {
          subject,
          type,
          details: defined(details ?? {}),
          scope,
          reason,
          grantedBy: caller.actor,
        });
        if (!made.ok) return made;
        await tellJobs(tx, caller, made.value, "granted");
        await audited(tx, caller, "grant.created", made.value.id, { type, subject, details: made.value.details });
        return accept(made.value);
      }),
    revoke: (caller, grantId) =>
      db.tenant(caller.organizationId, async (tx) => {
        const grant = await revokeGrant(tx, caller.organizationId, grantId);
        if (!grant) return null;
        await tellJobs(tx, caller, grant, "revoked");
        await audited(tx, caller, "grant.revoked", grantId, { type: grant.type, subject: grant.subject });
        return grant;
      }),
  };
}

/** Unfinished jobs that are told; their permissions change whether or not the story says so. */
const TOLD_JOBS = 200;

/** Writes the change into the story of every unfinished job that it touches, in the same transaction. */
async function tellJobs(tx: Tx, caller: Caller, grant: Grant, change: "granted" | "revoked"): Promise<void> {
  const { subject, id, type } = grant;
  const states = jobStates.filter((state) => !isTerminal(state));
  const job = subject.kind === "job" ? await getJob(tx, subject.id) : null;
  const touched =
    subject.kind === "job"
      ? [job].filter((one) => one !== null && !isTerminal(one.state))
      : (
          await listJobs(tx, {
            states,
            limit: TOLD_JOBS,
            ...(subject.kind === "project" ? { projectId: subject.id } : {}),
          })
        ).items;
  const payload = { grantId: id, type, change, actor: formatActor(caller.actor) };
  for (const one of touched)
    if (one)
      await appendEvents(tx, caller.organizationId, one.id, [
        { type: "grant.changed", payload, source: "observed", attemptId: null },
      ]);
}

/** What an organization may do from its first minute: call models, read its repositories, fetch packages in set-up. */
export async function grantAtStart(tx: Tx, platform: Caller, hosts: readonly RegistryHost[]): Promise<void> {
  const first: FirstGrant[] = [
    { type: "ai.anthropic", details: { pattern: "*" }, reason: "Every model, within the budget" },
    { type: "ai.openai", details: { pattern: "*" }, reason: "Every model, within the budget" },
    { type: "repo.read", details: { pattern: "*" }, reason: "Reading the job's own repository" },
    registriesInSetUp,
    ...hosts.map(({ ecosystem, host, port }) => ({
      type: "egress" as const,
      details: { pattern: host, ports: [port], phases: ["setup" as const] },
      reason: `Packages for ${ecosystem}`,
    })),
  ];
  await grantAll(tx, platform, first);
}

type FirstGrant = { type: GrantType; details: Partial<GrantDetails>; reason: string };
const registriesInSetUp: FirstGrant = {
  ...{ type: "registry", details: { pattern: "*", phases: ["setup"] } },
  reason: "Packages, read-only, in set-up",
};

/**
 * For an organization that began before registries were served read-only: opens them, and takes back what the platform
 * itself had opened for tunnels to the same hosts.
 */
export async function grantRegistries(tx: Tx, platform: Caller): Promise<void> {
  if (await everGranted(tx, "registry")) return;
  for (const { id, type, grantedBy, reason, subject } of await listGrants(tx, { all: false }))
    if (type === "egress" && grantedBy.kind === "platform" && /^Packages for (npm|pip)$/.test(reason)) {
      await revokeGrant(tx, platform.organizationId, id);
      await audited(tx, platform, "grant.revoked", id, { type, subject });
    }
  await grantAll(tx, platform, [registriesInSetUp]);
}

async function grantAll(tx: Tx, platform: Caller, grants: readonly FirstGrant[]): Promise<void> {
  for (const { type, details, reason } of grants) {
    const made = await createGrant(tx, platform.organizationId, {
      subject: { kind: "organization", id: platform.organizationId },
      type,
      details,
      scope: "persistent",
      reason,
      grantedBy: platform.actor,
    });
    if (made.ok) await audited(tx, platform, "grant.created", made.value.id, { type, details: made.value.details });
  }
}

/** What is wrong with a grant about repositories, in the same sense. Pure. */
export function repositoryMistake(
  type: GrantType,
  { pattern, repository, force }: { [Name in "pattern" | "repository" | "force"]?: GrantDetails[Name] | undefined },
): string | null {
  if (force && type !== "repo.push") return "Only a grant of type repo.push has force.";
  if (repository && type !== "repo.push" && type !== "forge")
    return "Only grants of type repo.push and forge name a repository.";
  if (type === "forge" && pattern !== undefined && !["read", "comment", "*"].includes(pattern))
    return "A grant of type forge is for read, comment or * for both.";
  return null;
}

/** What is wrong with an egress grant: one that can match nothing looks like a closed door later. Pure. */
export function egressMistake({
  pattern,
  address,
}: {
  pattern?: string | undefined;
  address?: string | undefined;
}): string | null {
  if (
    pattern !== undefined &&
    !/^(\*|(\*\.)?[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?|\[?[0-9a-f:.]*:[0-9a-f:.]*\]?)$/i.test(pattern)
  )
    return `"${pattern}" is no host: write a name such as registry.example.org or *.example.org, without scheme, port or path.`;
  if (address === undefined) return null;
  const [base = "", bits, more] = address.split("/");
  const family = isIP(base);
  const most = family === 6 ? 128 : 32;
  if (family === 0 || more !== undefined || (bits !== undefined && !(/^\d{1,3}$/.test(bits) && Number(bits) <= most)))
    return `"${address}" is no range of addresses: write one such as 10.0.0.0/8.`;
  return null;
}

/** What is wrong with a registry grant: the name of one that is not served would be a grant of nothing. Pure. */
export function registryMistake(
  { pattern, address }: { pattern?: string | undefined; address?: string | undefined },
  names: readonly string[],
): string | null {
  if (pattern !== undefined && !names.some((name) => matchesPattern(pattern, name)))
    return `"${pattern}" is no registry that is served here; there are ${names.join(" and ")}. Others are reached by tunnels: x1 egress allow <host>.`;
  return egressMistake({ address });
}

async function exists(tx: Tx, caller: Caller, subject: GrantSubject): Promise<boolean> {
  if (subject.kind === "organization") return subject.id === caller.organizationId;
  return (subject.kind === "project" ? await getProject(tx, subject.id) : await getJob(tx, subject.id)) !== null;
}

const defined = <T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as never;
