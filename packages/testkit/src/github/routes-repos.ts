import type { Shape } from "./description.ts";
import { zero } from "./git.ts";
import { invalid, notFound, type Protection, Refused, type Repository } from "./model.ts";
import { permissionsOf } from "./present.ts";
import { type Answer, type Call, created, empty, type Handlers, list, ok } from "./server.ts";
import { accountByLogin, mayBeAssigned, roleOf, roleOfToken, signatureOf } from "./world/accounts.ts";
import { commitsOf } from "./world/figures.ts";
import { pushRefusal, refsChanged } from "./world/pushes.ts";
import { deleteRepository, renameRepository, setDefaultBranch } from "./world/repositories.ts";
import { branchMatches, protectionOf } from "./world/rules.ts";

/** Repositories, branches and their rules, commits, contents, git objects and refs, collaborators, events. */

const read = ["contents:read"];
const write = ["contents:write"];

async function branchShape(call: Call, repository: Repository, name: string, sha: string): Promise<Shape> {
  const protection = protectionOf(repository, name);
  const url = `${call.present.api}/repos/${repository.owner.login}/${repository.name}`;
  return {
    name,
    commit: { sha, url: `${url}/commits/${sha}` },
    protected: protection !== undefined,
    protection: briefProtection(protection),
    protection_url: `${url}/branches/${encodeURIComponent(name)}/protection`,
  };
}

function briefProtection(protection: Protection | undefined): Shape {
  return {
    enabled: protection !== undefined,
    required_status_checks: {
      enforcement_level: protection?.requiredChecks.length
        ? protection.enforceAdmins
          ? "everyone"
          : "non_admins"
        : "off",
      contexts: protection?.requiredChecks ?? [],
      checks: (protection?.requiredChecks ?? []).map((context) => ({ context, app_id: null })),
    },
  };
}

/** The rules of a branch as `GET /rules/branches/{branch}` lists them: those of rulesets only, as GitHub does. */
function rulesOf(repository: Repository, branch: string): Shape[] {
  return repository.protections
    .filter((one) => one.ruleset && branchMatches(one.pattern, branch))
    .flatMap((one) => {
      const source = {
        ruleset_source_type: "Repository",
        ruleset_source: `${repository.owner.login}/${repository.name}`,
        ruleset_id: one.ruleset!.id,
      };
      const rules: Shape[] = [];
      if (!one.allowDeletions) rules.push({ type: "deletion", ...source });
      if (!one.allowForcePushes) rules.push({ type: "non_fast_forward", ...source });
      if (one.requiredReviews !== undefined)
        rules.push({
          type: "pull_request",
          ...source,
          parameters: {
            required_approving_review_count: one.requiredReviews,
            dismiss_stale_reviews_on_push: one.dismissStale,
            require_code_owner_review: one.codeOwners,
            require_last_push_approval: false,
            required_review_thread_resolution: false,
            allowed_merge_methods: ["merge", "squash", "rebase"],
          },
        });
      if (one.requiredChecks.length > 0)
        rules.push({
          type: "required_status_checks",
          ...source,
          parameters: {
            required_status_checks: one.requiredChecks.map((context) => ({ context })),
            strict_required_status_checks_policy: one.strict,
          },
        });
      return rules;
    });
}

/** Resolves what GitHub takes for a commit: a branch, a tag or an object id. */
async function commitOf(call: Call, ref: string): Promise<string> {
  const { git } = call.repository;
  const name = ref.replace(/^refs\//, "");
  for (const candidate of [`refs/heads/${ref}`, `refs/tags/${ref}`, `refs/${name}`])
    if (/^[\w./+@-]+$/.test(ref)) {
      const sha = await git.resolve(candidate);
      if (sha) return sha;
    }
  const sha = /^[0-9a-f]{4,40}$/.test(ref) ? await git.resolve(ref) : undefined;
  if (!sha) throw new Refused(422, `No commit found for SHA: ${ref}`);
  return sha;
}

async function contentOf(call: Call, path: string): Promise<Answer> {
  const { repository, present } = call;
  const ref = String(call.values.ref ?? repository.defaultBranch);
  const sha = await commitOf(call, ref).catch(() => {
    throw new Refused(404, `No commit found for the ref ${ref}`);
  });
  const clean = path.replace(/^\/+|\/+$/g, "");
  const url = (at: string) =>
    `${present.api}/repos/${repository.owner.login}/${repository.name}/contents/${at.split("/").map(encodeURIComponent).join("/")}?ref=${encodeURIComponent(ref)}`;
  const html = `${present.web}/${repository.owner.login}/${repository.name}`;
  const shape = (entry: { type: string; sha: string; size: number | undefined; path: string }): Shape => {
    const kind = entry.type === "tree" ? "dir" : entry.type === "commit" ? "submodule" : "file";
    const self = url(entry.path);
    const git = `${present.api}/repos/${repository.owner.login}/${repository.name}/git/${entry.type}s/${entry.sha}`;
    const web = `${html}/${kind === "dir" ? "tree" : "blob"}/${encodeURI(`${ref}/${entry.path}`)}`;
    return {
      name: entry.path.split("/").at(-1),
      path: entry.path,
      sha: entry.sha,
      size: entry.size ?? 0,
      url: self,
      html_url: web,
      git_url: git,
      download_url: kind === "file" ? `${html}/raw/${encodeURI(`${ref}/${entry.path}`)}` : null,
      type: kind,
      _links: { self, git, html: web },
    };
  };
  const found = clean === "" ? { type: "tree", sha } : await repository.git.entry(sha, clean);
  if (!found) throw notFound();
  if (found.type === "tree") {
    const entries = await repository.git.listTree(found.sha);
    return ok(entries.map((entry) => shape({ ...entry, path: clean === "" ? entry.path : `${clean}/${entry.path}` })));
  }
  if (found.type !== "blob") throw new Refused(403, "The stand-in does not show submodules.");
  const blob = found.sha;
  const bytes = await repository.git.readBlob(blob);
  if (/\braw\b/.test(call.accept)) return { status: 200, body: bytes.toString() };
  const base64 = bytes.toString("base64").replace(/(.{60})/g, "$1\n");
  return ok({
    ...shape({ type: "blob", sha: blob, size: bytes.length, path: clean }),
    encoding: "base64",
    content: base64.endsWith("\n") ? base64 : `${base64}\n`,
  });
}

/** Moves a ref on behalf of a request, under the same rules as a push. */
async function moveRef(call: Call, ref: string, before: string, after: string): Promise<void> {
  const { repository, world } = call;
  const change = { ref, before, after };
  const refused = pushRefusal(call.actor, roleOfToken(call.token, repository), repository, change);
  if (refused) {
    const reason = refused
      .split("\n")
      .at(-1)!
      .replace(/^error: |^- /, "");
    throw new Refused(409, `Repository rule violations found\n\n${reason}\n\n`);
  }
  if (after === zero) await repository.git.deleteRef(ref);
  else await repository.git.updateRef(ref, after);
  await refsChanged(world, call.actor, repository, [change]);
}

const fullRef = (call: Call) => {
  const ref = `refs/${String(call.values.ref).replace(/^refs\//, "")}`;
  // What git itself would not take as a name never reaches it.
  if (!/^refs\/(heads|tags|pull)\/[^\s~^:?*[\\]+$/.test(ref) || /\.\.|@\{|\/\/|\.lock$|\/$/.test(ref)) throw notFound();
  return ref;
};

export function repoRoutes(): Handlers {
  return {
    "repos/get": { handle: (call) => ok(call.present.repository(call.repository, true)) },
    "repos/list-branches": {
      needs: read,
      handle: async (call) => {
        const refs = [...(await call.repository.git.refs("refs/heads/"))].map(([ref, sha]) => ({
          name: ref.slice("refs/heads/".length),
          sha,
        }));
        const wanted = call.values.protected as boolean | undefined;
        const shown = refs.filter(
          (one) => wanted === undefined || (protectionOf(call.repository, one.name) !== undefined) === wanted,
        );
        return list(shown, (one) => branchShape(call, call.repository, one.name, one.sha));
      },
    },
    "repos/get-branch": {
      needs: read,
      handle: async (call) => {
        const name = String(call.values.branch);
        const sha = await call.repository.git.branch(name);
        if (!sha) throw new Refused(404, "Branch not found");
        const url = `${call.present.api}/repos/${call.repository.owner.login}/${call.repository.name}/branches/${encodeURIComponent(name)}`;
        return ok({
          ...(await branchShape(call, call.repository, name, sha)),
          commit: call.present.commit(call.repository, await call.repository.git.commit(sha)),
          _links: {
            self: url,
            html: `${call.present.web}/${call.repository.owner.login}/${call.repository.name}/tree/${encodeURI(name)}`,
          },
        });
      },
    },
    "repos/get-branch-protection": {
      needs: ["administration:read"],
      role: "admin",
      handle: (call) => {
        const name = String(call.values.branch);
        const one = protectionOf(call.repository, name);
        if (!one || one.ruleset) throw new Refused(404, "Branch not protected");
        const url = `${call.present.api}/repos/${call.repository.owner.login}/${call.repository.name}/branches/${encodeURIComponent(name)}/protection`;
        const flag = (enabled: boolean) => ({ enabled });
        return ok({
          url,
          ...(one.requiredChecks.length > 0
            ? {
                required_status_checks: {
                  url: `${url}/required_status_checks`,
                  strict: one.strict,
                  contexts: one.requiredChecks,
                  contexts_url: `${url}/required_status_checks/contexts`,
                  checks: one.requiredChecks.map((context) => ({ context, app_id: null })),
                },
              }
            : {}),
          ...(one.requiredReviews === undefined
            ? {}
            : {
                required_pull_request_reviews: {
                  url: `${url}/required_pull_request_reviews`,
                  dismiss_stale_reviews: one.dismissStale,
                  require_code_owner_reviews: one.codeOwners,
                  required_approving_review_count: one.requiredReviews,
                  require_last_push_approval: false,
                },
              }),
          enforce_admins: { url: `${url}/enforce_admins`, enabled: one.enforceAdmins },
          required_linear_history: flag(false),
          allow_force_pushes: flag(one.allowForcePushes),
          allow_deletions: flag(one.allowDeletions),
          block_creations: flag(false),
          required_conversation_resolution: flag(false),
          lock_branch: flag(false),
          allow_fork_syncing: flag(false),
        });
      },
    },
    "repos/get-branch-rules": {
      handle: (call) => list(rulesOf(call.repository, String(call.values.branch)), (one) => one),
    },
    "repos/list-collaborators": {
      needs: ["metadata:read"],
      role: "write",
      handle: (call) => {
        const people = [...call.world.accounts.values()].filter(
          (one) =>
            one.type === "User" &&
            (one === call.repository.owner ||
              call.repository.owner.members.has(one.id) ||
              call.repository.roles.has(one.id)),
        );
        return list(people, (one) => {
          const role = roleOf(one, call.repository);
          return { ...call.present.user(one), permissions: permissionsOf(role), role_name: role };
        });
      },
    },
    "repos/check-collaborator": {
      needs: ["metadata:read"],
      handle: (call) => {
        const account = accountByLogin(call.world, String(call.values.username));
        if (!account || !mayBeAssigned(call.repository, account)) throw notFound();
        return empty();
      },
    },
    "repos/get-collaborator-permission-level": {
      needs: ["metadata:read"],
      who: "token",
      handle: (call) => {
        const account = accountByLogin(call.world, String(call.values.username));
        if (!account) throw notFound();
        const role = roleOf(account, call.repository);
        // GitHub's `permission` knows four words; the true one is `role_name`.
        const permission = role === "maintain" ? "write" : role === "triage" ? "read" : role;
        return ok({
          permission,
          role_name: role,
          user: { ...call.present.user(account), permissions: permissionsOf(role), role_name: role },
        });
      },
    },
    "repos/list-commits": {
      needs: read,
      handle: async (call) => {
        const sha = await commitOf(call, String(call.values.sha ?? call.repository.defaultBranch));
        const path = call.values.path as string | undefined;
        const commits = await call.repository.git.log(sha, { limit: 10_000, ...(path ? { path } : {}) });
        const [since, until] = [call.values.since, call.values.until].map((at) => (at ? Date.parse(String(at)) : null));
        const asked = commits.filter(({ committer: { date } }) => {
          const at = Date.parse(date);
          return at >= (since ?? 0) && at <= (until ?? at);
        });
        return list(asked, (one) => call.present.commit(call.repository, one));
      },
    },
    "repos/get-commit": {
      needs: read,
      handle: async (call) => {
        const sha = await commitOf(call, String(call.values.ref));
        if (/\.sha\b/.test(call.accept)) return { status: 200, body: sha };
        const commit = await call.repository.git.commit(sha);
        const files = await call.repository.git.diff(commit.parents[0], sha);
        if (/\.(diff|patch)\b/.test(call.accept))
          return { status: 200, body: await call.repository.git.git(["diff-tree", "-p", "--root", sha]) };
        const additions = files.reduce((sum, file) => sum + file.additions, 0);
        const deletions = files.reduce((sum, file) => sum + file.deletions, 0);
        return ok({
          ...call.present.commit(call.repository, commit),
          stats: { additions, deletions, total: additions + deletions },
          files: files.slice(0, 300).map((file) => call.present.file(call.repository, file, sha)),
        });
      },
    },
    "repos/compare-commits-with-basehead": {
      needs: read,
      handle: async (call) => {
        const [from = "", to = ""] = String(call.values.basehead).split("...");
        const { git } = call.repository;
        const [base, head] = await Promise.all([commitOf(call, from), commitOf(call, to)]).catch(() => {
          throw notFound();
        });
        const merge = await git.mergeBase(base!, head!);
        if (!merge) throw new Refused(404, `No common ancestor between ${from} and ${to}.`);
        const ahead = await git.count(`${base}..${head}`);
        const behind = await git.count(`${head}..${base}`);
        const commits = (await git.log(`${base}..${head}`, { limit: 250 })).reverse();
        const files = await git.diff(merge, head!);
        const html = `${call.present.web}/${call.repository.owner.login}/${call.repository.name}/compare/${from}...${to}`;
        return ok({
          url: `${call.present.api}/repos/${call.repository.owner.login}/${call.repository.name}/compare/${from}...${to}`,
          html_url: html,
          permalink_url: html,
          diff_url: `${html}.diff`,
          patch_url: `${html}.patch`,
          base_commit: call.present.commit(call.repository, await git.commit(base!)),
          merge_base_commit: call.present.commit(call.repository, await git.commit(merge)),
          status: ahead && behind ? "diverged" : ahead ? "ahead" : behind ? "behind" : "identical",
          ahead_by: ahead,
          behind_by: behind,
          total_commits: ahead,
          commits: commits.map((one) => call.present.commit(call.repository, one)),
          files: files.slice(0, 300).map((file) => call.present.file(call.repository, file, head!)),
        });
      },
    },
    "repos/list-pull-requests-associated-with-commit": {
      needs: ["pull_requests:read"],
      handle: async (call) => {
        const sha = String(call.values.commit_sha);
        const found = [];
        for (const issue of call.repository.issues.values())
          if (issue.pull && (issue.pull.headSha === sha || issue.pull.mergeCommitSha === sha)) found.push(issue);
          else if (issue.pull && (await commitsOf(call.repository, issue)).some((one) => one.sha === sha))
            found.push(issue);
        return list(found, (issue) => call.present.pull(call.repository, issue, false));
      },
    },
    "repos/get-content": { needs: read, handle: (call) => contentOf(call, String(call.values.path)) },
    "repos/get-readme": {
      needs: read,
      handle: (call) => contentOf(call, "README.md"),
    },
    "repos/create-or-update-file-contents": {
      needs: write,
      role: "write",
      handle: async (call) => {
        const { message, content, sha, branch } = call.body as Record<string, string | undefined>;
        const { git } = call.repository;
        const path = String(call.values.path);
        const name = branch ?? call.repository.defaultBranch;
        const before = await git.branch(name);
        if (!before) throw new Refused(404, `Branch ${name} not found`);
        const blob = (await git.entry(before, path))?.sha;
        if (blob && !sha) throw new Refused(422, `Invalid request.\n\n"sha" wasn't supplied.`);
        if (blob && sha !== blob) throw new Refused(409, `${path} does not match ${sha}`);
        const commit = await git.commitTree({
          tree: await git.writeTree(before, { [path]: Buffer.from(content ?? "", "base64") }),
          parents: [before],
          message: message ?? `Update ${path}`,
          author: signatureOf(call.world, call.actor),
        });
        await moveRef(call, `refs/heads/${name}`, before, commit);
        const answer = await contentOf(
          { ...call, values: { ref: name }, accept: "", repository: call.repository },
          path,
        );
        const { author: _author, ...shape } = call.present.gitCommit(call.repository, await git.commit(commit));
        return {
          status: blob ? 200 : 201,
          body: { content: answer.body, commit: { ...shape, author: _author } },
        };
      },
    },
    "git/get-ref": {
      needs: read,
      handle: async (call) => {
        const ref = fullRef(call);
        const sha = await call.repository.git.resolve(ref, "object");
        if (!sha) throw notFound();
        return ok(call.present.gitRef(call.repository, ref, sha));
      },
    },
    "git/list-matching-refs": {
      needs: read,
      handle: async (call) => {
        const prefix = `refs/${String(call.values.ref)}`;
        const refs = [...(await call.repository.git.refs())].filter(([ref]) => ref.startsWith(prefix));
        return list(refs, ([ref, sha]) => call.present.gitRef(call.repository, ref, sha));
      },
    },
    "git/create-ref": {
      needs: write,
      role: "write",
      handle: async (call) => {
        const { ref, sha } = call.body as { ref: string; sha: string };
        if (!/^refs\/(heads|tags)\/[^\s~^:?*[\\]+$/.test(ref))
          throw new Refused(422, "Reference name must start with 'refs' and have at least two slashes.");
        if (!(await call.repository.git.resolve(sha, "object"))) throw new Refused(422, "Object does not exist");
        if (await call.repository.git.resolve(ref, "object")) throw new Refused(422, "Reference already exists");
        await moveRef(call, ref, zero, sha);
        return created(call.present.gitRef(call.repository, ref, sha));
      },
    },
    "git/update-ref": {
      needs: write,
      role: "write",
      handle: async (call) => {
        const ref = fullRef(call);
        const { sha, force } = call.body as { sha: string; force?: boolean };
        const before = await call.repository.git.resolve(ref, "object");
        if (!before) throw new Refused(422, "Reference does not exist");
        if (!(await call.repository.git.resolve(sha))) throw new Refused(422, "Object does not exist");
        const forward = await call.repository.git.isAncestor(before, sha);
        if (!forward && !force) throw new Refused(422, "Update is not a fast forward");
        const protection = protectionOf(call.repository, ref.replace("refs/heads/", ""));
        if (!forward && protection && !protection.allowForcePushes)
          throw new Refused(422, "Cannot force-push to this branch");
        await moveRef(call, ref, before, sha);
        return ok(call.present.gitRef(call.repository, ref, sha));
      },
    },
    "git/delete-ref": {
      needs: write,
      role: "write",
      handle: async (call) => {
        const ref = fullRef(call);
        const before = await call.repository.git.resolve(ref, "object");
        if (!before) throw new Refused(422, "Reference does not exist");
        await moveRef(call, ref, before, zero);
        return empty();
      },
    },
    "git/get-commit": {
      needs: read,
      handle: async (call) => {
        const sha = await call.repository.git.resolve(String(call.values.commit_sha));
        if (!sha) throw notFound();
        return ok(call.present.gitCommit(call.repository, await call.repository.git.commit(sha)));
      },
    },
    "git/create-commit": {
      needs: write,
      role: "write",
      handle: async (call) => {
        const { message, tree, parents, author, committer } = call.body as {
          message: string;
          tree: string;
          parents?: string[];
          author?: { name: string; email: string; date?: string };
          committer?: { name: string; email: string; date?: string };
        };
        const { git } = call.repository;
        if (!(await git.resolve(tree, "tree"))) throw new Refused(422, "Tree SHA does not exist");
        for (const parent of parents ?? [])
          if (!(await git.resolve(parent)))
            throw new Refused(422, `Parent SHA does not exist or is not a commit object`);
        const mine = signatureOf(call.world, call.actor);
        const sha = await git.commitTree({
          tree,
          parents: parents ?? [],
          message,
          author: { ...mine, ...author },
          committer: { ...mine, ...author, ...committer },
        });
        return created(call.present.gitCommit(call.repository, await git.commit(sha)));
      },
    },
    "git/get-tree": {
      needs: read,
      handle: async (call) => {
        const { git } = call.repository;
        const name = String(call.values.tree_sha);
        const sha = (await git.branch(name)) ?? (await git.resolve(name, "tree"));
        const tree = sha && (await git.resolve(sha, "tree"));
        if (!tree) throw notFound();
        return ok(await treeShape(call, tree, call.values.recursive !== undefined));
      },
    },
    "git/create-tree": {
      needs: write,
      role: "write",
      handle: async (call) => {
        const { tree, base_tree } = call.body as {
          base_tree?: string;
          tree: { path: string; mode: string; sha?: string | null; content?: string }[];
        };
        const { git } = call.repository;
        if (base_tree && !(await git.resolve(base_tree, "tree")))
          throw new Refused(422, "base_tree is not a valid tree");
        const changes: Record<string, null | { mode: string; sha: string }> = {};
        for (const entry of tree) {
          if (entry.sha === null) changes[entry.path] = null;
          else
            changes[entry.path] = {
              mode: entry.mode ?? "100644",
              sha: entry.sha ?? (await git.writeBlob(entry.content ?? "")),
            };
        }
        return created(await treeShape(call, await git.writeTree(base_tree, changes), false));
      },
    },
    "git/get-blob": {
      needs: read,
      handle: async (call) => {
        const sha = await call.repository.git.resolve(String(call.values.file_sha), "blob");
        if (!sha) throw notFound();
        const bytes = await call.repository.git.readBlob(sha);
        return ok({
          ...blobShape(call, sha),
          size: bytes.length,
          encoding: "base64",
          content: bytes.toString("base64"),
        });
      },
    },
    "git/create-blob": {
      needs: write,
      role: "write",
      handle: async (call) => {
        const { content, encoding } = call.body as { content: string; encoding?: string };
        const sha = await call.repository.git.writeBlob(
          Buffer.from(content, encoding === "base64" ? "base64" : "utf8"),
        );
        const { url } = blobShape(call, sha);
        return created({ url, sha });
      },
    },
    "activity/list-repo-events": {
      handle: (call) => {
        const { repository, present } = call;
        const answer = list(repository.events, (event) => ({
          id: String(event.id),
          type: event.type,
          actor: {
            id: event.actor.id,
            login: event.actor.login,
            display_login: event.actor.login,
            gravatar_id: "",
            url: `${present.api}/users/${event.actor.login}`,
            avatar_url: `${present.web}/avatars/u/${event.actor.id}`,
          },
          repo: {
            id: repository.id,
            name: `${repository.owner.login}/${repository.name}`,
            url: `${present.api}/repos/${repository.owner.login}/${repository.name}`,
          },
          payload: event.payload,
          public: !repository.private,
          created_at: event.createdAt,
        }));
        return { ...answer, headers: { "x-poll-interval": "60" } };
      },
    },
    "repos/list-webhooks": { needs: ["repository_hooks:read"], role: "admin", handle: () => list([], (one) => one) },
    "repos/update": {
      needs: ["administration:write"],
      role: "admin",
      handle: async (call) => {
        const { name, default_branch, archived } = call.body as Record<string, unknown>;
        if (name && name !== call.repository.name)
          await renameRepository(call.world, call.repository, String(name), call.actor);
        if (default_branch && default_branch !== call.repository.defaultBranch) {
          if (!(await call.repository.git.branch(String(default_branch))))
            throw invalid("Repository", "default_branch", "invalid");
          await setDefaultBranch(call.world, call.repository, String(default_branch), call.actor);
        }
        if (typeof archived === "boolean") call.repository.archived = archived;
        return ok(call.present.repository(call.repository, true));
      },
    },
    "repos/delete": {
      needs: ["administration:write"],
      role: "admin",
      handle: async (call) => {
        await deleteRepository(call.world, call.repository, call.actor);
        return empty();
      },
    },
  };
}

const blobShape = (call: Call, sha: string) => ({
  sha,
  node_id: Buffer.from(sha).toString("base64url"),
  url: `${call.present.api}/repos/${call.repository.owner.login}/${call.repository.name}/git/blobs/${sha}`,
});

async function treeShape(call: Call, tree: string, recursive: boolean): Promise<Shape> {
  const url = `${call.present.api}/repos/${call.repository.owner.login}/${call.repository.name}/git`;
  const entries = await call.repository.git.listTree(tree, recursive);
  return {
    sha: tree,
    url: `${url}/trees/${tree}`,
    truncated: false,
    tree: entries.map((entry) => ({
      path: entry.path,
      mode: entry.mode,
      type: entry.type,
      sha: entry.sha,
      ...(entry.size === undefined ? {} : { size: entry.size }),
      ...(entry.type === "commit" ? {} : { url: `${url}/${entry.type}s/${entry.sha}` }),
    })),
  };
}
