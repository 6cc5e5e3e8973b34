import type { LiveEvent } from "@x1agent/client";
import { formatUsd } from "@x1agent/contract";
import { formatDuration } from "../../lib/format.ts";

/** Longest text in one line of the story; the rest is in its detail. */
const MAX_TITLE = 300;
const MAX_DETAIL = 20_000;

const text = (value: unknown): string => (typeof value === "string" || typeof value === "number" ? String(value) : "");
const words = (...parts: unknown[]): string => parts.map(text).filter(Boolean).join(" ");

/** One line for an event, in words; unknown types show their name. Not yet safe to show: see `visible`. */
export function titleOf({ type, payload: p }: LiveEvent): string {
  switch (type) {
    case "agent.text":
      return text(p.text);
    case "job.state":
      return words(text(p.from).replaceAll("_", " "), "→", text(p.to).replaceAll("_", " "), `(${text(p.reason)})`);
    case "phase.started":
      return words(p.phase, "started");
    case "phase.ended":
      return words(p.phase, p.outcome, formatDuration(Number(p.durationMs)));
    case "command.ended":
      return words("$", p.command, "→", p.timedOut ? "timed out" : `exit ${text(p.exitCode) || "none"}`);
    case "model.call":
      return words("model call", p.model, formatUsd(Number(p.costMicros)), formatDuration(Number(p.latencyMs)));
    case "cost.updated":
      return words("spent", formatUsd(Number(p.spentMicros)));
    case "egress.blocked":
      return words("blocked host", `${text(p.host)}:${text(p.port)}`, p.code);
    case "user.message":
      return words("message:", p.content);
    case "turn.ended":
      return words("turn", p.turn, "ended:", p.stopReason, p.detail);
    default: {
      const named = words(type, p.title, p.summary, p.code, p.detail, p.status, p.outcome);
      return named.length > MAX_TITLE ? `${named.slice(0, MAX_TITLE)}…` : named;
    }
  }
}

/** What opens below the line, or null when the line says it all. */
export function detailOf({ type, payload: p }: LiveEvent): string | null {
  if (type === "command.ended") return text(p.outputTail) || null;
  if (!type.startsWith("tool.") && type !== "runtime.raw" && type !== "permission.requested") return null;
  const content = Array.isArray(p.content)
    ? p.content.map((c: { text?: unknown; path?: unknown; newText?: unknown }) => words(c.text, c.path, c.newText))
    : [];
  const whole = [p.rawInput === undefined ? "" : JSON.stringify(p.rawInput, null, 2), ...content].filter(Boolean);
  return whole.length > 0 ? whole.join("\n").slice(0, MAX_DETAIL) : null;
}
