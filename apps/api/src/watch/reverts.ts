import { platformActor } from "@x1agent/contract";
import { appendAudit } from "@x1agent/domain-audit";
import { type MergedPullRequest, mergedToLookAt, noteRevert } from "@x1agent/domain-forges";
import { appendEvents } from "@x1agent/domain-sessions";
import { revertOf } from "@x1agent/forges";
import { type Cycle, there } from "./cycle.ts";

/** How long after its merge it is asked whether a change was taken back: what is older is rarely undone in one piece. */
const WATCHED_DAYS = 30;
const MAX_LOOKS = 200;

/**
 * Looks whether merged changes were taken back since, one question for each branch: those that are due, and those of
 * repositories to which something was pushed. One that was brought back again counts as merged.
 */
export async function lookForReverts(cycle: Cycle, pushed: readonly string[] = []): Promise<void> {
  const { forge, connection, timing } = cycle;
  const due = await cycle.tenant((tx) =>
    mergedToLookAt(tx, connection.id, pushed, { days: WATCHED_DAYS, limit: MAX_LOOKS }),
  );
  const branches = Map.groupBy(due, ({ repository, baseBranch }) => JSON.stringify([repository, baseBranch]));
  for (const rows of branches.values()) {
    const [first] = rows;
    const repository = first ? await cycle.repository(first.repository) : null;
    // Committers' clocks are theirs.
    const since = new Date(Math.min(...rows.map(({ endedAt }) => Date.parse(endedAt))) - 3_600_000).toISOString();
    const of = async (branch: string) =>
      repository && forge.listCommits ? there(await forge.listCommits(repository, branch, since)) : null;
    // A branch that was renamed is the default one as a rule.
    const commits = first && repository ? ((await of(first.baseBranch)) ?? (await of(repository.defaultBranch))) : null;
    for (const row of rows) {
      const before = row.facts.revertedBy ?? null;
      const merged = {
        ...{ fullName: repository?.fullName ?? "", number: row.number, headBranch: row.headBranch },
        commits: [row.mergeCommit, row.commit].filter((commit) => commit !== null),
      };
      await note(cycle, row, before, commits ? revertOf(merged, commits, before) : before, timing.revertMs);
    }
  }
}

async function note(
  cycle: Cycle,
  row: MergedPullRequest,
  before: string | null,
  by: string | null,
  nextLookMs: number,
): Promise<void> {
  const { jobId, number, facts } = row;
  const merged = row.outcome === "reverted" ? (facts.merged ?? "merged") : (row.outcome ?? "merged");
  const outcome = by === null ? merged : "reverted";
  await cycle.tenant(async (tx) => {
    const noted = await noteRevert(tx, jobId, { outcome, facts: { merged, revertedBy: by }, nextLookMs });
    if (!noted || by === before) return;
    const detail =
      by === null
        ? `What pull request ${number} changed is there again.`
        : `What pull request ${number} changed was taken back by ${by.slice(0, 12)}.`;
    await appendEvents(tx, cycle.organizationId, jobId, [
      {
        ...{ type: "forge.noted", source: "observed", attemptId: null },
        payload: { kind: by === null ? "reapplied" : "reverted", detail },
      },
    ]);
    await appendAudit(tx, cycle.organizationId, {
      ...{ actor: platformActor, action: by === null ? "pull_request.reapplied" : "pull_request.reverted" },
      ...{ subject: jobId, data: { number, by: by ?? before } },
    });
  });
}
