import { describe, expect, it } from "vitest";
import { readRegistries, registryNames } from "./registries.ts";

const at = (files: Record<string, string>, env: Record<string, string> = {}) =>
  readRegistries({ env, home: "/home/u", readFile: (path) => files[path] ?? null });
const served = (registries: ReturnType<typeof at>, name: string) =>
  registries.served.find((registry) => registry.name === name);

describe("registries", () => {
  it("are the public ones when nothing is configured", () => {
    expect(served(at({}), "npm")).toMatchObject({
      base: "https://registry.npmjs.org/",
      env: { npm_config_registry: "http://{api}/registry/npm/", npm_config_replace_registry_host: "npmjs" },
    });
    expect(served(at({}), "pip")).toMatchObject({
      ...{ base: "https://pypi.org/simple/", paths: [], files: ["https://files.pythonhosted.org"] },
      env: { PIP_INDEX_URL: "http://x1:{token}@{api}/registry/pip/simple/" },
    });
  });

  it("are served for npm and pip; cargo and Go have tunnels to their download hosts, whose content nobody sees", () => {
    const { served, hosts } = at({});
    expect(served.map(({ name }) => name)).toEqual(["npm", "pip"]);
    expect(served.map(({ name }) => name)).toEqual(registryNames);
    expect(hosts.map(({ ecosystem, host }) => `${ecosystem} ${host}`)).toEqual([
      "cargo index.crates.io",
      "cargo static.crates.io",
      "go proxy.golang.org",
      "go sum.golang.org",
    ]);
  });

  it("follow the machine's configuration, and leave its credentials behind", () => {
    const found = at(
      {
        "/home/u/.npmrc":
          "//npm.corp.example/:_authToken=secret1\nregistry=https://me:secret2@npm.corp.example:8443/api/npm\n",
        "/etc/pip.conf": "[global]\nindex-url = http://user:secret3@pip.corp.example/py/simple?token=secret4#secret5\n",
      },
      {},
    );
    expect(served(found, "npm")).toMatchObject({
      base: "https://npm.corp.example:8443/api/npm/",
      env: {
        npm_config_registry: "http://{api}/registry/npm/api/npm/",
        npm_config_replace_registry_host: "always",
      },
    });
    expect(served(found, "pip")).toMatchObject({
      ...{ base: "http://pip.corp.example/py/simple/", paths: ["/py/"], files: [] },
      env: { PIP_INDEX_URL: "http://x1:{token}@{api}/registry/pip/py/simple/" },
    });
    expect(JSON.stringify(found)).not.toContain("secret");
  });

  it("prefer the environment, and ignore what is no address", () => {
    const files = { "/home/u/.npmrc": "registry=https://file.example/" };
    const npm = (...given: Parameters<typeof at>) => served(at(...given), "npm")?.base;
    expect(npm(files, { npm_config_registry: "https://env.example/" })).toBe("https://env.example/");
    expect(npm({ "/home/u/.npmrc": "registry=$" + "{REGISTRY}" })).toBe("https://registry.npmjs.org/");
    expect(npm({ "/home/u/.npmrc": "registry=file:///tmp/x" })).toBe("https://registry.npmjs.org/");
  });
});
