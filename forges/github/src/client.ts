import { createAppAuth } from "@octokit/auth-app";
import { Octokit } from "@octokit/core";
import { retry } from "@octokit/plugin-retry";
import { throttling } from "@octokit/plugin-throttling";
import { accept, type ForgeLimits, type Outcome, refuse } from "@x1agent/contract";
import type { z } from "zod";
import { boundedFetch, TooLarge } from "./http.ts";

/** An app by its id and private key (PEM), for one of its installations or for itself; or somebody's token. */
export type GithubAuth =
  | { kind: "app"; appId: string; privateKey: string; installation: string | null }
  | { kind: "token"; token: string };

export type GithubOptions = {
  /** Base of the REST API, such as `https://api.github.com` or `https://ghe.example/api/v3`. */
  apiUrl: string;
  /** Where people look, such as `https://github.com`. */
  webUrl: string;
  auth: GithubAuth;
  /** Goes out as the operator's network wants it; the global one by default. */
  fetch?: typeof fetch;
  /** Requests that change something are spaced as the forge asks its clients to; off for a forge of one's own in tests. */
  paced?: boolean;
};

/** Longest wait inside one request, in seconds: what takes longer is the caller's to park. */
const MAX_WAIT_S = 2;
const MAX_CACHED = 200;
const MAX_CACHED_BYTES = 256 * 1024;

type Parameters = Record<string, unknown>;
/** One answer, checked: `next` is the cursor of the page that follows. */
export type Answer<T> = { value: T; next: string | null; headers: Record<string, string | undefined> };

export type GithubClient = {
  /** Sends one request of the REST description's form, such as `GET /repos/{owner}/{repo}`; `what` is the thing in a refusal's sentence. */
  call<S extends z.ZodType>(
    route: string,
    what: string,
    schema: S,
    parameters?: Parameters,
  ): Promise<Outcome<Answer<z.infer<S>>>>;
  /** The same for an answer that is text. */
  text(route: string, what: string, parameters?: Parameters): Promise<Outcome<string>>;
  /** A token of the installation for this repository and these permissions only, made now. */
  mint(
    repositoryId: number,
    permissions: Record<string, string>,
  ): Promise<Outcome<{ token: string; expiresAt: string | null }>>;
  limits(): ForgeLimits | null;
};

const Kit = Octokit.plugin(retry, throttling);

/** The REST client of one connection. */
export function createClient(options: GithubOptions): GithubClient {
  const { auth, apiUrl } = options;
  const waits = (retryAfter: number, _options: unknown, _octokit: unknown, tries: number) =>
    tries < 1 && retryAfter <= MAX_WAIT_S;
  const quiet = { debug() {}, info() {}, warn() {}, error() {} };
  const octokit = new Kit({
    baseUrl: apiUrl,
    userAgent: "x1agent",
    // A library's own log lines would carry addresses and headers of requests.
    log: quiet,
    request: { fetch: boundedFetch(options.fetch ?? fetch, apiUrl) },
    ...(auth.kind === "token"
      ? { auth: auth.token }
      : {
          authStrategy: createAppAuth,
          auth: {
            appId: auth.appId,
            privateKey: auth.privateKey,
            ...(auth.installation === null ? {} : { installationId: Number(auth.installation) }),
            log: quiet,
          },
        }),
    retry: { retries: 1, doNotRetry: [400, 401, 403, 404, 410, 422, 429, 451] },
    throttle: {
      enabled: options.paced ?? true,
      // One connection's waiting is no other's.
      id: auth.kind === "token" ? `${apiUrl} token` : `${apiUrl} ${auth.appId} ${auth.installation}`,
      onRateLimit: waits,
      onSecondaryRateLimit: waits,
    },
  });

  let limits: ForgeLimits | null = null;
  const note = (headers: Record<string, string | number | undefined>) => {
    const [limit, remaining, reset] = ["limit", "remaining", "reset"].map((name) =>
      Number(headers[`x-ratelimit-${name}`]),
    );
    const seconds = Number(headers["retry-after"]);
    const retryAt =
      Number.isFinite(seconds) && seconds > 0 ? new Date(Date.now() + seconds * 1_000).toISOString() : null;
    if (limit !== undefined && Number.isFinite(limit) && Number.isFinite(remaining) && Number.isFinite(reset))
      limits = {
        ...{ limit, remaining: remaining ?? 0, retryAt },
        resetAt: new Date((reset ?? 0) * 1_000).toISOString(),
      };
    else if (retryAt && limits) limits = { ...limits, retryAt };
  };
  /** Answers by address with their ETags: one that did not change costs nothing of the rate limit. */
  const cache = new Map<string, { etag: string; data: unknown; headers: Record<string, string | undefined> }>();

  async function send(
    route: string,
    parameters: Parameters,
  ): Promise<{ data: unknown; headers: Record<string, string | undefined> }> {
    const get = route.startsWith("GET ");
    const key = get ? JSON.stringify([route, parameters]) : "";
    const known = get ? cache.get(key) : undefined;
    try {
      const response = await octokit.request(route, {
        ...parameters,
        headers: {
          "x-github-api-version": "2022-11-28",
          ...(known ? { "if-none-match": known.etag } : {}),
          ...(parameters.headers as object | undefined),
        },
        // Only what asks may be sent twice: an answer that got lost may stand for something that was made. A number other than
        // zero would have the library repeat every failure at once, refusals and limits too.
        ...(get ? {} : { request: { retries: 0 } }),
      });
      const headers = response.headers as Record<string, string | undefined>;
      note(headers);
      if (get && headers.etag) {
        cache.delete(key);
        if (JSON.stringify(response.data ?? null).length <= MAX_CACHED_BYTES)
          cache.set(key, { etag: headers.etag, data: response.data, headers });
        for (const oldest of cache.keys()) {
          if (cache.size <= MAX_CACHED) break;
          cache.delete(oldest);
        }
      }
      return { data: response.data, headers };
    } catch (error) {
      const failed = error as { status?: number; response?: { headers?: Record<string, string> } };
      if (failed.response?.headers) note(failed.response.headers);
      if (known && failed.status === 304) return known;
      throw error;
    }
  }

  return {
    async call(route, what, schema, parameters = {}) {
      try {
        const { data, headers } = await send(route, parameters);
        const parsed = schema.safeParse(data);
        if (!parsed.success) {
          const [issue] = parsed.error.issues;
          return refuse(
            "forge_invalid",
            `GitHub's answer about ${what} is not what its description says (${issue?.path.join(".") || "as a whole"}).`,
          );
        }
        return accept({ value: parsed.data, next: nextPage(headers.link), headers });
      } catch (error) {
        return refusalOf(error, what, auth);
      }
    },
    async text(route, what, parameters = {}) {
      try {
        const { data } = await send(route, parameters);
        return accept(
          typeof data === "string" ? data : data instanceof ArrayBuffer ? Buffer.from(data).toString("utf8") : "",
        );
      } catch (error) {
        return refusalOf(error, what, auth);
      }
    },
    async mint(repositoryId, permissions) {
      try {
        const made = (await octokit.auth({
          ...{ type: "installation", repositoryIds: [repositoryId], permissions },
          // Made for this operation: one that another was given is not handed out again.
          refresh: true,
        })) as { token: string; expiresAt?: string };
        return accept({ token: made.token, expiresAt: made.expiresAt ?? null });
      } catch (error) {
        return refusalOf(error, "a credential for git", auth);
      }
    },
    limits: () => limits,
  };
}

const cursorKeys = ["page", "after", "before", "cursor"];

/** The next page of a `Link` header as a cursor: the parameters that choose it. Pure. */
export function nextPage(link: string | undefined): string | null {
  const next = /<([^>]{1,2000})>;\s*rel="next"/.exec(link ?? "")?.[1];
  if (!next || !URL.canParse(next)) return null;
  const chosen = new URLSearchParams();
  for (const [key, value] of new URL(next).searchParams) if (cursorKeys.includes(key)) chosen.set(key, value);
  return chosen.toString() || null;
}

/** A cursor as parameters of the next request; what is none begins at the beginning. Pure. */
export function pageOf(cursor: string | undefined): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [key, value] of new URLSearchParams(cursor ?? ""))
    if (cursorKeys.includes(key) && value.length <= 500) found[key] = value;
  return found;
}

type Failure = {
  status?: number;
  message?: string;
  cause?: unknown;
  request?: { url?: string };
  response?: { headers?: Record<string, string | undefined>; data?: unknown };
};

/** A failed request as a refusal with a sentence; nothing of its headers or address gets into it. */
export function refusalOf(error: unknown, what: string, auth: Pick<GithubAuth, "kind">): ReturnType<typeof refuse> {
  if (error instanceof TooLarge || (error as Failure).cause instanceof TooLarge)
    return refuse("forge_invalid", `GitHub's answer about ${what} is too large.`);
  const { status, response } = error as Failure;
  const said = wordsOf(response?.data);
  const words = said ? ` GitHub says: ${said}` : "";
  if (status === undefined || !response)
    return refuse("forge_unavailable", `GitHub could not be asked about ${what}: ${reasonOf(error)}.`);
  const headers = response.headers ?? {};
  const minting = /\/access_tokens$/.test((error as Failure).request?.url ?? "");
  const limited =
    status === 429 || (status === 403 && (headers["x-ratelimit-remaining"] === "0" || /rate limit|abuse/i.test(said)));
  if (limited) return refuse("forge_limited", `GitHub's rate limit is reached${until(headers)}.${words}`);
  if (status === 403 && /suspended/i.test(said))
    return refuse("forge_unauthorized", "The installation is suspended: its owner can lift that at GitHub.");
  if (status === 401 || (minting && status === 404))
    return refuse(
      "forge_unauthorized",
      auth.kind === "app"
        ? `GitHub does not accept the app's installation any more: it was removed, or the app's key was revoked.${words}`
        : `GitHub does not accept the token: it was revoked, has expired, or was mistyped.${words}`,
    );
  if (status === 403) return refuse("forge_forbidden", `The connection may not ask for ${what}.${words}`);
  if (status === 404 || status === 410 || status === 451)
    return refuse("forge_not_found", `${capital(what)} is not there, or not visible to the connection.`);
  if (status >= 500) return refuse("forge_unavailable", `GitHub answers with ${status} about ${what}.`);
  return refuse("forge_invalid", `GitHub refused what was asked about ${what} (${status}).${words}`);
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** The forge's own message and the reasons beside it, on one line, bounded. */
function wordsOf(data: unknown): string {
  const { message, errors } = (data ?? {}) as { message?: unknown; errors?: unknown };
  const reasons = (Array.isArray(errors) ? errors : []).flatMap((entry: unknown) => {
    if (typeof entry === "string") return [entry];
    const { message: own, field, code } = (entry ?? {}) as Record<string, unknown>;
    return typeof own === "string" ? [own] : typeof field === "string" ? [`${field}: ${String(code)}`] : [];
  });
  return [typeof message === "string" ? message : "", ...reasons]
    .filter(Boolean)
    .join("; ")
    .replace(/[\p{Cc}\p{Cf}\s]+/gu, " ")
    .slice(0, 500)
    .trim();
}

function until(headers: Record<string, string | undefined>): string {
  const seconds = Number(headers["retry-after"]);
  if (Number.isFinite(seconds) && seconds > 0) return ` until ${new Date(Date.now() + seconds * 1_000).toISOString()}`;
  const reset = Number(headers["x-ratelimit-reset"]);
  return Number.isFinite(reset) && reset > 0 ? ` until ${new Date(reset * 1_000).toISOString()}` : "";
}

/** Code of a network failure: the words beside it may carry an address. */
function reasonOf(error: unknown): string {
  for (let at: unknown = error, depth = 0; at && depth < 5; depth += 1, at = (at as Failure).cause) {
    const { code, name } = at as { code?: unknown; name?: unknown };
    if (typeof code === "string" && /^[A-Z][A-Z0-9_]{2,60}$/.test(code)) return code;
    if (name === "TimeoutError") return "no answer in time";
  }
  return /redirects|another host/.test((error as Error).message ?? "")
    ? "it redirects to another place"
    : "the connection failed";
}
