import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Client, createClient } from "@x1agent/client";
import type { JobState } from "@x1agent/contract";
import { createServerDatabase, type ModelServer, startModelServer } from "@x1agent/testkit";
import { GithubStandIn } from "@x1agent/testkit/github";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectApp } from "./test/connect.ts";

/** The service is killed without warning while something follows by itself; at the end there is one of each thing. */
let root: string;
let child: ChildProcess;
let client: Client;
let url: string;
let model: ModelServer;
let github: GithubStandIn;
let served: { url: string; drop(): Promise<void> } | undefined;
let port = "0";

async function start(): Promise<void> {
  const { DATABASE_URL: _, ...env } = process.env;
  child = spawn(
    process.execPath,
    [
      ...[join(import.meta.dirname, "../main.ts"), "--json", "--port", port],
      ...["--data", join(root, "data"), "--master-key", join(root, "key")],
    ],
    { stdio: ["ignore", "pipe", "inherit"], env: served ? { ...env, DATABASE_URL: served.url } : env },
  );
  if (!child.stdout) throw new Error("no standard output");
  const [line] = (await once(createInterface({ input: child.stdout }), "line", {
    signal: AbortSignal.timeout(120_000),
  })) as [string];
  ({ url } = JSON.parse(line) as { url: string });
  ({ port } = new URL(url));
  client = createClient({ baseUrl: url, token: (await readFile(join(root, "data/token"), "utf8")).trim() });
}
async function kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill(signal);
  await ended;
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "x1-after-"));
  chmodSync(root, 0o755);
  if (process.env.DATABASE_URL) served = await createServerDatabase(process.env.DATABASE_URL);
  [model, github] = await Promise.all([startModelServer(), GithubStandIn.start()]);
  for (const login of ["alice", "bob"]) github.user(login);
  github.organization("acme", { owners: ["alice"], members: ["bob"], base: "write" });
  await start();
  await client.setProvider({ params: { name: "anthropic" }, body: { baseUrl: model.url, allowPrivate: true } });
  await client.setSecret({ params: { name: "anthropic" }, body: { value: model.key } });
  for await (const _ of client.lines("installRuntime", { params: { name: "mock" } }));
  await connectApp(client, url, github);
});
afterAll(async () => {
  if (child) await kill("SIGTERM");
  await github?.close();
  await model?.close();
  await served?.drop();
  await rm(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
});

const until = { timeout: 90_000, interval: 100 };
async function reach(jobId: string, state: JobState) {
  await expect
    .poll(async () => (await client.getJob({ params: { jobId } }).catch(() => null))?.state, until)
    .toBe(state);
  return client.getJob({ params: { jobId } });
}
async function approve(jobId: string): Promise<void> {
  const { approvalDigest } = await reach(jobId, "awaiting_approval");
  await client.decide({ params: { jobId }, body: { decision: "approve", digest: approvalDigest ?? "" } });
  await reach(jobId, "succeeded");
}
async function die(afterMs: number): Promise<void> {
  await new Promise((settle) => setTimeout(settle, afterMs));
  await kill();
  await start();
}

/** Milliseconds after something happened at GitHub: the delivery stored, half handled, the job moved, the check on its way. */
const moments = process.env.X1_FULL === "1" ? [0, 50, 150, 300, 600, 1_200] : [150];

describe("the service is killed", () => {
  it.each(moments)("%i ms after a label, an approval and a review", async (ms) => {
    const name = `acme/kill${ms}`;
    await github.repository(name, { private: true, files: { "add.mjs": "export const add = (a, b) => a - b;\n" } });
    const project = await client.createProject({
      body: {
        ...{ repository: github.cloneUrl(name), runtime: "mock", verify: "grep -q 'a + b' add.mjs" },
        follow: { quietSeconds: 0 },
      },
    });
    const body = "[[edit add.mjs export const add = (a, b) => a + b;]]";
    const { number } = await github.as("alice").openIssue(name, { title: "add", body });
    await github.as("alice").label(name, number, "x1");
    await die(ms);
    const jobs = async () => (await client.listJobs({ query: { projectId: project.id } })).items;
    await expect.poll(async () => (await jobs()).length, until).toBe(1);
    const jobId = (await jobs())[0]?.id ?? "";
    const { approvalDigest } = await reach(jobId, "awaiting_approval");
    await client.decide({ params: { jobId }, body: { decision: "approve", digest: approvalDigest ?? "" } });
    await die(ms);
    await reach(jobId, "succeeded");
    const pulls = () => [...github.repo(name).issues.values()].filter(({ pull }) => pull !== undefined);
    await github.as("bob").commentOnLine(name, pulls()[0]?.number ?? 0, {
      ...{ path: "add.mjs", line: 1, body: "[[edit more.txt one]]" },
    });
    await die(ms);
    await approve(jobId);

    const done = await client.getJob({ params: { jobId } });
    const checks = () => github.repo(name).checkRuns.filter((run) => run.name === "x1agent");
    await expect.poll(() => checks().map(({ conclusion }) => conclusion), until).toEqual(["neutral", "success"]);
    expect(new Set(checks().map(({ headSha }) => headSha)).size).toBe(2);
    expect(pulls()).toHaveLength(1);
    expect(await github.head(name, done.targetBranch ?? "")).toBe(done.publishedCommit);
    const { items } = await client.listFollowUps({ params: { jobId } });
    expect(items.map(({ state, round }) => [state, round])).toEqual([["done", 1]]);
    expect(await jobs()).toHaveLength(1);
    expect(github.repo(name).issues.get(number)?.comments.length).toBe(1);
  });
});
