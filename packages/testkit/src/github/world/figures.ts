import type { Commit } from "../git.ts";
import type { Issue, Repository } from "../model.ts";
import { OUT_OF_DATE, whyNotMergeable } from "./rules.ts";
import { anyFailing } from "./verdicts.ts";
import type { World } from "./world.ts";

/** What is worked out for a pull request: its files, commits, and whether it can be merged. */

/** Commit from which a pull request's files and commits are counted. */
async function rangeBase(repository: Repository, issue: Issue): Promise<string> {
  const pull = issue.pull!;
  const base = (issue.state === "open" && (await repository.git.branch(pull.baseRef))) || pull.baseSha;
  return (await repository.git.mergeBase(base, pull.headSha)) ?? base;
}

/** Files that a pull request changes, with their patches. */
export async function filesOf(repository: Repository, issue: Issue) {
  return repository.git.diff(await rangeBase(repository, issue), issue.pull!.headSha);
}

/** A pull request's own commits, oldest first, 250 at most. */
export async function commitsOf(repository: Repository, issue: Issue): Promise<Commit[]> {
  const base = await rangeBase(repository, issue);
  return (await repository.git.log(`${base}..${issue.pull!.headSha}`, { limit: 250 })).reverse();
}

/** What GitHub works out for a single pull request. */
export async function figuresOf(world: World, repository: Repository, issue: Issue, asked = false) {
  const pull = issue.pull!;
  const open = issue.state === "open";
  const base = (open && (await repository.git.branch(pull.baseRef))) || pull.baseSha;
  const key = `${repository.id}:${base}:${pull.headSha}`;
  let known = world.figures.get(key);
  if (!known) {
    const files = await filesOf(repository, issue);
    const from = await rangeBase(repository, issue);
    known = {
      mergeable: open && "tree" in (await repository.git.mergeTree(base, pull.headSha)),
      commits: await repository.git.count(`${from}..${pull.headSha}`),
      files: files.length,
      plus: files.reduce((sum, file) => sum + file.additions, 0),
      minus: files.reduce((sum, file) => sum + file.deletions, 0),
      reads: 0,
    };
    world.figures.set(key, known);
  }
  const waiting = asked && open && known.reads < world.mergeableAfter;
  if (asked) known.reads += 1;
  const reason = open ? await whyNotMergeable(repository, issue) : undefined;
  const failing = anyFailing(repository, pull.headSha);
  const state =
    !open || waiting
      ? "unknown"
      : !known.mergeable
        ? "dirty"
        : pull.draft
          ? "draft"
          : reason
            ? reason === OUT_OF_DATE
              ? "behind"
              : "blocked"
            : failing
              ? "unstable"
              : "clean";
  return {
    mergeable: open && !waiting ? known.mergeable : null,
    mergeableState: state,
    commits: known.commits,
    files: known.files,
    additions: known.plus,
    deletions: known.minus,
  };
}
