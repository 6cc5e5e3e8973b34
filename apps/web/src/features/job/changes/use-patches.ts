import { useInfiniteQuery } from "@tanstack/react-query";
import { useEffect, useMemo } from "react";
import { client } from "../../../lib/client.ts";
import type { Evidence } from "../review.ts";
import type { Patch } from "./rows.ts";

/** The lines of a change, page after page without asking, so that the first files show at once. */
export function usePatches(evidence: Evidence): { patches: readonly Patch[]; error: unknown; retry(): void } {
  const pages = useInfiniteQuery({
    queryKey: ["diff", evidence.id],
    queryFn: ({ signal, pageParam }) =>
      client.listDiffFiles({
        params: { jobId: evidence.jobId },
        query: {
          evidenceId: evidence.id,
          limit: pageParam === null ? 20 : 100,
          ...(pageParam ? { cursor: pageParam } : {}),
        },
        signal,
      }),
    initialPageParam: null as string | null,
    getNextPageParam: ({ cursor }) => cursor,
    staleTime: Number.POSITIVE_INFINITY,
  });
  const { hasNextPage, isFetching, isError, fetchNextPage } = pages;
  useEffect(() => {
    if (hasNextPage && !isFetching && !isError) void fetchNextPage();
  }, [hasNextPage, isFetching, isError, fetchNextPage]);
  const patches = useMemo(() => pages.data?.pages.flatMap(({ items }) => items) ?? [], [pages.data]);
  return { patches, error: pages.error, retry: () => void pages.fetchNextPage() };
}
