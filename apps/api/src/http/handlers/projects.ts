import { accept } from "@x1agent/contract";
import type { Handlers } from "../call.ts";
import { callerOf, found } from "./common.ts";
import type { HandlerDeps } from "./index.ts";

type Names =
  | "listProjects"
  | "createProject"
  | "getProject"
  | "updateProject"
  | "tryApprovalPolicy"
  | "startTrial"
  | "getTrial"
  | "cancelTrial";

export function projectHandlers({ useCases: { projects } }: HandlerDeps): Pick<Handlers, Names> {
  return {
    listProjects: async (call) => accept(await projects.list(callerOf(call), call.query)),
    createProject: (call) => projects.create(callerOf(call), call.body),
    getProject: async (call) => found(await projects.get(callerOf(call), call.params.projectId), "project"),
    updateProject: (call) => projects.update(callerOf(call), call.params.projectId, call.body),
    startTrial: (call) => projects.startTrial(callerOf(call), call.params.projectId, call.body),
    getTrial: async (call) =>
      found(await projects.trial(callerOf(call), call.params.projectId, call.params.trialId), "trial"),
    cancelTrial: async (call) =>
      found(projects.cancelTrial(callerOf(call), call.params.projectId, call.params.trialId), "trial"),
    tryApprovalPolicy: async (call) =>
      found(await projects.tryPolicy(callerOf(call), call.params.projectId, call.body.policy), "project"),
  };
}
