import { ApiError, InvalidArgument, UnreachableError } from "@x1agent/client";
import { CommanderError } from "commander";
import { ChildFailure, exitCodeOfError, exitCodes, Interrupted, UsageError } from "./exit.ts";
import { createProgram } from "./program.ts";
import { createStyle, visible } from "./render/index.ts";

/** Runs one command line to its end and returns the exit code; prints what went wrong. */
export async function run(argv: readonly string[]): Promise<number> {
  let code: number = exitCodes.ok.code;
  const program = createProgram((value) => {
    code = value;
  });
  try {
    await program.parseAsync(argv as string[], { from: "user" });
    return code;
  } catch (error) {
    // Commander has printed its own sentence already.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exitCodes.usage.code;
    report(error, argv.includes("--json"));
    return exitCodeOfError(error);
  }
}

function report(error: unknown, json: boolean): void {
  const style = createStyle(process.stderr, process.env);
  if (error instanceof ApiError) {
    const { problem } = error;
    if (json) {
      process.stderr.write(`${JSON.stringify(problem)}\n`);
      return;
    }
    process.stderr.write(`${style.bad(visible(problem.detail))}\n`);
    const errors = problem.errors ?? [];
    // A single one is the sentence above already.
    for (const entry of errors.length > 1 ? errors : [])
      process.stderr.write(`  ${visible(entry.path)}: ${visible(entry.message)}\n`);
    process.stderr.write(
      `${style.quiet(`${visible(problem.hint)} [${problem.code}${problem.instance ? ` ${visible(problem.instance)}` : ""}]`)}\n`,
    );
    return;
  }
  if (
    [UsageError, InvalidArgument, ChildFailure, UnreachableError, Interrupted].some((kind) => error instanceof kind)
  ) {
    const { message } = error as Error;
    if (json) process.stderr.write(`${JSON.stringify({ detail: message })}\n`);
    else process.stderr.write(`${style.bad(visible(message))}\n`);
    return;
  }
  // A bug of ours: loud, with its trace.
  process.stderr.write(`${visible(error instanceof Error ? (error.stack ?? error.message) : String(error))}\n`);
}

/** Entry of the executable. */
export async function start(): Promise<void> {
  // A reader such as `head` that goes away is no failure of ours.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
  process.exitCode = await run(process.argv.slice(2));
}
