import { request as httpRequest } from "node:http";
import { accept, Fault, Problem, type Route, type RouteName, refuse, routes } from "@x1agent/contract";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Fixture, serveHandlers } from "../../test/http-fixture.ts";

const all = "token-read,write,approve,admin";
const table = Object.entries(routes) as [RouteName, Route][];
const guarded = table.filter(([, route]) => route.scope !== null);
const pathOf = (route: Route) => route.path.replace(/:\w+/g, "x");

let fixture: Fixture;
let created = 0;
beforeAll(async () => {
  fixture = await serveHandlers({
    createGrant: async (call) => {
      if (call.body.reason === "break") throw new Error("secret detail sk-123");
      if (call.body.reason === "refuse") return refuse("forbidden", "Only people grant.");
      created += 1;
      return accept({ id: `grant_${created}` } as never);
    },
    getProject: async () => {
      throw new Fault("unavailable", "The database is down; repeat later.");
    },
    getJob: async (call) => accept({ id: call.params.jobId } as never),
    getBlob: async () => accept(new TextEncoder().encode("<script>")),
    installRuntime: async () =>
      accept(
        (async function* () {
          yield "one\n";
          yield '{"ok":true,"detail":"done"}\n';
        })(),
      ),
    listJobs: async (call) => accept({ items: [], cursor: String(call.query.limit) }),
  });
});
afterAll(() => fixture.close());
beforeEach(() => {
  fixture.reached.length = 0;
});

function call(
  method: string,
  path: string,
  init: { token?: string; body?: unknown; headers?: Record<string, string> } = {},
) {
  return fetch(fixture.url + path, {
    method,
    headers: {
      ...(init.token ? { authorization: `Bearer ${init.token}` } : {}),
      ...(init.body === undefined ? {} : { "content-type": "application/json" }),
      ...init.headers,
    },
    ...(init.body === undefined ? {} : { body: typeof init.body === "string" ? init.body : JSON.stringify(init.body) }),
  });
}

/** Node's fetch does not let a caller set Host; a browser behind a rebound name would. */
function rawStatus(headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    httpRequest(`${fixture.url}/api/v1/health`, { headers }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .on("error", reject)
      .end();
  });
}

describe("every route of the table", () => {
  it.each(guarded)("%s refuses without a token and with a wrong one", async (_name, route) => {
    for (const token of [undefined, "wrong"]) {
      const response = await call(route.method, pathOf(route), token ? { token } : {});
      expect(response.status).toBe(401);
      expect(response.headers.get("content-type")).toContain("application/problem+json");
      expect(Problem.parse(await response.json()).code).toBe("unauthenticated");
    }
    expect(fixture.reached).toEqual([]);
  });

  it.each(guarded)("%s refuses a token without its scope", async (_name, route) => {
    const others = ["read", "write", "approve", "admin"].filter((scope) => scope !== route.scope).join(",");
    const response = await call(route.method, pathOf(route), { token: `token-${others}` });
    expect(response.status).toBe(403);
    expect(Problem.parse(await response.json()).code).toBe("forbidden");
    expect(fixture.reached).toEqual([]);
  });

  it.each(table.filter(([, route]) => route.body))("%s refuses a bad body before its handler", async (_name, route) => {
    const bodies = [
      "{",
      "null",
      '"text"',
      "[]",
      JSON.stringify({
        goal: 5,
        id: {},
        decision: "maybe",
        value: [],
        runtime: 9,
        name: 1,
        subject: 3,
        baseUrl: 7,
        repository: 1,
        scope: 1,
        model: 4,
        requestId: 0,
        current: 5,
        setup: 8,
        key: 2,
        ids: 4,
      }),
    ];
    for (const body of bodies) {
      const response = await call(route.method, pathOf(route), { token: all, body });
      expect(response.status, body).toBe(400);
      expect(Problem.parse(await response.json()).code).toBe("invalid_request");
    }
    expect(fixture.reached).toEqual([]);
  });

  it.each(table.filter(([, route]) => route.body))("%s takes its body as JSON only", async (_name, route) => {
    const response = await call(route.method, pathOf(route), {
      token: all,
      body: "{}",
      headers: { "content-type": "text/plain" },
    });
    expect(response.status).toBe(400);
  });
});

describe("what stands before the handlers", () => {
  it("answers on public paths without a token, on unknown paths not even 404", async () => {
    expect((await call("GET", "/openapi.json")).status).toBe(200);
    expect((await call("GET", "/docs")).status).toBe(200);
    expect((await call("GET", "/api/v1/health")).status).toBe(200);
    expect((await call("GET", "/nowhere")).status).toBe(401);
    expect((await call("GET", "/nowhere", { token: all })).status).toBe(404);
  });

  it("refuses a rebound Host and a foreign Origin", async () => {
    const own = new URL(fixture.url).host;
    expect(await rawStatus({ host: own })).toBe(200);
    expect(await rawStatus({ host: "x1.example.org" })).toBe(200);
    expect(await rawStatus({ host: own, origin: `http://${own}` })).toBe(200);
    for (const headers of [
      { host: "evil.example" },
      { host: "127.0.0.1.evil.example" },
      { host: "2130706433" },
      { host: own, origin: "http://evil.example" },
      { host: own, origin: "null" },
      { host: own, origin: "http://127.0.0.1:1" },
    ])
      expect(await rawStatus(headers), JSON.stringify(headers)).toBe(403);
  });

  it("names each wrong field", async () => {
    const response = await call("POST", "/api/v1/grants", {
      token: all,
      body: { subject: { kind: "nobody", id: "" }, type: "spawn" },
    });
    const problem = Problem.parse(await response.json());
    expect(problem.errors?.map((entry) => entry.path)).toEqual(["body.subject.kind", "body.subject.id"]);
    expect(problem.instance).toBe(response.headers.get("x-request-id"));
  });

  it("fills in and refuses query parameters", async () => {
    expect(await (await call("GET", "/api/v1/jobs", { token: all })).json()).toMatchObject({ cursor: "50" });
    expect((await call("GET", "/api/v1/jobs?limit=100000", { token: all })).status).toBe(400);
  });

  it("bounds bodies, with a declared length and without one", async () => {
    const big = JSON.stringify({ value: "x".repeat(600_000) });
    expect((await call("PUT", "/api/v1/secrets/a", { token: all, body: big })).status).toBe(413);
    const chunked = await fetch(`${fixture.url}/api/v1/secrets/a`, {
      method: "PUT",
      headers: { authorization: `Bearer ${all}`, "content-type": "application/json" },
      body: new Blob([big]).stream(),
      duplex: "half",
    } as RequestInit).catch(() => null);
    if (chunked) expect(chunked.status).toBe(413);
    expect(fixture.reached).toEqual([]);
  });

  it("calls a goal beyond 1 MB too large", async () => {
    const response = await call("POST", "/api/v1/jobs", {
      token: all,
      body: { repository: "/x", goal: "x".repeat(1_048_577) },
    });
    expect(Problem.parse(await response.json()).code).toBe("goal_too_large");
  });
});

describe("answers", () => {
  it("carry refusals, faults and bugs as problems; a bug tells nothing but its id", async () => {
    const grant = (reason: string) => ({
      token: all,
      body: { subject: { kind: "job", id: "j" }, type: "spawn", reason },
    });
    const refused = await call("POST", "/api/v1/grants", grant("refuse"));
    expect([refused.status, Problem.parse(await refused.json()).detail]).toEqual([403, "Only people grant."]);
    const fault = await call("GET", "/api/v1/projects/p", { token: all });
    expect([fault.status, Problem.parse(await fault.json()).code]).toEqual([503, "unavailable"]);
    const bug = await call("POST", "/api/v1/grants", grant("break"));
    const body = await bug.text();
    expect(bug.status).toBe(500);
    expect(body).not.toContain("sk-123");
    expect(body).toContain(bug.headers.get("x-request-id"));
  });

  it("never let a browser run what came out of a workspace", async () => {
    const response = await call("GET", "/api/v1/jobs/j/blobs/d", { token: all });
    expect(response.headers.get("content-type")).toBe("application/octet-stream");
    expect(response.headers.get("content-disposition")).toBe("attachment");
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
  });

  it("stream text as it comes", async () => {
    const response = await call("POST", "/api/v1/runtimes/r/install", { token: all });
    expect((await response.text()).split("\n")[0]).toBe("one");
  });

  it("decode path parameters", async () => {
    expect(await (await call("GET", "/api/v1/jobs/a%2Fb", { token: all })).json()).toEqual({ id: "a/b" });
  });
});

describe("idempotency keys", () => {
  const send = (key: string, reason = "", extra: Record<string, string> = {}) =>
    call("POST", "/api/v1/grants", {
      token: all,
      body: { subject: { kind: "job", id: "j" }, type: "spawn", reason },
      headers: { "idempotency-key": key, ...extra },
    });

  it("run a request once and replay its answer", async () => {
    const before = created;
    const first = await send("k1");
    const second = await send("k1");
    expect(created).toBe(before + 1);
    expect(await second.json()).toEqual(await first.json());
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.headers.get("idempotency-replayed")).toBe("true");
  });

  it("refuse another body under the same key", async () => {
    await send("k2");
    expect(Problem.parse(await (await send("k2", "other")).json()).code).toBe("idempotency_mismatch");
  });

  it("are for one path and one person: nobody gets the answer to another's request", async () => {
    const retry = (job: string, token = all) =>
      call("POST", `/api/v1/jobs/${job}/retry`, { token, body: {}, headers: { "idempotency-key": "k4" } });
    expect((await retry("a")).headers.get("idempotency-replayed")).toBeNull();
    expect((await retry("a")).headers.get("idempotency-replayed")).toBe("true");
    expect(Problem.parse(await (await retry("b")).json()).code).toBe("idempotency_mismatch");
    const other = await retry("a", all.replace("token", "other"));
    expect([other.status, other.headers.get("idempotency-replayed")]).toEqual([200, null]);
    expect(fixture.reached).toEqual(["retryJob", "retryJob"]);
  });

  it("let a request that broke be repeated", async () => {
    expect((await send("k3", "break")).status).toBe(500);
    expect((await send("k3", "break")).status).toBe(500);
    expect(fixture.reached.filter((name) => name === "createGrant")).toHaveLength(2);
  });

  it("refuse unprintable keys", async () => {
    expect((await send("a b")).status).toBe(400);
  });
});

describe("the documents made from the table", () => {
  it("describe every route", async () => {
    const document = (await (await call("GET", "/openapi.json")).json()) as {
      openapi: string;
      paths: Record<string, Record<string, { operationId: string; security: unknown[] }>>;
    };
    expect(document.openapi).toBe("3.1.0");
    const described = Object.values(document.paths).flatMap((methods) => Object.values(methods));
    expect(described.map((operation) => operation.operationId).sort()).toEqual(Object.keys(routes).sort());
    for (const operation of described)
      expect(operation.security.length > 0).toBe(routes[operation.operationId as RouteName].scope !== null);
    const page = await call("GET", "/docs");
    const html = await page.text();
    for (const [name] of table) expect(html).toContain(`id="${name}"`);
    expect(html).not.toMatch(/<script|src=|https?:\/\/(?!127)/);
    expect(page.headers.get("content-security-policy")).toMatch(/^default-src 'none'; style-src 'sha256-/);
  });
});
