import { useInfiniteQuery, useMutation, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { isTerminal } from "@x1agent/contract";
import { type ReactNode, useState } from "react";
import { Button } from "../../../components/button.tsx";
import { JobList } from "../../../components/job-list.tsx";
import { Empty, Failure, Loading } from "../../../components/states.tsx";
import { client, queryClient } from "../../../lib/client.ts";
import { filteredJobsQuery, type JobFilter } from "../../../lib/jobs.ts";
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
  const me = useQuery({ queryKey: ["me"], queryFn: ({ signal }) => client.me({ signal }) });
  const projects = useQuery({
    queryKey: ["projects"],
    queryFn: ({ signal }) => client.listProjects({ query: { limit: 200 }, signal }),
  });
  const runtimes = useQuery({ queryKey: ["runtimes"], queryFn: ({ signal }) => client.listRuntimes({ signal }) });
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
        <Link className="button primary" to="/new">
          New job
        </Link>
      </div>
      <search className="filters">
        <input
          type="search"
          aria-label="Words in title, goal or repository"
          placeholder="Search"
          value={search.q ?? ""}
          onChange={(event) => set({ q: event.target.value })}
        />
        <Choice label="State" value={search.show} set={(show) => set({ show })}>
          <option value="">Every state</option>
          {Object.entries(views).map(([key, { label }]) => (
            <option key={key} value={key}>
              {label}
            </option>
          ))}
        </Choice>
        <Choice label="Project" value={search.project} set={(project) => set({ project })}>
          <option value="">Every project</option>
          {projects.data?.items.map(({ id, name }) => (
            <option key={id} value={id}>
              {name}
            </option>
          ))}
        </Choice>
        <Choice label="Runtime" value={search.runtime} set={(runtime) => set({ runtime })}>
          <option value="">Every runtime</option>
          {runtimes.data?.items.map(({ manifest }) => (
            <option key={manifest.name} value={manifest.name}>
              {manifest.name}
            </option>
          ))}
        </Choice>
        <Choice label="Who" value={search.by} set={(by) => set({ by })}>
          <option value="">Everybody's</option>
          {me.data ? <option value={me.data.actor.id}>Mine</option> : null}
        </Choice>
      </search>
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
            <Link className="button" to="/new">
              State a goal
            </Link>
          )}
        </Empty>
      ) : (
        <>
          <JobList jobs={found} label="Jobs" selection={{ chosen, toggle }} />
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

type ChoiceProps = { label: string; value: string | undefined; set(value: string): void; children: ReactNode };

function Choice({ label, value, set, children }: ChoiceProps) {
  return (
    <select aria-label={label} value={value ?? ""} onChange={(event) => set(event.target.value)}>
      {children}
    </select>
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
