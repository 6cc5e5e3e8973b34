import { randomBytes } from "node:crypto";
import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { inferencePrefix, type SidecarBoot, type SidecarPolicy } from "@x1agent/contract";
import { TokenCheck } from "./http.ts";
import { inferenceHandler } from "./inference.ts";
import { Ledger } from "./ledger.ts";

const CALLS = 3;
const MAX_MS = 1_000;

/**
 * Sends a few calls of our own through a handler like the real one, to a provider of our own: the first call of an agent
 * then finds code that has run. Nothing of it reaches ledger, policy, credentials or record of the workspace; both ends are
 * on loopback and gone afterwards. Resolves with the number of answers; never rejects.
 */
export async function warmUp(
  boot: Pick<SidecarBoot, "limits" | "forbidden" | "sliceTokens">,
  calls = CALLS,
): Promise<number> {
  const servers: Server[] = [];
  const token = randomBytes(16).toString("base64url");
  const ledger = new Ledger({
    lease: async () => ({
      ...{ outcome: "granted", leaseId: "warm", amountMicros: 1e9 },
      expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
    }),
    settle: async () => {},
  });
  const patience = AbortSignal.timeout(MAX_MS);
  try {
    const provider = createServer((incoming, response) => {
      incoming.resume();
      incoming.on("end", () => response.writeHead(200, { "content-type": "text/event-stream" }).end(answer));
    });
    const handler = inferenceHandler({
      boot: {
        ...boot,
        ...{
          workspaceId: "warm",
          attemptId: "warm",
          jobId: "warm",
          controlUrl: "http://127.0.0.1",
          enrolmentToken: "",
        },
        ...{ jobToken: token, failClosedMs: MAX_MS, phase: "agent", git: [], registries: [] },
        routes: [
          {
            ...{ provider: "warm", grantType: "ai.anthropic", api: "anthropic-messages", allowPrivate: true },
            ...{ baseUrl: `http://127.0.0.1:${await listen(provider, servers)}`, auth: { kind: "none" } },
          },
        ],
        prices: { "warm/warm": price },
      },
      token: new TokenCheck(token),
      ledger,
      policy: () => policy,
      use: async () => true,
      onPolicy: () => {},
      note: () => {},
    });
    const port = await listen(createServer({ noDelay: true }, handler), servers);
    let answered = 0;
    for (; answered < calls; answered += 1) await call(port, token, patience);
    return answered;
  } catch {
    return 0;
  } finally {
    await ledger.close();
    for (const server of servers) {
      server.close();
      server.closeAllConnections();
    }
  }
}

const policy: SidecarPolicy = {
  ...{ version: 0, phase: "agent", egress: [], stopped: false },
  grants: [{ id: "warm", type: "ai.anthropic", details: { pattern: "*" }, once: false }],
};
const price = {
  ...{ inputMicrosPerMTok: 1, outputMicrosPerMTok: 1, cacheReadMicrosPerMTok: 1, cacheWriteMicrosPerMTok: 1 },
  ...{ source: "none", asOf: "1970-01-01" },
};
const answer = [
  { type: "message_start", message: { usage: { input_tokens: 1, output_tokens: 1 } } },
  { type: "content_block_delta", delta: { type: "text_delta", text: "x" } },
  { type: "message_delta", usage: { output_tokens: 1 } },
]
  .map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
  .join("");
const body = JSON.stringify({ model: "warm", max_tokens: 1, stream: true, messages: [{ role: "user", content: "x" }] });

function listen(server: Server, servers: Server[]): Promise<number> {
  servers.push(server);
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
}

function call(port: number, token: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        ...{
          host: "127.0.0.1",
          port,
          method: "POST",
          path: `${inferencePrefix["anthropic-messages"]}/v1/messages?beta=true`,
          signal,
        },
        headers: { "x-api-key": token, "content-type": "application/json", "content-length": body.length },
      },
      (response) => {
        response.resume();
        response.on("close", () =>
          response.statusCode === 200 && response.complete ? resolve() : reject(new Error("refused")),
        );
      },
    );
    sent.on("error", reject);
    sent.end(body);
  });
}
