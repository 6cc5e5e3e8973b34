import { existsSync } from "node:fs";
import { basename, delimiter, dirname, join } from "node:path";

/** Programs whose home is worth seeing inside: what a project's set-up and verify command most likely call. */
const programs = ["node", "npm", "python3", "go", "cargo"];

/**
 * Folders outside `/usr` in which the operator's own toolchains live (nvm, pyenv and the like), as `PATH` finds them:
 * the parent of the `bin` that holds the program. Seen read-only inside, at the same path.
 */
export function findToolchains(path: string, exists: (file: string) => boolean = existsSync): string[] {
  const folders = path.split(delimiter).filter((folder) => folder.startsWith("/"));
  const found = new Set<string>();
  for (const program of programs) {
    const bin = folders.find((folder) => exists(join(folder, program)));
    if (!bin || basename(bin) !== "bin" || /^\/(usr\/|bin$|sbin$)/.test(bin)) continue;
    found.add(dirname(bin));
  }
  return [...found];
}
