import { describe, expect, it } from "vitest";
import { isPassing, waitMs } from "./wait.ts";

describe("a refusal of the far end", () => {
  it.each([
    ["forge_limited", true],
    ["forge_unavailable", true],
    ["upstream_failed", false],
    ["repository_invalid", false],
    ["forge_unauthorized", false],
    ["forge_not_found", false],
    ["publish_moved", false],
  ] as const)("%s passes by itself: %s", (code, passes) => {
    expect(isPassing({ code })).toBe(passes);
  });

  it("is waited for longer and longer, up to five minutes", () => {
    expect([0, 1, 2, 100].map(waitMs)).toEqual([2_000, 4_000, 8_000, 300_000]);
  });
});
