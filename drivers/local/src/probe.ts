import { readFile } from "node:fs/promises";
import { Fault, type IsolationReport } from "@x1agent/contract";
import type { WorkspaceDriver } from "@x1agent/workspaces";
import { Cgroups } from "./cgroups.ts";
import { exists, findTools, tryAgain, usrEntries } from "./machine.ts";
import { findOutside, type Outside, ownAccount } from "./outside.ts";
import type { Mechanism, Tools } from "./sandbox.ts";
import { bwrapMounts, usrMounts } from "./spec.ts";

/** What this machine offers for workspaces: found by trying it, told as a report and as checks with what mends them. */
export type Offer = {
  tools: Tools;
  mechanism: Mechanism;
  /** An empty folder of the machine, on which a sandbox mounts its own root before it enters it. */
  stage: string;
  outside: Outside;
  cgroups: Cgroups;
  report: IsolationReport;
};

export type OfferOptions = {
  /** Folder of the overlay of this version, as built by the overlay package. */
  overlayDir: string;
  /** Default: bubblewrap where it is installed. */
  mechanism?: Mechanism;
  /** `false`: limits are watched even where a control group may be written. */
  cgroups?: boolean;
};

type Probe = Awaited<ReturnType<WorkspaceDriver["probe"]>>;

const stages = ["/mnt", "/media", "/srv", "/opt"];

/** Programs (`found` where they were looked for already), uids and control groups of this machine. Rejects with a `Fault` where a folder to mount on is missing. */
export async function findOffer(options: OfferOptions, found?: Tools): Promise<Offer> {
  const tools = found ?? (await findTools());
  const mechanism = mechanismOf(options, tools);
  const stage = await firstFolder(stages);
  const cgroups = options.cgroups === false ? new Cgroups([]) : await Cgroups.find();
  const trial = await namespacesArgv(tools, mechanism);
  const outside = await findOutside(tools, { stage, overlayDir: options.overlayDir, trial: trial ?? ["/bin/true"] });
  return { tools, mechanism, stage, outside, cgroups, report: isolationReport(mechanism, tools, cgroups, outside) };
}

const mechanismOf = ({ mechanism }: OfferOptions, { bwrap }: Tools): Mechanism =>
  mechanism ?? (bwrap ? "bwrap" : "util-linux");

/** Says what this machine offers. Where namespaces are forbidden within five seconds. */
export async function probeMachine(options: OfferOptions): Promise<Probe> {
  const tools = await findTools();
  const mechanism = mechanismOf(options, tools);
  const checks: Probe["checks"] = [
    {
      name: "bubblewrap",
      ok: tools.bwrap !== null,
      detail: tools.bwrap ?? "absent; util-linux is used instead",
      fix: tools.bwrap ? null : "apt-get install bubblewrap",
    },
  ];
  const attempt = await namespacesArgv(tools, mechanism);
  if (!attempt) {
    checks.push({
      name: "launcher",
      ok: false,
      detail: "neither bubblewrap nor unshare is installed",
      fix: "apt-get install bubblewrap util-linux",
    });
    return { report: null, checks };
  }
  if (process.getuid?.() === 0 && (!tools.unshare || !tools.setpriv))
    checks.push({
      name: "util-linux",
      ok: false,
      detail: "needed as root to take on a workspace's uid",
      fix: "apt-get install util-linux",
    });
  const tried = await tryAgain(attempt);
  checks.push({
    name: "namespaces",
    ok: tried.ok,
    detail: tried.ok ? "user, pid, mount and network namespaces work" : tried.detail.slice(-500),
    fix: tried.ok ? null : await namespaceFix(),
  });
  const seccomp = mechanism === "bwrap" || tools.perl !== null;
  checks.push({
    name: "seccomp",
    ok: seccomp,
    detail: seccomp ? "filter" : "none: neither bubblewrap nor perl",
    fix: seccomp ? null : "apt-get install bubblewrap",
  });
  const { outside, cgroups, report } = await findOffer(options, tools);
  if (outside.kind !== "root")
    checks.push({
      name: "uid",
      ok: true,
      detail:
        outside.kind === "subordinate"
          ? `each workspace gets a uid of its own, from ${outside.first} on`
          : `a lower level: the agent's uid outside is yours (${outside.reason})`,
      fix:
        outside.kind === "subordinate"
          ? null
          : `apt-get install uidmap && usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${ownAccount()?.username ?? "<your account>"}`,
    });
  const kernel = cgroups.version("memory") !== null;
  checks.push({
    name: "limits",
    ok: true,
    detail: kernel
      ? `memory${cgroups.version("pids") ? ", processes" : ""}${cgroups.version("cpu") ? ", cpu" : ""} by control groups`
      : "memory is watched, not enforced by the kernel: no control group may be written",
    fix: kernel ? null : "start the service where it may write its control group, e.g. `systemd-run --user --pty`",
  });
  return { report: tried.ok ? report : null, checks };
}

/**
 * A short program in namespaces like a workspace's, as the uid that starts one; null without a launcher. It sees what
 * a workspace sees of the machine and no more: to bind all of `/` fails when anything is mounted or unmounted meanwhile.
 */
export async function namespacesArgv(tools: Tools, mechanism: Mechanism): Promise<string[] | null> {
  const drop =
    process.getuid?.() === 0 && tools.setpriv
      ? [tools.setpriv, "--reuid=3100000", "--regid=3100000", "--clear-groups", "--"]
      : [];
  if (mechanism === "util-linux") {
    if (!tools.unshare) return null;
    return [
      ...drop,
      tools.unshare,
      ..."-U -r -m -p -f -n --kill-child -- /bin/sh -c".split(" "),
      "mount -t proc proc /proc",
    ];
  }
  if (!tools.bwrap) return null;
  return [
    ...drop,
    ...[tools.bwrap, "--unshare-user", "--unshare-pid", "--unshare-net"],
    ...bwrapMounts([...usrMounts(await usrEntries()), { kind: "proc", target: "/proc" }]),
    ...["--", "/bin/true"],
  ];
}

/** The one setting that stands in the way, as a command. */
async function namespaceFix(): Promise<string> {
  const read = (path: string): Promise<string> =>
    readFile(path, "utf8")
      .then((text) => text.trim())
      .catch(() => "");
  if ((await read("/proc/sys/kernel/unprivileged_userns_clone")) === "0")
    return "sysctl -w kernel.unprivileged_userns_clone=1";
  if ((await read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")) === "1")
    return "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0   (or an AppArmor profile for bwrap)";
  if ((await read("/proc/sys/user/max_user_namespaces")) === "0") return "sysctl -w user.max_user_namespaces=15000";
  return "run outside of a container that forbids user namespaces, or give it --security-opt seccomp=unconfined";
}

async function firstFolder(candidates: readonly string[]): Promise<string> {
  for (const path of candidates) if (await exists(path)) return path;
  throw new Fault("isolation_unavailable", `None of ${candidates.join(", ")} exists; \`mkdir /mnt\` adds one.`);
}

const uidFacts = {
  root: "one unassigned uid for each workspace",
  subordinate: "one subordinate uid for each workspace",
  same: "yours",
};

function isolationReport(mechanism: Mechanism, tools: Tools, cgroups: Cgroups, outside: Outside): IsolationReport {
  const seccomp = mechanism === "bwrap" || tools.perl !== null;
  const group = (version: 1 | 2 | null): string => `control group, version ${version}`;
  const [memory, pids, cpu] = [cgroups.version("memory"), cgroups.version("pids"), cgroups.version("cpu")];
  const processes = [...(pids === null ? [] : [group(pids)]), ...(tools.prlimit ? ["RLIMIT_NPROC"] : [])];
  return {
    level: "namespaces",
    mechanism: mechanism === "bwrap" ? "bubblewrap" : "util-linux",
    facts: [
      { name: "namespaces", value: "user, pid, mount, network, ipc, uts", by: "kernel" },
      { name: "root filesystem", value: "allow-list, read-only", by: "kernel" },
      { name: "seccomp", value: seccomp ? "filter" : "none", by: seccomp ? "kernel" : "none" },
      {
        name: "uid outside",
        value: uidFacts[outside.kind],
        by: outside.kind === "same" ? "none" : "kernel",
      },
      memory === null
        ? { name: "memory", value: "summed twice a second", by: "watched" }
        : { name: "memory", value: group(memory), by: "kernel" },
      {
        name: "processes",
        value: processes.join(" and ") || "none",
        by: processes.length > 0 ? "kernel" : "none",
      },
      cpu === null
        ? { name: "cpu", value: "none", by: "none" }
        : { name: "cpu", value: `half the weight of the service, ${group(cpu)}`, by: "kernel" },
      { name: "disk", value: "measured, with a free-space reserve", by: "watched" },
    ],
  };
}
