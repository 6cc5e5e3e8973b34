import { mkdtemp, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startOf, UidRange } from "./uids.ts";

test("a claim is one service's until it is dead; one that was never written is free after half a minute", async () => {
  const folder = await mkdtemp(join(tmpdir(), "x1-uids-"));
  try {
    const evicted: number[] = [];
    const range = new UidRange({ start: 10, count: 8 }, folder, async (uid) => void evicted.push(uid));
    await writeFile(join(folder, "10"), "");
    await writeFile(join(folder, "12"), `${process.ppid} ${await startOf(process.ppid)}`);
    // A pid that came back is another process.
    await writeFile(join(folder, "14"), `${process.ppid} 1`);
    expect(await range.take(new Set())).toBe(14);
    expect(await range.take(new Set())).toBe(16);
    // What still ran under a dead one's uid is ended before the uid is anybody's.
    expect(evicted).toEqual([14]);
    await expect(range.take(new Set())).rejects.toThrow(/in use/);
    await utimes(join(folder, "10"), 0, Date.now() / 1000 - 31);
    expect(await range.take(new Set())).toBe(10);
    expect(await readFile(join(folder, "10"), "utf8")).toBe(`${process.pid} ${await startOf(process.pid)}`);
    await range.release(12);
    await expect(range.take(new Set())).rejects.toThrow(/in use/);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
