import {
  type Actor,
  formatActor,
  isTerminal,
  type JobState,
  type ObservedEvent,
  platformActor,
  type ReasonCode,
} from "@x1agent/contract";
import { appendAudit } from "@x1agent/domain-audit";
import { getJob, type JobRecord, moveJob } from "@x1agent/domain-jobs";
import { appendEvents, closeQuestions, type NewEvent } from "@x1agent/domain-sessions";
import type { Database, Tx } from "@x1agent/kernel";

/** The job moved meanwhile (a person, another process): what was begun is dropped and the state read again. */
export class Moved extends Error {
  override readonly name = "Moved";
}

export type RecordDeps = { db: Pick<Database, "tenant"> };
type JobKey = { organizationId: string; id: string };

/** An event of the platform's own. */
export const observed = (event: ObservedEvent, attemptId: string | null): NewEvent => ({
  type: event.type,
  payload: event.payload as Record<string, unknown>,
  source: "observed",
  attemptId,
});

/** Stores events of the platform's own. */
export async function observe(
  { db }: RecordDeps,
  job: JobKey,
  attemptId: string | null,
  ...events: ObservedEvent[]
): Promise<void> {
  await db.tenant(job.organizationId, (tx) =>
    appendEvents(
      tx,
      job.organizationId,
      job.id,
      events.map((event) => observed(event, attemptId)),
    ),
  );
}

export type Transition = {
  to: JobState;
  reason: ReasonCode;
  detail?: string;
  actor?: Actor;
  attemptId: string | null;
  /** More that happens in the same transaction, before the event. */
  also?: (tx: Tx) => Promise<unknown>;
};

/**
 * The one way by which the loop changes a job's state: the guarded move, what belongs to it, the event and the audit entry
 * in one transaction. Throws `Moved` when the job is no longer where it was.
 */
export async function transition({ db }: RecordDeps, job: JobRecord, move: Transition): Promise<JobRecord> {
  const actor = move.actor ?? platformActor;
  const from = job.state;
  return db.tenant(job.organizationId, async (tx) => {
    await move.also?.(tx);
    const moved = await moveJob(tx, {
      ...{ jobId: job.id, from, to: move.to, reason: move.reason, actor },
      ...(move.detail === undefined ? {} : { detail: move.detail.slice(0, 2_000) }),
    });
    if (!moved.ok) throw new Moved(moved.detail);
    // Nobody can answer a question of a job that has ended or starts again.
    if (move.attemptId && (isTerminal(move.to) || move.to === "queued"))
      await closeQuestions(tx, move.attemptId, "cancelled");
    const detail = move.detail?.slice(0, 2_000);
    const payload = {
      from,
      to: move.to,
      reason: move.reason,
      actor: formatActor(actor),
      ...(detail ? { detail } : {}),
    };
    await appendEvents(tx, job.organizationId, job.id, [observed({ type: "job.state", payload }, move.attemptId)]);
    await appendAudit(tx, job.organizationId, {
      actor,
      action: "job.moved",
      subject: job.id,
      data: { from, to: move.to, reason: move.reason },
    });
    return moved.value;
  });
}

/** The job as it is now. */
export const reload = ({ db }: RecordDeps, job: JobKey): Promise<JobRecord | null> =>
  db.tenant(job.organizationId, (tx) => getJob(tx, job.id));

/** Runs one phase and tells its start, end and duration. */
export async function phase<T>(
  deps: RecordDeps,
  job: JobKey,
  attemptId: string,
  name: string,
  work: () => Promise<T>,
  judge: (value: T) => "ok" | "failed" | "skipped" = () => "ok",
  round?: number,
): Promise<T> {
  const extra = round === undefined ? {} : { round };
  await observe(deps, job, attemptId, { type: "phase.started", payload: { phase: name, ...extra } });
  const begin = performance.now();
  const end = (outcome: "ok" | "failed" | "skipped") =>
    observe(deps, job, attemptId, {
      type: "phase.ended",
      payload: { phase: name, outcome, durationMs: Math.round(performance.now() - begin), ...extra },
    });
  let value: T;
  try {
    value = await work();
  } catch (error) {
    await end("failed");
    throw error;
  }
  await end(judge(value));
  return value;
}
