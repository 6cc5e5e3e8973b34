import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { expect, test } from "vitest";
import { Capture } from "./capture.ts";
import { readJournal } from "./journal.ts";
import { outerUid, subordinateBlock } from "./outside.ts";
import { readPorts, translate } from "./process-level.ts";
import { type FilterKind, filterProgram, type Instruction, packProgram, seccompFilter } from "./seccomp.ts";
import {
  baseEnv,
  bwrapArguments,
  egressEnv,
  fstab,
  nestedPrefix,
  noexecTargets,
  shellQuote,
  sidecarPlan,
  stagePlan,
  utilLinuxScript,
  workspacePlan,
} from "./spec.ts";
import { findToolchains } from "./toolchains.ts";
import { sumTrees } from "./watch.ts";

/** The kernel's side of classic BPF, as far as our filters use it. */
function evaluate(program: readonly Instruction[], data: { nr: number; arch: number; args?: number[] }): number {
  let accumulator = 0;
  for (let at = 0; at < program.length; at++) {
    const { code, jt, jf, k } = program[at] as Instruction;
    if (code === 0x06) return k >>> 0;
    if (code === 0x20) accumulator = k === 0 ? data.nr : k === 4 ? data.arch : (data.args?.[(k - 16) / 8] ?? 0);
    else if (code === 0x15) at += accumulator >>> 0 === k >>> 0 ? jt : jf;
    else if (code === 0x35) at += accumulator >>> 0 >= k >>> 0 ? jt : jf;
    else if (code === 0x45) at += (accumulator & k) !== 0 ? jt : jf;
    else throw new Error(`instruction ${code} is unknown`);
  }
  throw new Error("the program ran off its end");
}
const X86 = 0xc000003e;
const ARM = 0xc00000b7;
const ALLOW = 0x7fff0000;
const errno = (n: number): number => 0x00050000 + n;
const x86 = (kind: FilterKind, nr: number, ...args: number[]): number =>
  evaluate(filterProgram("x86_64", kind), { nr, arch: X86, args });
const arm = (kind: FilterKind, nr: number, ...args: number[]): number =>
  evaluate(filterProgram("aarch64", kind), { nr, arch: ARM, args });

test("ordinary calls pass, foreign architectures are killed, x32 is absent", () => {
  for (const nr of [0, 1, 2, 59, 231, 257]) expect(x86("strict", nr)).toBe(ALLOW);
  expect(evaluate(filterProgram("x86_64", "strict"), { nr: 1, arch: 0x40000003 })).toBe(0x80000000);
  expect(x86("strict", 0x40000000 + 1)).toBe(errno(38));
});

test("keys, bpf, perf, userfaultfd, io_uring and injection into terminals are refused by both filters", () => {
  for (const kind of ["host", "strict"] as const) {
    for (const nr of [250, 248, 249, 321, 298, 323, 246, 320]) expect(x86(kind, nr)).toBe(errno(1));
    for (const nr of [219, 217, 218, 280, 241, 282]) expect(arm(kind, nr)).toBe(errno(1));
    for (const nr of [425, 426, 427]) expect(x86(kind, nr)).toBe(errno(38));
    expect(x86(kind, 16, 0, 0x5412)).toBe(errno(1));
    expect(x86(kind, 16, 0, 0x541c)).toBe(errno(1));
    expect(x86(kind, 16, 0, 0x5413)).toBe(ALLOW);
  }
});

test("sockets: unix, inet, inet6 and route netlink only", () => {
  for (const family of [1, 2, 10]) expect(x86("strict", 41, family, 1, 6)).toBe(ALLOW);
  expect(x86("strict", 41, 16, 3, 0)).toBe(ALLOW);
  expect(x86("strict", 41, 16, 3, 9)).toBe(errno(97));
  for (const family of [17, 40, 38, 0]) expect(x86("strict", 41, family, 1, 0)).toBe(errno(97));
  expect(arm("strict", 198, 17)).toBe(errno(97));
});

test("strict refuses namespaces, mounts and traces; the host may still build the CLI's sandbox", () => {
  for (const nr of [165, 166, 155, 161, 272, 308, 101, 310, 311, 438, 428, 432]) {
    expect(x86("strict", nr)).toBe(errno(1));
    expect(x86("host", nr)).toBe(ALLOW);
  }
  expect(x86("strict", 56, 0x10000000)).toBe(errno(1));
  expect(x86("strict", 56, 0x01200011)).toBe(ALLOW);
  expect(x86("strict", 435)).toBe(errno(38));
  expect(x86("host", 435)).toBe(ALLOW);
  expect(arm("strict", 97)).toBe(errno(1));
});

test("programs are packed as struct sock_filter, within the kernel's length", () => {
  expect(packProgram([{ code: 0x15, jt: 1, jf: 2, k: 0x80000000 }]).toString("hex")).toBe("1500010200000080");
  expect(seccompFilter("x86_64", "strict").length / 8).toBeLessThan(4_096);
});

const paths = { work: "/d/work", home: "/d/home", tmp: "/d/tmp", host: "/d/host", sock: "/d/sock", etc: "/d/etc" };
const usr = [
  { path: "/bin", link: "usr/bin" },
  { path: "/lib64", link: null },
];
const input = {
  usr,
  alternatives: false,
  paths,
  overlay: null,
  app: null,
  toolchains: [],
  mounts: [],
  sock: false,
  host: false,
};

test("a workspace's root is exactly this list", () => {
  const plan = workspacePlan({
    ...input,
    overlay: { dir: "/o", children: ["runtime", "agent"] },
    toolchains: ["/opt/node-24"],
    mounts: [{ source: "/d/jobs/1.git", target: "/x1/base.git" }],
  });
  expect(plan.map((mount) => `${mount.kind} ${mount.target}`)).toEqual([
    "ro /usr",
    "symlink /bin",
    "ro /lib64",
    "ro /etc",
    "proc /proc",
    "dev /dev",
    "tmpfs /dev/shm",
    "ro /opt/node-24",
    "rw /tmp",
    "symlink /var/tmp",
    "rw /home/agent",
    "rw /workspace",
    "ro /x1/runtime",
    "ro /x1/agent",
    "ro /x1/base.git",
  ]);
});

test("only the host sees /x1/run; sockets are read-only; the sidecar sees nothing of the volume", () => {
  const targets = (change: object): string[] =>
    workspacePlan({ ...input, ...change }).map((mount) => `${mount.kind} ${mount.target}`);
  expect(targets({})).not.toContain("rw /x1/run");
  expect(targets({ host: true, sock: true })).toEqual(expect.arrayContaining(["rw /x1/run", "ro /x1/sock"]));
  const sidecar = sidecarPlan({ usr, alternatives: false, etc: "/e", sock: "/d/sock", program: "/o/sidecar" });
  expect(JSON.stringify(sidecar)).not.toMatch(/work|home|d\/host/);
});

const plan = {
  mounts: workspacePlan(input),
  env: { TOKEN: "it's secret" },
  cwd: "/workspace",
  argv: ["/bin/true", "a b"],
  ownNetwork: true,
  limits: { processes: 10, fileBytes: 20 },
};
const tools = {
  unshare: "/usr/bin/unshare",
  perl: "/usr/bin/perl",
  prlimit: "/usr/bin/prlimit",
  architecture: "x86_64",
};

test("bubblewrap: everything unshared, root read-only last, environment only on the descriptor", () => {
  const { options, command } = bwrapArguments(plan, { prlimit: "/usr/bin/prlimit", seccompFd: 4, statusFd: 5 });
  for (const flag of [
    "--unshare-user",
    "--unshare-pid",
    "--unshare-net",
    "--unshare-ipc",
    "--die-with-parent",
    "--new-session",
    "--clearenv",
  ])
    expect(options).toContain(flag);
  expect(options.indexOf("--remount-ro")).toBeGreaterThan(options.lastIndexOf("--bind"));
  expect(command).toEqual([
    "/usr/bin/prlimit",
    "--core=0:0",
    "--nproc=10:10",
    "--fsize=20:20",
    "--",
    "/bin/true",
    "a b",
  ]);
  expect(
    bwrapArguments({ ...plan, ownNetwork: false }, { prlimit: null, seccompFd: null, statusFd: 5 }).options,
  ).not.toContain("--unshare-net");
});

test("util-linux: values are quoted, the environment is exported and never an argument", () => {
  const script = utilLinuxScript(plan, {
    newRoot: "/d/new root",
    tools,
    filter: Buffer.from([1, 2]),
    closeFds: [3],
    statusFd: 5,
    noexec: new Set(["/tmp"]),
  });
  expect(script).toContain("R='/d/new root'");
  // One word for each column, and one program for all mounts.
  expect(script).toContain("/d/work /d/new\\040root/workspace none rbind,rw,nosuid,nodev,X-mount.mkdir 0 0");
  expect(script).toContain("/d/tmp /d/new\\040root/tmp none rbind,rw,nosuid,nodev,noexec,X-mount.mkdir 0 0");
  expect(script.match(/\bmount -/g)).toHaveLength(3);
  expect(script).toContain(`export TOKEN='it'\\''s secret'`);
  const last = script.trim().split("\n").at(-1) ?? "";
  expect(last).not.toContain("secret");
  expect(last).toContain("'--map-user=1000'");
  expect(last).toContain("'0102'");
  expect(last.endsWith("3<&-")).toBe(true);
});

test("words of a shell are quoted", () => {
  expect(shellQuote("a'b $(c)")).toBe(`'a'\\''b $(c)'`);
});

test("a mount without execution is found below its longest mount point", () => {
  const line = (point: string, options: string) => `1 2 8:1 / ${point} ${options} shared:1 - ext4 /dev/sda rw`;
  const info = [line("/", "rw"), line("/d", "rw,noexec,relatime"), line("/d/my\\040home", "rw"), ""].join("\n");
  const at = (source: string) => noexecTargets([{ kind: "rw", source, target: "/t" }], info).has("/t");
  expect([at("/d/work"), at("/d"), at("/d/my home/x"), at("/dd"), at("/usr")]).toEqual([
    true,
    true,
    false,
    false,
    false,
  ]);
});

test("a list of mounts has one word for each column", () => {
  const line = { source: "/a b\\\tc\n", target: "/t", type: "none", options: "rbind" };
  expect(fstab([line])).toBe("/a\\040b\\134\\011c\\012 /t none rbind,X-mount.mkdir 0 0\n");
});

test("the stage replaces every source but the system's", () => {
  const staged = stagePlan(workspacePlan(input), "/mnt");
  expect(staged.sources).toEqual(["/d/etc", "/d/tmp", "/d/home", "/d/work"]);
  expect(staged.plan).toContainEqual({ kind: "rw", source: "/mnt/3", target: "/workspace" });
  expect(staged.plan).toContainEqual({ kind: "ro", source: "/usr", target: "/usr" });
});

test("the nested prefix hides the host's folder and never reads start-up files", () => {
  const filter = Buffer.from([1]);
  expect(nestedPrefix({ bwrap: "/usr/bin/bwrap", tools, filter, filterPath: "/x1/cli.bpf" }).join(" ")).toMatch(
    /--tmpfs \/x1\/run.*--seccomp 9/,
  );
  const other = nestedPrefix({ bwrap: null, tools, filter, filterPath: "/x1/cli.bpf" });
  expect(other).toContain("--kill-child");
  expect(other).toContain("--norc");
});

test("the overlay's node is last on PATH; proxies carry the job token; foreign certificates only when given", () => {
  expect(baseEnv(["/opt/n"], {}).PATH).toMatch(/^\/opt\/n\/bin:.*:\/x1\/runtime\/bin$/);
  expect(egressEnv("tok", false)).toMatchObject({
    HTTPS_PROXY: "http://x1:tok@127.0.0.1:3128",
    NO_PROXY: expect.stringContaining("127.0.0.1"),
  });
  expect(egressEnv("tok", false)).not.toHaveProperty("NODE_EXTRA_CA_CERTS");
  expect(egressEnv("tok", true)).toHaveProperty("NODE_EXTRA_CA_CERTS");
  const env = { A_REGISTRY: "http://{api}/registry/a/", A_INDEX: "http://x1:{token}@{api}/registry/a/" };
  const registry = { name: "a", base: "https://a.example/", paths: [], files: [], pages: false, env };
  expect(egressEnv("tok", false, { egress: 1, api: 2 }, [registry])).toMatchObject({
    ...{ A_REGISTRY: "http://127.0.0.1:2/registry/a/", A_INDEX: "http://x1:tok@127.0.0.1:2/registry/a/" },
  });
});

test("level process translates inside paths, and only whole ones", () => {
  const map = [
    ["/workspace", "/w"],
    ["/x1/base.git", "/j/1.git"],
    ["/x1/app", "/a"],
  ] as const;
  expect(translate("cd /workspace/src && git -C /x1/base.git log", map)).toBe("cd /w/src && git -C /j/1.git log");
  expect(translate("/workspaces /my/workspace /x1/app2", map)).toBe("/workspaces /my/workspace /x1/app2");
  expect(readPorts('{"ports":{"api":1,"inference":2,"egress":3}}')).toEqual({ api: 1, inference: 2, egress: 3 });
});

test("memory is summed over whole trees, cycles included", () => {
  const rows = [
    { pid: 1, parent: 0, bytes: 1 },
    { pid: 2, parent: 1, bytes: 10 },
    { pid: 3, parent: 2, bytes: 100 },
    { pid: 9, parent: 9, bytes: 5 },
  ];
  expect([...sumTrees(rows, [2, 9])]).toEqual([
    [2, 110],
    [9, 5],
  ]);
});

test("captured output keeps its last bytes and counts all", async () => {
  const capture = new Capture(4);
  await capture.collect(Readable.from([Buffer.from("abc"), Buffer.from("defg"), Buffer.from("hi")]), () => {});
  expect([capture.tail().toString(), capture.bytes]).toEqual(["fghi", 9]);
  const sink = new PassThrough();
  let hits = 0;
  await new Capture(3).forward(
    Readable.from([Buffer.from("ab"), Buffer.from("cd"), Buffer.from("ef")]),
    sink,
    () => hits++,
  );
  expect([hits, sink.read().toString()]).toEqual([1, "ab"]);
});

test("a journal is read in order and never through a link", async () => {
  const dir = await mkdtemp(join(tmpdir(), "x1-journal-"));
  try {
    await writeFile(join(dir, "events-10.jsonl"), "later\n");
    await writeFile(join(dir, "events-9.jsonl"), "earlier\n");
    await writeFile(join(dir, "secret"), "secret");
    await symlink(join(dir, "secret"), join(dir, "events-11.jsonl"));
    await mkdir(join(dir, "events-12.jsonl"));
    expect((await readJournal(dir)).toString()).toBe("earlier\nlater\n");
    expect((await readJournal(join(dir, "absent"))).length).toBe(0);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});

test("a toolchain below what a volume covers is seen at another path, in front on the search path as ever", () => {
  const dirs = ["/opt/node-24", "/tmp/checkout/node_modules/node", "/home/agent/.nvm/versions/node/v24"];
  const plan = workspacePlan({ ...input, toolchains: dirs });
  const places = dirs.map((source) => plan.find((mount) => mount.kind === "ro" && mount.source === source)?.target);
  expect(places).toEqual(["/opt/node-24", "/opt/x1-toolchain-1", "/opt/x1-toolchain-2"]);
  expect(baseEnv(dirs, {}).PATH).toMatch(/^\/opt\/node-24\/bin:\/opt\/x1-toolchain-1\/bin:\/opt\/x1-toolchain-2\/bin:/);
});

test("toolchains are version folders, never a home or what holds one", async () => {
  const home = await mkdtemp(join(tmpdir(), "x1-home-"));
  try {
    for (const folder of [".nvm/versions/node/v24", ".local", "project"]) {
      await mkdir(join(home, folder, "bin"), { recursive: true });
      await mkdir(join(home, folder, "lib"));
    }
    await mkdir(join(home, "bin"));
    await mkdir(join(home, "lib"));
    for (const program of [".nvm/versions/node/v24/bin/node", ".local/bin/python3", "bin/go"])
      await writeFile(join(home, program), "");
    const path = [".nvm/versions/node/v24/bin", ".local/bin", "bin"].map((folder) => join(home, folder)).join(":");
    expect(await findToolchains({ path: `${path}:/usr/bin`, execPath: "/usr/bin/node", closed: [home] })).toEqual([
      join(home, ".nvm/versions/node/v24"),
    ]);
  } finally {
    await rm(home, { recursive: true, force: true });
  }
});

test("subordinate uids are the block that begins at 1; root's and a user's own mapping have none", () => {
  expect(subordinateBlock("         0       1001          1\n         1     100000      65535\n")).toEqual({
    first: 100_000,
    count: 65_535,
  });
  expect(subordinateBlock("0 0 4294967295\n")).toBeNull();
  expect(subordinateBlock("0 1001 1\n")).toBeNull();
  const outside = { kind: "subordinate", enter: ["unshare"], first: 100_000, count: 65_535, claims: "/c" } as const;
  expect([outerUid(outside, 1), outerUid({ kind: "root" }, 3_100_000)]).toEqual([100_000, 3_100_000]);
});
