import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, connect, createServer as createTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** git with nothing of this machine's configuration. */
export const gitEnv = {
  PATH: process.env.PATH ?? "/usr/bin:/bin",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_TERMINAL_PROMPT: "0",
  GIT_AUTHOR_NAME: "a",
  GIT_AUTHOR_EMAIL: "a@example.com",
  GIT_COMMITTER_NAME: "a",
  GIT_COMMITTER_EMAIL: "a@example.com",
  LC_ALL: "C",
};
export const git = (cwd: string, ...args: string[]): string =>
  execFileSync("git", args, { cwd, env: gitEnv, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).trim();

/** What a try came to, without throwing. */
export function tryGit(cwd: string, args: string[]): Promise<{ code: number | null; text: string }> {
  return new Promise((resolve) => {
    const child = spawn("git", args, { cwd, env: gitEnv, stdio: ["ignore", "pipe", "pipe"] });
    let text = "";
    child.stdout.on("data", (piece: Buffer) => (text += piece.toString()));
    child.stderr.on("data", (piece: Buffer) => (text += piece.toString()));
    child.on("close", (code) => resolve({ code, text }));
  });
}

export type GitServer = {
  url: string;
  /** Bare repository `app.git`, with branches main, release/1 and x1/theirs. */
  bare: string;
  requests: { method: string; path: string; authorization: string | undefined }[];
  refs(): Record<string, string>;
  close(): void;
};

/** git's own HTTP server program on loopback; what `authorize` says no to gets 401. */
export async function startGitServer(
  authorize: (path: string, authorization: string | undefined) => boolean = () => true,
): Promise<GitServer> {
  const root = mkdtempSync(join(tmpdir(), "x1-git-"));
  const bare = join(root, "app.git");
  const work = join(root, "first");
  mkdirSync(work);
  git(work, "init", "--quiet", "--initial-branch=main", ".");
  writeFileSync(join(work, "README.md"), "hello\n");
  git(work, "add", ".");
  git(work, "commit", "--quiet", "-m", "first");
  git(work, "branch", "release/1");
  git(work, "branch", "x1/theirs");
  git(root, "clone", "--quiet", "--bare", work, bare);
  git(bare, "config", "http.receivepack", "true");
  git(bare, "config", "receive.advertisePushOptions", "true");
  const requests: GitServer["requests"] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://localhost");
    requests.push({
      ...{ method: request.method ?? "", path: url.pathname + url.search },
      authorization: request.headers.authorization,
    });
    if (!authorize(url.pathname + url.search, request.headers.authorization)) {
      request.resume();
      return void response.writeHead(401, { "www-authenticate": "Basic" }).end();
    }
    const child = spawn("git", ["http-backend"], {
      env: {
        ...gitEnv,
        ...{ GIT_PROJECT_ROOT: root, GIT_HTTP_EXPORT_ALL: "1", REQUEST_METHOD: request.method ?? "GET" },
        ...{ PATH_INFO: url.pathname, QUERY_STRING: url.search.slice(1), REMOTE_USER: "x" },
        CONTENT_TYPE: request.headers["content-type"] ?? "",
        ...(request.headers["content-encoding"] ? { HTTP_CONTENT_ENCODING: request.headers["content-encoding"] } : {}),
        ...(request.headers["git-protocol"] ? { GIT_PROTOCOL: String(request.headers["git-protocol"]) } : {}),
      },
      stdio: ["pipe", "pipe", "ignore"],
    });
    child.stdin.on("error", () => {});
    request.pipe(child.stdin);
    request.on("close", () => child.stdin.end());
    const pieces: Buffer[] = [];
    child.stdout.on("data", (piece: Buffer) => pieces.push(piece));
    child.on("close", () => {
      const all = Buffer.concat(pieces);
      const end = all.indexOf("\r\n\r\n");
      let status = 200;
      const headers: Record<string, string> = {};
      for (const line of all.toString("latin1", 0, Math.max(end, 0)).split("\r\n")) {
        const [name = "", value = ""] = line.split(": ");
        if (name.toLowerCase() === "status") status = Number.parseInt(value, 10);
        else if (name) headers[name] = value;
      }
      response.writeHead(status, headers).end(all.subarray(end + 4));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    ...{ bare, requests, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/app.git` },
    refs: () =>
      Object.fromEntries(
        git(bare, "for-each-ref", "--format=%(refname) %(objectname)")
          .split("\n")
          .map((line) => line.split(" ") as [string, string]),
      ),
    close() {
      server.close();
      server.closeAllConnections();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** A loopback port that leads to a socket file, as the forwarder of a workspace does. */
export async function startForwarder(path: string): Promise<{ port: number; close(): void }> {
  const sockets = new Set<{ destroy(): void }>();
  const server = createTcp((near) => {
    const far = connect(path);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.on("error", () => other.destroy());
      one.on("close", () => sockets.delete(one));
      one.pipe(other);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
