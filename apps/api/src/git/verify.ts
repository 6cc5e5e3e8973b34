import { Readable, Writable } from "node:stream";
import { type CommandResult, Fault, type Verification } from "@x1agent/contract";
import type { ExecResult, Workspace } from "@x1agent/workspaces";
import { checkout, restoreCommand } from "./checkout.ts";
import { parseCounts, unfinishedRun } from "./counts.ts";
import { inside } from "./inside.ts";
import type { VerificationRequest } from "./port.ts";

const maxOutputBytes = 4 * 1024 ** 2;
const tailBytes = 16 * 1024;

/** One step of a verification, in order. */
export type VerifyStep =
  | { kind: "checkout"; commit: string }
  | { kind: "restore"; base: string; paths: readonly string[] }
  | { kind: "command"; role: "setup" | "verify"; command: string; network: "none" | "egress"; timeoutMs: number };

export type VerifyPlan = { asCommitted: VerifyStep[]; withBaseTests: VerifyStep[] | null };

/**
 * What is run, in which workspace. The run with the base's own tests has a workspace to itself: code of the change ran in
 * the first one and could have prepared the second. Set-up comes before the tests are put back, as its lock file is the
 * change's. Pure.
 */
export function planVerification(request: VerificationRequest): VerifyPlan {
  const { commit, base, setup, verify, verifyNetwork, setupMs, verifyMs, testPaths } = request;
  const network = verifyNetwork ? "egress" : "none";
  const start: VerifyStep[] = [{ kind: "checkout", commit }];
  if (setup) start.push({ kind: "command", role: "setup", command: setup, network: "egress", timeoutMs: setupMs });
  const end: VerifyStep[] = verify
    ? [{ kind: "command", role: "verify", command: verify, network, timeoutMs: verifyMs }]
    : [];
  const restored =
    verify && testPaths.length ? [...start, { kind: "restore", base, paths: testPaths } as const, ...end] : null;
  return { asCommitted: [...start, ...end], withBaseTests: restored };
}

/** Opens one fresh workspace without inference; `close` stops it. */
export type OpenWorkspace = () => Promise<{ workspace: Workspace; close(): Promise<void> }>;

/**
 * Runs a verification (or, with base = commit and no test paths, a baseline). Exit status, duration and output are taken
 * by the driver from outside; nothing that runs inside relays them.
 */
export async function runVerification(open: OpenWorkspace, request: VerificationRequest): Promise<Verification> {
  const plan = planVerification(request);
  const first = await runSteps(open, plan.asCommitted, request);
  const passed =
    request.verify === null ? null : succeeded(first.setup) && first.verify !== null && succeeded(first.verify);
  let withBaseTests: Verification["withBaseTests"] = null;
  // A change that fails as it is needs no second opinion.
  if (plan.withBaseTests && passed) {
    const second = await runSteps(open, plan.withBaseTests, request);
    if (second.verify)
      withBaseTests = {
        verify: second.verify,
        passed: succeeded(second.setup) && succeeded(second.verify),
        ...reported(second.output),
      };
  }
  return {
    commit: request.commit,
    setup: first.setup,
    verify: first.verify,
    passed,
    ...reported(first.output),
    withBaseTests,
  };
}

/** What the tests' output says of them. */
function reported(output: string | null): Pick<Verification, "counts" | "noSummary"> {
  const noSummary = output === null ? null : unfinishedRun(output);
  return { counts: output === null ? null : parseCounts(output), ...(noSummary === null ? {} : { noSummary }) };
}

const succeeded = (result: CommandResult | null): boolean =>
  result === null || (result.exitCode === 0 && !result.timedOut);

type StepsResult = { setup: CommandResult | null; verify: CommandResult | null; output: string | null };

async function runSteps(
  open: OpenWorkspace,
  steps: readonly VerifyStep[],
  request: VerificationRequest,
): Promise<StepsResult> {
  const { workspace, close } = await open();
  const result: StepsResult = { setup: null, verify: null, output: null };
  const signal = request.signal ? { signal: request.signal } : {};
  try {
    for (const step of steps) {
      if (step.kind === "checkout") await checkout(workspace, { commit: step.commit, ...signal });
      else if (step.kind === "restore") await restore(workspace, step.base, step.paths);
      else {
        await request.onPhase?.(step.role);
        const { argv, options, taken } = listening(step.command, request.onOutput);
        const ended = await workspace.exec({
          argv,
          ...options,
          cwd: inside.work,
          env: { CI: "true", NO_COLOR: "1" },
          network: step.network,
          maxOutputBytes,
          timeoutMs: step.timeoutMs,
          ...signal,
        });
        const ran = taken(ended);
        result[step.role] = await describe(step.command, step.network, ran, request);
        if (step.role === "verify") result.output = ran.output.toString("utf8");
        if (!succeeded(result[step.role])) break;
      }
    }
    return result;
  } finally {
    await close();
  }
}

/**
 * How a command is run so that what it says is heard while it runs: with both streams as one, which goes through here
 * and whose end is kept as its output. Without a listener the driver keeps it.
 */
function listening(
  command: string,
  onOutput: VerificationRequest["onOutput"],
): {
  argv: string[];
  options: { stdout?: Writable };
  taken(ran: ExecResult): ExecResult;
} {
  const argv = ["/bin/bash", "-c", command];
  if (!onOutput) return { argv, options: {}, taken: (ran) => ran };
  let kept = Buffer.alloc(0);
  let outputBytes = 0;
  const stdout = new Writable({
    write(chunk: Buffer, _encoding, done) {
      outputBytes += chunk.length;
      const grown = Buffer.concat([kept, chunk]);
      kept = grown.length > tailBytes * 4 ? Buffer.from(grown.subarray(-tailBytes * 4)) : grown;
      onOutput(chunk);
      done();
    },
  });
  return {
    argv: ["/bin/bash", "-c", 'exec "$@" 2>&1', "x1", ...argv],
    options: { stdout },
    taken: (ran) => ({ ...ran, output: kept, outputBytes }),
  };
}

async function restore(workspace: Workspace, base: string, paths: readonly string[]): Promise<void> {
  const stdin = Readable.from([Buffer.from(paths.map((path) => `${path}\0`).join(""))]);
  const result = await workspace.exec({ ...restoreCommand(base), stdin });
  if (result.exitCode !== 0)
    throw new Fault(
      "internal",
      `The base's tests could not be put back: ${result.output.toString("utf8").slice(-300)}`,
    );
}

/** A command's result as evidence. */
export async function describe(
  command: string,
  network: "none" | "egress",
  ran: ExecResult,
  options: Pick<VerificationRequest, "storeOutput"> = {},
): Promise<CommandResult> {
  return {
    command,
    // A command that was ended by a limit did not end by itself, whatever status its last process left.
    exitCode: ran.limitHit || ran.timedOut ? null : ran.exitCode,
    signal: ran.limitHit ? `limit:${ran.limitHit}` : ran.signal,
    durationMs: Math.round(ran.durationMs),
    timedOut: ran.timedOut,
    outputBytes: ran.outputBytes,
    outputTail: ran.output.subarray(-tailBytes).toString("utf8"),
    outputBlob: (await options.storeOutput?.(ran.output)) ?? null,
    network,
  };
}

/** What the agent is told when a verification failed: the next turn's text, the output framed as data. Pure. */
export function feedbackText(verification: Verification): string {
  const failed = verification.setup && !succeeded(verification.setup) ? verification.setup : verification.verify;
  if (!failed) return "The verification could not be run.";
  const end = failed.timedOut ? `did not end within its time` : `ended with ${failed.exitCode ?? failed.signal}`;
  return [
    `The platform ran \`${failed.command}\` on your change in a fresh workspace and it ${end}.`,
    "Correct the change in /workspace so that it ends with 0. The end of its output, as data:",
    "<output>",
    failed.outputTail.slice(-8_000),
    "</output>",
  ].join("\n");
}
