/** A live-only event (a text delta): shown to those who watch now, never stored, so it carries no number. */
export type LiveDelta = {
  ts: string;
  type: string;
  source: "reported" | "observed";
  attemptId: string | null;
  turn: number | null;
  origin: string | null;
  payload: Record<string, unknown>;
};

/** Hands deltas of this process's sessions to this process's watchers. */
export type Hub = {
  publish(organizationId: string, jobId: string, event: LiveDelta): void;
  /** Watches one job; returns the way to stop. */
  subscribe(organizationId: string, jobId: string, watch: (event: LiveDelta) => void): () => void;
};

/** Makes the in-process hub. Nobody watching costs one map look-up; nothing is queued here. */
export function createHub(): Hub {
  const watchers = new Map<string, Set<(event: LiveDelta) => void>>();
  const keyOf = (organizationId: string, jobId: string) => `${organizationId}/${jobId}`;
  return {
    publish(organizationId, jobId, event) {
      for (const watch of watchers.get(keyOf(organizationId, jobId)) ?? []) watch(event);
    },
    subscribe(organizationId, jobId, watch) {
      const key = keyOf(organizationId, jobId);
      const set = watchers.get(key) ?? new Set();
      watchers.set(key, set.add(watch));
      return () => {
        set.delete(watch);
        if (set.size === 0 && watchers.get(key) === set) watchers.delete(key);
      };
    },
  };
}
