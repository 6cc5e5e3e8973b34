import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { CliProcess } from "./adapter.ts";
import { LineSplitter } from "./lines.ts";
import { entryKey, processTree, sweepTree, TREE_VARIABLE } from "./tree.ts";

export type CliExit = { exitCode: number | null; signal: string | null; detail?: string };

export type CliOptions = {
  /** Puts the CLI into its own namespaces; empty where there are none. */
  prefix: readonly string[];
  argv: readonly string[];
  cwd: string;
  env: Readonly<Record<string, string>>;
  /** Longest line in bytes. */
  maxLineBytes: number;
  /** Bytes that came, of both streams: the host counts them against its flood limits. */
  onBytes(bytes: number): void;
  /** A line that cannot be a JSON message; it is kept from the adapter. */
  onGarbage(line: string): void;
  /** A line was too long and the adapter does not listen for that. */
  onUnheardOverflow(bytes: number): void;
};

/** More unread input than this means that the CLI has stopped reading. */
const MAX_UNREAD_INPUT = 8 * 1024 * 1024;

/** One process of a CLI with its tree. Nothing here throws because of what the CLI does. */
export class ManagedCli implements CliProcess {
  readonly pid: number;
  readonly exited: Promise<CliExit>;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #marker = randomBytes(12).toString("hex");
  readonly #namespaced: boolean;
  #alive = true;
  #early: string[] = [];
  #onLine: ((line: string) => void) | null = null;
  #onOverflow: ((bytes: number) => void) | null = null;
  #onStderr: ((text: string) => void) | null = null;

  constructor(options: CliOptions) {
    const [program = "", ...args] = [...options.prefix, ...options.argv];
    this.#namespaced = options.prefix.length > 0;
    // `detached`: a session of its own, so that a signal for the host's group does not reach half of the tree.
    this.#child = spawn(program, args, {
      cwd: options.cwd,
      env: { ...options.env, [TREE_VARIABLE]: this.#marker },
      stdio: "pipe",
      detached: true,
    });
    this.pid = this.#child.pid ?? -1;

    const lines = new LineSplitter(
      options.maxLineBytes,
      (line) => {
        if (line === "") return;
        if (!mayBeMessage(line)) options.onGarbage(line);
        else if (this.#onLine) this.#onLine(line);
        else if (this.#early.length < 1_000) this.#early.push(line);
      },
      (bytes) => (this.#onOverflow ?? options.onUnheardOverflow)(bytes),
    );
    this.#child.stdout.on("data", (chunk: Buffer) => {
      options.onBytes(chunk.length);
      lines.push(chunk);
    });
    this.#child.stderr.on("data", (chunk: Buffer) => {
      options.onBytes(chunk.length);
      this.#onStderr?.(chunk.toString("utf8").slice(0, 16_384));
    });
    // A CLI that is gone answers writes with EPIPE; its exit says so better.
    for (const stream of [this.#child.stdin, this.#child.stdout, this.#child.stderr]) stream.on("error", () => {});

    this.exited = new Promise((resolve) => {
      const finish = (exit: CliExit) => {
        if (!this.#alive) return;
        this.#alive = false;
        lines.end();
        resolve(exit);
      };
      this.#child.once("error", (cause) => finish({ exitCode: null, signal: null, detail: cause.message }));
      this.#child.once("exit", (exitCode, signal) => {
        // What it had written is still worth reading, but a grandchild that holds the pipe must not keep us waiting.
        const drained = new Promise<void>((done) => void this.#child.stdout.once("close", done));
        void Promise.race([drained, delay(200, undefined, { ref: false })]).then(() => finish({ exitCode, signal }));
      });
    });
  }

  /** Whether it still runs. */
  get alive(): boolean {
    return this.#alive;
  }

  writeLine(line: string): boolean {
    const { stdin } = this.#child;
    if (!this.#alive || !stdin.writable || stdin.writableLength > MAX_UNREAD_INPUT) return false;
    stdin.write(`${line}\n`);
    return true;
  }

  onLine(listener: (line: string) => void): void {
    this.#onLine = listener;
    for (const line of this.#early.splice(0)) listener(line);
  }

  onOverflow(listener: (bytes: number) => void): void {
    this.#onOverflow = listener;
  }

  onStderr(listener: (text: string) => void): void {
    this.#onStderr = listener;
  }

  endInput(): void {
    this.#child.stdin.end();
  }

  async kill(options: { signal?: NodeJS.Signals; graceMs?: number } = {}): Promise<void> {
    const { signal = "SIGTERM", graceMs = 2_000 } = options;
    if (this.#alive && this.pid > 0) {
      // Signals do not pass through a namespace's launcher by themselves: its child is the CLI.
      this.#signal(signal);
      await Promise.race([this.exited, delay(graceMs, undefined, { ref: false })]);
      if (this.#alive) this.#child.kill("SIGKILL");
      await this.exited;
    }
    await this.sweep();
  }

  /** What lives of its tree now, as keys for `sweep`. */
  tree(): Set<string> {
    return new Set(this.pid > 0 ? processTree(this.pid, this.#marker).map(entryKey) : []);
  }

  /** Ends everything of its tree that `keep` does not hold. */
  async sweep(keep?: ReadonlySet<string>): Promise<number> {
    return this.pid > 0 ? sweepTree(this.pid, this.#marker, keep) : 0;
  }

  #signal(signal: NodeJS.Signals): void {
    if (!this.#namespaced) {
      this.#child.kill(signal);
      return;
    }
    // The launchers in front (they wait, and die of our SIGKILL) are passed over: the deepest single chain is the CLI.
    for (const entry of processTree(this.pid, this.#marker)) {
      if (entry.pid === this.pid) continue;
      try {
        process.kill(entry.pid, signal);
      } catch {
        // Gone already.
      }
    }
  }
}

function mayBeMessage(line: string): boolean {
  return /^\s*[{[]/.test(line);
}
