import type { Migration } from "@x1agent/kernel";

/**
 * better-auth's own tables (core, organization and API-key plugins), as its generator writes them for the version that
 * package.json pins; a test holds them against it. They are the tenants themselves, so no row-level security applies.
 */
export const migrations: readonly Migration[] = [
  {
    name: "identity-001",
    sql: `create table "user" ("id" text not null primary key, "name" text not null, "email" text not null unique, "emailVerified" boolean not null, "image" text, "createdAt" timestamptz default CURRENT_TIMESTAMP not null, "updatedAt" timestamptz default CURRENT_TIMESTAMP not null);
    create table "session" ("id" text not null primary key, "expiresAt" timestamptz not null, "token" text not null unique, "createdAt" timestamptz default CURRENT_TIMESTAMP not null, "updatedAt" timestamptz not null, "ipAddress" text, "userAgent" text, "userId" text not null references "user" ("id") on delete cascade, "activeOrganizationId" text);
    create table "account" ("id" text not null primary key, "accountId" text not null, "providerId" text not null, "userId" text not null references "user" ("id") on delete cascade, "accessToken" text, "refreshToken" text, "idToken" text, "accessTokenExpiresAt" timestamptz, "refreshTokenExpiresAt" timestamptz, "scope" text, "password" text, "createdAt" timestamptz default CURRENT_TIMESTAMP not null, "updatedAt" timestamptz not null);
    create table "verification" ("id" text not null primary key, "identifier" text not null, "value" text not null, "expiresAt" timestamptz not null, "createdAt" timestamptz default CURRENT_TIMESTAMP not null, "updatedAt" timestamptz default CURRENT_TIMESTAMP not null);
    create table "organization" ("id" text not null primary key, "name" text not null, "slug" text not null unique, "logo" text, "createdAt" timestamptz not null, "metadata" text);
    create table "member" ("id" text not null primary key, "organizationId" text not null references "organization" ("id") on delete cascade, "userId" text not null references "user" ("id") on delete cascade, "role" text not null, "createdAt" timestamptz not null);
    create table "invitation" ("id" text not null primary key, "organizationId" text not null references "organization" ("id") on delete cascade, "email" text not null, "role" text, "status" text not null, "expiresAt" timestamptz not null, "createdAt" timestamptz default CURRENT_TIMESTAMP not null, "inviterId" text not null references "user" ("id") on delete cascade);
    create table "apikey" ("id" text not null primary key, "configId" text not null, "name" text, "start" text, "referenceId" text not null, "prefix" text, "key" text not null, "refillInterval" integer, "refillAmount" integer, "lastRefillAt" timestamptz, "enabled" boolean, "rateLimitEnabled" boolean, "rateLimitTimeWindow" integer, "rateLimitMax" integer, "requestCount" integer, "remaining" integer, "lastRequest" timestamptz, "expiresAt" timestamptz, "createdAt" timestamptz not null, "updatedAt" timestamptz not null, "permissions" text, "metadata" text);
    create index "session_userId_idx" on "session" ("userId");
    create index "account_userId_idx" on "account" ("userId");
    create index "verification_identifier_idx" on "verification" ("identifier");
    create index "member_organizationId_idx" on "member" ("organizationId");
    create index "member_userId_idx" on "member" ("userId");
    create index "invitation_organizationId_idx" on "invitation" ("organizationId");
    create index "invitation_email_idx" on "invitation" ("email");
    create index "apikey_configId_idx" on "apikey" ("configId");
    create index "apikey_referenceId_idx" on "apikey" ("referenceId");
    create index "apikey_key_idx" on "apikey" ("key");
    grant select, insert, update, delete on "user", "session", "account", "verification", "organization", "member", "invitation", "apikey" to x1_service;`,
  },
  {
    // `passkey` is the table of better-auth's passkey plug-in; ours besides: how a session began and when a passkey was used.
    name: "identity-002",
    sql: `alter table "session" add column "method" text;
    create table "passkey" ("id" text not null primary key, "name" text, "publicKey" text not null, "userId" text not null references "user" ("id") on delete cascade, "credentialID" text not null unique, "counter" integer not null, "deviceType" text not null, "backedUp" boolean not null, "transports" text, "createdAt" timestamptz default CURRENT_TIMESTAMP not null, "aaguid" text, "lastUsedAt" timestamptz);
    create index "passkey_userId_idx" on "passkey" ("userId");
    grant select, insert, update, delete on "passkey" to x1_service;`,
  },
  {
    name: "identity-003",
    // Digests only: neither a link nor what was typed as a name can be read from here. `tries` holds at most what its limit allows.
    sql: `create table sign_in_link (
      digest text primary key, "organizationId" text not null references "organization" ("id") on delete cascade, "userId" text not null references "user" ("id") on delete cascade,
      role text not null, use text not null, "createdBy" text not null, "createdAt" timestamptz not null default now(), "expiresAt" timestamptz not null);
    create index sign_in_link_user on sign_in_link ("userId");
    create table sign_in_try (digest text primary key, tries timestamptz[] not null, refused boolean not null default false, "lastAt" timestamptz not null default now());
    create index sign_in_try_last on sign_in_try ("lastAt");
    grant select, insert, update, delete on sign_in_link, sign_in_try to x1_service;`,
  },
];
