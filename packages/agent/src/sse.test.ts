import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Outlet } from "./outlet.ts";
import { streamEvents } from "./sse.ts";

let dir: string;
let outlet: Outlet;
let server: Server;
let leaving: AbortController;
const responses: ServerResponse[] = [];
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "x1-sse-"));
  outlet = new Outlet(dir);
  leaving = new AbortController();
  server = createServer((incoming, response) => {
    responses.push(response);
    const lastEventId = incoming.headers["last-event-id"] as string | undefined;
    streamEvents(outlet, response, { lastEventId: lastEventId ?? null, heartbeatMs: 20, signal: leaving.signal });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  outlet.journal.close();
  responses.length = 0;
  rmSync(dir, { recursive: true, force: true });
});

const read = (): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    const { port } = server.address() as AddressInfo;
    const asked = request({ host: "127.0.0.1", port, agent: false }, (answer) => {
      // The server closes what is still open at a test's end.
      answer.on("error", () => {});
      resolve(answer);
    });
    asked.on("error", reject).end();
  });
const text = (count: number, from = 0) => {
  for (let at = 0; at < count; at += 1)
    outlet.write("agent.text", { messageId: `${from + at}`, text: "x".repeat(50_000) }, 1);
};

it("beats while nothing is said, tells what comes, and ends when the host goes", async () => {
  const answer = await read();
  let got = "";
  answer.setEncoding("utf8").on("data", (part: string) => (got += part));
  const ended = new Promise((resolve) => answer.once("end", resolve));
  await expect.poll(() => got.split(": beat\n\n").length).toBeGreaterThan(3);
  text(3);
  await expect.poll(() => got.split("\ndata: ").length).toBe(4);
  text(1, 3);
  leaving.abort();
  await ended;
  expect(got.match(/"messageId":"\d"/g)).toHaveLength(4);
});

it("keeps for a reader that does not read its place on disk, and nothing in memory", async () => {
  text(600);
  const answer = await read();
  answer.pause();
  const [response] = responses;
  const most = () => response?.writableLength ?? 0;
  let last = -1;
  // Until the socket takes no more.
  await expect
    .poll(() => {
      const sent = most() + (response?.socket?.bytesWritten ?? 0);
      const still = sent > 1024 * 1024 && sent === last;
      last = sent;
      return still;
    })
    .toBe(true);
  expect(most()).toBeLessThan(4 * 1024 * 1024);
  text(100, 600);
  expect(most()).toBeLessThan(4 * 1024 * 1024);
  let got = "";
  answer.setEncoding("utf8").on("data", (part: string) => (got += part));
  answer.resume();
  await expect.poll(() => got.slice(-60_000).includes('"messageId":"699"')).toBe(true);
  const seen = [...got.matchAll(/"messageId":"(\d+)"/g)].map(([, id]) => id);
  expect(new Set(seen).size).toBe(700);
});
