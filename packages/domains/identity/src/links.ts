import { createHash, randomBytes } from "node:crypto";
import { type Database, row, sql } from "@x1agent/kernel";

/** How long a link can be used, in seconds: one's own is at hand, an invitation has its way to go. */
const lifeSeconds = { "sign-in": 5 * 60, invitation: 24 * 3_600 } as const;
export type LinkUse = keyof typeof lifeSeconds;
/** Links of one person that may be open at once; the oldest goes first. */
const MAX_OPEN = 20;

const digestOf = (code: string) => createHash("sha256").update(code).digest("base64url");

/**
 * One-time links that sign a browser in as one person. The database has digests of their codes only, so that whoever reads it
 * signs in nowhere; a restart ends none, and services on one database share them.
 */
export function linkStore(database: Pick<Database, "system">) {
  return {
    /** Makes a code for a member, with the role that they have now; null when they are none. `by` is the user who made it. */
    issue: (
      { organizationId, userId, by }: { organizationId: string; userId: string; by: string },
      use: LinkUse,
    ): Promise<{ code: string; expiresAt: string } | null> =>
      database.system(async (tx) => {
        const code = randomBytes(32).toString("base64url");
        const made = await row(
          tx,
          sql<{
            expiresAt: Date;
          }>`insert into sign_in_link (digest, "organizationId", "userId", role, use, "createdBy", "expiresAt")
          select ${digestOf(code)}, "organizationId", "userId", role, ${use}, ${by}, now() + make_interval(secs => ${lifeSeconds[use]})
          from member where "organizationId" = ${organizationId} and "userId" = ${userId} and role <> 'former' returning "expiresAt"`,
        );
        if (!made) return null;
        await sql`delete from sign_in_link where "expiresAt" < now() or digest in
          (select digest from sign_in_link where "userId" = ${userId} order by "createdAt" desc, digest offset ${MAX_OPEN})`.execute(
          tx,
        );
        return { code, expiresAt: made.expiresAt.toISOString() };
      }),

    /** Uses a code up: whom it signs in. Null when it is unknown, used or too old, or they no longer have that role. */
    redeem: async (code: string): Promise<string | null> => {
      const used = await database.system((tx) =>
        row(
          tx,
          sql<{
            userId: string;
          }>`with used as (delete from sign_in_link where digest = ${digestOf(code)} returning *)
          select used."userId" from used join member m on m."organizationId" = used."organizationId" and m."userId" = used."userId" and m.role = used.role
          where used."expiresAt" > now()`,
        ),
      );
      return used?.userId ?? null;
    },
  };
}
