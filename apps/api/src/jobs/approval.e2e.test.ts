import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PublishRequest } from "../git/index.ts";
import { git, makeRepository, write } from "../git/test/plain-workspace.ts";
import { fix, TestService } from "./test/service.ts";

/**
 * What was approved is what is pushed, through the API and the real loop. Each attack is played at two moments: between
 * evidence and approval, and between approval and push. One that is refused is undone afterwards, and then the same
 * approval goes through: it was the attack that was refused. One that changes nothing is shown to work on a git of ours.
 */
let x1: TestService;
let count = 0;
beforeAll(async () => {
  x1 = await TestService.open();
});
afterAll(() => x1?.close());

type Scene = {
  origin: string;
  /** The job's bare repository of the service. */
  bare: string;
  evil: string;
  marker: string;
  commit: string;
  tree: string;
  base: string;
  branch: string;
};

async function waitingJob(): Promise<{ id: string; digest: string; scene: Scene }> {
  count += 1;
  const origin = await x1.createRepository(`approval-${count}`, {
    "add.mjs": "export const add = (a, b) => a - b;\n",
    "check.sh": "grep -q 'a + b' add.mjs\n",
  });
  const { id } = await x1.create({ goal: fix, repository: origin });
  const job = await x1.reach(id, "awaiting_approval");
  const { items } = await x1.client.listEvidence({ params: { jobId: id } });
  const { commit, tree, base } = items[0]?.record ?? { commit: "", tree: "", base: "" };
  const evil = `${origin}-evil.git`;
  makeRepository(`${origin}-evil`, { "evil.txt": "evil\n" });
  git(origin, "clone", "-q", "--bare", `${origin}-evil`, evil);
  const scene = {
    ...{ origin, evil, commit, tree, base, marker: `${origin}-ran`, branch: job.targetBranch ?? "" },
    bare: join(x1.dataDir, "jobs", `${id}.git`),
  };
  expect(existsSync(scene.bare)).toBe(true);
  return { id, digest: job.approvalDigest ?? "", scene };
}

const approve = (id: string, digest: string) =>
  x1.client.decide({ params: { jobId: id }, body: { decision: "approve", digest } });
const branches = (dir: string) => git(dir, "for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads");

async function settled(id: string): Promise<string> {
  await expect
    .poll(async () => (await x1.job(id)).state, { timeout: 60_000 })
    .toMatch(/^(succeeded|awaiting_approval)$/);
  return (await x1.job(id)).state;
}

const trap = (path: string, marker: string): void => {
  write(join(path, ".."), { [path.slice(path.lastIndexOf("/") + 1)]: `#!/bin/sh\ntouch ${marker}\n` });
  chmodSync(path, 0o755);
};

describe("an approval is refused by its code, and the branch is left", () => {
  const attacks: Record<string, (scene: Scene) => () => void> = {
    "when the branch was moved to something else"({ origin, branch }) {
      git(origin, "branch", branch, "main");
      return () => git(origin, "branch", "-q", "-D", branch);
    },
    "when the remote is another repository now"({ origin, evil }) {
      renameSync(origin, `${origin}-away`);
      git("/", "clone", "-q", evil, origin);
      return () => {
        rmSync(origin, { recursive: true });
        renameSync(`${origin}-away`, origin);
      };
    },
    "when the remote's path leads to another place now"({ origin, evil }) {
      renameSync(origin, `${origin}-away`);
      symlinkSync(evil, origin);
      return () => {
        rmSync(origin);
        renameSync(`${origin}-away`, origin);
      };
    },
    "when the base was rewritten"({ origin, base }) {
      git(origin, "commit", "-q", "--amend", "-m", "rewritten");
      return () => git(origin, "reset", "-q", "--hard", base);
    },
    "when the base branch is gone"({ origin }) {
      git(origin, "branch", "-m", "main", "trunk");
      return () => git(origin, "branch", "-m", "trunk", "main");
    },
  };
  it.each(Object.entries(attacks))("%s", async (_, attack) => {
    const { id, digest, scene } = await waitingJob();
    const refused = async (): Promise<void> => {
      expect(await settled(id)).toBe("awaiting_approval");
      expect((await x1.job(id)).reason).toBe("publish_refused");
      expect((await x1.events(id, "publication.ended")).at(-1)?.payload).toMatchObject({
        outcome: "refused",
        code: expect.stringMatching(/^(publish_moved|repository_invalid)$/),
      });
    };
    const undo = attack(scene);
    const before = branches(scene.origin);
    await approve(id, digest);
    await refused();
    expect(branches(scene.origin)).toBe(before);
    undo();

    let undoLate = (): void => {};
    x1.beforePublish = async () => {
      x1.beforePublish = null;
      undoLate = attack(scene);
    };
    await approve(id, digest);
    await refused();
    undoLate();

    await approve(id, digest);
    expect(await settled(id)).toBe("succeeded");
    expect(git(scene.origin, "rev-parse", scene.branch)).toBe(scene.commit);
  });
});

it("an approved commit that is gone from the job's repository is brought back from the blob store, or refused", async () => {
  const empty = (bare: string) => {
    rmSync(join(bare, "objects"), { recursive: true });
    mkdirSync(join(bare, "objects"));
  };
  const { id, digest, scene } = await waitingJob();
  // After it was looked for: refused by its code, and nothing is pushed.
  x1.beforePublish = async () => {
    x1.beforePublish = null;
    empty(scene.bare);
  };
  const before = branches(scene.origin);
  await approve(id, digest);
  expect(await settled(id)).toBe("awaiting_approval");
  expect((await x1.events(id, "publication.ended")).at(-1)?.payload).toMatchObject({ outcome: "refused" });
  expect(branches(scene.origin)).toBe(before);
  // Before it is looked for: the very commit is there again.
  empty(scene.bare);
  await approve(id, digest);
  expect(await settled(id)).toBe("succeeded");
  expect(git(scene.origin, "rev-parse", scene.branch)).toBe(scene.commit);
});

/** What is there at the push is there in both; the earlier moment is played at full size only. */
const moments = process.env.X1_FULL === "1" ? ["before the approval", "after it"] : ["after it"];
describe("an approval is published to the letter", () => {
  type Attack = { play(scene: Scene): void; worksOnOthers(scene: Scene): boolean };
  const settings =
    (...lines: string[]) =>
    (scene: Scene) =>
      appendFileSync(join(scene.bare, "config"), lines.map((line) => `${fill(line, scene)}\n`).join(""));
  const fill = (line: string, scene: Scene): string =>
    line.replace(/\{(\w+)\}/g, (_, name: keyof Scene) => scene[name]);
  const tries = (dir: string, ...args: string[]): string => {
    try {
      return git(dir, ...args);
    } catch {
      return "";
    }
  };
  const attacks: Record<string, Attack> = {
    "whatever a replace ref stands in for it": {
      play({ bare, base, commit }) {
        const other = git(bare, "commit-tree", `${base}^{tree}`, "-p", base, "-m", "evil");
        git(bare, "replace", commit, other);
      },
      worksOnOthers: ({ bare, commit }) => git(bare, "log", "-1", "--format=%s", commit) === "evil",
    },
    "whatever a graft says of its parents": {
      play: ({ bare, commit }) => write(bare, { "info/grafts": `${commit}\n` }),
      worksOnOthers: ({ bare, commit }) => git(bare, "rev-list", "--count", commit) === "1",
    },
    "whatever insteadOf makes of the address": {
      play: settings('[url "{evil}"]', "insteadOf = {origin}", "pushInsteadOf = {origin}"),
      worksOnOthers: ({ bare, origin, evil }) =>
        git(bare, "ls-remote", origin, "refs/heads/main").startsWith(git(evil, "rev-parse", "main")),
    },
    "whatever pushurl a remote has": {
      play: settings('[remote "origin"]', "url = {origin}", "pushurl = {evil}"),
      worksOnOthers({ bare, evil }) {
        tries(bare, "push", "-q", "origin", "HEAD:refs/heads/trap");
        return branches(evil).includes("trap");
      },
    },
    "whatever objects alternates bring in": {
      play: ({ bare, evil }) => write(bare, { "objects/info/alternates": `${evil}/objects\n` }),
      worksOnOthers: ({ bare, evil }) => tries(bare, "cat-file", "-t", git(evil, "rev-parse", "main")) === "commit",
    },
    "whatever its own refs say": {
      play({ bare, base, commit }) {
        git(bare, "update-ref", `refs/x1/commits/${commit}`, base);
        git(bare, "update-ref", "refs/heads/main", git(bare, "commit-tree", `${base}^{tree}`, "-m", "evil"));
      },
      worksOnOthers: ({ bare }) => git(bare, "log", "-1", "--format=%s", "main") === "evil",
    },
    "past hooks on either side": {
      play({ bare, origin, marker }) {
        for (const folder of [join(bare, "hooks"), join(origin, ".git/hooks")])
          for (const name of ["pre-push", "pre-receive", "update", "post-receive", "reference-transaction"])
            trap(join(folder, name), marker);
      },
      worksOnOthers({ bare, origin, marker }) {
        tries(bare, "push", "-q", origin, "HEAD:refs/heads/trap");
        return existsSync(marker);
      },
    },
    "past hooksPath, fsmonitor and ssh commands of the configuration": {
      play(scene) {
        trap(join(`${scene.origin}-hooks`, "pre-push"), scene.marker);
        settings(
          "[core]",
          "hooksPath = {origin}-hooks",
          "fsmonitor = touch {marker}",
          "sshCommand = touch {marker}",
          "alternateRefsCommand = touch {marker}",
        )(scene);
      },
      worksOnOthers({ bare, origin, marker }) {
        tries(bare, "push", "-q", origin, "HEAD:refs/heads/trap");
        return existsSync(marker);
      },
    },
    "past filters and attributes": {
      play(scene) {
        settings('[filter "evil"]', "smudge = touch {marker}", "clean = touch {marker}", "required = true")(scene);
        write(scene.bare, { "info/attributes": "* filter=evil diff=evil\n" });
      },
      worksOnOthers({ bare, origin, marker, commit }) {
        mkdirSync(`${origin}-tree`);
        tries(bare, `--work-tree=${origin}-tree`, "checkout", "-q", commit, "--", "add.mjs");
        return existsSync(marker);
      },
    },
  };
  it.each(Object.entries(attacks))("%s", async (_, { play, worksOnOthers }) => {
    for (const moment of moments) {
      const { id, digest, scene } = await waitingJob();
      let asked: PublishRequest | null = null;
      if (moment === "before the approval") play(scene);
      x1.beforePublish = async (request) => {
        x1.beforePublish = null;
        asked = request;
        if (moment === "after it") play(scene);
      };
      await approve(id, digest);
      expect(await settled(id), moment).toBe("succeeded");
      expect(asked).toMatchObject({ digest });
      const clean = ["--no-replace-objects", "rev-parse"] as const;
      expect(git(scene.origin, ...clean, scene.branch)).toBe(scene.commit);
      expect(git(scene.origin, ...clean, `${scene.branch}^{tree}`)).toBe(scene.tree);
      expect(git(scene.origin, ...clean, `${scene.branch}^`)).toBe(scene.base);
      expect(branches(scene.evil).split("\n")).toHaveLength(1);
      expect(existsSync(scene.marker), "something ran").toBe(false);
      expect(worksOnOthers(scene), "the attack works where nobody guards").toBe(true);
    }
  });
});

it("leaves nothing of a publication behind", () => {
  const scratch = join(x1.dataDir, "tmp");
  expect(existsSync(scratch) ? readdirSync(scratch).filter((name) => name.startsWith("publish-")) : []).toEqual([]);
});

it("is used once, whoever sends it again", async () => {
  const { id, digest, scene } = await waitingJob();
  await approve(id, digest);
  expect(await settled(id)).toBe("succeeded");
  await expect(approve(id, digest)).rejects.toMatchObject({ code: "illegal_transition" });
  // Taken back by its owner: nobody pushes it again.
  execFileSync("git", ["-c", "safe.directory=*", "-C", scene.origin, "branch", "-q", "-D", scene.branch]);
  await expect(approve(id, digest)).rejects.toMatchObject({ code: "illegal_transition" });
  expect(branches(scene.origin)).not.toContain(scene.branch);
});

it("is worth nothing while a stored secret is in the change, and nothing verified says so", async () => {
  const origin = await x1.createRepository("approval-secret", { "a.txt": "a\n" });
  const value = "hosted-5c1f09b7e2a84d";
  const name = "git:forge.example";
  await x1.client.setSecret({ params: { name }, body: { value } });
  const { id } = await x1.client.createJob({
    body: {
      ...{ repository: origin, runtime: "mock", title: "Log in" },
      goal: `[[edit conf.mjs export const login = "${Buffer.from(`ci:${value}`).toString("base64")}";]]`,
    } as never,
  });
  const waiting = await x1.reach(id, "awaiting_approval");
  // No command was run: that is not a verification that passed.
  expect(waiting.reason).toBe("not_verified");
  const { record } = await x1.evidenceOf(id);
  expect(record.risks).toEqual([{ kind: "stored_secret", reason: `conf.mjs holds the stored secret ${name}` }]);
  expect(record.files.find(({ path }) => path === "conf.mjs")?.flags).toEqual(["secret"]);
  await approve(id, waiting.approvalDigest ?? "");
  expect(await settled(id)).toBe("awaiting_approval");
  const refused = (await x1.events(id, "publication.ended")).at(-1)?.payload;
  expect(refused).toMatchObject({ outcome: "refused", code: "secret_in_change" });
  expect(await x1.job(id)).toMatchObject({ reason: "publish_refused", reasonDetail: refused?.detail });
  expect(branches(origin).split("\n")).toHaveLength(1);
  expect(JSON.stringify(await x1.events(id, "publication.ended"))).not.toContain(value);
  // Planted: with another value in its place the same approval goes through.
  await x1.client.setSecret({ params: { name }, body: { value: "another-5c1f09b7e2a84d" } });
  await approve(id, waiting.approvalDigest ?? "");
  expect(await settled(id)).toBe("succeeded");
  expect(branches(origin)).toContain(record.commit);
});
