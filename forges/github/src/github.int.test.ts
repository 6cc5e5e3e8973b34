import { type ForgeScene, forgeConformance } from "@x1agent/forges/conformance";
import { GithubStandIn } from "@x1agent/testkit/github";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { listInstallations } from "./app.ts";
import { createGithubForge, neededPermissions } from "./github.ts";

let github: GithubStandIn;
const scenes: Partial<Record<"app" | "token", ForgeScene>> = {};

beforeAll(async () => {
  github = await GithubStandIn.start();
  for (const login of ["alice", "bob", "mallory"]) github.user(login);
  github.organization("acme", { owners: ["alice"], members: ["bob"], base: "write" });
  for (const kind of ["app", "token"] as const) scenes[kind] = await scene(kind);
});
afterAll(() => github?.close());

async function scene(kind: "app" | "token"): Promise<ForgeScene> {
  let name = `acme/${kind}-shop`;
  await github.repository(name, { files: { "README.md": "# shop\n" } });
  const alice = github.as("alice");
  await github.as("bob").push(name, "change", { "a.txt": "a\n" }, "Change", "main");
  await alice.push(name, "protected", { "b.txt": "b\n" }, "Change", "main");
  github.protect(name, "protected");
  const { number } = await github.as("bob").openIssue(name, { title: "it fails", body: "see a.txt" });
  await alice.label(name, number, "bug");
  await github.as("mallory").comment(name, number, "me too");
  const common = { apiUrl: github.apiUrl, webUrl: github.url, paced: false };
  const app = github.app({ name: `x1 ${kind}`, owner: "acme", permissions: neededPermissions, events: [] });
  const gone = await github.install(app, "alice");
  const installation = await github.install(app, "acme");
  await github.uninstall(gone);
  const auth = (installed: { id: number }, token: string) =>
    kind === "app"
      ? {
          ...{ kind: "app" as const, appId: String(app.id), privateKey: app.privateKey },
          installation: String(installed.id),
        }
      : { kind: "token" as const, token };
  return {
    forge: createGithubForge({ ...common, auth: auth(installation, github.personalToken("alice").value) }),
    revoked: createGithubForge({ ...common, auth: auth(gone, "ghp_000000000000000000000000000000000000") }),
    ...{ fullName: name, issue: number, member: "bob", outsider: "mallory", commit: await github.head(name, "change") },
    async rename() {
      await alice.renameRepository(name, `${kind}-renamed`);
      name = `acme/${kind}-renamed`;
      return name;
    },
    fail(how) {
      if (how === "limited") github.fault({ kind: "secondary-limit", retryAfterSeconds: 60 });
      else github.fault({ kind: "status", status: 502, times: 2 });
    },
  };
}

for (const kind of ["app", "token"] as const)
  forgeConformance(`GitHub by ${kind}`, () => {
    const found = scenes[kind];
    if (!found) throw new Error("The scene was not made.");
    return found;
  });

describe("what is GitHub's own", () => {
  it("asks for nothing that GitHub's description does not have", () => {
    expect(github.misfits.map(({ method, path, problem }) => ({ method, path, problem }))).toEqual([]);
  });

  it("mints a credential for one repository and one right, and another each time", async () => {
    const { forge } = scenes.app ?? {};
    await github.repository("acme/minted", { private: true, files: { "README.md": "# minted\n" } });
    const found = await forge?.getRepository({ fullName: "acme/minted" });
    if (!found?.ok) throw new Error("not found");
    const made = [];
    for (const purpose of ["read", "push", "read"] as const)
      made.push(await forge?.gitCredential(found.value, purpose));
    const tokens = made.map((one) => {
      if (!one?.ok) throw new Error("not minted");
      const pair = Buffer.from(one.value.authorization.slice("Basic ".length), "base64").toString();
      expect(Date.parse(one.value.expiresAt ?? "")).toBeGreaterThan(Date.now());
      return github.world.tokens.get(pair.slice("x-access-token:".length));
    });
    expect(tokens.map((token) => token?.permissions)).toEqual([
      { contents: "read", metadata: "read" },
      { contents: "write", metadata: "read" },
      { contents: "read", metadata: "read" },
    ]);
    for (const token of tokens) expect(token?.repositories).toEqual(new Set([github.repo("acme/minted").id]));
    expect(new Set(tokens).size).toBe(3);
  });

  it("reads failed checks with the end of their log, which lies elsewhere", async () => {
    const { forge } = scenes.app ?? {};
    const commit = await github.head("acme/minted");
    const log = `${"x".repeat(30_000)}
the last line
`;
    await github.check("acme/minted", { sha: commit }, { name: "test", conclusion: "failure", log });
    const at = await forge?.getRepository({ fullName: "acme/minted" });
    const checks = at?.ok ? await forge?.listChecks(at.value, commit) : undefined;
    expect(checks).toMatchObject({ ok: true, value: [{ name: "test", state: "failed" }] });
    expect(checks?.ok && checks.value[0]?.excerpt).toMatch(/the last line\s*$/);
    expect(checks?.ok && checks.value[0]?.excerpt?.length).toBeLessThanOrEqual(20_000);
  });

  it("reads reviews, remarks on lines and comments, after a time", async () => {
    const { forge } = scenes.token ?? {};
    await github.as("bob").push("acme/minted", "work", { "c.txt": "c\n" }, "Work", "main");
    const pull = await github.as("bob").openPull("acme/minted", { head: "work", base: "main", title: "w" });
    await github
      .as("alice")
      .requestChanges("acme/minted", pull.number, "One thing", [{ path: "c.txt", line: 1, body: "why?" }]);
    await github.as("alice").comment("acme/minted", pull.number, "and this");
    const at = await forge?.getRepository({ fullName: "acme/minted" });
    const items = at?.ok ? await forge?.listReviewItems(at.value, pull.number, null) : undefined;
    expect(items?.ok && items.value.map(({ kind, body, path, line }) => [kind, body, path, line]).sort()).toEqual([
      ["changes_requested", "One thing", null, null],
      ["comment", "and this", null, null],
      ["line", "why?", "c.txt", 1],
    ]);
    const later = new Date(Date.now() + 60_000).toISOString();
    expect(at?.ok && (await forge?.listReviewItems(at.value, pull.number, later))).toEqual({ ok: true, value: [] });
  });

  it("reads what was committed to a branch since a time, and names people as GitHub ties them to commits", async () => {
    const { forge } = scenes.app ?? {};
    const at = await forge?.getRepository({ fullName: "acme/minted" });
    if (!forge?.listCommits || !forge.getAccount || !at?.ok) throw new Error("not found");
    await github.as("bob").push("acme/minted", "main", { "d.txt": "d\n" }, "Revert it\n\nThis reverts commit 1234567.");
    const found = await forge.listCommits(at.value, "main", new Date(Date.now() - 3_600_000).toISOString());
    expect(found.ok && found.value[0]).toEqual({
      ...{ id: await github.head("acme/minted"), message: expect.stringContaining("This reverts commit 1234567.") },
    });
    const later = new Date(Date.now() + 60_000).toISOString();
    expect(await forge.listCommits(at.value, "main", later)).toEqual({ ok: true, value: [] });
    expect(await forge.listCommits(at.value, "gone", later)).toMatchObject({ ok: false });
    const { id } = github.account("bob");
    expect(await forge.getAccount("bob")).toMatchObject({
      ...{ ok: true, value: { id: String(id), login: "bob", email: `${id}+bob@users.noreply.127.0.0.1` } },
    });
    expect(await forge.getAccount("nobody-of-this-name")).toMatchObject({ code: "forge_not_found" });
  });

  it("lists what GitHub could not hand over to the app's webhook", async () => {
    const app = github.app({
      ...{ name: "x1 hooked", owner: "acme", permissions: neededPermissions, events: ["issues"] },
      webhook: { url: "http://127.0.0.1:1/webhooks", secret: "s" },
    });
    const installation = await github.install(app, "acme");
    const auth = { kind: "app" as const, appId: String(app.id), privateKey: app.privateKey };
    const forge = createGithubForge({
      ...{ apiUrl: github.apiUrl, webUrl: github.url, paced: false },
      auth: { ...auth, installation: String(installation.id) },
    });
    const issue = await github.as("bob").openIssue("acme/minted", { title: "missed", body: "" });
    await github.settled();
    const found = await forge.listMissedDeliveries?.(new Date(Date.now() - 60_000).toISOString());
    const about = { installationId: String(installation.id), repositoryId: String(github.repo("acme/minted").id) };
    expect(found?.ok && found.value.find(({ event }) => event === "issues")).toMatchObject({
      ...{ action: "opened", number: null, ...about },
    });
    expect(issue.number).toBeGreaterThan(0);
    const later = new Date(Date.now() + 60_000).toISOString();
    expect(await forge.listMissedDeliveries?.(later)).toEqual({ ok: true, value: [] });
  });

  it("lists an app's installations", async () => {
    const app = [...github.world.apps.values()].find(({ slug }) => slug === "x1-app");
    const found = await listInstallations({
      ...{ apiUrl: github.apiUrl, webUrl: github.url, paced: false },
      ...{ appId: String(app?.id), privateKey: app?.privateKey ?? "" },
    });
    expect(found).toMatchObject({ ok: true, value: [{ account: "acme", missing: [], suspended: false }] });
  });
});
