import { type Migration, tenantTable } from "@x1agent/kernel";

export const migrations: readonly Migration[] = [
  {
    name: "audit-001",
    sql: `create table audit_head (organization_id text primary key, seq bigint not null, hash text not null);
    ${tenantTable("audit_head")}
    create table audit (
      organization_id text not null, seq bigint not null, ts timestamptz not null, actor jsonb not null, action text not null, subject text not null, data jsonb not null,
      previous text not null, hash text not null, primary key (organization_id, seq));
    ${tenantTable("audit")}
    revoke update, delete on audit from x1_service;
    create function audit_append_only() returns trigger language plpgsql as $$ begin raise exception 'the audit log is append-only'; end $$;
    create trigger audit_append_only before update or delete or truncate on audit for each statement execute function audit_append_only();`,
  },
];
