import { useInfiniteQuery, useMutation, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { isTerminal } from "@x1agent/contract";
import { useState } from "react";
import { Button } from "../../../components/button.tsx";
import { Choice, Filters, Words } from "../../../components/filters.tsx";
import { JobList } from "../../../components/job-list.tsx";
import { Only } from "../../../components/only.tsx";
import { Empty, Failure, Loading } from "../../../components/states.tsx";
import { client, queryClient } from "../../../lib/client.ts";
import { visible } from "../../../lib/format.ts";
import { filteredJobsQuery, type JobFilter } from "../../../lib/jobs.ts";
import { membersQuery, meQuery, projectsQuery, runtimesQuery, useMay } from "../../../lib/queries.ts";
import { useTitle } from "../../../lib/title.ts";
import { type JobsSearch, readSearch, views } from "../search.ts";

export function Jobs() {
  useTitle("Jobs");
  const search = useSearch({ from: "/jobs" });
  const navigate = useNavigate();
  const set = (change: { [Key in keyof JobsSearch]: string | undefined }) =>
    void navigate({ to: "/jobs", search: readSearch({ ...search, ...change }), replace: true });
  const filter: JobFilter = {
    ...(search.q ? { q: search.q } : {}),
    ...(search.show ? { states: views[search.show].states.join(",") } : {}),
    ...(search.project ? { projectId: search.project } : {}),
    ...(search.runtime ? { runtime: search.runtime } : {}),
    ...(search.by ? { createdBy: search.by } : {}),
  };
  const jobs = useInfiniteQuery(filteredJobsQuery(filter));
  const me = useQuery(meQuery).data?.actor.id;
  const members = useQuery(membersQuery);
  const mayWrite = useMay("write");
  const projects = useQuery(projectsQuery);
  const runtimes = useQuery(runtimesQuery);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const found = jobs.data?.pages.flatMap(({ items }) => items) ?? [];
  const toggle = (jobId: string) => {
    const next = new Set(chosen);
    if (!next.delete(jobId)) next.add(jobId);
    setChosen(next);
  };
  const filtered = Object.keys(filter).length > 0;
  return (
    <>
      <div className="head">
        <h1>Jobs</h1>
        <Only scope="write">
          <Link className="button primary" to="/new">
            New job
          </Link>
        </Only>
      </div>
      <Filters>
        <Words
          label="Words in title, goal or repository"
          placeholder="Search"
          value={search.q ?? ""}
          set={(q) => set({ q })}
        />
        <Choice
          label="State"
          all="Every state"
          options={Object.entries(views).map(([key, { label }]) => [key, label])}
          value={search.show ?? ""}
          set={(show) => set({ show })}
        />
        <Choice
          label="Project"
          all="Every project"
          options={(projects.data?.items ?? []).map(({ id, name }) => [id, visible(name)])}
          value={search.project ?? ""}
          set={(project) => set({ project })}
        />
        <Choice
          label="Runtime"
          all="Every runtime"
          options={(runtimes.data?.items ?? []).map(({ manifest: { name } }) => [name, name])}
          value={search.runtime ?? ""}
          set={(runtime) => set({ runtime })}
        />
        <Choice
          label="Who"
          all="Everybody's"
          options={(members.data?.items ?? [])
            .toSorted((a, b) => Number(b.id === me) - Number(a.id === me))
            .map(({ id, name }) => [id, id === me ? "Mine" : visible(name)])}
          value={search.by ?? ""}
          set={(by) => set({ by })}
        />
      </Filters>
      {chosen.size > 0 ? (
        <CancelChosen
          jobIds={found.filter(({ id, state }) => chosen.has(id) && !isTerminal(state)).map(({ id }) => id)}
          chosen={chosen.size}
          done={() => setChosen(new Set())}
        />
      ) : null}
      {jobs.isPending ? (
        <Loading />
      ) : !jobs.data ? (
        <Failure error={jobs.error} retry={() => void jobs.refetch()} />
      ) : found.length === 0 ? (
        <Empty>
          <p>
            {filtered
              ? "No job matches these filters."
              : "No job yet. State a goal, and an agent works on it in a workspace of its own."}
          </p>
          {filtered ? (
            <Link className="button" to="/jobs">
              Show all jobs
            </Link>
          ) : (
            <Only scope="write">
              <Link className="button" to="/new">
                State a goal
              </Link>
            </Only>
          )}
        </Empty>
      ) : (
        <>
          <JobList jobs={found} label="Jobs" {...(mayWrite ? { selection: { chosen, toggle } } : {})} />
          {jobs.hasNextPage ? (
            <Button disabled={jobs.isFetchingNextPage} onClick={() => void jobs.fetchNextPage()}>
              {jobs.isFetchingNextPage ? "Loading…" : "Show older jobs"}
            </Button>
          ) : null}
        </>
      )}
    </>
  );
}

/** Cancels what is chosen and still at work; says how many that are before, and what was refused after. */
function CancelChosen({ jobIds, chosen, done }: { jobIds: readonly string[]; chosen: number; done(): void }) {
  const [asked, setAsked] = useState(false);
  const cancel = useMutation({
    mutationFn: async () => {
      const refused: unknown[] = [];
      for (const jobId of jobIds)
        await client.cancelJob({ params: { jobId } }).catch((error: unknown) => refused.push(error));
      if (refused.length > 0)
        throw new Error(`${refused.length} of ${jobIds.length} could not be cancelled: ${String(refused[0])}`);
    },
    onSuccess: done,
    onSettled: () => queryClient.invalidateQueries({ queryKey: ["jobs"] }),
  });
  const running = jobIds.length === 1 ? "1 unfinished job" : `${jobIds.length} unfinished jobs`;
  return (
    <section className="bar" aria-label="Chosen jobs">
      <span>{chosen} chosen</span>
      <Button
        look="danger"
        disabled={jobIds.length === 0 || cancel.isPending}
        onClick={() => (asked ? cancel.mutate() : setAsked(true))}
      >
        {asked ? `Confirm: stop ${running}; what was collected is kept` : `Cancel ${running}`}
      </Button>
      <Button onClick={done}>Choose none</Button>
      {cancel.isError ? <Failure error={cancel.error} /> : null}
    </section>
  );
}
