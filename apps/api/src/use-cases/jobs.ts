import {
  accept,
  formatActor,
  type IsolationLevel,
  isTerminal,
  type Job,
  type JobCreate,
  type JobState,
  type Outcome,
  type ReasonCode,
  type Refusal,
  type RouteResponse,
  refuse,
  type TrustLabel,
} from "@x1agent/contract";
import { jobMoney, setBudget } from "@x1agent/domain-budgets";
import { getOrigin, getPullRequest } from "@x1agent/domain-forges";
import {
  changeSettings,
  createJob,
  getJob,
  type JobRecord,
  listAttempts,
  listJobs,
  moveJob,
  requestCancel,
} from "@x1agent/domain-jobs";
import { findOrCreateProject, getProject } from "@x1agent/domain-projects";
import { appendEvents, listOpenQuestions, putCommand } from "@x1agent/domain-sessions";
import { type Database, newId, type Tx } from "@x1agent/kernel";
import { audited } from "./audit.ts";
import type { Caller, UseCases } from "./index.ts";

type JobDetail = RouteResponse<"getJob">;

import { chooseRuntime, DEFAULT_BUDGET_MICROS, type RuntimeChoice, settleJob } from "./job-settings.ts";

export type JobMakerDeps = {
  db: Pick<Database, "tenant">;
  canonicalRepository(text: string): Outcome<string>;
  runtimes(): Promise<RuntimeChoice[]>;
  /** Level that the driver offers here; null when it cannot run at all. */
  offeredIsolation(): Promise<IsolationLevel | null>;
  isSample(repository: string, base: string | null): Promise<boolean>;
  /** Tells the loop that a job can go on. */
  kick(organizationId: string, jobId: string): void;
};

export type JobDeps = Pick<JobMakerDeps, "db" | "runtimes" | "kick"> & { makeJob: MakeJob };

/** A job as people see it: its record with its money and its open questions. */
export async function presentJob(tx: Tx, record: JobRecord): Promise<Job> {
  const money = await jobMoney(tx, record.id);
  const {
    organizationId: _o,
    cancelRequested: _c,
    startedAt: _s,
    verifyNetwork: _v,
    merge: _m,
    roundsBefore: _r,
    waits: _w,
    ...job
  } = record;
  return {
    ...job,
    budgetMicros: money.limitMicros ?? record.budgetMicros,
    spentMicros: money.spentMicros,
    reservedMicros: money.reservedMicros,
    openQuestions: isTerminal(record.state) ? [] : await listOpenQuestions(tx, record.id),
  };
}

/** What a job on an issue brings along; `before` refuses, `after` writes, both in the transaction that makes the job. */
export type JobOrigin = {
  trust: TrustLabel;
  before(tx: Tx): Promise<Refusal | null>;
  after(tx: Tx, job: JobRecord): Promise<void>;
};
export type MakeJob = (caller: Caller, asked: JobCreate, origin?: JobOrigin) => Promise<Outcome<Job>>;

/** Makes jobs: what was asked for is settled with the project's settings, in one transaction. */
export function createJobMaker(deps: JobMakerDeps): MakeJob {
  const { db, kick } = deps;
  return async (caller, asked, more) => {
    const repository = asked.repository === undefined ? null : deps.canonicalRepository(asked.repository);
    if (repository && !repository.ok) return repository;
    if (!repository && !asked.projectId) return refuse("invalid_request", "Name a repository or a project.");
    const [runtimes, offered] = await Promise.all([deps.runtimes(), deps.offeredIsolation()]);
    const existing =
      asked.projectId === undefined
        ? null
        : await db.tenant(caller.organizationId, (tx) => getProject(tx, asked.projectId ?? ""));
    if (asked.projectId !== undefined && !existing) return refuse("not_found", "No such project.");
    if (existing && repository?.ok && existing.repository !== repository.value)
      return refuse("invalid_request", `The project's repository is ${existing.repository}.`);
    const address = existing?.repository ?? (repository?.ok ? repository.value : "");
    // Read before the transaction: it starts a process.
    const sample = asked.isolation === "process" && (await deps.isSample(address, asked.base ?? null));

    const made = await db.tenant(caller.organizationId, async (tx): Promise<Outcome<Job>> => {
      const project = existing ?? (await findOrCreateProject(tx, caller.organizationId, address));
      if (project.archivedAt) return refuse("conflict", "The project is archived.");
      const held = (await more?.before(tx)) ?? null;
      if (held) return held;
      const settings = settleJob(asked, { project, runtimes, offered, sample });
      if (!settings.ok) return settings;
      const job = await createJob(tx, {
        organizationId: caller.organizationId,
        projectId: project.id,
        repository: project.repository,
        createdBy: caller.actor,
        settings: more ? { ...settings.value, trust: more.trust } : settings.value,
      });
      await setBudget(tx, caller.organizationId, {
        scope: { kind: "job", id: job.id },
        window: "total",
        limitMicros: settings.value.budgetMicros,
      });
      await more?.after(tx, job);
      await recordState(tx, caller, job.id, null, "queued", "created");
      const answer = await presentJob(tx, job);
      await audited(tx, caller, "job.created", job.id, {
        project: project.id,
        runtime: job.runtime,
        model: job.model,
        budgetMicros: settings.value.budgetMicros,
        isolation: job.isolation,
      });
      // Nothing else keeps a second job away when this process dies before it has answered.
      await caller.kept?.(tx, answer);
      return accept(answer);
    });
    if (made.ok) kick(caller.organizationId, made.value.id);
    return made;
  };
}

/** States out of which no loop has to take anything down: a cancel there is a move and nothing else. */
const idle: readonly JobState[] = ["queued", "awaiting_approval"];

export function jobUseCases(deps: JobDeps): UseCases["jobs"] {
  const { db, kick } = deps;
  return {
    async list(caller, request) {
      return db.tenant(caller.organizationId, async (tx) => {
        const page = await listJobs(tx, request);
        const items: Job[] = [];
        for (const record of page.items) items.push(await presentJob(tx, record));
        return { items, cursor: page.cursor };
      });
    },

    create: (caller, asked) => deps.makeJob(caller, asked),

    get: (caller, jobId) =>
      db.tenant(caller.organizationId, async (tx) => {
        const record = await getJob(tx, jobId);
        return (
          record && {
            ...(await presentJob(tx, record)),
            attempts: (await listAttempts(tx, jobId)).map(({ jobId: _, ...attempt }) => attempt),
            ...(await presentOrigin(tx, jobId)),
          }
        );
      }),

    async cancel(caller, jobId) {
      const cancelled = await db.tenant(caller.organizationId, async (tx): Promise<Outcome<Job>> => {
        const job = await getJob(tx, jobId);
        if (!job) return refuse("not_found", "No such job.");
        let after: Outcome<JobRecord> | null = null;
        if (idle.includes(job.state)) {
          after = await moveJob(tx, {
            jobId,
            from: job.state,
            to: "cancelled",
            reason: "cancelled_by_person",
            actor: caller.actor,
          });
          if (after.ok) await recordState(tx, caller, jobId, job.state, "cancelled", "cancelled_by_person");
          // A loop took it between the look and the move: then it is that loop's to end.
          else after = null;
        }
        if (!after) {
          // Something runs: its owner stops it, keeps what was collected, and moves the job.
          after = await requestCancel(tx, jobId, caller.actor);
          if (after.ok)
            await putCommand(tx, caller.organizationId, jobId, {
              kind: "cancel",
              dedupe: newId("can"),
              body: {},
              actor: caller.actor,
            });
        }
        if (!after.ok) return after;
        const answer = await presentJob(tx, after.value);
        await audited(tx, caller, "job.cancelled", jobId);
        return accept(answer);
      });
      if (cancelled.ok) kick(caller.organizationId, jobId);
      return cancelled;
    },

    async retry(caller, jobId, change) {
      const runtimes = await deps.runtimes();
      const retried = await db.tenant(caller.organizationId, async (tx): Promise<Outcome<Job>> => {
        const job = await getJob(tx, jobId);
        if (!job) return refuse("not_found", "No such job.");
        if (!isTerminal(job.state))
          return refuse("illegal_transition", `The job is ${job.state}: only one that has ended can be retried.`);
        if (job.state === "succeeded")
          return refuse("illegal_transition", "The job's change is published: make a new job for more.");
        const runtime = chooseRuntime(change.runtime ?? job.runtime, runtimes);
        if (!runtime.ok) return runtime;
        if (job.isolation === "process" && !runtime.value.processLevel)
          return refuse(
            "isolation_unavailable",
            `${runtime.value.title} does not run without isolation; make a new job.`,
          );
        const budgetMicros = change.budgetMicros ?? job.budgetMicros ?? DEFAULT_BUDGET_MICROS;
        // Another runtime has other models: the old job's choice means nothing to it.
        const model = change.model ?? (runtime.value.name === job.runtime ? job.model : runtime.value.defaultModel);
        await changeSettings(tx, jobId, { runtime: runtime.value.name, model, budgetMicros });
        if (change.budgetMicros !== undefined)
          await setBudget(tx, caller.organizationId, {
            scope: { kind: "job", id: jobId },
            window: "total",
            limitMicros: change.budgetMicros,
          });
        const moved = await moveJob(tx, {
          jobId,
          from: job.state,
          to: "queued",
          reason: "retried",
          actor: caller.actor,
        });
        if (!moved.ok) return moved;
        await recordState(tx, caller, jobId, job.state, "queued", "retried");
        const answer = await presentJob(tx, moved.value);
        await audited(tx, caller, "job.retried", jobId, { runtime: runtime.value.name, model, budgetMicros });
        return accept(answer);
      });
      if (retried.ok) kick(caller.organizationId, jobId);
      return retried;
    },
  };
}

/** Where a job came from, and its pull request, as people see them. */
async function presentOrigin(tx: Tx, jobId: string): Promise<Pick<JobDetail, "origin" | "pullRequest">> {
  const origin = await getOrigin(tx, jobId);
  const pull = await getPullRequest(tx, jobId);
  return {
    origin: origin && {
      ...{ connectionId: origin.connectionId, repository: String(origin.facts.fullName ?? origin.repository) },
      ...{ issueNumber: origin.issueNumber, issueUrl: origin.issueUrl, issueTitle: origin.issueTitle },
      ...{ trust: origin.trust, trigger: origin.trigger, triggeredBy: origin.triggeredBy },
    },
    pullRequest: pull && {
      ...{ number: pull.number, url: pull.url, state: pull.state, draft: pull.draft, outcome: pull.outcome },
      ...{ headBranch: pull.headBranch, baseBranch: pull.baseBranch, followUps: pull.followUps },
      notes: Array.isArray(pull.facts.notes) ? pull.facts.notes.map(String) : [],
      ...(pull.facts.seen ? { seen: pull.facts.seen as NonNullable<JobDetail["pullRequest"]>["seen"] } : {}),
    },
  };
}

/** The observed event of a move, in the same transaction as the move. */
async function recordState(
  tx: Tx,
  caller: Caller,
  jobId: string,
  from: JobState | null,
  to: JobState,
  reason: ReasonCode,
): Promise<void> {
  await appendEvents(tx, caller.organizationId, jobId, [
    {
      type: "job.state",
      source: "observed",
      attemptId: null,
      payload: { from, to, reason, actor: formatActor(caller.actor) },
    },
  ]);
}
