import { accept, refuse } from "@x1agent/contract";
import type { JobRecord } from "@x1agent/domain-jobs";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { JobClock } from "../clock.ts";
import type { LoopDeps } from "../deps.ts";
import { isPassing, MAX_WAITS_FOR_A_DAY, waitMs, whenBack } from "./wait.ts";

vi.mock("node:timers/promises", () => ({ setTimeout: async (ms: number) => void vi.advanceTimersByTime(ms) }));

describe("a refusal of the far end", () => {
  it.each([
    ["forge_limited", true],
    ["forge_unavailable", true],
    ["upstream_failed", false],
    ["repository_invalid", false],
    ["forge_unauthorized", false],
    ["forge_not_found", false],
    ["publish_moved", false],
  ] as const)("%s passes by itself: %s", (code, passes) => {
    expect(isPassing({ code })).toBe(passes);
  });

  it("is waited for longer and longer, up to five minutes", () => {
    expect([0, 1, 2, 100].map(waitMs)).toEqual([2_000, 4_000, 8_000, 300_000]);
  });
});

describe("the wait before the evidence", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"] }));
  afterEach(() => void vi.useRealTimers());
  const away = refuse("forge_unavailable", "nobody there");
  const job = { id: "job_1", organizationId: "org_1", state: "verifying" } as JobRecord;
  const begun = vi.fn();
  beforeEach(() => void begun.mockClear());
  const wait = (clock: JobClock, ask: () => ReturnType<typeof accept<string>> | typeof away) => {
    const db = { tenant: async () => undefined } as unknown as LoopDeps["db"];
    const deps = { db, uncharged: (work) => clock.uncharged(work) } as LoopDeps;
    const asking = async () => {
      // Nobody answers for a second.
      vi.advanceTimersByTime(1_000);
      return ask();
    };
    return whenBack(deps, job, "att_1", new AbortController().signal, asking, begun);
  };

  it("is not charged to the job's time, which goes on after it", async () => {
    const clock = new JobClock();
    clock.start();
    const late = vi.fn();
    const unlimited = clock.limit(5_000, late);
    const begin = Date.now();
    const standing: boolean[] = [];
    const ask = () => (standing.push(clock.waits) < 6 ? away : accept("there"));
    expect(await wait(clock, ask)).toEqual(accept("there"));
    // Told once, and what the job costs the service is looked up while it lasts.
    expect([begun.mock.calls.length, standing, clock.waits]).toEqual([1, [false, ...Array(5).fill(true)], false]);
    expect(Date.now() - begin).toBe(68_000);
    expect([late.mock.calls.length, clock.usedMs()]).toEqual([0, 1_000]);
    vi.advanceTimersByTime(3_999);
    expect(late).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(late).toHaveBeenCalledOnce();
    unlimited();
  });

  it("is none where somebody answers at once", async () => {
    expect(await wait(new JobClock(), () => accept("there"))).toEqual(accept("there"));
    expect(begun).not.toHaveBeenCalled();
  });

  it("has a limit of its own, about a day", async () => {
    const clock = new JobClock();
    clock.start();
    const begin = Date.now();
    expect(await wait(clock, () => away)).toBe(away);
    const hours = (Date.now() - begin) / 3_600_000;
    expect([hours > 20, hours < 30, MAX_WAITS_FOR_A_DAY]).toEqual([true, true, 290]);
    expect(clock.usedMs()).toBe(1_000);
  });
});
