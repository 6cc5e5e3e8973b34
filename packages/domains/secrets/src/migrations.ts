import { type Migration, tenantTable } from "@x1agent/kernel";

export const migrations: readonly Migration[] = [
  {
    name: "secrets-001",
    sql: `create table secret (
      organization_id text not null, name text not null, sealed bytea not null, last_four text not null, updated_at timestamptz not null default now(), last_used_at timestamptz, primary key (organization_id, name));
    ${tenantTable("secret")}
    create table provider (
      organization_id text not null, name text not null, api text, base_url text, allow_private boolean not null default false, ca text, updated_at timestamptz not null default now(), primary key (organization_id, name));
    ${tenantTable("provider")}`,
  },
];
