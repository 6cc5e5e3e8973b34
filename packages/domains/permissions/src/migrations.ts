import { type Migration, tenantTable } from "@x1agent/kernel";

export const migrations: readonly Migration[] = [
  {
    name: "permissions-001",
    sql: `create table permission_grant (
      id text primary key, organization_id text not null, subject_kind text not null check (subject_kind in ('organization', 'project', 'job')), subject_id text not null,
      type text not null, details jsonb not null, scope text not null check (scope in ('once', 'session', 'persistent')), granted_by jsonb not null, reason text not null,
      created_at timestamptz not null default now(), consumed_at timestamptz, revoked_at timestamptz, last_used_at timestamptz);
    create index permission_grant_subject on permission_grant (subject_kind, subject_id) where revoked_at is null;
    ${tenantTable("permission_grant")}`,
  },
];
