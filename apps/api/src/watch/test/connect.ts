import type { Client } from "@x1agent/client";
import type { GithubStandIn } from "@x1agent/testkit/github";

/** Where the app believes the service to be: GitHub sends webhooks to https only. */
const PUBLIC = "https://x1.example";
const unescaped = (text: string) =>
  text.replaceAll(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code))).replaceAll("&amp;", "&");
const attribute = (page: string, pattern: RegExp): string => {
  const found = pattern.exec(page)?.[1];
  if (found === undefined) throw new Error(`A page lacks ${pattern}: ${page.slice(0, 500)}`);
  return unescaped(found);
};

/** Registers and installs an app as a person's browser would, on all repositories of the organization `acme`. */
export async function connectApp(client: Client, serviceUrl: string, github: GithubStandIn) {
  let own = serviceUrl;
  const here = (address: string) => address.replace(PUBLIC, own);
  const follow = async (response: Response): Promise<string> => {
    const location = response.headers.get("location");
    if (!location) throw new Error(`No way on: ${response.status} ${(await response.text()).slice(0, 500)}`);
    return location;
  };
  const post = (url: string, form: Record<string, string>) =>
    fetch(url, { method: "POST", body: new URLSearchParams(form), redirect: "manual" });

  const { url } = await client.startForgeApp({
    body: { forge: "github", baseUrl: github.url, organization: "acme", url: PUBLIC, webhooks: true },
  });
  const page = await (await fetch(here(url))).text();
  const confirm = await post(attribute(page, /<form method="post" action="([^"]+)"/), {
    manifest: attribute(page, /name="manifest" value="([^"]+)"/),
  });
  const made = await post(`${github.url}${attribute(await confirm.text(), /action="([^"]+)"/)}`, {});
  const created = await fetch(here(await follow(made)), { redirect: "manual" });
  const install = await follow(created);
  const installed = await post(install, {
    ...{ account: String(github.account("acme").id), selection: "all" },
    state: new URL(install).searchParams.get("state") ?? "",
  });
  await fetch(here(await follow(installed)));
  const app = [...github.world.apps.values()].find(({ webhook }) => webhook.url?.startsWith(PUBLIC));
  const installation = [...github.world.installations.values()].find((one) => one.app === app);
  if (!app?.webhook.url || !installation) throw new Error("The app was not made.");
  const path = app.webhook.url.slice(PUBLIC.length);
  const moved = (to: string) => {
    own = to;
    app.webhook = { ...app.webhook, url: `${to}${path}` };
  };
  moved(serviceUrl);
  return {
    app,
    installation: installation.id,
    secret: app.webhook.secret ?? "",
    /** Address that takes the deliveries. */
    webhook: () => `${own}${path}`,
    /** The service answers elsewhere now. */
    moved,
  };
}
