import { describe, expect, it } from "vitest";
import { readRegistries } from "./registries.ts";

const at = (files: Record<string, string>, env: Record<string, string> = {}) =>
  readRegistries({ env, home: "/home/u", readFile: (path) => files[path] ?? null });
const hostsOf = (registries: ReturnType<typeof at>, ecosystem: string) =>
  registries.hosts.filter((entry) => entry.ecosystem === ecosystem).map((entry) => `${entry.host}:${entry.port}`);

describe("registries", () => {
  it("are the public ones when nothing is configured", () => {
    expect(hostsOf(at({}), "npm")).toEqual(["registry.npmjs.org:443"]);
    expect(at({}).env).toEqual({});
  });

  it("follow the machine's configuration, and leave its credentials behind", () => {
    const found = at(
      {
        "/home/u/.npmrc":
          "//npm.corp.example/:_authToken=secret1\nregistry=https://me:secret2@npm.corp.example:8443/api/npm/\n",
        "/etc/pip.conf": "[global]\nindex-url = http://user:secret3@pip.corp.example/simple?token=secret4\n",
      },
      {},
    );
    expect(hostsOf(found, "npm")).toEqual(["npm.corp.example:8443"]);
    expect(hostsOf(found, "pip")).toEqual(["pip.corp.example:80"]);
    expect(found.env).toEqual({
      npm_config_registry: "https://npm.corp.example:8443/api/npm/",
      PIP_INDEX_URL: "http://pip.corp.example/simple",
    });
    expect(JSON.stringify(found)).not.toContain("secret");
  });

  it("prefer the environment, and ignore what is no address", () => {
    const files = { "/home/u/.npmrc": "registry=https://file.example/" };
    expect(hostsOf(at(files, { npm_config_registry: "https://env.example/" }), "npm")).toEqual(["env.example:443"]);
    expect(hostsOf(at({ "/home/u/.npmrc": "registry=$" + "{REGISTRY}" }), "npm")).toEqual(["registry.npmjs.org:443"]);
    expect(hostsOf(at({ "/home/u/.npmrc": "registry=file:///tmp/x" }), "npm")).toEqual(["registry.npmjs.org:443"]);
  });
});
