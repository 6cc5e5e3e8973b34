import { MAX_EVENT_BYTES, MAX_INLINE_TEXT, observedEvents, reportedEvents } from "@x1agent/contract";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkEvent, cutText } from "./bounds.ts";

const check = (event: unknown) => checkEvent(event, "any");

describe("what an adapter may say", () => {
  it("passes events of the contract as they are", () => {
    const event = { type: "agent.text", payload: { messageId: "1", text: "hello" } };
    expect(check(event)).toEqual(event);
  });

  it.each([
    ...Object.keys(observedEvents),
    "turn.started",
    "turn.ended",
    "session.ended",
    "session.idle",
    "stream.gap",
  ])("refuses %s as forged", (type) => {
    expect(check({ type, payload: {} })).toMatchObject({ type: "error", payload: { code: "forged_event" } });
  });

  it("refuses a source, even on a family it may speak of", () => {
    const event = { type: "agent.text", source: "observed", payload: { messageId: "1", text: "hello" } };
    expect(check(event)).toMatchObject({ type: "error", payload: { code: "forged_event" } });
  });

  it("keeps what it does not understand as raw", () => {
    expect(check({ type: "agent.text", payload: { text: 7 } })).toMatchObject({ type: "runtime.raw" });
    expect(check({ type: "agent.future", payload: { x: 1 } })).toMatchObject({
      type: "runtime.raw",
      payload: { raw: { type: "agent.future", payload: { x: 1 } } },
    });
    const cycle: Record<string, unknown> = {};
    cycle.self = cycle;
    for (const odd of [null, 7, "text", [], {}, cycle, { type: "agent.text", payload: cycle }])
      expect(check(odd).type).toBe("runtime.raw");
  });

  it("cuts tool output to head and tail and says so", () => {
    const text = `BEGIN${"x".repeat(100_000)}END`;
    const { payload } = check({
      type: "tool.ended",
      payload: { toolCallId: "1", status: "completed", content: [{ type: "text", text }] },
    });
    const content = payload.content as { text: string }[];
    expect(payload.truncated).toBe(true);
    expect(content[0]?.text.length).toBeLessThanOrEqual(MAX_INLINE_TEXT);
    expect(content[0]?.text).toMatch(/^BEGIN[\s\S]*characters cut[\s\S]*END$/);
  });

  it("cuts no character in two, wherever it cuts: a database refuses halves", () => {
    const halves = (value: unknown) => /\\ud[89a-f]/i.test(JSON.stringify(value));
    expect(halves("\ud83d")).toBe(true);
    for (let before = 0; before < 4; before += 1) {
      const text = `${"x".repeat(before)}${"😀".repeat(40_000)}`;
      expect(halves(cutText(text, 1_001)), `${before}`).toBe(false);
      expect(halves(check({ type: "agent.text", payload: { messageId: "1", text } })), `${before}`).toBe(false);
      expect(halves(check(text)), `${before}`).toBe(false);
    }
  });

  it("never makes an event that is too large or of a wrong shape", () => {
    const long = fc.string({ unit: "grapheme", minLength: 1, maxLength: 50 }).map((text) => text.repeat(4_000));
    const payload = fc.record({
      toolCallId: fc.string({ minLength: 1, maxLength: 10 }),
      title: fc.string(),
      rawInput: fc.oneof(long, fc.array(long, { maxLength: 5 }), fc.object()),
      content: fc.array(
        long.map((text) => ({ type: "text", text: text.slice(0, MAX_EVENT_BYTES) })),
        { maxLength: 30 },
      ),
    });
    fc.assert(
      fc.property(payload, (made) => {
        const event = check({ type: "tool.started", payload: made });
        expect(Buffer.byteLength(JSON.stringify(event.payload))).toBeLessThan(MAX_EVENT_BYTES);
        expect(reportedEvents[event.type].safeParse(event.payload).success).toBe(true);
      }),
      { numRuns: 30 },
    );
  });
});
