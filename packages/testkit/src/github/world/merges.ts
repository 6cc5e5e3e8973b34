import { type Signature, zero } from "../git.ts";
import { type Account, type Issue, Refused, type Repository } from "../model.ts";
import { signatureOf } from "./accounts.ts";
import { pullMerged } from "./pulls.ts";
import { refsChanged } from "./pushes.ts";
import { whyNotMergeable } from "./rules.ts";
import type { World } from "./world.ts";

/** What moves a branch on behalf of a pull request: its merge, and its update from the base. */

export type MergeMethod = "merge" | "squash" | "rebase";

/**
 * Merges a pull request; gives the commit that the base then has. Refused where its state (405), the rules (405,
 * unless `bypass`) or another head than `sha` (409) forbid it.
 */
export async function mergePull(
  world: World,
  actor: Account,
  repository: Repository,
  issue: Issue,
  input: { method?: MergeMethod; sha?: string; title?: string; message?: string; bypass?: boolean } = {},
): Promise<string> {
  const pull = issue.pull!;
  const method = input.method ?? "merge";
  const git = repository.git;
  if (issue.state === "closed") throw new Refused(405, "Pull Request is not mergeable");
  if (pull.draft) throw new Refused(405, "Pull Request is still a draft");
  if (input.sha && input.sha !== pull.headSha)
    throw new Refused(409, "Head branch was modified. Review and try the merge again.");
  if (!repository.allowMerge[method]) {
    const word = { merge: "Merge commits", squash: "Squash merges", rebase: "Rebase merges" }[method];
    throw new Refused(405, `${word} are not allowed on this repository.`);
  }
  const reason = input.bypass ? undefined : await whyNotMergeable(repository, issue);
  if (reason) throw new Refused(405, reason);
  const before = (await git.branch(pull.baseRef))!;
  const merged = await git.mergeTree(before, pull.headSha);
  if (!("tree" in merged)) throw new Refused(405, "Pull Request is not mergeable");
  const author = signatureOf(world, actor);
  const web: Signature = { name: "GitHub", email: "noreply@github.com", date: world.time() };
  let sha: string;
  if (method === "rebase") {
    const rebased = await git.rebase(pull.headSha, before, author);
    if (!rebased) throw new Refused(405, "This branch can't be rebased");
    sha = rebased;
  } else {
    const squash = method === "squash";
    const title =
      input.title ??
      (squash
        ? `${issue.title} (#${issue.number})`
        : `Merge pull request #${issue.number} from ${pull.headOwner.login}/${pull.headRef}`);
    const message = input.message ?? (squash ? "" : issue.title);
    sha = await git.commitTree({
      tree: merged.tree,
      parents: squash ? [before] : [before, pull.headSha],
      message: message ? `${title}\n\n${message}` : title,
      author: squash ? signatureOf(world, issue.user) : author,
      committer: web,
    });
  }
  await git.updateRef(`refs/heads/${pull.baseRef}`, sha, before);
  await pullMerged(world, actor, repository, issue, sha);
  await refsChanged(world, actor, repository, [{ ref: `refs/heads/${pull.baseRef}`, before, after: sha }]);
  if (repository.deleteBranchOnMerge && pull.headRepository === repository) {
    await git.deleteRef(`refs/heads/${pull.headRef}`);
    await refsChanged(world, actor, repository, [
      { ref: `refs/heads/${pull.headRef}`, before: pull.headSha, after: zero },
    ]);
  }
  return sha;
}

/** Merges the base into a pull request's head, as the button "Update branch" does. */
export async function updatePullBranch(
  world: World,
  actor: Account,
  repository: Repository,
  issue: Issue,
  expected?: string,
): Promise<void> {
  const pull = issue.pull!;
  if (expected && expected !== pull.headSha)
    throw new Refused(422, `expected_head_sha must match the current head ref.`);
  const base = (await repository.git.branch(pull.baseRef))!;
  const head = pull.headSha;
  if (await repository.git.isAncestor(base, head))
    throw new Refused(422, "There are no new commits on the base branch.");
  const merged = await repository.git.mergeTree(head, base);
  if (!("tree" in merged) || !pull.headRepository) throw new Refused(422, "merge conflict between base and head");
  const sha = await repository.git.commitTree({
    tree: merged.tree,
    parents: [head, base],
    message: `Merge branch '${pull.baseRef}' into ${pull.headRef}`,
    author: signatureOf(world, actor),
  });
  const ref = `refs/heads/${pull.headRef}`;
  if (pull.headRepository !== repository) await pull.headRepository.git.take(repository.git, sha, ref);
  else await repository.git.updateRef(ref, sha, head);
  await refsChanged(world, actor, pull.headRepository, [{ ref, before: head, after: sha }]);
}
