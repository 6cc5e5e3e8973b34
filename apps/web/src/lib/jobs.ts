import { queryOptions } from "@tanstack/react-query";
import { client } from "./client.ts";

/** Newest jobs; asked again while the page is seen, since lists have no stream of their own yet. */
export const jobsQuery = queryOptions({
  queryKey: ["jobs"],
  queryFn: ({ signal }) => client.listJobs({ query: { limit: 200 }, signal }),
  refetchInterval: 2_000,
});
