import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  adapterHarness,
  agentFolders,
  createRepository,
  createSampleRepository,
  type HarnessOptions,
  installedCli,
  type ModelServer,
  type ScenarioInput,
  sampleIssue,
  startModelServer,
} from "@x1agent/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import adapter from "./adapter.ts";
import { hostileFiles } from "./hostile.ts";

/** The real CLI against the scripted model server, without the host. */
const cli = await installedCli(import.meta.dirname);
const here = cli !== null || process.env.CI === "true";

let server: ModelServer;
let folders: Awaited<ReturnType<typeof agentFolders>>;
const harnesses: ReturnType<typeof adapterHarness>[] = [];
beforeEach(async () => {
  server = await startModelServer({ key: "job-token" });
  folders = await agentFolders();
});
afterEach(async () => {
  for (const harness of harnesses.splice(0))
    for (const process of harness.processes) await process.kill({ graceMs: 200 });
  await server.close();
  await folders.remove();
});

async function start(options: Partial<HarnessOptions> = {}) {
  await folders.own();
  const harness = adapterHarness({ runtimeDir: import.meta.dirname, ...folders, inferenceUrl: server.url, ...options });
  harnesses.push(harness);
  return { ...harness, session: await adapter.start(harness.context) };
}
const script = (...rules: ScenarioInput["rules"]) => server.setScenario({ rules });
const say = (text: string) => ({ id: text, content: text });

describe.skipIf(!here)(
  "the real CLI (skipped when it is not installed and the package registry is out of reach)",
  () => {
    it("solves a sample issue, with our key and our instructions", async () => {
      await createSampleRepository(folders.cwd);
      const run = await start({ instructions: "OUR-INSTRUCTION" });
      await run.session.prompt({ id: "1", content: await sampleIssue(1) });
      expect(await run.turn(1, 60_000)).toMatchObject({ stopReason: "end_turn" });
      expect(readFileSync(join(folders.cwd, "src/split.ts"), "utf8")).toContain("leftOver");
      expect(server.requests.every((request) => request.status === 200 && request.key === "job-token")).toBe(true);
      expect(JSON.stringify(server.requests[0]?.body)).toContain("OUR-INSTRUCTION");
      expect(run.all("tool.ended").map((tool) => tool.exitCode)).toEqual([0, 0, 0]);
    });

    it("steers into a running turn", async () => {
      script(
        { match: { prompt: "^begin", afterTool: false }, action: { kind: "shell", commands: ["sleep 1; echo slept"] } },
        { match: { prompt: "STEERED" }, action: { kind: "text", text: "I heard you." } },
        { action: { kind: "text", text: "Nobody steered." } },
      );
      const run = await start();
      await run.session.prompt(say("begin"));
      await run.until("the command", () => run.all("tool.started").length > 0);
      await run.session.steer?.(say("STEERED"));
      await run.turn(1);
      expect(run.all("agent.text").at(-1)?.text).toBe("I heard you.");
      expect(run.turns).toHaveLength(1);
    });

    it("interrupts a running command and an endless stream, and goes on", async () => {
      script(
        { match: { prompt: "^long" }, action: { kind: "shell", commands: ["echo begun; sleep 98761"] } },
        { match: { prompt: "^endless" }, action: { kind: "endless" } },
        { action: { kind: "text", text: "fine" } },
      );
      const run = await start();
      await run.session.prompt(say("long"));
      await run.until("the command's output", () => run.all("tool.updated").length > 0);
      await run.session.interrupt?.();
      expect(await run.turn(1)).toMatchObject({ stopReason: "cancelled" });
      await run.session.prompt(say("endless"));
      await run.until("text", () => run.all("agent.text").length > 3);
      await run.session.interrupt?.();
      expect(await run.turn(2)).toMatchObject({ stopReason: "cancelled" });
      await run.session.prompt(say("hello"));
      expect(await run.turn(3)).toMatchObject({ stopReason: "end_turn" });
      await expect.poll(() => running("sleep 98761")).toBe(false);
    });

    it("resumes after it was killed in the middle of a command", async () => {
      script(
        { match: { prompt: "^remember", afterTool: false }, times: 1, action: { kind: "text", text: "noted" } },
        { match: { prompt: "^hang" }, times: 1, action: { kind: "shell", commands: ["sleep 5"] } },
        { match: { anywhere: "remember the word mango" }, action: { kind: "text", text: "mango" } },
        { action: { kind: "text", text: "forgotten" } },
      );
      const first = await start();
      await first.session.prompt(say("remember the word mango"));
      await first.turn(1);
      await first.session.prompt(say("hang"));
      await first.until("the command", () => first.all("tool.started").length > 0);
      await first.processes[0]?.kill({ signal: "SIGKILL", graceMs: 0 });
      const { sessionId } = first.all("session.init")[0]!;
      const files = globSync(first.context.manifest.sessionFiles[0]!, { cwd: folders.home });
      expect(files).toHaveLength(1);
      const second = await start({ resume: sessionId });
      expect(second.all("session.init")).toMatchObject([{ sessionId, resumed: true }]);
      await second.session.prompt(say("which word?"));
      await second.turn(1);
      expect(second.all("agent.text").at(-1)?.text).toBe("mango");
    });

    it("asks, obeys a refusal and an approval, and forgets questions at an interrupt", async () => {
      script(
        { match: { afterTool: false }, action: { kind: "shell", commands: ["touch asked"] } },
        { match: { toolResult: "refused" }, action: { kind: "text", text: "refused then" } },
        { action: { kind: "text", text: "done" } },
      );
      const run = await start({ ask: true });
      const asked = (count: number) => run.until(`question ${count}`, () => run.all("permission.requested")[count - 1]);
      await run.session.prompt(say("one"));
      await run.session.answer?.({ requestId: (await asked(1)).requestId, optionId: "reject" });
      await run.turn(1);
      expect(existsSync(join(folders.cwd, "asked"))).toBe(false);
      expect(run.all("agent.text").at(-1)?.text).toBe("refused then");
      await run.session.prompt(say("two"));
      const question = await asked(2);
      expect(question).toMatchObject({ kind: "execute", rawInput: { command: "touch asked" } });
      await run.session.answer?.({ requestId: question.requestId, optionId: "allow" });
      await run.turn(2);
      expect(existsSync(join(folders.cwd, "asked"))).toBe(true);
      await run.session.prompt(say("three"));
      const open = await asked(3);
      await run.session.interrupt?.();
      expect(await run.turn(3)).toMatchObject({ stopReason: "cancelled" });
      expect(run.all("permission.resolved")).toEqual([{ requestId: open.requestId, outcome: "cancelled" }]);
    });

    it("changes the model", async () => {
      script({ action: { kind: "text", text: "hi" } });
      const run = await start();
      await run.session.prompt(say("one"));
      await run.turn(1);
      await run.session.setModel?.("claude-haiku-4-5");
      await run.session.prompt(say("two"));
      await run.turn(2);
      expect(server.requests.map((request) => request.model)).toEqual(["claude-sonnet-4-5", "claude-haiku-4-5"]);
      await expect(run.session.setModel?.("no-such-model")).rejects.toThrow();
    });

    it("speaks OpenAI Responses too", async () => {
      script(
        { match: { afterTool: false }, action: { kind: "shell", commands: ["echo via-responses"] } },
        { action: { kind: "text", text: "ok" } },
      );
      const run = await start({ model: "openai/gpt-5" });
      await run.session.prompt(say("one"));
      expect(await run.turn(1)).toMatchObject({ stopReason: "end_turn" });
      expect(run.all("tool.ended")[0]).toMatchObject({ exitCode: 0, content: [{ text: "via-responses\n" }] });
      expect(server.requests[0]).toMatchObject({ api: "openai-responses", key: "job-token" });
    });

    it.each([
      ["401", { kind: "fault", status: 401 }, 1, { stopReason: "error", errorCode: "upstream_failed" }],
      ["429 once", { kind: "fault", status: 429 }, 2, { stopReason: "end_turn" }],
      ["529 once", { kind: "fault", status: 529 }, 2, { stopReason: "end_turn" }],
      ["500 once", { kind: "fault", status: 500 }, 2, { stopReason: "end_turn" }],
      ["a broken stream", { kind: "broken" }, 2, { stopReason: "end_turn" }],
      ["an error inside the stream", { kind: "broken", how: "error_event" }, 2, { stopReason: "end_turn" }],
      [
        "a budget that is spent",
        { kind: "fault", status: 403, message: "budget_exceeded: the job's budget is spent" },
        1,
        { stopReason: "budget", errorCode: "budget_exceeded" },
      ],
    ] as const)("meets %s", async (_, action, requests, end) => {
      script({ times: 1, action }, { action: { kind: "text", text: "recovered" } });
      const run = await start();
      await run.session.prompt(say("one"));
      expect(await run.turn(1)).toMatchObject(end);
      expect(server.requests).toHaveLength(requests);
      expect(run.all("retry")).toHaveLength(requests - 1);
    });

    it("tells a command's exit code, and an unknown one as unknown", async () => {
      script(
        { match: { prompt: "^fail", afterTool: false }, action: { kind: "shell", commands: ["echo oops; exit 3"] } },
        {
          match: { afterTool: false },
          action: { kind: "tool", tool: "bash", input: { command: "sleep 9", timeout: 1 } },
        },
        { action: { kind: "text", text: "ok" } },
      );
      const run = await start();
      await run.session.prompt(say("fail"));
      await run.turn(1);
      await run.session.prompt(say("time out"));
      await run.turn(2);
      expect(run.all("tool.ended").map((tool) => [tool.status, tool.exitCode])).toEqual([
        ["completed", 3],
        ["failed", null],
      ]);
    });

    it("leaves no process behind when it is closed in mid-turn", async () => {
      script({ action: { kind: "shell", commands: ["sleep 87651"] } });
      const run = await start();
      await run.session.prompt(say("one"));
      await run.until("the command", () => running("sleep 87651"));
      await run.session.close();
      await expect.poll(() => running("sleep 87651")).toBe(false);
    });

    it("runs nothing of a hostile repository, and keeps its base URL", async () => {
      const marker = join(folders.cwd, "PLANTED");
      const thief = await startModelServer({ key: "stolen" });
      try {
        await createRepository(folders.cwd, hostileFiles(marker, thief.url));
        chmodSync(join(folders.cwd, "evil-shell"), 0o755);
        const notes = { path: "sub/notes.txt" };
        script(
          { match: { afterTool: false }, action: { kind: "shell", commands: ["echo ran"] } },
          { match: { toolResult: "ran" }, times: 1, action: { kind: "tool", tool: "read", input: notes } },
          { action: { kind: "text", text: "ok" } },
        );
        const run = await start({ instructions: "OUR-INSTRUCTION" });
        await run.session.prompt(say("hello"));
        expect(await run.turn(1)).toMatchObject({ stopReason: "end_turn" });
        expect(run.all("tool.ended")).toMatchObject([{ exitCode: 0 }, { status: "completed" }]);
        expect(existsSync(marker)).toBe(false);
        expect(existsSync(join(folders.cwd, ".stolen-sessions"))).toBe(false);
        expect(thief.requests).toEqual([]);
        expect(server.requests.length).toBe(3);
        const sent = JSON.stringify(server.requests.map((request) => request.body));
        expect(sent).toContain("OUR-INSTRUCTION");
        expect(sent).toContain("Some notes.");
        expect(sent).not.toContain("PLANTED-INSTRUCTION");
      } finally {
        await thief.close();
      }
    });
  },
);

/** Whether a process with this command line exists; our own `sh -c` that asks is not one. */
function running(command: string): boolean {
  const lines = execFileSync("ps", ["-eo", "args"], { encoding: "utf8" }).split("\n");
  return lines.some((line) => line.trim() === command);
}
