import fc from "fast-check";
import { expect, it } from "vitest";
import { LineSplitter } from "./lines.ts";

function split(chunks: readonly Buffer[], limit = 1_000) {
  const lines: string[] = [];
  const overflows: number[] = [];
  const splitter = new LineSplitter(
    limit,
    (line) => lines.push(line),
    (bytes) => overflows.push(bytes),
  );
  for (const chunk of chunks) splitter.push(chunk);
  splitter.end();
  return { lines, overflows };
}

it("gives the same lines however the bytes are cut, characters of several bytes included", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "grapheme" })), fc.integer({ min: 1, max: 7 }), (texts, size) => {
      const lines = texts.map((text) => text.replace(/[\r\n]/g, "")).filter((text) => text.length > 0);
      const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(""));
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) =>
        bytes.subarray(n * size, (n + 1) * size),
      );
      expect(split(chunks).lines).toEqual(lines);
    }),
  );
});

it("splits on newline only", () => {
  expect(split([Buffer.from('{"a":"x\u2028y"}\r\n{"b":1}')]).lines).toEqual(['{"a":"x\u2028y"}', '{"b":1}']);
});

it("drops a line over the limit, says so once, and goes on after it", () => {
  const { lines, overflows } = split([
    Buffer.from("short\n"),
    ...Array(50).fill(Buffer.alloc(100, "x")),
    Buffer.from("\nnext\n"),
  ]);
  expect(lines).toEqual(["short", "next"]);
  expect(overflows).toHaveLength(1);
});
