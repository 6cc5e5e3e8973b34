import { describe, expect, it } from "vitest";
import { newId } from "./ids.ts";

describe("ids", () => {
  it("are names for branches, files and sockets", () => expect(newId("job")).toMatch(/^job_[0-9a-hjkmnp-tv-z]{20}$/));
  it("sort as they were made, also within a millisecond and when the clock goes back", () => {
    const later = Date.now() + 60_000;
    const made = [
      newId("x", later),
      ...Array.from({ length: 2_000 }, () => newId("x", later)),
      newId("x", later - 5_000),
    ];
    expect([...made].sort()).toEqual(made);
    expect(new Set(made).size).toBe(made.length);
  });
});
