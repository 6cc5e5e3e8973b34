import { type Actor, type FollowPolicy, formatUsd } from "@x1agent/contract";
import { appendAudit } from "@x1agent/domain-audit";
import { jobMoney, setBudget } from "@x1agent/domain-budgets";
import { answeredTriggers, listFollowUps, moveFollowUps, noteTrigger, openJobsOnIssue } from "@x1agent/domain-forges";
import { getJob } from "@x1agent/domain-jobs";
import {
  type Command,
  type ForgePermission,
  type ForgeRepository,
  type ForgeText,
  fromOutside,
  parseCommand,
} from "@x1agent/forges";
import { type Cycle, isSince, mayTrigger, there } from "./cycle.ts";
import { ASKED } from "./round.ts";

/** What asked for something, and where the answer goes. */
export type Ask = {
  repository: ForgeRepository;
  /** Issue or pull request that is answered on. */
  number: number;
  /** Job that a pull request belongs to; null on an issue. */
  jobId: string | null;
  /** The same ask has the same key, however often it is seen. */
  key: string;
  author: string;
};

/** Somebody at the forge, who is no member here; for records of what they asked for. */
export const outsideActor = (login: string): Actor => ({ kind: "user", id: `forge:${login}`.slice(0, 200) });

/** Reads and answers the commands among texts. Each is answered once; who may not ask is not answered at all. */
export async function commandsIn(
  cycle: Cycle,
  found: {
    repository: ForgeRepository;
    number: number;
    jobId: string | null;
    texts: readonly ForgeText[];
    policy: FollowPolicy;
    permissions: Readonly<Record<string, ForgePermission>>;
  },
): Promise<void> {
  const { policy, repository, number, jobId } = found;
  if (!policy.triggers.includes("comment")) return;
  const asks = found.texts
    // What was said before there was a connection is history.
    .filter((text) => !text.authorIsBot && isSince(text.createdAt, cycle.connection.createdAt))
    .map((text) => ({ text, key: `comment:${text.id}`, parsed: parseCommand(text.body, cycle.deps.runtimes()) }))
    .filter(({ parsed }) => parsed.kind !== "none");
  const answered = await cycle.tenant((tx) =>
    answeredTriggers(
      tx,
      cycle.connection.id,
      asks.map(({ key }) => key),
    ),
  );
  for (const { text, key, parsed } of asks) {
    if (answered.has(key)) continue;
    const ask: Ask = { repository, number, jobId, key, author: text.author };
    const permission = found.permissions[text.author] ?? (await cycle.permission(repository, text.author));
    if (!mayTrigger(permission, policy)) await refused(cycle, ask, permission);
    else if (parsed.kind === "unclear") await answer(cycle, ask, parsed.sentence);
    else if (parsed.kind === "command") await answer(cycle, ask, await perform(cycle, ask, parsed.command));
  }
}

/** Somebody who may not: nothing happens and nothing is answered, but it is on record. */
export async function refused(cycle: Cycle, ask: Ask, permission: ForgePermission): Promise<void> {
  const { organizationId, connection } = cycle;
  await cycle.tenant(async (tx) => {
    if (!(await noteTrigger(tx, organizationId, connection.id, ask.key, "refused"))) return;
    await appendAudit(tx, organizationId, {
      ...{
        actor: outsideActor(ask.author),
        action: "trigger.refused",
        subject: `${ask.repository.fullName}#${ask.number}`,
      },
      data: { key: ask.key, permission, connection: connection.id },
    });
  });
}

/** Says the answer at the forge, once, and then notes that it was said. */
export async function answer(cycle: Cycle, ask: Ask, sentence: string): Promise<void> {
  const { organizationId, connection } = cycle;
  there(await cycle.forge.putComment(ask.repository, ask.number, { key: `answer:${ask.key}`, body: sentence }));
  await cycle.tenant(async (tx) => {
    if (!(await noteTrigger(tx, organizationId, connection.id, ask.key, sentence))) return;
    await appendAudit(tx, organizationId, {
      ...{
        actor: outsideActor(ask.author),
        action: "trigger.answered",
        subject: `${ask.repository.fullName}#${ask.number}`,
      },
      data: { key: ask.key, connection: connection.id },
    });
  });
}

/** Does what a command asks for; the sentence is the answer. Each is safe to repeat. */
async function perform(cycle: Cycle, ask: Ask, command: Command): Promise<string> {
  const { organizationId, connection, deps } = cycle;
  const actor = outsideActor(ask.author);
  if ((command.verb === "fix" || command.verb === "retry") && ask.jobId === null)
    return startOn(cycle, ask, "comment", { ...command, again: command.verb === "retry" });
  const at = { connectionId: connection.id, repository: ask.repository.id, issueNumber: ask.number };
  const jobId = ask.jobId ?? (await cycle.tenant((tx) => openJobsOnIssue(tx, at)))[0]?.jobId ?? null;
  if (jobId === null) return "No job works on this. `/x1 fix` starts one.";
  const link = linkOf(cycle, jobId);
  switch (command.verb) {
    case "stop": {
      const cancelled = await deps.cancel(organizationId, jobId, actor);
      return cancelled.ok ? `${link} is cancelled.` : `${link} has ended already.`;
    }
    case "budget": {
      await cycle.tenant((tx) =>
        setBudget(tx, organizationId, {
          ...{ scope: { kind: "job", id: jobId }, window: "total", limitMicros: command.budgetMicros },
        }),
      );
      deps.kick(organizationId, jobId);
      return `${link} may spend ${formatUsd(command.budgetMicros)} in all.`;
    }
    case "fix":
    case "retry": {
      const { moved, outside } = await cycle.tenant(async (tx) => ({
        moved: await moveFollowUps(tx, jobId, ["held", "waiting"], "waiting", { detail: ASKED, starts: true }),
        outside: fromOutside(await listFollowUps(tx, jobId, ["waiting"])),
      }));
      if (moved === 0) return "Nothing new was said here since the last round.";
      return `${link} goes on with what was said here.${outside ? " Some of it is from outside: its agent may no longer push or comment, and a person approves." : ""}`;
    }
    default:
      return statusOf(cycle, jobId);
  }
}

async function statusOf(cycle: Cycle, jobId: string): Promise<string> {
  const found = await cycle.tenant(async (tx) => ({ job: await getJob(tx, jobId), money: await jobMoney(tx, jobId) }));
  if (!found.job) return "That job is gone.";
  const { state, reason, round } = found.job;
  const limit = found.money.limitMicros === null ? "" : ` of ${formatUsd(found.money.limitMicros)}`;
  return `${linkOf(cycle, jobId)} is ${state.replaceAll("_", " ")} (${reason.replaceAll("_", " ")}), round ${round}, ${formatUsd(found.money.spentMicros)}${limit} spent.`;
}

/** The job as a comment names it. */
export const linkOf = (cycle: Cycle, jobId: string): string => {
  const url = cycle.deps.jobUrl(jobId);
  return url ? `[Job ${jobId}](${url})` : `Job ${jobId}`;
};

/** Starts a job on an issue, or says why not. */
export async function startOn(
  cycle: Cycle,
  ask: Ask,
  trigger: "label" | "assignment" | "comment",
  wanted: { runtime: string | null; budgetMicros: number | null; again: boolean },
): Promise<string> {
  const { organizationId, connection } = cycle;
  const { start } = cycle.deps;
  if (!start) return "Issues start no jobs here.";
  const started = await start({
    ...{ organizationId, connectionId: connection.id, repository: ask.repository.id, issueNumber: ask.number },
    ...{ trigger, triggeredBy: ask.author, key: ask.key, ...wanted },
  });
  return started.ok ? `${linkOf(cycle, started.value.jobId)} works on this.` : started.detail;
}
