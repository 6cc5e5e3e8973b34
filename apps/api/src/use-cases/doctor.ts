import { execFile } from "node:child_process";
import { access, constants, statfs } from "node:fs/promises";
import type { Doctor } from "@x1agent/contract";
import type { WorkspaceDriver } from "@x1agent/workspaces";
import type { RuntimeShelf } from "./runtimes.ts";

type Check = Doctor["checks"][number];
export type DoctorDeps = {
  driver: Pick<WorkspaceDriver, "probe">;
  runtimes: Pick<RuntimeShelf, "list">;
  dataDir: string;
  blobsDir: string;
  /** Answers when the database does. */
  pingDatabase(): Promise<void>;
};

/** Nobody waits longer than this for a doctor; a check that does not answer has failed. */
const CHECK_MS = 5_000;
/** Below this a checkout, its set-up and the database soon run out of room. */
const LEAST_FREE_BYTES = 2 * 1024 ** 3;

/** Looks at everything a job needs here, all at once; each finding says what to do, with the command where there is one. */
export async function examine(deps: DoctorDeps): Promise<Doctor> {
  const [own, probe] = await Promise.all([
    Promise.all([
      node(),
      git(),
      database(deps),
      folder("data directory", deps.dataDir),
      folder("blob store", deps.blobsDir),
      runtimes(deps),
    ]),
    bounded(deps.driver.probe()).catch((error: Error) => ({
      report: null,
      checks: [{ name: "isolation", ok: false, detail: error.message, fix: null }],
    })),
  ]);
  const checks = [...own, ...probe.checks];
  return { ok: checks.every((check) => check.ok) && probe.report !== null, checks, isolation: probe.report };
}

async function node(): Promise<Check> {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const ok = major > 22 || (major === 22 && minor >= 18);
  return { name: "node", ok, detail: process.versions.node, fix: ok ? null : "npm ci" };
}

function git(): Promise<Check> {
  return new Promise((resolve) =>
    execFile("git", ["--version"], { timeout: CHECK_MS, env: { PATH: process.env.PATH } }, (error, out) =>
      resolve({
        name: "git",
        ok: !error,
        detail: error ? "not found" : out.trim(),
        fix: error ? "apt-get install git" : null,
      }),
    ),
  );
}

async function database({ pingDatabase }: DoctorDeps): Promise<Check> {
  const started = performance.now();
  try {
    await bounded(pingDatabase());
    return { name: "database", ok: true, detail: `answers in ${Math.ceil(performance.now() - started)} ms`, fix: null };
  } catch (error) {
    return { name: "database", ok: false, detail: (error as Error).message, fix: null };
  }
}

async function folder(name: string, path: string): Promise<Check> {
  try {
    await access(path, constants.W_OK);
    const { bavail, bsize } = await statfs(path);
    const free = bavail * bsize;
    const text = `${path}, ${(free / 1024 ** 3).toFixed(1)} GB free`;
    return free < LEAST_FREE_BYTES
      ? { name, ok: false, detail: `${text}: too little for a job`, fix: null }
      : { name, ok: true, detail: text, fix: null };
  } catch (error) {
    // The blob store is made with the first blob.
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return { name, ok: true, detail: `${path}, not used yet`, fix: null };
    return { name, ok: false, detail: `${path} cannot be written (${code})`, fix: null };
  }
}

async function runtimes({ runtimes: shelf }: DoctorDeps): Promise<Check> {
  const list = await shelf.list();
  const installed = list
    .filter((runtime) => runtime.installed)
    .map(({ manifest }) => `${manifest.name} ${manifest.version}`);
  const first = list.find((runtime) => !runtime.manifest.processLevel);
  return {
    name: "runtimes",
    ok: installed.length > 0,
    detail: installed.join(", ") || "none installed",
    fix: installed.length > 0 || !first ? null : `x1 runtimes install ${first.manifest.name}`,
  };
}

async function bounded<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${CHECK_MS / 1_000} s`)), CHECK_MS);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
