import { Link, useNavigate } from "@tanstack/react-router";
import { formatUsd } from "@x1agent/contract";
import { useRef } from "react";
import { visible } from "../lib/format.ts";
import type { Job } from "../lib/jobs.ts";
import { useShortcuts } from "../lib/shortcuts.ts";
import { Age } from "./age.tsx";
import { JobStateMark } from "./job-state.tsx";

/** Which jobs are chosen, and how a choice changes. */
export type Selection = { chosen: ReadonlySet<string>; toggle(jobId: string): void };

/** Jobs, one line each; `j` and `k` move the focus, Enter opens, `x` chooses where choosing is offered. */
export function JobList({ jobs, label, selection }: { jobs: readonly Job[]; label: string; selection?: Selection }) {
  const list = useRef<HTMLUListElement>(null);
  const navigate = useNavigate();
  const links = () => [...(list.current?.querySelectorAll("a") ?? [])];
  const focused = () => links().indexOf(document.activeElement as HTMLAnchorElement);
  const move = (by: number) => () => {
    const all = links();
    all[Math.max(0, Math.min(all.length - 1, focused() + by))]?.focus();
  };
  useShortcuts({
    j: move(1),
    k: move(-1),
    n: () => void navigate({ to: "/new" }),
    x: () => {
      const job = jobs[focused()];
      if (job) selection?.toggle(job.id);
    },
  });
  return (
    <ul ref={list} className={selection ? "rows selectable" : "rows"} aria-label={label}>
      {jobs.map((job) => (
        <li key={job.id} className={selection?.chosen.has(job.id) ? "chosen" : undefined}>
          {selection ? (
            <label className="choose">
              <input
                type="checkbox"
                checked={selection.chosen.has(job.id)}
                onChange={() => selection.toggle(job.id)}
                aria-label={`Choose ${visible(job.title)}`}
              />
            </label>
          ) : null}
          <Link to="/jobs/$jobId" params={{ jobId: job.id }}>
            <JobStateMark state={job.state} />
            <span className="title" title={visible(job.title)}>
              {visible(job.title)}
            </span>
            <span className="quiet">{job.runtime}</span>
            <span className="mono">{formatUsd(job.spentMicros)}</span>
            <Age at={job.updatedAt} />
          </Link>
        </li>
      ))}
    </ul>
  );
}
