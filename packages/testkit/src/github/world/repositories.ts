import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { GitRepository } from "../git.ts";
import { type Account, notFound, type Repository } from "../model.ts";
import { brief, changeInstallationRepositories, covers } from "./apps.ts";
import { addLabel } from "./issues.ts";
import type { World } from "./world.ts";

/** Repositories: made, found by name, renamed, transferred, deleted; their branches renamed. */

/** The repository of a name now, or by a name it once had (`moved`). */
export function repositoryByName(
  world: World,
  owner: string,
  name: string,
): { repository: Repository; moved: boolean } | undefined {
  const wanted = `${owner}/${name}`.toLowerCase();
  for (const repository of world.repositories.values())
    if (`${repository.owner.login}/${repository.name}`.toLowerCase() === wanted) return { repository, moved: false };
  const former = world.repositories.get(world.formerNames.get(wanted) ?? -1);
  return former ? { repository: former, moved: true } : undefined;
}

/** An empty repository, with the usual labels; throws when the name is taken. */
export async function addRepository(
  world: World,
  input: {
    owner: Account;
    name: string;
    private?: boolean;
    description?: string | null;
    defaultBranch?: string;
    parent?: Repository;
    actor?: Account;
  },
): Promise<Repository> {
  const taken = repositoryByName(world, input.owner.login, input.name);
  if (taken && !taken.moved) throw new Error(`there is already a repository ${input.owner.login}/${input.name}`);
  const id = world.id();
  const defaultBranch = input.defaultBranch ?? "main";
  const repository: Repository = {
    id,
    owner: input.owner,
    name: input.name,
    private: input.private ?? false,
    description: input.description ?? null,
    defaultBranch,
    archived: false,
    parent: input.parent,
    createdAt: world.time(),
    updatedAt: world.time(),
    pushedAt: world.time(),
    git: await GitRepository.create(join(world.directory, `${id}.git`), defaultBranch),
    roles: new Map(),
    labels: [],
    issues: new Map(),
    nextNumber: 1,
    protections: [],
    checkSuites: [],
    checkRuns: [],
    workflowRuns: [],
    statuses: [],
    events: [],
    deleteBranchOnMerge: false,
    allowMerge: { merge: true, squash: true, rebase: true },
  };
  world.formerNames.delete(`${input.owner.login}/${input.name}`.toLowerCase());
  for (const name of ["bug", "documentation", "duplicate", "enhancement", "good first issue", "help wanted"])
    addLabel(world, repository, name, { default: true });
  world.repositories.set(id, repository);
  await world.say("repository", "created", input.actor ?? input.owner, repository, {});
  return repository;
}

/** Every file of a folder as path to content, for a first commit. */
export async function filesOfFolder(directory: string): Promise<Record<string, Buffer>> {
  const files: Record<string, Buffer> = {};
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(directory.length).replace(/^\/+/, "");
    if (!name.split("/").some((part) => part === ".git" || part === "node_modules")) files[name] = await readFile(path);
  }
  return files;
}

/** It is still found by its old name, until another takes that. */
export async function renameRepository(
  world: World,
  repository: Repository,
  name: string,
  actor: Account,
): Promise<void> {
  const before = repository.name;
  world.formerNames.set(`${repository.owner.login}/${before}`.toLowerCase(), repository.id);
  repository.name = name;
  world.formerNames.delete(`${repository.owner.login}/${name}`.toLowerCase());
  await world.say("repository", "renamed", actor, repository, {
    changes: { repository: { name: { from: before } } },
  });
}

/** Another owner; installations that lose it hear that. */
export async function transferRepository(
  world: World,
  repository: Repository,
  owner: Account,
  actor: Account,
): Promise<void> {
  const before = repository.owner;
  world.formerNames.set(`${before.login}/${repository.name}`.toLowerCase(), repository.id);
  // The installation it leaves hears that it lost it; the one it comes to hears that it was transferred.
  for (const installation of [...world.installations.values()])
    if (covers(installation, repository)) {
      if (installation.repositories === "all")
        await world.say(
          "installation_repositories",
          "removed",
          actor,
          undefined,
          {
            repository_selection: "all",
            repositories_added: [],
            repositories_removed: [brief(world, repository)],
            requester: null,
          },
          { installation },
        );
      else await changeInstallationRepositories(world, installation, { removed: [repository] }, actor);
    }
  repository.owner = owner;
  repository.updatedAt = world.time();
  const from =
    before.type === "Organization"
      ? { organization: world.presenter().organization(before) }
      : { user: world.presenter().user(before) };
  await world.say("repository", "transferred", actor, repository, { changes: { owner: { from } } });
}

/** Takes a repository away; pull requests from it stay, without a head. */
export async function deleteRepository(world: World, repository: Repository, actor: Account): Promise<void> {
  await world.say("repository", "deleted", actor, repository, {});
  world.repositories.delete(repository.id);
  for (const other of world.repositories.values())
    for (const issue of other.issues.values())
      if (issue.pull?.headRepository === repository) issue.pull.headRepository = undefined;
  await rm(repository.git.path, { recursive: true, force: true });
}

/** Pull requests and rules go along; refused (404) where there is no such branch. */
export async function renameBranch(
  world: World,
  repository: Repository,
  from: string,
  to: string,
  actor: Account,
): Promise<void> {
  const sha = await repository.git.branch(from);
  if (!sha) throw notFound();
  await repository.git.updateRef(`refs/heads/${to}`, sha);
  await repository.git.deleteRef(`refs/heads/${from}`);
  for (const issue of repository.issues.values()) {
    if (issue.pull?.baseRef === from && issue.state === "open") issue.pull.baseRef = to;
    if (issue.pull?.headRepository === repository && issue.pull.headRef === from) issue.pull.headRef = to;
  }
  for (const protection of repository.protections) if (protection.pattern === from) protection.pattern = to;
  if (repository.defaultBranch === from) {
    repository.defaultBranch = to;
    await repository.git.git(["symbolic-ref", "HEAD", `refs/heads/${to}`]);
    await world.say("repository", "edited", actor, repository, { changes: { default_branch: { from } } });
  }
}

/** Another default branch. */
export async function setDefaultBranch(
  world: World,
  repository: Repository,
  branch: string,
  actor: Account,
): Promise<void> {
  const from = repository.defaultBranch;
  repository.defaultBranch = branch;
  await repository.git.git(["symbolic-ref", "HEAD", `refs/heads/${branch}`]);
  await world.say("repository", "edited", actor, repository, { changes: { default_branch: { from } } });
}
