import { PassThrough, Readable } from "node:stream";
import type { LfsContent } from "@x1agent/contract";
import type { Workspace } from "@x1agent/workspaces";
import { pointerText } from "../git/index.ts";

/**
 * What an attempt leaves for the next one: the CLI's session files by the manifest's patterns, and the work tree as the
 * collected bundle. Both are made and unpacked inside a workspace: to the service they are bytes.
 */
const MAX_HOME = 256 * 1024 ** 2;
const SAVE_MS = 60_000;

/** Plain files only, links never followed: a pattern cannot lead out of the home. */
const saveScript = `
set -eu -o pipefail
cd /home/agent
args=()
for pattern in "$@"; do args+=(-o -path "./$pattern"); done
find . -xdev -type f \\( "\${args[@]:1}" \\) -print0 | head -z -n 10000 | tar --create --file=- --null --no-recursion --files-from=-
`;
const restoreHomeScript = `
set -eu
tar --extract --file=- --directory=/home/agent --no-same-owner --no-same-permissions --keep-old-files
`;
const restoreWorkScript = `
set -eu -o pipefail
cd /workspace
bundle=$(mktemp) changed=$(mktemp)
cat > "$bundle"
commit=$(git bundle unbundle "$bundle" refs/x1/collected | cut -d ' ' -f 1)
rm -f "$bundle"
# Laid content that the author changed is a file like others; what nobody changed stays laid.
git diff-index --cached --name-only --no-renames -z "$commit" | sort -z > "$changed"
git ls-files -t -z | sed -z -n 's/^S //p' | sort -z | comm -z -12 - "$changed" | git update-index --no-skip-worktree -z --stdin
rm -f "$changed"
# The files of the collected tree over the base's history: the work looks as its author left it, uncommitted.
git read-tree --reset -u "$commit"
git reset --quiet
`;
// A file that became something else on the way is left as it is.
const layContentScript = `
set -eu
cd /workspace
while IFS= read -r -d '' path && IFS= read -r -d '' pointer && IFS= read -r -d '' blob; do
  if [ -L "./$path" ] || [ ! -f "./$path" ] || [ "$(stat -c %s -- "./$path")" -gt 200 ]; then continue; fi
  if [ "$(tr -d '\\0' < "./$path"; echo .)" = "$pointer." ]; then GIT_DIR=/x1/base.git git cat-file blob "$blob" > "./$path"; fi
done
`;

/** Glob of a manifest to a pattern of find, whose star also crosses folders. Pure. */
export const findPattern = (glob: string): string => glob.replace(/^\.?\//, "").replaceAll(/\*+/g, "*");

/** The session files as one tar, or null when there are none or they are beyond the cap. */
export async function saveSessionFiles(
  workspace: Workspace,
  patterns: readonly string[],
  signal?: AbortSignal,
): Promise<Buffer | null> {
  if (patterns.length === 0) return null;
  const parts: Buffer[] = [];
  const stdout = new PassThrough();
  stdout.on("data", (part: Buffer) => parts.push(part));
  const result = await workspace.exec({
    argv: ["/bin/bash", "-c", saveScript, "x1", ...patterns.map(findPattern)],
    cwd: "/",
    network: "none",
    stdout,
    maxOutputBytes: MAX_HOME,
    timeoutMs: SAVE_MS,
    ...(signal ? { signal } : {}),
  });
  if (result.exitCode !== 0 || result.limitHit) return null;
  const tar = Buffer.concat(parts);
  // An archive of nothing is two blocks of zeros.
  return tar.some((byte) => byte !== 0) ? tar : null;
}

/** Unpacks session files into a fresh home; false when that failed. */
export const restoreSessionFiles = (workspace: Workspace, tar: Buffer): Promise<boolean> =>
  feed(workspace, restoreHomeScript, tar);
/** Lays a collected bundle over a fresh checkout of its base; false when that failed. */
export const restoreWork = (workspace: Workspace, bundle: Buffer): Promise<boolean> =>
  feed(workspace, restoreWorkScript, bundle);
/** Puts LFS content of the job's repository in the place of its pointers; false when that failed. */
export const layContent = (workspace: Workspace, content: readonly LfsContent[]): Promise<boolean> =>
  feed(
    workspace,
    layContentScript,
    Buffer.from(content.map((one) => `${one.path}\0${pointerText(one)}\0${one.blob}\0`).join("")),
  );

async function feed(workspace: Workspace, script: string, input: Buffer): Promise<boolean> {
  const result = await workspace.exec({
    argv: ["/bin/bash", "-c", script, "x1"],
    cwd: "/workspace",
    env: {
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_CONFIG_GLOBAL: "/dev/null",
      GIT_CONFIG_COUNT: "1",
      GIT_CONFIG_KEY_0: "safe.directory",
      GIT_CONFIG_VALUE_0: "*",
    },
    network: "none",
    stdin: Readable.from([input]),
    maxOutputBytes: 64 * 1024,
    timeoutMs: 300_000,
  });
  return result.exitCode === 0;
}
