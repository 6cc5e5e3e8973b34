import { describe, expect, it } from "vitest";
import { egressMistake, registryMistake, repositoryMistake } from "./grants.ts";

describe("an egress grant", () => {
  it.each(["registry.example.org", "*.example.org", "*", "localhost", "10.1.2.3", "[2001:db8::1]", "my_host.lan"])(
    "may name %s",
    (pattern) => expect(egressMistake({ pattern })).toBeNull(),
  );
  it.each(["https://x.example", "x.example/path", "x.example:443", "", "a b", "*.", "x.*.org", "user@host"])(
    "may not name %j",
    (pattern) => expect(egressMistake({ pattern })).toContain("no host"),
  );
  it("names a range that is one", () => {
    for (const address of ["10.0.0.0/8", "10.1.2.3", "fd00::/8", "::1/128"])
      expect(egressMistake({ address })).toBeNull();
    for (const address of ["10.0.0.0/33", "10.0.0/8", "x", "10.0.0.0/8/8", "fd00::/129", "10.0.0.0/"])
      expect(egressMistake({ address }), address).toContain("no range");
  });
});

describe("a grant about repositories", () => {
  it("has only what has an effect", () => {
    expect(repositoryMistake("repo.push", { pattern: "x1/*", repository: "acme/app", force: true })).toBeNull();
    expect(repositoryMistake("repo.read", { pattern: "*" })).toBeNull();
    for (const pattern of ["read", "comment", "*"]) expect(repositoryMistake("forge", { pattern })).toBeNull();
    expect(repositoryMistake("forge", { pattern: "write" })).toContain("read, comment");
    expect(repositoryMistake("repo.read", { force: true })).toContain("force");
    expect(repositoryMistake("ai.openai", { repository: "acme/app" })).toContain("repository");
  });
});

describe("a registry grant", () => {
  const names = ["npm", "pip"];
  it.each(["npm", "pip", "*", "p*", undefined])("may name %s", (pattern) =>
    expect(registryMistake({ pattern }, names)).toBeNull(),
  );
  it.each(["cargo", "NPM", "npn", "", "registry.example.com"])("may not name %j", (pattern) =>
    expect(registryMistake({ pattern }, names)).toContain("there are npm and pip"),
  );
  it("names a range that is one", () => {
    expect(registryMistake({ pattern: "npm", address: "10.0.0.0/8" }, names)).toBeNull();
    expect(registryMistake({ pattern: "npm", address: "10.0.0.0/33" }, names)).toContain("no range");
  });
});
