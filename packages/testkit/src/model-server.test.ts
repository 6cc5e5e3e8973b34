import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { WireFormat } from "@x1agent/contract";
import { afterEach, describe, expect, it } from "vitest";
import {
  createSampleRepository,
  type ModelServer,
  sampleIssue,
  startModelServer,
  wrongFirstScenario,
} from "./index.ts";

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});
async function start(options?: Parameters<typeof startModelServer>[0]): Promise<ModelServer> {
  const server = await startModelServer(options);
  cleanups.push(() => server.close());
  return server;
}

// biome-ignore lint/suspicious/noExplicitAny: bodies of three APIs, looked into by hand; a wrong guess fails the test.
type Json = Record<string, any>;
const paths = {
  "anthropic-messages": "/v1/messages",
  "openai-responses": "/v1/responses",
  "openai-chat": "/v1/chat/completions",
} as const;
const apis = Object.keys(paths) as WireFormat[];

function post(server: ModelServer, api: WireFormat, body: Json, key = server.key): Promise<Response> {
  const credential: Record<string, string> =
    api === "anthropic-messages" ? { "x-api-key": key } : { authorization: `Bearer ${key}` };
  return fetch(server.url + paths[api], {
    method: "POST",
    headers: { "content-type": "application/json", ...credential },
    body: JSON.stringify(body),
  });
}

/** A request that says one thing and offers one shell tool, as each API wants it. */
function ask(api: WireFormat, text: string, extra: Json = {}): Json {
  const schema = { type: "object", properties: { command: { type: "string" } }, required: ["command"] };
  const messages = [{ role: "user", content: text }];
  if (api === "anthropic-messages")
    return { model: "m-1", max_tokens: 9_000, messages, tools: [{ name: "Bash", input_schema: schema }], ...extra };
  if (api === "openai-responses")
    return {
      model: "m-1",
      input: messages,
      tools: [{ type: "function", name: "shell", parameters: schema }],
      ...extra,
    };
  return {
    model: "m-1",
    messages,
    tools: [{ type: "function", function: { name: "bash", parameters: schema } }],
    ...extra,
  };
}

async function events(response: Response): Promise<{ event: string | null; data: Json[string] }[]> {
  const text = await response.text();
  return text
    .split("\n\n")
    .filter(Boolean)
    .map((block) => {
      const event = /^event: (.*)$/m.exec(block)?.[1] ?? null;
      const data = /^data: (.*)$/m.exec(block)?.[1] ?? "";
      return { event, data: data === "[DONE]" ? data : JSON.parse(data) };
    });
}

describe("wire formats", () => {
  const hello = {
    rules: [
      {
        usage: { inputTokens: 10, outputTokens: 7, cacheReadTokens: 3 },
        action: { kind: "text", text: "Hello there, how are you?", chunkCharacters: 6 },
      },
    ],
  } as const;

  it.each(apis)("%s: one body", async (api) => {
    const server = await start({ scenario: { rules: [...hello.rules] } });
    const body = (await (await post(server, api, ask(api, "hi"))).json()) as Json;
    if (api === "anthropic-messages") {
      expect(body).toMatchObject({
        type: "message",
        stop_reason: "end_turn",
        content: [{ type: "text", text: "Hello there, how are you?" }],
      });
      expect(body.usage).toMatchObject({
        input_tokens: 10,
        output_tokens: 7,
        cache_read_input_tokens: 3,
        cache_creation_input_tokens: 0,
      });
    } else if (api === "openai-responses") {
      expect(body).toMatchObject({
        object: "response",
        status: "completed",
        output: [{ type: "message", content: [{ type: "output_text", text: "Hello there, how are you?" }] }],
      });
      expect(body.usage).toMatchObject({
        input_tokens: 13,
        input_tokens_details: { cached_tokens: 3 },
        output_tokens: 7,
        total_tokens: 20,
      });
    } else {
      expect(body.choices[0]).toMatchObject({
        finish_reason: "stop",
        message: { content: "Hello there, how are you?" },
      });
      expect(body.usage).toMatchObject({
        prompt_tokens: 13,
        completion_tokens: 7,
        prompt_tokens_details: { cached_tokens: 3 },
      });
    }
  });

  it("anthropic-messages: streams in the documented order", async () => {
    const server = await start({ scenario: { rules: [...hello.rules] } });
    const seen = await events(
      await post(server, "anthropic-messages", ask("anthropic-messages", "hi", { stream: true })),
    );
    const order = seen.map((event) => event.event);
    expect(order.slice(0, 3)).toEqual(["message_start", "content_block_start", "content_block_delta"]);
    expect(order.slice(-3)).toEqual(["ping", "message_delta", "message_stop"]);
    expect(seen.every((event) => event.data.type === event.event)).toBe(true);
    expect(seen.map((event) => event.data.delta?.text ?? "").join("")).toBe("Hello there, how are you?");
    expect(seen[0]?.data.message.usage).toMatchObject({
      input_tokens: 10,
      cache_read_input_tokens: 3,
      output_tokens: 1,
    });
    expect(seen.at(-2)?.data).toMatchObject({ delta: { stop_reason: "end_turn" }, usage: { output_tokens: 7 } });
  });

  it("openai-responses: streams typed, numbered events", async () => {
    const server = await start({ scenario: { rules: [...hello.rules] } });
    const seen = await events(await post(server, "openai-responses", ask("openai-responses", "hi", { stream: true })));
    expect(seen.map((event) => event.data.sequence_number)).toEqual(seen.map((_, index) => index));
    expect(seen[0]?.event).toBe("response.created");
    expect(
      seen
        .filter((event) => event.event === "response.output_text.delta")
        .map((event) => event.data.delta)
        .join(""),
    ).toBe("Hello there, how are you?");
    expect(seen.at(-1)).toMatchObject({
      event: "response.completed",
      data: { response: { usage: { output_tokens: 7 } } },
    });
  });

  it("openai-chat: ends with usage only when asked, then [DONE]", async () => {
    const server = await start({ scenario: { rules: [...hello.rules] } });
    const without = await events(await post(server, "openai-chat", ask("openai-chat", "hi", { stream: true })));
    expect(without.at(-1)?.data).toBe("[DONE]");
    expect(without.some((event) => event.data.usage)).toBe(false);
    const asked = ask("openai-chat", "hi", { stream: true, stream_options: { include_usage: true } });
    const including = await events(await post(server, "openai-chat", asked));
    expect(including.at(-2)?.data).toMatchObject({ choices: [], usage: { prompt_tokens: 13, completion_tokens: 7 } });
  });

  it("stops at the output limit, bill and text", async () => {
    const server = await start({
      scenario: { rules: [{ usage: { outputTokens: 500 }, action: { kind: "text", text: "x".repeat(2_000) } }] },
    });
    const body = (await (
      await post(server, "anthropic-messages", ask("anthropic-messages", "hi", { max_tokens: 100 }))
    ).json()) as Json;
    expect(body).toMatchObject({ stop_reason: "max_tokens", usage: { output_tokens: 100 } });
    expect(body.content[0].text).toHaveLength(400);
  });
});

describe("what a provider refuses", () => {
  it.each(apis)("%s: another key, and says which key arrived", async (api) => {
    const server = await start({ key: "provider-key" });
    const response = await post(server, api, ask(api, "hi"), "job-token");
    expect(response.status).toBe(401);
    expect(JSON.stringify(await response.json())).toMatch(/authentication_error|invalid_api_key/);
    expect(server.requests).toMatchObject([{ key: "job-token", status: 401 }]);
    expect((await post(server, api, ask(api, "hi"))).status).toBe(200);
  });

  it.each([
    ["no model", { max_tokens: 5, messages: [{ role: "user", content: "x" }] }],
    ["no messages", { model: "m", max_tokens: 5 }],
    [
      "a tool result without its call",
      {
        model: "m",
        max_tokens: 5,
        messages: [{ role: "user", content: [{ type: "tool_result", tool_use_id: "gone", content: "x" }] }],
      },
    ],
  ])("400 for %s", async (_, body) => {
    const server = await start();
    const response = await post(server, "anthropic-messages", body);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ type: "error", error: { type: "invalid_request_error" } });
  });

  it("404 elsewhere; a scenario that is none throws", async () => {
    const server = await start();
    expect((await fetch(`${server.url}/v1/files`)).status).toBe(404);
    expect(() => server.setScenario({ rules: [] })).toThrow();
    expect(() => server.setScenario({ rules: [{ match: { prompt: "(" }, action: { kind: "hang" } }] })).toThrow(
      /regular/,
    );
  });
});

describe("scripts", () => {
  it("uses a rule as often as it says, then the next", async () => {
    const server = await start({
      scenario: {
        rules: [
          { times: 2, action: { kind: "fault", status: 529 } },
          { times: 1, action: { kind: "fault", status: 429, retryAfterSeconds: 3 } },
          { match: { prompt: "never" }, action: { kind: "text", text: "wrong" } },
          { match: { model: "^m-", requests: { from: 4, to: 4 } }, action: { kind: "text", text: "fourth" } },
        ],
      },
    });
    const answers = [];
    for (let at = 0; at < 5; at += 1)
      answers.push(await post(server, "anthropic-messages", ask("anthropic-messages", "hi")));
    expect(answers.map((answer) => answer.status)).toEqual([529, 529, 429, 200, 500]);
    expect(answers[2]?.headers.get("retry-after")).toBe("3");
    expect(answers[2]?.headers.get("anthropic-ratelimit-requests-remaining")).toBe("0");
    expect(await answers[0]?.json()).toMatchObject({ error: { type: "overloaded_error" } });
  });

  it.each(apis)("%s: calls the shell tool that is offered", async (api) => {
    const server = await start({
      scenario: { rules: [{ action: { kind: "shell", commands: ["ls", "pwd"], text: "Look." } }] },
    });
    const body = JSON.stringify(await (await post(server, api, ask(api, "hi"))).json());
    const name = { "anthropic-messages": "Bash", "openai-responses": "shell", "openai-chat": "bash" }[api];
    expect(body).toContain(`"name":"${name}"`);
    expect(body).toMatch(/ls.*pwd/);
  });

  it("knows command arrays and other names of the field", async () => {
    const server = await start({ scenario: { rules: [{ action: { kind: "shell", commands: ["ls"] } }] } });
    const offer = (name: string, properties: Json) =>
      ask("openai-responses", "hi", {
        tools: [{ type: "function", name, parameters: { type: "object", properties } }],
      });
    const made = async (body: Json) =>
      JSON.parse(((await (await post(server, "openai-responses", body)).json()) as Json).output[0].arguments ?? "null");
    expect(await made(offer("shell", { command: { type: "array" } }))).toEqual({ command: ["bash", "-lc", "ls"] });
    expect(await made(offer("exec_command", { cmd: { type: "string" } }))).toEqual({ cmd: "ls" });
  });

  it("breaks a stream by a cut, and by an error event", async () => {
    const server = await start({
      scenario: {
        rules: [{ times: 1, action: { kind: "broken" } }, { action: { kind: "broken", how: "error_event" } }],
      },
    });
    const asked = ask("anthropic-messages", "hi", { stream: true });
    await expect((await post(server, "anthropic-messages", asked)).text()).rejects.toThrow();
    expect((await events(await post(server, "anthropic-messages", asked))).at(-1)).toMatchObject({
      event: "error",
      data: { error: { type: "overloaded_error" } },
    });
    expect(server.requests.map((request) => request.usage)).toEqual([null, null]);
  });

  it.each(apis)("%s: talks without end until the client leaves", async (api) => {
    const server = await start({ scenario: { rules: [{ action: { kind: "endless", chunkDelayMs: 1 } }] } });
    const response = await post(server, api, ask(api, "hi", { stream: true }));
    const reader = response.body!.getReader();
    let text = "";
    while (text.split("still talking").length < 6) text += new TextDecoder().decode((await reader.read()).value);
    await reader.cancel();
    await expect.poll(() => server.requests[0]?.aborted).toBe(true);
  });

  it("hangs until it is closed", async () => {
    const server = await startModelServer({ scenario: { rules: [{ action: { kind: "hang" } }] } });
    const answer = post(server, "openai-chat", ask("openai-chat", "hi")).then(
      () => "answered",
      () => "cut",
    );
    await server.waitForRequests(1);
    await server.close();
    expect(await answer).toBe("cut");
  });

  it("counts tokens without counting a model request, and keeps a bounded record", async () => {
    const server = await start();
    const counting = await fetch(`${server.url}/v1/messages/count_tokens?beta=true`, {
      method: "POST",
      headers: { "x-api-key": server.key },
      body: JSON.stringify(ask("anthropic-messages", "hi")),
    });
    expect(((await counting.json()) as Json).input_tokens).toBeGreaterThan(10);
    for (let at = 0; at < 510; at += 1) await fetch(`${server.url}/nowhere`);
    expect(server.requests.length).toBe(500);
    await post(server, "openai-chat", ask("openai-chat", "hi"));
    expect(server.requests.at(-1)?.number).toBe(1);
  });
});

/** The smallest agent there is: one shell tool, run for real in the repository, until the model stops calling it. */
async function agent(server: ModelServer, directory: string, messages: Json[], prompt: string): Promise<string[]> {
  const commands: string[] = [];
  messages.push({ role: "user", content: prompt });
  for (let request = 0; request < 12; request += 1) {
    const body = (await (
      await post(server, "anthropic-messages", { ...ask("anthropic-messages", ""), messages })
    ).json()) as Json;
    messages.push({ role: "assistant", content: body.content });
    const call = body.content.find((block: Json) => block.type === "tool_use");
    if (!call) return commands;
    commands.push(call.input.command);
    const content = await bash(directory, call.input.command);
    messages.push({ role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content }] });
  }
  throw new Error("the solver never stopped");
}
const bash = (cwd: string, command: string) =>
  new Promise<string>((resolve) =>
    execFile("bash", ["--norc", "-c", command], { cwd, env: { PATH: process.env.PATH } }, (_, stdout, stderr) =>
      resolve(stdout + stderr),
    ),
  );

async function sample(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "x1-sample-"));
  cleanups.push(() => rm(directory, { recursive: true, force: true }));
  await createSampleRepository(directory);
  return directory;
}
const verify = (directory: string) => bash(directory, 'node --test >&2; echo "exit $?"');

describe("the sample project and its solver", () => {
  it("makes the same commit each time, with one failing test", async () => {
    const [first, second] = [await sample(), await sample()];
    expect(await bash(first, "git rev-parse HEAD")).toBe(await bash(second, "git rev-parse HEAD"));
    expect(await bash(first, "git status --porcelain; git branch --show-current")).toBe("main\n");
    const output = await verify(first);
    expect(output).toMatch(/fail 1$/m);
    expect(output).toContain("exit 1");
  });

  it.each([1, 2, 3] as const)("solves issue %i by looking, editing and testing", async (number) => {
    const [server, directory] = [await start(), await sample()];
    const commands = await agent(server, directory, [], await sampleIssue(number));
    expect(commands[0]).toContain("cat");
    expect(commands.at(-1)).toContain("node --test");
    expect(await verify(directory)).toContain("exit 0");
    const changed = await bash(directory, "git diff --name-only");
    expect(changed).toContain("src/split.ts");
    expect(changed).toContain(["src/split.ts", "src/format.ts", "src/parse.ts"][number - 1]);
  });

  it("repairs its wrong fix when the failure is fed back, with and without its memory", async () => {
    for (const remembers of [true, false]) {
      const [server, directory] = [await start({ scenario: wrongFirstScenario }), await sample()];
      const messages: Json[] = [];
      await agent(server, directory, messages, await sampleIssue(1));
      expect(await bash(directory, "git diff --name-only")).toBe("src/split.ts\n");
      const failure = await verify(directory);
      expect(failure).toContain("exit 1");
      await agent(server, directory, remembers ? messages : [], `The verify command failed:\n${failure}`);
      expect(await verify(directory)).toContain("exit 0");
    }
  });

  it("says so when there is nothing to do, no shell, or no project", async () => {
    const [server, directory] = [await start(), await sample()];
    await agent(server, directory, [], await sampleIssue(1));
    expect((await agent(server, directory, [], await sampleIssue(1))).length).toBe(2);
    const messages: Json[] = [];
    await agent(server, tmpdir(), messages, await sampleIssue(1));
    expect(JSON.stringify(messages.at(-1))).toMatch(/did not find/);
    const bare = await (
      await post(server, "anthropic-messages", { ...ask("anthropic-messages", await sampleIssue(1)), tools: [] })
    ).json();
    expect(JSON.stringify(bare)).toContain("no shell tool");
  });
});
