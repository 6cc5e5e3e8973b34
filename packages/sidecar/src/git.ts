import { request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import { request as httpsRequest } from "node:https";
import { matchesPattern, type SidecarBoot, type SidecarPolicy } from "@x1agent/contract";
import { resolveAllowed } from "./address.ts";
import { refuse, responseHeaders, type TokenCheck } from "./http.ts";

/**
 * The sidecar's API port: health, and git smart HTTP for fetching. The repository is named by the platform, the
 * credential is added here, pushes are refused: the platform publishes.
 */
export function apiHandler(deps: {
  boot: SidecarBoot;
  token: TokenCheck;
  policy(): SidecarPolicy | null;
  note(type: string, payload: Record<string, unknown>): void;
}): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    if (!deps.token.accepts(request.headers, ["x-x1-token", "authorization"]))
      return refuse(response, "unauthenticated", undefined, { "www-authenticate": 'Basic realm="x1"' });
    const url = new URL(request.url ?? "/", "http://sidecar");
    if (url.pathname === "/health" && request.method === "GET") {
      response
        .writeHead(200, { "content-type": "application/json" })
        .end(JSON.stringify({ status: deps.policy() ? "ok" : "closed" }));
      return;
    }
    const match = /^\/git\/([\w.-]{1,100})\/(info\/refs|git-upload-pack|git-receive-pack)$/.exec(url.pathname);
    const repository = deps.boot.git.find(({ name }) => name === match?.[1]);
    if (!match || !repository) return refuse(response, "not_found");
    const service = match[2] === "info/refs" ? url.searchParams.get("service") : match[2];
    if (service !== "git-upload-pack")
      return refuse(response, "path_refused", "This remote is for fetching: the platform publishes what was approved.");
    const policy = deps.policy();
    if (
      !policy?.grants.some(
        ({ type, details }) => type === "repo.read" && matchesPattern(details.pattern, repository.name),
      )
    )
      return refuse(response, policy ? "not_granted" : "control_unreachable");
    void fetchFrom(
      deps,
      repository,
      match[2] === "info/refs" ? "info/refs?service=git-upload-pack" : "git-upload-pack",
      request,
      response,
    ).catch(() => {
      if (!response.headersSent) refuse(response, "upstream_failed");
      else response.destroy();
    });
  };
}

async function fetchFrom(
  deps: { boot: SidecarBoot; note(type: string, payload: Record<string, unknown>): void },
  repository: SidecarBoot["git"][number],
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(`${repository.url.replace(/\/$/, "")}/${path}`);
  const port = Number(url.port) || (url.protocol === "https:" ? 443 : 80);
  // The platform itself cloned from this address, so a private one was allowed by whoever made the project.
  const resolved = await resolveAllowed(
    url.hostname.replace(/^\[|\]$/g, ""),
    port,
    [{ allowPrivate: true }],
    deps.boot.forbidden,
  );
  if (!resolved.ok) return refuse(response, resolved.code, resolved.detail);
  const headers: Record<string, string> = { host: url.host, "user-agent": "git/x1agent" };
  for (const name of ["content-type", "content-encoding", "accept", "git-protocol"]) {
    const value = request.headers[name];
    if (typeof value === "string") headers[name] = value;
  }
  if (repository.authorization) headers.authorization = repository.authorization;
  const send = url.protocol === "https:" ? httpsRequest : httpRequest;
  const upstream = send({
    host: resolved.address,
    port,
    servername: url.hostname,
    method: request.method,
    path: url.pathname + url.search,
    headers,
    timeout: 120_000,
    ...(deps.boot.ca ? { ca: deps.boot.ca } : {}),
  } as never);
  let bytes = 0;
  upstream.on("timeout", () => upstream.destroy());
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
