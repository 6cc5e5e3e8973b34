import { accept, type MemberRole, type Outcome, type RouteBody, type RouteResponse, refuse } from "@x1agent/contract";
import { decideRole, type IdentityService } from "@x1agent/domain-identity";
import type { Database } from "@x1agent/kernel";
import { audited } from "./audit.ts";
import type { Caller } from "./index.ts";

/** A caller with what they hold: nobody hands on more. */
export type MemberCaller = Caller & { role: string; scopes: readonly string[] };
type Member = RouteResponse<"listMembers">["items"][number];

/** People of the organization and their roles. */
export type MemberUseCases = {
  list(caller: Caller): Promise<Member[]>;
  add(caller: MemberCaller, body: RouteBody<"addMember">): Promise<Outcome<Member>>;
  setRole(caller: MemberCaller, userId: string, role: MemberRole): Promise<Outcome<Member>>;
  remove(caller: MemberCaller, userId: string): Promise<Outcome<null>>;
  /**
   * Whether the caller may make a link that signs a browser in as this person: whoever may give them their role, and once they
   * have signed in an owner only. What is approved by such a browser is written down under that person's name.
   */
  mayInvite(caller: MemberCaller, userId: string): Promise<Outcome<Member>>;
};

export function memberUseCases({
  db,
  identity,
}: {
  db: Pick<Database, "tenant">;
  identity: IdentityService;
}): MemberUseCases {
  const note = (caller: Caller, action: string, subject: string, data: Record<string, unknown> = {}) =>
    db.tenant(caller.organizationId, (tx) => audited(tx, caller, action, subject, data));
  return {
    list: (caller) => identity.listMembers(caller.organizationId),
    async add(caller, body) {
      const made = await identity.members.add(caller, caller.organizationId, body);
      if (made.ok) await note(caller, "member.added", made.value.id, { name: body.name, role: body.role });
      return made;
    },
    async setRole(caller, userId, role) {
      const changed = await identity.setRole(caller, caller.organizationId, userId, role);
      if (!changed.ok) return changed;
      const { before, after } = changed.value;
      await note(caller, "member.role_changed", userId, { from: before.role, to: after.role });
      return accept(after);
    },
    async remove(caller, userId) {
      const changed = await identity.setRole(caller, caller.organizationId, userId, "former");
      if (!changed.ok) return changed;
      await note(caller, "member.removed", userId, { from: changed.value.before.role });
      return accept(null);
    },
    async mayInvite(caller, userId) {
      const member = await identity.members.get(caller.organizationId, userId);
      if (!member || member.role === "former")
        return refuse("not_found", "There is no such person in the organization.");
      const allowed = decideRole(caller, member.role, member.role, 1);
      if (!allowed.ok) return allowed;
      if (caller.role !== "owner" && (await identity.members.hasSignedIn(userId)))
        return refuse("forbidden", "They have signed in already: only an owner makes another link for them.");
      return accept(member);
    },
  };
}
