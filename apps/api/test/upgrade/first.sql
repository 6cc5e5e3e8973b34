SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE SCHEMA x1;
ALTER SCHEMA x1 OWNER TO x1_owner;
CREATE FUNCTION x1.audit_append_only() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ begin raise exception 'the audit log is append-only'; end $$;
ALTER FUNCTION x1.audit_append_only() OWNER TO x1_owner;
CREATE FUNCTION x1.job_guard() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
    begin
      if new.state <> old.state and not exists (select 1 from x1.job_move where from_state = old.state and to_state = new.state) then
        raise exception 'job % may not move from % to %', old.id, old.state, new.state using errcode = 'check_violation';
      end if;
      return new;
    end $$;
ALTER FUNCTION x1.job_guard() OWNER TO x1_owner;
SET default_tablespace = '';
CREATE TABLE x1.account (
    id text NOT NULL,
    "accountId" text NOT NULL,
    "providerId" text NOT NULL,
    "userId" text NOT NULL,
    "accessToken" text,
    "refreshToken" text,
    "idToken" text,
    "accessTokenExpiresAt" timestamp with time zone,
    "refreshTokenExpiresAt" timestamp with time zone,
    scope text,
    password text,
    "createdAt" timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    "updatedAt" timestamp with time zone NOT NULL
);
ALTER TABLE x1.account OWNER TO x1_owner;
CREATE TABLE x1.agent_session (
    attempt_id text NOT NULL,
    organization_id text NOT NULL,
    job_id text NOT NULL,
    runtime text NOT NULL,
    cli_session text,
    home_blob text,
    work_blob text,
    last_origin text,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE ONLY x1.agent_session FORCE ROW LEVEL SECURITY;
ALTER TABLE x1.agent_session OWNER TO x1_owner;
CREATE TABLE x1.apikey (
    id text NOT NULL,
    "configId" text NOT NULL,
    name text,
    start text,
    "referenceId" text NOT NULL,
    prefix text,
    key text NOT NULL,
    "refillInterval" integer,
    "refillAmount" integer,
    "lastRefillAt" timestamp with time zone,
    enabled boolean,
    "rateLimitEnabled" boolean,
    "rateLimitTimeWindow" integer,
    "rateLimitMax" integer,
    "requestCount" integer,
    remaining integer,
    "lastRequest" timestamp with time zone,
    "expiresAt" timestamp with time zone,
    "createdAt" timestamp with time zone NOT NULL,
    "updatedAt" timestamp with time zone NOT NULL,
    permissions text,
    metadata text
);
ALTER TABLE x1.apikey OWNER TO x1_owner;
CREATE TABLE x1.approval (
    id text NOT NULL,
    organization_id text NOT NULL,
    job_id text NOT NULL,
    evidence_id text NOT NULL,
    decision text NOT NULL,
    digest text NOT NULL,
    actor jsonb NOT NULL,
    comment text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    used_at timestamp with time zone,
    voided_at timestamp with time zone,
    CONSTRAINT approval_decision_check CHECK ((decision = ANY (ARRAY['approve'::text, 'override'::text, 'reject'::text, 'request_changes'::text])))
);
ALTER TABLE ONLY x1.approval FORCE ROW LEVEL SECURITY;
ALTER TABLE x1.approval OWNER TO x1_owner;
CREATE TABLE x1.attempt (
    id text NOT NULL,
    organization_id text NOT NULL,
    job_id text NOT NULL,
    number integer NOT NULL,
    state text NOT NULL,
    outcome text,
    reason text,
    workspace_id text,
    isolation jsonb,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT attempt_check CHECK (((state = 'ended'::text) = (ended_at IS NOT NULL))),
    CONSTRAINT attempt_state_check CHECK ((state = ANY (ARRAY['running'::text, 'ended'::text])))
);
ALTER TABLE ONLY x1.attempt FORCE ROW LEVEL SECURITY;
ALTER TABLE x1.attempt OWNER TO x1_owner;
CREATE TABLE x1.audit (
    organization_id text NOT NULL,
    seq bigint NOT NULL,
    ts timestamp with time zone NOT NULL,
    actor jsonb NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    data jsonb NOT NULL,
    previous text NOT NULL,
    hash text NOT NULL
);
ALTER TABLE ONLY x1.audit FORCE ROW LEVEL SECURITY;
ALTER TABLE x1.audit OWNER TO x1_owner;
CREATE TABLE x1.audit_head (
    organization_id text NOT NULL,
    seq bigint NOT NULL,
    hash text NOT NULL
);
ALTER TABLE ONLY x1.audit_head FORCE ROW LEVEL SECURITY;
ALTER TABLE x1.audit_head OWNER TO x1_owner;
CREATE TABLE x1.budget (
    id text NOT NULL,
    organization_id text NOT NULL,
    scope_kind text NOT NULL,
    scope_id text NOT NULL,
    period text NOT NULL,
    limit_micros bigint NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT budget_limit_micros_check CHECK ((limit_micros >= 0)),
    CONSTRAINT budget_period_check CHECK ((period = ANY (ARRAY['day'::text, 'week'::text, 'month'::text, 'total'::text]))),
    CONSTRAINT budget_scope_kind_check CHECK ((scope_kind = ANY (ARRAY['organization'::text, 'project'::text, 'member'::text, 'job'::text])))
);
ALTER TABLE ONLY x1.budget FORCE ROW LEVEL SECURITY;
ALTER TABLE x1.budget OWNER TO x1_owner;
CREATE TABLE x1.command (
    id text NOT NULL,
    organization_id text NOT NULL,
    job_id text NOT NULL,
    dedupe text NOT NULL,
    kind text NOT NULL,
    body jsonb NOT NULL,
    actor jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    taken_at timestamp with time zone
);
ALTER TABLE ONLY x1.command FORCE ROW LEVEL SECURITY;
ALTER TABLE x1.command OWNER TO x1_owner;
CREATE TABLE x1.event (
    job_id text NOT NULL,
    seq bigint NOT NULL,
    organization_id text NOT NULL,
    ts timestamp with time zone NOT NULL,
    type text NOT NULL,
    source text NOT NULL,
    attempt_id text,
    turn integer,
    origin text,
    payload jsonb NOT NULL,
    CONSTRAINT event_source_check CHECK ((source = ANY (ARRAY['reported'::text, 'observed'::text])))
);
ALTER TABLE ONLY x1.event FORCE ROW LEVEL SECURITY;
ALTER TABLE x1.event OWNER TO x1_owner;
CREATE TABLE x1.event_counter (
    job_id text NOT NULL,
    organization_id text NOT NULL,
    seq bigint NOT NULL,
    bytes bigint DEFAULT 0 NOT NULL,
    capped boolean DEFAULT false NOT NULL
);
ALTER TABLE ONLY x1.event_counter FORCE ROW LEVEL SECURITY;
ALTER TABLE x1.event_counter OWNER TO x1_owner;
CREATE TABLE x1.evidence (
    id text NOT NULL,
    organization_id text NOT NULL,
    job_id text NOT NULL,
    attempt_id text NOT NULL,
    round integer NOT NULL,
    record jsonb NOT NULL,
    record_digest text NOT NULL,
    approval_digest text,
    subject jsonb,
    pull_request jsonb NOT NULL,
    diff_blob text,
    base_branch text,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE ONLY x1.evidence FORCE ROW LEVEL SECURITY;
ALTER TABLE x1.evidence OWNER TO x1_owner;
CREATE TABLE x1.idempotency (
    organization_id text NOT NULL,
    key text NOT NULL,
    hash text NOT NULL,
    answer jsonb,
    at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE ONLY x1.idempotency FORCE ROW LEVEL SECURITY;
ALTER TABLE x1.idempotency OWNER TO x1_owner;
CREATE TABLE x1.invitation (
    id text NOT NULL,
    "organizationId" text NOT NULL,
    email text NOT NULL,
    role text,
    status text NOT NULL,
    "expiresAt" timestamp with time zone NOT NULL,
    "createdAt" timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    "inviterId" text NOT NULL
);
ALTER TABLE x1.invitation OWNER TO x1_owner;
CREATE TABLE x1.job (
    id text NOT NULL,
    organization_id text NOT NULL,
    project_id text NOT NULL,
    title text NOT NULL,
    goal text NOT NULL,
    repository text NOT NULL,
    state text NOT NULL,
    reason text NOT NULL,
    reason_detail text,
    actor jsonb NOT NULL,
    settings jsonb NOT NULL,
    base_commit text,
    attempt integer DEFAULT 0 NOT NULL,
    round integer DEFAULT 0 NOT NULL,
    approval_digest text,
    target_branch text,
    published_commit text,
    owner text,
    owner_until timestamp with time zone,
    cancel_requested jsonb,
    created_by jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    started_at timestamp with time zone,
    ended_at timestamp with time zone,
    CONSTRAINT job_state_check CHECK ((state = ANY (ARRAY['queued'::text, 'provisioning'::text, 'running'::text, 'awaiting_input'::text, 'verifying'::text, 'awaiting_approval'::text, 'publishing'::text, 'succeeded'::text, 'no_changes'::text, 'rejected'::text, 'failed'::text, 'cancelled'::text, 'timed_out'::text, 'budget_exceeded'::text, 'lost'::text])))
);
ALTER TABLE ONLY x1.job FORCE ROW LEVEL SECURITY;
ALTER TABLE x1.job OWNER TO x1_owner;
CREATE TABLE x1.job_move (
    from_state text NOT NULL,
    to_state text NOT NULL
);
ALTER TABLE x1.job_move OWNER TO x1_owner;
CREATE TABLE x1.lease (
    id text NOT NULL,
    organization_id text NOT NULL,
    project_id text NOT NULL,
    member_id text NOT NULL,
    job_id text NOT NULL,
    attempt_id text NOT NULL,
    workspace_id text NOT NULL,
    request_id text NOT NULL,
    amount bigint NOT NULL,
    settled bigint DEFAULT 0 NOT NULL,
    in_flight bigint DEFAULT 0 NOT NULL,
    state text NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT lease_state_check CHECK ((state = ANY (ARRAY['active'::text, 'released'::text, 'lost'::text])))
);
ALTER TABLE ONLY x1.lease FORCE ROW LEVEL SECURITY;
ALTER TABLE x1.lease OWNER TO x1_owner;
CREATE TABLE x1.member (
    id text NOT NULL,
    "organizationId" text NOT NULL,
    "userId" text NOT NULL,
    role text NOT NULL,
    "createdAt" timestamp with time zone NOT NULL
);
ALTER TABLE x1.member OWNER TO x1_owner;
CREATE TABLE x1.migration (
    name text NOT NULL,
    digest text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE x1.migration OWNER TO x1_owner;
CREATE TABLE x1.model_call (
    call_id text NOT NULL,
    organization_id text NOT NULL,
    project_id text NOT NULL,
    member_id text NOT NULL,
    job_id text NOT NULL,
    attempt_id text NOT NULL,
    lease_id text NOT NULL,
    provider text NOT NULL,
    api text NOT NULL,
    model text NOT NULL,
    served_model text,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cache_read_tokens bigint NOT NULL,
    cache_write_tokens bigint NOT NULL,
    cost_micros bigint NOT NULL,
    estimated boolean NOT NULL,
    outcome text NOT NULL,
    status integer,
    latency_ms double precision NOT NULL,
    first_byte_ms double precision,
    grant_id text NOT NULL,
    ts timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT model_call_cost_micros_check CHECK ((cost_micros >= 0))
);
ALTER TABLE ONLY x1.model_call FORCE ROW LEVEL SECURITY;
ALTER TABLE x1.model_call OWNER TO x1_owner;
CREATE TABLE x1.organization (
    id text NOT NULL,
    name text NOT NULL,
    slug text NOT NULL,
    logo text,
    "createdAt" timestamp with time zone NOT NULL,
    metadata text
);
ALTER TABLE x1.organization OWNER TO x1_owner;
CREATE TABLE x1.permission_grant (
    id text NOT NULL,
    organization_id text NOT NULL,
    subject_kind text NOT NULL,
    subject_id text NOT NULL,
    type text NOT NULL,
    details jsonb NOT NULL,
    scope text NOT NULL,
    granted_by jsonb NOT NULL,
    reason text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    consumed_at timestamp with time zone,
    revoked_at timestamp with time zone,
    last_used_at timestamp with time zone,
    CONSTRAINT permission_grant_scope_check CHECK ((scope = ANY (ARRAY['once'::text, 'session'::text, 'persistent'::text]))),
    CONSTRAINT permission_grant_subject_kind_check CHECK ((subject_kind = ANY (ARRAY['organization'::text, 'project'::text, 'job'::text])))
);
ALTER TABLE ONLY x1.permission_grant FORCE ROW LEVEL SECURITY;
ALTER TABLE x1.permission_grant OWNER TO x1_owner;
CREATE TABLE x1.project (
    id text NOT NULL,
    organization_id text NOT NULL,
    name text NOT NULL,
    repository text NOT NULL,
    settings jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    archived_at timestamp with time zone
);
ALTER TABLE ONLY x1.project FORCE ROW LEVEL SECURITY;
ALTER TABLE x1.project OWNER TO x1_owner;
CREATE TABLE x1.provider (
    organization_id text NOT NULL,
    name text NOT NULL,
    api text,
    base_url text,
    allow_private boolean DEFAULT false NOT NULL,
    ca text,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE ONLY x1.provider FORCE ROW LEVEL SECURITY;
ALTER TABLE x1.provider OWNER TO x1_owner;
CREATE TABLE x1.publication (
    id text NOT NULL,
    organization_id text NOT NULL,
    job_id text NOT NULL,
    approval_id text NOT NULL,
    repository text NOT NULL,
    branch text NOT NULL,
    commit text NOT NULL,
    url text,
    title text NOT NULL,
    body text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE ONLY x1.publication FORCE ROW LEVEL SECURITY;
ALTER TABLE x1.publication OWNER TO x1_owner;
CREATE TABLE x1.question (
    organization_id text NOT NULL,
    job_id text NOT NULL,
    attempt_id text NOT NULL,
    request_id text NOT NULL,
    title text NOT NULL,
    options jsonb NOT NULL,
    free_text boolean NOT NULL,
    asked_at timestamp with time zone DEFAULT now() NOT NULL,
    outcome text,
    closed_at timestamp with time zone
);
ALTER TABLE ONLY x1.question FORCE ROW LEVEL SECURITY;
ALTER TABLE x1.question OWNER TO x1_owner;
CREATE TABLE x1.secret (
    organization_id text NOT NULL,
    name text NOT NULL,
    sealed bytea NOT NULL,
    last_four text NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    last_used_at timestamp with time zone
);
ALTER TABLE ONLY x1.secret FORCE ROW LEVEL SECURITY;
ALTER TABLE x1.secret OWNER TO x1_owner;
CREATE TABLE x1.session (
    id text NOT NULL,
    "expiresAt" timestamp with time zone NOT NULL,
    token text NOT NULL,
    "createdAt" timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    "updatedAt" timestamp with time zone NOT NULL,
    "ipAddress" text,
    "userAgent" text,
    "userId" text NOT NULL,
    "activeOrganizationId" text
);
ALTER TABLE x1.session OWNER TO x1_owner;
CREATE TABLE x1."user" (
    id text NOT NULL,
    name text NOT NULL,
    email text NOT NULL,
    "emailVerified" boolean NOT NULL,
    image text,
    "createdAt" timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    "updatedAt" timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL
);
ALTER TABLE x1."user" OWNER TO x1_owner;
CREATE TABLE x1.verification (
    id text NOT NULL,
    identifier text NOT NULL,
    value text NOT NULL,
    "expiresAt" timestamp with time zone NOT NULL,
    "createdAt" timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    "updatedAt" timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL
);
ALTER TABLE x1.verification OWNER TO x1_owner;
INSERT INTO x1.agent_session VALUES ('att_1m7zcv79368f7r802r1e', 'org_1m7zcv6nc1dj9cyhmpfd', 'job_1m7zcv779043pf6z4rp9', 'mock', '7cf84c6d-6c2a-44c0-857c-b913d6b671a2', '63283e04a68d75eb40918baf8344aa82fe2e83fd34d82275d416bc816a304bcf', '2e342593a32a774bdc4c8d7b51879dcdbeb4864bf8c9594c610a99fce8a4f0d1', NULL, '2026-11-21 15:50:52.175109+00');
INSERT INTO x1.agent_session VALUES ('att_1m7zcvawx6589wa3jm9f', 'org_1m7zcv6nc1dj9cyhmpfd', 'job_1m7zcvav1a7y3fjxf614', 'mock', 'eb49f86b-7deb-4576-9d27-9f3567ce8611', 'f038d827ef5daf2ed1e152b3abcd8541d3ddd70c0a94703d405f8d25435fdbd2', 'c01e4330ecdce41aaece7a4e48132b3c4a4e3d6104e6ae3668f613a631c7da90', NULL, '2026-11-21 15:50:59.193642+00');
INSERT INTO x1.agent_session VALUES ('att_1m7zcvgwmfd12fv11f4s', 'org_1m7zcv6nc1dj9cyhmpfd', 'job_1m7zcvgvs4yjje8e5d8b', 'mock', '00f9f8e4-1ecd-4806-9d77-8a482afb19fc', '2016910e3a265ff7630d9cf7c5a1f828be9a380f1069633f378ef90b9e81ef26', NULL, NULL, '2026-11-21 15:51:01.796981+00');
INSERT INTO x1.apikey VALUES ('wNU4D3gl4lrR9U3L3pHjtaYFnMtkibrm', 'default', 'local', 'x1_pip', 'usr_1m7zcv6nc1dj9cyvnstk', 'x1_', 'V3zwnOwrYFlhPrueo5xzj2bcGuShtCBo_vADtRjbt4Y', NULL, NULL, NULL, true, false, 86400000, 10, 0, NULL, '2026-11-21 15:51:00.194+00', NULL, '2026-11-21 15:50:49.864+00', '2026-11-21 15:51:00.196+00', '{"x1":["read","write","approve","admin"]}', '{"organizationId":"org_1m7zcv6nc1dj9cyhmpfd"}');
INSERT INTO x1.approval VALUES ('apr_1m7zcvagw4wy82kbk2nq', 'org_1m7zcv6nc1dj9cyhmpfd', 'job_1m7zcv779043pf6z4rp9', 'evd_1m7zcva82ba1erxwpkyv', 'approve', '4e271f8db54d625e17545c2ef59f4b71e2b7911431716e431c8338d678525835', '{"id": "usr_1m7zcv6nc1dj9cyvnstk", "kind": "user"}', NULL, '2026-11-21 15:50:53.71997+00', '2026-11-21 15:50:53.902798+00', NULL);
INSERT INTO x1.attempt VALUES ('att_1m7zcv79368f7r802r1e', 'org_1m7zcv6nc1dj9cyhmpfd', 'job_1m7zcv779043pf6z4rp9', 1, 'ended', 'awaiting_approval', 'verification_passed', 'ws-1m7zcv7ez9e4sn0wwxb5', '{"facts": [{"by": "kernel", "name": "namespaces", "value": "user, pid, mount, network, ipc, uts"}, {"by": "kernel", "name": "root filesystem", "value": "allow-list, read-only"}, {"by": "kernel", "name": "seccomp", "value": "filter"}, {"by": "kernel", "name": "uid outside", "value": "one unassigned uid for each workspace"}, {"by": "watched", "name": "memory", "value": "summed twice a second"}, {"by": "kernel", "name": "processes", "value": "RLIMIT_NPROC"}, {"by": "watched", "name": "disk", "value": "measured, with a free-space reserve"}], "level": "namespaces", "mechanism": "bubblewrap"}', '2026-11-21 15:50:50.399773+00', '2026-11-21 15:50:53.695861+00');
INSERT INTO x1.attempt VALUES ('att_1m7zcvawx6589wa3jm9f', 'org_1m7zcv6nc1dj9cyhmpfd', 'job_1m7zcvav1a7y3fjxf614', 1, 'ended', 'awaiting_approval', 'rounds_exhausted', 'ws-1m7zcvb38abtz4np4ck8', '{"facts": [{"by": "kernel", "name": "namespaces", "value": "user, pid, mount, network, ipc, uts"}, {"by": "kernel", "name": "root filesystem", "value": "allow-list, read-only"}, {"by": "kernel", "name": "seccomp", "value": "filter"}, {"by": "kernel", "name": "uid outside", "value": "one unassigned uid for each workspace"}, {"by": "watched", "name": "memory", "value": "summed twice a second"}, {"by": "kernel", "name": "processes", "value": "RLIMIT_NPROC"}, {"by": "watched", "name": "disk", "value": "measured, with a free-space reserve"}], "level": "namespaces", "mechanism": "bubblewrap"}', '2026-11-21 15:50:54.108293+00', '2026-11-21 15:51:00.481794+00');
INSERT INTO x1.attempt VALUES ('att_1m7zcvgwmfd12fv11f4s', 'org_1m7zcv6nc1dj9cyhmpfd', 'job_1m7zcvgvs4yjje8e5d8b', 1, 'ended', 'no_changes', 'no_work_product', 'ws-1m7zcvh05a3f1dt7d5fy', '{"facts": [{"by": "kernel", "name": "namespaces", "value": "user, pid, mount, network, ipc, uts"}, {"by": "kernel", "name": "root filesystem", "value": "allow-list, read-only"}, {"by": "kernel", "name": "seccomp", "value": "filter"}, {"by": "kernel", "name": "uid outside", "value": "one unassigned uid for each workspace"}, {"by": "watched", "name": "memory", "value": "summed twice a second"}, {"by": "kernel", "name": "processes", "value": "RLIMIT_NPROC"}, {"by": "watched", "name": "disk", "value": "measured, with a free-space reserve"}], "level": "namespaces", "mechanism": "bubblewrap"}', '2026-11-21 15:51:00.243466+00', '2026-11-21 15:51:02.028292+00');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 1, '2026-11-21 15:50:49.874+00', '{"id": "x1", "kind": "platform"}', 'grant.created', 'grt_1m7zcv6rg3m9jpmanmxp', '{"type": "ai.anthropic", "details": {"pattern": "*"}}', '0000000000000000000000000000000000000000000000000000000000000000', '0caacf1296061d6663b641217efd376652562cc2e5bba3dee5842d5ba0fd4e7b');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 2, '2026-11-21 15:50:49.876+00', '{"id": "x1", "kind": "platform"}', 'grant.created', 'grt_1m7zcv6rk6htv2jb1are', '{"type": "ai.openai", "details": {"pattern": "*"}}', '0caacf1296061d6663b641217efd376652562cc2e5bba3dee5842d5ba0fd4e7b', '0501b39cdb34b93c5d4423802c83233a8131a68755fdc398544234b641743fe6');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 3, '2026-11-21 15:50:49.878+00', '{"id": "x1", "kind": "platform"}', 'grant.created', 'grt_1m7zcv6rn3hgs4bh0j71', '{"type": "repo.read", "details": {"pattern": "*"}}', '0501b39cdb34b93c5d4423802c83233a8131a68755fdc398544234b641743fe6', 'a9bfb6388136e49c03675d6a2cbc350973aaf46961fd171371a968a6002d48df');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 4, '2026-11-21 15:50:49.88+00', '{"id": "x1", "kind": "platform"}', 'grant.created', 'grt_1m7zcv6rq0x2tqd4cme7', '{"type": "egress", "details": {"ports": [443], "phases": ["setup"], "pattern": "npm.example.com"}}', 'a9bfb6388136e49c03675d6a2cbc350973aaf46961fd171371a968a6002d48df', 'ce3ace07ac6be559e71f5015ce4e145dd355005f395f8c52e0312fc713ca28bc');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 5, '2026-11-21 15:50:49.882+00', '{"id": "x1", "kind": "platform"}', 'grant.created', 'grt_1m7zcv6rsfx30nxxvnv9', '{"type": "egress", "details": {"ports": [443], "phases": ["setup"], "pattern": "pip.example.com"}}', 'ce3ace07ac6be559e71f5015ce4e145dd355005f395f8c52e0312fc713ca28bc', '98d282f409c65ccf14b3f7af0cc049b127ea49f7b0b4ca1175d078c0461eaf1b');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 6, '2026-11-21 15:50:49.883+00', '{"id": "x1", "kind": "platform"}', 'grant.created', 'grt_1m7zcv6rt1sd3bvb238k', '{"type": "egress", "details": {"ports": [443], "phases": ["setup"], "pattern": "files.example.com"}}', '98d282f409c65ccf14b3f7af0cc049b127ea49f7b0b4ca1175d078c0461eaf1b', 'afc74e36853c8b2819e9f8efc2b5c55f4f56cb249465e06d4eb76c7932a05824');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 7, '2026-11-21 15:50:49.885+00', '{"id": "x1", "kind": "platform"}', 'grant.created', 'grt_1m7zcv6rw4sq0711vxb8', '{"type": "egress", "details": {"ports": [443], "phases": ["setup"], "pattern": "index.example.com"}}', 'afc74e36853c8b2819e9f8efc2b5c55f4f56cb249465e06d4eb76c7932a05824', '63a2199ae6576e680ee7b05b77acadc73894dd590c96c745f8d9cdb119fc8f9d');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 8, '2026-11-21 15:50:49.887+00', '{"id": "x1", "kind": "platform"}', 'grant.created', 'grt_1m7zcv6ryd50mchnn50q', '{"type": "egress", "details": {"ports": [443], "phases": ["setup"], "pattern": "static.example.com"}}', '63a2199ae6576e680ee7b05b77acadc73894dd590c96c745f8d9cdb119fc8f9d', 'b36f89946efd8f13248b18ddb6c11b90566b6dc862449df0b6159e8d4d085a62');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 9, '2026-11-21 15:50:49.889+00', '{"id": "x1", "kind": "platform"}', 'grant.created', 'grt_1m7zcv6rza0st8s81ezf', '{"type": "egress", "details": {"ports": [443], "phases": ["setup"], "pattern": "crates.example.com"}}', 'b36f89946efd8f13248b18ddb6c11b90566b6dc862449df0b6159e8d4d085a62', '75adaca141fd7cb059da6ec67a877670b5efb41d4167f55a60e7af930a4e6318');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 10, '2026-11-21 15:50:49.893+00', '{"id": "x1", "kind": "platform"}', 'grant.created', 'grt_1m7zcv6s2apnv8d2czae', '{"type": "egress", "details": {"ports": [443], "phases": ["setup"], "pattern": "proxy.example.com"}}', '75adaca141fd7cb059da6ec67a877670b5efb41d4167f55a60e7af930a4e6318', '9b4fcc034b8739b88e3688b17a4f7fef185adfe47866df3405f8f9a37e547142');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 11, '2026-11-21 15:50:49.895+00', '{"id": "x1", "kind": "platform"}', 'grant.created', 'grt_1m7zcv6s6790ttkhzb60', '{"type": "egress", "details": {"ports": [443], "phases": ["setup"], "pattern": "sums.example.com"}}', '9b4fcc034b8739b88e3688b17a4f7fef185adfe47866df3405f8f9a37e547142', '5e2041d8989e6fe350548c3ce06c5b4be46ba97fbbf9ce8ce010f569cde1a02f');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 12, '2026-11-21 15:50:50.088+00', '{"id": "usr_1m7zcv6nc1dj9cyvnstk", "kind": "user"}', 'provider.set', 'anthropic', '{"baseUrl": "http://127.0.0.1:43593", "allowPrivate": true}', '5e2041d8989e6fe350548c3ce06c5b4be46ba97fbbf9ce8ce010f569cde1a02f', 'bae8b2cb8e17d1ae45603223e80b31a72c88014730ba0c3e922bf663fb35eaed');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 13, '2026-11-21 15:50:50.132+00', '{"id": "usr_1m7zcv6nc1dj9cyvnstk", "kind": "user"}', 'secret.set', 'anthropic', '{}', 'bae8b2cb8e17d1ae45603223e80b31a72c88014730ba0c3e922bf663fb35eaed', '6bc234baa6643409e62ad40c116727d8540daa3af32b0b4a4ff984d4bde429df');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 14, '2026-11-21 15:50:50.364+00', '{"id": "usr_1m7zcv6nc1dj9cyvnstk", "kind": "user"}', 'job.created', 'job_1m7zcv779043pf6z4rp9', '{"model": "claude-sonnet-4-5", "project": "prj_1m7zcv776bfsg63rbrhd", "runtime": "mock", "isolation": "namespaces", "budgetMicros": 5000000}', '6bc234baa6643409e62ad40c116727d8540daa3af32b0b4a4ff984d4bde429df', '0a00c82863548c65235f32a08dd0367d7d6c23ae11433755517808aa99a986b4');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 15, '2026-11-21 15:50:50.413+00', '{"id": "x1", "kind": "platform"}', 'job.moved', 'job_1m7zcv779043pf6z4rp9', '{"to": "provisioning", "from": "queued", "reason": "claimed"}', '0a00c82863548c65235f32a08dd0367d7d6c23ae11433755517808aa99a986b4', '083803e989a6c01880dd30e749f2e0829b77d06d3b9cc0870b13e9786498b04a');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 16, '2026-11-21 15:50:51.537+00', '{"id": "x1", "kind": "platform"}', 'job.moved', 'job_1m7zcv779043pf6z4rp9', '{"to": "running", "from": "provisioning", "reason": "workspace_ready"}', '083803e989a6c01880dd30e749f2e0829b77d06d3b9cc0870b13e9786498b04a', 'a41198e9ebb746af7fc3854eb722ac4f263f5aa6f68e0358a03c375d70b7cb95');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 17, '2026-11-21 15:50:51.835+00', '{"id": "x1", "kind": "platform"}', 'job.moved', 'job_1m7zcv779043pf6z4rp9', '{"to": "verifying", "from": "running", "reason": "turn_ended"}', 'a41198e9ebb746af7fc3854eb722ac4f263f5aa6f68e0358a03c375d70b7cb95', 'd8628ba1582047e7b231105e975a691783fffd47bae338846d9cfdb28e7c39e8');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 18, '2026-11-21 15:50:53.52+00', '{"id": "x1", "kind": "platform"}', 'job.moved', 'job_1m7zcv779043pf6z4rp9', '{"to": "awaiting_approval", "from": "verifying", "reason": "verification_passed"}', 'd8628ba1582047e7b231105e975a691783fffd47bae338846d9cfdb28e7c39e8', '9a2781f37c7f02133a2076c6e98ec6230a9b70ac9629aa822160bf96502f8a81');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 19, '2026-11-21 15:50:53.729+00', '{"id": "usr_1m7zcv6nc1dj9cyvnstk", "kind": "user"}', 'job.approve', 'job_1m7zcv779043pf6z4rp9', '{"digest": "4e271f8db54d625e17545c2ef59f4b71e2b7911431716e431c8338d678525835", "approval": "apr_1m7zcvagw4wy82kbk2nq", "evidence": "evd_1m7zcva82ba1erxwpkyv"}', '9a2781f37c7f02133a2076c6e98ec6230a9b70ac9629aa822160bf96502f8a81', '6ea7cca1a6807a69b3fbf9742bf598990c0d2a23a7dc4b14e511b9f8294f02b6');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 20, '2026-11-21 15:50:53.943+00', '{"id": "x1", "kind": "platform"}', 'job.moved', 'job_1m7zcv779043pf6z4rp9', '{"to": "succeeded", "from": "publishing", "reason": "published"}', '6ea7cca1a6807a69b3fbf9742bf598990c0d2a23a7dc4b14e511b9f8294f02b6', '562ff164c14b5e1913bb7523b7c3e57b6747549f39e27b1fca0baa5b0c653d86');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 26, '2026-11-21 15:50:56.526+00', '{"id": "x1", "kind": "platform"}', 'job.moved', 'job_1m7zcvav1a7y3fjxf614', '{"to": "verifying", "from": "running", "reason": "turn_ended"}', 'a122af568fae78720bc896f093752e9bf80c51fa603f325a9753ccd4c347fed1', 'fb75b9f768cd9b3f843f334b200fa9566ff13589f8169cc058aeeff5928d9bfa');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 21, '2026-11-21 15:50:54.083+00', '{"id": "usr_1m7zcv6nc1dj9cyvnstk", "kind": "user"}', 'job.created', 'job_1m7zcvav1a7y3fjxf614', '{"model": "claude-sonnet-4-5", "project": "prj_1m7zcv776bfsg63rbrhd", "runtime": "mock", "isolation": "namespaces", "budgetMicros": 5000000}', '562ff164c14b5e1913bb7523b7c3e57b6747549f39e27b1fca0baa5b0c653d86', '4c459a94dda80d991cec8092699b186f38cf1d46e7901188922454fe78040a9e');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 22, '2026-11-21 15:50:54.115+00', '{"id": "x1", "kind": "platform"}', 'job.moved', 'job_1m7zcvav1a7y3fjxf614', '{"to": "provisioning", "from": "queued", "reason": "claimed"}', '4c459a94dda80d991cec8092699b186f38cf1d46e7901188922454fe78040a9e', '6d7f58f43f663fc63140cf8e420bff2ea0e57843779c49760fb2059a856baf0d');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 23, '2026-11-21 15:50:55.108+00', '{"id": "x1", "kind": "platform"}', 'job.moved', 'job_1m7zcvav1a7y3fjxf614', '{"to": "running", "from": "provisioning", "reason": "workspace_ready"}', '6d7f58f43f663fc63140cf8e420bff2ea0e57843779c49760fb2059a856baf0d', 'c42a2d47f5eed658e715f86fa71fd3c97137261bfbb7015fc55246ebc4ca674a');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 24, '2026-11-21 15:50:55.355+00', '{"id": "x1", "kind": "platform"}', 'job.moved', 'job_1m7zcvav1a7y3fjxf614', '{"to": "verifying", "from": "running", "reason": "turn_ended"}', 'c42a2d47f5eed658e715f86fa71fd3c97137261bfbb7015fc55246ebc4ca674a', '6123f4a1fb3c13461538a155ba677ba4604eb467b454c9af1da3fbbc0a681060');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 25, '2026-11-21 15:50:56.31+00', '{"id": "x1", "kind": "platform"}', 'job.moved', 'job_1m7zcvav1a7y3fjxf614', '{"to": "running", "from": "verifying", "reason": "verification_failed"}', '6123f4a1fb3c13461538a155ba677ba4604eb467b454c9af1da3fbbc0a681060', 'a122af568fae78720bc896f093752e9bf80c51fa603f325a9753ccd4c347fed1');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 28, '2026-11-21 15:50:57.751+00', '{"id": "x1", "kind": "platform"}', 'job.moved', 'job_1m7zcvav1a7y3fjxf614', '{"to": "verifying", "from": "running", "reason": "turn_ended"}', 'f408173d335b9d0572429c9fcfc1a8fb85f02d1171077a14dd7e2bcba97298a8', '3f2955f1791b04439f1157194bd5d0dd8dbd4627b1337fdfb54533c5d6eb5480');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 29, '2026-11-21 15:50:58.779+00', '{"id": "x1", "kind": "platform"}', 'job.moved', 'job_1m7zcvav1a7y3fjxf614', '{"to": "running", "from": "verifying", "reason": "verification_failed"}', '3f2955f1791b04439f1157194bd5d0dd8dbd4627b1337fdfb54533c5d6eb5480', 'e6cab7fa926678f922a11abbe3379cca42b2a5a70a48cc19cecf14da40c92f63');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 30, '2026-11-21 15:50:58.978+00', '{"id": "x1", "kind": "platform"}', 'job.moved', 'job_1m7zcvav1a7y3fjxf614', '{"to": "verifying", "from": "running", "reason": "turn_ended"}', 'e6cab7fa926678f922a11abbe3379cca42b2a5a70a48cc19cecf14da40c92f63', '85bf28896f641b229ac0aa5f8c7ffdc7d5ffaf8453543ce6abd0960dc4b2d434');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 31, '2026-11-21 15:51:00.175+00', '{"id": "x1", "kind": "platform"}', 'job.moved', 'job_1m7zcvav1a7y3fjxf614', '{"to": "awaiting_approval", "from": "verifying", "reason": "rounds_exhausted"}', '85bf28896f641b229ac0aa5f8c7ffdc7d5ffaf8453543ce6abd0960dc4b2d434', 'ca8ed560cb1d60148c45a0a74e560b4b32f16ae6741cc70e6ca1d2bcc2a936cd');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 32, '2026-11-21 15:51:00.228+00', '{"id": "usr_1m7zcv6nc1dj9cyvnstk", "kind": "user"}', 'job.created', 'job_1m7zcvgvs4yjje8e5d8b', '{"model": "claude-sonnet-4-5", "project": "prj_1m7zcv776bfsg63rbrhd", "runtime": "mock", "isolation": "namespaces", "budgetMicros": 5000000}', 'ca8ed560cb1d60148c45a0a74e560b4b32f16ae6741cc70e6ca1d2bcc2a936cd', '5a69cf3259b350ec60507d463de994da20c129154a419752f637f3630e9f60a2');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 33, '2026-11-21 15:51:00.248+00', '{"id": "x1", "kind": "platform"}', 'job.moved', 'job_1m7zcvgvs4yjje8e5d8b', '{"to": "provisioning", "from": "queued", "reason": "claimed"}', '5a69cf3259b350ec60507d463de994da20c129154a419752f637f3630e9f60a2', '9c737bffee5e7c826a407cc6112ead49a89f11e3826ea1f2a12658e44640a4c7');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 34, '2026-11-21 15:51:00.98+00', '{"id": "x1", "kind": "platform"}', 'job.moved', 'job_1m7zcvgvs4yjje8e5d8b', '{"to": "running", "from": "provisioning", "reason": "workspace_ready"}', '9c737bffee5e7c826a407cc6112ead49a89f11e3826ea1f2a12658e44640a4c7', 'f291ee90e3101e38b5f97eba04eb0cdbd1b5e32eb7143c1dd670f0cc01aa1d07');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 35, '2026-11-21 15:51:01.288+00', '{"id": "x1", "kind": "platform"}', 'job.moved', 'job_1m7zcvgvs4yjje8e5d8b', '{"to": "verifying", "from": "running", "reason": "turn_ended"}', 'f291ee90e3101e38b5f97eba04eb0cdbd1b5e32eb7143c1dd670f0cc01aa1d07', '4e746f764cab93953dad196e7ff4996fea6e8736939225d332de06eab719976e');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 36, '2026-11-21 15:51:01.802+00', '{"id": "x1", "kind": "platform"}', 'job.moved', 'job_1m7zcvgvs4yjje8e5d8b', '{"to": "no_changes", "from": "verifying", "reason": "no_work_product"}', '4e746f764cab93953dad196e7ff4996fea6e8736939225d332de06eab719976e', '8e51c836993f2d38675880146fa81426b8d902a7e736a00b9cac328c41553c43');
INSERT INTO x1.audit VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 27, '2026-11-21 15:50:57.564+00', '{"id": "x1", "kind": "platform"}', 'job.moved', 'job_1m7zcvav1a7y3fjxf614', '{"to": "running", "from": "verifying", "reason": "verification_failed"}', 'fb75b9f768cd9b3f843f334b200fa9566ff13589f8169cc058aeeff5928d9bfa', 'f408173d335b9d0572429c9fcfc1a8fb85f02d1171077a14dd7e2bcba97298a8');
INSERT INTO x1.audit_head VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 36, '8e51c836993f2d38675880146fa81426b8d902a7e736a00b9cac328c41553c43');
INSERT INTO x1.budget VALUES ('bud_1m7zcv77c1sqhwbh508p', 'org_1m7zcv6nc1dj9cyhmpfd', 'job', 'job_1m7zcv779043pf6z4rp9', 'total', 5000000, '2026-11-21 15:50:50.340117+00');
INSERT INTO x1.budget VALUES ('bud_1m7zcvav5fvmyjezhcg1', 'org_1m7zcv6nc1dj9cyhmpfd', 'job', 'job_1m7zcvav1a7y3fjxf614', 'total', 5000000, '2026-11-21 15:50:54.039739+00');
INSERT INTO x1.budget VALUES ('bud_1m7zcvgvt68w4a9bq7qf', 'org_1m7zcv6nc1dj9cyhmpfd', 'job', 'job_1m7zcvgvs4yjje8e5d8b', 'total', 5000000, '2026-11-21 15:51:00.215565+00');
INSERT INTO x1.command VALUES ('cmd_1m7zcvagzbyg45r30ynd', 'org_1m7zcv6nc1dj9cyhmpfd', 'job_1m7zcv779043pf6z4rp9', 'apr_1m7zcvagw4wy82kbk2nq', 'decided', '{"comment": null, "decision": "approve"}', '{"id": "usr_1m7zcv6nc1dj9cyvnstk", "kind": "user"}', '2026-11-21 15:50:53.71997+00', NULL);
INSERT INTO x1.event VALUES ('job_1m7zcv779043pf6z4rp9', 1, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:50.356+00', 'job.state', 'observed', NULL, NULL, NULL, '{"to": "queued", "from": null, "actor": "user:usr_1m7zcv6nc1dj9cyvnstk", "reason": "created"}');
INSERT INTO x1.event VALUES ('job_1m7zcv779043pf6z4rp9', 2, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:50.412+00', 'job.state', 'observed', 'att_1m7zcv79368f7r802r1e', NULL, NULL, '{"to": "provisioning", "from": "queued", "actor": "platform:x1", "reason": "claimed"}');
INSERT INTO x1.event VALUES ('job_1m7zcv779043pf6z4rp9', 3, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:50.419+00', 'attempt.started', 'observed', 'att_1m7zcv79368f7r802r1e', NULL, NULL, '{"model": "claude-sonnet-4-5", "number": 1, "runtime": "mock", "attemptId": "att_1m7zcv79368f7r802r1e"}');
INSERT INTO x1.event VALUES ('job_1m7zcv779043pf6z4rp9', 4, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:50.422+00', 'phase.started', 'observed', 'att_1m7zcv79368f7r802r1e', NULL, NULL, '{"phase": "checkout"}');
INSERT INTO x1.event VALUES ('job_1m7zcv779043pf6z4rp9', 5, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:50.586+00', 'phase.ended', 'observed', 'att_1m7zcv79368f7r802r1e', NULL, NULL, '{"phase": "checkout", "outcome": "ok", "durationMs": 161}');
INSERT INTO x1.event VALUES ('job_1m7zcv779043pf6z4rp9', 6, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:50.872+00', 'phase.started', 'observed', 'att_1m7zcv79368f7r802r1e', NULL, NULL, '{"phase": "baseline"}');
INSERT INTO x1.event VALUES ('job_1m7zcv779043pf6z4rp9', 7, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:51.296+00', 'phase.ended', 'observed', 'att_1m7zcv79368f7r802r1e', NULL, NULL, '{"phase": "baseline", "outcome": "failed", "durationMs": 402}');
INSERT INTO x1.event VALUES ('job_1m7zcv779043pf6z4rp9', 8, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:51.536+00', 'job.state', 'observed', 'att_1m7zcv79368f7r802r1e', NULL, NULL, '{"to": "running", "from": "provisioning", "actor": "platform:x1", "reason": "workspace_ready"}');
INSERT INTO x1.event VALUES ('job_1m7zcv779043pf6z4rp9', 9, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:51.529+00', 'user.message', 'reported', 'att_1m7zcv79368f7r802r1e', NULL, '1795276251477-1', '{"id": "goal-att_1m7zcv79368f7r802r1e", "mode": "queue", "content": "Say something. [[edit add.mjs export const add = (a, b) => a + b;]]", "delivered": false}');
INSERT INTO x1.event VALUES ('job_1m7zcv779043pf6z4rp9', 10, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:51.624+00', 'session.init', 'reported', 'att_1m7zcv79368f7r802r1e', NULL, '1795276251477-2', '{"cwd": "/workspace", "model": "claude-sonnet-4-5", "resumed": false, "runtime": "mock", "version": "1.0.0", "sessionId": "7cf84c6d-6c2a-44c0-857c-b913d6b671a2"}');
INSERT INTO x1.event VALUES ('job_1m7zcv779043pf6z4rp9', 11, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:51.626+00', 'turn.started', 'reported', 'att_1m7zcv79368f7r802r1e', 1, '1795276251477-3', '{"turn": 1}');
INSERT INTO x1.event VALUES ('job_1m7zcv779043pf6z4rp9', 12, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:51.626+00', 'user.message', 'reported', 'att_1m7zcv79368f7r802r1e', 1, '1795276251477-4', '{"id": "goal-att_1m7zcv79368f7r802r1e", "mode": "queue", "content": "Say something. [[edit add.mjs export const add = (a, b) => a + b;]]", "delivered": true}');
INSERT INTO x1.event VALUES ('job_1m7zcv779043pf6z4rp9', 13, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:51.638+00', 'tool.started', 'reported', 'att_1m7zcv79368f7r802r1e', 1, '1795276251477-5', '{"kind": "edit", "title": "add.mjs", "status": "in_progress", "rawInput": {"path": "add.mjs"}, "locations": [{"path": "add.mjs"}], "toolCallId": "6e427eb0-fa36-4567-a24b-77e26c9cbf63"}');
INSERT INTO x1.event VALUES ('job_1m7zcv779043pf6z4rp9', 14, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:51.641+00', 'tool.ended', 'reported', 'att_1m7zcv79368f7r802r1e', 1, '1795276251477-6', '{"status": "completed", "content": [], "exitCode": null, "toolCallId": "6e427eb0-fa36-4567-a24b-77e26c9cbf63"}');
INSERT INTO x1.event VALUES ('job_1m7zcv779043pf6z4rp9', 15, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:51.794+00', 'turn.ended', 'reported', 'att_1m7zcv79368f7r802r1e', 1, '1795276251477-7', '{"turn": 1, "stopReason": "end_turn"}');
INSERT INTO x1.event VALUES ('job_1m7zcv779043pf6z4rp9', 16, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:51.794+00', 'session.idle', 'reported', 'att_1m7zcv79368f7r802r1e', 1, '1795276251477-8', '{}');
INSERT INTO x1.event VALUES ('job_1m7zcv779043pf6z4rp9', 17, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:51.832+00', 'job.state', 'observed', 'att_1m7zcv79368f7r802r1e', NULL, NULL, '{"to": "verifying", "from": "running", "actor": "platform:x1", "reason": "turn_ended"}');
INSERT INTO x1.event VALUES ('job_1m7zcv779043pf6z4rp9', 18, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:51.84+00', 'phase.started', 'observed', 'att_1m7zcv79368f7r802r1e', NULL, NULL, '{"phase": "collect", "round": 1}');
INSERT INTO x1.event VALUES ('job_1m7zcv779043pf6z4rp9', 19, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:53.124+00', 'evidence.collected', 'observed', 'att_1m7zcv79368f7r802r1e', NULL, NULL, '{"tree": "d59e9e3ea4bb49051ae614b6015c3dc6e5a2ef87", "files": 1, "named": [], "round": 1, "commit": "82fcce669835109290683a1bc7744820ef33af6f", "deletions": 1, "insertions": 1}');
INSERT INTO x1.event VALUES ('job_1m7zcv779043pf6z4rp9', 20, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:53.158+00', 'phase.ended', 'observed', 'att_1m7zcv79368f7r802r1e', NULL, NULL, '{"phase": "collect", "round": 1, "outcome": "ok", "durationMs": 1315}');
INSERT INTO x1.event VALUES ('job_1m7zcv779043pf6z4rp9', 21, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:53.16+00', 'phase.started', 'observed', 'att_1m7zcv79368f7r802r1e', NULL, NULL, '{"phase": "verify", "round": 1}');
INSERT INTO x1.event VALUES ('job_1m7zcv779043pf6z4rp9', 22, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:53.428+00', 'phase.ended', 'observed', 'att_1m7zcv79368f7r802r1e', NULL, NULL, '{"phase": "verify", "round": 1, "outcome": "ok", "durationMs": 266}');
INSERT INTO x1.event VALUES ('job_1m7zcv779043pf6z4rp9', 23, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:53.431+00', 'command.ended', 'observed', 'att_1m7zcv79368f7r802r1e', NULL, NULL, '{"phase": "verify", "signal": null, "command": "bash check.sh", "network": "none", "exitCode": 0, "timedOut": false, "durationMs": 88, "outputBlob": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "outputTail": "", "outputBytes": 0}');
INSERT INTO x1.event VALUES ('job_1m7zcv779043pf6z4rp9', 24, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:53.435+00', 'verification.ended', 'observed', 'att_1m7zcv79368f7r802r1e', NULL, NULL, '{"round": 1, "digest": "9ff80b191332ab0a29311218f419d6bf7867d6fbb27f24a62707bed0b72f5b6a", "passed": true, "summary": "`bash check.sh` ended with 0"}');
INSERT INTO x1.event VALUES ('job_1m7zcv779043pf6z4rp9', 25, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:53.518+00', 'job.state', 'observed', 'att_1m7zcv79368f7r802r1e', NULL, NULL, '{"to": "awaiting_approval", "from": "verifying", "actor": "platform:x1", "detail": "The project''s policy is that a person approves.", "reason": "verification_passed"}');
INSERT INTO x1.event VALUES ('job_1m7zcv779043pf6z4rp9', 26, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:53.697+00', 'attempt.ended', 'observed', 'att_1m7zcv79368f7r802r1e', NULL, NULL, '{"reason": "verification_passed", "outcome": "awaiting_approval", "attemptId": "att_1m7zcv79368f7r802r1e"}');
INSERT INTO x1.event VALUES ('job_1m7zcv779043pf6z4rp9', 27, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:53.725+00', 'approval.recorded', 'observed', 'att_1m7zcv79368f7r802r1e', NULL, NULL, '{"actor": "user:usr_1m7zcv6nc1dj9cyvnstk", "digest": "4e271f8db54d625e17545c2ef59f4b71e2b7911431716e431c8338d678525835", "decision": "approve", "approvalId": "apr_1m7zcvagw4wy82kbk2nq"}');
INSERT INTO x1.event VALUES ('job_1m7zcv779043pf6z4rp9', 28, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:53.725+00', 'job.state', 'observed', 'att_1m7zcv79368f7r802r1e', NULL, NULL, '{"to": "publishing", "from": "awaiting_approval", "actor": "user:usr_1m7zcv6nc1dj9cyvnstk", "reason": "approved_by_person"}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 1, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:54.07+00', 'job.state', 'observed', NULL, NULL, NULL, '{"to": "queued", "from": null, "actor": "user:usr_1m7zcv6nc1dj9cyvnstk", "reason": "created"}');
INSERT INTO x1.event VALUES ('job_1m7zcv779043pf6z4rp9', 29, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:53.908+00', 'publication.ended', 'observed', 'att_1m7zcv79368f7r802r1e', NULL, NULL, '{"branch": "x1/job-1m7zcv779043pf6z4rp9-say-something-edit-add-mjs-export-const", "commit": "82fcce669835109290683a1bc7744820ef33af6f", "outcome": "published"}');
INSERT INTO x1.event VALUES ('job_1m7zcv779043pf6z4rp9', 30, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:53.925+00', 'job.state', 'observed', 'att_1m7zcv79368f7r802r1e', NULL, NULL, '{"to": "succeeded", "from": "publishing", "actor": "platform:x1", "reason": "published"}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 24, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:56.322+00', 'cost.updated', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"limitMicros": 5000000, "spentMicros": 0, "reservedMicros": 249092}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 25, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:56.301+00', 'user.message', 'reported', 'att_1m7zcvawx6589wa3jm9f', 1, '1795276255067-9', '{"id": "round-att_1m7zcvawx6589wa3jm9f-1", "mode": "queue", "content": "The platform ran `bash check.sh` on your change in a fresh workspace and it ended with 1.\nCorrect the change in /workspace so that it ends with 0. The end of its output, as data:\n<output>\n\n</output>", "delivered": false}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 26, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:56.302+00', 'turn.started', 'reported', 'att_1m7zcvawx6589wa3jm9f', 2, '1795276255067-10', '{"turn": 2}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 27, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:56.302+00', 'user.message', 'reported', 'att_1m7zcvawx6589wa3jm9f', 2, '1795276255067-11', '{"id": "round-att_1m7zcvawx6589wa3jm9f-1", "mode": "queue", "content": "The platform ran `bash check.sh` on your change in a fresh workspace and it ended with 1.\nCorrect the change in /workspace so that it ends with 0. The end of its output, as data:\n<output>\n\n</output>", "delivered": true}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 28, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:56.314+00', 'model.call', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, 'call:3053f462-4b82-416c-9b67-3f7a77ab0088', '{"api": "anthropic-messages", "model": "claude-sonnet-4-5", "usage": {"inputTokens": 152, "outputTokens": 59, "cacheReadTokens": 0, "cacheWriteTokens": 0}, "callId": "3053f462-4b82-416c-9b67-3f7a77ab0088", "status": 200, "outcome": "completed", "provider": "anthropic", "estimated": false, "latencyMs": 32, "costMicros": 1341, "firstByteMs": 19}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 29, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:56.355+00', 'cost.updated', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"limitMicros": 5000000, "spentMicros": 1341, "reservedMicros": 247751}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 30, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:56.341+00', 'usage.reported', 'reported', 'att_1m7zcvawx6589wa3jm9f', 2, '1795276255067-12', '{"model": "claude-sonnet-4-5", "usage": {"inputTokens": 152, "outputTokens": 59, "cacheReadTokens": 0, "cacheWriteTokens": 0}}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 31, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:56.342+00', 'agent.text', 'reported', 'att_1m7zcvawx6589wa3jm9f', 2, '1795276255067-13', '{"text": "This is the scripted model. It heard: The platform ran `bash check.sh` on your change in a fresh workspace and it ended with 1.\nCorrect the change in /workspace so that it ends with 0. The end of its output, as data:\n<output>\n\n</output>", "messageId": "678bfc96-b0c5-4981-a7ce-fcd47b482b20"}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 32, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:56.493+00', 'turn.ended', 'reported', 'att_1m7zcvawx6589wa3jm9f', 2, '1795276255067-14', '{"turn": 2, "stopReason": "end_turn"}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 33, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:56.493+00', 'session.idle', 'reported', 'att_1m7zcvawx6589wa3jm9f', 2, '1795276255067-15', '{}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 34, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:56.525+00', 'job.state', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"to": "verifying", "from": "running", "actor": "platform:x1", "reason": "turn_ended"}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 35, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:56.53+00', 'phase.started', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"phase": "collect", "round": 2}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 36, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:57.237+00', 'evidence.collected', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"tree": "323063e36f7698411b5d6c9c09e980a01bbe3377", "files": 1, "named": [], "round": 2, "commit": "e12dd1a780afd6855d9b61a494455bd7ba876d2b", "deletions": 1, "insertions": 1}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 37, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:57.271+00', 'phase.ended', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"phase": "collect", "round": 2, "outcome": "ok", "durationMs": 733}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 38, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:57.283+00', 'phase.started', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"phase": "verify", "round": 2}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 39, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:57.55+00', 'phase.ended', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"phase": "verify", "round": 2, "outcome": "failed", "durationMs": 257}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 40, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:57.552+00', 'command.ended', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"phase": "verify", "signal": null, "command": "bash check.sh", "network": "none", "exitCode": 1, "timedOut": false, "durationMs": 109, "outputBlob": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "outputTail": "", "outputBytes": 0}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 41, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:57.554+00', 'verification.ended', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"round": 2, "digest": "e3e3b59c62fa069b2e239d94ed84f2083af75aed3ee71e781e3da0c024a37278", "passed": false, "summary": "`bash check.sh` ended with 1"}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 42, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:57.562+00', 'job.state', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"to": "running", "from": "verifying", "actor": "platform:x1", "reason": "verification_failed"}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 2, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:54.112+00', 'job.state', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"to": "provisioning", "from": "queued", "actor": "platform:x1", "reason": "claimed"}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 3, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:54.12+00', 'attempt.started', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"model": "claude-sonnet-4-5", "number": 1, "runtime": "mock", "attemptId": "att_1m7zcvawx6589wa3jm9f"}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 4, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:54.122+00', 'phase.started', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"phase": "checkout"}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 5, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:54.304+00', 'phase.ended', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"phase": "checkout", "outcome": "ok", "durationMs": 173}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 6, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:55.107+00', 'job.state', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"to": "running", "from": "provisioning", "actor": "platform:x1", "reason": "workspace_ready"}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 7, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:55.104+00', 'user.message', 'reported', 'att_1m7zcvawx6589wa3jm9f', NULL, '1795276255067-1', '{"id": "goal-att_1m7zcvawx6589wa3jm9f", "mode": "queue", "content": "[[edit add.mjs export const add = (a, b) => b + a;]]", "delivered": false}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 8, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:55.165+00', 'session.init', 'reported', 'att_1m7zcvawx6589wa3jm9f', NULL, '1795276255067-2', '{"cwd": "/workspace", "model": "claude-sonnet-4-5", "resumed": false, "runtime": "mock", "version": "1.0.0", "sessionId": "eb49f86b-7deb-4576-9d27-9f3567ce8611"}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 9, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:55.168+00', 'turn.started', 'reported', 'att_1m7zcvawx6589wa3jm9f', 1, '1795276255067-3', '{"turn": 1}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 10, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:55.168+00', 'user.message', 'reported', 'att_1m7zcvawx6589wa3jm9f', 1, '1795276255067-4', '{"id": "goal-att_1m7zcvawx6589wa3jm9f", "mode": "queue", "content": "[[edit add.mjs export const add = (a, b) => b + a;]]", "delivered": true}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 11, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:55.17+00', 'tool.started', 'reported', 'att_1m7zcvawx6589wa3jm9f', 1, '1795276255067-5', '{"kind": "edit", "title": "add.mjs", "status": "in_progress", "rawInput": {"path": "add.mjs"}, "locations": [{"path": "add.mjs"}], "toolCallId": "f9e917c3-6b51-4e3a-a705-398beeaa055c"}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 12, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:55.171+00', 'tool.ended', 'reported', 'att_1m7zcvawx6589wa3jm9f', 1, '1795276255067-6', '{"status": "completed", "content": [], "exitCode": null, "toolCallId": "f9e917c3-6b51-4e3a-a705-398beeaa055c"}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 13, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:55.322+00', 'turn.ended', 'reported', 'att_1m7zcvawx6589wa3jm9f', 1, '1795276255067-7', '{"turn": 1, "stopReason": "end_turn"}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 14, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:55.323+00', 'session.idle', 'reported', 'att_1m7zcvawx6589wa3jm9f', 1, '1795276255067-8', '{}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 15, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:55.354+00', 'job.state', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"to": "verifying", "from": "running", "actor": "platform:x1", "reason": "turn_ended"}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 16, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:55.36+00', 'phase.started', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"phase": "collect", "round": 1}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 17, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:56.086+00', 'evidence.collected', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"tree": "323063e36f7698411b5d6c9c09e980a01bbe3377", "files": 1, "named": [], "round": 1, "commit": "e12dd1a780afd6855d9b61a494455bd7ba876d2b", "deletions": 1, "insertions": 1}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 18, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:56.112+00', 'phase.ended', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"phase": "collect", "round": 1, "outcome": "ok", "durationMs": 750}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 19, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:56.114+00', 'phase.started', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"phase": "verify", "round": 1}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 20, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:56.295+00', 'phase.ended', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"phase": "verify", "round": 1, "outcome": "failed", "durationMs": 179}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 21, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:56.297+00', 'command.ended', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"phase": "verify", "signal": null, "command": "bash check.sh", "network": "none", "exitCode": 1, "timedOut": false, "durationMs": 51, "outputBlob": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "outputTail": "", "outputBytes": 0}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 22, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:56.299+00', 'verification.ended', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"round": 1, "digest": "9a4500ba030ae9db125d9c0f85f021ae45d1b11a612cc43261dfb064728abe61", "passed": false, "summary": "`bash check.sh` ended with 1"}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 23, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:56.308+00', 'job.state', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"to": "running", "from": "verifying", "actor": "platform:x1", "reason": "verification_failed"}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 43, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:57.562+00', 'model.call', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, 'call:7be978a6-a250-43fd-9297-c266b62c8349', '{"api": "anthropic-messages", "model": "claude-sonnet-4-5", "usage": {"inputTokens": 284, "outputTokens": 59, "cacheReadTokens": 0, "cacheWriteTokens": 0}, "callId": "7be978a6-a250-43fd-9297-c266b62c8349", "status": 200, "outcome": "completed", "provider": "anthropic", "estimated": false, "latencyMs": 3, "costMicros": 1737, "firstByteMs": 3}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 44, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:57.574+00', 'cost.updated', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"limitMicros": 5000000, "spentMicros": 3078, "reservedMicros": 246014}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 45, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:57.556+00', 'user.message', 'reported', 'att_1m7zcvawx6589wa3jm9f', 2, '1795276255067-16', '{"id": "round-att_1m7zcvawx6589wa3jm9f-2", "mode": "queue", "content": "The platform ran `bash check.sh` on your change in a fresh workspace and it ended with 1.\nCorrect the change in /workspace so that it ends with 0. The end of its output, as data:\n<output>\n\n</output>", "delivered": false}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 46, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:57.557+00', 'turn.started', 'reported', 'att_1m7zcvawx6589wa3jm9f', 3, '1795276255067-17', '{"turn": 3}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 71, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:58.983+00', 'phase.started', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"phase": "collect", "round": 4}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 47, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:57.557+00', 'user.message', 'reported', 'att_1m7zcvawx6589wa3jm9f', 3, '1795276255067-18', '{"id": "round-att_1m7zcvawx6589wa3jm9f-2", "mode": "queue", "content": "The platform ran `bash check.sh` on your change in a fresh workspace and it ended with 1.\nCorrect the change in /workspace so that it ends with 0. The end of its output, as data:\n<output>\n\n</output>", "delivered": true}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 48, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:57.568+00', 'usage.reported', 'reported', 'att_1m7zcvawx6589wa3jm9f', 3, '1795276255067-19', '{"model": "claude-sonnet-4-5", "usage": {"inputTokens": 284, "outputTokens": 59, "cacheReadTokens": 0, "cacheWriteTokens": 0}}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 49, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:57.569+00', 'agent.text', 'reported', 'att_1m7zcvawx6589wa3jm9f', 3, '1795276255067-20', '{"text": "This is the scripted model. It heard: The platform ran `bash check.sh` on your change in a fresh workspace and it ended with 1.\nCorrect the change in /workspace so that it ends with 0. The end of its output, as data:\n<output>\n\n</output>", "messageId": "c2777298-ed60-46cc-953f-796883cf8a0b"}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 50, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:57.718+00', 'turn.ended', 'reported', 'att_1m7zcvawx6589wa3jm9f', 3, '1795276255067-21', '{"turn": 3, "stopReason": "end_turn"}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 51, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:57.718+00', 'session.idle', 'reported', 'att_1m7zcvawx6589wa3jm9f', 3, '1795276255067-22', '{}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 52, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:57.75+00', 'job.state', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"to": "verifying", "from": "running", "actor": "platform:x1", "reason": "turn_ended"}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 53, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:57.754+00', 'phase.started', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"phase": "collect", "round": 3}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 54, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:58.514+00', 'evidence.collected', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"tree": "323063e36f7698411b5d6c9c09e980a01bbe3377", "files": 1, "named": [], "round": 3, "commit": "e12dd1a780afd6855d9b61a494455bd7ba876d2b", "deletions": 1, "insertions": 1}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 55, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:58.543+00', 'phase.ended', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"phase": "collect", "round": 3, "outcome": "ok", "durationMs": 787}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 56, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:58.551+00', 'phase.started', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"phase": "verify", "round": 3}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 57, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:58.77+00', 'phase.ended', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"phase": "verify", "round": 3, "outcome": "failed", "durationMs": 217}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 58, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:58.772+00', 'command.ended', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"phase": "verify", "signal": null, "command": "bash check.sh", "network": "none", "exitCode": 1, "timedOut": false, "durationMs": 58, "outputBlob": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "outputTail": "", "outputBytes": 0}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 59, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:58.773+00', 'verification.ended', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"round": 3, "digest": "42f8455b288691780714d65ef51f4aaf4b23350d75571781c31bce304a901bc8", "passed": false, "summary": "`bash check.sh` ended with 1"}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 60, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:58.778+00', 'job.state', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"to": "running", "from": "verifying", "actor": "platform:x1", "reason": "verification_failed"}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 61, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:58.78+00', 'model.call', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, 'call:0e3294ff-e018-4864-ab39-65819b0eb0a5', '{"api": "anthropic-messages", "model": "claude-sonnet-4-5", "usage": {"inputTokens": 417, "outputTokens": 59, "cacheReadTokens": 0, "cacheWriteTokens": 0}, "callId": "0e3294ff-e018-4864-ab39-65819b0eb0a5", "status": 200, "outcome": "completed", "provider": "anthropic", "estimated": false, "latencyMs": 8, "costMicros": 2136, "firstByteMs": 3}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 62, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:58.796+00', 'cost.updated', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"limitMicros": 5000000, "spentMicros": 5214, "reservedMicros": 243878}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 63, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:58.775+00', 'user.message', 'reported', 'att_1m7zcvawx6589wa3jm9f', 3, '1795276255067-23', '{"id": "round-att_1m7zcvawx6589wa3jm9f-3", "mode": "queue", "content": "The platform ran `bash check.sh` on your change in a fresh workspace and it ended with 1.\nCorrect the change in /workspace so that it ends with 0. The end of its output, as data:\n<output>\n\n</output>", "delivered": false}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 64, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:58.776+00', 'turn.started', 'reported', 'att_1m7zcvawx6589wa3jm9f', 4, '1795276255067-24', '{"turn": 4}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 65, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:58.776+00', 'user.message', 'reported', 'att_1m7zcvawx6589wa3jm9f', 4, '1795276255067-25', '{"id": "round-att_1m7zcvawx6589wa3jm9f-3", "mode": "queue", "content": "The platform ran `bash check.sh` on your change in a fresh workspace and it ended with 1.\nCorrect the change in /workspace so that it ends with 0. The end of its output, as data:\n<output>\n\n</output>", "delivered": true}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 66, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:58.79+00', 'usage.reported', 'reported', 'att_1m7zcvawx6589wa3jm9f', 4, '1795276255067-26', '{"model": "claude-sonnet-4-5", "usage": {"inputTokens": 417, "outputTokens": 59, "cacheReadTokens": 0, "cacheWriteTokens": 0}}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 67, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:58.791+00', 'agent.text', 'reported', 'att_1m7zcvawx6589wa3jm9f', 4, '1795276255067-27', '{"text": "This is the scripted model. It heard: The platform ran `bash check.sh` on your change in a fresh workspace and it ended with 1.\nCorrect the change in /workspace so that it ends with 0. The end of its output, as data:\n<output>\n\n</output>", "messageId": "499281ff-af34-426a-bea4-0544b127557a"}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 68, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:58.942+00', 'turn.ended', 'reported', 'att_1m7zcvawx6589wa3jm9f', 4, '1795276255067-28', '{"turn": 4, "stopReason": "end_turn"}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 69, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:58.942+00', 'session.idle', 'reported', 'att_1m7zcvawx6589wa3jm9f', 4, '1795276255067-29', '{}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 70, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:58.973+00', 'job.state', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"to": "verifying", "from": "running", "actor": "platform:x1", "reason": "turn_ended"}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 72, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:59.738+00', 'evidence.collected', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"tree": "323063e36f7698411b5d6c9c09e980a01bbe3377", "files": 1, "named": [], "round": 4, "commit": "e12dd1a780afd6855d9b61a494455bd7ba876d2b", "deletions": 1, "insertions": 1}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 73, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:59.815+00', 'phase.ended', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"phase": "collect", "round": 4, "outcome": "ok", "durationMs": 829}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 74, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:50:59.817+00', 'phase.started', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"phase": "verify", "round": 4}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 75, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:51:00.126+00', 'phase.ended', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"phase": "verify", "round": 4, "outcome": "failed", "durationMs": 307}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 76, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:51:00.128+00', 'command.ended', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"phase": "verify", "signal": null, "command": "bash check.sh", "network": "none", "exitCode": 1, "timedOut": false, "durationMs": 72, "outputBlob": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "outputTail": "", "outputBytes": 0}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 77, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:51:00.13+00', 'verification.ended', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"round": 4, "digest": "c6d84053aa3c014608b7681e601df71cf3fb99e634c7b2cc393bc8b89fc10666", "passed": false, "summary": "`bash check.sh` ended with 1"}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 78, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:51:00.174+00', 'job.state', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"to": "awaiting_approval", "from": "verifying", "actor": "platform:x1", "reason": "rounds_exhausted"}');
INSERT INTO x1.event VALUES ('job_1m7zcvgvs4yjje8e5d8b', 1, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:51:00.222+00', 'job.state', 'observed', NULL, NULL, NULL, '{"to": "queued", "from": null, "actor": "user:usr_1m7zcv6nc1dj9cyvnstk", "reason": "created"}');
INSERT INTO x1.event VALUES ('job_1m7zcvgvs4yjje8e5d8b', 2, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:51:00.246+00', 'job.state', 'observed', 'att_1m7zcvgwmfd12fv11f4s', NULL, NULL, '{"to": "provisioning", "from": "queued", "actor": "platform:x1", "reason": "claimed"}');
INSERT INTO x1.event VALUES ('job_1m7zcvgvs4yjje8e5d8b', 3, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:51:00.251+00', 'attempt.started', 'observed', 'att_1m7zcvgwmfd12fv11f4s', NULL, NULL, '{"model": "claude-sonnet-4-5", "number": 1, "runtime": "mock", "attemptId": "att_1m7zcvgwmfd12fv11f4s"}');
INSERT INTO x1.event VALUES ('job_1m7zcvgvs4yjje8e5d8b', 4, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:51:00.253+00', 'phase.started', 'observed', 'att_1m7zcvgwmfd12fv11f4s', NULL, NULL, '{"phase": "checkout"}');
INSERT INTO x1.event VALUES ('job_1m7zcvgvs4yjje8e5d8b', 5, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:51:00.354+00', 'phase.ended', 'observed', 'att_1m7zcvgwmfd12fv11f4s', NULL, NULL, '{"phase": "checkout", "outcome": "ok", "durationMs": 98}');
INSERT INTO x1.event VALUES ('job_1m7zcvav1a7y3fjxf614', 79, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:51:00.482+00', 'attempt.ended', 'observed', 'att_1m7zcvawx6589wa3jm9f', NULL, NULL, '{"reason": "rounds_exhausted", "outcome": "awaiting_approval", "attemptId": "att_1m7zcvawx6589wa3jm9f"}');
INSERT INTO x1.event VALUES ('job_1m7zcvgvs4yjje8e5d8b', 6, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:51:00.979+00', 'job.state', 'observed', 'att_1m7zcvgwmfd12fv11f4s', NULL, NULL, '{"to": "running", "from": "provisioning", "actor": "platform:x1", "reason": "workspace_ready"}');
INSERT INTO x1.event VALUES ('job_1m7zcvgvs4yjje8e5d8b', 7, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:51:00.975+00', 'user.message', 'reported', 'att_1m7zcvgwmfd12fv11f4s', NULL, '1795276260889-1', '{"id": "goal-att_1m7zcvgwmfd12fv11f4s", "mode": "queue", "content": "Say something.", "delivered": false}');
INSERT INTO x1.event VALUES ('job_1m7zcvgvs4yjje8e5d8b', 8, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:51:01.057+00', 'cost.updated', 'observed', 'att_1m7zcvgwmfd12fv11f4s', NULL, NULL, '{"limitMicros": 5000000, "spentMicros": 0, "reservedMicros": 244472}');
INSERT INTO x1.event VALUES ('job_1m7zcvgvs4yjje8e5d8b', 9, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:51:01.029+00', 'session.init', 'reported', 'att_1m7zcvgwmfd12fv11f4s', NULL, '1795276260889-2', '{"cwd": "/workspace", "model": "claude-sonnet-4-5", "resumed": false, "runtime": "mock", "version": "1.0.0", "sessionId": "00f9f8e4-1ecd-4806-9d77-8a482afb19fc"}');
INSERT INTO x1.event VALUES ('job_1m7zcvgvs4yjje8e5d8b', 10, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:51:01.033+00', 'turn.started', 'reported', 'att_1m7zcvgwmfd12fv11f4s', 1, '1795276260889-3', '{"turn": 1}');
INSERT INTO x1.event VALUES ('job_1m7zcvgvs4yjje8e5d8b', 11, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:51:01.033+00', 'user.message', 'reported', 'att_1m7zcvgwmfd12fv11f4s', 1, '1795276260889-4', '{"id": "goal-att_1m7zcvgwmfd12fv11f4s", "mode": "queue", "content": "Say something.", "delivered": true}');
INSERT INTO x1.event VALUES ('job_1m7zcvgvs4yjje8e5d8b', 12, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:51:01.049+00', 'model.call', 'observed', 'att_1m7zcvgwmfd12fv11f4s', NULL, 'call:94175a85-3324-49b2-b0cf-ddc47037ab48', '{"api": "anthropic-messages", "model": "claude-sonnet-4-5", "usage": {"inputTokens": 75, "outputTokens": 13, "cacheReadTokens": 0, "cacheWriteTokens": 0}, "callId": "94175a85-3324-49b2-b0cf-ddc47037ab48", "status": 200, "outcome": "completed", "provider": "anthropic", "estimated": false, "latencyMs": 31, "costMicros": 420, "firstByteMs": 19}');
INSERT INTO x1.event VALUES ('job_1m7zcvgvs4yjje8e5d8b', 13, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:51:01.088+00', 'cost.updated', 'observed', 'att_1m7zcvgwmfd12fv11f4s', NULL, NULL, '{"limitMicros": 5000000, "spentMicros": 420, "reservedMicros": 244052}');
INSERT INTO x1.event VALUES ('job_1m7zcvgvs4yjje8e5d8b', 14, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:51:01.096+00', 'usage.reported', 'reported', 'att_1m7zcvgwmfd12fv11f4s', 1, '1795276260889-5', '{"model": "claude-sonnet-4-5", "usage": {"inputTokens": 75, "outputTokens": 13, "cacheReadTokens": 0, "cacheWriteTokens": 0}}');
INSERT INTO x1.event VALUES ('job_1m7zcvgvs4yjje8e5d8b', 15, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:51:01.097+00', 'agent.text', 'reported', 'att_1m7zcvgwmfd12fv11f4s', 1, '1795276260889-6', '{"text": "This is the scripted model. It heard: Say something.", "messageId": "096e9a71-f7f7-46e9-8a1b-9be621f8b8ce"}');
INSERT INTO x1.event VALUES ('job_1m7zcvgvs4yjje8e5d8b', 16, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:51:01.25+00', 'turn.ended', 'reported', 'att_1m7zcvgwmfd12fv11f4s', 1, '1795276260889-7', '{"turn": 1, "stopReason": "end_turn"}');
INSERT INTO x1.event VALUES ('job_1m7zcvgvs4yjje8e5d8b', 17, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:51:01.25+00', 'session.idle', 'reported', 'att_1m7zcvgwmfd12fv11f4s', 1, '1795276260889-8', '{}');
INSERT INTO x1.event VALUES ('job_1m7zcvgvs4yjje8e5d8b', 18, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:51:01.287+00', 'job.state', 'observed', 'att_1m7zcvgwmfd12fv11f4s', NULL, NULL, '{"to": "verifying", "from": "running", "actor": "platform:x1", "reason": "turn_ended"}');
INSERT INTO x1.event VALUES ('job_1m7zcvgvs4yjje8e5d8b', 19, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:51:01.292+00', 'phase.started', 'observed', 'att_1m7zcvgwmfd12fv11f4s', NULL, NULL, '{"phase": "collect", "round": 1}');
INSERT INTO x1.event VALUES ('job_1m7zcvgvs4yjje8e5d8b', 20, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:51:01.798+00', 'phase.ended', 'observed', 'att_1m7zcvgwmfd12fv11f4s', NULL, NULL, '{"phase": "collect", "round": 1, "outcome": "ok", "durationMs": 504}');
INSERT INTO x1.event VALUES ('job_1m7zcvgvs4yjje8e5d8b', 21, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:51:01.801+00', 'job.state', 'observed', 'att_1m7zcvgwmfd12fv11f4s', NULL, NULL, '{"to": "no_changes", "from": "verifying", "actor": "platform:x1", "reason": "no_work_product"}');
INSERT INTO x1.event VALUES ('job_1m7zcvgvs4yjje8e5d8b', 22, 'org_1m7zcv6nc1dj9cyhmpfd', '2026-11-21 15:51:02.029+00', 'attempt.ended', 'observed', 'att_1m7zcvgwmfd12fv11f4s', NULL, NULL, '{"reason": "no_work_product", "outcome": "no_changes", "attemptId": "att_1m7zcvgwmfd12fv11f4s"}');
INSERT INTO x1.event_counter VALUES ('job_1m7zcvav1a7y3fjxf614', 'org_1m7zcv6nc1dj9cyhmpfd', 79, 9149, false);
INSERT INTO x1.event_counter VALUES ('job_1m7zcv779043pf6z4rp9', 'org_1m7zcv6nc1dj9cyhmpfd', 30, 2849, false);
INSERT INTO x1.event_counter VALUES ('job_1m7zcvgvs4yjje8e5d8b', 'org_1m7zcv6nc1dj9cyhmpfd', 22, 1827, false);
INSERT INTO x1.evidence VALUES ('evd_1m7zcva82ba1erxwpkyv', 'org_1m7zcv6nc1dj9cyhmpfd', 'job_1m7zcv779043pf6z4rp9', 'att_1m7zcv79368f7r802r1e', 1, '{"base": "03238b3b5645f24e122b3a0238f7e75df59d92ef", "tree": "d59e9e3ea4bb49051ae614b6015c3dc6e5a2ef87", "files": [{"path": "add.mjs", "flags": [], "binary": false, "status": "modified", "newMode": "100644", "oldMode": "100644", "deletions": 1, "insertions": 1}], "jobId": "job_1m7zcv779043pf6z4rp9", "named": [], "round": 1, "commit": "82fcce669835109290683a1bc7744820ef33af6f", "version": 1, "baseline": {"setup": null, "commit": "03238b3b5645f24e122b3a0238f7e75df59d92ef", "counts": null, "passed": false, "verify": {"signal": null, "command": "bash check.sh", "network": "none", "exitCode": 1, "timedOut": false, "durationMs": 139, "outputBlob": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "outputTail": "", "outputBytes": 0}, "withBaseTests": null}, "attemptId": "att_1m7zcv79368f7r802r1e", "deletions": 1, "costMicros": 0, "insertions": 1, "repository": "/srv/upgrade-sample/repository", "targetBranch": "x1/job-1m7zcv779043pf6z4rp9-say-something-edit-add-mjs-export-const", "verification": {"setup": null, "commit": "82fcce669835109290683a1bc7744820ef33af6f", "counts": null, "passed": true, "verify": {"signal": null, "command": "bash check.sh", "network": "none", "exitCode": 0, "timedOut": false, "durationMs": 88, "outputBlob": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "outputTail": "", "outputBytes": 0}, "withBaseTests": null}, "egressBlocked": [], "policyVersion": "384ee7f9331eb24379d8c11240b3315510159e4089b6ed88caf8d1ba79cc91c5", "organizationId": "org_1m7zcv6nc1dj9cyhmpfd"}', '116e656e15a4b85b4bd3077cc2c77364b6883b4a53bc3010be5549c64a4021c5', '4e271f8db54d625e17545c2ef59f4b71e2b7911431716e431c8338d678525835', '{"base": "03238b3b5645f24e122b3a0238f7e75df59d92ef", "tree": "d59e9e3ea4bb49051ae614b6015c3dc6e5a2ef87", "jobId": "job_1m7zcv779043pf6z4rp9", "commit": "82fcce669835109290683a1bc7744820ef33af6f", "version": 1, "attemptId": "att_1m7zcv79368f7r802r1e", "evidenceId": "evd_1m7zcva82ba1erxwpkyv", "repository": "/srv/upgrade-sample/repository", "expectedOld": null, "recordDigest": "116e656e15a4b85b4bd3077cc2c77364b6883b4a53bc3010be5549c64a4021c5", "targetBranch": "x1/job-1m7zcv779043pf6z4rp9-say-something-edit-add-mjs-export-const", "policyVersion": "384ee7f9331eb24379d8c11240b3315510159e4089b6ed88caf8d1ba79cc91c5", "organizationId": "org_1m7zcv6nc1dj9cyhmpfd", "pullRequestDigest": "90c6f3e4a49a4a43e3048b3ef2e508f7b1821438a54f389f4db0c0204b3ae396"}', '{"body": "## Evidence\n\n- job `job_1m7zcv779043pf6z4rp9`, round 1, base `03238b3b5645f24e122b3a0238f7e75df59d92ef`, commit `82fcce669835109290683a1bc7744820ef33af6f`\n- 1 files, +1 -1, cost $0.0000\n- `bash check.sh` ended with 0\n- before the change: `bash check.sh` ended with 1\n\nDigest of the evidence: `116e656e15a4b85b4bd3077cc2c77364b6883b4a53bc3010be5549c64a4021c5`", "title": "Say something. [[edit add.mjs export const add = (a, b) => a + b;]]"}', 'd2d69756005fe1fbd0ec372b74d66e4afe774df747a12b1d1adffdc2eab3f592', 'main', '2026-11-21 15:50:53.509765+00');
INSERT INTO x1.evidence VALUES ('evd_1m7zcvgs6453gwaa27e0', 'org_1m7zcv6nc1dj9cyhmpfd', 'job_1m7zcvav1a7y3fjxf614', 'att_1m7zcvawx6589wa3jm9f', 4, '{"base": "03238b3b5645f24e122b3a0238f7e75df59d92ef", "tree": "323063e36f7698411b5d6c9c09e980a01bbe3377", "files": [{"path": "add.mjs", "flags": [], "binary": false, "status": "modified", "newMode": "100644", "oldMode": "100644", "deletions": 1, "insertions": 1}], "jobId": "job_1m7zcvav1a7y3fjxf614", "named": [], "round": 4, "commit": "e12dd1a780afd6855d9b61a494455bd7ba876d2b", "version": 1, "baseline": {"setup": null, "commit": "03238b3b5645f24e122b3a0238f7e75df59d92ef", "counts": null, "passed": false, "verify": {"signal": null, "command": "bash check.sh", "network": "none", "exitCode": 1, "timedOut": false, "durationMs": 139, "outputBlob": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "outputTail": "", "outputBytes": 0}, "withBaseTests": null}, "attemptId": "att_1m7zcvawx6589wa3jm9f", "deletions": 1, "costMicros": 5214, "insertions": 1, "repository": "/srv/upgrade-sample/repository", "targetBranch": "x1/job-1m7zcvav1a7y3fjxf614-edit-add-mjs-export-const-add-a-b-b-a", "verification": {"setup": null, "commit": "e12dd1a780afd6855d9b61a494455bd7ba876d2b", "counts": null, "passed": false, "verify": {"signal": null, "command": "bash check.sh", "network": "none", "exitCode": 1, "timedOut": false, "durationMs": 72, "outputBlob": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "outputTail": "", "outputBytes": 0}, "withBaseTests": null}, "egressBlocked": [], "policyVersion": "384ee7f9331eb24379d8c11240b3315510159e4089b6ed88caf8d1ba79cc91c5", "organizationId": "org_1m7zcv6nc1dj9cyhmpfd"}', '5ac79df4f257b5252cdd2e0fb9062c23e53df8b74abf9a2410fc741898de8d8c', '73560c2e868065dc5f92c5f9b6912a3dbec1049e4347e3971e4b961f04b98a3d', '{"base": "03238b3b5645f24e122b3a0238f7e75df59d92ef", "tree": "323063e36f7698411b5d6c9c09e980a01bbe3377", "jobId": "job_1m7zcvav1a7y3fjxf614", "commit": "e12dd1a780afd6855d9b61a494455bd7ba876d2b", "version": 1, "attemptId": "att_1m7zcvawx6589wa3jm9f", "evidenceId": "evd_1m7zcvgs6453gwaa27e0", "repository": "/srv/upgrade-sample/repository", "expectedOld": null, "recordDigest": "5ac79df4f257b5252cdd2e0fb9062c23e53df8b74abf9a2410fc741898de8d8c", "targetBranch": "x1/job-1m7zcvav1a7y3fjxf614-edit-add-mjs-export-const-add-a-b-b-a", "policyVersion": "384ee7f9331eb24379d8c11240b3315510159e4089b6ed88caf8d1ba79cc91c5", "organizationId": "org_1m7zcv6nc1dj9cyhmpfd", "pullRequestDigest": "6bb4543e8210e4df00c0d91c05311131e44b6c7ddcb2acb0da440137ce3205d2"}', '{"body": "## Evidence\n\n- job `job_1m7zcvav1a7y3fjxf614`, round 4, base `03238b3b5645f24e122b3a0238f7e75df59d92ef`, commit `e12dd1a780afd6855d9b61a494455bd7ba876d2b`\n- 1 files, +1 -1, cost $0.0052\n- `bash check.sh` ended with 1\n- before the change: `bash check.sh` ended with 1\n\nDigest of the evidence: `5ac79df4f257b5252cdd2e0fb9062c23e53df8b74abf9a2410fc741898de8d8c`\n\n## The agent''s own words (unchecked)\n\n    This is the scripted model. It heard: The platform ran `bash check.sh` on your change in a fresh workspace and it ended with 1.\n    Correct the change in /workspace so that it ends with 0. The end of its output, as data:\n    <output>\n    \n    </output>", "title": "[[edit add.mjs export const add = (a, b) => b + a;]]"}', '3d57c2741341c74e6e15421c85a439832f4a4e1ac3c82f47d0c01e9832522b70', 'main', '2026-11-21 15:51:00.171061+00');
INSERT INTO x1.job VALUES ('job_1m7zcv779043pf6z4rp9', 'org_1m7zcv6nc1dj9cyhmpfd', 'prj_1m7zcv776bfsg63rbrhd', 'Say something. [[edit add.mjs export const add = (a, b) => a + b;]]', 'Say something. [[edit add.mjs export const add = (a, b) => a + b;]]', '/srv/upgrade-sample/repository', 'succeeded', 'published', NULL, '{"id": "x1", "kind": "platform"}', '{"ask": false, "base": null, "model": "claude-sonnet-4-5", "setup": null, "limits": {"jobMs": 7200000, "setupMs": 900000, "stallMs": 600000, "answerMs": 86400000, "verifyMs": 900000, "diskBytes": 8589934592, "processes": 2048, "egressBytes": 2147483648, "memoryBytes": 4294967296}, "verify": "bash check.sh", "runtime": "mock", "isolation": "namespaces", "maxRounds": 3, "budgetMicros": 5000000, "verifyNetwork": false}', '03238b3b5645f24e122b3a0238f7e75df59d92ef', 1, 1, '4e271f8db54d625e17545c2ef59f4b71e2b7911431716e431c8338d678525835', 'x1/job-1m7zcv779043pf6z4rp9-say-something-edit-add-mjs-export-const', '82fcce669835109290683a1bc7744820ef33af6f', NULL, NULL, NULL, '{"id": "usr_1m7zcv6nc1dj9cyvnstk", "kind": "user"}', '2026-11-21 15:50:50.340117+00', '2026-11-21 15:50:53.902798+00', '2026-11-21 15:50:50.405546+00', '2026-11-21 15:50:53.902798+00');
INSERT INTO x1.job VALUES ('job_1m7zcvav1a7y3fjxf614', 'org_1m7zcv6nc1dj9cyhmpfd', 'prj_1m7zcv776bfsg63rbrhd', '[[edit add.mjs export const add = (a, b) => b + a;]]', '[[edit add.mjs export const add = (a, b) => b + a;]]', '/srv/upgrade-sample/repository', 'awaiting_approval', 'rounds_exhausted', NULL, '{"id": "x1", "kind": "platform"}', '{"ask": false, "base": null, "model": "claude-sonnet-4-5", "setup": null, "limits": {"jobMs": 7200000, "setupMs": 900000, "stallMs": 600000, "answerMs": 86400000, "verifyMs": 900000, "diskBytes": 8589934592, "processes": 2048, "egressBytes": 2147483648, "memoryBytes": 4294967296}, "verify": "bash check.sh", "runtime": "mock", "isolation": "namespaces", "maxRounds": 3, "budgetMicros": 5000000, "verifyNetwork": false}', '03238b3b5645f24e122b3a0238f7e75df59d92ef', 1, 4, '73560c2e868065dc5f92c5f9b6912a3dbec1049e4347e3971e4b961f04b98a3d', 'x1/job-1m7zcvav1a7y3fjxf614-edit-add-mjs-export-const-add-a-b-b-a', NULL, NULL, NULL, NULL, '{"id": "usr_1m7zcv6nc1dj9cyvnstk", "kind": "user"}', '2026-11-21 15:50:54.039739+00', '2026-11-21 15:51:00.171061+00', '2026-11-21 15:50:54.110814+00', NULL);
INSERT INTO x1.job VALUES ('job_1m7zcvgvs4yjje8e5d8b', 'org_1m7zcv6nc1dj9cyhmpfd', 'prj_1m7zcv776bfsg63rbrhd', 'Say something.', 'Say something.', '/srv/upgrade-sample/repository', 'no_changes', 'no_work_product', NULL, '{"id": "x1", "kind": "platform"}', '{"ask": false, "base": null, "model": "claude-sonnet-4-5", "setup": null, "limits": {"jobMs": 7200000, "setupMs": 900000, "stallMs": 600000, "answerMs": 86400000, "verifyMs": 900000, "diskBytes": 8589934592, "processes": 2048, "egressBytes": 2147483648, "memoryBytes": 4294967296}, "verify": "bash check.sh", "runtime": "mock", "isolation": "namespaces", "maxRounds": 3, "budgetMicros": 5000000, "verifyNetwork": false}', '03238b3b5645f24e122b3a0238f7e75df59d92ef', 1, 1, NULL, 'x1/job-1m7zcvgvs4yjje8e5d8b-say-something', NULL, NULL, NULL, NULL, '{"id": "usr_1m7zcv6nc1dj9cyvnstk", "kind": "user"}', '2026-11-21 15:51:00.215565+00', '2026-11-21 15:51:01.799926+00', '2026-11-21 15:51:00.245371+00', '2026-11-21 15:51:01.799926+00');
INSERT INTO x1.job_move VALUES ('queued', 'provisioning');
INSERT INTO x1.job_move VALUES ('queued', 'cancelled');
INSERT INTO x1.job_move VALUES ('queued', 'failed');
INSERT INTO x1.job_move VALUES ('queued', 'timed_out');
INSERT INTO x1.job_move VALUES ('queued', 'budget_exceeded');
INSERT INTO x1.job_move VALUES ('queued', 'lost');
INSERT INTO x1.job_move VALUES ('provisioning', 'running');
INSERT INTO x1.job_move VALUES ('provisioning', 'queued');
INSERT INTO x1.job_move VALUES ('provisioning', 'failed');
INSERT INTO x1.job_move VALUES ('provisioning', 'cancelled');
INSERT INTO x1.job_move VALUES ('provisioning', 'timed_out');
INSERT INTO x1.job_move VALUES ('provisioning', 'budget_exceeded');
INSERT INTO x1.job_move VALUES ('provisioning', 'lost');
INSERT INTO x1.job_move VALUES ('running', 'awaiting_input');
INSERT INTO x1.job_move VALUES ('running', 'verifying');
INSERT INTO x1.job_move VALUES ('running', 'queued');
INSERT INTO x1.job_move VALUES ('running', 'no_changes');
INSERT INTO x1.job_move VALUES ('running', 'failed');
INSERT INTO x1.job_move VALUES ('running', 'cancelled');
INSERT INTO x1.job_move VALUES ('running', 'timed_out');
INSERT INTO x1.job_move VALUES ('running', 'budget_exceeded');
INSERT INTO x1.job_move VALUES ('running', 'lost');
INSERT INTO x1.job_move VALUES ('awaiting_input', 'running');
INSERT INTO x1.job_move VALUES ('awaiting_input', 'queued');
INSERT INTO x1.job_move VALUES ('awaiting_input', 'failed');
INSERT INTO x1.job_move VALUES ('awaiting_input', 'cancelled');
INSERT INTO x1.job_move VALUES ('awaiting_input', 'timed_out');
INSERT INTO x1.job_move VALUES ('awaiting_input', 'budget_exceeded');
INSERT INTO x1.job_move VALUES ('awaiting_input', 'lost');
INSERT INTO x1.job_move VALUES ('verifying', 'running');
INSERT INTO x1.job_move VALUES ('verifying', 'awaiting_approval');
INSERT INTO x1.job_move VALUES ('verifying', 'publishing');
INSERT INTO x1.job_move VALUES ('verifying', 'queued');
INSERT INTO x1.job_move VALUES ('verifying', 'no_changes');
INSERT INTO x1.job_move VALUES ('verifying', 'failed');
INSERT INTO x1.job_move VALUES ('verifying', 'cancelled');
INSERT INTO x1.job_move VALUES ('verifying', 'timed_out');
INSERT INTO x1.job_move VALUES ('verifying', 'budget_exceeded');
INSERT INTO x1.job_move VALUES ('verifying', 'lost');
INSERT INTO x1.job_move VALUES ('awaiting_approval', 'publishing');
INSERT INTO x1.job_move VALUES ('awaiting_approval', 'queued');
INSERT INTO x1.job_move VALUES ('awaiting_approval', 'rejected');
INSERT INTO x1.job_move VALUES ('awaiting_approval', 'failed');
INSERT INTO x1.job_move VALUES ('awaiting_approval', 'cancelled');
INSERT INTO x1.job_move VALUES ('awaiting_approval', 'timed_out');
INSERT INTO x1.job_move VALUES ('publishing', 'succeeded');
INSERT INTO x1.job_move VALUES ('publishing', 'awaiting_approval');
INSERT INTO x1.job_move VALUES ('publishing', 'failed');
INSERT INTO x1.job_move VALUES ('no_changes', 'queued');
INSERT INTO x1.job_move VALUES ('rejected', 'queued');
INSERT INTO x1.job_move VALUES ('failed', 'queued');
INSERT INTO x1.job_move VALUES ('cancelled', 'queued');
INSERT INTO x1.job_move VALUES ('timed_out', 'queued');
INSERT INTO x1.job_move VALUES ('budget_exceeded', 'queued');
INSERT INTO x1.job_move VALUES ('budget_exceeded', 'awaiting_approval');
INSERT INTO x1.job_move VALUES ('lost', 'queued');
INSERT INTO x1.lease VALUES ('lea_1m7zcvd1z7cexzxt4chc', 'org_1m7zcv6nc1dj9cyhmpfd', 'prj_1m7zcv776bfsg63rbrhd', 'usr_1m7zcv6nc1dj9cyvnstk', 'job_1m7zcvav1a7y3fjxf614', 'att_1m7zcvawx6589wa3jm9f', 'ws-1m7zcvb38abtz4np4ck8', 'aa9dda82-776c-42b3-9cbf-74b03dc285ec', 249092, 5214, 0, 'lost', '2026-11-21 16:05:58.79106+00', '2026-11-21 15:50:56.317446+00');
INSERT INTO x1.lease VALUES ('lea_1m7zcvhnzf9t3718f51s', 'org_1m7zcv6nc1dj9cyhmpfd', 'prj_1m7zcv776bfsg63rbrhd', 'usr_1m7zcv6nc1dj9cyvnstk', 'job_1m7zcvgvs4yjje8e5d8b', 'att_1m7zcvgwmfd12fv11f4s', 'ws-1m7zcvh05a3f1dt7d5fy', '7f238019-72ef-43eb-8158-87c1349d46c9', 244472, 420, 0, 'lost', '2026-11-21 16:06:01.083354+00', '2026-11-21 15:51:01.052414+00');
INSERT INTO x1.member VALUES ('mem_1m7zcv6ng7rxq9d4vsp0', 'org_1m7zcv6nc1dj9cyhmpfd', 'usr_1m7zcv6nc1dj9cyvnstk', 'owner', '2026-11-21 15:50:49.770305+00');
INSERT INTO x1.migration VALUES ('identity-001', 'b06101669f186d2b7cf80a172473bcca0acb29aeb094ac0d17c318944ba27cce', '2026-11-21 15:50:49.088571+00');
INSERT INTO x1.migration VALUES ('projects-001', 'e79950ef4683d05826968f2324c927557b129c3fdf126e2d4e7c07cea65849fa', '2026-11-21 15:50:49.088571+00');
INSERT INTO x1.migration VALUES ('jobs-001', 'd4dab89b2e79837efe92d84a64a696dfff2ae5f5a49e9e915f3a638d322ceac0', '2026-11-21 15:50:49.088571+00');
INSERT INTO x1.migration VALUES ('sessions-001', 'e2c17a88f320dfa1f9d25db28973fb44c7ede3c81ef5c71b7bcf2ca4e749c714', '2026-11-21 15:50:49.088571+00');
INSERT INTO x1.migration VALUES ('sessions-002', '048ad26b9c725f6dad85942bca7103446be95781971aa9c28b3ce05b688ba42c', '2026-11-21 15:50:49.088571+00');
INSERT INTO x1.migration VALUES ('permissions-001', 'ced0b676ce75e6c7ff397fae544d7cf7e767a30b0f1f8de6d59e5b57c19e0ef6', '2026-11-21 15:50:49.088571+00');
INSERT INTO x1.migration VALUES ('budgets-001', 'a31e9818448f04cb16ebe392269c24d1ac7fb0a2b2e4450884d59a4bd166eb68', '2026-11-21 15:50:49.088571+00');
INSERT INTO x1.migration VALUES ('budgets-002', '6d53a834f40b0a7357b999d0c6820a8e7a7b908360f7f70d13816bf2da6e0b14', '2026-11-21 15:50:49.088571+00');
INSERT INTO x1.migration VALUES ('audit-001', '095a31d368d85c11fc68efb8352b2fe74b0a7d3f03da30badd12951721d4b24b', '2026-11-21 15:50:49.088571+00');
INSERT INTO x1.migration VALUES ('approvals-001', '048889358ec0e5f5da2ceb1017ea7c535ebb93ccd0597253ed22d25a0cf77c30', '2026-11-21 15:50:49.088571+00');
INSERT INTO x1.migration VALUES ('secrets-001', '62d92915a491e8ac80d1d937d4bf746029b03bf1349b7e5806f014659c229999', '2026-11-21 15:50:49.088571+00');
INSERT INTO x1.model_call VALUES ('3053f462-4b82-416c-9b67-3f7a77ab0088', 'org_1m7zcv6nc1dj9cyhmpfd', 'prj_1m7zcv776bfsg63rbrhd', 'usr_1m7zcv6nc1dj9cyvnstk', 'job_1m7zcvav1a7y3fjxf614', 'att_1m7zcvawx6589wa3jm9f', 'lea_1m7zcvd1z7cexzxt4chc', 'anthropic', 'anthropic-messages', 'claude-sonnet-4-5', NULL, 152, 59, 0, 0, 1341, false, 'completed', 200, 32, 19, 'grt_1m7zcv6rg3m9jpmanmxp', '2026-11-21 15:50:56.352067+00');
INSERT INTO x1.model_call VALUES ('7be978a6-a250-43fd-9297-c266b62c8349', 'org_1m7zcv6nc1dj9cyhmpfd', 'prj_1m7zcv776bfsg63rbrhd', 'usr_1m7zcv6nc1dj9cyvnstk', 'job_1m7zcvav1a7y3fjxf614', 'att_1m7zcvawx6589wa3jm9f', 'lea_1m7zcvd1z7cexzxt4chc', 'anthropic', 'anthropic-messages', 'claude-sonnet-4-5', NULL, 284, 59, 0, 0, 1737, false, 'completed', 200, 3, 3, 'grt_1m7zcv6rg3m9jpmanmxp', '2026-11-21 15:50:57.569452+00');
INSERT INTO x1.model_call VALUES ('0e3294ff-e018-4864-ab39-65819b0eb0a5', 'org_1m7zcv6nc1dj9cyhmpfd', 'prj_1m7zcv776bfsg63rbrhd', 'usr_1m7zcv6nc1dj9cyvnstk', 'job_1m7zcvav1a7y3fjxf614', 'att_1m7zcvawx6589wa3jm9f', 'lea_1m7zcvd1z7cexzxt4chc', 'anthropic', 'anthropic-messages', 'claude-sonnet-4-5', NULL, 417, 59, 0, 0, 2136, false, 'completed', 200, 8, 3, 'grt_1m7zcv6rg3m9jpmanmxp', '2026-11-21 15:50:58.79106+00');
INSERT INTO x1.model_call VALUES ('94175a85-3324-49b2-b0cf-ddc47037ab48', 'org_1m7zcv6nc1dj9cyhmpfd', 'prj_1m7zcv776bfsg63rbrhd', 'usr_1m7zcv6nc1dj9cyvnstk', 'job_1m7zcvgvs4yjje8e5d8b', 'att_1m7zcvgwmfd12fv11f4s', 'lea_1m7zcvhnzf9t3718f51s', 'anthropic', 'anthropic-messages', 'claude-sonnet-4-5', NULL, 75, 13, 0, 0, 420, false, 'completed', 200, 31, 19, 'grt_1m7zcv6rg3m9jpmanmxp', '2026-11-21 15:51:01.083354+00');
INSERT INTO x1.organization VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 'My organization', 'main', NULL, '2026-11-21 15:50:49.770305+00', NULL);
INSERT INTO x1.permission_grant VALUES ('grt_1m7zcv6rk6htv2jb1are', 'org_1m7zcv6nc1dj9cyhmpfd', 'organization', 'org_1m7zcv6nc1dj9cyhmpfd', 'ai.openai', '{"pattern": "*"}', 'persistent', '{"id": "x1", "kind": "platform"}', 'Every model, within the budget', '2026-11-21 15:50:49.870587+00', NULL, NULL, NULL);
INSERT INTO x1.permission_grant VALUES ('grt_1m7zcv6rn3hgs4bh0j71', 'org_1m7zcv6nc1dj9cyhmpfd', 'organization', 'org_1m7zcv6nc1dj9cyhmpfd', 'repo.read', '{"pattern": "*"}', 'persistent', '{"id": "x1", "kind": "platform"}', 'Reading the job''s own repository', '2026-11-21 15:50:49.870587+00', NULL, NULL, NULL);
INSERT INTO x1.permission_grant VALUES ('grt_1m7zcv6rq0x2tqd4cme7', 'org_1m7zcv6nc1dj9cyhmpfd', 'organization', 'org_1m7zcv6nc1dj9cyhmpfd', 'egress', '{"ports": [443], "phases": ["setup"], "pattern": "npm.example.com"}', 'persistent', '{"id": "x1", "kind": "platform"}', 'Packages for npm', '2026-11-21 15:50:49.870587+00', NULL, NULL, NULL);
INSERT INTO x1.permission_grant VALUES ('grt_1m7zcv6rsfx30nxxvnv9', 'org_1m7zcv6nc1dj9cyhmpfd', 'organization', 'org_1m7zcv6nc1dj9cyhmpfd', 'egress', '{"ports": [443], "phases": ["setup"], "pattern": "pip.example.com"}', 'persistent', '{"id": "x1", "kind": "platform"}', 'Packages for pip', '2026-11-21 15:50:49.870587+00', NULL, NULL, NULL);
INSERT INTO x1.permission_grant VALUES ('grt_1m7zcv6rt1sd3bvb238k', 'org_1m7zcv6nc1dj9cyhmpfd', 'organization', 'org_1m7zcv6nc1dj9cyhmpfd', 'egress', '{"ports": [443], "phases": ["setup"], "pattern": "files.example.com"}', 'persistent', '{"id": "x1", "kind": "platform"}', 'Packages for pip', '2026-11-21 15:50:49.870587+00', NULL, NULL, NULL);
INSERT INTO x1.permission_grant VALUES ('grt_1m7zcv6rw4sq0711vxb8', 'org_1m7zcv6nc1dj9cyhmpfd', 'organization', 'org_1m7zcv6nc1dj9cyhmpfd', 'egress', '{"ports": [443], "phases": ["setup"], "pattern": "index.example.com"}', 'persistent', '{"id": "x1", "kind": "platform"}', 'Packages for cargo', '2026-11-21 15:50:49.870587+00', NULL, NULL, NULL);
INSERT INTO x1.permission_grant VALUES ('grt_1m7zcv6ryd50mchnn50q', 'org_1m7zcv6nc1dj9cyhmpfd', 'organization', 'org_1m7zcv6nc1dj9cyhmpfd', 'egress', '{"ports": [443], "phases": ["setup"], "pattern": "static.example.com"}', 'persistent', '{"id": "x1", "kind": "platform"}', 'Packages for cargo', '2026-11-21 15:50:49.870587+00', NULL, NULL, NULL);
INSERT INTO x1.permission_grant VALUES ('grt_1m7zcv6rza0st8s81ezf', 'org_1m7zcv6nc1dj9cyhmpfd', 'organization', 'org_1m7zcv6nc1dj9cyhmpfd', 'egress', '{"ports": [443], "phases": ["setup"], "pattern": "crates.example.com"}', 'persistent', '{"id": "x1", "kind": "platform"}', 'Packages for cargo', '2026-11-21 15:50:49.870587+00', NULL, NULL, NULL);
INSERT INTO x1.permission_grant VALUES ('grt_1m7zcv6s2apnv8d2czae', 'org_1m7zcv6nc1dj9cyhmpfd', 'organization', 'org_1m7zcv6nc1dj9cyhmpfd', 'egress', '{"ports": [443], "phases": ["setup"], "pattern": "proxy.example.com"}', 'persistent', '{"id": "x1", "kind": "platform"}', 'Packages for go', '2026-11-21 15:50:49.870587+00', NULL, NULL, NULL);
INSERT INTO x1.permission_grant VALUES ('grt_1m7zcv6s6790ttkhzb60', 'org_1m7zcv6nc1dj9cyhmpfd', 'organization', 'org_1m7zcv6nc1dj9cyhmpfd', 'egress', '{"ports": [443], "phases": ["setup"], "pattern": "sums.example.com"}', 'persistent', '{"id": "x1", "kind": "platform"}', 'Packages for go', '2026-11-21 15:50:49.870587+00', NULL, NULL, NULL);
INSERT INTO x1.permission_grant VALUES ('grt_1m7zcv6rg3m9jpmanmxp', 'org_1m7zcv6nc1dj9cyhmpfd', 'organization', 'org_1m7zcv6nc1dj9cyhmpfd', 'ai.anthropic', '{"pattern": "*"}', 'persistent', '{"id": "x1", "kind": "platform"}', 'Every model, within the budget', '2026-11-21 15:50:49.870587+00', NULL, NULL, '2026-11-21 15:51:01.083354+00');
INSERT INTO x1.project VALUES ('prj_1m7zcv776bfsg63rbrhd', 'org_1m7zcv6nc1dj9cyhmpfd', 'repository', '/srv/upgrade-sample/repository', '{"model": null, "setup": null, "limits": {"jobMs": 7200000, "setupMs": 900000, "stallMs": 600000, "answerMs": 86400000, "verifyMs": 900000, "diskBytes": 8589934592, "processes": 2048, "egressBytes": 2147483648, "memoryBytes": 4294967296}, "verify": null, "runtime": null, "approval": {"mode": "person", "paths": ["**"], "maxFiles": 20, "maxLines": 400, "maxCostMicros": 5000000}, "maxRounds": 3, "minIsolation": "namespaces", "defaultBranch": null, "verifyNetwork": false}', '2026-11-21 15:50:50.340117+00', NULL);
INSERT INTO x1.provider VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 'anthropic', NULL, 'http://127.0.0.1:43593', true, NULL, '2026-11-21 15:50:50.077631+00');
INSERT INTO x1.publication VALUES ('pub_1m7zcvapjcs2gj2b3qs4', 'org_1m7zcv6nc1dj9cyhmpfd', 'job_1m7zcv779043pf6z4rp9', 'apr_1m7zcvagw4wy82kbk2nq', '/srv/upgrade-sample/repository', 'x1/job-1m7zcv779043pf6z4rp9-say-something-edit-add-mjs-export-const', '82fcce669835109290683a1bc7744820ef33af6f', NULL, 'Say something. [[edit add.mjs export const add = (a, b) => a + b;]]', '## Evidence
- job `job_1m7zcv779043pf6z4rp9`, round 1, base `03238b3b5645f24e122b3a0238f7e75df59d92ef`, commit `82fcce669835109290683a1bc7744820ef33af6f`
- 1 files, +1 -1, cost $0.0000
- `bash check.sh` ended with 0
- before the change: `bash check.sh` ended with 1
Digest of the evidence: `116e656e15a4b85b4bd3077cc2c77364b6883b4a53bc3010be5549c64a4021c5`', '2026-11-21 15:50:53.902798+00');
INSERT INTO x1.secret VALUES ('org_1m7zcv6nc1dj9cyhmpfd', 'anthropic', '\x015a252ce05dcb72b0b806ae7d06a70210ef65807007d828b6aeacae4baefafd2542d972d28ef2f29c2e76c89f43f6678c3b3424dbbfcfe9533c2edc911effd300dc0b4247186237f2eba9a2af861e99868e639bc6784b2a0f9ea4875dfc5761686947f79149ef40db8fbc', '-key', '2026-11-21 15:50:50.114237+00', '2026-11-21 15:51:00.358147+00');
INSERT INTO x1."user" VALUES ('usr_1m7zcv6nc1dj9cyvnstk', 'Owner', 'owner@localhost', true, NULL, '2026-11-21 15:50:49.770305+00', '2026-11-21 15:50:49.770305+00');
ALTER TABLE ONLY x1.account
    ADD CONSTRAINT account_pkey PRIMARY KEY (id);
ALTER TABLE ONLY x1.agent_session
    ADD CONSTRAINT agent_session_pkey PRIMARY KEY (attempt_id);
ALTER TABLE ONLY x1.apikey
    ADD CONSTRAINT apikey_pkey PRIMARY KEY (id);
ALTER TABLE ONLY x1.approval
    ADD CONSTRAINT approval_pkey PRIMARY KEY (id);
ALTER TABLE ONLY x1.attempt
    ADD CONSTRAINT attempt_job_id_number_key UNIQUE (job_id, number);
ALTER TABLE ONLY x1.attempt
    ADD CONSTRAINT attempt_pkey PRIMARY KEY (id);
ALTER TABLE ONLY x1.audit_head
    ADD CONSTRAINT audit_head_pkey PRIMARY KEY (organization_id);
ALTER TABLE ONLY x1.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (organization_id, seq);
ALTER TABLE ONLY x1.budget
    ADD CONSTRAINT budget_organization_id_scope_kind_scope_id_period_key UNIQUE (organization_id, scope_kind, scope_id, period);
ALTER TABLE ONLY x1.budget
    ADD CONSTRAINT budget_pkey PRIMARY KEY (id);
ALTER TABLE ONLY x1.command
    ADD CONSTRAINT command_job_id_kind_dedupe_key UNIQUE (job_id, kind, dedupe);
ALTER TABLE ONLY x1.command
    ADD CONSTRAINT command_pkey PRIMARY KEY (id);
ALTER TABLE ONLY x1.event_counter
    ADD CONSTRAINT event_counter_pkey PRIMARY KEY (job_id);
ALTER TABLE ONLY x1.event
    ADD CONSTRAINT event_pkey PRIMARY KEY (job_id, seq);
ALTER TABLE ONLY x1.evidence
    ADD CONSTRAINT evidence_pkey PRIMARY KEY (id);
ALTER TABLE ONLY x1.idempotency
    ADD CONSTRAINT idempotency_pkey PRIMARY KEY (organization_id, key);
ALTER TABLE ONLY x1.invitation
    ADD CONSTRAINT invitation_pkey PRIMARY KEY (id);
ALTER TABLE ONLY x1.job_move
    ADD CONSTRAINT job_move_pkey PRIMARY KEY (from_state, to_state);
ALTER TABLE ONLY x1.job
    ADD CONSTRAINT job_pkey PRIMARY KEY (id);
ALTER TABLE ONLY x1.lease
    ADD CONSTRAINT lease_pkey PRIMARY KEY (id);
ALTER TABLE ONLY x1.lease
    ADD CONSTRAINT lease_workspace_id_request_id_key UNIQUE (workspace_id, request_id);
ALTER TABLE ONLY x1.member
    ADD CONSTRAINT member_pkey PRIMARY KEY (id);
ALTER TABLE ONLY x1.migration
    ADD CONSTRAINT migration_pkey PRIMARY KEY (name);
ALTER TABLE ONLY x1.model_call
    ADD CONSTRAINT model_call_pkey PRIMARY KEY (call_id);
ALTER TABLE ONLY x1.organization
    ADD CONSTRAINT organization_pkey PRIMARY KEY (id);
ALTER TABLE ONLY x1.organization
    ADD CONSTRAINT organization_slug_key UNIQUE (slug);
ALTER TABLE ONLY x1.permission_grant
    ADD CONSTRAINT permission_grant_pkey PRIMARY KEY (id);
ALTER TABLE ONLY x1.project
    ADD CONSTRAINT project_organization_id_repository_key UNIQUE (organization_id, repository);
ALTER TABLE ONLY x1.project
    ADD CONSTRAINT project_pkey PRIMARY KEY (id);
ALTER TABLE ONLY x1.provider
    ADD CONSTRAINT provider_pkey PRIMARY KEY (organization_id, name);
ALTER TABLE ONLY x1.publication
    ADD CONSTRAINT publication_approval_id_key UNIQUE (approval_id);
ALTER TABLE ONLY x1.publication
    ADD CONSTRAINT publication_pkey PRIMARY KEY (id);
ALTER TABLE ONLY x1.question
    ADD CONSTRAINT question_pkey PRIMARY KEY (attempt_id, request_id);
ALTER TABLE ONLY x1.secret
    ADD CONSTRAINT secret_pkey PRIMARY KEY (organization_id, name);
ALTER TABLE ONLY x1.session
    ADD CONSTRAINT session_pkey PRIMARY KEY (id);
ALTER TABLE ONLY x1.session
    ADD CONSTRAINT session_token_key UNIQUE (token);
ALTER TABLE ONLY x1."user"
    ADD CONSTRAINT user_email_key UNIQUE (email);
ALTER TABLE ONLY x1."user"
    ADD CONSTRAINT user_pkey PRIMARY KEY (id);
ALTER TABLE ONLY x1.verification
    ADD CONSTRAINT verification_pkey PRIMARY KEY (id);
CREATE INDEX "account_userId_idx" ON x1.account USING btree ("userId");
CREATE INDEX agent_session_job ON x1.agent_session USING btree (job_id, updated_at DESC);
CREATE INDEX "apikey_configId_idx" ON x1.apikey USING btree ("configId");
CREATE INDEX apikey_key_idx ON x1.apikey USING btree (key);
CREATE INDEX "apikey_referenceId_idx" ON x1.apikey USING btree ("referenceId");
CREATE INDEX approval_job ON x1.approval USING btree (job_id, id DESC);
CREATE UNIQUE INDEX attempt_one_running ON x1.attempt USING btree (job_id) WHERE (state = 'running'::text);
CREATE INDEX command_open ON x1.command USING btree (job_id, created_at) WHERE (taken_at IS NULL);
CREATE UNIQUE INDEX event_origin ON x1.event USING btree (attempt_id, origin) WHERE (origin IS NOT NULL);
CREATE INDEX evidence_job ON x1.evidence USING btree (job_id, id DESC);
CREATE INDEX invitation_email_idx ON x1.invitation USING btree (email);
CREATE INDEX "invitation_organizationId_idx" ON x1.invitation USING btree ("organizationId");
CREATE INDEX job_newest ON x1.job USING btree (organization_id, id DESC);
CREATE INDEX job_unfinished ON x1.job USING btree (owner_until) WHERE (state <> ALL (ARRAY['succeeded'::text, 'no_changes'::text, 'rejected'::text, 'failed'::text, 'cancelled'::text, 'timed_out'::text, 'budget_exceeded'::text, 'lost'::text]));
CREATE INDEX lease_active ON x1.lease USING btree (organization_id) WHERE (state = 'active'::text);
CREATE INDEX lease_attempt ON x1.lease USING btree (attempt_id) WHERE (state = 'active'::text);
CREATE INDEX lease_job ON x1.lease USING btree (job_id);
CREATE INDEX "member_organizationId_idx" ON x1.member USING btree ("organizationId");
CREATE INDEX "member_userId_idx" ON x1.member USING btree ("userId");
CREATE INDEX model_call_job ON x1.model_call USING btree (job_id, ts);
CREATE INDEX model_call_ts ON x1.model_call USING btree (organization_id, ts);
CREATE INDEX permission_grant_subject ON x1.permission_grant USING btree (subject_kind, subject_id) WHERE (revoked_at IS NULL);
CREATE INDEX question_open ON x1.question USING btree (job_id) WHERE (closed_at IS NULL);
CREATE INDEX "session_userId_idx" ON x1.session USING btree ("userId");
CREATE INDEX verification_identifier_idx ON x1.verification USING btree (identifier);
CREATE TRIGGER audit_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON x1.audit FOR EACH STATEMENT EXECUTE FUNCTION x1.audit_append_only();
CREATE TRIGGER job_guard BEFORE UPDATE OF state ON x1.job FOR EACH ROW EXECUTE FUNCTION x1.job_guard();
ALTER TABLE ONLY x1.account
    ADD CONSTRAINT "account_userId_fkey" FOREIGN KEY ("userId") REFERENCES x1."user"(id) ON DELETE CASCADE;
ALTER TABLE ONLY x1.approval
    ADD CONSTRAINT approval_evidence_id_fkey FOREIGN KEY (evidence_id) REFERENCES x1.evidence(id);
ALTER TABLE ONLY x1.attempt
    ADD CONSTRAINT attempt_job_id_fkey FOREIGN KEY (job_id) REFERENCES x1.job(id);
ALTER TABLE ONLY x1.invitation
    ADD CONSTRAINT "invitation_inviterId_fkey" FOREIGN KEY ("inviterId") REFERENCES x1."user"(id) ON DELETE CASCADE;
ALTER TABLE ONLY x1.invitation
    ADD CONSTRAINT "invitation_organizationId_fkey" FOREIGN KEY ("organizationId") REFERENCES x1.organization(id) ON DELETE CASCADE;
ALTER TABLE ONLY x1.job
    ADD CONSTRAINT job_project_id_fkey FOREIGN KEY (project_id) REFERENCES x1.project(id);
ALTER TABLE ONLY x1.member
    ADD CONSTRAINT "member_organizationId_fkey" FOREIGN KEY ("organizationId") REFERENCES x1.organization(id) ON DELETE CASCADE;
ALTER TABLE ONLY x1.member
    ADD CONSTRAINT "member_userId_fkey" FOREIGN KEY ("userId") REFERENCES x1."user"(id) ON DELETE CASCADE;
ALTER TABLE ONLY x1.publication
    ADD CONSTRAINT publication_approval_id_fkey FOREIGN KEY (approval_id) REFERENCES x1.approval(id);
ALTER TABLE ONLY x1.session
    ADD CONSTRAINT "session_userId_fkey" FOREIGN KEY ("userId") REFERENCES x1."user"(id) ON DELETE CASCADE;
ALTER TABLE x1.agent_session ENABLE ROW LEVEL SECURITY;
ALTER TABLE x1.approval ENABLE ROW LEVEL SECURITY;
ALTER TABLE x1.attempt ENABLE ROW LEVEL SECURITY;
ALTER TABLE x1.audit ENABLE ROW LEVEL SECURITY;
ALTER TABLE x1.audit_head ENABLE ROW LEVEL SECURITY;
ALTER TABLE x1.budget ENABLE ROW LEVEL SECURITY;
ALTER TABLE x1.command ENABLE ROW LEVEL SECURITY;
ALTER TABLE x1.event ENABLE ROW LEVEL SECURITY;
ALTER TABLE x1.event_counter ENABLE ROW LEVEL SECURITY;
ALTER TABLE x1.evidence ENABLE ROW LEVEL SECURITY;
ALTER TABLE x1.idempotency ENABLE ROW LEVEL SECURITY;
ALTER TABLE x1.job ENABLE ROW LEVEL SECURITY;
ALTER TABLE x1.lease ENABLE ROW LEVEL SECURITY;
ALTER TABLE x1.model_call ENABLE ROW LEVEL SECURITY;
ALTER TABLE x1.permission_grant ENABLE ROW LEVEL SECURITY;
ALTER TABLE x1.project ENABLE ROW LEVEL SECURITY;
ALTER TABLE x1.provider ENABLE ROW LEVEL SECURITY;
ALTER TABLE x1.publication ENABLE ROW LEVEL SECURITY;
ALTER TABLE x1.question ENABLE ROW LEVEL SECURITY;
ALTER TABLE x1.secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON x1.agent_session USING ((organization_id = current_setting('x1.organization'::text, true))) WITH CHECK ((organization_id = current_setting('x1.organization'::text, true)));
CREATE POLICY tenant ON x1.approval USING ((organization_id = current_setting('x1.organization'::text, true))) WITH CHECK ((organization_id = current_setting('x1.organization'::text, true)));
CREATE POLICY tenant ON x1.attempt USING ((organization_id = current_setting('x1.organization'::text, true))) WITH CHECK ((organization_id = current_setting('x1.organization'::text, true)));
CREATE POLICY tenant ON x1.audit USING ((organization_id = current_setting('x1.organization'::text, true))) WITH CHECK ((organization_id = current_setting('x1.organization'::text, true)));
CREATE POLICY tenant ON x1.audit_head USING ((organization_id = current_setting('x1.organization'::text, true))) WITH CHECK ((organization_id = current_setting('x1.organization'::text, true)));
CREATE POLICY tenant ON x1.budget USING ((organization_id = current_setting('x1.organization'::text, true))) WITH CHECK ((organization_id = current_setting('x1.organization'::text, true)));
CREATE POLICY tenant ON x1.command USING ((organization_id = current_setting('x1.organization'::text, true))) WITH CHECK ((organization_id = current_setting('x1.organization'::text, true)));
CREATE POLICY tenant ON x1.event USING ((organization_id = current_setting('x1.organization'::text, true))) WITH CHECK ((organization_id = current_setting('x1.organization'::text, true)));
CREATE POLICY tenant ON x1.event_counter USING ((organization_id = current_setting('x1.organization'::text, true))) WITH CHECK ((organization_id = current_setting('x1.organization'::text, true)));
CREATE POLICY tenant ON x1.evidence USING ((organization_id = current_setting('x1.organization'::text, true))) WITH CHECK ((organization_id = current_setting('x1.organization'::text, true)));
CREATE POLICY tenant ON x1.idempotency USING ((organization_id = current_setting('x1.organization'::text, true))) WITH CHECK ((organization_id = current_setting('x1.organization'::text, true)));
CREATE POLICY tenant ON x1.job USING ((organization_id = current_setting('x1.organization'::text, true))) WITH CHECK ((organization_id = current_setting('x1.organization'::text, true)));
CREATE POLICY tenant ON x1.lease USING ((organization_id = current_setting('x1.organization'::text, true))) WITH CHECK ((organization_id = current_setting('x1.organization'::text, true)));
CREATE POLICY tenant ON x1.model_call USING ((organization_id = current_setting('x1.organization'::text, true))) WITH CHECK ((organization_id = current_setting('x1.organization'::text, true)));
CREATE POLICY tenant ON x1.permission_grant USING ((organization_id = current_setting('x1.organization'::text, true))) WITH CHECK ((organization_id = current_setting('x1.organization'::text, true)));
CREATE POLICY tenant ON x1.project USING ((organization_id = current_setting('x1.organization'::text, true))) WITH CHECK ((organization_id = current_setting('x1.organization'::text, true)));
CREATE POLICY tenant ON x1.provider USING ((organization_id = current_setting('x1.organization'::text, true))) WITH CHECK ((organization_id = current_setting('x1.organization'::text, true)));
CREATE POLICY tenant ON x1.publication USING ((organization_id = current_setting('x1.organization'::text, true))) WITH CHECK ((organization_id = current_setting('x1.organization'::text, true)));
CREATE POLICY tenant ON x1.question USING ((organization_id = current_setting('x1.organization'::text, true))) WITH CHECK ((organization_id = current_setting('x1.organization'::text, true)));
CREATE POLICY tenant ON x1.secret USING ((organization_id = current_setting('x1.organization'::text, true))) WITH CHECK ((organization_id = current_setting('x1.organization'::text, true)));
GRANT USAGE ON SCHEMA x1 TO x1_service;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE x1.account TO x1_service;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE x1.agent_session TO x1_service;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE x1.apikey TO x1_service;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE x1.approval TO x1_service;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE x1.attempt TO x1_service;
GRANT SELECT,INSERT ON TABLE x1.audit TO x1_service;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE x1.audit_head TO x1_service;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE x1.budget TO x1_service;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE x1.command TO x1_service;
GRANT SELECT,INSERT ON TABLE x1.event TO x1_service;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE x1.event_counter TO x1_service;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE x1.evidence TO x1_service;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE x1.idempotency TO x1_service;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE x1.invitation TO x1_service;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE x1.job TO x1_service;
GRANT SELECT ON TABLE x1.job_move TO x1_service;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE x1.lease TO x1_service;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE x1.member TO x1_service;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE x1.model_call TO x1_service;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE x1.organization TO x1_service;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE x1.permission_grant TO x1_service;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE x1.project TO x1_service;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE x1.provider TO x1_service;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE x1.publication TO x1_service;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE x1.question TO x1_service;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE x1.secret TO x1_service;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE x1.session TO x1_service;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE x1."user" TO x1_service;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE x1.verification TO x1_service;
