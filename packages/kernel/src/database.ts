import { createHash } from "node:crypto";
import { Fault } from "@x1agent/contract";
import { Kysely, PostgresDialect, type RawBuilder, sql } from "kysely";
import pg from "pg";
import { startEngine } from "./engine.ts";

/**
 * One SQL dialect, PostgreSQL: embedded or a server by connection string. Roles and invariants:
 *
 *   x1_owner    owns the tables, runs the migrations, has no connection after start
 *   x1_service  what the service works as: owns nothing, no superuser, no BYPASSRLS; row-level security holds for it
 *   x1_queue    owns the queue's schema only (ids and timers, no customers' data)
 *
 * Every table with customers' data carries `organization_id` and a policy on `x1.organization`, which a tenant
 * transaction sets for its own length. Without it such a table is empty.
 */
export type Tx = Kysely<unknown>;
export type Migration = { name: string; sql: string };
/** Connection parameters for node-postgres. */
export type ConnectionConfig = pg.PoolConfig;

export interface Database {
  /** One transaction that sees one organization. */
  tenant<T>(organizationId: string, work: (tx: Tx) => Promise<T>): Promise<T>;
  /** One transaction that sees identity and platform tables only. */
  system<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  /** Handle of the service role for libraries that bring their own queries. */
  readonly kysely: Kysely<unknown>;
  /** How the queue connects. */
  readonly queue: ConnectionConfig;
  /** Listens on a channel over one shared connection that comes back by itself; `onReconnect` tells that notices may have been missed. */
  listen(channel: string, listener: (payload: string) => void, onReconnect?: () => void): Promise<() => void>;
  close(): Promise<void>;
  /** Settles when the embedded server has ended; never for a server by connection string. */
  readonly lost: Promise<void>;
}

/**
 * The server could not be reached, went away, or has no room: the transaction is undone, or only its confirmation was lost.
 * Repeat it when the server can work again.
 */
export class DatabaseAway extends Fault {
  override readonly name = "DatabaseAway";
  constructor(cause: unknown) {
    super(
      "unavailable",
      (cause as { code?: string }).code === DISK_FULL
        ? "The disk of the database is full: make room (`x1 gc --dry-run` says what can go). The service goes on by itself."
        : "The database cannot be reached: check that its server runs. The service goes on by itself when it is back.",
      { cause },
    );
  }
}

/** SQLSTATE `disk_full`. */
const DISK_FULL = "53100";

/** Connection errors of the system and of node-postgres; of the server classes 08 (connection), 57P (shut down, starting), and want of disk or connections. */
function isAway(error: unknown): boolean {
  const { code = "", message = "" } = error as { code?: string; message?: string };
  return (
    /^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|57P0[123]|08...|53[13]00)$/.test(
      code,
    ) ||
    /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error)/.test(
      message,
    )
  );
}

function told(error: unknown): never {
  throw isAway(error) ? new DatabaseAway(error) : error;
}

export type DatabaseOptions = {
  /** Folder of the embedded database. */
  folder: string;
  /** Connection string of a server instead. */
  url?: string;
  migrations: readonly Migration[];
  poolSize?: number;
};

/** Milliseconds. A stuck statement or a service frozen inside a transaction must not hold everybody's rows. */
const serviceLimits = { statement_timeout: 60_000, idle_in_transaction_session_timeout: 120_000 };

const roles = ["x1_owner", "x1_service", "x1_queue"] as const;
const { Client, Pool, types } = pg;

// bigint columns hold micro-dollars and counters below 2^53; anything larger is a bug and must be loud.
types.setTypeParser(types.builtins.INT8, (text) => {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError(`A bigint beyond 2^53 came out of the database: ${text}`);
  return value;
});
types.setTypeParser(types.builtins.NUMERIC, Number);

/** SQL that makes a table visible to its own organization only. The organization's column must exist. */
export function tenantTable(table: string): string {
  return `alter table ${table} enable row level security; alter table ${table} force row level security;
create policy tenant on ${table} using (organization_id = current_setting('x1.organization', true)) with check (organization_id = current_setting('x1.organization', true));
grant select, insert, update, delete on ${table} to x1_service;`;
}

/** Opens the database: starts or reaches the server, makes roles, migrates, checks that the service role is harmless. */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const engine = options.url ? null : await startEngine(options.folder);
  const at = (user: string, password: string | undefined): ConnectionConfig =>
    engine
      ? { host: engine.socketDir, port: engine.port, database: "x1", user, password }
      : { connectionString: options.url };
  try {
    const admin = await connect(
      engine ? { ...at("x1_admin", engine.passwords.admin), database: "postgres" } : { connectionString: options.url },
    );
    try {
      await prepareRoles(admin, engine?.passwords ?? null);
      if (engine && (await admin.query("select 1 from pg_database where datname = 'x1'")).rowCount === 0)
        await admin.query("create database x1 owner x1_owner");
    } finally {
      await admin.end();
    }
    const owner = await connect(engine ? at("x1_owner", engine.passwords.owner) : { connectionString: options.url });
    try {
      if (!engine) {
        const { rows } = await owner.query<{ name: string }>("select quote_ident(current_database()) as name");
        await despiteRaces(async () => {
          await owner.query(`grant create on database ${rows[0]?.name} to x1_owner, x1_queue`);
        });
        await owner.query("set role x1_owner");
      } else await owner.query("grant create on database x1 to x1_queue");
      await migrate(owner, options.migrations);
    } finally {
      await owner.end();
    }
  } catch (error) {
    await engine?.stop();
    throw error;
  }

  const session = (role: string, limits: Readonly<Record<string, number>> = {}) => {
    const set = Object.entries({ search_path: "x1", ...(engine ? {} : { role }), ...limits });
    return { options: set.map(([name, value]) => `-c ${name}=${value}`).join(" ") };
  };
  const serviceConfig: ConnectionConfig = {
    ...at("x1_service", engine?.passwords.service),
    ...session("x1_service", serviceLimits),
  };
  const pool = new Pool({
    ...serviceConfig,
    max: options.poolSize ?? 16,
    idleTimeoutMillis: 30_000,
    connectionTimeoutMillis: 15_000,
  });
  // A broken idle connection is replaced at its next use; without a listener it would end the process.
  pool.on("error", () => {});
  // One that breaks between two statements of a transaction has no listener of the pool's: the next statement fails.
  pool.on("connect", (client) => client.on("error", () => {}));
  const kysely = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) });
  const listener = new Listener(serviceConfig);
  try {
    await checkServiceRole(kysely);
  } catch (error) {
    await kysely.destroy();
    await engine?.stop();
    throw error;
  }

  return {
    kysely,
    queue: { ...at("x1_queue", engine?.passwords.queue), ...session("x1_queue") },
    tenant: (organizationId, work) =>
      kysely
        .transaction()
        .execute(async (tx) => {
          await sql`select set_config('x1.organization', ${organizationId}, true)`.execute(tx);
          return work(tx);
        })
        .catch(told),
    system: (work) => kysely.transaction().execute(work).catch(told),
    listen: (channel, heard, onReconnect) => listener.listen(channel, heard, onReconnect),
    lost: engine ? engine.exited : new Promise(() => {}),
    async close() {
      await listener.close();
      await kysely.destroy();
      await engine?.stop();
    },
  };
}

/** All rows of a statement. */
export async function rows<T>(tx: Tx, query: RawBuilder<T>): Promise<T[]> {
  return (await query.execute(tx)).rows;
}

/** The first row of a statement, or null. */
export async function row<T>(tx: Tx, query: RawBuilder<T>): Promise<T | null> {
  return (await query.execute(tx)).rows[0] ?? null;
}

/** Sends a notice when the transaction commits. The payload is ids, never data (8,000 bytes at most). */
export async function notify(tx: Tx, channel: string, payload: string): Promise<void> {
  await sql`select pg_notify(${channel}, ${payload})`.execute(tx);
}

/** One connection; waits for a server that is still starting. */
export async function connect(config: ConnectionConfig): Promise<pg.Client> {
  for (let tries = 0; ; tries += 1) {
    const client = new Client(config as pg.ClientConfig);
    client.on("error", () => {});
    try {
      await client.connect();
      return client;
    } catch (cause) {
      await client.end().catch(() => {});
      // 57P03: still starting up.
      const code = (cause as { code?: string }).code;
      if ((code === "57P03" || code === "ENOENT" || code === "ECONNREFUSED") && tries < 200) {
        await new Promise((settle) => setTimeout(settle, 25));
        continue;
      }
      throw new Fault(
        "unavailable",
        `The database cannot be reached (${code ?? (cause as Error).message}): check DATABASE_URL and that the server runs.`,
        { cause },
      );
    }
  }
}

type RolePasswords = { owner: string; service: string; queue: string };

/**
 * Runs what changes roles and rights, which belong to the whole server, while an advisory lock belongs to one database of
 * it: services that start at once meet here, and what another was quicker at is tried again.
 */
async function despiteRaces(work: () => Promise<void>): Promise<void> {
  for (let tries = 0; ; tries += 1)
    try {
      return await work();
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      if (tries >= 50 || (code !== "23505" && code !== "42710" && !message.includes("concurrently"))) throw error;
      await new Promise((settle) => setTimeout(settle, 20 + Math.random() * 30));
    }
}

async function prepareRoles(admin: pg.Client, passwords: RolePasswords | null): Promise<void> {
  try {
    for (const role of roles) await despiteRaces(() => prepareRole(admin, role, passwords));
  } catch (cause) {
    throw new Fault(
      "unavailable",
      `The roles ${roles.join(", ")} could not be made (${(cause as Error).message}): DATABASE_URL needs a role with CREATEROLE and CREATE on its database.`,
      { cause },
    );
  }
}

async function prepareRole(
  admin: pg.Client,
  role: (typeof roles)[number],
  passwords: RolePasswords | null,
): Promise<void> {
  const { rowCount: known } = await admin.query("select 1 from pg_roles where rolname = $1", [role]);
  if (!known)
    await admin.query(
      `create role ${role} nosuperuser nocreatedb nocreaterole nobypassrls noinherit ${passwords ? "login" : "nologin"}`,
    );
  if (passwords) {
    const password = passwords[role.slice("x1_".length) as keyof RolePasswords];
    await admin.query(`alter role ${role} login password '${password.replaceAll("'", "''")}'`);
    return;
  }
  // By connection string our own role takes theirs on with SET ROLE, for which only a superuser needs no membership.
  const { rows: own } = await admin.query<{ rolsuper: boolean }>(
    "select rolsuper from pg_roles where rolname = current_user",
  );
  if (!own[0]?.rolsuper) await admin.query(`grant ${role} to current_user`);
}

/**
 * Runs what is new, in order, each in a transaction under one lock, so that two services starting at once do it once.
 * A migration that was changed after it ran is refused: migrations only append.
 */
export async function migrate(client: pg.Client, migrations: readonly Migration[]): Promise<void> {
  await despiteRaces(async () => {
    await client.query("create schema if not exists x1 authorization current_user");
  });
  await client.query("set search_path to x1");
  await client.query("begin");
  try {
    await client.query("select pg_advisory_xact_lock(820932)");
    await client.query(
      "create table if not exists migration (name text primary key, digest text not null, at timestamptz not null default now())",
    );
    await client.query("grant usage on schema x1 to x1_service");
    const done = new Map(
      (await client.query<{ name: string; digest: string }>("select name, digest from migration")).rows.map((row) => [
        row.name,
        row.digest,
      ]),
    );
    for (const { name, sql: text } of migrations) {
      const digest = createHash("sha256").update(text).digest("hex");
      const before = done.get(name);
      if (before === digest) continue;
      if (before) throw new Fault("internal", `Migration ${name} was changed after it had run: add a new one instead.`);
      await client.query(text);
      await client.query("insert into migration (name, digest) values ($1, $2)", [name, digest]);
    }
    const unknown = [...done.keys()].filter((name) => !migrations.some((migration) => migration.name === name));
    if (unknown.length > 0)
      throw new Fault("unavailable", `The database was used by a newer version (${unknown[0]}): start that version.`);
    await client.query("commit");
  } catch (error) {
    await client.query("rollback").catch(() => {});
    throw error;
  }
}

/** The service refuses to work as a role that row-level security does not bind. */
async function checkServiceRole(kysely: Kysely<unknown>): Promise<void> {
  const { rows } = await sql<{ role: string; super: boolean; bypass: boolean; owned: number; open: string[] }>`
    select current_user as role, r.rolsuper as super, r.rolbypassrls as bypass,
      (select count(*) from pg_class c where c.relowner = r.oid and c.relkind in ('r','p')) as owned,
      array(select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid and a.attname = 'organization_id'
        where n.nspname = 'x1' and c.relkind = 'r' and not (c.relrowsecurity and c.relforcerowsecurity)) as open
    from pg_roles r where r.rolname = current_user`.execute(kysely);
  const role = rows[0];
  if (!role || role.super || role.bypass || role.owned > 0)
    throw new Fault(
      "unavailable",
      `The database role "${role?.role}" is a superuser, bypasses row-level security or owns tables: the service must not work as it.`,
    );
  if (role.open.length > 0)
    throw new Fault(
      "internal",
      `These tables hold customers' data without row-level security: ${role.open.join(", ")}.`,
    );
}

type Hearer = { heard: (payload: string) => void; onReconnect: (() => void) | undefined };

/** One connection for all channels. Lost, it is made anew, listens to them all again and tells its hearers that they may have missed something. */
class Listener {
  readonly #config: ConnectionConfig;
  readonly #channels = new Map<string, Set<Hearer>>();
  #client: Promise<pg.Client> | null = null;
  #closed = false;

  constructor(config: ConnectionConfig) {
    this.#config = config;
  }

  async listen(channel: string, heard: (payload: string) => void, onReconnect?: () => void): Promise<() => void> {
    if (!/^[a-z0-9_]+$/.test(channel)) throw new TypeError(`"${channel}" is no channel name.`);
    const hearer = { heard, onReconnect };
    const hearers = this.#channels.get(channel) ?? new Set();
    this.#channels.set(channel, hearers.add(hearer));
    try {
      this.#client ??= this.#open();
      // Repeating LISTEN is harmless, and the first hearer's may not have reached the server yet.
      await (await this.#client).query(`listen ${channel}`);
    } catch (error) {
      hearers.delete(hearer);
      throw error;
    }
    return () => void hearers.delete(hearer);
  }

  async #open(): Promise<pg.Client> {
    try {
      const client = await connect({ ...this.#config, keepAlive: true } as ConnectionConfig);
      client.on("notification", ({ channel, payload }) => {
        for (const { heard } of this.#channels.get(channel) ?? []) heard(payload ?? "");
      });
      for (const channel of this.#channels.keys()) await client.query(`listen ${channel}`);
      client.once("end", () => void this.#reopen());
      return client;
    } catch (error) {
      this.#client = null;
      throw error;
    }
  }

  async #reopen(): Promise<void> {
    this.#client = null;
    for (let wait = 50; !this.#closed; wait = Math.min(wait * 2, 2_000)) {
      try {
        // `listen` may have been quicker: then its connection is the one.
        this.#client ??= this.#open();
        await this.#client;
        for (const hearers of this.#channels.values()) for (const { onReconnect } of hearers) onReconnect?.();
        return;
      } catch {
        await new Promise((settle) => setTimeout(settle, wait).unref());
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const client = await this.#client?.catch(() => null);
    client?.removeAllListeners("end");
    await client?.end().catch(() => {});
  }
}
