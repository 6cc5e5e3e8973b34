import assert from "node:assert/strict";
import { test } from "node:test";
import { splitAmount } from "../src/split.ts";

test("split: even amounts", () => {
  assert.deepEqual(splitAmount(900, 3), [300, 300, 300]);
});

test("split: shares add up to the amount", () => {
  for (const [cents, people] of [[1000, 3], [1001, 7], [1, 2], [200, 3]] as const) {
    const shares = splitAmount(cents, people);
    assert.equal(shares.reduce((sum, share) => sum + share, 0), cents);
    assert.ok(Math.max(...shares) - Math.min(...shares) <= 1);
  }
});

test("split: nobody to pay", () => {
  assert.throws(() => splitAmount(100, 0), RangeError);
});
