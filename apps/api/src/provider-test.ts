import { lookup } from "node:dns/promises";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { isIP } from "node:net";
import type { ProviderRoute, RouteResponse } from "@x1agent/contract";
import { isPublic } from "./network.ts";

/** What a test call found. */
export type ProviderTest = RouteResponse<"testProvider">;

const TEST_MS = 10_000;
/** A list of models is some kilobytes; what is longer is cut off, since only its beginning is needed. */
const MAX_ANSWER = 1_000_000;

/**
 * Asks a provider for its list of models, which costs nothing, with the stored key and nothing else. One request, no
 * redirect followed, to an address resolved once that the route allows. Never throws: the finding says what to do.
 */
export async function testRoute(
  route: Pick<ProviderRoute, "api" | "baseUrl" | "auth" | "ca" | "allowPrivate">,
): Promise<ProviderTest> {
  const started = performance.now();
  const url = new URL(`${route.baseUrl}/v1/models`);
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const found = (outcome: ProviderTest["outcome"], detail: string, models: string[] = []): ProviderTest => ({
    ...{ outcome, detail, models },
    latencyMs: Math.round(performance.now() - started),
  });
  try {
    const addresses = isIP(host) ? [{ address: host, family: isIP(host) }] : await lookup(host, { all: true });
    const allowed = addresses.find(({ address }) => route.allowPrivate || isPublic(address));
    if (!allowed)
      return found(
        "unreachable",
        `${host} is a private or reserved address: allow it for this provider, if it is yours.`,
      );
    const answer = await ask(url, allowed, route);
    if (answer.status >= 200 && answer.status < 300) {
      const models = modelIds(answer.body);
      return found(
        "accepted",
        models.length === 1
          ? "One model offered."
          : models.length > 1
            ? `${models.length} models offered.`
            : "It answers.",
        models,
      );
    }
    if (answer.status === 401 || answer.status === 403)
      return found("refused", `${host} refuses the key (status ${answer.status}): store another.`);
    if (answer.status === 429) return found("accepted", "It answers, and asks to wait (status 429).");
    return found(
      "unsure",
      `${host} answers with status ${answer.status}: it was reached, and says nothing about the key.`,
    );
  } catch (error) {
    // The library's own words may repeat headers; its codes do not.
    const code = (error as NodeJS.ErrnoException).code ?? (error as Error).name;
    return found("unreachable", `${host} cannot be reached (${code}): look at the base URL and the machine's network.`);
  }
}

function ask(
  url: URL,
  to: { address: string; family: number },
  route: Pick<ProviderRoute, "api" | "auth" | "ca">,
): Promise<{ status: number; body: string }> {
  const { auth } = route;
  const headers: Record<string, string> = { accept: "application/json" };
  if (route.api === "anthropic-messages") headers["anthropic-version"] = "2023-06-01";
  if (auth.kind === "header") headers[auth.name] = `${auth.prefix}${auth.value}`;
  return new Promise((resolve, reject) => {
    const request = (url.protocol === "https:" ? httpsRequest : httpRequest)(url, {
      headers,
      signal: AbortSignal.timeout(TEST_MS),
      // Resolved once, above: a name that answers differently the second time gains nothing.
      lookup: (_host, _options, done) => done(null, [{ address: to.address, family: to.family }]),
      ...(route.ca ? { ca: route.ca } : {}),
    });
    request.on("error", reject);
    request.on("response", (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (text: string) => {
        body += text;
        if (body.length > MAX_ANSWER) response.destroy();
      });
      response.on("error", reject);
      response.on("close", () => resolve({ status: response.statusCode ?? 0, body }));
    });
    request.end();
  });
}

/** Ids in `{ data: [{ id }] }`, as both families of APIs answer. */
function modelIds(body: string): string[] {
  try {
    const { data } = JSON.parse(body) as { data?: { id?: unknown }[] };
    return (Array.isArray(data) ? data : []).flatMap(({ id }) => (typeof id === "string" ? [id] : [])).slice(0, 200);
  } catch {
    return [];
  }
}
