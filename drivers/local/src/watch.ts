import { execFile } from "node:child_process";
import { readdir, readFile, statfs } from "node:fs/promises";
import { promisify } from "node:util";

/**
 * Limits that are watched rather than enforced by the kernel: memory where no control group may be written (summed over
 * the processes of a sandbox twice a second) and disk (measured at intervals that follow what measuring costs). Where
 * the kernel limits memory, the same scan asks it whether it had to. One scan serves all sandboxes.
 */
export type Watched = {
  /** Process at the root of the tree. */
  pid: number;
  workspace: string;
  memoryBytes: number;
  /** Asks the kernel that enforces the limit; null: it is summed here. */
  outOfMemory: (() => Promise<boolean>) | null;
  onLimit(limit: "memory" | "disk"): void;
};
export type WatchedVolume = {
  dir: string;
  diskBytes: number;
  memoryBytes: number;
  /** Put before the program that measures, so that it may enter what is another uid's. */
  enter: readonly string[];
};

const SCAN_MS = 500;
const DISK_MS = 3_000;
/** After a workspace was ended for its disk: time in which its work is taken out of it, which may take half its limit more. */
const TAKE_OUT_MS = 60_000;
const PAGE = 4096;
/** Left free on the volume for everybody else. */
const FREE_RESERVE = 512 * 1024 * 1024;
const run = promisify(execFile);

export type ProcessRow = { pid: number; parent: number; bytes: number };

/** Private resident memory below each root; pure. */
export function sumTrees(rows: readonly ProcessRow[], roots: readonly number[]): Map<number, number> {
  const children = new Map<number, ProcessRow[]>();
  for (const row of rows) {
    const list = children.get(row.parent);
    if (list) list.push(row);
    else children.set(row.parent, [row]);
  }
  const own = new Map(rows.map((row) => [row.pid, row.bytes]));
  const sums = new Map<number, number>();
  for (const root of roots) {
    let sum = own.get(root) ?? 0;
    const open = [root];
    const seen = new Set(open);
    for (let pid = open.pop(); pid !== undefined; pid = open.pop()) {
      for (const child of children.get(pid) ?? []) {
        if (seen.has(child.pid)) continue;
        seen.add(child.pid);
        sum += child.bytes;
        open.push(child.pid);
      }
    }
    sums.set(root, sum);
  }
  return sums;
}

/** Every process with its private resident memory. */
export async function readProcesses(): Promise<ProcessRow[]> {
  const names = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const rows = await Promise.all(
    names.map(async (name): Promise<ProcessRow | null> => {
      try {
        const [stat, statm] = await Promise.all([
          readFile(`/proc/${name}/stat`, "utf8"),
          readFile(`/proc/${name}/statm`, "utf8"),
        ]);
        const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
        const [, resident = "0", shared = "0"] = statm.split(" ");
        return { pid: Number(name), parent, bytes: Math.max(0, Number(resident) - Number(shared)) * PAGE };
      } catch {
        return null;
      }
    }),
  );
  return rows.filter((row) => row !== null);
}

/** Watches sandboxes and volumes while there are any; idle it costs nothing. */
export class LimitWatch {
  #sandboxes = new Set<Watched>();
  #volumes = new Map<string, WatchedVolume>();
  #timer: NodeJS.Timeout | null = null;
  #scanning = false;
  #diskAt = new Map<string, number>();
  #takeOut = new Map<string, { until: number; bytes: number }>();

  addVolume(workspace: string, volume: WatchedVolume): void {
    this.#volumes.set(workspace, volume);
  }

  removeVolume(workspace: string): void {
    this.#volumes.delete(workspace);
    this.#diskAt.delete(workspace);
    this.#takeOut.delete(workspace);
  }

  /** Returns the function that ends the watching. */
  add(sandbox: Watched): () => void {
    this.#sandboxes.add(sandbox);
    this.#timer ??= setInterval(() => void this.#scan(), SCAN_MS);
    this.#timer.unref();
    return () => {
      this.#sandboxes.delete(sandbox);
      if (this.#sandboxes.size === 0 && this.#timer) {
        clearInterval(this.#timer);
        this.#timer = null;
      }
    };
  }

  async #scan(): Promise<void> {
    if (this.#scanning) return;
    this.#scanning = true;
    try {
      const active = [...this.#sandboxes];
      for (const sandbox of active) if (await sandbox.outOfMemory?.()) sandbox.onLimit("memory");
      const summed = active.filter((sandbox) => sandbox.outOfMemory === null);
      const sums = sumTrees(
        summed.length === 0 ? [] : await readProcesses(),
        summed.map((sandbox) => sandbox.pid),
      );
      const perWorkspace = new Map<string, number>();
      for (const sandbox of summed) {
        const bytes = sums.get(sandbox.pid) ?? 0;
        perWorkspace.set(sandbox.workspace, (perWorkspace.get(sandbox.workspace) ?? 0) + bytes);
        if (bytes > sandbox.memoryBytes) sandbox.onLimit("memory");
      }
      for (const sandbox of summed) {
        const volume = this.#volumes.get(sandbox.workspace);
        if (volume && (perWorkspace.get(sandbox.workspace) ?? 0) > volume.memoryBytes) sandbox.onLimit("memory");
      }
      await this.#scanDisks(new Set(active.map((sandbox) => sandbox.workspace)));
    } catch {
      // A scan that fails is repeated by the next tick.
    } finally {
      this.#scanning = false;
    }
  }

  async #scanDisks(workspaces: ReadonlySet<string>): Promise<void> {
    for (const workspace of workspaces) {
      const volume = this.#volumes.get(workspace);
      const begin = Date.now();
      if (!volume || begin < (this.#diskAt.get(workspace) ?? 0)) continue;
      const before = this.#takeOut.get(workspace);
      const held = before !== undefined && begin < before.until ? before : null;
      const free = await statfs(volume.dir).then((stat) => stat.bavail * stat.bsize);
      let over = free < FREE_RESERVE && !held;
      let used = volume.diskBytes;
      if (!over) {
        const [program = "", ...rest] = [...volume.enter, "/usr/bin/du"];
        // du reports folders that it may not enter and still prints a sum.
        const { stdout } = await run(program, [...rest, "-s", "-x", "--block-size=1", "--", volume.dir], {
          env: {},
          timeout: 30_000,
        }).catch((error: { stdout?: string }) => ({ stdout: error.stdout ?? "" }));
        used = Number(/^\d+/.exec(stdout)?.[0] ?? 0);
        over = used > (held?.bytes ?? volume.diskBytes);
      }
      const cost = Date.now() - begin;
      this.#diskAt.set(workspace, Date.now() + Math.max(DISK_MS, cost * 10));
      if (over) this.#takeOut.set(workspace, { until: Date.now() + TAKE_OUT_MS, bytes: used + volume.diskBytes / 2 });
      if (over) for (const sandbox of this.#sandboxes) if (sandbox.workspace === workspace) sandbox.onLimit("disk");
    }
  }
}
