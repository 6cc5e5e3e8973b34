import { sql } from "@x1agent/kernel";
import { type TemporaryDatabase, temporaryDatabase } from "@x1agent/testkit";
import { getMigrations } from "better-auth/db/migration";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createIdentity, type IdentityService, listOrganizations, migrations, pageOrigin, scopes } from "./index.ts";
import { tryStore } from "./tries.ts";

let db: TemporaryDatabase;
const open = () => createIdentity(db, { secret: "s".repeat(32), baseUrl: "http://127.0.0.1:1" });
let identity: IdentityService;
let owner: { organizationId: string; userId: string; token: string };
beforeAll(async () => {
  db = await temporaryDatabase(migrations);
  identity = open();
});
afterAll(() => db?.close());

describe("identity", () => {
  it("has exactly the tables that this version of better-auth wants", async () => {
    const { toBeCreated, toBeAdded } = await getMigrations(identity.auth.options as never);
    expect({ toBeCreated, toBeAdded }).toEqual({ toBeCreated: [], toBeAdded: [] });
  });

  it("would be told of a column that is missing", async () => {
    // In a database of its own: better-auth looks at its tables by itself, whenever it likes.
    const own = await temporaryDatabase(migrations);
    try {
      await own.asAdmin('alter table "invitation" rename column "role" to "gone"');
      const { auth } = createIdentity(own, { secret: "s".repeat(32), baseUrl: "http://127.0.0.1:1" });
      expect((await getMigrations(auth.options as never)).toBeAdded).toMatchObject([{ table: "invitation" }]);
    } finally {
      await own.close();
    }
  });

  it("makes one organization with one owner, also when several services start at once", async () => {
    const made = (await Promise.all(Array.from({ length: 5 }, () => open().bootstrap()))).filter((one) => one !== null);
    expect(made).toHaveLength(1);
    owner = made[0]!;
    expect(await identity.bootstrap()).toBeNull();
    expect(await db.system((tx) => listOrganizations(tx))).toEqual([owner.organizationId]);
  });

  it("knows its owner by the token, and by another one when that was lost", async () => {
    const who = {
      actor: { kind: "user", id: owner.userId },
      organizationId: owner.organizationId,
      role: "owner",
      scopes: [...scopes],
    };
    expect(await identity.authenticate(owner.token)).toMatchObject(who);
    expect(await identity.authenticate(await identity.ownerToken())).toMatchObject(who);
  });

  it("keeps no token: the database holds hashes", async () => {
    const all = JSON.stringify((await db.asAdmin("select * from apikey")).rows);
    expect(all).toContain("x1_");
    expect(all).not.toContain(owner.token);
  });

  it.each([
    "",
    "x1_",
    "nonsense",
    `x1_${"a".repeat(64)}`,
    "x1_' or 1=1 --aaaaaaaaaaaaaaaaaaaa",
    `x1_${"a".repeat(5_000)}`,
  ])("does not know %j", async (token) => expect(await identity.authenticate(token)).toBeNull());

  it("gives a token the scopes it was made with and no others", async () => {
    const { token } = await identity.createToken(owner.userId, owner.organizationId, "ci", ["read", "write"]);
    expect((await identity.authenticate(token))?.scopes).toEqual(["read", "write"]);
  });

  it("ties a token to an organization that its owner is a member of, now", async () => {
    const foreign = await identity.createToken(owner.userId, "org_foreign", "x", scopes);
    expect(await identity.authenticate(foreign.token)).toBeNull();
    const { token } = await identity.createToken(owner.userId, owner.organizationId, "x", ["read"]);
    expect(await open().authenticate(token)).not.toBeNull();
    await db.system((tx) => sql`delete from member`.execute(tx));
    expect(await open().authenticate(token)).toBeNull();
    await expect(open().ownerToken()).rejects.toThrow(/no owner/);
  });

  it("ends a token with its time and when it is switched off", async () => {
    await db.asAdmin(
      `insert into member (id, "organizationId", "userId", role, "createdAt") values ('mem_1', '${owner.organizationId}', '${owner.userId}', 'owner', now())`,
    );
    const expiring = await identity.createToken(owner.userId, owner.organizationId, "x", ["read"], 3_600);
    expect(await open().authenticate(expiring.token)).not.toBeNull();
    await db.asAdmin(`update apikey set "expiresAt" = now() - interval '1 second' where id = '${expiring.id}'`);
    expect(await open().authenticate(expiring.token)).toBeNull();
    const off = await identity.createToken(owner.userId, owner.organizationId, "x", ["read"]);
    await db.asAdmin(`update apikey set enabled = false where id = '${off.id}'`);
    expect(await open().authenticate(off.token)).toBeNull();
  });

  it("calls no token unknown because the database failed while it was looked for", async () => {
    const { token } = await identity.createToken(owner.userId, owner.organizationId, "x", ["read"]);
    await db.asAdmin("revoke update on apikey from x1_service");
    try {
      await expect(open().authenticate(token)).rejects.toMatchObject({ code: "unavailable" });
      // What is no token of anybody's is one then, too.
      expect(await open().authenticate(`x1_${"a".repeat(64)}`)).toBeNull();
    } finally {
      await db.asAdmin("grant update on apikey to x1_service");
    }
    expect(await open().authenticate(token)).not.toBeNull();
  });
});

const how = { method: "link", address: "127.0.0.1", agent: "Browser/1" } as const;
describe("browser sessions", () => {
  it("stand for their user, and the database holds no token", async () => {
    const opened = await identity.openSession(owner.userId, how);
    expect(await identity.authenticate(opened!.token)).toMatchObject({
      actor: { kind: "user", id: owner.userId },
      organizationId: owner.organizationId,
      scopes: [...scopes],
      via: { kind: "session", id: opened!.id },
    });
    const all = JSON.stringify((await db.asAdmin("select * from session")).rows);
    expect(all).toContain(opened!.id);
    expect(all).not.toContain(opened!.token);
    // What the database holds signs nobody in.
    const { rows } = await db.asAdmin(`select token from session where id = '${opened!.id}'`);
    expect(await open().authenticate(`x1s_${rows[0].token}`)).toBeNull();
  });

  it("are listed and ended, one or all others, and by nobody else", async () => {
    const mine = (await identity.openSession(owner.userId, { ...how, method: "password" }))!;
    const other = (await identity.openSession(owner.userId, how))!;
    expect((await identity.listSessions(owner.userId)).find(({ id }) => id === mine.id)).toMatchObject({
      method: "password",
      address: "127.0.0.1",
      agent: "Browser/1",
    });
    expect(await identity.endSessions("usr_stranger", { id: other.id })).toBe(0);
    expect(await identity.authenticate(other.token)).not.toBeNull();
    expect(await identity.endSessions(owner.userId, { id: other.id })).toBe(1);
    expect(await identity.authenticate(other.token)).toBeNull();
    await identity.openSession(owner.userId, how);
    await identity.endSessions(owner.userId, { allBut: mine.id });
    expect((await identity.listSessions(owner.userId)).map(({ id }) => id)).toEqual([mine.id]);
    expect(await identity.authenticate(mine.token)).not.toBeNull();
  });

  it("end with their time and with the membership", async () => {
    const late = (await identity.openSession(owner.userId, how))!;
    await db.asAdmin(`update session set "expiresAt" = now() - interval '1 second' where id = '${late.id}'`);
    expect(await open().authenticate(late.token)).toBeNull();
    expect(await identity.openSession("usr_stranger", how)).toBeNull();
  });
});

describe("passwords", () => {
  it("are kept as scrypt hashes and found by name, whatever its letters", async () => {
    expect(await identity.passwords.inUse()).toBe(false);
    await identity.passwords.set(owner.userId, "correct horse battery");
    expect(await identity.passwords.inUse()).toBe(true);
    expect(JSON.stringify((await db.asAdmin("select * from account")).rows)).not.toContain("correct horse");
    expect(await identity.passwords.userOf("OWNER@localhost ", "correct horse battery")).toBe(owner.userId);
    expect(await identity.passwords.userOf("owner@localhost", "correct horse batterz")).toBeNull();
    expect(await identity.passwords.userOf("nobody", "no such password")).toBeNull();
    expect(await identity.passwords.matches(owner.userId, "correct horse battery")).toBe(true);
  });

  it("bound the work that guesses make", async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => identity.passwords.userOf("owner@localhost", "guess")),
    );
    expect(new Set(answers)).toEqual(new Set([null, "busy"]));
  });

  it("go when they are removed, and follow a renamed user", async () => {
    expect(await identity.renameUser(owner.userId, { name: "Ada", signInName: "Ada" })).toBe(true);
    expect(await identity.listMembers(owner.organizationId)).toEqual([
      { id: owner.userId, name: "Ada", signInName: "ada", role: "owner" },
    ]);
    expect(await identity.passwords.userOf("ada", "correct horse battery")).toBe(owner.userId);
    expect(await identity.passwords.remove(owner.userId)).toBe(true);
    expect(await identity.passwords.userOf("ada", "correct horse battery")).toBeNull();
  });
});

describe("sign-in links", () => {
  let eve: string;
  beforeAll(async () => {
    const by = { role: "owner", scopes };
    const made = await identity.members.add(by, owner.organizationId, {
      ...{ name: "Eve", signInName: "eve", role: "member" },
    });
    eve = made.ok ? made.value.id : "";
  });
  const issue = async (use: "sign-in" | "invitation" = "invitation") => {
    const { organizationId, userId: by } = owner;
    const made = await identity.links.issue({ organizationId, userId: eve, by }, use);
    return made?.code ?? "";
  };
  const setRole = (role: "member" | "viewer" | "former") =>
    identity.setRole({ role: "owner", scopes }, owner.organizationId, eve, role);

  it("are used once, whoever of two services is asked, also after a restart", async () => {
    const code = await issue();
    // Two services that were started after the link was made.
    const used = await Promise.all([open(), open(), open()].map(({ links }) => links.redeem(code)));
    expect(used.filter((who) => who !== null)).toEqual([eve]);
    expect(await identity.links.redeem(code)).toBeNull();
    expect(await identity.links.redeem("x".repeat(43))).toBeNull();
  });

  it("end with their time, by the database's clock", async () => {
    const { organizationId, userId: by } = owner;
    const lasting = async (use: "sign-in" | "invitation") =>
      Date.parse((await identity.links.issue({ organizationId, userId: eve, by }, use))?.expiresAt ?? "") - Date.now();
    // The clocks of service and database are one machine's, and may be a different one's.
    expect(Math.abs((await lasting("sign-in")) - 5 * 60_000)).toBeLessThan(60_000);
    expect(Math.abs((await lasting("invitation")) - 24 * 3_600_000)).toBeLessThan(60_000);
    const code = await issue();
    await db.asAdmin(`update sign_in_link set "expiresAt" = now() - interval '1 second'`);
    expect(await identity.links.redeem(code)).toBeNull();
  });

  it("end with the role that they were made for", async () => {
    const code = await issue();
    expect((await setRole("viewer")).ok).toBe(true);
    expect(await identity.links.redeem(code)).toBeNull();
    // Changed by something that does not know of links.
    const other = await issue();
    await db.asAdmin(`update member set role = 'member' where "userId" = '${eve}'`);
    expect(await identity.links.redeem(other)).toBeNull();
    const last = await issue();
    expect((await setRole("former")).ok).toBe(true);
    expect(await identity.links.redeem(last)).toBeNull();
    expect(await issue()).toBe("");
    await setRole("member");
  });

  it("lie in the database as digests, twenty of a person at most, with who made them", async () => {
    const codes = [];
    for (let made = 0; made < 22; made += 1) codes.push(await issue());
    const { rows } = await db.asAdmin("select * from sign_in_link");
    expect(rows).toHaveLength(20);
    expect(rows[0]).toMatchObject({ userId: eve, role: "member", use: "invitation", createdBy: owner.userId });
    for (const code of codes) expect(JSON.stringify(rows)).not.toContain(code);
    expect(await identity.links.redeem(codes[0] ?? "")).toBeNull();
    expect(await identity.links.redeem(codes.at(-1) ?? "")).toBe(eve);
  });
});

describe("tries", () => {
  const take = (key: string, tries = identity.tries) => tries.take(key, 3, 120);

  it("are counted by all services on the database together, at once too", async () => {
    const services = [open(), open()];
    const waits = await Promise.all(Array.from({ length: 8 }, (_, at) => take("ada", services[at % 2]?.tries)));
    expect(waits.filter((wait) => wait === null)).toHaveLength(3);
    for (const wait of waits) if (wait !== null) expect(wait).toBeGreaterThan(0);
    // A restart forgets nothing, and others are not kept out.
    expect(await take("ada", open().tries)).toBeLessThanOrEqual(120);
    expect(await take("bob")).toBeNull();
  });

  it("go on after the wait, and after a success", async () => {
    await db.asAdmin(
      "update sign_in_try set tries = array(select at - interval '120 seconds' from unnest(tries) as at)",
    );
    expect(await take("ada")).toBeNull();
    for (let guess = 0; guess < 3; guess += 1) await take("cyd");
    expect(await take("cyd")).not.toBeNull();
    await identity.tries.clear("cyd");
    expect(await take("cyd")).toBeNull();
  });

  it("keep nothing of what was typed, and go when they count no more", async () => {
    await take("a password typed as the name");
    expect(JSON.stringify((await db.asAdmin("select * from sign_in_try")).rows)).not.toContain("password");
    await db.asAdmin(`update sign_in_try set "lastAt" = now() - interval '121 seconds'`);
    await take("dan");
    expect((await db.asAdmin("select count(*)::int as n from sign_in_try")).rows).toEqual([{ n: 1 }]);
  });

  it("of a flood of names push out the oldest, and no more are kept than a number", async () => {
    const few = tryStore(db, 5);
    for (let name = 0; name < 12; name += 1) await take(`flood ${name}`, few);
    expect((await db.asAdmin("select count(*)::int as n from sign_in_try")).rows).toEqual([{ n: 5 }]);
    // The newest still count.
    for (let guess = 0; guess < 2; guess += 1) expect(await take("flood 11", few)).toBeNull();
    expect(await take("flood 11", few)).not.toBeNull();
  });
});

describe("passkeys", () => {
  it("belong to names", () => {
    expect(pageOrigin("http://localhost:4380")).toEqual({ origin: "http://localhost:4380", host: "localhost" });
    for (const address of ["http://127.0.0.1:4380", "http://[::1]:4380", null, "nonsense"])
      expect(pageOrigin(address)).toBeNull();
  });

  it("refuse an answer to no challenge of ours", async () => {
    const page = pageOrigin("http://localhost:1")!;
    const options = await identity.passkeys.creation({ id: owner.userId, name: "ada", displayName: "Ada" }, page);
    expect(options?.authenticatorSelection).toMatchObject({ residentKey: "required", userVerification: "required" });
    const forged = { id: "a", rawId: "a", type: "public-key", clientExtensionResults: {}, response: {} };
    expect(await identity.passkeys.add(owner.userId, "x", forged, page)).toBeNull();
    expect(await identity.passkeys.userOf(forged, page)).toBeNull();
    expect(await identity.passkeys.list(owner.userId)).toEqual([]);
  });
});

describe("tokens of members", () => {
  it("do no more than their maker's role of now, and nothing for a former one", async () => {
    const by = { role: "owner", scopes };
    const made = await identity.members.add(by, owner.organizationId, {
      ...{ name: "Kim", signInName: "kim", role: "member" },
    });
    const kim = made.ok ? made.value.id : "";
    const { token } = await identity.createToken(kim, owner.organizationId, "x", scopes);
    const scopesNow = async () => (await identity.authenticate(token))?.scopes ?? null;
    expect(await scopesNow()).toEqual(["read", "write"]);
    await identity.setRole(by, owner.organizationId, kim, "viewer");
    expect(await scopesNow()).toEqual(["read"]);
    await identity.setRole(by, owner.organizationId, kim, "former");
    expect(await scopesNow()).toBeNull();
  });

  it("are listed and revoked within their organization, where they were made at once", async () => {
    const { organizationId, userId } = owner;
    const { id, token } = await identity.createToken(userId, organizationId, "x", ["read"]);
    expect(await identity.authenticate(token)).not.toBeNull();
    expect(await identity.listTokens("org_other")).toEqual([]);
    expect(await identity.revokeToken("org_other", id)).toBe(false);
    expect((await identity.listTokens(organizationId)).map((one) => one.id)).toContain(id);
    expect(await identity.revokeToken(organizationId, id)).toBe(true);
    expect(await identity.authenticate(token)).toBeNull();
    expect((await identity.listTokens(organizationId)).map((one) => one.id)).not.toContain(id);
  });
});
