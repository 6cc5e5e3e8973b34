import { createHash, createHmac } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { Digest, Fault } from "@x1agent/contract";
import { z } from "zod";

/**
 * A backup is a folder, or the same folder as one tar file:
 *
 *   manifest.json            what follows, with digests
 *   tables/<table>.jsonl.gz  rows, one JSON document a line
 *   blobs/<2 hex>/<digest>   every blob that a row names
 *   repositories/<job>.tar   bare repository of each job that waits for its approval or publication
 *
 * Left out: the master key, API tokens in clear, sessions of the web app, and all that is rebuilt.
 */
export const Manifest = z.object({
  format: z.literal("x1agent-backup"),
  version: z.literal(1),
  createdAt: z.iso.datetime(),
  /** Version of the product that wrote it. */
  product: z.string(),
  migrations: z.array(z.string()),
  tables: z.array(z.object({ name: z.string().regex(/^\w{1,63}$/), rows: z.int().min(0), digest: Digest })),
  blobs: z.array(Digest),
  blobBytes: z.int().min(0),
  repositories: z.array(z.object({ name: z.string().regex(/^[\w-]{1,100}$/), digest: Digest })),
  auditHeads: z.array(z.object({ organizationId: z.string(), seq: z.int().min(0), hash: Digest })),
  /** Tells whether a master key is the one that sealed the secrets, and nothing about it; null when it was not at hand. */
  keyCheck: z.string().nullable(),
});
export type Manifest = z.infer<typeof Manifest>;

/** Reads and checks a backup's manifest. */
export async function readManifest(folder: string, name: string): Promise<Manifest> {
  const text = await readFile(`${folder}/manifest.json`, "utf8").catch((cause: NodeJS.ErrnoException) => {
    throw new Fault("invalid_request", `${name} is no backup: it holds no manifest.json (${cause.code}).`, { cause });
  });
  const parsed = Manifest.safeParse(tryJson(text));
  if (!parsed.success)
    throw new Fault(
      "invalid_request",
      `${name} is no backup that this version reads (${parsed.error.issues[0]?.path.join(".") || "manifest.json"} is not as expected).`,
    );
  return parsed.data;
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** SHA-256 of a file. */
export async function digestOfFile(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

/** A check value of the master key in `file`, or null when none can be read there. Makes no key. */
export async function keyCheckOf(file: string): Promise<string | null> {
  if (!(await stat(file).catch(() => null))) return null;
  const key = Buffer.from((await readFile(file, "utf8").catch(() => "")).trim(), "base64");
  return key.length === 32 ? createHmac("sha256", key).update("x1 backup key check").digest("hex").slice(0, 16) : null;
}
