import type { Signature } from "../git.ts";
import type { Account, Repository, Role, Token } from "../model.ts";
import type { World } from "./world.ts";

/** People, organizations and bots: who they are, and what they may in a repository. */

const roles: readonly Role[] = ["none", "read", "triage", "write", "maintain", "admin"];
/** Whether a role reaches another. */
export const reaches = (role: Role, needed: Role) => roles.indexOf(role) >= roles.indexOf(needed);

/** A person, organization or bot; throws when the login is taken. */
export function addAccount(world: World, login: string, type: Account["type"], name: string | null = null): Account {
  if (accountByLogin(world, login)) throw new Error(`there is already an account ${login}`);
  const id = world.id();
  const account: Account = {
    id,
    login,
    type,
    name,
    email: `${id}+${login}@users.noreply.${new URL(world.bases.web).hostname}`,
    createdAt: world.time(),
    members: new Map(),
    basePermission: "read",
  };
  world.accounts.set(id, account);
  return account;
}

/** By login, in whatever case. */
export function accountByLogin(world: World, login: string): Account | undefined {
  const wanted = login.toLowerCase();
  for (const account of world.accounts.values()) if (account.login.toLowerCase() === wanted) return account;
  return undefined;
}

/** Whom commits with this address are put down to. */
export function accountOfEmail(world: World, email: string): Account | undefined {
  for (const account of world.accounts.values()) if (account.email === email) return account;
  return undefined;
}

/** Its repositories are still found by their old addresses; Apps installed on it hear it. */
export async function renameAccount(world: World, account: Account, login: string): Promise<void> {
  const before = account.login;
  for (const repository of world.repositories.values())
    if (repository.owner === account)
      world.formerNames.set(`${before}/${repository.name}`.toLowerCase(), repository.id);
  account.login = login;
  for (const installation of world.installations.values())
    if (installation.account === account)
      await world.say(
        "installation_target",
        "renamed",
        account,
        undefined,
        {
          account: { ...world.presenter().user(account) },
          changes: { login: { from: before } },
          target_type: account.type,
        },
        { installation },
      );
}

/** How commits of an account are signed now. */
export function signatureOf(world: World, account: Account): Signature {
  return { name: account.name ?? account.login, email: account.email, date: world.time() };
}

/** What a person may in a repository, by ownership, membership, invitation or because it is public. */
export function roleOf(account: Account, repository: Repository): Role {
  const owner = repository.owner;
  if (owner === account) return "admin";
  const membership = owner.members.get(account.id);
  if (membership === "owner") return "admin";
  const candidates: Role[] = [repository.roles.get(account.id) ?? "none", repository.private ? "none" : "read"];
  if (membership === "member") candidates.push(owner.basePermission);
  return candidates.reduce((best, role) => (reaches(best, role) ? best : role));
}

/** What the bearer of a token may, as a role: for repository objects and for acts that ask for a person's role. */
export function roleOfToken(token: Token, repository: Repository): Role {
  if (token.kind !== "installation") return roleOf(token.user, repository);
  const permissions = token.permissions === "all" ? {} : token.permissions;
  if (permissions.administration === "write") return "admin";
  return permissions.contents === "write" ? "write" : "read";
}

/** Whether an account can be assigned to issues, and asked for reviews. */
export function mayBeAssigned(repository: Repository, account: Account): boolean {
  return (
    repository.owner === account ||
    repository.owner.members.has(account.id) ||
    reaches(repository.roles.get(account.id) ?? "none", "read")
  );
}

/** GitHub's `author_association`, derived from ownership, membership, invitation and history. */
export async function associationOf(world: World, repository: Repository, account: Account): Promise<string> {
  if (repository.owner === account) return "OWNER";
  if (repository.owner.members.has(account.id)) return "MEMBER";
  if (repository.roles.has(account.id)) return "COLLABORATOR";
  const pulls = [...repository.issues.values()].filter((issue) => issue.pull && issue.user === account);
  if (pulls.some((issue) => issue.pull?.mergedAt)) return "CONTRIBUTOR";
  const head = await repository.git.branch(repository.defaultBranch);
  if (head && (await authorsOf(world, repository, head)).has(account.email)) return "CONTRIBUTOR";
  return pulls.length > 0 ? "FIRST_TIME_CONTRIBUTOR" : "NONE";
}

async function authorsOf(world: World, repository: Repository, head: string): Promise<Set<string>> {
  const known = world.authors.get(head);
  if (known) return known;
  const authors = await repository.git.authors(head);
  world.authors.set(head, authors);
  return authors;
}
