import { createHash, randomUUID } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable, Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { accept, type LfsContent, type Outcome, type Refusal, refuse } from "@x1agent/contract";
import type { ExecResult, Workspace } from "@x1agent/workspaces";
import { parseBatch } from "./batch.ts";
import { addContent } from "./content-list.ts";
import {
  describeFiles,
  leavesTree,
  looksSecret,
  nameOf,
  parseNumstat,
  parseRaw,
  type RawEntry,
  visible,
} from "./diff.ts";
import { bash, inside, insideGitEnvironment } from "./inside.ts";
import { parsePointer, pointersOf, pointerText } from "./lfs.ts";
import { isCommitId } from "./mirror.ts";
import { withRisks } from "./patch.ts";
import type { CommitText, Imported, ImportLimits, PlatformGit } from "./port.ts";
import { type GitRunner, mustRun } from "./run.ts";

/**
 * A bundle from a workspace becomes the platform's commit. Every step that parses what the agent's side wrote runs in a
 * tool workspace without network or secrets; the service itself sees counts, tree entries and text. Stages, each of which
 * bounds what the next may cost:
 *
 *   1. unpack   header read by us, objects by `index-pack --strict` with a size cap
 *   2. weigh    each new object visited once: number, sizes
 *   3. walk     each new tree read once, paths counted with memory, names checked (a small bundle can hold 10^10 paths)
 *   4. point    files that the tree's own attributes give to Git LFS get a pointer; their content is kept beside the commit
 *   5. look     tree difference, numbers, text, link targets
 *   6. move     the platform's commit and what is reachable from it, and nothing else, into the job repository
 */
export const defaultImportLimits: ImportLimits = {
  maxPaths: 100_000,
  maxDepth: 64,
  maxBlobBytes: 256 * 1024 ** 2,
  maxTotalBytes: 1024 ** 3,
  maxPackBytes: 512 * 1024 ** 2,
  maxDiffBytes: 2 * 1024 ** 2,
  memoryBytes: 1024 ** 3,
  timeoutMs: 300_000,
};

const repository = `${inside.work}/import.git`;

/** The kernel's own limit beside the driver's: git, unlike a runtime with a heap, works within a limit on its addresses. */
const limitMemory = 'ulimit -v "$X1_MEMORY_KB"';

const gitScript = `${limitMemory}; exec git "$@"`;

const unpackScript = `
${limitMemory}
set -eu -o pipefail
repository=$1 base=$2 commit=$3 max=$4
rm -rf "$repository"
git init --quiet --bare --template= "$repository"
mkdir -p "$repository/objects/info"
printf '%s\\n' "$base/objects" > "$repository/objects/info/alternates"
export GIT_DIR=$repository
IFS= read -r line || true; [ "$line" = '# v2 git bundle' ] || { echo 'not a bundle' >&2; exit 66; }
IFS= read -r line || true; [ "\${line%% *}" = "-$commit" ] || { echo 'the bundle stands on another base' >&2; exit 66; }
IFS= read -r line || true; tip=\${line%% *}; [ "$line" = "$tip refs/x1/collected" ] || { echo 'the bundle holds other refs' >&2; exit 66; }
IFS= read -r line || true; [ -z "$line" ] || { echo 'the bundle holds more than one ref' >&2; exit 66; }
git -c pack.threads=1 index-pack --stdin --fix-thin --strict --max-input-size="$max" > /dev/null
tree=$(git rev-parse --verify --quiet "$tip^{tree}")
# A commit of our own over the base, so that "new" means: not reachable from the base.
export GIT_AUTHOR_NAME=x1 GIT_AUTHOR_EMAIL=x1@localhost GIT_AUTHOR_DATE='@0 +0000'
export GIT_COMMITTER_NAME=x1 GIT_COMMITTER_EMAIL=x1@localhost GIT_COMMITTER_DATE='@0 +0000'
probe=$(git commit-tree "$tree" -p "$commit" -m probe)
printf '%s %s\\n' "$tree" "$probe"
`;

const weighScript = `
${limitMemory}
set -eu -o pipefail
export GIT_DIR=$1
git rev-list --objects --no-object-names "$2" "^$3" | git cat-file --batch-check='%(objectname) %(objecttype) %(objectsize)'
`;

const moveScript = `
${limitMemory}
set -eu -o pipefail
export GIT_DIR=$1
commit=$(git hash-object -t commit -w --stdin)
[ "$commit" = "$2" ] || { echo 'another commit came out' >&2; exit 66; }
{ printf '%s\\n^%s\\n' "$commit" "$3"; if [ -n "$4" ]; then printf '^%s\\n' "$4"; fi; for id in "\${@:5}"; do printf '%s\\n' "$id"; done; } | git pack-objects --quiet --revs --stdout --window=0 --threads=1
`;

type ObjectInfo = { id: string; type: string; size: number };
type TreeEntry = { mode: string; name: Buffer; id: string };

/** Parses one raw tree object. */
export function parseTree(data: Buffer, idBytes: number): TreeEntry[] {
  const entries: TreeEntry[] = [];
  let at = 0;
  while (at < data.length) {
    const space = data.indexOf(32, at);
    const nul = data.indexOf(0, space + 1);
    if (space < 0 || nul < 0 || nul + 1 + idBytes > data.length) throw new TypeError("malformed tree");
    entries.push({
      mode: data.toString("latin1", at, space),
      name: data.subarray(space + 1, nul),
      id: data.toString("hex", nul + 1, nul + 1 + idBytes),
    });
    at = nul + 1 + idBytes;
  }
  return entries;
}

/**
 * Walks the new trees below `root`, each once: what stands for a subtree is remembered, so that trees which contain each
 * other many times cost their number and not their product. Says what is wrong, or null. Pure.
 */
export function walkTrees(
  root: string,
  trees: ReadonlyMap<string, readonly TreeEntry[]>,
  limits: Pick<ImportLimits, "maxPaths" | "maxDepth">,
): string | null {
  type Weight = { paths: number; depth: number };
  const known = new Map<string, Weight>();
  const stack: { id: string; entered: boolean }[] = [{ id: root, entered: false }];
  while (stack.length > 0) {
    const top = stack.at(-1)!;
    const entries = trees.get(top.id);
    if (known.has(top.id) || !entries) {
      stack.pop();
      continue;
    }
    if (!top.entered) {
      top.entered = true;
      // A tree cannot contain itself, its id being a hash of its content: depth is at most the number of new trees.
      for (const entry of entries) if (entry.mode === "40000") stack.push({ id: entry.id, entered: false });
      continue;
    }
    let paths = 0;
    let depth = 1;
    for (const entry of entries) {
      const problem = entryProblem(entry);
      if (problem) return problem;
      const below = entry.mode === "40000" ? known.get(entry.id) : undefined;
      paths += below?.paths ?? 1;
      depth = Math.max(depth, 1 + (below?.depth ?? 0));
    }
    if (paths > limits.maxPaths) return `it has more than ${limits.maxPaths} new or changed paths`;
    if (depth > limits.maxDepth) return `its folders are nested deeper than ${limits.maxDepth}`;
    known.set(top.id, { paths, depth });
    stack.pop();
  }
  return null;
}

const modes = new Set(["40000", "100644", "100755", "120000", "160000", "100664"]);

function entryProblem({ mode, name }: TreeEntry): string | null {
  const text = name.toString("utf8");
  if (!modes.has(mode)) return `${visible(text)} has the mode ${visible(mode)}`;
  // File systems fold case, drop trailing dots and ignore some characters: all spellings that reach `.git` are refused.
  const folded = text
    .toLowerCase()
    .replace(/\p{Cf}/gu, "")
    .replace(/[ .]+$/, "")
    .replace(/:.*$/, "");
  if (text === "" || text === "." || text === ".." || text.includes("/") || folded === ".git" || folded === "git~1")
    return `a path has the component ${JSON.stringify(visible(text))}`;
  if (name.length > 255) return `a name is ${name.length} bytes long`;
  return null;
}

/** The commit object, byte for byte: nothing in it depends on who approves, on the machine or on the clock. Pure. */
export function commitObject(tree: string, base: string, text: CommitText): Buffer {
  const when = `${Math.floor(text.at.getTime() / 1000)} +0000`;
  const title = visible(text.title.replaceAll(/\s+/g, " ").trim()).slice(0, 72) || "Change by an agent";
  const body = visible(text.body.replaceAll("\r\n", "\n").trim(), true).slice(0, 8_000);
  const job = visible(text.jobId).replaceAll(/\s/g, "");
  const people = (text.coAuthors ?? []).flatMap(({ name, email }) =>
    /^[^\s<>@]{1,200}@[^\s<>@]{1,200}$/.test(email)
      ? [
          `Co-authored-by: ${
            visible(name.replaceAll(/[<>\p{Cc}]+/gu, " "))
              .trim()
              .slice(0, 100) || email
          } <${visible(email)}>`,
        ]
      : [],
  );
  return Buffer.from(
    [
      `tree ${tree}`,
      ...(text.onto ? [`parent ${text.onto}`] : []),
      `parent ${base}`,
      `author x1agent <x1agent@localhost> ${when}`,
      `committer x1agent <x1agent@localhost> ${when}`,
      "",
      title,
      "",
      ...(body ? [body, ""] : []),
      `X1-Job: ${job}`,
      ...people,
      "",
    ].join("\n"),
  );
}

/** Id of an object of git, by the hash that the length of `like` tells. */
export function objectId(type: string, data: Buffer, like: string): string {
  return createHash(like.length === 64 ? "sha256" : "sha1")
    .update(`${type} ${data.length}\0`)
    .update(data)
    .digest("hex");
}

type ImportRequest = Parameters<PlatformGit["importChange"]>[0];

/** See the stages above. A refusal names what is wrong with the change; a Fault means the tools themselves failed. */
export async function importChange(
  deps: { git: GitRunner; dataDir: string },
  request: ImportRequest,
): Promise<Outcome<Imported>> {
  const limits = { ...defaultImportLimits, ...request.limits };
  const { base, tool } = request;
  const refused = (detail: string): Refusal => refuse("conflict", `The collected change is refused: ${detail}.`);
  const exec = (argv: string[], maxOutputBytes: number, stdin?: Buffer | string) =>
    run(tool, argv, {
      maxOutputBytes,
      timeoutMs: limits.timeoutMs,
      memoryBytes: limits.memoryBytes,
      stdin,
      signal: request.signal,
    });
  const gitIn = (...args: string[]) => bash(gitScript, `--git-dir=${repository}`, ...args);

  // 1. unpack
  const bundle = createReadStream(request.collected.file);
  const unpacked = await run(tool, bash(unpackScript, repository, inside.base, base, String(limits.maxPackBytes)), {
    maxOutputBytes: 64 * 1024,
    timeoutMs: limits.timeoutMs,
    memoryBytes: limits.memoryBytes,
    stdin: bundle,
    signal: request.signal,
  });
  bundle.destroy();
  if (unpacked.exitCode !== 0) return refused(reason(unpacked));
  let [tree = "", probe = ""] = unpacked.stdout.toString("latin1").trim().split(" ");
  if (!isCommitId(tree) || !isCommitId(probe)) return refused("it holds no tree");

  // 2. weigh: lines have a known length, so the output cap is also the cap on objects
  const weighed = await exec(bash(weighScript, repository, probe, base), (limits.maxPaths * 2 + 1_000) * 80);
  if (weighed.exitCode !== 0)
    return refused(weighed.limitHit === "output" ? `it has more than ${limits.maxPaths} new objects` : reason(weighed));
  const objects: ObjectInfo[] = weighed.stdout
    .toString("latin1")
    .trim()
    .split("\n")
    .map((line) => {
      const [id = "", type = "", size = ""] = line.split(" ");
      return { id, type, size: Number(size) };
    });
  const blobs = objects.filter(({ type }) => type === "blob");
  const newTrees = objects.filter(({ type }) => type === "tree");
  const sum = objects.reduce((total, { size }) => total + size, 0);
  const largest = blobs.reduce((most, { size }) => Math.max(most, size), 0);
  if (objects.some(({ type, size }) => !["blob", "tree", "commit"].includes(type) || !(size >= 0)))
    return refused("it refers to objects that it does not hold");
  if (largest > limits.maxBlobBytes)
    return refused(`a file has ${largest} bytes, at most ${limits.maxBlobBytes} are taken`);
  if (sum > limits.maxTotalBytes) return refused(`it has ${sum} bytes, at most ${limits.maxTotalBytes} are taken`);

  // 3. walk
  const treeBytes = newTrees.reduce((total, { size }) => total + size, 0);
  if (treeBytes > 128 * 1024 ** 2) return refused("its folders have too many entries");
  const batch = await exec(gitIn("cat-file", "--batch"), treeBytes + newTrees.length * 128 + 1024, ids(newTrees));
  if (batch.exitCode !== 0) return refused(reason(batch));
  const trees = new Map([...parseBatch(batch.stdout)].map(([id, data]) => [id, parseTree(data, base.length / 2)]));
  const problem = walkTrees(tree, trees, limits);
  if (problem) return refused(problem);

  // 4. point
  const pointed = await pointOut(deps.git, request, { tree, probe, trees }, exec);
  if (typeof pointed === "string") return refused(pointed);
  tree = pointed.tree;
  probe = pointed.probe;

  // 5. look
  const difference = (...args: string[]) =>
    gitIn(
      "diff-tree",
      "-r",
      "-z",
      "--no-renames",
      "--no-ext-diff",
      "--no-textconv",
      "--ignore-submodules=none",
      ...args,
      base,
      probe,
    );
  const raw = await exec(difference("--raw", "--no-abbrev"), 64 * 1024 ** 2);
  if (raw.exitCode !== 0) return refused(reason(raw));
  const entries = parseRaw(raw.stdout);
  if (entries.length > limits.maxPaths) return refused(`it has more than ${limits.maxPaths} changed paths`);
  const [numbers, patch, looked] = await Promise.all([
    exec(difference("--numstat"), 64 * 1024 ** 2),
    exec(
      gitIn(
        "diff-tree",
        "-r",
        "-p",
        "--no-renames",
        "--no-ext-diff",
        "--no-textconv",
        "--no-color",
        "--src-prefix=a/",
        "--dst-prefix=b/",
        base,
        probe,
      ),
      limits.maxDiffBytes,
    ),
    lookAt(entries, blobs, pointed.made, (list, max) => exec(gitIn("cat-file", "--batch"), max, ids(list))),
  ]);
  if (numbers.exitCode !== 0) return refused(reason(numbers));
  if (patch.exitCode !== 0 && patch.limitHit !== "output") return refused(reason(patch));
  const described = describeFiles(entries, parseNumstat(numbers.stdout), looked.secrets);
  const files = withRisks(entries, described, patch.stdout.toString("utf8"));

  const { lfs, named } = await settlePointers(deps.git, request, entries, pointed, looked.pointers);

  // 6. move
  const object = commitObject(tree, base, request.text);
  const commit = objectId("commit", object, base);
  const folder = join(deps.dataDir, "tmp");
  const pack = join(folder, `${randomUUID()}.pack`);
  await mkdir(folder, { recursive: true });
  try {
    const content = [...new Set(lfs.map(({ blob }) => blob))];
    const moved = await run(tool, bash(moveScript, repository, commit, base, request.text.onto ?? "", ...content), {
      maxOutputBytes: limits.maxPackBytes * 2,
      timeoutMs: limits.timeoutMs,
      memoryBytes: limits.memoryBytes,
      stdin: object,
      file: pack,
      signal: request.signal,
    });
    if (moved.exitCode !== 0) return refused(reason(moved));
    const into = { gitDir: request.jobRepository, timeoutMs: limits.timeoutMs, signal: request.signal };
    await mustRun(deps.git, {
      ...into,
      stdinFile: pack,
      args: ["index-pack", "--stdin", "--strict", `--max-input-size=${limits.maxPackBytes * 2}`],
    });
    const written = await deps.git({ ...into, args: ["cat-file", "commit", commit] });
    if (!written.stdout.equals(object)) return refused("the tool workspace gave back another commit");
    await mustRun(deps.git, { ...into, args: ["update-ref", `refs/x1/commits/${commit}`, commit] });
    // What a verification of the commit lays out beside what the base has.
    await addContent(
      request.jobRepository,
      lfs.map(({ path, oid, size, blob }) => ({
        ...{ kind: "lfs" as const, path, also: blob },
        id: objectId("blob", Buffer.from(pointerText({ oid, size })), commit),
      })),
    );
  } finally {
    await rm(pack, { force: true });
  }
  const total = (key: "insertions" | "deletions") => files.reduce((n, file) => n + (file[key] ?? 0), 0);
  return accept({
    commit,
    tree,
    files,
    insertions: total("insertions"),
    deletions: total("deletions"),
    diff:
      visible(patch.stdout.toString("utf8"), true) +
      (patch.limitHit === "output" ? "\n[The rest of the change is not shown: it is too long.]\n" : ""),
    named: [...request.collected.named, ...looked.named, ...named],
    ...(lfs.length > 0 ? { lfs } : {}),
  });
}

const pointScript = `
${limitMemory}
set -eu -o pipefail
export GIT_DIR=$1 GIT_INDEX_FILE=$1/x1-point-index
tree=$2 base=$3 probe=$4 max=$5 count=0
git read-tree "$tree"
git diff-tree -r -z --no-renames --diff-filter=AMT --name-only "$base" "$probe" > "$1/x1-changed"
git check-attr --cached -z --stdin filter < "$1/x1-changed" > "$1/x1-filters"
: > "$1/x1-pointers"
while IFS= read -r -d '' path && IFS= read -r -d '' _ && IFS= read -r -d '' value; do
  if [ "$value" != lfs ]; then continue; fi
  IFS=' ' read -r mode id _ < <(git ls-files -s -z -- ":(top,literal)$path" | tr '\\0' '\\n')
  case $mode in 100*) ;; *) continue ;; esac
  size=$(git cat-file -s "$id")
  if [ "$size" -eq 0 ]; then continue; fi
  if [ "$size" -le 1024 ] && [[ $(git cat-file blob "$id" | tr -d '\\0') == 'version https://git-lfs.github.com/spec/'* ]]; then continue; fi
  count=$((count + 1))
  if [ "$count" -gt "$max" ]; then echo "it has more than $max files for Git LFS" >&2; exit 66; fi
  oid=$(git cat-file blob "$id" | sha256sum | cut -c 1-64)
  pointer=$(printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:%s\\nsize %s\\n' "$oid" "$size" | git hash-object -w --stdin)
  printf '%s %s\\t%s\\0' "$mode" "$pointer" "$path" >> "$1/x1-pointers"
  printf '%s %s %s %s\\0' "$oid" "$size" "$id" "$path"
done < "$1/x1-filters"
if [ "$count" -eq 0 ]; then exit 0; fi
git update-index -z --index-info < "$1/x1-pointers"
tree=$(git write-tree)
export GIT_AUTHOR_NAME=x1 GIT_AUTHOR_EMAIL=x1@localhost GIT_AUTHOR_DATE='@0 +0000'
export GIT_COMMITTER_NAME=x1 GIT_COMMITTER_EMAIL=x1@localhost GIT_COMMITTER_DATE='@0 +0000'
printf '%s %s\\0' "$tree" "$(git commit-tree "$tree" -p "$base" -m probe)"
`;

/** Files of one change that Git LFS may keep. */
const MAX_LFS_FILES = 300;
type Pointed = { tree: string; probe: string; made: LfsContent[] };

/** Stage 4; a text says what is wrong. Where the remote takes no content, files stay whole and only their list is made. */
async function pointOut(
  git: GitRunner,
  { base, jobRepository, lfs }: ImportRequest,
  { tree, probe, trees }: { tree: string; probe: string; trees: ReadonlyMap<string, readonly TreeEntry[]> },
  exec: (argv: string[], maxOutputBytes: number) => Promise<Taken>,
): Promise<Pointed | string> {
  const as = { tree, probe, made: [] };
  if (!lfs) return as;
  const changed = [...trees.values()].some((entries) =>
    entries.some(({ mode, name }) => mode.startsWith("100") && name.toString("latin1") === ".gitattributes"),
  );
  const ruled =
    changed ||
    (
      await git({
        gitDir: jobRepository,
        args: ["grep", "-q", "-F", "-e", "filter=lfs", base, "--", ":(glob)**/.gitattributes"],
      })
    ).code === 0;
  if (!ruled) return as;
  const done = await exec(
    bash(pointScript, repository, tree, base, probe, String(MAX_LFS_FILES)),
    MAX_LFS_FILES * 5_000,
  );
  if (done.exitCode !== 0) return reason(done);
  const words = done.stdout.toString("utf8").split("\0").slice(0, -1);
  const [newTree = "", newProbe = ""] = words.pop()?.split(" ") ?? [];
  if (newTree === "") return as;
  const made = words.flatMap((word): LfsContent[] => {
    const [, oid, size, blob, path] = /^([0-9a-f]{64}) (\d{1,15}) ([0-9a-f]{40,64}) (.+)$/s.exec(word) ?? [];
    return oid && blob && path && !path.includes("\uFFFD") ? [{ path, oid, size: Number(size), blob }] : [];
  });
  if (made.length !== words.length || !isCommitId(newTree) || !isCommitId(newProbe))
    return "the files for Git LFS could not be read";
  return lfs.upload ? { tree: newTree, probe: newProbe, made } : { ...as, made };
}

/** What of a change's pointers is to be uploaded, and what is to be said of them and of those that lead nowhere. */
async function settlePointers(
  git: GitRunner,
  { base, jobRepository, lfs }: ImportRequest,
  entries: readonly RawEntry[],
  { made }: Pointed,
  pointers: readonly { path: string; text: string }[],
): Promise<{ lfs: LfsContent[]; named: string[] }> {
  const added = new Set(entries.filter(({ oldMode }) => /^0+$/.test(oldMode)).map(({ path }) => nameOf(path)));
  if (lfs && !lfs.upload)
    return {
      lfs: [],
      named: [
        ...made.map(({ path }) => `${visible(path)}: ${added.has(path) ? lfsWhole : lfsChanged}`),
        ...pointers.map(({ path }) => `${visible(path)}: ${newPointer}`),
      ],
    };
  const kept = new Map([...(lfs?.known ?? []), ...made].map((one) => [one.oid, one]));
  const content = new Map(made.map((one) => [one.path, one]));
  const open = pointers.filter(({ path, text }) => {
    const pointer = parsePointer(text);
    const known = pointer && kept.get(pointer.oid);
    if (!known || known.size !== pointer.size) return !content.has(path);
    content.set(path, { ...known, path });
    return false;
  });
  // A file that was moved, or put back, points to what the server has.
  const there = open.length > 0 ? await pointersOf(git, jobRepository, base) : [];
  const nowhere = open.filter(({ text }) => {
    const pointer = parsePointer(text);
    return !there.some(({ oid, size }) => oid === pointer?.oid && size === pointer.size);
  });
  return {
    lfs: [...content.values()],
    named: [
      ...[...content.values()].map(({ path, size }) => `${visible(path)}: ${lfsUploaded} (${size} bytes)`),
      ...nowhere.map(({ path }) => `${visible(path)}: ${newPointer}`),
    ],
  };
}

const ids = (objects: readonly { id: string }[]) => objects.map(({ id }) => `${id}\n`).join("");

/** Reads new files that are small enough: link targets, LFS pointers, things that look like credentials. */
async function lookAt(
  entries: readonly RawEntry[],
  blobs: readonly ObjectInfo[],
  made: readonly LfsContent[],
  read: (list: ObjectInfo[], max: number) => Promise<Taken>,
): Promise<{ secrets: Set<string>; named: string[]; pointers: { path: string; text: string }[] }> {
  // In the place of a pointer that was made here its content is looked at.
  const behind = new Map(made.map(({ path, blob }) => [path, blob]));
  const idOf = ({ path, newId }: RawEntry) => behind.get(nameOf(path)) ?? newId;
  const wanted = new Set(entries.map(idOf));
  const list: ObjectInfo[] = [];
  let bytes = 0;
  for (const blob of blobs) {
    if (!wanted.has(blob.id) || blob.size > 1024 ** 2 || bytes + blob.size > 64 * 1024 ** 2) continue;
    bytes += blob.size + 128;
    list.push(blob);
  }
  const secrets = new Set<string>();
  const named: string[] = [];
  const pointers: { path: string; text: string }[] = [];
  const content = list.length ? parseBatch((await read(list, bytes + 1024)).stdout) : new Map<string, Buffer>();
  for (const entry of entries) {
    const path = nameOf(entry.path);
    const shown = visible(path);
    if (entry.newMode === "160000") named.push(`${shown}: submodule, its content is not part of the change`);
    const data = content.get(idOf(entry));
    if (!data) continue;
    const text = data.toString("utf8");
    if (entry.newMode === "120000" && leavesTree(path, text))
      named.push(`${shown}: link out of the tree to ${visible(text).slice(0, 200)}`);
    if (text.startsWith("version https://git-lfs.github.com/spec/")) pointers.push({ path, text });
    if (hasMarkers(text)) named.push(`${shown}: ${unresolved}`);
    if (looksSecret(text)) secrets.add(entry.path.toString("latin1"));
  }
  return { secrets, named: named.slice(0, 500), pointers: pointers.slice(0, 500) };
}

/** What is said of a pointer to content that is neither part of the change nor of the base. */
export const newPointer = "Git LFS pointer, its content is not part of the change";
/** What is said of a file whose content goes to the LFS server. */
export const lfsUploaded = "kept in Git LFS, its content is uploaded at the publication";
/** What is said of a file in Git LFS that was changed where the remote takes no content. */
export const lfsChanged = "kept in Git LFS, its content cannot be published to this remote";
/** What is said of a new one there. */
export const lfsWhole = "a whole file where .gitattributes says Git LFS, as its content cannot be published otherwise";
/** What is said of a file in which a conflict was left. */
export const unresolved = "conflict markers, not resolved";

/** One pass, whatever the text: a file of nothing but openings is as cheap as any. */
function hasMarkers(text: string): boolean {
  if (!text.includes("<<<<<<< ")) return false;
  let part = 0;
  for (const line of text.split("\n")) {
    if (part === 0 && line.startsWith("<<<<<<< ")) part = 1;
    else if (part === 1 && line.trimEnd() === "=======") part = 2;
    else if (part === 2 && line.startsWith(">>>>>>> ")) return true;
  }
  return false;
}

type Taken = ExecResult & { stdout: Buffer };
type RunOptions = {
  maxOutputBytes: number;
  timeoutMs: number;
  memoryBytes: number;
  stdin?: Buffer | string | Readable | undefined;
  /** Standard output goes here instead of into memory. */
  file?: string;
  signal?: AbortSignal | undefined;
};

/** One command in the tool workspace, standard output kept apart from standard error. */
async function run(tool: Workspace, argv: string[], options: RunOptions): Promise<Taken> {
  const chunks: Buffer[] = [];
  let size = 0;
  const out = options.file
    ? createWriteStream(options.file, { mode: 0o600 })
    : new Writable({
        write(chunk: Buffer, _encoding, done) {
          // The driver ends the command at the cap; what it had already read is cut here.
          if (size < options.maxOutputBytes) chunks.push(chunk.subarray(0, options.maxOutputBytes - size));
          size += chunk.length;
          done();
        },
      });
  const closed = finished(out);
  const stdin =
    typeof options.stdin === "string" || Buffer.isBuffer(options.stdin)
      ? Readable.from([Buffer.from(options.stdin)])
      : options.stdin;
  try {
    const result = await tool.exec({
      argv,
      cwd: inside.work,
      env: { ...insideGitEnvironment, X1_MEMORY_KB: String(Math.ceil(options.memoryBytes / 1024)) },
      network: "none",
      maxOutputBytes: options.maxOutputBytes,
      timeoutMs: options.timeoutMs,
      memoryBytes: options.memoryBytes,
      stdout: out,
      ...(stdin ? { stdin } : {}),
      ...(options.signal ? { signal: options.signal } : {}),
    });
    return { ...result, stdout: Buffer.concat(chunks) };
  } finally {
    if (!out.writableEnded) out.end();
    await closed.catch(() => {});
  }
}

function reason(result: ExecResult): string {
  if (result.timedOut) return "checking it took too long";
  if (result.limitHit) return `checking it went over the ${result.limitHit} limit`;
  const last = result.output.toString("utf8").trim().split("\n").slice(-2).join("; ");
  return visible(last).slice(0, 300) || `the check ended with ${result.exitCode ?? result.signal}`;
}
