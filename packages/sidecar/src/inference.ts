import { randomUUID } from "node:crypto";
import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import {
  type CallRecord,
  type ErrorCode,
  inferencePrefix,
  type ModelPrice,
  matchesPattern,
  type ProviderRoute,
  type SidecarBoot,
  type SidecarPolicy,
} from "@x1agent/contract";
import { resolveAllowed } from "./address.ts";
import {
  checkBody,
  costOf,
  type Format,
  findPrice,
  formats,
  inputBound,
  Meter,
  outputCost,
  pricesHour,
} from "./formats.ts";
import { readBody, refuse, responseHeaders, type TokenCheck } from "./http.ts";
import type { Ledger, Reservation } from "./ledger.ts";
import { scanBody } from "./scan.ts";

export type InferenceDeps = {
  boot: SidecarBoot;
  token: TokenCheck;
  ledger: Ledger;
  /** Takes a grant for one use from all other sidecars. */
  use(grantId: string): Promise<boolean>;
  policy(): SidecarPolicy | null;
  onPolicy(listener: (policy: SidecarPolicy) => void): void;
  note(type: string, payload: Record<string, unknown>): void;
};

/** Client headers that a provider may see; everything else, credentials first of all, stays here. */
const passed =
  /^(accept|content-type|user-agent|anthropic-version|anthropic-beta|openai-beta|x-stainless-.+|x-client-request-id|session_id|originator)$/;
const agents = {
  "http:": new HttpAgent({ keepAlive: true, noDelay: true, scheduling: "lifo" } as never),
  "https:": new HttpsAgent({ keepAlive: true, noDelay: true, scheduling: "lifo" } as never),
};

/**
 * The AI inference proxy. An ordered list of steps; every refusal is a 403 in the wire format's own error shape, since
 * clients retry other codes. Nothing leaves before the money for it is reserved.
 */
export function inferenceHandler(deps: InferenceDeps): (request: IncomingMessage, response: ServerResponse) => void {
  const { boot } = deps;
  let running = 0;
  const open: Open = { calls: new Set(), usedOnce: new Set() };
  // What is no longer allowed does not go on because it had begun.
  deps.onPolicy((policy) => {
    for (const call of open.calls) call.recheck(policy);
  });
  return (request, response) => {
    const found = route(request.url ?? "/");
    if (!deps.token.accepts(request.headers, ["x-x1-token", "authorization", "x-api-key"]))
      return refuse(response, "unauthenticated");
    if (!found || request.method !== "POST")
      return refuse(response, request.method === "HEAD" || request.method === "GET" ? "not_found" : "path_refused");
    const { format, search } = found;
    if (running >= boot.limits.maxConcurrentCalls)
      return deny(response, format, "rate_limited", "Too many model calls at once.", false, 429);
    running += 1;
    void forward(deps, open, format, search, request, response)
      .catch((error: unknown) => {
        if (!response.headersSent)
          deny(response, format, "upstream_failed", error instanceof Error ? error.message : "failed", false, 502);
        else response.destroy();
      })
      .finally(() => {
        running -= 1;
      });
  };
}

/** Calls that run, and grants for one use that were used. */
type Open = { calls: Set<Call>; usedOnce: Set<string> };

function route(url: string): { format: Format; search: string } | null {
  const [path = "", search] = url.split("?", 2);
  const format = formats.find((entry) => inferencePrefix[entry.api] + entry.path === path);
  // Queries select features; only the ones that clients are known to send pass.
  return format ? { format, search: search === "beta=true" ? "?beta=true" : "" } : null;
}

const notRecorded = "The call could not be put on record; try again.";

function deny(
  response: ServerResponse,
  format: Format,
  code: ErrorCode,
  detail: string,
  stream: boolean,
  status = 403,
): void {
  if (stream && response.headersSent) {
    response.end(format.streamError(code, detail));
    return;
  }
  response
    .writeHead(status, { "content-type": "application/json", ...(status === 403 ? { "x-should-retry": "false" } : {}) })
    .end(JSON.stringify(format.error(code, detail)));
}

/**
 * The first route of the format whose provider the grants cover for this model and knows a price of it. Without any price the
 * first granted one, which the caller then refuses: a grant for every model of one provider hides no other provider's model.
 */
function chooseRoute(
  boot: SidecarBoot,
  policy: SidecarPolicy,
  format: Format,
  model: string,
  usedOnce: ReadonlySet<string>,
): { route: ProviderRoute; grantId: string; once: boolean } | { code: ErrorCode; detail: string } {
  const routes = boot.routes.filter((entry) => entry.api === format.api);
  if (routes.length === 0)
    return { code: "provider_unconfigured", detail: "No provider with a credential speaks this API." };
  let unpriced: { route: ProviderRoute; grantId: string; once: boolean } | undefined;
  for (const entry of routes) {
    const grant = policy.grants.find(
      ({ id, type, details }) =>
        type === entry.grantType && matchesPattern(details.pattern, model) && !usedOnce.has(id),
    );
    if (!grant) continue;
    const found = { route: entry, grantId: grant.id, once: grant.once };
    if (findPrice(boot.prices, entry.provider, model)) return found;
    // An endpoint that the operator named himself is likelier meant than a provider whose list lacks the model.
    if (!unpriced || entry.grantType === "ai.compatible") unpriced = found;
  }
  if (unpriced) return unpriced;
  return { code: "not_granted", detail: `No grant covers the model "${model}".` };
}

async function forward(
  deps: InferenceDeps,
  open: Open,
  format: Format,
  search: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { boot, ledger } = deps;
  const startedAt = Date.now();
  const say = (code: ErrorCode, detail: string, model?: string) => {
    deps.note("model.refused", {
      code,
      detail: detail.slice(0, 500),
      ...(model ? { model: model.slice(0, 200) } : {}),
    });
    deny(response, format, code, detail, false);
  };
  const raw = await readBody(request, boot.limits.maxBodyBytes);
  if (raw === null)
    return deny(
      response,
      format,
      "body_too_large",
      `A request holds at most ${boot.limits.maxBodyBytes} bytes.`,
      false,
      413,
    );
  const policy = deps.policy();
  if (!policy || policy.stopped) return say("control_unreachable", "Grants could not be refreshed.");
  const scanned = scanBody(format, raw);
  const checked = scanned ? { ok: true as const, value: scanned } : checkBody(format, raw.toString("utf8"));
  if (!checked.ok)
    return checked.code === "invalid_request"
      ? deny(response, format, checked.code, checked.detail, false, 400)
      : say(checked.code, checked.detail);
  const { bytes: body, model, maxTokens, stream, hour } = checked.value;
  const chosen = chooseRoute(boot, policy, format, model, open.usedOnce);
  if ("code" in chosen) return say(chosen.code, chosen.detail, model);
  const price = findPrice(boot.prices, chosen.route.provider, model);
  if (!price)
    return say(
      "price_unknown",
      `No price is known for "${model}" at "${chosen.route.provider}"; the operator states it with \`x1 providers price ${chosen.route.provider} ${model} --input <usd> --output <usd>\` (per million tokens).`,
      model,
    );
  if (hour && !pricesHour(price))
    return say("field_refused", "Cache writes for an hour are not priced; use the default lifetime.", model);
  // No provider is paid for an answer that could not be shown; a client may try again.
  if (ledger.behind && !(await ledger.announce()))
    return deny(response, format, "control_unreachable", notRecorded, false, 503);
  const slice = Math.min(boot.sliceTokens, maxTokens ?? boot.sliceTokens);
  // Taken before the first wait: of two calls at once only one may find it.
  if (chosen.once) open.usedOnce.add(chosen.grantId);
  const reservation = await ledger.reserve(
    inputBound(body.length, price, hour) + outputCost(slice, price, body.length),
  );
  if ("refused" in reservation) {
    if (chosen.once) open.usedOnce.delete(chosen.grantId);
    return say("budget_exceeded", reservation.detail, model);
  }
  if (chosen.once && !(await deps.use(chosen.grantId))) {
    ledger.cancel(reservation);
    return say("not_granted", "The grant for one use is used up.", model);
  }

  const call = new Call({
    deps,
    format,
    price,
    model,
    stream,
    slice,
    reservation,
    grantId: chosen.grantId,
    provider: chosen.route.provider,
    startedAt,
    response,
    inputBytes: body.length,
  });
  open.calls.add(call);
  try {
    await call.run(chosen.route, search, request, body);
  } catch (error) {
    call.settle("upstream_error", true);
    throw error;
  } finally {
    open.calls.delete(call);
  }
}

type CallParts = {
  deps: InferenceDeps;
  format: Format;
  price: ModelPrice;
  model: string;
  stream: boolean;
  slice: number;
  reservation: Reservation;
  grantId: string;
  provider: string;
  startedAt: number;
  response: ServerResponse;
  inputBytes: number;
};

/** One forwarded call: bytes both ways with backpressure, usage on the way, one settlement whatever happens. */
class Call {
  readonly #parts: CallParts;
  readonly #meter: Meter;
  #settled = false;
  #status: number | undefined;
  #firstByteMs: number | undefined;
  #covered: number;
  #stopped = false;
  #upstream: ClientRequest | null = null;

  constructor(parts: CallParts) {
    this.#parts = parts;
    this.#meter = new Meter(parts.format, parts.stream);
    this.#covered = parts.slice;
  }

  async run(route: ProviderRoute, search: string, request: IncomingMessage, body: Buffer): Promise<void> {
    const { deps, format, response } = this.#parts;
    const base = new URL(route.baseUrl);
    const port = Number(base.port) || (base.protocol === "https:" ? 443 : 80);
    const resolved = await resolveAllowed(
      base.hostname.replace(/^\[|\]$/g, ""),
      port,
      [{ allowPrivate: route.allowPrivate }],
      route.allowPrivate ? [] : deps.boot.forbidden,
    );
    if (!resolved.ok) {
      this.settle("upstream_error", false);
      return deny(response, format, resolved.code, resolved.detail, false);
    }
    const headers: Record<string, string | string[]> = {};
    for (const [name, value] of Object.entries(request.headers))
      if (value !== undefined && passed.test(name)) headers[name] = value;
    if (route.auth.kind === "header") headers[route.auth.name] = route.auth.prefix + route.auth.value;
    headers["content-length"] = String(body.length);
    // Usage is read from the bytes as they pass.
    headers["accept-encoding"] = "identity";
    headers.host = base.host;
    const send = base.protocol === "https:" ? httpsRequest : httpRequest;
    const upstream = send({
      agent: agents[base.protocol as "http:" | "https:"],
      protocol: base.protocol,
      host: resolved.address,
      family: resolved.family,
      port,
      servername: base.hostname,
      method: "POST",
      path: base.pathname.replace(/\/$/, "") + format.path + search,
      headers,
      ...((route.ca ?? deps.boot.ca) ? { ca: route.ca ?? deps.boot.ca } : {}),
    } as never);
    this.#upstream = upstream;
    await this.#pipe(upstream, body);
  }

  /** Ends the call when its grant is gone. */
  recheck(policy: SidecarPolicy): void {
    const { grantId, deps } = this.#parts;
    if (policy.grants.some(({ id }) => id === grantId) || this.#settled) return;
    deps.note("model.refused", {
      code: "not_granted",
      detail: "The grant was revoked while a reply was streaming.",
      model: this.#parts.model,
    });
    this.#stop("not_granted", "The grant was revoked.");
  }

  /** Ends both sides with an error in the wire format's own shape; what was produced until then is charged. */
  #stop(code: ErrorCode, detail: string, status = 403): void {
    const { response, format, stream } = this.#parts;
    this.#stopped = true;
    this.#upstream?.destroy();
    this.#meter.end();
    if (!response.headersSent) deny(response, format, code, detail, false, status);
    else if (stream) response.end(format.streamError(code, detail));
    else response.destroy();
    this.settle("budget_stopped", true);
  }

  #pipe(upstream: ClientRequest, body: Buffer): Promise<void> {
    const { response, format, startedAt } = this.#parts;
    const announced = this.#parts.deps.ledger.announce();
    return new Promise((resolve) => {
      const finish = (outcome: CallRecord["outcome"], charged: boolean) => {
        this.settle(outcome, charged);
        resolve();
      };
      // Tokens cost money: a client that is gone ends the upstream at once.
      response.on("close", () => {
        if (response.writableFinished) return;
        upstream.destroy();
        finish(this.#stopped ? "budget_stopped" : "client_gone", true);
      });
      upstream.on("error", () => {
        if (this.#settled) return;
        if (!response.headersSent)
          deny(response, format, "upstream_failed", "The provider could not be reached.", false, 502);
        else response.destroy();
        finish(
          this.#status === undefined ? "upstream_error" : "broken_stream",
          this.#status !== undefined && this.#status < 400,
        );
      });
      upstream.on("response", (incoming) => {
        this.#status = incoming.statusCode ?? 502;
        this.#firstByteMs = Date.now() - startedAt;
        // A redirect would carry the credential somewhere else.
        if (this.#status >= 300 && this.#status < 400) {
          incoming.resume();
          deny(response, format, "upstream_failed", "The provider redirected; redirects are not followed.", false, 502);
          return finish("upstream_error", false);
        }
        // Nothing is shown of a call that the control plane does not know of: it could be had for nothing by ending us.
        void announced.then((known) => {
          if (this.#settled) return;
          if (!known) return this.#stop("control_unreachable", notRecorded, 503);
          pass(incoming);
        });
      });
      const pass = (incoming: IncomingMessage) => {
        if (incoming.destroyed) {
          response.destroy();
          return finish("broken_stream", true);
        }
        response.writeHead(this.#status ?? 502, responseHeaders(incoming.headers));
        // The head goes out with the first bytes where those are there already, else by itself.
        const head = setImmediate(() => response.flushHeaders());
        let pending: Buffer[] = [];
        const flush = () => {
          if (pending.length === 0 || response.destroyed) return;
          clearImmediate(head);
          const chunk = pending.length === 1 ? (pending[0] as Buffer) : Buffer.concat(pending);
          pending = [];
          if (!response.write(chunk)) {
            incoming.pause();
            response.once("drain", () => incoming.resume());
          }
        };
        incoming.on("data", (chunk: Buffer) => {
          if (this.#stopped) return;
          this.#meter.feed(chunk);
          pending.push(chunk);
          // One write a tick, never a timer.
          if (pending.length === 1) process.nextTick(flush);
          if (this.#parts.stream && this.#status === 200) this.#cover();
        });
        incoming.on("end", () => {
          if (this.#stopped) return;
          this.#meter.end();
          flush();
          response.end();
          const failed = (this.#status ?? 500) >= 400;
          finish(failed ? "upstream_error" : "completed", !failed);
        });
        incoming.on("close", () => {
          if (this.#settled || incoming.complete) return;
          flush();
          response.destroy();
          finish("broken_stream", true);
        });
      };
      upstream.end(body);
    });
  }

  /** Extends the reservation before its slice is used up; ends the stream when there is no money for more. */
  #cover(): void {
    const { deps, reservation, price, slice, inputBytes } = this.#parts;
    if (this.#meter.outputTokens < this.#covered - slice / 4) return;
    this.#covered += slice;
    void deps.ledger.extend(reservation, outputCost(slice, price, inputBytes)).then((more) => {
      if (more || this.#settled) return;
      deps.note("model.refused", {
        code: "budget_exceeded",
        detail: "The budget was used up while a reply was streaming.",
        model: this.#parts.model,
      });
      this.#stop("budget_exceeded", "The budget is used up.");
    });
  }

  /**
   * Charges the call once. Final usage decides; without it a call that may have produced anything is charged its whole
   * reservation and marked estimated. An error answer that tells no usage costs nothing.
   */
  settle(outcome: CallRecord["outcome"], charged: boolean): void {
    if (this.#settled) return;
    this.#settled = true;
    const { deps, reservation, price, format, model, provider, grantId, startedAt } = this.#parts;
    const usage = this.#meter.usage();
    const counted = this.#meter.counted();
    const known = this.#meter.final;
    const costMicros = known
      ? costOf(counted, price)
      : charged
        ? Math.max(reservation.total, costOf(counted, price))
        : 0;
    deps.ledger.settle(reservation, {
      callId: randomUUID(),
      provider,
      api: format.api,
      model,
      usage,
      costMicros,
      estimated: !known && charged,
      outcome,
      startedAt: new Date(startedAt).toISOString(),
      latencyMs: Date.now() - startedAt,
      grantId,
      ...(this.#status === undefined ? {} : { status: this.#status }),
      ...(this.#firstByteMs === undefined ? {} : { firstByteMs: this.#firstByteMs }),
    });
  }
}
