import { useVirtualizer } from "@tanstack/react-virtual";
import type { LiveEvent } from "@x1agent/client";
import { BadgeCheck, MessageSquareQuote } from "lucide-react";
import { useEffect, useRef } from "react";
import { Age } from "../../../components/age.tsx";
import { Failure } from "../../../components/states.tsx";
import { visible } from "../../../lib/format.ts";
import type { Story as StoryData } from "../api/events.ts";
import { detailOf, titleOf } from "../story-text.ts";

/** The timeline. Only what is near the screen is in the page; it scrolls along while the reader is at its end. */
export function Story({ story, runtime }: { story: StoryData; runtime: string }) {
  const box = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const rows = useVirtualizer({
    count: story.events.length,
    getScrollElement: () => box.current,
    estimateSize: () => 36,
    overscan: 12,
    getItemKey: (index) => story.events[index]?.seq ?? index,
  });
  const count = story.events.length;
  useEffect(() => {
    if (atEnd.current && count > 0) rows.scrollToIndex(count - 1, { align: "end" });
  }, [count, rows]);
  return (
    <>
      {story.error ? <Failure error={story.error} /> : null}
      {story.lost ? <p role="status">Connection lost; reconnecting, nothing is skipped.</p> : null}
      <section
        ref={box}
        className="story"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling box must be reachable by keyboard
        tabIndex={0}
        aria-label="Story"
        onScroll={({ currentTarget: at }) => {
          atEnd.current = at.scrollHeight - at.scrollTop - at.clientHeight < 80;
        }}
      >
        <div style={{ height: rows.getTotalSize(), position: "relative" }}>
          {rows.getVirtualItems().map((row) => {
            const event = story.events[row.index];
            return event ? (
              <div
                key={row.key}
                ref={rows.measureElement}
                data-index={row.index}
                className="event"
                style={{ transform: `translateY(${row.start}px)` }}
              >
                <EventRow event={event} runtime={runtime} />
              </div>
            ) : null;
          })}
        </div>
        {story.streaming ? <p className="reported text">{visible(story.streaming)}</p> : null}
      </section>
    </>
  );
}

function EventRow({ event, runtime }: { event: LiveEvent; runtime: string }) {
  const observed = event.source === "observed";
  const detail = detailOf(event);
  const title = visible(titleOf(event));
  return (
    <div className={observed ? "observed" : "reported"}>
      <span className="who" title={observed ? "Observed by the platform" : `Reported by ${runtime}`}>
        {observed ? <BadgeCheck size={16} aria-hidden /> : <MessageSquareQuote size={16} aria-hidden />}
        <span className="hidden">{observed ? "Observed" : `Reported by ${runtime}`}</span>
      </span>
      {event.type === "agent.text" ? (
        <p className="text">{title}</p>
      ) : detail ? (
        <details>
          <summary>{title}</summary>
          <pre>{visible(detail)}</pre>
        </details>
      ) : (
        <span>{title}</span>
      )}
      <Age at={event.ts} />
    </div>
  );
}
