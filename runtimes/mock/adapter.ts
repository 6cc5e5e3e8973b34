import { existsSync } from "node:fs";
import { join } from "node:path";
import type { AdapterContext, AdapterSession, CliProcess, RuntimeAdapter } from "@x1agent/agent/adapter";
import { type ReportedEvent, refusalIn, type StopReason, type Usage } from "@x1agent/contract";

/**
 * The template for authors. An adapter does three things: it starts the CLI, it turns each of the CLI's messages into
 * events of the contract, and it turns the host's verbs into the CLI's commands. It keeps no queue, no ids of events, no
 * timers and no files: those are the host's.
 *
 * Stages: CLI started -> `ready` (its session id is known) -> per turn: `prompt`, events, `settled`.
 */
const adapter: RuntimeAdapter = {
  async start(context) {
    const cli = context.spawn(
      [
        process.execPath,
        program(context),
        ...(context.ask ? ["--ask"] : []),
        ...(context.resume ? ["--resume", context.resume] : []),
      ],
      {
        cwd: context.cwd,
        // The base environment holds no secret but the job token, which is worthless anywhere else.
        env: {
          ...context.env,
          HOME: context.home,
          ANTHROPIC_BASE_URL: `${context.inferenceUrl}/anthropic`,
          ANTHROPIC_API_KEY: context.jobToken,
          MOCK_MODEL: context.model ?? context.manifest.defaultModel,
        },
      },
    );
    const session = new MockSession(context, cli);
    await session.ready;
    // Instructions of the base commit are text from the host: the checkout is never read for them.
    if (context.instructions) session.send({ type: "instructions", text: context.instructions });
    return session;
  },
};
export default adapter;

/** The bundle in a workspace, the source in a checkout. */
function program(context: AdapterContext): string {
  const bundled = join(context.appDir, "cli.mjs");
  return existsSync(bundled) ? bundled : join(import.meta.dirname, "cli.ts");
}

/** What the CLI says, one JSON object a line. The whole protocol: README.md. */
type Message =
  | { type: "ready"; sessionId: string; model: string; resumed: boolean }
  | { type: "text"; id: string; text: string }
  | { type: "tool_start"; id: string; name: string; input: { command?: string; path?: string } }
  | { type: "tool_end"; id: string; name: string; output: string; exitCode: number | null }
  | {
      type: "question";
      id: string;
      title: string;
      toolCallId?: string;
      options: { id: string; name: string; allow: boolean }[];
    }
  | { type: "retry"; attempt: number; of: number; delayMs: number; status: number; detail: string }
  | { type: "usage"; model: string; usage: Usage }
  | { type: "plan"; entries: { content: string; status: "pending" | "in_progress" | "completed" }[] }
  | { type: "model_set"; model: string }
  | { type: "refused"; command: string; detail: string }
  | { type: "event"; event: ReportedEvent }
  | { type: "settled"; stop: "done" | "interrupted" | "error"; detail?: string; status?: number };

class MockSession implements AdapterSession {
  /** Resolves with the CLI's first message; rejects when it ends before. */
  readonly ready: Promise<void>;
  readonly #context: AdapterContext;
  readonly #cli: CliProcess;
  readonly #isReady = Promise.withResolvers<void>();
  #modelSet: PromiseWithResolvers<void> | null = null;

  constructor(context: AdapterContext, cli: CliProcess) {
    this.#context = context;
    this.#cli = cli;
    this.ready = this.#isReady.promise;
    let said = "";
    cli.onStderr((text) => {
      said = (said + text).slice(-1_000);
      context.log(text);
    });
    cli.onLine((line) => this.#onLine(line));
    void cli.exited.then(({ exitCode, signal }) => {
      const reason = new Error(
        `the CLI ended (${signal ?? `exit code ${exitCode}`}): ${said.trim() || "it said nothing"}`,
      );
      // Both may be settled already; then this is nothing. That it died in a turn is the host's to report.
      this.#isReady.reject(reason);
      this.#modelSet?.reject(reason);
    });
  }

  async prompt(message: { id: string; content: string }): Promise<void> {
    this.send({ type: "prompt", id: message.id, text: message.content });
  }

  async steer(message: { id: string; content: string }): Promise<void> {
    this.send({ type: "steer", id: message.id, text: message.content });
  }

  async interrupt(): Promise<void> {
    this.send({ type: "interrupt" });
  }

  async answer(answer: { requestId: string; optionId?: string; text?: string }): Promise<void> {
    this.send({ type: "answer", ...answer });
  }

  async setModel(model: string): Promise<void> {
    this.#modelSet = Promise.withResolvers();
    this.send({ type: "set_model", model });
    await this.#modelSet.promise;
  }

  async close(): Promise<void> {
    // End of input is how this CLI is asked to leave; the signal is for one that does not.
    this.#cli.endInput();
    await this.#cli.kill({ signal: "SIGTERM", graceMs: 1_000 });
  }

  /** Writes a command; throws when nobody reads it any more. */
  send(command: Record<string, unknown>): void {
    if (!this.#cli.writeLine(JSON.stringify(command))) throw new Error("the CLI takes no input any more");
  }

  #onLine(line: string): void {
    let message: Message;
    try {
      message = JSON.parse(line) as Message;
    } catch {
      // Kept, not thrown away: whoever looks for the reason finds it in the events.
      this.#context.emit({
        type: "runtime.raw",
        payload: { runtime: this.#context.manifest.name, raw: line.slice(0, 2_000) },
      });
      return;
    }
    this.#onMessage(message);
  }

  #onMessage(message: Message): void {
    const { emit, manifest, cwd } = this.#context;
    switch (message.type) {
      case "ready": {
        const { sessionId, model, resumed } = message;
        emit({
          type: "session.init",
          payload: { sessionId, runtime: manifest.name, version: manifest.version, model, resumed, cwd },
        });
        this.#isReady.resolve();
        return;
      }
      case "text":
        emit({ type: "agent.text", payload: { messageId: message.id, text: message.text } });
        return;
      case "tool_start":
        emit({
          type: "tool.started",
          payload: { toolCallId: message.id, ...describe(message), status: "in_progress", rawInput: message.input },
        });
        return;
      case "tool_end":
        emit({
          type: "tool.ended",
          payload: {
            toolCallId: message.id,
            // That the call ended; whether the command succeeded is its exit code.
            status: "completed",
            exitCode: message.exitCode,
            content: message.output ? [{ type: "text", text: message.output }] : [],
          },
        });
        return;
      case "question":
        emit({
          type: "permission.requested",
          payload: {
            requestId: message.id,
            title: message.title,
            ...(message.toolCallId === undefined ? {} : { toolCallId: message.toolCallId, kind: "execute" as const }),
            options: message.options.map(({ id, name, allow }) => ({
              optionId: id,
              name,
              kind: allow ? "allow_once" : "reject_once",
            })),
            freeText: message.toolCallId === undefined,
          },
        });
        return;
      case "retry":
        emit({
          type: "retry",
          payload: {
            attempt: message.attempt,
            maxAttempts: message.of,
            delayMs: message.delayMs,
            status: message.status,
            detail: message.detail.slice(0, 1_000),
          },
        });
        return;
      case "usage":
        emit({ type: "usage.reported", payload: { model: message.model, usage: message.usage } });
        return;
      case "plan":
        emit({ type: "plan.updated", payload: { entries: message.entries } });
        return;
      case "model_set":
        this.#modelSet?.resolve();
        return;
      case "refused":
        this.#modelSet?.reject(new Error(message.detail));
        return;
      case "event":
        // The CLI's own idea of an event. The host checks it like every other and refuses what it may not say.
        emit(message.event);
        return;
      case "settled":
        this.#onSettled(message);
        return;
      default:
        emit({ type: "runtime.raw", payload: { runtime: manifest.name, raw: message } });
    }
  }

  #onSettled(message: Extract<Message, { type: "settled" }>): void {
    if (message.stop !== "error") {
      const stopReason: StopReason = message.stop === "interrupted" ? "cancelled" : "end_turn";
      this.#context.turnSettled({ stopReason });
      return;
    }
    const detail = (message.detail ?? "The model call failed.").slice(0, 1_000);
    // A refusal by the platform comes as the provider's error; its code is in the text.
    const errorCode = refusalIn(detail) ?? "upstream_failed";
    this.#context.emit({
      type: "error",
      payload: { code: errorCode, detail, ...(message.status === undefined ? {} : { status: message.status }) },
    });
    this.#context.turnSettled({ stopReason: errorCode === "budget_exceeded" ? "budget" : "error", errorCode, detail });
  }
}

function describe(tool: { name: string; input: { command?: string; path?: string } }) {
  const title = (tool.input.command ?? tool.input.path ?? tool.name).split("\n", 1)[0]?.slice(0, 500) || tool.name;
  return tool.name === "bash"
    ? { title, kind: "execute" as const }
    : { title, kind: "edit" as const, locations: [{ path: tool.input.path ?? "" }] };
}
