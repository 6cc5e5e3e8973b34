import { type ChildProcess, execFile, spawn } from "node:child_process";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { toolSpec } from "@x1agent/workspaces/conformance";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createLocalDriver, type Mechanism } from "./index.ts";
import { findTools, makeEtc, usrEntries } from "./machine.ts";
import { seccompFilter } from "./seccomp.ts";
import { baseEnv, bwrapArguments, type SandboxPlan, workspacePlan } from "./spec.ts";
import { found, probeProgram } from "./test/probe.ts";

/**
 * Each wall of a workspace with a planted violation: one probe looks for every way out. In the driver's sandbox it finds
 * none; in a sandbox that is built from the same plan with one wall taken away it finds that one.
 */
const isRoot = process.getuid?.() === 0;
const run = promisify(execFile);
/** An ordinary user without an account. */
const USER = 61_235;
const targets = {
  ...{ file: "", socket: "" },
  abstract: `x1-abstract-${process.pid}`,
  process: `7${process.pid}77`,
  environment: `leaked${process.pid}environment`,
  key: `x1-key-${process.pid}`,
};
let dir: string;
let outside: ChildProcess;
const servers: Server[] = [];
const listen = (path: string) =>
  new Promise<void>((resolve, reject) => {
    const server = createServer((socket) => socket.on("error", () => {}).end("reached")).once("error", reject);
    servers.push(server.listen(path, resolve));
  });

beforeAll(async () => {
  dir = await mkdtemp("/tmp/x1-walls-");
  targets.file = join(dir, "private");
  targets.socket = join(dir, "outside.sock");
  await writeFile(targets.file, "private", { mode: 0o600 });
  await listen(targets.socket);
  await listen(`\0${targets.abstract}`);
  outside = spawn("/bin/sleep", [targets.process], { stdio: "ignore" });
  process.env.X1_TEST_WALL = targets.environment;
});
afterAll(async () => {
  delete process.env.X1_TEST_WALL;
  outside?.kill("SIGKILL");
  for (const server of servers) server.close();
  await rm(dir, { recursive: true, force: true });
});

const exec = { network: "none", maxOutputBytes: 64 * 1024, timeoutMs: 60_000 } as const;
/** A session keyring with a key in it, then the rest of the arguments. */
const withKey = (): string[] => {
  const [join_, add] = process.arch === "arm64" ? [219, 217] : [250, 248];
  const program = `syscall(${join_},1,0)>=0 or die; my ($t,$d,$p)=('user','${targets.key}','payload'); syscall(${add},$t,$d,$p,7,-3)>=0 or die; exec @ARGV`;
  return ["/usr/bin/perl", "-e", program];
};
const output = (child: ChildProcess) =>
  new Promise<string>((resolve, reject) => {
    let text = "";
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
    child.once("error", reject);
    child.once("close", () => resolve(text));
  });

const missing = async (mechanism: Mechanism): Promise<string | undefined> => {
  if (process.env.CI === "true") return undefined;
  const options = { runDir: "/nonexistent", overlayDir: "/nonexistent", mechanism };
  const { report, checks } = await createLocalDriver(options).probe();
  return report ? undefined : checks.find((check) => !check.ok)?.detail;
};

for (const mechanism of ["bwrap", "util-linux"] as const) {
  const skip = await missing(mechanism);
  test.skipIf(skip !== undefined)(
    `a command in a workspace finds no way out, ${mechanism}${skip ? ` (skipped: ${skip})` : ""}`,
    { timeout: 120_000 },
    async () => {
      // A service with a secret in its environment, open descriptors without close-on-exec, a terminal and a key.
      const program = join(dir, `service-${mechanism}.ts`);
      const options = { runDir: join(dir, `run-${mechanism}`), overlayDir: join(dir, "overlay"), mechanism };
      await writeFile(
        program,
        `import { createLocalDriver } from ${JSON.stringify(fileURLToPath(new URL("./index.ts", import.meta.url)))};
const driver = createLocalDriver(${JSON.stringify(options)});
const workspace = await driver.launch(${JSON.stringify(toolSpec())});
const result = await workspace.exec({ argv: ["/usr/bin/perl", "-e", process.env.PROBE], ...${JSON.stringify(exec)} });
console.log(result.output.toString());
const owner = await workspace.exec({ argv: ["/bin/sh", "-c", "touch /workspace/mine"], ...${JSON.stringify(exec)} });
console.log("ended " + owner.exitCode);
await driver.stop(workspace.id);
`,
      );
      const inner = [...withKey(), process.execPath, program].map((word) => `'${word.replaceAll("'", `'\\''`)}'`);
      const service = spawn("/usr/bin/script", ["-q", "-e", "-c", inner.join(" "), "/dev/null"], {
        env: { ...process.env, PROBE: probeProgram(targets), SHELL: "/bin/bash" },
        stdio: ["ignore", "pipe", "pipe", "pipe", "pipe"],
      });
      const text = (await output(service)).replaceAll("\r", "");
      const { report } = await createLocalDriver(options).probe();
      const same = report?.facts.find(({ name }) => name === "uid outside")?.by === "none";
      // Under the service's own uid the kernel shows the names of its keys, though never what they hold.
      expect(found(text)).toEqual(same ? ["key-name"] : []);
      expect(text).toContain("ended 0");
    },
  );
}

const noBwrap = await missing("bwrap");
describe.skipIf(noBwrap !== undefined)(`a wall that is missing${noBwrap ? ` (skipped: ${noBwrap})` : ""}`, () => {
  let plan: SandboxPlan;
  let tools: Awaited<ReturnType<typeof findTools>>;
  const volume = (name: string): string => join(dir, "volume", name);
  beforeAll(async () => {
    tools = await findTools();
    for (const name of ["work", "home", "tmp", "host", "sock"]) await mkdir(volume(name), { recursive: true });
    await makeEtc(volume("etc"), { sidecar: false, caBundle: undefined });
    await writeFile(volume("filter"), seccompFilter(tools.architecture, "strict"));
    await chmod(dir, 0o755);
    // As root the hand-made launches belong to an ordinary user, and so does what is planted.
    if (isRoot) await run("/usr/bin/chown", ["-R", `${USER}:${USER}`, volume(""), targets.file, targets.socket]);
    plan = {
      mounts: workspacePlan({
        ...{ usr: await usrEntries(), alternatives: false, overlay: null, app: null, toolchains: [], mounts: [] },
        ...{ sock: false, host: false },
        paths: {
          ...{ work: volume("work"), home: volume("home"), tmp: volume("tmp"), host: volume("host") },
          ...{ sock: volume("sock"), etc: volume("etc") },
        },
      }),
      env: baseEnv([], {}),
      cwd: "/workspace",
      argv: ["/usr/bin/perl", "-e", probeProgram(targets)],
      ownNetwork: true,
      limits: { processes: 4_000, fileBytes: 1024 ** 2 },
    };
  });

  type Wrong = {
    /** Changes the launcher's arguments. */
    options?: (options: string[]) => string[];
    command?: (command: string[]) => string[];
    plan?: Partial<SandboxPlan>;
    env?: Record<string, string>;
    descriptors?: boolean;
    terminal?: boolean;
    key?: boolean;
    filter?: boolean;
    /** Launched by root itself. */
    root?: boolean;
  };
  const without =
    (...flags: string[]) =>
    (options: string[]) =>
      options.filter((option) => !flags.includes(option));
  const instead =
    (option: string, ...other: string[]) =>
    (options: string[]) =>
      options.flatMap((word, at) => (word === option ? other : options[at - 1] === option ? [] : [word]));
  const more =
    (...extra: string[]) =>
    (options: string[]) => {
      const at = options.indexOf("--remount-ro");
      return [...options.slice(0, at), ...extra, ...options.slice(at)];
    };

  async function launch(wrong: Wrong): Promise<string[]> {
    const filterFd = wrong.filter === false ? null : 8;
    const built = bwrapArguments(
      { ...plan, ...wrong.plan },
      { prlimit: tools.prlimit, seccompFd: filterFd, statusFd: 9 },
    );
    const options = (wrong.options ?? ((same) => same))(built.options);
    const command = (wrong.command ?? ((same) => same))(built.command);
    const filter = filterFd === null ? "" : `8<${volume("filter")}`;
    const keep = wrong.descriptors ? "7</etc/hostname" : "";
    const user = ["/usr/bin/setpriv", `--reuid=${USER}`, `--regid=${USER}`, "--clear-groups", "--"];
    const words = [
      ...(isRoot && !wrong.root ? user : []),
      ...(wrong.key ? withKey() : []),
      ...[tools.bwrap ?? "bwrap", ...options, "--", ...command],
    ].map((word) => `'${word.replaceAll("'", `'\\''`)}'`);
    // What this process itself inherited is closed first.
    // biome-ignore lint/suspicious/noTemplateCurlyInString: bash's own.
    const close = 'for f in /proc/self/fd/*; do f=${f##*/}; if ((f > 2)); then eval "exec $f>&-"; fi; done 2>/dev/null';
    const line = `${close}; exec ${words.join(" ")} ${filter} ${keep} 9>/dev/null`;
    const [file, args] = wrong.terminal
      ? ["/usr/bin/script", ["-q", "-e", "-c", line, "/dev/null"]]
      : ["/bin/bash", ["-c", line]];
    return found(
      (
        await output(
          spawn(file as string, args as string[], {
            env: { PATH: "/usr/bin:/bin", SHELL: "/bin/bash", ...wrong.env },
            stdio: ["ignore", "pipe", "pipe"],
            detached: true,
          }),
        )
      ).replaceAll("\r", ""),
    );
  }

  test("none: the hand-made launch with every wall finds nothing either", async () => {
    // Under one's own uid the kernel still names a key of the test before for a moment after its session has ended.
    await expect.poll(() => launch({}), { timeout: 30_000, interval: 500 }).toEqual([]);
  });

  const everything = (): Partial<SandboxPlan> => ({
    mounts: [
      { kind: "ro", source: "/", target: "/" },
      { kind: "proc", target: "/proc" },
      { kind: "dev", target: "/dev" },
    ],
    cwd: "/",
  });
  test.each<[leaks: string[], missing: string, wrong: () => Wrong]>([
    [
      ["environment"],
      "an empty environment",
      () => ({ options: without("--clearenv"), env: { LEAK: targets.environment } }),
    ],
    [["descriptors"], "closed descriptors", () => ({ descriptors: true })],
    [["terminal"], "a session of its own", () => ({ terminal: true, options: without("--new-session") })],
    [["key", "key-name", "call-keyctl"], "a filter before a session keyring", () => ({ key: true, filter: false })],
    [["file", "socket", "sys"], "an allow-list of paths, read-only as all is", () => ({ plan: everything() })],
    [["sys"], "the absence of /sys", () => ({ options: more("--ro-bind", "/sys", "/sys") })],
    [["abstract-socket"], "a network namespace", () => ({ plan: { ownNetwork: false } })],
    [["root"], "a root that is read-only", () => ({ options: instead("--remount-ro") })],
    [
      ["processes"],
      "a pid namespace with its own /proc",
      () => ({ options: (all) => instead("--proc", "--ro-bind", "/proc", "/proc")(without("--unshare-pid")(all)) }),
    ],
    [["capabilities"], "the loss of capabilities", () => ({ options: more("--cap-add", "CAP_NET_RAW") })],
    [["core"], "the limit on core files", () => ({ command: (all) => all.filter((word) => word !== "--core=0:0") })],
    [
      [
        ...["call-keyctl", "call-add_key", "call-io_uring", "call-kcmp", "call-mount"],
        ...["tiocsti", "user-namespace", "family-audit"],
      ],
      "the filter",
      () => ({ filter: false }),
    ],
  ])("%j is found without %s", async (leaks, _, wrong) => {
    const names = await launch(wrong());
    expect(names).toEqual(expect.arrayContaining(leaks));
  });

  test("processes are refused beyond RLIMIT_NPROC, and not without it", async () => {
    const program =
      "my ($n, @p) = (0); for (1..60) { my $p = fork; last unless defined $p; if (!$p) { sleep 20; exit } push @p, $p; $n++ } kill 9, @p; print 'found: ', ($n < 60 ? 'refused' : 'forked'), qq(\\n)";
    const small = { argv: ["/usr/bin/perl", "-e", program], limits: { processes: 20, fileBytes: 1024 } };
    expect(await launch({ plan: small })).toEqual(["refused"]);
    const without_ = (command: string[]) => command.filter((word) => !word.startsWith("--nproc"));
    expect(await launch({ plan: small, command: without_ })).toEqual(["forked"]);
  });

  test.skipIf(!isRoot)("/proc/sys that may be written is found (needs root to plant it)", async () => {
    const names = await launch({
      root: true,
      options: (all) =>
        instead(
          "--proc",
          "--bind",
          "/proc",
          "/proc",
        )(instead("--uid")(instead("--gid")(without("--unshare-user", "--unshare-pid")(all)))),
    });
    expect(names).toContain("proc-sys");
  });

  test("who it is outside: a uid of its own where the report says so, and the launcher's where none is taken on", async () => {
    const local = createLocalDriver({ runDir: join(dir, "run-uid"), overlayDir: join(dir, "overlay") });
    const [first, second] = [toolSpec(), toolSpec()];
    const uidsOf = async (spec: typeof first): Promise<number> => {
      const workspace = await local.launch(spec);
      const mark = `8${spec.id}`;
      const running = workspace.exec({ argv: ["/bin/bash", "-c", `exec -a ${mark} sleep 60`], ...exec });
      try {
        await expect.poll(() => ownerOf(mark), { timeout: 20_000 }).not.toBeNull();
        return (await ownerOf(mark)) as number;
      } finally {
        await local.stop(spec.id);
        await running;
      }
    };
    const fact = (await local.probe()).report?.facts.find(({ name }) => name === "uid outside");
    const uids = [await uidsOf(first), await uidsOf(second)];
    if (isRoot) expect(fact?.value).toContain("unassigned");
    // Set by the test that starts this file as such a user.
    if (process.env.X1_TEST_OUTSIDE?.includes("subordinate")) expect(fact?.value).toContain("subordinate");
    expect(uids.includes(process.getuid?.() ?? -1)).toBe(fact?.by === "none");
    const accounts = await readFile("/etc/passwd", "utf8");
    if (fact?.by === "kernel") for (const uid of uids) expect(accounts).not.toContain(`:${uid}:`);
    // The same made by hand, with the same uid inside: it is the launcher's own.
    await chmod(volume("work"), 0o777);
    await launch({ root: true, plan: { argv: ["/bin/sh", "-c", "touch /workspace/planted; echo found:"] } });
    expect((await stat(volume("work/planted"))).uid).toBe(process.getuid?.());
  });
});

/** Real uid of the process of that name, or null. */
async function ownerOf(name: string): Promise<number | null> {
  for (const pid of (await readdir("/proc")).filter((entry) => /^\d+$/.test(entry))) {
    const [arguments_, status] = await Promise.all(
      ["cmdline", "status"].map((file) => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "")),
    );
    if (arguments_?.split("\0")[0] === name) return Number(/^Uid:\s+(\d+)/m.exec(status ?? "")?.[1]);
  }
  return null;
}
