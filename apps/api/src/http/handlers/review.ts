import { accept, Digest, type Outcome } from "@x1agent/contract";
import type { Caller } from "../../use-cases/index.ts";
import type { Handlers, Principal } from "../call.ts";
import { wholePage } from "../presenters.ts";
import { callerOf, found } from "./common.ts";
import type { HandlerDeps } from "./index.ts";

type Names =
  | "listEvidence"
  | "jobDiff"
  | "listDiffFiles"
  | "getDiffSource"
  | "listApprovals"
  | "decide"
  | "listPublications"
  | "getBlob";

export function reviewHandlers({ useCases: { jobs, review } }: HandlerDeps): Pick<Handlers, Names> {
  /** Every list below belongs to a job that the caller must be able to see. */
  async function ofJob<T>(
    call: { principal: Principal; params: { jobId: string } },
    read: (caller: Caller, jobId: string) => Promise<T>,
  ): Promise<Outcome<T>> {
    const caller = callerOf(call);
    const job = found(await jobs.get(caller, call.params.jobId), "job");
    return job.ok ? accept(await read(caller, job.value.id)) : job;
  }
  return {
    listEvidence: (call) => ofJob(call, async (caller, jobId) => wholePage(await review.evidence(caller, jobId))),
    listApprovals: (call) => ofJob(call, async (caller, jobId) => wholePage(await review.approvals(caller, jobId))),
    listPublications: (call) =>
      ofJob(call, async (caller, jobId) => wholePage(await review.publications(caller, jobId))),
    async jobDiff(call) {
      const diff = await ofJob(call, (caller, jobId) => review.diff(caller, jobId, call.query.evidenceId));
      return diff.ok ? found(diff.value, "evidence yet") : diff;
    },
    async getDiffSource(call) {
      const { evidenceId, path } = call.query;
      const read = await ofJob(call, (caller, jobId) => review.source(caller, jobId, evidenceId, path));
      return read.ok ? found(read.value, "file any more: the job's repository is let go once it is published") : read;
    },
    async listDiffFiles(call) {
      const { evidenceId, limit, cursor, line } = call.query;
      const at = Number(cursor ?? 0);
      const read = await ofJob(call, (caller, jobId) =>
        review.diffFiles(caller, jobId, { evidenceId, at, limit, line }),
      );
      const diff = read.ok ? found(read.value, "evidence yet") : read;
      if (!diff.ok) return diff;
      return accept({ items: diff.value.files, cursor: diff.value.more ? String(at + limit) : null });
    },
    decide: (call) => review.decide(callerOf(call), call.params.jobId, call.body),
    async getBlob(call) {
      // Only a digest is ever looked up: nothing else of the address reaches the blob store.
      const digest = Digest.safeParse(call.params.digest);
      const blob = await ofJob(call, async (caller, jobId) =>
        digest.success ? review.blob(caller, jobId, digest.data) : null,
      );
      return blob.ok ? found(blob.value, "blob of this job") : blob;
    },
  };
}
