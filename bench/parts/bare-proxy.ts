/** The shortest proxy that node:http allows: no policy, no money, no audit. `bare-proxy.ts <socket> <upstream port>`. */
import { Agent, createServer, request } from "node:http";

const [socket, port] = process.argv.slice(2);
const agent = new Agent({ keepAlive: true, noDelay: true, scheduling: "lifo" } as never);
const server = createServer({ noDelay: true, keepAliveTimeout: 600_000 }, (incoming, response) => {
  const { host: _, ...headers } = incoming.headers;
  const upstream = request(
    {
      agent,
      host: "127.0.0.1",
      port: Number(port),
      method: incoming.method ?? "GET",
      path: incoming.url ?? "/",
      headers,
    },
    (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    },
  );
  upstream.on("error", () => response.destroy());
  incoming.pipe(upstream);
});
server.listen(socket, () => console.log("ready"));
process.once("SIGTERM", () => process.exit(0));
