import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { Writable } from "node:stream";
import { expect, it } from "vitest";
import { anthropic, entry, message, messageStream, startSidecarProcess, startUpstream, until } from "./test/harness.ts";
import { warmUp } from "./warm.ts";

const limits = { maxBodyBytes: 1_000, maxConcurrentCalls: 1, egressBytes: 0, maxTunnels: 0 };

it("warms up with calls that are answered, and leaves nothing open", async () => {
  const before = process.getActiveResourcesInfo().filter((name) => /TCP/.test(name)).length;
  expect(await warmUp({ limits, forbidden: [], sliceTokens: 10 })).toBe(3);
  await expect.poll(() => process.getActiveResourcesInfo().filter((name) => /TCP/.test(name)).length).toBe(before);
});

it("gives up quietly where no call gets through", async () => {
  expect(await warmUp({ limits: { ...limits, maxBodyBytes: 1 }, forbidden: [], sliceTokens: 10 })).toBe(0);
});

/** Sockets of a process that listen, on any address. */
function listening(pid: number): string[] {
  const inodes = readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
    } catch {
      return undefined;
    }
  });
  const rows = ["tcp", "tcp6"].flatMap((name) => readFileSync(`/proc/${pid}/net/${name}`, "utf8").trim().split("\n"));
  return rows.filter((row) => {
    const words = row.trim().split(/\s+/);
    return words[3] === "0A" && inodes.includes(words[9]);
  });
}

it("waits warm and nameless when it is started ahead, and serves like any other when it gets its boot document", async () => {
  const upstream = await startUpstream((_body, response) => messageStream(response, { input: 1, output: 1 }));
  let waited = false;
  const sidecar = await startSidecarProcess({
    upstreamPort: upstream.port,
    async ahead({ pid = 0 }, dir) {
      // Warm when what it warmed up with has come and gone; nothing but waiting takes processor time then.
      const ticks = () => readFileSync(`/proc/${pid}/stat`, "utf8").split(" ").slice(13, 15).join(" ");
      let last = "";
      let calm = 0;
      await until(() => {
        const now = ticks();
        calm = now === last && listening(pid).length === 0 ? calm + 1 : 0;
        last = now;
        return calm > 20;
      }, "that it waits");
      expect(readdirSync(dir)).toEqual([]);
      expect(readFileSync(`/proc/${pid}/environ`, "utf8")).toBe("");
      waited = true;
    },
  });
  try {
    expect(waited).toBe(true);
    expect(sidecar.control.calls).toEqual([]);
    expect((await anthropic(sidecar, message())).status).toBe(200);
    expect(upstream.requests).toHaveLength(1);
  } finally {
    await sidecar.stop();
    upstream.server.close();
    upstream.server.closeAllConnections();
  }
});

it("ends by itself when it was started ahead and nobody took it", async () => {
  const child = spawn(process.execPath, [entry, "--sock", "/nowhere", "--ahead"], {
    ...{ env: {}, stdio: ["pipe", "pipe", "pipe", "pipe"] },
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (part: Buffer) => (said += part.toString()));
  (child.stdio[3] as Writable).end();
  expect(await once(child, "exit")).toEqual([0, null]);
  expect(said).toBe("");
});
