import Anthropic from "@anthropic-ai/sdk";
import type { WireFormat } from "@x1agent/contract";
import OpenAI from "openai";
import { afterEach, describe, expect, it } from "vitest";
import { type ModelServer, type ScenarioInput, startModelServer } from "./index.ts";

/**
 * The scripted server, read by the client libraries that the providers publish: their parsers and accumulators decide
 * whether an answer is one. What differs between a stream and one body, or from what the scenario said, fails here.
 */
let server: ModelServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

const usage = { inputTokens: 10, outputTokens: 70, cacheReadTokens: 3, cacheWriteTokens: 2 };
const text = "Grüße 👋 and a line\nmore";
const scenarios = {
  text: { rules: [{ usage, action: { kind: "text", text, chunkCharacters: 5 } }] },
  thinking: { rules: [{ usage, action: { kind: "text", text, thinking: "Let me see.", chunkCharacters: 4 } }] },
  tools: {
    rules: [
      {
        usage,
        action: { kind: "shell", commands: ["ls -l", 'echo "ü"'], text: "I look.", chunkCharacters: 2 },
      },
    ],
  },
  truncated: { rules: [{ usage: { ...usage, outputTokens: 5_000 }, action: { kind: "text", text: "x".repeat(900) } }] },
} satisfies Record<string, ScenarioInput>;
const fault = (status: number, retryAfterSeconds?: number): ScenarioInput => ({
  rules: [
    {
      action: {
        kind: "fault",
        status,
        message: "scripted trouble",
        ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
      },
    },
  ],
});

async function start(scenario: ScenarioInput): Promise<ModelServer> {
  server = await startModelServer({ scenario });
  return server;
}
const parameters = { type: "object" as const, properties: { command: { type: "string" } }, required: ["command"] };

/** What every client is asked for, and what its answer comes down to. */
type Seen = {
  text: string;
  thinking: string;
  calls: { name: string; input: unknown }[];
  stop: string | null | undefined;
  usage: unknown;
};
type Ask = (server: ModelServer, stream: boolean, maxTokens?: number, key?: string) => Promise<Seen>;

const anthropic = (server: ModelServer, key = server.key) =>
  new Anthropic({ apiKey: key, baseURL: server.url, maxRetries: 0 });
const openai = (server: ModelServer, key = server.key) =>
  new OpenAI({ apiKey: key, baseURL: `${server.url}/v1`, maxRetries: 0 });

const askMessages: Ask = async (server, stream, maxTokens = 9_000, key) => {
  const { messages } = anthropic(server, key);
  const body = {
    model: "m-1",
    max_tokens: maxTokens,
    messages: [{ role: "user" as const, content: "hi" }],
    tools: [{ name: "Bash", input_schema: parameters }],
  };
  const answer = stream ? await messages.stream(body).finalMessage() : await messages.create(body);
  const blocks = <T extends "text" | "thinking" | "tool_use">(type: T) =>
    answer.content.filter((block): block is Extract<typeof block, { type: T }> => block.type === type);
  return {
    text: blocks("text")
      .map((block) => block.text)
      .join(""),
    thinking: blocks("thinking")
      .map((block) => block.thinking)
      .join(""),
    calls: blocks("tool_use").map(({ name, input }) => ({ name, input })),
    stop: answer.stop_reason,
    usage: {
      input: answer.usage.input_tokens,
      output: answer.usage.output_tokens,
      cacheRead: answer.usage.cache_read_input_tokens,
      cacheWrite: answer.usage.cache_creation_input_tokens,
    },
  };
};

const askResponses: Ask = async (server, stream, maxTokens = 9_000, key) => {
  const { responses } = openai(server, key);
  const body = {
    model: "m-1",
    input: "hi",
    max_output_tokens: maxTokens,
    tools: [{ type: "function" as const, name: "shell", parameters, strict: false }],
  };
  const answer = stream ? await responses.stream(body).finalResponse() : await responses.create(body);
  return {
    text: answer.output_text,
    thinking: answer.output
      .flatMap((item) => (item.type === "reasoning" ? item.summary.map((part) => part.text) : []))
      .join(""),
    calls: answer.output.flatMap((item) =>
      item.type === "function_call" ? [{ name: item.name, input: JSON.parse(item.arguments) as unknown }] : [],
    ),
    stop: answer.incomplete_details?.reason ?? answer.status,
    usage: {
      input: answer.usage?.input_tokens,
      output: answer.usage?.output_tokens,
      cached: answer.usage?.input_tokens_details.cached_tokens,
      total: answer.usage?.total_tokens,
    },
  };
};

const askChat: Ask = async (server, stream, maxTokens = 9_000, key) => {
  const { completions } = openai(server, key).chat;
  const body = {
    model: "m-1",
    messages: [{ role: "user" as const, content: "hi" }],
    max_completion_tokens: maxTokens,
    tools: [{ type: "function" as const, function: { name: "bash", parameters } }],
  };
  const answer = stream
    ? await completions.stream({ ...body, stream_options: { include_usage: true } }).finalChatCompletion()
    : await completions.create(body);
  const [choice] = answer.choices;
  return {
    text: choice?.message.content ?? "",
    thinking: "",
    calls: (choice?.message.tool_calls ?? []).map((call) =>
      call.type === "function"
        ? { name: call.function.name, input: JSON.parse(call.function.arguments) as unknown }
        : { name: call.type, input: null },
    ),
    stop: choice?.finish_reason,
    usage: {
      input: answer.usage?.prompt_tokens,
      output: answer.usage?.completion_tokens,
      cached: answer.usage?.prompt_tokens_details?.cached_tokens,
      total: answer.usage?.total_tokens,
    },
  };
};

const openaiUsage = { input: 15, output: 70, cached: 3, total: 85 };
const clients: Record<
  WireFormat,
  {
    ask: Ask;
    tool: string;
    usage: object;
    stop: { text: string; tools: string; truncated: string };
    thinks: boolean;
    /** Its error class and the header that says what is left. */
    error: typeof Anthropic.APIError | typeof OpenAI.APIError;
    left: string;
  }
> = {
  "anthropic-messages": {
    ask: askMessages,
    tool: "Bash",
    usage: { input: 10, output: 70, cacheRead: 3, cacheWrite: 2 },
    stop: { text: "end_turn", tools: "tool_use", truncated: "max_tokens" },
    thinks: true,
    error: Anthropic.APIError,
    left: "anthropic-ratelimit-requests-remaining",
  },
  "openai-responses": {
    ask: askResponses,
    tool: "shell",
    usage: openaiUsage,
    stop: { text: "completed", tools: "completed", truncated: "max_output_tokens" },
    thinks: true,
    error: OpenAI.APIError,
    left: "x-ratelimit-remaining-requests",
  },
  "openai-chat": {
    ask: askChat,
    tool: "bash",
    usage: openaiUsage,
    stop: { text: "stop", tools: "tool_calls", truncated: "length" },
    thinks: false,
    error: OpenAI.APIError,
    left: "x-ratelimit-remaining-requests",
  },
};
const cases = (Object.keys(clients) as WireFormat[]).flatMap((api) =>
  [true, false].map((stream) => [api, stream ? "a stream" : "one body", stream] as const),
);

describe("the official client libraries", () => {
  it.each(cases)("%s, %s: text, usage and the reason of the end", async (api, _, stream) => {
    const { ask, usage, stop } = clients[api];
    const seen = await ask(await start(scenarios.text), stream);
    expect(seen).toEqual({ text, thinking: "", calls: [], stop: stop.text, usage });
  });

  it.each(cases)("%s, %s: tool calls with their input", async (api, _, stream) => {
    const { ask, tool, usage, stop } = clients[api];
    const seen = await ask(await start(scenarios.tools), stream);
    expect(seen.calls).toEqual([
      { name: tool, input: { command: "ls -l" } },
      { name: tool, input: { command: 'echo "ü"' } },
    ]);
    expect(seen).toMatchObject({ text: "I look.", stop: stop.tools, usage });
  });

  it.each(cases)("%s, %s: thinking where the API has it", async (api, _, stream) => {
    const { ask, thinks } = clients[api];
    const seen = await ask(await start(scenarios.thinking), stream);
    expect(seen).toMatchObject({ text, thinking: thinks ? "Let me see." : "" });
  });

  it.each(cases)("%s, %s: an answer cut at the limit", async (api, _, stream) => {
    const { ask, stop } = clients[api];
    const seen = await ask(await start(scenarios.truncated), stream, 50);
    expect(seen).toMatchObject({ text: "x".repeat(200), stop: stop.truncated, usage: { output: 50 } });
  });

  it.each(cases)("%s, %s: errors as their own classes", async (api, _, stream) => {
    const { ask, error, left } = clients[api];
    const overloaded = api === "anthropic-messages" ? "OverloadedError" : "InternalServerError";
    for (const [status, name] of [
      [400, "BadRequestError"],
      [403, "PermissionDeniedError"],
      [429, "RateLimitError"],
      [500, "InternalServerError"],
      [529, overloaded],
    ] as const) {
      const failed = await ask(await start(fault(status, status === 429 ? 7 : undefined)), stream).catch((e) => e);
      expect(failed).toBeInstanceOf(error);
      expect(failed).toMatchObject({ status });
      expect(failed.constructor.name).toBe(name);
      expect(failed.message).toContain("scripted trouble");
      expect(failed.requestID ?? failed.request_id).toMatch(/^req_scripted_/);
      if (status === 429) {
        expect(failed.headers.get("retry-after")).toBe("7");
        expect(failed.headers.get(left)).toBe("0");
      }
      await server?.close();
    }
    const refused = await ask(await start(scenarios.text), stream, 9_000, "another key").catch((e) => e);
    expect(refused.constructor.name).toBe("AuthenticationError");
  });

  it.each(Object.keys(clients) as WireFormat[])("%s: a stream that breaks is no answer", async (api) => {
    for (const how of ["cut", "error_event"] as const) {
      const { ask } = clients[api];
      await expect(ask(await start({ rules: [{ action: { kind: "broken", how } }] }), true)).rejects.toThrow();
      await server?.close();
    }
  });

  it("retry by themselves what they are told to retry", async () => {
    const fails = { times: 1, action: { kind: "fault", status: 429, retryAfterSeconds: 0 } } as const;
    const made = await start({ rules: [fails, ...scenarios.text.rules] });
    const { messages } = new Anthropic({ apiKey: made.key, baseURL: made.url, maxRetries: 1 });
    const answer = await messages.create({ model: "m", max_tokens: 99, messages: [{ role: "user", content: "hi" }] });
    expect(answer.content).toMatchObject([{ type: "text", text }]);
    expect(made.requests.map(({ status }) => status)).toEqual([429, 200]);
  });

  it("count tokens", async () => {
    const counted = await anthropic(await start(scenarios.text)).messages.countTokens({
      model: "m",
      messages: [{ role: "user", content: "x".repeat(400) }],
    });
    expect(counted.input_tokens).toBeGreaterThan(100);
  });
});
