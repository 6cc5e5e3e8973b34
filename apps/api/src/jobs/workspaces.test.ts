import { execFileSync } from "node:child_process";
import { matchesPattern } from "@x1agent/contract";
import { newId } from "@x1agent/kernel";
import { expect, it } from "vitest";
import { platformBranches, type Remote, targetBranchName } from "../git/index.ts";
import { gitEnvironment, protectedBranches, withoutLogins } from "./workspaces.ts";

const https: Remote = { kind: "https", host: "forge.example", port: 443, path: "/acme/app.git", url: "" };
const leadsTo = (remote: Remote, address: string) =>
  execFileSync("git", ["ls-remote", "--get-url", address], {
    env: {
      PATH: process.env.PATH,
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_CONFIG_GLOBAL: "/dev/null",
      ...gitEnvironment(remote),
    },
    encoding: "utf8",
  }).trim();

it("leads git inside from every way of writing the job's repository to the sidecar, and from no other", () => {
  const origin = "http://127.0.0.1:9090/git/origin";
  for (const [address, leads] of [
    ["https://forge.example/acme/app", origin],
    ["https://forge.example/acme/app.git", `${origin}.git`],
    ["https://forge.example:443/acme/app.git", `${origin}.git`],
    ["git@forge.example:acme/app.git", `${origin}.git`],
    ["ssh://git@forge.example/acme/app", origin],
    ["https://forge.example/acme/other", "https://forge.example/acme/other"],
    ["https://forge.example.evil/acme/app", "https://forge.example.evil/acme/app"],
    ["http://forge.example/acme/app", "http://forge.example/acme/app"],
  ] as const)
    expect(leadsTo(https, address), address).toBe(leads);
  const odd: Remote = { kind: "http", host: "::1", port: 8080, path: "/a/b/", url: "" };
  expect(leadsTo(odd, "http://[::1]:8080/a/b")).toBe(origin);
  expect(gitEnvironment({ kind: "local", url: "/r", path: "/r", uid: 0, gid: 0 })).toEqual({});
  expect(gitEnvironment(undefined)).toEqual({});
});

it("lets no agent push to where the platform publishes, nor to the branches that work stands on", () => {
  const base = { remote: https, branch: "develop", defaultBranch: "main" };
  expect(protectedBranches({ base, targetBranch: "x1/mine" })).toEqual(["main", "develop", "x1/mine", "x1/job-*"]);
  expect(protectedBranches({ base: { ...base, branch: null }, targetBranch: null })).toEqual(["main", "x1/job-*"]);
  expect(protectedBranches({ base: { ...base, defaultBranch: null }, targetBranch: null })).toBeNull();
  expect(matchesPattern(platformBranches, targetBranchName(newId("job"), "Fix it"))).toBe(true);
});

it("takes the logins of registries away from words that come from outside", () => {
  const open = { name: "npm", base: "https://registry.example/", paths: [], files: [], pages: false, env: {} };
  expect(withoutLogins([{ ...open, authorization: "Bearer made-up" }])).toEqual([open]);
});
