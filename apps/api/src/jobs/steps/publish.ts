import { accept, type Refusal } from "@x1agent/contract";
import { getEvidence, pendingApproval, recordPublication, useApproval, voidApprovals } from "@x1agent/domain-approvals";
import { moveFollowUps, savePullRequest } from "@x1agent/domain-forges";
import { type JobRecord, parkJob, setJobFacts } from "@x1agent/domain-jobs";
import { appendEvents } from "@x1agent/domain-sessions";
import type { GitCredential } from "../../git/index.ts";
import { publishApproved } from "../../use-cases/publish.ts";
import type { LoopDeps } from "../deps.ts";
import { observed, transition } from "../record.ts";
import { isPartial } from "./content.ts";
import { beginMerge, movedBase, movedTarget } from "./merge.ts";
import { trustOf } from "./trust.ts";
import { isPassing, MAX_WAITS, waitMs } from "./wait.ts";

/**
 * `publishing`: pushes exactly what the pending approval's digest stands for, and opens the pull request where a forge has the
 * repository. The approval is used together with the move to `succeeded`, so a crash in between repeats a push, and a pull
 * request, that find themselves done. What moved voids the approval and asks again; a forge that is away is waited for.
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
  const refused = async (refusal: Pick<Refusal, "code" | "detail">) =>
    (isPassing(refusal) && !job.cancelRequested ? await park(deps, job, refusal, attemptId) : null) ??
    refuseApproved(deps, job, refusal, attemptId);
  const publishing = { job, evidence, credential: null as GitCredential | null };
  const asked = (await deps.credential?.(job, "push")) ?? accept(null);
  if (!asked.ok) return refused(asked);
  const credential = asked.value;
  publishing.credential = credential;
  const base = (await deps.baseBranch?.(job, evidence.baseBranch)) ?? accept(evidence.baseBranch);
  if (!base.ok) return refused(base);
  const { packBlob } = evidence;
  const partial = await isPartial(deps, job);
  // Another service may have done the work: only database and blobs are shared.
  const rebuilt = await deps.git.rebuild(
    job.id,
    evidence.record.commit,
    {
      ...{ organizationId: job.organizationId, repository: job.repository, trust: trustOf(job) },
      ...{ base: evidence.record.base, partial, ...(credential ? { credential } : {}) },
    },
    async () => (packBlob ? deps.blobs.get(packBlob) : null),
    evidence.record.onto,
  );
  const request = {
    ...{
      organizationId: job.organizationId,
      jobId: job.id,
      trust: trustOf(job),
      digest: approval.digest,
      evidenceId: evidence.id,
      partial,
    },
    ...{
      override: approval.decision === "override",
      jobRepository: deps.git.jobRepositoryPath(job.id),
      baseBranch: base.value,
    },
    ...(credential ? { credential } : {}),
    ...(deps.contentFetch ? { fetch: deps.contentFetch } : {}),
    // As they are now, not as they were when the evidence was made.
    secrets: (await deps.knownSecrets?.(job.organizationId)) ?? [],
  };
  const based = rebuilt.ok ? await movedBase(deps, publishing, base.value) : accept(null);
  if (!based.ok) return refused(based);
  const conflicting = based.value;
  if (conflicting) {
    const at = conflicting.side.slice(0, 12);
    const refusal = {
      code: "publish_moved" as const,
      detail: `${base.value} moved to ${at}, with which the approved change conflicts: it is laid on that and needs another approval.`,
    };
    return (await beginMerge(deps, publishing, conflicting, base.value, refusal)) ?? refused(refusal);
  }
  const published = rebuilt.ok ? await publishApproved(deps, request) : rebuilt;
  if (!published.ok) {
    const moved = published.code === "publish_moved" ? await movedTarget(deps, publishing) : accept(null);
    if (!moved.ok) return refused(moved);
    const begun = moved.value && (await beginMerge(deps, publishing, moved.value, base.value, published));
    return begun ?? refused(published);
  }
  const { branch, commit, repository, pullRequest } = published.value;
  const opened =
    (await deps.pullRequest?.(job, {
      ...{ branch, commit, ...pullRequest, baseCommit: evidence.record.base, baseBranch: base.value },
      files: evidence.record.files,
    })) ?? accept(null);
  if (!opened.ok) return refused(opened);
  const pull = opened.value;
  const url = pull?.url ?? published.value.url;
  return transition(deps, job, {
    ...{ to: "succeeded", reason: "published", attemptId },
    async also(tx) {
      await useApproval(tx, approval.id);
      await moveFollowUps(tx, job.id, ["sent"], "done");
      await recordPublication(tx, job.organizationId, {
        jobId: job.id,
        approvalId: approval.id,
        repository,
        branch,
        commit,
        url,
        ...pullRequest,
      });
      await setJobFacts(tx, job.id, { publishedCommit: commit, merge: null });
      if (pull) {
        const { notes, ...facts } = pull;
        await savePullRequest(tx, { ...facts, jobId: job.id, organizationId: job.organizationId, facts: { notes } });
        const { number, draft } = pull;
        const told = notes.slice(0, 50).map((note) => note.slice(0, 2_000));
        await appendEvents(tx, job.organizationId, job.id, [
          observed(
            { type: "publication.pull_request", payload: { number, url: pull.url, draft, notes: told } },
            attemptId,
          ),
        ]);
      }
      const payload = { outcome: "published" as const, branch, commit, ...(url ? { url } : {}) };
      await appendEvents(tx, job.organizationId, job.id, [observed({ type: "publication.ended", payload }, attemptId)]);
    },
  });
}

/** The forge is away: the approval stays, the job waits in its state and says why. Null when it waited long enough. */
async function park(
  deps: LoopDeps,
  job: JobRecord,
  refusal: Pick<Refusal, "code" | "detail">,
  attemptId: string,
): Promise<JobRecord | null> {
  return deps.db.tenant(job.organizationId, async (tx) => {
    const parked = await parkJob(tx, {
      ...{ jobId: job.id, state: "publishing", reason: "forge_waiting", detail: refusal.detail, delayMs: waitMs },
    });
    if (!parked || parked.waits > MAX_WAITS) return null;
    // Told when it begins and when the reason changes, not at each try.
    if (parked.waits === 1 || job.reasonDetail !== refusal.detail) {
      const payload = { code: refusal.code, detail: refusal.detail.slice(0, 2_000), tries: parked.waits };
      await appendEvents(tx, job.organizationId, job.id, [
        observed({ type: "publication.waiting", payload }, attemptId),
      ]);
    }
    return parked.job;
  });
}

/** Nothing is lost: the evidence stays, and a person may approve it again. */
function refuseApproved(
  deps: LoopDeps,
  job: JobRecord,
  { code, detail }: Pick<Refusal, "code" | "detail">,
  attemptId: string,
): Promise<JobRecord> {
  return transition(deps, job, {
    ...{ to: "awaiting_approval", reason: "publish_refused", detail, attemptId },
    async also(tx) {
      await voidApprovals(tx, job.id);
      const payload = { outcome: "refused" as const, code, detail: detail.slice(0, 2_000) };
      await appendEvents(tx, job.organizationId, job.id, [observed({ type: "publication.ended", payload }, attemptId)]);
    },
  });
}
