import type { ReportedEvent, RuntimeManifest, StopReason, Usage } from "@x1agent/contract";

/**
 * The interface for adapter authors. An adapter translates one CLI's protocol and nothing else: queueing, ids, the event
 * journal, resend, limits, process trees and ports are the host's. Few members are required; an ability that the
 * manifest does not declare is simply absent.
 */
export interface RuntimeAdapter {
  /** Starts the CLI and resolves when it can take a prompt. Rejects with a sentence when it cannot. */
  start(context: AdapterContext): Promise<AdapterSession>;
}

export type AdapterContext = {
  manifest: RuntimeManifest;
  /** `/x1/app`: the CLI's files. */
  appDir: string;
  /** `/workspace`. */
  cwd: string;
  /** `/home/agent`. */
  home: string;
  /** Base environment for the CLI: paths, proxy variables, base URLs, the job token as dummy key. */
  env: Readonly<Record<string, string>>;
  /** Loopback address of the sidecar's inference port, without a trailing slash. */
  inferenceUrl: string;
  /** Per-job token; the only "key" a CLI ever gets. */
  jobToken: string;
  model: string | undefined;
  ask: boolean;
  instructions: string | undefined;
  resume: string | undefined;
  /** Starts a process of the CLI inside its own pid and mount namespaces. Lines longer than the limit arrive as `overflow`. */
  spawn(argv: readonly string[], options?: { cwd?: string; env?: Readonly<Record<string, string>> }): CliProcess;
  /** Reports an event. `turn.started` and `turn.ended` are made by the host from `turnSettled`; adapters never emit them. */
  emit(event: ReportedEvent): void;
  /** Says that the turn is over and nothing more will come by itself; the host confirms by silence. */
  turnSettled(end: { stopReason: StopReason; errorCode?: string; detail?: string; usage?: Usage }): void;
  /** Diagnostic line, bounded, into the host's log; never a secret. */
  log(line: string): void;
};

export interface CliProcess {
  readonly pid: number;
  /** Writes one line; `false` when the CLI no longer takes input. */
  writeLine(line: string): boolean;
  /** Complete lines of standard output, without the newline, split on `\n` only. One subscriber. */
  onLine(listener: (line: string) => void): void;
  /** A line beyond the limit was dropped; `bytes` so far. */
  onOverflow(listener: (bytes: number) => void): void;
  onStderr(listener: (text: string) => void): void;
  readonly exited: Promise<{ exitCode: number | null; signal: string | null }>;
  endInput(): void;
  /** Signals the CLI, waits up to `graceMs`, then ends its whole process tree. */
  kill(options?: { signal?: NodeJS.Signals; graceMs?: number }): Promise<void>;
}

export interface AdapterSession {
  /** Sends a message as a new turn. Only called while no turn runs. */
  prompt(message: { id: string; content: string }): Promise<void>;
  /** Joins the running turn. */
  steer?(message: { id: string; content: string }): Promise<void>;
  /** The CLI's own interrupt; resolves when it was sent. The host sweeps the tree of what stays behind. */
  interrupt?(): Promise<void>;
  answer?(answer: { requestId: string; optionId?: string; text?: string }): Promise<void>;
  setModel?(model: string): Promise<void>;
  /** Ends the CLI in an orderly way, leaving its session files complete. */
  close(): Promise<void>;
}
