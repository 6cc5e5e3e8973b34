import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { adapterHarness, agentFolders, type HarnessOptions, readRecording, replayProcess } from "@x1agent/testkit";
import { afterEach, describe, expect, it } from "vitest";
import adapter from "./adapter.ts";

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Starts the adapter on a recording of the real CLI; ids of its own commands are put into the recorded answers. */
async function replay(name: string, options: Partial<HarnessOptions> = {}) {
  const folders = await agentFolders();
  cleanups.push(folders.remove);
  const recorded = readRecording(join(import.meta.dirname, "fixtures", `${name}.jsonl`));
  // Commands of the recording client that the adapter does not send.
  const foreign = new Set(["follow_up", "get_session_stats"]);
  const lines = recorded.filter(
    ({ sent, message }, index) =>
      !foreign.has(String(sent ? message.type : message.command)) &&
      !((message.type === "get_state" || message.command === "get_state") && index > 2),
  );
  const cli = replayProcess(lines, {
    adapt: (message, written) => {
      if (message.type !== "response") return message;
      return { ...message, id: written.findLast((line) => line.type === message.command)?.id };
    },
    answer: (line) =>
      line.type === "clear_queue" || line.type === "set_model"
        ? {
            type: "response",
            id: line.id,
            command: line.type,
            success: line.modelId !== "unknown",
            error: "Model not found",
          }
        : null,
  });
  const started: { argv: readonly string[]; env: Readonly<Record<string, string>> }[] = [];
  const harness = adapterHarness({
    runtimeDir: import.meta.dirname,
    ...folders,
    spawn: (argv, env) => {
      started.push({ argv, env });
      return cli;
    },
    ...options,
  });
  const session = await adapter.start(harness.context);
  return { ...harness, cli, session, folders, ...started[0]! };
}

describe("recorded turns", () => {
  it("tells a turn with shell, read and edit", async () => {
    const run = await replay("bash-edit");
    await run.session.prompt({ id: "m1", content: "SCN:edit" });
    expect(await run.turn(1)).toMatchObject({
      stopReason: "end_turn",
      usage: { cacheReadTokens: 1_000, cacheWriteTokens: 250 },
    });
    expect(run.all("session.init")).toMatchObject([{ runtime: "pi", model: "claude-sonnet-4-5", resumed: false }]);
    expect(run.all("tool.started").map((tool) => [tool.kind, tool.title])).toEqual([
      ["execute", "pwd; cat hello.txt; git status --short"],
      ["read", "read /workspace/repo/hello.txt"],
      ["edit", "edit /workspace/repo/hello.txt"],
      ["execute", 'git --no-pager diff; printf "done\\n"'],
    ]);
    expect(run.all("tool.ended").map((tool) => [tool.status, tool.exitCode])).toEqual([
      ["completed", 0],
      ["completed", undefined],
      ["failed", undefined],
      ["completed", 0],
    ]);
    const deltas = run.all("agent.text").filter((text) => text.delta !== undefined);
    const wholes = run.all("agent.text").filter((text) => text.text !== undefined);
    for (const whole of wholes) {
      const parts = deltas.filter((delta) => delta.messageId === whole.messageId);
      expect(parts.map((part) => part.delta).join("")).toBe(whole.text);
    }
    expect(run.all("usage.reported")).toHaveLength(5);
    expect(run.all("runtime.raw")).toEqual([]);
  });

  it("tells retries, and a failed turn only once the CLI has given up", async () => {
    const run = await replay("retry-429-gives-up");
    await run.session.prompt({ id: "m1", content: "x" });
    expect(await run.turn(1)).toMatchObject({ stopReason: "error", errorCode: "upstream_failed" });
    expect(run.turns).toHaveLength(1);
    expect(run.all("retry").map((retry) => [retry.attempt, retry.delayMs, retry.status])).toEqual([
      [1, 2_000, 429],
      [2, 4_000, 429],
      [3, 8_000, 429],
    ]);
    expect(run.all("error")).toMatchObject([{ code: "upstream_failed", status: 429 }]);
  });

  it("tells an interrupted command as cancelled, though the CLI calls it an error", async () => {
    const run = await replay("interrupt-tool");
    await run.session.prompt({ id: "m1", content: "x" });
    await run.until("the command to run", () => run.all("tool.started").length > 0);
    await run.session.interrupt?.();
    expect(await run.turn(1)).toMatchObject({ stopReason: "cancelled" });
    expect(run.all("tool.ended")).toMatchObject([{ status: "failed", exitCode: null }]);
    const sent = run.cli.written.map((line) => line.type);
    expect(sent.slice(-2)).toEqual(["clear_queue", "abort"]);
    await run.session.prompt({ id: "m2", content: "again" });
    expect(await run.turn(2)).toMatchObject({ stopReason: "end_turn" });
  });

  it("sends tool questions out and the answers in", async () => {
    const run = await replay("approval", { ask: true });
    expect(run.argv).toContain(join(run.context.appDir, "gate.ts"));
    await run.session.prompt({ id: "m1", content: "x" });
    for (let count = 1; count <= 3; count += 1) {
      await run.until(`question ${count}`, () => run.all("permission.requested").length === count);
      await run.session.answer?.({
        requestId: run.all("permission.requested").at(-1)!.requestId,
        optionId: count === 2 ? "reject" : "allow",
      });
    }
    await run.turn(1);
    expect(run.all("permission.requested").map((question) => question.kind)).toEqual(["execute", "edit", "execute"]);
    expect(run.all("permission.requested")[0]).toMatchObject({
      toolCallId: "toolu_000241",
      rawInput: { command: expect.any(String) },
    });
    const answers = run.cli.written.filter((line) => line.type === "extension_ui_response");
    expect(answers.map((answer) => answer.confirmed)).toEqual([true, false, true]);
    await expect(run.session.answer?.({ requestId: "gone", optionId: "allow" })).rejects.toThrow(
      /No such open question/,
    );
  });

  it("changes the model, also to another provider's, and passes a refusal on", async () => {
    const run = await replay("simple");
    await run.session.setModel?.("claude-opus-4-5");
    await run.session.setModel?.("openai/gpt-5");
    expect(run.cli.written.slice(-2)).toMatchObject([
      { provider: "anthropic", modelId: "claude-opus-4-5" },
      { provider: "openai", modelId: "gpt-5" },
    ]);
    await expect(run.session.setModel?.("unknown")).rejects.toThrow("Model not found");
  });

  it("keeps what it does not know, and survives lines that are no messages", async () => {
    const run = await replay("simple");
    const lines = [
      "not json",
      "42",
      "null",
      '{"type":"brand_new","x":1}',
      `{"type":"brand_new","x":"${"y".repeat(200_000)}"}`,
    ];
    let feed: (line: string) => void = () => {};
    const silent = {
      ...run.cli,
      onLine: (listener: typeof feed) => {
        feed = listener;
      },
      writeLine: (line: string) => {
        const { id } = JSON.parse(line) as { id: string };
        setImmediate(() =>
          feed(JSON.stringify({ type: "response", id, success: true, data: { sessionId: "s", model: { id: "m" } } })),
        );
        return true;
      },
    };
    const harness = adapterHarness({ runtimeDir: import.meta.dirname, ...run.folders, spawn: () => silent });
    await adapter.start(harness.context);
    for (const line of lines) feed(line);
    const raw = harness.all("runtime.raw");
    expect(raw).toHaveLength(4);
    expect(JSON.stringify(raw.at(-1)).length).toBeLessThan(70_000);
  });
});

describe("start", () => {
  it("writes its own configuration, without the token, and loads nothing of the checkout", async () => {
    const run = await replay("simple", {
      instructions: "Be kind.",
      jobToken: "tok-12345678",
      resume: "session-1",
      inferenceUrl: "http://127.0.0.1:11432",
    });
    const directory = join(run.folders.home, ".pi/agent");
    const models = readFileSync(join(directory, "models.json"), "utf8");
    expect(JSON.parse(models)).toMatchObject({
      providers: {
        anthropic: { baseUrl: "http://127.0.0.1:11432/anthropic" },
        openai: { baseUrl: "http://127.0.0.1:11432/openai/v1" },
      },
    });
    expect(models + run.argv.join(" ")).not.toContain("tok-12345678");
    expect(run.env).toMatchObject({ PI_OFFLINE: "1", X1_JOB_TOKEN: "tok-12345678" });
    for (const flag of ["--no-approve", "--no-extensions", "--no-skills", "--no-context-files"])
      expect(run.argv).toContain(flag);
    expect(run.argv.join(" ")).toContain("--session session-1");
    expect(readFileSync(join(directory, "x1-instructions.md"), "utf8")).toBe("Be kind.");
  });

  it("throws away what an earlier run left beside the sessions, links included", async () => {
    const folders = await agentFolders();
    cleanups.push(folders.remove);
    const outside = join(folders.root, "outside");
    mkdirSync(join(outside, "agent"), { recursive: true });
    writeFileSync(join(outside, "agent/models.json"), "theirs");
    symlinkSync(outside, join(folders.home, ".pi"));
    const first = await replay("simple", folders);
    expect(readFileSync(join(outside, "agent/models.json"), "utf8")).toBe("theirs");
    const directory = join(folders.home, ".pi/agent");
    writeFileSync(join(directory, "sessions/kept.jsonl"), "");
    for (const name of ["SYSTEM.md", "trust.json", "auth.json"]) writeFileSync(join(directory, name), "planted");
    mkdirSync(join(directory, "extensions"));
    await first.session.close();
    await replay("simple", folders);
    expect(existsSync(join(directory, "sessions/kept.jsonl"))).toBe(true);
    expect(existsSync(join(directory, "SYSTEM.md")) || existsSync(join(directory, "extensions"))).toBe(false);
    expect(readFileSync(join(directory, "auth.json"), "utf8")).toBe("{}");
  });

  it("says why, when the CLI ends before it is ready", async () => {
    const folders = await agentFolders();
    cleanups.push(folders.remove);
    const dead = replayProcess([], {});
    const harness = adapterHarness({ runtimeDir: import.meta.dirname, ...folders, spawn: () => dead });
    const started = adapter.start(harness.context);
    setTimeout(() => void dead.kill(), 20);
    await expect(started).rejects.toThrow(/CLI ended \(exit code 143\)/);
  });
});
