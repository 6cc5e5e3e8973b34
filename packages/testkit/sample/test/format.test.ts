import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAmount } from "../src/format.ts";

test("format: whole and broken amounts", () => {
  assert.equal(formatAmount(500), "$5.00");
  assert.equal(formatAmount(1234), "$12.34");
  assert.equal(formatAmount(0), "$0.00");
});
