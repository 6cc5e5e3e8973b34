import { randomUUID } from "node:crypto";
import { claimJob, listClaimable, ownedWorkspaces, ownerOf, releaseInstance } from "@x1agent/domain-jobs";
import { commandsChannel } from "@x1agent/domain-sessions";
import { PgBoss } from "pg-boss";
import { z } from "zod";
import { defaultTiming, type LoopDeps } from "./deps.ts";
import { JobRun } from "./run-job.ts";
import { waitMs } from "./steps/wait.ts";
import { createTrials, type Trials } from "./trial.ts";

/**
 * Hands jobs out and runs them. The queue carries ids only and is a hint: the truth is the job's row. A message that is lost
 * is made good by the sweep, one that comes twice finds the row's lease taken.
 */
export type Loop = {
  /** Says that a job can go on; returns at once. */
  kick(organizationId: string, jobId: string): void;
  trials: Trials;
  /** A file of a job's repository, bounded; null when either is not there (any more). */
  source?(jobId: string, commit: string, path: string): Promise<{ text: string; truncated: boolean } | null>;
  stop(): Promise<void>;
};

const QUEUE = "x1-job";
const Payload = z.object({ organizationId: z.string().max(100), jobId: z.string().max(100) });
const Notice = z.object({ o: z.string(), j: z.string() });
/** A workspace younger than this may belong to an attempt whose row is not yet committed. */
const YOUNG_MS = 60_000;

/** Starts taking jobs. */
export async function startLoop(deps: LoopDeps): Promise<Loop> {
  const { db, driver, log } = deps;
  const timing = { ...defaultTiming, ...deps.timing };
  const owner = `${deps.instance}:${randomUUID()}`;
  const runs = new Map<string, { run: JobRun; done: Promise<void> }>();
  const waiting = new Map<string, string>();
  /** Kicked while the run was about to end: it is taken up again. */
  const again = new Set<string>();
  const trials = createTrials(deps);
  let stopping = false;

  for (const organizationId of await deps.organizations())
    await db.tenant(organizationId, (tx) => releaseInstance(tx, deps.instance));

  const boss = new PgBoss({
    ...(db.queue as object),
    schema: "pgboss",
    max: 3,
    useListenNotify: true,
    schedule: false,
  });
  boss.on("error", (error) => log.warn("the queue had an error", { error }));
  await boss.start();
  await boss.createQueue(QUEUE, {
    policy: "short",
    notify: true,
    retryLimit: 0,
    expireInSeconds: 60,
    deleteAfterSeconds: 60,
  });

  const busy = () => [...runs.values()].filter(({ run }) => !run.waits).length;

  async function take(organizationId: string, jobId: string): Promise<void> {
    if (stopping) return;
    const present = runs.get(jobId);
    if (present) {
      again.add(jobId);
      return present.run.wake();
    }
    if (busy() >= timing.concurrency) {
      waiting.set(jobId, organizationId);
      return;
    }
    const job = await db.tenant(organizationId, (tx) => claimJob(tx, jobId, owner, timing.leaseMs));
    // Between the question and the answer another call of ours may have taken it.
    if (!job || stopping || runs.has(jobId)) return;
    const run = new JobRun(deps, job, owner);
    const done = run.run().then(() => {
      runs.delete(jobId);
      const next = [...waiting].find(([id]) => !runs.has(id));
      if (again.delete(jobId)) hint(organizationId, jobId);
      // Parked: it goes on when its time has come, and not a sweep later.
      const { reason, waits } = run.job;
      if (reason === "forge_waiting" && waits > 0)
        setTimeout(hint, waitMs(waits - 1) + 100, organizationId, jobId).unref();
      if (next) {
        waiting.delete(next[0]);
        take(next[1], next[0]).catch(told);
      }
    });
    runs.set(jobId, { run, done });
  }

  const told = (error: unknown) => log.warn("a job could not be taken", { error });

  function hint(organizationId: string, jobId: string): void {
    if (!stopping) boss.send(QUEUE, { organizationId, jobId }, { singletonKey: jobId }).catch(told);
  }

  await boss.work(QUEUE, { batchSize: 10, pollingIntervalSeconds: 1 }, async (messages) => {
    for (const { data } of messages) {
      const payload = Payload.safeParse(data);
      if (payload.success) await take(payload.data.organizationId, payload.data.jobId);
    }
  });

  /** Finds unfinished jobs that nobody works on. */
  async function sweepJobs(): Promise<void> {
    for (const organizationId of await deps.organizations())
      for (const jobId of await db.tenant(organizationId, (tx) => listClaimable(tx)))
        if (!runs.has(jobId)) hint(organizationId, jobId);
  }

  /** Ends workspaces that no running attempt owns. Those of a dead process' attempt are the takeover's, which saves them first. */
  async function sweepWorkspaces(): Promise<void> {
    const found = (await driver.list()).filter(({ startedAt }) => Date.now() - Date.parse(startedAt) > YOUNG_MS);
    for (const organizationId of new Set(found.map((info) => info.organizationId))) {
      const owned = new Set(
        (await db.tenant(organizationId, (tx) => ownedWorkspaces(tx))).map(({ attemptId }) => attemptId),
      );
      for (const info of found) {
        if (
          info.organizationId !== organizationId ||
          owned.has(info.attemptId) ||
          trials.owns(info.attemptId) ||
          deps.keeps?.(info.attemptId)
        )
          continue;
        log.info("a workspace that nobody owns is ended", { workspaceId: info.id, jobId: info.jobId });
        deps.control.revoke(info.id);
        await driver.stop(info.id);
      }
    }
  }

  const unlisten = await db.listen(
    commandsChannel,
    (payload) => {
      const notice = Notice.safeParse(JSON.parse(payload));
      if (notice.success) runs.get(notice.data.j)?.run.wake();
    },
    () => {
      for (const { run } of runs.values()) run.wake();
    },
  );
  // Two of their own: a volume that takes its time to go, however long, keeps no job from being taken over.
  const sweepers = [sweeper(sweepJobs, timing.sweepMs, log), sweeper(sweepWorkspaces, timing.sweepMs * 6, log)];

  return {
    trials,
    kick(organizationId, jobId) {
      if (runs.has(jobId)) {
        again.add(jobId);
        runs.get(jobId)?.run.wake();
        return;
      }
      // Nobody holds it: the shortest way is our own. Another process holds it: the notice of its command wakes it.
      db.tenant(organizationId, (tx) => ownerOf(tx, jobId))
        .then((held) => (held === null ? take(organizationId, jobId) : undefined))
        .catch(told);
      hint(organizationId, jobId);
    },
    async stop() {
      stopping = true;
      const swept = sweepers.map((end) => end());
      unlisten();
      for (const { run } of runs.values()) run.stop();
      await Promise.all([trials.stop(), ...[...runs.values()].map(({ done }) => done)]);
      await Promise.all(swept);
      await boss.stop({ graceful: false, close: true });
    },
  };
}

/** Works now and every so many milliseconds, never twice at once; what is handed back ends it and waits for what runs. */
function sweeper(work: () => Promise<void>, everyMs: number, log: LoopDeps["log"]): () => Promise<void> {
  let running: Promise<void> | null = null;
  const sweep = () => {
    running ??= work()
      .catch((error: unknown) => log.warn("a sweep failed", { error }))
      .finally(() => {
        running = null;
      });
  };
  sweep();
  const timer = setInterval(sweep, everyMs);
  return async () => {
    clearInterval(timer);
    await running;
  };
}
