import type { StoredEvent } from "@x1agent/contract";

type Reader = {
  listEvents(call: { params: { jobId: string }; query: { after: number; limit: number } }): Promise<{
    items: StoredEvent[];
    cursor: string | null;
  }>;
};

/** How a job's attempts ended, for the error of a test that waited for something else. */
export async function attemptEnds(client: Reader, jobId: string): Promise<string> {
  const events = await storedEvents(client, jobId).catch(() => []);
  const ends = events.filter(({ type }) => type === "attempt.ended" || type === "runtime.exited");
  return ends.map(({ ts, payload }) => `${ts} ${JSON.stringify(payload)}`).join("\n");
}

/** All that is stored of a job now, in order: what a test that looks at a stream for some time would miss on a slow machine. */
export async function storedEvents(client: Reader, jobId: string): Promise<StoredEvent[]> {
  const found: StoredEvent[] = [];
  for (;;) {
    const after = found.at(-1)?.seq ?? 0;
    const { items, cursor } = await client.listEvents({ params: { jobId }, query: { after, limit: 1_000 } });
    found.push(...items);
    if (cursor === null || items.length === 0) return found;
  }
}
