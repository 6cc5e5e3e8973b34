import { chmod, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, createClient } from "@x1agent/client";
import { isTerminal, type Job, type JobState, type RuntimeManifest } from "@x1agent/contract";
import { createSampleRepository, type ModelServer, startModelServer } from "@x1agent/testkit";
import { type Part, root, startPart } from "./lib.ts";

/** The whole product as a process of its own, with the scripted model server and the sample project. */
export type Stage = {
  client: Client;
  model: ModelServer;
  service: Part;
  repository: string;
  /** Folder of the service's data. */
  data: string;
  close(): Promise<void>;
};

/** Where runtimes stay installed between runs, so that nothing is measured while it is fetched. */
const kept = join(root, ".bench");

/** Starts everything. With `kept` the data directory stays from run to run, with what is installed; `more` are options of the service. */
export async function openStage(runtimes: "kept" | "fresh", more: readonly string[] = []): Promise<Stage> {
  await mkdir(kept, { recursive: true, mode: 0o755 });
  const folder = await mkdtemp(join(tmpdir(), "x1-bench-"));
  await chmod(folder, 0o755);
  const data = runtimes === "kept" ? join(kept, "data") : join(folder, "data");
  const model = await startModelServer();
  let service: Part | undefined;
  try {
    const key = join(runtimes === "kept" ? kept : folder, "key");
    service = await startPart([
      join(root, "apps/api/src/main.ts"),
      ...["--data", data, "--master-key", key, "--port", "0", "--json", ...more],
    ]);
    const client = createClient({
      baseUrl: String(service.ready.url),
      token: (await readFile(join(data, "token"), "utf8")).trim(),
    });
    await client.setProvider({ params: { name: "anthropic" }, body: { baseUrl: model.url, allowPrivate: true } });
    await client.setSecret({ params: { name: "anthropic" }, body: { value: model.key } });
    const repository = join(folder, "sample");
    await createSampleRepository(repository);
    const part = service;
    return {
      ...{ client, model, service, repository, data },
      async close() {
        await part.stop();
        await model.close();
        await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
      },
    };
  } catch (error) {
    await service?.stop();
    await model.close();
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/** Installs a runtime; false with a sentence where that is not possible here. */
export async function install(client: Client, manifest: RuntimeManifest): Promise<string | null> {
  let last = "";
  try {
    for await (const line of client.lines("installRuntime", { params: { name: manifest.name } }))
      if (line.trim()) last = line;
    const end = JSON.parse(last) as { ok: boolean; detail: string };
    return end.ok ? null : end.detail;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * Waits for one of these states, by the job's events as a person's client does: asking again and again would take from the
 * two cores what is measured on them. A job that ends in another state says so.
 */
export async function reach(client: Client, jobId: string, ...states: JobState[]): Promise<Job> {
  const stop = AbortSignal.timeout(120_000);
  const there = async () => {
    const job = await client.getJob({ params: { jobId } });
    if (states.includes(job.state)) return job;
    if (isTerminal(job.state)) throw new Error(`The job ended ${job.state}: ${job.reason}, ${job.reasonDetail}`);
    return null;
  };
  for await (const event of client.events(jobId, { signal: stop })) {
    const to = event.type === "job.state" ? (event.payload.to as JobState) : null;
    if (to === null || !(states.includes(to) || isTerminal(to))) continue;
    const job = await there();
    if (job) return job;
  }
  throw new Error(`The job did not reach ${states.join(" or ")} within two minutes.`);
}
