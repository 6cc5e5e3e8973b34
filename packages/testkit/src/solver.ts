import {
  type Action,
  type Conversation,
  commandOf,
  type Entry,
  promptOf,
  shellCall,
  type ToolCall,
} from "./scenario.ts";

/**
 * Solves the sample project's issues the way an agent does: look, edit, test, and read what came back. Every step is
 * decided from the conversation in the request (which commands were run, what they printed), so it works for any CLI,
 * after a resume, and when a change is fed back; nothing is remembered between requests.
 *
 * Stages of one turn: look -> repair -> test -> (other failing tests: repair -> test) -> answer.
 */
type Repair = {
  /** File that the repair rewrites. */
  file: string;
  /** The words: says that a goal is about this. */
  topic: RegExp;
  /** Names of this repair's tests in failing output. */
  tests: RegExp;
  /** Present in the file as long as the issue is not solved. */
  broken: RegExp;
  wrong: string;
  right: string;
  /** Test to add below the existing ones, and the name that shows it is there. */
  addTest?: { file: string; name: string; text: string };
};

const repairs: readonly Repair[] = [
  {
    file: "src/split.ts",
    topic: /splitting|splitAmount|split\.(test\.)?ts/i,
    tests: /split: shares add up/,
    broken: /const share = Math\.(floor|round)/,
    wrong: `/** Splits an amount in cents among a number of people. */
export function splitAmount(cents: number, people: number): number[] {
  if (!Number.isInteger(people) || people < 1) throw new RangeError("people must be a whole number of at least 1");
  const share = Math.round(cents / people);
  return Array.from({ length: people }, () => share);
}
`,
    right: `/** Splits an amount in cents among a number of people; who comes first pays a cent that is left over. */
export function splitAmount(cents: number, people: number): number[] {
  if (!Number.isInteger(people) || people < 1) throw new RangeError("people must be a whole number of at least 1");
  const base = Math.floor(cents / people);
  const leftOver = cents - base * people;
  return Array.from({ length: people }, (_, index) => base + (index < leftOver ? 1 : 0));
}
`,
  },
  {
    file: "src/format.ts",
    topic: /formatAmount|negative amounts|format\.(test\.)?ts/i,
    tests: /format: /,
    broken: /return `\$\$\{\((cents|Math\.abs\(cents\)) \/ 100\)/,
    wrong: `/** Prints an amount in cents as dollars. */
export function formatAmount(cents: number): string {
  return \`$\${(Math.abs(cents) / 100).toFixed(2)}\`;
}
`,
    right: `/** Prints an amount in cents as dollars; the sign of a negative amount stands before the dollar sign. */
export function formatAmount(cents: number): string {
  const sign = cents < 0 ? "-" : "";
  return \`\${sign}$\${(Math.abs(cents) / 100).toFixed(2)}\`;
}
`,
    addTest: {
      file: "test/format.test.ts",
      name: "format: negative amounts",
      text: `
test("format: negative amounts", () => {
  assert.equal(formatAmount(-500), "-$5.00");
});
`,
    },
  },
  {
    file: "src/parse.ts",
    topic: /parseAmount|thousands separator|parse\.(test\.)?ts/i,
    tests: /parse: /,
    broken: /\(\\d\+\)|\[\\d,\]/,
    wrong: `/** Reads an amount in dollars, such as \`12.50\` or \`$12\`, as cents. */
export function parseAmount(text: string): number {
  const match = /^\\$?([\\d,]+)(?:\\.(\\d{2}))?$/.exec(text.trim());
  if (!match) throw new SyntaxError(\`not an amount: \${text}\`);
  return Number(match[1]?.replaceAll(",", "")) * 100 + Number(match[2] ?? 0);
}
`,
    right: `/** Reads an amount in dollars, such as \`12.50\`, \`$12\` or \`1,250.50\`, as cents. */
export function parseAmount(text: string): number {
  const match = /^\\$?(\\d{1,3}(?:,\\d{3})+|\\d+)(?:\\.(\\d{2}))?$/.exec(text.trim());
  if (!match) throw new SyntaxError(\`not an amount: \${text}\`);
  return Number(match[1]?.replaceAll(",", "")) * 100 + Number(match[2] ?? 0);
}
`,
    addTest: {
      file: "test/parse.test.ts",
      name: "parse: thousands separators",
      text: `
test("parse: thousands separators", () => {
  assert.equal(parseAmount("1,250.50"), 125050);
  assert.equal(parseAmount("$12,345,678"), 1234567800);
});
`,
    },
  },
];

/** How each of the solver's commands begins: so it finds them again in the conversation it is sent. */
const step = { look: "ls && cat AGENTS.md", repair: "cat > ", test: "node --test" } as const;
const lookCommand = `${step.look} && tail -n +1 src/*.ts test/*.test.ts`;
const testCommand = `${step.test}; echo "exit $?"`;

function repairCommand(repair: Repair, behaviour: "fix" | "wrong-first", look: string): string {
  const lines = [`${step.repair}${repair.file} <<'SOURCE' && echo "rewrote ${repair.file}"`];
  lines.push((behaviour === "fix" ? repair.right : repair.wrong).trimEnd(), "SOURCE");
  if (repair.addTest && behaviour === "fix" && !look.includes(repair.addTest.name))
    lines.push(`cat >> ${repair.addTest.file} <<'SOURCE'`, "", repair.addTest.text.trim(), "SOURCE");
  return `${lines.join("\n")}\ngit diff --stat`;
}

/** What the solver says or does next. */
export type SolverMove = { text: string; command?: string };

type Ran = { command: string; result: string | null };

/** Commands of the solver in these entries, each with what came back. */
function commandsIn(entries: readonly Entry[]): Ran[] {
  const results = new Map(
    entries.flatMap((entry) => (entry.role === "tool" ? [[entry.callId, entry.text] as const] : [])),
  );
  const calls = entries.flatMap((entry): ToolCall[] => (entry.role === "assistant" ? entry.calls : []));
  return calls.flatMap((call) => {
    const command = commandOf(call);
    return command === null ? [] : [{ command, result: results.get(call.id) ?? null }];
  });
}

/** File text out of the look command's output (`tail` heads each file with its name). */
function fileIn(look: string, file: string): string {
  const start = look.indexOf(`==> ${file} <==`);
  if (start < 0) return "";
  const end = look.indexOf("\n==> ", start);
  return look.slice(start, end < 0 ? undefined : end);
}

/** The next move for this conversation. Pure. */
export function solve(conversation: Conversation, behaviour: "fix" | "wrong-first"): SolverMove {
  const { entries } = conversation;
  const users = entries.flatMap((entry) => (entry.role === "user" ? [entry.text] : []));
  const goal = users.join("\n");
  const turn = commandsIn(entries.slice(entries.findLastIndex((entry) => entry.role === "user") + 1));
  const last = turn.at(-1);
  const look = turn.findLast((ran) => ran.command.startsWith(step.look))?.result ?? null;
  const named = repairs
    .filter((repair) => repair.topic.test(goal))
    .sort((a, b) => goal.search(a.topic) - goal.search(b.topic));
  // A goal quotes one issue, and later messages may ask for more: the first that is still to be done is the one meant.
  const wanted = named.find(({ broken, file }) => look !== null && broken.test(fileIn(look, file))) ?? named[0];
  if (!wanted) return { text: `This is the scripted model. It heard: ${promptOf(conversation).slice(0, 200)}` };

  if (!last || look === null) {
    if (last?.command.startsWith(step.look)) return { text: "I could not look at the project, so I stop here." };
    return { text: "I will look at the project first.", command: lookCommand };
  }
  const source = fileIn(look, wanted.file);
  if (!source) return { text: `I did not find ${wanted.file} here, so I changed nothing.` };
  if (last.result === null) return { text: "The last command was interrupted, so I stop here." };

  // After a restart without history the file itself says that the wrong repair was made already.
  const first =
    behaviour === "wrong-first" &&
    !commandsIn(entries).some((ran) => ran.command.startsWith(step.repair)) &&
    !source.includes(wanted.wrong.trimEnd());
  if (last.command.startsWith(step.look)) {
    if (!wanted.broken.test(source)) return { text: "It looks solved; I will run the tests.", command: testCommand };
    return {
      text: `The cause is in ${wanted.file}. I will change it.`,
      command: repairCommand(wanted, first ? "wrong-first" : "fix", look),
    };
  }
  if (last.command.startsWith(step.repair)) {
    if (!/^rewrote /m.test(last.result)) return { text: "The edit did not work here, so I stop." };
    if (behaviour === "wrong-first" && last.command.includes(wanted.wrong.trimEnd()))
      return { text: `Done: I changed ${wanted.file}. That should solve it.` };
    return { text: "Now the tests.", command: testCommand };
  }
  if (/^exit 0$/m.test(last.result)) return { text: `Done: ${wanted.file} is repaired and all tests pass.` };
  const also = repairs.find(
    (repair) =>
      repair.tests.test(failuresIn(last.result ?? "")) &&
      repair.broken.test(fileIn(look, repair.file)) &&
      !turn.some((ran) => ran.command.startsWith(`${step.repair}${repair.file}`)),
  );
  if (!also) return { text: "Tests still fail and I do not know why. I stop here." };
  return {
    text: `A test of ${also.file} fails as well. I will repair that too.`,
    command: repairCommand(also, "fix", look),
  };
}

/** Lines of `node --test` output that name failing tests, in its spec and TAP form. */
const failuresIn = (output: string) =>
  output
    .split("\n")
    .filter((line) => /✖|^\s*not ok/.test(line))
    .join("\n");

type SolverAction = Extract<Action, { kind: "text" | "shell" }>;

/** A solver move as an action of the scripted model; plain text where the CLI offers no shell tool. */
export function solveAction(conversation: Conversation, action: Action & { kind: "solve" }): SolverAction {
  const { chunkCharacters, chunkDelayMs } = action;
  const move = solve(conversation, action.behaviour);
  if (!move.command) return { kind: "text", text: move.text, chunkCharacters, chunkDelayMs };
  if (!shellCall(conversation.tools, move.command))
    return { kind: "text", text: "I have no shell tool here, so I can change nothing.", chunkCharacters, chunkDelayMs };
  return { kind: "shell", commands: [move.command], text: move.text, chunkCharacters, chunkDelayMs };
}
