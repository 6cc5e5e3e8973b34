import { randomBytes, randomUUID } from "node:crypto";
import { closeSync, readSync } from "node:fs";
import { chmod, link, mkdir, open, readFile, rename, rm, stat, unlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Fault } from "@x1agent/contract";

/** Node's own recursive mkdir never ends where a folder cannot be made although the one above exists (`/proc/x`). */
async function makeFolder(path: string): Promise<void> {
  const code = await mkdir(path, { mode: 0o700 }).then(
    () => null,
    (cause: NodeJS.ErrnoException) => cause.code,
  );
  if (code === null || code === "EEXIST") return;
  if (code === "ENOENT" && !(await stat(dirname(path)).catch(() => null))) {
    await makeFolder(dirname(path));
    await mkdir(path, { mode: 0o700 });
    return;
  }
  throw Object.assign(new Error(`${path} cannot be made`), { code });
}

/** Makes the data directory private to its owner, or says whose it is. */
export async function prepareDataDir(dataDir: string): Promise<void> {
  try {
    await makeFolder(dataDir);
    const facts = await stat(dataDir);
    const uid = process.getuid?.() ?? facts.uid;
    if (facts.uid !== uid)
      throw new Fault(
        "unavailable",
        `${dataDir} belongs to uid ${facts.uid}: start x1agent as that user, or choose another --data.`,
      );
    await chmod(dataDir, 0o700);
  } catch (cause) {
    if (cause instanceof Fault) throw cause;
    throw new Fault(
      "unavailable",
      `The data directory ${dataDir} cannot be used (${(cause as NodeJS.ErrnoException).code}): choose another --data.`,
      { cause },
    );
  }
}

/** Name of the installation that works on this data directory, made on its first start. One process at a time bears it. */
export async function readInstance(dataDir: string): Promise<string> {
  const file = join(dataDir, "instance");
  const found = (await readFile(file, "utf8").catch(() => "")).trim();
  if (/^[0-9a-f-]{36}$/.test(found)) return found;
  const made = randomUUID();
  await writeFile(`${file}.new`, `${made}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
  return made;
}

/** Stands in a data directory while a restore fills it. */
export const RESTORING = "restoring";

/** A service does not start on half a restore: it would look like an installation that has lost things. */
export async function refuseHalfRestored(dataDir: string): Promise<void> {
  if (await stat(join(dataDir, RESTORING)).catch(() => null))
    throw new Fault(
      "unavailable",
      `A restore into ${dataDir} was cut off before its end: empty the folder and run \`x1 restore\` again.`,
    );
}

/** Reads the master key (32 bytes), making it on the first start. Never in the data directory, never readable by others. */
export async function readMasterKey(file: string): Promise<Buffer> {
  await createMasterKey(file);
  const handle = await open(file, "r").catch((cause: NodeJS.ErrnoException) => {
    throw new Fault(
      "unavailable",
      `The master key ${file} cannot be read (${cause.code}): repair it, or name another with --master-key.`,
      { cause },
    );
  });
  try {
    const facts = await handle.stat();
    if ((facts.mode & 0o077) !== 0)
      throw new Fault("unavailable", `The master key ${file} can be read by others: chmod 600 ${file}`);
    const key = Buffer.from((await handle.readFile("utf8")).trim(), "base64");
    if (key.length !== 32)
      throw new Fault(
        "unavailable",
        `${file} holds no master key (32 bytes in base64): restore it. Without it the stored secrets cannot be opened.`,
      );
    return key;
  } finally {
    await handle.close();
  }
}

/**
 * Takes the master key from a descriptor or a variable, once: the descriptor is closed and the variable removed before any
 * child of ours starts, so nobody inherits it.
 */
export function takeMasterKey(from: { fd: number } | { env: string }, env: NodeJS.ProcessEnv): Buffer {
  const place = "fd" in from ? `descriptor ${from.fd}` : `the variable ${from.env}`;
  let text: string | undefined;
  if ("env" in from) {
    text = env[from.env];
    delete env[from.env];
  } else
    try {
      const bytes = Buffer.alloc(1_024);
      let length = 0;
      for (let read = -1; read !== 0 && length < bytes.length; length += read)
        read = readSync(from.fd, bytes, length, bytes.length - length, null);
      text = bytes.toString("utf8", 0, length);
      bytes.fill(0);
    } catch (cause) {
      throw new Fault(
        "unavailable",
        `The master key cannot be read from ${place} (${(cause as NodeJS.ErrnoException).code}).`,
        {
          cause,
        },
      );
    } finally {
      try {
        closeSync(from.fd);
      } catch {
        // It was not open, which the sentence above says.
      }
    }
  const key = Buffer.from((text ?? "").trim(), "base64");
  if (key.length !== 32)
    throw new Fault(
      "invalid_request",
      `There is no master key (32 bytes in base64) in ${place}. \`head -c 32 /dev/urandom | base64\` makes one: keep it.`,
    );
  return key;
}

/** Writes a new key unless there is one; of two processes starting at once, one wins and both use its key. */
async function createMasterKey(file: string): Promise<void> {
  if (await stat(file).catch(() => null)) return;
  const temporary = `${file}.${randomUUID()}.tmp`;
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    const handle = await open(temporary, "wx", 0o600);
    await handle.writeFile(`${randomBytes(32).toString("base64")}\n`);
    await handle.sync();
    await handle.close();
    await link(temporary, file).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code !== "EEXIST") throw cause;
    });
  } catch (cause) {
    throw new Fault(
      "unavailable",
      `The master key ${file} cannot be made (${(cause as NodeJS.ErrnoException).code}): name a place with --master-key.`,
      { cause },
    );
  } finally {
    await unlink(temporary).catch(() => undefined);
  }
}

/** What a backup, and the next start, must know of how the service was started last. Never an address or password of a database. */
export type Layout = {
  database: "embedded" | "server";
  blobsDir: string;
  masterKeyFile: string | null;
  /** Absent in folders of earlier versions. */
  publicUrl?: string | null;
};

/** Writes down where the parts of the installation lie. */
export async function writeLayout(dataDir: string, layout: Layout): Promise<void> {
  await writePrivate(join(dataDir, "config.json"), `${JSON.stringify(layout)}\n`);
}

/** Where the parts of the installation lie, or null before the first start. */
export async function readLayout(dataDir: string): Promise<Layout | null> {
  const text = await readFile(join(dataDir, "config.json"), "utf8").catch(() => "null");
  return JSON.parse(text) as Layout | null;
}

export type ServiceFile = { url: string; pid: number };
const paths = (dataDir: string) => ({ token: join(dataDir, "token"), service: join(dataDir, "service.json") });

/** Writes where the service is reached, for the CLI of the same user. */
export async function writeServiceFile(dataDir: string, service: ServiceFile): Promise<void> {
  await writePrivate(paths(dataDir).service, `${JSON.stringify(service)}\n`);
}

/** Takes the address away, if it is still ours. */
export async function removeServiceFile(dataDir: string): Promise<void> {
  const { service } = paths(dataDir);
  const text = await readFile(service, "utf8").catch(() => "");
  if (text.includes(`"pid":${process.pid}}`)) await rm(service, { force: true });
}

/** Token of the local owner; null before the first start. */
export async function readTokenFile(dataDir: string): Promise<string | null> {
  const text = await readFile(paths(dataDir).token, "utf8").catch(() => "");
  return text.trim() || null;
}

export async function writeTokenFile(dataDir: string, token: string): Promise<string> {
  await writePrivate(paths(dataDir).token, `${token}\n`);
  return paths(dataDir).token;
}

/** Writes a file that only its owner reads; readers see the old or the new one, never a part. */
async function writePrivate(file: string, text: string): Promise<void> {
  const temporary = `${file}.${randomUUID()}.tmp`;
  const handle = await open(temporary, "wx", 0o600);
  await handle.writeFile(text);
  await handle.sync();
  await handle.close();
  await rename(temporary, file);
}
