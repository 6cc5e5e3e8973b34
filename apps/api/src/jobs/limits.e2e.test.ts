import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fix, TestService } from "./test/service.ts";

let x1: TestService;
beforeAll(async () => {
  x1 = await TestService.open();
});
afterAll(() => x1?.close());

/** Waits until a phase of the job has begun. */
const begun = (jobId: string, phase: string) =>
  expect
    .poll(async () => (await x1.events(jobId, "phase.started")).map(({ payload }) => payload.phase), {
      timeout: 30_000,
    })
    .toContain(phase);
const nothingRuns = (jobId: string) => expect.poll(() => x1.workspacesOf(jobId), { timeout: 60_000 }).toEqual([]);

describe("a step that would last", () => {
  it.each([
    ["set-up", { goal: fix, setup: "sleep 300" }, "setup"],
    ["a verification", { goal: fix, verify: "sleep 300" }, "verify"],
    // Fails where the change is missing, so the agent's turn outlives it.
    ["a baseline", { goal: "[[sleep 60]]", verify: "sleep 300" }, "baseline"],
  ] as const)("is cut short by a cancel: %s", async (_, body, phase) => {
    const { id } = await x1.create(body);
    await begun(id, phase);
    const asked = Date.now();
    await x1.client.cancelJob({ params: { jobId: id } });
    expect(await x1.reach(id, "cancelled")).toMatchObject({ reason: "cancelled_by_person" });
    expect(Date.now() - asked).toBeLessThan(60_000);
    await nothingRuns(id);
  });

  it("is cut short when the service stops, and the job goes on with its work afterwards", async () => {
    const { id } = await x1.create({ goal: fix, verify: "sleep 300" });
    await begun(id, "verify");
    const asked = Date.now();
    await x1.stop();
    expect(Date.now() - asked).toBeLessThan(60_000);
    await x1.start();
    await expect.poll(async () => (await x1.job(id)).attempt, { timeout: 30_000 }).toBe(2);
    const { attempts } = await x1.job(id);
    expect(attempts[0]).toMatchObject({ outcome: "stopped" });
    await x1.client.cancelJob({ params: { jobId: id } });
    await x1.reach(id, "cancelled");
  });

  it("ends with the job's time", async () => {
    const { id } = await x1.create({ goal: fix, verify: "sleep 300", limits: { jobMs: 10_000 } });
    expect(await x1.reach(id, "timed_out")).toMatchObject({ reason: "time_limit" });
    await nothingRuns(id);
  });
});

describe("a limit of time", () => {
  it("ends a set-up, with the command in the reason", async () => {
    const { id } = await x1.create({ goal: fix, setup: "sleep 300", limits: { setupMs: 1_000 } });
    expect(await x1.reach(id, "failed")).toMatchObject({
      reason: "setup_failed",
      reasonDetail: "`sleep 300` ran out of time.",
    });
    await nothingRuns(id);
  });

  it("ends a verification, which then counts as failed", async () => {
    const { id } = await x1.create({ goal: fix, verify: "sleep 300", maxRounds: 0, limits: { verifyMs: 1_000 } });
    expect(await x1.reach(id, "awaiting_approval")).toMatchObject({ reason: "rounds_exhausted" });
    const { items } = await x1.client.listEvidence({ params: { jobId: id } });
    expect(items[0]?.record.verification).toMatchObject({ passed: false, verify: { timedOut: true, exitCode: null } });
  });

  it("ends a turn in which nothing is heard", async () => {
    const { id } = await x1.create({ goal: "[[sleep 120]]", limits: { stallMs: 3_000 } });
    expect(await x1.reach(id, "timed_out")).toMatchObject({ reason: "no_progress" });
    await nothingRuns(id);
  });

  it("ends a question that nobody answers, and nothing is spent meanwhile", async () => {
    const { id } = await x1.create({ goal: "[[ask Shall I?]]", limits: { answerMs: 2_000 } });
    expect(await x1.reach(id, "timed_out")).toMatchObject({ reason: "question_expired", spentMicros: 0 });
    expect((await x1.job(id)).openQuestions).toEqual([]);
    await nothingRuns(id);
  });
});

describe("a reviewer", () => {
  it("asks for changes, and gets another round on the same work", async () => {
    const { id } = await x1.create({ goal: "[[edit first.txt one]]", verify: "test -f first.txt" });
    const first = await x1.reach(id, "awaiting_approval");
    await x1.client.decide({
      params: { jobId: id },
      body: {
        ...{ decision: "request_changes", digest: first.approvalDigest ?? "", comment: "[[edit second.txt two]]" },
        comments: [{ path: "first.txt", line: 1, side: "new", text: "[[edit third.txt three]]" }],
      },
    });
    await expect.poll(async () => (await x1.job(id)).attempt, { timeout: 30_000 }).toBe(2);
    const second = await x1.reach(id, "awaiting_approval");
    expect(second.approvalDigest).not.toBe(first.approvalDigest);
    const { items } = await x1.client.listEvidence({ params: { jobId: id } });
    const newest = items.find(({ approvalDigest }) => approvalDigest === second.approvalDigest);
    expect(newest?.record.files.map(({ path }) => path).sort()).toEqual(["first.txt", "second.txt", "third.txt"]);
    expect((await x1.events(id, "approval.recorded"))[0]?.payload).toMatchObject({
      comments: [{ path: "first.txt", line: 1, side: "new", text: "[[edit third.txt three]]" }],
    });
    // What the first look saw can no longer be approved.
    await expect(
      x1.client.decide({ params: { jobId: id }, body: { decision: "approve", digest: first.approvalDigest ?? "" } }),
    ).rejects.toMatchObject({ code: "digest_mismatch" });
  });
});

describe("a job that ended", () => {
  it.each(["timed_out", "cancelled"] as const)("goes on with its work and its conversation: %s", async (state) => {
    const { id } = await x1.create({
      goal: "[[edit first.txt one]][[sleep 60]]",
      verify: "test -f first.txt",
      // Not less: the second attempt has the same limit, and begins on a busy machine.
      limits: { stallMs: state === "timed_out" ? 10_000 : 60_000 },
    });
    await expect.poll(async () => (await x1.events(id, "tool.ended")).length, { timeout: 30_000 }).toBe(1);
    if (state === "cancelled") await x1.client.cancelJob({ params: { jobId: id } });
    await x1.reach(id, state);
    await x1.client.retryJob({ params: { jobId: id }, body: {} });
    const again = await x1.reach(id, "awaiting_approval");
    const ends = (await x1.events(id, "attempt.ended")).map(({ payload }) => JSON.stringify(payload)).join("\n");
    expect(again, ends).toMatchObject({ reason: "verification_passed", attempt: 2 });
    const inits = await x1.events(id, "session.init");
    expect(inits.map(({ payload }) => payload.resumed)).toEqual([false, true]);
  });
});

describe("a policy", () => {
  it("approves what stays within it, under its own name", async () => {
    const repository = await x1.createRepository("by-policy", { "a.txt": "a\n" });
    const project = await x1.client.createProject({
      body: {
        name: "by policy",
        repository,
        // A policy approves nothing whose tests report nothing, here or at the base, nor a file that the command names.
        verify: "echo '# pass 1'; echo '# fail 0'; ls | grep -q ^b",
        approval: { mode: "auto", maxFiles: 2, maxLines: 10, maxCostMicros: 1_000_000, paths: ["**"] },
      } as never,
    });
    const { id } = await x1.client.createJob({
      body: { projectId: project.id, runtime: "mock", goal: "[[edit b.txt b]]" } as never,
    });
    await x1.reach(id, "succeeded");
    const { items } = await x1.client.listApprovals({ params: { jobId: id } });
    expect(items).toMatchObject([{ decision: "approve", actor: { kind: "policy" } }]);
    // Tried over what has been: the policy as it is, and a tighter one.
    const trial = (policy: object) =>
      x1.client.tryApprovalPolicy({ params: { projectId: project.id }, body: { policy: { mode: "auto", ...policy } } });
    expect(await trial({})).toMatchObject({ considered: 1, approved: 1, items: [{ jobId: id, reasons: [] }] });
    expect(await trial({ paths: ["docs/**"] })).toMatchObject({
      approved: 0,
      items: [{ reasons: ["b.txt is outside the policy's paths."] }],
    });
  });
});

describe("a baseline", () => {
  it("is run once for a commit and its commands", async () => {
    const body = { goal: fix, verify: "true; bash check.sh" };
    const first = await x1.create(body);
    await x1.reach(first.id, "awaiting_approval");
    const second = await x1.create(body);
    await x1.reach(second.id, "awaiting_approval");
    const phases = async (id: string) =>
      (await x1.events(id, "phase.started")).filter(({ payload }) => payload.phase === "baseline").length;
    expect([await phases(first.id), await phases(second.id)]).toEqual([1, 0]);
    const record = async (id: string) => (await x1.client.listEvidence({ params: { jobId: id } })).items[0]?.record;
    expect((await record(second.id))?.baseline).toMatchObject({ passed: false });
    expect((await record(second.id))?.baseline).toEqual((await record(first.id))?.baseline);
  });
});
