import { type EgressRule, type Grant, matchesPattern, type PhaseName, type SidecarPolicy } from "@x1agent/contract";

/** What a workspace is for, as far as its sidecar's policy depends on it. */
export type PolicyInput = {
  version: number;
  phase: PhaseName;
  grants: readonly Grant[];
  inference: boolean;
  stopped: boolean;
  /** False where what the agent was asked came from somebody without rights in the repository. */
  trusted: boolean;
  /** Repositories that may be pushed to, with the branches that never are. */
  push: NonNullable<SidecarPolicy["push"]>;
};

const allPhases: readonly PhaseName[] = ["setup", "agent", "verify"];

/**
 * What a workspace can make of its job's grants. One whose words came from somebody without rights in the repository neither
 * pushes nor speaks there, nor reaches hosts that were opened for others: whoever granted that did not mean them. Pure.
 */
export function usableGrants(grants: readonly Grant[], { trusted }: Pick<PolicyInput, "trusted">): Grant[] {
  if (trusted) return [...grants];
  return grants
    .filter(
      ({ type, subject, details }) =>
        type !== "repo.push" &&
        (type !== "forge" || matchesPattern(details.pattern, "read")) &&
        // Hosts that were opened for this very job, by somebody who saw whose words it carries, stay open; so do registries.
        (type !== "egress" || subject.kind === "job"),
    )
    .map((grant) => (grant.type === "forge" ? { ...grant, details: { ...grant.details, pattern: "read" } } : grant));
}

/**
 * The whole policy of one sidecar. A workspace without an agent never gets a model grant, whatever its project has: a
 * verification must not be able to spend or to ask a model. Pure.
 */
export function sidecarPolicy(input: PolicyInput): SidecarPolicy {
  const { version, phase, grants, inference, stopped, trusted, push } = input;
  const usable = stopped ? [] : usableGrants(grants, input).filter(({ type }) => inference || !type.startsWith("ai."));
  return {
    version,
    phase,
    stopped,
    grants: usable.map(({ id, type, details, scope }) => ({ id, type, details, once: scope === "once" })),
    egress: usable.filter(({ type }) => type === "egress").map(egressRule),
    push: trusted && !stopped ? [...push] : [],
  };
}

function egressRule({ id, details, scope }: Grant): EgressRule {
  return {
    host: details.pattern.toLowerCase(),
    ports: details.ports ?? [80, 443],
    phases: details.phases ?? [...allPhases],
    ...(details.address === undefined ? {} : { address: details.address }),
    ...(scope === "once" ? { onceGrantId: id } : {}),
  };
}
