import type { Shape } from "./description.ts";
import { type Annotation, type CheckRun, notFound, Refused } from "./model.ts";
import { type Call, created, type Handlers, list, ok } from "./server.ts";
import { createCheckRun, createStatus, logKey, rerequestRun, updateCheckRun } from "./world/checks.ts";
import { latestStatuses } from "./world/verdicts.ts";

/** Check runs and suites, commit statuses, Actions' runs, jobs and logs. */

const read = ["checks:read"];

type Given = {
  name?: string;
  head_sha?: string;
  details_url?: string;
  external_id?: string;
  status?: CheckRun["status"];
  started_at?: string;
  conclusion?: CheckRun["conclusion"];
  completed_at?: string;
  output?: { title?: string; summary: string; text?: string; annotations?: Partial<Annotation>[] };
};

const runOf = (call: Call): CheckRun => {
  const run = call.repository.checkRuns.find((one) => one.id === Number(call.values.check_run_id));
  if (!run) throw notFound();
  return run;
};
const suiteOf = (call: Call) => {
  const suite = call.repository.checkSuites.find((one) => one.id === Number(call.values.check_suite_id));
  if (!suite) throw notFound();
  return suite;
};
/** Only Apps make check runs, each only its own. */
const appOf = (call: Call) => {
  const app = call.token.installation?.app;
  if (!app) throw new Refused(403, "You must authenticate via a GitHub App.");
  return app;
};

async function shaOf(call: Call, ref: string): Promise<string> {
  const { git } = call.repository;
  const name = ref.replace(/^refs\//, "");
  const plain = /^[\w./+@-]+$/.test(name) && !name.includes("..");
  const sha = plain
    ? ((await git.branch(name)) ??
      (await git.resolve(`refs/${name}`)) ??
      (await git.resolve(`refs/tags/${name}`)) ??
      (/^[0-9a-f]{40}$/.test(name) ? await git.resolve(name) : undefined))
    : undefined;
  if (!sha) throw new Refused(422, `No commit found for SHA: ${ref}`);
  return sha;
}

/** Why GitHub would not take annotations; its own limit is 50 in one request. */
function annotationsOf(given: Given): Annotation[] {
  const annotations = given.output?.annotations ?? [];
  if (annotations.length > 50)
    throw new Refused(422, "Invalid request.\n\nNo more than 50 items are allowed; 51 were supplied.");
  return annotations.map((one) => ({
    path: one.path ?? "",
    start_line: one.start_line ?? 1,
    end_line: one.end_line ?? one.start_line ?? 1,
    start_column: one.start_column ?? null,
    end_column: one.end_column ?? null,
    annotation_level: one.annotation_level ?? "notice",
    message: one.message ?? null,
    title: one.title ?? null,
    raw_details: one.raw_details ?? null,
  }));
}

const second = (time: string | undefined) => (time ? `${new Date(time).toISOString().slice(0, 19)}Z` : undefined);

function lengths(given: Given): void {
  for (const part of ["summary", "text"] as const)
    if ((given.output?.[part]?.length ?? 0) > 65_535)
      throw new Refused(
        422,
        `Invalid request.\n\nOnly 65535 characters are allowed; ${given.output![part]!.length} were supplied.`,
      );
}

export function checkRoutes(): Handlers {
  const latest = (runs: CheckRun[], all: boolean) => {
    if (all) return runs;
    const seen = new Map<string, CheckRun>();
    for (const run of runs) seen.set(`${run.app.id}:${run.name}`, run);
    return runs.filter((run) => seen.get(`${run.app.id}:${run.name}`) === run);
  };
  const filter = (call: Call, runs: CheckRun[]) => {
    const { check_name, status, filter: which, app_id } = call.values as Record<string, unknown>;
    return latest(runs, which === "all").filter(
      (run) =>
        (!check_name || run.name === check_name) &&
        (!status || run.status === status) &&
        (!app_id || run.app.id === app_id),
    );
  };
  const runs = (call: Call, found: CheckRun[]) =>
    list(
      [...found].reverse(),
      (run) => call.present.checkRun(call.repository, run),
      (page, total) => ({ total_count: total, check_runs: page }),
    );
  const jobOf = (call: Call) => {
    const run = call.repository.checkRuns.find((one) => one.job && one.id === Number(call.values.job_id));
    if (!run) throw notFound();
    return run;
  };
  const workflowOf = (call: Call) => {
    const run = call.repository.workflowRuns.find((one) => one.id === Number(call.values.run_id));
    if (!run) throw notFound();
    return run;
  };
  return {
    "checks/create": {
      needs: ["checks:write"],
      handle: async (call) => {
        const given = call.body as Given;
        lengths(given);
        const done = given.conclusion !== undefined || given.status === "completed";
        const run = await createCheckRun(call.world, call.actor, call.repository, appOf(call), {
          name: String(given.name),
          headSha: String(given.head_sha),
          status: done ? "completed" : (given.status ?? "queued"),
          conclusion: given.conclusion ?? null,
          startedAt: second(given.started_at) ?? call.world.time(),
          completedAt: done ? (second(given.completed_at) ?? call.world.time()) : null,
          externalId: given.external_id ?? null,
          detailsUrl: given.details_url ?? null,
          output: {
            title: given.output?.title ?? null,
            summary: given.output?.summary ?? null,
            text: given.output?.text ?? null,
          },
          annotations: annotationsOf(given),
        });
        return created(call.present.checkRun(call.repository, run));
      },
    },
    "checks/update": {
      needs: ["checks:write"],
      handle: async (call) => {
        const given = call.body as Given;
        const run = runOf(call);
        if (run.app !== appOf(call))
          throw new Refused(
            403,
            `Invalid app_id \`${run.app.id}\` - check run can only be modified by the GitHub App that created it.`,
          );
        lengths(given);
        const done = given.conclusion !== undefined || given.status === "completed";
        await updateCheckRun(call.world, call.actor, call.repository, run, {
          ...(given.name === undefined ? {} : { name: given.name }),
          ...(given.details_url === undefined ? {} : { detailsUrl: given.details_url }),
          ...(given.external_id === undefined ? {} : { externalId: given.external_id }),
          ...(given.started_at === undefined ? {} : { startedAt: second(given.started_at)! }),
          ...(done
            ? {
                status: "completed",
                conclusion: given.conclusion ?? run.conclusion,
                completedAt: second(given.completed_at) ?? call.world.time(),
              }
            : given.status
              ? { status: given.status, conclusion: null, completedAt: null }
              : {}),
          ...(given.output
            ? {
                output: {
                  title: given.output.title ?? run.output.title,
                  summary: given.output.summary ?? run.output.summary,
                  text: given.output.text ?? run.output.text,
                },
                // Annotations of later requests add to those before.
                annotations: [...run.annotations, ...annotationsOf(given)],
              }
            : {}),
        });
        return ok(call.present.checkRun(call.repository, run));
      },
    },
    "checks/get": { needs: read, handle: (call) => ok(call.present.checkRun(call.repository, runOf(call))) },
    "checks/list-annotations": {
      needs: read,
      handle: (call) =>
        list(runOf(call).annotations, (one) => ({
          ...one,
          blob_href: `${call.present.web}/${call.repository.owner.login}/${call.repository.name}/blob/${runOf(call).headSha}/${one.path}`,
        })),
    },
    "checks/list-for-ref": {
      needs: read,
      handle: async (call) => {
        const sha = await shaOf(call, String(call.values.ref));
        return runs(
          call,
          filter(
            call,
            call.repository.checkRuns.filter((run) => run.headSha === sha),
          ),
        );
      },
    },
    "checks/list-for-suite": {
      needs: read,
      handle: (call) => {
        const suite = suiteOf(call);
        return runs(
          call,
          filter(
            call,
            call.repository.checkRuns.filter((run) => run.suiteId === suite.id),
          ),
        );
      },
    },
    "checks/get-suite": {
      needs: read,
      handle: async (call) => ok(await call.present.checkSuite(call.repository, suiteOf(call))),
    },
    "checks/list-suites-for-ref": {
      needs: read,
      handle: async (call) => {
        const sha = await shaOf(call, String(call.values.ref));
        const suites = call.repository.checkSuites.filter(
          (one) => one.headSha === sha && (!call.values.app_id || one.app.id === call.values.app_id),
        );
        return list(
          suites,
          (one) => call.present.checkSuite(call.repository, one),
          (page, total) => ({ total_count: total, check_suites: page }),
        );
      },
    },
    "checks/rerequest-run": {
      needs: ["checks:write"],
      role: "write",
      handle: async (call) => {
        await rerequestRun(call.world, call.actor, call.repository, runOf(call));
        return created({});
      },
    },
    "repos/create-commit-status": {
      needs: ["statuses:write"],
      role: "write",
      handle: async (call) => {
        const { state, target_url, description, context } = call.body as Record<string, string | null | undefined>;
        const status = await createStatus(call.world, call.actor, call.repository, {
          sha: String(call.values.sha),
          state: state as "success",
          ...(context ? { context } : {}),
          description: description ?? null,
          targetUrl: target_url ?? null,
        });
        const shape = call.present.status(call.repository, status);
        return { ...created(shape), headers: { location: String(shape.url) } };
      },
    },
    "repos/list-commit-statuses-for-ref": {
      needs: ["statuses:read"],
      handle: async (call) => {
        const sha = await shaOf(call, String(call.values.ref));
        const found = call.repository.statuses.filter((one) => one.sha === sha).reverse();
        return list(found, (one) => call.present.status(call.repository, one));
      },
    },
    "repos/get-combined-status-for-ref": {
      needs: ["statuses:read"],
      handle: async (call) => {
        const sha = await shaOf(call, String(call.values.ref));
        const statuses = latestStatuses(call.repository, sha);
        const url = `${call.present.api}/repos/${call.repository.owner.login}/${call.repository.name}/commits/${sha}`;
        const state = statuses.some((one) => one.state === "error" || one.state === "failure")
          ? "failure"
          : statuses.length === 0 || statuses.some((one) => one.state === "pending")
            ? "pending"
            : "success";
        return list(
          statuses,
          (one) => call.present.status(call.repository, one),
          (page, total): Shape => ({
            state,
            statuses: page,
            sha,
            total_count: total,
            repository: call.present.repository(call.repository),
            commit_url: url,
            url: `${url}/status`,
          }),
        );
      },
    },
    "actions/list-workflow-runs-for-repo": {
      needs: ["actions:read"],
      handle: (call) => {
        const { head_sha, branch } = call.values as Record<string, string | undefined>;
        const found = call.repository.workflowRuns
          .filter((run) => (!head_sha || run.headSha === head_sha) && (!branch || run.headBranch === branch))
          .reverse();
        return list(
          found,
          (run) => call.present.workflowRun(call.repository, run),
          (page, total) => ({ total_count: total, workflow_runs: page }),
        );
      },
    },
    "actions/get-workflow-run": {
      needs: ["actions:read"],
      handle: (call) => ok(call.present.workflowRun(call.repository, workflowOf(call))),
    },
    "actions/list-jobs-for-workflow-run": {
      needs: ["actions:read"],
      handle: (call) => {
        const run = workflowOf(call);
        return list(
          call.repository.checkRuns.filter((one) => one.job?.runId === run.id),
          (one) => call.present.job(call.repository, one),
          (page, total) => ({ total_count: total, jobs: page }),
        );
      },
    },
    "actions/get-job-for-workflow-run": {
      needs: ["actions:read"],
      handle: (call) => ok(call.present.job(call.repository, jobOf(call))),
    },
    "actions/download-job-logs-for-workflow-run": {
      needs: ["actions:read"],
      // GitHub gives logs to nobody who is not signed in, in public repositories either.
      who: "token",
      handle: (call) => {
        const run = jobOf(call);
        if (run.status !== "completed") throw notFound();
        return {
          status: 302,
          headers: { location: `${call.present.web}/_logs/${run.id}/${logKey(call.world, run)}` },
        };
      },
    },
    "actions/re-run-workflow-failed-jobs": {
      needs: ["actions:write"],
      role: "write",
      handle: async (call) => {
        const workflow = workflowOf(call);
        workflow.attempt += 1;
        for (const run of call.repository.checkRuns)
          if (run.job?.runId === workflow.id && run.conclusion !== "success")
            await updateCheckRun(call.world, call.actor, call.repository, run, {
              status: "queued",
              conclusion: null,
              completedAt: null,
            });
        return created({});
      },
    },
  };
}
