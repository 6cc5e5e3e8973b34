import { createHmac, randomUUID } from "node:crypto";
import { GithubStandIn } from "@x1agent/testkit/github";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fix, runtime, TestService } from "../jobs/test/service.ts";
import { connectApp } from "./test/connect.ts";

/** What follows by itself, the whole way: a whole service, the scripted runtime, real git, and the stand-in that plays GitHub. */
let x1: TestService;
let github: GithubStandIn;
let app: Awaited<ReturnType<typeof connectApp>>;
beforeAll(async () => {
  // Polling is far away: what happens at once came by a delivery.
  x1 = await TestService.open({ tickMs: 500, pollMs: 3_600_000, reconcileMs: 3_600_000, leaseMs: 20_000 });
  github = await GithubStandIn.start();
  for (const login of ["alice", "bob", "mallory"]) github.user(login);
  github.organization("acme", { owners: ["alice"], members: ["bob"], base: "write" });
  app = await connectApp(x1.client, x1.url, github);
});
afterAll(async () => {
  await x1?.close();
  await github?.close();
});

const until = { timeout: 60_000, interval: 100 };
const files = {
  "add.mjs": "export const add = (a, b) => a - b;\n",
  "check.sh": "grep -q 'a + b' add.mjs\n",
};
let count = 0;
async function repository() {
  count += 1;
  const name = `acme/after${count}`;
  await github.repository(name, { private: true, files });
  github.access(name, "mallory", "read");
  const project = await x1.client.createProject({
    body: { repository: github.cloneUrl(name), runtime, verify: "bash check.sh", follow: { quietSeconds: 0 } },
  });
  return { name, project };
}
const jobsOf = async (projectId: string) => (await x1.client.listJobs({ query: { projectId } })).items;
const pullsOf = (name: string) => [...github.repo(name).issues.values()].filter(({ pull }) => pull !== undefined);
const checksOf = (name: string) => github.repo(name).checkRuns.filter((run) => run.name === "x1agent");
async function approve(jobId: string): Promise<string> {
  await x1.approve(jobId);
  return (await x1.reach(jobId, "succeeded")).publishedCommit ?? "";
}
/** A job goes on by itself from `succeeded`. */
const goesOn = (jobId: string) => expect.poll(async () => (await x1.job(jobId)).state, until).toBe("awaiting_approval");

describe("an issue of GitHub", () => {
  it("is labelled, worked on, reviewed, mended twice, merged, and over", async () => {
    const { name, project } = await repository();
    const issue = await github.as("alice").openIssue(name, { title: "add subtracts", body: fix });
    await github.as("alice").label(name, issue.number, "x1");
    await expect.poll(async () => (await jobsOf(project.id)).length, until).toBe(1);
    const jobId = (await jobsOf(project.id))[0]?.id ?? "";
    const first = await approve(jobId);
    const [pull, ...others] = pullsOf(name);
    if (!pull) throw new Error("no pull request");
    expect(others).toEqual([]);
    await expect.poll(() => checksOf(name).map(({ conclusion }) => conclusion), until).toEqual(["success"]);
    const { message } = await github.repo(name).git.commit(first);
    expect(message).toMatch(/^Co-authored-by: \S.* <\d+\+alice@users\.noreply\.[\w.-]+>$/m);

    await github
      .as("bob")
      .commentOnLine(name, pull.number, { path: "add.mjs", line: 1, body: "[[edit more.txt one]]" });
    await goesOn(jobId);
    expect(await x1.job(jobId)).toMatchObject({ baseCommit: first });
    await expect.poll(() => checksOf(name).map(({ conclusion }) => conclusion), until).toEqual(["action_required"]);
    const second = await approve(jobId);
    expect(await github.head(name, pull.pull?.headRef)).toBe(second);

    await github.check(
      name,
      { pull: pull.number },
      { name: "ci", conclusion: "failure", log: "[[edit more.txt two]]" },
    );
    await goesOn(jobId);
    const third = await approve(jobId);
    await expect
      .poll(() => checksOf(name).map(({ headSha, conclusion }) => [headSha, conclusion]), until)
      .toEqual([
        [first, "neutral"],
        [second, "neutral"],
        [third, "success"],
      ]);
    expect(pullsOf(name)).toHaveLength(1);

    await github.as("alice").merge(name, pull.number);
    await expect.poll(() => github.head(name, pull.pull?.headRef).catch(() => "gone"), until).toBe("gone");
    await expect.poll(async () => (await x1.job(jobId)).pullRequest?.state, until).toBe("merged");
    expect((await x1.job(jobId)).state).toBe("succeeded");
    expect(await x1.workspacesOf(jobId)).toEqual([]);

    const merged = await github.head(name);
    await github.as("bob").push(name, "main", { "more.txt": "" }, `Revert it\n\nThis reverts commit ${merged}.`);
    await expect.poll(async () => (await x1.job(jobId)).pullRequest?.outcome, until).toBe("reverted");
    expect((await x1.client.getSpend({ query: {} })).outcomes).toMatchObject({ open: 0, merged: 0, reverted: 1 });
    expect(github.misfits).toEqual([]);
  });

  it("is not touched by a stranger's label or words, and is answered to a member once", async () => {
    const { name, project } = await repository();
    const issue = await github.as("mallory").openIssue(name, { title: "please", body: "/x1 fix" });
    await github.as("mallory").comment(name, issue.number, "/x1 fix with mock, budget 100");
    await github.as("bob").comment(name, issue.number, "/x1 fix with nothing");
    await expect.poll(() => github.repo(name).issues.get(issue.number)?.comments.length, until).toBe(3);
    await github.settled();
    expect(await jobsOf(project.id)).toEqual([]);
  });
});

describe("deliveries to a whole service", () => {
  it("are all taken in a burst, each once, and none without its signature", async () => {
    const many = process.env.X1_FULL === "1" ? 1_000 : 400;
    const body = JSON.stringify({ action: "opened", installation: { id: app.installation }, repository: { id: 1 } });
    const send = async (id: string, secret = app.secret) =>
      (
        await fetch(app.webhook(), {
          method: "POST",
          body,
          headers: {
            "content-type": "application/json",
            "x-github-delivery": id,
            "x-github-event": "issues",
            "x-hub-signature-256": `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`,
          },
        })
      ).status;
    const ids = Array.from({ length: many }, () => randomUUID());
    expect(new Set(await Promise.all(ids.map((id) => send(id))))).toEqual(new Set([202]));
    expect(new Set(await Promise.all(ids.slice(0, 50).map((id) => send(id))))).toEqual(new Set([200]));
    expect(await send(randomUUID(), "forged")).toBe(401);
    const before = await x1.client.forgeDeliveries({});
    await expect.poll(async () => (await x1.client.forgeDeliveries({})).open, until).toBe(0);
    expect(before.dead).toBe(0);
    expect((await x1.client.forgeDeliveries({})).handled).toBeGreaterThanOrEqual(many);
  });
});
