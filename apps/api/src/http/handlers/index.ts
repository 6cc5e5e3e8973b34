import { accept, CONTRACT_VERSION, type Health, type Outcome, type RouteResponse } from "@x1agent/contract";
import type { z } from "zod";
import type { EventStreams } from "../../events/streams.ts";
import type { Caller, UseCases } from "../../use-cases/index.ts";
import type { Handlers } from "../call.ts";
import { accountHandlers } from "./account.ts";
import { followUpHandlers } from "./follow-ups.ts";
import { forgeHandlers } from "./forges.ts";
import { jobHandlers } from "./jobs.ts";
import { memberHandlers } from "./members.ts";
import { policyHandlers } from "./policy.ts";
import { projectHandlers } from "./projects.ts";
import { reviewHandlers } from "./review.ts";
import { serviceHandlers } from "./service.ts";

export type HandlerDeps = {
  useCases: UseCases;
  streams: EventStreams;
  version: string;
  status(): z.infer<typeof Health>["status"];
  /** A link that signs one browser in as this member, made by the caller. */
  signInLink(
    caller: Caller,
    userId: string,
    use: "sign-in" | "invitation",
  ): Promise<Outcome<RouteResponse<"createSignInLink">>>;
};

/** A handler for every route of the contract. */
export function createHandlers(deps: HandlerDeps): Handlers {
  return {
    health: async () => accept({ status: deps.status(), version: deps.version, contract: CONTRACT_VERSION }),
    ...projectHandlers(deps),
    ...jobHandlers(deps),
    ...reviewHandlers(deps),
    ...policyHandlers(deps),
    ...serviceHandlers(deps),
    ...accountHandlers(deps),
    ...followUpHandlers(deps),
    ...forgeHandlers(deps),
    ...memberHandlers(deps),
  };
}
