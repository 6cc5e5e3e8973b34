import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { ApiError } from "@x1agent/client";
import { parseUsd } from "@x1agent/contract";
import { type FormEvent, useState } from "react";
import { Button } from "../../../components/button.tsx";
import { Failure } from "../../../components/states.tsx";
import { client } from "../../../lib/client.ts";
import { useTitle } from "../../../lib/title.ts";

export function NewJob() {
  useTitle("New job");
  const navigate = useNavigate();
  const runtimes = useQuery({ queryKey: ["runtimes"], queryFn: ({ signal }) => client.listRuntimes({ signal }) });
  const projects = useQuery({ queryKey: ["projects"], queryFn: ({ signal }) => client.listProjects({ signal }) });
  const [refusal, setRefusal] = useState<string | null>(null);
  // A second click, or a retry after a lost answer, makes no second job; after a refusal the next try is a new request.
  const [idempotencyKey, setIdempotencyKey] = useState(() => crypto.randomUUID());
  const create = useMutation({
    mutationFn: client.createJob,
    onError: (error) => {
      if (error instanceof ApiError) setIdempotencyKey(crypto.randomUUID());
    },
    onSuccess: (job) => navigate({ to: "/jobs/$jobId", params: { jobId: job.id } }),
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const text = (name: string) => String(form.get(name) ?? "").trim();
    const budgetMicros = text("budget") ? parseUsd(text("budget")) : undefined;
    if (budgetMicros === null) return setRefusal("The budget is an amount in dollars, such as 2.50.");
    setRefusal(null);
    create.mutate({
      idempotencyKey,
      body: {
        repository: text("repository"),
        goal: text("goal"),
        ask: form.get("ask") === "on",
        ...(text("runtime") ? { runtime: text("runtime") } : {}),
        ...(text("model") ? { model: text("model") } : {}),
        ...(text("setup") ? { setup: text("setup") } : {}),
        ...(text("verify") ? { verify: text("verify") } : {}),
        ...(budgetMicros === undefined ? {} : { budgetMicros }),
      },
    });
  };
  return (
    <form className="form" onSubmit={submit}>
      <h1>New job</h1>
      <label>
        Repository (path or git URL)
        <input name="repository" required maxLength={2000} list="repositories" />
        <datalist id="repositories">
          {projects.data?.items.map(({ id, repository }) => (
            <option key={id} value={repository} />
          ))}
        </datalist>
      </label>
      <label>
        Goal
        <textarea name="goal" required rows={6} />
      </label>
      <div className="pair">
        <label>
          Runtime
          <select name="runtime">
            <option value="">Project's default</option>
            {runtimes.data?.items.map(({ manifest, installed }) => (
              <option key={manifest.name} value={manifest.name} disabled={!installed}>
                {manifest.name} {manifest.version}
                {installed ? "" : " (not installed)"}
              </option>
            ))}
          </select>
        </label>
        <label>
          Model
          <input name="model" placeholder="Default" maxLength={200} />
        </label>
        <label>
          Set-up command
          <input name="setup" placeholder="npm ci" />
        </label>
        <label>
          Verify command
          <input name="verify" placeholder="npm test" />
        </label>
        <label>
          Budget in dollars
          <input name="budget" inputMode="decimal" placeholder="2.00" />
        </label>
      </div>
      <label className="check">
        <input type="checkbox" name="ask" /> Ask me before the agent uses a tool
      </label>
      {refusal ? <p role="alert">{refusal}</p> : null}
      {create.isError ? <Failure error={create.error} /> : null}
      <Button type="submit" look="primary" disabled={create.isPending}>
        {create.isPending ? "Starting…" : "Start job"}
      </Button>
    </form>
  );
}
