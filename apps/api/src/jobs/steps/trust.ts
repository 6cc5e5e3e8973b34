import { gitSecretNames } from "@x1agent/contract";
import type { JobRecord } from "@x1agent/domain-jobs";
import type { SecretOwner } from "@x1agent/domain-secrets";
import type { Remote } from "../../git/index.ts";

/** Label of jobs whose words are those of a member. */
export const trustedLabel = "member";

/** Trust label of a job: what was fetched or saved under one label is never shown under another. Pure. */
export const trustOf = (job: Pick<JobRecord, "createdBy" | "trust">): string => job.trust ?? labelOf(job);

const labelOf = (job: Pick<JobRecord, "createdBy">): string =>
  job.createdBy.kind === "user" ? trustedLabel : job.createdBy.kind;

/** What decides whose secrets work is done with. */
export type SecretUser = Pick<JobRecord, "organizationId" | "projectId" | "createdBy" | "trust">;

/**
 * Whose secrets serve a job: its project's before the organization's. One whose words come from outside gets none of the
 * project's. Pure.
 */
export const secretsOf = (job: SecretUser): SecretOwner => ({
  organizationId: job.organizationId,
  projectId: trustOf(job) === trustedLabel ? job.projectId : null,
});

/**
 * Why a repository that says no may have said it: the job is from outside, and only its project has a login for that remote.
 * `own` and `shared` are the names of the project's secrets and of the organization's. Null where that is not so. Pure.
 */
export function withheldLogin(
  job: SecretUser,
  remote: Remote,
  own: readonly string[],
  shared: readonly string[],
): string | null {
  if (remote.kind === "local" || trustOf(job) === trustedLabel) return null;
  const names = gitSecretNames(remote);
  const name = names.find((one) => own.includes(one));
  if (name === undefined || names.some((one) => shared.includes(one))) return null;
  return `Words of this job come from outside, so it gets none of its project's own secrets: not ${name} either. Store it for the organization (\`x1 secrets set ${name}\` without a project) if such jobs may read the repository, or connect its forge.`;
}
