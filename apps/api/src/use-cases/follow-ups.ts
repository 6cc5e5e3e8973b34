import { accept, type FollowUp, formatActor, type Outcome, type RouteResponse, refuse } from "@x1agent/contract";
import {
  deliveryHealth,
  listFollowUps,
  lockPullRequest,
  moveFollowUps,
  type FollowUp as StoredFollowUp,
} from "@x1agent/domain-forges";
import { getJob } from "@x1agent/domain-jobs";
import { appendEvents } from "@x1agent/domain-sessions";
import type { Database } from "@x1agent/kernel";
import { ASKED } from "../watch/round.ts";
import { audited } from "./audit.ts";
import type { Caller } from "./index.ts";

/** What was said about published changes, as people see it and release it. */
export type FollowUpUseCases = {
  list(caller: Caller, jobId: string): Promise<FollowUp[] | null>;
  send(caller: Caller, jobId: string, ids: "all" | readonly string[]): Promise<Outcome<{ sent: number }>>;
  deliveries(caller: Caller): Promise<RouteResponse<"forgeDeliveries">>;
};

export function followUpUseCases(db: Pick<Database, "tenant">): FollowUpUseCases {
  return {
    list: (caller, jobId) =>
      db.tenant(caller.organizationId, async (tx) =>
        (await getJob(tx, jobId)) ? (await listFollowUps(tx, jobId)).map(present) : null,
      ),
    send: (caller, jobId, ids) =>
      db.tenant(caller.organizationId, async (tx): Promise<Outcome<{ sent: number }>> => {
        if (!(await getJob(tx, jobId))) return refuse("not_found", "No such job.");
        if (!(await lockPullRequest(tx, jobId)))
          return refuse("illegal_transition", "The job has no open pull request.");
        const change = { detail: ASKED, starts: true, ...(ids === "all" ? {} : { ids }) };
        const sent = await moveFollowUps(tx, jobId, ["held", "waiting"], "waiting", change);
        if (sent === 0) return refuse("conflict", "Nothing of that waits: it was sent, or concerns nobody any more.");
        const detail = `${sent} sent to the agent by ${formatActor(caller.actor)}.`;
        await appendEvents(tx, caller.organizationId, jobId, [
          { type: "forge.noted", source: "observed", attemptId: null, payload: { kind: "command", detail } },
        ]);
        await audited(tx, caller, "follow_ups.sent", jobId, { followUps: ids, sent });
        return accept({ sent });
      }),
    deliveries: (caller) => db.tenant(caller.organizationId, deliveryHealth),
  };
}

const present = ({ id, kind, state, starts, body, detail, batch, at }: StoredFollowUp): FollowUp => ({
  ...{ id, kind, state, starts, detail, round: batch, at },
  ...{ author: body.author, text: body.text, url: body.url, path: body.path ?? null, line: body.line ?? null },
});
