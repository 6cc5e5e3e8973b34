import { z } from "zod";

/**
 * Every refusal and fault that a caller can meet, by a stable code. The code is the contract; the sentence may change.
 * `status` is the HTTP status when the code leaves over HTTP.
 */
export const errorCodes = {
  // who and where
  unauthenticated: {
    status: 401,
    title: "No valid token",
    hint: "Pass a token: --data or X1_DATA finds the local one, X1_URL and X1_TOKEN name another service.",
  },
  forbidden: { status: 403, title: "Not allowed", hint: "Ask an owner of the organization for the role or grant." },
  not_found: {
    status: 404,
    title: "Not found",
    hint: "Check the id; `x1 jobs` and `x1 projects` list what you may see.",
  },
  host_refused: {
    status: 403,
    title: "Host or Origin refused",
    hint: "Reach the service by the address it was started with.",
  },
  invalid_request: {
    status: 400,
    title: "Invalid request",
    hint: "The errors list names each field and what it expects.",
  },
  body_too_large: { status: 413, title: "Body too large", hint: "The limit is in the message." },
  conflict: { status: 409, title: "Conflicts with the present state", hint: "Read the resource again and repeat." },
  idempotency_mismatch: {
    status: 409,
    title: "Idempotency key was used with another body",
    hint: "Use a new key for a new request.",
  },
  rate_limited: { status: 429, title: "Too many requests", hint: "Wait and repeat." },
  internal: {
    status: 500,
    title: "Something broke",
    hint: "Quote the id in the message; `x1 doctor` checks the installation.",
  },
  unavailable: { status: 503, title: "Not available now", hint: "The message says what is missing; repeat later." },
  contract_unsupported: {
    status: 409,
    title: "Another major version of the contract",
    hint: "Update the runtime image or the service.",
  },
  // jobs
  illegal_transition: {
    status: 409,
    title: "The job's state does not allow this",
    hint: "`x1 show` prints the state and what is possible.",
  },
  job_finished: { status: 409, title: "The job has ended", hint: "`x1 retry` starts another attempt." },
  repository_invalid: {
    status: 422,
    title: "Repository cannot be used",
    hint: "The message says what is wrong with it.",
  },
  base_unknown: { status: 422, title: "Base branch or commit not found", hint: "Name an existing one with --base." },
  goal_too_large: { status: 413, title: "Goal too large", hint: "At most 1 MB of text." },
  runtime_unknown: { status: 422, title: "Unknown runtime", hint: "`x1 runtimes` lists them." },
  runtime_not_installed: {
    status: 409,
    title: "Runtime not installed",
    hint: "`x1 runtimes install <name>` fetches it.",
  },
  isolation_unavailable: {
    status: 409,
    title: "The required isolation is not available here",
    hint: "`x1 doctor` says what is missing and the command that adds it.",
  },
  capability_missing: {
    status: 409,
    title: "The runtime cannot do this",
    hint: "The runtime's manifest lists its capabilities.",
  },
  no_session: { status: 409, title: "No live session", hint: "The job has no running session now." },
  session_ended: { status: 410, title: "The session has ended", hint: "Retry the job for a new one." },
  unknown_request: { status: 409, title: "No such open question", hint: "It was answered, cancelled or never asked." },
  queue_full: { status: 429, title: "The message queue is full", hint: "Wait until the current turn ends." },
  // money and permission
  budget_exceeded: { status: 403, title: "Budget exceeded", hint: "`x1 budget` shows and raises it." },
  price_unknown: {
    status: 403,
    title: "No price known for this model",
    hint: "Choose a priced model, or state its price with `x1 providers price <name> <model> --input <usd> --output <usd>`.",
  },
  not_granted: { status: 403, title: "No grant", hint: "`x1 grant` gives one; `x1 grants` lists them." },
  field_refused: { status: 403, title: "The request uses a field that is not allowed", hint: "The message names it." },
  path_refused: {
    status: 403,
    title: "The path or method is not allowed",
    hint: "The sidecar forwards documented inference paths only.",
  },
  model_missing: { status: 400, title: "The request names no model", hint: "Set the top-level model field once." },
  provider_unconfigured: {
    status: 403,
    title: "No credential for this provider",
    hint: "`x1 secrets set <provider>`.",
  },
  control_unreachable: {
    status: 403,
    title: "Control plane out of reach: closed",
    hint: "Grants could not be refreshed in time.",
  },
  egress_blocked: {
    status: 403,
    title: "Host not allowed",
    hint: "`x1 egress allow <host>` opens it for the project.",
  },
  address_refused: {
    status: 403,
    title: "Address not allowed",
    hint: "Private and reserved ranges need `x1 egress allow <host> --address <cidr>`.",
  },
  quota_exceeded: { status: 403, title: "Byte limit reached", hint: "The phase's egress limit is in the project." },
  upstream_failed: { status: 502, title: "Upstream failed", hint: "The provider could not be reached." },
  // approval and publication
  digest_mismatch: {
    status: 409,
    title: "The digest is not the current one",
    hint: "Look at the evidence again: something moved since your screen was drawn.",
  },
  approval_used: { status: 409, title: "This approval was used", hint: "Approve the current evidence." },
  publish_moved: {
    status: 409,
    title: "The target moved since the approval",
    hint: "Look at what changed and approve again.",
  },
  verification_failed: {
    status: 409,
    title: "Verification did not pass",
    hint: "Approve with the override to publish all the same.",
  },
  secret_in_change: {
    status: 409,
    title: "A stored secret is in what would be published",
    hint: "Ask for changes so that it is taken out; if others have seen it, make a new one at its issuer and store that.",
  },
  // forges
  forge_unconfigured: {
    status: 409,
    title: "No connection to the forge",
    hint: "`x1 github connect` makes one, for an organization or for one person.",
  },
  forge_unauthorized: {
    status: 409,
    title: "The forge does not accept the connection any more",
    hint: "The installation was suspended or removed, or the token revoked: connect again.",
  },
  forge_forbidden: {
    status: 409,
    title: "The connection lacks a permission",
    hint: "The message names it; the forge's administrator can add it.",
  },
  forge_not_found: {
    status: 404,
    title: "Not there, or not visible to the connection",
    hint: "Check the name, and that the repository is among those chosen for the installation.",
  },
  forge_invalid: { status: 422, title: "The forge refused the request", hint: "The message has its reason." },
  forge_limited: {
    status: 503,
    title: "The forge's rate limit is reached",
    hint: "It goes on by itself; the message says when.",
  },
  forge_unavailable: { status: 503, title: "The forge cannot be reached", hint: "It is tried again by itself." },
} as const satisfies Record<string, { status: number; title: string; hint: string }>;

export type ErrorCode = keyof typeof errorCodes;
export const ErrorCode = z.enum(Object.keys(errorCodes) as [ErrorCode, ...ErrorCode[]]);

/** RFC 9457 problem details, as every failing HTTP answer carries them. */
export const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  code: ErrorCode,
  detail: z.string(),
  hint: z.string(),
  /** Id to quote; also in the service's log. */
  instance: z.string().optional(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
});
export type Problem = z.infer<typeof Problem>;

/** Builds the problem body of a code. */
export function problem(code: ErrorCode, detail?: string, extra: Pick<Problem, "instance" | "errors"> = {}): Problem {
  const entry = errorCodes[code];
  return {
    type: `urn:x1agent:error:${code}`,
    title: entry.title,
    status: entry.status,
    code,
    detail: detail ?? entry.title,
    hint: entry.hint,
    ...extra,
  };
}

/** An expected "no": policy, budget or state says so. Domains return it, they do not throw it. */
export type Refusal = { ok: false; code: ErrorCode; detail: string };
/** Either a value or a refusal. */
export type Outcome<T> = { ok: true; value: T } | Refusal;
export const accept = <T>(value: T): Outcome<T> => ({ ok: true, value });
export const refuse = (code: ErrorCode, detail?: string): Refusal => ({
  ok: false,
  code,
  detail: detail ?? errorCodes[code].title,
});

/** The world broke: carries a code, a sentence that says what to do next, and the cause. */
export class Fault extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, detail: string, options?: { cause?: unknown }) {
    super(detail, options);
    this.name = "Fault";
    this.code = code;
  }
}
