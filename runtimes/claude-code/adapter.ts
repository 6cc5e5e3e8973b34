import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { lstat, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { AdapterContext, AdapterSession, CliProcess, RuntimeAdapter } from "@x1agent/agent/adapter";
import { refusalIn, type StopReason, type ToolContent, type ToolKind, type Usage } from "@x1agent/contract";

/**
 * Claude Code over stream-json: one process for many turns; messages and the control protocol share standard input and
 * output. Stages: configuration written fresh -> CLI started -> `initialize` answered (ready) -> per turn: user message,
 * events, `result`. Facts behind each choice: README.md.
 */
const adapter: RuntimeAdapter = { start };
export default adapter;

const READY_MS = 30_000;
const CONTROL_MS = 15_000;
/** How long an orderly end may take before it is made one. */
const CLOSE_MS = 3_000;
/** Text of one event, in UTF-16 units: at most 180 KB in UTF-8, below the contract's limit for a whole event. */
const MAX_TEXT = 60_000;

/**
 * What the model is offered. Left out on purpose: tools that wake the CLI up later (a turn must end when it ends), that
 * leave the workspace (web), and that move the work tree away from where it is collected.
 */
const tools = [
  "Agent",
  "Bash",
  "Edit",
  "Glob",
  "Grep",
  "NotebookEdit",
  "Read",
  "Write",
  "TaskCreate",
  "TaskGet",
  "TaskList",
  "TaskUpdate",
];
const questionTool = "AskUserQuestion";

type Json = Record<string, unknown>;
const object = (value: unknown): Json => (typeof value === "object" && value !== null ? (value as Json) : {});
const list = (value: unknown): Json[] => (Array.isArray(value) ? value.map(object) : []);
const string = (value: unknown): string => (typeof value === "string" ? value : "");
const number = (value: unknown): number => (typeof value === "number" && value > 0 ? Math.round(value) : 0);
const ignore = () => {};

async function start(context: AdapterContext): Promise<AdapterSession> {
  const directory = await writeConfiguration(context);
  const sessionId = context.resume ?? randomUUID();
  const argv = [
    binaryOf(context.appDir),
    ...["-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"],
    ...["--include-partial-messages", "--replay-user-messages", "--permission-prompt-tool", "stdio"],
    ...["--permission-mode", context.ask ? "default" : "bypassPermissions"],
    ...["--model", context.model ?? context.manifest.defaultModel],
    ...["--tools", [...tools, ...(context.ask ? [questionTool] : [])].join(",")],
    // Nothing of the checkout is configuration: its settings, hooks and MCP servers do not count.
    ...["--setting-sources", "user", "--strict-mcp-config"],
    ...(context.resume ? ["--resume", sessionId] : ["--session-id", sessionId]),
  ];
  const cli = context.spawn(argv, {
    cwd: context.cwd,
    env: {
      ...context.env,
      HOME: context.home,
      CLAUDE_CONFIG_DIR: directory,
      ANTHROPIC_BASE_URL: `${context.inferenceUrl}/anthropic`,
      ANTHROPIC_API_KEY: context.jobToken,
      // The only switch that keeps it from calling home; the finer ones do not.
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      // A task in the background would start a turn of its own after ours has ended.
      CLAUDE_CODE_DISABLE_BACKGROUND_TASKS: "1",
      CLAUDE_CODE_MAX_RETRIES: "4",
      DISABLE_AUTOUPDATER: "1",
    },
  });
  const session = new ClaudeSession(context, cli, sessionId);
  try {
    await session.ready();
  } catch (cause) {
    await cli.kill({ graceMs: 500 });
    throw cause;
  }
  return session;
}

/** The native program lies in the platform's package; its installation script is never run. */
function binaryOf(appDir: string): string {
  const platform = `${process.platform}-${process.arch}`;
  const scope = join(appDir, "node_modules/@anthropic-ai");
  const found = [platform, `${platform}-musl`]
    .map((name) => join(scope, `claude-code-${name}`, "claude"))
    .find((path) => existsSync(path));
  if (!found) throw new Error(`The CLI has no program for ${platform}: install the runtime again on this machine.`);
  return found;
}

/** Empties the CLI's configuration folder, sessions excepted: what an earlier run left counts for nothing. */
async function writeConfiguration(context: AdapterContext): Promise<string> {
  const directory = join(context.home, ".claude");
  for (const path of [directory, join(directory, "projects")]) {
    // Never through a link that an earlier run left to lead us elsewhere.
    const found = await lstat(path).catch(() => null);
    if (found && !found.isDirectory()) await rm(path, { force: true });
    await mkdir(path, { recursive: true, mode: 0o700 });
  }
  for (const entry of await readdir(directory))
    if (entry !== "projects") await rm(join(directory, entry), { recursive: true, force: true });
  await rm(join(context.home, ".claude.json"), { recursive: true, force: true });
  await writeFile(join(directory, "settings.json"), "{}", { mode: 0o600 });
  return directory;
}

// ---- the session ----

type Pending = { resolve(data: Json): void; reject(error: Error): void; timer: NodeJS.Timeout };
type Tool = { name: string; input: Json };
/** A tool call that waits for a person; `open` are the questions of the contract that it became. */
type Question = { input: Json; open: Map<string, string>; answers: Record<string, string> };

class ClaudeSession implements AdapterSession {
  readonly #context: AdapterContext;
  readonly #cli: CliProcess;
  readonly #sessionId: string;
  readonly #pending = new Map<string, Pending>();
  readonly #tools = new Map<string, Tool>();
  readonly #plan = new Plan();
  /** By the CLI's request id. */
  readonly #questions = new Map<string, Question>();
  /** Steering messages that the model has not seen yet: the turn is not over before. */
  readonly #undelivered = new Set<string>();
  /** Finished blocks seen of each message, to number them as the stream does. */
  #blocks = { messageId: "", count: 0 };
  #streaming = { messageId: "", model: "", usage: {} as Json };
  #busy = false;
  #interrupted = false;

  /** What to do with each message of the CLI. */
  readonly #handlers: Readonly<Record<string, (message: Json) => void>> = {
    control_response: (message) => this.#onControlResponse(object(message.response)),
    control_request: (message) => this.#onControlRequest(string(message.request_id), object(message.request)),
    control_cancel_request: (message) => this.#cancelQuestion(string(message.request_id)),
    stream_event: (message) => this.#onStreamEvent(object(message.event), message.parent_tool_use_id),
    assistant: (message) => this.#onAssistant(object(message.message), string(message.parent_tool_use_id)),
    user: (message) => this.#onUser(message),
    result: (message) => this.#onResult(message),
    command_lifecycle: (message) => this.#onLifecycle(message),
    system: (message) => this.#onSystem(message),
    keep_alive: ignore,
  };

  constructor(context: AdapterContext, cli: CliProcess, sessionId: string) {
    this.#context = context;
    this.#cli = cli;
    this.#sessionId = sessionId;
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

  /** Resolves when the CLI takes messages; says so as `session.init`. Instructions go in here, where no size limit of arguments is. */
  async ready(): Promise<void> {
    const { instructions, manifest, resume, cwd, model } = this.#context;
    await this.#control(
      { subtype: "initialize", ...(instructions ? { appendSystemPrompt: instructions } : {}) },
      READY_MS,
    );
    this.#context.emit({
      type: "session.init",
      payload: {
        sessionId: this.#sessionId,
        runtime: manifest.name,
        version: manifest.version,
        model: model ?? manifest.defaultModel,
        resumed: resume !== undefined,
        cwd,
      },
    });
  }

  async prompt(message: { content: string }): Promise<void> {
    this.#busy = true;
    this.#interrupted = false;
    this.#say(message.content, randomUUID());
  }

  async steer(message: { content: string }): Promise<void> {
    const uuid = randomUUID();
    this.#undelivered.add(uuid);
    this.#say(message.content, uuid);
  }

  async interrupt(): Promise<void> {
    this.#interrupted = true;
    // What is queued would start a turn of its own as if nobody had interrupted.
    for (const uuid of this.#undelivered)
      await this.#control({ subtype: "cancel_async_message", message_uuid: uuid }).catch(() => {});
    this.#undelivered.clear();
    await this.#control({ subtype: "interrupt" });
  }

  async answer(answer: { requestId: string; optionId?: string; text?: string }): Promise<void> {
    for (const [cliId, question] of this.#questions) {
      const asked = question.open.get(answer.requestId);
      if (asked === undefined) continue;
      if (asked === "") {
        this.#questions.delete(cliId);
        this.#decide(cliId, question.input, answer.optionId === "allow");
        return;
      }
      question.open.delete(answer.requestId);
      question.answers[asked] = answer.text ?? answer.optionId ?? "";
      if (question.open.size > 0) return;
      this.#questions.delete(cliId);
      this.#decide(cliId, { ...question.input, answers: question.answers }, true);
      return;
    }
    throw new Error("No such open question.");
  }

  async setModel(model: string): Promise<void> {
    await this.#control({ subtype: "set_model", model });
  }

  async close(): Promise<void> {
    // A signal would leave a running command behind; an interrupt ends it, and the end of input ends the CLI in order.
    if (this.#busy) await this.#control({ subtype: "interrupt" }, CLOSE_MS).catch(() => {});
    this.#cli.endInput();
    await Promise.race([this.#cli.exited, delay(CLOSE_MS, undefined, { ref: false })]);
    await this.#cli.kill({ graceMs: 1_000 });
  }

  #write(message: Json): void {
    if (!this.#cli.writeLine(JSON.stringify(message))) throw new Error("The CLI no longer takes input.");
  }

  #say(text: string, uuid: string): void {
    this.#write({ type: "user", message: { role: "user", content: [{ type: "text", text }] }, uuid });
  }

  #control(request: Json, timeoutMs = CONTROL_MS): Promise<Json> {
    const id = randomUUID();
    const { promise, resolve, reject } = Promise.withResolvers<Json>();
    const timer = setTimeout(() => {
      this.#pending.delete(id);
      reject(new Error(`The CLI did not answer "${request.subtype}" within ${timeoutMs / 1_000} s.`));
    }, timeoutMs);
    this.#pending.set(id, { resolve, reject, timer });
    try {
      this.#write({ type: "control_request", request_id: id, request });
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
    else this.#raw(message);
  }

  #raw(message: Json): void {
    this.#context.emit({ type: "runtime.raw", payload: { runtime: this.#context.manifest.name, raw: bound(message) } });
  }

  #onControlResponse(response: Json): void {
    const id = string(response.request_id);
    const waiting = this.#pending.get(id);
    // Our own answers are echoed here too; nobody waits for them.
    if (!waiting) return;
    this.#pending.delete(id);
    clearTimeout(waiting.timer);
    if (response.subtype === "success") waiting.resolve(object(response.response));
    else waiting.reject(new Error(string(response.error) || "The CLI refused the request."));
  }

  // questions

  #onControlRequest(id: string, request: Json): void {
    if (request.subtype !== "can_use_tool") {
      const error = `Unsupported request: ${string(request.subtype)}`;
      this.#write({ type: "control_response", response: { subtype: "error", request_id: id, error } });
      return;
    }
    const tool = { name: string(request.tool_name), input: object(request.input) };
    if (!this.#context.ask) {
      this.#decide(id, tool.input, true);
      return;
    }
    const toolCallId = string(request.tool_use_id);
    const open = new Map<string, string>();
    this.#questions.set(id, { input: tool.input, open, answers: {} });
    const asked = tool.name === questionTool ? list(tool.input.questions) : [];
    for (const [index, question] of asked.entries()) {
      const requestId = `${id}:${index}`;
      open.set(requestId, string(question.question));
      this.#context.emit({
        type: "permission.requested",
        payload: {
          requestId,
          title: string(question.question).slice(0, 2_000),
          ...(toolCallId ? { toolCallId } : {}),
          options: list(question.options)
            .slice(0, 20)
            .map(({ label }) => ({
              optionId: string(label).slice(0, 200),
              name: string(label).slice(0, 2_000),
              kind: "answer",
            })),
          freeText: true,
        },
      });
    }
    if (asked.length > 0) return;
    open.set(id, "");
    const { title, kind } = describe(tool);
    this.#context.emit({
      type: "permission.requested",
      payload: {
        requestId: id,
        title,
        kind,
        ...(toolCallId ? { toolCallId } : {}),
        rawInput: bound(tool.input),
        options: [
          { optionId: "allow", name: "Allow", kind: "allow_once" },
          { optionId: "reject", name: "Refuse", kind: "reject_once" },
        ],
      },
    });
  }

  #decide(id: string, input: Json, allowed: boolean): void {
    const response = allowed
      ? { behavior: "allow", updatedInput: input }
      : { behavior: "deny", message: "A person refused this call. Do something else or stop." };
    this.#write({ type: "control_response", response: { subtype: "success", request_id: id, response } });
  }

  #cancelQuestion(id: string): void {
    for (const requestId of this.#questions.get(id)?.open.keys() ?? [])
      this.#context.emit({ type: "permission.resolved", payload: { requestId, outcome: "cancelled" } });
    this.#questions.delete(id);
  }

  // messages

  #onStreamEvent(event: Json, parent: unknown): void {
    // A subagent's words are its caller's business: they come as a whole, with the tool call they belong to.
    if (parent) return;
    if (event.type === "message_start") {
      const message = object(event.message);
      this.#streaming = { messageId: string(message.id), model: string(message.model), usage: object(message.usage) };
    } else if (event.type === "content_block_delta") {
      const { type, text, thinking } = object(event.delta);
      const messageId = `${this.#streaming.messageId}:${typeof event.index === "number" ? event.index : 0}`;
      if (type === "text_delta" && text)
        this.#context.emit({ type: "agent.text", payload: { messageId, delta: string(text) } });
      else if (type === "thinking_delta" && thinking)
        this.#context.emit({ type: "agent.thought", payload: { messageId, delta: string(thinking) } });
    } else if (event.type === "message_delta") {
      const { model, usage } = this.#streaming;
      const total = usageOf({ ...usage, ...object(event.usage) });
      this.#context.emit({ type: "usage.reported", payload: { model, usage: total } });
    }
  }

  /** One finished block of a message per event; several share the message's id. */
  #onAssistant(message: Json, parent: string): void {
    const id = string(message.id) || "message";
    if (!parent && id !== this.#blocks.messageId) this.#blocks = { messageId: id, count: 0 };
    for (const block of list(message.content)) {
      const messageId = `${id}:${parent ? 0 : this.#blocks.count}`;
      if (!parent) this.#blocks.count += 1;
      if (block.type === "tool_use") this.#onToolUse(block, parent);
      else if (block.type === "text" && block.text) this.#onText(message, messageId, string(block.text), parent);
      else if (block.type === "thinking" && block.thinking && !parent)
        this.#context.emit({ type: "agent.thought", payload: { messageId, text: clip(string(block.thinking)) } });
    }
  }

  #onText(message: Json, messageId: string, text: string, parent: string): void {
    // The CLI's own words about a failed call, dressed as the model's: the result says them again, as an error.
    if (message.model === "<synthetic>") return;
    if (!parent) this.#context.emit({ type: "agent.text", payload: { messageId, text: clip(text) } });
    else
      this.#context.emit({
        type: "tool.updated",
        payload: { toolCallId: parent, status: "in_progress", content: [{ type: "text", text: clip(text) }] },
      });
  }

  #onToolUse(block: Json, parent: string): void {
    const toolCallId = string(block.id);
    const tool = { name: string(block.name), input: object(block.input) };
    this.#tools.set(toolCallId, tool);
    this.#context.emit({
      type: "tool.started",
      payload: {
        toolCallId,
        ...describe(tool),
        status: "in_progress",
        rawInput: bound(tool.input),
        ...(parent ? { parentToolCallId: parent } : {}),
      },
    });
  }

  #onUser(message: Json): void {
    if (message.isReplay === true) this.#undelivered.delete(string(message.uuid));
    for (const block of list(object(message.message).content))
      if (block.type === "tool_result") this.#onToolResult(block, message.tool_use_result);
  }

  #onToolResult(block: Json, details: unknown): void {
    const toolCallId = string(block.tool_use_id);
    const tool = this.#tools.get(toolCallId);
    if (!tool) return;
    this.#tools.delete(toolCallId);
    const text = textOf(block.content);
    const failed = block.is_error === true;
    if (!failed && this.#plan.take(tool, object(details)))
      this.#context.emit({ type: "plan.updated", payload: { entries: this.#plan.entries() } });
    const exitCode = exitCodeOf(tool.name, text, failed, object(details));
    this.#context.emit({
      type: "tool.ended",
      payload: {
        toolCallId,
        ...describe(tool),
        // A command that ran to its end is a completed call, whatever it returned.
        status: failed && exitCode === null ? "failed" : "completed",
        content: contentOf(tool, text, failed),
        ...(tool.name === "Bash" ? { exitCode } : {}),
        ...(text.length > MAX_TEXT ? { truncated: true } : {}),
      },
    });
  }

  #onLifecycle(message: Json): void {
    if (message.state === "completed" || message.state === "cancelled")
      this.#undelivered.delete(string(message.command_uuid));
  }

  #onSystem(message: Json): void {
    if (message.subtype === "api_retry") {
      const status = number(message.error_status);
      this.#context.emit({
        type: "retry",
        payload: {
          attempt: Math.max(1, number(message.attempt)),
          maxAttempts: number(message.max_retries),
          delayMs: number(message.retry_delay_ms),
          detail: string(message.error).slice(0, 1_000),
          ...(status ? { status } : {}),
        },
      });
    } else if (!quietSystem.has(string(message.subtype))) this.#raw(message);
  }

  #onResult(message: Json): void {
    // A steering message that came too late for this turn becomes one of its own at once: that one ends ours.
    if (!this.#busy || (this.#undelivered.size > 0 && !this.#interrupted)) return;
    this.#busy = false;
    for (const id of [...this.#questions.keys()]) this.#cancelQuestion(id);
    const usage = usageOf(message.usage);
    const stopReason = this.#interrupted ? "cancelled" : stopReasonOf(message);
    if (stopReason === "error") this.#onFailed(message, usage);
    else this.#context.turnSettled({ stopReason, usage });
  }

  #onFailed(result: Json, usage: Usage): void {
    const errors = Array.isArray(result.errors) ? result.errors.map(String) : [];
    const detail = [string(result.result), ...errors].filter(Boolean).join("\n").slice(0, 1_000) || "The turn failed.";
    const status = number(result.api_error_status);
    const code = refusalIn(detail) ?? (status || result.subtype === "success" ? "upstream_failed" : "runtime_error");
    this.#context.emit({ type: "error", payload: { code, detail, ...(status ? { status } : {}) } });
    const stopReason = code === "budget_exceeded" ? "budget" : "error";
    this.#context.turnSettled({ stopReason, errorCode: code, detail, usage });
  }
}

// ---- words of the CLI in words of the contract ----

/** Said by other events, or of no use outside the CLI. */
const quietSystem = new Set(["init", "status", "thinking_tokens", "task_started", "task_updated", "task_progress"]);

function stopReasonOf(result: Json): StopReason {
  if (result.subtype === "error_max_turns") return "max_turns";
  if (result.subtype === "error_max_budget_usd") return "budget";
  // A model call that failed for good is called a success with this flag.
  if (result.is_error === true) return "error";
  if (result.stop_reason === "max_tokens") return "max_tokens";
  return result.stop_reason === "refusal" ? "refusal" : "end_turn";
}

function usageOf(value: unknown): Usage {
  const usage = object(value);
  return {
    inputTokens: number(usage.input_tokens),
    outputTokens: number(usage.output_tokens),
    cacheReadTokens: number(usage.cache_read_input_tokens),
    cacheWriteTokens: number(usage.cache_creation_input_tokens),
  };
}

const kinds: Record<string, ToolKind> = {
  Bash: "execute",
  Read: "read",
  Edit: "edit",
  Write: "edit",
  NotebookEdit: "edit",
  Glob: "search",
  Grep: "search",
  Agent: "think",
  WebFetch: "fetch",
};

function describe(tool: Tool) {
  const path = string(tool.input.file_path) || string(tool.input.notebook_path) || string(tool.input.path);
  const about =
    string(tool.input.command) ||
    `${tool.name} ${path || string(tool.input.pattern) || string(tool.input.description)}`;
  return {
    title: about.trim().split("\n", 1)[0]?.slice(0, 500) || tool.name,
    kind: kinds[tool.name] ?? ("other" as const),
    ...(path ? { locations: [{ path: path.slice(0, 2_000) }] } : {}),
  };
}

/** The shell tool has no field for the exit code: success means 0, a failure says it in its first line, or does not. */
function exitCodeOf(tool: string, text: string, failed: boolean, details: Json): number | null {
  if (tool !== "Bash" || details.interrupted === true || details.backgroundTaskId) return null;
  if (!failed) return 0;
  const code = /^Exit code (\d+)/.exec(text)?.[1];
  return code === undefined ? null : Number(code);
}

function contentOf(tool: Tool, text: string, failed: boolean): ToolContent[] {
  const path = string(tool.input.file_path).slice(0, 2_000);
  if (!failed && path && tool.name === "Edit") {
    const [oldText, newText] = [
      clip(string(tool.input.old_string), MAX_TEXT / 2),
      clip(string(tool.input.new_string), MAX_TEXT / 2),
    ];
    return [{ type: "diff", path, oldText, newText }];
  }
  if (!failed && path && tool.name === "Write")
    return [{ type: "diff", path, oldText: null, newText: clip(string(tool.input.content)) }];
  return text ? [{ type: "text", text: clip(text) }] : [];
}

const textOf = (content: unknown): string =>
  typeof content === "string"
    ? content
    : list(content)
        .map((part) => string(part.text))
        .join("");

type PlanEntry = { content: string; status: "pending" | "in_progress" | "completed" };
const planStatus = (value: unknown): PlanEntry["status"] =>
  value === "in_progress" || value === "completed" ? value : "pending";
/** Of the contract: entries of a plan, and characters of one. */
const MAX_ENTRIES = 200;
const MAX_ENTRY = 2_000;

/** The model's list of tasks, put together from calls that each change one; `TodoWrite` says all at once. */
class Plan {
  readonly #tasks = new Map<string, PlanEntry>();

  /** Takes in a call that succeeded; whether the plan is another now. */
  take(tool: { name: string; input: Json }, details: Json): boolean {
    const { name, input } = tool;
    if (name === "TodoWrite") {
      this.#tasks.clear();
      for (const [index, todo] of list(input.todos).entries())
        this.#tasks.set(String(index), { content: string(todo.content), status: planStatus(todo.status) });
      return true;
    }
    if (name === "TaskCreate") {
      const task = object(details.task);
      const id = string(task.id);
      if (!id) return false;
      this.#tasks.set(id, { content: string(task.subject) || string(input.subject), status: "pending" });
      return true;
    }
    const id = string(input.taskId);
    const known = name === "TaskUpdate" ? this.#tasks.get(id) : undefined;
    if (!known) return false;
    if (input.status === "deleted") return this.#tasks.delete(id);
    if (input.status !== undefined) known.status = planStatus(input.status);
    if (string(input.subject)) known.content = string(input.subject);
    return input.status !== undefined || string(input.subject) !== "";
  }

  entries(): PlanEntry[] {
    return [...this.#tasks.values()]
      .slice(0, MAX_ENTRIES)
      .map(({ content, status }) => ({ content: clip(content, MAX_ENTRY), status }));
  }
}

const clip = (text: string, limit = MAX_TEXT): string =>
  text.length > limit ? `${text.slice(0, limit)}\n[cut]` : text;

/** Raw data as it came, unless it is too large for an event: then its beginning as text. */
function bound(value: Json): unknown {
  const text = JSON.stringify(value);
  return text.length > MAX_TEXT / 2 ? { cut: text.slice(0, MAX_TEXT / 2) } : value;
}
