import { setTimeout as delay } from "node:timers/promises";
import { isTerminal, platformActor, type Verification } from "@x1agent/contract";
import {
  claimJob,
  endAttempt,
  type JobRecord,
  listAttempts,
  ownerOf,
  releaseJob,
  renewJob,
} from "@x1agent/domain-jobs";
import { DatabaseAway, type Tx } from "@x1agent/kernel";
import { JobClock } from "./clock.ts";
import { decide, type End, lostInARow, MAX_LOST } from "./decide.ts";
import { defaultTiming, type LoopDeps, type Timing } from "./deps.ts";
import { HostUnreachable } from "./host-client.ts";
import { AttemptLost, type Live, type Notice } from "./live.ts";
import { Mailbox } from "./mailbox.ts";
import { Moved, observe, reload, transition } from "./record.ts";
import { provision, provisionFault } from "./steps/provision.ts";
import { publish } from "./steps/publish.ts";
import { loseAttempt, recover } from "./steps/recover.ts";
import { awaitAnswer, awaitTurn } from "./steps/turn.ts";
import { baseline, keepUnverified, saveProgress, verifyRound } from "./steps/verify.ts";

/** Longest wait inside a step before cancel, stop and time are looked at again; a notice ends it at once. */
const LOOK_MS = 5_000;
/** Longest wait of the baseline for the agent's turn to begin. */
const BASELINE_MS = 3_000;
/** Pause between two looks for a database that is away. */
const AWAY_MS = 500;

/** A long step was cut short; the loop reads the job's state again and decides anew. */
class Interrupted extends Error {
  override readonly name = "Interrupted";
}

/**
 * One job in this process, from claim to release. Invariants: only the holder of the row's lease works on the job; a lost
 * lease ends the work at once and writes nothing more; every workspace that was opened is closed on every way out.
 */
export class JobRun {
  /** With a database that waits for its server. */
  readonly #deps: LoopDeps;
  readonly #db: LoopDeps["db"];
  readonly #owner: string;
  readonly #timing: Timing;
  /** Notices of the present attempt: what an ended one still says concerns nobody. */
  #mailbox = new Mailbox<Notice>();
  #job: JobRecord;
  #live: Live | null = null;
  #baseline: Promise<Verification | null> = Promise.resolve(null);
  #leaseLost = false;
  /** The job was brought to its end here, and the lease went with it: one that is retried is claimed anew. */
  #ended = false;
  #stopping = false;
  /** The long step that runs now, for whatever must end it early. */
  #cut: AbortController | null = null;
  #baselineCut = new AbortController();
  readonly #clock = new JobClock();

  constructor(deps: LoopDeps, job: JobRecord, owner: string) {
    this.#deps = {
      ...deps,
      db: { ...deps.db, tenant: (organizationId, work) => this.#patiently(organizationId, work) },
      uncharged: (work) => this.#clock.uncharged(work),
    };
    this.#db = deps.db;
    this.#job = job;
    this.#owner = owner;
    this.#timing = { ...defaultTiming, ...deps.timing };
  }

  get job(): Pick<JobRecord, "id" | "organizationId" | "state" | "reason" | "waits"> {
    return this.#job;
  }

  /** A person or a forge is waited for: it costs none of the places for jobs. */
  get waits(): boolean {
    return this.#job.state === "awaiting_input" || this.#clock.waits;
  }

  /** Something about the job changed in the database. */
  wake(): void {
    this.#mailbox.put({ kind: "wake" });
    const cut = this.#cut;
    if (!cut) return;
    reload(this.#deps, this.#job).then(
      (job) => {
        if (!job || job.cancelRequested || isTerminal(job.state)) cut.abort(new Interrupted("The job is cancelled."));
      },
      (error: unknown) => this.#deps.log.warn("a woken job could not be read", { error, jobId: this.#job.id }),
    );
  }

  /** Ends the work at the next safe point: progress saved, attempt ended, job queued. */
  stop(): void {
    this.#stopping = true;
    this.#cut?.abort(new Interrupted("The service stops."));
    this.wake();
  }

  /**
   * One transaction of this job. While the database's server is away it waits, and begins again when the lease is renewed:
   * the workspace works on meanwhile, and what its host says stays in the host's journal. A stop of the service ends the wait.
   */
  async #patiently<T>(organizationId: string, work: (tx: Tx) => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await this.#db.tenant(organizationId, work);
      } catch (error) {
        if (!(error instanceof DatabaseAway) || this.#stopping) throw error;
        await this.#untilBack();
      }
    }
  }

  /** Resolves when the database answers and the job is still this process'. */
  async #untilBack(): Promise<void> {
    const { organizationId, id } = this.#job;
    for (;;) {
      await delay(AWAY_MS);
      try {
        const held = await this.#db.tenant(
          organizationId,
          async (tx) => (await claimJob(tx, id, this.#owner, this.#timing.leaseMs)) !== null || (await ownerOf(tx, id)),
        );
        // A job that has ended has no lease; another's ends the work here.
        if (held === true || held === null) return;
        this.#leaseLost = true;
        throw new Interrupted("Another process works on the job.");
      } catch (error) {
        if (!(error instanceof DatabaseAway) || this.#stopping) throw error;
      }
    }
  }

  /** Works until the job needs nothing more of this process. Never rejects. */
  async run(): Promise<void> {
    const { log } = this.#deps;
    const db = this.#db;
    const { organizationId, id } = this.#job;
    const renewal = setInterval(() => {
      db.tenant(organizationId, (tx) => renewJob(tx, id, this.#owner, this.#timing.leaseMs)).then(
        (held) => {
          // A job that ended releases its lease by itself.
          if (!held && !this.#leaseLost) {
            this.#leaseLost = true;
            this.#cut?.abort(new Interrupted("Another process works on the job."));
            this.wake();
          }
        },
        (error: unknown) => log.warn("a job's lease could not be renewed", { error, jobId: id }),
      );
    }, this.#timing.renewMs);
    try {
      while (!this.#leaseLost && (await this.#step()));
    } catch (error) {
      log.error("a job broke", { error, jobId: id });
      await this.#fail(error).catch((again: unknown) =>
        log.error("a broken job could not be ended", { error: again, jobId: id }),
      );
    } finally {
      clearInterval(renewal);
      await this.#close();
      await db.tenant(organizationId, (tx) => releaseJob(tx, id, this.#owner)).catch(() => {});
    }
  }

  /** One step; false when there is nothing more to do here. */
  async #step(): Promise<boolean> {
    if (this.#ended) return false;
    const deps = this.#deps;
    const now = await reload(deps, this.#job);
    if (!now) return false;
    this.#job = now;
    const attempts = await deps.db.tenant(now.organizationId, (tx) => listAttempts(tx, now.id));
    if (this.#stopping && now.state !== "publishing") return this.#stopHere();
    const used = this.#clock.usedMs();
    const step = decide({ job: now, attempts, live: this.#live !== null, late: used > now.limits.jobMs });
    try {
      switch (step.kind) {
        case "release":
          await this.#finish(now.state);
          return false;
        case "end":
          await this.#end(step);
          return true;
        case "recover":
          this.#job = await recover(deps, now);
          return true;
        case "provision":
          return await this.#provision();
        case "turn":
          await this.#turn(used);
          return true;
        case "answer": {
          const live = this.#held();
          const end = await this.#clock.uncharged(() => awaitAnswer(deps, now, live, this.#askedMs(), LOOK_MS));
          await this.#take(end);
          this.#asked = this.#job.state === "awaiting_input" ? this.#asked : null;
          return true;
        }
        case "verify":
          await this.#take(
            await this.#cuttable((signal) => verifyRound(deps, now, this.#held(), this.#baseline, signal)),
          );
          return true;
        case "publish":
          await this.#finish(now.state);
          this.#job = await publish(deps, now);
          // The lease went with the end: a job that goes on after its publication is claimed anew.
          this.#ended = isTerminal(this.#job.state);
          // Parked: whoever claims it next goes on.
          return this.#job.state !== "publishing";
      }
    } catch (error) {
      if (error instanceof Moved || error instanceof Interrupted) return true;
      if (error instanceof AttemptLost) {
        await this.#lose(error.reason, error.message);
        return true;
      }
      // Killed while the step did something else, such as a verification: the step is the first to find out.
      if (error instanceof HostUnreachable) {
        await this.#lose("runtime_lost", error.message);
        return true;
      }
      throw error;
    }
  }

  #asked: number | null = null;
  #askedMs(): number {
    this.#asked ??= Date.now();
    return Date.now() - this.#asked;
  }

  /**
   * Runs a long step so that a cancel, a stop of the service, the job's time limit or a lost lease cuts it short. What a cut
   * step returned or threw is no result: `Interrupted` is thrown in its place.
   */
  async #cuttable<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const cut = new AbortController();
    this.#cut = cut;
    // A commit that others compare with is of no use to a job that goes no further.
    cut.signal.addEventListener("abort", () => this.#baselineCut.abort(cut.signal.reason), { once: true });
    const unlimited = this.#clock.limit(this.#job.limits.jobMs, () =>
      cut.abort(new Interrupted("The job's time is used up.")),
    );
    try {
      if (this.#stopping || this.#leaseLost) cut.abort(new Interrupted("It was asked to end before it began."));
      const value = await work(cut.signal);
      cut.signal.throwIfAborted();
      return value;
    } catch (error) {
      throw cut.signal.aborted ? cut.signal.reason : error;
    } finally {
      unlimited();
      this.#cut = null;
    }
  }

  #held(): Live {
    if (!this.#live) throw new Error("A step that needs a session ran without one.");
    return this.#live;
  }

  /** False where the job waits, and whoever claims it next goes on. */
  async #provision(): Promise<boolean> {
    this.#clock.start();
    this.#mailbox = new Mailbox<Notice>();
    const deps = this.#deps;
    let made: Awaited<ReturnType<typeof provision>>;
    try {
      made = await this.#cuttable((signal) =>
        provision(deps, this.#job, this.#mailbox, signal, (live) => {
          this.#live = live;
        }),
      );
    } catch (error) {
      if (error instanceof Moved || error instanceof Interrupted) throw error;
      const known = provisionFault(error);
      this.#job = (await reload(deps, this.#job)) ?? this.#job;
      await (known ? this.#end({ to: "failed", ...known }) : this.#lose("workspace_lost", (error as Error).message));
      return true;
    }
    this.#job = made.job;
    if (made.ok === "parked") {
      await this.#finish("waiting");
      return false;
    }
    if (!made.ok) await this.#end({ to: "failed", reason: made.reason, detail: made.detail });
    else if (made.live) this.#startBaseline(made.live);
    else {
      this.#ended = isTerminal(made.job.state);
      await this.#finish(made.job.state);
    }
    return true;
  }

  /** Beside the agent's work, once that has begun; asked for when the first evidence is made. One that breaks is a missing one. */
  #startBaseline(live: Live): void {
    this.#baselineCut = new AbortController();
    const { signal } = this.#baselineCut;
    // The CLI's own start has the processor for itself.
    const begun = Promise.race([live.began, delay(BASELINE_MS, undefined, { signal, ref: false })]);
    const job = this.#job;
    this.#baseline = begun
      .then(() => baseline(this.#deps, job, live, signal))
      .catch((error: unknown) => {
        if (!signal.aborted) this.#deps.log.warn("the baseline could not be run", { error, jobId: this.#job.id });
        return null;
      });
  }

  async #turn(usedMs: number): Promise<void> {
    const end = await awaitTurn(
      this.#deps,
      this.#job,
      this.#held(),
      Math.max(0, Math.min(LOOK_MS, this.#job.limits.jobMs - usedMs)),
    );
    if (end.kind === "budget")
      return this.#take(await this.#cuttable((signal) => keepUnverified(this.#deps, this.#job, this.#held(), signal)));
    return this.#take(end);
  }

  async #take(end: Awaited<ReturnType<typeof awaitAnswer>> | Awaited<ReturnType<typeof verifyRound>>): Promise<void> {
    if (end.kind === "moved") this.#job = end.job;
    else if (end.kind === "end") await this.#end(end);
  }

  async #end(end: End): Promise<void> {
    const live = this.#live;
    const attemptId = live?.attempt.id ?? null;
    // What was done until then stays for a retry; nothing more is done, or paid for, meanwhile.
    const kept = end.to === "failed" || end.to === "timed_out" || end.to === "cancelled";
    if (live && kept) await this.#stopHost(live);
    if (live && kept)
      await saveProgress(this.#deps, this.#job, live, AbortSignal.timeout(this.#timing.stopMs)).catch(
        (error: unknown) => this.#deps.log.warn("progress could not be saved", { error, jobId: this.#job.id }),
      );
    const actor = end.to === "cancelled" ? (this.#job.cancelRequested ?? platformActor) : platformActor;
    this.#job = await transition(this.#deps, this.#job, {
      ...{ to: end.to, reason: end.reason, actor, attemptId },
      ...(end.detail === undefined ? {} : { detail: end.detail }),
      also: async (tx) => live?.giveBack(tx),
    });
    this.#ended = isTerminal(end.to);
    await this.#finish(end.to);
  }

  async #stopHost(live: Live): Promise<void> {
    await live.workspace
      .stopHost()
      .catch((error: unknown) => this.#deps.log.warn("a host could not be stopped", { error, jobId: this.#job.id }));
  }

  /** The workspace and the attempt end; nothing of the job runs any more. */
  async #finish(outcome: string): Promise<void> {
    await this.#close();
    const { db } = this.#deps;
    const attempts = await db.tenant(this.#job.organizationId, (tx) => listAttempts(tx, this.#job.id));
    const running = attempts.find(({ state }) => state === "running");
    if (!running) return;
    const ended = await db.tenant(this.#job.organizationId, (tx) =>
      endAttempt(tx, running.id, outcome, this.#job.reason),
    );
    if (ended)
      await observe(this.#deps, this.#job, running.id, {
        type: "attempt.ended",
        payload: { attemptId: running.id, outcome, reason: this.#job.reason },
      });
  }

  async #lose(reason: "runtime_lost" | "workspace_lost", detail: string): Promise<void> {
    const deps = this.#deps;
    const attempts = await deps.db.tenant(this.#job.organizationId, (tx) => listAttempts(tx, this.#job.id));
    const running = attempts.find(({ state }) => state === "running");
    if (this.#live) {
      // The volume may still be there although a process is not.
      await saveProgress(deps, this.#job, this.#live, AbortSignal.timeout(this.#timing.stopMs)).catch(() => {});
      await observe(deps, this.#job, this.#live.attempt.id, {
        type: "runtime.exited",
        payload: { exitCode: null, detail: detail.slice(0, 2_000) },
      });
    }
    await this.#close();
    if (running) await loseAttempt(deps, this.#job, running, reason, detail);
    const last = lostInARow(attempts) + 1 >= MAX_LOST;
    this.#job = await transition(deps, this.#job, {
      ...(last ? { to: "lost" as const, reason: "attempts_exhausted" as const } : { to: "queued" as const, reason }),
      ...{ detail, attemptId: running?.id ?? null },
    });
  }

  async #stopHere(): Promise<boolean> {
    const deps = this.#deps;
    const live = this.#live;
    // What a dead process left is for whoever takes the job over next.
    if (!this.#clock.started) return false;
    if (live) await this.#stopHost(live);
    if (live)
      await saveProgress(deps, this.#job, live, AbortSignal.timeout(this.#timing.stopMs)).catch((error: unknown) =>
        deps.log.warn("progress could not be saved", { error, jobId: this.#job.id }),
      );
    await this.#finish("stopped");
    if (!isTerminal(this.#job.state) && this.#job.state !== "awaiting_approval" && this.#job.state !== "queued")
      this.#job = await transition(deps, this.#job, {
        to: "queued",
        reason: "service_stopped",
        attemptId: live?.attempt.id ?? null,
      });
    return false;
  }

  /** A bug or a fault of ours: the job ends with a sentence and the log has the rest. */
  async #fail(error: unknown): Promise<void> {
    this.#job = (await reload(this.#deps, this.#job)) ?? this.#job;
    if (this.#leaseLost) return;
    const detail = error instanceof Error ? error.message.slice(0, 500) : "unknown";
    await this.#end({ to: "failed", reason: "internal_error", detail });
  }

  async #close(): Promise<void> {
    const live = this.#live;
    this.#live = null;
    this.#baselineCut.abort(new Interrupted("The job needs it no more."));
    await live?.close();
    await this.#baseline.catch(() => null);
    this.#baseline = Promise.resolve(null);
    // The baseline's own workspace may have been left to end by itself meanwhile.
    await live?.close();
  }
}
