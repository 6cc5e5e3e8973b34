import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { accept, type Outcome, type RouteResponse, refuse, terminalStates } from "@x1agent/contract";
import { appendAudit } from "@x1agent/domain-audit";
import { pruneKeys } from "@x1agent/domain-jobs";
import { forgetSessionFiles } from "@x1agent/domain-sessions";
import { BACKUP_LOCK, type BlobStore, type Database, row, rows, sql, type Tx } from "@x1agent/kernel";
import type { UseCases } from "./index.ts";

const DAY_MS = 86_400_000;
/** What was put or made within this time may belong to a row that is not committed yet. */
const YOUNG_MS = DAY_MS;

type Item = RouteResponse<"collectGarbage">["items"][number];
export type GcDeps = {
  db: Database;
  blobs: BlobStore;
  dataDir: string;
  /** The blob store may be used by services on other databases, whose rows we cannot see. */
  sharedBlobs: boolean;
  organizations(): Promise<string[]>;
  /** Removes what the platform's git keeps and nobody has used for so long. */
  collectMirrors?: (olderThanMs: number, dryRun: boolean) => Promise<{ count: number; bytes: number }>;
};

/** Rolls a dry run's transaction back. */
class DryRun extends Error {}

/**
 * Frees what nothing needs any more. The order decides: first rows are let go (saved sessions of jobs that ended long ago, old
 * idempotency keys), then goes what no row names. A blob is kept when its digest occurs anywhere in any row. A dry run does
 * the same in transactions that are rolled back, and removes no file.
 */
export function gcUseCase(deps: GcDeps): UseCases["gc"] {
  return async (caller, { dryRun, retentionDays }) => {
    const before = Date.now() - retentionDays * DAY_MS;
    return deps.db.system(async (lock): Promise<Outcome<RouteResponse<"collectGarbage">>> => {
      // One at a time, and never while a backup copies blobs. Our transaction only holds the lock, for as long as it takes.
      await sql`set local idle_in_transaction_session_timeout = 0`.execute(lock);
      const mine = await row(lock, sql<{ mine: boolean }>`select pg_try_advisory_xact_lock(${BACKUP_LOCK}) as mine`);
      if (!mine?.mine) return refuse("conflict", "A backup or another gc is running: repeat when it has ended.");

      const named = new Set<string>();
      const kept = new Set<string>();
      let sessions = 0;
      let keys = 0;
      for (const organizationId of await deps.organizations()) {
        const work = async (tx: Tx) => {
          await sql`set local statement_timeout = 0`.execute(tx);
          const needed = await unfinished(tx, new Date(before));
          sessions += await forgetSessionFiles(tx, new Date(before), needed);
          keys += await pruneKeys(tx);
          for (const digest of await namedDigests(tx)) named.add(digest);
          for (const id of needed) kept.add(id.replaceAll(/[^\w-]/g, "_"));
          if (dryRun) throw new DryRun();
        };
        await deps.db.tenant(organizationId, work).catch((error: unknown) => {
          if (!(error instanceof DryRun)) throw error;
        });
      }

      const items: Item[] = [
        { kind: "saved_sessions", count: sessions, bytes: null },
        { kind: "idempotency_keys", count: keys, bytes: null },
        { kind: "job_caches", ...(await jobCaches(join(deps.dataDir, "jobs"), kept, dryRun)) },
      ];
      if (deps.collectMirrors)
        items.push({ kind: "mirrors", ...(await deps.collectMirrors(retentionDays * DAY_MS, dryRun)) });
      if (!deps.sharedBlobs) items.push({ kind: "blobs", ...(await unnamedBlobs(deps.blobs, named, dryRun)) });
      if (!dryRun)
        await deps.db.tenant(caller.organizationId, (tx) =>
          appendAudit(tx, caller.organizationId, {
            actor: caller.actor,
            action: "gc.run",
            subject: caller.organizationId,
            data: Object.fromEntries(items.map(({ kind, count }) => [kind, count])),
          }),
        );
      return accept({ dryRun, retentionDays, items, skipped: deps.sharedBlobs ? ["blobs"] : [] });
    });
  };
}

/** Everything in the tenant's rows that could be the name of a blob. */
async function namedDigests(tx: Tx): Promise<string[]> {
  const tables = await rows(
    tx,
    sql<{ name: string }>`select c.relname::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'x1' and c.relkind = 'r' and has_table_privilege(c.oid, 'select')`,
  );
  const found: string[] = [];
  for (const { name } of tables) {
    const digests = await rows(
      tx,
      sql<{ digest: string }>`select distinct m[1] as digest from ${sql.table(name)} t,
        regexp_matches(t::text, '(?<![0-9a-f])([0-9a-f]{64})(?![0-9a-f])', 'g') m`,
    );
    for (const { digest } of digests) found.push(digest);
  }
  return found;
}

/** Jobs whose files are still needed: not ended, or ended within the retention. */
async function unfinished(tx: Tx, before: Date): Promise<string[]> {
  const ended = sql.join(terminalStates.map((state) => sql.lit(state)));
  const jobs = sql`select id from job where state not in (${ended}) or coalesce(ended_at, updated_at) >= ${before}`;
  const found = await rows(
    tx,
    sql<{ id: string }>`select id from (${jobs}) j union all select a.id from attempt a where a.job_id in (${jobs})`,
  );
  return found.map(({ id }) => id);
}

/** Bare repositories and bundles of jobs that ended long ago, or that no row knows. */
async function jobCaches(folder: string, kept: ReadonlySet<string>, dryRun: boolean) {
  let count = 0;
  let bytes = 0;
  for (const name of await readdir(folder).catch(() => [])) {
    if (kept.has(name.replace(/\.(git|bundle).*$/, ""))) continue;
    const path = join(folder, name);
    const facts = await stat(path).catch(() => null);
    if (!facts || facts.mtimeMs > Date.now() - YOUNG_MS) continue;
    count += 1;
    bytes += await sizeOf(path);
    if (!dryRun) await rm(path, { recursive: true, force: true });
  }
  return { count, bytes };
}

async function sizeOf(path: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(path, { recursive: true, withFileTypes: true }).catch(() => []))
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name)).catch(() => null))?.size ?? 0;
  return bytes || ((await stat(path).catch(() => null))?.size ?? 0);
}

async function unnamedBlobs(blobs: BlobStore, named: ReadonlySet<string>, dryRun: boolean) {
  const before = Date.now() - YOUNG_MS;
  let count = 0;
  let bytes = 0;
  for await (const blob of blobs.list()) {
    if (named.has(blob.digest) || blob.putAt > before) continue;
    if (!dryRun && !(await blobs.remove(blob.digest, before))) continue;
    count += 1;
    bytes += blob.bytes;
  }
  return { count, bytes };
}
