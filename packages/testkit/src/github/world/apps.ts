import { createHash, generateKeyPairSync, randomBytes } from "node:crypto";
import type { Shape } from "../description.ts";
import type { Account, App, Installation, Permissions, Repository } from "../model.ts";
import { addAccount } from "./accounts.ts";
import type { World } from "./world.ts";

/** Apps and where they are installed. Their tokens: `../access.ts`. */

/** Registers an App, with its bot, its keys and the permissions and events that installations of it start with. */
export function addApp(
  world: World,
  input: {
    name: string;
    slug?: string;
    owner: Account;
    permissions: Permissions;
    events: string[];
    webhook?: { url?: string | undefined; secret?: string | undefined };
    externalUrl?: string;
    description?: string | null;
  },
): App {
  const slug =
    input.slug ??
    input.name
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-")
      .replace(/^-|-$/g, "");
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const id = world.id();
  const app: App = {
    id,
    slug,
    name: input.name,
    owner: input.owner,
    bot: addAccount(world, `${slug}[bot]`, "Bot"),
    clientId: `Iv23li${createHash("sha256").update(`${id}`).digest("hex").slice(0, 14)}`,
    clientSecret: randomBytes(20).toString("hex"),
    // GitHub hands PKCS#1 out; clients must cope with that.
    privateKey: privateKey.export({ type: "pkcs1", format: "pem" }).toString(),
    publicKey: publicKey.export({ type: "spki", format: "pem" }).toString(),
    permissions: { metadata: "read", ...input.permissions },
    events: input.events,
    externalUrl: input.externalUrl ?? world.bases.web,
    description: input.description ?? null,
    webhook: { url: input.webhook?.url, secret: input.webhook?.secret, active: input.webhook?.url !== undefined },
    createdAt: world.time(),
    updatedAt: world.time(),
  };
  world.apps.set(id, app);
  return app;
}

/** Installs an App on an account; throws when it is already there. */
export async function installApp(
  world: World,
  app: App,
  account: Account,
  repositories: "all" | readonly Repository[],
  actor = account,
): Promise<Installation> {
  const existing = [...world.installations.values()].find((one) => one.app === app && one.account === account);
  if (existing) throw new Error(`${app.slug} is already installed on ${account.login}`);
  const installation: Installation = {
    id: world.id(),
    app,
    account,
    permissions: { ...app.permissions },
    events: [...app.events],
    repositories: repositories === "all" ? "all" : new Set(repositories.map((repository) => repository.id)),
    suspendedAt: undefined,
    suspendedBy: undefined,
    createdAt: world.time(),
    updatedAt: world.time(),
  };
  world.installations.set(installation.id, installation);
  await installationSays(world, "created", installation, actor);
  return installation;
}

/** Suspends an installation, ends that, or takes the App out again. */
export async function changeInstallation(
  world: World,
  installation: Installation,
  change: "suspend" | "unsuspend" | "deleted",
  actor: Account,
): Promise<void> {
  if (change === "deleted") world.installations.delete(installation.id);
  else {
    installation.suspendedAt = change === "suspend" ? world.time() : undefined;
    installation.suspendedBy = change === "suspend" ? actor : undefined;
  }
  installation.updatedAt = world.time();
  await installationSays(world, change, installation, actor);
}

/** Somebody accepts what the App asks for anew: from then on it is what the App asks everyone for. */
export async function grantPermissions(
  world: World,
  installation: Installation,
  permissions: Permissions,
  events: readonly string[],
  actor: Account,
): Promise<void> {
  installation.permissions = permissions;
  installation.events = [...events];
  installation.app.permissions = permissions;
  installation.app.events = [...events];
  installation.updatedAt = world.time();
  await installationSays(world, "new_permissions_accepted", installation, actor);
}

/** Gives an installation repositories and takes others; one with all of them then has those it has now. */
export async function changeInstallationRepositories(
  world: World,
  installation: Installation,
  change: { added?: readonly Repository[]; removed?: readonly Repository[] },
  actor: Account,
): Promise<void> {
  if (installation.repositories === "all")
    installation.repositories = new Set(repositoriesOf(world, installation).map((repository) => repository.id));
  for (const repository of change.added ?? []) installation.repositories.add(repository.id);
  for (const repository of change.removed ?? []) installation.repositories.delete(repository.id);
  installation.updatedAt = world.time();
  for (const action of ["added", "removed"] as const) {
    if (!change[action]?.length) continue;
    await world.say(
      "installation_repositories",
      action,
      actor,
      undefined,
      {
        repository_selection: "selected",
        repositories_added: (action === "added" ? change.added! : []).map((one) => brief(world, one)),
        repositories_removed: (action === "removed" ? change.removed! : []).map((one) => brief(world, one)),
        requester: null,
      },
      { installation },
    );
  }
}

/** Whether an installation reaches a repository. */
export function covers(installation: Installation, repository: Repository): boolean {
  if (repository.owner !== installation.account) return false;
  return installation.repositories === "all" || installation.repositories.has(repository.id);
}

/** What an installation reaches. */
export function repositoriesOf(world: World, installation: Installation): Repository[] {
  return [...world.repositories.values()].filter((repository) => covers(installation, repository));
}

async function installationSays(
  world: World,
  action: string,
  installation: Installation,
  actor: Account,
): Promise<void> {
  await world.say(
    "installation",
    action,
    actor,
    undefined,
    {
      repositories: repositoriesOf(world, installation).map((repository) => brief(world, repository)),
      requester: null,
    },
    { installation },
  );
}

/** A repository as events of installations list it. */
export function brief(world: World, repository: Repository): Shape {
  const { id, node_id, name, full_name, private: hidden } = world.presenter().repository(repository);
  return { id, node_id, name, full_name, private: hidden };
}
