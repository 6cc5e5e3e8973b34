import { accept, type HostState, type Outcome, type RuntimeManifest, refuse, type Usage } from "@x1agent/contract";
import type { AdapterContext, AdapterSession, RuntimeAdapter } from "./adapter.ts";
import { type Checked, checkEvent, raw } from "./bounds.ts";
import { type CliExit, ManagedCli } from "./cli-process.ts";
import { MessageQueue, type QueuedMessage } from "./queue.ts";

/**
 * One session around an adapter. Stages: starting -> idle <-> busy -> ended. A turn begins with a delivered message and ends
 * when the adapter says so and nothing more came for `silenceMs`; the CLI's death, silence after an interrupt, or a
 * flood end it too. `ended` is final, and every process of the CLI is gone before `session.ended` is said.
 */
export type SessionLimits = {
  /** Nothing may come for this long after the adapter said that the turn is over. */
  silenceMs: number;
  /** Longest wait for that silence. */
  maxSilenceWaitMs: number;
  startMs: number;
  /** From an interrupt to the end of the turn. */
  interruptMs: number;
  /** From an interrupt to the sweep of what the turn started, when it has not ended by then. */
  interruptSweepMs: number;
  closeMs: number;
  maxLineBytes: number;
  /** Output of the CLI within one turn, and within ten seconds. */
  maxTurnBytes: number;
  maxBurstBytes: number;
  maxTurnEvents: number;
  /** Lines that are no messages: so many are passed on as `runtime.raw`, after so many the CLI is ended. */
  garbageShown: number;
  garbageLines: number;
};

export const defaultLimits: SessionLimits = {
  silenceMs: 150,
  maxSilenceWaitMs: 5_000,
  startMs: 90_000,
  interruptMs: 5_000,
  interruptSweepMs: 1_500,
  closeMs: 5_000,
  maxLineBytes: 8 * 1024 * 1024,
  maxTurnBytes: 256 * 1024 * 1024,
  maxBurstBytes: 64 * 1024 * 1024,
  maxTurnEvents: 200_000,
  garbageShown: 10,
  garbageLines: 1_000,
};
const BURST_MS = 10_000;

export type SessionSetup = {
  manifest: RuntimeManifest;
  adapter: RuntimeAdapter;
  limits: SessionLimits;
  spawnPrefix: readonly string[];
  base: Pick<AdapterContext, "appDir" | "cwd" | "home" | "env" | "inferenceUrl" | "jobToken">;
  request: { model?: string | undefined; ask: boolean; instructions?: string | undefined; resume?: string | undefined };
  write(type: Checked["type"], payload: Record<string, unknown>, turn: number): void;
  log(line: string): void;
};

type TurnSettled = Parameters<AdapterContext["turnSettled"]>[0];
type Question = { options: ReadonlySet<string> };
type Turn = {
  number: number;
  bytes: number;
  events: number;
  /** What the CLI ran before the turn: not swept after an interrupt. */
  before: Map<ManagedCli, Set<string>>;
  settled: { end: TurnSettled; at: number } | null;
  interrupted: boolean;
  timer: NodeJS.Timeout | null;
  done: PromiseWithResolvers<void>;
};
type State =
  | { phase: "starting" }
  | { phase: "idle"; adapter: AdapterSession }
  | { phase: "busy"; adapter: AdapterSession; turn: Turn }
  | { phase: "ended" };

export class HostSession {
  readonly #setup: SessionSetup;
  readonly #queue = new MessageQueue();
  readonly #processes = new Set<ManagedCli>();
  /** Processes from before the first prompt: the session lives as long as they do. */
  readonly #essential = new Set<ManagedCli>();
  readonly #questions = new Map<string, Question>();
  readonly #usage: Usage = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0 };
  #state: State = { phase: "starting" };
  #turns = 0;
  #sessionId: string | null = null;
  #model: string | null;
  #garbage = 0;
  #burst = { since: 0, bytes: 0 };
  #ending: Promise<void> | null = null;

  constructor(setup: SessionSetup, firstTurn = 0) {
    this.#setup = setup;
    this.#turns = firstTurn;
    this.#model = setup.request.model ?? null;
  }

  /** Starts the CLI. Never rejects: a failed start is `session.ended` with a code and what to know. */
  async start(): Promise<void> {
    const { adapter, limits } = this.#setup;
    const timeout = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => timeout.reject(new Error(`not ready after ${limits.startMs / 1_000} s`)),
      limits.startMs,
    );
    try {
      const starting = adapter.start(this.#context());
      // Whoever loses the race must not become an unhandled rejection.
      starting.catch(() => {});
      const session = await Promise.race([starting, timeout.promise]);
      if (this.#ending) return;
      for (const cli of this.#processes) if (cli.alive) this.#essential.add(cli);
      this.#state = { phase: "idle", adapter: session };
      this.#next();
    } catch (cause) {
      await this.#end("start_failed", `The CLI did not start: ${messageOf(cause)}`);
    } finally {
      clearTimeout(timer);
    }
  }

  get ended(): boolean {
    return this.#state.phase === "ended" || this.#ending !== null;
  }

  /** What `GET /state` answers, without what the host adds. */
  state(): Omit<HostState, "lastEventId"> {
    return {
      phase: this.ended ? "ended" : this.#state.phase,
      sessionId: this.#sessionId,
      turn: this.#turns,
      queued: this.#queue.length,
      openRequests: [...this.#questions.keys()],
      model: this.#model,
      usage: { ...this.#usage },
    };
  }

  /** Takes a message; answers when it is queued. The same id is taken once. */
  inject(message: QueuedMessage): Outcome<{ repeated: boolean }> {
    const repeated = this.#queue.repeated(message);
    if (!repeated.ok) return repeated;
    if (repeated.value) return accept({ repeated: true });
    if (this.ended) return refuse("session_ended");
    const state = this.#state;
    const running = state.phase === "busy" && state.turn.settled === null;
    if (message.mode !== "queue" && !this.#can(message.mode))
      return refuse("capability_missing", `${this.#setup.manifest.title} cannot ${message.mode} a running turn.`);

    if (message.mode === "steer" && running && state.adapter.steer) {
      this.#queue.remember(message);
      this.#say(message, false);
      this.#steer(state.adapter, message);
      return accept({ repeated: false });
    }
    const queued = this.#queue.push(message, message.mode === "interrupt" ? "first" : "last");
    if (!queued.ok) return queued;
    this.#queue.remember(message);
    this.#say(message, false);
    if (message.mode === "interrupt") void this.interrupt();
    this.#next();
    return accept({ repeated: false });
  }

  /** Stops the running turn and what it started. Resolves when the turn is over, whatever the CLI does. */
  async interrupt(): Promise<Outcome<{ interrupted: boolean }>> {
    if (this.ended) return refuse("session_ended");
    if (!this.#can("interrupt"))
      return refuse("capability_missing", `${this.#setup.manifest.title} cannot be interrupted.`);
    const state = this.#state;
    if (state.phase !== "busy") return accept({ interrupted: false });
    const { turn, adapter } = state;
    if (!turn.interrupted) {
      turn.interrupted = true;
      const { interruptMs, interruptSweepMs } = this.#setup.limits;
      // A CLI may wait for the pipe of a tool's child that escaped its kill: without that child it can end the turn.
      const sweep = setTimeout(() => void this.#sweepTurn(turn), interruptSweepMs);
      const giveUp = setTimeout(() => {
        if (this.#isRunning(turn) && !turn.settled)
          void this.#fail("runtime_hung", `The CLI did not react to an interrupt within ${interruptMs / 1_000} s.`);
      }, interruptMs);
      void turn.done.promise.then(() => {
        clearTimeout(sweep);
        clearTimeout(giveUp);
      });
      // A failing interrupt is a CLI that hangs: the timer above decides.
      await adapter.interrupt?.().catch((cause) => this.#setup.log(`interrupt: ${messageOf(cause)}`));
    }
    await turn.done.promise;
    return accept({ interrupted: true });
  }

  /** Answers an open question of the CLI. */
  async answer(answer: {
    requestId: string;
    optionId?: string | undefined;
    text?: string | undefined;
  }): Promise<Outcome<null>> {
    if (this.ended) return refuse("session_ended");
    const question = this.#questions.get(answer.requestId);
    const state = this.#state;
    if (!question || state.phase === "starting" || state.phase === "ended") return refuse("unknown_request");
    if (!state.adapter.answer) return refuse("capability_missing", `${this.#setup.manifest.title} takes no answers.`);
    if (answer.optionId !== undefined && !question.options.has(answer.optionId))
      return refuse("invalid_request", `The options are: ${[...question.options].join(", ") || "none"}.`);
    if (answer.optionId === undefined && answer.text === undefined)
      return refuse("invalid_request", "An answer names an option or holds a text.");
    const given = {
      requestId: answer.requestId,
      ...(answer.optionId === undefined ? {} : { optionId: answer.optionId }),
      ...(answer.text === undefined ? {} : { text: answer.text }),
    };
    // Taken off first: of two answers at once, one gets there.
    this.#questions.delete(answer.requestId);
    try {
      await state.adapter.answer(given);
    } catch (cause) {
      return refuse("unknown_request", `The CLI did not take the answer: ${messageOf(cause)}`);
    }
    this.#write("permission.resolved", { ...given, outcome: "selected" });
    return accept(null);
  }

  /** Changes the model for what comes. */
  async setModel(model: string): Promise<Outcome<null>> {
    if (this.ended) return refuse("session_ended");
    const state = this.#state;
    if (state.phase === "starting") return refuse("conflict", "The session is starting.");
    if (state.phase === "ended") return refuse("session_ended");
    if (!this.#setup.manifest.capabilities.includes("models") || !state.adapter.setModel)
      return refuse("capability_missing", `${this.#setup.manifest.title} cannot change the model of a session.`);
    try {
      await state.adapter.setModel(model);
    } catch (cause) {
      return refuse("invalid_request", `The CLI refused the model: ${messageOf(cause)}`);
    }
    this.#model = model;
    return accept(null);
  }

  /** Ends the session in an orderly way; leaves no process. */
  close(): Promise<void> {
    return this.#end("closed", "The session was closed.");
  }

  // ---- turns ----

  /** Delivers the next message when nothing runs. */
  #next(): void {
    const state = this.#state;
    if (state.phase !== "idle" || this.#ending) return;
    const message = this.#queue.shift();
    if (!message) return;
    this.#turns += 1;
    const turn: Turn = {
      number: this.#turns,
      bytes: 0,
      events: 0,
      before: new Map([...this.#processes].map((cli) => [cli, cli.tree()])),
      settled: null,
      interrupted: false,
      timer: null,
      done: Promise.withResolvers(),
    };
    this.#burst = { since: performance.now(), bytes: 0 };
    this.#state = { phase: "busy", adapter: state.adapter, turn };
    this.#write("turn.started", { turn: turn.number });
    this.#say(message, true);
    state.adapter.prompt({ id: message.id, content: message.content }).catch((cause: unknown) => {
      if (!this.#isRunning(turn) || turn.settled) return;
      const detail = cut(messageOf(cause));
      this.#write("error", { code: "prompt_failed", detail });
      this.#settle(turn, { stopReason: "error", errorCode: "prompt_failed", detail });
    });
  }

  #settle(turn: Turn, end: TurnSettled): void {
    if (!this.#isRunning(turn) || turn.settled) return;
    turn.settled = { end, at: performance.now() };
    this.#awaitSilence(turn);
  }

  #awaitSilence(turn: Turn): void {
    const { silenceMs, maxSilenceWaitMs } = this.#setup.limits;
    if (!turn.settled) return;
    if (turn.timer) clearTimeout(turn.timer);
    const left = maxSilenceWaitMs - (performance.now() - turn.settled.at);
    turn.timer = setTimeout(() => void this.#finishTurn(turn), Math.max(0, Math.min(silenceMs, left)));
  }

  async #finishTurn(turn: Turn): Promise<void> {
    if (!this.#isRunning(turn) || !turn.settled) return;
    // A tool that was cut off may have left children that nobody waits for.
    if (turn.interrupted) await this.#sweepTurn(turn);
    const state = this.#state;
    if (!this.#isRunning(turn) || state.phase !== "busy") return;
    this.#state = { phase: "idle", adapter: state.adapter };
    this.#endTurn(turn, turn.settled.end);
    for (const cli of this.#essential)
      if (!cli.alive) {
        const exit = await cli.exited;
        void this.#end("runtime_exited", `The CLI ended with the turn (${describeExit(exit)}).`, exit);
        return;
      }
    this.#next();
    if (this.#state.phase === "idle") this.#write("session.idle", {});
  }

  /** Ends what was started within the turn; the CLI itself and what it ran before stay. */
  async #sweepTurn(turn: Turn): Promise<void> {
    for (const cli of this.#processes) if (cli.alive) await cli.sweep(withRoot(cli, turn.before.get(cli)));
  }

  #endTurn(turn: Turn, end: TurnSettled): void {
    if (turn.timer) clearTimeout(turn.timer);
    for (const requestId of this.#questions.keys())
      this.#write("permission.resolved", { requestId, outcome: "cancelled" });
    this.#questions.clear();
    const { stopReason, errorCode, detail, usage } = end;
    this.#write("turn.ended", {
      turn: turn.number,
      stopReason,
      ...(errorCode === undefined ? {} : { errorCode: cut(errorCode) }),
      ...(detail === undefined ? {} : { detail: cut(detail) }),
      ...(usage === undefined ? {} : { usage }),
    });
    turn.done.resolve();
  }

  #steer(adapter: AdapterSession, message: QueuedMessage): void {
    adapter.steer!({ id: message.id, content: message.content }).then(
      () => this.#say(message, true),
      (cause: unknown) => {
        if (this.ended) return;
        // The turn may have ended in this instant: the message is not lost, it becomes the next turn.
        this.#write("error", { code: "steer_failed", detail: cut(messageOf(cause)) });
        this.#queue.push(message, "first");
        this.#next();
      },
    );
  }

  #isRunning(turn: Turn): boolean {
    return this.#state.phase === "busy" && this.#state.turn === turn;
  }

  #can(ability: "steer" | "interrupt"): boolean {
    if (!this.#setup.manifest.capabilities.includes(ability)) return false;
    const state = this.#state;
    return state.phase === "starting" || state.phase === "ended" || state.adapter[ability] !== undefined;
  }

  // ---- the adapter's side ----

  #context(): AdapterContext {
    const { manifest, base, request, log } = this.#setup;
    return {
      ...base,
      manifest,
      model: request.model,
      ask: request.ask,
      instructions: request.instructions,
      resume: request.resume,
      spawn: (argv, options = {}) => this.#spawn(argv, options),
      emit: (event) => this.#onEvent(event),
      turnSettled: (end) => {
        if (this.#state.phase === "busy") this.#settle(this.#state.turn, end);
      },
      log: (line) => log(line),
    };
  }

  #spawn(argv: readonly string[], options: { cwd?: string; env?: Readonly<Record<string, string>> }): ManagedCli {
    const { base, limits, spawnPrefix, manifest } = this.#setup;
    const cli = new ManagedCli({
      prefix: spawnPrefix,
      argv,
      cwd: options.cwd ?? base.cwd,
      env: options.env ?? base.env,
      maxLineBytes: limits.maxLineBytes,
      onBytes: (bytes) => this.#onBytes(bytes),
      onGarbage: (line) => this.#onGarbage(line, manifest.name),
      onUnheardOverflow: (bytes) =>
        this.#write("error", { code: "line_too_long", detail: `A line of more than ${bytes} bytes was dropped.` }),
    });
    this.#processes.add(cli);
    void cli.exited.then((exit) => this.#onExit(cli, exit));
    return cli;
  }

  #onEvent(event: unknown): void {
    if (this.#state.phase === "ended") return;
    const checked = checkEvent(event, this.#setup.manifest.name);
    const { type, payload } = checked;
    if (type === "session.init") {
      this.#sessionId = payload.sessionId as string;
      this.#model = (payload.model as string | undefined) ?? this.#model;
    } else if (type === "permission.requested") {
      const options = (payload.options as { optionId: string }[]).map((option) => option.optionId);
      // A CLI that asks without end is a flood; what is over the bound cannot be answered.
      if (this.#questions.size < 1_000) this.#questions.set(payload.requestId as string, { options: new Set(options) });
    } else if (type === "permission.resolved") {
      // Said by us already when the answer went in.
      if (!this.#questions.delete(payload.requestId as string)) return;
    } else if (type === "usage.reported") {
      const usage = payload.usage as Usage;
      for (const key of Object.keys(this.#usage) as (keyof Usage)[]) this.#usage[key] += usage[key];
    }
    this.#write(type, payload);
    if (this.#state.phase !== "busy") return;
    const { turn } = this.#state;
    turn.events += 1;
    if (turn.events > this.#setup.limits.maxTurnEvents)
      void this.#fail("output_flood", `More than ${this.#setup.limits.maxTurnEvents} events in one turn.`);
    else this.#awaitSilence(turn);
  }

  #onBytes(bytes: number): void {
    const { maxTurnBytes, maxBurstBytes } = this.#setup.limits;
    const now = performance.now();
    if (now - this.#burst.since > BURST_MS) this.#burst = { since: now, bytes: 0 };
    this.#burst.bytes += bytes;
    if (this.#state.phase === "busy") this.#state.turn.bytes += bytes;
    const turnBytes = this.#state.phase === "busy" ? this.#state.turn.bytes : 0;
    if (this.#burst.bytes > maxBurstBytes || turnBytes > maxTurnBytes)
      void this.#fail("output_flood", `The CLI printed ${Math.max(turnBytes, this.#burst.bytes)} bytes.`);
  }

  #onGarbage(line: string, runtime: string): void {
    if (this.ended) return;
    this.#garbage += 1;
    const { garbageShown, garbageLines } = this.#setup.limits;
    if (this.#garbage <= garbageShown) {
      const { type, payload } = raw(runtime, line.slice(0, 2_000));
      this.#write(type, payload);
    }
    if (this.#garbage > garbageLines)
      void this.#fail("protocol_garbage", `The CLI printed ${this.#garbage} lines that are no messages.`);
  }

  #onExit(cli: ManagedCli, exit: CliExit): void {
    if (this.ended) return;
    const essential = this.#essential.has(cli);
    if (!essential) this.#processes.delete(cli);
    // What it left behind belongs to nobody now.
    void cli.sweep();
    const state = this.#state;
    if (state.phase === "starting") return;
    if (state.phase === "idle") {
      if (essential) void this.#end("runtime_exited", `The CLI ended by itself (${describeExit(exit)}).`, exit);
      return;
    }
    if (state.phase !== "busy" || [...this.#processes].some((other) => other.alive)) return;
    // Its last words may still be on their way through the adapter, which then settles the turn itself.
    const { turn } = state;
    setTimeout(() => {
      if (this.#isRunning(turn) && !turn.settled)
        void this.#fail("runtime_exited", `The CLI ended in the middle of a turn (${describeExit(exit)}).`, exit);
    }, this.#setup.limits.silenceMs * 2);
  }

  // ---- the end ----

  /** Ends turn and session with a code: the CLI cannot be worked with. */
  async #fail(code: string, detail: string, exit?: CliExit): Promise<void> {
    if (this.ended) return;
    this.#write("error", { code, detail });
    await this.#end(code, detail, exit);
  }

  #end(code: string, detail: string, exit?: CliExit): Promise<void> {
    this.#ending ??= this.#endOnce(code, detail, exit);
    return this.#ending;
  }

  async #endOnce(code: string, detail: string, exit?: CliExit): Promise<void> {
    const state = this.#state;
    const orderly = code === "closed";
    if (orderly && (state.phase === "idle" || state.phase === "busy"))
      await within(state.adapter.close(), this.#setup.limits.closeMs).catch((cause) =>
        this.#setup.log(`close: ${messageOf(cause)}`),
      );
    await Promise.all(
      [...this.#processes].map((cli) => cli.kill({ signal: orderly ? "SIGTERM" : "SIGKILL", graceMs: 500 })),
    );
    // The adapter may have ended the turn properly while it closed; else it ends here.
    if (state.phase === "busy") {
      const settled = state.turn.settled?.end;
      this.#endTurn(state.turn, settled ?? { stopReason: orderly ? "cancelled" : "error", errorCode: code, detail });
    }
    this.#queue.clear();
    this.#state = { phase: "ended" };
    this.#write("session.ended", {
      code,
      detail: cut(detail),
      ...(exit ? { exitCode: exit.exitCode, signal: exit.signal } : {}),
    });
  }

  #say(message: QueuedMessage, delivered: boolean): void {
    const { type, payload } = checkMessage(message, delivered);
    this.#write(type, payload);
  }

  #write(type: Checked["type"], payload: Record<string, unknown>): void {
    this.#setup.write(type, payload, this.#turns);
  }
}

/** A long message is delivered whole; the event about it carries its beginning and end. */
function checkMessage(message: QueuedMessage, delivered: boolean): Checked {
  const limit = 32_000;
  const content =
    message.content.length <= limit
      ? message.content
      : `${message.content.slice(0, limit / 2)}\n[... cut ...]\n${message.content.slice(-limit / 2)}`;
  return {
    type: "user.message",
    payload: { id: message.id, content: content.toWellFormed(), mode: message.mode, delivered },
  };
}

function withRoot(cli: ManagedCli, before: ReadonlySet<string> | undefined): ReadonlySet<string> {
  const keep = new Set(before);
  // The CLI itself stays, also when it was started within this turn.
  for (const key of cli.tree()) if (key.startsWith(`${cli.pid}:`)) keep.add(key);
  return keep;
}

async function within<T>(work: Promise<T>, ms: number): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`not done after ${ms} ms`)), ms);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

const describeExit = (exit: CliExit): string =>
  exit.detail ?? (exit.signal ? `signal ${exit.signal}` : `exit code ${exit.exitCode}`);
const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));
const cut = (text: string): string => text.slice(0, 2_000).toWellFormed();
