import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as delay } from "node:timers/promises";
import { Fault, type HostBoot, type IsolationReport } from "@x1agent/contract";
import type { ExecResult, ExecSpec, HostEndpoint, HostExit, Workspace, WorkspaceSpec } from "@x1agent/workspaces";
import { Capture } from "./capture.ts";
import { readJournal } from "./journal.ts";
import { baseEnv, egressEnv } from "./spec.ts";

/**
 * Level `process`: no isolation at all, for the bundled sample with a scripted engine on machines without namespaces.
 * Commands run as children of the service with inside paths translated to the volume's. What a command started is found
 * again by a marker in its environment, because nothing else holds a tree together here.
 */
type Input = { overlayDir: string; dir: string; spec: WorkspaceSpec; toolchains: readonly string[] };
type Child = {
  process: ChildProcess;
  mark: string;
  ended: Promise<{ exitCode: number | null; signal: string | null }>;
};
type Ports = { api: number; inference: number; egress: number };

const READY_MS = 30_000;

/** Inside path to outside path, longest prefix first; also within a longer text such as a shell command. */
export function translate(text: string, map: readonly (readonly [inside: string, outside: string])[]): string {
  const ordered = [...map].sort((a, b) => b[0].length - a[0].length);
  const pattern = new RegExp(
    `(?<![\\w./-])(${ordered.map(([inside]) => inside.replace(/[.]/g, "\\.")).join("|")})(?![\\w.-])`,
    "g",
  );
  const targets = new Map(ordered);
  return text.replace(pattern, (inside) => targets.get(inside) ?? inside);
}

/** A workspace of plain child processes. */
export class ProcessLevelWorkspace implements Workspace {
  readonly id: string;
  readonly spec: WorkspaceSpec;
  readonly report: IsolationReport = {
    level: "process",
    mechanism: "none",
    facts: [{ name: "isolation", value: "none: bundled sample only", by: "none" }],
  };
  readonly sidecarExited: Promise<{ exitCode: number | null; signal: string | null }>;
  readonly #input: Input;
  readonly #children = new Set<Child>();
  #sidecar: Child | null = null;
  #ports: Ports | null = null;
  #host: Promise<{ child: Child; endpoint: HostEndpoint; exited: Promise<HostExit> }> | null = null;
  #sidecarEnded: (end: { exitCode: number | null; signal: string | null }) => void = () => {};

  constructor(input: Input) {
    this.#input = input;
    this.id = input.spec.id;
    this.spec = input.spec;
    this.sidecarExited = new Promise((resolve) => {
      this.#sidecarEnded = resolve;
    });
    if (!input.spec.sidecar) this.#sidecarEnded({ exitCode: null, signal: null });
  }

  get #map(): (readonly [string, string])[] {
    const { dir, overlayDir, spec } = this.#input;
    return [
      ["/workspace", join(dir, "work")],
      ["/home/agent", join(dir, "home")],
      ["/x1/run", join(dir, "host")],
      ["/x1/sock", join(dir, "sock")],
      ["/x1/runtime.json", join(dir, "runtime.json")],
      ...(spec.runtime ? [["/x1/app", spec.runtime.appDir] as const] : []),
      ...["runtime", "bin", "etc", "agent"].map((name) => [`/x1/${name}`, join(overlayDir, name)] as const),
      ...spec.mounts.map((mount) => [mount.target, mount.source] as const),
    ];
  }

  #environment(network: "none" | "egress"): Record<string, string> {
    const token = this.spec.sidecar?.jobToken;
    const proxy =
      network === "egress" && token !== undefined && this.#ports
        ? egressEnv(token, false, this.#ports, this.spec.sidecar?.registries)
        : {};
    // The machine's certificates lie where the machine keeps them.
    for (const name of [
      "SSL_CERT_FILE",
      "CURL_CA_BUNDLE",
      "GIT_SSL_CAINFO",
      "CARGO_HTTP_CAINFO",
      "REQUESTS_CA_BUNDLE",
      "PIP_CERT",
    ])
      delete (proxy as Record<string, string>)[name];
    const env: Record<string, string> = {
      ...baseEnv([], { ...this.spec.env, ...proxy }),
      TMPDIR: join(this.#input.dir, "tmp"),
    };
    const translated = Object.entries(env).map(([name, value]) => [name, translate(value, this.#map)]);
    // Nothing is mounted: toolchains are where they are.
    const path = [...this.#input.toolchains.map((dir) => `${dir}/bin`), translate(env.PATH ?? "", this.#map)];
    return { ...Object.fromEntries(translated), PATH: path.join(":") };
  }

  #spawn(
    argv: readonly string[],
    options: { cwd: string; env: Record<string, string>; stdin: boolean; boot?: string },
  ): Child {
    const mark = randomBytes(12).toString("hex");
    const [file, ...args] = argv.map((word) => translate(word, this.#map));
    const process = spawn(file ?? "", args, {
      cwd: translate(options.cwd, this.#map),
      env: { ...options.env, X1_MARK: mark },
      detached: true,
      stdio: [
        options.stdin ? "pipe" : "ignore",
        "pipe",
        "pipe",
        ...(options.boot === undefined ? [] : (["pipe"] as const)),
      ],
    });
    for (const stream of process.stdio) stream?.on("error", () => {});
    if (options.boot !== undefined) (process.stdio[3] as Writable).end(options.boot);
    const ended = new Promise<{ exitCode: number | null; signal: string | null }>((resolve) => {
      process.once("error", () => resolve({ exitCode: 127, signal: null }));
      process.once("exit", (exitCode, signal) => resolve({ exitCode, signal }));
    }).then(async (end) => {
      await sweep(mark);
      this.#children.delete(child);
      return end;
    });
    const child: Child = { process, mark, ended };
    this.#children.add(child);
    return child;
  }

  async exec(spec: ExecSpec): Promise<ExecResult> {
    const begin = performance.now();
    let timedOut = false;
    let limitHit: ExecResult["limitHit"] = null;
    let stopped = false;
    const child = this.#spawn(spec.argv, {
      cwd: spec.cwd ?? "/workspace",
      env: { ...this.#environment(spec.network), ...spec.env },
      stdin: spec.stdin !== undefined,
    });
    const kill = (): void => {
      stopped = true;
      killGroup(child.process);
    };
    const timer = setTimeout(() => {
      timedOut = true;
      kill();
    }, spec.timeoutMs);
    spec.signal?.addEventListener("abort", kill, { once: true });
    if (spec.signal?.aborted) kill();
    if (spec.stdin && child.process.stdin) void pipeline(spec.stdin, child.process.stdin).catch(() => {});
    const capture = new Capture(spec.maxOutputBytes);
    const stdout = child.process.stdout as Readable;
    const streams = Promise.all([
      spec.stdout
        ? capture.forward(stdout, spec.stdout, () => {
            limitHit = "output";
            kill();
          })
        : capture.collect(stdout, () => {}),
      capture.collect(child.process.stderr as Readable, () => {}),
    ]);
    const end = await child.ended;
    await streams;
    clearTimeout(timer);
    spec.signal?.removeEventListener("abort", kill);
    return {
      exitCode: stopped ? null : end.exitCode,
      signal: stopped ? "SIGKILL" : end.signal,
      durationMs: performance.now() - begin,
      ...{ timedOut, limitHit, output: capture.tail(), outputBytes: capture.bytes },
    };
  }

  /** Starts the sidecar and a forwarder with free loopback ports to its sockets. */
  async startSidecar(): Promise<void> {
    const boot = this.spec.sidecar;
    if (!boot) return;
    const { overlayDir, dir } = this.#input;
    const env = { PATH: "/usr/bin:/bin", LANG: "C.UTF-8" };
    const sidecar = this.#spawn(
      [join(overlayDir, "sidecar/node"), join(overlayDir, "sidecar/sidecar.mjs"), "--sock", join(dir, "sock")],
      {
        ...{ cwd: "/", env, stdin: true, boot: JSON.stringify(boot) },
      },
    );
    this.#sidecar = sidecar;
    void sidecar.ended.then(this.#sidecarEnded);
    await this.#line(sidecar, /^ready$/m, "sidecar");
    const forwarder = this.#spawn(
      ["/x1/runtime/bin/node", "/x1/agent/forward.mjs", "--sock", "/x1/sock", "--ports", "free"],
      { cwd: "/", env, stdin: false },
    );
    const line = await this.#line(forwarder, /^\{"ports":\{.*\}\}$/m, "forwarder");
    this.#ports = readPorts(line);
  }

  async #line(child: Child, pattern: RegExp, what: string): Promise<string> {
    const log = new Capture(4_096);
    void log.collect(child.process.stderr as Readable, () => {});
    let text = "";
    const found = await Promise.race([
      new Promise<string>((resolve) => {
        child.process.stdout?.on("data", (part: Buffer) => {
          text = (text + part.toString("utf8")).slice(-4_096);
          const match = pattern.exec(text);
          if (match) resolve(match[0]);
        });
      }),
      child.ended.then(() => null),
      delay(READY_MS, null, { ref: false }),
    ]);
    if (found !== null) return found;
    killGroup(child.process);
    throw new Fault(
      "unavailable",
      `The ${what} did not get ready: ${log.tail().toString("utf8").trim().slice(-500) || "it said nothing"}.`,
    );
  }

  async startHost(): Promise<{ endpoint: HostEndpoint; exited: Promise<HostExit> }> {
    this.#host ??= this.#startHost();
    return this.#host;
  }

  async #startHost(): Promise<{ child: Child; endpoint: HostEndpoint; exited: Promise<HostExit> }> {
    const { runtime, hostToken, sidecar } = this.spec;
    if (!runtime || hostToken === undefined)
      throw new Fault("conflict", `Workspace ${this.id} was launched without a runtime, so it has no host.`);
    const dir = this.#input.dir;
    const boot: HostBoot = {
      token: hostToken,
      jobToken: sidecar?.jobToken ?? "",
      workspaceId: this.id,
      manifestPath: join(dir, "runtime.json"),
      appDir: runtime.appDir,
      cwd: join(dir, "work"),
      home: join(dir, "home"),
      runDir: join(dir, "host"),
      sockDir: sidecar ? join(dir, "sock") : null,
      tcp: false,
      inferenceUrl: `http://127.0.0.1:${this.#ports?.inference ?? 0}`,
      env: this.#environment(sidecar ? "egress" : "none"),
      spawnPrefix: [],
    };
    await mkdir(boot.runDir, { recursive: true });
    const child = this.#spawn(["/x1/runtime/bin/node", "/x1/agent/host.mjs"], {
      cwd: "/",
      env: this.#environment("none"),
      stdin: true,
    });
    child.process.stdin?.end(`${JSON.stringify(boot)}\n`);
    const log = new Capture(16_384);
    void log.collect(child.process.stdout as Readable, () => {});
    void log.collect(child.process.stderr as Readable, () => {});
    let over = false;
    const exited = child.ended.then((end) => {
      over = true;
      return { ...end, limitHit: null };
    });
    for (const deadline = Date.now() + READY_MS; ; await delay(10)) {
      const names = await readdir(boot.runDir).catch((): string[] => []);
      if (names.includes("events.sock") && names.includes("input.sock")) break;
      if (!over && Date.now() < deadline) continue;
      killGroup(child.process);
      throw new Fault(
        "unavailable",
        `The host did not start: ${log.tail().toString("utf8").trim().slice(-500) || "it said nothing"}.`,
      );
    }
    const endpoint: HostEndpoint = {
      kind: "unix",
      eventsPath: join(boot.runDir, "events.sock"),
      inputPath: join(boot.runDir, "input.sock"),
      token: hostToken,
    };
    return { child, endpoint, exited };
  }

  async stopHost(): Promise<void> {
    const host = await this.#host?.catch(() => null);
    if (!host) return;
    killGroup(host.child.process);
    await host.exited;
    this.#host = null;
  }

  async readHostJournal(): Promise<Buffer> {
    return readJournal(join(this.#input.dir, "host"));
  }

  /** Ends every process of this workspace, the sidecar last and in its own time. */
  async end(): Promise<void> {
    const others = [...this.#children].filter((child) => child !== this.#sidecar);
    for (const child of others) killGroup(child.process);
    await Promise.all(others.map((child) => child.ended));
    const sidecar = this.#sidecar;
    if (!sidecar) return;
    sidecar.process.stdin?.end();
    const timer = setTimeout(() => killGroup(sidecar.process), 3_000);
    await sidecar.ended;
    clearTimeout(timer);
  }
}

/** Ports from the forwarder's line `{"ports":{"api":…,"inference":…,"egress":…}}`; also by socket name. */
export function readPorts(line: string): Ports {
  const { ports } = JSON.parse(line) as { ports: Record<string, number> };
  const port = (name: string): number => ports[name] ?? ports[`${name}.sock`] ?? 0;
  return { api: port("api"), inference: port("inference"), egress: port("egress") };
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // The group is gone.
  }
}

/** Ends what left its process group, found by the marker that children inherit. */
async function sweep(mark: string): Promise<void> {
  for (let round = 0; round < 20; round++) {
    let found = false;
    for (const name of await readdir("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      const environment = await readFile(`/proc/${name}/environ`, "latin1").catch(() => "");
      if (!environment.includes(`X1_MARK=${mark}`)) continue;
      found = true;
      try {
        process.kill(Number(name), "SIGKILL");
      } catch {
        // Gone meanwhile.
      }
    }
    if (!found) return;
    await delay(5);
  }
}
