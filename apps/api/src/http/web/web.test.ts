import { accept } from "@x1agent/contract";
import { beforeEach, describe, expect, it } from "vitest";
import { memoryIdempotency, principal } from "../../../test/http-fixture.ts";
import { createApp } from "../app.ts";
import type { Handlers } from "../call.ts";
import { createIdempotency } from "../idempotency.ts";
import { createSignInCodes, type WebDeps } from "./index.ts";
import { createLimiter } from "./limit.ts";

const token = `x1s_${"t".repeat(43)}`;
const file = (type: string, cache: string, body = "built") => ({ body: new TextEncoder().encode(body), type, cache });
let now = 0;
let live: Set<string>;
let opened: unknown[];
let refusals: unknown[];
let codes: WebDeps["codes"];
let app: ReturnType<typeof createApp>;
beforeEach(() => {
  now = 0;
  live = new Set();
  opened = [];
  refusals = [];
  codes = createSignInCodes(() => now);
  app = createApp({
    handlers: {
      listJobs: async () => accept({ items: [], cursor: null }),
      collectGarbage: async () => accept({ dryRun: true, retentionDays: 30, items: [], skipped: [] }),
    } as unknown as Handlers,
    authenticate: async (held) => (live.has(held) ? principal : null),
    idempotency: createIdempotency(memoryIdempotency()),
    hosts: new Set(),
    onError: () => undefined,
    checkAnswers: false,
    web: {
      files: new Map([
        ["/index.html", file("text/html; charset=utf-8", "no-store", '<meta nonce="{nonce}" />')],
        ["/assets/index-1.js", file("text/javascript; charset=utf-8", "public, max-age=31536000, immutable")],
      ]),
      codes,
      limits: { name: createLimiter(5, 60_000, () => now), address: createLimiter(40, 60_000, () => now) },
      signIn: {
        link: async () => null,
        byLink: async (code) => (code === "h".repeat(43) ? "usr_2" : null),
        methods: async () => ({ password: true, passkey: false }),
        byPassword: async (name, password) =>
          name === "busy" ? "busy" : name.toLowerCase() === "ada" && password === "right horse" ? "usr_ada" : null,
        passkeyRequest: async (origin) => (origin?.includes("localhost") ? { challenge: "c" } : null),
        byPasskey: async (response, origin) =>
          (response as { id: string }).id === "known" && origin === "http://localhost:4380" ? "usr_ada" : null,
        async open(userId, how) {
          opened.push({ userId, ...how });
          live.add(token);
          return { token, expiresInSeconds: 60 };
        },
        async close(held) {
          live.delete(held);
        },
        async refused(how) {
          refusals.push(how);
        },
      },
    },
  });
});

const here = { host: "127.0.0.1:4380" };
const ours = { ...here, origin: "http://127.0.0.1:4380" };
const ask = (method: string, path: string, headers: Record<string, string>, body?: string) =>
  app.request(path, { method, headers, ...(body === undefined ? {} : { body }) });
const send = (path: string, body: unknown, headers: Record<string, string> = ours) =>
  ask("POST", path, { "content-type": "application/json", ...headers }, JSON.stringify(body));
const signIn = (code: string, headers: Record<string, string> = ours) => send("/web/session", { code }, headers);
const cookie = `x1_session_4380=${token}`;

describe("sign-in by a link", () => {
  it("makes a cookie that no script reads and no other site sends, and signs in with it", async () => {
    const answer = await signIn(codes.issue());
    expect(answer.status).toBe(200);
    expect(answer.headers.get("set-cookie")).toBe(`${cookie}; Path=/; Max-Age=60; HttpOnly; SameSite=Strict`);
    expect(await answer.text()).not.toContain(token);
    expect((await ask("GET", "/api/v1/jobs", { ...here, cookie })).status).toBe(200);
  });

  it("works once, for five minutes, from our own page", async () => {
    const code = codes.issue();
    expect((await signIn(code, here)).status).toBe(403);
    expect((await signIn(code, { ...here, origin: "http://127.0.0.1:9999" })).status).toBe(403);
    expect((await signIn(code)).status).toBe(200);
    expect((await signIn(code)).status).toBe(401);
    const late = codes.issue();
    now = 5 * 60_000;
    expect((await signIn(late)).status).toBe(401);
    expect((await signIn("x".repeat(43))).status).toBe(401);
  });

  it("is somebody's own where the database knows it", async () => {
    expect((await signIn("h".repeat(43))).status).toBe(200);
    expect(opened).toMatchObject([{ userId: "usr_2", method: "link" }]);
  });

  it("ends with the sign-out", async () => {
    await signIn(codes.issue());
    const answer = await ask("DELETE", "/web/session", { ...ours, cookie });
    expect(answer.headers.get("set-cookie")).toContain("Max-Age=0");
    expect((await ask("GET", "/api/v1/jobs", { ...here, cookie })).status).toBe(401);
  });
});

describe("sign-in by a password", () => {
  const password = (name: string, words: string, headers = ours) =>
    send("/web/session/password", { name, password: words }, headers);

  it("opens a session of that user and says nothing about which part was wrong", async () => {
    const answers = await Promise.all([password("ada", "wrong"), password("nobody", "right horse")]);
    expect(answers.map(({ status }) => status)).toEqual([401, 401]);
    const [one, two] = await Promise.all(answers.map(async (a) => ((await a.json()) as { detail: string }).detail));
    expect(one).toBe(two);
    const right = await password("Ada", "right horse");
    expect(right.status).toBe(200);
    expect(right.headers.get("set-cookie")).toContain("HttpOnly; SameSite=Strict");
    expect(opened).toEqual([{ userId: "usr_ada", method: "password", address: null, agent: null }]);
  });

  it("is slowed down per name, whatever its letters, and goes on after the wait", async () => {
    for (let guess = 0; guess < 5; guess += 1) expect((await password("ADA ", `guess ${guess}`)).status).toBe(401);
    const limited = await password("ada", "right horse");
    expect(limited.status).toBe(429);
    expect(Number(limited.headers.get("retry-after"))).toBeGreaterThan(0);
    // Others are not kept out by it, and neither is a link.
    expect((await password("bob", "guess")).status).toBe(401);
    expect((await signIn(codes.issue())).status).toBe(200);
    now = 60_000;
    expect((await password("ada", "right horse")).status).toBe(200);
  });

  it("leaves a trace of each refusal, sixty a minute at most, and never of what was typed", async () => {
    for (let guess = 0; guess < 6; guess += 1) await password("a password typed as the name", `guess ${guess}`);
    await signIn("x".repeat(43));
    await send("/web/session/passkey", { response: {} });
    const refusal = { method: "password", address: null, limited: false };
    expect(refusals.slice(0, 7)).toEqual([
      ...Array.from({ length: 5 }, () => refusal),
      { ...refusal, limited: true },
      { ...refusal, method: "link" },
    ]);
    for (let minute = 1; minute < 4; minute += 1) {
      now = minute * 60_000;
      for (let guess = 0; guess < 30; guess += 1) await password(`${guess}`, "x");
    }
    // The tests' own clock moves the limits of tries only: all of this was within one real minute.
    expect(refusals).toHaveLength(60);
  });

  it("is slowed down per address, whatever the names", async () => {
    const statuses = [];
    for (let guess = 0; guess < 45; guess += 1) statuses.push((await password(`name${guess}`, "x")).status);
    expect(statuses.filter((status) => status === 401)).toHaveLength(40);
    expect(statuses.at(-1)).toBe(429);
  });

  it("tells a caller to wait while too many are being checked", async () =>
    expect((await password("busy", "x")).status).toBe(429));
});

describe("sign-in by a passkey", () => {
  const local = { host: "localhost:4380", origin: "http://localhost:4380" };
  it("belongs to a name, not to an address", async () => {
    expect((await send("/web/session/passkey/options", {}, local)).status).toBe(200);
    expect((await send("/web/session/passkey/options", {})).status).toBe(403);
  });
  it("opens a session for a passkey that is known at this origin", async () => {
    const response = (id: string) => ({ response: { id, rawId: id, type: "public-key", response: {} } });
    expect((await send("/web/session/passkey", response("other"), local)).status).toBe(401);
    expect((await send("/web/session/passkey", response("known"))).status).toBe(401);
    expect((await send("/web/session/passkey", response("known"), local)).status).toBe(200);
    expect(opened).toMatchObject([{ userId: "usr_ada", method: "passkey" }]);
  });
});

describe("every way of signing in", () => {
  it.each([
    ["/web/session", { code: "x".repeat(43) }],
    ["/web/session/password", { name: "ada", password: "right horse" }],
    ["/web/session/passkey/options", {}],
    ["/web/session/passkey", { response: { id: "known", rawId: "k", type: "public-key", response: {} } }],
  ])("%s takes JSON from our own page and nothing else", async (path, body) => {
    const { host } = ours;
    expect((await send(path, body, { host })).status).toBe(403);
    expect((await send(path, body, { host, origin: "http://127.0.0.1:9999" })).status).toBe(403);
    expect((await send(path, body, { ...ours, "content-type": "text/plain" })).status).toBe(400);
    expect((await ask("POST", path, { ...ours, "content-type": "application/json" }, "{")).status).toBe(401);
    const large = JSON.stringify({ ...body, more: "x".repeat(30_000) });
    expect((await ask("POST", path, { ...ours, "content-type": "application/json" }, large)).status).toBe(401);
    expect(opened).toEqual([]);
  });

  it("marks the cookie Secure where the page came over https", async () => {
    const answer = await signIn(codes.issue(), { ...here, origin: "https://127.0.0.1:4380" });
    expect(answer.headers.get("set-cookie")).toMatch(/; Secure$/);
  });

  it("tells which ways were set up", async () =>
    expect(await (await ask("GET", "/web/session/methods", here)).json()).toEqual({ password: true, passkey: false }));
});

describe("a session's cookie", () => {
  const body = '{"dryRun":true}';
  const post = (headers: Record<string, string>) =>
    ask("POST", "/api/v1/gc", { cookie, "content-type": "application/json", ...headers }, body);

  it("changes nothing without an Origin of ours", async () => {
    live.add(token);
    expect((await post(ours)).status).toBe(200);
    expect((await post(here)).status).toBe(401);
    // Another port is the same site to a browser: SameSite=Strict alone would send the cookie.
    expect((await post({ ...here, origin: "http://127.0.0.1:9999" })).status).toBe(403);
  });

  it("is no API token, and an API token is no cookie", async () => {
    live.add(token);
    expect((await ask("GET", "/api/v1/jobs", { ...here, authorization: `Bearer ${token}` })).status).toBe(401);
    const apiToken = `x1_${"a".repeat(43)}`;
    live.add(apiToken);
    expect((await ask("GET", "/api/v1/jobs", { ...here, authorization: `Bearer ${apiToken}` })).status).toBe(200);
    expect((await ask("GET", "/api/v1/jobs", { ...here, cookie: `x1_session_4380=${apiToken}` })).status).toBe(401);
  });

  it("reads nothing for a page that is only on the same site", async () => {
    live.add(token);
    const read = (site: string) => ask("GET", "/api/v1/jobs", { ...here, cookie, "sec-fetch-site": site });
    expect((await read("same-origin")).status).toBe(200);
    expect((await read("same-site")).status).toBe(401);
    expect((await read("cross-site")).status).toBe(401);
  });
});

describe("the built app", () => {
  it("is served under a policy that runs nothing inline and is framed by nobody", async () => {
    for (const path of ["/", "/jobs/job_1"]) {
      const answer = await ask("GET", path, { ...here, accept: "text/html" });
      expect(answer.headers.get("cache-control")).toBe("no-store");
      const policy = answer.headers.get("content-security-policy") ?? "";
      expect(policy).toContain("script-src 'self'");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).not.toContain("unsafe");
    }
  });

  it("lets style elements in by a nonce that is new in each answer, and by nothing that was asked", async () => {
    const seen = new Set<string>();
    for (const path of ["/", "/index.html", "/jobs/job_1?nonce=bm9ib2R5J3Mgbm9uY2U="]) {
      const answer = await ask("GET", path, { ...here, accept: "text/html", "x-nonce": "bm9ib2R5J3Mgbm9uY2U=" });
      const nonce = /^<meta nonce="([A-Za-z0-9+/]{22}==)" \/>$/.exec(await answer.text())?.[1] ?? "";
      expect(Buffer.from(nonce, "base64")).toHaveLength(16);
      const policy = answer.headers.get("content-security-policy") ?? "";
      expect(policy.split("; ").filter((directive) => directive.includes("nonce"))).toEqual([
        `style-src 'self' 'nonce-${nonce}'`,
      ]);
      expect(answer.headers.get("cache-control")).toBe("no-store");
      seen.add(nonce);
    }
    expect(seen.size).toBe(3);
    // What may be kept has none.
    const asset = await ask("GET", "/assets/index-1.js", here);
    expect(asset.headers.get("content-security-policy")).not.toContain("nonce");
  });

  it("keeps its hashed files for ever and leaves the API's paths alone", async () => {
    const asset = await ask("GET", "/assets/index-1.js", here);
    expect(asset.headers.get("cache-control")).toContain("immutable");
    expect((await ask("GET", "/assets/../../package.json", here)).status).toBe(401);
    expect((await ask("GET", "/api/v1/nothing", { ...here, accept: "text/html" })).status).toBe(401);
  });
});
