import { useSyncExternalStore } from "react";
import type { Job } from "../../lib/jobs.ts";

const KEY = "x1.dismissed";
const MAX = 500;
/** A job that ended longer ago than this is the past: it stands in the list of jobs. */
const DAYS_14 = 14 * 86_400_000;

let kept: readonly string[] | undefined;
const watchers = new Set<() => void>();
function read(): readonly string[] {
  if (kept) return kept;
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    kept = Array.isArray(stored) ? stored.filter((entry) => typeof entry === "string") : [];
  } catch {
    kept = [];
  }
  return kept;
}
const subscribe = (watcher: () => void) => {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
};
const key = (job: Job) => `${job.id} ${job.updatedAt}`;

/**
 * Ended jobs that this browser's reader has put away, by job and time: an attempt that fails again comes back. Nobody
 * else's inbox changes.
 */
export function useDismissed(): { isOpen(job: Job): boolean; dismiss(job: Job): void } {
  const gone = useSyncExternalStore(subscribe, read);
  return {
    isOpen: (job) =>
      job.endedAt === null || (Date.now() - Date.parse(job.endedAt) < DAYS_14 && !gone.includes(key(job))),
    dismiss(job) {
      kept = [...gone, key(job)].slice(-MAX);
      localStorage.setItem(KEY, JSON.stringify(kept));
      for (const watcher of watchers) watcher();
    },
  };
}
