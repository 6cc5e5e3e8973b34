import type { WebhookEventName } from "@octokit/webhooks-types";
import { accept, type Outcome, refuse } from "@x1agent/contract";
import { z } from "zod";
import { createClient, type GithubOptions, refusalOf } from "./client.ts";
import { missingPermissions, neededPermissions } from "./github.ts";
import { boundedFetch } from "./http.ts";
import { AppConversion, Installation } from "./schemas.ts";

/** Events that an app with a webhook gets. */
const events: WebhookEventName[] = [
  ...(["issues", "issue_comment", "pull_request", "pull_request_review", "pull_request_review_comment"] as const),
  ...(["check_run", "check_suite", "status", "push", "repository"] as const),
];

/**
 * The manifest of an app of one's own: permissions as `neededPermissions`, private to its owner. Without a `webhookUrl`
 * that GitHub can reach there is no webhook, and the service asks instead. Pure.
 */
export function appManifest(app: {
  name: string;
  url: string;
  redirectUrl: string;
  setupUrl: string;
  webhookUrl: string | null;
}) {
  return {
    ...{ name: app.name, url: app.url, redirect_url: app.redirectUrl, setup_url: app.setupUrl, setup_on_update: true },
    public: false,
    default_permissions: neededPermissions,
    ...(app.webhookUrl ? { hook_attributes: { url: app.webhookUrl, active: true }, default_events: events } : {}),
  };
}

/** Where the person's browser posts the manifest; an organization's app is made in its own settings. Pure. */
export function manifestAction(webUrl: string, organization: string | null, state: string): string {
  const path = organization
    ? `/organizations/${encodeURIComponent(organization)}/settings/apps/new`
    : "/settings/apps/new";
  return `${webUrl}${path}?state=${encodeURIComponent(state)}`;
}

/** An app as GitHub made it of the manifest. The private key and the webhook's secret are given this once. */
export type MadeApp = {
  id: string;
  slug: string;
  name: string;
  webUrl: string;
  privateKey: string;
  webhookSecret: string | null;
};

/** Turns the code that a manifest's redirect carries into the app; good for one hour and one time. */
export async function convertManifest(
  options: Pick<GithubOptions, "apiUrl" | "fetch">,
  code: string,
): Promise<Outcome<MadeApp>> {
  if (!/^[\w-]{1,200}$/.test(code)) return refuse("invalid_request", "The code of the app's manifest is missing.");
  const what = "the app of this manifest";
  try {
    const send = boundedFetch(options.fetch ?? fetch, options.apiUrl);
    const response = await send(`${options.apiUrl}/app-manifests/${encodeURIComponent(code)}/conversions`, {
      method: "POST",
      headers: { accept: "application/vnd.github+json", "x-github-api-version": "2022-11-28", "user-agent": "x1agent" },
    });
    const data: unknown = await response.json().catch(() => null);
    if (!response.ok)
      return refusalOf(
        { status: response.status, response: { headers: Object.fromEntries(response.headers), data } },
        ...([what, { kind: "app" }] as const),
      );
    const parsed = AppConversion.safeParse(data);
    if (!parsed.success)
      return refuse("forge_invalid", "GitHub's answer to the manifest is not what its description says.");
    const { id, slug, name, html_url, pem, webhook_secret } = parsed.data;
    return accept({
      id: String(id),
      slug,
      name,
      webUrl: html_url,
      privateKey: pem,
      webhookSecret: webhook_secret ?? null,
    });
  } catch (error) {
    return refusalOf(error, what, { kind: "app" });
  }
}

/** An installation of an app, as the app sees it. */
export type GithubInstallation = {
  id: string;
  account: string;
  permissions: Record<string, string>;
  missing: string[];
  suspended: boolean;
};

/** Every installation of an app, at most 300. */
export async function listInstallations(
  options: Omit<GithubOptions, "auth"> & { appId: string; privateKey: string },
): Promise<Outcome<GithubInstallation[]>> {
  const { appId, privateKey, ...rest } = options;
  const client = createClient({ ...rest, auth: { kind: "app", appId, privateKey, installation: null } });
  const found: GithubInstallation[] = [];
  for (let page = 1; page <= 3; page += 1) {
    const some = await client.call("GET /app/installations", "the app's installations", z.array(Installation), {
      ...{ per_page: 100, page },
    });
    if (!some.ok) return some;
    for (const one of some.value.value)
      found.push({
        id: String(one.id),
        account: one.account?.login ?? one.account?.slug ?? "",
        permissions: one.permissions,
        missing: missingPermissions(one.permissions),
        suspended: Boolean(one.suspended_at),
      });
    if (some.value.next === null) break;
  }
  return accept(found);
}
