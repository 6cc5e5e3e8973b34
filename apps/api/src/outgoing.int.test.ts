import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, connect, type Server, type Socket } from "node:net";
import { loopbackCertificate } from "@x1agent/testkit/github";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { outgoingFetch, publicFetch } from "./outgoing.ts";

const lacks = !process.env.CI && spawnSync("openssl", ["version"]).error !== undefined;

/** A server with a certificate of an authority that only this test knows, and a proxy that makes tunnels to it by whatever name. */
let ca: string;
let server: Server;
let proxy: Server;
let seen: IncomingHttpHeaders[];
let tunnels: { to: string; authorization: string | undefined }[];
const sockets = new Set<Socket>();
const portOf = (of: Server) => (of.address() as AddressInfo).port;
const listen = async (of: Server) => {
  of.listen(0, "127.0.0.1");
  await once(of, "listening");
};

beforeAll(async () => {
  if (lacks) return;
  const made = await loopbackCertificate(["forge.test"]);
  ca = made.ca;
  server = createTlsServer({ key: made.key, cert: made.cert }, (request, response) => {
    seen.push(request.headers);
    response.end("the forge");
  });
  const http = createServer((_, response) => void response.writeHead(400).end());
  http.on("connect", (request, socket: Socket) => {
    tunnels.push({ to: request.url ?? "", authorization: request.headers["proxy-authorization"] });
    const far = connect(portOf(server), "127.0.0.1", () => {
      socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
      far.pipe(socket);
      socket.pipe(far);
    });
    for (const one of [far, socket]) {
      sockets.add(one);
      one.on("error", () => one.destroy());
    }
  });
  proxy = http;
  await Promise.all([listen(server), listen(proxy)]);
});
afterAll(async () => {
  for (const one of sockets) one.destroy();
  for (const one of [server, proxy]) one?.close();
});
beforeEach(() => {
  [seen, tunnels] = [[], []];
});

const upstreamProxy = () => `http://user:word@127.0.0.1:${portOf(proxy)}/`;
const headers = { authorization: "Bearer token" };

describe.skipIf(lacks)(`what the service asks of a forge${lacks ? " [skipped: needs openssl]" : ""}`, () => {
  it("goes to a server whose authority the machine trusts, and to no other", async () => {
    const direct = `https://127.0.0.1:${portOf(server)}/`;
    await expect(outgoingFetch({ upstreamProxy: undefined, ca: undefined }, {})(direct)).rejects.toThrow();
    const answer = await outgoingFetch({ upstreamProxy: undefined, ca }, {})(direct, { headers });
    expect(await answer.text()).toBe("the forge");
  });

  it("goes through the operator's proxy, whose credential the far end never sees, and trusts the same authorities there", async () => {
    const send = outgoingFetch({ upstreamProxy: upstreamProxy(), ca }, {});
    expect(await (await send("https://forge.test/api", { headers })).text()).toBe("the forge");
    const basic = `Basic ${Buffer.from("user:word").toString("base64")}`;
    expect(tunnels).toEqual([{ to: "forge.test:443", authorization: basic }]);
    expect(seen).toMatchObject([{ host: "forge.test", authorization: "Bearer token" }]);
    expect(seen[0]).not.toHaveProperty("proxy-authorization");
    // The tunnel leads to a server that cannot prove another name, and a proxy is trusted no further than its tunnel.
    await expect(send("https://other.test/")).rejects.toThrow();
    const untrusting = outgoingFetch({ upstreamProxy: upstreamProxy(), ca: undefined }, {});
    await expect(untrusting("https://forge.test/api", { headers })).rejects.toThrow();
    expect(seen).toHaveLength(1);
  });

  it("goes around the proxy to this machine and to what NO_PROXY names, and never around it where it is down", async () => {
    const send = outgoingFetch({ upstreamProxy: upstreamProxy(), ca }, { NO_PROXY: "forge.test" });
    expect((await send(`https://localhost:${portOf(server)}/`)).status).toBe(200);
    await expect(send("https://forge.test/")).rejects.toThrow();
    expect(tunnels).toEqual([]);
    const gone = createServer();
    await listen(gone);
    const away = `http://127.0.0.1:${portOf(gone)}/`;
    gone.close();
    await once(gone, "close");
    await expect(outgoingFetch({ upstreamProxy: away, ca }, {})("https://forge.test/")).rejects.toThrow();
  });

  it("reaches no address of this machine or a private network by a name that a stranger gave", async () => {
    const send = publicFetch({ upstreamProxy: undefined, ca });
    await expect(send(`https://localhost:${portOf(server)}/`)).rejects.toMatchObject({
      cause: { message: "localhost has no public address." },
    });
    expect(seen).toEqual([]);
    const before = process.env.NO_PROXY;
    process.env.NO_PROXY = "forge.test";
    try {
      expect((await publicFetch({ upstreamProxy: upstreamProxy(), ca })("https://forge.test/")).status).toBe(200);
      expect(tunnels).toMatchObject([{ to: "forge.test:443" }]);
    } finally {
      if (before === undefined) delete process.env.NO_PROXY;
      else process.env.NO_PROXY = before;
    }
  });

  it("takes no proxy from the environment that the operator did not name", async () => {
    const env = { HTTPS_PROXY: upstreamProxy(), https_proxy: upstreamProxy() };
    const before = { ...process.env };
    Object.assign(process.env, env);
    try {
      const send = outgoingFetch({ upstreamProxy: undefined, ca }, env);
      await expect(send("https://forge.test/")).rejects.toThrow();
      expect(tunnels).toEqual([]);
    } finally {
      for (const name of Object.keys(env)) {
        if (before[name] === undefined) delete process.env[name];
        else process.env[name] = before[name];
      }
    }
  });
});
