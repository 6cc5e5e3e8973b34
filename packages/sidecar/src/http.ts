import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { type ErrorCode, problem } from "@x1agent/contract";

const digest = (text: string) => createHash("sha256").update(text).digest();

/** The job token in any of the places where clients can be told to put it; compared in constant time. */
export class TokenCheck {
  readonly #held: Buffer;
  constructor(token: string) {
    this.#held = digest(token);
  }

  /** `names` are header names in the order they are looked at. */
  accepts(headers: IncomingHttpHeaders, names: readonly string[]): boolean {
    let accepted = false;
    for (const name of names) {
      const value = headers[name];
      if (typeof value !== "string") continue;
      const [scheme = "", rest = ""] = value.split(" ", 2);
      const candidates = [value];
      if (/^bearer$/i.test(scheme)) candidates.push(rest);
      if (/^basic$/i.test(scheme))
        candidates.push(
          Buffer.from(rest, "base64")
            .toString("utf8")
            .replace(/^[^:]*:/, ""),
        );
      for (const candidate of candidates) if (timingSafeEqual(this.#held, digest(candidate))) accepted = true;
    }
    return accepted;
  }
}

/** Headers that belong to one connection (RFC 9110 section 7.6.1), or that a proxy must not pass on. */
const hopByHop = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "content-length",
  "set-cookie",
  "set-cookie2",
  "alt-svc",
  "strict-transport-security",
]);

/** Response headers as they may be passed down. */
export function responseHeaders(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  const named = new Set(
    String(headers.connection ?? "")
      .toLowerCase()
      .split(",")
      .map((name) => name.trim()),
  );
  const kept: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers))
    if (value !== undefined && !hopByHop.has(name) && !named.has(name)) kept[name] = value;
  return kept;
}

/** The whole body, or null beyond `limit` bytes. */
export function readBody(request: IncomingMessage, limit: number): Promise<Buffer | null> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > limit) {
        request.pause();
        resolve(null);
      } else chunks.push(chunk);
    });
    request.on("end", () => resolve(Buffer.concat(chunks)));
    request.on("error", reject);
    request.on("close", () => reject(new Error("The client went away.")));
  });
}

/** A refusal in our own shape, where no wire format applies. */
export function refuse(
  response: ServerResponse,
  code: ErrorCode,
  detail?: string,
  headers: Record<string, string> = {},
): void {
  const body = problem(code, detail);
  response.writeHead(body.status, { "content-type": "application/problem+json", ...headers }).end(JSON.stringify(body));
}
