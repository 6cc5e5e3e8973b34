import { Link, useNavigate } from "@tanstack/react-router";
import type { RouteResponse } from "@x1agent/contract";
import { formatUsd } from "@x1agent/contract";
import { useRef } from "react";
import { visible } from "../lib/format.ts";
import { useShortcuts } from "../lib/shortcuts.ts";
import { Age } from "./age.tsx";
import { JobStateMark } from "./job-state.tsx";

type Job = RouteResponse<"listJobs">["items"][number];

/** Jobs, one line each; `j` and `k` move the focus, Enter opens. */
export function JobList({ jobs, label }: { jobs: readonly Job[]; label: string }) {
  const list = useRef<HTMLUListElement>(null);
  const navigate = useNavigate();
  const move = (by: number) => () => {
    const links = [...(list.current?.querySelectorAll("a") ?? [])];
    const at = links.indexOf(document.activeElement as HTMLAnchorElement);
    links[Math.max(0, Math.min(links.length - 1, at + by))]?.focus();
  };
  useShortcuts({ j: move(1), k: move(-1), n: () => void navigate({ to: "/new" }) });
  return (
    <ul ref={list} className="rows" aria-label={label}>
      {jobs.map((job) => (
        <li key={job.id}>
          <Link to="/jobs/$jobId" params={{ jobId: job.id }}>
            <JobStateMark state={job.state} />
            <span className="title">{visible(job.title)}</span>
            <span className="quiet">{job.runtime}</span>
            <span className="mono">{formatUsd(job.spentMicros)}</span>
            <Age at={job.updatedAt} />
          </Link>
        </li>
      ))}
    </ul>
  );
}
