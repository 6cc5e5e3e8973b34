import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fix, TestService } from "./test/service.ts";

let x1: TestService;
beforeAll(async () => {
  x1 = await TestService.open();
});
afterAll(() => x1?.close());

const nothingRuns = (jobId: string) => expect.poll(() => x1.workspacesOf(jobId), { timeout: 60_000 }).toEqual([]);

describe("a repository that is not what it should be", () => {
  it.each<[string, () => string | Promise<string>, RegExp]>([
    ["is missing", () => "/nowhere/at/all", /no repository/],
    [
      "is a folder without one",
      async (): Promise<string> => {
        const path = join(await x1.createRepository("beside-plain", { "a.txt": "a" }), "../plain");
        mkdirSync(path);
        return path;
      },
      /repository/,
    ],
    [
      "is empty",
      async () => {
        const path = join(await x1.createRepository("host-of-empty", { "a.txt": "a" }), "../empty");
        execFileSync("git", ["init", "-q", path]);
        return path;
      },
      /empty|no commit|no branch/i,
    ],
  ])("is refused with a sentence when it %s", async (_, make, sentence) => {
    const repository = await make();
    const answer = await x1.create({ goal: fix, repository }).then(
      async ({ id }) => {
        await expect.poll(async () => (await x1.job(id)).endedAt, { timeout: 30_000 }).not.toBeNull();
        return x1.job(id);
      },
      (error: { code: string; detail?: string; message: string }) => ({
        reason: error.code,
        reasonDetail: `${error.message} ${error.detail ?? ""}`,
      }),
    );
    expect(answer.reason).toMatch(/repository_invalid|base_unknown|checkout_failed/);
    expect(answer.reasonDetail).toMatch(sentence);
  });

  it("is refused when it has no such base", async () => {
    const job = await x1.client.createJob({
      body: { repository: x1.repository, runtime: "mock", goal: fix, base: "no-such-branch" } as never,
    });
    await expect.poll(async () => (await x1.job(job.id)).state, { timeout: 30_000 }).toBe("failed");
    expect((await x1.job(job.id)).reasonDetail).toContain("no-such-branch");
    await nothingRuns(job.id);
  });
});

describe("what an agent leaves behind", () => {
  it("is collected or named, however it was hidden", async () => {
    const hide = [
      "echo changed >> check.sh; git update-index --skip-worktree check.sh",
      "echo excluded > hidden.txt; echo hidden.txt >> .git/info/exclude",
      "mkdir nested && git -C nested init -q && echo inner > nested/inner.txt",
      "ln -s /etc/passwd outside",
      "printf x > \"$(printf 'new\\\\nline.txt')\"",
      "printf x > \"$(printf 'latin-\\\\351.txt')\"",
      "printf '\\\\377\\\\376\\\\000binary' > blob.bin",
    ];
    const { id } = await x1.create({
      goal: `${fix}${hide.map((command) => `[[shell ${command}]]`).join("")}`,
      verify: "true",
    });
    await x1.reach(id, "awaiting_approval");
    const { record } = await x1.evidenceOf(id);
    const all = [...record.files.map(({ path }) => path), ...record.named].join("\n");
    for (const expected of ["add.mjs", "check.sh", "hidden.txt", "nested", "outside", "line.txt", "latin-", "blob.bin"])
      expect(all, expected).toContain(expected);
    // Nothing that could move a cursor or a reader's eye is shown as it is.
    expect(all).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
    await nothingRuns(id);
  });

  it("is kept whole when a set-up failed before it could begin", async () => {
    const { id } = await x1.create({ goal: fix, setup: "echo no such tool >&2; exit 7" });
    await expect.poll(async () => (await x1.job(id)).state, { timeout: 30_000 }).toBe("failed");
    expect(await x1.job(id)).toMatchObject({ reason: "setup_failed", spentMicros: 0 });
    expect((await x1.job(id)).reasonDetail).toContain("ended with 7");
    const [ended] = await x1.events(id, "command.ended");
    expect(ended?.payload.outputTail).toContain("no such tool");
    await nothingRuns(id);
  });

  it("may be a large binary, which is named where it is too large to take", async () => {
    const megabytes = process.env.X1_FULL === "1" ? 200 : 20;
    const { id } = await x1.create({
      goal: `${fix}[[shell head -c ${megabytes}M /dev/urandom > large.bin]]`,
      verify: "true",
    });
    const timeout = megabytes > 100 ? 250_000 : 120_000;
    await expect.poll(async () => (await x1.job(id)).state, { timeout }).toMatch(/awaiting_approval|failed/);
    const job = await x1.job(id);
    if (job.state === "failed")
      expect(`${job.reason} ${job.reasonDetail}`).toMatch(/collect_failed .*(large|MB|bytes)/);
    else {
      const { record } = await x1.evidenceOf(id);
      const file = record.files.find(({ path }) => path === "large.bin");
      if (file) expect(file.binary).toBe(true);
      else expect(record.named.join("\n")).toContain("large.bin");
    }
  });
});

describe("a goal", () => {
  it("of a megabyte is refused with a code", async () => {
    await expect(x1.create({ goal: `${fix}\n${"x".repeat(1024 ** 2)}` })).rejects.toMatchObject({
      code: "goal_too_large",
    });
  });
});

describe("a local repository of somebody else", () => {
  it("is worked on as its owner, whoever asked", async () => {
    const uid = process.getuid?.();
    const path = await x1.createRepository("owned", { "a.txt": "a\n" });
    const owner = uid === 0 ? 1 : uid;
    if (uid === 0) execFileSync("chown", ["-R", `${owner}:${owner}`, path]);
    const { id } = await x1.create({ goal: "[[edit b.txt b]]", repository: path, verify: "true" });
    const waiting = await x1.reach(id, "awaiting_approval");
    await x1.client.decide({
      params: { jobId: id },
      body: { decision: "approve", digest: waiting.approvalDigest ?? "" },
    });
    await x1.reach(id, "succeeded");
    const roots = execFileSync("find", [path, "-newermt", "-5 minutes", "-uid", "0", "-type", "f"], {
      encoding: "utf8",
    });
    if (owner !== 0) expect(roots).toBe("");
  });
});
