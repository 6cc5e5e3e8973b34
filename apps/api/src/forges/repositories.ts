import {
  accept,
  formatActor,
  type GitPurpose,
  type Outcome,
  platformActor,
  type SidecarForge,
} from "@x1agent/contract";
import { appendAudit } from "@x1agent/domain-audit";
import {
  getOrigin,
  getPullRequest,
  getRepository,
  type KnownRepository,
  linkProject,
  loseRepository,
  repositoryAt,
  repositoryOfProject,
  saveRepository,
} from "@x1agent/domain-forges";
import { moveProject } from "@x1agent/domain-projects";
import type { Forge, ForgeCredential, ForgeRepository } from "@x1agent/forges";
import type { Database } from "@x1agent/kernel";
import type { Forges } from "./open.ts";

/** What reaches a repository at its forge. */
export type ForgeDeps = {
  db: Pick<Database, "tenant">;
  forges: Forges;
  canonicalRepository(text: string): Outcome<string>;
};

/** Stores what the forge says of a repository now. One that was renamed or moved takes its project's address along. */
export async function noteRepository(
  deps: Pick<ForgeDeps, "db" | "canonicalRepository">,
  organizationId: string,
  connectionId: string,
  found: ForgeRepository,
): Promise<Outcome<KnownRepository>> {
  const address = deps.canonicalRepository(found.cloneUrl);
  if (!address.ok) return address;
  return deps.db.tenant(organizationId, async (tx) => {
    const { id, fullName, webUrl, defaultBranch, ...facts } = found;
    const { now, before } = await saveRepository(tx, organizationId, {
      ...{ connectionId, externalId: id, fullName, webUrl, defaultBranch, facts },
      cloneUrl: address.value,
    });
    if (before && now.projectId && before.cloneUrl !== now.cloneUrl) {
      await moveProject(tx, now.projectId, now.cloneUrl);
      await appendAudit(tx, organizationId, {
        ...{ actor: platformActor, action: "project.moved", subject: now.projectId },
        data: { from: before.cloneUrl, to: now.cloneUrl, by: formatActor(platformActor) },
      });
    }
    return accept(now);
  });
}

/** The forge of a repository and the repository as the forge has it now, found by its lasting id. */
export async function lookAtRepository(
  deps: ForgeDeps,
  organizationId: string,
  at: { connectionId: string; externalId: string },
): Promise<Outcome<{ forge: Forge; repository: ForgeRepository }>> {
  const forge = await deps.forges.open(organizationId, at.connectionId);
  if (!forge.ok) return forge;
  const found = await forge.value.getRepository({ id: at.externalId });
  if (!found.ok) {
    if (found.code === "forge_not_found")
      await deps.db.tenant(organizationId, (tx) => loseRepository(tx, at, found.detail));
    return found;
  }
  const noted = await noteRepository(deps, organizationId, at.connectionId, found.value);
  return noted.ok ? accept({ forge: forge.value, repository: found.value }) : noted;
}

/** What git is to be done for: a job, or only a project. */
export type GitSubject = { id: string | null; projectId: string; repository: string };

/** Which repository of which connection a job works on; null where no connection reaches it. */
export async function repositoryOfJob(
  { db }: Pick<ForgeDeps, "db">,
  organizationId: string,
  job: GitSubject,
): Promise<KnownRepository | null> {
  return db.tenant(organizationId, async (tx) => {
    const origin = job.id === null ? null : await getOrigin(tx, job.id);
    if (origin) {
      const found = await getRepository(tx, origin.connectionId, origin.repository);
      if (found) return found;
    }
    return (await repositoryOfProject(tx, job.projectId)) ?? (await repositoryAt(tx, job.repository));
  });
}

/**
 * The same, where nobody has said yet which repository a project's address is: the connections in use at that forge are asked,
 * and the answer is kept. So a job works on a private repository from its first moment, and not from when the watch has looked.
 * Refuses what `Forges.find` refuses: an outage is no sign that nobody reaches it.
 */
export async function findRepositoryOfJob(
  deps: ForgeDeps,
  organizationId: string,
  subject: GitSubject,
): Promise<Outcome<KnownRepository | null>> {
  const known = await repositoryOfJob(deps, organizationId, subject);
  if (known) return accept(known);
  const found = await deps.forges.find(organizationId, subject.repository);
  if (!found.ok || !found.value) return found as Outcome<null>;
  const noted = await linkRepository(deps, organizationId, { ...found.value, projectId: subject.projectId });
  return accept(noted.ok ? noted.value : null);
}

/** Stores what the forge says of a repository, as that of a project. */
export async function linkRepository(
  deps: Pick<ForgeDeps, "db" | "canonicalRepository">,
  organizationId: string,
  { connectionId, repository, projectId }: { connectionId: string; repository: ForgeRepository; projectId: string },
): Promise<Outcome<KnownRepository>> {
  const noted = await noteRepository(deps, organizationId, connectionId, repository);
  if (!noted.ok) return noted;
  const at = { connectionId, externalId: repository.id };
  await deps.db.tenant(organizationId, (tx) => linkProject(tx, at, projectId));
  return accept({ ...noted.value, projectId });
}

/**
 * Whether the forge protects a branch of the repository at an address now. Closed on doubt: where a connection reaches the
 * repository and its forge does not say, the branch counts as protected.
 */
export async function isProtectedBranch(
  deps: ForgeDeps,
  organizationId: string,
  repository: string,
  branch: string,
): Promise<boolean> {
  const known = await deps.db.tenant(organizationId, (tx) => repositoryAt(tx, repository));
  if (!known) return false;
  const found = await lookAtRepository(deps, organizationId, known);
  if (!found.ok) return true;
  const held = await found.value.forge.getBranch(found.value.repository, branch);
  return !held.ok || held.value?.protected === true;
}

/**
 * Credential for git or the API of a job's repository, minted for this operation: for one repository and purpose. Null where no
 * connection in use reaches the repository: a stored secret may.
 */
export async function forgeCredential(
  deps: ForgeDeps,
  organizationId: string,
  subject: GitSubject,
  purpose: GitPurpose,
): Promise<Outcome<(ForgeCredential & { address?: string }) | null>> {
  const known = await findRepositoryOfJob(deps, organizationId, subject);
  if (!known.ok || !known.value) return known as Outcome<null>;
  const found = await lookAtRepository(deps, organizationId, known.value);
  if (!found.ok) return found;
  const { forge, repository } = found.value;
  if (purpose === "read" || purpose === "push") {
    const made = await forge.gitCredential(repository, purpose);
    const address = deps.canonicalRepository(repository.cloneUrl);
    if (!made.ok || !address.ok || address.value === subject.repository) return made;
    return accept({ ...made.value, address: address.value });
  }
  return forge.apiCredential(repository, purpose === "forge.read" ? "read" : "comment");
}

/**
 * Read credential for a submodule's repository, minted for that one repository by the connection that reaches the job's own.
 * Null where it is elsewhere, or the connection does not reach it: never the credential of the job's repository.
 */
export async function submoduleCredential(
  deps: ForgeDeps,
  organizationId: string,
  job: GitSubject,
  address: string,
): Promise<Outcome<{ authorization: string } | null>> {
  const known = await repositoryOfJob(deps, organizationId, job);
  const own = known && new URL(known.cloneUrl);
  if (!known || !URL.canParse(address) || new URL(address).origin !== own?.origin) return accept(null);
  const forge = await deps.forges.open(organizationId, known.connectionId);
  if (!forge.ok) return accept(null);
  const fullName = new URL(address).pathname.replace(/^\/+/, "").replace(/\.git$/, "");
  if (fullName.split("/").length !== 2) return accept(null);
  const found = await forge.value.getRepository({ fullName: decodeURIComponent(fullName) });
  if (!found.ok) return found.code === "forge_not_found" || found.code === "forge_forbidden" ? accept(null) : found;
  const made = await forge.value.gitCredential(found.value, "read");
  // A public one outside the installation is seen, and no token can be for it: it is read without.
  if (!made.ok) return made.code === "forge_unavailable" || made.code === "forge_limited" ? made : accept(null);
  return accept({ authorization: made.value.authorization });
}

/**
 * What a job's sidecar needs to know of the forge of its repository: where the API is, the name there, and the numbers of the
 * job's own issue and pull request. Null where no connection in use reaches the repository: the job then goes without.
 */
export async function forgeOfJob(
  deps: ForgeDeps,
  organizationId: string,
  subject: GitSubject,
): Promise<Omit<SidecarForge, "repository"> | null> {
  const asked = await findRepositoryOfJob(deps, organizationId, subject);
  const known = asked.ok ? asked.value : null;
  const forge = known && (await deps.forges.open(organizationId, known.connectionId));
  if (!known || !forge?.ok) return null;
  const numbers = await deps.db.tenant(organizationId, async (tx) =>
    subject.id === null
      ? []
      : [(await getOrigin(tx, subject.id))?.issueNumber, (await getPullRequest(tx, subject.id))?.number],
  );
  return {
    ...{ kind: "github", api: forge.value.apiUrl, fullName: known.fullName },
    conversations: numbers.filter((number) => typeof number === "number"),
  };
}
