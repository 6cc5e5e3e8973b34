import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Client, createClient } from "@x1agent/client";
import type { StoredEvent } from "@x1agent/contract";
import { type ModelServer, storedEvents } from "@x1agent/testkit";

/** The service as a process of its own, for tests that end it, or what it needs, without warning. */
export class ServiceProcess {
  client!: Client;
  /** What it wrote to standard error, its last 64 KB. */
  log = "";
  readonly data: string;
  readonly #argv: string[];
  readonly #databaseUrl: string;
  #child!: ChildProcess;

  /** `root` holds its data directory, and what it shares with others of the test: master key and blobs. */
  constructor(root: string, name: string, databaseUrl: string) {
    this.data = join(root, name);
    this.#databaseUrl = databaseUrl;
    this.#argv = ["--data", this.data, "--master-key", join(root, "key"), "--blobs", join(root, "blobs")];
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  async start(): Promise<void> {
    const main = join(import.meta.dirname, "../../apps/api/src/main.ts");
    const child = spawn(process.execPath, [main, "--json", "--port", "0", ...this.#argv], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, DATABASE_URL: this.#databaseUrl },
    });
    this.#child = child;
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.log = (this.log + text).slice(-65_536);
    });
    const ended = once(child, "exit").then(([code]) => {
      throw new Error(`The service ended with ${code} instead of starting: ${this.log.slice(-2_000)}`);
    });
    ended.catch(() => {});
    const lines = createInterface({ input: child.stdout });
    const [line] = (await Promise.race([once(lines, "line", { signal: AbortSignal.timeout(90_000) }), ended])) as [
      string,
    ];
    const token = (await readFile(join(this.data, "token"), "utf8")).trim();
    this.client = createClient({ baseUrl: (JSON.parse(line) as { url: string }).url, token });
  }

  /** Provider, its key and the scripted runtime, which each service installs for itself. */
  async prepare(model: ModelServer): Promise<void> {
    await this.client.setProvider({ params: { name: "anthropic" }, body: { baseUrl: model.url, allowPrivate: true } });
    await this.client.setSecret({ params: { name: "anthropic" }, body: { value: model.key } });
    for await (const _ of this.client.lines("installRuntime", { params: { name: "mock" } }));
  }

  /** Resolves when it is gone; at once when it was. */
  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    if (!this.#child || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, "exit");
    this.#child.kill(signal);
    await gone;
  }

  job(jobId: string) {
    return this.client.getJob({ params: { jobId } });
  }

  /** What is stored so far, in order. */
  events(jobId: string): Promise<StoredEvent[]> {
    return storedEvents(this.client, jobId);
  }
}
