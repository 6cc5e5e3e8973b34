import { execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { createGunzip } from "node:zlib";
import { permissionsOfToken, permits, principalOf, tokenCovers } from "./access.ts";
import { gitEnvironment, type RefChange, zero } from "./git.ts";
import { Refused, type Repository, type Token } from "./model.ts";
import { reaches, roleOf, roleOfToken } from "./world/accounts.ts";
import { pushRefusal, refsChanged } from "./world/pushes.ts";
import { repositoryByName } from "./world/repositories.ts";
import { protectionOf } from "./world/rules.ts";
import type { World } from "./world/world.ts";

/** Git over smart HTTP by the real `git http-backend`; who may, and which refs, is decided here. */

const maximumPush = 512 * 1024 * 1024;

let backendPath: string | undefined;
function backend(): string {
  backendPath ??= join(execFileSync("git", ["--exec-path"], { encoding: "utf8" }).trim(), "git-http-backend");
  if (!existsSync(backendPath)) throw new Error(`${backendPath} is missing: install git with its HTTP backend`);
  return backendPath;
}

export type GitPath = { owner: string; name: string; rest: string; query: URLSearchParams };

/** Serves one request of a git client; gives the status. `lfsObjects` says whose content a repository has in Git LFS, by SHA-256. */
export async function serveGit(
  world: World,
  lfsObjects: (repository: Repository) => readonly string[],
  request: IncomingMessage,
  response: ServerResponse,
  at: GitPath,
): Promise<number> {
  const say = (status: number, text: string, headers: Record<string, string> = {}) => {
    request.resume();
    response.writeHead(status, { "content-type": "text/plain", ...headers }).end(`${text}\n`);
    return status;
  };
  const service = at.rest === "info/refs" ? (at.query.get("service") ?? "") : at.rest;
  if (service !== "git-upload-pack" && service !== "git-receive-pack")
    return say(403, "Please upgrade your git client.");
  const pushing = service === "git-receive-pack";
  const challenge = { "www-authenticate": 'Basic realm="GitHub"' };
  let token: Token | undefined;
  try {
    const principal = principalOf(world, request.headers.authorization);
    if (principal.kind === "token") token = principal.token;
    else if (principal.kind === "app") return say(401, "Invalid username or token.", challenge);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return say(
      error.status === 403 ? 403 : 401,
      error.status === 403
        ? error.message
        : "Invalid username or token. Password authentication is not supported for Git operations.",
      challenge,
    );
  }
  const found = repositoryByName(world, at.owner, at.name);
  // Without a password git asks for one before it hears that there is nothing.
  if (!found) return token ? say(404, "Repository not found.") : say(401, "No anonymous write access.", challenge);
  const { repository, moved } = found;
  const covered = token !== undefined && tokenCovers(token, repository);
  if (repository.private && !covered)
    return token ? say(404, "Repository not found.") : say(401, "Authentication required.", challenge);
  if (moved) {
    const query = at.query.size > 0 ? `?${at.query}` : "";
    const location = `${world.bases.web}/${repository.owner.login}/${repository.name}.git/${at.rest}${query}`;
    return say(301, "Moved Permanently", { location });
  }
  if (token && (covered || pushing)) {
    const permitted = permits(permissionsOfToken(token), `contents:${pushing ? "write" : "read"}`);
    const role = token.kind === "installation" ? "write" : roleOf(token.user, repository);
    const may = covered && permitted && (!pushing || reaches(role, "write"));
    if (!may && (pushing || repository.private))
      return say(
        403,
        pushing
          ? `Permission to ${repository.owner.login}/${repository.name}.git denied to ${token.user.login}.`
          : "Write access to repository not granted.",
      );
  }
  if (pushing && !token) return say(401, "No anonymous write access.", challenge);
  if (pushing && repository.archived) return say(403, "This repository was archived so it is read-only.");
  if (at.rest === "git-receive-pack")
    return receive(world, lfsObjects(repository), request, response, repository, token!);
  return backendAnswer(request, response, repository, at, await body(request), {});
}

async function body(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  const source = request.headers["content-encoding"] === "gzip" ? request.pipe(createGunzip()) : request;
  for await (const part of source as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > maximumPush) throw new Error("a push of more than 512 MiB is not played");
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** The commands at the head of a push: what each ref is to become. */
export function commandsOf(pack: Buffer): RefChange[] {
  const changes: RefChange[] = [];
  for (let offset = 0; offset + 4 <= pack.length; ) {
    const length = Number.parseInt(pack.subarray(offset, offset + 4).toString(), 16);
    if (!(length >= 4)) break;
    const line = pack.subarray(offset + 4, offset + length).toString();
    const [before = "", after = "", ref = ""] = line.split("\0")[0]!.trim().split(" ");
    if (/^[0-9a-f]{40}$/.test(before) && /^[0-9a-f]{40}$/.test(after)) changes.push({ ref, before, after });
    offset += length;
  }
  return changes;
}

async function receive(
  world: World,
  lfsObjects: readonly string[],
  request: IncomingMessage,
  response: ServerResponse,
  repository: Repository,
  token: Token,
): Promise<number> {
  const pack = await body(request);
  return world.exclusive(async () => {
    const commands = commandsOf(pack);
    const role = roleOfToken(token, repository);
    const declined = new Map<string, string>();
    const noForce: string[] = [];
    for (const change of commands) {
      const message = pushRefusal(token.user, role, repository, change);
      if (message) declined.set(change.ref, message);
      const protection = protectionOf(repository, change.ref.replace("refs/heads/", ""));
      if (protection && !protection.allowForcePushes && (role !== "admin" || protection.enforceAdmins))
        noForce.push(change.ref);
    }
    const before = await repository.git.refs();
    // Where the hook leaves its reasons: the reply names them, git's own protocol for hooks has no place for them.
    const reasons = join(repository.git.path, "standin-reasons");
    await rm(reasons, { force: true });
    // What follows a push is done when the client hears of its success: a test then finds it.
    const follow = async () => {
      const after = await repository.git.refs();
      const moved = commands
        .map((change) => ({
          ref: change.ref,
          before: before.get(change.ref) ?? zero,
          after: after.get(change.ref) ?? zero,
        }))
        .filter((change) => change.before !== change.after);
      await refsChanged(world, token.user, repository, moved);
    };
    return backendAnswer(
      request,
      response,
      repository,
      { owner: "", name: "", rest: "git-receive-pack", query: new URLSearchParams() },
      pack,
      {
        STANDIN_DECLINED: [...declined].map(([ref, text]) => `${ref}\t${text.replaceAll("\n", "\x1f")}`).join("\n"),
        STANDIN_NO_FORCE: noForce.join("\n"),
        STANDIN_REASONS: reasons,
        STANDIN_LFS: lfsObjects.join("\n"),
        STANDIN_NO_WORKFLOWS: permits(permissionsOfToken(token), "workflows:write")
          ? ""
          : token.kind === "installation"
            ? "a GitHub App"
            : "a Personal Access Token",
      },
      reasons,
      follow,
    );
  });
}

/** Rewrites git's reason for refused refs to GitHub's, inside the side band of a push's report. */
export function inGitHubsWords(answer: Buffer, reasons: ReadonlyMap<string, string>): Buffer {
  const out: Buffer[] = [];
  const packet = (...parts: Buffer[]) => {
    const content = Buffer.concat(parts);
    return Buffer.concat([Buffer.from((content.length + 4).toString(16).padStart(4, "0")), content]);
  };
  for (let offset = 0; offset + 4 <= answer.length; ) {
    const length = Number.parseInt(answer.subarray(offset, offset + 4).toString(), 16);
    if (!(length >= 5)) {
      out.push(answer.subarray(offset, offset + 4));
      offset += 4;
      continue;
    }
    const content = answer.subarray(offset + 4, offset + length);
    offset += length;
    if (content[0] !== 1) {
      out.push(packet(content));
      continue;
    }
    const inner: Buffer[] = [];
    const report = content.subarray(1);
    for (let at = 0; at + 4 <= report.length; ) {
      const size = Number.parseInt(report.subarray(at, at + 4).toString(), 16);
      if (!(size >= 5)) {
        inner.push(report.subarray(at, at + 4));
        at += 4;
        continue;
      }
      const line = report.subarray(at + 4, at + size).toString();
      const worded = line.replace(
        /^ng (\S+) hook declined/,
        (_whole, ref: string) => `ng ${ref} ${reasons.get(ref) ?? "protected branch hook declined"}`,
      );
      inner.push(packet(Buffer.from(worded)));
      at += size;
    }
    out.push(packet(Buffer.from([1]), ...inner));
  }
  return Buffer.concat(out);
}

function backendAnswer(
  request: IncomingMessage,
  response: ServerResponse,
  repository: Repository,
  at: GitPath,
  input: Buffer,
  extra: Record<string, string>,
  reasons: string | undefined = undefined,
  follow: () => Promise<void> = async () => undefined,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(backend(), {
      env: {
        ...gitEnvironment,
        GIT_PROJECT_ROOT: repository.git.path,
        GIT_HTTP_EXPORT_ALL: "1",
        PATH_INFO: `/${at.rest}`,
        REQUEST_METHOD: request.method ?? "GET",
        QUERY_STRING: at.query.toString(),
        CONTENT_TYPE: request.headers["content-type"] ?? "",
        CONTENT_LENGTH: String(input.length),
        REMOTE_USER: "standin",
        GIT_COMMITTER_NAME: "GitHub",
        GIT_COMMITTER_EMAIL: "noreply@github.com",
        ...(request.headers["git-protocol"] ? { GIT_PROTOCOL: String(request.headers["git-protocol"]) } : {}),
        ...extra,
      },
      stdio: ["pipe", "pipe", "ignore"],
    });
    const pushing = at.rest === "git-receive-pack";
    let head = Buffer.alloc(0);
    let status = 0;
    const held: Buffer[] = [];
    child.on("error", reject);
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
    child.stdout.on("data", (part: Buffer) => {
      if (status !== 0) {
        if (pushing) held.push(part);
        else if (!response.write(part)) {
          child.stdout.pause();
          response.once("drain", () => child.stdout.resume());
        }
        return;
      }
      head = Buffer.concat([head, part]);
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) return;
      const headers: Record<string, string> = {};
      for (const line of head.subarray(0, end).toString().split("\r\n")) {
        const colon = line.indexOf(":");
        headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
      }
      status = Number.parseInt(headers.status ?? "200", 10);
      delete headers.status;
      response.writeHead(status, headers);
      const rest = head.subarray(end + 4);
      if (pushing) held.push(rest);
      else if (rest.length > 0) response.write(rest);
    });
    // A client that leaves takes its git along.
    response.once("close", () => {
      if (!response.writableEnded) child.kill();
    });
    child.on("close", () => {
      if (status === 0) {
        if (!response.headersSent) response.writeHead(500);
        response.end();
        resolve(500);
        return;
      }
      const finish = async () => {
        await follow();
        const text = reasons ? await readFile(reasons, "utf8").catch(() => "") : "";
        const rows = text.split("\n").filter(Boolean);
        const said = new Map(rows.map((row) => row.split("\t", 2) as [string, string]));
        response.end(pushing ? inGitHubsWords(Buffer.concat(held), said) : undefined);
      };
      finish().then(() => resolve(status), reject);
    });
  });
}
