import { cpus, release, totalmem } from "node:os";
import { CONTRACT_VERSION, type Doctor, type RouteResponse } from "@x1agent/contract";
import { type Database, row, rows, sql, type Tx } from "@x1agent/kernel";
import type { Caller } from "./index.ts";

export type Installation = RouteResponse<"getInstallation">;

/** Where the installation lies and what it runs on; known at start. */
export type InstallationFacts = {
  version: string;
  dataDir: string;
  blobsDir: string;
  /** A server's address and password are nobody's business here: only that there is one. */
  databaseServer: boolean;
  /** Null when it was handed over by a descriptor or a variable. */
  masterKeyFile: string | null;
};
export type InstallationDeps = InstallationFacts & {
  db: Database;
  doctor(): Promise<Doctor>;
  runtimes(): Promise<{ name: string; version: string; installed: boolean }[]>;
};

/** What an operator asks first: versions, places, sizes. */
export function installationUseCases(deps: InstallationDeps) {
  const startedAt = new Date().toISOString();

  async function describe(): Promise<Installation> {
    const database = await deps.db.system((tx) =>
      row(
        tx,
        sql<{
          version: string;
          bytes: number;
        }>`select current_setting('server_version') as version, pg_database_size(current_database()) as bytes`,
      ),
    );
    return {
      version: deps.version,
      contract: CONTRACT_VERSION,
      node: process.versions.node,
      platform: `${process.platform} ${process.arch}`,
      startedAt,
      user: process.getuid?.() === 0 ? "root" : `uid ${process.getuid?.() ?? "unknown"}`,
      dataDir: deps.dataDir,
      blobsDir: deps.blobsDir,
      masterKey: { file: deps.masterKeyFile },
      database: {
        kind: deps.databaseServer ? "server" : "embedded",
        version: database?.version ?? "unknown",
        bytes: database?.bytes ?? 0,
      },
    };
  }

  /**
   * Facts for somebody who helps, as JSON text. Made only of what is listed here: versions, findings of the doctor,
   * counts and names of states. No goal, event, log line, environment, address of a database or credential goes in.
   */
  async function diagnostics(caller: Caller): Promise<string> {
    const [installation, doctor, runtimes, counts] = await Promise.all([
      describe(),
      deps.doctor(),
      deps.runtimes(),
      deps.db.tenant(caller.organizationId, countRows),
    ]);
    const bundle = {
      madeAt: new Date().toISOString(),
      installation,
      machine: { cpus: cpus().length, memoryBytes: totalmem(), kernel: release() },
      process: { uptimeSeconds: Math.round(process.uptime()), memoryBytes: process.memoryUsage().rss },
      doctor,
      runtimes,
      ...counts,
    };
    return `${JSON.stringify(bundle, null, 2)}\n`;
  }
  return { describe, diagnostics };
}
export type InstallationUseCases = ReturnType<typeof installationUseCases>;

async function countRows(tx: Tx) {
  const [jobs, ended, grants, providers] = [
    await rows(
      tx,
      sql<{ state: string; count: number }>`select state, count(*) from job group by state order by state`,
    ),
    await rows(
      tx,
      sql<{
        reason: string;
        count: number;
      }>`select reason, count(*) from job where ended_at > now() - interval '7 days' group by reason order by reason`,
    ),
    await rows(
      tx,
      sql<{
        type: string;
        count: number;
      }>`select type, count(*) from permission_grant where revoked_at is null and consumed_at is null group by type order by type`,
    ),
    // Names only: a base URL may carry what its owner thinks a secret.
    await rows(tx, sql<{ name: string; api: string | null }>`select name, api from provider order by name limit 1000`),
  ];
  return { jobs, endedThisWeek: ended, grants, providers };
}
