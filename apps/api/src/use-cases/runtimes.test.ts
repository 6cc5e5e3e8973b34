import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Fault, RuntimeManifest, type RuntimeTest } from "@x1agent/contract";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createRuntimeShelf } from "./runtimes.ts";

const manifest = RuntimeManifest.parse({
  name: "toy",
  title: "Toy",
  version: "1",
  contract: "1.0",
  license: "MIT",
  redistributable: true,
  capabilities: [],
  api: "anthropic-messages",
  provider: "anthropic",
  defaultModel: "m",
  install: null,
  sessionFiles: [],
});
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "x1-shelf-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const tests = { run: () => Promise.reject(new Error("Nobody asked for a test.")), last: async () => null };

async function all(lines: AsyncIterable<string>): Promise<string[]> {
  const found: string[] = [];
  for await (const line of lines) found.push(line);
  return found;
}

describe("the shelf of runtimes", () => {
  it("runs one installation for all who ask, and tells each the whole of it", async () => {
    let runs = 0;
    let finish = () => {};
    const shelf = createRuntimeShelf({
      catalogue: [{ manifest, runtimeDir: "/r" }],
      directory,
      tests,
      async install(_entry, target, say) {
        runs += 1;
        say("fetching");
        await new Promise<void>((resolve) => {
          finish = resolve;
        });
        await mkdir(target, { recursive: true });
        await writeFile(join(target, "runtime.json"), JSON.stringify(manifest));
      },
    });
    expect(await shelf.list()).toMatchObject([{ installed: false, installing: false, path: null }]);
    const first = shelf.install("toy");
    const second = shelf.install("toy");
    expect(await shelf.list()).toMatchObject([{ installing: true }]);
    finish();
    if (!first.ok || !second.ok) throw new Error("refused");
    const expected = ["fetching\n", '{"ok":true,"detail":"Toy 1 is installed."}\n'];
    expect(await Promise.all([all(first.value), all(second.value)])).toEqual([expected, expected]);
    expect(runs).toBe(1);
  });

  it("ends with what went wrong, and may be tried again", async () => {
    const shelf = createRuntimeShelf({
      catalogue: [{ manifest, runtimeDir: "/r" }],
      directory,
      tests,
      install: () => Promise.reject(new Fault("unavailable", "The registry cannot be reached.")),
    });
    for (const _ of [1, 2]) {
      const run = shelf.install("toy");
      expect(run.ok && (await all(run.value)).at(-1)).toBe('{"ok":false,"detail":"The registry cannot be reached."}\n');
    }
    expect(shelf.install("other")).toMatchObject({ ok: false, code: "runtime_unknown" });
    expect(await shelf.appDir("toy")).toMatchObject({ ok: false, code: "runtime_not_installed" });
  });

  it("tests a CLI by itself after it was fetched, and again when asked, but none that is not installed", async () => {
    const fetched = { ...manifest, install: { kind: "npm" as const, package: "toy", lock: "cli/package-lock.json" } };
    const target = join(directory, "toy", "1");
    let last: RuntimeTest | null = null;
    const outcomes = [true, false];
    const shelf = createRuntimeShelf({
      catalogue: [{ manifest: fetched, runtimeDir: "/r" }],
      directory,
      async install() {
        await mkdir(join(target, "node_modules/toy"), { recursive: true });
        await writeFile(join(target, "runtime.json"), JSON.stringify(fetched));
        await writeFile(join(target, "node_modules/toy/package.json"), '{"version":"1"}');
      },
      tests: {
        async run(_manifest, appDir, say) {
          say(`testing ${appDir}`);
          const ok = outcomes.shift() ?? false;
          const detail = ok ? null : "It did not start.";
          last = { at: "2026-01-01T00:00:00.000Z", version: "1", ok, detail, startMs: null, memory: null };
          return last;
        },
        last: async () => last,
      },
    });
    expect(await shelf.test("toy")).toMatchObject({ ok: false, code: "runtime_not_installed" });
    expect(await shelf.test("other")).toMatchObject({ ok: false, code: "runtime_unknown" });
    const run = shelf.install("toy");
    if (!run.ok) throw new Error("refused");
    await all(run.value);
    await expect.poll(() => shelf.list()).toMatchObject([{ installed: true, testing: false, test: { ok: true } }]);
    const again = await shelf.test("toy");
    if (!again.ok) throw new Error("refused");
    expect(await all(again.value)).toEqual([`testing ${target}\n`, '{"ok":false,"detail":"It did not start."}\n']);
    expect(await shelf.list()).toMatchObject([{ testing: false, test: { ok: false } }]);
  });
});
