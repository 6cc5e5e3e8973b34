import type { Actor, Approval, ApprovalSubject, Evidence, EvidenceRecord, LineComment } from "@x1agent/contract";
import { newId, row, rows, sql, storableJson, storableText, type Tx } from "@x1agent/kernel";

/** Evidence with what publishing needs of it besides what people see. */
export type StoredEvidence = Evidence & {
  subject: ApprovalSubject | null;
  diffBlob: string | null;
  /** The commit with its new objects as a pack; null for evidence older than this. */
  packBlob: string | null;
  baseBranch: string | null;
};
export type StoredApproval = Approval;
export type StoredPublication = {
  id: string;
  jobId: string;
  approvalId: string;
  repository: string;
  branch: string;
  commit: string;
  url: string | null;
  title: string;
  body: string;
  createdAt: string;
};

type EvidenceRow = {
  id: string;
  job_id: string;
  attempt_id: string;
  round: number;
  record: EvidenceRecord;
  record_digest: string;
  approval_digest: string | null;
  subject: ApprovalSubject | null;
  pull_request: { title: string; body: string };
  diff_blob: string | null;
  pack_blob: string | null;
  base_branch: string | null;
  created_at: Date;
};
const present = (found: EvidenceRow): StoredEvidence => ({
  id: found.id,
  jobId: found.job_id,
  attemptId: found.attempt_id,
  round: found.round,
  createdAt: found.created_at.toISOString(),
  record: found.record,
  recordDigest: found.record_digest,
  approvalDigest: found.approval_digest,
  pullRequest: found.pull_request,
  subject: found.subject,
  diffBlob: found.diff_blob,
  packBlob: found.pack_blob,
  baseBranch: found.base_branch,
});

/** Stores one round's evidence, for people; the canonical record of the digest is a blob. It is repeated under the same id it replaces what was not decided on. */
export async function storeEvidence(
  tx: Tx,
  organizationId: string,
  evidence: {
    id: string;
    jobId: string;
    attemptId: string;
    round: number;
    record: EvidenceRecord;
    recordDigest: string;
    approvalDigest: string | null;
    subject: ApprovalSubject | null;
    pullRequest: { title: string; body: string };
    diffBlob: string | null;
    packBlob?: string | null;
    baseBranch: string | null;
  },
): Promise<StoredEvidence> {
  const made = await row(
    tx,
    sql<EvidenceRow>`insert into evidence (id, organization_id, job_id, attempt_id, round, record, record_digest, approval_digest, subject, pull_request, diff_blob, pack_blob, base_branch)
    values (${evidence.id}, ${organizationId}, ${evidence.jobId}, ${evidence.attemptId}, ${evidence.round}, ${storableJson(evidence.record)}, ${evidence.recordDigest}, ${evidence.approvalDigest},
      ${evidence.subject ? storableJson(evidence.subject) : null}, ${storableJson(evidence.pullRequest)}, ${evidence.diffBlob}, ${evidence.packBlob ?? null}, ${evidence.baseBranch})
    on conflict (id) do update set record = excluded.record, record_digest = excluded.record_digest, approval_digest = excluded.approval_digest, subject = excluded.subject, pull_request = excluded.pull_request, diff_blob = excluded.diff_blob, pack_blob = excluded.pack_blob
      where not exists (select 1 from approval where approval.evidence_id = evidence.id) returning *`,
  );
  if (!made) throw new Error("Evidence that was decided on cannot be replaced.");
  return present(made);
}

/** Newest first. */
export async function listEvidence(tx: Tx, jobId: string): Promise<StoredEvidence[]> {
  return (
    await rows(tx, sql<EvidenceRow>`select * from evidence where job_id = ${jobId} order by id desc limit 200`)
  ).map(present);
}

export async function getEvidence(tx: Tx, evidenceId: string): Promise<StoredEvidence | null> {
  const found = await row(tx, sql<EvidenceRow>`select * from evidence where id = ${evidenceId}`);
  return found && present(found);
}

type ApprovalRow = {
  id: string;
  job_id: string;
  evidence_id: string;
  decision: Approval["decision"];
  digest: string;
  actor: Actor;
  comment: string | null;
  comments: LineComment[];
  created_at: Date;
  used_at: Date | null;
  voided_at: Date | null;
};
const presentApproval = (found: ApprovalRow): StoredApproval => ({
  id: found.id,
  jobId: found.job_id,
  evidenceId: found.evidence_id,
  decision: found.decision,
  digest: found.digest,
  actor: found.actor,
  comment: found.comment,
  comments: found.comments,
  createdAt: found.created_at.toISOString(),
  usedAt: found.used_at?.toISOString() ?? null,
  voidedAt: found.voided_at?.toISOString() ?? null,
});

/** Records a decision on the digest that the decider's screen showed. */
export async function recordApproval(
  tx: Tx,
  organizationId: string,
  approval: {
    jobId: string;
    evidenceId: string;
    decision: Approval["decision"];
    digest: string;
    actor: Actor;
    comment: string | null;
    comments?: readonly LineComment[];
  },
): Promise<StoredApproval> {
  const made = await row(
    tx,
    sql<ApprovalRow>`insert into approval (id, organization_id, job_id, evidence_id, decision, digest, actor, comment, comments)
    values (${newId("apr")}, ${organizationId}, ${approval.jobId}, ${approval.evidenceId}, ${approval.decision}, ${approval.digest}, ${JSON.stringify(approval.actor)}, ${approval.comment === null ? null : storableText(approval.comment)}, ${storableJson(approval.comments ?? [])}) returning *`,
  );
  if (!made) throw new Error("An insert returned nothing.");
  return presentApproval(made);
}

/** The approval that publishing is to use: the newest that is neither used nor void. */
export async function pendingApproval(tx: Tx, jobId: string): Promise<StoredApproval | null> {
  const found = await row(
    tx,
    sql<ApprovalRow>`select * from approval where job_id = ${jobId} and decision in ('approve', 'override') and used_at is null and voided_at is null order by id desc limit 1`,
  );
  return found && presentApproval(found);
}

/** Uses an approval once: false when it was used or void. */
export async function useApproval(tx: Tx, approvalId: string): Promise<boolean> {
  return (
    (await row(
      tx,
      sql<{
        id: string;
      }>`update approval set used_at = now() where id = ${approvalId} and used_at is null and voided_at is null returning id`,
    )) !== null
  );
}

/** Voids what was approved and not used; a moved target needs a new decision. */
export async function voidApprovals(tx: Tx, jobId: string): Promise<void> {
  await sql`update approval set voided_at = now() where job_id = ${jobId} and used_at is null and voided_at is null`.execute(
    tx,
  );
}

export async function listApprovals(tx: Tx, jobId: string): Promise<StoredApproval[]> {
  return (
    await rows(tx, sql<ApprovalRow>`select * from approval where job_id = ${jobId} order by id desc limit 200`)
  ).map(presentApproval);
}

type PublicationRow = {
  id: string;
  job_id: string;
  approval_id: string;
  repository: string;
  branch: string;
  commit: string;
  url: string | null;
  title: string;
  body: string;
  created_at: Date;
};
const presentPublication = (found: PublicationRow): StoredPublication => ({
  id: found.id,
  jobId: found.job_id,
  approvalId: found.approval_id,
  repository: found.repository,
  branch: found.branch,
  commit: found.commit,
  url: found.url,
  title: found.title,
  body: found.body,
  createdAt: found.created_at.toISOString(),
});

/** Notes a publication; one per approval, so repeating it after a crash changes nothing. */
export async function recordPublication(
  tx: Tx,
  organizationId: string,
  publication: Omit<StoredPublication, "id" | "createdAt">,
): Promise<void> {
  await sql`insert into publication (id, organization_id, job_id, approval_id, repository, branch, commit, url, title, body)
    values (${newId("pub")}, ${organizationId}, ${publication.jobId}, ${publication.approvalId}, ${publication.repository}, ${publication.branch}, ${publication.commit}, ${publication.url}, ${storableText(publication.title)}, ${storableText(publication.body)}) on conflict (approval_id) do nothing`.execute(
    tx,
  );
}

export async function listPublications(tx: Tx, jobId: string): Promise<StoredPublication[]> {
  return (
    await rows(tx, sql<PublicationRow>`select * from publication where job_id = ${jobId} order by id desc limit 200`)
  ).map(presentPublication);
}

/**
 * Whether a blob is part of a job's evidence: only where the platform itself put a digest. Texts in it are the change's and
 * its commands' own, and a digest printed there would open what is another organization's.
 */
export async function evidenceNamesBlob(tx: Tx, jobId: string, digest: string): Promise<boolean> {
  return (
    (await row(
      tx,
      sql<{
        id: string;
      }>`select id from evidence where job_id = ${jobId} and (diff_blob = ${digest} or record_digest = ${digest} or exists (
      select from unnest(array[record->'verification', record->'baseline']) as run,
        unnest(array[run->'setup', run->'verify', run->'withBaseTests'->'verify']) as command where command->>'outputBlob' = ${digest})) limit 1`,
    )) !== null
  );
}
