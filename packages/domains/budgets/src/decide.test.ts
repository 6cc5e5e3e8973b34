import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decideLease, type Standing } from "./decide.ts";

const standing = (
  limitMicros: number,
  spentMicros = 0,
  reservedMicros = 0,
  kind: Standing["scope"]["kind"] = "job",
): Standing => ({
  scope: { kind, id: kind },
  limitMicros,
  spentMicros,
  reservedMicros,
});

describe("a lease", () => {
  it("is the wish while there is plenty, also without any limit", () => {
    expect(decideLease(100, 10, [standing(1_000)])).toEqual({ granted: true, amountMicros: 100 });
    expect(decideLease(100, 10, [])).toEqual({ granted: true, amountMicros: 100 });
  });
  it("shrinks near the limit, never below what a call needs", () => {
    expect(decideLease(100, 10, [standing(1_000, 800)])).toEqual({ granted: true, amountMicros: 50 });
    expect(decideLease(100, 10, [standing(1_000, 980)])).toEqual({ granted: true, amountMicros: 10 });
  });
  it("is refused by the tightest budget, whose name and figures it says", () =>
    expect(decideLease(100, 10, [standing(1_000), standing(500, 400, 95, "organization")])).toEqual({
      granted: false,
      scope: { kind: "organization", id: "organization" },
      limitMicros: 500,
      spentMicros: 400,
    }));
  it("is refused when the limit is nothing or was lowered below what is spent", () => {
    expect(decideLease(100, 0, [standing(0)])).toMatchObject({ granted: false });
    expect(decideLease(100, 10, [standing(500, 900)])).toMatchObject({ granted: false });
  });
  it("never takes more than any budget has left, nor less than was needed", () =>
    fc.assert(
      fc.property(
        fc.nat(1e9),
        fc.nat(1e6),
        fc.array(fc.tuple(fc.nat(1e9), fc.nat(1e9), fc.nat(1e9)), { maxLength: 5 }),
        (want, min, limits) => {
          const standings = limits.map(([limit, spent, reserved]) => standing(limit, spent, reserved));
          const left = Math.min(...standings.map((s) => s.limitMicros - s.spentMicros - s.reservedMicros));
          const decision = decideLease(want, min, standings);
          if (!decision.granted) return left < min || left <= 0;
          return decision.amountMicros <= left && decision.amountMicros >= min;
        },
      ),
    ));
});
