import { execFile, spawnSync } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildOverlay, buildRuntimeApp } from "./build.ts";

const run = promisify(execFile);
let dir: string;
let root: string;
let outDir: string;

/** Sources of a few lines: that the real ones bundle is shown by every test that starts the service. */
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "x1-overlay-"));
  root = join(dir, "root");
  outDir = join(dir, "overlay");
  for (const name of ["agent", "sidecar", "contract"])
    await mkdir(join(root, "packages", name, "src"), { recursive: true });
  await writeFile(join(root, "packages/contract/src/index.ts"), "export const word: string = 'shared';\n");
  const program = (name: string) =>
    `import { word } from "../../contract/src/index.ts"; import { createRequire } from "node:module"; console.log("${name}", word, typeof createRequire);\n`;
  await writeFile(join(root, "packages/agent/src/main.ts"), program("host"));
  await writeFile(join(root, "packages/agent/src/forward.ts"), program("forward"));
  await writeFile(join(root, "packages/agent/src/gh.ts"), "console.log('gh', ...process.argv.slice(2));\n");
  await writeFile(join(root, "packages/sidecar/src/main.ts"), program("sidecar"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** What Node says of a program's compiled form where the folder is seen elsewhere, as it is inside. */
async function saidOfCompiled(node: string, folder: string, file: string): Promise<string> {
  const elsewhere = await mkdtemp(join(dir, "elsewhere-"));
  await cp(folder, elsewhere, { recursive: true });
  const compiled = join(elsewhere, "compiled");
  const [name = ""] = await readdir(compiled);
  expect(name).toMatch(/-1000$/);
  await rename(join(compiled, name), join(compiled, name.replace(/1000$/, String(process.getuid?.()))));
  const env = {
    NODE_COMPILE_CACHE: compiled,
    NODE_COMPILE_CACHE_PORTABLE: "1",
    NODE_DEBUG_NATIVE: "COMPILE_CACHE",
  };
  return (await run(node, [join(elsewhere, file)], { env })).stderr;
}

test("builds once, finds it again at once, and builds anew when a source changed", async () => {
  const [first, beside] = await Promise.all([buildOverlay({ root, outDir }), buildOverlay({ root, outDir })]);
  expect(beside.dir).toBe(first.dir);
  expect(await readdir(outDir)).toHaveLength(1);
  for (const [file, word] of [
    ["agent/host.mjs", "host"],
    ["agent/forward.mjs", "forward"],
    ["sidecar/sidecar.mjs", "sidecar"],
  ] as const) {
    const { stdout } = await run(join(first.dir, "runtime/bin/node"), [join(first.dir, file)]);
    expect(stdout).toBe(`${word} shared function\n`);
  }
  expect((await stat(join(first.dir, "sidecar/node"))).mode & 0o777).toBe(0o111);
  for (const [folder, file] of [
    ["agent", "host.mjs"],
    ["sidecar", "sidecar.mjs"],
  ] as const)
    expect(await saidOfCompiled(join(first.dir, "runtime/bin/node"), join(first.dir, folder), file), folder).toContain(
      "was accepted",
    );
  const made = await stat(join(first.dir, "agent/host.mjs"), { bigint: true });
  expect(await buildOverlay({ root, outDir })).toEqual(first);
  expect(await stat(join(first.dir, "agent/host.mjs"), { bigint: true })).toMatchObject({
    ino: made.ino,
    ctimeNs: made.ctimeNs,
  });
  await writeFile(join(root, "packages/contract/src/index.ts"), "export const word: string = 'changed';\n");
  const second = await buildOverlay({ root, outDir });
  expect(second.dir).not.toBe(first.dir);
  expect((await run(process.execPath, [join(second.dir, "agent/host.mjs")])).stdout).toContain("changed");
});

test("what is bundled starts without fetch and without other languages, and no bundler stays", async () => {
  const lean = join(dir, "lean");
  for (const name of ["agent", "sidecar"]) await mkdir(join(lean, "packages", name, "src"), { recursive: true });
  const zod = JSON.stringify(
    createRequire(import.meta.url)
      .resolve("zod")
      .replace(/cjs$/, "js"),
  );
  const program = `import { createServer } from "node:http"; import * as https from "node:https"; import { z } from ${zod};
const seen = z.string().safeParse(1).error.issues[0].message;
console.log(JSON.stringify([typeof createServer, typeof https.request, seen, Object.keys(z.locales), process.moduleLoadList.some((name) => /undici/.test(name))]));
process.getBuiltinModule("node:http").WebSocket;
console.log(process.moduleLoadList.some((name) => /undici/.test(name)));\n`;
  for (const file of ["agent/src/main.ts", "agent/src/forward.ts", "agent/src/gh.ts", "sidecar/src/main.ts"])
    await writeFile(join(lean, "packages", file), program);
  const overlay = await buildOverlay({ root: lean, outDir: join(dir, "lean-overlay") });
  const { stdout } = await run(process.execPath, [join(overlay.dir, "agent/host.mjs")]);
  // The second line shows that the look at the list would have found it.
  expect(stdout.trim().split("\n")).toEqual([
    '["function","function","Invalid input: expected string, received number",["en"],false]',
    "true",
  ]);
  const children = await readFile(`/proc/self/task/${process.pid}/children`, "utf8");
  const names = children.split(" ").map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => ""));
  expect((await Promise.all(names)).filter((name) => name.includes("esbuild"))).toEqual([]);
});

test("a broken source leaves no overlay behind", async () => {
  const broken = join(dir, "broken");
  for (const name of ["agent", "sidecar"]) await mkdir(join(broken, "packages", name, "src"), { recursive: true });
  await writeFile(join(broken, "packages/agent/src/main.ts"), "import './absent.ts';\n");
  await expect(buildOverlay({ root: broken, outDir: join(dir, "none") })).rejects.toThrow();
  expect(await readdir(join(dir, "none"))).toEqual([]);
});

test("the credential helper gives the job token to the sidecar's git proxy only", async () => {
  const overlay = await buildOverlay({ root, outDir });
  const ask = (request: string, action = "get", env: Record<string, string> = { X1_JOB_TOKEN: "job-token" }) =>
    spawnSync(join(overlay.dir, "bin/git-credential-x1"), [action], {
      input: request,
      env: { PATH: "/usr/bin:/bin", ...env },
      encoding: "utf8",
    }).stdout;
  expect(ask("protocol=http\nhost=127.0.0.1:9090\n\n")).toBe("username=x1\npassword=job-token\n");
  expect(ask("protocol=https\nhost=127.0.0.1:9090\n\n")).toBe("");
  expect(ask("protocol=http\nhost=example.com\n\n")).toBe("");
  expect(ask("protocol=http\nhost=127.0.0.1:9090.example.com\n\n")).toBe("");
  expect(ask("protocol=http\nhost=127.0.0.1:9090\n\n", "store")).toBe("");
  expect(ask("protocol=http\nhost=127.0.0.1:9090\n\n", "get", {})).toBe("");
});

test("gh and the entrypoint start what they stand for, from wherever the overlay is", async () => {
  const overlay = await buildOverlay({ root, outDir });
  const gh = spawnSync("gh", ["pr", "view a b"], {
    encoding: "utf8",
    env: { PATH: `${join(overlay.dir, "bin")}:/usr/bin:/bin` },
  });
  expect(gh.stdout).toBe("gh pr view a b\n");
  const entrypoint = spawnSync(join(overlay.dir, "bin/entrypoint"), ["/bin/echo", "given"], { encoding: "utf8" });
  expect(entrypoint.stdout).toBe("given\n");
});

test("a runtime's adapter and its listed entries are bundled beside the manifest", async () => {
  const runtimeDir = join(dir, "runtime");
  await mkdir(runtimeDir);
  const manifest = {
    ...{
      name: "sample",
      title: "Sample",
      version: "1.0.0",
      contract: "1.0",
      license: "Apache-2.0",
      redistributable: true,
    },
    ...{
      capabilities: [],
      api: "openai-chat",
      provider: "p",
      defaultModel: "m",
      install: null,
      sessionFiles: [],
      bundle: ["cli.ts"],
    },
  };
  await writeFile(join(runtimeDir, "runtime.json"), JSON.stringify(manifest));
  await writeFile(join(runtimeDir, "adapter.ts"), "export default { start: async (): Promise<number> => 1 };\n");
  await writeFile(join(runtimeDir, "cli.ts"), "console.log('cli' as string);\n");
  const app = join(dir, "app");
  expect((await buildRuntimeApp({ runtimeDir, outDir: app })).name).toBe("sample");
  expect((await readdir(app)).sort()).toEqual(["adapter.mjs", "cli.mjs", "runtime.json"]);
  expect(JSON.parse(await readFile(join(app, "runtime.json"), "utf8")).bundle).toEqual(["cli.ts"]);
  expect((await run(process.execPath, [join(app, "cli.mjs")])).stdout).toBe("cli\n");
  await writeFile(join(runtimeDir, "runtime.json"), JSON.stringify({ ...manifest, bundle: ["../outside.ts"] }));
  await expect(buildRuntimeApp({ runtimeDir, outDir: app })).rejects.toThrow(/not a file name/);
});
