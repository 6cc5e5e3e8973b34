import { useMutation, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { formatUsd, parseUsd, type RouteResponse } from "@x1agent/contract";
import { Download, GitMerge, GitPullRequest, GitPullRequestClosed, PencilLine, Undo2 } from "lucide-react";
import { type FormEvent, lazy, Suspense, useState } from "react";
import { Button } from "../../../components/button.tsx";
import { JobStateMark } from "../../../components/job-state.tsx";
import { MayNot, Only } from "../../../components/only.tsx";
import { Empty, Failure, Loading } from "../../../components/states.tsx";
import { client, queryClient } from "../../../lib/client.ts";
import { formatCount, formatDuration, visible } from "../../../lib/format.ts";
import { budgetsQuery, meQuery, projectsQuery } from "../../../lib/queries.ts";
import { useTitle } from "../../../lib/title.ts";
import { type SpendDays, spendDays } from "../search.ts";
import "../spend.css";

const DayChart = lazy(() => import("./day-chart.tsx").then(({ DayChart }) => ({ default: DayChart })));
type Spend = RouteResponse<"getSpend">;
type Budget = RouteResponse<"setBudget">;

/** Days are UTC's: a report starts at midnight there, so that its first day is a whole one. */
const sinceOf = (days: SpendDays) => {
  const today = new Date();
  return new Date(Date.UTC(today.getUTCFullYear(), today.getUTCMonth(), today.getUTCDate() - (days - 1))).toISOString();
};

export function SpendPage() {
  useTitle("Spend");
  const { days = 30 } = useSearch({ from: "/spend" });
  const navigate = useNavigate();
  const since = sinceOf(days);
  const spend = useQuery({
    queryKey: ["spend", since],
    queryFn: ({ signal }) => client.getSpend({ query: { since }, signal }),
    refetchInterval: 10_000,
    placeholderData: (before) => before,
  });
  const budgets = useQuery({ ...budgetsQuery, refetchInterval: 10_000 });
  return (
    <>
      <div className="head">
        <h1>Spend</h1>
        <select
          aria-label="Time"
          value={days}
          onChange={(event) =>
            void navigate({ to: "/spend", search: { days: Number(event.target.value) as SpendDays }, replace: true })
          }
        >
          {spendDays.map((count) => (
            <option key={count} value={count}>
              {count === 1 ? "Today" : `Last ${count} days`}
            </option>
          ))}
        </select>
        <a
          className="button"
          href={`/api/v1/spend.csv?since=${encodeURIComponent(since)}`}
          download={`spend-${since.slice(0, 10)}.csv`}
        >
          <Download size={16} aria-hidden /> CSV
        </a>
      </div>
      {spend.isPending ? (
        <Loading />
      ) : !spend.data ? (
        <Failure error={spend.error} retry={() => void spend.refetch()} />
      ) : (
        <Report spend={spend.data} budgets={budgets.data?.items ?? []} days={days} />
      )}
      {budgets.data ? (
        <Budgets budgets={budgets.data.items} />
      ) : budgets.isError ? (
        <Failure error={budgets.error} />
      ) : null}
    </>
  );
}

function Report({ spend, budgets, days }: { spend: Spend; budgets: readonly Budget[]; days: SpendDays }) {
  const [asTable, setAsTable] = useState(false);
  const me = useQuery(meQuery).data?.actor.id;
  if (spend.jobs === 0)
    return (
      <>
        <Empty>
          <p>Nothing was spent in this time. Every model call of a job is metered here as it happens.</p>
          <Only scope="write">
            <Link className="button" to="/new">
              State a goal
            </Link>
          </Only>
        </Empty>
        <Outcomes outcomes={spend.outcomes} />
      </>
    );
  const daily = budgets.find(({ scope, window }) => scope.kind === "organization" && window === "day");
  return (
    <>
      <dl className="figures">
        <Figure name="Spent" value={formatUsd(spend.totalMicros)}>
          {spend.estimatedMicros > 0 ? `${formatUsd(spend.estimatedMicros)} of it estimated` : "all of it metered"}
        </Figure>
        <Figure
          name="Per published change"
          value={spend.microsPerPublished === null ? "–" : formatUsd(spend.microsPerPublished)}
        >
          failures included
        </Figure>
        <Figure name="Published" value={`${spend.publishedJobs} of ${spend.jobs}`}>
          {spend.jobs === 1 ? "job" : "jobs"} that spent money
        </Figure>
        <Figure
          name="Wait for a decision"
          value={spend.medianDecisionMs === null ? "–" : formatDuration(spend.medianDecisionMs)}
        >
          median, from evidence to a person's word
        </Figure>
      </dl>
      <Outcomes outcomes={spend.outcomes} />
      {days > 1 ? (
        <section className="card" aria-label="Cost per day">
          <div className="head">
            <h2>Cost per day by project</h2>
            <Button aria-pressed={asTable} onClick={() => setAsTable(!asTable)}>
              {asTable ? "As chart" : "As table"}
            </Button>
          </div>
          {asTable ? (
            <table className="plain">
              <thead>
                <tr>
                  <th>Day (UTC)</th>
                  <th>Project</th>
                  <th className="amount">Cost</th>
                </tr>
              </thead>
              <tbody>
                {spend.days.map(({ day, projectId, project, micros }) => (
                  <tr key={day + projectId}>
                    <td className="mono">{day}</td>
                    <td>{visible(project)}</td>
                    <td className="amount mono">{formatUsd(micros)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          ) : (
            <Suspense fallback={<div className="chart" />}>
              <DayChart spend={spend} limitMicros={daily?.limitMicros ?? null} />
            </Suspense>
          )}
        </section>
      ) : null}
      <div className="shares">
        <Shares name="By project" shares={spend.by.project} />
        <Shares name="By runtime" shares={spend.by.runtime} />
        <Shares name="By model" shares={spend.by.model} />
        <Shares
          name="By person"
          shares={spend.by.member.map((share) => (share.key === me ? { ...share, name: "You" } : share))}
        />
      </div>
      <section className="card">
        <h2>Most expensive jobs</h2>
        <table className="plain">
          <thead>
            <tr>
              <th>Job</th>
              <th>State</th>
              <th className="wide">Project</th>
              <th className="wide">Runtime</th>
              <th className="amount">Cost</th>
            </tr>
          </thead>
          <tbody>
            {spend.top.map(({ jobId, title, state, project, runtime, micros }) => (
              <tr key={jobId}>
                <td>
                  <Link to="/jobs/$jobId" params={{ jobId }}>
                    {visible(title)}
                  </Link>
                </td>
                <td>
                  <JobStateMark state={state} />
                </td>
                <td className="wide">{visible(project)}</td>
                <td className="wide">{runtime}</td>
                <td className="amount mono">{formatUsd(micros)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </>
  );
}

const outcomeLooks = [
  ["open", "open", GitPullRequest],
  ["merged", "merged as published", GitMerge],
  ["mergedAfterChanges", "merged after people changed it", PencilLine],
  ["closed", "closed without a merge", GitPullRequestClosed],
  ["reverted", "merged and taken back", Undo2],
] as const;

/** What became of the pull requests that were opened in the report's time; nothing where there were none. */
function Outcomes({ outcomes }: { outcomes: Spend["outcomes"] }) {
  if (!outcomes || Object.values(outcomes).every((count) => count === 0)) return null;
  return (
    <section className="card" aria-labelledby="outcomes">
      <h2 id="outcomes">Pull requests opened in this time</h2>
      <ul className="outcomes">
        {outcomeLooks.map(([key, words, Icon]) => (
          <li key={key} className={outcomes[key] === 0 ? "quiet" : undefined}>
            <Icon size={16} aria-hidden />
            <span>
              <strong className="mono">{formatCount(outcomes[key])}</strong> {words}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Figure({ name, value, children }: { name: string; value: string; children: React.ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <strong className="mono">{value}</strong> <span className="quiet">{children}</span>
      </dd>
    </div>
  );
}

function Shares({ name, shares }: { name: string; shares: Spend["by"]["project"] }) {
  const most = Math.max(1, ...shares.map(({ micros }) => micros));
  return (
    <section className="card">
      <h2>{name}</h2>
      <ul className="bars">
        {shares.slice(0, 8).map(({ key, name, micros, jobs }) => (
          <li key={key} title={`${jobs} ${jobs === 1 ? "job" : "jobs"}`}>
            <span className="title">{visible(name)}</span>
            <span className="mono">{formatUsd(micros)}</span>
            <progress max={most} value={micros} aria-label={`${visible(name)}: ${formatUsd(micros)}`} />
          </li>
        ))}
      </ul>
      {shares.length > 8 ? <p className="quiet">and {shares.length - 8} more, in the CSV</p> : null}
    </section>
  );
}

const scopeName = { organization: "Organization", project: "Project", member: "Person", job: "Job" } as const;
const windowName = { day: "a day", week: "a week", month: "a month", total: "in all" } as const;

function Budgets({ budgets }: { budgets: readonly Budget[] }) {
  const me = useQuery(meQuery);
  const projects = useQuery(projectsQuery);
  const [refusal, setRefusal] = useState<string | null>(null);
  const set = useMutation({
    mutationFn: client.setBudget,
    onSuccess: () => queryClient.invalidateQueries(budgetsQuery),
  });
  const standing = budgets.filter(({ scope }) => scope.kind !== "job");
  const nameOf = ({ kind, id }: Budget["scope"]) =>
    kind === "project"
      ? (projects.data?.items.find((project) => project.id === id)?.name ?? id)
      : kind === "organization"
        ? (me.data?.organization ?? id)
        : id;
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const limitMicros = parseUsd(String(form.get("limit")));
    if (limitMicros === null) return setRefusal("The limit is an amount in dollars, such as 25 or 2.50.");
    setRefusal(null);
    const projectId = String(form.get("scope"));
    set.mutate({
      body: {
        scope: projectId
          ? { kind: "project", id: projectId }
          : { kind: "organization", id: me.data?.organizationId ?? "" },
        window: String(form.get("window")) as Budget["window"],
        limitMicros,
      },
    });
  };
  return (
    <section className="card" aria-label="Budgets">
      <h2>Budgets</h2>
      <p className="quiet">
        A call that does not fit into every budget above it is refused before it leaves. Each job has its own besides.
      </p>
      {standing.length > 0 ? (
        <ul className="bars budgets">
          {standing.map((budget) => {
            const { id, scope, window, limitMicros, spentMicros, reservedMicros } = budget;
            const text = `${formatUsd(spentMicros)} of ${formatUsd(limitMicros)} ${windowName[window]}`;
            return (
              <li key={id}>
                <span className="title">
                  {scopeName[scope.kind]} {visible(nameOf(scope))}
                </span>
                <span className="mono">
                  {text}
                  {reservedMicros > 0 ? `, ${formatUsd(reservedMicros)} reserved` : ""}
                </span>
                <meter
                  max={limitMicros || 1}
                  high={limitMicros * 0.8}
                  value={Math.min(limitMicros, spentMicros + reservedMicros)}
                  aria-label={text}
                />
              </li>
            );
          })}
        </ul>
      ) : (
        <p>No budget over several jobs yet.</p>
      )}
      <Only scope="admin" otherwise={<MayNot what="set budgets" />}>
        <form className="inline" onSubmit={submit}>
          <label>
            For
            <select name="scope">
              <option value="">The organization</option>
              {projects.data?.items.map(({ id, name }) => (
                <option key={id} value={id}>
                  Project {name}
                </option>
              ))}
            </select>
          </label>
          <label>
            At most, in dollars
            <input name="limit" inputMode="decimal" required placeholder="25.00" />
          </label>
          <label>
            Each
            <select name="window" defaultValue="day">
              <option value="day">day</option>
              <option value="week">week</option>
              <option value="month">month</option>
              <option value="total">in all</option>
            </select>
          </label>
          <Button type="submit" disabled={set.isPending}>
            Set budget
          </Button>
        </form>
      </Only>
      {refusal ? <p role="alert">{refusal}</p> : null}
      {set.isError ? <Failure error={set.error} /> : null}
    </section>
  );
}
