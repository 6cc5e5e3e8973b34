import { readFileSync } from "node:fs";
import type { Grant } from "@x1agent/contract";
import { expect, it } from "vitest";
import { priceTable, routesOf } from "../providers.ts";
import { sidecarPolicy } from "./policy.ts";

const grant = (
  type: Grant["type"],
  details: Partial<Grant["details"]> = {},
  scope: Grant["scope"] = "persistent",
): Grant => ({
  ...{
    id: `g-${type}`,
    subject: { kind: "job", id: "j" },
    type,
    details: { pattern: "*", ...details },
    scope,
    reason: "",
  },
  ...{ grantedBy: { kind: "user", id: "u" }, createdAt: "", consumedAt: null, revokedAt: null, lastUsedAt: null },
});
const grants = [
  grant("ai.anthropic"),
  grant("egress", { pattern: "Pkg.Example", phases: ["setup"] }),
  grant("repo.read", {}, "once"),
];
const base = { version: 1, phase: "setup" as const, grants, inference: true, stopped: false, trusted: true, push: [] };

it("hands on grants, and egress as rules with the host in lower case", () => {
  const policy = sidecarPolicy(base);
  expect(policy.grants.map(({ type, once }) => [type, once])).toEqual([
    ["ai.anthropic", false],
    ["egress", false],
    ["repo.read", true],
  ]);
  expect(policy.egress).toEqual([{ host: "pkg.example", ports: [80, 443], phases: ["setup"] }]);
});
it("neither pushes nor speaks where the words came from somebody without rights, and reads there all the same", () => {
  const asked = {
    ...base,
    push: [{ repository: "origin", protected: ["main"] }],
    grants: [grant("repo.push"), grant("forge"), grant("forge", { pattern: "comment" }), grant("repo.read")],
  };
  expect(sidecarPolicy(asked)).toMatchObject({ push: asked.push, grants: asked.grants.map(({ type }) => ({ type })) });
  const policy = sidecarPolicy({ ...asked, trusted: false });
  expect(policy.push).toEqual([]);
  expect(policy.grants.map(({ type, details }) => [type, details.pattern])).toEqual([
    ["forge", "read"],
    ["repo.read", "*"],
  ]);
  expect(sidecarPolicy({ ...asked, stopped: true }).push).toEqual([]);
});
it("has no model grant in a workspace without an agent, and nothing at all once it is stopped", () => {
  expect(sidecarPolicy({ ...base, inference: false }).grants.map(({ type }) => type)).toEqual(["egress", "repo.read"]);
  expect(sidecarPolicy({ ...base, stopped: true })).toMatchObject({ stopped: true, grants: [], egress: [] });
});
it("prices what is listed, in micro-dollars a million tokens, and nothing else", () => {
  const prices = priceTable();
  expect(prices["anthropic/claude-haiku-4-5"]).toMatchObject({
    inputMicrosPerMTok: 1_000_000,
    outputMicrosPerMTok: 5_000_000,
    cacheReadMicrosPerMTok: 100_000,
  });
  // Listed in tiers by length of the input: each holds from its own start on.
  expect(prices["anthropic/claude-sonnet-4-5"]).toMatchObject({
    inputMicrosPerMTok: 3_000_000,
    tiers: [{ fromInputTokens: 200_000, inputMicrosPerMTok: 6_000_000, outputMicrosPerMTok: 22_500_000 }],
  });
  expect(prices["anthropic/no-such-model"]).toBeUndefined();
  for (const [name, price] of Object.entries(prices)) expect(price.outputMicrosPerMTok, name).toBeGreaterThanOrEqual(0);
});
it("takes release and date of prices from the list itself", () => {
  const prices = Object.values(priceTable(["anthropic"], new Date("2026-03-13T00:00:00Z")));
  const { version } = JSON.parse(readFileSync("node_modules/@pydantic/genai-prices/package.json", "utf8"));
  expect(prices.length).toBeGreaterThan(5);
  // The list's newest dated change of this provider; the day before it is not known yet.
  for (const { source, asOf } of prices)
    expect({ source, asOf }).toEqual({ source: `@pydantic/genai-prices ${version}`, asOf: "2026-03-13" });
  expect(Object.values(priceTable(["anthropic"], new Date("2026-03-12T23:59:59Z")))[0]?.asOf).toBe("unknown");
});
it("makes no route without a key unless the operator named the endpoint", () => {
  expect(routesOf("anthropic", undefined, null)).toEqual([]);
  expect(routesOf("openai", undefined, "k").map(({ api }) => api)).toEqual(["openai-responses", "openai-chat"]);
  const own = { name: "local", api: "openai-chat", baseUrl: "http://127.0.0.1:1/", allowPrivate: true, ca: null };
  expect(routesOf("local", own, null)).toMatchObject([
    { grantType: "ai.compatible", baseUrl: "http://127.0.0.1:1", auth: { kind: "none" } },
  ]);
});

it("gives words from outside no push, no comment, and only hosts that were opened for this very job", () => {
  const opened = [
    grant("repo.push", { pattern: "x1/*" }),
    grant("forge"),
    { ...grant("egress", { pattern: "everyone.example" }), subject: { kind: "project" as const, id: "p" } },
    grant("egress", { pattern: "this.example" }),
    { ...grant("registry", { pattern: "packages.example" }), subject: { kind: "organization" as const, id: "o" } },
  ];
  const policy = sidecarPolicy({ ...base, grants: opened, trusted: false });
  expect(policy.egress.map(({ host }) => host)).toEqual(["this.example"]);
  expect(policy.grants.map(({ type, details }) => `${type}:${details.pattern}`)).toEqual([
    "forge:read",
    "egress:this.example",
    "registry:packages.example",
  ]);
  expect(sidecarPolicy({ ...base, grants: opened }).egress).toHaveLength(2);
});
