import { row, rows, sql, storableJson, storableText, type Tx } from "@x1agent/kernel";

/** A repository that a connection has reached, known by the forge's lasting id. */
export type KnownRepository = {
  connectionId: string;
  externalId: string;
  fullName: string;
  cloneUrl: string;
  webUrl: string;
  defaultBranch: string;
  facts: Record<string, unknown>;
  projectId: string | null;
  state: "active" | "removed";
  detail: string | null;
  seenAt: string;
};
type RepositoryRow = {
  connection_id: string;
  external_id: string;
  full_name: string;
  clone_url: string;
  web_url: string;
  default_branch: string;
  facts: Record<string, unknown>;
  project_id: string | null;
  state: "active" | "removed";
  detail: string | null;
  seen_at: Date;
};
const present = (found: RepositoryRow): KnownRepository => ({
  connectionId: found.connection_id,
  externalId: found.external_id,
  fullName: found.full_name,
  cloneUrl: found.clone_url,
  webUrl: found.web_url,
  defaultBranch: found.default_branch,
  facts: found.facts,
  projectId: found.project_id,
  state: found.state,
  detail: found.detail,
  seenAt: found.seen_at.toISOString(),
});

/** What is known of a repository that the forge just described; `before` is what was known until now. */
export async function saveRepository(
  tx: Tx,
  organizationId: string,
  repository: Pick<
    KnownRepository,
    "connectionId" | "externalId" | "fullName" | "cloneUrl" | "webUrl" | "defaultBranch"
  > & {
    facts: Record<string, unknown>;
  },
): Promise<{ now: KnownRepository; before: KnownRepository | null }> {
  const before = await row(
    tx,
    sql<RepositoryRow>`select * from forge_repository where connection_id = ${repository.connectionId} and external_id = ${repository.externalId} for update`,
  );
  const now = await row(
    tx,
    sql<RepositoryRow>`insert into forge_repository (organization_id, connection_id, external_id, full_name, clone_url, web_url, default_branch, facts)
    values (${organizationId}, ${repository.connectionId}, ${repository.externalId}, ${storableText(repository.fullName)}, ${repository.cloneUrl}, ${repository.webUrl}, ${storableText(repository.defaultBranch)}, ${storableJson(repository.facts)})
    on conflict (connection_id, external_id) do update set full_name = excluded.full_name, clone_url = excluded.clone_url, web_url = excluded.web_url, default_branch = excluded.default_branch,
      facts = excluded.facts, state = 'active', detail = null, seen_at = now() returning *`,
  );
  if (!now) throw new Error("An insert returned nothing.");
  return { now: present(now), before: before && present(before) };
}

export async function getRepository(tx: Tx, connectionId: string, externalId: string): Promise<KnownRepository | null> {
  const found = await row(
    tx,
    sql<RepositoryRow>`select * from forge_repository where connection_id = ${connectionId} and external_id = ${externalId}`,
  );
  return found && present(found);
}

/** The repository behind a project, through a connection that is in use; the newest where there are several. */
export async function repositoryOfProject(tx: Tx, projectId: string): Promise<KnownRepository | null> {
  const found = await row(
    tx,
    sql<RepositoryRow>`select forge_repository.* from forge_repository join forge_connection on forge_connection.id = connection_id
    where project_id = ${projectId} order by (forge_connection.state = 'active') desc, connection_id desc limit 1`,
  );
  return found && present(found);
}

/** The repository at an address for git, through a connection that is in use; the newest where there are several. */
export async function repositoryAt(tx: Tx, cloneUrl: string): Promise<KnownRepository | null> {
  const found = await row(
    tx,
    sql<RepositoryRow>`select forge_repository.* from forge_repository join forge_connection on forge_connection.id = connection_id
    where lower(clone_url) = lower(${cloneUrl}) order by (forge_connection.state = 'active') desc, connection_id desc limit 1`,
  );
  return found && present(found);
}

/** Connections that have seen a repository of this name, newest first. */
export async function findRepositories(tx: Tx, fullName: string): Promise<string[]> {
  const found = await rows(
    tx,
    sql<{
      id: string;
    }>`select connection_id as id from forge_repository where lower(full_name) = lower(${fullName}) and state = 'active' order by seen_at desc limit 20`,
  );
  return found.map(({ id }) => id);
}

/** Repositories of a connection that a project uses. */
export async function listUsedRepositories(tx: Tx, connectionId: string): Promise<KnownRepository[]> {
  return (
    await rows(
      tx,
      sql<RepositoryRow>`select * from forge_repository where connection_id = ${connectionId} and project_id is not null order by external_id limit 1000`,
    )
  ).map(present);
}

/**
 * Those of them whose issues this connection follows: where several reach the same repository one does, an app before a token,
 * the newest of several. Else each would answer what is said there.
 */
export async function listFollowedRepositories(tx: Tx, connectionId: string): Promise<KnownRepository[]> {
  return (
    await rows(
      tx,
      sql<RepositoryRow>`select r.* from forge_repository r join forge_connection c on c.id = r.connection_id
      where r.connection_id = ${connectionId} and r.project_id is not null and r.state = 'active'
        and not exists (select 1 from forge_repository other join forge_connection o on o.id = other.connection_id
          where other.external_id = r.external_id and other.project_id is not null and other.state = 'active' and o.state = 'active'
            and o.id <> c.id and o.forge = c.forge and o.base_url = c.base_url
            and (o.kind = 'app', o.id) > (c.kind = 'app', c.id))
      order by r.external_id limit 1000`,
    )
  ).map(present);
}

export async function linkProject(
  tx: Tx,
  at: { connectionId: string; externalId: string },
  projectId: string,
): Promise<void> {
  await sql`update forge_repository set project_id = ${projectId} where connection_id = ${at.connectionId} and external_id = ${at.externalId}`.execute(
    tx,
  );
}

/** Notes that a repository is not there for the connection any more, and why. */
export async function loseRepository(
  tx: Tx,
  at: { connectionId: string; externalId: string },
  detail: string,
): Promise<void> {
  await sql`update forge_repository set state = 'removed', detail = ${storableText(detail.slice(0, 1_000))} where connection_id = ${at.connectionId} and external_id = ${at.externalId}`.execute(
    tx,
  );
}
