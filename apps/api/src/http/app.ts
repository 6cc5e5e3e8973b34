import { createHash, randomUUID } from "node:crypto";
import type { HttpBindings } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import {
  accept,
  type ErrorCode,
  errorCodes,
  Fault,
  type Outcome,
  problem,
  type Refusal,
  type Route,
  type RouteName,
  refuse,
  routes,
} from "@x1agent/contract";
import type { Tx } from "@x1agent/kernel";
import { type Context, Hono } from "hono";
import type { z } from "zod";
import type { ForgePages } from "../use-cases/forges.ts";
import type { Call, Handlers, Principal } from "./call.ts";
import { docsPage } from "./docs.ts";
import { addForgePages } from "./forge-pages.ts";
import { bodyLimit, checkOrigin, readBody } from "./guard.ts";
import type { Idempotency } from "./idempotency.ts";
import { openApi } from "./openapi.ts";
import { addWeb, cookieToken, type WebDeps } from "./web/index.ts";
import { addWebhooks, type WebhookDeps } from "./webhooks.ts";

export type AppDeps = {
  handlers: Handlers;
  authenticate(token: string): Promise<Principal | null>;
  idempotency: Idempotency;
  /** Names beside the loopback ones by which the service may be reached. */
  hosts: ReadonlySet<string>;
  /** Told about every failure that is ours; must not throw. */
  onError(error: unknown, requestId: string): void;
  /** Hold every answer against the route table: on in development and tests, where a wrong answer shall be loud. */
  checkAnswers: boolean;
  /** The web app and its sign-in; absent where only the API is served. */
  web?: WebDeps;
  /** What forges send by themselves. */
  webhooks?: WebhookDeps;
  forgePages?: ForgePages;
};

type Env = { Bindings: HttpBindings; Variables: { requestId: string } };
type Ctx = Context<Env>;
type AnyHandler = (call: Call<RouteName>) => Promise<Outcome<unknown>>;
type Invalid = Refusal & { errors?: { path: string; message: string }[] };

const securityHeaders = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
};

/**
 * The HTTP application: one pipeline for every route of the contract. A request passes, in this order: Host and Origin,
 * token, scope, size, schemas, idempotency, handler. Whatever stops it leaves as a problem document.
 */
export function createApp(deps: AppDeps): Hono<Env> {
  const app = new Hono<Env>();

  app.use(async (c, next) => {
    const requestId = `req_${randomUUID()}`;
    c.set("requestId", requestId);
    // By `c.header`, not on `c.res`: a response that exists already is copied, and a stream's own one would be lost.
    c.header("x-request-id", requestId);
    for (const [name, value] of Object.entries(securityHeaders)) c.header(name, value);
    const allowed = checkOrigin({ host: c.req.header("host"), origin: c.req.header("origin") }, deps.hosts);
    if (!allowed.ok) return failed(c, allowed);
    await next();
    return undefined;
  });

  app.get("/openapi.json", (c) => c.json(openApi()));
  app.get("/docs", (c) => {
    const page = docsPage();
    c.header("content-security-policy", page.csp);
    return c.html(page.html);
  });

  for (const name of Object.keys(routes) as RouteName[]) {
    const route: Route = routes[name];
    app.on(route.method, route.path, (c) => serve(c, name, route, deps));
  }

  if (deps.webhooks) addWebhooks(app, deps.webhooks);
  if (deps.forgePages) addForgePages(app, deps.forgePages);
  if (deps.web) addWeb(app, deps.web);

  app.notFound(async (c) => {
    // Without a token nothing is told, not even which paths exist.
    const principal = await authenticate(c, deps);
    return failed(c, principal.ok ? refuse("not_found", "No such path; /docs lists them.") : principal);
  });
  app.onError((error, c) => failed(c, faultOf(error, requestIdOf(c), deps)));
  return app;
}

async function serve(c: Ctx, name: RouteName, route: Route, deps: AppDeps): Promise<Response> {
  let principal: Principal | null = null;
  if (route.scope !== null) {
    const known = await authenticate(c, deps);
    if (!known.ok) return failed(c, known);
    principal = known.value;
    if (!principal.scopes.includes(route.scope))
      return failed(c, refuse("forbidden", `This token lacks the scope "${route.scope}".`));
  }

  const raw = await readBody(c.req.raw, bodyLimit(name));
  if (!raw.ok) return failed(c, raw);
  const query = parse(route.query, c.req.query(), "query");
  if (!query.ok) return failed(c, query);
  const json = route.body ? parseJson(c, raw.value) : accept(undefined);
  if (!json.ok) return failed(c, json);
  const body = parse(route.body, json.value, "body");
  if (!body.ok) return failed(c, body);
  const idempotencyKey = c.req.header("idempotency-key") ?? null;
  if (idempotencyKey !== null && !/^[\x21-\x7e]{1,200}$/.test(idempotencyKey))
    return failed(c, refuse("invalid_request", "Idempotency-Key must be 1 to 200 visible ASCII characters."));
  const lastEventId = /^\d{1,15}$/.exec(c.req.header("last-event-id") ?? "")?.[0];

  const call = {
    params: c.req.param(),
    query: query.value,
    body: body.value,
    principal,
    requestId: requestIdOf(c),
    stillValid: async () => (await authenticate(c, deps)).ok,
    idempotencyKey,
    origin: c.req.header("origin") ?? null,
    lastEventId: lastEventId === undefined ? null : Number(lastEventId),
  } as unknown as Call<RouteName>;
  if (!route.idempotent || idempotencyKey === null || !principal) return perform(c, name, route, call, deps);
  const hash = createHash("sha256").update(`${route.method} ${c.req.path}\n`).update(raw.value).digest("hex");
  return deps.idempotency.once(
    { organizationId: principal.organizationId, key: `${principal.actor.id}:${idempotencyKey}`, hash },
    (keep) => {
      const kept = (tx: Tx, value: object) =>
        keep(tx, { status: route.status, contentType: "application/json", body: JSON.stringify(value) });
      return perform(c, name, route, { ...call, kept }, deps);
    },
    {
      refuse: (refusal) => failed(c, refusal),
      replay(answer) {
        c.header("idempotency-replayed", "true");
        c.header("content-type", answer.contentType);
        return c.body(answer.body, answer.status as 200);
      },
    },
  );
}

/** Runs the handler and turns what it hands back into a response of the route's kind. */
async function perform(c: Ctx, name: RouteName, route: Route, call: Call<RouteName>, deps: AppDeps): Promise<Response> {
  let outcome: Outcome<unknown>;
  try {
    outcome = await (deps.handlers[name] as AnyHandler)(call);
  } catch (error) {
    return failed(c, faultOf(error, call.requestId, deps));
  }
  if (!outcome.ok) return failed(c, outcome);
  switch (route.kind) {
    case "sse":
      (outcome.value as (out: HttpBindings["outgoing"]) => void)(c.env.outgoing);
      return RESPONSE_ALREADY_SENT;
    case "text":
      return text(c, route, outcome.value as string | AsyncIterable<string>);
    case "bytes":
      // Never sniffed, never shown in place: these bytes come from inside a workspace.
      c.header("content-type", "application/octet-stream");
      c.header("content-disposition", "attachment");
      return c.body(outcome.value as Uint8Array<ArrayBuffer>, route.status as 200);
    default:
      if (deps.checkAnswers) route.response.parse(outcome.value);
      return c.json(outcome.value as object, route.status as 200);
  }
}

function text(c: Ctx, route: Route, value: string | AsyncIterable<string>): Response {
  c.header("content-type", "text/plain; charset=utf-8");
  if (typeof value === "string") return c.body(value, route.status as 200);
  const lines = value[Symbol.asyncIterator]();
  const encoder = new TextEncoder();
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value: line } = await lines.next();
      if (done) controller.close();
      else controller.enqueue(encoder.encode(line));
    },
    async cancel() {
      await lines.return?.();
    },
  });
  return c.body(stream, route.status as 200);
}

async function authenticate(c: Ctx, deps: AppDeps): Promise<Outcome<Principal>> {
  const bearer = /^Bearer ([\x21-\x7e]{1,500})$/.exec(c.req.header("authorization") ?? "")?.[1];
  // A session is good for the browser that holds its cookie, and for nothing else.
  const token = bearer?.startsWith("x1s_") ? null : (bearer ?? sessionToken(c));
  if (!token) return refuse("unauthenticated", "The request carries no token.");
  const principal = await deps.authenticate(token);
  return principal ? accept(principal) : refuse("unauthenticated", "The token is unknown, expired or revoked.");
}

/**
 * The token of a browser's session. What changes something counts only with an Origin, which was held against Host
 * before: SameSite=Strict alone would let other ports of this machine in, since they are the same site.
 */
function sessionToken(c: Ctx): string | null {
  if (c.req.method !== "GET" && c.req.header("origin") === undefined) return null;
  const site = c.req.header("sec-fetch-site");
  if (site !== undefined && site !== "same-origin") return null;
  return cookieToken(c.req.header("cookie"), c.req.header("host"));
}

function parseJson(c: Ctx, bytes: Uint8Array): Outcome<unknown> {
  const type = c.req.header("content-type") ?? "";
  // A form or text body can be sent by any web page without asking first; JSON cannot.
  if (!/^application\/json\s*(;|$)/i.test(type)) return refuse("invalid_request", "Send the body as application/json.");
  try {
    return accept(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
  } catch {
    return refuse("invalid_request", "The body is no valid JSON in UTF-8.");
  }
}

function parse(schema: z.ZodType | undefined, value: unknown, where: string): { ok: true; value: unknown } | Invalid {
  if (!schema) return accept(where === "body" ? undefined : {});
  const result = schema.safeParse(value);
  if (result.success) return accept(result.data);
  const errors = result.error.issues
    .slice(0, 50)
    .map((issue) => ({ path: [where, ...issue.path].join("."), message: issue.message }));
  const goal = result.error.issues.find((issue) => issue.code === "too_big" && issue.path.join(".") === "goal");
  if (goal) return { ...refuse("goal_too_large", "The goal may have at most 1 MB of text."), errors };
  const first = errors[0];
  return { ...refuse("invalid_request", first ? `${first.path}: ${first.message}` : undefined), errors };
}

/** A thrown error as a refusal to send: faults keep their code and sentence, bugs tell nothing but the id. */
function faultOf(error: unknown, requestId: string, deps: AppDeps): Refusal {
  if (error instanceof Fault) {
    if (errorCodes[error.code].status >= 500) deps.onError(error, requestId);
    return refuse(error.code, error.message);
  }
  deps.onError(error, requestId);
  return refuse("internal", `Something broke; the log has it under ${requestId}.`);
}

const requestIdOf = (c: Ctx): string => c.get("requestId");

function failed(c: Ctx, refusal: Invalid): Response {
  const code: ErrorCode = refusal.code;
  const body = problem(code, refusal.detail, {
    instance: requestIdOf(c),
    ...(refusal.errors ? { errors: refusal.errors } : {}),
  });
  if (code === "unauthenticated") c.header("www-authenticate", 'Bearer realm="x1agent"');
  c.header("content-type", "application/problem+json");
  return c.body(JSON.stringify(body), body.status as 400);
}
