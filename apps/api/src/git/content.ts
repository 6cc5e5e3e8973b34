import { createHash } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { accept, type Outcome, refuse } from "@x1agent/contract";
import { type ContentEntry, contentFile, writeContent } from "./content-list.ts";
import { visible } from "./diff.ts";
import { type FetchedLfs, fetchLfs } from "./lfs.ts";
import { linkObjects, type MirrorDeps, resolveBase, withLock } from "./mirror.ts";
import type { Base, ContentRequest, GitCredential, Remote } from "./port.ts";
import { parseRemote } from "./remote.ts";
import { mustRun } from "./run.ts";

/**
 * What a base commit only refers to (submodules, LFS content) is fetched here, by the platform, and lies as objects in the
 * job's repository, beside the list of `content-list.ts`. Everything that says what to fetch is the repository's own text: a
 * path counts only where the tree has it, an address only where the policy lets it.
 */
const MEGABYTE = 1024 ** 2;
const MAX_DEPTH = 3;
const MAX_SUBMODULES = 50;

/** See the port. */
export async function prepareContent(deps: MirrorDeps, request: ContentRequest): Promise<Base> {
  const { base, jobRepository, policy } = request;
  const entries: ContentEntry[] = [];
  const away: string[] = [];
  const notes = base.notes.filter(
    (note) =>
      !(policy.submodules !== "none" && note.startsWith("Submodules ")) &&
      !(policy.lfsMegabytes > 0 && note.startsWith("Files kept in Git LFS")),
  );
  const lfs = policy.lfsMegabytes > 0 ? await fetchLfs(deps.git, request) : null;
  if (policy.submodules !== "none") {
    const found: Found = { entries, notes, away, megabytes: policy.lfsMegabytes - (lfs?.bytes ?? 0) / MEGABYTE };
    await addSubmodules(deps, request, base, { prefix: "", depth: 1 }, found);
  }
  if (lfs) {
    entries.push(...lfs.entries);
    notes.push(...lfs.notes);
    away.push(...lfs.away);
  }
  const missing = away[0] === undefined ? {} : { away: away[0] };
  if (entries.length === 0) {
    await rm(join(jobRepository, contentFile), { force: true });
    return { ...base, ...missing, notes };
  }
  // LFS content came to the mirror after the job's repository was made from it.
  await linkObjects(join(base.mirror, "objects"), join(jobRepository, "objects"));
  const text = await writeContent(jobRepository, entries);
  return { ...base, ...missing, notes, content: createHash("sha256").update(text).digest("hex") };
}

type Level = { prefix: string; depth: number };
/** What is found on the way; `away` says where nobody answered, `megabytes` what LFS content may still take. */
type Found = { entries: ContentEntry[]; notes: string[]; away: string[]; megabytes: number };

async function addSubmodules(
  deps: MirrorDeps,
  request: ContentRequest,
  at: Base,
  { prefix, depth }: Level,
  all: Found,
): Promise<void> {
  const { entries, notes, away } = all;
  const links = await gitlinks(deps, at);
  if (links.length === 0) return;
  const addresses = await addressesOf(deps, at);
  for (const { path, commit } of links) {
    const where = prefix + path;
    const not = (why: string) =>
      void notes.push(`The submodule ${visible(where).slice(0, 300)} is not fetched: ${why}.`);
    if (notes.length > 100) return;
    if (entries.filter(({ kind }) => kind !== "lfs").length >= MAX_SUBMODULES) return not("there are too many");
    if (depth > MAX_DEPTH) {
      not(`submodules in submodules are fetched ${MAX_DEPTH} deep`);
      continue;
    }
    const address = addresses.get(path);
    const remote = address === undefined ? null : submoduleRemote(address, at.remote);
    if (!remote) {
      not(address === undefined ? "its .gitmodules does not name it" : "its address cannot be used");
      continue;
    }
    if (!isAllowed(remote, request.base.remote, request.policy)) {
      not(`${visible(remote.url).slice(0, 300)} is not what the project's settings allow`);
      continue;
    }
    const found = await fetchSubmodule(deps, request, remote, commit);
    if (!found.ok) {
      const why = visible(found.detail).slice(0, 300).replace(/\.$/, "");
      not(why);
      if (found.code === "forge_unavailable" || found.code === "forge_limited")
        away.push(`The submodule ${visible(where).slice(0, 300)} cannot be fetched now: ${why}.`);
      continue;
    }
    const { base, credential } = found.value;
    let tree = "";
    const said: string[] = [];
    if (request.policy.lfsMegabytes > 0) {
      const { credential: _, ...rest } = request;
      const policy = { ...request.policy, lfsMegabytes: Math.max(0, all.megabytes) };
      const lfs = await fetchLfs(deps.git, { ...rest, base, policy, ...(credential ? { credential } : {}) });
      all.megabytes -= lfs.bytes / MEGABYTE;
      tree = lfs.laid.length > 0 ? await filledTree(deps, base, lfs.laid) : "";
      said.push(...lfs.notes.map((note) => `In the submodule ${visible(where).slice(0, 300)}: ${note}`));
      away.push(...lfs.away);
    }
    await withLock(base.mirror, () =>
      linkObjects(join(base.mirror, "objects"), join(request.jobRepository, "objects")),
    );
    // Only a submodule of the repository itself is found by its commit.
    entries.push(
      depth === 1
        ? { kind: "submodule", path: where, id: commit, also: tree }
        : { kind: "nested", path: where, id: tree || commit, also: prefix.replace(/\/$/, "") },
    );
    notes.push(
      `The submodule ${visible(where).slice(0, 300)} is there at ${commit.slice(0, 12)}; it is no part of the change.`,
    );
    notes.push(...said);
    await addSubmodules(deps, request, base, { prefix: `${where}/`, depth: depth + 1 }, all);
  }
}

async function fetchSubmodule(
  deps: MirrorDeps,
  request: ContentRequest,
  remote: Remote,
  commit: string,
): Promise<Outcome<{ base: Base; credential: GitCredential | null }>> {
  // Words from outside choose what is fetched: with nobody's credential.
  const credential = request.trust === "outside" ? null : await request.credentialFor(remote.url);
  if (credential && !credential.ok) return credential;
  const found = await resolveBase(deps, {
    ...{ organizationId: request.organizationId, repository: remote.url, trust: request.trust, base: commit },
    ...(credential?.value ? { credential: credential.value } : {}),
    ...(request.signal ? { signal: request.signal } : {}),
  });
  if (found.ok) return accept({ base: found.value, credential: credential?.value ?? null });
  if (found.code !== "repository_invalid" || credential?.value || remote.kind === "local") return found;
  const how = `let the connection reach it, or store one with \`x1 secrets set git:${remote.host}\``;
  return refuse(
    found.code,
    `${remote.url} is not there, or not visible without a credential${credential ? `: ${how}` : ", and words from outside bring none"}.`,
  );
}

/** The commit's tree with LFS content in its pointers' places: what a submodule's folder is filled with, and compared with later. */
async function filledTree({ git }: MirrorDeps, base: Base, laid: FetchedLfs["laid"]): Promise<string> {
  const ref = `refs/x1/filled/${base.commit}`;
  const quoted = (path: string) => `"${path.replaceAll(/["\\]/g, "\\$&").replaceAll("\n", "\\n")}"`;
  const lines = [
    ...[`commit ${ref}`, "committer x1 <x1@localhost> 0 +0000", "data 0", `from ${base.commit}`],
    ...laid.map(({ mode, blob, path }) => `M ${mode} ${blob} ${quoted(path)}`),
  ];
  return withLock(base.mirror, async () => {
    const within = { gitDir: base.mirror };
    await mustRun(git, {
      ...within,
      args: ["fast-import", "--quiet", "--force", "--date-format=raw"],
      stdin: `${lines.join("\n")}\n\n`,
    });
    const tree = await mustRun(git, { ...within, args: ["rev-parse", "--verify", `${ref}^{tree}`] });
    // A ref of ours must not make anything look as if the remote had it.
    await mustRun(git, { ...within, args: ["update-ref", "-d", ref] });
    return tree;
  });
}

async function gitlinks({ git }: MirrorDeps, at: Base): Promise<{ path: string; commit: string }[]> {
  const listing = await git({
    gitDir: at.mirror,
    args: ["ls-tree", "-r", "-z", "--full-tree", at.commit],
    maxOutputBytes: 128 * 1024 ** 2,
  });
  if (listing.code !== 0) return [];
  return listing.stdout
    .toString("utf8")
    .split("\0")
    .flatMap((entry) => {
      const [, commit, path] = /^160000 commit ([0-9a-f]{40,64})\t(.+)$/s.exec(entry) ?? [];
      // What the fetch's own check lets through is held against the same rule once more.
      const odd = path?.split("/").some((part) => part === ".." || part === "." || part.toLowerCase() === ".git");
      return commit && path && !odd && !path.includes("\uFFFD") ? [{ path, commit }] : [];
    })
    .slice(0, 1_000);
}

/** Addresses by path. git reads the file as configuration, without what it includes. */
async function addressesOf({ git }: MirrorDeps, at: Base): Promise<Map<string, string>> {
  const read = await git({
    gitDir: at.mirror,
    args: [
      "config",
      "--no-includes",
      "--blob",
      `${at.commit}:.gitmodules`,
      "-z",
      "--get-regexp",
      "^submodule\\..*\\.(path|url)$",
    ],
    maxOutputBytes: 1024 ** 2,
  });
  const named = new Map<string, { path?: string; url?: string }>();
  if (read.code !== 0) return new Map();
  for (const entry of read.stdout.toString("utf8").split("\0")) {
    const end = entry.indexOf("\n");
    const [, name = "", key] = /^submodule\.(.*)\.(path|url)$/s.exec(entry.slice(0, end)) ?? [];
    if (end < 0 || !key) continue;
    named.set(name, { ...named.get(name), [key]: entry.slice(end + 1) });
  }
  return new Map([...named.values()].flatMap(({ path, url }) => (path && url ? [[path, url] as const] : [])));
}

/**
 * The repository that a submodule's address means, seen from the one whose .gitmodules names it. No address of this machine,
 * no credential, no other transport: `ssh` to the very host is asked over HTTPS, as that is what credentials are for. Pure but
 * for a look at a neighbour's folder, where the repository itself is a folder here.
 */
export function submoduleRemote(address: string, parent: Remote): Remote | null {
  const text = /^\.\.?\//.test(address) ? relativeTo(address, parent) : address;
  if (text === null || (text === address && !/^(https?|ssh):\/\/|^[\w.-]+@[\w.-]+:/.test(text))) return null;
  const parsed = parseRemote(text, { roots: [], owners: parent.kind === "local" ? [parent.uid] : [] });
  if (!parsed.ok) return null;
  const remote = parsed.value;
  if (remote.kind === "ssh" && parent.kind === "https") {
    const again = parseRemote(`https://${remote.host}${new URL(remote.url).pathname}`, { roots: [], owners: [] });
    return again.ok ? again.value : null;
  }
  return remote;
}

/** `../name` and its like beside the parent's address; null where it leads out. Pure. */
function relativeTo(address: string, parent: Remote): string | null {
  let rest = address;
  let path = parent.path.replace(/\/+$/, "");
  while (rest.startsWith("./") || rest.startsWith("../")) {
    if (rest.startsWith("../")) {
      if (!path.includes("/")) return null;
      path = path.slice(0, path.lastIndexOf("/"));
    }
    rest = rest.slice(rest.indexOf("/") + 1);
  }
  if (rest === "" || rest.split("/").some((part) => part === ".." || part === "" || part.startsWith("-"))) return null;
  const joined = `${path}/${rest}`;
  if (parent.kind === "local") return joined;
  const tail = joined.split("/").map(encodeURIComponent).join("/");
  const host = parent.host.includes(":") ? `[${parent.host}]` : parent.host;
  const user = parent.kind === "ssh" && parent.user ? `${parent.user}@` : "";
  return `${parent.kind}://${user}${host}:${parent.port}${tail}`;
}

/** Whether the policy lets a submodule be fetched for a job on `root`. Pure. */
export function isAllowed(
  remote: Remote,
  root: Remote,
  { submodules, submoduleHosts }: ContentRequest["policy"],
): boolean {
  if (submodules === "none") return false;
  if (remote.kind === "local" || root.kind === "local") {
    const folder = (path: string) => path.slice(0, path.lastIndexOf("/"));
    return (
      remote.kind === "local" &&
      root.kind === "local" &&
      remote.uid === root.uid &&
      folder(remote.path) === folder(root.path)
    );
  }
  // Never a step down: what is fetched over an open line could be anybody's.
  if (remote.kind === "http" && root.kind !== "http") return false;
  const owner = (path: string) => path.split("/")[1]?.toLowerCase();
  const beside = remote.kind === root.kind && remote.host === root.host && remote.port === root.port;
  if (beside && owner(remote.path) === owner(root.path)) return true;
  const usual = { http: 80, https: 443, ssh: 22 }[remote.kind];
  const names = [`${remote.host}:${remote.port}`, ...(remote.port === usual ? [remote.host] : [])];
  return submodules === "hosts" && names.some((name) => submoduleHosts.includes(name));
}
