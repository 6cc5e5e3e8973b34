/** States of a connection. Only an `active` one is used; the others keep their history and say why. */
export const connectionStates = ["active", "suspended", "removed", "unauthorized"] as const;
export type ConnectionState = (typeof connectionStates)[number];

/** How a connection proves itself: as an installation of an app, or by one person's token. */
export const connectionKinds = ["app", "token"] as const;
export type ConnectionKind = (typeof connectionKinds)[number];

/** What started a job on an issue. */
export const triggers = ["web", "cli", "label", "assignment", "comment"] as const;
export type Trigger = (typeof triggers)[number];

/** States of a pull request that a job opened; `merged` and `closed` end it. */
export const pullRequestStates = ["open", "merged", "closed"] as const;
export type PullRequestState = (typeof pullRequestStates)[number];

/** What became of a published change, for statistics. */
export const outcomes = ["merged", "merged_after_changes", "closed", "reverted"] as const;
export type PullRequestOutcome = (typeof outcomes)[number];

/** Why a published job goes on: people's remarks, failed checks of others, a base that the change conflicts with. */
export const followUpKinds = ["review", "checks", "base"] as const;
export type FollowUpKind = (typeof followUpKinds)[number];

/**
 * `waiting`: goes with the next round. `held`: shown to people, and sent only when one says so. `sent`: part of a round that
 * was begun. `done`: that round is published. `dropped`: of no concern any more.
 */
export const followUpStates = ["waiting", "held", "sent", "done", "dropped"] as const;
export type FollowUpState = (typeof followUpStates)[number];
