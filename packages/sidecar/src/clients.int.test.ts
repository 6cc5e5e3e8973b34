import { execFile, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { SidecarRegistry } from "@x1agent/contract";
import { afterEach, expect, it } from "vitest";
import { jobToken, startSidecarProcess, startUpstream } from "./test/harness.ts";

const run = promisify(execFile);
const require = createRequire(import.meta.url);
const python = "/usr/bin/python3";
const lacksPip = spawnSync(python, ["-m", "pip", "--version"]).status === 0 ? null : `pip of ${python}`;
const lacks = spawnSync("npm", ["--version"]).error ? "npm" : spawnSync("tar", ["--version"]).error ? "tar" : null;
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A company's registry below a path of its server: one package, whose file it names by its own address. */
async function company() {
  const folder = await mkdtemp(join(tmpdir(), "x1-pack-"));
  await mkdir(join(folder, "package"));
  await writeFile(join(folder, "package/package.json"), '{"name":"@corp/left","version":"1.0.0"}');
  await run("tar", ["-czf", "left.tgz", "package"], { cwd: folder });
  const file = await readFile(join(folder, "left.tgz"));
  await rm(folder, { recursive: true });
  const integrity = `sha512-${createHash("sha512").update(file).digest("base64")}`;
  const path = "/api/npm/@corp/left/-/left-1.0.0.tgz";
  const upstream = await startUpstream((_body, response, { url }) => {
    if (url === path) return void response.end(file);
    if (url?.toLowerCase() !== "/api/npm/@corp%2fleft") return void response.writeHead(404).end("{}");
    const dist = { integrity, tarball: `http://localhost:${upstream.port}${path}` };
    response.setHeader("content-type", "application/json");
    response.end(
      JSON.stringify({
        ...{ name: "@corp/left", "dist-tags": { latest: "1.0.0" } },
        versions: { "1.0.0": { name: "@corp/left", version: "1.0.0", dist } },
      }),
    );
  });
  closers.push(() => {
    upstream.server.close();
    upstream.server.closeAllConnections();
  });
  return { upstream, integrity };
}

/** Serves one registry; resolves with the port where a workspace's forwarder would listen. */
async function serve(registry: Pick<SidecarRegistry, "name" | "base"> & Partial<SidecarRegistry>): Promise<number> {
  const sidecar = await startSidecarProcess({
    boot: { phase: "setup", registries: [{ paths: [], files: [], pages: false, env: {}, ...registry }] },
    policy: {
      phase: "setup",
      grants: [{ id: "g", type: "registry", details: { pattern: "*", address: "127.0.0.0/8" }, once: false }],
    },
  });
  closers.push(() => sidecar.stop());
  const forwarder = createServer((client) => {
    const far = connect(join(sidecar.dir, "api.sock"));
    client.pipe(far).pipe(client);
    client.on("error", () => far.destroy());
    far.on("error", () => client.destroy());
  });
  await new Promise<void>((resolve) => forwarder.listen(0, "127.0.0.1", resolve));
  closers.push(() => forwarder.close());
  return (forwarder.address() as AddressInfo).port;
}

it.skipIf(lacks && !process.env.CI)(
  `real npm installs from a company's registry by a lock file that names it, or the default one, or none${lacks ? ` [skipped: needs ${lacks}]` : ""}`,
  async () => {
    const { upstream, integrity } = await company();
    const port = await serve({ name: "npm", base: `http://localhost:${upstream.port}/api/npm/` });
    const folder = await mkdtemp(join(tmpdir(), "x1-npm-"));
    closers.push(() => rm(folder, { recursive: true, force: true }));
    await writeFile(join(folder, "token"), `//127.0.0.1:${port}/:_authToken=\${X1_JOB_TOKEN}\n`);
    const env = {
      ...{ PATH: process.env.PATH, HOME: folder, X1_JOB_TOKEN: jobToken, npm_config_update_notifier: "false" },
      ...{ npm_config_globalconfig: join(folder, "token"), npm_config_replace_registry_host: "always" },
      npm_config_registry: `http://127.0.0.1:${port}/registry/npm/api/npm/`,
    };
    const manifest = { name: "sample", version: "1.0.0", dependencies: { "@corp/left": "1.0.0" } };
    const root = { name: "sample", version: "1.0.0", dependencies: manifest.dependencies };
    const places = [
      `http://localhost:${upstream.port}/api/npm/@corp/left/-/left-1.0.0.tgz`,
      "https://registry.npmjs.org/@corp/left/-/left-1.0.0.tgz",
      undefined,
    ];
    for (const [at, resolved] of places.entries()) {
      const cwd = join(folder, String(at));
      await mkdir(cwd);
      await writeFile(join(cwd, "package.json"), JSON.stringify(manifest));
      const left = { version: "1.0.0", ...(resolved ? { resolved } : {}), integrity };
      const packages = { "": root, "node_modules/@corp/left": left };
      await writeFile(
        join(cwd, "package-lock.json"),
        JSON.stringify({ ...{ name: "sample", version: "1.0.0", lockfileVersion: 3, requires: true }, packages }),
      );
      // A cache of its own, so that each asks anew.
      const options = ["--no-audit", "--no-fund", "--fetch-retries=0", "--cache", join(cwd, "cache")];
      await run("npm", ["ci", ...options], { cwd, env, timeout: 60_000 });
      expect(await readFile(join(cwd, "node_modules/@corp/left/package.json"), "utf8"), resolved).toContain("1.0.0");
    }
    expect(new Set(upstream.requests.map(({ path }) => path))).toEqual(
      new Set(["/api/npm/@corp%2fleft", "/api/npm/@corp/left/-/left-1.0.0.tgz"]),
    );
    expect(JSON.stringify(upstream.requests)).not.toContain(jobToken);
  },
  120_000,
);

it("real pnpm installs from the registry that npm is told of", async () => {
  const { upstream, integrity } = await company();
  const port = await serve({ name: "npm", base: `http://localhost:${upstream.port}/api/npm/` });
  const folder = await mkdtemp(join(tmpdir(), "x1-pnpm-"));
  closers.push(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, "token"), `//127.0.0.1:${port}/:_authToken=\${X1_JOB_TOKEN}\n`);
  const env = {
    ...{ PATH: process.env.PATH, HOME: folder, X1_JOB_TOKEN: jobToken, CI: "true" },
    ...{ npm_config_globalconfig: join(folder, "token"), npm_config_update_notifier: "false" },
    npm_config_registry: `http://127.0.0.1:${port}/registry/npm/api/npm/`,
  };
  const manifest = { name: "sample", private: true, dependencies: { "@corp/left": "1.0.0" } };
  await writeFile(join(folder, "package.json"), JSON.stringify(manifest));
  const program = join(require.resolve("pnpm"), "../bin/pnpm.cjs");
  const pnpm = (...argv: string[]) =>
    run(process.execPath, [program, "install", ...argv], {
      ...{ cwd: folder, env, timeout: 60_000 },
    });
  await pnpm("--no-frozen-lockfile");
  // Its lock file names no host, so that it means the same outside.
  const lock = await readFile(join(folder, "pnpm-lock.yaml"), "utf8");
  expect(lock).toContain(integrity);
  expect(lock).not.toContain("127.0.0.1");
  await rm(join(folder, "node_modules"), { recursive: true });
  await pnpm("--frozen-lockfile");
  expect(await readFile(join(folder, "node_modules/@corp/left/package.json"), "utf8")).toContain("1.0.0");
  expect(upstream.requests.map(({ path }) => path?.toLowerCase())).toEqual([
    "/api/npm/@corp%2fleft",
    "/api/npm/@corp/left/-/left-1.0.0.tgz",
  ]);
  expect(JSON.stringify(upstream.requests)).not.toContain(jobToken);
}, 120_000);

/** Writes a wheel, the smallest there is. */
const wheel = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as file:
    file.writestr("left/__init__.py", "")
    file.writestr("left-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: left\\nVersion: 1.0\\n")
    file.writestr("left-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    file.writestr("left-1.0.dist-info/RECORD", "")
`;

it.skipIf(lacksPip && !process.env.CI)(
  `real pip installs from a company's index, however that links to its files${lacksPip ? ` [skipped: needs ${lacksPip}]` : ""}`,
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "x1-pip-"));
    closers.push(() => rm(folder, { recursive: true, force: true }));
    const name = "left-1.0-py3-none-any.whl";
    await run(python, ["-c", wheel, join(folder, name)]);
    const file = await readFile(join(folder, name));
    const sha = createHash("sha256").update(file).digest("hex");
    let link = "";
    let json = false;
    const elsewhere = await startUpstream((_body, response) => void response.end(file));
    const upstream = await startUpstream((_body, response, { url }) => {
      if (url?.endsWith(".whl")) return void response.end(file);
      if (url !== "/api/py/simple/left/") return void response.writeHead(404).end();
      response.setHeader("content-type", json ? "application/vnd.pypi.simple.v1+json" : "text/html");
      const files = [{ filename: name, url: link, hashes: { sha256: sha } }];
      response.end(
        json
          ? JSON.stringify({ meta: { "api-version": "1.0" }, name: "left", files })
          : `<!DOCTYPE html><html><body><a href="${link}#sha256=${sha}">${name}</a></body></html>`,
      );
    });
    for (const { server } of [upstream, elsewhere])
      closers.push(() => {
        server.close();
        server.closeAllConnections();
      });
    const port = await serve({
      ...{ name: "pip", base: `http://localhost:${upstream.port}/api/py/simple/`, paths: ["/api/py/"], pages: true },
      files: [`http://localhost:${elsewhere.port}`],
    });
    const index = `http://x1:${jobToken}@127.0.0.1:${port}/registry/pip/api/py/simple/`;
    const env = { PATH: process.env.PATH, HOME: folder, PIP_INDEX_URL: index, PIP_CONFIG_FILE: "/dev/null" };
    const links = [
      `../../packages/${name}`,
      `/api/py/packages/${name}`,
      `http://localhost:${upstream.port}/api/py/packages/${name}`,
      `http://localhost:${elsewhere.port}/packages/${name}`,
    ];
    for (const [at, to] of links.entries()) {
      link = to;
      json = at % 2 === 1;
      const target = join(folder, String(at));
      const options = ["--no-cache-dir", "--retries", "0", "--disable-pip-version-check", "--target", target];
      await run(python, ["-m", "pip", "install", ...options, "left==1.0"], { env, timeout: 60_000 });
      expect(await readFile(join(target, "left-1.0.dist-info/METADATA"), "utf8"), to).toContain("left");
    }
    expect(elsewhere.requests.map(({ path }) => path)).toEqual([`/packages/${name}`]);
    expect(JSON.stringify([upstream.requests, elsewhere.requests])).not.toContain(jobToken);
  },
  180_000,
);
