import type { Actor, EventSource, StoredEvent } from "@x1agent/contract";
import { newId, notify, row, rows, sql, storableJson, type Tx } from "@x1agent/kernel";
import {
  type CleanEvent,
  type Counter,
  cleanEvent,
  eventCaps,
  type NewEvent,
  originKey,
  planEvents,
} from "./decide.ts";

/** Channel that carries `{"o":organization,"j":job,"s":last seq}` after events were stored. */
export const eventsChannel = "x1_events";
/** Channel that carries `{"o":organization,"j":job}` when something waits for the job's owner. */
export const commandsChannel = "x1_commands";

type EventRow = {
  seq: number;
  ts: Date;
  type: string;
  source: EventSource;
  attempt_id: string | null;
  turn: number | null;
  origin: string | null;
  payload: Record<string, unknown>;
};

const present = (found: EventRow): StoredEvent => ({
  seq: found.seq,
  ts: found.ts.toISOString(),
  type: found.type,
  source: found.source,
  attemptId: found.attempt_id,
  turn: found.turn,
  origin: found.origin,
  payload: found.payload,
});

/**
 * Stores events in order under the job's next numbers; an event of the same attempt and origin is stored once. Returns
 * what was stored. The job's counter row serializes writers.
 */
export async function appendEvents(
  tx: Tx,
  organizationId: string,
  jobId: string,
  events: readonly NewEvent[],
): Promise<StoredEvent[]> {
  if (events.length === 0) return [];
  const counter = await row(
    tx,
    sql<Counter>`insert into event_counter as c (job_id, organization_id, seq) values (${jobId}, ${organizationId}, 0)
    on conflict (job_id) do update set seq = c.seq returning seq, bytes, capped`,
  );
  if (!counter) throw new Error("The job's event counter is not visible: wrong tenant.");
  const clean = events.map(cleanEvent);
  const plan = planEvents(counter, clean, await knownOrigins(tx, clean), eventCaps);
  if (plan.stored.length === 0) return [];
  await sql`insert into event (job_id, seq, organization_id, ts, type, source, attempt_id, turn, origin, payload)
    select ${jobId}, e.seq, ${organizationId}, e.ts, e.type, e.source, e."attemptId", e.turn, e.origin, e.payload
    from jsonb_to_recordset(${JSON.stringify(plan.stored)}::jsonb) as e(seq bigint, ts timestamptz, type text, source text, "attemptId" text, turn integer, origin text, payload jsonb)`.execute(
    tx,
  );
  const { seq, bytes, capped } = plan.counter;
  await sql`update event_counter set seq = ${seq}, bytes = ${bytes}, capped = ${capped} where job_id = ${jobId}`.execute(
    tx,
  );
  await notify(tx, eventsChannel, JSON.stringify({ o: organizationId, j: jobId, s: seq }));
  return plan.stored;
}

/** Which of these events are stored already, as keys of `originKey`. */
async function knownOrigins(tx: Tx, events: readonly CleanEvent[]): Promise<Set<string>> {
  const named = events.filter(({ attemptId, origin }) => attemptId !== null && origin !== null);
  if (named.length === 0) return new Set();
  // One look into the unique index per event: with two lists the planner reads every event of the attempt, each time.
  const found = await rows(
    tx,
    sql<{ attemptId: string; origin: string }>`select k.attempt as "attemptId", k.origin
    from unnest(${named.map(({ attemptId }) => attemptId)}::text[], ${named.map(({ origin }) => origin)}::text[]) as k(attempt, origin)
    cross join lateral (select 1 from event where attempt_id = k.attempt and event.origin = k.origin limit 1) as known`,
  );
  return new Set(found.map(originKey));
}

/** Events after a number, in order. */
export async function readEvents(tx: Tx, jobId: string, after: number, limit: number): Promise<StoredEvent[]> {
  return (
    await rows(
      tx,
      sql<EventRow>`select * from event where job_id = ${jobId} and seq > ${after} order by seq limit ${limit}`,
    )
  ).map(present);
}

/** Whether the attempt's agent was given a message: what it leaves before that is the platform's own, and no work. */
export async function turnBegan(tx: Tx, jobId: string, attemptId: string): Promise<boolean> {
  const found = await row(
    tx,
    sql<{
      seq: number;
    }>`select seq from event where job_id = ${jobId} and attempt_id = ${attemptId} and type = 'turn.started' and source = 'reported' limit 1`,
  );
  return found !== null;
}

/** Blobs that a job's events name: what may be read through the job. */
export async function eventNamesBlob(tx: Tx, jobId: string, digest: string): Promise<boolean> {
  return (
    (await row(
      tx,
      sql<{
        seq: number;
      }>`select seq from event where job_id = ${jobId} and payload->>'outputBlob' = ${digest} limit 1`,
    )) !== null
  );
}

/** Hosts refused in an attempt, from the observed events. */
export async function blockedHosts(
  tx: Tx,
  attemptId: string,
): Promise<{ host: string; port: number; count: number }[]> {
  return rows(
    tx,
    sql<{
      host: string;
      port: number;
      count: number;
    }>`select payload->>'host' as host, (payload->>'port')::int as port, count(*)::int as count from event where attempt_id = ${attemptId} and type = 'egress.blocked' group by 1, 2 order by 1, 2 limit 200`,
  );
}

export type SessionRecord = {
  attemptId: string;
  runtime: string;
  cliSession: string | null;
  homeBlob: string | null;
  workBlob: string | null;
  lastOrigin: string | null;
};
type SessionRow = {
  attempt_id: string;
  runtime: string;
  cli_session: string | null;
  home_blob: string | null;
  work_blob: string | null;
  last_origin: string | null;
};
const presentSession = (found: SessionRow): SessionRecord => ({
  attemptId: found.attempt_id,
  runtime: found.runtime,
  cliSession: found.cli_session,
  homeBlob: found.home_blob,
  workBlob: found.work_blob,
  lastOrigin: found.last_origin,
});

/** Notes what is known of an attempt's session; absent keys stay. */
export async function saveSession(
  tx: Tx,
  organizationId: string,
  jobId: string,
  session: { attemptId: string; runtime: string } & Partial<SessionRecord>,
): Promise<void> {
  await sql`insert into agent_session as s (attempt_id, organization_id, job_id, runtime, cli_session, home_blob, work_blob, last_origin)
    values (${session.attemptId}, ${organizationId}, ${jobId}, ${session.runtime}, ${session.cliSession ?? null}, ${session.homeBlob ?? null}, ${session.workBlob ?? null}, ${session.lastOrigin ?? null})
    on conflict (attempt_id) do update set cli_session = coalesce(excluded.cli_session, s.cli_session), home_blob = coalesce(excluded.home_blob, s.home_blob),
      work_blob = coalesce(excluded.work_blob, s.work_blob), last_origin = coalesce(excluded.last_origin, s.last_origin), updated_at = now()`.execute(
    tx,
  );
}

/** Forgets the work trees that a job's attempts left: the next one stands on a base that holds the work. */
export async function dropSavedWork(tx: Tx, jobId: string): Promise<void> {
  await sql`update agent_session set work_blob = null where job_id = ${jobId}`.execute(tx);
}

/** What the job's agent said last, at most 8,000 characters; null where it said nothing. */
export async function lastWords(tx: Tx, jobId: string): Promise<string | null> {
  const found = await row(
    tx,
    sql<{
      text: string | null;
    }>`select left(payload->>'text', 8000) as text from event where job_id = ${jobId} and type = 'agent.text' order by seq desc limit 1`,
  );
  return found?.text ?? null;
}

/** Forgets the conversations too: what was said under one trust label is never gone on with under another. */
export async function dropSavedSessions(tx: Tx, jobId: string): Promise<void> {
  await sql`update agent_session set work_blob = null, home_blob = null, cli_session = null where job_id = ${jobId}`.execute(
    tx,
  );
}

/** The newest session of a job with this runtime whose files were saved: what the next attempt resumes. Nothing is restored across runtimes. */
export async function resumableSession(tx: Tx, jobId: string, runtime: string): Promise<SessionRecord | null> {
  const found = await row(
    tx,
    sql<SessionRow>`select * from agent_session where job_id = ${jobId} and runtime = ${runtime} and home_blob is not null and cli_session is not null order by updated_at desc limit 1`,
  );
  return found && presentSession(found);
}

export async function getSession(tx: Tx, attemptId: string): Promise<SessionRecord | null> {
  const found = await row(tx, sql<SessionRow>`select * from agent_session where attempt_id = ${attemptId}`);
  return found && presentSession(found);
}

export type Question = {
  requestId: string;
  title: string;
  options: { optionId: string; name: string; kind: string }[];
  freeText: boolean;
  askedAt: string;
};

export async function openQuestion(
  tx: Tx,
  organizationId: string,
  jobId: string,
  attemptId: string,
  question: Omit<Question, "askedAt">,
): Promise<void> {
  await sql`insert into question (organization_id, job_id, attempt_id, request_id, title, options, free_text) values (${organizationId}, ${jobId}, ${attemptId}, ${question.requestId}, ${question.title}, ${JSON.stringify(question.options)}, ${question.freeText}) on conflict do nothing`.execute(
    tx,
  );
}

/** Closes one question, or all of an attempt; returns how many were open. */
export async function closeQuestions(
  tx: Tx,
  attemptId: string,
  outcome: "answered" | "cancelled" | "expired",
  requestId?: string,
): Promise<number> {
  return (
    await rows(
      tx,
      sql<{
        request_id: string;
      }>`update question set outcome = ${outcome}, closed_at = now() where attempt_id = ${attemptId} and closed_at is null and (${requestId ?? null}::text is null or request_id = ${requestId ?? ""}) returning request_id`,
    )
  ).length;
}

export async function listOpenQuestions(tx: Tx, jobId: string): Promise<Question[]> {
  return (
    await rows(
      tx,
      sql<{
        request_id: string;
        title: string;
        options: Question["options"];
        free_text: boolean;
        asked_at: Date;
      }>`select * from question where job_id = ${jobId} and closed_at is null order by asked_at`,
    )
  ).map((found) => ({
    requestId: found.request_id,
    title: found.title,
    options: found.options,
    freeText: found.free_text,
    askedAt: found.asked_at.toISOString(),
  }));
}

/** What the API asks of the process that owns a job. */
export type CommandKind = "inject" | "interrupt" | "answer" | "model" | "cancel" | "decided";
export type Command = { id: string; kind: CommandKind; body: Record<string, unknown>; actor: Actor };

/** Leaves a command for the job's owner; the same `dedupe` of a kind is one command. False when it was there already. */
export async function putCommand(
  tx: Tx,
  organizationId: string,
  jobId: string,
  command: { kind: CommandKind; dedupe: string; body: Record<string, unknown>; actor: Actor },
): Promise<boolean> {
  const made = await row(
    tx,
    sql<{
      id: string;
    }>`insert into command (id, organization_id, job_id, dedupe, kind, body, actor) values (${newId("cmd")}, ${organizationId}, ${jobId}, ${command.dedupe}, ${command.kind}, ${storableJson(command.body)}, ${JSON.stringify(command.actor)}) on conflict (job_id, kind, dedupe) do nothing returning id`,
  );
  await notify(tx, commandsChannel, JSON.stringify({ o: organizationId, j: jobId }));
  return made !== null;
}

/** Takes the open commands of a job, oldest first; each is taken once. */
export async function takeCommands(tx: Tx, jobId: string): Promise<Command[]> {
  const taken = await rows(
    tx,
    sql<{
      id: string;
      kind: CommandKind;
      body: Record<string, unknown>;
      actor: Actor;
      created_at: Date;
    }>`update command set taken_at = now() where id in (select id from command where job_id = ${jobId} and taken_at is null order by created_at, id for update skip locked) returning id, kind, body, actor, created_at`,
  );
  return taken
    .sort((a, b) => a.created_at.getTime() - b.created_at.getTime() || (a.id < b.id ? -1 : 1))
    .map(({ id, kind, body, actor }) => ({ id, kind, body, actor }));
}

/** What a person left for a job's session; `dedupe` is a message's id or a question's. */
export type Said = { kind: "inject" | "answer"; dedupe: string; body: Record<string, unknown>; actor: Actor };

/** What people said to a job's session under these names. */
export async function listSaid(tx: Tx, jobId: string, dedupes: readonly string[]): Promise<Said[]> {
  if (dedupes.length === 0) return [];
  return rows(
    tx,
    sql<Said>`select kind, dedupe, body, actor from command
    where job_id = ${jobId} and kind in ('inject', 'answer') and dedupe = any(${[...dedupes]}::text[])`,
  );
}

/** Lets go of the saved files of sessions that were last touched before `before`, but for those of the jobs to keep; how many. */
export async function forgetSessionFiles(tx: Tx, before: Date, keep: readonly string[]): Promise<number> {
  const gone = await rows(
    tx,
    sql<{ attempt_id: string }>`update agent_session set home_blob = null, work_blob = null
      where updated_at < ${before} and (home_blob is not null or work_blob is not null) and job_id <> all(${[...keep]}) returning attempt_id`,
  );
  return gone.length;
}
