import { createHash, randomUUID } from "node:crypto";
import { createWriteStream, existsSync } from "node:fs";
import { mkdir, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { Fault } from "@x1agent/contract";
import { type BlobStore, type DumpReader, dumpDatabase, openBlobs } from "@x1agent/kernel";
import { lockDataDir } from "../start/lock.ts";
import type { StartOptions } from "../start/options.ts";
import { digestOfFile, keyCheckOf, type Manifest } from "./manifest.ts";
import { isTarName, pack } from "./tar.ts";

export type BackupResult = {
  target: string;
  createdAt: string;
  rows: number;
  blobs: number;
  blobBytes: number;
  auditEntries: number;
  /** Blobs that rows name and whose content is not what their name says: left out. */
  damaged: string[];
  /** Null when the operator hands it over at each start. */
  masterKeyFile: string | null;
};

/**
 * Writes a backup of the installation; the service may run meanwhile. Database first, blobs after it: a blob is always
 * stored before the row that names it, so what the rows name is there. The target appears whole or not at all.
 */
export async function backUp(options: StartOptions, target: string, product: string): Promise<BackupResult> {
  if (target === options.dataDir || target.startsWith(`${options.dataDir}/`))
    throw new Fault("invalid_request", "A backup may not lie in the data directory that it is of: name another place.");
  if (!options.databaseUrl && !existsSync(join(options.dataDir, "pg/data")))
    throw new Fault(
      "not_found",
      `${options.dataDir} holds no data: name the data directory with --data, and set DATABASE_URL if the service has its database there.`,
    );
  await refuseUsed(target);
  const staging = join(dirname(target), `.${basename(target)}.${randomUUID().slice(0, 8)}.partial`);
  const unlock = options.databaseUrl ? () => undefined : await lockUnlessRunning(options.dataDir);
  try {
    await mkdir(staging, { recursive: true, mode: 0o700 }).catch((cause: NodeJS.ErrnoException) => {
      throw new Fault("unavailable", `${dirname(target)} cannot be written (${cause.code}): name another place.`, {
        cause,
      });
    });
    const source = {
      folder: join(options.dataDir, "pg"),
      url: options.databaseUrl,
      running: unlock === null,
    };
    const { manifest, damaged } = await dumpDatabase(source, async (reader) => {
      const { tables, named, decided } = await writeTables(reader, join(staging, "tables"));
      const blobs = await copyBlobs(openBlobs(options.blobsDir), named, join(staging, "blobs"));
      const manifest: Manifest = {
        format: "x1agent-backup",
        version: 1,
        createdAt: new Date().toISOString(),
        product,
        migrations: reader.migrations,
        tables,
        blobs: blobs.copied,
        blobBytes: blobs.bytes,
        repositories: await packRepositories(join(options.dataDir, "jobs"), decided, join(staging, "repositories")),
        auditHeads: reader.auditHeads,
        keyCheck: await keyCheckOf(options.masterKeyFile),
      };
      return { manifest, damaged: blobs.damaged };
    });
    await writeFile(join(staging, "manifest.json"), `${JSON.stringify(manifest, null, 1)}\n`, { mode: 0o600 });
    if (isTarName(target)) {
      await pack(staging, `${staging}.tar`);
      await rename(`${staging}.tar`, target);
    } else {
      await rm(target, { recursive: true, force: true });
      await rename(staging, target);
    }
    return {
      target,
      createdAt: manifest.createdAt,
      rows: manifest.tables.reduce((sum, { rows }) => sum + rows, 0),
      blobs: manifest.blobs.length,
      blobBytes: manifest.blobBytes,
      auditEntries: manifest.auditHeads.reduce((sum, { seq }) => sum + seq, 0),
      damaged,
      masterKeyFile: options.masterKeyFrom ? null : options.masterKeyFile || null,
    };
  } finally {
    await rm(staging, { recursive: true, force: true });
    await rm(`${staging}.tar`, { force: true });
    await unlock?.();
  }
}

/** The data directory's lock, or null when a service holds it: then its database server is there to be asked. */
async function lockUnlessRunning(dataDir: string): Promise<(() => Promise<void>) | null> {
  try {
    return await lockDataDir(dataDir);
  } catch (error) {
    if (error instanceof Fault && error.code === "conflict") return null;
    throw error;
  }
}

async function refuseUsed(target: string): Promise<void> {
  const facts = await stat(target).catch(() => null);
  if (!facts) return;
  if (!facts.isDirectory() || isTarName(target) || (await readdir(target)).length > 0)
    throw new Fault("conflict", `${target} exists already: name another place; a backup never overwrites one.`);
}

const digests = /(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/g;

/** Writes every table and collects what could be the name of a blob. */
async function writeTables(reader: DumpReader, folder: string) {
  await mkdir(folder, { mode: 0o700 });
  const tables: Manifest["tables"] = [];
  const named = new Set<string>();
  const decided: string[] = [];
  for (const name of reader.tables) {
    const hash = createHash("sha256");
    let rows = 0;
    async function* lines() {
      for await (const line of reader.rows(name)) {
        rows += 1;
        for (const [digest] of line.matchAll(digests)) named.add(digest);
        if (name === "job") {
          const { id, state } = JSON.parse(line) as { id: string; state: string };
          if (state === "awaiting_approval" || state === "publishing") decided.push(id);
        }
        yield `${line}\n`;
      }
    }
    async function* hashed(source: AsyncIterable<Buffer>) {
      for await (const chunk of source) {
        hash.update(chunk);
        yield chunk;
      }
    }
    await pipeline(
      Readable.from(lines()),
      createGzip({ level: 6 }),
      hashed,
      createWriteStream(join(folder, `${name}.jsonl.gz`), { mode: 0o600, flush: true }),
    );
    tables.push({ name, rows, digest: hash.digest("hex") });
  }
  return { tables, named, decided };
}

/**
 * Bare repositories are made anew for whatever runs; one whose commit was shown for approval holds exactly that commit, and
 * goes along. What the approval's digest binds is checked again before it is pushed.
 */
async function packRepositories(jobs: string, ids: readonly string[], folder: string) {
  await mkdir(folder, { mode: 0o700 });
  const packed: Manifest["repositories"] = [];
  for (const id of ids) {
    const name = id.replaceAll(/[^\w-]/g, "_");
    if (!existsSync(join(jobs, `${name}.git`))) continue;
    const file = join(folder, `${name}.tar`);
    await pack(join(jobs, `${name}.git`), file);
    packed.push({ name, digest: await digestOfFile(file) });
  }
  return packed;
}

/** Copies the named blobs that the store has, reading each: a copy of something damaged would be no copy. */
async function copyBlobs(store: BlobStore, named: ReadonlySet<string>, folder: string) {
  await mkdir(folder, { mode: 0o700 });
  const copied: string[] = [];
  const damaged: string[] = [];
  let bytes = 0;
  for (const digest of [...named].sort()) {
    const size = await store.size(digest);
    if (size === null) continue;
    const shelf = join(folder, digest.slice(0, 2));
    await mkdir(shelf, { recursive: true, mode: 0o700 });
    const hash = createHash("sha256");
    const file = join(shelf, digest);
    await pipeline(
      store.stream(digest),
      async function* (source: AsyncIterable<Buffer>) {
        for await (const chunk of source) {
          hash.update(chunk);
          yield chunk;
        }
      },
      createWriteStream(file, { mode: 0o600, flush: true }),
    );
    if (hash.digest("hex") !== digest) {
      damaged.push(digest);
      await rm(file);
      continue;
    }
    copied.push(digest);
    bytes += size;
  }
  return { copied, damaged, bytes };
}
