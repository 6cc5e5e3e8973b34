import { type ReportedEvent, RuntimeManifest } from "@x1agent/contract";
import { afterEach, expect, it } from "vitest";
import type { AdapterContext, AdapterSession } from "./adapter.ts";
import { defaultLimits, HostSession, type SessionLimits } from "./session.ts";

const manifest = RuntimeManifest.parse({
  ...{ name: "any", title: "Any", version: "1", contract: "1.0", license: "none", redistributable: true },
  ...{ capabilities: ["steer", "interrupt", "approvals"], api: "anthropic-messages", provider: "anthropic" },
  ...{ defaultModel: "m", install: null, sessionFiles: [] },
});
const text = (messageId: string): ReportedEvent => ({ type: "agent.text", payload: { messageId, text: "x" } });
const sessions: HostSession[] = [];
afterEach(async () => {
  for (const session of sessions.splice(0)) await session.close();
});

/** A session around an adapter that starts no process; `events` is what it told. */
function begin(
  make: (context: AdapterContext) => Partial<AdapterSession> | Promise<Partial<AdapterSession>>,
  limits: Partial<SessionLimits> = {},
) {
  const events: { type: string; payload: Record<string, unknown> }[] = [];
  const session = new HostSession({
    manifest,
    adapter: {
      start: async (context) => ({ prompt: async () => {}, close: async () => {}, ...(await make(context)) }),
    },
    limits: { ...defaultLimits, silenceMs: 20, ...limits },
    spawnPrefix: [],
    base: { appDir: "/", cwd: "/", home: "/", env: {}, inferenceUrl: "http://127.0.0.1:9", jobToken: "t" },
    request: { ask: false },
    write: (type, payload) => void events.push({ type, payload }),
    log: () => {},
  });
  sessions.push(session);
  void session.start();
  const last = (type: string) => events.findLast((event) => event.type === type)?.payload;
  const until = (type: string, wanted: object) => expect.poll(() => last(type)).toMatchObject(wanted);
  const inject = (id: string, mode: "queue" | "steer" = "queue") => session.inject({ id, content: id, mode });
  return { session, events, last, until, inject };
}

it("ends a session by code that does not become ready in its time", async () => {
  const { until, inject } = begin(() => new Promise(() => {}), { startMs: 50 });
  await until("session.ended", { code: "start_failed", detail: expect.stringContaining("not ready") });
  expect(inject("late")).toMatchObject({ ok: false, code: "session_ended" });
});

it("ends a turn by code whose message the CLI does not take, and goes on with the next", async () => {
  const { until, inject, events } = begin((context) => ({
    prompt: async ({ id }) => {
      if (id === "1") throw new Error("no");
      context.turnSettled({ stopReason: "end_turn" });
    },
  }));
  for (const id of ["1", "2"]) inject(id);
  await until("turn.ended", { turn: 2, stopReason: "end_turn" });
  const [first] = events.filter(({ type }) => type === "turn.ended");
  expect(first?.payload).toMatchObject({ turn: 1, stopReason: "error", errorCode: "prompt_failed" });
});

it("ends the session by code at more events than a turn may have", async () => {
  const { until, inject, events } = begin(
    (context) => ({
      prompt: async () => {
        for (let count = 0; count < 1_000; count += 1) context.emit(text(`${count}`));
      },
    }),
    { maxTurnEvents: 100 },
  );
  inject("1");
  await until("session.ended", { code: "output_flood" });
  expect(events.filter(({ type }) => type === "error")).toHaveLength(1);
});

it("has so many open questions and no more, and says of none that it was answered that was not asked", async () => {
  const { session, until, inject, last } = begin((context) => ({
    prompt: async () => {
      context.emit({ type: "permission.resolved", payload: { requestId: "nobody", outcome: "selected" } });
      const option = { optionId: "a", name: "A", kind: "allow_once" as const };
      for (let count = 0; count < 1_100; count += 1)
        context.emit({
          type: "permission.requested",
          payload: { requestId: `${count}`, title: "May I?", options: [option] },
        });
    },
  }));
  inject("1");
  await expect.poll(() => session.state().openRequests.length).toBe(1_000);
  expect(last("permission.resolved")).toBeUndefined();
  for (const requestId of ["1050", "nobody"])
    expect(await session.answer({ requestId, optionId: "a" })).toMatchObject({ ok: false, code: "unknown_request" });
  await session.close();
  await until("session.ended", { code: "closed" });
  expect(last("permission.resolved")).toMatchObject({ outcome: "cancelled" });
});

it("makes a turn of a message that came too late to steer", async () => {
  const { until, inject, events } = begin((context) => ({
    steer: async () => {
      context.turnSettled({ stopReason: "end_turn" });
      throw new Error("the turn is over");
    },
    prompt: async ({ id }) => {
      if (id === "2") context.turnSettled({ stopReason: "end_turn" });
    },
  }));
  inject("1");
  await until("turn.started", { turn: 1 });
  expect(inject("2", "steer")).toMatchObject({ ok: true });
  await until("turn.ended", { turn: 2, stopReason: "end_turn" });
  expect(events.filter(({ payload }) => payload.code === "steer_failed")).toHaveLength(1);
});

it("ends a turn that is never silent, at the latest", async () => {
  let timer: NodeJS.Timeout | undefined;
  const { until, inject } = begin(
    (context) => ({
      prompt: async () => {
        context.turnSettled({ stopReason: "end_turn" });
        timer = setInterval(() => context.emit(text("1")), 5);
      },
    }),
    { silenceMs: 60_000, maxSilenceWaitMs: 200 },
  );
  inject("1");
  await until("turn.ended", { turn: 1, stopReason: "end_turn" }).finally(() => clearInterval(timer));
});
