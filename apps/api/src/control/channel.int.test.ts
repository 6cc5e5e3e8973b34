import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  Fault,
  type GrantDetails,
  type GrantType,
  platformActor,
  SidecarPolicy,
  sidecarPaths,
} from "@x1agent/contract";
import { migrations as budgetMigrations, jobMoney, setBudget } from "@x1agent/domain-budgets";
import { createJob, migrations as jobMigrations, startAttempt } from "@x1agent/domain-jobs";
import { createGrant, listGrants, migrations as permissionMigrations, revokeGrant } from "@x1agent/domain-permissions";
import { createProject, defaultSettings, migrations as projectMigrations } from "@x1agent/domain-projects";
import { readEvents, migrations as sessionMigrations } from "@x1agent/domain-sessions";
import { type Database, openDatabase, silentLogger } from "@x1agent/kernel";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ChannelRepository, type ControlChannel, type Registration, startControlChannel } from "./channel.ts";

let folder: string;
let db: Database;
let control: ControlChannel;
let registration: Registration;
let counter = 0;
const organizationId = "org_a";
const refusals: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "x1-ctl-"));
  db = await openDatabase({
    folder: join(folder, "pg"),
    migrations: [
      ...projectMigrations,
      ...jobMigrations,
      ...sessionMigrations,
      ...permissionMigrations,
      ...budgetMigrations,
    ],
  });
  control = await startControlChannel({ db, log: silentLogger });
  registration = await db.tenant(organizationId, async (tx) => {
    const project = await createProject(tx, organizationId, { repository: "/r" });
    if (!project.ok) throw new Error(project.detail);
    const settings = {
      ...{
        title: "t",
        goal: "g",
        runtime: "toy",
        model: "m",
        base: null,
        setup: null,
        verify: null,
        verifyNetwork: false,
      },
      ...{
        ask: false,
        isolation: "namespaces" as const,
        maxRounds: 1,
        budgetMicros: 1_000_000,
        limits: defaultSettings.limits,
      },
    };
    const job = await createJob(tx, {
      organizationId,
      projectId: project.value.id,
      repository: "/r",
      createdBy: platformActor,
      settings,
    });
    const attempt = await startAttempt(tx, job, null);
    await setBudget(tx, organizationId, {
      scope: { kind: "job", id: job.id },
      window: "total",
      limitMicros: 1_000_000,
    });
    return {
      ...{
        workspaceId: "",
        attemptId: attempt.id,
        jobId: job.id,
        organizationId,
        projectId: project.value.id,
        memberId: "u",
      },
      ...{
        phase: "setup" as const,
        inference: true,
        trusted: true,
        onBudgetRefused: () => void refusals.push("refused"),
      },
    };
  });
});
afterAll(async () => {
  await control?.close();
  await db?.close();
  await rm(folder, { recursive: true, force: true });
});

const post = async (path: string, body: unknown, identity?: string) => {
  const response = await fetch(control.url + path, {
    method: "POST",
    headers: identity ? { authorization: `Bearer ${identity}` } : {},
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  return { status: response.status, value: (await response.json()) as Record<string, unknown> };
};
async function enrolled(change: Partial<Registration> = {}) {
  counter += 1;
  const workspaceId = `ws-${counter}`;
  const token = control.register({ ...registration, workspaceId, ...change });
  const { value } = await post(sidecarPaths.enrol, { token });
  return { workspaceId, token, identity: String(value.identity) };
}
/** Reads the policy stream; `next` waits for one more document. */
async function policies(identity: string) {
  const response = await fetch(control.url + sidecarPaths.policy, { headers: { authorization: `Bearer ${identity}` } });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let beats = 0;
  return {
    beats: () => beats,
    async next(): Promise<SidecarPolicy | null> {
      for (;;) {
        const end = rest.indexOf("\n\n");
        if (end >= 0) {
          const block = rest.slice(0, end);
          rest = rest.slice(end + 2);
          if (block.startsWith("data: ")) return SidecarPolicy.parse(JSON.parse(block.slice(6)));
          beats += 1;
          continue;
        }
        const read = await reader?.read();
        if (!read || read.done) return null;
        rest += read.value;
      }
    },
  };
}

describe("the sidecar channel", () => {
  it("gives an identity once, and only for a token it knows", async () => {
    const { token } = await enrolled();
    expect((await post(sidecarPaths.enrol, { token })).status).toBe(401);
    expect((await post(sidecarPaths.enrol, { token: "x".repeat(43) })).status).toBe(401);
    expect(
      (await post(sidecarPaths.lease, { requestId: "r", wantMicros: 1, minMicros: 1 }, "y".repeat(43))).status,
    ).toBe(401);
  });

  it("pushes grants and the phase as whole documents, and says that it is there", async () => {
    const { identity, workspaceId } = await enrolled();
    const stream = await policies(identity);
    expect(await stream.next()).toMatchObject({ phase: "setup", grants: [], stopped: false });
    const made = await db.tenant(organizationId, (tx) =>
      createGrant(tx, organizationId, {
        subject: { kind: "job", id: registration.jobId },
        type: "egress",
        details: { pattern: "a.example" },
        scope: "persistent",
        reason: "",
        grantedBy: { kind: "user", id: "u" },
      }),
    );
    expect((await stream.next())?.egress).toMatchObject([{ host: "a.example" }]);
    if (made.ok) await db.tenant(organizationId, (tx) => revokeGrant(tx, organizationId, made.value.id));
    expect((await stream.next())?.egress).toEqual([]);
    await control.setPhase(workspaceId, "agent");
    expect(await stream.next()).toMatchObject({ phase: "agent" });
    const last = stream.next();
    await expect.poll(() => stream.beats()).toBeGreaterThan(0);
    control.revoke(workspaceId);
    expect(await last).toMatchObject({ stopped: true });
    expect(await stream.next()).toBeNull();
    expect((await post(sidecarPaths.renew, {}, identity)).status).toBe(401);
  });

  it("leases within the budget, settles a call once, and tells the loop when the money is gone", async () => {
    const { identity } = await enrolled();
    const leased = await post(
      sidecarPaths.lease,
      { requestId: "one", wantMicros: 200_000, minMicros: 1_000 },
      identity,
    );
    expect(leased.value).toMatchObject({ outcome: "granted" });
    const call = {
      ...{
        callId: "call-1",
        leaseId: leased.value.leaseId,
        provider: "p",
        api: "anthropic-messages",
        model: "m",
        usage: { inputTokens: 1, outputTokens: 2 },
      },
      ...{
        costMicros: 700,
        estimated: false,
        outcome: "completed",
        startedAt: new Date().toISOString(),
        latencyMs: 5,
        grantId: "g",
      },
    };
    for (const _ of [1, 2])
      expect((await post(sidecarPaths.settle, { calls: [call], inFlight: [] }, identity)).status).toBe(200);
    expect(await db.tenant(organizationId, (tx) => jobMoney(tx, registration.jobId))).toMatchObject({
      spentMicros: 700,
      limitMicros: 1_000_000,
    });
    const events = await db.tenant(organizationId, (tx) => readEvents(tx, registration.jobId, 0, 1_000));
    expect(events.filter(({ type }) => type === "model.call")).toMatchObject([
      { source: "observed", payload: { callId: "call-1", costMicros: 700 } },
    ]);
    const refused = await post(
      sidecarPaths.lease,
      { requestId: "two", wantMicros: 5_000_000, minMicros: 5_000_000 },
      identity,
    );
    expect(refused.value).toMatchObject({ outcome: "refused", code: "budget_exceeded" });
    expect(refusals).toEqual(["refused"]);
  });

  it("leases nothing to a workspace without an agent", async () => {
    const { identity } = await enrolled({ inference: false });
    expect((await post(sidecarPaths.lease, { requestId: "r", wantMicros: 1, minMicros: 1 }, identity)).status).toBe(
      403,
    );
  });

  it("gives a grant for one use to one of two sidecars that ask at once, which keeps it until it is revoked", async () => {
    const made = await db.tenant(organizationId, (tx) =>
      createGrant(tx, organizationId, {
        subject: { kind: "job", id: registration.jobId },
        type: "ai.anthropic",
        scope: "once",
        reason: "",
        grantedBy: { kind: "user", id: "u" },
      }),
    );
    if (!made.ok) throw new Error(made.detail);
    const grantId = made.value.id;
    const sidecars = await Promise.all([enrolled(), enrolled()]);
    const tries = [...sidecars, ...sidecars].map(async ({ identity }) => {
      const { status, value } = await post(sidecarPaths.use, { grantId }, identity);
      expect(status).toBe(200);
      return { identity, taken: value.taken };
    });
    const took = (await Promise.all(tries)).filter(({ taken }) => taken);
    expect(took).toHaveLength(1);
    const named = async (identity: string) =>
      (await (await policies(identity)).next())?.grants.some(({ id }) => id === grantId);
    for (const { identity } of sidecars) expect(await named(identity)).toBe(identity === took[0]?.identity);
    await db.tenant(organizationId, (tx) => revokeGrant(tx, organizationId, grantId));
    for (const { identity } of sidecars) expect(await named(identity)).toBe(false);
  });

  it.each(["egress", "repo.read"] as const)(
    "gives a grant for one use of type %s to one, without an agent too, and says so in the timeline",
    async (type) => {
      const made = await db.tenant(organizationId, (tx) =>
        createGrant(tx, organizationId, {
          subject: { kind: "job", id: registration.jobId },
          ...{ type, scope: "once", details: { pattern: "once.example" }, reason: "" },
          grantedBy: { kind: "user", id: "u" },
        }),
      );
      if (!made.ok) throw new Error(made.detail);
      const grantId = made.value.id;
      const { identity } = await enrolled({ inference: false });
      const first = await (await policies(identity)).next();
      expect(first?.grants.find(({ id }) => id === grantId)?.once).toBe(true);
      if (type === "egress") expect(first?.egress.at(-1)).toMatchObject({ host: "once.example", onceGrantId: grantId });
      const tries = await Promise.all([1, 2, 3].map(() => post(sidecarPaths.use, { grantId }, identity)));
      expect(tries.filter(({ value }) => value.taken)).toHaveLength(1);
      expect((await post(sidecarPaths.use, { grantId }, identity)).value).toEqual({ taken: false });
      const ledger = await db.tenant(organizationId, (tx) => listGrants(tx, { all: true }));
      expect(ledger.find(({ id }) => id === grantId)?.consumedAt).not.toBeNull();
      const events = await db.tenant(organizationId, (tx) => readEvents(tx, registration.jobId, 0, 1_000));
      const used = events.filter((event) => event.type === "grant.used" && event.payload.grantId === grantId);
      expect(used.map(({ payload, source }) => ({ ...payload, source }))).toEqual([
        { grantId, type, pattern: "once.example", source: "observed" },
      ]);
    },
  );

  it("gives a workspace without an agent no model grant, not even for one use", async () => {
    const made = await db.tenant(organizationId, (tx) =>
      createGrant(tx, organizationId, {
        subject: { kind: "job", id: registration.jobId },
        ...{ type: "ai.openai", scope: "once", reason: "" },
        grantedBy: { kind: "user", id: "u" },
      }),
    );
    if (!made.ok) throw new Error(made.detail);
    const { identity } = await enrolled({ inference: false });
    expect((await post(sidecarPaths.use, { grantId: made.value.id }, identity)).status).toBe(403);
    const other = await enrolled();
    expect((await post(sidecarPaths.use, { grantId: made.value.id }, other.identity)).value).toEqual({ taken: true });
  });

  it("gives no grant that is not the job's", async () => {
    const made = await db.tenant(organizationId, (tx) =>
      createGrant(tx, organizationId, {
        subject: { kind: "job", id: "another" },
        type: "ai.anthropic",
        scope: "once",
        reason: "",
        grantedBy: { kind: "user", id: "u" },
      }),
    );
    if (!made.ok) throw new Error(made.detail);
    const { identity } = await enrolled();
    const { value } = await post(sidecarPaths.use, { grantId: made.value.id }, identity);
    expect(value).toEqual({ taken: false });
  });

  it("gives a repository's credential for what a grant covers, as long as it does, and for nothing else", async () => {
    const asked: string[] = [];
    const only: ChannelRepository = {
      ...{ name: "origin", url: "https://forge.example:443/acme/app.git" },
      async credential(purpose) {
        asked.push(purpose);
        if (purpose === "forge.read") throw new Fault("unavailable", "The forge is down.");
        return purpose === "push" ? null : { authorization: `Bearer ${purpose}`, expiresAt: null };
      },
      push: { protected: ["main"], isProtected: async (branch) => branch === "x1/held" },
    };
    const repositories = [only];
    const { identity } = await enrolled({ repositories });
    const untrusted = await enrolled({ repositories, trusted: false });
    const closed = await enrolled({ repositories: [{ name: only.name, url: only.url, credential: only.credential }] });
    const ask = (purpose: string, repository = "origin", branches?: string[], as = identity) =>
      post(sidecarPaths.git, { repository, purpose, branches }, as).then(({ status, value }) => ({
        status,
        ...(status === 200 ? value : { code: value.code, detail: value.detail }),
      }));
    for (const purpose of ["read", "push", "forge.read", "forge.comment"])
      expect(await ask(purpose), purpose).toMatchObject({ status: 403, code: "not_granted" });
    expect(asked).toEqual([]);
    const grant = async (type: GrantType, details: Partial<GrantDetails>) => {
      const made = await db.tenant(organizationId, (tx) =>
        createGrant(tx, organizationId, {
          subject: { kind: "job", id: registration.jobId },
          ...{ type, details, scope: "session", reason: "", grantedBy: { kind: "user", id: "u" } },
        }),
      );
      if (!made.ok) throw new Error(made.detail);
      return made.value.id;
    };
    const read = await grant("repo.read", { pattern: "acme/app" });
    const elsewhere = await grant("repo.push", { pattern: "x1/*", repository: "acme/other" });
    const forge = await grant("forge", { pattern: "read" });
    expect(await ask("read")).toEqual({ status: 200, authorization: "Bearer read", expiresAt: null });
    expect(await ask("push")).toMatchObject({ status: 403 });
    expect(await ask("forge.comment")).toMatchObject({ status: 403 });
    expect(await ask("forge.read")).toEqual({ status: 503, code: "unavailable", detail: "The forge is down." });
    expect(await ask("read", "other")).toMatchObject({ status: 404 });
    expect(await ask("write")).toMatchObject({ status: 400 });
    const push = await grant("repo.push", { pattern: "x1/*" });
    expect(await ask("push")).toEqual({ status: 200, authorization: null, expiresAt: null });
    expect(await ask("push", "origin", ["x1/a", "x1/held"])).toMatchObject({
      ...{ status: 403, detail: "The branch x1/held is protected." },
    });
    for (const other of [untrusted, closed]) {
      expect(await ask("push", "origin", ["x1/a"], other.identity)).toMatchObject({ status: 403, code: "not_granted" });
      expect((await (await policies(other.identity)).next())?.push).toEqual([]);
    }
    expect((await (await policies(identity)).next())?.push).toEqual([{ repository: "origin", protected: ["main"] }]);
    for (const id of [read, elsewhere, forge, push])
      await db.tenant(organizationId, (tx) => revokeGrant(tx, organizationId, id));
    for (const purpose of ["read", "push", "forge.read"]) expect(await ask(purpose)).toMatchObject({ status: 403 });
    expect(asked).toEqual(["read", "forge.read", "push"]);
  });

  it("stores the sidecar's own kinds of events once, and refuses every other", async () => {
    const { identity } = await enrolled();
    const event = {
      id: "e1",
      ts: new Date().toISOString(),
      type: "egress.blocked",
      payload: { host: "b.example", port: 443, phase: "agent", code: "egress_blocked" },
    };
    for (const _ of [1, 2]) expect((await post(sidecarPaths.events, { events: [event] }, identity)).status).toBe(200);
    for (const type of ["job.state", "approval.recorded", "agent.text", "model.call", "constructor"])
      expect((await post(sidecarPaths.events, { events: [{ ...event, id: type, type }] }, identity)).status, type).toBe(
        400,
      );
    const events = await db.tenant(organizationId, (tx) => readEvents(tx, registration.jobId, 0, 1_000));
    expect(events.filter(({ type }) => type === "egress.blocked")).toHaveLength(1);
    expect(events.filter(({ type }) => type === "job.state")).toEqual([]);
  });

  it("bounds and checks every body", async () => {
    const { identity } = await enrolled();
    expect((await post(sidecarPaths.lease, "no json", identity)).status).toBe(400);
    expect((await post(sidecarPaths.lease, { requestId: "r" }, identity)).status).toBe(400);
    expect((await post("/sidecar/v1/other", {}, identity)).status).toBe(404);
    const large = await post(sidecarPaths.events, " ".repeat(5 * 1024 ** 2), identity).catch(() => ({ status: 413 }));
    expect(large.status).toBe(413);
  });
});
