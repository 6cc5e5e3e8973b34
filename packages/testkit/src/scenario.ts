import { WireFormat } from "@x1agent/contract";
import { z } from "zod";

/**
 * A scenario is data: an ordered list of rules. For each request the first rule that matches and is not used up answers.
 * Words: the *prompt* is the text of the last user message; a *tool result* is what the CLI sent back for a call.
 */
const Pattern = z.string().refine((source) => {
  try {
    return Boolean(new RegExp(source));
  } catch {
    return false;
  }
}, "must be a regular expression");

/** When a rule applies; every given part must hold. Patterns are regular expressions, matched with the `s` flag. */
export const Match = z.strictObject({
  prompt: Pattern.optional(),
  /** Anywhere in the request's body as JSON text, notes that a CLI slips in included. */
  anywhere: Pattern.optional(),
  /** The last entry is a tool result that matches. */
  toolResult: Pattern.optional(),
  /** The last entry is (not) a tool result. */
  afterTool: z.boolean().optional(),
  model: Pattern.optional(),
  api: WireFormat.optional(),
  /** Numbers of model requests as this server counts them, from 1; both ends belong. */
  requests: z.strictObject({ from: z.number().int().min(1).default(1), to: z.number().int().min(1) }).optional(),
});

const speed = {
  /** Characters per delta. */
  chunkCharacters: z.number().int().min(1).default(24),
  chunkDelayMs: z.number().int().min(0).max(60_000).default(0),
};

/** What a rule answers. */
export const Action = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("text"), text: z.string(), thinking: z.string().optional(), ...speed }),
  /** Calls the shell tool that the request offers, whatever its name and input are called; `text` when there is none. */
  z.strictObject({
    kind: z.literal("shell"),
    commands: z.array(z.string()).min(1),
    text: z.string().optional(),
    ...speed,
  }),
  /** Calls a tool by name (any case). */
  z.strictObject({
    kind: z.literal("tool"),
    tool: z.string(),
    input: z.record(z.string(), z.unknown()),
    text: z.string().optional(),
    ...speed,
  }),
  /** An error answer in the provider's own shape. */
  z.strictObject({
    kind: z.literal("fault"),
    status: z.number().int().min(400).max(599),
    message: z.string().default("scripted fault"),
    retryAfterSeconds: z.number().min(0).optional(),
  }),
  /** A stream that starts well and then ends without its end: the connection is cut, or an error event closes it. */
  z.strictObject({
    kind: z.literal("broken"),
    afterEvents: z.number().int().min(0).default(4),
    how: z.enum(["cut", "error_event"]).default("cut"),
    text: z.string().default("This answer will not be finished, because the stream breaks."),
  }),
  /** Deltas without end, until the client leaves. */
  z.strictObject({ kind: z.literal("endless"), chunkDelayMs: z.number().int().min(1).default(50) }),
  /** Takes the request and never answers. */
  z.strictObject({ kind: z.literal("hang") }),
  /**
   * Solves an issue of the sample project by really reading, editing and testing through the shell tool.
   * `wrong-first` makes a plausible wrong fix and claims success; it repairs it once it is told that tests fail.
   */
  z.strictObject({ kind: z.literal("solve"), behaviour: z.enum(["fix", "wrong-first"]).default("fix"), ...speed }),
]);
export type Action = z.infer<typeof Action>;

const tokens = z.number().int().min(0).optional();

/** One line of a script: when, how often, and what. */
export const Rule = z.strictObject({
  match: Match.default({}),
  /** How often the rule may answer; unlimited when absent. */
  times: z.number().int().min(1).optional(),
  /** Wait before the first byte. */
  delayMs: z.number().int().min(0).max(600_000).default(0),
  /** Token counts to bill instead of counts derived from the text's length. */
  usage: z
    .strictObject({ inputTokens: tokens, outputTokens: tokens, cacheReadTokens: tokens, cacheWriteTokens: tokens })
    .optional(),
  action: Action,
});
export type Rule = z.infer<typeof Rule>;

export const Scenario = z.strictObject({ rules: z.array(Rule).min(1).max(1_000) });
export type Scenario = z.infer<typeof Scenario>;
/** A scenario as authors write it, defaults left out. */
export type ScenarioInput = z.input<typeof Scenario>;

/** Solves the sample's issues, and answers everything else in one sentence. */
export const solverScenario: ScenarioInput = { rules: [{ action: { kind: "solve" } }] };
/** Like the solver, with a wrong fix first: shows a verification that fails and a round that repairs. */
export const wrongFirstScenario: ScenarioInput = { rules: [{ action: { kind: "solve", behaviour: "wrong-first" } }] };

/** One tool that a request offers. */
export type OfferedTool = { name: string; properties: Record<string, { type?: unknown }>; required: readonly string[] };
/** One call to a tool, in no wire format. */
export type ToolCall = { id: string; name: string; input: Record<string, unknown> };
/** One entry of a conversation, in no wire format. */
export type Entry =
  | { role: "user"; text: string }
  | { role: "assistant"; text: string; calls: ToolCall[] }
  | { role: "tool"; callId: string; text: string };
/** A request of any of the three APIs, read into one shape. */
export type Conversation = {
  api: WireFormat;
  /** The whole body as JSON text. */
  body: string;
  model: string;
  stream: boolean;
  includeUsage: boolean;
  maxOutputTokens: number | undefined;
  system: string;
  tools: OfferedTool[];
  entries: Entry[];
};

/** Text of the last user message. */
export function promptOf(conversation: Conversation): string {
  return conversation.entries.findLast((entry) => entry.role === "user")?.text ?? "";
}

const test = (pattern: string | undefined, text: string) =>
  pattern === undefined || new RegExp(pattern, "s").test(text);

/** Whether a rule's condition holds for the request with this number. */
export function matches(match: z.infer<typeof Match>, conversation: Conversation, requestNumber: number): boolean {
  const last = conversation.entries.at(-1);
  const afterTool = last?.role === "tool";
  if (match.api !== undefined && match.api !== conversation.api) return false;
  if (match.afterTool !== undefined && match.afterTool !== afterTool) return false;
  if (match.toolResult !== undefined && !(afterTool && test(match.toolResult, last.text))) return false;
  if (match.requests && (requestNumber < match.requests.from || requestNumber > match.requests.to)) return false;
  if (!test(match.model, conversation.model) || !test(match.prompt, promptOf(conversation))) return false;
  return test(match.anywhere, conversation.body);
}

/** Names of shell tools, in the order of preference; compared without case. */
const shellNames = [
  "bash",
  "exec_command",
  "shell",
  "shell_command",
  "run_shell_command",
  "execute_command",
  "terminal",
];

/** The call by which this request's CLI runs a shell command; `null` when it offers no shell tool. */
export function shellCall(tools: readonly OfferedTool[], command: string): Omit<ToolCall, "id"> | null {
  for (const name of shellNames) {
    const tool = tools.find((candidate) => candidate.name.toLowerCase() === name);
    const key = tool && ["command", "cmd", "script"].find((property) => property in tool.properties);
    if (!tool || !key) continue;
    const value = tool.properties[key]?.type === "array" ? ["bash", "-lc", command] : command;
    const input: Record<string, unknown> = { [key]: value };
    // Some CLIs insist on a line that says what the command is for.
    if (tool.required.includes("description")) input.description = "Run a command";
    return { name: tool.name, input };
  }
  return null;
}

/** The shell command inside a call, as `shellCall` wrote it; `null` for other tools. */
export function commandOf(call: ToolCall): string | null {
  const value = call.input.command ?? call.input.cmd ?? call.input.script;
  if (typeof value === "string") return value;
  return Array.isArray(value) && typeof value.at(-1) === "string" ? (value.at(-1) as string) : null;
}
