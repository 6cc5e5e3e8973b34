import type { LiveEvent } from "@x1agent/client";
import { formatUsd } from "@x1agent/contract";
import { formatDuration } from "../../../lib/format.ts";

/** Whose word a row is: what the platform saw, or what came out of the workspace. */
export type Source = "observed" | "reported";
export type DiffContent = { path: string; oldText: string | null; newText: string };
export type Tool = {
  id: string;
  kind: string;
  title: string;
  status: "running" | "completed" | "failed";
  exitCode: number | null;
  startedAt: string;
  endedAt: string | null;
  input: string;
  output: string;
  diffs: DiffContent[];
};
/** What one line of the story shows; `seq` is that of the event it began with. */
export type Row = { seq: number; ts: string; source: Source } & (
  | { kind: "text"; text: string }
  | { kind: "thought"; text: string }
  | { kind: "message"; text: string; mode: string; delivered: boolean; by: string }
  | { kind: "tool"; tool: Tool }
  | { kind: "reads"; tools: Tool[] }
  | { kind: "plan"; entries: { content: string; status: string }[] }
  | { kind: "calls"; count: number; costMicros: number; ms: number; models: string[] }
  | {
      kind: "command";
      command: string;
      exitCode: number | null;
      timedOut: boolean;
      ms: number;
      phase: string;
      output: string;
      blob: string | null;
    }
  | { kind: "state"; text: string; detail: string; by: string }
  | { kind: "silence"; ms: number }
  | { kind: "mark"; tone: "quiet" | "waiting" | "bad" | "good"; text: string; detail: string; by: string }
);
/** `by` of a row is an actor as events have it; empty where nobody is to be named. This turns it into a name. */
export type Namer = (by: string) => string;

/** A pause this long between two events is shown as one. */
const SILENCE_MS = 30_000;
const MAX_TOOL_TEXT = 200_000;

const text = (value: unknown): string => (typeof value === "string" || typeof value === "number" ? String(value) : "");
const words = (...parts: unknown[]): string => parts.map(text).filter(Boolean).join(" ");
const plain = (value: unknown): string => text(value).replaceAll("_", " ");
const isRead = (tool: Tool) => (tool.kind === "read" || tool.kind === "search") && tool.status === "completed";

/**
 * Folds events into rows, one at a time and in order, so that a story of 100,000 events is never folded twice: a tool
 * call is one row from its start to its end, consecutive reads are one, consecutive model calls are one. Rows change in
 * place.
 */
export class StoryRows {
  readonly rows: Row[] = [];
  readonly #tools = new Map<string, Tool>();
  readonly #messages = new Map<string, Row & { kind: "message" }>();
  #lastAt = Number.NaN;

  add(event: LiveEvent): void {
    const { seq, ts, type } = event;
    if (seq === null) return;
    const at = Date.parse(ts);
    if (at - this.#lastAt >= SILENCE_MS)
      this.rows.push({ seq: seq - 0.5, ts, source: "observed", kind: "silence", ms: at - this.#lastAt });
    this.#lastAt = at;
    if (type.startsWith("tool.")) this.#tool(event, seq);
    else if (type === "model.call") this.#call(event, seq);
    else if (type === "user.message" && this.#delivered(event)) return;
    else {
      const row = rowOf(event);
      if (!row) return;
      const shown = { seq, ts, source: event.source, ...row } as Row;
      this.rows.push(shown);
      if (shown.kind === "message") this.#messages.set(text(event.payload.id), shown);
    }
  }

  #tool({ type, ts, source, payload: p }: LiveEvent, seq: number): void {
    const id = text(p.toolCallId);
    const known = this.#tools.get(id);
    const tool: Tool = known ?? {
      id,
      kind: "other",
      title: "",
      status: "running",
      exitCode: null,
      startedAt: ts,
      endedAt: null,
      input: "",
      output: "",
      diffs: [],
    };
    if (p.title) tool.title = text(p.title);
    if (p.kind) tool.kind = text(p.kind);
    if (p.rawInput !== undefined) tool.input = JSON.stringify(p.rawInput, null, 2).slice(0, MAX_TOOL_TEXT);
    if (Array.isArray(p.content)) {
      const content = p.content as {
        type?: string;
        text?: string;
        path?: string;
        oldText?: string;
        newText?: string;
      }[];
      const said = content.map((part) => (part.type === "text" ? text(part.text) : "")).filter(Boolean);
      if (said.length > 0) tool.output = said.join("\n").slice(-MAX_TOOL_TEXT);
      const diffs = content.filter((part) => part.type === "diff");
      if (diffs.length > 0)
        tool.diffs = diffs.map((part) => ({
          path: text(part.path),
          oldText: part.oldText ?? null,
          newText: text(part.newText),
        }));
    }
    if (type === "tool.ended") {
      tool.status =
        p.status === "failed" || (typeof p.exitCode === "number" && p.exitCode !== 0) ? "failed" : "completed";
      tool.exitCode = typeof p.exitCode === "number" ? p.exitCode : null;
      tool.endedAt = ts;
    }
    if (!known) {
      this.#tools.set(id, tool);
      this.rows.push({ seq, ts, source, kind: "tool", tool });
    }
    this.#foldReads(tool);
  }

  /** A message is told when it is queued and when it is handed over: one row. */
  #delivered({ payload: p }: LiveEvent): boolean {
    const row = this.#messages.get(text(p.id));
    if (row) row.delivered = true;
    return row !== undefined;
  }

  /** A read that ended well joins the reads right before it. */
  #foldReads(tool: Tool): void {
    const last = this.rows.at(-1);
    const before = this.rows.at(-2);
    if (last?.kind !== "tool" || last.tool !== tool || !isRead(tool)) return;
    if (before?.kind === "reads") {
      before.tools.push(tool);
      this.rows.pop();
    } else if (before?.kind === "tool" && isRead(before.tool)) {
      this.rows.splice(-2, 2, { ...before, kind: "reads", tools: [before.tool, tool] });
    }
  }

  #call({ ts, source, payload: p }: LiveEvent, seq: number): void {
    const last = this.rows.at(-1);
    const model = text(p.servedModel) || text(p.model);
    const bad = text(p.outcome) !== "ok" && Number(p.status ?? 200) >= 400;
    if (bad) {
      const status = p.status === undefined ? "" : `status ${text(p.status)}`;
      this.rows.push({
        seq,
        ts,
        source,
        kind: "mark",
        tone: "bad",
        text: words("model call failed:", plain(p.outcome), status),
        detail: model,
        by: "",
      });
    } else if (last?.kind === "calls") {
      last.count += 1;
      last.costMicros += Number(p.costMicros) || 0;
      last.ms += Number(p.latencyMs) || 0;
      if (!last.models.includes(model)) last.models.push(model);
    } else
      this.rows.push({
        seq,
        ts,
        source,
        kind: "calls",
        count: 1,
        costMicros: Number(p.costMicros) || 0,
        ms: Number(p.latencyMs) || 0,
        models: [model],
      });
  }
}

type Shown = Row extends infer R ? (R extends Row ? Omit<R, "seq" | "ts" | "source"> : never) : never;
const mark = (tone: "quiet" | "waiting" | "bad" | "good", line: string, detail: unknown = "", by = ""): Shown => ({
  kind: "mark",
  tone,
  text: line,
  detail: text(detail),
  by,
});
const decisions: Record<string, string> = {
  approve: "approved",
  reject: "rejected",
  request_changes: "changes asked for",
};
/** A person behind a move of the job; what the platform did by itself needs no name. */
const personIn = (actor: unknown): string => (text(actor).startsWith("user:") ? text(actor) : "");

/** The row of an event that stands for itself; null for those that other places show. */
function rowOf({ type, payload: p }: LiveEvent): Shown | null {
  switch (type) {
    case "agent.text":
      return { kind: "text", text: text(p.text) };
    case "agent.thought":
      return { kind: "thought", text: text(p.text) };
    case "user.message":
      return {
        ...{ kind: "message", text: text(p.content), mode: text(p.mode) },
        ...{ delivered: p.delivered === true, by: text(p.actor) },
      };
    case "plan.updated":
      return { kind: "plan", entries: (p.entries ?? []) as { content: string; status: string }[] };
    case "job.state":
      return {
        kind: "state",
        text: plain(p.to),
        detail: [plain(p.reason), text(p.detail)].filter(Boolean).join(": "),
        by: personIn(p.actor),
      };
    case "command.ended":
      return {
        kind: "command",
        command: text(p.command),
        exitCode: typeof p.exitCode === "number" ? p.exitCode : null,
        timedOut: p.timedOut === true,
        ms: Number(p.durationMs) || 0,
        phase: text(p.phase),
        output: text(p.outputTail),
        blob: text(p.outputBlob) || null,
      };
    // The state card shows money, the timeline the calls; an idle session is the end of its turn, an
    // attempt's end the job's move.
    case "attempt.ended":
    case "cost.updated":
    case "session.idle":
    case "usage.reported":
      return null;
    case "retry":
      return mark(
        "waiting",
        words("the provider is asked again, attempt", p.attempt, p.status ? `after status ${text(p.status)}` : ""),
        p.detail,
      );
    case "error":
      return mark("bad", words("error", p.code), p.detail);
    case "model.refused":
      return mark("bad", words("model call refused:", plain(p.code), p.model), p.detail);
    case "egress.blocked":
      return mark("waiting", `host refused: ${text(p.host)}:${text(p.port)}`, words(plain(p.code), p.detail));
    case "egress.opened":
      return mark("quiet", `host reached: ${text(p.host)}:${text(p.port)} in ${text(p.phase)}`);
    case "limit.hit":
      return mark("bad", words("limit reached:", plain(p.limit)), p.detail);
    case "forgery.refused":
      return mark("bad", `a forged event was refused: ${text(p.type)}`, p.detail);
    case "stream.gap":
    case "stream.capped":
      return mark("waiting", "events are missing here", p.detail);
    case "attempt.started":
      return mark("quiet", words("attempt", p.number, "with", p.runtime, p.model));
    case "phase.started":
      return mark("quiet", words(plain(p.phase), "started", p.detail));
    case "phase.ended":
      return mark(
        p.outcome === "failed" ? "bad" : "quiet",
        words(
          plain(p.phase),
          p.outcome === "ok" ? "done in" : `${text(p.outcome)} after`,
          formatDuration(Number(p.durationMs)),
        ),
        p.detail,
      );
    case "turn.started":
      return mark("quiet", `turn ${text(p.turn)} started`);
    case "turn.ended":
      return mark(
        p.stopReason === "end_turn" ? "quiet" : "waiting",
        words("turn", p.turn, "ended:", plain(p.stopReason)),
        p.detail,
      );
    case "verification.ended":
      return mark(
        p.passed === true ? "good" : "bad",
        p.passed === true ? "verification passed" : "verification failed",
        p.summary,
      );
    case "evidence.collected":
      return mark(
        "quiet",
        p.commit === null
          ? "nothing was collected"
          : `collected ${text(p.files)} ${p.files === 1 ? "file" : "files"}, +${text(p.insertions)} −${text(p.deletions)}`,
      );
    case "approval.recorded": {
      const comments = Array.isArray(p.comments) ? (p.comments as { path: string; line: number; text: string }[]) : [];
      const remarks = comments.map((comment) => `${comment.path}:${comment.line}: ${comment.text}`);
      return mark(
        "good",
        decisions[text(p.decision)] ?? plain(p.decision),
        [text(p.detail), ...remarks].filter(Boolean).join("\n"),
        text(p.actor),
      );
    }
    case "publication.ended":
      return p.outcome === "published"
        ? mark("good", words("published", text(p.commit).slice(0, 12), "on", p.branch), p.url)
        : mark("bad", words("publication refused:", plain(p.code)), p.detail);
    case "publication.waiting":
      return mark("waiting", words("the forge is waited for:", plain(p.code), `try ${text(p.tries)}`), p.detail);
    case "publication.pull_request": {
      const notes = Array.isArray(p.notes) ? p.notes.map(text).join("\n") : "";
      return mark(
        "good",
        words(p.draft === true ? "draft pull request" : "pull request", `#${text(p.number)}`),
        words(p.url, notes),
      );
    }
    case "forge.noted":
      return mark(notedTone(text(p.kind)), words(plain(p.kind), p.author ? `by ${text(p.author)}` : ""), p.detail);
    case "grant.changed":
      return mark("waiting", words("permission", p.change, p.type), "", text(p.actor));
    case "grant.used":
      return mark("quiet", words("a permission for one use is used up:", p.type, p.pattern === "*" ? "" : p.pattern));
    case "git.fetched":
      return mark("quiet", `fetched from ${text(p.repository)}`);
    case "git.pushed":
      return mark("good", words("the agent pushed", text(p.new).slice(0, 12), "to", p.ref), `${text(p.bytes)} bytes`);
    case "forge.commented":
      return mark("quiet", `the agent commented on ${text(p.repository)}#${text(p.number)}`);
    case "git.refused":
      return mark("waiting", words("a push was refused:", p.ref), p.detail);
    case "input.refused":
      return mark("waiting", words("the session refused", p.verb, plain(p.code)), p.detail);
    case "permission.requested":
      return mark(
        "waiting",
        words("asks:", p.title),
        typeof p.rawInput === "object" ? JSON.stringify(p.rawInput, null, 2) : "",
      );
    case "permission.resolved":
      return mark("quiet", words("answered:", plain(p.outcome), p.optionId, p.text), "", text(p.actor));
    case "session.ended":
    case "runtime.exited":
      return mark(
        p.exitCode === 0 || p.code === "shutdown" ? "quiet" : "waiting",
        words(
          "the agent's process ended",
          plain(p.code),
          p.exitCode === undefined ? "" : `status ${text(p.exitCode)}`,
          p.signal,
        ),
        p.detail,
      );
    case "session.init":
      return mark("quiet", words("session", p.resumed === true ? "resumed:" : "began:", p.runtime, p.version, p.model));
    default:
      return mark(
        "quiet",
        words(type, p.title, p.summary, p.code, p.status, p.outcome),
        words(p.detail) || (p.raw === undefined ? "" : JSON.stringify(p.raw, null, 2)),
      );
  }
}

/** Whether a reader who looks for trouble should land here. */
export const isTrouble = (row: Row): boolean =>
  (row.kind === "mark" && row.tone === "bad") ||
  (row.kind === "tool" && row.tool.status === "failed") ||
  (row.kind === "command" && (row.timedOut || row.exitCode !== 0));

const verbs: Record<string, string> = {
  read: "Read",
  edit: "Edit",
  delete: "Delete",
  move: "Move",
  search: "Search",
  execute: "Run",
  think: "Think",
  fetch: "Fetch",
  switch_mode: "Switch mode",
};
export const verbOf = (tool: Tool): string => verbs[tool.kind] ?? "Use";

/** What a row says, with who did it. */
export const saidOf = ({ text: said, by }: { text: string; by: string }, name: Namer): string =>
  by ? `${said} by ${name(by)}` : said;

/** A row in words: for search, for copying, and for a reader that cannot see the page. */
export function wordsOf(row: Row, name: Namer = (by) => by): string {
  switch (row.kind) {
    case "text":
    case "thought":
      return row.text;
    case "message":
      return `${saidOf({ text: "Message to the agent", by: row.by }, name)} (${row.mode}): ${row.text}`;
    case "tool":
      return words(
        `${verbOf(row.tool)}: ${row.tool.title}`,
        row.tool.status === "failed" ? "(failed)" : "",
        row.tool.input,
        row.tool.output,
      );
    case "reads":
      return `Read ${row.tools.length} files: ${row.tools.map(({ title }) => title).join(", ")}`;
    case "plan":
      return `Plan: ${row.entries.map(({ content, status }) => `[${status === "completed" ? "x" : " "}] ${content}`).join("\n")}`;
    case "calls":
      return `${row.count} model calls, ${row.models.join(", ")}, ${formatUsd(row.costMicros)}`;
    case "command":
      return `$ ${row.command} → ${row.timedOut ? "timed out" : `exit ${row.exitCode ?? "none"}`}\n${row.output}`;
    case "state":
      return `State: ${saidOf(row, name)} (${row.detail})`;
    case "silence":
      return `${formatDuration(row.ms)} without an event`;
    case "mark":
      return words(saidOf(row, name), row.detail);
  }
}

/** A fence longer than any run of backticks inside. */
const fenced = (body: string): string => {
  const longest = Math.max(2, ...[...body.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}\n${body}\n${fence}`;
};

/** The story as Markdown; what the agent said is quoted under its runtime's name. */
export function markdownOf(rows: readonly Row[], title: string, runtime: string, name?: Namer): string {
  const parts = rows.map((row) => {
    if (row.kind === "text") return `**${runtime}:**\n\n${row.text.replace(/^/gm, "> ")}`;
    if (row.kind === "command" && row.output)
      return `- \`$ ${row.command}\` → ${row.exitCode}\n\n${fenced(row.output)}`;
    if (row.kind === "tool" && row.tool.output)
      return `- ${verbOf(row.tool)}: ${row.tool.title}\n\n${fenced(row.tool.output)}`;
    return `- ${wordsOf(row, name).replace(/\s*\n\s*/g, " ")}`;
  });
  return `# ${title}\n\n${parts.join("\n\n")}\n`;
}

/** How what happened at the forge looks: what needs a person, what is well, and what only goes on. */
const notedTone = (kind: string) =>
  kind === "checks_failed" || kind === "reverted"
    ? "bad"
    : kind === "merged"
      ? "good"
      : kind === "round" || kind === "branch_deleted"
        ? "quiet"
        : "waiting";
