import { useMutation } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type ApprovalPolicy, formatUsd, parseUsd } from "@x1agent/contract";
import { type FormEvent, useRef, useState } from "react";
import { Button } from "../../../components/button.tsx";
import { JobStateMark } from "../../../components/job-state.tsx";
import { MayNot, Only } from "../../../components/only.tsx";
import { Failure } from "../../../components/states.tsx";
import { client, queryClient } from "../../../lib/client.ts";
import { visible } from "../../../lib/format.ts";
import { projectQuery } from "../../../lib/queries.ts";
import type { Project } from "./project-page.tsx";

/** Who approves, as rules that a person can read, and what they would have done with the jobs that were. */
export function ApprovalPolicyForm({ project }: { project: Project }) {
  const { approval } = project;
  const [auto, setAuto] = useState(approval.mode === "auto");
  const [refusal, setRefusal] = useState<string | null>(null);
  const form = useRef<HTMLFormElement>(null);
  const save = useMutation({
    mutationFn: (policy: ApprovalPolicy) =>
      client.updateProject({ params: { projectId: project.id }, body: { approval: policy } }),
    onSuccess: (changed) => queryClient.setQueryData(projectQuery(project.id).queryKey, changed),
  });
  const trial = useMutation({
    mutationFn: (policy: ApprovalPolicy) =>
      client.tryApprovalPolicy({ params: { projectId: project.id }, body: { policy } }),
  });
  /** The policy as it stands in the form; null, and a sentence, when a field makes no sense. */
  const read = (mode: ApprovalPolicy["mode"]): ApprovalPolicy | null => {
    if (mode === "person") return { ...approval, mode };
    const data = new FormData(form.current ?? undefined);
    const text = (name: string) => String(data.get(name) ?? "").trim();
    const maxCostMicros = parseUsd(text("cost"));
    const maxFiles = Number(text("files"));
    const maxLines = Number(text("lines"));
    const paths = text("paths")
      .split(/\s*\n\s*/)
      .filter(Boolean);
    if (
      maxCostMicros === null ||
      !Number.isInteger(maxFiles) ||
      maxFiles < 1 ||
      !Number.isInteger(maxLines) ||
      maxLines < 1
    ) {
      setRefusal("Files and lines are whole numbers from 1 on, the cost is an amount in dollars.");
      return null;
    }
    if (paths.length === 0) {
      setRefusal("Name at least one path, such as src/**.");
      return null;
    }
    setRefusal(null);
    return { mode, maxFiles, maxLines, maxCostMicros, paths };
  };
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const policy = read(auto ? "auto" : "person");
    if (policy) save.mutate(policy);
  };
  const dryRun = () => {
    const policy = read("auto");
    if (policy) trial.mutate(policy);
  };
  return (
    <form ref={form} className="form card" onSubmit={submit} aria-label="Approval">
      <h2>Who approves</h2>
      <fieldset>
        <legend className="hidden">Who approves</legend>
        <label className="check">
          <input type="radio" name="mode" checked={!auto} onChange={() => setAuto(false)} /> A person, always
        </label>
        <label className="check">
          <input type="radio" name="mode" checked={auto} onChange={() => setAuto(true)} /> The policy, when every rule
          holds; else a person
        </label>
      </fieldset>
      {auto ? (
        <>
          <ol className="rules">
            <li>The verification passed, also with the base's own tests.</li>
            <li>
              No flagged path: tests, manifests, lock files, scripts, workflows, instructions, dot-files, binaries.
            </li>
            <li>
              At most <input name="files" aria-label="Files" inputMode="numeric" defaultValue={approval.maxFiles} />{" "}
              files and <input name="lines" aria-label="Lines" inputMode="numeric" defaultValue={approval.maxLines} />{" "}
              lines changed.
            </li>
            <li>
              It cost at most $
              <input
                name="cost"
                aria-label="Cost in dollars"
                inputMode="decimal"
                defaultValue={formatUsd(approval.maxCostMicros).replace(/[^\d.]/g, "")}
              />
              .
            </li>
            <li>
              <label>
                Every changed path matches one of these:
                <textarea name="paths" className="mono" rows={3} defaultValue={approval.paths.join("\n")} />
              </label>
            </li>
          </ol>
          <div className="buttons">
            <Button onClick={dryRun} disabled={trial.isPending}>
              Try on past jobs
            </Button>
          </div>
          {trial.isError ? <Failure error={trial.error} /> : null}
          {trial.data ? (
            <section aria-label="Trial" role="status">
              <p>
                <strong>
                  Would have approved {trial.data.approved} of {trial.data.considered}
                </strong>{" "}
                {trial.data.considered === 1 ? "job" : "jobs"} with evidence. Nothing was changed.
              </p>
              <ul className="trial">
                {trial.data.items.map(({ jobId, title, state, approved, reasons }) => (
                  <li key={jobId}>
                    <Link to="/jobs/$jobId" params={{ jobId }}>
                      {visible(title)}
                    </Link>{" "}
                    <JobStateMark state={state} />
                    <p className={approved ? "good" : "quiet"}>
                      {approved ? "Would be approved." : reasons.map(visible).join(" ")}
                    </p>
                  </li>
                ))}
              </ul>
            </section>
          ) : null}
        </>
      ) : null}
      {refusal ? <p role="alert">{refusal}</p> : null}
      {save.isError ? <Failure error={save.error} /> : null}
      <Only scope="write" otherwise={<MayNot what="change who approves" />}>
        <div className="buttons">
          <Button type="submit" look="primary" disabled={save.isPending}>
            Save policy
          </Button>
          <span role="status" className="quiet">
            {save.isSuccess ? "Saved. It counts from the next evidence on." : ""}
          </span>
        </div>
      </Only>
    </form>
  );
}
