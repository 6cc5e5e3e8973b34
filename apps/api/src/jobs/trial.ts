import {
  type Actor,
  accept,
  Fault,
  type Outcome,
  type Project,
  type ProjectTrial,
  platformActor,
  refuse,
} from "@x1agent/contract";
import { appendAudit } from "@x1agent/domain-audit";
import { newId } from "@x1agent/kernel";
import { runVerification } from "../git/index.ts";
import type { LoopDeps } from "./deps.ts";
import { isPartial, prepareContent } from "./steps/content.ts";
import { trustOf } from "./steps/trust.ts";
import { openWorkspace } from "./workspaces.ts";

/**
 * Trials of a project's commands: set-up and verify command on the base commit, in a fresh workspace without an agent,
 * by the same steps that verify a job's work. A trial is no job: nothing of it is kept but the audit's two entries, by which
 * it is told after a restart of the service how it ended, or that it was cut off.
 */
export type Trials = {
  /** Starts one; refused `conflict` while the project has one at work, `rate_limited` while the service has its most. */
  start(request: TrialRequest): Outcome<ProjectTrial>;
  get(organizationId: string, projectId: string, trialId: string): ProjectTrial | null;
  /** Asks it to end; what it says then is `cancelled`. Null when there is none. */
  cancel(organizationId: string, projectId: string, trialId: string): ProjectTrial | null;
  /** Whether a workspace of this attempt is a running trial's. */
  owns(attemptId: string): boolean;
  /** Ends all, within the time that their workspaces take. */
  stop(): Promise<void>;
};

export type TrialRequest = {
  organizationId: string;
  project: Project;
  actor: Actor;
  setup: string | null;
  verify: string | null;
  verifyNetwork: boolean;
};

/** A workspace each, beside those of the jobs. */
const MAX_RUNNING = 2;
/** Ended ones that can still be read. */
const MAX_KEPT = 50;
/** What a page shows while it runs; the commands' results carry their own tails. */
const OUTPUT_BYTES = 64 * 1024;

/** Why trials end that nobody cancelled. */
const stopping = new Error("The service stops.");
/** What a trial says whose service went away while it ran. */
export const cutOff = "It was cut off: the service was stopped or started again while it ran. Try again.";

type Entry = {
  organizationId: string;
  attemptId: string;
  view: ProjectTrial;
  output: Buffer;
  end: AbortController;
  done: Promise<void>;
};

export function createTrials(deps: LoopDeps): Trials {
  const entries = new Map<string, Entry>();
  const running = () => [...entries.values()].filter(({ view }) => view.state === "running");
  const show = ({ view, output }: Entry): ProjectTrial => ({ ...view, output: output.toString("utf8") });
  const find = (organizationId: string, projectId: string, trialId: string) => {
    const entry = entries.get(trialId);
    return entry?.organizationId === organizationId && entry.view.projectId === projectId ? entry : null;
  };
  const say = (entry: Entry, chunk: Buffer | string) => {
    const grown = Buffer.concat([entry.output, Buffer.from(chunk)]);
    entry.view.outputBytes += chunk.length;
    entry.output = grown.length > OUTPUT_BYTES ? Buffer.from(grown.subarray(-OUTPUT_BYTES)) : grown;
  };

  async function run(entry: Entry, { organizationId, project, actor, setup, verify, verifyNetwork }: TrialRequest) {
    const { view, end } = entry;
    const { signal } = end;
    const subjectOf = {
      ...{ id: view.id, organizationId, createdBy: actor },
      ...{ projectId: project.id, repository: project.repository },
    };
    const subject = { ...subjectOf, id: null };
    const credential = (await deps.credential?.(subject, "read")) ?? accept(null);
    if (!credential.ok) throw new Fault(credential.code, credential.detail);
    const base = await deps.git.resolveBase({
      ...{ organizationId, repository: project.repository, base: project.defaultBranch, signal },
      trust: trustOf({ createdBy: actor }),
      partial: await isPartial(deps, subjectOf),
      ...(credential.value ? { credential: credential.value } : {}),
    });
    signal.throwIfAborted();
    if (!base.ok) throw new Fault(base.code, base.detail);
    view.commit = base.value.commit;
    const job = {
      ...{ id: view.id, organizationId, projectId: project.id, repository: project.repository, createdBy: actor },
      ...{ limits: project.limits, isolation: project.minIsolation },
    };
    const jobRepository = await deps.git.jobRepository(view.id, base.value);
    await prepareContent(deps, subjectOf, base.value, jobRepository, credential.value, signal);
    let current: string | null = null;
    try {
      const result = await runVerification(
        async () => {
          const opened = await openWorkspace(deps, {
            ...{ job, attempt: { id: entry.attemptId }, purpose: "verify", jobRepository },
            ...(setup !== null || verifyNetwork ? { phase: "setup" as const } : {}),
            onEvents: (events) => {
              for (const { type, payload } of events)
                if (type === "egress.blocked")
                  view.blocked = [...new Set([...view.blocked, String(payload.host)])].slice(0, 50);
            },
          });
          current = opened.workspace.id;
          return opened;
        },
        {
          ...{ commit: base.value.commit, base: base.value.commit, setup, verify, verifyNetwork, testPaths: [] },
          ...{ setupMs: project.limits.setupMs, verifyMs: project.limits.verifyMs, signal },
          onPhase: async (name) => {
            view.phase = name;
            if (current) await deps.control.setPhase(current, name);
          },
          onOutput: (chunk) => say(entry, chunk),
        },
      );
      signal.throwIfAborted();
      view.setup = result.setup;
      view.verify = result.verify;
      const fine = result.setup === null || (result.setup.exitCode === 0 && !result.setup.timedOut);
      view.state = fine && result.passed !== false ? "passed" : "failed";
    } finally {
      await deps.git.removeJobRepository(view.id);
    }
  }

  function begin(entry: Entry, request: TrialRequest): Promise<void> {
    const { view, end } = entry;
    return run(entry, request)
      .catch((error: unknown) => {
        if (end.signal.reason === stopping) {
          view.state = "broken";
          view.detail = cutOff;
        } else if (end.signal.aborted) view.state = "cancelled";
        else {
          view.state = "broken";
          view.detail = error instanceof Fault ? error.message : "The trial broke: the service's log says why.";
          if (!(error instanceof Fault)) deps.log.error("a trial broke", { error });
        }
      })
      .then(() =>
        deps.db.tenant(request.organizationId, (tx) =>
          appendAudit(tx, request.organizationId, {
            ...{ actor: platformActor, action: "project.trial_ended", subject: request.project.id },
            data: { trialId: view.id, state: view.state },
          }),
        ),
      )
      .catch((error: unknown) => deps.log.warn("a trial's end could not be written down", { error }))
      .then(() => {
        view.endedAt = new Date().toISOString();
      });
  }

  return {
    start(request) {
      const { organizationId, project, setup, verify } = request;
      const busy = running();
      if (busy.some(({ view }) => view.projectId === project.id))
        return refuse("conflict", "The project's commands are being tried already.");
      if (busy.length >= MAX_RUNNING)
        return refuse("rate_limited", `${MAX_RUNNING} trials are at work; try again when one has ended.`);
      if (setup === null && verify === null)
        return refuse("invalid_request", "There is nothing to try: the project has neither set-up nor verify command.");
      const view: ProjectTrial = {
        ...{ id: newId("try"), projectId: project.id, state: "running", phase: "checkout", commit: null },
        ...{ setup: null, verify: null, output: "", outputBytes: 0, blocked: [], detail: null },
        ...{ startedAt: new Date().toISOString(), endedAt: null },
      };
      const entry: Entry = {
        ...{ organizationId, attemptId: newId("att"), view, output: Buffer.alloc(0) },
        ...{ end: new AbortController(), done: Promise.resolve() },
      };
      entries.set(view.id, entry);
      const ended = [...entries.values()].filter(({ view }) => view.endedAt !== null);
      for (const { view: old } of ended.slice(0, Math.max(0, ended.length - MAX_KEPT))) entries.delete(old.id);
      entry.done = begin(entry, request);
      return accept(show(entry));
    },
    get(organizationId, projectId, trialId) {
      const entry = find(organizationId, projectId, trialId);
      return entry && show(entry);
    },
    cancel(organizationId, projectId, trialId) {
      const entry = find(organizationId, projectId, trialId);
      entry?.end.abort(new Error("The trial was cancelled."));
      return entry && show(entry);
    },
    owns: (attemptId) => running().some((entry) => entry.attemptId === attemptId),
    async stop() {
      for (const { end } of entries.values()) end.abort(stopping);
      await Promise.all([...entries.values()].map(({ done }) => done));
    },
  };
}
