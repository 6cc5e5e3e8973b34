import { createVerify, randomBytes } from "node:crypto";
import {
  type App,
  type Installation,
  type Permissions,
  type Principal,
  Refused,
  type Repository,
  type Token,
} from "./model.ts";
import { roleOf } from "./world/accounts.ts";
import { covers, repositoriesOf } from "./world/apps.ts";
import type { World } from "./world/world.ts";

/** Whom a request comes from, and what it may: JWTs of Apps, installation tokens, personal tokens. */

const badCredentials = () => new Refused(401, "Bad credentials");
const hour = 3_600_000;

/** Who sent the `authorization` header. */
export function principalOf(world: World, header: string | undefined): Principal {
  if (!header) return { kind: "anonymous" };
  const [scheme = "", rest = ""] = header.split(/\s+/, 2);
  const kind = scheme.toLowerCase();
  if (kind === "basic") {
    const [name = "", ...password] = Buffer.from(rest, "base64").toString().split(":");
    const secret = password.join(":");
    return tokenPrincipal(world, secret && secret !== "x-oauth-basic" ? secret : name);
  }
  if (kind !== "bearer" && kind !== "token") throw badCredentials();
  if (rest.split(".").length === 3) return { kind: "app", app: appOfJwt(world, rest) };
  return tokenPrincipal(world, rest);
}

function tokenPrincipal(world: World, value: string): Principal {
  const token = world.tokens.get(value);
  if (!token || token.revoked || (token.expiresAt !== undefined && token.expiresAt <= world.now()))
    throw badCredentials();
  const installation = token.installation;
  if (installation && !world.installations.has(installation.id)) throw badCredentials();
  if (installation?.suspendedAt) throw new Refused(403, "This installation has been suspended");
  return { kind: "token", token };
}

/** The App that signed a JWT: RS256, `iss` its id or client id, at most ten minutes, a minute of skew into the future. */
function appOfJwt(world: World, jwt: string): App {
  const [head = "", body = "", signature = ""] = jwt.split(".");
  let header: Record<string, unknown>;
  let claims: Record<string, unknown>;
  try {
    header = JSON.parse(Buffer.from(head, "base64url").toString()) as Record<string, unknown>;
    claims = JSON.parse(Buffer.from(body, "base64url").toString()) as Record<string, unknown>;
  } catch {
    throw new Refused(401, "A JSON web token could not be decoded");
  }
  const app = [...world.apps.values()].find(
    (one) => String(claims.iss) === String(one.id) || claims.iss === one.clientId,
  );
  if (header.alg !== "RS256" || !app) throw new Refused(401, "A JSON web token could not be decoded");
  const verify = createVerify("RSA-SHA256").update(`${head}.${body}`);
  if (!verify.verify(app.publicKey, signature, "base64url"))
    throw new Refused(401, "A JSON web token could not be decoded");
  const now = Math.floor(world.now() / 1000);
  const { iat, exp } = claims;
  if (typeof iat !== "number" || iat > now + 60)
    throw new Refused(
      401,
      "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
    );
  if (typeof exp !== "number" || exp <= now)
    throw new Refused(
      401,
      "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
    );
  if (exp > now + 600) throw new Refused(401, "'Expiration time' claim ('exp') is too far in the future");
  return app;
}

/** Makes an installation token: no more than the installation has, for the named repositories only, for an hour. */
export function mintInstallationToken(
  world: World,
  installation: Installation,
  wanted: { repositories?: readonly string[]; repositoryIds?: readonly number[]; permissions?: Permissions },
): Token {
  if (installation.suspendedAt) throw new Refused(403, "This installation has been suspended");
  const covered = repositoriesOf(world, installation);
  let repositories: Token["repositories"] = "all";
  if (wanted.repositories || wanted.repositoryIds) {
    const named = [
      ...(wanted.repositories ?? []).map((name) =>
        covered.find((one) => one.name.toLowerCase() === name.toLowerCase()),
      ),
      ...(wanted.repositoryIds ?? []).map((id) => covered.find((one) => one.id === id)),
    ];
    if (named.includes(undefined))
      throw new Refused(
        422,
        "There is at least one repository that does not exist or is not accessible to the parent installation.",
      );
    repositories = new Set(named.map((one) => one!.id));
  }
  for (const [name, level] of Object.entries(wanted.permissions ?? {}))
    if (!permits(installation.permissions, `${name}:${level}`))
      throw new Refused(422, "The permissions requested are not granted to this installation.");
  return remember(world, {
    value: `ghs_${randomBytes(27).toString("base64url").replace(/[-_]/g, "a")}`,
    kind: "installation",
    installation,
    user: installation.app.bot,
    permissions: { metadata: "read", ...(wanted.permissions ?? installation.permissions) },
    repositories,
    expiresAt: world.now() + hour,
    revoked: false,
  });
}

export function remember(world: World, token: Token): Token {
  world.tokens.set(token.value, token);
  return token;
}

/** Whether a token reaches a repository at all, public or not. */
export function tokenCovers(token: Token, repository: Repository): boolean {
  if (token.installation && !covers(token.installation, repository)) return false;
  if (token.repositories !== "all" && !token.repositories.has(repository.id)) return false;
  return token.kind === "installation" || roleOf(token.user, repository) !== "none";
}

/** What a token may now: an installation that lost a permission takes it from its tokens too. */
export function permissionsOfToken(token: Token): Permissions | "all" {
  const { installation } = token;
  if (!installation || token.permissions === "all") return token.permissions;
  return Object.fromEntries(
    Object.entries(token.permissions).filter(([name, level]) => permits(installation.permissions, `${name}:${level}`)),
  );
}

/** The refusal of a request whose token lacks a permission, as GitHub words it for each kind of token. */
export function lacks(token: Token, needs: readonly string[]): Refused {
  const accepted = needs.map((need) => need.replace(":", "=")).join("; ");
  const message =
    token.kind === "installation"
      ? "Resource not accessible by integration"
      : token.kind === "fine-grained"
        ? "Resource not accessible by personal access token"
        : "Must have admin rights to Repository.";
  return new Refused(403, message, {}, { "x-accepted-github-permissions": accepted });
}

/** Whether a permission and level are in a set; `write` holds `read`. */
export function permits(permissions: Permissions | "all", needed: string): boolean {
  if (permissions === "all") return true;
  const [name = "", level = "read"] = needed.split(":");
  const has = permissions[name];
  return has !== undefined && (level === "read" || has === "admin" || has === level);
}
