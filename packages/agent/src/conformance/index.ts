import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isSupportedContract, RuntimeManifest } from "@x1agent/contract";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { compareIds } from "../journal.ts";
import { endAll, HostProcess, type HostProcessOptions, hasStarted, isGone } from "./host-process.ts";

export { HostProcess, type HostProcessOptions, hasStarted, isGone, makeFolders } from "./host-process.ts";

/** The scripted model, as far as the kit needs it: the test kit's server has this shape. */
export type ConformanceModel = {
  url: string;
  setScenario(scenario: { rules: Rule[] }): void;
  close(): Promise<void>;
};
type Rule = {
  match?: { prompt?: string; anywhere?: string; afterTool?: boolean; toolResult?: string; model?: string };
  times?: number;
  action: { kind: "text"; text: string } | { kind: "shell"; commands: string[] } | { kind: "endless" };
};

export type ConformanceOptions = {
  runtimeDir: string;
  /** The CLI's files, e.g. `cli/` with its `node_modules`; default the runtime's folder. */
  appDir?: string;
  /** A fresh scripted model that takes the key `job-token`. */
  model(): Promise<ConformanceModel>;
  /** Another model name that the CLI knows, for the model change. */
  otherModel: string;
  env?: HostProcessOptions["env"];
};

/**
 * What every runtime has to do behind the host, with its real CLI against the scripted model. Call it in a
 * `*.int.test.ts`; abilities that the manifest does not declare are checked to be refused by code.
 */
export function runtimeConformance(options: ConformanceOptions): void {
  const manifest = RuntimeManifest.parse(JSON.parse(readFileSync(join(options.runtimeDir, "runtime.json"), "utf8")));
  const can = (name: RuntimeManifest["capabilities"][number]) => manifest.capabilities.includes(name);
  let model: ConformanceModel;
  const hosts: HostProcess[] = [];
  const script = (...rules: Rule[]) => model.setScenario({ rules });
  const say = (id: string, content: string, mode = "queue") => ({ id, content, mode });
  const boot = async (more: Partial<HostProcessOptions> = {}) => {
    const { runtimeDir, appDir, env } = options;
    const host = await HostProcess.boot({
      runtimeDir,
      modelUrl: model.url,
      ...(appDir === undefined ? {} : { appDir }),
      ...(env === undefined ? {} : { env }),
      ...more,
    });
    hosts.push(host);
    return host;
  };

  describe(`conformance of ${manifest.title}`, () => {
    beforeAll(async () => {
      model = await options.model();
    });
    afterEach(async () => {
      for (const host of hosts.splice(0)) await host.stop();
    });
    afterAll(async () => {
      await model.close();
    });

    it("states the contract's version, and refuses every route without the token or under a foreign name", async () => {
      const host = await boot();
      const health = await host.get("/health");
      expect(health.body).toMatchObject({ status: "ok", runtime: manifest.name, runtimeVersion: manifest.version });
      expect(isSupportedContract(String(health.body.contract))).toBe(true);
      const gets = ["/health", "/state", "/nothing"].map((path) => (more: object) => host.get(path, more));
      const posts = ["start", "inject", "interrupt", "answer", "model", "shutdown"].map(
        (verb) => (more: object) => host.post(`/${verb}`, {}, more),
      );
      const streams = ["/events", "/health"].map(
        (path) => (more: object) => host.get(path, { socket: "events", ...more }),
      );
      for (const call of [...gets, ...posts, ...streams]) {
        expect((await call({ token: null })).body.code).toBe("unauthenticated");
        expect((await call({ token: "conformance-token-012345678X" })).status).toBe(401);
        expect((await call({ headers: { host: "evil.example" } })).body.code).toBe("host_refused");
      }
      expect((await host.state()).phase).toBe("waiting");
    });

    it("refuses messages before there is a session, and after it has ended", async () => {
      script({ action: { kind: "text", text: "hello" } });
      const host = await boot();
      expect((await host.post("/inject", say("a", "early"))).body.code).toBe("no_session");
      await host.start();
      process.kill(host.cliPid, "SIGKILL");
      const ended = await host.until("the end", () => host.last("session.ended"));
      expect(ended.payload).toMatchObject({ code: "runtime_exited" });
      expect((await host.post("/inject", say("b", "late"))).body).toMatchObject({ code: "session_ended", status: 410 });
      expect((await host.post("/interrupt")).body.code).toBe("session_ended");
      expect((await host.state()).phase).toBe("ended");
    });

    it("runs turns: order of events, queue, messages taken once, start repeated without effect", async () => {
      script(
        { match: { prompt: "first" }, action: { kind: "text", text: "answer one" } },
        { match: { prompt: "second" }, action: { kind: "text", text: "answer two" } },
        { action: { kind: "text", text: "something else" } },
      );
      const host = await boot();
      await host.start();
      expect((await host.post("/start", { sessionKey: "session-1" })).status).toBe(200);
      expect((await host.post("/start", { sessionKey: "other" })).body.code).toBe("conflict");
      await host.post("/inject", say("m1", "first"));
      await host.post("/inject", say("m2", "second"));
      const again = await host.post("/inject", say("m2", "second"));
      expect(again.body).toMatchObject({ repeated: true });
      expect((await host.post("/inject", say("m2", "changed"))).body.code).toBe("idempotency_mismatch");
      expect(await host.turnEnd(1)).toMatchObject({ turn: 1, stopReason: "end_turn" });
      expect(await host.turnEnd(2)).toMatchObject({ turn: 2, stopReason: "end_turn" });
      await host.until("idle", () => host.last("session.idle"));
      const texts = host.all("agent.text").flatMap((event) => event.payload.text ?? []);
      expect(texts).toEqual(["answer one", "answer two"]);
      expect(host.all("turn.started")).toHaveLength(2);
      expect(host.all("user.message").map((event) => [event.payload.id, event.payload.delivered])).toEqual(
        expect.arrayContaining([
          ["m1", true],
          ["m2", false],
          ["m2", true],
        ]),
      );
      // The event stream: everything ours, numbered upwards, reported.
      expect(host.events.every((event) => event.source === "reported")).toBe(true);
      const ids = host.events.map((event) => event.id);
      expect(ids.toSorted(compareIds)).toEqual(ids);
      if (can("usage")) expect((await host.state()).usage.outputTokens).toBeGreaterThan(0);
    });

    it("sends again after an id, and says so when it cannot", async () => {
      script({ action: { kind: "text", text: "hello" } });
      const host = await boot();
      await host.start();
      await host.post("/inject", say("m1", "hi"));
      await host.turnEnd(1);
      const idle = await host.until("idle", () => host.last("session.idle"));
      const seen = host.events.map((event) => event.id);
      const from = host.events[1]!.id;
      const replayed: string[] = [];
      const head = await host.read({ lastEventId: from }, (event) => {
        replayed.push(event.id);
        return event.id === idle.id;
      });
      expect(replayed).toEqual(seen.slice(2));
      expect(head).toMatch(/^retry: \d+/);
      expect(head).toContain(`id: ${replayed[0]}`);
      let gap: Record<string, unknown> | undefined;
      await host.read({ lastEventId: "1-1" }, (event) => {
        if (event.type === "stream.gap") gap = event.payload;
        return true;
      });
      expect(gap).toMatchObject({ afterId: "1-1", resumedId: seen[0] });
    });

    it("runs a command in the work folder and reports it", async () => {
      script(
        { match: { afterTool: false }, action: { kind: "shell", commands: ["cat secret-of-the-folder.txt"] } },
        { action: { kind: "text", text: "read" } },
      );
      const host = await boot();
      await writeFile(join(host.folders.cwd, "secret-of-the-folder.txt"), "cinnamon\n");
      await host.start();
      await host.post("/inject", say("m1", "look"));
      await host.turnEnd(1);
      expect(host.last("tool.ended")?.payload).toMatchObject({ status: "completed", exitCode: 0 });
      expect(JSON.stringify(host.last("tool.ended")?.payload.content)).toContain("cinnamon");
      expect(host.all("tool.started")).toHaveLength(1);
    });

    it("steers into a running turn, or refuses by code", async () => {
      script(
        {
          match: { prompt: "^begin", afterTool: false },
          action: { kind: "shell", commands: ["sleep 1.5; echo slept"] },
        },
        { match: { anywhere: "STEERED" }, action: { kind: "text", text: "I heard you." } },
        { action: { kind: "text", text: "Nobody steered." } },
      );
      const host = await boot();
      await host.start();
      await host.post("/inject", say("m1", "begin"));
      await host.until("the command", () => host.last("tool.started"));
      const reply = await host.post("/inject", say("m2", "STEERED", "steer"));
      if (!can("steer")) {
        expect(reply.body.code).toBe("capability_missing");
        return;
      }
      expect(reply.status).toBe(200);
      await host.turnEnd(1);
      await host.until("the answer", () => host.events.some((event) => event.payload.text === "I heard you."));
      expect(host.all("turn.ended")).toHaveLength(1);
    });

    it("interrupts a command without leaving a process, and goes on", async () => {
      const mark = `9876${Math.floor(Math.random() * 1e6)}`;
      script(
        {
          match: { prompt: "^long" },
          action: { kind: "shell", commands: [`(setsid sleep ${mark} &); sleep ${mark}`] },
        },
        { action: { kind: "text", text: "fine" } },
      );
      const host = await boot();
      await host.start();
      await host.post("/inject", say("m1", "long"));
      await host.until("the command", () => host.last("tool.started"));
      // A planted violation for the check below: it does find the process while it runs.
      expect(await hasStarted(`sleep\0${mark}`)).toBe(true);
      expect((await host.post("/interrupt")).body).toMatchObject({ interrupted: true });
      expect(await host.turnEnd(1)).toMatchObject({ stopReason: "cancelled" });
      expect(await isGone(`sleep\0${mark}`)).toBe(true);
      await host.post("/inject", say("m2", "hello"));
      expect(await host.turnEnd(2)).toMatchObject({ stopReason: "end_turn" });
      expect((await host.post("/interrupt")).body).toMatchObject({ interrupted: false });
    });

    it("interrupts an answer without end, and delivers the message that interrupts", async () => {
      script(
        // First, because a CLI may send both messages as one when nothing was answered in between.
        { match: { prompt: "stop and listen" }, action: { kind: "text", text: "after the interrupt" } },
        { action: { kind: "endless" } },
      );
      const host = await boot();
      await host.start();
      await host.post("/inject", say("m1", "endless"));
      await host.until("the turn", () => host.last("turn.started"));
      await host.post("/inject", say("m2", "stop and listen", "interrupt"));
      expect(await host.turnEnd(1)).toMatchObject({ stopReason: "cancelled" });
      expect(await host.turnEnd(2)).toMatchObject({ stopReason: "end_turn" });
    });

    it("resumes after its CLI was killed in the middle of a command", async () => {
      const mark = `9875${Math.floor(Math.random() * 1e6)}`;
      script(
        { match: { prompt: "remember the word mango" }, action: { kind: "text", text: "noted" } },
        {
          match: { prompt: "^hang", afterTool: false },
          times: 1,
          action: { kind: "shell", commands: [`sleep ${mark}`] },
        },
        { match: { anywhere: "remember the word mango" }, action: { kind: "text", text: "it was mango" } },
        { action: { kind: "text", text: "I know nothing" } },
      );
      const first = await boot();
      await first.start();
      await first.post("/inject", say("m1", "remember the word mango"));
      await first.turnEnd(1);
      await first.post("/inject", say("m2", "hang"));
      await first.until("the command", () => first.last("tool.started"));
      process.kill(first.cliPid, "SIGKILL");
      expect(await first.turnEnd(2)).toMatchObject({ stopReason: "error", errorCode: "runtime_exited" });
      await first.until("the end", () => first.last("session.ended"));
      expect(await isGone(`sleep\0${mark}`)).toBe(true);
      const resume = first.last("session.init")?.payload.sessionId;
      const reply = await first.post("/start", { sessionKey: "session-2", resume });
      if (!can("resume")) {
        expect(reply.body.code).toBe("capability_missing");
        return;
      }
      await first.until("the session again", () => first.all("session.init")[1], 60_000);
      await first.post("/inject", say("m3", "which word?"));
      expect(await first.turnEnd(3)).toMatchObject({ turn: 3, stopReason: "end_turn" });
      await first.until("the word", () => first.events.some((event) => event.payload.text === "it was mango"));
    });

    it("takes a message with Unicode's own line ends as one, and the next one too", async () => {
      const whole = "cut\u2028by\u2029these\u0085marks";
      script(
        { match: { prompt: literally(whole) }, action: { kind: "text", text: "whole" } },
        { match: { prompt: "^after" }, action: { kind: "text", text: "next" } },
        { action: { kind: "text", text: "in parts" } },
      );
      const host = await boot();
      await host.start();
      await host.post("/inject", say("m1", whole));
      expect(await host.turnEnd(1)).toMatchObject({ stopReason: "end_turn" });
      await host.post("/inject", say("m2", "after"));
      expect(await host.turnEnd(2)).toMatchObject({ stopReason: "end_turn" });
      expect(host.all("agent.text").flatMap((event) => event.payload.text ?? [])).toEqual(["whole", "next"]);
    });

    it("loses no event that was seen when its host is killed in a turn; the next host goes on with later ids", async () => {
      const mark = `9873${Math.floor(Math.random() * 1e6)}`;
      script(
        {
          match: { prompt: "^hang", afterTool: false },
          times: 1,
          action: { kind: "shell", commands: [`sleep ${mark}`] },
        },
        { action: { kind: "text", text: "hello again" } },
      );
      const first = await boot();
      await first.start();
      await first.post("/inject", say("m1", "hang"));
      await first.until("the command", () => first.last("tool.started"));
      expect(await hasStarted(`sleep\0${mark}`)).toBe(true);
      const seen = first.events.map((event) => event.id);
      await first.kill();
      // A workspace's pid namespace ends the command with the host; there is none here.
      endAll(`sleep\0${mark}`);
      const second = await boot({ folders: first.folders });
      const resume = can("resume") ? { resume: first.last("session.init")?.payload.sessionId } : {};
      expect((await second.post("/start", { sessionKey: "session-2", ...resume })).status).toBe(200);
      await second.until("the session again", () => second.all("session.init")[1], 60_000);
      await second.post("/inject", say("m2", "hello"));
      const end = await second.until("the turn's end", () => second.last("turn.ended"), 60_000);
      expect(end.payload).toMatchObject({ stopReason: "end_turn" });
      const ids = second.events.map((event) => event.id);
      expect(ids.slice(0, seen.length)).toEqual(seen);
      expect(ids.toSorted(compareIds)).toEqual(ids);
      expect(new Set(ids).size).toBe(ids.length);
    });

    it("sends its questions out and takes each answer once", async () => {
      if (!can("approvals")) return;
      script(
        { match: { afterTool: false }, action: { kind: "shell", commands: ["echo ran > was-allowed.txt"] } },
        { action: { kind: "text", text: "done" } },
      );
      const host = await boot();
      await host.start({ ask: true });
      expect((await host.post("/answer", { requestId: "none", optionId: "x" })).body.code).toBe("unknown_request");
      await host.post("/inject", say("m1", "do it"));
      const asked = await host.until("the question", () => host.last("permission.requested"));
      const { requestId, options: choices } = asked.payload as {
        requestId: string;
        options: { optionId: string; kind: string }[];
      };
      expect((await host.state()).openRequests).toEqual([requestId]);
      expect((await host.post("/answer", { requestId, optionId: "not-an-option" })).body.code).toBe("invalid_request");
      const optionId = choices.find((choice) => choice.kind === "allow_once")?.optionId;
      expect((await host.post("/answer", { requestId, optionId })).status).toBe(200);
      expect((await host.post("/answer", { requestId, optionId })).body.code).toBe("unknown_request");
      await host.turnEnd(1);
      expect(readFileSync(join(host.folders.cwd, "was-allowed.txt"), "utf8")).toBe("ran\n");
      expect(host.all("permission.resolved").map((event) => event.payload.outcome)).toEqual(["selected"]);
      expect((await host.state()).openRequests).toEqual([]);
    });

    it("changes the model, or refuses by code", async () => {
      script(
        { match: { model: literally(options.otherModel) }, action: { kind: "text", text: "the other one" } },
        { action: { kind: "text", text: "the first one" } },
      );
      const host = await boot();
      await host.start();
      const reply = await host.post("/model", { model: options.otherModel });
      if (!can("models")) {
        expect(reply.body.code).toBe("capability_missing");
        return;
      }
      expect(reply.status).toBe(200);
      await host.post("/inject", say("m1", "who are you?"));
      await host.turnEnd(1);
      await host.until("the other model", () => host.events.some((event) => event.payload.text === "the other one"));
      expect((await host.state()).model).toBe(options.otherModel);
    });

    it("leaves nothing behind when it is shut down in a turn", async () => {
      const mark = `9874${Math.floor(Math.random() * 1e6)}`;
      script({ action: { kind: "shell", commands: [`sleep ${mark}`] } });
      const host = await boot();
      await host.start();
      const cli = host.cliPid;
      await host.post("/inject", say("m1", "go"));
      await host.until("the command", () => host.last("tool.started"));
      expect((await host.post("/shutdown")).status).toBe(200);
      expect((await host.exited).code).toBe(0);
      expect(await isGone(`sleep\0${mark}`)).toBe(true);
      expect(() => process.kill(cli, 0)).toThrow();
      await host.until("the last word", () => host.last("session.ended"));
    });
  });
}

const literally = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
