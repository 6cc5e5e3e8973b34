import { open, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as pause } from "node:timers/promises";
import { Fault, type HostBoot, type IsolationReport } from "@x1agent/contract";
import type {
  ExecResult,
  ExecSpec,
  HostEndpoint,
  HostExit,
  HostMemory,
  Workspace,
  WorkspaceSpec,
} from "@x1agent/workspaces";
import { Capture } from "./capture.ts";
import type { ProcessGroup, SandboxGroup } from "./cgroups.ts";
import { readJournal } from "./journal.ts";
import { AGAIN_MS, exists } from "./machine.ts";
import { treeMemory } from "./memory.ts";
import { entering } from "./outside.ts";
import type { DriverContext } from "./prepare.ts";
import { type Identity, type Sandbox, type SandboxRequest, startSandbox } from "./sandbox.ts";
import { seccompFilter } from "./seccomp.ts";
import type { Spare } from "./spare.ts";
import {
  baseEnv,
  compiledBeside,
  egressEnv,
  forwardedArgv,
  nestedPrefix,
  sidecarPlan,
  type WorkspacePaths,
  workspacePlan,
} from "./spec.ts";

const SIDECAR_READY_MS = 30_000;

/** What a sidecar may take, in bytes and processes. */
export const SIDECAR_LIMITS = { memoryBytes: 1024 ** 3, processes: 256 };

/** Largest single file; the disk limit counts all. */
const FILE_BYTES = 8 * 1024 ** 3;

/** Longest path of a unix socket, with its end mark. */
const SOCKET_PATH = 107;

const SHUTDOWN_MS = 3_000;

type RunningHost = {
  sandbox: Sandbox;
  endpoint: HostEndpoint;
  exited: Promise<HostExit>;
  closeDir: () => Promise<void>;
};

/** How a sidecar is started; nothing of it is one workspace's but the folder of its sockets and the uid. */
export function sidecarRequest(
  { options, usr, alternatives }: DriverContext,
  sock: string,
  uid: number | null,
  boot: Buffer | "later",
): Omit<SandboxRequest, "newRoot" | "groups"> {
  return {
    plan: {
      mounts: sidecarPlan({
        ...{ usr, alternatives, sock, program: join(options.overlayDir, "sidecar") },
        etc: join(options.runDir, "driver/etc-sidecar"),
      }),
      env: {
        ...{ PATH: "/usr/bin:/bin", HOME: "/tmp", LANG: "C.UTF-8", TMPDIR: "/tmp" },
        ...compiledBeside("/x1/sidecar"),
      },
      cwd: "/",
      argv: [
        "/x1/sidecar/node",
        "/x1/sidecar/sidecar.mjs",
        "--sock",
        "/x1/sock",
        ...(uid === null ? [] : ["--group"]),
        ...(boot === "later" ? ["--ahead"] : []),
      ],
      ownNetwork: false,
      limits: { processes: SIDECAR_LIMITS.processes, fileBytes: 16 * 1024 * 1024 },
    },
    filter: "strict",
    identity: uid === null ? null : { uid: uid + 1, gid: uid, umask: "007" },
    stdin: "pipe",
    boot,
  };
}

/** One workspace: its volume, its sidecar outside, and what is run inside, each command in a sandbox of its own. */
export class LocalWorkspace implements Workspace {
  readonly id: string;
  readonly spec: WorkspaceSpec;
  readonly report: IsolationReport;
  readonly sidecarExited: Promise<{ exitCode: number | null; signal: string | null }>;
  readonly #context: DriverContext;
  readonly #dir: string;
  readonly #paths: WorkspacePaths;
  readonly #uid: number | null;
  readonly #running = new Set<Sandbox>();
  readonly #group: ProcessGroup;
  /** The sidecar's own: what the workspace uses up is not taken from it. */
  readonly #sidecarGroup: ProcessGroup;
  #ending = false;
  #sidecar: Sandbox | null = null;
  /** Taken over instead of started, once. */
  #spare: Spare | null;
  #host: Promise<RunningHost> | null = null;
  #sidecarEnded: (end: { exitCode: number | null; signal: string | null }) => void = () => {};

  constructor(
    context: DriverContext,
    spec: WorkspaceSpec,
    dir: string,
    paths: WorkspacePaths,
    uid: number | null,
    spare: Spare | null = null,
  ) {
    this.#spare = spare;
    this.id = spec.id;
    this.spec = spec;
    this.report = context.report;
    this.#context = context;
    this.#dir = dir;
    this.#paths = paths;
    this.#uid = uid;
    this.sidecarExited = new Promise((resolve) => {
      this.#sidecarEnded = resolve;
    });
    if (!spec.sidecar) this.#sidecarEnded({ exitCode: null, signal: null });
    this.#group = context.cgroups.group(spec.id, spec.limits);
    this.#sidecarGroup = spare?.group ?? context.cgroups.group(`${spec.id}-sidecar`, SIDECAR_LIMITS);
    const { diskBytes, memoryBytes } = spec.limits;
    context.watch.addVolume(spec.id, { dir, diskBytes, memoryBytes, enter: entering(context.machine.outside) });
  }

  get #agent(): Identity | null {
    return this.#uid === null ? null : { uid: this.#uid, gid: this.#uid, umask: "022" };
  }

  /** Starts one sandbox of this workspace. */
  async #launch(
    request: Omit<Parameters<typeof startSandbox>[1], "newRoot" | "groups">,
    onLimit: (limit: "memory" | "disk") => void,
    memoryBytes: number,
    group = this.#group,
  ): Promise<Sandbox> {
    if (this.#ending) throw new Fault("conflict", `Workspace ${this.id} is being stopped.`);
    const own = await group.sandbox(memoryBytes);
    const started = await startSandbox(this.#context.machine, {
      ...request,
      newRoot: join(this.#dir, "root"),
      groups: own.joinFiles,
    }).catch(async (error: unknown) => {
      await own.remove();
      throw error;
    });
    return this.#count(started, own, onLimit, memoryBytes);
  }

  /** Counts a sandbox as this workspace's until it is gone. */
  #count(
    started: Sandbox,
    own: SandboxGroup,
    onLimit: (limit: "memory" | "disk") => void,
    memoryBytes: number,
  ): Sandbox {
    const sandbox: Sandbox = {
      ...started,
      ended: started.ended.finally(async () => {
        // The kernel ends one process; whether it did is known only while the group is there.
        if (await own.outOfMemory?.()) onLimit("memory");
        // A process that is being reaped keeps its group busy for some milliseconds; nobody has to wait for that.
        void own.remove();
      }),
    };
    sandbox.ended.catch(() => {});
    this.#running.add(sandbox);
    if (this.#ending) sandbox.kill();
    const unwatch = this.#context.watch.add({
      ...{ pid: sandbox.pid, workspace: this.id, memoryBytes, onLimit, outOfMemory: own.outOfMemory },
    });
    void sandbox.ended
      .catch(() => {})
      .then(() => {
        unwatch();
        this.#running.delete(sandbox);
      });
    return sandbox;
  }

  async #mounts(view: { sock: boolean; host: boolean }): Promise<ReturnType<typeof workspacePlan>> {
    const { options, usr, alternatives } = this.#context;
    const children: string[] = [];
    for (const name of ["runtime", "bin", "etc", "agent"])
      if (await exists(join(options.overlayDir, name))) children.push(name);
    return workspacePlan({
      ...{ usr, alternatives, paths: this.#paths, toolchains: options.toolchains ?? [], mounts: this.spec.mounts },
      overlay: children.length > 0 ? { dir: options.overlayDir, children } : null,
      app: this.spec.runtime ? { dir: this.spec.runtime.appDir, manifest: join(this.#dir, "runtime.json") } : null,
      sock: view.sock && this.spec.sidecar !== undefined,
      host: view.host,
    });
  }

  #env(network: "none" | "egress"): Record<string, string> {
    const { options } = this.#context;
    const token = network === "egress" ? this.spec.sidecar?.jobToken : undefined;
    return baseEnv(options.toolchains ?? [], {
      ...this.spec.env,
      ...(token === undefined
        ? {}
        : egressEnv(token, options.caBundle !== undefined, undefined, this.spec.sidecar?.registries)),
    });
  }

  /** A sandbox that could not be set up is tried again: of the command itself nothing began. */
  async exec(spec: ExecSpec): Promise<ExecResult> {
    for (const ms of AGAIN_MS)
      try {
        return await this.#execOnce(spec);
      } catch (error) {
        const passing = error instanceof Fault && error.code === "isolation_unavailable";
        // A stream that was handed over may be used up.
        if (!passing || spec.stdin || spec.stdout || spec.signal?.aborted) throw error;
        await pause(ms);
      }
    return this.#execOnce(spec);
  }

  async #execOnce(spec: ExecSpec): Promise<ExecResult> {
    const begin = performance.now();
    const egress = spec.network === "egress";
    if (egress && !this.spec.sidecar)
      throw new Fault("conflict", `Workspace ${this.id} has no sidecar, so commands have no way out.`);
    let limitHit: ExecResult["limitHit"] = null;
    let timedOut = false;
    const kill = (): void => sandbox?.kill();
    const hit = (limit: NonNullable<ExecResult["limitHit"]>): void => {
      limitHit ??= limit;
      kill();
    };
    let sandbox: Sandbox | null = null;
    if (spec.signal?.aborted)
      return {
        exitCode: null,
        signal: "SIGKILL",
        durationMs: 0,
        timedOut,
        limitHit,
        output: Buffer.alloc(0),
        outputBytes: 0,
      };
    sandbox = await this.#launch(
      {
        plan: {
          mounts: await this.#mounts({ sock: egress, host: false }),
          env: { ...this.#env(spec.network), ...spec.env },
          cwd: spec.cwd ?? "/workspace",
          argv: egress ? forwardedArgv(spec.argv) : spec.argv,
          ownNetwork: true,
          limits: {
            processes: this.spec.limits.processes,
            fileBytes: Math.min(FILE_BYTES, this.spec.limits.diskBytes),
          },
        },
        filter: "strict",
        identity: this.#agent,
        stdin: spec.stdin ? "pipe" : "none",
      },
      hit,
      Math.min(spec.memoryBytes ?? Number.POSITIVE_INFINITY, this.spec.limits.memoryBytes),
    );
    const timer = setTimeout(() => {
      timedOut = true;
      kill();
    }, spec.timeoutMs);
    spec.signal?.addEventListener("abort", kill, { once: true });
    if (spec.signal?.aborted) kill();
    try {
      if (spec.stdin && sandbox.stdin) void pipeline(spec.stdin, sandbox.stdin).catch(() => {});
      const capture = new Capture(spec.maxOutputBytes);
      const streams = Promise.all([
        spec.stdout
          ? capture.forward(sandbox.stdout, spec.stdout, () => hit("output"))
          : capture.collect(sandbox.stdout, () => {}),
        capture.collect(sandbox.stderr, () => {}),
      ]);
      const end = await sandbox.ended;
      await streams;
      if (!end.began && !end.killed && end.signal === null)
        throw new Fault(
          "isolation_unavailable",
          `The sandbox of workspace ${this.id} could not be set up: ${lastLines(capture.tail()) || "the launcher said nothing"}. \`x1 doctor\` checks what is missing.`,
        );
      return {
        // With a limit hit, what the rest of the command made of it says nothing.
        exitCode: end.killed || limitHit !== null ? null : end.exitCode,
        signal: end.killed || limitHit !== null ? "SIGKILL" : end.signal,
        durationMs: performance.now() - begin,
        ...{ timedOut, limitHit, output: capture.tail(), outputBytes: capture.bytes },
      };
    } finally {
      clearTimeout(timer);
      spec.signal?.removeEventListener("abort", kill);
      spec.stdin?.destroy();
    }
  }

  async startSidecar(): Promise<void> {
    const boot = this.spec.sidecar;
    if (!boot) return;
    const document = Buffer.from(JSON.stringify(boot));
    // The volume is not its own: it outlives a full one, and settles what it owes.
    const onLimit = (limit: "memory" | "disk"): void => {
      if (limit === "memory") sandbox.kill();
    };
    const spare = this.#spare;
    this.#spare = null;
    const { memoryBytes } = SIDECAR_LIMITS;
    const sandbox: Sandbox = spare
      ? this.#count(spare.sandbox, spare.own, onLimit, memoryBytes)
      : await this.#launch(
          sidecarRequest(this.#context, this.#paths.sock, this.#uid, document),
          ...([onLimit, memoryBytes, this.#sidecarGroup] as const),
        );
    if (spare) sandbox.boot(document);
    this.#sidecar = sandbox;
    void sandbox.ended
      .catch(() => ({ exitCode: null, signal: null }))
      .then(({ exitCode, signal }) => this.#sidecarEnded({ exitCode, signal }));
    await untilReady(sandbox);
  }

  startHost(): ReturnType<Workspace["startHost"]> {
    this.#host ??= this.#startHost().catch((error: unknown) => {
      this.#host = null;
      throw error;
    });
    return this.#host;
  }

  async #startHost(): Promise<RunningHost> {
    const begin = performance.now();
    const { runtime, hostToken, sidecar } = this.spec;
    if (!runtime || hostToken === undefined)
      throw new Fault("conflict", `Workspace ${this.id} was launched without a runtime, so it has no host.`);
    const { machine } = this.#context;
    for (const name of ["events.sock", "input.sock"]) await rm(join(this.#paths.host, name), { force: true });
    const kind = runtime.manifest.nestedNamespaces ? "host" : "strict";
    const unshare = machine.tools.unshare ?? "/usr/bin/unshare";
    const boot: HostBoot = {
      token: hostToken,
      jobToken: sidecar?.jobToken ?? "",
      workspaceId: this.id,
      manifestPath: "/x1/runtime.json",
      appDir: "/x1/app",
      cwd: "/workspace",
      home: "/home/agent",
      runDir: "/x1/run",
      sockDir: sidecar ? "/x1/sock" : null,
      tcp: true,
      inferenceUrl: "http://127.0.0.1:11432",
      env: this.#env(sidecar ? "egress" : "none"),
      spawnPrefix: nestedPrefix({
        bwrap: machine.mechanism === "bwrap" ? machine.tools.bwrap : null,
        tools: { ...machine.tools, unshare },
        filter: seccompFilter(machine.tools.architecture, kind),
        filterPath: "/x1/cli.bpf",
      }),
    };
    let limitHit: string | null = null;
    const sandbox = await this.#launch(
      {
        plan: {
          mounts: [
            ...(await this.#mounts({ sock: true, host: true })),
            { kind: "ro", source: machine.filters[kind], target: "/x1/cli.bpf" },
          ],
          env: baseEnv([], compiledBeside("/x1/agent")),
          cwd: "/",
          argv: ["/x1/runtime/bin/node", "/x1/agent/host.mjs"],
          ownNetwork: true,
          limits: {
            processes: this.spec.limits.processes,
            fileBytes: Math.min(FILE_BYTES, this.spec.limits.diskBytes),
          },
        },
        filter: "host",
        // Its sockets and journal are for this user's group too, where the uid is not his.
        identity: this.#agent && { ...this.#agent, umask: machine.outside.kind === "subordinate" ? "002" : "022" },
        stdin: "pipe",
      },
      (limit) => {
        limitHit ??= limit;
        sandbox.kill();
      },
      this.spec.limits.memoryBytes,
    );
    sandbox.stdin?.end(`${JSON.stringify(boot)}\n`);
    const log = new Capture(64 * 1024);
    void log.collect(sandbox.stdout, () => {});
    void log.collect(sandbox.stderr, () => {});
    const exited = sandbox.ended
      .catch(() => ({ exitCode: null, signal: null }))
      .then(({ exitCode, signal }) => ({ exitCode, signal, limitHit }));
    const { prefix, close } = await socketFolder(this.#paths.host);
    const endpoint: HostEndpoint = {
      kind: "unix",
      eventsPath: `${prefix}/events.sock`,
      inputPath: `${prefix}/input.sock`,
      token: hostToken,
    };
    const listening = await waitFor(
      async () =>
        (await isSocket(join(this.#paths.host, "events.sock"))) &&
        (await isSocket(join(this.#paths.host, "input.sock"))),
      exited,
      SIDECAR_READY_MS,
    );
    if (!listening) {
      sandbox.kill();
      await exited;
      await close();
      throw new Fault(
        "unavailable",
        `The host of ${runtime.manifest.name} did not start: ${lastLines(log.tail()) || "it said nothing"}.`,
      );
    }
    this.#context.hostStarted(performance.now() - begin);
    return { sandbox, endpoint, exited, closeDir: close };
  }

  async stopHost(): Promise<void> {
    const host = await this.#host?.catch(() => null);
    if (!host) return;
    host.sandbox.kill();
    await host.exited;
    await host.closeDir();
    this.#host = null;
  }

  async hostMemory(): Promise<HostMemory | null> {
    const host = await this.#host?.catch(() => null);
    return host ? treeMemory(host.sandbox.pid) : null;
  }

  /** All journal files of the host, oldest first. They are the agent's: bounded here and believed nowhere. */
  async readHostJournal(): Promise<Buffer> {
    return readJournal(this.#paths.host);
  }

  /** Ends every process of this workspace. The sidecar is asked first, so that it settles what it owes. */
  async end(): Promise<void> {
    this.#ending = true;
    for (const sandbox of this.#running) if (sandbox !== this.#sidecar) sandbox.kill();
    await Promise.allSettled(
      [...this.#running].filter((sandbox) => sandbox !== this.#sidecar).map((sandbox) => sandbox.ended),
    );
    await this.stopHost();
    const sidecar = this.#sidecar;
    if (sidecar) {
      sidecar.stdin?.end();
      const timer = setTimeout(() => sidecar.kill(), SHUTDOWN_MS);
      await sidecar.ended.catch(() => {});
      clearTimeout(timer);
    }
    await Promise.all([this.#group.remove(), this.#sidecarGroup.remove()]);
  }
}

/** A prefix short enough for a unix socket's address: the folder itself, or a descriptor of it in this process. */
async function socketFolder(dir: string): Promise<{ prefix: string; close: () => Promise<void> }> {
  if (Buffer.byteLength(`${dir}/events.sock`) <= SOCKET_PATH) return { prefix: dir, close: async () => {} };
  const handle = await open(dir, "r");
  return { prefix: `/proc/self/fd/${handle.fd}`, close: () => handle.close() };
}

const isSocket = (path: string): Promise<boolean> =>
  stat(path).then(
    (info) => info.isSocket(),
    () => false,
  );

/** Polls until true; false when `gone` settles or the time is over first. */
async function waitFor(check: () => Promise<boolean>, gone: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  let over = false;
  void gone.then(() => {
    over = true;
  });
  const deadline = Date.now() + timeoutMs;
  while (!over && Date.now() < deadline) {
    if (await check()) return true;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return false;
}

const lastLines = (bytes: Buffer): string =>
  bytes.toString("utf8").trim().split("\n").slice(-3).join(" / ").slice(-500);

/** Waits for the line `ready`; what else the sidecar prints is drained. */
async function untilReady(sidecar: {
  stdout: Readable;
  stderr: Readable;
  ended: Promise<unknown>;
  kill(): void;
}): Promise<void> {
  const log = new Capture(16 * 1024);
  void log.collect(sidecar.stderr, () => {});
  let text = "";
  const ready = new Promise<boolean>((resolve) => {
    sidecar.stdout.on("data", (part: Buffer) => {
      text = (text + part.toString("utf8")).slice(-4_096);
      if (/^ready$/m.test(text)) resolve(true);
    });
    void sidecar.ended.catch(() => {}).then(() => resolve(false));
    setTimeout(() => resolve(false), SIDECAR_READY_MS).unref();
  });
  if (await ready) return;
  sidecar.kill();
  await sidecar.ended.catch(() => {});
  throw new Fault(
    "unavailable",
    `The sidecar did not get ready: ${lastLines(log.tail()) || "it said nothing"}. Retry the job; \`x1 doctor\` checks the installation.`,
  );
}
