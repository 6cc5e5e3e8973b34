import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { adapterHarness, agentFolders, type HarnessOptions, readRecording, replayProcess } from "@x1agent/testkit";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import adapter from "./adapter.ts";

/** Stands for the installed CLI: recordings need its path only. */
let appDir: string;
beforeAll(() => {
  appDir = mkdtempSync(join(tmpdir(), "x1-app-"));
  const platform = join(appDir, `node_modules/@anthropic-ai/claude-code-${process.platform}-${process.arch}`);
  mkdirSync(platform, { recursive: true });
  writeFileSync(join(platform, "claude"), "");
});
afterAll(() => rmSync(appDir, { recursive: true, force: true }));

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Starts the adapter on a recording of the real CLI. */
async function replay(name: string, options: Partial<HarnessOptions> = {}) {
  const folders = await agentFolders();
  cleanups.push(folders.remove);
  const lines = readRecording(join(import.meta.dirname, "fixtures", `${name}.jsonl`));
  const cli = replayProcess(lines, {
    // Ids of the adapter's own messages are made anew each time: the recording gets them.
    adapt: (message, written) => {
      if (message.type === "control_response") {
        const asked = written.findLast((line) => line.type === "control_request");
        return { ...message, response: { ...(message.response as object), request_id: asked?.request_id } };
      }
      const said = written.filter((line) => line.type === "user");
      const uuid = said[name === "steer" && JSON.stringify(message).includes("2222") ? 1 : 0]?.uuid;
      return message.isReplay
        ? { ...message, uuid }
        : message.command_uuid
          ? { ...message, command_uuid: uuid }
          : message;
    },
    answer: (line) => {
      const { subtype } = (line.request ?? {}) as { subtype?: string };
      if (line.type !== "control_request" || subtype === "interrupt") return null;
      const response = { subtype: subtype === "fail" ? "error" : "success", request_id: line.request_id, response: {} };
      return { type: "control_response", response };
    },
  });
  const started: { argv: readonly string[]; env: Readonly<Record<string, string>> }[] = [];
  const harness = adapterHarness({
    runtimeDir: import.meta.dirname,
    appDir,
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
const say = { id: "m1", content: "go" };

describe("recorded turns", () => {
  it("tells a turn with shell, read and edit", async () => {
    const run = await replay("bash-edit");
    await run.session.prompt(say);
    expect(await run.turn(1)).toEqual({
      stopReason: "end_turn",
      usage: { inputTokens: 500, outputTokens: 100, cacheReadTokens: 0, cacheWriteTokens: 0 },
    });
    expect(run.all("tool.started").map((tool) => [tool.kind, tool.title])).toEqual([
      ["execute", "ls -la && git status --short"],
      ["read", "Read /workspace/README.md"],
      ["edit", "Edit /workspace/README.md"],
      ["execute", "git diff --stat"],
    ]);
    expect(run.all("tool.ended").map((tool) => [tool.status, tool.exitCode])).toEqual([
      ["completed", 0],
      ["completed", undefined],
      ["completed", undefined],
      ["completed", 0],
    ]);
    expect(run.all("tool.ended")[2]?.content).toEqual([
      { type: "diff", path: "/workspace/README.md", oldText: "Hello world", newText: "Hello x1agent" },
    ]);
    expect(run.all("runtime.raw")).toEqual([]);
  });

  it("numbers deltas and whole blocks alike, and reports usage once a message", async () => {
    const run = await replay("bash-edit-partial");
    await run.session.prompt(say);
    await run.turn(1);
    const texts = [...run.all("agent.text"), ...run.all("agent.thought")];
    const wholes = texts.filter((text) => text.text !== undefined);
    expect(wholes.length).toBeGreaterThan(2);
    for (const whole of wholes) {
      const deltas = texts.filter((text) => text.messageId === whole.messageId && text.delta !== undefined);
      expect(deltas.map((delta) => delta.delta).join("")).toBe(whole.text);
    }
    const sum = run.all("usage.reported").reduce((total, { usage }) => total + (usage.outputTokens ?? 0), 0);
    expect(sum).toBe(run.turns[0]?.usage?.outputTokens);
  });

  it("tells failing commands by their exit code, and refused edits as failed", async () => {
    const run = await replay("tool-failure");
    await run.session.prompt(say);
    await run.turn(1);
    expect(run.all("tool.ended").map((tool) => [tool.kind, tool.status, tool.exitCode])).toEqual([
      ["execute", "completed", 3],
      ["edit", "failed", undefined],
    ]);
  });

  it("tells retries and calls a failed model call an error, though the CLI calls it a success", async () => {
    const run = await replay("error-429-final");
    await run.session.prompt(say);
    expect(await run.turn(1)).toMatchObject({ stopReason: "error", errorCode: "upstream_failed" });
    expect(run.all("retry")).toEqual([
      { attempt: 1, maxAttempts: 1, delayMs: 1_000, detail: "rate_limit", status: 429 },
    ]);
    expect(run.all("error")).toMatchObject([{ code: "upstream_failed", status: 429 }]);
    expect(run.all("agent.text")).toEqual([]);
  });

  it("tells an interrupted command as cancelled", async () => {
    const run = await replay("interrupt-tool");
    await run.session.prompt(say);
    await run.until("the command", () => run.all("tool.started").length > 0);
    await run.session.interrupt?.();
    expect(await run.turn(1)).toMatchObject({ stopReason: "cancelled" });
    expect(run.all("tool.ended")).toMatchObject([{ status: "failed", exitCode: null }]);
  });

  it("keeps a steered turn one turn", async () => {
    const run = await replay("steer");
    await run.session.prompt(say);
    await run.until("the command", () => run.all("tool.started").length > 0);
    await run.session.steer?.({ id: "m2", content: "change" });
    expect(await run.turn(1)).toMatchObject({ stopReason: "end_turn" });
    expect(run.turns).toHaveLength(1);
  });

  it("tells the turn limit", async () => {
    const run = await replay("max-turns");
    await run.session.prompt(say);
    expect(await run.turn(1)).toMatchObject({ stopReason: "max_turns" });
  });

  it("does not end a second turn when a background task wakes the CLI up", async () => {
    const run = await replay("background-task");
    await run.session.prompt(say);
    await run.until("the whole recording", () => run.cli.finished() && run.turns.length > 0);
    expect(run.turns).toHaveLength(1);
  });

  it("keeps a subagent's work with the call that started it", async () => {
    const run = await replay("subagent");
    await run.session.prompt(say);
    await run.turn(1);
    expect(run.all("tool.started")).toMatchObject([{ kind: "think", title: "Agent sub job" }]);
    expect(run.all("agent.text").map((text) => text.text)).toEqual(["sub agent finished"]);
  });
});

describe("start", () => {
  it("passes no token and no instructions as arguments, and reads nothing of the checkout", async () => {
    const run = await replay("bash-edit", {
      jobToken: "tok-12345678",
      instructions: "Be kind.",
      inferenceUrl: "http://127.0.0.1:11432",
    });
    expect(run.argv.join(" ")).not.toMatch(/tok-12345678|Be kind/);
    expect(run.argv.join(" ")).toContain("--setting-sources user --strict-mcp-config");
    expect(run.argv.join(" ")).toContain("--permission-mode bypassPermissions");
    expect(run.env).toMatchObject({
      ANTHROPIC_BASE_URL: "http://127.0.0.1:11432/anthropic",
      ANTHROPIC_API_KEY: "tok-12345678",
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    });
    expect(run.cli.written[0]).toMatchObject({ request: { subtype: "initialize", appendSystemPrompt: "Be kind." } });
  });

  it("names the session it resumes, and asks when it must", async () => {
    const run = await replay("bash-edit", { resume: "11111111-1111-4111-8111-111111111111", ask: true });
    expect(run.argv.join(" ")).toMatch(/--permission-mode default .*--resume 11111111/);
    expect(run.all("session.init")).toMatchObject([
      { sessionId: "11111111-1111-4111-8111-111111111111", resumed: true },
    ]);
  });

  it("throws away what an earlier run left beside the sessions, links included", async () => {
    const folders = await agentFolders();
    cleanups.push(folders.remove);
    const outside = join(folders.root, "outside");
    mkdirSync(outside);
    writeFileSync(join(outside, "settings.json"), "theirs");
    symlinkSync(outside, join(folders.home, ".claude"));
    await replay("bash-edit", folders);
    expect(readFileSync(join(outside, "settings.json"), "utf8")).toBe("theirs");
    const directory = join(folders.home, ".claude");
    writeFileSync(join(directory, "projects/kept.jsonl"), "");
    for (const name of ["CLAUDE.md", "settings.json", "settings.local.json"])
      writeFileSync(join(directory, name), "planted");
    writeFileSync(join(folders.home, ".claude.json"), "planted");
    await replay("bash-edit", folders);
    expect(existsSync(join(directory, "projects/kept.jsonl"))).toBe(true);
    expect(readFileSync(join(directory, "settings.json"), "utf8")).toBe("{}");
    expect(existsSync(join(directory, "CLAUDE.md")) || existsSync(join(folders.home, ".claude.json"))).toBe(false);
  });

  it("says what to do when there is no program for this machine", async () => {
    const folders = await agentFolders();
    cleanups.push(folders.remove);
    const harness = adapterHarness({ runtimeDir: import.meta.dirname, appDir: folders.root, ...folders });
    await expect(adapter.start(harness.context)).rejects.toThrow(/install the runtime again/);
  });
});
