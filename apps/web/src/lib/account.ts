import { queryOptions } from "@tanstack/react-query";
import { client } from "./client.ts";

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
