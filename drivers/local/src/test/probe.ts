/**
 * A program for the inside of a sandbox that looks for ways out and prints the names of those it finds. The tests of the
 * walls run the same program in the driver's sandbox, where it finds none, and in sandboxes that lack one wall each.
 */
export type ProbeTargets = {
  /** Outside: a file of mode 0600, and a socket at a path, both the service's own. */
  file: string;
  socket: string;
  /** Name of an abstract socket outside. */
  abstract: string;
  /** A word in the arguments of a process outside. */
  process: string;
  /** Text in the environment of the launcher. */
  environment: string;
  /** Description of a key in the launcher's session keyring. */
  key: string;
};

const calls = {
  x64: { keyctl: 250, unshare: 272, uring: 425, userfaultfd: 323, perf: 298, kcmp: 312, mount: 165, add_key: 248 },
  arm64: { keyctl: 219, unshare: 97, uring: 425, userfaultfd: 282, perf: 241, kcmp: 272, mount: 40, add_key: 217 },
}[process.arch === "arm64" ? "arm64" : "x64"];

/** Each text is put together inside, so that the search does not find itself. */
const split = (text: string): string => [...text].map((char) => `chr(${char.charCodeAt(0)})`).join(".");

/** Perl, since every machine with git has it and it makes system calls by number. */
export function probeProgram(targets: ProbeTargets): string {
  return `
use strict; use Socket; $| = 1;
my %leaks; sub leak { $leaks{$_[0]} = 1 }
sub slurp { my ($p) = @_; open(my $f, '<', $p) or return ''; local $/; my $t = <$f>; $t // '' }
my ($env, $proc) = (${split(targets.environment)}, ${split(targets.process)});
for my $dir (glob '/proc/[0-9]*') {
  leak('environment') if index(slurp("$dir/environ"), $env) >= 0;
  leak('processes') if index(slurp("$dir/cmdline"), $proc) >= 0;
}
leak('environment') if grep { index($_, $env) >= 0 } values %ENV;
opendir(my $fds, '/proc/self/fd'); my @fds = grep { /^\\d+$/ && $_ > 2 && $_ != fileno($fds) && -e "/proc/self/fd/$_" } readdir $fds;
leak('descriptors') if grep { !(readlink("/proc/self/fd/$_") =~ m{^/proc/}) } @fds;
leak('terminal') if open(my $tty, '+<', '/dev/tty');
leak('file') if slurp(${split(targets.file)}) ne '';
my ($s, $a);
socket($s, AF_UNIX, SOCK_STREAM, 0) and connect($s, sockaddr_un(${split(targets.socket)})) and leak('socket');
socket($a, AF_UNIX, SOCK_STREAM, 0) and connect($a, sockaddr_un("\\0" . ${split(targets.abstract)})) and leak('abstract-socket');
leak('sys') if -e '/sys/kernel';
for my $p (qw(/proc/sys/kernel/hostname /proc/sys/kernel/core_pattern /proc/sys/vm/drop_caches /proc/sysrq-trigger)) {
  leak('proc-sys') if open(my $f, '>>', $p);
}
for my $p (qw(/ /usr /etc /usr/bin)) { if (open(my $f, '>', "$p/x1-probe")) { leak('root'); unlink "$p/x1-probe" } }
leak('capabilities') if slurp('/proc/self/status') =~ /^Cap(?:Eff|Prm|Inh|Amb):\\s+0*[1-9a-f]/m;
leak('privileges') if slurp('/proc/self/status') !~ /^NoNewPrivs:\\s+1$/m;
leak('core') if slurp('/proc/self/limits') !~ /^Max core file size\\s+0\\s+0\\s/m;
leak('group') if grep { $_ != $( && $_ != 65534 } split ' ', $);
my $key = ${split(targets.key)}; my $type = 'user';
my $id = syscall(${calls.keyctl}, 10, -3, $type, $key, 0);
leak('key') if $id != -1;
leak('key-name') if index(slurp('/proc/keys'), $key) >= 0;
sub refused { my ($name, $want, @call) = @_; local $! = 0; my $r = syscall(shift @call, @call); leak("call-$name") unless $r == -1 && $!+0 == $want; }
my $none = "\\0" x 120;
refused('keyctl', 1, ${calls.keyctl}, 0, -3, 0);
refused('io_uring', 38, ${calls.uring}, 1, $none);
refused('kcmp', 1, ${calls.kcmp}, $$, $$, 99, 0, 0);
refused('mount', 1, ${calls.mount}, $none, $none, $none, 0, 0);
refused('add_key', 1, ${calls.add_key}, $none, $none, $none, 0, 0);
for my $family (17, 38, 40) { local $! = 0; leak("family-$family") if socket(my $f, $family, 2, 0) or $!+0 != 97; }
{ local $! = 0; leak('family-audit') if socket(my $f, 16, 3, 9) or $!+0 != 97; }
{ my $c = "x"; pipe(my $r, my $w); local $! = 0; ioctl($r, 0x5412, $c); leak('tiocsti') unless $!+0 == 1; }
if (!(my $pid = fork)) { my $r = syscall(${calls.unshare}, 0x10000000); exit($r == 0 ? 1 : 0) } else { waitpid $pid, 0; leak('user-namespace') if $? >> 8 }
print 'found: ', join(' ', sort keys %leaks), "\\n";
`;
}

/** What a probe printed, as names. */
export function found(output: string): string[] {
  const line = /^found: ?(.*)$/m.exec(output)?.[1];
  if (line === undefined) throw new Error(`The probe did not come to its end: ${output.slice(-2_000)}`);
  return line.split(" ").filter((name) => name !== "");
}
