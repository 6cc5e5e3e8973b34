import { accept } from "@x1agent/contract";
import type { Handlers } from "../call.ts";
import { numberedPage } from "../presenters.ts";
import { callerOf, found } from "./common.ts";
import type { HandlerDeps } from "./index.ts";

type Names =
  | "getInbox"
  | "dismiss"
  | "listJobs"
  | "createJob"
  | "getJob"
  | "cancelJob"
  | "retryJob"
  | "jobEvents"
  | "listEvents"
  | "injectMessage"
  | "interruptJob"
  | "answerQuestion"
  | "setModel"
  | "listCalls";

export function jobHandlers({ useCases: { jobs, inbox, sessions }, streams }: HandlerDeps): Pick<Handlers, Names> {
  return {
    listJobs: async (call) => accept(await jobs.list(callerOf(call), call.query)),
    getInbox: async (call) => accept(await inbox.get(callerOf(call))),
    async dismiss(call) {
      await inbox.dismiss(callerOf(call), call.body.key);
      return accept(null);
    },
    createJob: (call) => jobs.create(callerOf(call), call.body),
    getJob: async (call) => found(await jobs.get(callerOf(call), call.params.jobId), "job"),
    cancelJob: (call) => jobs.cancel(callerOf(call), call.params.jobId),
    retryJob: (call) => jobs.retry(callerOf(call), call.params.jobId, call.body),

    async jobEvents(call) {
      const caller = callerOf(call);
      const job = found(await jobs.get(caller, call.params.jobId), "job");
      if (!job.ok) return job;
      // A browser's own reconnect knows better than the address it was first given.
      const after = call.lastEventId ?? call.query.after ?? 0;
      return accept((out) =>
        streams.serve(out, {
          organizationId: caller.organizationId,
          jobId: job.value.id,
          after,
          live: call.query.live === "true",
          stillValid: call.stillValid,
        }),
      );
    },
    async listEvents(call) {
      const caller = callerOf(call);
      const job = found(await jobs.get(caller, call.params.jobId), "job");
      if (!job.ok) return job;
      const { after, limit } = call.query;
      return accept(numberedPage(await sessions.events(caller, job.value.id, after, limit), limit));
    },

    injectMessage: (call) => sessions.inject(callerOf(call), call.params.jobId, call.body),
    interruptJob: (call) => sessions.interrupt(callerOf(call), call.params.jobId),
    answerQuestion: (call) => sessions.answer(callerOf(call), call.params.jobId, call.body),
    setModel: (call) => sessions.setModel(callerOf(call), call.params.jobId, call.body.model),
    async listCalls(call) {
      const caller = callerOf(call);
      const job = found(await jobs.get(caller, call.params.jobId), "job");
      return job.ok ? accept(await sessions.calls(caller, job.value.id, call.query)) : job;
    },
  };
}
