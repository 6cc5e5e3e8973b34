import { type Actor, formatActor, platformActor } from "@x1agent/contract";
import { appendAudit } from "@x1agent/domain-audit";
import { jobMoney } from "@x1agent/domain-budgets";
import {
  countFollowUp,
  type FollowUp,
  listFollowUps,
  lockPullRequest,
  moveFollowUps,
  type OpenPullRequest,
} from "@x1agent/domain-forges";
import { changeSettings, getJob, type JobMerge, type JobRecord, moveJob, setJobFacts } from "@x1agent/domain-jobs";
import { appendEvents, dropSavedSessions, dropSavedWork } from "@x1agent/domain-sessions";
import { fromOutside, roundBound, roundReason } from "@x1agent/forges";
import type { Tx } from "@x1agent/kernel";
import { policyOf } from "./cycle.ts";

/** States of a job that is done with its last round and may begin another. */
const idle: readonly JobRecord["state"][] = ["succeeded", "no_changes", "rejected"];
/** Why a follow-up that was held waits again. */
export const ASKED = "A person asked for it.";

const OUTSIDE =
  "It carries words from outside from now on: no push and no comment by its agent, the narrowest network, a new conversation, and a person approves.";

/** What the next round of a job would be: `bound` is why it does not begin by itself. */
export type NextRound = { job: JobRecord; pull: OpenPullRequest; items: FollowUp[]; bound: string | null };

/** Looks whether a round is due, and locks the pull request's row while it is decided. Null when there is nothing to begin. */
export async function nextRound(tx: Tx, jobId: string, head: string): Promise<NextRound | null> {
  const pull = await lockPullRequest(tx, jobId);
  const job = await getJob(tx, jobId);
  if (!pull || !job || !idle.includes(job.state)) return null;
  const waiting = await listFollowUps(tx, jobId, ["waiting"]);
  // A check or a conflict of a commit that is not the branch's head any more is nobody's concern.
  const stale = waiting.filter(({ kind, key }) => kind !== "review" && key.split(":")[1] !== head);
  if (stale.length > 0) await moveFollowUps(tx, jobId, ["waiting"], "dropped", { ids: stale.map(({ id }) => id) });
  const items = waiting.filter((item) => !stale.includes(item)).reverse();
  if (!items.some(({ starts }) => starts)) return null;
  const policy = await policyOf(tx, job.projectId);
  const money = await jobMoney(tx, jobId);
  const asked = items.some(({ detail }) => detail === ASKED);
  const bound = roundBound({
    followUps: pull.followUps,
    // What a person asked for is bounded by money alone.
    maxRounds: asked ? Number.POSITIVE_INFINITY : policy.maxRounds,
    spentMicros: money.spentMicros,
    limitMicros: money.limitMicros ?? job.budgetMicros,
  });
  return { job, pull, items, bound };
}

/**
 * Begins a round on the branch's present head: the job's move, what it is told, its base and the count in one transaction.
 * What the last attempt left in its work tree is in the branch; laid over people's commits it would take them back.
 * Words from outside make the job one from outside, for this round and those that follow, since its conversation holds them
 * from then on; and what it had been told before is not part of that conversation.
 */
export async function beginRound(tx: Tx, { job, items }: NextRound, head: string, actor: Actor): Promise<boolean> {
  const { organizationId, id: jobId } = job;
  const reason = roundReason(items);
  const batch = await countFollowUp(tx, jobId);
  // What an earlier round was told and did not publish is not told again.
  await moveFollowUps(tx, jobId, ["sent"], "done");
  await moveFollowUps(tx, jobId, ["waiting"], "sent", { ids: items.map(({ id }) => id), batch });
  await setJobFacts(tx, jobId, { ...standsOn(items, head), approvalDigest: null });
  const turns = job.trust !== "outside" && fromOutside(items);
  if (turns) {
    await changeSettings(tx, jobId, { trust: "outside" });
    await dropSavedSessions(tx, jobId);
  } else await dropSavedWork(tx, jobId);
  const moved = await moveJob(tx, { jobId, from: job.state, to: "queued", reason, actor });
  // The row was read under the pull request's lock, but others move jobs without it.
  if (!moved.ok) throw new Error(`The job moved meanwhile: ${moved.detail}`);
  const detail = `Round ${batch} on ${head.slice(0, 12)}: ${items.length} ${items.length === 1 ? "remark" : "remarks"}.`;
  await appendEvents(tx, organizationId, jobId, [
    { type: "forge.noted", source: "observed", attemptId: null, payload: { kind: "round", detail } },
    ...(turns
      ? [
          {
            ...{ type: "forge.noted", source: "observed" as const, attemptId: null },
            payload: { kind: "outside", detail: OUTSIDE },
          },
        ]
      : []),
    {
      ...{ type: "job.state", source: "observed", attemptId: null },
      payload: { from: job.state, to: "queued", reason, actor: formatActor(actor), detail },
    },
  ]);
  await appendAudit(tx, organizationId, {
    ...{ actor, action: "job.moved", subject: jobId },
    data: {
      from: job.state,
      to: "queued",
      reason,
      base: head,
      followUps: items.map(({ id }) => id),
      ...(turns ? { trust: "outside" } : {}),
    },
  });
  return true;
}

/**
 * What a round stands on: the branch's head or, where that has to take its base in, the base with the head laid on it. An
 * agent is needed only where something else was said too. Pure.
 */
export function standsOn(
  items: readonly Pick<FollowUp, "kind" | "body">[],
  head: string,
): { baseCommit: string; merge: JobMerge | null } {
  // In the order in which they were seen: the last one names where the base is now.
  const side = items.findLast(({ kind }) => kind === "base")?.body.commit;
  if (!side) return { baseCommit: head, merge: null };
  const merge: JobMerge = {
    ...{ onto: head, work: head, side, from: null, kept: null, baseBranch: null, tries: 0, conflicts: [] },
    ...{ agent: items.some(({ kind }) => kind !== "base"), feedback: null },
  };
  return { baseCommit: side, merge };
}

/** Holds what waits, because a bound is reached: it is shown, and a person may ask for it. */
export async function holdRound(tx: Tx, { job, items, bound }: NextRound): Promise<void> {
  await moveFollowUps(tx, job.id, ["waiting"], "held", { ids: items.map(({ id }) => id), detail: bound });
  await appendEvents(tx, job.organizationId, job.id, [
    { type: "forge.noted", source: "observed", attemptId: null, payload: { kind: "held", detail: bound ?? "" } },
  ]);
  await appendAudit(tx, job.organizationId, {
    ...{ actor: platformActor, action: "follow_ups.held", subject: job.id },
    data: { followUps: items.map(({ id }) => id) },
  });
}
