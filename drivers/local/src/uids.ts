import { mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "@x1agent/contract";

/** Claims of every service on this machine; a tmpfs, so a reboot forgets them with the processes. */
const FOLDER = "/run/x1agent/uids";

/** When a process began, from its `stat`: clock ticks since boot (proc(5), field 22). Pure. */
export const startFrom = (stat: string): string | null => stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null;

/** When a process began; null for none, or one that only waits to be reaped. With its pid it names one process for good. */
export async function startOf(pid: number): Promise<string | null> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => null);
  return stat === null || /\) [ZX] [^)]*$/.test(stat) ? null : startFrom(stat);
}

type Holder = { pid: number; start: string };

/** Milliseconds in which a claim is written; one that stays empty is that of a process which was killed between two calls. */
const WRITING_MS = 30_000;
const isFresh = (path: string): Promise<boolean> =>
  stat(path).then(
    ({ mtimeMs }) => Date.now() - mtimeMs < WRITING_MS,
    () => true,
  );

const lives = async ({ pid, start }: Holder): Promise<boolean> => (await startOf(pid)) === start;

/**
 * Host uids of workspaces, two each, shared between all services of the machine: two services that took the same uid
 * would end each other's processes. A claim is a file that only one can create. That of a dead process is taken over by one
 * of those who see that: the one who creates the file that names it (`<uid>.<pid>.<start>`), looks again, and moves that file
 * in its place. Removing it first would let a second one remove the claim of the first.
 */
export class UidRange {
  readonly #start: number;
  readonly #count: number;
  readonly #folder: string;
  readonly #evict: (uid: number) => Promise<void>;

  /**
   * `folder` holds the claims; the default is root's, for all services of the machine. `evict` ends what still runs under a
   * uid, and the next, that is taken from a dead service.
   */
  constructor(
    range: { start: number; count: number } = { start: 3_100_000, count: 4_000 },
    folder = FOLDER,
    evict: (uid: number) => Promise<void> = async () => {},
  ) {
    this.#start = range.start;
    this.#count = range.count;
    this.#folder = folder;
    this.#evict = evict;
  }

  /**
   * The first of two uids that are this process's until they are released. Those of a dead service are its successor's, which
   * runs commands under them to save what it left: others take them only where nothing else is free.
   */
  async take(avoid: ReadonlySet<number>): Promise<number> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const claimed = new Set(await readdir(this.#folder));
    for (const free of [true, false])
      for (let uid = this.#start; uid + 1 < this.#start + this.#count; uid += 2)
        if (claimed.has(String(uid)) !== free && !avoid.has(uid) && (await this.#claim(uid))) return uid;
    throw new Fault(
      "unavailable",
      `All ${this.#count / 2} pairs of workspace uids are in use; stop workspaces or give a larger range.`,
    );
  }

  /**
   * Takes on the uid of a workspace that a dead service left, and ends what still runs under it. False where another service
   * has it by now: whatever ran under it then would be that one's to end.
   */
  async adopt(uid: number): Promise<boolean> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    return holderIn(await this.#read(uid))?.pid === process.pid || (await this.#claim(uid));
  }

  #read(uid: number): Promise<string> {
    return readFile(join(this.#folder, String(uid)), "utf8").catch(() => "");
  }

  async #claim(uid: number): Promise<boolean> {
    const path = join(this.#folder, String(uid));
    if (await create(path, await own())) return true;
    const text = await this.#read(uid);
    if (!(await this.#replace(uid, text, (mine) => rename(mine, path)))) return false;
    await this.#evict(uid);
    return true;
  }

  /** Replaces the claim that said `text`, if its holder is dead and nobody else does; false otherwise. */
  async #replace(uid: number, text: string, by: (mine: string) => Promise<void>): Promise<boolean> {
    const holder = holderIn(text);
    const path = join(this.#folder, String(uid));
    if (holder ? await lives(holder) : await isFresh(path)) return false;
    const mine = join(this.#folder, `${uid}.${holder ? `${holder.pid}.${holder.start}` : "unwritten"}`);
    if (!(await create(mine, await own()))) {
      // Left by a process that was killed right here.
      if (!(await isFresh(mine))) await rm(mine, { force: true });
      return false;
    }
    try {
      // Another one may have done all this since `text` was read.
      if ((await this.#read(uid)) !== text) return false;
      await by(mine);
      return true;
    } finally {
      await rm(mine, { force: true });
    }
  }

  /** Whether processes of this uid may be ended for a workspace that `ownerPid` started: it is ours, or its owner is gone and nobody took it since. */
  async mayEnd(uid: number, ownerPid: number): Promise<boolean> {
    const holder = holderIn(await this.#read(uid));
    if (!holder || holder.pid === process.pid) return true;
    return holder.pid === ownerPid && !(await lives(holder));
  }

  async release(uid: number): Promise<void> {
    const path = join(this.#folder, String(uid));
    const text = await this.#read(uid);
    if (holderIn(text)?.pid === process.pid) await rm(path, { force: true });
    else await this.#replace(uid, text, () => rm(path, { force: true }));
  }
}

const own = async (): Promise<string> => `${process.pid} ${await startOf(process.pid)}`;

function holderIn(text: string): Holder | null {
  const [pid = "", start = ""] = text.trim().split(" ");
  return start ? { pid: Number(pid), start } : null;
}

/** Creates a file with this text; false when it is there. */
async function create(path: string, text: string): Promise<boolean> {
  try {
    const file = await open(path, "wx", 0o600);
    try {
      await file.writeFile(text);
    } finally {
      await file.close();
    }
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Ends what still runs under uids that belong to one workspace. */
export async function endProcessesOf(uids: readonly number[]): Promise<void> {
  for (let round = 0; round < 50; round++) {
    let found = false;
    for (const name of await readdir("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      const owner = await readFile(`/proc/${name}/status`, "utf8").catch(() => "");
      if (/^State:\s+[ZX]/m.test(owner)) continue;
      const uid = Number(/^Uid:\s+(\d+)/m.exec(owner)?.[1] ?? -1);
      if (!uids.includes(uid)) continue;
      found = true;
      try {
        process.kill(Number(name), "SIGKILL");
      } catch {
        // Gone meanwhile.
      }
    }
    if (!found) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
