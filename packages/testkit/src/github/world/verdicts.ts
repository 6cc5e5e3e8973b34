import type { CheckSuite, Repository, Status } from "../model.ts";

/** What the checks and statuses of a commit say, taken together. */

/** Whether a check that ended so stands in nobody's way. */
export const passes = (conclusion: string) => ["success", "neutral", "skipped"].includes(conclusion);

/** State of a suite by its runs: open while one is, then the conclusion that weighs most. */
export function stateOfSuite(repository: Repository, suite: CheckSuite): { status: string; conclusion: string | null } {
  const runs = repository.checkRuns.filter((run) => run.suiteId === suite.id);
  if (runs.length === 0) return { status: "queued", conclusion: null };
  if (runs.some((run) => run.conclusion === null)) return { status: "in_progress", conclusion: null };
  for (const conclusion of ["action_required", "timed_out", "cancelled", "failure", "success", "neutral"])
    if (runs.some((run) => run.conclusion === conclusion)) return { status: "completed", conclusion };
  return { status: "completed", conclusion: "skipped" };
}

/** Newest status of each context. */
export function latestStatuses(repository: Repository, sha: string): Status[] {
  const seen = new Map<string, Status>();
  for (const status of repository.statuses) if (status.sha === sha) seen.set(status.context, status);
  return [...seen.values()].reverse();
}

/** State of a named check or status on a commit. */
export function stateOfCheck(
  repository: Repository,
  sha: string,
  name: string,
): "success" | "pending" | "failure" | "missing" {
  const run = repository.checkRuns.filter((one) => one.headSha === sha && one.name === name).at(-1);
  if (run) return run.conclusion === null ? "pending" : passes(run.conclusion) ? "success" : "failure";
  const status = latestStatuses(repository, sha).find((one) => one.context === name);
  if (!status) return "missing";
  return status.state === "error" ? "failure" : status.state;
}

/** Whether a check or status of a commit has not succeeded. */
export function anyFailing(repository: Repository, sha: string): boolean {
  return (
    repository.checkRuns.some((run) => run.headSha === sha && (run.conclusion === null || !passes(run.conclusion))) ||
    latestStatuses(repository, sha).some((status) => status.state !== "success")
  );
}
