import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  ApprovalPolicy,
  contractSchemas,
  errorCodes,
  formatUsd,
  incompatibilities,
  isSupportedContract,
  isTerminal,
  type JsonSchema,
  jobStates,
  jobTransitions,
  matchesPattern,
  mayMove,
  ProjectUpdate,
  parseUsd,
  problem,
  roundText,
  routes,
} from "./index.ts";

describe("money", () => {
  it.each([
    ["2", 2_000_000],
    ["2.50", 2_500_000],
    ["$0.0042", 4_200],
    ["0.000001", 1],
  ])("parses %s", (text, micros) => expect(parseUsd(text)).toBe(micros));
  it.each(["", "-1", "1e3", "1.2345678", "one", "1,50", "9999999999"])("refuses %j", (text) =>
    expect(parseUsd(text)).toBeNull(),
  );
  it.each([
    [1_380_000, "$1.38"],
    [4_200, "$0.0042"],
    [0, "$0.00"],
    [1, "$0.000001"],
    [10_000, "$0.01"],
    [9_900, "$0.0099"],
  ])("formats %i as %s", (micros, text) => expect(formatUsd(micros)).toBe(text));
});

describe("patterns", () => {
  it.each([
    ["*", "anything", true],
    ["claude-sonnet-*", "claude-sonnet-4-5", true],
    ["claude-sonnet-*", "claude-opus-4", false],
    ["a*b*c", "a--b--c", true],
    ["a*a", "a", false],
    ["*.example.org", "example.org", false],
    ["gpt.4", "gptx4", false],
  ])("%s against %s", (pattern, value, expected) => expect(matchesPattern(pattern, value)).toBe(expected));
  it("agrees with a regular expression on any pattern", () => {
    const word = fc.string({ unit: fc.constantFrom("a", "b", "*", "."), maxLength: 8 });
    fc.assert(
      fc.property(
        word,
        word.filter((value) => !value.includes("*")),
        (pattern, value) => {
          const expression = new RegExp(
            `^${pattern
              .split("*")
              .map((part) => part.replace(/[.]/g, "\\."))
              .join(".*")}$`,
          );
          return matchesPattern(pattern, value) === expression.test(value);
        },
      ),
    );
  });
});

describe("job states", () => {
  it("names every state once in the table", () =>
    expect(Object.keys(jobTransitions).sort()).toEqual([...jobStates].sort()));
  it("reaches succeeded from publishing only", () =>
    expect(jobStates.filter((state) => mayMove(state, "succeeded"))).toEqual(["publishing"]));
  it("leaves no active state without a way to end", () => {
    for (const state of jobStates.filter((state) => !isTerminal(state)))
      expect(jobTransitions[state].some(isTerminal), state).toBe(true);
  });
});

describe("routes", () => {
  it("have unique methods and paths, and error codes that exist", () => {
    const seen = Object.values(routes).map((route) => `${route.method} ${route.path.replace(/:\w+/g, ":")}`);
    expect(new Set(seen).size).toBe(seen.length);
    for (const route of Object.values(routes)) for (const code of route.errors) expect(errorCodes).toHaveProperty(code);
  });
  it("need a token, save the health check", () =>
    expect(
      Object.entries(routes)
        .filter(([, route]) => route.scope === null)
        .map(([name]) => name),
    ).toEqual(["health"]));
  it("make problems that carry code, status and a hint", () =>
    expect(problem("budget_exceeded", "spent")).toMatchObject({
      status: 403,
      code: "budget_exceeded",
      detail: "spent",
      hint: expect.stringContaining("x1 budget"),
    }));
});

describe("a change of a project", () => {
  it("says nothing of what it does not name", () => {
    for (const body of [{ approval: { maxFiles: 3 } }, { follow: { label: "go" } }, { limits: { processes: 64 } }])
      expect(ProjectUpdate.parse(body)).toEqual(body);
    expect(ApprovalPolicy.parse({ maxFiles: 3 })).toMatchObject({ maxFiles: 3, mode: "person", paths: ["**"] });
  });
});

describe("versions", () => {
  it.each([
    ["1.0", true],
    ["1.9", true],
    ["2.0", false],
    ["v1", false],
    ["", false],
  ])("%s", (version, supported) => expect(isSupportedContract(version)).toBe(supported));

  const releases = join(import.meta.dirname, "../releases");
  it.each(readdirSync(releases))("stays compatible with release %s", (file) => {
    const stored = JSON.parse(readFileSync(join(releases, file), "utf8")) as Record<string, JsonSchema>;
    const now = contractSchemas();
    expect(Object.entries(stored).flatMap(([name, schema]) => incompatibilities(schema, now[name], name))).toEqual([]);
  });

  it("notices each way to break a peer", () => {
    const before = {
      type: "object",
      properties: {
        a: { type: "string", maxLength: 10 },
        b: { enum: ["x", "y"] },
        c: { anyOf: [{ type: "string" }, { type: "null" }] },
      },
      required: ["a"],
    };
    const broken = (change: (schema: typeof before) => void) => {
      const after = structuredClone(before);
      change(after);
      return incompatibilities(before, after as JsonSchema, "it");
    };
    expect(broken(() => {})).toEqual([]);
    expect(broken((schema) => Object.assign(schema.properties, { d: { type: "number" } }))).toEqual([]);
    expect(broken((schema) => Reflect.deleteProperty(schema.properties, "b"))).toEqual(["it.b: was removed"]);
    expect(broken((schema) => schema.properties.b.enum.pop())).toEqual(['it.b: value "y" was removed']);
    expect(broken((schema) => (schema.properties.a.maxLength = 5))).toEqual(["it.a: maxLength got tighter"]);
    expect(broken((schema) => schema.required.push("b"))).toEqual(["it.b: became required"]);
    expect(broken((schema) => (schema.required = []))).toEqual(["it.a: is no longer always there"]);
    expect(broken((schema) => schema.properties.c.anyOf.pop())).toEqual([
      "it.c: alternative 2 of anyOf was removed or changed",
    ]);
    expect(broken((schema) => (schema.properties.a.type = "number"))).toEqual(['it.a: type "string" became "number"']);
  });
});

it("tells a round of how many, and of none once the count began anew", () => {
  expect(roundText({ round: 1, maxRounds: 3 })).toBe("round 1 of 4");
  expect(roundText({ round: 5, maxRounds: 3 })).toBe("round 5");
});
