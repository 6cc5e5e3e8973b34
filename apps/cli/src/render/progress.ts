import type { LiveEvent } from "@x1agent/client";
import { formatUsd } from "@x1agent/contract";
import { duration, type Style } from "./style.ts";
import { visible, visibleLine } from "./visible.ts";

export type ProgressOptions = {
  write(text: string): void;
  style: Style;
  /** Marks every line, e.g. `not isolated`. */
  mark?: string;
  /** What an actor as events write one (`user:usr_1`) is called; by default just that. */
  name?: (actor: string) => string;
  now?: () => number;
};

/** What was seen so far: for a summary at the end. */
export type ProgressFacts = {
  state: string | null;
  phase: string | null;
  turn: number;
  tools: number;
  spentMicros: number;
  rounds: number;
};

export type Progress = {
  event(event: LiveEvent): void;
  /** A line of the program itself, in step with the events. */
  note(text: string): void;
  readonly facts: Readonly<ProgressFacts>;
};

type Payload = Record<string, unknown>;
/** A field as one safe line: nothing else of a payload but a message's text reaches the terminal. */
const str = (value: unknown): string => (typeof value === "string" ? visibleLine(value, 500) : "");
const num = (value: unknown): number => (typeof value === "number" ? value : 0);

/**
 * Shows a job's events as lines: elapsed time and cost in front, then what happened. What the platform observed stands
 * plain; what the agent reports stands behind a bar, so that nobody takes one for the other. Text streams as it comes.
 */
export function createProgress(options: ProgressOptions): Progress {
  const { style, write } = options;
  const now = options.now ?? Date.now;
  const who = (actor: unknown): string => {
    const text = str(actor);
    return text && str(options.name?.(text) ?? text);
  };
  const by = (actor: unknown): string => (who(actor) ? ` by ${who(actor)}` : "");
  const facts: ProgressFacts = { state: null, phase: null, turn: 0, tools: 0, spentMicros: 0, rounds: 0 };
  /** Tools that were announced with a title, by id, until they end. */
  const tools = new Map<string, string>();
  /** Messages of which deltas were shown: their whole text is not shown again. Bounded: the newest few. */
  const streamed = new Set<string>();
  let start: number | null = null;
  let streaming: string | null = null;

  const prefix = () => {
    const elapsed = duration(start === null ? 0 : Math.max(0, now() - start)).padStart(7);
    const mark = options.mark ? `[${options.mark}] ` : "";
    return style.quiet(`${mark}${elapsed} ${formatUsd(facts.spentMicros).padStart(7)} `);
  };
  const endStream = () => {
    if (streaming !== null) write("\n");
    streaming = null;
  };
  const line = (text: string) => {
    endStream();
    write(`${prefix()} ${text}\n`);
  };
  const observed = (text: string) => line(text);
  const reported = (text: string) => line(`${style.quiet("│")} ${text}`);
  /** The empty prefix of the lines on which a text goes on. */
  const bar = () => `${" ".repeat((options.mark ? options.mark.length + 3 : 0) + 17)}${style.quiet("│")} `;

  function delta(messageId: string, text: string): void {
    if (streaming !== messageId) {
      endStream();
      write(`${prefix()} ${style.quiet("│")} `);
      streaming = messageId;
      streamed.add(messageId);
      if (streamed.size > 50) streamed.delete(streamed.values().next().value ?? "");
    }
    write(visible(text).replaceAll("\n", `\n${bar()}`));
  }

  const handlers: Record<string, (p: Payload, event: LiveEvent) => void> = {
    "job.state": (p) => {
      facts.state = str(p.to);
      const detail = str(p.detail);
      observed(`${style.strong(`● ${str(p.to)}`)} ${style.quiet(str(p.reason))}${detail ? ` ${detail}` : ""}`);
    },
    "phase.started": (p) => {
      facts.phase = str(p.phase);
      observed(`${style.accent("▸")} ${str(p.phase)}${round(p)}${p.detail ? style.quiet(` ${str(p.detail)}`) : ""}`);
    },
    "phase.ended": (p) => {
      if (facts.phase === p.phase) facts.phase = null;
      const sign = p.outcome === "ok" ? style.good("✓") : p.outcome === "failed" ? style.bad("✗") : style.quiet("–");
      const detail = p.detail ? ` ${str(p.detail)}` : "";
      observed(
        `${sign} ${str(p.phase)} ${str(p.outcome)}${round(p)} ${style.quiet(duration(num(p.durationMs)))}${detail}`,
      );
    },
    "attempt.started": (p) => observed(`attempt ${num(p.number)}: ${str(p.runtime)} with ${str(p.model)}`),
    "attempt.ended": (p) => observed(style.quiet(`attempt ended: ${str(p.outcome)} (${str(p.reason)})`)),
    "command.ended": (p) => {
      const ok = p.exitCode === 0 && !p.timedOut;
      const how = p.timedOut
        ? "timed out"
        : p.exitCode === null
          ? `signal ${str(p.signal)}`
          : `exit ${num(p.exitCode)}`;
      observed(
        `${ok ? style.good("✓") : style.bad("✗")} $ ${visibleLine(str(p.command), 100)} → ${how} ${style.quiet(duration(num(p.durationMs)))}`,
      );
    },
    "cost.updated": (p) => {
      facts.spentMicros = num(p.spentMicros);
    },
    "model.refused": (p) => observed(style.warn(`model call refused: ${str(p.code)} ${str(p.detail)}`)),
    "egress.blocked": (p) =>
      observed(style.warn(`blocked: ${str(p.host)}:${num(p.port)} in ${str(p.phase)} (${str(p.code)})`)),
    "grant.used": (p) => observed(`used up: ${str(p.type)}:${str(p.pattern)} (${str(p.grantId)})`),
    "input.refused": (p) => observed(style.warn(`${str(p.verb)} refused: ${str(p.detail)} (${str(p.code)})`)),
    "limit.hit": (p) => observed(style.warn(`limit: ${str(p.limit)} ${str(p.detail)}`)),
    "stream.capped": (p) => observed(style.warn(`events capped: ${str(p.detail)}`)),
    "forgery.refused": (p) => observed(style.bad(`refused a forged event: ${str(p.type)}`)),
    "runtime.exited": (p) =>
      observed(style.quiet(`the runtime's process ended${p.exitCode === null ? "" : ` with ${num(p.exitCode)}`}`)),
    "evidence.collected": (p) =>
      observed(
        `collected: ${num(p.files)} files ${style.good(`+${num(p.insertions)}`)} ${style.bad(`-${num(p.deletions)}`)}`,
      ),
    "verification.ended": (p) => {
      facts.rounds = Math.max(facts.rounds, num(p.round));
      observed(`${p.passed ? style.good("✓ verified") : style.bad("✗ not verified")}: ${str(p.summary)}`);
    },
    "approval.recorded": (p) => observed(`${str(p.decision)}${by(p.actor)}`),
    "publication.waiting": (p) => observed(style.warn(`waits for the forge: ${str(p.detail)}`)),
    "publication.pull_request": (p) =>
      observed(style.good(`pull request #${num(p.number)}${p.draft ? " (draft)" : ""}: ${str(p.url)}`)),
    "publication.ended": (p) =>
      observed(
        p.outcome === "published"
          ? style.good(`published ${str(p.branch)} at ${str(p.commit).slice(0, 12)}`)
          : style.bad(`not published: ${str(p.code)} ${str(p.detail)}`),
      ),
    "session.init": (p) =>
      reported(`session of ${str(p.runtime)}${p.model ? ` with ${str(p.model)}` : ""}${p.resumed ? ", resumed" : ""}`),
    "session.ended": (p) => reported(style.warn(`session ended: ${str(p.code)} ${str(p.detail)}`)),
    "turn.started": (p) => {
      facts.turn = num(p.turn);
      reported(`turn ${num(p.turn)}`);
    },
    "turn.ended": (p) =>
      reported(
        `turn ${num(p.turn)} ended: ${str(p.stopReason)}${p.errorCode ? style.bad(` ${str(p.errorCode)} ${str(p.detail)}`) : ""}`,
      ),
    "agent.text": (p) => {
      const id = str(p.messageId);
      if (typeof p.delta === "string" && p.text === undefined) delta(id, p.delta);
      else if (!streamed.has(id) && typeof p.text === "string") {
        delta(id, p.text);
        endStream();
      } else endStream();
    },
    "tool.started": (p) => {
      facts.tools += 1;
      const title = visibleLine(toolTitle(p), 120);
      tools.set(str(p.toolCallId), title);
      if (tools.size > 500) tools.delete(tools.keys().next().value ?? "");
      reported(`${style.accent("⚙")} ${title}`);
    },
    "tool.ended": (p) => {
      const title = tools.get(str(p.toolCallId)) ?? visibleLine(toolTitle(p), 120);
      tools.delete(str(p.toolCallId));
      const failed = p.status === "failed" || (typeof p.exitCode === "number" && p.exitCode !== 0);
      if (failed)
        reported(`${style.bad("✗")} ${title}${typeof p.exitCode === "number" ? ` (exit ${p.exitCode})` : ""}`);
    },
    "permission.requested": (p) => {
      const choices = Array.isArray(p.options) ? (p.options as Payload[]) : [];
      reported(style.warn(`? ${str(p.title)} ${style.quiet(`[${str(p.requestId)}]`)}`));
      for (const choice of choices) reported(`  ${str(choice.optionId)}: ${str(choice.name)}`);
    },
    "permission.resolved": (p) =>
      reported(style.quiet(`answered: ${str(p.optionId) || str(p.text) || str(p.outcome)}${by(p.actor)}`)),
    "user.message": (p) => {
      if (p.delivered) reported(`${style.strong(`to the agent${by(p.actor)}`)}: ${str(p.content)}`);
    },
    retry: (p) =>
      reported(style.warn(`retry ${num(p.attempt)}${p.status ? ` after ${num(p.status)}` : ""} ${str(p.detail)}`)),
    error: (p) => reported(style.bad(`error ${str(p.code)}: ${str(p.detail)}`)),
    "stream.gap": () => reported(style.warn("some events were lost")),
  };

  return {
    facts,
    event(event) {
      start ??= Math.min(now(), Date.parse(event.ts) || now());
      handlers[event.type]?.(event.payload, event);
    },
    note(text) {
      line(text);
    },
  };
}

const round = (p: Payload): string => (typeof p.round === "number" && p.round > 0 ? ` (round ${p.round})` : "");

function toolTitle(p: Payload): string {
  const input = p.rawInput;
  if (input && typeof input === "object" && "command" in input && typeof input.command === "string")
    return `${str(p.title) || "shell"}: ${input.command}`;
  return str(p.title) || str(p.kind) || "tool";
}
