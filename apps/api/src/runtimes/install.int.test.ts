import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { basename, dirname, join } from "node:path";
import { createLocalDriver, createToolSandbox } from "@x1agent/driver-local";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { installRuntime, precompileRuntime } from "./install.ts";

const options = (dir: string) => ({ runDir: join(dir, "run"), overlayDir: "" });
const missing =
  process.env.CI === "true" || (await createLocalDriver(options("/nonexistent")).probe()).report
    ? undefined
    : "no namespaces here";

/** A package manager that does what it is told to, in the place where the real one would run. */
describe.skipIf(missing !== undefined)(`installing in a sandbox${missing ? ` (skipped: ${missing})` : ""}`, () => {
  let root: string;
  let count = 0;
  beforeAll(async () => {
    // Below a closed folder, as a data directory is.
    root = await mkdtemp("/tmp/x1-install-");
  });
  afterAll(() => rm(root, { recursive: true, force: true }));

  async function toy(program: string) {
    const dir = join(root, String(count++));
    const runtimeDir = join(dir, "runtimes/toy");
    await mkdir(join(runtimeDir, "cli"), { recursive: true });
    await mkdir(join(dir, "npm/bin"), { recursive: true });
    await mkdir(join(dir, "home"));
    await writeFile(join(dir, "home/.npmrc"), "registry=http://registry.invalid/\n", { mode: 0o600 });
    await writeFile(join(dir, "secret"), "planted-secret", { mode: 0o644 });
    await writeFile(join(dir, "npm/bin/npm-cli.js"), program);
    await writeFile(join(dir, "npm/package.json"), "{}");
    const manifest = {
      ...{ name: "toy", title: "Toy", version: "1.2.3", contract: "1.0", license: "MIT", redistributable: true },
      ...{ capabilities: [], api: "anthropic-messages", provider: "anthropic", defaultModel: "m", sessionFiles: [] },
      install: { kind: "npm", package: "toy-cli", lock: "cli/package-lock.json" },
    };
    await writeFile(join(runtimeDir, "runtime.json"), JSON.stringify(manifest));
    const packages = { "": {}, "node_modules/toy-cli": { version: "1.2.3", integrity: "sha512-x" } };
    await writeFile(join(runtimeDir, "cli/package-lock.json"), JSON.stringify({ packages }));
    const env = {
      ...{ HOME: join(dir, "home"), X1_SECRET: "planted-secret", PATH: "/usr/bin" },
      npm_execpath: join(dir, "npm/bin/npm-cli.js"),
    };
    const targetDir = join(dir, "data/toy/1.2.3");
    return { dir, runtimeDir, targetDir, env, sandbox: createToolSandbox(options(dir)) };
  }
  const install = `const fs = require("node:fs"); fs.mkdirSync("node_modules/toy-cli", { recursive: true });
fs.writeFileSync("node_modules/toy-cli/package.json", JSON.stringify({ version: "1.2.3" }));`;

  test("it sees its folder, its settings and the certificates; no secret, home, data or process of the service", async () => {
    const given = await toy(`${install}
const seen = { env: process.env, uid: process.getuid(), caps: fs.readFileSync("/proc/self/status", "utf8").match(/CapEff:\\s+(\\S+)/)[1], pids: fs.readdirSync("/proc").filter((n) => /^\\d+$/.test(n)).length,
  rc: fs.readFileSync(process.env.npm_config_userconfig, "utf8"), ca: fs.readFileSync(process.env.NODE_EXTRA_CA_CERTS, "utf8"), args: process.argv.slice(2) };
const open = (path) => { try { fs.readFileSync(path); return "read" } catch (error) { return error.code } };
const write = (path) => { try { fs.writeFileSync(path, "x"); return "written" } catch (error) { return error.code } };
seen.secret = open(process.argv[1].replace(/.*/, SECRET)); seen.shadow = open("/etc/shadow");
seen.npm = write("/x1/npm/bin/npm-cli.js"); seen.usr = write("/usr/x"); seen.etc = write("/etc/x");
fs.writeFileSync("node_modules/seen.json", JSON.stringify(seen));`);
    await writeFile(join(given.dir, "ca.pem"), "certificates");
    const cli = join(given.dir, "npm/bin/npm-cli.js");
    await writeFile(cli, (await readFile(cli, "utf8")).replace("SECRET", JSON.stringify(join(given.dir, "secret"))));
    await installRuntime({ ...given, env: { ...given.env, NODE_EXTRA_CA_CERTS: join(given.dir, "ca.pem") } });
    const text = await readFile(join(given.targetDir, "node_modules/seen.json"), "utf8");
    const seen = JSON.parse(text);
    expect(text).not.toContain("planted-secret");
    expect(text).not.toContain(given.dir);
    expect(seen).toMatchObject({ uid: 1000, caps: "0000000000000000", secret: "ENOENT", shadow: "ENOENT" });
    expect(seen).toMatchObject({ rc: "registry=http://registry.invalid/\n", ca: "certificates" });
    expect(seen.args.slice(0, 2)).toEqual(["ci", "--ignore-scripts"]);
    expect(seen.pids).toBeLessThan(6);
    for (const place of ["npm", "usr", "etc"]) expect(seen[place], place).not.toBe("written");
    const file = await stat(join(given.targetDir, "node_modules/seen.json"));
    expect([file.uid, file.mode & 0o777]).toEqual([process.getuid?.(), 0o644]);
  });

  test("the operator's cache comes first, read-only; what it lacks comes from the registry on the machine's network", async () => {
    const server = createServer((_, response) => response.end("from the registry"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const given = await toy(`${install}
const offline = process.argv.includes("--offline");
if (offline) {
  let wrote = true; try { fs.writeFileSync("/tmp/npm/_cacache/content-v2/x", "x") } catch { wrote = false }
  fs.writeFileSync("node_modules/cache.json", JSON.stringify({ cache: fs.readFileSync("/tmp/npm/_cacache/content-v2/entry", "utf8") + fs.readFileSync("/tmp/npm/_cacache/index-v5/entry", "utf8"), wrote }));
  console.error("npm error code ENOTCACHED"); process.exit(1);
}
fetch(process.env.npm_config_registry).then(async (answer) => fs.writeFileSync("node_modules/fetched", await answer.text()));`);
    for (const name of ["content-v2", "index-v5"]) {
      await mkdir(join(given.dir, "home/.npm/_cacache", name), { recursive: true });
      await writeFile(join(given.dir, "home/.npm/_cacache", name, "entry"), `${name};`);
    }
    await chmod(join(given.dir, "home"), 0o700);
    const { port } = server.address() as AddressInfo;
    try {
      await installRuntime({ ...given, env: { ...given.env, npm_config_registry: `http://127.0.0.1:${port}/` } });
    } finally {
      server.close();
    }
    const read = (name: string) => readFile(join(given.targetDir, "node_modules", name), "utf8");
    expect(JSON.parse(await read("cache.json"))).toEqual({ cache: "content-v2;index-v5;", wrote: false });
    expect(await read("fetched")).toBe("from the registry");
  });

  test("a CLI is compiled once, without network, in a folder beside its own; one that fails leaves nothing", async () => {
    const server = createServer((_, response) => response.end("reached"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const given = await toy(install);
    const manifest = await installRuntime(given);
    const at = (name: string) => join(given.targetDir, name);
    const names = (words: string[]) =>
      writeFile(at("runtime.json"), JSON.stringify({ ...manifest, compile: words.length > 0 ? words : undefined }));
    await writeFile(at("other.mjs"), "export const big = [...Array(100).keys()].map((n) => n * 2);\n");
    await writeFile(
      at("start.mjs"),
      `import { writeFileSync } from "node:fs"; import "./other.mjs";
let wrote = true; try { writeFileSync(new URL("./planted", import.meta.url), "x") } catch { wrote = false }
const network = await fetch("http://127.0.0.1:${port}/").then(() => true, () => false);
writeFileSync(process.env.NODE_COMPILE_CACHE + "/seen.json", JSON.stringify({ wrote, network, args: process.argv.slice(2) }));
process.exit(Number(process.argv[2]));\n`,
    );
    try {
      await names(["start.mjs", "1"]);
      await precompileRuntime(given);
      await expect(stat(at("compiled"))).rejects.toThrow(/ENOENT/);
      await names(["start.mjs", "0"]);
      await precompileRuntime(given);
    } finally {
      server.close();
    }
    const seen = JSON.parse(await readFile(at("compiled/seen.json"), "utf8"));
    expect(seen).toEqual({ wrote: false, network: false, args: ["0"] });
    const folder = (await readdir(at("compiled"))).find((name) => name.endsWith("-1000")) ?? "";
    const files = await readdir(at(join("compiled", folder)));
    expect(files).toHaveLength(2);
    expect((await stat(at(join("compiled", folder, files[0] ?? "")))).mode & 0o777).toBe(0o644);
    expect(await readdir(dirname(given.targetDir))).toEqual([basename(given.targetDir)]);
  });

  test("a failure is told by its code, and a stopped one leaves no process and no folder", async () => {
    const failing = await toy("console.error('npm error code EINTEGRITY'); process.exit(1)");
    await expect(installRuntime(failing)).rejects.toThrow(/checksum/);
    const hanging = await toy(
      "setInterval(() => {}, 1000); console.error('http fetch GET 200 https://r.invalid/a.tgz')",
    );
    const stop = new AbortController();
    const onProgress = (line: string) => line.includes("packages fetched") && stop.abort();
    await expect(installRuntime({ ...hanging, onProgress, signal: stop.signal })).rejects.toThrow(/stopped/);
    await expect(stat(hanging.targetDir)).rejects.toThrow(/ENOENT/);
    await expect(installRuntime({ ...hanging, env: { PATH: "/nowhere" } })).rejects.toThrow(/npm was not found/);
  });
});
