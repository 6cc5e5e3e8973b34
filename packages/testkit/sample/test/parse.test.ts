import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAmount } from "../src/parse.ts";

test("parse: plain amounts", () => {
  assert.equal(parseAmount("12.50"), 1250);
  assert.equal(parseAmount("$12"), 1200);
});

test("parse: refuses what is no amount", () => {
  for (const text of ["", "twelve", "1.5", "-3", "1,25", ",500"]) assert.throws(() => parseAmount(text), SyntaxError);
});
