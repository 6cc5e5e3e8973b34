import {
  type AuthenticationResponseJSON,
  type AuthenticatorTransport,
  generateAuthenticationOptions,
  generateRegistrationOptions,
  type RegistrationResponseJSON,
  verifyAuthenticationResponse,
  verifyRegistrationResponse,
} from "@simplewebauthn/server";
import { type Database, newId, row, rows, sql } from "@x1agent/kernel";

/** A passkey as its user sees it. Times are ISO. */
export type PasskeyFacts = {
  id: string;
  name: string;
  /** Kept by a password manager or the platform's account, so that it survives the device. */
  synced: boolean;
  createdAt: string;
  lastUsedAt: string | null;
};

/** How long a browser may take to answer a challenge. */
const CHALLENGE_SECONDS = 300;
const MAX_PASSKEYS = 20;
/** COSE numbers of Ed25519, ECDSA P-256 and RSA: what authenticators make, by algorithms that Node calls stable. */
const algorithms = [-8, -7, -257] as const;

/** Where a browser shows our page: what it signs must name exactly this. */
export type PageOrigin = { origin: string; host: string };

/** The page's origin as WebAuthn wants it; null where it is an address: passkeys belong to names. */
export function pageOrigin(origin: string | null): PageOrigin | null {
  if (origin === null || !URL.canParse(origin)) return null;
  const { hostname } = new URL(origin);
  return /^\[|^[\d.]+$/.test(hostname) ? null : { origin, host: hostname };
}

type PasskeyRow = {
  id: string;
  name: string | null;
  userId: string;
  publicKey: string;
  credentialID: string;
  counter: number;
  backedUp: boolean;
  transports: string | null;
  createdAt: Date;
  lastUsedAt: Date | null;
};
const present = (found: PasskeyRow): PasskeyFacts => ({
  id: found.id,
  name: found.name ?? "Passkey",
  synced: found.backedUp,
  createdAt: found.createdAt.toISOString(),
  lastUsedAt: found.lastUsedAt?.toISOString() ?? null,
});
const transportsOf = (text: string | null) => (text ?? "").split(",").filter(Boolean) as AuthenticatorTransport[];

/**
 * Passkeys (WebAuthn) by the library that better-auth's plug-in stands on, in that plug-in's table. The plug-in itself
 * takes one relying-party name at start; a service is reached by several. A challenge is a row that goes when it is answered.
 */
export function passkeyStore(database: Pick<Database, "system">) {
  const held = (userId: string) =>
    database.system((tx) =>
      rows(
        tx,
        sql<PasskeyRow>`select * from passkey where "userId" = ${userId} order by "createdAt", id limit ${MAX_PASSKEYS}`,
      ),
    );
  /** Keeps a challenge; `purpose` says what its answer may do. */
  const remember = (challenge: string, purpose: string) =>
    database.system(async (tx) => {
      await sql`delete from verification where "expiresAt" < now()`.execute(tx);
      await sql`insert into verification (id, identifier, value, "expiresAt") values (${newId("chl")}, ${`passkey:${challenge}`}, ${purpose}, now() + make_interval(secs => ${CHALLENGE_SECONDS}))`.execute(
        tx,
      );
    });
  /** Takes a challenge that was given out for this purpose, once. */
  const take = async (challenge: string, purpose: string): Promise<boolean> => {
    const found = await database.system((tx) =>
      row(
        tx,
        sql<{
          id: string;
        }>`delete from verification where identifier = ${`passkey:${challenge}`} and value = ${purpose} and "expiresAt" > now() returning id`,
      ),
    );
    return found !== null;
  };

  return {
    list: async (userId: string): Promise<PasskeyFacts[]> => (await held(userId)).map(present),

    /** Whether anybody can sign in by passkey here. */
    async inUse(): Promise<boolean> {
      return (await database.system((tx) => row(tx, sql`select 1 from passkey limit 1`))) !== null;
    },

    /** Options for `navigator.credentials.create()`; null when the user has as many as one may. */
    async creation(user: { id: string; name: string; displayName: string }, page: PageOrigin) {
      const known = await held(user.id);
      if (known.length >= MAX_PASSKEYS) return null;
      const options = await generateRegistrationOptions({
        rpName: "x1agent",
        rpID: page.host,
        userName: user.name,
        userDisplayName: user.displayName,
        userID: new TextEncoder().encode(user.id),
        attestationType: "none",
        supportedAlgorithmIDs: [...algorithms],
        excludeCredentials: known.map(({ credentialID, transports }) => ({
          id: credentialID,
          transports: transportsOf(transports),
        })),
        authenticatorSelection: { residentKey: "required", userVerification: "required" },
      });
      await remember(options.challenge, `add:${user.id}`);
      return options;
    },

    /** Keeps the passkey that a browser made for this user; null when its answer does not hold. */
    async add(userId: string, name: string, response: unknown, page: PageOrigin): Promise<PasskeyFacts | null> {
      const checked = await verifyRegistrationResponse({
        response: response as RegistrationResponseJSON,
        expectedChallenge: (challenge) => take(challenge, `add:${userId}`),
        expectedOrigin: page.origin,
        expectedRPID: page.host,
        requireUserVerification: true,
        supportedAlgorithmIDs: [...algorithms],
      }).catch(() => null);
      if (!checked?.verified) return null;
      const { credential, credentialDeviceType, credentialBackedUp, aaguid } = checked.registrationInfo;
      const made = await database.system((tx) =>
        row(
          tx,
          sql<PasskeyRow>`insert into passkey (id, name, "publicKey", "userId", "credentialID", counter, "deviceType", "backedUp", transports, aaguid)
          values (${newId("pky")}, ${name}, ${Buffer.from(credential.publicKey).toString("base64")}, ${userId}, ${credential.id}, ${credential.counter}, ${credentialDeviceType}, ${credentialBackedUp}, ${(credential.transports ?? []).join(",")}, ${aaguid})
          on conflict ("credentialID") do nothing returning *`,
        ),
      );
      return made && present(made);
    },

    /** Options for `navigator.credentials.get()`: any passkey of this page will do, the browser asks which. */
    async request(page: PageOrigin) {
      const options = await generateAuthenticationOptions({ rpID: page.host, userVerification: "required" });
      await remember(options.challenge, "sign-in");
      return options;
    },

    /** The user whose passkey signed this, or null. */
    async userOf(response: unknown, page: PageOrigin): Promise<string | null> {
      const answer = response as AuthenticationResponseJSON;
      const known = await database.system((tx) =>
        row(tx, sql<PasskeyRow>`select * from passkey where "credentialID" = ${String(answer.id)}`),
      );
      if (!known) return null;
      const checked = await verifyAuthenticationResponse({
        response: answer,
        expectedChallenge: (challenge) => take(challenge, "sign-in"),
        expectedOrigin: page.origin,
        expectedRPID: page.host,
        requireUserVerification: true,
        credential: {
          id: known.credentialID,
          publicKey: new Uint8Array(Buffer.from(known.publicKey, "base64")),
          counter: known.counter,
          transports: transportsOf(known.transports),
        },
      }).catch(() => null);
      if (!checked?.verified) return null;
      const { newCounter, credentialBackedUp } = checked.authenticationInfo;
      await database.system((tx) =>
        sql`update passkey set counter = ${newCounter}, "backedUp" = ${credentialBackedUp}, "lastUsedAt" = now() where id = ${known.id}`.execute(
          tx,
        ),
      );
      return known.userId;
    },

    async remove(userId: string, id: string): Promise<boolean> {
      const gone = await database.system((tx) =>
        row(tx, sql<{ id: string }>`delete from passkey where id = ${id} and "userId" = ${userId} returning id`),
      );
      return gone !== null;
    },
  };
}
