import type { Readable, Writable } from "node:stream";
import type { IsolationLevel, IsolationReport, RuntimeManifest, SidecarBoot } from "@x1agent/contract";

/**
 * The driver port: all that the control plane knows of where workspaces run. A driver turns a `WorkspaceSpec` into one
 * isolated workspace (volume, sidecar, and on demand the runtime's host) and takes it away again.
 * `launch` is idempotent by `spec.id`; every workspace a driver still has is found again by `list`.
 */
export type WorkspacePurpose = "agent" | "verify" | "baseline" | "tool";

export type WorkspaceSpec = {
  /** `[a-z0-9-]{1,60}`; the idempotency key. */
  id: string;
  organizationId: string;
  jobId: string;
  attemptId: string;
  purpose: WorkspacePurpose;
  /** At least this; a driver that offers less refuses with `isolation_unavailable`. */
  minIsolation: IsolationLevel;
  /** Runtime whose host is started by `startHost`; absent in workspaces without an agent. */
  runtime?: { manifest: RuntimeManifest /** Folder mounted at /x1/app. */; appDir: string };
  /** Read-only folders, outside path to inside path, e.g. the job's bare repository at /x1/base.git. */
  mounts: readonly { source: string; target: string; writable?: boolean }[];
  /** Extra environment inside; the rest is built from nothing. Never a secret. */
  env: Readonly<Record<string, string>>;
  limits: { memoryBytes: number; processes: number; diskBytes: number };
  /** Absent: the workspace has no sidecar and no way out at all. */
  sidecar?: SidecarBoot;
  /** Bearer token for :3100 and :8788. */
  hostToken?: string;
};

export type ExecSpec = {
  /** Program and arguments inside; `["/bin/bash","-c",command]` for a project's command. */
  argv: readonly string[];
  cwd?: string;
  env?: Readonly<Record<string, string>>;
  /** `egress`: the sidecar's ports are forwarded on loopback. `none`: loopback only and nothing listens on it. */
  network: "none" | "egress";
  stdin?: Readable;
  /** Full standard output goes here instead of into `output`; stdout beyond `maxOutputBytes` ends the command. */
  stdout?: Writable;
  maxOutputBytes: number;
  timeoutMs: number;
  signal?: AbortSignal;
  /** Limits below the workspace's own, for the platform's tools. */
  memoryBytes?: number;
};

/** Taken from outside by the driver; nothing inside relays it. When it settles, every process of the command is gone. */
export type ExecResult = {
  exitCode: number | null;
  signal: string | null;
  durationMs: number;
  timedOut: boolean;
  /** The command produced more than `maxOutputBytes`, used more memory or disk than allowed: which. */
  limitHit: "output" | "memory" | "disk" | null;
  /** Standard output and error as they came, last `maxOutputBytes` bytes (stderr only when `stdout` is given). */
  output: Buffer;
  outputBytes: number;
};

/** How the control plane reaches the host: a unix socket path or an http origin; both need the bearer token. */
export type HostEndpoint =
  | { kind: "unix"; eventsPath: string; inputPath: string; token: string }
  | { kind: "http"; eventsUrl: string; inputUrl: string; token: string };

/** Bytes, with shared pages by their share (`pss`) or, where that may not be read, in full (`rss`). */
export type HostMemory = { bytes: number; by: "pss" | "rss" };

export type HostExit = { exitCode: number | null; signal: string | null; limitHit: string | null };

export interface Workspace {
  readonly id: string;
  readonly spec: WorkspaceSpec;
  readonly report: IsolationReport;
  /** Runs one command to its end in the workspace's own volume; may be called many times. Rejects with a Fault only when it could not be started. */
  exec(spec: ExecSpec): Promise<ExecResult>;
  /** Starts the runtime's host (not yet the CLI); repeated calls return the same. */
  startHost(): Promise<{ endpoint: HostEndpoint; exited: Promise<HostExit> }>;
  /** Ends host and CLI with everything they started; the volume stays for `exec`. */
  stopHost(): Promise<void>;
  /** Memory of the host and of all that it started, now; null when it does not run. A driver that cannot look leaves it out. */
  hostMemory?(): Promise<HostMemory | null>;
  /** Resolves when the sidecar process has ended; never rejects. */
  readonly sidecarExited: Promise<{ exitCode: number | null; signal: string | null }>;
  /** The host's on-disk event journal of the last run, for events that were written and not yet fetched. */
  readHostJournal(): Promise<Buffer>;
}

export type WorkspaceInfo = {
  id: string;
  organizationId: string;
  jobId: string;
  attemptId: string;
  purpose: WorkspacePurpose;
  startedAt: string;
  ownerPid: number;
};

export interface WorkspaceDriver {
  readonly name: string;
  /** What this driver offers here; `report: null` with the sentence and command that would help when it cannot run at all. */
  probe(): Promise<{
    report: IsolationReport | null;
    checks: { name: string; ok: boolean; detail: string; fix: string | null }[];
  }>;
  /**
   * Resolves when the workspace is there and its sidecar ready. `opened` is told earlier, as soon as commands without
   * network and the host can run, so that they need not wait for the sidecar; when the launch then fails, they are ended with it.
   * It is not told of a workspace that was there already.
   */
  launch(spec: WorkspaceSpec, opened?: (workspace: Workspace) => void): Promise<Workspace>;
  /** A running workspace, or the volume of one whose service is gone; null when neither can be used (any more). */
  get(id: string): Promise<Workspace | null>;
  list(): Promise<WorkspaceInfo[]>;
  /** Ends every process and removes the volume. Idempotent. */
  stop(id: string): Promise<void>;
  /** Ends what the driver keeps beside workspaces, which stay as they are. */
  close?(): Promise<void>;
}

/** The one call by which the control plane starts a workspace. */
export function launchWorkspace(
  driver: WorkspaceDriver,
  spec: WorkspaceSpec,
  opened?: (workspace: Workspace) => void,
): Promise<Workspace> {
  return driver.launch(spec, opened);
}
