import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { formatUsd, isTerminal, roundText } from "@x1agent/contract";
import { useEffect, useState } from "react";
import { Age } from "../../../components/age.tsx";
import { Breakable } from "../../../components/breakable.tsx";
import { DialogForm } from "../../../components/dialog.tsx";
import { IsolationFacts } from "../../../components/isolation.tsx";
import { JobStateMark } from "../../../components/job-state.tsx";
import { Only } from "../../../components/only.tsx";
import { client, queryClient } from "../../../lib/client.ts";
import { formatDuration, visible } from "../../../lib/format.ts";
import { callsQuery, jobQuery } from "../../../lib/queries.ts";
import { burnOf } from "../burn.ts";
import type { Job } from "../review.ts";

/** Where the job stands and why, what it has cost, and what it runs on. */
export function StateCard({ job }: { job: Job }) {
  const isolation = job.attempts.at(-1)?.isolation;
  const facts: [string, string][] = [
    ["Attempt", `${job.attempt}, ${roundText(job)}`],
    ["Runtime", job.runtime],
    ["Model", job.model],
    ["Isolation", job.isolation === "process" ? "process (not isolated)" : job.isolation],
    ["Repository", job.repository],
    ["Base", job.baseCommit?.slice(0, 12) ?? job.base ?? "not resolved yet"],
    ...(job.targetBranch ? [["Branch", job.targetBranch] as [string, string]] : []),
    ["Published", job.publishedCommit ? job.publishedCommit.slice(0, 12) : "not published"],
  ];
  return (
    <section className="card state-card" aria-label="State">
      <div className="state-line">
        <JobStateMark state={job.state} />
        <Elapsed from={job.createdAt} to={job.endedAt} />
      </div>
      <p className="quiet">
        {job.reason.replaceAll("_", " ")}
        {job.reasonDetail ? `: ${visible(job.reasonDetail)}` : ""} · <Age at={job.updatedAt} />
      </p>
      <Money job={job} />
      <dl className="facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd className="mono">
              <Breakable text={visible(value)} />
            </dd>
          </div>
        ))}
      </dl>
      {isolation ? (
        <details>
          <summary>How it is isolated</summary>
          <IsolationFacts report={isolation} />
        </details>
      ) : null}
      <Only scope="write">
        <p className="again">
          <Link to="/new" search={{ from: job.id }}>
            Run the same again, or with another runtime
          </Link>
        </p>
      </Only>
    </section>
  );
}

function Elapsed({ from, to }: { from: string; to: string | null }) {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (to) return;
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, [to]);
  const ms = Math.max(0, (to ? Date.parse(to) : now) - Date.parse(from));
  return (
    <span className="mono quiet" title={to ? "From its creation to its end" : "Since its creation"}>
      {formatDuration(ms)}
    </span>
  );
}

/** Cost against the budget, how it grew, and at which rate it grows now. */
function Money({ job }: { job: Job }) {
  const [raising, setRaising] = useState(false);
  const calls = useQuery(callsQuery(job.id));
  const ended = isTerminal(job.state);
  const limit = job.budgetMicros;
  const burn = burnOf(calls.data?.items ?? [], job.spentMicros, Date.now());
  const share = limit === null || limit === 0 ? 0 : Math.min(1, job.spentMicros / limit);
  const tone = share > 0.9 ? "bad" : share > 0.7 ? "waiting" : "good";
  return (
    <div className="money">
      <div className="state-line">
        <span className="mono">
          <strong>{formatUsd(job.spentMicros)}</strong>
          {limit === null ? "" : ` of ${formatUsd(limit)}`}
          {!ended && burn.perHourMicros > 0 ? (
            <span className="quiet"> · {formatUsd(burn.perHourMicros)}/h</span>
          ) : null}
        </span>
        {job.state === "succeeded" || job.state === "publishing" ? null : (
          <Only scope={ended ? "write" : "admin"}>
            <button type="button" className="link" onClick={() => setRaising(true)}>
              Raise budget
            </button>
          </Only>
        )}
      </div>
      {limit === null ? null : (
        <meter className={tone} min={0} max={1} value={share} aria-label="Budget used">
          {Math.round(share * 100)} %
        </meter>
      )}
      {burn.points.length > 2 ? (
        <svg className="burn" viewBox="0 0 100 24" preserveAspectRatio="none" role="img" aria-label="Cost over time">
          <polyline points={burn.points.map(({ x, y }) => `${x * 100},${23 - y * 22}`).join(" ")} />
        </svg>
      ) : null}
      {raising ? <RaiseBudget job={job} close={() => setRaising(false)} /> : null}
    </div>
  );
}

function RaiseBudget({ job, close }: { job: Job; close(): void }) {
  const [dollars, setDollars] = useState(String(Math.max(1, ((job.budgetMicros ?? 0) * 2) / 1_000_000)));
  const limitMicros = Math.round(Number(dollars) * 1_000_000);
  const ended = isTerminal(job.state);
  const valid = Number.isSafeInteger(limitMicros) && limitMicros > job.spentMicros;
  const raise = async () => {
    await (ended
      ? client.retryJob({ params: { jobId: job.id }, body: { budgetMicros: limitMicros } })
      : client.setBudget({ body: { scope: { kind: "job", id: job.id }, window: "total", limitMicros } })
    ).finally(() => queryClient.invalidateQueries(jobQuery(job.id)));
  };
  return (
    <DialogForm
      title="Raise this job's budget"
      action={ended ? "Raise and retry" : "Raise"}
      disabled={!valid}
      close={close}
      run={raise}
    >
      <label>
        New limit in dollars
        <input inputMode="decimal" value={dollars} onChange={(event) => setDollars(event.target.value)} />
      </label>
      <p className="quiet">
        {formatUsd(job.spentMicros)} is spent.{" "}
        {ended ? "The job starts another attempt with its work." : "It holds at once."}
      </p>
    </DialogForm>
  );
}
