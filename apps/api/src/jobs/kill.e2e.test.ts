import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Client, createClient } from "@x1agent/client";
import { createRepository, type ModelServer, startModelServer } from "@x1agent/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/** The service as a process of its own, killed without warning in the middle of a job and started again. */
let root: string;
let service: ChildProcess;
let client: Client;
let model: ModelServer;
let repository: string;

async function start(): Promise<void> {
  service = spawn(
    process.execPath,
    [
      join(import.meta.dirname, "../main.ts"),
      "--data",
      join(root, "data"),
      "--master-key",
      join(root, "key"),
      "--port",
      "0",
      "--json",
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  if (!service.stdout) throw new Error("no standard output");
  const [line] = (await once(createInterface({ input: service.stdout }), "line", {
    signal: AbortSignal.timeout(60_000),
  })) as [string];
  const { url } = JSON.parse(line) as { url: string };
  client = createClient({ baseUrl: url, token: (await readFile(join(root, "data/token"), "utf8")).trim() });
}
async function kill(signal: NodeJS.Signals): Promise<void> {
  const gone = once(service, "exit");
  service.kill(signal);
  await gone;
}
const job = (jobId: string) => client.getJob({ params: { jobId } });

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "x1-kill-"));
  await chmod(root, 0o755);
  repository = (await createRepository(join(root, "repository"), { "README.md": "x\n" })).directory;
  model = await startModelServer();
  await start();
  await client.setProvider({ params: { name: "anthropic" }, body: { baseUrl: model.url, allowPrivate: true } });
  await client.setSecret({ params: { name: "anthropic" }, body: { value: model.key } });
  for await (const _ of client.lines("installRuntime", { params: { name: "mock" } }));
});
afterAll(async () => {
  if (service.exitCode === null && service.signalCode === null) await kill("SIGTERM");
  await model?.close();
  await rm(root, { recursive: true, force: true });
});

describe("a service that is killed", () => {
  it.each([
    ["in a turn", "[[edit first.txt one]][[sleep 20]]", "test -f first.txt", "running"],
    ["in a verification", "[[edit first.txt one]]", "sleep 3; test -f first.txt", "verifying"],
  ] as const)("%s goes on with what was done", async (_, goal, verify, state) => {
    const { id } = await client.createJob({ body: { repository, runtime: "mock", goal, verify, ask: false } });
    await expect.poll(async () => (await job(id)).state, { timeout: 30_000 }).toBe(state);
    await new Promise((resolve) => setTimeout(resolve, 700));
    await kill("SIGKILL");
    await start();
    // The dead process' lease has to run out first.
    for (const end = Date.now() + 90_000; Date.now() < end; ) {
      const { state, endedAt, reason, reasonDetail } = await job(id);
      if (state === "awaiting_approval") break;
      if (endedAt) throw new Error(`The job ended ${state}: ${reason}, ${reasonDetail}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const { attempts } = await job(id);
    expect(attempts.map(({ outcome }) => outcome)[0]).toBe("lost");
    const { items } = await client.listEvidence({ params: { jobId: id } });
    expect(items[0]?.record).toMatchObject({ verification: { passed: true }, files: [{ path: "first.txt" }] });
  });
});
