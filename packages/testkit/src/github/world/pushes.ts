import { type Commit, type RefChange, zero } from "../git.ts";
import type { Account, Repository, Role } from "../model.ts";
import { simpleCommit } from "../present.ts";
import { signatureOf } from "./accounts.ts";
import { baseMoved, headMoved } from "./pulls.ts";
import { protectionOf } from "./rules.ts";
import { stateOfCheck } from "./verdicts.ts";
import type { World } from "./world.ts";

/** Refs that move: commits on a branch, what a push is refused for, what follows from one. */

/** A commit by a person on a branch, which is made when it is not there. Null takes a file out. */
export async function commitFiles(
  world: World,
  actor: Account,
  repository: Repository,
  input: {
    branch: string;
    files: Readonly<Record<string, string | Buffer | null>>;
    message: string;
    from?: string;
    silent?: boolean;
  },
): Promise<string> {
  const git = repository.git;
  const before = await git.branch(input.branch);
  const parent = before ?? (await git.resolve(input.from ?? `refs/heads/${repository.defaultBranch}`));
  const sha = await git.commitTree({
    tree: await git.writeTree(parent, input.files),
    parents: parent ? [parent] : [],
    message: input.message,
    author: signatureOf(world, actor),
  });
  await git.updateRef(`refs/heads/${input.branch}`, sha);
  if (!input.silent)
    await refsChanged(world, actor, repository, [
      { ref: `refs/heads/${input.branch}`, before: before ?? zero, after: sha },
    ]);
  return sha;
}

/** Why a push to a ref is refused, in GitHub's words; undefined when it may go. */
export function pushRefusal(
  account: Account,
  role: Role,
  repository: Repository,
  change: RefChange,
): string | undefined {
  if (!change.ref.startsWith("refs/heads/")) return undefined;
  const branch = change.ref.slice("refs/heads/".length);
  if (change.after === zero && branch === repository.defaultBranch)
    return `error: refusing to delete the current branch: ${change.ref}`;
  const protection = protectionOf(repository, branch);
  if (!protection || (role === "admin" && !protection.enforceAdmins)) return undefined;
  const failed = `error: GH006: Protected branch update failed for ${change.ref}.`;
  if (change.after === zero)
    return protection.allowDeletions ? undefined : `${failed}\nerror: Cannot delete this protected branch`;
  if (change.before === zero && protection.pattern.includes("*")) return undefined;
  const mayPush = protection.restrictPushes;
  if (mayPush && !mayPush.includes(account.login))
    return `${failed}\nerror: You're not authorized to push to this branch.`;
  if (protection.requiredReviews !== undefined)
    return protection.ruleset
      ? `error: GH013: Repository rule violations found for ${change.ref}.\n\n- Changes must be made through a pull request.`
      : `${failed}\nerror: Changes must be made through a pull request.`;
  const missing = protection.requiredChecks.filter(
    (name) => stateOfCheck(repository, change.after, name) !== "success",
  );
  if (missing.length > 0) {
    const some =
      missing.length === 1
        ? `Required status check "${missing[0]}" is expected.`
        : `${missing.length} of ${protection.requiredChecks.length} required status checks are expected.`;
    return `${failed}\nerror: ${some}`;
  }
  return undefined;
}

/** What follows when refs moved, however they did: events, open pull requests, check suites. */
export async function refsChanged(
  world: World,
  actor: Account,
  repository: Repository,
  changes: readonly RefChange[],
): Promise<void> {
  if (changes.length === 0) return;
  repository.pushedAt = world.time();
  for (const change of changes) {
    if (!change.ref.startsWith("refs/heads/") && !change.ref.startsWith("refs/tags/")) continue;
    await pushSays(world, actor, repository, change);
    if (!change.ref.startsWith("refs/heads/")) continue;
    const branch = change.ref.slice("refs/heads/".length);
    await headMoved(world, actor, repository, branch, change);
    await baseMoved(world, actor, repository, branch, change);
  }
}

async function pushSays(world: World, actor: Account, repository: Repository, change: RefChange): Promise<void> {
  const gone = change.after === zero;
  const made = change.before === zero;
  let commits: Commit[] = [];
  if (!gone) {
    const range = made ? change.after : `${change.before}..${change.after}`;
    commits = (await repository.git.log(range, { limit: made ? 1 : 20 })).reverse();
  }
  const withFiles = await Promise.all(
    commits.map(async (commit) => {
      const files = await repository.git.diff(commit.parents[0], commit.sha);
      const of = (status: string) => files.filter((file) => file.status === status).map((file) => file.filename);
      const html = `${world.bases.web}/${repository.owner.login}/${repository.name}/commit/${commit.sha}`;
      return {
        ...simpleCommit(commit),
        distinct: true,
        url: html,
        added: of("added"),
        removed: of("removed"),
        modified: [...of("modified"), ...of("renamed")],
      };
    }),
  );
  const short = change.ref.replace(/^refs\/(heads|tags)\//, "");
  const kind = change.ref.startsWith("refs/tags/") ? "tag" : "branch";
  const html = `${world.bases.web}/${repository.owner.login}/${repository.name}`;
  const forced = !made && !gone && !(await repository.git.isAncestor(change.before, change.after));
  if (made)
    await world.say("create", undefined, actor, repository, {
      ref: short,
      ref_type: kind,
      master_branch: repository.defaultBranch,
      description: repository.description,
      pusher_type: "user",
    });
  await world.say("push", undefined, actor, repository, {
    ref: change.ref,
    before: change.before,
    after: change.after,
    pusher: { name: actor.login, email: actor.email },
    created: made,
    deleted: gone,
    forced,
    base_ref: null,
    compare: `${html}/compare/${change.before.slice(0, 12)}...${change.after.slice(0, 12)}`,
    commits: withFiles,
    head_commit: gone ? null : (withFiles.at(-1) ?? null),
  });
  if (gone)
    await world.say("delete", undefined, actor, repository, { ref: short, ref_type: kind, pusher_type: "user" });
  const refEvent = { ref: short, ref_type: kind, full_ref: change.ref, pusher_type: "user" };
  if (made)
    world.record(repository, "CreateEvent", actor, {
      ...refEvent,
      master_branch: repository.defaultBranch,
      description: repository.description,
    });
  else if (gone) world.record(repository, "DeleteEvent", actor, refEvent);
  else
    world.record(repository, "PushEvent", actor, {
      repository_id: repository.id,
      push_id: world.id(),
      ref: change.ref,
      before: change.before,
      head: change.after,
    });
}
