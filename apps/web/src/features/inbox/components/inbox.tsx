import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useRef, useState } from "react";
import { Button } from "../../../components/button.tsx";
import { Empty, Failure, Loading } from "../../../components/states.tsx";
import { waitingQuery } from "../../../lib/jobs.ts";
import { useShortcuts } from "../../../lib/shortcuts.ts";
import { useTitle } from "../../../lib/title.ts";
import { useDismissed } from "../dismissed.ts";
import { InboxItem } from "./inbox-item.tsx";
import "../inbox.css";

/** All that waits for a person, most urgent first, each answered in place. `j` and `k` move, Enter opens the job. */
export function Inbox() {
  useTitle("Inbox");
  const jobs = useQuery(waitingQuery);
  const { isOpen, dismiss } = useDismissed();
  const list = useRef<HTMLUListElement>(null);
  const navigate = useNavigate();
  const move = (by: number) => () => {
    const links = [...(list.current?.querySelectorAll<HTMLAnchorElement>(".item-head a") ?? [])];
    const at = links.findIndex((link) => link.closest("li")?.contains(document.activeElement));
    links[Math.max(0, Math.min(links.length - 1, at + by))]?.focus();
  };
  useShortcuts({ j: move(1), k: move(-1), n: () => void navigate({ to: "/new" }) });
  const open = jobs.data?.items.filter(isOpen) ?? [];
  return (
    <>
      <div className="head">
        <h1>Inbox</h1>
        <NotifyMe />
        <Link className="button primary" to="/new">
          New job
        </Link>
      </div>
      {jobs.isPending ? (
        <Loading />
      ) : !jobs.data ? (
        <Failure error={jobs.error} retry={() => void jobs.refetch()} />
      ) : open.length === 0 ? (
        <Empty>
          <p>Nothing waits for you. Questions, approvals, spent budgets and failed jobs come here.</p>
          <Link className="button" to="/new">
            State a goal
          </Link>
        </Empty>
      ) : (
        <ul ref={list} className="items" aria-label="Waiting for you">
          {open.map((job) => (
            <InboxItem key={job.id} job={job} dismiss={() => dismiss(job)} />
          ))}
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
