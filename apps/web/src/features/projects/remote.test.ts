import { describe, expect, it } from "vitest";
import { gitLogins, remoteOf } from "./remote.ts";

const names = (repository: string, hosts: string[] = [], stored: string[] = []) =>
  gitLogins(repository, hosts, new Set(stored)).map(({ name, key }) => (key ? `${name} key` : name));

describe("what git signs in with for a project", () => {
  it("is named after the repository's host, a folder needs nothing", () => {
    expect(names("https://git.example:443/team/app")).toEqual(["git:git.example"]);
    expect(names("http://git.example:8080/team/app")).toEqual(["git:git.example:8080"]);
    expect(names("ssh://git@Git.example:22/team/app")).toEqual(["git:git.example:22 key"]);
    expect(names("/srv/git/app")).toEqual([]);
    expect(remoteOf("file:///srv/git/app")).toBeNull();
  });

  it("names what is stored under another name too, and each host of submodules once", () => {
    expect(names("ssh://git@git.example:22/team/app", [], ["git:git.example"])).toEqual([
      "git:git.example:22 key",
      "git:git.example key",
    ]);
    expect(names("https://git.example:443/a", ["lib.example", "git.example", "lib.example:8443"])).toEqual([
      "git:git.example",
      "git:lib.example",
      "git:lib.example:8443",
    ]);
  });
});
