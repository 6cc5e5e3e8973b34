import { type Migration, tenantTable } from "@x1agent/kernel";

export const migrations: readonly Migration[] = [
  {
    name: "projects-001",
    sql: `create table project (
      id text primary key, organization_id text not null, name text not null, repository text not null,
      settings jsonb not null, created_at timestamptz not null default now(), archived_at timestamptz,
      unique (organization_id, repository));
    ${tenantTable("project")}`,
  },
];
