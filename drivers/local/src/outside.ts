import { mkdir, stat } from "node:fs/promises";
import { userInfo } from "node:os";
import { join } from "node:path";
import { tryAgain } from "./machine.ts";
import type { Tools } from "./sandbox.ts";

/**
 * Who the processes of workspaces are for the rest of the machine. `root`: an unassigned uid each. `subordinate`: the same
 * for an ordinary user whom the administrator gave uids of his own (`/etc/subuid`): commands start in a user namespace in
 * which he is root and those uids are 1 and above, set up by `newuidmap`. `same`: the user himself.
 */
export type Outside =
  | { kind: "same"; reason: string | null }
  | { kind: "root" }
  | {
      kind: "subordinate";
      /** Puts a command into that user namespace. */
      enter: readonly string[];
      /** Uids there, from 1; uid 1 is `first` outside. */
      first: number;
      count: number;
      /** Where claims on uids lie, shared by all services of this user. */
      claims: string;
    };

/** What puts a command where it may act for workspaces: nothing for root. */
export const entering = (outside: Outside): readonly string[] => (outside.kind === "subordinate" ? outside.enter : []);

/** A workspace's uid as the machine knows it. */
export const outerUid = (outside: Outside, uid: number): number =>
  outside.kind === "subordinate" ? outside.first + uid - 1 : uid;

/** The block of `/proc/self/uid_map` that begins at uid 1; null where there is none. Pure. */
export function subordinateBlock(uidMap: string): { first: number; count: number } | null {
  for (const line of uidMap.split("\n")) {
    const [inner, outer, count] = line.trim().split(/\s+/).map(Number);
    if (inner === 1 && outer !== undefined && count !== undefined) return { first: outer, count };
  }
  return null;
}

const FEWEST = 64;

/** The account that the service runs as; null for a uid without one. */
export function ownAccount(): { username: string; homedir: string } | null {
  try {
    return userInfo();
  } catch {
    return null;
  }
}

/** Finds out by trying, as a workspace would be started; `trial` is a command in namespaces like one's. Never rejects. */
export async function findOutside(
  tools: Tools,
  { stage, overlayDir, trial }: { stage: string; overlayDir: string; trial: readonly string[] },
): Promise<Outside> {
  if (process.getuid?.() === 0) return { kind: "root" };
  const same = (reason: string): Outside => ({ kind: "same", reason });
  const { unshare, setpriv } = tools;
  if (!unshare || !setpriv) return same("util-linux is missing");
  // Other uids must be able to read what the service makes.
  if ((process.umask() & 0o005) !== 0) return same("the service's umask closes its files to other uids");
  const mode = await stat(join(overlayDir, "agent")).then(
    (info) => info.mode,
    () => 0o755,
  );
  if ((mode & 0o005) !== 0o005) return same(`${overlayDir} is closed to other uids`);
  const account = ownAccount();
  if (!account) return same("your uid has no account");
  const claims = join(account.homedir, ".cache/x1agent/uids");
  try {
    await mkdir(claims, { recursive: true, mode: 0o700 });
  } catch {
    return same(`${claims} cannot be made`);
  }
  const enter = [unshare, "-U", "-r", "--map-auto", "--"];
  const script = `cat /proc/self/uid_map; mount -t tmpfs x1 ${stage} && exec ${setpriv} --reuid=1 --regid=1 --clear-groups -- "$@"`;
  const inside = [unshare, "-m", "--propagation", "private", "--", "/bin/sh", "-c", script, "x1-try", ...trial];
  const tried = await tryAgain([...enter, ...inside]);
  const block = tried.ok ? subordinateBlock(tried.output) : null;
  if (!block)
    return same(`newuidmap does not give you subordinate uids: ${tried.detail.slice(-200) || "no block of them"}`);
  if (block.count < FEWEST) return same(`/etc/subuid gives you only ${block.count} uids`);
  return { kind: "subordinate", enter, ...block, claims };
}
