import type { IncomingMessage, ServerResponse } from "node:http";
import { isIP } from "node:net";
import {
  Fault,
  registryPrefix,
  repositoryGrants,
  type SidecarBoot,
  type SidecarPolicy,
  type SidecarRepository,
} from "@x1agent/contract";
import { resolveAllowed } from "./address.ts";
import type { Credentials } from "./credentials.ts";
import { refuse, responseHeaders, type TokenCheck } from "./http.ts";
import { registryHandler } from "./registries.ts";
import type { Traffic } from "./traffic.ts";
import { hostOf, portOf, Upstreams } from "./upstream.ts";

/** One fetch is a listing of refs and the packs asked for after it; a grant for one use lasts for these and so long. */
const ONE_FETCH_MS = 10 * 60_000;
const SILENCE_MS = 120_000;

type ApiDeps = {
  boot: SidecarBoot;
  token: TokenCheck;
  policy(): SidecarPolicy | null;
  onPolicy(listener: (policy: SidecarPolicy) => void): void;
  note(type: string, payload: Record<string, unknown>): void;
  traffic: Traffic;
  credentials: Credentials;
  /** Takes a grant for one use; false when it is used up. */
  use(grantId: string): Promise<boolean>;
};

/**
 * The sidecar's API port: health, package registries, and git smart HTTP for fetching. The repository is named by the
 * platform, the credential is added here, pushes are refused: the platform publishes. `tell` says what is not yet said.
 */
export function apiHandler(deps: ApiDeps): {
  handle(request: IncomingMessage, response: ServerResponse): void;
  tell(): void;
} {
  const registries = registryHandler(deps);
  const upstreams = new Upstreams(deps.boot);
  /** Fetches under a grant for one use, by repository. */
  const fetches = new Map<string, { grantId: string; until: number }>();

  /** Whether the repository may be read now. `begins` is true at the first request of a fetch. */
  async function mayRead(policy: SidecarPolicy, repository: SidecarRepository, begins: boolean): Promise<boolean> {
    const { name } = repository;
    const grants = repositoryGrants(policy.grants, "read", repository);
    if (grants.some(({ once }) => !once)) return true;
    const current = fetches.get(name);
    if (!begins)
      return current !== undefined && current.until > Date.now() && grants.some(({ id }) => id === current.grantId);
    for (const { id } of grants)
      if (await deps.use(id)) {
        fetches.set(name, { grantId: id, until: Date.now() + ONE_FETCH_MS });
        return true;
      }
    return false;
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!deps.token.accepts(request.headers, ["x-x1-token", "authorization"]))
      return refuse(response, "unauthenticated", undefined, { "www-authenticate": 'Basic realm="x1"' });
    const target = request.url ?? "/";
    // Another host's address is no path of ours.
    if (!target.startsWith("/")) return refuse(response, "invalid_request", "Send a path.");
    if (target.startsWith(registryPrefix) || target.endsWith(".tgz")) return registries.serve(request, response);
    const url = new URL(target, "http://sidecar");
    if (url.pathname === "/health" && request.method === "GET") {
      response
        .writeHead(200, { "content-type": "application/json" })
        .end(JSON.stringify({ status: deps.policy() ? "ok" : "closed" }));
      return;
    }
    const match = /^\/git\/([\w.-]{1,100})\/(info\/refs|git-upload-pack|git-receive-pack)$/.exec(url.pathname);
    const repository = deps.boot.git.find(({ name }) => name === match?.[1]);
    if (!match || !repository) return refuse(response, "not_found");
    const begins = match[2] === "info/refs";
    if ((begins ? url.searchParams.get("service") : match[2]) !== "git-upload-pack")
      return refuse(response, "path_refused", "This remote is for fetching: the platform publishes what was approved.");
    if (request.method !== (begins ? "GET" : "POST")) return refuse(response, "path_refused");
    const policy = deps.policy();
    if (!policy) return refuse(response, "control_unreachable");
    if (!(await mayRead(policy, repository, begins))) return refuse(response, "not_granted");
    await fetchFrom(
      deps,
      upstreams,
      repository,
      begins ? "info/refs?service=git-upload-pack" : "git-upload-pack",
      request,
      response,
    );
  }

  return {
    handle: (request, response) =>
      void answer(request, response).catch((error: unknown) => {
        if (response.headersSent) response.destroy();
        else if (error instanceof Fault) refuse(response, error.code, error.message);
        else refuse(response, "upstream_failed");
      }),
    tell: registries.tell,
  };
}

async function fetchFrom(
  deps: ApiDeps,
  upstreams: Upstreams,
  repository: SidecarRepository,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(`${repository.url.replace(/\/$/, "")}/${path}`);
  const [host, port] = [hostOf(url), portOf(url)];
  // The platform itself cloned from this address, so a private one was allowed by whoever made the project.
  const resolved =
    deps.boot.upstreamProxy && isIP(host) === 0
      ? { ok: true as const, address: host }
      : await resolveAllowed(host, port, [{ allowPrivate: true }], deps.boot.forbidden);
  if (!resolved.ok) return refuse(response, resolved.code, resolved.detail);
  const headers: Record<string, string> = { "user-agent": "git/x1agent" };
  for (const name of ["content-type", "content-encoding", "accept", "git-protocol"]) {
    const value = request.headers[name];
    if (typeof value === "string") headers[name] = value;
  }
  const authorization = await deps.credentials.get(repository, "read");
  if (authorization !== null) headers.authorization = authorization;
  const upstream = upstreams.request(url, resolved.address, { method: request.method ?? "GET", headers });
  let bytes = 0;
  upstream.setTimeout(SILENCE_MS, () => upstream.destroy());
  upstream.on("error", () => (response.headersSent ? response.destroy() : refuse(response, "upstream_failed")));
  upstream.on("response", (incoming) => {
    const status = incoming.statusCode ?? 502;
    if (status >= 300 && status < 400) {
      incoming.resume();
      return refuse(response, "upstream_failed", "The remote redirected; redirects are not followed.");
    }
    // A remote's own challenge would make git ask for a password that nobody inside has.
    if (status === 401) {
      incoming.resume();
      deps.credentials.forget(repository, "read");
      return refuse(response, "not_granted", "The remote did not accept the stored credential.");
    }
    response.writeHead(status, responseHeaders(incoming.headers));
    incoming.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
    });
    incoming.pipe(response);
    incoming.on("end", () => deps.note("git.fetched", { repository: repository.name, bytes }));
  });
  response.on("close", () => upstream.destroy());
  request.pipe(upstream);
}
