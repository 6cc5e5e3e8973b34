import { LineComment, MAX_LINE_COMMENTS } from "@x1agent/contract";
import { useCallback, useSyncExternalStore } from "react";

/** Remarks of one reviewer on one evidence that are not sent yet. They outlive a reload, and no more than one browser. */
const known = new Map<string, readonly LineComment[]>();
const listeners = new Set<() => void>();
const key = (evidenceId: string) => `x1.comments.${evidenceId}`;
const none: readonly LineComment[] = [];

function read(evidenceId: string): readonly LineComment[] {
  const inMemory = known.get(evidenceId);
  if (inMemory) return inMemory;
  let stored: readonly LineComment[] = none;
  try {
    const parsed: unknown = JSON.parse(localStorage.getItem(key(evidenceId)) ?? "[]");
    if (Array.isArray(parsed)) stored = parsed.slice(0, MAX_LINE_COMMENTS).map((one) => LineComment.parse(one));
  } catch {
    // No storage, or not ours: then there are none.
  }
  known.set(evidenceId, stored);
  return stored;
}

/** Replaces the remarks on an evidence. */
export function setComments(evidenceId: string, comments: readonly LineComment[]): void {
  known.set(evidenceId, comments.slice(0, MAX_LINE_COMMENTS));
  try {
    if (comments.length > 0) localStorage.setItem(key(evidenceId), JSON.stringify(comments));
    else localStorage.removeItem(key(evidenceId));
  } catch {
    // Full or forbidden: they live as long as the page.
  }
  for (const listener of listeners) listener();
}

export function useComments(evidenceId: string): readonly LineComment[] {
  const subscribe = useCallback((listener: () => void) => {
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
    };
  }, []);
  return useSyncExternalStore(subscribe, () => read(evidenceId));
}
