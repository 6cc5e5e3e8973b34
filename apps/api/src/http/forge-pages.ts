import type { HttpBindings } from "@hono/node-server";
import type { Context, Hono } from "hono";
import type { ForgePages } from "../use-cases/forges.ts";

type Env = { Bindings: HttpBindings; Variables: { requestId: string } };

/**
 * The three pages on the way to a forge's app and back. A browser that comes from the forge carries no cookie of ours
 * (SameSite=Strict): the state in the address is the right, made for one person, good once and for an hour. Nothing of a
 * query is shown, and no page runs a script.
 */
export function addForgePages(app: Hono<Env>, pages: ForgePages): void {
  const page = (c: Context<Env>, title: string, body: string, action = "'none'") => {
    c.header(
      "content-security-policy",
      `default-src 'none'; form-action ${action}; base-uri 'none'; frame-ancestors 'none'`,
    );
    c.header("referrer-policy", "no-referrer");
    c.header("cache-control", "no-store");
    return c.html(
      `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title><h1>${title}</h1>${body}</html>`,
    );
  };
  const failed = (c: Context<Env>, detail: string) =>
    page(
      c,
      "Not connected",
      `<p>${escaped(detail)}</p><p>Begin again with <code>x1 github connect</code> or in the settings.</p>`,
    );
  const asked = (c: Context<Env>, name: string) => (c.req.query(name) ?? "").slice(0, 500);

  app.get("/web/forges/new", async (c) => {
    const form = await pages.form(asked(c, "state"));
    if (!form) return failed(c, "This way to connect was used, or is older than an hour.");
    return page(
      c,
      "Register a GitHub App",
      `<p>GitHub makes an app of your own, private to its owner, with these rights: contents, issues, pull requests and checks (read and write), commit statuses, actions and metadata (read).</p>
<form method="post" action="${escaped(form.action)}"><input type="hidden" name="manifest" value="${escaped(form.manifest)}"><button>Go on to GitHub</button></form>`,
      new URL(form.action).origin,
    );
  });

  app.get("/web/forges/created", async (c) => {
    const made = await pages.created(asked(c, "state"), asked(c, "code"));
    return made.ok ? c.redirect(made.value.installUrl) : failed(c, made.detail);
  });

  app.get("/web/forges/installed", async (c) => {
    const found = await pages.installed(asked(c, "state"), asked(c, "installation_id"));
    return found.ok
      ? page(
          c,
          "Connected",
          `<p>${escaped(found.value.account)} is connected. You can close this page.</p><p><a href="/">Open x1agent</a></p>`,
        )
      : failed(c, found.detail);
  });
}

const escaped = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
