/** What an action means, for people; the code stands beside it. An action that is not known here is shown as its code. */
const meanings: Record<string, string> = {
  "account.changed": "changed their account",
  "budget.set": "set a budget",
  "connection.changed": "changed a connection",
  "connection.created": "connected a forge",
  "connection.removed": "removed a connection",
  "follow_ups.held": "held back what reviewers wrote",
  "follow_ups.sent": "sent reviewers' words to the agent",
  "forge_app.created": "registered an app",
  "gc.run": "freed storage",
  "grant.created": "granted a permission",
  "grant.revoked": "revoked a permission",
  "job.answer": "answered an agent",
  "job.approve": "approved a change",
  "job.cancelled": "cancelled a job",
  "job.created": "stated a goal",
  "job.inject": "wrote to an agent",
  "job.interrupt": "interrupted an agent",
  "job.model": "changed an agent's model",
  "job.moved": "moved a job on",
  "job.override": "approved a change against its verification",
  "job.reject": "rejected a change",
  "job.request_changes": "asked for changes",
  "job.retried": "started another attempt",
  "member.added": "added a member",
  "member.invited": "invited a member",
  "member.removed": "removed a member",
  "member.role_changed": "changed a member's role",
  "passkey.added": "added a passkey",
  "passkey.removed": "removed a passkey",
  "password.removed": "removed their password",
  "password.set": "set their password",
  "price.deleted": "forgot a stated price",
  "price.set": "stated a price",
  "project.changed": "changed a project",
  "project.created": "made a project",
  "project.moved": "followed a repository to its new address",
  "project.trial_ended": "ended a trial of a project's commands",
  "project.trial_started": "tried a project's commands",
  "provider.set": "changed a provider",
  "provider.tested": "tested a provider's key",
  "pull_request.ended": "saw a pull request end",
  "pull_request.reapplied": "saw a change taken in again",
  "pull_request.reverted": "saw a change taken back",
  "secret.deleted": "forgot a key",
  "secret.set": "stored a key",
  "session.ended": "signed a browser out",
  "session.opened": "signed in",
  "session.others_ended": "signed other browsers out",
  "session.refused": "refused a sign-in",
  "sign_in_link.made": "made a sign-in link",
  "token.created": "made an API token",
  "token.revoked": "revoked an API token",
  "trigger.answered": "was answered on a forge",
  "trigger.refused": "was refused on a forge",
};
/**
 * What was done, for people; where a job was moved on, to which state. `job.cancelled` becomes "job cancelled" where nothing
 * better is known. Pure.
 */
export function meaning(action: string, data: Record<string, unknown> = {}): string {
  const said = (Object.hasOwn(meanings, action) ? meanings[action] : undefined) ?? action.replaceAll(/[._]/g, " ");
  return action === "job.moved" && typeof data.to === "string" ? `${said} to ${data.to.replaceAll("_", " ")}` : said;
}

/** Groups of actions that one looks for, by their codes' beginning. */
export const groups: readonly { prefix: string; label: string }[] = [
  { prefix: "job.", label: "Jobs" },
  { prefix: "grant.", label: "Permissions" },
  { prefix: "budget.", label: "Budgets" },
  { prefix: "secret.", label: "Keys" },
  { prefix: "provider.", label: "Providers" },
  { prefix: "project.", label: "Projects" },
  { prefix: "connection.", label: "Connections" },
  { prefix: "member.", label: "People" },
  { prefix: "token.", label: "API tokens" },
  { prefix: "session.", label: "Sign-ins" },
];
