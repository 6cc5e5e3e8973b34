import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type GrantDetails, problem, type SidecarPolicy } from "@x1agent/contract";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { flush, packet } from "./pkt-line.ts";
import { type GitServer, git, gitEnv, startForwarder, startGitServer, tryGit } from "./test/git-server.ts";
import { basic, jobToken, openPolicy, type Running, sendPolicy, startSidecarProcess, until } from "./test/harness.ts";

/** A real git pushes through a real sidecar to git's own HTTP server, which takes everything that reaches it. */
const readToken = "Basic cmVhZA==";
const pushToken = "Basic cHVzaA==";
const zero = "0".repeat(40);
let server: GitServer;
let sidecar: Running;
let forwarder: Awaited<ReturnType<typeof startForwarder>>;
let work: string;
let count = 0;

const grant = (details: GrantDetails, once = false, id = "g-push") => ({
  id,
  type: "repo.push" as const,
  details,
  once,
});
const mayPush = grant({ pattern: "x1/*" });
const open: Partial<SidecarPolicy> = {
  phase: "agent",
  push: [{ repository: "origin", protected: ["main", "release/*", "x1/held"] }],
};
const allow = (grants: SidecarPolicy["grants"], change: Partial<SidecarPolicy> = {}) =>
  sendPolicy(sidecar, { ...open, grants: [...openPolicy.grants, ...grants], ...change });
const remote = (name = "origin") => `http://127.0.0.1:${forwarder.port}/git/${name}`;
const push = (...args: string[]) => tryGit(work, ["-c", `http.extraHeader=authorization: ${basic}`, "push", ...args]);
function commit(text = `${++count}`): string {
  writeFileSync(join(work, "file"), text);
  git(work, "add", ".");
  git(work, "commit", "--quiet", "-m", "change");
  return git(work, "rev-parse", "HEAD");
}
const uploads = () => server.requests.filter(({ path }) => path === "/app.git/git-receive-pack").length;
const pushed = (ref: string) => events("git.pushed").find(({ payload }) => payload.ref === ref)?.payload;
const events = (type: string) => sidecar.control.events.filter((event) => event.type === type);

beforeAll(async () => {
  server = await startGitServer((path, authorization) =>
    path.includes("receive-pack") ? authorization === pushToken : authorization === readToken,
  );
  sidecar = await startSidecarProcess({
    boot: {
      git: [{ name: "origin", url: server.url }],
      limits: {
        maxBodyBytes: 1,
        maxConcurrentCalls: 1,
        egressBytes: 64 * 1024 ** 2,
        maxTunnels: 4,
        pushBytes: 4 * 1024 ** 2,
      },
      failClosedMs: 60_000,
    },
    credentials: {
      "origin read": { authorization: readToken, expiresAt: null },
      "origin push": { authorization: pushToken, expiresAt: new Date(Date.now() + 3_600_000).toISOString() },
    },
  });
  forwarder = await startForwarder(join(sidecar.dir, "api.sock"));
  work = mkdtempSync(join(tmpdir(), "x1-push-"));
  git(work, "init", "--quiet", "--initial-branch=work", ".");
  const fetched = await tryGit(work, ["-c", `http.extraHeader=authorization: ${basic}`, "fetch", remote(), "main"]);
  expect(fetched).toMatchObject({ code: 0 });
  git(work, "reset", "--quiet", "--hard", "FETCH_HEAD");
});
afterAll(async () => {
  forwarder?.close();
  await sidecar?.stop();
  server?.close();
  rmSync(work, { recursive: true, force: true });
});
beforeEach(async () => {
  await allow([mayPush]);
  sidecar.control.events = [];
  server.requests.length = 0;
});

describe("a push", () => {
  it("that a grant covers arrives, with a credential that the workspace never had, and is observed", async () => {
    const made = commit();
    expect(await push(remote(), "HEAD:refs/heads/x1/one")).toMatchObject({ code: 0 });
    expect(server.refs()["refs/heads/x1/one"]).toBe(made);
    expect(new Set(server.requests.map(({ authorization }) => authorization))).toEqual(new Set([pushToken]));
    await until(() => pushed("refs/heads/x1/one") !== undefined, "the record");
    expect(pushed("refs/heads/x1/one")).toMatchObject({
      ...{ repository: "origin", ref: "refs/heads/x1/one", old: zero, new: made, bytes: expect.any(Number) },
    });
  });

  it("goes on from what the workspace itself pushed, rewritten too, and through the address with .git", async () => {
    commit();
    expect(await push(remote(), "HEAD:refs/heads/x1/own")).toMatchObject({ code: 0 });
    git(work, "commit", "--quiet", "--amend", "-m", "better");
    expect(await push("--force", remote("origin.git"), "HEAD:refs/heads/x1/own")).toMatchObject({ code: 0 });
    expect(server.refs()["refs/heads/x1/own"]).toBe(git(work, "rev-parse", "HEAD"));
  });

  it("of more than one piece arrives whole", async () => {
    const made = commit(randomBytes(1_500_000).toString("latin1"));
    expect(await push(remote(), "HEAD:refs/heads/x1/large")).toMatchObject({ code: 0 });
    expect(server.refs()["refs/heads/x1/large"]).toBe(made);
    await until(() => pushed("refs/heads/x1/large") !== undefined, "the record");
    expect(Number(pushed("refs/heads/x1/large")?.bytes)).toBeGreaterThan(1_500_000);
  });

  it.each([
    ["the default branch", ["HEAD:refs/heads/main"], /protected/, undefined],
    ["a protected branch", ["HEAD:refs/heads/release/1"], /protected/, undefined],
    ["a protected branch below the grant's own pattern", ["HEAD:refs/heads/x1/held"], /protected/, undefined],
    ["another branch", ["HEAD:refs/heads/topic"], /no grant covers/, undefined],
    ["the default branch, with a grant for all", ["HEAD:refs/heads/main"], /protected/, "*"],
    ["the default branch in capitals, with a grant for all", ["HEAD:refs/heads/Main"], /protected/, "*"],
    ["a tag", ["HEAD:refs/tags/v1"], /tags/, "*"],
    ["a deletion", [":refs/heads/x1/theirs"], /not deleted/, undefined],
    [
      "two branches, one of them protected",
      ["HEAD:refs/heads/x1/good", "HEAD:refs/heads/main"],
      /another branch/,
      undefined,
    ],
    ["a branch that others made", ["--force", "HEAD:refs/heads/x1/theirs"], /force/, undefined],
    ["push options", ["-o", "ci.skip", "HEAD:refs/heads/x1/options"], /403|options/, undefined],
  ] as const)("of %s is refused before anything goes up, with a sentence", async (_name, args, why, pattern) => {
    if (pattern) await allow([grant({ pattern })]);
    commit();
    const before = server.refs();
    const options = args.filter((arg) => arg.startsWith("-") || arg === "ci.skip");
    const told = await push(...options, remote(), ...args.filter((arg) => !options.includes(arg)));
    expect(told.code).not.toBe(0);
    expect(told.text).toMatch(why);
    expect(server.refs()).toEqual(before);
    expect(uploads()).toBe(0);
    await until(() => events("git.refused").length > 0, "the record");
  });

  it("moves what others made with a grant that says so, and never from what the remote does not hold", async () => {
    await allow([grant({ pattern: "x1/*", force: true })]);
    const made = commit();
    expect(await push("--force", remote(), "HEAD:refs/heads/x1/theirs")).toMatchObject({ code: 0 });
    expect(server.refs()["refs/heads/x1/theirs"]).toBe(made);
    git(server.bare, "update-ref", "refs/heads/x1/theirs", git(server.bare, "rev-parse", "main"));
    const told = await rawPush([`${made} ${commit()} refs/heads/x1/theirs`]);
    expect(told).toContain("fetch first");
    expect(uploads()).toBe(1);
  });

  it("to another repository finds none", async () => {
    expect((await push(remote("other"), "HEAD:refs/heads/x1/a")).text).toContain(
      "remote: There is no such repository here",
    );
    await allow([grant({ pattern: "x1/*", repository: "acme/other" })]);
    const told = await push(remote(), "HEAD:refs/heads/x1/a");
    expect(told.code).not.toBe(0);
    expect(server.requests).toEqual([]);
  });

  it.each([
    ["without a grant", [], {}, "No grant of type repo.push"],
    ["of a job that is not trusted", [mayPush], { push: [] }, "This remote is for fetching"],
    ["during set-up", [mayPush], { phase: "setup" as const }, "Only the agent pushes"],
  ])("%s does not even get a list of branches", async (_name, grants, change, why) => {
    await allow(grants, change);
    const told = await push(remote(), "HEAD:refs/heads/x1/a");
    expect(told.code).not.toBe(0);
    expect(told.text).toContain(`remote: ${why}`);
    expect(server.requests).toEqual([]);
  });

  it("by a grant for one use is one push", async () => {
    await allow([grant({ pattern: "x1/*" }, true, "g-once")]);
    commit();
    expect(await push(remote(), "HEAD:refs/heads/x1/once")).toMatchObject({ code: 0 });
    commit();
    expect((await push(remote(), "HEAD:refs/heads/x1/once")).code).not.toBe(0);
    expect(sidecar.control.taken.has("g-once")).toBe(true);
    expect(uploads()).toBe(1);
  });

  it("asks for its credential with its branches each time, and for none once the grant is revoked", async () => {
    const before = sidecar.control.credentialsAsked.length;
    commit();
    await push(remote(), "HEAD:refs/heads/x1/asks");
    commit();
    await push(remote(), "HEAD:refs/heads/x1/asks");
    const asked = sidecar.control.credentialsAsked.slice(before);
    expect(asked.filter((one) => one === "origin push x1/asks")).toHaveLength(2);
    await allow([]);
    expect((await push(remote(), "HEAD:refs/heads/x1/asks")).code).not.toBe(0);
    expect(sidecar.control.credentialsAsked.slice(before)).toEqual(asked);
  });

  it("for which the control plane gives no credential is refused in its words, and keeps its grant for one use", async () => {
    await allow([grant({ pattern: "x1/*" }, true, "g-kept")]);
    commit();
    await push(remote(), "HEAD:refs/heads/x1/before");
    await allow([grant({ pattern: "x1/*" }, true, "g-kept-2")]);
    sidecar.control.credentialRefusal = problem("forge_unauthorized", "The installation was suspended.");
    const told = await push(remote(), "HEAD:refs/heads/x1/refused");
    sidecar.control.credentialRefusal = null;
    expect(told.code).not.toBe(0);
    expect(told.text).toContain("The installation was suspended.");
    expect(sidecar.control.taken.has("g-kept")).toBe(true);
    expect(sidecar.control.taken.has("g-kept-2")).toBe(false);
    expect(server.refs()["refs/heads/x1/refused"]).toBeUndefined();
  });

  it("that is on its way ends with its grant", async () => {
    const made = commit();
    const socket = connect(join(sidecar.dir, "api.sock"));
    let told = "";
    socket.on("data", (piece: Buffer) => (told += piece.toString("latin1")));
    const list = head(`${zero} ${made} refs/heads/x1/late`);
    socket.write(
      `POST /git/origin/git-receive-pack HTTP/1.1\r\nhost: x\r\nx-x1-token: ${jobToken}\r\ncontent-type: application/x-git-receive-pack-request\r\ntransfer-encoding: chunked\r\n\r\n${list.length.toString(16)}\r\n`,
    );
    socket.write(list);
    socket.write("\r\n8\r\nPACK\0\0\0\x02\r\n");
    await until(() => uploads() === 1, "the upload has begun");
    await allow([]);
    socket.write("0\r\n\r\n");
    await until(() => told.includes("revoked"), "the end of the push");
    socket.destroy();
    expect(server.refs()["refs/heads/x1/late"]).toBeUndefined();
  });

  it("of too many bytes is refused unread where it says so, and cut off where it does not", async () => {
    commit(randomBytes(5_000_000).toString("latin1"));
    const told = await push(remote(), "HEAD:refs/heads/x1/huge");
    expect(told.code).not.toBe(0);
    expect(server.refs()["refs/heads/x1/huge"]).toBeUndefined();
    git(work, "reset", "--quiet", "--hard", "HEAD~1");
    const said = await raw([head(`${zero} ${commit()} refs/heads/x1/huge`)], { "content-length": "5000000" }, false);
    expect(said).toContain("at most 4194304 bytes");
    expect(pushed("refs/heads/x1/huge")).toBeUndefined();
  });
});

const caps = "report-status side-band-64k agent=git/2";
const head = (...lines: string[]) =>
  Buffer.concat([
    ...lines.map((line, index) => packet(Buffer.from(index === 0 ? `${line}\0 ${caps}` : line, "latin1"))),
    flush,
  ]);
const packOf = (to: string) =>
  execFileSync("git", ["pack-objects", "--revs", "--stdout", "-q"], {
    cwd: work,
    env: gitEnv,
    input: `${to}\n^FETCH_HEAD\n`,
  });

/** Bytes of one or more requests on one connection, each piece in a packet of its own as far as the kernel lets it be. */
function connection(pieces: Buffer[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(join(sidecar.dir, "api.sock"));
    let text = "";
    socket.on("data", (piece: Buffer) => (text += piece.toString("latin1")));
    socket.on("close", () => resolve(text));
    socket.on("error", () => (text === "" ? reject(new Error("broken without an answer")) : resolve(text)));
    void (async () => {
      for (const piece of pieces) {
        if (socket.destroyed) return;
        socket.write(piece);
        await new Promise((done) => setImmediate(done));
      }
    })();
  });
}
function raw(body: Buffer[], headers: Record<string, string> = {}, chunked = true): Promise<string> {
  const lines = {
    ...{ host: "x", "x-x1-token": jobToken, "content-type": "application/x-git-receive-pack-request" },
    ...(chunked ? { "transfer-encoding": "chunked" } : {}),
    ...{ connection: "close", ...headers },
  };
  const start = `POST /git/origin/git-receive-pack HTTP/1.1\r\n${Object.entries(lines)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("")}\r\n`;
  if (!chunked) return connection([Buffer.from(start), ...body]);
  const framed = body.map((piece) =>
    Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n")]),
  );
  return connection([Buffer.from(start), ...framed, Buffer.from("0\r\n\r\n")]);
}
const rawPush = (lines: string[], pack = Buffer.from("PACKxxxx")) => raw([head(...lines), pack]);

describe("bytes that are no push of git's", () => {
  it("are understood the same wherever they are cut, good and bad", async () => {
    git(work, "reset", "--quiet", "--hard", "FETCH_HEAD");
    const made = commit();
    const bytes = Buffer.concat([head(`${zero} ${made} refs/heads/x1/cut`), packOf(made)]);
    const singles = [...bytes].map((byte) => Buffer.from([byte]));
    expect(await raw(singles)).toContain("unpack ok");
    expect(server.refs()["refs/heads/x1/cut"]).toBe(made);
    const bad = Buffer.concat([
      head(`${zero} ${made} refs/heads/x1/cut2`, `${zero} ${made} refs/heads/main`),
      packOf(made),
    ]);
    expect(await raw([...bad].map((byte) => Buffer.from([byte])))).toContain(
      "ng refs/heads/main this branch is protected",
    );
    expect(uploads()).toBe(1);
  });

  it.each([
    [
      "a pack before the list ends",
      "does not begin with its length",
      () =>
        Buffer.concat([
          packet(`${zero} ${zero.replace("0", "1")} refs/heads/x1/a\0 ${caps}`),
          Buffer.from("PACK\0\0\0\x02"),
        ]),
    ],
    ["a pack and no list", "does not begin with its length", () => Buffer.from("PACK\0\0\0\x02\0\0\0\0")],
    ["a list that breaks off", "ends within", () => packet(`${zero} ${"1".repeat(40)} refs/heads/x1/a\0 ${caps}`)],
    [
      "a list without end",
      "longer than 65536",
      () => Buffer.concat(Array.from({ length: 3_000 }, () => packet(`shallow ${"1".repeat(40)}`))),
    ],
    ["a packet that divides", "says that it has 1 bytes", () => Buffer.from("0001")],
    ["a packet of nothing", "says that it has 4 bytes", () => Buffer.from("0004")],
    [
      "a packet that is too long",
      "says that it has 65521",
      () => Buffer.concat([Buffer.from("fff1"), Buffer.alloc(70_000, "a")]),
    ],
    [
      "a ref with a zero byte",
      "zero byte",
      () =>
        Buffer.concat([
          packet(`${zero} ${"1".repeat(40)} refs/heads/x1/a\0 ${caps}`),
          packet(`${zero} ${"1".repeat(40)} refs/heads/x1/b\0/../../main`),
          flush,
        ]),
    ],
    [
      "a signed push",
      "Signed",
      () => Buffer.concat([packet(`push-cert\0 ${caps}\n`), packet("certificate version 0.1\n"), flush]),
    ],
    [
      "push options",
      "Push options",
      () =>
        Buffer.concat([
          packet(`${zero} ${"1".repeat(40)} refs/heads/x1/a\0 ${caps} push-options`),
          flush,
          packet("ci.skip"),
          flush,
        ]),
    ],
  ] as const)("are refused: %s", async (_name, why, body) => {
    const told = await raw([body()]);
    expect(told).toMatch(/^HTTP\/1\.1 403/);
    expect(told).toContain(why);
    expect(server.requests).toEqual([]);
  });

  it.each([
    ...["refs/heads/x1/../main", "refs/Heads/x1/a", "REFS/HEADS/x1/a", "refs/heads/x1/a\tb", "refs/heads/x1/a\x1b[0m"],
    ...[
      "refs/heads/x1/\xc3\xa9",
      "refs/heads//x1/a",
      "refs/heads/x1/a.lock",
      "refs/heads/x1/a/",
      "HEAD",
      "refs/heads/x1/@{-1}",
    ],
  ])("are refused: the ref %j", async (ref) => {
    await allow([grant({ pattern: "*", force: true })]);
    const told = await rawPush([`${zero} ${"1".repeat(40)} ${ref}`]);
    expect(told).toContain("unpack ok");
    expect(told).toContain("only plainly named branches");
    expect(server.requests).toEqual([]);
  });

  it("are refused: nothing where a pack should be, a compressed whole, and another kind of content", async () => {
    const line = `${zero} ${"1".repeat(40)} refs/heads/x1/a`;
    expect(await raw([head(line)])).toContain("it brings no pack");
    expect(await raw([head(line), Buffer.from("JUNKxxxx")])).toContain("it brings no pack");
    expect(await raw([head(line)], { "content-encoding": "gzip" })).toMatch(/^HTTP\/1\.1 403/);
    expect(await raw([head(line)], { "content-type": "text/plain" })).toMatch(/^HTTP\/1\.1 403/);
    expect(server.requests).toEqual([]);
  });

  it("are several requests on one connection, each judged for itself", async () => {
    const bad = Buffer.concat([head(`${zero} ${"1".repeat(40)} refs/heads/main`), Buffer.from("PACKxxxx")]);
    const request = (token: string, body: Buffer, more = "") =>
      Buffer.concat([
        Buffer.from(
          `POST /git/origin/git-receive-pack HTTP/1.1\r\nhost: x\r\n${token}content-type: application/x-git-receive-pack-request\r\ncontent-length: ${body.length}\r\n${more}\r\n`,
        ),
        body,
      ]);
    const own = `x-x1-token: ${jobToken}\r\n`;
    const told = await connection([
      Buffer.concat([request(own, bad), request("", bad), request(own, bad, "connection: close\r\n")]),
    ]);
    expect([...told.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual(["200", "401", "200"]);
    expect(told.match(/ng refs\/heads\/main/g)).toHaveLength(2);
    // Two statements of the length: neither is believed.
    const smuggled = await connection([request(own, bad, "transfer-encoding: chunked\r\nconnection: close\r\n")]);
    expect(smuggled).toMatch(/^HTTP\/1\.1 400/);
    expect(server.requests).toEqual([]);
  });
});
