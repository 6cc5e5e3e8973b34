import { queryOptions } from "@tanstack/react-query";
import { client } from "../../lib/client.ts";

export const projectsQuery = queryOptions({
  queryKey: ["projects"],
  queryFn: ({ signal }) => client.listProjects({ query: { limit: 200 }, signal }),
});

export const projectQuery = (projectId: string) =>
  queryOptions({
    queryKey: ["project", projectId],
    queryFn: ({ signal }) => client.getProject({ params: { projectId }, signal }),
  });
