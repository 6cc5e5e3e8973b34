import { accept, refuse } from "@x1agent/contract";
import type { Handlers } from "../call.ts";
import { wholePage } from "../presenters.ts";
import { callerOf, found } from "./common.ts";
import type { HandlerDeps } from "./index.ts";

type Names = "listGrants" | "createGrant" | "revokeGrant" | "listBudgets" | "setBudget" | "getSpend" | "exportSpend";

export function policyHandlers({ useCases: { grants, budgets, spend } }: HandlerDeps): Pick<Handlers, Names> {
  return {
    async listGrants(call) {
      const { subject, all } = call.query;
      return accept(wholePage(await grants.list(callerOf(call), { subject, all: all === "true" })));
    },
    async createGrant(call) {
      if (call.principal.actor.kind !== "user") return refuse("forbidden", "Only people grant.");
      return grants.create(callerOf(call), call.body);
    },
    revokeGrant: async (call) => found(await grants.revoke(callerOf(call), call.params.grantId), "grant"),
    listBudgets: async (call) => accept(wholePage(await budgets.list(callerOf(call)))),
    getSpend: (call) => spend.report(callerOf(call), call.query),
    exportSpend: (call) => spend.csv(callerOf(call), call.query),
    setBudget: (call) => budgets.set(callerOf(call), call.body),
  };
}
