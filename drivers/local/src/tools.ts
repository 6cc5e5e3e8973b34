import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chown, cp, lchown, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { type LocalDriverOptions, prepareMachine } from "./prepare.ts";
import { startSandbox } from "./sandbox.ts";
import { systemMounts } from "./spec.ts";
import { UidRange } from "./uids.ts";
import { LimitWatch } from "./watch.ts";

/**
 * Runs a program that the platform needs and does not trust, such as a package manager: in a sandbox with the machine's
 * network (or none), an environment from nothing, and one folder of the machine that it may write to. No data directory, no home,
 * no process of the service is seen; as root it has an unassigned uid of its own.
 */
export type ToolRun = {
  argv: readonly string[];
  env: Readonly<Record<string, string>>;
  /** The only folder that it may change; seen as `/workspace`, its current folder. Given back to the service's user. */
  folder: string;
  /** Read-only; a source that does not exist fails the run. */
  readOnly: readonly { source: string; target: string }[];
  /** `false`: without any network; the default is the machine's. */
  network?: false;
  /** Folders of which it gets a copy of its own below `/tmp`, by the path there. */
  copies?: readonly { source: string; path: string }[];
  /** Small files for its home, by name; gone when it ends. */
  home: Readonly<Record<string, string>>;
  onText: (text: string) => void;
  signal: AbortSignal;
};

const MEMORY_BYTES = 2 * 1024 ** 3;
const LIMITS = { processes: 256, fileBytes: 4 * 1024 ** 3 };
const run = promisify(execFile);

export type ToolSandbox = (request: ToolRun) => Promise<{ exitCode: number | null }>;

/** Makes the way to run tools; nothing is touched before the first one. Rejects with a `Fault` where there is no isolation. */
export function createToolSandbox(options: LocalDriverOptions): ToolSandbox {
  const uids = new UidRange(options.uidRange);
  const watch = new LimitWatch();
  const root = join(options.runDir, "tools");
  return async (request) => {
    const machine = await prepareMachine(options, watch);
    await mkdir(root, { recursive: true, mode: 0o711 });
    await sweep(root);
    const dir = await mkdtemp(join(root, `${process.pid}-`));
    const uid = process.getuid?.() === 0 ? await uids.take(new Set()) : null;
    const group = machine.cgroups.group(`tool-${randomBytes(4).toString("hex")}`, {
      memoryBytes: MEMORY_BYTES,
      processes: LIMITS.processes,
    });
    try {
      const [home, tmp] = [join(dir, "home"), join(dir, "tmp")];
      for (const path of [home, tmp, join(dir, "root")]) await mkdir(path, { mode: 0o700 });
      for (const [name, text] of Object.entries(request.home)) {
        await writeFile(join(home, name), text, { mode: 0o600 });
        if (uid !== null) await chown(join(home, name), uid, uid);
      }
      for (const { source, path } of request.copies ?? [])
        await cp(source, join(tmp, path), { recursive: true, verbatimSymlinks: true });
      if (uid !== null) {
        await chown(home, uid, uid);
        for (const path of [tmp, request.folder]) await own(path, uid);
      }
      const seat = await group.sandbox(MEMORY_BYTES);
      const sandbox = await startSandbox(machine.machine, {
        plan: {
          mounts: [
            ...systemMounts(machine.usr, join(options.runDir, "driver/etc-sidecar"), machine.alternatives),
            { kind: "rw", source: tmp, target: "/tmp" },
            { kind: "rw", source: home, target: "/home/agent" },
            ...request.readOnly.map(({ source, target }) => ({ kind: "ro", source, target }) as const),
            { kind: "rw", source: request.folder, target: "/workspace" },
          ],
          env: { PATH: "/usr/bin:/bin", HOME: "/home/agent", TMPDIR: "/tmp", LANG: "C.UTF-8", ...request.env },
          cwd: "/workspace",
          argv: request.argv,
          ownNetwork: request.network === false,
          limits: LIMITS,
        },
        filter: "strict",
        identity: uid === null ? null : { uid, gid: uid, umask: "022" },
        ...{ newRoot: join(dir, "root"), stdin: "none", groups: seat.joinFiles },
      });
      const unwatch = watch.add({
        ...{ pid: sandbox.pid, workspace: dir, memoryBytes: MEMORY_BYTES, outOfMemory: seat.outOfMemory },
        onLimit: () => sandbox.kill(),
      });
      const stop = (): void => sandbox.kill();
      request.signal.addEventListener("abort", stop, { once: true });
      if (request.signal.aborted) stop();
      for (const stream of [sandbox.stdout, sandbox.stderr]) stream.setEncoding("utf8").on("data", request.onText);
      try {
        const end = await sandbox.ended;
        return { exitCode: end.killed ? null : end.exitCode };
      } finally {
        unwatch();
        request.signal.removeEventListener("abort", stop);
      }
    } finally {
      await group.remove();
      if (uid !== null) {
        await own(request.folder, 0);
        await uids.release(uid);
      }
      await rm(dir, { recursive: true, force: true });
    }
  };
}

/** Gives a tree to somebody; links themselves, never what they point to. */
async function own(folder: string, uid: number): Promise<void> {
  await lchown(folder, uid, uid);
  await run("/usr/bin/chown", ["-R", "-h", "-P", `${uid}:${uid}`, "--", folder], { env: {} });
}

/** Folders of a service that was killed. */
async function sweep(root: string): Promise<void> {
  const running = new Set(await readdir("/proc"));
  for (const name of await readdir(root))
    if (!running.has(name.split("-")[0] ?? "")) await rm(join(root, name), { recursive: true, force: true });
}
