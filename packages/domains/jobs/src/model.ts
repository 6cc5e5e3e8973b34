import type {
  Actor,
  IsolationLevel,
  IsolationReport,
  JobState,
  LfsContent,
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

/**
 * A change that is laid anew, because the branch it stands on, or is published to, has moved. Commits are whole ids. It
 * holds for every attempt until the next publication.
 */
export type JobMerge = {
  /** Head of the published branch: first parent of the result, of which the job's base is the second. Null: the base is the only one. */
  onto: string | null;
  /** Commit whose change is laid, and the one it is laid on. */
  work: string;
  side: string;
  /** What `work` is compared with to know its change; null: whatever both have in common. */
  from: string | null;
  /** How `work` is found again where only database and blobs are shared: it is not published yet. */
  kept: { base: string; onto: string | null; packBlob: string; lfs?: LfsContent[] } | null;
  /** Branch that the change is for, where it is not published yet. */
  baseBranch: string | null;
  /** How often it was laid since it was last published. */
  tries: number;
  /** An agent is needed whatever the merge comes to: there are remarks too, or the merged tree did not pass. */
  agent: boolean;
  /** Paths that did not go together, at most 100, with controls as escapes. */
  conflicts: string[];
  /** What the verification of the merged tree said; for the agent. */
  feedback: string | null;
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
  /** Rounds that it had when a person or the forge last sent it back to work: those that may bring feedback count from here. */
  roundsBefore: number;
  approvalDigest: string | null;
  targetBranch: string | null;
  publishedCommit: string | null;
  merge: JobMerge | null;
  cancelRequested: Actor | null;
  /** Times in a row that it was parked until something outside answers. */
  waits: number;
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
  merge: JobMerge | null;
}>;

export type Move = { jobId: string; from: JobState; to: JobState; reason: ReasonCode; actor: Actor; detail?: string };
