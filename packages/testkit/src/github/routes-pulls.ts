import type { Shape } from "./description.ts";
import { type Account, type Issue, invalid, notFound, Refused } from "./model.ts";
import { type Call, created, empty, type Handlers, list, ok } from "./server.ts";
import { reaches, roleOf } from "./world/accounts.ts";
import { commitsOf, filesOf } from "./world/figures.ts";
import { type MergeMethod, mergePull, updatePullBranch } from "./world/merges.ts";
import { createPull, pullByNumber, updatePull } from "./world/pulls.ts";
import { repositoryByName } from "./world/repositories.ts";
import {
  createReview,
  createReviewComment,
  deleteReviewComment,
  dismissReview,
  editReviewComment,
  findReviewComment,
  removeReviewers,
  requestReviewers,
  requestTeams,
  submitReview,
} from "./world/reviews.ts";

/** Pull requests, reviews, comments on lines, merging. */

const read = ["pull_requests:read"];
const write = ["pull_requests:write"];

const pullOf = (call: Call) => pullByNumber(call.repository, Number(call.values.pull_number));
const reviewOf = (call: Call, issue: Issue) => {
  const review = issue.pull?.reviews.find((one) => one.id === Number(call.values.review_id));
  const mine = call.principal.kind === "token" && call.principal.token.user === review?.user;
  if (!review || (review.state === "PENDING" && !mine)) throw notFound();
  return review;
};
const states = { APPROVE: "APPROVED", REQUEST_CHANGES: "CHANGES_REQUESTED", COMMENT: "COMMENTED" } as const;

/** Who may change a pull request: its author, and people (or installations) with write access. */
function mayChange(call: Call, issue: Issue): void {
  if (call.token.kind === "installation" || issue.user === call.actor) return;
  if (!reaches(roleOf(call.actor, call.repository), "triage"))
    throw new Refused(403, "Must have triage rights to Repository.");
}

type LineComment = {
  path: string;
  body: string;
  line?: number;
  position?: number;
  start_line?: number;
  side?: "LEFT" | "RIGHT";
};
const lineOf = (given: LineComment) => ({
  path: given.path,
  body: given.body,
  line: given.line ?? given.position,
  startLine: given.start_line,
  side: given.side,
});

export function pullRoutes(): Handlers {
  const comments = (call: Call, issue: Issue) =>
    issue.pull!.reviewComments.filter((one) => call.present.visible(issue.pull!.reviews, one));
  return {
    "pulls/list": {
      needs: read,
      handle: (call) => {
        const { state, head, base, sort, direction } = call.values as Record<string, string | undefined>;
        const found = [...call.repository.issues.values()].filter(
          (issue) =>
            issue.pull &&
            (state === "all" || issue.state === (state ?? "open")) &&
            (!head || `${issue.pull.headOwner.login}:${issue.pull.headRef}`.toLowerCase() === head.toLowerCase()) &&
            (!base || issue.pull.baseRef === base),
        );
        const down = (direction ?? (sort && sort !== "created" ? "asc" : "desc")) === "desc";
        const key = (issue: Issue) => (sort === "updated" ? issue.updatedAt : issue.createdAt);
        found.sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : a.id - b.id) * (down ? -1 : 1));
        return list(found, (issue) => call.present.pull(call.repository, issue, false));
      },
    },
    "pulls/create": {
      needs: write,
      role: "read",
      handle: async (call) => {
        const given = call.body as Record<string, unknown>;
        const named = given.head_repo as string | undefined;
        const issue = await createPull(call.world, call.actor, call.repository, {
          ...(given.title === undefined ? {} : { title: String(given.title) }),
          body: (given.body as string | undefined) ?? null,
          head: String(given.head),
          headRepository: named
            ? repositoryByName(call.world, call.repository.owner.login, named)?.repository
            : undefined,
          base: String(given.base),
          draft: given.draft === true,
          maintainerCanModify: given.maintainer_can_modify !== false,
          appId: call.token.installation?.app.id,
          issue: given.issue as number | undefined,
        });
        const shape = await call.present.pull(call.repository, issue);
        return { ...created(shape), headers: { location: String(shape.url) } };
      },
    },
    "pulls/get": {
      needs: read,
      handle: async (call) => {
        const issue = pullOf(call);
        if (/\.(diff|patch)\b/.test(call.accept)) {
          const { baseSha, headSha } = issue.pull;
          return { status: 200, body: await call.repository.git.patchText(baseSha, headSha) };
        }
        return ok(await call.present.pull(call.repository, issue));
      },
    },
    "pulls/update": {
      needs: write,
      role: "read",
      handle: async (call) => {
        const issue = pullOf(call);
        mayChange(call, issue);
        const given = call.body as Record<string, unknown>;
        await updatePull(call.world, call.actor, call.repository, issue, {
          ...(given.title === undefined ? {} : { title: String(given.title) }),
          ...(given.body === undefined ? {} : { body: given.body as string }),
          ...(given.state === undefined ? {} : { state: given.state as "open" | "closed" }),
          ...(given.base === undefined ? {} : { base: String(given.base) }),
          ...(given.maintainer_can_modify === undefined
            ? {}
            : { maintainerCanModify: given.maintainer_can_modify === true }),
        });
        return ok(await call.present.pull(call.repository, issue));
      },
    },
    "pulls/list-files": {
      needs: read,
      handle: async (call) => {
        const issue = pullOf(call);
        const files = (await filesOf(call.repository, issue)).slice(0, 3000);
        return list(files, (file) => call.present.file(call.repository, file, issue.pull.headSha));
      },
    },
    "pulls/list-commits": {
      needs: read,
      handle: async (call) =>
        list(await commitsOf(call.repository, pullOf(call)), (one) => call.present.commit(call.repository, one)),
    },
    "pulls/check-if-merged": {
      needs: read,
      handle: (call) => {
        if (!pullOf(call).pull.mergedAt) throw notFound();
        return empty();
      },
    },
    "pulls/merge": {
      needs: ["contents:write"],
      role: "write",
      handle: async (call) => {
        const { merge_method, sha, commit_title, commit_message } = call.body as Record<string, string | undefined>;
        const merged = await mergePull(call.world, call.actor, call.repository, pullOf(call), {
          ...(merge_method ? { method: merge_method as MergeMethod } : {}),
          ...(sha ? { sha } : {}),
          ...(commit_title ? { title: commit_title } : {}),
          ...(commit_message === undefined ? {} : { message: commit_message }),
        });
        return ok({ sha: merged, merged: true, message: "Pull Request successfully merged" });
      },
    },
    "pulls/update-branch": {
      needs: write,
      role: "write",
      handle: async (call) => {
        const issue = pullOf(call);
        const expected = call.body.expected_head_sha as string | undefined;
        await updatePullBranch(call.world, call.actor, call.repository, issue, expected);
        return {
          status: 202,
          body: {
            message: "Updating pull request branch.",
            url: (await call.present.pull(call.repository, issue)).html_url,
          },
        };
      },
    },
    "pulls/list-requested-reviewers": {
      needs: read,
      handle: (call) =>
        ok({
          users: pullOf(call).pull.requestedReviewers.map((one) => call.present.user(one)),
          teams: pullOf(call).pull.requestedTeams.map((one) => call.present.team(one)),
        }),
    },
    "pulls/request-reviewers": {
      needs: write,
      role: "triage",
      handle: async (call) => {
        const issue = pullOf(call);
        const { reviewers, team_reviewers } = call.body as { reviewers?: string[]; team_reviewers?: string[] };
        await requestReviewers(call.world, call.actor, call.repository, issue, reviewers ?? []);
        await requestTeams(call.world, call.actor, call.repository, issue, team_reviewers ?? []);
        return created(await call.present.pull(call.repository, issue, false));
      },
    },
    "pulls/remove-requested-reviewers": {
      needs: write,
      role: "triage",
      handle: async (call) => {
        const issue = pullOf(call);
        await removeReviewers(call.world, call.actor, call.repository, issue, call.body.reviewers as string[]);
        return ok(await call.present.pull(call.repository, issue, false));
      },
    },
    "pulls/list-reviews": {
      needs: read,
      handle: (call) => {
        const issue = pullOf(call);
        const me: Account | undefined = call.principal.kind === "token" ? call.principal.token.user : undefined;
        const visible = issue.pull.reviews.filter((one) => one.state !== "PENDING" || one.user === me);
        return list(visible, (one) => call.present.review(call.repository, issue, one));
      },
    },
    "pulls/get-review": {
      needs: read,
      handle: async (call) => {
        const issue = pullOf(call);
        return ok(await call.present.review(call.repository, issue, reviewOf(call, issue)));
      },
    },
    "pulls/create-review": {
      needs: write,
      role: "read",
      handle: async (call) => {
        const issue = pullOf(call);
        const {
          event,
          body,
          commit_id,
          comments: lines,
        } = call.body as {
          event?: keyof typeof states;
          body?: string;
          commit_id?: string;
          comments?: LineComment[];
        };
        const review = await createReview(call.world, call.actor, call.repository, issue, {
          ...(event ? { state: states[event] } : {}),
          body: body ?? "",
          commitId: commit_id,
          comments: (lines ?? []).map(lineOf),
        });
        return ok(await call.present.review(call.repository, issue, review));
      },
    },
    "pulls/submit-review": {
      needs: write,
      role: "read",
      handle: async (call) => {
        const issue = pullOf(call);
        const review = reviewOf(call, issue);
        const { event, body } = call.body as { event: keyof typeof states; body?: string };
        if (review.state !== "PENDING") throw new Refused(422, "Can not submit a review that is not pending");
        if (body !== undefined) review.body = body;
        await submitReview(call.world, call.actor, call.repository, issue, review, states[event]);
        return ok(await call.present.review(call.repository, issue, review));
      },
    },
    "pulls/dismiss-review": {
      needs: write,
      role: "write",
      handle: async (call) => {
        const issue = pullOf(call);
        const review = reviewOf(call, issue);
        await dismissReview(call.world, call.actor, call.repository, issue, review);
        return ok(await call.present.review(call.repository, issue, review));
      },
    },
    "pulls/list-comments-for-review": {
      needs: read,
      handle: (call) => {
        const issue = pullOf(call);
        const review = reviewOf(call, issue);
        return list(
          issue.pull.reviewComments.filter((one) => one.reviewId === review.id),
          (one) => call.present.reviewComment(call.repository, issue, one),
        );
      },
    },
    "pulls/list-review-comments": {
      needs: read,
      handle: (call) => {
        const issue = pullOf(call);
        const since = call.values.since ? new Date(String(call.values.since)).toISOString().slice(0, 19) : "";
        const found = comments(call, issue).filter((one) => one.updatedAt >= since);
        return list(found, (one) => call.present.reviewComment(call.repository, issue, one));
      },
    },
    "pulls/list-review-comments-for-repo": {
      needs: read,
      handle: (call) => {
        const since = call.values.since ? new Date(String(call.values.since)).toISOString().slice(0, 19) : "";
        const all = [...call.repository.issues.values()]
          .filter((issue) => issue.pull)
          .flatMap((issue) => comments(call, issue).map((comment) => ({ issue, comment })))
          .filter((one) => one.comment.updatedAt >= since);
        if (call.values.direction === "desc") all.reverse();
        return list(all, ({ issue, comment }) => call.present.reviewComment(call.repository, issue, comment));
      },
    },
    "pulls/get-review-comment": {
      needs: read,
      handle: async (call) => {
        const { issue, comment } = findReviewComment(call.repository, Number(call.values.comment_id));
        return ok(await call.present.reviewComment(call.repository, issue, comment));
      },
    },
    "pulls/create-review-comment": {
      needs: write,
      role: "read",
      handle: async (call) => {
        const issue = pullOf(call);
        const given = call.body as LineComment & { in_reply_to?: number; commit_id: string; subject_type?: string };
        if (
          given.subject_type !== "file" &&
          given.line === undefined &&
          given.position === undefined &&
          !given.in_reply_to
        )
          throw invalid("PullRequestReviewComment", "line", "missing_field");
        if (!(await call.repository.git.resolve(given.commit_id)))
          throw invalid("PullRequestReviewComment", "commit_id", "invalid");
        const comment = await createReviewComment(call.world, call.actor, call.repository, issue, {
          ...lineOf(given),
          ...(given.in_reply_to ? { inReplyTo: given.in_reply_to } : {}),
        });
        const shape = await call.present.reviewComment(call.repository, issue, comment);
        return { ...created(shape), headers: { location: String(shape.url) } };
      },
    },
    "pulls/create-reply-for-review-comment": {
      needs: write,
      role: "read",
      handle: async (call) => {
        const issue = pullOf(call);
        const comment = await createReviewComment(call.world, call.actor, call.repository, issue, {
          body: String(call.body.body),
          inReplyTo: Number(call.values.comment_id),
        });
        const shape: Shape = await call.present.reviewComment(call.repository, issue, comment);
        return { ...created(shape), headers: { location: String(shape.url) } };
      },
    },
    "pulls/update-review-comment": {
      needs: write,
      role: "read",
      handle: async (call) => {
        const { issue, comment } = findReviewComment(call.repository, Number(call.values.comment_id));
        await editReviewComment(call.world, call.actor, call.repository, comment.id, String(call.body.body));
        return ok(await call.present.reviewComment(call.repository, issue, comment));
      },
    },
    "pulls/delete-review-comment": {
      needs: write,
      role: "read",
      handle: async (call) => {
        const { comment } = findReviewComment(call.repository, Number(call.values.comment_id));
        await deleteReviewComment(call.world, call.actor, call.repository, comment.id);
        return empty();
      },
    },
  };
}
