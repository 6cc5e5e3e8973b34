import assert from "node:assert/strict";
import { mkdir, readdir, rename, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { Fault, type IsolationReport, isolationRank } from "@x1agent/contract";
import type { Workspace, WorkspaceDriver, WorkspaceInfo, WorkspaceSpec } from "@x1agent/workspaces";
import type { SandboxGroup } from "./cgroups.ts";
import { exists } from "./machine.ts";
import { type Outside, outerUid } from "./outside.ts";
import { type DriverContext, type LocalDriverOptions, prepareMachine } from "./prepare.ts";
import { probeMachine } from "./probe.ts";
import { ProcessLevelWorkspace } from "./process-level.ts";
import { startSandbox } from "./sandbox.ts";
import { leftSpares, newSpareDir, type Spare, Spares } from "./spare.ts";
import { endProcessesOf, UidRange } from "./uids.ts";
import {
  handOver,
  makeVolume,
  readStored,
  removeTorn,
  removeTree,
  type StoredSpec,
  volumePaths,
  writeSpec,
} from "./volume.ts";
import { LimitWatch } from "./watch.ts";
import { LocalWorkspace, SIDECAR_LIMITS, sidecarRequest } from "./workspace.ts";

/**
 * When a sidecar is started ahead, in milliseconds: after the driver was made; after a workspace took the last one, should
 * its host never come; and after a host was there, at least, and so many times as long as that took: by then its CLI has started,
 * whose the processor is until then.
 */
const SPARE_MS = { first: 1_000, taken: 10_000, started: 1_000 };
const HOST_STARTS = 4;

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
