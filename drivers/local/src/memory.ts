import { readFile } from "node:fs/promises";
import type { HostMemory } from "@x1agent/workspaces";
import { readProcesses } from "./watch.ts";

/**
 * Memory of a process and all below it. Shared pages count by their share (PSS); where the kernel does not let us read that of
 * another uid's process, its resident pages count in full (RSS). Null when nothing of the tree is left.
 */
export async function treeMemory(root: number): Promise<HostMemory | null> {
  const rows = await readProcesses();
  const children = Map.groupBy(rows, ({ parent }) => parent);
  const tree = new Set([root]);
  // A set that grows while it is walked gives its new members too.
  for (const pid of tree) for (const child of children.get(pid) ?? []) tree.add(child.pid);
  const found = (await Promise.all([...tree].map(memoryOf))).filter((entry) => entry !== null);
  if (found.length === 0) return null;
  return {
    bytes: found.reduce((sum, { bytes }) => sum + bytes, 0),
    by: found.every(({ by }) => by === "pss") ? "pss" : "rss",
  };
}

async function memoryOf(pid: number): Promise<HostMemory | null> {
  const read = async (file: string, field: string): Promise<number | null> => {
    const text = await readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "");
    const kilobytes = new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(text)?.[1];
    return kilobytes === undefined ? null : Number(kilobytes) * 1024;
  };
  const pss = await read("smaps_rollup", "Pss");
  if (pss !== null) return { bytes: pss, by: "pss" };
  const rss = await read("status", "VmRSS");
  return rss === null ? null : { bytes: rss, by: "rss" };
}
