import type { LiveEvent } from "@x1agent/client";
import { useEffect, useReducer, useRef } from "react";
import { client, queryClient } from "../../../lib/client.ts";
import { untilSeen, whileSeen } from "../../../lib/seen.ts";
import { StoryRows } from "../story/rows.ts";

/** A job's story so far. `events` and `rows` grow in place; a new object says that they did. */
export type Story = {
  events: readonly LiveEvent[];
  rows: StoryRows["rows"];
  /** What the agent is writing right now. */
  streaming: string;
  lost: boolean;
  error: unknown;
};
/** Longest unfinished text shown; the finished message replaces it. */
const MAX_STREAMING = 20_000;
/** Shown at most once in this time, in ms: a replay brings thousands of events at once. */
const FRAME_MS = 50;
/** Out of sight for this long, in ms, a page gives its connection back: a browser has six to a service, for all of its tabs. */
const UNSEEN_MS = 10_000;

/**
 * All events of a job and what is being written now, from one stream that takes itself up after a lost connection: an
 * event is neither missed nor taken twice. Each that moves the job has its facts asked for again.
 */
export function useStory(jobId: string): Story {
  const [, show] = useReducer((count: number) => count + 1, 0);
  const held = useRef({
    events: [] as LiveEvent[],
    rows: new StoryRows(),
    streaming: "",
    lost: false,
    error: null as unknown,
  });
  useEffect(() => {
    const end = new AbortController();
    const story = {
      events: [] as LiveEvent[],
      rows: new StoryRows(),
      streaming: "",
      lost: false,
      error: null as unknown,
    };
    held.current = story;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let moved = false;
    const later = () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        show();
        if (moved) void queryClient.invalidateQueries({ queryKey: ["job", jobId] });
        moved = false;
      }, FRAME_MS);
    };
    const take = (event: LiveEvent) => {
      const { type, seq, payload } = event;
      story.lost = false;
      if (type === "agent.text")
        story.streaming = seq === null ? (story.streaming + String(payload.delta ?? "")).slice(-MAX_STREAMING) : "";
      else if (type === "turn.ended") story.streaming = "";
      if (seq !== null) {
        // The stream begins anew after the last one it has seen; a repeated one would still be one event.
        if (seq <= (story.events.at(-1)?.seq ?? 0)) return;
        story.events.push(event);
        story.rows.add(event);
      }
      moved ||= /^(job|permission|verification|approval|publication|cost|evidence|forge)\./.test(type);
      later();
    };
    const follow = async () => {
      const onReconnect = () => {
        story.lost = true;
        later();
      };
      // A job that only waits says nothing more: that the connection stands is enough.
      const onConnect = () => {
        if (!story.lost) return;
        story.lost = false;
        show();
      };
      while (!end.signal.aborted) {
        await untilSeen(end.signal);
        const signal = whileSeen(UNSEEN_MS, end.signal);
        const after = story.events.at(-1)?.seq ?? 0;
        for await (const event of client.events(jobId, { after, signal, onReconnect, onConnect })) take(event);
        // Its beginning would stand before what is written meanwhile.
        story.streaming = "";
      }
    };
    show();
    follow().catch((error: unknown) => {
      if (end.signal.aborted) return;
      story.error = error;
      later();
    });
    return () => {
      clearTimeout(timer);
      end.abort();
    };
  }, [jobId]);
  const { events, rows, streaming, lost, error } = held.current;
  return { events, rows: rows.rows, streaming, lost, error };
}
