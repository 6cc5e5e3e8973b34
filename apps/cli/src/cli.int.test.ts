import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { auditStart, auditText } from "@x1agent/contract";
import { afterEach, describe, expect, it } from "vitest";
import { evidence, job, startFakeService } from "../test/fake-service.ts";
import { hasTerminal, inTerminal } from "../test/terminal.ts";

const x1 = join(import.meta.dirname, "../bin/x1.mjs");
type Service = Awaited<ReturnType<typeof startFakeService>>;
const services: Service[] = [];
const fake = async (...args: Parameters<typeof startFakeService>) => {
  const service = await startFakeService(...args);
  services.push(service);
  return service;
};
afterEach(async () => {
  for (const service of services.splice(0)) await service.close();
});

const isOld = (node: string): boolean => {
  const [major = 0, minor = 0] = execFileSync(node, ["-p", "process.versions.node"], { encoding: "utf8" })
    .split(".")
    .map(Number);
  return major < 22 || (major === 22 && minor < 18);
};

/** Runs the real executable; `input` becomes its whole standard input. */
function run(
  argv: string[],
  options: { url?: string; input?: string; env?: Record<string, string>; node?: string } = {},
) {
  return new Promise<{ code: number | null; out: string; err: string }>((resolve) => {
    const child = spawn(options.node ?? process.execPath, [x1, ...argv], {
      env: {
        PATH: process.env.PATH,
        HOME: "/nonexistent",
        ...(options.url ? { X1_URL: options.url, X1_TOKEN: "tkn" } : {}),
        ...options.env,
      },
    });
    let out = "";
    let err = "";
    child.stdout.on("data", (chunk) => {
      out += chunk;
    });
    child.stderr.on("data", (chunk) => {
      err += chunk;
    });
    const guard = setTimeout(() => child.kill("SIGKILL"), 90_000);
    child.on("close", (code) => {
      clearTimeout(guard);
      resolve({ code, out, err });
    });
    child.stdin.end(options.input ?? "");
  });
}

const state = (seq: number, to: string) => ({
  seq,
  ts: "2026-01-01T00:00:00.000Z",
  type: "job.state",
  source: "observed",
  attemptId: null,
  turn: null,
  origin: null,
  payload: { from: "running", to, reason: "created", actor: "platform:x1" },
});

describe("exit codes", () => {
  it("2: a wrong command line", async () => {
    for (const argv of [["nope"], ["run"], ["jobs", "--state", "odd"], ["grant", "odd:*"], ["budget", "set", "1.2.3"]])
      expect((await run(argv, { url: "http://127.0.0.1:9" })).code, argv.join(" ")).toBe(2);
  });

  it("3: nobody there, and the sentence says what to do", async () => {
    expect((await run(["jobs"], { url: "http://127.0.0.1:9" })).code).toBe(3);
    const none = await run(["jobs", "--data", "/nonexistent/data"]);
    expect(none.code).toBe(3);
    expect(none.err).toContain("x1 up");
    // A token never goes to an address that it was not given with.
    expect((await run(["jobs"], { env: { X1_URL: "http://127.0.0.1:9" } })).code).toBe(3);
  });

  it("4: not authorised; 1: refused, with code and hint", async () => {
    const { url } = await fake({
      "GET /jobs": { refuse: "unauthenticated" },
      "POST /jobs/j/cancel": { refuse: "job_finished" },
    });
    expect((await run(["jobs"], { url })).code).toBe(4);
    const refused = await run(["cancel", "j"], { url });
    expect([refused.code, refused.err]).toEqual([1, expect.stringContaining("[job_finished]")]);
    const json = await run(["cancel", "j", "--json"], { url });
    expect(JSON.parse(json.err)).toMatchObject({ code: "job_finished", status: 409 });
    expect(json.out).toBe("");
  });

  it.each([
    ["succeeded", 0],
    ["no_changes", 1],
    ["awaiting_approval", 5],
    ["awaiting_input", 5],
  ] as const)("a job waited for that ends %s: %i", async (to, code) => {
    let reads = 0;
    const { url } = await fake({
      "POST /jobs": { status: 201, json: job({ state: "queued" }) },
      "GET /jobs/job_1": () => ({ json: job({ state: reads++ === 0 ? "queued" : to, endedAt: null }) }),
      "GET /jobs/job_1/events": { events: [state(1, "running"), state(2, to)] },
    });
    expect((await run(["run", "--repo", "/repo", "--goal", "g", "--wait"], { url })).code).toBe(code);
  });
});

describe("x1", () => {
  it("sends a job as it was asked for", async () => {
    const service = await fake({ "POST /jobs": { status: 201, json: job() } });
    await run(
      ["run", "--repo", "git@host:a/b.git", "--goal", "-", "--budget", "0.50", "--verify", "npm test", "--ask"],
      { url: service.url, input: "the goal" },
    );
    expect(service.requests[0]?.body).toEqual({
      repository: "git@host:a/b.git",
      goal: "the goal",
      budgetMicros: 500_000,
      verify: "npm test",
      ask: true,
    });
    expect(service.requests[0]?.headers["idempotency-key"]).toBeTruthy();
  });

  it("takes a secret from standard input only, and never prints it", async () => {
    const json = { name: "anthropic", lastFour: "cret", updatedAt: "2026-01-01T00:00:00.000Z", lastUsedAt: null };
    const service = await fake({
      "PUT /secrets/anthropic": { json },
      "PUT /projects/prj_1/secrets/anthropic": { json },
    });
    const stored = await run(["secrets", "set", "anthropic"], { url: service.url, input: "sk-topsecret\n" });
    expect(stored.code).toBe(0);
    expect(service.requests[0]?.body).toEqual({ value: "sk-topsecret" });
    expect(stored.out + stored.err).not.toContain("topsecret");
    const own = await run(["secrets", "set", "anthropic", "--project", "prj_1"], {
      url: service.url,
      input: "sk-own\n",
    });
    expect([own.code, service.requests.at(-1)?.path]).toEqual([0, "/projects/prj_1/secrets/anthropic"]);
    expect((await run(["secrets", "set", "anthropic", "sk-topsecret"], { url: service.url })).code).toBe(2);
    expect((await run(["secrets", "set", "anthropic"], { url: service.url })).code).toBe(2);
  });

  it.skipIf(!hasTerminal)(
    "decides nothing at Ctrl-C and Ctrl-D, and stores nothing (needs /usr/bin/script)",
    async () => {
      const service = await fake({
        "GET /jobs/job_1": { json: job() },
        "GET /jobs/job_1/evidence": { json: { items: [evidence], cursor: null } },
      });
      const env = { PATH: process.env.PATH ?? "", HOME: "/nonexistent", X1_URL: service.url, X1_TOKEN: "tkn" };
      for (const [key, code, argv, sentence] of [
        ["\x03", 130, ["approve", "job_1"], "Nothing was decided."],
        ["\x04", 5, ["approve", "job_1"], "Nothing was decided."],
        ["\x03", 130, ["secrets", "set", "anthropic"], "Nothing was stored."],
      ] as const) {
        const screen = inTerminal([process.execPath, x1, ...argv], env);
        await screen.shows(argv[0] === "approve" ? "[y/N]" : "(not shown): ");
        screen.type(key);
        expect(await screen.ended(), screen.shown).toBe(code);
        expect(screen.shown).toContain(sentence);
        expect(screen.shown).not.toContain("    at ");
      }
      expect(service.requests.filter(({ method }) => method !== "GET")).toEqual([]);
    },
  );

  it("shows the evidence before it approves, and approves the digest that it showed", async () => {
    const service = await fake({
      "GET /jobs/job_1": { json: job() },
      "GET /jobs/job_1/evidence": { json: { items: [evidence], cursor: null } },
      "POST /jobs/job_1/decisions": { json: job({ state: "publishing", reason: "approved_by_person" }) },
    });
    const unasked = await run(["approve", "job_1"], { url: service.url });
    expect(unasked.code).toBe(5);
    expect(service.requests.some((request) => request.method === "POST")).toBe(false);
    const approved = await run(["approve", "job_1", "--yes"], { url: service.url });
    expect(approved.code).toBe(0);
    expect(service.requests.at(-1)?.body).toEqual({ decision: "approve", digest: evidence.approvalDigest });
    expect(approved.out).toContain(evidence.approvalDigest);
    expect(approved.out).toContain("tests report 3 passed");
    const earlier = "d".repeat(64);
    await run(["approve", "job_1", "--yes", "--digest", earlier], { url: service.url });
    expect(service.requests.at(-1)?.body).toEqual({ decision: "approve", digest: earlier });
    await run(["reject", "job_1", "--changes", "more tests"], { url: service.url });
    expect(service.requests.at(-1)?.body).toEqual({
      decision: "request_changes",
      digest: evidence.approvalDigest,
      comment: "more tests",
    });
  });

  it("lets nothing of a job control the terminal", async () => {
    const { url } = await fake({
      "GET /jobs": { json: { items: [job()], cursor: null } },
      "GET /jobs/job_1": { json: job() },
      "GET /jobs/job_1/evidence": { json: { items: [evidence], cursor: null } },
      "GET /jobs/job_1/diff": { text: "+evil\u001b[2J\u202e" },
    });
    for (const argv of [["jobs"], ["show"], ["evidence"], ["diff"]]) {
      const { out, code } = await run(argv, { url });
      expect(code, argv[0]).toBe(0);
      expect(out, argv[0]).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
    }
  });

  it("opens a host for an organization by default, in set-up and agent phase", async () => {
    const service = await fake({
      "GET /me": {
        json: {
          actor: { kind: "user", id: "u" },
          organizationId: "org_1",
          organization: "A",
          role: "owner",
          scopes: [],
        },
      },
      "POST /grants": (request) => ({ status: 201, json: { id: "grant_1", ...(request.body as object) } }),
    });
    const { code } = await run(["egress", "allow", "Mirror.example", "--address", "10.0.0.0/8", "--port", "8443"], {
      url: service.url,
    });
    expect(code).toBe(0);
    expect(service.requests.at(-1)?.body).toEqual({
      subject: { kind: "organization", id: "org_1" },
      type: "egress",
      scope: undefined,
      details: { pattern: "mirror.example", phases: ["setup", "agent"], ports: [8443], address: "10.0.0.0/8" },
    });
    const options = ["--phase", "agent", "--address", "10.0.0.0/8"];
    expect((await run(["grant", "registry:npm", ...options], { url: service.url })).code).toBe(0);
    expect(service.requests.at(-1)?.body).toMatchObject({
      type: "registry",
      details: { pattern: "npm", phases: ["agent"], address: "10.0.0.0/8" },
    });
    const push = ["grant", "repo.push:x1/*", "--repository", "acme/app", "--force"];
    expect((await run(push, { url: service.url })).code).toBe(0);
    expect(service.requests.at(-1)?.body).toMatchObject({
      type: "repo.push",
      details: { pattern: "x1/*", repository: "acme/app", force: true },
    });
    // Where it would have no effect it is no option.
    for (const option of [["--force"], ["--repository", "acme/app"]])
      expect((await run(["grant", "repo.read:*", ...option], { url: service.url })).code).toBe(2);
    expect((await run(["grant", "ai.anthropic:*", ...options], { url: service.url })).code).toBe(2);
  });

  it("finds service and token in the data directory", async () => {
    const service = await fake({ "GET /jobs": { json: { items: [], cursor: null } } });
    const data = await mkdtemp(join(tmpdir(), "x1-cli-"));
    await writeFile(join(data, "service.json"), JSON.stringify({ url: service.url, pid: 1 }));
    await writeFile(join(data, "token"), "from-file\n");
    const { code, out } = await run(["jobs", "--json"], { env: { X1_DATA: data } });
    await rm(data, { recursive: true });
    expect([code, out]).toEqual([0, "[]\n"]);
    expect(service.requests[0]?.headers.authorization).toBe("Bearer from-file");
  });

  it("starts again with the pinned Node.js on one that is too old (needs a Node.js older than 22.18 on PATH)", async (ctx) => {
    const old = (process.env.PATH ?? "")
      .split(delimiter)
      .map((folder) => join(folder, "node"))
      .find((node) => existsSync(node) && isOld(node));
    if (!old) return ctx.skip();
    const { code, out } = await run(["--version"], { node: old });
    expect([code, out.trim()]).toEqual([0, "0.1.0"]);
    const stuck = await run(["--version"], { node: old, env: { X1_RESTARTED: "1" } });
    expect([stuck.code, stuck.err]).toEqual([2, expect.stringContaining("22.18")]);
  });

  it("prints its exit codes", async () => {
    const { out, code } = await run(["--help"]);
    expect(code).toBe(0);
    expect(out).toMatch(/5 {4}the job waits for a person/);
  });
});

describe("audit verify of an exported file", () => {
  const chain = () => {
    const entries: Record<string, unknown>[] = [];
    let previous = auditStart;
    for (let seq = 1; seq <= 5; seq += 1) {
      const entry = {
        seq,
        ts: "2026-01-01T00:00:00.000Z",
        actor: { kind: "user" as const, id: "u" },
        action: "grant.created",
        subject: `grant_${seq}`,
        // U+2028 ends a line for some readers of lines, and stands in JSON as it is.
        data: { z: 1, a: [seq, null, "a\u2028b"] },
        previous,
      };
      previous = createHash("sha256").update(auditText(entry)).digest("hex");
      entries.push({ ...entry, hash: previous });
    }
    return entries;
  };
  const verify = async (entries: readonly object[]) => {
    const folder = await mkdtemp(join(tmpdir(), "x1-audit-"));
    const file = join(folder, "audit.jsonl");
    await writeFile(file, entries.map((entry) => JSON.stringify(entry)).join("\n"));
    const result = await run(["audit", "verify", file, "--json"]);
    await rm(folder, { recursive: true });
    return { code: result.code, ...(JSON.parse(result.out) as { intact: boolean; brokenAt: number | null }) };
  };

  it("needs no service, and finds what was changed, left out or moved", async () => {
    const entries = chain();
    expect(await verify(entries)).toMatchObject({ code: 0, intact: true, entries: 5 });
    // The order of keys is not part of what is signed.
    expect(await verify(entries.map((entry) => Object.fromEntries(Object.entries(entry).reverse())))).toMatchObject({
      intact: true,
    });
    expect(await verify(entries.map((entry) => (entry.seq === 3 ? { ...entry, data: {} } : entry)))).toMatchObject({
      code: 1,
      brokenAt: 3,
    });
    expect(await verify(entries.filter((entry) => entry.seq !== 2))).toMatchObject({ code: 1, brokenAt: 2 });
    expect(await verify([...entries.slice(1, 2), ...entries.slice(0, 1)])).toMatchObject({ code: 1, brokenAt: 1 });
  });
});
