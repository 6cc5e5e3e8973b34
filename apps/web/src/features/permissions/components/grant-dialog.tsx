import { grantTypes, type RouteBodyInput, type RouteResponse } from "@x1agent/contract";
import { useState } from "react";
import { DialogForm } from "../../../components/dialog.tsx";
import { Field } from "../../../components/field.tsx";
import { client, queryClient } from "../../../lib/client.ts";
import { visible } from "../../../lib/format.ts";
import { meQuery } from "../../../lib/queries.ts";
import { bounds, type Grant, may, namesHost, patternOf } from "../words.ts";

type Body = RouteBodyInput<"createGrant">;
type Phase = NonNullable<Grant["details"]["phases"]>[number];
const phases: readonly { phase: Phase; label: string }[] = [
  { phase: "setup", label: "set-up" },
  { phase: "agent", label: "agent" },
  { phase: "verify", label: "verify" },
];
const ends: readonly { scope: Grant["scope"]; label: string }[] = [
  { scope: "persistent", label: "until it is revoked" },
  { scope: "session", label: "for the session" },
  { scope: "once", label: "for one use" },
];

/** Writes a grant; above the button stands, in one sentence, what it will allow. */
export function GrantDialog(props: {
  projects: RouteResponse<"listProjects">["items"];
  jobs: RouteResponse<"listJobs">["items"];
  close(): void;
}) {
  const { projects, jobs, close } = props;
  const [type, setType] = useState<Grant["type"]>("egress");
  const [pattern, setPattern] = useState("");
  const [ports, setPorts] = useState("443");
  const [address, setAddress] = useState("");
  const [during, setDuring] = useState<readonly Phase[]>(["setup", "agent"]);
  const [subject, setSubject] = useState("");
  const [scope, setScope] = useState<Grant["scope"]>("persistent");
  const [reason, setReason] = useState("");
  const egress = type === "egress";
  const hosted = namesHost(type);
  const numbers = ports
    .split(/[\s,]+/)
    .filter(Boolean)
    .map(Number);
  const details: Grant["details"] = {
    pattern: pattern.trim() || "*",
    ...(egress && numbers.length > 0 ? { ports: numbers } : {}),
    ...(hosted && address.trim() ? { address: address.trim() } : {}),
    ...(hosted && during.length < phases.length ? { phases: [...during] } : {}),
  };
  const grant = async () => {
    const { organizationId } = await queryClient.ensureQueryData(meQuery);
    const [kind, id] = subject
      ? (subject.split(":", 2) as ["project" | "job", string])
      : ["organization" as const, organizationId];
    await client.createGrant({ body: { subject: { kind, id }, type, details, scope, reason } satisfies Body });
    void queryClient.invalidateQueries({ queryKey: ["grants"] });
  };
  const toggle = (phase: Phase) =>
    setDuring((before) =>
      phases.map((one) => one.phase).filter((one) => (one === phase ? !before.includes(one) : before.includes(one))),
    );
  const [kind = "", id = ""] = subject.split(":", 2);
  const name =
    kind === "project"
      ? `Every job of ${projects.find((project) => project.id === id)?.name ?? id}`
      : kind === "job"
        ? `The job “${jobs.find((job) => job.id === id)?.title ?? id}”`
        : "Every job";
  return (
    <DialogForm
      title="Grant a permission"
      action="Grant"
      busy="Granting…"
      disabled={hosted && during.length === 0}
      close={close}
      run={grant}
      wide
    >
      <div className="pair">
        <Field label="What">
          <select value={type} onChange={(event) => setType(event.target.value as Grant["type"])}>
            {grantTypes.map((one) => (
              <option key={one} value={one}>
                {may[one]}
              </option>
            ))}
          </select>
        </Field>
        <Field label="Who">
          <select value={subject} onChange={(event) => setSubject(event.target.value)}>
            <option value="">Every job</option>
            {projects.length > 0 ? (
              <optgroup label="Jobs of a project">
                {projects.map((project) => (
                  <option key={project.id} value={`project:${project.id}`}>
                    {visible(project.name)}
                  </option>
                ))}
              </optgroup>
            ) : null}
            {jobs.length > 0 ? (
              <optgroup label="One running job">
                {jobs.map((job) => (
                  <option key={job.id} value={`job:${job.id}`}>
                    {visible(job.title).slice(0, 80)}
                  </option>
                ))}
              </optgroup>
            ) : null}
          </select>
        </Field>
      </div>
      <Field
        label={patternOf(type)}
        hint={
          hosted
            ? `A name such as registry.example.org, or *.example.org for all below it. No scheme, no path.${egress ? "" : " Empty: every registry that is set up here."}`
            : "* stands for anything; empty means all."
        }
      >
        <input
          className="mono"
          required={egress}
          maxLength={300}
          pattern="[\w.*:@\/+\-]+"
          placeholder={hosted ? "registry.example.org" : "*"}
          autoCapitalize="none"
          spellCheck={false}
          value={pattern}
          onChange={(event) => setPattern(event.target.value)}
        />
      </Field>
      {hosted ? (
        <>
          <div className="pair">
            {egress ? (
              <Field label="Ports">
                <input pattern="[0-9, ]*" value={ports} onChange={(event) => setPorts(event.target.value)} />
              </Field>
            ) : null}
            <Field label="Private range" hint="Only where the host is inside your network, such as 10.0.0.0/8.">
              <input className="mono" value={address} onChange={(event) => setAddress(event.target.value)} />
            </Field>
          </div>
          <fieldset className="choices">
            <legend>During</legend>
            {phases.map(({ phase, label }) => (
              <label key={phase} className="check">
                <input type="checkbox" checked={during.includes(phase)} onChange={() => toggle(phase)} />
                {label}
              </label>
            ))}
          </fieldset>
        </>
      ) : null}
      <div className="pair">
        <Field label="Holds">
          <select value={scope} onChange={(event) => setScope(event.target.value as Grant["scope"])}>
            {ends
              .filter(({ scope }) => type !== "registry" || scope !== "once")
              .map((end) => (
                <option key={end.scope} value={end.scope}>
                  {end.label}
                </option>
              ))}
          </select>
        </Field>
        <Field label="Reason" hint="For whoever reads the ledger later.">
          <input maxLength={2_000} value={reason} onChange={(event) => setReason(event.target.value)} />
        </Field>
      </div>
      <div className="notice">
        <p>
          <strong>{visible(name)}</strong> may {may[type]}
          {bounds({ type, details }) ? (
            <>
              : <code>{visible(bounds({ type, details }))}</code>
            </>
          ) : null}
          , {ends.find((end) => end.scope === scope)?.label}. Running jobs have it at once.
        </p>
      </div>
    </DialogForm>
  );
}
