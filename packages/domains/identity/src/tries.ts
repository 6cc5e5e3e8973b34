import { createHash } from "node:crypto";
import { type Database, row, sql } from "@x1agent/kernel";

/** No window is longer: what is older counts nowhere. */
const KEPT_SECONDS = 120;
/** Old counts that one try sweeps away: more than it adds, so that a flood leaves nothing behind. */
const SWEPT = 100;
/** Counts kept at once, some megabytes: a flood of names pushes out the oldest counts, never this machine's disk. */
const MAX_COUNTS = 20_000;

// People type passwords where a name is asked for: what was typed is not kept.
const digestOf = (key: string) => createHash("sha256").update(key).digest("base64url");

/** Counts tries under keys in a sliding window, for every service on the database. */
export function tryStore(database: Pick<Database, "system">, maxCounts = MAX_COUNTS) {
  return {
    /** Notes a try and returns null, or the seconds to wait where `most` were made within the last `windowSeconds` (120 at most). */
    take: (key: string, most: number, windowSeconds: number): Promise<number | null> =>
      database.system(async (tx) => {
        const recent = sql`array(select at from unnest(t.tries) as at where at > now() - make_interval(secs => ${windowSeconds}) order by at)`;
        const taken = await row(
          tx,
          sql<{
            refused: boolean;
            wait: number;
          }>`insert into sign_in_try as t (digest, tries) values (${digestOf(key)}, array[now()])
          on conflict (digest) do update set "lastAt" = now(), refused = cardinality(${recent}) >= ${most},
            tries = case when cardinality(${recent}) >= ${most} then ${recent} else ${recent} || now() end
          returning refused, ceil(extract(epoch from tries[1] - now()) + ${windowSeconds})::int as wait`,
        );
        await sql`delete from sign_in_try where digest in (select digest from sign_in_try
          where "lastAt" < now() - make_interval(secs => ${KEPT_SECONDS}) limit ${SWEPT} for update skip locked)`.execute(
          tx,
        );
        await sql`delete from sign_in_try where digest in (select digest from sign_in_try
          order by "lastAt" desc offset ${maxCounts} limit ${SWEPT} for update skip locked)`.execute(tx);
        return taken?.refused ? Math.max(1, taken.wait) : null;
      }),

    /** A success: what came before under this key counts no more. */
    clear: async (key: string): Promise<void> => {
      await database.system((tx) => sql`delete from sign_in_try where digest = ${digestOf(key)}`.execute(tx));
    },
  };
}
