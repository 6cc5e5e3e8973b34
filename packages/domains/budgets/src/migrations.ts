import { type Migration, tenantTable } from "@x1agent/kernel";

export const migrations: readonly Migration[] = [
  {
    name: "budgets-001",
    sql: `create table budget (
      id text primary key, organization_id text not null, scope_kind text not null check (scope_kind in ('organization', 'project', 'member', 'job')), scope_id text not null,
      period text not null check (period in ('day', 'week', 'month', 'total')), limit_micros bigint not null check (limit_micros >= 0), updated_at timestamptz not null default now(),
      unique (scope_kind, scope_id, period));
    ${tenantTable("budget")}
    create table lease (
      id text primary key, organization_id text not null, project_id text not null, member_id text not null, job_id text not null, attempt_id text not null, workspace_id text not null, request_id text not null,
      amount bigint not null, settled bigint not null default 0, in_flight bigint not null default 0, state text not null check (state in ('active', 'released', 'lost')),
      expires_at timestamptz not null, created_at timestamptz not null default now(), unique (workspace_id, request_id));
    create index lease_active on lease (organization_id) where state = 'active';
    ${tenantTable("lease")}
    create table model_call (
      call_id text primary key, organization_id text not null, project_id text not null, member_id text not null, job_id text not null, attempt_id text not null, lease_id text not null,
      provider text not null, api text not null, model text not null, served_model text, input_tokens bigint not null, output_tokens bigint not null, cache_read_tokens bigint not null, cache_write_tokens bigint not null,
      cost_micros bigint not null check (cost_micros >= 0), estimated boolean not null, outcome text not null, status integer, latency_ms double precision not null, first_byte_ms double precision, grant_id text not null,
      ts timestamptz not null default now());
    create index model_call_job on model_call (job_id, ts);
    create index model_call_ts on model_call (organization_id, ts);
    ${tenantTable("model_call")}`,
  },
  {
    // A limit is one organization's own: the same scope id set by two never meets.
    name: "budgets-002",
    sql: `alter table budget drop constraint budget_scope_kind_scope_id_period_key;
    alter table budget add unique (organization_id, scope_kind, scope_id, period);
    create index lease_attempt on lease (attempt_id) where state = 'active';
    create index lease_job on lease (job_id);`,
  },
];
