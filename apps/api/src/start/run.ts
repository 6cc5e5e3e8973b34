import { Fault } from "@x1agent/contract";
import { type Assembly, type Service, startService } from "../service.ts";
import { endWithin } from "./end.ts";
import { parseStartOptions, type StartOptions } from "./options.ts";

/** Longest clean shutdown; what is not done by then is found again at the next start. */
const SHUTDOWN_MS = 20_000;
/** The same without a database: there is nothing left that could be saved. */
const LOST_MS = 2_000;

/**
 * Runs the service until a signal, and returns the exit code. Nothing it prints is a lasting secret: the sign-in link works once. A start that fails says one
 * sentence; a second signal ends at once, since every state survives that.
 */
export async function runService(argv: readonly string[], env: NodeJS.ProcessEnv, assembly: Assembly): Promise<number> {
  let service: Service;
  let options: StartOptions;
  const stopped = signalled();
  try {
    options = parseStartOptions(argv, env);
    service = await startService(options, assembly);
  } catch (error) {
    process.stderr.write(`${error instanceof Fault ? error.message : (error as Error).stack}\n`);
    return error instanceof Fault && error.code === "invalid_request" ? 2 : 1;
  }
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ url: service.url, pid: process.pid, dataDir: options.dataDir })}\n`
      : `x1agent is ready at ${service.url} (data in ${options.dataDir}, reference at ${service.url}/docs). Ctrl-C ends it.\n`,
  );
  // Not with --json: that output is kept by scripts. A terminal shows the link to the person who started the service.
  const link = options.json ? null : service.signInLink();
  if (link) process.stdout.write(`Sign in (one browser, within five minutes): ${link}\n`);
  const reason = await Promise.race([stopped, service.lost]);
  const clean = reason === "signal";
  if (!clean) process.stderr.write(`${reason} Ending; start it again.\n`);
  const bound = clean ? null : endWithin(LOST_MS, 1);
  await service.close();
  if (bound) clearTimeout(bound);
  return clean ? 0 : 1;
}

/** Settles at the first signal. From then on everything has an end in time, also a start that is under way. */
function signalled(): Promise<"signal"> {
  return new Promise((resolve) => {
    let seen = 0;
    const stop = () => {
      seen += 1;
      if (seen > 1) process.exit(1);
      endWithin(SHUTDOWN_MS, 1).unref();
      resolve("signal");
    };
    process.on("SIGTERM", stop).on("SIGINT", stop).on("SIGHUP", stop);
  });
}
