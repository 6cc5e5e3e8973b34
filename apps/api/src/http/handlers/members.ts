import { accept } from "@x1agent/contract";
import type { MemberCaller } from "../../use-cases/members.ts";
import type { Handlers, Principal } from "../call.ts";
import { wholePage } from "../presenters.ts";
import { callerOf } from "./common.ts";
import type { HandlerDeps } from "./index.ts";

type Names = "listMembers" | "addMember" | "setMemberRole" | "removeMember" | "inviteMember";

const memberCaller = (call: { principal: Principal }): MemberCaller => ({
  ...callerOf(call),
  role: call.principal.role,
  scopes: call.principal.scopes,
});

/** People of the organization. */
export function memberHandlers({ useCases, signInLink }: HandlerDeps): Pick<Handlers, Names> {
  const { members } = useCases;
  return {
    listMembers: async (call) => accept(wholePage(await members.list(callerOf(call)))),
    addMember: (call) => members.add(memberCaller(call), call.body),
    setMemberRole: (call) => members.setRole(memberCaller(call), call.params.memberId, call.body.role),
    removeMember: (call) => members.remove(memberCaller(call), call.params.memberId),
    async inviteMember(call) {
      const invited = await members.mayInvite(memberCaller(call), call.params.memberId);
      if (!invited.ok) return invited;
      const link = await signInLink(callerOf(call), invited.value.id, "invitation");
      if (link.ok) await useCases.noted(callerOf(call), "member.invited", invited.value.id);
      return link;
    },
  };
}
