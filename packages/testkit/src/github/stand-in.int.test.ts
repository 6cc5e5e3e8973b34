import { createHash, createHmac } from "node:crypto";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { GithubStandIn } from "./index.ts";
import { client, ended, folder, git, installed, octokitApp, scene, where } from "./test/scene.ts";

describe("the GitHub stand-in, driven by octokit and git", () => {
  it("takes an issue to a merged pull request with reviews, checks and logs", async () => {
    const { github, app, installation } = await scene();
    await github.as("mallory").openIssue("acme/tool", { title: "add subtracts", body: "see `src/add.js`" });
    const kit = await installed(github, app, installation);
    const { data: issues } = await kit.rest.issues.listForRepo({ ...where, state: "open" });
    expect(issues.map((one) => [one.number, one.author_association])).toEqual([[1, "NONE"]]);
    expect((await kit.rest.repos.get(where)).data.default_branch).toBe("main");

    const token = github.installationToken(installation).value;
    const tree = join(await folder(), "tool");
    expect((await git("/", "clone", "-q", github.cloneUrl("acme/tool", token), tree)).out).toBe("");
    await writeFile(join(tree, "src/add.js"), "export const add = (a, b) => a + b;\n");
    await git(tree, "checkout", "-qb", "x1/fix");
    await git(tree, "commit", "-qam", "Add adds");
    expect((await git(tree, "push", "-q", "origin", "x1/fix")).code).toBe(0);

    const { data: pull } = await kit.rest.pulls.create({
      ...where,
      title: "Fix add",
      head: "x1/fix",
      base: "main",
      body: "Fixes #1",
      draft: true,
    });
    expect(pull).toMatchObject({
      number: 2,
      draft: true,
      changed_files: 1,
      additions: 1,
      deletions: 1,
      mergeable: true,
    });
    expect((await kit.rest.pulls.list({ ...where, head: "acme:x1/fix" })).data.map((one) => one.number)).toEqual([2]);
    await github
      .as("bob")
      .requestChanges("acme/tool", 2, "One thing", [{ path: "src/add.js", line: 1, body: "Is it tested?" }]);
    const { data: reviews } = await kit.rest.pulls.listReviews({ ...where, pull_number: 2 });
    expect(reviews.map((one) => [one.user?.login, one.state])).toEqual([["bob", "CHANGES_REQUESTED"]]);
    const { data: lines } = await kit.rest.pulls.listReviewComments({ ...where, pull_number: 2 });
    expect(lines[0]).toMatchObject({ path: "src/add.js", line: 1, side: "RIGHT", body: "Is it tested?" });
    expect(lines[0]?.diff_hunk).toContain("+export const add = (a, b) => a + b;");
    await kit.rest.pulls.createReplyForReviewComment({
      ...where,
      pull_number: 2,
      comment_id: lines[0]!.id,
      body: "Now it is",
    });

    await writeFile(join(tree, "add.test.js"), "// tested\n");
    await git(tree, "add", ".");
    await git(tree, "commit", "-qm", "Test add");
    await git(tree, "push", "-q", "origin", "x1/fix");
    const { data: after } = await kit.rest.pulls.get({ ...where, pull_number: 2 });
    expect(after).toMatchObject({
      commits: 2,
      changed_files: 2,
      head: { sha: (await git(tree, "rev-parse", "HEAD")).out.trim() },
    });

    const sha = after.head.sha;
    const { data: check } = await kit.rest.checks.create({
      ...where,
      name: "x1agent",
      head_sha: sha,
      status: "in_progress",
    });
    await kit.rest.checks.update({
      ...where,
      check_run_id: check.id,
      conclusion: "success",
      output: {
        title: "ok",
        summary: "all",
        annotations: [{ path: "add.test.js", start_line: 1, end_line: 1, annotation_level: "notice", message: "m" }],
      },
    });
    const failed = await github.check(
      "acme/tool",
      { pull: 2 },
      { name: "ci", conclusion: "failure", log: "1 test failed\n" },
    );
    const { data: runs } = await kit.rest.checks.listForRef({ ...where, ref: "x1/fix" });
    expect(runs.check_runs.map((one) => [one.name, one.conclusion])).toEqual([
      ["ci", "failure"],
      ["x1agent", "success"],
    ]);
    const { data: log } = await kit.rest.actions.downloadJobLogsForWorkflowRun({ ...where, job_id: failed.id });
    expect(String(log)).toContain("1 test failed");
    expect((await kit.rest.checks.listAnnotations({ ...where, check_run_id: check.id })).data).toHaveLength(1);

    await kit.graphql(
      "mutation($id: ID!) { markPullRequestReadyForReview(input: {pullRequestId: $id}) { pullRequest { isDraft } } }",
      { id: pull.node_id },
    );
    await github.as("bob").approve("acme/tool", 2);
    const { data: merged } = await kit.rest.pulls.merge({ ...where, pull_number: 2, merge_method: "squash", sha });
    expect(merged.merged).toBe(true);
    expect((await kit.rest.issues.get({ ...where, issue_number: 1 })).data.state).toBe("closed");
    expect(await readFile(join(tree, "src/add.js"), "utf8")).toContain("a + b");
    expect(github.misfits).toEqual([]);
  });

  it("scopes installation tokens, masks what they do not reach, and lets them expire", async () => {
    const { github, app, installation } = await scene({ private: true });
    await github.repository("acme/secret", { private: true, files: { a: "a" } });
    await github.as("bob").openIssue("acme/tool", { title: "one" });
    const kit = octokitApp(github, app);
    const { data } = await kit.octokit.rest.apps.createInstallationAccessToken({
      installation_id: installation.id,
      repositories: ["tool"],
      permissions: { issues: "read" },
    });
    const narrow = client(github, data.token);
    expect((await narrow.rest.issues.listForRepo(where)).data).toHaveLength(1);
    await expect(narrow.rest.issues.create({ ...where, title: "x" })).rejects.toMatchObject({
      status: 403,
      response: { data: { message: "Resource not accessible by integration" } },
    });
    await expect(narrow.rest.repos.get({ owner: "acme", repo: "secret" })).rejects.toMatchObject({ status: 404 });
    await expect(
      kit.octokit.rest.apps.createInstallationAccessToken({
        installation_id: installation.id,
        permissions: { secrets: "write" },
      }),
    ).rejects.toMatchObject({ status: 422 });
    await expect(
      kit.octokit.rest.apps.createInstallationAccessToken({
        installation_id: installation.id,
        repositories: ["secret"],
      }),
    ).rejects.toMatchObject({ status: 422 });
    const tree = await folder();
    const readOnly = await git(tree, "clone", github.cloneUrl("acme/tool", data.token), "a");
    expect(readOnly.out).toContain("403");
    github.advance(3_601_000);
    await expect(narrow.rest.issues.listForRepo(where)).rejects.toMatchObject({ status: 401 });
    const fresh = github.installationToken(installation).value;
    await github.suspend(installation);
    await expect(client(github, fresh).rest.issues.listForRepo(where)).rejects.toMatchObject({ status: 403 });
    await github.uninstall(installation);
    await expect(client(github, fresh).rest.issues.listForRepo(where)).rejects.toMatchObject({ status: 401 });
  });

  it("refuses a push to a protected branch in GitHub's words, and a force push, and one without permission", async () => {
    const { github, installation } = await scene();
    github.protect("acme/tool", "main");
    const tree = join(await folder(), "t");
    await git("/", "clone", "-q", github.cloneUrl("acme/tool", github.installationToken(installation)), tree);
    await git(tree, "commit", "-q", "--allow-empty", "-m", "straight");
    const refused = await git(tree, "push", "origin", "HEAD:main", "HEAD:refs/heads/side");
    expect(refused.code).not.toBe(0);
    expect(refused.out).toContain("GH006: Protected branch update failed for refs/heads/main");
    expect(refused.out).toContain("(protected branch hook declined)");
    expect(refused.out).toMatch(/\[new branch\]\s+HEAD -> side/);
    // A pointer to content that nobody uploaded, and then did.
    const content = Buffer.from("large");
    const oid = createHash("sha256").update(content).digest("hex");
    const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize ${content.length}\n`;
    await writeFile(join(tree, "large.bin"), pointer);
    await git(tree, "add", ".");
    await git(tree, "commit", "-qm", "Large");
    const early = await git(tree, "push", "origin", "HEAD:refs/heads/side");
    expect(early.code).not.toBe(0);
    expect(early.out).toContain("GH008: Your push referenced at least 1 unknown Git LFS object:");
    expect(early.out).toContain(`    ${oid}`);
    expect(early.out).toContain("(pre-receive hook declined)");
    expect(github.lfs("acme/tool", content)).toBe(pointer);
    expect((await git(tree, "push", "-q", "origin", "HEAD:refs/heads/side")).code).toBe(0);
    await mkdir(join(tree, ".github/workflows"), { recursive: true });
    await writeFile(join(tree, ".github/workflows/ci.yml"), "on: push\n");
    await git(tree, "add", ".");
    await git(tree, "commit", "-qm", "CI");
    expect((await git(tree, "push", "origin", "HEAD:refs/heads/ci")).out).toContain(
      "(refusing to allow a GitHub App to create or update workflow `.github/workflows/ci.yml` without `workflows` permission)",
    );
    const reader = github.installationToken(installation, { permissions: { contents: "read" } });
    const denied = await git(tree, "push", github.cloneUrl("acme/tool", reader), "HEAD:refs/heads/other");
    expect(denied.out).toContain("denied to x1-test[bot]");
    expect((await github.repo("acme/tool").git.refs("refs/heads/")).size).toBe(2);
  });

  it("signs webhooks over state changes, and loses, doubles and reorders them on demand", async () => {
    const heard: { event: string; action: string | undefined; guid: string; good: boolean }[] = [];
    const receiver = createServer((request, response) => {
      let text = "";
      request.on("data", (part: Buffer) => {
        text += part.toString();
      });
      request.on("end", () => {
        const wanted = `sha256=${createHmac("sha256", "s3cret").update(text).digest("hex")}`;
        heard.push({
          event: String(request.headers["x-github-event"]),
          action: (JSON.parse(text) as { action?: string }).action,
          guid: String(request.headers["x-github-delivery"]),
          good: request.headers["x-hub-signature-256"] === wanted,
        });
        response.writeHead(202).end();
      });
    }).listen(0, "127.0.0.1");
    await once(receiver, "listening");
    ended.push(async () => receiver.close());
    const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;
    const { github, app, installation } = await scene({ webhook: { url, secret: "s3cret" } });
    const bob = github.as("bob");
    await bob.openIssue("acme/tool", { title: "one", labels: ["x1"] });
    await bob.comment("acme/tool", 1, "/x1 fix");
    await bob.assign("acme/tool", 1, "alice");
    const sha = await bob.push("acme/tool", "fix", { "src/add.js": "// new\n" });
    await bob.openPull("acme/tool", { head: "fix", title: "Fix" });
    await github.as("alice").requestChanges("acme/tool", 2, "no", [{ path: "src/add.js", line: 1, body: "why" }]);
    await bob.push("acme/tool", "fix", { "src/add.js": "// newer\n" });
    await github.check("acme/tool", { pull: 2 }, { name: "ci", conclusion: "failure", log: "no" });
    await bob.status("acme/tool", sha, { state: "success", context: "lint" });
    await github.as("alice").merge("acme/tool", 2, "rebase");
    await github.as("alice").renameRepository("acme/tool", "tools");
    await github.reselect(installation, { removed: ["acme/tools"] });
    await github.suspend(installation);
    await github.settled();
    expect(heard.every((one) => one.good)).toBe(true);
    expect(heard.map((one) => [one.event, one.action].filter(Boolean).join("."))).toEqual([
      "installation.created",
      "issues.opened",
      "issues.labeled",
      "issue_comment.created",
      "issues.assigned",
      "push",
      "check_suite.requested",
      "pull_request.opened",
      "pull_request_review.submitted",
      "pull_request_review_comment.created",
      "push",
      "pull_request.synchronize",
      "check_suite.requested",
      "check_run.created",
      "check_run.completed",
      "check_suite.completed",
      "status",
      "pull_request.closed",
      "push",
      "check_suite.requested",
      "repository.renamed",
      "installation_repositories.removed",
      "installation.suspend",
    ]);

    await github.unsuspend(installation);
    await github.reselect(installation, { added: ["acme/tools"] });
    await github.settled();
    heard.length = 0;
    const fates = ["lose", "twice", "hold", "hold", "hold"] as const;
    let index = 0;
    github.onDelivery(() => fates[index++] ?? "send");
    for (const number of [3, 4, 5, 6, 7]) await bob.openIssue("acme/tools", { title: `issue ${number}` });
    github.webhooks.release("reversed");
    await github.settled();
    expect(heard).toHaveLength(5);
    expect(heard[0]?.guid).toBe(heard[1]?.guid);
    const { octokit } = octokitApp(github, app);
    const { data: deliveries } = await octokit.rest.apps.listWebhookDeliveries({ per_page: 100 });
    const lost = deliveries.find((one) => one.status_code === 502)!;
    await octokit.rest.apps.redeliverWebhookDelivery({ delivery_id: lost.id });
    await github.settled();
    expect(heard).toHaveLength(6);
    expect(heard.at(-1)?.guid).toBe(lost.guid);
  });

  it("plays limits, ETags, pages and faults", async () => {
    const { github, installation } = await scene();
    for (let index = 0; index < 7; index++) await github.as("bob").openIssue("acme/tool", { title: `issue ${index}` });
    const token = github.installationToken(installation).value;
    const kit = client(github, token);
    const all = await kit.paginate(kit.rest.issues.listForRepo, { ...where, per_page: 3 });
    expect(all.map((one) => one.number)).toEqual([7, 6, 5, 4, 3, 2, 1]);
    const first = await kit.rest.issues.listForRepo(where);
    const again = kit.request("GET /repos/{owner}/{repo}/issues", {
      ...where,
      headers: { "if-none-match": first.headers.etag },
    });
    await expect(again).rejects.toMatchObject({
      status: 304,
      response: { headers: { "x-ratelimit-remaining": first.headers["x-ratelimit-remaining"] } },
    });
    github.leaveRequests(token, 1);
    await kit.rest.repos.get(where);
    await expect(kit.rest.repos.get(where)).rejects.toMatchObject({
      status: 403,
      response: { headers: { "x-ratelimit-remaining": "0" } },
    });
    github.advance(3_600_001);
    const later = client(github, github.installationToken(installation).value);
    await later.rest.repos.get(where);
    github.fault({ kind: "secondary-limit", retryAfterSeconds: 30, path: "/issues", method: "POST" });
    await expect(later.rest.issues.create({ ...where, title: "x" })).rejects.toMatchObject({
      status: 403,
      response: { headers: { "retry-after": "30" } },
    });
    github.fault({ kind: "status", status: 502, times: 2 });
    await expect(later.rest.repos.get(where)).rejects.toMatchObject({ status: 502 });
    await expect(later.rest.repos.get(where)).rejects.toMatchObject({ status: 502 });
    github.fault({ kind: "drop-after", method: "POST", path: "/comments" });
    await expect(later.rest.issues.createComment({ ...where, issue_number: 1, body: "once" })).rejects.toMatchObject({
      status: 500,
    });
    expect((await later.rest.issues.listComments({ ...where, issue_number: 1 })).data).toHaveLength(1);
  });

  it("records a request that does not fit the description, and refuses it as GitHub does", async () => {
    const { github } = await scene();
    const kit = client(github, github.personalToken("bob").value, github.url);
    await expect(kit.request("POST /repos/acme/tool/issues", { body: "no title" })).rejects.toMatchObject({
      status: 422,
    });
    const long = kit.rest.issues.create({ ...where, title: "x", body: "y".repeat(65_537) });
    await expect(long).rejects.toMatchObject({ status: 422, message: expect.stringContaining("body is too long") });
    await expect(kit.request("GET /repos/acme/tool/nonsense")).rejects.toMatchObject({ status: 404 });
    await kit.request("GET /repos/acme/tool/issues?per-page=3");
    expect(github.strays.map((one) => one.stray)).toEqual([["per-page"]]);
    await expect(kit.request("GET /gists")).rejects.toMatchObject({ status: 501 });
    expect(github.misfits.map((one) => one.path)).toEqual([
      "/repos/acme/tool/issues",
      "/repos/acme/tool/nonsense",
      "/gists",
    ]);
  });

  it("catches an answer that leaves out a required field, aloud and at the end", async () => {
    const github = await GithubStandIn.start({
      handlers: {
        "repos/get": {
          handle: (call) => {
            const { clone_url: _, ...rest } = call.present.repository(call.repository, true);
            return { status: 200, body: rest };
          },
        },
      },
    });
    github.user("alice");
    await github.repository("alice/tool", { files: { a: "a" } });
    const kit = client(github, github.personalToken("alice").value);
    await expect(kit.rest.repos.get({ owner: "alice", repo: "tool" })).rejects.toMatchObject({ status: 500 });
    await expect(github.close()).rejects.toThrow(/repos\/get 200.*clone_url/);
  });
});
