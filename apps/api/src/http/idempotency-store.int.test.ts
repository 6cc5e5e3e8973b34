import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { migrations as jobMigrations } from "@x1agent/domain-jobs";
import { migrations as projectMigrations } from "@x1agent/domain-projects";
import { type Database, openDatabase } from "@x1agent/kernel";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { IdempotencyStore } from "./idempotency.ts";
import { createIdempotencyStore } from "./idempotency-store.ts";

let folder: string;
let db: Database;
let store: IdempotencyStore;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "x1-idem-"));
  db = await openDatabase({ folder: join(folder, "pg"), migrations: [...projectMigrations, ...jobMigrations] });
  store = createIdempotencyStore(db);
});
afterAll(async () => {
  await db?.close();
  await rm(folder, { recursive: true, force: true });
});
const request = (key: string, change: object = {}) => ({ organizationId: "org_a", key, hash: "h", ...change });
const answer = { status: 201, contentType: "application/json", body: '{"id":"1"}' };

describe("idempotency keys in the database", () => {
  it("go to exactly one of many who ask at once", async () => {
    const taken = await Promise.all(Array.from({ length: 12 }, () => store.take(request("k1"))));
    expect(taken.map(({ kind }) => kind).sort()).toEqual(["mine", ...Array.from({ length: 11 }, () => "running")]);
    await store.finish(request("k1"), answer);
    expect(await store.take(request("k1"))).toEqual({ kind: "answered", answer });
  });

  it("tell another request under the same key, and another organization's key apart", async () => {
    await store.take(request("k2"));
    expect(await store.take(request("k2", { hash: "other" }))).toEqual({ kind: "other" });
    expect(await store.take(request("k2", { organizationId: "org_b" }))).toEqual({ kind: "mine" });
  });

  it("have their answer as soon as the effect is there, and not without it", async () => {
    await store.take(request("k4"));
    const broken = db.tenant("org_a", async (tx) => {
      await store.keep(tx, request("k4"), answer);
      throw new Error("the effect is taken back");
    });
    await expect(broken).rejects.toThrow();
    expect(await store.take(request("k4"))).toEqual({ kind: "running" });
    await db.tenant("org_a", (tx) => store.keep(tx, request("k4"), answer));
    // The request breaks after its effect, or its process dies and the key grows old.
    await store.forget(request("k4"));
    await db.tenant("org_a", (tx) =>
      sql`update idempotency set at = now() - interval '10 minutes' where key = 'k4'`.execute(tx),
    );
    expect(await store.take(request("k4"))).toEqual({ kind: "answered", answer });
  });

  it("are free again when the request broke, and when its process died", async () => {
    await store.take(request("k3"));
    await store.forget(request("k3"));
    expect(await store.take(request("k3"))).toEqual({ kind: "mine" });
    await db.tenant("org_a", (tx) =>
      sql`update idempotency set at = now() - interval '10 minutes' where key = 'k3'`.execute(tx),
    );
    expect(await store.take(request("k3"))).toEqual({ kind: "mine" });
    expect(await store.take(request("k3"))).toEqual({ kind: "running" });
  });
});
