import type { Actor } from "@x1agent/contract";
import { newId, type RawBuilder, row, rows, sql, storableJson, storableText, type Tx } from "@x1agent/kernel";
import type { ConnectionKind, ConnectionState } from "./model.ts";

/** An app that this installation registered at a forge. Its private key and webhook secret are stored secrets of `appSecretNames`. */
export type ForgeApp = {
  id: string;
  organizationId: string;
  forge: string;
  /** Web address of the forge, without a slash at its end. */
  baseUrl: string;
  /** The forge's own id of the app. */
  externalId: string;
  slug: string;
  name: string;
  webUrl: string;
  createdAt: string;
};
type AppRow = {
  id: string;
  organization_id: string;
  forge: string;
  base_url: string;
  external_id: string;
  slug: string;
  name: string;
  web_url: string;
  created_at: Date;
};
const presentApp = (found: AppRow): ForgeApp => ({
  id: found.id,
  organizationId: found.organization_id,
  forge: found.forge,
  baseUrl: found.base_url,
  externalId: found.external_id,
  slug: found.slug,
  name: found.name,
  webUrl: found.web_url,
  createdAt: found.created_at.toISOString(),
});

/** Names of the stored secrets of an app. */
export const appSecretNames = (appId: string) => ({
  key: `forge-app:${appId}:key`,
  webhook: `forge-app:${appId}:hook`,
});
/** Name of the stored secret of a connection by token. */
export const tokenSecretName = (connectionId: string): string => `forge-token:${connectionId}`;

/** A way into a forge. */
export type Connection = {
  id: string;
  organizationId: string;
  forge: string;
  baseUrl: string;
  kind: ConnectionKind;
  appId: string | null;
  /** The forge's id of the app's installation; null for a token. */
  installation: string | null;
  account: string;
  actsAs: string;
  permissions: Record<string, string>;
  missing: string[];
  state: ConnectionState;
  detail: string | null;
  limits: { limit: number; remaining: number; resetAt: string; retryAt: string | null } | null;
  createdBy: Actor;
  createdAt: string;
  updatedAt: string;
  checkedAt: string | null;
};
type ConnectionRow = {
  id: string;
  organization_id: string;
  forge: string;
  base_url: string;
  kind: ConnectionKind;
  app_id: string | null;
  installation: string | null;
  account: string;
  acts_as: string;
  permissions: Record<string, string>;
  missing: string[];
  state: ConnectionState;
  detail: string | null;
  limits: Connection["limits"];
  created_by: Actor;
  created_at: Date;
  updated_at: Date;
  checked_at: Date | null;
};
const present = (found: ConnectionRow): Connection => ({
  id: found.id,
  organizationId: found.organization_id,
  forge: found.forge,
  baseUrl: found.base_url,
  kind: found.kind,
  appId: found.app_id,
  installation: found.installation,
  account: found.account,
  actsAs: found.acts_as,
  permissions: found.permissions,
  missing: found.missing,
  state: found.state,
  detail: found.detail,
  limits: found.limits,
  createdBy: found.created_by,
  createdAt: found.created_at.toISOString(),
  updatedAt: found.updated_at.toISOString(),
  checkedAt: found.checked_at?.toISOString() ?? null,
});

/** Stores an app under an id that its webhook address already carries; the same app again keeps its first id. */
export async function saveApp(
  tx: Tx,
  organizationId: string,
  app: Omit<ForgeApp, "organizationId" | "createdAt"> & { createdBy: Actor },
): Promise<ForgeApp> {
  const made = await row(
    tx,
    sql<AppRow>`insert into forge_app (id, organization_id, forge, base_url, external_id, slug, name, web_url, created_by)
    values (${app.id}, ${organizationId}, ${app.forge}, ${app.baseUrl}, ${app.externalId}, ${storableText(app.slug)}, ${storableText(app.name)}, ${storableText(app.webUrl)}, ${JSON.stringify(app.createdBy)})
    on conflict (organization_id, forge, base_url, external_id) do update set slug = excluded.slug, name = excluded.name, web_url = excluded.web_url returning *`,
  );
  if (!made) throw new Error("An insert returned nothing.");
  return presentApp(made);
}

export async function getApp(tx: Tx, appId: string): Promise<ForgeApp | null> {
  const found = await row(tx, sql<AppRow>`select * from forge_app where id = ${appId}`);
  return found && presentApp(found);
}

export async function listApps(tx: Tx): Promise<ForgeApp[]> {
  return (await rows(tx, sql<AppRow>`select * from forge_app order by id limit 200`)).map(presentApp);
}

/** Stores a connection, or brings the one of the same installation or account up to date: it is then active again. */
export async function saveConnection(
  tx: Tx,
  organizationId: string,
  connection: Pick<
    Connection,
    "forge" | "baseUrl" | "kind" | "appId" | "installation" | "account" | "actsAs" | "permissions" | "missing"
  > & { createdBy: Actor; state?: ConnectionState },
): Promise<Connection> {
  const { forge, baseUrl, kind, appId, installation, account, actsAs, permissions, missing, createdBy } = connection;
  const made = await row(
    tx,
    sql<ConnectionRow>`insert into forge_connection (id, organization_id, forge, base_url, kind, app_id, installation, account, acts_as, permissions, missing, state, created_by, checked_at)
    values (${newId("con")}, ${organizationId}, ${forge}, ${baseUrl}, ${kind}, ${appId}, ${installation}, ${storableText(account)}, ${storableText(actsAs)}, ${storableJson(permissions)}, ${storableJson(missing)}, ${connection.state ?? "active"}, ${JSON.stringify(createdBy)}, now())
    on conflict (organization_id, forge, base_url, kind, coalesce(installation, account)) do update set app_id = excluded.app_id, account = excluded.account, acts_as = excluded.acts_as,
      permissions = excluded.permissions, missing = excluded.missing, state = excluded.state, detail = null, updated_at = now(), checked_at = now() returning *`,
  );
  if (!made) throw new Error("An insert returned nothing.");
  return present(made);
}

export async function getConnection(tx: Tx, connectionId: string): Promise<Connection | null> {
  const found = await row(tx, sql<ConnectionRow>`select * from forge_connection where id = ${connectionId}`);
  return found && present(found);
}

/** Ids of all connections to the forge that one leads to: what the forge numbers is the same through each of them. */
export const connectionsAlike = (connectionId: string): RawBuilder<unknown> =>
  sql`(select alike.id from forge_connection alike join forge_connection own on own.id = ${connectionId} and own.forge = alike.forge and own.base_url = alike.base_url)`;

/** Oldest first; removed ones only with `all`. */
export async function listConnections(tx: Tx, filter: { all?: boolean; appId?: string } = {}): Promise<Connection[]> {
  return (
    await rows(
      tx,
      sql<ConnectionRow>`select * from forge_connection where (${filter.all ?? false} or state <> 'removed') and (${filter.appId ?? null}::text is null or app_id = ${filter.appId ?? null}) order by id limit 500`,
    )
  ).map(present);
}

/** Notes what the forge says of a connection now. */
export async function noteConnection(
  tx: Tx,
  connectionId: string,
  facts: Partial<Pick<Connection, "account" | "actsAs" | "permissions" | "missing" | "state" | "detail" | "limits">>,
): Promise<Connection | null> {
  const changes = [
    ...(facts.account === undefined ? [] : [sql`account = ${storableText(facts.account)}`]),
    ...(facts.actsAs === undefined ? [] : [sql`acts_as = ${storableText(facts.actsAs)}`]),
    ...(facts.permissions === undefined ? [] : [sql`permissions = ${storableJson(facts.permissions)}::jsonb`]),
    ...(facts.missing === undefined ? [] : [sql`missing = ${storableJson(facts.missing)}::jsonb`]),
    ...(facts.state === undefined ? [] : [sql`state = ${facts.state}, checked_at = now()`]),
    ...(facts.detail === undefined
      ? []
      : [sql`detail = ${facts.detail === null ? null : storableText(facts.detail.slice(0, 1_000))}`]),
    ...(facts.limits === undefined
      ? []
      : [sql`limits = ${facts.limits === null ? null : storableJson(facts.limits)}::jsonb`]),
    sql`updated_at = now()`,
  ];
  const found = await row(
    tx,
    sql<ConnectionRow>`update forge_connection set ${sql.join(changes)} where id = ${connectionId} returning *`,
  );
  return found && present(found);
}

/**
 * An app that was installed anew on the same account has another installation: what its former connection reached, began and
 * opened goes on through the new one.
 */
export async function adoptConnection(tx: Tx, from: string, to: string): Promise<void> {
  await sql`update forge_repository r set connection_id = ${to} where connection_id = ${from}
    and not exists (select 1 from forge_repository n where n.connection_id = ${to} and n.external_id = r.external_id)`.execute(
    tx,
  );
  await sql`update job_origin set connection_id = ${to} where connection_id = ${from}`.execute(tx);
  await sql`update pull_request p set connection_id = ${to}, look_at = now() where connection_id = ${from}
    and not exists (select 1 from pull_request n where n.connection_id = ${to} and n.repository = p.repository and n.number = p.number)`.execute(
    tx,
  );
  // Not answered twice.
  await sql`insert into forge_trigger (connection_id, key, organization_id, result, at)
    select ${to}, key, organization_id, result, at from forge_trigger where connection_id = ${from} on conflict do nothing`.execute(
    tx,
  );
}

/** Remembers for an hour why somebody was sent to the forge. `secretDigest` is the SHA-256 of the state they come back with. */
export async function startPending(
  tx: Tx,
  organizationId: string,
  pending: { secretDigest: string; kind: string; body: Record<string, unknown> },
): Promise<void> {
  await sql`delete from forge_pending where expires_at < now()`.execute(tx);
  await sql`insert into forge_pending (id, organization_id, kind, body, expires_at) values (${pending.secretDigest}, ${organizationId}, ${pending.kind}, ${storableJson(pending.body)}, now() + interval '1 hour')`.execute(
    tx,
  );
}

/** Finds it again; with `use` it is good for this one time only. */
export async function takePending(
  tx: Tx,
  secretDigest: string,
  kind: string,
  use: boolean,
): Promise<Record<string, unknown> | null> {
  const found = await row(
    tx,
    use
      ? sql<{
          body: Record<string, unknown>;
        }>`delete from forge_pending where id = ${secretDigest} and kind = ${kind} and expires_at >= now() returning body`
      : sql<{
          body: Record<string, unknown>;
        }>`select body from forge_pending where id = ${secretDigest} and kind = ${kind} and expires_at >= now()`,
  );
  return found?.body ?? null;
}
