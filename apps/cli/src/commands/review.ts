import { randomUUID } from "node:crypto";
import type { Client } from "@x1agent/client";
import { Digest, type Evidence } from "@x1agent/contract";
import { type Command, InvalidArgumentError } from "commander";
import { attach, newestEvent } from "../attach.ts";
import { type Context, contextOf } from "../context.ts";
import { exitCodes, UsageError } from "../exit.ts";
import type { SetExit } from "../program.ts";
import { diffText, evidenceText, stateText } from "../render/index.ts";
import { jobIdOf } from "./options.ts";

const digest = (text: string): string => {
  if (!Digest.safeParse(text).success) throw new InvalidArgumentError("A digest is 64 hexadecimal digits.");
  return text;
};

/** `evidence`, `diff`, `approve`, `reject`: look, then decide on exactly what was looked at. */
export function addReviewCommands(program: Command, setExit: SetExit): void {
  program
    .command("evidence [job]")
    .description("what the platform itself saw, newest round first")
    .action(async (given: string | undefined, _, command: Command) => {
      const context = contextOf(command);
      const { items } = await context.client.listEvidence({ params: { jobId: await jobIdOf(context.client, given) } });
      context.print(
        items,
        () => items.map((item) => evidenceText(item, context.style)).join("\n\n") || "No evidence yet.",
      );
    });

  program
    .command("diff [job]")
    .description("the change as a unified diff (default: of the newest job)")
    .option("--evidence <id>", "of another round")
    .action(async (given: string | undefined, options, command: Command) => {
      const context = contextOf(command);
      const diff = await context.client.jobDiff({
        params: { jobId: await jobIdOf(context.client, given) },
        ...(options.evidence ? { query: { evidenceId: options.evidence } } : {}),
      });
      context.print({ diff }, () => diffText(diff, context.style));
    });

  program
    .command("approve <job>")
    .description("print the evidence, ask, and approve exactly that")
    .option("--yes", "do not ask (for scripts that have looked)")
    .option("--digest <hex>", "approve only if this is still the digest, as an earlier screen showed it", digest)
    .option("--override", "approve although verification did not pass")
    .option("--comment <text>")
    .option("--wait", "follow the publication to its end")
    .action(async (jobId: string, options, command: Command) => {
      const context = contextOf(command);
      const evidence = await currentEvidence(context.client, jobId);
      context.say(evidenceText(evidence, context.style));
      // What is sent is what a screen showed: the given digest, or the one printed just now. The service compares.
      const shown = (options.digest as string | undefined) ?? evidence.approvalDigest;
      if (!shown) throw new UsageError("This evidence cannot be approved: it has no digest.");
      const question = options.override
        ? "Verification did not pass. Approve and publish all the same?"
        : "Approve and publish exactly this?";
      if (!options.yes && !(await context.confirm(question))) {
        context.say("Nothing was decided. In a script, look first and then use --yes.");
        setExit(exitCodes.waiting.code);
        return;
      }
      const after = options.wait ? await newestEvent(context.client, jobId) : 0;
      await decide(context, jobId, options.override ? "override" : "approve", shown, options.comment);
      if (options.wait)
        setExit(await attach(context, jobId, { interactive: false, after, leaving: "awaiting_approval" }));
    });

  program
    .command("reject <job>")
    .description("refuse the change; with --changes the agent tries again")
    .option("--changes <text>", "ask for changes: the text becomes the next goal of the session")
    .option("--digest <hex>", "as an earlier screen showed it", digest)
    .option("--comment <text>")
    .action(async (jobId: string, options, command: Command) => {
      const context = contextOf(command);
      const shown =
        (options.digest as string | undefined) ?? (await currentEvidence(context.client, jobId)).approvalDigest;
      if (!shown) throw new UsageError("This evidence has no digest to decide on; `x1 cancel` ends the job.");
      await decide(
        context,
        jobId,
        options.changes ? "request_changes" : "reject",
        shown,
        options.changes ?? options.comment,
      );
    });
}

/** The evidence that the job's approval digest binds to. */
async function currentEvidence(client: Client, jobId: string): Promise<Evidence> {
  const job = await client.getJob({ params: { jobId } });
  const { items } = await client.listEvidence({ params: { jobId } });
  const current =
    items.find((item) => item.approvalDigest !== null && item.approvalDigest === job.approvalDigest) ?? items[0];
  if (!current) throw new UsageError(`There is no evidence yet: the job is ${job.state}.`);
  return current;
}

async function decide(
  context: Context,
  jobId: string,
  decision: "approve" | "override" | "reject" | "request_changes",
  shown: string,
  comment: string | undefined,
): Promise<void> {
  const job = await context.client.decide({
    params: { jobId },
    idempotencyKey: randomUUID(),
    body: { decision, digest: shown, ...(comment === undefined ? {} : { comment }) },
  });
  context.print(job, () => stateText(job, context.style));
}
