import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, constants, openSync } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import { Socket } from "node:net";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { Fault } from "@x1agent/contract";
import { entering, type Outside } from "./outside.ts";
import { type Architecture, type FilterKind, seccompFilter } from "./seccomp.ts";
import {
  bwrapArguments,
  launchScript,
  noexecTargets,
  readScript,
  type SandboxPlan,
  stageFstab,
  stagePlan,
  stageScript,
  utilLinuxScript,
} from "./spec.ts";

/**
 * Starts one sandbox and knows when the last process of it is gone. The launcher gets an empty environment, no terminal
 * and only these descriptors: 0-2, 3 = arguments or script, 4 = filter (bubblewrap), 5 = its report of the first
 * process's id, 6 = what the command itself inherits as 3 (the sidecar's boot).
 */
export type Mechanism = "bwrap" | "util-linux";

/** Programs of the machine, found once. */
export type Tools = {
  bwrap: string | null;
  unshare: string | null;
  perl: string | null;
  prlimit: string | null;
  bash: string | null;
  setpriv: string | null;
  architecture: Architecture;
};

export type Identity = { uid: number; gid: number; umask: string };

export type Machine = {
  mechanism: Mechanism;
  tools: Tools;
  /** Filter files, for bubblewrap. */
  filters: Record<FilterKind, string>;
  /** Folder over which root mounts its private stage. */
  stage: string;
  pipes: OutputPipes;
  /** Who takes on a workspace's uid, and how. */
  outside: Outside;
};

export type SandboxRequest = {
  plan: SandboxPlan;
  filter: FilterKind;
  /** Taken on by root, or by an ordinary user with uids of his own; null for one without, who stays who he is. */
  identity: Identity | null;
  /** Empty folder for the new root, util-linux started by an ordinary user. */
  newRoot: string;
  stdin: "none" | "pipe";
  /** Written to descriptor 3 of the command, then closed; `later`: by `Sandbox.boot`. */
  boot?: Buffer | "later";
  /** Files of control groups that the launcher joins first. */
  groups: readonly string[];
};

export type SandboxEnd = {
  exitCode: number | null;
  signal: string | null;
  /** The sandbox was complete and the command began; false means that its exit code is the launcher's. */
  began: boolean;
  /** `kill` was called: what ended here did not end by itself. */
  killed: boolean;
};

export type Sandbox = {
  /** Process that the service started; the root of the sandbox's tree. */
  pid: number;
  stdin: Writable | null;
  stdout: Readable;
  stderr: Readable;
  /** Resolves when every process of the sandbox is gone. */
  ended: Promise<SandboxEnd>;
  kill(): void;
  /** Writes what the command waits for on descriptor 3, once. */
  boot(document: Buffer): void;
};

type OutputPipe = { readFd: number; writeFd: number };
const SPARE_PIPES = 12;
const run = promisify(execFile);

/**
 * Real pipes for commands: `/dev/stderr` cannot be opened again when it is the socket that Node would make. They are made
 * several at once by one `mkfifo` and kept open without a name, so that a command does not wait for it.
 */
export class OutputPipes {
  readonly #folder: string;
  readonly #spare: OutputPipe[] = [];
  #making: Promise<void> | null = null;

  /** `folder` is made for its owner alone; it holds names for a moment only. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** One pipe; the caller closes both ends. */
  async take(): Promise<OutputPipe> {
    for (;;) {
      const pipe = this.#spare.pop();
      if (this.#spare.length < SPARE_PIPES / 3) this.#more();
      if (pipe) return pipe;
      await this.#making;
    }
  }

  #more(): void {
    this.#making ??= this.#make().finally(() => {
      this.#making = null;
    });
    // Whoever waits hears of a failure; making spare ones is tried again by the next command.
    this.#making.catch(() => {});
  }

  async #make(): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const batch = randomBytes(8).toString("hex");
    const paths = Array.from({ length: SPARE_PIPES }, (_, at) => join(this.#folder, `${batch}-${at}`));
    try {
      await run("/usr/bin/mkfifo", ["-m", "0622", ...paths], { env: {} });
      for (const path of paths) {
        const readFd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
        try {
          this.#spare.push({ readFd, writeFd: openSync(path, constants.O_WRONLY) });
        } catch (cause) {
          closeSync(readFd);
          throw cause;
        }
      }
    } finally {
      await Promise.all(paths.map((path) => rm(path, { force: true })));
    }
  }
}

/** Start time and state of a process, or null: tells a process from a later one with the same id. */
async function processMark(pid: number): Promise<{ start: string; zombie: boolean } | null> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { start: fields[19] ?? "", zombie: fields[0] === "Z" || fields[0] === "X" };
  } catch {
    return null;
  }
}

/**
 * Waits until the first process of a pid namespace is reaped or a zombie: the kernel lets it become one only after it
 * has ended every other process of the namespace.
 */
async function namespaceGone(pid: number, start: string): Promise<boolean> {
  const deadline = Date.now() + 10_000;
  for (let pause = 1; Date.now() < deadline; pause = Math.min(pause * 2, 20)) {
    const mark = await processMark(pid);
    if (mark === null || mark.zombie || mark.start !== start) return true;
    await delay(pause);
  }
  return false;
}

/** Starts a sandbox. Rejects with a Fault when the launcher itself cannot be started. */
export async function startSandbox(machine: Machine, request: SandboxRequest): Promise<Sandbox> {
  const { tools, mechanism } = machine;
  const asRoot = request.identity !== null;
  const staged = asRoot
    ? stagePlan(request.plan.mounts, machine.stage)
    : { plan: [...request.plan.mounts], sources: [] };
  const boot = request.boot !== undefined;
  const argv = boot ? ["/bin/sh", "-c", 'exec "$@" 3<&6 6<&-', "x1-boot", ...request.plan.argv] : request.plan.argv;
  const plan: SandboxPlan = { ...request.plan, argv, mounts: staged.plan };
  const filter = seccompFilter(tools.architecture, request.filter);

  let launcher: string[];
  let instructions: string;
  if (mechanism === "bwrap") {
    const built = bwrapArguments(plan, { prlimit: tools.prlimit, seccompFd: 4, statusFd: 5 });
    launcher = [must(tools.bwrap, "bubblewrap"), "--args", "3", "--", ...built.command];
    instructions = `${built.options.join("\0")}\0`;
  } else {
    const unshare = must(tools.unshare, "util-linux");
    launcher = [
      // bubblewrap asks for the parent-death signal itself; unshare passes it on to its child only.
      ...[must(tools.setpriv, "util-linux"), "--pdeathsig", "KILL", "--"],
      ...[unshare, "-U", "-r", "-m", "-p", "-f", "-i", "-u", "--kill-child"],
      ...(plan.ownNetwork ? ["-n"] : []),
      ...["--", "/bin/bash", "--norc", "--noprofile", "-c", readScript],
    ];
    const newRoot = asRoot ? `${machine.stage}/root` : request.newRoot;
    instructions = utilLinuxScript(plan, {
      newRoot,
      tools: { ...tools, unshare },
      filter,
      closeFds: [3, 4, 5],
      statusFd: 5,
      noexec: noexecTargets(request.plan.mounts, await readFile("/proc/self/mountinfo", "utf8")),
    });
  }
  const lastFd = boot ? 6 : 5;
  const groups = [String(request.groups.length), ...request.groups];
  const quietBash = ["/bin/bash", "--norc", "--noprofile", "-c"];
  if (request.identity) {
    const { uid, gid, umask } = request.identity;
    launcher = [
      ...[must(tools.unshare, "util-linux"), "-m", "--propagation", "private", "--"],
      ...[...quietBash, stageScript(machine.stage, lastFd), "x1-stage", ...groups, String(uid), String(gid), umask],
      ...[stageFstab(staged.sources, machine.stage), String(staged.sources.length), ...staged.sources],
      ...launcher,
    ];
  } else launcher = [...quietBash, launchScript(lastFd), "x1-launch", ...groups, ...launcher];

  if (request.identity) launcher = [...entering(machine.outside), ...launcher];
  const out = await machine.pipes.take();
  const err = await machine.pipes.take();
  const filterFd = mechanism === "bwrap" ? openSync(machine.filters[request.filter], "r") : null;
  let child: ChildProcess;
  try {
    child = spawn(launcher[0] as string, launcher.slice(1), {
      env: {},
      cwd: "/",
      detached: true,
      stdio: [
        request.stdin === "pipe" ? "pipe" : "ignore",
        out.writeFd,
        err.writeFd,
        "pipe",
        filterFd ?? "ignore",
        "pipe",
        ...(boot ? (["pipe"] as const) : []),
      ],
    });
  } finally {
    for (const fd of [out.writeFd, err.writeFd, filterFd]) if (fd !== null) closeSync(fd);
  }
  const stdout = new Socket({ fd: out.readFd, readable: true, writable: false });
  const stderr = new Socket({ fd: err.readFd, readable: true, writable: false });
  // Errors on these streams mean that the other side is gone, which `ended` tells.
  for (const stream of [child.stdin, ...child.stdio.slice(3), stdout, stderr]) stream?.on("error", () => {});
  const exited = new Promise<{ exitCode: number | null; signal: string | null }>((resolve, reject) => {
    child.once("exit", (exitCode, signal) => resolve({ exitCode, signal }));
    child.once("error", reject);
  });
  exited.catch(() => {});
  if (child.pid === undefined) {
    stdout.destroy();
    stderr.destroy();
    const cause = await exited.catch((error: unknown) => error);
    throw new Fault("isolation_unavailable", `Could not start ${launcher[0]}; \`x1 doctor\` says what is missing.`, {
      cause,
    });
  }
  // The type of `stdio` ends at five.
  const pipes: readonly unknown[] = child.stdio;
  (pipes[3] as Writable).end(instructions);
  const writeBoot = (document: Buffer): void => void (pipes[6] as Writable).end(document);
  if (request.boot instanceof Buffer) writeBoot(request.boot);

  // bubblewrap says which process is the namespace's first, and its exit code if the command began; on the other path
  // the launcher itself waits for the first process, and the script says when all is set up.
  const status = readStatus(pipes[5] as Readable);
  const first = mechanism === "bwrap" ? status.first : Promise.resolve(null);
  let killed = false;
  const ended = exited.then(async (end) => {
    const init = await first;
    if (init && (await processMark(init.pid))?.start === init.start) {
      signalQuietly(init.pid);
      if (!(await namespaceGone(init.pid, init.start)))
        throw new Fault(
          "internal",
          `Process ${init.pid} of a workspace does not end; it is stuck in the kernel. Restart the machine if it stays.`,
        );
    }
    return { ...end, killed, began: /"exit-code"|^ready$/m.test(await status.text) };
  });
  ended.catch(() => {});
  return {
    pid: child.pid,
    stdin: child.stdin,
    stdout,
    stderr,
    ended,
    boot: writeBoot,
    kill() {
      if (killed) return;
      killed = true;
      // Not before bubblewrap has named its child: killed earlier, it could leave it waiting for its parent for ever.
      void Promise.race([first, exited.catch(() => {}), delay(2_000, undefined, { ref: false })]).then(() =>
        child.kill("SIGKILL"),
      );
    },
  };
}

/** What the launcher reports: the first process as soon as it is named, the whole text when it has closed its end. */
function readStatus(stream: Readable): {
  first: Promise<{ pid: number; start: string } | null>;
  text: Promise<string>;
} {
  let text = "";
  stream.setEncoding("utf8");
  const closed = new Promise<string>((resolve) => {
    stream.on("close", () => resolve(text));
    stream.on("end", () => resolve(text));
  });
  const first = new Promise<{ pid: number; start: string } | null>((resolve) => {
    const finish = async (): Promise<void> => {
      const pid = Number(/"child-pid":\s*(\d+)/.exec(text)?.[1]);
      const mark = pid > 0 ? await processMark(pid) : null;
      resolve(mark && !mark.zombie ? { pid, start: mark.start } : null);
    };
    stream.on("data", (part: string) => {
      text += part;
      if (text.includes("}")) void finish();
    });
    void closed.then(finish);
  });
  return { first, text: closed };
}

function signalQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // Gone already.
  }
}

function must(path: string | null, what: string): string {
  if (path === null)
    throw new Fault("isolation_unavailable", `${what} is not installed; \`apt-get install ${what}\` adds it.`);
  return path;
}
