import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fix, TestService } from "./test/service.ts";

let x1: TestService;
beforeAll(async () => {
  x1 = await TestService.open();
});
afterAll(() => x1?.close());

describe("an agent that lies about its work", () => {
  it("ends without a work product when it claims success, also through a commit, a stash or a moved branch", async () => {
    const goal =
      "[[shell git commit -q --allow-empty -m 'fixed'; git branch fixed; echo x > y; git add y; git stash -q; git tag done]][[claim-success]]";
    const { id } = await x1.create({ goal });
    expect(await x1.reach(id, "no_changes")).toMatchObject({ reason: "no_work_product", approvalDigest: null });
    // Planted: the same words with a change are a work product.
    const honest = await x1.create({ goal: `${fix}[[claim-success]]` });
    await x1.reach(honest.id, "awaiting_approval");
  });

  it.each(["job.state", "approval.recorded", "verification.ended", "command.ended", "model.call", "publication.ended"])(
    "has no %s of its own on record",
    async (type) => {
      const { id } = await x1.create({ goal: `[[forge ${type}]]${fix}`, verify: "true" });
      await x1.reach(id, "awaiting_approval");
      const events = await x1.events(id, type);
      expect(events.every(({ source }) => source === "observed")).toBe(true);
      // What it made up says so.
      expect(events.some(({ payload }) => payload.to === "succeeded")).toBe(false);
    },
  );

  it("gains nothing by events without end, and the record stays bounded", async () => {
    const { id } = await x1.create({ goal: "[[flood 400MB]]", verify: "true" });
    await expect.poll(async () => (await x1.job(id)).endedAt, { timeout: 120_000 }).not.toBeNull();
    // Cut off by its host where it is fast enough, drained where it is not: a work product it is in no case.
    expect(["failed", "lost", "no_changes"]).toContain((await x1.job(id)).state);
    let bytes = 0;
    for (const event of await x1.events(id, "agent.text")) bytes += JSON.stringify(event).length;
    expect(bytes).toBeLessThan(64 * 1024 ** 2);
    const next = await x1.create({ goal: fix });
    await x1.reach(next.id, "awaiting_approval");
  });

  it("gets no answer for a session that is dead, nor for a question that nobody asked", async () => {
    const { id } = await x1.create({ goal: `[[ask Shall I?]]${fix}` });
    const waiting = await x1.reach(id, "awaiting_input");
    const requestId = waiting.openQuestions[0]?.requestId ?? "";
    const answer = (question: string) =>
      x1.client.answerQuestion({ params: { jobId: id }, body: { requestId: question, text: "yes" } });
    await expect(answer("nobody-asked")).rejects.toMatchObject({ code: "unknown_request" });
    await x1.client.cancelJob({ params: { jobId: id } });
    await x1.reach(id, "cancelled");
    await expect(answer(requestId)).rejects.toMatchObject({
      code: expect.stringMatching(/unknown_request|session_ended|illegal_transition|no_session|not_found/),
    });
  });
});

/** The command fails, whatever the code under it does: its status is the kernel's, told to the driver from outside. */
describe("code under verification that would answer for its own status", () => {
  const lie: Record<string, string> = {
    "writes to every descriptor and to its parents'":
      'for f in /proc/[0-9]*/fd/*; do printf \'{"exit-code": 0}\\nready\\n\' > $f; done 2>/dev/null; for n in 3 4 5 6 7 8 9; do eval "printf \'{\\"exit-code\\": 0}\' >&$n"; done 2>/dev/null',
    "kills its parents":
      "(sleep 0.2; kill -9 $PPID 1; kill -9 -1) 2>/dev/null & kill -9 $PPID 2>/dev/null; kill -KILL 1 2>/dev/null",
    "prints the platform's own words":
      "echo 'x1 done Y2hhbmdlZA=='; echo '{\"exitCode\":0,\"timedOut\":false,\"passed\":true}'; printf '# pass 9\\n# fail 0\\n'",
    "leaves a child that ends well later": "(setsid sh -c 'sleep 1; exit 0' >/dev/null 2>&1 &)",
  };
  it.each(Object.entries(lie))("does not pass: %s", async (_, script) => {
    const { id } = await x1.create({
      goal: `[[edit lie.sh ${script}]]`,
      // The code runs below the command, which then fails.
      verify: "bash lie.sh; bash check.sh",
      maxRounds: 0,
    });
    const job = await x1.reach(id, "awaiting_approval");
    expect(job.reason).toBe("rounds_exhausted");
    const { record } = await x1.evidenceOf(id);
    expect(record.verification.passed).toBe(false);
    expect(record.verification.verify?.exitCode).not.toBe(0);
  });

  it("passes with the same lies where the work is right", async () => {
    const { id } = await x1.create({
      goal: `${fix}[[edit lie.sh ${lie["prints the platform's own words"]}]]`,
      verify: "bash lie.sh; bash check.sh",
    });
    expect(await x1.reach(id, "awaiting_approval")).toMatchObject({ reason: "verification_passed" });
  });
});

/** What the project's own command means is the project's. A change that bends it is named, and never published by a policy. */
describe("a change that bends its own verification", () => {
  const bent: [name: string, goal: string, path: string][] = [
    [
      "a preload in NODE_OPTIONS by .npmrc",
      "[[edit .npmrc node-options=--require ./quit.cjs]][[edit quit.cjs process.exit(0);]]",
      ".npmrc",
    ],
    ["a script shell that says yes", "[[edit .npmrc script-shell=/bin/true]]", ".npmrc"],
    [
      "a program of its own in node_modules/.bin",
      "[[shell mkdir -p node_modules/.bin; printf '#!/bin/sh\\nexit 0\\n' > node_modules/.bin/check; chmod 755 node_modules/.bin/check]]",
      "node_modules/.bin/check",
    ],
    [
      "another script of that name",
      '[[edit package.json {"name":"bent","private":true,"scripts":{"test":"true"}}]]',
      "package.json",
    ],
    ["another test", "[[edit test/check.test.mjs process.exit(0);]]", "test/check.test.mjs"],
  ];
  it.each(bent)("goes to a person with its path flagged: %s", async (name, goal, path) => {
    const repository = await x1.createRepository(`bent-${bent.findIndex(([known]) => known === name)}`, {
      "package.json": '{"name":"bent","private":true,"scripts":{"test":"check || node --test test/"}}\n',
      "test/check.test.mjs": 'import { add } from "../add.mjs";\nif (add(1, 2) !== 3) process.exit(1);\n',
      "add.mjs": "export const add = (a, b) => a - b;\n",
    });
    const project = await x1.client.createProject({
      body: {
        name: `bent ${name}`.slice(0, 60),
        repository,
        verify: "npm test",
        approval: { mode: "auto", maxFiles: 50, maxLines: 5_000, maxCostMicros: 1_000_000, paths: ["**"] },
      } as never,
    });
    const { id } = await x1.client.createJob({
      body: { projectId: project.id, runtime: "mock", goal, maxRounds: 0 } as never,
    });
    const job = await x1.reach(id, "awaiting_approval");
    const { record } = await x1.evidenceOf(id);
    const file = record.files.find((entry) => entry.path === path);
    expect(file?.flags.length, `${path} is flagged`).toBeGreaterThan(0);
    expect(record.risks?.find(({ kind }) => kind === "judge_changed")?.reason).toContain(path);
    // Whether the bent command passes or not: no policy lets it through.
    if (record.verification.passed) expect(job.reasonDetail).toContain(path);
    expect((await x1.client.listApprovals({ params: { jobId: id } })).items).toEqual([]);
  });

  it.each([
    ["ends the process of its tests with 0", "node --test", "test files passed without a test"],
    [
      "ends their process where they are run by themselves",
      "node check.test.mjs",
      "no test reported, 3 ran at the base",
    ],
  ])("goes to a person with numbers when its code %s", async (name, verify, doubt) => {
    const repository = await x1.createRepository(`early-${verify.length}`, {
      "package.json": '{"name":"early","private":true}\n',
      "check.test.mjs":
        'import test from "node:test";\nimport { add } from "./add.mjs";\nfor (const b of [1, 2, 3]) test("adds " + b, () => { if (add(1, b) !== 1 + b) throw 0; });\n',
      "add.mjs": "export const add = (a, b) => a - b;\n",
    });
    const approval = { mode: "auto", maxFiles: 50, maxLines: 5_000, maxCostMicros: 1_000_000, paths: ["**"] };
    const project = await x1.client.createProject({ body: { name, repository, verify, approval } as never });
    const { id } = await x1.client.createJob({
      body: {
        projectId: project.id,
        runtime: "mock",
        goal: "[[edit add.mjs export const add = 0; process.exit(0);]]",
        maxRounds: 0,
      } as never,
    });
    const job = await x1.reach(id, "awaiting_approval");
    const { record } = await x1.evidenceOf(id);
    // The command ended with 0, and no path of the change is a test's.
    expect(record.verification.passed).toBe(true);
    expect(record.files.flatMap(({ flags }) => flags)).toEqual([]);
    expect(record.risks?.map(({ reason }) => reason).join()).toContain(doubt);
    expect(job.reasonDetail).toContain(doubt);
    expect((await x1.client.listApprovals({ params: { jobId: id } })).items).toEqual([]);
  });

  it("is published by the same policy where nothing is bent", async () => {
    const repository = await x1.createRepository("straight", {
      "package.json": '{"name":"straight","private":true,"scripts":{"test":"node --test test/"}}\n',
      "test/check.test.mjs":
        'import test from "node:test";\nimport { add } from "../add.mjs";\ntest("adds", () => { if (add(1, 2) !== 3) throw 0; });\n',
      "add.mjs": "export const add = (a, b) => a - b;\n",
    });
    const approval = { mode: "auto", maxFiles: 50, maxLines: 5_000, maxCostMicros: 1_000_000, paths: ["**"] };
    const project = await x1.client.createProject({
      body: { name: "straight", repository, verify: "npm test", approval } as never,
    });
    const { id } = await x1.client.createJob({
      body: { projectId: project.id, runtime: "mock", goal: fix, maxRounds: 0 } as never,
    });
    await x1.reach(id, "succeeded");
  });
});

describe("what an agent leaves in its home", () => {
  it("does not reach the next attempt, but for the conversation that the manifest names", async () => {
    const plant =
      "echo planted > ~/.bashrc; echo planted > ~/.npmrc; echo planted > ~/.mock/settings.json; echo planted > ~/.mock/sessions/notes.txt";
    const { id } = await x1.create({
      goal: `[[edit first.txt one]][[shell ${plant}; find ~ -type f > before.txt]]`,
      verify: "cat before.txt; echo; echo THEN; cat seen.txt 2>/dev/null; test -f first.txt",
    });
    const first = await x1.reach(id, "awaiting_approval");
    await x1.client.decide({
      params: { jobId: id },
      body: {
        ...{ decision: "request_changes", digest: first.approvalDigest ?? "" },
        comment: "[[shell find ~ -type f > seen.txt]]",
      },
    });
    await expect.poll(async () => (await x1.job(id)).attempt, { timeout: 30_000 }).toBe(2);
    const second = await x1.reach(id, "awaiting_approval");
    const { items } = await x1.client.listEvidence({ params: { jobId: id } });
    const newest = items.find(({ approvalDigest }) => approvalDigest === second.approvalDigest);
    const [before = "", then = ""] = (newest?.record.verification.verify?.outputTail ?? "").split("THEN");
    // Planted: they were there, and the same look found them.
    for (const name of [".bashrc", ".npmrc", "settings.json", "notes.txt"]) expect(before).toContain(name);
    expect(then).toMatch(/\.mock\/sessions\/[\w-]+\.jsonl/);
    expect(then).not.toMatch(/bashrc|npmrc|settings\.json|notes\.txt/);
  });
});
