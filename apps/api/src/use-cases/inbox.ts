import type { BlockedHost, ClosedIssue, JobState } from "@x1agent/contract";
import { dismiss, listDismissals } from "@x1agent/domain-jobs";
import { type Database, rows, sql, type Tx } from "@x1agent/kernel";
import type { UseCases } from "./index.ts";

/** Jobs whose workspace may still ask again; later the evidence names what was refused. */
const atWork: readonly JobState[] = ["provisioning", "running", "awaiting_input", "verifying"];
const MAX_BLOCKED = 200;
const MAX_CLOSED = 200;

/** What waits for a person besides the jobs that wait, and what that person has put away. */
export function inboxUseCases(db: Pick<Database, "tenant">): UseCases["inbox"] {
  return {
    get: (caller) =>
      db.tenant(caller.organizationId, async (tx) => ({
        blocked: await blockedAtWork(tx),
        closedIssues: await closedIssues(tx),
        dismissed: await listDismissals(tx, caller.actor.id),
      })),
    dismiss: (caller, key) =>
      db.tenant(caller.organizationId, (tx) => dismiss(tx, caller.organizationId, caller.actor.id, key)),
  };
}

/** Refused hosts of the present attempts of jobs at work, the newest refusal first. */
async function blockedAtWork(tx: Tx): Promise<BlockedHost[]> {
  type Row = Omit<BlockedHost, "lastAt"> & { lastAt: Date };
  const found = await rows(
    tx,
    sql<Row>`select job.id as "jobId", job.title, job.project_id as "projectId",
      event.payload->>'host' as host, (event.payload->>'port')::int as port,
      array_agg(distinct event.payload->>'phase') as phases, max(event.payload->>'code') as code,
      count(*)::int as count, max(event.ts) as "lastAt"
    from job join event on event.job_id = job.id and event.type = 'egress.blocked'
    join attempt on attempt.id = event.attempt_id and attempt.state = 'running'
    where job.state in (${sql.join(atWork)})
    group by job.id, 4, 5 order by max(event.ts) desc limit ${MAX_BLOCKED}`,
  );
  return found.map((row) => ({ ...row, lastAt: row.lastAt.toISOString() }));
}

/** Issues that were closed while a job works on them, as the watch noted it; the last first. */
async function closedIssues(tx: Tx): Promise<ClosedIssue[]> {
  type Row = Omit<ClosedIssue, "at"> & { at: Date };
  const found = await rows(
    tx,
    sql<Row>`select job.id as "jobId", job.title, o.issue_number as number, o.issue_url as url, max(event.ts) as at
    from job_origin o join job on job.id = o.job_id join project on project.id = job.project_id
    join event on event.job_id = job.id and event.type = 'forge.noted' and event.payload->>'kind' = 'issue_closed'
    where job.ended_at is null and o.issue_number is not null and o.facts->'seen'->>'state' = 'closed'
      and coalesce(project.settings->'follow'->>'onIssueClosed', 'ask') = 'ask'
    group by job.id, o.job_id order by max(event.ts) desc limit ${MAX_CLOSED}`,
  );
  return found.map((row) => ({ ...row, at: row.at.toISOString() }));
}
