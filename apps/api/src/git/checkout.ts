import { Fault } from "@x1agent/contract";
import type { ExecSpec, Workspace } from "@x1agent/workspaces";
import { bash, inside, insideGitEnvironment } from "./inside.ts";
import { contentFunctions } from "./lay.ts";
import { isBranchName, isCommitId } from "./mirror.ts";

/**
 * Files come from the read-only base repository by reference; only the work tree is written, by several workers. The
 * repository that is left for the agent is an ordinary one with no hook and no filter. Each program that is started here
 * is waited for by the agent's own start.
 */
const checkoutScript = `${contentFunctions}
set -eu
work=$1 base=$2 commit=$3 branch=$4 remote=$5 address=$6
cd "$work"
git init --quiet --template= --initial-branch="$branch" .
mkdir -p .git/info
printf '%s\\n' "$base/objects" > .git/objects/info/alternates
printf '[gc]\\n\\tauto = 0\\n' >> .git/config
if [ -n "$address" ]; then
  git config "remote.$remote.url" "$address"
  git config "remote.$remote.fetch" "+refs/heads/*:refs/remotes/$remote/*"
fi
git -c checkout.workers=0 -c checkout.thresholdForParallelism=200 reset --quiet --hard "$commit"
# Content in a pointer's place is no change of the agent's.
if [ -f "$base/x1-content" ]; then
  laid=$(mktemp)
  lay_content "$base" "$commit" > "$laid"
  git update-index -z --skip-worktree --stdin < "$laid"
  rm -f "$laid"
fi
`;

export type CheckoutRequest = {
  commit: string;
  /** Name of the branch that the work tree is on. */
  branch?: string;
  /** Fetch-only address, e.g. the sidecar's git proxy; none for verification. */
  origin?: string | null;
  timeoutMs?: number;
};

/** The command that makes /workspace a checkout of one commit of /x1/base.git. Pure. */
export function checkoutCommand(request: CheckoutRequest): ExecSpec {
  const branch = request.branch ?? "work";
  if (!isCommitId(request.commit)) throw new TypeError("checkout needs a whole commit id");
  if (!isBranchName(branch)) throw new TypeError("checkout needs a valid branch name");
  return {
    argv: bash(checkoutScript, inside.work, inside.base, request.commit, branch, "origin", request.origin ?? ""),
    cwd: inside.work,
    env: insideGitEnvironment,
    network: "none",
    maxOutputBytes: 64 * 1024,
    timeoutMs: request.timeoutMs ?? 600_000,
  };
}

/** Runs `checkoutCommand`; a failure is a Fault, since the base was proven to exist. */
export async function checkout(
  workspace: Workspace,
  request: CheckoutRequest & { signal?: AbortSignal },
): Promise<void> {
  const spec = checkoutCommand(request);
  const result = await workspace.exec(request.signal ? { ...spec, signal: request.signal } : spec);
  if (result.exitCode === 0) return;
  const why = result.timedOut
    ? "it took too long"
    : (result.limitHit ?? result.output.toString("utf8").slice(-500).trim());
  throw new Fault("internal", `The checkout of ${request.commit} failed: ${why || "no reason given"}`);
}

const restoreScript = `${contentFunctions}
set -eu
cd "$1"
base=$2 objects=$3 list=$(mktemp)
cat > "$list"
# What the change put there goes; what the base had comes back. A name that the base never had stays away.
xargs -0 -r rm -rf -- < "$list"
git --literal-pathspecs ls-tree -r -z --name-only --full-tree "$base" > "$list.base"
sort -z -u "$list" | comm -z -12 - <(sort -z -u "$list.base") > "$list.both"
if [ -s "$list.both" ]; then
  git --literal-pathspecs checkout --quiet --ignore-skip-worktree-bits "$base" --pathspec-from-file="$list.both" --pathspec-file-nul
  lay_content "$objects" "$base" > /dev/null
fi
rm -f "$list" "$list.base" "$list.both"
`;

/** The command that puts the base's own version of the given paths (NUL-separated on standard input) into /workspace. Pure. */
export function restoreCommand(base: string, timeoutMs = 120_000): ExecSpec {
  if (!isCommitId(base)) throw new TypeError("restore needs a whole commit id");
  return {
    argv: bash(restoreScript, inside.work, base, inside.base),
    cwd: inside.work,
    env: insideGitEnvironment,
    network: "none",
    maxOutputBytes: 64 * 1024,
    timeoutMs,
  };
}
