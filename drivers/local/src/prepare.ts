import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { IsolationReport } from "@x1agent/contract";
import type { Cgroups } from "./cgroups.ts";
import { exists, makeEtc, usrEntries } from "./machine.ts";
import { findOffer, type OfferOptions } from "./probe.ts";
import { type Machine, OutputPipes } from "./sandbox.ts";
import { seccompFilter } from "./seccomp.ts";
import type { UsrEntry } from "./spec.ts";
import type { LimitWatch } from "./watch.ts";

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
