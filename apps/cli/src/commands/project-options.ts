import {
  type ContentPolicy,
  defaultContent,
  defaultFollow,
  defaultPullRequests,
  type FollowPolicy,
  type Project,
  type PullRequestPolicy,
} from "@x1agent/contract";
import { type Command, InvalidArgumentError, Option } from "commander";
import { type Style, visibleLine } from "../render/index.ts";
import { count } from "./options.ts";

/** Several of a few words; `none` is the empty list. */
const several =
  (known: readonly string[] | null, most: number) =>
  (text: string, before: string[] = []): string[] => {
    if (text === "none") return [];
    if (known && !known.includes(text)) throw new InvalidArgumentError(`One of: ${known.join(", ")}, or none.`);
    if (text.trim() === "" || text.length > most)
      throw new InvalidArgumentError(`A name of at most ${most} characters.`);
    return [...before, text];
  };
const triggers = ["label", "assignment", "comment"];
const rounds = ["review", "checks", "base"];

/** Options for how a project's pull requests look, and for what follows by itself. */
export const forgeOptions = (command: Command): Command =>
  command
    .option("--pull-draft", "open pull requests as drafts")
    .option("--no-pull-draft")
    .option("--pull-label <name>", "label of pull requests; may be repeated, none for no label", several(null, 50))
    .option("--pull-codeowners", "ask the owners that CODEOWNERS names for a review")
    .option("--no-pull-codeowners")
    .option("--pull-closes-issue", "say that the pull request closes its issue")
    .option("--no-pull-closes-issue")
    .option("--pull-outside-comments", "tell the agent the comments of people without write access, too")
    .option("--no-pull-outside-comments")
    .option(
      "--follow-trigger <kind>",
      `what starts a job: ${triggers.join(", ")}; may be repeated, or none`,
      several(triggers, 50),
    )
    .option("--follow-label <name>", "label that starts a job")
    .addOption(
      new Option("--follow-who <permission>", "least permission that is listened to").choices([
        "write",
        "maintain",
        "admin",
      ]),
    )
    .option(
      "--follow-round <kind>",
      `what begins another round: ${rounds.join(", ")}; may be repeated, or none`,
      several(rounds, 50),
    )
    .option("--follow-max-rounds <n>", "rounds that begin by themselves", count)
    .option("--follow-quiet <seconds>", "gather remarks until nothing was said for so long", count)
    .option("--follow-delete-branch", "delete the branch when its pull request has ended")
    .option("--no-follow-delete-branch")
    .addOption(
      new Option("--follow-closed <what>", "what becomes of a job whose issue is closed").choices(["ask", "cancel"]),
    );

type Submodules = Pick<ContentPolicy, "submodules" | "submoduleHosts">;
const hostPattern = /^[a-z0-9.-]+(:[0-9]{1,5})?$/;
/** `none`, `same-owner`, or names of hosts. */
function submodules(text: string): Submodules {
  if (text === "none") return { submodules: "none", submoduleHosts: [] };
  if (text === "same-owner") return { submodules: "same_owner", submoduleHosts: [] };
  const submoduleHosts = text.toLowerCase().split(",");
  if (!submoduleHosts.every((host) => hostPattern.test(host)))
    throw new InvalidArgumentError("One of: none, same-owner, or hosts such as git.example,other.example:8443.");
  return { submodules: "hosts", submoduleHosts };
}

/** Options for what of a repository is fetched beyond the files of its base. */
export const contentOptions = (command: Command): Command =>
  command
    .option("--submodules <which>", "fetch submodules: none, same-owner, or hosts with a comma between", submodules)
    .option("--lfs <megabytes>", "fetch content kept in Git LFS up to so much; 0 leaves the pointers", count)
    .addOption(
      new Option("--partial <when>", "fetch no earlier versions of files").choices(["auto", "always", "never"]),
    );

/** What of these options was given, as the API takes it. Pure. */
export function contentSettings(options: Record<string, unknown>): { content?: Partial<ContentPolicy> } {
  const content = given({
    ...(options.submodules as Submodules | undefined),
    ...{ lfsMegabytes: options.lfs, partial: options.partial },
  });
  return content ? { content } : {};
}

const given = (values: Record<string, unknown>): Record<string, unknown> | null => {
  const found = Object.entries(values).filter(([, value]) => value !== undefined);
  return found.length > 0 ? Object.fromEntries(found) : null;
};

/** What of these options was given, as the API takes it: what is not named stays. Pure. */
export function forgeSettings(options: Record<string, unknown>): {
  pullRequests?: Partial<PullRequestPolicy>;
  follow?: Partial<FollowPolicy>;
} {
  const pullRequests = given({
    ...{ draft: options.pullDraft, labels: options.pullLabel, codeowners: options.pullCodeowners },
    ...{ closesIssue: options.pullClosesIssue, outsideComments: options.pullOutsideComments },
  });
  const follow = given({
    ...{ triggers: options.followTrigger, label: options.followLabel, who: options.followWho },
    ...{ rounds: options.followRound, maxRounds: options.followMaxRounds, quietSeconds: options.followQuiet },
    ...{ deleteBranch: options.followDeleteBranch, onIssueClosed: options.followClosed },
  });
  return { ...(pullRequests ? { pullRequests } : {}), ...(follow ? { follow } : {}) };
}

const yes = (value: boolean) => (value ? "yes" : "no");
const list = (values: readonly string[]) =>
  values.length > 0 ? values.map((one) => visibleLine(one)).join(", ") : "none";

/** A project with its settings, one a line. */
export function projectFacts(project: Project, style: Style): string {
  const pulls = { ...defaultPullRequests, ...project.pullRequests };
  const follow = { ...defaultFollow, ...project.follow };
  const content = { ...defaultContent, ...project.content };
  const from = content.submodules === "hosts" ? list(content.submoduleHosts) : content.submodules.replace("_", " ");
  const lines: [string, string][] = [
    ["project", project.id],
    ["name", visibleLine(project.name)],
    ["repository", visibleLine(project.repository)],
    ["branch", visibleLine(project.defaultBranch ?? "as the repository says")],
    ["set-up", visibleLine(project.setup ?? "none")],
    ["verify", visibleLine(project.verify ?? "none")],
    ["fetched", `submodules: ${from}, Git LFS: ${content.lfsMegabytes} MB, partial: ${content.partial}`],
    ["approval", project.approval.mode],
    ["pull", `${pulls.draft ? "draft" : "ready"}, labels ${list(pulls.labels)}`],
    [
      "",
      `owners asked: ${yes(pulls.codeowners)}, closes its issue: ${yes(pulls.closesIssue)}, outsiders' comments told: ${yes(pulls.outsideComments)}`,
    ],
    [
      "follow",
      `begun by ${list(follow.triggers)} (label ${visibleLine(follow.label)}), by people with ${follow.who} or more`,
    ],
    ["", `rounds for ${list(follow.rounds)}, at most ${follow.maxRounds}, after ${follow.quietSeconds} s of quiet`],
    ["", `branch deleted at the end: ${yes(follow.deleteBranch)}, issue closed meanwhile: ${follow.onIssueClosed}`],
  ];
  return lines.map(([name, value]) => `${style.quiet(name.padEnd(11))}${value}`).join("\n");
}
