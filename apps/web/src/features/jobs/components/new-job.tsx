import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { ApiError } from "@x1agent/client";
import { parseUsd, type RouteBodyInput } from "@x1agent/contract";
import { type FormEvent, useState } from "react";
import { Button } from "../../../components/button.tsx";
import { MayNot, Only } from "../../../components/only.tsx";
import { Failure, Loading } from "../../../components/states.tsx";
import { client } from "../../../lib/client.ts";
import type { Job } from "../../../lib/jobs.ts";
import { issueQuery, jobQuery, projectQuery, projectsQuery, runtimesQuery } from "../../../lib/queries.ts";
import { useTitle } from "../../../lib/title.ts";
import type { NewJobSearch } from "../search.ts";
import { Allowed } from "./allowed.tsx";
import { IssuePicker } from "./issue-picker.tsx";
import { RuntimeChoice } from "./runtime-choice.tsx";
import "../new-job.css";

/** States a goal. `from` in the address takes another job's goal and settings, `project` and `runtime` set these. */
export function NewJob() {
  useTitle("New job");
  const search = useSearch({ from: "/new" });
  const { from, project, runtime } = search;
  const before = useQuery({
    ...jobQuery(from ?? ""),
    enabled: from !== undefined,
  });
  const start = useQuery({
    ...projectQuery(project ?? ""),
    enabled: project !== undefined,
  });
  if (before.isLoading || start.isLoading) return <Loading />;
  const failed = before.error ?? start.error;
  return (
    <>
      <div className="head">
        <h1>New job</h1>
      </div>
      {failed ? <Failure error={failed} /> : null}
      <Only scope="write" otherwise={<MayNot what="start jobs" />}>
        <Form
          search={search}
          before={before.data}
          repository={before.data?.repository ?? start.data?.repository ?? ""}
          runtime={runtime ?? before.data?.runtime ?? ""}
        />
      </Only>
    </>
  );
}

type Asked =
  | { on: "issue"; body: RouteBodyInput<"createIssueJob"> }
  | { on: "repository"; body: RouteBodyInput<"createJob"> };
/** What of the address stays while one chooses among issues. */
const kept = ({ from, project, runtime }: NewJobSearch): NewJobSearch => ({
  ...(from ? { from } : {}),
  ...(project ? { project } : {}),
  ...(runtime ? { runtime } : {}),
});
const dollars = (micros: number | null | undefined) => (micros ? (micros / 1e6).toFixed(2) : "");

function Form({
  search,
  before,
  repository: known,
  runtime: chosen,
}: {
  search: NewJobSearch;
  before: Job | undefined;
  repository: string;
  runtime: string;
}) {
  const navigate = useNavigate();
  const runtimes = useQuery(runtimesQuery);
  const projects = useQuery(projectsQuery);
  const [repository, setRepository] = useState(known);
  const [runtime, setRuntime] = useState(chosen);
  const [budget, setBudget] = useState(dollars(before?.budgetMicros));
  const [refusal, setRefusal] = useState<string | null>(null);
  // A second click, or a retry after a lost answer, makes no second job; after a refusal the next try is a new request.
  const [idempotencyKey, setIdempotencyKey] = useState(() => crypto.randomUUID());
  const [fromIssue, setFromIssue] = useState(search.repo !== undefined || search.connection !== undefined);
  const { connection, repo, issue: number } = search;
  const issue = useQuery({
    ...issueQuery(connection ?? "", repo ?? "", number ?? 0),
    enabled: fromIssue && connection !== undefined && repo !== undefined && number !== undefined,
  }).data;
  const create = useMutation({
    mutationFn: (asked: Asked) =>
      asked.on === "issue"
        ? client.createIssueJob({ idempotencyKey, body: asked.body })
        : client.createJob({ idempotencyKey, body: asked.body }),
    onError: (error) => {
      if (error instanceof ApiError) setIdempotencyKey(crypto.randomUUID());
    },
    onSuccess: (job) => navigate({ to: "/jobs/$jobId", params: { jobId: job.id } }),
  });
  const sameName = (address: string) => repo !== undefined && address.replace(/\.git$/, "").endsWith(`/${repo}`);
  const project = projects.data?.items.find((entry) =>
    fromIssue ? sameName(entry.repository) : entry.repository === repository.trim(),
  );
  const manifest = runtimes.data?.items.find(
    (entry) => entry.manifest.name === (runtime || project?.runtime),
  )?.manifest;
  const sameRuntime = before !== undefined && before.runtime === runtime;
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const text = (name: string) => String(form.get(name) ?? "").trim();
    const budgetMicros = budget.trim() ? parseUsd(budget.trim()) : undefined;
    if (budgetMicros === null) return setRefusal("The budget is an amount in dollars, such as 2.50.");
    if (fromIssue && !issue) return setRefusal("Choose an issue, or state the goal yourself.");
    setRefusal(null);
    const settings = {
      ask: form.get("ask") === "on",
      ...(runtime ? { runtime } : {}),
      ...(text("model") ? { model: text("model") } : {}),
      ...(text("base") ? { base: text("base") } : {}),
      ...(text("setup") ? { setup: text("setup") } : {}),
      ...(text("verify") ? { verify: text("verify") } : {}),
      ...(budgetMicros === undefined ? {} : { budgetMicros }),
    };
    const goal = text("goal");
    create.mutate(
      fromIssue && issue
        ? {
            on: "issue",
            body: {
              ...settings,
              ...{ connectionId: issue.connectionId, repository: issue.repository, number: issue.number },
              again: form.get("again") === "on",
              ...(goal ? { goal } : {}),
            },
          }
        : { on: "repository", body: { ...settings, repository: repository.trim(), goal } },
    );
  };
  return (
    <form className="new-job" onSubmit={submit}>
      <div className="form">
        <fieldset className="switch source">
          <legend className="hidden">Where the goal comes from</legend>
          <button type="button" aria-pressed={!fromIssue} onClick={() => setFromIssue(false)}>
            A goal of my own
          </button>
          <button type="button" aria-pressed={fromIssue} onClick={() => setFromIssue(true)}>
            An issue
          </button>
        </fieldset>
        {fromIssue ? (
          <>
            <IssuePicker
              at={search}
              go={(to) => void navigate({ to: "/new", search: { ...kept(search), ...to }, replace: true })}
            />
            <label>
              To add to the issue's words <span className="quiet">if there is anything</span>
              <textarea name="goal" rows={3} maxLength={20_000} defaultValue="" />
            </label>
            {issue && issue.jobs.length > 0 ? (
              <label className="check">
                <input type="checkbox" name="again" /> Another job all the same, on a branch of its own
              </label>
            ) : null}
          </>
        ) : (
          <>
            <label>
              Repository (path or git URL)
              <input
                name="repository"
                required
                maxLength={2000}
                list="repositories"
                value={repository}
                onChange={(event) => setRepository(event.target.value)}
              />
              <datalist id="repositories">
                {projects.data?.items.map(({ id, repository }) => (
                  <option key={id} value={repository} />
                ))}
              </datalist>
            </label>
            <label>
              Goal
              <textarea
                name="goal"
                required
                rows={8}
                defaultValue={before?.goal ?? ""}
                placeholder="What should be different afterwards, and how one sees that it is"
              />
            </label>
          </>
        )}
        <RuntimeChoice
          runtimes={runtimes.data?.items ?? []}
          value={runtime}
          set={setRuntime}
          projectDefault={project?.runtime ?? null}
        />
        <div className="pair">
          <label>
            Model
            <input
              name="model"
              key={runtime}
              placeholder={project?.model ?? manifest?.defaultModel ?? "The runtime's default"}
              maxLength={200}
              defaultValue={sameRuntime ? before.model : ""}
            />
          </label>
          <label>
            Budget in dollars
            <input
              name="budget"
              inputMode="decimal"
              placeholder="5.00"
              value={budget}
              onChange={(event) => setBudget(event.target.value)}
            />
          </label>
          <label>
            Set-up command
            <input
              name="setup"
              className="mono"
              placeholder={project?.setup || "npm ci"}
              defaultValue={before?.setup ?? ""}
            />
          </label>
          <label>
            Verify command
            <input
              name="verify"
              className="mono"
              placeholder={project?.verify || "npm test"}
              defaultValue={before?.verify ?? ""}
            />
          </label>
          <label>
            Base branch
            <input
              name="base"
              className="mono"
              placeholder={project?.defaultBranch ?? "The repository's default"}
              defaultValue={before?.base ?? ""}
            />
          </label>
        </div>
        <label className="check">
          <input
            type="checkbox"
            name="ask"
            defaultChecked={before?.ask ?? false}
            disabled={manifest !== undefined && !manifest.capabilities.includes("approvals")}
          />{" "}
          Ask me before the agent uses a tool
        </label>
        {refusal ? <p role="alert">{refusal}</p> : null}
        {create.isError ? <Failure error={create.error} /> : null}
        <Button type="submit" look="primary" disabled={create.isPending}>
          {create.isPending ? "Starting…" : "Start job"}
        </Button>
      </div>
      <Allowed project={project ?? null} budget={budget} provider={manifest?.provider ?? null} />
    </form>
  );
}
