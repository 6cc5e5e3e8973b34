import type { Shape } from "./description.ts";
import { type Issue, invalid, notFound, Refused, type Repository } from "./model.ts";
import { type Call, created, empty, type Handlers, list, ok } from "./server.ts";
import { accountByLogin, mayBeAssigned, reaches, roleOf, roleOfToken } from "./world/accounts.ts";
import { covers } from "./world/apps.ts";
import { createComment, deleteComment, editComment, findComment } from "./world/comments.ts";
import { addLabel, createIssue, issueByNumber, setAssignees, setLabels, updateIssue } from "./world/issues.ts";

/** Issues, labels, assignees, comments, search. A pull request is an issue too, so either permission will do. */

const read = ["issues:read", "pull_requests:read"];
const write = ["issues:write", "pull_requests:write"];

const issueOf = (call: Call): Issue => issueByNumber(call.repository, Number(call.values.issue_number));
const appId = (call: Call) => call.token.installation?.app.id;

/** An issue needs `issues`, a pull request `pull_requests`, where a token has only one of the two. */
function mayWrite(call: Call, issue: Issue): void {
  const { permissions, kind } = call.token;
  if (permissions === "all") return;
  const name = issue.pull ? "pull_requests" : "issues";
  if (permissions[name] === "write" || (issue.pull && permissions.issues === "write")) return;
  throw new Refused(
    403,
    kind === "installation"
      ? "Resource not accessible by integration"
      : "Resource not accessible by personal access token",
  );
}

/** People need triage to change what is not theirs. */
function mustTriage(call: Call, issue: Issue): void {
  if (call.token.kind === "installation" || issue.user === call.actor) return;
  if (!reaches(roleOf(call.actor, call.repository), "triage"))
    throw new Refused(403, "Must have triage rights to Repository.");
}

const isPermitted = (call: Call) =>
  call.token.kind === "installation" || reaches(roleOf(call.actor, call.repository), "triage");

const names = (given: unknown): string[] =>
  (Array.isArray(given) ? given : []).map((one) => (typeof one === "string" ? one : String((one as Shape).name)));

function order<T extends { createdAt: string; updatedAt: string; id: number }>(
  items: T[],
  values: Shape,
  comments: (item: T) => number = () => 0,
): T[] {
  const key = (one: T) =>
    values.sort === "comments" ? comments(one) : values.sort === "updated" ? one.updatedAt : one.createdAt;
  const down = (values.direction ?? values.order ?? "desc") !== "asc";
  return items.sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    return (x < y ? -1 : x > y ? 1 : a.id - b.id) * (down ? -1 : 1);
  });
}

/** The filters of a repository's issue listing. */
function filtered(call: Call): Issue[] {
  const { state, labels, assignee, creator, mentioned, since } = call.values as Record<string, string | undefined>;
  const wanted = labels ? labels.split(",").map((name) => name.trim().toLowerCase()) : [];
  const issues = [...call.repository.issues.values()].filter(
    (issue) =>
      (state === "all" || issue.state === (state ?? "open")) &&
      wanted.every((name) => issue.labels.some((label) => label.name.toLowerCase() === name)) &&
      (!creator || issue.user.login.toLowerCase() === creator.toLowerCase()) &&
      (!mentioned || (issue.body ?? "").includes(`@${mentioned}`)) &&
      (!assignee ||
        assignee === "*" ||
        (assignee === "none"
          ? issue.assignees.length === 0
          : issue.assignees.some((one) => one.login.toLowerCase() === assignee.toLowerCase()))) &&
      (assignee !== "*" || issue.assignees.length > 0) &&
      (!since || issue.updatedAt >= new Date(since).toISOString().slice(0, 19)),
  );
  return order(issues, call.values, (issue) => issue.comments.length);
}

/** `repo:a/b is:issue is:open label:"x y" author:z some words` */
function search(call: Call): { repository: Repository; issue: Issue }[] {
  const terms = [...String(call.values.q).matchAll(/(-?)(?:(\w+):)?(?:"([^"]*)"|(\S+))/g)].map((found) => ({
    not: found[1] === "-",
    key: found[2]?.toLowerCase(),
    value: (found[3] ?? found[4] ?? "").toLowerCase().replace(/^"|"$/g, ""),
  }));
  const { principal } = call;
  const results: { repository: Repository; issue: Issue }[] = [];
  for (const repository of call.world.repositories.values()) {
    if (repository.private && !(principal.kind === "token" && visible(call, repository))) continue;
    const full = `${repository.owner.login}/${repository.name}`.toLowerCase();
    const scopes = terms.filter((term) => term.key === "repo" || term.key === "org" || term.key === "user");
    const inScope = (term: { key: string | undefined; value: string }) =>
      term.key === "repo" ? term.value === full : term.value === repository.owner.login.toLowerCase();
    if (scopes.length > 0 && !scopes.some(inScope)) continue;
    for (const issue of repository.issues.values()) {
      const text = `${issue.title}\n${issue.body ?? ""}`.toLowerCase();
      const fits = terms.every((term) => {
        const login = (account: { login: string } | undefined) => account?.login.toLowerCase() === term.value;
        const is = (): boolean => {
          switch (term.key) {
            case "repo":
            case "org":
            case "user":
            case "in":
            case "sort":
            case "archived":
              return true;
            case "is":
            case "type":
            case "state":
              if (term.value === "issue") return !issue.pull;
              if (term.value === "pr" || term.value === "pull-request") return issue.pull !== undefined;
              if (term.value === "merged") return issue.pull?.mergedAt !== undefined;
              if (term.value === "draft") return issue.pull?.draft === true;
              return issue.state === term.value;
            case "label":
              return issue.labels.some((label) => label.name.toLowerCase() === term.value);
            case "author":
              return login(issue.user) || issue.user.login.toLowerCase() === `${term.value.replace(/^app\//, "")}[bot]`;
            case "assignee":
              return issue.assignees.some(login);
            case "no":
              return term.value === "assignee" ? issue.assignees.length === 0 : issue.labels.length === 0;
            case "head":
              return issue.pull?.headRef.toLowerCase() === term.value;
            case "base":
              return issue.pull?.baseRef.toLowerCase() === term.value;
            case undefined:
              return text.includes(term.value) || `#${issue.number}` === term.value;
            default:
              throw invalid("Search", "q", "invalid", `the stand-in does not know ${term.key}:`);
          }
        };
        return is() !== term.not;
      });
      if (fits) results.push({ repository, issue });
    }
  }
  const by = new Map(results.map((one) => [one.issue, one.repository]));
  return order([...by.keys()], call.values, (issue) => issue.comments.length).map((issue) => ({
    issue,
    repository: by.get(issue)!,
  }));
}

function visible(call: Call, repository: Repository): boolean {
  const { token } = call;
  if (token.repositories !== "all" && !token.repositories.has(repository.id)) return false;
  return token.installation ? covers(token.installation, repository) : reaches(roleOf(token.user, repository), "read");
}

export function issueRoutes(): Handlers {
  const labelOf = (call: Call) => {
    const label = call.repository.labels.find(
      (one) => one.name.toLowerCase() === String(call.values.name).toLowerCase(),
    );
    if (!label) throw notFound();
    return label;
  };
  const labelsOf = (call: Call, issue: Issue) => issue.labels.map((one) => call.present.label(call.repository, one));
  const bodyLabels = (call: Call) => names(Array.isArray(call.body) ? call.body : call.body.labels);
  return {
    "issues/list-for-repo": {
      needs: read,
      handle: (call) => list(filtered(call), (issue) => call.present.issue(call.repository, issue)),
    },
    "issues/create": {
      needs: ["issues:write"],
      role: "read",
      handle: async (call) => {
        const { title, body, labels, assignees, assignee } = call.body as Record<string, unknown>;
        // What people without triage ask for in labels and assignees is silently left out.
        const more = isPermitted(call);
        const issue = await createIssue(call.world, call.actor, call.repository, {
          title: String(title),
          body: (body as string | null | undefined) ?? null,
          labels: more ? names(labels) : [],
          assignees: more ? [...names(assignees), ...(assignee ? [String(assignee)] : [])] : [],
          appId: appId(call),
        });
        const shape = (await call.present.issue(call.repository, issue)) as { url: string };
        return { ...created(shape), headers: { location: shape.url } };
      },
    },
    "issues/get": { needs: read, handle: async (call) => ok(await call.present.issue(call.repository, issueOf(call))) },
    "issues/update": {
      needs: write,
      role: "read",
      handle: async (call) => {
        const issue = issueOf(call);
        mayWrite(call, issue);
        mustTriage(call, issue);
        const given = call.body as Record<string, unknown>;
        await updateIssue(call.world, call.actor, call.repository, issue, {
          ...(given.title === undefined || given.title === null ? {} : { title: String(given.title) }),
          ...(given.body === undefined ? {} : { body: given.body as string | null }),
          ...(given.state === undefined ? {} : { state: given.state as "open" | "closed" }),
          ...(given.state_reason ? { stateReason: given.state_reason as "completed" } : {}),
          ...(given.labels && isPermitted(call) ? { labels: names(given.labels) } : {}),
          ...(given.assignees && isPermitted(call) ? { assignees: names(given.assignees) } : {}),
        });
        return ok(await call.present.issue(call.repository, issue));
      },
    },
    "issues/list-events": {
      needs: read,
      handle: (call) => list(issueOf(call).events, (event) => call.present.issueEvent(call.repository, event)),
    },
    "issues/list-comments": {
      needs: read,
      handle: (call) => {
        const issue = issueOf(call);
        const since = call.values.since ? new Date(String(call.values.since)).toISOString().slice(0, 19) : "";
        return list(
          issue.comments.filter((one) => one.updatedAt >= since),
          (one) => call.present.comment(call.repository, issue, one),
        );
      },
    },
    "issues/list-comments-for-repo": {
      needs: read,
      handle: (call) => {
        const since = call.values.since ? new Date(String(call.values.since)).toISOString().slice(0, 19) : "";
        const all = [...call.repository.issues.values()].flatMap((issue) =>
          issue.comments.map((comment) => ({ issue, comment })),
        );
        const by = new Map(all.map((one) => [one.comment, one.issue]));
        const direction = call.values.direction ?? (call.values.sort ? "desc" : "asc");
        const found = order(
          [...by.keys()].filter((one) => one.updatedAt >= since),
          { sort: call.values.sort, direction },
        );
        return list(found, (one) => call.present.comment(call.repository, by.get(one)!, one));
      },
    },
    "issues/create-comment": {
      needs: write,
      role: "read",
      handle: async (call) => {
        const issue = issueOf(call);
        mayWrite(call, issue);
        const body = String(call.body.body);
        if (!body.trim()) throw invalid("IssueComment", "data", "unprocessable", "Body cannot be blank");
        if (body.length > 65_536)
          throw invalid("IssueComment", "data", "unprocessable", "Body is too long (maximum is 65536 characters)");
        if (issue.locked && !isPermitted(call))
          throw new Refused(403, "Unable to create comment because issue is locked.");
        const comment = await createComment(call.world, call.actor, call.repository, issue, body, appId(call));
        const shape = (await call.present.comment(call.repository, issue, comment)) as { url: string };
        return { ...created(shape), headers: { location: shape.url } };
      },
    },
    "issues/get-comment": {
      needs: read,
      handle: async (call) => {
        const { issue, comment } = findComment(call.repository, Number(call.values.comment_id));
        return ok(await call.present.comment(call.repository, issue, comment));
      },
    },
    "issues/update-comment": {
      needs: write,
      role: "read",
      handle: async (call) => {
        const { issue, comment } = findComment(call.repository, Number(call.values.comment_id));
        if (comment.user !== call.actor && !reaches(roleOfToken(call.token, call.repository), "write"))
          throw new Refused(403, "Must have write rights to Repository.");
        await editComment(call.world, call.actor, call.repository, comment.id, String(call.body.body));
        return ok(await call.present.comment(call.repository, issue, comment));
      },
    },
    "issues/delete-comment": {
      needs: write,
      role: "read",
      handle: async (call) => {
        const { comment } = findComment(call.repository, Number(call.values.comment_id));
        if (comment.user !== call.actor && !reaches(roleOfToken(call.token, call.repository), "write"))
          throw new Refused(403, "Must have write rights to Repository.");
        await deleteComment(call.world, call.actor, call.repository, comment.id);
        return empty();
      },
    },
    "issues/list-labels-for-repo": {
      needs: read,
      handle: (call) => list(call.repository.labels, (one) => call.present.label(call.repository, one)),
    },
    "issues/get-label": {
      needs: read,
      handle: (call) => ok(call.present.label(call.repository, labelOf(call))),
    },
    "issues/create-label": {
      needs: write,
      role: "write",
      handle: (call) => {
        const { name, color, description } = call.body as { name: string; color?: string; description?: string };
        if (call.repository.labels.some((one) => one.name.toLowerCase() === name.toLowerCase()))
          throw invalid("Label", "name", "already_exists");
        const label = addLabel(call.world, call.repository, name, {
          ...(color ? { color } : {}),
          description: description ?? null,
        });
        return created(call.present.label(call.repository, label));
      },
    },
    "issues/list-labels-on-issue": {
      needs: read,
      handle: (call) => list(issueOf(call).labels, (one) => call.present.label(call.repository, one)),
    },
    "issues/add-labels": {
      needs: write,
      role: "triage",
      handle: async (call) => {
        const issue = issueOf(call);
        mayWrite(call, issue);
        const wanted = [...issue.labels.map((one) => one.name), ...bodyLabels(call)];
        await setLabels(call.world, call.actor, call.repository, issue, wanted);
        return ok(labelsOf(call, issue));
      },
    },
    "issues/set-labels": {
      needs: write,
      role: "triage",
      handle: async (call) => {
        const issue = issueOf(call);
        mayWrite(call, issue);
        await setLabels(call.world, call.actor, call.repository, issue, bodyLabels(call));
        return ok(labelsOf(call, issue));
      },
    },
    "issues/remove-label": {
      needs: write,
      role: "triage",
      handle: async (call) => {
        const issue = issueOf(call);
        mayWrite(call, issue);
        const wanted = String(call.values.name).toLowerCase();
        if (!issue.labels.some((one) => one.name.toLowerCase() === wanted))
          throw new Refused(404, "Label does not exist");
        const rest = issue.labels.map((one) => one.name).filter((name) => name.toLowerCase() !== wanted);
        await setLabels(call.world, call.actor, call.repository, issue, rest);
        return ok(labelsOf(call, issue));
      },
    },
    "issues/remove-all-labels": {
      needs: write,
      role: "triage",
      handle: async (call) => {
        const issue = issueOf(call);
        mayWrite(call, issue);
        await setLabels(call.world, call.actor, call.repository, issue, []);
        return empty();
      },
    },
    "issues/add-assignees": {
      needs: write,
      role: "triage",
      handle: async (call) => {
        const issue = issueOf(call);
        mayWrite(call, issue);
        const wanted = [...issue.assignees.map((one) => one.login), ...names(call.body.assignees)];
        await setAssignees(call.world, call.actor, call.repository, issue, wanted);
        return created(await call.present.issue(call.repository, issue));
      },
    },
    "issues/remove-assignees": {
      needs: write,
      role: "triage",
      handle: async (call) => {
        const issue = issueOf(call);
        mayWrite(call, issue);
        const out = names(call.body.assignees).map((login) => login.toLowerCase());
        const rest = issue.assignees.map((one) => one.login).filter((login) => !out.includes(login.toLowerCase()));
        await setAssignees(call.world, call.actor, call.repository, issue, rest);
        return ok(await call.present.issue(call.repository, issue));
      },
    },
    "issues/list-assignees": {
      needs: read,
      handle: (call) =>
        list(
          [...call.world.accounts.values()].filter((one) => one.type === "User" && mayBeAssigned(call.repository, one)),
          (one) => call.present.user(one),
        ),
    },
    "issues/check-user-can-be-assigned": {
      needs: read,
      handle: (call) => {
        const account = accountByLogin(call.world, String(call.values.assignee));
        if (!account || !mayBeAssigned(call.repository, account)) throw notFound();
        return empty();
      },
    },
    "search/issues-and-pull-requests": {
      handle: (call) =>
        list(
          search(call).slice(0, 1000),
          async ({ repository, issue }) => ({ ...(await call.present.issue(repository, issue)), score: 1 }),
          (page, total) => ({ total_count: total, incomplete_results: false, search_type: "lexical", items: page }),
        ),
    },
  };
}
