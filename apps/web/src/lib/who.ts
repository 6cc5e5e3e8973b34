import { useQuery } from "@tanstack/react-query";
import type { RouteResponse } from "@x1agent/contract";
import { membersQuery } from "./queries.ts";

type Actor = RouteResponse<"me">["actor"];

/** How an actor is called: people by name, everything else by what it is. */
export function useWho(): (actor: Actor) => string {
  const members = useQuery(membersQuery).data?.items;
  return ({ kind, id }) => {
    if (kind === "user") return members?.find((member) => member.id === id)?.name ?? id;
    return kind === "platform" ? "the platform" : `${kind} ${id}`;
  };
}
