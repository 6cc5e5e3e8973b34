import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { globSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, it } from "vitest";
import { z } from "zod";

/** The form of `npm run bench`, not speed: that needs a calm machine and a person who reads it. */
const root = join(import.meta.dirname, "..");
const number = z.number().finite();
const Line = z.strictObject({
  bench: z.string(),
  figure: z.string().min(1),
  unit: z.string().min(1),
  ours: number,
  limit: number.nullable(),
  peer: number.nullable(),
  ratio_to_limit: number.nullable(),
  ratio_to_peer: number.nullable(),
});

async function bench(...args: string[]): Promise<{ code: number | null; out: string; told: string }> {
  const child = spawn(process.execPath, [join(root, "bench/run.ts"), ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  let told = "";
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk;
  });
  child.stderr.on("data", (chunk: Buffer) => {
    told += chunk;
  });
  const [code] = (await once(child, "close", { signal: AbortSignal.timeout(280_000) })) as [number | null];
  return { code, out, told };
}

describe("npm run bench", () => {
  it("prints one figure a line, from every bench, each beside its limit where it has one", async () => {
    const { code, out, told } = await bench("--quick", "--json");
    expect(code, told).toBe(0);
    const lines = out
      .trim()
      .split("\n")
      .map((line) => Line.parse(JSON.parse(line)));
    const names = globSync("*.bench.ts", { cwd: join(root, "bench") }).map((file) => basename(file, ".bench.ts"));
    // Elsewhere a machine may have no browser, and the bench says so.
    if (/needs chromium/.test(told)) names.splice(names.indexOf("web"), 1);
    expect([...new Set(lines.map((line) => line.bench))].sort()).toEqual(names.sort());
    expect(new Set(lines.map(({ bench, figure }) => `${bench}/${figure}`)).size).toBe(lines.length);
    for (const line of lines) {
      const { ours, limit, peer, ratio_to_limit, ratio_to_peer } = line;
      for (const [base, ratio] of [
        [limit, ratio_to_limit],
        [peer, ratio_to_peer],
      ] as const) {
        if (base === null) expect(ratio, line.figure).toBeNull();
        else if (base !== 0)
          expect(Math.abs((ratio ?? 0) - ours / base), line.figure).toBeLessThan(0.01 * Math.abs(ours / base) + 1e-9);
      }
    }
    for (const figure of ["first byte added, 2 KB", "first byte added, 300 KB", "open, existing data"])
      expect(lines.map((line) => line.figure)).toContain(figure);
  });

  it("runs one, as a table; and says which there are", async () => {
    const one = await bench("database", "--quick");
    expect(one.code, one.told).toBe(0);
    expect(one.out).toMatch(/open, existing data, ms +[\d.]+/);
    const made = spawnSync(process.execPath, [join(root, "bench/run.ts"), "databse"], { encoding: "utf8" });
    expect(made.status).toBe(2);
    expect(made.stderr).toMatch(/No bench "databse"\. There are: .*database/);
  });
});
