import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { HostProcess } from "../packages/agent/src/conformance/host-process.ts";
import { type Bench, cpuMicros, interleave, privateBytes, root } from "./lib.ts";

/** The scripted runtime is the loader: its process writes as fast as its pipe takes it. */
const runtimeDir = dirname(join(root, "runtimes/mock/runtime.json"));
const event = /^data: .*"type":"agent\.text"/;

/** Reads the host's stream as bytes, without parsing, and resolves when `count` texts have come. */
function read(host: HostProcess, lastEventId: string, count: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const call = request(
      {
        socketPath: join(host.folders.run, "events.sock"),
        path: "/events",
        headers: { authorization: "Bearer conformance-token-0123456789", "last-event-id": lastEventId },
      },
      (response) => {
        let rest = "";
        let seen = 0;
        response.setEncoding("latin1").on("data", (text: string) => {
          const lines = (rest + text).split("\n");
          rest = lines.pop() ?? "";
          for (const line of lines) if (event.test(line)) seen += 1;
          if (seen < count) return;
          resolve(performance.now());
          call.destroy();
        });
      },
    );
    call.on("error", (error) => (error.message === "socket hang up" ? undefined : reject(error)));
    call.setTimeout(60_000, () => call.destroy(new Error("The host was silent for a minute.")));
    call.end();
  });
}

export const bench: Bench = {
  about:
    "events from a CLI's standard output through the host's journal to a reader. limit: the same CLI's lines split and read by a plain process.",
  async run({ quick }) {
    const count = quick ? 2_000 : 30_000;
    const home = await mkdtemp(join(tmpdir(), "x1-bench-"));
    const host = await HostProcess.boot({ runtimeDir, modelUrl: "http://127.0.0.1:9" });
    try {
      await host.start();
      const idle = privateBytes([host.pid]);
      let turn = 0;
      const seen = await interleave(quick ? 1 : 3, {
        ours: async () => {
          const { lastEventId } = (await host.get("/state")).body as { lastEventId: string };
          const cpu = cpuMicros(host.pid);
          const begin = performance.now();
          const done = read(host, lastEventId, count);
          turn += 1;
          await host.post("/inject", { id: `t${turn}`, content: `[[events ${count}]]`, mode: "queue" });
          const end = await done;
          await host.turnEnd(turn);
          // What came in is looked at by this process' own reader too; it is not measured.
          host.events.splice(0, host.events.length, ...host.all("turn.ended"));
          return { rate: count / ((end - begin) / 1_000), cpu: (cpuMicros(host.pid) - cpu) / count };
        },
        bare: async () => {
          const env = { PATH: process.env.PATH ?? "", HOME: home };
          const child = spawn(process.execPath, [join(runtimeDir, "cli.ts")], {
            env,
            stdio: ["pipe", "pipe", "ignore"],
          });
          const begun = Promise.withResolvers<void>();
          const ended = Promise.withResolvers<void>();
          let rest = "";
          child.stdout.setEncoding("utf8").on("data", (text: string) => {
            const lines = (rest + text).split("\n");
            rest = lines.pop() ?? "";
            for (const line of lines) {
              const { type } = JSON.parse(line) as { type: string };
              if (type === "ready") begun.resolve();
              if (type === "settled") ended.resolve();
            }
          });
          await begun.promise;
          const begin = performance.now();
          child.stdin.write(`${JSON.stringify({ type: "prompt", id: "1", text: `[[events ${count}]]` })}\n`);
          await ended.promise;
          const end = performance.now();
          child.kill("SIGKILL");
          return { rate: count / ((end - begin) / 1_000) };
        },
      });
      return [
        { figure: "events a second, CLI to reader", unit: "1/s", ours: seen.ours.rate!, limit: seen.bare.rate! },
        { figure: "CPU of the host per event", unit: "us", ours: seen.ours.cpu! },
        { figure: "private memory of an idle host", unit: "MB", ours: idle / 1e6 },
      ];
    } finally {
      await host.stop();
      await rm(home, { recursive: true, force: true });
    }
  },
};
