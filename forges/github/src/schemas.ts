import { z } from "zod";

/**
 * The fields of GitHub's answers that are used here, as its REST description (2022-11-28) has them. What is not named is
 * dropped; what is named and different is `forge_invalid`, never a guess.
 */
const login = z.string().max(200);
const url = z.string().max(2_000);
const time = z.string().max(40);
/** Absent for an account that was deleted. */
const Author = z.object({ login, type: z.string().max(40).optional() }).nullish();
const body = z
  .string()
  .nullish()
  .transform((text) => text ?? "");

export const Installation = z.object({
  id: z.number().int(),
  account: z.object({ login: login.optional(), slug: login.optional() }).nullable(),
  app_slug: z.string().max(200).optional(),
  permissions: z.record(z.string(), z.string()),
  suspended_at: time.nullish(),
  html_url: url.optional(),
});
export const User = z.object({ login });
export const Account = z.object({ id: z.number().int().positive(), login, name: z.string().max(500).nullish() });
export const Commit = z.object({ sha: z.string().max(64), commit: z.object({ message: z.string() }) });

/** Of a delivery's summary; the payload is not asked for. */
export const DeliverySummary = z.object({
  guid: z.string().max(100),
  delivered_at: time,
  status_code: z.number().int(),
  event: z.string().max(100),
  action: z.string().max(100).nullish(),
  installation_id: z.number().int().nullish(),
  repository_id: z.number().int().nullish(),
});

export const Repository = z.object({
  id: z.number().int(),
  full_name: z.string().max(300),
  clone_url: url,
  html_url: url,
  default_branch: z.string().max(300),
  private: z.boolean(),
  visibility: z.string().max(40).optional(),
  archived: z.boolean().default(false),
  has_issues: z.boolean().default(true),
  /** Kilobytes. */
  size: z.number().int().min(0).optional(),
  permissions: z.object({ push: z.boolean().default(false), admin: z.boolean().default(false) }).optional(),
});
export const InstallationRepositories = z.object({ repositories: z.array(Repository) });

export const Branch = z.object({
  name: z.string().max(300),
  commit: z.object({ sha: z.string().max(64) }),
  protected: z.boolean().default(false),
});
export const Rules = z.array(z.object({ type: z.string().max(100) }));

export const Issue = z.object({
  id: z.number().int(),
  number: z.number().int(),
  title: z.string().max(2_000),
  body,
  state: z.enum(["open", "closed"]),
  user: Author,
  author_association: z.string().max(100).default("NONE"),
  labels: z
    .array(z.union([z.string(), z.object({ name: z.string().nullish() })]))
    .transform((all) => all.map((label) => (typeof label === "string" ? label : (label.name ?? ""))).filter(Boolean)),
  assignees: z
    .array(z.object({ login }))
    .nullish()
    .transform((all) => (all ?? []).map((one) => one.login)),
  comments: z.number().int().default(0),
  html_url: url,
  created_at: time,
  updated_at: time,
  pull_request: z.object({}).nullish(),
});
export const SearchIssues = z.object({ items: z.array(Issue) });

export const Comment = z.object({
  id: z.number().int(),
  user: Author,
  body,
  author_association: z.string().max(100).default("NONE"),
  html_url: url,
  created_at: time,
  updated_at: time,
});
export const IssueEvent = z.object({
  id: z.number().int(),
  event: z.string().max(100),
  actor: User.nullish(),
  assignee: User.nullish(),
  assigner: User.nullish(),
  label: z.object({ name: z.string().max(300).nullish() }).nullish(),
  created_at: z.string().max(40),
});

export const ReviewComment = Comment.extend({
  path: z.string().max(4_096),
  line: z.number().int().nullish(),
  original_line: z.number().int().nullish(),
  side: z.string().max(10).nullish(),
  commit_id: z.string().max(64),
});
export const Review = z.object({
  id: z.number().int(),
  user: Author,
  body,
  state: z.string().max(40),
  author_association: z.string().max(100).default("NONE"),
  html_url: url,
  commit_id: z.string().max(64).nullish(),
  submitted_at: time.optional(),
});

export const Permission = z.object({ permission: z.string().max(100), role_name: z.string().max(200).optional() });

const Side = z.object({
  ref: z.string().max(300),
  sha: z.string().max(64),
  repo: z.object({ id: z.number().int() }).nullish(),
});
export const PullRequest = z.object({
  number: z.number().int(),
  html_url: url,
  state: z.enum(["open", "closed"]),
  draft: z.boolean().default(false),
  merged_at: time.nullish(),
  merged: z.boolean().optional(),
  mergeable: z.boolean().nullish(),
  mergeable_state: z.string().max(100).nullish(),
  merge_commit_sha: z.string().max(64).nullish(),
  head: Side,
  base: Side,
  title: z.string().max(2_000),
  body,
  user: Author,
  updated_at: time,
});

export const CheckRun = z.object({
  id: z.number().int(),
  name: z.string().max(1_000),
  status: z.string().max(40),
  conclusion: z.string().max(40).nullish(),
  external_id: z.string().max(1_000).nullish(),
  details_url: url.nullish(),
  html_url: url.nullish(),
  app: z.object({ id: z.number().int(), slug: z.string().max(200).optional() }).nullish(),
  output: z.object({ title: z.string().nullish(), summary: z.string().nullish() }).nullish(),
});
export const CheckRuns = z.object({ check_runs: z.array(CheckRun) });
export const CombinedStatus = z.object({
  statuses: z.array(
    z.object({
      id: z.number().int(),
      state: z.string().max(40),
      context: z.string().max(1_000),
      description: z.string().nullish(),
      target_url: url.nullish(),
    }),
  ),
});
export const Status = z.object({ id: z.number().int(), url: url.nullish() });

/** What a manifest becomes. `webhook_secret` is null where no webhook was asked for. */
export const AppConversion = z.object({
  id: z.number().int(),
  slug: z.string().max(200),
  name: z.string().max(200),
  html_url: url,
  pem: z.string().max(20_000),
  webhook_secret: z.string().max(1_000).nullish(),
});
