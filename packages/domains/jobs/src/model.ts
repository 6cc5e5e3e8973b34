import type {
  Actor,
  IsolationLevel,
  IsolationReport,
  JobState,
  Limits,
  ReasonCode,
  TrustLabel,
} from "@x1agent/contract";

/** What a job is made with; changes only by an explicit retry. */
export type JobSettings = {
  title: string;
  goal: string;
  runtime: string;
  model: string;
  base: string | null;
  setup: string | null;
  verify: string | null;
  verifyNetwork: boolean;
  ask: boolean;
  isolation: IsolationLevel;
  maxRounds: number;
  budgetMicros: number | null;
  limits: Limits;
  /** By whose words the job carries; absent for one that a person of this installation stated by themselves. */
  trust?: TrustLabel;
};

/** A job as the platform works with it. */
export type JobRecord = JobSettings & {
  id: string;
  organizationId: string;
  projectId: string;
  repository: string;
  state: JobState;
  reason: ReasonCode;
  reasonDetail: string | null;
  actor: Actor;
  baseCommit: string | null;
  attempt: number;
  round: number;
  approvalDigest: string | null;
  targetBranch: string | null;
  publishedCommit: string | null;
  cancelRequested: Actor | null;
  createdBy: Actor;
  createdAt: string;
  updatedAt: string;
  startedAt: string | null;
  endedAt: string | null;
};

export type AttemptRecord = {
  id: string;
  jobId: string;
  number: number;
  state: "running" | "ended";
  outcome: string | null;
  reason: string | null;
  workspaceId: string | null;
  isolation: IsolationReport | null;
  startedAt: string;
  endedAt: string | null;
};

/** Facts that change along the way, without a move. */
export type JobFacts = Partial<{
  baseCommit: string | null;
  round: number;
  approvalDigest: string | null;
  targetBranch: string | null;
  publishedCommit: string | null;
}>;

export type Move = { jobId: string; from: JobState; to: JobState; reason: ReasonCode; actor: Actor; detail?: string };
