import { execFile, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { cp, mkdir, readdir, readFile, realpath, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, dirname, isAbsolute, join } from "node:path";
import { promisify } from "node:util";
import { Fault, type RuntimeManifest } from "@x1agent/contract";
import type { ToolRun, ToolSandbox } from "@x1agent/driver-local";
import { readManifest } from "./catalogue.ts";

/** A registry that does not answer must not hold the caller for ever; a slow line may well take minutes. */
const INSTALL_MS = 15 * 60_000;
const MAX_OUTPUT = 64 * 1024;
/** Folder of a runtime with what V8 made of its CLI. */
const COMPILED = "compiled";

/**
 * Registry settings of the person who installs: npm needs them. Everything else of the environment stays out, and
 * nothing of it reaches a workspace.
 */
const passedOn =
  /^(PATH|HOME|USERPROFILE|LANG|LC_ALL|TMPDIR|SSL_CERT_FILE|SSL_CERT_DIR|NODE_EXTRA_CA_CERTS|(https?|no|all)_proxy|npm_config_.*)$/i;

export type InstallOptions = {
  /** `runtimes/<name>`: manifest, and `cli/` with the lock file. */
  runtimeDir: string;
  /** Folder that holds the CLI afterwards: `node_modules/`, what else is in `cli/`, and `runtime.json`. */
  targetDir: string;
  /** How npm is started, e.g. `["npm"]` or `[node, "/path/npm-cli.js"]`. */
  npm?: readonly string[];
  onProgress?: (line: string) => void;
  signal?: AbortSignal;
  env?: Readonly<Record<string, string | undefined>>;
  /** How npm is run so that it sees and changes nothing but its folder; absent: as a plain child, for tests. */
  sandbox?: ToolSandbox;
};

/**
 * Installs a runtime's CLI at the exact versions of its lock file: every package is checked against the checksum in the
 * lock, and no install script runs. Works in a folder beside the target and renames it into place, so a target is
 * always whole. Returns at once when that version is there. Rejects with a `Fault` that says what to do.
 */
export async function installRuntime(options: InstallOptions): Promise<RuntimeManifest> {
  const { runtimeDir, targetDir, onProgress = () => {} } = options;
  const manifest = await readManifest(join(runtimeDir, "runtime.json"));
  if (await isInstalled(targetDir, manifest)) return manifest;
  await mkdir(dirname(targetDir), { recursive: true });
  const staging = `${targetDir}.${randomUUID().slice(0, 8)}.partial`;
  try {
    await mkdir(staging, { mode: 0o755 });
    if (manifest.install) {
      onProgress(`${manifest.title} ${manifest.version}: fetching from the package registry`);
      const cli = join(runtimeDir, dirname(manifest.install.lock));
      await cp(cli, staging, { recursive: true, filter: (path) => !path.startsWith(join(cli, "node_modules")) });
      await checkLock(join(runtimeDir, manifest.install.lock), manifest.install.package, manifest.version);
      await runNpm({ ...options, onProgress }, staging, manifest);
      await checkVersion(staging, manifest.install.package, manifest.version);
    }
    await writeFile(join(staging, "runtime.json"), `${JSON.stringify(manifest, null, 2)}\n`);
    // Whoever runs in a workspace is another user: it may read and start this, and nobody else may change it.
    await promisify(execFile)("chmod", ["-R", "a+rX,go-w", staging]);
    await replace(staging, targetDir, manifest);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  onProgress(`${manifest.title} ${manifest.version}: installed`);
  return manifest;
}

const COMPILE_MS = 60_000;

/**
 * Runs what the manifest's `compile` names (a program below the runtime's folder and its arguments) once, as a workspace
 * would see it, and keeps what V8 compiled in `compiled/`: the CLI's starts then read that instead. It runs without network
 * and sees the folder read-only. Does nothing where the manifest names nothing; a failure makes starts slower and is none.
 * Rejects never.
 */
export async function precompileRuntime(options: {
  /** The installed runtime, complete. */
  targetDir: string;
  sandbox: ToolSandbox;
  signal?: AbortSignal;
}): Promise<void> {
  const { targetDir, sandbox } = options;
  const folder = `${targetDir}.${randomUUID().slice(0, 8)}.partial`;
  try {
    const { compile } = await readManifest(join(targetDir, "runtime.json"));
    const words = Array.isArray(compile) ? compile.filter((word) => typeof word === "string") : [];
    const [program, ...args] = words;
    if (program === undefined || existsSync(join(targetDir, COMPILED))) return;
    await mkdir(folder, { mode: 0o755 });
    const timeout = AbortSignal.timeout(COMPILE_MS);
    const { exitCode } = await sandbox({
      argv: ["/x1/node/bin/node", `/x1/app/${program}`, ...args],
      env: { NODE_COMPILE_CACHE: "/workspace" },
      ...{ folder, network: false, home: {}, onText: () => {} },
      readOnly: [
        { source: process.execPath, target: "/x1/node/bin/node" },
        { source: targetDir, target: "/x1/app" },
      ],
      signal: options.signal ? AbortSignal.any([options.signal, timeout]) : timeout,
    });
    if (exitCode !== 0) return;
    await promisify(execFile)("chmod", ["-R", "a+rX,go-w", folder]);
    await rename(folder, join(targetDir, COMPILED));
  } catch {
    // Said above.
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Whether this very version is there as a whole. */
export async function isInstalled(targetDir: string, manifest: RuntimeManifest): Promise<boolean> {
  if (!existsSync(join(targetDir, "runtime.json"))) return false;
  try {
    if ((await readManifest(join(targetDir, "runtime.json"))).version !== manifest.version) return false;
    if (manifest.install) await checkVersion(targetDir, manifest.install.package, manifest.version);
    return true;
  } catch {
    return false;
  }
}

/** Removes what an interrupted installation left behind. */
export async function sweepPartialInstalls(directory: string): Promise<void> {
  for (const entry of await readdir(directory).catch(() => []))
    if (entry.endsWith(".partial")) await rm(join(directory, entry), { recursive: true, force: true });
}

type Lock = { packages?: Record<string, { version?: string; integrity?: string; link?: boolean; inBundle?: boolean }> };

/** The lock must name the manifest's version, and a checksum for every package: npm checks only those that have one. */
async function checkLock(path: string, name: string, version: string): Promise<void> {
  const { packages = {} } = JSON.parse(await readFile(path, "utf8")) as Lock;
  const locked = packages[`node_modules/${name}`]?.version;
  if (locked !== version)
    throw new Fault("internal", `${path} locks ${name} at ${locked}, the manifest says ${version}: make them one.`);
  const unchecked = Object.entries(packages).find(([key, entry]) => key && !entry.integrity && !entry.inBundle);
  if (unchecked) throw new Fault("internal", `${path} has no checksum for ${unchecked[0]}: make the lock file anew.`);
}

async function checkVersion(directory: string, name: string, version: string): Promise<void> {
  const path = join(directory, "node_modules", name, "package.json");
  const found = JSON.parse(await readFile(path, "utf8")) as { version?: string };
  if (found.version !== version)
    throw new Fault(
      "internal",
      `${path} is version ${found.version} instead of ${version}: remove it and install again.`,
    );
}

/** Puts the finished folder into place; a broken one that was there goes first, a whole one of a quicker install stays. */
async function replace(staging: string, target: string, manifest: RuntimeManifest): Promise<void> {
  for (let attempt = 0; attempt < 3; attempt += 1) {
    if (await isInstalled(target, manifest)) return;
    await rm(target, { recursive: true, force: true });
    try {
      return await rename(staging, target);
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (code !== "ENOTEMPTY" && code !== "EEXIST") throw cause;
    }
  }
  throw new Fault("conflict", `${target} is being changed by somebody else: repeat the installation.`);
}

async function runNpm(
  options: InstallOptions & { onProgress: (line: string) => void },
  cwd: string,
  manifest: RuntimeManifest,
): Promise<void> {
  const source = options.env ?? process.env;
  const timeout = AbortSignal.timeout(INSTALL_MS);
  const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
  let output = "";
  let fetched = 0;
  const onText = (text: string) => {
    output = (output + text).slice(-MAX_OUTPUT);
    // Each fetch is a line of npm's; its address is nobody's business, the number is the progress.
    const more = text.match(/http fetch GET 200 .*\.tgz/g)?.length ?? 0;
    if (more === 0) return;
    fetched += more;
    options.onProgress(`${manifest.title} ${manifest.version}: ${fetched} packages fetched`);
  };
  const failure = options.sandbox
    ? await inSandbox(options.sandbox, { cwd, source, signal, onText, restart: () => (output = "") })
    : await asChild(options.npm ?? ["npm"], { cwd, source, signal, onText });
  if (failure === null) return;
  throw npmFault(manifest, /code (E\w+)/.exec(output)?.[1] ?? failure, output);
}

const flags = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=http"];

type NpmRun = {
  cwd: string;
  source: Readonly<Record<string, string | undefined>>;
  signal: AbortSignal;
  onText: (text: string) => void;
};

/** Runs npm as a plain child. Answers with what went wrong, or null. */
async function asChild(npm: readonly string[], { cwd, source, signal, onText }: NpmRun): Promise<string | null> {
  const [program = "npm", ...args] = npm;
  const env = Object.fromEntries(
    Object.entries(source).filter(([name, value]) => value !== undefined && passedOn.test(name)),
  );
  // npm leaves out optional packages that want a newer Node than it runs on, so it gets the one that runs this.
  env.PATH = [dirname(process.execPath), env.PATH].filter(Boolean).join(delimiter);
  const stdio = ["ignore", "pipe", "pipe"] as const;
  const child = spawn(program, [...args, ...flags], {
    cwd,
    env: env as Record<string, string>,
    stdio: [...stdio],
    signal,
  });
  child.stdout?.setEncoding("utf8").on("data", onText);
  child.stderr?.setEncoding("utf8").on("data", onText);
  return new Promise((resolve) => {
    child.once("error", (cause: NodeJS.ErrnoException) => resolve(cause.code ?? cause.name));
    child.once("close", (code) => resolve(code === 0 ? null : `exit code ${code}`));
  });
}

/** Settings that say where packages come from and how they are reached; folders of the machine are named anew inside. */
const sandboxed =
  /^((https?|no|all)_proxy|npm_config_(registry|(https?_)?proxy|noproxy|ca|strict_ssl|fetch_.*|maxsockets|\/\/.*|@.*))$/i;
/** Settings whose value is a file. */
const certificates = /^(SSL_CERT_FILE|NODE_EXTRA_CA_CERTS|npm_config_cafile)$/i;

/**
 * Runs npm in the sandbox: first from the operator's cache, which is only read, then, when that lacks something, from
 * the registry by the operator's settings.
 */
async function inSandbox(
  sandbox: ToolSandbox,
  { cwd, source, signal, onText, restart }: NpmRun & { restart: () => void },
): Promise<string | null> {
  const cli = await findNpm(source);
  if (cli === null) return "ENOENT";
  const userHome = source.HOME ?? homedir();
  const rc = source.npm_config_userconfig ?? join(userHome, ".npmrc");
  const settings = await readFile(rc, "utf8").catch(() => "");
  const set = Object.entries(source).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const readOnly: { source: string; target: string }[] = [];
  const place = (path: string): string => {
    const target = `/x1/certificates/${readOnly.length}`;
    readOnly.push({ source: path, target });
    return target;
  };
  const named = /^\s*cafile\s*=\s*"?([^"\n]+?)"?\s*$/m.exec(settings)?.[1];
  const trusted = Object.fromEntries(
    [...(named ? [["npm_config_cafile", named] as const] : []), ...set]
      .filter(([name, path]) => certificates.test(name) && isAbsolute(path) && existsSync(path))
      .map(([name, path]) => [name, place(path)]),
  );
  const npmDir = dirname(dirname(cli));
  if (!npmDir.startsWith("/usr/")) readOnly.push({ source: npmDir, target: "/x1/npm" });
  readOnly.push({ source: process.execPath, target: "/x1/node/bin/node" });
  const cacheDir = source.npm_config_cache ?? join(userHome, ".npm");
  const cached = ["content-v2", "index-v5"].every((name) => existsSync(join(cacheDir, "_cacache", name)));
  const env = {
    ...Object.fromEntries(set.filter(([name]) => sandboxed.test(name))),
    ...trusted,
    PATH: "/x1/node/bin:/usr/bin:/bin",
    npm_config_userconfig: "/home/agent/.npmrc",
    npm_config_update_notifier: "false",
    npm_config_logs_max: "0",
  };
  const program = npmDir.startsWith("/usr/") ? cli : "/x1/npm/bin/npm-cli.js";
  const attempt = async (more: Pick<ToolRun, "readOnly" | "copies">, ...args: string[]): Promise<string | null> => {
    restart();
    const { exitCode } = await sandbox({
      ...{
        argv: ["/x1/node/bin/node", program, ...flags, "--cache=/tmp/npm", ...args],
        env,
        folder: cwd,
        signal,
        onText,
      },
      ...{ ...more, readOnly: [...readOnly, ...more.readOnly], home: { ".npmrc": settings } },
    });
    if (signal.aborted) return "AbortError";
    return exitCode === 0 ? null : `exit code ${exitCode}`;
  };
  if (cached) {
    // npm tidies the index while it reads; without that it takes the cache for empty.
    const index = { source: join(cacheDir, "_cacache/index-v5"), path: "npm/_cacache/index-v5" };
    const content = { source: join(cacheDir, "_cacache/content-v2"), target: "/tmp/npm/_cacache/content-v2" };
    const failure = await attempt({ readOnly: [content], copies: [index] }, "--offline");
    if (failure === null || failure === "AbortError") return failure;
  }
  return attempt({ readOnly: [] });
}

/** npm's program, as it was started or as it is found on the search path; null without one. */
async function findNpm(env: Readonly<Record<string, string | undefined>>): Promise<string | null> {
  const candidates = [
    ...(env.npm_execpath ? [env.npm_execpath] : []),
    ...(env.PATH ?? "")
      .split(delimiter)
      .filter(isAbsolute)
      .map((folder) => join(folder, "npm")),
  ];
  for (const candidate of candidates) {
    const path = await realpath(candidate).catch(() => "");
    if (path.endsWith("/bin/npm-cli.js")) return path;
  }
  return null;
}

const unreachable =
  /^(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT|ENOTCACHED|SELF_SIGNED.*|UNABLE_TO.*|DEPTH_ZERO.*|CERT_.*)$/;

function npmFault(manifest: RuntimeManifest, failure: string, output: string): Fault {
  const what = `${manifest.title} ${manifest.version} was not installed`;
  if (failure === "ENOENT") return new Fault("unavailable", `${what}: npm was not found. Install npm and repeat.`);
  if (failure === "AbortError" || failure === "ABORT_ERR" || failure === "TimeoutError")
    return new Fault(
      "unavailable",
      `${what}: it was stopped or took longer than ${INSTALL_MS / 60_000} minutes. Repeat it.`,
    );
  if (failure === "EINTEGRITY")
    return new Fault(
      "unavailable",
      `${what}: a package does not have the checksum of the lock file. Do not use it; find out who changed it.`,
    );
  if (unreachable.test(failure) || /network|getaddrinfo|socket/i.test(output))
    return new Fault(
      "unavailable",
      `${what}: the package registry cannot be reached (${failure}). Check the network, or npm's registry and proxy settings, and repeat.`,
    );
  if (/^(E404|ETARGET)$/.test(failure))
    return new Fault(
      "unavailable",
      `${what}: the package registry does not have a package of the lock file (${failure}). Use another registry.`,
    );
  return new Fault("unavailable", `${what}: npm failed (${failure}).`, { cause: new Error(output.slice(-2_000)) });
}
