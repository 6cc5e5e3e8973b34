import { accept, type Decision, type JobState, type Outcome, refuse, type Verification } from "@x1agent/contract";
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
