import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { ProcessGroup, SandboxGroup } from "./cgroups.ts";
import type { Sandbox } from "./sandbox.ts";
import { startOf } from "./uids.ts";

/**
 * Sidecars started ahead, for workspaces that do not exist yet. Such a process has all of its sandbox (uid, control group,
 * namespaces, descriptors) and an empty volume, but no identity: no boot document, so no token, no key, no socket and nobody to
 * ask. It waits on its inherited descriptor and ends when that closes, with the service if need be. The next workspace takes
 * it, with volume and uid; it serves that one alone and ends with it.
 */
export type Spare = {
  /** Its volume, renamed by who takes it. */
  dir: string;
  uid: number | null;
  group: ProcessGroup;
  /** Its own below `group`. */
  own: SandboxGroup;
  sandbox: Sandbox;
};

/** Most that are kept; each holds some 30 MB. */
export const MAX_SPARE = 2;

export class Spares {
  readonly #count: number;
  readonly #make: () => Promise<Spare>;
  readonly #drop: (spare: Spare) => Promise<void>;
  readonly #ready: Spare[] = [];
  #timer: NodeJS.Timeout | null = null;
  #making: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(count: number, make: () => Promise<Spare>, drop: (spare: Spare) => Promise<void>) {
    this.#count = Math.min(MAX_SPARE, Math.max(0, Math.floor(count)));
    this.#make = make;
    this.#drop = drop;
  }

  /** One that lives, or null. It is the caller's from then on. */
  take(): Spare | null {
    return this.#ready.shift() ?? null;
  }

  /** Makes what is missing after so many milliseconds, counted anew by each call: never beside a start that is under way. */
  refillIn(ms: number): void {
    if (this.#count === 0 || this.#closed) return;
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#making = this.#making.then(() => this.#refill());
    }, ms).unref();
  }

  /** One that cannot be made is a slower start and nothing else; the next start tries again. Never rejects. */
  async #refill(): Promise<void> {
    while (!this.#closed && this.#ready.length < this.#count) {
      const spare = await this.#make().catch(() => null);
      if (!spare) return;
      if (this.#closed) return this.#drop(spare);
      this.#ready.push(spare);
      void spare.sandbox.ended
        .catch(() => {})
        .then(() => {
          const at = this.#ready.indexOf(spare);
          if (at < 0) return;
          this.#ready.splice(at, 1);
          return this.#drop(spare);
        })
        .catch(() => {});
    }
  }

  /** Ends those that nobody took. Resolves when they are gone; never rejects. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer) clearTimeout(this.#timer);
    await this.#making;
    await Promise.allSettled(this.#ready.splice(0).map((spare) => this.#drop(spare)));
  }
}

let made = 0;

/** A name for a volume of this process, by which a later one knows whose it was, and its uid. */
export async function newSpareDir(root: string, uid: number | null): Promise<string> {
  await mkdir(root, { recursive: true, mode: 0o711 });
  made += 1;
  return join(root, [process.pid, await startOf(process.pid), made, ...(uid === null ? [] : [uid])].join("-"));
}

/** Volumes of services that are gone. */
export async function leftSpares(root: string): Promise<{ dir: string; ownerPid: number; uid: number | null }[]> {
  const left: { dir: string; ownerPid: number; uid: number | null }[] = [];
  for (const name of await readdir(root).catch(() => [])) {
    const [pid, start, , uid] = name.split("-");
    if ((await startOf(Number(pid))) === start) continue;
    left.push({ dir: join(root, name), ownerPid: Number(pid), uid: uid === undefined ? null : Number(uid) });
  }
  return left;
}
