import { useInfiniteQuery, useMutation } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { client } from "../../../lib/client.ts";
import type { Evidence } from "../review.ts";
import { type Patch, withContext } from "./rows.ts";

/** The lines of a change, page after page without asking, so that the first files show at once. */
export function usePatches(evidence: Evidence): {
  patches: readonly Patch[];
  error: unknown;
  retry(): void;
  /** Brings a long file's next lines. */
  more(file: number): void;
  /** Brings what stands unchanged around a file's hunks. */
  unfold(file: number): void;
} {
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
  const [longer, setLonger] = useState<ReadonlyMap<number, Patch>>(new Map());
  const patches = useMemo(
    () => (pages.data?.pages.flatMap(({ items }) => items) ?? []).map((patch, file) => longer.get(file) ?? patch),
    [pages.data, longer],
  );
  const next = useMutation({
    mutationFn: async (file: number) => {
      const known = patches[file];
      if (!known) return;
      const { items } = await client.listDiffFiles({
        params: { jobId: evidence.jobId },
        query: { evidenceId: evidence.id, limit: 1, cursor: String(file), line: known.lines.length },
      });
      const [rest] = items;
      if (rest) setLonger((before) => new Map(before).set(file, { ...rest, lines: [...known.lines, ...rest.lines] }));
    },
  });
  const around = useMutation({
    mutationFn: async (file: number) => {
      const known = patches[file];
      if (!known) return;
      const { lines, truncated } = await client.getDiffSource({
        params: { jobId: evidence.jobId },
        query: { evidenceId: evidence.id, path: known.path },
      });
      if (truncated)
        throw new Error("The file is too long to be unfolded: what stands around its changes is in the commit.");
      setLonger((before) => new Map(before).set(file, { ...known, lines: withContext(known.lines, lines) }));
    },
  });
  return {
    patches,
    error: pages.error ?? next.error ?? around.error,
    unfold: (file) => {
      if (!around.isPending) around.mutate(file);
    },
    retry: () => void pages.fetchNextPage(),
    more: (file) => {
      if (!next.isPending) next.mutate(file);
    },
  };
}
