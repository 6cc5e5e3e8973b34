import { rows, sql, type Tx } from "@x1agent/kernel";

/** Kept for one person; the oldest go first. */
const MAX_DISMISSED = 1_000;

/** What a person has put away from the inbox, newest first. */
export async function listDismissals(tx: Tx, memberId: string): Promise<string[]> {
  const found = await rows(
    tx,
    sql<{
      key: string;
    }>`select key from dismissal where member_id = ${memberId} order by at desc, key limit ${MAX_DISMISSED}`,
  );
  return found.map(({ key }) => key);
}

/** Puts something away; again is no harm. `key` names it and the state it was in. */
export async function dismiss(tx: Tx, organizationId: string, memberId: string, key: string): Promise<void> {
  await sql`insert into dismissal (organization_id, member_id, key) values (${organizationId}, ${memberId}, ${key})
    on conflict do nothing`.execute(tx);
  await sql`delete from dismissal where member_id = ${memberId} and key in
    (select key from dismissal where member_id = ${memberId} order by at desc, key offset ${MAX_DISMISSED})`.execute(
    tx,
  );
}
