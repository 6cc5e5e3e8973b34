import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { contextOf } from "../context.ts";
import { ChildFailure, exitCodes } from "../exit.ts";
import type { SetExit } from "../program.ts";
import { formatBytes } from "../render/index.ts";
import { days } from "./options.ts";

type Backup = {
  target: string;
  rows: number;
  blobs: number;
  blobBytes: number;
  auditEntries: number;
  damaged: string[];
  masterKeyFile: string | null;
};
type Restored = {
  dataDir: string;
  createdAt: string;
  rows: number;
  blobs: number;
  auditEntries: number;
  masterKeyFile: string;
  masterKey: "fits" | "differs" | "absent" | "unknown";
};

/** `backup`, `restore`: the installation as a whole, with or without a running service; `gc`. */
export function addBackupCommands(program: Command, setExit: SetExit): void {
  addGc(program);
  const place = (command: Command) =>
    command
      .option("--blobs <dir>", "blob store, if the service was started with one")
      .option("--master-key <file>", "file of the master key, if the service was started with one");

  place(
    program.command("backup <place>").description("back up to a folder, or to one file when it ends in .tar"),
  ).action(async (target: string, options, command: Command) => {
    const context = contextOf(command);
    const result = await child<Backup>("backup", target, context.data, options);
    context.print(
      result,
      () =>
        `${result.target}: ${result.rows} rows, ${result.blobs} blobs (${formatBytes(result.blobBytes)}), ${result.auditEntries} audit entries.\n` +
        (result.damaged.length > 0
          ? `${context.style.bad(`Left out, damaged in the blob store: ${result.damaged.join(", ")}`)}\n`
          : "") +
        `The master key is not in it. ${
          result.masterKeyFile
            ? `It lies in ${result.masterKeyFile}: keep a copy somewhere else.`
            : "You hand it to the service at each start: keep it."
        } Without it the stored secrets cannot be opened.`,
    );
    if (result.damaged.length > 0) setExit(exitCodes.failed.code);
  });

  place(program.command("restore <place>").description("fill an empty data directory from a backup")).action(
    async (source: string, options, command: Command) => {
      const context = contextOf(command);
      const result = await child<Restored>("restore", source, context.data, options);
      const key = {
        fits: `The master key in ${result.masterKeyFile} is the one of the backup.`,
        differs: `The master key in ${result.masterKeyFile} is another than the backup's: put the right one there before you start, or store the secrets anew.`,
        absent: `There is no master key in ${result.masterKeyFile} yet: put the one of the backup there before you start, or store the secrets anew.`,
        unknown: `Put the master key of the backup into ${result.masterKeyFile} before you start.`,
      }[result.masterKey];
      context.print(
        result,
        `${result.dataDir} is as it was at ${result.createdAt}: ${result.rows} rows, ${result.blobs} blobs, ${result.auditEntries} audit entries, all verified.\n${key}\nEnd the service that the backup was made of before you start this one: both would go on with the same jobs.`,
      );
    },
  );
}

const gcKinds = {
  blobs: "blobs that no row names",
  mirrors: "mirrors that nobody used",
  job_caches: "repositories of jobs that ended",
  saved_sessions: "saved sessions of jobs that ended",
  idempotency_keys: "old idempotency keys",
} as const;

/** `gc`: by the running service, which knows what is in use. */
function addGc(program: Command): void {
  program
    .command("gc")
    .description("free what nothing needs any more")
    .option("--dry-run", "only say what it would free")
    .option("--retention <days>", "keep what belongs to jobs that ended within so many days", days, 30)
    .action(async (options, command: Command) => {
      const context = contextOf(command);
      const dryRun = Boolean(options.dryRun);
      const result = await context.client.collectGarbage({ body: { dryRun, retentionDays: options.retention } });
      context.print(result, () =>
        [
          ...result.items.map(
            ({ kind, count, bytes }) =>
              `${String(count).padStart(7)}  ${gcKinds[kind]}${bytes === null ? "" : ` (${formatBytes(bytes)})`}`,
          ),
          ...(result.skipped.includes("blobs")
            ? ["Blobs are left alone: their store lies outside the data directory, and others may use it."]
            : []),
          dryRun ? "Nothing was removed: this was a dry run." : "Removed.",
        ].join("\n"),
      );
    });
}

/** Runs the service's own entry for this, which speaks to the database, and hands back its one line of JSON. */
async function child<T>(
  verb: "backup" | "restore",
  place: string,
  data: string | undefined,
  options: { blobs?: string; masterKey?: string },
): Promise<T> {
  const main = fileURLToPath(new URL("../../../api/src/backup/main.ts", import.meta.url));
  const argv = [
    ...[verb, place],
    ...(data ? ["--data", data] : []),
    ...(options.blobs ? ["--blobs", options.blobs] : []),
    ...(options.masterKey ? ["--master-key", options.masterKey] : []),
  ];
  const running = spawn(process.execPath, [main, ...argv], { stdio: ["ignore", "pipe", "pipe"] });
  // A terminal's Ctrl-C reaches the child by itself; a backup that is cut off has no target, a restore refuses to start.
  const stay = () => undefined;
  const pass = (signal: NodeJS.Signals) => running.kill(signal);
  process.on("SIGINT", stay).on("SIGTERM", pass).on("SIGHUP", pass);
  const [out, err, [code, signal]] = await Promise.all([
    text(running.stdout),
    text(running.stderr),
    once(running, "exit") as Promise<[number | null, NodeJS.Signals | null]>,
  ]);
  process.off("SIGINT", stay).off("SIGTERM", pass).off("SIGHUP", pass);
  if (code !== 0)
    throw new ChildFailure(err.trim() || `The ${verb} was ended by ${signal}.`, code ?? exitCodes.interrupted.code);
  return JSON.parse(out) as T;
}
