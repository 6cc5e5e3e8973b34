import { PassThrough, Readable } from "node:stream";
import type { Workspace } from "@x1agent/workspaces";

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
bundle=$(mktemp)
cat > "$bundle"
commit=$(git bundle unbundle "$bundle" refs/x1/collected | cut -d ' ' -f 1)
rm -f "$bundle"
# The files of the collected tree over the base's history: the work looks as its author left it, uncommitted.
git read-tree --reset -u "$commit"
git reset --quiet
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
