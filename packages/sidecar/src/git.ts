import type { IncomingMessage, ServerResponse } from "node:http";
import {
  defaultPushBytes,
  type ErrorCode,
  Fault,
  type GitCredentialReply,
  type GitCredentialRequest,
  problem,
  registryPrefix,
  repositoryGrants,
  type SidecarBoot,
  type SidecarPolicy,
  type SidecarRepository,
} from "@x1agent/contract";
import type { Credentials } from "./credentials.ts";
import { ForgeApi } from "./forge.ts";
import { refuse, responseHeaders, type TokenCheck } from "./http.ts";
import { Pushes } from "./push.ts";
import { registryHandler } from "./registries.ts";
import { answerOf, Remotes } from "./remotes.ts";
import type { Traffic } from "./traffic.ts";

/** One fetch is a listing of refs and the packs asked for after it; a grant for one use lasts for these and so long. */
const ONE_FETCH_MS = 10 * 60_000;

/** What a fetch says goes to the remote: the ids that it has and wants, of the largest repositories some megabytes. */
const MAX_WANTS = 16 * 1024 ** 2;

type ApiDeps = {
  boot: SidecarBoot;
  token: TokenCheck;
  policy(): SidecarPolicy | null;
  onPolicy(listener: (policy: SidecarPolicy) => void): void;
  note(type: string, payload: Record<string, unknown>): void;
  traffic: Traffic;
  credentials: Credentials;
  /** Asks the control plane for a credential that is not kept. */
  ask(ask: GitCredentialRequest): Promise<GitCredentialReply>;
  /** Takes a grant for one use; false when it is used up. */
  use(grantId: string): Promise<boolean>;
};

/**
 * The sidecar's API port: health, package registries, and git smart HTTP. The repository is named by the platform and the
 * credential is added here; pushes need a grant of their own (`push.ts`). `tell` says what is not yet said.
 */
export function apiHandler(deps: ApiDeps): {
  handle(request: IncomingMessage, response: ServerResponse): void;
  tell(): void;
} {
  const registries = registryHandler(deps);
  const remotes = new Remotes(deps.boot, deps.credentials);
  const forge = new ForgeApi({ ...deps, remotes });
  const pushes = new Pushes({
    ...deps,
    remotes,
    pushBytes: deps.boot.limits.pushBytes ?? defaultPushBytes,
    credential: ({ name }, branches) => deps.ask({ repository: name, purpose: "push", branches }),
  });
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
        .end(JSON.stringify({ status: deps.policy() ? "ok" : "closed", policy: deps.policy()?.version ?? null }));
      return;
    }
    // By the target as it came: what a parser made of it is not what was asked for.
    if (/^\/github(?:[/?]|$)/.test(target)) return forge.serve(request, response);
    if (url.pathname.startsWith("/git/")) return git(url, request, response);
    return refuse(response, "not_found");
  }

  async function git(url: URL, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, name, path] =
      /^\/git\/([\w.-]{1,100}?)(?:\.git)?\/(info\/refs|git-upload-pack|git-receive-pack)$/.exec(url.pathname) ?? [];
    const repository = deps.boot.git.find((known) => known.name === name);
    if (!repository) return say(response, "not_found", "There is no such repository here, only the job's own.");
    const begins = path === "info/refs";
    const service = begins ? url.searchParams.get("service") : path;
    if (service !== "git-upload-pack" && service !== "git-receive-pack") return refuse(response, "path_refused");
    if (request.method !== (begins ? "GET" : "POST")) return refuse(response, "path_refused");
    const policy = deps.policy();
    if (!policy) return say(response, "control_unreachable");
    const listing = `info/refs?service=${service}`;
    if (service === "git-receive-pack") {
      const barred = pushes.barred(policy, repository);
      if (barred !== null) return say(response, "not_granted", barred);
      if (begins) return fetchFrom(deps, remotes, repository, listing, "push", request, response);
      return pushes.serve(repository, request, response);
    }
    if (!(await mayRead(policy, repository, begins)))
      return say(response, "not_granted", "No grant of type repo.read covers this repository now.");
    await fetchFrom(deps, remotes, repository, begins ? listing : service, "read", request, response);
  }

  return {
    handle: (request, response) =>
      void answer(request, response).catch((error: unknown) => {
        const tell = request.url?.startsWith("/git/") ? say : refuse;
        if (response.headersSent) response.destroy();
        else if (error instanceof Fault) tell(response, error.code, error.message);
        else tell(response, "upstream_failed");
      }),
    tell: registries.tell,
  };
}

/** A refusal as text: git shows that to whoever fetches or pushes, and nothing else. */
function say(response: ServerResponse, code: ErrorCode, detail?: string): void {
  const told = problem(code, detail);
  response.writeHead(told.status, { "content-type": "text/plain; charset=utf-8" }).end(`${told.detail} (${code})\n`);
}

async function fetchFrom(
  deps: ApiDeps,
  remotes: Remotes,
  repository: SidecarRepository,
  path: string,
  purpose: "read" | "push",
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const headers: Record<string, string> = {};
  // A push has one version only: the answer to another would not be read.
  for (const name of ["content-type", "content-encoding", "accept", ...(purpose === "read" ? ["git-protocol"] : [])]) {
    const value = request.headers[name];
    if (typeof value === "string") headers[name] = value;
  }
  const method = request.method ?? "GET";
  const upstream = await remotes.request(repository, purpose, repository.url, { path, method, headers });
  response.on("close", () => upstream.destroy());
  if (method === "GET") {
    request.resume();
    upstream.end();
  } else {
    let asked = 0;
    request.on("data", (chunk: Buffer) => {
      asked += chunk.length;
      if (asked > MAX_WANTS || !deps.traffic.count(chunk.length)) upstream.destroy();
    });
    request.pipe(upstream);
  }
  const incoming = await answerOf(upstream);
  remotes.judge(repository, purpose, incoming);
  let bytes = 0;
  response.writeHead(incoming.statusCode ?? 502, responseHeaders(incoming.headers));
  incoming.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
  });
  incoming.on("error", () => response.destroy());
  incoming.pipe(response);
  if (purpose === "read") incoming.on("end", () => deps.note("git.fetched", { repository: repository.name, bytes }));
}
