import { row, rows, sql, type Tx } from "@x1agent/kernel";
import { connectionsAlike } from "./connections.ts";

/** One process at a time follows a connection. Null when another does. `due` says that its poll is due; the clock is the database's. */
export async function takeWatch(
  tx: Tx,
  organizationId: string,
  connectionId: string,
  owner: string,
  ttlMs: number,
): Promise<{ due: boolean; seenUntil: string | null } | null> {
  const taken = await row(
    tx,
    sql<{
      due: boolean;
      seen_until: string | null;
    }>`insert into forge_watch as w (connection_id, organization_id, owner, owner_until)
    values (${connectionId}, ${organizationId}, ${owner}, now() + ${ttlMs} * interval '1 millisecond')
    on conflict (connection_id) do update set owner = excluded.owner, owner_until = excluded.owner_until
      where w.owner is null or w.owner = excluded.owner or w.owner_until < now()
    returning next_at <= now() as due, seen_until`,
  );
  return taken && { due: taken.due, seenUntil: taken.seen_until };
}

/** False when the lease was lost to another. */
export async function renewWatch(tx: Tx, connectionId: string, owner: string, ttlMs: number): Promise<boolean> {
  return (
    (await row(
      tx,
      sql<{ connection_id: string }>`update forge_watch set owner_until = now() + ${ttlMs} * interval '1 millisecond'
      where connection_id = ${connectionId} and owner = ${owner} returning connection_id`,
    )) !== null
  );
}

/** Lets go, and says when the next poll is due where there was one. */
export async function leaveWatch(
  tx: Tx,
  connectionId: string,
  owner: string,
  next: { afterMs: number; seenUntil: string | null; error: string | null } | null,
): Promise<void> {
  await sql`update forge_watch set owner = null, owner_until = null${
    next
      ? sql`, next_at = now() + ${next.afterMs} * interval '1 millisecond', seen_until = coalesce(${next.seenUntil}, seen_until), error = ${next.error}, failures = case when ${next.error}::text is null then 0 else failures + 1 end`
      : sql``
  } where connection_id = ${connectionId} and owner = ${owner}`.execute(tx);
}

/** Frees what an earlier process of this instance held: only one of an instance lives at a time. */
export async function releaseWatches(tx: Tx, instance: string): Promise<void> {
  await sql`update forge_watch set owner = null, owner_until = null where starts_with(owner, ${`${instance}:`})`.execute(
    tx,
  );
}

/** Which of these triggers were answered before, whether found by a delivery or by a poll, through whichever connection to the forge. */
export async function answeredTriggers(tx: Tx, connectionId: string, keys: readonly string[]): Promise<Set<string>> {
  const found = await rows(
    tx,
    sql<{
      key: string;
    }>`select key from forge_trigger where connection_id in ${connectionsAlike(connectionId)} and key = any(${[...keys]})`,
  );
  return new Set(found.map(({ key }) => key));
}

/** Notes that a trigger was answered; what was done for it is safe to repeat and comes before. */
export async function noteTrigger(
  tx: Tx,
  organizationId: string,
  connectionId: string,
  key: string,
  result: string,
): Promise<boolean> {
  return (
    (await row(
      tx,
      sql<{
        key: string;
      }>`insert into forge_trigger (connection_id, key, organization_id, result) values (${connectionId}, ${key}, ${organizationId}, ${result.slice(0, 500)})
      on conflict do nothing returning key`,
    )) !== null
  );
}
