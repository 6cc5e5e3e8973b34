import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { Button } from "../../../components/button.tsx";
import { JobList } from "../../../components/job-list.tsx";
import { Empty, Failure, Loading } from "../../../components/states.tsx";
import { waitingQuery } from "../../../lib/jobs.ts";
import { useTitle } from "../../../lib/title.ts";

export function Inbox() {
  useTitle("Inbox");
  const jobs = useQuery(waitingQuery);
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
      ) : jobs.data.items.length === 0 ? (
        <Empty>
          <p>Nothing waits for you. Questions, approvals and failed jobs come here.</p>
          <Link className="button" to="/new">
            State a goal
          </Link>
        </Empty>
      ) : (
        <JobList jobs={jobs.data.items} label="Waiting for you" />
      )}
    </>
  );
}

/** Asks the browser, once, whether the desktop may be told; gone when the person has answered. */
function NotifyMe() {
  const [permission, setPermission] = useState(() => ("Notification" in window ? Notification.permission : "denied"));
  if (permission !== "default") return null;
  return <Button onClick={() => void Notification.requestPermission().then(setPermission)}>Notify me</Button>;
}
