import type { Budget, CallRecord, LeaseReply, LeaseRequest, SettleRequest } from "@x1agent/contract";
import { newId, type RawBuilder, row, rows, sql, type Tx } from "@x1agent/kernel";
import { decideLease, type Standing } from "./decide.ts";

/** A lease lives this long unless it is settled against; after that it is spent as far as it was in flight. */
const LEASE_MS = 15 * 60_000;

/** Whose budgets a job spends from. */
export type Spender = {
  organizationId: string;
  projectId: string;
  memberId: string;
  jobId: string;
  attemptId: string;
  workspaceId: string;
};
type BudgetRow = {
  id: string;
  scope_kind: Budget["scope"]["kind"];
  scope_id: string;
  period: Budget["window"];
  limit_micros: number;
  updated_at: Date;
};

const column = { organization: "organization_id", project: "project_id", member: "member_id", job: "job_id" } as const;
const windowStart = { day: "day", week: "week", month: "month" } as const;

/** Spent in the budget's window and reserved by active leases, by the database's clock. */
async function standing(tx: Tx, budget: BudgetRow): Promise<Standing> {
  const scoped = sql.ref(column[budget.scope_kind]);
  const since =
    budget.period === "total"
      ? sql`'-infinity'::timestamptz`
      : sql`date_trunc(${windowStart[budget.period]}, now(), 'UTC')`;
  const sums = await row(
    tx,
    sql<{ spent: number; reserved: number }>`select
    coalesce((select sum(cost_micros) from model_call where ${scoped} = ${budget.scope_id} and ts >= ${since}), 0)::bigint as spent,
    coalesce((select sum(greatest(amount - settled, 0)) from lease where state = 'active' and ${scoped} = ${budget.scope_id}), 0)::bigint as reserved`,
  );
  return {
    scope: { kind: budget.scope_kind, id: budget.scope_id },
    limitMicros: budget.limit_micros,
    spentMicros: sums?.spent ?? 0,
    reservedMicros: sums?.reserved ?? 0,
  };
}

const present = (budget: BudgetRow, now: Standing): Budget => ({
  id: budget.id,
  scope: now.scope,
  window: budget.period,
  limitMicros: budget.limit_micros,
  spentMicros: now.spentMicros,
  reservedMicros: now.reservedMicros,
  updatedAt: budget.updated_at.toISOString(),
});

/** Sets the limit of a scope and window. */
export async function setBudget(
  tx: Tx,
  organizationId: string,
  budget: Pick<Budget, "scope" | "window" | "limitMicros">,
): Promise<Budget> {
  const set = await row(
    tx,
    sql<BudgetRow>`insert into budget (id, organization_id, scope_kind, scope_id, period, limit_micros) values (${newId("bud")}, ${organizationId}, ${budget.scope.kind}, ${budget.scope.id}, ${budget.window}, ${budget.limitMicros})
    on conflict (organization_id, scope_kind, scope_id, period) do update set limit_micros = excluded.limit_micros, updated_at = now() returning *`,
  );
  if (!set) throw new Error("An insert returned nothing.");
  return present(set, await standing(tx, set));
}

/** Every limit of the tenant with what is spent and reserved now. */
export async function listBudgets(tx: Tx): Promise<Budget[]> {
  const found = await rows(tx, sql<BudgetRow>`select * from budget order by id desc limit 200`);
  return Promise.all(found.map(async (budget) => present(budget, await standing(tx, budget))));
}

type BookedLease = { id: string; amount: number; expires_at: Date };
const granted = (found: BookedLease): LeaseReply => ({
  outcome: "granted",
  leaseId: found.id,
  amountMicros: found.amount,
  expiresAt: found.expires_at.toISOString(),
});

/**
 * Books a block over every budget that applies. The budgets are locked in the order of their ids, so two bookings wait
 * for each other instead of both seeing the same rest. Idempotent by workspace and `requestId`. Until its sidecar says
 * otherwise, the call that waits for a lease counts as in flight: a sidecar lost before its first word is charged for it.
 */
export async function lease(tx: Tx, spender: Spender, request: LeaseRequest): Promise<LeaseReply> {
  const booked = () =>
    row(
      tx,
      sql<BookedLease>`select id, amount, expires_at from lease where workspace_id = ${spender.workspaceId} and request_id = ${request.requestId}`,
    );
  const before = await booked();
  if (before) return granted(before);
  const budgets = await rows(
    tx,
    sql<BudgetRow>`select * from budget where (scope_kind = 'organization' and scope_id = ${spender.organizationId}) or (scope_kind = 'project' and scope_id = ${spender.projectId})
    or (scope_kind = 'member' and scope_id = ${spender.memberId}) or (scope_kind = 'job' and scope_id = ${spender.jobId}) order by id for update`,
  );
  const standings: Standing[] = [];
  for (const budget of budgets) standings.push(await standing(tx, budget));
  const decision = decideLease(request.wantMicros, request.minMicros, standings);
  if (!decision.granted)
    return {
      outcome: "refused",
      code: "budget_exceeded",
      scope: `${decision.scope.kind}:${decision.scope.id}`,
      limitMicros: decision.limitMicros,
      spentMicros: decision.spentMicros,
    };
  const made = await row(
    tx,
    sql<BookedLease>`insert into lease (id, organization_id, project_id, member_id, job_id, attempt_id, workspace_id, request_id, amount, in_flight, state, expires_at)
    values (${newId("lea")}, ${spender.organizationId}, ${spender.projectId}, ${spender.memberId}, ${spender.jobId}, ${spender.attemptId}, ${spender.workspaceId}, ${request.requestId}, ${decision.amountMicros}, ${request.minMicros}, 'active', now() + ${LEASE_MS} * interval '1 millisecond')
    on conflict (workspace_id, request_id) do nothing returning id, amount, expires_at`,
  );
  // The same request twice at once: the other one booked.
  const lease = made ?? (await booked());
  if (!lease) throw new Error("A lease that conflicted is not there: the workspace is another tenant's.");
  return granted(lease);
}

async function insertCall(tx: Tx, spender: Omit<Spender, "workspaceId">, call: CallRecord): Promise<boolean> {
  return (
    (await row(
      tx,
      sql<{
        call_id: string;
      }>`insert into model_call (call_id, organization_id, project_id, member_id, job_id, attempt_id, lease_id, provider, api, model, served_model, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, cost_micros, estimated, outcome, status, latency_ms, first_byte_ms, grant_id)
    values (${call.callId}, ${spender.organizationId}, ${spender.projectId}, ${spender.memberId}, ${spender.jobId}, ${spender.attemptId}, ${call.leaseId}, ${call.provider}, ${call.api}, ${call.model}, ${call.servedModel ?? null}, ${call.usage.inputTokens}, ${call.usage.outputTokens}, ${call.usage.cacheReadTokens}, ${call.usage.cacheWriteTokens},
      ${call.costMicros}, ${call.estimated}, ${call.outcome}, ${call.status ?? null}, ${call.latencyMs}, ${call.firstByteMs ?? null}, ${call.grantId}) on conflict (call_id) do nothing returning call_id`,
    )) !== null
  );
}

/** Locks leases in the order of their ids, the one order of all who lock several; gives their states. */
async function lockLeases(tx: Tx, which: RawBuilder<unknown>): Promise<Map<string, string>> {
  const found = await rows(
    tx,
    sql<{ id: string; state: string }>`select id, state from lease where ${which} order by id for update`,
  );
  return new Map(found.map(({ id, state }) => [id, state]));
}

/**
 * Settles finished calls (each once, by its id), notes what is in flight and gives leases back. A call of a lease that
 * was charged as lost corrects that charge once, downwards. Returns the calls that were new.
 */
export async function settle(tx: Tx, spender: Spender, request: SettleRequest): Promise<CallRecord[]> {
  const fresh: CallRecord[] = [];
  const touched = [...request.calls, ...request.inFlight].map(({ leaseId }) => leaseId).concat(request.release);
  const leases = await lockLeases(tx, sql`workspace_id = ${spender.workspaceId} and id = any(${touched})`);
  for (const call of request.calls) {
    const state = leases.get(call.leaseId);
    if (!state || !(await insertCall(tx, spender, call))) continue;
    fresh.push(call);
    await sql`update lease set settled = settled + ${call.costMicros}, expires_at = greatest(expires_at, now() + ${LEASE_MS} * interval '1 millisecond') where id = ${call.leaseId}`.execute(
      tx,
    );
    if (state === "lost")
      await sql`update model_call set cost_micros = greatest(cost_micros - ${call.costMicros}, 0), outcome = 'sidecar_lost_corrected' where call_id = ${`lost_${call.leaseId}`} and outcome = 'sidecar_lost'`.execute(
        tx,
      );
  }
  for (const { leaseId, reservedMicros } of request.inFlight)
    await sql`update lease set in_flight = ${reservedMicros}, expires_at = now() + ${LEASE_MS} * interval '1 millisecond' where id = ${leaseId} and workspace_id = ${spender.workspaceId} and state = 'active'`.execute(
      tx,
    );
  if (request.release.length > 0)
    await sql`update lease set state = 'released', in_flight = 0 where id = any(${request.release}) and workspace_id = ${spender.workspaceId} and state = 'active'`.execute(
      tx,
    );
  return fresh;
}

/**
 * Ends what a dead sidecar held: the reservation of calls in flight is charged as estimated, the rest of its leases
 * comes free. Idempotent. Returns what was charged.
 */
export async function loseLeases(
  tx: Tx,
  spender: Omit<Spender, "workspaceId">,
  workspaceId: string | null,
): Promise<CallRecord[]> {
  const held = await lockLeases(
    tx,
    sql`attempt_id = ${spender.attemptId} and state = 'active' and (${workspaceId}::text is null or workspace_id = ${workspaceId ?? ""})`,
  );
  const lost = await rows(
    tx,
    sql<{
      id: string;
      in_flight: number;
    }>`update lease set state = 'lost' where id = any(${[...held.keys()]}) returning id, in_flight`,
  );
  const charged: CallRecord[] = [];
  for (const { id, in_flight } of lost) {
    if (in_flight === 0) continue;
    const call: CallRecord = {
      callId: `lost_${id}`,
      leaseId: id,
      provider: "unknown",
      api: "anthropic-messages",
      model: "unknown",
      usage: { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0 },
      costMicros: in_flight,
      estimated: true,
      outcome: "sidecar_lost",
      startedAt: new Date().toISOString(),
      latencyMs: 0,
      grantId: "unknown",
    };
    if (await insertCall(tx, spender, call)) charged.push(call);
  }
  return charged;
}

/** Charges leases of the tenant whose sidecar has not been heard of for the lease's whole life. */
export async function expireLeases(tx: Tx): Promise<void> {
  const found = await rows(
    tx,
    sql<{
      organization_id: string;
      project_id: string;
      member_id: string;
      job_id: string;
      attempt_id: string;
      workspace_id: string;
    }>`select distinct organization_id, project_id, member_id, job_id, attempt_id, workspace_id from lease where state = 'active' and expires_at < now() limit 100`,
  );
  for (const lease of found)
    await loseLeases(
      tx,
      {
        organizationId: lease.organization_id,
        projectId: lease.project_id,
        memberId: lease.member_id,
        jobId: lease.job_id,
        attemptId: lease.attempt_id,
      },
      lease.workspace_id,
    );
}

/** What a job has spent and holds reserved, and its own limit. */
export async function jobMoney(
  tx: Tx,
  jobId: string,
): Promise<{ spentMicros: number; reservedMicros: number; limitMicros: number | null }> {
  const found = await row(
    tx,
    sql<{
      spent: number;
      reserved: number;
      limited: number | null;
    }>`select coalesce((select sum(cost_micros) from model_call where job_id = ${jobId}), 0)::bigint as spent,
    coalesce((select sum(greatest(amount - settled, 0)) from lease where job_id = ${jobId} and state = 'active'), 0)::bigint as reserved,
    (select min(limit_micros) from budget where scope_kind = 'job' and scope_id = ${jobId}) as limited`,
  );
  return { spentMicros: found?.spent ?? 0, reservedMicros: found?.reserved ?? 0, limitMicros: found?.limited ?? null };
}

type CallRow = {
  call_id: string;
  ts: Date;
  provider: string;
  api: string;
  model: string;
  served_model: string | null;
  input_tokens: number;
  output_tokens: number;
  cache_read_tokens: number;
  cache_write_tokens: number;
  cost_micros: number;
  estimated: boolean;
  outcome: string;
  latency_ms: number;
};
export type CallView = {
  callId: string;
  ts: string;
  provider: string;
  api: string;
  model: string;
  servedModel: string | null;
  inputTokens: number;
  outputTokens: number;
  cacheReadTokens: number;
  cacheWriteTokens: number;
  costMicros: number;
  estimated: boolean;
  outcome: string;
  latencyMs: number;
};

/** Calls of a job in order; the cursor is the offset of the next page. */
export async function listCalls(
  tx: Tx,
  jobId: string,
  limit: number,
  cursor?: string,
): Promise<{ items: CallView[]; cursor: string | null }> {
  const offset = Number(cursor ?? 0) || 0;
  const found = await rows(
    tx,
    sql<CallRow>`select * from model_call where job_id = ${jobId} order by ts, call_id limit ${limit + 1} offset ${offset}`,
  );
  const items = found.slice(0, limit).map((call) => ({
    callId: call.call_id,
    ts: call.ts.toISOString(),
    provider: call.provider,
    api: call.api,
    model: call.model,
    servedModel: call.served_model,
    inputTokens: call.input_tokens,
    outputTokens: call.output_tokens,
    cacheReadTokens: call.cache_read_tokens,
    cacheWriteTokens: call.cache_write_tokens,
    costMicros: call.cost_micros,
    estimated: call.estimated,
    outcome: call.outcome,
    latencyMs: call.latency_ms,
  }));
  return { items, cursor: found.length > limit ? String(offset + limit) : null };
}
