import { describe, expect, it } from "vitest";
import { isPassing, waitMs } from "./publish.ts";

describe("a refusal of the far end", () => {
  it.each([
    ["forge_limited", "until 10:00", true],
    ["forge_unavailable", "503", true],
    ["upstream_failed", "fatal: unable to access: The requested URL returned error: 503", true],
    ["upstream_failed", "Failed to connect to github.com port 443", true],
    ["upstream_failed", "remote: protected branch hook declined", false],
    ["upstream_failed", "The requested URL returned error: 403", false],
    ["forge_unauthorized", "timed out", false],
    ["publish_moved", "x1/job is at something", false],
  ] as const)("%s (%s) passes by itself: %s", (code, detail, passes) => {
    expect(isPassing({ code, detail })).toBe(passes);
  });

  it("is waited for longer and longer, up to five minutes", () => {
    expect([0, 1, 2, 100].map(waitMs)).toEqual([2_000, 4_000, 8_000, 300_000]);
  });
});
