import { type Database, newId, row, sql } from "@x1agent/kernel";
import { hashPassword, verifyPassword } from "better-auth/crypto";

/** Hashes (scrypt, 16 MB each) that may be computed at once; more callers than that are told to wait. */
const MAX_AT_ONCE = 4;
/** Verified where there is no such name or no password, so that neither shows in the time an answer takes. */
let decoy: Promise<string> | undefined;

/** Passwords in better-auth's `account` table, hashed by better-auth (scrypt). */
export function passwordStore(database: Pick<Database, "system">) {
  let working = 0;
  async function bounded<T>(work: () => Promise<T>): Promise<T | "busy"> {
    if (working >= MAX_AT_ONCE) return "busy";
    working += 1;
    try {
      return await work();
    } finally {
      working -= 1;
    }
  }
  async function check(stored: string | null | undefined, password: string): Promise<boolean | "busy"> {
    return bounded(async () => {
      decoy ??= hashPassword("no such password");
      const right = await verifyPassword({ hash: stored ?? (await decoy), password });
      return right && stored != null;
    });
  }
  const storedOf = (userId: string) =>
    database.system((tx) =>
      row(
        tx,
        sql<{
          password: string | null;
          updatedAt: Date;
        }>`select password, "updatedAt" from account where "userId" = ${userId} and "providerId" = 'credential'`,
      ),
    );
  return {
    /** The user with this sign-in name and password, or null; "busy" when too many are being checked. */
    async userOf(name: string, password: string): Promise<string | null | "busy"> {
      const found = await database.system((tx) =>
        row(
          tx,
          sql<{
            id: string;
            password: string | null;
          }>`select u.id, a.password from "user" u left join account a on a."userId" = u.id and a."providerId" = 'credential' where lower(u.email) = ${name.trim().toLowerCase()}`,
        ),
      );
      const right = await check(found?.password, password);
      return right === "busy" ? "busy" : right && found ? found.id : null;
    },
    /** Whether this is the user's password. */
    async matches(userId: string, password: string): Promise<boolean | "busy"> {
      return check((await storedOf(userId))?.password, password);
    },
    /** When the password was set; null without one. */
    async setAt(userId: string): Promise<string | null> {
      const stored = await storedOf(userId);
      return stored?.password ? stored.updatedAt.toISOString() : null;
    },
    /** Whether anybody can sign in by password here. */
    async inUse(): Promise<boolean> {
      const any = await database.system((tx) =>
        row(tx, sql`select 1 from account where "providerId" = 'credential' and password is not null limit 1`),
      );
      return any !== null;
    },
    async set(userId: string, password: string): Promise<"set" | "busy"> {
      const hash = await bounded(() => hashPassword(password));
      if (hash === "busy") return "busy";
      await database.system(async (tx) => {
        await sql`select 1 from "user" where id = ${userId} for update`.execute(tx);
        await sql`delete from account where "userId" = ${userId} and "providerId" = 'credential'`.execute(tx);
        await sql`insert into account (id, "accountId", "providerId", "userId", password, "updatedAt") values (${newId("acc")}, ${userId}, 'credential', ${userId}, ${hash}, now())`.execute(
          tx,
        );
      });
      return "set";
    },
    /** Takes the password away; links and passkeys stay. */
    async remove(userId: string): Promise<boolean> {
      const gone = await database.system((tx) =>
        row(
          tx,
          sql<{
            id: string;
          }>`delete from account where "userId" = ${userId} and "providerId" = 'credential' returning id`,
        ),
      );
      return gone !== null;
    },
  };
}
