import { gitSecretNames, type RemoteHost } from "@x1agent/contract";

const usual = { https: 443, http: 80, ssh: 22 } as const;

/** Scheme, host and port of a repository's or forge's address; null for a folder of the service's machine. */
export function remoteOf(address: string): RemoteHost | null {
  if (!URL.canParse(address)) return null;
  const url = new URL(address);
  const kind = url.protocol.slice(0, -1);
  if (kind !== "https" && kind !== "http" && kind !== "ssh") return null;
  const host = url.hostname.replace(/^\[|\]$/g, "").toLowerCase();
  return { kind, host, port: url.port ? Number(url.port) : usual[kind] };
}

/** A stored secret that git may sign in with, by name; `key` where only a private key for SSH is of use there. */
export type GitLogin = { name: string; key: boolean };

/**
 * Logins of a project's repository, and of the other hosts that its submodules may come from: the first name of each
 * address, set or not, and what is stored under its other names. Empty where git signs in nowhere.
 */
export function gitLogins(
  repository: string,
  submoduleHosts: readonly string[],
  stored: ReadonlySet<string>,
): GitLogin[] {
  const own = remoteOf(repository);
  const others = submoduleHosts.map((host) => remoteOf(`https://${host}`));
  const logins = [own, ...others].flatMap((remote) => {
    if (!remote) return [];
    const [first, ...rest] = gitSecretNames(remote);
    return [first, ...rest.filter((name) => stored.has(name))].map((name) => ({ name, key: remote.kind === "ssh" }));
  });
  return logins.filter(({ name }, index) => logins.findIndex((one) => one.name === name) === index);
}
