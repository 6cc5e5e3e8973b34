import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { approvalDigest, approvalSubject, buildEvidence, createPlatformGit, pullRequestText } from "./index.ts";
import { git, makeRepository, ok, plainWorkspace, scratch, write } from "./test/plain-workspace.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const clean of cleanups.splice(0)) clean();
});

/** A published branch `x1/j` and a base that moved on, both in the job's repository. */
async function moved(ours: Record<string, string>, theirs: Record<string, string>) {
  const root = scratch(cleanups);
  const origin = join(root, "origin");
  const first = makeRepository(origin, { "a.txt": "one\ntwo\nthree\n", "b.txt": "b\n" });
  const commit = (branch: string, files: Record<string, string>) => {
    git(origin, "checkout", "-q", "-B", branch, first);
    write(origin, files);
    git(origin, "add", "-A");
    git(origin, "commit", "-q", "--allow-empty", "-m", branch);
    return git(origin, "rev-parse", "HEAD");
  };
  const head = commit("x1/j", ours);
  const tip = commit("main", theirs);
  git(origin, "checkout", "-q", "--detach");
  const platform = createPlatformGit({ dataDir: join(root, "data") });
  const at = { organizationId: "o1", repository: origin, trust: "member" };
  let jobRepository = "";
  // One repository of a job takes in what is fetched later: the second was not there when it was made.
  for (const id of [head, tip])
    jobRepository = await platform.jobRepository("j1", ok(await platform.resolveBase({ ...at, base: id })));
  const tool = plainWorkspace(jobRepository, join(root, "tool"));
  const merge = (from: string | null = null) =>
    platform.mergeChange(tool, { base: tip, side: tip, work: head, from, file: join(root, "merge") });
  const imported = async () => {
    const laid = ok(await merge());
    if (laid.kind === "unchanged") throw new Error("unchanged");
    return ok(
      await platform.importChange({
        ...{ tool, jobRepository, base: tip, collected: { file: laid.file, named: [] } },
        text: { title: "t", body: "", jobId: "j1", at: new Date(0), onto: head },
      }),
    );
  };
  return { root, origin, first, head, tip, platform, jobRepository, merge, imported, at };
}

describe("a change laid on what its branch has moved to", () => {
  it("goes together, does not, or is there already", async () => {
    const together = await moved({ "a.txt": "ONE\ntwo\nthree\n" }, { "b.txt": "B\n" });
    expect(ok(await together.merge()).kind).toBe("clean");
    const change = await together.imported();
    expect(change.files.map(({ path }) => path)).toEqual(["a.txt"]);
    const conflict = await moved({ "a.txt": "ONE\ntwo\n" }, { "a.txt": "1\ntwo\n" });
    const laid = ok(await conflict.merge());
    expect(laid).toMatchObject({ kind: "conflict", paths: ["a.txt"], said: [expect.stringContaining("content")] });
    const left = await conflict.imported();
    expect(left.named).toEqual(["a.txt: conflict markers, not resolved"]);
    expect(git(conflict.jobRepository, "show", `${left.commit}:a.txt`)).toMatch(
      /^<{7} new-base\n1\n={7}\nONE\n>{7} this-change$/m,
    );
    const same = await moved({ "a.txt": "same\n" }, { "a.txt": "same\n" });
    expect(ok(await same.merge()).kind).toBe("unchanged");
    // Counted from the base's own tree the change takes the base's commit back: history plays no part.
    expect(ok(await together.merge(together.tip)).kind).toBe("clean");
  });

  it("carries no configuration of the trees, and says what is not there", async () => {
    const hostile = await moved(
      { ".gitattributes": "* merge=evil filter=evil diff=evil\n", "a.txt": "ONE\n" },
      {
        ".gitattributes": "* merge=evil\n",
        ".gitconfig": '[merge "evil"]\n driver = touch /tmp/x1-evil\n',
        "a.txt": "1\n",
      },
    );
    const laid = ok(await hostile.merge());
    expect(laid).toMatchObject({ kind: "conflict", paths: [".gitattributes", "a.txt"] });
    const gone = "d".repeat(40);
    const tool = plainWorkspace(hostile.jobRepository, join(hostile.root, "other"));
    const request = { base: hostile.tip, side: hostile.tip, work: gone, from: null, file: join(hostile.root, "x") };
    expect(await hostile.platform.mergeChange(tool, request)).toMatchObject({ ok: false, code: "conflict" });
  });

  it("is pushed as a merge on the very head that it was approved for, and on no other", async () => {
    const job = await moved({ "a.txt": "ONE\ntwo\nthree\n" }, { "b.txt": "B\n" });
    const change = await job.imported();
    expect(git(job.jobRepository, "rev-parse", `${change.commit}^1`, `${change.commit}^2`).split("\n")).toEqual([
      job.head,
      job.tip,
    ]);
    const evidence = (onto?: string) =>
      buildEvidence({
        ...{ organizationId: "o1", jobId: "j1", attemptId: "a1", round: 2, repository: job.origin, base: job.tip },
        ...{ targetBranch: "x1/j", change, ...(onto ? { onto } : {}), baseline: null, costMicros: 0 },
        verification: {
          ...{ commit: change.commit, setup: null, verify: null, passed: true, counts: null, withBaseTests: null },
        },
        ...{ egressBlocked: [], policyVersion: "1" },
      });
    const publish = (record: ReturnType<typeof evidence>, expectedOld: string) => {
      const pullRequest = pullRequestText({ title: "t", record, agentSummary: null });
      const subject = approvalSubject({ record, evidenceId: "e1", expectedOld, pullRequest });
      return job.platform.publish({
        ...{ organizationId: "o1", jobId: "j1", trust: "member", subject, digest: approvalDigest(subject), record },
        ...{ pullRequest, evidenceId: "e1", jobRepository: job.jobRepository, baseBranch: null, override: false },
      });
    };
    // Evidence that names another branch head, or none, is not what this commit stands on.
    for (const onto of [undefined, job.first])
      expect(await publish(evidence(onto), job.head)).toMatchObject({ ok: false, code: "publish_moved" });
    git(job.origin, "checkout", "-q", "x1/j");
    write(job.origin, { "theirs.txt": "x" });
    git(job.origin, "add", "-A");
    git(job.origin, "commit", "-q", "-m", "theirs");
    const theirs = git(job.origin, "rev-parse", "HEAD");
    git(job.origin, "checkout", "-q", "--detach");
    // Approved while the branch was there already: the commit does not hold what people pushed.
    for (const expected of [theirs, job.head])
      expect(await publish(evidence(job.head), expected)).toMatchObject({ ok: false, code: "publish_moved" });
    expect(git(job.origin, "rev-parse", "x1/j")).toBe(theirs);
    git(job.origin, "update-ref", "refs/heads/x1/j", job.head);
    expect(await publish(evidence(job.head), job.head)).toMatchObject({ ok: true, value: { commit: change.commit } });
    expect(git(job.origin, "rev-parse", "x1/j")).toBe(change.commit);
    // Another service has only the pack and the remote.
    const pack = await job.platform.packOf(job.jobRepository, change.commit, job.tip);
    await job.platform.removeJobRepository("j1");
    ok(await job.platform.rebuild("j1", change.commit, { ...job.at, base: job.tip }, async () => pack));
    expect(git(job.jobRepository, "cat-file", "-t", job.head)).toBe("commit");
    expect(readFileSync(join(job.jobRepository, "HEAD"), "utf8")).toContain("refs/heads/");
  });
});
