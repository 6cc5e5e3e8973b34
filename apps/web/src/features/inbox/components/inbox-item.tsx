import { useMutation } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { formatUsd, parseUsd } from "@x1agent/contract";
import { type FormEvent, lazy, Suspense, useState } from "react";
import { Age } from "../../../components/age.tsx";
import { Button } from "../../../components/button.tsx";
import { JobStateMark } from "../../../components/job-state.tsx";
import { Only } from "../../../components/only.tsx";
import { Failure } from "../../../components/states.tsx";
import { client, queryClient } from "../../../lib/client.ts";
import { visible } from "../../../lib/format.ts";
import type { Job } from "../../../lib/jobs.ts";
import { useEvidence } from "../../../lib/queries.ts";

const Question = lazy(() => import("../../job/components/talk.tsx").then(({ Question }) => ({ default: Question })));
const DecisionCard = lazy(() =>
  import("../../job/components/decision.tsx").then(({ DecisionCard }) => ({ default: DecisionCard })),
);
const refresh = () => queryClient.invalidateQueries({ queryKey: ["jobs"] });

/** One thing that waits, with all that is needed to answer it here, and the way to the whole job. */
export function InboxItem({ job, dismiss }: { job: Job; dismiss(): void }) {
  const title = visible(job.title);
  return (
    <li className="item" aria-label={title}>
      <div className="item-head">
        <JobStateMark state={job.state} />
        <Link to="/jobs/$jobId" params={{ jobId: job.id }} className="title" title={title}>
          {title}
        </Link>
        <span className="quiet wide">{job.runtime}</span>
        <span className="mono wide">{formatUsd(job.spentMicros)}</span>
        <Age at={job.updatedAt} />
      </div>
      {job.state === "awaiting_input" ? (
        <Suspense>
          {job.openQuestions.map((question) => (
            <Question key={question.requestId} jobId={job.id} question={question} />
          ))}
        </Suspense>
      ) : job.state === "awaiting_approval" ? (
        <Approval job={job} />
      ) : job.state === "budget_exceeded" ? (
        <RaiseBudget job={job} dismiss={dismiss} />
      ) : (
        <Failed job={job} dismiss={dismiss} />
      )}
    </li>
  );
}

function Approval({ job }: { job: Job }) {
  const [open, setOpen] = useState(false);
  const evidence = useEvidence(job.id, job.approvalDigest);
  const newest = evidence.data?.items[0];
  if (evidence.isError) return <Failure error={evidence.error} retry={() => void evidence.refetch()} />;
  if (!newest) return <div className="skeleton line" />;
  const { record } = newest;
  const flagged = record.files.filter(({ flags }) => flags.length > 0);
  const before = record.baseline?.passed;
  const verified = record.verification.passed;
  return (
    <>
      <p className="summary">
        <span className={verified ? "good" : "bad"}>
          {verified ? "Verification passed" : verified === false ? "Verification failed" : "Not verified"}
          {before === null || before === undefined
            ? ""
            : before
              ? ", as before the change"
              : ", failed before the change"}
        </span>
        <span>
          {record.files.length === 1 ? "1 file" : `${record.files.length} files`},{" "}
          <span className="mono">
            +{record.insertions} −{record.deletions}
          </span>
        </span>
        {flagged.length > 0 ? (
          <span className="state waiting">
            {flagged.length === 1 ? "1 flagged path" : `${flagged.length} flagged paths`}
          </span>
        ) : null}
        {record.egressBlocked.length > 0 ? (
          <span className="state waiting">
            refused hosts:{" "}
            {record.egressBlocked
              .slice(0, 3)
              .map(({ host }) => visible(host))
              .join(", ")}
          </span>
        ) : null}
      </p>
      <div className="buttons">
        <Link className="button primary" to="/jobs/$jobId" params={{ jobId: job.id }}>
          Review
        </Link>
        <Only scope="approve">
          <Button aria-expanded={open} onClick={() => setOpen(!open)}>
            Decide here
          </Button>
        </Only>
      </div>
      {open ? (
        <Suspense>
          <DecisionCard evidence={newest} current={job.approvalDigest} />
        </Suspense>
      ) : null}
    </>
  );
}

function RaiseBudget({ job, dismiss }: { job: Job; dismiss(): void }) {
  const [refusal, setRefusal] = useState<string | null>(null);
  const spent = job.spentMicros;
  const retry = useMutation({
    mutationFn: (budgetMicros: number) => client.retryJob({ params: { jobId: job.id }, body: { budgetMicros } }),
    onSettled: refresh,
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const micros = parseUsd(String(new FormData(event.currentTarget).get("budget")));
    if (micros === null || micros <= spent)
      return setRefusal(`The new budget is an amount in dollars above the ${formatUsd(spent)} that are spent.`);
    setRefusal(null);
    retry.mutate(micros);
  };
  return (
    <>
      <p>
        It spent {formatUsd(spent)} of {formatUsd(job.budgetMicros ?? 0)} and was stopped; its work is kept.
      </p>
      <Only
        scope="write"
        otherwise={
          <div className="buttons">
            <Button onClick={dismiss}>Dismiss</Button>
          </div>
        }
      >
        <form className="inline" onSubmit={submit}>
          <label>
            New budget in dollars
            <input
              name="budget"
              inputMode="decimal"
              required
              defaultValue={((Math.max(spent, job.budgetMicros ?? 0) * 2) / 1e6).toFixed(2)}
            />
          </label>
          <Button type="submit" look="primary" disabled={retry.isPending}>
            Raise and go on
          </Button>
          <Button onClick={dismiss}>Dismiss</Button>
        </form>
      </Only>
      {refusal ? <p role="alert">{refusal}</p> : null}
      {retry.isError ? <Failure error={retry.error} /> : null}
    </>
  );
}

function Failed({ job, dismiss }: { job: Job; dismiss(): void }) {
  const retry = useMutation({
    mutationFn: () => client.retryJob({ params: { jobId: job.id }, body: {} }),
    onSettled: refresh,
  });
  return (
    <>
      <p className="reason">{visible(job.reasonDetail ?? `${job.reason.replaceAll("_", " ")}.`)}</p>
      <div className="buttons">
        <Only scope="write">
          <Button disabled={retry.isPending} onClick={() => retry.mutate()}>
            Try again
          </Button>
          <Link className="button" to="/new" search={{ from: job.id }}>
            Change and run
          </Link>
        </Only>
        <Button onClick={dismiss}>Dismiss</Button>
      </div>
      {retry.isError ? <Failure error={retry.error} /> : null}
    </>
  );
}
