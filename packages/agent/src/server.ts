import { createHash, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import {
  AnswerRequest,
  EmptyRequest,
  type ErrorCode,
  InjectRequest,
  ModelRequest,
  type Outcome,
  problem,
  refuse,
  StartRequest,
} from "@x1agent/contract";
import type { z } from "zod";

/** What the verbs of the input port do; each answers with a value or a refusal. */
export type Verbs = {
  start(request: StartRequest): Outcome<unknown> | Promise<Outcome<unknown>>;
  inject(request: InjectRequest): Outcome<unknown> | Promise<Outcome<unknown>>;
  interrupt(): Outcome<unknown> | Promise<Outcome<unknown>>;
  answer(request: AnswerRequest): Outcome<unknown> | Promise<Outcome<unknown>>;
  model(request: { model: string }): Outcome<unknown> | Promise<Outcome<unknown>>;
  shutdown(): Outcome<unknown> | Promise<Outcome<unknown>>;
  state(): unknown;
  health(): unknown;
};
export type ServerOptions = {
  token: string;
  verbs: Verbs;
  events(request: IncomingMessage, response: ServerResponse): void;
};

/** A message of the longest allowed length, in JSON escapes. */
const MAX_BODY = 8 * 1024 * 1024;
const MAX_STREAMS = 16;
/** Names under which a request may ask for us: loopback, and what clients of a unix socket call it. */
const hosts = /^(127\.0\.0\.1|localhost|\[::1\]|unix|x1)(:\d{1,5})?$/i;

type Route = (request: IncomingMessage) => Promise<Outcome<unknown>>;

/** The server of :3100 (`events`). */
export function eventsServer(options: ServerOptions): Server {
  let streams = 0;
  return guarded(options.token, async (request, response, path) => {
    if (path === "/health" && request.method === "GET") return json(response, 200, options.verbs.health());
    if (path !== "/events" || request.method !== "GET")
      return refused(response, "not_found", `No ${request.method} ${path} here.`);
    const id = request.headers["last-event-id"];
    if (id !== undefined && !/^\d{1,16}-\d{1,16}$/.test(String(id)))
      return refused(response, "invalid_request", "Last-Event-ID is <epoch>-<seq>.");
    if (streams >= MAX_STREAMS) return refused(response, "rate_limited", `At most ${MAX_STREAMS} readers.`);
    streams += 1;
    response.on("close", () => {
      streams -= 1;
    });
    options.events(request, response);
  });
}

/** The server of :8788 (`input`). */
export function inputServer(options: ServerOptions): Server {
  const { verbs } = options;
  const gets: Record<string, () => unknown> = { "/health": () => verbs.health(), "/state": () => verbs.state() };
  const posts: Record<string, Route> = {
    "/start": withBody(StartRequest, (body) => verbs.start(body)),
    "/inject": withBody(InjectRequest, (body) => verbs.inject(body)),
    "/interrupt": withBody(EmptyRequest, () => verbs.interrupt()),
    "/answer": withBody(AnswerRequest, (body) => verbs.answer(body)),
    "/model": withBody(ModelRequest, (body) => verbs.model(body)),
    "/shutdown": withBody(EmptyRequest, () => verbs.shutdown()),
  };
  return guarded(options.token, async (request, response, path) => {
    const get = request.method === "GET" && Object.hasOwn(gets, path) ? gets[path] : undefined;
    if (get) return json(response, 200, get());
    const post = request.method === "POST" && Object.hasOwn(posts, path) ? posts[path] : undefined;
    if (!post) return refused(response, "not_found", `No ${request.method} ${path} here.`);
    const outcome = await post(request);
    if (outcome.ok) json(response, 200, outcome.value ?? {});
    else refused(response, outcome.code, outcome.detail);
  });
}

/** Host and token before anything else, on every request; a bug answers 500 and never ends the host. */
function guarded(
  token: string,
  handle: (request: IncomingMessage, response: ServerResponse, path: string) => Promise<void>,
): Server {
  const server = createServer((request, response) => {
    // The client may go at any time.
    response.on("error", () => {});
    if (!hosts.test(request.headers.host ?? "")) return refused(response, "host_refused", "Ask for a loopback name.");
    if (!sameToken(request.headers.authorization ?? "", `Bearer ${token}`)) return refused(response, "unauthenticated");
    const path = (request.url ?? "/").split("?", 1)[0] ?? "/";
    handle(request, response, path).catch((cause: unknown) => {
      process.stderr.write(
        `x1 host: ${request.method} ${path}: ${cause instanceof Error ? cause.message : "failed"}\n`,
      );
      if (!response.headersSent) refused(response, "internal");
      else response.destroy();
    });
  });
  server.headersTimeout = 10_000;
  server.requestTimeout = 60_000;
  server.maxConnections = 64;
  return server;
}

/** Equal in constant time, whatever the lengths. */
function sameToken(given: string, expected: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

function withBody<S extends z.ZodType>(
  schema: S,
  verb: (body: z.infer<S>) => Outcome<unknown> | Promise<Outcome<unknown>>,
): Route {
  return async (request) => {
    const text = await readBody(request);
    if (text === null) return refuse("body_too_large", `At most ${MAX_BODY} bytes.`);
    let value: unknown;
    try {
      value = text === "" ? {} : JSON.parse(text);
    } catch {
      return refuse("invalid_request", "The body is not JSON.");
    }
    const parsed = schema.safeParse(value);
    if (!parsed.success) {
      const issues = parsed.error.issues
        .slice(0, 10)
        .map((issue) => `${issue.path.join(".") || "body"}: ${issue.message}`);
      return refuse("invalid_request", issues.join("; ").slice(0, 1_000));
    }
    return verb(parsed.data);
  };
}

async function readBody(request: IncomingMessage): Promise<string | null> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > MAX_BODY) return null;
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

function json(response: ServerResponse, status: number, value: unknown, type = "application/json"): void {
  const body = JSON.stringify(value);
  response.writeHead(status, {
    "content-type": type,
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
  });
  response.end(body);
}

function refused(response: ServerResponse, code: ErrorCode, detail?: string): void {
  const body = problem(code, detail);
  // The rest of a body that nobody reads must not keep the connection.
  if (code === "body_too_large") response.setHeader("connection", "close");
  json(response, body.status, body, "application/problem+json");
}
