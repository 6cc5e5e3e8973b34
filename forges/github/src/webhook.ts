import { createHmac, timingSafeEqual } from "node:crypto";
import type { ForgeDelivery, WebhookKind } from "@x1agent/forges";
import { z } from "zod";

/** Of a payload only ids are read; everything else in it is asked for where it is needed. */
const Id = z.number().int().positive().max(Number.MAX_SAFE_INTEGER);
const Commit = z.string().regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/);
const Numbered = z.object({ number: Id });
const Payload = z.object({
  action: z.string().max(100).optional(),
  installation: z.object({ id: Id }).nullish(),
  repository: z.object({ id: Id }).nullish(),
  issue: Numbered.optional(),
  pull_request: z.union([Numbered, z.record(z.string(), z.unknown())]).optional(),
  check_run: z.object({ head_sha: Commit }).optional(),
  check_suite: z.object({ head_sha: Commit }).optional(),
  workflow_run: z.object({ head_sha: Commit }).optional(),
  sha: Commit.optional(),
});

const SIGNATURE = /^sha256=([0-9a-f]{64})$/;

/** GitHub's webhooks: `X-Hub-Signature-256` only; the older SHA-1 signature is none. */
export const githubWebhook: WebhookKind = {
  signed(header, body, secret) {
    const wanted = createHmac("sha256", secret).update(body).digest();
    const given = SIGNATURE.exec(header("x-hub-signature-256") ?? "")?.[1];
    // Compared also where there is none, so that it takes no less time.
    const equal = timingSafeEqual(
      given === undefined ? Buffer.alloc(wanted.length) : Buffer.from(given, "hex"),
      wanted,
    );
    return equal && given !== undefined;
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
