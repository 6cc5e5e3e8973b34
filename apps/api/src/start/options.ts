import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { Fault } from "@x1agent/contract";
import { upstreamProxyOf } from "../network.ts";

export type StartOptions = {
  dataDir: string;
  host: string;
  port: number;
  /** Names beside the loopback ones by which the service may be reached. */
  allowHosts: readonly string[];
  /** Address by which people and forges reach the service, without a slash at its end; null: none; undefined: as at the last start. */
  publicUrl?: string | null;
  databaseUrl: string | undefined;
  blobsDir: string;
  masterKeyFile: string;
  /** Where the operator hands the master key over instead: an inherited descriptor or a variable, in base64. */
  masterKeyFrom: { fd: number } | { env: string } | null;
  toolchains: readonly string[];
  /** Sidecars started ahead for the next jobs, 0 to 2; undefined: by the machine's memory. */
  spareSidecars: number | undefined;
  /** The operator's HTTP proxy, through which egress of workspaces goes out. May hold a credential: never logged. */
  upstreamProxy: string | undefined;
  /** Print one JSON line when ready instead of a sentence. */
  json: boolean;
};

export const DEFAULT_PORT = 4380;

/** Options of the service from its arguments and environment. A wrong one is a sentence, not a stack trace. */
export function parseStartOptions(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  user: { uid: number; home: string } = { uid: process.getuid?.() ?? -1, home: homedir() },
): StartOptions {
  const { values } = parse(argv);
  const root = user.uid === 0;
  const dataDir = resolve(values.data ?? env.X1_DATA ?? (root ? "/var/lib/x1agent" : join(user.home, ".x1agent")));
  const port = values.port === undefined ? DEFAULT_PORT : Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new Fault("invalid_request", `--port takes a number from 0 to 65535, not "${values.port}".`);
  const configDir = root ? "/etc/x1agent" : join(env.XDG_CONFIG_HOME || join(user.home, ".config"), "x1agent");
  const masterKeyFrom = handedOver(values["master-key"]);
  const named = masterKeyFrom ? undefined : values["master-key"];
  const masterKeyFile = resolve(named ?? join(configDir, "master.key"));
  if (masterKeyFile.startsWith(`${dataDir}/`))
    throw new Fault(
      "invalid_request",
      "The master key may not lie in the data directory: a backup of one would hold the other. Choose another --master-key.",
    );
  return {
    dataDir,
    host: values.host ?? "127.0.0.1",
    port,
    allowHosts: (values["allow-host"] ?? []).map((name) => name.toLowerCase()),
    ...(values["public-url"] === undefined ? {} : { publicUrl: publicAddress(values["public-url"]) }),
    databaseUrl: env.DATABASE_URL || undefined,
    blobsDir: resolve(values.blobs ?? join(dataDir, "blobs")),
    masterKeyFile,
    masterKeyFrom,
    spareSidecars: spares(values["spare-sidecars"]),
    toolchains: (values.toolchain ?? []).map((path) => resolve(path)),
    upstreamProxy: upstreamProxyOf(env),
    json: values.json ?? false,
  };
}

function spares(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[012]$/.test(text)) throw new Fault("invalid_request", `--spare-sidecars takes 0, 1 or 2, not "${text}".`);
  return Number(text);
}

/** An origin; `none` takes a stored one away. The web app is served at its root, so that there is no path. */
function publicAddress(text: string): string | null {
  if (text === "none") return null;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || !/^https?:$/.test(url.protocol) || url.href !== `${url.origin}/`)
    throw new Fault(
      "invalid_request",
      `--public-url takes the service's own address, such as https://x1.example.com, or none; not "${text}".`,
    );
  return url.origin;
}

/**
 * Where people look at a job; null where nobody but this machine would get there. `listening` is the address at which the
 * service answers. Pure.
 */
export function jobLink(publicUrl: string | null, listening: string, jobId: string): string | null {
  const local = /^(localhost|127\..*|\[::1?\]|0\.0\.0\.0)$/.test(new URL(listening).hostname);
  const base = publicUrl ?? (local ? null : listening);
  return base && `${base}/jobs/${jobId}`;
}

/** `fd:3` or `env:NAME`; anything else is a file. */
function handedOver(text: string | undefined): StartOptions["masterKeyFrom"] {
  const [, kind, name = ""] = /^(fd|env):(.*)$/.exec(text ?? "") ?? [];
  if (!kind) return null;
  if (kind === "fd" && /^[3-9]$/.test(name)) return { fd: Number(name) };
  if (kind === "env" && /^[A-Za-z_]\w{0,100}$/.test(name)) return { env: name };
  throw new Fault(
    "invalid_request",
    `--master-key takes a file, fd:<3 to 9> or env:<name of a variable>, not "${text}".`,
  );
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        data: { type: "string" },
        port: { type: "string" },
        host: { type: "string" },
        "allow-host": { type: "string", multiple: true },
        "public-url": { type: "string" },
        blobs: { type: "string" },
        "master-key": { type: "string" },
        toolchain: { type: "string", multiple: true },
        "spare-sidecars": { type: "string" },
        json: { type: "boolean" },
      },
    });
  } catch (cause) {
    throw new Fault("invalid_request", `${(cause as Error).message} (x1 up --help lists the options)`, { cause });
  }
}
