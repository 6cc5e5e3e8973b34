import { z } from "zod";
import { Actor } from "./job.ts";

/** Types of the permission ledger. */
export const grantTypes = [
  "spawn",
  "tool_scope",
  "ai.anthropic",
  "ai.openai",
  "ai.google",
  "ai.bedrock",
  "ai.vertex",
  "ai.compatible",
  "repo.read",
  "repo.push",
  "egress",
  "forge",
  "registry",
] as const;
export const GrantType = z.enum(grantTypes);
export type GrantType = z.infer<typeof GrantType>;

/** Who a grant is for. A job also has what its project and organization have. */
export const GrantSubject = z.object({
  kind: z.enum(["organization", "project", "job"]),
  id: z.string().min(1).max(100),
});
export type GrantSubject = z.infer<typeof GrantSubject>;

/** A glob with `*` only, matched against a whole model id, branch or host. */
export const Pattern = z
  .string()
  .min(1)
  .max(300)
  .regex(/^[\w.*:@/+-]+$/);

/** Type-specific limits. `phases` narrows a grant of type egress or registry to phases of the job. */
export const GrantDetails = z.object({
  /** Of type repo.push: branches, as in `x1/*`; of type forge: `read`, `comment` or `*` for both. */
  pattern: Pattern.default("*"),
  /** Repositories that a grant of type repo.push or forge is for, as `owner/name`; absent: each of the job's. */
  repository: Pattern.optional(),
  /** Of type repo.push: branches that were not made in the workspace itself may be moved too, and rewritten. */
  force: z.boolean().optional(),
  ports: z.array(z.number().int().min(1).max(65_535)).max(20).optional(),
  /** CIDR that a private destination of a grant of type egress or registry may resolve to. */
  address: z.string().max(100).optional(),
  phases: z.array(z.enum(["setup", "agent", "verify"])).optional(),
});
export type GrantDetails = z.infer<typeof GrantDetails>;

export const GrantScope = z.enum(["once", "session", "persistent"]);

export const Grant = z.object({
  id: z.string(),
  subject: GrantSubject,
  type: GrantType,
  details: GrantDetails,
  scope: GrantScope,
  grantedBy: Actor,
  reason: z.string(),
  createdAt: z.iso.datetime(),
  consumedAt: z.iso.datetime().nullable(),
  revokedAt: z.iso.datetime().nullable(),
  lastUsedAt: z.iso.datetime().nullable(),
});
export type Grant = z.infer<typeof Grant>;

/** Whether `value` matches `pattern`; `*` stands for any run of characters, everything else for itself. Case matters except for hosts, which are lower-cased before. */
export function matchesPattern(pattern: string, value: string): boolean {
  const parts = pattern.split("*");
  if (parts.length === 1) return pattern === value;
  let at = 0;
  for (const [index, part] of parts.entries()) {
    if (index === 0) {
      if (!value.startsWith(part)) return false;
      at = part.length;
    } else if (index === parts.length - 1) {
      return value.length - part.length >= at && value.endsWith(part);
    } else {
      const found = value.indexOf(part, at);
      if (found < 0) return false;
      at = found + part.length;
    }
  }
  return true;
}
