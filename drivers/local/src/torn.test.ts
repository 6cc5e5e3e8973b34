import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createLocalDriver } from "./index.ts";

test("a volume that a killed service made or removed by half is taken away; a young one and one with a record stay", async () => {
  const dir = mkdtempSync(join(tmpdir(), "x1-torn-"));
  const place = (name: string) => join(dir, "run/ws", name);
  try {
    const long = Date.now() / 1_000 - 600;
    for (const name of ["ws-torn", "ws-young", "ws-kept"]) mkdirSync(join(place(name), "work"), { recursive: true });
    writeFileSync(join(place("ws-kept"), "spec.json"), JSON.stringify({ id: "ws-kept" }));
    for (const name of ["ws-torn", "ws-kept"]) utimesSync(place(name), long, long);
    const driver = createLocalDriver({ runDir: join(dir, "run"), overlayDir: join(dir, "overlay") });
    expect((await driver.list()).map(({ id }) => id)).toEqual(["ws-kept"]);
    expect(["ws-torn", "ws-young", "ws-kept"].map((name) => existsSync(place(name)))).toEqual([false, true, true]);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
