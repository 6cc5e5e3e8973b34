import { createConnection, createServer, type Server } from "node:net";
import { join } from "node:path";
import { ports } from "@x1agent/contract";

export type Forwarded = { ports: { api: number; inference: number; egress: number }; close(): Promise<void> };

/**
 * Loopback ports inside the workspace that lead to the sidecar's unix sockets outside. Bytes are copied as they are, with
 * backpressure, and each direction ends by itself; tokens are the clients' business.
 */
export async function startForwarder(options: { sockDir: string; free?: boolean }): Promise<Forwarded> {
  const wanted = { api: ports.sidecarApi, inference: ports.inference, egress: ports.egress };
  const servers: Server[] = [];
  /** Ends one connection, for each that is open. */
  const pairs = new Set<() => void>();
  const open = async (name: keyof typeof wanted): Promise<number> => {
    const server = forwardTo(join(options.sockDir, `${name}.sock`), pairs);
    servers.push(server);
    return listen(server, options.free ? 0 : wanted[name]);
  };
  const close = async () => {
    for (const pair of pairs) pair();
    await Promise.all(servers.map((server) => new Promise<void>((resolve) => void server.close(() => resolve()))));
  };
  try {
    return {
      ports: { api: await open("api"), inference: await open("inference"), egress: await open("egress") },
      close,
    };
  } catch (cause) {
    await close();
    throw cause;
  }
}

function forwardTo(path: string, pairs: Set<() => void>): Server {
  // Half-open on both sides: a client that has sent its request and closed that half still gets its answer.
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const upstream = createConnection({ path, allowHalfOpen: true });
    client.pipe(upstream);
    upstream.pipe(client);
    const both = () => {
      client.destroy();
      upstream.destroy();
    };
    pairs.add(both);
    client.on("error", both);
    upstream.on("error", both);
    // A side that is gone altogether takes the other with it; a side that merely ended does not.
    client.on("close", () => {
      pairs.delete(both);
      upstream.destroySoon();
    });
    upstream.on("close", () => client.destroySoon());
  });
  server.maxConnections = 1_024;
  return server;
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: "127.0.0.1", port }, () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}
