/** What the ledger is narrowed to, kept in the address. */
export type LedgerSearch = { q?: string; type?: string; all?: boolean };

/** Reads it from an address; what makes no sense is left out. */
export function readLedgerSearch(search: Record<string, unknown>): LedgerSearch {
  return {
    ...(typeof search.q === "string" && search.q ? { q: search.q } : {}),
    ...(typeof search.type === "string" && search.type ? { type: search.type } : {}),
    ...(search.all === true ? { all: true } : {}),
  };
}
