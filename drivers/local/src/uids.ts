import { mkdir, open, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "@x1agent/contract";

/** Claims of every service on this machine; a tmpfs, so a reboot forgets them with the processes. */
const FOLDER = "/run/x1agent/uids";

/** When a process began, from its `stat`: clock ticks since boot (proc(5), field 22). Pure. */
export const startFrom = (stat: string): string | null => stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null;

/** When a process began; null for none. With its pid it names one process for good. */
export async function startOf(pid: number): Promise<string | null> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => null);
  return stat === null ? null : startFrom(stat);
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
 * would end each other's processes. A claim is a file that only one can create; that of a dead process is taken over.
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

  /** The first of two uids that are this process's until they are released. */
  async take(avoid: ReadonlySet<number>): Promise<number> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    for (let uid = this.#start; uid + 1 < this.#start + this.#count; uid += 2)
      if (!avoid.has(uid) && (await this.#claim(uid))) return uid;
    throw new Fault(
      "unavailable",
      `All ${this.#count / 2} pairs of workspace uids are in use; stop workspaces or give a larger range.`,
    );
  }

  async #holderOf(uid: number): Promise<Holder | null> {
    const text = await readFile(join(this.#folder, String(uid)), "utf8").catch(() => "");
    const [pid = "", start = ""] = text.trim().split(" ");
    return start ? { pid: Number(pid), start } : null;
  }

  async #claim(uid: number): Promise<boolean> {
    const path = join(this.#folder, String(uid));
    let inherited = false;
    for (let tries = 0; tries < 2; tries += 1) {
      try {
        const file = await open(path, "wx", 0o600);
        await file.writeFile(`${process.pid} ${await startOf(process.pid)}`);
        await file.close();
        if (inherited) await this.#evict(uid);
        return true;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
        const holder = await this.#holderOf(uid);
        if (holder ? await lives(holder) : await isFresh(path)) return false;
        await rm(path, { force: true });
        inherited = true;
      }
    }
    return false;
  }

  /** Whether processes of this uid may be ended for a workspace that `ownerPid` started: it is ours, or its owner is gone and nobody took it since. */
  async mayEnd(uid: number, ownerPid: number): Promise<boolean> {
    const holder = await this.#holderOf(uid);
    if (!holder || holder.pid === process.pid) return true;
    return holder.pid === ownerPid && !(await lives(holder));
  }

  async release(uid: number): Promise<void> {
    const holder = await this.#holderOf(uid);
    if (!holder || holder.pid === process.pid || !(await lives(holder)))
      await rm(join(this.#folder, String(uid)), { force: true });
  }
}
