import { accept, type ContentPolicy, defaultContent } from "@x1agent/contract";
import type { JobRecord } from "@x1agent/domain-jobs";
import { getProject } from "@x1agent/domain-projects";
import type { Base, GitCredential } from "../../git/index.ts";
import type { LoopDeps } from "../deps.ts";
import { trustOf } from "./trust.ts";

/** A history of so many bytes is large: earlier versions of files are then left where they are. */
const LARGE_BYTES = 512 * 1024 ** 2;

type Subject = Pick<JobRecord, "id" | "organizationId" | "projectId" | "repository" | "createdBy" | "trust">;

/** What of a job's repository is fetched, as the project says now. */
export async function contentPolicy(deps: LoopDeps, { organizationId, projectId }: Subject): Promise<ContentPolicy> {
  const project = await deps.db.tenant(organizationId, (tx) => getProject(tx, projectId));
  return { ...defaultContent, ...project?.content };
}

/** Whether a job works on a partial mirror. */
export async function isPartial(deps: LoopDeps, job: Subject): Promise<boolean> {
  const { partial } = await contentPolicy(deps, job);
  if (partial !== "auto") return partial === "always";
  const bytes = await deps.repositoryBytes?.(job.organizationId, job);
  return (bytes ?? 0) >= LARGE_BYTES;
}

/** Brings submodules and LFS content of the base into the job's repository, as far as the project lets it. */
export async function prepareContent(
  deps: LoopDeps,
  job: Subject,
  base: Base,
  jobRepository: string,
  credential: GitCredential | null,
  signal: AbortSignal,
): Promise<Base> {
  const { organizationId } = job;
  const policy = await contentPolicy(deps, job);
  const { contentFetch } = deps;
  return deps.git.prepareContent({
    ...{ organizationId, trust: trustOf(job), base, jobRepository, signal },
    policy: contentFetch ? policy : { ...policy, lfsMegabytes: 0 },
    fetch: contentFetch ?? { own: fetch, public: fetch },
    credentialFor: async (repository) => (await deps.submoduleCredential?.(job, repository)) ?? accept(null),
    ...(credential ? { credential } : {}),
  });
}
