import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  anthropic,
  ask,
  jobToken,
  message,
  messageStream,
  providerKey,
  type Running,
  startSidecarProcess,
  startUpstream,
  type Upstream,
  until,
} from "./test/harness.ts";

const running: Running[] = [];
const upstreams: Upstream[] = [];
afterEach(async () => {
  for (const one of running.splice(0)) await one.stop();
  for (const { server } of upstreams.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

async function start(
  answer: Parameters<typeof startUpstream>[0],
  options: Parameters<typeof startSidecarProcess>[0] = {},
): Promise<{ sidecar: Running; upstream: Upstream }> {
  const upstream = await startUpstream(answer);
  upstreams.push(upstream);
  const sidecar = await startSidecarProcess({ upstreamPort: upstream.port, ...options });
  running.push(sidecar);
  return { sidecar, upstream };
}
const answers =
  (input = 100, output = 50) =>
  (_body: string, response: Parameters<Parameters<typeof startUpstream>[0]>[1]) =>
    messageStream(response, { input, output });

describe("a model call", () => {
  it("goes through with the provider's key, is metered and settled once", async () => {
    const { sidecar, upstream } = await start(answers(100, 50));
    const reply = await anthropic(sidecar, message(), {
      ...{ "x-api-key": jobToken, authorization: `Bearer ${jobToken}`, cookie: "a=b", "x-forwarded-for": "1.2.3.4" },
      ...{ "anthropic-version": "2023-06-01", connection: "close, x-hop", "x-hop": "gone", "accept-encoding": "gzip" },
    });
    expect(reply.status).toBe(200);
    expect(reply.text).toContain("message_stop");
    const [seen] = upstream.requests;
    expect(seen?.path).toBe("/v1/messages?beta=true");
    expect(seen?.headers["x-api-key"]).toBe(providerKey);
    expect(seen?.headers["anthropic-version"]).toBe("2023-06-01");
    expect(JSON.stringify(seen?.headers)).not.toContain(jobToken);
    for (const name of ["authorization", "cookie", "x-hop", "x-forwarded-for", "x-x1-token"])
      expect(seen?.headers[name], name).toBeUndefined();
    expect(seen?.headers["accept-encoding"] ?? "identity").toBe("identity");
    expect(reply.text).not.toContain(providerKey);
    await until(() => sidecar.control.calls.length === 1, "the settlement");
    const [call] = sidecar.control.calls;
    expect(call).toMatchObject({ outcome: "completed", estimated: false, status: 200, grantId: "g-anthropic" });
    expect(call?.usage).toMatchObject({ inputTokens: 100, outputTokens: 50 });
    expect(call?.costMicros).toBe(100 * 3 + 50 * 15);
  });

  it("is known to the control plane before its answer reaches the client", async () => {
    let release: (() => void) | undefined;
    const { sidecar, upstream } = await start(answers());
    await anthropic(sidecar, message());
    await until(() => sidecar.control.calls.length === 1, "the first call");
    sidecar.control.gate = new Promise((resolve) => {
      release = resolve;
    });
    let answered = false;
    const second = anthropic(sidecar, message()).then((reply) => {
      answered = true;
      return reply;
    });
    await until(() => upstream.requests.length === 2, "the second call upstream");
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(answered).toBe(false);
    release?.();
    expect((await second).status).toBe(200);
    expect(
      sidecar.control.settles.some(({ inFlight }) => inFlight.some(({ reservedMicros }) => reservedMicros > 0)),
    ).toBe(true);
  });

  it("without a final word on usage is charged its whole reservation", async () => {
    let breakOff = () => {};
    const { sidecar } = await start((_body, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write('data: {"type":"message_start","message":{"usage":{"input_tokens":5,"output_tokens":1}}}\n\n');
      breakOff = () => void response.destroy();
    });
    const reply = await anthropic(sidecar, message(), {}, () => breakOff());
    expect(reply.broken).toBe(true);
    await until(() => sidecar.control.calls.length === 1, "the settlement");
    const [call] = sidecar.control.calls;
    expect(call).toMatchObject({ outcome: "broken_stream", estimated: true });
    expect(call!.costMicros).toBeGreaterThanOrEqual(1_000 * 15);
  });

  it("ends upstream when the client leaves, and is charged", async () => {
    const { sidecar, upstream } = await start((_body, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write("event: ping\ndata: {}\n\n");
    });
    const body = JSON.stringify(message());
    const socket = connect(join(sidecar.dir, "inference.sock"));
    socket.on("error", () => {});
    socket.write(
      `POST /anthropic/v1/messages HTTP/1.1\r\nhost: x\r\nx-x1-token: ${jobToken}\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    await new Promise((resolve) => socket.once("data", resolve));
    socket.destroy();
    await until(() => upstream.requests[0]?.gone === true, "the upstream's end");
    await until(() => sidecar.control.calls.length === 1, "the settlement");
    expect(sidecar.control.calls[0]).toMatchObject({ outcome: "client_gone", estimated: true });
  });

  it.each([429, 529, 500])("passes %i of the provider on unchanged and charges nothing", async (status) => {
    const text = JSON.stringify({ type: "error", error: { type: "overloaded_error", message: "later" } });
    const { sidecar } = await start((_body, response) => {
      response
        .writeHead(status, { "content-type": "application/json", "retry-after": "7", "x-ratelimit-x": "1" })
        .end(text);
    });
    const reply = await anthropic(sidecar, message());
    expect(reply).toMatchObject({ status, text });
    expect(reply.headers).toMatchObject({ "retry-after": "7", "x-ratelimit-x": "1" });
    await until(() => sidecar.control.calls.length === 1, "the settlement");
    expect(sidecar.control.calls[0]).toMatchObject({ costMicros: 0, outcome: "upstream_error", status });
  });

  it("is not redirected", async () => {
    const elsewhere = await startUpstream(answers());
    upstreams.push(elsewhere);
    const { sidecar } = await start((_body, response) => {
      response.writeHead(307, { location: `http://127.0.0.1:${elsewhere.port}/v1/messages` }).end();
    });
    const reply = await anthropic(sidecar, message());
    expect(reply.status).toBe(502);
    expect(reply.text).toContain("upstream_failed");
    expect(elsewhere.requests).toEqual([]);
  });

  it("sends what was decided upon, however often a key was said", async () => {
    const { sidecar, upstream } = await start(answers());
    const body = '{"model":"claude-other","max_tokens":10,"\\u006dodel":"claude-test","messages":[]}';
    expect((await anthropic(sidecar, body)).status).toBe(200);
    expect(upstream.requests[0]?.body).toBe('{"model":"claude-test","max_tokens":10,"messages":[]}');
  });

  it("of OpenAI is metered too: usage asked for, storing off", async () => {
    const { sidecar, upstream } = await start((_body, response, incoming) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      const usage = { prompt_tokens: 100, completion_tokens: 10, prompt_tokens_details: { cached_tokens: 40 } };
      if (incoming.url === "/v1/chat/completions")
        response.end(
          `data: {"object":"chat.completion.chunk","choices":[{"delta":{"content":"x"}}]}\n\ndata: ${JSON.stringify({ object: "chat.completion.chunk", choices: [], usage })}\n\ndata: [DONE]\n\n`,
        );
      else
        response.end(
          `event: response.completed\ndata: ${JSON.stringify({ type: "response.completed", response: { object: "response", model: "gpt-test", usage: { input_tokens: 100, output_tokens: 10, input_tokens_details: { cached_tokens: 40 } } } })}\n\n`,
        );
    });
    const inference = join(sidecar.dir, "inference.sock");
    const chat = await ask(inference, {
      path: "/openai/v1/chat/completions",
      body: JSON.stringify({ model: "gpt-test", stream: true, messages: [{ role: "user", content: "x" }] }),
    });
    expect(chat.status).toBe(200);
    const responses = await ask(inference, {
      path: "/openai/v1/responses",
      body: JSON.stringify({ model: "gpt-test", stream: true, input: "x" }),
    });
    expect(responses.status).toBe(200);
    expect(JSON.parse(upstream.requests[0]!.body)).toMatchObject({ stream_options: { include_usage: true } });
    expect(upstream.requests[0]!.headers.authorization).toBe(`Bearer ${providerKey}`);
    expect(JSON.parse(upstream.requests[1]!.body)).toMatchObject({ store: false });
    await until(() => sidecar.control.calls.length === 2, "both settlements");
    for (const call of sidecar.control.calls) {
      expect(call.usage).toMatchObject({ inputTokens: 60, cacheReadTokens: 40, outputTokens: 10 });
      expect(call.costMicros).toBe(60 * 3 + Math.ceil(40 * 0.3) + 10 * 15);
    }
  });

  it("holds little memory while the client does not read", async () => {
    const block = `event: content_block_delta\ndata: ${JSON.stringify({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "x".repeat(4_000) } })}\n\n`;
    let sent = 0;
    const { sidecar } = await start(
      (_body, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        const more = () => {
          while (sent < 200 * 1024 ** 2 && !response.destroyed) {
            sent += block.length;
            if (!response.write(block)) return void response.once("drain", more);
          }
        };
        more();
      },
      { budgetMicros: 1e12 },
    );
    const body = JSON.stringify(message({ max_tokens: 100_000_000 }));
    const socket = connect(join(sidecar.dir, "inference.sock"));
    socket.pause();
    socket.write(
      `POST /anthropic/v1/messages HTTP/1.1\r\nhost: x\r\nx-x1-token: ${jobToken}\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    let last = -1;
    await until(() => {
      const still = sent > 0 && sent === last;
      last = sent;
      return still;
    }, "a stalled upstream");
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(sent).toBeLessThan(20 * 1024 ** 2);
    socket.destroy();
  });
});

describe("a refusal", () => {
  const errorOf = (text: string) =>
    (JSON.parse(text) as { error: { message: string; type: string; code?: string } }).error;

  describe("of what is asked", () => {
    // Each is decided by its request alone, so one process serves them all; what reached the provider is counted per test.
    let sidecar: Running;
    let upstream: Upstream;
    beforeAll(async () => {
      upstream = await startUpstream(answers());
      sidecar = await startSidecarProcess({ upstreamPort: upstream.port });
    });
    beforeEach(() => {
      upstream.requests.length = 0;
    });
    // The process is no less open at the end, and was refusing for the request's sake.
    afterEach(async () => {
      const before = upstream.requests.length;
      expect((await anthropic(sidecar, message())).status).toBe(200);
      expect(upstream.requests).toHaveLength(before + 1);
    });
    afterAll(async () => {
      await sidecar?.stop();
      upstream?.server.close();
      upstream?.server.closeAllConnections();
    });

    it("wants the job's token, and tells nothing without it", async () => {
      const inference = join(sidecar.dir, "inference.sock");
      const body = JSON.stringify(message());
      for (const token of [null, "wrong"])
        expect((await ask(inference, { path: "/anthropic/v1/messages", body, token })).status).toBe(401);
      for (const headers of [{ authorization: `Bearer ${jobToken}` }, { "x-api-key": jobToken }] as Record<
        string,
        string
      >[])
        expect((await ask(inference, { path: "/anthropic/v1/messages", body, token: null, headers })).status).toBe(200);
      expect(upstream.requests).toHaveLength(2);
      for (const path of ["/", "/anthropic/"])
        expect((await ask(inference, { method: "HEAD", path })).status).toBe(404);
      for (const path of [
        "/anthropic/v1/messages/batches",
        "/anthropic/v1/files",
        "/openai/v1/responses/resp_1/cancel",
        "/anthropic/v1/messages/../files",
      ])
        expect((await ask(inference, { path, body })).status, path).toBe(403);
      expect(upstream.requests).toHaveLength(2);
    });

    it.each<[string, object | string, string]>([
      ["a model without a grant", message({ model: "other-model" }), "not_granted"],
      ["a model without a price", message({ model: "claude-unknown" }), "price_unknown"],
      ["another model that begins the same", message({ model: "claude-test-pro" }), "price_unknown"],
      ["no model", { messages: [], max_tokens: 1 }, "model_missing"],
      ["two models", '{"model":"claude-test","model":"claude-other","max_tokens":1,"messages":[]}', "price_unknown"],
      [
        "two models, one spelled with an escape",
        '{"model":"claude-test","\\u006dodel":"claude-other","max_tokens":1,"messages":[]}',
        "price_unknown",
      ],
      ["a remote MCP server", message({ mcp_servers: [{ url: "https://x" }] }), "field_refused"],
      ["a container", message({ container: "c_1" }), "field_refused"],
      [
        "a server-side tool",
        message({ tools: [{ type: "web_search_20250305", name: "web_search" }] }),
        "field_refused",
      ],
      [
        "an image by URL",
        message({
          messages: [{ role: "user", content: [{ type: "image", source: { type: "url", url: "https://x/y" } }] }],
        }),
        "field_refused",
      ],
      [
        "a document by file id",
        message({
          messages: [{ role: "user", content: [{ type: "document", source: { type: "file", file_id: "f" } }] }],
        }),
        "field_refused",
      ],
      [
        "an image by URL in a tool's result",
        message({
          messages: [
            {
              role: "user",
              content: [
                {
                  type: "tool_result",
                  tool_use_id: "t",
                  content: [{ type: "image", source: { type: "\u0075rl", url: "https://x" } }],
                },
              ],
            },
          ],
        }),
        "field_refused",
      ],
      ["a faster and dearer mode", message({ speed: "fast" }), "field_refused"],
      ["a field that nobody knows", message({ brand_new: 1 }), "field_refused"],
    ])("meets %s", async (_name, body, code) => {
      const reply = await anthropic(sidecar, body);
      expect(reply.status).toBe(code === "model_missing" ? reply.status : 403);
      expect(reply.status).toBeGreaterThanOrEqual(400);
      expect(errorOf(reply.text).message).toContain(code);
      expect(JSON.parse(reply.text)).toHaveProperty("type", "error");
      expect(upstream.requests).toEqual([]);
    });

    it.each<[string, string, object, string]>([
      ["a stored answer", "/openai/v1/responses", { input: "x", previous_response_id: "resp_1" }, "field_refused"],
      ["a background run", "/openai/v1/responses", { input: "x", background: true }, "field_refused"],
      [
        "a reference to a stored item",
        "/openai/v1/responses",
        { input: [{ type: "item_reference", id: "msg_1" }] },
        "field_refused",
      ],
      ["a reference without its type", "/openai/v1/responses", { input: [{ id: "msg_1" }] }, "field_refused"],
      [
        "a tool at the provider",
        "/openai/v1/responses",
        { input: "x", tools: [{ type: "web_search" }] },
        "field_refused",
      ],
      [
        "a tool at the provider among the input",
        "/openai/v1/responses",
        { input: [{ type: "additional_tools", tools: [{ type: "code_interpreter" }] }] },
        "field_refused",
      ],
      [
        "an image by URL",
        "/openai/v1/chat/completions",
        { messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "https://x" } }] }] },
        "field_refused",
      ],
      ["two answers for one price", "/openai/v1/chat/completions", { messages: [], n: 5 }, "field_refused"],
      ["a dearer tier", "/openai/v1/chat/completions", { messages: [], service_tier: "priority" }, "field_refused"],
      ["web search", "/openai/v1/chat/completions", { messages: [], web_search_options: {} }, "field_refused"],
    ])("meets %s, in OpenAI's shape", async (_name, path, body, code) => {
      const reply = await ask(join(sidecar.dir, "inference.sock"), {
        path,
        body: JSON.stringify({ model: "gpt-test", ...body }),
      });
      expect(reply.status).toBe(403);
      expect(errorOf(reply.text)).toMatchObject({ code });
      expect(upstream.requests).toEqual([]);
    });

    it("meets nothing that a query asks for but the one that clients are known to send", async () => {
      const inference = join(sidecar.dir, "inference.sock");
      for (const query of ["?beta=true&key=1", "?beta=false", "?x"])
        await ask(inference, { path: `/anthropic/v1/messages${query}`, body: JSON.stringify(message()) });
      expect(upstream.requests.map(({ path }) => path)).toEqual(Array(3).fill("/v1/messages"));
    });

    it("does not meet a tool's own input, whatever it looks like", async () => {
      const reply = await anthropic(
        sidecar,
        message({
          tools: [
            {
              name: "WebFetch",
              input_schema: { type: "object", properties: { url: { type: "string" }, file_id: {} } },
            },
          ],
          messages: [
            { role: "user", content: "go" },
            {
              role: "assistant",
              content: [
                {
                  type: "tool_use",
                  id: "t",
                  name: "WebFetch",
                  input: { source: { type: "url", url: "https://x" }, content: [{ type: "url" }] },
                },
              ],
            },
            {
              role: "user",
              content: [{ type: "tool_result", tool_use_id: "t", content: '{"source":{"type":"url"}}' }],
            },
          ],
        }),
      );
      expect(reply.status).toBe(200);
    });

    it("meets a body that is too large or broken", async () => {
      expect((await anthropic(sidecar, message({ system: "x".repeat(5 * 1024 ** 2) }))).status).toBe(413);
      expect((await anthropic(sidecar, '{"model":"claude-test"')).status).toBe(400);
      expect(upstream.requests).toEqual([]);
      expect((await anthropic(sidecar, message())).status).toBe(200);
    });

    it("meets cache writes for an hour where they have no price", async () => {
      const system = [{ type: "text", text: "x", cache_control: { type: "ephemeral", ttl: "1h" } }];
      expect((await anthropic(sidecar, message({ system }))).text).toContain("field_refused");
      expect(upstream.requests).toEqual([]);
    });
  });

  it("meets a provider at an address that no operator named, and more calls at once than may run", async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const upstream = await startUpstream(async (_body, response) => {
      await held;
      messageStream(response, { input: 1, output: 1 });
    });
    upstreams.push(upstream);
    const auth = { kind: "header" as const, name: "x-api-key", prefix: "", value: providerKey };
    const route = { provider: "anthropic", grantType: "ai.anthropic" as const, auth };
    const baseUrl = `http://127.0.0.1:${upstream.port}`;
    const sidecar = await startSidecarProcess({
      boot: {
        routes: [
          { ...route, api: "anthropic-messages", baseUrl, allowPrivate: true },
          { ...route, provider: "openai", grantType: "ai.openai", api: "openai-chat", baseUrl, allowPrivate: false },
        ],
        limits: { maxBodyBytes: 4 * 1024 ** 2, maxConcurrentCalls: 1, egressBytes: 1024, maxTunnels: 1 },
      },
    });
    running.push(sidecar);
    const chat = { path: "/openai/v1/chat/completions", body: JSON.stringify({ model: "gpt-test", messages: [] }) };
    const private_ = await ask(join(sidecar.dir, "inference.sock"), chat);
    expect([private_.status, errorOf(private_.text)]).toMatchObject([403, { code: "address_refused" }]);
    expect(upstream.requests).toEqual([]);
    const first = anthropic(sidecar, message());
    await until(() => upstream.requests.length === 1, "the first call upstream");
    const second = await anthropic(sidecar, message());
    expect([second.status, errorOf(second.text).message]).toEqual([429, expect.stringContaining("rate_limited")]);
    release();
    expect((await first).status).toBe(200);
    expect((await anthropic(sidecar, message())).status).toBe(200);
    await until(() => sidecar.control.calls.length === 3, "the settlements");
    expect(sidecar.control.calls[0]).toMatchObject({ provider: "openai", costMicros: 0 });
  });

  it("follows the live policy: a revoked grant ends even a call in flight", async () => {
    const { sidecar, upstream } = await start((_body, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(`event: ping\ndata: {"type":"ping"}\n\n`);
    });
    const reply = await anthropic(sidecar, message(), {}, () => sidecar.control.push({ grants: [] }));
    expect(reply.text).toContain("not_granted");
    await until(() => upstream.requests[0]!.gone, "the upstream's end");
    expect(errorOf((await anthropic(sidecar, message())).text).message).toContain("not_granted");
  });

  it("uses a grant of scope once for one call", async () => {
    const { sidecar } = await start(answers(), {
      policy: { grants: [{ id: "g1", type: "ai.anthropic", details: { pattern: "*" }, once: true }] },
    });
    const replies = await Promise.all([anthropic(sidecar, message()), anthropic(sidecar, message())]);
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 403]);
  });

  it("sends nothing under a grant for one use that another sidecar took, and gives its money back", async () => {
    const { sidecar, upstream } = await start(answers(), {
      policy: { grants: [{ id: "g1", type: "ai.anthropic", details: { pattern: "*" }, once: true }] },
    });
    sidecar.control.taken.add("g1");
    const reply = await anthropic(sidecar, message());
    expect([reply.status, errorOf(reply.text).message]).toEqual([403, expect.stringContaining("not_granted")]);
    expect(upstream.requests).toEqual([]);
    await until(
      () => [...sidecar.control.leases.values()].every(({ inFlight }) => inFlight === 0),
      "nothing in flight",
    );
    expect(sidecar.control.spent).toBe(0);
  });

  it("closes when the control plane is silent, and opens again", async () => {
    const { sidecar } = await start(answers(), { boot: { failClosedMs: 1_000 } });
    await expect.poll(async () => (await anthropic(sidecar, message())).status).toBe(200);
    sidecar.control.silent = true;
    await expect
      .poll(() => anthropic(sidecar, message()))
      .toMatchObject({ status: 403, text: expect.stringContaining("control_unreachable") });
    sidecar.control.silent = false;
    await expect.poll(async () => (await anthropic(sidecar, message())).status).toBe(200);
  });

  it("pays for one answer at most that could not be put on record, charges it, and goes on when it can be", async () => {
    const { sidecar, upstream } = await start(answers());
    expect((await anthropic(sidecar, message())).status).toBe(200);
    await until(() => sidecar.control.calls.length === 1, "the settlement");
    sidecar.control.bookless = true;
    // Not 403, which ends an agent's turn: a client tries again.
    for (let tries = 0; tries < 3; tries += 1) {
      const reply = await anthropic(sidecar, message());
      expect([reply.status, reply.text]).toEqual([503, expect.stringContaining("control_unreachable")]);
    }
    expect(upstream.requests.length).toBeLessThanOrEqual(2);
    sidecar.control.bookless = false;
    expect((await anthropic(sidecar, message())).status).toBe(200);
    await until(() => sidecar.control.calls.length === 3, "all settlements");
    expect(sidecar.control.calls.map(({ outcome, estimated }) => [outcome, estimated])).toEqual([
      ["completed", false],
      ["budget_stopped", true],
      ["completed", false],
    ]);
  });
});

describe("the budget", () => {
  it("holds under 20 parallel calls that ask for 32,000 tokens", async () => {
    const tokens = 13_000;
    const { sidecar } = await start(
      async (_body, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.write('data: {"type":"message_start","message":{"usage":{"input_tokens":100,"output_tokens":1}}}\n\n');
        // 100 tokens an event: $0.20 for the whole answer.
        const text = "abc ".repeat(100);
        for (let sent = 0; sent < tokens && !response.destroyed; sent += 100) {
          response.write(
            `event: content_block_delta\ndata: ${JSON.stringify({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } })}\n\n`,
          );
          await new Promise((resolve) => setTimeout(resolve, 2));
        }
        response.end(
          `data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":${tokens}}}\n\n`,
        );
      },
      { budgetMicros: 500_000 },
    );
    const replies = await Promise.all(
      Array.from({ length: 20 }, () => anthropic(sidecar, message({ max_tokens: 32_000 }))),
    );
    const stopped = replies.filter(({ text }) => text.includes("budget_exceeded"));
    expect(stopped.length).toBeGreaterThan(10);
    for (const { status, text } of stopped)
      if (status === 403) expect(JSON.parse(text)).toHaveProperty("error.type", "permission_error");
    await until(
      () => sidecar.control.calls.length >= replies.filter(({ status }) => status === 200).length,
      "all settlements",
    );
    const slice = 4_000 * 15;
    expect(sidecar.control.spent).toBeLessThanOrEqual(500_000 + 8 * slice);
    expect(sidecar.control.spent).toBeGreaterThan(200_000);
    await until(
      () => sidecar.control.settles.at(-1)?.inFlight.every(({ reservedMicros }) => reservedMicros === 0) ?? false,
      "nothing in flight",
    );
  });

  it("fetches one lease for many calls that wait", async () => {
    const { sidecar } = await start(answers());
    const replies = await Promise.all(Array.from({ length: 10 }, () => anthropic(sidecar, message())));
    expect(replies.every(({ status }) => status === 200)).toBe(true);
    expect(sidecar.control.leaseRequests.length).toBeLessThanOrEqual(3);
  });

  it("gives leases back at the end, and ends with its starter", async () => {
    const { sidecar } = await start(answers());
    await anthropic(sidecar, message());
    sidecar.child.stdin?.end();
    expect(await sidecar.exited).toBe(0);
    expect([...sidecar.control.leases.values()].every(({ released }) => released)).toBe(true);
    expect(sidecar.control.calls).toHaveLength(1);
    expect(sidecar.output()).not.toMatch(/job-token|provider-key|enrolment-token|identity-/);
  });

  it("settles what is in flight on SIGTERM", async () => {
    const { sidecar, upstream } = await start((_body, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write("event: ping\ndata: {}\n\n");
    });
    const open = anthropic(sidecar, message()).catch(() => null);
    await until(() => upstream.requests.length === 1, "the call upstream");
    await until(
      () => sidecar.control.settles.some(({ inFlight }) => inFlight.some(({ reservedMicros }) => reservedMicros > 0)),
      "the announcement",
    );
    sidecar.child.kill("SIGTERM");
    expect(await sidecar.exited).toBe(0);
    await open;
    expect(sidecar.control.calls).toHaveLength(1);
    expect(sidecar.control.calls[0]).toMatchObject({ estimated: true });
  });
});
