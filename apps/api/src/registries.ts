import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { SidecarRegistry } from "@x1agent/contract";

/**
 * Package registries, as data: where their clients look when nobody configured another place, from where files come, and
 * what clients inside are told. `{api}` and `{token}` are filled in per workspace.
 */
const known: readonly (SidecarRegistry & { variable: string })[] = [
  {
    ...{ name: "npm", base: "https://registry.npmjs.org/", paths: [], files: [], pages: false },
    variable: "npm_config_registry",
    // A lock file that names the default registry means the configured one; the address of files is left as it is.
    env: { npm_config_globalconfig: "/x1/etc/npmrc", npm_config_replace_registry_host: "npmjs" },
  },
  {
    ...{ name: "pip", base: "https://pypi.org/simple/", paths: [], pages: true },
    files: ["https://files.pythonhosted.org"],
    variable: "PIP_INDEX_URL",
    env: {},
  },
];

/** What a grant of type registry may name. */
export const registryNames: readonly string[] = known.map(({ name }) => name);

/** Hosts of ecosystems whose clients keep to CONNECT; nothing can be uploaded to any of them. */
const downloads: readonly RegistryHost[] = [
  { ecosystem: "cargo", host: "index.crates.io", port: 443 },
  { ecosystem: "cargo", host: "static.crates.io", port: 443 },
  { ecosystem: "go", host: "proxy.golang.org", port: 443 },
  { ecosystem: "go", host: "sum.golang.org", port: 443 },
];

/** A host that set-up may reach by a tunnel. */
export type RegistryHost = { ecosystem: string; host: string; port: number };
export type Registries = {
  /** What sidecars serve read-only; no credential among it. */
  served: readonly SidecarRegistry[];
  hosts: readonly RegistryHost[];
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
  const configured: Record<string, URL | null> = { npm: bareUrl(npm), pip: bareUrl(pip) };
  const served = known.map(({ variable, ...entry }) => {
    const own = configured[entry.name];
    const registry =
      own && own.origin !== new URL(entry.base).origin ? { ...entry, ...ofOwnServer(entry, own) } : entry;
    const path = new URL(registry.base).pathname;
    return {
      ...registry,
      // npm finds the token in its configuration file; pip knows no other place than the address.
      env: {
        ...registry.env,
        [variable]: `http://${registry.pages ? "x1:{token}@" : ""}{api}/registry/${entry.name}${path}`,
      },
    };
  });
  return { served, hosts: downloads };
}

/** A registry of one's own in the place of the default one. Its files come from its own origin. Pure. */
function ofOwnServer(entry: SidecarRegistry, own: URL): Partial<SidecarRegistry> {
  if (!own.pathname.endsWith("/")) own.pathname += "/";
  return {
    base: own.href,
    files: [],
    // Indexes link to their files beside themselves: `/api/pypi/all/simple/six/` to `../../packages/...`.
    paths: entry.pages ? [new URL("..", own).pathname] : [],
    // Lock files may name that server or the default one; both mean what is configured.
    env: entry.pages ? entry.env : { ...entry.env, npm_config_replace_registry_host: "always" },
  };
}

const firstOf = (...values: (string | null | undefined)[]): string | undefined =>
  values.find((value) => value) ?? undefined;

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
