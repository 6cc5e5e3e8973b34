import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { EventEnvelope, Fault } from "@x1agent/contract";
import { loseLeases } from "@x1agent/domain-budgets";
import { type AttemptRecord, endAttempt, type JobRecord, runningAttempt } from "@x1agent/domain-jobs";
import { saveSession, turnBegan } from "@x1agent/domain-sessions";
import type { WorkspaceInfo } from "@x1agent/workspaces";
import { collectChange } from "../../git/index.ts";
import type { LoopDeps } from "../deps.ts";
import { shorten, sortEvent } from "../intake.ts";
import { storeReported } from "../live.ts";
import { observe, transition } from "../record.ts";
import { saveSessionFiles } from "../saved-files.ts";

/**
 * Takes over after a process that is gone: what its host had written and nobody had stored, the session and the work tree
 * are saved from the volume it left; then its workspaces and its attempt end, and the job is queued again.
 */
export async function recover(deps: LoopDeps, job: JobRecord): Promise<JobRecord> {
  const attempt = await deps.db.tenant(job.organizationId, (tx) => runningAttempt(tx, job.id));
  const left = (await deps.driver.list()).filter(
    ({ jobId, organizationId }) => jobId === job.id && organizationId === job.organizationId,
  );
  for (const info of left) {
    if (attempt && info.attemptId === attempt.id && info.purpose === "agent") await salvage(deps, job, attempt, info);
    await deps.driver.stop(info.id);
  }
  if (attempt) await loseAttempt(deps, job, attempt, "service_lost", "The process that ran it is gone.");
  if (job.state === "queued") return job;
  return transition(deps, job, { to: "queued", reason: "service_lost", attemptId: attempt?.id ?? null });
}

/** Ends an attempt as lost, with what its sidecars held charged as estimated. */
export async function loseAttempt(
  deps: LoopDeps,
  job: JobRecord,
  attempt: Pick<AttemptRecord, "id">,
  reason: string,
  detail: string,
): Promise<void> {
  const ended = await deps.db.tenant(job.organizationId, async (tx) => {
    await loseLeases(
      tx,
      {
        organizationId: job.organizationId,
        projectId: job.projectId,
        memberId: job.createdBy.id,
        jobId: job.id,
        attemptId: attempt.id,
      },
      null,
    );
    return endAttempt(tx, attempt.id, "lost", reason);
  });
  if (ended)
    await observe(deps, job, attempt.id, {
      type: "attempt.ended",
      payload: { attemptId: attempt.id, outcome: "lost", reason, detail: detail.slice(0, 2_000) },
    });
}

/** Best effort: each part that cannot be saved is logged, and the takeover goes on. */
async function salvage(deps: LoopDeps, job: JobRecord, attempt: AttemptRecord, info: WorkspaceInfo): Promise<void> {
  const workspace = await deps.driver.get(info.id);
  if (!workspace) {
    deps.log.warn("what a lost attempt left cannot be reached", { jobId: job.id, workspaceId: info.id });
    return;
  }
  const attemptPart = async (name: string, work: () => Promise<void>) => {
    await work().catch((error: unknown) =>
      deps.log.warn(`a lost attempt's ${name} could not be saved`, { error, jobId: job.id }),
    );
  };
  await attemptPart("journal", async () => {
    const lines = (await workspace.readHostJournal()).toString("utf8").split("\n");
    for (let at = 0; at < lines.length; at += 200) {
      const events = lines.slice(at, at + 200).flatMap((line) => parseLine(line, attempt.id, job.runtime));
      await storeReported(deps, job, job.runtime, await Promise.all(events.map((event) => shorten(event, deps.blobs))));
    }
  });
  // By the record, not by the job's state: the agent is given its goal a moment before the job is said to run.
  const began = await deps.db.tenant(job.organizationId, (tx) => turnBegan(tx, job.id, attempt.id));
  if (!began) return;
  const manifest = deps.manifestOf(job.runtime);
  await attemptPart("session", async () => {
    const home = manifest ? await saveSessionFiles(workspace, manifest.sessionFiles) : null;
    if (home)
      await deps.db.tenant(job.organizationId, async (tx) =>
        saveSession(tx, job.organizationId, job.id, {
          attemptId: attempt.id,
          runtime: job.runtime,
          homeBlob: await deps.blobs.put(home),
        }),
      );
  });
  const base = job.baseCommit;
  if (base === null) return;
  await attemptPart("work", async () => {
    const folder = join(deps.dataDir, "jobs");
    await mkdir(folder, { recursive: true });
    const file = join(folder, `${attempt.id}.bundle`);
    let collected = await collectChange(workspace, { base, file });
    // The last chance for this work: what was only in the way for a moment must not cost it.
    if (!collected.ok) collected = await collectChange(workspace, { base, file });
    if (!collected.ok) throw new Fault(collected.code, collected.detail);
    if (!collected.value.file) return;
    const workBlob = await deps.blobs.put(await readFile(file));
    await rm(file, { force: true });
    await deps.db.tenant(job.organizationId, (tx) =>
      saveSession(tx, job.organizationId, job.id, { attemptId: attempt.id, runtime: job.runtime, workBlob }),
    );
  });
}

function parseLine(line: string, attemptId: string, runtime: string) {
  try {
    const envelope = EventEnvelope.safeParse(JSON.parse(line));
    if (!envelope.success) return [];
    const sorted = sortEvent(envelope.data, attemptId, runtime);
    return sorted.kind === "live" ? [] : [sorted.event];
  } catch {
    // The last line of a process that was killed while writing.
    return [];
  }
}
