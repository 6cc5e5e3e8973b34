import { describe, expect, it } from "vitest";
import { formatAge, formatDuration, visible } from "./format.ts";

describe("text of an agent", () => {
  it.each([
    ["\u001b[31mred\u001b[0m", "red"],
    ["\u001b]8;;https://evil.example\u0007click\u001b]8;;\u0007", "click"],
    ["if (a\u202e) {", "if (a⟨U+202E⟩) {"],
    ["a\u200bb\u0007\r", "a⟨U+200B⟩b⟨U+0007⟩⟨U+000D⟩"],
    ["tabs\tand\nlines stay, <b>markup</b> too", "tabs\tand\nlines stay, <b>markup</b> too"],
  ])("shows %j as %j", (text, shown) => expect(visible(text)).toBe(shown));
});

describe("times", () => {
  it("reads like a person would say it", () => {
    expect(formatAge("2026-01-01T00:00:00Z", Date.parse("2026-01-01T00:03:10Z"))).toBe("3m ago");
    // A clock that is ahead of ours makes nothing come from the future.
    expect(formatAge("2026-01-01T00:00:09Z", Date.parse("2026-01-01T00:00:00Z"))).toBe("now");
    expect([950, 12_000, 72_000, 3_720_000].map(formatDuration)).toEqual(["950ms", "12s", "1m 12s", "1h 2m"]);
  });
});
