import { mkdtempSync, rmSync } from "node:fs";
import { createConnection, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type Forwarded, startForwarder } from "./forwarder.ts";

let dir: string;
let forwarded: Forwarded;
const servers: Server[] = [];
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "x1-fwd-"));
  forwarded = await startForwarder({ sockDir: dir, free: true });
});
afterEach(async () => {
  await forwarded.close();
  for (const server of servers.splice(0)) server.close();
  rmSync(dir, { recursive: true, force: true });
});

it("passes bytes both ways, and an answer after the request's half was closed", async () => {
  const server = createServer({ allowHalfOpen: true }, async (socket) => {
    let size = 0;
    for await (const chunk of socket) size += (chunk as Buffer).length;
    socket.end(`${size} bytes`);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(join(dir, "inference.sock"), resolve));
  const client = createConnection({ host: "127.0.0.1", port: forwarded.ports.inference, allowHalfOpen: true });
  client.end(Buffer.alloc(5_000_000));
  let answer = "";
  for await (const chunk of client) answer += String(chunk);
  expect(answer).toBe("5000000 bytes");
});

it("holds a fast sender back when the other side does not read", async () => {
  const server = createServer((socket) => socket.pause());
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(join(dir, "egress.sock"), resolve));
  const client = createConnection({ host: "127.0.0.1", port: forwarded.ports.egress });
  const before = process.memoryUsage().arrayBuffers;
  const chunk = Buffer.alloc(256 * 1024);
  let stalled = false;
  for (let count = 0; count < 400 && !stalled; count += 1)
    if (!client.write(chunk))
      stalled = await Promise.race([
        new Promise<boolean>((resolve) => client.once("drain", () => resolve(false))),
        new Promise<boolean>((resolve) => setTimeout(() => resolve(true), 500)),
      ]);
  expect(stalled).toBe(true);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * 1024 * 1024);
  client.destroy();
});

it("closes the client when nobody listens at the socket", async () => {
  const client = createConnection({ host: "127.0.0.1", port: forwarded.ports.api });
  client.on("error", () => {});
  await new Promise<void>((resolve) => client.once("close", () => resolve()));
  expect(client.destroyed).toBe(true);
});
