import { createSignInClient } from "@x1agent/client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestService } from "./jobs/test/service.ts";

const planted = { key: "sk-planted-key-0123456789", git: "planted-git-password-42", variable: "planted-variable-4711" };
let service: TestService;
let headers: Record<string, string>;
beforeAll(async () => {
  process.env.X1_TEST_PLANTED = planted.variable;
  TestService.buildWeb();
  service = await TestService.open();
  headers = { origin: service.url, "content-type": "application/json" };
});
afterAll(async () => {
  delete process.env.X1_TEST_PLANTED;
  await service?.close();
});

describe("the installation", () => {
  it("tells where it lies and what it runs on", async () => {
    const facts = await service.client.getInstallation();
    expect(facts).toMatchObject({
      version: "0.1.0",
      database: { kind: process.env.DATABASE_URL ? "server" : "embedded" },
    });
    expect(facts.masterKey.file).toMatch(/^\//);
    expect(facts.masterKey.file).not.toContain(`${facts.dataDir}/`);
    expect(facts.database.bytes).toBeGreaterThan(1_000_000);
  });

  it("gives facts to a helper, and no secret, goal, event or address with them", async () => {
    const { client } = service;
    await client.setSecret({ params: { name: "openai" }, body: { value: planted.key } });
    await client.setSecret({ params: { name: "git:git.example.com" }, body: { value: `ada:${planted.git}` } });
    await client.setProvider({
      params: { name: "house" },
      body: { api: "openai-chat", baseUrl: "https://planted-host.example/planted-path" },
    });
    const { token } = await client.createToken({ body: { name: "planted", scopes: ["read"] } });
    const job = await service.create({ goal: "planted goal text [[edit planted.txt planted content]]" });
    await service.reach(job.id, "awaiting_approval");
    const bundle = await client.diagnostics();
    const { installation, jobs, doctor } = JSON.parse(bundle);
    expect(installation.version).toBe("0.1.0");
    expect(doctor.checks.length).toBeGreaterThan(3);
    expect(jobs).toContainEqual({ state: "awaiting_approval", count: 1 });
    const secrets = [...Object.values(planted), token, service.model.key, "planted"];
    if (process.env.DATABASE_URL) secrets.push(new URL(process.env.DATABASE_URL).password || "planted");
    // The search itself finds what is there.
    expect(found(`${bundle}${planted.git}`, secrets)).toEqual([planted.git, "planted"]);
    expect(found(bundle, secrets)).toEqual([]);
  });
});
const found = (text: string, secrets: readonly string[]) => secrets.filter((secret) => text.includes(secret));

describe("a provider's test call", () => {
  const test = (name: string) => service.client.testProvider({ params: { name }, query: {} });
  const route = (baseUrl: string, allowPrivate = true) =>
    service.client.setProvider({ params: { name: "house" }, body: { api: "openai-chat", baseUrl, allowPrivate } });

  it("tells a good key from a wrong one, and a wrong address from both", async () => {
    expect(await test("anthropic")).toMatchObject({ outcome: "accepted", models: ["scripted"] });
    await route(service.model.url);
    await service.client.setSecret({ params: { name: "house" }, body: { value: planted.key } });
    const refused = await test("house");
    expect(refused).toMatchObject({ outcome: "refused" });
    expect(JSON.stringify(refused)).not.toContain(planted.key);
    await route("http://127.0.0.1:9");
    expect(await test("house")).toMatchObject({
      outcome: "unreachable",
      detail: expect.stringContaining("ECONNREFUSED"),
    });
    await expect(test("nobody")).rejects.toMatchObject({ code: "provider_unconfigured" });
  });

  it("is made with a project's own key where it is for that project", async () => {
    await route(service.model.url);
    const { id: projectId } = await service.client.createProject({
      body: { repository: await service.createRepository("keyed", { "a.txt": "a\n" }) },
    });
    const own = { projectId, name: "house" };
    const outcome = async () =>
      (await service.client.testProvider({ params: { name: "house" }, query: { projectId } })).outcome;
    // Without one of its own its jobs get the organization's, which is wrong.
    expect(await outcome()).toBe("refused");
    await service.client.setProjectSecret({ params: own, body: { value: service.model.key } });
    expect([await outcome(), (await test("house")).outcome]).toEqual(["accepted", "refused"]);
    await expect(
      service.client.testProvider({ params: { name: "house" }, query: { projectId: "prj_nobody" } }),
    ).rejects.toMatchObject({ code: "not_found" });
  });

  it("sends no key to a private address that nobody allowed", async () => {
    await route(service.model.url, false);
    const before = service.model.requests.length;
    expect(await test("house")).toMatchObject({ outcome: "unreachable", detail: expect.stringContaining("private") });
    expect(service.model.requests).toHaveLength(before);
  });

  it("is written down, and notes the key's use", async () => {
    await test("anthropic");
    const [entry] = (await service.client.listAudit({ query: { order: "newest", action: "provider." } })).items;
    expect(entry).toMatchObject({ action: "provider.tested", subject: "anthropic", data: { outcome: "accepted" } });
    const { items } = await service.client.listProviders();
    expect(items.find(({ name }) => name === "anthropic")?.lastUsedAt).not.toBeNull();
  });
});

it("names prices with their source and date", async () => {
  const { items } = await service.client.listPrices();
  expect(items.length).toBeGreaterThan(20);
  expect(items[0]).toMatchObject({ source: expect.stringContaining(" "), asOf: expect.any(String) });
});

describe("the audit log's search", () => {
  const search = (query: object) => service.client.listAudit({ query });
  it("finds words, actions, actors and times, newest first, page by page", async () => {
    const all = (await search({ limit: 1_000 })).items;
    const newest = await search({ order: "newest", limit: 5 });
    expect(newest.items.map(({ seq }) => seq)).toEqual(
      all
        .slice(-5)
        .reverse()
        .map(({ seq }) => seq),
    );
    const next = await search({ order: "newest", limit: 5, before: Number(newest.cursor) });
    expect(next.items[0]?.seq).toBe(newest.items.at(-1)!.seq - 1);
    const granted = (await search({ action: "grant.", limit: 1_000 })).items;
    expect(granted.length).toBeGreaterThan(0);
    expect(granted).toEqual(all.filter(({ action }) => action.startsWith("grant.")));
    expect((await search({ q: "GIT:git.example SECRET" })).items).toMatchObject([{ subject: "git:git.example.com" }]);
    expect((await search({ q: "%" })).items).toEqual([]);
    expect((await search({ q: "git_git" })).items).toEqual([]);
    const { id } = all.find(({ actor }) => actor.kind === "user")!.actor;
    expect((await search({ actor: id, limit: 1_000 })).items).toEqual(all.filter(({ actor }) => actor.id === id));
    expect((await search({ since: all.at(-1)!.ts })).items.at(-1)).toEqual(all.at(-1));
    expect((await search({ until: all[0]!.ts })).items).toEqual([]);
  });
});

describe("a browser", () => {
  const open = async (url: string) => {
    const code = new URL(url).hash.slice("#code=".length);
    const answer = await fetch(`${service.url}/web/session`, {
      method: "POST",
      headers,
      body: JSON.stringify({ code }),
    });
    return { ...headers, cookie: (answer.headers.get("set-cookie") ?? "").split(";")[0] ?? "" };
  };
  const as = async (browser: Record<string, string>, method: string, path: string, body?: object) =>
    fetch(`${service.url}/api/v1${path}`, {
      method,
      headers: browser,
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
  const link = async () => `${service.url}${(await service.client.createSignInLink()).path}`;

  it("signs in by a link of one's own, is listed, and is out once it is ended", async () => {
    const [one, two] = [await open(await link()), await open(await link())];
    const mine = (await (await as(one, "GET", "/sessions")).json()) as { items: { id: string; current: boolean }[] };
    expect(mine.items).toHaveLength(2);
    const other = mine.items.find(({ current }) => !current)!;
    expect((await as(two, "GET", "/me")).status).toBe(200);
    expect((await as(one, "DELETE", `/sessions/${other.id}`)).status).toBe(200);
    expect((await as(two, "GET", "/me")).status).toBe(401);
    expect((await as(one, "GET", "/me")).status).toBe(200);
  });

  it("sets a password by which another one signs in", async () => {
    const browser = await open(await link());
    const password = "a horse of my own";
    expect((await as(browser, "PUT", "/account/password", { password: "too short" })).status).toBe(400);
    expect((await as(browser, "PUT", "/account/password", { password })).status).toBe(200);
    const signIn = createSignInClient({
      baseUrl: service.url,
      fetch: (url, init) => fetch(url, { ...init, headers: { ...headers, ...(init?.headers as object) } }),
    });
    expect(await signIn.methods()).toEqual({ password: true, passkey: false });
    await expect(signIn.byPassword({ name: "owner@localhost", password: "a horse of yours" })).rejects.toMatchObject({
      code: "unauthenticated",
    });
    await signIn.byPassword({ name: "owner@localhost", password });
    const opened = (await service.client.listAudit({ query: { order: "newest", action: "session.opened" } })).items[0];
    expect(opened?.data).toMatchObject({ method: "password" });
    // A token changes nothing of this, whatever its scopes.
    await expect(service.client.setPassword({ body: { password } })).rejects.toMatchObject({ code: "forbidden" });
  });
});
