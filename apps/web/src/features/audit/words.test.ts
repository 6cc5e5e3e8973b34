import { describe, expect, test } from "vitest";
import { groups, meaning } from "./words.ts";

describe("an audit entry in words", () => {
  test("says what was done, and where a job was moved to", () => {
    expect(meaning("job.approve")).toBe("approved a change");
    expect(meaning("job.moved", { from: "verifying", to: "awaiting_approval" })).toBe(
      "moved a job on to awaiting approval",
    );
    expect(meaning("job.moved", { to: 3 })).toBe("moved a job on");
  });

  test("says an unknown action by its code, and an inherited name is no action", () => {
    expect(meaning("moon.reached_late")).toBe("moon reached late");
    expect(meaning("constructor")).toBe("constructor");
  });

  test("what was said to an agent is its job's, not a sign-in", () => {
    const of = (action: string) => groups.filter(({ prefix }) => action.startsWith(prefix)).map(({ label }) => label);
    expect(of("job.inject")).toEqual(["Jobs"]);
    expect(of("session.opened")).toEqual(["Sign-ins"]);
  });
});
