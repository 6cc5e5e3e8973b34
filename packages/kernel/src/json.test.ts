import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { storableJson, storableText } from "./json.ts";

describe("storable JSON", () => {
  it("is plain JSON for a plain value", () => {
    const value = { a: [1, "ü😀", null, true], b: { c: 'line\nbreak \\ "' } };
    expect(storableJson(value)).toBe(JSON.stringify(value));
  });
  it("shows NUL and halves of pairs, in values and keys", () =>
    expect(JSON.parse(storableJson({ "k\0": "a\0b\ud800c", d: "\udfff" }))).toEqual({
      "k␀": "a␀b\ufffdc",
      d: "\ufffd",
    }));
  it("leaves text alone that only looks like an escape", () => {
    const text = "\\u0000 \\\\u0000 \\ud800";
    expect(JSON.parse(storableJson({ text }))).toEqual({ text });
  });
  it("notes what is nested too deeply, however deep", () => {
    for (const depth of [201, 5_000, 100_000]) {
      const deep = JSON.parse(`${"[".repeat(depth)}${"]".repeat(depth)}`) as unknown;
      expect(JSON.parse(storableJson(deep))).toEqual({ dropped: "nested too deeply" });
    }
    expect(storableJson({ text: "[".repeat(1_000) })).toContain("[[[[");
  });
  it("is accepted whatever the text", () =>
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom("\\", "u", "0", "\0", "\ud800", "\udc00", '"', "x") }), (text) => {
        const stored = JSON.parse(storableJson({ text })) as { text: string };
        return stored.text === text.replaceAll("\0", "␀").toWellFormed();
      }),
    ));
  it("makes NUL visible in text", () => expect(storableText("a\0")).toBe("a␀"));
});
