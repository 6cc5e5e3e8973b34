import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { Fault } from "@x1agent/contract";

export type Listener = { url: string; close(): Promise<void> };
/** Longest wait for requests in flight when the listener closes; what lasts longer is cut off. */
const CLOSE_MS = 3_000;

/** Listens for HTTP. A port that is taken, or an address that is not ours, is a sentence that says what to do. */
export async function listen(
  fetch: Parameters<typeof createAdaptorServer>[0]["fetch"],
  options: { host: string; port: number },
): Promise<Listener> {
  const server = createAdaptorServer({
    fetch,
    // A client that sends its headers or body slowly holds a socket, not more, and not for long.
    serverOptions: { headersTimeout: 15_000, requestTimeout: 120_000, keepAliveTimeout: 10_000, maxHeaderSize: 16_384 },
  }) as Server;
  server.maxConnections = 10_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => reject(sentence(cause, options)));
    server.listen(options.port, options.host, resolve);
  });
  const { address, family, port } = server.address() as AddressInfo;
  return {
    url: `http://${family === "IPv6" ? `[${address}]` : address}:${port}`,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const timer = setTimeout(() => server.closeAllConnections(), CLOSE_MS);
      await closed;
      clearTimeout(timer);
    },
  };
}

function sentence(cause: NodeJS.ErrnoException, { host, port }: { host: string; port: number }): Fault {
  const text =
    cause.code === "EADDRINUSE"
      ? `Port ${port} on ${host} is taken: stop what listens there, or choose another with --port (0 takes any).`
      : cause.code === "EACCES"
        ? `Port ${port} needs more rights: choose one above 1023 with --port.`
        : cause.code === "EADDRNOTAVAIL"
          ? `${host} is no address of this machine: choose another with --host.`
          : `Listening on ${host}:${port} failed (${cause.code}).`;
  return new Fault("unavailable", text, { cause });
}
