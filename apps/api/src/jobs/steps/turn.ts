import type { JobRecord } from "@x1agent/domain-jobs";
import { closeQuestions, listOpenQuestions } from "@x1agent/domain-sessions";
import { type End, judgeTurn } from "../decide.ts";
import { defaultTiming, type LoopDeps } from "../deps.ts";
import { AttemptLost, type Live } from "../live.ts";
import { transition } from "../record.ts";
import { passCommands } from "./commands.ts";

/** What a wait for the agent came to; `pause` gives the loop a chance to look at cancel, stop and time. */
export type TurnEnd =
  | { kind: "moved"; job: JobRecord }
  | { kind: "budget" }
  | ({ kind: "end" } & End)
  | { kind: "pause" };

/** Between a turn's end and the session's end that caused it there is one write of the host. */
const SETTLE_MS = 1_000;

const openOf = (deps: LoopDeps, job: JobRecord) =>
  deps.db.tenant(job.organizationId, (tx) => listOpenQuestions(tx, job.id));

/** `running`: waits for the turn's end, a question, a loss, the end of the money or of patience. */
export async function awaitTurn(deps: LoopDeps, job: JobRecord, live: Live, untilMs: number): Promise<TurnEnd> {
  const attemptId = live.attempt.id;
  const { graceMs } = { ...defaultTiming, ...deps.timing };
  await passCommands(deps, job, live);
  const stallLeft = live.lastEventAt + job.limits.stallMs - Date.now();
  const notice = await live.mailbox.next(Math.max(0, Math.min(stallLeft, untilMs)));
  if (notice === null) {
    if (untilMs < stallLeft) return { kind: "pause" };
    await live.host.post("/interrupt", {}).catch(() => {});
    return {
      kind: "end",
      to: "timed_out",
      reason: "no_progress",
      detail: `Nothing was heard for ${Math.round(job.limits.stallMs / 1000)} s.`,
    };
  }
  switch (notice.kind) {
    case "wake":
      return { kind: "pause" };
    case "lost":
      throw new AttemptLost(notice.reason, notice.detail);
    case "limit":
      return overLimit(notice.limit);
    case "question":
      if ((await openOf(deps, job)).length === 0) return { kind: "pause" };
      return {
        kind: "moved",
        job: await transition(deps, job, { to: "awaiting_input", reason: "question_asked", attemptId }),
      };
    case "budget":
      await stopTurn(live, graceMs);
      return { kind: "budget" };
    case "turn_ended": {
      const verdict = judgeTurn(notice, live.budgetRefused);
      if (verdict.kind === "budget") return verdict;
      if (verdict.kind === "failed") {
        // A CLI that died says so right after its turn: then the attempt is lost, and another may do better.
        const next = verdict.reason === "runtime_failed" ? await live.mailbox.next(SETTLE_MS) : null;
        if (next?.kind === "lost") throw new AttemptLost(next.reason, next.detail);
        if (next?.kind === "limit") return overLimit(next.limit);
        return { ...verdict, kind: "end" };
      }
      // Messages that wait in the host are the next turn; the change is looked at when the agent is through.
      const state = await live.host.state();
      if (state.queued > 0 || state.phase === "busy") return { kind: "pause" };
      return { kind: "moved", job: await transition(deps, job, { to: "verifying", reason: "turn_ended", attemptId }) };
    }
  }
}

/** Not tried again: the work is kept, and whoever retries the job can raise the limit first. */
const overLimit = (limit: string): TurnEnd => ({
  ...{ kind: "end", to: "failed", reason: "runtime_failed" },
  detail: `The workspace went over its ${limit} limit. Its work is kept; raise the limit, or free space, and retry the job.`,
});

/** Interrupts and waits, within bounds, until the turn says that it is over: what is collected then holds still. */
async function stopTurn(live: Live, graceMs: number): Promise<void> {
  await live.host.post("/interrupt", {}).catch(() => {});
  for (const end = Date.now() + graceMs; Date.now() < end; ) {
    const notice = await live.mailbox.next(end - Date.now());
    if (notice === null || notice.kind === "turn_ended" || notice.kind === "lost") return;
  }
}

/** `awaiting_input`: the agent waits and spends nothing. Ends with an answer, a withdrawn question or the time for answers. */
export async function awaitAnswer(
  deps: LoopDeps,
  job: JobRecord,
  live: Live,
  waitedMs: number,
  untilMs: number,
): Promise<TurnEnd> {
  const attemptId = live.attempt.id;
  await passCommands(deps, job, live);
  if ((await openOf(deps, job)).length === 0) {
    live.lastEventAt = Date.now();
    return {
      kind: "moved",
      job: await transition(deps, job, { to: "running", reason: "question_answered", attemptId }),
    };
  }
  const left = job.limits.answerMs - waitedMs;
  if (left <= 0) {
    await deps.db.tenant(job.organizationId, (tx) => closeQuestions(tx, attemptId, "expired"));
    return { kind: "end", to: "timed_out", reason: "question_expired" };
  }
  const notice = await live.mailbox.next(Math.min(left, untilMs));
  if (notice?.kind === "lost") throw new AttemptLost(notice.reason, notice.detail);
  if (notice?.kind === "limit") return overLimit(notice.limit);
  // A turn that ends with its question open has withdrawn it.
  if (notice?.kind === "turn_ended") {
    await deps.db.tenant(job.organizationId, (tx) => closeQuestions(tx, attemptId, "cancelled"));
    live.mailbox.put(notice);
  }
  return { kind: "pause" };
}
