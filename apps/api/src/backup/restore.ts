import { createReadStream } from "node:fs";
import { lstat, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createGunzip } from "node:zlib";
import { Fault } from "@x1agent/contract";
import { verifyAudit } from "@x1agent/domain-audit";
import { listOrganizations } from "@x1agent/domain-identity";
import { dropTables, fillDatabase, isEmptyDatabase, type Migration, openBlobs, openDatabase } from "@x1agent/kernel";
import { prepareDataDir, RESTORING } from "../start/files.ts";
import { lockDataDir } from "../start/lock.ts";
import type { StartOptions } from "../start/options.ts";
import { digestOfFile, keyCheckOf, type Manifest, readManifest } from "./manifest.ts";
import { unpack } from "./tar.ts";

export type RestoreResult = {
  source: string;
  dataDir: string;
  createdAt: string;
  rows: number;
  blobs: number;
  auditEntries: number;
  masterKeyFile: string;
  /** Whether the master key at its place is the one of the backup; `absent` when there is none yet. */
  masterKey: "fits" | "differs" | "absent" | "unknown";
};

/**
 * Fills an empty data directory (and the empty database of DATABASE_URL) from a backup. Everything is verified: digests of
 * tables and blobs before they are taken, the audit chains and their heads at the end. What fails leaves the directory empty.
 */
export async function restore(
  options: StartOptions,
  source: string,
  migrations: readonly Migration[],
): Promise<RestoreResult> {
  await refuseUsed(options);
  await prepareDataDir(options.dataDir);
  const unlock = await lockDataDir(options.dataDir);
  let begun = false;
  try {
    await writeFile(join(options.dataDir, RESTORING), `${source}\n`, { mode: 0o600 });
    const folder = await opened(source, options.dataDir);
    const manifest = await readManifest(folder, source);
    const unknown = manifest.migrations.find((name) => !migrations.some((migration) => migration.name === name));
    if (unknown)
      throw new Fault("conflict", `The backup was made by a newer version (${unknown}): restore it with that version.`);
    await checkFiles(folder, manifest, source);
    await takeBlobs(folder, manifest, options.blobsDir, source);
    await takeRepositories(folder, manifest, options.dataDir);
    begun = true;
    const audit = await fill(options, folder, manifest, migrations);
    const key = await keyCheckOf(options.masterKeyFile);
    await rm(join(options.dataDir, UNPACKED), { recursive: true, force: true });
    await rm(join(options.dataDir, RESTORING));
    return {
      source,
      dataDir: options.dataDir,
      createdAt: manifest.createdAt,
      rows: manifest.tables.reduce((sum, { rows }) => sum + rows, 0),
      blobs: manifest.blobs.length,
      auditEntries: audit,
      masterKeyFile: options.masterKeyFile,
      masterKey:
        manifest.keyCheck === null
          ? "unknown"
          : key === null
            ? "absent"
            : key === manifest.keyCheck
              ? "fits"
              : "differs",
    };
  } catch (error) {
    for (const name of await readdir(options.dataDir).catch(() => []))
      await rm(join(options.dataDir, name), { recursive: true, force: true });
    // It was empty before, so what is there now is ours.
    if (begun && options.databaseUrl) await dropTables(options.databaseUrl);
    throw error;
  } finally {
    await unlock();
  }
}

const UNPACKED = ".backup";

async function refuseUsed({ dataDir, databaseUrl, blobsDir }: StartOptions): Promise<void> {
  for (const folder of new Set([dataDir, blobsDir])) {
    const [first] = await readdir(folder).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === "ENOENT") return [];
      throw new Fault("unavailable", `${folder} cannot be used (${cause.code}): choose another --data.`, { cause });
    });
    if (first !== undefined)
      throw new Fault("conflict", `${folder} is not empty: restore into a new one with --data (and --blobs).`);
  }
  if (databaseUrl && !(await isEmptyDatabase(databaseUrl)))
    throw new Fault("conflict", "The database of DATABASE_URL is in use: name an empty one.");
}

/** The folder that a backup is, or that its file is laid out in. */
async function opened(source: string, dataDir: string): Promise<string> {
  const facts = await lstat(source).catch((cause: NodeJS.ErrnoException) => {
    throw new Fault("not_found", `There is no backup ${source} (${cause.code}).`, { cause });
  });
  if (facts.isDirectory()) return source;
  const within = join(dataDir, UNPACKED);
  await mkdir(within, { mode: 0o700 });
  await unpack(source, within);
  return within;
}

async function checkFiles(folder: string, manifest: Manifest, source: string): Promise<void> {
  const files = [
    ...manifest.tables.map(({ name, digest }) => ({ file: `tables/${name}.jsonl.gz`, digest })),
    ...manifest.repositories.map(({ name, digest }) => ({ file: `repositories/${name}.tar`, digest })),
  ];
  for (const { file, digest } of files) {
    const found = await digestOfFile(join(folder, file)).catch(() => null);
    if (found !== digest)
      throw new Fault(
        "conflict",
        `${source} is damaged: ${file} is ${found ? "not what the manifest says" : "missing"}. Nothing was restored.`,
      );
  }
}

async function takeRepositories(folder: string, manifest: Manifest, dataDir: string): Promise<void> {
  for (const { name } of manifest.repositories) {
    const into = join(dataDir, "jobs", `${name}.git`);
    await mkdir(into, { recursive: true });
    await unpack(join(folder, "repositories", `${name}.tar`), into);
  }
}

async function takeBlobs(folder: string, manifest: Manifest, blobsDir: string, source: string): Promise<void> {
  const blobs = openBlobs(blobsDir);
  for (const digest of manifest.blobs) {
    const content = await readFile(join(folder, "blobs", digest.slice(0, 2), digest)).catch(() => null);
    if (!content || (await blobs.put(content)) !== digest)
      throw new Fault(
        "conflict",
        `${source} is damaged: blob ${digest} is ${content ? "not what its name says" : "missing"}. Nothing was restored.`,
      );
  }
}

/** The schema as it was, the rows, then what this version adds; returns the number of verified audit entries. */
async function fill(
  options: StartOptions,
  folder: string,
  manifest: Manifest,
  migrations: readonly Migration[],
): Promise<number> {
  const place = {
    folder: join(options.dataDir, "pg"),
    ...(options.databaseUrl === undefined ? {} : { url: options.databaseUrl }),
  };
  const then = migrations.filter(({ name }) => manifest.migrations.includes(name));
  await (await openDatabase({ ...place, migrations: then })).close();
  const filled = await fillDatabase(place, (table) => linesOf(folder, manifest, table));
  for (const { name, rows } of manifest.tables)
    if (filled.find((table) => table.name === name)?.rows !== rows)
      throw new Fault(
        "conflict",
        `The backup is damaged: table ${name} holds another number of rows than its manifest says.`,
      );

  const db = await openDatabase({ ...place, migrations });
  try {
    let entries = 0;
    for (const organizationId of await db.system(listOrganizations)) {
      const verdict = await db.tenant(organizationId, (tx) => verifyAudit(tx, organizationId));
      const head = manifest.auditHeads.find((known) => known.organizationId === organizationId);
      if (!verdict.intact || verdict.entries !== (head?.seq ?? 0) || (head && verdict.head !== head.hash))
        throw new Fault(
          "conflict",
          `The backup's audit log is broken at entry ${verdict.brokenAt ?? verdict.entries}: it was changed. Nothing was restored.`,
        );
      entries += verdict.entries;
    }
    return entries;
  } finally {
    await db.close();
  }
}

async function* linesOf(folder: string, manifest: Manifest, table: string): AsyncGenerator<string, void, void> {
  if (!manifest.tables.some(({ name }) => name === table)) return;
  const packed = createReadStream(join(folder, "tables", `${table}.jsonl.gz`));
  const input = packed.pipe(createGunzip());
  packed.on("error", (error) => input.destroy(error));
  // Not by readline: that also cuts at U+2028, which JSON carries as it is.
  let rest = "";
  for await (const chunk of input.setEncoding("utf8")) {
    const lines = (rest + (chunk as string)).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}
