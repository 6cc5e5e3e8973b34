import { type TrustLabel, terminalStates } from "@x1agent/contract";
import { row, rows, sql, storableJson, storableText, type Tx } from "@x1agent/kernel";
import { connectionsAlike } from "./connections.ts";
import type { Trigger } from "./model.ts";

/** What a job came from. */
export type Origin = {
  jobId: string;
  organizationId: string;
  connectionId: string;
  /** The forge's lasting id of the repository. */
  repository: string;
  issueNumber: number | null;
  issueUrl: string | null;
  issueTitle: string | null;
  /** SHA-256 of the issue as the agent was given it: another one means that it was edited. */
  issueDigest: string | null;
  trust: TrustLabel;
  trigger: Trigger;
  triggeredBy: string | null;
  facts: OriginFacts;
  createdAt: string;
};
/** What else is known of where a job came from; keys that are not named here are the watch's own. */
export type OriginFacts = Record<string, unknown> & {
  /** Who asked for it, by the forge's own address for commits. */
  askedBy?: { name: string; email: string };
};
type OriginRow = {
  job_id: string;
  organization_id: string;
  connection_id: string;
  repository: string;
  issue_number: number | null;
  issue_url: string | null;
  issue_title: string | null;
  issue_digest: string | null;
  trust: TrustLabel;
  trigger: Trigger;
  triggered_by: string | null;
  facts: OriginFacts;
  created_at: Date;
};
const present = (found: OriginRow): Origin => ({
  jobId: found.job_id,
  organizationId: found.organization_id,
  connectionId: found.connection_id,
  repository: found.repository,
  issueNumber: found.issue_number,
  issueUrl: found.issue_url,
  issueTitle: found.issue_title,
  issueDigest: found.issue_digest,
  trust: found.trust,
  trigger: found.trigger,
  triggeredBy: found.triggered_by,
  facts: found.facts,
  createdAt: found.created_at.toISOString(),
});

export async function createOrigin(tx: Tx, origin: Omit<Origin, "createdAt">): Promise<Origin> {
  const made = await row(
    tx,
    sql<OriginRow>`insert into job_origin (job_id, organization_id, connection_id, repository, issue_number, issue_url, issue_title, issue_digest, trust, trigger, triggered_by, facts)
    values (${origin.jobId}, ${origin.organizationId}, ${origin.connectionId}, ${origin.repository}, ${origin.issueNumber}, ${origin.issueUrl}, ${origin.issueTitle === null ? null : storableText(origin.issueTitle)},
      ${origin.issueDigest}, ${origin.trust}, ${origin.trigger}, ${origin.triggeredBy === null ? null : storableText(origin.triggeredBy)}, ${storableJson(origin.facts)}) returning *`,
  );
  if (!made) throw new Error("An insert returned nothing.");
  return present(made);
}

export async function getOrigin(tx: Tx, jobId: string): Promise<Origin | null> {
  const found = await row(tx, sql<OriginRow>`select * from job_origin where job_id = ${jobId}`);
  return found && present(found);
}

/** The job that was made for one trigger, by the trigger's key; null while there is none. */
export async function findTriggered(tx: Tx, connectionId: string, key: string): Promise<string | null> {
  const found = await row(
    tx,
    sql<{
      id: string;
    }>`select job_id as id from job_origin where connection_id in ${connectionsAlike(connectionId)} and facts->>'key' = ${key} limit 1`,
  );
  return found?.id ?? null;
}

/** A job on an issue that stands in the way of another: one that works on it, or whose pull request is open. */
export type JobOnIssue = { jobId: string; state: string; pullRequest: number | null };

/**
 * Open jobs on one issue, whichever connection to its forge they were begun through, newest first. Takes a lock on the issue for the length of the transaction, so that two who ask at
 * the same time are answered one after the other.
 */
export async function openJobsOnIssue(
  tx: Tx,
  at: { connectionId: string; repository: string; issueNumber: number },
): Promise<JobOnIssue[]> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`issue:${at.repository}:${at.issueNumber}`}, 0))`.execute(
    tx,
  );
  return rows(
    tx,
    sql<JobOnIssue>`select job.id as "jobId", job.state, case when pull_request.state = 'open' then pull_request.number end as "pullRequest"
    from job_origin join job on job.id = job_origin.job_id left join pull_request on pull_request.job_id = job.id
    where job_origin.connection_id in ${connectionsAlike(at.connectionId)}
      and job_origin.repository = ${at.repository} and job_origin.issue_number = ${at.issueNumber}
      and (not job.state = any(${[...terminalStates]}) or pull_request.state = 'open') order by job.id desc limit 20`,
  );
}

/** Notes further facts of an origin; keys that are not named stay. */
export async function noteOrigin(tx: Tx, jobId: string, facts: Record<string, unknown>): Promise<void> {
  await sql`update job_origin set facts = facts || ${storableJson(facts)}::jsonb where job_id = ${jobId}`.execute(tx);
}
