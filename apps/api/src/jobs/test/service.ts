import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Client, createClient } from "@x1agent/client";
import type { Job, JobState, StoredEvent } from "@x1agent/contract";
import { createLocalDriver } from "@x1agent/driver-local";
import { buildOverlay } from "@x1agent/overlay";
import {
  attemptEnds,
  createRepository,
  createServerDatabase,
  type ModelServer,
  startModelServer,
  storedEvents,
} from "@x1agent/testkit";
import type { WorkspaceDriver } from "@x1agent/workspaces";
import { createAssembly } from "../../assemble.ts";
import type { PublishRequest } from "../../git/index.ts";
import { type Service, startService } from "../../service.ts";
import { parseStartOptions } from "../../start/options.ts";
import type { WatchTiming } from "../../watch/deps.ts";
import { startJobs } from "../index.ts";

/** The scripted runtime takes its orders from the goal, and asks the scripted model where there are none. */
export const runtime = "mock";
/** The goal that makes the sample's verification pass. */
export const fix = "[[edit add.mjs export const add = (a, b) => a + b;]]";

/** A whole service in this process, with a scripted model behind it and one small repository. */
export class TestService {
  client!: Client;
  driver!: WorkspaceDriver;
  repository!: string;
  model!: ModelServer;
  /** Called after an approval, right before what was approved is published. */
  beforePublish: ((request: PublishRequest) => Promise<void>) | null = null;
  /** How often forges are asked; read at each start. */
  watchTiming: Partial<WatchTiming> = {};
  #root!: string;
  /** The same at each start, so that an open page finds a restarted service again. */
  #port = "0";
  /** Where DATABASE_URL names a server: this service's own database there. */
  #served: { url: string; drop(): Promise<void> } | undefined;
  #service!: Service;

  /** Makes the web app that a service serves, unless it is there and new; before `open`, for it is read at the start. */
  static buildWeb(): void {
    const script = join(import.meta.dirname, "../../../../web/build.ts");
    const built = spawnSync(process.execPath, [script], { stdio: "inherit" });
    if (built.status !== 0) throw new Error("The web app could not be built.");
  }

  static async open(watchTiming: Partial<WatchTiming> = {}): Promise<TestService> {
    const test = new TestService();
    test.watchTiming = watchTiming;
    if (process.env.DATABASE_URL) test.#served = await createServerDatabase(process.env.DATABASE_URL);
    test.#root = await mkdtemp(join(tmpdir(), "x1-way-"));
    await chmod(test.#root, 0o755);
    test.repository = await test.createRepository("repository", {
      "add.mjs": "export const add = (a, b) => a - b;\n",
      "check.sh": "grep -q 'a + b' add.mjs\n",
      "AGENTS.md": "Be brief.\n",
    });
    test.model = await startModelServer();
    await test.start();
    const { client, model } = test;
    await client.setProvider({ params: { name: "anthropic" }, body: { baseUrl: model.url, allowPrivate: true } });
    await client.setSecret({ params: { name: "anthropic" }, body: { value: model.key } });
    for await (const _ of client.lines("installRuntime", { params: { name: runtime } }));
    return test;
  }

  /** Starts the service on the data that is there. */
  async start(): Promise<void> {
    this.#service = await startService(
      parseStartOptions(this.#argv(), this.#environment()),
      createAssembly({
        createDriver: async ({ options }) => {
          const overlay = await buildOverlay({
            outDir: join(options.dataDir, "overlay"),
            root: join(import.meta.dirname, "../../../../.."),
          });
          this.driver = createLocalDriver({ runDir: join(options.dataDir, "run"), overlayDir: overlay.dir });
          return this.driver;
        },
        watchTiming: this.watchTiming,
        startLoop: (deps) =>
          startJobs({
            ...deps,
            aroundGit: (git) => ({
              ...git,
              publish: async (request) => {
                await this.beforePublish?.(request);
                return git.publish(request);
              },
            }),
          }),
      }),
    );
    this.#port = new URL(this.#service.url).port;
    await this.#connect(this.#service.tokenFile);
  }
  /**
   * Starts the service on the data that is there as a process of its own, at the same address, and hands back what kills it
   * without a warning.
   */
  async startProcess(): Promise<() => Promise<void>> {
    const { DATABASE_URL: _, ...env } = process.env;
    const child = spawn(process.execPath, [join(import.meta.dirname, "../../main.ts"), "--json", ...this.#argv()], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...env, ...this.#environment() },
    });
    await once(createInterface({ input: child.stdout }), "line", { signal: AbortSignal.timeout(90_000) });
    await this.#connect(join(this.dataDir, "token"));
    return async () => {
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    };
  }
  #argv(): string[] {
    return ["--data", this.dataDir, "--master-key", join(this.#root, "key"), "--port", this.#port];
  }
  #environment(): Record<string, string> {
    return this.#served ? { DATABASE_URL: this.#served.url } : {};
  }
  async #connect(tokenFile: string): Promise<void> {
    const token = (await readFile(tokenFile, "utf8")).trim();
    this.client = createClient({ baseUrl: this.#service.url, token });
  }
  /** Where the service answers. */
  get url(): string {
    return this.#service.url;
  }
  /** A one-time link that signs a browser in; throws when the web app is not built. */
  signInLink(): string {
    const link = this.#service.signInLink();
    if (!link) throw new Error("The web app is not built: run `npm run build`.");
    return link;
  }
  get dataDir(): string {
    return join(this.#root, "data");
  }
  /** Ends the service cleanly; the data stays. */
  stop(): Promise<void> {
    return this.#service.close();
  }
  async close(): Promise<void> {
    await this.#service?.close();
    await this.model?.close();
    await this.#served?.drop();
    await rm(this.#root, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }

  async createRepository(name: string, files: Record<string, string>): Promise<string> {
    return (await createRepository(join(this.#root, name), files)).directory;
  }

  create(body: {
    goal: string;
    repository?: string;
    verify?: string;
    setup?: string;
    ask?: boolean;
    maxRounds?: number;
    budgetMicros?: number;
    limits?: object;
  }): Promise<Job> {
    return this.client.createJob({
      body: { repository: this.repository, runtime, verify: "bash check.sh", ...body } as never,
    }) as Promise<Job>;
  }

  /** What is stored of one type so far. */
  async events(jobId: string, type: string): Promise<StoredEvent[]> {
    return (await storedEvents(this.client, jobId)).filter((event) => event.type === type);
  }

  job(jobId: string) {
    return this.client.getJob({ params: { jobId } });
  }

  /** The newest evidence; a job without any is a mistake of the test's. */
  async evidenceOf(jobId: string) {
    const [newest] = (await this.client.listEvidence({ params: { jobId } })).items;
    if (!newest) throw new Error("There is no evidence.");
    return newest;
  }

  /** Approves what the job's present evidence is, once it waits for that; gives the digest that a page shows. */
  async approve(jobId: string): Promise<string> {
    const { approvalDigest } = await this.reach(jobId, "awaiting_approval");
    const digest = approvalDigest ?? "";
    await this.client.decide({ params: { jobId }, body: { decision: "approve", digest } });
    return digest;
  }

  /** Waits for a state; a job that ends in another says so with its reason. */
  async reach(jobId: string, ...states: JobState[]) {
    for (const end = Date.now() + 120_000; Date.now() < end; ) {
      const job = await this.job(jobId);
      if (states.includes(job.state)) return job;
      if (job.endedAt)
        throw new Error(
          `The job ended ${job.state}: ${job.reason}, ${job.reasonDetail}\n${await attemptEnds(this.client, jobId)}`,
        );
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const job = await this.job(jobId);
    throw new Error(`The job is still ${job.state} (${job.reason}).`);
  }

  async workspacesOf(jobId: string) {
    return (await this.driver.list()).filter((info) => info.jobId === jobId);
  }
}
