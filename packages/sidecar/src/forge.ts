import type { IncomingMessage, ServerResponse } from "node:http";
import {
  Fault,
  type GitPurpose,
  repositoryGrants,
  type SidecarBoot,
  type SidecarPolicy,
  withholdSecrets,
} from "@x1agent/contract";
import type { Credentials } from "./credentials.ts";
import { type ForgeCall, graphqlBase, parseComment, parseForgeCall, withoutTokens } from "./forge-rules.ts";
import { readBody, refuse } from "./http.ts";
import { answerOf, type Remotes } from "./remotes.ts";
import type { Traffic } from "./traffic.ts";

/**
 * The forge's API for the job's own repository, below `/github`. Invariants:
 *
 * - Of a request there go up: a path that the table has, a query and a comment that were written anew. No header of the client's.
 * - Of GraphQL there goes up a document of our own making (`forge-query.ts`), which is loaded when the first one asks.
 * - A comment that carries what has the form of a secret is not sent.
 * - An answer is taken whole, bounded, and freed of what is a credential itself, before any of it is handed on.
 * - Calls and comments are counted: a forge's limits are the whole organization's, and its readers are people.
 */
type ForgeDeps = {
  boot: SidecarBoot;
  remotes: Remotes;
  credentials: Credentials;
  traffic: Traffic;
  policy(): SidecarPolicy | null;
  note(type: string, payload: Record<string, unknown>): void;
  use(grantId: string): Promise<boolean>;
};

const MAX_ANSWER = 8 * 1024 ** 2;
const MAX_COMMENT_BYTES = 512 * 1024;
/** Bytes of a GraphQL request. */
const MAX_QUERY_BYTES = 64 * 1024;
const MAX_AT_ONCE = 8;
const HOUR_MS = 3_600_000;
/** Of the 5,000 that a forge's connection may have for all jobs together. */
const CALLS_PER_HOUR = 600;
const COMMENTS = 20;
/** What of an answer's head is handed on. */
const told = ["content-type", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "retry-after"];

export class ForgeApi {
  readonly #deps: ForgeDeps;
  #hour = { since: 0, calls: 0 };
  #comments = 0;
  #atOnce = 0;

  constructor(deps: ForgeDeps) {
    this.#deps = deps;
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { boot, traffic } = this.#deps;
    const { forge } = boot;
    const repository = boot.git.find(({ name }) => name === forge?.repository);
    if (!forge || !repository) return refuse(response, "not_found", "This job's repository has no forge here.");
    const policy = this.#deps.policy();
    if (!policy) return refuse(response, "control_unreachable");
    const may = (purpose: GitPurpose) =>
      traffic.phase === "agent" ? repositoryGrants(policy.grants, purpose, repository) : [];
    const [method, target] = [request.method ?? "", request.url ?? ""];
    if (method === "GET" && target === "/github") {
      const allowed = (["forge.read", "forge.comment"] as const).filter((purpose) => may(purpose).length > 0);
      const about = {
        repository: forge.fullName,
        conversations: forge.conversations,
        may: allowed.map((purpose) => purpose.slice("forge.".length)),
      };
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(about));
      return;
    }
    const call = parseForgeCall(forge, method, target, request.headers.accept);
    const host = new URL(forge.api);
    const blocked = (code: "path_refused" | "field_refused" | "not_granted", detail: string) => {
      traffic.blocked(host.hostname, Number(host.port) || 443, code, `${method.slice(0, 20)} ${target.slice(0, 200)}`);
      request.resume();
      refuse(response, code, detail);
    };
    if ("code" in call) return blocked("path_refused", call.detail);
    const grants = may(call.purpose);
    const words = call.purpose === "forge.read" ? "reading" : "comments";
    if (grants.length === 0) return blocked("not_granted", `No grant of type forge covers ${words} here.`);
    let body: Buffer | null = null;
    if ("graphql" in call) {
      const bytes = await readBody(request, MAX_QUERY_BYTES);
      if (bytes === null)
        return refuse(response, "body_too_large", `A GraphQL request has at most ${MAX_QUERY_BYTES} bytes.`, {
          connection: "close",
        });
      const { forgeQuery } = await import("./forge-query.ts");
      const asked = forgeQuery(forge, bytes);
      if ("code" in asked)
        return asked.code === "field_refused"
          ? blocked(asked.code, asked.detail)
          : refuse(response, asked.code, asked.detail);
      body = Buffer.from(JSON.stringify(asked));
    } else if (call.purpose === "forge.comment") {
      const bytes = await readBody(request, MAX_COMMENT_BYTES);
      const parsed = bytes === null ? null : parseComment(bytes);
      if (parsed === null) return refuse(response, "body_too_large", undefined, { connection: "close" });
      if ("code" in parsed) return refuse(response, parsed.code, parsed.detail);
      const { withheld } = withholdSecrets(parsed.text);
      // Nothing of it goes: an agent that was led to say it is not helped to say the rest.
      if (withheld.length > 0)
        return blocked("not_granted", `The comment carries ${withheld.join(", ")}: it is not sent.`);
      body = Buffer.from(JSON.stringify({ body: parsed.text }));
    } else request.resume();
    const full = this.#full(call);
    if (full !== null) return refuse(response, "rate_limited", full);
    if (!grants.some(({ once }) => !once)) {
      let taken = false;
      for (const { id } of grants) taken ||= await this.#deps.use(id);
      if (!taken) return refuse(response, "not_granted", "The grant was for one use, and is used up.");
    }
    this.#atOnce += 1;
    try {
      await this.#call(call, body, response);
    } finally {
      this.#atOnce -= 1;
    }
  }

  #full(call: ForgeCall): string | null {
    const now = Date.now();
    if (now - this.#hour.since > HOUR_MS) this.#hour = { since: now, calls: 0 };
    if (this.#atOnce >= MAX_AT_ONCE) return "Too many calls at once.";
    if (this.#hour.calls >= CALLS_PER_HOUR) return `At most ${CALLS_PER_HOUR} calls in an hour.`;
    if (call.purpose === "forge.comment" && this.#comments >= COMMENTS) return `At most ${COMMENTS} comments.`;
    this.#hour.calls += 1;
    if (call.purpose === "forge.comment") this.#comments += 1;
    return null;
  }

  async #call(call: ForgeCall, body: Buffer | null, response: ServerResponse): Promise<void> {
    const { boot, remotes, credentials, traffic, note } = this.#deps;
    const repository = boot.git.find(({ name }) => name === boot.forge?.repository);
    if (!boot.forge || !repository) throw new Error("unreachable");
    const { forge } = boot;
    const at =
      "graphql" in call
        ? { base: graphqlBase(forge.api), path: "graphql", accept: "application/json" }
        : { base: forge.api, path: call.path.slice(1), accept: call.accept };
    const authorization = await credentials.get(repository, call.purpose);
    // Without one it would be anybody's request, and answered by limits that are this machine's.
    if (authorization === null) return refuse(response, "not_granted", "The forge is not connected.");
    const upstream = await remotes.request(repository, call.purpose, at.base, {
      ...{ path: at.path, method: body === null ? "GET" : "POST", authorization },
      headers: {
        ...{ accept: at.accept, "x-github-api-version": "2022-11-28", "user-agent": "x1agent" },
        ...(body === null ? {} : { "content-type": "application/json", "content-length": `${body.length}` }),
      },
    });
    response.on("close", () => upstream.destroy());
    upstream.end(body ?? undefined);
    const incoming = await answerOf(upstream);
    remotes.judge(repository, call.purpose, incoming);
    const pieces: Buffer[] = [];
    let size = 0;
    for await (const piece of incoming as AsyncIterable<Buffer>) {
      size += piece.length;
      if (size > MAX_ANSWER)
        throw new Fault("upstream_failed", `The forge's answer has more than ${MAX_ANSWER} bytes.`);
      pieces.push(piece);
    }
    traffic.count(size + (body?.length ?? 0));
    const type = String(incoming.headers["content-type"] ?? "");
    let own = (value: unknown): unknown => value;
    if ("graphql" in call) {
      const { ownAnswer } = await import("./forge-query.ts");
      // What cannot be looked at cannot be handed on.
      if (!JSON_TYPE.test(type)) throw new Fault("upstream_failed", "The forge's answer to GraphQL is no JSON.");
      own = (value) => ownAnswer(forge, value);
    }
    const answer = cleaned(Buffer.concat(pieces), type, authorization, own);
    const status = incoming.statusCode ?? 502;
    const headers = Object.fromEntries(
      told.flatMap((name) => (incoming.headers[name] === undefined ? [] : [[name, String(incoming.headers[name])]])),
    );
    response.writeHead(status, headers).end(answer);
    if (call.purpose === "forge.comment" && body !== null && status === 201)
      note("forge.commented", { repository: boot.forge.fullName, number: call.number, bytes: body.length });
  }
}

const JSON_TYPE = /^application\/(?:[\w.+-]+\+)?json\b/;

/** An answer as it may be handed on; a Fault where it repeats the credential or is not what it says. */
function cleaned(bytes: Buffer, type: string, authorization: string, own: (value: unknown) => unknown): Buffer {
  let clean = bytes;
  if (JSON_TYPE.test(type) && bytes.length > 0)
    try {
      clean = Buffer.from(JSON.stringify(withoutTokens(own(JSON.parse(bytes.toString("utf8"))))));
    } catch {
      throw new Fault("upstream_failed", "The forge's answer is not the JSON that it says it is.");
    }
  const secret = authorization.slice(authorization.indexOf(" ") + 1);
  const password = Buffer.from(secret, "base64").toString("utf8").split(":").slice(1).join(":");
  for (const text of [secret, ...(password.length >= 8 ? [password] : [])])
    if (clean.includes(text)) throw new Fault("upstream_failed", "The forge's answer repeats the credential.");
  return clean;
}
