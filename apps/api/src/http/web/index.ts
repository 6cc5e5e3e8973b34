import type { HttpBindings } from "@hono/node-server";
import { type ErrorCode, PasswordSignIn, problem, WebAuthnResponse } from "@x1agent/contract";
import type { SignInMethod } from "@x1agent/domain-identity";
import type { Context, Hono } from "hono";
import { z } from "zod";
import type { SignIn } from "../../use-cases/account.ts";
import { readBody } from "../guard.ts";
import { createLimiter, type Limiter } from "./limit.ts";
import { cookieToken, type SignInCodes, sessionCookie } from "./sessions.ts";
import { freshPage, type WebFiles, webPolicy } from "./static.ts";

export { createSharedLimiter } from "./limit.ts";
export { cookieToken, createSignInCodes } from "./sessions.ts";
export { readWebFiles } from "./static.ts";

type Env = { Bindings: HttpBindings; Variables: { requestId: string } };
type Ctx = Context<Env>;
export type WebDeps = {
  files: WebFiles;
  codes: SignInCodes;
  signIn: SignIn;
  /** Tries of passwords per name, and of anything per address. */
  limits: { name: Limiter; address: Limiter };
};

/** Refused sign-ins that come into the audit log in a minute; more add nothing to what these say. */
const REFUSALS_WRITTEN = 60;
const CodeSignIn = z.object({ code: z.string().regex(/^[\w-]{43}$/) });
const Nothing = z.object({});
const PasskeySignIn = z.object({ response: WebAuthnResponse });

/**
 * `/web/session...` (a code, a password or a passkey becomes a cookie; sign-out) and the built app: every other path
 * outside /api is its page. These paths are for browsers only: what changes something must carry our own Origin, which
 * was held against Host before, and JSON, which no form of another site can send.
 */
export function addWeb(app: Hono<Env>, deps: WebDeps): void {
  const { limits } = deps;
  const written = createLimiter(REFUSALS_WRITTEN, 60_000);
  const secure = (c: Ctx) => (c.req.header("origin") ?? "").startsWith("https://");
  const failed = (c: Ctx, code: ErrorCode, detail: string) => {
    c.header("content-type", "application/problem+json");
    const body = problem(code, detail, { instance: c.get("requestId") });
    return c.body(JSON.stringify(body), body.status as 400);
  };
  const addressOf = (c: Ctx): string | null => c.env?.incoming?.socket?.remoteAddress ?? null;
  /** Refuses a sign-in, and leaves a trace of it: at most so many a minute, whoever tries, so that none floods the log. */
  const refused = async (c: Ctx, method: SignInMethod, answer: Response, limited = false) => {
    if (written.take("") === null) await deps.signIn.refused({ method, address: addressOf(c), limited });
    return answer;
  };
  const wait = (c: Ctx, seconds: number) => {
    c.header("retry-after", String(seconds));
    return failed(c, "rate_limited", `Too many tries: wait ${seconds} seconds.`);
  };

  /** A sign-in's path: own page, not too often, a body of this shape. */
  const post = <T>(path: string, schema: z.ZodType<T>, work: (c: Ctx, body: T) => Promise<Response>) =>
    app.post(path, async (c) => {
      if (c.req.header("origin") === undefined) return failed(c, "forbidden", "Sign in from the web app.");
      if (!/^application\/json\s*(;|$)/i.test(c.req.header("content-type") ?? ""))
        return failed(c, "invalid_request", "Send the body as application/json.");
      const seconds = await limits.address.take(addressOf(c) ?? "");
      if (seconds !== null) return wait(c, seconds);
      const raw = await readBody(c.req.raw, 20_000);
      const body = schema.safeParse(raw.ok ? parsed(raw.value) : undefined);
      return body.success ? work(c, body.data) : failed(c, "unauthenticated", "That is no sign-in.");
    });
  const opened = async (c: Ctx, userId: string | null, method: SignInMethod) => {
    const how = { method, address: addressOf(c), agent: c.req.header("user-agent") ?? null };
    const session = await deps.signIn.open(userId, how);
    if (!session)
      return refused(c, method, failed(c, "unauthenticated", "You are no longer in the organization: ask an owner."));
    const { token, expiresInSeconds } = session;
    // The browser's session before this one, if any, is not left open behind it.
    const before = cookieToken(c.req.header("cookie"), c.req.header("host"));
    if (before) await deps.signIn.close(before);
    c.header("set-cookie", sessionCookie(c.req.header("host"), token, expiresInSeconds, secure(c)));
    return c.json({ signedIn: true });
  };

  app.get("/web/session/methods", async (c) => c.json(await deps.signIn.methods()));

  post("/web/session", CodeSignIn, async (c, { code }) => {
    const printed = deps.codes.redeem(code);
    const userId = printed ? null : await deps.signIn.byLink(code);
    if (!printed && userId === null)
      return refused(
        c,
        "link",
        failed(
          c,
          "unauthenticated",
          "This link was used or is older than five minutes (an invitation: a day). `x1 sign-in` prints another.",
        ),
      );
    return opened(c, userId, "link");
  });

  post("/web/session/password", PasswordSignIn, async (c, { name, password }) => {
    // Per name, whatever the address: others cannot be kept out by it, since links and passkeys go on working.
    const key = name.trim().toLowerCase();
    const seconds = await limits.name.take(key);
    if (seconds !== null) return refused(c, "password", wait(c, seconds), true);
    const userId = await deps.signIn.byPassword(name, password);
    if (userId === "busy") return wait(c, 2);
    if (userId === null)
      return refused(c, "password", failed(c, "unauthenticated", "The name or the password is wrong."));
    await limits.name.clear(key);
    return opened(c, userId, "password");
  });

  post("/web/session/passkey/options", Nothing, async (c) => {
    const options = await deps.signIn.passkeyRequest(c.req.header("origin") ?? null);
    return options
      ? c.json(options)
      : failed(c, "forbidden", "Passkeys belong to a name, not to an address: open this page at http://localhost.");
  });

  post("/web/session/passkey", PasskeySignIn, async (c, { response }) => {
    const userId = await deps.signIn.byPasskey(response, c.req.header("origin") ?? null);
    return userId === null
      ? refused(
          c,
          "passkey",
          failed(c, "unauthenticated", "This passkey is not known here, or its answer came too late."),
        )
      : opened(c, userId, "passkey");
  });

  app.delete("/web/session", async (c) => {
    if (c.req.header("origin") === undefined) return failed(c, "forbidden", "Sign out from the web app.");
    const token = cookieToken(c.req.header("cookie"), c.req.header("host"));
    if (token) await deps.signIn.close(token);
    c.header("set-cookie", sessionCookie(c.req.header("host"), "", 0, secure(c)));
    return c.json({ signedIn: false });
  });

  const index = deps.files.get("/index.html");
  if (!index) return;
  app.get("*", async (c, next) => {
    if (c.req.path.startsWith("/api/")) return next();
    const file = deps.files.get(c.req.path) ?? ((c.req.header("accept") ?? "").includes("text/html") ? index : null);
    if (!file) return next();
    const { body, policy } = file === index ? freshPage(index) : { body: file.body, policy: webPolicy };
    c.header("content-security-policy", policy);
    c.header("cache-control", file.cache);
    c.header("content-type", file.type);
    return c.body(body);
  });
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}
