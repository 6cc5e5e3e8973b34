import { type ClientRequest, Agent as HttpAgent, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest, type RequestOptions } from "node:https";
import { connect, isIP, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type ConnectionOptions, connect as tlsConnect } from "node:tls";
import type { SidecarBoot } from "@x1agent/contract";

export const CONNECT_MS = 15_000;
type Way = Pick<SidecarBoot, "upstreamProxy" | "ca">;

/** The operator's own credential for the machine's proxy. */
export function proxyAuthorization(proxy: URL): Record<string, string> {
  if (!proxy.username) return {};
  const pair = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return { "proxy-authorization": `Basic ${Buffer.from(pair).toString("base64")}` };
}

export const portOf = (url: URL): number => Number(url.port) || (url.protocol === "https:" ? 443 : 80);
/** A URL's host as it is resolved: without the brackets of IPv6. */
export const hostOf = (url: URL): string => url.hostname.replace(/^\[|\]$/g, "");

/** Connects to the address that was judged, or asks the machine's own proxy for a tunnel to the host. */
export function dial(boot: Way, address: string, host: string, port: number): Promise<Socket> {
  const proxy = boot.upstreamProxy ? new URL(boot.upstreamProxy) : null;
  return new Promise((resolve, reject) => {
    if (!proxy) {
      const socket = connect({ host: address, port, noDelay: true });
      const timer = setTimeout(() => socket.destroy(new Error("timed out")), CONNECT_MS);
      socket.once("connect", () => {
        clearTimeout(timer);
        socket.removeAllListeners("error");
        resolve(socket);
      });
      socket.once("error", (error) => {
        clearTimeout(timer);
        reject(error);
      });
      return;
    }
    const asked = httpRequest({
      host: proxy.hostname,
      port: Number(proxy.port) || 80,
      method: "CONNECT",
      path: `${isIP(host) === 6 ? `[${host}]` : host}:${port}`,
      headers: proxyAuthorization(proxy),
      timeout: CONNECT_MS,
    });
    asked.on("connect", (answer, socket) => {
      if (answer.statusCode === 200) return resolve(socket);
      socket.destroy();
      reject(new Error(`The machine's proxy answered ${answer.statusCode}.`));
    });
    asked.on("timeout", () => asked.destroy(new Error("timed out")));
    asked.on("error", reject);
    asked.end();
  });
}

/**
 * Requests to one server after another over connections that are kept. A server is dialled at the address that was judged and
 * must show a certificate for its name; behind the machine's proxy that proxy is asked for the name.
 */
export class Upstreams {
  readonly #boot: Way;
  #http = new HttpAgent({ keepAlive: true });
  #https: HttpsAgent;

  constructor(boot: Way) {
    this.#boot = boot;
    this.#https = this.#secure();
  }

  /** A request to `url` at `address`; the caller adds a body where there is one, and ends it. */
  request(url: URL, address: string, options: { method: string; headers: Record<string, string> }): ClientRequest {
    const { upstreamProxy } = this.#boot;
    const port = portOf(url);
    const headers = { ...options.headers, host: url.host };
    const path = url.pathname + url.search;
    if (url.protocol === "https:")
      return httpsRequest({
        ...{ host: address, port, method: options.method, path, headers, agent: this.#https },
        // A name only: RFC 6066 has no addresses there.
        servername: isIP(hostOf(url)) === 0 ? hostOf(url) : "",
      });
    if (!upstreamProxy)
      return httpRequest({ host: address, port, method: options.method, path, headers, agent: this.#http });
    const proxy = new URL(upstreamProxy);
    return httpRequest({
      ...{ host: proxy.hostname, port: Number(proxy.port) || 80, method: options.method, path: url.href },
      ...{ headers: { ...headers, ...proxyAuthorization(proxy) }, agent: this.#http },
    });
  }

  /** Ends every connection that was kept. */
  end(): void {
    this.#http.destroy();
    this.#https.destroy();
    this.#http = new HttpAgent({ keepAlive: true });
    this.#https = this.#secure();
  }

  #secure(): HttpsAgent {
    const options = { keepAlive: true, ...(this.#boot.ca ? { ca: this.#boot.ca } : {}) };
    return this.#boot.upstreamProxy ? new TunnelAgent(this.#boot, options) : new HttpsAgent(options);
  }
}

/** Speaks TLS inside tunnels of the machine's proxy. */
class TunnelAgent extends HttpsAgent {
  readonly #boot: Way;
  constructor(boot: Way, options: ConstructorParameters<typeof HttpsAgent>[0]) {
    super(options);
    this.#boot = boot;
  }

  override createConnection(
    options: RequestOptions,
    done?: (error: Error | null, socket: Duplex) => void,
  ): Duplex | null | undefined {
    const { host, port, servername, ca } = options;
    const [to, told] = [String(host), done as ((error: Error | null, socket?: Duplex) => void) | undefined];
    dial(this.#boot, to, to, Number(port)).then(
      (socket) => told?.(null, tlsConnect({ socket, host: to, servername, ca } as ConnectionOptions)),
      (error: Error) => told?.(error),
    );
    return undefined;
  }
}
