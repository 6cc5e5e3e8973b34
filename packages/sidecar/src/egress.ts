import { request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import { connect, isIP, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import {
  type EgressRule,
  type ErrorCode,
  matchesPattern,
  type SidecarBoot,
  type SidecarPolicy,
} from "@x1agent/contract";
import { normalizeHost, permits, resolveAllowed } from "./address.ts";
import { refuse, responseHeaders, type TokenCheck } from "./http.ts";

export type EgressDeps = {
  boot: SidecarBoot;
  token: TokenCheck;
  policy(): SidecarPolicy | null;
  onPolicy(listener: (policy: SidecarPolicy) => void): void;
  note(type: string, payload: Record<string, unknown>): void;
};

const CONNECT_MS = 15_000;
const IDLE_MS = 5 * 60_000;
const HELLO_BYTES = 16 * 1024;
const TLS_PORT = 443;
/** Content type of a TLS record that carries a handshake (RFC 8446 section 5.1). */
const TLS_HANDSHAKE = 22;
/** The same refusal is told once in this time, so that a retry loop does not fill the record. */
const REPEAT_MS = 10_000;

/** The rules that let this host and port be reached in the policy's phase; what one of them allows is allowed. Pure. */
export function findRules(policy: SidecarPolicy, host: string, port: number): EgressRule[] {
  return policy.egress.filter(
    (rule) => rule.phases.includes(policy.phase) && rule.ports.includes(port) && matchesPattern(rule.host, host),
  );
}

/**
 * The egress proxy: CONNECT and absolute-form HTTP, by host rules. A name is resolved here, once; the address is judged
 * after that and dialled as it is. Tunnels are closed when their rule no longer holds, with the phase first of all.
 */
export function egressHandlers(deps: EgressDeps) {
  const tunnels = new Set<{ host: string; address: string; port: number; end: () => void }>();
  const told = new Map<string, number>();
  let bytes = 0;
  let quotaTold = false;
  let phase = deps.boot.phase;

  deps.onPolicy((policy) => {
    if (policy.phase !== phase) {
      phase = policy.phase;
      bytes = 0;
      quotaTold = false;
      for (const tunnel of tunnels) tunnel.end();
      return;
    }
    for (const tunnel of tunnels) {
      const rules = policy.stopped ? [] : findRules(policy, tunnel.host, tunnel.port);
      if (!rules.some((rule) => isIP(tunnel.address) === 0 || permits(rule, tunnel.address))) tunnel.end();
    }
  });

  const blocked = (host: string, port: number, code: ErrorCode, detail?: string) => {
    const key = `${host}:${port} ${code}`;
    const now = Date.now();
    if ((told.get(key) ?? 0) + REPEAT_MS > now) return;
    if (told.size > 1_000) told.clear();
    told.set(key, now);
    deps.note("egress.blocked", {
      host: host.slice(0, 253),
      port,
      phase,
      code,
      ...(detail ? { detail: detail.slice(0, 500) } : {}),
    });
  };

  /** Everything that decides whether a destination is dialled, and at which address. */
  async function admit(
    rawHost: string,
    port: number,
  ): Promise<{ ok: true; host: string; address: string } | { ok: false; code: ErrorCode; detail: string }> {
    const policy = deps.policy();
    const host = normalizeHost(rawHost);
    if (!host || !Number.isInteger(port) || port < 1 || port > 65_535)
      return { ok: false, code: "egress_blocked", detail: "The destination is not a host and port." };
    const no = (code: ErrorCode, detail: string) => {
      blocked(host, port, code, detail);
      return { ok: false as const, code, detail };
    };
    if (!policy || policy.stopped) return no("control_unreachable", "Rules could not be refreshed.");
    const rules = findRules(policy, host, port);
    if (rules.length === 0)
      return no(
        "egress_blocked",
        `${host}:${port} is not allowed in the phase ${policy.phase}: x1 egress allow ${host}`,
      );
    if (bytes > deps.boot.limits.egressBytes)
      return no("quota_exceeded", `The phase's limit of ${deps.boot.limits.egressBytes} bytes is used up.`);
    if (tunnels.size >= deps.boot.limits.maxTunnels) return no("rate_limited", "Too many connections at once.");
    // Behind the machine's own proxy that proxy resolves: of names no address can be judged here.
    if (deps.boot.upstreamProxy && isIP(host) === 0) return { ok: true, host, address: host };
    const resolved = await resolveAllowed(host, port, rules, deps.boot.forbidden);
    return resolved.ok ? { ok: true, host, address: resolved.address } : no(resolved.code, resolved.detail);
  }

  const count = (moved: number): boolean => {
    bytes += moved;
    if (bytes <= deps.boot.limits.egressBytes) return true;
    if (!quotaTold) {
      const max = deps.boot.limits.egressBytes;
      deps.note("limit.hit", {
        limit: "egress_bytes",
        detail: `The phase ${phase} has used up its bytes.`,
        value: bytes,
        max,
      });
    }
    quotaTold = true;
    for (const tunnel of [...tunnels]) tunnel.end();
    return false;
  };

  /**
   * CONNECT: the first bytes up must be a TLS hello for the very host that was asked for, since one address serves many names.
   * On a port that an operator named and that is not TLS's own, another protocol may speak; its host was resolved here.
   */
  async function onConnect(request: IncomingMessage, client: Duplex, head: Buffer): Promise<void> {
    client.on("error", () => client.destroy());
    const say = (status: string, body = "") =>
      client.end(
        `HTTP/1.1 ${status}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n${status.startsWith("407") ? 'proxy-authenticate: Basic realm="x1"\r\n' : ""}\r\n${body}`,
      );
    if (!deps.token.accepts(request.headers, ["proxy-authorization"]))
      return void say("407 Proxy Authentication Required");
    const match = /^(\[[^\]]+\]|[^:]+):(\d{1,5})$/.exec(request.url ?? "");
    const target = await admit(match?.[1] ?? "", Number(match?.[2] ?? 0));
    if (!target.ok) return void say("403 Forbidden", `${target.code}: ${target.detail}\n`);
    const port = Number(match?.[2]);
    let server: Socket;
    try {
      server = await dial(deps.boot, target.address, target.host, port);
    } catch {
      return void say("502 Bad Gateway", "upstream_failed\n");
    }
    if (client.destroyed) return void server.destroy();
    let up = 0;
    let down = 0;
    const tunnel = {
      host: target.host,
      address: target.address,
      port,
      end: () => {
        client.destroy();
        server.destroy();
      },
    };
    tunnels.add(tunnel);
    const done = () => {
      if (!tunnels.delete(tunnel)) return;
      tunnel.end();
      deps.note("egress.opened", { host: target.host, port, phase, bytesUp: up, bytesDown: down });
    };
    for (const side of [client, server]) side.on("close", done).on("error", done);
    server.setTimeout(IDLE_MS, done);
    client.write("HTTP/1.1 200 Connection established\r\n\r\n");

    let hello: Buffer | null = Buffer.alloc(0);
    const take = (chunk: Buffer) => {
      up += chunk.length;
      if (!count(chunk.length)) return done();
      if (hello === null) {
        if (!server.write(chunk)) {
          client.pause();
          server.once("drain", () => client.resume());
        }
        return;
      }
      hello = Buffer.concat([hello, chunk]);
      const name = serverName(hello);
      if (port !== TLS_PORT && hello[0] !== TLS_HANDSHAKE) {
        server.write(hello);
        hello = null;
        return;
      }
      if (name.kind === "more" && hello.length < HELLO_BYTES) return;
      if (name.kind !== "name" || normalizeHost(name.name) !== target.host) {
        blocked(
          target.host,
          port,
          "egress_blocked",
          name.kind === "name"
            ? `The tunnel was opened for ${target.host} and used for ${name.name}.`
            : "The tunnel was not used for TLS with a server name.",
        );
        return done();
      }
      server.write(hello);
      hello = null;
    };
    client.on("data", take);
    if (head.length > 0) take(head);
    server.on("data", (chunk: Buffer) => {
      down += chunk.length;
      if (!count(chunk.length)) return done();
      if (!client.write(chunk)) {
        server.pause();
        client.once("drain", () => server.resume());
      }
    });
    client.on("end", () => server.end());
    server.on("end", () => client.end());
  }

  /** Plain HTTP in absolute form. The proxy's own credential and the client's do not travel. */
  async function onRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!deps.token.accepts(request.headers, ["proxy-authorization"]))
      return void response.writeHead(407, { "proxy-authenticate": 'Basic realm="x1"', "content-length": 0 }).end();
    let url: URL;
    try {
      url = new URL(request.url ?? "");
    } catch {
      return refuse(response, "invalid_request", "This is a proxy: send the whole address.");
    }
    if (url.protocol !== "http:") return refuse(response, "path_refused", "Use CONNECT for anything but plain HTTP.");
    const port = Number(url.port) || 80;
    const target = await admit(url.hostname, port);
    if (!target.ok) return refuse(response, target.code, target.detail);
    const headers: Record<string, string | string[]> = {};
    for (const [name, value] of Object.entries(request.headers))
      if (
        value !== undefined &&
        !/^(proxy-.*|connection|keep-alive|te|trailer|upgrade|transfer-encoding|authorization|cookie)$/.test(name)
      )
        headers[name] = value;
    headers.host = url.host;
    const proxy = deps.boot.upstreamProxy ? new URL(deps.boot.upstreamProxy) : null;
    if (proxy) Object.assign(headers, proxyAuthorization(proxy));
    const upstream = httpRequest({
      host: proxy ? proxy.hostname : target.address,
      port: proxy ? Number(proxy.port) || 80 : port,
      method: request.method,
      path: proxy ? url.href : url.pathname + url.search,
      headers,
      timeout: CONNECT_MS,
    });
    let up = 0;
    let down = 0;
    upstream.on("timeout", () => upstream.destroy());
    upstream.on("error", () => (response.headersSent ? response.destroy() : refuse(response, "upstream_failed")));
    upstream.on("response", (incoming) => {
      response.writeHead(incoming.statusCode ?? 502, responseHeaders(incoming.headers));
      incoming.on("data", (chunk: Buffer) => {
        down += chunk.length;
        if (!count(chunk.length)) upstream.destroy();
      });
      incoming.pipe(response);
    });
    const tunnel = {
      host: target.host,
      address: target.address,
      port,
      end: () => {
        upstream.destroy();
        response.destroy();
      },
    };
    tunnels.add(tunnel);
    response.on("close", () => {
      tunnels.delete(tunnel);
      upstream.destroy();
      deps.note("egress.opened", { host: target.host, port, phase, bytesUp: up, bytesDown: down });
    });
    request.on("data", (chunk: Buffer) => {
      up += chunk.length;
      if (!count(chunk.length)) upstream.destroy();
    });
    request.pipe(upstream);
  }

  return { onConnect, onRequest };
}

/** The operator's own credential for the machine's proxy. */
function proxyAuthorization(proxy: URL): Record<string, string> {
  if (!proxy.username) return {};
  const pair = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return { "proxy-authorization": `Basic ${Buffer.from(pair).toString("base64")}` };
}

/** Connects to the address that was judged, or asks the machine's own proxy for a tunnel to the host. */
function dial(boot: SidecarBoot, address: string, host: string, port: number): Promise<Socket> {
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
      path: `${host}:${port}`,
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

type Named = { kind: "name"; name: string } | { kind: "more" } | { kind: "none" };

/** The server name of a TLS ClientHello (RFC 8446 section 4.1.2, RFC 6066 section 3), possibly still incomplete. Pure. */
export function serverName(bytes: Buffer): Named {
  if (bytes.length > 0 && bytes[0] !== 22) return { kind: "none" };
  // A hello may be spread over several records: put their payloads together.
  const parts: Buffer[] = [];
  let at = 0;
  while (at + 5 <= bytes.length) {
    if (bytes[at] !== 22) return { kind: "none" };
    const length = bytes.readUInt16BE(at + 3);
    parts.push(bytes.subarray(at + 5, at + 5 + length));
    at += 5 + length;
  }
  const hello = Buffer.concat(parts);
  if (hello.length < 4) return { kind: "more" };
  if (hello[0] !== 1) return { kind: "none" };
  const end = 4 + hello.readUIntBE(1, 3);
  if (hello.length < end) return { kind: "more" };
  try {
    let p = 4 + 2 + 32;
    p += 1 + hello.readUInt8(p);
    p += 2 + hello.readUInt16BE(p);
    p += 1 + hello.readUInt8(p);
    const extensionsEnd = p + 2 + hello.readUInt16BE(p);
    p += 2;
    while (p + 4 <= Math.min(extensionsEnd, end)) {
      const type = hello.readUInt16BE(p);
      const length = hello.readUInt16BE(p + 2);
      if (type === 0) {
        const nameLength = hello.readUInt16BE(p + 7);
        if (hello.readUInt8(p + 6) !== 0) return { kind: "none" };
        return { kind: "name", name: hello.subarray(p + 9, p + 9 + nameLength).toString("latin1") };
      }
      p += 4 + length;
    }
  } catch {
    return { kind: "none" };
  }
  return { kind: "none" };
}
