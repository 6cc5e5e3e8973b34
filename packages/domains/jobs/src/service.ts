import {
  type Actor,
  accept,
  type IsolationReport,
  isTerminal,
  type JobState,
  mayMove,
  type Outcome,
  type ReasonCode,
  refuse,
  terminalStates,
} from "@x1agent/contract";
import { newId, row, rows, sql, storableJson, storableText, type Tx } from "@x1agent/kernel";
import type { AttemptRecord, JobFacts, JobMerge, JobRecord, JobSettings, Move } from "./model.ts";

type JobRow = {
  id: string;
  organization_id: string;
  project_id: string;
  title: string;
  goal: string;
  repository: string;
  state: JobState;
  reason: ReasonCode;
  reason_detail: string | null;
  actor: Actor;
  settings: Omit<JobSettings, "title" | "goal">;
  base_commit: string | null;
  attempt: number;
  round: number;
  rounds_before: number;
  approval_digest: string | null;
  target_branch: string | null;
  published_commit: string | null;
  merge: JobMerge | null;
  cancel_requested: Actor | null;
  waits: number;
  created_by: Actor;
  created_at: Date;
  updated_at: Date;
  started_at: Date | null;
  ended_at: Date | null;
};

const present = (found: JobRow): JobRecord => ({
  ...found.settings,
  id: found.id,
  organizationId: found.organization_id,
  projectId: found.project_id,
  title: found.title,
  goal: found.goal,
  repository: found.repository,
  state: found.state,
  reason: found.reason,
  reasonDetail: found.reason_detail,
  actor: found.actor,
  baseCommit: found.base_commit,
  attempt: found.attempt,
  round: found.round,
  roundsBefore: found.rounds_before,
  approvalDigest: found.approval_digest,
  targetBranch: found.target_branch,
  publishedCommit: found.published_commit,
  merge: found.merge,
  cancelRequested: found.cancel_requested,
  waits: found.waits,
  createdBy: found.created_by,
  createdAt: found.created_at.toISOString(),
  updatedAt: found.updated_at.toISOString(),
  startedAt: found.started_at?.toISOString() ?? null,
  endedAt: found.ended_at?.toISOString() ?? null,
});

/** Makes a job in state `queued`. */
export async function createJob(
  tx: Tx,
  job: {
    organizationId: string;
    projectId: string;
    repository: string;
    createdBy: Actor;
    settings: JobSettings;
    id?: string;
  },
): Promise<JobRecord> {
  const { title, goal, ...settings } = job.settings;
  const made = await row(
    tx,
    sql<JobRow>`insert into job (id, organization_id, project_id, title, goal, repository, state, reason, actor, settings, created_by)
    values (${job.id ?? newId("job")}, ${job.organizationId}, ${job.projectId}, ${storableText(title)}, ${storableText(goal)}, ${job.repository}, 'queued', 'created', ${JSON.stringify(job.createdBy)}, ${storableJson(settings)}, ${JSON.stringify(job.createdBy)}) returning *`,
  );
  if (!made) throw new Error("An insert returned nothing.");
  return present(made);
}

export async function getJob(tx: Tx, jobId: string): Promise<JobRecord | null> {
  const found = await row(tx, sql<JobRow>`select * from job where id = ${jobId}`);
  return found && present(found);
}

/** Which jobs a list shows; what is absent does not narrow it. */
export type JobFilter = {
  limit: number;
  cursor?: string | undefined;
  state?: JobState | undefined;
  /** Any of these. */
  states?: readonly JobState[] | undefined;
  projectId?: string | undefined;
  runtime?: string | undefined;
  /** Id of whoever made the job. */
  createdBy?: string | undefined;
  /** Words that all occur in title, goal or repository, whatever their case. */
  q?: string | undefined;
};

/** Jobs of the tenant, newest first; the cursor is the last id of the page before. */
export async function listJobs(tx: Tx, filter: JobFilter): Promise<{ items: JobRecord[]; cursor: string | null }> {
  // A goal may be a megabyte: its beginning is searched, as people read it.
  const words = (filter.q ?? "").toLowerCase().split(/\s+/).filter(Boolean).slice(0, 10);
  const conditions = [
    sql`true`,
    ...(filter.cursor === undefined ? [] : [sql`id < ${filter.cursor}`]),
    ...(filter.state === undefined ? [] : [sql`state = ${filter.state}`]),
    ...(filter.states === undefined ? [] : [sql`state = any(${[...filter.states]})`]),
    ...(filter.projectId === undefined ? [] : [sql`project_id = ${filter.projectId}`]),
    ...(filter.runtime === undefined ? [] : [sql`settings->>'runtime' = ${filter.runtime}`]),
    ...(filter.createdBy === undefined ? [] : [sql`created_by->>'id' = ${filter.createdBy}`]),
    ...words.map((word) => sql`position(${word} in lower(title || ' ' || left(goal, 4000) || ' ' || repository)) > 0`),
  ];
  const found = await rows(
    tx,
    sql<JobRow>`select * from job where ${sql.join(conditions, sql` and `)} order by id desc limit ${filter.limit + 1}`,
  );
  return {
    items: found.slice(0, filter.limit).map(present),
    cursor: found.length > filter.limit ? (found[filter.limit - 1]?.id ?? null) : null,
  };
}

/** States in which an attempt works. Out of any other a job is queued again only by a word of a person or of the forge. */
const working: readonly JobState[] = ["provisioning", "running", "awaiting_input", "verifying"];

/**
 * Moves a job, if it is still where the caller thinks: one guarded update. A move back to `queued` forgets what the last
 * attempt left open, and where a person or the forge sent it back the rounds that may bring feedback count anew; an end
 * releases the loop's lease. What a job waited for so far is counted on while it only begins and is parked again.
 */
export async function moveJob(tx: Tx, move: Move): Promise<Outcome<JobRecord>> {
  if (!mayMove(move.from, move.to))
    return refuse("illegal_transition", `A job may not move from ${move.from} to ${move.to}.`);
  const ended = isTerminal(move.to);
  const stillWaits = move.to === "provisioning" || move.reason === "forge_waiting";
  const sentBack = move.to === "queued" && !working.includes(move.from);
  const moved = await row(
    tx,
    sql<JobRow>`update job set state = ${move.to}, reason = ${move.reason}, reason_detail = ${move.detail === undefined ? null : storableText(move.detail.slice(0, 4_000))}, actor = ${JSON.stringify(move.actor)},
      updated_at = now(), ended_at = case when ${ended} then now() else null end, started_at = coalesce(started_at, case when ${move.to} = 'provisioning' then now() end),
      owner = case when ${ended} then null else owner end, owner_until = case when ${ended} then null else owner_until end,
      cancel_requested = case when ${ended} or ${move.to} = 'queued' then null else cancel_requested end, not_before = null,
      waits = case when ${stillWaits} then waits else 0 end,
      rounds_before = case when ${sentBack} then round else rounds_before end
    where id = ${move.jobId} and state = ${move.from} returning *`,
  );
  if (moved) return accept(present(moved));
  const now = await getJob(tx, move.jobId);
  return now
    ? refuse("illegal_transition", `The job is ${now.state}, not ${move.from}.`)
    : refuse("not_found", "No such job.");
}

const factColumns = {
  baseCommit: "base_commit",
  round: "round",
  approvalDigest: "approval_digest",
  targetBranch: "target_branch",
  publishedCommit: "published_commit",
  merge: "merge",
} as const satisfies Record<keyof JobFacts, string>;

/** Notes facts of a job without a move; absent keys stay. */
export async function setJobFacts(tx: Tx, jobId: string, facts: JobFacts): Promise<void> {
  const changes = (Object.keys(facts) as (keyof JobFacts)[])
    .filter((key) => facts[key] !== undefined)
    .map((key) => {
      const value = facts[key];
      return sql`${sql.ref(factColumns[key])} = ${typeof value === "object" && value !== null ? storableJson(value) : value}`;
    });
  if (changes.length > 0)
    await sql`update job set ${sql.join(changes)}, updated_at = now() where id = ${jobId}`.execute(tx);
}

/** Changes what the next attempt is made with; for a job that has ended. */
export async function changeSettings(
  tx: Tx,
  jobId: string,
  change: Partial<Pick<JobSettings, "runtime" | "model" | "budgetMicros" | "trust">>,
): Promise<void> {
  await sql`update job set settings = settings || ${JSON.stringify(change)}::jsonb where id = ${jobId}`.execute(tx);
}

/**
 * Leaves a job in its state until something outside answers again: reason and sentence say what it waits for, and it is not
 * claimed before the delay (milliseconds) is over. `waits` counts since it last moved; null when it moved meanwhile.
 */
export async function parkJob(
  tx: Tx,
  park: { jobId: string; state: JobState; reason: ReasonCode; detail: string; delayMs: (waits: number) => number },
): Promise<{ job: JobRecord; waits: number } | null> {
  const found = await row(
    tx,
    sql<{ waits: number }>`select waits from job where id = ${park.jobId} and state = ${park.state} for update`,
  );
  if (!found) return null;
  const parked = await row(
    tx,
    sql<JobRow>`update job set reason = ${park.reason}, reason_detail = ${storableText(park.detail.slice(0, 4_000))}, waits = waits + 1, updated_at = now(),
      not_before = now() + ${park.delayMs(found.waits)} * interval '1 millisecond' where id = ${park.jobId} returning *`,
  );
  return parked && { job: present(parked), waits: found.waits + 1 };
}

/** Asks for the end of a job; its owner acts on it. Refused when it has ended. */
export async function requestCancel(tx: Tx, jobId: string, actor: Actor): Promise<Outcome<JobRecord>> {
  const asked = await row(
    tx,
    sql<JobRow>`update job set cancel_requested = ${JSON.stringify(actor)} where id = ${jobId} and not state = any(${[...terminalStates]}) returning *`,
  );
  if (asked) return accept(present(asked));
  return (await getJob(tx, jobId)) ? refuse("job_finished") : refuse("not_found", "No such job.");
}

/**
 * The job has ended and its attempt has not: its process died between the two writes. Before a minute is over that process
 * may still be clearing away, since the lease ends with the job.
 */
const abandoned = sql`(job.ended_at < now() - interval '1 minute'
  and exists (select from attempt as held where held.job_id = job.id and held.state = 'running'))`;

/** Takes the loop's lease on a job: free, run out, or ours already. The clock is the database's. */
export async function claimJob(tx: Tx, jobId: string, owner: string, ttlMs: number): Promise<JobRecord | null> {
  const claimed = await row(
    tx,
    sql<JobRow>`update job set owner = ${owner}, owner_until = now() + ${ttlMs} * interval '1 millisecond'
    where id = ${jobId} and (owner is null or owner = ${owner} or owner_until < now()) and (not_before is null or not_before <= now() or cancel_requested is not null)
    and (not state = any(${[...terminalStates]}) or ${abandoned}) returning *`,
  );
  return claimed && present(claimed);
}

/** False when the lease was lost to another. */
export async function renewJob(tx: Tx, jobId: string, owner: string, ttlMs: number): Promise<boolean> {
  return (
    (await row(
      tx,
      sql<{
        id: string;
      }>`update job set owner_until = now() + ${ttlMs} * interval '1 millisecond' where id = ${jobId} and owner = ${owner} returning id`,
    )) !== null
  );
}

export async function releaseJob(tx: Tx, jobId: string, owner: string): Promise<void> {
  await sql`update job set owner = null, owner_until = null where id = ${jobId} and owner = ${owner}`.execute(tx);
}

/** Frees the jobs of an owner's earlier lives: only one process of an instance lives at a time, so its others are dead. */
export async function releaseInstance(tx: Tx, instance: string): Promise<void> {
  await sql`update job set owner = null, owner_until = null where starts_with(owner, ${`${instance}:`})`.execute(tx);
}

/**
 * Unfinished jobs of the tenant that nobody works on, and those that went on without their attempt. Those that wait for a
 * person are left out unless a cancel was asked for.
 */
export async function listClaimable(tx: Tx, limit = 100): Promise<string[]> {
  const found = await rows(
    tx,
    sql<{
      id: string;
    }>`select id from job where not state = any(${[...terminalStates]}) and (owner is null or owner_until < now())
    and (state <> 'awaiting_approval' or cancel_requested is not null) and (not_before is null or not_before <= now() or cancel_requested is not null)
    union select job.id from attempt join job on job.id = attempt.job_id where attempt.state = 'running' and (owner is null or owner_until < now())
    and (job.state = 'awaiting_approval' or ${abandoned}) order by id limit ${limit}`,
  );
  return found.map(({ id }) => id);
}

/** Who holds the loop's lease, if anybody does. */
export async function ownerOf(tx: Tx, jobId: string): Promise<string | null> {
  return (
    (await row(tx, sql<{ owner: string }>`select owner from job where id = ${jobId} and owner_until >= now()`))
      ?.owner ?? null
  );
}

type AttemptRow = {
  id: string;
  job_id: string;
  number: number;
  state: "running" | "ended";
  outcome: string | null;
  reason: string | null;
  workspace_id: string | null;
  isolation: IsolationReport | null;
  started_at: Date;
  ended_at: Date | null;
};
const presentAttempt = (found: AttemptRow): AttemptRecord => ({
  id: found.id,
  jobId: found.job_id,
  number: found.number,
  state: found.state,
  outcome: found.outcome,
  reason: found.reason,
  workspaceId: found.workspace_id,
  isolation: found.isolation,
  startedAt: found.started_at.toISOString(),
  endedAt: found.ended_at?.toISOString() ?? null,
});

/** Starts the next attempt; only one of a job runs at a time (the database refuses a second). */
export async function startAttempt(
  tx: Tx,
  job: Pick<JobRecord, "id" | "organizationId">,
  workspaceId: string | null,
): Promise<AttemptRecord> {
  const counted = await row(
    tx,
    sql<{ attempt: number }>`update job set attempt = attempt + 1 where id = ${job.id} returning attempt`,
  );
  const made = await row(
    tx,
    sql<AttemptRow>`insert into attempt (id, organization_id, job_id, number, state, workspace_id) values (${newId("att")}, ${job.organizationId}, ${job.id}, ${counted?.attempt ?? 1}, 'running', ${workspaceId}) returning *`,
  );
  if (!made) throw new Error("An insert returned nothing.");
  return presentAttempt(made);
}

export async function setAttemptFacts(
  tx: Tx,
  attemptId: string,
  facts: { workspaceId?: string; isolation?: IsolationReport },
): Promise<void> {
  await sql`update attempt set workspace_id = coalesce(${facts.workspaceId ?? null}, workspace_id), isolation = coalesce(${facts.isolation ? JSON.stringify(facts.isolation) : null}::jsonb, isolation) where id = ${attemptId}`.execute(
    tx,
  );
}

/** Ends an attempt once; repeating it changes nothing. */
export async function endAttempt(tx: Tx, attemptId: string, outcome: string, reason: string): Promise<boolean> {
  return (
    (await row(
      tx,
      sql<{
        id: string;
      }>`update attempt set state = 'ended', outcome = ${outcome}, reason = ${reason}, ended_at = now() where id = ${attemptId} and state = 'running' returning id`,
    )) !== null
  );
}

export async function listAttempts(tx: Tx, jobId: string): Promise<AttemptRecord[]> {
  return (await rows(tx, sql<AttemptRow>`select * from attempt where job_id = ${jobId} order by number`)).map(
    presentAttempt,
  );
}

export async function runningAttempt(tx: Tx, jobId: string): Promise<AttemptRecord | null> {
  const found = await row(tx, sql<AttemptRow>`select * from attempt where job_id = ${jobId} and state = 'running'`);
  return found && presentAttempt(found);
}

/** Workspaces that running attempts of the tenant own. */
export async function ownedWorkspaces(tx: Tx): Promise<{ attemptId: string; jobId: string }[]> {
  return rows(
    tx,
    sql<{
      attemptId: string;
      jobId: string;
    }>`select id as "attemptId", job_id as "jobId" from attempt where state = 'running'`,
  );
}
