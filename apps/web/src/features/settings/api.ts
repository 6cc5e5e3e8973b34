import { queryOptions } from "@tanstack/react-query";
import { client } from "../../lib/client.ts";

/** What and where this installation is. */
export const installationQuery = queryOptions({
  queryKey: ["installation"],
  queryFn: ({ signal }) => client.getInstallation({ signal }),
  staleTime: 30_000,
});
