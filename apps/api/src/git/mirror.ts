import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, copyFile, link, mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { accept, Fault, type Outcome, type Refusal, refuse } from "@x1agent/contract";
import { awayWords } from "./away.ts";
import type { Base, BaseRequest, GitCredential, InstructionFile, Remote } from "./port.ts";
import { type LocalRules, parseRemote } from "./remote.ts";
import { type GitResult, type GitRun, type GitRunner, mustRun, shellQuote } from "./run.ts";

/** Mirrors are caches, one for each (organization, repository, trust): what one of them fetched no other can see. */
export type MirrorDeps = { git: GitRunner; dataDir: string; local: LocalRules };

type Refs = { head: string | null; refs: Map<string, string> };

const commitPattern = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

/** Whether a text is a whole object id. */
export const isCommitId = (text: string): boolean => commitPattern.test(text);

/** Whether a text may name a branch: git's own rules, and nothing that reads as an option, refspec or pattern. */
export function isBranchName(name: string): boolean {
  if (name === "" || name.length > 250 || name === "@" || name.startsWith("-")) return false;
  if (/[\u0000- ~^:?*[\\\u007f]|\.\.|@\{|\/\/|^\/|\/$|\.$/.test(name)) return false;
  return name.split("/").every((part) => part !== "" && !part.startsWith(".") && !part.endsWith(".lock"));
}

/**
 * Options by which a push or fetch works on a local repository as its owner and with that repository's hooks off: for a
 * path, git's other end is our own child process.
 */
export function farEnd(remote: Remote, service: "upload-pack" | "receive-pack"): string[] {
  if (remote.kind !== "local") return [];
  const isRoot = process.getuid?.() === 0;
  const words =
    isRoot && remote.uid !== 0
      ? ["setpriv", `--reuid=${remote.uid}`, `--regid=${remote.gid}`, "--clear-groups", "--no-new-privs"]
      : [];
  // Settings in our environment do not reach the other end: git clears them there. Whose the repository is was decided
  // when the remote was parsed.
  words.push(
    "git",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.alternateRefsCommand=true",
  );
  // A server that this command line starts answers as forges do.
  if (service === "upload-pack")
    words.push("-c", "uploadpack.allowFilter=true", "-c", "uploadpack.allowAnySHA1InWant=true");
  words.push("-c", `safe.directory=${remote.path}`, "-c", `safe.directory=${remote.path}/.git`, service);
  return [`--${service}=${words.map((word) => (/^[\w./=-]+$/.test(word) ? word : shellQuote(word))).join(" ")}`];
}

/** Lists the remote's refs with the caller's own credential: whoever cannot list them does not get the mirror's objects either. */
export async function listRefs(
  git: GitRunner,
  remote: Remote,
  credential?: GitCredential,
  signal?: AbortSignal,
): Promise<Outcome<Refs>> {
  const result = await git({
    args: ["ls-remote", "--symref", "--quiet", ...farEnd(remote, "upload-pack"), "--", remote.url],
    remote,
    credential,
    signal,
    timeoutMs: 60_000,
    maxOutputBytes: 64 * 1024 ** 2,
  });
  if (result.code !== 0 || result.limit) return unread(remote, result);
  const refs = new Map<string, string>();
  let head: string | null = null;
  for (const line of result.stdout.toString("utf8").split("\n")) {
    const [left = "", name = ""] = line.split("\t");
    if (name === "HEAD" && left.startsWith("ref: refs/heads/")) head = left.slice("ref: refs/heads/".length);
    else if (isCommitId(left)) refs.set(name, left);
  }
  return accept({ head, refs });
}

/**
 * Why a remote could not be read: `forge_unavailable` where nobody answered, which may pass by itself, and `repository_invalid`
 * where the answer was no. A repository on this machine is never away.
 */
function unread(remote: Remote, { stderr, limit }: Pick<GitResult, "stderr" | "limit">): Refusal {
  const words = remote.kind === "local" ? null : limit === "time" ? "no answer in time" : awayWords(stderr);
  return words === null
    ? refuse("repository_invalid", explain(remote, stderr, limit))
    : refuse("forge_unavailable", `${remote.url} cannot be reached: ${words.replace(/^(fatal|error): /, "")}.`);
}

/** git's words about a remote as one sentence that helps; never with a credential, since none is in the address. */
function explain(remote: Remote, stderr: string, limit: string | null): string {
  const at = remote.url;
  if (limit === "time") return `${at} did not answer in time.`;
  if (/does not appear to be a git repository|not a git repository|repository .* not found/i.test(stderr))
    return remote.kind === "local"
      ? `${at} is not a git repository; \`git init\` and a first commit make it one.`
      : `There is no git repository at ${at}, or the stored credential may not see it.`;
  if (/dubious ownership/i.test(stderr)) return `${at} belongs to another user of this machine.`;
  if (/host key verification failed/i.test(stderr))
    return remote.kind === "ssh" ? unknownHost(remote) : `${at} is not the host that it was.`;
  if (/authentication failed|could not read (username|password)|permission denied|returned error: 40[13]/i.test(stderr))
    return `${at} refused access; store a credential with \`x1 secrets set git:<host>\`.`;
  if (/redirect/i.test(stderr)) return `${at} redirects elsewhere; redirects are not followed. Use the final address.`;
  const last =
    stderr
      .split("\n")
      .filter((line) => line.trim())
      .at(-1) ?? "no reason given";
  return `${at} cannot be read: ${last.slice(0, 300)}`;
}

/** How to make a host known: the key is fetched by a person, who compares it, and never by us. */
function unknownHost({ host, port }: Remote & { kind: "ssh" }): string {
  const scan = port === 22 ? host : `-p ${port} ${host}`;
  return `The SSH host key of ${host}:${port} is unknown or has changed; \`ssh-keyscan ${scan}\` prints it: compare it with what the host's operator says and add the line to the file ssh_known_hosts in the data directory.`;
}

/** What git said about commits that were fetched whole, by mirror and commit, oldest first: none of it ever changes. */
const facts = new Map<string, { tree: string; notes: readonly string[] }>();
const MAX_FACTS = 500;

/** Lists refs, finds the base among them and brings it into the mirror. */
export async function resolveBase(deps: MirrorDeps, request: BaseRequest): Promise<Outcome<Base>> {
  const parsed = parseRemote(request.repository, deps.local);
  if (!parsed.ok) return parsed;
  const remote = parsed.value;
  const listed = await listRefs(deps.git, remote, request.credential, request.signal);
  if (!listed.ok) return listed;
  const { head, refs } = listed.value;
  const branches = [...refs.keys()].filter((name) => name.startsWith("refs/heads/"));
  if (branches.length === 0)
    return refuse("repository_invalid", `${remote.url} is empty: it has no commit on any branch.`);

  const wanted = chooseBase(request.base, head, refs);
  if (!wanted.ok) return wanted;
  const { branch, ref } = wanted.value;

  const key = createHash("sha256")
    .update(JSON.stringify([remote.url, request.trust, ...(request.partial ? ["partial"] : [])]))
    .digest("hex")
    .slice(0, 32);
  const mirror = join(deps.dataDir, "repos", request.organizationId.replaceAll(/[^\w-]/g, "_"), `${key}.git`);
  return withLock(mirror, async () => {
    await makeBareRepository(deps.git, mirror);
    await utimes(join(mirror, "x1-fetched"), new Date(), new Date());
    const known = wanted.value.commit;
    const read = known && isFetched(mirror, known) ? facts.get(`${mirror} ${known}`) : undefined;
    if (known && read) {
      const { tree, notes } = read;
      return accept({ remote, mirror, commit: known, tree, branch, defaultBranch: head, notes: [...notes] });
    }
    let found = known && isFetched(mirror, known) ? await peel(deps.git, mirror, known) : null;
    if (!found) {
      // One named ref, or every branch when a bare commit was asked for, which few servers hand out by id.
      const refspecs = ref ? [`+${ref}:${ref}`] : ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
      const fetch: GitRun = {
        gitDir: mirror,
        args: [
          ...(request.partial ? ["-c", `remote.${promisor}.url=${remote.url}`] : []),
          ...["-c", "transfer.fsckObjects=true", "-c", "transfer.unpackLimit=1", "fetch", "--quiet", "--no-tags"],
          ...["--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules", "--force", "--prune"],
          ...(request.partial ? ["--filter=blob:none"] : []),
          ...[...farEnd(remote, "upload-pack"), "--", request.partial ? promisor : remote.url, ...refspecs],
        ],
        remote,
        credential: request.credential,
        signal: request.signal,
        timeoutMs: 30 * 60_000,
      };
      let fetched = await deps.git(fetch);
      // git holds these locks for milliseconds; one that stays was left by a fetch that was killed.
      for (let tries = 0; tries < 2 && fetched.code !== 0 && /\.lock': File exists/.test(fetched.stderr); tries += 1) {
        await dropStaleLocks(mirror);
        fetched = await deps.git(fetch);
      }
      if (fetched.code !== 0) return unread(remote, fetched);
    }
    // What is no known ref was named by its whole id.
    found ??= await peel(deps.git, mirror, known ?? request.base ?? "");
    if (!found) return refuse("base_unknown", `${request.base} is no commit of any branch or tag of ${remote.url}.`);
    const { commit, tree } = found;
    if (!ref && !(await isReachable(deps.git, mirror, commit)))
      return refuse("base_unknown", `${commit} is on no branch or tag of ${remote.url}.`);
    if (request.partial && !isFetched(mirror, commit)) {
      const filled = await fetchFiles(deps.git, mirror, remote, commit, request);
      if (!filled.ok) return filled;
    }
    await writeFile(fetchedMark(mirror, commit), "");
    const notes = await notesAbout(deps.git, mirror, commit);
    facts.set(`${mirror} ${commit}`, { tree, notes });
    for (const oldest of facts.keys()) if (facts.size > MAX_FACTS) facts.delete(oldest);
    return accept({ remote, mirror, commit, tree, branch, defaultBranch: head, notes });
  });
}

/** How a partial mirror calls where its objects are: its configuration has no address, so that nothing in it fetches by itself. */
const promisor = "x1";
/** Objects that one request asks for: their names go to git on standard input. */
const WANTS = 20_000;

/**
 * The files of one commit, for a mirror that has none: asked for here, with the credential, before any workspace sees the
 * repository. Nothing fetches later by itself; what is not here is missing.
 */
async function fetchFiles(
  git: GitRunner,
  mirror: string,
  remote: Remote,
  commit: string,
  request: BaseRequest,
): Promise<Outcome<null>> {
  const listed = await git({
    gitDir: mirror,
    args: ["rev-list", "--objects", "--no-object-names", "--missing=print", "--no-walk", commit],
    maxOutputBytes: 256 * 1024 ** 2,
  });
  if (listed.code !== 0 || listed.limit)
    return refuse("repository_invalid", `${remote.url} has too many files at ${commit} for a partial clone.`);
  const missing = listed.stdout
    .toString("latin1")
    .split("\n")
    .filter((line) => line.startsWith("?"));
  for (let at = 0; at < missing.length; at += WANTS) {
    const fetched = await git({
      gitDir: mirror,
      args: [
        ...[
          "-c",
          `remote.${promisor}.url=${remote.url}`,
          "-c",
          "fetch.negotiationAlgorithm=noop",
          "-c",
          "transfer.fsckObjects=true",
          "-c",
          "transfer.unpackLimit=1",
        ],
        ...["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"],
        ...["--no-recurse-submodules", "--filter=blob:none", "--stdin", ...farEnd(remote, "upload-pack")],
        ...["--", promisor],
      ],
      stdin: missing
        .slice(at, at + WANTS)
        .map((line) => `${line.slice(1)}\n`)
        .join(""),
      remote,
      credential: request.credential,
      signal: request.signal,
      timeoutMs: 30 * 60_000,
    });
    if (fetched.code !== 0) return unread(remote, fetched);
  }
  return accept(null);
}

/** A commit counts as present once a whole fetch of it ended; a killed fetch may leave the commit without its history. */
const fetchedMark = (mirror: string, commit: string) => join(mirror, "x1-fetched", commit);
const isFetched = (mirror: string, commit: string) => existsSync(fetchedMark(mirror, commit));

/** The commit that an object id means, and its tree; null when there is none. */
export async function peel(
  git: GitRunner,
  repository: string,
  id: string,
): Promise<{ commit: string; tree: string } | null> {
  if (!isCommitId(id)) return null;
  const peeled = await git({ gitDir: repository, args: ["rev-parse", `${id}^{commit}`, `${id}^{tree}`] });
  const [commit = "", tree = ""] = peeled.stdout.toString("utf8").split("\n");
  return peeled.code === 0 && isCommitId(commit) && isCommitId(tree) ? { commit, tree } : null;
}

const STALE_LOCK_MS = 5_000;

/** Removes lock files that are older than any live one of git's; waits once when there are only younger ones. */
async function dropStaleLocks(mirror: string): Promise<void> {
  const found: string[] = [];
  const entries = await readdir(join(mirror, "refs"), { recursive: true, withFileTypes: true });
  for (const entry of entries) if (entry.name.endsWith(".lock")) found.push(join(entry.parentPath, entry.name));
  for (const name of ["packed-refs.lock", "HEAD.lock", "config.lock", "shallow.lock"]) found.push(join(mirror, name));
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  for (const path of found) {
    const facts = await stat(path).catch(() => null);
    if (facts && Date.now() - facts.mtimeMs > STALE_LOCK_MS) await rm(path, { force: true });
    else if (facts) {
      await new Promise((resolve) => setTimeout(resolve, STALE_LOCK_MS));
      const later = await stat(path).catch(() => null);
      if (later?.ino === facts.ino) await rm(path, { force: true });
    }
  }
}

type Choice = { branch: string | null; ref: string | null; commit: string | null };

/** Which ref or commit a base text means. Pure. */
export function chooseBase(
  base: string | null,
  head: string | null,
  refs: ReadonlyMap<string, string>,
): Outcome<Choice> {
  if (base === null) {
    const branch = head && refs.has(`refs/heads/${head}`) ? head : null;
    const fallback = branch ?? ["main", "master"].find((name) => refs.has(`refs/heads/${name}`)) ?? null;
    if (!fallback) return refuse("base_unknown", "The remote has no default branch; name one with --base.");
    return accept({
      branch: fallback,
      ref: `refs/heads/${fallback}`,
      commit: refs.get(`refs/heads/${fallback}`) ?? null,
    });
  }
  if (isBranchName(base)) {
    const branch = base.replace(/^refs\/heads\//, "");
    const onBranch = refs.get(`refs/heads/${branch}`);
    if (onBranch) return accept({ branch, ref: `refs/heads/${branch}`, commit: onBranch });
    const tag = base.replace(/^refs\/tags\//, "");
    const onTag = refs.get(`refs/tags/${tag}`);
    if (onTag) return accept({ branch: null, ref: `refs/tags/${tag}`, commit: onTag });
  }
  if (isCommitId(base)) return accept({ branch: null, ref: null, commit: null });
  const near = [...refs.keys()].filter((name) => name.startsWith("refs/heads/")).slice(0, 10);
  return refuse(
    "base_unknown",
    `There is no branch, tag or commit ${JSON.stringify(base.slice(0, 200))}; branches are: ${near.map((name) => name.slice(11)).join(", ")}.`,
  );
}

async function isReachable(git: GitRunner, mirror: string, commit: string): Promise<boolean> {
  const found = await git({
    gitDir: mirror,
    args: ["for-each-ref", "--count=1", "--format=%(refname)", "--contains", commit],
  });
  return found.code === 0 && found.stdout.length > 0;
}

async function notesAbout(git: GitRunner, repository: string, commit: string): Promise<string[]> {
  const notes: string[] = [];
  const [listing, attributes] = await Promise.all([
    git({
      gitDir: repository,
      args: ["ls-tree", "-r", "-z", "--full-tree", commit],
      maxOutputBytes: 128 * 1024 ** 2,
    }),
    git({
      gitDir: repository,
      args: ["cat-file", "blob", `${commit}:.gitattributes`],
      maxOutputBytes: 1024 ** 2,
    }),
  ]);
  if (listing.code !== 0) return ["The tree is too large to look for submodules."];
  const entries = listing.stdout.toString("latin1").split("\0");
  const submodules = entries
    .filter((entry) => entry.startsWith("160000 "))
    .map((entry) => entry.slice(entry.indexOf("\t") + 1));
  if (submodules.length) notes.push(`Submodules are not fetched: ${submodules.slice(0, 20).join(", ")}.`);
  if (attributes.code === 0 && /filter=lfs/.test(attributes.stdout.toString("utf8")))
    notes.push("Files kept in Git LFS are not fetched: the workspace holds their pointers.");
  return notes;
}

/** What `git init` makes: folders have no content. Paths are relative, folders come before what is in them. */
type Made = readonly { path: string; mode: number; content: Buffer | null }[];
const made = new WeakMap<GitRunner, Promise<Made>>();

/** An empty bare repository, as this machine's git makes it: asked for once, since each job's start waits for one. */
function emptyRepository(git: GitRunner, aside: string): Promise<Made> {
  const known = made.get(git);
  if (known) return known;
  const asked = (async () => {
    const dir = `${aside}-first`;
    try {
      await mustRun(git, { args: ["init", "--quiet", "--bare", "--template=", "--shared=0644", "--", dir] });
      const paths = ["", ...(await readdir(dir, { recursive: true })).sort()];
      return await Promise.all(
        paths.map(async (path) => {
          const info = await stat(join(dir, path));
          return { path, mode: info.mode & 0o7777, content: info.isFile() ? await readFile(join(dir, path)) : null };
        }),
      );
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  })();
  made.set(git, asked);
  asked.catch(() => made.delete(git));
  return asked;
}

/**
 * Makes a bare repository whose files any user may read, since workspaces see it under another uid. Complete or absent:
 * made aside and renamed.
 */
export async function makeBareRepository(git: GitRunner, dir: string): Promise<void> {
  if (existsSync(join(dir, "HEAD"))) return;
  await mkdir(dirname(dir), { recursive: true });
  const aside = `${dir}.new-${process.pid}-${Math.random().toString(36).slice(2)}`;
  try {
    for (const { path, mode, content } of await emptyRepository(git, aside)) {
      if (content) await writeFile(join(aside, path), content);
      else await mkdir(join(aside, path));
      // Whatever the service's mask is.
      await chmod(join(aside, path), mode);
    }
    await mkdir(join(aside, "x1-fetched"));
    await rename(aside, dir);
  } catch (cause) {
    await rm(aside, { recursive: true, force: true });
    if (existsSync(join(dir, "HEAD"))) return;
    throw new Fault("internal", `The repository ${dir} could not be made; is the disk full?`, { cause });
  }
}

/** Packs and objects never change once written, so a second repository of the same tenant may share them by hard link. */
export async function linkObjects(from: string, to: string): Promise<void> {
  for (const folder of await readdir(from)) {
    if (folder !== "pack" && !/^[0-9a-f]{2}$/.test(folder)) continue;
    await mkdir(join(to, folder), { recursive: true });
    const present = new Set(await readdir(join(to, folder)));
    // A pack is found by its index, which therefore comes last.
    const names = (await readdir(join(from, folder))).sort((a, b) => rank(a) - rank(b));
    for (const name of names) {
      if (present.has(name) || name.startsWith("tmp_") || name.startsWith(".")) continue;
      const [source, target] = [join(from, folder, name), join(to, folder, name)];
      await link(source, target).catch(() => copyFile(source, target));
    }
  }
}

const rank = (name: string): number => (name.endsWith(".idx") ? 1 : 0);

/**
 * Makes the job's repository from the mirror: its objects, one ref on the base, no configuration but git's own. One that is
 * there gets what the mirror has fetched since.
 */
export async function makeJobRepository(git: GitRunner, dir: string, base: Base): Promise<void> {
  await makeBareRepository(git, dir);
  await withLock(base.mirror, async () => {
    if (isFetched(dir, base.commit)) return;
    await linkObjects(join(base.mirror, "objects"), join(dir, "objects"));
    await writeFile(fetchedMark(dir, base.commit), "");
  });
  // The agent's own `git` shows a familiar branch name; the ref stands on the base whatever the mirror does later.
  const name = base.branch ?? "base";
  const branch = `refs/heads/${name}`;
  // In a new repository nobody else writes, and no ref stands in the way: two programs are saved. The name is the remote's word.
  if (isBranchName(name) && !existsSync(join(dir, baseRef))) {
    await writeRef(dir, branch, base.commit);
    await writeInstead(join(dir, "HEAD"), `ref: ${branch}\n`);
    return writeRef(dir, baseRef, base.commit);
  }
  const refs = `update ${baseRef} ${base.commit}\nupdate ${branch} ${base.commit}\n`;
  await mustRun(git, { gitDir: dir, args: ["update-ref", "--stdin"], stdin: refs });
  await mustRun(git, { gitDir: dir, args: ["symbolic-ref", "HEAD", branch] });
}

/** The base's ref in a job's repository, written last: where it is, the repository has had one. */
const baseRef = "refs/x1/base";

/** A ref as git's own files have it (gitrepository-layout(5)). */
async function writeRef(dir: string, ref: string, commit: string): Promise<void> {
  await mkdir(join(dir, dirname(ref)), { recursive: true });
  await writeInstead(join(dir, ref), `${commit}\n`);
}

/** Replaces a small file whole, readable for everyone. */
async function writeInstead(path: string, text: string): Promise<void> {
  const aside = `${path}.lock`;
  await writeFile(aside, text);
  await chmod(aside, 0o644);
  await rename(aside, path);
}

const instructionNames = ["AGENTS.md", "CLAUDE.md", "GEMINI.md", ".github/copilot-instructions.md", ".cursorrules"];

/** Instruction files at a commit, from objects: never from the work tree, where a branch under work could change them. */
export async function readInstructions(git: GitRunner, repository: string, commit: string): Promise<InstructionFile[]> {
  const known = instructionsOf.get(commit);
  if (known) return [...known];
  const found = await readFiles(git, repository, commit, instructionNames);
  const length = found.reduce((sum, { text }) => sum + text.length, 0);
  // None may also mean that git could not be asked.
  if (found.length > 0 && length <= MAX_KEPT_TEXT) {
    instructionsOf.set(commit, [...found]);
    for (const oldest of instructionsOf.keys()) if (instructionsOf.size > MAX_KEPT) instructionsOf.delete(oldest);
  }
  return found;
}

/** What was read, by commit, whose id stands for it; only who has the commit asks. Oldest first. */
const instructionsOf = new Map<string, readonly InstructionFile[]>();
const MAX_KEPT = 100;
const MAX_KEPT_TEXT = 64 * 1024;

/** Files at a commit, read from objects; those that are there, in the order of `paths`. */
export async function readFiles(
  git: GitRunner,
  repository: string,
  commit: string,
  paths: readonly string[],
): Promise<InstructionFile[]> {
  const found: InstructionFile[] = [];
  const max = 64 * 1024;
  const listing = await git({
    gitDir: repository,
    args: ["ls-tree", "-z", "--full-tree", commit, "--", ...paths],
  });
  const ids = new Map<string, string>();
  for (const entry of listing.stdout.toString("utf8").split("\0")) {
    const [, id, path] = /^100(?:644|755) blob ([0-9a-f]+)\t(.*)$/s.exec(entry) ?? [];
    if (id && path) ids.set(path, id);
  }
  for (const path of paths) {
    const id = ids.get(path);
    if (!id) continue;
    const blob = await git({
      gitDir: repository,
      args: ["cat-file", "blob", id],
      maxOutputBytes: 16 * 1024 ** 2,
    });
    if (blob.code !== 0) continue;
    const sha256 = createHash("sha256").update(blob.stdout).digest("hex");
    found.push({
      path,
      text: blob.stdout.subarray(0, max).toString("utf8"),
      sha256,
      truncated: blob.stdout.length > max,
    });
  }
  return found;
}

const locks = new Map<string, Promise<unknown>>();
/** One writer at a time for each repository of this process; other processes are kept apart by git's own ref locks. */
export async function withLock<T>(key: string, work: () => Promise<T>): Promise<T> {
  const before = locks.get(key) ?? Promise.resolve();
  const mine = before.then(work, work);
  const settled = mine.catch(() => {});
  locks.set(key, settled);
  try {
    return await mine;
  } finally {
    if (locks.get(key) === settled) locks.delete(key);
  }
}
