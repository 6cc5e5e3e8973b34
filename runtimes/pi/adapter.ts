import { existsSync } from "node:fs";
import { lstat, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { AdapterContext, AdapterSession, CliProcess, RuntimeAdapter } from "@x1agent/agent/adapter";
import { refusalIn, type StopReason, type ToolContent, type ToolKind, type Usage } from "@x1agent/contract";

/**
 * Pi in rpc mode: one long-lived child, JSON lines both ways. Stages: configuration written fresh -> CLI started ->
 * `get_state` answered (ready) -> per turn: prompt, events, `agent_settled`. Facts behind each choice: README.md.
 */
const adapter: RuntimeAdapter = { start };
export default adapter;

/** Longest wait for the CLI to become ready, and for an answer to a command that does not wait for the model. */
const READY_MS = 30_000;
const COMMAND_MS = 15_000;
/** Output of a running tool is passed on at most this often; the whole comes with its end. */
const UPDATE_MS = 250;
/** Text of one event, in UTF-16 units: at most 180 KB in UTF-8, below the contract's limit for a whole event. */
const MAX_TEXT = 60_000;
const MAX_LIVE_OUTPUT = 4_000;

type Json = Record<string, unknown>;
const ignore = () => {};
const object = (value: unknown): Json => (typeof value === "object" && value !== null ? (value as Json) : {});
const list = (value: unknown): Json[] => (Array.isArray(value) ? value.map(object) : []);
const string = (value: unknown): string => (typeof value === "string" ? value : "");
const number = (value: unknown): number => (typeof value === "number" && value > 0 ? Math.round(value) : 0);

async function start(context: AdapterContext): Promise<AdapterSession> {
  const config = await writeConfiguration(context);
  const { provider, model } = splitModel(context, context.model ?? context.manifest.defaultModel);
  const argv = [
    process.execPath,
    entryOf(context.appDir),
    ...["--mode", "rpc", "--provider", provider, "--model", model],
    // Nothing of the checkout is configuration; instruction files arrive as text.
    ...["--no-approve", "--no-extensions", "--no-skills", "--no-prompt-templates", "--no-themes", "--no-context-files"],
    // The project's settings may name another folder even when they are not trusted.
    ...["--session-dir", config.sessions],
    ...(config.instructions ? ["--append-system-prompt", config.instructions] : []),
    ...(context.ask ? ["-e", join(context.appDir, "gate.ts")] : []),
    ...(context.resume ? ["--session", context.resume] : []),
  ];
  const cli = context.spawn(argv, {
    cwd: context.cwd,
    env: {
      ...context.env,
      HOME: context.home,
      PI_CODING_AGENT_DIR: config.directory,
      PI_OFFLINE: "1",
      PI_SKIP_VERSION_CHECK: "1",
      [TOKEN_VARIABLE]: context.jobToken,
    },
  });
  const session = new PiSession(context, cli);
  try {
    await session.ready();
  } catch (cause) {
    await cli.kill({ graceMs: 500 });
    throw cause;
  }
  return session;
}

/** `start.ts` as it was bundled beside the adapter; absent where the CLI alone is installed. */
function entryOf(appDir: string): string {
  const start = join(appDir, "start.mjs");
  return existsSync(start) ? start : join(appDir, "node_modules/@earendil-works/pi-coding-agent/dist/bundle/cli.js");
}

// ---- configuration ----

const TOKEN_VARIABLE = "X1_JOB_TOKEN";
/** Providers of the CLI that speak through the sidecar: the path that its base URL gets on the inference port. */
const basePaths: Record<string, string> = { anthropic: "/anthropic", openai: "/openai/v1" };

/** A model as `id` or `provider/id`; the provider is the manifest's unless the first part names another known one. */
function splitModel(context: AdapterContext, name: string): { provider: string; model: string } {
  const [first, ...rest] = name.split("/");
  if (first !== undefined && rest.length > 0 && Object.hasOwn(basePaths, first))
    return { provider: first, model: rest.join("/") };
  return { provider: context.manifest.provider, model: name };
}

/** Empties the CLI's configuration folder, sessions excepted, and writes ours: what an earlier run left counts for nothing. */
async function writeConfiguration(context: AdapterContext) {
  const directory = join(context.home, ".pi/agent");
  const sessions = join(directory, "sessions");
  for (const path of [join(context.home, ".pi"), directory, sessions]) await realDirectory(path);
  for (const entry of await readdir(directory))
    if (entry !== "sessions") await rm(join(directory, entry), { recursive: true, force: true });
  const providers = Object.entries(basePaths).map(([name, path]) => [
    name,
    { baseUrl: context.inferenceUrl + path, apiKey: `$${TOKEN_VARIABLE}` },
  ]);
  const write = (name: string, value: unknown) =>
    writeFile(join(directory, name), JSON.stringify(value), { mode: 0o600 });
  await write("models.json", { providers: Object.fromEntries(providers) });
  await write("auth.json", {});
  await write("settings.json", {
    defaultProjectTrust: "never",
    // Retries of the vendor's library would be silent; the CLI's own are events.
    retry: { enabled: true, maxRetries: 3, baseDelayMs: 2_000, provider: { maxRetries: 0 } },
  });
  let instructions: string | undefined;
  if (context.instructions) {
    instructions = join(directory, "x1-instructions.md");
    await writeFile(instructions, context.instructions, { mode: 0o600 });
  }
  return { directory, sessions, instructions };
}

/** Makes sure that a path is a directory of its own, not a link that an earlier run left to lead us elsewhere. */
async function realDirectory(path: string): Promise<void> {
  const found = await lstat(path).catch(() => null);
  if (found && !found.isDirectory()) await rm(path, { force: true });
  await mkdir(path, { recursive: true, mode: 0o700 });
}

// ---- the session ----

type Pending = { resolve(data: Json): void; reject(error: Error): void; timer: NodeJS.Timeout };
type Tool = { name: string; input: Json; updatedAt: number };

class PiSession implements AdapterSession {
  readonly #context: AdapterContext;
  readonly #cli: CliProcess;
  readonly #pending = new Map<string, Pending>();
  readonly #tools = new Map<string, Tool>();
  readonly #questions = new Set<string>();
  #commands = 0;
  #messages = 0;
  #messageId = "";
  #turn = freshTurn();

  /** What to do with each message of the CLI. */
  readonly #handlers: Readonly<Record<string, (message: Json) => void>> = {
    response: (message) => this.#onResponse(message),
    message_start: (message) => this.#onMessageStart(object(message.message)),
    message_update: (message) => this.#onMessageUpdate(object(message.assistantMessageEvent)),
    message_end: (message) => this.#onMessageEnd(object(message.message)),
    tool_execution_start: (message) => this.#onToolStart(message),
    tool_execution_update: (message) => this.#onToolUpdate(message),
    tool_execution_end: (message) => this.#onToolEnd(message),
    auto_retry_start: (message) => this.#onRetry(message),
    agent_settled: () => this.#onSettled(),
    extension_ui_request: (message) => this.#onQuestion(message),
    extension_error: (message) => this.#onExtensionError(message),
    // Said again by the events above, or bookkeeping of the CLI.
    agent_start: ignore,
    agent_end: ignore,
    turn_start: ignore,
    turn_end: ignore,
    queue_update: ignore,
    auto_retry_end: ignore,
    entry_appended: ignore,
  };

  constructor(context: AdapterContext, cli: CliProcess) {
    this.#context = context;
    this.#cli = cli;
    cli.onLine((line) => this.#onLine(line));
    cli.onOverflow((bytes) =>
      context.emit({
        type: "error",
        payload: { code: "line_too_long", detail: `A line of ${bytes} bytes was dropped.` },
      }),
    );
    cli.onStderr((text) => context.log(text));
    void cli.exited.then(({ exitCode, signal }) => {
      for (const waiting of this.#pending.values()) {
        clearTimeout(waiting.timer);
        waiting.reject(new Error(`The CLI ended (${signal ?? `exit code ${exitCode}`}) before it answered.`));
      }
      this.#pending.clear();
    });
  }

  /** Resolves when the CLI takes prompts; says so as `session.init`. */
  async ready(): Promise<void> {
    const state = await this.#command({ type: "get_state" }, READY_MS);
    const { manifest, resume, cwd } = this.#context;
    const sessionId = string(state.sessionId);
    if (!sessionId) throw new Error("The CLI started without a session id.");
    const model = string(object(state.model).id);
    if (!model) throw new Error("The CLI does not know the model: name one of its provider's models.");
    this.#context.emit({
      type: "session.init",
      payload: {
        sessionId,
        runtime: manifest.name,
        version: manifest.version,
        model,
        resumed: resume !== undefined,
        cwd,
      },
    });
  }

  async prompt(message: { content: string }): Promise<void> {
    this.#turn = freshTurn();
    await this.#command({ type: "prompt", message: message.content });
  }

  async steer(message: { content: string }): Promise<void> {
    // Unlike `steer`, this is not left in a queue when the run has ended in this instant: it then starts one.
    await this.#command({ type: "prompt", message: message.content, streamingBehavior: "steer" });
  }

  async interrupt(): Promise<void> {
    this.#turn.interrupted = true;
    // What is queued would run after the abort as if nobody had interrupted.
    await this.#command({ type: "clear_queue" });
    await this.#abort();
  }

  /** The CLI answers an abort only once it is idle, and a tool that waits for its question keeps it busy: so that goes too. */
  #abort(timeoutMs = COMMAND_MS): Promise<Json> {
    const aborted = this.#command({ type: "abort" }, timeoutMs);
    for (const requestId of this.#questions) {
      this.#send({ type: "extension_ui_response", id: requestId, cancelled: true });
      this.#context.emit({ type: "permission.resolved", payload: { requestId, outcome: "cancelled" } });
    }
    this.#questions.clear();
    return aborted;
  }

  async answer(answer: { requestId: string; optionId?: string }): Promise<void> {
    if (!this.#questions.delete(answer.requestId)) throw new Error("No such open question.");
    this.#send({ type: "extension_ui_response", id: answer.requestId, confirmed: answer.optionId === "allow" });
  }

  async setModel(name: string): Promise<void> {
    const { provider, model } = splitModel(this.#context, name);
    await this.#command({ type: "set_model", provider, modelId: model });
  }

  async close(): Promise<void> {
    // Ended by end of input the CLI would leave a running command behind, so: abort, then the signal.
    await this.#abort(2_000).catch(() => {});
    await this.#cli.kill({ signal: "SIGTERM", graceMs: 2_000 });
  }

  #send(message: Json): void {
    if (!this.#cli.writeLine(JSON.stringify(message))) throw new Error("The CLI no longer takes input.");
  }

  #command(command: Json, timeoutMs = COMMAND_MS): Promise<Json> {
    this.#commands += 1;
    const id = `x1-${this.#commands}`;
    const { promise, resolve, reject } = Promise.withResolvers<Json>();
    const timer = setTimeout(() => {
      this.#pending.delete(id);
      reject(new Error(`The CLI did not answer "${command.type}" within ${timeoutMs / 1_000} s.`));
    }, timeoutMs);
    this.#pending.set(id, { resolve, reject, timer });
    try {
      this.#send({ id, ...command });
    } catch (cause) {
      clearTimeout(timer);
      this.#pending.delete(id);
      reject(cause as Error);
    }
    return promise;
  }

  #onLine(line: string): void {
    let message: Json;
    try {
      message = object(JSON.parse(line));
    } catch {
      this.#context.log(`not JSON: ${line.slice(0, 500)}`);
      return;
    }
    const handle = this.#handlers[string(message.type)];
    if (handle) handle(message);
    else
      this.#context.emit({
        type: "runtime.raw",
        payload: { runtime: this.#context.manifest.name, raw: boundInput(message) },
      });
  }

  #onResponse(message: Json): void {
    const waiting = this.#pending.get(string(message.id));
    if (!waiting) return;
    this.#pending.delete(string(message.id));
    clearTimeout(waiting.timer);
    if (message.success === true) waiting.resolve(object(message.data));
    else waiting.reject(new Error(string(message.error) || `The CLI refused "${string(message.command)}".`));
  }

  #onMessageStart(message: Json): void {
    if (message.role !== "assistant") return;
    this.#messages += 1;
    this.#messageId = string(message.responseId) || `message-${this.#messages}`;
  }

  #onMessageUpdate(update: Json): void {
    const delta = string(update.delta);
    if (!delta) return;
    const payload = { messageId: this.#partId(update.contentIndex), delta };
    if (update.type === "text_delta") this.#context.emit({ type: "agent.text", payload });
    else if (update.type === "thinking_delta") this.#context.emit({ type: "agent.thought", payload });
  }

  /** The finished message is the record: whole texts, tokens, and whether the model call failed. */
  #onMessageEnd(message: Json): void {
    if (message.role !== "assistant") return;
    for (const [index, part] of list(message.content).entries()) {
      const messageId = this.#partId(index);
      if (part.type === "text" && part.text)
        this.#context.emit({ type: "agent.text", payload: { messageId, text: clip(string(part.text)) } });
      else if (part.type === "thinking" && part.thinking)
        this.#context.emit({ type: "agent.thought", payload: { messageId, text: clip(string(part.thinking)) } });
    }
    const usage = usageOf(message.usage);
    if (Object.values(usage).some((tokens) => tokens > 0)) {
      addUsage(this.#turn.usage, usage);
      this.#context.emit({ type: "usage.reported", payload: { model: string(message.model), usage } });
    }
    this.#turn.stop = string(message.stopReason);
    this.#turn.rawStop = string(message.rawStopReason);
    this.#turn.error = string(message.errorMessage);
  }

  #partId(index: unknown): string {
    return `${this.#messageId}:${typeof index === "number" ? index : 0}`;
  }

  #onToolStart(message: Json): void {
    const toolCallId = string(message.toolCallId);
    const tool = { name: string(message.toolName), input: object(message.args), updatedAt: 0 };
    this.#tools.set(toolCallId, tool);
    this.#context.emit({
      type: "tool.started",
      payload: { toolCallId, ...describe(tool), status: "in_progress", rawInput: boundInput(tool.input) },
    });
  }

  #onToolUpdate(message: Json): void {
    const toolCallId = string(message.toolCallId);
    const tool = this.#tools.get(toolCallId);
    const text = textOf(object(message.partialResult).content);
    const now = performance.now();
    if (!tool || !text || now - tool.updatedAt < UPDATE_MS) return;
    tool.updatedAt = now;
    this.#context.emit({
      type: "tool.updated",
      payload: { toolCallId, status: "in_progress", content: [{ type: "text", text: text.slice(-MAX_LIVE_OUTPUT) }] },
    });
  }

  #onToolEnd(message: Json): void {
    const toolCallId = string(message.toolCallId);
    const tool = this.#tools.get(toolCallId) ?? { name: string(message.toolName), input: {}, updatedAt: 0 };
    this.#tools.delete(toolCallId);
    const text = textOf(object(message.result).content);
    const failed = message.isError === true;
    const exitCode = exitCodeOf(tool.name, text, failed);
    this.#context.emit({
      type: "tool.ended",
      payload: {
        toolCallId,
        ...describe(tool),
        // A command that ran to its end is a completed call, whatever it returned.
        status: failed && exitCode === null ? "failed" : "completed",
        content: contentOf(tool, text, failed),
        ...(tool.name === "bash" ? { exitCode } : {}),
        ...(text.length > MAX_TEXT ? { truncated: true } : {}),
      },
    });
  }

  #onRetry(message: Json): void {
    const detail = string(message.errorMessage);
    const status = statusOf(detail);
    this.#context.emit({
      type: "retry",
      payload: {
        attempt: Math.max(1, number(message.attempt)),
        maxAttempts: number(message.maxAttempts),
        delayMs: number(message.delayMs),
        detail: detail.slice(0, 1_000),
        ...(status === undefined ? {} : { status }),
      },
    });
  }

  #onQuestion(message: Json): void {
    const requestId = string(message.id);
    let about: Json = {};
    let input: unknown;
    try {
      about = object(JSON.parse(string(message.title)));
      input = JSON.parse(string(message.message));
    } catch {
      // Not our gate's: handled below.
    }
    if (message.method !== "confirm" || about.x1 !== "approval") {
      const dialog = ["select", "confirm", "input", "editor"].includes(string(message.method));
      if (dialog) this.#send({ type: "extension_ui_response", id: requestId, cancelled: true });
      return;
    }
    const tool = { name: string(about.toolName), input: object(input), updatedAt: 0 };
    const { title, kind } = describe(tool);
    this.#questions.add(requestId);
    this.#context.emit({
      type: "permission.requested",
      payload: {
        requestId,
        title,
        kind,
        toolCallId: string(about.toolCallId),
        rawInput: boundInput(tool.input),
        options: [
          { optionId: "allow", name: "Allow", kind: "allow_once" },
          { optionId: "reject", name: "Refuse", kind: "reject_once" },
        ],
        freeText: false,
      },
    });
  }

  #onExtensionError(message: Json): void {
    this.#context.emit({ type: "error", payload: { code: "extension_error", detail: clip(string(message.error)) } });
  }

  #onSettled(): void {
    const { interrupted, stop, rawStop, error, usage } = this.#turn;
    if (interrupted || stop === "aborted") {
      this.#context.turnSettled({ stopReason: "cancelled", usage });
    } else if (stop === "error") {
      const code = refusalIn(error) ?? "upstream_failed";
      const status = statusOf(error);
      const detail = error.slice(0, 1_000) || "The model call failed.";
      this.#context.emit({ type: "error", payload: { code, detail, ...(status === undefined ? {} : { status }) } });
      const stopReason = code === "budget_exceeded" ? "budget" : "error";
      this.#context.turnSettled({ stopReason, errorCode: code, detail, usage });
    } else {
      const stopReason: StopReason = rawStop === "refusal" ? "refusal" : stop === "length" ? "max_tokens" : "end_turn";
      this.#context.turnSettled({ stopReason, usage });
    }
  }
}

// ---- words of the CLI in words of the contract ----

const noUsage = (): Usage => ({ inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0 });
const freshTurn = () => ({ interrupted: false, stop: "", rawStop: "", error: "", usage: noUsage() });

function usageOf(value: unknown): Usage {
  const { input, output, cacheRead, cacheWrite } = object(value);
  return {
    inputTokens: number(input),
    outputTokens: number(output),
    cacheReadTokens: number(cacheRead),
    cacheWriteTokens: number(cacheWrite),
  };
}

function addUsage(sum: Usage, more: Usage): void {
  for (const key of Object.keys(sum) as (keyof Usage)[]) sum[key] += more[key];
}

const kinds: Record<string, ToolKind> = {
  bash: "execute",
  read: "read",
  edit: "edit",
  write: "edit",
  grep: "search",
  find: "search",
  ls: "search",
};

function describe(tool: Tool) {
  const path = string(tool.input.path);
  const about = tool.name === "bash" ? string(tool.input.command) : `${tool.name} ${path}`.trim();
  return {
    title: about.split("\n", 1)[0]?.slice(0, 500) || tool.name,
    kind: kinds[tool.name] ?? ("other" as const),
    ...(path ? { locations: [{ path: path.slice(0, 2_000) }] } : {}),
  };
}

/** The shell tool has no field for the exit code: success means 0, a failure says it in its last line, or does not. */
function exitCodeOf(tool: string, text: string, failed: boolean): number | null {
  if (tool !== "bash") return null;
  if (!failed) return 0;
  const code = /Command exited with code (\d+)\s*$/.exec(text)?.[1];
  return code === undefined ? null : Number(code);
}

function contentOf(tool: Tool, text: string, failed: boolean): ToolContent[] {
  const path = string(tool.input.path).slice(0, 2_000);
  if (!failed && tool.name === "edit" && path)
    return list(tool.input.edits)
      .slice(0, 20)
      .map((edit) => ({
        type: "diff",
        path,
        oldText: string(edit.oldText).slice(0, MAX_TEXT / 40),
        newText: string(edit.newText).slice(0, MAX_TEXT / 40),
      }));
  if (!failed && tool.name === "write" && path)
    return [{ type: "diff", path, oldText: null, newText: clip(string(tool.input.content)) }];
  return text ? [{ type: "text", text: clip(text) }] : [];
}

const textOf = (content: unknown): string =>
  list(content)
    .map((part) => string(part.text))
    .join("");

const clip = (text: string): string => (text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}\n[cut]` : text);

/** Raw data as it came, unless it is too large for an event: then its beginning as text. */
function boundInput(value: Json): unknown {
  const text = JSON.stringify(value);
  return text.length > MAX_TEXT / 2 ? { cut: text.slice(0, MAX_TEXT / 2) } : value;
}

/** Model errors begin with the HTTP status: `429 {json body}`. */
function statusOf(error: string): number | undefined {
  const status = /^(\d{3})\b/.exec(error)?.[1];
  return status === undefined ? undefined : Number(status);
}
