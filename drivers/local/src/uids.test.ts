import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
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
    // Its successor still saves what was left: the dead one's comes last.
    expect(await range.take(new Set())).toBe(16);
    expect(await range.take(new Set())).toBe(14);
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

test("a successor takes on a dead service's uid before it runs anything under it, and not one that another has", async () => {
  const folder = await mkdtemp(join(tmpdir(), "x1-uids-"));
  const killed = spawn("/bin/sleep", ["60"]);
  try {
    const evicted: number[] = [];
    const range = new UidRange({ start: 10, count: 4 }, folder, async (uid) => void evicted.push(uid));
    const claim = `${killed.pid} ${await startOf(killed.pid ?? 0)}`;
    await writeFile(join(folder, "10"), claim);
    expect(await range.adopt(10)).toBe(false);
    expect(await readFile(join(folder, "10"), "utf8")).toBe(claim);
    killed.kill("SIGKILL");
    await once(killed, "exit");
    expect(await range.adopt(10)).toBe(true);
    expect(await range.adopt(10)).toBe(true);
    expect(evicted).toEqual([10]);
    expect(await range.take(new Set())).toBe(12);
    await expect(range.take(new Set())).rejects.toThrow(/in use/);
  } finally {
    killed.kill("SIGKILL");
    await rm(folder, { recursive: true, force: true });
  }
});

test("of many services that find the claims of dead ones at once, no two take the same uid", async () => {
  const folder = await mkdtemp(join(tmpdir(), "x1-uids-"));
  try {
    const uids = Array.from({ length: 12 }, (_, at) => 10 + 2 * at);
    for (const uid of uids) await writeFile(join(folder, String(uid)), `${process.ppid} 1`);
    const taken: number[] = [];
    const services = Array.from({ length: 24 }, () => new UidRange({ start: 10, count: 24 }, folder));
    const take = async (range: UidRange, at: number) => {
      // One after another, so that some look while others act.
      for (let reads = at; reads > 0; reads -= 1) await readdir(folder);
      taken.push(await range.take(new Set()));
    };
    const release = async (uid: number) => services[0]?.release(uid);
    // Some find nothing: those that are on their way to somebody else are passed over.
    await Promise.allSettled([...services.map(take), ...uids.slice(0, 4).map(release)]);
    expect(taken.length).toBeGreaterThan(0);
    expect(taken.toSorted()).toEqual([...new Set(taken)].toSorted());
    for (const uid of taken)
      expect(await readFile(join(folder, String(uid)), "utf8")).toBe(`${process.pid} ${await startOf(process.pid)}`);
    expect((await readdir(folder)).filter((name) => name.includes("."))).toEqual([]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
