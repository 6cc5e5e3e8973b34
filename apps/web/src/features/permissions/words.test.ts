import { expect, it } from "vitest";
import { bounds, holds, line } from "./words.ts";

it("says how far a grant goes", () => {
  expect(bounds({ type: "ai.openai", details: { pattern: "*" } })).toBe("");
  expect(bounds({ type: "egress", details: { pattern: "*" } })).toBe("any host");
  expect(line({ type: "egress", details: { pattern: "*" } })).toEqual({
    verb: "reach any host",
    pattern: null,
    limits: "",
  });
  expect(line({ type: "repo.push", details: { pattern: "x1/*" } })).toMatchObject({
    verb: "push branches",
    pattern: "x1/*",
  });
  const details = { pattern: "feed.example", ports: [443, 8443], address: "10.0.0.0/8", phases: ["setup" as const] };
  expect(bounds({ type: "egress", details })).toBe("feed.example · port 443, 8443 · at 10.0.0.0/8 · in set-up");
});

it("says how long it holds, and that it does no more", () => {
  const grant = { scope: "once", revokedAt: null, consumedAt: null } as const;
  expect(holds(grant)).toEqual({ word: "for one use", live: true, since: null });
  expect(holds({ ...grant, consumedAt: "2026-01-01T00:00:00Z" })).toMatchObject({ word: "used up", live: false });
  const both = { ...grant, consumedAt: "2026-01-01T00:00:00Z", revokedAt: "2026-01-02T00:00:00Z" };
  expect(holds(both)).toEqual({ word: "revoked", live: false, since: "2026-01-02T00:00:00Z" });
});
