/**
 * A provider: reads the whole body, then one event with final usage, at once or, where a request's id says `wait-<ms>`, that
 * much later, as a real one thinks. Prints `{port}`.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const message = {
  ...{ id: "m", type: "message", role: "assistant", model: "claude-sonnet-4-5", content: [], stop_reason: null },
  usage: { input_tokens: 10, output_tokens: 1 },
};
const event = (data: { type: string }) => `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
const answer = Buffer.from(
  [
    { type: "message_start", message },
    { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { input_tokens: 10, output_tokens: 5 } },
    { type: "message_stop" },
  ]
    .map(event)
    .join(""),
);
const server = createServer({ noDelay: true, keepAliveTimeout: 600_000 }, (request, response) => {
  request.resume();
  const [, wait] = /^wait-(\d{1,4})$/.exec(String(request.headers["x-client-request-id"])) ?? [];
  const reply = () => response.writeHead(200, { "content-type": "text/event-stream" }).end(answer);
  request.on("end", () => (wait === undefined ? reply() : setTimeout(reply, Number(wait))));
});
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: (server.address() as AddressInfo).port })));
process.once("SIGTERM", () => process.exit(0));
