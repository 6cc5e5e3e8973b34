import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Usage, WireFormat } from "@x1agent/contract";
import {
  type Action,
  type Conversation,
  matches,
  type Rule,
  Scenario,
  type ScenarioInput,
  shellCall,
  solverScenario,
  type ToolCall,
} from "./scenario.ts";
import { solveAction } from "./solver.ts";
import {
  apiOfPath,
  BadRequest,
  errorBody,
  errorEvent,
  type Reply,
  rateLimitHeaders,
  readRequest,
  replyBody,
  replyEvents,
  type StreamEvent,
} from "./wire.ts";

/** The real APIs take 32 MB. */
const MAX_BODY = 32 * 1024 * 1024;
/** Kept requests: a demo or a test looks at the latest few hundred, and a flood must not fill the memory. */
const MAX_RECORDED = 500;
const MAX_RECORDED_BYTES = 64 * 1024 * 1024;

/** One request as it arrived. */
export type RecordedRequest = {
  /** Counts model requests from 1; 0 for everything else (counting tokens, health probes, unknown paths). */
  number: number;
  method: string;
  path: string;
  api: WireFormat | null;
  /** The credential that arrived, without its scheme; null when there was none. */
  key: string | null;
  headers: Record<string, string>;
  body: unknown;
  model: string | null;
  /** Status answered; 0 while it is open or when the connection was cut before a status. */
  status: number;
  /** Tokens the answer said it cost; null for errors and streams that never finished. */
  usage: Usage | null;
  /** The client left before the answer was complete. */
  aborted: boolean;
};

/** A running scripted model server. */
export type ModelServer = {
  url: string;
  port: number;
  /** The one credential it accepts. */
  key: string;
  /** The latest requests, oldest first. */
  readonly requests: readonly RecordedRequest[];
  /** Replaces the rules and what is used up of them; the request numbers go on. */
  setScenario(scenario: ScenarioInput): void;
  /** Keeps every answer back from now on; the returned function lets them go. */
  hold(): () => void;
  /** Resolves with the requests once `count` model requests have arrived; rejects after `timeoutMs`. */
  waitForRequests(count: number, timeoutMs?: number): Promise<readonly RecordedRequest[]>;
  close(): Promise<void>;
};

/**
 * Starts a server that speaks Anthropic Messages, OpenAI Responses and OpenAI Chat Completions on loopback and answers
 * by a scenario. It stands where a provider would: it wants its own key, and refuses every other with the API's 401.
 */
export async function startModelServer(
  options: { port?: number; host?: string; scenario?: ScenarioInput; key?: string } = {},
): Promise<ModelServer> {
  const key = options.key ?? "scripted-model-key";
  let script = new Script(options.scenario ?? solverScenario);
  const recorder = new Recorder();
  const stopping = new AbortController();
  let held: Promise<void> | null = null;

  const server = createServer((request, response) => {
    handle(request, response).catch((cause: unknown) => {
      // A client that left, or this server closing, ends a stream early; nothing else may fail here.
      if (!response.destroyed && !stopping.signal.aborted) console.error("model server:", cause);
      response.destroy();
    });
  });

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://model.invalid");
    const target = apiOfPath(url.pathname);
    const text = await readBody(request);
    const generate = target?.endpoint === "generate" && request.method === "POST";
    const entry = recorder.add(request, url, target?.api ?? null, text, generate);
    const gone = new AbortController();
    response.once("close", () => {
      entry.aborted = !response.writableFinished && entry.status !== 0;
      gone.abort();
    });
    const signal = AbortSignal.any([gone.signal, stopping.signal]);
    const api = target?.api ?? "anthropic-messages";
    const requestId = `req_scripted_${String(entry.number).padStart(6, "0")}`;
    const send = (status: number, body: unknown, headers: Record<string, string> = {}) => {
      entry.status = status;
      response.writeHead(status, {
        "content-type": "application/json",
        [api === "anthropic-messages" ? "request-id" : "x-request-id"]: requestId,
        ...rateLimitHeaders(api, entry.number, status === 429),
        ...headers,
      });
      response.end(JSON.stringify(body));
    };
    const fail = (status: number, message: string, headers: Record<string, string> = {}) =>
      send(status, errorBody(api, status, message, requestId), headers);

    if (text === null) return fail(413, "Request exceeds the maximum size");
    // What a test of a key asks: free of charge, and told to nobody without the key.
    if (!target && url.pathname === "/v1/models" && request.method === "GET")
      return entry.key === key
        ? send(200, { data: [{ id: "scripted", object: "model" }] })
        : fail(401, "invalid x-api-key");
    if (!target) return fail(404, `Not found: ${request.method} ${url.pathname}`);
    if (request.method !== "POST") return fail(405, "Method Not Allowed");
    if (entry.key !== key)
      return fail(401, api === "anthropic-messages" ? "invalid x-api-key" : "Incorrect API key provided");
    if (entry.body === undefined) return fail(400, "The request body is not valid JSON");
    if (target.endpoint === "count_tokens") return send(200, { input_tokens: tokensIn(text) });
    let conversation: Conversation;
    try {
      conversation = readRequest(api, entry.body);
    } catch (cause) {
      if (cause instanceof BadRequest) return fail(400, cause.message);
      throw cause;
    }
    entry.model = conversation.model;

    const rule = script.next(conversation, entry.number);
    if (!rule) return fail(500, "The scenario has no rule for this request");
    await held;
    if (rule.delayMs > 0) await delay(rule.delayMs, undefined, { signal });
    const action: Exclude<Action, { kind: "solve" }> =
      rule.action.kind === "solve" ? solveAction(conversation, rule.action) : rule.action;
    if (action.kind === "fault") {
      const after = action.retryAfterSeconds;
      return fail(action.status, action.message, after === undefined ? {} : { "retry-after": String(after) });
    }
    if (action.kind === "hang") return void (await once(signal, "abort"));

    const reply = makeReply(conversation, action, rule, entry.number, text);
    if (!conversation.stream && action.kind !== "broken" && action.kind !== "endless") {
      entry.usage = reply.usage;
      return send(200, replyBody(api, reply));
    }
    entry.status = 200;
    response.writeHead(200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache",
      [api === "anthropic-messages" ? "request-id" : "x-request-id"]: requestId,
      ...rateLimitHeaders(api, entry.number, false),
    });
    const write = async (event: StreamEvent) => {
      const data = typeof event.data === "string" ? event.data : JSON.stringify(event.data);
      if (!response.write(`${event.event ? `event: ${event.event}\n` : ""}data: ${data}\n\n`))
        await once(response, "drain", { signal });
    };
    const events = replyEvents(api, reply, conversation.includeUsage);
    if (action.kind === "broken") {
      for (const event of events.slice(0, action.afterEvents)) await write(event);
      if (action.how === "error_event") {
        await write(errorEvent(api, requestId));
        response.end();
      } else {
        // Let the bytes reach the client, then cut without the last chunk.
        await delay(20, undefined, { signal });
        response.destroy();
      }
      return;
    }
    if (action.kind === "endless") {
      const delta = events.findIndex((event) => JSON.stringify(event.data).includes("still talking"));
      for (const event of events.slice(0, delta)) await write(event);
      for (;;) {
        await write(events[delta]!);
        await delay(action.chunkDelayMs, undefined, { signal });
      }
    }
    const pace = "chunkDelayMs" in action ? action.chunkDelayMs : 0;
    for (const event of events) {
      if (pace > 0) await delay(pace, undefined, { signal });
      await write(event);
    }
    entry.usage = reply.usage;
    response.end();
  }

  server.listen(options.port ?? 0, options.host ?? "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    key,
    get requests() {
      return recorder.requests;
    },
    setScenario(scenario) {
      script = new Script(scenario);
    },
    hold() {
      const { promise, resolve } = Promise.withResolvers<void>();
      held = promise;
      return resolve;
    },
    waitForRequests: (count, timeoutMs = 30_000) => recorder.wait(count, timeoutMs),
    async close() {
      stopping.abort();
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** The rules of a scenario and how often each has answered. */
class Script {
  readonly #rules: readonly Rule[];
  readonly #used = new Map<Rule, number>();
  constructor(scenario: ScenarioInput) {
    this.#rules = Scenario.parse(scenario).rules;
  }
  next(conversation: Conversation, requestNumber: number): Rule | undefined {
    const rule = this.#rules.find(
      (candidate) =>
        (this.#used.get(candidate) ?? 0) < (candidate.times ?? Number.POSITIVE_INFINITY) &&
        matches(candidate.match, conversation, requestNumber),
    );
    if (rule) this.#used.set(rule, (this.#used.get(rule) ?? 0) + 1);
    return rule;
  }
}

/** The latest requests, bounded in number and bytes. */
class Recorder {
  readonly requests: RecordedRequest[] = [];
  readonly #sizes: number[] = [];
  #bytes = 0;
  #numbered = 0;
  #waiting: { count: number; resolve(): void }[] = [];

  add(
    request: IncomingMessage,
    url: URL,
    api: WireFormat | null,
    text: string | null,
    numbered: boolean,
  ): RecordedRequest {
    if (numbered) this.#numbered += 1;
    const entry: RecordedRequest = {
      number: numbered ? this.#numbered : 0,
      method: request.method ?? "",
      path: url.pathname + url.search,
      api,
      key: keyOf(request),
      headers: Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)])),
      body: parse(text),
      model: null,
      status: 0,
      usage: null,
      aborted: false,
    };
    this.requests.push(entry);
    this.#sizes.push(text?.length ?? 0);
    this.#bytes += text?.length ?? 0;
    while (this.requests.length > MAX_RECORDED || (this.#bytes > MAX_RECORDED_BYTES && this.requests.length > 1)) {
      this.requests.shift();
      this.#bytes -= this.#sizes.shift() ?? 0;
    }
    for (const waiter of this.#waiting) if (this.#numbered >= waiter.count) waiter.resolve();
    this.#waiting = this.#waiting.filter((waiter) => this.#numbered < waiter.count);
    return entry;
  }

  async wait(count: number, timeoutMs: number): Promise<readonly RecordedRequest[]> {
    if (this.#numbered >= count) return this.requests;
    const arrived = Promise.withResolvers<void>();
    const timer = setTimeout(
      () => arrived.reject(new Error(`${this.#numbered} of ${count} model requests arrived in ${timeoutMs} ms`)),
      timeoutMs,
    );
    this.#waiting.push({ count, resolve: arrived.resolve });
    await arrived.promise.finally(() => clearTimeout(timer));
    return this.requests;
  }
}

function parse(text: string | null): unknown {
  try {
    return text ? (JSON.parse(text) as unknown) : undefined;
  } catch {
    return undefined;
  }
}

function keyOf(request: IncomingMessage): string | null {
  const header = request.headers["x-api-key"];
  if (typeof header === "string") return header;
  return /^Bearer (.+)$/i.exec(request.headers.authorization ?? "")?.[1] ?? null;
}

/** The whole body as text, or null when it is larger than the real APIs take (the rest is read and dropped). */
async function readBody(request: IncomingMessage): Promise<string | null> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes <= MAX_BODY) parts.push(part);
  }
  return bytes > MAX_BODY ? null : Buffer.concat(parts).toString("utf8");
}

/** Four characters a token: near enough for a bill that only has to be the same each time. */
const tokensIn = (text: string) => Math.max(1, Math.ceil(text.length / 4));

type Answering = Extract<Action, { kind: "text" | "shell" | "tool" | "broken" | "endless" }>;

/** Puts an action into an answer with ids and token counts. */
function makeReply(conversation: Conversation, action: Answering, rule: Rule, number: number, body: string): Reply {
  const serial = String(number).padStart(6, "0");
  const prefix = { "anthropic-messages": "msg", "openai-responses": "resp", "openai-chat": "chatcmpl" }[
    conversation.api
  ];
  const callPrefix = conversation.api === "anthropic-messages" ? "toolu" : "call";
  const calls: ToolCall[] = [];
  let text = action.kind === "endless" ? "still talking " : (action.text ?? "");
  const add = (call: Omit<ToolCall, "id">) => calls.push({ id: `${callPrefix}_${serial}${calls.length + 1}`, ...call });
  if (action.kind === "shell") {
    for (const command of action.commands) {
      const call = shellCall(conversation.tools, command);
      if (call) add(call);
    }
    if (calls.length === 0) text = `${text} I have no shell tool here.`.trim();
  } else if (action.kind === "tool") {
    const tool = conversation.tools.find((offered) => offered.name.toLowerCase() === action.tool.toLowerCase());
    if (tool) add({ name: tool.name, input: action.input });
    else text = `${text} I have no tool named ${action.tool} here.`.trim();
  }
  const thinking = action.kind === "text" ? action.thinking : undefined;
  const said = text.length + (thinking?.length ?? 0) + (calls.length > 0 ? JSON.stringify(calls).length : 0);
  const usage: Usage = {
    inputTokens: rule.usage?.inputTokens ?? tokensIn(body),
    outputTokens: rule.usage?.outputTokens ?? Math.max(1, Math.ceil(said / 4)),
    cacheReadTokens: rule.usage?.cacheReadTokens ?? 0,
    cacheWriteTokens: rule.usage?.cacheWriteTokens ?? 0,
  };
  // A real model stops at the limit it was given: so does the bill, and then the text.
  const limit = conversation.maxOutputTokens ?? Number.POSITIVE_INFINITY;
  const truncated = usage.outputTokens > limit;
  if (truncated) usage.outputTokens = limit;
  return {
    id: `${prefix}_scripted_${serial}`,
    model: conversation.model,
    text: truncated ? text.slice(0, limit * 4) : text,
    thinking,
    calls: truncated ? [] : calls,
    usage,
    truncated,
    chunkCharacters: "chunkCharacters" in action ? action.chunkCharacters : 24,
  };
}
