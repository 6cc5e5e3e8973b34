import { row, sql, storableJson, storableText, type Tx } from "@x1agent/kernel";
import type { PullRequestOutcome, PullRequestState } from "./model.ts";

/** The pull request of a job, as last seen. */
export type PullRequestRecord = {
  jobId: string;
  organizationId: string;
  connectionId: string;
  repository: string;
  /** Null until the forge has given one. */
  number: number | null;
  url: string | null;
  headBranch: string;
  baseBranch: string;
  headCommit: string | null;
  state: PullRequestState;
  draft: boolean;
  outcome: PullRequestOutcome | null;
  mergeCommit: string | null;
  readUntil: string | null;
  followUps: number;
  facts: Record<string, unknown>;
  createdAt: string;
  updatedAt: string;
  endedAt: string | null;
};
export type PullRequestRow = {
  job_id: string;
  organization_id: string;
  connection_id: string;
  repository: string;
  number: number | null;
  url: string | null;
  head_branch: string;
  base_branch: string;
  head_commit: string | null;
  state: PullRequestState;
  draft: boolean;
  outcome: PullRequestOutcome | null;
  merge_commit: string | null;
  read_until: string | null;
  follow_ups: number;
  facts: Record<string, unknown>;
  created_at: Date;
  updated_at: Date;
  ended_at: Date | null;
};
export const presentPullRequest = (found: PullRequestRow): PullRequestRecord => ({
  jobId: found.job_id,
  organizationId: found.organization_id,
  connectionId: found.connection_id,
  repository: found.repository,
  number: found.number,
  url: found.url,
  headBranch: found.head_branch,
  baseBranch: found.base_branch,
  headCommit: found.head_commit,
  state: found.state,
  draft: found.draft,
  outcome: found.outcome,
  mergeCommit: found.merge_commit,
  readUntil: found.read_until,
  followUps: found.follow_ups,
  facts: found.facts,
  createdAt: found.created_at.toISOString(),
  updatedAt: found.updated_at.toISOString(),
  endedAt: found.ended_at?.toISOString() ?? null,
});

/** Stores what the forge said of a job's pull request; what follows from it later (rounds, checks, outcome) stays. */
export async function savePullRequest(
  tx: Tx,
  pull: Pick<
    PullRequestRecord,
    | "jobId"
    | "organizationId"
    | "connectionId"
    | "repository"
    | "number"
    | "url"
    | "headBranch"
    | "baseBranch"
    | "headCommit"
    | "state"
    | "draft"
  > & { facts?: Record<string, unknown> },
): Promise<PullRequestRecord> {
  const { jobId, organizationId, connectionId, repository, number, url, headBranch, baseBranch } = pull;
  const made = await row(
    tx,
    sql<PullRequestRow>`insert into pull_request (job_id, organization_id, connection_id, repository, number, url, head_branch, base_branch, head_commit, state, draft, facts)
    values (${jobId}, ${organizationId}, ${connectionId}, ${repository}, ${number}, ${url}, ${headBranch}, ${storableText(baseBranch)}, ${pull.headCommit}, ${pull.state}, ${pull.draft}, ${storableJson(pull.facts ?? {})})
    on conflict (job_id) do update set number = excluded.number, url = excluded.url, head_branch = excluded.head_branch, base_branch = excluded.base_branch, head_commit = excluded.head_commit,
      state = excluded.state, draft = excluded.draft, facts = pull_request.facts || excluded.facts, updated_at = now() returning *`,
  );
  if (!made) throw new Error("An insert returned nothing.");
  return presentPullRequest(made);
}

export async function getPullRequest(tx: Tx, jobId: string): Promise<PullRequestRecord | null> {
  const found = await row(tx, sql<PullRequestRow>`select * from pull_request where job_id = ${jobId}`);
  return found && presentPullRequest(found);
}
