import { expect, it } from "vitest";
import { Rewriter } from "./rewriter.ts";

const pairs = [
  ["https://files.example/", "/local@files/"],
  ["https://files.example.org/", "/local@org/"],
  ['href="/', 'href="/local/'],
] as const;
const page = Buffer.from(
  'é <a href="https://files.example/a#1">x</a> <a href="/b"> https://files.example.org/c https://files.exampl https://files.example',
);
const expected =
  'é <a href="/local@files/a#1">x</a> <a href="/local/b"> /local@org/c https://files.exampl https://files.example';

it("replaces the same in any cut of the stream", () => {
  for (let size = 1; size <= page.length; size += 1) {
    const rewriter = new Rewriter(pairs);
    const parts: Buffer[] = [];
    for (let at = 0; at < page.length; at += size) parts.push(rewriter.push(page.subarray(at, at + size)));
    parts.push(rewriter.end());
    expect(Buffer.concat(parts).toString(), `chunks of ${size}`).toBe(expected);
  }
});

it("keeps no more than one text's length", () => {
  const rewriter = new Rewriter(pairs);
  let out = 0;
  const chunk = Buffer.alloc(64 * 1024, "h");
  for (let count = 0; count < 64; count += 1) out += rewriter.push(chunk).length;
  expect(64 * chunk.length - out).toBeLessThan(40);
});
