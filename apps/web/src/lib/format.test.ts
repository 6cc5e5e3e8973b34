import { describe, expect, it } from "vitest";
import { formatAge, formatDuration, visible } from "./format.ts";

describe("text of an agent", () => {
  it.each([
    ["\u001b[31mred\u001b[0m", "red"],
    ["\u001b]8;;https://evil.example\u0007click", "⟨U+001B⟩]8;;https://evil.example⟨U+0007⟩click"],
    // Once everything after a sequence that never ends was dropped.
    ["ok\u001b]0;rm -rf /\nand more", "ok⟨U+001B⟩]0;rm -rf /\nand more"],
    ["\u001b[2Kgone", "⟨U+001B⟩[2Kgone"],
    ["tag\u{e0001}\u{e0041}\u{e007f}", "tag⟨U+E0001⟩⟨U+E0041⟩⟨U+E007F⟩"],
    [
      "\u00ad\u034f\u115f\u180e\u2066\u2800\u3164\ufe0f\ufff9\u{e0100}",
      "⟨U+00AD⟩⟨U+034F⟩⟨U+115F⟩⟨U+180E⟩⟨U+2066⟩⟨U+2800⟩⟨U+3164⟩⟨U+FE0F⟩⟨U+FFF9⟩⟨U+E0100⟩",
    ],
    ["half \ud83d, whole \u{1f600}", "half ⟨U+D83D⟩, whole \u{1f600}"],
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
