import { randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { Readable, Writable } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ExecResult, ExecSpec, Workspace, WorkspaceDriver, WorkspaceSpec } from "../port.ts";

/**
 * What every driver of level `namespaces` or above owes its callers. A driver's own tests call this once for each way in
 * which it can run, then test only what is special to it.
 */
export type DriverUnderTest = {
  driver: WorkspaceDriver;
  /** Text planted outside, in a file of the service's own user and in its environment; must not be found inside. */
  canary: { text: string; path: string };
  /** A read-only folder to mount, with a file `hello` in it. */
  folder: string;
  /** Another driver over the same state, as a service started anew would make it. */
  again: () => WorkspaceDriver;
  dispose: () => Promise<void>;
};

const limits = { memoryBytes: 512 * 1024 * 1024, processes: 100, diskBytes: 512 * 1024 * 1024 };

/** A workspace without agent or sidecar. */
export function toolSpec(change: Partial<WorkspaceSpec> = {}): WorkspaceSpec {
  return {
    id: `t-${randomBytes(6).toString("hex")}`,
    organizationId: "org",
    jobId: "job",
    attemptId: "attempt",
    purpose: "tool",
    minIsolation: "namespaces",
    mounts: [],
    env: {},
    limits,
    ...change,
  };
}

/** Runs the suite against one driver. `skip` says why it cannot run here; with CI set it must be able to. */
export function workspaceConformance(name: string, makeDriver: () => Promise<DriverUnderTest>, skip?: string): void {
  describe.skipIf(skip !== undefined)(`workspace conformance: ${name}${skip ? ` (skipped: ${skip})` : ""}`, () => {
    let subject: DriverUnderTest;
    let workspace: Workspace;
    const bash = (command: string, change: Partial<ExecSpec> = {}, where = workspace): Promise<ExecResult> =>
      where.exec({
        argv: ["/bin/bash", "-c", command],
        network: "none",
        maxOutputBytes: 64 * 1024,
        timeoutMs: 20_000,
        ...change,
      });
    const text = async (command: string, change: Partial<ExecSpec> = {}): Promise<string> =>
      (await bash(command, change)).output.toString("utf8").trim();

    beforeAll(async () => {
      subject = await makeDriver();
      workspace = await subject.driver.launch(
        toolSpec({ mounts: [{ source: subject.folder, target: "/x1/base.git" }], env: { GREETING: "hello" } }),
      );
    });
    afterAll(async () => {
      for (const info of (await subject?.driver.list()) ?? []) await subject.driver.stop(info.id);
      await subject?.dispose();
    });

    test("probe says that it can run, and how", async () => {
      const { report, checks } = await subject.driver.probe();
      expect(checks.filter((check) => !check.ok && check.fix === null)).toEqual([]);
      expect(report?.facts.length).toBeGreaterThan(3);
    });

    test("launch is idempotent by id, list and get find it, stop takes it away and may be repeated", async () => {
      const spec = toolSpec();
      const [first, second] = await Promise.all([subject.driver.launch(spec), subject.driver.launch(spec)]);
      expect(second).toBe(first);
      await bash("echo kept > /workspace/file", {}, first);
      expect((await subject.driver.list()).map((info) => info.id)).toContain(spec.id);
      expect((await subject.driver.get(spec.id))?.id).toBe(spec.id);
      // A service started anew finds the volume.
      const found = await subject.again().get(spec.id);
      expect((await bash("cat /workspace/file", {}, found as Workspace)).output.toString()).toBe("kept\n");
      await subject.driver.stop(spec.id);
      await subject.driver.stop(spec.id);
      expect(await subject.driver.get(spec.id)).toBeNull();
      expect((await subject.driver.list()).map((info) => info.id)).not.toContain(spec.id);
    });

    test("an id that could be a path is refused", async () => {
      await expect(subject.driver.launch(toolSpec({ id: "../outside" }))).rejects.toThrow(/not allowed/);
    });

    test("exit codes come from outside", async () => {
      expect(await bash("exit 0")).toMatchObject({ exitCode: 0, signal: null, timedOut: false, limitHit: null });
      expect((await bash("exit 7")).exitCode).toBe(7);
      expect((await bash("kill -9 $$")).exitCode).toBe(137);
      expect(
        (
          await workspace.exec({
            argv: ["/no/such/program"],
            network: "none",
            maxOutputBytes: 1_000,
            timeoutMs: 20_000,
          })
        ).exitCode,
      ).not.toBe(0);
    });

    test("output is kept to its last bytes and counted whole; stdin and stdout are passed", async () => {
      const long = await bash("head -c 300000 /dev/zero | tr '\\0' a; echo END", { maxOutputBytes: 1_000 });
      expect(long.output.length).toBe(1_000);
      expect(long.output.toString().endsWith("END\n")).toBe(true);
      expect(long.outputBytes).toBe(300_004);
      const parts: Buffer[] = [];
      const stdout = new Writable({
        write(chunk: Buffer, _encoding, done) {
          parts.push(chunk);
          done();
        },
      });
      const echoed = await bash("cat; echo note >&2", { stdin: Readable.from([Buffer.from("through")]), stdout });
      expect(Buffer.concat(parts).toString()).toBe("through");
      expect(echoed.output.toString()).toBe("note\n");
    });

    test("standard output beyond its limit ends the command", async () => {
      const stdout = new Writable({ write: (_chunk, _encoding, done) => done() });
      const result = await bash("cat /dev/zero", { stdout, maxOutputBytes: 100_000 });
      expect(result).toMatchObject({ exitCode: null, limitHit: "output", timedOut: false });
    });

    test("/dev/stderr can be opened again, as build scripts do", async () => {
      expect(await text("echo out > /dev/stdout; echo err > /dev/stderr")).toBe("out\nerr");
    });

    test("a timeout and an abort end everything, also what left its session", async () => {
      const mark = `4${randomBytes(3).readUIntBE(0, 3)}`;
      const timed = await bash(`setsid sleep ${mark} & sleep ${mark}`, { timeoutMs: 400 });
      expect(timed).toMatchObject({ exitCode: null, signal: "SIGKILL", timedOut: true });
      expect(await countProcesses(mark)).toBe(0);
      const abort = new AbortController();
      const running = bash(`sleep ${mark}`, { signal: abort.signal });
      setTimeout(() => abort.abort(), 200);
      expect(await running).toMatchObject({ exitCode: null, timedOut: false });
      expect(await countProcesses(mark)).toBe(0);
    });

    test("nothing of a command stays when it returns", async () => {
      const mark = `5${randomBytes(3).readUIntBE(0, 3)}`;
      expect((await bash(`(setsid sleep ${mark} >/dev/null 2>&1 &) ; sleep 0.1; exit 3`)).exitCode).toBe(3);
      expect(await countProcesses(mark)).toBe(0);
    });

    test("it is uid 1000 without capabilities, with no_new_privs and a filter", async () => {
      expect(await text("id -u; id -g")).toBe("1000\n1000");
      const status = await text("cat /proc/self/status");
      expect(status).toMatch(/CapEff:\s+0+$/m);
      expect(status).toMatch(/CapPrm:\s+0+$/m);
      expect(status).toMatch(/NoNewPrivs:\s+1$/m);
      expect(status).toMatch(/Seccomp:\s+2$/m);
    });

    test("no namespaces, mounts, foreign socket families or traces", async () => {
      expect((await bash("unshare -U true")).exitCode).not.toBe(0);
      expect((await bash("unshare -r -m true")).exitCode).not.toBe(0);
      expect((await bash("mount -t tmpfs x /tmp")).exitCode).not.toBe(0);
      // AF_PACKET and AF_VSOCK, then netlink other than route.
      for (const arguments_ of ["17,3,0", "40,1,0", "16,3,9"])
        expect((await bash(`perl -e 'socket(S,${arguments_}) ? exit 0 : exit 9'`)).exitCode).toBe(9);
    });

    test("there is no network but loopback, and nothing listens on it", async () => {
      expect(await text("tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '")).toBe("lo");
      expect(await text("tail -n +2 /proc/net/tcp | wc -l; grep -c '@' /proc/net/unix")).toMatch(/^0\n0$/);
      expect((await bash("exec 3<>/dev/tcp/1.1.1.1/80")).exitCode).not.toBe(0);
      const self = await bash(
        'perl -MIO::Socket::INET -e \'my $s=IO::Socket::INET->new(Listen=>1,LocalAddr=>"127.0.0.1:8080") or die; print IO::Socket::INET->new("127.0.0.1:8080") ? 1 : 0\'',
      );
      expect(self.output.toString()).toBe("1");
    });

    test("only allow-listed paths exist; what exists is read-only except the workspace's own", async () => {
      const seen = (await text("ls /")).split("\n");
      const allowed = [
        "bin",
        "dev",
        "etc",
        "home",
        "lib",
        "lib32",
        "lib64",
        "libx32",
        "proc",
        "sbin",
        "tmp",
        "usr",
        "var",
        "workspace",
        "x1",
      ];
      expect(seen.filter((entry) => !allowed.includes(entry))).toEqual([]);
      for (const path of ["/x", "/usr/x", "/etc/x", "/x1/x", "/x1/base.git/x", "/proc/sys/kernel/hostname"])
        expect((await bash(`echo x > ${path}`)).exitCode, path).not.toBe(0);
      for (const path of ["/workspace/x", "/home/agent/x", "/tmp/x", "/dev/shm/x"])
        expect((await bash(`echo x > ${path}`)).exitCode, path).toBe(0);
      expect(await text("cat /x1/base.git/hello")).toBe("hello");
      expect(await text("echo $GREETING")).toBe("hello");
    });

    test("a canary planted outside is found nowhere inside", async () => {
      expect(await readFile(subject.canary.path, "utf8")).toContain(subject.canary.text);
      expect((await bash(`cat ${subject.canary.path}`)).exitCode).not.toBe(0);
      const half = subject.canary.text.length / 2;
      // Put together inside, so that the search does not find itself.
      const search = `c=${subject.canary.text.slice(0, half)}; d=${subject.canary.text.slice(half)}; grep -slaF "$c$d" /proc/[0-9]*/environ /proc/[0-9]*/cmdline; grep -rslaF "$c$d" /etc /home /tmp /x1 /workspace /var; true`;
      expect(await text(search)).toBe("");
    });

    test("the launcher leaves no environment, descriptors or terminal", async () => {
      const environment = await text("cat /proc/1/environ | tr '\\0' '\\n' | cut -d= -f1");
      const own = (await text("env | cut -d= -f1")).split("\n");
      expect(environment.split("\n").filter((name) => name !== "" && !own.includes(name))).toEqual([]);
      // 3 is the folder that ls itself reads.
      expect(await text("ls /proc/self/fd")).toBe("0\n1\n2\n3");
      expect((await bash("exec 3<>/dev/tty")).exitCode).not.toBe(0);
    });

    test("too much memory ends the command, and says so", async () => {
      const result = await bash("perl -e 'my $x=\"a\"x1500000000; sleep 15'", { memoryBytes: 200 * 1024 * 1024 });
      expect(result).toMatchObject({ exitCode: null, limitHit: "memory" });
    });

    test("too many processes are refused by the kernel", async () => {
      // A shell would wait and try again.
      const forks =
        "my @k; while (@k < 300) { my $p = fork; last unless defined $p; if (!$p) { sleep 60; exit } push @k, $p } kill 9, @k; print scalar(@k)";
      const result = await bash(`perl -e '${forks}'`, { timeoutMs: 30_000 });
      expect(Number(result.output.toString())).toBeGreaterThan(0);
      expect(Number(result.output.toString())).toBeLessThan(300);
    });

    test("a file larger than the disk limit is refused; a full volume ends the command", async () => {
      // It stays for a moment, so that a driver that measures has seen it: what comes after is measured all the same.
      expect((await bash("head -c 600000000 /dev/zero > /workspace/big || { sleep 4; false; }")).exitCode).not.toBe(0);
      await bash("rm -f /workspace/big");
      const filled = await bash("for i in 1 2 3; do head -c 300000000 /dev/zero > /workspace/part$i; done; sleep 15");
      expect(filled).toMatchObject({ exitCode: null, limitHit: "disk" });
      await bash("rm -f /workspace/part*");
    });

    test("a volume with unwritable folders is removed", async () => {
      const spec = toolSpec();
      const hostile = await subject.driver.launch(spec);
      await bash("mkdir -p d/e; echo x > d/e/f; chmod 0 d/e; chmod 0555 d; ln -s / link", {}, hostile);
      await subject.driver.stop(spec.id);
      expect(await subject.driver.get(spec.id)).toBeNull();
    });

    test("stop ends a running command", async () => {
      const mark = `6${randomBytes(3).readUIntBE(0, 3)}`;
      const spec = toolSpec();
      const other = await subject.driver.launch(spec);
      const running = bash(`sleep ${mark}`, {}, other);
      for (let round = 0; round < 200 && (await countProcesses(mark)) === 0; round++)
        await new Promise((resolve) => setTimeout(resolve, 10));
      await subject.driver.stop(spec.id);
      expect((await running).exitCode).not.toBe(0);
      expect(await countProcesses(mark)).toBe(0);
    });
  });
}

/** Processes of this machine with a word in their arguments, without zombies. */
export async function countProcesses(word: string): Promise<number> {
  let count = 0;
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const arguments_ = await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "");
    if (arguments_.split("\0").includes(word)) count++;
  }
  return count;
}
