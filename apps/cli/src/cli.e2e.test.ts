import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Evidence, Grant, Job, JobDetail, type JobState, Project, Runtime } from "@x1agent/contract";
import { createRepository, runSql } from "@x1agent/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
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

describe("a job by the command line", () => {
  it("goes from run to approve, and every document is what the contract says", async () => {
    const { id } = Job.parse(await start(fix, "--title", "First", "--budget", "1.50", "--rounds", "2"));
    const job = await reach(id, "awaiting_approval");
    expect(job).toMatchObject({ title: "First", budgetMicros: 1_500_000, maxRounds: 2 });
    expect(
      z
        .array(Job)
        .parse(await x.json("jobs"))
        .map((one) => one.id),
    ).toContain(id);
    expect(z.array(Job).parse(await x.json("jobs", "--state", "failed"))).toEqual([]);
    const [evidence] = z.array(Evidence).parse(await x.json("evidence", id));
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
      async () => (await x.x1(["message", long.id, "hello", "--json"])).code,
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
    expect(
      z
        .array(Project)
        .parse(await x.json("projects"))
        .map(({ id }) => id),
    ).toContain(made.id);

    const grant = Grant.parse(await x.json("grant", "ai.anthropic:claude-*", "--project", made.id, "--reason", "try"));
    expect(z.array(Grant).parse(await x.json("grants", "--subject", made.id))).toHaveLength(1);
    expect(Grant.parse(await x.json("revoke", grant.id)).revokedAt).not.toBeNull();
    expect(await x.json("grants", "--subject", made.id)).toEqual([]);
    const host = Grant.parse(
      await x.json("egress", "allow", "mirror.example", "--address", "10.0.0.0/8", "--port", "8443"),
    );
    expect(
      z
        .array(Grant)
        .parse(await x.json("egress"))
        .map(({ id }) => id),
    ).toContain(host.id);

    await x.json("budget", "set", "25", "--window", "day");
    expect(await x.json("budget")).toContainEqual(expect.objectContaining({ window: "day", limitMicros: 25_000_000 }));
    await x.json("budget", "set", "0", "--window", "day");
  });

  it("runtimes, providers, secrets, doctor, whoami", async () => {
    const runtimes = z.array(Runtime).parse(await x.json("runtimes"));
    expect(runtimes.find(({ manifest }) => manifest.name === "mock")).toMatchObject({ installed: true });
    await x.json("providers", "set", "anthropic", "--base-url", "https://models.example");
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

describe("x1 gc", () => {
  it("says what it would free, frees exactly that, and keeps what any row names", async () => {
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

    const { id } = await start(fix);
    const job = await reach(id, "awaiting_approval");
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
    for (const one of z.array(Job).parse(await x.json("jobs")))
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
    expect(await screen.ended()).toBe(2);
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
