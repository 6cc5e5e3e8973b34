import type { ServerResponse } from "node:http";
import { idOf } from "./journal.ts";
import type { Outlet } from "./outlet.ts";

/** Unsent bytes of one reader above which it waits for the socket; until then it only costs disk. */
const MAX_UNSENT = 1024 * 1024;

/**
 * Sends the journal to one reader from where it left off, and then what comes. A reader is a cursor into the journal: a slow
 * one is read to from disk at its own pace, and one that fell behind the oldest kept event is told of the gap.
 */
export function streamEvents(
  outlet: Outlet,
  response: ServerResponse,
  options: { lastEventId: string | null; heartbeatMs: number; signal: AbortSignal },
): void {
  const { journal } = outlet;
  const { cursor: start, gap } = journal.locate(options.lastEventId);
  let cursor = start;
  let lastId = options.lastEventId;
  let gapPending = gap;
  let scheduled = false;
  let waiting = false;

  response.writeHead(200, {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
  });
  response.write("retry: 1000\n\n");

  const pump = () => {
    scheduled = false;
    while (!response.destroyed && !response.writableEnded) {
      if (response.writableLength > MAX_UNSENT) {
        waiting = true;
        return;
      }
      const read = journal.read(cursor);
      if (read === null) {
        gapPending = true;
        cursor = journal.locate(null).cursor;
        continue;
      }
      if (read.bytes.length === 0) {
        if (options.signal.aborted) response.end();
        return;
      }
      const lines = read.bytes.toString("utf8").trimEnd().split("\n");
      let out = "";
      for (const line of lines) {
        const id = idOf(line);
        if (id === null) continue;
        if (gapPending) out += gapEvent(lastId, id);
        gapPending = false;
        out += `id: ${id}\ndata: ${line}\n\n`;
        lastId = id;
      }
      cursor = read.next;
      response.write(out);
    }
  };
  // Events come in bursts: one write for all of a tick.
  const wake = () => {
    if (scheduled || waiting) return;
    scheduled = true;
    setImmediate(pump);
  };
  const unsubscribe = outlet.subscribe(wake);
  // The host goes: what is written is still sent, then the stream ends.
  options.signal.addEventListener("abort", wake);
  const heartbeat = setInterval(() => {
    if (response.writableLength === 0) response.write(": beat\n\n");
  }, options.heartbeatMs);
  response.on("drain", () => {
    waiting = false;
    wake();
  });
  response.on("close", () => {
    unsubscribe();
    options.signal.removeEventListener("abort", wake);
    clearInterval(heartbeat);
  });
  wake();
}

/** It has no line in the journal and no `id:` of its own: it is about this reader, and is not to be resumed from. */
function gapEvent(afterId: string | null, resumedId: string): string {
  const payload = { afterId, resumedId, detail: "Events in between are no longer kept." };
  // Its place in the order is right before the event that follows; the id's last number may not go below zero.
  const [epoch = "0", sequence = "1"] = resumedId.split("-");
  const id = `${epoch}-${Math.max(0, Number(sequence) - 1)}`;
  const envelope = { id, ts: new Date().toISOString(), type: "stream.gap", source: "reported", payload };
  return `data: ${JSON.stringify(envelope)}\n\n`;
}
