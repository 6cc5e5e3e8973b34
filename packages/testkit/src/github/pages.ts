import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Account, Installation, Permissions, Repository } from "./model.ts";
import type { ManifestCodes } from "./routes-apps.ts";
import type { Page } from "./server.ts";
import { accountByLogin } from "./world/accounts.ts";
import { addApp, installApp } from "./world/apps.ts";
import { logKey } from "./world/checks.ts";
import type { World } from "./world/world.ts";

/** The few pages of GitHub's web side that the product sends a person's browser to, and the log files. */

const escaped = (text: string) => text.replace(/[&<>"]/g, (one) => `&#${one.charCodeAt(0)};`);

function html(response: ServerResponse, status: number, title: string, content: string): true {
  response
    .writeHead(status, { "content-type": "text/html; charset=utf-8" })
    .end(`<!doctype html><meta charset="utf-8"><title>${title}</title><main><h1>${title}</h1>${content}</main>`);
  return true;
}

async function form(request: IncomingMessage): Promise<URLSearchParams> {
  let text = "";
  for await (const part of request) {
    text += String(part);
    if (text.length > 1_000_000) throw new Error("a form of more than a megabyte is not played");
  }
  return new URLSearchParams(text);
}

type Manifest = {
  name?: string;
  url?: string;
  hook_attributes?: { url?: string; active?: boolean };
  redirect_url?: string;
  setup_url?: string;
  description?: string;
  default_permissions?: Permissions;
  default_events?: string[];
  public?: boolean;
};

/** Where an App sends people after they installed it, by App id. */
export type SetupUrls = Map<number, string>;

export function pages(
  world: World,
  codes: ManifestCodes,
  /** The person before the browser. */
  viewer: () => Account,
): Page[] {
  const setup: SetupUrls = new Map();
  const manifests = new Map<string, { manifest: Manifest; owner: Account; state: string }>();

  const ownerOf = (path: string): Account | undefined => {
    if (path === "/settings/apps/new") return viewer();
    const found = /^\/organizations\/([\w.-]+)\/settings\/apps\/new$/.exec(path);
    return found ? accountByLogin(world, found[1]!) : undefined;
  };

  /** The page that takes the manifest: a person confirms, and the browser goes back with a code. */
  const create: Page = async (request, response, url) => {
    const confirm = /^\/_manifest\/(\w+)$/.exec(url.pathname);
    if (request.method === "POST" && confirm) {
      const kept = manifests.get(confirm[1]!);
      if (!kept) return html(response, 404, "Not found", "");
      manifests.delete(confirm[1]!);
      const { manifest, owner, state } = kept;
      const wanted = (await form(request)).get("name") ?? manifest.name ?? "app";
      const app = addApp(world, {
        name: wanted,
        owner,
        permissions: manifest.default_permissions ?? {},
        events: manifest.default_events ?? [],
        webhook: manifest.hook_attributes?.url
          ? { url: manifest.hook_attributes.url, secret: randomBytes(20).toString("hex") }
          : {},
        ...(manifest.url ? { externalUrl: manifest.url } : {}),
        description: manifest.description ?? null,
      });
      if (manifest.hook_attributes?.active === false) app.webhook = { ...app.webhook, active: false };
      if (manifest.setup_url) setup.set(app.id, manifest.setup_url);
      const code = randomBytes(20).toString("hex");
      // An hour, says GitHub's guide.
      codes.set(code, { appId: app.id, usedUntil: world.now() + 3_600_000 });
      const back = new URL(manifest.redirect_url!);
      back.searchParams.set("code", code);
      if (state) back.searchParams.set("state", state);
      response.writeHead(302, { location: back.href }).end();
      return true;
    }
    const owner = ownerOf(url.pathname);
    if (!owner) return false;
    const given = request.method === "POST" ? (await form(request)).get("manifest") : null;
    let manifest: Manifest;
    try {
      manifest = JSON.parse(given ?? "") as Manifest;
    } catch {
      return html(response, 422, "Invalid GitHub App configuration", "<p>The manifest is not JSON.</p>");
    }
    const faults: string[] = [];
    if (!manifest.url) faults.push("Homepage URL can't be blank");
    if (!manifest.redirect_url) faults.push("redirect_url is missing");
    const known = new Set(Object.keys(manifest.default_permissions ?? {}));
    for (const level of Object.values(manifest.default_permissions ?? {}))
      if (!["read", "write", "admin"].includes(level))
        faults.push(`Default permission records resource is not included in the list`);
    for (const event of manifest.default_events ?? []) {
      const needed = eventPermission[event];
      if (needed && !needed.some((one) => known.has(one))) faults.push(`Default events unsupported: ${event}`);
    }
    if (faults.length > 0)
      return html(
        response,
        422,
        "Invalid GitHub App configuration",
        `<ul>${faults.map((one) => `<li>${escaped(one)}</li>`).join("")}</ul>`,
      );
    const id = randomBytes(8).toString("hex");
    manifests.set(id, { manifest, owner, state: url.searchParams.get("state") ?? "" });
    return html(
      response,
      200,
      "Create GitHub App",
      `<form method="post" action="/_manifest/${id}"><label>GitHub App name <input name="name" value="${escaped(manifest.name ?? "")}"></label><button type="submit">Create GitHub App for ${escaped(owner.login)}</button></form>`,
    );
  };

  /** The page that installs an App: all repositories or some, then back to the App's set-up address. */
  const install: Page = async (request, response, url) => {
    const found = /^\/(?:github-)?apps\/([\w-]+)\/installations\/new$/.exec(url.pathname);
    if (!found) return false;
    const app = [...world.apps.values()].find((one) => one.slug === found[1]);
    if (!app) return html(response, 404, "Not found", "");
    const person = viewer();
    const accounts = [...world.accounts.values()].filter(
      (one) => one === person || (one.type === "Organization" && one.members.get(person.id) === "owner"),
    );
    const mine = (account: Account) => [...world.repositories.values()].filter((one) => one.owner === account);
    if (request.method !== "POST") {
      const state = url.searchParams.get("state") ?? "";
      const choices = accounts.map(
        (account) =>
          `<form method="post"><h2>${escaped(account.login)}</h2><input type="hidden" name="account" value="${account.id}"><input type="hidden" name="state" value="${escaped(state)}"><label><input type="radio" name="selection" value="all" checked>All repositories</label><label><input type="radio" name="selection" value="selected">Only select repositories</label>${mine(
            account,
          )
            .map(
              (one) => `<label><input type="checkbox" name="repository" value="${one.id}">${escaped(one.name)}</label>`,
            )
            .join("")}<button type="submit">Install on ${escaped(account.login)}</button></form>`,
      );
      return html(response, 200, `Install ${escaped(app.name)}`, choices.join(""));
    }
    const given = await form(request);
    const account = accounts.find((one) => String(one.id) === given.get("account"));
    if (!account) return html(response, 404, "Not found", "");
    const chosen = new Set(given.getAll("repository"));
    const repositories: "all" | Repository[] =
      given.get("selection") === "selected" ? mine(account).filter((one) => chosen.has(String(one.id))) : "all";
    const existing = [...world.installations.values()].find((one) => one.app === app && one.account === account);
    const installation: Installation =
      existing ?? (await world.exclusive(() => installApp(world, app, account, repositories, person)));
    const target = setup.get(app.id);
    if (!target) {
      response.writeHead(302, { location: `${world.bases.web}/settings/installations/${installation.id}` }).end();
      return true;
    }
    const back = new URL(target);
    back.searchParams.set("installation_id", String(installation.id));
    back.searchParams.set("setup_action", existing ? "update" : "install");
    if (given.get("state")) back.searchParams.set("state", given.get("state")!);
    response.writeHead(302, { location: back.href }).end();
    return true;
  };

  const logs: Page = async (_request, response, url) => {
    const found = /^\/_logs\/(\d+)\/(\w+)$/.exec(url.pathname);
    if (!found) return false;
    for (const repository of world.repositories.values())
      for (const run of repository.checkRuns)
        if (run.job && String(run.id) === found[1] && logKey(world, run) === found[2]) {
          response.writeHead(200, { "content-type": "text/plain; charset=utf-8" }).end(run.job.log);
          return true;
        }
    response.writeHead(404).end();
    return true;
  };
  return [create, install, logs];
}

/** Which permission lets an App subscribe to an event: GitHub refuses a manifest that lacks it. */
const eventPermission: Record<string, string[]> = {
  issues: ["issues"],
  issue_comment: ["issues", "pull_requests"],
  pull_request: ["pull_requests"],
  pull_request_review: ["pull_requests"],
  pull_request_review_comment: ["pull_requests"],
  pull_request_review_thread: ["pull_requests"],
  check_run: ["checks"],
  check_suite: ["checks"],
  status: ["statuses"],
  push: ["contents"],
};
