import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { z } from "zod";
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
    expect(broken((schema) => Object.assign(schema.properties.a, { enum: ["x"] }))).toEqual([
      "it.a: values were limited",
    ]);
    expect(broken((schema) => Object.assign(schema.properties.a, { const: "x" }))).toEqual([
      "it.a: values were limited",
    ]);
    expect(broken((schema) => Object.assign(schema.properties.a, { format: "uri" }))).toEqual(["it.a: format changed"]);
    expect(broken((schema) => Object.assign(schema, { additionalProperties: false }))).toEqual([
      "it: other fields are not taken as before",
    ]);
    expect(broken((schema) => Object.assign(schema, { allOf: [{ required: ["b"] }] }))).toEqual([
      "it: allOf was added",
    ]);
    expect(broken((schema) => Object.assign(schema.properties.b, { uniqueItems: true }))).toEqual([
      "it.b: uniqueItems changed",
    ]);
  });

  it("notices each way to break a peer in a schema as it is written", () => {
    const base = z.object({ name: z.string(), list: z.array(z.unknown()), map: z.record(z.string(), z.string()) });
    const told = (schema: z.ZodType, at = "route/x/body", io: "input" | "output" = "input") =>
      incompatibilities(z.toJSONSchema(base, { io }), z.toJSONSchema(schema, { io }), at);
    expect(told(base)).toEqual([]);
    expect(told(base.extend({ more: z.string().optional() }))).toEqual([]);
    const changed: z.ZodType[] = [
      ...[base.strict(), base.loose(), base.extend({ more: z.string() }), base.omit({ name: true }), base.partial()],
      ...[z.int(), z.email(), z.enum(["a"]), z.string().min(1), z.string().regex(/x/), z.string().nullable()].map(
        (name) => base.extend({ name }),
      ),
      ...[z.array(z.string()), z.array(z.unknown()).max(3), z.tuple([z.string()])].map((list) => base.extend({ list })),
      ...[z.record(z.string(), z.number()), z.record(z.enum(["a"]), z.string()), z.object({})].map((map) =>
        base.extend({ map }),
      ),
      base.and(z.object({ more: z.string() })),
    ];
    for (const [index, schema] of changed.entries()) expect(told(schema), `change ${index}`).not.toEqual([]);
    // What only we say may always have more to it, and no less.
    const more = base.extend({ more: z.string() });
    expect(told(more, "route/x/response", "output")).toEqual([]);
    expect(told(base.partial(), "route/x/response", "output")).toHaveLength(3);
  });

  it("stores where each route is, and the codes of errors", () => {
    const now = contractSchemas();
    expect(now["route/health"]).toEqual({ const: "GET /api/v1/health json 200" });
    expect(incompatibilities({ const: "GET /api/v1/up json 200" }, now["route/health"], "route/health")).toHaveLength(
      1,
    );
    expect(now["error-codes"]?.enum).toContain("budget_exceeded");
  });
});

it("tells a round of how many, and of none once the count began anew", () => {
  expect(roundText({ round: 1, maxRounds: 3 })).toBe("round 1 of 4");
  expect(roundText({ round: 5, maxRounds: 3 })).toBe("round 5");
});
