import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { leftSpares, MAX_SPARE, newSpareDir, type Spare, Spares } from "./spare.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function kept(count: number) {
  const dropped: string[] = [];
  const deaths: (() => void)[] = [];
  let made = 0;
  let broken = false;
  let wait = Promise.resolve();
  const spares = new Spares(
    count,
    async () => {
      await wait;
      if (broken) throw new Error("no room");
      made += 1;
      const ended = new Promise<never>((_, reject) => deaths.push(() => reject(new Error("gone"))));
      return { dir: `spare ${made}`, sandbox: { ended } } as unknown as Spare;
    },
    async ({ dir }) => void dropped.push(dir),
  );
  return {
    ...{ spares, dropped, deaths, made: () => made },
    break: (now: boolean) => (broken = now),
    hold(until: Promise<void>) {
      wait = until;
    },
  };
}
const settle = () => vi.advanceTimersByTimeAsync(0);

describe("sidecars started ahead", () => {
  it("are made after a pause that each call begins anew, no more than wanted, and given out once", async () => {
    const { spares, made } = kept(2);
    spares.refillIn(1_000);
    await vi.advanceTimersByTimeAsync(900);
    spares.refillIn(1_000);
    await vi.advanceTimersByTimeAsync(900);
    expect([made(), spares.take()]).toEqual([0, null]);
    await vi.advanceTimersByTimeAsync(100);
    expect(made()).toBe(2);
    expect([spares.take()?.dir, spares.take()?.dir, spares.take()]).toEqual(["spare 1", "spare 2", null]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(made()).toBe(2);
  });

  it.each([
    [0, 0],
    [-1, 0],
    [9, MAX_SPARE],
  ])("are %i asked for, %i made", async (asked, count) => {
    const { spares, made } = kept(asked);
    spares.refillIn(0);
    await settle();
    expect(made()).toBe(count);
  });

  it("that end by themselves are given to nobody, and taken away", async () => {
    const { spares, deaths, dropped } = kept(1);
    spares.refillIn(0);
    await settle();
    deaths[0]?.();
    await settle();
    expect([spares.take(), dropped]).toEqual([null, ["spare 1"]]);
    // One that was taken is its workspace's: its end is none of theirs.
    spares.refillIn(0);
    await settle();
    expect(spares.take()?.dir).toBe("spare 2");
    deaths[1]?.();
    await settle();
    expect(dropped).toEqual(["spare 1"]);
  });

  it("that cannot be made are tried again by the next start", async () => {
    const at = kept(1);
    at.break(true);
    at.spares.refillIn(0);
    await settle();
    at.break(false);
    expect(at.spares.take()).toBeNull();
    at.spares.refillIn(0);
    await settle();
    expect(at.spares.take()?.dir).toBe("spare 1");
  });

  it("end with the driver, also the one that is being made, and none comes after", async () => {
    const at = kept(2);
    const made = Promise.withResolvers<void>();
    at.spares.refillIn(0);
    await settle();
    expect(at.spares.take()?.dir).toBe("spare 1");
    at.hold(made.promise);
    at.spares.refillIn(0);
    await settle();
    const closed = at.spares.close();
    made.resolve();
    await closed;
    expect(at.dropped.sort()).toEqual(["spare 2", "spare 3"]);
    at.spares.refillIn(0);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(at.made()).toBe(3);
  });

  it("of a service that is gone are known by their folder, and no living one's", async () => {
    vi.useRealTimers();
    const root = await mkdtemp(join(tmpdir(), "x1-spare-"));
    try {
      expect(await leftSpares(join(root, "none"))).toEqual([]);
      const own = [await newSpareDir(root, null), await newSpareDir(root, 3_100_000)].map((path) => basename(path));
      for (const name of [...own, `${process.pid}-1-1`, "4194305-1-1-3100002"]) await mkdir(join(root, name));
      const left = (await leftSpares(root)).sort((one, other) => one.ownerPid - other.ownerPid);
      expect(left).toEqual([
        { dir: join(root, `${process.pid}-1-1`), ownerPid: process.pid, uid: null },
        { dir: join(root, "4194305-1-1-3100002"), ownerPid: 4_194_305, uid: 3_100_002 },
      ]);
      expect(await readdir(root)).toHaveLength(4);
    } finally {
      await rm(root, { recursive: true });
    }
  });
});
