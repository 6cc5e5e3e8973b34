import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type EventEnvelope, platformActor } from "@x1agent/contract";
import { migrations as budgetMigrations, lease, setBudget } from "@x1agent/domain-budgets";
import { createJob, migrations as jobMigrations, startAttempt } from "@x1agent/domain-jobs";
import { createProject, defaultSettings, migrations as projectMigrations } from "@x1agent/domain-projects";
import { appendEvents, type NewEvent, migrations as sessionMigrations } from "@x1agent/domain-sessions";
import { type Database, openDatabase, sql } from "@x1agent/kernel";
import { Intake } from "../apps/api/src/jobs/intake.ts";
import { storeReported } from "../apps/api/src/jobs/live.ts";
import { type Bench, interleave, median, pause, quantile } from "./lib.ts";

const migrations = [...projectMigrations, ...jobMigrations, ...sessionMigrations, ...budgetMigrations];
const organizationId = "org_bench";
const text = "x".repeat(150);
let serial = 0;
const next = () => {
  serial += 1;
  return serial;
};

/** An attempt of a job with a budget, so that every row has what it refers to. */
async function attempt(db: Database) {
  return db.tenant(organizationId, async (tx) => {
    const project = await createProject(tx, organizationId, { repository: `/r${next()}` });
    if (!project.ok) throw new Error(project.detail);
    const job = await createJob(tx, {
      ...{ organizationId, projectId: project.value.id, repository: "/r", createdBy: platformActor },
      settings: {
        ...{ title: "t", goal: "g", runtime: "bench", model: "m", base: null, setup: null, verify: null },
        ...{ verifyNetwork: false, ask: false, isolation: "namespaces", maxRounds: 1, budgetMicros: null },
        limits: defaultSettings.limits,
      },
    });
    await setBudget(tx, organizationId, { scope: { kind: "job", id: job.id }, window: "total", limitMicros: 1e15 });
    const made = await startAttempt(tx, job, null);
    return { jobId: job.id, attemptId: made.id, projectId: project.value.id };
  });
}

const eventOf = (attemptId: string): NewEvent => ({
  ...{ type: "agent.text", source: "reported", attemptId, turn: 1, origin: `1-${next()}` },
  payload: { messageId: "m", text },
});
const envelope = (): EventEnvelope => ({
  ...{ id: `1-${next()}`, ts: new Date().toISOString(), type: "agent.text", source: "reported", turn: 1 },
  payload: { messageId: "m", text },
});

export const bench: Bench = {
  about:
    "the embedded database, durable at every commit. limit: one plain multi-row insert of as many rows, without order, double or tenant check; peer: the same writer with one event a transaction.",
  async run({ quick }) {
    const folder = await mkdtemp(join(tmpdir(), "x1-bench-"));
    const open = async () => {
      const begin = performance.now();
      const db = await openDatabase({ folder, migrations });
      return { db, ms: performance.now() - begin };
    };
    const fresh = await open();
    await fresh.db.close();
    const reopened: number[] = [];
    for (let round = 0; round < (quick ? 1 : 3); round += 1) {
      const again = await open();
      reopened.push(again.ms);
      await again.db.close();
    }
    const { db } = await open();
    try {
      const job = await attempt(db);
      const intakeOf = (seen: (event: NewEvent) => void) =>
        new Intake({
          ...{ attemptId: job.attemptId, runtime: "bench", blobs: { put: async () => "0".repeat(64) } },
          store: (events) => storeReported({ db }, { id: job.jobId, organizationId }, "bench", events),
          live: () => {},
          seen,
          failed: (error) => {
            throw error;
          },
        });
      await db.kysely.transaction().execute(async () => {});
      const many = quick ? 1_000 : 10_000;
      const few = quick ? 50 : 300;
      const written = await interleave(quick ? 1 : 3, {
        intake: async () => {
          const intake = intakeOf(() => {});
          const begin = performance.now();
          for (let at = 0; at < many; at += 1) {
            intake.take(envelope());
            if (at % 100 === 99) await intake.ready();
          }
          await intake.flush();
          return { rate: many / ((performance.now() - begin) / 1_000) };
        },
        single: async () => {
          const begin = performance.now();
          for (let at = 0; at < few; at += 1)
            await db.tenant(organizationId, (tx) =>
              appendEvents(tx, organizationId, job.jobId, [eventOf(job.attemptId)]),
            );
          return { rate: few / ((performance.now() - begin) / 1_000) };
        },
        plain: async () => {
          const begin = performance.now();
          for (let at = 0; at < many; at += 200) {
            const events = Array.from({ length: 200 }, () => ({ ...eventOf(job.attemptId), seq: 1e9 + next() }));
            await db.tenant(organizationId, (tx) =>
              sql`insert into event (job_id, seq, organization_id, ts, type, source, attempt_id, turn, origin, payload)
                select ${job.jobId}, e.seq, ${organizationId}, now(), e.type, e.source, e."attemptId", e.turn, e.origin, e.payload
                from jsonb_to_recordset(${JSON.stringify(events)}::jsonb) as e(seq bigint, type text, source text, "attemptId" text, turn integer, origin text, payload jsonb)`.execute(
                tx,
              ),
            );
          }
          return { rate: many / ((performance.now() - begin) / 1_000) };
        },
      });

      // 2,000 events a second, 20 every 10 ms: how long until one is durable.
      const begun = new Map<string, number>();
      const durable: number[] = [];
      const intake = intakeOf((event) => {
        const at = begun.get(event.origin ?? "");
        if (at !== undefined) durable.push(performance.now() - at);
      });
      const steps = quick ? 20 : 300;
      for (let step = 0, start = performance.now(); step < steps; step += 1) {
        for (let at = 0; at < 20; at += 1) {
          const event = envelope();
          begun.set(event.id, performance.now());
          intake.take(event);
        }
        await pause(Math.max(0, start + (step + 1) * 10 - performance.now()));
      }
      await intake.flush();

      const spender = { organizationId, ...job, memberId: "m", workspaceId: "w" };
      const leased = await interleave(quick ? 1 : 3, {
        lease: async () => {
          const begin = performance.now();
          for (let at = 0; at < few; at += 1)
            await db.tenant(organizationId, (tx) =>
              lease(tx, spender, { requestId: `r${next()}`, wantMicros: 4, minMicros: 1 }),
            );
          return { ms: (performance.now() - begin) / few };
        },
        update: async () => {
          const begin = performance.now();
          for (let at = 0; at < few; at += 1)
            await db.tenant(organizationId, (tx) => sql`update budget set updated_at = now()`.execute(tx));
          return { ms: (performance.now() - begin) / few };
        },
      });
      return [
        { figure: "open, new", unit: "ms", ours: fresh.ms },
        { figure: "open, existing data", unit: "ms", ours: median(reopened) },
        {
          ...{ figure: "events a second, taken in and durable", unit: "1/s" },
          ...{ ours: written.intake.rate!, limit: written.plain.rate!, peer: written.single.rate! },
        },
        { figure: "taken in to durable at 2,000 events/s, p50", unit: "ms", ours: median(durable) },
        { figure: "taken in to durable at 2,000 events/s, p99", unit: "ms", ours: quantile(durable, 0.99) },
        {
          figure: "a lease of the budget booked (limit: one-row update)",
          unit: "ms",
          ours: leased.lease.ms!,
          limit: leased.update.ms!,
        },
      ];
    } finally {
      await db.close();
      await rm(folder, { recursive: true, force: true });
    }
  },
};
