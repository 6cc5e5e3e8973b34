import { createHash } from "node:crypto";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type BlobStore, openBlobs } from "./blobs.ts";

let folder: string;
let blobs: BlobStore;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "x1-blobs-"));
  blobs = openBlobs(folder);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("blobs", () => {
  it("are found by their SHA-256, whole", async () => {
    const digest = await blobs.put("hello");
    expect(digest).toBe(createHash("sha256").update("hello").digest("hex"));
    expect((await blobs.get(digest))?.toString()).toBe("hello");
    expect((await buffer(blobs.stream(digest))).toString()).toBe("hello");
    expect(await blobs.size(digest)).toBe(5);
  });
  it("are one file when many write the same at once, and leave no temporary ones", async () => {
    const digests = await Promise.all(Array.from({ length: 20 }, () => blobs.put("same")));
    expect(new Set(digests).size).toBe(1);
    expect(await readdir(join(folder, digests[0]!.slice(0, 2)))).toEqual([digests[0]]);
  });
  it("are not there when their file was changed, longer, shorter or in one byte, and are put anew", async () => {
    const digest = await blobs.put("as it was");
    const file = join(folder, digest.slice(0, 2), digest);
    for (const changed of ["as it were", "as it", "as it wes", ""]) {
      await writeFile(file, changed);
      expect(await blobs.get(digest)).toBeNull();
    }
    expect(await blobs.put("as it was")).toBe(digest);
    expect((await blobs.get(digest))?.toString()).toBe("as it was");
  });
  it("are null when they are not there", async () => expect(await blobs.get("0".repeat(64))).toBeNull());
  it.each(["../../etc/passwd", "A".repeat(64), ""])("have no other names: %j", (name) =>
    expect(() => blobs.get(name)).toThrow(/SHA-256/),
  );
});
