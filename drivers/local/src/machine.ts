import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { access, copyFile, lstat, mkdir, readFile, readlink, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import type { Tools } from "./sandbox.ts";
import { CA_PATH, etcFiles, type UsrEntry } from "./spec.ts";

/** What this machine has: programs, the layout of `/usr`, the files from which an `/etc` is made. */
const run = promisify(execFile);
const programFolders = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];

async function program(name: string): Promise<string | null> {
  for (const folder of programFolders) {
    try {
      await access(join(folder, name), constants.X_OK);
      return join(folder, name);
    } catch {
      // Look in the next one.
    }
  }
  return null;
}

/** Finds the launcher programs in the system's own folders; never by the caller's PATH. */
export async function findTools(): Promise<Tools> {
  const [bwrap, unshare, perl, prlimit, bash, setpriv] = await Promise.all(
    ["bwrap", "unshare", "perl", "prlimit", "bash", "setpriv"].map(program),
  );
  return {
    bwrap: bwrap ?? null,
    unshare: unshare ?? null,
    perl: perl ?? null,
    prlimit: prlimit ?? null,
    bash: bash ?? null,
    setpriv: setpriv ?? null,
    architecture: process.arch === "arm64" ? "aarch64" : "x86_64",
  };
}

/** Top-level names that belong to `/usr` on this machine. */
export async function usrEntries(): Promise<UsrEntry[]> {
  const entries = await Promise.all(
    ["/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32"].map(async (path): Promise<UsrEntry | null> => {
      const stat = await lstat(path).catch(() => null);
      if (!stat) return null;
      return { path, link: stat.isSymbolicLink() ? await readlink(path) : null };
    }),
  );
  return entries.filter((entry) => entry !== null);
}

export const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

const bundles = [CA_PATH, "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem"];

/** Writes one `/etc` as a folder, replacing an older one at once. */
export async function makeEtc(dir: string, options: { sidecar: boolean; caBundle: string | undefined }): Promise<void> {
  const building = `${dir}.new`;
  await rm(building, { recursive: true, force: true });
  await mkdir(join(building, "ssl/certs"), { recursive: true, mode: 0o755 });
  const read = (path: string): Promise<string> => readFile(path, "utf8").catch(() => "");
  const files = etcFiles({
    sidecar: options.sidecar,
    resolv: await read("/etc/resolv.conf"),
    hosts: await read("/etc/hosts"),
    nsswitch: await read("/etc/nsswitch.conf"),
  });
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(building, name)), { recursive: true });
    await writeFile(join(building, name), text, { mode: 0o644 });
  }
  for (const path of [
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/ssl/openssl.cnf",
    "/etc/mime.types",
    "/etc/services",
    "/etc/protocols",
  ]) {
    await copyFile(path, join(building, path.slice("/etc/".length))).catch(() => {});
  }
  if (await exists("/etc/alternatives")) await mkdir(join(building, "alternatives"));
  for (const bundle of [options.caBundle, ...bundles]) {
    if (bundle === undefined || !(await exists(bundle))) continue;
    await copyFile(bundle, join(building, CA_PATH.slice("/etc/".length)));
    break;
  }
  await rm(dir, { recursive: true, force: true });
  await rename(building, dir);
}

/** Exit status of a short program, bounded; for `probe`. */
export async function tryProgram(
  file: string,
  args: string[],
  timeoutMs: number,
): Promise<{ ok: boolean; detail: string; output: string }> {
  try {
    const { stdout } = await run(file, args, {
      ...{ env: {}, timeout: timeoutMs, killSignal: "SIGKILL", maxBuffer: 64 * 1024 },
    });
    return { ok: true, detail: "", output: stdout };
  } catch (error) {
    const stderr = (error as { stderr?: string }).stderr?.trim();
    return { ok: false, detail: stderr || (error as Error).message, output: "" };
  }
}

/** What a kernel forbids fails at once; what works may take its time on a busy machine. */
const TRY_MS = 30_000;
/** Milliseconds before each further try: what fails once may be a moment of this machine, what fails each time is its setting. */
export const AGAIN_MS = [50, 500];

/** Runs a short program that may be repeated until it succeeds, at most three times; what it said the last time otherwise. */
export async function tryAgain(argv: readonly string[]): ReturnType<typeof tryProgram> {
  const once = () => tryProgram(argv[0] as string, argv.slice(1), TRY_MS);
  let tried = await once();
  for (const ms of AGAIN_MS) {
    if (tried.ok) break;
    await pause(ms);
    tried = await once();
  }
  return tried;
}
