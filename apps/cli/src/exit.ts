import { ApiError, InvalidArgument, UnreachableError } from "@x1agent/client";
import { isTerminal, type JobState } from "@x1agent/contract";

/** What `x1` ends with. Scripts decide by these. */
export const exitCodes = {
  ok: { code: 0, meaning: "done; a job waited for has succeeded" },
  failed: { code: 1, meaning: "refused, failed, or the job ended in another state than succeeded" },
  usage: { code: 2, meaning: "wrong command line" },
  unreachable: { code: 3, meaning: "no service at the address, or none in the data directory" },
  unauthorised: { code: 4, meaning: "the token is missing, unknown, or lacks the scope" },
  waiting: { code: 5, meaning: "the job waits for a person: an approval or an answer" },
  interrupted: { code: 130, meaning: "ended by Ctrl-C" },
} as const satisfies Record<string, { code: number; meaning: string }>;

/** A wrong command line that only shows after parsing. */
export class UsageError extends Error {}

/** A person ended it by Ctrl-C where something was asked; the sentence says what was not done. */
export class Interrupted extends Error {}

/** A child of ours (a part of the service) said why it could not do its work. */
export class ChildFailure extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Exit code of a job's state, for commands that wait. */
export function exitCodeOf(state: JobState): number {
  if (state === "succeeded") return exitCodes.ok.code;
  if (state === "awaiting_approval" || state === "awaiting_input") return exitCodes.waiting.code;
  return isTerminal(state) ? exitCodes.failed.code : exitCodes.ok.code;
}

/** Exit code of a failure. */
export function exitCodeOfError(error: unknown): number {
  if (error instanceof UsageError || error instanceof InvalidArgument) return exitCodes.usage.code;
  if (error instanceof ChildFailure) return error.exitCode;
  if (error instanceof Interrupted) return exitCodes.interrupted.code;
  if (error instanceof UnreachableError) return exitCodes.unreachable.code;
  if (error instanceof ApiError)
    return ["unauthenticated", "forbidden", "host_refused"].includes(error.code)
      ? exitCodes.unauthorised.code
      : exitCodes.failed.code;
  return exitCodes.failed.code;
}
