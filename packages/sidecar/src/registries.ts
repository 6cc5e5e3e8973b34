import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import {
  type ErrorCode,
  type GrantDetails,
  matchesPattern,
  type PhaseName,
  registryPrefix,
  type SidecarBoot,
  type SidecarPolicy,
  type SidecarRegistry,
} from "@x1agent/contract";
import { type AddressRule, resolveAllowed } from "./address.ts";
import { findRules } from "./egress.ts";
import { refuse, responseHeaders } from "./http.ts";
import { Rewriter } from "./rewriter.ts";
import type { Traffic } from "./traffic.ts";
import { hostOf, portOf, Upstreams } from "./upstream.ts";

/**
 * Package registries as read-only upstreams. Invariants:
 *
 * - GET and HEAD only, without query and body, to paths below the registry's own. What travels up is the path and a few
 *   headers whose values come from lists here: no credential, no cookie, nothing else that a client wrote. The login that
 *   the operator stored for a registry is added here, for its own origin, not for other hosts of its files.
 * - A name is resolved here, once; the address is judged and dialled as it is, unless the machine's own proxy is asked.
 * - Redirects are handed on only when they lead to the registry's own hosts, and then as local addresses.
 * - Nothing is collected: bodies pass through with backpressure, and count against the phase's bytes.
 */
export type RegistryDeps = {
  boot: Pick<SidecarBoot, "registries" | "forbidden" | "upstreamProxy" | "ca">;
  policy(): SidecarPolicy | null;
  onPolicy(listener: (policy: SidecarPolicy) => void): void;
  note(type: string, payload: Record<string, unknown>): void;
  traffic: Traffic;
  /** Longest silence of an upstream. */
  silenceMs?: number;
};

const SILENCE_MS = 60_000;
/** Requests of one registry are told together after this time. */
const TELL_MS = 2_000;
const MAX_PATH = 1_024;
const MAX_SEGMENTS = 24;
const MAX_SEGMENT = 255;

/** A segment of a path: letters that packages, versions and files are named with; of escapes only `+`, `!`, and `@`. */
const SEGMENT = /^(?:[A-Za-z0-9._~@+!-]|%(?:2[Bb]|21|40))+$/;
/** How npm asks for a package of a scope: the one place where an escaped slash is meant. */
const SCOPED = /^(?:@|%40)[A-Za-z0-9._~-]+%2[Ff](?!\.\.?$)[A-Za-z0-9._~-]+$/;
/** Names that no registry serves packages below, but its service's own functions: users, tokens, search, audits. */
const FUNCTIONS = "-";

export type RegistryTarget = { registry: SidecarRegistry; url: URL; page: boolean };
type Refused = { code: ErrorCode; detail: string };

/** What a request's target asks for, or why it is no such thing. Nothing is decoded or normalised: what is not plain is refused. Pure. */
export function parseTarget(registries: readonly SidecarRegistry[], target: string): RegistryTarget | Refused {
  const no = (detail: string): Refused => ({ code: "path_refused", detail });
  if (target.includes("?")) return no("A registry is asked without a query.");
  if (target.length > MAX_PATH) return no(`At most ${MAX_PATH} characters.`);
  const named =
    /^\/registry\/([a-z][a-z0-9-]{0,40})(?:(?:@|%40)([a-z0-9.-]{1,253}(?:(?::|%3[Aa])\d{1,5})?))?(\/.*)$/.exec(target);
  // Clients that replace a registry's host and not its path end up here, with a file's path as the registry has it.
  const found = named
    ? registries.find(({ name }) => name === named[1])
    : registries.find((registry) => /\/-\/[^/]+\.tgz$/.test(target) && !registry.pages);
  if (!found) return { code: "not_found", detail: "There is no such registry." };
  const base = new URL(found.base);
  // pip escapes the colon before a port.
  const host = named?.[2]?.replace(/%3a/i, ":");
  const origin = host === undefined ? base.origin : found.files.find((file) => new URL(file).host === host);
  if (!origin) return no(`${found.name} does not serve files from ${host}.`);
  const prefix = base.pathname;
  let path = named?.[3] ?? (target.startsWith(prefix) ? target : prefix.slice(0, -1) + target);
  // The same clients may put the registry's path before a path that has it already.
  if (prefix.length > 1 && path.startsWith(prefix + prefix.slice(1))) path = path.slice(prefix.length - 1);
  const segments = path.slice(1).split("/");
  if (segments.at(-1) === "") segments.pop();
  if (segments.length > MAX_SEGMENTS) return no("The path is too deep.");
  for (const segment of segments)
    if (
      segment.length > MAX_SEGMENT ||
      segment === "." ||
      segment === ".." ||
      !(SEGMENT.test(segment) || SCOPED.test(segment))
    )
      return no("The path has characters that no package needs.");
  if (host === undefined) {
    const below = [prefix, ...found.paths].find((allowed) => path.startsWith(allowed));
    if (below === undefined) return no(`Only paths below ${prefix} belong to ${found.name}.`);
    if (path.slice(below.length).split("/")[0] === FUNCTIONS)
      return no("Packages and their files only, not the registry's functions.");
  }
  return {
    registry: found,
    url: new URL(origin.replace(/\/$/, "") + path),
    page: found.pages && host === undefined && path.startsWith(prefix),
  };
}

/** Where a registry's address is found locally; null when it is not the registry's. Pure. */
export function localPath(registry: SidecarRegistry, url: URL): string | null {
  const local = `${registryPrefix}${registry.name}`;
  if (url.origin === new URL(registry.base).origin) return local + url.pathname;
  if (registry.files.some((file) => new URL(file).origin === url.origin)) return `${local}@${url.host}${url.pathname}`;
  return null;
}

/** What is replaced in a registry's pages: absolute addresses of its own hosts, and links that begin at its root. Pure. */
function replacements(registry: SidecarRegistry): [string, string][] {
  const { origin } = new URL(registry.base);
  const local = `${registryPrefix}${registry.name}`;
  return [
    [`${origin}/`, `${local}/`],
    ...registry.files.map((file): [string, string] => [`${new URL(file).origin}/`, `${local}@${new URL(file).host}/`]),
    ...['href="', "href='", '"url":"', '"url": "'].map((before): [string, string] => [
      `${before}/`,
      `${before}${local}/`,
    ]),
  ];
}

/** Types of answers that clients of registries ask for. */
const accepted = new Set([
  "application/vnd.npm.install-v1+json",
  "application/vnd.pypi.simple.v1+json",
  "application/vnd.pypi.simple.v1+html",
  "application/json",
  "application/octet-stream",
  "text/html",
  "text/plain",
  "*/*",
]);

/** The headers that travel up. Pure. */
export function upstreamHeaders(given: IncomingHttpHeaders, page: boolean): Record<string, string> {
  const headers: Record<string, string> = { "user-agent": "x1agent" };
  const types = String(given.accept ?? "")
    .split(",")
    .map((type) => type.trim())
    .filter((type) => {
      const [name = "", quality, more] = type.split(/\s*;\s*/);
      return accepted.has(name) && more === undefined && (quality === undefined || /^q=[01](\.\d)?\d?$/.test(quality));
    });
  headers.accept = [...new Set(types)].join(", ") || "*/*";
  headers["accept-encoding"] = !page && /\bgzip\b/.test(String(given["accept-encoding"] ?? "")) ? "gzip" : "identity";
  const etag = given["if-none-match"];
  if (etag && /^(W\/)?"[\w+/=:.-]{1,100}"$/.test(etag)) headers["if-none-match"] = etag;
  const since = given["if-modified-since"];
  if (since && /^\w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(since)) headers["if-modified-since"] = since;
  const { range } = given;
  if (!page && range && /^bytes=\d{0,12}-\d{0,12}$/.test(range)) headers.range = range;
  return headers;
}

type Registry = SidecarRegistry;
const concerns = (details: GrantDetails, registry: Registry, phase: PhaseName): boolean =>
  matchesPattern(details.pattern, registry.name) && (details.phases ?? [phase]).includes(phase);

/** The rules by which a registry may be used in the policy's phase: none when it is closed. Pure. */
export function registryRules(policy: SidecarPolicy, registry: Registry, url: URL): AddressRule[] {
  const granted = policy.grants.filter(
    ({ type, details }) => type === "registry" && concerns(details, registry, policy.phase),
  );
  if (granted.length === 0) return [];
  // What an operator allowed for the host by name holds here too: a mirror at a private address is allowed once.
  const named = findRules(policy, hostOf(url), portOf(url)).filter(({ onceGrantId }) => onceGrantId === undefined);
  return [...granted.map(({ details: { address } }) => (address === undefined ? {} : { address })), ...named];
}

type Tally = {
  registry: string;
  host: string;
  port: number;
  phase: PhaseName;
  up: number;
  down: number;
  count: number;
};

/** Serves requests whose target is a registry's. The caller has checked the token. */
export function registryHandler(deps: RegistryDeps) {
  const { boot, traffic } = deps;
  const upstreams = new Upstreams(boot);
  const tallies = new Map<string, Tally>();
  let timer: NodeJS.Timeout | undefined;
  let { phase } = traffic;

  /** Tells what was fetched since last time. */
  const tell = () => {
    clearTimeout(timer);
    timer = undefined;
    for (const { up, down, count, ...where } of tallies.values())
      deps.note("egress.opened", { ...where, bytesUp: up, bytesDown: down, requests: count });
    tallies.clear();
  };
  const active = new Set<{ registry: Registry; url: URL; end(): void }>();
  deps.onPolicy((policy) => {
    if (policy.phase !== phase) {
      phase = policy.phase;
      upstreams.end();
      tell();
    }
    for (const one of active)
      if (policy.stopped || registryRules(policy, one.registry, one.url).length === 0) one.end();
  });

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const target = parseTarget(boot.registries, request.url ?? "");
    if ("code" in target) return end(request, response, target.code, target.detail);
    const { registry, url } = target;
    const [host, port] = [hostOf(url), portOf(url)];
    const no = (code: ErrorCode, detail: string) => {
      traffic.blocked(host, port, code, detail);
      return end(request, response, code, detail);
    };
    if (request.method !== "GET" && request.method !== "HEAD")
      return no("path_refused", `Registries are read only: ${request.method} is refused.`);
    if (request.headers["transfer-encoding"] !== undefined || Number(request.headers["content-length"] ?? 0) !== 0)
      return no("path_refused", "A registry is asked without a body.");
    const policy = deps.policy();
    if (!policy || policy.stopped) return no("control_unreachable", "Grants could not be refreshed.");
    const rules = registryRules(policy, registry, url);
    if (rules.length === 0)
      return no(
        "not_granted",
        `The registry ${registry.name} is closed in the phase ${policy.phase}: x1 grant registry:${registry.name}`,
      );
    const full = traffic.full();
    if (full) return no(full.code, full.detail);
    // Behind the machine's own proxy that proxy resolves names; an address that is written out is judged all the same.
    const resolved =
      boot.upstreamProxy && !/^[\d.]+$|:/.test(host)
        ? { ok: true as const, address: host }
        : await resolveAllowed(host, port, rules, boot.forbidden);
    if (!resolved.ok) return no(resolved.code, resolved.detail);
    // The phase may have ended while the name was resolved.
    const now = deps.policy();
    if (!now || now.stopped || registryRules(now, registry, url).length === 0)
      return no("not_granted", `The registry ${registry.name} was closed.`);
    fetchFrom(target, resolved.address, request, response);
  }

  function fetchFrom(
    { registry, url, page }: RegistryTarget,
    address: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): void {
    const { authorization } = url.origin === new URL(registry.base).origin ? registry : {};
    const upstream = upstreams.request(url, address, {
      method: request.method ?? "GET",
      headers: { ...upstreamHeaders(request.headers, page), ...(authorization ? { authorization } : {}) },
    });
    const key = `${registry.name} ${url.host}`;
    const tally = tallies.get(key) ?? {
      ...{ registry: registry.name, host: hostOf(url), port: portOf(url), phase: traffic.phase },
      ...{ up: 0, down: 0, count: 0 },
    };
    tallies.set(key, tally);
    tally.count += 1;
    tally.up += url.pathname.length;
    timer ??= setTimeout(tell, TELL_MS);
    const one = {
      registry,
      url,
      end: () => {
        upstream.destroy();
        response.destroy();
      },
    };
    active.add(one);
    traffic.open.add(one);
    response.on("error", one.end);
    response.on("close", () => {
      active.delete(one);
      traffic.open.delete(one);
      upstream.destroy();
    });
    const fail = (detail: string) => {
      upstream.destroy();
      if (response.headersSent) response.destroy();
      else refuse(response, "upstream_failed", detail);
    };
    upstream.setTimeout(deps.silenceMs ?? SILENCE_MS, () => fail(`${url.host} was silent for too long.`));
    upstream.on("error", () => fail(`${url.host} cannot be reached, or broke off.`));
    upstream.on("response", (incoming) => {
      const status = incoming.statusCode ?? 502;
      const headers = responseHeaders(incoming.headers);
      const { location } = incoming.headers;
      if (status === 401 || status === 407)
        return fail(
          authorization
            ? `${url.host} refused the stored login: x1 secrets set registry:${url.host}`
            : `${url.host} asks for a login: x1 secrets set registry:${url.host}`,
        );
      if (status >= 300 && status < 400 && status !== 304) {
        const to = location !== undefined && URL.canParse(location, url.href) ? new URL(location, url.href) : null;
        const local = to && to.search === "" ? localPath(registry, to) : null;
        if (local === null) {
          if (to) traffic.blocked(to.hostname, portOf(to), "egress_blocked", `${url.host} redirected there.`);
          return fail(`${url.host} redirected elsewhere; only the registry's own hosts are followed.`);
        }
        headers.location = local;
      }
      const encoding = incoming.headers["content-encoding"];
      const text = /^(text\/html|application\/(json|vnd\.pypi\.simple\.v1\+(json|html)))\s*(;|$)/i;
      const rewriter =
        page && request.method === "GET" && text.test(incoming.headers["content-type"] ?? "")
          ? new Rewriter(replacements(registry))
          : null;
      if (rewriter && encoding !== undefined && encoding !== "identity")
        return fail(`${url.host} sent a page in an encoding that it was not asked for.`);
      // Without rewriting the length stays what it is.
      const length = incoming.headers["content-length"];
      if (!rewriter && length !== undefined && /^\d+$/.test(length)) headers["content-length"] = length;
      response.writeHead(status, headers);
      const send = (chunk: Buffer) => {
        if (chunk.length > 0 && !response.write(chunk)) {
          incoming.pause();
          response.once("drain", () => incoming.resume());
        }
      };
      incoming.on("data", (chunk: Buffer) => {
        tally.down += chunk.length;
        if (traffic.count(chunk.length)) send(rewriter ? rewriter.push(chunk) : chunk);
      });
      incoming.on("end", () => {
        if (rewriter) send(rewriter.end());
        response.end();
      });
      // A body that breaks off must not look whole.
      incoming.on("close", () => !incoming.complete && response.destroy());
    });
    upstream.end();
  }

  return { serve, tell };
}

/** Refuses, and ends the connection where a body may still be on its way: it must not be read as the next request. */
function end(request: IncomingMessage, response: ServerResponse, code: ErrorCode, detail: string): void {
  const bare = request.headers["transfer-encoding"] === undefined && !Number(request.headers["content-length"] ?? 0);
  refuse(response, code, detail, bare ? {} : { connection: "close" });
}
