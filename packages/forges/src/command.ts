import { parseUsd } from "@x1agent/contract";

/**
 * What a comment on an issue asks the platform for: the first line that begins with `/x1`, outside of quotations, code and
 * what a reader of the page does not see.
 * `fix [with <runtime>] [budget <dollars>]`, `retry` with the same words, `stop`, `status`, `budget <dollars>`; words may
 * be parted by commas.
 */
export type Command =
  | { verb: "fix" | "retry"; runtime: string | null; budgetMicros: number | null }
  | { verb: "budget"; budgetMicros: number }
  | { verb: "stop" | "status" };

/** `none`: the text has no command. `unclear`: it has one that is not understood; the sentence is an answer to its author. */
export type ParsedCommand =
  | { kind: "none" }
  | { kind: "command"; command: Command }
  | { kind: "unclear"; sentence: string };

/** A command stands at a comment's beginning as a rule; further than this nobody looks for one. */
const MAX_TEXT = 10_000;
const MAX_LINE = 500;
/** Comments of HTML, to the text's end where they are not closed. */
const unseen = /<!--[\s\S]*?(?:-->|$)/g;
const USAGE =
  "I know `/x1 fix`, `/x1 retry` (both also `with <runtime>` and `budget <dollars>`), `/x1 stop`, `/x1 status` and `/x1 budget <dollars>`.";

/** Reads the command of a comment. `runtimes` are the names that may follow `with`. Pure. */
export function parseCommand(text: string, runtimes: readonly string[]): ParsedCommand {
  const line = commandLine(text.slice(0, MAX_TEXT).replaceAll(unseen, ""));
  if (line === null) return { kind: "none" };
  const unclear = (sentence: string): ParsedCommand => ({ kind: "unclear", sentence: `${sentence} ${USAGE}` });
  if (line.length > MAX_LINE) return unclear("That is too long for a command.");
  const words = line
    .toLowerCase()
    .split(/[\s,]+/)
    .filter(Boolean);
  const [verb, ...rest] = words;
  switch (verb) {
    case undefined:
      return unclear("What shall I do?");
    case "stop":
    case "status":
      return rest.length === 0 ? { kind: "command", command: { verb } } : unclear(`\`${verb}\` takes no other word.`);
    case "budget": {
      const budgetMicros = rest.length === 1 ? dollars(rest[0]) : null;
      return budgetMicros === null
        ? unclear("`budget` takes one amount in dollars, such as 3 or 2.50.")
        : { kind: "command", command: { verb, budgetMicros } };
    }
    case "fix":
    case "retry":
      return withOptions(verb, rest, runtimes, unclear);
    default:
      return unclear(`I do not know ${quoted(verb)}.`);
  }
}

function withOptions(
  verb: "fix" | "retry",
  words: readonly string[],
  runtimes: readonly string[],
  unclear: (sentence: string) => ParsedCommand,
): ParsedCommand {
  let runtime: string | null = null;
  let budgetMicros: number | null = null;
  for (let at = 0; at < words.length; at += 2) {
    const [word = "", value] = words.slice(at, at + 2);
    if (word === "with" && runtime === null) {
      if (value === undefined || !runtimes.includes(value))
        return unclear(
          value === undefined
            ? "`with` takes the name of a runtime."
            : `There is no runtime ${quoted(value)} here; there are: ${runtimes.join(", ") || "none"}.`,
        );
      runtime = value;
    } else if (word === "budget" && budgetMicros === null) {
      budgetMicros = dollars(value);
      if (budgetMicros === null) return unclear("`budget` takes one amount in dollars, such as 3 or 2.50.");
    } else return unclear(`I do not understand ${quoted(word)} there.`);
  }
  return { kind: "command", command: { verb, runtime, budgetMicros } };
}

/** What follows `/x1` on the first line that begins with it; null when there is none. */
function commandLine(text: string): string | null {
  let fence: string | null = null;
  for (const line of text.split(/\r\n|\r|\n/)) {
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1];
    if (mark && fence === null) fence = mark;
    else if (mark && fence !== null && mark.startsWith(fence)) fence = null;
    else if (fence === null) {
      // Four spaces or a tab begin code, `>` a quotation.
      const match = /^ {0,3}\/x1(?![^\s])(.*)$/i.exec(line);
      if (match) return (match[1] ?? "").trim();
    }
  }
  return null;
}

function dollars(word: string | undefined): number | null {
  const micros = word === undefined ? null : parseUsd(word);
  return micros === null || micros === 0 ? null : micros;
}

/** Somebody's word in an answer of ours: no mention, link or markup comes out of it. */
const quoted = (word: string): string => `\`${word.replaceAll(/[^\w.$-]/g, "?").slice(0, 40)}\``;
