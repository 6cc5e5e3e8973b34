/** What the log is narrowed to, kept in the address. */
export type AuditSearch = { q?: string; action?: string; actor?: string; days?: number };

/** Reads it from an address; what makes no sense is left out. */
export function readAuditSearch(search: Record<string, unknown>): AuditSearch {
  const text = (key: "q" | "action" | "actor") =>
    typeof search[key] === "string" && search[key] ? { [key]: search[key].slice(0, 100) } : {};
  return {
    ...text("q"),
    ...text("action"),
    ...text("actor"),
    ...(typeof search.days === "number" && search.days > 0 ? { days: search.days } : {}),
  };
}
