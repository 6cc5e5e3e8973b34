import { platformActor } from "@x1agent/contract";
import { appendAudit } from "@x1agent/domain-audit";
import {
  endPullRequest,
  type FollowUp,
  moveFollowUps,
  noteFollowUps,
  notePullRequest,
  type OpenPullRequest,
  quietFollowUps,
} from "@x1agent/domain-forges";
import { getJob, type JobRecord } from "@x1agent/domain-jobs";
import { appendEvents } from "@x1agent/domain-sessions";
import { authorsToAsk, type ForgePullRequest, type ForgeRepository, outcomeOf, planFollowUps } from "@x1agent/forges";
import type { Tx } from "@x1agent/kernel";
import { commandsIn } from "./commands.ts";
import { type Cycle, permissionsOf, policyOf, there } from "./cycle.ts";
import { beginRound, holdRound, nextRound } from "./round.ts";

/** Two remarks of the same second, one before a look and one after it: the next look begins this much earlier. */
const OVERLAP_MS = 120_000;
/** Checks of a commit that are kept for people to see. */
const MAX_CHECKS = 50;

/** Asks how a job's pull request stands, and notes what is new. Safe to repeat: everything is known by its key. */
export async function lookAtPullRequest(cycle: Cycle, row: OpenPullRequest): Promise<void> {
  const { forge, connection, timing } = cycle;
  const nextLookMs = connection.kind === "app" ? timing.reconcileMs : timing.pollMs;
  const later = () => cycle.tenant((tx) => notePullRequest(tx, row.jobId, { nextLookMs }));
  const repository = await cycle.repository(row.repository);
  const pull = repository && there(await forge.getPullRequest(repository, row.number));
  const job = await cycle.tenant((tx) => getJob(tx, row.jobId));
  if (!repository || !pull || !job) return void (await later());
  if (pull.state !== "open") return endOf(cycle, row, repository, pull, job);

  const since = row.readUntil && new Date(Date.parse(row.readUntil) - OVERLAP_MS).toISOString();
  const items = there(await forge.listReviewItems(repository, row.number, since)) ?? [];
  const checks = there(await forge.listChecks(repository, pull.head.commit)) ?? [];
  const failed = checks.some(({ state }) => state === "failed");
  const atBase = failed ? (there(await forge.listChecks(repository, pull.base.commit)) ?? []) : [];
  const permissions = await permissionsOf(cycle, repository, authorsToAsk(items, connection.actsAs));
  const policy = await cycle.tenant((tx) => policyOf(tx, job.projectId));
  // A forge names the base as it was when the branch was pushed: what it is to be merged with is asked for.
  const asked = pull.mergeable === false || pull.behind ? await forge.getBranch(repository, pull.base.branch) : null;
  const tip = asked && there(asked)?.commit;
  const plan = planFollowUps({
    ...{
      pull: tip ? { ...pull, base: { ...pull.base, commit: tip } } : pull,
      items,
      checks,
      permissions,
      policy,
      actsAs: connection.actsAs,
    },
    failingAtBase: new Set(atBase.filter(({ state }) => state === "failed").map(({ name }) => name)),
  });
  await commandsIn(cycle, { repository, number: row.number, policy, permissions, texts: items, jobId: row.jobId });
  const newest =
    items
      .map(({ updatedAt }) => updatedAt)
      .sort()
      .at(-1) ?? null;
  await cycle.tenant(async (tx) => {
    const made = await noteFollowUps(tx, job.organizationId, job.id, plan);
    await tell(tx, job, made);
    await notePullRequest(tx, job.id, {
      ...{ headCommit: pull.head.commit, draft: pull.draft, nextLookMs },
      facts: {
        ...{ at: new Date().toISOString(), mergeable: pull.mergeable, behind: pull.behind ?? false },
        checks: checks.slice(0, MAX_CHECKS).map(({ name, state, url }) => ({
          name: name.slice(0, 200),
          state,
          url: url?.slice(0, 2_000) ?? null,
        })),
      },
      readUntil: newest !== null && (row.readUntil === null || newest > row.readUntil) ? newest : null,
    });
  });
}

/** New things in the job's story. */
async function tell(tx: Tx, job: JobRecord, made: readonly FollowUp[]): Promise<void> {
  if (made.length === 0) return;
  const kinds = { review: "review", checks: "checks_failed", base: "base_moved" } as const;
  await appendEvents(
    tx,
    job.organizationId,
    job.id,
    made.slice(0, 100).map(({ kind, body, detail }) => ({
      ...{ type: "forge.noted", source: "observed" as const, attemptId: null },
      payload: {
        kind: kinds[kind],
        detail: [detail, body.text.slice(0, 1_000)].filter(Boolean).join("\n"),
        author: body.author,
        ...(body.url ? { url: body.url.slice(0, 2_000) } : {}),
      },
    })),
  );
}

/** Merged or closed: the pull request has ended, and with it the job, its branch and what still waited. */
async function endOf(
  cycle: Cycle,
  row: OpenPullRequest,
  repository: ForgeRepository,
  pull: ForgePullRequest,
  job: JobRecord,
): Promise<void> {
  if (pull.state === "open") return;
  const state = pull.state;
  const policy = await cycle.tenant((tx) => policyOf(tx, job.projectId));
  // Before the row: what a crash leaves undone is done by the next look, which finds the row open still.
  if (job.endedAt === null) await cycle.deps.cancel(job.organizationId, job.id, platformActor);
  let deleted = false;
  if (policy.deleteBranch && row.headBranch.startsWith("x1/") && pull.head.repositoryId === repository.id)
    deleted =
      there(
        (await cycle.forge.deleteBranch?.(repository, row.headBranch, pull.head.commit)) ?? { ok: true, value: false },
      ) ?? false;
  await cycle.tenant(async (tx) => {
    const outcome = outcomeOf(pull, job.publishedCommit);
    if (!(await endPullRequest(tx, job.id, { state, outcome, mergeCommit: pull.mergeCommit }))) return;
    await moveFollowUps(tx, job.id, ["waiting", "held", "sent"], "dropped");
    const said = (kind: string, detail: string) => ({
      ...{ type: "forge.noted", source: "observed" as const, attemptId: null },
      payload: { kind, detail, url: pull.url },
    });
    await appendEvents(tx, job.organizationId, job.id, [
      said(state, `Pull request ${pull.number}: ${outcome.replaceAll("_", " ")}.`),
      ...(deleted ? [said("branch_deleted", row.headBranch)] : []),
    ]);
    await appendAudit(tx, job.organizationId, {
      ...{ actor: platformActor, action: "pull_request.ended", subject: job.id },
      data: { number: pull.number, outcome, mergeCommit: pull.mergeCommit, deleted },
    });
  });
}

/** Begins the rounds whose remarks have come to rest. */
export async function beginRounds(cycle: Cycle): Promise<void> {
  for (const due of await cycle.tenant((tx) => quietFollowUps(tx, cycle.connection.id))) {
    const { jobId, number } = due;
    const policy = await cycle.tenant((tx) => policyOf(tx, due.projectId));
    if (due.quietMs < policy.quietSeconds * 1_000) continue;
    const repository = await cycle.repository(due.repository);
    const pull = repository && there(await cycle.forge.getPullRequest(repository, number));
    if (!repository || pull?.state !== "open") continue;
    const head = pull.head.commit;
    const bound = await cycle.tenant(async (tx) => {
      const next = await nextRound(tx, jobId, head);
      if (next && next.bound === null) await beginRound(tx, next, head, platformActor);
      return next?.bound ?? null;
    });
    if (bound === null) {
      cycle.deps.kick(cycle.organizationId, jobId);
      continue;
    }
    // Said first: a crash in between says it again, under the same key, and then it is there once.
    there(await cycle.forge.putComment(repository, number, { key: `held:${jobId}`, body: bound }));
    await cycle.tenant(async (tx) => {
      const next = await nextRound(tx, jobId, head);
      if (next?.bound) await holdRound(tx, next);
    });
  }
}
