import {
  accept,
  type Decision,
  type DiffFile,
  type JobState,
  type LineComment,
  type Outcome,
  refuse,
  type Verification,
} from "@x1agent/contract";
import type { z } from "zod";

/** Where a decision takes the job, and whether it overrides a verification that did not pass. */
export type Decided = { to: Extract<JobState, "publishing" | "rejected" | "queued">; override: boolean };

/**
 * Whether a decision may be taken now. The digest is the one that the decider's screen showed: when the evidence moved
 * since, the answer is a refusal and not a decision about something unseen. Pure.
 */
export function checkDecision(input: {
  state: JobState;
  decision: z.infer<typeof Decision>;
  /** From the caller. */
  digest: string;
  /** Of the job's present evidence; null when there is none. */
  currentDigest: string | null;
  verification: Pick<Verification, "passed" | "withBaseTests">;
}): Outcome<Decided> {
  const { state, decision, digest, currentDigest, verification } = input;
  if (state !== "awaiting_approval")
    return refuse("illegal_transition", `The job is ${state}; only one that awaits approval can be decided.`);
  if (currentDigest === null || digest !== currentDigest) return refuse("digest_mismatch");
  if (decision === "reject") return accept({ to: "rejected", override: false });
  if (decision === "request_changes") return accept({ to: "queued", override: false });
  const failed = verification.passed === false;
  if (failed && decision !== "override")
    return refuse("verification_failed", "The verification did not pass; use the override to publish all the same.");
  return accept({ to: "publishing", override: decision === "override" });
}

/** Longest text of all remarks together, in UTF-16 units: they become one message. */
const MAX_COMMENTS_TEXT = 100_000;

/** Whether remarks on lines can go with a decision: with the one that starts another round, on files of the change. Pure. */
export function checkComments(
  decision: z.infer<typeof Decision>,
  comments: readonly LineComment[],
  files: readonly Pick<DiffFile, "path">[],
): Outcome<readonly LineComment[]> {
  if (comments.length === 0) return accept(comments);
  if (decision !== "request_changes")
    return refuse("invalid_request", "Comments on lines go with a request for changes only.");
  const paths = new Set(files.map(({ path }) => path));
  const stray = comments.find(({ path }) => !paths.has(path));
  if (stray) return refuse("invalid_request", "A comment is on a file that this change does not have.");
  if (comments.reduce((sum, { text }) => sum + text.length, 0) > MAX_COMMENTS_TEXT)
    return refuse("invalid_request", `The comments have more than ${MAX_COMMENTS_TEXT} characters together.`);
  return accept(comments);
}

/** Remarks as the timeline shows them: no more of them and no longer than an event holds. Pure. */
export function eventComments(comments: readonly LineComment[]): LineComment[] {
  return comments
    .slice(0, 50)
    .map((comment) => ({ ...comment, path: comment.path.slice(0, 2_000), text: comment.text.slice(0, 2_000) }));
}
