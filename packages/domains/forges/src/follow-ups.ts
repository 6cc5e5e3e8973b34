import { newId, row, rows, sql, storableJson, type Tx } from "@x1agent/kernel";
import type { FollowUpKind, FollowUpState, PullRequestOutcome } from "./model.ts";
import { type PullRequestRecord, type PullRequestRow, presentPullRequest } from "./pull-requests.ts";

/** One thing that happened to a published change, as it was seen. `text` and `author` are their author's words. */
export type FollowUpBody = {
  author: string;
  text: string;
  url: string | null;
  path?: string | null;
  line?: number | null;
  side?: "old" | "new" | null;
  /** Name of a failed check; commit of the base that the change conflicts with. */
  name?: string;
  commit?: string | null;
  /** Said by somebody without write access, or by a program; absent in rows of earlier versions. */
  outside?: boolean;
};
export type FollowUp = {
  id: string;
  jobId: string;
  kind: FollowUpKind;
  key: string;
  /** Whether it starts a round by itself; others go along with one. */
  starts: boolean;
  body: FollowUpBody;
  state: FollowUpState;
  detail: string | null;
  batch: number | null;
  at: string;
};

type FollowUpRow = {
  id: string;
  job_id: string;
  kind: FollowUpKind;
  key: string;
  starts: boolean;
  body: FollowUpBody;
  state: FollowUpState;
  detail: string | null;
  batch: number | null;
  at: Date;
};
const present = (found: FollowUpRow): FollowUp => ({
  id: found.id,
  jobId: found.job_id,
  kind: found.kind,
  key: found.key,
  starts: found.starts,
  body: found.body,
  state: found.state,
  detail: found.detail,
  batch: found.batch,
  at: found.at.toISOString(),
});

/** Most of them that a job may have; what comes after is not taken in. */
export const MAX_FOLLOW_UPS = 500;

/** Notes what was seen, each once by its key; returns what was new. */
export async function noteFollowUps(
  tx: Tx,
  organizationId: string,
  jobId: string,
  items: readonly Pick<FollowUp, "kind" | "key" | "starts" | "body" | "state" | "detail">[],
): Promise<FollowUp[]> {
  const made: FollowUp[] = [];
  const count = await row(tx, sql<{ n: number }>`select count(*)::int as n from follow_up where job_id = ${jobId}`);
  for (const item of items.slice(0, Math.max(0, MAX_FOLLOW_UPS - (count?.n ?? 0)))) {
    const found = await row(
      tx,
      sql<FollowUpRow>`insert into follow_up (id, organization_id, job_id, kind, key, starts, body, state, detail)
      values (${newId("fup")}, ${organizationId}, ${jobId}, ${item.kind}, ${item.key}, ${item.starts}, ${storableJson(item.body)}, ${item.state}, ${item.detail})
      on conflict (job_id, key) do nothing returning *`,
    );
    if (found) made.push(present(found));
  }
  return made;
}

/** Everything that was seen of a job's published change, newest first. */
export async function listFollowUps(tx: Tx, jobId: string, states?: readonly FollowUpState[]): Promise<FollowUp[]> {
  return (
    await rows(
      tx,
      sql<FollowUpRow>`select * from follow_up where job_id = ${jobId} and (${states === undefined} or state = any(${[...(states ?? [])]})) order by id desc limit ${MAX_FOLLOW_UPS}`,
    )
  ).map(present);
}

/** Sets the state of those that are still in one of `from`; returns how many moved. */
export async function moveFollowUps(
  tx: Tx,
  jobId: string,
  from: readonly FollowUpState[],
  to: FollowUpState,
  change: { ids?: readonly string[]; batch?: number; detail?: string | null; starts?: boolean } = {},
): Promise<number> {
  const moved = await rows(
    tx,
    sql<{
      id: string;
    }>`update follow_up set state = ${to}, batch = coalesce(${change.batch ?? null}::int, batch), detail = ${change.detail ?? null}, starts = coalesce(${change.starts ?? null}::boolean, starts)
    where job_id = ${jobId} and state = any(${[...from]}) and (${change.ids === undefined} or id = any(${[...(change.ids ?? [])]})) returning id`,
  );
  return moved.length;
}

/** A job's pull request while it is open, and how far its check is behind: `checkWanted` counts reasons, `checkSent` what was put. */
export type OpenPullRequest = PullRequestRecord & { number: number; checkWanted: number; checkSent: number };
type OpenRow = PullRequestRow & { number: number; check_wanted: number; check_sent: number };
const presentOpen = (found: OpenRow): OpenPullRequest => ({
  ...presentPullRequest(found),
  number: found.number,
  checkWanted: found.check_wanted,
  checkSent: found.check_sent,
});

/** Open pull requests of a connection: those whose look is due, or those that are named. */
export async function pullRequestsToLookAt(
  tx: Tx,
  connectionId: string,
  named: readonly { repository: string; number: number | null; commits: readonly string[] }[],
  limit: number,
): Promise<OpenPullRequest[]> {
  return (
    await rows(
      tx,
      sql<OpenRow>`select * from pull_request p where connection_id = ${connectionId} and state = 'open' and number is not null
      and (look_at <= now() or exists (select 1 from jsonb_to_recordset(${JSON.stringify(named)}::jsonb) as n(repository text, number int, commits jsonb)
        where n.repository = p.repository and (n.number = p.number or n.commits ? p.head_commit or (n.number is null and n.commits = '[]'::jsonb))))
      order by look_at limit ${limit}`,
    )
  ).map(presentOpen);
}

/** Locks the pull request's row for the length of the transaction; null when it is not open. */
export async function lockPullRequest(tx: Tx, jobId: string): Promise<OpenPullRequest | null> {
  const found = await row(
    tx,
    sql<OpenRow>`select * from pull_request where job_id = ${jobId} and state = 'open' and number is not null for update`,
  );
  return found && presentOpen(found);
}

/** Notes what a look found, and when the next one is due. */
export async function notePullRequest(
  tx: Tx,
  jobId: string,
  seen: {
    headCommit?: string;
    readUntil?: string | null;
    draft?: boolean;
    /** What is kept of the look for people to see, under `seen` of the facts. */
    facts?: Record<string, unknown>;
    nextLookMs: number;
  },
): Promise<void> {
  await sql`update pull_request set head_commit = coalesce(${seen.headCommit ?? null}, head_commit), read_until = coalesce(${seen.readUntil ?? null}, read_until),
    draft = coalesce(${seen.draft ?? null}::boolean, draft), facts = facts || ${storableJson(seen.facts ? { seen: seen.facts } : {})}::jsonb, look_at = now() + ${seen.nextLookMs} * interval '1 millisecond', updated_at = now() where job_id = ${jobId}`.execute(
    tx,
  );
}

/** Ends a pull request once; false when it had ended. */
export async function endPullRequest(
  tx: Tx,
  jobId: string,
  end: { state: "merged" | "closed"; outcome: PullRequestOutcome; mergeCommit: string | null },
): Promise<boolean> {
  return (
    (await row(
      tx,
      sql<{
        job_id: string;
      }>`update pull_request set state = ${end.state}, outcome = ${end.outcome}, merge_commit = ${end.mergeCommit}, ended_at = now(), updated_at = now(),
      check_wanted = check_wanted + 1, check_after = now(), look_at = now() where job_id = ${jobId} and state = 'open' returning job_id`,
    )) !== null
  );
}

/** A merged change that may be taken back yet. */
export type MergedPullRequest = {
  jobId: string;
  repository: string;
  number: number;
  headBranch: string;
  baseBranch: string;
  mergeCommit: string | null;
  /** What the platform published last, where that was the whole change; null after further rounds. */
  commit: string | null;
  outcome: PullRequestOutcome | null;
  /** What it was before it was taken back, and by which commit. */
  facts: { merged?: PullRequestOutcome; revertedBy?: string | null };
  endedAt: string;
};

/** Merged ones of the last days whose look is due, or whose repository is named, the longest unseen first. */
export async function mergedToLookAt(
  tx: Tx,
  connectionId: string,
  named: readonly string[],
  bounds: { days: number; limit: number },
): Promise<MergedPullRequest[]> {
  const found = await rows(
    tx,
    sql<Omit<MergedPullRequest, "endedAt"> & { endedAt: Date }>`select p.job_id as "jobId", p.repository, p.number,
      p.head_branch as "headBranch", p.base_branch as "baseBranch", p.merge_commit as "mergeCommit",
      case when p.follow_ups = 0 then j.published_commit end as commit, p.outcome, p.facts, p.ended_at as "endedAt"
    from pull_request p join job j on j.id = p.job_id
    where p.connection_id = ${connectionId} and p.state = 'merged' and p.number is not null
      and p.ended_at > now() - ${bounds.days} * interval '1 day' and (p.look_at <= now() or p.repository = any(${[...named]}))
    order by p.look_at limit ${bounds.limit}`,
  );
  return found.map((one) => ({ ...one, endedAt: one.endedAt.toISOString() }));
}

/** Notes what a look at a merged change found; false when it ended otherwise meanwhile. */
export async function noteRevert(
  tx: Tx,
  jobId: string,
  seen: { outcome: PullRequestOutcome | null; facts: MergedPullRequest["facts"]; nextLookMs: number },
): Promise<boolean> {
  return (
    (await row(
      tx,
      sql<{
        job_id: string;
      }>`update pull_request set outcome = ${seen.outcome}, facts = facts || ${storableJson(seen.facts)}::jsonb,
      look_at = now() + ${seen.nextLookMs} * interval '1 millisecond', updated_at = now() where job_id = ${jobId} and state = 'merged' returning job_id`,
    )) !== null
  );
}

/** Counts a round that what follows began. */
export async function countFollowUp(tx: Tx, jobId: string): Promise<number> {
  const counted = await row(
    tx,
    sql<{
      follow_ups: number;
    }>`update pull_request set follow_ups = follow_ups + 1, updated_at = now() where job_id = ${jobId} returning follow_ups`,
  );
  return counted?.follow_ups ?? 0;
}

/** Open pull requests with something that starts a round, and for how long nothing was added to it. */
export async function quietFollowUps(
  tx: Tx,
  connectionId: string,
): Promise<{ jobId: string; projectId: string; repository: string; number: number; quietMs: number }[]> {
  return rows(
    tx,
    sql<{
      jobId: string;
      projectId: string;
      repository: string;
      number: number;
      quietMs: number;
    }>`select p.job_id as "jobId", j.project_id as "projectId",
      p.repository, p.number, least(extract(epoch from now() - max(f.at)) * 1000, 1e9)::int as "quietMs"
    from pull_request p join job j on j.id = p.job_id join follow_up f on f.job_id = p.job_id and f.state = 'waiting'
    where p.connection_id = ${connectionId} and p.state = 'open' and p.number is not null and j.state in ('succeeded', 'no_changes', 'rejected')
    group by p.job_id, j.project_id having bool_or(f.starts) limit 200`,
  );
}

/** Jobs whose check is to be put: what was wanted last was not sent yet. Ended pull requests too, for their last word. */
export async function checksToPut(
  tx: Tx,
  connectionId: string,
): Promise<{ jobId: string; repository: string; wanted: number }[]> {
  return rows(
    tx,
    sql<{
      jobId: string;
      repository: string;
      wanted: number;
    }>`select job_id as "jobId", repository, check_wanted as wanted from pull_request
    where connection_id = ${connectionId} and check_wanted > check_sent and check_after <= now() and number is not null order by check_after limit 50`,
  );
}

/** Checks of a job by commit. */
export async function listForgeChecks(
  tx: Tx,
  jobId: string,
): Promise<{ commit: string; sent: string | null; ended: boolean }[]> {
  return rows(
    tx,
    sql<{
      commit: string;
      sent: string | null;
      ended: boolean;
    }>`select commit, sent, ended from forge_check where job_id = ${jobId} order by at limit 200`,
  );
}

/** Notes what the check of a commit says now at the forge. */
export async function noteForgeCheck(
  tx: Tx,
  organizationId: string,
  check: { jobId: string; commit: string; checkId: string; sent: string; ended: boolean },
): Promise<void> {
  await sql`insert into forge_check (job_id, commit, organization_id, check_id, sent, ended) values (${check.jobId}, ${check.commit}, ${organizationId}, ${check.checkId}, ${check.sent}, ${check.ended})
    on conflict (job_id, commit) do update set check_id = excluded.check_id, sent = excluded.sent, ended = excluded.ended, at = now()`.execute(
    tx,
  );
}

/** The outbox row is done up to `wanted`, or tried again later. A newer wish stays open. */
export async function checkSent(tx: Tx, jobId: string, wanted: number): Promise<void> {
  await sql`update pull_request set check_sent = greatest(check_sent, ${wanted}) where job_id = ${jobId}`.execute(tx);
}
export async function checkLater(tx: Tx, jobId: string, ms: number): Promise<void> {
  await sql`update pull_request set check_after = now() + ${ms} * interval '1 millisecond' where job_id = ${jobId}`.execute(
    tx,
  );
}

/** Jobs from an issue that have not ended: for what is said about an issue meanwhile. */
export async function openOrigins(
  tx: Tx,
  connectionId: string,
  repository: string,
  number: number,
): Promise<{ jobId: string; digest: string | null; facts: Record<string, unknown>; state: string }[]> {
  return rows(
    tx,
    sql<{
      jobId: string;
      digest: string | null;
      facts: Record<string, unknown>;
      state: string;
    }>`select o.job_id as "jobId", o.issue_digest as digest, o.facts, j.state from job_origin o join job j on j.id = o.job_id
    where o.connection_id = ${connectionId} and o.repository = ${repository} and o.issue_number = ${number} and j.ended_at is null limit 20`,
  );
}
