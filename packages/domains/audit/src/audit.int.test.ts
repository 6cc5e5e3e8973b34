import { createHash } from "node:crypto";
import { auditStart, auditText } from "@x1agent/contract";
import { sql } from "@x1agent/kernel";
import { type TemporaryDatabase, temporaryDatabase } from "@x1agent/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { appendAudit, listAudit, migrations, verifyAudit } from "./index.ts";

let db: TemporaryDatabase;
beforeAll(async () => {
  db = await temporaryDatabase(migrations);
});
afterAll(() => db?.close());

const actor = { kind: "user", id: "usr_1" } as const;
const append = (org: string, action: string, data: Record<string, unknown> = {}) =>
  db.tenant(org, (tx) => appendAudit(tx, org, { actor, action, subject: "job_1", data }));
const verify = (org: string) => db.tenant(org, (tx) => verifyAudit(tx, org));
/** Changes history as somebody who holds the whole database could. */
const forge = (statement: string) =>
  db.asAdmin(`alter table audit disable trigger all; ${statement}; alter table audit enable trigger all`);

describe("the audit log", () => {
  it("is one chain, also when many write at once", async () => {
    await Promise.all(
      Array.from({ length: 20 }, (_, i) => append("org_a", `act.${i}`, { b: 1, a: { d: [1.5, "ü"], c: null } })),
    );
    const entries = await db.tenant("org_a", (tx) => listAudit(tx, 0, 100));
    expect(entries.map(({ seq }) => seq)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    let previous = auditStart;
    // With nothing but the exported entries, as an auditor would.
    for (const { hash, ...entry } of entries) {
      expect(entry.previous).toBe(previous);
      expect(createHash("sha256").update(auditText(entry)).digest("hex")).toBe(hash);
      previous = hash;
    }
    expect(await verify("org_a")).toEqual({ intact: true, entries: 20, head: previous, brokenAt: null });
  });

  it("stays verifiable whatever data it was given", async () => {
    await append("org_odd", "odd", {
      ...{
        nul: "a\0",
        half: "\ud800",
        big: 1e300,
        small: 5e-324,
        zero: -0,
        whole: 1e19,
        gone: undefined,
      },
      ...{ "": 1, é: 2, "\u20ac": 3, when: new Date(0), list: [undefined, Number.NaN] },
    });
    expect(await verify("org_odd")).toMatchObject({ intact: true, entries: 1 });
  });

  it("belongs to its organization", async () => {
    await append("org_b", "act");
    expect(await verify("org_b")).toMatchObject({ intact: true, entries: 1 });
    await expect(
      db.tenant("org_b", (tx) => appendAudit(tx, "org_a", { actor, action: "x", subject: "y" })),
    ).rejects.toThrow();
    expect(await verify("org_none")).toEqual({ intact: true, entries: 0, head: auditStart, brokenAt: null });
  });

  it("is changed by nobody: neither by the service nor, unnoticed, by its owner", async () => {
    for (const statement of ["update audit set action = 'x'", "delete from audit", "truncate audit"])
      await expect(db.tenant("org_a", (tx) => sql.raw(statement).execute(tx))).rejects.toThrow(/permission denied/);
    for (const statement of ["update audit set action = 'x'", "delete from audit", "truncate audit"])
      await expect(db.asAdmin(statement)).rejects.toThrow(/append-only/);
  });

  it.each([
    ["a changed entry", "update audit set data = '{}' where organization_id = $org and seq = 3", 3],
    ["an entry taken out", "delete from audit where organization_id = $org and seq = 3", 4],
    ["a cut tail", "delete from audit where organization_id = $org and seq > 3", 4],
    ["everything gone", "delete from audit where organization_id = $org", 1],
    ["a time moved", "update audit set ts = ts + interval '1 millisecond' where organization_id = $org and seq = 2", 2],
  ])("shows %s", async (name, statement, brokenAt) => {
    const org = `org_${name.replaceAll(" ", "_")}`;
    for (let i = 0; i < 5; i += 1) await append(org, "act", { i });
    expect((await verify(org)).intact).toBe(true);
    await forge(statement.replace("$org", `'${org}'`));
    expect(await verify(org)).toMatchObject({ intact: false, brokenAt });
  });

  it.each([
    ["an entry that was written anew, with a hash that fits it", false, 4],
    ["a number left out, with everything after it written anew", true, 4],
  ])("shows %s", async (name, out, brokenAt) => {
    const org = `org_${name.slice(0, 8).replaceAll(" ", "_")}`;
    for (let i = 0; i < 5; i += 1) await append(org, "act", { i });
    const entries = await db.tenant(org, (tx) => listAudit(tx, 0, 10));
    let previous = entries[1]?.hash ?? "";
    const anew = (out ? entries.slice(3) : entries.slice(2, 3)).map(({ hash: _, ...entry }) => {
      const changed = { ...entry, previous, data: { i: 99 } };
      previous = createHash("sha256").update(auditText(changed)).digest("hex");
      return `update audit set data = '{"i":99}', previous = '${changed.previous}', hash = '${previous}' where organization_id = '${org}' and seq = ${entry.seq}`;
    });
    if (out) anew.push(`delete from audit where organization_id = '${org}' and seq = 3`);
    if (out) anew.push(`update audit_head set hash = '${previous}' where organization_id = '${org}'`);
    await forge(anew.join("; "));
    expect(await verify(org)).toMatchObject({ intact: false, brokenAt });
  });
});
