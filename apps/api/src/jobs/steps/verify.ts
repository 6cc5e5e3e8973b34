import { createHash } from "node:crypto";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import {
  type Actor,
  accept,
  type CommandResult,
  defaultPullRequests,
  type Outcome,
  type ReasonCode,
  Verification,
} from "@x1agent/contract";
import { recordApproval, storeEvidence, voidApprovals } from "@x1agent/domain-approvals";
import { jobMoney } from "@x1agent/domain-budgets";
import { getOrigin, type Origin } from "@x1agent/domain-forges";
import { findBaseline, type JobMerge, type JobRecord, keepBaseline, setJobFacts } from "@x1agent/domain-jobs";
import { getProject } from "@x1agent/domain-projects";
import { appendEvents, blockedHosts, saveSession } from "@x1agent/domain-sessions";
import { newId } from "@x1agent/kernel";
import type { Workspace } from "@x1agent/workspaces";
import {
  canonicalBytes,
  collectChange,
  decideByPolicy,
  feedbackText,
  type Imported,
  lfsChanged,
  newPointer,
  runVerification,
  secretsIn,
  unresolved,
  verificationSentence,
} from "../../git/index.ts";
import { sealEvidence } from "../../use-cases/evidence.ts";
import { afterVerification, type End, mayTell } from "../decide.ts";
import type { LoopDeps } from "../deps.ts";
import type { Live } from "../live.ts";
import { observe, observed, phase, transition } from "../record.ts";
import { saveSessionFiles } from "../saved-files.ts";
import { openWorkspace } from "../workspaces.ts";
import { trustOf } from "./trust.ts";
import { whenBack } from "./wait.ts";

/** What a round is about: the attempt, what it stands on, and what its agent said last. */
export type RoundOf = Pick<Live, "attempt" | "base" | "jobRepository" | "summary"> & {
  workspace: Pick<Live["workspace"], "report">;
  /** Where something takes care that they are gone in the end, further workspaces end beside what goes on. */
  endBeside?: Live["endBeside"];
  /** Where there is an agent: what it holds, and itself, are given up when nothing more is asked of it. */
  giveBack?: Live["giveBack"];
  letGo?: Live["letGo"];
};

export type RoundEnd = { kind: "moved"; job: JobRecord } | ({ kind: "end" } & End);

/** Takes the work out of the workspace and keeps it, with the session, for whatever comes: null is no change. */
export async function saveProgress(
  deps: LoopDeps,
  job: JobRecord,
  live: Live,
  signal?: AbortSignal,
): Promise<Outcome<{ file: string; named: string[] } | null>> {
  await live.flush();
  // What set-up leaves is made again by the next attempt's; one that was let go has left what it had.
  if (!live.turnBegan || live.over) return accept(null);
  const { attempt, manifest, workspace, base } = live;
  const folder = join(deps.dataDir, "jobs");
  await mkdir(folder, { recursive: true });
  const file = join(folder, `${attempt.id}.bundle`);
  const [home, collected] = await Promise.all([
    saveSessionFiles(workspace, manifest.sessionFiles, signal),
    collectChange(workspace, { base: base.commit, file, ...(signal ? { signal } : {}) }),
  ]);
  const bundle = collected.ok && collected.value.file ? await readFile(collected.value.file) : null;
  const [homeBlob, workBlob] = await Promise.all([
    home ? deps.blobs.put(home) : null,
    bundle ? deps.blobs.put(bundle) : null,
  ]);
  await deps.db.tenant(job.organizationId, (tx) =>
    saveSession(tx, job.organizationId, job.id, {
      ...{ attemptId: attempt.id, runtime: manifest.name },
      ...(homeBlob ? { homeBlob } : {}),
      ...(workBlob ? { workBlob } : {}),
    }),
  );
  if (!collected.ok) return collected;
  return accept(collected.value.file ? { file: collected.value.file, named: collected.value.named } : null);
}

/** Collects, imports and returns the platform's commit; null when nothing changed. */
async function takeChange(
  deps: LoopDeps,
  job: JobRecord,
  live: Live,
  round: number,
  signal?: AbortSignal,
): Promise<Outcome<Imported | null>> {
  const { attempt, jobRepository } = live;
  const collected = await saveProgress(deps, job, live, signal);
  signal?.throwIfAborted();
  if (!collected.ok || collected.value === null) return collected as Outcome<null>;
  const tool = await openWorkspace(deps, { job, attempt, purpose: "tool", jobRepository });
  try {
    return await importCollected(deps, job, live, tool.workspace, collected.value, round, signal);
  } finally {
    live.endBeside(tool);
    await rm(collected.value.file, { force: true });
  }
}

/** Makes the platform's commit of what was collected, or merged, and tells what it holds. */
export async function importCollected(
  deps: LoopDeps,
  job: JobRecord,
  { attempt, base, jobRepository }: Pick<RoundOf, "attempt" | "base" | "jobRepository">,
  tool: Workspace,
  collected: { file: string; named: readonly string[] },
  round: number,
  signal?: AbortSignal,
): Promise<Outcome<Imported>> {
  const origin = await deps.db.tenant(job.organizationId, (tx) => getOrigin(tx, job.id));
  const imported = await deps.git.importChange({
    ...{ tool, jobRepository, base: base.commit, collected },
    lfs: {
      upload: deps.contentFetch !== undefined && (base.remote.kind === "https" || base.remote.kind === "http"),
      known: job.merge?.kept?.lfs ?? [],
    },
    // The attempt's start is stored, so that a repeated import makes the same commit.
    text: {
      ...{ title: job.title, body: "", jobId: job.id, at: new Date(attempt.startedAt) },
      coAuthors: origin?.facts.askedBy ? [origin.facts.askedBy] : [],
      ...(job.merge?.onto ? { onto: job.merge.onto } : {}),
    },
    ...(signal ? { signal } : {}),
  });
  signal?.throwIfAborted();
  if (!imported.ok) return imported;
  const { commit, tree, files, insertions, deletions, named } = imported.value;
  await observe(deps, job, attempt.id, {
    type: "evidence.collected",
    payload: {
      round,
      commit,
      tree,
      files: files.length,
      insertions,
      deletions,
      named: named.slice(0, 1_000).map((name) => name.slice(0, 2_000)),
    },
  });
  return imported;
}

/** Runs set-up and verify command on a commit in workspaces of their own. */
async function verifyCommit(
  deps: LoopDeps,
  job: JobRecord,
  live: RoundOf,
  purpose: "verify" | "baseline",
  commit: string,
  testPaths: readonly string[],
  signal: AbortSignal,
): Promise<Verification> {
  let current: string | null = null;
  const verification = await runVerification(
    async () => {
      // The way out is there for set-up (or where the project allows it); without either there is no sidecar at all.
      const needsWay = job.setup !== null || job.verifyNetwork;
      const opened = await openWorkspace(deps, {
        ...{ job, attempt: live.attempt, purpose, jobRepository: live.jobRepository },
        ...(needsWay ? { phase: "setup" as const } : {}),
      });
      current = opened.workspace.id;
      return { ...opened, close: async () => (live.endBeside ? live.endBeside(opened) : opened.close()) };
    },
    {
      ...{
        commit,
        base: live.base.commit,
        setup: job.setup,
        verify: job.verify,
        verifyNetwork: job.verifyNetwork,
        testPaths,
      },
      ...{ setupMs: job.limits.setupMs, verifyMs: job.limits.verifyMs },
      onPhase: async (name) => {
        if (current) await deps.control.setPhase(current, name);
      },
      storeOutput: (output) => deps.blobs.put(output),
      signal,
    },
  );
  // A command that was cut short failed for no reason of the commit's.
  signal.throwIfAborted();
  return verification;
}

/**
 * The same commands on the base commit: a failing baseline is evidence. Run once for all that decides its result (who may have
 * written the caches, commit, commands, limits, what the workspace offers) and kept by the digest of that.
 */
export async function baseline(
  deps: LoopDeps,
  job: JobRecord,
  live: RoundOf,
  signal: AbortSignal,
): Promise<Verification | null> {
  if (job.verify === null) return null;
  const { base } = live;
  const { setup, verify, verifyNetwork, limits, organizationId, isolation } = job;
  const { setupMs, verifyMs, memoryBytes, processes, diskBytes } = limits;
  const trust = trustOf(job);
  const key = createHash("sha256")
    .update(
      canonicalBytes({
        ...{ organizationId, repository: base.remote.url, trust, commit: base.commit, setup, verify, verifyNetwork },
        ...{ isolation, setupMs, verifyMs, memoryBytes, processes, diskBytes, workspace: live.workspace.report },
        ...(base.content ? { content: base.content } : {}),
      }),
    )
    .digest("hex");
  const known = Verification.safeParse(await deps.db.tenant(organizationId, (tx) => findBaseline(tx, key)));
  if (known.success) return known.data;
  const result = await phase(
    deps,
    job,
    live.attempt.id,
    "baseline",
    () => verifyCommit(deps, job, live, "baseline", base.commit, [], signal),
    (value) => (value.passed === false ? "failed" : "ok"),
  );
  await deps.db.tenant(organizationId, (tx) => keepBaseline(tx, organizationId, key, result));
  return result;
}

/** `verifying`: one round. Ends in no change, in feedback to the agent, in evidence for a decision, or in a failure to collect. */
export async function verifyRound(
  deps: LoopDeps,
  verifying: JobRecord,
  live: Live,
  baselineDone: Promise<Verification | null>,
  signal: AbortSignal,
): Promise<RoundEnd> {
  const { attempt } = live;
  const round = verifying.round + 1;
  await deps.db.tenant(verifying.organizationId, (tx) => setJobFacts(tx, verifying.id, { round }));
  const job = { ...verifying, round };
  const change = await phase(
    deps,
    job,
    attempt.id,
    "collect",
    () => takeChange(deps, job, live, round, signal),
    (value) => (value.ok ? "ok" : "failed"),
    round,
  );
  if (!change.ok) return { kind: "end", to: "failed", reason: "collect_failed", detail: change.detail };
  if (change.value === null) return { kind: "end", to: "no_changes", reason: "no_work_product" };
  const imported = change.value;
  const tellAgent = async (content: string): Promise<RoundEnd> => {
    live.lastEventAt = Date.now();
    const sent = await live.host.post("/inject", { id: `round-${attempt.id}-${round}`, content, mode: "queue" });
    if (!sent.ok) return { kind: "end", to: "failed", reason: "runtime_failed", detail: sent.detail };
    return {
      kind: "moved",
      job: await transition(deps, job, { to: "running", reason: "verification_failed", attemptId: attempt.id }),
    };
  };
  // A conflict that nobody resolved needs no verification; in the last round a person sees what is left.
  const named = (...ends: string[]) => imported.named.filter((name) => ends.some((end) => name.endsWith(`: ${end}`)));
  const listed = (names: readonly string[]) => names.map((name) => `| ${name}`).join("\n");
  const open = job.merge ? named(unresolved) : [];
  if (open.length > 0 && mayTell(job)) return tellAgent(`These files still hold conflict markers:\n\n${listed(open)}`);
  // A pointer to what no server has breaks every later checkout; in a merge it may be people's own.
  const whole = named(lfsChanged);
  const broken = [...whole, ...(job.merge ? [] : named(newPointer))];
  if (broken.length > 0) {
    const why =
      whole.length > 0
        ? "Content kept in Git LFS cannot be published to this remote. Leave these files as they were"
        : "These files are pointers of Git LFS to content that is not there. Put the content itself in their place, or leave them as they were";
    if (mayTell(job)) return tellAgent(`${why}:\n\n${listed(broken)}`);
    return {
      kind: "end",
      to: "failed",
      reason: "collect_failed",
      detail: `${why}: ${broken.slice(0, 20).join("; ")}.`,
    };
  }
  const verification = await verifyChange(deps, job, live, imported, round, signal);
  const next = afterVerification(verification.passed, job);
  if (next.kind === "feedback") return tellAgent(feedbackText(verification));
  const before = await baselineDone;
  signal.throwIfAborted();
  const why = open.length > 0 ? "rounds_exhausted" : next.reason;
  return seal(deps, job, live, imported, verification, before, why, signal);
}

/** Runs the verification of a round's commit in workspaces of its own, and tells what it came to. */
export async function verifyChange(
  deps: LoopDeps,
  job: JobRecord,
  standing: RoundOf,
  imported: Imported,
  round: number,
  signal: AbortSignal,
): Promise<Verification> {
  const { attempt } = standing;
  const testPaths = imported.files.filter(({ flags }) => flags.includes("test")).map(({ path }) => path);
  const verification = await phase(
    ...([deps, job, attempt.id, "verify"] as const),
    () => verifyCommit(deps, job, standing, "verify", imported.commit, testPaths, signal),
    (value) => (value.passed === null ? "skipped" : value.passed ? "ok" : "failed"),
    round,
  );
  for (const [name, result] of [
    ["setup", verification.setup],
    ["verify", verification.verify],
  ] as const)
    if (result) await observe(deps, job, attempt.id, { type: "command.ended", payload: commandPayload(name, result) });
  await observeVerification(deps, job, attempt.id, round, verification);
  return verification;
}

/** The money is gone: what is there is kept as evidence that nobody verified. */
export async function keepUnverified(
  deps: LoopDeps,
  job: JobRecord,
  live: Live,
  signal: AbortSignal,
): Promise<RoundEnd> {
  const end = { kind: "end", to: "budget_exceeded", reason: "budget_exceeded" } as const;
  const round = job.round + 1;
  const change = await takeChange(deps, job, live, round, signal).catch(() => null);
  if (!change?.ok || change.value === null) return end;
  const verification: Verification = {
    commit: change.value.commit,
    setup: null,
    verify: null,
    passed: null,
    counts: null,
    withBaseTests: null,
  };
  return seal(deps, { ...job, round }, live, change.value, verification, null, "budget_exceeded", signal);
}

/** Seals a round's evidence and moves the job to whoever decides about it. */
export async function seal(
  deps: LoopDeps,
  job: JobRecord,
  live: RoundOf,
  imported: Imported,
  verification: Verification,
  before: Verification | null,
  reason: ReasonCode,
  signal: AbortSignal,
): Promise<RoundEnd> {
  const { attempt, base } = live;
  // Nothing of these two depends on what is found out below.
  const stored = Promise.all([
    deps.blobs.put(imported.diff),
    deps.git
      .packOf(live.jobRepository, imported.commit, base.commit, job.merge?.onto ?? undefined, imported.lfs)
      .then((pack) => deps.blobs.put(pack)),
  ]);
  stored.catch(() => {});
  const [project, money, egressBlocked, origin] = await deps.db.tenant(
    job.organizationId,
    async (tx) =>
      [
        await getProject(tx, job.projectId),
        await jobMoney(tx, job.id),
        await blockedHosts(tx, attempt.id),
        await getOrigin(tx, job.id),
      ] as const,
  );
  const policy = project?.approval ?? {
    mode: "person" as const,
    maxFiles: 0,
    maxLines: 0,
    maxCostMicros: 0,
    paths: [],
  };
  const secrets = (await deps.knownSecrets?.(job.organizationId)) ?? [];
  const words = JSON.stringify([imported.named, verification, before, job.title, live.summary]);
  const found = await deps.git.findSecrets({
    ...{ jobRepository: live.jobRepository, commit: imported.commit, secrets, signal },
    below: [base.commit, ...(job.merge?.onto ? [job.merge.onto] : [])],
    also: (imported.lfs ?? []).map(({ blob, path }) => ({ id: blob, path })),
  });
  if (!found.ok) return { kind: "end", to: "failed", reason: "repository_invalid", detail: found.detail };
  const leaks = [...found.value, ...secretsIn(words, secrets).map((name) => ({ name, path: null }))];
  const evidenceId = newId("evd");
  const notes = [...base.notes, ...(job.merge ? [mergeNote(job.merge, base.commit)] : [])];
  const evidence: Omit<Parameters<typeof sealEvidence>[1], "credential"> = {
    evidence: {
      ...{
        organizationId: job.organizationId,
        jobId: job.id,
        attemptId: attempt.id,
        round: job.round,
        repository: base.remote.url,
        base: base.commit,
        ...(job.merge?.onto ? { onto: job.merge.onto } : {}),
      },
      ...{
        targetBranch: job.targetBranch ?? `x1/${job.id}`,
        change: imported,
        leaks,
        verification,
        baseline: before,
        costMicros: money.spentMicros,
        egressBlocked,
        ...(notes.length ? { notes } : {}),
      },
      policyVersion: createHash("sha256").update(canonicalBytes(policy)).digest("hex"),
    },
    ...{ evidenceId, title: job.title, agentSummary: live.summary },
    lead: leadOf(
      origin && { ...origin, trust: trustOf(job) === "outside" ? "outside" : origin.trust },
      (project?.pullRequests ?? defaultPullRequests).closesIssue,
      deps.jobLink?.(job.id) ?? null,
    ),
  };
  // All is done but for a look at the branch: that is waited for, without the agent.
  const look = async () => {
    const credential = (await deps.credential?.(job, "read")) ?? accept(null);
    if (!credential.ok) return credential;
    return sealEvidence(deps, { ...evidence, ...(credential.value ? { credential: credential.value } : {}) });
  };
  const sealed = await whenBack(deps, job, attempt.id, signal, look, () => live.letGo?.());
  if (!sealed.ok) return { kind: "end", to: "failed", reason: "repository_invalid", detail: sealed.detail };
  const { record, recordDigest, approvalDigest, subject, pullRequest } = sealed.value;
  const [diffBlob, packBlob] = await stored;
  const decision =
    reason !== "verification_passed" && reason !== "not_verified"
      ? { kind: "person" as const, reasons: [] }
      : trustOf(job) === "outside"
        ? {
            kind: "person" as const,
            reasons: ["Its words came from outside: a person approves, whatever the policy is."],
          }
        : decideByPolicy(record, policy);
  const out = reason === "budget_exceeded";
  const moved = await transition(deps, job, {
    to: out ? "budget_exceeded" : decision.kind === "auto" ? "publishing" : "awaiting_approval",
    reason: out ? "budget_exceeded" : decision.kind === "auto" ? "approved_by_policy" : reason,
    attemptId: attempt.id,
    ...(decision.kind === "auto"
      ? { actor: policyActor }
      : decision.reasons.length > 0
        ? { detail: decision.reasons.join(" ") }
        : {}),
    async also(tx) {
      await live.giveBack?.(tx);
      await voidApprovals(tx, job.id);
      await storeEvidence(tx, job.organizationId, {
        ...{
          id: evidenceId,
          jobId: job.id,
          attemptId: attempt.id,
          round: job.round,
          record,
          recordDigest,
          approvalDigest,
          subject,
          pullRequest,
          diffBlob,
          packBlob,
        },
        baseBranch: base.branch ?? job.merge?.baseBranch ?? null,
      });
      await setJobFacts(tx, job.id, { approvalDigest, round: job.round });
      if (decision.kind !== "auto") return;
      const approval = await recordApproval(tx, job.organizationId, {
        ...{
          jobId: job.id,
          evidenceId,
          decision: "approve",
          digest: approvalDigest,
          actor: policyActor,
          comment: null,
        },
      });
      const payload = { approvalId: approval.id, decision: "approve", digest: approvalDigest, actor: "policy:auto" };
      await appendEvents(tx, job.organizationId, job.id, [
        observed({ type: "approval.recorded", payload }, attempt.id),
      ]);
    },
  });
  return { kind: "moved", job: moved };
}

/** One sentence on what the platform laid the change on. Pure. */
const mergeNote = ({ onto, side, conflicts }: JobMerge, base: string): string => {
  const what =
    onto === null
      ? `The change was laid on ${side.slice(0, 12)}, to which its branch had moved, and verified anew`
      : `Brings the base ${base.slice(0, 12)} into the branch at ${onto.slice(0, 12)}; what is shown is the whole change on the new base`;
  const who = `the agent resolved conflicts in ${conflicts.slice(0, 20).join(", ")}`;
  return conflicts.length > 0 ? `${what}; ${who}.`.slice(0, 2_000) : `${what}.`;
};

const policyActor: Actor = { kind: "policy", id: "auto" };

const commandPayload = (name: string, { outputBlob, ...result }: CommandResult) => ({
  phase: name,
  ...result,
  ...(outputBlob ? { outputBlob } : {}),
});

const observeVerification = (
  deps: LoopDeps,
  job: JobRecord,
  attemptId: string,
  round: number,
  verification: Verification,
) =>
  observe(deps, job, attemptId, {
    type: "verification.ended",
    payload: {
      ...{ round, passed: verification.passed === true, summary: verificationSentence(verification).slice(0, 2_000) },
      digest: createHash("sha256").update(canonicalBytes(verification)).digest("hex"),
    },
  });

/** What stands above the evidence in the pull request. Words from outside close no issue by themselves. Pure. */
export function leadOf(
  origin: Pick<Origin, "issueNumber" | "trust"> | null,
  closes: boolean,
  link: string | null,
): string[] {
  const issue = origin?.issueNumber;
  return [
    ...(issue == null ? [] : [`${closes && origin?.trust === "member" ? "Fixes" : "For"} #${issue}`]),
    ...(link === null ? [] : [`[The job with its evidence](${link})`]),
  ];
}
