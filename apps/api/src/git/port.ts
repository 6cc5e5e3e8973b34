import type { ApprovalSubject, ContentPolicy, DiffFile, EvidenceRecord, LfsContent, Outcome } from "@x1agent/contract";
import type { Workspace } from "@x1agent/workspaces";
import type { Merged, MergeRequest } from "./merge.ts";

/**
 * What the job loop and the use-cases know of git. Stages of one change and their invariants:
 *
 *   resolveBase -> jobRepository -> checkout (inside) -> collect (inside) -> importChange -> verify (inside) -> publish
 *
 * - No git of the service ever runs in a tree, or with a configuration, that an agent wrote.
 * - What leaves a workspace is one bundle with one tree; everything in it is unproven until a tool workspace checked it.
 * - The commit is the platform's own: same tree, base, message and date give the same commit, so every step repeats.
 */

/**
 * `authorization` is sent as that header to the remote's own origin only; `sshKey` is a private key for SSH. Neither is ever
 * part of a URL, argument or file.
 */
export type GitCredential =
  | {
      authorization: string;
      sshKey?: never;
      /** Where the repository is now, when its forge says that it was renamed or moved; used on the same origin only. */
      address?: string;
    }
  | { sshKey: string; authorization?: never; address?: never };

/** A remote taken apart. `url` is put together again from the parts and never the text that came in. */
export type Remote =
  | { kind: "local"; url: string; path: string; uid: number; gid: number }
  | { kind: "http" | "https"; url: string; host: string; port: number; path: string }
  | { kind: "ssh"; url: string; user: string | null; host: string; port: number; path: string };

export type BaseRequest = {
  organizationId: string;
  repository: string;
  /** Trust label of who asked; mirrors of different trust share nothing. */
  trust: string;
  /** Branch, tag or full commit id; null is the remote's default branch. */
  base: string | null;
  /** The history's commits and folders, but of the files only those of the base: a mirror of its own. */
  partial?: boolean;
  credential?: GitCredential;
  signal?: AbortSignal;
};

/** A commit at the remote, present in the mirror. */
export type Base = {
  remote: Remote;
  mirror: string;
  commit: string;
  tree: string;
  /** Branch that the job stands on; null when a bare commit was named. */
  branch: string | null;
  defaultBranch: string | null;
  /** What of the base the workspace lacks or has besides, as submodules and LFS content: one sentence each. */
  notes: string[];
  /** Digest of what `prepareContent` laid out; absent where that is nothing. */
  content?: string;
  /** Some of it lies where nobody answers now: what to say while it is waited for. A note says it too. */
  away?: string;
};

/** What `prepareContent` works with. */
export type ContentRequest = {
  organizationId: string;
  trust: string;
  base: Base;
  jobRepository: string;
  policy: ContentPolicy;
  /** Credential of the job's own repository, for its LFS endpoint. */
  credential?: GitCredential;
  /** Credential for another repository, minted for it; null where none reaches it. */
  credentialFor(repository: string): Promise<Outcome<GitCredential | null>>;
  /** Speaks to the remote's own origin, or (`public`) to public addresses only. Neither follows redirects. */
  fetch: { own: typeof fetch; public: typeof fetch };
  signal?: AbortSignal;
};

export type InstructionFile = { path: string; text: string; sha256: string; truncated: boolean };

/** What `collect` took out of a workspace. `file` is null when the tree is the base's own. */
export type Collected = { changed: boolean; tree: string; file: string | null; bytes: number; named: string[] };

export type CommitText = {
  title: string;
  body: string;
  jobId: string;
  /** Head of the published branch into which the base is brought: first parent, and the base is the second. */
  onto?: string | null;
  /** Fixed by the caller so that a repeated import makes the same commit: the round's stored start. */
  at: Date;
  /** People who asked for it, as trailers of the commit. Stored before the work begins, for the same reason. */
  coAuthors?: readonly { name: string; email: string }[];
};

export type Imported = {
  commit: string;
  tree: string;
  files: DiffFile[];
  insertions: number;
  deletions: number;
  /** Unified diff, control and bidirectional characters shown as escapes, bounded. */
  diff: string;
  named: string[];
  /** Content behind pointers of the change, to be uploaded at the publication; absent where there is none. */
  lfs?: LfsContent[];
};

export type Published = {
  branch: string;
  commit: string;
  /** True when the branch already held this commit: an earlier try of ours had got through. */
  alreadyThere: boolean;
  /** Commits that the base branch went forward since; null when there is no base branch. */
  behind: number | null;
  url: string | null;
};

export type PublishRequest = {
  organizationId: string;
  jobId: string;
  trust: string;
  /** As approved; its canonical digest must be `digest`. */
  subject: ApprovalSubject;
  digest: string;
  /** Stored evidence, from which record digest and pull-request digest are computed anew. */
  record: EvidenceRecord;
  pullRequest: PullRequestText;
  /** Id of the stored evidence row. */
  evidenceId: string;
  jobRepository: string;
  baseBranch: string | null;
  /** See `BaseRequest`. */
  partial?: boolean;
  /** The verification did not pass and a person said so all the same. */
  override: boolean;
  credential?: GitCredential;
  /** As in `ContentRequest`, for what the change keeps in Git LFS. */
  fetch?: ContentRequest["fetch"];
  signal?: AbortSignal;
};

/** A secret that the platform keeps. Its name is what may be told of it. */
export type KnownSecret = { name: string; value: Buffer };
/** A kept secret in what would leave, and the file it was found in; null: in the words that go with the change. */
export type Leak = { name: string; path: string | null };
export type FindSecretsRequest = {
  jobRepository: string;
  commit: string;
  /** Commits that the remote has: what they hold is not looked at. */
  below: readonly string[];
  /** Objects that leave beside the commit, as LFS content. */
  also?: readonly { id: string; path: string }[];
  secrets: readonly KnownSecret[];
  signal?: AbortSignal | undefined;
};

export type PullRequestText = { title: string; body: string };

export interface PlatformGit {
  /** A repository's address taken apart, as `resolveBase` does it. Asks nobody. */
  remote(repository: string): Outcome<Remote>;
  /** Lists the remote's refs with the job's own credential, then brings the base into the mirror. Refuses `repository_invalid`, `base_unknown`, `forge_unavailable`. */
  resolveBase(request: BaseRequest): Promise<Outcome<Base>>;
  /** Makes the job's repository without a commit, where there is none yet: a workspace may mount it before its base is known. */
  openJobRepository(jobId: string): Promise<void>;
  /** The job's clean bare repository with the base commit; idempotent, rebuilt when it is gone. Mounted read-only at /x1/base.git. */
  jobRepository(jobId: string, base: Base): Promise<string>;
  /**
   * Fetches what the policy allows of the base's submodules and LFS content into the job's repository, with the list by which
   * workspaces lay it out. The base comes back with notes that say what is there and what is not.
   */
  prepareContent(request: ContentRequest): Promise<Base>;
  /** Where `jobRepository` puts it. */
  jobRepositoryPath(jobId: string): string;
  /** AGENTS.md and its like at a commit, read from objects. */
  readInstructions(repository: string, commit: string): Promise<InstructionFile[]>;
  /** Files at a commit by their paths, those that are there, in the order asked for; at most 64 KB of each. */
  readFiles(repository: string, commit: string, paths: readonly string[]): Promise<InstructionFile[]>;
  /** Unbundles and checks in the tool workspace, then writes the platform's one commit into the job repository. Refuses with a sentence that names what is wrong. */
  importChange(request: {
    tool: Workspace;
    jobRepository: string;
    base: string;
    collected: { file: string; named: readonly string[] };
    text: CommitText;
    /**
     * Files that the tree's attributes give to Git LFS become pointers where their content can be uploaded; `known` is content
     * behind pointers of the change that an earlier import kept. Absent: they are left as they are.
     */
    lfs?: { upload: boolean; known: readonly LfsContent[] };
    limits?: Partial<ImportLimits>;
    signal?: AbortSignal;
  }): Promise<Outcome<Imported>>;
  /** Lays one commit's change on another, as a bundle like that of a collection; see `merge.ts`. */
  mergeChange(tool: Workspace, request: MergeRequest): Promise<Outcome<Merged>>;
  /** Pushes exactly what was approved, or refuses `digest_mismatch`, `publish_moved`, `verification_failed`. */
  publish(request: PublishRequest): Promise<Outcome<Published>>;
  /** Which secrets of ours the commit's new objects hold, names of files and the commit's text included; see `leaks.ts`. Refuses `publish_moved`. */
  findSecrets(request: FindSecretsRequest): Promise<Outcome<Leak[]>>;
  /** The commit and what it adds to its base, and to the head it is merged into, with LFS content, as a pack for `rebuild`. */
  packOf(
    jobRepository: string,
    commit: string,
    base: string,
    onto?: string,
    content?: readonly LfsContent[],
  ): Promise<Buffer>;
  /** The nearest commit that both have in common; null where there is none. */
  commonCommit(jobRepository: string, one: string, other: string): Promise<string | null>;
  /**
   * Makes sure that the job's repository holds the commit: where it does not, as in a service that did none of the job's work,
   * it is made anew from the base at the remote and the pack. Each object is hashed on its way in. Refuses what `resolveBase`
   * refuses, and `publish_moved` for a pack that does not give the commit.
   */
  rebuild(
    jobId: string,
    commit: string,
    base: BaseRequest,
    pack: () => Promise<Buffer | null>,
    onto?: string | null,
  ): Promise<Outcome<null>>;
  /** Value of one branch at the remote, null when absent: what an approval expects to find. */
  remoteBranch(repository: string, branch: string, credential?: GitCredential): Promise<Outcome<string | null>>;
  /** Removes the job's repository; the mirror stays. */
  removeJobRepository(jobId: string): Promise<void>;
}

export type ImportLimits = {
  /** Paths of the change, counted by visiting each tree once. */
  maxPaths: number;
  maxDepth: number;
  maxBlobBytes: number;
  maxTotalBytes: number;
  maxPackBytes: number;
  maxDiffBytes: number;
  memoryBytes: number;
  timeoutMs: number;
};

/** Marks how one verification is to be run. */
export type VerificationRequest = {
  commit: string;
  base: string;
  setup: string | null;
  verify: string | null;
  verifyNetwork: boolean;
  setupMs: number;
  verifyMs: number;
  /** Paths of test files that the change touches; non-empty runs the command a second time with the base's own. */
  testPaths: readonly string[];
  /** Called before and after set-up, to move the workspace's sidecar to another phase. */
  onPhase?: (phase: "setup" | "verify") => Promise<void>;
  /** Hears what a command says while it runs, standard output and error in one. */
  onOutput?: (chunk: Buffer) => void;
  /** Stores whole (capped) output of a command, returns its digest. */
  storeOutput?: (output: Buffer) => Promise<string | null>;
  signal?: AbortSignal;
};
