import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { Fault } from "@x1agent/contract";

/** Content by SHA-256. May be shared by services of one host: writing the same content twice is the same file. */
export interface BlobStore {
  put(content: Buffer | string): Promise<string>;
  /** The content, or null when it is not there. */
  get(digest: string): Promise<Buffer | null>;
  size(digest: string): Promise<number | null>;
  stream(digest: string): Readable;
}

/** Largest blob, in bytes. */
export const MAX_BLOB = 1024 ** 3;
const digestPattern = /^[0-9a-f]{64}$/;

/** A blob store in a folder: written to a temporary name, synced, then renamed, so a blob is whole or absent. */
export function openBlobs(folder: string): BlobStore {
  const pathOf = (digest: string) => {
    if (!digestPattern.test(digest))
      throw new Fault("invalid_request", "A blob is named by its SHA-256 in lower-case hex.");
    return join(folder, digest.slice(0, 2), digest);
  };
  return {
    async put(content) {
      const bytes = typeof content === "string" ? Buffer.from(content) : content;
      if (bytes.length > MAX_BLOB)
        throw new Fault("body_too_large", `A blob holds at most ${MAX_BLOB} bytes; this one has ${bytes.length}.`);
      const digest = createHash("sha256").update(bytes).digest("hex");
      const path = pathOf(digest);
      if (await stat(path).catch(() => null)) return digest;
      await mkdir(join(folder, digest.slice(0, 2)), { recursive: true, mode: 0o700 });
      const temporary = `${path}.${randomUUID()}.tmp`;
      try {
        const file = await open(temporary, "wx", 0o600);
        try {
          await file.writeFile(bytes);
          await file.sync();
        } finally {
          await file.close();
        }
        await rename(temporary, path);
        // The name is durable only when its folder is: a row that names the blob must not outlive it.
        const parent = await open(dirname(path));
        await parent.sync().finally(() => parent.close());
      } catch (cause) {
        await rm(temporary, { force: true });
        throw new Fault(
          "unavailable",
          `The blob store ${folder} cannot be written (${(cause as NodeJS.ErrnoException).code ?? "error"}): free space or mend its permissions.`,
          { cause },
        );
      }
      return digest;
    },
    get: (digest) =>
      readFile(pathOf(digest)).catch((error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT") return null;
        throw new Fault("unavailable", `Blob ${digest} cannot be read (${error.code}).`, { cause: error });
      }),
    size: async (digest) => (await stat(pathOf(digest)).catch(() => null))?.size ?? null,
    stream: (digest) => createReadStream(pathOf(digest)),
  };
}
