import { Command } from "commander";
import { addBackupCommands } from "./commands/backup.ts";
import { addGithubCommands } from "./commands/github.ts";
import { addJobCommands } from "./commands/jobs.ts";
import { addPolicyCommands } from "./commands/policy.ts";
import { addReviewCommands } from "./commands/review.ts";
import { addServiceCommands } from "./commands/service.ts";
import { exitCodes } from "./exit.ts";

/** Hands the exit code of a command that ends without an error to the caller. */
export type SetExit = (code: number) => void;

/** The command tree. Every command goes through the HTTP API; none touches the data directory but to find it. */
export function createProgram(setExit: SetExit): Command {
  const program = new Command("x1")
    .description("Operate coding agents: state a goal, review the evidence, approve exactly that.")
    .version("0.1.0")
    .option("--data <dir>", "data directory of the service (X1_DATA; default ~/.x1agent, as root /var/lib/x1agent)")
    .option("--json", "results as JSON, one document a line")
    .showHelpAfterError("(--help shows what is possible)")
    .exitOverride();
  program.addHelpText(
    "after",
    `\nA service elsewhere: X1_URL and X1_TOKEN.\n\nExit codes:\n${Object.values(exitCodes)
      .map(({ code, meaning }) => `  ${String(code).padEnd(4)} ${meaning}`)
      .join("\n")}`,
  );
  addServiceCommands(program, setExit);
  addBackupCommands(program, setExit);
  addJobCommands(program, setExit);
  addGithubCommands(program, setExit);
  addReviewCommands(program, setExit);
  addPolicyCommands(program, setExit);
  return program;
}
