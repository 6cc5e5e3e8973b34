/** What an action means, for people; the code stands beside it. An action that is not known here is shown as its code. */
const meanings: Record<string, string> = {
  "account.changed": "changed their account",
  "approval.decided": "decided on a change",
  "budget.set": "set a budget",
  "gc.run": "freed storage",
  "grant.created": "granted a permission",
  "grant.revoked": "revoked a permission",
  "job.cancelled": "cancelled a job",
  "job.created": "stated a goal",
  "job.moved": "moved a job on",
  "job.retried": "started another attempt",
  "passkey.added": "added a passkey",
  "passkey.removed": "removed a passkey",
  "password.removed": "removed their password",
  "password.set": "set their password",
  "price.deleted": "forgot a stated price",
  "price.set": "stated a price",
  "project.changed": "changed a project",
  "project.created": "made a project",
  "provider.set": "changed a provider",
  "provider.tested": "tested a provider's key",
  "secret.deleted": "forgot a key",
  "secret.set": "stored a key",
  "session.ended": "signed a browser out",
  "session.opened": "signed in",
  "session.others_ended": "signed other browsers out",
  "sign_in_link.made": "made a sign-in link",
  "token.created": "made an API token",
  "token.revoked": "revoked an API token",
};
/** `job.cancelled` becomes "job cancelled" where nothing better is known. Pure. */
export const meaning = (action: string): string => meanings[action] ?? action.replaceAll(/[._]/g, " ");

/** Groups of actions that one looks for, by their codes' beginning. */
export const groups: readonly { prefix: string; label: string }[] = [
  { prefix: "job.", label: "Jobs" },
  { prefix: "approval", label: "Approvals" },
  { prefix: "publication", label: "Publications" },
  { prefix: "grant.", label: "Permissions" },
  { prefix: "budget.", label: "Budgets" },
  { prefix: "secret.", label: "Keys" },
  { prefix: "provider.", label: "Providers" },
  { prefix: "project.", label: "Projects" },
  { prefix: "token.", label: "API tokens" },
  { prefix: "session.", label: "Sign-ins" },
];
