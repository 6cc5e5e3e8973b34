import { useMutation, useQuery } from "@tanstack/react-query";
import type { RouteResponse } from "@x1agent/contract";
import { client, queryClient } from "./client.ts";
import { type Job, waitingQuery } from "./jobs.ts";
import { inboxQuery } from "./queries.ts";

export type BlockedHost = RouteResponse<"getInbox">["blocked"][number];

export type ClosedIssue = NonNullable<RouteResponse<"getInbox">["closedIssues"]>[number];

/** A job that ended longer ago than this is the past: it stands in the list of jobs. */
const DAYS_14 = 14 * 86_400_000;
/** With its time of change: an attempt that fails again comes back. */
const jobKey = (job: Job) => `${job.id} ${job.updatedAt}`;
const hostKey = ({ jobId, host, port }: BlockedHost) => `${jobId} ${host}:${port}`;
/** With its time: an issue that is closed again comes back. */
const issueKey = ({ jobId, at }: ClosedIssue) => `${jobId} issue ${at}`;

/** What waits for the person who is signed in: jobs and refused hosts without what they have put away. */
export function useInbox() {
  const jobs = useQuery(waitingQuery);
  const inbox = useQuery(inboxQuery);
  const putAway = useMutation({
    mutationFn: (key: string) => client.dismiss({ body: { key } }),
    // Gone at once; it comes back if the service did not take it.
    onMutate: (key) =>
      queryClient.setQueryData(inboxQuery.queryKey, (now) => now && { ...now, dismissed: [key, ...now.dismissed] }),
    onSettled: () => queryClient.invalidateQueries(inboxQuery),
  });
  const gone = new Set(inbox.data?.dismissed);
  const open = (jobs.data?.items ?? []).filter(
    (job) => job.endedAt === null || (Date.now() - Date.parse(job.endedAt) < DAYS_14 && !gone.has(jobKey(job))),
  );
  const blocked = (inbox.data?.blocked ?? []).filter((host) => !gone.has(hostKey(host)));
  const closedIssues = (inbox.data?.closedIssues ?? []).filter((issue) => !gone.has(issueKey(issue)));
  return {
    /** The jobs' query: how it goes decides how the page looks. */
    jobs,
    isPending: jobs.isPending || inbox.isPending,
    error: putAway.error ?? inbox.error,
    open,
    blocked,
    closedIssues,
    count: open.length + new Set(blocked.map(({ jobId }) => jobId)).size + closedIssues.length,
    dismiss: (job: Job) => putAway.mutate(jobKey(job)),
    dismissIssue: (issue: ClosedIssue) => putAway.mutate(issueKey(issue)),
    dismissHost: (host: BlockedHost) => putAway.mutate(hostKey(host)),
  };
}
