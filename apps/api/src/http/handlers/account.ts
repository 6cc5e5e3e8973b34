import { accept, refuse } from "@x1agent/contract";
import type { AccountCaller } from "../../use-cases/account.ts";
import type { Call, Handlers } from "../call.ts";
import { wholePage } from "../presenters.ts";
import { callerOf } from "./common.ts";
import type { HandlerDeps } from "./index.ts";

type Names =
  | "getAccount"
  | "updateAccount"
  | "setPassword"
  | "removePassword"
  | "passkeyOptions"
  | "addPasskey"
  | "removePasskey"
  | "listSessions"
  | "endSession"
  | "endOtherSessions"
  | "createSignInLink"
  | "listTokens"
  | "createToken"
  | "revokeToken";

const accountOf = (call: Pick<Call<"getAccount">, "principal" | "origin">): AccountCaller => ({
  ...callerOf(call),
  role: call.principal.role,
  via: call.principal.via,
  origin: call.origin,
});

/** The caller's own account, browsers and API tokens. */
export function accountHandlers({ useCases, signInLink }: HandlerDeps): Pick<Handlers, Names> {
  const { account, identity } = useCases;
  return {
    getAccount: async (call) => accept(await account.get(accountOf(call))),
    updateAccount: (call) => account.update(accountOf(call), call.body),
    setPassword: (call) => account.setPassword(accountOf(call), call.body),
    removePassword: (call) => account.removePassword(accountOf(call), call.body),
    passkeyOptions: (call) => account.passkeyOptions(accountOf(call), call.body),
    addPasskey: (call) => account.addPasskey(accountOf(call), call.body),
    removePasskey: (call) => account.removePasskey(accountOf(call), call.params.passkeyId, call.body),
    listSessions: async (call) => accept(wholePage(await account.sessions(accountOf(call)))),
    async endSession(call) {
      return (await account.endSession(accountOf(call), call.params.sessionId))
        ? accept(null)
        : refuse("not_found", "No such browser session of yours.");
    },
    endOtherSessions: async (call) => accept({ ended: await account.endOtherSessions(accountOf(call)) }),
    async createSignInLink(call) {
      const { scopes, actor } = call.principal;
      // A browser's session has every scope: nobody hands on more than they hold.
      if (["read", "write", "approve", "admin"].some((scope) => !scopes.includes(scope)))
        return refuse("forbidden", "A sign-in link needs a token with every scope.");
      const link = await signInLink(callerOf(call), actor.id, "sign-in");
      if (link.ok) await useCases.noted(callerOf(call), "sign_in_link.made", actor.id);
      return link;
    },

    listTokens: async (call) => accept(wholePage(await identity.listTokens(callerOf(call)))),
    async revokeToken(call) {
      return (await identity.revokeToken(callerOf(call), call.params.tokenId))
        ? accept(null)
        : refuse("not_found", "No such token.");
    },
    async createToken(call) {
      // Nobody hands on more than they hold.
      const missing = call.body.scopes.find((scope) => !call.principal.scopes.includes(scope));
      if (missing) return refuse("forbidden", `Your own token lacks the scope "${missing}".`);
      return accept(await identity.createToken(callerOf(call), call.body));
    },
  };
}
