import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** One measured figure. `limit` is what is possible here, `peer` what stands beside it; null where there is none. */
export type Figure = {
  figure: string;
  unit: string;
  ours: number;
  limit?: number | null;
  peer?: number | null;
};
/** What a bench measures against, in words for the table. */
export type Bench = {
  /** Says what limit and peer are. */
  about: string;
  run(options: BenchOptions): Promise<Figure[]>;
};
export type BenchOptions = {
  /** Checks the form in seconds; its figures mean nothing. */
  quick: boolean;
  /** Tells what was left out and why. */
  note(text: string): void;
};

export const root = join(import.meta.dirname, "..");

/** The middle value; not a number for none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The value below which this share of the values lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/** Runs the competitors in turn, A B C A B C, and gives each one's median. The first round warms up and is dropped. */
export async function interleave<K extends string>(
  rounds: number,
  competitors: Record<K, () => Promise<Record<string, number>>>,
): Promise<Record<K, Record<string, number>>> {
  const seen = new Map<K, Record<string, number[]>>();
  for (let round = 0; round <= rounds; round += 1)
    for (const name of Object.keys(competitors) as K[]) {
      const values = await competitors[name]();
      if (round === 0) continue;
      const all = seen.get(name) ?? {};
      for (const [key, value] of Object.entries(values)) {
        all[key] ??= [];
        all[key].push(value);
      }
      seen.set(name, all);
    }
  const medians = (all: Record<string, number[]> = {}) =>
    Object.fromEntries(Object.entries(all).map(([key, values]) => [key, median(values)]));
  return Object.fromEntries((Object.keys(competitors) as K[]).map((name) => [name, medians(seen.get(name))])) as Record<
    K,
    Record<string, number>
  >;
}

/** CPU time that a process has used so far, in microseconds, from `/proc/PID/stat` (10 ms steps). */
export function cpuMicros(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

/** Memory that only these processes hold, in bytes. One that is gone counts as nothing. */
export function privateBytes(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    try {
      const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
      const kilobytes = [...text.matchAll(/^Private_(?:Clean|Dirty):\s+(\d+) kB/gm)].map((match) => Number(match[1]));
      return sum + kilobytes.reduce((a, b) => a + b, 0) * 1024;
    } catch {
      return sum;
    }
  }, 0);
}

/** A process and all that descend from it. */
export function treeOf(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const text = readFileSync(`/proc/${name}/stat`, "utf8");
      parents.set(Number(name), Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[1]));
    } catch {
      // Gone meanwhile.
    }
  }
  const tree = [pid];
  for (const at of tree) for (const [child, parent] of parents) if (parent === at) tree.push(child);
  return tree;
}

const open = new Set<ChildProcess>();

/** A helper process of the bench. */
export type Part = { child: ChildProcess; pid: number; ready: Record<string, unknown>; stop(): Promise<void> };

/** Starts a program and waits for its first line, one JSON object (or a bare word). `input` is written to descriptor 3. */
export async function startPart(
  argv: readonly string[],
  options: { input?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Part> {
  const stdio: StdioOptions = ["pipe", "pipe", "inherit", ...(options.input === undefined ? [] : ["pipe" as const])];
  const child = spawn(process.execPath, argv, { stdio, cwd: root, ...(options.env ? { env: options.env } : {}) });
  open.add(child);
  if (options.input !== undefined) (child.stdio[3] as NodeJS.WritableStream).end(options.input);
  const gone = once(child, "exit").then(() => open.delete(child));
  const line = await new Promise<string>((resolve, reject) => {
    let text = "";
    const timer = setTimeout(() => reject(new Error(`${argv[0]} was not ready within 60 s.`)), 60_000);
    child.stdout?.on("data", (chunk: Buffer) => {
      if (text.includes("\n")) return;
      text += chunk.toString("utf8");
      if (!text.includes("\n")) return;
      clearTimeout(timer);
      resolve(text.slice(0, text.indexOf("\n")));
    });
    void gone.then(() => {
      clearTimeout(timer);
      reject(new Error(`${argv[0]} ended before it was ready.`));
    });
  });
  return {
    child,
    pid: child.pid ?? -1,
    ready: line.startsWith("{") ? (JSON.parse(line) as Record<string, unknown>) : {},
    async stop() {
      if (!open.has(child)) return;
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), 15_000);
      await gone;
      clearTimeout(timer);
    },
  };
}

/** Ends what a bench that failed has left running. */
export function endParts(): void {
  for (const child of open) child.kill("SIGKILL");
}

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
