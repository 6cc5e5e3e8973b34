import assert from "node:assert/strict";
import { chmod, chown, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as pause } from "node:timers/promises";
import { Fault, type HostBoot, type IsolationReport, isolationRank } from "@x1agent/contract";
import type {
  ExecResult,
  ExecSpec,
  HostEndpoint,
  HostExit,
  HostMemory,
  Workspace,
  WorkspaceDriver,
  WorkspaceInfo,
  WorkspaceSpec,
} from "@x1agent/workspaces";
import { Capture } from "./capture.ts";
import type { Cgroups, ProcessGroup, SandboxGroup } from "./cgroups.ts";
import { readJournal } from "./journal.ts";
import { AGAIN_MS, exists, makeEtc, tryAgain, tryProgram, usrEntries } from "./machine.ts";
import { treeMemory } from "./memory.ts";
import { entering, type Outside, outerUid } from "./outside.ts";
import { findOffer, type OfferOptions, probeMachine } from "./probe.ts";
import { ProcessLevelWorkspace } from "./process-level.ts";
import {
  type Identity,
  type Machine,
  OutputPipes,
  type Sandbox,
  type SandboxRequest,
  startSandbox,
} from "./sandbox.ts";
import { seccompFilter } from "./seccomp.ts";
import { leftSpares, newSpareDir, type Spare, Spares } from "./spare.ts";
import {
  baseEnv,
  compiledBeside,
  egressEnv,
  forwardedArgv,
  nestedPrefix,
  sidecarPlan,
  type UsrEntry,
  type WorkspacePaths,
  workspacePlan,
} from "./spec.ts";
import { UidRange } from "./uids.ts";
import { LimitWatch } from "./watch.ts";

/** Milliseconds after which a volume without a record is nobody's; to make or remove one takes far less. */
const TORN_MS = 30_000;

/**
 * Workspaces as namespaces on this machine. State on disk is `run/ws/<id>/spec.json` (no secrets) beside the volume;
 * processes never outlive the service, so after a restart a workspace found on disk has a volume and no process.
 */
export type LocalDriverOptions = OfferOptions & {
  /** `<data>/run`. */
  runDir: string;
  /** Folders outside `/usr` with a `bin`, mounted read-only at the same path and put first on PATH. */
  toolchains?: readonly string[];
  /** Host uids that no account uses; two for each workspace. Only as root. */
  uidRange?: { start: number; count: number };
  level?: "namespaces" | "process";
  /** Sidecars started ahead, before any workspace is asked for (`spare.ts`); none when absent. Ended by `close`. */
  spareSidecars?: number;
  /** Certificates in PEM instead of the machine's. */
  caBundle?: string;
};

const SIDECAR_READY_MS = 30_000;
const SIDECAR_LIMITS = { memoryBytes: 1024 ** 3, processes: 256 };
/** Largest single file; the disk limit counts all. */
const FILE_BYTES = 8 * 1024 ** 3;
/** Longest path of a unix socket, with its end mark. */
const SOCKET_PATH = 107;
const SHUTDOWN_MS = 3_000;
/**
 * When a sidecar is started ahead, in milliseconds: after the driver was made; after a workspace took the last one, should
 * its host never come; and after a host was there, at least, and so many times as long as that took: by then its CLI has started,
 * whose the processor is until then.
 */
const SPARE_MS = { first: 1_000, taken: 10_000, started: 1_000 };
const HOST_STARTS = 4;

type StoredSpec = Omit<WorkspaceSpec, "sidecar" | "hostToken"> & {
  startedAt: string;
  ownerPid: number;
  uid: number | null;
};

/** Everything that a workspace needs of its driver. */
export type DriverContext = {
  options: LocalDriverOptions;
  machine: Machine;
  usr: UsrEntry[];
  alternatives: boolean;
  watch: LimitWatch;
  cgroups: Cgroups;
  report: IsolationReport;
  /** Told when a host has been started, and how many milliseconds that took. */
  hostStarted: (tookMs: number) => void;
};

/** Creates the driver; touches nothing until it is used, but for sidecars that are started ahead. */
export function createLocalDriver(options: LocalDriverOptions): WorkspaceDriver {
  return new LocalDriver(options);
}

class LocalDriver implements WorkspaceDriver {
  readonly name = "local";
  readonly #options: LocalDriverOptions;
  readonly #live = new Map<string, Promise<LocalWorkspace | ProcessLevelWorkspace>>();
  /** Volumes of services that are gone, opened by `get`: what is run in them has a control group of ours, which `stop` removes. */
  readonly #adopted = new Map<string, LocalWorkspace>();
  readonly #watch = new LimitWatch();
  #range: UidRange | null = null;
  #context: Promise<DriverContext> | null = null;
  readonly #spares: Spares;

  constructor(options: LocalDriverOptions) {
    this.#options = options;
    const count = options.level === "process" ? 0 : (options.spareSidecars ?? 0);
    this.#spares = new Spares(
      count,
      () => this.#makeSpare(),
      (spare) => this.#dropSpare(spare),
    );
    this.#spares.refillIn(SPARE_MS.first);
  }

  async close(): Promise<void> {
    await this.#spares.close();
  }

  /** A sidecar's process in its sandbox, with the volume and uid of a workspace to come. */
  async #makeSpare(): Promise<Spare> {
    const root = join(this.#options.runDir, "spare");
    const outside = await this.#outside();
    for (const { dir, ownerPid, uid } of await leftSpares(root)) {
      await removeTree(dir, outside);
      if (uid !== null && (await this.#uids(outside).mayEnd(uid, ownerPid))) await this.#uids(outside).release(uid);
    }
    const context = await this.#prepare();
    const uid = await this.#takeUid(outside);
    const dir = await newSpareDir(root, uid);
    const group = context.cgroups.group(`${basename(dir)}-spare`, SIDECAR_LIMITS);
    let own: SandboxGroup | null = null;
    try {
      const paths = await makeVolume(dir, uid, outside);
      own = await group.sandbox(SIDECAR_LIMITS.memoryBytes);
      const sandbox = await startSandbox(context.machine, {
        ...sidecarRequest(context, paths.sock, uid, "later"),
        newRoot: join(dir, "root"),
        groups: own.joinFiles,
      });
      return { dir, uid, group, own, sandbox };
    } catch (error) {
      await own?.remove();
      await this.#clearSpare({ dir, uid, group });
      throw error;
    }
  }

  async #dropSpare({ sandbox, own, ...rest }: Spare): Promise<void> {
    sandbox.kill();
    await sandbox.ended.catch(() => {});
    await own.remove();
    await this.#clearSpare(rest);
  }

  async #clearSpare({ dir, uid, group }: Pick<Spare, "dir" | "uid" | "group">): Promise<void> {
    const outside = await this.#outside();
    await group.remove();
    await removeTree(dir, outside);
    if (uid !== null) await this.#uids(outside).release(uid);
  }

  /** Who workspaces are outside; of level process nobody else. */
  async #outside(): Promise<Outside> {
    if (this.#options.level === "process") return { kind: "same", reason: null };
    if (process.getuid?.() === 0) return { kind: "root" };
    return (await this.#prepare()).machine.outside;
  }

  #uids(outside: Outside): UidRange {
    const evict = (uid: number) => endProcessesOf([outerUid(outside, uid), outerUid(outside, uid + 1)]);
    this.#range ??=
      outside.kind === "subordinate"
        ? new UidRange({ start: 1, count: outside.count }, outside.claims, evict)
        : new UidRange(this.#options.uidRange, undefined, evict);
    return this.#range;
  }

  get #root(): string {
    return join(this.#options.runDir, "ws");
  }

  /** Prepared once: programs, filters, both kinds of `/etc`. Tried again after a failure. */
  #prepare(): Promise<DriverContext> {
    const hostStarted = (tookMs: number) =>
      this.#spares.refillIn(Math.min(SPARE_MS.taken, Math.max(SPARE_MS.started, HOST_STARTS * tookMs)));
    this.#context ??= prepareMachine(this.#options, this.#watch, hostStarted).catch((error: unknown) => {
      this.#context = null;
      throw error;
    });
    return this.#context;
  }

  async probe(): ReturnType<WorkspaceDriver["probe"]> {
    if (this.#options.level !== "process") return probeMachine(this.#options);
    const facts: IsolationReport["facts"] = [{ name: "isolation", value: "none", by: "none" }];
    return { report: { level: "process", mechanism: "none", facts }, checks: [] };
  }

  async launch(spec: WorkspaceSpec, opened?: (workspace: Workspace) => void): Promise<Workspace> {
    if (!/^[a-z0-9-]{1,60}$/.test(spec.id))
      throw new Fault("invalid_request", `Workspace id ${JSON.stringify(spec.id)} is not allowed.`);
    const present = this.#live.get(spec.id);
    if (present) return present;
    const level = this.#options.level ?? "namespaces";
    if (isolationRank(level) < isolationRank(spec.minIsolation))
      throw new Fault(
        "isolation_unavailable",
        `This driver offers level ${level}; the job needs ${spec.minIsolation}.`,
      );
    if (level === "process" && spec.runtime && !spec.runtime.manifest.processLevel)
      throw new Fault("isolation_unavailable", `Runtime ${spec.runtime.manifest.name} does not run at level process.`);
    const starting = this.#start(spec, opened);
    this.#live.set(spec.id, starting);
    try {
      return await starting;
    } catch (error) {
      this.#live.delete(spec.id);
      await removeTree(join(this.#root, spec.id), await this.#outside()).catch(() => {});
      throw error;
    }
  }

  async #start(
    spec: WorkspaceSpec,
    opened: (workspace: Workspace) => void = () => {},
  ): Promise<LocalWorkspace | ProcessLevelWorkspace> {
    const dir = join(this.#root, spec.id);
    await mkdir(this.#root, { recursive: true, mode: 0o711 });
    // A folder of this id without a process of ours is left over from a service that is gone.
    if (await exists(dir)) await this.stop(spec.id);
    const outside = await this.#outside();
    // Whose start nobody waits for takes none from those who are waited for.
    const spare = spec.sidecar && spec.runtime ? this.#spares.take() : null;
    if (spec.runtime) this.#spares.refillIn(SPARE_MS.taken);
    let held = spare;
    try {
      return await this.#open(spec, dir, { spare, outside, opened, handed: () => (held = null) });
    } catch (error) {
      if (held) await this.#dropSpare({ ...held, dir });
      throw error;
    }
  }

  async #open(
    spec: WorkspaceSpec,
    dir: string,
    {
      spare,
      outside,
      opened,
      handed,
    }: {
      spare: Spare | null;
      outside: Outside;
      opened: (workspace: Workspace) => void;
      /** From here on the workspace ends the spare. */
      handed: () => void;
    },
  ): Promise<LocalWorkspace | ProcessLevelWorkspace> {
    const uid = spare ? spare.uid : await this.#takeUid(outside);
    const { sidecar: _sidecar, hostToken: _hostToken, ...rest } = spec;
    const stored: StoredSpec = { ...rest, startedAt: new Date().toISOString(), ownerPid: process.pid, uid };
    const paths = spare ? volumePaths(dir) : await makeVolume(dir, uid, outside);
    if (spare) await rename(spare.dir, dir);
    await writeSpec(dir, stored);
    if (spec.runtime)
      await writeFile(join(dir, "runtime.json"), JSON.stringify(spec.runtime.manifest), { mode: 0o644 });
    if (this.#options.level === "process") {
      const workspace = new ProcessLevelWorkspace({
        overlayDir: this.#options.overlayDir,
        dir,
        spec,
        toolchains: this.#options.toolchains ?? [],
      });
      await workspace.startSidecar();
      return workspace;
    }
    const context = await this.#prepare();
    const workspace = new LocalWorkspace(context, spec, dir, paths, uid, spare);
    handed();
    try {
      const ready = workspace.startSidecar();
      opened(workspace);
      await ready;
    } catch (error) {
      await workspace.end();
      if (uid !== null) await this.#uids(outside).release(uid);
      throw error;
    }
    return workspace;
  }

  async get(id: string): Promise<Workspace | null> {
    const live = this.#live.get(id);
    if (live) return live;
    const stored = await readStored(join(this.#root, id));
    if (!stored || this.#options.level === "process") return null;
    const known = this.#adopted.get(id);
    if (known) return known;
    const dir = join(this.#root, id);
    const { startedAt: _startedAt, ownerPid: _ownerPid, uid: _uid, ...spec } = stored;
    const uid = await this.#adopt(dir, stored);
    const adopted = new LocalWorkspace(await this.#prepare(), spec, dir, volumePaths(dir), uid);
    this.#adopted.set(id, adopted);
    return adopted;
  }

  /** The uid for what is run in a volume that was left: its own, or where another service has that by now a new one that gets it. */
  async #adopt(dir: string, stored: StoredSpec): Promise<number | null> {
    const outside = await this.#outside();
    if (stored.uid === null || outside.kind === "same" || (await this.#uids(outside).adopt(stored.uid)))
      return stored.uid;
    const uid = await this.#takeUid(outside);
    assert(uid !== null, "a service that gives uids has none to give");
    await handOver(volumePaths(dir), uid, outside);
    await writeSpec(dir, { ...stored, uid });
    return uid;
  }

  async list(): Promise<WorkspaceInfo[]> {
    const names = await readdir(this.#root).catch(() => []);
    const stored = await Promise.all(names.map((name) => readStored(join(this.#root, name))));
    for (const [at, name] of names.entries())
      if (stored[at] === null && !this.#live.has(name)) await removeTorn(join(this.#root, name), await this.#outside());
    await this.#context?.then(({ cgroups }) => cgroups.sweep()).catch(() => {});
    return stored
      .filter((spec) => spec !== null)
      .map(({ id, organizationId, jobId, attemptId, purpose, startedAt, ownerPid }) => ({
        ...{ id, organizationId, jobId, attemptId, purpose, startedAt, ownerPid },
      }));
  }

  async stop(id: string): Promise<void> {
    if (!/^[a-z0-9-]{1,60}$/.test(id)) return;
    const live = await this.#live.get(id)?.catch(() => null);
    await live?.end();
    await this.#adopted.get(id)?.end();
    this.#adopted.delete(id);
    const dir = join(this.#root, id);
    const stored = await readStored(dir);
    const uid = stored?.uid ?? null;
    const outside = await this.#outside();
    const mine = uid !== null && outside.kind !== "same";
    if (mine && stored && (await this.#uids(outside).mayEnd(uid, stored.ownerPid)))
      await endProcessesOf([outerUid(outside, uid), outerUid(outside, uid + 1)]);
    await removeTree(dir, outside);
    this.#watch.removeVolume(id);
    this.#live.delete(id);
    if (mine) await this.#uids(outside).release(uid);
  }

  /** The first of two uids that no workspace on disk has; null for an ordinary user without uids of his own. */
  async #takeUid(outside: Outside): Promise<number | null> {
    if (outside.kind === "same") return null;
    const names = await readdir(this.#root).catch(() => []);
    const stored = await Promise.all(names.map((name) => readStored(join(this.#root, name))));
    // What lies on disk may still have processes until it was stopped.
    return this.#uids(outside).take(new Set(stored.flatMap((spec) => (spec?.uid == null ? [] : [spec.uid]))));
  }
}

/** Programs, filters and both kinds of `/etc`, written below `runDir`. Rejects with a `Fault` that says what is missing. */
export async function prepareMachine(
  options: LocalDriverOptions,
  watch: LimitWatch,
  hostStarted: DriverContext["hostStarted"] = () => {},
): Promise<DriverContext> {
  const { tools, mechanism, stage, cgroups, outside, report } = await findOffer(options);
  const shared = join(options.runDir, "driver");
  await mkdir(shared, { recursive: true, mode: 0o755 });
  const filters = { host: join(shared, "seccomp-host.bpf"), strict: join(shared, "seccomp-strict.bpf") };
  for (const kind of ["host", "strict"] as const) {
    await writeFile(`${filters[kind]}.new`, seccompFilter(tools.architecture, kind), { mode: 0o644 });
    await rename(`${filters[kind]}.new`, filters[kind]);
  }
  await makeEtc(join(shared, "etc"), { sidecar: false, caBundle: options.caBundle });
  await makeEtc(join(shared, "etc-sidecar"), { sidecar: true, caBundle: options.caBundle });
  return {
    options,
    machine: { mechanism, tools, filters, stage, outside, pipes: new OutputPipes(join(shared, "pipes")) },
    usr: await usrEntries(),
    alternatives: await exists("/etc/alternatives"),
    watch,
    cgroups,
    report,
    hostStarted,
  };
}

const volumePaths = (dir: string): WorkspacePaths => ({
  work: join(dir, "work"),
  home: join(dir, "home"),
  tmp: join(dir, "tmp"),
  host: join(dir, "host"),
  sock: join(dir, "sock"),
  etc: join(dir, "../../driver/etc"),
});

async function makeVolume(dir: string, uid: number | null, outside: Outside): Promise<WorkspacePaths> {
  const paths = volumePaths(dir);
  await mkdir(dir, { mode: uid === null ? 0o700 : 0o711 });
  for (const path of [paths.work, paths.home, paths.tmp, paths.host, paths.sock, join(dir, "root")])
    await mkdir(path, { mode: 0o700 });
  if (uid !== null && outside.kind === "subordinate") {
    // The host's folder is also this user's, who reads its journal and speaks to its sockets: by his group.
    const script =
      'u=$1; shift; chown "$u:$u" "$1" "$2" "$3" && chown "$u:0" "$4" && chmod 2770 "$4" && chown "$((u + 1)):$u" "$5" && chmod 0710 "$5"';
    const own = [paths.work, paths.home, paths.tmp, paths.host, paths.sock];
    const owned = await tryAgain([...outside.enter, "/bin/sh", "-c", script, "x1-own", String(uid), ...own]);
    if (!owned.ok) throw new Fault("isolation_unavailable", `A volume could not be given to its uid: ${owned.detail}`);
  } else if (uid !== null) {
    for (const path of [paths.work, paths.home, paths.tmp, paths.host]) await chown(path, uid, uid);
    // The sidecar makes its sockets here; the agent's group may connect.
    await chown(paths.sock, uid + 1, uid);
    await chmod(paths.sock, 0o710);
  }
  return paths;
}

/** Gives a volume with all that is in it to another uid: links themselves, never what they point to. */
async function handOver({ work, home, tmp, host, sock }: WorkspacePaths, uid: number, outside: Outside): Promise<void> {
  const script =
    'u=$1 g=$2; shift 2; chown -R -h -P "$u:$u" "$1" "$2" "$3" && chown -R -h -P "$u:$g" "$4" && chown -R -h -P "$((u + 1)):$u" "$5"';
  const argv = ["/bin/sh", "-c", script, "x1-own", String(uid), String(outside.kind === "subordinate" ? 0 : uid)];
  const given = await tryAgain([...entering(outside), ...argv, work, home, tmp, host, sock]);
  if (!given.ok) throw new Fault("isolation_unavailable", `A volume could not be given to its uid: ${given.detail}`);
}

async function writeSpec(dir: string, stored: StoredSpec): Promise<void> {
  await writeFile(join(dir, "spec.json.new"), JSON.stringify(stored), { mode: 0o600 });
  await rename(join(dir, "spec.json.new"), join(dir, "spec.json"));
}

async function readStored(dir: string): Promise<StoredSpec | null> {
  try {
    return JSON.parse(await readFile(join(dir, "spec.json"), "utf8")) as StoredSpec;
  } catch {
    return null;
  }
}

/** A service that was killed while it made or removed a volume leaves one without a record: nothing runs in it, nobody will ask for it. */
async function removeTorn(dir: string, outside: Outside): Promise<void> {
  const age = await stat(dir).then(
    ({ mtimeMs }) => Date.now() - mtimeMs,
    () => 0,
  );
  if (age > TORN_MS) await removeTree(dir, outside);
}

/** Removes a volume also where a command left folders that its owner may not write to. */
async function removeTree(dir: string, outside: Outside): Promise<void> {
  try {
    await rm(dir, { recursive: true, force: true, maxRetries: 3 });
  } catch {
    // What belongs to a subordinate uid is removed by who is root over it.
    const [program = "", ...rest] =
      outside.kind === "subordinate"
        ? [...outside.enter, "/bin/rm", "-rf", "--", dir]
        : ["/usr/bin/chmod", "-R", "u+rwX", "--", dir];
    await tryProgram(program, rest, 60_000);
    await rm(dir, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Ends what still runs under uids that belong to one workspace. */
async function endProcessesOf(uids: readonly number[]): Promise<void> {
  for (let round = 0; round < 50; round++) {
    let found = false;
    for (const name of await readdir("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      const owner = await readFile(`/proc/${name}/status`, "utf8").catch(() => "");
      if (/^State:\s+[ZX]/m.test(owner)) continue;
      const uid = Number(/^Uid:\s+(\d+)/m.exec(owner)?.[1] ?? -1);
      if (!uids.includes(uid)) continue;
      found = true;
      try {
        process.kill(Number(name), "SIGKILL");
      } catch {
        // Gone meanwhile.
      }
    }
    if (!found) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

type RunningHost = {
  sandbox: Sandbox;
  endpoint: HostEndpoint;
  exited: Promise<HostExit>;
  closeDir: () => Promise<void>;
};

/** How a sidecar is started; nothing of it is one workspace's but the folder of its sockets and the uid. */
function sidecarRequest(
  { options, usr, alternatives }: DriverContext,
  sock: string,
  uid: number | null,
  boot: Buffer | "later",
): Omit<SandboxRequest, "newRoot" | "groups"> {
  return {
    plan: {
      mounts: sidecarPlan({
        ...{ usr, alternatives, sock, program: join(options.overlayDir, "sidecar") },
        etc: join(options.runDir, "driver/etc-sidecar"),
      }),
      env: {
        ...{ PATH: "/usr/bin:/bin", HOME: "/tmp", LANG: "C.UTF-8", TMPDIR: "/tmp" },
        ...compiledBeside("/x1/sidecar"),
      },
      cwd: "/",
      argv: [
        "/x1/sidecar/node",
        "/x1/sidecar/sidecar.mjs",
        "--sock",
        "/x1/sock",
        ...(uid === null ? [] : ["--group"]),
        ...(boot === "later" ? ["--ahead"] : []),
      ],
      ownNetwork: false,
      limits: { processes: SIDECAR_LIMITS.processes, fileBytes: 16 * 1024 * 1024 },
    },
    filter: "strict",
    identity: uid === null ? null : { uid: uid + 1, gid: uid, umask: "007" },
    stdin: "pipe",
    boot,
  };
}

class LocalWorkspace implements Workspace {
  readonly id: string;
  readonly spec: WorkspaceSpec;
  readonly report: IsolationReport;
  readonly sidecarExited: Promise<{ exitCode: number | null; signal: string | null }>;
  readonly #context: DriverContext;
  readonly #dir: string;
  readonly #paths: WorkspacePaths;
  readonly #uid: number | null;
  readonly #running = new Set<Sandbox>();
  readonly #group: ProcessGroup;
  /** The sidecar's own: what the workspace uses up is not taken from it. */
  readonly #sidecarGroup: ProcessGroup;
  #ending = false;
  #sidecar: Sandbox | null = null;
  /** Taken over instead of started, once. */
  #spare: Spare | null;
  #host: Promise<RunningHost> | null = null;
  #sidecarEnded: (end: { exitCode: number | null; signal: string | null }) => void = () => {};

  constructor(
    context: DriverContext,
    spec: WorkspaceSpec,
    dir: string,
    paths: WorkspacePaths,
    uid: number | null,
    spare: Spare | null = null,
  ) {
    this.#spare = spare;
    this.id = spec.id;
    this.spec = spec;
    this.report = context.report;
    this.#context = context;
    this.#dir = dir;
    this.#paths = paths;
    this.#uid = uid;
    this.sidecarExited = new Promise((resolve) => {
      this.#sidecarEnded = resolve;
    });
    if (!spec.sidecar) this.#sidecarEnded({ exitCode: null, signal: null });
    this.#group = context.cgroups.group(spec.id, spec.limits);
    this.#sidecarGroup = spare?.group ?? context.cgroups.group(`${spec.id}-sidecar`, SIDECAR_LIMITS);
    const { diskBytes, memoryBytes } = spec.limits;
    context.watch.addVolume(spec.id, { dir, diskBytes, memoryBytes, enter: entering(context.machine.outside) });
  }

  get #agent(): Identity | null {
    return this.#uid === null ? null : { uid: this.#uid, gid: this.#uid, umask: "022" };
  }

  /** Starts one sandbox of this workspace. */
  async #launch(
    request: Omit<Parameters<typeof startSandbox>[1], "newRoot" | "groups">,
    onLimit: (limit: "memory" | "disk") => void,
    memoryBytes: number,
    group = this.#group,
  ): Promise<Sandbox> {
    if (this.#ending) throw new Fault("conflict", `Workspace ${this.id} is being stopped.`);
    const own = await group.sandbox(memoryBytes);
    const started = await startSandbox(this.#context.machine, {
      ...request,
      newRoot: join(this.#dir, "root"),
      groups: own.joinFiles,
    }).catch(async (error: unknown) => {
      await own.remove();
      throw error;
    });
    return this.#count(started, own, onLimit, memoryBytes);
  }

  /** Counts a sandbox as this workspace's until it is gone. */
  #count(
    started: Sandbox,
    own: SandboxGroup,
    onLimit: (limit: "memory" | "disk") => void,
    memoryBytes: number,
  ): Sandbox {
    const sandbox: Sandbox = {
      ...started,
      ended: started.ended.finally(async () => {
        // The kernel ends one process; whether it did is known only while the group is there.
        if (await own.outOfMemory?.()) onLimit("memory");
        // A process that is being reaped keeps its group busy for some milliseconds; nobody has to wait for that.
        void own.remove();
      }),
    };
    sandbox.ended.catch(() => {});
    this.#running.add(sandbox);
    if (this.#ending) sandbox.kill();
    const unwatch = this.#context.watch.add({
      ...{ pid: sandbox.pid, workspace: this.id, memoryBytes, onLimit, outOfMemory: own.outOfMemory },
    });
    void sandbox.ended
      .catch(() => {})
      .then(() => {
        unwatch();
        this.#running.delete(sandbox);
      });
    return sandbox;
  }

  async #mounts(view: { sock: boolean; host: boolean }): Promise<ReturnType<typeof workspacePlan>> {
    const { options, usr, alternatives } = this.#context;
    const children: string[] = [];
    for (const name of ["runtime", "bin", "etc", "agent"])
      if (await exists(join(options.overlayDir, name))) children.push(name);
    return workspacePlan({
      ...{ usr, alternatives, paths: this.#paths, toolchains: options.toolchains ?? [], mounts: this.spec.mounts },
      overlay: children.length > 0 ? { dir: options.overlayDir, children } : null,
      app: this.spec.runtime ? { dir: this.spec.runtime.appDir, manifest: join(this.#dir, "runtime.json") } : null,
      sock: view.sock && this.spec.sidecar !== undefined,
      host: view.host,
    });
  }

  #env(network: "none" | "egress"): Record<string, string> {
    const { options } = this.#context;
    const token = network === "egress" ? this.spec.sidecar?.jobToken : undefined;
    return baseEnv(options.toolchains ?? [], {
      ...this.spec.env,
      ...(token === undefined
        ? {}
        : egressEnv(token, options.caBundle !== undefined, undefined, this.spec.sidecar?.registries)),
    });
  }

  /** A sandbox that could not be set up is tried again: of the command itself nothing began. */
  async exec(spec: ExecSpec): Promise<ExecResult> {
    for (const ms of AGAIN_MS)
      try {
        return await this.#execOnce(spec);
      } catch (error) {
        const passing = error instanceof Fault && error.code === "isolation_unavailable";
        // A stream that was handed over may be used up.
        if (!passing || spec.stdin || spec.stdout || spec.signal?.aborted) throw error;
        await pause(ms);
      }
    return this.#execOnce(spec);
  }

  async #execOnce(spec: ExecSpec): Promise<ExecResult> {
    const begin = performance.now();
    const egress = spec.network === "egress";
    if (egress && !this.spec.sidecar)
      throw new Fault("conflict", `Workspace ${this.id} has no sidecar, so commands have no way out.`);
    let limitHit: ExecResult["limitHit"] = null;
    let timedOut = false;
    const kill = (): void => sandbox?.kill();
    const hit = (limit: NonNullable<ExecResult["limitHit"]>): void => {
      limitHit ??= limit;
      kill();
    };
    let sandbox: Sandbox | null = null;
    if (spec.signal?.aborted)
      return {
        exitCode: null,
        signal: "SIGKILL",
        durationMs: 0,
        timedOut,
        limitHit,
        output: Buffer.alloc(0),
        outputBytes: 0,
      };
    sandbox = await this.#launch(
      {
        plan: {
          mounts: await this.#mounts({ sock: egress, host: false }),
          env: { ...this.#env(spec.network), ...spec.env },
          cwd: spec.cwd ?? "/workspace",
          argv: egress ? forwardedArgv(spec.argv) : spec.argv,
          ownNetwork: true,
          limits: {
            processes: this.spec.limits.processes,
            fileBytes: Math.min(FILE_BYTES, this.spec.limits.diskBytes),
          },
        },
        filter: "strict",
        identity: this.#agent,
        stdin: spec.stdin ? "pipe" : "none",
      },
      hit,
      Math.min(spec.memoryBytes ?? Number.POSITIVE_INFINITY, this.spec.limits.memoryBytes),
    );
    const timer = setTimeout(() => {
      timedOut = true;
      kill();
    }, spec.timeoutMs);
    spec.signal?.addEventListener("abort", kill, { once: true });
    if (spec.signal?.aborted) kill();
    try {
      if (spec.stdin && sandbox.stdin) void pipeline(spec.stdin, sandbox.stdin).catch(() => {});
      const capture = new Capture(spec.maxOutputBytes);
      const streams = Promise.all([
        spec.stdout
          ? capture.forward(sandbox.stdout, spec.stdout, () => hit("output"))
          : capture.collect(sandbox.stdout, () => {}),
        capture.collect(sandbox.stderr, () => {}),
      ]);
      const end = await sandbox.ended;
      await streams;
      if (!end.began && !end.killed && end.signal === null)
        throw new Fault(
          "isolation_unavailable",
          `The sandbox of workspace ${this.id} could not be set up: ${lastLines(capture.tail()) || "the launcher said nothing"}. \`x1 doctor\` checks what is missing.`,
        );
      return {
        // With a limit hit, what the rest of the command made of it says nothing.
        exitCode: end.killed || limitHit !== null ? null : end.exitCode,
        signal: end.killed || limitHit !== null ? "SIGKILL" : end.signal,
        durationMs: performance.now() - begin,
        ...{ timedOut, limitHit, output: capture.tail(), outputBytes: capture.bytes },
      };
    } finally {
      clearTimeout(timer);
      spec.signal?.removeEventListener("abort", kill);
      spec.stdin?.destroy();
    }
  }

  async startSidecar(): Promise<void> {
    const boot = this.spec.sidecar;
    if (!boot) return;
    const document = Buffer.from(JSON.stringify(boot));
    // The volume is not its own: it outlives a full one, and settles what it owes.
    const onLimit = (limit: "memory" | "disk"): void => {
      if (limit === "memory") sandbox.kill();
    };
    const spare = this.#spare;
    this.#spare = null;
    const { memoryBytes } = SIDECAR_LIMITS;
    const sandbox: Sandbox = spare
      ? this.#count(spare.sandbox, spare.own, onLimit, memoryBytes)
      : await this.#launch(
          sidecarRequest(this.#context, this.#paths.sock, this.#uid, document),
          ...([onLimit, memoryBytes, this.#sidecarGroup] as const),
        );
    if (spare) sandbox.boot(document);
    this.#sidecar = sandbox;
    void sandbox.ended
      .catch(() => ({ exitCode: null, signal: null }))
      .then(({ exitCode, signal }) => this.#sidecarEnded({ exitCode, signal }));
    await untilReady(sandbox);
  }

  startHost(): ReturnType<Workspace["startHost"]> {
    this.#host ??= this.#startHost().catch((error: unknown) => {
      this.#host = null;
      throw error;
    });
    return this.#host;
  }

  async #startHost(): Promise<RunningHost> {
    const begin = performance.now();
    const { runtime, hostToken, sidecar } = this.spec;
    if (!runtime || hostToken === undefined)
      throw new Fault("conflict", `Workspace ${this.id} was launched without a runtime, so it has no host.`);
    const { machine } = this.#context;
    for (const name of ["events.sock", "input.sock"]) await rm(join(this.#paths.host, name), { force: true });
    const kind = runtime.manifest.nestedNamespaces ? "host" : "strict";
    const unshare = machine.tools.unshare ?? "/usr/bin/unshare";
    const boot: HostBoot = {
      token: hostToken,
      jobToken: sidecar?.jobToken ?? "",
      workspaceId: this.id,
      manifestPath: "/x1/runtime.json",
      appDir: "/x1/app",
      cwd: "/workspace",
      home: "/home/agent",
      runDir: "/x1/run",
      sockDir: sidecar ? "/x1/sock" : null,
      tcp: true,
      inferenceUrl: "http://127.0.0.1:11432",
      env: this.#env(sidecar ? "egress" : "none"),
      spawnPrefix: nestedPrefix({
        bwrap: machine.mechanism === "bwrap" ? machine.tools.bwrap : null,
        tools: { ...machine.tools, unshare },
        filter: seccompFilter(machine.tools.architecture, kind),
        filterPath: "/x1/cli.bpf",
      }),
    };
    let limitHit: string | null = null;
    const sandbox = await this.#launch(
      {
        plan: {
          mounts: [
            ...(await this.#mounts({ sock: true, host: true })),
            { kind: "ro", source: machine.filters[kind], target: "/x1/cli.bpf" },
          ],
          env: baseEnv([], compiledBeside("/x1/agent")),
          cwd: "/",
          argv: ["/x1/runtime/bin/node", "/x1/agent/host.mjs"],
          ownNetwork: true,
          limits: {
            processes: this.spec.limits.processes,
            fileBytes: Math.min(FILE_BYTES, this.spec.limits.diskBytes),
          },
        },
        filter: "host",
        // Its sockets and journal are for this user's group too, where the uid is not his.
        identity: this.#agent && { ...this.#agent, umask: machine.outside.kind === "subordinate" ? "002" : "022" },
        stdin: "pipe",
      },
      (limit) => {
        limitHit ??= limit;
        sandbox.kill();
      },
      this.spec.limits.memoryBytes,
    );
    sandbox.stdin?.end(`${JSON.stringify(boot)}\n`);
    const log = new Capture(64 * 1024);
    void log.collect(sandbox.stdout, () => {});
    void log.collect(sandbox.stderr, () => {});
    const exited = sandbox.ended
      .catch(() => ({ exitCode: null, signal: null }))
      .then(({ exitCode, signal }) => ({ exitCode, signal, limitHit }));
    const { prefix, close } = await socketFolder(this.#paths.host);
    const endpoint: HostEndpoint = {
      kind: "unix",
      eventsPath: `${prefix}/events.sock`,
      inputPath: `${prefix}/input.sock`,
      token: hostToken,
    };
    const listening = await waitFor(
      async () =>
        (await isSocket(join(this.#paths.host, "events.sock"))) &&
        (await isSocket(join(this.#paths.host, "input.sock"))),
      exited,
      SIDECAR_READY_MS,
    );
    if (!listening) {
      sandbox.kill();
      await exited;
      await close();
      throw new Fault(
        "unavailable",
        `The host of ${runtime.manifest.name} did not start: ${lastLines(log.tail()) || "it said nothing"}.`,
      );
    }
    this.#context.hostStarted(performance.now() - begin);
    return { sandbox, endpoint, exited, closeDir: close };
  }

  async stopHost(): Promise<void> {
    const host = await this.#host?.catch(() => null);
    if (!host) return;
    host.sandbox.kill();
    await host.exited;
    await host.closeDir();
    this.#host = null;
  }

  async hostMemory(): Promise<HostMemory | null> {
    const host = await this.#host?.catch(() => null);
    return host ? treeMemory(host.sandbox.pid) : null;
  }

  /** All journal files of the host, oldest first. They are the agent's: bounded here and believed nowhere. */
  async readHostJournal(): Promise<Buffer> {
    return readJournal(this.#paths.host);
  }

  /** Ends every process of this workspace. The sidecar is asked first, so that it settles what it owes. */
  async end(): Promise<void> {
    this.#ending = true;
    for (const sandbox of this.#running) if (sandbox !== this.#sidecar) sandbox.kill();
    await Promise.allSettled(
      [...this.#running].filter((sandbox) => sandbox !== this.#sidecar).map((sandbox) => sandbox.ended),
    );
    await this.stopHost();
    const sidecar = this.#sidecar;
    if (sidecar) {
      sidecar.stdin?.end();
      const timer = setTimeout(() => sidecar.kill(), SHUTDOWN_MS);
      await sidecar.ended.catch(() => {});
      clearTimeout(timer);
    }
    await Promise.all([this.#group.remove(), this.#sidecarGroup.remove()]);
  }
}

/** A prefix short enough for a unix socket's address: the folder itself, or a descriptor of it in this process. */
async function socketFolder(dir: string): Promise<{ prefix: string; close: () => Promise<void> }> {
  if (Buffer.byteLength(`${dir}/events.sock`) <= SOCKET_PATH) return { prefix: dir, close: async () => {} };
  const handle = await open(dir, "r");
  return { prefix: `/proc/self/fd/${handle.fd}`, close: () => handle.close() };
}

const isSocket = (path: string): Promise<boolean> =>
  stat(path).then(
    (info) => info.isSocket(),
    () => false,
  );

/** Polls until true; false when `gone` settles or the time is over first. */
async function waitFor(check: () => Promise<boolean>, gone: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  let over = false;
  void gone.then(() => {
    over = true;
  });
  const deadline = Date.now() + timeoutMs;
  while (!over && Date.now() < deadline) {
    if (await check()) return true;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return false;
}

const lastLines = (bytes: Buffer): string =>
  bytes.toString("utf8").trim().split("\n").slice(-3).join(" / ").slice(-500);

/** Waits for the line `ready`; what else the sidecar prints is drained. */
export async function untilReady(sidecar: {
  stdout: Readable;
  stderr: Readable;
  ended: Promise<unknown>;
  kill(): void;
}): Promise<void> {
  const log = new Capture(16 * 1024);
  void log.collect(sidecar.stderr, () => {});
  let text = "";
  const ready = new Promise<boolean>((resolve) => {
    sidecar.stdout.on("data", (part: Buffer) => {
      text = (text + part.toString("utf8")).slice(-4_096);
      if (/^ready$/m.test(text)) resolve(true);
    });
    void sidecar.ended.catch(() => {}).then(() => resolve(false));
    setTimeout(() => resolve(false), SIDECAR_READY_MS).unref();
  });
  if (await ready) return;
  sidecar.kill();
  await sidecar.ended.catch(() => {});
  throw new Fault(
    "unavailable",
    `The sidecar did not get ready: ${lastLines(log.tail()) || "it said nothing"}. Retry the job; \`x1 doctor\` checks the installation.`,
  );
}
