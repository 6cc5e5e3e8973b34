import type { Shape } from "./description.ts";
import type { Commit, FileChange } from "./git.ts";
import type {
  Account,
  App,
  CheckRun,
  CheckSuite,
  Comment,
  Installation,
  Issue,
  IssueEvent,
  Label,
  Principal,
  Repository,
  Review,
  ReviewComment,
  Status,
  Team,
  WorkflowRun,
} from "./model.ts";
import { accountOfEmail, associationOf, roleOfToken } from "./world/accounts.ts";
import { figuresOf } from "./world/figures.ts";
import { stateOfSuite } from "./world/verdicts.ts";
import type { World } from "./world/world.ts";

/** Where the stand-in is reached: `api` is `<web>/api/v3` in the Enterprise form and `<web>` in the root form. */
export type Bases = { web: string; api: string };

const node = (kind: string, id: number | string) => Buffer.from(`0:${kind}${id}`).toString("base64url");

/**
 * GitHub's JSON objects out of the stand-in's state: one full template for each kind, the same one wherever GitHub gives
 * a shorter form, for its descriptions allow more fields than they require.
 */
export class Presenter {
  readonly world: World;
  readonly web: string;
  readonly api: string;
  readonly principal: Principal;
  constructor(world: World, bases: Bases, principal: Principal = { kind: "anonymous" }) {
    this.world = world;
    this.web = bases.web;
    this.api = bases.api;
    this.principal = principal;
  }

  user(account: Account): Shape {
    const url = `${this.api}/users/${encodeURIComponent(account.login)}`;
    return {
      login: account.login,
      id: account.id,
      node_id: node(account.type, account.id),
      avatar_url: `${this.web}/avatars/u/${account.id}`,
      gravatar_id: "",
      url,
      html_url:
        account.type === "Bot" ? `${this.web}/apps/${account.login.slice(0, -5)}` : `${this.web}/${account.login}`,
      followers_url: `${url}/followers`,
      following_url: `${url}/following{/other_user}`,
      gists_url: `${url}/gists{/gist_id}`,
      starred_url: `${url}/starred{/owner}{/repo}`,
      subscriptions_url: `${url}/subscriptions`,
      organizations_url: `${url}/orgs`,
      repos_url: `${url}/repos`,
      events_url: `${url}/events{/privacy}`,
      received_events_url: `${url}/received_events`,
      type: account.type,
      user_view_type: "public",
      site_admin: false,
    };
  }

  /** The long form of an account, as `/user` and `/users/{name}` give it. */
  fullUser(account: Account): Shape {
    const repositories = [...this.world.repositories.values()].filter((repository) => repository.owner === account);
    return {
      ...this.user(account),
      name: account.name,
      company: null,
      blog: "",
      location: null,
      email: null,
      hireable: null,
      bio: null,
      twitter_username: null,
      notification_email: null,
      public_repos: repositories.filter((repository) => !repository.private).length,
      public_gists: 0,
      followers: 0,
      following: 0,
      created_at: account.createdAt,
      updated_at: account.createdAt,
    };
  }

  organization(account: Account): Shape {
    const url = `${this.api}/orgs/${account.login}`;
    return {
      login: account.login,
      id: account.id,
      node_id: node("Organization", account.id),
      url,
      repos_url: `${url}/repos`,
      events_url: `${url}/events`,
      hooks_url: `${url}/hooks`,
      issues_url: `${url}/issues`,
      members_url: `${url}/members{/member}`,
      public_members_url: `${url}/public_members{/member}`,
      avatar_url: `${this.web}/avatars/u/${account.id}`,
      description: null,
    };
  }

  team(team: Team): Shape {
    const url = `${this.api}/organizations/${team.organization.id}/team/${team.id}`;
    return {
      id: team.id,
      node_id: node("Team", team.id),
      url,
      members_url: `${url}/members{/member}`,
      name: team.name,
      description: null,
      permission: "push",
      privacy: "closed",
      notification_setting: "notifications_enabled",
      html_url: `${this.web}/orgs/${team.organization.login}/teams/${team.slug}`,
      repositories_url: `${url}/repos`,
      slug: team.slug,
      parent: null,
      type: "organization",
      organization_id: team.organization.id,
    };
  }

  repository(repository: Repository, full = false): Shape {
    const name = `${repository.owner.login}/${repository.name}`;
    const url = `${this.api}/repos/${name}`;
    const html = `${this.web}/${name}`;
    const open = [...repository.issues.values()].filter((issue) => issue.state === "open").length;
    const forks = [...this.world.repositories.values()].filter((other) => other.parent === repository).length;
    const role = this.principal.kind === "token" ? roleOfToken(this.principal.token, repository) : "read";
    const host = new URL(this.web).host;
    return {
      id: repository.id,
      node_id: node("Repository", repository.id),
      name: repository.name,
      full_name: name,
      private: repository.private,
      owner: this.user(repository.owner),
      html_url: html,
      description: repository.description,
      fork: repository.parent !== undefined,
      url,
      forks_url: `${url}/forks`,
      keys_url: `${url}/keys{/key_id}`,
      collaborators_url: `${url}/collaborators{/collaborator}`,
      teams_url: `${url}/teams`,
      hooks_url: `${url}/hooks`,
      issue_events_url: `${url}/issues/events{/number}`,
      events_url: `${url}/events`,
      assignees_url: `${url}/assignees{/user}`,
      branches_url: `${url}/branches{/branch}`,
      tags_url: `${url}/tags`,
      blobs_url: `${url}/git/blobs{/sha}`,
      git_tags_url: `${url}/git/tags{/sha}`,
      git_refs_url: `${url}/git/refs{/sha}`,
      trees_url: `${url}/git/trees{/sha}`,
      statuses_url: `${url}/statuses/{sha}`,
      languages_url: `${url}/languages`,
      stargazers_url: `${url}/stargazers`,
      contributors_url: `${url}/contributors`,
      subscribers_url: `${url}/subscribers`,
      subscription_url: `${url}/subscription`,
      commits_url: `${url}/commits{/sha}`,
      git_commits_url: `${url}/git/commits{/sha}`,
      comments_url: `${url}/comments{/number}`,
      issue_comment_url: `${url}/issues/comments{/number}`,
      contents_url: `${url}/contents/{+path}`,
      compare_url: `${url}/compare/{base}...{head}`,
      merges_url: `${url}/merges`,
      archive_url: `${url}/{archive_format}{/ref}`,
      downloads_url: `${url}/downloads`,
      issues_url: `${url}/issues{/number}`,
      pulls_url: `${url}/pulls{/number}`,
      milestones_url: `${url}/milestones{/number}`,
      notifications_url: `${url}/notifications{?since,all,participating}`,
      labels_url: `${url}/labels{/name}`,
      releases_url: `${url}/releases{/id}`,
      deployments_url: `${url}/deployments`,
      created_at: repository.createdAt,
      updated_at: repository.updatedAt,
      pushed_at: repository.pushedAt,
      git_url: `git://${host}/${name}.git`,
      ssh_url: `git@${host}:${name}.git`,
      clone_url: `${html}.git`,
      svn_url: html,
      homepage: null,
      size: 1,
      stargazers_count: 0,
      watchers_count: 0,
      language: null,
      has_issues: true,
      has_projects: true,
      has_downloads: true,
      has_wiki: true,
      has_pages: false,
      has_discussions: false,
      forks_count: forks,
      mirror_url: null,
      archived: repository.archived,
      disabled: false,
      open_issues_count: open,
      license: null,
      allow_forking: true,
      is_template: false,
      web_commit_signoff_required: false,
      topics: [],
      visibility: repository.private ? "private" : "public",
      forks,
      open_issues: open,
      watchers: 0,
      default_branch: repository.defaultBranch,
      permissions: permissionsOf(role),
      ...(full
        ? {
            role_name: role,
            temp_clone_token: "",
            allow_squash_merge: repository.allowMerge.squash,
            allow_merge_commit: repository.allowMerge.merge,
            allow_rebase_merge: repository.allowMerge.rebase,
            allow_auto_merge: false,
            delete_branch_on_merge: repository.deleteBranchOnMerge,
            allow_update_branch: true,
            subscribers_count: 0,
            network_count: forks,
            ...(repository.owner.type === "Organization" ? { organization: this.user(repository.owner) } : {}),
            ...(repository.parent
              ? { parent: this.repository(repository.parent), source: this.repository(repository.parent) }
              : {}),
          }
        : {}),
    };
  }

  label(repository: Repository, label: Label): Shape {
    return {
      id: label.id,
      node_id: node("Label", label.id),
      url: `${this.#url(repository)}/labels/${encodeURIComponent(label.name)}`,
      name: label.name,
      color: label.color,
      default: label.default,
      // The short form of a pull request has text here, and nothing asks for null.
      description: label.description ?? "",
    };
  }

  #url(repository: Repository): string {
    return `${this.api}/repos/${repository.owner.login}/${repository.name}`;
  }
  #html(repository: Repository): string {
    return `${this.web}/${repository.owner.login}/${repository.name}`;
  }

  async issue(repository: Repository, issue: Issue): Promise<Shape> {
    const url = `${this.#url(repository)}/issues/${issue.number}`;
    const html = `${this.#html(repository)}/${issue.pull ? "pull" : "issues"}/${issue.number}`;
    const app = issue.appId === undefined ? undefined : this.world.apps.get(issue.appId);
    return {
      url,
      repository_url: this.#url(repository),
      labels_url: `${url}/labels{/name}`,
      comments_url: `${url}/comments`,
      events_url: `${url}/events`,
      html_url: html,
      id: issue.id,
      node_id: node(issue.pull ? "PullRequest" : "Issue", issue.id),
      number: issue.number,
      title: issue.title,
      user: this.user(issue.user),
      labels: issue.labels.map((label) => this.label(repository, label)),
      state: issue.state,
      locked: issue.locked,
      active_lock_reason: null,
      assignee: issue.assignees[0] ? this.user(issue.assignees[0]) : null,
      assignees: issue.assignees.map((user) => this.user(user)),
      milestone: null,
      comments: issue.comments.length,
      created_at: issue.createdAt,
      updated_at: issue.updatedAt,
      closed_at: issue.closedAt ?? null,
      closed_by: issue.closedBy ? this.user(issue.closedBy) : null,
      author_association: await associationOf(this.world, repository, issue.user),
      state_reason: issue.stateReason,
      body: issue.body,
      reactions: reactions(url),
      timeline_url: `${url}/timeline`,
      performed_via_github_app: app ? this.app(app) : null,
      ...(issue.pull
        ? {
            draft: issue.pull.draft,
            pull_request: {
              url: `${this.#url(repository)}/pulls/${issue.number}`,
              html_url: html,
              diff_url: `${html}.diff`,
              patch_url: `${html}.patch`,
              merged_at: issue.pull.mergedAt ?? null,
            },
          }
        : {}),
    };
  }

  async comment(repository: Repository, issue: Issue, comment: Comment): Promise<Shape> {
    const url = `${this.#url(repository)}/issues/comments/${comment.id}`;
    const app = comment.appId === undefined ? undefined : this.world.apps.get(comment.appId);
    return {
      url,
      html_url: `${this.#html(repository)}/${issue.pull ? "pull" : "issues"}/${issue.number}#issuecomment-${comment.id}`,
      issue_url: `${this.#url(repository)}/issues/${issue.number}`,
      id: comment.id,
      node_id: node("IssueComment", comment.id),
      user: this.user(comment.user),
      created_at: comment.createdAt,
      updated_at: comment.updatedAt,
      author_association: await associationOf(this.world, repository, comment.user),
      body: comment.body,
      reactions: reactions(url),
      performed_via_github_app: app ? this.app(app) : null,
    };
  }

  issueEvent(repository: Repository, event: IssueEvent): Shape {
    const { label, assignee } = event.about ?? {};
    const { name, color } = (label ?? {}) as { name?: string; color?: string };
    return {
      ...(label ? { label: { name, color } } : {}),
      ...(assignee ? { assignee, assigner: this.user(event.actor) } : {}),
      id: event.id,
      node_id: node("IssueEvent", event.id),
      url: `${this.#url(repository)}/issues/events/${event.id}`,
      actor: this.user(event.actor),
      event: event.event,
      commit_id: event.commitId ?? null,
      commit_url: event.commitId ? `${this.#url(repository)}/commits/${event.commitId}` : null,
      created_at: event.createdAt,
      performed_via_github_app: null,
    };
  }

  /** A pull request; `full` adds what GitHub works out only for a single one (mergeable, counts). */
  async pull(repository: Repository, issue: Issue, full = true): Promise<Shape> {
    const pull = issue.pull!;
    const url = `${this.#url(repository)}/pulls/${issue.number}`;
    const issueUrl = `${this.#url(repository)}/issues/${issue.number}`;
    const html = `${this.#html(repository)}/pull/${issue.number}`;
    const statuses = `${this.#url(repository)}/statuses/${pull.headSha}`;
    const common = await this.issue(repository, issue);
    const side = (owner: Account, at: Repository | undefined, ref: string, sha: string) => ({
      label: `${owner.login}:${ref}`,
      ref,
      sha,
      user: this.user(owner),
      repo: at ? this.repository(at) : null,
    });
    const simple: Shape = {
      url,
      id: pull.id,
      node_id: node("PullRequest", issue.id),
      html_url: html,
      diff_url: `${html}.diff`,
      patch_url: `${html}.patch`,
      issue_url: issueUrl,
      number: issue.number,
      state: issue.state,
      locked: issue.locked,
      title: issue.title,
      user: common.user,
      body: issue.body,
      created_at: issue.createdAt,
      updated_at: issue.updatedAt,
      closed_at: issue.closedAt ?? null,
      merged_at: pull.mergedAt ?? null,
      merge_commit_sha: pull.mergeCommitSha ?? null,
      assignee: common.assignee,
      assignees: common.assignees,
      requested_reviewers: pull.requestedReviewers.map((user) => this.user(user)),
      requested_teams: pull.requestedTeams.map((team) => this.team(team)),
      labels: common.labels,
      milestone: null,
      draft: pull.draft,
      commits_url: `${url}/commits`,
      review_comments_url: `${url}/comments`,
      review_comment_url: `${this.#url(repository)}/pulls/comments{/number}`,
      comments_url: `${issueUrl}/comments`,
      statuses_url: statuses,
      head: side(pull.headOwner, pull.headRepository, pull.headRef, pull.headSha),
      base: side(repository.owner, repository, pull.baseRef, pull.baseSha),
      _links: {
        self: { href: url },
        html: { href: html },
        issue: { href: issueUrl },
        comments: { href: `${issueUrl}/comments` },
        review_comments: { href: `${url}/comments` },
        review_comment: { href: `${this.#url(repository)}/pulls/comments{/number}` },
        commits: { href: `${url}/commits` },
        statuses: { href: statuses },
      },
      author_association: common.author_association,
      auto_merge: null,
      active_lock_reason: null,
    };
    if (!full) return simple;
    const figures = await figuresOf(this.world, repository, issue, this.principal.kind === "token");
    return {
      ...simple,
      merged: pull.mergedAt !== undefined,
      mergeable: figures.mergeable,
      rebaseable: figures.mergeable,
      mergeable_state: figures.mergeableState,
      merged_by: pull.mergedBy ? this.user(pull.mergedBy) : null,
      comments: issue.comments.length,
      review_comments: pull.reviewComments.filter((comment) => this.visible(pull.reviews, comment)).length,
      maintainer_can_modify: pull.maintainerCanModify,
      commits: figures.commits,
      additions: figures.additions,
      deletions: figures.deletions,
      changed_files: figures.files,
    };
  }

  /** A pending review's comments are its author's alone. */
  visible(reviews: readonly Review[], comment: ReviewComment): boolean {
    return reviews.find((review) => review.id === comment.reviewId)?.state !== "PENDING";
  }

  async review(repository: Repository, issue: Issue, review: Review): Promise<Shape> {
    const html = `${this.#html(repository)}/pull/${issue.number}#pullrequestreview-${review.id}`;
    const url = `${this.#url(repository)}/pulls/${issue.number}`;
    return {
      id: review.id,
      node_id: node("PullRequestReview", review.id),
      user: this.user(review.user),
      body: review.body,
      state: review.state,
      html_url: html,
      pull_request_url: url,
      _links: { html: { href: html }, pull_request: { href: url } },
      ...(review.submittedAt ? { submitted_at: review.submittedAt } : {}),
      commit_id: review.commitId,
      author_association: await associationOf(this.world, repository, review.user),
    };
  }

  async reviewComment(repository: Repository, issue: Issue, comment: ReviewComment): Promise<Shape> {
    const url = `${this.#url(repository)}/pulls/comments/${comment.id}`;
    const html = `${this.#html(repository)}/pull/${issue.number}#discussion_r${comment.id}`;
    const pull = `${this.#url(repository)}/pulls/${issue.number}`;
    return {
      url,
      pull_request_review_id: comment.reviewId,
      id: comment.id,
      node_id: node("PullRequestReviewComment", comment.id),
      diff_hunk: comment.diffHunk,
      path: comment.path,
      commit_id: comment.commitId,
      original_commit_id: comment.originalCommitId,
      user: this.user(comment.user),
      body: comment.body,
      created_at: comment.createdAt,
      updated_at: comment.updatedAt,
      html_url: html,
      pull_request_url: pull,
      author_association: await associationOf(this.world, repository, comment.user),
      _links: { self: { href: url }, html: { href: html }, pull_request: { href: pull } },
      reactions: reactions(url),
      start_line: comment.startLine ?? null,
      original_start_line: comment.originalStartLine ?? null,
      start_side: comment.startSide ?? null,
      line: comment.line ?? null,
      original_line: comment.originalLine ?? 1,
      side: comment.side,
      position: comment.line ?? null,
      original_position: comment.originalLine ?? 1,
      subject_type: comment.originalLine === undefined ? "file" : "line",
      ...(comment.inReplyTo === undefined ? {} : { in_reply_to_id: comment.inReplyTo }),
    };
  }

  app(app: App): Shape {
    return {
      id: app.id,
      slug: app.slug,
      node_id: node("App", app.id),
      client_id: app.clientId,
      owner: this.user(app.owner),
      name: app.name,
      description: app.description,
      external_url: app.externalUrl,
      html_url: `${this.web}/apps/${app.slug}`,
      created_at: app.createdAt,
      updated_at: app.updatedAt,
      permissions: app.permissions,
      events: app.events,
    };
  }

  installation(installation: Installation): Shape {
    const url = `${this.api}/app/installations/${installation.id}`;
    const account = installation.account;
    return {
      id: installation.id,
      client_id: installation.app.clientId,
      account: this.user(account),
      repository_selection: installation.repositories === "all" ? "all" : "selected",
      access_tokens_url: `${url}/access_tokens`,
      repositories_url: `${this.api}/installation/repositories`,
      html_url:
        account.type === "Organization"
          ? `${this.web}/organizations/${account.login}/settings/installations/${installation.id}`
          : `${this.web}/settings/installations/${installation.id}`,
      app_id: installation.app.id,
      app_slug: installation.app.slug,
      target_id: account.id,
      target_type: account.type,
      permissions: installation.permissions,
      events: installation.events,
      created_at: installation.createdAt,
      updated_at: installation.updatedAt,
      single_file_name: null,
      has_multiple_single_files: false,
      single_file_paths: [],
      suspended_by: installation.suspendedBy ? this.user(installation.suspendedBy) : null,
      suspended_at: installation.suspendedAt ?? null,
    };
  }

  pullMinimal(repository: Repository, issue: Issue): Shape {
    const pull = issue.pull!;
    const short = (at: Repository | undefined) => ({
      id: at?.id ?? 0,
      url: at ? this.#url(at) : `${this.api}/repos/gone/gone`,
      name: at?.name ?? "gone",
    });
    return {
      id: pull.id,
      number: issue.number,
      url: `${this.#url(repository)}/pulls/${issue.number}`,
      head: { ref: pull.headRef, sha: pull.headSha, repo: short(pull.headRepository) },
      base: { ref: pull.baseRef, sha: pull.baseSha, repo: short(repository) },
    };
  }

  #pullsOf(repository: Repository, sha: string): Shape[] {
    return [...repository.issues.values()]
      .filter((issue) => issue.state === "open" && issue.pull?.headSha === sha)
      .filter((issue) => issue.pull?.headRepository === repository)
      .map((issue) => this.pullMinimal(repository, issue));
  }

  checkRun(repository: Repository, run: CheckRun): Shape {
    const url = `${this.#url(repository)}/check-runs/${run.id}`;
    const html = run.job
      ? `${this.#html(repository)}/actions/runs/${run.job.runId}/job/${run.id}`
      : `${this.#html(repository)}/runs/${run.id}`;
    const suite = repository.checkSuites.find((candidate) => candidate.id === run.suiteId);
    return {
      id: run.id,
      name: run.name,
      node_id: node("CheckRun", run.id),
      head_sha: run.headSha,
      external_id: run.externalId ?? "",
      url,
      html_url: html,
      details_url: run.detailsUrl ?? html,
      status: run.status,
      conclusion: run.conclusion,
      started_at: run.startedAt,
      completed_at: run.completedAt,
      output: { ...run.output, annotations_count: run.annotations.length, annotations_url: `${url}/annotations` },
      check_suite: suite ? { id: suite.id } : null,
      app: this.app(run.app),
      pull_requests: this.#pullsOf(repository, run.headSha),
    };
  }

  async checkSuite(repository: Repository, suite: CheckSuite): Promise<Shape> {
    const url = `${this.#url(repository)}/check-suites/${suite.id}`;
    const runs = repository.checkRuns.filter((run) => run.suiteId === suite.id);
    const { status, conclusion } = stateOfSuite(repository, suite);
    const commit = await repository.git.commit(suite.headSha);
    return {
      id: suite.id,
      node_id: node("CheckSuite", suite.id),
      head_branch: suite.headBranch,
      head_sha: suite.headSha,
      status,
      conclusion,
      url,
      before: suite.before,
      after: suite.headSha,
      pull_requests: this.#pullsOf(repository, suite.headSha),
      app: this.app(suite.app),
      repository: this.repository(repository),
      created_at: suite.createdAt,
      updated_at: suite.updatedAt,
      head_commit: simpleCommit(commit),
      latest_check_runs_count: runs.length,
      check_runs_url: `${url}/check-runs`,
      rerequestable: true,
      runs_rerequestable: true,
    };
  }

  workflowRun(repository: Repository, run: WorkflowRun): Shape {
    const url = `${this.#url(repository)}/actions/runs/${run.id}`;
    const suite = repository.checkSuites.find((candidate) => candidate.id === run.suiteId)!;
    const { status, conclusion } = stateOfSuite(repository, suite);
    return {
      id: run.id,
      name: run.name,
      node_id: node("WorkflowRun", run.id),
      check_suite_id: run.suiteId,
      check_suite_node_id: node("CheckSuite", run.suiteId),
      head_branch: run.headBranch,
      head_sha: run.headSha,
      path: ".github/workflows/ci.yml",
      display_title: run.name,
      run_number: run.runNumber,
      run_attempt: run.attempt,
      event: run.event,
      status,
      conclusion,
      workflow_id: 1,
      url,
      html_url: `${this.#html(repository)}/actions/runs/${run.id}`,
      pull_requests: this.#pullsOf(repository, run.headSha),
      created_at: run.createdAt,
      updated_at: run.updatedAt,
      actor: this.user(run.actor),
      triggering_actor: this.user(run.actor),
      run_started_at: run.createdAt,
      jobs_url: `${url}/jobs`,
      logs_url: `${url}/logs`,
      check_suite_url: `${this.#url(repository)}/check-suites/${run.suiteId}`,
      artifacts_url: `${url}/artifacts`,
      cancel_url: `${url}/cancel`,
      rerun_url: `${url}/rerun`,
      previous_attempt_url: null,
      workflow_url: `${this.#url(repository)}/actions/workflows/1`,
      head_commit: null,
      repository: this.repository(repository),
      head_repository: this.repository(repository),
    };
  }

  job(repository: Repository, run: CheckRun): Shape {
    const workflow = repository.workflowRuns.find((candidate) => candidate.id === run.job?.runId);
    return {
      id: run.id,
      run_id: run.job!.runId,
      run_url: `${this.#url(repository)}/actions/runs/${run.job!.runId}`,
      run_attempt: workflow?.attempt ?? 1,
      node_id: node("CheckRun", run.id),
      head_sha: run.headSha,
      url: `${this.#url(repository)}/actions/jobs/${run.id}`,
      html_url: `${this.#html(repository)}/actions/runs/${run.job!.runId}/job/${run.id}`,
      status: run.status,
      conclusion: run.conclusion,
      created_at: run.job!.createdAt,
      started_at: run.startedAt ?? run.job!.createdAt,
      completed_at: run.completedAt,
      name: run.name,
      steps: [],
      check_run_url: `${this.#url(repository)}/check-runs/${run.id}`,
      labels: ["ubuntu-latest"],
      runner_id: 1,
      runner_name: "runner",
      runner_group_id: 1,
      runner_group_name: "Default",
      workflow_name: workflow?.name ?? null,
      head_branch: workflow?.headBranch ?? null,
    };
  }

  status(repository: Repository, status: Status): Shape {
    return {
      url: `${this.#url(repository)}/statuses/${status.sha}`,
      avatar_url: `${this.web}/avatars/u/${status.creator.id}`,
      id: status.id,
      node_id: node("StatusContext", status.id),
      state: status.state,
      description: status.description,
      target_url: status.targetUrl,
      context: status.context,
      created_at: status.createdAt,
      updated_at: status.createdAt,
      creator: this.user(status.creator),
    };
  }

  /** A commit as the repository's own history gives it; people are known by their addresses. */
  commit(repository: Repository, commit: Commit): Shape {
    const url = `${this.#url(repository)}/commits/${commit.sha}`;
    const person = (email: string) => {
      const account = accountOfEmail(this.world, email);
      return account ? this.user(account) : null;
    };
    return {
      sha: commit.sha,
      node_id: node("Commit", commit.sha),
      commit: {
        author: commit.author,
        committer: commit.committer,
        message: commit.message,
        tree: { sha: commit.tree, url: `${this.#url(repository)}/git/trees/${commit.tree}` },
        url: `${this.#url(repository)}/git/commits/${commit.sha}`,
        comment_count: 0,
        verification: unverified,
      },
      url,
      html_url: `${this.#html(repository)}/commit/${commit.sha}`,
      comments_url: `${url}/comments`,
      author: person(commit.author.email),
      committer: person(commit.committer.email),
      parents: commit.parents.map((sha) => ({
        sha,
        url: `${this.#url(repository)}/commits/${sha}`,
        html_url: `${this.#html(repository)}/commit/${sha}`,
      })),
    };
  }

  gitCommit(repository: Repository, commit: Commit): Shape {
    const url = `${this.#url(repository)}/git/commits/${commit.sha}`;
    return {
      sha: commit.sha,
      node_id: node("Commit", commit.sha),
      url,
      html_url: `${this.#html(repository)}/commit/${commit.sha}`,
      author: commit.author,
      committer: commit.committer,
      tree: { sha: commit.tree, url: `${this.#url(repository)}/git/trees/${commit.tree}` },
      message: commit.message,
      parents: commit.parents.map((sha) => ({
        sha,
        url: `${this.#url(repository)}/git/commits/${sha}`,
        html_url: `${this.#html(repository)}/commit/${sha}`,
      })),
      verification: unverified,
    };
  }

  gitRef(repository: Repository, ref: string, sha: string): Shape {
    return {
      ref,
      node_id: node("Ref", `${repository.id}:${ref}`),
      url: `${this.#url(repository)}/git/${ref}`,
      object: { sha, type: "commit", url: `${this.#url(repository)}/git/commits/${sha}` },
    };
  }

  file(repository: Repository, change: FileChange, sha: string): Shape {
    const path = change.filename.split("/").map(encodeURIComponent).join("/");
    return {
      sha: change.sha,
      filename: change.filename,
      status: change.status,
      additions: change.additions,
      deletions: change.deletions,
      changes: change.additions + change.deletions,
      blob_url: `${this.#html(repository)}/blob/${sha}/${path}`,
      raw_url: `${this.#html(repository)}/raw/${sha}/${path}`,
      contents_url: `${this.#url(repository)}/contents/${path}?ref=${sha}`,
      ...(change.patch === undefined ? {} : { patch: change.patch }),
      ...(change.previous === undefined ? {} : { previous_filename: change.previous }),
    };
  }
}

const unverified = { verified: false, reason: "unsigned", signature: null, payload: null, verified_at: null };

/** A commit as events and check suites carry it. */
export function simpleCommit(commit: Commit): Shape {
  return {
    id: commit.sha,
    tree_id: commit.tree,
    message: commit.message,
    timestamp: commit.committer.date,
    author: { name: commit.author.name, email: commit.author.email },
    committer: { name: commit.committer.name, email: commit.committer.email },
  };
}

/** A role as the five flags of a repository object. */
export function permissionsOf(role: string): Record<string, boolean> {
  const order = ["none", "read", "triage", "write", "maintain", "admin"];
  const at = order.indexOf(role);
  return { admin: at >= 5, maintain: at >= 4, push: at >= 3, triage: at >= 2, pull: at >= 1 };
}

function reactions(url: string): Shape {
  const counts = { total_count: 0, "+1": 0, "-1": 0, laugh: 0, hooray: 0, confused: 0, heart: 0, rocket: 0, eyes: 0 };
  return { url: `${url}/reactions`, ...counts };
}
