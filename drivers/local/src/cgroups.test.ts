import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Cgroups, cgroupCandidates, groupPrefix } from "./cgroups.ts";

const v1 = (name: string, root = "/") =>
  `35 31 0:32 ${root} /sys/fs/cgroup/${name} rw,relatime - cgroup cgroup rw,${name}`;
const v2 = (root = "/", at = "/sys/fs/cgroup") =>
  `24 23 0:22 ${root} ${at} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate`;

describe("where control groups could be made", () => {
  test("version 2: the own group, then the one above it", () => {
    expect(cgroupCandidates(v2(), "0::/user.slice/app.slice/run-1.service\n").map(({ dir }) => dir)).toEqual([
      "/sys/fs/cgroup/user.slice/app.slice/run-1.service",
      "/sys/fs/cgroup/user.slice/app.slice",
    ]);
    expect(cgroupCandidates(v2(), "0::/\n").map(({ dir }) => dir)).toEqual(["/sys/fs/cgroup"]);
  });

  test("version 1: each controller where it is mounted, also several in one mount", () => {
    const own = "8:pids:/\n4:memory:/service/a\n2:cpu,cpuacct:/b\n1:name=systemd:/c\n";
    const info = [v1("memory"), v1("pids"), v1("cpu,cpuacct"), v1("devices")].join("\n");
    expect(cgroupCandidates(info, own)).toEqual([
      { dir: "/sys/fs/cgroup/memory/service/a", version: 1, controllers: ["memory"] },
      { dir: "/sys/fs/cgroup/pids", version: 1, controllers: ["pids"] },
      { dir: "/sys/fs/cgroup/cpu,cpuacct/b", version: 1, controllers: ["cpu"] },
    ]);
  });

  test("both at once: the old one comes where it has the controller", () => {
    const info = [v1("memory"), v2("/", "/sys/fs/cgroup/unified")].join("\n");
    const found = cgroupCandidates(info, "4:memory:/\n0::/x\n");
    expect(found.map(({ dir, version }) => `${version} ${dir}`)).toEqual([
      "1 /sys/fs/cgroup/memory",
      "2 /sys/fs/cgroup/unified/x",
      "2 /sys/fs/cgroup/unified",
    ]);
  });

  test("in a container the mount begins at its own group; what lies above it is nobody's to change", () => {
    expect(cgroupCandidates(v1("memory", "/docker/abc"), "4:memory:/docker/abc/x\n")[0]?.dir).toBe(
      "/sys/fs/cgroup/memory/x",
    );
    expect(cgroupCandidates(v2(), "0::/../other\n")).toEqual([]);
    expect(cgroupCandidates("", "0::/\n")).toEqual([]);
  });
});

describe("groups of a service that is gone", () => {
  test("are removed whenever it is asked for, and nobody else's", async () => {
    const dir = await mkdtemp(join(tmpdir(), "x1-groups-"));
    const { pid: gone } = spawnSync("true");
    try {
      // Our pid with another beginning: its bearer is gone, and we came after it.
      const earlier = `x1-${process.pid}-1-ws-c`;
      for (const name of [`x1-${gone}-ws-a/1`, `x1-${gone}-7-ws-d`, earlier, `${groupPrefix}ws-b`, "other"])
        await mkdir(join(dir, name), { recursive: true });
      const groups = new Cgroups([{ dir, version: 1, controllers: ["pids"] }]);
      await groups.sweep();
      expect((await readdir(dir)).sort()).toEqual(["other", `${groupPrefix}ws-b`]);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });
});

/** Version 2 on a made tree, as a machine without it can: which files are written, in which order, with which values. */
describe("a group of version 2", () => {
  const limits = { memoryBytes: 100 * 1024 ** 2 + 0.5, processes: 10 };
  const text = (path: string): Promise<string> => readFile(path, "utf8");
  const tree = async (use: (dir: string) => Promise<void>): Promise<void> => {
    const dir = await mkdtemp(join(tmpdir(), "x1-groups-"));
    try {
      await use(dir);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  };

  test("limits the workspace and hands its controllers on; each sandbox joins below it, within both limits", () =>
    tree(async (dir) => {
      const cgroups = new Cgroups([{ dir, version: 2, controllers: ["memory", "pids", "cpu"] }]);
      const seat = await cgroups.group("ws", limits).sandbox(40 * 1024 ** 2);
      const group = join(dir, `${groupPrefix}ws`);
      expect(await text(join(group, "memory.max"))).toBe(String(100 * 1024 ** 2));
      expect(await text(join(group, "memory.swap.max"))).toBe("0");
      expect(Number(await text(join(group, "pids.max")))).toBeGreaterThanOrEqual(10);
      expect(await text(join(group, "cpu.weight"))).toBe("50");
      // The kernel takes one controller at a time; the file here keeps the last.
      expect(await text(join(group, "cgroup.subtree_control"))).toBe("+cpu");
      expect(await text(join(group, "1/memory.max"))).toBe(String(40 * 1024 ** 2));
      expect(seat.joinFiles).toEqual([join(group, "1/cgroup.procs")]);
      // What version 1 would write is not there.
      expect(await readdir(group)).not.toContain("memory.limit_in_bytes");
      expect(await seat.outOfMemory?.()).toBe(false);
      await writeFile(join(group, "1/memory.events"), "low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\n");
      expect(await seat.outOfMemory?.()).toBe(true);
    }));

  test("a limit that cannot be written is no limit: the sandbox is refused", () =>
    tree(async (dir) => {
      const cgroups = new Cgroups([{ dir, version: 2, controllers: ["memory"] }]);
      const group = cgroups.group("ws", limits);
      await group.sandbox(1);
      // Planted: where the next sandbox's limit goes, there is a folder.
      await mkdir(join(dir, `${groupPrefix}ws/2/memory.max`), { recursive: true });
      await expect(group.sandbox(1)).rejects.toThrow();
    }));
});
