import { accept, type MemberRole, type Outcome, refuse } from "@x1agent/contract";
import { type Database, newId, row, rows, sql, type Tx } from "@x1agent/kernel";
import type { Scope } from "./service.ts";

/** A person of an organization. `signInName` is what they type beside their password; role `former`: they were one. */
export type MemberFacts = { id: string; name: string; signInName: string; role: string };

/** What a role may do. One that is not known may look, `former` nothing. */
const roles: Readonly<Record<string, readonly Scope[]>> = {
  owner: ["read", "write", "approve", "admin"],
  admin: ["read", "write", "approve", "admin"],
  member: ["read", "write"],
  reviewer: ["read", "approve"],
  viewer: ["read"],
  former: [],
};
export const scopesOf = (role: string): Scope[] => [
  ...((Object.hasOwn(roles, role) && roles[role]) || ["read" as const]),
];

/** Who changes a role, and what they hold. */
export type RoleChanger = { role: string; scopes: readonly string[] };

/**
 * Whether somebody may make a person of role `from` (null: nobody yet) one of role `to`. Owners are made and unmade by owners
 * alone, nobody hands on more than they hold, and the last owner stays one. Pure.
 */
export function decideRole(by: RoleChanger, from: string | null, to: string, owners: number): Outcome<null> {
  if (!by.scopes.includes("admin")) return refuse("forbidden", "Roles are given by owners and admins.");
  if ((from === "owner" || to === "owner") && by.role !== "owner")
    return refuse("forbidden", "Only an owner makes another one, or changes what an owner may do.");
  const missing = scopesOf(to).find((scope) => !by.scopes.includes(scope));
  if (missing) return refuse("forbidden", `You lack the scope "${missing}" yourself.`);
  if (from === "owner" && to !== "owner" && owners <= 1)
    return refuse("conflict", "This is the last owner: make another one first.");
  return accept(null);
}

/** People of organizations, in better-auth's tables. Who leaves stays there as `former`: past decisions keep their name. */
export function memberStore(database: Pick<Database, "system">) {
  const find = (tx: Tx, organizationId: string, userId: string, lock = sql``) =>
    row(
      tx,
      sql<MemberFacts>`select u.id, u.name, u.email as "signInName", m.role from member m join "user" u on u.id = m."userId" where m."organizationId" = ${organizationId} and u.id = ${userId} ${lock}`,
    );

  return {
    /** By name; former ones too. */
    list: (organizationId: string): Promise<MemberFacts[]> =>
      database.system((tx) =>
        rows(
          tx,
          sql<MemberFacts>`select u.id, u.name, u.email as "signInName", m.role from member m join "user" u on u.id = m."userId" where m."organizationId" = ${organizationId} order by u.name, u.id limit 1000`,
        ),
      ),

    get: (organizationId: string, userId: string): Promise<MemberFacts | null> =>
      database.system((tx) => find(tx, organizationId, userId)),

    /** Whether the person has a way in of their own: a password, a passkey, or a browser that is signed in. */
    hasSignedIn: async (userId: string): Promise<boolean> =>
      (await database.system((tx) =>
        row(
          tx,
          sql`select 1 from "session" where "userId" = ${userId} union all select 1 from passkey where "userId" = ${userId}
            union all select 1 from account where "userId" = ${userId} and password is not null limit 1`,
        ),
      )) !== null,

    /** Makes a person who has never signed in. */
    add: (
      by: RoleChanger,
      organizationId: string,
      { name, signInName, role }: { name: string; signInName: string; role: MemberRole },
    ): Promise<Outcome<MemberFacts>> =>
      database.system(async (tx) => {
        const allowed = decideRole(by, null, role, 1);
        if (!allowed.ok) return allowed;
        const wanted = signInName.toLowerCase();
        const id = newId("usr");
        const made = await row(
          tx,
          sql`insert into "user" (id, name, email, "emailVerified", "updatedAt") select ${id}, ${name}, ${wanted}, false, now()
            where not exists (select 1 from "user" where lower(email) = ${wanted}) on conflict do nothing returning id`,
        );
        if (!made) return refuse("conflict", "Somebody else signs in by that name.");
        await sql`insert into member (id, "organizationId", "userId", role, "createdAt") values (${newId("mem")}, ${organizationId}, ${id}, ${role}, now())`.execute(
          tx,
        );
        return accept({ id, name, signInName: wanted, role });
      }),

    /** Gives a role, or with `former` takes every one; then the person's browsers are signed out too. */
    setRole: (
      by: RoleChanger,
      organizationId: string,
      userId: string,
      role: MemberRole | "former",
    ): Promise<Outcome<{ before: MemberFacts; after: MemberFacts }>> =>
      database.system(async (tx) => {
        // All owners' rows first: two who demote each other at once would leave none.
        const owners = await rows(
          tx,
          sql`select id from member where "organizationId" = ${organizationId} and role = 'owner' order by id for update`,
        );
        const before = await find(tx, organizationId, userId, sql`for update of m`);
        if (!before) return refuse("not_found", "There is no such person in the organization.");
        const allowed = decideRole(by, before.role, role, owners.length);
        if (!allowed.ok) return allowed;
        await sql`update member set role = ${role} where "organizationId" = ${organizationId} and "userId" = ${userId}`.execute(
          tx,
        );
        // Open links were made for the role that the person had.
        await sql`delete from sign_in_link where "userId" = ${userId}`.execute(tx);
        if (role === "former") await sql`delete from "session" where "userId" = ${userId}`.execute(tx);
        return accept({ before, after: { ...before, role } });
      }),
  };
}
