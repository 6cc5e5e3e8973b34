import { execFile, execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fix, TestService } from "./test/service.ts";

const run = promisify(execFile);
/** Set where this file runs again on a small file system: see below. */
const small = process.env.X1_TEST_SMALL_DISK === "1";
const megabyte = 1024 ** 2;

/** The job ended by its code, its work is there for a retry, and the next job goes well. */
async function endsByItself(x1: TestService, goal: string, limits: object): Promise<void> {
  const { id } = await x1.create({ goal, verify: "true", limits });
  await x1.reach(id, "failed");
  const job = await x1.job(id);
  expect(job).toMatchObject({ state: "failed", reason: "runtime_failed", attempt: 1 });
  expect(job.reasonDetail).toContain("disk limit");
  await expect.poll(() => x1.workspacesOf(id), { timeout: 20_000 }).toEqual([]);
  await x1.client.retryJob({ params: { jobId: id }, body: {} });
  const kept = await x1.reach(id, "awaiting_approval");
  expect(kept.attempt).toBe(2);
  const { items } = await x1.client.listEvidence({ params: { jobId: id } });
  expect(items[0]?.record.files.map(({ path }) => path)).toContain("first.txt");
  const next = await x1.create({ goal: fix });
  await x1.reach(next.id, "awaiting_approval");
}

describe("a job that fills the disk", () => {
  let x1: TestService;
  beforeAll(async () => {
    x1 = await TestService.open();
  });
  afterAll(() => x1?.close());

  // By where this file runs it is one or the other; neither is skipped for something that the machine lacks.
  if (small)
    it("ends before the machine's is full, with its work kept", async () => {
      const goal =
        "[[edit first.txt one]][[shell for i in $(seq 40); do head -c 20M /dev/zero > /tmp/full$i; sleep 0.3; done]][[sleep 60]]";
      await endsByItself(x1, goal, {});
      const free = Number(execFileSync("stat", ["-f", "-c", "%a", tmpdir()], { encoding: "utf8" })) * 4096;
      expect(free).toBeGreaterThan(400 * megabyte);
    });
  else
    it("ends by its own limit, with its work kept", async () => {
      // In the private /tmp: what is filled up is no part of the work.
      const goal = "[[edit first.txt one]][[shell head -c 200M /dev/zero > /tmp/full]][[sleep 60]]";
      await endsByItself(x1, goal, { diskBytes: 128 * megabyte });
    });
});

const noMount = process.getuid?.() !== 0;
it.skipIf(small || noMount)(
  `all of this on a file system that is nearly full${noMount ? " (skipped: needs root to mount one)" : ""}`,
  async () => {
    const dir = mkdtempSync(join(tmpdir(), "x1-small-"));
    const root = fileURLToPath(new URL("../../../..", import.meta.url));
    // A mount namespace of its own: nobody else sees the mount, and it is gone with the last process.
    const script = 'mount -t tmpfs -o size=1300m,mode=755 x1-small "$1" && dir=$1 && shift && TMPDIR=$dir exec "$@"';
    const vitest = [process.execPath, join(root, "node_modules/vitest/vitest.mjs"), "run", "--project", "e2e"];
    try {
      chmodSync(dir, 0o755);
      const { stdout } = await run(
        "/usr/bin/unshare",
        [
          ...["-m", "--propagation", "private", "--", "/bin/bash", "-c", script, "x1-small", dir],
          ...[...vitest, fileURLToPath(import.meta.url), "--reporter=verbose"],
        ],
        { cwd: root, env: { ...process.env, X1_TEST_SMALL_DISK: "1" }, maxBuffer: 8 * megabyte },
      ).catch((error: { stdout?: string; stderr?: string }) => {
        throw new Error(`on the small disk:\n${error.stdout?.slice(-6_000)}\n${error.stderr?.slice(-2_000)}`);
      });
      expect(stdout).toContain("1 passed");
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  },
);
