export { privateBytes, treeOf } from "../../bench/lib.ts";

import { readFileSync } from "node:fs";

/** Command line of a process, its words joined by blanks; empty for one that is gone. */
export function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return "";
  }
}
