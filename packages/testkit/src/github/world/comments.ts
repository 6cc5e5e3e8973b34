import type { Shape } from "../description.ts";
import { type Account, type Comment, type Issue, notFound, type Repository } from "../model.ts";
import type { World } from "./world.ts";

/** Comments below an issue or pull request. */

/** A comment below an issue or pull request; `appId` when an App wrote it. */
export async function createComment(
  world: World,
  actor: Account,
  repository: Repository,
  issue: Issue,
  body: string,
  appId: number | undefined = undefined,
): Promise<Comment> {
  const comment: Comment = {
    id: world.id(),
    user: actor,
    body,
    createdAt: world.time(),
    updatedAt: world.time(),
    appId,
  };
  issue.comments.push(comment);
  issue.updatedAt = world.time();
  await commentSays(world, "created", actor, repository, issue, comment);
  return comment;
}

/** A comment of a repository by its id; refused (404) where there is none. */
export function findComment(repository: Repository, id: number): { issue: Issue; comment: Comment } {
  for (const issue of repository.issues.values()) {
    const comment = issue.comments.find((one) => one.id === id);
    if (comment) return { issue, comment };
  }
  throw notFound();
}

/** Another text for a comment; refused (404) where there is none. */
export async function editComment(
  world: World,
  actor: Account,
  repository: Repository,
  id: number,
  body: string,
): Promise<Comment> {
  const { issue, comment } = findComment(repository, id);
  const from = comment.body;
  comment.body = body;
  comment.updatedAt = world.time();
  await commentSays(world, "edited", actor, repository, issue, comment, { changes: { body: { from } } });
  return comment;
}

/** Takes a comment out; refused (404) where there is none. */
export async function deleteComment(world: World, actor: Account, repository: Repository, id: number): Promise<void> {
  const { issue, comment } = findComment(repository, id);
  issue.comments = issue.comments.filter((one) => one !== comment);
  await commentSays(world, "deleted", actor, repository, issue, comment);
}

async function commentSays(
  world: World,
  action: string,
  actor: Account,
  repository: Repository,
  issue: Issue,
  comment: Comment,
  more: Shape = {},
): Promise<void> {
  const presenter = world.presenter();
  const parts = {
    issue: await presenter.issue(repository, issue),
    comment: await presenter.comment(repository, issue, comment),
    ...more,
  };
  await world.say("issue_comment", action, actor, repository, parts);
  world.record(repository, "IssueCommentEvent", actor, { action, ...parts });
}
