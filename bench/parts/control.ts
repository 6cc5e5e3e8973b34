/** A control plane for one sidecar that grants everything at once: what is measured beside it is the sidecar. Prints `{port}`. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { sidecarPaths } from "@x1agent/contract";

const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString();
const policy = {
  version: 1,
  phase: "agent",
  grants: [{ id: "g", type: "ai.anthropic", details: { pattern: "*" }, once: false }],
  egress: [],
  stopped: false,
};
let leases = 0;
const answers: Record<string, () => unknown> = {
  [sidecarPaths.enrol]: () => ({ identity: "bench", expiresAt: inAnHour() }),
  [sidecarPaths.renew]: () => ({ identity: "bench", expiresAt: inAnHour() }),
  [sidecarPaths.lease]: () => {
    leases += 1;
    return { outcome: "granted", leaseId: `l${leases}`, amountMicros: 1e12, expiresAt: inAnHour() };
  },
};
const server = createServer((request, response) => {
  if (request.url === sidecarPaths.policy) {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(`data: ${JSON.stringify(policy)}\n\n`);
    const beat = setInterval(() => response.write(": beat\n\n"), 1_000);
    response.on("close", () => clearInterval(beat));
    return;
  }
  request.resume();
  request.on("end", () => {
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify(answers[request.url ?? ""]?.() ?? {}));
  });
});
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: (server.address() as AddressInfo).port })));
process.once("SIGTERM", () => process.exit(0));
