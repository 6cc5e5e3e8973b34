import type { JobRecord } from "@x1agent/domain-jobs";

/** Label of jobs whose words are those of a member. */
export const trustedLabel = "member";

/** Trust label of a job: what was fetched or saved under one label is never shown under another. Pure. */
export const trustOf = (job: Pick<JobRecord, "createdBy" | "trust">): string => job.trust ?? labelOf(job);

const labelOf = (job: Pick<JobRecord, "createdBy">): string =>
  job.createdBy.kind === "user" ? trustedLabel : job.createdBy.kind;
