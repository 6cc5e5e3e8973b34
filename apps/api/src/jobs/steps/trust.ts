import type { JobRecord } from "@x1agent/domain-jobs";

/** Trust label of a job: what was fetched or saved under one label is never shown under another. Pure. */
export const trustOf = (job: Pick<JobRecord, "createdBy">): string =>
  job.createdBy.kind === "user" ? "member" : job.createdBy.kind;
