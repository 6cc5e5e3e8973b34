import { createHash } from "node:crypto";
import { accept, type ForgeLimits, type Outcome, type Refusal, refuse, withholdSecrets } from "@x1agent/contract";
import {
  appSecretNames,
  type Connection,
  getApp,
  getConnection,
  listConnections,
  noteConnection,
  tokenSecretName,
} from "@x1agent/domain-forges";
import { openSecret } from "@x1agent/domain-secrets";
import { createGithubForge, githubAddresses } from "@x1agent/forge-github";
import type { Forge, ForgeRepository } from "@x1agent/forges";
import type { Database } from "@x1agent/kernel";

/** Ways into the forges that the organization is connected to. */
export type Forges = {
  /** The forge of one connection. Refuses with `forge_unauthorized` where the connection is not in use, and says why. */
  open(organizationId: string, connectionId: string): Promise<Outcome<Forge>>;
  /**
   * Asks each connection in use at the forge of an address for git whether it reaches the repository there; null where none
   * does. Who says no is not asked again for the same address for a minute. Refuses `forge_unavailable` and `forge_limited`
   * where none does and one could not say so now.
   */
  find(
    organizationId: string,
    address: string,
  ): Promise<Outcome<{ connectionId: string; repository: ForgeRepository } | null>>;
  /** Asks the forge who the connection is and notes the answer: one that was suspended may be in use again. */
  check(organizationId: string, connectionId: string): Promise<Outcome<Connection>>;
  /** What is left of the rate limit, as of the connection's last answer in this process. */
  limits(connectionId: string): ForgeLimits | null;
};

const MAX_OPEN = 500;
/** Connections that are asked for one repository. */
const MAX_ASKED = 20;
/** How long a connection's no holds, and how many are remembered. */
const NO_MS = 60_000;
const MAX_NOS = 2_000;

/**
 * `owner/name` of the repository at an address for git, where that lies at the forge at `baseUrl`. As origins, since an address
 * in its canonical form names the port also where it is the scheme's own. Pure.
 */
export function nameAt(baseUrl: string, address: string): string | null {
  if (!URL.canParse(baseUrl) || !URL.canParse(address)) return null;
  const forge = new URL(baseUrl);
  const { origin, pathname } = new URL(address);
  const below = `${forge.pathname.replace(/\/+$/, "")}/`;
  if (origin !== forge.origin || !pathname.toLowerCase().startsWith(below.toLowerCase())) return null;
  return /^([^/]+\/[^/]+?)(?:\.git)?\/?$/.exec(pathname.slice(below.length))?.[1] ?? null;
}

/** Opens forges by what is stored of their connections. One object per connection is kept: it remembers ETags and limits. */
export function createForges(deps: { db: Pick<Database, "tenant">; masterKey: Buffer; fetch: typeof fetch }): Forges {
  const { db, masterKey } = deps;
  const open = new Map<string, { key: string; forge: Forge }>();
  /** When a connection said no, by connection and address. */
  const nos = new Map<string, number>();

  async function build(organizationId: string, connection: Connection): Promise<Outcome<Forge>> {
    const { id, kind, appId, installation, baseUrl } = connection;
    const addresses = githubAddresses(baseUrl);
    if (!addresses.ok) return addresses;
    const [app, secret] = await db.tenant(organizationId, async (tx) => [
      appId === null ? null : await getApp(tx, appId),
      await openSecret(
        tx,
        masterKey,
        { organizationId, projectId: null },
        appId === null ? tokenSecretName(id) : appSecretNames(appId).key,
      ),
    ]);
    if (secret === null || (kind === "app" && !app))
      return refuse("forge_unauthorized", "The connection's credential is not stored any more: connect again.");
    const key = createHash("sha256")
      .update(JSON.stringify([baseUrl, installation, app?.externalId, secret]))
      .digest("hex");
    const known = open.get(id);
    if (known?.key === key) return accept(known.forge);
    const forge = createGithubForge({
      ...addresses.value,
      fetch: deps.fetch,
      // A forge on this machine is nobody else's, and asks nobody to space their requests.
      paced: !/^(localhost|127\.|\[::1\])/.test(new URL(addresses.value.apiUrl).hostname),
      auth: app
        ? { kind: "app", appId: app.externalId, privateKey: secret, installation }
        : { kind: "token", token: secret },
    });
    const watched = watch(discreet(forge), async (detail) => {
      // Found out by use: the next who opens it is told at once, until somebody checks it again.
      const state = /suspended/.test(detail) ? "suspended" : "unauthorized";
      await db.tenant(organizationId, (tx) => noteConnection(tx, id, { state, detail }));
    });
    open.delete(id);
    open.set(id, { key, forge: watched });
    for (const oldest of open.keys()) {
      if (open.size <= MAX_OPEN) break;
      open.delete(oldest);
    }
    return accept(watched);
  }

  async function openConnection(organizationId: string, connectionId: string): Promise<Outcome<Forge>> {
    const connection = await db.tenant(organizationId, (tx) => getConnection(tx, connectionId));
    if (!connection) return refuse("forge_unconfigured");
    if (connection.state !== "active")
      return refuse("forge_unauthorized", connection.detail ?? `The connection is ${connection.state}.`);
    return build(organizationId, connection);
  }

  return {
    open: openConnection,
    async find(organizationId, address) {
      if (!/^https?:/.test(address)) return accept(null);
      let unsaid: Refusal | null = null;
      const listed = await db.tenant(organizationId, (tx) => listConnections(tx));
      const candidates = listed.filter(({ state, baseUrl }) => state === "active" && nameAt(baseUrl, address) !== null);
      for (const { id, baseUrl } of candidates.slice(0, MAX_ASKED)) {
        const key = `${id} ${address}`;
        if ((nos.get(key) ?? Number.NEGATIVE_INFINITY) > Date.now() - NO_MS) continue;
        const forge = await openConnection(organizationId, id);
        const found = forge.ok ? await forge.value.getRepository({ fullName: nameAt(baseUrl, address) ?? "" }) : forge;
        if (found.ok) return accept({ connectionId: id, repository: found.value });
        // Asked again at once: one that was away, or had no requests left, said nothing of the repository.
        if (found.code === "forge_unavailable" || found.code === "forge_limited") {
          unsaid = found;
          continue;
        }
        nos.delete(key);
        nos.set(key, Date.now());
        for (const oldest of nos.keys()) {
          if (nos.size <= MAX_NOS) break;
          nos.delete(oldest);
        }
      }
      return unsaid ?? accept(null);
    },
    async check(organizationId, connectionId) {
      const connection = await db.tenant(organizationId, (tx) => getConnection(tx, connectionId));
      if (!connection || connection.state === "removed") return refuse("not_found", "No such connection.");
      const forge = await build(organizationId, connection);
      if (!forge.ok) return forge;
      const found = await forge.value.identify();
      if (!found.ok && found.code !== "forge_unauthorized") return found;
      const noted = await db.tenant(organizationId, (tx) =>
        noteConnection(
          tx,
          connectionId,
          found.ok
            ? {
                ...{ account: found.value.account, actsAs: found.value.actsAs, missing: found.value.missing },
                ...{ permissions: { ...found.value.permissions }, limits: forge.value.limits() },
                state: found.value.state,
                detail:
                  found.value.state === "suspended"
                    ? "The installation is suspended: its owner can lift that at GitHub."
                    : null,
              }
            : { state: "unauthorized", detail: found.detail },
        ),
      );
      return noted ? accept(noted) : refuse("not_found", "No such connection.");
    },
    limits: (connectionId) => open.get(connectionId)?.forge.limits() ?? null,
  };
}

/** The forge, to which nothing is said that has the form of a secret. A pull request's text was looked through before its approval. */
const discreet = (forge: Forge): Forge => ({
  ...forge,
  putComment: (repository, number, { key, body }) =>
    forge.putComment(repository, number, { key, body: withhold(body) }),
  putCheck: (repository, request) =>
    forge.putCheck(repository, {
      ...request,
      ...{ title: withhold(request.title), summary: withhold(request.summary) },
      annotations: request.annotations.map((one) => ({ ...one, message: withhold(one.message) })),
    }),
});
const withhold = (text: string): string => withholdSecrets(text).text;

/** The forge, with each `forge_unauthorized` told before it is returned. */
function watch(forge: Forge, onUnauthorized: (detail: string) => Promise<void>): Forge {
  return new Proxy(forge, {
    get(target, name, receiver) {
      const method = Reflect.get(target, name, receiver) as unknown;
      if (typeof method !== "function" || name === "limits") return method;
      return async (...given: unknown[]) => {
        const answer = (await (method as (...all: unknown[]) => Promise<Outcome<unknown>>).apply(target, given)) as
          | Outcome<unknown>
          | undefined;
        if (answer && !answer.ok && answer.code === "forge_unauthorized") await onUnauthorized(answer.detail);
        return answer;
      };
    },
  });
}
