import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { type Client, createClient, UnreachableError } from "@x1agent/client";
import { UsageError } from "./exit.ts";

export type Connection = { url: string; token: string };

/** Where the service keeps its data when nobody says otherwise. */
export function defaultDataDir(env: NodeJS.ProcessEnv = process.env): string {
  if (env.X1_DATA) return resolve(env.X1_DATA);
  return process.getuid?.() === 0 ? "/var/lib/x1agent" : join(homedir(), ".x1agent");
}

/** Address and token of the service that runs on a data directory. */
export function readConnection(dataDir: string): Connection {
  try {
    const service = JSON.parse(readFileSync(join(dataDir, "service.json"), "utf8")) as { url?: unknown };
    const token = readFileSync(join(dataDir, "token"), "utf8").trim();
    if (typeof service.url === "string" && token) return { url: service.url, token };
    throw new Error("service.json names no address");
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const sentence =
      code === "EACCES"
        ? `${dataDir} belongs to another user: run x1 as that user, or set X1_URL and X1_TOKEN.`
        : `No service runs on ${dataDir}. Start one with \`x1 up\`, name its data directory with --data or X1_DATA, or set X1_URL and X1_TOKEN.`;
    throw new UnreachableError(sentence, { cause });
  }
}

/** A client of the service on a local data directory. */
export function connectLocal(dataDir: string): Client {
  const { url, token } = readConnection(dataDir);
  return createClient({ baseUrl: url, token });
}

/** A client by X1_URL and X1_TOKEN, else by the data directory. */
export function connect(options: { data?: string }, env: NodeJS.ProcessEnv = process.env): Client {
  if (env.X1_URL && !options.data) {
    // A token that was meant for another address is never sent: both are given, or neither.
    if (!env.X1_TOKEN) throw new UnreachableError("X1_URL is set and X1_TOKEN is not: set both.");
    if (!/^https?:$/.test(URL.parse(env.X1_URL)?.protocol ?? ""))
      throw new UsageError(`X1_URL is "${env.X1_URL}": it takes an address such as http://127.0.0.1:4380.`);
    return createClient({ baseUrl: env.X1_URL, token: env.X1_TOKEN });
  }
  return connectLocal(options.data ? resolve(options.data) : defaultDataDir(env));
}
