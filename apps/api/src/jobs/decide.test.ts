import { jobStates, jobTransitions } from "@x1agent/contract";
import { describe, expect, it } from "vitest";
import { afterVerification, decide, type Facts, judgeTurn, lostInARow, MAX_LOST } from "./decide.ts";

const facts = (change: Partial<Facts> & { state?: Facts["job"]["state"] }): Facts => ({
  job: { state: change.state ?? "running", cancelRequested: null },
  attempts: [{ state: "running", outcome: null }],
  live: true,
  late: false,
  ...change,
});
const lost = { state: "ended", outcome: "lost" } as const;

describe("the next step", () => {
  it.each([
    ["provisioning", "provision"],
    ["running", "turn"],
    ["awaiting_input", "answer"],
    ["verifying", "verify"],
    ["awaiting_approval", "release"],
    ["publishing", "publish"],
    ["succeeded", "release"],
  ] as const)("of a live job in %s is %s", (state, kind) => expect(decide(facts({ state })).kind).toBe(kind));

  it.each(["provisioning", "running", "awaiting_input", "verifying"] as const)(
    "of a job in %s that nobody holds is its recovery",
    (state) => expect(decide(facts({ state, live: false })).kind).toBe("recover"),
  );

  it("recovers a queued job whose attempt never ended before it starts another", () => {
    expect(decide(facts({ state: "queued", live: false })).kind).toBe("recover");
    expect(decide(facts({ state: "queued", live: false, attempts: [lost] })).kind).toBe("provision");
  });

  it("gives up after losses in a row, and only then", () => {
    const many = Array.from({ length: MAX_LOST }, () => lost);
    expect(decide(facts({ state: "queued", live: false, attempts: many }))).toMatchObject({ to: "lost" });
    const between = [lost, lost, { state: "ended", outcome: "stopped" } as const, lost];
    expect(lostInARow(between)).toBe(1);
    expect(decide(facts({ state: "queued", live: false, attempts: between })).kind).toBe("provision");
  });

  it("cancels everything but a push that has begun, and only where the state allows it", () => {
    const cancelRequested = { kind: "user", id: "u" } as const;
    for (const state of jobStates) {
      const step = decide(facts({ job: { state, cancelRequested } }));
      expect(step.kind === "end" && step.to === "cancelled", state).toBe(jobTransitions[state].includes("cancelled"));
    }
  });

  it("ends what works when its time is used up, and nothing that waits for a person or pushes", () => {
    const ends = jobStates.filter((state) => {
      const step = decide(facts({ state, late: true }));
      return step.kind === "end" && step.to === "timed_out";
    });
    expect(ends).toEqual(["queued", "provisioning", "running", "awaiting_input", "verifying"]);
  });

  it("never decides on an end that the state does not allow", () => {
    for (const state of jobStates)
      for (const live of [true, false])
        for (const late of [true, false]) {
          const step = decide(facts({ state, live, late }));
          if (step.kind === "end") expect(jobTransitions[state], state).toContain(step.to);
        }
  });
});

describe("a turn's end", () => {
  it.each(["end_turn", "max_tokens", "max_turns", "refusal", "cancelled"] as const)("%s is looked at", (stopReason) =>
    expect(judgeTurn({ stopReason }, false)).toEqual({ kind: "collect" }),
  );
  it("is the budget's when the platform refused a lease, whatever the agent says", () =>
    expect(judgeTurn({ stopReason: "end_turn" }, true)).toEqual({ kind: "budget" }));
  it("names the sidecar's refusal", () =>
    expect(judgeTurn({ stopReason: "error", detail: "403 price_unknown: no price" }, false)).toMatchObject({
      reason: "provider_failed",
      detail: "403 price_unknown: no price",
    }));
  it("tells a broken runtime from a broken provider", () => {
    expect(judgeTurn({ stopReason: "error", errorCode: "crashed" }, false)).toMatchObject({ reason: "runtime_failed" });
    expect(judgeTurn({ stopReason: "error", errorCode: "provider_failed" }, false)).toMatchObject({
      reason: "provider_failed",
    });
  });
});

it("hands back while rounds are left", () => {
  const after = (passed: boolean | null, round: number, maxRounds: number, roundsBefore = 0) =>
    afterVerification(passed, { round, maxRounds, roundsBefore });
  expect(after(false, 1, 1)).toEqual({ kind: "feedback" });
  expect(after(false, 2, 1)).toMatchObject({ reason: "rounds_exhausted" });
  expect(after(false, 1, 0)).toMatchObject({ reason: "rounds_exhausted" });
  expect(after(true, 1, 3)).toEqual({ kind: "review", reason: "verification_passed" });
  expect(after(null, 1, 3)).toEqual({ kind: "review", reason: "not_verified" });
  // Sent back after five rounds: its sixth is the first of as many as before.
  expect(after(false, 6, 1, 5)).toEqual({ kind: "feedback" });
  expect(after(false, 7, 1, 5)).toMatchObject({ reason: "rounds_exhausted" });
  expect(after(false, 6, 0, 5)).toMatchObject({ reason: "rounds_exhausted" });
});
