import { accept } from "@x1agent/contract";
import * as audit from "@x1agent/domain-audit";
import { createIdentity, type IdentityService, migrations } from "@x1agent/domain-identity";
import { type TemporaryDatabase, temporaryDatabase } from "@x1agent/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createLimiter } from "../http/web/limit.ts";
import { type AccountCaller, type AccountUseCases, accountUseCases, signInUseCases } from "./account.ts";
import { type MemberUseCases, memberUseCases } from "./members.ts";

let db: TemporaryDatabase;
let identity: IdentityService;
let account: AccountUseCases;
let organizationId: string;
let userId: string;
beforeAll(async () => {
  db = await temporaryDatabase([...migrations, ...audit.migrations]);
  identity = createIdentity(db, { secret: "s".repeat(32), baseUrl: "http://localhost:1" });
  ({ organizationId, userId } = (await identity.bootstrap())!);
});
afterAll(() => db?.close());
beforeEach(async () => {
  const limiter = createLimiter(3, 60_000);
  account = accountUseCases({ db, identity, limit: (key) => limiter.take(key) });
  await identity.passwords.remove(userId);
});

const caller = (via: AccountCaller["via"], origin: string | null = "http://localhost:1"): AccountCaller => ({
  ...{ organizationId, role: "owner", via, origin },
  actor: { kind: "user", id: userId },
});
const at = (ageMs: number) =>
  caller({ kind: "session", id: "ses_me", since: new Date(Date.now() - ageMs).toISOString() });
const fresh = () => at(1_000);
const stale = () => at(3_600_000);
const token = () => caller({ kind: "token", id: "tok_1" });
const actions = async () =>
  (await db.tenant(organizationId, (tx) => audit.listAudit(tx, 0, 1_000))).map(({ action }) => action);

it("lets nobody with an API token change how a person signs in", async () => {
  // Not even one who knows the password.
  await account.setPassword(fresh(), { password: "a first password" });
  const current = "a first password";
  const answers = await Promise.all([
    account.update(token(), { name: "Eve" }),
    account.setPassword(token(), { password: "a password of hers", current }),
    account.removePassword(token(), { current }),
    account.passkeyOptions(token(), { current }),
    account.addPasskey(token(), { name: "x", response: { id: "x", rawId: "x", type: "public-key", response: {} } }),
    account.removePasskey(token(), "pky_1", { current }),
  ]);
  for (const answer of answers) expect(answer).toMatchObject({ ok: false, code: "forbidden" });
  expect((await account.get(token())).confirmBy).toBeNull();
});

it("asks for nothing right after the sign-in, for the password later, for a new sign-in where there is none", async () => {
  expect((await account.get(stale())).confirmBy).toBe("sign_in");
  expect(await account.setPassword(stale(), { password: "a first password" })).toMatchObject({ code: "forbidden" });
  expect(await account.setPassword(fresh(), { password: "a first password" })).toMatchObject({ ok: true });
  expect((await account.get(stale())).confirmBy).toBe("password");
  const second = { password: "a second password" };
  expect(await account.setPassword(stale(), second)).toMatchObject({ code: "forbidden" });
  expect(await account.setPassword(stale(), { ...second, current: "a wrong password" })).toMatchObject({ ok: false });
  expect(await account.setPassword(stale(), { ...second, current: "a first password" })).toMatchObject({ ok: true });
  expect(await identity.passwords.matches(userId, "a second password")).toBe(true);
  expect(await actions()).toContain("password.set");
});

it("slows guesses of the present password down", async () => {
  await account.setPassword(fresh(), { password: "a first password" });
  const guess = () => account.removePassword(stale(), { current: "a wrong password" });
  for (let n = 0; n < 3; n += 1) expect(await guess()).toMatchObject({ code: "forbidden" });
  expect(await guess()).toMatchObject({ code: "rate_limited" });
});

it("signs the other browsers out with a new password", async () => {
  const how = { method: "link", address: null, agent: null } as const;
  const [mine, other] = [await identity.openSession(userId, how), await identity.openSession(userId, how)];
  const me = caller({ kind: "session", id: mine!.id, since: new Date().toISOString() });
  await account.setPassword(me, { password: "a first password" });
  expect(await identity.authenticate(mine!.token)).not.toBeNull();
  expect(await identity.authenticate(other!.token)).toBeNull();
  expect(await account.sessions(me)).toMatchObject([{ id: mine!.id, current: true }]);
});

it("makes no passkey for an address", async () =>
  expect(await account.passkeyOptions({ ...fresh(), origin: "http://127.0.0.1:1" }, {})).toMatchObject({
    ok: false,
    detail: expect.stringContaining("localhost"),
  }));

it("writes down who came in, which way, and who went", async () => {
  const signIn = signInUseCases({ db, identity });
  const before = (await actions()).length;
  const session = await signIn.open(null, { method: "link", address: "127.0.0.1", agent: null });
  await signIn.close(session!.token);
  await signIn.close(session!.token);
  expect((await actions()).slice(before)).toEqual(["session.opened", "session.ended"]);
  expect(await identity.authenticate(session!.token)).toBeNull();
  expect(accept(await signIn.methods())).toMatchObject({ value: { password: false, passkey: false } });
});

describe("people", () => {
  const mine = () => ({ ...fresh(), scopes: ["read", "write", "approve", "admin"] });
  const how = { method: "link", address: null, agent: null } as const;
  let people: MemberUseCases;
  beforeAll(() => {
    people = memberUseCases({ db, identity });
  });

  it("act by their role, at once after it changed, and not at all when they are gone", async () => {
    const made = await people.add(mine(), { name: "Grace", signInName: "Grace", role: "reviewer" });
    if (!made.ok) throw new Error(made.detail);
    const { id } = made.value;
    expect(await people.add(mine(), { name: "Other", signInName: "GRACE", role: "viewer" })).toMatchObject({
      code: "conflict",
    });
    const session = await identity.openSession(id, how);
    expect((await identity.authenticate(session!.token))?.scopes).toEqual(["read", "approve"]);
    expect(await people.setRole(mine(), id, "admin")).toMatchObject({ ok: true });
    expect((await identity.authenticate(session!.token))?.scopes).toContain("admin");
    // A token of better days does no more than its maker may now.
    const { token: apiToken } = await identity.createToken(id, organizationId, "ci", ["read", "admin"]);
    expect((await identity.authenticate(apiToken))?.scopes).toEqual(["read", "admin"]);
    await people.setRole(mine(), id, "member");
    expect((await identity.authenticate(apiToken))?.scopes).toEqual(["read"]);
    expect(await people.remove(mine(), id)).toMatchObject({ ok: true });
    for (const shown of [session!.token, apiToken]) expect(await identity.authenticate(shown)).toBeNull();
    expect(await identity.openSession(id, how)).toBeNull();
    expect(await people.mayInvite(mine(), id)).toMatchObject({ code: "not_found" });
    expect(await people.list(mine())).toContainEqual(expect.objectContaining({ name: "Grace", role: "former" }));
  });

  it("keep their last owner, also when two owners demote each other at once", async () => {
    expect(await people.setRole(mine(), userId, "admin")).toMatchObject({ code: "conflict" });
    expect(await people.remove(mine(), userId)).toMatchObject({ code: "conflict" });
    const second = await people.add(mine(), { name: "Second", signInName: "second", role: "owner" });
    if (!second.ok) throw new Error(second.detail);
    const both = await Promise.all([
      people.setRole(mine(), userId, "viewer"),
      people.setRole(mine(), second.value.id, "viewer"),
    ]);
    expect(both.map(({ ok }) => ok).sort()).toEqual([false, true]);
    expect((await people.list(mine())).filter(({ role }) => role === "owner")).toHaveLength(1);
    await people.setRole(mine(), userId, "owner");
    await people.remove(mine(), second.value.id);
  });

  it("give nobody more than they hold, and owners only by owners", async () => {
    const admin = { ...mine(), role: "admin" };
    const person = { name: "Eve", signInName: "eve" };
    expect(await people.add(admin, { ...person, role: "owner" })).toMatchObject({ code: "forbidden" });
    expect(await people.setRole(admin, userId, "viewer")).toMatchObject({ code: "forbidden" });
    expect(await people.mayInvite(admin, userId)).toMatchObject({ code: "forbidden" });
    // A link for one who has signed in is a way to act under their name.
    const made = await people.add(admin, { name: "Ada", signInName: "ada2", role: "admin" });
    if (!made.ok) throw new Error(made.detail);
    expect(await people.mayInvite(admin, made.value.id)).toMatchObject({ ok: true });
    await identity.openSession(made.value.id, how);
    expect(await people.mayInvite(admin, made.value.id)).toMatchObject({ code: "forbidden" });
    expect(await people.mayInvite(mine(), made.value.id)).toMatchObject({ ok: true });
    const token = { ...mine(), scopes: ["admin"] };
    expect(await people.add(token, { ...person, role: "member" })).toMatchObject({ code: "forbidden" });
    expect(await people.add({ ...mine(), scopes: ["read"] }, { ...person, role: "viewer" })).toMatchObject({
      code: "forbidden",
    });
  });
});
