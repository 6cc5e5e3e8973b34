import { spawn } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startForwarder } from "./test/git-server.ts";
import {
  jobToken,
  openPolicy,
  type Running,
  startSidecarProcess,
  startUpstream,
  type Upstream,
} from "./test/harness.ts";

/** The workspace's `gh`, as a program, before a real sidecar and a forge that answers as GitHub documents. */
const program = join(import.meta.dirname, "../../agent/src/gh.ts");
const user = (login: string) => ({ login });
const issue = {
  ...{
    number: 7,
    title: "It breaks\x1b[2J",
    state: "open",
    user: user("ada"),
    labels: [{ name: "bug" }],
    assignees: [],
  },
  ...{ comments: 1, body: "Steps:\r\n1. run", html_url: "https://forge.example/acme/app/issues/7", milestone: null },
  ...{ created_at: "2026-11-01T00:00:00Z", updated_at: "2026-11-02T00:00:00Z", closed_at: null },
};
const pull = {
  ...issue,
  ...{
    number: 12,
    title: "Fix it",
    draft: false,
    merged: false,
    additions: 3,
    deletions: 1,
    html_url: "https://forge.example/acme/app/pull/12",
  },
  ...{ head: { ref: "x1/fix", sha: "a".repeat(40) }, base: { ref: "main" } },
};
const answers: Record<string, unknown> = {
  "": {
    name: "app",
    full_name: "acme/app",
    description: "d",
    default_branch: "main",
    private: true,
    temp_clone_token: "SECRET",
  },
  "/issues/7": issue,
  "/issues/7/comments": [
    { user: user("bob"), author_association: "MEMBER", body: "me too", created_at: "", html_url: "" },
  ],
  "/issues": [issue, { ...pull, pull_request: {} }],
  "/pulls/12": pull,
  "/pulls": [pull],
  [`/commits/${"a".repeat(40)}/check-runs`]: {
    check_runs: [
      {
        name: "test",
        status: "completed",
        conclusion: "failure",
        html_url: "https://ci.example/1",
        output: { title: "2 failed" },
      },
      { name: "lint", status: "in_progress", conclusion: null, html_url: "https://ci.example/2" },
    ],
  },
  [`/commits/${"a".repeat(40)}/status`]: {
    statuses: [{ context: "old", state: "success", target_url: "https://ci.example/3" }],
  },
};
let forge: Upstream;
let sidecar: Running;
let forwarder: Awaited<ReturnType<typeof startForwarder>>;

beforeAll(async () => {
  forge = await startUpstream((body, response, { url = "", method, headers }) => {
    const path = url.replace("/repos/acme/app", "").split("?")[0] ?? "";
    const json = (value: unknown, status = 200) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
    if (path === "/graphql") {
      const { query } = JSON.parse(body) as { query: string };
      if (query.includes("rateLimit")) return void json({ data: null, errors: [{ message: "Something went wrong" }] });
      const second = query.includes('after: "page2"');
      const pageInfo = { hasNextPage: !second, endCursor: second ? null : "page2" };
      const nodes = [{ title: `of page ${second ? 2 : 1}`, x1_repository: { nameWithOwner: "acme/app" } }];
      return void json({ data: { repository: { issues: { nodes, pageInfo } } } });
    }
    if (method === "POST")
      return void json({ html_url: `https://forge.example/c/${JSON.parse(body).body.length}` }, 201);
    if (headers.accept?.includes("diff"))
      return void response.writeHead(200, { "content-type": "application/vnd.github.diff" }).end("diff --git a b\n");
    return void (path in answers ? json(answers[path]) : json({ message: "Not Found" }, 404));
  });
  const api = `http://127.0.0.1:${forge.port}`;
  sidecar = await startSidecarProcess({
    boot: {
      git: [{ name: "origin", url: `${api}/acme/app.git` }],
      forge: { kind: "github", repository: "origin", api, fullName: "acme/app", conversations: [7, 12] },
      failClosedMs: 60_000,
    },
    policy: {
      grants: [...openPolicy.grants, { id: "g", type: "forge", details: { pattern: "*" }, once: false }],
    },
    credentials: {
      "origin forge.read": { authorization: "Bearer ghs_canary0123456789", expiresAt: null },
      "origin forge.comment": { authorization: "Bearer ghs_canary0123456789", expiresAt: null },
    },
  });
  forwarder = await startForwarder(join(sidecar.dir, "api.sock"));
});
afterAll(async () => {
  forwarder?.close();
  await sidecar?.stop();
  forge?.server.close();
  forge?.server.closeAllConnections();
});

function gh(
  args: string[],
  options: { stdin?: string; token?: string } = {},
): Promise<{ code: number | null; out: string; err: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [program, ...args], {
      env: { X1_API_URL: `http://127.0.0.1:${forwarder.port}`, X1_JOB_TOKEN: options.token ?? jobToken },
    });
    let [out, err] = ["", ""];
    child.stdout.on("data", (piece: Buffer) => (out += piece.toString()));
    child.stderr.on("data", (piece: Buffer) => (err += piece.toString()));
    child.stdin.end(options.stdin ?? "");
    child.on("close", (code) => resolve({ code, out, err }));
  });
}

it("reads issues and pull requests as the real one prints them into a pipe", async () => {
  const [view, list, pulls, whole] = await Promise.all([
    gh(["issue", "view", "7", "--comments"]),
    gh(["issue", "list"]),
    gh(["pr", "list", "--state", "all"]),
    gh(["pr", "view", "https://forge.example/acme/app/pull/12"]),
  ]);
  expect(view).toMatchObject({ code: 0, err: "" });
  expect(view.out).toContain("title:\tIt breaks\ufffd[2J\nstate:\tOPEN\nauthor:\tada\nlabels:\tbug\n");
  expect(view.out).toContain("--\nSteps:\n1. run\n--\nauthor:\tbob\nassociation:\tmember\n--\nme too\n");
  expect(list.out).toBe("7\tOPEN\tIt breaks\ufffd[2J\tbug\t2026-11-02T00:00:00Z\n");
  expect(pulls.out).toBe("12\tFix it\tx1/fix\tOPEN\t2026-11-01T00:00:00Z\n");
  expect(whole.out).toContain("url:\thttps://forge.example/acme/app/pull/12\nadditions:\t3\ndeletions:\t1\n--\n");
});

it("gives JSON by fields that it knows, and names those when it does not", async () => {
  const [view, pr, unknown, jq, repo] = await Promise.all([
    gh(["issue", "view", "7", "--json", "number,author,comments"]),
    gh(["pr", "view", "12", "--json", "headRefName,isDraft,mergeable"]),
    gh(["issue", "view", "7", "--json", "number,reactionGroups"]),
    gh(["issue", "list", "--json", "number", "--jq", ".[].number"]),
    gh(["repo", "view", "--json", "nameWithOwner,isPrivate"]),
  ]);
  expect(JSON.parse(view.out)).toMatchObject({ number: 7, author: { login: "ada" }, comments: [{ body: "me too" }] });
  expect(JSON.parse(pr.out)).toEqual({ headRefName: "x1/fix", isDraft: false, mergeable: "UNKNOWN" });
  expect(unknown).toMatchObject({
    code: 1,
    out: "",
    err: expect.stringMatching(/reactionGroups.*There are: .*number/),
  });
  expect(jq).toMatchObject({ code: 1, err: expect.stringContaining("pipe it into jq") });
  expect(JSON.parse(repo.out)).toEqual({ nameWithOwner: "acme/app", isPrivate: true });
});

it("says how checks stand, with the status of the real one", async () => {
  const [checks, diff] = await Promise.all([gh(["pr", "checks", "12"]), gh(["pr", "diff", "12"])]);
  expect(checks.code).toBe(1);
  expect(checks.out).toBe(
    "test\tfail\t0\thttps://ci.example/1\t2 failed\nlint\tpending\t0\thttps://ci.example/2\t\nold\tpass\t0\thttps://ci.example/3\t\n",
  );
  expect(diff.out).toBe("diff --git a b\n");
});

it("comments on the job's own, and hands the sidecar's refusal on", async () => {
  const [said, piped, other, none] = await Promise.all([
    gh(["issue", "comment", "7", "--body", "hello"]),
    gh(["pr", "comment", "12", "-F", "-"], { stdin: "from a pipe" }),
    gh(["issue", "comment", "8", "-b", "hello"]),
    gh(["issue", "comment", "7"]),
  ]);
  expect([said.out, piped.out]).toEqual(["https://forge.example/c/5\n", "https://forge.example/c/11\n"]);
  expect(other).toMatchObject({ code: 1, out: "", err: expect.stringContaining("path_refused") });
  expect(none.err).toContain("--body");
});

it("calls the API by path, and nothing of it that is not served", async () => {
  const [read, paged, graphql, gist, other, header, missing] = await Promise.all([
    gh(["api", "repos/{owner}/{repo}"]),
    gh(["api", "/repos/acme/app/issues", "--paginate", "-X", "GET", "-f", "state=open"]),
    gh(["api", "graphql", "-f", "query=mutation{addStar(input:{}){clientMutationId}}"]),
    gh(["api", "gists", "-f", "public=true"]),
    gh(["api", "repos/acme/app/../other"]),
    gh(["api", "repos/acme/app", "-H", "X-HTTP-Method-Override: DELETE"]),
    gh(["api", "repos/acme/app/issues/404"]),
  ]);
  expect(JSON.parse(read.out)).toMatchObject({ full_name: "acme/app" });
  expect(read.out).not.toContain("SECRET");
  expect(JSON.parse(paged.out)).toHaveLength(2);
  expect(graphql).toMatchObject({ code: 1, out: "", err: expect.stringContaining("field_refused") });
  for (const refused of [gist, other])
    expect(refused).toMatchObject({ code: 1, out: "", err: expect.stringContaining("path_refused") });
  expect(header.err).toContain("Of headers only Accept");
  expect(missing).toMatchObject({ code: 1, err: "gh: Not Found (HTTP 404)\n" });
});

it("asks by GraphQL, with typed variables, page by page, and says GitHub's errors", async () => {
  const query = `query($owner: String!, $name: String!, $size: Int!, $endCursor: String) {
    repository(owner: $owner, name: $name) { issues(first: $size, after: $endCursor) { nodes { title } pageInfo { hasNextPage endCursor } } }
  }`;
  const names = ["-F", "owner={owner}", "-F", "name={repo}"];
  const [paged, failed, raw, none, status] = await Promise.all([
    gh(["api", "graphql", "--paginate", "-f", `query=${query}`, ...names, "-F", "size=2"]),
    gh(["api", "graphql", "-F", "query=@-"], { stdin: "{ rateLimit { cost } }" }),
    gh(["api", "graphql", "-f", `query=${query}`, ...names, "-f", "size=2"]),
    gh(["api", "graphql"]),
    gh(["pr", "status"]),
  ]);
  expect(paged).toMatchObject({ code: 0, err: "" });
  expect(
    paged.out
      .trim()
      .split("\n")
      .map((one) => JSON.parse(one).data.repository.issues.nodes[0].title),
  ).toEqual(["of page 1", "of page 2"]);
  expect(failed).toMatchObject({ code: 1, err: "gh: Something went wrong\n", out: expect.stringContaining("errors") });
  expect(raw).toMatchObject({ code: 1, out: "", err: expect.stringContaining("takes Int") });
  expect(none.err).toContain("-f query=");
  expect(status).toMatchObject({ code: 0, out: expect.stringContaining("Of this job\n  #12  Fix it [x1/fix]") });
});

it("has no token to show, leaves publishing to the platform, and makes nothing up", async () => {
  const [status, token, create, unknown, repo, stranger, version] = await Promise.all([
    gh(["auth", "status"]),
    gh(["auth", "token"]),
    gh(["pr", "create", "--fill"]),
    gh(["workflow", "run", "x"]),
    gh(["issue", "list", "-R", "acme/other"]),
    gh(["auth", "status"], { token: "another" }),
    gh(["--version"]),
  ]);
  expect(status).toMatchObject({ code: 0, out: expect.stringContaining("allowed: read, comment") });
  expect(token).toMatchObject({ code: 4, out: "" });
  expect(create).toMatchObject({ code: 4, err: expect.stringContaining("opens the pull request after approval") });
  expect(unknown).toMatchObject({ code: 4, err: expect.stringContaining("not available in this workspace") });
  expect(repo).toMatchObject({ code: 4, err: expect.stringContaining("acme/app only") });
  expect(stranger).toMatchObject({ code: 4 });
  expect(version.code).toBe(0);
  for (const { out, err } of [status, token, create]) expect(out + err).not.toContain("ghs_");
});
