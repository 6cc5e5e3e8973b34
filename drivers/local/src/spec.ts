import { basename, dirname } from "node:path";
import type { SidecarRegistry } from "@x1agent/contract";

/**
 * Pure builders of the local driver: what a sandbox looks like, as values. `sandbox.ts` performs them.
 *
 * One `MountPlan` describes the root filesystem as an allow-list; two builders turn it into either bubblewrap arguments
 * or a script for util-linux. Both are handed over on a descriptor, never as arguments: they hold environment values
 * and outside paths, and arguments are readable inside at `/proc/1/cmdline`.
 */
export type Mount =
  | { kind: "ro" | "rw"; source: string; target: string }
  | { kind: "tmpfs"; target: string; bytes: number; mode: string }
  | { kind: "symlink"; to: string; target: string }
  | { kind: "dir"; target: string }
  | { kind: "proc" | "dev"; target: string };
export type MountPlan = readonly Mount[];

/** A top-level entry of the machine that belongs to `/usr`: a link into it, or a folder of its own on older layouts. */
export type UsrEntry = { path: string; link: string | null };

export type WorkspacePaths = { work: string; home: string; tmp: string; host: string; sock: string; etc: string };

const SHM_BYTES = 64 * 1024 * 1024;

/** `/usr` and its top-level names, read-only. */
export const usrMounts = (usr: readonly UsrEntry[]): Mount[] => [
  { kind: "ro", source: "/usr", target: "/usr" },
  ...usr.map(
    (entry): Mount =>
      entry.link === null
        ? { kind: "ro", source: entry.path, target: entry.path }
        : { kind: "symlink", to: entry.link, target: entry.path },
  ),
];

/** What every sandbox has of the system. */
export function systemMounts(usr: readonly UsrEntry[], etc: string, alternatives: boolean): Mount[] {
  return [
    ...usrMounts(usr),
    { kind: "ro", source: etc, target: "/etc" },
    ...(alternatives ? [{ kind: "ro", source: "/etc/alternatives", target: "/etc/alternatives" } as const] : []),
    { kind: "proc", target: "/proc" },
    { kind: "dev", target: "/dev" },
    { kind: "tmpfs", target: "/dev/shm", bytes: SHM_BYTES, mode: "1777" },
  ];
}

export type WorkspacePlanInput = {
  usr: readonly UsrEntry[];
  alternatives: boolean;
  paths: WorkspacePaths;
  /** Folder of the overlay and which of its children exist. */
  overlay: { dir: string; children: readonly string[] } | null;
  app: { dir: string; manifest: string } | null;
  toolchains: readonly string[];
  mounts: readonly { source: string; target: string; writable?: boolean }[];
  /** The sidecar's sockets are seen. */
  sock: boolean;
  /** The host's own folder is seen: only by the host. */
  host: boolean;
};

/**
 * Where a toolchain is seen inside: at its own path, for programs that know it; at another where a volume would cover it, and
 * where a mount point would have to be made in what the agent writes. Pure.
 */
export const toolchainPlace = (dir: string, at: number): string =>
  /^\/(tmp|var\/tmp|home\/agent|workspace|x1)\//.test(dir) ? `/opt/x1-toolchain-${at}` : dir;

/** Root filesystem of a workspace. The root itself is a tmpfs made read-only last, so mount points need no folder in a shared overlay. */
export function workspacePlan(input: WorkspacePlanInput): Mount[] {
  const { paths, overlay, app } = input;
  return [
    ...systemMounts(input.usr, paths.etc, input.alternatives),
    ...input.toolchains.map((dir, at): Mount => ({ kind: "ro", source: dir, target: toolchainPlace(dir, at) })),
    { kind: "rw", source: paths.tmp, target: "/tmp" },
    { kind: "symlink", to: "../tmp", target: "/var/tmp" },
    { kind: "rw", source: paths.home, target: "/home/agent" },
    { kind: "rw", source: paths.work, target: "/workspace" },
    ...(overlay?.children ?? []).map(
      (name): Mount => ({
        kind: "ro",
        source: `${overlay?.dir}/${name}`,
        target: `/x1/${name}`,
      }),
    ),
    ...(app
      ? ([
          { kind: "ro", source: app.dir, target: "/x1/app" },
          { kind: "ro", source: app.manifest, target: "/x1/runtime.json" },
        ] as const)
      : []),
    ...(input.sock ? [{ kind: "ro", source: paths.sock, target: "/x1/sock" } as const] : []),
    ...(input.host ? [{ kind: "rw", source: paths.host, target: "/x1/run" } as const] : []),
    ...input.mounts.map(
      (mount): Mount => ({
        kind: mount.writable ? "rw" : "ro",
        source: mount.source,
        target: mount.target,
      }),
    ),
  ];
}

/** Root filesystem of the sidecar: system, its program, its socket folder; nothing of the workspace, nothing of the data directory. */
export function sidecarPlan(input: {
  usr: readonly UsrEntry[];
  alternatives: boolean;
  etc: string;
  sock: string;
  program: string;
}): Mount[] {
  return [
    ...systemMounts(input.usr, input.etc, input.alternatives),
    { kind: "tmpfs", target: "/tmp", bytes: 16 * 1024 * 1024, mode: "1777" },
    { kind: "ro", source: input.program, target: "/x1/sidecar" },
    { kind: "rw", source: input.sock, target: "/x1/sock" },
  ];
}

export type Limits = { processes: number; fileBytes: number };

export type SandboxPlan = {
  mounts: MountPlan;
  env: Readonly<Record<string, string>>;
  cwd: string;
  argv: readonly string[];
  /** Own network namespace with loopback only, or the machine's. */
  ownNetwork: boolean;
  limits: Limits;
};

const prlimitArgv = (prlimit: string | null, limits: Limits): string[] =>
  prlimit === null
    ? []
    : [
        prlimit,
        "--core=0:0",
        `--nproc=${limits.processes}:${limits.processes}`,
        `--fsize=${limits.fileBytes}:${limits.fileBytes}`,
        "--",
      ];

/** Mounts as options of bubblewrap, in their order. */
export const bwrapMounts = (mounts: readonly Mount[]): string[] =>
  mounts.flatMap((mount) => {
    if (mount.kind === "ro") return ["--ro-bind", mount.source, mount.target];
    if (mount.kind === "rw") return ["--bind", mount.source, mount.target];
    if (mount.kind === "tmpfs") return ["--perms", mount.mode, "--size", String(mount.bytes), "--tmpfs", mount.target];
    if (mount.kind === "symlink") return ["--symlink", mount.to, mount.target];
    return [`--${mount.kind}`, mount.target];
  });

/** Arguments for `bwrap --args FD`. `seccompFd` and `statusFd` are numbers of descriptors that bwrap inherits and closes. */
export function bwrapArguments(
  plan: SandboxPlan,
  options: { prlimit: string | null; seccompFd: number | null; statusFd: number },
): { options: string[]; command: string[] } {
  const args: string[] = [
    "--unshare-user",
    "--unshare-pid",
    "--unshare-ipc",
    "--unshare-uts",
    "--unshare-cgroup-try",
    ...(plan.ownNetwork ? ["--unshare-net"] : []),
    ...["--uid", "1000", "--gid", "1000", "--hostname", "x1", "--die-with-parent", "--new-session"],
    ...["--json-status-fd", String(options.statusFd)],
    ...(options.seccompFd === null ? [] : ["--seccomp", String(options.seccompFd)]),
  ];
  args.push(...bwrapMounts(plan.mounts));
  args.push("--remount-ro", "/", "--chdir", plan.cwd, "--clearenv");
  for (const [name, value] of Object.entries(plan.env)) args.push("--setenv", name, value);
  return { options: args, command: [...prlimitArgv(options.prlimit, plan.limits), ...plan.argv] };
}

/** Quotes one word for a POSIX shell. */
export const shellQuote = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;
const words = (list: readonly string[]): string => list.map(shellQuote).join(" ");

/**
 * First process of a namespace on the util-linux path: a fresh session keyring, no_new_privs and the filter for itself
 * and all after it, then one child in a new session, reaping until that child ends. Perl, because Debian's git brings it.
 */
export const initPerl = [
  "use strict; my ($arch,$hex)=splice(@ARGV,0,2);",
  "my %n=$arch eq 'x86_64'?(p=>157,s=>317,k=>250,sid=>112):(p=>167,s=>277,k=>219,sid=>157);",
  "syscall($n{k},1,0);",
  "syscall($n{p},38,1,0,0,0)==0 or die 'no_new_privs';",
  "my $f=pack('H*',$hex); my $prog=pack('Sx6P',length($f)/8,$f);",
  'syscall($n{s},1,0,$prog)==0 or die "seccomp: $!";',
  "my $pid=fork; defined $pid or die 'fork';",
  'if(!$pid){ syscall($n{sid}); exec {$ARGV[0]} @ARGV; print STDERR "$ARGV[0]: $!\\n"; exit 127 }',
  "while((my $w=wait)!=-1){ last if $w==$pid } exit(($?&127)?128+($?&127):$?>>8);",
].join(" ");

/** Sets IFF_UP on lo where `ip` is absent. */
const loopbackPerl = "socket(S,2,2,0);my $r=pack('a16s x22','lo',1);ioctl(S,0x8914,$r)";

export type UtilLinuxTools = { unshare: string; perl: string | null; prlimit: string | null; architecture: string };

/** The last step on the util-linux path: to uid 1000 in a second user namespace, which locks every mount made before. */
export function dropCommand(tools: UtilLinuxTools, filter: Buffer): string[] {
  return [
    ...[tools.unshare, "-U", "--map-user=1000", "--map-group=1000", "--", "/usr/bin/setpriv", "--no-new-privs", "--"],
    ...(tools.perl === null
      ? ["/bin/bash", "--norc", "--noprofile", "-c", '"$@"; exit $?', "x1-init"]
      : [tools.perl, "-e", initPerl, tools.architecture, filter.toString("hex")]),
  ];
}

/** One word of a file in fstab(5)'s form. */
const fstabWord = (word: string): string =>
  word.replace(/[\\ \t\n]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, "0")}`);

type FstabLine = { source: string; target: string; type: string; options: string };

/**
 * Mounts in order as a file for `mount -a -T`: one program performs them all. A folder to mount on is made where it is
 * missing; a file must be there.
 */
export const fstab = (lines: readonly FstabLine[]): string =>
  lines
    .map(({ source, target, type, options }) =>
      [fstabWord(source), fstabWord(target), type, `${options},X-mount.mkdir`, "0", "0\n"].join(" "),
    )
    .join("");

/**
 * Targets whose source lies on a mount without execution. That flag is locked in a user namespace, so making such a
 * mount read-only must repeat it. `mountinfo` is `/proc/self/mountinfo`. Pure.
 */
export function noexecTargets(plan: MountPlan, mountinfo: string): ReadonlySet<string> {
  const points = mountinfo.split("\n").flatMap((line) => {
    const [, , , , point, options = ""] = line.split(" ");
    return point ? [{ point: point.replace(/\\(\d{3})/g, (_, code) => char(code)), options }] : [];
  });
  const below = (path: string, point: string): boolean => path === point || path.startsWith(point.replace(/\/?$/, "/"));
  const found = new Set<string>();
  for (const mount of plan) {
    if (mount.kind !== "ro" && mount.kind !== "rw") continue;
    const on = points
      .filter(({ point }) => below(mount.source, point))
      // The last of the longest is on top.
      .reduce<(typeof points)[number] | null>((a, b) => (a && a.point.length > b.point.length ? a : b), null);
    if (on?.options.split(",").includes("noexec")) found.add(mount.target);
  }
  return found;
}
const char = (octal: string): string => String.fromCharCode(Number.parseInt(octal, 8));

const DEVICES = ["null", "zero", "full", "random", "urandom", "tty"];

/**
 * Script for `unshare -U -r -m -p -f ... bash`: builds the plan below `newRoot`, pivots, drops, runs. Each program that it
 * starts costs more than a millisecond of every command, so all mounts are one `mount`.
 */
export function utilLinuxScript(
  plan: SandboxPlan,
  options: {
    newRoot: string;
    tools: UtilLinuxTools;
    filter: Buffer;
    closeFds: readonly number[];
    statusFd: number;
    /** See `noexecTargets`. */
    noexec: ReadonlySet<string>;
  },
): string {
  const root = options.newRoot;
  const folders = new Set(["proc"]);
  const files: string[] = [];
  const links = new Map<string, string[]>();
  const single: string[] = [];
  const mounts: FstabLine[] = [];
  const link = (to: string, path: string): void => {
    const [folder, name] = [dirname(path), basename(path)];
    folders.add(`.${folder}`);
    if (basename(to) === name) links.set(folder, [...(links.get(folder) ?? []), to]);
    else single.push(`ln -s -- ${words([to, `.${path}`])}`);
  };
  for (const mount of plan.mounts) {
    const target = `${root}${mount.target}`;
    if (mount.kind === "ro" || mount.kind === "rw") {
      folders.add(`.${dirname(mount.target)}`);
      files.push(`[ -d ${shellQuote(mount.source)} ] || : >${shellQuote(`.${mount.target}`)}`);
      mounts.push({
        ...{ source: mount.source, target, type: "none" },
        // Flags inherited from outside are locked in a user namespace: they must be repeated, and adding them is wanted anyway.
        options: `rbind,${mount.kind},nosuid,nodev${options.noexec.has(mount.target) ? ",noexec" : ""}`,
      });
    } else if (mount.kind === "symlink") link(mount.to, mount.target);
    else if (mount.kind === "dir") folders.add(`.${mount.target}`);
    else if (mount.kind === "tmpfs") {
      const size = `mode=${mount.mode},size=${mount.bytes}`;
      mounts.push({ source: "x1", target, type: "tmpfs", options: `${size},nosuid,nodev` });
    } else if (mount.kind === "proc")
      mounts.push({ source: "proc", target, type: "proc", options: "nosuid,nodev,noexec" });
    else {
      // No tmpfs of its own: the root is one, and becomes read-only.
      folders.add(`.${mount.target}/pts`);
      for (const name of DEVICES) {
        files.push(`: >${shellQuote(`.${mount.target}/${name}`)}`);
        mounts.push({ source: `/dev/${name}`, target: `${target}/${name}`, type: "none", options: "bind" });
      }
      mounts.push({
        ...{ source: "devpts", target: `${target}/pts`, type: "devpts" },
        options: "newinstance,ptmxmode=0666,mode=620",
      });
      link("pts/ptmx", `${mount.target}/ptmx`);
      link("/proc/self/fd", `${mount.target}/fd`);
      for (const [at, name] of ["stdin", "stdout", "stderr"].entries())
        link(`/proc/self/fd/${at}`, `${mount.target}/${name}`);
    }
  }
  const lines = [
    "set -e; export PATH=/usr/sbin:/usr/bin:/sbin:/bin",
    ...(plan.ownNetwork
      ? [
          `ip link set lo up 2>/dev/null || ${options.tools.perl === null ? "true" : `perl -e ${shellQuote(loopbackPerl)}`}`,
        ]
      : []),
    "hostname x1 2>/dev/null || true",
    `R=${shellQuote(root)}`,
    'mount -t tmpfs -o mode=755,size=4m,nosuid,nodev x1 "$R"; cd "$R"',
    `mkdir -p -- ${words([...folders])}`,
    ...files,
    ...[...links].map(([folder, to]) => `ln -s -t ${words([`.${folder}`, ...to])}`),
    ...single,
    // Where the list lies is covered by the /proc that it mounts.
    `printf %s ${shellQuote(fstab(mounts))} >./proc/fstab; mount -a -T "$R/proc/fstab"`,
    'cd "$R"; pivot_root . .; umount -l .; cd /',
    "mount -o remount,bind,ro,nosuid,nodev /",
    `cd ${shellQuote(plan.cwd)}`,
    // The environment goes by export, not by arguments: those are readable by everyone on the machine.
    "for v in $(compgen -e); do unset $v; done; unset OLDPWD",
    ...Object.entries(plan.env).map(([name, value]) => `export ${name}=${shellQuote(value)}`),
    // Says that all before went well; from here on a failure is the command's own.
    `echo ready >&${options.statusFd}`,
    `exec ${words([...dropCommand(options.tools, options.filter), ...prlimitArgv(options.tools.prlimit, plan.limits), ...plan.argv])} ${options.closeFds.map((fd) => `${fd}<&-`).join(" ")}`,
  ];
  return `${lines.join("\n")}\n`;
}

/*
 * Every bash of the launcher is told not to read start-up files: with a socket as its input it would take itself for a
 * remote shell and read those of the account that runs the service.
 */

/** How bash takes the script: descriptor 3 is a socket, which cannot be opened by a path. */
export const readScript = 's=$(/bin/cat <&3); eval "$s"';

/** Descriptors that the service itself inherited without close-on-exec go no further. */
const closeDescriptors = (last: number): string =>
  `for f in /proc/self/fd/*; do f=\${f##*/}; if ((f > ${last})); then eval "exec $f>&-"; fi; done`;

/**
 * First step of an ordinary user's launch: it joins its control groups (their number, then their files come first in the
 * arguments); what follows has an empty environment.
 */
export const launchScript = (last: number): string =>
  `${closeDescriptors(last)}; n=$1; shift; while ((n-- > 0)); do echo $$ >"$1" || exit 126; shift; done; exec -c "$@"`;

/**
 * The first step as root, before any privilege is given up, in a private mount namespace: it joins its control groups,
 * and each source is bound below `stage`, which the workspace's uid can reach whatever the modes on the way to the data
 * directory; then the uid is taken on. To join takes the kernel ten milliseconds of waiting, so the mounts are made
 * meanwhile. Arguments: number of groups, groups..., uid, gid, umask, list of mounts, number of sources, sources..., command...
 */
export const stageScript = (stage: string, last: number): string =>
  [
    "export PATH=/usr/sbin:/usr/bin:/sbin:/bin",
    closeDescriptors(last),
    // biome-ignore lint/suspicious/noTemplateCurlyInString: bash's own.
    'n=$1; shift; { for g in "${@:1:n}"; do echo $$ >"$g" || exit 126; done; } & joined=$!; shift "$n"; set -e',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: bash's own.
    'uid=$1 gid=$2 mask=$3 list=$4 n=$5; shift 5; i=0; src=("${@:1:n}"); shift "$n"',
    `mount -t tmpfs -o mode=755,size=256k,nosuid,nodev x1 ${stage}`,
    `for s in "\${src[@]}"; do [ -d "$s" ] || : >${stage}/$i; i=$((i+1)); done`,
    `printf %s "$list" >${stage}/fstab; mount -a -T ${stage}/fstab`,
    'umask "$mask"; wait "$joined"',
    'exec -c setpriv --reuid="$uid" --regid="$gid" --clear-groups --inh-caps=-all -- "$@"',
  ].join("\n");

/** The list of mounts for `stageScript`. */
export const stageFstab = (sources: readonly string[], stage: string): string =>
  fstab([
    // Where the util-linux path builds the new root.
    { source: "x1", target: `${stage}/root`, type: "tmpfs", options: "mode=755,size=4k,nosuid,nodev" },
    ...sources.map((source, at) => ({ source, target: `${stage}/${at}`, type: "none", options: "rbind" })),
  ]);

/** Replaces sources by their place below the stage. Sources in `/usr` and `/etc/alternatives` stay: every uid reads them. */
export function stagePlan(plan: MountPlan, stage: string): { plan: Mount[]; sources: string[] } {
  const sources: string[] = [];
  const staged = plan.map((mount): Mount => {
    if (mount.kind !== "ro" && mount.kind !== "rw") return mount;
    if (mount.source === mount.target && /^\/(usr|bin|sbin|lib\w*|etc\/alternatives)$/.test(mount.source)) return mount;
    sources.push(mount.source);
    return { ...mount, source: `${stage}/${sources.length - 1}` };
  });
  return { plan: staged, sources };
}

/**
 * Argv prefix by which the host runs its CLI in pid and mount namespaces of its own: fresh `/proc`, an empty `/x1/run`,
 * the strict filter. Killing the prefix process ends the whole tree.
 */
export function nestedPrefix(input: {
  bwrap: string | null;
  tools: UtilLinuxTools;
  filter: Buffer;
  /** Filter file inside, for bubblewrap. */
  filterPath: string;
}): string[] {
  if (input.bwrap !== null) {
    const options = [
      ...["--unshare-user", "--unshare-pid", "--unshare-ipc", "--die-with-parent", "--new-session"],
      ...[
        "--bind",
        "/",
        "/",
        "--dev-bind",
        "/dev",
        "/dev",
        "--proc",
        "/proc",
        "--perms",
        "0555",
        "--size",
        "4096",
        "--tmpfs",
        "/x1/run",
      ],
      ...["--remount-ro", "/x1/run"],
    ];
    const script = `exec ${input.bwrap} ${options.join(" ")} --seccomp 9 -- "$@" 9<${input.filterPath}`;
    return ["/bin/sh", "-c", script, "x1-cli"];
  }
  const inner = [
    "mount -t tmpfs -o ro,size=4k,mode=555,nosuid,nodev x1 /x1/run",
    "mount -t proc -o nosuid,nodev,noexec proc /proc",
    `exec ${words(dropCommand(input.tools, input.filter))} "$@"`,
  ].join(" && ");
  return [
    ...[
      input.tools.unshare,
      "-U",
      "-r",
      "-m",
      "-p",
      "-f",
      "-i",
      "--kill-child",
      "--",
      "/bin/bash",
      "--norc",
      "--noprofile",
      "-c",
      inner,
      "x1-cli",
    ],
  ];
}

const BASE_PATH = ["/x1/bin", "/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin"];

/** Environment of a workspace, from nothing. `/x1/runtime/bin` comes last: a project's own node wins where there is one. */
export function baseEnv(
  toolchains: readonly string[],
  extra: Readonly<Record<string, string>>,
): Record<string, string> {
  return {
    PATH: [...toolchains.map((dir, at) => `${toolchainPlace(dir, at)}/bin`), ...BASE_PATH, "/x1/runtime/bin"].join(":"),
    HOME: "/home/agent",
    USER: "agent",
    LOGNAME: "agent",
    SHELL: "/bin/bash",
    LANG: "C.UTF-8",
    TERM: "dumb",
    // A first-level bash whose input is a socket takes itself for a remote login and reads ~/.bashrc.
    SHLVL: "1",
    TMPDIR: "/tmp",
    GIT_TERMINAL_PROMPT: "0",
    ...extra,
  };
}

/** Variables by which Node reads what was compiled of a program of the overlay; the folder is read-only and may be missing. Pure. */
export const compiledBeside = (folder: string): Record<string, string> => ({
  NODE_COMPILE_CACHE: `${folder}/compiled`,
  NODE_COMPILE_CACHE_PORTABLE: "1",
});

/** Where the certificates lie inside, for every program with an idea of its own. */
export const CA_PATH = "/etc/ssl/certs/ca-certificates.crt";

/**
 * Variables that lead clients to the egress proxy, and package clients to the registries that the sidecar serves. The job
 * token is worthless outside its workspace.
 */
export function egressEnv(
  jobToken: string,
  customCa: boolean,
  ports = { egress: 3128, api: 9090 },
  registries: readonly SidecarRegistry[] = [],
): Record<string, string> {
  const proxy = `http://x1:${jobToken}@127.0.0.1:${ports.egress}`;
  const direct = "127.0.0.1,localhost,::1";
  return {
    HTTP_PROXY: proxy,
    HTTPS_PROXY: proxy,
    ALL_PROXY: proxy,
    http_proxy: proxy,
    https_proxy: proxy,
    all_proxy: proxy,
    NO_PROXY: direct,
    no_proxy: direct,
    npm_config_proxy: proxy,
    npm_config_https_proxy: proxy,
    npm_config_noproxy: direct,
    npm_config_update_notifier: "false",
    CARGO_HTTP_PROXY: proxy,
    NODE_USE_ENV_PROXY: "1",
    SSL_CERT_FILE: CA_PATH,
    CURL_CA_BUNDLE: CA_PATH,
    GIT_SSL_CAINFO: CA_PATH,
    CARGO_HTTP_CAINFO: CA_PATH,
    REQUESTS_CA_BUNDLE: CA_PATH,
    PIP_CERT: CA_PATH,
    // Node brings the public roots itself and parses this file at every start: only for a bundle of one's own.
    ...(customCa ? { NODE_EXTRA_CA_CERTS: CA_PATH, npm_config_cafile: CA_PATH } : {}),
    X1_API_URL: `http://127.0.0.1:${ports.api}`,
    X1_JOB_TOKEN: jobToken,
    ...Object.fromEntries(
      registries.flatMap(({ env }) =>
        Object.entries(env).map(([name, value]) => [
          name,
          value.replaceAll("{api}", `127.0.0.1:${ports.api}`).replaceAll("{token}", jobToken),
        ]),
      ),
    ),
  };
}

/** Starts the forwarder, waits for its one line, then becomes the command: the forwarder ends with the namespace. */
export const forwardedArgv = (argv: readonly string[]): string[] => [
  "/bin/bash",
  "--norc",
  "--noprofile",
  "-c",
  'exec 9< <(exec /x1/runtime/bin/node /x1/agent/forward.mjs --sock /x1/sock </dev/null 2>/dev/null); IFS= read -r -t 20 -u 9 _ || { echo "x1: the forwarder did not start" >&2; exit 125; }; exec 9<&-; exec "$@"',
  "x1-forward",
  ...argv,
];

/** Small made-up files of `/etc`. */
export function etcFiles(input: {
  sidecar: boolean;
  resolv: string;
  hosts: string;
  nsswitch: string;
}): Record<string, string> {
  return {
    passwd:
      "root:x:0:0:root:/root:/usr/sbin/nologin\nagent:x:1000:1000:agent:/home/agent:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    group: "root:x:0:\nagent:x:1000:\nnogroup:x:65534:\n",
    hostname: "x1\n",
    hosts: input.sidecar ? input.hosts : "127.0.0.1 localhost x1\n::1 localhost\n",
    "nsswitch.conf":
      "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\nservices: files\nprotocols: files\n",
    "resolv.conf": input.sidecar ? input.resolv : "",
    shells: "/bin/sh\n/bin/bash\n",
    gitconfig:
      "[safe]\n\tdirectory = *\n[init]\n\tdefaultBranch = main\n[advice]\n\tdetachedHead = false\n[user]\n\tname = agent\n\temail = agent@localhost\n[credential]\n\thelper =\n\thelper = /x1/bin/git-credential-x1\n",
  };
}
