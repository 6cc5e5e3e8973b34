import { accept, type EvidenceRecord, type Outcome, refuse } from "@x1agent/contract";
import {
  type GitCredential,
  type KnownSecret,
  type Leak,
  leakText,
  type PlatformGit,
  type Published,
  type PublishRequest,
  type PullRequestText,
  secretsIn,
} from "../git/index.ts";
import { type Blobs, openEvidence } from "./evidence.ts";

export type ApprovedPublication = Published & { repository: string; pullRequest: PullRequestText };

/**
 * Publishes what an approval's digest stands for. All content comes from the digest; the arguments only say whose job it
 * is and where its objects lie, and are held against what was approved. Safe to repeat after a crash.
 */
export async function publishApproved(
  deps: { git: Pick<PlatformGit, "publish" | "findSecrets">; blobs: Blobs },
  request: {
    organizationId: string;
    jobId: string;
    trust: string;
    digest: string;
    evidenceId: string;
    override: boolean;
    jobRepository: string;
    baseBranch: string | null;
    partial?: boolean;
    credential?: GitCredential;
    fetch?: NonNullable<PublishRequest["fetch"]>;
    /** Secrets of ours, as they are now: with one of them in it nothing leaves. */
    secrets?: readonly KnownSecret[];
    signal?: AbortSignal;
  },
): Promise<Outcome<ApprovedPublication>> {
  const opened = await openEvidence(deps.blobs, request.digest);
  if (!opened)
    return refuse("digest_mismatch", "The evidence that was approved is missing or was changed in the blob store.");
  const { subject, record, pullRequest } = opened;
  const { secrets = [], ...rest } = request;
  const leaks = await leaksOf(deps.git, { ...rest, secrets }, record, pullRequest);
  if (!leaks.ok) return leaks;
  if (leaks.value.length > 0)
    return refuse(
      "secret_in_change",
      `Nothing was published: ${leaks.value.map(leakText).join("; ")}.`.slice(0, 2_000),
    );
  const published = await deps.git.publish({ ...rest, subject, record, pullRequest });
  return published.ok ? accept({ ...published.value, repository: subject.repository, pullRequest }) : published;
}

/** Secrets of ours in the commit, in its LFS content, and in the words of evidence and pull request. */
async function leaksOf(
  git: Pick<PlatformGit, "findSecrets">,
  {
    jobRepository,
    secrets,
    signal,
  }: { jobRepository: string; secrets: readonly KnownSecret[]; signal?: AbortSignal | undefined },
  record: EvidenceRecord,
  pullRequest: PullRequestText,
): Promise<Outcome<Leak[]>> {
  if (secrets.length === 0) return accept([]);
  const inWords = secretsIn(JSON.stringify([record, pullRequest]), secrets);
  const inCommit = await git.findSecrets({
    ...{ jobRepository, secrets, signal, commit: record.commit },
    below: [record.base, ...(record.onto ? [record.onto] : [])],
    also: (record.lfs ?? []).map(({ blob, path }) => ({ id: blob, path })),
  });
  if (!inCommit.ok) return inCommit;
  return accept([...inCommit.value, ...inWords.map((name) => ({ name, path: null }))]);
}
