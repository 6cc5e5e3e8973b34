import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseCommand } from "./command.ts";

const runtimes = ["alpha", "beta-two"];
const read = (text: string) => parseCommand(text, runtimes);

describe("a command in a comment", () => {
  it.each([
    ["/x1 fix", { verb: "fix", runtime: null, budgetMicros: null }],
    ["/x1 fix with alpha, budget 3", { verb: "fix", runtime: "alpha", budgetMicros: 3_000_000 }],
    ["  /X1 Retry budget $2.50 with beta-two", { verb: "retry", runtime: "beta-two", budgetMicros: 2_500_000 }],
    ["Please.\n\n/x1 stop\n/x1 fix", { verb: "stop" }],
    ["/x1 status\r\nthanks", { verb: "status" }],
    ["/x1 budget 7", { verb: "budget", budgetMicros: 7_000_000 }],
    ["```\n/x1 stop\n```\n/x1 fix", { verb: "fix", runtime: null, budgetMicros: null }],
  ])("%j is understood", (text, command) => expect(read(text)).toEqual({ kind: "command", command }));

  it.each(["", "x1 fix", "see /x1 fix", "> /x1 fix", "    /x1 fix", "/x1fix", "~~~\n/x1 fix\n~~~", "```\n/x1 fix"])(
    "%j is none",
    (text) => expect(read(text)).toEqual({ kind: "none" }),
  );

  it.each([
    ["/x1", "What shall I do"],
    ["/x1 deploy", "`deploy`"],
    ["/x1 fix with gamma", "alpha, beta-two"],
    ["/x1 fix with", "name of a runtime"],
    ["/x1 fix with alpha with alpha", "`with`"],
    ["/x1 fix budget 0", "dollars"],
    ["/x1 budget", "dollars"],
    ["/x1 stop now", "no other word"],
    [`/x1 ${"fix ".repeat(200)}`, "too long"],
  ])("%j gets an answer", (text, part) =>
    expect(read(text)).toMatchObject({ sentence: expect.stringContaining(part) }),
  );

  it("never throws, and what it says back carries no markup of the author's", () =>
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: "binary", maxLength: 600 }),
          fc.string({
            unit: fc.constantFrom("@", "!", "[a]", "](", "https://", " ", "x", "with", "budget"),
            maxLength: 12,
          }),
        ),
        (text) => {
          const parsed = read(`/x1 ${text}`);
          expect(parsed.kind).not.toBe("none");
          if (parsed.kind === "unclear") expect(parsed.sentence).not.toMatch(/[@!\n\]]|https?:/);
        },
      ),
    ));

  it("is none where a reader of the page does not see it", () => {
    for (const text of ["<!--\n/x1 fix\n-->", "please\n<!--\n/x1 fix", "<!-- a -->\n<!--\n/x1 stop\n-->"])
      expect(read(text), text).toEqual({ kind: "none" });
    expect(read("<!-- x1 -->\n/x1 stop")).toEqual({ kind: "command", command: { verb: "stop" } });
  });

  it("reads back every command that can be written", () =>
    fc.assert(
      fc.property(
        fc.constantFrom("fix" as const, "retry" as const),
        fc.option(fc.constantFrom(...runtimes)),
        fc.option(fc.integer({ min: 1, max: 999 })),
        fc.boolean(),
        fc.constantFrom(" ", ", ", "  ,"),
        (verb, runtime, dollars, turned, gap) => {
          const options = [runtime ? `with ${runtime}` : "", dollars ? `budget ${dollars}` : ""].filter(Boolean);
          if (turned) options.reverse();
          expect(read(`/x1 ${[verb, ...options].join(gap)}`)).toEqual({
            kind: "command",
            command: { verb, runtime, budgetMicros: dollars === null ? null : dollars * 1_000_000 },
          });
        },
      ),
    ));
});
