import type { JobRecord } from "@x1agent/domain-jobs";
import type { SecretOwner } from "@x1agent/domain-secrets";

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
