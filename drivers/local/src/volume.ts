import { chmod, chown, mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "@x1agent/contract";
import type { WorkspaceSpec } from "@x1agent/workspaces";
import { tryAgain, tryProgram } from "./machine.ts";
import { entering, type Outside } from "./outside.ts";
import type { WorkspacePaths } from "./spec.ts";

/** Milliseconds after which a volume without a record is nobody's; to make or remove one takes far less. */
const TORN_MS = 30_000;

/** What `spec.json` beside a volume holds: the order without its secrets, and whose it is. `uid` is null where it is the service's own. */
export type StoredSpec = Omit<WorkspaceSpec, "sidecar" | "hostToken"> & {
  startedAt: string;
  ownerPid: number;
  uid: number | null;
};

/** Where the parts of a volume lie, on this side. Pure. */
export const volumePaths = (dir: string): WorkspacePaths => ({
  work: join(dir, "work"),
  home: join(dir, "home"),
  tmp: join(dir, "tmp"),
  host: join(dir, "host"),
  sock: join(dir, "sock"),
  etc: join(dir, "../../driver/etc"),
});

/** Makes the folders of a volume and gives them to its uid. Rejects with a `Fault` where that cannot be done. */
export async function makeVolume(dir: string, uid: number | null, outside: Outside): Promise<WorkspacePaths> {
  const paths = volumePaths(dir);
  await mkdir(dir, { mode: uid === null ? 0o700 : 0o711 });
  for (const path of [paths.work, paths.home, paths.tmp, paths.host, paths.sock, join(dir, "root")])
    await mkdir(path, { mode: 0o700 });
  if (uid !== null && outside.kind === "subordinate") {
    // The host's folder is also this user's, who reads its journal and speaks to its sockets: by his group.
    const script =
      'u=$1; shift; chown "$u:$u" "$1" "$2" "$3" && chown "$u:0" "$4" && chmod 2770 "$4" && chown "$((u + 1)):$u" "$5" && chmod 0710 "$5"';
    const own = [paths.work, paths.home, paths.tmp, paths.host, paths.sock];
    const owned = await tryAgain([...outside.enter, "/bin/sh", "-c", script, "x1-own", String(uid), ...own]);
    if (!owned.ok) throw new Fault("isolation_unavailable", `A volume could not be given to its uid: ${owned.detail}`);
  } else if (uid !== null) {
    for (const path of [paths.work, paths.home, paths.tmp, paths.host]) await chown(path, uid, uid);
    // The sidecar makes its sockets here; the agent's group may connect.
    await chown(paths.sock, uid + 1, uid);
    await chmod(paths.sock, 0o710);
  }
  return paths;
}

/** Gives a volume with all that is in it to another uid: links themselves, never what they point to. */
export async function handOver(
  { work, home, tmp, host, sock }: WorkspacePaths,
  uid: number,
  outside: Outside,
): Promise<void> {
  const script =
    'u=$1 g=$2; shift 2; chown -R -h -P "$u:$u" "$1" "$2" "$3" && chown -R -h -P "$u:$g" "$4" && chown -R -h -P "$((u + 1)):$u" "$5"';
  const argv = ["/bin/sh", "-c", script, "x1-own", String(uid), String(outside.kind === "subordinate" ? 0 : uid)];
  const given = await tryAgain([...entering(outside), ...argv, work, home, tmp, host, sock]);
  if (!given.ok) throw new Fault("isolation_unavailable", `A volume could not be given to its uid: ${given.detail}`);
}

/** Puts a volume on record, whole or not at all. */
export async function writeSpec(dir: string, stored: StoredSpec): Promise<void> {
  await writeFile(join(dir, "spec.json.new"), JSON.stringify(stored), { mode: 0o600 });
  await rename(join(dir, "spec.json.new"), join(dir, "spec.json"));
}

/** What is on record of a volume; null for none, or one that cannot be read. */
export async function readStored(dir: string): Promise<StoredSpec | null> {
  try {
    return JSON.parse(await readFile(join(dir, "spec.json"), "utf8")) as StoredSpec;
  } catch {
    return null;
  }
}

/** A service that was killed while it made or removed a volume leaves one without a record: nothing runs in it, nobody will ask for it. */
export async function removeTorn(dir: string, outside: Outside): Promise<void> {
  const age = await stat(dir).then(
    ({ mtimeMs }) => Date.now() - mtimeMs,
    () => 0,
  );
  if (age > TORN_MS) await removeTree(dir, outside);
}

/** Removes a volume also where a command left folders that its owner may not write to. */
export async function removeTree(dir: string, outside: Outside): Promise<void> {
  try {
    await rm(dir, { recursive: true, force: true, maxRetries: 3 });
  } catch {
    // What belongs to a subordinate uid is removed by who is root over it.
    const [program = "", ...rest] =
      outside.kind === "subordinate"
        ? [...outside.enter, "/bin/rm", "-rf", "--", dir]
        : ["/usr/bin/chmod", "-R", "u+rwX", "--", dir];
    await tryProgram(program, rest, 60_000);
    await rm(dir, { recursive: true, force: true, maxRetries: 3 });
  }
}
