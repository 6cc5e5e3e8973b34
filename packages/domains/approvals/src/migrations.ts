import { type Migration, tenantTable } from "@x1agent/kernel";

export const migrations: readonly Migration[] = [
  {
    name: "approvals-001",
    sql: `create table evidence (
      id text primary key, organization_id text not null, job_id text not null, attempt_id text not null, round integer not null, record jsonb not null, record_digest text not null,
      approval_digest text, subject jsonb, pull_request jsonb not null, diff_blob text, base_branch text, created_at timestamptz not null default now());
    create index evidence_job on evidence (job_id, id desc);
    ${tenantTable("evidence")}
    create table approval (
      id text primary key, organization_id text not null, job_id text not null, evidence_id text not null references evidence (id), decision text not null check (decision in ('approve', 'override', 'reject', 'request_changes')),
      digest text not null, actor jsonb not null, comment text, created_at timestamptz not null default now(), used_at timestamptz, voided_at timestamptz);
    create index approval_job on approval (job_id, id desc);
    ${tenantTable("approval")}
    create table publication (
      id text primary key, organization_id text not null, job_id text not null, approval_id text not null unique references approval (id), repository text not null, branch text not null, commit text not null, url text,
      title text not null, body text not null, created_at timestamptz not null default now());
    ${tenantTable("publication")}`,
  },
  {
    name: "approvals-002",
    sql: "alter table approval add column comments jsonb not null default '[]'",
  },
  {
    name: "approvals-003",
    // The commit and what is new in it, as a pack: from base and this any service makes the job's repository anew.
    sql: "alter table evidence add column pack_blob text",
  },
];
