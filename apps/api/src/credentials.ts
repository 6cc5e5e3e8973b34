import { gitSecretNames, type SidecarRegistry } from "@x1agent/contract";
import { openSecret, type SecretOwner } from "@x1agent/domain-secrets";
import type { Database } from "@x1agent/kernel";
import { type GitCredential, isPrivateKey, type Remote } from "./git/index.ts";

/**
 * The header for a stored credential: `user:password` as it stands, a bare token under the user name that GitHub documents for
 * tokens over HTTPS and that other forges ignore. Pure.
 */
export function gitAuthorization(secret: string): string {
  const pair = secret.includes(":") ? secret : `x-access-token:${secret}`;
  return `Basic ${Buffer.from(pair, "utf8").toString("base64")}`;
}

/**
 * The secret that may hold the login of a registry at this address: over plain HTTP the one stored for that very port, as
 * with remotes. Pure.
 */
export function registrySecretName(base: URL): string {
  const port = base.port || (base.protocol === "http:" ? "80" : "");
  return `registry:${base.hostname.replace(/^\[|\]$/g, "")}${port && `:${port}`}`;
}

/** The header for a registry's stored login: `user:password` as Basic, a bare token as Bearer, as npm and pip would send them. Pure. */
export function registryAuthorization(secret: string): string {
  return secret.includes(":") ? `Basic ${Buffer.from(secret, "utf8").toString("base64")}` : `Bearer ${secret}`;
}

/** Registries with the stored logins that hold for `owner`, unsealed for one sidecar. */
export function withLogins(
  db: Pick<Database, "tenant">,
  masterKey: Buffer,
  owner: SecretOwner,
  registries: readonly SidecarRegistry[],
): Promise<SidecarRegistry[]> {
  return Promise.all(
    registries.map(async (registry) => {
      const name = registrySecretName(new URL(registry.base));
      const secret = await db.tenant(owner.organizationId, (tx) => openSecret(tx, masterKey, owner, name));
      return secret === null ? registry : { ...registry, authorization: registryAuthorization(secret) };
    }),
  );
}

/** The stored credential of a remote that holds for `owner`, unsealed for one operation; undefined when there is none. */
export async function loadGitCredential(
  db: Pick<Database, "tenant">,
  masterKey: Buffer,
  owner: SecretOwner,
  remote: Remote,
): Promise<GitCredential | undefined> {
  if (remote.kind === "local") return undefined;
  // A private key never goes out as a password, and a password opens no SSH session of ours.
  const wantsKey = remote.kind === "ssh";
  const fits = (secret: string) => isPrivateKey(secret) === wantsKey;
  const secret = await db.tenant(owner.organizationId, (tx) =>
    openSecret(tx, masterKey, owner, gitSecretNames(remote), fits),
  );
  if (secret === null) return undefined;
  return wantsKey ? { sshKey: secret } : { authorization: gitAuthorization(secret) };
}
