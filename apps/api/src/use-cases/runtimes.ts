import { accept, Fault, type Outcome, type Runtime, refuse } from "@x1agent/contract";
import { type CatalogueEntry, installedDirectory } from "../runtimes/catalogue.ts";
import { isInstalled } from "../runtimes/install.ts";
import type { RuntimeChoice } from "./job-settings.ts";

/** The catalogue with what is installed here, and the way to install. */
export type RuntimeShelf = {
  list(): Promise<Runtime[]>;
  choices(): Promise<RuntimeChoice[]>;
  /** Folder of an installed runtime, as a workspace mounts it. */
  appDir(name: string): Promise<Outcome<string>>;
  /** Progress as text lines; the last one is JSON `{ok, detail}`. Two requests for the same runtime share one run. */
  install(name: string): Outcome<AsyncIterable<string>>;
};

export type RuntimeShelfDeps = {
  catalogue: readonly CatalogueEntry[];
  /** `<data>/runtimes`. */
  directory: string;
  /** Fetches the CLI if it has one, and puts adapter and manifest beside it. */
  install(entry: CatalogueEntry, targetDir: string, onProgress: (line: string) => void): Promise<void>;
};

type Run = { lines: string[]; ended: boolean; waiting: Set<() => void> };

/** Makes the shelf of one service. */
export function createRuntimeShelf({ catalogue, directory, install }: RuntimeShelfDeps): RuntimeShelf {
  const running = new Map<string, Run>();
  const targetOf = (entry: CatalogueEntry) => installedDirectory(directory, entry.manifest);

  async function list(): Promise<Runtime[]> {
    return Promise.all(
      catalogue.map(async (entry) => {
        const path = targetOf(entry);
        const installed = await isInstalled(path, entry.manifest);
        return {
          manifest: entry.manifest,
          installed,
          installing: running.has(entry.manifest.name),
          path: installed ? path : null,
        };
      }),
    );
  }

  function start(entry: CatalogueEntry): Run {
    const run: Run = { lines: [], ended: false, waiting: new Set() };
    const say = (line: string) => {
      run.lines.push(line);
      for (const wake of run.waiting) wake();
    };
    const end = (ok: boolean, detail: string) => {
      run.ended = true;
      running.delete(entry.manifest.name);
      say(JSON.stringify({ ok, detail }));
    };
    running.set(entry.manifest.name, run);
    install(entry, targetOf(entry), say).then(
      () => end(true, `${entry.manifest.title} ${entry.manifest.version} is installed.`),
      (error: unknown) =>
        end(false, error instanceof Fault ? error.message : `The installation broke: ${String(error)}`),
    );
    return run;
  }

  return {
    list,
    async choices() {
      return (await list()).map(({ manifest, installed }) => ({ manifest, installed }));
    },
    async appDir(name) {
      const found = (await list()).find(({ manifest }) => manifest.name === name);
      if (!found) return refuse("runtime_unknown");
      return found.path
        ? accept(found.path)
        : refuse("runtime_not_installed", `${found.manifest.title} is not installed.`);
    },
    install(name) {
      const entry = catalogue.find(({ manifest }) => manifest.name === name);
      if (!entry) return refuse("runtime_unknown", `There is no runtime "${name}".`);
      return accept(follow(running.get(name) ?? start(entry)));
    },
  };
}

/** Every line of a run from its first, however late one comes; a reader that leaves ends nothing. */
async function* follow(run: Run): AsyncGenerator<string, void, void> {
  for (let at = 0; ; at += 1) {
    while (at >= run.lines.length) {
      if (run.ended) return;
      await new Promise<void>((resolve) => {
        const wake = () => {
          run.waiting.delete(wake);
          resolve();
        };
        run.waiting.add(wake);
      });
    }
    yield `${run.lines[at]}\n`;
  }
}
