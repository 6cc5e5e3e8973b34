import { gitSecretNames, type RemoteHost } from "@x1agent/contract";
import { describe, expect, it } from "vitest";
import { gitAuthorization, registryAuthorization, registrySecretName } from "./credentials.ts";
import { parseRemote } from "./git/index.ts";

const remote = (text: string): RemoteHost => {
  const parsed = parseRemote(text, { roots: [], owners: [] });
  if (!parsed.ok || parsed.value.kind === "local") throw new Error(`No remote: ${text}`);
  return parsed.value;
};

describe("the credential of a remote", () => {
  it("is looked for by host, and by port where that is not the usual one", () => {
    expect(gitSecretNames(remote("https://git.example/a/b"))).toEqual(["git:git.example", "git:git.example:443"]);
    expect(gitSecretNames(remote("https://git.example:8443/a/b"))).toEqual(["git:git.example:8443"]);
  });

  it("never goes over plain HTTP unless it was stored for that port, and for SSH by port first", () => {
    expect(gitSecretNames(remote("http://git.example/a/b"))).toEqual(["git:git.example:80"]);
    expect(gitSecretNames(remote("ssh://git@git.example/a/b"))).toEqual(["git:git.example:22", "git:git.example"]);
    expect(gitSecretNames(remote("ssh://git@git.example:2222/a/b"))).toEqual(["git:git.example:2222"]);
  });

  it("is a user with a password, or a bare token", () => {
    const decode = (header: string) => Buffer.from(header.replace("Basic ", ""), "base64").toString();
    expect(decode(gitAuthorization("someone:pass:word"))).toBe("someone:pass:word");
    expect(decode(gitAuthorization("ghp_token"))).toBe("x-access-token:ghp_token");
  });
});

describe("the login of a registry", () => {
  it("is looked for by host, with the port that the address has, and always with one over plain HTTP", () => {
    const name = (base: string) => registrySecretName(new URL(base));
    expect(name("https://packages.example/npm/")).toBe("registry:packages.example");
    expect(name("https://packages.example:8443/")).toBe("registry:packages.example:8443");
    expect(name("http://packages.example/")).toBe("registry:packages.example:80");
    expect(name("http://packages.example:8081/")).toBe("registry:packages.example:8081");
  });

  it("is a user with a password, or a bare token", () => {
    expect(registryAuthorization("npm_token")).toBe("Bearer npm_token");
    expect(registryAuthorization("me:pass:word")).toBe(`Basic ${Buffer.from("me:pass:word").toString("base64")}`);
  });
});
