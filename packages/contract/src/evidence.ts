import { z } from "zod";
import { Micros } from "./money.ts";

const Hex = z.string().regex(/^[0-9a-f]{40}([0-9a-f]{24})?$/);
/** SHA-256 in lower-case hex. */
export const Digest = z.string().regex(/^[0-9a-f]{64}$/);
export type Digest = z.infer<typeof Digest>;

/** One command that the platform ran and watched from outside. */
export const CommandResult = z.object({
  command: z.string(),
  exitCode: z.number().int().nullable(),
  signal: z.string().nullable(),
  durationMs: z.number(),
  timedOut: z.boolean(),
  outputBytes: z.number(),
  outputTail: z.string(),
  /** Blob with the whole (capped) output. */
  outputBlob: Digest.nullable(),
  network: z.enum(["none", "egress"]),
});
export type CommandResult = z.infer<typeof CommandResult>;

/** Counts read from the output. The tests' own words: `reported`, never `observed`. */
export const TestCounts = z.object({
  passed: z.number().int(),
  failed: z.number().int(),
  skipped: z.number().int(),
  format: z.string(),
  /** Tests that the report itself names, where it says so; more than it tells of when it was cut short. */
  planned: z.number().int().optional(),
  /** Test files that passed without reporting a test of their own; counted in `passed`. */
  silent: z.number().int().optional(),
});
export type TestCounts = z.infer<typeof TestCounts>;

export const DiffFile = z.object({
  path: z.string(),
  /** From raw tree entries; renames are a deletion and an addition. */
  status: z.enum(["added", "modified", "deleted", "type_changed"]),
  oldMode: z.string(),
  newMode: z.string(),
  insertions: z.number().int().nullable(),
  deletions: z.number().int().nullable(),
  binary: z.boolean(),
  /** Why a person must look: test, manifest, lock, config, dotfile, ci, instructions, script, executable, symlink, submodule, secret. */
  flags: z.array(z.string()),
  /**
   * The same with reasons: kinds are the flags and test_deleted, test_removed, test_skipped, install_script, mode. `line` is
   * 1-based in the new file, for test_removed in the old one; null where the whole file is meant. At most 20.
   */
  risks: z.array(z.object({ kind: z.string(), reason: z.string(), line: z.number().int().nullable() })).optional(),
});
export type DiffFile = z.infer<typeof DiffFile>;

/** A file's change for a reviewer: raw hunks, bounded. Text has control and bidirectional characters as escapes. */
export const DiffFilePatch = DiffFile.extend({
  /** Made by a tool, as its name says: lock files, minified and bundled output. */
  generated: z.boolean(),
  /** `old` and `new` are 1-based line numbers, null on the side that does not have the line. */
  lines: z.array(
    z.object({
      kind: z.enum(["same", "added", "removed"]),
      old: z.number().int().nullable(),
      new: z.number().int().nullable(),
      text: z.string(),
    }),
  ),
  /** The file goes on after these lines: ask again with `line`. */
  moreLines: z.boolean().optional(),
  /** Lines are missing: the file has more than 2,000, one is longer than 4,000 characters, or the change is too large to be kept whole. */
  truncated: z.boolean(),
});
export type DiffFilePatch = z.infer<typeof DiffFilePatch>;

/** One verification: set-up and verify command in a fresh workspace at one commit. */
export const Verification = z.object({
  commit: Hex,
  setup: CommandResult.nullable(),
  verify: CommandResult.nullable(),
  /** The verify command ended 0 (and set-up did); true when no verify command is set is never claimed: then null. */
  passed: z.boolean().nullable(),
  counts: TestCounts.nullable(),
  /** Name of a test runner that began and printed no summary. */
  noSummary: z.string().optional(),
  /** Same command with the base's own tests put back, when the change touches tests. */
  withBaseTests: z
    .object({
      verify: CommandResult,
      passed: z.boolean(),
      counts: TestCounts.nullable(),
      noSummary: z.string().optional(),
    })
    .nullable(),
});
export type Verification = z.infer<typeof Verification>;

/**
 * A doubt about the change as a whole. Kinds: tests_fewer, no_summary, report_differs, judge_changed (tests,
 * or what runs them, are part of the change), stored_secret; a reader keeps those it does not know.
 */
export const EvidenceRisk = z.object({ kind: z.string(), reason: z.string() });
export type EvidenceRisk = z.infer<typeof EvidenceRisk>;

/**
 * Content that Git LFS keeps: SHA-256 and size (bytes) as its pointer at `path` has them, and the id of the git object that holds
 * it until it is uploaded.
 */
export const LfsContent = z.object({ path: z.string(), oid: Digest, size: z.number().int(), blob: Hex });
export type LfsContent = z.infer<typeof LfsContent>;

/** All that the platform itself saw of one round. Stored as canonical JSON in the blob store; its SHA-256 is `recordDigest`. */
export const EvidenceRecord = z.object({
  version: z.literal(1),
  organizationId: z.string(),
  jobId: z.string(),
  attemptId: z.string(),
  round: z.number().int(),
  repository: z.string(),
  base: Hex,
  /** First parent of a commit that brings the base into the branch that is published already; the base is the second. */
  onto: Hex.optional(),
  commit: Hex,
  tree: Hex,
  targetBranch: z.string(),
  files: z.array(DiffFile),
  insertions: z.number().int(),
  deletions: z.number().int(),
  /** Things found and not taken as they were: embedded repositories, ignored files, special files. */
  named: z.array(z.string()),
  /** What the base holds and the workspace does not: submodules and Git LFS content, which are not fetched. */
  notes: z.array(z.string()).optional(),
  /** Content that the change's pointers stand for; uploaded to the repository's LFS server before the push. */
  lfs: z.array(LfsContent).optional(),
  /** Doubts about the change as a whole; with one of these no policy approves. */
  risks: z.array(EvidenceRisk).optional(),
  verification: Verification,
  baseline: Verification.nullable(),
  costMicros: Micros,
  egressBlocked: z.array(z.object({ host: z.string(), port: z.number().int(), count: z.number().int() })),
  policyVersion: z.string(),
});
export type EvidenceRecord = z.infer<typeof EvidenceRecord>;

/** What an approval binds to: its canonical JSON (RFC 8785) is hashed with SHA-256. */
export const ApprovalSubject = z.object({
  version: z.literal(1),
  organizationId: z.string(),
  jobId: z.string(),
  attemptId: z.string(),
  repository: z.string(),
  base: Hex,
  commit: Hex,
  tree: Hex,
  targetBranch: z.string(),
  /** Expected old value of the target branch at the remote; null when it must not exist. */
  expectedOld: Hex.nullable(),
  evidenceId: z.string(),
  recordDigest: Digest,
  pullRequestDigest: Digest,
  policyVersion: z.string(),
});
export type ApprovalSubject = z.infer<typeof ApprovalSubject>;
