/**
 * A server of job events: `fan-out.ts ours` is the product's fan-out behind a plain listener, `fan-out.ts bare` writes each
 * frame to each response and does nothing else. Driven by lines on standard input: `<count> <times>` stores count events
 * and wakes, times a second apart from each other's start by 50 ms. Prints `{port}`, then `done` after each line.
 */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import type { StoredEvent } from "@x1agent/contract";
import { createHub } from "../../apps/api/src/events/hub.ts";
import { createEventStreams, frame } from "../../apps/api/src/events/streams.ts";

const ours = process.argv[2] === "ours";
const log: StoredEvent[] = [];
const make = (): StoredEvent => ({
  ...{ seq: log.length + 1, ts: new Date().toISOString(), type: "agent.text", source: "reported" },
  ...{ attemptId: "att_bench", turn: 1, origin: `1-${log.length + 1}` },
  payload: { messageId: "m", text: "x".repeat(100) },
});
const streams = createEventStreams({
  hub: createHub(),
  onError: (error) => console.error(error),
  // The database is somebody else's figure: what is read is there at once.
  read: async (_organization, _job, after, limit) => log.slice(after, after + limit),
});
const responses = new Set<ServerResponse>();
const server = createServer((_, response) => {
  if (ours) return streams.serve(response, { organizationId: "o", jobId: "j", after: log.length, live: true });
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  response.write("retry: 1000\n\n");
  responses.add(response);
  response.on("close", () => responses.delete(response));
});
createInterface({ input: process.stdin }).on("line", async (line) => {
  const [count = 1, times = 1] = line.split(" ").map(Number);
  for (let time = 0; time < times; time += 1) {
    const began = performance.now();
    const made = Array.from({ length: count }, () => {
      const event = make();
      log.push(event);
      return event;
    });
    if (ours) streams.wake("j");
    else
      for (const event of made) {
        const bytes = frame(event);
        for (const response of responses) response.write(bytes);
      }
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, 50 - (performance.now() - began))));
  }
  console.log("done");
});
server.listen({ port: 0, host: "127.0.0.1", backlog: 4_096 }, () =>
  console.log(JSON.stringify({ port: (server.address() as AddressInfo).port })),
);
process.once("SIGTERM", () => process.exit(0));
