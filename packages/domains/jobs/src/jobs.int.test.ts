import { defaultLimits, type JobState, jobStates, jobTransitions, terminalStates } from "@x1agent/contract";
import { newId, row, rows, sql, tenantTable } from "@x1agent/kernel";
import { type TemporaryDatabase, temporaryDatabase } from "@x1agent/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  changeSettings,
  claimJob,
  createJob,
  endAttempt,
  getJob,
  type JobSettings,
  listAttempts,
  listClaimable,
  listJobs,
  migrations,
  moveJob,
  ownerOf,
  parkJob,
  releaseInstance,
  releaseJob,
  renewJob,
  requestCancel,
  runningAttempt,
  setJobFacts,
  startAttempt,
} from "./index.ts";

/** What jobs need of projects: the table they refer to. */
const projects = {
  name: "projects",
  sql: `create table project (id text primary key, organization_id text not null); ${tenantTable("project")}`,
};
let db: TemporaryDatabase;
beforeAll(async () => {
  db = await temporaryDatabase([projects, ...migrations]);
  for (const org of ["org_a", "org_b"])
    await db.tenant(org, (tx) => sql`insert into project values (${`prj_${org}`}, ${org})`.execute(tx));
});
afterAll(() => db?.close());

const actor = { kind: "user", id: "usr_1" } as const;
const settings: JobSettings = {
  ...{ title: "Mend it", goal: "Mend it.", runtime: "r", model: "m", base: null, setup: null, verify: "true" },
  ...{ verifyNetwork: false, ask: false, isolation: "namespaces", maxRounds: 3, budgetMicros: null },
  limits: defaultLimits,
};
const make = (organizationId = "org_a", change: Partial<JobSettings> = {}) =>
  db.tenant(organizationId, (tx) =>
    createJob(tx, {
      ...{ organizationId, projectId: `prj_${organizationId}`, repository: "/r", createdBy: actor },
      settings: { ...settings, ...change },
    }),
  );
const within = <T>(work: Parameters<typeof db.tenant<T>>[1]) => db.tenant("org_a", work);
/** Puts a job into a state, whatever the table of moves says. */
const put = (jobId: string, state: JobState) =>
  db.asAdmin(
    `alter table job disable trigger job_guard; update job set state = '${state}' where id = '${jobId}'; alter table job enable trigger job_guard`,
  );
const move = (jobId: string, from: JobState, to: JobState) =>
  within((tx) => moveJob(tx, { jobId, from, to, reason: "created", actor }));

describe("a job", () => {
  it("comes back as it was made, NUL made visible", async () => {
    const made = await make("org_a", { goal: "a\0b", setup: "x\0" });
    expect(made).toMatchObject({ state: "queued", reason: "created", goal: "a␀b", setup: "x␀", attempt: 0, round: 0 });
    expect(await within((tx) => getJob(tx, made.id))).toEqual(made);
    expect(await db.tenant("org_b", (tx) => getJob(tx, made.id))).toBeNull();
  });

  it("is listed newest first, in pages that neither repeat nor leave out", async () => {
    const made = [];
    for (let i = 0; i < 5; i += 1) made.push((await make("org_b")).id);
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await db.tenant("org_b", (tx) => listJobs(tx, { limit: 2, cursor }));
      seen.push(...page.items.map(({ id }) => id));
      cursor = page.cursor ?? undefined;
    } while (cursor);
    expect(seen).toEqual(made.reverse());
    const queued = await db.tenant("org_b", (tx) => listJobs(tx, { limit: 9, state: "running" }));
    expect(queued.items).toEqual([]);
  });

  it("is found by state, runtime, maker and words", async () => {
    const { id } = await make("org_b", { goal: "Mend the PARSER", runtime: "one" });
    await make("org_b", { goal: "Write a manual_100%", runtime: "two" });
    const found = async (filter: object) =>
      (await db.tenant("org_b", (tx) => listJobs(tx, { limit: 9, ...filter }))).items.map((job) => job.id);
    expect(await found({ q: "PARSER the" })).toEqual([id]);
    expect(await found({ q: "parser manual" })).toEqual([]);
    // A pattern's signs are letters here.
    expect(await found({ q: "l_1" })).toHaveLength(1);
    expect(await found({ q: "m_n" })).toEqual([]);
    expect(await found({ runtime: "one", q: "parser" })).toEqual([id]);
    expect(await found({ states: ["queued", "running"], q: "parser" })).toEqual([id]);
    expect(await found({ states: ["running"] })).toEqual([]);
    expect(await found({ createdBy: "nobody" })).toEqual([]);
  });

  it("keeps facts and settings that were not spoken of", async () => {
    const { id } = await make();
    await within((tx) => setJobFacts(tx, id, { baseCommit: "c".repeat(40), round: 2 }));
    await within((tx) => setJobFacts(tx, id, { approvalDigest: "d" }));
    await within((tx) => setJobFacts(tx, id, {}));
    await within((tx) => changeSettings(tx, id, { model: "other" }));
    expect(await within((tx) => getJob(tx, id))).toMatchObject({
      ...{ baseCommit: "c".repeat(40), round: 2, approvalDigest: "d", model: "other", runtime: "r" },
    });
  });
});

describe("moves", () => {
  it("are those of the contract, in the database too", async () => {
    const known = await within((tx) =>
      rows(tx, sql<{ from: JobState; to: JobState }>`select from_state as "from", to_state as "to" from job_move`),
    );
    for (const from of jobStates)
      expect(
        known
          .filter((move) => move.from === from)
          .map(({ to }) => to)
          .sort(),
      ).toEqual([...jobTransitions[from]].sort());
    const { id } = await make();
    const force = (to: JobState) => within((tx) => sql`update job set state = ${to} where id = ${id}`.execute(tx));
    await expect(force("succeeded")).rejects.toThrow(/may not move from queued to succeeded/);
    await force("provisioning");
    await expect(within((tx) => sql`delete from job_move`.execute(tx))).rejects.toThrow(/permission denied/);
  });

  it("happen for one of many who try, from the state they saw", async () => {
    const { id } = await make();
    const tried = await Promise.all(Array.from({ length: 10 }, () => move(id, "queued", "provisioning")));
    expect(tried.filter(({ ok }) => ok)).toHaveLength(1);
    expect(tried.find(({ ok }) => !ok)).toMatchObject({
      code: "illegal_transition",
      detail: expect.stringContaining("is provisioning"),
    });
    expect(await move(id, "provisioning", "succeeded")).toMatchObject({ ok: false, code: "illegal_transition" });
    expect(await move(newId("job"), "queued", "provisioning")).toMatchObject({ ok: false, code: "not_found" });
    expect(
      await db.tenant("org_b", (tx) =>
        moveJob(tx, { jobId: id, from: "provisioning", to: "running", reason: "created", actor }),
      ),
    ).toMatchObject({ code: "not_found" });
  });

  it("to an end let go of the loop's lease; back to the queue they forget a cancel", async () => {
    for (const end of terminalStates) {
      const { id } = await make();
      await put(id, jobStates.find((state) => jobTransitions[state].some((to) => to === end))!);
      const before = (await within((tx) => getJob(tx, id)))!;
      await within((tx) => claimJob(tx, id, "loop", 60_000));
      expect(await move(id, before.state, end)).toMatchObject({
        ok: true,
        value: { state: end, endedAt: expect.any(String) },
      });
      expect(await within((tx) => ownerOf(tx, id))).toBeNull();
    }
    const { id } = await make();
    await move(id, "queued", "provisioning");
    await within((tx) => requestCancel(tx, id, actor));
    expect(await move(id, "provisioning", "queued")).toMatchObject({ ok: true, value: { cancelRequested: null } });
  });

  it("back to the queue let rounds count anew where a person or the forge made them, and not after a loss", async () => {
    const working: JobState[] = ["provisioning", "running", "awaiting_input", "verifying"];
    for (const from of jobStates.filter((state) => jobTransitions[state].includes("queued"))) {
      const { id } = await make();
      await within((tx) => setJobFacts(tx, id, { round: 4 }));
      await put(id, from);
      const roundsBefore = working.includes(from) ? 0 : 4;
      expect(await move(id, from, "queued"), from).toMatchObject({ ok: true, value: { round: 4, roundsBefore } });
    }
  });
});

describe("the loop's lease", () => {
  it("goes to one of many, is kept by renewing and free after silence or release", async () => {
    const { id } = await make();
    const claim = (owner: string, ttl = 60_000) => within((tx) => claimJob(tx, id, owner, ttl));
    const claims = await Promise.all(Array.from({ length: 10 }, (_, i) => claim(`loop${i}`)));
    expect(claims.filter((job) => job !== null)).toHaveLength(1);
    const owner = (await within((tx) => ownerOf(tx, id)))!;
    expect(await within((tx) => renewJob(tx, id, "another", 60_000))).toBe(false);
    expect(await within((tx) => renewJob(tx, id, owner, 60_000))).toBe(true);
    expect(await within((tx) => listClaimable(tx))).not.toContain(id);
    await within((tx) => sql`update job set owner_until = now() - interval '1 second' where id = ${id}`.execute(tx));
    expect(await within((tx) => listClaimable(tx))).toContain(id);
    expect(await claim("second")).toMatchObject({ id });
    expect(await within((tx) => renewJob(tx, id, owner, 60_000))).toBe(false);
    await within((tx) => releaseJob(tx, id, owner));
    expect(await within((tx) => ownerOf(tx, id))).toBe("second");
    await within((tx) => releaseJob(tx, id, "second"));
    expect(await claim("third")).toMatchObject({ id });
  });

  it("of an installation's earlier process is free at its next start, and nobody else's", async () => {
    const held = async (owner: string) => {
      const { id } = await make();
      await within((tx) => claimJob(tx, id, owner, 60_000));
      return id;
    };
    const [ours, others, longer] = [await held("one:a"), await held("two:a"), await held("one2:a")];
    await within((tx) => releaseInstance(tx, "one"));
    const owners = await Promise.all([ours, others, longer].map((id) => within((tx) => ownerOf(tx, id))));
    expect(owners).toEqual([null, "two:a", "one2:a"]);
  });

  it("waits while the job is parked, which happens in the state that was seen", async () => {
    const { id } = await make();
    const park = (state: JobState) =>
      within((tx) => parkJob(tx, { jobId: id, state, reason: "forge_waiting", detail: "away", delayMs: () => 60_000 }));
    expect(await park("publishing")).toBeNull();
    expect(await within((tx) => getJob(tx, id))).toMatchObject({ reason: "created", waits: 0 });
    expect(await park("queued")).toMatchObject({ waits: 1, job: { state: "queued", reason: "forge_waiting" } });
    expect(await within((tx) => claimJob(tx, id, "loop", 1_000))).toBeNull();
    expect(await within((tx) => listClaimable(tx, 10_000))).not.toContain(id);
  });

  it("is not for jobs that have ended or wait for a person, save to cancel them", async () => {
    const { id } = await make();
    const claimable = async () => (await within((tx) => listClaimable(tx, 10_000))).includes(id);
    await put(id, "awaiting_approval");
    expect(await claimable()).toBe(false);
    expect(await within((tx) => requestCancel(tx, id, actor))).toMatchObject({ ok: true });
    expect(await claimable()).toBe(true);
    await put(id, "cancelled");
    expect(await claimable()).toBe(false);
    expect(await within((tx) => claimJob(tx, id, "loop", 1_000))).toBeNull();
    expect(await within((tx) => requestCancel(tx, id, actor))).toMatchObject({ ok: false, code: "job_finished" });
  });

  it("is for jobs that went on while their attempt did not end: its process died between the two", async () => {
    const claimable = async (id: string) => (await within((tx) => listClaimable(tx, 10_000))).includes(id);
    for (const state of [...terminalStates, "awaiting_approval"] as const) {
      const job = await make();
      const { id: attemptId } = await within((tx) => startAttempt(tx, job, null));
      await put(job.id, state);
      const ended = state !== "awaiting_approval";
      if (ended) {
        await within((tx) => sql`update job set ended_at = now() where id = ${job.id}`.execute(tx));
        // The process that ended it may be clearing away now, without the lease.
        expect(await claimable(job.id)).toBe(false);
        expect(await within((tx) => claimJob(tx, job.id, "loop", 1_000))).toBeNull();
        await within((tx) =>
          sql`update job set ended_at = now() - interval '61 seconds' where id = ${job.id}`.execute(tx),
        );
      }
      expect(await claimable(job.id)).toBe(true);
      expect(await within((tx) => claimJob(tx, job.id, "loop", 60_000))).toMatchObject({ id: job.id, state });
      expect(await claimable(job.id)).toBe(false);
      await within((tx) => endAttempt(tx, attemptId, state, "service_lost"));
      await within((tx) => releaseJob(tx, job.id, "loop"));
      expect(await claimable(job.id)).toBe(false);
      if (ended) expect(await within((tx) => claimJob(tx, job.id, "loop", 1_000))).toBeNull();
    }
  });
});

describe("attempts", () => {
  it("run one at a time and end once", async () => {
    const job = await make();
    const start = () => within((tx) => startAttempt(tx, job, null));
    const first = await start();
    await expect(start()).rejects.toThrow(/attempt_one_running/);
    const ends = await Promise.all(
      [1, 2, 3].map(() => within((tx) => endAttempt(tx, first.id, "lost", "service_lost"))),
    );
    expect(ends.filter(Boolean)).toHaveLength(1);
    const second = await start();
    expect(second.number).toBe(2);
    expect(await within((tx) => runningAttempt(tx, job.id))).toEqual(second);
    expect((await within((tx) => listAttempts(tx, job.id))).map(({ outcome }) => outcome)).toEqual(["lost", null]);
    const counted = await within((tx) =>
      row(tx, sql<{ attempt: number }>`select attempt from job where id = ${job.id}`),
    );
    expect(counted).toEqual({ attempt: 2 });
  });
});
