import type { Usage, WireFormat } from "@x1agent/contract";
import { inferencePrefix } from "@x1agent/contract";
import type { Conversation, Entry, OfferedTool, ToolCall } from "./scenario.ts";

/**
 * The three model APIs as their documentation and recordings show them: how a request is read, and how an answer is
 * written as one body or as a stream of server-sent events. Pure: no sockets here.
 */

/** A finished answer in no wire format. */
export type Reply = {
  id: string;
  model: string;
  text: string;
  thinking: string | undefined;
  calls: ToolCall[];
  usage: Usage;
  /** The model wanted to say more than the request allowed. */
  truncated: boolean;
  chunkCharacters: number;
};

/** One event of a stream; `event` is null where the API sends bare data lines. */
export type StreamEvent = { event: string | null; data: unknown };

/** A request that the real API would refuse with 400. */
export class BadRequest extends Error {}

type Json = Record<string, unknown>;
const object = (value: unknown): Json => (typeof value === "object" && value !== null ? (value as Json) : {});
const list = (value: unknown): Json[] => (Array.isArray(value) ? value.map(object) : []);
const string = (value: unknown): string => (typeof value === "string" ? value : "");

/** Which API a path belongs to. The sidecar's prefixes are understood too, so that a CLI can be pointed here directly. */
export function apiOfPath(pathname: string): { api: WireFormat; endpoint: "generate" | "count_tokens" } | null {
  let path = pathname;
  for (const prefix of new Set(Object.values(inferencePrefix)))
    if (path.startsWith(`${prefix}/`)) path = path.slice(prefix.length);
  if (path === "/v1/messages") return { api: "anthropic-messages", endpoint: "generate" };
  if (path === "/v1/messages/count_tokens") return { api: "anthropic-messages", endpoint: "count_tokens" };
  if (path === "/v1/responses") return { api: "openai-responses", endpoint: "generate" };
  if (path === "/v1/chat/completions") return { api: "openai-chat", endpoint: "generate" };
  return null;
}

// ---- reading requests ----

const textOf = (content: unknown): string =>
  typeof content === "string"
    ? content
    : list(content)
        .map((part) => string(part.text) || string(part.refusal))
        .filter(Boolean)
        .join("\n");

/** CLIs slip notes of their own into user messages; they are not what the person said. */
const withoutReminders = (text: string) => text.replace(/<system-reminder>[\s\S]*?<\/system-reminder>/g, "").trim();

function parseArguments(value: unknown): Json {
  try {
    return object(JSON.parse(string(value) || "{}"));
  } catch {
    return {};
  }
}

function toolOf(name: unknown, schema: unknown): OfferedTool {
  const { properties, required } = object(schema);
  return {
    name: string(name),
    properties: object(properties) as OfferedTool["properties"],
    required: Array.isArray(required) ? required.filter((item) => typeof item === "string") : [],
  };
}

/** Reads a request body of any of the three APIs into one shape. Throws `BadRequest` where the real API would. */
export function readRequest(api: WireFormat, value: unknown): Conversation {
  const body = object(value);
  if (!string(body.model)) throw new BadRequest("model: Field required");
  const base = {
    api,
    body: JSON.stringify(value),
    model: string(body.model),
    stream: body.stream === true,
    includeUsage: true,
  };
  if (api === "anthropic-messages") return { ...base, ...readAnthropic(body) };
  if (api === "openai-responses") return { ...base, ...readResponses(body) };
  return { ...base, includeUsage: object(body.stream_options).include_usage === true, ...readChat(body) };
}

type Read = Pick<Conversation, "system" | "tools" | "entries" | "maxOutputTokens">;
const count = (value: unknown) => (typeof value === "number" && value > 0 ? value : undefined);

function readAnthropic(body: Json): Read {
  if (!Array.isArray(body.messages) || body.messages.length === 0) throw new BadRequest("messages: Field required");
  if (!count(body.max_tokens)) throw new BadRequest("max_tokens: Field required");
  const entries: Entry[] = [];
  const known = new Set<string>();
  for (const message of list(body.messages)) {
    const parts =
      typeof message.content === "string" ? [{ type: "text", text: message.content }] : list(message.content);
    if (message.role === "assistant") {
      const calls = parts
        .filter((part) => part.type === "tool_use")
        .map((part) => ({ id: string(part.id), name: string(part.name), input: object(part.input) }));
      for (const call of calls) known.add(call.id);
      entries.push({ role: "assistant", text: textOf(parts.filter((part) => part.type === "text")), calls });
      continue;
    }
    for (const part of parts.filter((part) => part.type === "tool_result")) {
      const callId = string(part.tool_use_id);
      if (!known.has(callId)) throw new BadRequest(`messages: unexpected tool_use_id in tool_result blocks: ${callId}`);
      entries.push({ role: "tool", callId, text: textOf(part.content) });
    }
    const text = withoutReminders(textOf(parts.filter((part) => part.type === "text")));
    if (text) entries.push({ role: "user", text });
  }
  return {
    system: textOf(body.system),
    tools: list(body.tools).map((tool) => toolOf(tool.name, tool.input_schema)),
    entries,
    maxOutputTokens: count(body.max_tokens),
  };
}

function readResponses(body: Json): Read {
  const items = typeof body.input === "string" ? [{ role: "user", content: body.input }] : list(body.input);
  if (items.length === 0) throw new BadRequest("Missing required parameter: 'input'.");
  const entries: Entry[] = [];
  let system = string(body.instructions);
  for (const item of items as Json[]) {
    if (item.type === "function_call") {
      const call = { id: string(item.call_id), name: string(item.name), input: parseArguments(item.arguments) };
      entries.push({ role: "assistant", text: "", calls: [call] });
    } else if (item.type === "function_call_output")
      entries.push({ role: "tool", callId: string(item.call_id), text: textOf(item.output) });
    else if (item.role === "assistant") entries.push({ role: "assistant", text: textOf(item.content), calls: [] });
    else if (item.role === "user") entries.push({ role: "user", text: withoutReminders(textOf(item.content)) });
    else if (item.role === "system" || item.role === "developer") system += `\n${textOf(item.content)}`;
  }
  const tools = list(body.tools).filter((tool) => tool.type === "function");
  return {
    system,
    tools: tools.map((tool) => toolOf(tool.name, tool.parameters)),
    entries,
    maxOutputTokens: count(body.max_output_tokens),
  };
}

function readChat(body: Json): Read {
  if (!Array.isArray(body.messages) || body.messages.length === 0)
    throw new BadRequest("Missing required parameter: 'messages'.");
  const entries: Entry[] = [];
  let system = "";
  for (const message of list(body.messages)) {
    const text = textOf(message.content);
    if (message.role === "assistant") {
      const calls = list(message.tool_calls).map((call) => {
        const made = object(call.function);
        return { id: string(call.id), name: string(made.name), input: parseArguments(made.arguments) };
      });
      entries.push({ role: "assistant", text, calls });
    } else if (message.role === "tool") entries.push({ role: "tool", callId: string(message.tool_call_id), text });
    else if (message.role === "user") entries.push({ role: "user", text: withoutReminders(text) });
    else system += `${text}\n`;
  }
  return {
    system,
    tools: list(body.tools).map((tool) => toolOf(object(tool.function).name, object(tool.function).parameters)),
    entries,
    maxOutputTokens: count(body.max_completion_tokens) ?? count(body.max_tokens),
  };
}

// ---- writing answers ----

/** The answer as one JSON body. */
export function replyBody(api: WireFormat, reply: Reply): Json {
  if (api === "anthropic-messages")
    return {
      id: reply.id,
      type: "message",
      role: "assistant",
      model: reply.model,
      content: anthropicBlocks(reply),
      stop_reason: anthropicStop(reply),
      stop_sequence: null,
      usage: anthropicUsage(reply.usage),
    };
  if (api === "openai-responses") return responseObject(reply, "completed", responseItems(reply));
  return {
    id: reply.id,
    object: "chat.completion",
    created: created(),
    model: reply.model,
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: reply.text || null,
          ...(reply.calls.length > 0 ? { tool_calls: reply.calls.map((call) => chatCall(call)) } : {}),
        },
        finish_reason: chatStop(reply),
      },
    ],
    usage: chatUsage(reply.usage),
  };
}

/** The answer as the API's own stream, up to and including its end. */
export function replyEvents(api: WireFormat, reply: Reply, includeUsage: boolean): StreamEvent[] {
  if (api === "anthropic-messages") return anthropicEvents(reply);
  if (api === "openai-responses") return responseEvents(reply);
  return chatEvents(reply, includeUsage);
}

/** Error body of an API for a status. */
export function errorBody(api: WireFormat, status: number, message: string, requestId: string): Json {
  if (api === "anthropic-messages") {
    const types: Record<number, string> = {
      400: "invalid_request_error",
      401: "authentication_error",
      403: "permission_error",
      404: "not_found_error",
      413: "request_too_large",
      429: "rate_limit_error",
      529: "overloaded_error",
    };
    return { type: "error", error: { type: types[status] ?? "api_error", message }, request_id: requestId };
  }
  const types: Record<number, [type: string, code: string | null]> = {
    401: ["invalid_request_error", "invalid_api_key"],
    429: ["requests", "rate_limit_exceeded"],
    503: ["server_error", "server_overloaded"],
  };
  const [type, code] = types[status] ?? [status < 500 ? "invalid_request_error" : "server_error", null];
  return { error: { message, type, param: null, code } };
}

/** Error event that ends a stream which began well. */
export function errorEvent(api: WireFormat, requestId: string): StreamEvent {
  if (api === "anthropic-messages") return { event: "error", data: errorBody(api, 529, "Overloaded", requestId) };
  const { error } = errorBody(api, 500, "The server had an error while processing your request", requestId);
  if (api === "openai-responses") return { event: "error", data: { type: "error", ...object(error) } };
  return { event: null, data: { error } };
}

/** Rate-limit headers as each provider sends them, on good and bad answers. */
export function rateLimitHeaders(api: WireFormat, requestNumber: number, limited: boolean): Record<string, string> {
  const remaining = String(limited ? 0 : Math.max(1, 4_000 - requestNumber));
  if (api === "anthropic-messages")
    return {
      "anthropic-ratelimit-requests-limit": "4000",
      "anthropic-ratelimit-requests-remaining": remaining,
      "anthropic-ratelimit-requests-reset": new Date(Date.now() + 60_000).toISOString(),
      "anthropic-ratelimit-tokens-limit": "4000000",
      "anthropic-ratelimit-tokens-remaining": limited ? "0" : "3900000",
      "anthropic-organization-id": "00000000-0000-4000-8000-000000000000",
    };
  return {
    "x-ratelimit-limit-requests": "4000",
    "x-ratelimit-remaining-requests": remaining,
    "x-ratelimit-reset-requests": "60s",
    "openai-organization": "scripted",
    "openai-version": "2020-10-01",
  };
}

const created = () => Math.floor(Date.now() / 1_000);

/** Text in deltas of the wanted size; at least one. */
function chunks(text: string, size: number): string[] {
  const made: string[] = [];
  for (let at = 0; at < text.length; at += size) made.push(text.slice(at, at + size));
  return made.length > 0 ? made : [""];
}

// Anthropic Messages

const anthropicUsage = (usage: Usage) => ({
  input_tokens: usage.inputTokens,
  cache_creation_input_tokens: usage.cacheWriteTokens,
  cache_read_input_tokens: usage.cacheReadTokens,
  cache_creation: { ephemeral_5m_input_tokens: usage.cacheWriteTokens, ephemeral_1h_input_tokens: 0 },
  output_tokens: usage.outputTokens,
  service_tier: "standard",
});

const anthropicStop = (reply: Reply) =>
  reply.truncated ? "max_tokens" : reply.calls.length > 0 ? "tool_use" : "end_turn";

function anthropicBlocks(reply: Reply): Json[] {
  const blocks: Json[] = [];
  if (reply.thinking) blocks.push({ type: "thinking", thinking: reply.thinking, signature: "c2NyaXB0ZWQ=" });
  if (reply.text || reply.calls.length === 0) blocks.push({ type: "text", text: reply.text });
  for (const call of reply.calls) blocks.push({ type: "tool_use", id: call.id, name: call.name, input: call.input });
  return blocks;
}

function anthropicEvents(reply: Reply): StreamEvent[] {
  const events: StreamEvent[] = [];
  const push = (type: string, data: Json) => events.push({ event: type, data: { type, ...data } });
  const message = {
    ...replyBody("anthropic-messages", reply),
    content: [],
    stop_reason: null,
    usage: { ...anthropicUsage(reply.usage), output_tokens: 1 },
  };
  push("message_start", { message });
  for (const [index, block] of anthropicBlocks(reply).entries()) {
    const delta = (value: Json) => push("content_block_delta", { index, delta: value });
    if (block.type === "thinking") {
      push("content_block_start", { index, content_block: { type: "thinking", thinking: "", signature: "" } });
      for (const thinking of chunks(string(block.thinking), reply.chunkCharacters))
        delta({ type: "thinking_delta", thinking });
      delta({ type: "signature_delta", signature: block.signature });
    } else if (block.type === "text") {
      push("content_block_start", { index, content_block: { type: "text", text: "" } });
      for (const text of chunks(string(block.text), reply.chunkCharacters)) delta({ type: "text_delta", text });
    } else {
      push("content_block_start", { index, content_block: { ...block, input: {} } });
      for (const partial_json of chunks(JSON.stringify(block.input), reply.chunkCharacters * 4))
        delta({ type: "input_json_delta", partial_json });
    }
    push("content_block_stop", { index });
    if (index === 0) push("ping", {});
  }
  push("message_delta", {
    delta: { stop_reason: anthropicStop(reply), stop_sequence: null },
    usage: anthropicUsage(reply.usage),
  });
  push("message_stop", {});
  return events;
}

// OpenAI Responses

const responseUsage = (usage: Usage) => {
  const input = usage.inputTokens + usage.cacheReadTokens + usage.cacheWriteTokens;
  return {
    input_tokens: input,
    input_tokens_details: { cached_tokens: usage.cacheReadTokens },
    output_tokens: usage.outputTokens,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: input + usage.outputTokens,
  };
};

function responseItems(reply: Reply): Json[] {
  const items: Json[] = [];
  if (reply.thinking)
    items.push({ id: `rs_${reply.id}`, type: "reasoning", summary: [{ type: "summary_text", text: reply.thinking }] });
  if (reply.text || reply.calls.length === 0)
    items.push({
      id: `msg_${reply.id}`,
      type: "message",
      status: "completed",
      role: "assistant",
      content: [{ type: "output_text", text: reply.text, annotations: [], logprobs: [] }],
    });
  for (const call of reply.calls)
    items.push({
      id: `fc_${call.id}`,
      type: "function_call",
      status: "completed",
      call_id: call.id,
      name: call.name,
      arguments: JSON.stringify(call.input),
    });
  return items;
}

function responseObject(reply: Reply, status: "in_progress" | "completed", output: Json[]): Json {
  const incomplete = status === "completed" && reply.truncated;
  return {
    id: reply.id,
    object: "response",
    created_at: created(),
    status: incomplete ? "incomplete" : status,
    error: null,
    incomplete_details: incomplete ? { reason: "max_output_tokens" } : null,
    instructions: null,
    model: reply.model,
    output,
    parallel_tool_calls: true,
    previous_response_id: null,
    store: false,
    tool_choice: "auto",
    tools: [],
    usage: status === "completed" ? responseUsage(reply.usage) : null,
    metadata: {},
  };
}

function responseEvents(reply: Reply): StreamEvent[] {
  const events: StreamEvent[] = [];
  const push = (type: string, data: Json) =>
    events.push({ event: type, data: { type, sequence_number: events.length, ...data } });
  push("response.created", { response: responseObject(reply, "in_progress", []) });
  push("response.in_progress", { response: responseObject(reply, "in_progress", []) });
  for (const [output_index, item] of responseItems(reply).entries()) {
    const at = { item_id: item.id, output_index };
    if (item.type === "message") {
      const part = { ...at, content_index: 0 };
      push("response.output_item.added", { output_index, item: { ...item, status: "in_progress", content: [] } });
      push("response.content_part.added", {
        ...part,
        part: { type: "output_text", text: "", annotations: [], logprobs: [] },
      });
      for (const delta of chunks(reply.text, reply.chunkCharacters))
        push("response.output_text.delta", { ...part, delta, logprobs: [] });
      push("response.output_text.done", { ...part, text: reply.text, logprobs: [] });
      push("response.content_part.done", { ...part, part: list(item.content)[0] });
    } else if (item.type === "function_call") {
      push("response.output_item.added", { output_index, item: { ...item, status: "in_progress", arguments: "" } });
      for (const delta of chunks(string(item.arguments), reply.chunkCharacters * 4))
        push("response.function_call_arguments.delta", { ...at, delta });
      push("response.function_call_arguments.done", { ...at, name: item.name, arguments: item.arguments });
    } else {
      const part = { ...at, summary_index: 0 };
      push("response.output_item.added", { output_index, item: { ...item, summary: [] } });
      push("response.reasoning_summary_part.added", { ...part, part: { type: "summary_text", text: "" } });
      for (const delta of chunks(reply.thinking ?? "", reply.chunkCharacters))
        push("response.reasoning_summary_text.delta", { ...part, delta });
      push("response.reasoning_summary_text.done", { ...part, text: reply.thinking });
      push("response.reasoning_summary_part.done", { ...part, part: list(item.summary)[0] });
    }
    push("response.output_item.done", { output_index, item });
  }
  push(reply.truncated ? "response.incomplete" : "response.completed", {
    response: responseObject(reply, "completed", responseItems(reply)),
  });
  return events;
}

// OpenAI Chat Completions

const chatUsage = (usage: Usage) => {
  const prompt = usage.inputTokens + usage.cacheReadTokens + usage.cacheWriteTokens;
  return {
    prompt_tokens: prompt,
    completion_tokens: usage.outputTokens,
    total_tokens: prompt + usage.outputTokens,
    prompt_tokens_details: { cached_tokens: usage.cacheReadTokens, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0 },
  };
};

const chatStop = (reply: Reply) => (reply.truncated ? "length" : reply.calls.length > 0 ? "tool_calls" : "stop");

const chatCall = (call: ToolCall) => ({
  id: call.id,
  type: "function",
  function: { name: call.name, arguments: JSON.stringify(call.input) },
});

function chatEvents(reply: Reply, includeUsage: boolean): StreamEvent[] {
  const events: StreamEvent[] = [];
  const head = { id: reply.id, object: "chat.completion.chunk", created: created(), model: reply.model };
  const usage = includeUsage ? { usage: null } : {};
  const push = (delta: Json, finish: string | null = null) =>
    events.push({
      event: null,
      data: { ...head, choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }], ...usage },
    });
  push({ role: "assistant", content: "" });
  if (reply.text) for (const content of chunks(reply.text, reply.chunkCharacters)) push({ content });
  for (const [index, call] of reply.calls.entries()) {
    const made = chatCall(call);
    push({ tool_calls: [{ index, ...made, function: { name: call.name, arguments: "" } }] });
    for (const part of chunks(made.function.arguments, reply.chunkCharacters * 4))
      push({ tool_calls: [{ index, function: { arguments: part } }] });
  }
  push({}, chatStop(reply));
  if (includeUsage) events.push({ event: null, data: { ...head, choices: [], usage: chatUsage(reply.usage) } });
  events.push({ event: null, data: "[DONE]" });
  return events;
}
