import { type AddressInfo, connect, createServer as createTcp } from "node:net";
import { join } from "node:path";
import { connect as tlsConnect } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { normalizeHost } from "./address.ts";
import {
  ask,
  basic,
  jobToken,
  type Running,
  sendPolicy,
  startSidecarProcess,
  startUpstream,
  tunnel,
  type Upstream,
  until,
} from "./test/harness.ts";
import { hello } from "./test/hello.ts";

const running: Running[] = [];
const upstreams: Upstream[] = [];
const closers: (() => void)[] = [];
afterEach(async () => {
  for (const one of running.splice(0)) await one.stop();
  for (const { server } of upstreams.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
  for (const close of closers.splice(0)) close();
});

async function start(options: Parameters<typeof startSidecarProcess>[0]): Promise<Running> {
  const sidecar = await startSidecarProcess(options);
  running.push(sidecar);
  return sidecar;
}
async function web(
  answer: Parameters<typeof startUpstream>[0] = (_b, response) => void response.end("hello"),
): Promise<Upstream> {
  const upstream = await startUpstream(answer);
  upstreams.push(upstream);
  return upstream;
}
/** A TCP server that says what it was sent first. */
async function echo(): Promise<{ port: number; received: Buffer[] }> {
  const received: Buffer[] = [];
  const server = createTcp((socket) => {
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      received.push(chunk);
      socket.write(chunk);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  closers.push(() => server.close());
  return { port: (server.address() as AddressInfo).port, received };
}
const rule = (host: string, port: number, address?: string, phases: ("setup" | "agent" | "verify")[] = ["agent"]) => ({
  ...{ host, ports: [port], phases },
  ...(address ? { address } : {}),
});
const fetchThrough = (
  sidecar: Running,
  url: string,
  options: { method?: string; headers?: Record<string, string>; body?: string } = {},
) =>
  ask(join(sidecar.dir, "egress.sock"), {
    ...{ method: "GET", path: url, token: null, ...options },
    headers: { host: "ignored", "proxy-authorization": basic, ...options.headers },
  });

describe("the way out", () => {
  it("leads to an address that an operator allowed though an older rule for the host knows of none, until that is revoked", async () => {
    const far = await echo();
    const older = rule("localhost", far.port);
    const sidecar = await start({ policy: { egress: [older, rule("localhost", far.port, "127.0.0.0/8")] } });
    const { status, socket } = await tunnel(sidecar, `localhost:${far.port}`);
    expect(status).toBe(200);
    const closed = new Promise((resolve) => socket.once("close", resolve));
    sidecar.control.push({ egress: [older] });
    await closed;
    expect((await tunnel(sidecar, `localhost:${far.port}`)).text).toContain("403");
  });

  it("is judged behind an operator's proxy too where an address is written out", async () => {
    const proxy = await web();
    const sidecar = await start({
      boot: { upstreamProxy: `http://127.0.0.1:${proxy.port}` },
      policy: { egress: [rule("*", 80), rule("10.1.2.3", 80, "10.1.2.0/24")] },
    });
    expect((await fetchThrough(sidecar, "http://name.example/")).status).toBe(200);
    expect((await fetchThrough(sidecar, "http://10.1.2.3/")).status).toBe(200);
    for (const host of ["10.9.9.9", "0x7f000001", "[::1]", "[::ffff:192.168.0.1]", "169.254.169.254"])
      expect((await fetchThrough(sidecar, `http://${host}/`)).text, host).toContain("address_refused");
    expect(proxy.requests.map(({ path }) => path)).toEqual(["http://name.example/", "http://10.1.2.3/"]);
    // The body of a method that seldom has one was the next request to the operator's proxy, which judges nothing.
    const body = "GET http://10.9.9.9/ HTTP/1.1\r\nhost: 10.9.9.9\r\n\r\n";
    for (const method of ["GET", "DELETE", "OPTIONS"]) {
      const options = { method, headers: { "transfer-encoding": "chunked" }, body };
      expect((await fetchThrough(sidecar, "http://some:one@name.example/x?y#z", options)).status).toBe(200);
      expect(proxy.requests.at(-1)).toMatchObject({ method, path: "http://name.example/x?y", body });
    }
    expect(proxy.requests).toHaveLength(5);
  });

  it("asks for the token", async () => {
    const sidecar = await start({});
    await expect(tunnel(sidecar, "localhost:443", null)).resolves.toMatchObject({ status: 407 });
    await expect(
      tunnel(sidecar, "localhost:443", `Basic ${Buffer.from("x1:wrong").toString("base64")}`),
    ).resolves.toMatchObject({ status: 407 });
    expect(
      (await ask(join(sidecar.dir, "egress.sock"), { method: "GET", path: "http://localhost/", token: null })).status,
    ).toBe(407);
  });

  it("fetches over plain HTTP without the client's credentials", async () => {
    const upstream = await web();
    const sidecar = await start({ policy: { egress: [rule("localhost", upstream.port, "127.0.0.0/8")] } });
    const reply = await fetchThrough(sidecar, `http://LOCALHOST:${upstream.port}/a?b=c`, {
      headers: { authorization: "Bearer somebody", cookie: "a=b", "x-ok": "1" },
    });
    expect(reply).toMatchObject({ status: 200, text: "hello" });
    expect(upstream.requests[0]?.path).toBe("/a?b=c");
    for (const name of ["authorization", "cookie", "proxy-authorization"])
      expect(upstream.requests[0]?.headers[name], name).toBeUndefined();
    expect(upstream.requests[0]?.headers["x-ok"]).toBe("1");
    // Only whole addresses, and of plain HTTP.
    for (const url of ["/a", `https://localhost:${upstream.port}/`, `ftp://localhost:${upstream.port}/`])
      expect((await fetchThrough(sidecar, url)).status, url).toBeGreaterThanOrEqual(400);
    expect(upstream.requests).toHaveLength(1);
    expect(upstream.requests[0]?.headers.host).toBe(`localhost:${upstream.port}`);
    await until(() => sidecar.control.events.some(({ type }) => type === "egress.opened"), "the record", 8_000);
  });

  describe("by an address", () => {
    // Each is decided by itself, so one process serves them all.
    let sidecar: Running;
    let upstream: Upstream;
    beforeAll(async () => {
      upstream = await startUpstream((_body, response) => void response.end("hello"));
      const egress = [{ host: "*", ports: [upstream.port, 443], phases: ["agent" as const] }];
      sidecar = await startSidecarProcess({ policy: { egress } });
    });
    afterAll(async () => {
      await sidecar?.stop();
      upstream?.server.close();
      upstream?.server.closeAllConnections();
    });

    it.each([
      ...[
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "127.0.0.1.",
        "[::1]",
        "[::ffff:127.0.0.1]",
      ],
      ...[
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "0.0.0.0",
        "[::]",
        "[::127.0.0.1]",
        "169.254.169.254",
        "10.0.0.1",
      ],
      ...[
        "100.64.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "198.18.0.1",
        "240.0.0.1",
        "[fd00::1]",
        "[fe80::1]",
        "[fec0::1]",
      ],
    ])("refuses the address %s, whatever rule names it", async (host) => {
      const { status, text } = await tunnel(sidecar, `${host}:${upstream.port}`);
      expect(status).toBe(403);
      expect(text).toContain("address_refused");
      expect((await fetchThrough(sidecar, `http://${host}:${upstream.port}/`)).status).toBe(403);
      expect(upstream.requests).toEqual([]);
      await until(
        () =>
          sidecar.control.events.some(
            ({ type, payload }) =>
              type === "egress.blocked" && payload.code === "address_refused" && payload.host === normalizeHost(host),
          ),
        "the record",
      );
    });

    it.each([
      "a b.com:443",
      "x@y.com:443",
      "exa\u0000mple.com:443",
      "[fe80::1%25eth0]:443",
      "example.com..:443",
      "example.com:0",
      "example.com:99999",
      ":443",
      "::1:443",
    ])("does not take %j for a host", async (target) => {
      const status = await tunnel(sidecar, target).then(
        (answer) => answer.status,
        () => 400,
      );
      expect([400, 403]).toContain(status);
    });
  });

  it("never reaches the platform's own listeners, not even with a rule that names them", async () => {
    const sidecar = await start({});
    const { port } = sidecar.control;
    await sendPolicy(sidecar, { egress: [rule("*", port, "127.0.0.0/8"), rule("*", port, "::1/128")] });
    for (const host of ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "127.0.0.2"])
      expect((await tunnel(sidecar, `${host}:${port}`)).text, host).toContain("address_refused");
  });

  it("keeps to host, port and phase", async () => {
    const { port } = await echo();
    const sidecar = await start({ policy: { egress: [rule("localhost", port, "127.0.0.0/8", ["setup"])] } });
    expect((await tunnel(sidecar, `localhost:${port}`)).text).toContain("egress_blocked");
    await sendPolicy(sidecar, { phase: "setup" });
    const open = await tunnel(sidecar, `localhost:${port}`);
    expect(open.status).toBe(200);
    expect((await tunnel(sidecar, `localhost:${port + 1}`)).text).toContain("egress_blocked");
    expect((await tunnel(sidecar, `127.0.0.1:${port}`)).text).toContain("egress_blocked");
    open.socket.write("ping");
    await new Promise((resolve) => open.socket.once("data", resolve));
    const closed = new Promise((resolve) => open.socket.once("close", resolve));
    sidecar.control.push({ phase: "agent" });
    await closed;
  });

  it("closes a tunnel whose rule is revoked", async () => {
    const { port } = await echo();
    const sidecar = await start({ policy: { egress: [rule("localhost", port, "127.0.0.0/8")] } });
    const open = await tunnel(sidecar, `localhost:${port}`);
    const closed = new Promise((resolve) => open.socket.once("close", resolve));
    open.socket.resume();
    sidecar.control.push({ egress: [] });
    await closed;
  });

  it("lets a greeting for another host nowhere", async () => {
    const { port, received } = await echo();
    const sidecar = await start({ policy: { egress: [rule("localhost", port, "127.0.0.0/8")] } });
    const open = await tunnel(sidecar, `localhost:${port}`);
    const secured = tlsConnect({ socket: open.socket, servername: "evil.example" });
    secured.on("error", () => {});
    await new Promise((resolve) => open.socket.once("close", resolve));
    expect(received).toEqual([]);
    await until(() => sidecar.control.events.some(({ type }) => type === "egress.blocked"), "the record");
    // Nor does one that came with the request itself, before it was answered.
    const early = connect(join(sidecar.dir, "egress.sock"));
    const ended = new Promise((resolve) => early.once("close", resolve));
    const head = `CONNECT localhost:${port} HTTP/1.1\r\nhost: x\r\nproxy-authorization: ${basic}\r\n\r\n`;
    early.resume().end(Buffer.concat([Buffer.from(head), hello("evil.example")]));
    await ended;
    expect(received).toEqual([]);
    const good = await tunnel(sidecar, `localhost:${port}`);
    const greeting = tlsConnect({ socket: good.socket, servername: "localhost" });
    greeting.on("error", () => {});
    await until(() => received.length > 0, "the right greeting upstream");
    good.socket.destroy();
  });

  it("stops at the phase's bytes", async () => {
    const upstream = await web((_body, response) => void response.end(Buffer.alloc(3 * 1024 ** 2)));
    const sidecar = await start({
      policy: { egress: [rule("localhost", upstream.port, "127.0.0.0/8")] },
      boot: { limits: { maxBodyBytes: 1_000_000, maxConcurrentCalls: 4, egressBytes: 1024 ** 2, maxTunnels: 8 } },
    });
    const reply = await fetchThrough(sidecar, `http://localhost:${upstream.port}/`).catch(() => ({
      broken: true,
      text: "",
    }));
    expect(reply.broken).toBe(true);
    expect(reply.text.length).toBeLessThan(1.2 * 1024 ** 2);
    expect((await fetchThrough(sidecar, `http://localhost:${upstream.port}/`)).text).toContain("quota_exceeded");
    await until(() => sidecar.control.events.some(({ type }) => type === "limit.hit"), "the record");
  });

  it("stops at the phase's bytes in the other direction too, and at its number of tunnels", async () => {
    const { port, received } = await echo();
    const sidecar = await start({
      policy: { egress: [rule("localhost", port, "127.0.0.0/8")] },
      boot: { limits: { maxBodyBytes: 1_000_000, maxConcurrentCalls: 4, egressBytes: 1024 ** 2, maxTunnels: 2 } },
    });
    const open = [await tunnel(sidecar, `localhost:${port}`), await tunnel(sidecar, `localhost:${port}`)];
    expect((await tunnel(sidecar, `localhost:${port}`)).text).toContain("rate_limited");
    const ended = open.map(({ socket }) => new Promise((resolve) => socket.resume().once("close", resolve)));
    open[0]?.socket.write(Buffer.alloc(3 * 1024 ** 2));
    await Promise.all(ended);
    expect(received.reduce((sum, { length }) => sum + length, 0)).toBeLessThanOrEqual(1024 ** 2);
    expect((await tunnel(sidecar, `localhost:${port}`)).text).toContain("quota_exceeded");
  });

  it("by a grant for one use is taken by one of many at once, and by none after it", async () => {
    const far = await echo();
    const upstream = await web();
    const once = { ...rule("localhost", far.port, "127.0.0.0/8"), onceGrantId: "g-once" };
    const plain = { ...rule("localhost", upstream.port, "127.0.0.0/8"), onceGrantId: "g-plain" };
    const sidecar = await start({ policy: { egress: [once, plain] } });
    const tunnels = await Promise.all([1, 2, 3, 4].map(() => tunnel(sidecar, `localhost:${far.port}`)));
    expect(tunnels.map(({ status }) => status).sort()).toEqual([200, 403, 403, 403]);
    expect(tunnels.find(({ status }) => status === 403)?.text).toContain("not_granted");
    for (const { socket } of tunnels) socket.destroy();
    expect((await tunnel(sidecar, `localhost:${far.port}`)).text).toContain("not_granted");
    const url = `http://localhost:${upstream.port}/`;
    const replies = await Promise.all([1, 2, 3].map(() => fetchThrough(sidecar, url)));
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 403, 403]);
    expect(upstream.requests).toHaveLength(1);
    // A control plane that cannot be asked gives nothing.
    sidecar.control.taken.clear();
    sidecar.control.silent = true;
    expect((await fetchThrough(sidecar, url)).status).toBe(403);
    expect(upstream.requests).toHaveLength(1);
  });

  it("keeps a grant for one use for what no lasting one allows", async () => {
    const far = await echo();
    const open = rule("localhost", far.port, "127.0.0.0/8");
    const sidecar = await start({ policy: { egress: [{ ...open, onceGrantId: "g-once" }, open] } });
    for (let count = 0; count < 3; count += 1)
      expect((await tunnel(sidecar, `localhost:${far.port}`)).status).toBe(200);
    expect([...sidecar.control.taken]).toEqual([]);
    // One whose address is refused is not used up either.
    sidecar.control.push({ egress: [{ ...rule("localhost", far.port), onceGrantId: "g-once" }] });
    await until(() => sidecar.control.events.length > 0, "the closed tunnels");
    expect((await tunnel(sidecar, `localhost:${far.port}`)).text).toContain("address_refused");
    expect([...sidecar.control.taken]).toEqual([]);
  });

  it("says the same refusal once", async () => {
    const sidecar = await start({});
    for (let count = 0; count < 20; count += 1) await tunnel(sidecar, "example.com:443");
    await until(() => sidecar.control.events.length > 0, "the record");
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(sidecar.control.events.filter(({ type }) => type === "egress.blocked")).toHaveLength(1);
  });
});

describe("the API port", () => {
  const api = (sidecar: Running, path: string, headers: Record<string, string> = {}, method = "GET", body?: string) =>
    ask(join(sidecar.dir, "api.sock"), { method, path, headers, token: null, ...(body === undefined ? {} : { body }) });

  it("answers nothing without the token", async () => {
    const sidecar = await start({});
    for (const path of ["/health", "/git/origin/info/refs?service=git-upload-pack", "/else"])
      expect((await api(sidecar, path)).status, path).toBe(401);
    expect((await api(sidecar, "/health", { authorization: `Bearer ${jobToken}` })).status).toBe(200);
    expect((await api(sidecar, "/else", { authorization: `Bearer ${jobToken}` })).status).toBe(404);
  });

  it("fetches from named repositories with a credential of its own, and pushes nowhere", async () => {
    const remote = await web(
      (_body, response) => void response.setHeader("content-type", "application/x-git").end("pack"),
    );
    const sidecar = await start({
      boot: {
        git: [{ name: "origin", url: `http://127.0.0.1:${remote.port}/a/b.git` }],
      },
      credentials: { "origin read": { authorization: "Basic c2VjcmV0", expiresAt: null } },
    });
    const refs = await api(sidecar, "/git/origin/info/refs?service=git-upload-pack", {
      authorization: basic,
      "git-protocol": "version=2",
    });
    expect(refs).toMatchObject({ status: 200, text: "pack" });
    expect(remote.requests[0]).toMatchObject({ path: "/a/b.git/info/refs?service=git-upload-pack" });
    expect(remote.requests[0]?.headers).toMatchObject({ authorization: "Basic c2VjcmV0", "git-protocol": "version=2" });
    expect((await api(sidecar, "/git/origin/git-upload-pack", { authorization: basic }, "POST", "0000")).status).toBe(
      200,
    );
    // What a fetch asks with is bounded: it is no way out for anything else.
    const long = "x".repeat(17 * 1024 ** 2);
    const far = await api(sidecar, "/git/origin/git-upload-pack", { authorization: basic }, "POST", long).catch(
      () => null,
    );
    expect(far?.status ?? 502).toBe(502);
    for (const path of ["/git/origin/info/refs?service=git-receive-pack", "/git/origin/git-receive-pack"])
      expect((await api(sidecar, path, { authorization: basic }, path.includes("?") ? "GET" : "POST")).status).toBe(
        403,
      );
    expect((await api(sidecar, "/git/other/info/refs?service=git-upload-pack", { authorization: basic })).status).toBe(
      404,
    );
    await sendPolicy(sidecar, { grants: [] });
    expect(
      (await api(sidecar, "/git/origin/info/refs?service=git-upload-pack", { authorization: basic })).text,
    ).toContain("not_granted");
    // The long one may still be under way there.
    expect(remote.requests.filter(({ path }) => !path.endsWith("/git-upload-pack"))).toHaveLength(1);
    expect(remote.requests.length).toBeLessThanOrEqual(3);
    await until(() => sidecar.control.events.some(({ type }) => type === "git.fetched"), "the record");
  });

  it("lets one fetch through by a grant for one use: its refs and the packs after them", async () => {
    const remote = await web((_body, response) => void response.end("pack"));
    const sidecar = await start({
      boot: { git: [{ name: "origin", url: `http://127.0.0.1:${remote.port}/a.git` }] },
      policy: { grants: [{ id: "g-once", type: "repo.read", details: { pattern: "*" }, once: true }] },
    });
    const refs = () => api(sidecar, "/git/origin/info/refs?service=git-upload-pack", { authorization: basic });
    const pack = () => api(sidecar, "/git/origin/git-upload-pack", { authorization: basic }, "POST", "0000");
    expect((await pack()).text).toContain("not_granted");
    const tries = await Promise.all([refs(), refs(), refs()]);
    expect(tries.map(({ status }) => status).sort()).toEqual([200, 403, 403]);
    expect(tries.find(({ status }) => status === 403)?.text).toContain("not_granted");
    for (let count = 0; count < 2; count += 1) expect((await pack()).status).toBe(200);
    sidecar.control.push({ grants: [] });
    let after = await pack();
    for (const end = Date.now() + 30_000; after.status === 200 && Date.now() < end; ) after = await pack();
    expect(after.status).toBe(403);
    expect((await refs()).status).toBe(403);
    expect(remote.requests.filter(({ method }) => method === "GET")).toHaveLength(1);
  });

  it("follows no redirect of a remote, and passes on no password prompt", async () => {
    const remote = await web((_body, response, { url }) =>
      url?.startsWith("/moved")
        ? void response.writeHead(302, { location: "http://169.254.169.254/latest" }).end()
        : void response.writeHead(401, { "www-authenticate": "Basic" }).end(),
    );
    const at = (name: string) => ({ name, url: `http://127.0.0.1:${remote.port}/${name}` });
    const sidecar = await start({ boot: { git: [at("moved"), at("closed")] } });
    const refs = (name: string) =>
      api(sidecar, `/git/${name}/info/refs?service=git-upload-pack`, { authorization: basic });
    const moved = await refs("moved");
    expect(moved).toMatchObject({ status: 502 });
    expect(moved.headers.location).toBeUndefined();
    const closed = await refs("closed");
    expect(closed).toMatchObject({ status: 403 });
    expect(closed.headers["www-authenticate"]).toBeUndefined();
    expect(remote.requests).toHaveLength(2);
  });

  it("never fetches from the platform's own listeners", async () => {
    const { port } = await echo();
    const own = await start({
      boot: {
        git: [{ name: "origin", url: `http://localhost:${port}/a.git` }],
        forbidden: [{ address: "127.0.0.1", port }],
      },
    });
    const reply = await api(own, "/git/origin/info/refs?service=git-upload-pack", { authorization: basic });
    expect(reply.text).toContain("address_refused");
  });
});
