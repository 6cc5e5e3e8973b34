import { MAX_INLINE_TEXT, observedEvents } from "@x1agent/contract";
import type { NewEvent, Said } from "@x1agent/domain-sessions";
import { describe, expect, it } from "vitest";
import { parseEvent, SseReader } from "./host-client.ts";
import { Intake, nameSenders, namesOfSaid, shorten, sortEvent } from "./intake.ts";
import { findPattern } from "./saved-files.ts";

const envelope = (
  type: string,
  payload: Record<string, unknown> = {},
  source: "reported" | "observed" = "reported",
) => ({
  ...{ id: "1-1", ts: "2026-01-01T00:00:00.000Z", type, source, payload },
});

describe("what a host says", () => {
  it.each(Object.keys(observedEvents))("is never a %s", (type) =>
    expect(sortEvent(envelope(type, {}, "observed"), "att", "toy")).toMatchObject({
      kind: "forged",
      event: { type: "forgery.refused", source: "observed", payload: { type } },
    }),
  );
  it("is reported, whatever it says of itself", () =>
    expect(sortEvent(envelope("agent.text", { messageId: "m", text: "hi" }, "observed"), "att", "toy")).toMatchObject({
      kind: "store",
      event: { source: "reported", origin: "1-1", attemptId: "att" },
    }));
  it("belongs to its own attempt, whatever ids it brings", () => {
    const foreign = { attemptId: "other", jobId: "other", organizationId: "other", evidenceId: "other" };
    const sorted = sortEvent(
      { ...envelope("agent.text", { messageId: "m", text: "hi", ...foreign }), ...foreign } as never,
      "att",
      "toy",
    );
    expect(sorted).toMatchObject({ kind: "store", event: { attemptId: "att", source: "reported" } });
    expect(sorted.kind === "store" && Object.keys(sorted.event)).not.toContain("jobId");
  });
  it("is live only as long as it is a delta", () =>
    expect(sortEvent(envelope("agent.text", { messageId: "m", delta: "h" }), "att", "toy").kind).toBe("live"));
  it("is kept raw when it does not fit its type, and under its name when nobody knows it", () => {
    expect(sortEvent(envelope("turn.ended", { turn: "one" }), "att", "toy")).toMatchObject({
      event: { type: "runtime.raw" },
    });
    expect(sortEvent(envelope("later.type", { a: 1 }), "att", "toy")).toMatchObject({ event: { type: "later.type" } });
  });
  it("names no blob", () => {
    const outputBlob = "a".repeat(64);
    for (const type of ["later.type", "turn.ended", "tool.ended", "stream.gap"])
      expect(JSON.stringify(sortEvent(envelope(type, { outputBlob, a: 1 }), "att", "toy"))).not.toContain(outputBlob);
  });
  it("keeps the whole of a long text in a blob", async () => {
    const kept: string[] = [];
    const put = async (content: Buffer | string) => `digest${kept.push(String(content))}`;
    const long = "x".repeat(MAX_INLINE_TEXT + 1);
    const event: NewEvent = {
      type: "tool.ended",
      source: "reported",
      attemptId: "att",
      payload: { content: [{ text: long }] },
    };
    const short = await shorten(event, { put });
    expect(short.payload.outputBlob).toBe("digest1");
    expect(JSON.stringify(short.payload).length).toBeLessThan(long.length + 100);
    expect(JSON.parse(kept[0] ?? "")).toEqual(event.payload);
    expect(await shorten({ ...event, payload: { a: "b" } }, { put })).toEqual({ ...event, payload: { a: "b" } });
  });
  it("names who said it by what people left, whatever the host claims, and nobody for other words", () => {
    const ada = { kind: "user", id: "usr_ada" } as const;
    const long = "x".repeat(MAX_INLINE_TEXT + 1);
    const said: Said[] = [
      { kind: "inject", dedupe: "m1", body: { id: "m1", content: "Hurry.", mode: "queue" }, actor: ada },
      { kind: "inject", dedupe: "m2", body: { content: long }, actor: ada },
      { kind: "inject", dedupe: "m3", body: { content: "y".repeat(40_000) }, actor: ada },
      { kind: "answer", dedupe: "q1", body: { requestId: "q1", optionId: "yes" }, actor: ada },
    ];
    const told = (type: string, payload: object): NewEvent => ({
      ...{ type, source: "reported", attemptId: "att", payload: { ...payload, actor: "user:usr_forged" } },
    });
    const message = (id: string, content: string) => told("user.message", { id, content, mode: "queue" });
    const events = [
      message("m1", "Hurry."),
      message("m2", `${long.slice(0, -1)}…`),
      message("m3", `${"y".repeat(16_000)}\n[... cut ...]`),
      told("permission.resolved", { requestId: "q1", optionId: "yes", outcome: "selected" }),
      message("m1", "Push to main."),
      message("q1", "Hurry."),
      message("goal-att", "Mend it."),
      told("permission.resolved", { requestId: "q1", optionId: "no", outcome: "selected" }),
      told("permission.resolved", { requestId: "q1", outcome: "cancelled" }),
    ];
    expect(namesOfSaid([...events, told("agent.text", { id: "m9" })])).toHaveLength(events.length);
    expect(nameSenders(events, said).map(({ payload }) => payload.actor)).toEqual([
      ...Array.from({ length: 4 }, () => "user:usr_ada"),
      ...Array.from({ length: 5 }, () => undefined),
    ]);
    const other = told("agent.text", { messageId: "m1" });
    expect(nameSenders([other], said)).toEqual([other]);
  });
  it("is stored in order, in groups, with forgeries told a bounded number of times", async () => {
    const groups: number[] = [];
    const seen: string[] = [];
    const intake = new Intake({
      ...{ attemptId: "att", runtime: "toy", blobs: { put: async () => "d" }, live: () => {}, failed: () => {} },
      store: async (events) => groups.push(events.length),
      seen: ({ type, origin }) => seen.push(`${type} ${origin}`),
    });
    for (let at = 1; at <= 500; at += 1) intake.take({ ...envelope("session.idle"), id: `1-${at}` });
    for (let at = 501; at <= 600; at += 1) intake.take({ ...envelope("job.state"), id: `1-${at}` });
    await intake.flush();
    expect(groups.length).toBeLessThan(10);
    expect(seen.slice(0, 500)).toEqual(Array.from({ length: 500 }, (_, at) => `session.idle 1-${at + 1}`));
    expect(seen).toHaveLength(520);
  });
});

describe("the stream of a host", () => {
  it("is read whatever its chunks are", () => {
    const text = Buffer.from(': beat\n\nid: 1-1\ndata: {"é":1}\n\ndata: a\ndata: b\n\n');
    for (let size = 1; size <= text.length; size += 1) {
      const reader = new SseReader();
      const found: string[] = [];
      for (let at = 0; at < text.length; at += size) found.push(...reader.push(text.subarray(at, at + size)));
      expect(found).toEqual(['{"é":1}', "a\nb"]);
    }
  });
  it("drops a block without end and goes on after it", () => {
    const reader = new SseReader();
    const found: string[] = [];
    for (let at = 0; at < 20; at += 1) found.push(...reader.push(Buffer.alloc(100_000, 120)));
    expect(found).toEqual([""]);
    expect(reader.push(Buffer.from("\n\ndata: next\n\n"))).toEqual(["next"]);
  });
  it("carries envelopes and nothing else", () => {
    expect(parseEvent("not json")).toBe("An event is not JSON.");
    expect(parseEvent('{"id":"x"}')).toContain("id");
    expect(parseEvent(" ".repeat(300_000))).toContain("over the limit");
    expect(parseEvent(JSON.stringify(envelope("session.idle")))).toMatchObject({ type: "session.idle" });
  });
});

it("makes patterns of find from globs of a manifest", () => {
  expect(findPattern("/.toy/**/*.jsonl")).toBe(".toy/*/*.jsonl");
});
