import { createHash, randomBytes } from "node:crypto";
import { type Database, newId, row, rows, sql } from "@x1agent/kernel";
import { scopesOf } from "./members.ts";
import type { Identity } from "./service.ts";

/** How a browser's session began. */
export type SignInMethod = "link" | "password" | "passkey";
/** A browser that is signed in, as its user sees it. Times are ISO. */
export type SessionFacts = {
  id: string;
  method: SignInMethod;
  address: string | null;
  /** The browser's own words about itself. */
  agent: string | null;
  createdAt: string;
  lastSeenAt: string;
  expiresAt: string;
};

/** How long a browser stays signed in. */
export const SESSION_SECONDS = 7 * 86_400;
/** "Last seen" is written no more often. */
const SEEN_SECONDS = 60;
/** More browsers than these at once are no person's; the oldest goes. */
const MAX_SESSIONS = 50;

/** Tells a session's token from an API token, so that neither is taken where the other is meant. */
export const isSessionToken = (token: string): boolean => /^x1s_[\w-]{43}$/.test(token);
const hashOf = (token: string) => createHash("sha256").update(token).digest("base64url");

type SessionRow = {
  id: string;
  method: string | null;
  ipAddress: string | null;
  userAgent: string | null;
  createdAt: Date;
  updatedAt: Date;
  expiresAt: Date;
};
const present = (found: SessionRow): SessionFacts => ({
  id: found.id,
  method: (found.method ?? "link") as SignInMethod,
  address: found.ipAddress,
  agent: found.userAgent,
  createdAt: found.createdAt.toISOString(),
  lastSeenAt: found.updatedAt.toISOString(),
  expiresAt: found.expiresAt.toISOString(),
});

/** Browser sessions in better-auth's table. Its `token` holds a hash: whoever reads the database signs in nowhere. */
export function sessionStore(database: Pick<Database, "system">) {
  return {
    /** Opens a session of a user in the first organization that has them as a member; null when none has. */
    async open(
      userId: string,
      how: { method: SignInMethod; address: string | null; agent: string | null },
    ): Promise<{ id: string; token: string; organizationId: string; expiresInSeconds: number } | null> {
      const token = `x1s_${randomBytes(32).toString("base64url")}`;
      const id = newId("ses");
      const organizationId = await database.system(async (tx) => {
        const member = await row(
          tx,
          sql<{
            organizationId: string;
          }>`select "organizationId" from member where "userId" = ${userId} and role <> 'former' order by "createdAt", id limit 1`,
        );
        if (!member) return null;
        await sql`insert into "session" (id, token, "userId", "activeOrganizationId", "expiresAt", "updatedAt", "ipAddress", "userAgent", method)
          values (${id}, ${hashOf(token)}, ${userId}, ${member.organizationId}, now() + make_interval(secs => ${SESSION_SECONDS}), now(), ${how.address}, ${how.agent?.slice(0, 300) ?? null}, ${how.method})`.execute(
          tx,
        );
        await sql`delete from "session" where "expiresAt" < now() or id in (select id from "session" where "userId" = ${userId} order by "updatedAt" desc, id offset ${MAX_SESSIONS})`.execute(
          tx,
        );
        return member.organizationId;
      });
      return organizationId === null ? null : { id, token, organizationId, expiresInSeconds: SESSION_SECONDS };
    },

    /** Who a session's token stands for, or null. Membership is looked up anew. */
    async identify(token: string): Promise<Identity | null> {
      const hash = hashOf(token);
      const found = await database.system(async (tx) => {
        const held = await row(
          tx,
          sql<{
            id: string;
            userId: string;
            createdAt: Date;
            seen: boolean;
            organizationId: string;
            organization: string;
            role: string;
          }>`select s.id, s."userId", s."createdAt", s."updatedAt" > now() - make_interval(secs => ${SEEN_SECONDS}) as seen, m."organizationId", o.name as organization, m.role
            from "session" s join member m on m."userId" = s."userId" and m."organizationId" = s."activeOrganizationId" join organization o on o.id = m."organizationId"
            where s.token = ${hash} and s."expiresAt" > now() and m.role <> 'former'`,
        );
        if (held && !held.seen) await sql`update "session" set "updatedAt" = now() where id = ${held.id}`.execute(tx);
        return held;
      });
      if (!found) return null;
      return {
        actor: { kind: "user", id: found.userId },
        organizationId: found.organizationId,
        organization: found.organization,
        role: found.role,
        scopes: scopesOf(found.role),
        via: { kind: "session", id: found.id, since: found.createdAt.toISOString() },
      };
    },

    /** A user's browsers, the one seen last first. */
    async list(userId: string): Promise<SessionFacts[]> {
      const found = await database.system((tx) =>
        rows(
          tx,
          sql<SessionRow>`select id, method, "ipAddress", "userAgent", "createdAt", "updatedAt", "expiresAt" from "session" where "userId" = ${userId} and "expiresAt" > now() order by "updatedAt" desc, id limit ${MAX_SESSIONS}`,
        ),
      );
      return found.map(present);
    },

    /** Ends sessions of a user: one by its id, or all but one. Returns how many ended. */
    async end(userId: string, which: { id: string } | { allBut: string }): Promise<number> {
      const chosen = "id" in which ? sql`id = ${which.id}` : sql`id <> ${which.allBut}`;
      const gone = await database.system((tx) =>
        rows(tx, sql<{ id: string }>`delete from "session" where "userId" = ${userId} and ${chosen} returning id`),
      );
      return gone.length;
    },
  };
}
