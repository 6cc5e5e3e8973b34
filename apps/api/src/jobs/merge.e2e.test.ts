import { createHash, randomBytes } from "node:crypto";
import { GithubStandIn } from "@x1agent/testkit/github";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fix, runtime, TestService } from "./test/service.ts";

/** A branch moves while its change waits: what was approved is still what is pushed, and what is laid anew is approved anew. */
let x1: TestService;
let github: GithubStandIn;
beforeAll(async () => {
  x1 = await TestService.open({ tickMs: 300, pollMs: 1_000, reconcileMs: 1_000, leaseMs: 20_000 });
  github = await GithubStandIn.start();
  for (const login of ["alice", "bob"]) github.user(login);
  github.organization("acme", { owners: ["alice"], members: ["bob"], base: "write" });
  await x1.client.createForgeConnection({
    body: { forge: "github", baseUrl: github.url, token: github.personalToken("alice").value },
  });
});
afterAll(async () => {
  await x1?.close();
  await github?.close();
});

const until = { timeout: 150_000, interval: 100 };
const files = {
  "add.mjs": "export const add = (a, b) => a - b;\n",
  "check.sh": "grep -q 'a + b' add.mjs && ! grep -q broken *.txt\n",
  "notes.txt": "first\n",
};
let count = 0;
async function start(more: object = {}) {
  count += 1;
  const name = `acme/moved${count}`;
  await github.repository(name, { private: true, files });
  const project = await x1.client.createProject({
    body: { repository: github.cloneUrl(name), runtime, verify: "bash check.sh", follow: { quietSeconds: 0 } },
  });
  const issue = await github.as("alice").openIssue(name, { title: "add subtracts", body: fix });
  const { id } = await x1.client.createIssueJob({
    body: { repository: name, number: issue.number, runtime, again: false, ask: false, ...more },
  });
  return { name, id, project };
}
/** The job was taken back and waits for another decision. */
const laidAnew = (jobId: string, before: string) =>
  expect
    .poll(async () => {
      const { state, approvalDigest, reasonDetail } = await x1.job(jobId);
      return state === "awaiting_approval" && approvalDigest !== null && approvalDigest !== before
        ? "anew"
        : `${state} ${reasonDetail}`;
    }, until)
    .toBe("anew");
/** Does something with a service of its own process, which is killed when the job has begun a phase. Then it is this one again. */
async function killedIn<T>(phase: string, jobId: string, work: () => Promise<T>): Promise<T> {
  await x1.stop();
  const kill = await x1.startProcess();
  try {
    const done = await work();
    const begun = async () => (await x1.events(jobId, "phase.started")).map(({ payload }) => payload.phase);
    await expect.poll(begun, { ...until, interval: 20 }).toContain(phase);
    return done;
  } finally {
    await kill();
    await x1.start();
  }
}
const pullOf = (name: string) => {
  const pull = [...github.repo(name).issues.values()].find((one) => one.pull !== undefined);
  if (!pull?.pull) throw new Error("There is no pull request.");
  return { number: pull.number, ...pull.pull };
};
const file = (name: string, branch: string, path: string) =>
  github.repo(name).git.git(["show", `refs/heads/${branch}:${path}`]);
const parents = async (name: string, commit: string) => (await github.repo(name).git.commit(commit)).parents;
const shell = (...commands: string[]) => ({
  rules: [
    { match: { afterTool: true }, action: { kind: "text" as const, text: "Done." } },
    { match: { prompt: "<<<<<<< new-base" }, action: { kind: "shell" as const, commands } },
    { action: { kind: "text" as const, text: "Nothing to do." } },
  ],
});

describe("a change that waits for approval", () => {
  it("is laid on a base that it conflicts with, resolved by the agent, and approved anew", async () => {
    const { name, id } = await start();
    const first = await x1.reach(id, "awaiting_approval");
    const theirs = "export const add = (one, two) => one - two; // ours\n";
    const moved = await github.as("bob").push(name, "main", { "add.mjs": theirs, "new.txt": "new\n" });
    // First it leaves the markers: nobody is asked about that.
    x1.model.setScenario({
      rules: [
        { match: { afterTool: true }, action: { kind: "text", text: "Done." } },
        {
          match: { prompt: "still hold conflict markers" },
          action: { kind: "shell", commands: ["printf 'export const add = (a, b) => a + b; // ours\\n' > add.mjs"] },
        },
        { match: { prompt: "<<<<<<< new-base" }, action: { kind: "text", text: "It looks well." } },
      ],
    });
    const digest = await x1.approve(id);
    await laidAnew(id, digest);
    const job = await x1.job(id);
    expect(job).toMatchObject({ baseCommit: moved, attempt: 2, pullRequest: null });
    expect(first.approvalDigest).toBe(digest);
    const evidence = await x1.evidenceOf(id);
    expect(evidence.record).toMatchObject({ base: moved, verification: { passed: true } });
    expect(evidence.record.files.map(({ path }) => path)).toEqual(["add.mjs"]);
    expect(evidence.record.notes?.join()).toContain("the agent resolved conflicts in add.mjs");
    // The approval of what was shown before approves nothing now.
    await expect(
      x1.client.decide({ params: { jobId: id }, body: { decision: "approve", digest } }),
    ).rejects.toMatchObject({ code: "digest_mismatch" });
    // The base moves again while people look: what they approve then is not pushed either.
    const again = await github.as("bob").push(name, "main", { "add.mjs": "export const add = (x, y) => x - y;\n" });
    const second = await x1.approve(id);
    await laidAnew(id, second);
    await x1.approve(id);
    const done = await x1.reach(id, "succeeded");
    expect(await parents(name, done.publishedCommit ?? "")).toEqual([again]);
    expect(await file(name, done.targetBranch ?? "", "add.mjs")).toBe("export const add = (a, b) => a + b; // ours\n");
    expect(await x1.workspacesOf(id)).toEqual([]);
  });

  it("is pushed as it was approved when the base moved elsewhere", async () => {
    const { name, id } = await start();
    const { baseCommit } = await x1.reach(id, "awaiting_approval");
    await github.as("bob").push(name, "main", { "notes.txt": "second\n" });
    await x1.approve(id);
    const done = await x1.reach(id, "succeeded");
    expect(await parents(name, done.publishedCommit ?? "")).toEqual([baseCommit]);
    expect(done.attempt).toBe(1);
  });
});

describe("a repository that refers to more than it holds", () => {
  it("is worked on with its submodule and its LFS content, from a partial clone, and new content is published", async () => {
    const content = randomBytes(50_000);
    await github.repository("acme/lib", { private: true, files: { "lib.txt": "lib\n" } });
    await github.as("alice").push("acme/lib", "main", {
      ".gitattributes": "*.bin filter=lfs\n",
      'in "quotes".bin': github.lfs("acme/lib", Buffer.from("inner")),
    });
    const lib = await github.head("acme/lib");
    const name = "acme/whole";
    await github.repository(name, { private: true, files });
    const all = {
      ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n",
      ".gitmodules":
        '[submodule "lib"]\n\tpath = lib\n\turl = ../lib.git\n[submodule "x"]\n\tpath = x\n\turl = https://other.example/acme/x\n',
      "data.bin": github.lfs(name, content),
      "old.bin": github.lfs(name, randomBytes(2_000)),
    };
    await github.as("alice").push(name, "main", all);
    const { git } = github.repo(name);
    // Links to other repositories' commits.
    const tree = await git.git(["mktree"], {
      input: `${await git.git(["ls-tree", "main"])}160000 commit ${lib}\tlib\n160000 commit ${"a".repeat(40)}\tx\n`,
    });
    const author = { name: "alice", email: "alice@example.com", date: "2026-01-02T03:04:05Z" };
    const parents = [await github.head(name)];
    const linked = await git.commitTree({ tree: tree.trim(), parents, message: "Link", author });
    await git.updateRef("refs/heads/main", linked);
    const sum = createHash("sha256").update(content).digest("hex");
    await x1.client.createProject({
      body: {
        ...{ repository: github.cloneUrl(name), runtime },
        // The agent's content lies in its place there too, although the commit has pointers.
        verify: `bash check.sh && test -f lib/lib.txt && test "$(cat lib/in*.bin)" = inner && sha256sum data.bin | grep -q ${sum} && test "$(cat new.bin)" = "$(cat old.bin)"`,
        content: { submodules: "same_owner", lfsMegabytes: 1, partial: "always" },
      },
    });
    const goal = `${fix}[[shell cat lib/lib.txt > seen.txt; wc -c < data.bin >> seen.txt; printf made | tee old.bin > new.bin]]`;
    const issue = await github.as("alice").openIssue(name, { title: "read it all", body: goal });
    const { id } = await x1.client.createIssueJob({
      body: { repository: name, number: issue.number, runtime, again: false, ask: false },
    });
    await x1.reach(id, "awaiting_approval");
    const { record } = await x1.evidenceOf(id);
    expect(record.notes).toEqual([
      expect.stringMatching(/^The submodule lib is there at/),
      expect.stringMatching(/^In the submodule lib: 1 files kept in Git LFS are there/),
      expect.stringMatching(/^The submodule x is not fetched: https:\/\/other.example:443\/acme\/x is not what/),
      expect.stringMatching(/^2 files kept in Git LFS are there/),
    ]);
    expect(record.verification.passed).toBe(true);
    expect(record.files.map(({ path }) => path)).toEqual(["add.mjs", "new.bin", "old.bin", "seen.txt"]);
    const made = createHash("sha256").update("made").digest("hex");
    expect(record.lfs).toMatchObject(["new.bin", "old.bin"].map((path) => ({ path, oid: made, size: 4 })));
    expect(record.named.join()).toContain("its content is uploaded at the publication");
    // The base conflicts by then: the agent that resolves it has the content, which no server has yet, and it stays approved content.
    const theirs = "export const add = (one, two) => one - two; // ours\n";
    const moved = await github.as("bob").push(name, "main", { "add.mjs": theirs });
    const resolve = "printf 'export const add = (a, b) => a + b; // ours\\n' > add.mjs; cat new.bin old.bin > laid.txt";
    x1.model.setScenario({
      rules: [
        { match: { afterTool: true }, action: { kind: "text", text: "Done." } },
        { match: { prompt: "<<<<<<< new-base" }, action: { kind: "shell", commands: [resolve] } },
      ],
    });
    const digest = await x1.approve(id);
    await laidAnew(id, digest);
    const again = (await x1.evidenceOf(id)).record;
    expect(again.base).toBe(moved);
    expect(again.files.map(({ path }) => path)).toEqual(["add.mjs", "laid.txt", "new.bin", "old.bin", "seen.txt"]);
    expect(again.lfs).toEqual(record.lfs);
    // Nothing has left before the approval, and an outage then is waited for. Without the upload the push would be refused.
    expect(github.lfsContent(name, made)).toBeUndefined();
    github.fault({ kind: "status", status: 503, method: "PUT", path: "/lfs-content/" });
    await x1.approve(id);
    const { targetBranch } = await x1.reach(id, "succeeded");
    expect(await x1.events(id, "publication.waiting")).toHaveLength(1);
    expect(String(github.lfsContent(name, made))).toBe("made");
    expect(await file(name, targetBranch ?? "", "new.bin")).toContain(`oid sha256:${made}\nsize 4\n`);
    expect(await file(name, targetBranch ?? "", "seen.txt")).toBe("lib\n50000\n");
    expect(await file(name, targetBranch ?? "", "laid.txt")).toBe("mademade");
    expect(await file(name, targetBranch ?? "", "data.bin")).toBe(all["data.bin"]);
    expect(github.misfits).toEqual([]);
  });
});

describe("a published change", () => {
  it("takes in people's commits and a base that moved, each verified and approved anew, without an agent", async () => {
    const { name, id } = await start();
    await x1.approve(id);
    const one = await x1.reach(id, "succeeded");
    const branch = one.targetBranch ?? "";
    const { number } = pullOf(name);
    await github.as("bob").commentOnLine(name, number, { path: "add.mjs", line: 1, body: "[[edit more.txt one]]" });
    await expect.poll(async () => (await x1.job(id)).state, until).toBe("awaiting_approval");
    const calls = x1.model.requests.length;

    // People push while the round waits, and the service is killed while it lays the round on that: it does so again.
    const theirs = await github.as("bob").push(name, branch, { "theirs.txt": "by bob\n" });
    const turns = (await x1.events(id, "turn.ended")).length;
    const second = await killedIn("merge", id, () => x1.approve(id));
    await laidAnew(id, second);
    // As before the kill no agent has a part in it.
    expect(await x1.events(id, "turn.ended")).toHaveLength(turns);
    await expect.poll(() => x1.workspacesOf(id), until).toEqual([]);
    expect((await x1.evidenceOf(id)).record).toMatchObject({ base: theirs, verification: { passed: true } });
    expect((await x1.evidenceOf(id)).record.files.map(({ path }) => path)).toEqual(["more.txt"]);
    await x1.approve(id);
    const two = await x1.reach(id, "succeeded");
    expect(await parents(name, two.publishedCommit ?? "")).toEqual([theirs]);
    expect([...(await github.repo(name).git.refs("refs/heads/x1/")).keys()]).toHaveLength(1);

    // The base asks for branches that hold all of it.
    github.protect(name, "main", { strict: true, enforceAdmins: false });
    const base = await github.as("alice").push(name, "main", { "notes.txt": "second\n" });
    await expect
      .poll(async () => [(await x1.job(id)).state, (await x1.evidenceOf(id)).record.base], until)
      .toEqual(["awaiting_approval", base]);
    const { record } = await x1.evidenceOf(id);
    expect(record.onto).toBe(two.publishedCommit);
    expect(record.files.map(({ path }) => path)).toEqual(["add.mjs", "more.txt", "theirs.txt"]);
    await x1.approve(id);
    const three = await x1.reach(id, "succeeded");
    // Nothing that reviewers spoke of is gone, and no push was forced.
    expect(await parents(name, three.publishedCommit ?? "")).toEqual([two.publishedCommit, base]);
    expect(pullOf(name)).toMatchObject({ number, headSha: three.publishedCommit });
    expect(x1.model.requests.length).toBe(calls);
    expect(github.misfits).toEqual([]);
  });

  it("that conflicts with its base is resolved by the agent in a merge, and people's pushes meanwhile go in too", async () => {
    const { name, id } = await start();
    await x1.approve(id);
    const one = await x1.reach(id, "succeeded");
    x1.model.setScenario(shell("printf 'export const add = (a, b) => a + b; // both\\n' > add.mjs"));
    const base = await github.as("alice").push(name, "main", { "add.mjs": "export const add = (x, y) => x - y;\n" });
    await expect.poll(async () => (await x1.job(id)).state, until).toBe("awaiting_approval");
    expect((await x1.evidenceOf(id)).record).toMatchObject({ base, onto: one.publishedCommit });
    const theirs = await github.as("bob").push(name, one.targetBranch ?? "", { "theirs.txt": "by bob\n" });
    const digest = await x1.approve(id);
    await laidAnew(id, digest);
    expect((await x1.evidenceOf(id)).record).toMatchObject({ base, onto: theirs });
    await x1.approve(id);
    const two = await x1.reach(id, "succeeded");
    expect(await parents(name, two.publishedCommit ?? "")).toEqual([theirs, base]);
    expect(await file(name, one.targetBranch ?? "", "add.mjs")).toContain("// both");
    expect(await file(name, one.targetBranch ?? "", "theirs.txt")).toBe("by bob\n");
  });
});
