import { Link, useNavigate } from "@tanstack/react-router";
import { useRef, useState } from "react";
import { Button } from "../../../components/button.tsx";
import { Only } from "../../../components/only.tsx";
import { Empty, Failure, Loading } from "../../../components/states.tsx";
import { useInbox } from "../../../lib/inbox.ts";
import type { Job } from "../../../lib/jobs.ts";
import { useShortcuts } from "../../../lib/shortcuts.ts";
import { useTitle } from "../../../lib/title.ts";
import { BlockedHosts } from "./blocked-hosts.tsx";
import { ClosedIssueItem } from "./closed-issue.tsx";
import { InboxItem } from "./inbox-item.tsx";
import "../inbox.css";

/** All that waits for a person, most urgent first, each answered in place. `j` and `k` move, Enter opens the job. */
export function Inbox() {
  useTitle("Inbox");
  const { jobs, isPending, error, open, blocked, closedIssues, count, dismiss, dismissHost, dismissIssue } = useInbox();
  const list = useRef<HTMLUListElement>(null);
  const navigate = useNavigate();
  const move = (by: number) => () => {
    const links = [...(list.current?.querySelectorAll<HTMLAnchorElement>(".item-head a") ?? [])];
    const at = links.findIndex((link) => link.closest("li")?.contains(document.activeElement));
    links[Math.max(0, Math.min(links.length - 1, at + by))]?.focus();
  };
  useShortcuts({ j: move(1), k: move(-1), n: () => void navigate({ to: "/new" }) });
  // A waiting agent holds a workspace; one that was refused a host works on without it; the rest holds nothing.
  const asking = open.filter(({ state }) => state === "awaiting_input");
  const rest = open.filter(({ state }) => state !== "awaiting_input");
  const byJob = Map.groupBy(blocked, ({ jobId }) => jobId);
  const item = (job: Job) => <InboxItem key={job.id} job={job} dismiss={() => dismiss(job)} />;
  return (
    <>
      <div className="head">
        <h1>Inbox</h1>
        <NotifyMe />
        <Only scope="write">
          <Link className="button primary" to="/new">
            New job
          </Link>
        </Only>
      </div>
      {error && !isPending ? <Failure error={error} /> : null}
      {isPending ? (
        <Loading />
      ) : !jobs.data ? (
        <Failure error={jobs.error} retry={() => void jobs.refetch()} />
      ) : count === 0 ? (
        <Empty>
          <p>Nothing waits for you. Questions, refused hosts, approvals, spent budgets and failed jobs come here.</p>
          <Only scope="write">
            <Link className="button" to="/new">
              State a goal
            </Link>
          </Only>
        </Empty>
      ) : (
        <ul ref={list} className="items" aria-label="Waiting for you">
          {asking.map(item)}
          {[...byJob].map(([jobId, hosts]) => (
            <BlockedHosts key={`hosts ${jobId}`} hosts={hosts} putAway={dismissHost} />
          ))}
          {closedIssues.map((issue) => (
            <ClosedIssueItem key={`issue ${issue.jobId}`} issue={issue} putAway={() => dismissIssue(issue)} />
          ))}
          {rest.map(item)}
        </ul>
      )}
      {jobs.data?.more ? (
        <p>
          More wait than fit here:{" "}
          <Link to="/jobs" search={{ show: "waiting" }}>
            all of them
          </Link>
          .
        </p>
      ) : null}
    </>
  );
}

/** Asks the browser, once, whether the desktop may be told; gone when the person has answered. */
function NotifyMe() {
  const [permission, setPermission] = useState(() => ("Notification" in window ? Notification.permission : "denied"));
  if (permission !== "default") return null;
  return <Button onClick={() => void Notification.requestPermission().then(setPermission)}>Notify me</Button>;
}
