import { createHash } from "node:crypto";
import { type EvidenceRecord, formatActor, formatUsd, type JobState } from "@x1agent/contract";
import { listApprovals, listEvidence, listPublications, type StoredEvidence } from "@x1agent/domain-approvals";
import { checkLater, checkSent, checksToPut, listForgeChecks, noteForgeCheck } from "@x1agent/domain-forges";
import { getJob, type JobRecord } from "@x1agent/domain-jobs";
import type { CheckRequest } from "@x1agent/forges";
import { verificationSentence } from "../git/index.ts";
import { type Cycle, there } from "./cycle.ts";

/** Stable, so that branch rules can require it. */
export const CHECK_NAME = "x1agent";
const LATER_MS = 60_000;

/** What one commit's check says. */
export type CheckText = Pick<CheckRequest, "state" | "conclusion" | "title" | "summary" | "annotations">;

/**
 * The check of one commit that a job published. It stands on commits that the job made and on no others: of the base it would
 * speak for everybody who branches off, and of people's commits the platform knows nothing. While another round runs it says
 * so on the newest; a commit that was replaced says by which. Pure.
 */
export function checkOf(facts: {
  commit: string;
  job: Pick<JobRecord, "state" | "reason" | "round" | "publishedCommit">;
  evidence: Pick<StoredEvidence, "record" | "approvalDigest"> | null;
  /** Who approved this commit, as `kind:id`, and whether against a failed verification. */
  approval: { actor: string; override: boolean } | null;
}): CheckText {
  const { commit, job, evidence, approval } = facts;
  const summary = evidence ? summaryOf(evidence.record, evidence.approvalDigest) : "";
  const annotations = evidence ? annotationsOf(evidence.record) : [];
  const done = (conclusion: NonNullable<CheckRequest["conclusion"]>, title: string): CheckText => ({
    ...{ state: "completed", conclusion, title, summary, annotations },
  });
  if (job.publishedCommit !== null && job.publishedCommit !== commit)
    return done("neutral", `Replaced by ${job.publishedCommit.slice(0, 12)}`);
  const passed = evidence?.record.verification.passed ?? null;
  const verdict =
    passed === true ? "verified" : passed === false ? "its verification did not pass" : "nothing was verified";
  const approved = done(
    passed === true ? "success" : "neutral",
    approval ? `Approved by ${approval.actor}, published; ${verdict}` : `Published; ${verdict}`,
  );
  const during = (state: "queued" | "in_progress", title: string): CheckText => ({
    ...{ state, conclusion: null, title, summary, annotations },
  });
  const next: Record<JobState, CheckText> = {
    queued: during("queued", "Another round is queued"),
    provisioning: during("in_progress", "Another round begins"),
    running: during("in_progress", `Round ${job.round + 1} is running`),
    awaiting_input: during("in_progress", "Another round waits for an answer"),
    verifying: during("in_progress", `Round ${Math.max(1, job.round)} is verifying`),
    awaiting_approval: done("action_required", "The next change awaits approval"),
    publishing: during("in_progress", "The next change is being published"),
    succeeded: approved,
    no_changes: done(approved.conclusion ?? "neutral", `${approved.title}; the last round changed nothing`),
    rejected: done(approved.conclusion ?? "neutral", `${approved.title}; the next change was rejected`),
    failed: done("neutral", `The next round failed: ${words(job.reason)}`),
    cancelled: done("cancelled", "The job was cancelled"),
    timed_out: done("timed_out", "The next round ran out of time"),
    budget_exceeded: done("neutral", "The budget is spent"),
    lost: done("neutral", "The next round was lost"),
  };
  return next[job.state];
}

const words = (code: string) => code.replaceAll("_", " ");
/** As a word in Markdown: nothing in it is markup. */
const inline = (text: string) => `\`${text.replaceAll(/[`\p{Cc}\p{Cf}]/gu, " ").slice(0, 300)}\``;

function summaryOf(record: EvidenceRecord, digest: string | null): string {
  return [
    `- ${record.files.length} files, +${record.insertions} -${record.deletions}`,
    `- ${verificationSentence(record.verification)}`,
    ...(record.baseline ? [`- before the change: ${verificationSentence(record.baseline)}`] : []),
    `- cost so far: ${formatUsd(record.costMicros)}`,
    ...record.egressBlocked
      .slice(0, 20)
      .map(({ host, port, count }) => `- blocked ${count} times: ${inline(`${host}:${port}`)}`),
    ...(digest ? [`- digest of what was approved: ${inline(digest)}`] : []),
  ].join("\n");
}

/** Files at which a person must look, and the lines where that is known. */
function annotationsOf(record: EvidenceRecord): CheckText["annotations"] {
  return record.files
    .filter(({ flags, status }) => flags.length > 0 && status !== "deleted")
    .slice(0, 200)
    .map(({ path, flags, risks }) => ({
      ...{ path, line: risks?.find(({ line }) => line !== null)?.line ?? 1, level: "notice" as const },
      message: `Look at this: ${[...flags, ...(risks ?? []).map(({ reason }) => reason)].join(", ")}`.slice(0, 2_000),
    }));
}

/**
 * Puts what is wanted. What is said is read from the job when it is sent, and one process at a time sends: a late state never
 * comes after a newer one. A crash after the forge took it repeats it, and finds its own check by its key.
 */
export async function putChecks(cycle: Cycle): Promise<void> {
  for (const due of await cycle.tenant((tx) => checksToPut(tx, cycle.connection.id))) {
    const { jobId, wanted } = due;
    const repository = await cycle.repository(due.repository);
    if (!repository) {
      await cycle.tenant((tx) => checkLater(tx, jobId, LATER_MS));
      continue;
    }
    const facts = await cycle.tenant(async (tx) => ({
      job: await getJob(tx, jobId),
      evidence: await listEvidence(tx, jobId),
      approvals: await listApprovals(tx, jobId),
      publications: await listPublications(tx, jobId),
      known: await listForgeChecks(tx, jobId),
    }));
    const { job } = facts;
    if (!job) continue;
    const newest = facts.publications[0]?.commit ?? job.publishedCommit;
    // Replaced ones first: at no time do two of them ask for something.
    const commits = [...facts.known.filter(({ ended }) => !ended).map(({ commit }) => commit), newest];
    for (const commit of new Set(commits)) {
      if (commit === null) continue;
      const approval = facts.approvals.find(
        ({ id }) => id === facts.publications.find((one) => one.commit === commit)?.approvalId,
      );
      const text = checkOf({
        ...{ commit, job: { ...job, publishedCommit: newest } },
        evidence: facts.evidence.find(({ record }) => record.commit === commit) ?? null,
        approval: approval ? { actor: formatActor(approval.actor), override: approval.decision === "override" } : null,
      });
      const sent = createHash("sha256").update(JSON.stringify(text)).digest("hex");
      if (facts.known.find((one) => one.commit === commit)?.sent === sent) continue;
      const put = there(
        await cycle.forge.putCheck(repository, {
          ...{ name: CHECK_NAME, key: `${jobId}:${commit}`, commit, ...text, detailsUrl: cycle.deps.jobUrl(jobId) },
        }),
      );
      const ended = commit !== newest;
      if (put)
        await cycle.tenant((tx) =>
          noteForgeCheck(tx, cycle.organizationId, { jobId, commit, checkId: put.id, sent, ended }),
        );
    }
    await cycle.tenant((tx) => checkSent(tx, jobId, wanted));
  }
}
