import type { ModelPrice } from "@x1agent/contract";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkBody, costOf, findPrice, formats, inputBound, Meter, pricesHour } from "./formats.ts";

const format = (api: string) => {
  const found = formats.find((entry) => entry.api === api);
  if (!found) throw new Error(`no format ${api}`);
  return found;
};
const price: ModelPrice = {
  inputMicrosPerMTok: 3_000_000,
  outputMicrosPerMTok: 15_000_000,
  cacheReadMicrosPerMTok: 300_000,
  cacheWriteMicrosPerMTok: 3_750_000,
  tiers: [
    {
      fromInputTokens: 200_000,
      inputMicrosPerMTok: 6_000_000,
      outputMicrosPerMTok: 22_500_000,
      cacheReadMicrosPerMTok: 600_000,
      cacheWriteMicrosPerMTok: 7_500_000,
    },
  ],
  source: "test",
  asOf: "2026-01-01",
};

describe("what may be sent", () => {
  const messages = [{ role: "user", content: "hi" }];
  const refused = (api: string, body: unknown) => {
    const verdict = checkBody(format(api), JSON.stringify(body));
    return verdict.ok ? null : verdict.code;
  };

  it.each([
    ["anthropic-messages", { model: "m", messages, mcp_servers: [] }],
    ["anthropic-messages", { model: "m", messages, tools: [{ type: "web_search_20250305", name: "web_search" }] }],
    [
      "anthropic-messages",
      {
        model: "m",
        messages: [{ role: "user", content: [{ type: "image", source: { type: "url", url: "https://x" } }] }],
      },
    ],
    ["openai-responses", { model: "m", input: "hi", background: true }],
    ["openai-responses", { model: "m", input: "hi", previous_response_id: "resp_1" }],
    ["openai-responses", { model: "m", input: [{ role: "user", content: [{ type: "input_file", file_id: "f" }] }] }],
    ["openai-responses", { model: "m", input: "hi", tools: [{ type: "web_search" }] }],
    ["openai-chat", { model: "m", messages, n: 4 }],
    [
      "openai-chat",
      { model: "m", messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "https://x" } }] }] },
    ],
    ["openai-chat", { model: "m", messages, service_tier: "priority" }],
    ["openai-chat", { model: "m", messages: [{ role: "user", content: [{ type: "file", file: { file_id: "f" } }] }] }],
    ["openai-chat", { model: "m", messages, tools: [{ type: "namespace", tools: [] }] }],
    [
      "openai-responses",
      { model: "m", input: [{ role: "user", content: [{ type: "input_file", file_url: "http://x" }] }] },
    ],
    ["openai-responses", { model: "m", input: [{ type: "input_image", image_url: "ftp://x" }] }],
    [
      "openai-responses",
      { model: "m", input: [{ type: "function_call_output", output: [{ image_url: "https://x" }] }] },
    ],
    ["openai-responses", { model: "m", input: [{ type: "tool_search_output", tools: [{ type: "web_search" }] }] }],
    ["openai-responses", { model: "m", input: "", tools: [{ type: "namespace", tools: [{ type: "web_search" }] }] }],
    [
      "openai-responses",
      { model: "m", input: "", tools: [{ type: "shell", environment: { type: "container_auto" } }] },
    ],
    [
      "anthropic-messages",
      {
        model: "m",
        messages: [{ content: [{ source: { content: [{ source: { type: "url", url: "https://x" } }] } }] }],
      },
    ],
  ])("refuses in %s: %j", (api, body) => expect(refused(api, body)).toBe("field_refused"));

  it("looks no deeper than a stack goes, and sends nothing that lies deeper", () => {
    const nest = (depth: number, key: string, value: unknown): unknown =>
      depth === 0 ? value : [{ type: "namespace", [key]: nest(depth - 1, key, value) }];
    const tools = (depth: number) =>
      refused("openai-responses", { model: "m", input: "", tools: nest(depth, "tools", []) });
    expect([tools(4), tools(6), tools(500)]).toEqual([null, "field_refused", "field_refused"]);
    const content = (depth: number) =>
      refused("anthropic-messages", { model: "m", messages: nest(depth, "content", "text") });
    expect([content(8), content(20), content(500)]).toEqual([null, "field_refused", "field_refused"]);
  });

  it("leaves the choice of a dearer tier to nobody", () => {
    const verdict = checkBody(
      format("openai-responses"),
      JSON.stringify({ model: "m", input: "", service_tier: "auto" }),
    );
    expect(verdict.ok && JSON.parse(verdict.value.bytes.toString())).toMatchObject({ service_tier: "default" });
  });

  it("sends what it decided on: duplicate keys and odd spellings are gone, a stored response is not stored", () => {
    const verdict = checkBody(
      format("openai-responses"),
      '{"model":"dear","store":true,"input":"hi","\\u006dodel":"cheap"}',
    );
    expect(verdict.ok && [verdict.value.model, verdict.value.bytes.toString()]).toEqual([
      "cheap",
      '{"model":"cheap","store":false,"input":"hi"}',
    ]);
  });

  it("lets text speak of anything", () => {
    expect(
      refused("anthropic-messages", {
        model: "m",
        max_tokens: 5,
        messages: [{ role: "user", content: 'say "ttl":"1h" and mcp_servers' }],
      }),
    ).toBeNull();
  });

  it("asks a streamed chat completion for its usage", () => {
    const verdict = checkBody(format("openai-chat"), JSON.stringify({ model: "m", messages, stream: true }));
    expect(verdict.ok && JSON.parse(verdict.value.bytes.toString())).toMatchObject({
      stream_options: { include_usage: true },
    });
  });

  it.each(["", "[]", "1", "{", '{"messages":[]}', '{"model":5}'])("refuses %j", (text) =>
    expect(checkBody(format("anthropic-messages"), text).ok).toBe(false),
  );
});

describe("money", () => {
  it("rounds up once, by class and size of the input", () => {
    expect(costOf({ inputTokens: 1, outputTokens: 0, cacheReadTokens: 1, cacheWriteTokens: 0 }, price)).toBe(4);
    expect(costOf({ inputTokens: 199_999, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0 }, price)).toBe(
      599_997,
    );
    expect(costOf({ inputTokens: 1, outputTokens: 0, cacheReadTokens: 199_999, cacheWriteTokens: 0 }, price)).toBe(
      120_006,
    );
  });
  it("counts writes for an hour at their own price, where the list has one", () => {
    const cache_control = { type: "ephemeral", ttl: "1h" };
    const body = { model: "m", messages: [{ role: "user", content: [{ type: "text", text: "x", cache_control }] }] };
    expect(checkBody(format("anthropic-messages"), JSON.stringify(body))).toMatchObject({ value: { hour: true } });
    expect(pricesHour(price)).toBe(false);
    const { tiers: _, ...flat } = price;
    const listed = { ...flat, cacheWrite1hMicrosPerMTok: 6_000_000 };
    expect([pricesHour(listed), pricesHour({ ...price, ...listed, tiers: price.tiers })]).toEqual([true, false]);
    const meter = new Meter(format("anthropic-messages"), false);
    const cache_creation = { ephemeral_5m_input_tokens: 10, ephemeral_1h_input_tokens: 20 };
    const usage = { input_tokens: 1, output_tokens: 1, cache_creation_input_tokens: 30, cache_creation };
    meter.feed(Buffer.from(JSON.stringify({ type: "message", usage })));
    meter.end();
    // 3 + 15 + 10 * 3.75 + 20 * 6 micro-dollars, rounded up.
    expect(costOf(meter.counted(), listed)).toBe(176);
    expect(meter.usage()).toEqual({ inputTokens: 1, outputTokens: 1, cacheReadTokens: 0, cacheWriteTokens: 30 });
    expect([inputBound(1_000, listed), inputBound(1_000, listed, true)]).toEqual([3_750, 6_000]);
  });
  it("never bounds an input below what it can cost", () => {
    fc.assert(
      fc.property(fc.nat(400_000), fc.nat(100), fc.nat(100), (bytes, read, write) => {
        const part = (share: number) => Math.floor((bytes * share) / 200);
        const usage = {
          inputTokens: bytes - part(read) - part(write),
          outputTokens: 0,
          cacheReadTokens: part(read),
          cacheWriteTokens: part(write),
        };
        return costOf(usage, price) <= inputBound(bytes, price);
      }),
    );
  });
  it("finds the price of a dated version, and of nothing else", () => {
    const prices = { "anthropic/claude-sonnet-4-5": price };
    expect(findPrice(prices, "anthropic", "claude-sonnet-4-5-20250929")).toBe(price);
    expect(findPrice(prices, "anthropic", "claude-sonnet-4-50")).toBeNull();
    expect(findPrice(prices, "openai", "claude-sonnet-4-5")).toBeNull();
  });
});

describe("the meter", () => {
  const streams: [string, string, object][] = [
    [
      "anthropic-messages",
      'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":11,"cache_read_input_tokens":7,"cache_creation_input_tokens":5,"output_tokens":1}}}\n\ndata: {"type":"content_block_delta","delta":{"type":"text_delta","text":"a \\"usage\\": 999 – ünïcode"}}\n\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":42}}\n\n',
      { inputTokens: 11, cacheReadTokens: 7, cacheWriteTokens: 5, outputTokens: 42 },
    ],
    [
      "openai-responses",
      'data: {"type":"response.output_text.delta","delta":"\\"usage\\""}\n\ndata: {"type":"response.completed","response":{"object":"response","usage":{"input_tokens":20,"input_tokens_details":{"cached_tokens":8},"output_tokens":3}}}\n\n',
      { inputTokens: 12, cacheReadTokens: 8, cacheWriteTokens: 0, outputTokens: 3 },
    ],
    [
      "openai-chat",
      'data: {"object":"chat.completion.chunk","choices":[{"delta":{"content":"x"}}],"usage":null}\n\ndata: {"object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2}}\n\ndata: [DONE]\n\n',
      { inputTokens: 9, cacheReadTokens: 0, cacheWriteTokens: 0, outputTokens: 2 },
    ],
  ];
  it.each(streams)("reads %s the same on any chunking, characters split included", (api, text, usage) => {
    const bytes = Buffer.from(text);
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length), { maxLength: 30 }), (cuts) => {
        const meter = new Meter(format(api), true);
        const at = [0, ...cuts.sort((a, b) => a - b), bytes.length];
        for (let i = 1; i < at.length; i += 1) meter.feed(bytes.subarray(at[i - 1], at[i]));
        meter.end();
        expect(meter.final).toBe(true);
        expect(meter.usage()).toEqual(usage);
      }),
    );
  });
  it("keeps no line and no body that is longer than its bounds, and reads on after one", () => {
    const long = Buffer.alloc(1024 * 1024, "x");
    const stream = new Meter(format("anthropic-messages"), true);
    const told = '{"type":"message_delta","usage":{"output_tokens":7}';
    for (const part of [`data: ${told},"x":"`, long, '"}\n']) stream.feed(Buffer.from(part));
    expect([stream.final, stream.usage().outputTokens]).toEqual([false, 0]);
    stream.feed(Buffer.from(`data: ${told}}\n`));
    expect([stream.final, stream.usage().outputTokens]).toEqual([true, 7]);
    const whole = new Meter(format("anthropic-messages"), false);
    whole.feed(Buffer.from('{"type":"message","usage":{"output_tokens":7},"x":"'));
    for (let count = 0; count < 64; count += 1) whole.feed(long);
    whole.feed(Buffer.from('"}'));
    whole.end();
    expect(whole.final).toBe(false);
  });
  it("calls a stream that was cut not final", () => {
    const meter = new Meter(format("anthropic-messages"), true);
    meter.feed(Buffer.from((streams[0]?.[1] ?? "").slice(0, 250)));
    meter.end();
    expect([meter.final, meter.usage().inputTokens]).toEqual([false, 11]);
  });
});
