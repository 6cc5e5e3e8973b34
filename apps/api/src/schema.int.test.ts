import { rows, sql } from "@x1agent/kernel";
import { type TemporaryDatabase, temporaryDatabase } from "@x1agent/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createAssembly } from "./assemble.ts";

/** Tables without customers' data: the tenants themselves, the migrations that ran, the legal moves. */
const shared = ["account", "apikey", "invitation", "job_move", "member", "migration"];
shared.push("organization", "passkey", "session", "sign_in_link", "sign_in_try", "user", "verification");

let db: TemporaryDatabase;
beforeAll(async () => {
  db = await temporaryDatabase(createAssembly({ startLoop: () => Promise.reject(new Error("not here")) }).migrations);
});
afterAll(() => db?.close());

type Table = { name: string; tenant: boolean; forced: boolean; policies: string[]; rights: string[] };
const tables = () =>
  rows(
    db.kysely,
    sql<Table>`select c.relname::text as name, c.relrowsecurity and c.relforcerowsecurity as forced,
      exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'organization_id' and a.attnotnull) as tenant,
      array(select p.qual || ' / ' || p.with_check from pg_policies p where p.schemaname = 'x1' and p.tablename = c.relname) as policies,
      array(select r from unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) r where has_table_privilege('x1_service', c.oid, r)) as rights
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'x1' and c.relkind = 'r' order by 1`,
  );

describe("the whole schema", () => {
  it("gives each table with customers' data one policy: its own organization's rows", async () => {
    const own = "(organization_id = current_setting('x1.organization'::text, true))";
    const all = await tables();
    expect(all.length).toBeGreaterThan(25);
    for (const { name, tenant, forced, policies } of all.filter((table) => !shared.includes(table.name)))
      expect({ name, tenant, forced, policies }).toEqual({
        name,
        tenant: true,
        forced: true,
        policies: [`${own} / ${own}`],
      });
    expect(all.filter(({ tenant }) => !tenant).map(({ name }) => name)).toEqual(shared);
  });

  it("lets the service change neither history nor rules", async () => {
    const rights = new Map((await tables()).map((table) => [table.name, table.rights]));
    for (const name of ["audit", "event"]) expect(rights.get(name)).toEqual(["SELECT", "INSERT"]);
    expect(rights.get("job_move")).toEqual(["SELECT"]);
    expect(rights.get("migration")).toEqual([]);
    for (const [name, held] of rights) expect(held, name).not.toContain("TRUNCATE");
  });
});
