import { accept, type Outcome, refuse } from "@x1agent/contract";
import type { GitCredential, PlatformGit, Published, PublishRequest, PullRequestText } from "../git/index.ts";
import { type Blobs, openEvidence } from "./evidence.ts";

export type ApprovedPublication = Published & { repository: string; pullRequest: PullRequestText };

/**
 * Publishes what an approval's digest stands for. All content comes from the digest; the arguments only say whose job it
 * is and where its objects lie, and are held against what was approved. Safe to repeat after a crash.
 */
export async function publishApproved(
  deps: { git: Pick<PlatformGit, "publish">; blobs: Blobs },
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
    signal?: AbortSignal;
  },
): Promise<Outcome<ApprovedPublication>> {
  const opened = await openEvidence(deps.blobs, request.digest);
  if (!opened)
    return refuse("digest_mismatch", "The evidence that was approved is missing or was changed in the blob store.");
  const { subject, record, pullRequest } = opened;
  const published = await deps.git.publish({ ...request, subject, record, pullRequest });
  return published.ok ? accept({ ...published.value, repository: subject.repository, pullRequest }) : published;
}
