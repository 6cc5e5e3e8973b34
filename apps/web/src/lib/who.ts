import { useQuery } from "@tanstack/react-query";
import type { RouteResponse } from "@x1agent/contract";
import { useCallback } from "react";
import { membersQuery } from "./queries.ts";

type Actor = RouteResponse<"me">["actor"];

/** How an actor is called: people by name, everything else by what it is. */
export function useWho(): (actor: Actor) => string {
  const members = useQuery(membersQuery).data?.items;
  return useCallback(
    ({ kind, id }) => {
      if (kind === "user") return members?.find((member) => member.id === id)?.name ?? id;
      return kind === "platform" ? "the platform" : `${kind} ${id}`;
    },
    [members],
  );
}

/** The same for an actor as events write one: `user:usr_1`. */
export function useWhoByText(): (text: string) => string {
  const who = useWho();
  return useCallback(
    (text) => {
      const [, kind, id] = /^(\w+):(.+)$/.exec(text) ?? [];
      return kind && id ? who({ kind, id } as Actor) : text;
    },
    [who],
  );
}
