import { execFile, execFileSync, spawn as spawnProcess } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { chown, cp, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { type ReportedEvent, RuntimeManifest, reportedEvents, type StopReason, type Usage } from "@x1agent/contract";

/**
 * Drives an adapter without the host: the real CLI as a plain child process, or recorded lines. For tests of one
 * adapter; the whole host around it is the conformance kit's.
 */
export type TurnEnd = { stopReason: StopReason; errorCode?: string; detail?: string; usage?: Usage };

/** The CLI process as adapters see it; kept in shape with the adapter interface by the tests that pass it there. */
export type HarnessProcess = {
  readonly pid: number;
  writeLine(line: string): boolean;
  onLine(listener: (line: string) => void): void;
  onOverflow(listener: (bytes: number) => void): void;
  onStderr(listener: (text: string) => void): void;
  readonly exited: Promise<{ exitCode: number | null; signal: string | null }>;
  endInput(): void;
  kill(options?: { signal?: NodeJS.Signals; graceMs?: number }): Promise<void>;
};

export type HarnessOptions = {
  runtimeDir: string;
  appDir?: string;
  cwd: string;
  home: string;
  inferenceUrl?: string;
  jobToken?: string;
  model?: string;
  ask?: boolean;
  instructions?: string;
  resume?: string;
  env?: Readonly<Record<string, string>>;
  /** Instead of a real process. */
  spawn?: (argv: readonly string[], env: Readonly<Record<string, string>>) => HarnessProcess;
};

/** Everything an adapter needs and everything it said. Each event is checked against the contract as it comes. */
export function adapterHarness(options: HarnessOptions) {
  const events: ReportedEvent[] = [];
  const turns: TurnEnd[] = [];
  const logs: string[] = [];
  const processes: HarnessProcess[] = [];
  const listeners = new Set<() => void>();
  const changed = () => {
    for (const listener of listeners) listener();
  };

  /** Resolves once `look` finds something; rejects with what was said so far. */
  async function until<T>(what: string, look: () => T | undefined | false, timeoutMs = 30_000): Promise<T> {
    const found = Promise.withResolvers<T>();
    const check = () => {
      const value = look();
      if (value !== undefined && value !== false) found.resolve(value as T);
    };
    const timer = setTimeout(() => {
      const said = events.slice(-12).map((event) => JSON.stringify(event).slice(0, 300));
      found.reject(
        new Error(`waited ${timeoutMs} ms for ${what}; last events:\n${said.join("\n")}\n${logs.slice(-5).join("\n")}`),
      );
    }, timeoutMs);
    listeners.add(check);
    // Some conditions come true without an event.
    const poll = setInterval(check, 50);
    check();
    return found.promise.finally(() => {
      clearTimeout(timer);
      clearInterval(poll);
      listeners.delete(check);
    });
  }

  const env = options.env ?? { PATH: process.env.PATH ?? "", HOME: options.home, LANG: "C.UTF-8" };
  const context = {
    manifest: RuntimeManifest.parse(JSON.parse(readFileSync(join(options.runtimeDir, "runtime.json"), "utf8"))),
    appDir: options.appDir ?? join(options.runtimeDir, "cli"),
    cwd: options.cwd,
    home: options.home,
    env,
    inferenceUrl: options.inferenceUrl ?? "http://127.0.0.1:9",
    jobToken: options.jobToken ?? "job-token",
    model: options.model,
    ask: options.ask ?? false,
    instructions: options.instructions,
    resume: options.resume,
    spawn(argv: readonly string[], spawned: { cwd?: string; env?: Readonly<Record<string, string>> } = {}) {
      // What the adapter wrote before this belongs to whom the CLI runs as; in a workspace the two are one user.
      if (agentIds.uid !== undefined && !options.spawn)
        execFileSync("chown", ["-R", `${agentIds.uid}:${agentIds.gid}`, options.home]);
      const made = options.spawn
        ? options.spawn(argv, spawned.env ?? env)
        : startCli(argv, spawned.cwd ?? options.cwd, spawned.env ?? env);
      processes.push(made);
      return made;
    },
    emit(event: ReportedEvent) {
      reportedEvents[event.type].parse(event.payload);
      events.push(event);
      changed();
    },
    turnSettled(end: TurnEnd) {
      turns.push(end);
      changed();
    },
    log(line: string) {
      if (logs.length < 1_000) logs.push(line.slice(0, 2_000));
    },
  };
  return {
    context,
    events,
    turns,
    logs,
    processes,
    until,
    /** Payloads of one family, in order. */
    all<T extends ReportedEvent["type"]>(type: T): PayloadOf<T>[] {
      return events.flatMap((event) => (event.type === type ? [event.payload as PayloadOf<T>] : []));
    },
    /** The end of turn number `count`. */
    turn: (count: number, timeoutMs?: number) => until(`turn ${count} to end`, () => turns[count - 1], timeoutMs),
  };
}
type PayloadOf<T extends ReportedEvent["type"]> = Extract<ReportedEvent, { type: T }>["payload"];
export type AdapterHarness = ReturnType<typeof adapterHarness>;

/** CLIs refuse some modes as root, and no workspace runs as root: tests started as root use a uid without an account. */
const agentIds = process.getuid?.() === 0 ? { uid: 61_234, gid: 61_234 } : {};

/** A fresh work folder and home below one temporary folder, owned by whom the CLI runs as. */
export async function agentFolders(): Promise<{
  root: string;
  cwd: string;
  home: string;
  own(): Promise<void>;
  remove(): Promise<void>;
}> {
  const root = await mkdtemp(join(tmpdir(), "x1-agent-"));
  const [cwd, home] = [join(root, "workspace"), join(root, "home")];
  const own = async () => {
    const { uid, gid } = agentIds;
    if (uid === undefined || gid === undefined) return;
    await promisify(execFile)("chown", ["-R", `${uid}:${gid}`, root]);
  };
  await mkdir(cwd);
  await mkdir(home);
  if (agentIds.uid !== undefined) await chown(root, agentIds.uid, agentIds.gid);
  await own();
  return {
    root,
    cwd,
    home,
    own,
    remove: () => rm(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }),
  };
}

function startCli(argv: readonly string[], cwd: string, env: Readonly<Record<string, string>>): HarnessProcess {
  const [program = "", ...args] = argv;
  const child = spawnProcess(program, args, { cwd, env: { ...env }, detached: true, stdio: "pipe", ...agentIds });
  let rest = "";
  let onLine: (line: string) => void = () => {};
  let onStderr: (text: string) => void = () => {};
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(line);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => onStderr(text));
  child.stdin.on("error", () => {});
  const exited = new Promise<{ exitCode: number | null; signal: string | null }>((resolve) => {
    child.once("exit", (exitCode, signal) => resolve({ exitCode, signal }));
    child.once("error", () => resolve({ exitCode: null, signal: null }));
  });
  return {
    pid: child.pid ?? -1,
    writeLine(line) {
      if (child.exitCode !== null || !child.stdin.writable) return false;
      child.stdin.write(`${line}\n`);
      return true;
    },
    onLine(listener) {
      onLine = listener;
    },
    onOverflow: () => {},
    onStderr(listener) {
      onStderr = listener;
    },
    exited,
    endInput: () => void child.stdin.end(),
    async kill({ signal = "SIGTERM", graceMs = 2_000 } = {}) {
      child.kill(signal);
      const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
      await exited;
      clearTimeout(timer);
      // Whatever of its group stayed behind; gone already is fine.
      try {
        if (child.pid) process.kill(-child.pid, "SIGKILL");
      } catch {}
    },
  };
}

/** A process that plays recorded lines: everything up to the next expected input, each time input arrives. */
export function replayProcess(
  recording: readonly { sent: boolean; message: Record<string, unknown> }[],
  options: ReplayOptions,
) {
  let at = 0;
  let onLine: (line: string) => void = () => {};
  const written: Record<string, unknown>[] = [];
  const exit = Promise.withResolvers<{ exitCode: number | null; signal: string | null }>();
  const play = () => {
    while (at < recording.length && !recording[at]?.sent) {
      const { message } = recording[at]!;
      at += 1;
      onLine(JSON.stringify(options.adapt ? options.adapt(message, written) : message));
    }
  };
  const replay: HarnessProcess & { written: typeof written; finished(): boolean } = {
    pid: 1,
    written,
    finished: () => at >= recording.length,
    writeLine(line) {
      written.push(JSON.parse(line) as Record<string, unknown>);
      // The adapter's own bookkeeping commands are not in the recording: they get their answer, and it stays where it is.
      const reply = options.answer?.(written.at(-1)!);
      if (reply) {
        setImmediate(() => onLine(JSON.stringify(reply)));
        return true;
      }
      if (recording[at]?.sent) at += 1;
      setImmediate(play);
      return true;
    },
    onLine: (listener) => {
      onLine = listener;
      setImmediate(play);
    },
    onOverflow: () => {},
    onStderr: () => {},
    exited: exit.promise,
    endInput: () => {},
    kill: async () => exit.resolve({ exitCode: 143, signal: null }),
  };
  return replay;
}
export type ReplayOptions = {
  /** Changes a recorded line before it is played, e.g. to carry the id of the command it answers. */
  adapt?: (message: Record<string, unknown>, written: readonly Record<string, unknown>[]) => Record<string, unknown>;
  /** Answers a written line without moving on in the recording. */
  answer?: (written: Record<string, unknown>) => Record<string, unknown> | null;
};

/** Lines of a recording file: `{dir, msg}` wrappers, or bare messages with `_sent` for what was written. */
export function readRecording(path: string): { sent: boolean; message: Record<string, unknown> }[] {
  return readFileSync(path, "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const value = JSON.parse(line) as Record<string, unknown> & {
        msg?: Record<string, unknown>;
        _sent?: Record<string, unknown>;
      };
      if (value.msg) return { sent: value.dir === ">", message: value.msg };
      return value._sent ? { sent: true, message: value._sent } : { sent: false, message: value };
    });
}

/**
 * The runtime's real CLI for tests: installed from the runtime's lock file into its `cli/` folder once, and used from
 * there. Returns null where it is not installed and the registry cannot be reached.
 */
export async function installedCli(runtimeDir: string): Promise<string | null> {
  const manifest = RuntimeManifest.parse(JSON.parse(readFileSync(join(runtimeDir, "runtime.json"), "utf8")));
  if (!manifest.install) return runtimeDir;
  const cli = join(runtimeDir, dirname(manifest.install.lock));
  const modules = join(cli, "node_modules");
  const installed = join(modules, manifest.install.package, "package.json");
  const upToDate = () =>
    existsSync(installed) && JSON.parse(readFileSync(installed, "utf8")).version === manifest.version;
  if (upToDate()) return cli;
  // In the checkout's own modules: never committed, and on the same file system, so that it can be renamed into place.
  const staging = await mkdtemp(join(runtimeDir, "../../node_modules", ".x1-cli-"));
  try {
    for (const file of ["package.json", "package-lock.json"]) await cp(join(cli, file), join(staging, file));
    const command = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
    await promisify(execFile)("npm", command, { cwd: staging, timeout: 110_000 });
    await rm(modules, { recursive: true, force: true });
    // Two tests may install at once: who comes second finds it done.
    await rename(join(staging, "node_modules"), modules).catch((cause: unknown) => {
      if (!upToDate()) throw cause;
    });
    return cli;
  } catch {
    return null;
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}
