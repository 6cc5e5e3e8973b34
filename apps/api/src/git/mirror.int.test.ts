import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { collectMirrors, createPlatformGit } from "./index.ts";
import { git, makeRepository, scratch, write } from "./test/plain-workspace.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const clean of cleanups.splice(0)) clean();
});

function project() {
  const root = scratch(cleanups);
  const origin = join(root, "origin");
  const commit = makeRepository(origin, { a: "a" });
  const dataDir = join(root, "data");
  const ask = (signal?: AbortSignal) =>
    createPlatformGit({ dataDir }).resolveBase({
      ...{ organizationId: "o1", repository: origin, trust: "member", base: null },
      ...(signal ? { signal } : {}),
    });
  const mirror = async () => {
    const base = await ask();
    if (!base.ok) throw new Error(base.detail);
    return base.value;
  };
  const forward = (text: string) => {
    write(origin, { a: text });
    git(origin, "commit", "-qam", text);
    return git(origin, "rev-parse", "HEAD");
  };
  return { root, origin, commit, dataDir, ask, mirror, forward };
}

const old = new Date(Date.now() - 40 * 86_400_000);
const month = 30 * 86_400_000;

describe("a mirror", () => {
  it("serves several jobs at once", async () => {
    const { ask, forward, commit } = project();
    const first = await Promise.all(Array.from({ length: 6 }, () => ask()));
    expect(first.every((base) => base.ok && base.value.commit === commit)).toBe(true);
    const later = forward("b");
    const second = await Promise.all(Array.from({ length: 6 }, () => ask()));
    expect(second.every((base) => base.ok && base.value.commit === later)).toBe(true);
  });

  it("is usable after a fetch was killed, with the locks that it left", async () => {
    const { ask, mirror, forward } = project();
    const { mirror: dir } = await mirror();
    const later = forward("b");
    for (const wait of [0, 5, 15, 40]) {
      await ask(AbortSignal.timeout(wait)).catch(() => null);
    }
    for (const name of ["refs/heads/main.lock", "packed-refs.lock"]) {
      writeFileSync(join(dir, name), "");
      utimesSync(join(dir, name), old, old);
    }
    writeFileSync(join(dir, "objects/pack/tmp_pack_abc"), "half a pack");
    const newest = forward("c");
    expect(later).not.toBe(newest);
    expect(await ask()).toMatchObject({ ok: true, value: { commit: newest } });
    execFileSync("git", ["-c", "safe.directory=*", "--git-dir", dir, "fsck", "--connectivity-only"], {
      stdio: "ignore",
    });
  });

  it("goes when nobody used it for so long, and comes back; a dry run only counts", async () => {
    const { mirror, dataDir, commit } = project();
    const { mirror: dir } = await mirror();
    writeFileSync(join(dir, "objects/pack/tmp_pack_abc"), "half a pack");
    utimesSync(join(dir, "objects/pack/tmp_pack_abc"), old, old);
    expect(await collectMirrors(dataDir, month, true)).toEqual({ count: 1, bytes: 11 });
    expect(await collectMirrors(dataDir, month, false)).toEqual({ count: 1, bytes: 11 });
    expect(readdirSync(join(dir, "objects/pack"))).not.toContain("tmp_pack_abc");
    expect(await collectMirrors(dataDir, month, false)).toEqual({ count: 0, bytes: 0 });

    utimesSync(join(dir, "x1-fetched"), old, old);
    expect((await collectMirrors(dataDir, month, true)).count).toBe(1);
    expect(existsSync(dir)).toBe(true);
    // A use counts from now on.
    await mirror();
    expect((await collectMirrors(dataDir, month, false)).count).toBe(0);
    utimesSync(join(dir, "x1-fetched"), old, old);
    expect((await collectMirrors(dataDir, month, false)).count).toBe(1);
    expect(readdirSync(join(dir, ".."))).toEqual([]);
    expect(await mirror()).toMatchObject({ commit });
  });
});

describe("a job's repository", () => {
  it("is what git makes of it, also when it was opened before its base was known", async () => {
    const { dataDir, mirror, forward, commit, root } = project();
    const base = await mirror();
    const platform = createPlatformGit({ dataDir });
    await platform.openJobRepository("early");
    const early = platform.jobRepositoryPath("early");
    expect(git(early, "for-each-ref")).toBe("");
    execFileSync("git", ["init", "--quiet", "--bare", "--template=", "--shared=0644", "--", join(root, "by-git")]);
    // By git's hand and by ours: the second was written without asking it.
    await platform.openJobRepository("again");
    for (const name of ["early", "again"]) {
      const dir = await platform.jobRepository(name, base);
      expect(readFileSync(join(dir, "config"), "utf8")).toBe(readFileSync(join(root, "by-git/config"), "utf8"));
      for (const path of [".", "HEAD", "objects/pack", "refs/heads"])
        expect(statSync(join(dir, path)).mode).toBe(statSync(join(root, "by-git", path)).mode);
      expect(git(dir, "for-each-ref", "--format=%(refname) %(objectname)").split("\n")).toEqual([
        `refs/heads/main ${commit}`,
        `refs/x1/base ${commit}`,
      ]);
      expect(git(dir, "symbolic-ref", "HEAD")).toBe("refs/heads/main");
      expect(git(dir, "fsck", "--full", "--strict")).toBe("");
    }
    // Asked again, git says the same from memory; another base goes by git itself.
    expect(await mirror()).toEqual(base);
    const later = forward("b");
    const dir = await platform.jobRepository("early", { ...(await mirror()), branch: "main/below" }).catch(() => early);
    expect(git(dir, "rev-parse", "refs/x1/base")).toBe(commit);
    await platform.jobRepository("early", await mirror());
    expect(git(early, "rev-parse", "refs/x1/base", "HEAD")).toBe(`${later}\n${later}`);
  });

  it("takes no branch for a path out of it, whatever the remote calls it", async () => {
    const { dataDir, mirror, root } = project();
    const base = await mirror();
    for (const branch of ["../../../../out", "a/../../../../out", "x.lock"])
      await expect(createPlatformGit({ dataDir }).jobRepository("j", { ...base, branch })).rejects.toThrow();
    expect(existsSync(join(root, "out"))).toBe(false);
    expect(readdirSync(join(dataDir, "jobs"))).toEqual(["j.git"]);
  });
});
