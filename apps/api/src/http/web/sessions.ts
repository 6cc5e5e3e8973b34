import { createHash, randomBytes } from "node:crypto";

/** How long a link can be used: one's own is at hand, an invitation has its way to go. */
const lifeMs = { "sign-in": 5 * 60_000, invitation: 24 * 3_600_000 } as const;
/** Links that may be open at once; the oldest goes first. */
const MAX_LINKS = 100;

/**
 * One-time sign-in codes. Only their hashes are held, in memory: a restart ends them all. A code is for one user, or for
 * the first owner (null).
 */
export type SignInCodes = {
  issue(userId: string | null, use?: keyof typeof lifeMs): { code: string; expiresAt: string };
  redeem(code: string): { userId: string | null } | null;
  /** Ends a user's open codes: they were made for the role that the user had. */
  revoke(userId: string): void;
};

/** Makes the store of one-time codes; `now` in milliseconds. */
export function createSignInCodes(now: () => number = Date.now): SignInCodes {
  const open = new Map<string, { until: number; userId: string | null }>();
  const hash = (code: string) => createHash("sha256").update(code).digest("base64");
  return {
    issue(userId, use = "sign-in") {
      const code = randomBytes(32).toString("base64url");
      const until = now() + lifeMs[use];
      if (open.size >= MAX_LINKS) open.delete(open.keys().next().value ?? "");
      open.set(hash(code), { until, userId });
      return { code, expiresAt: new Date(until).toISOString() };
    },
    redeem(code) {
      const key = hash(code);
      const found = open.get(key);
      open.delete(key);
      return found && found.until > now() ? { userId: found.userId } : null;
    },
    revoke(userId) {
      for (const [key, code] of open) if (code.userId === userId) open.delete(key);
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
