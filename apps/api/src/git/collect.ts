import { createWriteStream } from "node:fs";
import { mkdir, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { finished } from "node:stream/promises";
import { accept, type Outcome, refuse } from "@x1agent/contract";
import type { ExecSpec, Workspace } from "@x1agent/workspaces";
import { z } from "zod";
import { visible } from "./diff.ts";
import { bash, inside, insideGitEnvironment } from "./inside.ts";
import { contentFunctions } from "./lay.ts";
import { isCommitId } from "./mirror.ts";
import type { Collected } from "./port.ts";

/**
 * Takes in the whole work tree as ONE tree, whatever the agent did to its own repository: a fresh git directory, the
 * base's index without any flag (skip-worktree and assume-unchanged live in the agent's index, which is never opened), no
 * configuration, and only the tree's own .gitignore files. Stages:
 *
 *   1. named things: nested repositories, special files, ignored names    (they go to the report)
 *   2. paths: what the base tracks, what is new, what nested repositories hold
 *   3. one `update-index`, one tree, one temporary commit on the base, one bundle on standard output
 *
 * The report goes to standard error: lines of NUL-ended records would be cut by a name with a newline, so each name is
 * one base64 word.
 */
const collectScript = `${contentFunctions}
set -eu -o pipefail
work=$1 base=$2 commit=$3 max_files=$4 max_bytes=$5 max_named=$6
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
export GIT_DIR=$fresh/git
git init --quiet --bare --template= "$GIT_DIR" >&2
mkdir -p "$GIT_DIR/info" "$GIT_DIR/objects/info"
printf '%s\\n' "$base/objects" > "$GIT_DIR/objects/info/alternates"
git config core.bare false
export GIT_WORK_TREE=$work
cd "$work"
report() { printf 'x1 %s ' "$1" >&2; printf '%s' "$2" | base64 -w 0 >&2; printf '\\n' >&2; }
# At most max_named names of one kind: the list is for people, the rest is a number.
report_list() {
  local kind=$1 count=0 name
  while IFS= read -r -d '' name; do
    count=$((count + 1))
    if [ "$count" -le "$max_named" ]; then report "$kind" "$name"; fi
  done
  if [ "$count" -gt "$max_named" ]; then report "$kind" "and $((count - max_named)) more"; fi
}
# Whether a submodule's folder holds what its commit does and nothing more.
same_content() {
  [ -d "./$1" ] && [ ! -L "./$1" ] || return 1
  GIT_INDEX_FILE=$fresh/sub git read-tree "$2"
  local other
  other=$(cd "./$1" && GIT_WORK_TREE=$PWD GIT_INDEX_FILE=$fresh/sub git ls-files -m -d -o --exclude-standard | head -c 1)
  rm -f "$fresh/sub"
  [ -z "$other" ]
}
git read-tree "$commit"
tree_before=$(git rev-parse "$commit^{tree}")

git ls-files -s -z | grep -z '^160000 ' | cut -z -f 2- > "$fresh/gitlinks" || true
git ls-files -z > "$fresh/tracked"
git ls-files -z --others --exclude-standard > "$fresh/others"
git ls-files -z --others --ignored --exclude-standard --directory > "$fresh/ignored"
find . -mindepth 1 -path ./.git -prune -o \\( -type p -o -type s -o -type b -o -type c \\) -printf '%P\\0' > "$fresh/special"
# A directory that ends in a slash is a repository of its own: its files are taken, its .git is not.
grep -z '/$' "$fresh/others" > "$fresh/nested" || true
grep -zv '/$' "$fresh/others" > "$fresh/plain" || true
: > "$fresh/inner"
while IFS= read -r -d '' dir; do
  find "./$dir" -name .git -prune -o \\( -type f -o -type l \\) -printf '%p\\0' | sed -z 's,^\\./,,' >> "$fresh/inner"
done < "$fresh/nested"
# Other folders named .git below the top are never listed by git: what hides in them is at least named.
find . -mindepth 2 -name .git -printf '%P\\0' -prune 2>/dev/null | grep -zv '^\\.git/' > "$fresh/dotgit" || true

# Submodules are not fetched, so an empty folder is their normal state and no deletion.
if [ -s "$fresh/gitlinks" ]; then
  sort -z "$fresh/tracked" | comm -z -23 - <(sort -z "$fresh/gitlinks") > "$fresh/t" && mv "$fresh/t" "$fresh/tracked"
  declare -A known=()
  while IFS= read -r -d '' path && IFS= read -r -d '' id && IFS= read -r -d '' also; do
    known[$path]=1
    same_content "$path" "\${also:-$id}" || report submodule "$path"
  done < <(content_paths "$base" submodule)
  while IFS= read -r -d '' path && IFS= read -r -d '' id && IFS= read -r -d '' also; do
    known[$path]=1
    same_content "$path" "$id" || report submodule "$path"
  done < <(content_paths "$base" nested)
  while IFS= read -r -d '' link; do
    if [ -n "\${known[$link]:-}" ]; then continue; fi
    if [ -n "$(ls -A -- "./$link" 2>/dev/null)" ]; then report submodule "$link"; fi
  done < "$fresh/gitlinks"
fi
cat "$fresh/plain" "$fresh/inner" > "$fresh/new"

count=$(cat "$fresh/tracked" "$fresh/new" | tr -cd '\\0' | wc -c)
if [ "$count" -gt "$max_files" ]; then report limit "the work tree has $count files, at most $max_files are collected"; exit 65; fi
bytes=$(xargs -0 -r stat --printf '%s\\n' -- < "$fresh/new" 2>/dev/null | awk '{ s += $1 } END { printf "%d", s }' || true)
if [ "\${bytes:-0}" -gt "$max_bytes" ]; then report limit "new files have $bytes bytes, at most $max_bytes are collected"; exit 65; fi

# Only files and links stay; a tracked path that became a special file, a folder or nothing is a deletion.
while IFS= read -r -d '' path; do
  if [ -L "$path" ] || [ -f "$path" ]; then printf '%s\\0' "$path"; fi
done < "$fresh/tracked" > "$fresh/present"
sort -z "$fresh/tracked" | comm -z -23 - <(sort -z "$fresh/present") > "$fresh/gone"
# Content in the place of an LFS pointer: where it is the pointer's own the pointer stays.
if [ -f "$base/x1-content" ]; then
  : > "$fresh/lfs"
  while IFS= read -r -d '' path && IFS= read -r -d '' id && IFS= read -r -d '' also; do
    if [ ! -f "$path" ] || [ -L "$path" ]; then continue; fi
    # What the base has there now is another file: then it is taken as any.
    if [ "$(git ls-files -s -z -- ":(literal)$path" | cut -z -d ' ' -f 2 | tr -d '\\0')" != "$id" ]; then continue; fi
    now=$(git hash-object --no-filters -- "$path")
    if [ "$now" = "$also" ] || [ "$now" = "$id" ]; then printf '%s\\0' "$path" >> "$fresh/lfs"; fi
  done < <(content_paths "$base" lfs)
  sort -z "$fresh/present" | comm -z -23 - <(sort -z "$fresh/lfs") > "$fresh/p" && mv "$fresh/p" "$fresh/present"
fi
git update-index -z --force-remove --stdin < "$fresh/gone"
git update-index -z --add --replace --stdin < "$fresh/present"
git update-index -z --add --replace --stdin < "$fresh/new"
# A pointer whose content the agent's own git-lfs keeps is taken as that content: the import makes the pointer again.
if [ -d .git/lfs/objects ]; then
  : > "$fresh/smudged"
  while IFS= read -r -d '' path; do
    if [ ! -f "./$path" ] || [ -L "./$path" ]; then continue; fi
    size=$(stat --printf '%s' -- "./$path")
    if [ "$size" -lt 100 ] || [ "$size" -gt 200 ]; then continue; fi
    oid=$(sed -n 's/^oid sha256:\\([0-9a-f]\\{64\\}\\)$/\\1/p' "./$path" | head -n 1)
    object=.git/lfs/objects/\${oid:0:2}/\${oid:2:2}/$oid
    if [ -z "$oid" ] || [ ! -f "$object" ]; then continue; fi
    if [ "$(git check-attr --cached -z filter -- "$path" | tail -z -n 1 | tr -d '\\0')" != lfs ]; then continue; fi
    mode=100644
    if [ -x "./$path" ]; then mode=100755; fi
    printf '%s %s\\t%s\\0' "$mode" "$(git hash-object -w --no-filters -- "$object")" "$path" >> "$fresh/smudged"
  done < <(git diff-index --cached -z --name-only --no-renames --diff-filter=AMT "$commit")
  git update-index -z --index-info < "$fresh/smudged"
fi

report_list nested < "$fresh/nested"
report_list dotgit < "$fresh/dotgit"
report_list special < "$fresh/special"
report_list ignored < "$fresh/ignored"
tree=$(git write-tree)
report tree "$tree"
if [ "$tree" = "$tree_before" ]; then report done unchanged; exit 0; fi
export GIT_AUTHOR_NAME=x1 GIT_AUTHOR_EMAIL=x1@localhost GIT_AUTHOR_DATE='@0 +0000'
export GIT_COMMITTER_NAME=x1 GIT_COMMITTER_EMAIL=x1@localhost GIT_COMMITTER_DATE='@0 +0000'
temporary=$(git commit-tree "$tree" -p "$commit" -m collected)
git update-ref refs/x1/collected "$temporary"
git -c pack.window=0 -c core.compression=1 bundle create --quiet --version=2 - refs/x1/collected "^$commit"
report done changed
`;

export type CollectLimits = {
  maxFiles: number;
  maxNewBytes: number;
  maxBundleBytes: number;
  maxNamed: number;
  timeoutMs: number;
};
export const defaultCollectLimits: CollectLimits = {
  maxFiles: 300_000,
  maxNewBytes: 1024 ** 3,
  maxBundleBytes: 512 * 1024 ** 2,
  maxNamed: 100,
  timeoutMs: 300_000,
};

/** The command that collects; the bundle is its standard output, the report its standard error. Pure. */
export function collectCommand(base: string, limits: Partial<CollectLimits> = {}): ExecSpec {
  if (!isCommitId(base)) throw new TypeError("collect needs a whole commit id");
  const { maxFiles, maxNewBytes, maxBundleBytes, maxNamed, timeoutMs } = { ...defaultCollectLimits, ...limits };
  return {
    argv: bash(collectScript, inside.work, inside.base, base, String(maxFiles), String(maxNewBytes), String(maxNamed)),
    cwd: inside.work,
    env: insideGitEnvironment,
    network: "none",
    maxOutputBytes: maxBundleBytes,
    timeoutMs,
  };
}

const Report = z.object({
  kind: z.enum(["nested", "dotgit", "special", "ignored", "submodule", "limit", "tree", "done", "conflict", "said"]),
  text: z.string(),
});

/** Reads the report lines; anything else on standard error is git talking and is left out. Pure. */
export function parseReport(stderr: Buffer): z.infer<typeof Report>[] {
  const lines: z.infer<typeof Report>[] = [];
  for (const line of stderr.toString("latin1").split("\n")) {
    const match = /^x1 ([a-z]+) ([A-Za-z0-9+/=]*)$/.exec(line);
    if (!match) continue;
    const parsed = Report.safeParse({ kind: match[1], text: Buffer.from(match[2]!, "base64").toString("utf8") });
    if (parsed.success) lines.push(parsed.data);
    if (lines.length > 5_000) break;
  }
  return lines;
}

const sentences: Partial<Record<z.infer<typeof Report>["kind"], string>> = {
  nested: "embedded repository, its files taken without its history",
  dotgit: "a .git inside the tree, not taken",
  special: "special file, not taken",
  ignored: "ignored, not taken",
  submodule: "content in a submodule's folder, not taken",
};

/**
 * Collects the change of a workspace into `file`. Everything that comes back is the workspace's word, bounded here and
 * proven by `importChange`.
 */
export async function collectChange(
  workspace: Workspace,
  request: { base: string; file: string; limits?: Partial<CollectLimits>; signal?: AbortSignal },
): Promise<Outcome<Collected>> {
  const { base, file } = request;
  await mkdir(dirname(file), { recursive: true });
  const out = createWriteStream(file, { mode: 0o600 });
  const closed = finished(out);
  const spec = { ...collectCommand(base, request.limits), stdout: out };
  let result: Awaited<ReturnType<Workspace["exec"]>>;
  try {
    result = await workspace.exec(request.signal ? { ...spec, signal: request.signal } : spec);
  } finally {
    if (!out.writableEnded) out.end();
    await closed.catch(() => {});
  }
  const drop = async (detail: string) => {
    await rm(file, { force: true });
    return refuse("conflict", `The work could not be collected: ${detail}`);
  };
  const report = parseReport(result.output);
  const of = (kind: string) => report.find((line) => line.kind === kind)?.text;
  const limit = of("limit");
  if (limit) return drop(`${visible(limit)}.`);
  if (result.limitHit === "output") return drop("the change is larger than the limit for one change.");
  if (result.limitHit) return drop(`the workspace's ${result.limitHit} limit was reached.`);
  if (result.timedOut) return drop("it took too long.");
  const [tree = "", done] = [of("tree"), of("done")];
  if (result.exitCode !== 0 || !isCommitId(tree) || !done)
    return drop(`git ended with ${result.exitCode}: ${visible(result.output.toString("utf8").slice(-300).trim())}`);
  const named = report.flatMap(({ kind, text }) =>
    sentences[kind] ? [`${visible(text).slice(0, 300)}: ${sentences[kind]}`] : [],
  );
  const { size } = await stat(file);
  if (done === "unchanged" || size === 0) {
    await rm(file, { force: true });
    return accept({ changed: false, tree, file: null, bytes: 0, named });
  }
  return accept({ changed: true, tree, file, bytes: size, named });
}
