import { type TemporaryDatabase, temporaryDatabase } from "@x1agent/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createGrant, effectiveGrants, grantsChannel, listGrants, migrations, revokeGrant, useGrant } from "./index.ts";

let db: TemporaryDatabase;
beforeAll(async () => {
  db = await temporaryDatabase(migrations);
});
afterAll(() => db?.close());

const person = { kind: "user", id: "usr_1" } as const;
type Asked = Partial<Parameters<typeof createGrant>[2]>;
async function grant(org: string, asked: Asked = {}) {
  const made = await db.tenant(org, (tx) =>
    createGrant(tx, org, {
      ...{ subject: { kind: "organization", id: org }, type: "ai.anthropic", scope: "persistent" },
      ...{ reason: "test", grantedBy: person },
      ...asked,
    }),
  );
  if (!made.ok) throw new Error(made.code);
  return made.value;
}
const holder = (org: string) => ({ organizationId: org, projectId: "prj_1", jobId: "job_1" });
const effective = async (org: string) =>
  (await db.tenant(org, (tx) => effectiveGrants(tx, holder(org)))).map(({ id }) => id);
const take = (org: string, id: string) => db.tenant(org, (tx) => useGrant(tx, org, id));

describe("grants", () => {
  it("of a job are its own, its project's and its organization's, and nobody else's", async () => {
    const own = await grant("org_a", { subject: { kind: "job", id: "job_1" } });
    const project = await grant("org_a", { subject: { kind: "project", id: "prj_1" }, details: { pattern: "m-*" } });
    const all = await grant("org_a");
    await grant("org_a", { subject: { kind: "job", id: "job_2" } });
    await grant("org_a", { subject: { kind: "project", id: "prj_2" } });
    // The same id as another kind of subject, and the same subject in another organization.
    await grant("org_a", { subject: { kind: "project", id: "job_1" } });
    await grant("org_b", { subject: { kind: "job", id: "job_1" } });
    expect(await effective("org_a")).toEqual([own.id, project.id, all.id]);
    expect(project.details).toEqual({ pattern: "m-*" });
  });

  it("are given by people", async () => {
    for (const kind of ["job", "policy"] as const)
      await expect(grant("org_a", { grantedBy: { kind, id: "x" } })).rejects.toThrow("forbidden");
    await expect(grant("org_a", { subject: { kind: "organization", id: "org_b" } })).rejects.toThrow("not_found");
  });

  it("for once are taken by one of many", async () => {
    const { id } = await grant("org_c", { scope: "once" });
    expect(await effective("org_c")).toEqual([id]);
    const taken = await Promise.all(Array.from({ length: 20 }, () => take("org_c", id)));
    expect(taken.filter(Boolean)).toHaveLength(1);
    expect(await effective("org_c")).toEqual([]);
  });

  it("that last are used any number of times, and that is noted", async () => {
    const { id, lastUsedAt } = await grant("org_d");
    expect(lastUsedAt).toBeNull();
    expect([await take("org_d", id), await take("org_d", id)]).toEqual([true, true]);
    const [found] = await db.tenant("org_d", (tx) => listGrants(tx, { all: false, subject: "organization:org_d" }));
    expect(found).toMatchObject({ id, consumedAt: null, lastUsedAt: expect.any(String) });
  });

  it("end when they are revoked, which every replica is told", async () => {
    const heard: unknown[] = [];
    const stop = await db.listen(grantsChannel, (payload) => void heard.push(JSON.parse(payload)));
    const { id } = await grant("org_e");
    expect(await db.tenant("org_b", (tx) => revokeGrant(tx, "org_b", id))).toBeNull();
    const first = await db.tenant("org_e", (tx) => revokeGrant(tx, "org_e", id));
    const again = await db.tenant("org_e", (tx) => revokeGrant(tx, "org_e", id));
    expect(again?.revokedAt).toBe(first?.revokedAt);
    expect(await effective("org_e")).toEqual([]);
    expect(await take("org_e", id)).toBe(false);
    expect(await db.tenant("org_e", (tx) => listGrants(tx, { all: true }))).toHaveLength(1);
    // Of the grant and of its end.
    await expect.poll(() => heard.length).toBeGreaterThanOrEqual(2);
    expect(heard).toContainEqual({ o: "org_e" });
    expect(heard).not.toContainEqual({ o: "org_b" });
    stop();
  });
});
