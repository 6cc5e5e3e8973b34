import { accept, type Outcome, refuse } from "@x1agent/contract";
import type {
  CheckRequest,
  Forge,
  ForgeCheck,
  ForgeCommit,
  ForgeDelivery,
  ForgeIssue,
  ForgeIssueEvent,
  ForgePermission,
  ForgePullRequest,
  ForgeRepository,
  ForgeReviewItem,
  ForgeText,
} from "@x1agent/forges";

/** A forge in memory, at the port: what the watch asks for and what it says. The real adapter has its own tests. */
export class MemoryForge {
  repository: ForgeRepository = {
    ...{
      id: "7",
      fullName: "acme/shop",
      cloneUrl: "https://forge.example/acme/shop.git",
      webUrl: "https://forge.example",
    },
    ...{ defaultBranch: "main", visibility: "private", archived: false, mayPush: true, hasIssues: true },
  };
  issues = new Map<number, ForgeIssue>();
  comments = new Map<number, ForgeText[]>();
  events = new Map<number, ForgeIssueEvent[]>();
  pulls = new Map<number, ForgePullRequest>();
  reviews = new Map<number, ForgeReviewItem[]>();
  checks = new Map<string, ForgeCheck[]>();
  permissions = new Map<string, ForgePermission>();
  /** What we made there, by key. */
  said = new Map<string, { number: number; body: string }>();
  put = new Map<string, CheckRequest>();
  puts: string[] = [];
  deleted: string[] = [];
  /** What it could not hand over. */
  missed: ForgeDelivery[] = [];
  /** Commits of every branch, newest first. */
  commits: ForgeCommit[] = [];
  calls = 0;
  /** Answers every question with this instead. */
  away: Outcome<never> | null = null;
  /** Called before each answer. */
  before: (name: string) => Promise<void> | void = () => undefined;
  #now = Date.now();

  /** The next moment, so that nothing happens at the same time. */
  at(): string {
    this.#now = Math.max(this.#now + 1, Date.now());
    return new Date(this.#now).toISOString();
  }
  text(author: string, body: string): ForgeText {
    const at = this.at();
    return {
      ...{ id: String(this.#now), author, authorIsBot: author.endsWith("[bot]"), association: "NONE", body },
      ...{ createdAt: at, updatedAt: at, url: `https://forge.example/${this.#now}` },
    };
  }
  issue(number: number, change: Partial<ForgeIssue> = {}): ForgeIssue {
    const issue = { ...this.text("ann", "It adds wrongly."), number, title: "Add", state: "open" as const, labels: [] };
    const made: ForgeIssue = { ...issue, assignees: [], comments: 0, ...change };
    this.issues.set(number, made);
    return made;
  }
  comment(number: number, author: string, body: string): void {
    this.comments.set(number, [...(this.comments.get(number) ?? []), this.text(author, body)]);
    const issue = this.issues.get(number);
    if (issue) issue.updatedAt = this.at();
  }
  label(number: number, actor: string, name: string): void {
    const issue = this.issues.get(number);
    if (!issue) return;
    issue.labels.push(name);
    issue.updatedAt = this.at();
    const event = { id: `e${this.#now}`, kind: "labeled" as const, actor, subject: name, at: issue.updatedAt };
    this.events.set(number, [...(this.events.get(number) ?? []), event]);
  }
  pull(number: number, head: string, change: Partial<ForgePullRequest> = {}): ForgePullRequest {
    const made: ForgePullRequest = {
      ...{ number, url: `https://forge.example/pull/${number}`, state: "open", draft: false, mergeable: true },
      head: { branch: "x1/a", commit: head, repositoryId: this.repository.id },
      base: { branch: "main", commit: "b".repeat(40) },
      ...{ mergeCommit: null, title: "Add", author: "x1agent[bot]", updatedAt: this.at(), notes: [] },
      ...change,
    };
    this.pulls.set(number, made);
    return made;
  }
  review(number: number, author: string, body: string, change: Partial<ForgeReviewItem> = {}): void {
    const item: ForgeReviewItem = {
      ...this.text(author, body),
      ...{ kind: "line", path: "add.mjs", line: 1, side: "new", commit: null },
      ...change,
    };
    this.reviews.set(number, [...(this.reviews.get(number) ?? []), item]);
  }

  /** The port. */
  get forge(): Forge {
    const ask =
      <Args extends unknown[], T>(name: string, work: (...args: Args) => Outcome<T>) =>
      async (...args: Args): Promise<Outcome<T>> => {
        this.calls += 1;
        await this.before(name);
        return this.away ?? work(...args);
      };
    const found = <T>(value: T | undefined): Outcome<T> =>
      value === undefined ? refuse("forge_not_found") : accept(value);
    const unused = async () => refuse("forge_invalid", "The test has no use for it.");
    return {
      limits: () => null,
      identify: unused,
      listRepositories: unused,
      getBranch: unused,
      gitCredential: unused,
      apiCredential: unused,
      apiUrl: "https://forge.example/api",
      openPullRequest: unused,
      findPullRequests: ask("findPullRequests", () => accept([])),
      getRepository: ask("getRepository", () => accept(this.repository)),
      listIssues: ask("listIssues", (_at, { updatedSince = "" }) =>
        accept({ items: [...this.issues.values()].filter(({ updatedAt }) => updatedAt >= updatedSince), cursor: null }),
      ),
      getIssue: ask("getIssue", (_at, number) => {
        const issue = this.issues.get(number);
        return issue
          ? accept({ issue, comments: this.comments.get(number) ?? [], truncated: false })
          : refuse("forge_not_found");
      }),
      listIssueEvents: ask("listIssueEvents", (_at: ForgeRepository, number: number) =>
        accept(this.events.get(number) ?? []),
      ),
      getPermission: ask("getPermission", (_at, login) => accept(this.permissions.get(login) ?? "none")),
      getPullRequest: ask("getPullRequest", (_at, number) => found(this.pulls.get(number))),
      listReviewItems: ask("listReviewItems", (_at, number) => accept(this.reviews.get(number) ?? [])),
      listChecks: ask("listChecks", (_at, commit) => accept(this.checks.get(commit) ?? [])),
      putCheck: ask("putCheck", (_at, request) => {
        this.put.set(request.key, request);
        this.puts.push(`${request.commit.slice(0, 4)} ${request.state} ${request.title}`);
        return accept({ id: request.key, url: null });
      }),
      putComment: ask("putComment", (_at, number, { key, body }) => {
        this.said.set(key, { number, body });
        return accept({ url: "https://forge.example/said" });
      }),
      listMissedDeliveries: ask("listMissedDeliveries", () => accept([...this.missed])),
      listCommits: ask("listCommits", () => accept(this.commits)),
      deleteBranch: ask("deleteBranch", (_at: ForgeRepository, branch: string) => {
        this.deleted.push(branch);
        return accept(true);
      }),
    };
  }
}
