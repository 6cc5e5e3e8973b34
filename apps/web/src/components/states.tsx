import { type ErrorComponentProps, Link } from "@tanstack/react-router";
import { ApiError } from "@x1agent/client";
import type { ReactNode } from "react";
import { Button } from "./button.tsx";

export function Loading() {
  return (
    <div className="skeleton" role="status" aria-label="Loading">
      <div />
      <div />
      <div />
    </div>
  );
}

/** What happened and the id to quote; a refusal is told in the service's own words. */
export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  const problem = error instanceof ApiError ? error.problem : null;
  return (
    <div role="alert" className="failure">
      <p>{error instanceof Error ? error.message : "The service gave no answer."}</p>
      {problem?.instance ? <p className="mono quiet">{problem.instance}</p> : null}
      {retry ? <Button onClick={retry}>Try again</Button> : null}
    </div>
  );
}

export function Empty({ children }: { children: ReactNode }) {
  return <div className="empty">{children}</div>;
}

export function NotFound() {
  return (
    <Empty>
      <h1>No such page</h1>
      <Link to="/">Back to the inbox</Link>
    </Empty>
  );
}

export function RouteError({ error, reset }: ErrorComponentProps) {
  return <Failure error={error} retry={reset} />;
}
