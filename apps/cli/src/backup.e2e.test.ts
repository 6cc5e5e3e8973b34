import { execFileSync } from "node:child_process";
import { cp, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import type { Job } from "@x1agent/contract";
import { createRepository, type ModelServer, runSql, startModelServer } from "@x1agent/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Installation, installation, until } from "../test/real-service.ts";

/** One job waits for its approval when the backup is taken from the running service; the restored one goes on with it. */
let first: Installation;
let model: ModelServer;
let repository: string;
let waiting: Job;
let folder: string;
let file: string;
const secret = "sk-a-secret-that-no-backup-shows-0001";

beforeAll(async () => {
  first = await installation();
  model = await startModelServer({ key: secret });
  repository = (await createRepository(join(first.root, "repository"), { "a.txt": "x\n" })).directory;
  await first.up();
  await first.json("providers", "set", "anthropic", "--base-url", model.url, "--allow-private");
  await first.json("runtimes", "install", "mock");
  await first.x1(["secrets", "set", "anthropic"], { input: secret });
  // U+2028 ends a line for some readers of lines, and stands in JSON as it is.
  const title = "a\u2028b";
  const { id } = await first.json<Job>(
    ...[
      "run",
      "--repo",
      repository,
      "--goal",
      "[[edit first.txt one]]",
      "--title",
      title,
      "--runtime",
      "mock",
      "--verify",
      "test -f first.txt",
    ],
  );
  waiting = await until(
    () => first.json<Job>("show", id),
    (job) => job.state === "awaiting_approval" || job.endedAt !== null,
  );
  expect(waiting).toMatchObject({ state: "awaiting_approval", title });
  folder = join(first.root, "backup");
  file = join(first.root, "backup.tar");
});
afterAll(async () => {
  await first?.remove();
  await model?.close();
});

describe("x1 backup", () => {
  it("is taken from the running service, whole, without a key or token in clear", async () => {
    const result = await first.json("backup", folder);
    expect(result).toMatchObject({ target: folder, damaged: [] });
    expect(Number(result.blobs)).toBeGreaterThan(2);
    const text = await first.x1(["backup", file, "--master-key", first.masterKey]);
    expect([text.code, text.err]).toEqual([0, ""]);
    expect(text.out).toContain(`The master key is not in it. It lies in ${first.masterKey}`);
    expect((await stat(file)).mode & 0o077).toBe(0);

    const key = (await readFile(first.masterKey, "utf8")).trim();
    const token = (await readFile(join(first.data, "token"), "utf8")).trim();
    let read = 0;
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const bytes = await readFile(join(entry.parentPath, entry.name));
      const content = entry.name.endsWith(".gz") ? gunzipSync(bytes) : bytes;
      read += 1;
      for (const planted of [key, Buffer.from(key, "base64").toString("hex"), token, secret])
        expect(content.includes(planted), entry.name).toBe(false);
    }
    expect(read).toBeGreaterThan(10);
  });

  it("never overwrites one, and takes none of what is not there", async () => {
    expect(await first.x1(["backup", folder])).toMatchObject({
      code: 1,
      err: expect.stringContaining("exists already"),
    });
    expect(await first.x1(["backup", join(first.data, "inside")])).toMatchObject({ code: 2 });
    const nowhere = await first.x1(["backup", join(first.root, "x"), "--data", join(first.root, "nowhere")]);
    expect(nowhere).toMatchObject({ code: 1, err: expect.stringContaining("--data") });
    // Nothing half made stays behind.
    expect((await readdir(first.root)).filter((name) => name.includes("partial"))).toEqual([]);
  });
});

describe("x1 restore", () => {
  const into = async (source: string, ...argv: string[]) => {
    const data = join(first.root, `restored-${Math.random().toString(36).slice(2)}`);
    return { data, ran: await first.x1(["restore", source, "--data", data, "--master-key", first.masterKey, ...argv]) };
  };
  const damagedCopy = async (name: string, change: (copy: string) => Promise<void>) => {
    const copy = join(first.root, name);
    await cp(folder, copy, { recursive: true });
    await change(copy);
    return copy;
  };

  it("refuses a folder that is in use, and what is no backup", async () => {
    const used = join(first.root, "used");
    await mkdir(used);
    await writeFile(join(used, "mine"), "x");
    expect(await first.x1(["restore", folder, "--data", used])).toMatchObject({
      code: 1,
      err: expect.stringContaining("is not empty"),
    });
    expect(await readdir(used)).toEqual(["mine"]);
    expect((await into(join(first.root, "nothing"))).ran).toMatchObject({
      code: 1,
      err: expect.stringContaining("no backup"),
    });
    expect((await into(repository)).ran).toMatchObject({ code: 2, err: expect.stringContaining("manifest.json") });
  });

  it("finds what was changed, and leaves nothing behind", async () => {
    const blob = await damagedCopy("blob", async (copy) => {
      const [name] = (await readdir(join(copy, "blobs"), { recursive: true })).filter((path) => path.length > 60);
      await writeFile(join(copy, "blobs", name ?? ""), "other");
    });
    const table = await damagedCopy("table", async (copy) => {
      await writeFile(join(copy, "tables/job.jsonl.gz"), gzipSync("{}\n"));
    });
    // One who also mends the digest in the manifest is found by the audit chain.
    const audit = await damagedCopy("audit", async (copy) => {
      const path = join(copy, "tables/audit.jsonl.gz");
      const changed = gzipSync(
        gunzipSync(await readFile(path))
          .toString()
          .replace('"job.moved"', '"job.loved"'),
      );
      await writeFile(path, changed);
      const manifest = JSON.parse(await readFile(join(copy, "manifest.json"), "utf8"));
      const { createHash } = await import("node:crypto");
      manifest.tables.find((entry: { name: string }) => entry.name === "audit").digest = createHash("sha256")
        .update(changed)
        .digest("hex");
      await writeFile(join(copy, "manifest.json"), JSON.stringify(manifest));
    });
    for (const [source, sentence] of [
      [blob, "not what its name says"],
      [table, "not what the manifest says"],
      [audit, "audit log is broken"],
    ] as const) {
      const { data, ran } = await into(source);
      expect(ran).toMatchObject({ code: 1, err: expect.stringContaining(sentence) });
      expect(await readdir(data)).toEqual([]);
    }
  });

  it("brings everything back: the job that waited is approved and published", async () => {
    await first.down();
    const { data, ran } = await into(file);
    expect([ran.code, ran.err]).toEqual([0, ""]);
    expect(ran.out).toContain("is the one of the backup");
    const second = await installation({ root: first.root, env: { X1_DATA: data } });
    try {
      await second.up();
      const job = await second.json<Job>("show", waiting.id);
      expect(job).toMatchObject({
        state: "awaiting_approval",
        approvalDigest: waiting.approvalDigest,
        title: waiting.title,
      });
      expect(await second.json("audit", "verify")).toMatchObject({ intact: true });
      expect((await second.json<{ lastFour: string }[]>("secrets"))[0]?.lastFour).toBe(secret.slice(-4));
      const approved = await second.x1(["approve", waiting.id, "--yes", "--wait"]);
      expect([approved.code, approved.err], approved.out).toEqual([0, ""]);
      const { targetBranch } = await second.json<Job>("show", waiting.id);
      expect(
        execFileSync("git", ["-C", repository, "show", `${targetBranch}:first.txt`], { encoding: "utf8" }).trim(),
      ).toBe("one");
    } finally {
      await second.down();
    }
  });

  it("goes on with a job that ran while the backup was taken: its attempt is lost, and nothing is doubled", async () => {
    await first.down();
    await first.up();
    // Its turn lasts until the model answers, which it does once the backup is there.
    const answer = model.hold();
    const running = await first.json<Job>(
      ...["run", "--repo", repository, "--goal", "[[edit second.txt two]][[calls 1]]", "--runtime", "mock"],
      ...["--verify", "test -f second.txt"],
    );
    await until(
      () => first.x1(["events", running.id]),
      ({ out }) => out.includes('"tool.ended"'),
    );
    await model.waitForRequests(1);
    const taken = join(first.root, "backup-running");
    await first.json("backup", taken);
    await first.down();
    answer();
    const { data, ran } = await into(taken);
    expect([ran.code, ran.err]).toEqual([0, ""]);
    const second = await installation({ root: first.root, env: { X1_DATA: data } });
    try {
      // Runtimes are no part of a backup, and the job goes on at once where its lease has run out meanwhile.
      await cp(join(first.data, "runtimes"), join(data, "runtimes"), { recursive: true });
      await second.up();
      const again = await until(
        () => second.json<Job>("show", running.id),
        (job) => job.state === "awaiting_approval" || job.endedAt !== null,
      );
      const { attempts } = again as Job & { attempts: { outcome: string | null }[] };
      const how = `${again.reason}: ${again.reasonDetail}\n${JSON.stringify(attempts)}`;
      expect(again, how).toMatchObject({ state: "awaiting_approval", reservedMicros: 0 });
      expect(attempts).toHaveLength(2);
      expect(attempts[0]).toMatchObject({ outcome: "lost" });
      const approved = await second.x1(["approve", running.id, "--yes", "--wait"]);
      expect([approved.code, approved.err], approved.out).toEqual([0, ""]);
      const { targetBranch } = await second.json<Job>("show", running.id);
      const commits = execFileSync("git", ["-C", repository, "rev-list", `main..${targetBranch}`], {
        encoding: "utf8",
      });
      expect(commits.trim().split("\n")).toHaveLength(1);
    } finally {
      await second.down();
    }
  });

  it("does not let a service start on half a restore", async () => {
    const data = join(first.root, "half");
    await mkdir(data, { mode: 0o700 });
    await writeFile(join(data, "restoring"), "");
    const ran = await first.x1(["up", "--data", data, "--port", "0", "--master-key", first.masterKey]);
    expect(ran).toMatchObject({ code: 1, err: expect.stringContaining("x1 restore") });
  });
});

describe("backup and restore by DATABASE_URL", () => {
  it("work through a connection string alone, on a server that this test runs", async () => {
    // The embedded server of another installation plays the company's server.
    const host = await installation();
    try {
      await host.up();
      const { admin } = JSON.parse(await readFile(join(host.data, "pg/roles.json"), "utf8")) as { admin: string };
      const socket = (await readFile(join(host.data, "pg/data/postmaster.pid"), "utf8")).split("\n")[4] ?? "";
      const url = (name: string) =>
        `postgres://x1_admin:${admin}@/${name}?host=${encodeURIComponent(socket)}&port=5432`;
      for (const name of ["one", "two"]) await runSql(url("postgres"), `create database ${name}`);

      const remote = await installation({ env: { DATABASE_URL: url("one") } });
      try {
        await remote.up();
        const before = await remote.json<{ id: string }>("grant", "spawn:*", "--reason", "kept");
        const backup = join(remote.root, "backup");
        await remote.json("backup", backup);
        const used = await remote.x1(["restore", backup, "--data", join(remote.root, "again")]);
        expect(used).toMatchObject({ code: 1, err: expect.stringContaining("DATABASE_URL is in use") });
        await remote.down();

        const data = join(remote.root, "restored");
        const env = { DATABASE_URL: url("two"), X1_DATA: data };
        const back = await remote.x1(["restore", backup, "--master-key", remote.masterKey, "--json"], { env });
        expect([back.code, back.err]).toEqual([0, ""]);
        expect(back.json).toMatchObject({ masterKey: "fits" });
        const restored = await installation({ root: remote.root, env });
        await restored.up();
        const grants = await restored.json<{ id: string; reason: string }[]>("grants");
        expect(grants.find(({ id }) => id === before.id)).toMatchObject({ reason: "kept" });
        await restored.down();
      } finally {
        await remote.remove();
      }
    } finally {
      await host.remove();
    }
  });
});
