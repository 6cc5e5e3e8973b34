import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/**
 * The scripted CLI: a real process with a real protocol, a real tool and real model calls, which does what its goal
 * tells it. `[[directive]]`s in a message are carried out in order; a message without any goes through a minimal agent
 * loop (one `bash` tool, Anthropic Messages API). README.md lists protocol and directives. No dependencies, by intent.
 */
type Json = Record<string, unknown>;
type Usage = { inputTokens: number; outputTokens: number; cacheReadTokens: number; cacheWriteTokens: number };
type Entry = { role: "user" | "assistant"; content: unknown };
type ToolUse = { id: string; name: string; input: { command?: string } };

const MAX_TOOL_OUTPUT = 200_000;
const MAX_LOOP_STEPS = 50;
const RETRIES = 3;
const RETRY_BASE_MS = Number(process.env.MOCK_RETRY_MS ?? 500);

const baseUrl = process.env.ANTHROPIC_BASE_URL ?? "http://127.0.0.1:9";
const key = process.env.ANTHROPIC_API_KEY ?? "";
const flags = process.argv.slice(2);
const ask = flags.includes("--ask");
const resume = flags.includes("--resume") ? flags[flags.indexOf("--resume") + 1] : undefined;
let model = process.env.MOCK_MODEL ?? "claude-sonnet-4-5";
let instructions = "";

const say = (message: Json) => void process.stdout.write(`${JSON.stringify(message)}\n`);
/** Waits for the pipe, so that a flood floods the host and not our own memory. */
const pour = (text: string) => new Promise<void>((resolve) => process.stdout.write(text, () => resolve()));

// ---- the session file ----

if (resume !== undefined && !/^[\w-]{1,100}$/.test(resume)) fail(`not a session id: ${resume}`);
const sessionId = resume ?? randomUUID();
const sessionFile = join(process.env.HOME ?? "/", ".mock/sessions", `${sessionId}.jsonl`);
if (resume !== undefined && !existsSync(sessionFile)) fail(`no session ${resume}`);
mkdirSync(dirname(sessionFile), { recursive: true });
const conversation = closeOpenCalls(readSession());

/** Written as it grows: whoever kills us finds everything up to the last whole entry. */
function remember(entry: Entry): void {
  conversation.push(entry);
  appendFileSync(sessionFile, `${JSON.stringify(entry)}\n`);
}

function readSession(): Entry[] {
  if (!existsSync(sessionFile)) return [];
  return readFileSync(sessionFile, "utf8")
    .split("\n")
    .flatMap((line) => {
      try {
        return [JSON.parse(line) as Entry];
      } catch {
        // The last line, cut off by a kill.
        return [];
      }
    });
}

/** A call that was running when we were killed has no result, and the API wants one for each. */
function closeOpenCalls(entries: Entry[]): Entry[] {
  const last = entries.at(-1);
  const open = last?.role === "assistant" ? toolUses(last.content) : [];
  if (open.length > 0)
    entries.push({
      role: "user",
      content: open.map(({ id }) => ({ type: "tool_result", tool_use_id: id, content: "[killed]", is_error: true })),
    });
  return entries;
}

// ---- commands from outside ----

let turn: { abort: AbortController; deaf: boolean } | null = null;
const steered: string[] = [];
type Answered = { optionId?: string; text?: string };
const questions = new Map<string, (answer: Answered) => void>();

// Not by readline: that also cuts at U+2028 and U+2029, which JSON carries as they are.
let unread = "";
process.stdin
  .setEncoding("utf8")
  .on("data", (part: string) => {
    const lines = (unread + part).split("\n");
    unread = lines.pop() ?? "";
    for (const line of lines) obey(line);
  })
  .on("end", () => process.exit(0));
say({ type: "ready", sessionId, model, resumed: resume !== undefined });

function obey(line: string): void {
  const command = JSON.parse(line) as Json & { type: string };
  if (command.type === "prompt") void runTurn(String(command.text));
  else if (command.type === "steer") steered.push(String(command.text));
  else if (command.type === "interrupt" && turn && !turn.deaf) turn.abort.abort();
  else if (command.type === "answer") questions.get(String(command.requestId))?.(command as Answered);
  else if (command.type === "instructions") instructions = String(command.text);
  else if (command.type === "set_model") {
    model = String(command.model);
    say({ type: "model_set", model });
  }
}

async function runTurn(text: string): Promise<void> {
  const abort = new AbortController();
  turn = { abort, deaf: false };
  try {
    remember({ role: "user", content: text });
    const directives = [...text.matchAll(/\[\[([a-z-]+)(?:\s+([\s\S]*?))?\]\]/g)];
    if (directives.length === 0) await agentLoop(abort.signal);
    for (const [, name = "", rest = ""] of directives) {
      abort.signal.throwIfAborted();
      const carryOut = Object.hasOwn(scripted, name) ? scripted[name] : undefined;
      if (carryOut) await carryOut(rest.trim(), abort.signal);
      else talk(`I do not know the directive ${name}.`);
    }
    if (directives.length > 0) remember({ role: "assistant", content: "Done." });
    say({ type: "settled", stop: "done" });
  } catch (cause) {
    if (abort.signal.aborted) {
      conversation.splice(0, conversation.length, ...closeOpenCalls(conversation));
      say({ type: "settled", stop: "interrupted" });
    } else {
      const { message, status } = cause as Error & { status?: number };
      say({ type: "settled", stop: "error", detail: message, ...(status === undefined ? {} : { status }) });
    }
  } finally {
    turn = null;
  }
}

// ---- directives ----

/** Behaviours by name. Each takes the rest of its directive and the turn's signal. */
const scripted: Record<string, (rest: string, signal: AbortSignal) => Promise<void> | void> = {
  say: (rest) => talk(rest),
  "claim-success": () => talk("I fixed the bug, ran all tests, and every one of them passed."),
  edit(rest) {
    const [path = "", ...text] = rest.split(/\s/);
    writeFileSync(path, `${rest.slice(path.length).trim() || text.join(" ")}\n`);
    const id = randomUUID();
    say({ type: "tool_start", id, name: "edit", input: { path } });
    say({ type: "tool_end", id, name: "edit", output: "", exitCode: null });
  },
  shell: async (rest, signal) =>
    void (await runTool({ id: randomUUID(), name: "bash", input: { command: rest } }, signal)),
  async ask(rest, signal) {
    const answer = await question({ title: rest || "Go on?" }, signal);
    talk(`The answer was: ${answer.text ?? answer.optionId ?? "none"}`);
  },
  sleep: (rest, signal) => delay(Number(rest || 1) * 1_000, undefined, { signal }),
  plan: (rest) =>
    say({ type: "plan", entries: rest.split(";").map((content) => ({ content: content.trim(), status: "pending" })) }),
  async flood(rest) {
    const line = `${JSON.stringify({ type: "text", id: "flood", text: "x".repeat(60_000) })}\n`;
    for (let left = bytesOf(rest); left > 0; left -= line.length) await pour(line);
  },
  async line(rest) {
    const part = "x".repeat(1024 * 1024);
    await pour('{"type":"text","id":"long","text":"');
    for (let left = bytesOf(rest); left > 0; left -= part.length)
      await pour(part.slice(0, Math.min(left, part.length)));
    await pour('"}\n');
  },
  async garbage(rest) {
    for (let left = Number(rest || 5_000); left > 0; left -= 1)
      await pour("%\u0001 not a message, and no end of it \u001b[2J\n");
  },
  crash(rest) {
    process.exit(Number(rest || 3));
  },
  async hang() {
    if (turn) turn.deaf = true;
    await new Promise(() => {});
  },
  forge: (rest) =>
    say({
      type: "event",
      event: { type: rest || "job.state", source: "observed", payload: { from: "running", to: "succeeded" } },
    }),
  orphan() {
    // Its own session, no parent soon, nobody's pipe: what a sweep has to find.
    const child = spawn("/bin/sh", ["-c", "sleep 98765 & exit 0"], { detached: true, stdio: "ignore" });
    child.unref();
  },
  async events(rest) {
    for (let left = Number(rest || 1_000); left > 0; left -= 1)
      await pour(`${JSON.stringify({ type: "text", id: "many", text: `${left}` })}\n`);
  },
  async calls(rest, signal) {
    const count = Number.parseInt(rest, 10) || 1;
    const call = () =>
      callModel([{ role: "user", content: `[[one of ${count} calls]]` }], signal, { maxTokens: 32_000, tools: false });
    const results: PromiseSettledResult<unknown>[] = [];
    if (rest.includes("parallel")) results.push(...(await Promise.allSettled(Array.from({ length: count }, call))));
    else for (let left = count; left > 0; left -= 1) results.push(...(await Promise.allSettled([call()])));
    const failed = results.filter((result) => result.status === "rejected");
    talk(`${count - failed.length} of ${count} calls were answered.`);
    if (failed[0]) throw failed[0].reason;
  },
};

const bytesOf = (text: string): number =>
  Number.parseFloat(text || "1") * (/MB/i.test(text) ? 1024 * 1024 : /KB/i.test(text) ? 1024 : 1);
const talk = (text: string) => say({ type: "text", id: randomUUID(), text });

function question(about: { title: string; toolCallId?: string }, signal: AbortSignal): Promise<Answered> {
  const id = randomUUID();
  const options = [
    { id: "allow", name: "Yes", allow: true },
    { id: "reject", name: "No", allow: false },
  ];
  return new Promise<Answered>((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    questions.set(id, resolve);
    say({ type: "question", id, ...about, options });
  }).finally(() => questions.delete(id));
}

// ---- the agent loop ----

async function agentLoop(signal: AbortSignal): Promise<void> {
  for (let step = 0; step < MAX_LOOP_STEPS; step += 1) {
    const content = await callModel(conversation, signal, { maxTokens: 8_000, tools: true });
    remember({ role: "assistant", content });
    for (const part of content) if (part.type === "text" && part.text) talk(String(part.text));
    const results: Json[] = [];
    for (const call of toolUses(content)) {
      const output = await runTool(call, signal);
      results.push({
        type: "tool_result",
        tool_use_id: call.id,
        content: output.text || "(no output)",
        is_error: output.failed,
      });
    }
    // What was steered in goes with the results, where the model sees it next.
    const more = steered.splice(0).map((text) => ({ type: "text", text }));
    if (results.length === 0 && more.length === 0) return;
    remember({ role: "user", content: [...results, ...more] });
  }
  throw new Error(`no end after ${MAX_LOOP_STEPS} steps`);
}

/** Runs a command as the leader of a process group, so that an interrupt ends what the command started too. */
async function runTool(call: ToolUse, signal: AbortSignal): Promise<{ text: string; failed: boolean }> {
  const command = String(call.input.command ?? "");
  say({ type: "tool_start", id: call.id, name: "bash", input: { command } });
  if (ask) {
    const answer = await question({ title: command.slice(0, 500), toolCallId: call.id }, signal);
    if (answer.optionId !== "allow") {
      say({ type: "tool_end", id: call.id, name: "bash", output: "refused", exitCode: null });
      return { text: "The user refused this command.", failed: true };
    }
  }
  const child = spawn("/bin/bash", ["--norc", "-c", command], { detached: true, stdio: ["ignore", "pipe", "pipe"] });
  const stop = () => endGroup(child);
  signal.addEventListener("abort", stop, { once: true });
  let output = "";
  const collect = (chunk: Buffer) => {
    if (output.length < MAX_TOOL_OUTPUT) output += chunk.toString("utf8").slice(0, MAX_TOOL_OUTPUT - output.length);
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  const exitCode = await new Promise<number | null>((resolve) => {
    child.once("error", () => resolve(127));
    child.once("close", (code) => resolve(code));
  });
  signal.removeEventListener("abort", stop);
  say({ type: "tool_end", id: call.id, name: "bash", output, exitCode });
  signal.throwIfAborted();
  return { text: exitCode === 0 ? output : `${output}\nexit code ${exitCode}`, failed: exitCode !== 0 };
}

function endGroup(child: ChildProcess): void {
  try {
    if (child.pid) process.kill(-child.pid, "SIGKILL");
  } catch {
    // Gone already.
  }
}

/** One model call with retries as the providers ask for: on 429, on 5xx, and when the stream broke. */
async function callModel(
  messages: readonly Entry[],
  signal: AbortSignal,
  options: { maxTokens: number; tools: boolean },
): Promise<Json[]> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await callOnce(messages, signal, options);
    } catch (cause) {
      signal.throwIfAborted();
      const { status, message } = cause as Error & { status?: number };
      const worthIt = status === undefined || status === 429 || status >= 500;
      if (!worthIt || attempt > RETRIES) throw cause;
      const delayMs = RETRY_BASE_MS * 2 ** (attempt - 1);
      say({
        type: "retry",
        attempt,
        of: RETRIES,
        delayMs,
        ...(status === undefined ? {} : { status }),
        detail: message,
      });
      await delay(delayMs, undefined, { signal });
    }
  }
}

async function callOnce(
  messages: readonly Entry[],
  signal: AbortSignal,
  options: { maxTokens: number; tools: boolean },
): Promise<Json[]> {
  const response = await fetch(`${baseUrl}/v1/messages`, {
    method: "POST",
    signal,
    headers: { "content-type": "application/json", "anthropic-version": "2023-06-01", "x-api-key": key },
    body: JSON.stringify({
      model,
      max_tokens: options.maxTokens,
      stream: true,
      ...(instructions ? { system: instructions } : {}),
      messages,
      ...(options.tools ? { tools: [bashTool] } : {}),
    }),
  });
  if (!response.ok) {
    const text = (await response.text()).slice(0, 2_000);
    throw Object.assign(new Error(`${response.status} ${text}`), { status: response.status });
  }
  const answer = new Answer();
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.startsWith("data:")) answer.take(JSON.parse(line.slice(5)) as Json);
  }
  if (!answer.finished) throw new Error("the answer broke off");
  say({ type: "usage", model, usage: answer.usage });
  return answer.content;
}

const bashTool = {
  name: "bash",
  description: "Runs a command in the project's folder.",
  input_schema: { type: "object", properties: { command: { type: "string" } }, required: ["command"] },
};

/** Puts a streamed answer together. */
class Answer {
  readonly content: Json[] = [];
  readonly usage: Usage = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0 };
  finished = false;
  #inputs = new Map<number, string>();

  take(event: Json): void {
    const index = Number(event.index ?? 0);
    const delta = (event.delta ?? {}) as Json;
    if (event.type === "message_start") this.#count(((event.message ?? {}) as Json).usage);
    else if (event.type === "content_block_start") this.content[index] = { ...(event.content_block as Json) };
    else if (event.type === "content_block_delta") {
      const block = this.content[index];
      if (delta.type === "text_delta" && block) block.text = `${block.text ?? ""}${delta.text}`;
      if (delta.type === "input_json_delta")
        this.#inputs.set(index, (this.#inputs.get(index) ?? "") + delta.partial_json);
    } else if (event.type === "content_block_stop") {
      const input = this.#inputs.get(index);
      const block = this.content[index];
      if (block?.type === "tool_use") block.input = JSON.parse(input || "{}") as Json;
    } else if (event.type === "message_delta") this.#count(event.usage);
    else if (event.type === "message_stop") this.finished = true;
    else if (event.type === "error") throw new Error(JSON.stringify(event.error));
  }

  #count(value: unknown): void {
    const usage = (value ?? {}) as Record<string, number | undefined>;
    this.usage.inputTokens = usage.input_tokens ?? this.usage.inputTokens;
    this.usage.outputTokens = usage.output_tokens ?? this.usage.outputTokens;
    this.usage.cacheReadTokens = usage.cache_read_input_tokens ?? this.usage.cacheReadTokens;
    this.usage.cacheWriteTokens = usage.cache_creation_input_tokens ?? this.usage.cacheWriteTokens;
  }
}

function toolUses(content: unknown): ToolUse[] {
  return Array.isArray(content) ? (content as (Json & ToolUse)[]).filter((part) => part.type === "tool_use") : [];
}

function fail(why: string): never {
  process.stderr.write(`mock: ${why}\n`);
  process.exit(2);
}
