import { finishKey, forgetKey, takeKey } from "@x1agent/domain-jobs";
import type { Database } from "@x1agent/kernel";
import type { IdempotencyStore } from "./idempotency.ts";

/** Keys in the database, so that a repeat that reaches another process, or this one after a restart, is still a repeat. */
export function createIdempotencyStore(db: Pick<Database, "tenant">): IdempotencyStore {
  return {
    take: (request) => db.tenant(request.organizationId, (tx) => takeKey(tx, request)),
    finish: (request, answer) => db.tenant(request.organizationId, (tx) => finishKey(tx, request, answer)),
    keep: (tx, request, answer) => finishKey(tx, request, answer),
    forget: (request) => db.tenant(request.organizationId, (tx) => forgetKey(tx, request)),
  };
}
