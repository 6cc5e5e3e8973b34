import { expect, it } from "vitest";
import { burnOf } from "./burn.ts";

const call = (minute: number, costMicros: number) => ({ ts: new Date(minute * 60_000).toISOString(), costMicros });

it("cost grows from what was spent before the calls that are known", () => {
  const { points, perHourMicros } = burnOf([call(12, 300), call(10, 100)], 1_000, 20 * 60_000);
  expect(points).toEqual([
    { x: 0, y: 0.6 },
    { x: 0, y: 0.7 },
    { x: 1, y: 1 },
  ]);
  expect(perHourMicros).toBe(2_400);
  expect(burnOf([call(0, 100)], 100, 60 * 60_000).perHourMicros).toBe(0);
  expect(burnOf([], 5, 0)).toEqual({ points: [], perHourMicros: 0 });
});
