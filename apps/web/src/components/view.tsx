import type { UseQueryResult } from "@tanstack/react-query";
import { ApiError } from "@x1agent/client";
import { Lock } from "lucide-react";
import type { ReactNode } from "react";
import { Empty, Failure, Loading } from "./states.tsx";

type Props<T> = {
  query: UseQueryResult<T>;
  /** What stands in the place of the data while it is on its way. */
  waiting?: ReactNode;
  /** What one would see here, for who may not: "the permission ledger". */
  what: string;
  children(data: T): ReactNode;
};

/** One query's looks: on its way, refused, failed, there. Old data stays readable when a later answer fails. */
export function View<T>({ query, waiting, what, children }: Props<T>) {
  if (query.data !== undefined)
    return (
      <>
        {query.isError ? <Failure error={query.error} retry={() => void query.refetch()} /> : null}
        {children(query.data)}
      </>
    );
  if (query.isPending) return waiting ?? <Loading />;
  if (query.error instanceof ApiError && query.error.code === "forbidden")
    return (
      <Empty>
        <Lock size={20} aria-hidden />
        <p>You may not see {what}.</p>
        <p className="quiet">Ask an owner of the organization for the role. {query.error.message}</p>
      </Empty>
    );
  return <Failure error={query.error} retry={() => void query.refetch()} />;
}
