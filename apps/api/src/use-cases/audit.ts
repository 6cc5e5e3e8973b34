import { appendAudit, searchAudit, verifyAudit } from "@x1agent/domain-audit";
import type { Database, Tx } from "@x1agent/kernel";
import type { Caller, UseCases } from "./index.ts";

/**
 * Writes an audit entry in the same transaction as what it tells of, so that neither is there without the other. Taken
 * last: the chain's head is one row per organization. `data` holds ids and names, never a secret or a goal's text.
 */
export async function audited(
  tx: Tx,
  caller: Caller,
  action: string,
  subject: string,
  data: Record<string, unknown> = {},
): Promise<void> {
  await appendAudit(tx, caller.organizationId, { actor: caller.actor, action, subject, data });
}

/** Reading and checking the chain. */
export function auditUseCases(db: Pick<Database, "tenant">): UseCases["audit"] {
  return {
    list: (caller, { limit, ...search }) => db.tenant(caller.organizationId, (tx) => searchAudit(tx, search, limit)),
    verify: (caller) => db.tenant(caller.organizationId, (tx) => verifyAudit(tx, caller.organizationId)),
  };
}
