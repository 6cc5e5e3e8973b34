import { infiniteQueryOptions, queryOptions, useQuery } from "@tanstack/react-query";
import { client, isRefusal } from "./client.ts";

/**
 * What more than one screen asks the service for, once: one key always holds the same answer. How often a screen asks
 * again is its own affair (`refetchInterval` beside the spread options). Everything about one job lies below
 * `["job", id]`, so that one word makes all of it be asked again.
 */

/** Asked again every so many milliseconds, and now and then in a tab that nobody looks at: its title and a notice tell what waits. */
export const evenHidden = (seen: number) => ({
  refetchInterval: () => (document.hidden ? 10_000 : seen),
  refetchIntervalInBackground: true,
});

/** Who is signed in, for which organization, in which role. */
export const meQuery = queryOptions({ queryKey: ["me"], queryFn: ({ signal }) => client.me({ signal }) });

/**
 * Whether one may do what needs this scope. Until that is known, no: what appears late is better than a button that is
 * refused. The service decides in any case; this only spares people the try.
 */
export function useMay(scope: "write" | "approve" | "admin"): boolean {
  return useQuery(meQuery).data?.scopes.includes(scope) ?? false;
}

/** One's own account: asked for again after each change of it. */
export const accountQuery = queryOptions({
  queryKey: ["account"],
  queryFn: ({ signal }) => client.getAccount({ signal }),
});

/** People of the organization, for showing who did something. */
export const membersQuery = queryOptions({
  queryKey: ["members"],
  queryFn: ({ signal }) => client.listMembers({ signal }),
  staleTime: 60_000,
});

/** The newest 200 projects. */
export const projectsQuery = queryOptions({
  queryKey: ["projects"],
  queryFn: ({ signal }) => client.listProjects({ query: { limit: 200 }, signal }),
});

export const projectQuery = (projectId: string) =>
  queryOptions({
    queryKey: ["project", projectId],
    queryFn: ({ signal }) => client.getProject({ params: { projectId }, signal }),
  });

/** The catalogue. */
export const runtimesQuery = queryOptions({
  queryKey: ["runtimes"],
  queryFn: ({ signal }) => client.listRuntimes({ signal }),
});

export const budgetsQuery = queryOptions({
  queryKey: ["budgets"],
  queryFn: ({ signal }) => client.listBudgets({ signal }),
});

/** Where models are called, and of each key whether it is stored. */
export const providersQuery = queryOptions({
  queryKey: ["providers"],
  queryFn: ({ signal }) => client.listProviders({ signal }),
});

/** Names of stored secrets, the organization's (null) or a project's own, with their last four characters; for owners and admins. */
export const secretsQuery = (projectId: string | null) =>
  queryOptions({
    queryKey: ["secrets", projectId],
    queryFn: ({ signal }) =>
      projectId === null
        ? client.listSecrets({ signal })
        : client.listProjectSecrets({ params: { projectId }, signal }),
  });

/** What the installation can and cannot do here. */
export const doctorQuery = queryOptions({
  queryKey: ["doctor"],
  queryFn: ({ signal }) => client.doctor({ signal }),
  staleTime: 30_000,
});

/** The permission ledger: what holds now, or with `all` also what was revoked or used up. */
export const grantsQuery = (all: boolean) =>
  queryOptions({
    queryKey: ["grants", { all }],
    queryFn: ({ signal }) => client.listGrants({ query: { all: all ? "true" : "false" }, signal }),
  });

/** What waits besides the jobs that wait, and what one has put away oneself. */
export const inboxQuery = queryOptions({
  queryKey: ["inbox"],
  queryFn: ({ signal }) => client.getInbox({ signal }),
  ...evenHidden(3_000),
});

/** Ways into forges, the removed ones too. */
export const connectionsQuery = queryOptions({
  queryKey: ["connections"],
  queryFn: ({ signal }) => client.listForgeConnections({ query: { all: "true" }, signal }),
  staleTime: 10_000,
});

/** Repositories that a connection reaches whose name has `q`, a page at a time. */
export const repositoriesQuery = (connectionId: string, q: string) =>
  infiniteQueryOptions({
    queryKey: ["repositories", connectionId, q],
    queryFn: ({ signal, pageParam }) =>
      client.listForgeRepositories({
        params: { connectionId },
        query: { limit: 30, ...(q ? { q } : {}), ...(pageParam ? { cursor: pageParam } : {}) },
        signal,
      }),
    initialPageParam: "",
    getNextPageParam: ({ cursor }) => cursor ?? undefined,
    // Each answer costs a part of the forge's rate limit.
    staleTime: 60_000,
    placeholderData: (before) => before,
  });

/** One issue as an agent would get it. */
export const issueQuery = (connectionId: string, repository: string, number: number) =>
  queryOptions({
    queryKey: ["issue", connectionId, repository, number],
    queryFn: ({ signal }) => client.getIssue({ query: { connectionId, repository, number }, signal }),
    staleTime: 30_000,
  });

/** One job with its attempts. */
export const jobQuery = (jobId: string) =>
  queryOptions({
    queryKey: ["job", jobId],
    queryFn: ({ signal }) => client.getJob({ params: { jobId }, signal }),
    // What goes on at the forge moves no job and sends no event.
    refetchInterval: ({ state }) => (state.data?.pullRequest?.state === "open" ? 5_000 : false),
  });

/** Evidence of every round, newest first. */
const evidenceQuery = (jobId: string) =>
  queryOptions({
    queryKey: ["job", jobId, "evidence"],
    queryFn: ({ signal }) => client.listEvidence({ params: { jobId }, signal }),
  });

/**
 * The same, asked again until it holds the evidence that a decision would bind now (`digest`, null while there is none):
 * job and evidence come in two answers, and a screen without the job's stream hears of the first only. A service that was
 * away when it was first asked is asked again too.
 */
export function useEvidence(jobId: string, digest: string | null) {
  return useQuery({
    ...evidenceQuery(jobId),
    refetchInterval: ({ state: { data, error } }) =>
      digest === null || data?.items[0]?.approvalDigest === digest || (!data && isRefusal(error)) ? false : 1_000,
  });
}

/** The job's newest 200 model calls. */
export const callsQuery = (jobId: string) =>
  queryOptions({
    queryKey: ["job", jobId, "calls"],
    queryFn: ({ signal }) => client.listCalls({ params: { jobId }, query: { limit: 200 }, signal }),
  });

/** Browsers that are signed in as oneself. */
export const sessionsQuery = queryOptions({
  queryKey: ["sessions"],
  queryFn: ({ signal }) => client.listSessions({ signal }),
});
