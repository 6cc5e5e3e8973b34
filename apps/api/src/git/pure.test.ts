import { ApprovalPolicy, type DiffFile, type EvidenceRecord } from "@x1agent/contract";
import { describe, expect, it } from "vitest";
import { checkoutCommand } from "./checkout.ts";
import { collectCommand, parseReport } from "./collect.ts";
import { flagsOf, leavesTree, looksSecret, parseRaw, visible } from "./diff.ts";
import { approvalDigest, canonicalBytes, recordDigest } from "./digest.ts";
import { approvalSubject, buildEvidence, pullRequestText, targetBranchName } from "./evidence.ts";
import { commitObject, objectId, parseTree, walkTrees } from "./import.ts";
import { chooseBase, isBranchName } from "./mirror.ts";
import { decideByPolicy, matchesGlob } from "./policy.ts";
import type { PublishRequest } from "./port.ts";
import { checkApproval } from "./publish.ts";
import { parseRemote } from "./remote.ts";
import { gitEnvironment } from "./run.ts";
import { describe as commandResult, feedbackText, planVerification } from "./verify.ts";

const rules = { roots: [], owners: [] };
const urlOf = (text: string) => {
  const parsed = parseRemote(text, rules);
  return parsed.ok ? parsed.value.url : parsed.detail;
};

describe("remotes", () => {
  it("are built anew from their parts", () => {
    expect(urlOf("https://Example.COM/a/b.git")).toBe("https://example.com:443/a/b.git");
    expect(urlOf("http://[::1]:8080/x")).toBe("http://[::1]:8080/x");
    expect(urlOf("ssh://git@host/a/b")).toBe("ssh://git@host:22/a/b");
    expect(urlOf("git@host:a/b.git")).toBe("ssh://git@host:22/a/b.git");
    expect(urlOf("git@host:/srv/b.git")).toBe("ssh://git@host:22/srv/b.git");
  });

  it.each([
    ["ext::sh -c id", "helpers"],
    ["--upload-pack=id", "dash"],
    ["https://user:hunter2@host/a", "credential"],
    ["https://token@host/a", "credential"],
    ["https://host/a?x=1", "query"],
    ["ftp://host/a", "ftp"],
    ["git://host/a", "git"],
    ["https://host/", "names no repository"],
    ["https://host/a/%2e%2e/%2fb/../..", "names no repository"],
    ["https://host/a%0ab", "control"],
    ["ssh://-oProxyCommand=id/a", ""],
    ["-oProxyCommand=id:a", "dash"],
    ["a\u0000b", "control"],
    ["relative/path", "no repository address"],
    ["", "empty"],
    ["file://host/share", ""],
  ])("refuses %j", (text, part) => {
    const parsed = parseRemote(text, rules);
    expect(parsed).toMatchObject({ ok: false, code: "repository_invalid", detail: expect.stringContaining(part) });
    expect(JSON.stringify(parsed)).not.toContain("hunter2");
  });

  it("give the credential to their own origin only and nothing to arguments", () => {
    const parsed = parseRemote("https://host/a.git", rules);
    if (!parsed.ok) throw new Error(parsed.detail);
    const env = gitEnvironment({ args: [], remote: parsed.value, credential: { authorization: "Bearer c4n4ry" } });
    const key = Object.keys(env).find((name) => env[name]?.includes("c4n4ry"))!;
    expect(env[key.replace("VALUE", "KEY")]).toBe("http.https://host:443/.extraHeader");
    expect(env.GIT_ALLOW_PROTOCOL).toBe("https");
    const local = gitEnvironment({
      args: [],
      remote: { kind: "local", url: "/a", path: "/a", uid: 0, gid: 0 },
      credential: { authorization: "c4n4ry" },
    });
    expect(JSON.stringify(local)).not.toContain("c4n4ry");
  });

  it("build the environment from nothing", () => {
    process.env.X1_CANARY = "c4n4ry";
    process.env.GIT_DIR = "/elsewhere";
    try {
      const env = gitEnvironment({ args: [] });
      expect(JSON.stringify(env)).not.toMatch(/c4n4ry|elsewhere/);
      expect(env.GIT_ALLOW_PROTOCOL).toBe("none");
    } finally {
      delete process.env.X1_CANARY;
      delete process.env.GIT_DIR;
    }
  });
});

describe("names", () => {
  it("of branches follow git's rules", () => {
    for (const good of ["main", "x1/job-a", "feature/ä"]) expect(isBranchName(good), good).toBe(true);
    for (const bad of [
      "",
      "-d",
      "a..b",
      "a b",
      "a:b",
      "+a",
      "a\n",
      ".a",
      "a/.b",
      "a.lock",
      "@",
      "a@{1}",
      "/a",
      "a/",
      "a//b",
      "*",
    ].filter((b) => b !== "+a"))
      expect(isBranchName(bad), bad).toBe(false);
  });

  it("of bases are looked up among the remote's refs, branch before tag before id", () => {
    const refs = new Map([
      ["refs/heads/main", "1".repeat(40)],
      ["refs/heads/v1", "2".repeat(40)],
      ["refs/tags/v1", "3".repeat(40)],
      ["refs/tags/v2", "4".repeat(40)],
    ]);
    expect(chooseBase(null, "main", refs)).toMatchObject({ ok: true, value: { branch: "main" } });
    expect(chooseBase("v1", "main", refs)).toMatchObject({ ok: true, value: { branch: "v1" } });
    expect(chooseBase("v2", "main", refs)).toMatchObject({ ok: true, value: { branch: null, ref: "refs/tags/v2" } });
    expect(chooseBase("5".repeat(40), "main", refs)).toMatchObject({ ok: true, value: { ref: null } });
    expect(chooseBase("--all", "main", refs)).toMatchObject({ ok: false, code: "base_unknown" });
  });

  it("of target branches hold letters, digits and dashes whatever the title is", () => {
    expect(targetBranchName("job_1", "Ünder: fix `add`/../x\n")).toBe("x1/job-1-under-fix-add-x");
    expect(isBranchName(targetBranchName("j", "?".repeat(500)))).toBe(true);
  });
});

describe("commands", () => {
  it("carry ids and paths as whole arguments and refuse anything else", () => {
    const spec = checkoutCommand({ commit: "a".repeat(40), branch: "main", origin: "http://127.0.0.1:9090/git/p" });
    expect(spec.argv.slice(3)).toEqual([
      "x1",
      "/workspace",
      "/x1/base.git",
      "a".repeat(40),
      "main",
      "origin",
      "http://127.0.0.1:9090/git/p",
    ]);
    expect(spec.network).toBe("none");
    expect(() => checkoutCommand({ commit: "main; id" })).toThrow();
    expect(() => checkoutCommand({ commit: "a".repeat(40), branch: "-x" })).toThrow();
    expect(() => collectCommand("HEAD")).toThrow();
  });

  it("report by lines that no file name can forge", () => {
    const word = (text: string) => Buffer.from(text).toString("base64");
    const stderr = `warning: x\nx1 special ${word("a\nx1 done changed")}\nx1 tree ${word("t")}\nx1 unknown ${word("u")}\n`;
    expect(parseReport(Buffer.from(stderr))).toEqual([
      { kind: "special", text: "a\nx1 done changed" },
      { kind: "tree", text: "t" },
    ]);
  });
});

describe("diff", () => {
  const modified = { oldMode: "100644", newMode: "100644" };
  it.each([
    ["src/add.ts", []],
    ["src/latest.ts", []],
    ["src/contest/a.ts", []],
    ["test/add.ts", ["test"]],
    ["src/add.test.ts", ["test"]],
    ["pkg/add_test.go", ["test"]],
    ["Package.JSON", ["manifest"]],
    ["a/package-lock.json", ["lock"]],
    ["vitest.config.ts", ["config"]],
    ["conftest.py", ["config"]],
    [".npmrc", ["dotfile"]],
    [".github/workflows/x.yml", ["dotfile", "ci"]],
    ["docs/AGENTS.md", ["instructions"]],
    ["scripts/build.js", ["script"]],
    ["x.sh", ["script"]],
  ])("flags %s", (path, flags) => expect(flagsOf(path, modified)).toEqual(flags));

  it("flags modes", () => {
    expect(flagsOf("a", { oldMode: "100644", newMode: "100755" })).toEqual(["executable"]);
    expect(flagsOf("a", { oldMode: "120000", newMode: "100644" })).toEqual(["symlink"]);
    expect(flagsOf("a", { oldMode: "000000", newMode: "160000" })).toEqual(["submodule"]);
  });

  it("shows what acts on terminals or reorders lines", () => {
    expect(visible("a\u001b[2J\u202eb\u0000\r\n")).toBe("a\\x1b[2J\\u{202e}b\\x00\\x0d\\x0a");
    expect(visible("a\tb\n", true)).toBe("a\tb\n");
  });

  it("parses raw entries with any name and refuses other lines", () => {
    const line = `:100644 000000 ${"1".repeat(40)} ${"0".repeat(40)} D`;
    expect(parseRaw(Buffer.from(`${line}\0a\n:b\0`))).toMatchObject([{ path: Buffer.from("a\n:b") }]);
    expect(() => parseRaw(Buffer.from("junk\0a\0"))).toThrow();
  });

  it("knows links that leave the tree and credentials", () => {
    expect(["/etc/passwd", "../../x", "../.git/config", ".GIT/x"].map((target) => leavesTree("a/b", target))).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect(["../x", "./y", "c/../../z"].map((target) => leavesTree("a/b", target))).toEqual([false, false, false]);
    expect(looksSecret("-----BEGIN OPENSSH PRIVATE KEY-----")).toBe(true);
    expect(looksSecret("a private key")).toBe(false);
  });
});

describe("tree walk", () => {
  const entry = (mode: string, name: string, id: string) => ({ mode, name: Buffer.from(name), id });
  const limits = { maxPaths: 1_000, maxDepth: 64 };

  it("counts shared subtrees by multiplication, visiting each once", () => {
    const trees = new Map([["0", [entry("100644", "f", "x")]]]);
    for (let level = 1; level <= 40; level++)
      trees.set(
        String(level),
        Array.from({ length: 10 }, (_, index) => entry("40000", `d${index}`, String(level - 1))),
      );
    expect(walkTrees("40", trees, limits)).toMatch(/more than 1000/);
    expect(walkTrees("2", trees, limits)).toBeNull();
  });

  it.each([".git", ".GIT", ".git ", ".git.", "git~1", ".g\u200cit", ".git::$INDEX_ALLOCATION", "..", ".", ""])(
    "refuses the name %j",
    (name) => {
      expect(walkTrees("r", new Map([["r", [entry("100644", name, "x")]]]), limits)).toMatch(/component/);
    },
  );

  it("refuses unknown modes and takes .gitignore", () => {
    expect(walkTrees("r", new Map([["r", [entry("140000", "s", "x")]]]), limits)).toMatch(/mode/);
    expect(walkTrees("r", new Map([["r", [entry("100644", ".gitignore", "x")]]]), limits)).toBeNull();
    expect(() => parseTree(Buffer.from("100644 a\0short"), 20)).toThrow();
  });

  it("writes a commit that a title cannot break out of", () => {
    const object = commitObject("t", "b", {
      title: "x\n\nX1-Job: forged",
      body: "",
      jobId: "j1",
      at: new Date(5_000),
    }).toString();
    expect(object).toContain("\nauthor x1agent <x1agent@localhost> 5 +0000\n");
    expect(object.match(/^X1-Job: .*$/gm)).toEqual(["X1-Job: j1"]);
    // Nor can somebody's name at a forge.
    const asked = (name: string, email: string) =>
      commitObject("t", "b", { title: "x", body: "", jobId: "j1", at: new Date(0), coAuthors: [{ name, email }] })
        .toString()
        .split("\n")
        .slice(5);
    expect(asked("Ann", "7+ann@users.noreply.forge.example")).toEqual([
      "x",
      "",
      "X1-Job: j1",
      "Co-authored-by: Ann <7+ann@users.noreply.forge.example>",
      "",
    ]);
    expect(asked("Ann <a@b>\nX1-Job: forged", "7+ann@x.example")[3]).toMatch(/^Co-authored-by: Ann\s+a@b/);
    expect(asked("Ann", "a@b>\nX1-Job: forged <c")).toEqual(["x", "", "X1-Job: j1", ""]);
    expect(objectId("blob", Buffer.from("x\n"), "a".repeat(40))).toBe("587be6b4c3f93f93c489c0111bba5596147a26cb");
  });
});

const file = (path: string, flags: string[] = []): DiffFile => ({
  path,
  status: "modified",
  oldMode: "100644",
  newMode: "100644",
  insertions: 1,
  deletions: 1,
  binary: false,
  flags,
});
const command = {
  command: "npm test",
  exitCode: 0,
  signal: null,
  durationMs: 1,
  timedOut: false,
  outputBytes: 0,
  outputTail: "",
  outputBlob: null,
  network: "none" as const,
};
const record: EvidenceRecord = {
  version: 1,
  organizationId: "o",
  jobId: "j",
  attemptId: "a",
  round: 1,
  repository: "https://host:443/r",
  base: "a".repeat(40),
  commit: "b".repeat(40),
  tree: "c".repeat(40),
  targetBranch: "x1/j",
  files: [file("src/a.ts")],
  insertions: 1,
  deletions: 1,
  named: [],
  verification: {
    commit: "b".repeat(40),
    setup: null,
    verify: command,
    passed: true,
    counts: { passed: 2, failed: 0, skipped: 0, format: "tap" },
    withBaseTests: null,
  },
  baseline: null,
  costMicros: 10,
  egressBlocked: [],
  policyVersion: "1",
};

describe("policy", () => {
  const auto = ApprovalPolicy.parse({ mode: "auto", paths: ["src/**"] });
  const baseline = {
    ...record.verification,
    passed: false,
    counts: { passed: 1, failed: 1, skipped: 0, format: "tap" },
  };
  const good: EvidenceRecord = { ...record, baseline };
  it("goes to a person by default and to auto only when everything holds", () => {
    expect(decideByPolicy(record, ApprovalPolicy.parse({})).kind).toBe("person");
    expect(decideByPolicy(good, auto)).toEqual({ kind: "auto" });
  });

  it.each<[string, Partial<EvidenceRecord>]>([
    ["not verified", { verification: { ...record.verification, passed: null } }],
    ["failed", { verification: { ...record.verification, passed: false } }],
    ["another commit verified", { verification: { ...record.verification, commit: "d".repeat(40) } }],
    [
      "base tests fail",
      {
        verification: {
          ...record.verification,
          withBaseTests: { verify: command, passed: false, counts: record.verification.counts },
        },
      },
    ],
    [
      "fewer tests",
      {
        verification: { ...record.verification, counts: { passed: 1, failed: 0, skipped: 0, format: "tap" } },
        baseline: { ...record.verification, counts: { passed: 1, failed: 1, skipped: 0, format: "tap" } },
      },
    ],
    [
      "failed tests behind a 0",
      {
        verification: { ...record.verification, counts: { passed: 1, failed: 1, skipped: 0, format: "tap" } },
      },
    ],
    ["no test report", { verification: { ...record.verification, counts: null }, baseline: null }],
    [
      "a report of no test",
      { verification: { ...record.verification, counts: { ...baseline.counts, passed: 0, failed: 0 } } },
    ],
    ["nothing to compare the report with", { baseline: { ...baseline, counts: null } }],
    ["no baseline", { baseline: null }],
    ["no summary", { verification: { ...record.verification, noSummary: "jest" } }],
    ["flagged path", { files: [file("src/a.test.ts", ["test"])] }],
    ["outside the paths", { files: [file("lib/a.ts")] }],
    ["binary", { files: [{ ...file("src/a.bin"), binary: true }] }],
    ["many files", { files: Array.from({ length: 21 }, (_, index) => file(`src/${index}.ts`)) }],
    ["many lines", { insertions: 500 }],
    ["cost", { costMicros: 6_000_000 }],
    ["not taken", { named: ["x: special file, not taken"] }],
    ["no change", { files: [] }],
  ])("sends to a person: %s", (_, patch) => expect(decideByPolicy({ ...good, ...patch }, auto).kind).toBe("person"));

  it("matches globs as whole paths", () => {
    expect([
      matchesGlob("src/*", "src/a"),
      matchesGlob("src/*", "src/a/b"),
      matchesGlob("**/a.ts", "a.ts"),
      matchesGlob("a.c", "abc"),
      matchesGlob("**", "a\nb"),
    ]).toEqual([true, false, true, false, true]);
  });
});

describe("evidence", () => {
  it("has one digest whatever the order of keys, and another for any change", () => {
    expect(canonicalBytes({ b: 1, a: 2 }).equals(canonicalBytes({ a: 2, b: 1 }))).toBe(true);
    const pullRequest = pullRequestText({ title: "t", record, agentSummary: null });
    const subject = approvalSubject({ record, evidenceId: "e", expectedOld: null, pullRequest });
    const digests = new Set(
      [
        subject,
        { ...subject, expectedOld: "d".repeat(40) },
        { ...subject, evidenceId: "f" },
        { ...subject, policyVersion: "2" },
      ].map(approvalDigest),
    );
    expect(digests.size).toBe(4);
  });

  it("carries what the tests' report lacks, in the text of the pull request too", () => {
    const { files, insertions, deletions, named, commit, tree, ...rest } = record;
    const change = { files, insertions, deletions, named, commit, tree };
    const made = buildEvidence({ ...rest, change, verification: { ...rest.verification, noSummary: "jest" } });
    expect(made.risks).toEqual([{ kind: "no_summary", reason: "jest began and did not sum up" }]);
    expect(pullRequestText({ title: "t", record: made, agentSummary: null }).body).toContain("did not sum up");
    expect("risks" in buildEvidence({ ...rest, change })).toBe(false);
  });

  it("frames the agent's words and shows file names as code", () => {
    const { title, body } = pullRequestText({
      title: "a\nb\u202e",
      record: { ...record, files: [file("x`![](http://e)`.sh", ["script"])] },
      agentSummary: "## Evidence\n![](http://e)\n- tests pass",
    });
    expect(title).toBe("a b\\u{202e}");
    expect(body.match(/^## /gm)).toHaveLength(2);
    expect(body).toContain("    ![](http://e)");
    expect(body).not.toMatch(/^!\[/m);
  });
});

describe("what was approved", () => {
  const pullRequest = pullRequestText({ title: "t", record, agentSummary: null });
  const subject = approvalSubject({ record, evidenceId: "e", expectedOld: null, pullRequest });
  const request: PublishRequest = {
    ...{
      organizationId: "o",
      jobId: "j",
      trust: "member",
      subject,
      digest: approvalDigest(subject),
      record,
      pullRequest,
    },
    ...{ evidenceId: "e", jobRepository: "/r", baseBranch: "main", override: false },
  };
  /** Whoever changes the subject makes its digest anew, too. */
  const about = (change: Partial<typeof subject>): Partial<PublishRequest> => {
    const changed = { ...subject, ...change };
    return { subject: changed, digest: approvalDigest(changed) };
  };
  /** A record and a subject that fit each other. */
  const evidence = (change: Partial<EvidenceRecord>, also: Partial<typeof subject> = {}): Partial<PublishRequest> => {
    const changed = { ...record, ...change };
    return { record: changed, ...about({ ...also, recordDigest: recordDigest(changed) }) };
  };
  const other = "e".repeat(40);

  it("is accepted as it is", () => expect(checkApproval(request)).toEqual({ ok: true, value: subject }));

  it.each<[string, Partial<PublishRequest>, string]>([
    ["subject", { subject: { ...subject, expectedOld: other } }, "The approval's subject"],
    ["evidence", { record: { ...record, costMicros: 11 } }, "The stored evidence"],
    ["pull request", { pullRequest: { ...pullRequest, body: "other" } }, "The pull request's text"],
    ["evidence id", { evidenceId: "f" }, "The evidence id"],
    ["job", { jobId: "j2" }, "The job"],
    ["organization", { organizationId: "o2" }, "The job"],
    ["organization in the evidence", { ...about({ organizationId: "o2" }), organizationId: "o2" }, "organizationId"],
    ["job in the evidence", { ...about({ jobId: "j2" }), jobId: "j2" }, "jobId"],
    ["attempt", about({ attemptId: "a2" }), "attemptId"],
    ["repository", about({ repository: "https://elsewhere:443/r" }), "repository"],
    ["base", about({ base: other }), "base"],
    ["commit", about({ commit: other }), "commit"],
    ["commit in the evidence", evidence({ commit: other }), "The evidence's commit"],
    ["tree", about({ tree: other }), "tree"],
    ["branch", about({ targetBranch: "x1/k" }), "targetBranch"],
    ["policy", about({ policyVersion: "2" }), "policyVersion"],
    ["verified commit", evidence({ verification: { ...record.verification, commit: other } }), "The verified commit"],
  ])("is nothing else: another %s", (_, change, said) =>
    expect(checkApproval({ ...request, ...change })).toMatchObject({
      ok: false,
      code: "digest_mismatch",
      detail: expect.stringContaining(said),
    }),
  );

  it("goes to a branch below x1/, never to the one that it stands on, and not unverified without an override", () => {
    const target = (targetBranch: string) => evidence({ targetBranch }, { targetBranch });
    for (const branch of ["main2", "x1", "x1/../main", "refs/heads/x1/j"])
      expect(checkApproval({ ...request, ...target(branch) })).toMatchObject({ ok: false, code: "publish_moved" });
    expect(checkApproval({ ...request, baseBranch: "x1/j" })).toMatchObject({ ok: false, code: "publish_moved" });
    const failed = { ...request, ...evidence({ verification: { ...record.verification, passed: false } }) };
    expect(checkApproval(failed)).toMatchObject({ ok: false, code: "verification_failed" });
    expect(checkApproval({ ...failed, override: true })).toMatchObject({ ok: true });
  });
});

describe("a pull request's text", () => {
  it("carries nothing that has the form of a secret, and says so", () => {
    const key = `ghp_${"aB3dE6gH9j".repeat(4).slice(0, 36)}`;
    const { title, body } = pullRequestText({
      title: `use ${key}`,
      record: { ...record, egressBlocked: [{ host: `${key}.example`, port: 443, count: 1 }] },
      agentSummary: `I found ${key.slice(0, 8)}\u200b${key.slice(8)} and ${Buffer.from(`key ${key}`).toString("base64")}.`,
    });
    expect(title).toBe("use [withheld: a GitHub token]");
    expect(body).not.toContain(key.slice(8));
    expect(body).toContain("I found [withheld: a GitHub token] and [withheld: a GitHub token, encoded].");
    expect(body).toMatch(/Withheld by the platform.*a GitHub token/);
  });
});

describe("verification plan", () => {
  const request = {
    commit: "b".repeat(40),
    base: "a".repeat(40),
    setup: "npm ci",
    verify: "npm test",
    verifyNetwork: false,
    setupMs: 1,
    verifyMs: 2,
    testPaths: ["t"],
  };
  it("gives network to set-up only, and base tests a workspace of their own", () => {
    const plan = planVerification(request);
    expect(
      plan.asCommitted.map((step) => (step.kind === "command" ? `${step.role}:${step.network}` : step.kind)),
    ).toEqual(["checkout", "setup:egress", "verify:none"]);
    expect(plan.withBaseTests?.map(({ kind }) => kind)).toEqual(["checkout", "command", "restore", "command"]);
    expect(planVerification({ ...request, testPaths: [] }).withBaseTests).toBeNull();
    expect(planVerification({ ...request, verify: null }).withBaseTests).toBeNull();
  });

  it("frames the output for the next turn", () => {
    const text = feedbackText({
      ...record.verification,
      verify: { ...command, exitCode: 1, outputTail: "boom" },
      passed: false,
    });
    expect(text).toContain("ended with 1");
    expect(text).toContain("<output>\nboom\n</output>");
  });
});

it.each([
  ["by a limit", { limitHit: "memory" as const }, { exitCode: null, signal: "limit:memory" }],
  ["by its time", { timedOut: true }, { exitCode: null, timedOut: true }],
  ["by itself", {}, { exitCode: 0, signal: null, timedOut: false }],
])("a command that was ended %s is told as that, whatever status it left", async (_, how, told) => {
  const ran = { exitCode: 0, signal: null, durationMs: 1, timedOut: false, limitHit: null, outputBytes: 0, ...how };
  expect(await commandResult("true", "none", { ...ran, output: Buffer.alloc(0) })).toMatchObject(told);
});
