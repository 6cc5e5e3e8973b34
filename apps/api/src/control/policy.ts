import type { EgressRule, Grant, PhaseName, SidecarPolicy } from "@x1agent/contract";

/** What a workspace is for, as far as its sidecar's policy depends on it. */
export type PolicyInput = {
  version: number;
  phase: PhaseName;
  grants: readonly Grant[];
  inference: boolean;
  stopped: boolean;
};

const allPhases: readonly PhaseName[] = ["setup", "agent", "verify"];

/**
 * The whole policy of one sidecar. A workspace without an agent never gets a model grant, whatever its project has: a
 * verification must not be able to spend or to ask a model. Pure.
 */
export function sidecarPolicy({ version, phase, grants, inference, stopped }: PolicyInput): SidecarPolicy {
  const usable = stopped ? [] : grants.filter(({ type }) => inference || !type.startsWith("ai."));
  return {
    version,
    phase,
    stopped,
    grants: usable.map(({ id, type, details, scope }) => ({ id, type, details, once: scope === "once" })),
    egress: usable.filter(({ type }) => type === "egress").map(egressRule),
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
