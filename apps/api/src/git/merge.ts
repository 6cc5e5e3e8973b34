import { createWriteStream } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { finished } from "node:stream/promises";
import { accept, type Outcome, refuse } from "@x1agent/contract";
import type { Workspace } from "@x1agent/workspaces";
import { parseReport } from "./collect.ts";
import { visible } from "./diff.ts";
import { bash, inside, insideGitEnvironment } from "./inside.ts";
import { isCommitId } from "./mirror.ts";

/** How the two sides are called between conflict markers. */
export const mergeSides = { side: "new-base", work: "this-change" } as const;

/**
 * Lays the change of one commit on another, in a tool workspace, where a hostile tree costs nothing but the workspace. The
 * result is what `collect` gives: one temporary commit on the base as a bundle, with conflict markers where the two do not go
 * together. With a commit to count from, the three trees stand alone, whatever history was rewritten meanwhile.
 */
const mergeScript = `
ulimit -v "$X1_MEMORY_KB"
set -eu -o pipefail
repository=$1 objects=$2/objects base=$3 side=$4 work=$5 from=$6 max_named=$7
rm -rf "$repository"
git init --quiet --bare --template= "$repository" >&2
mkdir -p "$repository/objects/info"
printf '%s\\n' "$objects" > "$repository/objects/info/alternates"
export GIT_DIR=$repository
report() { printf 'x1 %s ' "$1" >&2; printf '%s' "$2" | base64 -w 0 >&2; printf '\\n' >&2; }
export GIT_AUTHOR_NAME=x1 GIT_AUTHOR_EMAIL=x1@localhost GIT_AUTHOR_DATE='@0 +0000'
export GIT_COMMITTER_NAME=x1 GIT_COMMITTER_EMAIL=x1@localhost GIT_COMMITTER_DATE='@0 +0000'
if [ -n "$from" ]; then
  root=$(git commit-tree "$from^{tree}" -m from)
  side=$(git commit-tree "$side^{tree}" -p "$root" -m side)
  work=$(git commit-tree "$work^{tree}" -p "$root" -m work)
fi
git update-ref refs/heads/${mergeSides.side} "$side"
git update-ref refs/heads/${mergeSides.work} "$work"
code=0
git -c merge.conflictStyle=merge merge-tree --write-tree -z --name-only --messages \\
  ${mergeSides.side} ${mergeSides.work} > "$repository/x1-merge" || code=$?
if [ "$code" -gt 1 ]; then report limit 'git could not bring the two together'; exit 65; fi
tree= part=tree count=0
while IFS= read -r -d '' word; do
  if [ "$part" = tree ]; then tree=$word part=names
  elif [ "$part" = names ]; then
    if [ -z "$word" ]; then part=said; continue; fi
    count=$((count + 1))
    if [ "$count" -le "$max_named" ]; then report conflict "$word"; fi
  else
    case $word in 'CONFLICT ('*'): '*)
      said=$((\${said:-0} + 1))
      if [ "$said" -le "$max_named" ]; then report said "\${word:0:500}"; fi ;;
    esac
  fi
done < "$repository/x1-merge"
if [ "$count" -gt "$max_named" ]; then report conflict "and $((count - max_named)) more"; fi
report tree "$tree"
if [ "$code" -eq 1 ]; then report done conflict
elif [ "$tree" = "$(git rev-parse "$base^{tree}")" ]; then report done unchanged; exit 0
else report done changed; fi
temporary=$(git commit-tree "$tree" -p "$base" -m merged)
git update-ref refs/x1/collected "$temporary"
git -c pack.window=0 -c core.compression=1 bundle create --quiet --version=2 - refs/x1/collected "^$base"
`;

export type MergeRequest = {
  /** What the result stands on. */
  base: string;
  side: string;
  work: string;
  from: string | null;
  /** Where the bundle goes. */
  file: string;
  signal?: AbortSignal;
};

/** `unchanged`: the base holds the change already. Names and words are the commits' authors', with controls as escapes. */
export type Merged =
  | { kind: "unchanged" }
  | { kind: "clean"; file: string }
  | { kind: "conflict"; file: string; paths: string[]; said: string[] };

const LIMITS = {
  maxNamed: 100,
  maxBundleBytes: 512 * 1024 ** 2,
  memoryBytes: 1024 ** 3,
  timeoutMs: 300_000,
} as const;

/** Runs the script above; a refusal says what git said. The base, both sides and `from` must be in the tool's base repository. */
export async function mergeChange(tool: Workspace, request: MergeRequest): Promise<Outcome<Merged>> {
  const { base, side, work, from, file } = request;
  for (const id of [base, side, work, ...(from === null ? [] : [from])])
    if (!isCommitId(id)) throw new TypeError("a merge needs whole commit ids");
  await mkdir(dirname(file), { recursive: true });
  const out = createWriteStream(file, { mode: 0o600 });
  const closed = finished(out);
  const repository = `${inside.work}/merge.git`;
  const words = [repository, inside.base, base, side, work, from ?? "", String(LIMITS.maxNamed)];
  let result: Awaited<ReturnType<Workspace["exec"]>>;
  try {
    result = await tool.exec({
      argv: bash(mergeScript, ...words),
      cwd: inside.work,
      env: { ...insideGitEnvironment, X1_MEMORY_KB: String(LIMITS.memoryBytes / 1024) },
      network: "none",
      maxOutputBytes: LIMITS.maxBundleBytes,
      memoryBytes: LIMITS.memoryBytes,
      timeoutMs: LIMITS.timeoutMs,
      stdout: out,
      ...(request.signal ? { signal: request.signal } : {}),
    });
  } finally {
    if (!out.writableEnded) out.end();
    await closed.catch(() => {});
  }
  const report = parseReport(result.output);
  const texts = (kind: string) =>
    report.filter((line) => line.kind === kind).map(({ text }) => visible(text.trim()).slice(0, 500));
  const [done] = texts("done");
  if (result.exitCode !== 0 || result.limitHit || !done) {
    await rm(file, { force: true });
    const why =
      texts("limit")[0] ??
      (result.timedOut ? "it took too long" : result.limitHit ? `the ${result.limitHit} limit was reached` : null) ??
      visible(result.output.toString("utf8").slice(-300).trim());
    return refuse("conflict", `The change could not be laid on ${side.slice(0, 12)}: ${why}.`);
  }
  if (done === "unchanged") {
    await rm(file, { force: true });
    return accept({ kind: "unchanged" });
  }
  if (done === "conflict") return accept({ kind: "conflict", file, paths: texts("conflict"), said: texts("said") });
  return accept({ kind: "clean", file });
}
