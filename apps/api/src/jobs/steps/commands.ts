import { appendAudit } from "@x1agent/domain-audit";
import type { JobRecord } from "@x1agent/domain-jobs";
import { type Command, closeQuestions, takeCommands } from "@x1agent/domain-sessions";
import type { LoopDeps } from "../deps.ts";
import type { Live } from "../live.ts";
import { observe } from "../record.ts";

/** Verbs of the host by kind of command; the others concern the loop itself. */
const verbs = { inject: "/inject", interrupt: "/interrupt", answer: "/answer", model: "/model" } as const;

/** Passes on what people said to the session since last time. A refusal of the host becomes an event: nobody waits for it any more. */
export async function passCommands(deps: LoopDeps, job: JobRecord, live: Live): Promise<void> {
  const commands = await deps.db.tenant(job.organizationId, (tx) => takeCommands(tx, job.id));
  for (const command of commands) if (command.kind in verbs) await pass(deps, job, live, command);
}

async function pass(deps: LoopDeps, job: JobRecord, live: Live, { kind, body, actor }: Command): Promise<void> {
  const answer = await live.host.post(verbs[kind as keyof typeof verbs], body);
  if (!answer.ok) {
    await observe(deps, job, live.attempt.id, {
      type: "input.refused",
      payload: { verb: kind, code: answer.code, detail: answer.detail.slice(0, 2_000) },
    });
    return;
  }
  await deps.db.tenant(job.organizationId, async (tx) => {
    if (kind === "answer") await closeQuestions(tx, live.attempt.id, "answered", String(body.requestId));
    // What was said is in the events; the audit says that it was, and by whom.
    await appendAudit(tx, job.organizationId, {
      actor,
      action: `job.${kind}`,
      subject: job.id,
      data: kind === "model" ? body : {},
    });
  });
}
