import {
  Problem,
  problem,
  type Route,
  type RouteBodyInput,
  type RouteName,
  type RouteParams,
  type RouteQueryInput,
  type RouteResponse,
  type Routes,
  routes,
} from "@x1agent/contract";
import { ApiError, InvalidArgument, UnreachableError } from "./errors.ts";
import { followEvents, type LiveEvent } from "./events.ts";

/** An empty object type adds nothing; `undefined` means that the route takes none. */
type Part<Key extends string, T> = [T] extends [undefined]
  ? unknown
  : Record<never, never> extends T
    ? { [K in Key]?: T }
    : { [K in Key]: T };
/** What one call takes: `params`, `query` and `body` of the route, and how to send it. */
export type CallInput<N extends RouteName> = (keyof RouteParams<N> extends never
  ? unknown
  : { params: RouteParams<N> }) &
  Part<"query", RouteQueryInput<N>> &
  Part<"body", RouteBodyInput<N>> & { signal?: AbortSignal; idempotencyKey?: string };
/** What one call answers with: bytes for `bytes` routes, else what the table says. */
export type CallOutput<N extends RouteName> = Routes[N]["kind"] extends "bytes" ? Uint8Array : RouteResponse<N>;
type Method<N extends RouteName> =
  Record<never, never> extends CallInput<N>
    ? (input?: CallInput<N>) => Promise<CallOutput<N>>
    : (input: CallInput<N>) => Promise<CallOutput<N>>;
type StreamingName = { [N in RouteName]: Routes[N]["kind"] extends "sse" ? N : never }[RouteName];
type TextName = { [N in RouteName]: Routes[N]["kind"] extends "text" ? N : never }[RouteName];

export type ClientOptions = {
  /** Origin of the service, such as `http://127.0.0.1:4380`. */
  baseUrl: string;
  /** API token; without one only the public routes answer. */
  token?: string;
  /** Replaces the global `fetch`. */
  fetch?: typeof fetch;
};
export type EventOptions = {
  /** Start after this number; 0 or absent: from the beginning. */
  after?: number;
  signal?: AbortSignal;
  /** Told about each broken connection before the next try. */
  onReconnect?: (cause: unknown, attempt: number) => void;
  /** Told about each connection that stands. */
  onConnect?: () => void;
};

/** One typed method per route of the contract, and the two ways to read a stream. */
export type Client = { [N in Exclude<RouteName, StreamingName>]: Method<N> } & {
  /**
   * Events of a job from any number on, then live, for as long as the signal lets it. Reconnects by itself with the
   * last number seen: a stored event comes exactly once and in order. Live-only deltas have no `seq` and may be lost.
   */
  events(jobId: string, options?: EventOptions): AsyncGenerator<LiveEvent, void, void>;
  /** Lines of a `text` route as they arrive. */
  lines<N extends TextName>(name: N, input: CallInput<N>): AsyncGenerator<string, void, void>;
  readonly baseUrl: string;
};

type AnyInput = {
  params?: Record<string, string>;
  query?: Record<string, unknown>;
  body?: unknown;
  signal?: AbortSignal;
  idempotencyKey?: string;
};

/** `jobId` for people: "Job id". */
const label = (name: string): string => {
  const words = name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return words.charAt(0).toUpperCase() + words.slice(1);
};

/** Fills a route's path; every parameter is percent-encoded. */
export function fillPath(path: string, params: Record<string, string>): string {
  return path.replace(/:(\w+)/g, (_, name: string) => {
    const value = params[name];
    if (!value) throw new InvalidArgument(`${label(name)} is missing.`);
    // `.` and `..` would be folded away by every URL parser, so they can name nothing.
    if (value === "." || value === "..") throw new InvalidArgument(`"${value}" is no ${label(name).toLowerCase()}.`);
    return encodeURIComponent(value);
  });
}

/** Makes a client of the HTTP API from the route table. Works in browsers and in Node. */
export function createClient(options: ClientOptions): Client {
  const baseUrl = options.baseUrl.replace(/\/+$/, "");
  const send = options.fetch ?? globalThis.fetch.bind(globalThis);

  /** Sends one request and returns a successful response, or throws. */
  async function request(name: RouteName, input: AnyInput, headers: Record<string, string> = {}): Promise<Response> {
    const route: Route = routes[name];
    const url = new URL(baseUrl + fillPath(route.path, input.params ?? {}));
    for (const [key, value] of Object.entries(input.query ?? {}))
      if (value !== undefined) url.searchParams.set(key, String(value));
    const init: RequestInit = {
      method: route.method,
      headers: {
        accept: route.kind === "sse" ? "text/event-stream" : "application/json, */*;q=0.5",
        ...(options.token ? { authorization: `Bearer ${options.token}` } : {}),
        ...(input.body === undefined ? {} : { "content-type": "application/json" }),
        ...(input.idempotencyKey ? { "idempotency-key": input.idempotencyKey } : {}),
        ...headers,
      },
      redirect: "error",
      ...(input.body === undefined ? {} : { body: JSON.stringify(input.body) }),
      ...(input.signal ? { signal: input.signal } : {}),
    };
    let response: Response;
    try {
      response = await send(url, init);
    } catch (cause) {
      if (input.signal?.aborted) throw cause;
      throw new UnreachableError(`No answer from ${baseUrl}. Is the service running?`, { cause });
    }
    if (!response.ok) throw await failure(response, baseUrl);
    return response;
  }

  async function call(name: RouteName, input: AnyInput = {}): Promise<unknown> {
    const response = await request(name, input);
    switch (routes[name].kind) {
      case "json":
        return response.json();
      case "bytes":
        return new Uint8Array(await response.arrayBuffer());
      default:
        return response.text();
    }
  }

  const client: Record<string, unknown> = {
    baseUrl,
    events: (jobId: string, follow: EventOptions = {}) =>
      followEvents(
        (after, signal) =>
          request("jobEvents", { params: { jobId }, signal }, after > 0 ? { "last-event-id": String(after) } : {}),
        follow,
      ),
    lines: (name: RouteName, input: AnyInput) => textLines(request(name, input)),
  };
  for (const name of Object.keys(routes) as RouteName[])
    if (routes[name].kind !== "sse") client[name] = (input?: AnyInput) => call(name, input);
  return client as Client;
}

/** The error that an unsuccessful answer stands for. */
export async function failure(response: Response, baseUrl: string): Promise<Error> {
  const text = await response.text().catch(() => "");
  try {
    return new ApiError(Problem.parse(JSON.parse(text)));
  } catch {
    // A newer service may know codes that this build does not: keep what can be read and stay a coded error.
    const document = looseProblem(text);
    if (document) return new ApiError(document);
    return new UnreachableError(`${baseUrl} answered ${response.status} without a problem document: no x1agent there?`);
  }
}

function looseProblem(text: string): Problem | null {
  try {
    const value = JSON.parse(text) as Partial<Problem>;
    if (typeof value.status !== "number" || typeof value.detail !== "string") return null;
    return { ...problem(value.status < 500 ? "conflict" : "internal", value.detail), status: value.status };
  } catch {
    return null;
  }
}

async function* textLines(response: Promise<Response>): AsyncGenerator<string, void, void> {
  const body = (await response).body;
  if (!body) return;
  const decoder = new TextDecoder();
  let rest = "";
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    rest += decoder.decode(value, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  if (rest) yield rest;
}
