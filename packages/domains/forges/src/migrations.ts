import { type Migration, tenantTable } from "@x1agent/kernel";

export const migrations: readonly Migration[] = [
  {
    name: "forges-001",
    // Keys, tokens and webhook secrets are rows of `secret`, named by the id of the app or the connection.
    sql: `create table forge_app (
      id text primary key, organization_id text not null, forge text not null, base_url text not null, external_id text not null,
      slug text not null, name text not null, web_url text not null, created_by jsonb not null, created_at timestamptz not null default now(),
      unique (organization_id, forge, base_url, external_id));
    ${tenantTable("forge_app")}

    create table forge_connection (
      id text primary key, organization_id text not null, forge text not null, base_url text not null,
      kind text not null check (kind in ('app', 'token')), app_id text references forge_app (id), installation text,
      account text not null, acts_as text not null, permissions jsonb not null default '{}', missing jsonb not null default '[]',
      state text not null check (state in ('active', 'suspended', 'removed', 'unauthorized')), detail text, limits jsonb,
      created_by jsonb not null, created_at timestamptz not null default now(), updated_at timestamptz not null default now(), checked_at timestamptz,
      check ((kind = 'app') = (app_id is not null and installation is not null)));
    create unique index forge_connection_one on forge_connection (organization_id, forge, base_url, kind, coalesce(installation, account));
    ${tenantTable("forge_connection")}

    create table forge_repository (
      organization_id text not null, connection_id text not null references forge_connection (id), external_id text not null,
      full_name text not null, clone_url text not null, web_url text not null, default_branch text not null, facts jsonb not null default '{}',
      project_id text references project (id), state text not null default 'active' check (state in ('active', 'removed')), detail text,
      etags jsonb not null default '{}', seen_at timestamptz not null default now(), primary key (connection_id, external_id));
    create index forge_repository_project on forge_repository (project_id) where project_id is not null;
    create index forge_repository_name on forge_repository (organization_id, lower(full_name));
    ${tenantTable("forge_repository")}

    create table job_origin (
      job_id text primary key references job (id), organization_id text not null, connection_id text not null references forge_connection (id),
      repository text not null, issue_number integer, issue_url text, issue_title text, issue_digest text, trust text not null check (trust in ('member', 'outside')),
      trigger text not null check (trigger in ('web', 'cli', 'label', 'assignment', 'comment')), triggered_by text, facts jsonb not null default '{}', created_at timestamptz not null default now());
    create index job_origin_issue on job_origin (connection_id, repository, issue_number);
    ${tenantTable("job_origin")}

    create table pull_request (
      job_id text primary key references job (id), organization_id text not null, connection_id text not null references forge_connection (id),
      repository text not null, number integer, url text, head_branch text not null, base_branch text not null, head_commit text,
      state text not null default 'open' check (state in ('open', 'merged', 'closed')), draft boolean not null default false,
      check_id text, check_state jsonb, outcome text check (outcome in ('merged', 'merged_after_changes', 'closed', 'reverted')), merge_commit text,
      read_until text, follow_ups integer not null default 0, facts jsonb not null default '{}',
      created_at timestamptz not null default now(), updated_at timestamptz not null default now(), ended_at timestamptz,
      unique (connection_id, repository, number));
    create index pull_request_open on pull_request (organization_id) where state = 'open';
    ${tenantTable("pull_request")}

    create table forge_delivery (
      organization_id text not null, app_id text not null references forge_app (id), id text not null, event text not null, action text,
      payload jsonb not null, received_at timestamptz not null default now(), handled_at timestamptz, attempts integer not null default 0, error text,
      primary key (app_id, id));
    create index forge_delivery_open on forge_delivery (received_at) where handled_at is null;
    ${tenantTable("forge_delivery")}`,
  },
  {
    name: "forges-002",
    // Why somebody was sent to the forge; the id is the digest of the state that they come back with.
    sql: `create table forge_pending (
      id text primary key, organization_id text not null, kind text not null, body jsonb not null, expires_at timestamptz not null);
    ${tenantTable("forge_pending")}`,
  },
  {
    name: "forges-watch-001",
    // What follows by itself. A delivery says where to look and no more: its `payload` is that extract. A job's move and a
    // new published commit raise `check_wanted` in their own transaction: the outbox of the check.
    sql: `alter table forge_delivery add column next_at timestamptz not null default now(), add column dead_at timestamptz;
    drop index forge_delivery_open;
    create index forge_delivery_open on forge_delivery (organization_id, next_at) where handled_at is null and dead_at is null;

    create table forge_watch (
      connection_id text primary key references forge_connection (id) on delete cascade, organization_id text not null,
      owner text, owner_until timestamptz, next_at timestamptz not null default now(), seen_until text, failures integer not null default 0, error text);
    ${tenantTable("forge_watch")}

    create table forge_trigger (
      connection_id text not null references forge_connection (id) on delete cascade, key text not null, organization_id text not null,
      result text, at timestamptz not null default now(), primary key (connection_id, key));
    ${tenantTable("forge_trigger")}

    alter table pull_request add column check_wanted integer not null default 1, add column check_sent integer not null default 0,
      add column check_after timestamptz not null default now(), add column look_at timestamptz not null default now();
    create function pull_request_check_wanted() returns trigger language plpgsql as $$
    begin
      if new.state <> old.state or new.published_commit is distinct from old.published_commit then
        update x1.pull_request set check_wanted = check_wanted + 1, check_after = now(), look_at = case when new.state = 'succeeded' then now() else look_at end where job_id = new.id;
      end if;
      return null;
    end $$;
    create trigger pull_request_check_wanted after update on job for each row execute function pull_request_check_wanted();

    create table forge_check (
      job_id text not null references job (id), commit text not null, organization_id text not null, check_id text, sent text,
      ended boolean not null default false, at timestamptz not null default now(), primary key (job_id, commit));
    ${tenantTable("forge_check")}

    create table follow_up (
      id text primary key, organization_id text not null, job_id text not null references job (id),
      kind text not null check (kind in ('review', 'checks', 'base')), key text not null, starts boolean not null, body jsonb not null,
      state text not null check (state in ('waiting', 'held', 'sent', 'done', 'dropped')), detail text, batch integer,
      at timestamptz not null default now(), unique (job_id, key));
    create index follow_up_waiting on follow_up (job_id) where state = 'waiting';
    ${tenantTable("follow_up")}`,
  },
  {
    name: "forges-watch-002",
    // A check is noted by commit, in `forge_check`; nothing reads these.
    sql: `alter table pull_request drop column check_id, drop column check_state;`,
  },
];
