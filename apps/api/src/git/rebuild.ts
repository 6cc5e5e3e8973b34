import { rm } from "node:fs/promises";
import { accept, Fault, type LfsContent, type Outcome, refuse } from "@x1agent/contract";
import { defaultImportLimits } from "./import.ts";
import { type MirrorDeps, makeJobRepository, resolveBase } from "./mirror.ts";
import type { BaseRequest } from "./port.ts";
import type { GitRunner } from "./run.ts";

/** The commit with every object that its base lacks, as a pack that stands alone but for the base. */
export async function packOf(
  git: GitRunner,
  repository: string,
  commit: string,
  base: string,
  onto?: string,
  content: readonly LfsContent[] = [],
): Promise<Buffer> {
  const packed = await git({
    gitDir: repository,
    args: ["pack-objects", "--quiet", "--revs", "--stdout", "--window=0"],
    stdin: [commit, `^${base}`, ...(onto ? [`^${onto}`] : []), ...content.map(({ blob }) => blob), ""].join("\n"),
    maxOutputBytes: defaultImportLimits.maxPackBytes,
  });
  if (packed.code !== 0 || packed.limit)
    throw new Fault("internal", `The commit ${commit} could not be packed; look at ${repository}.`);
  return packed.stdout;
}

/** See the port. */
export async function rebuild(
  deps: MirrorDeps,
  repository: string,
  commit: string,
  request: BaseRequest,
  pack: () => Promise<Buffer | null>,
  onto: string | null = null,
): Promise<Outcome<null>> {
  // The commit's own object comes last, with its pack: where it is, all of it is.
  const has = async () =>
    (await deps.git({ gitDir: repository, args: ["cat-file", "-e", `${commit}^{commit}`] })).code === 0;
  if (await has()) return accept(null);
  const bytes = await pack();
  if (!bytes)
    return refuse(
      "publish_moved",
      "The job's repository is not here and its commit is not in the blob store: was it made by a service with another one? Retry the job.",
    );
  const base = await resolveBase(deps, request);
  if (!base.ok) return base;
  // A cache that lacks the commit is no half of anything: it is made anew as a whole.
  await rm(repository, { recursive: true, force: true });
  for (const also of onto === null ? [] : [onto]) {
    const found = await resolveBase(deps, { ...request, base: also });
    if (!found.ok) return found;
    await makeJobRepository(deps.git, repository, found.value);
  }
  await makeJobRepository(deps.git, repository, base.value);
  const taken = await deps.git({ gitDir: repository, args: ["index-pack", "--stdin", "--strict"], stdin: bytes });
  if (taken.code !== 0 || !(await has()))
    return refuse("publish_moved", "The stored commit does not give the approved one; retry the job.");
  return accept(null);
}
