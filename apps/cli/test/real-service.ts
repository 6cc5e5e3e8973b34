import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const executable = join(import.meta.dirname, "../bin/x1.mjs");
/** The service gives itself 20 s; a loaded machine is given more. */
const DOWN_MS = 60_000;
export type Ran = { code: number | null; out: string; err: string; json: unknown };

/** An installation in a folder of its own: `x1` as people run it, and the service by `x1 up`. */
export async function installation(options: { root?: string; env?: Record<string, string> } = {}) {
  const root = options.root ?? (await mkdtemp(join(tmpdir(), "x1-cli-")));
  await chmod(root, 0o755);
  const data = join(root, "data");
  const masterKey = join(root, "key/master.key");
  const env = { PATH: process.env.PATH ?? "", HOME: join(root, "home"), X1_DATA: data, ...options.env };
  let service: ChildProcess | undefined;
  /** The service itself, a child of `x1 up`. */
  let servicePid = 0;

  /** Runs one command line to its end. Standard output is parsed when it is one JSON document. */
  function x1(argv: readonly string[], given: { input?: string; env?: Record<string, string> } = {}): Promise<Ran> {
    return new Promise((resolve) => {
      const child = spawn(process.execPath, [executable, ...argv], { env: { ...env, ...given.env } });
      let out = "";
      let err = "";
      child.stdout.setEncoding("utf8").on("data", (chunk) => {
        out += chunk;
      });
      child.stderr.setEncoding("utf8").on("data", (chunk) => {
        err += chunk;
      });
      const guard = setTimeout(() => child.kill("SIGKILL"), 120_000);
      child.on("close", (code) => {
        clearTimeout(guard);
        resolve({ code, out, err, json: parsed(out) });
      });
      child.stdin.on("error", () => undefined).end(given.input ?? "");
    });
  }
  /** Runs a command line that must succeed, with `--json`, and hands back its document. */
  async function json<T = Record<string, unknown>>(...argv: string[]): Promise<T> {
    const ran = await x1([...argv, "--json"]);
    if (ran.code !== 0) throw new Error(`x1 ${argv.join(" ")} ended ${ran.code}: ${ran.err || ran.out}`);
    if (ran.json === undefined) throw new Error(`x1 ${argv.join(" ")} printed no JSON document: ${ran.out}`);
    return ran.json as T;
  }

  async function up(...argv: string[]): Promise<{ url: string; pid: number }> {
    const child = spawn(
      process.execPath,
      [executable, "up", "--port", "0", "--master-key", masterKey, "--json", ...argv],
      { env, stdio: ["ignore", "pipe", "inherit"] },
    );
    service = child;
    const ended = once(child, "exit").then(([code]) => {
      throw new Error(`x1 up ended with ${code} before it was ready.`);
    });
    const lines = createInterface({ input: child.stdout as NonNullable<typeof child.stdout> });
    const [line] = (await Promise.race([once(lines, "line", { signal: AbortSignal.timeout(90_000) }), ended])) as [
      string,
    ];
    ended.catch(() => undefined);
    const told = JSON.parse(line) as { url: string; pid: number };
    servicePid = told.pid;
    return told;
  }

  /** Ends the service as its operator would. One that does not end in time is killed and named, with what it does. */
  async function down(): Promise<number | null> {
    const child = service;
    service = undefined;
    if (!child) return null;
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, "exit");
      child.kill("SIGTERM");
      const late = AbortSignal.timeout(DOWN_MS);
      const ended = await Promise.race([gone.then(() => true), once(late, "abort").then(() => false)]);
      if (!ended) {
        const left = [child.pid ?? 0, servicePid].map(stateOf).join("; ");
        for (const kill of [() => process.kill(servicePid, "SIGKILL"), () => child.kill("SIGKILL")])
          try {
            kill();
          } catch {
            // It is gone already.
          }
        throw new Error(`The service did not end within ${DOWN_MS / 1_000} s of SIGTERM: ${left}.`);
      }
    }
    return child.exitCode;
  }

  return {
    root,
    data,
    masterKey,
    env,
    x1,
    json,
    up,
    down,
    async remove() {
      await down();
      await rm(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    },
  };
}
export type Installation = Awaited<ReturnType<typeof installation>>;

/** What the kernel says of a process, for an error that has to tell why it did not end. */
function stateOf(pid: number): string {
  try {
    const line = (name: string) => readFileSync(`/proc/${pid}/${name}`, "utf8").replaceAll("\0", " ").trim();
    const state = /^State:\s*(.*)$/m.exec(line("status"))?.[1];
    return `${pid} (${line("cmdline").slice(0, 200)}) ${state}, in ${line("wchan")}, children ${line(`task/${pid}/children`)}`;
  } catch {
    return `${pid} is gone`;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Asks until the answer fits; the last one is in the error. */
export async function until<T>(ask: () => Promise<T>, fits: (value: T) => boolean, ms = 90_000): Promise<T> {
  let last: T | undefined;
  for (const end = Date.now() + ms; Date.now() < end; ) {
    last = await ask();
    if (fits(last)) return last;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`Still not there after ${ms} ms: ${JSON.stringify(last)?.slice(0, 2_000)}`);
}
