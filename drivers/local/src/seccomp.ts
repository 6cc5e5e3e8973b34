/**
 * Seccomp filters as values: classic BPF programs, packed the way the kernel and `bwrap --seccomp` read them.
 *
 * `host` is for the runtime's host, which must still build the nested sandbox of its CLI; `strict` is for the CLI and
 * for every command of a project: no namespaces, no mounts, no looking into other processes.
 */
export type FilterKind = "host" | "strict";
export type Architecture = "x86_64" | "aarch64";

const EPERM = 1;
const ENOSYS = 38;
const EAFNOSUPPORT = 97;

const auditArch: Record<Architecture, number> = { x86_64: 0xc000003e, aarch64: 0xc00000b7 };

/** Numbers on x86_64 and aarch64; -1 where the call does not exist. From the kernel's syscall tables. */
const numbers = {
  socket: [41, 198],
  ioctl: [16, 29],
  clone: [56, 220],
  clone3: [435, 435],
  keyctl: [250, 219],
  add_key: [248, 217],
  request_key: [249, 218],
  bpf: [321, 280],
  perf_event_open: [298, 241],
  userfaultfd: [323, 282],
  io_uring_setup: [425, 425],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  kexec_load: [246, 104],
  kexec_file_load: [320, 294],
  init_module: [175, 105],
  finit_module: [313, 273],
  delete_module: [176, 106],
  reboot: [169, 142],
  swapon: [167, 224],
  swapoff: [168, 225],
  acct: [163, 89],
  quotactl: [179, 60],
  syslog: [103, 116],
  settimeofday: [164, 170],
  clock_settime: [227, 112],
  open_by_handle_at: [304, 265],
  iopl: [172, -1],
  ioperm: [173, -1],
  mount: [165, 40],
  umount2: [166, 39],
  pivot_root: [155, 41],
  chroot: [161, 51],
  open_tree: [428, 428],
  move_mount: [429, 429],
  fsopen: [430, 430],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fspick: [433, 433],
  mount_setattr: [442, 442],
  open_tree_attr: [467, 467],
  unshare: [272, 97],
  setns: [308, 268],
  ptrace: [101, 117],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  kcmp: [312, 272],
  pidfd_getfd: [438, 438],
} as const;
type Call = keyof typeof numbers;

const deniedAlways: readonly Call[] = [
  "keyctl",
  "add_key",
  "request_key",
  "bpf",
  "perf_event_open",
  "userfaultfd",
  "kexec_load",
  "kexec_file_load",
  "init_module",
  "finit_module",
  "delete_module",
  "reboot",
  "swapon",
  "swapoff",
  "acct",
  "quotactl",
  "syslog",
  "settimeofday",
  "clock_settime",
  "open_by_handle_at",
  "iopl",
  "ioperm",
];
const deniedStrict: readonly Call[] = [
  "mount",
  "umount2",
  "pivot_root",
  "chroot",
  "open_tree",
  "move_mount",
  "fsopen",
  "fsconfig",
  "fsmount",
  "fspick",
  "mount_setattr",
  "open_tree_attr",
  "unshare",
  "setns",
  "ptrace",
  "process_vm_readv",
  "process_vm_writev",
  "kcmp",
  "pidfd_getfd",
];
/** Answered ENOSYS, so that programs fall back to an older call instead of giving up. */
const absentAlways: readonly Call[] = ["io_uring_setup", "io_uring_enter", "io_uring_register"];

/** All CLONE_NEW* flags that `clone` takes (time namespaces only by `unshare` and `clone3`). */
export const CLONE_NEW_ANY = 0x7e02_0000;
const TIOCSTI = 0x5412;
const TIOCLINUX = 0x541c;
const families = { unix: 1, inet: 2, inet6: 10, netlink: 16 };

/** Offsets into `struct seccomp_data`; arguments are 64 bit, little-endian: the low half comes first. */
const offset = { nr: 0, arch: 4, arg: (n: number) => 16 + 8 * n };

export type Instruction = { code: number; jt: number; jf: number; k: number };
const load = (k: number): Instruction => ({ code: 0x20, jt: 0, jf: 0, k });
const ifEqual = (k: number, jt: number, jf: number): Instruction => ({ code: 0x15, jt, jf, k });
const ifAtLeast = (k: number, jt: number, jf: number): Instruction => ({ code: 0x35, jt, jf, k });
const ifAnyBit = (k: number, jt: number, jf: number): Instruction => ({ code: 0x45, jt, jf, k });
const give = (k: number): Instruction => ({ code: 0x06, jt: 0, jf: 0, k });
const ALLOW = 0x7fff_0000;
const KILL_PROCESS = 0x8000_0000;
const errno = (n: number): number => 0x0005_0000 | n;

/** The filter as instructions. Every rule ends in its own return, so no jump is longer than its rule. */
export function filterProgram(architecture: Architecture, kind: FilterKind): Instruction[] {
  const column = architecture === "x86_64" ? 0 : 1;
  const deny = (call: Call, error: number): Instruction[] =>
    numbers[call][column] < 0 ? [] : [ifEqual(numbers[call][column], 0, 1), give(errno(error))];
  /** Rules over arguments load other words, so each ends by returning: nothing after them sees a changed accumulator. */
  const inspect = (call: Call, body: Instruction[]): Instruction[] => [
    ifEqual(numbers[call][column], 0, body.length),
    ...body,
  ];
  return [
    load(offset.arch),
    ifEqual(auditArch[architecture], 1, 0),
    give(KILL_PROCESS),
    load(offset.nr),
    // The x32 ABI would reach every call under another number.
    ...(architecture === "x86_64" ? [ifAtLeast(0x4000_0000, 0, 1), give(errno(ENOSYS))] : []),
    ...deniedAlways.flatMap((call) => deny(call, EPERM)),
    ...absentAlways.flatMap((call) => deny(call, ENOSYS)),
    ...(kind === "strict" ? [...deniedStrict.flatMap((call) => deny(call, EPERM)), ...deny("clone3", ENOSYS)] : []),
    ...inspect("ioctl", [
      load(offset.arg(1)),
      ifEqual(TIOCSTI, 1, 0),
      ifEqual(TIOCLINUX, 0, 1),
      give(errno(EPERM)),
      give(ALLOW),
    ]),
    ...inspect("socket", [
      load(offset.arg(0)),
      ifEqual(families.unix, 6, 0),
      ifEqual(families.inet, 5, 0),
      ifEqual(families.inet6, 4, 0),
      ifEqual(families.netlink, 0, 2),
      // NETLINK_ROUTE only: listing interfaces needs it, and many development servers list interfaces.
      load(offset.arg(2)),
      ifEqual(0, 1, 0),
      give(errno(EAFNOSUPPORT)),
      give(ALLOW),
    ]),
    ...(kind === "strict"
      ? inspect("clone", [load(offset.arg(0)), ifAnyBit(CLONE_NEW_ANY, 0, 1), give(errno(EPERM)), give(ALLOW)])
      : []),
    give(ALLOW),
  ];
}

/** Packs instructions as an array of `struct sock_filter` (both architectures are little-endian). */
export function packProgram(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8);
  program.forEach((instruction, index) => {
    bytes.writeUInt16LE(instruction.code, index * 8);
    bytes.writeUInt8(instruction.jt, index * 8 + 2);
    bytes.writeUInt8(instruction.jf, index * 8 + 3);
    bytes.writeUInt32LE(instruction.k >>> 0, index * 8 + 4);
  });
  return bytes;
}

/** Filter bytes for one architecture. */
export function seccompFilter(architecture: Architecture, kind: FilterKind): Buffer {
  return packProgram(filterProgram(architecture, kind));
}
