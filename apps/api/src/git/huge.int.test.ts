import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { checkout, collectChange, createPlatformGit } from "./index.ts";
import { git, makeRepository, plainWorkspace, scratch, write } from "./test/plain-workspace.ts";

const cleanups: (() => void)[] = [];
// At full size there are half a million files to remove.
afterEach(() => {
  for (const clean of cleanups.splice(0)) clean();
}, 600_000);

const count = process.env.X1_FULL ? 100_000 : 4_000;

describe("a repository of very many files", () => {
  it(`of ${count} is checked out, changed, collected and imported`, async () => {
    const root = scratch(cleanups);
    const origin = join(root, "origin");
    const base = makeRepository(
      origin,
      Object.fromEntries(Array.from({ length: count }, (_, n) => [`d${n % 100}/f${n}`, `file ${n}\n`])),
    );
    const platform = createPlatformGit({ dataDir: join(root, "data") });
    const resolved = await platform.resolveBase({
      ...{ organizationId: "o1", repository: origin, trust: "member", base: null },
    });
    if (!resolved.ok) throw new Error(resolved.detail);
    const jobRepository = await platform.jobRepository("j1", resolved.value);
    const ws = plainWorkspace(jobRepository, join(root, "ws"));
    await checkout(ws, { commit: base, branch: "main" });
    // The base's objects stay where they are: the work tree's own repository holds none of them.
    expect(git(ws.work, "count-objects")).toBe("0 objects, 0 kilobytes");
    expect(existsSync(join(ws.work, `d99/f${count - 1}`))).toBe(true);

    write(ws.work, { "d0/f0": "changed\n", "new/file": "new\n" });
    const collected = await collectChange(ws, { base, file: join(root, "change.bundle") });
    if (!collected.ok || !collected.value.file) throw new Error("nothing was collected");
    expect(collected.value.bytes).toBeLessThan(1024 ** 2);
    const imported = await platform.importChange({
      tool: plainWorkspace(jobRepository, join(root, "tool")),
      ...{ jobRepository, base, collected: { file: collected.value.file, named: [] } },
      text: { title: "t", body: "", jobId: "j1", at: new Date(0) },
    });
    expect(imported).toMatchObject({ ok: true, value: { files: [{ path: "d0/f0" }, { path: "new/file" }] } });
  }, 600_000);
});
