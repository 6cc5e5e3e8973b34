import { accept, Fault, type Outcome, type Runtime, refuse } from "@x1agent/contract";
import { type CatalogueEntry, installedDirectory } from "../runtimes/catalogue.ts";
import { isInstalled } from "../runtimes/install.ts";
import type { SelfTests } from "../runtimes/self-test.ts";
import type { RuntimeChoice } from "./job-settings.ts";

/** The catalogue with what is installed here, and the way to install. */
export type RuntimeShelf = {
  list(): Promise<Runtime[]>;
  choices(): Promise<RuntimeChoice[]>;
  /** Folder of an installed runtime, as a workspace mounts it. */
  appDir(name: string): Promise<Outcome<string>>;
  /** Progress as text lines; the last one is JSON `{ok, detail}`. Two requests for the same runtime share one run. */
  install(name: string): Outcome<AsyncIterable<string>>;
  /** Tests an installed one, told like an installation. A CLI that was fetched is tested by itself afterwards. */
  test(name: string): Promise<Outcome<AsyncIterable<string>>>;
};

export type RuntimeShelfDeps = {
  catalogue: readonly CatalogueEntry[];
  /** `<data>/runtimes`. */
  directory: string;
  /** Fetches the CLI if it has one, and puts adapter and manifest beside it. */
  install(entry: CatalogueEntry, targetDir: string, onProgress: (line: string) => void): Promise<void>;
  tests: Pick<SelfTests, "run" | "last">;
};

type Run = { lines: string[]; ended: boolean; waiting: Set<() => void> };

/** Makes the shelf of one service. */
export function createRuntimeShelf({ catalogue, directory, install, tests }: RuntimeShelfDeps): RuntimeShelf {
  const installing = new Map<string, Run>();
  const testing = new Map<string, Run>();
  const targetOf = (entry: CatalogueEntry) => installedDirectory(directory, entry.manifest);

  async function list(): Promise<Runtime[]> {
    return Promise.all(
      catalogue.map(async (entry) => {
        const path = targetOf(entry);
        const [installed, test] = await Promise.all([
          isInstalled(path, entry.manifest),
          tests.last(entry.manifest.name),
        ]);
        return {
          manifest: entry.manifest,
          installed,
          installing: installing.has(entry.manifest.name),
          testing: testing.has(entry.manifest.name),
          ...(test ? { test } : {}),
          path: installed ? path : null,
        };
      }),
    );
  }

  /** Begins work whose lines many may read; `work` answers with the last sentence. */
  function start(
    runs: Map<string, Run>,
    name: string,
    work: (say: (line: string) => void) => Promise<{ ok: boolean; detail: string }>,
  ): Run {
    const run: Run = { lines: [], ended: false, waiting: new Set() };
    const say = (line: string) => {
      run.lines.push(line);
      for (const wake of run.waiting) wake();
    };
    const end = (result: { ok: boolean; detail: string }) => {
      run.ended = true;
      runs.delete(name);
      say(JSON.stringify(result));
    };
    runs.set(name, run);
    work(say).then(end, (error: unknown) => end({ ok: false, detail: (error as Error).message }));
    return run;
  }

  const startInstall = (entry: CatalogueEntry): Run =>
    start(installing, entry.manifest.name, async (say) => {
      const { title, version } = entry.manifest;
      try {
        await install(entry, targetOf(entry), say);
      } catch (error) {
        const detail = error instanceof Fault ? error.message : `The installation broke: ${String(error)}`;
        return { ok: false, detail };
      }
      // Where nothing was fetched, nothing is new that a test could find broken.
      if (entry.manifest.install) testOf(entry);
      return { ok: true, detail: `${title} ${version} is installed.` };
    });

  const testOf = (entry: CatalogueEntry): Run =>
    testing.get(entry.manifest.name) ??
    start(testing, entry.manifest.name, async (say) => {
      const { title, version } = entry.manifest;
      const test = await tests.run(entry.manifest, targetOf(entry), say);
      return { ok: test.ok, detail: test.detail ?? `${title} ${version} starts here.` };
    });

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
      return accept(follow(installing.get(name) ?? startInstall(entry)));
    },
    async test(name) {
      const entry = catalogue.find(({ manifest }) => manifest.name === name);
      if (!entry) return refuse("runtime_unknown", `There is no runtime "${name}".`);
      if (!(await isInstalled(targetOf(entry), entry.manifest)))
        return refuse("runtime_not_installed", `${entry.manifest.title} is not installed.`);
      return accept(follow(testOf(entry)));
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
