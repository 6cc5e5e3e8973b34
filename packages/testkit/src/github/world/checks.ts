import { createHash } from "node:crypto";
import type { Shape } from "../description.ts";
import { type RefChange, zero } from "../git.ts";
import {
  type Account,
  type App,
  type CheckRun,
  type CheckSuite,
  type Installation,
  invalid,
  Refused,
  type Repository,
  type Status,
  type WorkflowRun,
} from "../model.ts";
import { covers } from "./apps.ts";
import { protectionOf } from "./rules.ts";
import { stateOfSuite } from "./verdicts.ts";
import type { World } from "./world.ts";

/** Check suites, check runs, jobs of workflows and statuses: made, changed, asked for again. */

function suiteOf(
  world: World,
  repository: Repository,
  app: App,
  sha: string,
  branch: string | null,
  before = zero,
): CheckSuite {
  const existing = repository.checkSuites.find((suite) => suite.app === app && suite.headSha === sha);
  if (existing) return existing;
  const suite: CheckSuite = {
    id: world.id(),
    app,
    headSha: sha,
    headBranch: branch,
    before,
    createdAt: world.time(),
    updatedAt: world.time(),
  };
  repository.checkSuites.push(suite);
  return suite;
}

/** A push asks every App with `checks: write` for its checks. */
export async function requestSuites(
  world: World,
  actor: Account,
  repository: Repository,
  branch: string,
  change: RefChange,
): Promise<void> {
  for (const installation of world.installations.values()) {
    if (installation.permissions.checks !== "write" || !covers(installation, repository)) continue;
    const suite = suiteOf(world, repository, installation.app, change.after, branch, change.before);
    await suiteSays(world, "requested", actor, repository, suite, { installation });
  }
}

async function suiteSays(
  world: World,
  action: string,
  actor: Account,
  repository: Repository,
  suite: CheckSuite,
  only: { installation?: Installation; app?: App } = {},
): Promise<void> {
  const shape = await world.presenter().checkSuite(repository, suite);
  await world.say("check_suite", action, actor, repository, { check_suite: shape }, only);
}

async function branchOf(repository: Repository, sha: string): Promise<string | null> {
  for (const [ref, at] of await repository.git.refs("refs/heads/"))
    if (at === sha) return ref.slice("refs/heads/".length);
  return null;
}

/** A check of an App on a commit; with `log` it is a job of Actions. Refused (422) where there is no such commit. */
export async function createCheckRun(
  world: World,
  actor: Account,
  repository: Repository,
  app: App,
  input: Omit<CheckRun, "id" | "suiteId" | "app" | "job"> & { log?: string | undefined },
): Promise<CheckRun> {
  const { log, ...given } = input;
  const sha = await repository.git.resolve(given.headSha);
  if (!sha) throw new Refused(422, `No commit found for SHA: ${given.headSha}`);
  const suite = suiteOf(world, repository, app, sha, await branchOf(repository, sha));
  let job: CheckRun["job"];
  if (log !== undefined) {
    let workflow = repository.workflowRuns.find((run) => run.suiteId === suite.id);
    if (!workflow) {
      workflow = newWorkflowRun(world, actor, repository, suite);
      repository.workflowRuns.push(workflow);
    }
    job = { runId: workflow.id, log, createdAt: world.time() };
  }
  const run: CheckRun = { ...given, headSha: sha, id: world.id(), suiteId: suite.id, app, job };
  repository.checkRuns.push(run);
  await runSays(world, "created", actor, repository, run);
  if (run.status === "completed") await runCompleted(world, actor, repository, run);
  return run;
}

function newWorkflowRun(world: World, actor: Account, repository: Repository, suite: CheckSuite): WorkflowRun {
  return {
    id: world.id(),
    name: "CI",
    runNumber: repository.workflowRuns.length + 1,
    attempt: 1,
    headSha: suite.headSha,
    headBranch: suite.headBranch ?? repository.defaultBranch,
    event: "push",
    suiteId: suite.id,
    actor,
    createdAt: world.time(),
    updatedAt: world.time(),
  };
}

/** Changes a check; once it is completed, its own completion and that of its suite are told. */
export async function updateCheckRun(
  world: World,
  actor: Account,
  repository: Repository,
  run: CheckRun,
  change: Partial<Omit<CheckRun, "id" | "suiteId" | "app" | "headSha">>,
): Promise<void> {
  const was = run.status;
  Object.assign(run, change);
  if (run.status === "completed" && was !== "completed") await runCompleted(world, actor, repository, run);
}

async function runSays(
  world: World,
  action: string,
  actor: Account,
  repository: Repository,
  run: CheckRun,
  only: { app?: App } = {},
): Promise<void> {
  const suite = repository.checkSuites.find((one) => one.id === run.suiteId)!;
  const presenter = world.presenter();
  await world.say(
    "check_run",
    action,
    actor,
    repository,
    {
      check_run: {
        ...presenter.checkRun(repository, run),
        check_suite: await presenter.checkSuite(repository, suite),
      },
    },
    only,
  );
}

async function runCompleted(world: World, actor: Account, repository: Repository, run: CheckRun): Promise<void> {
  const suite = repository.checkSuites.find((one) => one.id === run.suiteId)!;
  suite.updatedAt = world.time();
  await runSays(world, "completed", actor, repository, run);
  if (stateOfSuite(repository, suite).status === "completed")
    await suiteSays(world, "completed", actor, repository, suite);
}

/** Somebody presses "Re-run": only the check's own App hears it. */
export async function rerequestRun(world: World, actor: Account, repository: Repository, run: CheckRun): Promise<void> {
  run.status = "queued";
  run.conclusion = null;
  run.completedAt = null;
  await runSays(world, "rerequested", actor, repository, run, { app: run.app });
}

/** A status of a context on a commit. Refused (422) where there is no such commit, or for more than 140 characters. */
export async function createStatus(
  world: World,
  actor: Account,
  repository: Repository,
  input: {
    sha: string;
    state: Status["state"];
    context?: string;
    description?: string | null;
    targetUrl?: string | null;
  },
): Promise<Status> {
  const sha = await repository.git.resolve(input.sha);
  if (!sha) throw new Refused(422, `No commit found for SHA: ${input.sha}`);
  if ((input.description?.length ?? 0) > 140)
    throw invalid("Status", "description", "custom", "description is too long (maximum is 140 characters)");
  const status: Status = {
    id: world.id(),
    sha,
    state: input.state,
    context: input.context ?? "default",
    description: input.description ?? null,
    targetUrl: input.targetUrl ?? null,
    creator: actor,
    createdAt: world.time(),
  };
  repository.statuses.push(status);
  const presenter = world.presenter();
  const commit = presenter.commit(repository, await repository.git.commit(sha));
  const branches: Shape[] = [];
  for (const [ref, at] of await repository.git.refs("refs/heads/"))
    if (at === sha)
      branches.push({
        name: ref.slice("refs/heads/".length),
        commit: { sha, url: commit.url },
        protected: protectionOf(repository, ref.slice("refs/heads/".length)) !== undefined,
      });
  await world.say("status", undefined, actor, repository, {
    id: status.id,
    sha,
    name: `${repository.owner.login}/${repository.name}`,
    target_url: status.targetUrl,
    avatar_url: `${world.bases.web}/avatars/u/${actor.id}`,
    context: status.context,
    description: status.description,
    state: status.state,
    commit,
    branches,
    created_at: status.createdAt,
    updated_at: status.createdAt,
  });
  return status;
}

/** Key of a log's address, good for whoever got it from the interface. */
export function logKey(world: World, run: CheckRun): string {
  return createHash("sha256")
    .update(`${world.logSecret}:${run.id}:${run.job?.log ?? ""}`)
    .digest("hex")
    .slice(0, 32);
}
