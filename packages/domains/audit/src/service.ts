import { createHash } from "node:crypto";
import { type Actor, type AuditEntry, auditStart, auditText } from "@x1agent/contract";
import { row, rows, sql, storableJson, storableText, type Tx } from "@x1agent/kernel";

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
type AuditRow = {
  seq: number;
  ts: Date;
  actor: Actor;
  action: string;
  subject: string;
  data: Record<string, unknown>;
  previous: string;
  hash: string;
};
const present = (found: AuditRow): AuditEntry => ({
  seq: found.seq,
  ts: found.ts.toISOString(),
  actor: found.actor,
  action: found.action,
  subject: found.subject,
  data: found.data,
  previous: found.previous,
  hash: found.hash,
});

/** Appends to the organization's chain. The head row serializes writers, so take it last in a transaction. Secrets never enter. */
export async function appendAudit(
  tx: Tx,
  organizationId: string,
  entry: { actor: Actor; action: string; subject: string; data?: Record<string, unknown> },
): Promise<AuditEntry> {
  await sql`insert into audit_head (organization_id, seq, hash) values (${organizationId}, 0, ${auditStart}) on conflict do nothing`.execute(
    tx,
  );
  const head = await row(
    tx,
    sql<{
      seq: number;
      hash: string;
      ts: Date;
    }>`select seq, hash, date_trunc('milliseconds', clock_timestamp()) as ts from audit_head where organization_id = ${organizationId} for update`,
  );
  if (!head) throw new Error("The audit head is not visible: wrong tenant.");
  const unsigned = {
    seq: head.seq + 1,
    ts: head.ts.toISOString(),
    actor: entry.actor,
    action: entry.action,
    subject: storableText(entry.subject).toWellFormed(),
    // As the database gives it back, or the hash would be of something else.
    data: JSON.parse(storableJson(entry.data ?? {})) as Record<string, unknown>,
    previous: head.hash,
  };
  const hash = sha256(auditText(unsigned));
  await sql`insert into audit (organization_id, seq, ts, actor, action, subject, data, previous, hash) values (${organizationId}, ${unsigned.seq}, ${unsigned.ts}, ${JSON.stringify(unsigned.actor)}, ${unsigned.action}, ${unsigned.subject}, ${JSON.stringify(unsigned.data)}, ${unsigned.previous}, ${hash})`.execute(
    tx,
  );
  await sql`update audit_head set seq = ${unsigned.seq}, hash = ${hash} where organization_id = ${organizationId}`.execute(
    tx,
  );
  return { ...unsigned, hash };
}

export async function listAudit(tx: Tx, after: number, limit: number): Promise<AuditEntry[]> {
  return (await rows(tx, sql<AuditRow>`select * from audit where seq > ${after} order by seq limit ${limit}`)).map(
    present,
  );
}

/** What to look for in the log; every given part must hold. */
export type AuditSearch = {
  order: "oldest" | "newest";
  /** Numbers between which entries lie, themselves excluded. */
  after?: number | undefined;
  before?: number | undefined;
  /** Words that must all occur, in any letters, in action, subject, actor or data. */
  q?: string | undefined;
  /** Beginning of the action. */
  action?: string | undefined;
  actor?: string | undefined;
  /** ISO times; `until` is excluded. */
  since?: string | undefined;
  until?: string | undefined;
};

/** Entries that fit, in the order asked for. */
export async function searchAudit(tx: Tx, search: AuditSearch, limit: number): Promise<AuditEntry[]> {
  const { after = 0, before = null, q = "", action = "", actor = null, since = null, until = null } = search;
  // A word is text to find, not a pattern.
  const like = (word: string) => `%${word.replaceAll(/[\\%_]/g, "\\$&")}%`;
  const words = q.split(/\s+/).filter(Boolean).slice(0, 10).map(like);
  const found = sql<AuditRow>`select * from audit where seq > ${after} and (${before}::bigint is null or seq < ${before})
    and starts_with(action, ${action}) and (${actor}::text is null or actor->>'id' = ${actor})
    and (${since}::timestamptz is null or ts >= ${since}) and (${until}::timestamptz is null or ts < ${until})
    and (action || ' ' || subject || ' ' || actor::text || ' ' || data::text) ilike all (${words}::text[])
    order by seq ${search.order === "newest" ? sql.raw("desc") : sql.raw("asc")} limit ${limit}`;
  return (await rows(tx, found)).map(present);
}

/** Recomputes the whole chain and holds it against the head, which an export and the log keep too: a cut tail shows. */
export async function verifyAudit(
  tx: Tx,
  organizationId: string,
): Promise<{ intact: boolean; entries: number; head: string; brokenAt: number | null }> {
  let previous: string = auditStart;
  let seq = 0;
  for (;;) {
    const page = await listAudit(tx, seq, 1_000);
    for (const { hash, ...entry } of page) {
      if (entry.seq !== seq + 1 || entry.previous !== previous || sha256(auditText(entry)) !== hash)
        return { intact: false, entries: seq, head: previous, brokenAt: entry.seq };
      seq = entry.seq;
      previous = hash;
    }
    if (page.length < 1_000) break;
  }
  const head = await row(
    tx,
    sql<{ seq: number; hash: string }>`select seq, hash from audit_head where organization_id = ${organizationId}`,
  );
  const whole = (head?.seq ?? 0) === seq && (head?.hash ?? auditStart) === previous;
  return { intact: whole, entries: seq, head: previous, brokenAt: whole ? null : seq + 1 };
}
