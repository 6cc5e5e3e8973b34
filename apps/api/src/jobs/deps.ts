import type {
  GitCredentialReply,
  GitPurpose,
  LeaseReply,
  Outcome,
  PriceTable,
  ProviderRoute,
  RuntimeManifest,
  SidecarForge,
  SidecarRegistry,
} from "@x1agent/contract";
import type { JobRecord } from "@x1agent/domain-jobs";
import type { BlobStore, Database, Logger } from "@x1agent/kernel";
import type { WorkspaceDriver } from "@x1agent/workspaces";
import type { ControlChannel } from "../control/index.ts";
import type { Hub } from "../events/hub.ts";
import type { OpenedPullRequest, PullRequestOf } from "../forges/pull-request.ts";
import type { GitSubject } from "../forges/repositories.ts";
import type { GitCredential, KnownSecret, PlatformGit } from "../git/index.ts";
import type { SecretUser } from "./steps/trust.ts";

/** All that the job loop works with; nothing is read from the environment. */
export type LoopDeps = {
  db: Database;
  blobs: BlobStore;
  hub: Hub;
  log: Logger;
  driver: WorkspaceDriver;
  git: PlatformGit;
  control: ControlChannel;
  /** `<data>`: bundles on their way and cached baselines lie below it. */
  dataDir: string;
  manifestOf(runtime: string): RuntimeManifest | undefined;
  /** Folder of an installed runtime. */
  appDir(runtime: string): Promise<Outcome<string>>;
  /** Routes with their keys, unsealed for one sidecar of the job. */
  routes(job: SecretUser): Promise<ProviderRoute[]>;
  /** Package registries as sidecars of the job serve them, with the logins that hold for it. */
  registries(job: SecretUser): Promise<SidecarRegistry[]>;
  /** Prices that hold for an organization now; a job's sidecar keeps those of its start. */
  prices(organizationId: string): Promise<PriceTable>;
  /** Name of this installation: what an earlier process of it held is free again at once. */
  instance: string;
  /** Bytes of a repository's history, where its forge says. */
  repositoryBytes?(organizationId: string, subject: GitSubject): Promise<number | null>;
  /** Credential for a submodule's repository, minted for that one where the job's connection reaches it, else a stored one. */
  submoduleCredential?(job: GitSubject & SecretUser, repository: string): Promise<Outcome<GitCredential | null>>;
  /** How LFS content is fetched; absent: it is not. */
  contentFetch?: { own: typeof fetch; public: typeof fetch };
  /** Secrets that nothing which leaves may hold: the organization's, its projects', and the installation's own. */
  knownSecrets?(organizationId: string): Promise<KnownSecret[]>;
  /** Credential for a repository's remote, made for this use by its forge, else the stored one; null where there is none. */
  credential?(subject: GitSubject & SecretUser, purpose: "read" | "push"): Promise<Outcome<GitCredential | null>>;
  /**
   * What a job's sidecar presents to the remote of `repository` for one purpose, unsealed or minted for it now; null: nothing.
   * A Fault carries a sentence that may be shown inside the workspace.
   */
  gitCredential?(
    organizationId: string,
    jobId: string,
    repository: string,
    purpose: GitPurpose,
  ): Promise<GitCredentialReply | null>;
  /** The forge of a job's repository as its sidecar serves it; null where there is none. */
  forgeOf?(organizationId: string, subject: GitSubject): Promise<Omit<SidecarForge, "repository"> | null>;
  /** Whether a repository's forge protects a branch now; without a forge nobody knows, and nothing is. */
  isProtectedBranch?(organizationId: string, repository: string, branch: string): Promise<boolean>;
  /** The branch that a change on `branch` is for now, when that was renamed or is gone. */
  baseBranch?(job: JobRecord, branch: string | null): Promise<Outcome<string | null>>;
  /** Opens or brings up to date the pull request of what was published; null where no forge reaches the repository. */
  pullRequest?(job: JobRecord, published: PullRequestOf): Promise<Outcome<OpenedPullRequest | null>>;
  /** Address of a job's page, where others than this machine reach it. */
  jobLink?(jobId: string): string | null;
  /** Whether a workspace of this attempt is at work though no job has it; the sweep leaves it alone. */
  keeps?(attemptId: string): boolean;
  /** Every organization, for the sweep. */
  organizations(): Promise<string[]>;
  /** Runs what waits for others without charging the job's time; made by the job's run. */
  uncharged?<T>(wait: () => Promise<T>): Promise<T>;
  /** Our own listeners: no sidecar ever dials them. */
  forbidden?(): { address: string; port?: number }[];
  upstreamProxy?: string;
  ca?: string;
  timing?: Partial<Timing>;
};

export type Timing = {
  /** Jobs this process works on at once. */
  concurrency: number;
  leaseMs: number;
  renewMs: number;
  sweepMs: number;
  /** Time for the agent to stop by itself after the money ran out. */
  graceMs: number;
  /** Time to save work at a clean stop. */
  stopMs: number;
};

export const defaultTiming: Timing = {
  concurrency: 8,
  // With the sweep this is taken over within 30 s, and a machine under heavy load still renews in time.
  leaseMs: 20_000,
  renewMs: 5_000,
  sweepMs: 5_000,
  graceMs: 10_000,
  stopMs: 8_000,
};

export type BudgetRefusal = Extract<LeaseReply, { outcome: "refused" }>;
