import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { userInfo } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Fault, RuntimeManifest, SidecarBoot } from "@x1agent/contract";
import type { Workspace } from "@x1agent/workspaces";
import { countProcesses, type DriverUnderTest, toolSpec, workspaceConformance } from "@x1agent/workspaces/conformance";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Cgroups } from "./cgroups.ts";
import { createLocalDriver, type Mechanism } from "./index.ts";
import { exists } from "./machine.ts";
import { startOf } from "./uids.ts";

/** Below /tmp although a test's own uid may differ: as root the folder is closed to everyone else, as a real one is. */
const folder = (): Promise<string> => mkdtemp("/tmp/x1-driver-");
const isRoot = process.getuid?.() === 0;
const mechanisms: Mechanism[] = ["bwrap", "util-linux"];
const run = promisify(execFile);

const missing = async (mechanism: Mechanism): Promise<string | undefined> => {
  if (process.env.CI === "true") return undefined;
  const { report, checks } = await createLocalDriver({
    runDir: "/nonexistent",
    overlayDir: "/nonexistent",
    mechanism,
  }).probe();
  return report ? undefined : checks.find((check) => !check.ok)?.detail;
};

for (const mechanism of mechanisms) {
  workspaceConformance(
    `local, ${mechanism}, ${isRoot ? "as root" : "as an ordinary user"}`,
    async (): Promise<DriverUnderTest> => {
      const dir = await folder();
      const canary = { text: `canary${Math.random().toString(36).slice(2)}canary`, path: join(dir, "secret") };
      await writeFile(canary.path, canary.text, { mode: 0o600 });
      process.env.X1_TEST_CANARY = canary.text;
      await mkdir(join(dir, "folder"));
      await writeFile(join(dir, "folder/hello"), "hello");
      const make = () => createLocalDriver({ runDir: join(dir, "run"), overlayDir: join(dir, "overlay"), mechanism });
      return {
        driver: make(),
        again: make,
        canary,
        folder: join(dir, "folder"),
        dispose: () => rm(dir, { recursive: true, force: true }),
      };
    },
    await missing(mechanism),
  );
}

/** Lengths of sleeps by which processes are found again on a machine where the same test may run twice. */
const ours = 70_000 + (process.pid % 10_000) * 10;
const marks = { cli: `${ours}1`, stray: `${ours}2`, command: `${ours}3`, left: `${ours}4` };

/** A host, forwarder and sidecar of a few lines: the driver's part is tested, not theirs. */
const hostProgram = `
import net from "node:net"; import { spawn, spawnSync } from "node:child_process";
let text = ""; for await (const part of process.stdin) text += part;
const boot = JSON.parse(text);
const probe = "ls /proc | grep -c '^[0-9]'; ls -A /x1/run | wc -l; cat /proc/[0-9]*/cmdline | tr '\\\\0' '\\\\n' | grep -c 'host[.]mjs$'; unshare -U true 2>/dev/null; echo $?; id -u; echo end; sleep ${marks.cli}";
const [file, ...args] = [...boot.spawnPrefix, "/bin/bash", "-c", probe];
let output = "";
const child = spawn(file, args, { env: boot.env });
child.stdout.on("data", (part) => { output += part; });
child.on("exit", (code, signal) => { output += "exit " + signal; });
for (const name of ["events", "input"]) net.createServer((socket) => {
  if (name === "input") child.kill("SIGKILL");
  // What the probe would see without namespaces of its own.
  if (name === "input") output += "plain " + spawnSync("/bin/bash", ["-c", probe.split("; unshare")[0]]).stdout.toString().trim().replaceAll("\\n", " ") + "\\n";
  const timer = setInterval(() => { if (output.includes(name === "input" ? "exit" : "end")) { clearInterval(timer); socket.end(output + "\\ntoken " + boot.token); } }, 10);
}).listen(boot.runDir + "/" + name + ".sock");
`;
const forwardProgram = `
import net from "node:net"; const ports = {}; const free = process.argv.includes("free"); const dir = process.argv[3];
for (const [port, name] of [[9090, "api"], [11432, "inference"], [3128, "egress"]]) {
  const server = net.createServer((socket) => socket.pipe(net.connect(dir + "/" + name + ".sock")).pipe(socket));
  server.listen(free ? 0 : port, "127.0.0.1", () => { ports[name] = server.address().port; if (Object.keys(ports).length === 3) console.log(JSON.stringify({ ports })); });
}
`;
const sidecarProgram = `
import fs from "node:fs"; import net from "node:net";
const boot = JSON.parse(fs.readFileSync(3, "utf8"));
if (boot.jobId === "broken") { console.error("cannot enrol"); process.exit(3); }
const see = (path) => { try { return fs.readdirSync(path).length } catch (error) { return error.code } };
// The kernel gives the files of a process that may not be dumped to root.
const memory = () => fs.statSync("/proc/self/mem").uid === process.getuid() ? "dumpable" : "closed";
net.createServer((socket) => socket.end(JSON.stringify({ id: boot.workspaceId, workspace: see("/workspace"), tmp: see("/tmp"), run: see("/run"), memory: memory() }))).listen(process.argv[3] + "/api.sock", () => console.log("ready"));
process.stdin.on("end", () => process.exit(0)).resume();
`;

async function overlay(dir: string): Promise<string> {
  const root = join(dir, "overlay");
  for (const name of ["runtime/bin", "agent", "sidecar", "bin", "etc"])
    await mkdir(join(root, name), { recursive: true });
  await writeFile(join(root, "agent/host.mjs"), hostProgram);
  await writeFile(join(root, "agent/forward.mjs"), forwardProgram);
  await writeFile(join(root, "sidecar/sidecar.mjs"), sidecarProgram);
  for (const [target, mode] of [
    ["runtime/bin/node", 0o755],
    ["sidecar/node", 0o111],
  ] as const) {
    await cp(process.execPath, join(root, target));
    await chmod(join(root, target), mode);
  }
  return root;
}

const manifest = { name: "sample", nestedNamespaces: false } as RuntimeManifest;
const boot = (jobId = "job") => ({ workspaceId: "w", jobId, jobToken: "job-token" }) as SidecarBoot;

async function readSocket(path: string): Promise<string> {
  let text = "";
  for await (const part of connect(path)) text += part;
  return text;
}

for (const mechanism of mechanisms) {
  const skip = await missing(mechanism);
  describe.skipIf(skip !== undefined)(
    `local driver, ${mechanism}${skip ? ` (skipped: ${skip})` : ""}: host and sidecar`,
    () => {
      let dir: string;
      let overlayDir: string;
      beforeAll(async () => {
        dir = await folder();
        await mkdir(join(dir, "app"));
        overlayDir = await overlay(dir);
      });
      afterAll(async () => {
        // Volumes of other uids are removed by the driver alone.
        const killed = createLocalDriver({ runDir: join(dir, "run-killed"), overlayDir, mechanism });
        for (const { id } of await killed.list()) await killed.stop(id);
        await rm(dir, { recursive: true, force: true });
      });
      const driver = () => createLocalDriver({ runDir: join(dir, "run"), overlayDir, mechanism });
      const agentSpec = () =>
        toolSpec({
          purpose: "agent",
          sidecar: boot(),
          hostToken: "host-token-0123456789",
          runtime: { manifest, appDir: join(dir, "app") },
        });

      test("the CLI sees neither host nor its folder, and dies with its prefix; the sidecar answers through the forwarder", async () => {
        const local = driver();
        const spec = agentSpec();
        const workspace = await local.launch(spec);
        try {
          const { endpoint, exited } = await workspace.startHost();
          expect((await workspace.startHost()).endpoint).toBe(endpoint);
          if (endpoint.kind !== "unix") throw new Error("unix endpoint expected");
          const seen = (await readSocket(endpoint.eventsPath)).split("\n");
          expect(Number(seen[0])).toBeLessThan(6);
          // Nothing in /x1/run, no process named host.mjs, no user namespace, uid 1000.
          expect(seen.slice(1, 6)).toEqual(["0", "0", "1", "1000", "end"]);
          expect(seen.at(-1)).toBe("token host-token-0123456789");
          await expect.poll(() => countProcesses(marks.cli)).toBe(1);
          const after = await readSocket(endpoint.inputPath);
          expect(after).toContain("exit SIGKILL");
          // Planted: started without its prefix, the same probe finds the host and what lies in its folder.
          const [, files, hosts] = /^plain \d+ (\d+) (\d+)$/m.exec(after) ?? [];
          expect([Number(files), Number(hosts)].every((count) => count > 0)).toBe(true);
          for (let round = 0; round < 1_000 && (await countProcesses(marks.cli)) > 0; round++)
            await new Promise((resolve) => setTimeout(resolve, 10));
          expect(await countProcesses(marks.cli)).toBe(0);

          const through = await workspace.exec({
            argv: ["/bin/bash", "-c", "exec 5<>/dev/tcp/127.0.0.1/9090; cat <&5; echo; ls /x1; echo $HTTPS_PROXY"],
            ...{ network: "egress" as const, maxOutputBytes: 10_000, timeoutMs: 20_000 },
          });
          const [answer, ...rest] = through.output.toString().split("\n");
          const sees = { id: "w", workspace: "ENOENT", tmp: 0, run: "ENOENT", memory: "closed" };
          expect(JSON.parse(answer ?? "")).toEqual(sees);
          expect(rest).not.toContain("run");
          expect(rest).toContain("http://x1:job-token@127.0.0.1:3128");
          // Without egress the sockets are not even there.
          const none = await workspace.exec({
            argv: ["/bin/ls", "/x1"],
            network: "none",
            maxOutputBytes: 1_000,
            timeoutMs: 20_000,
          });
          expect(none.output.toString()).not.toContain("sock");

          await workspace.stopHost();
          expect(await exited).toMatchObject({ limitHit: null });
          const stored = await readFile(join(dir, "run/ws", spec.id, "spec.json"), "utf8");
          expect(stored).not.toMatch(/job-token|host-token/);
        } finally {
          await local.stop(spec.id);
        }
        expect(await workspace.sidecarExited).toEqual({ exitCode: 0, signal: null });
      });

      test("a sidecar outside of its sandbox, by a binary that may be read, is found out by the same questions", async () => {
        const sock = join(dir, `bare-${mechanism}`);
        await mkdir(sock);
        const bare = spawn(process.execPath, [join(overlayDir, "sidecar/sidecar.mjs"), "--sock", sock], {
          stdio: ["pipe", "pipe", "inherit", "pipe"],
        });
        (bare.stdio[3] as Writable).end(JSON.stringify(boot()));
        await once(bare.stdout as Readable, "data");
        const sees = JSON.parse(await readSocket(join(sock, "api.sock")));
        bare.stdin?.end();
        await once(bare, "exit");
        expect(sees.tmp).toBeGreaterThan(0);
        expect([typeof sees.run, sees.memory]).toEqual(["number", "dumpable"]);
      });

      test("a sidecar that was started ahead has nobody's name, serves one workspace by the same walls, and ends with it", async () => {
        const runDir = join(dir, "run-ahead");
        const local = createLocalDriver({ runDir, overlayDir, mechanism, spareSidecars: 1 });
        const spec = agentSpec();
        const waiting = () => sidecarsOf(process.pid, "--ahead");
        // Of a test before this one that lets its own end in peace.
        const before = new Set(await waiting());
        const fresh = async () => (await waiting()).filter((pid) => !before.has(pid));
        try {
          await expect.poll(fresh, { timeout: 60_000 }).toHaveLength(1);
          const [pid = 0] = await fresh();
          const [name = ""] = await readdir(join(runDir, "spare"));
          // With uids of his own an ordinary user may not look into it.
          const sockets = readdir(join(runDir, "spare", name, "sock"));
          expect(await sockets.catch((error) => (isRoot ? Promise.reject(error) : []))).toEqual([]);
          expect(existsSync(join(runDir, "ws"))).toBe(false);

          // A workspace without an agent starts its own: nobody waits for it.
          const plain = toolSpec({ purpose: "verify", sidecar: boot() });
          await local.launch(plain);
          expect(await readdir(join(runDir, "spare"))).toEqual([name]);
          await local.stop(plain.id);

          const workspace = await local.launch(spec);
          expect(await fresh()).toContain(pid);
          const ahead = await waiting();
          const all = await sidecarsOf(process.pid, "/x1/sidecar/sidecar.mjs");
          expect(all.filter((one) => !ahead.includes(one))).toEqual([]);
          expect(await readdir(join(runDir, "spare"))).not.toContain(name);
          const sock = await stat(join(runDir, "ws", spec.id, "sock"));
          const status = await readFile(`/proc/${pid}/status`, "utf8");
          expect(status).toMatch(new RegExp(`^Uid:\\s+${sock.uid}\\s+${sock.uid}\\s`, "m"));
          if (isRoot) expect(sock.uid).toBeGreaterThan(1_000_000);
          expect(status).toMatch(/^NoNewPrivs:\s+1$/m);
          expect(status).toMatch(/^Seccomp:\s+2$/m);
          expect(status).toMatch(/^CapEff:\s+0{16}$/m);

          await workspace.startHost();
          const through = await workspace.exec({
            argv: ["/bin/bash", "-c", "exec 5<>/dev/tcp/127.0.0.1/9090; cat <&5"],
            ...{ network: "egress" as const, maxOutputBytes: 10_000, timeoutMs: 20_000 },
          });
          const sees = { id: "w", workspace: "ENOENT", tmp: 0, run: "ENOENT", memory: "closed" };
          expect(JSON.parse(through.output.toString())).toEqual(sees);

          await local.stop(spec.id);
          expect(await workspace.sidecarExited).toEqual({ exitCode: 0, signal: null });
          expect(existsSync(`/proc/${pid}`)).toBe(false);
          expect(await local.list()).toEqual([]);
        } finally {
          await local.stop(spec.id);
          await local.close?.();
        }
        expect(await fresh()).toEqual([]);
        expect(await readdir(join(runDir, "spare"))).toEqual([]);
      });

      test("a sidecar that does not get ready is a fault with its words, and leaves nothing", async () => {
        const local = driver();
        await expect(local.launch({ ...agentSpec(), sidecar: boot("broken") })).rejects.toThrow(/cannot enrol/);
        expect(await local.list()).toEqual([]);
      });

      test("commands may run before the sidecar is ready, and end with a launch that fails", async () => {
        const local = driver();
        const told: string[] = [];
        const run = (command: string) => (workspace: Workspace) => {
          told.push("opened");
          done = workspace
            .exec({
              ...{ argv: ["/bin/bash", "-c", command], network: "none" },
              ...{ maxOutputBytes: 1_000, timeoutMs: 60_000 },
            })
            .then(
              ({ exitCode, signal }) => signal ?? exitCode,
              ({ code }: Fault) => code,
            );
        };
        let done: Promise<unknown> = Promise.resolve();
        await expect(local.launch({ ...agentSpec(), sidecar: boot("broken") }, run("sleep 60"))).rejects.toThrow(
          /cannot enrol/,
        );
        expect(["SIGKILL", "conflict"]).toContain(await done);
        const spec = agentSpec();
        await local.launch(spec, run("true"));
        told.push("launched");
        expect(await done).toBe(0);
        await local.launch(spec, run("true"));
        expect(told).toEqual(["opened", "opened", "launched"]);
        await local.stop(spec.id);
      });

      test("a sandbox that cannot be set up is a fault, never a failed command", async () => {
        const local = driver();
        const source = join(dir, "vanishing");
        await mkdir(source);
        const spec = toolSpec({ mounts: [{ source, target: "/x1/base.git" }] });
        const workspace = await local.launch(spec);
        await rm(source, { recursive: true });
        const exec = { argv: ["/bin/true"], network: "none", maxOutputBytes: 1_000, timeoutMs: 20_000 } as const;
        await expect(workspace.exec(exec)).rejects.toMatchObject({ code: "isolation_unavailable" });
        // What stands in the way for a moment only is waited out.
        setTimeout(() => void mkdir(source), 100);
        expect((await workspace.exec(exec)).exitCode).toBe(0);
        await local.stop(spec.id);
      });

      test("a service killed by SIGKILL leaves no process", async () => {
        const program = join(dir, `service-${mechanism}.ts`);
        const source = fileURLToPath(new URL("./index.ts", import.meta.url));
        await writeFile(
          program,
          `import { createLocalDriver } from ${JSON.stringify(source)};
const driver = createLocalDriver(${JSON.stringify({ runDir: join(dir, "run-killed"), overlayDir, mechanism, spareSidecars: 1 })});
const workspace = await driver.launch(${JSON.stringify(agentSpec())});
await workspace.startHost();
void workspace.exec({ argv: ["/bin/bash", "-c", "setsid sleep ${marks.stray} & sleep ${marks.command}"], network: "none", maxOutputBytes: 10, timeoutMs: 60000 });
console.log("running");
setInterval(() => {}, 1000);
`,
        );
        const service = spawn(process.execPath, [program], { stdio: ["ignore", "pipe", "inherit"] });
        await new Promise<void>((resolve, reject) => {
          service.stdout.once("data", () => resolve());
          service.once("exit", () => reject(new Error("service ended early")));
        });
        await expect.poll(() => countProcesses(marks.stray)).toBe(1);
        await expect.poll(() => sidecarsOf(service.pid ?? -1, "--ahead"), { timeout: 60_000 }).toHaveLength(1);
        // Its own processes, by id: other services may run on the machine meanwhile.
        const own = await descendantsOf(service.pid ?? -1);
        expect(own.length).toBeGreaterThan(4);
        service.kill("SIGKILL");
        const left = () => own.filter((pid) => existsSync(`/proc/${pid}`));
        for (let round = 0; round < 1_000 && left().length > 0; round++)
          await new Promise((resolve) => setTimeout(resolve, 10));
        expect(left()).toEqual([]);
      });
    },
  );
}

/** Sidecars below a process with this word among their arguments: the processes themselves, not what started them. */
async function sidecarsOf(pid: number, word: string): Promise<number[]> {
  const found: number[] = [];
  for (const one of await descendantsOf(pid)) {
    const [program, ...words] = (await readFile(`/proc/${one}/cmdline`, "utf8").catch(() => "")).split("\0");
    if (program === "/x1/sidecar/node" && words.includes(word)) found.push(one);
  }
  return found;
}

/** Every process that comes from this one, whatever session or namespace it is in. */
async function descendantsOf(pid: number): Promise<number[]> {
  const parents = new Map<number, number>();
  for (const name of await readdir("/proc"))
    if (/^\d+$/.test(name)) {
      const stat = await readFile(`/proc/${name}/stat`, "utf8").catch(() => "");
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
    }
  const found = [pid];
  for (const at of found) for (const [child, parent] of parents) if (parent === at) found.push(child);
  return found.slice(1);
}

/** Limits by the kernel where a group may be written, and the same limits watched: both ways end the same. */
describe.each([true, false])("limits, control groups %s", (cgroups) => {
  const sandboxes = missing("bwrap").then((bwrap) => (bwrap === undefined ? "bwrap" : "util-linux"));
  let dir: string;
  let local: ReturnType<typeof createLocalDriver>;
  beforeAll(async () => {
    dir = await folder();
    local = createLocalDriver({
      ...{ runDir: join(dir, "run"), overlayDir: join(dir, "overlay"), mechanism: await sandboxes, cgroups },
    });
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));
  const exec = { network: "none", maxOutputBytes: 10_000, timeoutMs: 30_000 } as const;
  const perl = (program: string) => ({ argv: ["/usr/bin/perl", "-e", program], ...exec });

  test("the report says who enforces, and says the truth", async (context) => {
    const { report, checks } = await local.probe();
    if (!report) return context.skip("no namespaces here");
    const by = new Map(report.facts.map((fact) => [fact.name, fact.by]));
    const writable = cgroups && (await Cgroups.find()).version("memory") !== null;
    expect(by.get("memory")).toBe(writable ? "kernel" : "watched");
    expect(checks.find((check) => check.name === "limits")?.detail).toMatch(writable ? /control groups/ : /watched/);
    const spec = toolSpec();
    const workspace = await local.launch(spec);
    try {
      expect(workspace.report.facts).toEqual(report.facts);
      // Inside, the group is the root of what is seen: its place outside is not told.
      const seen = await workspace.exec({ argv: ["/bin/cat", "/proc/self/cgroup"], ...exec });
      expect(seen.output.toString()).not.toContain(spec.id);
    } finally {
      await local.stop(spec.id);
    }
  });

  test("a volume that another driver left is run in and stopped without leaving a group", async () => {
    const spec = toolSpec();
    await local.launch(spec);
    const { runDir, overlayDir } = { runDir: join(dir, "run"), overlayDir: join(dir, "overlay") };
    const other = createLocalDriver({ runDir, overlayDir, mechanism: await sandboxes, cgroups });
    const adopted = await other.get(spec.id);
    expect(await other.get(spec.id)).toBe(adopted);
    const ended = await adopted?.exec({ argv: ["/bin/true"], ...exec });
    expect(ended?.exitCode).toBe(0);
    const bases = cgroups ? (await Cgroups.find()).bases : [];
    const groups = async () => {
      const names = await Promise.all(bases.map((base) => readdir(base.dir)));
      return names.flat().filter((name) => name.includes(spec.id));
    };
    expect(await groups()).toHaveLength(bases.length);
    await other.stop(spec.id);
    expect(await groups()).toEqual([]);
    expect(await other.get(spec.id)).toBeNull();
    await local.stop(spec.id);
  });

  test("a volume whose uid another service has by now gets another one, with all that is in it", async () => {
    const spec = toolSpec();
    await (await local.launch(spec)).exec({ argv: ["/bin/sh", "-c", "echo work > done; chmod 600 done"], ...exec });
    const uidOf = async (): Promise<number | null> =>
      JSON.parse(await readFile(join(dir, "run/ws", spec.id, "spec.json"), "utf8")).uid;
    const uid = await uidOf();
    // A user without uids of his own has none that another service could take.
    if (uid === null) return local.stop(spec.id);
    const claim = join(isRoot ? "/run/x1agent" : join(userInfo().homedir, ".cache/x1agent"), "uids", String(uid));
    const holder = spawn("/bin/sleep", ["60"]);
    try {
      await writeFile(claim, `${holder.pid} ${await startOf(holder.pid ?? 0)}`);
      const other = createLocalDriver({ runDir: join(dir, "run"), overlayDir: join(dir, "overlay"), cgroups });
      const adopted = await other.get(spec.id);
      expect(await uidOf()).not.toBe(uid);
      const read = await adopted?.exec({ argv: ["/bin/sh", "-c", "cat done; echo more >> done"], ...exec });
      expect([read?.exitCode, read?.output.toString()]).toEqual([0, "work\n"]);
      await other.stop(spec.id);
      expect(await readFile(claim, "utf8")).toContain(String(holder.pid));
    } finally {
      holder.kill("SIGKILL");
      await local.stop(spec.id);
      await rm(claim, { force: true });
    }
  });

  test("many processes that each use little memory are ended for their sum", async () => {
    const spec = toolSpec();
    const workspace = await local.launch(spec);
    try {
      const many = "for (1..8) { if (!fork) { my $x = 'a' x 50_000_000; sleep 20; exit } } 1 while wait > 0; exit 0";
      const result = await workspace.exec({ ...perl(many), memoryBytes: 300 * 1024 ** 2 });
      expect(result).toMatchObject({ exitCode: null, limitHit: "memory", timedOut: false });
      const fine = await workspace.exec({
        ...perl("my $x = 'a' x 50_000_000; print 'fine'"),
        memoryBytes: 300 * 1024 ** 2,
      });
      expect(fine).toMatchObject({ exitCode: 0, limitHit: null });
    } finally {
      await local.stop(spec.id);
    }
  });

  test("a fork bomb stays below the limit, ends with its command, and others go on meanwhile", async () => {
    const limits = { ...toolSpec().limits, processes: 60 };
    const [bombed, beside] = [toolSpec({ limits }), toolSpec({ limits })];
    const workspace = await local.launch(bombed);
    const other = await local.launch(beside);
    try {
      // Every process forks until it is refused, and the first one counts what there is.
      const bomb = workspace.exec({
        ...perl(
          "$| = 1; my $me = $$; fork for 1..12; if ($$ == $me) { sleep 1; my @p = grep /^\\d+$/, map { s|.*/||r } glob '/proc/*'; print scalar @p } sleep 30",
        ),
        timeoutMs: 4_000,
      });
      const begin = performance.now();
      expect((await other.exec({ argv: ["/bin/echo", "well"], ...exec })).output.toString()).toBe("well\n");
      expect(performance.now() - begin).toBeLessThan(20_000);
      const ended = await bomb;
      expect(ended).toMatchObject({ exitCode: null, timedOut: true });
      const count = Number(ended.output.toString());
      expect(count).toBeGreaterThan(30);
      expect(count).toBeLessThanOrEqual(limits.processes + 2);
      expect((await workspace.exec({ argv: ["/bin/echo", "after"], ...exec })).output.toString()).toBe("after\n");
    } finally {
      await local.stop(bombed.id);
      await local.stop(beside.id);
    }
  });

  test("no group is left behind", async () => {
    const ours = new RegExp(`^x1-${process.pid}-\\d+-t-`);
    for (const { dir: base } of (await Cgroups.find()).bases)
      await expect
        .poll(async () => (await readdir(base)).filter((name) => ours.test(name)), { timeout: 10_000 })
        .toEqual([]);
  });
});

describe("local driver at level process", () => {
  let dir: string;
  beforeAll(async () => {
    dir = await folder();
    await mkdir(join(dir, "app"));
    await overlay(dir);
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));
  const driver = () =>
    createLocalDriver({ runDir: join(dir, "run"), overlayDir: join(dir, "overlay"), level: "process" });
  const spec = (allowed: boolean) =>
    toolSpec({
      ...{ minIsolation: "process", sidecar: boot(), hostToken: "host-token-0123456789" },
      mounts: [{ source: join(dir, "app"), target: "/x1/base.git" }],
      runtime: { manifest: { ...manifest, processLevel: allowed }, appDir: join(dir, "app") },
    });

  test("refuses a runtime that is not made for it, and a job that asks for more", async () => {
    await expect(driver().launch(spec(false))).rejects.toThrow(/level process/);
    await expect(driver().launch(toolSpec())).rejects.toMatchObject({ code: "isolation_unavailable" });
    expect((await driver().probe()).report?.level).toBe("process");
  });

  test("runs commands on translated paths, reaches the sidecar by free ports, and sweeps what they leave", async () => {
    const local = driver();
    const wanted = spec(true);
    const workspace = await local.launch(wanted);
    try {
      const result = await workspace.exec({
        argv: [
          "/bin/bash",
          "-c",
          // biome-ignore lint/suspicious/noTemplateCurlyInString: bash's own.
          "pwd; ls -d /x1/base.git; echo hi > /workspace/file; exec 5<>/dev/tcp/127.0.0.1/${X1_API_URL##*:}; cat <&5" +
            `; (setsid sleep ${marks.left} >/dev/null 2>&1 &); sleep 0.1; exit 4`,
        ],
        ...{ network: "egress" as const, maxOutputBytes: 10_000, timeoutMs: 20_000 },
      });
      expect(result.exitCode).toBe(4);
      const lines = result.output.toString().split("\n");
      expect(lines.slice(0, 2)).toEqual([join(dir, "run/ws", wanted.id, "work"), join(dir, "app")]);
      expect(JSON.parse(lines[2] ?? "")).toMatchObject({ id: "w" });
      expect(await countProcesses(marks.left)).toBe(0);
      const { endpoint, exited } = await workspace.startHost();
      expect(endpoint.kind === "unix" && (await exists(endpoint.eventsPath))).toBe(true);
      await workspace.stopHost();
      expect((await exited).signal).toBe("SIGKILL");
    } finally {
      await local.stop(wanted.id);
    }
    expect(await local.list()).toEqual([]);
    expect(await countProcesses(marks.cli)).toBe(0);
  });
});

/** An account that has uids of its own for its workspaces, if there is one. */
async function subordinateUser(): Promise<number | null> {
  const [line = ""] = (await readFile("/etc/subuid", "utf8").catch(() => "")).split("\n");
  const name = line.split(":")[0] ?? "";
  if (name === "" || !(await exists("/usr/bin/newuidmap"))) return null;
  return run("/usr/bin/id", ["-u", name]).then(
    ({ stdout }) => Number(stdout),
    () => null,
  );
}

/** The same tests again as a user: uids, permissions and limits differ there. */
const asUser = isRoot && (await exists("/usr/bin/setpriv"));
const owner = asUser ? await subordinateUser() : null;
const cases: [who: string, uid: number | null, lacks: string, only: string[]][] = [
  ["an ordinary user", asUser ? 61_234 : null, "needs root to become one", []],
  [
    "an ordinary user with subordinate uids",
    owner,
    asUser ? "no account in /etc/subuid" : "needs root to become one",
    // What differs with uids of one's own; the rest has been run above.
    ["-t", "host and sidecar|no way out|who it is outside|idempotent|disk limit|unwritable"],
  ],
];
for (const [who, uid, lacks, only] of cases) {
  const skip = uid === null && (!isRoot || process.env.CI !== "true");
  test.skipIf(skip)(
    `all of this as ${who}${skip ? ` (skipped: ${lacks})` : ""}`,
    { timeout: 240_000 },
    async (context) => {
      expect(uid, lacks).not.toBeNull();
      const root = fileURLToPath(new URL("../../..", import.meta.url));
      const drop = [`--reuid=${uid}`, `--regid=${uid}`, "--clear-groups", "--"];
      const readable = await run("/usr/bin/setpriv", [...drop, "/bin/cat", join(root, "package.json")]).then(
        () => true,
        () => false,
      );
      if (!readable) return context.skip("the checkout is closed to other users");
      const home = await folder();
      await chmod(home, 0o777);
      const vitest = [join(root, "node_modules/vitest/vitest.mjs"), "run", "--project", "integration", "drivers/local"];
      try {
        const { stdout } = await run(
          "/usr/bin/setpriv",
          [...drop, process.execPath, ...vitest, "--reporter=verbose", "--configLoader=native", ...only],
          {
            cwd: root,
            env: { HOME: home, TMPDIR: home, PATH: "/usr/bin:/bin", CI: process.env.CI ?? "", X1_TEST_OUTSIDE: who },
            maxBuffer: 8 * 1024 * 1024,
          },
        ).catch((error: { stdout?: string; stderr?: string }) => {
          throw new Error(`as ${who}:\n${error.stdout?.slice(-6_000)}\n${error.stderr?.slice(-3_000)}`);
        });
        expect(stdout).toContain("as an ordinary user");
      } finally {
        await rm(home, { recursive: true, force: true });
      }
    },
  );
}
