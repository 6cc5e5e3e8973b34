import { createHash, randomBytes } from "node:crypto";

/** How long the printed link can be used. */
const LIFE_MS = 5 * 60_000;
/** Codes that may be open at once; the oldest goes first. */
const MAX_OPEN = 100;

/**
 * One-time codes of the link that a start prints, for the first owner. Only their hashes are held, in memory: they belong to
 * the process that printed them. Everybody's links are in the database.
 */
export type SignInCodes = {
  issue(): string;
  /** Uses a code up; false when it is unknown, used or too old. */
  redeem(code: string): boolean;
};

/** Makes the store of printed codes; `now` in milliseconds. */
export function createSignInCodes(now: () => number = Date.now): SignInCodes {
  const open = new Map<string, number>();
  const hash = (code: string) => createHash("sha256").update(code).digest("base64");
  return {
    issue() {
      const code = randomBytes(32).toString("base64url");
      if (open.size >= MAX_OPEN) open.delete(open.keys().next().value ?? "");
      open.set(hash(code), now() + LIFE_MS);
      return code;
    },
    redeem(code) {
      const key = hash(code);
      const until = open.get(key);
      open.delete(key);
      return until !== undefined && until > now();
    },
  };
}

/** Cookies do not know ports: two services on one machine must not sign each other out. */
export const cookieName = (host: string | undefined): string => `x1_session_${/:(\d+)$/.exec(host ?? "")?.[1] ?? "80"}`;

/** The session's token from a Cookie header, or null. */
export function cookieToken(cookies: string | undefined, host: string | undefined): string | null {
  const name = cookieName(host);
  for (const part of (cookies ?? "").split(";")) {
    const [key, value] = part.trim().split("=", 2);
    if (key === name && value && /^x1s_[\w-]{43}$/.test(value)) return value;
  }
  return null;
}

/** A Set-Cookie line; an empty token with age 0 takes the cookie away. */
export function sessionCookie(host: string | undefined, token: string, maxAgeSeconds: number, secure: boolean): string {
  return `${cookieName(host)}=${token}; Path=/; Max-Age=${maxAgeSeconds}; HttpOnly; SameSite=Strict${secure ? "; Secure" : ""}`;
}
