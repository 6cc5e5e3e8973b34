import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Database, type Migration, openDatabase } from "@x1agent/kernel";
import pg from "pg";

/**
 * A database of a test's own, gone after `close()`: on the server that DATABASE_URL names, else on an embedded one in a
 * temporary folder. The same tests run on both. `again` opens it once more, as a second service would.
 */
export type TemporaryDatabase = Database & {
  again(migrations?: readonly Migration[]): Promise<Database>;
  /** Runs SQL past row-level security, as whoever holds the server would. */
  asAdmin(sql: string): Promise<pg.QueryResult>;
};

/** Opens a temporary database with these migrations. */
export async function temporaryDatabase(
  migrations: readonly Migration[],
  url = process.env.DATABASE_URL,
): Promise<TemporaryDatabase> {
  return url ? onServer(migrations, url) : embedded(migrations);
}

/** Runs SQL on a server by connection string. */
export const runSql = (url: string, text: string): Promise<pg.QueryResult> => query({ connectionString: url }, text);

async function query(config: pg.ClientConfig, text: string): Promise<pg.QueryResult> {
  const client = new pg.Client(config);
  await client.connect();
  try {
    return await client.query(text);
  } finally {
    await client.end();
  }
}

/** Makes an empty database on a server, for a whole service that is given its connection string. */
export async function createServerDatabase(url: string): Promise<{ url: string; drop(): Promise<void> }> {
  const name = `x1_test_${randomBytes(6).toString("hex")}`;
  await query({ connectionString: url }, `create database ${name}`);
  const own = new URL(url);
  own.pathname = `/${name}`;
  return {
    url: own.href,
    async drop() {
      await query({ connectionString: url }, `drop database if exists ${name} with (force)`);
    },
  };
}

async function onServer(migrations: readonly Migration[], url: string): Promise<TemporaryDatabase> {
  const own = await createServerDatabase(url);
  const { drop } = own;
  const open = (wanted: readonly Migration[]) =>
    openDatabase({ folder: "", url: own.url, migrations: wanted, poolSize: 24 });
  try {
    const db = await open(migrations);
    const close = async () => {
      await db.close();
      await drop();
    };
    return {
      ...db,
      close,
      again: (wanted = migrations) => open(wanted),
      asAdmin: (text) => query({ connectionString: own.url, options: "-c search_path=x1" }, text),
    };
  } catch (error) {
    await drop();
    throw error;
  }
}

async function embedded(migrations: readonly Migration[]): Promise<TemporaryDatabase> {
  const folder = await mkdtemp(join(tmpdir(), "x1-db-"));
  try {
    const db = await openDatabase({ folder, migrations, poolSize: 24 });
    const passwords = JSON.parse(await readFile(join(folder, "roles.json"), "utf8")) as { admin: string };
    const socketDir = encodeURIComponent(String(db.queue.host));
    const url = `postgres://x1_admin:${passwords.admin}@/x1?host=${socketDir}&port=${db.queue.port}`;
    return {
      ...db,
      async close() {
        await db.close();
        await rm(folder, { recursive: true, force: true });
      },
      // By connection string, to the same server: the other way in, tested on every machine.
      again: (wanted = migrations) => openDatabase({ folder: "", url, migrations: wanted }),
      asAdmin: (text) => query({ connectionString: url, options: "-c search_path=x1" }, text),
    };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}
