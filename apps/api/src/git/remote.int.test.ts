import { execFileSync, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { createPlatformGit } from "./index.ts";
import { farEnd } from "./mirror.ts";
import { parseRemote } from "./remote.ts";
import { createGitRunner } from "./run.ts";
import { git, makeRepository, scratch, write } from "./test/plain-workspace.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const clean of cleanups.splice(0)) clean();
});

const secret = "Bearer c4n4ry-credential";

const listen = (server: Server): Promise<string> =>
  new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => {
      cleanups.push(() => {
        server.closeAllConnections();
        server.close();
      });
      resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    }),
  );

/** git's own HTTP server program behind a check of the credential. */
function forge(root: string, seen: { arguments: string[] }): Server {
  return createServer((request, response) => {
    // What any user of the machine could see while the credential is in use.
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, "utf8");
        if (words.includes("c4n4ry-credential")) seen.arguments.push(words);
      } catch {
        // It has ended.
      }
    }
    if (request.headers.authorization !== secret) {
      response.writeHead(401, { "www-authenticate": "Basic" }).end();
      return;
    }
    const url = new URL(request.url ?? "/", "http://localhost");
    const child = spawn("git", ["-c", "safe.directory=*", "http-backend"], {
      env: {
        PATH: process.env.PATH ?? "/usr/bin:/bin",
        GIT_PROJECT_ROOT: root,
        GIT_HTTP_EXPORT_ALL: "1",
        GIT_CONFIG_COUNT: "2",
        GIT_CONFIG_KEY_0: "safe.directory",
        GIT_CONFIG_VALUE_0: "*",
        GIT_CONFIG_KEY_1: "http.receivepack",
        GIT_CONFIG_VALUE_1: "true",
        REQUEST_METHOD: request.method ?? "GET",
        PATH_INFO: url.pathname,
        QUERY_STRING: url.search.slice(1),
        CONTENT_TYPE: request.headers["content-type"] ?? "",
        ...(request.headers["content-encoding"] ? { HTTP_CONTENT_ENCODING: request.headers["content-encoding"] } : {}),
        ...(request.headers["git-protocol"] ? { GIT_PROTOCOL: String(request.headers["git-protocol"]) } : {}),
      },
      stdio: ["pipe", "pipe", "ignore"],
    });
    request.pipe(child.stdin);
    const chunks: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.on("close", () => {
      const all = Buffer.concat(chunks);
      const end = all.indexOf("\r\n\r\n");
      let status = 200;
      const headers: Record<string, string> = {};
      for (const line of all.toString("latin1", 0, end).split("\r\n")) {
        const [name = "", value = ""] = line.split(": ");
        if (name.toLowerCase() === "status") status = Number.parseInt(value, 10);
        else headers[name] = value;
      }
      response.writeHead(status, headers).end(all.subarray(end + 4));
    });
  });
}

describe("remotes over HTTP", () => {
  it("are read with the job's own credential, which shows in no argument and no file", async () => {
    const root = scratch(cleanups);
    const commit = makeRepository(join(root, "project"), { a: "a" });
    const seen = { arguments: [] as string[] };
    const address = await listen(forge(root, seen));
    const platform = createPlatformGit({ dataDir: join(root, "data") });
    const ask = (authorization?: string) =>
      platform.resolveBase({
        organizationId: "o1",
        repository: `${address}/project/.git`,
        trust: "member",
        base: null,
        ...(authorization ? { credential: { authorization } } : {}),
      });
    expect(await ask(secret)).toMatchObject({ ok: true, value: { commit, branch: "main" } });
    expect(seen.arguments).toEqual([]);
    expect(() => execFileSync("grep", ["-r", "c4n4ry", join(root, "data")])).toThrow();
    // The mirror is warm now; who cannot list the refs still gets nothing of it.
    expect(await ask()).toMatchObject({
      ok: false,
      code: "repository_invalid",
      detail: expect.stringContaining("refused access"),
    });
    expect(JSON.stringify(await ask("Bearer wrong-c4n4ry"))).not.toContain("c4n4ry");
  });

  it("that are away are told from those that say no", async () => {
    const root = scratch(cleanups);
    const platform = createPlatformGit({ dataDir: join(root, "data") });
    const ask = (repository: string) =>
      platform.resolveBase({ organizationId: "o1", repository, trust: "member", base: null });
    const answers = (status: number) => listen(createServer((_request, response) => response.writeHead(status).end()));
    const closed = createServer();
    const nobody = await listen(closed);
    await new Promise((resolve) => closed.close(resolve));
    for (const repository of [
      `${nobody}/acme/app.git`,
      `${nobody.replace("http", "ssh")}/acme/app.git`,
      `${await answers(503)}/acme/app.git`,
      "http://no-such-host.invalid/acme/app.git",
    ])
      expect(await ask(repository), repository).toMatchObject({ ok: false, code: "forge_unavailable" });
    for (const repository of [`${await answers(404)}/acme/app.git`, "/nowhere/at/all"])
      expect(await ask(repository), repository).toMatchObject({ ok: false, code: "repository_invalid" });
  });

  it("that redirect are refused and the credential is not carried on", async () => {
    const root = scratch(cleanups);
    const carried: (string | undefined)[] = [];
    const other = await listen(
      createServer((request, response) => {
        carried.push(request.headers.authorization);
        response.writeHead(404).end();
      }),
    );
    const address = await listen(
      createServer((request, response) => response.writeHead(302, { location: `${other}${request.url}` }).end()),
    );
    const platform = createPlatformGit({ dataDir: join(root, "data") });
    const answer = await platform.resolveBase({
      organizationId: "o1",
      repository: `${address}/p.git`,
      trust: "member",
      base: null,
      credential: { authorization: secret },
    });
    expect(answer).toMatchObject({ ok: false, code: "repository_invalid" });
    expect(JSON.stringify(answer)).not.toContain("c4n4ry");
    expect(carried).toEqual([]);
  });

  it("take a push with a password, and say so when the password is wrong", async () => {
    const root = scratch(cleanups);
    const commit = makeRepository(join(root, "project"), { a: "a" });
    const address = await listen(forge(root, { arguments: [] }));
    const parsed = parseRemote(`${address}/project/.git`, { roots: [], owners: [] });
    if (!parsed.ok) throw new Error(parsed.detail);
    const push = (authorization: string) =>
      createGitRunner()({
        gitDir: join(root, "project/.git"),
        args: ["push", "--quiet", "--", parsed.value.url, `${commit}:refs/heads/x1/a`],
        remote: parsed.value,
        credential: { authorization },
      });
    expect((await push("Basic d3Jvbmc6d3Jvbmc=")).code).not.toBe(0);
    expect(() => git(join(root, "project"), "rev-parse", "--verify", "x1/a")).toThrow();
    expect(await push(secret)).toMatchObject({ code: 0 });
    expect(git(join(root, "project"), "rev-parse", "x1/a")).toBe(commit);
  });
});

const sshd = "/usr/sbin/sshd";
const canServe = process.getuid?.() === 0 && existsSync(sshd);

/** A real sshd on loopback that lets one key in as the user of the test. */
async function startSshd(root: string, authorized: string): Promise<{ port: number; hostKey: string }> {
  const hostKeyFile = join(root, "host_key");
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", hostKeyFile]);
  writeFileSync(join(root, "authorized"), authorized);
  mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
  const options = [
    `HostKey=${hostKeyFile}`,
    `AuthorizedKeysFile=${join(root, "authorized")}`,
    "PasswordAuthentication=no",
    "KbdInteractiveAuthentication=no",
    "PermitRootLogin=prohibit-password",
    "StrictModes=no",
    "UsePAM=no",
    "PidFile=none",
  ].flatMap((option) => ["-o", option]);
  // A port that was free a moment ago may be somebody else's by the time the server binds it.
  const port = await startSshdAt(options).catch(() => startSshdAt(options));
  const [type, key] = readFileSync(`${hostKeyFile}.pub`, "utf8").split(" ");
  return { port, hostKey: `[127.0.0.1]:${port} ${type} ${key}\n` };
}

async function startSshdAt(options: string[]): Promise<number> {
  const port = await new Promise<number>((resolve) => {
    const probe = createTcpServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
  const listening = ["-o", `ListenAddress=127.0.0.1:${port}`, ...options];
  const child = spawn(sshd, ["-D", "-e", "-f", "/dev/null", ...listening], { stdio: ["ignore", "ignore", "pipe"] });
  cleanups.push(() => child.kill("SIGTERM"));
  await new Promise<void>((resolve, reject) => {
    let words = "";
    const timer = setTimeout(() => reject(new Error(`sshd did not start: ${words}`)), 30_000);
    child.stderr.on("data", (chunk: Buffer) => {
      words += chunk;
      if (!words.includes("Server listening")) return;
      clearTimeout(timer);
      resolve();
    });
    child.once("close", () => reject(new Error(`sshd ended: ${words}`)));
  });
  return port;
}

function newKey(root: string, name: string): { secret: string; open: string } {
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(root, name)]);
  return { secret: readFileSync(join(root, name), "utf8"), open: readFileSync(join(root, `${name}.pub`), "utf8") };
}

describe.skipIf(!canServe && !process.env.CI)(
  canServe ? "remotes over SSH" : "remotes over SSH (needs root and openssh-server)",
  () => {
    it("are read and written with the stored key once the host's key is known", async () => {
      const root = scratch(cleanups);
      const key = newKey(root, "key");
      const stranger = newKey(root, "stranger");
      const { port, hostKey } = await startSshd(root, key.open);
      const origin = join(root, "project.git");
      const commit = makeRepository(join(root, "project"), { a: "a" });
      execFileSync("git", ["clone", "-q", "--bare", join(root, "project"), origin]);
      const dataDir = join(root, "data");
      mkdirSync(dataDir);
      const platform = createPlatformGit({ dataDir });
      const repository = `ssh://root@127.0.0.1:${port}${origin}`;
      const ask = (sshKey: string) =>
        platform.resolveBase({
          ...{ organizationId: "o1", repository, trust: "member", base: null },
          credential: { sshKey },
        });

      expect(await ask(key.secret)).toMatchObject({
        ok: false,
        code: "repository_invalid",
        detail: expect.stringMatching(/ssh-keyscan -p \d+ 127\.0\.0\.1.*ssh_known_hosts in the data directory/),
      });
      // Another host answers at this address: its key is not the one on record.
      writeFileSync(join(dataDir, "ssh_known_hosts"), `[127.0.0.1]:${port} ${stranger.open}`);
      expect(await ask(key.secret)).toMatchObject({ ok: false, detail: expect.stringContaining("has changed") });

      writeFileSync(join(dataDir, "ssh_known_hosts"), hostKey);
      expect(await ask(stranger.secret)).toMatchObject({
        ok: false,
        detail: expect.stringContaining("refused access"),
      });
      await expect(ask(key.secret.replace(/\n[^\n-]+/, "\nbroken"))).rejects.toThrow(/SSH key cannot be used/);
      const base = await ask(key.secret);
      if (!base.ok) throw new Error(base.detail);
      expect(base.value).toMatchObject({ commit, branch: "main" });

      const pushed = await createGitRunner({ sshKnownHosts: join(dataDir, "ssh_known_hosts") })({
        gitDir: base.value.mirror,
        args: ["push", "--quiet", "--", base.value.remote.url, `${commit}:refs/heads/x1/a`],
        remote: base.value.remote,
        credential: { sshKey: key.secret },
      });
      expect(pushed).toMatchObject({ code: 0 });
      expect(git(origin, "rev-parse", "x1/a")).toBe(commit);
      // The key was on disk where the test made it, and nowhere else.
      expect(() => execFileSync("grep", ["-r", "PRIVATE KEY", dataDir])).toThrow();
    }, 120_000);
  },
);

describe("a local repository of another user", () => {
  it("is read and written as that user when the service is root", async (ctx) => {
    if (process.getuid?.() !== 0) ctx.skip("only root can work as another user");
    const root = scratch(cleanups);
    chmodSync(root, 0o755);
    const origin = join(root, "theirs");
    const commit = makeRepository(origin, { a: "a" });
    mkdirSync(join(origin, ".git/hooks"), { recursive: true });
    write(origin, { ".git/hooks/post-receive": "#!/bin/sh\ntouch ran\n" });
    chmodSync(join(origin, ".git/hooks/post-receive"), 0o755);
    execFileSync("chown", ["-R", "54321:54321", origin]);
    chmodSync(origin, 0o700);
    const platform = createPlatformGit({ dataDir: join(root, "data") });
    const base = await platform.resolveBase({ organizationId: "o1", repository: origin, trust: "member", base: null });
    if (!base.ok) throw new Error(base.detail);
    expect(base.value).toMatchObject({ commit, remote: { uid: 54321 } });
    const run = createGitRunner();
    const pushed = await run({
      gitDir: base.value.mirror,
      args: [
        "push",
        "--quiet",
        ...farEnd(base.value.remote, "receive-pack"),
        "--",
        origin,
        `${commit}:refs/heads/x1/a`,
      ],
      remote: base.value.remote,
    });
    expect(pushed).toMatchObject({ code: 0 });
    expect(statSync(join(origin, ".git/refs/heads/x1/a")).uid).toBe(54321);
    expect(readdirSync(join(origin, ".git"))).not.toContain("ran");
    expect(git(origin, "rev-parse", "x1/a")).toBe(commit);
  });
});

describe("the runner", () => {
  it("ends a call at its time and at its output, with everything it started", async () => {
    const root = scratch(cleanups);
    makeRepository(root, { a: "x".repeat(100_000) });
    const run = createGitRunner();
    const started = performance.now();
    const late = await run({
      gitDir: join(root, ".git"),
      args: ["cat-file", "--batch", "--buffer", "--batch-all-objects", "--unordered"],
      timeoutMs: 1,
    });
    expect(late.limit ?? "done").toMatch(/time|done/);
    const held = await run({ args: ["-c", "alias.x=!sleep 300", "x"], timeoutMs: 200 });
    expect(held.limit).toBe("time");
    expect(performance.now() - started).toBeLessThan(110_000);
    const long = await run({
      gitDir: join(root, ".git"),
      args: ["cat-file", "blob", "HEAD:a"],
      maxOutputBytes: 10_000,
    });
    expect(long.limit).toBe("output");
    expect(long.stdout.length).toBeLessThanOrEqual(10_000);
  });
});
