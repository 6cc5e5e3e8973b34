import { randomBytes } from "node:crypto";
import { type TemporaryDatabase, temporaryDatabase } from "@x1agent/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { deleteSecret, listProviders, listSecrets, migrations, openSecret, setProvider, setSecret } from "./index.ts";

let db: TemporaryDatabase;
beforeAll(async () => {
  db = await temporaryDatabase(migrations);
});
afterAll(() => db?.close());

const key = randomBytes(32);
const value = "sk-canary-value-0123456789";
const set = (org: string, name: string, secret = value) =>
  db.tenant(org, (tx) => setSecret(tx, key, org, name, secret));
const open = (org: string, name: string, masterKey = key) =>
  db.tenant(org, (tx) => openSecret(tx, masterKey, org, name));

describe("secrets", () => {
  it("are opened by their organization, which is noted, and shown by four characters", async () => {
    expect(await set("org_a", "anthropic")).toMatchObject({ name: "anthropic", lastFour: "6789", lastUsedAt: null });
    expect(await open("org_a", "anthropic")).toBe(value);
    expect(await db.tenant("org_a", (tx) => listSecrets(tx))).toMatchObject([{ lastUsedAt: expect.any(String) }]);
    expect(await open("org_b", "anthropic")).toBeNull();
    expect(await open("org_a", "nothing")).toBeNull();
    expect((await set("org_a", "short", "hunter2")).lastFour).not.toContain("r2");
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
    expect(await db.tenant("org_b", (tx) => deleteSecret(tx, "x"))).toBe(false);
    expect(await db.tenant("org_d", (tx) => deleteSecret(tx, "x"))).toBe(true);
    expect(await db.tenant("org_d", (tx) => deleteSecret(tx, "x"))).toBe(false);
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
