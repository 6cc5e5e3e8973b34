import type { RouteResponse } from "@x1agent/contract";

export type Grant = RouteResponse<"listGrants">["items"][number];

/** What each type of grant lets a job do, as the end of "may ...". */
export const may: Record<Grant["type"], string> = {
  spawn: "start jobs of its own",
  tool_scope: "use tools",
  "ai.anthropic": "call models of Anthropic",
  "ai.openai": "call models of OpenAI",
  "ai.google": "call models of Google",
  "ai.bedrock": "call models by Bedrock",
  "ai.vertex": "call models by Vertex",
  "ai.compatible": "call models of your own endpoints",
  "repo.read": "read its repository",
  "repo.push": "push branches",
  egress: "reach hosts",
  registry: "read packages",
  forge: "use the forge",
};
/** Whether a grant of this type is about hosts, in phases of the job. */
export const namesHost = (type: Grant["type"]): boolean => type === "egress" || type === "registry";
/** What a grant's pattern is matched against. */
export const patternOf = (type: Grant["type"]): string =>
  namesHost(type) ? "Host" : type.startsWith("ai.") ? "Model" : type === "repo.push" ? "Branch" : "Pattern";

/** What a grant allows, cut for a line: the verb, what it is matched against (null: anything), and the other bounds. Pure. */
export function line({ type, details }: Pick<Grant, "type" | "details">): {
  verb: string;
  pattern: string | null;
  limits: string;
} {
  const pattern = details.pattern === "*" ? null : details.pattern;
  const ofHosts = { egress: ["reach", "reach any host"], registry: ["read packages from", may.registry] } as const;
  const verb = type === "egress" || type === "registry" ? ofHosts[type][pattern ? 0 : 1] : may[type];
  return { verb, pattern, limits: limits(details) };
}

/** How far a grant goes, in a few words; empty where it has no bounds. Pure. */
export function bounds({ type, details }: Pick<Grant, "type" | "details">): string {
  const { pattern } = details;
  const first = pattern === "*" ? (type === "egress" ? "any host" : "") : pattern;
  return [first, limits(details)].filter(Boolean).join(" · ");
}

function limits({ ports, address, phases, repository, force }: Grant["details"]): string {
  const parts = [
    repository ? `of ${repository}` : null,
    force ? "rewriting too" : null,
    ports ? `port ${ports.join(", ")}` : null,
    address ? `at ${address}` : null,
    phases ? `in ${phases.map((phase) => (phase === "setup" ? "set-up" : phase)).join(", ")}` : null,
  ];
  return parts.filter(Boolean).join(" · ");
}

/** How long a grant holds, and whether it still does. Pure. */
export function holds(grant: Pick<Grant, "scope" | "revokedAt" | "consumedAt">): {
  word: string;
  live: boolean;
  since: string | null;
} {
  if (grant.revokedAt) return { word: "revoked", live: false, since: grant.revokedAt };
  if (grant.consumedAt) return { word: "used up", live: false, since: grant.consumedAt };
  const word = { once: "for one use", session: "for the session", persistent: "until revoked" }[grant.scope];
  return { word, live: true, since: null };
}
