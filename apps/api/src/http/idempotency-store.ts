import { type Database, type Migration, tenantTable } from "@x1agent/kernel";
import { sql } from "kysely";
import type { IdempotencyStore } from "./idempotency.ts";

/** Longer than any request runs: after this, a key without an answer belonged to a process that died. */
const ABANDONED_SECONDS = 180;
/** How long a repeat still gets the first answer. */
const KEPT_HOURS = 24;

export const idempotencyMigrations: readonly Migration[] = [
  {
    name: "http-0001-idempotency",
    sql: `create table http_idempotency (
  organization_id text not null,
  key text not null,
  hash text not null,
  taken_at timestamptz not null default now(),
  status int,
  content_type text,
  body text,
  primary key (organization_id, key)
);
create index http_idempotency_age on http_idempotency (taken_at);
${tenantTable("http_idempotency")}`,
  },
];

type Row = { hash: string; status: number | null; content_type: string | null; body: string | null; mine: boolean };

/** Keys in the database, so that a repeat that reaches another process, or this one after a restart, is still a repeat. */
export function createIdempotencyStore(db: Pick<Database, "tenant">): IdempotencyStore {
  return {
    async take({ organizationId, key, hash }) {
      const row = await db.tenant(organizationId, async (tx) => {
        await sql`delete from x1.http_idempotency where taken_at < now() - make_interval(hours => ${KEPT_HOURS})`.execute(
          tx,
        );
        // One statement decides who works on the key: a row of ours, one that was abandoned, or somebody else's.
        const taken = await sql<Row>`
          insert into x1.http_idempotency (organization_id, key, hash) values (${organizationId}, ${key}, ${hash})
          on conflict (organization_id, key) do update set taken_at = now()
            where http_idempotency.status is null and http_idempotency.hash = excluded.hash
              and http_idempotency.taken_at < now() - make_interval(secs => ${ABANDONED_SECONDS})
          returning hash, status, content_type, body, true as mine`.execute(tx);
        if (taken.rows[0]) return taken.rows[0];
        const known = await sql<Row>`
          select hash, status, content_type, body, false as mine from x1.http_idempotency where key = ${key}`.execute(tx);
        return known.rows[0];
      });
      if (!row) return { kind: "running" };
      if (row.mine) return { kind: "mine" };
      if (row.hash !== hash) return { kind: "other" };
      if (row.status === null || row.body === null) return { kind: "running" };
      return {
        kind: "answered",
        answer: { status: row.status, contentType: row.content_type ?? "application/json", body: row.body },
      };
    },
    async finish({ organizationId, key }, { status, contentType, body }) {
      await db.tenant(organizationId, (tx) =>
        sql`update x1.http_idempotency set status = ${status}, content_type = ${contentType}, body = ${body} where key = ${key}`.execute(
          tx,
        ),
      );
    },
    async forget({ organizationId, key }) {
      await db.tenant(organizationId, (tx) =>
        sql`delete from x1.http_idempotency where key = ${key} and status is null`.execute(tx),
      );
    },
  };
}
