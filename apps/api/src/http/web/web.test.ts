import { accept } from "@x1agent/contract";
import { beforeEach, describe, expect, it } from "vitest";
import { memoryIdempotency, principal } from "../../../test/http-fixture.ts";
import { createApp } from "../app.ts";
import type { Handlers } from "../call.ts";
import { createIdempotency } from "../idempotency.ts";
import { createSignInCodes, type WebDeps } from "./index.ts";

const token = `x1_${"t".repeat(40)}`;
const file = (type: string, cache: string) => ({ body: new TextEncoder().encode("built"), type, cache });
let now = 0;
let live: Set<string>;
let codes: WebDeps["codes"];
let app: ReturnType<typeof createApp>;
beforeEach(() => {
  now = 0;
  live = new Set();
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
        ["/index.html", file("text/html; charset=utf-8", "no-store")],
        ["/assets/index-1.js", file("text/javascript; charset=utf-8", "public, max-age=31536000, immutable")],
      ]),
      codes,
      async openSession() {
        live.add(token);
        return { token, expiresInSeconds: 60 };
      },
      async closeSession(held) {
        live.delete(held);
      },
    },
  });
});

const here = { host: "127.0.0.1:4380" };
const ours = { ...here, origin: "http://127.0.0.1:4380" };
const ask = (method: string, path: string, headers: Record<string, string>, body?: string) =>
  app.request(path, { method, headers, ...(body === undefined ? {} : { body }) });
const signIn = (code: string, headers: Record<string, string> = ours) =>
  ask("POST", "/web/session", headers, JSON.stringify({ code }));
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

  it("ends with the sign-out", async () => {
    await signIn(codes.issue());
    const answer = await ask("DELETE", "/web/session", { ...ours, cookie });
    expect(answer.headers.get("set-cookie")).toContain("Max-Age=0");
    expect((await ask("GET", "/api/v1/jobs", { ...here, cookie })).status).toBe(401);
  });
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

  it("keeps its hashed files for ever and leaves the API's paths alone", async () => {
    const asset = await ask("GET", "/assets/index-1.js", here);
    expect(asset.headers.get("cache-control")).toContain("immutable");
    expect((await ask("GET", "/assets/../../package.json", here)).status).toBe(401);
    expect((await ask("GET", "/api/v1/nothing", { ...here, accept: "text/html" })).status).toBe(401);
  });
});
