import type { CallRecord } from "@x1agent/contract";
import { newId, sql } from "@x1agent/kernel";
import { type TemporaryDatabase, temporaryDatabase } from "@x1agent/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  expireLeases,
  jobMoney,
  lease,
  listBudgets,
  listCalls,
  loseLeases,
  migrations,
  type Spender,
  setBudget,
  settle,
} from "./index.ts";

let db: TemporaryDatabase;
beforeAll(async () => {
  db = await temporaryDatabase(migrations);
});
afterAll(() => db?.close());

/** Somebody who spends, in an organization of their own unless told. */
const spend = (change: Partial<Spender> = {}): Spender => ({
  organizationId: newId("org"),
  projectId: newId("prj"),
  memberId: newId("usr"),
  jobId: newId("job"),
  attemptId: newId("att"),
  workspaceId: newId("ws"),
  ...change,
});
const within = <T>(spender: Spender, work: Parameters<typeof db.tenant<T>>[1]) =>
  db.tenant(spender.organizationId, work);
const limit = (
  spender: Spender,
  kind: "job" | "project" | "member" | "organization",
  limitMicros: number,
  window: "day" | "total" = "total",
) =>
  within(spender, (tx) =>
    setBudget(tx, spender.organizationId, { scope: { kind, id: spender[`${kind}Id`] }, window, limitMicros }),
  );
const book = (spender: Spender, wantMicros: number, minMicros = 1, requestId = newId("req")) =>
  within(spender, (tx) => lease(tx, spender, { requestId, wantMicros, minMicros }));
async function booked(
  spender: Spender,
  wantMicros: number,
  minMicros = 1,
): Promise<{ leaseId: string; amountMicros: number }> {
  const reply = await book(spender, wantMicros, minMicros);
  if (reply.outcome !== "granted") throw new Error(`refused: ${reply.scope}`);
  return reply;
}
const call = (leaseId: string, costMicros: number, callId = newId("call")): CallRecord => ({
  callId,
  leaseId,
  provider: "anthropic",
  api: "anthropic-messages",
  model: "m",
  usage: { inputTokens: 1, outputTokens: 2, cacheReadTokens: 0, cacheWriteTokens: 0 },
  costMicros,
  estimated: false,
  outcome: "completed",
  startedAt: new Date().toISOString(),
  latencyMs: 1,
  grantId: "grt_1",
});
const settled = (
  spender: Spender,
  calls: CallRecord[],
  inFlight: Record<string, number> = {},
  release: string[] = [],
) =>
  within(spender, (tx) =>
    settle(tx, spender, {
      calls,
      inFlight: Object.entries(inFlight).map(([leaseId, reservedMicros]) => ({ leaseId, reservedMicros })),
      release,
    }),
  );
const money = (spender: Spender) => within(spender, (tx) => jobMoney(tx, spender.jobId));

describe("leases", () => {
  it("of twenty at once never book more than the limit", async () => {
    const job = spend();
    await limit(job, "job", 1_000);
    const replies = await Promise.all(Array.from({ length: 20 }, () => book(job, 400, 90)));
    const granted = replies.flatMap((reply) => (reply.outcome === "granted" ? [reply.amountMicros] : []));
    const sum = granted.reduce((a, b) => a + b, 0);
    expect(sum).toBeLessThanOrEqual(1_000);
    expect(sum).toBeGreaterThan(1_000 - 90);
    expect(granted.length).toBeLessThan(20);
    expect(await money(job)).toEqual({ spentMicros: 0, reservedMicros: sum, limitMicros: 1_000 });
  });

  it("hold over all scopes, booked by many jobs at once, without a deadlock", async () => {
    const first = spend();
    const jobs = Array.from({ length: 20 }, (_, i) =>
      spend({
        organizationId: first.organizationId,
        memberId: first.memberId,
        ...(i % 2 ? { projectId: first.projectId } : {}),
      }),
    );
    await limit(first, "organization", 900);
    await limit(first, "member", 700, "day");
    await limit(first, "project", 300);
    await Promise.all(jobs.map((job) => limit(job, "job", 100)));
    const replies = await Promise.all(jobs.flatMap((job) => [book(job, 60, 30), book(job, 60, 30)]));
    const sum = (of: (job: Spender) => boolean) =>
      replies.reduce(
        (all, reply, i) => all + (reply.outcome === "granted" && of(jobs[i >> 1]!) ? reply.amountMicros : 0),
        0,
      );
    expect(sum(() => true)).toBeLessThanOrEqual(700);
    expect(sum(() => true)).toBeGreaterThan(600);
    expect(sum((job) => job.projectId === first.projectId)).toBeLessThanOrEqual(300);
    for (const job of jobs) expect(sum((other) => other === job)).toBeLessThanOrEqual(100);
    const refused = replies.find((reply) => reply.outcome === "refused");
    expect(refused).toMatchObject({ code: "budget_exceeded", scope: expect.stringMatching(/^(member|project|job):/) });
  });

  it("are given back by the workspace that holds them, and by no other of the same job", async () => {
    const job = spend();
    const { leaseId } = await booked(job, 100);
    await settled({ ...job, workspaceId: newId("ws") }, [], {}, [leaseId]);
    expect((await money(job)).reservedMicros).toBe(100);
    await settled(job, [], {}, [leaseId]);
    expect((await money(job)).reservedMicros).toBe(0);
  });

  it("are one for a request that is repeated, also at once", async () => {
    const job = spend();
    const replies = await Promise.all(Array.from({ length: 6 }, () => book(job, 100, 10, "same")));
    expect(new Set(replies.map((reply) => (reply.outcome === "granted" ? reply.leaseId : "refused"))).size).toBe(1);
    expect((await money(job)).reservedMicros).toBe(100);
  });

  it("of another organization neither count nor can be settled", async () => {
    const mine = spend();
    await limit(mine, "organization", 100);
    const theirs = spend({ projectId: mine.projectId, memberId: mine.memberId, jobId: mine.jobId });
    const held = await booked(theirs, 5_000);
    expect(await booked(mine, 20)).toMatchObject({ amountMicros: 20 });
    expect(await settled(mine, [call(held.leaseId, 50)])).toEqual([]);
    expect(await settled(spend({ organizationId: theirs.organizationId }), [call(held.leaseId, 50)])).toEqual([]);
    expect(await within(mine, (tx) => listBudgets(tx))).toHaveLength(1);
    expect((await money(theirs)).spentMicros).toBe(0);
  });
});

describe("settling", () => {
  it("charges a call once and frees what was reserved for it", async () => {
    const job = spend();
    await limit(job, "job", 1_000);
    const held = await booked(job, 200);
    const made = call(held.leaseId, 70);
    expect(await settled(job, [made, made])).toHaveLength(1);
    expect(await settled(job, [made])).toEqual([]);
    expect(await money(job)).toMatchObject({ spentMicros: 70, reservedMicros: 130 });
    await settled(job, [], {}, [held.leaseId]);
    expect(await money(job)).toMatchObject({ spentMicros: 70, reservedMicros: 0 });
    const [budget] = await within(job, (tx) => listBudgets(tx));
    expect(budget).toMatchObject({ spentMicros: 70, reservedMicros: 0, limitMicros: 1_000 });
    expect((await within(job, (tx) => listCalls(tx, job.jobId, 10))).items).toMatchObject([
      { callId: made.callId, costMicros: 70 },
    ]);
  });

  it("counts an overshoot, so that the next lease is refused", async () => {
    const job = spend();
    await limit(job, "job", 100);
    const held = await booked(job, 100, 100);
    await settled(job, [call(held.leaseId, 130)], {}, [held.leaseId]);
    expect(await book(job, 1)).toMatchObject({ outcome: "refused", limitMicros: 100, spentMicros: 130 });
  });

  it("in many orders at once never deadlocks and forgets no call", async () => {
    const job = spend();
    const [a, b] = [await booked(job, 1_000), await booked(job, 1_000)];
    await Promise.all(
      Array.from({ length: 16 }, (_, i) => {
        const calls = [call(a.leaseId, 1), call(b.leaseId, 1)];
        return settled(job, i % 2 ? calls : calls.reverse());
      }),
    );
    expect(await money(job)).toMatchObject({ spentMicros: 32, reservedMicros: 1_968 });
  });

  it("counts a window from its start by the database's clock", async () => {
    const job = spend();
    await limit(job, "member", 100, "day");
    await settled(job, [call((await booked(job, 100, 100)).leaseId, 90)]);
    await within(job, (tx) => sql`update lease set state = 'released'`.execute(tx));
    expect(await book(job, 50, 50)).toMatchObject({ outcome: "refused" });
    await db.asAdmin(`update model_call set ts = now() - interval '25 hours' where job_id = '${job.jobId}'`);
    expect(await book(job, 50, 50)).toMatchObject({ outcome: "granted" });
  });
});

describe("a lost sidecar", () => {
  it("is charged for what was in flight, as estimated, once", async () => {
    const job = spend();
    const held = await booked(job, 500, 100);
    await settled(job, [call(held.leaseId, 40)], { [held.leaseId]: 80 });
    const lose = () => within(job, (tx) => loseLeases(tx, job, null));
    expect(await lose()).toMatchObject([{ costMicros: 80, estimated: true, outcome: "sidecar_lost" }]);
    expect(await lose()).toEqual([]);
    expect(await money(job)).toMatchObject({ spentMicros: 120, reservedMicros: 0 });
  });

  it("that had not said a word is charged for the call that waited for the lease", async () => {
    const job = spend();
    await booked(job, 500, 100);
    expect(await within(job, (tx) => loseLeases(tx, job, job.workspaceId))).toMatchObject([{ costMicros: 100 }]);
  });

  it("that reported nothing in flight costs nothing", async () => {
    const job = spend();
    const held = await booked(job, 500, 100);
    await settled(job, [call(held.leaseId, 40)], { [held.leaseId]: 0 });
    expect(await within(job, (tx) => loseLeases(tx, job, null))).toEqual([]);
    expect(await money(job)).toMatchObject({ spentMicros: 40, reservedMicros: 0 });
  });

  it("is corrected by its call's real cost, at most once and never below it", async () => {
    const job = spend();
    const held = await booked(job, 500, 100);
    await within(job, (tx) => loseLeases(tx, job, null));
    expect((await money(job)).spentMicros).toBe(100);
    const late = call(held.leaseId, 30);
    await settled(job, [late, late]);
    expect((await money(job)).spentMicros).toBe(100);
    await settled(job, [call(held.leaseId, 30)]);
    expect((await money(job)).spentMicros).toBe(130);
  });

  it("of another workspace of the attempt keeps its leases", async () => {
    const job = spend();
    const other = spend({ ...job, workspaceId: newId("ws") });
    await booked(job, 100, 10);
    await booked(other, 100, 10);
    expect(await within(job, (tx) => loseLeases(tx, job, job.workspaceId))).toHaveLength(1);
    expect((await money(job)).reservedMicros).toBe(100);
  });

  it("that nobody noticed is charged when its lease has run out", async () => {
    const job = spend();
    await booked(job, 500, 100);
    await within(job, (tx) => expireLeases(tx));
    expect(await money(job)).toMatchObject({ spentMicros: 0, reservedMicros: 500 });
    await within(job, (tx) => sql`update lease set expires_at = now() - interval '1 second'`.execute(tx));
    await within(job, (tx) => expireLeases(tx));
    expect(await money(job)).toMatchObject({ spentMicros: 100, reservedMicros: 0 });
  });
});
