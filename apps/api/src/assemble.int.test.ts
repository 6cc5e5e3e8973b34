import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ApiError, type Client, createClient } from "@x1agent/client";
import { createRepository, createSampleRepository } from "@x1agent/testkit";
import type { WorkspaceDriver } from "@x1agent/workspaces";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createAssembly } from "./assemble.ts";
import { type Service, startService } from "./service.ts";
import { parseStartOptions } from "./start/options.ts";

let root: string;
let service: Service;
let client: Client;
let repository: string;
const kicked: string[] = [];
const scripted = "mock";
/** Breaks a request in the moment after its job is made. */
let breaks = false;

/** Only asked what it could isolate: no test here starts a workspace. */
const driver = {
  name: "none",
  probe: async () => ({ report: { level: "namespaces", mechanism: "none", facts: [] }, checks: [] }),
} as unknown as WorkspaceDriver;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "x1-api-"));
  process.env.NODE_ENV = "test";
  service = await startService(
    parseStartOptions(["--data", join(root, "data"), "--master-key", join(root, "key"), "--port", "0"], {}),
    createAssembly({
      createDriver: async () => driver,
      startLoop: async () => ({
        kick(_, jobId) {
          if (breaks) throw new Error("planted");
          kicked.push(jobId);
        },
        stop: async () => undefined,
      }),
    }),
  );
  client = createClient({ baseUrl: service.url, token: (await readFile(service.tokenFile, "utf8")).trim() });
  repository = (await createRepository(join(root, "repository"), { "README.md": "x" })).directory;
  for await (const _ of client.lines("installRuntime", { params: { name: scripted } }));
});
afterAll(async () => {
  await service?.close();
  await rm(root, { recursive: true, force: true });
});
const refusal = (call: Promise<unknown>) =>
  call.then(
    () => "accepted",
    (error: ApiError) => error.code,
  );

describe("the API over its domains", () => {
  it("knows its owner, and starts with the grants of an ordinary day", async () => {
    expect(await client.me()).toMatchObject({ role: "owner", scopes: ["read", "write", "approve", "admin"] });
    const { items } = await client.listGrants();
    expect(new Set(items.map(({ type }) => type))).toEqual(
      new Set(["ai.anthropic", "ai.openai", "repo.read", "registry", "egress"]),
    );
    for (const grant of items.filter(({ type }) => type === "egress")) expect(grant.details.phases).toEqual(["setup"]);
  });

  it("makes a job once per idempotency key, with its project, budget, event and audit entry", async () => {
    const body = { repository, goal: "# Mend it\n", runtime: scripted, verify: "true" };
    const job = await client.createJob({ body, idempotencyKey: "one" });
    expect(await client.createJob({ body, idempotencyKey: "one" })).toEqual(job);
    expect(await refusal(client.createJob({ body: { ...body, goal: "other" }, idempotencyKey: "one" }))).toBe(
      "idempotency_mismatch",
    );
    expect(job).toMatchObject({
      state: "queued",
      title: "Mend it",
      budgetMicros: 5_000_000,
      isolation: "namespaces",
      repository,
    });
    expect(kicked).toContain(job.id);
    expect((await client.listJobs()).items.map(({ id }) => id)).toEqual([job.id]);
    expect((await client.getJob({ params: { jobId: job.id } })).attempts).toEqual([]);
    for await (const event of client.events(job.id)) {
      expect(event).toMatchObject({
        seq: 1,
        type: "job.state",
        source: "observed",
        payload: { from: null, to: "queued" },
      });
      break;
    }
    expect((await client.listProjects()).items).toMatchObject([{ repository, name: "repository" }]);
    expect((await client.listAudit({})).items.map(({ action }) => action)).toContain("job.created");
    expect(await client.verifyAudit()).toMatchObject({ intact: true, brokenAt: null });
  });

  it("streams what is stored while somebody watches", async () => {
    const job = await client.createJob({ body: { repository, goal: "watch", runtime: scripted } });
    const seen: unknown[] = [];
    for await (const { payload } of client.events(job.id)) {
      seen.push(payload.to);
      if (payload.to === "queued") await client.cancelJob({ params: { jobId: job.id } });
      if (payload.to === "cancelled") break;
    }
    expect(seen).toEqual(["queued", "cancelled"]);
  });

  it("cancels and retries by the rules", async () => {
    const params = { jobId: (await client.createJob({ body: { repository, goal: "g", runtime: scripted } })).id };
    expect(await refusal(client.retryJob({ params, body: {} }))).toBe("illegal_transition");
    expect(await client.cancelJob({ params })).toMatchObject({ state: "cancelled", reason: "cancelled_by_person" });
    expect(await refusal(client.cancelJob({ params }))).toBe("job_finished");
    expect(await client.retryJob({ params, body: { budgetMicros: 7_000_000 } })).toMatchObject({
      state: "queued",
      reason: "retried",
      budgetMicros: 7_000_000,
    });
    expect(await refusal(client.interruptJob({ params }))).toBe("no_session");
    expect(await refusal(client.decide({ params, body: { decision: "approve", digest: "a".repeat(64) } }))).toBe(
      "illegal_transition",
    );
    expect(await refusal(client.cancelJob({ params: { jobId: "job_none" } }))).toBe("not_found");
  });

  it("refuses what cannot work before anything is made", async () => {
    const before = (await client.listJobs()).items.length;
    const ask = (change: object) =>
      refusal(client.createJob({ body: { repository, goal: "g", runtime: scripted, ...change } }));
    expect(await ask({ repository: "ext::sh -c id" })).toBe("repository_invalid");
    expect(await ask({ repository: join(root, "nowhere") })).toBe("repository_invalid");
    expect(await ask({ runtime: "nope" })).toBe("runtime_unknown");
    expect(await ask({ projectId: "prj_none", repository: undefined })).toBe("not_found");
    expect(await ask({ isolation: "vm" })).toBe("isolation_unavailable");
    expect(await ask({ isolation: "process" })).toBe("isolation_unavailable");
    expect((await client.listJobs()).items.length).toBe(before);
  });

  it("lets the bundled sample run without isolation, with the scripted runtime", async () => {
    const { directory } = await createSampleRepository(join(root, "sample"));
    const job = await client.createJob({
      body: { repository: directory, goal: "g", runtime: scripted, isolation: "process" },
    });
    expect(job.isolation).toBe("process");
  });

  it("stores secrets sealed, shows providers, sets budgets and grants", async () => {
    const value = "sk-canary-0123456789";
    expect(await client.setSecret({ params: { name: "anthropic" }, body: { value } })).toMatchObject({
      lastFour: "6789",
    });
    const provider = await client.setProvider({
      params: { name: "anthropic" },
      body: { baseUrl: "http://127.0.0.1:9", allowPrivate: true },
    });
    expect(provider).toMatchObject({
      api: "anthropic-messages",
      baseUrl: "http://127.0.0.1:9",
      configured: true,
      allowPrivate: true,
    });
    expect(await refusal(client.setProvider({ params: { name: "own" }, body: { baseUrl: "http://x.example" } }))).toBe(
      "invalid_request",
    );
    expect(
      JSON.stringify([await client.listSecrets(), await client.listProviders(), await client.listAudit({})]),
    ).not.toContain(value);
    const { organizationId } = await client.me();
    const scope = { kind: "organization" as const, id: organizationId };
    expect(await client.setBudget({ body: { scope, window: "month", limitMicros: 10 } })).toMatchObject({
      limitMicros: 10,
      spentMicros: 0,
    });
    expect(
      await refusal(
        client.setBudget({ body: { scope: { kind: "job", id: "job_none" }, window: "total", limitMicros: 1 } }),
      ),
    ).toBe("not_found");
    const grant = await client.createGrant({
      body: { subject: scope, type: "egress", details: { pattern: "x.example" } },
    });
    expect(await client.revokeGrant({ params: { grantId: grant.id } })).toMatchObject({
      id: grant.id,
      revokedAt: expect.any(String),
    });
    expect(
      await refusal(client.createGrant({ body: { subject: { kind: "job", id: "job_none" }, type: "spawn" } })),
    ).toBe("not_found");
    expect(await client.verifyAudit()).toMatchObject({ intact: true });
  });

  it("makes tokens that can do what they say and nothing else", async () => {
    const { token } = await client.createToken({ body: { name: "reader", scopes: ["read"] } });
    const reader = createClient({ baseUrl: service.url, token });
    expect((await reader.listJobs()).items.length).toBeGreaterThan(0);
    expect(await refusal(reader.createJob({ body: { repository, goal: "g" } }))).toBe("forbidden");
  });

  it("examines itself", async () => {
    const doctor = await client.doctor();
    expect(doctor.checks.find(({ name }) => name === "database")).toMatchObject({ ok: true });
    expect((await client.listRuntimes()).items.find(({ manifest }) => manifest.name === scripted)).toMatchObject({
      installed: true,
    });
  });

  it("makes one job for a key whose request broke after the job was made", async () => {
    const body = { repository, goal: "Made once\n", runtime: scripted, verify: "true" };
    breaks = true;
    expect(await refusal(client.createJob({ body, idempotencyKey: "broken" }))).toBe("internal");
    breaks = false;
    const job = await client.createJob({ body, idempotencyKey: "broken" });
    const { items } = await client.listJobs({ query: { q: "Made once" } });
    expect(items.map(({ id }) => id)).toEqual([job.id]);
  });
});
