import { useVirtualizer } from "@tanstack/react-virtual";
import { ArrowDown, CircleAlert, Copy, Download } from "lucide-react";
import { useDeferredValue, useLayoutEffect, useMemo, useRef, useState } from "react";
import { Button } from "../../../components/button.tsx";
import { Failure } from "../../../components/states.tsx";
import { Tooltip } from "../../../components/tooltip.tsx";
import { visible } from "../../../lib/format.ts";
import { useShortcuts } from "../../../lib/shortcuts.ts";
import { useWhoByText } from "../../../lib/who.ts";
import type { Story as StoryData } from "../api/events.ts";
import { RowView } from "./row-view.tsx";
import { isTrouble, markdownOf, type Row, wordsOf } from "./rows.ts";
import "./story.css";

type Props = { story: StoryData; jobId: string; title: string; runtime: string };

/**
 * The timeline. Only what is near the screen is in the page; it scrolls along while the reader is at its end and stays
 * where they are otherwise.
 */
export function Story({ story, jobId, title, runtime }: Props) {
  const [search, setSearch] = useState("");
  const name = useWhoByText();
  const words = useDeferredValue(search.trim().toLowerCase());
  const count = story.rows.length;
  // The rows are one array that grows: their count stands for their change.
  // biome-ignore lint/correctness/useExhaustiveDependencies: see above
  const rows: readonly Row[] = useMemo(
    () => (words ? story.rows.filter((row) => wordsOf(row, name).toLowerCase().includes(words)) : story.rows),
    [words, count, story.rows, name],
  );
  const box = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const lastTop = useRef(0);
  const [behind, setBehind] = useState(false);
  const list = useVirtualizer({
    count: rows.length,
    getScrollElement: () => box.current,
    estimateSize: () => 32,
    overscan: 12,
    getItemKey: (index) => rows[index]?.seq ?? index,
  });
  const height = list.getTotalSize();
  // Rows get their true height only when they are shown: the end moves until the last is measured.
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new line or a new height is what this waits for
  useLayoutEffect(() => {
    if (atEnd.current && box.current) box.current.scrollTop = box.current.scrollHeight;
    else setBehind(rows.length > 0);
  }, [rows.length, height]);
  const toEnd = () => {
    atEnd.current = true;
    setBehind(false);
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
  };
  const trouble = rows.findIndex(isTrouble);
  const toTrouble = () => {
    atEnd.current = false;
    list.scrollToIndex(trouble, { align: "start" });
    box.current?.focus();
  };
  useShortcuts({ e: () => trouble >= 0 && toTrouble() });
  return (
    <>
      {story.error ? <Failure error={story.error} /> : null}
      {story.lost ? <p role="status">Connection lost; reconnecting, nothing is skipped.</p> : null}
      <div className="story-bar">
        <input
          type="search"
          aria-label="Search this story"
          placeholder="Search this story"
          value={search}
          onChange={(event) => setSearch(event.target.value)}
        />
        <span className="quiet" role="status">
          {words ? `${rows.length.toLocaleString("en")} of ` : ""}
          {count.toLocaleString("en")} lines
        </span>
        {trouble >= 0 ? (
          <Tooltip label={<kbd>e</kbd>}>
            <Button onClick={toTrouble}>
              <CircleAlert size={16} aria-hidden /> First error
            </Button>
          </Tooltip>
        ) : null}
        <Tooltip label="As Markdown">
          <Button onClick={() => void navigator.clipboard.writeText(visible(markdownOf(rows, title, runtime, name)))}>
            <Copy size={16} aria-hidden /> Copy
          </Button>
        </Tooltip>
        <Tooltip label="Every event, to a file">
          <Button onClick={() => save(`${jobId}.jsonl`, story.events)}>
            <Download size={16} aria-hidden /> JSON lines
          </Button>
        </Tooltip>
      </div>
      <div className="story-frame">
        <section
          ref={box}
          className="story"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling box must be reachable by keyboard
          tabIndex={0}
          aria-label="Story"
          onScroll={({ currentTarget: at }) => {
            // Only going up leaves the end: growth alone does not.
            const near = at.scrollHeight - at.scrollTop - at.clientHeight < 80;
            atEnd.current = near || (atEnd.current && at.scrollTop >= lastTop.current);
            lastTop.current = at.scrollTop;
            if (atEnd.current) setBehind(false);
          }}
        >
          <div style={{ height, position: "relative" }}>
            {list.getVirtualItems().map((item) => {
              const row = rows[item.index];
              return row ? (
                <div
                  key={item.key}
                  ref={list.measureElement}
                  data-index={item.index}
                  className="event"
                  style={{ transform: `translateY(${item.start}px)` }}
                >
                  <RowView row={row} jobId={jobId} runtime={runtime} name={name} />
                </div>
              ) : null;
            })}
          </div>
          {story.streaming && !words ? (
            <p className="row reported text streaming">
              <span className="hidden">Being written by {runtime}: </span>
              {visible(story.streaming)}
            </p>
          ) : null}
          {count === 0 && !story.streaming ? (
            <p className="quiet">Nothing has happened yet: the job waits for its turn.</p>
          ) : null}
        </section>
        {behind ? (
          <Button className="button to-end" onClick={toEnd}>
            <ArrowDown size={16} aria-hidden /> New lines
          </Button>
        ) : null}
      </div>
    </>
  );
}

/** Hands a file to the browser that holds one event a line. */
function save(name: string, events: StoryData["events"]): void {
  const url = URL.createObjectURL(
    new Blob(
      events.map((event) => `${JSON.stringify(event)}\n`),
      { type: "application/jsonl" },
    ),
  );
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
