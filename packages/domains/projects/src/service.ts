import {
  ApprovalPolicy,
  accept,
  defaultContent,
  defaultFollow,
  defaultLimits,
  defaultPullRequests,
  type Outcome,
  type Project,
  type ProjectCreate,
  refuse,
} from "@x1agent/contract";
import { newId, row, rows, sql, type Tx } from "@x1agent/kernel";

type Settings = Omit<Project, "id" | "name" | "repository" | "createdAt" | "archivedAt">;
type ProjectRow = {
  id: string;
  name: string;
  repository: string;
  settings: Settings;
  created_at: Date;
  archived_at: Date | null;
};

/** Settings of a project about which nobody said anything. */
export const defaultSettings: Settings = {
  defaultBranch: null,
  setup: null,
  verify: null,
  runtime: null,
  model: null,
  minIsolation: "namespaces",
  maxRounds: 3,
  verifyNetwork: false,
  limits: defaultLimits,
  approval: ApprovalPolicy.parse({}),
  follow: defaultFollow,
  pullRequests: defaultPullRequests,
  content: defaultContent,
};

const present = (found: ProjectRow): Project => ({
  ...defaultSettings,
  ...found.settings,
  id: found.id,
  name: found.name,
  repository: found.repository,
  createdAt: found.created_at.toISOString(),
  archivedAt: found.archived_at?.toISOString() ?? null,
});

/** Lays a change over settings; absent keys stay, and limits, approval, follow, pull requests and content are merged key by key. */
export function mergeSettings(settings: Settings, change: Partial<ProjectCreate>): Settings {
  const { name: _name, repository: _repository, limits, approval, follow, pullRequests, content, ...rest } = change;
  const given = <T extends object>(value: T | undefined) =>
    Object.fromEntries(Object.entries(value ?? {}).filter(([, entry]) => entry !== undefined));
  return {
    ...settings,
    ...given(rest),
    limits: { ...settings.limits, ...given(limits) },
    approval: { ...settings.approval, ...given(approval) },
    follow: { ...defaultFollow, ...settings.follow, ...given(follow) },
    pullRequests: { ...defaultPullRequests, ...settings.pullRequests, ...given(pullRequests) },
    content: { ...defaultContent, ...settings.content, ...given(content) },
  };
}

/** Name of a repository as people say it: its last path segment. */
export const nameOf = (repository: string): string =>
  repository
    .replace(/\/+$/, "")
    .replace(/\.git$/, "")
    .split(/[/:]/)
    .pop() || repository;

export async function createProject(tx: Tx, organizationId: string, body: ProjectCreate): Promise<Outcome<Project>> {
  const settings = mergeSettings(defaultSettings, body);
  const made = await row(
    tx,
    sql<ProjectRow>`insert into project (id, organization_id, name, repository, settings)
    values (${newId("prj")}, ${organizationId}, ${body.name ?? nameOf(body.repository)}, ${body.repository}, ${JSON.stringify(settings)})
    on conflict (organization_id, repository) do nothing returning *`,
  );
  return made ? accept(present(made)) : refuse("conflict", `There is already a project for ${body.repository}.`);
}

/** The project of a repository, made with defaults when there is none. */
export async function findOrCreateProject(tx: Tx, organizationId: string, repository: string): Promise<Project> {
  const made = await createProject(tx, organizationId, { repository });
  if (made.ok) return made.value;
  const found = await row(tx, sql<ProjectRow>`select * from project where repository = ${repository}`);
  if (!found) throw new Error("A project that conflicted is not there.");
  return present(found);
}

export async function getProject(tx: Tx, projectId: string): Promise<Project | null> {
  const found = await row(tx, sql<ProjectRow>`select * from project where id = ${projectId}`);
  return found && present(found);
}

export async function updateProject(
  tx: Tx,
  projectId: string,
  change: Partial<ProjectCreate>,
): Promise<Outcome<Project>> {
  const found = await row(tx, sql<ProjectRow>`select * from project where id = ${projectId} for update`);
  if (!found) return refuse("not_found", "No such project.");
  const settings = mergeSettings({ ...defaultSettings, ...found.settings }, change);
  const updated = await row(
    tx,
    sql<ProjectRow>`update project set name = ${change.name ?? found.name}, settings = ${JSON.stringify(settings)} where id = ${projectId} returning *`,
  );
  return updated ? accept(present(updated)) : refuse("not_found", "No such project.");
}

/** A project's repository is at another address now; where another project is at that address already, nothing changes. */
export async function moveProject(tx: Tx, projectId: string, repository: string): Promise<boolean> {
  const moved = await row(
    tx,
    sql<{ id: string }>`update project set repository = ${repository} where id = ${projectId}
      and not exists (select 1 from project other where other.repository = ${repository} and other.id <> ${projectId}) returning id`,
  );
  return moved !== null;
}

/** Newest first; the cursor is the last id of the page before. */
export async function listProjects(
  tx: Tx,
  limit: number,
  cursor?: string,
): Promise<{ items: Project[]; cursor: string | null }> {
  const found = await rows(
    tx,
    sql<ProjectRow>`select * from project where ${cursor ?? null}::text is null or id < ${cursor ?? ""} order by id desc limit ${limit + 1}`,
  );
  return {
    items: found.slice(0, limit).map(present),
    cursor: found.length > limit ? (found[limit - 1]?.id ?? null) : null,
  };
}
