import { describe, expect, it } from "vitest";
import { compareTests, firstFailure, testsOf } from "./test-log.ts";

describe("tests by name", () => {
  it.each([
    [
      "\u001b[32m✔\u001b[39m adds (1.2ms)\n✖ rounds (3ms)\n﹣ later (0.1ms) # SKIP",
      "adds:passed rounds:failed later:skipped",
    ],
    ["TAP version 13\nok 1 - adds\nnot ok 2 - rounds\nok 3 - later # SKIP", "adds:passed rounds:failed later:skipped"],
    ["a.py::test_x PASSED [ 50%]\na.py::test_y FAILED", "a.py::test_x:passed a.py::test_y:failed"],
    ["=== RUN TestA\n--- PASS: TestA (0.00s)\n--- FAIL: TestB (0.10s)", "TestA:passed TestB:failed"],
    ["test add ... ok\ntest sub ... FAILED", "add:passed sub:failed"],
    ["compiling\nall good", ""],
  ])("are found in %j", (log, expected) => {
    expect(
      testsOf(log)
        .map(({ name, outcome }) => `${name}:${outcome}`)
        .join(" "),
    ).toBe(expected);
  });

  it("stand worst first, each with what became of it", () => {
    const groups = compareTests(
      "✔ stays\n✔ breaks\n✖ mended\n✖ bad\n✔ leaves",
      "✔ stays\n✖ breaks\n✔ mended\n✖ bad\n✔ new\n✖ shaky\n✔ shaky",
      ["✔ bad"],
    );
    const names = Object.fromEntries(Object.entries(groups).map(([group, of]) => [group, of.map(({ name }) => name)]));
    expect(names).toEqual({
      ...{ newlyFailing: ["breaks", "shaky"], newlyPassing: ["mended", "new"] },
      ...{ stillFailing: ["bad"], gone: ["leaves"], rest: ["stays"] },
    });
    expect(
      Object.values(groups)
        .flat()
        .filter(({ flaky }) => flaky)
        .map(({ name }) => name)
        .sort(),
    ).toEqual(["bad", "shaky"]);
  });

  it("open the log at the failure", () => {
    expect(firstFailure("ok\nok\nError: no\nmore")).toBe(2);
    expect(firstFailure("fine")).toBeNull();
  });
});
