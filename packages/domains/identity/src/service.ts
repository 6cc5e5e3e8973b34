import { createHash } from "node:crypto";
import { apiKey, defaultKeyHasher } from "@better-auth/api-key";
import { type Actor, Fault } from "@x1agent/contract";
import { type Database, newId, row, rows, sql, type Tx } from "@x1agent/kernel";
import { betterAuth } from "better-auth";
import { organization } from "better-auth/plugins/organization";
import { linkStore } from "./links.ts";
import { type MemberFacts, memberStore, scopesOf } from "./members.ts";
import { passkeyStore } from "./passkeys.ts";
import { passwordStore } from "./password.ts";
import { isSessionToken, type SessionFacts, sessionStore } from "./sessions.ts";
import { tryStore } from "./tries.ts";

export const scopes = ["read", "write", "approve", "admin"] as const;
export type Scope = (typeof scopes)[number];
/** What somebody showed to be let in: an API token, or a browser's session with the time it was opened (ISO). */
export type Credential = { kind: "token"; id: string } | { kind: "session"; id: string; since: string };
/** Who a credential belongs to and what it may do. */
export type Identity = {
  actor: Actor;
  organizationId: string;
  organization: string;
  role: string;
  scopes: Scope[];
  via: Credential;
};

/** A verified token is taken as good for this long: a revoked one dies within it. */
const CACHE_MS = 5_000;
const CACHE_SIZE = 1_000;

type TokenRow = {
  id: string;
  name: string | null;
  start: string | null;
  permissions: string | null;
  metadata: string | null;
  createdAt: Date;
  expiresAt: Date | null;
  lastRequest: Date | null;
};
export type TokenFacts = {
  id: string;
  name: string | null;
  /** First characters of the token. */
  start: string | null;
  scopes: string[];
  createdAt: string;
  expiresAt: string | null;
  lastUsedAt: string | null;
};
/** better-auth stores metadata as JSON text, older versions of it as JSON in JSON. */
function organizationOf(metadata: string | null): string | null {
  let value: unknown = metadata;
  for (let depth = 0; typeof value === "string" && depth < 2; depth += 1) value = JSON.parse(value);
  return (value as { organizationId?: string } | null)?.organizationId ?? null;
}

/** Identity over better-auth's tables: its API keys are our tokens, its organizations our tenants. */
export function createIdentity(database: Database, options: { secret: string; baseUrl: string }) {
  const auth = betterAuth({
    database: { db: database.kysely as never, type: "postgres", transaction: true },
    secret: options.secret,
    baseURL: options.baseUrl,
    telemetry: { enabled: false },
    logger: { disabled: true },
    plugins: [
      organization(),
      apiKey({
        defaultPrefix: "x1_",
        rateLimit: { enabled: false },
        enableMetadata: true,
        keyExpiration: { maxExpiresIn: 366, minExpiresIn: 0 },
      }),
    ],
  });
  const cache = new Map<string, { until: number; identity: Identity | null }>();
  const sessions = sessionStore(database);
  const members = memberStore(database);

  async function createToken(
    userId: string,
    organizationId: string,
    name: string,
    granted: readonly Scope[],
    expiresInSeconds?: number,
  ): Promise<{ id: string; token: string }> {
    const made = await auth.api.createApiKey({
      body: {
        name: name.slice(0, 32),
        userId,
        permissions: { x1: [...granted] },
        metadata: { organizationId },
        ...(expiresInSeconds ? { expiresIn: expiresInSeconds } : {}),
      },
    });
    return { id: made.id, token: made.key };
  }

  return {
    auth,
    createToken,
    passwords: passwordStore(database),
    passkeys: passkeyStore(database),
    links: linkStore(database),
    tries: tryStore(database),
    openSession: sessions.open,
    listSessions: (userId: string): Promise<SessionFacts[]> => sessions.list(userId),

    /** Ends browser sessions of a user, here at once and in other processes within the cache's time. Returns how many. */
    async endSessions(userId: string, which: { id: string } | { allBut: string }): Promise<number> {
      const ended = await sessions.end(userId, which);
      if (ended > 0) cache.clear();
      return ended;
    },

    members,
    /** People of an organization, by name; former ones too. */
    listMembers: (organizationId: string): Promise<MemberFacts[]> => members.list(organizationId),
    /** See `memberStore`; what is known of tokens and sessions is asked anew. */
    async setRole(...change: Parameters<typeof members.setRole>): ReturnType<typeof members.setRole> {
      const changed = await members.setRole(...change);
      if (changed.ok) cache.clear();
      return changed;
    },

    /** Changes how a user is called; false when another one signs in by that name. */
    async renameUser(
      userId: string,
      change: { name?: string | undefined; signInName?: string | undefined },
    ): Promise<boolean> {
      const changed = await database.system(async (tx) => {
        const wanted = change.signInName?.trim().toLowerCase() ?? null;
        if (wanted && (await row(tx, sql`select 1 from "user" where lower(email) = ${wanted} and id <> ${userId}`)))
          return null;
        return row(
          tx,
          sql<{
            id: string;
          }>`update "user" set name = coalesce(${change.name ?? null}, name), email = coalesce(${wanted}, email), "updatedAt" = now() where id = ${userId} returning id`,
        );
      });
      return changed !== null;
    },

    /** The user who owns the first organization: whom a link printed at start signs in. */
    async ownerId(): Promise<string> {
      return (await owner()).userId;
    },

    /** Tokens of an organization, newest first. */
    async listTokens(organizationId: string): Promise<TokenFacts[]> {
      const found = await database.system((tx) =>
        rows(
          tx,
          sql<TokenRow>`select id, name, start, permissions, metadata, "createdAt", "expiresAt", "lastRequest" from apikey order by "createdAt" desc, id`,
        ),
      );
      return found
        .filter(({ metadata }) => organizationOf(metadata) === organizationId)
        .map(({ id, name, start, permissions, createdAt, expiresAt, lastRequest }) => ({
          ...{ id, name, start },
          scopes: (JSON.parse(permissions ?? "{}") as { x1?: string[] }).x1 ?? [],
          createdAt: createdAt.toISOString(),
          expiresAt: expiresAt?.toISOString() ?? null,
          lastUsedAt: lastRequest?.toISOString() ?? null,
        }));
    },

    /** Takes a token of this organization away, here at once and in other processes within the cache's time. */
    async revokeToken(organizationId: string, tokenId: string): Promise<boolean> {
      const gone = await database.system(async (tx) => {
        const held = await row(tx, sql<TokenRow>`select metadata from apikey where id = ${tokenId} for update`);
        if (!held || organizationOf(held.metadata) !== organizationId) return false;
        await sql`delete from apikey where id = ${tokenId}`.execute(tx);
        return true;
      });
      if (gone) cache.clear();
      return gone;
    },

    /** First start: one organization, one owner, one token with every scope. Null when they exist. */
    async bootstrap(): Promise<{ organizationId: string; userId: string; token: string } | null> {
      const made = await database.system(async (tx) => {
        await sql`select pg_advisory_xact_lock(820933)`.execute(tx);
        if (await row(tx, sql`select 1 from organization limit 1`)) return null;
        const ids = { organizationId: newId("org"), userId: newId("usr") };
        await sql`insert into "user" (id, name, email, "emailVerified", "updatedAt") values (${ids.userId}, 'Owner', 'owner@localhost', true, now())`.execute(
          tx,
        );
        await sql`insert into organization (id, name, slug, "createdAt") values (${ids.organizationId}, 'My organization', 'main', now())`.execute(
          tx,
        );
        await sql`insert into member (id, "organizationId", "userId", role, "createdAt") values (${newId("mem")}, ${ids.organizationId}, ${ids.userId}, 'owner', now())`.execute(
          tx,
        );
        return ids;
      });
      if (!made) return null;
      const { token } = await createToken(made.userId, made.organizationId, "local", scopes);
      return { ...made, token };
    },

    /** Another token for the first owner, when the local token file was lost. */
    async ownerToken(name = "local"): Promise<string> {
      const { userId, organizationId } = await owner();
      return (await createToken(userId, organizationId, name, scopes)).token;
    },

    /** The identity behind an API token or a session's token, or null. Membership is looked up anew, so a removed member's token is worthless. */
    async authenticate(token: string): Promise<Identity | null> {
      const key = createHash("sha256").update(token).digest("base64");
      const known = cache.get(key);
      if (known && known.until > Date.now()) return known.identity;
      const identity = await verify(token);
      if (cache.size >= CACHE_SIZE) cache.clear();
      cache.set(key, { until: Date.now() + CACHE_MS, identity });
      return identity;
    },
  };

  async function owner(): Promise<{ userId: string; organizationId: string }> {
    const found = await database.system((tx) =>
      row(
        tx,
        sql<{
          userId: string;
          organizationId: string;
        }>`select "userId", "organizationId" from member where role = 'owner' order by "createdAt", id limit 1`,
      ),
    );
    if (!found) throw new Fault("internal", "There is no owner: the database was not set up by this service.");
    return found;
  }

  /**
   * A no of the library also says that the database was away in the middle of its question. A token that is good by its own
   * row was not refused: a Fault, so that nobody is told, and nothing remembers, that it is unknown.
   */
  async function believe(token: string): Promise<void> {
    const hash = await defaultKeyHasher(token);
    const good = await database.system((tx) =>
      row(
        tx,
        sql`select 1 from apikey where key = ${hash} and enabled and ("expiresAt" is null or "expiresAt" > now())`,
      ),
    );
    if (good) throw new Fault("unavailable", "The token could not be checked: the database was away. Send it again.");
  }

  async function verify(token: string): Promise<Identity | null> {
    if (isSessionToken(token)) return sessions.identify(token);
    if (!/^x1_[\w-]{20,200}$/.test(token)) return null;
    const checked = await auth.api.verifyApiKey({ body: { key: token } });
    if (!checked.valid || !checked.key) {
      await believe(token);
      return null;
    }
    const held = checked.key as unknown as {
      id: string;
      referenceId: string;
      metadata: { organizationId?: string } | null;
      permissions: { x1?: string[] } | null;
    };
    const member = await database.system((tx) =>
      row(
        tx,
        sql<{
          role: string;
          name: string;
        }>`select m.role, o.name from member m join organization o on o.id = m."organizationId" where m."userId" = ${held.referenceId} and m."organizationId" = ${held.metadata?.organizationId ?? ""} and m.role <> 'former'`,
      ),
    );
    if (!member || !held.metadata?.organizationId) return null;
    return {
      actor: { kind: "user", id: held.referenceId },
      organizationId: held.metadata.organizationId,
      organization: member.name,
      role: member.role,
      // A token outlives a change of its maker's role, and then does no more than they may.
      scopes: scopesOf(member.role).filter((scope) => held.permissions?.x1?.includes(scope)),
      via: { kind: "token", id: held.id },
    };
  }
}
export type IdentityService = ReturnType<typeof createIdentity>;

/** Every tenant's id: what background work goes through, one tenant at a time. */
export async function listOrganizations(tx: Tx): Promise<string[]> {
  return (await rows(tx, sql<{ id: string }>`select id from organization order by id`)).map(({ id }) => id);
}
