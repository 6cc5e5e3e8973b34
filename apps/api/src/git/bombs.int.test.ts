import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { createLocalDriver } from "@x1agent/driver-local";
import type { Workspace } from "@x1agent/workspaces";
import { toolSpec } from "@x1agent/workspaces/conformance";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createPlatformGit, type ImportLimits } from "./index.ts";
import { ForgedBundle, idOf } from "./test/pack.ts";
import { makeRepository, scratch } from "./test/plain-workspace.ts";

/**
 * Small bundles that stand for much, imported as the loop does it: in a sandbox of the driver. Each is refused by its
 * limit, within its time, with the service's own memory measured; and each is taken where that limit is wide enough, so
 * it is the limit that refuses.
 */
const megabyte = 1024 ** 2;
const scale = process.env.X1_FULL === "1" ? 8 : 1;
const cleanups: (() => void)[] = [];
const driverOptions = { runDir: "/nonexistent", overlayDir: "/nonexistent" };
const { report, checks } = await createLocalDriver(driverOptions).probe();
const lacks = report ? undefined : checks.find((check) => !check.ok)?.detail;

describe.skipIf(lacks !== undefined && process.env.CI !== "true")(
  `a bundle${lacks ? ` (skipped: ${lacks})` : ""}`,
  () => {
    let root: string;
    let base: string;
    let jobRepository: string;
    let platform: ReturnType<typeof createPlatformGit>;
    let driver: ReturnType<typeof createLocalDriver>;
    beforeAll(async () => {
      root = scratch(cleanups);
      base = makeRepository(join(root, "origin"), { "a.txt": "a\n" });
      platform = createPlatformGit({ dataDir: join(root, "data") });
      const repository = join(root, "origin");
      const resolved = await platform.resolveBase({ organizationId: "o", repository, trust: "member", base: null });
      if (!resolved.ok) throw new Error(resolved.detail);
      jobRepository = await platform.jobRepository("j", resolved.value);
      driver = createLocalDriver({ runDir: join(root, "data/run"), overlayDir: join(root, "data/overlay") });
      mkdirSync(join(root, "bundles"));
    });
    afterAll(() => {
      for (const clean of cleanups) clean();
    });

    /** Imports in a fresh tool workspace; says how long it took and by how much the service grew at most. */
    async function take(file: string, limits: Partial<ImportLimits>) {
      const memory = 3 * 1024 ** 3;
      const spec = toolSpec({
        mounts: [{ source: jobRepository, target: "/x1/base.git" }],
        limits: { memoryBytes: memory, processes: 200, diskBytes: 4 * 1024 ** 3 },
      });
      const tool: Workspace = await driver.launch(spec);
      const before = process.memoryUsage().rss;
      let most = before;
      const timer = setInterval(() => {
        most = Math.max(most, process.memoryUsage().rss);
      }, 20);
      const begin = performance.now();
      try {
        const outcome = await platform.importChange({
          ...{ tool, jobRepository, base, collected: { file, named: [] }, limits },
          text: { title: "t", body: "", jobId: "j", at: new Date(0) },
        });
        return { outcome, tookMs: performance.now() - begin, grewBytes: most - before };
      } finally {
        clearInterval(timer);
        await driver.stop(spec.id);
      }
    }

    type Bomb = {
      /** Writes the bundle. */
      write(bundle: ForgedBundle): string;
      /** Far smaller than what it stands for. */
      atMost: number;
      refusedBy: Partial<ImportLimits>;
      says: RegExp;
      takenWith: Partial<ImportLimits>;
    };
    const wide: Partial<ImportLimits> = {
      ...{ maxPaths: 1e6, maxDepth: 1e6, maxBlobBytes: 1e12, maxTotalBytes: 1e12, memoryBytes: 2.5 * 1024 ** 3 },
    };
    const blobTree = (bundle: ForgedBundle, ids: readonly string[]): string =>
      bundle.tree(ids.map((id, at) => ({ mode: "100644", name: `f${String(at).padStart(6, "0")}`, id })));
    /** One large blob of zeros, and others that are it with a few bytes more. */
    const grown = (bundle: ForgedBundle, size: number, count: number): string => {
      const zeros = Buffer.alloc(size);
      const first = bundle.add("blob", zeros);
      const ids = Array.from({ length: count }, (_, at) => {
        const tail = Buffer.from(`tail ${at}`);
        return bundle.extend(first, size, tail, idOf("blob", zeros, tail));
      });
      return blobTree(bundle, [first, ...ids]);
    };

    const bombs: Record<string, Bomb> = {
      "one file that is small when packed": {
        write: (bundle) => blobTree(bundle, [bundle.add("blob", Buffer.alloc(64 * scale * megabyte))]),
        atMost: megabyte * scale,
        refusedBy: { maxBlobBytes: 16 * megabyte },
        says: /bytes/,
        takenWith: {},
      },
      "many files that are deltas of one": {
        write: (bundle) => grown(bundle, 8 * megabyte, 24 * scale),
        atMost: 256 * 1024,
        refusedBy: { maxTotalBytes: 32 * megabyte },
        says: /bytes/,
        takenWith: {},
      },
      "deltas that take long to resolve": {
        write: (bundle) => grown(bundle, 16 * megabyte, 40 * scale),
        atMost: megabyte,
        refusedBy: { timeoutMs: 250 },
        says: /too long/,
        takenWith: { timeoutMs: 240_000 },
      },
      "deltas that take much memory to resolve": {
        write: (bundle) => grown(bundle, 128 * megabyte, 2),
        atMost: 2 * megabyte,
        refusedBy: { memoryBytes: 128 * megabyte },
        says: /memory|malloc|mmap|killed|limit|ended with/i,
        takenWith: {},
      },
      "a chain of deltas, each on the last": {
        write(bundle) {
          let data = Buffer.from("start");
          let id = bundle.add("blob", data);
          const ids = [id];
          for (let at = 0; at < 3_000 * scale; at += 1) {
            const tail = Buffer.from("x");
            const next = idOf("blob", data, tail);
            bundle.extend(id, data.length, tail, next);
            data = Buffer.concat([data, tail]);
            id = next;
            ids.push(id);
          }
          return blobTree(bundle, ids);
        },
        atMost: 2 * megabyte * scale,
        refusedBy: { maxPaths: 1_000 },
        says: /more than 1000/,
        takenWith: {},
      },
      "folders in folders": {
        write(bundle) {
          let id = blobTree(bundle, [bundle.add("blob", Buffer.from("deep"))]);
          for (let at = 0; at < 600; at += 1) id = bundle.tree([{ mode: "40000", name: "d", id }]);
          return id;
        },
        atMost: megabyte,
        refusedBy: { maxDepth: 64 },
        says: /nested deeper than 64/,
        takenWith: {},
      },
      "a pack larger than a change may be": {
        write: (bundle) => blobTree(bundle, [bundle.add("blob", Buffer.alloc(8 * megabyte))]),
        atMost: megabyte,
        refusedBy: { maxPackBytes: 4_096 },
        says: /maximum allowed size|exceeds|too large|larger/i,
        takenWith: {},
      },
    };

    // Eight times the work at full size, beside whatever else the machine does.
    const timeout = scale * 120_000;
    it.each(Object.entries(bombs))(
      "is refused by its limit, and by nothing else: %s",
      { timeout },
      async (name, bomb) => {
        const file = join(root, "bundles", name.replaceAll(/\W/g, "-"));
        const bundle = new ForgedBundle(file);
        bundle.end(bomb.write(bundle), base);
        expect(statSync(file).size).toBeLessThan(bomb.atMost);
        const refused = await take(file, bomb.refusedBy);
        expect(refused.outcome).toMatchObject({
          ok: false,
          code: "conflict",
          detail: expect.stringMatching(bomb.says),
        });
        // Far below what the bundle stands for; the time is that of a loaded machine.
        expect(refused.grewBytes).toBeLessThan(200 * megabyte);
        expect(refused.tookMs).toBeLessThan(60_000 * scale);
        const taken = await take(file, { ...wide, ...bomb.takenWith });
        expect(taken.outcome).toMatchObject({ ok: true });
      },
    );

    it("that stands for 12^12 paths is refused before anything walks them", async () => {
      const file = join(root, "bundles", "paths");
      const bundle = new ForgedBundle(file);
      let id = blobTree(bundle, [bundle.add("blob", Buffer.from("x"))]);
      for (let level = 0; level < 12; level += 1)
        id = bundle.tree(Array.from({ length: 12 }, (_, at) => ({ mode: "40000", name: `d${at + 10}`, id })));
      bundle.end(id, base);
      expect(statSync(file).size).toBeLessThan(8_192);
      const { outcome, grewBytes } = await take(file, {});
      expect(outcome).toMatchObject({ ok: false, code: "conflict", detail: expect.stringContaining("paths") });
      expect(grewBytes).toBeLessThan(100 * megabyte);
    });
  },
);
