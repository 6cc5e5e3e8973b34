import assert from "node:assert/strict";
import {
  type Approval,
  accept,
  Fault,
  type Outcome,
  type ReasonCode,
  type RuntimeManifest,
  refuse,
} from "@x1agent/contract";
import { listApprovals } from "@x1agent/domain-approvals";
import { listFollowUps } from "@x1agent/domain-forges";
import {
  type AttemptRecord,
  getJob,
  type JobMerge,
  type JobRecord,
  setAttemptFacts,
  setJobFacts,
  startAttempt,
} from "@x1agent/domain-jobs";
import { listSecrets } from "@x1agent/domain-secrets";
import { resumableSession } from "@x1agent/domain-sessions";
import { followUpMessage } from "@x1agent/forges";
import { type Base, checkout, describe, type InstructionFile, type Remote, targetBranchName } from "../../git/index.ts";
import type { BudgetRefusal, LoopDeps } from "../deps.ts";
import { Live, type Notice } from "../live.ts";
import type { Mailbox } from "../mailbox.ts";
import { observe, phase, transition } from "../record.ts";
import { layContent, restoreSessionFiles, restoreWork } from "../saved-files.ts";
import { beginWorkspace, type OpeningWorkspace, type Standing, sidecarOrigin } from "../workspaces.ts";
import { isPartial, prepareContent } from "./content.ts";
import { gatherMerge, type Laid, layChange, mergeMessage } from "./merge.ts";
import { trustOf, withheldLogin } from "./trust.ts";
import { isPassing, parkBeginning, stillAway } from "./wait.ts";

/** Why an attempt ended before any paid call. */
export type Unprovisioned = { reason: ReasonCode; detail: string };
/** Without a session where no agent was needed: the job has gone on by then. */
export type Provisioned =
  | { ok: true; live: Live | null; job: JobRecord }
  /** Nobody answers where its repository is: the job is queued again, and not claimed before its time. */
  | { ok: "parked"; job: JobRecord }
  | ({ ok: false; job: JobRecord } & Unprovisioned);

/**
 * From `queued` to a session that has its goal: base, job repository, workspace, checkout, what an earlier attempt left,
 * set-up, then host and first message. A failure here costs no model call. An abort of `signal` ends the command that runs;
 * what was returned or thrown by then is no result.
 */
export async function provision(
  deps: LoopDeps,
  queued: JobRecord,
  mailbox: Mailbox<Notice>,
  signal: AbortSignal,
  onLive: (live: Live) => void,
): Promise<Provisioned> {
  const away = queued.reason === "forge_waiting" ? await stillAway(deps, queued) : null;
  const waiting = away && (await parkBeginning(deps, queued, away, null));
  if (waiting) return { ok: "parked", job: waiting };
  const attempt = await deps.db.tenant(queued.organizationId, (tx) => startAttempt(tx, queued, null));
  let job = await transition(deps, queued, { to: "provisioning", reason: "claimed", attemptId: attempt.id });
  const fail = (reason: ReasonCode, detail: string): Provisioned => ({ ok: false, job, reason, detail });

  const manifest = deps.manifestOf(job.runtime);
  const appDir = await deps.appDir(job.runtime);
  if (!manifest || !appDir.ok)
    return fail("installation_failed", appDir.ok ? `Unknown runtime ${job.runtime}.` : appDir.detail);

  const remote = deps.git.remote(job.repository);
  let live: Live | null = null;
  let standing: Standing | null = null;
  const open = async (remote: Remote): Promise<OpeningWorkspace> => {
    // Mounted before anything is in it.
    await deps.git.openJobRepository(job.id);
    const opening = beginWorkspace(deps, {
      ...{ job, attempt, purpose: "agent", jobRepository: deps.git.jobRepositoryPath(job.id), phase: "setup" },
      agent: {
        ...{ manifest, appDir: appDir.value, remote, standing: () => standing },
        onBudgetRefused: (_reply: BudgetRefusal) => {
          if (!live || live.budgetRefused) return;
          live.budgetRefused = true;
          mailbox.put({ kind: "budget" });
        },
      },
    });
    // The host's start takes long and reads nothing of the work tree; a set-up may change what it would read.
    if (job.setup === null)
      void opening.first.then(
        (workspace) => workspace.startHost().catch(() => {}),
        () => {},
      );
    return opening;
  };
  // Volume, sidecar and host need nothing of the base: they are made while it is looked for. A merge may need none.
  let opening = remote.ok && job.merge === null ? await open(remote.value) : null;
  try {
    await observe(deps, job, attempt.id, {
      type: "attempt.started",
      payload: { attemptId: attempt.id, number: attempt.number, runtime: job.runtime, model: job.model },
    });
    const prepared = await phase(
      deps,
      job,
      attempt.id,
      "checkout",
      async () => (remote.ok ? prepareBase(deps, job, signal) : remote),
      (value) => (value.ok ? "ok" : "failed"),
    );
    signal.throwIfAborted();
    const missing = prepared.ok ? prepared.value.base.away : undefined;
    const lacks = missing === undefined ? ("base" as const) : ("content" as const);
    const passing =
      missing === undefined ? (!prepared.ok && isPassing(prepared) ? prepared : null) : { detail: missing };
    const parked = passing && (await parkBeginning(deps, job, passing, attempt.id, lacks));
    if (parked) return { ok: "parked", job: parked };
    if (!prepared.ok) {
      const ours = prepared.code === "repository_invalid" || isPassing(prepared);
      const also = ours && remote.ok ? await withheld(deps, job, remote.value) : null;
      return fail(
        ours ? "repository_invalid" : "checkout_failed",
        also === null ? prepared.detail : `${prepared.detail} ${also}`,
      );
    }
    assert(remote.ok, "a base was found for a repository without an address");
    const { base } = prepared.value;
    const targetBranch = job.targetBranch ?? targetBranchName(job.id, job.title);
    standing = { base, targetBranch };
    job = { ...job, baseCommit: base.commit, targetBranch, attempt: attempt.number, merge: prepared.value.merge };
    const laid = await layChange(deps, job, attempt, prepared.value, signal);
    signal.throwIfAborted();
    if (!laid.ok) return fail("checkout_failed", laid.detail);
    if (laid.value?.kind === "clean" || laid.value?.kind === "unchanged")
      return { ok: true, live: null, job: await laid.value.settle(job) };
    opening ??= await open(remote.value);
    return await equip(
      deps,
      job,
      { attempt, manifest, mailbox, signal, opening, merged: laid.value, ...prepared.value },
      (made) => {
        live = made;
        onLive(made);
      },
    );
  } finally {
    if (!live) await opening?.close();
  }
}

async function withheld(deps: LoopDeps, job: JobRecord, remote: Remote): Promise<string | null> {
  const names = (projectId: string | null) =>
    deps.db.tenant(job.organizationId, async (tx) => (await listSecrets(tx, projectId)).map(({ name }) => name));
  return withheldLogin(job, remote, await names(job.projectId), await names(null));
}

type Equipment = Prepared & {
  attempt: AttemptRecord;
  manifest: RuntimeManifest;
  mailbox: Mailbox<Notice>;
  signal: AbortSignal;
  opening: OpeningWorkspace;
  /** A change laid anew, for the agent. */
  merged: Extract<Laid, { kind: "agent" }> | null;
};

/** From a base and a workspace on its way to a session that has its goal. */
async function equip(
  deps: LoopDeps,
  job: JobRecord,
  { attempt, manifest, mailbox, signal, opening, merged, base, jobRepository }: Equipment,
  onLive: (live: Live) => void,
): Promise<Provisioned> {
  const fail = (reason: ReasonCode, detail: string): Provisioned => ({ ok: false, job, reason, detail });
  const { commit, branch, remote } = base;
  const origin = remote.kind === "http" || remote.kind === "https" ? sidecarOrigin : null;
  const workspace = await opening.first;
  // While sidecar and host get ready, the work tree is written.
  const filled = checkout(workspace, { commit, branch: branch ?? "work", signal, origin });
  filled.catch(() => {});
  const [saved] = await deps.db.tenant(job.organizationId, async (tx) => [
    await resumableSession(tx, job.id, job.runtime),
    await setJobFacts(tx, job.id, { baseCommit: base.commit, targetBranch: job.targetBranch }),
    await setAttemptFacts(tx, attempt.id, { workspaceId: workspace.id, isolation: workspace.report }),
  ]);
  // After the checkout's own start, which is what everybody waits for.
  const instructions = deps.git.readInstructions(jobRepository, base.commit);
  instructions.catch(() => {});
  const opened = await opening.ready;
  const live = new Live({ deps, job, attempt, manifest, base, jobRepository, opened, mailbox });
  onLive(live);

  await filled;
  signal.throwIfAborted();
  const resumed = await restore(deps, live, saved);
  if (merged?.work && !(await restoreWork(workspace, merged.work)))
    return fail("checkout_failed", "The change that was laid anew could not be put into the workspace.");
  // No server has it before the publication.
  const content = (merged?.work && job.merge?.kept?.lfs) || [];
  if (content.length > 0 && !(await layContent(workspace, content)))
    return fail("checkout_failed", "The change's LFS content could not be put into the workspace.");
  if (job.setup !== null) {
    const command = job.setup;
    const result = await phase(
      deps,
      job,
      attempt.id,
      "setup",
      async () =>
        describe(
          command,
          "egress",
          await workspace.exec({
            ...{ argv: ["/bin/bash", "-c", command], cwd: "/workspace", env: { CI: "true", NO_COLOR: "1" } },
            ...{ network: "egress", maxOutputBytes: 4 * 1024 ** 2, timeoutMs: job.limits.setupMs, signal },
          }),
          { storeOutput: (output) => deps.blobs.put(output) },
        ),
      (value) => (value.exitCode === 0 ? "ok" : "failed"),
    );
    await observe(deps, job, attempt.id, {
      type: "command.ended",
      payload: { phase: "setup", ...result, outputBlob: result.outputBlob ?? undefined },
    });
    if (result.exitCode !== 0)
      return fail(
        "setup_failed",
        `\`${command.slice(0, 200)}\` ${result.timedOut ? "ran out of time" : `ended with ${result.exitCode ?? result.signal}`}.`,
      );
  }
  signal.throwIfAborted();
  await deps.control.setPhase(workspace.id, "agent");
  const started = await startSession(deps, live, job, resumed, await instructions, merged?.said);
  if (!started.ok)
    return fail(started.code === "isolation_unavailable" ? "isolation_unavailable" : "runtime_failed", started.detail);
  const running = await transition(deps, job, { to: "running", reason: "workspace_ready", attemptId: attempt.id });
  return { ok: true, live, job: running };
}

type Prepared = { base: Base; jobRepository: string; merge: JobMerge | null };

async function prepareBase(deps: LoopDeps, job: JobRecord, signal: AbortSignal): Promise<Outcome<Prepared>> {
  const [credential, partial] = await Promise.all([
    deps.credential?.(job, "read") ?? accept(null),
    isPartial(deps, job),
  ]);
  if (!credential.ok) return credential;
  const base = await deps.git.resolveBase({
    ...{ organizationId: job.organizationId, repository: job.repository, trust: trustOf(job) },
    // Every attempt stands on the commit that the first one resolved, unless nothing is resolved yet.
    base: job.baseCommit ?? job.base,
    partial,
    signal,
    ...(credential.value ? { credential: credential.value } : {}),
  });
  signal.throwIfAborted();
  if (!base.ok) return base;
  const merge = job.merge ? await gatherMerge(deps, job, job.merge, credential.value, signal) : accept(null);
  if (!merge.ok) return merge;
  const jobRepository = await deps.git.jobRepository(job.id, base.value);
  const whole = await prepareContent(deps, job, base.value, jobRepository, credential.value, signal);
  return accept({ base: whole, jobRepository, merge: merge.value });
}

type Resumed = { cliSession: string | null; work: boolean };

/** Puts back what the newest attempt left: its work always, its conversation where the runtime can resume. */
async function restore(
  deps: LoopDeps,
  live: Live,
  saved: Awaited<ReturnType<typeof resumableSession>>,
): Promise<Resumed> {
  if (!saved) return { cliSession: null, work: false };
  const bundle = saved.workBlob ? await deps.blobs.get(saved.workBlob) : null;
  const work = bundle !== null && (await restoreWork(live.workspace, bundle));
  const home =
    live.manifest.capabilities.includes("resume") && saved.homeBlob ? await deps.blobs.get(saved.homeBlob) : null;
  const resumed = home !== null && (await restoreSessionFiles(live.workspace, home));
  return { cliSession: resumed ? saved.cliSession : null, work };
}

async function startSession(
  deps: LoopDeps,
  live: Live,
  job: JobRecord,
  resumed: Resumed,
  instructions: readonly InstructionFile[],
  conflictSaid: readonly string[] = [],
): Promise<Outcome<null>> {
  await live.startHost();
  const started = await live.host.post("/start", {
    ...{ sessionKey: live.attempt.id, model: job.model, ask: job.ask },
    ...(instructions.length > 0
      ? { instructions: instructions.map(({ path, text }) => `# ${path}\n\n${text}`).join("\n\n") }
      : {}),
    ...(resumed.cliSession ? { resume: resumed.cliSession } : {}),
  });
  if (!started.ok) return started;
  const [approvals, followUps, now] = await deps.db.tenant(job.organizationId, async (tx) => [
    await listApprovals(tx, job.id),
    (await listFollowUps(tx, job.id, ["sent"])).filter(({ kind }) => kind !== "base"),
    await getJob(tx, job.id),
  ]);
  const merged = now?.merge ? mergeMessage(now.merge, conflictSaid) : null;
  const asked = approvals[0]?.decision === "request_changes" ? changesAsked(approvals[0]) : null;
  const said = followUps.length > 0 ? followUpMessage(followUps.toReversed()) : null;
  const sent = await live.host.post("/inject", {
    id: `goal-${live.attempt.id}`,
    content: firstMessage(
      job.goal,
      resumed,
      asked,
      [merged, said].filter((part) => part !== null).join("\n\n") || null,
    ),
    mode: "queue",
  });
  return sent.ok ? accept(null) : refuse(sent.code, sent.detail);
}

/** What a reviewer asked for, as text: the comment, then each remark with its place. Null when nothing was said. Pure. */
export function changesAsked({ comment, comments = [] }: Pick<Approval, "comment" | "comments">): string | null {
  const remarks = comments.map(
    ({ path, line, side, text }) =>
      `${path}, line ${line}${side === "old" ? " of the file before the change" : ""}:\n${text}`,
  );
  return [...(comment ? [comment] : []), ...remarks].join("\n\n") || null;
}

/** The first message of an attempt; `followed` is what was said about its published change. Pure. */
export function firstMessage(
  goal: string,
  resumed: Resumed,
  changesAsked: string | null,
  followed: string | null = null,
): string {
  const asked = changesAsked ? `A reviewer looked at the change so far and asks for this:\n\n${changesAsked}` : null;
  const said = [followed, asked].filter((part) => part !== null);
  if (resumed.cliSession)
    return (
      said.join("\n\n") ||
      `Your workspace was replaced and ${
        resumed.work ? "your files were put back" : "its files are the base's again, without any change of yours"
      }. Go on with the goal where you stopped.`
    );
  const parts = [goal];
  if (resumed.work) parts.push("An earlier attempt left changes in /workspace; build on them.");
  return [...parts, ...said].join("\n\n");
}

/** A driver's refusal as the reason of a job's end; anything else is lost work of ours and tried again. */
export function provisionFault(error: unknown): Unprovisioned | null {
  if (!(error instanceof Fault)) return null;
  if (error.code === "isolation_unavailable") return { reason: "isolation_unavailable", detail: error.message };
  return null;
}
