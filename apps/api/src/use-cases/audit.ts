import type { Tx } from "@x1agent/kernel";
import type { Caller } from "./index.ts";

/**
 * Writes an audit entry in the same transaction as what it tells of, so that neither is there without the other. `data`
 * holds ids and names, never a secret or a goal's text.
 */
export type RecordAudit = (
  tx: Tx,
  caller: Caller,
  action: string,
  subject: string,
  data: Record<string, unknown>,
) => Promise<void>;
