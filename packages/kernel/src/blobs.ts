import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm, stat, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { Fault } from "@x1agent/contract";

/** Content by SHA-256. May be shared by services of one host: writing the same content twice is the same file. */
export interface BlobStore {
  put(content: Buffer | string): Promise<string>;
  /** The content, or null when it is not there. What is not what its digest says (a damaged disk, somebody's hand) is not there. */
  get(digest: string): Promise<Buffer | null>;
  size(digest: string): Promise<number | null>;
  stream(digest: string): Readable;
  /** Every blob that is there, with its size in bytes and when it was last put (ms). */
  list(): AsyncGenerator<{ digest: string; bytes: number; putAt: number }, void, void>;
  /** Removes a blob unless it was put again after `before` (ms); whether it is gone. */
  remove(digest: string, before: number): Promise<boolean>;
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
      // Put again, it is young again: nobody may remove it as unused before the row that names it is committed.
      const again = new Date();
      const there = await utimes(path, again, again)
        .then(() => readFile(path))
        .catch(() => null);
      // One that was damaged is written over.
      if (there?.equals(bytes)) return digest;
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
      readFile(pathOf(digest)).then(
        (bytes) => (createHash("sha256").update(bytes).digest("hex") === digest ? bytes : null),
        (error: NodeJS.ErrnoException) => {
          if (error.code === "ENOENT") return null;
          throw new Fault("unavailable", `Blob ${digest} cannot be read (${error.code}).`, { cause: error });
        },
      ),
    size: async (digest) => (await stat(pathOf(digest)).catch(() => null))?.size ?? null,
    stream: (digest) => createReadStream(pathOf(digest)),
    async *list() {
      for (const shelf of await readdir(folder).catch(() => []))
        if (/^[0-9a-f]{2}$/.test(shelf))
          for (const digest of await readdir(join(folder, shelf))) {
            const facts = digestPattern.test(digest) ? await stat(pathOf(digest)).catch(() => null) : null;
            if (facts) yield { digest, bytes: facts.size, putAt: facts.mtimeMs };
          }
    },
    async remove(digest, before) {
      const path = pathOf(digest);
      const aside = `${path}.${randomUUID()}.tmp`;
      try {
        await rename(path, aside);
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code === "ENOENT") return true;
        throw cause;
      }
      // Out of the way first, then looked at: a put from now on writes it anew, one from before shows in its time.
      if ((await stat(aside)).mtimeMs > before) {
        await rename(aside, path);
        return false;
      }
      await rm(aside, { force: true });
      return true;
    },
  };
}
