import type { ErrorCode, SidecarForge } from "@x1agent/contract";

/**
 * What of a forge's REST API is served inside, as a table of paths. Nothing of a request's target is decoded or normalised on
 * its way: a target that is not spelt as the table has it is refused, and what goes up is put together anew from parts that
 * were understood. GraphQL has one path; what it may ask is decided from its body, in `forge-query.ts`.
 */
export type ForgeCall =
  | { purpose: "forge.read"; path: string; accept: string }
  | { purpose: "forge.read"; graphql: true }
  | { purpose: "forge.comment"; path: string; accept: string; number: number };
type Refused = { code: ErrorCode; detail: string };

const MAX_TARGET = 2_048;
/** Characters of one comment; GitHub takes 65,536. */
export const MAX_COMMENT = 60_000;

/**
 * Where a GitHub takes GraphQL, by where its REST API begins: `https://api.github.com/graphql`, and beside `/api/v3` of an
 * Enterprise Server (docs.github.com/graphql/guides/forming-calls-with-graphql). Pure.
 */
export const graphqlBase = (api: string): string => api.replace(/\/$/, "").replace(/\/api\/v3$/, "/api");

/**
 * Below `/repos/<owner>/<name>`; `:n` is a number, `:ref` a commit or branch with its slashes escaped, `:path` the rest.
 * An issue's timeline is not among them: it quotes whole issues of other repositories that mention it.
 */
const reads = [
  "",
  "branches",
  "branches/:ref",
  "check-runs/:n",
  "check-runs/:n/annotations",
  "check-suites/:n",
  "check-suites/:n/check-runs",
  "commits",
  "commits/:ref",
  "commits/:ref/check-runs",
  "commits/:ref/check-suites",
  "commits/:ref/status",
  "commits/:ref/statuses",
  "compare/:range",
  "contents",
  "contents/:path",
  "issues",
  "issues/:n",
  "issues/:n/comments",
  "issues/:n/events",
  "issues/:n/labels",
  "issues/comments/:n",
  "labels",
  "languages",
  "pulls",
  "pulls/:n",
  "pulls/:n/comments",
  "pulls/:n/commits",
  "pulls/:n/files",
  "pulls/:n/reviews",
  "pulls/:n/reviews/:n",
  "pulls/:n/reviews/:n/comments",
  "pulls/comments/:n",
  "readme",
  "tags",
].map((text) => text.split("/").filter(Boolean));
/** The first number is that of the issue or pull request that is spoken to. */
const comments = ["issues/:n/comments", "pulls/:n/comments/:n/replies"].map((text) => text.split("/"));

/** Query parameters by name, each with what its value looks like. */
const word = /^[\w.,:/@+ -]{1,200}$/;
const queries: Record<string, RegExp> = {
  page: /^[1-9]\d{0,4}$/,
  per_page: /^(?:[1-9]\d?|100)$/,
  ...Object.fromEntries(
    ["state", "sort", "direction", "since", "until", "ref", "sha", "path", "labels", "assignee", "creator", "author"]
      .concat(["head", "base", "milestone", "status", "filter", "check_name"])
      .map((name) => [name, word]),
  ),
};

const JSON_TYPE = "application/vnd.github+json";
const accepts = new Set([
  ...["diff", "patch", "raw", "raw+json", "full+json", "v3.diff", "v3.patch", "v3.raw"].map(
    (form) => `application/vnd.github.${form}`,
  ),
  JSON_TYPE,
]);

/** A segment that names files as a URL writes them: escapes only of what is not a separator, a dot segment or a control. */
function isFileSegment(segment: string): boolean {
  if (segment.length > 255 || !/^(?:[\w.~+@!$'(),;=-]|%[0-9A-Fa-f]{2})+$/.test(segment)) return false;
  try {
    const name = decodeURIComponent(segment);
    return name !== "." && name !== ".." && !/[\u0000-\u001f\u007f/\\%?#]/.test(name);
  } catch {
    return false;
  }
}

const isNumber = (segment: string) => /^[1-9]\d{0,17}$/.test(segment);
const isRef = (segment: string) =>
  segment.length <= 250 &&
  /^(?!-)(?:[\w.+-]|%2F)+$/i.test(segment) &&
  !segment.includes("..") &&
  !/^\.|%2f\.|^%|%2f%2f/i.test(segment);

function matches(pattern: readonly string[], segments: readonly string[]): boolean {
  const open = pattern.at(-1) === ":path";
  if (open ? segments.length < pattern.length : segments.length !== pattern.length) return false;
  return segments.every((segment, index) => {
    const part = pattern[Math.min(index, pattern.length - 1)];
    if (part === ":n") return isNumber(segment);
    if (part === ":ref") return isRef(segment);
    if (part === ":range") {
      const ends = segment.split("...");
      return ends.length === 2 && ends.every(isRef);
    }
    if (part === ":path") return isFileSegment(segment);
    return part === segment;
  });
}

/** What a request below `/github` asks for, or why it is not served. `target` is as it came. Pure. */
export function parseForgeCall(
  forge: SidecarForge,
  method: string,
  target: string,
  accept: string | undefined,
): ForgeCall | Refused {
  const no = (detail: string): Refused => ({ code: "path_refused", detail });
  if (target.length > MAX_TARGET) return no(`At most ${MAX_TARGET} characters.`);
  const [path = "", query, ...more] = target.slice("/github".length).split("?");
  if (/^\/(?:api\/)?graphql$/i.test(path)) {
    if (path !== "/graphql" || method !== "POST" || query !== undefined)
      return no("GraphQL is served as POST /graphql, spelt like this and without a query in the address.");
    return { purpose: "forge.read", graphql: true };
  }
  if (more.length > 0) return no("The path has characters that are not served.");
  const prefix = `/repos/${forge.fullName}`;
  if (path !== prefix && !path.startsWith(`${prefix}/`))
    return no(`Only ${prefix} is served, spelt like this: the job's own repository.`);
  const segments = path === prefix ? [] : path.slice(prefix.length + 1).split("/");
  const type = accept !== undefined && accepts.has(accept) ? accept : JSON_TYPE;
  if (method === "POST") {
    if (!comments.some((pattern) => matches(pattern, segments))) return no("Of all writing only comments are served.");
    if (query !== undefined) return no("A comment is made without a query.");
    const number = Number(segments[1]);
    if (!forge.conversations.includes(number))
      return no(`Only the job's own issue and pull request are spoken to, not ${number}.`);
    return { purpose: "forge.comment", path, accept: JSON_TYPE, number };
  }
  if (method !== "GET") return no(`${method.slice(0, 20)} is not served: reading and comments only.`);
  if (!reads.some((pattern) => matches(pattern, segments))) return no("This path is not among those that are served.");
  const asked = query === undefined ? "" : parseQuery(query);
  if (asked === null) return no("The query has a parameter that is not served.");
  return { purpose: "forge.read", path: path + asked, accept: type };
}

/** A query written anew, or null. Pure. */
function parseQuery(query: string): string | null {
  const written = new URLSearchParams();
  for (const [name, value] of new URLSearchParams(query)) {
    if (!Object.hasOwn(queries, name) || !queries[name]?.test(value) || written.has(name)) return null;
    written.set(name, value);
  }
  return written.size === 0 ? "" : `?${written}`;
}

/** The text of a comment from its request's body, or why it is none. Pure. */
export function parseComment(bytes: Buffer): { text: string } | Refused {
  const no = (detail: string): Refused => ({ code: "invalid_request", detail });
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return no("A comment is JSON: an object with the one field body.");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return no("A comment is an object.");
  const { body, ...rest } = value as Record<string, unknown>;
  if (Object.keys(rest).length > 0)
    return {
      code: "field_refused",
      detail: `A comment has the one field body, not ${Object.keys(rest)[0]?.slice(0, 50)}.`,
    };
  if (typeof body !== "string" || body.trim() === "") return no("A comment has a text.");
  if (body.length > MAX_COMMENT)
    return { code: "body_too_large", detail: `A comment has at most ${MAX_COMMENT} characters.` };
  return { text: body };
}

/**
 * A forge's answer without what is a credential itself: for a private repository GitHub's own description of it carries a
 * token that clones it, and addresses of files carry one that reads them. Pure.
 */
export function withoutTokens(value: unknown): unknown {
  if (typeof value === "string")
    return /^https?:\/\/[^\s]*[?&][\w-]*(?:token|signature|sig|jwt)=/i.test(value)
      ? value.slice(0, value.indexOf("?"))
      : value;
  if (Array.isArray(value)) return value.map(withoutTokens);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => name !== "temp_clone_token")
      .map(([name, inner]) => [name, withoutTokens(inner)]),
  );
}
