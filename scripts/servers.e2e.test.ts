import { execFileSync, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JobState } from "@x1agent/contract";
import { createRepository, createServerDatabase, type ModelServer, startModelServer } from "@x1agent/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { commandOf, treeOf } from "./test/processes.ts";
import { type Served, startServed } from "./test/served.ts";
import { ServiceProcess } from "./test/service.ts";

/** Two services on one PostgreSQL server: what a dead one left, and what happens while the server is away. */
const started = await startServed();
const lacks = "lacks" in started && process.env.CI !== "true" ? started.lacks : null;
const asRoot = process.getuid?.() === 0;

let server: Served;
let root: string;
let model: ModelServer;
let repository: string;
let databaseUrl: string;
let one: ServiceProcess;
let two: ServiceProcess;

describe.skipIf(lacks !== null)(`services on a PostgreSQL server${lacks ? ` (skipped: needs ${lacks})` : ""}`, () => {
  beforeAll(async () => {
    if ("lacks" in started) throw new Error(`This needs ${started.lacks}.`);
    server = started;
    root = await mkdtemp(join(tmpdir(), "x1-servers-"));
    await chmod(root, 0o755);
    repository = (await createRepository(join(root, "repository"), { "README.md": "x\n" })).directory;
    model = await startModelServer();
    databaseUrl = (await createServerDatabase(server.url)).url;
    one = new ServiceProcess(root, "one", databaseUrl);
    two = new ServiceProcess(root, "two", databaseUrl);
    await one.start();
    await two.start();
    await one.prepare(model);
    await two.prepare(model);
  });
  afterAll(async () => {
    await Promise.all([one?.end(), two?.end()]);
    await model?.close();
    server?.stop();
    if (root) await rm(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  });

  const edit = "[[edit first.txt one]]";
  const create = async (at: ServiceProcess, goal: string) =>
    (
      await at.client.createJob({
        body: { repository, runtime: "mock", goal, verify: "test -f first.txt" } as never,
      })
    ).id;
  /** Waits until the agent has done its first edit; says which service has the job, and where its workspace's record is. */
  const working = async (jobId: string) => {
    await expect
      .poll(async () => (await two.events(jobId)).some(({ type }) => type === "tool.ended"), { timeout: 90_000 })
      .toBe(true);
    for (const at of [one, two])
      for (const folder of await workspaces(at)) {
        const spec = join(at.data, "run/ws", folder, "spec.json");
        const stored = JSON.parse(await readFile(spec, "utf8").catch(() => "{}"));
        if (stored.jobId === jobId && stored.purpose === "agent") return { at, spec };
      }
    throw new Error(`No workspace of ${jobId}.`);
  };
  /** A job that this service works on: the other may be quicker to take it. */
  const workingAt = async (at: ServiceProcess) => {
    for (let tries = 0; tries < 10; tries += 1) {
      const id = await create(at, `${edit}[[sleep 600]]`);
      const found = await working(id);
      if (found.at === at) return { id, spec: found.spec };
      await at.client.cancelJob({ params: { jobId: id } });
    }
    throw new Error("The other service takes every job.");
  };
  /** The folder is made with the first workspace. */
  const workspaces = (at: ServiceProcess) => readdir(join(at.data, "run/ws")).catch((): string[] => []);
  const groupsOf = (pid: number) =>
    execFileSync("find", ["/sys/fs/cgroup", "-maxdepth", "6", "-type", "d", "-name", `x1-${pid}-*`], {
      encoding: "utf8",
    })
      .split("\n")
      .filter(Boolean);
  const claimsOf = async (pid: number) => {
    const folder = "/run/x1agent/uids";
    if (!asRoot || !existsSync(folder)) return [];
    const claims = await Promise.all(
      readdirSync(folder).map((uid) => readFile(join(folder, uid), "utf8").catch(() => "")),
    );
    return claims.filter((claim) => claim.startsWith(`${pid} `));
  };
  /** Approves what waits: it is published once, as it was, with events and money in order. */
  const publish = async (jobId: string, at: ServiceProcess) => {
    // Beside an answer there may be none: the server may just be back.
    const reach = (state: JobState) =>
      expect
        .poll(async () => (await at.job(jobId).catch(() => null))?.state, { timeout: 120_000, interval: 200 })
        .toBe(state);
    await reach("awaiting_approval");
    const { approvalDigest } = await at.job(jobId);
    const { items } = await at.client.listEvidence({ params: { jobId } });
    const { commit } = items.find((one) => one.approvalDigest === approvalDigest)?.record ?? {};
    await at.client.decide({ params: { jobId }, body: { decision: "approve", digest: approvalDigest ?? "" } });
    await reach("succeeded");
    const done = await at.job(jobId);
    const git = (...argv: string[]) => execFileSync("git", ["-C", repository, ...argv], { encoding: "utf8" }).trim();
    expect(git("rev-parse", done.targetBranch ?? "")).toBe(commit);
    const events = await at.events(jobId);
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
    expect(events.filter(({ type }) => type === "publication.ended").map(({ payload }) => payload.outcome)).toEqual([
      "published",
    ]);
    const { items: calls } = await at.client.listCalls({ params: { jobId } });
    const cost = calls.reduce((sum, { costMicros }) => sum + costMicros, 0);
    expect(done).toMatchObject({ spentMicros: cost, reservedMicros: 0 });
    return { done, events, calls, cost };
  };
  /** A workspace is swept when it is a minute old; this makes it so. */
  const age = async (spec: string) => {
    const stored = JSON.parse(await readFile(spec, "utf8"));
    await writeFile(spec, JSON.stringify({ ...stored, startedAt: new Date(Date.now() - 120_000).toISOString() }));
    return stored as { uid: number | null };
  };

  it("removes what a dead one left, when it is back, and nothing of one that lives", { timeout: 240_000 }, async () => {
    const { id: mine, spec: left } = await workingAt(one);
    const { id: theirs, spec: kept } = await workingAt(two);
    const dead = one.pid;
    const watched = [groupsOf(dead).length, (await claimsOf(dead)).length];
    const living = treeOf(two.pid).filter((pid) => /host\.mjs|sidecar\.mjs|sleep 600/.test(commandOf(pid)));
    expect(living.length).toBeGreaterThanOrEqual(3);
    const livingGroups = groupsOf(two.pid);
    const killed = Date.now();
    await one.end("SIGKILL");
    const { uid } = await age(left);
    await age(kept);
    // Something of the dead one's workspace that outlived it, as no process should.
    const orphan =
      asRoot && uid !== null
        ? spawn("setpriv", [`--reuid=${uid}`, `--regid=${uid}`, "--clear-groups", "sleep", "300"], { stdio: "ignore" })
        : null;
    const orphanEnded = orphan && once(orphan, "exit");

    // The other takes the job over, in a workspace of its own.
    await expect.poll(async () => (await two.job(mine)).attempts.length, { timeout: 90_000, interval: 100 }).toBe(2);
    // 20 s of silence and a look every few seconds: 30 s on a calm machine; tests share theirs.
    expect(Date.now() - killed).toBeLessThan(60_000);
    expect((await two.job(mine)).attempts[0]).toMatchObject({ outcome: "lost", reason: "service_lost" });
    expect(await workspaces(one)).toHaveLength(1);
    await one.start();
    await expect.poll(() => workspaces(one), { timeout: 60_000 }).toEqual([]);
    await orphanEnded;
    // Groups are swept where the next workspace is made; the other's job makes one sooner or later.
    await create(one, edit);
    await expect.poll(async () => [groupsOf(dead), await claimsOf(dead)], { timeout: 90_000 }).toEqual([[], []]);
    if (asRoot) expect(watched.every((count) => count > 0)).toBe(true);

    expect(living.filter((pid) => !existsSync(`/proc/${pid}`))).toEqual([]);
    expect(existsSync(kept)).toBe(true);
    expect(groupsOf(two.pid)).toEqual(expect.arrayContaining(livingGroups));
    expect(await two.job(theirs)).toMatchObject({ state: "running", attempts: [{ state: "running" }] });
    await two.client.cancelJob({ params: { jobId: theirs } });
    // What was taken over ends like any other, once.
    await two.client.injectMessage({
      params: { jobId: mine },
      body: { id: randomUUID(), content: edit, mode: "interrupt" },
    });
    await publish(mine, two);
    await expect.poll(async () => (await two.job(theirs)).state, { timeout: 60_000 }).toBe("cancelled");
  });

  it("answers a clear error while the server is away, and goes on when it is back", { timeout: 240_000 }, async () => {
    // Two calls are on their way, and are answered while the server is away.
    const letGo = model.hold();
    const begun = model.requests.length;
    const id = await create(two, `${edit}[[calls 2 parallel]][[edit second.txt two]]`);
    const { at, spec } = await working(id);
    await expect.poll(() => model.requests.length - begun, { timeout: 60_000 }).toBe(2);
    server.down();
    const answer = await two.job(id).then(
      () => "an answer",
      (error: { code?: string; message: string }) => error,
    );
    expect(answer).toMatchObject({ code: "unavailable", message: expect.stringContaining("database") });
    letGo();
    // The agent works on meanwhile; what it says, and what its calls cost, is kept until it can be stored.
    await expect.poll(() => existsSync(join(spec, "../work/second.txt")), { timeout: 60_000 }).toBe(true);
    await expect.poll(() => at.log, { timeout: 60_000 }).toMatch(/the sidecar channel broke.*settle/);
    server.up();
    const { done, events, calls, cost } = await publish(id, two);
    expect(done.attempts, at.log).toHaveLength(1);
    expect(events.filter(({ type }) => type === "turn.ended")).toHaveLength(1);
    // Both calls are charged, once each, by what they really used.
    expect(calls.map(({ outcome, estimated }) => [outcome, estimated])).toEqual(Array(2).fill(["completed", false]));
    expect(events.filter(({ type }) => type === "model.call")).toHaveLength(2);
    expect(cost).toBeGreaterThan(0);
    // The service that had nothing to do is there again too.
    expect(await one.job(id)).toMatchObject({ state: "succeeded" });
  });

  it("publishes what waited for approval at one that is gone with its data directory", {
    timeout: 240_000,
  }, async () => {
    await two.end();
    const id = await create(one, edit);
    await expect.poll(async () => (await one.job(id)).state, { timeout: 120_000 }).toBe("awaiting_approval");
    const { approvalDigest } = await one.job(id);
    await one.end("SIGKILL");
    await rm(one.data, { recursive: true, maxRetries: 5, retryDelay: 200 });
    // Only the database and the blob store are left of it.
    await two.start();
    expect((await two.job(id)).approvalDigest).toBe(approvalDigest);
    const { done } = await publish(id, two);
    expect(done.attempts).toHaveLength(1);
  });
});
