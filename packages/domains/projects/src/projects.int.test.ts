import { type TemporaryDatabase, temporaryDatabase } from "@x1agent/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  createProject,
  defaultSettings,
  findOrCreateProject,
  getProject,
  listProjects,
  mergeSettings,
  migrations,
  nameOf,
  updateProject,
} from "./index.ts";

let db: TemporaryDatabase;
beforeAll(async () => {
  db = await temporaryDatabase(migrations);
});
afterAll(() => db?.close());
const inA = <T>(work: Parameters<typeof db.tenant<T>>[1]) => db.tenant("org_a", work);

describe("projects", () => {
  it("are one for each repository of an organization, also when many ask at once", async () => {
    const found = await Promise.all(
      Array.from({ length: 8 }, () => inA((tx) => findOrCreateProject(tx, "org_a", "/srv/git/thing.git"))),
    );
    expect(new Set(found.map(({ id }) => id)).size).toBe(1);
    expect(found[0]).toMatchObject({ ...defaultSettings, name: "thing", repository: "/srv/git/thing.git" });
    expect(await inA((tx) => createProject(tx, "org_a", { repository: "/srv/git/thing.git" }))).toMatchObject({
      ok: false,
      code: "conflict",
    });
    const theirs = await db.tenant("org_b", (tx) => findOrCreateProject(tx, "org_b", "/srv/git/thing.git"));
    expect(theirs.id).not.toBe(found[0]?.id);
    expect(await inA((tx) => getProject(tx, theirs.id))).toBeNull();
  });

  it("change by key, limits and approval too", async () => {
    const { id } = await inA((tx) => findOrCreateProject(tx, "org_a", "/r1"));
    await inA((tx) => updateProject(tx, id, { verify: "npm test", limits: { setupMs: 5_000 } }));
    await inA((tx) => updateProject(tx, id, { name: "New", approval: { mode: "auto" } }));
    expect(await inA((tx) => getProject(tx, id))).toMatchObject({
      ...{ name: "New", verify: "npm test", setup: null },
      limits: { ...defaultSettings.limits, setupMs: 5_000 },
      approval: { ...defaultSettings.approval, mode: "auto" },
    });
    expect(await db.tenant("org_b", (tx) => updateProject(tx, id, { name: "Theirs" }))).toMatchObject({
      code: "not_found",
    });
  });

  it("of two changes at once forget neither", async () => {
    const { id } = await inA((tx) => findOrCreateProject(tx, "org_a", "/r2"));
    await Promise.all([
      inA((tx) => updateProject(tx, id, { setup: "a" })),
      inA((tx) => updateProject(tx, id, { verify: "b" })),
      inA((tx) => updateProject(tx, id, { model: "c" })),
    ]);
    expect(await inA((tx) => getProject(tx, id))).toMatchObject({ setup: "a", verify: "b", model: "c" });
  });

  it("are listed in pages", async () => {
    for (let i = 0; i < 3; i += 1) await db.tenant("org_c", (tx) => findOrCreateProject(tx, "org_c", `/r${i}`));
    const first = await db.tenant("org_c", (tx) => listProjects(tx, 2));
    const second = await db.tenant("org_c", (tx) => listProjects(tx, 2, first.cursor ?? undefined));
    expect([...first.items, ...second.items].map(({ repository }) => repository)).toEqual(["/r2", "/r1", "/r0"]);
    expect(second.cursor).toBeNull();
  });

  it.each([
    ["https://example.org/team/thing.git", "thing"],
    ["git@example.org:team/thing", "thing"],
    ["/srv/git/thing/", "thing"],
    ["/", "/"],
  ])("are named by their repository: %s", (repository, name) => expect(nameOf(repository)).toBe(name));

  it("take no undefined for a change", () =>
    expect(mergeSettings({ ...defaultSettings, verify: "x" }, { verify: undefined } as never).verify).toBe("x"));
});
