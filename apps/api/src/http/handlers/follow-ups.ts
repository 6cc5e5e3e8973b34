import { accept } from "@x1agent/contract";
import type { Handlers } from "../call.ts";
import { wholePage } from "../presenters.ts";
import { callerOf, found } from "./common.ts";
import type { HandlerDeps } from "./index.ts";

type Names = "listFollowUps" | "sendFollowUps" | "forgeDeliveries";

/** What was said about a published change, and how the forge's deliveries stand. */
export function followUpHandlers({ useCases: { followUps } }: HandlerDeps): Pick<Handlers, Names> {
  return {
    async listFollowUps(call) {
      const items = found(await followUps.list(callerOf(call), call.params.jobId), "job");
      return items.ok ? accept(wholePage(items.value)) : items;
    },
    sendFollowUps: (call) => followUps.send(callerOf(call), call.params.jobId, call.body.ids),
    forgeDeliveries: async (call) => accept(await followUps.deliveries(callerOf(call))),
  };
}
