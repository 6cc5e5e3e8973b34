import { accept, type Outcome, platformActor, type RouteBody, type RouteResponse, refuse } from "@x1agent/contract";
import { appendAudit } from "@x1agent/domain-audit";
import {
  type IdentityService,
  type LinkUse,
  listOrganizations,
  pageOrigin,
  type SessionFacts,
  type SignInMethod,
} from "@x1agent/domain-identity";
import type { Database } from "@x1agent/kernel";
import { audited } from "./audit.ts";
import type { Caller } from "./index.ts";

/** A caller with what they showed to be let in, and the origin of the page that asks (null outside browsers). */
export type AccountCaller = Caller & {
  role: string;
  via: { kind: "token"; id: string } | { kind: "session"; id: string; since: string };
  origin: string | null;
};
type Account = RouteResponse<"getAccount">;
type Confirmed = { current?: string | undefined };

/** So soon after signing in nobody is asked again. */
const FRESH_MS = 15 * 60_000;
const needsName = "Passkeys belong to a name, not to an address: open this page at http://localhost with its port.";

/** One's own account: name, password, passkeys, browsers. */
export type AccountUseCases = {
  get(caller: AccountCaller): Promise<Account>;
  update(caller: AccountCaller, body: RouteBody<"updateAccount">): Promise<Outcome<Account>>;
  setPassword(caller: AccountCaller, body: RouteBody<"setPassword">): Promise<Outcome<Account>>;
  removePassword(caller: AccountCaller, body: Confirmed): Promise<Outcome<Account>>;
  passkeyOptions(caller: AccountCaller, body: Confirmed): Promise<Outcome<RouteResponse<"passkeyOptions">>>;
  addPasskey(caller: AccountCaller, body: RouteBody<"addPasskey">): Promise<Outcome<Account>>;
  removePasskey(caller: AccountCaller, passkeyId: string, body: Confirmed): Promise<Outcome<Account>>;
  sessions(caller: AccountCaller): Promise<(SessionFacts & { current: boolean })[]>;
  endSession(caller: AccountCaller, sessionId: string): Promise<boolean>;
  endOtherSessions(caller: AccountCaller): Promise<number>;
};

export type AccountDeps = {
  db: Pick<Database, "tenant">;
  identity: IdentityService;
  /** Seconds to wait before the next guess of a password under this key; null when it may be made now. */
  limit(key: string): number | null | Promise<number | null>;
};

/** Every change of how somebody signs in asks who is there, once the session is no longer fresh, and is audited. */
export function accountUseCases({ db, identity, limit }: AccountDeps): AccountUseCases {
  const note = (caller: Caller, action: string, subject: string, data: Record<string, unknown> = {}) =>
    db.tenant(caller.organizationId, (tx) => audited(tx, caller, action, subject, data));
  const fresh = ({ via }: AccountCaller) => via.kind === "session" && Date.now() - Date.parse(via.since) < FRESH_MS;

  async function get(caller: AccountCaller): Promise<Account> {
    const [members, passwordSetAt, passkeys] = await Promise.all([
      identity.listMembers(caller.organizationId),
      identity.passwords.setAt(caller.actor.id),
      identity.passkeys.list(caller.actor.id),
    ]);
    const member = members.find(({ id }) => id === caller.actor.id);
    if (!member) throw new Error("The caller is no member of the organization.");
    const confirmBy = fresh(caller) ? "nothing" : passwordSetAt ? "password" : "sign_in";
    return { ...member, passwordSetAt, passkeys, confirmBy: caller.via.kind === "session" ? confirmBy : null };
  }

  /** Only a person at a browser, who signed in just now or knows the password. An API token that leaks changes nothing here. */
  async function confirmed(caller: AccountCaller, current: string | undefined): Promise<Outcome<null>> {
    if (caller.via.kind !== "session")
      return refuse("forbidden", "How you sign in is changed in the web app, not with an API token.");
    if (fresh(caller)) return accept(null);
    if ((await identity.passwords.setAt(caller.actor.id)) === null)
      return refuse("forbidden", "You signed in a while ago: open a new link (`x1 sign-in` prints one), then repeat.");
    if (!current) return refuse("forbidden", "Give your present password, too.");
    const wait = await limit(`confirm ${caller.actor.id}`);
    if (wait !== null) return refuse("rate_limited", `Too many wrong passwords: wait ${wait} seconds.`);
    const right = await identity.passwords.matches(caller.actor.id, current);
    if (right === "busy") return refuse("rate_limited", "Too many passwords are being checked: repeat in a moment.");
    return right ? accept(null) : refuse("forbidden", "That is not your present password.");
  }
  /** Runs a change once it is confirmed, and answers with the account as it is then. */
  async function change(
    caller: AccountCaller,
    current: string | undefined,
    work: () => Promise<Outcome<unknown>>,
  ): Promise<Outcome<Account>> {
    const allowed = await confirmed(caller, current);
    if (!allowed.ok) return allowed;
    const done = await work();
    return done.ok ? accept(await get(caller)) : done;
  }

  return {
    get,
    async update(caller, body) {
      if (caller.via.kind !== "session") return refuse("forbidden", "Your account is changed in the web app.");
      if (!(await identity.renameUser(caller.actor.id, body)))
        return refuse("conflict", "Somebody else signs in by that name.");
      await note(caller, "account.changed", caller.actor.id, body);
      return accept(await get(caller));
    },
    setPassword: (caller, { current, password }) =>
      change(caller, current, async () => {
        if ((await identity.passwords.set(caller.actor.id, password)) === "busy")
          return refuse("rate_limited", "Too many passwords are being checked: repeat in a moment.");
        const ended = await identity.endSessions(caller.actor.id, { allBut: caller.via.id });
        await note(caller, "password.set", caller.actor.id, { endedSessions: ended });
        return accept(null);
      }),
    removePassword: (caller, { current }) =>
      change(caller, current, async () => {
        if (await identity.passwords.remove(caller.actor.id)) await note(caller, "password.removed", caller.actor.id);
        return accept(null);
      }),
    async passkeyOptions(caller, { current }) {
      const allowed = await confirmed(caller, current);
      if (!allowed.ok) return allowed;
      const page = pageOrigin(caller.origin);
      if (!page) return refuse("forbidden", needsName);
      const { name, signInName } = await get(caller);
      const options = await identity.passkeys.creation(
        { id: caller.actor.id, name: signInName, displayName: name },
        page,
      );
      return options ? accept({ ...options }) : refuse("conflict", "You have twenty passkeys: remove one first.");
    },
    // The challenge that its response answers was given out after the confirmation, minutes ago at most.
    async addPasskey(caller, { name, response }) {
      const page = pageOrigin(caller.origin);
      if (caller.via.kind !== "session" || !page) return refuse("forbidden", needsName);
      const made = await identity.passkeys.add(caller.actor.id, name, response, page);
      if (!made) return refuse("forbidden", "The browser's answer does not hold or came too late: try again.");
      await note(caller, "passkey.added", made.id, { name: made.name });
      return accept(await get(caller));
    },
    removePasskey: (caller, passkeyId, { current }) =>
      change(caller, current, async () => {
        if (!(await identity.passkeys.remove(caller.actor.id, passkeyId)))
          return refuse("not_found", "No such passkey.");
        await note(caller, "passkey.removed", passkeyId);
        return accept(null);
      }),
    async sessions(caller) {
      const sessions = await identity.listSessions(caller.actor.id);
      return sessions.map((session) => ({ ...session, current: session.id === caller.via.id }));
    },
    async endSession(caller, sessionId) {
      const ended = (await identity.endSessions(caller.actor.id, { id: sessionId })) > 0;
      if (ended) await note(caller, "session.ended", sessionId);
      return ended;
    },
    async endOtherSessions(caller) {
      const ended = await identity.endSessions(caller.actor.id, { allBut: caller.via.id });
      if (ended > 0) await note(caller, "session.others_ended", caller.actor.id, { ended });
      return ended;
    },
  };
}

/** Signing in: every way ends in a browser's session, and an audit entry that says which way it was. */
export type SignIn = {
  methods(): Promise<{ password: boolean; passkey: boolean }>;
  /** A one-time code that signs one browser in as this member; null when they are none. */
  link(
    who: { organizationId: string; userId: string; by: string },
    use: LinkUse,
  ): Promise<{ code: string; expiresAt: string } | null>;
  /** Uses such a code up: whom it signs in; null when it is no good (any more). */
  byLink(code: string): Promise<string | null>;
  /** The user with this name and password; null when there is none. */
  byPassword(name: string, password: string): Promise<string | null | "busy">;
  passkeyRequest(origin: string | null): Promise<Record<string, unknown> | null>;
  byPasskey(response: unknown, origin: string | null): Promise<string | null>;
  /** Opens a session of this user, or of the first owner; null when they are in no organization (any more). */
  open(
    userId: string | null,
    how: { method: SignInMethod; address: string | null; agent: string | null },
  ): Promise<{ token: string; expiresInSeconds: number } | null>;
  /**
   * Writes a refused sign-in down. What was typed as the name is not: people type passwords there. `limited` is a try
   * that was too early to be looked at.
   */
  refused(how: { method: SignInMethod; address: string | null; limited: boolean }): Promise<void>;
  /** Ends the session that this token stands for. */
  close(token: string): Promise<void>;
};

/** How browsers come in. */
export function signInUseCases({
  db,
  identity,
}: {
  db: Pick<Database, "tenant" | "system">;
  identity: IdentityService;
}): SignIn {
  return {
    async methods() {
      const [password, passkey] = await Promise.all([identity.passwords.inUse(), identity.passkeys.inUse()]);
      return { password, passkey };
    },
    link: (who, use) => identity.links.issue(who, use),
    byLink: (code) => identity.links.redeem(code),
    byPassword: (name, password) => identity.passwords.userOf(name, password),
    async passkeyRequest(origin) {
      const page = pageOrigin(origin);
      return page && { ...(await identity.passkeys.request(page)) };
    },
    async byPasskey(response, origin) {
      const page = pageOrigin(origin);
      return page && identity.passkeys.userOf(response, page);
    },
    async open(userId, how) {
      const id = userId ?? (await identity.ownerId());
      const session = await identity.openSession(id, how);
      if (!session) return null;
      const caller: Caller = { organizationId: session.organizationId, actor: { kind: "user", id } };
      await db.tenant(session.organizationId, (tx) =>
        audited(tx, caller, "session.opened", session.id, { method: how.method, address: how.address }),
      );
      return session;
    },
    async refused(how) {
      // Nobody is known yet: it stands in the log of every organization that the sign-in would have led to.
      for (const organizationId of await db.system(listOrganizations))
        await db.tenant(organizationId, (tx) =>
          appendAudit(tx, organizationId, {
            ...{ actor: platformActor, action: "session.refused", subject: "sign-in" },
            data: how,
          }),
        );
    },
    async close(token) {
      const known = await identity.authenticate(token);
      if (known?.via.kind !== "session") return;
      await identity.endSessions(known.actor.id, { id: known.via.id });
      const { organizationId, actor, via } = known;
      await db.tenant(organizationId, (tx) => audited(tx, { organizationId, actor }, "session.ended", via.id));
    },
  };
}
