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
  {
    name: "secrets-002",
    // Micro-dollars per million tokens: whole, since a price is stated to a micro-dollar at most.
    sql: `create table model_price (
      organization_id text not null, provider text not null, model text not null, input_micros bigint not null check (input_micros >= 0), output_micros bigint not null check (output_micros >= 0), cache_read_micros bigint not null check (cache_read_micros >= 0), cache_write_micros bigint not null check (cache_write_micros >= 0), source text not null, as_of date not null, updated_at timestamptz not null default now(), primary key (organization_id, provider, model));
    ${tenantTable("model_price")}`,
  },
  {
    name: "secrets-003",
    // A secret is the organization's (no project) or one project's; the same name may be stored for both.
    sql: `alter table secret add column project_id text references project (id) on delete cascade;
    alter table secret drop constraint secret_pkey;
    create unique index secret_name on secret (organization_id, coalesce(project_id, ''), name);`,
  },
];
