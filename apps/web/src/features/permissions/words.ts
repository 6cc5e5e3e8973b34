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
  forge: "use the forge",
};
/** What a grant's pattern is matched against. */
export const patternOf = (type: Grant["type"]): string =>
  type === "egress" ? "Host" : type.startsWith("ai.") ? "Model" : type === "repo.push" ? "Branch" : "Pattern";

/** How far a grant goes, in a few words; empty where it has no bounds. Pure. */
export function bounds({ type, details }: Pick<Grant, "type" | "details">): string {
  const { pattern, ports, address, phases } = details;
  const parts = [
    pattern !== "*" || type === "egress" ? (pattern === "*" ? "any host" : pattern) : null,
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
