import { getEvidence, pendingApproval, recordPublication, useApproval, voidApprovals } from "@x1agent/domain-approvals";
import { type JobRecord, setJobFacts } from "@x1agent/domain-jobs";
import { appendEvents } from "@x1agent/domain-sessions";
import { publishApproved } from "../../use-cases/publish.ts";
import type { LoopDeps } from "../deps.ts";
import { observed, transition } from "../record.ts";
import { trustOf } from "./trust.ts";

/**
 * `publishing`: pushes exactly what the pending approval's digest stands for. The approval is used together with the move to
 * `succeeded`, so a crash in between repeats a push that finds itself done. What moved voids the approval and asks again.
 */
export async function publish(deps: LoopDeps, job: JobRecord): Promise<JobRecord> {
  const approved = await deps.db.tenant(job.organizationId, async (tx) => {
    const approval = await pendingApproval(tx, job.id);
    return approval && { approval, evidence: await getEvidence(tx, approval.evidenceId) };
  });
  if (!approved?.evidence)
    return transition(deps, job, {
      to: "awaiting_approval",
      reason: "publish_refused",
      detail: "There is no approval that could be used.",
      attemptId: null,
    });
  const { approval, evidence } = approved;
  const attemptId = evidence.attemptId;
  const credential = await deps.credential?.(job.organizationId, job.repository);
  const { packBlob } = evidence;
  // Another service may have done the work: only database and blobs are shared.
  const rebuilt = await deps.git.rebuild(
    job.id,
    evidence.record.commit,
    {
      ...{ organizationId: job.organizationId, repository: job.repository, trust: trustOf(job) },
      ...{ base: evidence.record.base, ...(credential ? { credential } : {}) },
    },
    async () => (packBlob ? deps.blobs.get(packBlob) : null),
  );
  const request = {
    ...{
      organizationId: job.organizationId,
      jobId: job.id,
      trust: trustOf(job),
      digest: approval.digest,
      evidenceId: evidence.id,
    },
    ...{
      override: approval.decision === "override",
      jobRepository: deps.git.jobRepositoryPath(job.id),
      baseBranch: evidence.baseBranch,
    },
    ...(credential ? { credential } : {}),
  };
  const published = rebuilt.ok ? await publishApproved(deps, request) : rebuilt;
  if (!published.ok) {
    return transition(deps, job, {
      ...{ to: "awaiting_approval", reason: "publish_refused", detail: published.detail, attemptId },
      async also(tx) {
        await voidApprovals(tx, job.id);
        const payload = { outcome: "refused" as const, code: published.code, detail: published.detail.slice(0, 2_000) };
        await appendEvents(tx, job.organizationId, job.id, [
          observed({ type: "publication.ended", payload }, attemptId),
        ]);
      },
    });
  }
  const { branch, commit, url, repository, pullRequest } = published.value;
  return transition(deps, job, {
    ...{ to: "succeeded", reason: "published", attemptId },
    async also(tx) {
      await useApproval(tx, approval.id);
      await recordPublication(tx, job.organizationId, {
        jobId: job.id,
        approvalId: approval.id,
        repository,
        branch,
        commit,
        url,
        ...pullRequest,
      });
      await setJobFacts(tx, job.id, { publishedCommit: commit });
      const payload = { outcome: "published" as const, branch, commit, ...(url ? { url } : {}) };
      await appendEvents(tx, job.organizationId, job.id, [observed({ type: "publication.ended", payload }, attemptId)]);
    },
  });
}
