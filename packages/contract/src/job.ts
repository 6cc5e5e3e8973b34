import { z } from "zod";

/** States of a job. Terminal ones only leave by an explicit retry. */
export const activeStates = [
  "queued",
  "provisioning",
  "running",
  "awaiting_input",
  "verifying",
  "awaiting_approval",
  "publishing",
] as const;
export const terminalStates = [
  "succeeded",
  "no_changes",
  "rejected",
  "failed",
  "cancelled",
  "timed_out",
  "budget_exceeded",
  "lost",
] as const;
export const jobStates = [...activeStates, ...terminalStates] as const;
export const JobState = z.enum(jobStates);
export type JobState = z.infer<typeof JobState>;

/**
 * The round of a job in words: `round 2 of 4`, a first one and as many as may hand a failed verification back. Without the
 * number of all where a person's word, or the forge's, has begun the count anew. Pure.
 */
export const roundText = ({ round, maxRounds }: { round: number; maxRounds: number }): string =>
  round <= maxRounds + 1 ? `round ${round} of ${maxRounds + 1}` : `round ${round}`;

/**
 * Legal moves. The database holds the same table and refuses any other. A move back to `queued` starts another attempt
 * (loss of a workspace, changes asked for, retry; from `publishing`: what was approved no longer fits its branch). `succeeded` is reached from `publishing` only: it needs an observed
 * work product, and leaves for another round only while its pull request is open.
 */
export const jobTransitions: Readonly<Record<JobState, readonly JobState[]>> = {
  queued: ["provisioning", "cancelled", "failed", "timed_out", "budget_exceeded", "lost"],
  provisioning: ["running", "queued", "failed", "cancelled", "timed_out", "budget_exceeded", "lost"],
  running: [
    "awaiting_input",
    "verifying",
    "queued",
    "no_changes",
    "failed",
    "cancelled",
    "timed_out",
    "budget_exceeded",
    "lost",
  ],
  awaiting_input: ["running", "queued", "failed", "cancelled", "timed_out", "budget_exceeded", "lost"],
  verifying: [
    "running",
    "awaiting_approval",
    "publishing",
    "queued",
    "no_changes",
    "failed",
    "cancelled",
    "timed_out",
    "budget_exceeded",
    "lost",
  ],
  awaiting_approval: ["publishing", "queued", "rejected", "failed", "cancelled", "timed_out"],
  publishing: ["succeeded", "awaiting_approval", "queued", "failed"],
  succeeded: ["queued"],
  no_changes: ["queued"],
  rejected: ["queued"],
  failed: ["queued"],
  cancelled: ["queued"],
  timed_out: ["queued"],
  budget_exceeded: ["queued", "awaiting_approval"],
  lost: ["queued"],
};

export const isTerminal = (state: JobState): boolean => (terminalStates as readonly string[]).includes(state);
export const mayMove = (from: JobState, to: JobState): boolean => jobTransitions[from].includes(to);

/** Why a job moved. */
export const reasonCodes = [
  "created",
  "claimed",
  "workspace_ready",
  "question_asked",
  "question_answered",
  "question_expired",
  "turn_ended",
  "verification_passed",
  // Nothing was run that could pass: no command is set, or none came to its end.
  "not_verified",
  "verification_failed",
  "rounds_exhausted",
  "no_work_product",
  "approved_by_person",
  "approved_by_policy",
  "changes_requested",
  "rejected_by_person",
  "published",
  "publish_refused",
  "cancelled_by_person",
  "retried",
  "budget_exceeded",
  "checkout_failed",
  "setup_failed",
  "repository_invalid",
  "runtime_failed",
  "runtime_lost",
  "provider_failed",
  "workspace_lost",
  "service_lost",
  "service_stopped",
  "attempts_exhausted",
  "time_limit",
  "no_progress",
  "collect_failed",
  "isolation_unavailable",
  "installation_failed",
  "internal_error",
  "review_received",
  "checks_failed",
  "base_moved",
  "forge_waiting",
] as const;
export const ReasonCode = z.enum(reasonCodes);
export type ReasonCode = z.infer<typeof ReasonCode>;

/**
 * Trust label of a job by whoever's words it carries. `member`: everybody whose text goes to the agent may write to the
 * repository. `outside`: somebody may not; such a job gets no push grant, no secrets of the project, no policy approval.
 */
export const trustLabels = ["member", "outside"] as const;
export const TrustLabel = z.enum(trustLabels);
export type TrustLabel = z.infer<typeof TrustLabel>;

/** Who did something: a user, a policy, the platform or a job, by id. */
export const Actor = z.object({ kind: z.enum(["user", "policy", "platform", "job"]), id: z.string().min(1).max(200) });
export type Actor = z.infer<typeof Actor>;
export const platformActor: Actor = { kind: "platform", id: "x1" };
export const formatActor = (actor: Actor): string => `${actor.kind}:${actor.id}`;

export const IsolationLevel = z.enum(["process", "namespaces", "container", "vm"]);
export type IsolationLevel = z.infer<typeof IsolationLevel>;
/** Position in the order of strength; a job runs only where the level is at least the project's minimum. */
export const isolationRank = (level: IsolationLevel): number =>
  ["process", "namespaces", "container", "vm"].indexOf(level);

/** What a workspace really enforces, as told by its driver and shown to people. */
export const IsolationReport = z.object({
  level: IsolationLevel,
  mechanism: z.string(),
  facts: z.array(z.object({ name: z.string(), value: z.string(), by: z.enum(["kernel", "watched", "none"]) })),
});
export type IsolationReport = z.infer<typeof IsolationReport>;
