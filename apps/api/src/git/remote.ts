import { lstatSync, realpathSync, statSync } from "node:fs";
import { isAbsolute, join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { accept, type Outcome, refuse } from "@x1agent/contract";
import type { Remote } from "./port.ts";

/** Which repositories on this machine's own disk a job may use. */
export type LocalRules = {
  /** Folders below which a repository of any owner is allowed. */
  roots: readonly string[];
  /** Owners whose repositories are allowed anywhere; `any` only when the service is root and then works as the owner. */
  owners: readonly number[] | "any";
};

const hostPattern = /^(?!-)[a-zA-Z0-9._-]{1,253}$/;
const userPattern = /^(?!-)[a-zA-Z0-9._-]{1,64}$/;
const invalid = (detail: string) => refuse("repository_invalid", detail);

/**
 * Takes a remote apart into scheme, host, port and path and builds its address anew from them, so that nothing but these
 * parts reaches git: no option, no `ext::` helper, no control character, no password.
 */
export function parseRemote(text: string, rules: LocalRules): Outcome<Remote> {
  if (text === "" || text.length > 2_000) return invalid("The repository's address is empty or too long.");
  if (/[\u0000-\u001f\u007f]/.test(text)) return invalid("The repository's address contains control characters.");
  if (text.startsWith("-")) return invalid("The repository's address begins with a dash.");
  if (isAbsolute(text)) return parseLocal(text, rules);
  if (/^[a-z][a-z0-9+.-]*::/i.test(text)) return invalid("Remote helpers (`name::address`) are not allowed.");
  if (/^file:/i.test(text)) {
    try {
      return parseLocal(fileURLToPath(text), rules);
    } catch {
      return invalid("A file address must name a folder of this machine: file:///path/to/repository.");
    }
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return parseUrl(text);
  return parseScp(text);
}

function parseUrl(text: string): Outcome<Remote> {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return invalid("The repository's address is not a valid URL.");
  }
  const scheme = url.protocol.slice(0, -1);
  if (scheme !== "https" && scheme !== "http" && scheme !== "ssh")
    return invalid(`Addresses with ${scheme}:// are not allowed; use https, http, ssh or an absolute path.`);
  if (url.password || (scheme !== "ssh" && url.username))
    return invalid("The address carries a credential; store it with `x1 secrets set git:<host>` and leave it out.");
  if (url.search || url.hash) return invalid("The repository's address has a query or fragment.");
  const host = url.hostname.replace(/^\[|\]$/g, "").toLowerCase();
  if (!hostPattern.test(host) && !/^[0-9a-f:.]+$/.test(host)) return invalid("The address has no valid host.");
  let path: string;
  try {
    path = decodeURIComponent(url.pathname);
  } catch {
    return invalid("The address has a path that is not valid UTF-8.");
  }
  const wrong = pathProblem(path);
  if (wrong) return invalid(wrong);
  const shownHost = host.includes(":") ? `[${host}]` : host;
  const tail = path.split("/").map(encodeURIComponent).join("/");
  if (scheme === "ssh") {
    const user = url.username ? decodeURIComponent(url.username) : null;
    if (user !== null && !userPattern.test(user)) return invalid("The address has a user name that is not allowed.");
    const port = url.port ? Number(url.port) : 22;
    return accept({ kind: "ssh", user, host, port, path, url: sshUrl(user, shownHost, port, tail) });
  }
  const port = url.port ? Number(url.port) : scheme === "https" ? 443 : 80;
  return accept({ kind: scheme, host, port, path, url: `${scheme}://${shownHost}:${port}${tail}` });
}

/** `user@host:path`, as ssh's copy program writes it. */
function parseScp(text: string): Outcome<Remote> {
  const match = /^(?:([^@/:]+)@)?([^@/:]+):(?!\/\/)(.+)$/.exec(text);
  if (!match) return invalid(`"${text.slice(0, 200)}" is no repository address; use an absolute path or a git URL.`);
  const [, user = null, host = "", path = ""] = match;
  if (!hostPattern.test(host)) return invalid("The address has no valid host.");
  if (user !== null && !userPattern.test(user)) return invalid("The address has a user name that is not allowed.");
  // Relative to the login's home folder, which only the `~` form of a URL can say.
  const absolute = path.startsWith("/") ? path : `/~/${path}`;
  const wrong = pathProblem(absolute);
  if (wrong) return invalid(wrong);
  const tail = absolute
    .split("/")
    .map((part) => (part === "~" ? part : encodeURIComponent(part)))
    .join("/");
  // Forges serve `host:owner/name` and `host/owner/name` alike; a real home folder is spelt `host:~/name` by its owner.
  const url = sshUrl(
    user,
    host.toLowerCase(),
    22,
    path.startsWith("/") || path.startsWith("~") ? tail : `/${tail.slice(3)}`,
  );
  return accept({ kind: "ssh", user, host: host.toLowerCase(), port: 22, path: absolute, url });
}

const sshUrl = (user: string | null, host: string, port: number, tail: string) =>
  `ssh://${user ? `${user}@` : ""}${host}:${port}${tail}`;

function pathProblem(path: string): string | null {
  if (!path.startsWith("/") || path === "/") return "The address names no repository on its host.";
  if (/[\u0000-\u001f\u007f]/.test(path)) return "The repository's path contains control characters.";
  if (path.split("/").includes("..")) return "The repository's path contains `..`.";
  if (path.startsWith("/-")) return "The repository's path begins with a dash.";
  return null;
}

function parseLocal(path: string, rules: LocalRules): Outcome<Remote> {
  let real: string;
  try {
    real = realpathSync(path);
  } catch {
    return invalid(`There is no repository at ${path}.`);
  }
  const stat = statSync(real);
  if (!stat.isDirectory()) return invalid(`${path} is not a folder.`);
  // The folder that holds the objects decides whose it is: a folder of ours may contain somebody else's .git.
  let owner = stat;
  const inner = join(real, ".git");
  try {
    const git = lstatSync(inner);
    if (!git.isDirectory())
      return invalid(`${path} is a linked work tree or submodule; name the repository that it belongs to.`);
    owner = git;
  } catch {
    // A bare repository has no .git; whether it is one at all is for git to say.
  }
  const below = rules.roots.some((root) => real === root || real.startsWith(root.endsWith(sep) ? root : root + sep));
  const isMine = (uid: number) => rules.owners === "any" || rules.owners.includes(uid);
  if (!below && !(isMine(owner.uid) && isMine(stat.uid)))
    return invalid(
      `${path} belongs to another user of this machine (uid ${owner.uid}); ask its owner, or clone it to a folder of yours.`,
    );
  return accept({ kind: "local", url: real, path: real, uid: owner.uid, gid: owner.gid });
}
