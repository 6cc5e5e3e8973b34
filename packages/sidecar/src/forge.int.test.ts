import { connect } from "node:net";
import { join } from "node:path";
import type { GrantDetails, SidecarPolicy } from "@x1agent/contract";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  ask,
  jobToken,
  openPolicy,
  type Running,
  sendPolicy,
  startSidecarProcess,
  startUpstream,
  type Upstream,
  until,
} from "./test/harness.ts";

const token = "ghs_canaryCanaryCanary0123456789";
let forge: Upstream;
let elsewhere: Upstream;
let sidecar: Running;
const grant = (details: GrantDetails, once = false, id = "g-forge") => ({ id, type: "forge" as const, details, once });
const read = grant({ pattern: "read" });

const allow = (grants: SidecarPolicy["grants"], change: Partial<SidecarPolicy> = {}) =>
  sendPolicy(sidecar, { phase: "agent", grants: [...openPolicy.grants, ...grants], ...change });
const call = (
  path: string,
  options: { method?: string; body?: string; headers?: Record<string, string>; token?: string | null } = {},
) => ask(join(sidecar.dir, "api.sock"), { method: "GET", path, ...options });

beforeAll(async () => {
  elsewhere = await startUpstream((_body, response) => void response.end("elsewhere"));
  forge = await startUpstream((body, response, { url = "", method }) => {
    const json = (value: unknown, status = 200) =>
      response
        .writeHead(status, { "content-type": "application/json; charset=utf-8", "set-cookie": "a=b", etag: "x" })
        .end(JSON.stringify(value));
    if (url.includes("/readme"))
      return void response.writeHead(302, { location: `http://127.0.0.1:${elsewhere.port}/` }).end();
    if (url.includes("/labels")) return void response.writeHead(401, { "www-authenticate": "Basic" }).end();
    if (url.includes("/tags")) return void json({ text: `your token is ${token}` });
    if (url.includes("/languages")) return void json("x".repeat(9 * 1024 ** 2));
    if (url.endsWith("/graphql")) {
      if (body.includes("number: 8")) return void response.end("<html>");
      const issue = { title: "moved", x1_repository: { nameWithOwner: "acme/other" } };
      return void json({ data: { repository: { issue, url } }, extensions: { x: 1 } });
    }
    if (method === "POST") return void json({ id: 1 }, 201);
    json({ name: "app", temp_clone_token: "SECRETCLONE", url });
  });
  sidecar = await startSidecarProcess({
    boot: {
      git: [{ name: "origin", url: `http://127.0.0.1:${forge.port}/acme/app.git` }],
      forge: {
        ...{ kind: "github", repository: "origin", api: `http://127.0.0.1:${forge.port}/api/v3` },
        ...{ fullName: "acme/app", conversations: [7] },
      },
      failClosedMs: 60_000,
    },
    credentials: {
      "origin forge.read": { authorization: `Bearer ${token}`, expiresAt: null },
      "origin forge.comment": { authorization: `Bearer ${token}c`, expiresAt: null },
    },
  });
});
afterAll(async () => {
  await sidecar?.stop();
  for (const { server } of [forge, elsewhere]) {
    server?.close();
    server?.closeAllConnections();
  }
});
beforeEach(async () => {
  await allow([read]);
  forge.requests.length = 0;
});

describe("the forge's API", () => {
  it("is read with a credential that the workspace never sees, and without anything of the client's", async () => {
    const told = await call("/github/repos/acme/app?page=1", {
      headers: {
        ...{ authorization: "Bearer mine", "x-http-method-override": "DELETE", "x-forwarded-host": "evil.example" },
        ...{ cookie: "a=b", accept: "text/html", "x-github-api-version": "1" },
      },
    });
    expect(told.status).toBe(200);
    expect(JSON.parse(told.text)).toEqual({ name: "app", url: "/api/v3/repos/acme/app?page=1" });
    expect(told.headers["set-cookie"]).toBeUndefined();
    expect(forge.requests).toHaveLength(1);
    expect(forge.requests[0]).toMatchObject({ method: "GET", path: "/api/v3/repos/acme/app?page=1" });
    expect(forge.requests[0]?.headers).toEqual({
      ...{ authorization: `Bearer ${token}`, accept: "application/vnd.github+json", "user-agent": "x1agent" },
      ...{ "x-github-api-version": "2022-11-28", host: `127.0.0.1:${forge.port}`, connection: "keep-alive" },
    });
  });

  it("says what may be done here", async () => {
    expect(JSON.parse((await call("/github")).text)).toEqual({
      repository: "acme/app",
      conversations: [7],
      may: ["read"],
    });
    await allow([grant({ pattern: "*" })]);
    expect(JSON.parse((await call("/github")).text)).toMatchObject({ may: ["read", "comment"] });
    expect((await call("/github", { token: null })).status).toBe(401);
  });

  it("takes comments on the job's own issue, written anew, with a grant of their own, and observes them", async () => {
    const say = (path: string, body: string) => call(path, { method: "POST", body });
    const path = "/github/repos/acme/app/issues/7/comments";
    expect((await say(path, '{"body":"Done."}')).text).toContain("not_granted");
    await allow([grant({ pattern: "comment" })]);
    expect((await call("/github/repos/acme/app")).text).toContain("not_granted");
    expect((await say(path, '{ "body" : "Done \\u2713" }')).status).toBe(201);
    expect(forge.requests.map(({ path: at, body }) => [at, body])).toEqual([
      ["/api/v3/repos/acme/app/issues/7/comments", '{"body":"Done ✓"}'],
    ]);
    expect(forge.requests[0]?.headers.authorization).toBe(`Bearer ${token}c`);
    expect((await say(path, '{"body":"a","state":"closed"}')).text).toContain("field_refused");
    expect((await say(path, JSON.stringify({ body: "x".repeat(60_001) }))).text).toContain("body_too_large");
    const key = `ghp_${"aB3dE6gH9j".repeat(4).slice(0, 36)}`;
    for (const text of [key, Buffer.from(`it is ${key}`).toString("base64")])
      expect((await say(path, JSON.stringify({ body: `Look: ${text}` }))).text).toContain("it is not sent");
    expect((await say("/github/repos/acme/app/issues/8/comments", '{"body":"a"}')).text).toContain("path_refused");
    expect(forge.requests).toHaveLength(1);
    await until(() => sidecar.control.events.some(({ type }) => type === "forge.commented"), "the record");
    for (let count = 0; count < 19; count += 1) await say(path, '{"body":"again"}');
    expect((await say(path, '{"body":"one more"}')).text).toContain("rate_limited");
    expect(forge.requests).toHaveLength(20);
  });

  it("takes GraphQL for the job's own repository, as a document of our own, and looks at what is answered", async () => {
    const asked = (number: number, more = "") =>
      call("/github/graphql", {
        method: "POST",
        body:
          JSON.stringify({
            query: `{ repository(owner: "acme", name: "app") { issue(number: ${number}) { title } } }`,
          }) + more,
        headers: { "content-type": "text/plain", authorization: "Bearer mine", cookie: "a=b" },
      });
    const told = await asked(7);
    expect(told.status).toBe(200);
    expect(JSON.parse(told.text)).toMatchObject({
      data: { repository: { issue: null, url: "/api/graphql" } },
      errors: [{ type: "FORBIDDEN" }],
    });
    expect(told.text).not.toContain("moved");
    expect(forge.requests[0]).toMatchObject({ method: "POST", path: "/api/graphql" });
    expect(JSON.parse(forge.requests[0]?.body ?? "")).toEqual({
      query: expect.stringContaining("x1_repository: repository {"),
    });
    expect(forge.requests[0]?.headers).toMatchObject({
      ...{ authorization: `Bearer ${token}`, "content-type": "application/json", accept: "application/json" },
    });
    expect(forge.requests[0]?.headers.cookie).toBeUndefined();
    expect((await asked(8)).status).toBe(502);
    expect((await asked(7, " ".repeat(70_000))).text).toContain("body_too_large");
    await allow([grant({ pattern: "comment" })]);
    expect((await asked(7)).text).toContain("not_granted");
    expect(forge.requests).toHaveLength(2);
  });

  it("is closed without a grant, during set-up, and once the grant is revoked", async () => {
    for (const [grants, change] of [
      [[], {}],
      [[read], { phase: "setup" as const }],
      [[grant({ pattern: "read", repository: "acme/other" })], {}],
      [[grant({ pattern: "write" })], {}],
    ] as const) {
      await allow([...grants], change);
      expect((await call("/github/repos/acme/app")).text).toContain("not_granted");
    }
    expect(forge.requests).toEqual([]);
  });

  it("is called once by a grant for one use", async () => {
    await allow([grant({ pattern: "read" }, true, "g-forge-once")]);
    const tries = await Promise.all([1, 2, 3].map(() => call("/github/repos/acme/app")));
    expect(tries.map(({ status }) => status).sort()).toEqual([200, 403, 403]);
    expect(forge.requests).toHaveLength(1);
  });

  it.each([
    ["POST", "/github/gists", '{"files":{"a":{"content":"x"}}}'],
    ["POST", "/github/graphql", '{"query":"mutation{addStar(input:{}){clientMutationId}}"}'],
    ["POST", "/github/graphql", '{"query":"query{viewer{login}}"}'],
    ["POST", "/github/graphql", '[{"query":"{rateLimit{cost}}"}]'],
    ["POST", "/github/graphql", '{"query":"{rateLimit{cost}}","extensions":{"persistedQuery":{}}}'],
    ["POST", "/github/graphql", `{"query":"${"{a".repeat(5_000)}"}`],
    ["POST", "/github/graphql?query={rateLimit{cost}}", "{}"],
    ["GET", "/github/graphql?query={rateLimit{cost}}", undefined],
    ["POST", "/github/api/graphql", '{"query":"{rateLimit{cost}}"}'],
    ["POST", "/github/GraphQL", '{"query":"{rateLimit{cost}}"}'],
    ["GET", "/github/repos/acme/app/issues/7/timeline", undefined],
    ["PUT", "/github/repos/../contents/x", "{}"],
    ["PUT", "/github/repos/acme/app/contents/README.md", "{}"],
    ["POST", "/github/repos/acme/other/issues/7/comments", '{"body":"a"}'],
    ["POST", "/github/repos/acme/app/pulls", "{}"],
    ["DELETE", "/github/repos/acme/app", ""],
    ["GET", "/github/repos/acme/app/../other", undefined],
    ["GET", "/github/repos/acme/app/%2e%2e/other", undefined],
    ["GET", "/github//repos/acme/app", undefined],
    ["GET", "//github/repos/acme/app", undefined],
    ["GET", "/git/../github/user", undefined],
    ["GET", "/GITHUB/user", undefined],
    ["GET", "/github/REPOS/acme/app", undefined],
    ["GET", "http://api.github.com/user", undefined],
    ["GET", "/github/https://api.github.com/user", undefined],
  ] as const)("does not serve %s %s", async (method, path, body) => {
    await allow([grant({ pattern: "*" })]);
    const told = await call(path, {
      method,
      headers: { "x-http-method-override": "GET" },
      ...(body === undefined ? {} : { body }),
    });
    expect([400, 403, 404]).toContain(told.status);
    expect(forge.requests).toEqual([]);
  });

  it("follows no redirect, passes on no challenge, and repeats no credential", async () => {
    const moved = await call("/github/repos/acme/app/readme");
    expect(moved.status).toBe(502);
    expect(moved.headers.location).toBeUndefined();
    expect(elsewhere.requests).toEqual([]);
    const closed = await call("/github/repos/acme/app/labels");
    expect(closed).toMatchObject({ status: 403 });
    expect(closed.headers["www-authenticate"]).toBeUndefined();
    const echoed = await call("/github/repos/acme/app/tags");
    expect(echoed.status).toBe(502);
    expect(echoed.text).not.toContain("canary");
    expect((await call("/github/repos/acme/app/languages")).status).toBe(502);
  });

  it("judges each of several requests on one connection for itself", async () => {
    const own = `x-x1-token: ${jobToken}\r\n`;
    const get = (path: string, token: string, more = "") => `GET ${path} HTTP/1.1\r\nhost: x\r\n${token}${more}\r\n`;
    const text = await new Promise<string>((resolve, reject) => {
      const socket = connect(join(sidecar.dir, "api.sock"));
      let got = "";
      socket.on("data", (piece: Buffer) => (got += piece.toString("latin1")));
      socket.on("close", () => resolve(got));
      socket.on("error", reject);
      socket.write(
        get("/github/repos/acme/app", own) +
          get("/github/repos/acme/app", "") +
          get("/github/gists", own) +
          get("/github", own, "connection: close\r\n"),
      );
    });
    expect([...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual(["200", "401", "403", "200"]);
    expect(forge.requests).toHaveLength(1);
  });

  it("counts refusals once in the record, with the path that was asked for", async () => {
    await call("/github/user");
    await until(
      () =>
        sidecar.control.events.some(
          ({ type, payload }) => type === "egress.blocked" && payload.code === "path_refused",
        ),
      "the record",
    );
  });
});
