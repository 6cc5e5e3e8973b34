import { join } from "node:path";
import { adapterHarness, readRecording, replayProcess } from "@x1agent/testkit";
import { expect, it } from "vitest";
import adapter from "./adapter.ts";

/** Recorded lines through the adapter, without a process. */
async function replay(name: string, options: { resume?: string } = {}) {
  const recording = readRecording(join(import.meta.dirname, "fixtures", `${name}.jsonl`));
  const run = adapterHarness({
    runtimeDir: import.meta.dirname,
    cwd: "/workspace",
    home: "/home/agent",
    spawn: () => replayProcess(recording, {}),
    ...options,
  });
  const session = await adapter.start(run.context);
  await session.prompt({ id: "m1", content: "fix it" });
  return { ...run, end: await run.turn(1) };
}

it("tells a turn in the contract's words: a command that failed is a completed call with its exit code", async () => {
  const run = await replay("tool-turn");
  expect(run.events.map((event) => event.type)).toEqual([
    "session.init",
    "usage.reported",
    "agent.text",
    "tool.started",
    "tool.ended",
    "plan.updated",
  ]);
  expect(run.all("tool.started")[0]).toMatchObject({ title: "ls", kind: "execute", rawInput: { command: "ls\npwd" } });
  expect(run.all("tool.ended")[0]).toMatchObject({ status: "completed", exitCode: 1 });
  expect(run.end).toEqual({ stopReason: "end_turn" });
});

it("finds the platform's refusal in the provider's error", async () => {
  const run = await replay("refused");
  expect(run.end).toMatchObject({ stopReason: "budget", errorCode: "budget_exceeded" });
  expect(run.all("retry")[0]).toMatchObject({ attempt: 1, maxAttempts: 3, status: 529 });
  expect(run.all("error")[0]).toMatchObject({ code: "budget_exceeded", status: 403 });
});

it("keeps a message it does not know", async () => {
  const run = await replay("odd");
  expect(run.all("runtime.raw")[0]).toMatchObject({ raw: { type: "from-a-later-version", x: 1 } });
  expect(run.end).toEqual({ stopReason: "cancelled" });
});
