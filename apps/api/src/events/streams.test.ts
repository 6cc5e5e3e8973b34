import { createServer, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { createClient, type LiveEvent } from "@x1agent/client";
import type { StoredEvent } from "@x1agent/contract";
import { afterEach, describe, expect, it } from "vitest";
import { createHub, type Hub } from "./hub.ts";
import { createEventStreams, type EventStreams, MAX_QUEUE } from "./streams.ts";

const stored = (seq: number, text = "x"): StoredEvent => ({
  seq,
  ts: "2026-01-01T00:00:00.000Z",
  type: "agent.text",
  source: "reported",
  attemptId: null,
  turn: null,
  origin: null,
  payload: { messageId: "m", text },
});

type Stage = {
  url: string;
  port: number;
  log: StoredEvent[];
  hub: Hub;
  streams: EventStreams;
  server: Server;
  add(count: number, text?: string): void;
};
let stage: Stage | undefined;

/** The real fan-out behind a real listener; the database is a list that only grows. */
async function open(options: { dropAfter?: number; stillValid?: () => Promise<boolean> } = {}): Promise<Stage> {
  const log: StoredEvent[] = [];
  const hub = createHub();
  const streams = createEventStreams({
    hub,
    onError: (error) => {
      throw error;
    },
    async read(_organization, _job, after, limit) {
      const page = log.filter((event) => event.seq > after).slice(0, limit);
      await delay(1);
      return page;
    },
  });
  let connections = 0;
  const server = createServer((request, response) => {
    connections += 1;
    streams.serve(response, {
      organizationId: "o",
      jobId: "j",
      after: Number(request.headers["last-event-id"] ?? 0),
      live: !request.url?.includes("live=false"),
      ...(options.stillValid ? { stillValid: options.stillValid } : {}),
    });
    const { dropAfter } = options;
    if (dropAfter !== undefined && connections <= 5) setTimeout(() => response.destroy(), dropAfter);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  stage = {
    url: `http://127.0.0.1:${port}`,
    port,
    log,
    hub,
    streams,
    server,
    add(count, text) {
      for (let i = 0; i < count; i += 1) log.push(stored(log.length + 1, text));
      streams.wake("j");
    },
  };
  return stage;
}

afterEach(async () => {
  stage?.streams.close();
  stage?.server.closeAllConnections();
  await new Promise<void>((resolve) => (stage ? stage.server.close(() => resolve()) : resolve()));
  stage = undefined;
});

async function read(url: string, after: number, until: (event: LiveEvent) => boolean): Promise<LiveEvent[]> {
  const stop = new AbortController();
  const seen: LiveEvent[] = [];
  const guard = setTimeout(() => stop.abort(), 10_000);
  for await (const event of createClient({ baseUrl: url, token: "t" }).events("j", { after, signal: stop.signal })) {
    seen.push(event);
    if (until(event)) break;
  }
  clearTimeout(guard);
  return seen;
}
const numbers = (events: LiveEvent[]) => events.map((event) => event.seq).filter((seq) => seq !== null);
const upTo = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

describe("event streams", () => {
  it("replay from any number and go on live, every event once and in order", async () => {
    const { url, add } = await open();
    add(1_200);
    const feeding = (async () => {
      for (let i = 0; i < 40; i += 1) {
        add(5);
        await delay(2);
      }
    })();
    const [all, late] = await Promise.all([
      read(url, 0, (event) => event.seq === 1_400),
      read(url, 700, (event) => event.seq === 1_400),
    ]);
    await feeding;
    expect(numbers(all)).toEqual(upTo(1, 1_400));
    expect(numbers(late)).toEqual(upTo(701, 1_400));
  });

  it("survive broken connections: the client loses and repeats nothing", async () => {
    const { url, add } = await open({ dropAfter: 30 });
    add(100);
    const feeding = (async () => {
      for (let i = 0; i < 60; i += 1) {
        add(3);
        await delay(5);
      }
    })();
    const seen = await read(url, 0, (event) => event.seq === 280);
    await feeding;
    expect(numbers(seen)).toEqual(upTo(1, 280));
  });

  it("carry deltas without a number to live watchers only", async () => {
    const { url, add, hub, streams } = await open();
    add(2);
    const reading = read(url, 0, (event) => event.seq === 3);
    const publish = setInterval(() => {
      if (streams.size === 1) hub.publish("o", "j", { ...stored(1), payload: { messageId: "m", delta: "d" } } as never);
    }, 5);
    await delay(60);
    clearInterval(publish);
    hub.publish("other", "j", { ...stored(1), payload: { delta: "foreign" } } as never);
    add(1);
    const seen = await reading;
    expect(numbers(seen).at(-1)).toBe(3);
    expect(JSON.stringify(seen)).not.toContain("foreign");
  });

  it("end after the replay when live is not wanted", async () => {
    const { url, add } = await open();
    add(3);
    const text = await (await fetch(`${url}/?live=false`)).text();
    expect(text.match(/^id: \d+$/gm)).toEqual(["id: 1", "id: 2", "id: 3"]);
  });

  it("drop a live subscriber that stops reading, and keep the others", async () => {
    const { url, port, add, streams } = await open();
    const slow = connect(port, "127.0.0.1");
    slow.on("error", () => undefined);
    slow.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    slow.pause();
    const reading = read(url, 0, (event) => event.seq === 400);
    await expect.poll(() => streams.size).toBe(2);
    await delay(20);
    const text = "y".repeat(MAX_QUEUE / 16);
    for (let i = 0; i < 40; i += 1) {
      add(10, text);
      await delay(2);
    }
    expect(numbers(await reading)).toEqual(upTo(1, 400));
    await expect.poll(() => streams.size, { timeout: 30_000 }).toBe(0);
    slow.destroy();
  });

  it("end within seconds when the reader's token is gone", async () => {
    let answer: "valid" | "gone" = "valid";
    let asked = 0;
    const { url } = await open({
      async stillValid() {
        asked += 1;
        return answer !== "gone";
      },
    });
    const response = await fetch(url);
    const ended = response.text();
    await expect.poll(() => asked, { timeout: 30_000 }).toBeGreaterThan(0);
    expect(await Promise.race([ended.then(() => "ended"), delay(50, "open")])).toBe("open");
    answer = "gone";
    expect(await Promise.race([ended.then(() => "ended"), delay(30_000, "open")])).toBe("ended");
  });

  it("forget a job that nobody watches", async () => {
    const { url, add, streams } = await open();
    add(1);
    await read(url, 0, () => true);
    await expect.poll(() => streams.size).toBe(0);
  });
});
