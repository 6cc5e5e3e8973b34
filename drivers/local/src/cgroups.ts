import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { startFrom, startOf } from "./uids.ts";

/**
 * Limits that the kernel enforces, where a control group may be written: below the service's own group (version 1 and
 * 2), or beside it (version 2, where a group with processes may not hand memory on). Found by trying, once. Everything
 * a workspace runs is in one group, each sandbox in a group of its own below it; a process joins before it gives up
 * the service's uid, so nothing that it starts is ever outside.
 */
export type Controller = "memory" | "pids" | "cpu";
const controllers: readonly Controller[] = ["memory", "pids", "cpu"];

/** A folder in which groups are made, and what is limited there. */
export type CgroupBase = { dir: string; version: 1 | 2; controllers: Controller[] };

export type GroupLimits = { memoryBytes: number; processes: number };

const run = promisify(execFile);
const read = (path: string): Promise<string> => readFile(path, "utf8").catch(() => "");
/** Launcher, first processes and zombies not yet reaped, beside what runs inside. */
const OWN_PROCESSES = 24;
/**
 * What this process' groups begin with: its pid and when it began. A pid alone comes back on a busy machine, as that of a
 * thread too, and would keep a dead service's groups for as long as its second bearer lives.
 */
export const groupPrefix = `x1-${process.pid}-${startFrom(readFileSync("/proc/self/stat", "utf8"))}-`;
/** Half of what a group gets by default: the service goes first when the machine is busy. */
const CPU = { 1: ["cpu.shares", "512"], 2: ["cpu.weight", "50"] } as const;

/**
 * Where groups could be made, best place first, from `/proc/self/mountinfo` and `/proc/self/cgroup`; pure.
 * Version 1 names its controllers in the mount's options; version 2 says them in a file, so all are candidates there.
 */
export function cgroupCandidates(mountinfo: string, own: string): CgroupBase[] {
  const found: CgroupBase[] = [];
  const paths = own
    .split("\n")
    .map((line) => /^\d+:([^:]*):(.*)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, names = "", path = "/"]) => ({ names: names.split(","), path }));
  for (const line of mountinfo.split("\n")) {
    const [left = "", right = ""] = line.split(" - ");
    const [, , , root = "/", mountPoint = ""] = left.split(" ");
    const [type, , options = ""] = right.split(" ");
    if (type !== "cgroup" && type !== "cgroup2") continue;
    const names = type === "cgroup2" ? [""] : options.split(",");
    const path = paths.find((entry) => entry.names.some((name) => names.includes(name)))?.path;
    // A path that climbs lies outside of what is mounted here.
    if (path === undefined || path.split("/").includes("..")) continue;
    const below = root !== "/" && (path === root || path.startsWith(`${root}/`)) ? path.slice(root.length) : path;
    const dir = join(mountPoint, below).replace(/\/$/, "");
    if (type === "cgroup2") {
      found.push({ dir, version: 2, controllers: [...controllers] });
      if (below !== "" && below !== "/") found.push({ dir: dirname(dir), version: 2, controllers: [...controllers] });
      continue;
    }
    const here = controllers.filter((name) => names.includes(name));
    if (here.length > 0) found.push({ dir, version: 1, controllers: here });
  }
  return found;
}

/** File and value of each limit. */
function limitFiles(base: CgroupBase, limits: GroupLimits): [file: string, value: string, needed: boolean][] {
  const memory = String(Math.floor(limits.memoryBytes));
  const files: [string, string, boolean][] = [];
  if (base.controllers.includes("memory"))
    files.push(
      ...(base.version === 1
        ? ([
            ["memory.use_hierarchy", "1", false],
            ["memory.limit_in_bytes", memory, true],
            // Memory and swap together; absent without swap accounting.
            ["memory.memsw.limit_in_bytes", memory, false],
          ] as const)
        : ([
            ["memory.max", memory, true],
            ["memory.swap.max", "0", false],
          ] as const)
      ).map(([file, value, needed]): [string, string, boolean] => [file, value, needed]),
    );
  if (base.controllers.includes("pids")) files.push(["pids.max", String(limits.processes + OWN_PROCESSES), true]);
  if (base.controllers.includes("cpu")) files.push([...CPU[base.version], true]);
  return files;
}

async function makeGroup(base: CgroupBase, dir: string, limits: GroupLimits): Promise<void> {
  await mkdir(dir);
  for (const [file, value, needed] of limitFiles(base, limits))
    await writeFile(join(dir, file), value).catch((error: unknown) => {
      if (needed) throw error;
    });
}

/** Tries, ten milliseconds apart, until the last process of a group is reaped: an idle machine needs one, a loaded one many. */
const REAPED = 300;

/** Removes a group and those below it; a group with processes stays, and the kernel keeps its limits. */
async function removeGroup(dir: string, tries: number): Promise<boolean> {
  for (const entry of await readdir(dir, { withFileTypes: true }).catch(() => []))
    if (entry.isDirectory()) await removeGroup(join(dir, entry.name), tries);
  for (let left = tries; left > 0; left -= 1) {
    try {
      await rmdir(dir);
      return true;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT") return true;
      if (code !== "EBUSY") return false;
    }
    if (left > 1) await delay(10);
  }
  return false;
}

/** Hands controllers on to groups below a group of version 2. */
const handOn = async (dir: string, names: readonly Controller[]): Promise<void> => {
  for (const name of names) await writeFile(join(dir, "cgroup.subtree_control"), `+${name}`);
};

/** Tries one controller at one place as a workspace would use it: a group in a group, with limits and a process. */
async function works(candidate: CgroupBase, controller: Controller): Promise<boolean> {
  const base: CgroupBase = { ...candidate, controllers: [controller] };
  const dir = join(base.dir, `${groupPrefix}probe-${controller}`);
  try {
    if (base.version === 2) {
      const enabled = (await read(join(base.dir, "cgroup.subtree_control"))).trim().split(" ");
      if (!enabled.includes(controller)) await handOn(base.dir, [controller]);
    }
    const limits = { memoryBytes: 64 * 1024 ** 2, processes: 10 };
    await makeGroup(base, dir, limits);
    if (base.version === 2) await handOn(dir, [controller]);
    await makeGroup(base, join(dir, "1"), limits);
    const join_ = 'echo $$ > "$1"';
    await run("/bin/sh", ["-c", join_, "x1-probe", join(dir, "1", "cgroup.procs")], { env: {}, timeout: 4_000 });
    return true;
  } catch {
    return false;
  } finally {
    await removeGroup(dir, 50);
  }
}

/** The control groups that this process may use; empty where none may be written. */
export class Cgroups {
  readonly bases: readonly CgroupBase[];

  constructor(bases: readonly CgroupBase[]) {
    this.bases = bases;
  }

  /** Tries what the machine has and removes what services that are gone left behind. Never rejects. */
  static async find(): Promise<Cgroups> {
    const candidates = cgroupCandidates(await read("/proc/self/mountinfo"), await read("/proc/self/cgroup"));
    const bases: CgroupBase[] = [];
    for (const controller of controllers) {
      for (const candidate of candidates) {
        if (!candidate.controllers.includes(controller) || !(await works(candidate, controller))) continue;
        const known = bases.find((base) => base.dir === candidate.dir);
        if (known) known.controllers.push(controller);
        else bases.push({ ...candidate, controllers: [controller] });
        break;
      }
    }
    const found = new Cgroups(bases);
    await found.sweep();
    return found;
  }

  /**
   * Removes groups of services that are gone. Asked for again and again: right after a service was killed its processes may
   * still be ending, and a group with processes stays. Never rejects.
   */
  async sweep(): Promise<void> {
    for (const { dir } of this.bases) await sweep(dir);
  }

  /** Version of the hierarchy that limits this, or null: watched, or not limited. */
  version(controller: Controller): 1 | 2 | null {
    return this.bases.find((base) => base.controllers.includes(controller))?.version ?? null;
  }

  /** A group for all that runs under one name (a workspace, a sidecar). Nothing is made before it is used. */
  group(name: string, limits: GroupLimits): ProcessGroup {
    return new ProcessGroup(this.bases, name, limits);
  }
}

/** Groups of a service that is gone and had no time to remove them. */
async function sweep(base: string): Promise<void> {
  for (const name of await readdir(base).catch(() => [])) {
    // Groups of releases before this one name no start: then the pid alone decides.
    const [, pid, start] = /^x1-(\d+)-(?:(\d+)-)?/.exec(name) ?? [];
    if (pid === undefined) continue;
    const found = await startOf(Number(pid));
    if (found !== null && (start === undefined || start === found)) continue;
    await removeGroup(join(base, name), 1);
  }
}

export type SandboxGroup = {
  /** Files into which the first process writes its id. */
  joinFiles: readonly string[];
  /** Processes that the kernel ended for want of memory; null where memory is not limited by a group. */
  outOfMemory: (() => Promise<boolean>) | null;
  remove(): Promise<void>;
};

/** One named group in every place, with one below it for each sandbox. */
export class ProcessGroup {
  readonly #bases: readonly CgroupBase[];
  readonly #name: string;
  readonly #limits: GroupLimits;
  #made: Promise<void> | null = null;
  #count = 0;

  constructor(bases: readonly CgroupBase[], name: string, limits: GroupLimits) {
    this.#bases = bases;
    this.#name = `${groupPrefix}${name}`;
    this.#limits = limits;
  }

  #dir(base: CgroupBase): string {
    return join(base.dir, this.#name);
  }

  async #make(): Promise<void> {
    for (const base of this.#bases) {
      await removeGroup(this.#dir(base), 1);
      await makeGroup(base, this.#dir(base), this.#limits);
      if (base.version === 2) await handOn(this.#dir(base), base.controllers);
    }
  }

  /** Makes the group of one sandbox. Rejects when the kernel refuses what it allowed before. */
  async sandbox(memoryBytes: number): Promise<SandboxGroup> {
    this.#made ??= this.#make();
    await this.#made;
    this.#count += 1;
    const own = String(this.#count);
    const limits = { ...this.#limits, memoryBytes: Math.min(memoryBytes, this.#limits.memoryBytes) };
    for (const base of this.#bases) await makeGroup(base, join(this.#dir(base), own), limits);
    const memory = this.#bases.find((base) => base.controllers.includes("memory"));
    const events =
      memory && join(this.#dir(memory), own, memory.version === 1 ? "memory.oom_control" : "memory.events");
    return {
      joinFiles: this.#bases.map((base) => join(this.#dir(base), own, "cgroup.procs")),
      outOfMemory: events ? async () => Number(/^oom_kill (\d+)/m.exec(await read(events))?.[1] ?? 0) > 0 : null,
      remove: async () => {
        for (const base of this.#bases) await removeGroup(join(this.#dir(base), own), REAPED);
      },
    };
  }

  /** Takes the group away; call it when its processes are gone. */
  async remove(): Promise<void> {
    for (const base of this.#bases) await removeGroup(this.#dir(base), REAPED);
    this.#made = null;
  }
}
