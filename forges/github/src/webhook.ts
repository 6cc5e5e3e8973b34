import { isUtf8 } from "node:buffer";
import { verify } from "@octokit/webhooks-methods";
import type {
  CheckRunEvent,
  CheckSuiteEvent,
  IssuesEvent,
  PullRequestEvent,
  StatusEvent,
  WorkflowRunEvent,
} from "@octokit/webhooks-types";
import type { ForgeDelivery, WebhookKind } from "@x1agent/forges";
import { z } from "zod";

/**
 * Of a payload only ids are read; everything else in it is asked for where it is needed. That GitHub's events have these is
 * held against its own types: a name that they lose does not compile.
 */
const Id = z.number().int().positive().max(Number.MAX_SAFE_INTEGER);
const Commit = z.string().regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/);
const Numbered = z.object({ number: Id }) satisfies z.ZodType<
  Pick<IssuesEvent["issue"], "number"> & Pick<PullRequestEvent["pull_request"], "number">
>;
const Headed = z.object({ head_sha: Commit }) satisfies z.ZodType<
  Pick<CheckRunEvent["check_run"] & CheckSuiteEvent["check_suite"] & WorkflowRunEvent["workflow_run"], "head_sha">
>;
const Payload = z.object({
  action: z.string().max(100).optional(),
  installation: z.object({ id: Id }).nullish(),
  repository: z.object({ id: Id }).nullish(),
  issue: Numbered.optional(),
  pull_request: z.union([Numbered, z.record(z.string(), z.unknown())]).optional(),
  check_run: Headed.optional(),
  check_suite: Headed.optional(),
  workflow_run: Headed.optional(),
  sha: (Commit satisfies z.ZodType<StatusEvent["sha"]>).optional(),
});

const SIGNATURE = /^sha256=[0-9a-f]{64}$/;
/** Nobody's: compared where a delivery has none, so that it takes no less time. */
const NONE = `sha256=${"0".repeat(64)}`;

/** GitHub's webhooks: `X-Hub-Signature-256` only; the older SHA-1 signature is none. */
export const githubWebhook: WebhookKind = {
  async signed(header, body, secret) {
    const given = header("x-hub-signature-256") ?? "";
    // The library takes a text and signs its bytes; bytes that are none would be compared as others than came.
    const sound = SIGNATURE.test(given) && body.length > 0 && isUtf8(body);
    const equal = await verify(secret, Buffer.from(body).toString("utf8") || " ", sound ? given : NONE);
    return sound && equal;
  },
  read(header, body): ForgeDelivery | null {
    const id = header("x-github-delivery") ?? "";
    const event = header("x-github-event") ?? "";
    if (!/^[\w-]{1,100}$/.test(id) || !/^[a-z_]{1,100}$/.test(event)) return null;
    const found = Payload.safeParse(body);
    if (!found.success) return null;
    const { action, installation, repository, issue, pull_request, check_run, check_suite, workflow_run, sha } =
      found.data;
    const numbered = Numbered.safeParse(pull_request);
    const commits = [check_run, check_suite, workflow_run].flatMap((one) => (one ? [one.head_sha] : []));
    return {
      ...{ id, event, action: action ?? null },
      installationId: installation ? String(installation.id) : null,
      repositoryId: repository ? String(repository.id) : null,
      number: issue?.number ?? (numbered.success ? numbered.data.number : null),
      // A push may move the base of any pull request: it names no commit, and all of them are looked at.
      commits: event === "status" && sha ? [sha] : commits,
    };
  },
};
