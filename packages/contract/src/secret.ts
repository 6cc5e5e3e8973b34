/** What of a git remote decides which stored secret signs in there: `host` in lower case and without brackets, its port always told. */
export type RemoteHost = { kind: "http" | "https" | "ssh"; host: string; port: number };

/**
 * Names of the secrets that may hold a remote's login, the one that is asked first in front: with the port where it is
 * not the scheme's own. Pure.
 */
export function gitSecretNames({ kind, host, port }: RemoteHost): [string, ...string[]] {
  const [plain, exact] = [`git:${host}`, `git:${host}:${port}`];
  // A host's token for HTTPS and its key for SSH may both be stored: the key then with the port.
  if (kind === "ssh") return port === 22 ? [exact, plain] : [exact];
  // Over plain HTTP a credential is sent only where somebody stored it for that very port.
  return kind === "https" && port === 443 ? [plain, exact] : [exact];
}
