import { accept, type JobState, type Outcome, refuse, type Spend } from "@x1agent/contract";
import { type Database, type RawBuilder, row, rows, sql, type Tx } from "@x1agent/kernel";
import type { UseCases } from "./index.ts";

const DAY_MS = 86_400_000;
/** A report asks every call of its time: longer ones are put together from several. */
const MAX_DAYS = 400;
const MAX_SHARES = 100;
const MAX_CSV_ROWS = 100_000;

type Span = { since: Date; until: Date };
type ShareRow = { key: string; name: string; micros: number; calls: number; jobs: number };

/** Reports over the calls that the sidecars metered; one read over several domains, which writes nothing. */
export function spendUseCases(db: Pick<Database, "tenant">): UseCases["spend"] {
  return {
    async report(caller, query) {
      const span = spanOf(query);
      return span.ok ? accept(await db.tenant(caller.organizationId, (tx) => report(tx, span.value))) : span;
    },
    async csv(caller, query) {
      const span = spanOf(query);
      return span.ok ? accept(await db.tenant(caller.organizationId, (tx) => csv(tx, span.value))) : span;
    },
  };
}

/** The asked time, 30 days up to now where nothing was asked. */
export function spanOf(
  query: { since?: string | undefined; until?: string | undefined },
  now = Date.now(),
): Outcome<Span> {
  const until = query.until === undefined ? now : Date.parse(query.until);
  const since = query.since === undefined ? until - 30 * DAY_MS : Date.parse(query.since);
  if (since >= until) return refuse("invalid_request", "The time must begin before it ends.");
  if (until - since > MAX_DAYS * DAY_MS) return refuse("invalid_request", `A report covers at most ${MAX_DAYS} days.`);
  return accept({ since: new Date(since), until: new Date(until) });
}

async function report(tx: Tx, { since, until }: Span): Promise<Spend> {
  const within = sql`model_call.ts >= ${since} and model_call.ts < ${until}`;
  const from = sql`model_call join job on job.id = model_call.job_id join project on project.id = model_call.project_id where ${within}`;
  const shares = (key: RawBuilder<unknown>, name: RawBuilder<unknown> = key) =>
    rows(
      tx,
      sql<ShareRow>`select ${key} as key, min(${name}) as name, sum(cost_micros)::bigint as micros, count(*)::integer as calls, count(distinct job_id)::integer as jobs
      from ${from} group by 1 order by micros desc, key limit ${MAX_SHARES}`,
    );
  const total = await row(
    tx,
    sql<{
      micros: number;
      estimated: number;
      jobs: number;
      published: number;
    }>`select coalesce(sum(cost_micros), 0)::bigint as micros,
      coalesce(sum(cost_micros) filter (where estimated), 0)::bigint as estimated, count(distinct job_id)::integer as jobs,
      count(distinct job_id) filter (where job.published_commit is not null)::integer as published from ${from}`,
  );
  const waited = await row(
    tx,
    sql<{
      ms: number | null;
    }>`select percentile_cont(0.5) within group (order by extract(epoch from approval.created_at - evidence.created_at) * 1000)::double precision as ms
      from approval join evidence on evidence.id = approval.evidence_id
      where approval.actor->>'kind' = 'user' and approval.created_at >= ${since} and approval.created_at < ${until}`,
  );
  const outcomes = await row(
    tx,
    sql<NonNullable<Spend["outcomes"]>>`select count(*) filter (where outcome is null)::integer as open,
      count(*) filter (where outcome = 'merged')::integer as merged, count(*) filter (where outcome = 'merged_after_changes')::integer as "mergedAfterChanges",
      count(*) filter (where outcome = 'closed')::integer as closed, count(*) filter (where outcome = 'reverted')::integer as reverted
      from pull_request where created_at >= ${since} and created_at < ${until}`,
  );
  const { micros, estimated, jobs, published } = total ?? { micros: 0, estimated: 0, jobs: 0, published: 0 };
  return {
    since: since.toISOString(),
    until: until.toISOString(),
    totalMicros: micros,
    estimatedMicros: estimated,
    jobs,
    publishedJobs: published,
    microsPerPublished: published === 0 ? null : Math.round(micros / published),
    medianDecisionMs: waited?.ms ?? null,
    ...(outcomes ? { outcomes } : {}),
    days: await rows(
      tx,
      sql<
        Spend["days"][number]
      >`select to_char(date_trunc('day', model_call.ts, 'UTC') at time zone 'UTC', 'YYYY-MM-DD') as day, project.id as "projectId", min(project.name) as project, sum(cost_micros)::bigint as micros
      from ${from} group by 1, 2 order by 1, 2 limit ${MAX_DAYS * MAX_SHARES}`,
    ),
    by: {
      project: await shares(sql`project.id`, sql`project.name`),
      runtime: await shares(sql`job.settings->>'runtime'`),
      model: await shares(sql`coalesce(model_call.served_model, model_call.model)`),
      member: await shares(sql`model_call.member_id`),
    },
    top: await rows(
      tx,
      sql<{
        jobId: string;
        title: string;
        state: JobState;
        project: string;
        runtime: string;
        micros: number;
      }>`select job.id as "jobId", job.title, job.state, min(project.name) as project, job.settings->>'runtime' as runtime, sum(cost_micros)::bigint as micros
      from ${from} group by job.id order by micros desc, job.id limit 20`,
    ),
  };
}

type CsvRow = Record<"day" | "job" | "title" | "project" | "runtime" | "member" | "provider" | "model", string> &
  Record<"calls" | "input" | "output" | "cache_read" | "cache_write" | "micros", number>;

async function csv(tx: Tx, { since, until }: Span): Promise<string> {
  const found = await rows(
    tx,
    sql<CsvRow>`select to_char(date_trunc('day', model_call.ts, 'UTC') at time zone 'UTC', 'YYYY-MM-DD') as day, job.id as job, job.title, project.name as project, job.settings->>'runtime' as runtime,
      model_call.member_id as member, provider, coalesce(served_model, model) as model, count(*)::integer as calls, sum(input_tokens)::bigint as input, sum(output_tokens)::bigint as output,
      sum(cache_read_tokens)::bigint as cache_read, sum(cache_write_tokens)::bigint as cache_write, sum(cost_micros)::bigint as micros
    from model_call join job on job.id = model_call.job_id join project on project.id = model_call.project_id
    where model_call.ts >= ${since} and model_call.ts < ${until} group by 1, 2, 3, 4, 5, 6, 7, 8 order by 1, 2, 8 limit ${MAX_CSV_ROWS}`,
  );
  const head =
    "day,job,title,project,runtime,member,provider,model,calls,input_tokens,output_tokens,cache_read_tokens,cache_write_tokens,usd";
  const lines = found.map((r) =>
    [
      r.day,
      r.job,
      r.title,
      r.project,
      r.runtime,
      r.member,
      r.provider,
      r.model,
      r.calls,
      r.input,
      r.output,
      r.cache_read,
      r.cache_write,
      (r.micros / 1e6).toFixed(6),
    ]
      .map(csvField)
      .join(","),
  );
  return `${[head, ...lines].join("\r\n")}\r\n`;
}

/**
 * One field after RFC 4180. A text that a spreadsheet would take for a formula gets an apostrophe in front, since titles
 * come from anybody.
 */
export function csvField(value: string | number): string {
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
