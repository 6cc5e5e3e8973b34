import { request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import { isIP, type Socket } from "node:net";
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
import type { Traffic } from "./traffic.ts";
import { CONNECT_MS, dial, proxyAuthorization } from "./upstream.ts";

export type EgressDeps = {
  boot: SidecarBoot;
  token: TokenCheck;
  policy(): SidecarPolicy | null;
  onPolicy(listener: (policy: SidecarPolicy) => void): void;
  note(type: string, payload: Record<string, unknown>): void;
  traffic: Traffic;
  /** Takes a grant for one use; false when it is used up. */
  use(grantId: string): Promise<boolean>;
};

const IDLE_MS = 5 * 60_000;
const HELLO_BYTES = 16 * 1024;
const TLS_PORT = 443;
/** Content type of a TLS record that carries a handshake (RFC 8446 section 5.1). */
const TLS_HANDSHAKE = 22;
const USED_UP = "The grant for one use is used up.";

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
  const { traffic } = deps;
  const tunnels = new Set<{ host: string; address: string; port: number; end: () => void }>();
  const blocked: Traffic["blocked"] = (...refused) => traffic.blocked(...refused);
  const count = (moved: number) => traffic.count(moved);

  /** Whether a rule still lets this address be reached. */
  const holds = (policy: SidecarPolicy | null, to: { host: string; address: string; port: number }): boolean =>
    policy !== null &&
    !policy.stopped &&
    findRules(policy, to.host, to.port).some((rule) => isIP(to.address) === 0 || permits(rule, to.address));

  deps.onPolicy((policy) => {
    for (const tunnel of tunnels) if (!holds(policy, tunnel)) tunnel.end();
  });

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
    const full = traffic.full();
    if (full) return no(full.code, full.detail);
    const resolve = async (by: readonly EgressRule[]) =>
      // Behind the machine's own proxy that proxy resolves: of names no address can be judged here.
      deps.boot.upstreamProxy && isIP(host) === 0
        ? { ok: true as const, address: host }
        : resolveAllowed(host, port, by, deps.boot.forbidden);
    const lasting = rules.filter(({ onceGrantId }) => onceGrantId === undefined);
    let refused: { code: ErrorCode; detail: string } = { code: "not_granted", detail: USED_UP };
    if (lasting.length > 0) {
      const resolved = await resolve(lasting);
      if (resolved.ok) return { ok: true, host, address: resolved.address };
      refused = resolved;
    }
    // A grant for one use is kept for what no lasting one allows, and is taken before anything is dialled.
    for (const rule of rules) {
      if (rule.onceGrantId === undefined) continue;
      const resolved = await resolve([rule]);
      if (!resolved.ok) refused = resolved;
      else if (await deps.use(rule.onceGrantId)) return { ok: true, host, address: resolved.address };
      else refused = { code: "not_granted", detail: USED_UP };
    }
    return no(refused.code, refused.detail);
  }

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
    // The phase may have ended while the connection was made.
    if (client.destroyed || !holds(deps.policy(), { ...target, port })) {
      server.destroy();
      return void client.destroy();
    }
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
    traffic.open.add(tunnel);
    const { phase } = traffic;
    const done = () => {
      if (!tunnels.delete(tunnel)) return;
      traffic.open.delete(tunnel);
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
      const greeting = judgeHello(hello, target.host, port);
      if (greeting === "more") return;
      if (greeting !== "passed") {
        blocked(target.host, port, "egress_blocked", greeting.refused);
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
    if (!holds(deps.policy(), { ...target, port })) return refuse(response, "egress_blocked");
    // An address is no place for a credential either, and its fragment is nobody's but the client's.
    url.username = url.password = url.hash = "";
    const headers: Record<string, string | string[]> = {};
    for (const [name, value] of Object.entries(request.headers))
      if (
        value !== undefined &&
        !/^(proxy-.*|connection|keep-alive|te|trailer|upgrade|transfer-encoding|authorization|cookie)$/.test(name)
      )
        headers[name] = value;
    // A body keeps its frame: without one the bytes after a GET would be the connection's next request, judged by nobody.
    if (request.headers["transfer-encoding"] !== undefined) headers["transfer-encoding"] = "chunked";
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
    traffic.open.add(tunnel);
    const { phase } = traffic;
    response.on("close", () => {
      tunnels.delete(tunnel);
      traffic.open.delete(tunnel);
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

/**
 * What becomes of the first bytes of a tunnel. A greeting that is longer than any client's, or cut in pieces for ever, is
 * refused like none. Pure.
 */
export function judgeHello(bytes: Buffer, host: string, port: number): "passed" | "more" | { refused: string } {
  if (port !== TLS_PORT && bytes[0] !== TLS_HANDSHAKE) return "passed";
  const told = serverName(bytes);
  if (told.kind === "more" && bytes.length < HELLO_BYTES) return "more";
  if (told.kind !== "name") return { refused: "The tunnel was not used for TLS with a server name." };
  if (normalizeHost(told.name) === host) return "passed";
  return { refused: `The tunnel was opened for ${host} and used for ${told.name}.` };
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
