import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect } from "react";
import { JobList } from "../../../components/job-list.tsx";
import { Empty, Failure, Loading } from "../../../components/states.tsx";
import { jobsQuery } from "../../../lib/jobs.ts";

export function Jobs() {
  const jobs = useQuery(jobsQuery);
  const { q = "" } = useSearch({ from: "/jobs" });
  const navigate = useNavigate();
  useEffect(() => {
    document.title = "Jobs · x1agent";
  }, []);
  const words = q.toLowerCase().split(/\s+/).filter(Boolean);
  const found = (jobs.data?.items ?? []).filter((job) => {
    const text = `${job.title} ${job.state.replaceAll("_", " ")} ${job.runtime} ${job.repository}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  return (
    <>
      <div className="head">
        <h1>Jobs</h1>
        <input
          type="search"
          aria-label="Filter jobs by title, state, runtime or repository"
          placeholder="Filter"
          value={q}
          onChange={(event) => void navigate({ to: "/jobs", search: { q: event.target.value }, replace: true })}
        />
        <Link className="button primary" to="/new">
          New job
        </Link>
      </div>
      {jobs.isPending ? (
        <Loading />
      ) : !jobs.data ? (
        <Failure error={jobs.error} retry={() => void jobs.refetch()} />
      ) : found.length === 0 ? (
        <Empty>
          <p>{q ? "No job matches the filter." : "No job yet."}</p>
          <Link to="/new">State a goal</Link>
        </Empty>
      ) : (
        <JobList jobs={found} label="Jobs" />
      )}
    </>
  );
}
