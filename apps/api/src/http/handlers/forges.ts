import { accept, refuse } from "@x1agent/contract";
import type { Handlers } from "../call.ts";
import { wholePage } from "../presenters.ts";
import { callerOf } from "./common.ts";
import type { HandlerDeps } from "./index.ts";

type Names =
  | "listForgeConnections"
  | "createForgeConnection"
  | "checkForgeConnection"
  | "removeForgeConnection"
  | "listForgeApps"
  | "startForgeApp"
  | "checkForgeApp"
  | "listForgeRepositories"
  | "listIssues"
  | "getIssue"
  | "createIssueJob";

/** Connections to forges, and what comes in from them. */
export function forgeHandlers({ useCases: { forges } }: HandlerDeps): Pick<Handlers, Names> {
  return {
    listForgeConnections: async (call) =>
      accept(wholePage(await forges.connections(callerOf(call), call.query.all === "true"))),
    createForgeConnection: (call) => forges.connectByToken(callerOf(call), call.body),
    checkForgeConnection: (call) => forges.check(callerOf(call), call.params.connectionId),
    async removeForgeConnection(call) {
      return (await forges.remove(callerOf(call), call.params.connectionId))
        ? accept(null)
        : refuse("not_found", "No such connection.");
    },
    listForgeApps: async (call) => accept(wholePage(await forges.apps(callerOf(call)))),
    startForgeApp: (call) => forges.startApp(callerOf(call), call.body),
    async checkForgeApp(call) {
      const checked = await forges.checkApp(callerOf(call), call.params.appId);
      return checked.ok ? accept(wholePage(checked.value)) : checked;
    },
    listForgeRepositories: (call) => forges.repositories(callerOf(call), call.params.connectionId, call.query),
    listIssues: (call) => forges.issues(callerOf(call), call.query),
    getIssue: (call) => forges.issue(callerOf(call), call.query),
    createIssueJob: (call) =>
      forges.createIssueJob(callerOf(call), call.body, call.principal.via.kind === "session" ? "web" : "cli"),
  };
}
