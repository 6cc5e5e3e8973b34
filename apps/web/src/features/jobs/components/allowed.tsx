import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { RouteResponse } from "@x1agent/contract";
import { formatDuration, visible } from "../../../lib/format.ts";
import { grantsQuery } from "../../../lib/queries.ts";

type Project = RouteResponse<"getProject">;
type Grant = RouteResponse<"listGrants">["items"][number];

/** What a job with these settings will be allowed, from the ledger and the project as they are now. */
export function Allowed({
  project,
  budget,
  provider,
}: {
  project: Project | null;
  budget: string;
  provider: string | null;
}) {
  const grants = useQuery(grantsQuery(false));
  const live = (grants.data?.items ?? []).filter(
    ({ subject }) => subject.kind === "organization" || (subject.kind === "project" && subject.id === project?.id),
  );
  const hosts = (phase: "setup" | "agent" | "verify") =>
    live.filter(
      ({ type, details }) =>
        (type === "egress" || type === "registry") && (details.phases === undefined || details.phases.includes(phase)),
    );
  const models = live.filter(({ type }) => type.startsWith("ai."));
  return (
    <aside className="card" aria-label="What will be allowed">
      <h2>What will be allowed</h2>
      <dl className="facts">
        <Fact name="Models">
          {models.length === 0
            ? "none is granted"
            : models.map(({ type, details }) => `${type.slice(3)} ${details.pattern}`).join(", ")}
          {provider &&
          models.length > 0 &&
          !models.some(({ type }) => type === `ai.${provider}` || type === "ai.compatible") ? (
            <p className="bad">This runtime speaks to {provider}, which is not granted.</p>
          ) : null}
        </Fact>
        <Fact name="Money">at most ${budget.trim() || "5.00"}, and no more than the budgets above it leave</Fact>
        <Fact name="Set-up reaches">
          <Hosts grants={hosts("setup")} />
        </Fact>
        <Fact name="Agent reaches">
          <Hosts grants={hosts("agent")} />
        </Fact>
        <Fact name="Verify reaches">{project?.verifyNetwork ? <Hosts grants={hosts("verify")} /> : "nothing"}</Fact>
        <Fact name="Workspace">
          its own, isolated by {project?.minIsolation ?? "namespaces"} or stronger; no secret inside
          {project
            ? `, ${Math.round(project.limits.memoryBytes / 1_048_576)} MiB, ${formatDuration(project.limits.jobMs)} at most`
            : ""}
        </Fact>
        <Fact name="Push">
          nothing until {project?.approval.mode === "auto" ? "the project's policy or a person" : "a person"} has
          approved the exact commit
        </Fact>
      </dl>
      <p>
        <Link to="/permissions">The whole ledger</Link>
      </p>
    </aside>
  );
}

function Fact({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Hosts({ grants }: { grants: readonly Grant[] }) {
  if (grants.length === 0) return "nothing but its models";
  const names = [...new Set(grants.map(({ details }) => visible(details.pattern)))];
  return (
    <span title={names.join("\n")}>
      {names.slice(0, 4).join(", ")}
      {names.length > 4 ? ` and ${names.length - 4} more` : ""}
    </span>
  );
}
