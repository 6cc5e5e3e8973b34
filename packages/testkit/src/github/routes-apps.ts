import { mintInstallationToken } from "./access.ts";
import type { Shape } from "./description.ts";
import { type Account, type Installation, notFound, type Permissions, Refused } from "./model.ts";
import { type Call, created, empty, type Handlers, list, ok } from "./server.ts";
import type { Webhooks } from "./webhooks.ts";
import { accountByLogin, reaches, roleOf } from "./world/accounts.ts";
import { changeInstallation, covers, repositoriesOf } from "./world/apps.ts";

/** Meta, people, Apps, installations, and the deliveries of an App's webhook. */

function appOf(call: Call) {
  if (call.principal.kind !== "app") throw notFound();
  return call.principal.app;
}

function installationOf(call: Call): Installation {
  const installation = call.world.installations.get(Number(call.values.installation_id));
  if (!installation || installation.app !== appOf(call)) throw notFound();
  return installation;
}

const installationFor = (call: Call, account: Account | undefined): Installation => {
  const app = appOf(call);
  for (const installation of call.world.installations.values())
    if (installation.app === app && installation.account === account) return installation;
  throw notFound();
};

const accountNamed = (call: Call, login: unknown): Account => {
  const account = accountByLogin(call.world, String(login));
  if (!account) throw notFound();
  return account;
};

/** What GitHub hands out once when a manifest's code is redeemed: filled by the page that took the form. */
export type ManifestCodes = Map<string, { appId: number; usedUntil: number }>;

export function appRoutes(webhooks: Webhooks, codes: ManifestCodes): Handlers {
  const hookConfig = (call: Call) => {
    const { url, secret } = appOf(call).webhook;
    return {
      content_type: "json",
      insecure_ssl: "0",
      ...(secret ? { secret: "********" } : {}),
      ...(url ? { url } : {}),
    };
  };
  return {
    "meta/root": { handle: ({ present }) => ok(rootOf(present.api)) },
    "meta/get": {
      handle: () =>
        ok({
          verifiable_password_authentication: true,
          installed_version: "3.19.0",
          hooks: ["127.0.0.0/8"],
          web: [],
          api: [],
          git: [],
          domains: { website: [] },
        }),
    },
    "rate-limit/get": { handle: ({ limits, principal }) => ok(limits.overview(principal)) },
    "users/get-authenticated": {
      who: "token",
      handle: (call) => {
        if (call.token.kind === "installation") throw new Refused(403, "Resource not accessible by integration");
        return ok({
          ...call.present.fullUser(call.actor),
          private_gists: 0,
          total_private_repos: 0,
          owned_private_repos: 0,
          disk_usage: 0,
          collaborators: 0,
          two_factor_authentication: true,
        });
      },
    },
    "users/get-by-username": {
      handle: (call) => ok(call.present.fullUser(accountNamed(call, call.values.username))),
    },
    "orgs/list-for-authenticated-user": {
      who: "token",
      handle: (call) =>
        list(
          [...call.world.accounts.values()].filter((one) => one.members.has(call.actor.id)),
          (one) => call.present.organization(one),
        ),
    },
    "apps/get-authenticated": {
      who: "app",
      handle: (call) => {
        const app = appOf(call);
        const count = [...call.world.installations.values()].filter((one) => one.app === app).length;
        return ok({ ...call.present.app(app), installations_count: count });
      },
    },
    "apps/get-by-slug": {
      handle: (call) => {
        const app = [...call.world.apps.values()].find((one) => one.slug === call.values.app_slug);
        if (!app) throw notFound();
        return ok(call.present.app(app));
      },
    },
    "apps/create-from-manifest": {
      who: "any",
      handle: (call) => {
        const entry = codes.get(String(call.values.code));
        const app = entry && call.world.apps.get(entry.appId);
        if (!entry || !app || entry.usedUntil < call.world.now()) throw notFound();
        codes.delete(String(call.values.code));
        return created({
          ...call.present.app(app),
          client_id: app.clientId,
          client_secret: app.clientSecret,
          webhook_secret: app.webhook.secret ?? null,
          pem: app.privateKey,
        });
      },
    },
    "apps/list-installations": {
      who: "app",
      handle: (call) =>
        list(
          [...call.world.installations.values()].filter((one) => one.app === appOf(call)),
          (one) => call.present.installation(one),
        ),
    },
    "apps/get-installation": { who: "app", handle: (call) => ok(call.present.installation(installationOf(call))) },
    "apps/get-repo-installation": {
      who: "app",
      handle: (call) => {
        const installation = installationFor(call, call.repository.owner);
        if (!covers(installation, call.repository)) throw notFound();
        return ok(call.present.installation(installation));
      },
    },
    "apps/get-org-installation": {
      who: "app",
      handle: (call) => ok(call.present.installation(installationFor(call, accountNamed(call, call.values.org)))),
    },
    "apps/get-user-installation": {
      who: "app",
      handle: (call) => ok(call.present.installation(installationFor(call, accountNamed(call, call.values.username)))),
    },
    "apps/delete-installation": {
      who: "app",
      handle: async (call) => {
        await changeInstallation(call.world, installationOf(call), "deleted", appOf(call).bot);
        return empty();
      },
    },
    "apps/suspend-installation": {
      who: "app",
      handle: async (call) => {
        await changeInstallation(call.world, installationOf(call), "suspend", appOf(call).bot);
        return empty();
      },
    },
    "apps/unsuspend-installation": {
      who: "app",
      handle: async (call) => {
        await changeInstallation(call.world, installationOf(call), "unsuspend", appOf(call).bot);
        return empty();
      },
    },
    "apps/create-installation-access-token": {
      who: "app",
      handle: (call) => {
        const { repositories, repository_ids, permissions } = call.body as {
          repositories?: string[];
          repository_ids?: number[];
          permissions?: Permissions;
        };
        const installation = installationOf(call);
        const token = mintInstallationToken(call.world, installation, {
          ...(repositories ? { repositories } : {}),
          ...(repository_ids ? { repositoryIds: repository_ids } : {}),
          ...(permissions ? { permissions } : {}),
        });
        const selected = token.repositories;
        return created({
          token: token.value,
          expires_at: `${new Date(token.expiresAt!).toISOString().slice(0, 19)}Z`,
          permissions: token.permissions,
          repository_selection: selected === "all" && installation.repositories === "all" ? "all" : "selected",
          ...(selected === "all"
            ? {}
            : { repositories: [...selected].map((id) => call.present.repository(call.world.repositories.get(id)!)) }),
        });
      },
    },
    "apps/revoke-installation-access-token": {
      who: "installation",
      handle: (call) => {
        call.token.revoked = true;
        return empty();
      },
    },
    "apps/list-repos-accessible-to-installation": {
      who: "installation",
      handle: (call) => {
        const { installation, repositories } = call.token;
        const covered = repositoriesOf(call.world, installation!).filter(
          (one) => repositories === "all" || repositories.has(one.id),
        );
        return list(
          covered,
          (one) => call.present.repository(one, true),
          (page, total) => ({
            total_count: total,
            repository_selection: installation!.repositories === "all" ? "all" : "selected",
            repositories: page,
          }),
        );
      },
    },
    "apps/get-webhook-config-for-app": { who: "app", handle: (call) => ok(hookConfig(call)) },
    "apps/update-webhook-config-for-app": {
      who: "app",
      handle: (call) => {
        const { url, secret } = call.body as { url?: string; secret?: string };
        const app = appOf(call);
        if (url !== undefined) app.webhook = { ...app.webhook, url, active: true };
        if (secret !== undefined) app.webhook = { ...app.webhook, secret };
        return ok(hookConfig(call));
      },
    },
    "apps/list-webhook-deliveries": {
      who: "app",
      handle: (call) => {
        const all = webhooks.deliveriesOf(appOf(call));
        // Pages go by a cursor: the id below which the next page begins.
        const size = Number(call.values.per_page ?? 30);
        const cursor = Number(call.values.cursor ?? Number.POSITIVE_INFINITY);
        const wanted = call.values.status as string | undefined;
        const rest = all
          .filter((one) => one.id < cursor)
          .filter((one) => !wanted || (wanted === "success") === (one.statusCode >= 200 && one.statusCode < 400));
        const page = rest.slice(0, size);
        const next = rest.length > size ? page.at(-1)?.id : undefined;
        const link = `<${call.present.api}/app/hook/deliveries?per_page=${size}&cursor=${next}>; rel="next"`;
        return {
          status: 200,
          body: page.map((one) => webhooks.summary(one)),
          ...(next === undefined ? {} : { headers: { link } }),
        };
      },
    },
    "apps/get-webhook-delivery": {
      who: "app",
      handle: (call) => ok(webhooks.detail(webhooks.delivery(appOf(call), Number(call.values.delivery_id)))),
    },
    "apps/redeliver-webhook-delivery": {
      who: "app",
      handle: (call) => {
        webhooks.redeliver(webhooks.delivery(appOf(call), Number(call.values.delivery_id)));
        return { status: 202, body: {} };
      },
    },
    "apps/list-installations-for-authenticated-user": {
      who: "token",
      handle: (call) => {
        const mine = [...call.world.installations.values()].filter(
          (one) => one.account === call.actor || one.account.members.has(call.actor.id),
        );
        return list(
          mine,
          (one) => call.present.installation(one),
          (page, total) => ({ total_count: total, installations: page }),
        );
      },
    },
    "repos/list-for-authenticated-user": {
      who: "token",
      handle: (call) => {
        const { token } = call;
        if (token.kind === "installation") throw new Refused(403, "Resource not accessible by integration");
        const mine = [...call.world.repositories.values()]
          .filter((one) => token.repositories === "all" || token.repositories.has(one.id))
          .filter(
            (one) => one.owner === call.actor || one.owner.members.has(call.actor.id) || one.roles.has(call.actor.id),
          )
          .filter((one) => reaches(roleOf(call.actor, one), "read"));
        return list(sorted(mine, call.values), (one) => call.present.repository(one, true));
      },
    },
    "repos/list-for-org": {
      handle: (call) => {
        const owner = accountNamed(call, call.values.org);
        if (owner.type !== "Organization") throw notFound();
        const { principal } = call;
        const visible = [...call.world.repositories.values()]
          .filter((one) => one.owner === owner)
          .filter(
            (one) => !one.private || (principal.kind === "token" && reaches(roleOf(principal.token.user, one), "read")),
          );
        return list(sorted(visible, call.values), (one) => call.present.repository(one, true));
      },
    },
  };
}

function sorted<T extends { owner: Account; name: string; createdAt: string; updatedAt: string; pushedAt: string }>(
  repositories: T[],
  values: Shape,
): T[] {
  const sort = String(values.sort ?? "full_name");
  const key = (one: T) =>
    sort === "created"
      ? one.createdAt
      : sort === "updated"
        ? one.updatedAt
        : sort === "pushed"
          ? one.pushedAt
          : `${one.owner.login}/${one.name}`.toLowerCase();
  const down = (values.direction ?? (sort === "full_name" ? "asc" : "desc")) === "desc";
  return repositories.sort((a, b) => (key(a) < key(b) ? -1 : 1) * (down ? -1 : 1));
}

function rootOf(api: string): Shape {
  const names = [
    "current_user_url:/user",
    "current_user_authorizations_html_url:/settings/connections/applications{/client_id}",
    "authorizations_url:/authorizations",
    "code_search_url:/search/code?q={query}",
    "commit_search_url:/search/commits?q={query}",
    "emails_url:/user/emails",
    "emojis_url:/emojis",
    "events_url:/events",
    "feeds_url:/feeds",
    "followers_url:/user/followers",
    "following_url:/user/following{/target}",
    "gists_url:/gists{/gist_id}",
    "hub_url:/hub",
    "issue_search_url:/search/issues?q={query}",
    "issues_url:/issues",
    "keys_url:/user/keys",
    "label_search_url:/search/labels?q={query}",
    "notifications_url:/notifications",
    "organization_url:/orgs/{org}",
    "organization_repositories_url:/orgs/{org}/repos{?type,page,per_page,sort}",
    "organization_teams_url:/orgs/{org}/teams",
    "public_gists_url:/gists/public",
    "rate_limit_url:/rate_limit",
    "repository_url:/repos/{owner}/{repo}",
    "repository_search_url:/search/repositories?q={query}",
    "current_user_repositories_url:/user/repos{?type,page,per_page,sort}",
    "starred_url:/user/starred{/owner}{/repo}",
    "starred_gists_url:/gists/starred",
    "topic_search_url:/search/topics?q={query}",
    "user_url:/users/{user}",
    "user_organizations_url:/user/orgs",
    "user_repositories_url:/users/{user}/repos{?type,page,per_page,sort}",
    "user_search_url:/search/users?q={query}",
  ];
  return Object.fromEntries(
    names.map((entry) => {
      const colon = entry.indexOf(":");
      return [entry.slice(0, colon), `${api}${entry.slice(colon + 1)}`];
    }),
  );
}
