/**
 * Builds the web app into dist/ unless the one there is newer than every source: `node build.ts [--force]`. The build
 * happens in a folder of its own and takes dist's place by a rename, so that two starts at once never serve half of one.
 * Prints a line on standard error when it builds; exit status 1 when it could not, and then dist/ is what it was.
 */
import { chmodSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";

const here = import.meta.dirname;
const dist = join(here, "dist");
const sources = [
  "src",
  "public",
  "index.html",
  "vite.config.ts",
  "../../packages/client/src",
  "../../packages/contract/src",
];

/** When a file or anything below a folder changed last, in milliseconds; 0 when it is not there. */
function changedAt(path: string): number {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found?.isDirectory()) return found?.mtimeMs ?? 0;
  return Math.max(found.mtimeMs, ...readdirSync(path).map((name) => changedAt(join(path, name))));
}

const builtAt = statSync(join(dist, "index.html"), { throwIfNoEntry: false })?.mtimeMs ?? 0;
const newest = Math.max(...[...sources, "../../package-lock.json"].map((source) => changedAt(join(here, source))));
if (process.argv.includes("--force") || newest > builtAt) {
  process.stderr.write("Building the web app (a few seconds) ...\n");
  const made = mkdtempSync(join(here, "dist-"));
  const old = `${made}.old`;
  try {
    // A test that builds has another environment: what is served is React as it ships, whoever asked for it.
    process.env.NODE_ENV = "production";
    const { build } = await import("vite");
    await build({ root: here, build: { outDir: made, emptyOutDir: true } });
    // A temporary folder is its maker's alone; whoever may read the checkout may serve what was built in it.
    chmodSync(made, 0o777 & ~process.umask());
    try {
      renameSync(dist, old);
    } catch {
      // There was none, or another start has just taken it away.
    }
    try {
      renameSync(made, dist);
    } catch (error) {
      // Another start was first, with the same sources.
      if (!statSync(join(dist, "index.html"), { throwIfNoEntry: false })) throw error;
    }
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  } finally {
    rmSync(made, { recursive: true, force: true });
    rmSync(old, { recursive: true, force: true });
  }
}
