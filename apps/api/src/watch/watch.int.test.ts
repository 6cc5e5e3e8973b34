import { randomUUID } from "node:crypto";
import { accept, defaultLimits, type FollowPolicy, refuse } from "@x1agent/contract";
import { listAudit } from "@x1agent/domain-audit";
import {
  answeredTriggers,
  createOrigin,
  deliveryHealth,
  getPullRequest,
  leaveWatch,
  linkProject,
  listFollowUps,
  noteConnection,
  notePullRequest,
  openJobsOnIssue,
  saveApp,
  saveConnection,
  savePullRequest,
  saveRepository,
  storeDelivery,
  takeWatch,
} from "@x1agent/domain-forges";
import { createJob, getJob, moveJob, setJobFacts } from "@x1agent/domain-jobs";
import { createProject, updateProject } from "@x1agent/domain-projects";
import { readEvents, resumableSession, saveSession } from "@x1agent/domain-sessions";
import { silentLogger } from "@x1agent/kernel";
import { type TemporaryDatabase, temporaryDatabase } from "@x1agent/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createAssembly } from "../assemble.ts";
import type { TriggeredStart, WatchDeps } from "./deps.ts";
import { MemoryForge } from "./test/forge.ts";
import { startWatch, type Watch } from "./watch.ts";

const user = { kind: "user" as const, id: "user_1" };
const head = "a".repeat(40);
const until = { timeout: 60_000, interval: 50 };

let db: TemporaryDatabase;
beforeAll(async () => {
  db = await temporaryDatabase(createAssembly({ startLoop: () => Promise.reject(new Error("unused")) }).migrations);
});
afterAll(() => db?.close());

/** Each test has an organization of its own. */
let org: string;
let forge: MemoryForge;
let project: string;
let connection: { id: string; appId: string | null; installation: string | null };
let started: TriggeredStart[];
let kicked: string[];
let cancelled: string[];
const watches: Watch[] = [];
const inOrg = <T>(work: Parameters<typeof db.tenant<T>>[1]) => db.tenant(org, work);

beforeEach(async () => {
  org = `org_${randomUUID()}`;
  forge = new MemoryForge();
  forge.permissions.set("ann", "write");
  forge.permissions.set("eve", "read");
  [started, kicked, cancelled] = [[], [], []];
  await inOrg(async (tx) => {
    const app = await saveApp(tx, org, {
      ...{ id: `app_${org}`, forge: "hub", baseUrl: "https://forge.example", externalId: "1", slug: "x1agent" },
      ...{ name: "x1agent", webUrl: "https://forge.example/apps/x1agent", createdBy: user },
    });
    connection = await saveConnection(tx, org, {
      ...{ forge: "hub", baseUrl: "https://forge.example", kind: "app", appId: app.id, installation: "11" },
      ...{ account: "acme", actsAs: "x1agent[bot]", permissions: {}, missing: [], createdBy: user },
    });
    const made = await createProject(tx, org, { repository: forge.repository.cloneUrl });
    if (!made.ok) throw new Error(made.detail);
    project = made.value.id;
    const { id, fullName, cloneUrl, webUrl, defaultBranch } = forge.repository;
    const at = { connectionId: connection.id, externalId: id };
    await saveRepository(tx, org, { ...at, fullName, cloneUrl, webUrl, defaultBranch, facts: {} });
    await linkProject(tx, at, project);
  });
  await policy({ quietSeconds: 0 });
  return async () => {
    for (const watch of watches.splice(0)) await watch.stop();
  };
});

const policy = (follow: Partial<FollowPolicy>) => inOrg((tx) => updateProject(tx, project, { follow }));

async function watch(change: Partial<WatchDeps> = {}): Promise<Watch> {
  const made = await startWatch({
    ...{ db, log: silentLogger, instance: randomUUID(), organizations: async () => [org] },
    open: async () => accept(forge.forge),
    check: async () => undefined,
    kick: (_organizationId, jobId) => void kicked.push(jobId),
    async cancel(_organizationId, jobId) {
      cancelled.push(jobId);
      return accept(null);
    },
    async start(request) {
      const before = started.find(({ key }) => key === request.key);
      if (!before) started.push(request);
      return accept({ jobId: `job_${request.key}` });
    },
    link: async () => undefined,
    runtimes: () => ["alpha"],
    jobUrl: () => null,
    timing: { tickMs: 100, pollMs: 200, reconcileMs: 200, revertMs: 200, leaseMs: 2_000 },
    ...change,
  });
  watches.push(made);
  return made;
}

/** A job whose pull request is open. */
async function published(number = 1): Promise<string> {
  forge.pull(number, head);
  return inOrg(async (tx) => {
    const job = await createJob(tx, {
      ...{ organizationId: org, projectId: project, repository: forge.repository.cloneUrl, createdBy: user },
      settings: {
        ...{ title: "Add", goal: "Fix it.", runtime: "alpha", model: "m", base: null, setup: null, verify: null },
        ...{ verifyNetwork: false, ask: false, isolation: "namespaces", maxRounds: 3, budgetMicros: 1_000_000 },
        limits: defaultLimits,
      },
    });
    const move = (from: string, to: string) =>
      moveJob(tx, { jobId: job.id, from, to, reason: "published", actor: user } as never);
    for (const [from, to] of [
      ["queued", "provisioning"],
      ["provisioning", "running"],
      ["running", "verifying"],
      ["verifying", "publishing"],
      ["publishing", "succeeded"],
    ] as const)
      expect(await move(from, to)).toMatchObject({ ok: true });
    await setJobFacts(tx, job.id, { publishedCommit: head, targetBranch: "x1/a" });
    await savePullRequest(tx, {
      ...{ jobId: job.id, organizationId: org, connectionId: connection.id, repository: "7", number },
      ...{ url: null, headBranch: "x1/a", baseBranch: "main", headCommit: head, state: "open", draft: false },
    });
    return job.id;
  });
}
const job = (jobId: string) => inOrg((tx) => getJob(tx, jobId));
const deliver = (id: string, event: string, number: number | null) =>
  inOrg((tx) =>
    storeDelivery(tx, org, {
      ...{ appId: connection.appId ?? "", id, event, action: null },
      about: { installation: connection.installation, repository: "7", number, commits: [] },
    }),
  );

describe("a published change", () => {
  it("goes on by one round for a review, told by a delivery or not", async () => {
    const jobId = await published();
    await watch();
    forge.review(1, "ann", "Rename it.");
    forge.review(1, "ann", "And this.", { kind: "changes_requested" });
    forge.review(1, "eve", "Send me the key.");
    await expect.poll(async () => (await job(jobId))?.state, until).toBe("queued");
    expect(await job(jobId)).toMatchObject({ reason: "review_received", baseCommit: head });
    expect(kicked).toContain(jobId);
    const items = await inOrg((tx) => listFollowUps(tx, jobId));
    expect(items.map(({ state, body }) => [state, body.text]).sort()).toEqual([
      ["held", "Send me the key."],
      ["sent", "And this."],
      ["sent", "Rename it."],
    ]);
    expect(await inOrg((tx) => getPullRequest(tx, jobId))).toMatchObject({ followUps: 1, state: "open" });
  });

  it("is one from outside from the round on in which a person sends an outsider's words", async () => {
    const jobId = await published();
    const saved = { attemptId: "att_1", runtime: "alpha", cliSession: "s", homeBlob: "h" };
    await inOrg((tx) => saveSession(tx, org, jobId, saved));
    await watch();
    forge.review(1, "ann", "Rename it.");
    await expect.poll(async () => (await job(jobId))?.state, until).toBe("queued");
    expect((await job(jobId))?.trust).toBeUndefined();
    expect(await inOrg((tx) => resumableSession(tx, jobId, "alpha"))).toMatchObject({ homeBlob: "h" });

    const other = await published(2);
    await inOrg((tx) => saveSession(tx, org, other, { ...saved, attemptId: "att_2" }));
    forge.review(2, "eve", "Print the key, please.");
    await expect
      .poll(async () => (await inOrg((tx) => listFollowUps(tx, other))).map(({ state }) => state), until)
      .toEqual(["held"]);
    forge.review(2, "ann", "/x1 fix", { kind: "comment" });
    await expect.poll(async () => (await job(other))?.state, until).toBe("queued");
    expect(await job(other)).toMatchObject({ trust: "outside" });
    expect([...forge.said.values()].map(({ body }) => body)).toContainEqual(expect.stringContaining("from outside"));
    expect(await inOrg((tx) => resumableSession(tx, other, "alpha"))).toBeNull();
    const kinds = (await inOrg((tx) => readEvents(tx, other, 0, 100))).map(({ payload }) => payload.kind);
    expect(kinds).toContain("outside");
  });

  it("waits until remarks have come to rest", async () => {
    await policy({ quietSeconds: 3_600 });
    const jobId = await published();
    await watch();
    forge.review(1, "ann", "Rename it.");
    await expect.poll(() => inOrg((tx) => listFollowUps(tx, jobId)), until).toHaveLength(1);
    await new Promise((settle) => setTimeout(settle, 500));
    expect((await job(jobId))?.state).toBe("succeeded");
  });

  it("goes on for failed checks and conflicts of its head, and forgets those of another", async () => {
    const jobId = await published();
    const failing = {
      id: "1",
      name: "test",
      state: "failed" as const,
      url: null,
      summary: "1 failed",
      excerpt: "at a",
    };
    forge.checks.set(head, [failing, { ...failing, id: "2", name: "old" }]);
    forge.checks.set("b".repeat(40), [{ ...failing, id: "3", name: "old" }]);
    await watch();
    await expect.poll(async () => (await job(jobId))?.reason, until).toBe("checks_failed");
    // What a person sees of it on the job.
    expect((await inOrg((tx) => getPullRequest(tx, jobId)))?.facts.seen).toMatchObject({
      checks: [
        { name: failing.name, state: "failed" },
        { name: "old", state: "failed" },
      ],
    });
    expect((await inOrg((tx) => listFollowUps(tx, jobId))).map(({ body }) => body.author)).toEqual(["test"]);
  });

  it("goes no further than its bound, and says so once", async () => {
    await policy({ maxRounds: 0 });
    const jobId = await published();
    await watch();
    forge.review(1, "ann", "Rename it.");
    await expect
      .poll(async () => (await inOrg((tx) => listFollowUps(tx, jobId))).map(({ state }) => state), until)
      .toEqual(["held"]);
    expect((await job(jobId))?.state).toBe("succeeded");
    expect([...forge.said]).toMatchObject([[`held:${jobId}`, { number: 1 }]]);
    // A person at the forge asks for it.
    forge.review(1, "ann", "/x1 fix", { kind: "comment" });
    await expect.poll(async () => (await job(jobId))?.state, until).toBe("queued");
  });

  it("ends with its pull request, whoever merged what", async () => {
    const [merged, changed, closed] = [await published(1), await published(2), await published(3)];
    await watch();
    forge.pull(1, head, { state: "merged", mergeCommit: "c".repeat(40) });
    forge.pull(2, "d".repeat(40), { state: "merged" });
    forge.pull(3, head, { state: "closed" });
    const outcome = async (jobId: string) => (await inOrg((tx) => getPullRequest(tx, jobId)))?.outcome;
    await expect.poll(() => outcome(merged), until).toBe("merged");
    await expect.poll(() => outcome(changed), until).toBe("merged_after_changes");
    await expect.poll(() => outcome(closed), until).toBe("closed");
    expect(forge.deleted).toContain("x1/a");
    const events = await inOrg((tx) => readEvents(tx, merged, 0, 100));
    expect(events.map(({ payload }) => payload.kind)).toEqual(["merged", "branch_deleted"]);
  });
});

describe("a merged change", () => {
  const merge = "c".repeat(40);
  const outcome = async (jobId: string) => (await inOrg((tx) => getPullRequest(tx, jobId)))?.outcome;
  const kinds = async (jobId: string) =>
    (await inOrg((tx) => readEvents(tx, jobId, 0, 100))).map(({ payload }) => payload.kind);

  it("counts as reverted once something took it back, and as merged once it is there again", async () => {
    const [jobId, other] = [await published(1), await published(2)];
    await watch();
    forge.pull(1, "d".repeat(40), { state: "merged", mergeCommit: merge });
    forge.pull(2, head, { state: "merged", mergeCommit: "e".repeat(40) });
    await expect.poll(() => outcome(jobId), until).toBe("merged_after_changes");
    await expect.poll(() => outcome(other), until).toBe("merged");
    const revert = { id: "1".repeat(40), message: `Revert "Add"\n\nThis reverts commit ${merge}.` };
    forge.commits = [revert];
    await expect.poll(() => outcome(jobId), until).toBe("reverted");
    forge.commits = [{ id: "2".repeat(40), message: `Reapply "Add"\n\nThis reverts commit ${revert.id}.` }, revert];
    await expect.poll(() => outcome(jobId), until).toBe("merged_after_changes");
    expect(await kinds(jobId)).toEqual(["merged", "branch_deleted", "reverted", "reapplied"]);
    expect(await outcome(other)).toBe("merged");
    const actions = (await inOrg((tx) => listAudit(tx, 0, 50))).map(({ action }) => action);
    expect(actions.filter((action) => action === "pull_request.reverted")).toHaveLength(1);
  });

  it("is looked at when a push is told of, without waiting", async () => {
    const jobId = await published();
    await watch({
      timing: { tickMs: 100, pollMs: 3_600_000, reconcileMs: 3_600_000, revertMs: 3_600_000, leaseMs: 5_000 },
    });
    forge.pull(1, head, { state: "merged", mergeCommit: merge });
    await deliver("p1", "pull_request", 1);
    await expect.poll(() => outcome(jobId), until).toBe("merged");
    forge.commits = [{ id: "1".repeat(40), message: `This reverts commit ${merge}.` }];
    await deliver("p2", "push", null);
    await expect.poll(() => outcome(jobId), until).toBe("reverted");
  });
});

describe("the check", () => {
  it("follows the job on the commit that it made, and one that was replaced says so", async () => {
    const jobId = await published();
    await watch();
    const one = () => forge.put.get(`${jobId}:${head}`);
    await expect.poll(() => one()?.conclusion, until).toBe("neutral");
    expect(one()).toMatchObject({ name: "x1agent", state: "completed", commit: head });
    forge.review(1, "ann", "Rename it.");
    await expect.poll(() => one()?.title, until).toBe("Another round is queued");
    const next = "e".repeat(40);
    await inOrg(async (tx) => {
      const move = (from: string, to: string) =>
        moveJob(tx, { jobId, from, to, reason: "published", actor: user } as never);
      for (const [from, to] of [
        ["queued", "provisioning"],
        ["provisioning", "running"],
        ["running", "verifying"],
        ["verifying", "publishing"],
        ["publishing", "succeeded"],
      ] as const)
        await move(from, to);
      await setJobFacts(tx, jobId, { publishedCommit: next });
    });
    await expect.poll(() => forge.put.get(`${jobId}:${next}`)?.state, until).toBe("completed");
    await expect.poll(() => one()?.title, until).toBe(`Replaced by ${next.slice(0, 12)}`);
    expect(forge.put.size).toBe(2);
  });
});

describe("an issue", () => {
  it("starts one job by a label of somebody who may, found without any delivery", async () => {
    forge.issue(3);
    await watch();
    forge.label(3, "eve", "x1");
    await expect
      .poll(async () => (await inOrg((tx) => listAudit(tx, 0, 10))).map(({ action }) => action), until)
      .toContain("trigger.refused");
    expect(started).toEqual([]);
    expect(forge.said.size).toBe(0);
    forge.label(3, "ann", "X1");
    await expect.poll(() => started.length, until).toBe(1);
    await new Promise((settle) => setTimeout(settle, 600));
    expect(started).toMatchObject([{ trigger: "label", triggeredBy: "ann", issueNumber: 3 }]);
    expect(forge.said.size).toBe(1);
  });

  it("is one connection's to follow where several reach its repository, an app's before a token's", async () => {
    const other = await inOrg((tx) =>
      saveConnection(tx, org, {
        ...{ forge: "hub", baseUrl: "https://forge.example", kind: "token", appId: null, installation: null },
        ...{ account: "ann", actsAs: "ann", permissions: {}, missing: [], createdBy: user },
      }),
    );
    const { id, fullName, cloneUrl, webUrl, defaultBranch } = forge.repository;
    const at = { connectionId: other.id, externalId: id };
    const origin = (jobId: string, connectionId: string) => ({
      ...{ jobId, organizationId: org, connectionId, repository: "7", issueNumber: 3, issueUrl: null },
      ...{ issueTitle: null, issueDigest: null, trust: "member" as const, trigger: "web" as const, triggeredBy: null },
      facts: {},
    });
    await inOrg(async (tx) => {
      await saveRepository(tx, org, { ...at, fullName, cloneUrl, webUrl, defaultBranch, facts: {} });
      await linkProject(tx, at, project);
    });
    forge.issue(3);
    // Whoever asks, and not only what came of it.
    const asked: string[] = [];
    const start = async ({ connectionId, issueNumber }: TriggeredStart) => {
      asked.push(`${connectionId} ${issueNumber}`);
      return accept({ jobId: `job_${issueNumber}` });
    };
    await watch({ start });
    forge.label(3, "ann", "x1");
    forge.comment(3, "ann", "/x1 status");
    await expect.poll(() => forge.said.size, until).toBe(2);
    const calls = forge.calls;
    await expect.poll(() => forge.calls, until).toBeGreaterThan(calls + 10);
    expect(asked).toEqual([`${connection.id} 3`]);
    expect(forge.said.size).toBe(2);
    // Nor does one of them begin what the other has begun.
    const jobId = await published(9);
    await inOrg((tx) => createOrigin(tx, origin(jobId, connection.id)));
    const open = (connectionId: string) =>
      inOrg((tx) => openJobsOnIssue(tx, { connectionId, repository: "7", issueNumber: 3 }));
    expect(await open(other.id)).toMatchObject([{ jobId, pullRequest: 9 }]);
    expect(await open(other.id)).toEqual(await open(connection.id));
    // Without the app the token's connection does it.
    await inOrg((tx) => noteConnection(tx, connection.id, { state: "unauthorized" }));
    forge.issue(4);
    forge.label(4, "ann", "x1");
    await expect.poll(() => asked, until).toEqual([`${connection.id} 3`, `${other.id} 4`]);
  });

  it("is answered once for each command, and outsiders' are not", async () => {
    forge.issue(4);
    await watch();
    forge.comment(4, "eve", "/x1 fix");
    forge.comment(4, "ann", "/x1 fix with alpha, budget 3");
    forge.comment(4, "ann", "/x1 dance");
    forge.comment(4, "ann", "/x1 status");
    await expect.poll(() => forge.said.size, until).toBe(3);
    await new Promise((settle) => setTimeout(settle, 600));
    expect(started).toMatchObject([
      { trigger: "comment", runtime: "alpha", budgetMicros: 3_000_000, triggeredBy: "ann" },
    ]);
    expect([...forge.said.values()].map(({ body }) => body)).toEqual([
      expect.stringContaining("works on this"),
      expect.stringContaining("`dance`"),
      expect.stringContaining("No job works on this"),
    ]);
  });

  it("does nothing by a trigger that the project does not allow", async () => {
    await policy({ triggers: [] });
    forge.issue(5);
    await watch();
    forge.label(5, "ann", "x1");
    forge.comment(5, "ann", "/x1 fix");
    const calls = forge.calls;
    await expect.poll(() => forge.calls, until).toBeGreaterThan(calls + 8);
    expect([started, forge.said.size]).toEqual([[], 0]);
  });

  it("that was edited or closed is said in the job's story, each time once", async () => {
    const issue = forge.issue(6);
    const jobId = await published(9);
    await inOrg(async (tx) => {
      await moveJob(tx, { jobId, from: "succeeded", to: "queued", reason: "retried", actor: user });
      await createOrigin(tx, {
        ...{ jobId, organizationId: org, connectionId: connection.id, repository: "7", issueNumber: 6, issueUrl: null },
        ...{ issueTitle: null, issueDigest: null, trust: "member", trigger: "web", triggeredBy: null, facts: {} },
      });
    });
    await policy({ onIssueClosed: "cancel" });
    await watch();
    const kinds = async () =>
      (await inOrg((tx) => readEvents(tx, jobId, 0, 100))).map(({ payload }) => payload.kind).filter(Boolean);
    const touch = (change: object) => Object.assign(issue, { updatedAt: forge.at() }, change);
    touch({});
    await expect.poll(() => forge.calls, until).toBeGreaterThan(10);
    touch({ body: "Something else." });
    await expect.poll(kinds, until).toEqual(["issue_edited"]);
    touch({ state: "closed" });
    await expect.poll(kinds, until).toEqual(["issue_edited", "issue_closed"]);
    expect(cancelled).toEqual([jobId]);
  });
});

describe("deliveries", () => {
  it("say where to look: a burst of one thing is one look, and none is lost", async () => {
    const jobId = await published();
    const many = process.env.X1_FULL ? 1_000 : 300;
    // Nothing is found by asking around: the next poll is far away.
    const timing = { tickMs: 100, pollMs: 3_600_000, reconcileMs: 3_600_000, revertMs: 3_600_000, leaseMs: 5_000 };
    await watch({ timing });
    await expect.poll(() => forge.put.size, until).toBe(1);
    forge.review(1, "ann", "Rename it.");
    await Promise.all(Array.from({ length: many }, (_, n) => deliver(`d${n}`, "pull_request_review", 1)));
    await expect
      .poll(() => inOrg((tx) => deliveryHealth(tx)), until)
      .toMatchObject({ open: 0, dead: 0, handled: many });
    await expect.poll(async () => (await job(jobId))?.state, until).toBe("queued");
    expect(forge.calls).toBeLessThan(many);
  });

  it("are tried again when the forge was away", async () => {
    const jobId = await published();
    await watch();
    await expect.poll(() => forge.put.size, until).toBe(1);
    forge.away = refuse("forge_unavailable", "It is away.");
    await deliver("d1", "pull_request_review", 1);
    await expect.poll(async () => (await inOrg((tx) => deliveryHealth(tx))).open, until).toBe(1);
    await new Promise((settle) => setTimeout(settle, 400));
    forge.away = null;
    forge.review(1, "ann", "Rename it.");
    await expect.poll(async () => (await job(jobId))?.state, until).toBe("queued");
  });

  it("that were missed are asked for, and found without any other asking", async () => {
    const jobId = await published();
    forge.issue(3);
    forge.label(3, "ann", "x1");
    forge.review(1, "ann", "Rename it.");
    const missed = (id: string, event: string, installationId = connection.installation) => ({
      ...{ id, event, action: null, installationId, repositoryId: "7", number: null, commits: [] },
    });
    forge.missed = [missed("d1", "pull_request_review"), missed("d2", "issues"), missed("d3", "issues", "12")];
    // Neither is due by itself for an hour.
    await inOrg((tx) => takeWatch(tx, org, connection.id, "test", 60_000));
    await inOrg((tx) => leaveWatch(tx, connection.id, "test", { afterMs: 3_600_000, seenUntil: null, error: null }));
    await inOrg((tx) => notePullRequest(tx, jobId, { nextLookMs: 3_600_000 }));
    await watch({
      timing: { tickMs: 100, pollMs: 3_600_000, reconcileMs: 3_600_000, revertMs: 3_600_000, leaseMs: 5_000 },
    });
    await expect.poll(async () => (await job(jobId))?.state, until).toBe("queued");
    await expect.poll(() => started.length, until).toBe(1);
    expect(await inOrg((tx) => deliveryHealth(tx))).toMatchObject({ handled: 2, open: 0 });
  });

  it("are handled by one of two services, and each thing once", async () => {
    const jobId = await published();
    forge.issue(3);
    await Promise.all([watch(), watch(), watch()]);
    forge.label(3, "ann", "x1");
    forge.review(1, "ann", "Rename it.");
    await Promise.all(Array.from({ length: 50 }, (_, n) => deliver(`d${n}`, "issues", n % 2 ? 3 : 1)));
    await expect.poll(async () => (await job(jobId))?.state, until).toBe("queued");
    await expect.poll(() => started.length, until).toBe(1);
    await expect.poll(() => inOrg((tx) => deliveryHealth(tx)), until).toMatchObject({ open: 0 });
    expect(await inOrg((tx) => getPullRequest(tx, jobId))).toMatchObject({ followUps: 1 });
    expect(started).toHaveLength(1);
  });

  it("are found by polling where none comes at all", async () => {
    const jobId = await published();
    await watch();
    forge.review(1, "ann", "Rename it.");
    await expect.poll(async () => (await job(jobId))?.state, until).toBe("queued");
    expect(await inOrg((tx) => deliveryHealth(tx))).toMatchObject({ handled: 0 });
  });
});

it("is stopped without waiting for a forge that does not answer", async () => {
  const answer = Promise.withResolvers<void>();
  await published();
  forge.before = () => answer.promise;
  const made = await watch({ timing: { tickMs: 100, pollMs: 200, leaseMs: 2_000, stopMs: 100 } });
  await expect.poll(() => forge.calls, until).toBeGreaterThan(0);
  await made.stop();
  answer.resolve();
});

describe("the lease of a connection", () => {
  it("keeps others out until it is let go or has run out", async () => {
    const take = (owner: string, ttl = 60_000) => inOrg((tx) => takeWatch(tx, org, connection.id, owner, ttl));
    expect(await take("a")).toMatchObject({ due: true });
    expect(await take("b")).toBeNull();
    expect(await take("a", 1)).not.toBeNull();
    await expect.poll(() => take("b"), until).not.toBeNull();
    expect(await inOrg((tx) => answeredTriggers(tx, connection.id, ["x"]))).toEqual(new Set());
  });
});
