import { GithubStandIn } from "@x1agent/testkit/github";
import { afterAll, beforeAll, expect, it } from "vitest";
import { TestService } from "../jobs/test/service.ts";

/**
 * What an agent's own git and gh come to, from inside a real workspace: a whole service, its sidecar, and the stand-in that
 * plays GitHub. No step of it is a fake; the model only says which commands to run.
 */
const full = process.env.X1_FULL === "1";
let x1: TestService;
let github: GithubStandIn;
beforeAll(async () => {
  x1 = await TestService.open();
  github = await GithubStandIn.start();
  for (const login of ["alice", "mallory"]) github.user(login);
  github.organization("acme", { owners: ["alice"] });
  const permissions = { contents: "write", issues: "write", pull_requests: "write", checks: "write" } as const;
  await x1.client.createForgeConnection({
    body: { forge: "github", baseUrl: github.url, token: github.personalToken("alice", { permissions }).value },
  });
  const { organizationId } = await x1.client.me({});
  for (const [type, pattern] of [
    ["repo.push", "x1/*"],
    ["forge", "*"],
  ] as const)
    await x1.client.createGrant({
      body: {
        subject: { kind: "organization", id: organizationId },
        ...{ type, details: { pattern }, scope: "persistent", reason: "test" },
      },
    });
});
afterAll(async () => {
  await x1?.close();
  await github?.close();
});

const setKey = (value: string, projectId?: string) =>
  projectId === undefined
    ? x1.client.setSecret({ params: { name: "anthropic" }, body: { value } })
    : x1.client.setProjectSecret({ params: { projectId, name: "anthropic" }, body: { value } });

/** Runs a job for an issue to its evidence; `own` is the model's key that only its project has. Says which keys were presented. */
async function issueJob(runtime: string, by: string, own: string) {
  const name = `acme/${runtime}-${by}`;
  await github.repository(name, {
    private: true,
    files: { "add.mjs": "export const add = (a, b) => a - b;\n", "check.sh": "grep -q 'a + b' add.mjs\n" },
  });
  github.access(name, "mallory", "read");
  const { number } = await github.as(by).openIssue(name, { title: "add subtracts", body: "Mend it." });
  x1.model.setScenario({
    rules: [
      { match: { afterTool: true }, action: { kind: "text", text: "Done." } },
      {
        action: {
          kind: "shell",
          commands: [
            `gh issue view ${number} > seen.txt; gh issue comment ${number} --body 'I look at it.' >> seen.txt 2>&1`,
            `git fetch ${github.cloneUrl(name)} main >> seen.txt 2>&1; git push origin HEAD:refs/heads/x1/mine HEAD:refs/heads/x1/more >> seen.txt 2>&1`,
            `gh api graphql -F owner={owner} -F name={repo} -F n=${number} -f query='query($owner: String!, $name: String!, $n: Int!) { repository(owner: $owner, name: $name) { issue(number: $n) { body } } }' >> seen.txt 2>&1; gh api graphql -f query='{ viewer { login } }' >> seen.txt 2>&1`,
            "git commit -q --allow-empty -m more; git push origin HEAD:refs/heads/main >> seen.txt 2>&1; gh pr create --fill >> seen.txt 2>&1; echo 'export const add = (a, b) => a + b;' > add.mjs",
          ],
        },
      },
    ],
  });
  const project = await x1.client.createProject({ body: { repository: github.cloneUrl(name) } });
  await setKey(own, project.id);
  const before = x1.model.requests.length;
  const job = await x1.client.createIssueJob({
    body: { repository: name, number, runtime, verify: "bash check.sh", again: false, ask: false },
  });
  const done = await x1.reach(job.id, "awaiting_approval");
  const diff = await x1.client.jobDiff({ params: { jobId: job.id }, query: {} });
  await x1.client.cancelJob({ params: { jobId: job.id } });
  const seen = JSON.stringify(diff);
  const branches = [...(await github.repo(name).git.refs("refs/heads/")).keys()];
  const comments = github.requests("issues/create-comment").filter(({ path }) => path.includes(name));
  expect(job.projectId).toBe(project.id);
  const keys = [...new Set(x1.model.requests.slice(before).map(({ key }) => key))];
  return { job: done, seen, branches, comments, name, keys };
}

it.each(["mock", ...(full ? ["pi", "claude-code"] : [])])(
  "git and gh of an agent in %s reach the job's repository, and go as far as its grants",
  async (runtime) => {
    for await (const _ of x1.client.lines("installRuntime", { params: { name: runtime } }));
    await setKey("the organization's, which the model does not know");
    const { job, seen, branches, comments, name, keys } = await issueJob(runtime, "alice", x1.model.key);
    expect(job.trust).toBe("member");
    expect(keys).toEqual([x1.model.key]);
    expect(seen).toContain("add subtracts");
    expect(branches.sort()).toEqual(["refs/heads/main", "refs/heads/x1/mine", "refs/heads/x1/more"]);
    expect(seen).toContain("this branch is protected");
    expect(seen).toContain("opens the pull request after approval");
    expect(seen).toMatch(/issue\W+body\W+Mend it\./);
    expect(seen).toContain("Query.viewer is not served here");
    expect(
      github
        .requests("graphql")
        .map(({ body }) => JSON.stringify(body))
        .join(),
    ).not.toContain("viewer");
    expect(comments).toHaveLength(1);
    const pushed = await x1.events(job.id, "git.pushed");
    expect(pushed.map(({ payload, source }) => [payload.ref, source]).sort()).toEqual([
      ["refs/heads/x1/mine", "observed"],
      ["refs/heads/x1/more", "observed"],
    ]);
    expect(await x1.events(job.id, "forge.commented")).toHaveLength(1);
    expect(await x1.events(job.id, "git.refused")).toHaveLength(1);
    expect(name).toContain(runtime);
    expect(github.misfits).toEqual([]);
  },
);

it("words from outside take both from the agent, and its project's secrets, and leave it reading", async () => {
  for (const { id } of (await x1.client.listProjects({})).items) await setKey("another project's", id);
  await setKey(x1.model.key);
  const { job, seen, branches, comments, keys } = await issueJob("mock", "mallory", "its own project's");
  expect(job.trust).toBe("outside");
  expect(keys).toEqual([x1.model.key]);
  expect(seen).toContain("add subtracts");
  expect(seen).toContain("No grant of type forge covers comments here");
  expect(seen).toMatch(/issue\W+body\W+Mend it\./);
  expect(branches).toEqual(["refs/heads/main"]);
  expect(comments).toEqual([]);
});
