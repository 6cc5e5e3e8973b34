import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Client, createClient } from "@x1agent/client";
import type { JobState } from "@x1agent/contract";
import { createLocalDriver } from "@x1agent/driver-local";
import {
  attemptEnds,
  createRepository,
  createServerDatabase,
  type ModelServer,
  runSql,
  startModelServer,
  storedEvents,
} from "@x1agent/testkit";
import { GithubStandIn } from "@x1agent/testkit/github";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/** Processes are killed without warning in the middle of a job; the job ends right, once, and nothing is left over. */
class Service {
  client!: Client;
  readonly #data: string;
  readonly #key: string;
  readonly #databaseUrl: string | undefined;
  #child!: ChildProcess;

  constructor(root: string, name: string, databaseUrl?: string) {
    this.#data = join(root, name);
    this.#key = join(root, "key");
    this.#databaseUrl = databaseUrl;
  }

  async start(): Promise<void> {
    const { DATABASE_URL: _, ...env } = process.env;
    this.#child = spawn(
      process.execPath,
      [
        ...[join(import.meta.dirname, "../main.ts"), "--json", "--port", "0"],
        ...["--data", this.#data, "--master-key", this.#key, "--blobs", join(this.#data, "../blobs")],
        // The processes below it are then its jobs' alone.
        ...["--spare-sidecars", "0"],
      ],
      {
        stdio: ["ignore", "pipe", "inherit"],
        env: this.#databaseUrl ? { ...env, DATABASE_URL: this.#databaseUrl } : env,
      },
    );
    if (!this.#child.stdout) throw new Error("no standard output");
    const [line] = (await once(createInterface({ input: this.#child.stdout }), "line", {
      signal: AbortSignal.timeout(120_000),
    })) as [string];
    const { url } = JSON.parse(line) as { url: string };
    const token = (await readFile(join(this.#data, "token"), "utf8")).trim();
    this.client = createClient({ baseUrl: url, token });
  }

  /** Resolves when the process has ended by itself. */
  get ended(): Promise<unknown> {
    return this.#child.exitCode === null && this.#child.signalCode === null
      ? once(this.#child, "exit")
      : Promise.resolve();
  }

  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const { ended } = this;
    this.#child.kill(signal);
    await ended;
  }

  /** Once it has ended: its driver removes what workspaces are left. */
  async removeVolumes(): Promise<void> {
    const driver = createLocalDriver({ runDir: join(this.#data, "run"), overlayDir: join(this.#data, "overlay") });
    for (const { id } of await driver.list()) await driver.stop(id);
  }

  async prepare(model: ModelServer): Promise<void> {
    await this.client.setProvider({ params: { name: "anthropic" }, body: { baseUrl: model.url, allowPrivate: true } });
    await this.client.setSecret({ params: { name: "anthropic" }, body: { value: model.key } });
    for await (const _ of this.client.lines("installRuntime", { params: { name: "mock" } }));
  }
}

let root: string;
let model: ModelServer;
let repository: string;
let served: { url: string; drop(): Promise<void> } | undefined;
const services: Service[] = [];
let service: Service;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "x1-kill-"));
  chmodSync(root, 0o755);
  repository = (await createRepository(join(root, "repository"), { "README.md": "x\n" })).directory;
  model = await startModelServer();
  if (process.env.DATABASE_URL) served = await createServerDatabase(process.env.DATABASE_URL);
  service = new Service(root, "data", served?.url);
  services.push(service);
  await service.start();
  await service.prepare(model);
});
afterAll(async () => {
  for (const one of services) await one.kill("SIGTERM").catch(() => {});
  await model?.close();
  await served?.drop();
  // What the killed ones left may be a subordinate uid's: only the driver gets that away.
  for (const one of services) await one.removeVolumes();
  await rm(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
});

type Body = { goal: string; verify?: string; setup?: string; ask?: boolean };
const create = async (body: Body, at = service) =>
  (await at.client.createJob({ body: { repository, runtime: "mock", verify: "test -f first.txt", ...body } as never }))
    .id;
const job = (jobId: string, at = service) => at.client.getJob({ params: { jobId } });
async function reach(jobId: string, state: JobState, at = service): Promise<Awaited<ReturnType<typeof job>>> {
  for (const end = Date.now() + 120_000; ; await new Promise((resolve) => setTimeout(resolve, 30))) {
    const found = await job(jobId, at);
    if (found.state === state) return found;
    if (found.endedAt)
      throw new Error(
        `The job ended ${found.state}: ${found.reason}, ${found.reasonDetail}\n${await attemptEnds(at.client, jobId)}`,
      );
    if (Date.now() > end) throw new Error(`The job is still ${found.state} (${found.reason}), not ${state}.`);
  }
}
const events = (jobId: string, at = service) => storedEvents(at.client, jobId);
const begun = (jobId: string, phase: string) =>
  expect
    .poll(
      async () =>
        (await events(jobId)).some(({ type, payload }) => type === "phase.started" && payload.phase === phase),
      { timeout: 60_000 },
    )
    .toBe(true);
const seen = (jobId: string, wanted: string, at = service) =>
  expect
    .poll(async () => (await events(jobId, at)).some(({ type }) => type === wanted), { timeout: 60_000 })
    .toBe(true);
const branches = (): string[] =>
  execFileSync("git", ["-C", repository, "for-each-ref", "--format=%(refname:short)", "refs/heads/x1"], {
    encoding: "utf8",
  })
    .split("\n")
    .filter(Boolean);

/** Processes whose command line or working folder is this test's, by what runs in them. */
function processes(pattern: RegExp): number[] {
  const found: number[] = [];
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue;
    try {
      const command = readFileSync(`/proc/${entry}/cmdline`, "utf8").replaceAll("\0", " ");
      if (pattern.test(command) && (command.includes(root) || within(Number(entry)))) found.push(Number(entry));
    } catch {
      // It has ended meanwhile.
    }
  }
  return found;
}
/** Whether the process was started, however indirectly, by something of this test's folder. */
function within(pid: number): boolean {
  for (let at = pid; at > 1; ) {
    const command = readFileSync(`/proc/${at}/cmdline`, "utf8");
    if (command.includes(root)) return true;
    at = Number(/\) \S (\d+)/.exec(readFileSync(`/proc/${at}/stat`, "utf8"))?.[1] ?? 0);
  }
  return false;
}
function killOnly(pattern: RegExp): void {
  const [pid, ...others] = processes(pattern);
  if (pid === undefined) throw new Error(`No process of ours looks like ${pattern}.`);
  for (const one of [pid, ...others])
    try {
      process.kill(one, "SIGKILL");
    } catch {
      // It ended with the one before it.
    }
}

/** What must hold after every kill, once the job waits for a decision: its work is there, its money adds up, and it is published once. */
async function endsRight(jobId: string, at = service): Promise<void> {
  const waiting = await reach(jobId, "awaiting_approval", at);
  expect(waiting.reservedMicros, "money held by a job that waits for a person").toBe(0);
  const { items } = await at.client.listEvidence({ params: { jobId } });
  const evidence = items.find(({ approvalDigest }) => approvalDigest === waiting.approvalDigest);
  expect(evidence?.record.files.map(({ path }) => path)).toContain("first.txt");
  expect(evidence?.record.verification).toMatchObject({ passed: true });
  await at.client.decide({ params: { jobId }, body: { decision: "approve", digest: waiting.approvalDigest ?? "" } });
  await endsPublished(jobId, evidence?.record.commit ?? "", at);
}
async function endsPublished(jobId: string, commit: string, at = service): Promise<void> {
  const done = await reach(jobId, "succeeded", at);
  const branch = done.targetBranch ?? "";
  expect(execFileSync("git", ["-C", repository, "rev-parse", branch], { encoding: "utf8" }).trim()).toBe(commit);
  expect(branches().filter((name) => name === branch)).toHaveLength(1);
  const said = await events(jobId, at);
  const published = said.filter(({ type, payload }) => type === "publication.ended" && payload.outcome === "published");
  expect(published).toHaveLength(1);
  // Events are numbered without a gap, and none is there twice.
  expect(new Set(said.map(({ seq }) => seq)).size).toBe(said.length);
  const { items: calls } = await at.client.listCalls({ params: { jobId } });
  expect(done.spentMicros).toBe(calls.reduce((sum, { costMicros }) => sum + costMicros, 0));
  await expect.poll(() => processes(/sidecar\.mjs|host\.mjs|cli\.mjs/), { timeout: 60_000 }).toEqual([]);
}

const edit = "[[edit first.txt one]]";
/** Every moment on the embedded database; on a server a few, and every one at full size. */
const every = !process.env.DATABASE_URL || process.env.X1_FULL === "1";

type Moment = [name: string, body: Body, reached: (jobId: string) => Promise<unknown>];
const moments: Moment[] = [
  ["right after a job was made", { goal: edit }, async () => {}],
  ["in a set-up", { goal: edit, setup: "sleep 3" }, (id) => begun(id, "setup")],
  ["in a turn", { goal: `${edit}[[calls 2 parallel]][[sleep 60]]` }, (id) => seen(id, "model.call")],
  ["while a person is asked", { goal: `${edit}[[ask Shall I?]]` }, (id) => reach(id, "awaiting_input")],
  ["in a verification", { goal: edit, verify: "sleep 3; test -f first.txt" }, (id) => begun(id, "verify")],
  ["while a decision is awaited", { goal: edit }, (id) => reach(id, "awaiting_approval")],
];

describe("the service is killed and started again", () => {
  it.each(every ? moments : moments.slice(2, 3))("%s", async (_, body, reached) => {
    const id = await create(body);
    await reached(id);
    await service.kill();
    await service.start();
    await endsRight(id);
  });

  it.each(every ? [0, 5, 20, 60, 150] : [20])("%i ms after an approval", async (ms) => {
    const id = await create({ goal: edit });
    const waiting = await reach(id, "awaiting_approval");
    const { items } = await service.client.listEvidence({ params: { jobId: id } });
    await service.client.decide({
      params: { jobId: id },
      body: { decision: "approve", digest: waiting.approvalDigest ?? "" },
    });
    await new Promise((resolve) => setTimeout(resolve, ms));
    await service.kill();
    await service.start();
    await endsPublished(id, items[0]?.record.commit ?? "");
  });
});

describe("one process of a job is killed", () => {
  it.each([
    ["its sidecar", /sidecar\.mjs/],
    ["its agent host", /host\.mjs/],
    ["its CLI", /cli\.mjs/],
  ])("%s", async (_, pattern) => {
    const id = await create({ goal: `${edit}[[calls 2 parallel]][[sleep 60]]` });
    await expect
      .poll(async () => (await events(id)).filter(({ type }) => type === "model.call").length, { timeout: 60_000 })
      .toBe(2);
    killOnly(pattern);
    await endsRight(id);
    expect((await job(id)).attempts[0]).toMatchObject({ outcome: "lost" });
  });

  it("its agent host, in a verification after which it would have been told to go on", async () => {
    const id = await create({ goal: edit, verify: "sleep 5; false" });
    await begun(id, "verify");
    killOnly(/host\.mjs/);
    await expect.poll(async () => (await job(id)).attempts.length, { timeout: 60_000 }).toBe(2);
    expect((await job(id)).attempts[0]).toMatchObject({ outcome: "lost" });
    await service.client.cancelJob({ params: { jobId: id } });
    await expect.poll(async () => (await job(id)).state, { timeout: 60_000 }).toBe("cancelled");
  });
});

describe("a service that is killed while it publishes to a forge", () => {
  it("has one branch and one pull request at the end, whenever it was killed", async () => {
    const github = await GithubStandIn.start();
    try {
      for (const login of ["alice", "bob"]) github.user(login);
      github.organization("acme", { owners: ["alice"], members: ["bob"], base: "write" });
      const name = "acme/shop";
      await github.repository(name, { files: { "README.md": "x\n", CODEOWNERS: "* @bob\n" } });
      const issue = await github
        .as("alice")
        .openIssue(name, { title: "a file is missing", body: "[[edit first.txt x]]" });
      const token = github.personalToken("alice").value;
      await service.client.createForgeConnection({ body: { forge: "github", baseUrl: github.url, token } });
      const { id } = await service.client.createIssueJob({
        body: {
          ...{ repository: name, number: issue.number, runtime: "mock", verify: "test -f first.txt" },
          again: false,
          ask: false,
        },
      });
      const { approvalDigest } = await reach(id, "awaiting_approval");

      const at = (operation: string, more: number) =>
        expect.poll(() => github.requests(operation).length, { timeout: 60_000 }).toBeGreaterThanOrEqual(more);
      const killed = async (moment: () => Promise<unknown>, ...undo: (() => void)[]) => {
        await moment();
        await service.kill();
        for (const one of undo) one();
        await service.start();
      };
      // Before the push is answered, before the pull request is made, when it is made and nobody knows, before its reviewers.
      const push = github.fault({ kind: "hang", path: "git-receive-pack", method: "POST" });
      await service.client.decide({
        params: { jobId: id },
        body: { decision: "approve", digest: approvalDigest ?? "" },
      });
      const hanging = (path: string) =>
        expect
          .poll(() => github.log.some((one) => one.fault === "hang" && one.path.includes(path)), { timeout: 60_000 })
          .toBe(true);
      const pulls = github.fault({ kind: "hang", method: "POST", path: `${name}/pulls` });
      await killed(() => hanging("git-receive-pack"), push);
      const lost = github.fault({ kind: "drop-after", method: "POST", path: `${name}/pulls` });
      const reviewers = github.fault({ kind: "hang", method: "POST", path: "requested_reviewers" });
      await killed(() => hanging(`${name}/pulls`), pulls);
      await killed(() => at("pulls/create", 1), lost);
      await killed(() => hanging("requested_reviewers"), reviewers);

      expect((await reach(id, "succeeded")).pullRequest).toMatchObject({ number: 2, state: "open" });
      const made = [...github.repo(name).issues.values()].filter(({ pull }) => pull);
      expect(made.map(({ number }) => number)).toEqual([2]);
      expect(made[0]?.pull?.requestedReviewers.map(({ login }) => login)).toEqual(["bob"]);
      const refs = await github.repo(name).git.refs("refs/heads/x1/");
      expect([...refs]).toHaveLength(1);
    } finally {
      await github.close();
    }
  });
});

// Somebody else's server is not ours to kill; what two services do on one: scripts/servers.e2e.test.ts.
if (!process.env.DATABASE_URL)
  it("ends the service when its database's server is killed, and goes on when it is started again", async () => {
    const id = await create({ goal: `${edit}[[sleep 20]]` });
    await seen(id, "tool.ended");
    const { ended } = service;
    process.kill(postmaster(), "SIGKILL");
    await ended;
    await service.start();
    await endsRight(id);
  });

function postmaster(): number {
  const pid = Number(readFileSync(join(root, "data/pg/data/postmaster.pid"), "utf8").split("\n")[0]);
  expect(readlinkSync(`/proc/${pid}/exe`)).toMatch(/postgres$/);
  return pid;
}

// The agent has its goal before the job is said to run: what it does in between is work as well.
if (process.env.DATABASE_URL)
  it("is killed when the agent works already and the job is not yet said to run", async () => {
    const id = await create({ goal: `${edit}[[calls 1]][[sleep 20]]`, setup: "sleep 5" });
    await begun(id, "setup");
    const url = served?.url ?? "";
    const held = runSql(url, "begin; lock table x1.job in share mode; select pg_sleep(60)").catch(() => {});
    await seen(id, "model.call");
    expect(await job(id)).toMatchObject({ state: "provisioning" });
    await service.kill();
    // Only this lock: other tests share the server.
    const holder = "mode = 'ShareLock' and granted and relation = 'x1.job'::regclass";
    await runSql(
      url,
      `select pg_terminate_backend(pid) from pg_locks where ${holder} and database = (select oid from pg_database where datname = current_database())`,
    );
    await held;
    await service.start();
    await endsRight(id);
  });
