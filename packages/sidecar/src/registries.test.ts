import type { SidecarPolicy, SidecarRegistry } from "@x1agent/contract";
import { describe, expect, it } from "vitest";
import { localPath, parseTarget, registryRules, upstreamHeaders } from "./registries.ts";

const of = (given: Pick<SidecarRegistry, "name" | "base"> & Partial<SidecarRegistry>): SidecarRegistry => ({
  ...{ paths: [], files: [], pages: false, env: {} },
  ...given,
});
const npm = of({ name: "npm", base: "https://npm.example/" });
const pip = of({
  ...{ name: "pip", base: "https://pip.example/simple/", files: ["https://files.example"], pages: true },
});
const own = of({ name: "npm", base: "https://corp.example:8443/api/npm/" });
const index = of({ name: "pip", base: "http://corp.example/py/simple/", paths: ["/py/"], pages: true });
const parsed = (target: string, ...registries: SidecarRegistry[]) => {
  const found = parseTarget(registries.length ? registries : [npm, pip], target);
  return "code" in found ? found.code : found.url.href;
};

describe("a request's target", () => {
  it.each([
    ["/registry/npm/is-number", "https://npm.example/is-number"],
    ["/registry/npm/@scope%2fname", "https://npm.example/@scope%2fname"],
    ["/registry/npm/@scope/name/-/name-1.0.0-rc.1+x.tgz", "https://npm.example/@scope/name/-/name-1.0.0-rc.1+x.tgz"],
    ["/registry/pip/simple/six/", "https://pip.example/simple/six/"],
    [
      "/registry/pip@files.example/packages/a/torch-2%2Bcu118.whl",
      "https://files.example/packages/a/torch-2%2Bcu118.whl",
    ],
    // A client that replaces the host alone.
    ["/is-number/-/is-number-7.0.0.tgz", "https://npm.example/is-number/-/is-number-7.0.0.tgz"],
  ])("%s is %s", (target, href) => expect(parsed(target)).toBe(href));

  it.each([
    ["/registry/npm/api/npm/x", "https://corp.example:8443/api/npm/x"],
    ["/registry/npm/api/npm/api/npm/x/-/x-1.tgz", "https://corp.example:8443/api/npm/x/-/x-1.tgz"],
    ["/api/npm/x/-/x-1.tgz", "https://corp.example:8443/api/npm/x/-/x-1.tgz"],
    ["/x/-/x-1.tgz", "https://corp.example:8443/api/npm/x/-/x-1.tgz"],
    ["/registry/pip/py/packages/a.whl", "http://corp.example/py/packages/a.whl"],
    ["/registry/npm/api/other/x", "path_refused"],
    ["/registry/pip/admin/x", "path_refused"],
  ])("of an own registry: %s is %s", (target, href) => expect(parsed(target, own, index)).toBe(href));

  it.each([
    ...[
      "/registry/npm/x?write=true",
      "/registry/npm/x?",
      "/registry/npm/x#a",
      "/registry/npm/../x",
      "/registry/npm/x/..",
    ],
    ...["/registry/npm/./x", "/registry/npm//evil.example/x", "/registry/npm/%2e%2e/x", "/registry/npm/..%2fx"],
    ...[
      "/registry/npm/x%2fy",
      "/registry/npm/@a%2f..",
      "/registry/npm/@a%2f%2e%2e",
      "/registry/npm/x%252fy",
      "/registry/npm/x%00",
    ],
    ...[
      "/registry/npm/x\\y",
      "/registry/npm/x;a=b",
      "/registry/npm/x%0d%0aHost:y",
      "/registry/npm/x y",
      "/registry/npm/é",
    ],
    ...["/registry/npm/-/whoami", "/registry/npm/-/v1/search", "/registry/npm/-/npm/v1/security/audits"],
    ...[
      "/registry/npm@evil.example/x",
      "/registry/npm@npm.example/x",
      "/registry/pip@files.example:8443/x",
      "/registry/pip@files.example%3A8443/x",
    ],
    ...[
      "/registry/npm@npm.example@evil.example/x",
      "/registry/pip/pypi/six/json",
      "/registry/pip/simple",
      "/registry/pip/packages/x",
    ],
    ...[
      "/registry/gem/x",
      "/registry/npm",
      "/registry/",
      "/registry/NPM/x",
      "/x/-/../-/x.tgz",
      "//evil.example/-/x.tgz",
    ],
    ...["http://evil.example/registry/npm/x", "http://evil.example/x/-/x.tgz"],
    `/registry/npm/${"a".repeat(1_100)}`,
    `/registry/npm/${"a".repeat(300)}`,
    `/registry/npm/${"a/".repeat(40)}`,
  ])("%j is refused", (target) => expect(parsed(target)).toMatch(/^(path_refused|not_found)$/));
});

it("only a registry's own hosts are local", () => {
  const at = (text: string) => localPath(pip, new URL(text));
  expect(at("https://pip.example/simple/six/")).toBe("/registry/pip/simple/six/");
  expect(at("https://files.example/a/b")).toBe("/registry/pip@files.example/a/b");
  for (const other of [
    "http://pip.example/simple/",
    "https://pip.example:444/",
    "https://files.example.org/",
    "http://169.254.169.254/",
  ])
    expect(at(other), other).toBeNull();
});

it("headers travel up from lists only", () => {
  expect(
    upstreamHeaders(
      {
        ...{ accept: "application/vnd.npm.install-v1+json; q=1.0, secret/stolen, application/json; q=0.8; x=y, */*" },
        ...{
          "accept-encoding": "gzip, stolen",
          "if-none-match": '"abc"',
          range: "bytes=0-10",
          authorization: "Bearer x",
        },
        ...{
          cookie: "a=b",
          "user-agent": "stolen",
          "x-stolen": "1",
          "npm-session": "stolen",
          referer: "stolen",
          host: "evil",
        },
      },
      false,
    ),
  ).toEqual({
    ...{
      "user-agent": "x1agent",
      accept: "application/vnd.npm.install-v1+json; q=1.0, */*",
      "accept-encoding": "gzip",
    },
    ...{ "if-none-match": '"abc"', range: "bytes=0-10" },
  });
  for (const given of [
    { "if-none-match": "stolen" },
    { "if-none-match": `"${"a".repeat(200)}"` },
    { "if-modified-since": "stolen" },
    { range: "bytes=0-10, stolen" },
    { accept: "stolen/text" },
  ])
    expect(JSON.stringify(upstreamHeaders(given, false)), JSON.stringify(given)).not.toMatch(/stolen|aaaa/);
});

it("a registry is open by its grant in the grant's phases; what was allowed for its host counts for addresses alone", () => {
  const policy = (grants: SidecarPolicy["grants"], egress: SidecarPolicy["egress"] = []): SidecarPolicy => ({
    ...{ version: 1, phase: "setup", grants, egress, stopped: false },
  });
  const url = new URL(npm.base);
  const granted = (details: Partial<SidecarPolicy["grants"][number]["details"]>) =>
    policy([{ id: "g", type: "registry", details: { pattern: "*", ...details }, once: false }]);
  const named = [{ host: "npm.example", ports: [443], phases: ["setup" as const], address: "10.0.0.0/8" }];
  expect(registryRules(policy([], named), npm, url)).toEqual([]);
  expect(registryRules(granted({ phases: ["agent"] }), npm, url)).toEqual([]);
  expect(registryRules(granted({ pattern: "pip" }), npm, url)).toEqual([]);
  expect(registryRules(granted({ phases: ["setup"] }), npm, url)).toEqual([{}]);
  expect(registryRules(granted({ pattern: "npm", address: "10.1.0.0/16" }), npm, url)).toEqual([
    { address: "10.1.0.0/16" },
  ]);
  expect(registryRules({ ...granted({}), egress: named }, npm, url)).toEqual([{}, named[0]]);
});
