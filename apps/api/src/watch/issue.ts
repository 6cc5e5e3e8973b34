import { platformActor } from "@x1agent/contract";
import { answeredTriggers, getOrigin, noteOrigin, openJobsOnIssue } from "@x1agent/domain-forges";
import { getJob } from "@x1agent/domain-jobs";
import { appendEvents } from "@x1agent/domain-sessions";
import {
  type ForgeIssue,
  type ForgeIssueEvent,
  type ForgeIssueThread,
  type ForgeRepository,
  issueDigest,
} from "@x1agent/forges";
import { type Ask, answer, commandsIn, refused, startOn } from "./commands.ts";
import { type Cycle, isSince, mayTrigger, policyOf, there } from "./cycle.ts";

/** Looks at an issue: what asks for a job, and what happened to one that a job works on. */
export async function lookAtIssue(
  cycle: Cycle,
  at: { repository: string; projectId: string },
  number: number,
): Promise<void> {
  const { forge } = cycle;
  const repository = await cycle.repository(at.repository);
  const thread = repository && there(await forge.getIssue(repository, number));
  if (!repository || !thread) return;
  const policy = await cycle.tenant((tx) => policyOf(tx, at.projectId));
  await lookAtJobs(cycle, repository, thread);
  if (cycle.deps.start === null) return;
  if (thread.issue.state === "open") {
    const events = there((await forge.listIssueEvents?.(repository, number)) ?? { ok: true as const, value: [] }) ?? [];
    for (const found of triggersOf(thread.issue, events, cycle.connection, policy)) {
      const ask: Ask = { repository, number, jobId: null, key: found.key, author: found.actor };
      const known = await cycle.tenant((tx) => answeredTriggers(tx, cycle.connection.id, [found.key]));
      if (known.has(found.key)) continue;
      const permission = await cycle.permission(repository, found.actor);
      if (!mayTrigger(permission, policy)) await refused(cycle, ask, permission);
      else {
        const wanted = { runtime: null, budgetMicros: null, again: false };
        await answer(cycle, ask, await startOn(cycle, ask, found.trigger, wanted));
      }
    }
  }
  const texts = thread.issue.state === "open" ? [thread.issue, ...thread.comments] : thread.comments;
  await commandsIn(cycle, { repository, number, policy, texts, jobId: null, permissions: {} });
}

/**
 * What on an issue asks for a job by itself: the newest labelling while the label is there, the newest assignment to us while
 * it stands. What happened before there was a connection is history. Pure.
 */
export function triggersOf(
  issue: Pick<ForgeIssue, "labels" | "assignees">,
  events: readonly ForgeIssueEvent[],
  connection: { actsAs: string; createdAt: string },
  policy: { triggers: readonly string[]; label: string },
): { trigger: "label" | "assignment"; key: string; actor: string }[] {
  const us = connection.actsAs.toLowerCase();
  const names = new Set([us, us.replace(/\[bot\]$/, "")]);
  const newest = (kind: ForgeIssueEvent["kind"], mine: (subject: string) => boolean) =>
    events.filter((event) => event.kind === kind && mine(event.subject.toLowerCase())).at(-1);
  const label = policy.label.toLowerCase();
  const found = [
    policy.triggers.includes("label") && issue.labels.some((name) => name.toLowerCase() === label)
      ? { trigger: "label" as const, event: newest("labeled", (subject) => subject === label) }
      : null,
    policy.triggers.includes("assignment") && issue.assignees.some((login) => names.has(login.toLowerCase()))
      ? { trigger: "assignment" as const, event: newest("assigned", (subject) => names.has(subject)) }
      : null,
  ];
  return found.flatMap((one) =>
    one?.event && isSince(one.event.at, connection.createdAt)
      ? [{ trigger: one.trigger, key: `event:${one.event.id}`, actor: one.event.actor }]
      : [],
  );
}

/** Edited or closed while a job works on it: said in the job, each time once. */
async function lookAtJobs(cycle: Cycle, repository: ForgeRepository, { issue }: ForgeIssueThread): Promise<void> {
  const at = { connectionId: cycle.connection.id, repository: repository.id, issueNumber: issue.number };
  const digest = issueDigest(issue);
  for (const { jobId } of await cycle.tenant((tx) => openJobsOnIssue(tx, at))) {
    const cancel = await cycle.tenant(async (tx) => {
      const [origin, job] = [await getOrigin(tx, jobId), await getJob(tx, jobId)];
      if (!origin || !job || job.endedAt !== null) return false;
      const seen = { words: digest, state: issue.state };
      const before = origin.facts.seen as typeof seen | undefined;
      const said = (kind: string, detail: string) => ({
        ...{ type: "forge.noted", source: "observed" as const, attemptId: null },
        payload: { kind, detail, url: issue.url },
      });
      const events = [
        ...((before?.words ?? origin.issueDigest ?? digest) !== digest
          ? [said("issue_edited", "The issue was edited. The job goes on with what it was given at its start.")]
          : []),
        ...((before?.state ?? "open") !== issue.state
          ? [
              issue.state === "closed"
                ? said("issue_closed", "The issue was closed. Cancel the job if it is of no use any more.")
                : said("issue_reopened", "The issue is open again."),
            ]
          : []),
      ];
      if (before?.words !== seen.words || before.state !== seen.state) await noteOrigin(tx, jobId, { seen });
      await appendEvents(tx, cycle.organizationId, jobId, events);
      const closed = issue.state === "closed" && before?.state !== "closed";
      return closed && (await policyOf(tx, job.projectId)).onIssueClosed === "cancel";
    });
    if (cancel) await cycle.deps.cancel(cycle.organizationId, jobId, platformActor);
  }
}
