import { isTerminal, type JobState, type ReasonCode, refusalIn, type StopReason } from "@x1agent/contract";
import type { AttemptRecord, JobRecord } from "@x1agent/domain-jobs";

/** Attempts in a row that may be lost before the job is. */
export const MAX_LOST = 3;

export type End = { to: JobState; reason: ReasonCode; detail?: string };
/** What the loop does next with a job. One small idempotent step each; what it depends on is in the facts. */
export type Step =
  | ({ kind: "end" } & End)
  | { kind: "recover" }
  | { kind: "provision" }
  | { kind: "turn" }
  | { kind: "answer" }
  | { kind: "verify" }
  | { kind: "publish" }
  | { kind: "release" };

export type Facts = {
  job: Pick<JobRecord, "state" | "cancelRequested">;
  attempts: readonly Pick<AttemptRecord, "state" | "outcome">[];
  /** This process holds the running attempt's workspace and session. */
  live: boolean;
  /** The job's working time is used up. */
  late: boolean;
};

const working: readonly JobState[] = ["provisioning", "running", "awaiting_input", "verifying"];

/** The next step of a job. Pure. */
export function decide({ job, attempts, live, late }: Facts): Step {
  const { state } = job;
  if (isTerminal(state)) return { kind: "release" };
  // A push that has begun is not called back: it ends by itself and says how.
  if (state === "publishing") return { kind: "publish" };
  if (job.cancelRequested) return { kind: "end", to: "cancelled", reason: "cancelled_by_person" };
  if (state === "awaiting_approval") return { kind: "release" };
  if (late) return { kind: "end", to: "timed_out", reason: "time_limit" };
  if (state === "queued") {
    // An attempt that still runs in the records belongs to a process that died between two writes.
    if (attempts.some((attempt) => attempt.state === "running")) return { kind: "recover" };
    return lostInARow(attempts) >= MAX_LOST
      ? { kind: "end", to: "lost", reason: "attempts_exhausted" }
      : { kind: "provision" };
  }
  if (working.includes(state) && !live) return { kind: "recover" };
  if (state === "provisioning") return { kind: "provision" };
  if (state === "running") return { kind: "turn" };
  if (state === "awaiting_input") return { kind: "answer" };
  return { kind: "verify" };
}

/** Attempts at the end of the list that were lost. Pure. */
export function lostInARow(attempts: readonly Pick<AttemptRecord, "state" | "outcome">[]): number {
  const ended = attempts.filter(({ state }) => state === "ended");
  const kept = ended.findLastIndex(({ outcome }) => outcome !== "lost");
  return ended.length - 1 - kept;
}

/** What an ended turn means for the job. */
export type TurnVerdict = { kind: "collect" } | { kind: "budget" } | ({ kind: "failed" } & End);

/**
 * Reads a turn's end. It is the agent's word, so it can only end the attempt or start a collection; whether anything was
 * done is seen by collecting. `budgetRefused` is the control plane's own knowledge and comes first. Pure.
 */
export function judgeTurn(
  turn: { stopReason: StopReason; errorCode?: string | undefined; detail?: string | undefined },
  budgetRefused: boolean,
): TurnVerdict {
  if (budgetRefused) return { kind: "budget" };
  if (turn.stopReason !== "error" && turn.stopReason !== "budget") return { kind: "collect" };
  const told = `${turn.errorCode ?? ""} ${turn.detail ?? ""}`;
  // The sidecar's refusal passed through the CLI: a price, grant or route that is missing. Money would have been known here.
  const code = refusalIn(told);
  const detail = turn.detail ?? turn.errorCode ?? "The model's provider gave no reason.";
  const reason: ReasonCode =
    code || turn.stopReason === "budget" || /provider|model|upstream|api/i.test(told)
      ? "provider_failed"
      : "runtime_failed";
  return {
    kind: "failed",
    to: "failed",
    reason,
    detail: code && !detail.includes(code) ? `${code}: ${detail}` : detail,
  };
}

/**
 * Whether the agent is told what is wrong with the present round, and works on. As many rounds as the job allows, since a
 * person or the forge last sent it back: what earlier ones took is no reason to leave a new remark half done. All rounds
 * together are bounded by the follow policy, the job's money and a person's patience. Pure.
 */
export const mayTell = ({ round, roundsBefore, maxRounds }: RoundCount): boolean => round - roundsBefore <= maxRounds;
type RoundCount = Pick<JobRecord, "round" | "roundsBefore" | "maxRounds">;

/** What follows the verification of a job's present round. Pure. */
export function afterVerification(
  passed: boolean | null,
  job: RoundCount,
): { kind: "feedback" } | { kind: "review"; reason: ReasonCode } {
  if (passed === false) return mayTell(job) ? { kind: "feedback" } : { kind: "review", reason: "rounds_exhausted" };
  return { kind: "review", reason: passed === null ? "not_verified" : "verification_passed" };
}
