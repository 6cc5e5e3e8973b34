import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { Fault } from "@x1agent/contract";

/**
 * Envelope encryption with AES-256-GCM (NIST SP 800-38D): each value has a data key of its own, wrapped by the master
 * key. Both layers are bound to organization, project and name, so a sealed value moved to another row does not open.
 * Layout: version 1 | wrapped key (12 nonce, 16 tag, 32 key) | value (12 nonce, 16 tag, ciphertext).
 */
const VERSION = 1;

function encrypt(key: Buffer, aad: Buffer, plain: Buffer): Buffer {
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  cipher.setAAD(aad);
  const body = Buffer.concat([cipher.update(plain), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), body]);
}

function decrypt(key: Buffer, aad: Buffer, sealed: Buffer): Buffer {
  const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, 12));
  decipher.setAAD(aad);
  decipher.setAuthTag(sealed.subarray(12, 28));
  return Buffer.concat([decipher.update(sealed.subarray(28)), decipher.final()]);
}

/** Whose a secret is: one project's, or with null the organization's, which serves every project. */
export type SecretOwner = { organizationId: string; projectId: string | null };

// An organization's secret is bound as it was before projects had their own: what was sealed then still opens.
const boundTo = ({ organizationId, projectId }: SecretOwner, name: string) =>
  Buffer.from(JSON.stringify(["x1-secret", organizationId, name, ...(projectId === null ? [] : [projectId])]));

/** Seals a value for one owner and name. */
export function seal(masterKey: Buffer, owner: SecretOwner, name: string, value: string): Buffer {
  const aad = boundTo(owner, name);
  const dataKey = randomBytes(32);
  const sealed = Buffer.concat([
    Buffer.from([VERSION]),
    encrypt(masterKey, aad, dataKey),
    encrypt(dataKey, aad, Buffer.from(value, "utf8")),
  ]);
  dataKey.fill(0);
  return sealed;
}

/** Opens a sealed value, or says that the master key is not the one it was sealed with. */
export function unseal(masterKey: Buffer, owner: SecretOwner, name: string, sealed: Buffer): string {
  const aad = boundTo(owner, name);
  try {
    if (sealed[0] !== VERSION) throw new Error(`unknown version ${sealed[0]}`);
    const dataKey = decrypt(masterKey, aad, sealed.subarray(1, 61));
    const value = decrypt(dataKey, aad, sealed.subarray(61)).toString("utf8");
    dataKey.fill(0);
    return value;
  } catch (cause) {
    throw new Fault(
      "unavailable",
      `The secret "${name}" cannot be opened: the master key is not the one it was stored with. Restore that key, or store the secret again.`,
      { cause },
    );
  }
}
