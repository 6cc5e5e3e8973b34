import { createInterface } from "node:readline/promises";
import type { Client } from "@x1agent/client";
import type { Command } from "commander";
import { connect } from "./connection.ts";
import { Interrupted, UsageError } from "./exit.ts";
import { createStyle, type Style } from "./render/index.ts";

/** What every command works with. The client is made on first use: `x1 up` and `--help` need no service. */
export type Context = {
  readonly client: Client;
  readonly json: boolean;
  readonly style: Style;
  readonly data: string | undefined;
  /** Prints a result: the value itself with --json, else the text. */
  print(value: unknown, text: string | (() => string)): void;
  /** Text for a person, never part of a --json result. */
  say(text: string): void;
  /** Asks a yes/no question; `no` where nobody can answer or the answer is Ctrl-D. Rejects with `Interrupted` at Ctrl-C. */
  confirm(question: string): Promise<boolean>;
};

/** Builds the context from the options of a command and of the program. */
export function contextOf(command: Command): Context {
  const options = command.optsWithGlobals<{ json?: boolean; data?: string }>();
  const style = createStyle(process.stdout, process.env);
  let client: Client | undefined;
  return {
    get client() {
      client ??= connect(options.data === undefined ? {} : { data: options.data });
      return client;
    },
    json: options.json ?? false,
    style,
    data: options.data,
    print(value, text) {
      process.stdout.write(`${options.json ? JSON.stringify(value) : typeof text === "string" ? text : text()}\n`);
    },
    say(text) {
      if (!options.json) process.stdout.write(`${text}\n`);
    },
    async confirm(question) {
      if (!process.stdin.isTTY || options.json) return false;
      const terminal = createInterface({ input: process.stdin, output: process.stderr });
      const stopped = new AbortController();
      terminal.once("SIGINT", () => stopped.abort());
      try {
        const answer = await terminal.question(`${question} [y/N] `, { signal: stopped.signal });
        return /^y(es)?$/i.test(answer.trim());
      } catch (error) {
        // Both keys make readline reject; only one of them is ours.
        if (!(error instanceof Error && error.name === "AbortError")) throw error;
        process.stderr.write("\n");
        if (stopped.signal.aborted) throw new Interrupted("Nothing was decided.");
        return false;
      } finally {
        terminal.close();
      }
    },
  };
}

/** Longest secret that is read, as the contract allows. */
const MAX_SECRET = 100_000;

/** Reads a secret: from the terminal without echo, else all of standard input. Never from an argument. */
export async function readSecret(prompt: string): Promise<string> {
  const { stdin, stderr } = process;
  if (!stdin.isTTY) {
    let text = "";
    stdin.setEncoding("utf8");
    for await (const chunk of stdin) {
      text += chunk;
      if (text.length > MAX_SECRET) throw new UsageError(`A secret has at most ${MAX_SECRET} characters.`);
    }
    return text.replace(/\r?\n$/, "");
  }
  // Echo goes off before the prompt asks for anything: what is typed at once is not shown either.
  stdin.setRawMode(true);
  stderr.write(`${prompt}: `);
  stdin.resume();
  stdin.setEncoding("utf8");
  return new Promise((resolve, reject) => {
    let text = "";
    const end = (finish: () => void) => {
      stdin.off("data", take);
      stdin.setRawMode(false);
      stdin.pause();
      stderr.write("\n");
      finish();
    };
    const take = (chunk: string) => {
      for (const key of chunk) {
        if (key === "\r" || key === "\n" || key === "\x04") return end(() => resolve(text));
        if (key === "\x03") return end(() => reject(new Interrupted("Nothing was stored.")));
        text = key === "\x7f" || key === "\b" ? text.slice(0, -1) : text + key;
      }
    };
    stdin.on("data", take);
  });
}
