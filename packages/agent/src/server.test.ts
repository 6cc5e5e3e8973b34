import { type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { accept, refuse } from "@x1agent/contract";
import { afterEach, expect, it } from "vitest";
import { eventsServer, inputServer, type Verbs } from "./server.ts";

const token = "host-token-0123456789";
const injected: string[] = [];
const verbs: Verbs = {
  start: () => {
    throw new Error("a bug");
  },
  inject: ({ content }) => {
    injected.push(content);
    return accept({ repeated: false });
  },
  interrupt: () => refuse("no_session", "Start a session first."),
  ...{ answer: () => accept(null), model: () => accept(null), shutdown: () => accept(null) },
  ...{ state: () => ({ phase: "waiting" }), health: () => ({ status: "ok" }) },
};
const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  injected.length = 0;
});
async function serve(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

type Reply = { status: number; body: Record<string, unknown>; response: IncomingMessage };
/** One request; with `open` the answer is its head only. */
function ask(
  port: number,
  options: { method?: string; path?: string; headers?: Record<string, string>; body?: string; open?: boolean } = {},
): Promise<Reply> {
  const { method = "GET", path = "/health", headers, body, open } = options;
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        host: "127.0.0.1",
        port,
        method,
        path,
        headers: { authorization: `Bearer ${token}`, ...headers },
        agent: false,
      },
      (response) => {
        const status = response.statusCode ?? 0;
        if (open) return resolve({ status, body: {}, response });
        let text = "";
        response.setEncoding("utf8").on("data", (part: string) => (text += part));
        response.on("end", () => resolve({ status, body: JSON.parse(text || "{}"), response }));
        response.on("error", reject);
      },
    );
    asked.on("error", reject);
    asked.end(body);
  });
}

it("asks for a loopback name and the token first, on both ports and on every path", async () => {
  for (const make of [eventsServer, inputServer]) {
    const port = await serve(make({ token, verbs, events: () => {} }));
    expect((await ask(port)).status).toBe(200);
    for (const host of ["localhost", "LOCALHOST:3100", "[::1]:3100", "x1"])
      expect((await ask(port, { headers: { host } })).status, host).toBe(200);
    for (const host of ["evil.example", "127.0.0.1.evil.example", "localhost:3100x", "evil.example:3100"])
      for (const path of ["/health", "/nowhere"])
        expect((await ask(port, { path, headers: { host } })).body.code, host).toBe("host_refused");
    for (const authorization of ["", token, `bearer ${token}`, `Bearer ${token}2`, "Bearer "])
      for (const path of ["/health", "/events", "/inject", "/nowhere"])
        expect((await ask(port, { path, headers: { authorization } })).status, authorization).toBe(401);
  }
});

it("reads what it was meant to be sent, bounded, and says what is wrong with the rest", async () => {
  const port = await serve(inputServer({ token, verbs, events: () => {} }));
  const post = (path: string, body: string) => ask(port, { method: "POST", path, body });
  expect((await post("/inject", '{"id":"1","content":"hello","later":1}')).status).toBe(200);
  for (const body of ["{", "[]", "7", "", '{"id":"1"}', '{"id":"1","content":""}', '{"id":1,"content":"x"}'])
    expect((await post("/inject", body)).body, body).toMatchObject({ status: 400, code: "invalid_request" });
  const long = await post("/inject", `{"id":"1","content":"${"x".repeat(9 * 1024 * 1024)}"}`).catch(() => null);
  // What nobody reads may break the connection before the answer is seen.
  if (long) expect(long.body.code).toBe("body_too_large");
  expect(injected).toEqual(["hello"]);
  expect((await post("/interrupt", "")).body).toMatchObject({ code: "no_session", detail: "Start a session first." });
  for (const path of ["/", "/events", "/injects", "/inject/", "/__proto__", "/constructor", "/toString"])
    expect((await post(path, "{}")).status, path).toBe(404);
  expect((await ask(port, { path: "/inject" })).status).toBe(404);
  // A bug ends nothing, and is not told.
  const broken = await post("/start", '{"sessionKey":"1"}');
  expect([broken.status, broken.body.code]).toEqual([500, "internal"]);
  expect(JSON.stringify(broken.body)).not.toContain("a bug");
  expect((await ask(port, { path: "/state?x=1" })).body).toEqual({ phase: "waiting" });
});

it("has so many readers and no more, and room again when one has gone", async () => {
  const events = (_: IncomingMessage, response: ServerResponse) => void response.writeHead(200).flushHeaders();
  const port = await serve(eventsServer({ token, verbs, events }));
  const read = (headers: Record<string, string> = {}) => ask(port, { path: "/events", headers, open: true });
  for (const id of ["x", "1", "1-", "-1-1", "1-1, 2-2"])
    expect((await read({ "last-event-id": id })).status, id).toBe(400);
  const readers = await Promise.all(Array.from({ length: 16 }, () => read({ "last-event-id": "1-1" })));
  expect(readers.map(({ status }) => status)).toEqual(Array(16).fill(200));
  expect((await read()).status).toBe(429);
  readers[0]?.response.destroy();
  await expect.poll(async () => (await read()).status).toBe(200);
  expect((await ask(port, { method: "POST", path: "/events" })).status).toBe(404);
});
