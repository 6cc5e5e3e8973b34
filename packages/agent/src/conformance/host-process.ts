import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { EventEnvelope, type HostBoot, type HostState } from "@x1agent/contract";
import { childrenOf } from "../tree.ts";

/**
 * The host as the platform has it: a child process that is booted by one line and spoken to over its unix sockets. No
 * namespaces, a temporary folder, and an ordinary uid where the tests run as root (some CLIs refuse to work as root).
 */
export type HostProcessOptions = {
  /** Holds `runtime.json` and `adapter.ts`. */
  runtimeDir: string;
  /** The CLI's files; default the runtime's folder. */
  appDir?: string;
  modelUrl: string;
  jobToken?: string;
  /** Use the folders of an earlier host, for a resume. */
  folders?: HostFolders;
  env?: Readonly<Record<string, string>>;
  /** Puts the CLI into namespaces of its own; default none. */
  spawnPrefix?: readonly string[];
};
export type HostFolders = { root: string; cwd: string; home: string; run: string };
export type Reply = { status: number; body: Record<string, unknown> };

const TOKEN = "conformance-token-0123456789";
const ids = process.getuid?.() === 0 ? { uid: 61_234, gid: 61_234 } : {};

export class HostProcess {
  readonly folders: HostFolders;
  readonly events: EventEnvelope[] = [];
  readonly #child: ChildProcess;
  readonly #waiting = new Set<() => void>();
  readonly exited: Promise<{ code: number | null; signal: string | null }>;
  #log = "";

  private constructor(child: ChildProcess, folders: HostFolders) {
    this.#child = child;
    this.folders = folders;
    child.stderr?.on("data", (chunk: Buffer) => {
      this.#log = (this.#log + chunk.toString("utf8")).slice(-8_000);
    });
    this.exited = new Promise((resolve) => child.once("exit", (code, signal) => resolve({ code, signal })));
  }

  /** Boots a host and reads its events from the first on. */
  static async boot(options: HostProcessOptions): Promise<HostProcess> {
    const folders = options.folders ?? (await makeFolders());
    const manifestPath = join(folders.root, "runtime.json");
    const manifest = JSON.parse(readFileSync(join(options.runtimeDir, "runtime.json"), "utf8")) as object;
    // From its source: bundling is tested where bundles are made.
    await writeFile(manifestPath, JSON.stringify({ ...manifest, adapter: join(options.runtimeDir, "adapter.ts") }));
    const boot: HostBoot = {
      token: TOKEN,
      jobToken: options.jobToken ?? "job-token",
      workspaceId: "conformance",
      manifestPath,
      appDir: options.appDir ?? options.runtimeDir,
      cwd: folders.cwd,
      home: folders.home,
      runDir: folders.run,
      sockDir: null,
      tcp: false,
      inferenceUrl: options.modelUrl,
      env: { PATH: `${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`, TMPDIR: folders.root, ...options.env },
      spawnPrefix: [...(options.spawnPrefix ?? [])],
    };
    if (ids.uid !== undefined) execFileSync("chown", ["-R", `${ids.uid}:${ids.gid}`, folders.root]);
    const child = spawn(process.execPath, [join(import.meta.dirname, "../main.ts")], {
      cwd: folders.root,
      env: {},
      stdio: ["pipe", "ignore", "pipe"],
      ...ids,
    });
    const host = new HostProcess(child, folders);
    child.stdin?.end(`${JSON.stringify(boot)}\n`);
    for (let tries = 0; ; tries += 1) {
      const health = await host.get("/health").catch(() => null);
      if (health?.status === 200) break;
      if (tries > 300 || child.exitCode !== null) throw new Error(`the host did not start: ${host.#log}`);
      await pause(50);
    }
    void host.read({}, (event) => {
      host.events.push(event);
      for (const check of host.#waiting) check();
      return false;
    });
    return host;
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  /** The CLI's first process. */
  get cliPid(): number {
    const [pid] = childrenOf(this.pid);
    if (pid === undefined) throw new Error("no CLI runs");
    return pid;
  }

  /** Resident memory in bytes without file pages, as the kernel counts it. */
  get privateMemory(): number {
    const kb = /^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${this.pid}/status`, "utf8"))?.[1];
    return Number(kb ?? 0) * 1024;
  }

  get(path: string, options: RequestOptions = {}): Promise<Reply> {
    return this.#request("GET", path, undefined, options);
  }

  post(path: string, body: unknown = {}, options: RequestOptions = {}): Promise<Reply> {
    return this.#request("POST", path, JSON.stringify(body), options);
  }

  async state(): Promise<HostState> {
    return (await this.get("/state")).body as HostState;
  }

  /** Starts a session and waits until it takes messages. */
  async start(request: Record<string, unknown> = {}): Promise<void> {
    const reply = await this.post("/start", { sessionKey: "session-1", ...request });
    if (reply.status !== 200) throw new Error(`start: ${JSON.stringify(reply.body)}`);
    await this.until("the session", () => this.last("session.init") ?? this.last("session.ended"), 60_000);
    for (let tries = 0; (await this.state()).phase === "starting"; tries += 1) {
      if (tries > 600) throw new Error("the session stays in starting");
      await pause(50);
    }
  }

  /** Events of one type so far. */
  all(type: string): EventEnvelope[] {
    return this.events.filter((event) => event.type === type);
  }

  last(type: string): EventEnvelope | undefined {
    return this.all(type).at(-1);
  }

  /** Payload of the `count`th turn's end. */
  async turnEnd(count: number, timeoutMs = 60_000): Promise<Record<string, unknown>> {
    const event = await this.until(`turn ${count} to end`, () => this.all("turn.ended")[count - 1], timeoutMs);
    return event.payload;
  }

  /** Resolves once `look` finds something in the events; rejects with what was said last. */
  async until<T>(what: string, look: () => T | undefined | false | null, timeoutMs = 30_000): Promise<T> {
    const found = Promise.withResolvers<T>();
    const check = () => {
      const value = look();
      if (value !== undefined && value !== false && value !== null) found.resolve(value);
    };
    const timer = setTimeout(() => {
      const said = this.events.slice(-10).map((event) => JSON.stringify(event).slice(0, 300));
      found.reject(new Error(`waited ${timeoutMs} ms for ${what}; last events:\n${said.join("\n")}\n${this.#log}`));
    }, timeoutMs);
    this.#waiting.add(check);
    check();
    return found.promise.finally(() => {
      clearTimeout(timer);
      this.#waiting.delete(check);
    });
  }

  /** Reads the stream until it ends or `take` returns true; resolves to the beginning of its raw text. */
  read(options: { lastEventId?: string }, take: (event: EventEnvelope, id: string | null) => boolean): Promise<string> {
    return new Promise((resolve, reject) => {
      const call = request(
        {
          socketPath: join(this.folders.run, "events.sock"),
          path: "/events",
          headers: {
            authorization: `Bearer ${TOKEN}`,
            ...(options.lastEventId === undefined ? {} : { "last-event-id": options.lastEventId }),
          },
        },
        (response) => {
          let head = "";
          let rest = "";
          response.setEncoding("utf8").on("data", (text: string) => {
            if (head.length < 2_000) head += text;
            const blocks = (rest + text).split("\n\n");
            rest = blocks.pop() ?? "";
            for (const block of blocks) {
              // `.` of a pattern would end at U+2028, which JSON carries as it is.
              const lines = block.split("\n");
              const data = lines.find((line) => line.startsWith("data: "))?.slice(6);
              if (data === undefined) continue;
              const id = lines.find((line) => line.startsWith("id: "))?.slice(4) ?? null;
              if (!take(EventEnvelope.parse(JSON.parse(data)), id)) continue;
              call.destroy();
              return resolve(head);
            }
          });
          response.on("close", () => resolve(head));
          response.on("error", () => resolve(head));
        },
      );
      call.on("error", reject);
      call.end();
    }).catch(() => "") as Promise<string>;
  }

  /** Ends the host as hard as possible. */
  async kill(): Promise<void> {
    const cli = childrenOf(this.pid);
    this.#child.kill("SIGKILL");
    await this.exited;
    for (const pid of cli) {
      try {
        process.kill(-pid, "SIGKILL");
      } catch {
        // Gone already.
      }
    }
  }

  /** Orderly end; the folders stay for another host unless `remove`. */
  async stop(options: { remove?: boolean } = { remove: true }): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      await this.post("/shutdown").catch(() => null);
      const timer = setTimeout(() => this.#child.kill("SIGKILL"), 10_000);
      await this.exited;
      clearTimeout(timer);
    }
    if (options.remove) await rm(this.folders.root, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }

  #request(method: string, path: string, body: string | undefined, options: RequestOptions): Promise<Reply> {
    const { token = TOKEN, socket = "input", headers = {} } = options;
    return new Promise((resolve, reject) => {
      const call = request(
        {
          socketPath: join(this.folders.run, `${socket}.sock`),
          method,
          path,
          headers: {
            ...(token === null ? {} : { authorization: `Bearer ${token}` }),
            ...(body === undefined ? {} : { "content-type": "application/json" }),
            ...headers,
          },
        },
        (response: IncomingMessage) => {
          let text = "";
          response.setEncoding("utf8").on("data", (part: string) => {
            text += part;
          });
          response.on("end", () => {
            try {
              resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) as Record<string, unknown> });
            } catch (cause) {
              reject(cause);
            }
          });
          response.on("error", reject);
        },
      );
      call.on("error", reject);
      call.end(body);
    });
  }
}
type RequestOptions = { token?: string | null; socket?: "events" | "input"; headers?: Record<string, string> };

/** Fresh folders, in the shape that a workspace has. */
export async function makeFolders(): Promise<HostFolders> {
  const root = await mkdtemp(join(tmpdir(), "x1h-"));
  await chmod(root, 0o755);
  const folders = { root, cwd: join(root, "workspace"), home: join(root, "home"), run: join(root, "run") };
  for (const path of [folders.cwd, folders.home, folders.run]) await mkdir(path, { mode: 0o700 });
  return folders;
}

/** Whether a process lives whose command line holds `text`. */
function isRunning(text: string): boolean {
  return readdirSync("/proc").some((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      return readFileSync(`/proc/${name}/cmdline`, "utf8").includes(text);
    } catch {
      return false;
    }
  });
}

/** Ends every process whose command line holds `text`. */
export function endAll(text: string): void {
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (readFileSync(`/proc/${name}/cmdline`, "utf8").includes(text)) process.kill(Number(name), "SIGKILL");
    } catch {
      // Gone meanwhile.
    }
  }
}

/** Waits until such a process lives: a command's start is told before its program runs. False when none does in thirty seconds. */
export const hasStarted = (text: string): Promise<boolean> => becomes(() => isRunning(text));

/** Waits until no such process lives; false when it still does after thirty seconds. */
export const isGone = (text: string): Promise<boolean> => becomes(() => !isRunning(text));

async function becomes(check: () => boolean): Promise<boolean> {
  for (let tries = 0; tries < 600; tries += 1) {
    if (check()) return true;
    await pause(50);
  }
  return false;
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
