import type { ReactNode } from "react";
import { Button } from "./button.tsx";
import { Failure, Loading } from "./states.tsx";

type Paged<Item> = {
  data: { pages: readonly { items: readonly Item[] }[] } | undefined;
  error: unknown;
  isPending: boolean;
  hasNextPage: boolean;
  isFetchingNextPage: boolean;
  refetch(): Promise<unknown>;
  fetchNextPage(): Promise<unknown>;
};

/** What a query of pages has so far: the failure, the wait, that there is nothing, or the items, with a way to more. */
export function PagedList<Item>(props: {
  of: Paged<Item>;
  /** What the items are, as in `More issues`. */
  what: string;
  empty: string;
  children(items: readonly Item[]): ReactNode;
}) {
  const { of, what, empty, children } = props;
  const found = of.data?.pages.flatMap(({ items }) => items) ?? [];
  return (
    <>
      {of.error ? (
        <Failure error={of.error} retry={() => void of.refetch()} />
      ) : of.isPending ? (
        <Loading />
      ) : found.length === 0 ? (
        <p className="quiet">{empty}</p>
      ) : (
        children(found)
      )}
      {of.hasNextPage ? (
        <Button disabled={of.isFetchingNextPage} onClick={() => void of.fetchNextPage()}>
          {of.isFetchingNextPage ? "Loading…" : `More ${what}`}
        </Button>
      ) : null}
    </>
  );
}
