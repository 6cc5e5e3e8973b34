import type { AuditEntry } from "./resources.ts";

/** `previous` of an organization's first audit entry. */
export const auditStart = "0".repeat(64);

/**
 * Canonical JSON (RFC 8785): keys sorted by UTF-16 code units, no white space, numbers and strings as ECMAScript writes
 * them. Equal values give equal text, whatever order their keys had in a database or a file.
 */
export function canonicalText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalText(item ?? null)).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "null";
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonicalText(member)}`);
  return `{${members.join(",")}}`;
}

/**
 * The text whose SHA-256, in lower-case hex, is an audit entry's `hash`: the entry without it, `previous` included. So
 * whoever holds an export checks the chain with nothing else at hand.
 */
export function auditText(entry: Omit<AuditEntry, "hash">): string {
  const { seq, ts, actor, action, subject, data, previous } = entry;
  return canonicalText({ seq, ts, actor, action, subject, data, previous });
}
