import { createHmac, timingSafeEqual } from "node:crypto";
import type { ForgeDelivery, WebhookKind } from "@x1agent/forges";
import { beforeEach, describe, expect, it } from "vitest";
import { memoryIdempotency } from "../../test/http-fixture.ts";
import { createApp } from "./app.ts";
import type { Handlers } from "./call.ts";
import { createIdempotency } from "./idempotency.ts";

const secret = "s".repeat(40);
const sign = (body: string, key = secret) => createHmac("sha256", key).update(body).digest("hex");
let looked: string[];
const kind: WebhookKind = {
  async signed(header, body, key) {
    const given = Buffer.from(header("x-signature") ?? "", "hex");
    const wanted = createHmac("sha256", key).update(body).digest();
    return given.length === wanted.length && timingSafeEqual(given, wanted);
  },
  read(header, body) {
    looked.push(header("x-id") ?? "");
    return typeof body === "object" && body !== null
      ? {
          ...{ id: header("x-id") ?? "", event: "issues", action: null, installationId: "1", repositoryId: "2" },
          ...{ number: 3, commits: [] },
        }
      : null;
  },
};

let stored: Map<string, ForgeDelivery>;
let refused: string[];
let app: ReturnType<typeof createApp>;
beforeEach(() => {
  looked = [];
  stored = new Map();
  refused = [];
  app = createApp({
    handlers: {} as Handlers,
    authenticate: async () => null,
    idempotency: createIdempotency(memoryIdempotency()),
    hosts: new Set(),
    onError: () => undefined,
    checkAnswers: false,
    webhooks: {
      kinds: { hub: kind },
      maxBytes: 1_000,
      find: async (forge, appId) => (forge === "hub" && appId === "app_1" ? { organizationId: "org_1", secret } : null),
      async store(_organizationId, _appId, delivery) {
        const fresh = !stored.has(delivery.id);
        stored.set(delivery.id, delivery);
        return fresh;
      },
      onRefused: (_forge, code) => void refused.push(code),
    },
  });
});

const send = async (change: { body?: string; path?: string; headers?: Record<string, string | undefined> } = {}) => {
  const body = change.body ?? '{"a":1}';
  const headers = {
    host: "localhost",
    "content-type": "application/json",
    "x-signature": sign(body),
    "x-id": "d1",
    ...change.headers,
  };
  return app.request(`http://localhost${change.path ?? "/webhooks/hub/app_1"}`, {
    method: "POST",
    body,
    headers: Object.fromEntries(Object.entries(headers).filter((entry): entry is [string, string] => !!entry[1])),
  });
};

describe("a delivery", () => {
  it("is stored and answered 202, and its repetition 200 and nothing else", async () => {
    expect((await send()).status).toBe(202);
    const again = await send();
    expect([again.status, await again.json()]).toEqual([200, { stored: false }]);
    expect(stored.size).toBe(1);
  });

  it.each([
    ["a forged signature", { headers: { "x-signature": sign('{"a":1}', "other") } }],
    ["another body", { body: '{"a":2}', headers: { "x-signature": sign('{"a":1}') } }],
    ["no signature", { headers: { "x-signature": undefined } }],
    ["a shorter one", { headers: { "x-signature": "00" } }],
    ["an unknown app", { path: "/webhooks/hub/app_2" }],
    ["an unknown forge", { path: "/webhooks/else/app_1" }],
    ["a name that every object has", { path: "/webhooks/constructor/app_1" }],
  ])("with %s is refused by the same answer, and nothing of it is looked at", async (_name, change) => {
    const answer = await send(change);
    expect(answer.status).toBe(401);
    expect(await answer.json()).toMatchObject({
      code: "unauthenticated",
      detail: "The signature is not that of a known app.",
    });
    expect([looked, stored.size, refused]).toEqual([[], 0, ["unauthenticated"]]);
  });

  it("of another type is refused although it is signed", async () => {
    const answer = await send({ headers: { "content-type": "application/x-www-form-urlencoded" } });
    expect([answer.status, looked]).toEqual([400, []]);
  });

  it.each(["not json", "[", '"text"', "\u0000"])("that is no object, %j, is refused", async (body) => {
    expect((await send({ body })).status).toBe(400);
    expect(stored.size).toBe(0);
  });

  it("that is too large is refused, whether or not it says so", async () => {
    const body = JSON.stringify({ a: "x".repeat(1_100) });
    const answer = await send({ body });
    expect([answer.status, (await answer.json()) as object]).toEqual([
      413,
      expect.objectContaining({ detail: expect.stringContaining("1000 bytes") }),
    ]);
    expect((await send({ body, headers: { "content-length": "10" } })).status).toBe(413);
    expect(looked).toEqual([]);
  });

  it("is one among many: each is answered", async () => {
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, n) => send({ headers: { "x-id": `n${n}` } }).then(({ status }) => status)),
    );
    expect([new Set(answers), stored.size]).toEqual([new Set([202]), 200]);
  });
});
