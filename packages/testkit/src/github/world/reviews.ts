import type { Shape } from "../description.ts";
import {
  type Account,
  type Issue,
  notFound,
  type Pull,
  Refused,
  type Repository,
  type Review,
  type ReviewComment,
  type Team,
} from "../model.ts";
import { accountByLogin, mayBeAssigned } from "./accounts.ts";
import { filesOf } from "./figures.ts";
import { pullSays } from "./issues.ts";
import type { World } from "./world.ts";

/** Reviews of pull requests, comments on lines, and who was asked for one. */

const notAskable = () =>
  new Refused(
    422,
    "Reviews may only be requested from collaborators. One or more of the users or teams you specified is not a collaborator of the repository.",
  );

/** Asks people for a review; refused (422) as a whole where one of them cannot be asked. */
export async function requestReviewers(
  world: World,
  actor: Account,
  repository: Repository,
  issue: Issue,
  logins: readonly string[],
): Promise<void> {
  for (const login of logins) {
    const account = accountByLogin(world, login);
    if (!account || account === issue.user || !mayBeAssigned(repository, account)) throw notAskable();
  }
  for (const login of logins) {
    const account = accountByLogin(world, login)!;
    if (issue.pull!.requestedReviewers.includes(account)) continue;
    issue.pull!.requestedReviewers.push(account);
    await pullSays(world, "review_requested", actor, repository, issue, {
      requested_reviewer: world.presenter().user(account),
    });
  }
}

/** Asks teams for a review; refused (422) as a whole where the organization lacks one of them. */
export async function requestTeams(
  world: World,
  actor: Account,
  repository: Repository,
  issue: Issue,
  slugs: readonly string[],
): Promise<void> {
  const found = slugs.map((slug) =>
    world.teams.find((team) => team.organization === repository.owner && team.slug === slug),
  );
  if (found.includes(undefined)) throw notAskable();
  for (const team of found as Team[]) {
    if (issue.pull!.requestedTeams.includes(team)) continue;
    issue.pull!.requestedTeams.push(team);
    const requested_team = world.presenter().team(team);
    await pullSays(world, "review_requested", actor, repository, issue, { requested_team });
  }
}

/** People who need not review after all. */
export async function removeReviewers(
  world: World,
  actor: Account,
  repository: Repository,
  issue: Issue,
  logins: readonly string[],
): Promise<void> {
  for (const account of [...issue.pull!.requestedReviewers]) {
    if (!logins.includes(account.login)) continue;
    issue.pull!.requestedReviewers = issue.pull!.requestedReviewers.filter((one) => one !== account);
    await pullSays(world, "review_request_removed", actor, repository, issue, {
      requested_reviewer: world.presenter().user(account),
    });
  }
}

/** A review; without `state` it stays pending and only its author sees it. */
export async function createReview(
  world: World,
  actor: Account,
  repository: Repository,
  issue: Issue,
  input: {
    state?: "APPROVED" | "CHANGES_REQUESTED" | "COMMENTED";
    body?: string;
    commitId?: string | undefined;
    comments?: readonly {
      path: string;
      body: string;
      line?: number | undefined;
      startLine?: number | undefined;
      side?: "LEFT" | "RIGHT" | undefined;
    }[];
  },
): Promise<Review> {
  const pull = issue.pull!;
  if (actor === issue.user && input.state && input.state !== "COMMENTED")
    throw new Refused(422, "Unprocessable Entity", {
      errors: [
        input.state === "APPROVED"
          ? "Can not approve your own pull request"
          : "Can not request changes on your own pull request",
      ],
    });
  if (input.state && input.state !== "APPROVED" && !input.body && !input.comments?.length)
    throw new Refused(422, "Unprocessable Entity", { errors: ["Body can not be blank"] });
  const review: Review = {
    id: world.id(),
    user: actor,
    body: input.body ?? "",
    state: "PENDING",
    commitId: input.commitId ?? pull.headSha,
    submittedAt: undefined,
  };
  const comments: ReviewComment[] = [];
  for (const given of input.comments ?? [])
    comments.push(await newReviewComment(world, actor, repository, issue, review, given));
  pull.reviews.push(review);
  pull.reviewComments.push(...comments);
  if (input.state) await submitReview(world, actor, repository, issue, review, input.state);
  return review;
}

/** Says a pending review aloud, with its comments; its author and the author's teams are asked no more. */
export async function submitReview(
  world: World,
  actor: Account,
  repository: Repository,
  issue: Issue,
  review: Review,
  state: "APPROVED" | "CHANGES_REQUESTED" | "COMMENTED",
): Promise<void> {
  const pull = issue.pull!;
  review.state = state;
  review.submittedAt = world.time();
  issue.updatedAt = world.time();
  pull.requestedReviewers = pull.requestedReviewers.filter((one) => one !== actor);
  pull.requestedTeams = pull.requestedTeams.filter((team) => !team.members.includes(actor));
  await reviewSays(world, "submitted", actor, repository, issue, review);
  for (const comment of pull.reviewComments.filter((one) => one.reviewId === review.id))
    await reviewCommentSays(world, "created", actor, repository, issue, comment);
}

/** A review that no longer counts. */
export async function dismissReview(
  world: World,
  actor: Account,
  repository: Repository,
  issue: Issue,
  review: Review,
): Promise<void> {
  review.state = "DISMISSED";
  await reviewSays(world, "dismissed", actor, repository, issue, review);
}

async function newReviewComment(
  world: World,
  actor: Account,
  repository: Repository,
  issue: Issue,
  review: Review,
  given: {
    path: string;
    body: string;
    line?: number | undefined;
    startLine?: number | undefined;
    side?: "LEFT" | "RIGHT" | undefined;
    inReplyTo?: ReviewComment;
  },
): Promise<ReviewComment> {
  const files = await filesOf(repository, issue);
  const file = files.find((one) => one.filename === given.path);
  const side = given.side ?? "RIGHT";
  const hunk = given.inReplyTo?.diffHunk ?? (given.line === undefined ? "" : hunkAt(file?.patch, given.line, side));
  if (!given.inReplyTo && (!file || hunk === undefined))
    throw new Refused(422, "Unprocessable Entity", {
      errors: [file ? "Line could not be resolved" : "Path could not be resolved"],
    });
  return {
    id: world.id(),
    reviewId: review.id,
    user: actor,
    body: given.body,
    path: given.path,
    line: given.line,
    startLine: given.startLine,
    originalLine: given.line,
    originalStartLine: given.startLine,
    side,
    startSide: given.startLine === undefined ? undefined : side,
    diffHunk: hunk ?? "",
    commitId: issue.pull!.headSha,
    originalCommitId: issue.pull!.headSha,
    inReplyTo: given.inReplyTo?.id,
    createdAt: world.time(),
    updatedAt: world.time(),
  };
}

/** One comment on a line (or a reply), which makes a review of its own. */
export async function createReviewComment(
  world: World,
  actor: Account,
  repository: Repository,
  issue: Issue,
  given: {
    path?: string;
    body: string;
    line?: number | undefined;
    startLine?: number | undefined;
    side?: "LEFT" | "RIGHT" | undefined;
    inReplyTo?: number;
  },
): Promise<ReviewComment> {
  const pull = issue.pull!;
  const parent =
    given.inReplyTo === undefined ? undefined : pull.reviewComments.find((one) => one.id === given.inReplyTo);
  if (given.inReplyTo !== undefined && !parent) throw notFound();
  const review: Review = {
    id: world.id(),
    user: actor,
    body: "",
    state: "COMMENTED",
    commitId: pull.headSha,
    submittedAt: world.time(),
  };
  const comment = await newReviewComment(world, actor, repository, issue, review, {
    body: given.body,
    path: parent?.path ?? given.path ?? "",
    line: parent ? parent.line : given.line,
    startLine: parent ? parent.startLine : given.startLine,
    side: parent?.side ?? given.side,
    ...(parent ? { inReplyTo: parent } : {}),
  });
  pull.reviews.push(review);
  pull.reviewComments.push(comment);
  issue.updatedAt = world.time();
  await reviewSays(world, "submitted", actor, repository, issue, review);
  await reviewCommentSays(world, "created", actor, repository, issue, comment);
  return comment;
}

/** A comment on a line by its id; refused (404) where there is none. */
export function findReviewComment(
  repository: Repository,
  id: number,
): { issue: Issue & { pull: Pull }; comment: ReviewComment } {
  for (const issue of repository.issues.values()) {
    const comment = issue.pull?.reviewComments.find((one) => one.id === id);
    if (comment) return { issue: issue as Issue & { pull: Pull }, comment };
  }
  throw notFound();
}

/** Another text for a comment on a line; refused (404) where there is none. */
export async function editReviewComment(
  world: World,
  actor: Account,
  repository: Repository,
  id: number,
  body: string,
): Promise<void> {
  const { issue, comment } = findReviewComment(repository, id);
  const from = comment.body;
  comment.body = body;
  comment.updatedAt = world.time();
  await reviewCommentSays(world, "edited", actor, repository, issue, comment, { changes: { body: { from } } });
}

/** Takes a comment on a line out; refused (404) where there is none. */
export async function deleteReviewComment(
  world: World,
  actor: Account,
  repository: Repository,
  id: number,
): Promise<void> {
  const { issue, comment } = findReviewComment(repository, id);
  issue.pull.reviewComments = issue.pull.reviewComments.filter((one) => one !== comment);
  await reviewCommentSays(world, "deleted", actor, repository, issue, comment);
}

/** Comments on lines follow a push to their new lines; those whose lines changed become outdated. */
export async function moveRemarks(repository: Repository, issue: Issue, head: string): Promise<void> {
  for (const comment of issue.pull!.reviewComments) {
    if (comment.line === undefined || comment.side === "LEFT") continue;
    const line = await repository.git.lineAfter(comment.commitId, head, comment.path, comment.line);
    if (comment.startLine !== undefined && line !== undefined) comment.startLine += line - comment.line;
    if (line === undefined) comment.startLine = undefined;
    else comment.commitId = head;
    comment.line = line;
  }
}

async function reviewSays(
  world: World,
  action: string,
  actor: Account,
  repository: Repository,
  issue: Issue,
  review: Review,
): Promise<void> {
  const presenter = world.presenter();
  const shape = await presenter.review(repository, issue, review);
  await world.say("pull_request_review", action, actor, repository, {
    review: {
      submitted_at: null,
      ...shape,
      state: review.state.toLowerCase(),
      body: review.body || null,
      updated_at: review.submittedAt ?? null,
    },
    pull_request: await presenter.pull(repository, issue, false),
  });
  world.record(repository, "PullRequestReviewEvent", actor, {
    action: "created",
    review: shape,
    pull_request: presenter.pullMinimal(repository, issue),
  });
}

async function reviewCommentSays(
  world: World,
  action: string,
  actor: Account,
  repository: Repository,
  issue: Issue,
  comment: ReviewComment,
  more: Shape = {},
): Promise<void> {
  const presenter = world.presenter();
  const parts = {
    comment: await presenter.reviewComment(repository, issue, comment),
    pull_request: await presenter.pull(repository, issue, false),
    ...more,
  };
  await world.say("pull_request_review_comment", action, actor, repository, parts);
  world.record(repository, "PullRequestReviewCommentEvent", actor, {
    action,
    comment: parts.comment,
    pull_request: presenter.pullMinimal(repository, issue),
  });
}

/** The hunk of a patch up to a line, as review comments carry it; undefined when the patch does not show that line. */
function hunkAt(patch: string | undefined, line: number, side: "LEFT" | "RIGHT"): string | undefined {
  if (!patch) return undefined;
  let left = 0;
  let right = 0;
  let collected: string[] = [];
  for (const row of patch.split("\n")) {
    const header = /^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@/.exec(row);
    if (header) {
      left = Number(header[1]);
      right = Number(header[2]);
      collected = [row];
      continue;
    }
    collected.push(row);
    const mark = row[0];
    if (mark === "\\") continue;
    const here = side === "LEFT" ? mark !== "+" && left === line : mark !== "-" && right === line;
    if (here) return collected.join("\n");
    if (mark !== "+") left += 1;
    if (mark !== "-") right += 1;
  }
  return undefined;
}
