import type { Account, Issue, Protection, Repository, Review } from "../model.ts";
import { reaches, roleOf } from "./accounts.ts";
import { stateOfCheck } from "./verdicts.ts";

/** Branch rules: which hold for a branch, and what they keep a pull request from. */

/** Why a pull request is not merged under a rule that asks for branches that hold all of their base. */
export const OUT_OF_DATE = "Head branch is out of date with the base branch.";

/** Whether a branch is meant by a name or a pattern (`release/*`). */
export function branchMatches(pattern: string, branch: string): boolean {
  const source = pattern
    .replace(/[.+?^${}()|[\]\\]/g, "\\$&")
    .replaceAll("**", "\0")
    .replaceAll("*", "[^/]*");
  return new RegExp(`^${source.replaceAll("\0", ".*")}$`).test(branch);
}

/** Rules of a branch: those of its name before those of a pattern. */
export function protectionOf(repository: Repository, branch: string): Protection | undefined {
  return (
    repository.protections.find((one) => one.pattern === branch) ??
    repository.protections.find((one) => branchMatches(one.pattern, branch))
  );
}

/** Why the rules of its base forbid a merge, in GitHub's words. */
export async function whyNotMergeable(repository: Repository, issue: Issue): Promise<string | undefined> {
  const pull = issue.pull!;
  const protection = protectionOf(repository, pull.baseRef);
  if (!protection) return undefined;
  const latest = new Map<Account, Review>();
  for (const review of pull.reviews)
    if (review.state === "APPROVED" || review.state === "CHANGES_REQUESTED" || review.state === "DISMISSED")
      latest.set(review.user, review);
  const counted = [...latest.values()].filter((review) => reaches(roleOf(review.user, repository), "write"));
  if (protection.requiredReviews !== undefined) {
    if (counted.some((review) => review.state === "CHANGES_REQUESTED"))
      return "At least 1 review requesting changes by reviewers with write access.";
    const needed = protection.requiredReviews;
    if (counted.filter((review) => review.state === "APPROVED").length < needed)
      return `At least ${needed} approving review${needed === 1 ? " is" : "s are"} required by reviewers with write access.`;
  }
  for (const name of protection.requiredChecks) {
    const state = stateOfCheck(repository, pull.headSha, name);
    if (state !== "success")
      return `Required status check "${name}" is ${state === "missing" ? "expected" : state === "pending" ? "in progress" : "failing"}.`;
  }
  const base = await repository.git.branch(pull.baseRef);
  if (protection.strict && base && !(await repository.git.isAncestor(base, pull.headSha))) return OUT_OF_DATE;
  return undefined;
}
