import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { ExecResult, ExecSpec, Workspace } from "@x1agent/workspaces";

/**
 * A workspace without walls for tests of commands: what the platform runs inside, run here with the inside paths
 * translated, as a driver of level `process` does. Real git, real files.
 */
export function plainWorkspace(
  baseRepository: string,
  root = mkdtempSync(join(tmpdir(), "x1-ws-")),
): Workspace & { work: string } {
  const work = join(root, "work");
  const tmp = join(root, "tmp");
  mkdirSync(work, { recursive: true });
  mkdirSync(tmp, { recursive: true });
  const translate = (word: string) =>
    word.replace(/^(--git-dir=)?\/workspace(?=\/|$)/, `$1${work}`).replace(/^\/x1\/base\.git$/, baseRepository);
  const exec = (spec: ExecSpec) =>
    new Promise<ExecResult>((resolve, reject) => {
      const started = performance.now();
      const child: ChildProcess = spawn(translate(spec.argv[0]!), spec.argv.slice(1).map(translate), {
        cwd: translate(spec.cwd ?? "/workspace"),
        env: {
          PATH: `${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`,
          TMPDIR: tmp,
          HOME: root,
          ...spec.env,
        },
        detached: true,
      });
      let bytes = 0;
      let limitHit: ExecResult["limitHit"] = null;
      let timedOut = false;
      let output = Buffer.alloc(0);
      const kill = () => process.kill(-child.pid!, "SIGKILL");
      const keep = (chunk: Buffer) => {
        output = Buffer.concat([output, chunk]).subarray(-Math.min(spec.maxOutputBytes, 1_000_000));
      };
      const timer = setTimeout(() => {
        timedOut = true;
        kill();
      }, spec.timeoutMs);
      child.stdout!.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (spec.stdout) {
          spec.stdout.write(chunk);
          if (bytes > spec.maxOutputBytes && !limitHit) {
            limitHit = "output";
            kill();
          }
        } else keep(chunk);
      });
      child.stderr!.on("data", keep);
      child.stdin!.on("error", () => {});
      if (spec.stdin) spec.stdin.pipe(child.stdin!);
      else child.stdin!.end();
      child.on("error", reject);
      child.on("close", (exitCode, signal) => {
        clearTimeout(timer);
        spec.stdout?.end();
        resolve({
          exitCode,
          signal,
          durationMs: performance.now() - started,
          timedOut,
          limitHit,
          output,
          outputBytes: bytes,
        });
      });
    });
  return { work, exec } as unknown as Workspace & { work: string };
}

/** git as a test's own hand: an author, no user configuration. */
export function git(dir: string, ...args: string[]): string {
  return execFileSync("git", ["-c", "safe.directory=*", ...args], {
    cwd: dir,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: process.env.PATH ?? "/usr/bin:/bin",
      GIT_CONFIG_GLOBAL: "/dev/null",
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_AUTHOR_NAME: "t",
      GIT_AUTHOR_EMAIL: "t@example.com",
      GIT_COMMITTER_NAME: "t",
      GIT_COMMITTER_EMAIL: "t@example.com",
      GIT_ALLOW_PROTOCOL: "file",
    },
  }).trim();
}

/** Writes files below a folder. */
export function write(dir: string, files: Record<string, string | Buffer>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), content);
  }
}

/** A repository with one commit on `main`. */
export function makeRepository(dir: string, files: Record<string, string | Buffer>): string {
  mkdirSync(dir, { recursive: true });
  git(dir, "init", "-q", "-b", "main");
  write(dir, files);
  git(dir, "add", "-A");
  git(dir, "commit", "-q", "--allow-empty", "-m", "first");
  return git(dir, "rev-parse", "HEAD");
}

/** A temporary folder that goes away with the test. */
export function scratch(cleanups: (() => void)[]): string {
  const dir = mkdtempSync(join(tmpdir(), "x1-git-"));
  cleanups.push(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** What an outcome carries; one that did not go well fails the test with its sentence. */
export function ok<T>(outcome: { ok: true; value: T } | { ok: false; detail: string }): T {
  if (!outcome.ok) throw new Error(outcome.detail);
  return outcome.value;
}
