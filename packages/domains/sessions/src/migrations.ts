import { type Migration, tenantTable } from "@x1agent/kernel";

export const migrations: readonly Migration[] = [
  {
    name: "sessions-001",
    sql: `create table event_counter (job_id text primary key, organization_id text not null, seq bigint not null, bytes bigint not null default 0);
    ${tenantTable("event_counter")}
    create table event (
      job_id text not null, seq bigint not null, organization_id text not null, ts timestamptz not null, type text not null, source text not null check (source in ('reported', 'observed')),
      attempt_id text, turn integer, origin text, payload jsonb not null, primary key (job_id, seq));
    create unique index event_origin on event (attempt_id, origin) where origin is not null;
    ${tenantTable("event")}
    revoke update, delete on event from x1_service;

    create table agent_session (
      attempt_id text primary key, organization_id text not null, job_id text not null, runtime text not null, cli_session text, home_blob text, work_blob text, last_origin text,
      updated_at timestamptz not null default now());
    create index agent_session_job on agent_session (job_id, updated_at desc);
    ${tenantTable("agent_session")}

    create table question (
      organization_id text not null, job_id text not null, attempt_id text not null, request_id text not null, title text not null, options jsonb not null, free_text boolean not null,
      asked_at timestamptz not null default now(), outcome text, closed_at timestamptz, primary key (attempt_id, request_id));
    create index question_open on question (job_id) where closed_at is null;
    ${tenantTable("question")}

    create table command (
      id text primary key, organization_id text not null, job_id text not null, dedupe text not null, kind text not null, body jsonb not null, actor jsonb not null,
      created_at timestamptz not null default now(), taken_at timestamptz, unique (job_id, kind, dedupe));
    create index command_open on command (job_id, created_at) where taken_at is null;
    ${tenantTable("command")}`,
  },
  {
    name: "sessions-002",
    sql: "alter table event_counter add column capped boolean not null default false",
  },
  {
    name: "sessions-003",
    // An inbox asks for them every few seconds, over every job at work.
    sql: "create index event_blocked on event (job_id) where type = 'egress.blocked'",
  },
];
