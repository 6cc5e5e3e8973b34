import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect } from "react";
import { JobList } from "../../../components/job-list.tsx";
import { Empty, Failure, Loading } from "../../../components/states.tsx";
import { jobsQuery } from "../../../lib/jobs.ts";

/** What waits for a person, most urgent first: a waiting agent holds a workspace, an approval holds nothing. */
const order = ["awaiting_input", "awaiting_approval", "budget_exceeded", "failed", "lost", "timed_out"] as const;

export function Inbox() {
  const jobs = useQuery(jobsQuery);
  const rank = (state: string) => (order as readonly string[]).indexOf(state);
  const waiting = (jobs.data?.items ?? [])
    .filter(({ state }) => rank(state) >= 0)
    .sort((a, b) => rank(a.state) - rank(b.state));
  useEffect(() => {
    document.title = waiting.length > 0 ? `(${waiting.length}) Inbox · x1agent` : "Inbox · x1agent";
  }, [waiting.length]);
  return (
    <>
      <div className="head">
        <h1>Inbox</h1>
        <Link className="button primary" to="/new">
          New job
        </Link>
      </div>
      {jobs.isPending ? (
        <Loading />
      ) : !jobs.data ? (
        <Failure error={jobs.error} retry={() => void jobs.refetch()} />
      ) : waiting.length === 0 ? (
        <Empty>
          <p>Nothing waits for you.</p>
          <Link to="/new">State a goal</Link>
        </Empty>
      ) : (
        <JobList jobs={waiting} label="Waiting for you" />
      )}
    </>
  );
}
