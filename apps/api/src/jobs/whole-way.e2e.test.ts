import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fix, TestService } from "./test/service.ts";

let x1: TestService;
beforeAll(async () => {
  x1 = await TestService.open();
});
afterAll(() => x1?.close());

const branch = (name: string) =>
  execFileSync("git", ["-C", x1.repository, "rev-parse", name], { encoding: "utf8" }).trim();

describe("a job, the whole way", () => {
  it("goes from a goal to the very commit that was approved", async () => {
    const { id } = await x1.create({ goal: fix });
    const waiting = await x1.reach(id, "awaiting_approval");
    const { items } = await x1.client.listEvidence({ params: { jobId: id } });
    const evidence = items[0];
    expect(evidence?.record).toMatchObject({
      verification: { passed: true },
      baseline: { passed: false },
      insertions: 1,
    });
    expect(waiting.approvalDigest).toBe(evidence?.approvalDigest);
    await expect.poll(() => x1.workspacesOf(id), { timeout: 60_000 }).toEqual([]);
    await x1.client.decide({
      params: { jobId: id },
      body: { decision: "approve", digest: waiting.approvalDigest ?? "" },
    });
    const done = await x1.reach(id, "succeeded");
    expect(branch(done.targetBranch ?? "")).toBe(evidence?.record.commit);
  });

  it("ends without a work product when the agent only says that it is done", async () => {
    const { id } = await x1.create({ goal: "[[claim-success]]" });
    expect(await x1.reach(id, "no_changes")).toMatchObject({ reason: "no_work_product" });
    await expect.poll(() => x1.workspacesOf(id), { timeout: 60_000 }).toEqual([]);
  });

  it("hands a failed verification back, and takes the work of the next round", async () => {
    // The output is handed back as data; the scripted runtime takes its orders from there.
    const { id } = await x1.create({ goal: "[[edit add.mjs wrong]]", verify: `echo '${fix}'; bash check.sh` });
    expect(await x1.reach(id, "awaiting_approval")).toMatchObject({ reason: "verification_passed", round: 2 });
  });

  it("shows the last verification when the rounds are used up", async () => {
    const { id } = await x1.create({
      goal: "[[edit add.mjs wrong]]",
      verify: "echo '[[say sorry]]'; false",
      maxRounds: 1,
    });
    const job = await x1.reach(id, "awaiting_approval");
    expect(job).toMatchObject({ reason: "rounds_exhausted", round: 2 });
    const approve = x1.client.decide({
      params: { jobId: id },
      body: { decision: "approve", digest: job.approvalDigest ?? "" },
    });
    await expect(approve).rejects.toMatchObject({ code: "verification_failed" });

    // What a reviewer then asks for has rounds of its own: a failure in between is the agent's to mend.
    const body = {
      decision: "request_changes" as const,
      digest: job.approvalDigest ?? "",
      comment: "[[edit a.txt a]]",
    };
    await x1.client.decide({ params: { jobId: id }, body });
    await expect.poll(async () => (await x1.job(id)).round, { timeout: 120_000, interval: 100 }).toBe(4);
    expect(await x1.reach(id, "awaiting_approval")).toMatchObject({ reason: "rounds_exhausted", round: 4, attempt: 2 });
  });

  it("refuses what a runtime forges, and stores it as a refusal", async () => {
    const { id } = await x1.create({ goal: `[[forge job.state]]${fix}` });
    await x1.reach(id, "awaiting_approval");
    // The host refuses it inside already; the record must hold none, whoever refused.
    expect((await x1.events(id, "job.state")).every(({ source }) => source === "observed")).toBe(true);
    expect((await x1.events(id, "job.state")).some(({ payload }) => payload.to === "succeeded")).toBe(false);
  });

  it("waits for an answer and goes on with it", async () => {
    const { id } = await x1.create({ goal: `[[ask Shall I?]]${fix}` });
    const waiting = await x1.reach(id, "awaiting_input");
    const question = waiting.openQuestions[0];
    expect(question?.title).toContain("Shall I?");
    const optionId = question?.options[0]?.optionId;
    await x1.client.answerQuestion({
      params: { jobId: id },
      body: { requestId: question?.requestId ?? "", ...(optionId ? { optionId } : { text: "yes" }) },
    });
    await x1.reach(id, "awaiting_approval");
    const { actor } = await x1.client.me();
    const [answered] = await x1.events(id, "permission.resolved");
    expect(answered?.payload).toMatchObject({ outcome: "selected", actor: `${actor.kind}:${actor.id}` });
    // The goal is the platform's to say: nobody sent it to the session.
    expect((await x1.events(id, "user.message"))[0]?.payload).not.toHaveProperty("actor");
  });

  it("cancels, and leaves nothing running", async () => {
    const { id } = await x1.create({ goal: "[[sleep 60]]" });
    await x1.reach(id, "running");
    await x1.client.cancelJob({ params: { jobId: id } });
    expect(await x1.reach(id, "cancelled")).toMatchObject({ reason: "cancelled_by_person" });
    await expect.poll(() => x1.workspacesOf(id), { timeout: 60_000 }).toEqual([]);
  });

  it("tries a lost runtime three times and then says that the job is lost", async () => {
    const { id } = await x1.create({ goal: "[[hang]]" });
    for (const number of [1, 2, 3]) {
      await expect
        .poll(
          async () => {
            const job = await x1.client.getJob({ params: { jobId: id } });
            return job.attempt === number ? job.state : "another attempt";
          },
          { timeout: 20_000 },
        )
        .toMatch(number === 1 ? /^running$/ : /^(running|verifying)$/);
      const [info] = (await x1.workspacesOf(id)).filter(({ purpose }) => purpose === "agent");
      await (await x1.driver.get(info?.id ?? ""))?.stopHost();
    }
    expect(await x1.reach(id, "lost")).toMatchObject({ reason: "attempts_exhausted" });
  });

  it("resumes session and work in a new attempt after the service was stopped in the middle of a turn", async () => {
    const { id } = await x1.create({ goal: "[[edit first.txt one]][[sleep 30]]", verify: "test -f first.txt" });
    await x1.reach(id, "running");
    await expect.poll(async () => (await x1.events(id, "tool.ended")).length, { timeout: 60_000 }).toBeGreaterThan(0);
    await x1.stop();
    await x1.start();
    expect(await x1.reach(id, "awaiting_approval")).toMatchObject({ reason: "verification_passed", attempt: 2 });
    const { attempts } = await x1.client.getJob({ params: { jobId: id } });
    expect(attempts[0]).toMatchObject({ outcome: "stopped" });
    const inits = await x1.events(id, "session.init");
    expect(inits.map(({ payload }) => payload.resumed)).toEqual([false, true]);
    expect(inits[1]?.payload.sessionId).toBe(inits[0]?.payload.sessionId);
  });

  it("stops when the budget is spent, and keeps what was done", async () => {
    const { id } = await x1.create({ goal: "[[edit first.txt one]][[calls 20 parallel]]", budgetMicros: 100 });
    expect(await x1.reach(id, "budget_exceeded")).toMatchObject({ reason: "budget_exceeded" });
    const { items } = await x1.client.listEvidence({ params: { jobId: id } });
    expect(items[0]?.record).toMatchObject({ verification: { passed: null }, files: [{ path: "first.txt" }] });
  });

  it("asks the model through the sidecar, and accounts for every call", async () => {
    const before = x1.model.requests.length;
    const { id } = await x1.create({ goal: "Say something." });
    await x1.reach(id, "no_changes");
    expect(x1.model.requests.length).toBeGreaterThan(before);
    const { items } = await x1.client.listCalls({ params: { jobId: id } });
    expect(items.length).toBeGreaterThan(0);
    expect((await x1.client.getJob({ params: { jobId: id } })).spentMicros).toBe(
      items.reduce((sum, call) => sum + call.costMicros, 0),
    );
    expect((await x1.events(id, "model.call")).length).toBe(items.length);
  });
});
