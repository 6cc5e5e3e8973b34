import { GithubStandIn } from "@x1agent/testkit/github";
import { afterAll, beforeAll, expect, it } from "vitest";
import { fix, runtime, TestService } from "../jobs/test/service.ts";
import { connectApp } from "./test/connect.ts";

/** What people say and do at GitHub while a job is on its way: a whole service, and the stand-in that plays GitHub. */
let x1: TestService;
let github: GithubStandIn;
let app: Awaited<ReturnType<typeof connectApp>>;
beforeAll(async () => {
  x1 = await TestService.open({ tickMs: 300, pollMs: 1_000, reconcileMs: 2_000, suspendedMs: 500, leaseMs: 20_000 });
  github = await GithubStandIn.start();
  for (const login of ["alice", "bob", "robot", "mallory"]) github.user(login);
  github.organization("acme", { owners: ["alice"], members: ["bob"], base: "write" });
  // The app is not installed there: one person's token reaches it.
  for (const login of ["solo", "umbrella"])
    github.organization(login, { owners: ["alice"], members: ["robot"], base: "write" });
  app = await connectApp(x1.client, x1.url, github);
  await x1.client.createForgeConnection({
    body: { forge: "github", baseUrl: github.url, token: github.personalToken("robot").value },
  });
});
afterAll(async () => {
  await x1?.close();
  await github?.close();
});

const until = { timeout: 60_000, interval: 100 };
const files = { "add.mjs": "export const add = (a, b) => a - b;\n", "check.sh": "grep -q 'a + b' add.mjs\n" };
async function repository(name: string, body = fix) {
  await github.repository(name, { private: true, files });
  const project = await x1.client.createProject({
    body: { repository: github.cloneUrl(name), runtime, verify: "bash check.sh", follow: { quietSeconds: 0 } },
  });
  const { number } = await github.as("alice").openIssue(name, { title: "add subtracts", body });
  return { projectId: project.id, name, number };
}
const jobsOf = async (projectId: string) => (await x1.client.listJobs({ query: { projectId } })).items;
const pullsOf = (name: string) => [...github.repo(name).issues.values()].filter(({ pull }) => pull !== undefined);
/** Approves, and returns why that was not published. */
async function refusedBecause(jobId: string, sentence: RegExp): Promise<void> {
  await x1.approve(jobId);
  await expect
    .poll(async () => {
      const { state, reason, reasonDetail } = await x1.job(jobId);
      return `${state} ${reason} ${reasonDetail}`;
    }, until)
    .toMatch(new RegExp(`^awaiting_approval publish_refused .*${sentence.source}`, "i"));
}

it("a job is asked about, given money, stopped and begun again by comments, and its issue closed", async () => {
  const { projectId, name, number } = await repository("acme/spoken", "[[sleep 120]]");
  const said = () => github.repo(name).issues.get(number)?.comments ?? [];
  /** Bob says something, and this is the answer. */
  const ask = async (words: string): Promise<string> => {
    const before = said().length;
    await github.as("bob").comment(name, number, words);
    await expect.poll(() => said().length, until).toBe(before + 2);
    return said().at(-1)?.body ?? "";
  };
  expect(await ask("/x1 fix")).toMatch(/works on this/);
  const [first] = await jobsOf(projectId);
  if (!first) throw new Error("no job");
  await x1.reach(first.id, "running");
  expect(await ask("/x1 status")).toMatch(new RegExp(`${first.id} is running .*\\$0`));
  expect(await ask("/x1 budget 3")).toMatch(/may spend \$3/);
  const budgets = (await x1.client.listBudgets({})).items.filter(({ scope }) => scope.id === first.id);
  expect(budgets).toMatchObject([{ limitMicros: 3_000_000 }]);
  expect(await ask("/x1 stop")).toMatch(/is cancelled/);
  await expect.poll(async () => (await x1.job(first.id)).state, until).toBe("cancelled");
  expect(await ask("/x1 retry budget 2")).toMatch(/works on this/);
  const [second] = await jobsOf(projectId);
  if (!second) throw new Error("no job");
  expect(second).toMatchObject({ budgetMicros: 2_000_000 });
  expect(second.id).not.toBe(first.id);

  // Closed meanwhile: people are asked, as the project has it, or the job ends.
  const inbox = async () => (await x1.client.getInbox({})).closedIssues?.map(({ jobId }) => jobId);
  await github.as("alice").close(name, number);
  await expect.poll(inbox, until).toEqual([second.id]);
  await github.as("alice").reopen(name, number);
  await expect.poll(inbox, until).toEqual([]);
  expect((await x1.job(second.id)).endedAt).toBeNull();
  await x1.client.updateProject({ params: { projectId }, body: { follow: { onIssueClosed: "cancel" } } });
  await github.as("alice").close(name, number);
  await expect.poll(async () => (await x1.job(second.id)).state, until).toBe("cancelled");
  expect(await inbox()).toEqual([]);
  expect(await jobsOf(projectId)).toHaveLength(2);
});

it("an assignment begins a job by polling alone, whose repository is transferred and then deleted", async () => {
  const { projectId, name, number } = await repository("solo/assigned");
  await github.as("alice").assign(name, number, "robot");
  await expect.poll(async () => (await jobsOf(projectId)).length, until).toBe(1);
  const [job] = await jobsOf(projectId);
  if (!job) throw new Error("no job");
  expect((await x1.job(job.id)).origin).toMatchObject({ trigger: "assignment", triggeredBy: "alice" });
  await x1.reach(job.id, "awaiting_approval");
  await github.as("alice").transfer(name, "umbrella");
  await x1.approve(job.id);
  await x1.reach(job.id, "succeeded");
  const moved = "umbrella/assigned";
  expect(pullsOf(moved)).toHaveLength(1);
  const project = await x1.client.getProject({ params: { projectId } });
  expect(project.repository).toContain(`/${moved}.git`);

  await github.as("alice").comment(moved, pullsOf(moved)[0]?.number ?? 0, "@robot [[edit more.txt one]]");
  await expect.poll(async () => (await x1.job(job.id)).state, until).toBe("awaiting_approval");
  await github.as("alice").deleteRepository(moved);
  await refusedBecause(job.id, /not there, or not visible/);
});

it("a fork's pull request begins nothing, whoever says so on it, and is never taken for a job's own", async () => {
  const { projectId, name, number } = await repository("acme/forked");
  github.access(name, "mallory", "read");
  const base = await github.head(name);
  await github.fork(name, "mallory");
  const evil = { "check.sh": "exit 0\n", CODEOWNERS: "* @mallory\n", "evil.txt": "x\n" };
  await github.as("mallory").push("mallory/forked", "evil", evil, "Mend", "main");
  const fork = await github.as("mallory").openPull(name, { head: "mallory:evil", title: "Mend", body: "/x1 fix" });
  await github.as("bob").comment(name, fork.number, "/x1 fix");
  await github.as("alice").label(name, fork.number, "x1");
  await github.as("bob").commentOnLine(name, fork.number, { path: "evil.txt", line: 1, body: "@x1 mend this" });
  // The same label on an issue does begin one: by then all of the above was looked at.
  await github.as("alice").label(name, number, "x1");
  await expect.poll(async () => (await jobsOf(projectId)).length, until).toBe(1);
  const jobId = (await jobsOf(projectId))[0]?.id ?? "";
  const { targetBranch, baseCommit } = await x1.reach(jobId, "awaiting_approval");
  expect(baseCommit).toBe(base);
  await github.as("mallory").push("mallory/forked", targetBranch ?? "", evil, "Mend", "main");
  const alike = await github
    .as("mallory")
    .openPull(name, { head: `mallory:${targetBranch}`, title: "Mend", body: "<!-- x1 -->" });
  await x1.approve(jobId);
  const { publishedCommit, pullRequest } = await x1.reach(jobId, "succeeded");
  expect([fork.number, alike.number]).not.toContain(pullRequest?.number);
  const own = github.repo(name).issues.get(pullRequest?.number ?? 0);
  expect(own?.pull).toMatchObject({ headSha: publishedCommit, requestedReviewers: [] });
  expect(await jobsOf(projectId)).toHaveLength(1);
  expect(
    github
      .repo(name)
      .issues.get(fork.number)
      ?.comments.map(({ user }) => user.login),
  ).toEqual(["bob"]);
  // Nothing of the fork was ever fetched.
  const fetched = github.requests("git/git-upload-pack").map(({ path }) => path);
  expect(fetched.some((path) => path.includes(name))).toBe(true);
  expect(fetched.filter((path) => path.includes("mallory"))).toEqual([]);
});

it("an installation is suspended, let go on, removed and made anew under a job that waits, and all goes on through it", async () => {
  const { projectId, name, number } = await repository("acme/installed");
  await github.as("alice").label(name, number, "x1");
  await expect.poll(async () => (await jobsOf(projectId)).length, until).toBe(1);
  const jobId = (await jobsOf(projectId))[0]?.id ?? "";
  await x1.reach(jobId, "awaiting_approval");
  const connection = async () =>
    (await x1.client.listForgeConnections({ query: { all: "true" } })).items
      .filter(({ kind }) => kind === "app")
      .map(({ state }) => state);
  const installed = () => {
    const found = [...github.world.installations.values()].find((one) => one.app === app.app);
    if (!found) throw new Error("no installation");
    return found;
  };
  await github.suspend(installed());
  await expect.poll(connection, until).toEqual(["suspended"]);
  await refusedBecause(jobId, /suspended/);
  await github.unsuspend(installed());
  await expect.poll(connection, until).toEqual(["active"]);

  await github.uninstall(installed());
  await refusedBecause(jobId, /removed/);
  await github.install(app.app, "acme");
  const { items } = await x1.client.listForgeApps({});
  await x1.client.checkForgeApp({ params: { appId: items[0]?.id ?? "" } });
  expect((await connection()).sort()).toEqual(["active", "removed"]);
  await x1.approve(jobId);
  await x1.reach(jobId, "succeeded");
  expect(pullsOf(name)).toHaveLength(1);
  // What follows goes through the new one too.
  await expect.poll(() => github.repo(name).checkRuns.filter((run) => run.name === "x1agent").length, until).toBe(1);
  await github.as("alice").merge(name, pullsOf(name)[0]?.number ?? 0);
  await expect.poll(async () => (await x1.job(jobId)).pullRequest?.outcome, until).toBe("merged");
  expect(github.misfits).toEqual([]);
});
