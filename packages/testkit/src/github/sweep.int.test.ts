import { expect, it } from "vitest";
import { client, octokitApp, scene } from "./test/scene.ts";

it("answers every operation it plays at least once, and every answer fits GitHub's description", async () => {
  const { github, app, installation } = await scene({ webhook: { url: "http://127.0.0.1:9/", secret: "s" } });
  const alice = github.as("alice");
  const bob = github.as("bob");
  github.user("carol");
  github.access("acme/tool", "carol", "triage");
  await bob.openIssue("acme/tool", { title: "one", body: "b", labels: ["bug"], assignees: ["bob"] });
  const comment = await bob.comment("acme/tool", 1, "words");
  await bob.push("acme/tool", "fix", { "src/add.js": "export const add = (a, b) => a + b;\n", "docs/new.md": "new\n" });
  await bob.openPull("acme/tool", { head: "fix", title: "Fix", body: "Fixes #1" });
  const remark = await alice.commentOnLine("acme/tool", 2, { path: "src/add.js", line: 1, body: "hm" });
  const review = await alice.requestChanges("acme/tool", 2, "no");
  const head = await github.head("acme/tool", "fix");
  const job = await github.check(
    "acme/tool",
    { pull: 2 },
    { name: "ci", conclusion: "failure", log: "bad\n", annotations: [{ message: "m" }] },
  );
  await bob.status("acme/tool", head, { state: "failure", context: "lint" });
  github.protect("acme/tool", "main", { requiredReviews: 1, requiredChecks: ["ci"], strict: true });
  github.protect("acme/tool", "release/*", { asRuleset: true, requiredReviews: 1, requiredChecks: ["ci"] });
  await github.settled();

  const user = client(github, github.personalToken("alice").value);
  const bot = client(github, github.installationToken(installation).value);
  const { octokit: jwt } = octokitApp(github, app);
  const at = "/repos/acme/tool";
  type Caller = {
    request: (route: string, body?: Record<string, unknown>) => Promise<{ status: number; data: never }>;
  };
  /** Calls, and gives what was answered. */
  const call = async <T = Record<string, never>>(
    kit: unknown,
    route: string,
    body?: Record<string, unknown>,
  ): Promise<T> => {
    const { data } = await (kit as Caller).request(route, body).catch((error: Error) => {
      throw new Error(`${route}: ${error.message}`);
    });
    return data;
  };

  for (const route of [
    "/",
    "/meta",
    "/rate_limit",
    "/user",
    "/users/bob",
    "/user/orgs",
    "/user/repos",
    "/user/installations",
    "/orgs/acme/repos?sort=pushed",
    `/apps/${app.slug}`,
  ])
    await call(user, `GET ${route}`);
  for (const route of [
    "/app",
    "/app/installations",
    `/app/installations/${installation.id}`,
    `${at}/installation`,
    "/orgs/acme/installation",
    "/app/hook/config",
  ])
    await call(jwt, `GET ${route}`);
  const own = await github.install(app, "alice");
  await call(jwt, "GET /users/alice/installation");
  await call(jwt, `PUT /app/installations/${own.id}/suspended`);
  await call(jwt, `DELETE /app/installations/${own.id}/suspended`);
  await call(jwt, `DELETE /app/installations/${own.id}`);
  const minted = await call<{ token: string }>(jwt, `POST /app/installations/${installation.id}/access_tokens`, {
    repositories: ["tool"],
  });
  await call(client(github, minted.token), "GET /installation/repositories");
  await call(client(github, minted.token), "DELETE /installation/token");
  await call(jwt, "PATCH /app/hook/config", { secret: "other" });
  const [delivery] = await call<{ id: number }[]>(jwt, "GET /app/hook/deliveries");
  await call(jwt, `GET /app/hook/deliveries/${delivery!.id}`);
  await call(jwt, `POST /app/hook/deliveries/${delivery!.id}/attempts`);
  const page = await fetch(`${github.url}/settings/apps/new`, {
    method: "POST",
    body: new URLSearchParams({
      manifest: JSON.stringify({ name: "m", url: "http://x.invalid", redirect_url: "http://x.invalid/back" }),
    }),
  });
  const action = /action="([^"]+)"/.exec(await page.text())![1]!;
  const back = await fetch(`${github.url}${action}`, {
    method: "POST",
    redirect: "manual",
    body: new URLSearchParams(),
  });
  const code = new URL(back.headers.get("location")!).searchParams.get("code");
  const made = await fetch(`${github.apiUrl}/app-manifests/${code}/conversions`, {
    method: "POST",
    headers: { "user-agent": "t" },
  });
  expect(made.status).toBe(201);

  for (const route of [
    "",
    "/branches",
    "/branches?protected=true",
    "/branches/main",
    "/branches/main/protection",
    "/rules/branches/release%2F1",
    "/collaborators",
    "/collaborators/bob",
    "/collaborators/bob/permission",
    "/commits",
    "/commits?path=docs",
    "/commits/main",
    "/compare/main...fix",
    `/commits/${head}/pulls`,
    "/contents/",
    "/contents/src",
    "/contents/docs/new.md?ref=fix",
    "/readme",
    "/events",
    "/hooks",
    "/git/ref/heads/main",
    "/git/matching-refs/heads",
    `/git/commits/${head}`,
    "/git/trees/fix?recursive=1",
    "/issues?assignee=bob&labels=bug",
    "/issues?assignee=*&creator=bob&mentioned=x",
    "/issues/1",
    "/issues/1/events",
    "/issues/1/comments",
    "/issues/comments?sort=updated",
    `/issues/comments/${comment.id}`,
    "/labels",
    "/labels/bug",
    "/issues/1/labels",
    "/assignees",
    "/assignees/bob",
    "/pulls",
    "/pulls?head=acme:fix&state=all",
    "/pulls/2",
    "/pulls/2/files",
    "/pulls/2/commits",
    "/pulls/2/requested_reviewers",
    "/pulls/2/reviews",
    `/pulls/2/reviews/${review.id}`,
    `/pulls/2/reviews/${review.id}/comments`,
    "/pulls/2/comments",
    "/pulls/comments?direction=desc",
    `/pulls/comments/${remark.id}`,
    `/check-runs/${job.id}`,
    `/check-runs/${job.id}/annotations`,
    "/commits/fix/check-runs?filter=all",
    "/commits/fix/check-suites",
    `/check-suites/${job.suiteId}`,
    `/check-suites/${job.suiteId}/check-runs`,
    "/commits/fix/statuses",
    "/commits/fix/status",
    "/actions/runs",
    `/actions/runs/${job.job!.runId}`,
    `/actions/runs/${job.job!.runId}/jobs`,
    `/actions/jobs/${job.id}`,
    `/actions/jobs/${job.id}/logs`,
  ])
    await call(user, `GET ${at}${route}`);
  await call(user, "GET /search/issues?q=repo:acme/tool+is:open+-label:wontfix+author:bob+no:label");
  const diff = await user.request(`GET ${at}/pulls/2`, { headers: { accept: "application/vnd.github.v3.diff" } });
  expect(String(diff.data)).toContain("diff --git a/docs/new.md b/docs/new.md");

  await call(bot, `POST ${at}/issues`, { title: "two", labels: ["bug"] });
  await call(bot, `PATCH ${at}/issues/3`, { title: "2", state: "closed", state_reason: "not_planned" });
  await call(bot, `PATCH ${at}/issues/3`, { state: "open" });
  const said = await call<{ id: number }>(bot, `POST ${at}/issues/3/comments`, { body: "said" });
  await call(bot, `PATCH ${at}/issues/comments/${said.id}`, { body: "said again" });
  await call(bot, `DELETE ${at}/issues/comments/${said.id}`);
  await call(user, `POST ${at}/labels`, { name: "x1", color: "ff0000" });
  await call(user, `POST ${at}/issues/3/labels`, { labels: ["x1"] });
  await call(user, `DELETE ${at}/issues/3/labels/x1`);
  await call(user, `PUT ${at}/issues/3/labels`, { labels: ["bug", "x1"] });
  await call(user, `DELETE ${at}/issues/3/labels`);
  await call(user, `POST ${at}/issues/3/assignees`, { assignees: ["bob", "carol"] });
  await call(user, `DELETE ${at}/issues/3/assignees`, { assignees: ["bob"] });

  const blob = await call<{ sha: string }>(user, `POST ${at}/git/blobs`, { content: "text", encoding: "utf-8" });
  await call(user, `GET ${at}/git/blobs/${blob.sha}`);
  const tree = await call<{ sha: string }>(user, `POST ${at}/git/trees`, {
    base_tree: head,
    tree: [
      { path: "new.txt", mode: "100644", type: "blob", sha: blob.sha },
      { path: "README.md", mode: "100644", type: "blob", sha: null },
    ],
  });
  const commit = await call<{ sha: string }>(user, `POST ${at}/git/commits`, {
    message: "made",
    tree: tree.sha,
    parents: [head],
  });
  await call(user, `POST ${at}/git/refs`, { ref: "refs/heads/made", sha: commit.sha });
  await call(user, `PATCH ${at}/git/refs/heads/made`, { sha: head, force: true });
  await call(user, `PUT ${at}/contents/notes/a%20b.md`, {
    message: "note",
    content: Buffer.from("x").toString("base64"),
    branch: "made",
  });
  await call(bot, `POST ${at}/pulls`, { title: "made", head: "made", base: "fix", draft: true });
  await call(bot, `PATCH ${at}/pulls/4`, { title: "made!", base: "main" });
  await call(bot, `POST ${at}/pulls/4/requested_reviewers`, { reviewers: ["bob"] });
  await call(bot, `DELETE ${at}/pulls/4/requested_reviewers`, { reviewers: ["bob"] });
  const pending = await call<{ id: number }>(user, `POST ${at}/pulls/4/reviews`, {
    comments: [{ path: "docs/new.md", line: 1, body: "l" }],
  });
  await call(user, `POST ${at}/pulls/4/reviews/${pending.id}/events`, { event: "REQUEST_CHANGES", body: "no" });
  await call(user, `PUT ${at}/pulls/4/reviews/${pending.id}/dismissals`, { message: "yes" });
  const line = await call<{ id: number }>(user, `POST ${at}/pulls/4/comments`, {
    path: "docs/new.md",
    line: 1,
    side: "RIGHT",
    commit_id: await github.head("acme/tool", "made"),
    body: "here",
  });
  await call(user, `POST ${at}/pulls/4/comments/${line.id}/replies`, { body: "there" });
  await call(user, `PATCH ${at}/pulls/comments/${line.id}`, { body: "here!" });
  await call(user, `DELETE ${at}/pulls/comments/${line.id}`);
  const check = await call<{ id: number }>(bot, `POST ${at}/check-runs`, {
    name: "x1agent",
    head_sha: head,
    status: "queued",
  });
  await call(bot, `PATCH ${at}/check-runs/${check.id}`, {
    status: "in_progress",
    output: { title: "t", summary: "s" },
  });
  await call(bot, `PATCH ${at}/check-runs/${check.id}`, { conclusion: "success" });
  await call(user, `POST ${at}/check-runs/${check.id}/rerequest`);
  await call(user, `POST ${at}/actions/runs/${job.job!.runId}/rerun-failed-jobs`);
  await call(user, `POST ${at}/statuses/${head}`, { state: "success", context: "lint" });
  // Bob's own work may go in without rules, so that the rest can be seen.
  github.repo("acme/tool").protections = [];
  await bob.push("acme/tool", "main", { "other.txt": "o\n" });
  await call(user, `PUT ${at}/pulls/2/update-branch`);
  await call(user, `PUT ${at}/pulls/2/merge`, { merge_method: "merge" });
  await call(user, `GET ${at}/pulls/2/merge`);
  await call(user, `DELETE ${at}/git/refs/heads/made`);
  await call(user, `PATCH ${at}`, { name: "tools", default_branch: "main" });
  await call(user, "DELETE /repos/acme/tools");

  expect(github.misfits).toEqual([]);
  expect(github.strays.map((one) => `${one.operation}: ${one.stray}`)).toEqual([]);
  const answered = new Set(github.log.filter((one) => one.status < 400).map((one) => one.operation));
  expect(github.operations.filter((id) => !answered.has(id))).toEqual([]);
});
