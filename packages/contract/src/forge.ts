import { z } from "zod";
import { TrustLabel } from "./job.ts";
import { JobCreate } from "./resources.ts";

const id = z.string().min(1).max(100);
const time = z.iso.datetime();
const FullName = z
  .string()
  .max(300)
  .regex(/^[\w.-]+\/[\w.-]+$/, "A repository is named owner/name.");

/** What is left of a forge's rate limit, as of the last answer. `retryAt` is set while a secondary limit holds. */
export const ForgeLimits = z.object({
  limit: z.number(),
  remaining: z.number(),
  resetAt: time,
  retryAt: time.nullable(),
});
export type ForgeLimits = z.infer<typeof ForgeLimits>;

/** A way into a forge: an installation of an app, or one person's token. */
export const ForgeConnection = z.object({
  id,
  forge: z.string(),
  /** Web address of the forge. */
  baseUrl: z.string(),
  kind: z.enum(["app", "token"]),
  appId: id.nullable(),
  /** Whose repositories it reaches. */
  account: z.string(),
  /** Whose name stands on what it makes. */
  actsAs: z.string(),
  permissions: z.record(z.string(), z.string()),
  /** What the product needs and it lacks, one sentence each. */
  missing: z.array(z.string()),
  state: z.enum(["active", "suspended", "removed", "unauthorized"]),
  detail: z.string().nullable(),
  limits: ForgeLimits.nullable(),
  createdAt: time,
  checkedAt: time.nullable(),
});
export type ForgeConnection = z.infer<typeof ForgeConnection>;

/** An app that this installation registered at a forge. */
export const ForgeApp = z.object({
  id,
  forge: z.string(),
  baseUrl: z.string(),
  slug: z.string(),
  name: z.string(),
  webUrl: z.string(),
  /** Where its owner installs it and chooses repositories. */
  installUrl: z.string(),
  createdAt: time,
});
export type ForgeApp = z.infer<typeof ForgeApp>;

export const ConnectionCreate = z.object({
  forge: z.enum(["github"]).default("github"),
  /** Absent: the forge's own, e.g. `https://github.com`. */
  baseUrl: z.string().max(2_000).optional(),
  token: z
    .string()
    .min(1)
    .max(1_000)
    .regex(/^[\x21-\x7e]+$/, "A token is one line without spaces."),
});
export const ForgeAppStart = z.object({
  forge: z.enum(["github"]).default("github"),
  baseUrl: z.string().max(2_000).optional(),
  /** Login of the organization that will own the app; absent: the person who is signed in there. */
  organization: z
    .string()
    .max(100)
    .regex(/^[\w.-]+$/)
    .optional(),
  name: z.string().min(1).max(34).optional(),
  /** Address of this service as people's browsers reach it; absent: the one it listens on. */
  url: z.url().max(2_000).optional(),
  /** Whether the forge reaches that address too: then it sends webhooks there. */
  webhooks: z.boolean().default(false),
});

export const ForgeRepository = z.object({
  /** The forge's lasting id. */
  id,
  connectionId: id,
  fullName: z.string(),
  webUrl: z.string(),
  cloneUrl: z.string(),
  defaultBranch: z.string(),
  visibility: z.enum(["public", "private", "internal"]),
  archived: z.boolean(),
  mayPush: z.boolean(),
  hasIssues: z.boolean(),
});
export type ForgeRepository = z.infer<typeof ForgeRepository>;

export const ForgeIssue = z.object({
  number: z.number().int(),
  title: z.string(),
  author: z.string(),
  /** What the forge says of the author: a hint, never a decision. */
  association: z.string(),
  state: z.enum(["open", "closed"]),
  labels: z.array(z.string()),
  assignees: z.array(z.string()),
  comments: z.number().int(),
  url: z.string(),
  createdAt: z.string(),
  updatedAt: z.string(),
});
export type ForgeIssue = z.infer<typeof ForgeIssue>;

/** Somebody's words as the agent would get them, with what was taken out of them. */
export const ForgeWords = z.object({
  id: z.string(),
  author: z.string(),
  /** What the author may do in the repository now. */
  permission: z.string(),
  trusted: z.boolean(),
  /** False for words that the agent does not get. */
  included: z.boolean(),
  text: z.string(),
  hidden: z.array(z.object({ kind: z.string(), count: z.number().int(), sample: z.string() })),
  url: z.string(),
  createdAt: z.string(),
});
export const JobOnIssue = z.object({ jobId: id, state: z.string(), pullRequest: z.number().int().nullable() });
export const ForgeIssueDetail = ForgeIssue.extend({
  connectionId: id,
  repository: z.string(),
  /** Label of a job on this issue. */
  trust: TrustLabel,
  /** The issue's own words first, then its comments, oldest first. */
  words: z.array(ForgeWords),
  /** There are more comments than were read. */
  truncated: z.boolean(),
  /** Jobs that work on it, or whose pull request is open. */
  jobs: z.array(JobOnIssue),
});
export type ForgeIssueDetail = z.infer<typeof ForgeIssueDetail>;

/** A job on an issue. What is absent comes from the project, as for any job; `goal` is what the caller adds to the issue's words. */
export const IssueJobCreate = JobCreate.omit({ projectId: true, repository: true, goal: true, title: true }).extend({
  connectionId: id.optional(),
  repository: FullName,
  number: z.number().int().min(1),
  goal: z.string().max(20_000).optional(),
  /** Another job although one works on the issue, or its pull request is open: on a branch of its own. */
  again: z.boolean().default(false),
});
export type IssueJobCreate = z.infer<typeof IssueJobCreate>;

export const IssueQuery = z.object({
  connectionId: id.optional(),
  repository: FullName,
  q: z.string().max(200).optional(),
  /** Between commas; an issue has all of them. */
  labels: z.string().max(500).optional(),
  state: z.enum(["open", "all"]).default("open"),
  limit: z.coerce.number().int().min(1).max(100).default(30),
  cursor: z.string().max(600).optional(),
});

/**
 * Something that happened to a published change: `waiting` goes with the next round, `held` is sent only when a person says
 * so. `author`, `text` and `path` are the words of whoever wrote them, or of a check.
 */
export const FollowUp = z.object({
  id,
  kind: z.enum(["review", "checks", "base"]),
  state: z.enum(["waiting", "held", "sent", "done", "dropped"]),
  /** Whether it begins a round by itself. */
  starts: z.boolean(),
  author: z.string(),
  text: z.string(),
  url: z.string().nullable(),
  path: z.string().nullable(),
  line: z.number().int().nullable(),
  /** Why it is held. */
  detail: z.string().nullable(),
  /** Which of the rounds that what was said began it went with, from 1. */
  round: z.number().int().nullable(),
  at: time,
});
export type FollowUp = z.infer<typeof FollowUp>;
export const FollowUpsSend = z.object({ ids: z.union([z.literal("all"), z.array(id).min(1).max(500)]) });

/** How the forges' deliveries stand; `dead` ones were given up after many tries. */
export const ForgeDeliveries = z.object({
  open: z.number().int(),
  dead: z.number().int(),
  handled: z.number().int(),
  lastAt: time.nullable(),
  lastError: z.string().nullable(),
});
