import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { ApprovalSubject, accept, Fault, type Outcome, refuse } from "@x1agent/contract";
import { awayWords } from "./away.ts";
import { visible } from "./diff.ts";
import { approvalDigest, pullRequestDigest, recordDigest } from "./digest.ts";
import { objectId } from "./import.ts";
import { pointerText, uploadLfs } from "./lfs.ts";
import { farEnd, isBranchName, listRefs, type MirrorDeps, resolveBase } from "./mirror.ts";
import type { Published, PublishRequest, Remote } from "./port.ts";
import { parseRemote } from "./remote.ts";
import { mustRun } from "./run.ts";

/**
 * What was approved is what is pushed. Stages:
 *
 *   1. the digest is computed anew from the stored evidence, field by field
 *   2. the commit is read from the job's objects and hashed by us; a fresh repository, whose configuration nobody had a
 *      chance to write, takes in exactly what is reachable from it, each object hashed again
 *   3. the remote is asked what it holds: expected old value, base branch not rewritten
 *   4. content that the change keeps in Git LFS goes to the remote's LFS server, and no other
 *   5. one literal commit to one literal ref at one literal address, guarded by the expected old value
 *   6. the ref is read back
 *
 * A retry after a crash finds its own push at stage 3 and reports it.
 */
export async function publish(deps: MirrorDeps, request: PublishRequest): Promise<Outcome<Published>> {
  const approved = checkApproval(request);
  if (!approved.ok) return approved;
  const subject = approved.value;

  const parsed = parseRemote(subject.repository, deps.local);
  if (!parsed.ok) return parsed;
  const remote = parsed.value;
  if (remote.url !== subject.repository)
    return refuse(
      "publish_moved",
      `${subject.repository} now stands for ${remote.url}, which is not what was approved.`,
    );

  const scratch = join(deps.dataDir, "tmp");
  await mkdir(scratch, { recursive: true });
  const fresh = await mkdtemp(join(scratch, "publish-"));
  try {
    const loaded = await load(deps, fresh, request, subject);
    if (!loaded.ok) return loaded;

    const listed = await listRefs(deps.git, remote, request.credential, request.signal);
    if (!listed.ok) return listed;
    const { head, refs } = listed.value;
    const branch = subject.targetBranch;
    const ref = `refs/heads/${branch}`;
    if (branch === head || branch === request.baseBranch)
      return refuse("publish_moved", `${branch} is the branch that the job stands on; it is never pushed to.`);
    const done = (alreadyThere: boolean, behind: number | null) =>
      accept({ branch, commit: subject.commit, alreadyThere, behind, url: null });

    const present = refs.get(ref) ?? null;
    if (present === subject.commit) return done(true, null);
    if (present !== subject.expectedOld)
      return refuse(
        "publish_moved",
        `${branch} is at ${present ?? "nothing"}, ${subject.expectedOld ?? "nothing"} was expected.`,
      );
    // The branch holds work already: what is pushed must stand on all of it, as a change of an earlier round or of people.
    if (present !== null && present !== (request.record.onto ?? subject.base))
      return refuse("publish_moved", `${branch} is at ${present}, on which the change does not stand.`);
    const standing = await baseStands(deps, request, subject, refs);
    if (!standing.ok) return standing;

    const uploaded = await uploadContent(deps, fresh, remote, request, subject);
    if (!uploaded.ok) return uploaded;

    const pushed = await deps.git({
      gitDir: fresh,
      alternates: join(request.jobRepository, "objects"),
      args: [
        ...[
          "push",
          "--porcelain",
          "--quiet",
          "--atomic",
          "--no-verify",
          "--no-follow-tags",
          "--no-signed",
          "--no-thin",
        ],
        ...["--recurse-submodules=no", `--force-with-lease=${ref}:${subject.expectedOld ?? ""}`],
        ...[...farEnd(remote, "receive-pack"), "--", remote.url, `${subject.commit}:${ref}`],
      ],
      remote,
      credential: request.credential,
      signal: request.signal,
      timeoutMs: 10 * 60_000,
    });
    // The remote's own answer decides, not the exit code: a push may have got through although the connection broke.
    const after = await listRefs(deps.git, remote, request.credential, request.signal);
    if (after.ok && after.value.refs.get(ref) === subject.commit) return done(false, standing.value);
    // Whether it got through is not known: the next try finds it, or pushes again.
    if (!after.ok && after.code === "forge_unavailable") return after;
    const words = visible(`${pushed.stdout.toString("utf8")} ${pushed.stderr}`.trim()).slice(0, 500);
    if (pushed.code === 0 || /stale info|fetch first|non-fast-forward|failed to update ref|already exists/.test(words))
      return refuse("publish_moved", `${branch} moved while it was pushed: ${words}`);
    const away =
      remote.kind === "local" ? null : pushed.limit === "time" ? "no answer in time" : awayWords(pushed.stderr);
    return away === null
      ? refuse("upstream_failed", `${remote.url} did not take the push: ${words}`)
      : refuse("forge_unavailable", `${remote.url} was away during the push: ${visible(away)}.`);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

/** Stage 1. Pure. */
export function checkApproval(request: PublishRequest): Outcome<ApprovalSubject> {
  const parsed = ApprovalSubject.safeParse(request.subject);
  if (!parsed.success) return refuse("digest_mismatch", "What was approved cannot be read any more.");
  const { subject, record } = { subject: parsed.data, record: request.record };
  const moved = (what: string) => refuse("digest_mismatch", `${what} is not what was approved.`);
  if (approvalDigest(subject) !== request.digest) return moved("The approval's subject");
  if (recordDigest(record) !== subject.recordDigest) return moved("The stored evidence");
  if (pullRequestDigest(request.pullRequest) !== subject.pullRequestDigest) return moved("The pull request's text");
  if (request.evidenceId !== subject.evidenceId) return moved("The evidence id");
  if (request.organizationId !== subject.organizationId || request.jobId !== subject.jobId) return moved("The job");
  const shared = [
    "organizationId",
    "jobId",
    "attemptId",
    "repository",
    "base",
    "commit",
    "tree",
    "targetBranch",
    "policyVersion",
  ] as const;
  for (const key of shared) if (record[key] !== subject[key]) return moved(`The evidence's ${key}`);
  if (record.verification.commit !== subject.commit) return moved("The verified commit");
  if (!isBranchName(subject.targetBranch) || !subject.targetBranch.startsWith("x1/"))
    return refuse(
      "publish_moved",
      `${visible(subject.targetBranch)} is not below x1/; only such branches are pushed to.`,
    );
  if (subject.targetBranch === request.baseBranch)
    return refuse("publish_moved", "The target branch is the branch that the job stands on.");
  if (record.verification.passed === false && !request.override)
    return refuse("verification_failed", "The verification did not pass and the approval does not override it.");
  return accept(subject);
}

/** Stage 2. */
async function load(
  deps: MirrorDeps,
  fresh: string,
  request: PublishRequest,
  subject: ApprovalSubject,
): Promise<Outcome<null>> {
  const { git } = deps;
  const objects = join(request.jobRepository, "objects");
  const moved = (what: string) => refuse("publish_moved", `The job's repository was changed: ${what}.`);
  await mustRun(git, { args: ["init", "--quiet", "--bare", "--template=", "--", fresh] });
  const within = { gitDir: fresh, alternates: objects, signal: request.signal };
  const found = await git({ ...within, args: ["cat-file", "commit", subject.commit] });
  if (found.code !== 0) return moved("the approved commit is not in it");
  if (objectId("commit", found.stdout, subject.commit) !== subject.commit)
    return moved("the commit is not the approved one");
  const lines = found.stdout.toString("utf8").split("\n\n")[0]!.split("\n");
  const parents = lines.filter((line) => line.startsWith("parent "));
  // The record's own digest is part of what was approved: so is what the base is brought into.
  const below = [...(request.record.onto ? [request.record.onto] : []), subject.base];
  if (lines[0] !== `tree ${subject.tree}` || parents.join() !== below.map((id) => `parent ${id}`).join())
    return moved("the commit does not stand on the approved base and tree");

  const range = [subject.commit, ...below.map((id) => `^${id}`), ""].join("\n");
  const max = 2 * 1024 ** 3;
  const packFile = join(fresh, "approved.pack");
  const pack = await git({
    ...within,
    args: ["pack-objects", "--quiet", "--revs", "--stdout", "--window=0"],
    stdin: range,
    stdoutFile: packFile,
    maxOutputBytes: max,
  });
  if (pack.code !== 0) return moved("objects are missing or broken");
  const taken = await git({ ...within, args: ["index-pack", "--stdin", "--strict"], stdinFile: packFile });
  if (taken.code !== 0) return moved("objects are broken");
  // Hashed again on their way in: an object that was swapped under its old name is not among them now.
  const listed = await git({
    ...within,
    args: ["rev-list", "--objects", "--no-object-names", subject.commit, ...below.map((id) => `^${id}`)],
    maxOutputBytes: 256 * 1024 ** 2,
  });
  if (listed.code !== 0) return moved("objects are missing");
  const alone = await git({
    gitDir: fresh,
    args: ["cat-file", "--batch-check=%(objecttype)"],
    stdin: listed.stdout,
    maxOutputBytes: 256 * 1024 ** 2,
  });
  if (/missing/.test(alone.stdout.toString("latin1")))
    return moved("an object does not have the content that its name says");
  return accept(null);
}

/** Stage 4: what the record names, where the approved tree has the very pointer. */
async function uploadContent(
  deps: MirrorDeps,
  fresh: string,
  remote: Remote,
  request: PublishRequest,
  subject: ApprovalSubject,
): Promise<Outcome<null>> {
  const { lfs = [] } = request.record;
  if (lfs.length === 0) return accept(null);
  if (!request.fetch) return refuse("upstream_failed", "Content kept in Git LFS is not uploaded by this service.");
  const listed = await deps.git({
    ...{ gitDir: fresh, alternates: join(request.jobRepository, "objects"), maxOutputBytes: 16 * 1024 ** 2 },
    args: ["ls-tree", "-z", "--full-tree", subject.commit, "--", ...lfs.map(({ path }) => path)],
  });
  const there = new Set(listed.stdout.toString("utf8").split("\0"));
  for (const { path, oid, size } of lfs) {
    const id = objectId("blob", Buffer.from(pointerText({ oid, size })), subject.commit);
    if (!["100644", "100755"].some((mode) => there.has(`${mode} blob ${id}\t${path}`)))
      return refuse("publish_moved", `${visible(path)} is not the pointer that was approved.`);
  }
  const { jobRepository, credential, fetch, signal } = request;
  return uploadLfs(
    deps.git,
    {
      ...{ remote, jobRepository, fetch, signal, scratch: fresh, ref: `refs/heads/${subject.targetBranch}` },
      ...(credential ? { credential } : {}),
    },
    lfs,
  );
}

/** Whether the base branch still holds the base; how far it went since. */
async function baseStands(
  deps: MirrorDeps,
  request: PublishRequest,
  subject: ApprovalSubject,
  refs: ReadonlyMap<string, string>,
): Promise<Outcome<number | null>> {
  if (request.baseBranch === null) return accept(null);
  const tip = refs.get(`refs/heads/${request.baseBranch}`);
  if (!tip) return refuse("publish_moved", `The branch ${request.baseBranch}, on which the change stands, is gone.`);
  if (tip === subject.base) return accept(0);
  const base = await resolveBase(deps, {
    organizationId: request.organizationId,
    repository: subject.repository,
    trust: request.trust,
    base: request.baseBranch,
    partial: request.partial ?? false,
    ...(request.credential ? { credential: request.credential } : {}),
    ...(request.signal ? { signal: request.signal } : {}),
  });
  if (!base.ok) return base;
  const within = { gitDir: base.value.mirror, signal: request.signal };
  const ancestor = await deps.git({
    ...within,
    args: ["merge-base", "--is-ancestor", subject.base, base.value.commit],
  });
  if (ancestor.code !== 0)
    return refuse(
      "publish_moved",
      `The history of ${request.baseBranch} was rewritten: it does not contain ${subject.base} any more.`,
    );
  const count = await mustRun(deps.git, {
    ...within,
    args: ["rev-list", "--count", `${subject.base}..${base.value.commit}`],
  });
  const behind = Number(count);
  if (!Number.isInteger(behind)) throw new Fault("internal", "git counted no commits; look at the mirror.");
  return accept(behind);
}
