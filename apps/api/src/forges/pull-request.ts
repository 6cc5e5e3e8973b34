import { accept, type DiffFile, defaultPullRequests, type Outcome } from "@x1agent/contract";
import { getPullRequest, type PullRequestRecord } from "@x1agent/domain-forges";
import type { JobRecord } from "@x1agent/domain-jobs";
import { getProject } from "@x1agent/domain-projects";
import { codeownersPaths, ownersOf } from "@x1agent/forges";
import type { PlatformGit } from "../git/index.ts";
import { type ForgeDeps, lookAtRepository, repositoryOfJob } from "./repositories.ts";

/** What was published, as far as its pull request needs it. */
export type PullRequestOf = {
  branch: string;
  commit: string;
  baseCommit: string;
  baseBranch: string | null;
  title: string;
  body: string;
  files: readonly Pick<DiffFile, "path">[];
};

/** The pull request that stands at the forge now, as it is to be stored. */
export type OpenedPullRequest = Pick<
  PullRequestRecord,
  "connectionId" | "repository" | "headBranch" | "baseBranch" | "headCommit" | "state" | "draft"
> & { number: number; url: string; notes: string[] };

/**
 * Opens the pull request of a published change, or brings the one up to date that is open for its branch: repeated after a
 * crash it finds its own. Null where no connection reaches the job's repository.
 */
export async function openJobPullRequest(
  deps: ForgeDeps & { git: Pick<PlatformGit, "readFiles" | "jobRepositoryPath"> },
  job: JobRecord,
  published: PullRequestOf,
): Promise<Outcome<OpenedPullRequest | null>> {
  const known = await repositoryOfJob(deps, job.organizationId, job);
  if (!known) return accept(null);
  const found = await lookAtRepository(deps, job.organizationId, known);
  if (!found.ok) return found;
  const { forge, repository } = found.value;
  const [project, before] = await deps.db.tenant(job.organizationId, async (tx) => [
    await getProject(tx, job.projectId),
    await getPullRequest(tx, job.id),
  ]);
  const policy = { ...defaultPullRequests, ...project?.pullRequests };
  // A further round stands on the pull request's own branch; where it goes stays.
  // A later attempt stands on a bare commit: then it is for the branch that the job was asked for, if that is one.
  const wanted = before?.baseBranch ?? published.baseBranch ?? job.base;
  const there = wanted === null ? accept(null) : await forge.getBranch(repository, wanted);
  if (!there.ok) return there;
  const base = there.value?.name ?? repository.defaultBranch;
  const reviewers = policy.codeowners ? await ownersAt(deps.git, job.id, published) : [];
  const opened = await forge.openPullRequest(repository, {
    ...{ head: published.branch, base, title: published.title, body: published.body },
    ...{ draft: policy.draft, labels: policy.labels, reviewers },
  });
  if (!opened.ok) return opened;
  const { number, url, state, draft, notes } = opened.value;
  return accept({
    ...{ connectionId: known.connectionId, repository: known.externalId, number, url, state, draft, notes },
    ...{ headBranch: published.branch, baseBranch: base, headCommit: published.commit },
  });
}

/**
 * Where a change that stood on `branch` goes now: that branch, the name it was given since, or the default branch where it is
 * gone. Whether the change's base is part of that branch's history is for the push to find out.
 */
export async function baseBranchNow(
  deps: ForgeDeps,
  job: Pick<JobRecord, "id" | "organizationId" | "projectId" | "repository">,
  branch: string | null,
): Promise<Outcome<string | null>> {
  const known = branch === null ? null : await repositoryOfJob(deps, job.organizationId, job);
  if (!known || branch === null) return accept(branch);
  const found = await lookAtRepository(deps, job.organizationId, known);
  if (!found.ok) return found;
  const there = await found.value.forge.getBranch(found.value.repository, branch);
  return there.ok ? accept(there.value?.name ?? found.value.repository.defaultBranch) : there;
}

/** Owners by the file of the base commit: a change cannot choose its own reviewers. */
async function ownersAt(
  git: Pick<PlatformGit, "readFiles" | "jobRepositoryPath">,
  jobId: string,
  { baseCommit, files }: PullRequestOf,
): Promise<string[]> {
  const found = await git.readFiles(git.jobRepositoryPath(jobId), baseCommit, codeownersPaths);
  const [file] = found;
  return file
    ? ownersOf(
        file.text,
        files.map(({ path }) => path),
      )
    : [];
}
