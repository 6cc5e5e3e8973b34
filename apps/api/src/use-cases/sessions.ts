import { accept, type Capability, type JobState, type Outcome, type RuntimeManifest, refuse } from "@x1agent/contract";
import { getJob, type JobRecord } from "@x1agent/domain-jobs";
import { type CommandKind, listOpenQuestions, putCommand, type Question, readEvents } from "@x1agent/domain-sessions";
import { type Database, newId, type Tx } from "@x1agent/kernel";
import type { Caller, UseCases } from "./index.ts";

export type SessionDeps = {
  db: Pick<Database, "tenant">;
  manifestOf(runtime: string): RuntimeManifest | undefined;
  listCalls: UseCases["sessions"]["calls"];
};

/** States in which a job's host is alive: it stays until the job leaves `verifying`. */
const live: readonly JobState[] = ["running", "awaiting_input", "verifying"];

/** Whether a job's session can be told something now, and whether its runtime can do it. Pure. */
export function checkSession(
  state: JobState,
  manifest: RuntimeManifest | undefined,
  needs: Capability | null,
): Outcome<null> {
  if (!live.includes(state)) return refuse("no_session", `The job is ${state}: no session runs now.`);
  if (needs && !manifest?.capabilities.includes(needs))
    return refuse("capability_missing", `${manifest?.title ?? "This runtime"} does not offer "${needs}".`);
  return accept(null);
}

/** Whether an answer fits an open question. Pure. */
export function checkAnswer(
  question: Question | undefined,
  answer: { optionId?: string | undefined; text?: string | undefined },
): Outcome<null> {
  if (!question) return refuse("unknown_request");
  if (answer.optionId !== undefined)
    return question.options.some((option) => option.optionId === answer.optionId)
      ? accept(null)
      : refuse("invalid_request", `Options are: ${question.options.map((option) => option.optionId).join(", ")}.`);
  if (answer.text === undefined) return refuse("invalid_request", "Name an option or give a text.");
  return question.freeText ? accept(null) : refuse("invalid_request", "This question takes one of its options only.");
}

/**
 * What people say to a running session. It may run in another process, so everything goes through the database: a
 * command for the job's owner and a notice.
 */
export function sessionUseCases({ db, manifestOf, listCalls }: SessionDeps): UseCases["sessions"] {
  async function command<T>(
    caller: Caller,
    jobId: string,
    needs: Capability | null,
    what: { kind: CommandKind; dedupe: string; body: Record<string, unknown> },
    done: T,
    check: (tx: Tx, job: JobRecord) => Promise<Outcome<null>> = async () => accept(null),
  ): Promise<Outcome<T>> {
    return db.tenant(caller.organizationId, async (tx) => {
      const job = await getJob(tx, jobId);
      if (!job) return refuse("not_found", "No such job.");
      const possible = checkSession(job.state, manifestOf(job.runtime), needs);
      if (!possible.ok) return possible;
      const fits = await check(tx, job);
      if (!fits.ok) return fits;
      await putCommand(tx, caller.organizationId, jobId, { ...what, actor: caller.actor });
      return accept(done);
    });
  }
  return {
    inject: (caller, jobId, { id, content, mode }) =>
      // A queued message needs nothing of the runtime: the host keeps the queue.
      command(
        caller,
        jobId,
        mode === "queue" ? null : mode,
        { kind: "inject", dedupe: id, body: { id, content, mode } },
        { queued: true },
      ),
    interrupt: (caller, jobId) =>
      command(caller, jobId, "interrupt", { kind: "interrupt", dedupe: newId("int"), body: {} }, { interrupted: true }),
    answer: (caller, jobId, body) =>
      command(
        caller,
        jobId,
        null,
        { kind: "answer", dedupe: body.requestId, body: { ...body } },
        { answered: true },
        async (tx) =>
          checkAnswer(
            (await listOpenQuestions(tx, jobId)).find(({ requestId }) => requestId === body.requestId),
            body,
          ),
      ),
    setModel: (caller, jobId, model) =>
      command(caller, jobId, "models", { kind: "model", dedupe: newId("mod"), body: { model } }, { model }),
    events: (caller, jobId, after, limit) =>
      db.tenant(caller.organizationId, (tx) => readEvents(tx, jobId, after, limit)),
    calls: listCalls,
  };
}
