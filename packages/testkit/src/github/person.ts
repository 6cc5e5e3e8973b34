import { zero } from "./git.ts";
import type { Account, CheckRun, Issue, Repository, Role } from "./model.ts";
import type { Files, GithubStandIn, LineRemark, RepositoryName } from "./stand-in.ts";
import { reaches, roleOf } from "./world/accounts.ts";
import { createStatus, rerequestRun } from "./world/checks.ts";
import { createComment } from "./world/comments.ts";
import { createIssue, issueByNumber, setAssignees, setLabels, updateIssue } from "./world/issues.ts";
import { type MergeMethod, mergePull } from "./world/merges.ts";
import { createPull, pullByNumber, setDraft } from "./world/pulls.ts";
import { commitFiles, refsChanged } from "./world/pushes.ts";
import { deleteRepository, renameBranch, renameRepository, transferRepository } from "./world/repositories.ts";
import { createReview, createReviewComment } from "./world/reviews.ts";
import type { World } from "./world/world.ts";

/** One person at the browser. */
export class Person {
  readonly #github: GithubStandIn;
  readonly account: Account;
  constructor(github: GithubStandIn, account: Account) {
    this.#github = github;
    this.account = account;
  }

  #do<T>(name: RepositoryName, work: (world: World, repository: Repository) => Promise<T>): Promise<T> {
    const { world } = this.#github;
    return world.exclusive(() => work(world, this.#github.repo(name)));
  }

  /** As GitHub's pages do: who lacks the role finds no button. */
  #may<T>(
    needed: Role,
    name: RepositoryName,
    work: (world: World, repository: Repository) => Promise<T>,
    own?: (repository: Repository) => Issue,
  ): Promise<T> {
    return this.#do(name, async (world, repository) => {
      const role = roleOf(this.account, repository);
      const mine = own?.(repository).user === this.account;
      if (!mine && !reaches(role, needed))
        throw new Error(`${this.account.login} has the role ${role} in ${repository.name}; this takes ${needed}`);
      return work(world, repository);
    });
  }

  openIssue(
    name: RepositoryName,
    issue: { title: string; body?: string; labels?: readonly string[]; assignees?: readonly string[] },
  ): Promise<Issue> {
    return this.#do(name, (world, repository) => createIssue(world, this.account, repository, issue));
  }

  editIssue(name: RepositoryName, number: number, change: { title?: string; body?: string }): Promise<void> {
    return this.#may(
      "triage",
      name,
      (world, at) => updateIssue(world, this.account, at, issueByNumber(at, number), change),
      (at) => issueByNumber(at, number),
    );
  }

  comment(name: RepositoryName, number: number, body: string) {
    return this.#do(name, (world, at) => createComment(world, this.account, at, issueByNumber(at, number), body));
  }

  label(name: RepositoryName, number: number, label: string): Promise<void> {
    return this.#may("triage", name, (world, at) => {
      const issue = issueByNumber(at, number);
      return setLabels(world, this.account, at, issue, [...issue.labels.map((one) => one.name), label]);
    });
  }

  unlabel(name: RepositoryName, number: number, label: string): Promise<void> {
    return this.#may("triage", name, (world, at) => {
      const issue = issueByNumber(at, number);
      const rest = issue.labels.map((one) => one.name).filter((one) => one !== label);
      return setLabels(world, this.account, at, issue, rest);
    });
  }

  assign(name: RepositoryName, number: number, ...logins: string[]): Promise<void> {
    return this.#may("triage", name, (world, at) => {
      const issue = issueByNumber(at, number);
      return setAssignees(world, this.account, at, issue, [...issue.assignees.map((one) => one.login), ...logins]);
    });
  }

  close(name: RepositoryName, number: number, reason: "completed" | "not_planned" = "completed"): Promise<void> {
    return this.#may(
      "triage",
      name,
      (world, at) =>
        updateIssue(world, this.account, at, issueByNumber(at, number), { state: "closed", stateReason: reason }),
      (at) => issueByNumber(at, number),
    );
  }

  reopen(name: RepositoryName, number: number): Promise<void> {
    return this.#may(
      "triage",
      name,
      (world, at) => updateIssue(world, this.account, at, issueByNumber(at, number), { state: "open" }),
      (at) => issueByNumber(at, number),
    );
  }

  /** A commit on a branch, which is made from the default branch (or `from`) when it is not there; gives its id. */
  push(name: RepositoryName, branch: string, files: Files, message = "Change", from?: string): Promise<string> {
    return this.#may("write", name, (world, at) =>
      commitFiles(world, this.account, at, { branch, files, message, ...(from ? { from } : {}) }),
    );
  }

  openPull(
    name: RepositoryName,
    pull: { head: string; base?: string; title: string; body?: string; draft?: boolean },
  ): Promise<Issue> {
    return this.#do(name, (world, at) =>
      createPull(world, this.account, at, { ...pull, base: pull.base ?? at.defaultBranch }),
    );
  }

  markReady(name: RepositoryName, number: number): Promise<void> {
    return this.#may(
      "write",
      name,
      (world, at) => setDraft(world, this.account, at, pullByNumber(at, number), false),
      (at) => issueByNumber(at, number),
    );
  }

  review(
    name: RepositoryName,
    number: number,
    review: { state: "APPROVED" | "CHANGES_REQUESTED" | "COMMENTED"; body?: string; comments?: readonly LineRemark[] },
  ) {
    return this.#do(name, (world, at) => createReview(world, this.account, at, pullByNumber(at, number), review));
  }
  approve(name: RepositoryName, number: number, body = "") {
    return this.review(name, number, { state: "APPROVED", body });
  }
  requestChanges(name: RepositoryName, number: number, body: string, comments: readonly LineRemark[] = []) {
    return this.review(name, number, { state: "CHANGES_REQUESTED", body, comments });
  }
  commentOnLine(name: RepositoryName, number: number, remark: LineRemark) {
    return this.#do(name, (world, at) =>
      createReviewComment(world, this.account, at, pullByNumber(at, number), remark),
    );
  }
  reply(name: RepositoryName, number: number, to: number, body: string) {
    return this.#do(name, (world, at) =>
      createReviewComment(world, this.account, at, pullByNumber(at, number), { body, inReplyTo: to }),
    );
  }

  /** Merges; gives the commit that the base then has. */
  merge(name: RepositoryName, number: number, method: MergeMethod = "merge"): Promise<string> {
    return this.#may("write", name, (world, at) =>
      mergePull(world, this.account, at, pullByNumber(at, number), { method }),
    );
  }

  deleteBranch(name: RepositoryName, branch: string): Promise<void> {
    return this.#may("write", name, async (world, at) => {
      const before = await this.#github.head(at, branch);
      await at.git.deleteRef(`refs/heads/${branch}`);
      await refsChanged(world, this.account, at, [{ ref: `refs/heads/${branch}`, before, after: zero }]);
    });
  }

  status(
    name: RepositoryName,
    sha: string,
    status: { state: "error" | "failure" | "pending" | "success"; context: string; description?: string },
  ) {
    return this.#may("write", name, (world, at) => createStatus(world, this.account, at, { sha, ...status }));
  }

  /** Presses "Re-run" on a check. */
  rerun(name: RepositoryName, run: CheckRun): Promise<void> {
    return this.#may("write", name, (world, at) => rerequestRun(world, this.account, at, run));
  }

  renameRepository(name: RepositoryName, to: string): Promise<void> {
    return this.#may("admin", name, (world, at) => renameRepository(world, at, to, this.account));
  }
  renameBranch(name: RepositoryName, from: string, to: string): Promise<void> {
    return this.#may("admin", name, (world, at) => renameBranch(world, at, from, to, this.account));
  }
  transfer(name: RepositoryName, to: string): Promise<void> {
    return this.#may("admin", name, (world, at) =>
      transferRepository(world, at, this.#github.account(to), this.account),
    );
  }
  deleteRepository(name: RepositoryName): Promise<void> {
    return this.#may("admin", name, (world, at) => deleteRepository(world, at, this.account));
  }
}
