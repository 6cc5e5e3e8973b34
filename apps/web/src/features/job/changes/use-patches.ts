import { useInfiniteQuery, useMutation } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { client } from "../../../lib/client.ts";
import type { Evidence } from "../review.ts";
import type { Patch, Range, Unfolded } from "./rows.ts";

/** The lines of a change, page after page without asking, so that the first files show at once. */
export function usePatches(evidence: Evidence): {
  patches: readonly Patch[];
  unfolded: ReadonlyMap<number, Unfolded>;
  error: unknown;
  retry(): void;
  /** Brings a long file's next lines. */
  more(file: number): void;
  /** Brings what stands unchanged between a file's hunks. */
  unfold(file: number, range: Range): void;
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
  const [unfolded, setUnfolded] = useState<ReadonlyMap<number, Unfolded>>(new Map());
  const around = useMutation({
    mutationFn: async ({ file, range }: { file: number; range: Range }) => {
      const known = patches[file];
      if (!known) return;
      const { source, ranges } = unfolded.get(file) ?? { source: await sourceOf(evidence, known.path), ranges: [] };
      setUnfolded((before) => new Map(before).set(file, { source, ranges: [...ranges, range] }));
    },
  });
  return {
    patches,
    unfolded,
    error: pages.error ?? next.error ?? around.error,
    unfold: (file, range) => {
      if (!around.isPending) around.mutate({ file, range });
    },
    retry: () => void pages.fetchNextPage(),
    more: (file) => {
      if (!next.isPending) next.mutate(file);
    },
  };
}

async function sourceOf(evidence: Evidence, path: string): Promise<readonly string[]> {
  const { lines, truncated } = await client.getDiffSource({
    params: { jobId: evidence.jobId },
    query: { evidenceId: evidence.id, path },
  });
  if (truncated)
    throw new Error("The file is too long to be unfolded: what stands around its changes is in the commit.");
  return lines;
}
