import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmod,
  copyFile,
  link,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { RuntimeManifest as ManifestSchema, type RuntimeManifest } from "@x1agent/contract";
import { build, version as esbuildVersion, type Plugin, stop } from "esbuild";

/**
 * Builds what every workspace mounts at `/x1`: the node binary, the host, the forwarder, the sidecar and a few small
 * programs. The folder is named by a digest of all its inputs, so a second start finds it and builds nothing.
 */
export type OverlayOptions = {
  /** Overlays lie below as `<outDir>/<digest>`. */
  outDir: string;
  /** Node binary for inside; by default the one that runs this. */
  node?: string;
  /** Folder that holds `packages/`. */
  root: string;
};

const entries = {
  "agent/host.mjs": "packages/agent/src/main.ts",
  "agent/forward.mjs": "packages/agent/src/forward.ts",
  "agent/gh.mjs": "packages/agent/src/gh.ts",
  "sidecar/sidecar.mjs": "packages/sidecar/src/main.ts",
} as const;

/** Raised when the layout changes in a way that no input shows. */
const LAYOUT = 4;

/** What starts with every workspace; see `precompile`. */
const started = ["agent/host.mjs", "sidecar/sidecar.mjs"] as const;
const COMPILE_MS = 30_000;
/** Everybody inside. */
const INSIDE_UID = 1000;

const programs: Record<string, string> = {
  "bin/entrypoint": `#!/bin/sh
# Starts what the runtime provides; without that, the command given.
if [ -x /x1/app/entrypoint ]; then exec /x1/app/entrypoint "$@"; fi
if [ "$#" -gt 0 ]; then exec "$@"; fi
exec /x1/runtime/bin/node /x1/agent/host.mjs
`,
  "bin/gh": `#!/bin/sh
# The part of GitHub's program that works without a token: see agent/gh.mjs. Found beside this file, wherever the overlay is.
here=\${0%/*}
exec "$here/../runtime/bin/node" "$here/../agent/gh.mjs" "$@"
`,
  "bin/git-credential-x1": `#!/bin/sh
# git credential helper: gives the job token to the sidecar's git proxy and nothing to anybody else.
[ "\${1-}" = get ] || exit 0
protocol= host=
while IFS='=' read -r key value && [ -n "$key" ]; do
  case "$key" in
    protocol) protocol=$value ;;
    host) host=$value ;;
  esac
done
[ "$protocol" = http ] && [ "$host" = 127.0.0.1:9090 ] && [ -n "\${X1_JOB_TOKEN-}" ] || exit 0
printf 'username=x1\\npassword=%s\\n' "$X1_JOB_TOKEN"
`,
};

const gitconfig = `[safe]
	directory = *
[init]
	defaultBranch = main
[user]
	name = agent
	email = agent@localhost
[credential]
	helper =
	helper = /x1/bin/git-credential-x1
`;

/** npm takes a token from a file only, by host; the variable is the job's own. */
const npmrc = `//127.0.0.1:9090/:_authToken=\${X1_JOB_TOKEN}
`;

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

/**
 * Digest of the inputs without bundling them: every source file of the packages that end up inside, by size and time of
 * change, and the node binary likewise. A bundle whose sources were only touched is built again, which is harmless.
 */
async function inputDigest(options: Required<OverlayOptions>): Promise<string> {
  const hash = createHash("sha256");
  hash.update(JSON.stringify([LAYOUT, esbuildVersion, programs, gitconfig, npmrc]));
  // The lock file stands for the versions of what is bundled from node_modules.
  const lock = join(options.root, "package-lock.json");
  const files: string[] = [options.node, ...((await exists(lock)) ? [lock] : [])];
  for (const name of ["agent", "sidecar", "contract"]) {
    const dir = join(options.root, "packages", name, "src");
    for (const file of await readdir(dir, { recursive: true }).catch(() => [])) files.push(join(dir, file));
  }
  for (const file of files.sort()) {
    const info = await stat(file);
    if (info.isFile()) hash.update(`${file}\0${info.size}\0${info.mtimeMs}\0`);
  }
  return hash.digest("hex");
}

/**
 * What would make each start of a host or sidecar slower for nothing, together half of its time: an `import` of
 * `node:http` reads all its exports, and one of those loads the whole of `fetch`; error texts in 50 languages.
 */
const lean: Plugin = {
  name: "lean",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:https?$/ }, ({ path }) => ({ path, namespace: "builtin" }));
    onLoad({ filter: /./, namespace: "builtin" }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)});`,
    }));
    onLoad({ filter: /\/zod\/v4\/locales\/index\.js$/ }, () => ({
      contents: 'export { default as en } from "./en.js";',
    }));
  },
};

let bundling = 0;

/** Bundles one entry as a single ES module for the node binary inside. */
async function bundle(entry: string, outfile: string): Promise<void> {
  bundling += 1;
  try {
    await bundleOne(entry, outfile);
  } finally {
    bundling -= 1;
    // Its process would stay for as long as ours.
    if (bundling === 0) await stop();
  }
}

async function bundleOne(entry: string, outfile: string): Promise<void> {
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node22",
    legalComments: "none",
    logLevel: "silent",
    plugins: [lean],
    // Bundled CommonJS code calls require for node's own modules.
    banner: {
      js: 'import { createRequire as x1CreateRequire } from "node:module"; const require = x1CreateRequire(import.meta.url);',
    },
  });
}

/**
 * Keeps what V8 makes of a program in `compiled/` beside it, where Node reads it by the variables of `compiledBeside`: a
 * start then compiles nothing, which is a fifth of it. Node names the folder by its own version, the processor and the uid;
 * one that does not fit, or none, is a slower start and nothing else, so a failure here is none.
 */
async function precompile(program: string, node: string): Promise<void> {
  const compiled = join(dirname(program), "compiled");
  // Without a boot document a program ends by itself; it has loaded all that it needs by then.
  const running = promisify(execFile)(node, [program, "--compile"], {
    env: { NODE_COMPILE_CACHE: compiled, NODE_COMPILE_CACHE_PORTABLE: "1" },
    timeout: COMPILE_MS,
  });
  running.child.stdin?.end();
  await running.catch(() => {});
  for (const name of await readdir(compiled).catch(() => [])) {
    const folder = join(compiled, name);
    for (const file of await readdir(folder)) await chmod(join(folder, file), 0o644);
    await chmod(folder, 0o755);
    await rename(folder, join(compiled, name.replace(/-\d+$/, `-${INSIDE_UID}`)));
  }
  await chmod(compiled, 0o755).catch(() => {});
}

/** Hard link where the file system allows it (a node binary has 100 MB), else a copy. */
async function place(source: string, target: string, mode: number, mayLink: boolean): Promise<void> {
  await mkdir(dirname(target), { recursive: true, mode: 0o755 });
  const shared =
    mayLink &&
    ((await stat(source)).mode & 0o777) === mode &&
    (await link(source, target).then(
      () => true,
      () => false,
    ));
  if (!shared) {
    await copyFile(source, target);
    await chmod(target, mode);
  }
}

/** Builds the overlay, or finds it. */
export async function buildOverlay(options: OverlayOptions): Promise<{ dir: string; digest: string }> {
  const full = { node: process.execPath, ...options };
  const digest = await inputDigest(full);
  const dir = join(options.outDir, digest.slice(0, 32));
  if (await exists(join(dir, "complete"))) return { dir, digest };
  await mkdir(options.outDir, { recursive: true, mode: 0o755 });
  // Built beside and renamed: two services starting at once both succeed, and a broken build is never found.
  const building = await mkdtemp(join(options.outDir, "building-"));
  try {
    await chmod(building, 0o755);
    await Promise.all(
      Object.entries(entries).map(async ([target, source]) =>
        bundle(join(options.root, source), join(building, target)),
      ),
    );
    await place(full.node, join(building, "runtime/bin/node"), 0o755, true);
    // Execute-only: the kernel makes such a process non-dumpable, so that its memory is closed to its own uid.
    await place(full.node, join(building, "sidecar/node"), 0o111, false);
    await Promise.all(started.map((name) => precompile(join(building, name), full.node)));
    for (const [name, text] of Object.entries(programs)) {
      await mkdir(dirname(join(building, name)), { recursive: true, mode: 0o755 });
      await writeFile(join(building, name), text, { mode: 0o755 });
    }
    await mkdir(join(building, "etc"), { mode: 0o755 });
    await writeFile(join(building, "etc/gitconfig"), gitconfig, { mode: 0o644 });
    await writeFile(join(building, "etc/npmrc"), npmrc, { mode: 0o644 });
    await writeFile(join(building, "complete"), `${digest}\n`, { mode: 0o644 });
    await rename(building, dir).catch(async (error: unknown) => {
      if (!(await exists(join(dir, "complete")))) throw error;
    });
  } finally {
    await rm(building, { recursive: true, force: true });
  }
  return { dir, digest };
}

/** Bundles a runtime's adapter and what its manifest lists beside it; `outDir` becomes the folder for `/x1/app`. */
export async function buildRuntimeApp(options: { runtimeDir: string; outDir: string }): Promise<RuntimeManifest> {
  const manifest = ManifestSchema.parse(JSON.parse(await readFile(join(options.runtimeDir, "runtime.json"), "utf8")));
  await mkdir(options.outDir, { recursive: true, mode: 0o755 });
  const extra = Array.isArray(manifest.bundle) ? manifest.bundle.filter((entry) => typeof entry === "string") : [];
  await bundle(join(options.runtimeDir, "adapter.ts"), join(options.outDir, manifest.adapter));
  for (const entry of extra) {
    if (!/^[\w-]+\.ts$/.test(entry))
      throw new TypeError(`runtime.json: bundle entry ${JSON.stringify(entry)} is not a file name.`);
    await bundle(join(options.runtimeDir, entry), join(options.outDir, entry.replace(/\.ts$/, ".mjs")));
  }
  await copyFile(join(options.runtimeDir, "runtime.json"), join(options.outDir, "runtime.json"));
  return manifest;
}
