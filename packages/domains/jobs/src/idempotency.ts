import { row, rows, sql, type Tx } from "@x1agent/kernel";

type Answer = { status: number; contentType: string; body: string };
/** A request takes at most this long; an older key without an answer was left by a service that died. */
const STALE = "2 minutes";
/** A client that repeats a request does so within this time. */
const KEPT = "24 hours";

/** Takes an idempotency key, or tells what is known of it. */
export async function takeKey(
  tx: Tx,
  request: { organizationId: string; key: string; hash: string },
): Promise<{ kind: "mine" } | { kind: "answered"; answer: Answer } | { kind: "running" } | { kind: "other" }> {
  const mine = await row(
    tx,
    sql<{
      key: string;
    }>`insert into idempotency (organization_id, key, hash) values (${request.organizationId}, ${request.key}, ${request.hash})
    on conflict (organization_id, key) do update set at = now() where idempotency.hash = ${request.hash} and idempotency.answer is null and idempotency.at < now() - ${STALE}::interval returning key`,
  );
  if (mine) return { kind: "mine" };
  const known = await row(
    tx,
    sql<{ hash: string; answer: Answer | null }>`select hash, answer from idempotency where key = ${request.key}`,
  );
  if (!known) return { kind: "running" };
  if (known.hash !== request.hash) return { kind: "other" };
  return known.answer ? { kind: "answered", answer: known.answer } : { kind: "running" };
}

/** Forgets keys that are too old for a repeat to be one; how many. */
export async function pruneKeys(tx: Tx): Promise<number> {
  const gone = await rows(
    tx,
    sql<{ key: string }>`delete from idempotency where at < now() - ${KEPT}::interval returning key`,
  );
  return gone.length;
}

export async function finishKey(tx: Tx, request: { key: string; hash: string }, answer: Answer): Promise<void> {
  await sql`update idempotency set answer = ${JSON.stringify(answer)} where key = ${request.key} and hash = ${request.hash}`.execute(
    tx,
  );
}

export async function forgetKey(tx: Tx, request: { key: string; hash: string }): Promise<void> {
  await sql`delete from idempotency where key = ${request.key} and hash = ${request.hash} and answer is null`.execute(
    tx,
  );
}
