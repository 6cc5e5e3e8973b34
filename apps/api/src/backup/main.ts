import { resolve } from "node:path";
import { Fault } from "@x1agent/contract";
import { createAssembly } from "../assemble.ts";
import { VERSION } from "../service.ts";
import { readLayout } from "../start/files.ts";
import { parseStartOptions, type StartOptions } from "../start/options.ts";
import { backUp } from "./backup.ts";
import { restore } from "./restore.ts";

/** `main.ts backup|restore <place> [options of the service]`: prints one JSON line, or a sentence on standard error. */
async function main([verb, place, ...argv]: string[]): Promise<number> {
  try {
    if (!place || (verb !== "backup" && verb !== "restore"))
      throw new Fault("invalid_request", "Say backup or restore, and where.");
    const given = parseStartOptions(argv, process.env);
    const options = verb === "backup" ? await asStarted(given, argv) : given;
    const { migrations } = createAssembly({
      startLoop: () => {
        throw new Error("no jobs run here");
      },
    });
    const result =
      verb === "backup"
        ? await backUp(options, resolve(place), VERSION)
        : await restore(options, resolve(place), migrations);
    process.stdout.write(`${JSON.stringify(result)}\n`);
    return 0;
  } catch (error) {
    process.stderr.write(`${error instanceof Fault ? error.message : (error as Error).stack}\n`);
    return error instanceof Fault && error.code === "invalid_request" ? 2 : 1;
  }
}

/** What the command line leaves open is as the service was started last. */
async function asStarted(given: StartOptions, argv: readonly string[]): Promise<StartOptions> {
  const layout = await readLayout(given.dataDir);
  if (!layout) return given;
  if (layout.database === "server" && !given.databaseUrl)
    throw new Fault(
      "invalid_request",
      "The service has its database on a server: set DATABASE_URL as it was set for the service.",
    );
  return {
    ...given,
    ...(layout.database === "embedded" ? { databaseUrl: undefined } : {}),
    ...(argv.includes("--blobs") ? {} : { blobsDir: layout.blobsDir }),
    ...(argv.includes("--master-key") ? {} : { masterKeyFile: layout.masterKeyFile ?? "" }),
  };
}

process.exitCode = await main(process.argv.slice(2));
