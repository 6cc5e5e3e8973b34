import {
  type Actor,
  accept,
  type Grant,
  type GrantDetails,
  type GrantScope,
  type GrantSubject,
  type GrantType,
  type Outcome,
  refuse,
} from "@x1agent/contract";
import { newId, notify, row, rows, sql, type Tx } from "@x1agent/kernel";
import type { z } from "zod";

/** Channel that carries `{"o":organization}` when the ledger changed. */
export const grantsChannel = "x1_grants";

type GrantRow = {
  id: string;
  subject_kind: GrantSubject["kind"];
  subject_id: string;
  type: GrantType;
  details: GrantDetails;
  scope: z.infer<typeof GrantScope>;
  granted_by: Actor;
  reason: string;
  created_at: Date;
  consumed_at: Date | null;
  revoked_at: Date | null;
  last_used_at: Date | null;
};
const present = (found: GrantRow): Grant => ({
  id: found.id,
  subject: { kind: found.subject_kind, id: found.subject_id },
  type: found.type,
  details: found.details,
  scope: found.scope,
  grantedBy: found.granted_by,
  reason: found.reason,
  createdAt: found.created_at.toISOString(),
  consumedAt: found.consumed_at?.toISOString() ?? null,
  revokedAt: found.revoked_at?.toISOString() ?? null,
  lastUsedAt: found.last_used_at?.toISOString() ?? null,
});
const changed = (tx: Tx, organizationId: string) => notify(tx, grantsChannel, JSON.stringify({ o: organizationId }));

/** Whose grants a job has. */
export type GrantHolder = { organizationId: string; projectId: string; jobId: string };

/** Writes a grant. Only people and, for the first ones, the platform itself grant; jobs ask. */
export async function createGrant(
  tx: Tx,
  organizationId: string,
  grant: {
    subject: GrantSubject;
    type: GrantType;
    details?: Partial<GrantDetails> | undefined;
    scope: z.infer<typeof GrantScope>;
    reason: string;
    grantedBy: Actor;
  },
): Promise<Outcome<Grant>> {
  if (grant.grantedBy.kind === "job" || grant.grantedBy.kind === "policy")
    return refuse("forbidden", "Only people grant; a job can ask.");
  if (grant.subject.kind === "organization" && grant.subject.id !== organizationId)
    return refuse("not_found", "No such organization.");
  const made = await row(
    tx,
    sql<GrantRow>`insert into permission_grant (id, organization_id, subject_kind, subject_id, type, details, scope, granted_by, reason)
    values (${newId("grt")}, ${organizationId}, ${grant.subject.kind}, ${grant.subject.id}, ${grant.type}, ${JSON.stringify({ pattern: "*", ...grant.details })}, ${grant.scope}, ${JSON.stringify(grant.grantedBy)}, ${grant.reason}) returning *`,
  );
  if (!made) throw new Error("An insert returned nothing.");
  await changed(tx, organizationId);
  return accept(present(made));
}

/** Revokes; running jobs lose it with the notice. Null when there is no such grant. */
export async function revokeGrant(tx: Tx, organizationId: string, grantId: string): Promise<Grant | null> {
  const found = await row(
    tx,
    sql<GrantRow>`update permission_grant set revoked_at = coalesce(revoked_at, now()) where id = ${grantId} returning *`,
  );
  if (found) await changed(tx, organizationId);
  return found && present(found);
}

/** The ledger, newest first; `all` includes what was revoked or consumed. */
export async function listGrants(tx: Tx, filter: { subject?: string | undefined; all: boolean }): Promise<Grant[]> {
  return (
    await rows(
      tx,
      sql<GrantRow>`select * from permission_grant where (${filter.all} or (revoked_at is null and consumed_at is null)) and (${filter.subject ?? null}::text is null or subject_id = ${filter.subject ?? ""} or subject_kind || ':' || subject_id = ${filter.subject ?? ""}) order by id desc limit 1000`,
    )
  ).map(present);
}

/** Whether the organization's ledger ever had a grant of this type. */
export async function everGranted(tx: Tx, type: GrantType): Promise<boolean> {
  return (await row(tx, sql<{ id: string }>`select id from permission_grant where type = ${type} limit 1`)) !== null;
}

/**
 * What a job may use now: its own grants, its project's and its organization's. `taken` are ids of grants for one use
 * that the asker has consumed and still uses: they end when they are revoked.
 */
export async function effectiveGrants(tx: Tx, holder: GrantHolder, taken: readonly string[] = []): Promise<Grant[]> {
  return (
    await rows(
      tx,
      sql<GrantRow>`select * from permission_grant where revoked_at is null and (consumed_at is null or id = any(${[...taken]})) and ((subject_kind = 'organization' and subject_id = ${holder.organizationId})
    or (subject_kind = 'project' and subject_id = ${holder.projectId}) or (subject_kind = 'job' and subject_id = ${holder.jobId})) order by id limit 1000`,
    )
  ).map(present);
}

/** Notes a use; a `once` grant is consumed by exactly one caller: false when another was first or it is gone. */
export async function useGrant(tx: Tx, organizationId: string, grantId: string): Promise<boolean> {
  const used = await row(
    tx,
    sql<{
      scope: string;
    }>`update permission_grant set last_used_at = now(), consumed_at = case when scope = 'once' then now() end
    where id = ${grantId} and revoked_at is null and consumed_at is null returning scope`,
  );
  if (used?.scope === "once") await changed(tx, organizationId);
  return used !== null;
}
