import { constants } from "node:fs";
import { open, readdir } from "node:fs/promises";
import { join } from "node:path";

const MAX_JOURNAL = 128 * 1024 * 1024;

/**
 * The host's journal: the `.jsonl` files of its folder, oldest first. The folder is the agent side's, so a link or a
 * fifo in it is neither followed nor waited for, and the whole is bounded.
 */
export async function readJournal(dir: string): Promise<Buffer> {
  const names = (await readdir(dir).catch((): string[] => []))
    .filter((name) => name.endsWith(".jsonl"))
    .sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const parts: Buffer[] = [];
  let left = MAX_JOURNAL;
  for (const name of names) {
    const file = await open(join(dir, name), constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(() => null);
    if (!file) continue;
    try {
      const info = await file.stat();
      if (!info.isFile()) continue;
      const bytes = Buffer.alloc(Math.min(info.size, left));
      const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
      parts.push(bytes.subarray(0, bytesRead));
      left -= bytesRead;
    } finally {
      await file.close();
    }
  }
  return Buffer.concat(parts);
}
