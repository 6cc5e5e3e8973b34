import { randomBytes } from "node:crypto";
import { tenantTable } from "@x1agent/kernel";
import { type TemporaryDatabase, temporaryDatabase } from "@x1agent/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  deleteSecret,
  listProviders,
  listSecrets,
  migrations,
  openAllSecrets,
  openSecret,
  setProvider,
  setSecret,
} from "./index.ts";

/** What secrets need of projects: the table they refer to. */
const projects = {
  name: "projects",
  sql: `create table project (id text primary key, organization_id text not null); ${tenantTable("project")}`,
};
let db: TemporaryDatabase;
beforeAll(async () => {
  db = await temporaryDatabase([projects, ...migrations]);
  await db.asAdmin(
    "insert into project values ('prj_a', 'org_p'), ('prj_b', 'org_p'), ('prj_q', 'org_q'), ('prj_s', 'org_s')",
  );
});
afterAll(() => db?.close());

const key = randomBytes(32);
const value = "sk-canary-value-0123456789";
const set = (organizationId: string, name: string, secret = value, projectId: string | null = null) =>
  db.tenant(organizationId, (tx) => setSecret(tx, key, { organizationId, projectId }, name, secret));
const open = (organizationId: string, name: string | string[], masterKey = key, projectId: string | null = null) =>
  db.tenant(organizationId, (tx) => openSecret(tx, masterKey, { organizationId, projectId }, name));

describe("secrets", () => {
  it("are opened by their organization, which is noted, and shown by four characters", async () => {
    expect(await set("org_a", "anthropic")).toMatchObject({ name: "anthropic", lastFour: "6789", lastUsedAt: null });
    expect(await open("org_a", "anthropic")).toBe(value);
    expect(await db.tenant("org_a", (tx) => listSecrets(tx, null))).toMatchObject([{ lastUsedAt: expect.any(String) }]);
    expect(await open("org_b", "anthropic")).toBeNull();
    expect(await open("org_a", "nothing")).toBeNull();
    expect((await set("org_a", "short", "hunter2")).lastFour).not.toContain("r2");
  });

  it("are all opened to be sought: the organization's and its projects', with no use noted", async () => {
    await set("org_s", "anthropic");
    await set("org_s", "git:host", "x1:of a project", "prj_s");
    const all = (masterKey: Buffer) => db.tenant("org_s", (tx) => openAllSecrets(tx, masterKey, "org_s"));
    expect(await all(key)).toEqual([
      { name: "anthropic", value },
      { name: "git:host", value: "x1:of a project" },
    ]);
    expect(await db.tenant("org_s", (tx) => listSecrets(tx, null))).toMatchObject([{ lastUsedAt: null }]);
    // Those of another key are nobody's here; another organization's are not seen.
    expect(await all(randomBytes(32))).toEqual([]);
    expect(await db.tenant("org_nobody", (tx) => openAllSecrets(tx, key, "org_nobody"))).toEqual([]);
  });

  it("lie in the database sealed", async () => {
    const { rows } = await db.asAdmin("select * from secret");
    const text = JSON.stringify(rows) + rows.map(({ sealed }) => (sealed as Buffer).toString("latin1")).join();
    expect(text).toContain("anthropic");
    expect(text).not.toContain("canary");
  });

  it("do not open from another row, another organization's or with another key", async () => {
    await set("org_a", "one");
    await set("org_c", "one", "another value altogether");
    await expect(open("org_a", "one", randomBytes(32))).rejects.toThrow(/Restore that key/);
    await db.asAdmin(
      "update secret set sealed = (select sealed from secret where organization_id = 'org_a' and name = 'one') where organization_id = 'org_c'",
    );
    await expect(open("org_c", "one")).rejects.toThrow(/cannot be opened/);
  });

  it("are replaced and deleted", async () => {
    await set("org_d", "x");
    await set("org_d", "x", "a second value, long enough");
    expect(await open("org_d", "x")).toBe("a second value, long enough");
    expect(await db.tenant("org_b", (tx) => deleteSecret(tx, null, "x"))).toBe(false);
    expect(await db.tenant("org_d", (tx) => deleteSecret(tx, null, "x"))).toBe(true);
    expect(await db.tenant("org_d", (tx) => deleteSecret(tx, null, "x"))).toBe(false);
  });
});

describe("a project's own secrets", () => {
  const as = (projectId: string | null, name: string | string[]) => open("org_p", name, key, projectId);
  const shared = "the organization's, long enough";
  beforeAll(async () => {
    await set("org_p", "git:host", shared);
    await set("org_p", "git:host", "a's own, and long enough", "prj_a");
    await set("org_p", "git:host:443", "b's own, and long enough", "prj_b");
  });

  it("win over the organization's, under whichever name, and are nobody else's", async () => {
    const names = ["git:host", "git:host:443"];
    expect(await as("prj_a", names)).toBe("a's own, and long enough");
    expect(await as("prj_b", names)).toBe("b's own, and long enough");
    expect(await as("prj_b", "git:host")).toBe(shared);
    expect(await as("prj_none", names)).toBe(shared);
    // A job from outside asks as no project.
    expect(await as(null, names)).toBe(shared);
    expect(await as(null, "git:host:443")).toBeNull();
    expect(await open("org_q", names, key, "prj_a")).toBeNull();
  });

  it("pass over what does not fit, to the next and then to the organization's", async () => {
    const fitting = (fits: (value: string) => boolean) =>
      db.tenant("org_p", (tx) =>
        openSecret(tx, key, { organizationId: "org_p", projectId: "prj_a" }, ["git:host", "git:host:443"], fits),
      );
    expect(await fitting((text) => text.startsWith("the"))).toBe(shared);
    expect(await fitting(() => false)).toBeNull();
  });

  it("are listed, used, replaced and deleted apart from the organization's", async () => {
    const list = (projectId: string | null) => db.tenant("org_p", (tx) => listSecrets(tx, projectId));
    await set("org_p", "registry:host", "first of a, long enough", "prj_a");
    await set("org_p", "registry:host", "second of a, long enough", "prj_a");
    await set("org_p", "registry:host", shared);
    expect(await as("prj_a", "registry:host")).toBe("second of a, long enough");
    const used = async (projectId: string | null) =>
      (await list(projectId)).find(({ name }) => name === "registry:host")?.lastUsedAt;
    expect([await used("prj_a"), await used(null)]).toEqual([expect.any(String), null]);
    expect((await list("prj_a")).map(({ name }) => name)).toEqual(["git:host", "registry:host"]);
    expect(await db.tenant("org_p", (tx) => deleteSecret(tx, "prj_a", "registry:host"))).toBe(true);
    expect(await db.tenant("org_p", (tx) => deleteSecret(tx, "prj_a", "registry:host"))).toBe(false);
    expect(await as("prj_a", "registry:host")).toBe(shared);
  });

  it("do not open from another project's row, and end with their project", async () => {
    const lying = "select sealed from secret where project_id = 'prj_a' and name = 'git:host'";
    await db.asAdmin(`update secret set sealed = (${lying}) where project_id = 'prj_b'`);
    await expect(as("prj_b", "git:host:443")).rejects.toThrow(/cannot be opened/);
    await db.asAdmin("delete from project where id = 'prj_b'");
    expect(await as("prj_b", "git:host:443")).toBeNull();
    await expect(set("org_p", "git:host", value, "prj_none")).rejects.toThrow(/foreign key/);
  });
});

describe("providers", () => {
  it("change by key", async () => {
    const change = (body: Parameters<typeof setProvider>[3]) =>
      db.tenant("org_a", (tx) => setProvider(tx, "org_a", "local", body));
    await change({ api: "openai-chat", baseUrl: "http://127.0.0.1:9", allowPrivate: true });
    expect(await change({ baseUrl: "http://127.0.0.1:10" })).toEqual({
      name: "local",
      api: "openai-chat",
      baseUrl: "http://127.0.0.1:10",
      allowPrivate: true,
      ca: null,
    });
    expect(await change({ allowPrivate: false })).toMatchObject({
      allowPrivate: false,
      baseUrl: "http://127.0.0.1:10",
    });
    expect(await db.tenant("org_b", (tx) => listProviders(tx))).toEqual([]);
  });
});
