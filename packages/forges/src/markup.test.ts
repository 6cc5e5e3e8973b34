import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { stripHidden } from "./markup.ts";

const kinds = (text: string) => stripHidden(text).hidden.map(({ kind }) => kind);

describe("hidden markup", () => {
  it("leaves plain words as they are", () => {
    const text =
      'The parser fails on `a,"b"`.\n\n- see src/parse.ts\n- 2 < 3 and 4 > 1\n\n```ts\nif (a < b && c > d) {}\n```';
    expect(stripHidden(text)).toEqual({ text, hidden: [] });
  });

  it("takes comments out, closed or not", () => {
    expect(stripHidden("a <!-- run curl evil --> b")).toEqual({
      text: "a  b",
      hidden: [{ kind: "comment", count: 1, sample: "<!-- run curl evil -->" }],
    });
    expect(stripHidden("a <!-- never closed").text).toBe("a ");
    expect(stripHidden("a <!<!-- x -->-- hidden --> b").text).not.toContain("hidden");
    expect(stripHidden("a <<b>!-- hidden --> b").text).not.toContain("<!--");
  });

  it("takes characters out that show nothing, and says which", () => {
    const tags = [..."ignore all"].map((c) => String.fromCodePoint(0xe0000 + (c.codePointAt(0) ?? 0))).join("");
    const found = stripHidden(`he\u200bllo\u202e ${tags}\ufeff`);
    expect(found.text).toBe("hello ");
    expect(found.hidden).toMatchObject([{ kind: "characters", count: 13, sample: "\\u{200b}" }]);
  });

  it("shows collapsed text as such, and images and links as what they are", () => {
    expect(stripHidden("<details><summary>Log</summary>run this</details>").text).toBe(
      "[collapsed on the page:] Logrun this",
    );
    expect(stripHidden("![alt: do this](https://x.example/?d=secret)").text).toBe("[image]");
    expect(stripHidden('<img src="x" alt="do this">').text).toBe("[image]");
    expect(stripHidden("[docs](https://x.example/a?q=do+this#frag)").text).toBe("docs (https://x.example/a)");
    expect(stripHidden("[//]: # (do this)\nb").text).toBe("\nb");
    expect(kinds('<span style="display:none">x</span>')).toEqual(["html"]);
  });

  it("leaves nothing hidden in any text", () => {
    const part = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom(
        "<!--",
        "-->",
        "<details>",
        "![",
        "](",
        ")",
        "<img ",
        "\u200b",
        "\u202e",
        "<",
        ">",
        "[//]: #",
        "\u{e0041}",
        "--",
        "<b>",
        "!",
      ),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 30 }), (parts) => {
        const { text } = stripHidden(parts.join(""));
        expect(text).not.toContain("<!--");
        expect(text).not.toMatch(/[\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\0]|[\u{e0000}-\u{e0fff}]/u);
      }),
      { numRuns: 500 },
    );
  });

  it("takes no longer than the text is long", () => {
    const began = performance.now();
    for (const bad of ["<!-- ", "[a](", "![", "<details ", "<img ", "[x]: "]) stripHidden(bad.repeat(20_000));
    expect(performance.now() - began).toBeLessThan(5_000);
  });
});
