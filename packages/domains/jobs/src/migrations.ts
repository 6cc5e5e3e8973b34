import { type Migration, tenantTable } from "@x1agent/kernel";

/** What jobs-001 was written with. It stays as it was: a database remembers the text of what it has run. */
const states =
  "'queued', 'provisioning', 'running', 'awaiting_input', 'verifying', 'awaiting_approval', 'publishing', 'succeeded', 'no_changes', 'rejected', 'failed', 'cancelled', 'timed_out', 'budget_exceeded', 'lost'";
const ends = "'succeeded', 'no_changes', 'rejected', 'failed', 'cancelled', 'timed_out', 'budget_exceeded', 'lost'";
const firstMoves = {
  queued: "provisioning cancelled failed timed_out budget_exceeded lost",
  provisioning: "running queued failed cancelled timed_out budget_exceeded lost",
  running: "awaiting_input verifying queued no_changes failed cancelled timed_out budget_exceeded lost",
  awaiting_input: "running queued failed cancelled timed_out budget_exceeded lost",
  verifying: "running awaiting_approval publishing queued no_changes failed cancelled timed_out budget_exceeded lost",
  awaiting_approval: "publishing queued rejected failed cancelled timed_out",
  publishing: "succeeded awaiting_approval failed",
  no_changes: "queued",
  rejected: "queued",
  failed: "queued",
  cancelled: "queued",
  timed_out: "queued",
  budget_exceeded: "queued awaiting_approval",
  lost: "queued",
};
const moves = Object.entries(firstMoves)
  .flatMap(([from, targets]) => targets.split(" ").map((to) => `('${from}', '${to}')`))
  .join(", ");

export const migrations: readonly Migration[] = [
  {
    name: "jobs-001",
    sql: `create table job (
      id text primary key, organization_id text not null, project_id text not null references project (id),
      title text not null, goal text not null, repository text not null,
      state text not null check (state in (${states})), reason text not null, reason_detail text, actor jsonb not null,
      settings jsonb not null, base_commit text, attempt integer not null default 0, round integer not null default 0,
      approval_digest text, target_branch text, published_commit text,
      owner text, owner_until timestamptz, cancel_requested jsonb,
      created_by jsonb not null, created_at timestamptz not null default now(), updated_at timestamptz not null default now(), started_at timestamptz, ended_at timestamptz);
    create index job_unfinished on job (owner_until) where state not in (${ends});
    create index job_newest on job (organization_id, id desc);
    ${tenantTable("job")}

    create table attempt (
      id text primary key, organization_id text not null, job_id text not null references job (id), number integer not null,
      state text not null check (state in ('running', 'ended')), outcome text, reason text, workspace_id text, isolation jsonb,
      started_at timestamptz not null default now(), ended_at timestamptz, unique (job_id, number),
      check ((state = 'ended') = (ended_at is not null)));
    create unique index attempt_one_running on attempt (job_id) where state = 'running';
    ${tenantTable("attempt")}

    create table job_move (from_state text not null, to_state text not null, primary key (from_state, to_state));
    insert into job_move values ${moves};
    grant select on job_move to x1_service;
    create function job_guard() returns trigger language plpgsql as $$
    begin
      if new.state <> old.state and not exists (select 1 from x1.job_move where from_state = old.state and to_state = new.state) then
        raise exception 'job % may not move from % to %', old.id, old.state, new.state using errcode = 'check_violation';
      end if;
      return new;
    end $$;
    create trigger job_guard before update of state on job for each row execute function job_guard();

    create table idempotency (
      organization_id text not null, key text not null, hash text not null, answer jsonb, at timestamptz not null default now(),
      primary key (organization_id, key));
    ${tenantTable("idempotency")}`,
  },
  {
    name: "jobs-002",
    sql: `create table baseline (
      organization_id text not null, key text not null check (key ~ '^[0-9a-f]{64}$'), result jsonb not null,
      at timestamptz not null default now(), primary key (organization_id, key));
    ${tenantTable("baseline")}`,
  },
  {
    name: "jobs-003",
    // A published job goes on with what its reviewers and checks say. Moves of earlier versions stay.
    sql: "insert into job_move values ('succeeded', 'queued') on conflict do nothing",
  },
  {
    name: "jobs-004",
    // What a person has put away from the inbox: theirs alone.
    sql: `create table dismissal (
      organization_id text not null, member_id text not null, key text not null, at timestamptz not null default now(),
      primary key (organization_id, member_id, key));
    ${tenantTable("dismissal")}`,
  },
  {
    name: "jobs-005",
    // A job that waits for something outside is not claimed before its time; `waits` counts since it last moved.
    sql: "alter table job add column not_before timestamptz, add column waits integer not null default 0",
  },
  {
    name: "jobs-006",
    // A change whose branch has moved is laid anew: `merge` says on what, and an approved one may go back for that.
    sql: `alter table job add column merge jsonb;
    insert into job_move values ('publishing', 'queued') on conflict do nothing`,
  },
  {
    name: "jobs-007",
    // Rounds that may bring feedback count from where a person or the forge last sent the job back to work.
    sql: "alter table job add column rounds_before integer not null default 0",
  },
];
