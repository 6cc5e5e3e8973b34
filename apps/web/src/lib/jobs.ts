import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import type { JobState, RouteQueryInput, RouteResponse } from "@x1agent/contract";
import { client } from "./client.ts";
import { evenHidden } from "./queries.ts";

export type Job = RouteResponse<"listJobs">["items"][number];

/** States in which a person has to do something, most urgent first: a waiting agent holds a workspace, the others hold nothing. */
export const needsPerson: readonly JobState[] = [
  "awaiting_input",
  "awaiting_approval",
  "budget_exceeded",
  "failed",
  "lost",
  "timed_out",
];

/** Newest jobs; asked again while the page is seen, since lists have no stream of their own. */
export const jobsQuery = queryOptions({
  queryKey: ["jobs", "newest"],
  queryFn: ({ signal }) => client.listJobs({ query: { limit: 50 }, signal }),
  refetchInterval: 2_000,
});

/** What waits for a person, most urgent first and the longest wait first among equals. */
export const waitingQuery = queryOptions({
  queryKey: ["jobs", "waiting"],
  queryFn: ({ signal }) => client.listJobs({ query: { limit: 200, states: needsPerson.join(",") }, signal }),
  ...evenHidden(2_000),
  select: ({ items, cursor }) => ({
    more: cursor !== null,
    items: items.toSorted(
      (a, b) =>
        needsPerson.indexOf(a.state) - needsPerson.indexOf(b.state) ||
        Date.parse(a.updatedAt) - Date.parse(b.updatedAt),
    ),
  }),
});

export type JobFilter = Pick<RouteQueryInput<"listJobs">, "states" | "projectId" | "runtime" | "createdBy" | "q">;

/** Jobs that a filter leaves, a page at a time. */
export const filteredJobsQuery = (filter: JobFilter) =>
  infiniteQueryOptions({
    queryKey: ["jobs", "filtered", filter],
    queryFn: ({ signal, pageParam }) =>
      client.listJobs({ query: { limit: 100, ...filter, ...(pageParam ? { cursor: pageParam } : {}) }, signal }),
    initialPageParam: "",
    getNextPageParam: ({ cursor }) => cursor ?? undefined,
    refetchInterval: 3_000,
    placeholderData: (before) => before,
  });
