import { readFileSync } from "node:fs";
import { join } from "node:path";

/** One package ecosystem: the hosts that its client fetches from when nobody configured another. */
type Ecosystem = { name: string; hosts: readonly string[] };

/** Default package registries, as data. Read-only mirrors of code; nothing can be uploaded to them without a login. */
const ecosystems: readonly Ecosystem[] = [
  { name: "npm", hosts: ["registry.npmjs.org"] },
  { name: "pip", hosts: ["pypi.org", "files.pythonhosted.org"] },
  { name: "cargo", hosts: ["index.crates.io", "static.crates.io", "crates.io"] },
  { name: "go", hosts: ["proxy.golang.org", "sum.golang.org"] },
];

/** A host that set-up may reach. `configured` when the machine names it instead of the default. */
export type RegistryHost = { ecosystem: string; host: string; port: number; configured: boolean };
export type Registries = {
  hosts: readonly RegistryHost[];
  /** Variables that point the clients inside a workspace at the configured registries; no credential among them. */
  env: Readonly<Record<string, string>>;
};

export type RegistrySources = {
  env: Readonly<Record<string, string | undefined>>;
  home: string;
  /** Reads a file as text; null when it is not there or not ours to read. */
  readFile?: (path: string) => string | null;
};

/**
 * Registries of this machine: what npm's and pip's own configuration names replaces the default hosts. Only address and
 * path are taken over; user names, passwords and tokens stay behind.
 */
export function readRegistries(sources: RegistrySources): Registries {
  const read = sources.readFile ?? readText;
  const npm = firstOf(
    sources.env.npm_config_registry,
    setting(read(join(sources.home, ".npmrc")), "registry"),
    setting(read("/etc/npmrc"), "registry"),
    setting(read("/usr/etc/npmrc"), "registry"),
  );
  const pip = firstOf(
    sources.env.PIP_INDEX_URL,
    setting(read(join(sources.home, ".config/pip/pip.conf")), "index-url"),
    setting(read(join(sources.home, ".pip/pip.conf")), "index-url"),
    setting(read("/etc/pip.conf"), "index-url"),
  );
  const hosts: RegistryHost[] = [];
  const env: Record<string, string> = {};
  const configured: Record<string, { url: URL | null; variable: string }> = {
    npm: { url: bareUrl(npm), variable: "npm_config_registry" },
    pip: { url: bareUrl(pip), variable: "PIP_INDEX_URL" },
  };
  for (const { name, hosts: defaults } of ecosystems) {
    const own = configured[name];
    if (own?.url && !defaults.includes(own.url.hostname)) {
      hosts.push({ ecosystem: name, host: own.url.hostname, port: portOf(own.url), configured: true });
      env[own.variable] = own.url.href;
    } else for (const host of defaults) hosts.push({ ecosystem: name, host, port: 443, configured: false });
  }
  return { hosts, env };
}

const firstOf = (...values: (string | null | undefined)[]): string | undefined =>
  values.find((value) => value) ?? undefined;
const portOf = (url: URL): number => Number(url.port) || (url.protocol === "http:" ? 80 : 443);

/** `name = value` of an ini-like file; sections do not matter for the keys we read. */
function setting(text: string | null, name: string): string | null {
  for (const line of text?.split(/\r?\n/) ?? []) {
    const match = /^\s*([\w@:-]+)\s*=\s*(.+?)\s*$/.exec(line);
    if (match?.[1] === name) return match[2]?.replace(/^(["'])(.*)\1$/, "$2") ?? null;
  }
  return null;
}

/** An http(s) address without user, password, query and fragment; null for anything else, also for `${VARIABLES}`. */
function bareUrl(text: string | undefined): URL | null {
  if (!text || !URL.canParse(text)) return null;
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:") return null;
  url.username = "";
  url.password = "";
  url.search = "";
  url.hash = "";
  return url;
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
