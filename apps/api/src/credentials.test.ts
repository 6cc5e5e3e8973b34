import { describe, expect, it } from "vitest";
import { gitAuthorization, gitSecretNames } from "./credentials.ts";
import { parseRemote, type Remote } from "./git/index.ts";

const remote = (text: string): Remote => {
  const parsed = parseRemote(text, { roots: [], owners: [] });
  if (!parsed.ok) throw new Error(parsed.detail);
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
