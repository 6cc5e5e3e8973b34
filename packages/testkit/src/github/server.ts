import { createHash, randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { lacks, permissionsOfToken, permits, principalOf, tokenCovers } from "./access.ts";
import type { Description, Operation, Shape } from "./description.ts";
import type { FaultScript } from "./faults.ts";
import type { Answered } from "./graphql.ts";
import type { Limits } from "./limits.ts";
import { type Account, notFound, type Principal, Refused, type Repository, type Role, type Token } from "./model.ts";
import { Presenter } from "./present.ts";
import { reaches, roleOf } from "./world/accounts.ts";
import { repositoryByName } from "./world/repositories.ts";
import type { World } from "./world/world.ts";

/** One request the stand-in saw. */
export type Seen = {
  /** Milliseconds since the epoch by the stand-in's clock. */
  at: number;
  method: string;
  /** Path and query as they came, with `/api/v3` taken off. */
  path: string;
  operation: string | undefined;
  /** `anonymous`, `app:<slug>`, `installation:<id>`, `user:<login>` */
  who: string;
  status: number;
  /** Why the description does not fit the request or the answer, or what the stand-in does not play. */
  problem: string | undefined;
  fault: string | undefined;
  /** Names in query or body that the operation does not know: GitHub passes over them, their sender meant something. */
  stray: string[];
  userAgent: string;
  body: unknown;
};

export type Answer = {
  status: number;
  body?: unknown;
  headers?: Record<string, string>;
  /** Items of a listing, still to be cut into a page. */
  list?: {
    items: readonly unknown[];
    present: (item: never) => unknown;
    wrap?: (page: unknown[], total: number) => unknown;
  };
};

/** What a handler works with. */
export type Call = {
  world: World;
  principal: Principal;
  /** Path and query values as the description types them. */
  values: Shape;
  body: Shape;
  present: Presenter;
  operation: Operation;
  accept: string;
  limits: Limits;
  /** The person or bot that acts; a refusal for those who have none. */
  readonly actor: Account;
  readonly token: Token;
  /** The repository of the path. */
  readonly repository: Repository;
};

export type Handler = {
  /** Any of these permissions of a token will do (`issues:write`); nothing for what every token may. */
  needs?: readonly string[];
  /** Who may at all: default everyone for reading, people and installations for writing. */
  who?: "app" | "installation" | "token" | "any";
  /** Role that a person needs in the repository. */
  role?: Role;
  handle: (call: Call) => Promise<Answer> | Answer;
};
export type Handlers = Record<string, Handler>;

export const ok = (body: unknown): Answer => ({ status: 200, body });
export const created = (body: unknown): Answer => ({ status: 201, body });
export const empty = (): Answer => ({ status: 204 });
/** A listing: the pipeline cuts the page, adds `Link` and presents only what is on it. */
export function list<T>(
  items: readonly T[],
  present: (item: T) => unknown,
  wrap?: (page: unknown[], total: number) => unknown,
): Answer {
  return { status: 200, list: { items, present: present as (item: never) => unknown, ...(wrap ? { wrap } : {}) } };
}

type Result = {
  answer: Answer;
  headers: Record<string, string>;
  /** Takes the request off the caller's rate limit. */
  refund?: (() => Record<string, string>) | undefined;
};

const maximumBody = 64 * 1024 * 1024;
const keptRequests = 50_000;

export type Page = (request: IncomingMessage, response: ServerResponse, url: URL) => Promise<boolean>;

/** The HTTP side: routing, who may, validation both ways, limits, faults, pages, ETags. */
export class StandInServer {
  readonly log: Seen[] = [];
  /** Answers that did not fit GitHub's description: bugs of the stand-in. */
  readonly violations: string[];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #running = new Set<Promise<void>>();
  readonly #hanging = new Set<ServerResponse>();
  readonly secure: boolean;
  // Set before the first request arrives: the world needs the address first.
  world!: World;
  readonly handlers: Handlers;
  readonly description: Description;
  readonly limits: Limits;
  readonly faults: FaultScript;
  readonly pages: Page[] = [];
  graphql: ((call: Omit<Call, "operation" | "values" | "repository">) => Promise<Answered>) | undefined;
  git:
    | ((
        request: IncomingMessage,
        response: ServerResponse,
        at: { owner: string; name: string; rest: string; query: URLSearchParams },
      ) => Promise<number>)
    | undefined;

  constructor(input: {
    handlers: Handlers;
    description: Description;
    limits: Limits;
    faults: FaultScript;
    tls?: { key: string; cert: string } | undefined;
    violations: string[];
  }) {
    this.violations = input.violations;
    this.handlers = input.handlers;
    this.description = input.description;
    this.limits = input.limits;
    this.faults = input.faults;
    this.secure = input.tls !== undefined;
    for (const id of Object.keys(input.handlers)) this.description.operation(id);
    const listener = (request: IncomingMessage, response: ServerResponse) => {
      const served = this.#serve(request, response).finally(() => this.#running.delete(served));
      this.#running.add(served);
    };
    this.#server = input.tls ? createTlsServer(input.tls, listener) : createServer(listener);
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  async listen(port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, "127.0.0.1", resolve);
    });
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const response of this.#hanging) response.destroy();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    // What was begun is ended before its repositories go.
    await Promise.all(this.#running);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const raw = request.url ?? "/";
    const url = new URL(raw, "http://standin.invalid");
    const enterprise = /^\/api\/v3(?=\/|$)/.test(url.pathname);
    const path = (enterprise ? url.pathname.slice("/api/v3".length) : url.pathname) || "/";
    const seen: Seen = {
      at: this.world.now(),
      method: request.method ?? "GET",
      path: `${path}${url.search}`,
      operation: undefined,
      who: "anonymous",
      status: 0,
      problem: undefined,
      fault: undefined,
      stray: [],
      userAgent: request.headers["user-agent"] ?? "",
      body: undefined,
    };
    this.log.push(seen);
    if (this.log.length > keptRequests) this.log.splice(0, this.log.length - keptRequests);
    response.on("error", () => undefined);
    try {
      const fault = this.faults.take(seen.method, path);
      if (fault) {
        seen.fault = fault.kind;
        if (await this.faults.before(fault, response, this.#hanging)) {
          seen.status = response.writableEnded ? response.statusCode : 0;
          request.resume();
          return;
        }
      }
      const gitPath = /^\/([\w.-]+)\/([\w.-]+?)(?:\.git)?\/(info\/refs|git-upload-pack|git-receive-pack)$/.exec(path);
      if (gitPath && this.git && !enterprise) {
        seen.operation = `git/${gitPath[3]}`;
        if (fault?.kind === "drop-after")
          Object.assign(response, {
            writeHead: () => response,
            write: () => true,
            end: () => response.destroy(),
          });
        seen.status = await this.git(request, response, {
          owner: gitPath[1]!,
          name: gitPath[2]!,
          rest: gitPath[3]!,
          query: url.searchParams,
        });
        return;
      }
      for (const page of this.pages)
        if (await page(request, response, url)) {
          seen.operation = "page";
          seen.status = response.statusCode;
          return;
        }
      const { answer, headers, refund } = await this.#answer(request, url, path, enterprise, seen);
      if (fault && this.faults.after(fault, response)) {
        seen.status = 0;
        return;
      }
      this.#send(request, response, answer, { ...headers, ...answer.headers }, seen, refund);
    } catch (error) {
      // A bug of the stand-in: said aloud in the answer and kept for the test's end.
      seen.problem = `the stand-in failed: ${(error as Error).stack ?? error}`;
      this.violations.push(seen.problem);
      seen.status = 500;
      if (!response.headersSent) response.writeHead(500, { "content-type": "application/json" });
      response.end(JSON.stringify({ message: seen.problem }));
    }
  }

  async #body(request: IncomingMessage): Promise<unknown> {
    const parts: Buffer[] = [];
    let size = 0;
    for await (const part of request as AsyncIterable<Buffer>) {
      size += part.length;
      if (size > maximumBody) throw new Refused(413, "Payload Too Large");
      parts.push(part);
    }
    if (size === 0) return undefined;
    const text = Buffer.concat(parts).toString();
    try {
      return JSON.parse(text);
    } catch {
      throw new Refused(400, "Problems parsing JSON");
    }
  }

  #who(principal: Principal): string {
    if (principal.kind === "anonymous") return "anonymous";
    if (principal.kind === "app") return `app:${principal.app.slug}`;
    const { token } = principal;
    return token.installation ? `installation:${token.installation.id}` : `user:${token.user.login}`;
  }

  async #answer(request: IncomingMessage, url: URL, path: string, enterprise: boolean, seen: Seen): Promise<Result> {
    const headers: Record<string, string> = {
      "x-github-request-id": randomUUID().slice(0, 18).toUpperCase(),
      "x-github-media-type": "github.v3; format=json",
      ...(enterprise ? { "x-github-enterprise-version": "3.19.0" } : {}),
      date: new Date(this.world.now()).toUTCString(),
      "access-control-expose-headers": "ETag, Link, Location, Retry-After, X-RateLimit-Limit",
      vary: "Accept, Authorization",
    };
    let operation: Operation | undefined;
    let body: unknown;
    let refund: Result["refund"];
    try {
      body = await this.#body(request);
      seen.body = body;
      if (!request.headers["user-agent"])
        throw new Refused(
          403,
          "Request forbidden by administrative rules. Please make sure your request has a User-Agent header",
        );
      const principal = principalOf(this.world, request.headers.authorization);
      seen.who = this.#who(principal);
      if (principal.kind === "token" && principal.token.kind === "classic")
        headers["x-oauth-scopes"] = "repo, read:org, gist";
      const graphql = /^\/(api\/)?graphql$/.test(path) && request.method === "POST";
      const base = this.world.bases.web;
      const present = new Presenter(this.world, { web: base, api: enterprise ? `${base}/api/v3` : base }, principal);
      const resource = graphql ? "graphql" : path.startsWith("/search/") ? "search" : "core";
      if (path !== "/rate_limit") {
        const limited = this.limits.count(principal, resource);
        Object.assign(headers, limited.headers);
        if (limited.refused) throw limited.refused;
        refund = () => this.limits.giveBack(principal, resource);
      }
      const call = {
        world: this.world,
        principal,
        body: (body ?? {}) as Shape,
        present,
        accept: request.headers.accept ?? "",
        limits: this.limits,
        get actor(): Account {
          if (principal.kind !== "token") throw new Refused(401, "Requires authentication");
          return principal.token.user;
        },
        get token(): Token {
          if (principal.kind !== "token") throw new Refused(401, "Requires authentication");
          return principal.token;
        },
      };
      if (graphql) {
        seen.operation = "graphql";
        const { answer, problem, broken } = await this.world.exclusive(() => this.graphql!(call));
        seen.problem = broken ?? problem;
        if (broken) this.violations.push(broken);
        return { answer, headers };
      }
      let rewritten = path;
      const byId = /^\/repositories\/(\d+)(\/.*)?$/.exec(path);
      if (byId) {
        const repository = this.world.repositories.get(Number(byId[1]));
        if (!repository) throw notFound();
        rewritten = `/repos/${repository.owner.login}/${repository.name}${byId[2] ?? ""}`;
      }
      const found = this.description.match(request.method ?? "GET", rewritten);
      if (!found) {
        seen.problem = "no such operation in GitHub's description";
        throw notFound();
      }
      operation = found.operation;
      seen.operation = operation.id;
      const handler = this.handlers[operation.id];
      if (!handler) {
        seen.problem = `the stand-in does not play ${operation.id}`;
        return { answer: { status: 501, body: { message: seen.problem } }, headers };
      }
      const { repository, moved } = this.#repositoryOf(found.parameters, handler, principal);
      if (repository && moved) {
        const rest = rewritten.split("/").slice(4).join("/");
        const location = `${present.api}/repositories/${repository.id}${rest ? `/${rest}` : ""}${url.search}`;
        const status = request.method === "GET" ? 301 : 307;
        return {
          answer: {
            status,
            headers: { location },
            body: { message: "Moved Permanently", url: location, documentation_url: operation.documentation },
          },
          headers,
        };
      }
      this.#authorize(handler, principal, repository, request.method ?? "GET");
      const checked = this.description.checkRequest(operation, {
        path: found.parameters,
        query: url.searchParams,
        body,
      });
      if ("where" in checked) {
        seen.problem = `request: ${checked.where}: ${checked.message}`;
        throw checked.missing
          ? new Refused(422, `Invalid request.\n\n"${checked.missing}" wasn't supplied.`)
          : new Refused(422, `Invalid request.\n\n${checked.message}`);
      }
      seen.stray = checked.stray;
      // Descriptors, not values: `actor` and `token` refuse when a handler asks for them, not before.
      const full = Object.defineProperties(
        { values: checked.values, operation },
        {
          ...Object.getOwnPropertyDescriptors(call),
          repository: {
            enumerable: true,
            get() {
              if (!repository) throw new Error("this operation has no repository");
              return repository;
            },
          },
        },
      ) as unknown as Call;
      const work = async () => this.#page(await handler.handle(full), checked.values, url, present.api, rewritten);
      const answer = request.method === "GET" ? await work() : await this.world.exclusive(work);
      const misfit =
        typeof answer.body === "string"
          ? undefined
          : this.description.checkResponse(operation, answer.status, answer.body);
      if (misfit) {
        seen.problem = `answer: ${misfit.where}: ${misfit.message}`;
        this.violations.push(seen.problem);
        return {
          answer: {
            status: 500,
            body: { message: `The stand-in's own answer does not fit GitHub's description: ${seen.problem}` },
          },
          headers,
        };
      }
      return { answer, headers, refund };
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const answer: Answer = {
        status: error.status,
        body: {
          ...error.body,
          documentation_url: operation?.documentation ?? "https://docs.github.com/rest",
          status: String(error.status),
        },
        headers: error.headers,
      };
      const misfit = operation ? this.description.checkResponse(operation, answer.status, answer.body) : undefined;
      if (misfit) {
        seen.problem = `answer: ${misfit.where}: ${misfit.message}`;
        this.violations.push(seen.problem);
        return { answer: { status: 500, body: { message: seen.problem } }, headers };
      }
      return { answer, headers };
    }
  }

  #repositoryOf(
    parameters: Record<string, string>,
    handler: Handler,
    principal: Principal,
  ): { repository: Repository | undefined; moved: boolean } {
    if (parameters.owner === undefined || parameters.repo === undefined) return { repository: undefined, moved: false };
    const found = repositoryByName(this.world, parameters.owner, parameters.repo.replace(/\.git$/, ""));
    if (!found) throw notFound();
    const { repository } = found;
    // An App asks for its own installation on a repository with its JWT.
    if (principal.kind === "app" && handler.who === "app") return found;
    const reachable = !repository.private || (principal.kind === "token" && tokenCovers(principal.token, repository));
    if (!reachable) throw notFound();
    return found;
  }

  #authorize(handler: Handler, principal: Principal, repository: Repository | undefined, method: string): void {
    const who = handler.who ?? (method === "GET" ? "any" : "token");
    if (who === "app") {
      if (principal.kind !== "app") throw new Refused(401, "A JSON web token could not be decoded");
      return;
    }
    if (principal.kind === "app") throw new Refused(403, "Resource not accessible by integration", {});
    if (principal.kind === "anonymous") {
      if (who !== "any") throw new Refused(401, "Requires authentication");
      return;
    }
    const { token } = principal;
    if (who === "installation" && token.kind !== "installation")
      throw new Refused(
        403,
        "You must authenticate with an installation access token in order to list repositories for an installation.",
      );
    const reading = method === "GET";
    // What is public may be read by everyone, whatever the token was given.
    const open = reading && repository !== undefined && !repository.private;
    if (handler.needs && !open) {
      const permissions = permissionsOfToken(token);
      const covers = repository === undefined || tokenCovers(token, repository);
      if (!covers || !handler.needs.some((need) => permits(permissions, need))) throw lacks(token, handler.needs);
    }
    if (
      repository &&
      handler.role &&
      token.kind !== "installation" &&
      !reaches(roleOf(token.user, repository), handler.role)
    )
      throw roleOf(token.user, repository) === "none"
        ? notFound()
        : new Refused(403, "Must have admin rights to Repository.");
    if (repository?.archived && !reading) throw new Refused(403, "Repository was archived so is read-only.");
  }

  async #page(answer: Answer, values: Shape, url: URL, api: string, path: string): Promise<Answer> {
    if (!answer.list) return answer;
    const { items, present, wrap } = answer.list;
    const size = Math.min(100, Math.max(1, Number(values.per_page ?? 30)));
    const page = Math.max(1, Number(values.page ?? 1));
    const last = Math.max(1, Math.ceil(items.length / size));
    const body: unknown[] = [];
    for (const item of items.slice((page - 1) * size, page * size)) body.push(await present(item as never));
    const links: string[] = [];
    const link = (to: number, rel: string) => {
      const query = new URLSearchParams(url.searchParams);
      query.set("page", String(to));
      links.push(`<${api}${path}?${query}>; rel="${rel}"`);
    };
    if (page > 1) link(Math.min(page - 1, last), "prev");
    if (page < last) {
      link(page + 1, "next");
      link(last, "last");
    }
    if (page > 1) link(1, "first");
    return {
      status: answer.status,
      body: wrap ? wrap(body, items.length) : body,
      headers: { ...answer.headers, ...(links.length > 0 ? { link: links.join(", ") } : {}) },
    };
  }

  #send(
    request: IncomingMessage,
    response: ServerResponse,
    answer: Answer,
    headers: Record<string, string>,
    seen: Seen,
    refund: Result["refund"],
  ): void {
    seen.status = answer.status;
    const text =
      answer.body === undefined ? "" : typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body);
    const all: Record<string, string> = {
      ...headers,
      ...(answer.body === undefined
        ? {}
        : {
            "content-type":
              typeof answer.body === "string" ? "text/plain; charset=utf-8" : "application/json; charset=utf-8",
          }),
    };
    if (request.method === "GET" && answer.status === 200) {
      const etag = `W/"${createHash("sha256").update(text).digest("hex")}"`;
      all.etag = etag;
      all["cache-control"] = "private, max-age=60, s-maxage=60";
      const known = request.headers["if-none-match"];
      if (known?.split(/,\s*/).some((one) => one.replace(/^W\//, "") === etag.slice(2))) {
        seen.status = 304;
        Object.assign(all, refund?.());
        delete all["content-type"];
        response.writeHead(304, all).end();
        return;
      }
    }
    response.writeHead(answer.status, { ...all, "content-length": String(Buffer.byteLength(text)) }).end(text);
  }
}
