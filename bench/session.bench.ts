import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { RuntimeAdapter } from "@x1agent/agent/adapter";
import { adapterHarness, agentFolders } from "@x1agent/testkit";
import { type Bench, cpuMicros, median, pause, privateBytes, root, treeOf } from "./lib.ts";
import { install, openStage, reach } from "./service.ts";

/** The scripted runtime: it takes orders from the goal, and its CLI is small, so that what is seen is the product. */
const runtimeDir = dirname(join(root, "runtimes/mock/runtime.json"));

const commandLine = (pid: number) => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return "";
  }
};

/** Memory of the CLI as a plain child, waiting for its next message. */
async function bareMemory(): Promise<number> {
  const { default: adapter } = (await import(join(runtimeDir, "adapter.ts"))) as { default: RuntimeAdapter };
  const folders = await agentFolders();
  try {
    const harness = adapterHarness({ runtimeDir, ...folders });
    const session = await adapter.start(harness.context);
    await pause(300);
    const bytes = privateBytes(harness.processes.map(({ pid }) => pid));
    await session.close();
    return bytes;
  } finally {
    await folders.remove();
  }
}

export const bench: Bench = {
  about: "whole sessions of the scripted runtime in the running service. limit of memory: its CLI as a plain process.",
  async run({ quick, note }) {
    // Its processes are told apart by what came after it started.
    const stage = await openStage("fresh", ["--spare-sidecars", "0"]);
    const { client, repository, service } = stage;
    try {
      const { items } = await client.listRuntimes();
      const found = items.find(({ manifest }) => manifest.install === null && manifest.processLevel);
      if (!found) throw new Error("There is no scripted runtime.");
      await install(client, found.manifest);
      const create = (goal: string) => client.createJob({ body: { repository, runtime: found.manifest.name, goal } });

      // Events: from the CLI inside the workspace through host, service and database to one reader of the API.
      const count = quick ? 1_000 : 20_000;
      const rates: number[] = [];
      const cpus: number[] = [];
      for (let round = 0; round < (quick ? 1 : 3); round += 1) {
        const { id } = await create(`[[events ${count}]]`);
        const cpu = cpuMicros(service.pid);
        const stop = new AbortController();
        let first = 0;
        let seen = 0;
        for await (const event of client.events(id, { signal: stop.signal })) {
          if (event.type !== "agent.text") continue;
          first ||= performance.now();
          seen += 1;
          if (seen === count) break;
        }
        rates.push(count / ((performance.now() - first) / 1_000));
        cpus.push((cpuMicros(service.pid) - cpu) / count);
        stop.abort();
        await reach(client, id, "no_changes");
      }

      const wanted = quick ? 1 : 4;
      const before = new Set(treeOf(service.pid));
      const serviceBefore = privateBytes([service.pid]);
      const waiting: string[] = [];
      for (let at = 0; at < wanted; at += 1) {
        const { id } = await create("[[ask Shall I?]]");
        await reach(client, id, "awaiting_input");
        waiting.push(id);
      }
      await pause(1_000);
      const made = treeOf(service.pid).filter((pid) => !before.has(pid) && !/postgres/.test(commandLine(pid)));
      const memory = (pattern: RegExp) =>
        privateBytes(made.filter((pid) => pattern.test(commandLine(pid)))) / wanted / 1e6;
      const total = privateBytes(made) / wanted / 1e6;
      const host = memory(/host\.mjs/);
      const sidecar = memory(/sidecar\.mjs/);
      const grown = (privateBytes([service.pid]) - serviceBefore) / wanted / 1e6;
      const bare = (await bareMemory()) / 1e6;
      if (host === 0 || sidecar === 0) note("the host's or the sidecar's process was not recognised by its name");
      for (const jobId of waiting) await client.cancelJob({ params: { jobId } });
      for (const jobId of waiting) await reach(client, jobId, "cancelled");
      return [
        { figure: "events a second, CLI to reader of the API", unit: "1/s", ours: median(rates) },
        { figure: "CPU of the service per event", unit: "us", ours: median(cpus) },
        { figure: "private memory of an idle session, all", unit: "MB", ours: total, limit: bare },
        { figure: "of it the host", unit: "MB", ours: host },
        { figure: "of it the sidecar", unit: "MB", ours: sidecar },
        { figure: "growth of the service per idle session", unit: "MB", ours: grown },
      ];
    } finally {
      await stage.close();
    }
  },
};
