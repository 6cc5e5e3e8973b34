import { readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";

/** What a mirror's folder is called while and after it is being made or removed. */
const mirrorName = /^[0-9a-f]{32}\.git$/;
const leftover = /\.git\.(new|old)-/;
/** A leftover that is younger may belong to work of this very moment. */
const YOUNG_MS = 86_400_000;

export type Freed = { count: number; bytes: number };

/**
 * Removes mirrors that no job asked for within `olderThanMs`, and what killed work left behind: half-made mirrors, packs of
 * fetches that never ended, scratch of imports and publications. Everything here is a cache that the next job makes anew.
 * With `dryRun` it only counts. `locked` keeps other work of this process off one mirror meanwhile.
 */
export async function collectMirrors(
  dataDir: string,
  options: { olderThanMs: number; dryRun: boolean; now?: number },
  locked: (mirror: string, work: () => Promise<void>) => Promise<void>,
): Promise<Freed> {
  const now = options.now ?? Date.now();
  const freed: Freed = { count: 0, bytes: 0 };
  const drop = async (path: string) => {
    const bytes = await sizeOf(path);
    if (!options.dryRun) {
      // Out of the way in one step: nobody finds half a mirror.
      const aside = mirrorName.test(path.slice(path.lastIndexOf("/") + 1)) ? `${path}.old-${process.pid}` : path;
      if (aside !== path) await rename(path, aside);
      await rm(aside, { recursive: true, force: true });
    }
    freed.count += 1;
    freed.bytes += bytes;
  };
  const isOld = async (path: string, ms: number) => {
    const at = (await stat(path).catch(() => null))?.mtimeMs;
    return at !== undefined && now - at > ms;
  };
  const root = join(dataDir, "repos");
  for (const organization of await list(root)) {
    for (const name of await list(join(root, organization))) {
      const path = join(root, organization, name);
      if (leftover.test(name)) {
        if (await isOld(path, YOUNG_MS)) await drop(path);
      } else if (mirrorName.test(name))
        await locked(path, async () => {
          // Each use of a mirror touches this folder.
          if (await isOld(join(path, "x1-fetched"), options.olderThanMs)) return drop(path);
          const packs = join(path, "objects/pack");
          for (const pack of await list(packs))
            if (/^(tmp|\.tmp)[-_]/.test(pack) && (await isOld(join(packs, pack), YOUNG_MS)))
              await drop(join(packs, pack));
        });
    }
  }
  const scratch = join(dataDir, "tmp");
  for (const name of await list(scratch))
    if (/^publish-|\.pack$/.test(name) && (await isOld(join(scratch, name), YOUNG_MS))) await drop(join(scratch, name));
  return freed;
}

const list = (folder: string): Promise<string[]> => readdir(folder).catch(() => []);

async function sizeOf(path: string): Promise<number> {
  const own = await stat(path).catch(() => null);
  if (!own?.isDirectory()) return own?.size ?? 0;
  let bytes = 0;
  for (const entry of await readdir(path, { recursive: true, withFileTypes: true }).catch(() => []))
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name)).catch(() => null))?.size ?? 0;
  return bytes;
}
