import { row, sql, storableJson, type Tx } from "@x1agent/kernel";

/** The kept result of running a project's commands on a base commit, by the digest of all that decides it; null when there is none. */
export async function findBaseline(tx: Tx, key: string): Promise<unknown> {
  const found = await row(tx, sql<{ result: unknown }>`select result from baseline where key = ${key}`);
  return found?.result ?? null;
}

/** Keeps a result; the first one stays, since evidence may refer to it. */
export async function keepBaseline(tx: Tx, organizationId: string, key: string, result: object): Promise<void> {
  await sql`insert into baseline (organization_id, key, result) values (${organizationId}, ${key}, ${storableJson(result)})
    on conflict (organization_id, key) do nothing`.execute(tx);
}
