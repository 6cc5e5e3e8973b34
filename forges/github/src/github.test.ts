import { describe, expect, it } from "vitest";
import { appManifest, manifestAction } from "./app.ts";
import { nextPage, pageOf } from "./client.ts";
import { createGithubForge, missingPermissions, neededPermissions, runState, searchQuery } from "./github.ts";
import { boundedFetch, MAX_ANSWER } from "./http.ts";

const api = "https://forge.example/api/v3";
type Seen = { url: string; headers: Headers };
/** A forge that answers as told, and writes down what it was asked. */
function answers(...all: (Response | ((seen: Seen) => Response))[]) {
  const seen: Seen[] = [];
  const send = (async (input: URL | string, init?: RequestInit) => {
    const one = { url: String(input), headers: new Headers(init?.headers) };
    seen.push(one);
    const next = all.length > 1 ? all.shift() : all[0];
    if (!next) throw new Error("asked too often");
    return typeof next === "function" ? next(one) : next.clone();
  }) as typeof fetch;
  return { send, seen };
}
const json = (value: unknown, init: ResponseInit = {}) =>
  new Response(JSON.stringify(value), { ...init, headers: { "content-type": "application/json", ...init.headers } });
const forgeWith = (send: typeof fetch) =>
  createGithubForge({
    ...{ apiUrl: api, webUrl: "https://forge.example", fetch: send, paced: false },
    auth: { kind: "token", token: "secret-token" },
  });
const repository = {
  ...{ id: 7, full_name: "acme/shop", clone_url: "https://forge.example/acme/shop.git", default_branch: "main" },
  ...{ html_url: "https://forge.example/acme/shop", private: true, permissions: { push: true } },
};

describe("a request to the forge", () => {
  it("follows a redirect of the forge itself, with its credential", async () => {
    const { send, seen } = answers(
      new Response(null, { status: 301, headers: { location: `${api}/repositories/7` } }),
      json(repository),
    );
    const found = await forgeWith(send).getRepository({ fullName: "acme/old" });
    expect(found).toMatchObject({ ok: true, value: { id: "7", fullName: "acme/shop", mayPush: true } });
    expect(seen.map(({ url, headers }) => [url, headers.get("authorization")])).toEqual([
      [`${api}/repos/acme/old`, "token secret-token"],
      [`${api}/repositories/7`, "token secret-token"],
    ]);
  });

  it("never follows one to another host, nor one that changes something", async () => {
    const { send, seen } = answers(
      new Response(null, { status: 302, headers: { location: "https://elsewhere.example/" } }),
    );
    expect(await forgeWith(send).getRepository({ fullName: "acme/shop" })).toMatchObject({ code: "forge_unavailable" });
    expect(new Set(seen.map(({ url }) => new URL(url).host))).toEqual(new Set(["forge.example"]));
    const moved = answers(new Response(null, { status: 302, headers: { location: `${api}/x` } }));
    await expect(boundedFetch(moved.send, api)(`${api}/y`, { method: "POST" })).rejects.toThrow(/changes something/);
  });

  it("reads a job's log from another host without any header of ours", async () => {
    const { send, seen } = answers(
      new Response(null, { status: 302, headers: { location: "https://logs.example/one?sig=1" } }),
      new Response("the log"),
    );
    const response = await boundedFetch(send, api)(`${api}/repos/a/b/actions/jobs/5/logs`, {
      headers: { authorization: "token secret-token" },
    });
    expect(await response.text()).toBe("the log");
    expect([...(seen[1]?.headers ?? [])]).toEqual([]);
  });

  it("reads no answer without an end", async () => {
    const { send } = answers(new Response(new Uint8Array(MAX_ANSWER + 1)));
    expect(await forgeWith(send).getRepository({ fullName: "acme/shop" })).toMatchObject({
      code: "forge_invalid",
      detail: expect.stringContaining("too large"),
    });
  });

  it("refuses what is not as described, instead of guessing", async () => {
    const { send } = answers(json({ ...repository, id: "7" }));
    expect(await forgeWith(send).getRepository({ fullName: "acme/shop" })).toMatchObject({ code: "forge_invalid" });
  });

  it("asks again for an unchanged list at no cost", async () => {
    const { send, seen } = answers(
      json([repository], { headers: { etag: 'W/"1"' } }),
      new Response(null, { status: 304 }),
    );
    const forge = forgeWith(send);
    const first = await forge.listRepositories({ limit: 10 });
    expect(await forge.listRepositories({ limit: 10 })).toEqual(first);
    expect(seen[1]?.headers.get("if-none-match")).toBe('W/"1"');
  });

  it.each([
    [401, { message: "Bad credentials" }, {}, "forge_unauthorized"],
    [403, { message: "Resource not accessible by integration" }, {}, "forge_forbidden"],
    [
      403,
      { message: "API rate limit exceeded" },
      { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "4102444800" },
      "forge_limited",
    ],
    [403, { message: "You have exceeded a secondary rate limit" }, { "retry-after": "60" }, "forge_limited"],
    [429, { message: "slow down" }, { "retry-after": "60" }, "forge_limited"],
    [403, { message: "This installation has been suspended" }, {}, "forge_unauthorized"],
    [404, { message: "Not Found" }, {}, "forge_not_found"],
    [422, { message: "Validation Failed", errors: [{ field: "head", code: "invalid" }] }, {}, "forge_invalid"],
    [502, { message: "Bad gateway" }, {}, "forge_unavailable"],
  ] as const)("says what %i %j means", async (status, body, headers, code) => {
    const { send, seen } = answers(json(body, { status, headers }));
    const refused = await forgeWith(send).getRepository({ fullName: "acme/shop" });
    expect(refused).toMatchObject({ ok: false, code });
    expect(JSON.stringify(refused)).not.toContain("secret-token");
    // Once the library repeated refusals and limits at once.
    expect(seen.length).toBe(status >= 500 ? 2 : 1);
    if (headers && "retry-after" in headers)
      expect(refused).toMatchObject({ detail: expect.stringMatching(/until \d{4}-/) });
  });

  it("says that a forge out of reach is out of reach", async () => {
    const send = (async () => {
      throw Object.assign(new TypeError("fetch failed"), {
        cause: Object.assign(new Error("x"), { code: "ECONNREFUSED" }),
      });
    }) as unknown as typeof fetch;
    expect(await forgeWith(send).getRepository({ fullName: "acme/shop" })).toEqual({
      ok: false,
      code: "forge_unavailable",
      detail: "GitHub could not be asked about the repository acme/shop: ECONNREFUSED.",
    });
  });
});

describe("pure parts", () => {
  it("take the next page from a link, and nothing else of it", () => {
    const link =
      '<https://forge.example/api/v3/x?per_page=5&page=3&evil=1>; rel="next", <https://forge.example/y?page=9>; rel="last"';
    expect(nextPage(link)).toBe("page=3");
    expect(nextPage(undefined)).toBeNull();
    expect(pageOf("page=3&per_page=1000&after=abc")).toEqual({ page: "3", after: "abc" });
  });

  it("let no words become operators of a search", () => {
    expect(searchQuery("acme/shop", 'crash" repo:other/secret "', ["good first"], "open")).toBe(
      '"crash  repo:other/secret" repo:acme/shop is:issue state:open label:"good first"',
    );
  });

  it("know which permission is missing", () => {
    expect(missingPermissions(neededPermissions)).toEqual([]);
    expect(missingPermissions({ ...neededPermissions, checks: "read" })).toEqual([
      "The installation lacks checks: write.",
    ]);
  });

  it("read a check's state", () => {
    expect([
      runState("in_progress", null),
      runState("completed", "success"),
      runState("completed", "timed_out"),
    ]).toEqual(["pending", "passed", "failed"]);
    expect(runState("completed", "skipped")).toBe("neutral");
  });

  it("ask for a webhook only where it can be reached", () => {
    const base = {
      name: "x",
      url: "https://x.example",
      redirectUrl: "https://x.example/r",
      setupUrl: "https://x.example/s",
    };
    expect(appManifest({ ...base, webhookUrl: null })).not.toHaveProperty("hook_attributes");
    expect(appManifest({ ...base, webhookUrl: "https://x.example/h" })).toMatchObject({
      hook_attributes: { active: true },
    });
    expect(manifestAction("https://github.com", "ac me", "s&t")).toBe(
      "https://github.com/organizations/ac%20me/settings/apps/new?state=s%26t",
    );
  });
});
