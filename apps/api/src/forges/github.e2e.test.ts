import { GithubStandIn } from "@x1agent/testkit/github";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { fix, runtime, TestService } from "../jobs/test/service.ts";

/**
 * From an issue to a pull request, the whole way: a whole service, the scripted runtime, real git, and the stand-in that plays
 * GitHub by its published description.
 */
let x1: TestService;
let github: GithubStandIn;
beforeAll(async () => {
  x1 = await TestService.open();
  github = await GithubStandIn.start();
  for (const login of ["alice", "bob", "mallory"]) github.user(login);
  github.organization("acme", { owners: ["alice"], members: ["bob"], base: "write" });
});
afterAll(async () => {
  await x1?.close();
  await github?.close();
});
const undo: (() => void)[] = [];
afterEach(() => {
  for (const one of undo.splice(0)) one();
});

const files = {
  "add.mjs": "export const add = (a, b) => a - b;\n",
  "check.sh": "grep -q 'a + b' add.mjs\n",
  CODEOWNERS: "* @bob\n",
};
let count = 0;
/** A repository of its own, with an issue whose words make the scripted runtime mend it. */
async function repository(options: { by?: string; body?: string } = {}) {
  count += 1;
  const name = `acme/shop${count}`;
  await github.repository(name, { private: true, files });
  github.access(name, "mallory", "read");
  const issue = await github
    .as(options.by ?? "alice")
    .openIssue(name, { title: "add subtracts", body: options.body ?? fix });
  return { name, number: issue.number };
}
const connect = (login = "alice", permissions?: Record<string, "read" | "write">) =>
  x1.client.createForgeConnection({
    body: {
      ...{ forge: "github", baseUrl: github.url },
      token: github.personalToken(login, permissions ? { permissions } : {}).value,
    },
  });
const start = (repository: string, number: number, more: object = {}) =>
  x1.client.createIssueJob({
    body: { repository, number, runtime, verify: "bash check.sh", again: false, ask: false, ...more },
  });
async function approve(jobId: string) {
  const { approvalDigest } = await x1.reach(jobId, "awaiting_approval");
  await x1.client.decide({ params: { jobId }, body: { decision: "approve", digest: approvalDigest ?? "" } });
}
const pullsOf = (name: string) => [...github.repo(name).issues.values()].filter(({ pull }) => pull !== undefined);

describe("an issue of GitHub", () => {
  it("becomes a pull request with the very commit that was approved", async () => {
    await connect();
    const { name, number } = await repository();
    const { items } = await x1.client.listIssues({ query: { repository: name } });
    expect(items).toMatchObject([{ number, title: "add subtracts", author: "alice" }]);
    const seen = await x1.client.getIssue({ query: { repository: name, number } });
    expect(seen).toMatchObject({
      trust: "member",
      words: [{ author: "alice", permission: "admin", included: true }],
      jobs: [],
    });

    const job = await start(name, number);
    expect(job).toMatchObject({ title: `#${number} add subtracts`, trust: "member" });
    await expect(start(name, number)).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining(job.id),
    });
    await approve(job.id);
    const done = await x1.reach(job.id, "succeeded");
    expect(done.origin).toMatchObject({ issueNumber: number, trust: "member", repository: name });
    const [pull, ...others] = pullsOf(name);
    expect(others).toEqual([]);
    expect(done.pullRequest).toMatchObject({ number: pull?.number, state: "open", draft: false });
    expect(pull?.pull).toMatchObject({ headSha: done.publishedCommit, headRef: done.targetBranch, baseRef: "main" });
    expect(pull?.pull?.requestedReviewers.map(({ login }) => login)).toEqual(["bob"]);
    expect(pull?.body).toContain(`Fixes #${number}`);
    await expect(start(name, number)).rejects.toMatchObject({
      message: expect.stringContaining("pull request #2 open"),
    });
    expect(github.misfits).toEqual([]);
  });
});
