import type { LiveEvent } from "@x1agent/client";
import { describe, expect, it } from "vitest";
import { createProgress, createStyle, duration, visible, visibleLine } from "./index.ts";

const plain = createStyle({ isTTY: false }, {});
const event = (type: string, payload: Record<string, unknown>, seq: number | null = 1): LiveEvent => ({
  seq,
  ts: "2026-01-01T00:00:00.000Z",
  type,
  source: "reported",
  attemptId: null,
  turn: null,
  origin: null,
  payload,
});

function record(events: LiveEvent[], mark?: string): string {
  let text = "";
  let now = Date.parse("2026-01-01T00:00:00.000Z");
  const progress = createProgress({
    write: (part) => {
      text += part;
    },
    style: plain,
    name: (actor) => (actor === "user:usr_1" ? "Ada \x1b[2J" : actor),
    now: () => {
      now += 500;
      return now;
    },
    ...(mark ? { mark } : {}),
  });
  for (const one of events) progress.event(one);
  return text;
}

describe("visible", () => {
  it.each([
    ["\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"],
    ["\x9b31m", "\\x9b31m"],
    ["a\rb\bc", "a\\x0db\\x08c"],
    ["\u202egnp.exe\u2066", "\\u{202e}gnp.exe\\u{2066}"],
    ["pass\u200bword\ufeff", "pass\\u{200b}word\\u{feff}"],
    ["\u{e0041}", "\\u{e0041}"],
    ["\ud800x", "\\u{d800}x"],
    ["\u2028", "\\u{2028}"],
  ])("shows %j as %s", (raw, shown) => expect(visible(raw)).toBe(shown));

  it("leaves ordinary text, newlines, tabs and emoji alone", () => {
    const text = "naïve\tcafé\n日本語 👩‍💻 ✓";
    expect(visible(text)).toBe(text);
  });

  it("puts a text on one bounded line", () => {
    expect(visibleLine("a\nb\tc")).toBe("a ⏎ b c");
    expect(visibleLine("x".repeat(500), 10)).toHaveLength(10);
  });
});

describe("style", () => {
  it("colours only a terminal, and never against NO_COLOR", () => {
    expect(createStyle({ isTTY: true }, {}).bad("x")).toBe("\x1b[31mx\x1b[39m");
    for (const style of [
      createStyle({ isTTY: true }, { NO_COLOR: "1" }),
      createStyle({}, {}),
      createStyle({ isTTY: true }, { TERM: "dumb" }),
    ])
      expect(style.bad("x")).toBe("x");
  });

  it("tells durations", () => {
    expect([850, 12_340, 72_000, 7_500_000].map(duration)).toEqual(["850ms", "12.3s", "1m 12s", "2h 05m"]);
  });
});

describe("progress", () => {
  it("names who decided, wrote and answered, and nobody for what the platform said itself", () => {
    const actor = "user:usr_1";
    const text = record([
      event("user.message", { id: "goal", content: "Mend it.", delivered: true }),
      event("user.message", { id: "m", content: "Hurry.", delivered: true, actor }),
      event("permission.resolved", { requestId: "q", optionId: "yes", outcome: "selected", actor }),
      event("approval.recorded", { decision: "approve", actor }),
      event("approval.recorded", { decision: "approve", actor: "user:usr_2" }),
    ]);
    for (const line of [
      "to the agent: Mend it.",
      "to the agent by Ada \\x1b[2J: Hurry.",
      "answered: yes by Ada \\x1b[2J",
      "approve by Ada \\x1b[2J",
      "approve by user:usr_2",
    ])
      expect(text).toContain(line);
  });

  it("streams a text once, although its whole follows", () => {
    const text = record([
      event("agent.text", { messageId: "m", delta: "Hello " }, null),
      event("agent.text", { messageId: "m", delta: "world" }, null),
      event("agent.text", { messageId: "m", text: "Hello world" }),
      event("agent.text", { messageId: "n", text: "unstreamed" }),
    ]);
    expect(text.match(/Hello world/g)).toHaveLength(1);
    expect(text.match(/unstreamed/g)).toHaveLength(1);
  });

  it("sets what is reported behind a bar and what is observed plain", () => {
    const lines = record([
      event("turn.started", { turn: 1 }),
      event("job.state", { from: "queued", to: "running", reason: "workspace_ready", actor: "x" }),
    ])
      .trim()
      .split("\n");
    expect(lines[0]).toContain("│ turn 1");
    expect(lines[1]).not.toContain("│");
    expect(lines[1]).toContain("running");
  });

  it("lets no event control the terminal, whatever field it comes in", () => {
    const evil = "\x1b[2Jevil\u202e\rgone";
    const types = [
      "job.state",
      "phase.started",
      "phase.ended",
      "attempt.started",
      "attempt.ended",
      "command.ended",
      "model.refused",
      "egress.blocked",
      "limit.hit",
      "stream.capped",
      "forgery.refused",
      "verification.ended",
      "approval.recorded",
      "publication.ended",
      "publication.waiting",
      "publication.pull_request",
      "session.init",
      "session.ended",
      "turn.ended",
      "agent.text",
      "tool.started",
      "tool.ended",
      "permission.requested",
      "permission.resolved",
      "user.message",
      "retry",
      "error",
    ];
    const fields = [
      "to",
      "reason",
      "detail",
      "phase",
      "runtime",
      "model",
      "outcome",
      "command",
      "code",
      "host",
      "limit",
      "type",
      "summary",
      "decision",
      "actor",
      "branch",
      "commit",
      "stopReason",
      "errorCode",
      "text",
      "title",
      "requestId",
      "optionId",
      "content",
      "signal",
      "messageId",
      "toolCallId",
    ];
    const payload = {
      ...Object.fromEntries(fields.map((field) => [field, evil])),
      delivered: true,
      exitCode: null,
      options: [{ optionId: evil, name: evil }],
      rawInput: { command: evil },
    };
    const text = record(types.map((type) => event(type, payload)));
    expect(text).toContain("evil");
    expect(text).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
  });

  it("marks every line where nothing is isolated", () => {
    const text = record(
      [event("turn.started", { turn: 1 }), event("agent.text", { messageId: "m", text: "a\nb" })],
      "not isolated",
    );
    expect(
      text
        .trim()
        .split("\n")
        .filter((line) => !line.includes("not isolated") && !/^\s+│/.test(line)),
    ).toEqual([]);
  });
});
