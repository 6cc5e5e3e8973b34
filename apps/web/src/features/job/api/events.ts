import type { LiveEvent } from "@x1agent/client";
import { useEffect, useState } from "react";
import { client, queryClient } from "../../../lib/client.ts";

export type Story = { events: readonly LiveEvent[]; streaming: string; lost: boolean; error: unknown };
const nothing: Story = { events: [], streaming: "", lost: false, error: null };
/** Longest unfinished text shown; the finished message replaces it. */
const MAX_STREAMING = 20_000;

/**
 * All events of a job and what is being written now. Events arrive in bursts on replay, so they are shown once per
 * frame; each that moves the job has its facts asked for again.
 */
export function useStory(jobId: string): Story {
  const [story, setStory] = useState<Story>(nothing);
  useEffect(() => {
    const end = new AbortController();
    setStory(nothing);
    let fresh: LiveEvent[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    const show = () => {
      timer = undefined;
      const batch = fresh;
      fresh = [];
      setStory((before) => {
        let { streaming } = before;
        for (const { type, seq, payload } of batch)
          if (type === "agent.text")
            streaming = seq === null ? (streaming + String(payload.delta ?? "")).slice(-MAX_STREAMING) : "";
          else if (type === "turn.ended") streaming = "";
        const stored = batch.filter(({ seq }) => seq !== null);
        const events = stored.length > 0 ? [...before.events, ...stored] : before.events;
        return { events, streaming, lost: false, error: null };
      });
      if (batch.some(({ type }) => /^(job|permission|verification|approval|publication|cost)\./.test(type)))
        void queryClient.invalidateQueries({ queryKey: ["job", jobId] });
    };
    const follow = async () => {
      const onReconnect = () => setStory((before) => ({ ...before, lost: true }));
      for await (const event of client.events(jobId, { signal: end.signal, onReconnect })) {
        fresh.push(event);
        timer ??= setTimeout(show, 50);
      }
    };
    follow().catch((error: unknown) => {
      if (!end.signal.aborted) setStory((before) => ({ ...before, error }));
    });
    return () => {
      clearTimeout(timer);
      end.abort();
    };
  }, [jobId]);
  return story;
}
