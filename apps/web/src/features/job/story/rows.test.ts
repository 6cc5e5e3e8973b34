import type { LiveEvent } from "@x1agent/client";
import { describe, expect, it } from "vitest";
import { isTrouble, markdownOf, StoryRows, wordsOf } from "./rows.ts";

let seq = 0;
const event = (type: string, payload: object, change: Partial<LiveEvent> = {}): LiveEvent =>
  ({
    seq: ++seq,
    ts: new Date(Date.UTC(2026, 0, 1) + seq * 1_000).toISOString(),
    type,
    source: "reported",
    attemptId: null,
    turn: 1,
    origin: null,
    payload,
    ...change,
  }) as LiveEvent;
const fold = (events: LiveEvent[]) => {
  const story = new StoryRows();
  for (const one of events) story.add(one);
  return story.rows;
};
const read = (id: string, ended: object = { status: "completed" }) => [
  event("tool.started", { toolCallId: id, kind: "read", title: `${id}.ts` }),
  event("tool.ended", { toolCallId: id, ...ended }),
];

describe("a story", () => {
  it("names who decided, granted and stopped, and the platform nowhere", () => {
    const rows = fold([
      event("approval.recorded", { decision: "request_changes", actor: "user:usr_1", detail: "More tests." }),
      event("grant.changed", { change: "granted", type: "egress", actor: "user:usr_1" }),
      event("job.state", { from: "running", to: "cancelled", reason: "cancelled", actor: "user:usr_1" }),
      event("job.state", { from: "queued", to: "running", reason: "claimed", actor: "platform:x1" }),
      event("user.message", { id: "m", content: "Hurry.", mode: "steer", delivered: true, actor: "user:usr_1" }),
      event("user.message", { id: "goal-1", content: "Mend it.", mode: "queue", delivered: true }),
      event("permission.resolved", { requestId: "q", optionId: "yes", outcome: "selected", actor: "user:usr_1" }),
    ]);
    const name = (by: string) => (by === "user:usr_1" ? "Ada" : "nobody");
    expect(rows.map((row) => wordsOf(row, name))).toEqual([
      "changes asked for by Ada More tests.",
      "permission granted egress by Ada",
      "State: cancelled by Ada (cancelled)",
      "State: running (claimed)",
      "Message to the agent by Ada (steer): Hurry.",
      "Message to the agent (queue): Mend it.",
      "answered: selected yes by Ada",
    ]);
    expect(markdownOf(rows, "Job", "Mock", name)).toContain("- Message to the agent by Ada (steer): Hurry.");
  });

  it("has one line for a tool call, whatever came between its start and its end", () => {
    const rows = fold([
      event("tool.started", { toolCallId: "t", kind: "execute", title: "npm test", rawInput: { command: "npm test" } }),
      event("agent.text", { messageId: "m", text: "Meanwhile" }),
      event("tool.updated", { toolCallId: "t", content: [{ type: "text", text: "half" }] }),
      event("tool.ended", {
        toolCallId: "t",
        status: "completed",
        exitCode: 1,
        content: [{ type: "text", text: "all" }],
      }),
    ]);
    expect(rows).toHaveLength(2);
    expect(rows[0]).toMatchObject({
      kind: "tool",
      tool: { status: "failed", exitCode: 1, output: "all", title: "npm test" },
    });
    expect(isTrouble(rows[0] as never)).toBe(true);
  });

  it("folds reads that follow each other, and only those that went well", () => {
    const rows = fold([...read("a"), ...read("b"), ...read("c"), ...read("d", { status: "failed" }), ...read("e")]);
    expect(rows.map(({ kind }) => kind)).toEqual(["reads", "tool", "tool"]);
    expect(rows[0]).toMatchObject({ tools: [{ id: "a" }, { id: "b" }, { id: "c" }] });
    expect(wordsOf(rows[0] as never)).toContain("Read 3 files: a.ts, b.ts, c.ts");
  });

  it("adds model calls up until something else happens, and shows a failed one", () => {
    const call = (change: object = {}) =>
      event(
        "model.call",
        { model: "m", costMicros: 100, latencyMs: 10, outcome: "ok", ...change },
        { source: "observed" },
      );
    const rows = fold([
      call(),
      call(),
      event("cost.updated", {}),
      call(),
      call({ outcome: "provider_error", status: 529 }),
      call(),
    ]);
    expect(rows).toMatchObject([
      { kind: "calls", count: 3, costMicros: 300, ms: 30 },
      { kind: "mark", tone: "bad" },
      { kind: "calls", count: 1 },
    ]);
  });

  it("shows a stall, and whose word each line is", () => {
    const first = event("turn.started", { turn: 1 });
    const late = event(
      "job.state",
      { from: "running", to: "verifying", reason: "turn_ended" },
      { source: "observed", ts: new Date(Date.parse(first.ts) + 95_000).toISOString() },
    );
    const rows = fold([first, late]);
    expect(rows).toMatchObject([
      { source: "reported" },
      { kind: "silence", ms: 95_000 },
      { source: "observed", kind: "state", text: "verifying" },
    ]);
    expect(new Set(rows.map((row) => row.seq)).size).toBe(3);
  });

  it("has one line for a message, that waits until it is handed over", () => {
    const message = (delivered: boolean) =>
      event("user.message", { id: "u", content: "hurry", mode: "queue", delivered });
    expect(fold([message(false)])).toMatchObject([{ kind: "message", delivered: false }]);
    expect(fold([message(false), event("turn.started", { turn: 2 }), message(true)])).toMatchObject([
      { kind: "message", text: "hurry", delivered: true },
      { kind: "mark" },
    ]);
  });

  it("keeps what it does not know", () => {
    expect(fold([event("new.family", { detail: "something" })])).toMatchObject([
      { kind: "mark", text: "new.family", detail: "something" },
    ]);
  });

  it("is copied as Markdown that no output breaks out of", () => {
    const rows = fold([
      event("agent.text", { messageId: "m", text: "I did it.\nTrust me." }),
      event(
        "command.ended",
        {
          phase: "verify",
          command: "npm test",
          exitCode: 0,
          durationMs: 1,
          outputTail: "````\n# not a heading",
          timedOut: false,
        },
        { source: "observed" },
      ),
    ]);
    const markdown = markdownOf(rows, "Job", "Mock");
    expect(markdown).toContain("**Mock:**\n\n> I did it.\n> Trust me.");
    expect(markdown).toContain("`````\n````\n# not a heading\n`````");
  });

  it("takes 100,000 events in well under a second", () => {
    const events = Array.from({ length: 50_000 }, (_, at) => [
      event("agent.text", { messageId: `m${at}`, text: "x" }),
      event("model.call", { model: "m", outcome: "ok" }),
    ]).flat();
    const started = performance.now();
    expect(fold(events)).toHaveLength(100_000);
    // Quadratic folding would take minutes: this bound is no speed claim.
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});
