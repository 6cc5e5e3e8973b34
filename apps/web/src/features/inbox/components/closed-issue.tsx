import { useMutation } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { CircleSlash } from "lucide-react";
import { Age } from "../../../components/age.tsx";
import { Button } from "../../../components/button.tsx";
import { Only } from "../../../components/only.tsx";
import { Failure } from "../../../components/states.tsx";
import { client, queryClient } from "../../../lib/client.ts";
import { visible } from "../../../lib/format.ts";
import type { ClosedIssue } from "../../../lib/inbox.ts";

/** An issue that was closed while a job works on it: the job is cancelled, or goes on. */
export function ClosedIssueItem({ issue, putAway }: { issue: ClosedIssue; putAway(): void }) {
  const title = visible(issue.title);
  const cancel = useMutation({
    mutationFn: () => client.cancelJob({ params: { jobId: issue.jobId } }),
    onSuccess: () => {
      void queryClient.invalidateQueries({ queryKey: ["jobs"] });
      putAway();
    },
  });
  return (
    <li className="item" aria-label={`Closed issue of ${title}`}>
      <div className="item-head">
        <span className="state waiting">
          <CircleSlash size={16} aria-hidden /> issue closed
        </span>
        <Link to="/jobs/$jobId" params={{ jobId: issue.jobId }} className="title" title={title}>
          {title}
        </Link>
        <Age at={issue.at} />
      </div>
      <p className="summary">
        <span>Issue #{issue.number} was closed while the job works on it.</span>
      </p>
      <span className="buttons">
        <Only scope="write">
          <Button disabled={cancel.isPending} onClick={() => cancel.mutate()}>
            Cancel the job
          </Button>
        </Only>
        <Button onClick={putAway}>Let it go on</Button>
      </span>
      {cancel.error ? <Failure error={cancel.error} /> : null}
    </li>
  );
}
