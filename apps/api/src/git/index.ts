import { rm } from "node:fs/promises";
import { join } from "node:path";
import { accept } from "@x1agent/contract";
import { prepareContent } from "./content.ts";
import { importChange } from "./import.ts";
import { findSecrets } from "./leaks.ts";
import { mergeChange } from "./merge.ts";
import {
  isCommitId,
  listRefs,
  makeBareRepository,
  makeJobRepository,
  readFiles,
  readInstructions,
  resolveBase,
  withLock,
} from "./mirror.ts";
import type { PlatformGit } from "./port.ts";
import { publish } from "./publish.ts";
import { packOf, rebuild } from "./rebuild.ts";
import { type LocalRules, parseRemote } from "./remote.ts";
import { collectMirrors as collect } from "./retention.ts";
import { createGitRunner, type GitRunnerOptions } from "./run.ts";

export { type CheckoutRequest, checkout, checkoutCommand } from "./checkout.ts";
export { type CollectLimits, collectChange, collectCommand, defaultCollectLimits } from "./collect.ts";
export { flagsOf, visible } from "./diff.ts";
export { approvalDigest, canonicalBytes, pullRequestDigest, recordDigest } from "./digest.ts";
export {
  approvalSubject,
  buildEvidence,
  type EvidenceInput,
  platformBranches,
  pullRequestText,
  targetBranchName,
  verificationSentence,
} from "./evidence.ts";
export { defaultImportLimits, lfsChanged, lfsUploaded, newPointer, unresolved } from "./import.ts";
export { leakText, secretsIn } from "./leaks.ts";
export { pointerText } from "./lfs.ts";
export { type Merged, type MergeRequest, mergeSides } from "./merge.ts";
export { isBranchName, isCommitId } from "./mirror.ts";
export { diffPage } from "./patch.ts";
export { decideByPolicy, type PolicyDecision } from "./policy.ts";
export * from "./port.ts";
export { type LocalRules, parseRemote } from "./remote.ts";
export { isPrivateKey } from "./ssh-agent.ts";
export { describe, feedbackText, type OpenWorkspace, planVerification, runVerification } from "./verify.ts";

export type PlatformGitOptions = GitRunnerOptions & {
  dataDir: string;
  /** Default: as root any owner's repository (git then works as that owner), otherwise one's own only. */
  local?: LocalRules;
};

/** Frees mirrors unused for so long and leftovers of killed work; see `retention.ts`. */
export const collectMirrors = (dataDir: string, olderThanMs: number, dryRun: boolean) =>
  collect(dataDir, { olderThanMs, dryRun }, withLock);

/** The platform's git: everything that the service itself does with repositories. */
export function createPlatformGit(options: PlatformGitOptions): PlatformGit {
  const git = createGitRunner({ sshKnownHosts: join(options.dataDir, "ssh_known_hosts"), ...options });
  const uid = process.getuid?.() ?? -1;
  const local: LocalRules = options.local ?? { roots: [], owners: uid === 0 ? "any" : [uid] };
  const deps = { git, dataDir: options.dataDir, local };
  const jobRepositoryPath = (jobId: string) => join(options.dataDir, "jobs", `${jobId.replaceAll(/[^\w-]/g, "_")}.git`);
  return {
    remote: (repository) => parseRemote(repository, local),
    resolveBase: (request) => resolveBase(deps, request),
    prepareContent: (request) => prepareContent(deps, request),
    jobRepositoryPath,
    openJobRepository: (jobId) => makeBareRepository(git, jobRepositoryPath(jobId)),
    async jobRepository(jobId, base) {
      const dir = jobRepositoryPath(jobId);
      await makeJobRepository(git, dir, base);
      return dir;
    },
    readInstructions: (repository, commit) => readInstructions(git, repository, commit),
    readFiles: (repository, commit, paths) => readFiles(git, repository, commit, paths),
    importChange: (request) => importChange(deps, request),
    mergeChange,
    publish: (request) => publish(deps, request),
    findSecrets: (request) => findSecrets(deps, request),
    packOf: (jobRepository, commit, base, onto, content) => packOf(git, jobRepository, commit, base, onto, content),
    async commonCommit(jobRepository, one, other) {
      const found = await git({ gitDir: jobRepository, args: ["merge-base", one, other] });
      const id = found.stdout.toString("latin1").trim();
      return found.code === 0 && isCommitId(id) ? id : null;
    },
    rebuild: (jobId, commit, base, pack, onto) => rebuild(deps, jobRepositoryPath(jobId), commit, base, pack, onto),
    async remoteBranch(repository, branch, credential) {
      const parsed = parseRemote(repository, local);
      if (!parsed.ok) return parsed;
      const listed = await listRefs(git, parsed.value, credential);
      return listed.ok ? accept(listed.value.refs.get(`refs/heads/${branch}`) ?? null) : listed;
    },
    removeJobRepository: (jobId) => rm(jobRepositoryPath(jobId), { recursive: true, force: true }),
  };
}
