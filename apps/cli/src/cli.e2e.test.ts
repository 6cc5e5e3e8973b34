import { execFileSync, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, readdir, readFile, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Evidence, Grant, Job, JobDetail, type JobState, Project, Runtime } from "@x1agent/contract";
import { createRepository, runSql } from "@x1agent/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Installation, installation, until } from "../test/real-service.ts";
import { hasTerminal, inTerminal } from "../test/terminal.ts";

/** `x1` as a child process against the real service, which runs the scripted runtime in real workspaces. */
let x: Installation;
let repository: string;
let url: string;
const executable = join(import.meta.dirname, "../bin/x1.mjs");
const fix = "[[edit first.txt one]]";

beforeAll(async () => {
  x = await installation();
  repository = (await createRepository(join(x.root, "repository"), { "a.txt": "x\n" })).directory;
  ({ url } = await x.up());
  await x.json("runtimes", "install", "mock");
});
afterAll(() => x?.remove());

const start = (goal: string, ...argv: string[]) =>
  x.json<Job>(
    ...["run", "--repo", repository, "--goal", goal, "--runtime", "mock", "--verify", "test -f first.txt", ...argv],
  );
const show = async (id: string) => JobDetail.parse(await x.json("show", id));
async function reach(id: string, state: JobState): Promise<Job> {
  const job = await until(
    () => show(id),
    (now) => now.state === state || now.endedAt !== null,
  );
  expect(job, `${job.reason}: ${job.reasonDetail}`).toMatchObject({ state });
  return job;
}

/** A shell command that becomes the service. */
function execShell(script: string, argv: string[], env: Record<string, string>) {
  const child = spawn("/bin/sh", ["-c", script, ...argv], { env, stdio: ["ignore", "pipe", "inherit"] });
  const gone = once(child, "exit");
  return {
    ready: once(child.stdout, "data", { signal: AbortSignal.timeout(90_000) }),
    async stop() {
      child.kill("SIGTERM");
      await gone;
    },
  };
}

describe("a job by the command line", () => {
  it("goes from run to approve, and every document is what the contract says", async () => {
    const { id } = Job.parse(await start(fix, "--title", "First", "--budget", "1.50", "--rounds", "2"));
    const job = await reach(id, "awaiting_approval");
    expect(job).toMatchObject({ title: "First", budgetMicros: 1_500_000, maxRounds: 2 });
    expect(
      Job.array()
        .parse(await x.json("jobs"))
        .map((one) => one.id),
    ).toContain(id);
    expect(Job.array().parse(await x.json("jobs", "--state", "failed"))).toEqual([]);
    const [evidence] = Evidence.array().parse(await x.json("evidence", id));
    expect(evidence?.approvalDigest).toBe(job.approvalDigest);
    expect((await x.json<{ diff: string }>("diff", id)).diff).toContain("+one");

    const events = await x.x1(["events", id]);
    const types = events.out
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { type: string }).type);
    expect(types).toContain("job.state");
    // Attached without a terminal, a job that waits for a person is replayed, and the exit code says for whom it waits.
    const attached = await x.x1(["attach", id, "--json"]);
    expect(attached.code).toBe(5);
    for (const line of attached.out.trim().split("\n")) JSON.parse(line);

    expect((await x.x1(["approve", id])).code).toBe(5);
    expect(await x.x1(["approve", id, "--yes", "--digest", "0".repeat(64)])).toMatchObject({
      code: 1,
      err: expect.stringContaining("[digest_mismatch "),
    });
    const approved = await x.x1(["approve", id, "--yes", "--wait"]);
    expect([approved.code, approved.err], approved.out).toEqual([0, ""]);
    const done = await show(id);
    expect(
      execFileSync("git", ["-C", repository, "show", `${done.targetBranch}:first.txt`], { encoding: "utf8" }),
    ).toContain("one");
    expect(await x.x1(["cancel", id])).toMatchObject({ code: 1, err: expect.stringContaining("[job_finished ") });
  });

  it("rejects, asks for changes, retries", async () => {
    const { id } = await start(fix);
    await reach(id, "awaiting_approval");
    await x.json("reject", id, "--changes", "[[edit second.txt two]]");
    await until(
      () => x.json<{ diff: string }>("diff", id),
      ({ diff }) => diff.includes("second.txt"),
    );
    await reach(id, "awaiting_approval");
    await x.json("reject", id, "--comment", "no");
    await reach(id, "rejected");
    const again = await x.x1(["retry", id, "--wait"]);
    // The resumed session asks a model, and no provider has a credential here: the sentence and the exit code say so.
    expect([again.code, again.err], again.out).toEqual([1, ""]);
    expect(again.out).toContain("provider_unconfigured");
    expect(await show(id)).toMatchObject({ state: "failed", attempt: 3 });
  });

  it("answers a question, sends a message, interrupts, cancels", async () => {
    const asking = await start(`[[ask Shall I?]]${fix}`);
    const waited = await x.x1(["attach", asking.id]);
    expect(waited.code).toBe(5);
    const { openQuestions } = await show(asking.id);
    expect(await x.x1(["answer", asking.id])).toMatchObject({
      code: 2,
      err: expect.stringContaining("Name an option"),
    });
    const [option] = openQuestions[0]?.options ?? [];
    await x.json("answer", asking.id, ...(option ? [option.optionId] : ["--text", "yes"]));
    await reach(asking.id, "awaiting_approval");

    const long = await start("[[sleep 60]]");
    await reach(long.id, "running");
    await until(
      async () => (await x.x1(["message", long.id, "[[sleep 60]]", "--json"])).code,
      (code) => code === 0,
    );
    await x.json("interrupt", long.id);
    await x.json("cancel", long.id);
    await reach(long.id, "cancelled");
  });
});

describe("the installation by the command line", () => {
  it("projects, grants, egress, budget", async () => {
    const made = Project.parse(
      await x
        .json("projects", "create", `${repository}`, "--name", "One")
        .catch(() => x.json<unknown[]>("projects").then(([first]) => first)),
    );
    const set = Project.parse(await x.json("projects", "set", made.id, "--name", "Other", "--setup", "true"));
    expect(set).toMatchObject({ name: "Other", setup: "true" });
    const pull = ["--pull-draft", "--pull-label", "bot", "--pull-label", "x1", "--no-pull-codeowners"];
    const follow = [
      "--follow-trigger",
      "comment",
      "--follow-who",
      "admin",
      "--follow-closed",
      "cancel",
      "--follow-quiet",
      "5",
    ];
    const content = ["--submodules", "same-owner", "--lfs", "20", "--partial", "never"];
    await x.json("projects", "set", made.id, ...pull, ...follow, ...content);
    // What is not named stays as it was.
    await x.json("projects", "set", made.id, "--follow-round", "none", "--pull-label", "none");
    expect(Project.parse(await x.json("projects", "show", made.id))).toMatchObject({
      pullRequests: { draft: true, labels: [], codeowners: false, closesIssue: true },
      follow: {
        triggers: ["comment"],
        who: "admin",
        onIssueClosed: "cancel",
        quietSeconds: 5,
        rounds: [],
        maxRounds: 5,
      },
      content: { submodules: "same_owner", submoduleHosts: [], lfsMegabytes: 20, partial: "never" },
    });
    expect((await x.x1(["projects", "show", made.id])).out).toMatch(/begun by comment .*with admin or more/);
    expect((await x.x1(["projects", "set", made.id, "--follow-trigger", "wind"])).code).toBe(2);
    expect(
      Project.array()
        .parse(await x.json("projects"))
        .map(({ id }) => id),
    ).toContain(made.id);

    const grant = Grant.parse(await x.json("grant", "ai.anthropic:claude-*", "--project", made.id, "--reason", "try"));
    expect(Grant.array().parse(await x.json("grants", "--subject", made.id))).toHaveLength(1);
    expect(Grant.parse(await x.json("revoke", grant.id)).revokedAt).not.toBeNull();
    expect(await x.json("grants", "--subject", made.id)).toEqual([]);
    const host = Grant.parse(
      await x.json("egress", "allow", "mirror.example", "--address", "10.0.0.0/8", "--port", "8443"),
    );
    expect(
      Grant.array()
        .parse(await x.json("egress"))
        .map(({ id }) => id),
    ).toContain(host.id);

    await x.json("budget", "set", "25", "--window", "day");
    expect(await x.json("budget")).toContainEqual(expect.objectContaining({ window: "day", limitMicros: 25_000_000 }));
    await x.json("budget", "set", "0", "--window", "day");
  });

  it("runtimes, providers, secrets, doctor, whoami", async () => {
    const runtimes = Runtime.array().parse(await x.json("runtimes"));
    expect(runtimes.find(({ manifest }) => manifest.name === "mock")).toMatchObject({ installed: true });
    await x.json("providers", "set", "anthropic", "--base-url", "https://models.example");
    const priced = await x.json(
      "providers",
      "price",
      "anthropic",
      "acme/small:8b",
      "--input",
      "0.25",
      "--output",
      "1.25",
    );
    expect(priced).toMatchObject({ model: "acme/small:8b", inputMicrosPerMTok: 250_000, source: "operator" });
    await x.json("providers", "price", "anthropic", "acme/small:8b", "--remove");
    const nowhere = ["--base-url", "http://127.0.0.1:9", "--api", "openai-chat", "--allow-private"];
    await x.json("providers", "set", "nowhere", ...nowhere);
    const tested = await x.x1(["providers", "test", "nowhere", "--json"]);
    expect(tested).toMatchObject({ code: 1, json: { outcome: "unreachable" } });
    const secret = "sk-from-standard-input-4321";
    const stored = await x.x1(["secrets", "set", "openai", "--json"], { input: `${secret}\n` });
    expect(stored).toMatchObject({ code: 0, json: { name: "openai", lastFour: "4321" } });
    expect(stored.out + stored.err).not.toContain(secret);
    expect(await x.json("secrets")).toMatchObject([{ name: "openai" }]);
    expect(
      (await x.json<{ name: string; configured: boolean }[]>("providers")).find(({ name }) => name === "openai"),
    ).toMatchObject({ configured: true });
    await x.json("secrets", "delete", "openai");
    expect(await x.json("secrets")).toEqual([]);
    const doctor = await x.x1(["doctor", "--json"]);
    expect(doctor.json).toMatchObject({ isolation: { level: "namespaces" } });
    expect(doctor.code).toBe((doctor.json as { ok: boolean }).ok ? 0 : 1);
    expect(await x.json("whoami")).toMatchObject({ role: "owner", scopes: ["read", "write", "approve", "admin"] });
  });

  it("audit: verify in the service, and an export without any", async () => {
    expect(await x.json("audit", "verify")).toMatchObject({ intact: true });
    const { out } = await x.x1(["audit", "export"]);
    const file = join(x.root, "audit.jsonl");
    await writeFile(file, out);
    const offline = { env: { X1_DATA: "/nonexistent" } };
    expect((await x.x1(["audit", "verify", file, "--json"], offline)).json).toMatchObject({ intact: true });
    await writeFile(file, out.replace('"job.moved"', '"job.loved"'));
    expect(await x.x1(["audit", "verify", file, "--json"], offline)).toMatchObject({
      code: 1,
      json: { intact: false },
    });
  });

  it("a token that is revoked reads no further, not even where it was reading", async () => {
    const made = await x.json<{ id: string; token: string }>("tokens", "create", "reader");
    expect((await x.json<{ id: string }[]>("tokens")).map(({ id }) => id)).toContain(made.id);
    const env = { X1_URL: url, X1_TOKEN: made.token };
    const { id } = await start("[[sleep 60]]");
    await reach(id, "running");
    expect(await x.x1(["cancel", id], { env })).toMatchObject({ code: 4, err: expect.stringContaining("[forbidden ") });
    const following = x.x1(["events", id, "--follow"], { env });
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    await x.json("tokens", "revoke", made.id);
    const begun = Date.now();
    expect(await following).toMatchObject({ code: 4, err: expect.stringContaining("[unauthenticated ") });
    expect(Date.now() - begun).toBeLessThan(20_000);
    expect((await x.x1(["tokens", "revoke", made.id])).code).toBe(1);
    await x.json("cancel", id);
  });
});

describe("what is wrong gets a sentence that says what to do", () => {
  const where = (name: string) => join(x.root, name);
  beforeAll(async () => {
    await mkdir(where("folder"));
    execFileSync("git", ["init", "-q", where("bare-of-commits")]);
  });
  const run = (...argv: string[]) => ["run", "--runtime", "mock", "--goal", "g", ...argv];
  /** Command line, exit code, sentence. `@` stands for the folder of the installation. */
  const table: [name: string, argv: string[], code: number, sentence: RegExp][] = [
    ["no repository", run("--repo", "@/nothing"), 1, /There is no repository at/],
    ["a folder that is none", run("--repo", "@/folder", "--wait"), 1, /`git init` and a first commit make it one/],
    ["an empty repository", run("--repo", "@/bare-of-commits", "--wait"), 1, /has no commit/],
    ["an empty address", run("--repo", ""), 2, /--repo is empty/],
    ["half a URL", run("--repo", "http://"), 1, /not a valid URL/],
    ["a remote helper", run("--repo", "ext::sh -c id"), 1, /not allowed/],
    [
      "an unknown base",
      run("--repo", "@/repository", "--base", "nope", "--wait"),
      1,
      /no branch, tag or commit "nope"; branches are: main/,
    ],
    [
      "an unknown runtime",
      ["run", "--repo", "@/repository", "--goal", "g", "--runtime", "nosuch"],
      1,
      /There are: .*mock/,
    ],
    ["an empty goal", ["run", "--repo", "@/repository", "--goal", " "], 2, /The goal is empty/],
    ["no goal", ["run", "--repo", "@/repository"], 2, /--goal/],
    ["a negative budget", run("--repo", "@/repository", "--budget", "-1"), 2, /such as 2\.00/],
    ["an unknown isolation", run("--repo", "@/repository", "--isolation", "odd"), 2, /One of: .*namespaces/],
    ["no isolation", run("--repo", "@/repository", "--isolation", "process"), 1, /isolates nothing/],
    ["an unknown job", ["show", "nosuch"], 1, /No such job/],
    ["an id that is a path", ["show", ".."], 2, /is no job id/],
    ["an empty id", ["cancel", ""], 2, /Job id is missing/],
    ["an unknown type of grant", ["grant", "nosuch"], 2, /There are: spawn/],
    ["a URL as host", ["egress", "allow", "https://x.example/y"], 1, /without scheme/],
    ["a range that is none", ["egress", "allow", "h.example", "--address", "10.0.0.0/99"], 1, /such as 10\.0\.0\.0\/8/],
    ["an unknown window", ["budget", "set", "5", "--window", "hour"], 2, /day, week, month, total/],
    ["a base URL that is none", ["providers", "set", "anthropic", "--base-url", "nowhere"], 2, /such as https/],
    ["half a price", ["providers", "price", "anthropic", "m", "--input", "1"], 2, /needs --input and --output/],
    ["no price", ["providers", "price", "anthropic", "m", "--input", "-1", "--output", "1"], 2, /USD per million/],
    ["no secret", ["secrets", "set", "openai"], 2, /empty; nothing was stored/],
    ["an unknown runtime to install", ["runtimes", "install", "nosuch"], 1, /x1 runtimes/],
    ["no file to verify", ["audit", "verify", "@/nothing"], 2, /cannot be read/],
    ["no retention", ["gc", "--retention", "0"], 2, /at least 1/],
    ["a nameless token", ["tokens", "create", ""], 2, /needs a name/],
    ["a mistyped command", ["jbos"], 2, /Did you mean jobs/],
    ["a data directory in use", ["up", "--port", "0"], 1, /is used by the service with pid \d+/],
    ["a port that is none", ["up", "--port", "99999"], 2, /up to 65535/],
    [
      "a key beside its data",
      ["up", "--data", "@/o", "--master-key", "@/o/key"],
      2,
      /may not lie in the data directory/,
    ],
    ["a folder that cannot be made", ["up", "--data", "/proc/x", "--port", "0"], 1, /choose another --data/],
    ["no service", ["jobs", "--data", "@/none"], 3, /Start one with `x1 up`/],
  ];
  it.each(table)("%s", async (_, argv, code, sentence) => {
    const ran = await x.x1(argv.map((word) => word.replace(/^@/, x.root)));
    expect(ran.out + ran.err).toMatch(sentence);
    expect(ran.out + ran.err).not.toMatch(/^\s+at .*:\d+/m);
    expect(ran.code).toBe(code);
  });

  it("a port that is taken, a wrong token, an address that is none, a goal of more than 1 MB", async () => {
    const { port } = new URL(url);
    const taken = await x.x1(["up", "--data", where("o"), "--port", port, "--master-key", where("k")]);
    expect(taken).toMatchObject({ code: 1, err: expect.stringContaining("choose another with --port") });
    const wrong = await x.x1(["jobs"], { env: { X1_URL: url, X1_TOKEN: "wrong" } });
    expect(wrong).toMatchObject({ code: 4, err: expect.stringContaining("unknown, expired or revoked") });
    const nonsense = await x.x1(["jobs"], { env: { X1_URL: "nonsense", X1_TOKEN: "t" } });
    expect(nonsense).toMatchObject({ code: 2, err: expect.stringContaining("X1_URL") });
    const argv = ["run", "--repo", repository, "--runtime", "mock", "--goal", "-"];
    const large = await x.x1(argv, { input: "a".repeat(1_048_577) });
    expect(large).toMatchObject({ code: 2, err: expect.stringContaining("1 MB") });
    const fits = await x.x1([...argv, "--json"], { input: "a".repeat(1_048_576) });
    expect([fits.code, fits.err]).toEqual([0, ""]);
    await x.json("cancel", (fits.json as Job).id);
  });

  it("another user's data directory (needs root, to become another user)", async (context) => {
    if (process.getuid?.() !== 0) return context.skip();
    const foreign = where("foreign");
    await mkdir(foreign);
    execFileSync("chown", ["12345", foreign]);
    const ran = await x.x1(["up", "--data", foreign, "--port", "0", "--master-key", where("k")]);
    expect(ran).toMatchObject({ code: 1, err: expect.stringContaining("belongs to uid 12345") });
  });

  it("every error is a JSON document with --json", async () => {
    for (const argv of [
      ["show", "nosuch"],
      ["jobs", "--data", where("none")],
      ["show", ".."],
    ]) {
      const ran = await x.x1([...argv, "--json"]);
      expect(JSON.parse(ran.err)).toMatchObject({ detail: expect.any(String) });
    }
  });
});

describe("the master key of the operator's choice", () => {
  it("comes by a variable or a descriptor, and no process inherits it", async () => {
    const key = randomBytes(32).toString("base64");
    const other = await installation({ env: { X1_TEST_KEY: key } });
    try {
      const { pid } = await other.up("--master-key", "env:X1_TEST_KEY");
      const stored = await other.x1(["secrets", "set", "openai"], { input: "sk-sealed-by-the-key-handed-over-1111" });
      expect(stored.code).toBe(0);
      const listed = execFileSync("ps", ["--ppid", String(pid), "-o", "pid="], { encoding: "utf8" });
      const children = listed.trim().split(/\s+/);
      expect(children.length).toBeGreaterThan(0);
      for (const child of children) {
        const environment = await readFile(`/proc/${child}/environ`, "utf8").catch(() => "");
        expect(environment.includes(key), child).toBe(false);
      }
      const text = await other.x1(["backup", join(other.root, "backup")]);
      expect(text.out).toContain("You hand it to the service at each start");
      await other.down();
      expect(await readdir(other.root)).not.toContain("key");

      const file = join(other.root, "handed");
      await writeFile(file, key, { mode: 0o600 });
      const shell = `exec 3<${file}; rm ${file}; exec "$0" "$1" up --port 0 --master-key fd:3 --json`;
      const handed = execShell(shell, [process.execPath, executable], { ...other.env, X1_TEST_KEY: "" });
      try {
        await handed.ready;
        expect(await other.json("secrets")).toMatchObject([{ lastFour: "1111" }]);
      } finally {
        await handed.stop();
      }
      // npm's own shell: a SIGTERM ends it, and it hands nothing on.
      const key2 = `exec 3<${join(other.root, "key2")}; "$0" "$1" up --port 0 --master-key fd:3 --json; exit $?`;
      await writeFile(join(other.root, "key2"), key, { mode: 0o600 });
      const byNpm = execShell(key2, [process.execPath, executable], { ...other.env, npm_command: "exec" });
      const [line] = (await byNpm.ready) as [Buffer];
      const served = (JSON.parse(line.toString("utf8")) as { pid: number }).pid;
      await byNpm.stop();
      await until(
        () => Promise.resolve(isAlive(served)),
        (alive) => !alive,
      );
    } finally {
      await other.remove();
    }
  });
});

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describe("x1 gc", () => {
  it("says what it would free, frees exactly that, and keeps what any row names", async () => {
    const { id } = await start(fix);
    const job = await reach(id, "awaiting_approval");
    const blobs = join(x.data, "blobs");
    const plant = async (ageDays: number) => {
      const content = randomBytes(1_000);
      const digest = createHash("sha256").update(content).digest("hex");
      const path = join(blobs, digest.slice(0, 2), digest);
      await mkdir(join(blobs, digest.slice(0, 2)), { recursive: true });
      await writeFile(path, content);
      const at = new Date(Date.now() - ageDays * 86_400_000);
      await utimes(path, at, at);
      return path;
    };
    const there = (path: string) =>
      stat(path).then(
        () => true,
        () => false,
      );
    const old = new Date(Date.now() - 40 * 86_400_000);
    for (const name of await readdir(blobs, { recursive: true }))
      if (name.length > 60) await utimes(join(blobs, name), old, old);
    const unnamed = await plant(40);
    const young = await plant(0.5);
    const stray = join(x.data, "jobs/job_of_nobody.git");
    await mkdir(stray, { recursive: true });
    await writeFile(join(stray, "HEAD"), "x");
    await utimes(stray, old, old);

    const admin = JSON.parse(await readFile(join(x.data, "pg/roles.json"), "utf8")) as { admin: string };
    const socket = (await readFile(join(x.data, "pg/data/postmaster.pid"), "utf8")).split("\n")[4] ?? "";
    const database = `postgres://x1_admin:${admin.admin}@/x1?host=${encodeURIComponent(socket)}&port=5432`;
    await runSql(database, "update x1.idempotency set at = now() - interval '2 days'");
    const keys = Number((await runSql(database, "select count(*) as n from x1.idempotency")).rows[0]?.n);
    expect(keys).toBeGreaterThan(0);

    const count = (result: unknown, kind: string) =>
      (result as { items: { kind: string; count: number; bytes: number }[] }).items.find((item) => item.kind === kind);
    const dry = await x.json("gc", "--dry-run");
    expect(count(dry, "blobs")?.count).toBeGreaterThanOrEqual(1);
    expect(count(dry, "idempotency_keys")?.count).toBe(keys);
    expect(count(dry, "job_caches")).toMatchObject({ count: 1, bytes: 1 });
    expect([await there(unnamed), await there(young), await there(stray)]).toEqual([true, true, true]);

    const real = await x.json("gc");
    expect({ ...real, dryRun: true }).toEqual({ ...dry, dryRun: true });
    expect([await there(unnamed), await there(young), await there(stray)]).toEqual([false, true, false]);
    expect((await runSql(database, "select count(*) as n from x1.idempotency")).rows[0]?.n).toBe(0);
    expect((await x.x1(["gc"])).out).toContain("Removed.");

    // Old or not: all that the jobs name is there, and the one that waits is still approved and published.
    for (const one of Job.array().parse(await x.json("jobs")))
      if (one.approvalDigest) expect((await x.json<{ diff: string }>("diff", one.id)).diff).toContain("first.txt");
    expect(job.approvalDigest).toBe((await show(id)).approvalDigest);
    const approved = await x.x1(["approve", id, "--yes", "--wait"]);
    expect([approved.code, approved.err]).toEqual([0, ""]);
  });
});

describe.skipIf(!hasTerminal && process.env.CI !== "true")("in a terminal (needs util-linux's script)", () => {
  const terminal = (...argv: string[]) => inTerminal([process.execPath, executable, ...argv], x.env);

  it("a secret is asked for without echo", async () => {
    const screen = terminal("secrets", "set", "openai");
    try {
      await screen.shows("not shown");
      screen.type("sk-typed-in-8765\r");
      await screen.shows("is stored, sealed");
      expect(await screen.ended()).toBe(0);
      expect(screen.shown).not.toContain("sk-typed");
      expect((await x.json<{ lastFour: string }[]>("secrets"))[0]?.lastFour).toBe("8765");
    } finally {
      screen.kill();
    }
  });

  it("a secret that is broken off with Ctrl-C is not stored", async () => {
    await x.json("secrets", "delete", "openai");
    const screen = terminal("secrets", "set", "openai");
    await screen.shows("not shown");
    screen.type("sk-ty\x03");
    expect(await screen.ended()).toBe(130);
    expect(await x.json("secrets")).toEqual([]);
  });

  it("attach shows events, sends what is typed, and Ctrl-C offers to interrupt or to detach", async () => {
    const { id } = await start("[[sleep 60]]");
    await reach(id, "running");
    const screen = terminal("attach", id);
    try {
      await screen.shows("running");
      screen.type(`${fix}\r`);
      screen.type("\x03");
      const offered = await screen.shows("interrupt the turn");
      expect(screen.shown).toContain("d: detach");
      screen.type("i\r");
      // The turn is interrupted, and what was typed is the next one.
      await screen.shows("awaiting_approval", offered);
      expect((await x.json<{ diff: string }>("diff", id)).diff).toContain("first.txt");
    } finally {
      screen.kill();
    }
    const next = await start("[[sleep 60]]");
    await reach(next.id, "running");
    const other = terminal("attach", next.id);
    try {
      await other.shows("running");
      other.type("\x03");
      await other.shows("interrupt the turn");
      other.type("d\r");
      expect(await other.ended()).toBe(0);
      expect(other.shown).toContain("goes on");
      expect((await show(next.id)).state).toBe("running");
    } finally {
      other.kill();
    }
    await x.json("cancel", next.id);
    await x.json("cancel", id);
  });

  it("approve shows the evidence and asks", async () => {
    const { id } = await start(fix);
    const { approvalDigest } = await reach(id, "awaiting_approval");
    const screen = terminal("approve", id);
    try {
      await screen.shows("Approve and publish exactly this?");
      expect(screen.shown).toContain(approvalDigest);
      screen.type("y\r");
      expect(await screen.ended()).toBe(0);
    } finally {
      screen.kill();
    }
    await reach(id, "succeeded");
  });
});
