import type { HttpBindings } from "@hono/node-server";
import type { Context, Hono } from "hono";
import { readBody } from "../guard.ts";
import { cookieToken, type SignInCodes, sessionCookie } from "./sessions.ts";
import { type WebFiles, webPolicy } from "./static.ts";

export { cookieToken, createSignInCodes } from "./sessions.ts";
export { readWebFiles } from "./static.ts";

type Env = { Bindings: HttpBindings; Variables: { requestId: string } };
export type WebDeps = {
  files: WebFiles;
  codes: SignInCodes;
  /** A token for a new browser session of the owner, and how long it lives. */
  openSession(): Promise<{ token: string; expiresInSeconds: number }>;
  /** Ends the session that this token stands for. */
  closeSession(token: string): Promise<void>;
};

/** `/web/session` (a code becomes a cookie, sign-out) and the built app: every other path outside /api is its page. */
export function addWeb(app: Hono<Env>, deps: WebDeps): void {
  const secure = (c: Context<Env>) => (c.req.header("origin") ?? "").startsWith("https://");
  /** A browser sends Origin with every POST and DELETE; whether it is ours was checked before. */
  const fromOurPage = (c: Context<Env>) => c.req.header("origin") !== undefined;

  app.post("/web/session", async (c) => {
    if (!fromOurPage(c)) return c.json({ detail: "Sign in from the web app." }, 403);
    const raw = await readBody(c.req.raw, 1_000);
    const code = raw.ok ? /^\{"code":"([\w-]{43})"\}$/.exec(new TextDecoder().decode(raw.value))?.[1] : undefined;
    if (!code || !deps.codes.redeem(code))
      return c.json({ detail: "This link was used or is older than five minutes. Ask the service for another." }, 401);
    const { token, expiresInSeconds } = await deps.openSession();
    c.header("set-cookie", sessionCookie(c.req.header("host"), token, expiresInSeconds, secure(c)));
    return c.json({ signedIn: true });
  });

  app.delete("/web/session", async (c) => {
    if (!fromOurPage(c)) return c.json({ detail: "Sign out from the web app." }, 403);
    const token = cookieToken(c.req.header("cookie"), c.req.header("host"));
    if (token) await deps.closeSession(token);
    c.header("set-cookie", sessionCookie(c.req.header("host"), "", 0, secure(c)));
    return c.json({ signedIn: false });
  });

  const index = deps.files.get("/index.html");
  if (!index) return;
  app.get("*", async (c, next) => {
    if (c.req.path.startsWith("/api/")) return next();
    const file = deps.files.get(c.req.path) ?? ((c.req.header("accept") ?? "").includes("text/html") ? index : null);
    if (!file) return next();
    c.header("content-security-policy", webPolicy);
    c.header("cache-control", file.cache);
    c.header("content-type", file.type);
    return c.body(file.body);
  });
}
