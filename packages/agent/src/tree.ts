import { readdirSync, readFileSync } from "node:fs";

/**
 * The processes that a CLI started, found in /proc three ways: by descent, by session (a tool's background processes
 * keep it when their parent is gone), and by a marker variable that children inherit (for those that left both).
 * Where the CLI has a pid namespace of its own, ending its first process ends all; this is for where it has none, and
 * for sweeping a part of the tree.
 */
export const TREE_VARIABLE = "X1_TREE";

export type TreeEntry = { pid: number; startTime: string };
type Row = TreeEntry & { ppid: number; session: number };

/** One key per process, safe against a reused pid. */
export const entryKey = (entry: TreeEntry): string => `${entry.pid}:${entry.startTime}`;

/** All living processes of the tree, its root included. Empty where there is no /proc. */
export function processTree(root: number, marker: string): TreeEntry[] {
  const rows = allProcesses();
  const found = new Map<number, Row>();
  const sessions = new Set<number>([root]);
  const add = (row: Row): boolean => {
    if (found.has(row.pid)) return false;
    found.set(row.pid, row);
    // Sessions led from inside the tree belong to it; the one this host lives in does not.
    if (row.session === row.pid) sessions.add(row.session);
    return true;
  };
  for (const row of rows) if (row.pid === root || hasMarker(row.pid, marker)) add(row);
  for (let grew = true; grew; ) {
    grew = false;
    for (const row of rows) if (found.has(row.ppid) || sessions.has(row.session)) grew = add(row) || grew;
  }
  found.delete(process.pid);
  return [...found.values()];
}

/** Kills everything of the tree that `keep` does not hold, until nothing new appears. Returns how many were ended. */
export async function sweepTree(root: number, marker: string, keep: ReadonlySet<string> = new Set()): Promise<number> {
  const ended = new Set<string>();
  // Each round can meet children forked since the last one; a fork bomb is the pid limit's business, not ours.
  for (let round = 0; round < 50; round += 1) {
    const left = processTree(root, marker).filter((entry) => !keep.has(entryKey(entry)));
    if (left.length === 0) break;
    for (const entry of left) {
      ended.add(entryKey(entry));
      try {
        process.kill(entry.pid, "SIGKILL");
      } catch {
        // Gone already.
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return ended.size;
}

/** Direct children of a process. */
export function childrenOf(pid: number): number[] {
  return allProcesses()
    .filter((row) => row.ppid === pid)
    .map((row) => row.pid);
}

function allProcesses(): Row[] {
  let names: string[];
  try {
    names = readdirSync("/proc");
  } catch {
    return [];
  }
  const rows: Row[] = [];
  for (const name of names) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "latin1");
      // The name in brackets may itself hold spaces and brackets: fields count from the last one.
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (fields[0] === "Z" || fields[0] === "X") continue;
      rows.push({
        pid: Number(name),
        ppid: Number(fields[1]),
        session: Number(fields[3]),
        startTime: fields[19] ?? "",
      });
    } catch {
      // Ended while we looked.
    }
  }
  return rows;
}

function hasMarker(pid: number, marker: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, "latin1").split("\0").includes(`${TREE_VARIABLE}=${marker}`);
  } catch {
    return false;
  }
}
