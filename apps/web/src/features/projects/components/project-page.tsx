import { useMutation, useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import {
  type ContentPolicy,
  defaultContent,
  formatUsd,
  type RouteBodyInput,
  type RouteResponse,
} from "@x1agent/contract";
import { type FormEvent, useRef, useState } from "react";
import { Button } from "../../../components/button.tsx";
import { MayNot, Only } from "../../../components/only.tsx";
import { Failure, Loading } from "../../../components/states.tsx";
import { client, queryClient } from "../../../lib/client.ts";
import { visible } from "../../../lib/format.ts";
import { budgetsQuery, projectQuery, projectsQuery, runtimesQuery } from "../../../lib/queries.ts";
import { useTitle } from "../../../lib/title.ts";
import { ApprovalPolicyForm } from "./approval-policy.tsx";
import { Isolation } from "./isolation.tsx";
import { Secrets } from "./secrets.tsx";
import { useTrial } from "./trial.tsx";
import "../projects.css";

export type Project = RouteResponse<"getProject">;
type Change = RouteBodyInput<"updateProject">;

export function ProjectPage() {
  const { projectId } = useParams({ from: "/projects/$projectId" });
  const project = useQuery(projectQuery(projectId));
  useTitle(project.data ? visible(project.data.name) : "Project");
  if (project.isPending) return <Loading />;
  if (!project.data) return <Failure error={project.error} retry={() => void project.refetch()} />;
  return (
    <>
      <div className="head">
        <h1>{visible(project.data.name)}</h1>
        <Link className="button" to="/jobs" search={{ project: projectId }}>
          Its jobs
        </Link>
        <Only scope="write">
          <Link className="button primary" to="/new" search={{ project: projectId }}>
            New job
          </Link>
        </Only>
      </div>
      <p className="quiet mono">{visible(project.data.repository)}</p>
      <div className="columns">
        <Settings key={`s${project.dataUpdatedAt > 0}`} project={project.data} />
        <div className="stack">
          <ApprovalPolicyForm project={project.data} />
          <Secrets project={project.data} />
          <Isolation project={project.data} />
        </div>
      </div>
    </>
  );
}

const minutes = (ms: number) => String(Math.round(ms / 6_000) / 10);
const mebibytes = (bytes: number) => String(Math.round(bytes / 1_048_576));

/** What a job of the project starts with; jobs that run keep what they started with. */
function Settings({ project }: { project: Project }) {
  const runtimes = useQuery(runtimesQuery);
  const budgets = useQuery(budgetsQuery);
  const [refusal, setRefusal] = useState<string | null>(null);
  const save = useMutation({
    mutationFn: (body: Change) => client.updateProject({ params: { projectId: project.id }, body }),
    onSuccess: (changed) => {
      queryClient.setQueryData(projectQuery(project.id).queryKey, changed);
      void queryClient.invalidateQueries(projectsQuery);
    },
  });
  const month = budgets.data?.items.find(
    ({ scope, window }) => scope.kind === "project" && scope.id === project.id && window === "month",
  );
  const fields = useRef<HTMLFormElement>(null);
  const trial = useTrial(project.id, () => {
    const form = new FormData(fields.current ?? undefined);
    return {
      setup: String(form.get("setup") ?? ""),
      verify: String(form.get("verify") ?? ""),
      verifyNetwork: form.get("verifyNetwork") === "on",
    };
  });
  const content = { ...defaultContent, ...project.content };
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const text = (name: string) => String(form.get(name) ?? "").trim();
    const number = (name: string, unit: number) => Math.round(Number(text(name)) * unit);
    const limits = {
      memoryBytes: number("memory", 1_048_576),
      setupMs: number("setupTime", 60_000),
      verifyMs: number("verifyTime", 60_000),
      jobMs: number("jobTime", 60_000),
    };
    if (Object.values(limits).some((value) => !Number.isSafeInteger(value) || value <= 0))
      return setRefusal("Times and memory are numbers above 0.");
    setRefusal(null);
    save.mutate({
      name: text("name"),
      setup: text("setup"),
      verify: text("verify"),
      ...(text("branch") ? { defaultBranch: text("branch") } : {}),
      ...(text("runtime") ? { runtime: text("runtime") } : {}),
      ...(text("model") ? { model: text("model") } : {}),
      maxRounds: Number(text("rounds")),
      minIsolation: text("isolation") as Project["minIsolation"],
      verifyNetwork: form.get("verifyNetwork") === "on",
      limits,
      content: {
        submodules: text("submodules") as ContentPolicy["submodules"],
        submoduleHosts: text("submoduleHosts")
          .toLowerCase()
          .split(/[\s,]+/)
          .filter(Boolean),
        lfsMegabytes: Number(text("lfs")),
        partial: text("partial") as ContentPolicy["partial"],
      },
    });
  };
  return (
    <form ref={fields} className="form card" onSubmit={submit} aria-label="Settings">
      <h2>What its jobs start with</h2>
      <label>
        Name
        <input name="name" required maxLength={200} defaultValue={project.name} />
      </label>
      <label>
        Set-up command <span className="quiet">with the network that its grants allow</span>
        <textarea name="setup" rows={2} className="mono" placeholder="npm ci" defaultValue={project.setup ?? ""} />
      </label>
      <label>
        Verify command <span className="quiet">its exit status decides; without it nothing is verified</span>
        <textarea name="verify" rows={2} className="mono" placeholder="npm test" defaultValue={project.verify ?? ""} />
      </label>
      <label className="check">
        <input type="checkbox" name="verifyNetwork" defaultChecked={project.verifyNetwork} /> The verify command may use
        the network
      </label>
      <div className="pair">
        <label>
          Base branch
          <input name="branch" placeholder="The repository's default" defaultValue={project.defaultBranch ?? ""} />
        </label>
        <label>
          Runtime
          <select name="runtime" defaultValue={project.runtime ?? ""} key={runtimes.isSuccess ? "known" : "unknown"}>
            <option value="">The installation's default</option>
            {runtimes.data?.items.map(({ manifest }) => (
              <option key={manifest.name} value={manifest.name}>
                {manifest.title}
              </option>
            ))}
          </select>
        </label>
        <label>
          Model
          <input name="model" placeholder="The runtime's default" defaultValue={project.model ?? ""} />
        </label>
      </div>
      <details>
        <summary>Limits and isolation</summary>
        <div className="pair">
          <label>
            Rounds after a failed verification
            <input name="rounds" type="number" min={0} max={50} required defaultValue={project.maxRounds} />
          </label>
          <label>
            Weakest isolation allowed
            <select name="isolation" defaultValue={project.minIsolation}>
              <option value="namespaces">Namespaces</option>
              <option value="container">Container</option>
              <option value="vm">Virtual machine</option>
            </select>
          </label>
          <label>
            Memory, MiB
            <input name="memory" inputMode="numeric" required defaultValue={mebibytes(project.limits.memoryBytes)} />
          </label>
          <label>
            Set-up, minutes
            <input name="setupTime" inputMode="decimal" required defaultValue={minutes(project.limits.setupMs)} />
          </label>
          <label>
            Verification, minutes
            <input name="verifyTime" inputMode="decimal" required defaultValue={minutes(project.limits.verifyMs)} />
          </label>
          <label>
            Whole job, minutes
            <input name="jobTime" inputMode="decimal" required defaultValue={minutes(project.limits.jobMs)} />
          </label>
        </div>
      </details>
      <details>
        <summary>What is fetched of the repository</summary>
        <div className="pair">
          <label>
            Submodules
            <select name="submodules" defaultValue={content.submodules}>
              <option value="none">None</option>
              <option value="same_owner">Those of the same owner</option>
              <option value="hosts">Also those on these hosts</option>
            </select>
          </label>
          <label>
            Hosts
            <input name="submoduleHosts" placeholder="git.example" defaultValue={content.submoduleHosts.join(", ")} />
          </label>
          <label>
            Content kept in Git LFS, MB at most
            <input name="lfs" type="number" min={0} max={10000} required defaultValue={content.lfsMegabytes} />
          </label>
          <label>
            Earlier versions of files
            <select name="partial" defaultValue={content.partial}>
              <option value="auto">Unless the repository is large</option>
              <option value="never">Always</option>
              <option value="always">Never</option>
            </select>
          </label>
        </div>
      </details>
      <p className="quiet">
        {month
          ? `Budget: ${formatUsd(month.limitMicros)} a month, ${formatUsd(month.spentMicros)} spent. `
          : "No budget of its own. "}
        <Link to="/spend">Budgets are set with the spend.</Link>
      </p>
      {refusal ? <p role="alert">{refusal}</p> : null}
      {save.isError ? <Failure error={save.error} /> : null}
      <Only scope="write" otherwise={<MayNot what="change the project" />}>
        <div className="buttons">
          <Button type="submit" look="primary" disabled={save.isPending}>
            Save
          </Button>
          <Button onClick={trial.start} disabled={trial.running}>
            {trial.running ? "Trying…" : "Try the commands now"}
          </Button>
          <span role="status" className="quiet">
            {save.isPending ? "Saving…" : save.isSuccess ? "Saved. Running jobs keep what they started with." : ""}
          </span>
        </div>
      </Only>
      {trial.panel}
    </form>
  );
}
