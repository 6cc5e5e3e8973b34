import { request as httpRequest, type IncomingMessage } from "node:http";
import {
  accept,
  EventEnvelope,
  Fault,
  HostState,
  MAX_EVENT_BYTES,
  type Outcome,
  Problem,
  refuse,
} from "@x1agent/contract";
import type { HostEndpoint } from "@x1agent/workspaces";

/** The host is gone or does not answer: the attempt is lost, and another one may do better. */
export class HostUnreachable extends Fault {}

/**
 * Talks to the host of one workspace. Whatever answers there is the agent's trust domain: no redirect is followed,
 * everything is bounded and held against its schema, and nothing it says is taken for more than its word.
 */
export type HostClient = {
  post(
    path: "/start" | "/inject" | "/interrupt" | "/answer" | "/model" | "/shutdown",
    body: object,
  ): Promise<Outcome<unknown>>;
  state(): Promise<HostState>;
  /** Reads events until `signal` or the host's end, connecting again from the last id. Rejects when the host stays out of reach. */
  follow(options: FollowOptions): Promise<void>;
};
export type FollowOptions = {
  lastEventId: string | null;
  signal: AbortSignal;
  onEvent(event: EventEnvelope): void;
  /** A message that is no event: counted and told, never passed on. */
  onInvalid(detail: string): void;
  /** Told before reading on: a slow database slows the reading, not the memory. */
  ready(): Promise<void>;
};

const MAX_ANSWER = 1024 ** 2;
const CALL_MS = 60_000;
/** Silence on the stream: the host beats far more often. */
const SILENCE_MS = 60_000;
const RECONNECTS = 20;
/** An event as the host writes it, with its `id:` and `data:` lines. */
const MAX_BLOCK = MAX_EVENT_BYTES * 2;

/** Makes the client; connects to nothing yet. */
export function createHostClient(endpoint: HostEndpoint): HostClient {
  const open = (input: {
    port: "events" | "input";
    method: string;
    path: string;
    headers?: Record<string, string>;
    body?: string;
    signal?: AbortSignal;
    timeoutMs: number;
  }) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      const where =
        endpoint.kind === "unix"
          ? { socketPath: input.port === "events" ? endpoint.eventsPath : endpoint.inputPath, path: input.path }
          : urlParts(new URL(input.path, input.port === "events" ? endpoint.eventsUrl : endpoint.inputUrl));
      const call = httpRequest({
        ...where,
        method: input.method,
        headers: {
          host: "x1",
          authorization: `Bearer ${endpoint.token}`,
          ...input.headers,
          ...(input.body === undefined
            ? {}
            : { "content-type": "application/json", "content-length": Buffer.byteLength(input.body) }),
        },
        agent: false,
        ...(input.signal ? { signal: input.signal } : {}),
      });
      call.setTimeout(input.timeoutMs, () => call.destroy(new Error("no answer in time")));
      call.on("response", resolve).on("error", reject);
      call.end(input.body);
    });

  async function call(method: string, path: string, body?: object): Promise<{ status: number; value: unknown }> {
    const response = await open({
      port: "input",
      method,
      path,
      timeoutMs: CALL_MS,
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const parts: Buffer[] = [];
    let size = 0;
    for await (const part of response as AsyncIterable<Buffer>) {
      size += part.length;
      if (size > MAX_ANSWER) {
        response.destroy();
        throw new Error("the answer is too large");
      }
      parts.push(part);
    }
    const text = Buffer.concat(parts).toString("utf8");
    return { status: response.statusCode ?? 0, value: text === "" ? {} : JSON.parse(text) };
  }

  const unreachable = (cause: unknown) =>
    new HostUnreachable("unavailable", `The runtime's host does not answer (${(cause as Error).message}).`, { cause });

  return {
    async post(path, body) {
      const { status, value } = await call("POST", path, body).catch((cause: unknown) => {
        throw unreachable(cause);
      });
      if (status === 200) return accept(value);
      const told = Problem.safeParse(value);
      return told.success
        ? refuse(told.data.code, told.data.detail.slice(0, 2_000))
        : refuse("internal", `The host answered ${status}.`);
    },
    async state() {
      const { value } = await call("GET", "/state").catch((cause: unknown) => {
        throw unreachable(cause);
      });
      const state = HostState.safeParse(value);
      if (!state.success) throw new Fault("unavailable", "The runtime's host tells no state that can be read.");
      return state.data;
    },
    async follow({ lastEventId, signal, onEvent, onInvalid, ready }) {
      let last = lastEventId;
      for (let failures = 0; !signal.aborted; ) {
        try {
          const response = await open({
            port: "events",
            method: "GET",
            path: "/events",
            headers: { accept: "text/event-stream", ...(last === null ? {} : { "last-event-id": last }) },
            signal,
            timeoutMs: SILENCE_MS,
          });
          if (response.statusCode !== 200) {
            response.destroy();
            throw new Error(`status ${response.statusCode}`);
          }
          const reader = new SseReader();
          for await (const chunk of response as AsyncIterable<Buffer>) {
            failures = 0;
            for (const data of reader.push(chunk)) {
              const event = parseEvent(data);
              if (typeof event === "string") onInvalid(event);
              else {
                if (event.type !== "stream.gap") last = event.id;
                onEvent(event);
              }
            }
            await ready();
          }
        } catch (cause) {
          if (signal.aborted) return;
          failures += 1;
          if (failures > RECONNECTS) throw unreachable(cause);
        }
        await new Promise((resolve) => setTimeout(resolve, Math.min(25 * 2 ** failures, 1_000)));
      }
    },
  };
}

const urlParts = (url: URL) => ({ hostname: url.hostname, port: url.port, path: url.pathname });

/** One envelope from its text; a sentence when it is none. */
export function parseEvent(data: string): EventEnvelope | string {
  if (data.length > MAX_EVENT_BYTES) return `An event of ${data.length} characters is over the limit.`;
  try {
    const event = EventEnvelope.safeParse(JSON.parse(data));
    return event.success ? event.data : `An event has no valid ${event.error.issues[0]?.path.join(".") || "envelope"}.`;
  } catch {
    return "An event is not JSON.";
  }
}

/** Server-sent events from chunks: `data` of each complete block. A block over the limit is dropped whole. */
export class SseReader {
  #rest: Buffer = Buffer.alloc(0);
  #skipping = false;

  push(chunk: Buffer): string[] {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const found: string[] = [];
    for (let end = bytes.indexOf("\n\n"); end !== -1; end = bytes.indexOf("\n\n")) {
      if (!this.#skipping) {
        const lines = bytes.toString("utf8", 0, end).split("\n");
        const data = lines
          .filter((line) => line.startsWith("data:"))
          .map((line) => line.slice(line[5] === " " ? 6 : 5));
        if (data.length > 0) found.push(data.join("\n"));
      }
      this.#skipping = false;
      bytes = bytes.subarray(end + 2);
    }
    if (bytes.length > MAX_BLOCK) {
      if (!this.#skipping) found.push("");
      this.#skipping = true;
      // The last byte may be the first of the two newlines that end the block.
      bytes = bytes.subarray(-1);
    }
    this.#rest = Buffer.from(bytes);
    return found;
  }
}
