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
  const spawn = harness.context.spawn;
  let argv0 = "";
  harness.context.spawn = (argv, spawned) => {
    argv0 = argv[0] ?? "";
    return spawn(argv, spawned);
  };
  return { ...harness, session: await adapter.start(harness.context), argv0 };
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
        { match: { anywhere: "STEERED" }, action: { kind: "text", text: "I heard you." } },
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
        {
          match: { prompt: "^long" },
          action: { kind: "shell", commands: ["echo begun; timeout 98765 tail -f /dev/null"] },
        },
        { match: { prompt: "endless" }, action: { kind: "endless" } },
        { action: { kind: "text", text: "fine" } },
      );
      const run = await start();
      await run.session.prompt(say("long"));
      await run.until("the command", () => running("timeout 98765 tail -f /dev/null"));
      await run.session.interrupt?.();
      expect(await run.turn(1)).toMatchObject({ stopReason: "cancelled" });
      await run.session.prompt(say("endless"));
      await run.until("text", () => run.all("agent.text").length > 3);
      await run.session.interrupt?.();
      expect(await run.turn(2)).toMatchObject({ stopReason: "cancelled" });
      await run.session.prompt(say("hello"));
      expect(await run.turn(3)).toMatchObject({ stopReason: "end_turn" });
      await expect.poll(() => running("timeout 98765 tail -f /dev/null")).toBe(false);
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
      await expect(run.session.answer?.({ requestId: question.requestId, optionId: "allow" })).rejects.toThrow(
        /No such open/,
      );
      await run.session.prompt(say("three"));
      const open = await asked(3);
      await run.session.interrupt?.();
      expect(await run.turn(3)).toMatchObject({ stopReason: "cancelled" });
      expect(run.all("permission.resolved")).toEqual([{ requestId: open.requestId, outcome: "cancelled" }]);
    });

    it("passes the model's own questions on, all of them, with the answers", async () => {
      const questions = ["Which database?", "Which port?"].map((question) => ({
        question,
        header: "Pick",
        multiSelect: false,
        options: [
          { label: "First", description: "a" },
          { label: "Second", description: "b" },
        ],
      }));
      script(
        { match: { afterTool: false }, action: { kind: "tool", tool: "AskUserQuestion", input: { questions } } },
        { action: { kind: "text", text: "thanks" } },
      );
      const run = await start({ ask: true });
      await run.session.prompt(say("one"));
      await run.until("two questions", () => run.all("permission.requested").length === 2);
      const [first, second] = run.all("permission.requested");
      expect(first).toMatchObject({
        title: "Which database?",
        freeText: true,
        options: [{ optionId: "First" }, { optionId: "Second" }],
      });
      await run.session.answer?.({ requestId: first!.requestId, optionId: "Second" });
      await run.session.answer?.({ requestId: second!.requestId, text: "five thousand" });
      await run.turn(1);
      const sent = JSON.stringify(server.requests.at(-1)?.body);
      expect(sent).toContain("Second");
      expect(sent).toContain("five thousand");
    });

    it("tells its list of tasks as a plan", async () => {
      const call = (tool: string, input: Record<string, unknown>) =>
        ({ times: 1, action: { kind: "tool", tool, input } }) as const;
      script(
        call("TaskCreate", { subject: "Read the code", description: "all of it" }),
        call("TaskCreate", { subject: "Mend it", description: "the bug" }),
        call("TaskUpdate", { taskId: "1", status: "completed" }),
        call("TaskUpdate", { taskId: "2", status: "in_progress", subject: "Mend it well" }),
        { action: { kind: "text", text: "planned" } },
      );
      const run = await start();
      await run.session.prompt(say("one"));
      await run.turn(1);
      expect(
        run.all("plan.updated").map(({ entries }) => entries.map((entry) => `${entry.content}: ${entry.status}`)),
      ).toEqual([
        ["Read the code: pending"],
        ["Read the code: pending", "Mend it: pending"],
        ["Read the code: completed", "Mend it: pending"],
        ["Read the code: completed", "Mend it well: in_progress"],
      ]);
    });

    it("changes the model, after one token that proves it may be used", async () => {
      script(
        { match: { model: "no-such" }, action: { kind: "fault", status: 404 } },
        { action: { kind: "text", text: "hi" } },
      );
      const run = await start();
      await run.session.prompt(say("one"));
      await run.turn(1);
      await run.session.setModel?.("claude-haiku-4-5");
      await expect(run.session.setModel?.("no-such-model")).rejects.toThrow();
      await run.session.prompt(say("two"));
      await run.turn(2);
      expect(server.requests.at(-1)?.model).toBe("claude-haiku-4-5");
      const probes = server.requests.filter((request) => (request.body as { max_tokens?: number }).max_tokens === 1);
      expect(probes.map((probe) => probe.model)).toEqual(["claude-haiku-4-5", "no-such-model"]);
    });

    it.each([
      ["413", { kind: "fault", status: 413 }, 1, { stopReason: "error", errorCode: "upstream_failed" }],
      ["401 once", { kind: "fault", status: 401 }, 2, { stopReason: "end_turn" }],
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
      // An error inside a stream is retried without a word.
      if (action.kind === "fault") expect(run.all("retry")).toHaveLength(requests - 1);
    });

    it("tells a command's exit code, also when it ran out of time", async () => {
      script(
        { match: { prompt: "^fail", afterTool: false }, action: { kind: "shell", commands: ["echo oops; exit 3"] } },
        {
          match: { afterTool: false },
          action: { kind: "tool", tool: "bash", input: { command: "timeout 9 tail -f /dev/null", timeout: 1_000 } },
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
        ["completed", 143],
      ]);
    });

    it("leaves no process behind when it is closed in mid-turn", async () => {
      script({ action: { kind: "shell", commands: ["timeout 87654 tail -f /dev/null"] } });
      const run = await start();
      await run.session.prompt(say("one"));
      await run.until("the command", () => running("timeout 87654 tail -f /dev/null"));
      await run.session.close();
      await expect.poll(() => running("timeout 87654 tail -f /dev/null")).toBe(false);
    });

    it("runs nothing of a hostile repository, and keeps its base URL", async () => {
      const marker = join(folders.cwd, "PLANTED");
      const thief = await startModelServer({ key: "stolen" });
      try {
        await createRepository(folders.cwd, hostileFiles(marker, thief.url));
        chmodSync(join(folders.cwd, "evil.sh"), 0o755);
        const notes = { file_path: join(folders.cwd, "sub/notes.txt") };
        script(
          { match: { afterTool: false }, action: { kind: "shell", commands: ["echo ran"] } },
          { match: { toolResult: "ran" }, times: 1, action: { kind: "tool", tool: "Read", input: notes } },
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
