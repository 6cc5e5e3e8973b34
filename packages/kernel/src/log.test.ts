import { describe, expect, it } from "vitest";
import { createLogger } from "./log.ts";

describe("the log", () => {
  const lines: string[] = [];
  const log = createLogger({ level: "debug", write: (line) => void lines.push(line) });

  it("writes one JSON line per event, with inherited fields and whole errors", () => {
    log.with({ job: "job_1" }).error("it broke", { error: new Error("outer", { cause: new Error("inner") }) });
    expect(JSON.parse(lines.pop() ?? "")).toMatchObject({
      level: "error",
      message: "it broke",
      job: "job_1",
      error: { message: "outer", cause: { message: "inner" } },
    });
  });
  it("cuts known secrets out of every field, also of errors, and also in their escaped form", () => {
    log.redact("hunter2-secret");
    log.redact('with"quote\\');
    log.info("said hunter2-secret", { nested: { value: "hunter2-secret" }, error: new Error('with"quote\\') });
    const line = lines.pop() ?? "";
    expect(line).not.toContain("hunter2-secret");
    expect(line).not.toContain('with\\"quote');
    expect(line).toContain("[redacted]");
  });
  it("survives what cannot be written as JSON", () => {
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    log.info("circle", { circle, big: 1n });
    expect(JSON.parse(lines.pop() ?? "")).toMatchObject({ message: "circle" });
  });
  it("bounds a line", () => {
    log.info("x".repeat(100_000));
    expect((lines.pop() ?? "").length).toBeLessThan(9_000);
  });
});
