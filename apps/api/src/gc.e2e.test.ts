import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, expect, it } from "vitest";
import { fix, TestService } from "./jobs/test/service.ts";

let x1: TestService;
beforeAll(async () => {
  x1 = await TestService.open();
});
afterAll(() => x1?.close());

/** The least retention there is: whatever could be freed is. */
const collect = () => x1.client.collectGarbage({ body: { dryRun: false, retentionDays: 1 } });

it("takes nothing from jobs that run, and nothing from one that waits for its approval", async () => {
  const jobs = await Promise.all(
    Array.from({ length: 3 }, () => x1.create({ goal: `${fix}[[sleep 2]]`, verify: "sleep 1; bash check.sh" })),
  );
  let over = false;
  let runs = 0;
  const collecting = async () => {
    for (; !over; runs += 1) {
      await collect();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  const waiting = Promise.all(jobs.map(({ id }) => x1.reach(id, "awaiting_approval"))).finally(() => {
    over = true;
  });
  await Promise.all([waiting, collecting()]);
  expect(runs).toBeGreaterThan(3);
  for (const { id } of jobs) {
    const { approvalDigest, attempts, targetBranch } = await x1.job(id);
    expect(attempts).toHaveLength(1);
    await x1.client.decide({ params: { jobId: id }, body: { decision: "approve", digest: approvalDigest ?? "" } });
    await x1.reach(id, "succeeded");
    const { items } = await x1.client.listPublications({ params: { jobId: id } });
    const pushed = execFileSync("git", ["-C", x1.repository, "rev-parse", targetBranch ?? ""], { encoding: "utf8" });
    expect(items.map(({ commit }) => commit)).toEqual([pushed.trim()]);
    // All that the evidence names can still be read.
    expect(await x1.client.jobDiff({ params: { jobId: id } })).toContain("a + b");
  }
});
