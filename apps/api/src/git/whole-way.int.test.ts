import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { EvidenceRecord } from "@x1agent/contract";
import { afterEach, describe, expect, it } from "vitest";
import {
  approvalDigest,
  approvalSubject,
  buildEvidence,
  checkout,
  collectChange,
  createPlatformGit,
  type Imported,
  type PublishRequest,
  pullRequestText,
  recordDigest,
  runVerification,
} from "./index.ts";
import { publish } from "./publish.ts";
import { createGitRunner, type GitResult, type GitRun } from "./run.ts";
import { git, makeRepository, plainWorkspace, scratch, write } from "./test/plain-workspace.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const clean of cleanups.splice(0)) clean();
});

const sample = {
  "src/add.ts": "export const add = (a: number, b: number) => a - b;\n",
  "test/add.test.mjs": "process.exit(0);\n",
  ".gitignore": "node_modules/\n*.log\n",
  "AGENTS.md": "Be brief.\n",
};

/** A job up to its checkout. */
async function startJob(files: Record<string, string | Buffer> = sample) {
  const root = scratch(cleanups);
  const origin = join(root, "origin");
  const base = makeRepository(origin, files);
  const platform = createPlatformGit({ dataDir: join(root, "data") });
  const resolved = await platform.resolveBase({
    organizationId: "o1",
    repository: origin,
    trust: "member",
    base: null,
  });
  if (!resolved.ok) throw new Error(resolved.detail);
  const jobRepository = await platform.jobRepository("j1", resolved.value);
  const ws = plainWorkspace(jobRepository, join(root, "ws"));
  await checkout(ws, { commit: base, branch: "main" });
  const collect = () => collectChange(ws, { base, file: join(root, "change.bundle"), limits: { maxNamed: 20 } });
  const importIt = async (limits = {}) => {
    const collected = await collect();
    if (!collected.ok) throw new Error(collected.detail);
    if (!collected.value.file) throw new Error("nothing changed");
    return platform.importChange({
      tool: plainWorkspace(jobRepository, join(root, `tool-${Math.random()}`)),
      jobRepository,
      base,
      collected: { file: collected.value.file, named: collected.value.named },
      text: { title: "Fix add", body: "", jobId: "j1", at: new Date("2026-01-02T03:04:05Z") },
      limits,
    });
  };
  return { root, origin, base, platform, resolved: resolved.value, jobRepository, ws, collect, importIt };
}

async function accepted<T>(outcome: Promise<{ ok: true; value: T } | { ok: false; detail: string }>): Promise<T> {
  const result = await outcome;
  if (!result.ok) throw new Error(result.detail);
  return result.value;
}

/** A job up to its approval: the request that the publisher gets. */
async function approvedJob(options: { passed?: boolean; override?: boolean } = {}) {
  const job = await startJob();
  write(job.ws.work, { "src/add.ts": "export const add = (a: number, b: number) => a + b;\n" });
  const change: Imported = await accepted(job.importIt());
  const record: EvidenceRecord = buildEvidence({
    organizationId: "o1",
    jobId: "j1",
    attemptId: "a1",
    round: 1,
    repository: job.resolved.remote.url,
    base: job.base,
    targetBranch: "x1/j1-fix-add",
    change,
    verification: {
      commit: change.commit,
      setup: null,
      verify: null,
      passed: options.passed ?? true,
      counts: null,
      withBaseTests: null,
    },
    baseline: null,
    costMicros: 1,
    egressBlocked: [],
    policyVersion: "1",
  });
  const pullRequest = pullRequestText({ title: "Fix add", record, agentSummary: "done" });
  const subject = approvalSubject({ record, evidenceId: "e1", expectedOld: null, pullRequest });
  const request: PublishRequest = {
    organizationId: "o1",
    jobId: "j1",
    trust: "member",
    subject,
    digest: approvalDigest(subject),
    record,
    pullRequest,
    evidenceId: "e1",
    jobRepository: job.jobRepository,
    baseBranch: "main",
    override: options.override ?? false,
  };
  return { ...job, change, record, subject, request, target: "refs/heads/x1/j1-fix-add" };
}

const branches = (origin: string) => git(origin, "for-each-ref", "--format=%(refname) %(objectname)").split("\n");

describe("collect and import", () => {
  it("makes the same platform commit from the same work, however often", async () => {
    const job = await startJob();
    write(job.ws.work, { "src/add.ts": "export const add = 1;\n", "src/new file.ts": "x\n" });
    unlinkSync(join(job.ws.work, "test/add.test.mjs"));
    const [first, second] = [await accepted(job.importIt()), await accepted(job.importIt())];
    expect(second.commit).toBe(first.commit);
    expect(first.files.map(({ path, status }) => [path, status])).toEqual([
      ["src/add.ts", "modified"],
      ["src/new file.ts", "added"],
      ["test/add.test.mjs", "deleted"],
    ]);
    expect(
      git(job.jobRepository, "log", "-1", "--format=%P %an %s %(trailers:key=X1-Job,valueonly)", first.commit),
    ).toBe(`${job.base} x1agent Fix add j1`);
    expect(first.diff).toContain("+export const add = 1;");
  });

  it("says that nothing changed when the tree is the base's own", async () => {
    const job = await startJob();
    write(job.ws.work, { "debug.log": "ignored" });
    git(job.ws.work, "commit", "-q", "--allow-empty", "-m", "claims work");
    expect(await accepted(job.collect())).toMatchObject({
      changed: false,
      file: null,
      named: ["debug.log: ignored, not taken"],
    });
  });

  it("collects what was hidden from git: skip-worktree, assume-unchanged, info/exclude, a deleted .git", async () => {
    const job = await startJob();
    git(job.ws.work, "update-index", "--skip-worktree", "src/add.ts");
    git(job.ws.work, "update-index", "--assume-unchanged", "AGENTS.md");
    appendFileSync(join(job.ws.work, ".git/info/exclude"), "secret-work.ts\n");
    write(job.ws.work, { "src/add.ts": "1\n", "AGENTS.md": "2\n", "secret-work.ts": "3\n" });
    const paths = (await accepted(job.importIt())).files.map(({ path }) => path);
    expect(paths).toEqual(["AGENTS.md", "secret-work.ts", "src/add.ts"]);
    rmSync(join(job.ws.work, ".git"), { recursive: true });
    expect((await accepted(job.importIt())).files.map(({ path }) => path)).toEqual(paths);
  });

  it("takes an embedded repository as plain files and names it, special files and hidden .git folders", async () => {
    const job = await startJob();
    makeRepository(join(job.ws.work, "inner"), { "deep/work.ts": "w\n" });
    write(job.ws.work, { "plain/.git/hidden.txt": "h\n" });
    execFileSync("mkfifo", [join(job.ws.work, "pipe")]);
    const change = await accepted(job.importIt());
    expect(change.files.map(({ path }) => path)).toEqual(["inner/deep/work.ts"]);
    expect(change.named.join("\n")).toMatch(/inner\/: embedded repository/);
    expect(change.named.join("\n")).toMatch(/plain\/\.git: a \.git inside the tree/);
    expect(change.named.join("\n")).toMatch(/pipe: special file/);
  });

  it("takes names with newlines, non-UTF-8 names and content, and shows them as escapes", async () => {
    const job = await startJob();
    write(job.ws.work, { "a\nb.txt": "x\n", "bin.dat": Buffer.from([0, 255, 1]), "esc.txt": "\u001b[31m\u202ered\n" });
    execFileSync("bash", ["-c", "printf z > $'n\\xff.txt'"], { cwd: job.ws.work });
    const change = await accepted(job.importIt());
    expect(change.files.map(({ path }) => path)).toEqual(["a\nb.txt", "bin.dat", "esc.txt", "n\\xff.txt"]);
    expect(change.diff).toContain("+\\x1b[31m\\u{202e}red");
    expect(change.diff).not.toMatch(/[\u001b\u202e]/);
  });

  it("handles type changes: file to folder, folder to link, executable bit, links out of the tree", async () => {
    const job = await startJob({ ...sample, "dir/a": "a", file: "f", "run.sh": "#!/bin/sh\n" });
    rmSync(join(job.ws.work, "file"));
    write(job.ws.work, { "file/inside": "i" });
    rmSync(join(job.ws.work, "dir"), { recursive: true });
    symlinkSync("/etc/shadow", join(job.ws.work, "dir"));
    chmodSync(join(job.ws.work, "run.sh"), 0o755);
    const change = await accepted(job.importIt());
    const byPath = Object.fromEntries(change.files.map((file) => [file.path, file]));
    expect(Object.keys(byPath)).toEqual(["dir", "dir/a", "file", "file/inside", "run.sh"]);
    expect(byPath.dir?.flags).toContain("symlink");
    expect(byPath["run.sh"]?.flags).toContain("executable");
    expect(change.named).toContain("dir: link out of the tree to /etc/shadow");
    expect(change.diff).not.toContain("root:");
  });

  it("does not run the agent's filters, monitors or hooks while it collects", async () => {
    const job = await startJob();
    const marker = join(job.root, "ran");
    for (const key of ["core.fsmonitor", "filter.x.clean", "diff.external", "core.sshCommand", "core.pager"])
      git(job.ws.work, "config", key, `touch ${marker}`);
    write(job.ws.work, { ".gitattributes": "* filter=x diff=x\n", "src/add.ts": "9\n" });
    write(join(job.ws.work, ".git/hooks"), { "post-index-change": `#!/bin/sh\ntouch ${marker}\n` });
    chmodSync(join(job.ws.work, ".git/hooks/post-index-change"), 0o755);
    expect((await accepted(job.importIt())).files.length).toBe(2);
    expect(existsSync(marker)).toBe(false);
    // The trap does spring for git that runs in the agent's repository.
    git(job.ws.work, "status");
    expect(existsSync(marker)).toBe(true);
  });

  it("leaves submodules alone, and names content in their folders, LFS pointers and credentials", async () => {
    const job = await startJob({ ...sample, sub: "x" });
    git(job.origin, "rm", "-q", "sub");
    git(job.origin, "update-index", "--add", "--cacheinfo", `160000,${job.base},sub`);
    git(job.origin, "commit", "-q", "-m", "submodule");
    const base = await accepted(
      job.platform.resolveBase({ organizationId: "o1", repository: job.origin, trust: "member", base: "main" }),
    );
    expect(base.notes).toEqual(["Submodules are not fetched: sub."]);
    const repository = await job.platform.jobRepository("j2", base);
    const ws = plainWorkspace(repository, join(job.root, "ws2"));
    await checkout(ws, { commit: base.commit });
    write(ws.work, {
      "big.bin": "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
      "key.txt": `ghp_${"a".repeat(36)}\n`,
    });
    write(ws.work, { "sub/x.ts": "hidden\n" });
    const collected = await accepted(collectChange(ws, { base: base.commit, file: join(job.root, "b2") }));
    expect(collected.named).toEqual(["sub: content in a submodule's folder, not taken"]);
    const change = await accepted(
      job.platform.importChange({
        tool: plainWorkspace(repository, join(job.root, "tool2")),
        jobRepository: repository,
        base: base.commit,
        collected: { file: collected.file!, named: collected.named },
        text: { title: "t", body: "", jobId: "j2", at: new Date(0) },
      }),
    );
    expect(change.files.map(({ path, flags }) => [path, flags])).toEqual([
      ["big.bin", []],
      ["key.txt", ["secret"]],
    ]);
    expect(change.named).toContain("big.bin: Git LFS pointer, its content is not part of the change");
  });

  it("refuses what is too large, in each measure, with the measure", async () => {
    const job = await startJob();
    write(job.ws.work, { "big.bin": Buffer.alloc(300_000, 7), "a/b/c/d/e": "deep" });
    expect(await job.importIt({ maxBlobBytes: 100_000 })).toMatchObject({
      ok: false,
      detail: expect.stringContaining("300000 bytes"),
    });
    expect(await job.importIt({ maxDepth: 3 })).toMatchObject({
      ok: false,
      detail: expect.stringContaining("nested deeper"),
    });
    expect(await job.importIt({ maxPaths: 1 })).toMatchObject({
      ok: false,
      detail: expect.stringContaining("more than 1"),
    });
    expect(await job.importIt({ maxTotalBytes: 1_000 })).toMatchObject({
      ok: false,
      detail: expect.stringContaining("bytes"),
    });
    const small = await collectChange(job.ws, {
      base: job.base,
      file: join(job.root, "c"),
      limits: { maxNewBytes: 1_000 },
    });
    expect(small).toMatchObject({ ok: false, detail: expect.stringContaining("1000") });
    expect(existsSync(join(job.root, "c"))).toBe(false);
  });

  it("refuses a small bundle that stands for very many paths, before git expands it", async () => {
    const job = await startJob();
    // 12 levels of 12 names each pointing to the same next tree: 12^12 paths in a few hundred bytes.
    const bomb = join(job.root, "bomb");
    makeRepository(bomb, {});
    const hash = (type: string, input: string) =>
      execFileSync("git", ["hash-object", "-t", type, "-w", "--stdin"], { cwd: bomb, input, encoding: "utf8" }).trim();
    const mktree = (input: string) => execFileSync("git", ["mktree"], { cwd: bomb, input, encoding: "utf8" }).trim();
    let tree = mktree(`100644 blob ${hash("blob", "x")}\tf\n`);
    for (let level = 0; level < 12; level++)
      tree = mktree(Array.from({ length: 12 }, (_, index) => `040000 tree ${tree}\td${index}\n`).join(""));
    expect(await importForged(job, bomb, tree)).toMatchObject({ ok: false, detail: expect.stringContaining("paths") });
  });

  it("refuses a tree with .git in it, another base and a file that is no bundle", async () => {
    const job = await startJob();
    const forge = join(job.root, "forge");
    makeRepository(forge, {});
    const blob = execFileSync("git", ["hash-object", "-w", "--stdin"], {
      cwd: forge,
      input: "x",
      encoding: "utf8",
    }).trim();
    // `mktree` would refuse nothing here, index-pack --strict does.
    const inner = execFileSync("git", ["mktree"], {
      cwd: forge,
      input: `100644 blob ${blob}\tconfig\n`,
      encoding: "utf8",
    }).trim();
    const tree = execFileSync("git", ["mktree"], {
      cwd: forge,
      input: `040000 tree ${inner}\t.GIT\n`,
      encoding: "utf8",
    }).trim();
    expect(await importForged(job, forge, tree)).toMatchObject({ ok: false });
    const junk = join(job.root, "junk");
    writeFileSync(junk, "# v2 git bundle\n-0000000000000000000000000000000000000000 \n");
    expect(await importFile(job, junk)).toMatchObject({ ok: false, detail: expect.stringContaining("another base") });
    writeFileSync(junk, "junk");
    expect(await importFile(job, junk)).toMatchObject({ ok: false, detail: expect.stringContaining("not a bundle") });
  });
});

type Job = Awaited<ReturnType<typeof startJob>>;

const importFile = (job: Job, file: string) =>
  job.platform.importChange({
    tool: plainWorkspace(job.jobRepository, join(job.root, `tool-${Math.random()}`)),
    jobRepository: job.jobRepository,
    base: job.base,
    collected: { file, named: [] },
    text: { title: "t", body: "", jobId: "j1", at: new Date(0) },
  });

/** What a lying collect command could send: any tree, bundled over the base. */
function importForged(job: Job, from: string, tree: string) {
  git(from, "fetch", "-q", job.jobRepository, "refs/x1/base");
  const tip = git(from, "commit-tree", tree, "-p", job.base, "-m", "forged");
  git(from, "update-ref", "refs/x1/collected", tip);
  const file = join(job.root, "forged.bundle");
  git(from, "bundle", "create", "-q", file, "refs/x1/collected", `^${job.base}`);
  return importFile(job, file);
}

describe("verify", () => {
  it("runs the command at the commit, and again with the base's own tests when the change touches tests", async () => {
    const job = await startJob({ ...sample, "test/check.sh": "exit 1\n" });
    write(job.ws.work, { "test/check.sh": "exit 0\n", "test/more.sh": "exit 0\n" });
    const change = await accepted(job.importIt());
    const opened: string[] = [];
    const open = async () => {
      const ws = plainWorkspace(job.jobRepository, join(job.root, `verify-${opened.length}`));
      opened.push(ws.work);
      return { workspace: ws, close: async () => {} };
    };
    const request = { base: job.base, setup: null, verifyNetwork: false, setupMs: 10_000, verifyMs: 10_000 };
    const verification = await runVerification(open, {
      ...request,
      commit: change.commit,
      verify: "sh test/check.sh",
      testPaths: ["test/check.sh", "test/more.sh"],
    });
    expect(verification).toMatchObject({ passed: true, withBaseTests: { passed: false } });
    expect(opened).toHaveLength(2);
    expect(existsSync(join(opened[1]!, "test/more.sh"))).toBe(false);
    const hanging = await runVerification(open, {
      ...request,
      verifyMs: 300,
      commit: change.commit,
      verify: "sleep 60",
      testPaths: [],
    });
    expect(hanging).toMatchObject({ passed: false, verify: { timedOut: true, exitCode: null } });
  });
});

describe("publish", () => {
  it("pushes exactly the approved commit to the branch and finds its own push again", async () => {
    const job = await approvedJob();
    expect(await accepted(job.platform.publish(job.request))).toMatchObject({
      commit: job.change.commit,
      alreadyThere: false,
      behind: 0,
    });
    expect(git(job.origin, "rev-parse", job.target)).toBe(job.change.commit);
    expect(await accepted(job.platform.publish(job.request))).toMatchObject({ alreadyThere: true });
  });

  it("refuses when any part of what was approved differs", async () => {
    const job = await approvedJob();
    const other = (patch: Partial<PublishRequest>) => job.platform.publish({ ...job.request, ...patch });
    const mismatch = { ok: false, code: "digest_mismatch" };
    expect(await other({ digest: "0".repeat(64) })).toMatchObject(mismatch);
    expect(await other({ record: { ...job.record, costMicros: 2 } })).toMatchObject(mismatch);
    expect(await other({ pullRequest: { ...job.request.pullRequest, body: "other" } })).toMatchObject(mismatch);
    expect(await other({ evidenceId: "e2" })).toMatchObject(mismatch);
    expect(await other({ jobId: "j2" })).toMatchObject(mismatch);
    const subject = { ...job.subject, repository: "/elsewhere" };
    expect(await other({ subject, digest: approvalDigest(subject) })).toMatchObject(mismatch);
    expect(branches(job.origin)).toHaveLength(1);
  });

  it("refuses a failed verification unless the approval overrides it", async () => {
    const failed = await approvedJob({ passed: false });
    expect(await failed.platform.publish(failed.request)).toMatchObject({ ok: false, code: "verification_failed" });
    expect(await failed.platform.publish({ ...failed.request, override: true })).toMatchObject({ ok: true });
  });

  it("refuses when the branch moved, and leaves it", async () => {
    const job = await approvedJob();
    git(job.origin, "branch", "x1/j1-fix-add", "main");
    expect(await job.platform.publish(job.request)).toMatchObject({
      ...{ ok: false, code: "publish_moved", detail: expect.stringContaining("was expected") },
    });
    expect(git(job.origin, "rev-parse", job.target)).toBe(job.base);
    // Nor when the remote's own branch has that name.
    git(job.origin, "symbolic-ref", "HEAD", job.target);
    expect(await job.platform.publish(job.request)).toMatchObject({
      ...{ ok: false, code: "publish_moved", detail: expect.stringContaining("never pushed to") },
    });
  });

  it("refuses when the branch moves between the look and the push, and believes the remote, not the push", async () => {
    const job = await approvedJob();
    const real = createGitRunner();
    const around = (push: (run: GitRun) => Promise<GitResult>) =>
      publish(
        {
          git: (run) => (run.args[0] === "push" ? push(run) : real(run)),
          ...{ dataDir: join(job.root, "data"), local: { roots: [], owners: "any" as const } },
        },
        job.request,
      );
    const moved = around((run) => {
      git(job.origin, "branch", "x1/j1-fix-add", "main");
      return real(run);
    });
    expect(await moved).toMatchObject({ ok: false, code: "publish_moved" });
    expect(git(job.origin, "rev-parse", job.target)).toBe(job.base);
    git(job.origin, "branch", "-q", "-D", "x1/j1-fix-add");
    // Told that all went well, while nothing arrived.
    const told = await around(async () => ({ code: 0, stdout: Buffer.alloc(0), stderr: "", limit: null }));
    expect(told).toMatchObject({ ok: false, code: "publish_moved" });
    // The other way round: the push got through, and its connection broke.
    const broken = await around(async (run) => ({ ...(await real(run)), code: 128 }));
    expect(broken).toMatchObject({ ok: true, value: { commit: job.change.commit } });
  });

  it("refuses a rewritten or missing base branch; one that went forward is counted", async () => {
    const job = await approvedJob();
    write(job.origin, { "later.txt": "l" });
    git(job.origin, "add", "-A");
    git(job.origin, "commit", "-q", "-m", "later");
    expect(await accepted(job.platform.publish(job.request))).toMatchObject({ behind: 1 });

    const rewritten = await approvedJob();
    git(rewritten.origin, "commit", "-q", "--amend", "-m", "rewritten");
    expect(await rewritten.platform.publish(rewritten.request)).toMatchObject({
      ok: false,
      code: "publish_moved",
      detail: expect.stringContaining("rewritten"),
    });
    git(rewritten.origin, "branch", "-m", "main", "trunk");
    expect(await rewritten.platform.publish(rewritten.request)).toMatchObject({ ok: false, code: "publish_moved" });
  });

  it("is untouched by the job repository's configuration, hooks, replace refs and grafts", async () => {
    const job = await approvedJob();
    const marker = join(job.root, "ran");
    const evil = join(job.root, "evil.git");
    git(job.root, "init", "-q", "--bare", evil);
    appendFileSync(
      join(job.jobRepository, "config"),
      `[url "${evil}"]\n\tinsteadOf = ${job.origin}\n\tpushInsteadOf = ${job.origin}\n[remote "origin"]\n\turl = ${job.origin}\n\tpushurl = ${evil}\n[core]\n\tfsmonitor = touch ${marker}\n\thooksPath = ${job.root}/hooks\n\tsshCommand = touch ${marker}\n`,
    );
    for (const folder of [join(job.root, "hooks"), join(job.jobRepository, "hooks"), join(job.origin, ".git/hooks")])
      for (const name of ["pre-push", "pre-receive", "update", "post-receive", "reference-transaction"]) {
        write(folder, { [name]: `#!/bin/sh\ntouch ${marker}\n` });
        chmodSync(join(folder, name), 0o755);
      }
    const other = git(job.jobRepository, "commit-tree", `${job.base}^{tree}`, "-p", job.base, "-m", "evil");
    git(job.jobRepository, "replace", job.change.commit, other);
    write(job.jobRepository, { "info/grafts": `${job.change.commit} \n` });
    // `git replace` above already sprang the trap once.
    rmSync(marker, { force: true });
    expect(await accepted(job.platform.publish(job.request))).toMatchObject({ commit: job.change.commit });
    expect(git(job.origin, "--no-replace-objects", "rev-parse", `${job.target}^{tree}`)).toBe(job.change.tree);
    expect(branches(evil)).toEqual([""]);
    expect(existsSync(marker)).toBe(false);
    // The planted trap works for a push that is not ours.
    git(job.jobRepository, "push", "-q", job.origin, "HEAD:refs/heads/trap");
    expect(existsSync(marker)).toBe(true);
  });

  it("refuses a job repository whose objects were swapped or removed", async () => {
    const job = await approvedJob();
    const swapped = git(job.jobRepository, "rev-parse", `${job.change.commit}:src/add.ts`);
    const innocent = git(job.jobRepository, "rev-parse", `${job.base}:AGENTS.md`);
    // Everything loose, then the changed file's object gets another one's bytes.
    const packs = join(job.jobRepository, "objects/pack");
    renameSync(packs, join(job.root, "packs"));
    mkdirSync(packs);
    for (const name of execFileSync("ls", [join(job.root, "packs")], { encoding: "utf8" })
      .split("\n")
      .filter((n) => n.endsWith(".pack")))
      execFileSync("git", ["unpack-objects", "-q"], {
        cwd: job.jobRepository,
        input: readFileSync(join(job.root, "packs", name)),
      });
    const loose = (id: string) => join(job.jobRepository, "objects", id.slice(0, 2), id.slice(2));
    const refused = (detail: string) => ({ ok: false, code: "publish_moved", detail: expect.stringContaining(detail) });
    // The same tree on the same base, in other words, under the commit's name.
    const { commit, tree } = job.change;
    const reworded = git(job.jobRepository, "commit-tree", tree, "-p", job.base, "-m", "in other words");
    const kept = readFileSync(loose(commit));
    rmSync(loose(commit));
    writeFileSync(loose(commit), readFileSync(loose(reworded)));
    expect(await job.platform.publish(job.request)).toMatchObject(refused("not the approved one"));
    rmSync(loose(commit));
    writeFileSync(loose(commit), kept);
    // Evidence of another tree than the commit has.
    const record = { ...job.record, tree: git(job.jobRepository, "rev-parse", `${job.base}^{tree}`) };
    const subject = { ...job.subject, tree: record.tree, recordDigest: recordDigest(record) };
    expect(
      await job.platform.publish({ ...job.request, record, subject, digest: approvalDigest(subject) }),
    ).toMatchObject(refused("approved base and tree"));
    rmSync(loose(swapped));
    writeFileSync(loose(swapped), readFileSync(loose(innocent)));
    expect(await job.platform.publish(job.request)).toMatchObject({ ok: false, code: "publish_moved" });
    rmSync(loose(swapped));
    expect(await job.platform.publish(job.request)).toMatchObject({ ok: false, code: "publish_moved" });
    expect(branches(job.origin)).toHaveLength(1);
  });
});

describe("bad repositories", () => {
  const resolve = (
    root: string,
    repository: string,
    base: string | null = null,
    local?: { roots: string[]; owners: number[] },
  ) =>
    createPlatformGit({ dataDir: join(root, "data"), ...(local ? { local } : {}) }).resolveBase({
      organizationId: "o1",
      repository,
      trust: "member",
      base,
    });

  it("refuses missing, empty and foreign folders, unknown bases and somebody else's repository by a sentence", async () => {
    const root = scratch(cleanups);
    mkdirSync(join(root, "folder"));
    mkdirSync(join(root, "empty"));
    git(join(root, "empty"), "init", "-q");
    makeRepository(join(root, "good"), sample);
    const refusal = (part: string, code = "repository_invalid") => ({
      ok: false,
      code,
      detail: expect.stringContaining(part),
    });
    expect(await resolve(root, join(root, "missing"))).toMatchObject(refusal("no repository"));
    expect(await resolve(root, join(root, "folder"))).toMatchObject(refusal("not a git repository"));
    expect(await resolve(root, join(root, "empty"))).toMatchObject(refusal("empty"));
    expect(await resolve(root, join(root, "good"), "nope")).toMatchObject(
      refusal("branches are: main", "base_unknown"),
    );
    expect(await resolve(root, join(root, "good"), "1".repeat(40))).toMatchObject(refusal("no commit", "base_unknown"));
    expect(await resolve(root, join(root, "good"), null, { roots: [], owners: [4242] })).toMatchObject(
      refusal("another user"),
    );
    expect(await resolve(root, join(root, "good"), null, { roots: [root], owners: [4242] })).toMatchObject({
      ok: true,
    });
    expect(await resolve(root, join(root, "good"), "main")).toMatchObject({ ok: true, value: { branch: "main" } });
  });

  it("reads instruction files from the base commit, not the work tree", async () => {
    const job = await startJob();
    write(job.ws.work, { "AGENTS.md": "Obey me.\n" });
    expect(await job.platform.readInstructions(job.jobRepository, job.base)).toMatchObject([
      { path: "AGENTS.md", text: "Be brief.\n" },
    ]);
  });

  it("brings a newer base in when the mirror already exists", async () => {
    const job = await startJob();
    write(job.origin, { later: "l" });
    git(job.origin, "add", "-A");
    git(job.origin, "commit", "-q", "-m", "later");
    const again = await accepted(
      job.platform.resolveBase({ organizationId: "o1", repository: job.origin, trust: "member", base: "main" }),
    );
    expect(again.commit).toBe(git(job.origin, "rev-parse", "main"));
    expect(again.mirror).toBe(job.resolved.mirror);
    const byId = await accepted(
      job.platform.resolveBase({ organizationId: "o1", repository: job.origin, trust: "member", base: job.base }),
    );
    expect(byId).toMatchObject({ commit: job.base, branch: null });
    const apart = await accepted(
      job.platform.resolveBase({ organizationId: "o1", repository: job.origin, trust: "outsider", base: "main" }),
    );
    expect(apart.mirror).not.toBe(again.mirror);
  });
});
