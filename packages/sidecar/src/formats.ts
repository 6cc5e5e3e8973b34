import { type ErrorCode, type ModelPrice, type PriceTable, Usage, type WireFormat } from "@x1agent/contract";

/**
 * What differs between the wire formats, as data and small functions: which paths and fields are let through, where
 * model and limits stand, where usage is told, and how a refusal looks. Sources: the providers' public API references.
 */
export type Format = {
  api: WireFormat;
  /** Method and path below the prefix. */
  path: string;
  fields: ReadonlySet<string>;
  /** Tool types that run at the client; any other runs at the provider and is refused. */
  clientTools: RegExp;
  maxTokens: readonly string[];
  /** Usage of one parsed event or body, or null; totals, later ones replace earlier ones. */
  usage(value: Json): { usage: Partial<Counted>; final: boolean } | null;
  error(code: ErrorCode, message: string): Json;
  streamError(code: ErrorCode, message: string): string;
};
type Json = Record<string, unknown>;

const object = (value: unknown): Json =>
  value !== null && typeof value === "object" && !Array.isArray(value) ? (value as Json) : {};
const count = (value: unknown): number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : 0;
const words = (text: string) => new Set(text.split(" "));

/** Token counts of a call; `hourWrites` is the part of `cacheWriteTokens` that is kept for an hour. */
export type Counted = Usage & { hourWrites?: number };

const anthropicUsage = (raw: unknown): Partial<Counted> => {
  const usage = object(raw);
  const found: Partial<Counted> = {};
  const { ephemeral_1h_input_tokens: hour } = object(usage.cache_creation);
  if (hour !== undefined) found.hourWrites = count(hour);
  if ("input_tokens" in usage) found.inputTokens = count(usage.input_tokens);
  if ("output_tokens" in usage) found.outputTokens = count(usage.output_tokens);
  if ("cache_read_input_tokens" in usage) found.cacheReadTokens = count(usage.cache_read_input_tokens);
  if ("cache_creation_input_tokens" in usage) found.cacheWriteTokens = count(usage.cache_creation_input_tokens);
  return found;
};
/** OpenAI counts cached tokens inside the input; ours do not overlap. */
const openaiUsage = (raw: unknown, input: string, output: string): Partial<Usage> => {
  const usage = object(raw);
  const cached = count(object(usage[`${input}_details`]).cached_tokens);
  return {
    inputTokens: Math.max(0, count(usage[input]) - cached),
    outputTokens: count(usage[output]),
    cacheReadTokens: cached,
    cacheWriteTokens: 0,
  };
};
const openaiError = (code: ErrorCode, message: string): Json => ({
  error: { message: `${code}: ${message}`, type: "permission_error", param: null, code },
});
const anthropicError = (code: ErrorCode, message: string): Json => ({
  type: "error",
  error: { type: "permission_error", message: `${code}: ${message}` },
});

export const formats: readonly Format[] = [
  {
    api: "anthropic-messages",
    path: "/v1/messages",
    fields: words(
      "model messages max_tokens stream system tools tool_choice temperature top_p top_k stop_sequences metadata thinking context_management output_config output_format",
    ),
    clientTools: /^(custom|bash_\d+|text_editor_\d+|computer_\d+|memory_\d+)$/,
    maxTokens: ["max_tokens"],
    usage(value) {
      if (value.type === "message_start") return { usage: anthropicUsage(object(value.message).usage), final: false };
      if (value.type === "message_delta") return { usage: anthropicUsage(value.usage), final: true };
      if (value.type === "message" && value.usage) return { usage: anthropicUsage(value.usage), final: true };
      return null;
    },
    error: anthropicError,
    streamError: (code, message) => `event: error\ndata: ${JSON.stringify(anthropicError(code, message))}\n\n`,
  },
  {
    api: "openai-responses",
    path: "/v1/responses",
    fields: words(
      "model input instructions stream store max_output_tokens tools tool_choice parallel_tool_calls reasoning include prompt_cache_key prompt_cache_retention temperature top_p text truncation metadata user safety_identifier service_tier stream_options max_tool_calls",
    ),
    clientTools: /^(function|custom|local_shell|shell|apply_patch)$/,
    maxTokens: ["max_output_tokens"],
    usage(value) {
      const response =
        value.object === "response"
          ? value
          : /^response\.(completed|incomplete|failed)$/.test(String(value.type))
            ? object(value.response)
            : null;
      return response?.usage
        ? { usage: openaiUsage(response.usage, "input_tokens", "output_tokens"), final: true }
        : null;
    },
    error: openaiError,
    streamError: (code, message) =>
      `event: error\ndata: ${JSON.stringify({ type: "error", code, message: `${code}: ${message}`, param: null, sequence_number: 0 })}\n\n`,
  },
  {
    api: "openai-chat",
    path: "/v1/chat/completions",
    fields: words(
      "model messages stream stream_options max_tokens max_completion_tokens tools tool_choice parallel_tool_calls temperature top_p stop n seed response_format reasoning_effort user metadata store prompt_cache_key frequency_penalty presence_penalty logprobs top_logprobs logit_bias verbosity service_tier safety_identifier",
    ),
    clientTools: /^(function|custom)$/,
    maxTokens: ["max_completion_tokens", "max_tokens"],
    usage: (value) =>
      value.usage && /^chat\.completion(\.chunk)?$/.test(String(value.object))
        ? { usage: openaiUsage(value.usage, "prompt_tokens", "completion_tokens"), final: true }
        : null,
    error: openaiError,
    streamError: (code, message) => `data: ${JSON.stringify(openaiError(code, message))}\n\n`,
  },
];

export type Checked = {
  /** What is sent. */ bytes: Buffer;
  model: string;
  maxTokens: number | null;
  stream: boolean /** Asks for cache writes that are kept for an hour. */;
  hour: boolean;
};
export type Verdict = { ok: true; value: Checked } | { ok: false; code: ErrorCode; detail: string };
const no = (code: ErrorCode, detail: string): Verdict => ({ ok: false, code, detail });

/**
 * Whether a request body may be forwarded. What is decided on is what is sent: the body is parsed once and serialized
 * again, so duplicate keys and odd spellings cannot say one thing here and another at the provider.
 */
export function checkBody(format: Format, text: string): Verdict {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return no("invalid_request", "The body is not JSON.");
  }
  if (value === null || typeof value !== "object" || Array.isArray(value))
    return no("invalid_request", "The body is not a JSON object.");
  const body = value as Json;
  for (const field of Object.keys(body))
    if (!format.fields.has(field)) return no("field_refused", `The field "${field.slice(0, 60)}" is not allowed.`);
  if (typeof body.model !== "string" || body.model === "" || body.model.length > 200)
    return no("model_missing", "The request names no model.");
  // The Responses API keeps what it is not told to forget.
  if (body.store === true || format.api === "openai-responses") body.store = false;
  if (body.service_tier !== undefined && body.service_tier !== "auto" && body.service_tier !== "default")
    return no("field_refused", "Only the default service tier is priced.");
  if (body.service_tier === "auto") body.service_tier = "default";
  if (body.n !== undefined && body.n !== 1) return no("field_refused", "Only one completion per request is priced.");
  const remote = remoteTool(format, body.tools, 0) ?? inputTools(format, body.input);
  if (remote) return no("field_refused", remote);
  const foreign = foreignContent(body.messages ?? body.input, 0);
  if (foreign) return no("field_refused", foreign);
  const stream = body.stream === true;
  // Without it a streamed chat completion ends without usage, and the whole reservation would be charged.
  if (format.api === "openai-chat" && stream)
    body.stream_options = { ...object(body.stream_options), include_usage: true };
  const limits = format.maxTokens.map((name) => body[name]).filter((limit) => typeof limit === "number");
  const serialized = JSON.stringify(body);
  // Inside a string its quotes would be escaped, so this finds the setting and not somebody's text.
  const hour = serialized.includes('"ttl":"1h"');
  const maxTokens = limits.length > 0 ? Math.min(...(limits as number[])) : null;
  return { ok: true, value: { bytes: Buffer.from(serialized), model: body.model, maxTokens, stream, hour } };
}

/** A tool that would run at the provider. Namespaces are named groups of tools; a shell may ask for a container there. */
function remoteTool(format: Format, tools: unknown, depth: number): string | null {
  if (depth > 4) return "Tools are nested too deep.";
  for (const tool of Array.isArray(tools) ? tools : []) {
    const { type, environment, tools: grouped } = object(tool);
    if (type === "namespace" && format.api === "openai-responses") {
      const found = remoteTool(format, grouped, depth + 1);
      if (found) return found;
    } else if (type !== undefined && !(typeof type === "string" && format.clientTools.test(type)))
      return `The tool type "${String(type).slice(0, 60)}" runs at the provider and is not allowed.`;
    else if (environment !== undefined && environment !== null && object(environment).type !== "local")
      return "A shell in the provider's container is not allowed.";
  }
  return null;
}

/** Items of the Responses API that bring tools along, of whatever type, or that stand for something stored at the provider. */
function inputTools(format: Format, input: unknown): string | null {
  if (format.api !== "openai-responses" || !Array.isArray(input)) return null;
  for (const item of input.map(object)) {
    // What has neither is found by its id alone.
    if (item.type === undefined && item.role === undefined) return "References to stored items are not allowed.";
    const found = remoteTool(format, item.tools, 0);
    if (found) return found;
  }
  return null;
}

/** Content that the provider would fetch by itself, or that refers to something stored there. */
function foreignContent(value: unknown, depth: number): string | null {
  if (value === null || typeof value !== "object") return null;
  if (depth > 24) return "Content is nested too deep.";
  if (Array.isArray(value)) {
    for (const item of value) {
      const found = foreignContent(item, depth + 1);
      if (found) return found;
    }
    return null;
  }
  const item = value as Json;
  const source = object(item.source);
  if (source.type === "url" || source.type === "file")
    return `Content by ${source.type} is not allowed; send it inline.`;
  const image = typeof item.image_url === "string" ? item.image_url : object(item.image_url).url;
  if (typeof image === "string" && !image.startsWith("data:"))
    return "Images by URL are not allowed; send them inline.";
  if (typeof item.file_id === "string" || typeof item.file_url === "string")
    return "Files stored at or fetched by the provider are not allowed.";
  if (item.type === "item_reference") return "References to stored items are not allowed.";
  // A document's source may be made of contents itself; a chat's file has its id one level down.
  for (const key of ["content", "output", "source", "file"]) {
    const found = foreignContent(item[key], depth + 1);
    if (found) return found;
  }
  return null;
}

/** What a dated release adds to its model's id. Anything else (`-pro`, `-fast`) is another model at another price. */
const release = /[-@](\d{8}|\d{4}-\d{2}-\d{2}|latest)$/;

/** Price of a model: exact id, else that of the model whose dated release it is. Pure. */
export function findPrice(prices: PriceTable, provider: string, model: string): ModelPrice | null {
  return prices[`${provider}/${model}`] ?? prices[`${provider}/${model.replace(release, "")}`] ?? null;
}

type Prices = Pick<
  ModelPrice,
  | "inputMicrosPerMTok"
  | "outputMicrosPerMTok"
  | "cacheReadMicrosPerMTok"
  | "cacheWriteMicrosPerMTok"
  | "cacheWrite1hMicrosPerMTok"
>;

/** The prices that hold for a call with so much input. Pure. */
export function tierOf(price: ModelPrice, inputTokens: number): Prices {
  return price.tiers?.findLast(({ fromInputTokens }) => inputTokens >= fromInputTokens) ?? price;
}

/** Cost in micro-dollars, rounded up once. Pure. */
export function costOf(usage: Counted, price: ModelPrice): number {
  const at = tierOf(price, usage.inputTokens + usage.cacheReadTokens + usage.cacheWriteTokens);
  const hour = Math.min(usage.hourWrites ?? 0, usage.cacheWriteTokens);
  const sum =
    usage.inputTokens * at.inputMicrosPerMTok +
    usage.outputTokens * at.outputMicrosPerMTok +
    usage.cacheReadTokens * at.cacheReadMicrosPerMTok +
    (usage.cacheWriteTokens - hour) * at.cacheWriteMicrosPerMTok +
    hour * (at.cacheWrite1hMicrosPerMTok ?? at.cacheWriteMicrosPerMTok);
  return Math.ceil(sum / 1_000_000);
}

/** Whether writes for an hour have a price at every size of input. Pure. */
export const pricesHour = (price: ModelPrice): boolean =>
  [price, ...(price.tiers ?? [])].every((at) => at.cacheWrite1hMicrosPerMTok !== undefined);

/** Upper bound of the input's cost: a token is at least one byte, and each may be of the dearest class. Pure. */
export function inputBound(bytes: number, price: ModelPrice, hour = false): number {
  const at = tierOf(price, bytes);
  return Math.ceil(
    (bytes *
      Math.max(
        at.inputMicrosPerMTok,
        at.cacheReadMicrosPerMTok,
        at.cacheWriteMicrosPerMTok,
        (hour && at.cacheWrite1hMicrosPerMTok) || 0,
      )) /
      1_000_000,
  );
}

/** Cost of output tokens of a call whose input has at most so many tokens. Pure. */
export const outputCost = (tokens: number, price: ModelPrice, inputTokens: number): number =>
  Math.ceil((tokens * tierOf(price, inputTokens).outputMicrosPerMTok) / 1_000_000);

const MAX_TAIL = 1024 * 1024;

/**
 * Reads usage out of a response as it passes, whatever its chunking: only lines that mention usage are parsed, one
 * partial line is carried, bounded. `outputTokens` estimates what has streamed so far, for extending the reservation.
 */
export class Meter {
  readonly #format: Format;
  readonly #stream: boolean;
  #tail: Buffer[] = [];
  #tailBytes = 0;
  #usage: Partial<Counted> = {};
  #overflow = false;
  final = false;
  outputTokens = 0;

  constructor(format: Format, stream: boolean) {
    this.#format = format;
    this.#stream = stream;
  }

  feed(chunk: Buffer): void {
    if (!this.#stream) {
      this.#keep(chunk);
      return;
    }
    let start = 0;
    for (let end = chunk.indexOf(10, start); end >= 0; end = chunk.indexOf(10, start)) {
      const piece = chunk.subarray(start, end);
      const line = this.#tailBytes > 0 ? Buffer.concat([...this.#tail, piece]) : piece;
      this.#tail = [];
      this.#tailBytes = 0;
      if (!this.#overflow) this.#line(line);
      this.#overflow = false;
      start = end + 1;
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start));
  }

  end(): void {
    const rest = Buffer.concat(this.#tail);
    this.#tail = [];
    if (this.#stream) this.#line(rest);
    else if (!this.#overflow) this.#read(rest.toString("utf8"));
  }

  usage(): Usage {
    return Usage.parse(this.#usage);
  }

  /** What is paid for: usage with the writes for an hour apart. */
  counted(): Counted {
    return { ...this.usage(), hourWrites: this.#usage.hourWrites ?? 0 };
  }

  #keep(piece: Buffer): void {
    this.#tailBytes += piece.length;
    if (this.#tailBytes > (this.#stream ? MAX_TAIL : 64 * MAX_TAIL)) {
      this.#overflow = true;
      this.#tail = [];
      return;
    }
    this.#tail.push(Buffer.from(piece));
  }

  #line(line: Buffer): void {
    if (line.length < 6 || line[0] !== 0x64 || !line.subarray(0, 5).equals(dataPrefix)) return;
    // About four bytes a token; an event's envelope is 100 bytes or so, and an event is at least one token.
    this.outputTokens += Math.max(1, Math.ceil((line.length - 110) / 4));
    if (line.includes(usageKey)) this.#read(line.subarray(5).toString("utf8"));
  }

  #read(text: string): void {
    try {
      const told = this.#format.usage(JSON.parse(text) as Json);
      if (!told) return;
      Object.assign(this.#usage, told.usage);
      if (told.final) this.final = true;
    } catch {
      // A line that only looks like usage.
    }
  }
}
const dataPrefix = Buffer.from("data:");
const usageKey = Buffer.from('"usage"');
