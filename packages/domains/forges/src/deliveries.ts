import { row, rows, sql, storableJson, type Tx } from "@x1agent/kernel";

/** Where a delivery says to look, and nothing else of it. Numbers and ids are the forge's own. */
export type DeliveryAbout = {
  installation: string | null;
  repository: string | null;
  /** Issue or pull request. */
  number: number | null;
  commits: string[];
};

export type Delivery = {
  appId: string;
  id: string;
  event: string;
  action: string | null;
  about: DeliveryAbout;
  attempts: number;
};

/** Tries after which a delivery is given up: with the growing wait between them about twenty minutes. */
export const MAX_DELIVERY_ATTEMPTS = 8;

/** Notes a delivery; false when its id was noted before. */
export async function storeDelivery(
  tx: Tx,
  organizationId: string,
  delivery: Omit<Delivery, "attempts">,
): Promise<boolean> {
  const { appId, id, event, action, about } = delivery;
  return (
    (await row(
      tx,
      sql<{ id: string }>`insert into forge_delivery (organization_id, app_id, id, event, action, payload)
      values (${organizationId}, ${appId}, ${id}, ${event}, ${action}, ${storableJson(about)}) on conflict do nothing returning id`,
    )) !== null
  );
}

type DeliveryRow = {
  app_id: string;
  id: string;
  event: string;
  action: string | null;
  payload: DeliveryAbout;
  attempts: number;
};
const present = (found: DeliveryRow): Delivery => ({
  appId: found.app_id,
  id: found.id,
  event: found.event,
  action: found.action,
  about: found.payload,
  attempts: found.attempts,
});

/**
 * Takes open deliveries of one installation, oldest first. For whoever holds the connection's lease: one at a time takes, so
 * that those over which a process died are the next one's at once.
 */
export async function takeDeliveries(
  tx: Tx,
  of: { appId: string; installation: string },
  limit: number,
): Promise<Delivery[]> {
  const taken = await rows(
    tx,
    sql<DeliveryRow>`update forge_delivery set attempts = attempts + 1
    where (app_id, id) in (select app_id, id from forge_delivery where app_id = ${of.appId} and payload->>'installation' = ${of.installation}
      and handled_at is null and dead_at is null and next_at <= now() order by received_at, id limit ${limit} for update skip locked)
    returning app_id, id, event, action, payload, attempts`,
  );
  return taken.map(present);
}

/** Ends handled deliveries. */
export async function endDeliveries(tx: Tx, appId: string, ids: readonly string[]): Promise<void> {
  await sql`update forge_delivery set handled_at = now(), error = null where app_id = ${appId} and id = any(${[...ids]}) and handled_at is null`.execute(
    tx,
  );
}

/** A delivery could not be handled: tried again after a growing wait, and given up, visibly, after the last try. */
export async function failDeliveries(tx: Tx, appId: string, ids: readonly string[], error: string): Promise<void> {
  await sql`update forge_delivery set error = ${error.slice(0, 500)},
      dead_at = case when attempts >= ${MAX_DELIVERY_ATTEMPTS} then now() end,
      next_at = now() + least(power(2, attempts) * 5, 1800) * interval '1 second'
    where app_id = ${appId} and id = any(${[...ids]}) and handled_at is null`.execute(tx);
}

/** Ends those that no connection waits for: an installation that is not connected here, or no more. Returns how many. */
export async function endStrayDeliveries(tx: Tx, olderThanMs: number): Promise<number> {
  const gone = await rows(
    tx,
    sql<{ id: string }>`update forge_delivery d set handled_at = now(), error = 'no connection'
    where handled_at is null and dead_at is null and received_at < now() - ${olderThanMs} * interval '1 millisecond'
      and not exists (select 1 from forge_connection c where c.app_id = d.app_id and c.installation = d.payload->>'installation' and c.state = 'active') returning id`,
  );
  return gone.length;
}

/** Forgets handled deliveries. A forge sends one again for days at most, and one that comes later still only says where to look. */
export async function pruneDeliveries(tx: Tx, olderThanDays: number): Promise<void> {
  await sql`delete from forge_delivery where received_at < now() - ${olderThanDays} * interval '1 day'`.execute(tx);
}

/** How deliveries stand: what waits, what was given up, and the newest sentence about why. */
export async function deliveryHealth(
  tx: Tx,
): Promise<{ open: number; dead: number; handled: number; lastAt: string | null; lastError: string | null }> {
  const found = await row(
    tx,
    sql<{ open: number; dead: number; handled: number; last_at: Date | null; last_error: string | null }>`select
      count(*) filter (where handled_at is null and dead_at is null)::int as open, count(*) filter (where dead_at is not null)::int as dead,
      count(*) filter (where handled_at is not null)::int as handled, max(received_at) as last_at,
      (select error from forge_delivery where dead_at is not null order by dead_at desc limit 1) as last_error from forge_delivery`,
  );
  return {
    open: found?.open ?? 0,
    dead: found?.dead ?? 0,
    handled: found?.handled ?? 0,
    lastAt: found?.last_at?.toISOString() ?? null,
    lastError: found?.last_error ?? null,
  };
}
