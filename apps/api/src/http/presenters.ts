import type { AuditEntry, StoredEvent } from "@x1agent/contract";

/** Lists that are small by nature leave as one page. */
export const wholePage = <T>(items: T[]): { items: T[]; cursor: null } => ({ items, cursor: null });

/** A page of something numbered: the cursor is the last number, while the page was full. */
export function numberedPage<T extends StoredEvent | AuditEntry>(
  items: T[],
  limit: number,
): { items: T[]; cursor: string | null } {
  const last = items.at(-1);
  return { items, cursor: last && items.length === limit ? String(last.seq) : null };
}
