import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { migrations as approvalMigrations } from "@x1agent/domain-approvals";
import { migrations as budgetMigrations } from "@x1agent/domain-budgets";
import { migrations as forgeMigrations } from "@x1agent/domain-forges";
import { migrations as jobMigrations } from "@x1agent/domain-jobs";
import { migrations as projectMigrations } from "@x1agent/domain-projects";
import { type Database, openDatabase, sql } from "@x1agent/kernel";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { csvField, spanOf, spendUseCases } from "./spend.ts";

let folder: string;
let db: Database;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "x1-spend-"));
  const migrations = [
    ...projectMigrations,
    ...jobMigrations,
    ...budgetMigrations,
    ...approvalMigrations,
    ...forgeMigrations,
  ];
  db = await openDatabase({ folder: join(folder, "pg"), migrations });
  await plant("org_a", "a");
  await plant("org_b", "b");
});
afterAll(async () => {
  await db?.close();
  await rm(folder, { recursive: true, force: true });
});

/** Two jobs of one project: one published, one failed, with three calls on two days. */
async function plant(org: string, tag: string): Promise<void> {
  const actor = JSON.stringify({ kind: "user", id: `usr_${tag}` });
  await db.tenant(org, async (tx) => {
    await sql`insert into project (id, organization_id, name, repository, settings) values (${`prj_${tag}`}, ${org}, ${`Project ${tag}`}, '/r', '{}')`.execute(
      tx,
    );
    for (const [id, state, commit, title] of [
      ["1", "succeeded", "c0ffee", "=HYPERLINK(1)"],
      ["2", "failed", null, 'said "no", twice'],
    ] as const) {
      await sql`insert into job (id, organization_id, project_id, title, goal, repository, state, reason, actor, settings, published_commit, created_by)
        values (${`job_${tag}${id}`}, ${org}, ${`prj_${tag}`}, ${title}, 'g', '/r', ${state}, 'created', ${actor}, ${JSON.stringify({ runtime: `r${id}` })}, ${commit}, ${actor})`.execute(
        tx,
      );
    }
    for (const [n, job, model, micros, estimated, ts] of [
      [1, "1", "small", 300, false, "2026-03-01T23:59:59.999Z"],
      [2, "1", "large", 1_000, true, "2026-03-02T00:00:00Z"],
      [3, "2", "small", 700, false, "2026-03-02T10:00:00Z"],
      [4, "2", "small", 5_000, false, "2026-04-01T00:00:00Z"],
    ] as const)
      await sql`insert into model_call (call_id, organization_id, project_id, member_id, job_id, attempt_id, lease_id, provider, api, model, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, cost_micros, estimated, outcome, latency_ms, grant_id, ts)
        values (${`${tag}${n}`}, ${org}, ${`prj_${tag}`}, ${`usr_${tag}`}, ${`job_${tag}${job}`}, 'att', 'lea', 'p', 'a', ${model}, 10, 20, 0, 0, ${micros}, ${estimated}, 'ok', 1, 'g', ${ts})`.execute(
        tx,
      );
    await sql`insert into forge_connection (id, organization_id, forge, base_url, kind, account, acts_as, state, created_by)
      values (${`con_${tag}`}, ${org}, 'hub', 'https://forge.example', 'token', 'ann', 'ann', 'active', ${actor})`.execute(
      tx,
    );
    for (const [n, outcome, at] of [
      [1, "reverted", "2026-03-02T10:00:00Z"],
      [2, "merged_after_changes", "2026-04-02T10:00:00Z"],
    ] as const)
      await sql`insert into pull_request (job_id, organization_id, connection_id, repository, number, head_branch, base_branch, state, outcome, created_at)
        values (${`job_${tag}${n}`}, ${org}, ${`con_${tag}`}, '7', ${n}, 'x1/a', 'main', 'merged', ${outcome}, ${at})`.execute(
        tx,
      );
    await sql`insert into evidence (id, organization_id, job_id, attempt_id, round, record, record_digest, pull_request, created_at) values (${`evd_${tag}`}, ${org}, ${`job_${tag}1`}, 'att', 1, '{}', 'd', '{}', '2026-03-02T00:00:00Z')`.execute(
      tx,
    );
    await sql`insert into approval (id, organization_id, job_id, evidence_id, decision, digest, actor, created_at) values (${`apr_${tag}`}, ${org}, ${`job_${tag}1`}, ${`evd_${tag}`}, 'approve', 'd', ${actor}, '2026-03-02T00:00:05Z')`.execute(
      tx,
    );
  });
}

const caller = { organizationId: "org_a", actor: { kind: "user", id: "usr_a" } } as const;
const march = { since: "2026-03-01T00:00:00Z", until: "2026-04-01T00:00:00Z" };

describe("the spend report", () => {
  it("adds up one organization's calls of the asked time, the first moment in and the last out", async () => {
    const answer = await spendUseCases(db).report(caller, march);
    if (!answer.ok) throw new Error(answer.detail);
    expect(answer.value).toMatchObject({
      totalMicros: 2_000,
      estimatedMicros: 1_000,
      jobs: 2,
      publishedJobs: 1,
      microsPerPublished: 2_000,
      medianDecisionMs: 5_000,
      outcomes: { open: 0, merged: 0, mergedAfterChanges: 0, closed: 0, reverted: 1 },
      days: [
        { day: "2026-03-01", project: "Project a", micros: 300 },
        { day: "2026-03-02", project: "Project a", micros: 1_700 },
      ],
      by: {
        project: [{ key: "prj_a", name: "Project a", micros: 2_000, calls: 3, jobs: 2 }],
        runtime: [
          { key: "r1", micros: 1_300, jobs: 1 },
          { key: "r2", micros: 700, jobs: 1 },
        ],
        model: [
          { key: "large", micros: 1_000 },
          { key: "small", micros: 1_000, calls: 2 },
        ],
        member: [{ key: "usr_a", micros: 2_000 }],
      },
      top: [
        { jobId: "job_a1", state: "succeeded", micros: 1_300 },
        { jobId: "job_a2", micros: 700 },
      ],
    });
  });

  it("is empty where nothing was spent, and has no cost per published change then", async () => {
    const answer = await spendUseCases(db).report(caller, {
      since: "2020-01-01T00:00:00Z",
      until: "2020-02-01T00:00:00Z",
    });
    expect(answer).toMatchObject({
      ok: true,
      value: { totalMicros: 0, microsPerPublished: null, medianDecisionMs: null, days: [], top: [] },
    });
  });

  it("comes as CSV in which no title is a formula", async () => {
    const answer = await spendUseCases(db).csv(caller, march);
    if (!answer.ok) throw new Error(answer.detail);
    const lines = answer.value.split("\r\n");
    expect(lines).toHaveLength(5);
    expect(lines[1]).toBe("2026-03-01,job_a1,'=HYPERLINK(1),Project a,r1,usr_a,p,small,1,10,20,0,0,0.000300");
    expect(lines[3]).toContain('"said ""no"", twice"');
    expect(answer.value).not.toContain("usr_b");
  });

  it("refuses a time that ends before it begins, and one that is too long", () => {
    expect(spanOf({ since: march.until, until: march.since }).ok).toBe(false);
    expect(spanOf({ since: "2020-01-01T00:00:00Z", until: march.until }).ok).toBe(false);
    expect(spanOf({}, 86_400_000 * 40)).toMatchObject({ ok: true, value: { since: new Date(86_400_000 * 10) } });
    expect(csvField("-1")).toBe("'-1");
    expect(csvField(-1)).toBe("-1");
  });
});
