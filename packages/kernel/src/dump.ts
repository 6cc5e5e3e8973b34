import { Fault } from "@x1agent/contract";
import type pg from "pg";
import { connect } from "./database.ts";
import { attachEngine, startEngine } from "./engine.ts";

/**
 * The whole content of the database as lines of JSON, and back. It needs no server programs, reads embedded and remote
 * servers alike, and goes from one major version of PostgreSQL to another. Invariants:
 *
 * - one repeatable-read transaction reads everything, so the service may run meanwhile;
 * - row-level security stays on: every tenant's rows are read and written under that tenant, which works for a role
 *   without superuser rights too;
 * - values never pass through JavaScript numbers: a row is text from `row_to_json` to `json_populate_record`.
 */
export type DumpSource = {
  /** Folder of the embedded database. */
  folder: string;
  /** Connection string of a server instead. */
  url?: string | undefined;
  /** The embedded server of `folder` runs already, in another process. */
  running?: boolean;
};
/** What to leave out: nothing of it is missed after a restore, or it was made by a migration. */
const leftOut = new Set([
  "migration",
  "job_move",
  // Live credentials in plain text: people sign in again.
  "session",
  "verification",
  // Answers kept for repeated requests: short-lived.
  "idempotency",
]);
/** Rows taken from the server, or put into one statement, at a time. */
const BATCH = 500;
/** Held shared by a backup, exclusively by whatever removes blobs. */
export const BACKUP_LOCK = 820_934;

export type DumpedTable = { name: string; rows: number };
export type DumpReader = {
  /** Names of the migrations that the database has run, in order. */
  migrations: string[];
  /** Number and hash of each tenant's newest audit entry. */
  auditHeads: { organizationId: string; seq: number; hash: string }[];
  tables: readonly string[];
  /** Rows of one table, each a JSON document. */
  rows(table: string): AsyncGenerator<string, void, void>;
};

/** Connects as the tables' owner, starting the embedded server where nobody runs it. */
async function asOwner<T>(source: DumpSource, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const engine = source.url
    ? null
    : source.running
      ? await attachEngine(source.folder)
      : await startEngine(source.folder);
  let client: pg.Client | undefined;
  try {
    client = await connect(
      engine
        ? {
            host: engine.socketDir,
            port: engine.port,
            database: "x1",
            user: "x1_owner",
            password: engine.passwords.owner,
          }
        : { connectionString: source.url },
    );
    if (source.url) await client.query("set role x1_owner");
    await client.query("set search_path to x1");
    return await work(client);
  } catch (cause) {
    if (cause instanceof Fault) throw cause;
    const { code, message } = cause as { code?: string; message: string };
    throw new Fault(
      "unavailable",
      `The database could not be read or written: ${message}${code ? ` (${code})` : ""}.`,
      {
        cause,
      },
    );
  } finally {
    await client?.end().catch(() => {});
    if (engine && "stop" in engine) await (engine as { stop(): Promise<void> }).stop();
  }
}

type Table = { name: string; tenant: boolean };

/** Our tables, each after those it refers to. */
async function tablesOf(client: pg.Client): Promise<Table[]> {
  const { rows } = await client.query<Table & { needs: string[] }>(
    `select c.relname::text as name,
       exists (select 1 from pg_attribute a where a.attrelid = c.oid and a.attname = 'organization_id' and not a.attisdropped) and c.relrowsecurity as tenant,
       array(select f.relname::text from pg_constraint k join pg_class f on f.oid = k.confrelid where k.conrelid = c.oid and k.contype = 'f' and f.oid <> c.oid) as needs
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = 'x1' and c.relkind = 'r' order by c.relname`,
  );
  const open = rows.filter(({ name }) => !leftOut.has(name));
  const ordered: Table[] = [];
  while (open.length > 0) {
    const at = open.findIndex(({ needs }) => needs.every((need) => !open.some(({ name }) => name === need)));
    if (at < 0)
      throw new Fault("internal", `Tables refer to each other in a ring: ${open.map((t) => t.name).join(", ")}.`);
    ordered.push(...open.splice(at, 1));
  }
  return ordered;
}

const ident = (name: string): string => `"${name.replaceAll('"', '""')}"`;
const organizationsOf = async (client: pg.Client): Promise<string[]> =>
  (await client.query<{ id: string }>("select id from organization order by id")).rows.map(({ id }) => id);
const enter = (client: pg.Client, organizationId: string) =>
  client.query("select set_config('x1.organization', $1, true)", [organizationId]);

/** Reads the database as it is at one instant. */
export async function dumpDatabase<T>(source: DumpSource, work: (reader: DumpReader) => Promise<T>): Promise<T> {
  return asOwner(source, async (client) => {
    // Waits for a removal of blobs under way, and keeps the next one out until we are done: the lock ends with the session.
    await client.query("select pg_advisory_lock_shared($1)", [BACKUP_LOCK]);
    await client.query("begin isolation level repeatable read read only");
    const tables = await tablesOf(client);
    const organizations = await organizationsOf(client);
    const migrations = (await client.query<{ name: string }>("select name from migration order by at, name")).rows;
    const auditHeads: DumpReader["auditHeads"] = [];
    for (const organizationId of organizations) {
      await enter(client, organizationId);
      const { rows } = await client.query<{ seq: string; hash: string }>("select seq, hash from audit_head");
      for (const { seq, hash } of rows) auditHeads.push({ organizationId, seq: Number(seq), hash });
    }
    async function* read(table: string): AsyncGenerator<string, void, void> {
      const known = tables.find(({ name }) => name === table);
      if (!known) return;
      for (const organizationId of known.tenant ? organizations : [""]) {
        await enter(client, organizationId);
        await client.query(
          `declare dump no scroll cursor for select row_to_json(t)::text as line from ${ident(table)} t`,
        );
        for (;;) {
          const { rows } = await client.query<{ line: string }>(`fetch ${BATCH} from dump`);
          for (const { line } of rows) yield line;
          if (rows.length < BATCH) break;
        }
        await client.query("close dump");
      }
    }
    const result = await work({
      migrations: migrations.map(({ name }) => name),
      auditHeads,
      tables: tables.map(({ name }) => name),
      rows: read,
    });
    await client.query("commit");
    return result;
  });
}

/** Whether anybody has used the database. */
export async function isEmptyDatabase(url: string): Promise<boolean> {
  const client = await connect({ connectionString: url });
  try {
    const { rows } = await client.query<{ there: string | null }>("select to_regclass('x1.migration')::text as there");
    return rows[0]?.there === null;
  } finally {
    await client.end().catch(() => {});
  }
}

/** Takes all our tables away again, after a restore into a database that was empty has failed. */
export async function dropTables(url: string): Promise<void> {
  await asOwner({ folder: "", url }, async (client) => {
    await client.query("drop schema if exists x1 cascade");
  });
}

/**
 * Fills a migrated, empty database in one transaction: all rows or none. `rows` hands out the lines of one table; a table
 * of the database that the dump lacks stays empty.
 */
export async function fillDatabase(
  source: DumpSource,
  rows: (table: string) => AsyncIterable<string>,
): Promise<DumpedTable[]> {
  return asOwner(source, async (client) => {
    await client.query("begin");
    const filled: DumpedTable[] = [];
    for (const { name, tenant } of await tablesOf(client)) {
      let count = 0;
      let batch: string[] = [];
      let entered: string | null = null;
      const flush = async () => {
        if (batch.length === 0) return;
        await client.query(
          `insert into ${ident(name)} select r.* from unnest($1::text[]) as line, json_populate_record(null::${ident(name)}, line::json) as r`,
          [batch],
        );
        count += batch.length;
        batch = [];
      };
      for await (const line of rows(name)) {
        if (tenant) {
          const { organization_id } = JSON.parse(line) as { organization_id: string };
          if (organization_id !== entered) {
            await flush();
            await enter(client, organization_id);
            entered = organization_id;
          }
        }
        batch.push(line);
        if (batch.length >= BATCH) await flush();
      }
      await flush();
      filled.push({ name, rows: count });
    }
    await client.query("commit");
    return filled;
  });
}
