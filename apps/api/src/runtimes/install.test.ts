import { existsSync } from "node:fs";
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadCatalogue } from "./catalogue.ts";
import { installRuntime, isInstalled, sweepPartialInstalls } from "./install.ts";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "x1-install-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const manifest = {
  name: "toy",
  title: "Toy",
  version: "1.2.3",
  contract: "1.0",
  license: "MIT",
  redistributable: true,
  capabilities: [],
  api: "anthropic-messages",
  provider: "anthropic",
  defaultModel: "m",
  install: { kind: "npm", package: "toy-cli", lock: "cli/package-lock.json" },
  sessionFiles: [],
};

/** A runtime folder, and an `npm` that does what the script says in the folder it is started in. */
async function toy(npmScript: string, changes: { manifest?: object; lock?: object } = {}) {
  const runtimeDir = join(root, "runtimes/toy");
  await mkdir(join(runtimeDir, "cli/node_modules/stale"), { recursive: true });
  await writeFile(join(runtimeDir, "runtime.json"), JSON.stringify({ ...manifest, ...changes.manifest }));
  await writeFile(join(runtimeDir, "cli/extra.ts"), "export {};\n");
  const lock = changes.lock ?? { "": {}, "node_modules/toy-cli": { version: "1.2.3", integrity: "sha512-x" } };
  await writeFile(join(runtimeDir, "cli/package-lock.json"), JSON.stringify({ packages: lock }));
  const npm = join(root, "npm");
  await writeFile(npm, `#!/bin/sh\necho run >> ${root}/runs\n${npmScript}\n`);
  await chmod(npm, 0o755);
  return {
    runtimeDir,
    targetDir: join(root, "data/toy/1.2.3"),
    npm: [npm],
    env: { PATH: process.env.PATH, X1_SECRET: "s3cret" },
  };
}
const installs = (version = "1.2.3") =>
  `mkdir -p node_modules/toy-cli && echo '{"version":"${version}"}' > node_modules/toy-cli/package.json`;

describe("installing", () => {
  it("runs npm ci without scripts in a clean environment, keeps the other files, and says how far it is", async () => {
    const options = await toy(
      `env > ${root}/env; echo "$@" > ${root}/args; echo "npm http fetch GET 200 https://r.invalid/a.tgz 5ms" >&2; ${installs()}`,
    );
    const lines: string[] = [];
    await installRuntime({ ...options, onProgress: (line) => lines.push(line) });
    expect(await readFile(join(root, "args"), "utf8")).toMatch(/^ci --ignore-scripts /);
    expect(await readFile(join(root, "env"), "utf8")).not.toContain("s3cret");
    expect((await readdir(options.targetDir)).sort()).toEqual([
      "extra.ts",
      "node_modules",
      "package-lock.json",
      "runtime.json",
    ]);
    expect(existsSync(join(options.targetDir, "node_modules/stale"))).toBe(false);
    expect(lines).toEqual([
      "Toy 1.2.3: fetching from the package registry",
      "Toy 1.2.3: 1 packages fetched",
      "Toy 1.2.3: installed",
    ]);
    expect(lines.join()).not.toContain("r.invalid");
  });

  it("does nothing when the version is there, and repairs a broken one", async () => {
    const options = await toy(installs());
    await installRuntime(options);
    await installRuntime(options);
    expect(await readFile(join(root, "runs"), "utf8")).toBe("run\n");
    await rm(join(options.targetDir, "node_modules"), { recursive: true });
    await installRuntime(options);
    expect(await isInstalled(options.targetDir, await installRuntime(options))).toBe(true);
  });

  it("survives two installations at once", async () => {
    const options = await toy(installs());
    await Promise.all([installRuntime(options), installRuntime(options)]);
    expect(await readdir(join(root, "data/toy"))).toEqual(["1.2.3"]);
  });

  it.each([
    [
      "registry out of reach",
      'echo "npm error code ECONNREFUSED" >&2; exit 1',
      /registry cannot be reached \(ECONNREFUSED\)/,
    ],
    ["name not resolved", 'echo "npm error code ENOTFOUND" >&2; exit 1', /registry cannot be reached/],
    ["wrong checksum", 'echo "npm error code EINTEGRITY" >&2; exit 1', /checksum/],
    ["missing package", 'echo "npm error code E404" >&2; exit 1', /does not have a package/],
    ["another failure", "exit 7", /exit code 7/],
    ["another version than asked for", installs("9.9.9"), /version 9\.9\.9 instead of 1\.2\.3/],
  ])("says what to do: %s; and leaves nothing behind", async (_, script, sentence) => {
    const options = await toy(script);
    await expect(installRuntime(options)).rejects.toThrow(sentence);
    expect(await readdir(join(root, "data/toy"))).toEqual([]);
  });

  it("names a missing npm", async () => {
    const options = await toy("");
    await expect(installRuntime({ ...options, npm: ["/nowhere/npm"] })).rejects.toThrow(/npm was not found/);
  });

  it("refuses a lock of another version or without a checksum", async () => {
    const other = await toy(installs(), { lock: { "node_modules/toy-cli": { version: "1.0.0", integrity: "x" } } });
    await expect(installRuntime(other)).rejects.toThrow(/locks toy-cli at 1\.0\.0/);
    const bare = await toy(installs(), {
      lock: { "node_modules/toy-cli": { version: "1.2.3", integrity: "x" }, "node_modules/dep": { version: "1.0.0" } },
    });
    await expect(installRuntime(bare)).rejects.toThrow(/no checksum for node_modules\/dep/);
    expect(existsSync(join(root, "runs"))).toBe(false);
  });

  it("can be stopped, and sweeps what is left of a killed one", async () => {
    const options = await toy("exec sleep 30");
    const stop = new AbortController();
    const install = installRuntime({ ...options, signal: stop.signal });
    setTimeout(() => stop.abort(), 50);
    await expect(install).rejects.toThrow(/stopped/);
    await mkdir(join(root, "data/toy/1.2.3.dead.partial"), { recursive: true });
    await sweepPartialInstalls(join(root, "data/toy"));
    expect(await readdir(join(root, "data/toy"))).toEqual([]);
  });
});

describe("the catalogue", () => {
  it("is what lies in the folder, lowest rank first", async () => {
    await toy("");
    await cp(join(root, "runtimes/toy"), join(root, "runtimes/other"), { recursive: true });
    await writeFile(
      join(root, "runtimes/other/runtime.json"),
      JSON.stringify({ ...manifest, name: "other", rank: 5, extra: 1 }),
    );
    await mkdir(join(root, "runtimes/notes"));
    const catalogue = await loadCatalogue(join(root, "runtimes"));
    expect(catalogue.map((entry) => entry.manifest.name)).toEqual(["other", "toy"]);
    expect(catalogue[0]?.manifest.extra).toBe(1);
  });

  it.each([
    ["another major", { contract: "2.0" }, /speaks contract 2\.0/],
    ["another name", { name: "misnamed" }, /its folder is "toy"/],
    ["a missing field", { title: undefined }, /title/],
  ])("refuses %s", async (_, change, sentence) => {
    await toy("", { manifest: change });
    await expect(loadCatalogue(join(root, "runtimes"))).rejects.toThrow(sentence);
  });

  it("reads the runtimes of this checkout", async () => {
    const catalogue = await loadCatalogue(join(import.meta.dirname, "../../../../runtimes"));
    expect(catalogue.length).toBeGreaterThan(0);
  });

  it("has a page for each, true to its manifest in version and capabilities", async () => {
    for (const { manifest, runtimeDir } of await loadCatalogue(join(import.meta.dirname, "../../../../runtimes"))) {
      const page = await readFile(join(runtimeDir, "README.md"), "utf8");
      const said = /^Capabilities, as in `runtime\.json`: (.*)\.$/m.exec(page)?.[1];
      expect(said, manifest.name).toBe(manifest.capabilities.join(", "));
      if (manifest.install) expect(page, manifest.name).toContain(`**${manifest.version}**`);
    }
  });
});
