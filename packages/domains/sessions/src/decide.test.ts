import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Counter, cleanEvent, type EventCaps, type NewEvent, originKey, planEvents } from "./decide.ts";

const caps: EventCaps = { events: 10, bytes: 10_000, provoked: 5 };
const empty: Counter = { seq: 0, bytes: 0, capped: false };
const event = (change: Partial<NewEvent> = {}): NewEvent => ({
  type: "agent.text",
  source: "reported",
  attemptId: "att_1",
  payload: { text: "x" },
  ...change,
});
const plan = (events: NewEvent[], counter = empty, known: string[] = []) =>
  planEvents(counter, events.map(cleanEvent), new Set(known), caps);
const types = (stored: { type: string }[]) => stored.map(({ type }) => type);

describe("events on their way into the record", () => {
  it("get the job's next numbers in order", () => {
    const { stored, counter } = plan([event(), event()], { ...empty, seq: 7 });
    expect(stored.map(({ seq }) => seq)).toEqual([8, 9]);
    expect(counter.seq).toBe(9);
  });

  it("are stored once for each origin of an attempt, within a group and across groups", () => {
    const repeated = [
      event({ origin: "1-1" }),
      event({ origin: "1-1" }),
      event({ origin: "1-2" }),
      event({ origin: "1-1", attemptId: "att_2" }),
    ];
    expect(plan(repeated).stored).toHaveLength(3);
    const known = [originKey({ attemptId: "att_1", origin: "1-1" })];
    expect(plan(repeated, empty, known).stored.map(({ origin, attemptId }) => [attemptId, origin])).toEqual([
      ["att_1", "1-2"],
      ["att_2", "1-1"],
    ]);
    expect(plan([event(), event()]).stored).toHaveLength(2);
  });

  it("end with one observed note when a flood of reports fills the record", () => {
    const flood = Array.from({ length: 30 }, () => event());
    const first = plan(flood);
    expect(first.stored).toHaveLength(11);
    expect(first.stored.at(-1)).toMatchObject({ type: "stream.capped", source: "observed" });
    expect(plan(flood, first.counter).stored).toEqual([]);
  });

  it("cannot keep out what the platform decides, while what an agent provokes is bounded too", () => {
    const full = plan(Array.from({ length: 30 }, () => event())).counter;
    const blocked = plan(
      Array.from({ length: 100 }, () => event({ type: "egress.blocked", source: "observed" })),
      full,
    );
    expect(blocked.stored.length).toBeLessThanOrEqual(caps.provoked);
    expect(blocked.stored.length).toBeGreaterThan(0);
    const state = event({ type: "job.state", source: "observed" });
    expect(types(plan([event(), state, event(), state], blocked.counter).stored)).toEqual(["job.state", "job.state"]);
  });

  it("count bytes as the database will hold them", () => {
    const { stored } = plan([
      event({ payload: { text: "ü".repeat(4_000) } }),
      event({ payload: { text: "x".repeat(3_000) } }),
    ]);
    expect(types(stored)).toEqual(["agent.text", "stream.capped"]);
  });

  it("never number twice nor leave a gap, whatever comes", () => {
    const any = fc.record({
      source: fc.constantFrom("reported" as const, "observed" as const),
      type: fc.constantFrom("agent.text", "egress.blocked", "job.state"),
      origin: fc.option(fc.constantFrom("a", "b", "c")),
    });
    fc.assert(
      fc.property(fc.array(fc.array(any, { maxLength: 8 }), { maxLength: 8 }), (groups) => {
        let counter = empty;
        const all = groups.flatMap((group) => {
          const planned = plan(
            group.map((change) => event(change)),
            counter,
          );
          counter = planned.counter;
          return planned.stored;
        });
        expect(all.map(({ seq }) => seq)).toEqual(all.map((_, i) => i + 1));
        expect(types(all).filter((type) => type === "stream.capped").length).toBeLessThanOrEqual(1);
      }),
    );
  });
});
