import { access, readFile, realpath, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** Programs by which a toolchain outside `/usr` is noticed. */
const names = ["node", "npm", "python3", "go", "java", "deno", "bun", "ruby", "php"];

/**
 * Folders with a `bin` outside `/usr` that hold the toolchains on a search path: the version folders of nvm, pyenv, sdkman
 * and the like. A folder that holds more than a toolchain (a home, `.local`, an ancestor of either) is never given:
 * all of it would be readable inside.
 */
export async function findToolchains(input: {
  /** The caller's search path. */
  path: string;
  /** The node that runs the service. */
  execPath: string;
  /** Folders that must not become readable: the home, the data directory. */
  closed: readonly string[];
}): Promise<string[]> {
  const candidates = [input.execPath];
  for (const name of names) {
    for (const folder of input.path.split(":")) {
      if (!folder.startsWith("/")) continue;
      const program = join(folder, name);
      if (
        !(await access(program).then(
          () => true,
          () => false,
        ))
      )
        continue;
      candidates.push(program);
      break;
    }
  }
  const found = new Set<string>();
  for (const candidate of candidates) {
    // The link's own folder counts too: npm's real file lies deep in lib/.
    for (const program of [await realpath(candidate).catch(() => null), candidate]) {
      const prefix = program === null ? null : await toolchainOf(program, input.closed);
      if (prefix !== null) found.add(prefix);
    }
  }
  return [...found];
}

async function toolchainOf(program: string, closed: readonly string[]): Promise<string | null> {
  const bin = dirname(program);
  if (basename(bin) !== "bin") return null;
  const prefix = await realpath(dirname(bin)).catch(() => null);
  if (prefix === null || prefix === "/" || /^\/(usr|bin|sbin|lib\w*)(\/|$)/.test(prefix)) return null;
  const outer = [prefix, `${prefix}/`] as const;
  if (closed.some((folder) => folder === outer[0] || folder.startsWith(outer[1]))) return null;
  if (basename(prefix).startsWith(".") || prefix.split("/").length < 3) return null;
  // A version folder has libraries or headers of its own.
  for (const mark of ["lib", "include", "pkg", "jre"]) {
    if (
      await stat(join(prefix, mark)).then(
        (info) => info.isDirectory(),
        () => false,
      )
    )
      return prefix;
  }
  // npm's `node` package is a toolchain that has nothing but its program: the node that a checkout pins.
  const manifest = await readFile(join(prefix, "package.json"), "utf8").catch(() => "{}");
  return /"name":\s*"node"/.test(manifest) && basename(prefix) === "node" ? prefix : null;
}
