import { accept, formatActor, type JobState, type Outcome, type ReasonCode, refuse } from "@x1agent/contract";
import {
  evidenceNamesBlob,
  getEvidence,
  listApprovals,
  listEvidence,
  listPublications,
  recordApproval,
  type StoredEvidence,
  voidApprovals,
} from "@x1agent/domain-approvals";
import { getJob, type JobRecord, moveJob } from "@x1agent/domain-jobs";
import { appendEvents, eventNamesBlob, putCommand } from "@x1agent/domain-sessions";
import type { BlobStore, Database, Tx } from "@x1agent/kernel";
import { diffPage, visible } from "../git/index.ts";
import { audited } from "./audit.ts";
import { checkComments, checkDecision, eventComments } from "./decide.ts";
import type { Caller, UseCases } from "./index.ts";

export type ReviewDeps = {
  db: Pick<Database, "tenant">;
  blobs: BlobStore;
  present(tx: Tx, job: JobRecord): Promise<UseCasesJob>;
  /** Tells the loop that a job can go on. */
  kick(organizationId: string, jobId: string): void;
  /** A file of a job's repository at a commit, bounded; null when either is not there (any more). */
  source(jobId: string, commit: string, path: string): Promise<{ text: string; truncated: boolean } | null>;
};
type UseCasesJob = Extract<Awaited<ReturnType<UseCases["review"]["decide"]>>, { ok: true }>["value"];

/** Characters of one line that are shown around a change. */
const MAX_SOURCE_LINE = 4_000;
/** A log or an event's body is at most this large when it leaves through the API. */
const MAX_BLOB_ANSWER = 64 * 1024 ** 2;

const reasons: Record<Extract<JobState, "publishing" | "rejected" | "queued">, ReasonCode> = {
  publishing: "approved_by_person",
  rejected: "rejected_by_person",
  queued: "changes_requested",
};

/** Looking at a change, and deciding on exactly what was looked at. */
export function reviewUseCases({ db, blobs, present, kick, source }: ReviewDeps): UseCases["review"] {
  async function storedDiff(caller: Caller, jobId: string, evidenceId: string | undefined) {
    const evidence = await db.tenant(caller.organizationId, async (tx) =>
      evidenceId === undefined ? (await listEvidence(tx, jobId))[0] : await getEvidence(tx, evidenceId),
    );
    if (evidence?.jobId !== jobId || evidence.diffBlob === null) return null;
    const diff = await blobs.get(evidence.diffBlob);
    return diff ? { diff: diff.toString("utf8"), files: evidence.record.files } : null;
  }
  return {
    evidence: (caller, jobId) =>
      db.tenant(caller.organizationId, async (tx) => (await listEvidence(tx, jobId)).map(shown)),
    approvals: (caller, jobId) => db.tenant(caller.organizationId, (tx) => listApprovals(tx, jobId)),
    publications: (caller, jobId) => db.tenant(caller.organizationId, (tx) => listPublications(tx, jobId)),

    diff: async (caller, jobId, evidenceId) => (await storedDiff(caller, jobId, evidenceId))?.diff ?? null,

    async diffFiles(caller, jobId, { evidenceId, at, limit, line }) {
      const stored = await storedDiff(caller, jobId, evidenceId);
      if (!stored) return null;
      return { files: diffPage(stored.files, stored.diff, at, limit, line), more: stored.files.length > at + limit };
    },

    async source(caller, jobId, evidenceId, path) {
      const evidence = await db.tenant(caller.organizationId, (tx) => getEvidence(tx, evidenceId));
      if (evidence?.jobId !== jobId || !evidence.record.files.some((file) => file.path === path)) return null;
      const found = await source(jobId, evidence.record.commit, path);
      if (!found || found.text.includes("\0")) return null;
      const lines = visible(found.text, true).split("\n");
      // What ends with a line break has no line after it.
      if (lines.at(-1) === "") lines.pop();
      return { lines: lines.map((line) => line.slice(0, MAX_SOURCE_LINE)), truncated: found.truncated };
    },

    async blob(caller, jobId, digest) {
      // The store is shared by all organizations: a digest opens nothing unless the job itself names it.
      const named = await db.tenant(
        caller.organizationId,
        async (tx) => (await eventNamesBlob(tx, jobId, digest)) || (await evidenceNamesBlob(tx, jobId, digest)),
      );
      if (!named || ((await blobs.size(digest)) ?? 0) > MAX_BLOB_ANSWER) return null;
      return blobs.get(digest);
    },

    async decide(caller, jobId, { decision, digest, comment, comments }) {
      const decided = await db.tenant(caller.organizationId, async (tx): Promise<Outcome<UseCasesJob>> => {
        const job = await getJob(tx, jobId);
        if (!job) return refuse("not_found", "No such job.");
        const current = (await listEvidence(tx, jobId)).find(
          (item) => item.approvalDigest !== null && item.approvalDigest === job.approvalDigest,
        );
        const checked = checkDecision({
          state: job.state,
          decision,
          digest,
          currentDigest: current?.approvalDigest ?? null,
          verification: current?.record.verification ?? { passed: null, withBaseTests: null },
        });
        if (!checked.ok) return checked;
        if (!current) return refuse("digest_mismatch");
        const remarks = checkComments(decision, comments ?? [], current.record.files);
        if (!remarks.ok) return remarks;
        const { to } = checked.value;
        const moved = await moveJob(tx, {
          jobId,
          from: job.state,
          to,
          reason: reasons[to],
          actor: caller.actor,
          ...(comment === undefined ? {} : { detail: comment.slice(0, 2_000) }),
        });
        if (!moved.ok) return moved;
        await voidApprovals(tx, jobId);
        const approval = await recordApproval(tx, caller.organizationId, {
          jobId,
          evidenceId: current.id,
          decision,
          digest,
          actor: caller.actor,
          comment: comment ?? null,
          comments: remarks.value,
        });
        const actor = formatActor(caller.actor);
        await appendEvents(tx, caller.organizationId, jobId, [
          {
            type: "approval.recorded",
            source: "observed",
            attemptId: current.attemptId,
            payload: {
              ...{ approvalId: approval.id, decision, digest, actor },
              ...(comment ? { detail: comment.slice(0, 2_000) } : {}),
              ...(remarks.value.length > 0 ? { comments: eventComments(remarks.value) } : {}),
            },
          },
          {
            type: "job.state",
            source: "observed",
            attemptId: current.attemptId,
            payload: { from: job.state, to, reason: reasons[to], actor },
          },
        ]);
        await putCommand(tx, caller.organizationId, jobId, {
          kind: "decided",
          dedupe: approval.id,
          body: { decision, comment: comment ?? null },
          actor: caller.actor,
        });
        const answer = await present(tx, moved.value);
        await audited(tx, caller, `job.${decision}`, jobId, { approval: approval.id, digest, evidence: current.id });
        return accept(answer);
      });
      if (decided.ok) kick(caller.organizationId, jobId);
      return decided;
    },
  };
}

/** Evidence as people see it: without what only publishing needs. */
function shown({ subject: _subject, diffBlob: _diff, baseBranch: _branch, ...evidence }: StoredEvidence) {
  return evidence;
}
