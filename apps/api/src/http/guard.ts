import { accept, type Outcome, type RouteName, refuse } from "@x1agent/contract";

const loopbackNames = new Set(["localhost", "127.0.0.1", "[::1]"]);

/**
 * Whether a request's Host and Origin are ours. A web page on another name that resolves to this machine (DNS
 * rebinding) has a foreign Host; a page on another origin has a foreign Origin.
 */
export function checkOrigin(
  headers: { host: string | undefined; origin: string | undefined },
  hosts: ReadonlySet<string>,
): Outcome<null> {
  const host = parseHost(headers.host);
  if (!host || !(loopbackNames.has(host.name) || hosts.has(host.name)))
    return refuse("host_refused", "The Host header names no address of this service.");
  if (headers.origin === undefined) return accept(null);
  // Same origin only: scheme may differ behind a TLS proxy, name and port may not.
  const origin = /^https?:\/\/([^/]+)$/.exec(headers.origin);
  const from = parseHost(origin?.[1]);
  if (!from || from.name !== host.name || from.port !== host.port)
    return refuse("host_refused", "The Origin header names another site.");
  return accept(null);
}

function parseHost(text: string | undefined): { name: string; port: string } | null {
  const match = /^(\[[0-9a-f:]+\]|[a-z0-9.-]+)(?::(\d{1,5}))?$/i.exec(text ?? "");
  return match?.[1] ? { name: match[1].toLowerCase(), port: match[2] ?? "" } : null;
}

/** Bytes a body may have. A goal or message of 1 MB grows up to sixfold when JSON escapes it. */
export function bodyLimit(name: RouteName): number {
  return name === "createJob" || name === "injectMessage" ? 8 * 1_048_576 : 512 * 1_024;
}

/** Reads a request's body up to `limit` bytes; nothing beyond is taken in. */
export async function readBody(request: Request, limit: number): Promise<Outcome<Uint8Array<ArrayBuffer>>> {
  const tooLarge = refuse("body_too_large", `The body may have at most ${limit} bytes.`);
  if (Number(request.headers.get("content-length") ?? 0) > limit) return tooLarge;
  if (!request.body) return accept(new Uint8Array());
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = request.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.byteLength;
    if (size > limit) {
      await reader.cancel().catch(() => undefined);
      return tooLarge;
    }
    chunks.push(value);
  }
  const body = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.byteLength;
  }
  return accept(body);
}
