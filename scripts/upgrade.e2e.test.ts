import { execFileSync } from "node:child_process";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRepository, createServerDatabase, type ModelServer, runSql, startModelServer } from "@x1agent/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Served, startServed } from "./test/served.ts";
import { ServiceProcess } from "./test/service.ts";

/**
 * Rows that the first version wrote, with the migrations it had run by their digests, in `apps/api/test/upgrade/first.sql`:
 * made by that version's service and pg_dump, with one job published, one waiting for its approval and one without a
 * change. A migration that was changed since, or a row that today's code cannot read, shows here.
 */
const started = await startServed();
const lacks = "lacks" in started && process.env.CI !== "true" ? started.lacks : null;
/** The key with which the old version sealed its secrets: made up for this. */
const key = Buffer.alloc(32, "x1 test key of the first release").toString("base64");
const [published, waiting] = ["job_1m7zcv779043pf6z4rp9", "job_1m7zcvav1a7y3fjxf614"];

let server: Served;
let root: string;
let model: ModelServer;
let service: ServiceProcess;

describe.skipIf(lacks !== null)(`a database of the first version${lacks ? ` (skipped: needs ${lacks})` : ""}`, () => {
  beforeAll(async () => {
    if ("lacks" in started) throw new Error(`This needs ${started.lacks}.`);
    server = started;
    root = await mkdtemp(join(tmpdir(), "x1-upgrade-"));
    await chmod(root, 0o755);
    await createRepository(join(root, "repository"), {
      "add.mjs": "export const add = (a, b) => a - b;\n",
      "check.sh": "grep -q 'a + b' add.mjs\n",
    });
    await writeFile(join(root, "key"), `${key}\n`, { mode: 0o600 });
    model = await startModelServer();
    const { url } = await createServerDatabase(server.url);
    for (const role of ["x1_owner", "x1_service", "x1_queue"]) await runSql(url, `create role ${role} nologin`);
    const dump = await readFile(join(import.meta.dirname, "../apps/api/test/upgrade/first.sql"), "utf8");
    await runSql(url, dump.replaceAll("/srv/upgrade-sample", root));
    service = new ServiceProcess(root, "data", url);
    await service.start();
    await service.prepare(model);
  });
  afterAll(async () => {
    await service?.end();
    await model?.close();
    server?.stop();
    if (root) await rm(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  });

  it("opens, and shows what is in it", { timeout: 120_000 }, async () => {
    expect(await service.job(published)).toMatchObject({
      state: "succeeded",
      attempts: [{ outcome: "awaiting_approval" }],
    });
    expect(await service.job(waiting)).toMatchObject({ state: "awaiting_approval" });
    const { items } = await service.client.listEvidence({ params: { jobId: waiting } });
    expect(items[0]?.record).toMatchObject({ verification: { passed: false }, files: [{ path: "add.mjs" }] });
    const events = await service.events(published);
    expect(events.length).toBeGreaterThan(10);
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, at) => at + 1));
    expect(await service.client.verifyAudit({})).toMatchObject({ intact: true });
  });

  it("goes on: what waited is decided, and its project's next job is published", { timeout: 120_000 }, async () => {
    const { projectId, approvalDigest } = await service.job(waiting);
    const digest = approvalDigest ?? "";
    await service.client.decide({ params: { jobId: waiting }, body: { decision: "reject", digest } });
    expect(await service.job(waiting)).toMatchObject({ state: "rejected" });
    const goal = "[[edit add.mjs export const add = (a, b) => a + b;]]";
    const { id } = await service.client.createJob({
      body: { projectId, runtime: "mock", goal, verify: "bash check.sh" } as never,
    });
    await expect.poll(async () => (await service.job(id)).state, { timeout: 90_000 }).toBe("awaiting_approval");
    const next = await service.job(id);
    await service.client.decide({
      params: { jobId: id },
      body: { decision: "approve", digest: next.approvalDigest ?? "" },
    });
    await expect.poll(async () => (await service.job(id)).state, { timeout: 60_000 }).toBe("succeeded");
    const { targetBranch, publishedCommit } = await service.job(id);
    const branch = execFileSync("git", ["-C", join(root, "repository"), "rev-parse", targetBranch ?? ""]);
    expect(branch.toString().trim()).toBe(publishedCommit);
  });
});
