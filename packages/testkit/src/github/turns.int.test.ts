import { sign } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { GithubStandIn } from "./index.ts";
import { client, ended, folder, git, installed, octokitApp, scene, where } from "./test/scene.ts";

/** What happens to a connection over time, and what people may who are not of the house. */
describe("the GitHub stand-in over time", () => {
  it("plays the manifest flow: form, confirmation, code, conversion, installation", async () => {
    const { github } = await scene();
    const manifest = {
      name: "x1agent of acme",
      url: "https://x1.example.com",
      redirect_url: "http://127.0.0.1:9/callback",
      setup_url: "http://127.0.0.1:9/installed",
      hook_attributes: { url: "http://127.0.0.1:9/hook" },
      default_permissions: { issues: "write", contents: "write" },
      default_events: ["issues", "push"],
    };
    const post = (path: string, form: Record<string, string>) =>
      fetch(new URL(path, github.url), { method: "POST", body: new URLSearchParams(form), redirect: "manual" });
    const start = "/organizations/acme/settings/apps/new?state=abc";
    const wrong = await post(start, { manifest: JSON.stringify({ ...manifest, default_events: ["check_run"] }) });
    expect([wrong.status, await wrong.text()]).toEqual([
      422,
      expect.stringContaining("Default events unsupported: check_run"),
    ]);
    const page = await post(start, { manifest: JSON.stringify(manifest) });
    const action = /action="([^"]+)"/.exec(await page.text())![1]!;
    const back = new URL((await post(action, { name: "x1agent acme" })).headers.get("location")!);
    expect(back.searchParams.get("state")).toBe("abc");
    const anonymous = client(github, "");
    const code = back.searchParams.get("code")!;
    const { data } = await anonymous.request("POST /app-manifests/{code}/conversions", {
      code,
      headers: { authorization: "" },
    });
    expect(data).toMatchObject({
      slug: "x1agent-acme",
      pem: expect.stringContaining("PRIVATE KEY"),
      webhook_secret: expect.any(String),
    });
    await expect(
      anonymous.request("POST /app-manifests/{code}/conversions", { code, headers: { authorization: "" } }),
    ).rejects.toMatchObject({ status: 404 });
    const app = github.world.apps.get(data!.id)!;
    const form = await (await fetch(`${github.url}/apps/${app.slug}/installations/new?state=def`)).text();
    const account = /Install on acme/.test(form) ? String(github.account("acme").id) : "";
    const installed = await post(`/apps/${app.slug}/installations/new`, {
      account,
      selection: "selected",
      repository: String(github.repo("acme/tool").id),
      state: "def",
    });
    const setup = new URL(installed.headers.get("location")!);
    expect([setup.pathname, setup.searchParams.get("state"), setup.searchParams.get("setup_action")]).toEqual([
      "/installed",
      "def",
      "install",
    ]);
    const kit = await octokitApp(github, app).getInstallationOctokit(Number(setup.searchParams.get("installation_id")));
    expect(
      (await kit.rest.apps.listReposAccessibleToInstallation()).data.repositories.map((one) => one.full_name),
    ).toEqual(["acme/tool"]);
  });

  it("follows renames and transfers, and masks what is gone", async () => {
    const { github, app, installation } = await scene({ private: true });
    const kit = await installed(github, app, installation);
    const { id } = github.repo("acme/tool");
    await github.as("alice").renameRepository("acme/tool", "tools");
    expect((await kit.rest.repos.get(where)).data.full_name).toBe("acme/tools");
    expect((await kit.request("GET /repositories/{id}", { id })).data.name).toBe("tools");
    const token = github.installationToken(installation).value;
    const directory = await folder();
    const old = `${github.url.replace("://", `://x-access-token:${token}@`)}/acme/tool.git`;
    expect((await git(directory, "clone", "-q", old, "a")).code).toBe(0);
    await github.as("alice").renameBranch("acme/tools", "main", "trunk");
    expect((await kit.rest.repos.get({ owner: "acme", repo: "tools" })).data.default_branch).toBe("trunk");
    await github.as("alice").transfer("acme/tools", "alice");
    await expect(kit.rest.repos.get({ owner: "acme", repo: "tools" })).rejects.toMatchObject({ status: 404 });
    expect((await git(directory, "clone", "-q", old, "b")).out).toContain("not found");
    await github.as("alice").deleteRepository("alice/tools");
    const alice = client(github, github.personalToken("alice").value);
    await expect(alice.rest.repos.get({ owner: "alice", repo: "tools" })).rejects.toMatchObject({ status: 404 });
  });

  it("takes pull requests from forks and derives who their authors are", async () => {
    const { github, app, installation } = await scene();
    const kit = await installed(github, app, installation);
    await github.fork("acme/tool", "mallory");
    await github
      .as("mallory")
      .push("mallory/tool", "better", { "src/add.js": "export const add = (a, b) => a + b;\n" });
    await github.as("mallory").openPull("acme/tool", { head: "mallory:better", title: "Better" });
    const { data: pull } = await kit.rest.pulls.get({ ...where, pull_number: 1 });
    expect(pull).toMatchObject({
      author_association: "FIRST_TIME_CONTRIBUTOR",
      head: { label: "mallory:better", repo: { full_name: "mallory/tool", fork: true } },
    });
    const directory = await folder();
    await git(directory, "clone", "-q", github.cloneUrl("acme/tool"), "a");
    expect((await git(join(directory, "a"), "fetch", "-q", "origin", "refs/pull/1/head")).code).toBe(0);
    expect((await git(join(directory, "a"), "rev-parse", "FETCH_HEAD")).out.trim()).toBe(pull.head.sha);
    await github.as("mallory").push("mallory/tool", "better", { "a.txt": "more\n" });
    expect((await kit.rest.pulls.get({ ...where, pull_number: 1 })).data.commits).toBe(2);
    await github.as("bob").merge("acme/tool", 1, "rebase");
    await github.as("mallory").openIssue("acme/tool", { title: "thanks" });
    const { data: issue } = await kit.rest.issues.get({ ...where, issue_number: 2 });
    expect(issue.author_association).toBe("CONTRIBUTOR");
    const level = async (username: string) =>
      (await kit.rest.repos.getCollaboratorPermissionLevel({ ...where, username })).data.permission;
    expect([await level("mallory"), await level("bob"), await level("alice")]).toEqual(["read", "write", "admin"]);
    github.access("acme/tool", "bob", "none");
    expect(await level("bob")).toBe("read");
  });

  it("takes only an App's own JWT, within its ten minutes and a minute of skew", async () => {
    const { github, app } = await scene();
    const other = github.app({ name: "other", owner: "acme", permissions: {} });
    const now = Math.floor(github.now() / 1000);
    const status = async (claims: Record<string, unknown>, key = app.privateKey, alg = "RS256") => {
      const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
      const text = `${part({ alg, typ: "JWT" })}.${part(claims)}`;
      const jwt = `${text}.${sign("RSA-SHA256", Buffer.from(text), key).toString("base64url")}`;
      const headers = { authorization: `Bearer ${jwt}`, "user-agent": "test" };
      return (await fetch(`${github.apiUrl}/app`, { headers })).status;
    };
    expect(await status({ iss: app.id, iat: now - 60, exp: now + 540 })).toBe(200);
    expect(await status({ iss: app.clientId, iat: now + 30, exp: now + 540 })).toBe(200);
    expect(await status({ iss: app.id, iat: now, exp: now + 660 })).toBe(401);
    expect(await status({ iss: app.id, iat: now + 120, exp: now + 540 })).toBe(401);
    expect(await status({ iss: app.id, iat: now - 600, exp: now - 1 })).toBe(401);
    expect(await status({ iss: other.id, iat: now, exp: now + 60 })).toBe(401);
    expect(await status({ iss: app.id, iat: now, exp: now + 60 }, app.privateKey, "none")).toBe(401);
    expect((await fetch(`${github.apiUrl}/meta`, { headers: { "user-agent": "" } })).status).toBe(403);
  });

  it("holds fine-grained tokens to their repositories, permissions and person", async () => {
    const { github } = await scene({ private: true });
    await github.repository("acme/other", { private: true, files: { a: "a" } });
    const token = github.personalToken("bob", {
      permissions: { issues: "read", contents: "read" },
      repositories: ["acme/tool"],
    });
    const kit = client(github, token.value);
    expect((await kit.rest.repos.listForAuthenticatedUser()).data.map((one) => one.full_name)).toEqual(["acme/tool"]);
    await expect(kit.rest.repos.get({ owner: "acme", repo: "other" })).rejects.toMatchObject({ status: 404 });
    await expect(kit.rest.issues.create({ ...where, title: "x" })).rejects.toMatchObject({
      status: 403,
      response: {
        data: { message: "Resource not accessible by personal access token" },
        headers: { "x-accepted-github-permissions": "issues=write" },
      },
    });
    const directory = await folder();
    await git(directory, "clone", "-q", github.cloneUrl("acme/tool", token), "a");
    await git(join(directory, "a"), "commit", "-q", "--allow-empty", "-m", "m");
    expect((await git(join(directory, "a"), "push", "origin", "HEAD:refs/heads/x")).out).toContain("denied to bob");
    github.access("acme/tool", "bob", "none");
    await expect(kit.rest.repos.get(where)).rejects.toMatchObject({ status: 404 });
    github.revoke(token);
    await expect(kit.rest.repos.get(where)).rejects.toMatchObject({ status: 401 });
    await expect(client(github, github.personalToken("mallory").value).rest.repos.get(where)).rejects.toMatchObject({
      status: 404,
    });
  });

  it("blocks a merge by its branch's rules, and says conflicts", async () => {
    const { github, app, installation } = await scene();
    github.protect("acme/tool", "main", { requiredReviews: 1, requiredChecks: ["ci"], asRuleset: true });
    const kit = await installed(github, app, installation);
    await github.as("bob").push("acme/tool", "a", { "src/add.js": "// a\n" });
    await github.as("bob").push("acme/tool", "b", { "src/add.js": "// b\n" });
    await github.as("bob").openPull("acme/tool", { head: "a", title: "A" });
    await github.as("bob").openPull("acme/tool", { head: "b", title: "B" });
    const merge = (pull_number: number) => kit.rest.pulls.merge({ ...where, pull_number });
    await expect(merge(1)).rejects.toMatchObject({ status: 405, message: expect.stringContaining("approving review") });
    await github.as("alice").approve("acme/tool", 1);
    await expect(merge(1)).rejects.toMatchObject({ status: 405, message: expect.stringContaining('"ci" is expected') });
    const { data: rules } = await kit.rest.repos.getBranchRules({ ...where, branch: "main" });
    expect(rules.map((one) => one.type)).toEqual([
      "deletion",
      "non_fast_forward",
      "pull_request",
      "required_status_checks",
    ]);
    const check = await github.check("acme/tool", { pull: 1 }, { name: "ci", conclusion: null });
    expect((await kit.rest.pulls.get({ ...where, pull_number: 1 })).data.mergeable_state).toBe("blocked");
    await github.finish("acme/tool", check, "success");
    expect((await kit.rest.pulls.get({ ...where, pull_number: 1 })).data.mergeable_state).toBe("clean");
    await merge(1);
    expect((await kit.rest.pulls.get({ ...where, pull_number: 2 })).data).toMatchObject({
      mergeable: false,
      mergeable_state: "dirty",
    });
    expect((await kit.rest.repos.getBranch({ ...where, branch: "main" })).data.protected).toBe(true);
  });

  it("moves remarks with their lines, asks teams, and works mergeability out later", async () => {
    const { github, app, installation } = await scene();
    const kit = await installed(github, app, installation);
    const lines = (...more: string[]) => `${[...more, "one", "two", "three"].join("\n")}\n`;
    await github.as("bob").push("acme/tool", "fix", { "a.txt": lines() });
    await github.as("bob").openPull("acme/tool", { head: "fix", title: "Fix" });
    await github.as("alice").commentOnLine("acme/tool", 1, { path: "a.txt", line: 2, body: "two?" });
    await github.as("alice").commentOnLine("acme/tool", 1, { path: "a.txt", line: 3, body: "three?" });
    await github.as("bob").push("acme/tool", "fix", { "a.txt": lines("zero").replace("three", "3") });
    const { data: remarks } = await kit.rest.pulls.listReviewComments({ ...where, pull_number: 1 });
    expect(remarks.map((one) => [one.body, one.line ?? null, one.original_line])).toEqual([
      ["two?", 3, 2],
      ["three?", null, 3],
    ]);
    github.team("acme", "core", ["alice"]);
    const { data: asked } = await kit.rest.pulls.requestReviewers({
      ...where,
      pull_number: 1,
      team_reviewers: ["core"],
    });
    expect(asked.requested_teams?.map((one) => one.slug)).toEqual(["core"]);
    await expect(
      kit.rest.pulls.requestReviewers({ ...where, pull_number: 1, team_reviewers: ["gone"] }),
    ).rejects.toMatchObject({ status: 422 });
    github.mergeableAfter = 3;
    const states: (boolean | null)[] = [];
    await github.as("bob").push("acme/tool", "fix", { "b.txt": "b\n" });
    for (let index = 0; index < 4; index++)
      states.push((await kit.rest.pulls.get({ ...where, pull_number: 1 })).data.mergeable);
    expect(states).toEqual([null, null, null, true]);
    await expect(github.as("mallory").merge("acme/tool", 1)).rejects.toThrow(/takes write/);
  });

  it("answers git through faults too, and partially", async () => {
    const { github, installation } = await scene();
    const directory = await folder();
    const url = github.cloneUrl("acme/tool", github.installationToken(installation));
    github.fault({ kind: "status", status: 503, path: "info/refs" });
    expect((await git(directory, "clone", "-q", url, "a")).out).toContain("503");
    // As often as it takes: curl tries a connection that broke a second time.
    const lift = github.fault({ kind: "drop", path: "git-upload-pack", times: Number.POSITIVE_INFINITY });
    expect((await git(directory, "clone", "-q", url, "a")).code).not.toBe(0);
    lift();
    expect((await git(directory, "clone", "-q", "--filter=blob:none", "--no-checkout", url, "a")).code).toBe(0);
    await writeFile(join(directory, "a", "x"), "x");
    github.fault({ kind: "drop-after", path: "git-receive-pack" });
    await git(join(directory, "a"), "checkout", "-q", "-b", "new");
    await git(join(directory, "a"), "commit", "-q", "--allow-empty", "-m", "m");
    expect((await git(join(directory, "a"), "push", "-q", "origin", "new")).code).not.toBe(0);
    expect(await github.head("acme/tool", "new")).toBe(
      (await git(join(directory, "a"), "rev-parse", "HEAD")).out.trim(),
    );
  });

  it("says what else happens by payloads that fit", async () => {
    const { github, app, installation } = await scene({ webhook: { url: "http://127.0.0.1:9/", secret: "s" } });
    const [alice, bob] = [github.as("alice"), github.as("bob")];
    await bob.openIssue("acme/tool", { title: "one", labels: ["bug"], assignees: ["bob"] });
    await bob.unlabel("acme/tool", 1, "bug");
    await bob.editIssue("acme/tool", 1, { title: "1", body: "more" });
    await bob.close("acme/tool", 1, "not_planned");
    await bob.reopen("acme/tool", 1);
    await bob.push("acme/tool", "fix", { "a.txt": "a\n" });
    await bob.openPull("acme/tool", { head: "fix", title: "Fix", draft: true });
    await bob.markReady("acme/tool", 2);
    await bob.editIssue("acme/tool", 2, { title: "Fixed" });
    await bob.close("acme/tool", 2);
    await bob.reopen("acme/tool", 2);
    const check = await github.check("acme/tool", { pull: 2 }, { name: "ci", conclusion: null });
    await github.finish("acme/tool", check, "failure", "broken\n");
    const kit = await installed(github, app, installation);
    const { data } = await kit.rest.checks.create({ ...where, name: "x1agent", head_sha: check.headSha });
    await bob.rerun("acme/tool", github.repo("acme/tool").checkRuns.find((one) => one.id === data.id)!);
    await bob.deleteBranch("acme/tool", "fix");
    await alice.renameBranch("acme/tool", "main", "trunk");
    await github.grant(installation, { issues: "read" }, ["issues", "repository"]);
    await github.renameAccount("acme", "acme-corp");
    await alice.transfer("acme-corp/tool", "alice");
    await alice.deleteRepository("alice/tool");
    await github.uninstall(installation);
    github.webhooks.ping(app);
    await github.settled();
    const said = new Set(
      github.webhooks.deliveries.map(({ event, action }) => [event, action].filter(Boolean).join(".")),
    );
    const wanted = [
      "issues.unlabeled",
      "issues.edited",
      "issues.closed",
      "issues.reopened",
      "pull_request.ready_for_review",
      "pull_request.edited",
      "pull_request.closed",
      "pull_request.reopened",
      "check_run.completed",
      "check_run.rerequested",
      "repository.edited",
      "installation.new_permissions_accepted",
      "installation_target.renamed",
      "installation_repositories.removed",
      "installation.deleted",
      "ping",
    ];
    expect(wanted.filter((one) => !said.has(one))).toEqual([]);
    expect(github.takeViolations()).toEqual([]);
  });

  it("is slow, silent or broken off where asked", async () => {
    const { github } = await scene();
    const ask = (milliseconds = 60_000) =>
      fetch(`${github.apiUrl}/repos/acme/tool`, {
        headers: { "user-agent": "t" },
        signal: AbortSignal.timeout(milliseconds),
      }).then((answer) => answer.json() as Promise<{ name: string }>);
    github.fault({ kind: "hang" });
    await expect(ask(300)).rejects.toThrow(/timeout/);
    github.fault({ kind: "cut" });
    await expect(ask()).rejects.toThrow();
    github.fault({ kind: "delay", milliseconds: 200, after: 1 });
    expect((await ask()).name).toBe("tool");
    const before = performance.now();
    expect((await ask()).name).toBe("tool");
    expect(performance.now() - before).toBeGreaterThan(190);
    github.fault({ kind: "drop", path: /nowhere/ });
    expect(github.faults.spent).toBe(false);
  });

  const many = process.env.X1_FULL === "1" ? 10_000 : 1_000;
  it(`keeps ${many} issues and delivers their burst of events without losing one`, async () => {
    let heard = 0;
    const receiver = createServer((request, response) => {
      request.resume().on("end", () => {
        heard += 1;
        response.writeHead(202).end();
      });
    }).listen(0, "127.0.0.1");
    await new Promise((resolve) => receiver.once("listening", resolve));
    ended.push(async () => receiver.close());
    const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
    const { github, app, installation } = await scene({ webhook: { url, secret: "s" } });
    await github.settled();
    heard = 0;
    github.onDelivery(() => "hold");
    await github.seedIssues("acme/tool", many, "bob");
    github.webhooks.parallel = 20;
    github.webhooks.release({ seed: 7 });
    await github.settled();
    expect(heard).toBe(many);
    const kit = await installed(github, app, installation);
    const { data } = await kit.rest.issues.listForRepo({ ...where, per_page: 100, page: many / 100 });
    expect(data.at(-1)?.number).toBe(1);
    const q = 'repo:acme/tool is:issue is:open "issue 77"';
    const found = await kit.rest.search.issuesAndPullRequests({ q, sort: "created", order: "asc" });
    expect(found.data.items.some((one) => one.number === 77)).toBe(true);
  });
});

it("serves the root form too", async () => {
  const github = await GithubStandIn.start({ form: "root" });
  ended.push(() => github.close());
  github.user("alice");
  await github.repository("alice/tool", { files: { "docs/a b.md": "text\n" } });
  const kit = client(github, github.personalToken("alice").value, github.url);
  const { data } = await kit.rest.repos.getContent({ owner: "alice", repo: "tool", path: "docs/a b.md" });
  expect(data).toMatchObject({ type: "file", content: Buffer.from("text\n").toString("base64").concat("\n") });
  expect((await kit.rest.users.getAuthenticated()).data.url).toBe(`${github.url}/users/alice`);
});
