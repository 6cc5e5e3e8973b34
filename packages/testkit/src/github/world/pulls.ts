import { type RefChange, zero } from "../git.ts";
import { type Account, type Issue, invalid, notFound, type Pull, Refused, type Repository } from "../model.ts";
import { requestSuites } from "./checks.ts";
import { commitsOf } from "./figures.ts";
import { checkText, closeIssue, closePull, issueByNumber, newIssue, pullSays, updateIssue } from "./issues.ts";
import { repositoryByName } from "./repositories.ts";
import { moveRemarks } from "./reviews.ts";
import { protectionOf } from "./rules.ts";
import type { World } from "./world.ts";

/** Pull requests: opened, changed, following their head and their base. */

const closing = /\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?):?\s+(?:([\w.-]+\/[\w.-]+))?#(\d+)\b/gi;

/** A pull request; refused (404) where there is none. */
export function pullByNumber(repository: Repository, number: number): Issue & { pull: Pull } {
  const issue = repository.issues.get(number);
  if (!issue?.pull) throw notFound();
  return issue as Issue & { pull: Pull };
}

/** Opens a pull request. Refused (422) without both branches, without commits between them, or beside an open one. */
export async function createPull(
  world: World,
  actor: Account,
  repository: Repository,
  input: {
    title?: string;
    body?: string | null;
    /** `branch` or `owner:branch`. */
    head: string;
    headRepository?: Repository | undefined;
    base: string;
    draft?: boolean;
    maintainerCanModify?: boolean;
    appId?: number | undefined;
    issue?: number | undefined;
  },
): Promise<Issue> {
  checkText("PullRequest", input);
  const colon = input.head.indexOf(":");
  const headRef = input.head.slice(colon + 1);
  const ownerLogin = colon < 0 ? repository.owner.login : input.head.slice(0, colon);
  const network = [...world.repositories.values()].filter(
    (one) => one === repository || one.parent === repository || one === repository.parent,
  );
  const from =
    input.headRepository ??
    (ownerLogin.toLowerCase() === repository.owner.login.toLowerCase()
      ? repository
      : network.find((one) => one.owner.login.toLowerCase() === ownerLogin.toLowerCase()));
  const headSha = await from?.git.branch(headRef);
  if (!from || !headSha) throw invalid("PullRequest", "head", "invalid");
  const baseSha = await repository.git.branch(input.base);
  if (!baseSha) throw invalid("PullRequest", "base", "invalid");
  for (const other of repository.issues.values())
    if (
      other.state === "open" &&
      other.pull?.headRepository === from &&
      other.pull.headRef === headRef &&
      other.pull.baseRef === input.base
    )
      throw new Refused(422, "Validation Failed", {
        errors: [
          {
            resource: "PullRequest",
            code: "custom",
            message: `A pull request already exists for ${from.owner.login}:${headRef}.`,
          },
        ],
      });
  const converted = input.issue === undefined ? undefined : issueByNumber(repository, input.issue);
  if (!converted && !input.title) throw invalid("PullRequest", "title", "missing_field");
  const issue = converted ?? newIssue(world, actor, repository, input.title ?? "", input.body ?? null, input.appId);
  issue.pull = {
    id: world.id(),
    draft: input.draft ?? false,
    headRepository: from,
    headOwner: from.owner,
    headRef,
    headSha,
    baseRef: input.base,
    baseSha,
    mergedAt: undefined,
    mergedBy: undefined,
    mergeCommitSha: undefined,
    reviews: [],
    reviewComments: [],
    requestedReviewers: [],
    requestedTeams: [],
    maintainerCanModify: from !== repository && (input.maintainerCanModify ?? true),
  };
  // The range is looked at where both commits are; a refused pull request leaves only a ref nobody asks for.
  await keepHead(repository, issue);
  if ((await repository.git.count(`${baseSha}..${headSha}`)) === 0) {
    if (converted) issue.pull = undefined;
    else repository.nextNumber -= 1;
    throw new Refused(422, "Validation Failed", {
      errors: [
        {
          resource: "PullRequest",
          code: "custom",
          message: `No commits between ${repository.owner.login}:${input.base} and ${from.owner.login}:${headRef}`,
        },
      ],
    });
  }
  repository.issues.set(issue.number, issue);
  await pullSays(world, "opened", actor, repository, issue);
  return issue;
}

/** Another base, text or state; refused (422) where there is no such base. */
export async function updatePull(
  world: World,
  actor: Account,
  repository: Repository,
  issue: Issue,
  input: {
    title?: string;
    body?: string | null;
    state?: "open" | "closed";
    base?: string;
    maintainerCanModify?: boolean;
  },
): Promise<void> {
  const pull = issue.pull!;
  if (input.base !== undefined && input.base !== pull.baseRef) {
    const sha = await repository.git.branch(input.base);
    if (!sha) throw invalid("PullRequest", "base", "invalid");
    const from = { ref: { from: pull.baseRef }, sha: { from: pull.baseSha } };
    pull.baseRef = input.base;
    pull.baseSha = sha;
    await pullSays(world, "edited", actor, repository, issue, { changes: { base: from } });
  }
  if (input.maintainerCanModify !== undefined) pull.maintainerCanModify = input.maintainerCanModify;
  await updateIssue(world, actor, repository, issue, input);
}

/** Makes a pull request a draft, or ready. */
export async function setDraft(
  world: World,
  actor: Account,
  repository: Repository,
  issue: Issue,
  draft: boolean,
): Promise<void> {
  if (issue.pull!.draft === draft) return;
  issue.pull!.draft = draft;
  issue.updatedAt = world.time();
  await pullSays(world, draft ? "converted_to_draft" : "ready_for_review", actor, repository, issue);
}

/** Keeps a pull request's head in the base repository, as `refs/pull/<n>/head`. */
async function keepHead(repository: Repository, issue: Issue): Promise<void> {
  const pull = issue.pull!;
  const ref = `refs/pull/${issue.number}/head`;
  if (pull.headRepository && pull.headRepository !== repository)
    await repository.git.take(pull.headRepository.git, pull.headSha, ref);
  else await repository.git.updateRef(ref, pull.headSha);
}

/**
 * Open pull requests from a branch follow it: new commits, outdated remarks, dismissed reviews; closed with the
 * branch.
 */
export async function headMoved(
  world: World,
  actor: Account,
  repository: Repository,
  branch: string,
  change: RefChange,
): Promise<void> {
  for (const base of world.repositories.values())
    for (const issue of base.issues.values()) {
      const pull = issue.pull;
      if (!pull || issue.state !== "open" || pull.headRepository !== repository || pull.headRef !== branch) continue;
      if (change.after === zero) {
        await closePull(world, actor, base, issue);
        continue;
      }
      await moveRemarks(repository, issue, change.after);
      pull.headSha = change.after;
      const current = await base.git.branch(pull.baseRef);
      if (current) pull.baseSha = current;
      await keepHead(base, issue);
      const protection = protectionOf(base, pull.baseRef);
      if (protection?.dismissStale)
        for (const review of pull.reviews) if (review.state === "APPROVED") review.state = "DISMISSED";
      // A push that brought nothing new (the branch now lies within its base) does not synchronize but merge: below.
      if (await base.git.isAncestor(pull.headSha, pull.baseSha)) continue;
      issue.updatedAt = world.time();
      await pullSays(world, "synchronize", actor, base, issue, { before: change.before, after: change.after });
    }
  if (change.after !== zero) await requestSuites(world, actor, repository, branch, change);
}

/** Open pull requests to a branch: merged where it now holds their head, closed with the branch. */
export async function baseMoved(
  world: World,
  actor: Account,
  repository: Repository,
  branch: string,
  change: RefChange,
): Promise<void> {
  for (const issue of repository.issues.values()) {
    const pull = issue.pull;
    if (!pull || issue.state !== "open" || pull.baseRef !== branch) continue;
    if (change.after === zero) await closePull(world, actor, repository, issue);
    else if (await repository.git.isAncestor(pull.headSha, change.after))
      await pullMerged(world, actor, repository, issue, change.after);
  }
}

/** Closes a pull request as merged, and the issues that it says it closes. */
export async function pullMerged(
  world: World,
  actor: Account,
  repository: Repository,
  issue: Issue,
  sha: string,
): Promise<void> {
  const pull = issue.pull!;
  pull.mergedAt = world.time();
  pull.mergedBy = actor;
  pull.mergeCommitSha = sha;
  await closePull(world, actor, repository, issue);
  if (pull.baseRef !== repository.defaultBranch) return;
  const texts = [issue.body ?? "", ...(await commitsOf(repository, issue)).map((commit) => commit.message)];
  for (const text of texts)
    for (const [, other, number] of text.matchAll(closing)) {
      const [owner = "", name = ""] = (other ?? `${repository.owner.login}/${repository.name}`).split("/");
      const target = repositoryByName(world, owner, name)?.repository;
      const closed = target?.issues.get(Number(number));
      if (target && closed && !closed.pull && closed.state === "open")
        await closeIssue(world, actor, target, closed, "completed");
    }
}
