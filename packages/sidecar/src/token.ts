import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

const digest = (text: string) => createHash("sha256").update(text).digest();

/** Compares with the job's token in constant time, whatever the length. */
export class JobToken {
  readonly #digest: Buffer;

  constructor(token: string) {
    this.#digest = digest(token);
  }

  is(candidate: string | undefined): boolean {
    return candidate !== undefined && timingSafeEqual(digest(candidate), this.#digest);
  }

  /** On the inference port: `x-x1-token`, `x-api-key` or a bearer token, since each CLI knows one of them. */
  inHeaders(headers: IncomingHttpHeaders): boolean {
    return [headers["x-x1-token"], headers["x-api-key"], bearer(headers.authorization)].some(
      (candidate) => typeof candidate === "string" && this.is(candidate),
    );
  }

  /** On the other ports: a bearer token, or Basic with the user `x1`, which is what git and proxies' clients speak. */
  inAuthorization(value: string | undefined): boolean {
    return this.is(bearer(value)) || this.is(basic(value));
  }
}

const bearer = (value: string | undefined) => /^bearer +(\S+)$/i.exec(value ?? "")?.[1];

function basic(value: string | undefined): string | undefined {
  const encoded = /^basic +([\w+/=-]{1,2000})$/i.exec(value ?? "")?.[1];
  if (!encoded) return undefined;
  const [user, ...password] = Buffer.from(encoded, "base64").toString("utf8").split(":");
  return user === "x1" ? password.join(":") : undefined;
}
