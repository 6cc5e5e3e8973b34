import type { Shape } from "../description.ts";
import { type Account, type Issue, invalid, type Label, notFound, type Repository } from "../model.ts";
import { accountByLogin, mayBeAssigned } from "./accounts.ts";
import type { World } from "./world.ts";

/** Issues, and what pull requests share with them: numbers, text, labels, assignees, open or closed. */

const colours = ["d73a4a", "0075ca", "cfd3d7", "a2eeef", "7057ff", "008672", "e4e669", "d876e3"];

/** A label of a repository, which is made where it is not there. */
export function addLabel(world: World, repository: Repository, name: string, more: Partial<Label> = {}): Label {
  const existing = repository.labels.find((label) => label.name.toLowerCase() === name.toLowerCase());
  if (existing) return existing;
  const label: Label = {
    id: world.id(),
    name,
    color: more.color ?? colours[repository.labels.length % colours.length]!,
    description: more.description ?? null,
    default: more.default ?? false,
  };
  repository.labels.push(label);
  return label;
}

/** An issue or pull request; refused (404) where there is none. */
export function issueByNumber(repository: Repository, number: number): Issue {
  const issue = repository.issues.get(number);
  if (!issue) throw notFound();
  return issue;
}

/** GitHub's limits on what people write, in characters. */
export function checkText(
  resource: "Issue" | "PullRequest",
  text: { title?: string | undefined; body?: string | null | undefined },
): void {
  if (text.title !== undefined && text.title.trim() === "") throw invalid(resource, "title", "missing_field");
  for (const [field, most] of [
    ["title", 256],
    ["body", 65_536],
  ] as const)
    if ((text[field]?.length ?? 0) > most)
      throw invalid(resource, field, "custom", `${field} is too long (maximum is ${most} characters)`);
}

/** An issue that nobody hears of yet; takes the next number of the repository. */
export function newIssue(
  world: World,
  actor: Account,
  repository: Repository,
  title: string,
  body: string | null,
  appId: number | undefined,
): Issue {
  return {
    id: world.id(),
    number: repository.nextNumber++,
    title,
    body,
    user: actor,
    state: "open",
    stateReason: null,
    labels: [],
    assignees: [],
    comments: [],
    locked: false,
    createdAt: world.time(),
    updatedAt: world.time(),
    closedAt: undefined,
    closedBy: undefined,
    appId,
    events: [],
    pull: undefined,
  };
}

/** Opens an issue. Labels are made where they are not there; who cannot be assigned is passed over. */
export async function createIssue(
  world: World,
  actor: Account,
  repository: Repository,
  input: {
    title: string;
    body?: string | null;
    labels?: readonly string[];
    assignees?: readonly string[];
    appId?: number | undefined;
  },
): Promise<Issue> {
  checkText("Issue", input);
  const issue = newIssue(world, actor, repository, input.title, input.body ?? null, input.appId);
  repository.issues.set(issue.number, issue);
  for (const name of input.labels ?? []) issue.labels.push(addLabel(world, repository, name));
  issue.assignees = assignable(world, repository, input.assignees ?? []);
  await issueSays(world, "opened", actor, repository, issue);
  for (const label of issue.labels)
    await issueSays(world, "labeled", actor, repository, issue, { label: world.presenter().label(repository, label) });
  for (const assignee of issue.assignees)
    await issueSays(world, "assigned", actor, repository, issue, { assignee: world.presenter().user(assignee) });
  return issue;
}

function assignable(world: World, repository: Repository, logins: readonly string[]): Account[] {
  const found: Account[] = [];
  for (const login of logins) {
    const account = accountByLogin(world, login);
    // GitHub passes silently over those who cannot be assigned.
    if (account && mayBeAssigned(repository, account) && !found.includes(account)) found.push(account);
  }
  return found.slice(0, 10);
}

/** Title, body, state, labels and assignees of an issue or pull request; what does not change stays silent. */
export async function updateIssue(
  world: World,
  actor: Account,
  repository: Repository,
  issue: Issue,
  input: {
    title?: string;
    body?: string | null;
    state?: "open" | "closed";
    stateReason?: Issue["stateReason"] | "duplicate";
    labels?: readonly string[];
    assignees?: readonly string[];
  },
): Promise<void> {
  checkText(issue.pull ? "PullRequest" : "Issue", input);
  const changes: Shape = {};
  if (input.title !== undefined && input.title !== issue.title) {
    changes.title = { from: issue.title };
    issue.title = input.title;
  }
  if (input.body !== undefined && input.body !== issue.body) {
    changes.body = { from: issue.body ?? "" };
    issue.body = input.body;
  }
  issue.updatedAt = world.time();
  if (Object.keys(changes).length > 0) await issueSays(world, "edited", actor, repository, issue, { changes });
  if (input.labels) await setLabels(world, actor, repository, issue, input.labels);
  if (input.assignees) await setAssignees(world, actor, repository, issue, input.assignees);
  if (input.state && input.state !== issue.state) {
    if (issue.pull && input.state === "closed") await closePull(world, actor, repository, issue);
    else if (issue.pull) await reopenPull(world, actor, repository, issue);
    else if (input.state === "closed") {
      const reason = input.stateReason === "duplicate" ? "not_planned" : input.stateReason;
      await closeIssue(world, actor, repository, issue, reason ?? "completed");
    } else {
      issue.state = "open";
      issue.stateReason = "reopened";
      issue.closedAt = undefined;
      issue.closedBy = undefined;
      await issueSays(world, "reopened", actor, repository, issue);
    }
  }
}

/** Gives an issue or pull request these labels and no others. */
export async function setLabels(
  world: World,
  actor: Account,
  repository: Repository,
  issue: Issue,
  names: readonly string[],
): Promise<void> {
  const wanted = names.map((name) => addLabel(world, repository, name));
  const before = issue.labels;
  issue.updatedAt = world.time();
  for (const label of before.filter((one) => !wanted.includes(one))) {
    issue.labels = issue.labels.filter((one) => one !== label);
    await issueSays(world, "unlabeled", actor, repository, issue, {
      label: world.presenter().label(repository, label),
    });
  }
  for (const label of wanted.filter((one) => !before.includes(one))) {
    if (issue.labels.includes(label)) continue;
    issue.labels = [...issue.labels, label];
    await issueSays(world, "labeled", actor, repository, issue, { label: world.presenter().label(repository, label) });
  }
}

/** Gives an issue or pull request these assignees and no others. */
export async function setAssignees(
  world: World,
  actor: Account,
  repository: Repository,
  issue: Issue,
  logins: readonly string[],
): Promise<void> {
  const wanted = assignable(world, repository, logins);
  const before = issue.assignees;
  issue.updatedAt = world.time();
  for (const user of before.filter((one) => !wanted.includes(one))) {
    issue.assignees = issue.assignees.filter((one) => one !== user);
    await issueSays(world, "unassigned", actor, repository, issue, { assignee: world.presenter().user(user) });
  }
  for (const user of wanted.filter((one) => !before.includes(one))) {
    issue.assignees = [...issue.assignees, user];
    await issueSays(world, "assigned", actor, repository, issue, { assignee: world.presenter().user(user) });
  }
}

/** Closes an issue. */
export async function closeIssue(
  world: World,
  actor: Account,
  repository: Repository,
  issue: Issue,
  reason: Issue["stateReason"],
): Promise<void> {
  issue.state = "closed";
  issue.stateReason = reason;
  issue.closedAt = world.time();
  issue.closedBy = actor;
  issue.updatedAt = world.time();
  await issueSays(world, "closed", actor, repository, issue);
}

/** Closes a pull request, merged or not; one that is closed stays as it is. */
export async function closePull(world: World, actor: Account, repository: Repository, issue: Issue): Promise<void> {
  if (issue.state === "closed") return;
  issue.state = "closed";
  issue.closedAt = world.time();
  issue.closedBy = actor;
  issue.updatedAt = world.time();
  await pullSays(world, "closed", actor, repository, issue);
}

async function reopenPull(world: World, actor: Account, repository: Repository, issue: Issue): Promise<void> {
  const pull = issue.pull!;
  const sha = await pull.headRepository?.git.branch(pull.headRef);
  if (pull.mergedAt || !sha) throw invalid("PullRequest", "state", "invalid", "state cannot be changed.");
  pull.headSha = sha;
  issue.state = "open";
  issue.closedAt = undefined;
  issue.closedBy = undefined;
  await pullSays(world, "reopened", actor, repository, issue);
}

async function issueSays(
  world: World,
  action: string,
  actor: Account,
  repository: Repository,
  issue: Issue,
  more: Shape = {},
): Promise<void> {
  issue.events.push({
    id: world.id(),
    event: action,
    actor,
    createdAt: world.time(),
    commitId: undefined,
    about: more,
  });
  if (issue.pull) {
    await pullSays(world, action, actor, repository, issue, more);
    return;
  }
  const shape = await world.presenter().issue(repository, issue);
  await world.say("issues", action, actor, repository, { issue: shape, ...more });
  world.record(repository, "IssuesEvent", actor, { action, issue: shape });
}

/** Tells what happened to a pull request, as a webhook and in the list of events. */
export async function pullSays(
  world: World,
  action: string,
  actor: Account,
  repository: Repository,
  issue: Issue,
  more: Shape = {},
): Promise<void> {
  const shape = await world.presenter().pull(repository, issue);
  await world.say("pull_request", action, actor, repository, { number: issue.number, pull_request: shape, ...more });
  // Events carry a pull request in its shortest form.
  const pull_request = world.presenter().pullMinimal(repository, issue);
  world.record(repository, "PullRequestEvent", actor, { action, number: issue.number, pull_request });
}
