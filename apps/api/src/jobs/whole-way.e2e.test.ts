import { execFileSync } from "node:child_process";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, createClient } from "@x1agent/client";
import type { Job, JobState, StoredEvent } from "@x1agent/contract";
import { createLocalDriver } from "@x1agent/driver-local";
import { buildOverlay } from "@x1agent/overlay";
import { createRepository, type ModelServer, startModelServer } from "@x1agent/testkit";
import type { WorkspaceDriver } from "@x1agent/workspaces";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createAssembly } from "../assemble.ts";
import { type Service, startService } from "../service.ts";
import { parseStartOptions } from "../start/options.ts";
import { startJobs } from "./index.ts";

/** The scripted runtime takes its orders from the goal, and asks the scripted model where there are none. */
const runtime = "mock";
let root: string;
let service: Service;
let client: Client;
let model: ModelServer;
let driver: WorkspaceDriver;
let repository: string;

async function start(): Promise<void> {
  service = await startService(
    parseStartOptions(["--data", join(root, "data"), "--master-key", join(root, "key"), "--port", "0"], {}),
    createAssembly({
      async createDriver({ options }) {
        const overlay = await buildOverlay({
          outDir: join(options.dataDir, "overlay"),
          root: join(import.meta.dirname, "../../../.."),
        });
        driver = createLocalDriver({ runDir: join(options.dataDir, "run"), overlayDir: overlay.dir });
        return driver;
      },
      startLoop: startJobs,
    }),
  );
  client = createClient({ baseUrl: service.url, token: (await readFile(service.tokenFile, "utf8")).trim() });
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "x1-way-"));
  await chmod(root, 0o755);
  repository = (
    await createRepository(join(root, "repository"), {
      "add.mjs": "export const add = (a, b) => a - b;\n",
      "check.sh": "grep -q 'a + b' add.mjs\n",
      "AGENTS.md": "Be brief.\n",
    })
  ).directory;
  model = await startModelServer();
  await start();
  await client.setProvider({ params: { name: "anthropic" }, body: { baseUrl: model.url, allowPrivate: true } });
  await client.setSecret({ params: { name: "anthropic" }, body: { value: model.key } });
  for await (const _ of client.lines("installRuntime", { params: { name: runtime } }));
});
afterAll(async () => {
  await service?.close();
  await model?.close();
  await rm(root, { recursive: true, force: true });
});

const fix = "[[edit add.mjs export const add = (a, b) => a + b;]]";
const create = (body: {
  goal: string;
  verify?: string;
  setup?: string;
  ask?: boolean;
  maxRounds?: number;
  budgetMicros?: number;
  limits?: object;
}) => client.createJob({ body: { repository, runtime, verify: "bash check.sh", ...body } as never });
/** What is stored of one type so far. */
const events = async (jobId: string, type: string): Promise<StoredEvent[]> => {
  const found: StoredEvent[] = [];
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), 500);
  try {
    for await (const event of client.events(jobId, { signal: abort.signal }))
      if (event.type === type) found.push(event as StoredEvent);
  } catch (error) {
    if (!abort.signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
  }
  return found;
};

/** Waits for a state; a job that ends in another says so with its reason. */
async function reach(jobId: string, ...states: JobState[]): Promise<Job> {
  for (const end = Date.now() + 60_000; Date.now() < end; ) {
    const job = (await client.getJob({ params: { jobId } })) as Job;
    if (states.includes(job.state)) return job;
    if (job.endedAt) throw new Error(`The job ended ${job.state}: ${job.reason}, ${job.reasonDetail}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const job = await client.getJob({ params: { jobId } });
  throw new Error(`The job is still ${job.state} (${job.reason}).`);
}
const workspacesOf = async (jobId: string) => (await driver.list()).filter((info) => info.jobId === jobId);
const branch = (name: string) =>
  execFileSync("git", ["-C", repository, "rev-parse", name], { encoding: "utf8" }).trim();

describe("a job, the whole way", () => {
  it("goes from a goal to the very commit that was approved", async () => {
    const { id } = await create({ goal: fix });
    const waiting = await reach(id, "awaiting_approval");
    const { items } = await client.listEvidence({ params: { jobId: id } });
    const evidence = items[0];
    expect(evidence?.record).toMatchObject({
      verification: { passed: true },
      baseline: { passed: false },
      insertions: 1,
    });
    expect(waiting.approvalDigest).toBe(evidence?.approvalDigest);
    await expect.poll(() => workspacesOf(id), { timeout: 10_000 }).toEqual([]);
    await client.decide({
      params: { jobId: id },
      body: { decision: "approve", digest: waiting.approvalDigest ?? "" },
    });
    const done = await reach(id, "succeeded");
    expect(branch(done.targetBranch ?? "")).toBe(evidence?.record.commit);
  });

  it("ends without a work product when the agent only says that it is done", async () => {
    const { id } = await create({ goal: "[[claim-success]]" });
    expect(await reach(id, "no_changes")).toMatchObject({ reason: "no_work_product" });
    await expect.poll(() => workspacesOf(id), { timeout: 10_000 }).toEqual([]);
  });

  it("hands a failed verification back, and takes the work of the next round", async () => {
    // The output is handed back as data; the scripted runtime takes its orders from there.
    const { id } = await create({ goal: "[[edit add.mjs wrong]]", verify: `echo '${fix}'; bash check.sh` });
    expect(await reach(id, "awaiting_approval")).toMatchObject({ reason: "verification_passed", round: 2 });
  });

  it("shows the last verification when the rounds are used up", async () => {
    const { id } = await create({
      goal: "[[edit add.mjs wrong]]",
      verify: "echo '[[say sorry]]'; false",
      maxRounds: 1,
    });
    const job = await reach(id, "awaiting_approval");
    expect(job).toMatchObject({ reason: "rounds_exhausted", round: 2 });
    const approve = client.decide({
      params: { jobId: id },
      body: { decision: "approve", digest: job.approvalDigest ?? "" },
    });
    await expect(approve).rejects.toMatchObject({ code: "verification_failed" });
  });

  it("refuses what a runtime forges, and stores it as a refusal", async () => {
    const { id } = await create({ goal: `[[forge job.state]]${fix}` });
    await reach(id, "awaiting_approval");
    // The host refuses it inside already; the record must hold none, whoever refused.
    expect((await events(id, "job.state")).every(({ source }) => source === "observed")).toBe(true);
    expect((await events(id, "job.state")).some(({ payload }) => payload.to === "succeeded")).toBe(false);
  });

  it("waits for an answer and goes on with it", async () => {
    const { id } = await create({ goal: `[[ask Shall I?]]${fix}` });
    const waiting = await reach(id, "awaiting_input");
    const question = waiting.openQuestions[0];
    expect(question?.title).toContain("Shall I?");
    const optionId = question?.options[0]?.optionId;
    await client.answerQuestion({
      params: { jobId: id },
      body: { requestId: question?.requestId ?? "", ...(optionId ? { optionId } : { text: "yes" }) },
    });
    await reach(id, "awaiting_approval");
  });

  it("cancels, and leaves nothing running", async () => {
    const { id } = await create({ goal: "[[sleep 60]]" });
    await reach(id, "running");
    await client.cancelJob({ params: { jobId: id } });
    expect(await reach(id, "cancelled")).toMatchObject({ reason: "cancelled_by_person" });
    await expect.poll(() => workspacesOf(id), { timeout: 10_000 }).toEqual([]);
  });

  it("tries a lost runtime three times and then says that the job is lost", async () => {
    const { id } = await create({ goal: "[[hang]]" });
    for (const number of [1, 2, 3]) {
      await expect
        .poll(
          async () => {
            const job = await client.getJob({ params: { jobId: id } });
            return job.attempt === number ? job.state : "another attempt";
          },
          { timeout: 20_000 },
        )
        .toMatch(number === 1 ? /^running$/ : /^(running|verifying)$/);
      const [info] = (await workspacesOf(id)).filter(({ purpose }) => purpose === "agent");
      await (await driver.get(info?.id ?? ""))?.stopHost();
    }
    expect(await reach(id, "lost")).toMatchObject({ reason: "attempts_exhausted" });
  });

  it("resumes session and work in a new attempt after the service was stopped in the middle of a turn", async () => {
    const { id } = await create({ goal: "[[edit first.txt one]][[sleep 30]]", verify: "test -f first.txt" });
    await reach(id, "running");
    await expect.poll(async () => (await events(id, "tool.ended")).length, { timeout: 10_000 }).toBeGreaterThan(0);
    await service.close();
    await start();
    expect(await reach(id, "awaiting_approval")).toMatchObject({ reason: "verification_passed", attempt: 2 });
    const { attempts } = await client.getJob({ params: { jobId: id } });
    expect(attempts[0]).toMatchObject({ outcome: "stopped" });
    const inits = await events(id, "session.init");
    expect(inits.map(({ payload }) => payload.resumed)).toEqual([false, true]);
    expect(inits[1]?.payload.sessionId).toBe(inits[0]?.payload.sessionId);
  });

  it("stops when the budget is spent, and keeps what was done", async () => {
    const { id } = await create({ goal: "[[edit first.txt one]][[calls 20 parallel]]", budgetMicros: 100 });
    expect(await reach(id, "budget_exceeded")).toMatchObject({ reason: "budget_exceeded" });
    const { items } = await client.listEvidence({ params: { jobId: id } });
    expect(items[0]?.record).toMatchObject({ verification: { passed: null }, files: [{ path: "first.txt" }] });
  });

  it("asks the model through the sidecar, and accounts for every call", async () => {
    const before = model.requests.length;
    const { id } = await create({ goal: "Say something." });
    await reach(id, "no_changes");
    expect(model.requests.length).toBeGreaterThan(before);
    const { items } = await client.listCalls({ params: { jobId: id } });
    expect(items.length).toBeGreaterThan(0);
    expect((await client.getJob({ params: { jobId: id } })).spentMicros).toBe(
      items.reduce((sum, call) => sum + call.costMicros, 0),
    );
    expect((await events(id, "model.call")).length).toBe(items.length);
  });
});
