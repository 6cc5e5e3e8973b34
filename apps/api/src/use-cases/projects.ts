import {
  accept,
  EvidenceRecord,
  type JobState,
  type Outcome,
  type PolicyTrial,
  ProjectTrial,
  refuse,
} from "@x1agent/contract";
import { searchAudit } from "@x1agent/domain-audit";
import { createProject, getProject, listProjects, updateProject } from "@x1agent/domain-projects";
import { type Database, rows, sql, type Tx } from "@x1agent/kernel";
import { decideByPolicy } from "../git/index.ts";
import { cutOff, type Trials } from "../jobs/index.ts";
import { audited } from "./audit.ts";
import type { UseCases } from "./index.ts";

export type ProjectDeps = {
  db: Pick<Database, "tenant">;
  /** The address in its one canonical form, or why it cannot be used. */
  canonicalRepository(text: string): Outcome<string>;
  /** Null while the service is starting. */
  trials(): Trials | null;
};

/** Projects: one for each repository of an organization. */
export function projectUseCases({ db, canonicalRepository, trials }: ProjectDeps): UseCases["projects"] {
  return {
    list: (caller, { limit, cursor }) => db.tenant(caller.organizationId, (tx) => listProjects(tx, limit, cursor)),
    async create(caller, body) {
      const repository = canonicalRepository(body.repository);
      if (!repository.ok) return repository;
      return db.tenant(caller.organizationId, async (tx) => {
        const made = await createProject(tx, caller.organizationId, { ...body, repository: repository.value });
        if (made.ok) await audited(tx, caller, "project.created", made.value.id, { repository: repository.value });
        return made;
      });
    },
    get: (caller, projectId) => db.tenant(caller.organizationId, (tx) => getProject(tx, projectId)),
    update: (caller, projectId, body) =>
      db.tenant(caller.organizationId, async (tx) => {
        const changed = await updateProject(tx, projectId, definedOnly(body));
        if (changed.ok) await audited(tx, caller, "project.changed", projectId, { fields: Object.keys(body) });
        return changed.ok ? accept(changed.value) : changed;
      }),
    async startTrial(caller, projectId, body) {
      const project = await db.tenant(caller.organizationId, (tx) => getProject(tx, projectId));
      const ready = trials();
      if (!project) return refuse("not_found", "No such project.");
      if (!ready) return refuse("unavailable", "The service is starting.");
      // An emptied field is no command; an absent one is the project's.
      const command = (given: string | undefined, own: string | null) =>
        given === undefined ? own : given.trim() || null;
      const started = ready.start({
        ...{ organizationId: caller.organizationId, project, actor: caller.actor },
        setup: command(body.setup, project.setup),
        verify: command(body.verify, project.verify),
        verifyNetwork: body.verifyNetwork ?? project.verifyNetwork,
      });
      if (started.ok)
        await db.tenant(caller.organizationId, (tx) =>
          audited(tx, caller, "project.trial_started", projectId, { trialId: started.value.id }),
        );
      return started;
    },
    trial: async (caller, projectId, trialId) =>
      trials()?.get(caller.organizationId, projectId, trialId) ??
      (await db.tenant(caller.organizationId, (tx) => pastTrial(tx, projectId, trialId))),
    cancelTrial: (caller, projectId, trialId) => trials()?.cancel(caller.organizationId, projectId, trialId) ?? null,
    tryPolicy: (caller, projectId, policy) =>
      db.tenant(caller.organizationId, async (tx) => {
        if (!(await getProject(tx, projectId))) return null;
        const items: PolicyTrial["items"] = [];
        for (const { jobId, title, state, record } of await newestEvidence(tx, projectId)) {
          const decision = decideByPolicy(record, policy);
          const approved = decision.kind === "auto";
          items.push({ jobId, title, state, approved, reasons: approved ? [] : decision.reasons });
        }
        return { considered: items.length, approved: items.filter(({ approved }) => approved).length, items };
      }),
  };
}

/** Past jobs over which a policy is tried. */
const MAX_TRIED = 200;

/** The last evidence of each of a project's newest jobs that had any. */
async function newestEvidence(
  tx: Tx,
  projectId: string,
): Promise<{ jobId: string; title: string; state: JobState; record: EvidenceRecord }[]> {
  type Row = { id: string; title: string; state: JobState; record: unknown };
  const found = await rows(
    tx,
    sql<Row>`select job.id, job.title, job.state, last.record from job
    cross join lateral (select record from evidence where job_id = job.id order by evidence.id desc limit 1) last
    where job.project_id = ${projectId} order by job.id desc limit ${MAX_TRIED}`,
  );
  return found.map(({ id, title, state, record }) => ({
    jobId: id,
    title,
    state,
    record: EvidenceRecord.parse(record),
  }));
}

const definedOnly = <T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as never;

/** A trial that this process knows nothing of, as the audit log has it; null when there was none. */
async function pastTrial(tx: Tx, projectId: string, trialId: string): Promise<ProjectTrial | null> {
  if (!/^try_\w{1,60}$/.test(trialId)) return null;
  const entries = (await searchAudit(tx, { order: "oldest", q: trialId, action: "project.trial_" }, 10)).filter(
    ({ subject, data }) => subject === projectId && data.trialId === trialId,
  );
  const started = entries.find(({ action }) => action === "project.trial_started");
  if (!started) return null;
  const ended = entries.find(({ action }) => action === "project.trial_ended");
  const state = ProjectTrial.shape.state.exclude(["running"]).catch("broken").parse(ended?.data.state);
  return {
    ...{ id: trialId, projectId, state, phase: "checkout", commit: null, setup: null, verify: null },
    ...{ output: "", outputBytes: 0, blocked: [] },
    detail: state === "broken" ? cutOff : "The service was started again since: only the outcome is kept.",
    ...{ startedAt: started.ts, endedAt: ended?.ts ?? started.ts },
  };
}
