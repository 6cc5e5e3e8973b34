import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A PostgreSQL server of the machine's packages, started for the tests on loopback and gone with `stop`; `down` is a crash, `up` its end. */
export type Served = { url: string; down(): void; up(): void; stop(): void };

/** Where Debian's packages put the server; the newest version first. */
function binaries(): string | null {
  const home = "/usr/lib/postgresql";
  const versions = existsSync(home) ? readdirSync(home).toSorted((a, b) => Number(b) - Number(a)) : [];
  const found = versions.map((version) => join(home, version, "bin")).find((bin) => existsSync(join(bin, "initdb")));
  return found ?? null;
}

/** Starts it, or says what is missing. */
export async function startServed(): Promise<Served | { lacks: string }> {
  const bin = binaries();
  if (!bin) return { lacks: "Debian's package postgresql" };
  const account: { uid?: number; gid?: number } | null = process.getuid?.() === 0 ? postgresAccount() : {};
  if (!account) return { lacks: "the account postgres" };
  const folder = mkdtempSync(join(tmpdir(), "x1-pg-"));
  const password = randomBytes(16).toString("hex");
  const passwordFile = join(folder, "password");
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  if (account.uid !== undefined && account.gid !== undefined) {
    chownSync(folder, account.uid, account.gid);
    chownSync(passwordFile, account.uid, account.gid);
  }
  chmodSync(folder, 0o700);
  const run = (program: string, args: string[]) => {
    // Its output goes to files: a pipe would stay open for as long as the server runs.
    const { status, error } = spawnSync(join(bin, program), args, {
      ...{ cwd: folder, timeout: 60_000, stdio: "ignore", env: { PATH: "/usr/bin:/bin", LC_ALL: "C.UTF-8" } },
      ...account,
    });
    if (status !== 0) throw new Error(`${program} of the test server ended with ${status ?? error?.message}.`);
  };
  const data = join(folder, "data");
  run("initdb", ["-D", data, "-U", "x1admin", "-A", "scram-sha-256", `--pwfile=${passwordFile}`, "-E", "UTF8"]);
  // Not for keeps: nothing is lost with these tests' data, and everything else is the server's usual way.
  const settings = "-c fsync=off -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=300";
  let port = 0;
  const up = () =>
    run("pg_ctl", ["-D", data, "-l", join(folder, "log"), "-w", "-o", `${settings} -c port=${port}`, "start"]);
  const down = () => run("pg_ctl", ["-D", data, "-m", "immediate", "-w", "stop"]);
  // A port that was free a moment ago may be somebody else's by the time the server binds it.
  for (let left = 5; ; left -= 1) {
    port = await freePort();
    try {
      up();
      break;
    } catch (error) {
      if (left === 1) throw error;
    }
  }
  return {
    down,
    up,
    url: `postgres://x1admin:${password}@127.0.0.1:${port}/postgres`,
    stop() {
      try {
        down();
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  };
}

/** The server refuses to run as root; its package brings this account. */
function postgresAccount(): { uid: number; gid: number } | null {
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((entry) => entry.startsWith("postgres:"));
  const [, , uid, gid] = line?.split(":") ?? [];
  return uid && gid ? { uid: Number(uid), gid: Number(gid) } : null;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() =>
        address && typeof address === "object" ? resolve(address.port) : reject(new Error("no port")),
      );
    });
  });
}
