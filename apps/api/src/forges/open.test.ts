import { expect, it } from "vitest";
import { nameAt } from "./open.ts";

it("finds a repository's name in its address, which names the port also where it is the usual one", () => {
  const github = "https://github.com";
  expect(nameAt(github, "https://github.com:443/acme/shop.git")).toBe("acme/shop");
  expect(nameAt(github, "https://github.com/acme/shop")).toBe("acme/shop");
  expect(nameAt("http://127.0.0.1:80", "http://127.0.0.1:80/acme/a.git.git")).toBe("acme/a.git");
  expect(nameAt("https://git.example:8443/Forge", "https://git.example:8443/forge/acme/shop.git")).toBe("acme/shop");
});

it.each([
  "https://github.com:8443/acme/shop.git",
  "http://github.com/acme/shop.git",
  "https://github.com.example/acme/shop.git",
  "https://github.com:443/acme/shop/more",
  "https://github.com:443/acme",
  "ssh://git@github.com/acme/shop.git",
  "git@github.com:acme/shop.git",
  "/srv/acme/shop.git",
])("finds none in %s", (address) => expect(nameAt("https://github.com", address)).toBeNull());
