import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Permissions, Token } from "@x1agent/testkit/github";
import { GithubStandIn } from "@x1agent/testkit/github";
import { afterAll, beforeAll, expect, it } from "vitest";
import { git, startForwarder, tryGit } from "./test/git-server.ts";
import { basic, jobToken, openPolicy, type Running, startSidecarProcess } from "./test/harness.ts";

/** A private repository at the stand-in for GitHub, whose answers are held against GitHub's own description. */
let github: GithubStandIn;
let sidecar: Running;
let forwarder: Awaited<ReturnType<typeof startForwarder>>;
let tokens: Record<"read" | "push" | "forge.read" | "forge.comment", Token>;
let folder: string;
let work: string;
const said: string[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "x1-gh-"));
  work = join(folder, "work");
  github = await GithubStandIn.start();
  github.user("alice");
  github.user("mallory");
  github.organization("acme", { owners: ["alice"] });
  for (const name of ["acme/tool", "acme/secret"])
    await github.repository(name, { private: true, files: { "README.md": "# tool\n" } });
  const app = github.app({
    ...{ name: "x1 test", owner: "acme" },
    permissions: { issues: "write", pull_requests: "write", contents: "write", checks: "write", statuses: "read" },
  });
  const installation = await github.install(app, "acme", "all");
  const mint = (permissions: Permissions) =>
    github.installationToken(installation, { repositories: ["acme/tool"], permissions });
  tokens = {
    read: mint({ contents: "read" }),
    push: mint({ contents: "write" }),
    "forge.read": mint({ contents: "read", issues: "read", pull_requests: "read", checks: "read", statuses: "read" }),
    "forge.comment": mint({ issues: "write", pull_requests: "write" }),
  };
  await github.as("alice").openIssue("acme/tool", { title: "It breaks", body: "see README" });
  await github.as("alice").openIssue("acme/tool", { title: "Another", body: "" });
  github.protect("acme/tool", "x1/held");
  const header = (kind: "Basic" | "Bearer", { value }: Token) => ({
    authorization:
      kind === "Bearer" ? `Bearer ${value}` : `Basic ${Buffer.from(`x-access-token:${value}`).toString("base64")}`,
    expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
  });
  sidecar = await startSidecarProcess({
    boot: {
      git: [{ name: "origin", url: `${github.url}/acme/tool.git` }],
      forge: { kind: "github", repository: "origin", api: github.apiUrl, fullName: "acme/tool", conversations: [1] },
      failClosedMs: 60_000,
    },
    policy: {
      push: [{ repository: "origin", protected: ["main"] }],
      grants: [
        ...openPolicy.grants,
        { id: "g1", type: "repo.push", details: { pattern: "x1/*" }, once: false },
        { id: "g2", type: "forge", details: { pattern: "*" }, once: false },
      ],
    },
    credentials: {
      "origin read": header("Basic", tokens.read),
      "origin push": header("Basic", tokens.push),
      "origin forge.read": header("Bearer", tokens["forge.read"]),
      "origin forge.comment": header("Bearer", tokens["forge.comment"]),
    },
  });
  forwarder = await startForwarder(join(sidecar.dir, "api.sock"));
  const cloned = await through("clone", "--quiet", `http://127.0.0.1:${forwarder.port}/git/origin`, work);
  expect(cloned).toMatchObject({ code: 0 });
});
afterAll(async () => {
  forwarder?.close();
  await sidecar?.stop();
  rmSync(folder, { recursive: true, force: true });
  await github?.close();
});

async function through(...args: string[]): Promise<{ code: number | null; text: string }> {
  const told = await tryGit(folder, ["-c", `http.extraHeader=authorization: ${basic}`, ...args]);
  said.push(told.text);
  return told;
}
const push = (branch: string) => through("-C", work, "push", "origin", `HEAD:refs/heads/${branch}`);
function gh(...args: string[]): Promise<{ code: number | null; text: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [join(import.meta.dirname, "../../agent/src/gh.ts"), ...args], {
      env: { X1_API_URL: `http://127.0.0.1:${forwarder.port}`, X1_JOB_TOKEN: jobToken },
    });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (piece: Buffer) => (text += piece.toString()));
    child.on("close", (code) => {
      said.push(text);
      resolve({ code, text });
    });
  });
}

it("a branch goes from the workspace to GitHub and no further than the grant, and what GitHub itself refuses is no push", async () => {
  writeFileSync(join(work, "file"), "changed\n");
  git(work, "add", ".");
  git(work, "commit", "--quiet", "-m", "change");
  const made = git(work, "rev-parse", "HEAD");
  expect(await push("x1/fix")).toMatchObject({ code: 0 });
  expect(await github.head("acme/tool", "x1/fix")).toBe(made);
  const main = await github.head("acme/tool");
  expect((await push("main")).text).toContain("this branch is protected");
  expect(await github.head("acme/tool")).toBe(main);
  // Known to the forge alone: the policy's list does not have it, and the remote says no by itself.
  const held = await push("x1/held");
  expect(held.code).not.toBe(0);
  expect(held.text).toContain("x1/held");
});

it("gh reads the repository, its issues and pull requests, and comments where the job belongs", async () => {
  const opened = await fetch(`${github.apiUrl}/repos/acme/tool/pulls`, {
    method: "POST",
    headers: { authorization: `Bearer ${github.personalToken("alice").value}`, "content-type": "application/json" },
    body: JSON.stringify({ title: "Fix it", head: "x1/fix", base: "main" }),
  });
  expect(opened.status).toBe(201);
  const [repo, view, list, pulls, pull, diff, checks] = await Promise.all([
    gh("repo", "view", "--json", "nameWithOwner,isPrivate"),
    gh("issue", "view", "1"),
    gh("issue", "list", "--json", "number,title"),
    gh("pr", "list"),
    gh("pr", "view", "3", "--json", "headRefName,state"),
    gh("pr", "diff", "3"),
    gh("pr", "checks", "3"),
  ]);
  expect(JSON.parse(repo.text)).toEqual({ nameWithOwner: "acme/tool", isPrivate: true });
  expect(view.text).toContain("title:\tIt breaks\nstate:\tOPEN\nauthor:\talice\n");
  expect(JSON.parse(list.text)).toHaveLength(2);
  expect(pulls.text).toMatch(/^3\tFix it\tx1\/fix\tOPEN\t/);
  expect(JSON.parse(pull.text)).toEqual({ headRefName: "x1/fix", state: "OPEN" });
  expect(diff.text).toContain("+changed");
  expect(checks).toMatchObject({ code: 1, text: expect.stringContaining("no checks reported") });
  expect(await gh("issue", "comment", "1", "--body", "Looking.")).toMatchObject({ code: 0 });
  expect((await gh("issue", "view", "1", "--comments")).text).toContain("Looking.");
  expect((await gh("issue", "comment", "2", "--body", "Looking.")).text).toContain("path_refused");
  expect((await gh("api", "repos/acme/secret")).text).toContain("path_refused");
});

it("GraphQL is answered by GitHub's own schema, for the job's repository only", async () => {
  const query = `query($owner: String!, $name: String!) { repository(owner: $owner, name: $name) {
    nameWithOwner
    issues(first: 5, states: OPEN, orderBy: {field: CREATED_AT, direction: ASC}) { totalCount nodes { ...I } }
    pullRequest(number: 3) {
      title state author { login } labels(first: 5) { nodes { name } } files(first: 10) { nodes { path additions changeType } }
      reviews(first: 5) { nodes { state body } }
      commits(last: 1) { nodes { commit { oid messageHeadline statusCheckRollup { state } } } }
    }
    issueOrPullRequest(number: 1) { ... on Issue { number } ... on PullRequest { isDraft } }
    refs(first: 10, refPrefix: "refs/heads/") { nodes { name target { ... on Commit { history(first: 3) { totalCount } } } } }
    object(expression: "main:README.md") { ... on Blob { text } }
  } rateLimit { remaining } } fragment I on Issue { number title comments(first: 5) { nodes { body author { login } } } }`;
  const ask = (text: string, ...more: string[]) => gh("api", "graphql", "-f", `query=${text}`, ...more);
  const told = await ask(query, "-f", "owner=acme", "-f", "name=tool");
  expect(told.code, told.text).toBe(0);
  const { data } = JSON.parse(told.text) as { data: { repository: Record<string, never>; rateLimit: object } };
  expect(data.rateLimit).toEqual({ remaining: expect.any(Number) });
  expect(data.repository).toMatchObject({
    nameWithOwner: "acme/tool",
    issues: { totalCount: 2, nodes: [{ title: "It breaks", comments: { nodes: [{ body: "Looking." }] } }, {}] },
    pullRequest: { title: "Fix it", state: "OPEN", files: { nodes: [{ path: "file", changeType: "ADDED" }] } },
    issueOrPullRequest: { number: 1 },
    object: { text: "# tool\n" },
  });
  expect(told.text).not.toContain("x1_repository");
  for (const [refused, why] of [
    ['{ repository(owner: "acme", name: "secret") { name } }', /own repository/],
    [
      '{ a: repository(owner: "acme", name: "tool") { owner { ... on Organization { repositories(first: 1) { totalCount } } } } }',
      /owner/,
    ],
    ["{ viewer { login } }", /viewer/],
    ['mutation { addComment(input: {subjectId: "x", body: "y"}) { clientMutationId } }', /mutation/],
    ["{ __schema { types { name } } }", /__schema/],
  ] as const) {
    const said = await ask(refused);
    expect(said).toMatchObject({ code: 1, text: expect.stringMatching(why) });
    expect(said.text).toContain("field_refused");
  }
  const last = github.requests("graphql").map(({ body }) => JSON.stringify(body));
  expect(last).toHaveLength(1);
  expect(last[0]).not.toContain("$owner");
});

it("nothing of it showed a token inside, and GitHub was asked for nothing that its description does not have", () => {
  for (const { value } of Object.values(tokens))
    for (const text of said) {
      expect(text).not.toContain(value);
      expect(text).not.toContain(Buffer.from(`x-access-token:${value}`).toString("base64").slice(24, 60));
    }
  expect(github.misfits).toEqual([]);
  const pushed = sidecar.control.events.filter(({ type }) => type === "git.pushed");
  expect(pushed.map(({ payload }) => payload.ref)).toEqual(["refs/heads/x1/fix"]);
});
