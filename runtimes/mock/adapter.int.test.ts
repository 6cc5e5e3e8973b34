import { spawnSync } from "node:child_process";
import { HostProcess, hasStarted, isGone, runtimeConformance } from "@x1agent/agent/conformance";
import { startModelServer } from "@x1agent/testkit";
import { afterEach, describe, expect, it } from "vitest";

runtimeConformance({
  runtimeDir: import.meta.dirname,
  model: () => startModelServer({ key: "job-token" }),
  otherModel: "claude-haiku-4-5",
  env: { MOCK_RETRY_MS: "10" },
});

/** What only a CLI that does as it is told can show: the host under one that misbehaves. */
describe("a CLI that misbehaves", () => {
  const hosts: HostProcess[] = [];
  afterEach(async () => {
    for (const host of hosts.splice(0)) await host.stop();
  });
  const run = async (goal: string) => {
    const host = await HostProcess.boot({ runtimeDir: import.meta.dirname, modelUrl: "http://127.0.0.1:9" });
    hosts.push(host);
    await host.start();
    await host.post("/inject", { id: "1", content: goal });
    return host;
  };

  it("floods: the session ends by code, in bounded memory", async () => {
    const host = await run("[[flood 400MB]]");
    const ended = await host.until("the end", () => host.last("session.ended"), 60_000);
    expect(ended.payload.code).toBe("output_flood");
    expect(await host.turnEnd(1)).toMatchObject({ stopReason: "error", errorCode: "output_flood" });
    expect(host.privateMemory).toBeLessThan(300 * 1024 * 1024);
    expect((await host.get("/health")).status).toBe(200);
  });

  it("prints a line of 50 MB: dropped and said, and the turn goes on", async () => {
    const host = await run("[[line 50MB]] [[say still here]]");
    expect(await host.turnEnd(1)).toMatchObject({ stopReason: "end_turn" });
    expect(host.last("error")?.payload.code).toBe("line_too_long");
    expect(host.last("agent.text")?.payload.text).toBe("still here");
  });

  it("prints garbage: some of it kept, then the end by code", async () => {
    const host = await run("[[garbage 5000]]");
    const ended = await host.until("the end", () => host.last("session.ended"));
    expect(ended.payload.code).toBe("protocol_garbage");
    expect(host.all("runtime.raw").length).toBeLessThanOrEqual(10);
    expect(host.all("runtime.raw").length).toBeGreaterThan(0);
  });

  it("dies in a turn: turn and session end by code", async () => {
    const host = await run("[[crash 7]]");
    expect(await host.turnEnd(1)).toMatchObject({ stopReason: "error", errorCode: "runtime_exited" });
    const ended = await host.until("the end", () => host.last("session.ended"));
    expect(ended.payload).toMatchObject({ code: "runtime_exited", exitCode: 7 });
  });

  it("hangs: an interrupt ends it by code after its time", async () => {
    const host = await run("[[hang]]");
    await host.until("the turn", () => host.last("turn.started"));
    await host.post("/interrupt");
    expect(await host.turnEnd(1)).toMatchObject({ errorCode: "runtime_hung" });
    const ended = await host.until("the end", () => host.last("session.ended"));
    expect(ended.payload.code).toBe("runtime_hung");
  });

  it.each(["job.state", "verification.ended", "turn.ended", "session.idle"])(
    "forges %s: refused and said",
    async (type) => {
      const host = await run(`[[forge ${type}]]`);
      await host.turnEnd(1);
      expect(host.last("error")?.payload).toMatchObject({ code: "forged_event" });
      expect(host.all(type).every((event) => event.payload.to !== "succeeded")).toBe(true);
      expect(host.events.every((event) => event.source === "reported")).toBe(true);
    },
  );

  it("leaves a process in a session of its own: gone after shutdown", async () => {
    const host = await run("[[orphan]]");
    await host.turnEnd(1);
    await host.stop();
    expect(await isGone("sleep\u000098765\u0000")).toBe(true);
  });

  it("hangs in a pid namespace of its own, with a process left behind: an interrupt that fails ends both (needs user namespaces)", async (ctx) => {
    const spawnPrefix = ["unshare", "--user", "--pid", "--fork", "--kill-child", "--mount-proc", "--map-root-user"];
    const [program = "", ...args] = spawnPrefix;
    const ids = process.getuid?.() === 0 ? { uid: 61_234, gid: 61_234 } : {};
    if (spawnSync(program, [...args, "true"], ids).status !== 0 && process.env.CI !== "true")
      ctx.skip("no user namespaces");
    const host = await HostProcess.boot({
      runtimeDir: import.meta.dirname,
      modelUrl: "http://127.0.0.1:9",
      spawnPrefix,
    });
    hosts.push(host);
    await host.start();
    await host.post("/inject", { id: "1", content: "[[shell (setsid sleep 98764 >/dev/null 2>&1 &)]] [[hang]]" });
    await host.until("the command", () => host.last("tool.ended"));
    expect(await hasStarted("sleep\u000098764")).toBe(true);
    await host.post("/interrupt");
    expect(await host.turnEnd(1)).toMatchObject({ errorCode: "runtime_hung" });
    await host.until("the end", () => host.last("session.ended"));
    expect(await isGone("sleep\u000098764")).toBe(true);
  });

  it("asks; the answer from outside goes in", async () => {
    const host = await run("[[ask which colour?]]");
    const asked = await host.until("the question", () => host.last("permission.requested"));
    expect(asked.payload).toMatchObject({ title: "which colour?", freeText: true });
    await host.post("/answer", { requestId: asked.payload.requestId, text: "green" });
    await host.turnEnd(1);
    expect(host.last("agent.text")?.payload.text).toBe("The answer was: green");
  });

  it("asks and is interrupted: the question is closed", async () => {
    const host = await run("[[ask for ever?]]");
    await host.until("the question", () => host.last("permission.requested"));
    await host.post("/interrupt");
    expect(await host.turnEnd(1)).toMatchObject({ stopReason: "cancelled" });
    expect(host.last("permission.resolved")?.payload.outcome).toBe("cancelled");
  });

  it("does not fill the queue without end", async () => {
    const host = await run("[[sleep 30]]");
    const codes: unknown[] = [];
    for (let count = 0; count < 102; count += 1)
      codes.push((await host.post("/inject", { id: `m${count}`, content: "more" })).body.code);
    expect(codes.filter((code) => code === "queue_full").length).toBeGreaterThan(0);
    expect((await host.state()).queued).toBe(100);
    // A refused id was not taken.
    expect((await host.post("/inject", { id: "m101", content: "more" })).body.code).toBe("queue_full");
  });
});
